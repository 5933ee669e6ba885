#include "process/family.h"
#include "base/direct.h"
#include "base/masked.h"
#include "base/pidfd.h"
#include "process/cleanup.h"
#include "process/server.h"
#include <unistd.h>

struct family family;
static struct masked lock = MASKED_INIT;

/*
 * A forked process is the first of a family of its own, until family_adopt says otherwise. Of what
 * it inherits only the lifelines are closed: while it holds their ends, its parent's death frees
 * no daemon.
 */
static void
begin_again(void)
{
	for (struct shoal_process *p = family.children; p; p = p->next)
		lifeline_let_go(&p->lifeline);
	family = (struct family){
		.pid = getpid(),
		.forked = family.pid != 0,
		.hooked = family.hooked,
		.last = &family.children,
		.inherited = family.children,
		.self = { .kind = PROCESS_SELF, .name = "MainProcess", .path = "",
		          .state = PROCESS_RUNNING, .fd = -1 },
	};
	family.self.pid = family.self.maker = family.pid;
	cleanup_forget();
	cradle_forget();
	server_forget();
}

static void
fork_prepare(void)
{
	masked_lock(&lock);
}

static void
fork_child(void)
{
	begin_again();
	masked_unlock(&lock);
}

__attribute__((constructor)) static void
found(void)
{
	family_meet();
	pthread_atfork(fork_prepare, family_unlock, fork_child);
}

/* _Fork and raw clone skip the handlers above: their child is noticed by its number. */
void
family_meet(void)
{
	if (likely(family.pid == getpid()))
		return;
	masked_renew(&lock);
	begin_again();
}

void
family_lock(void)
{
	family_meet();
	masked_lock(&lock);
}

void
family_unlock(void)
{
	masked_unlock(&lock);
}

void
family_add(struct shoal_process *p)
{
	p->next = NULL;
	p->link = family.last;
	*family.last = p;
	family.last = &p->next;
}

void
family_remove(struct shoal_process *p)
{
	if (!p->link)
		return;
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	else
		family.last = p->link;
	p->link = NULL;
}

void
family_sweep(void)
{
	for (struct shoal_process *p = family.children, *next; p; p = next) {
		next = p->next;
		if (!p->kept || p->shown || p->pins || !process_reap(p))
			continue;
		family_remove(p);
		process_free(p);
	}
}

/* What its parent has of the other children would only fill the child's table. */
static void
close_siblings(const struct shoal_process *self)
{
	for (struct shoal_process *p = family.inherited; p; p = p->next) {
		if (p == self)
			continue;
		lifeline_drop(&p->lifeline);
		if (p->fd >= 0)
			direct_close(p->fd);
	}
}

void
family_adopt(const struct shoal_process *p, const char *parent_name, bool streams_clean)
{
	close_siblings(p);
	family.streams_clean = streams_clean;
	family.cradle = p->cradle;
	family.parent = (struct shoal_process){
		.kind = PROCESS_PARENT, .name = parent_name, .path = "", .state = PROCESS_RUNNING,
		.pid = p->maker, .maker = family.pid, .fd = -1,
	};
	family.self.name = p->name;
	family.self.path = p->path;
	family.self.daemon = p->daemon;
	family.self.arenas = p->arenas;
	family.self.arena_count = p->arena_count;
}

size_t
shoal_process_children(shoal_process **out, size_t room)
{
	size_t count = 0;
	family_lock();
	family_sweep();
	for (struct shoal_process *p = family.children, *next; p; p = next) {
		next = p->next;
		if (process_reap(p) || p->state != PROCESS_RUNNING || p->untold_from)
			continue;
		if (out && count < room) {
			p->shown = true;
			out[count] = p;
		}
		count++;
	}
	family_unlock();
	return count;
}

shoal_process *
shoal_process_current(void)
{
	family_meet();
	return &family.self;
}

shoal_process *
shoal_process_parent(void)
{
	family_meet();
	return family.parent.pid ? &family.parent : NULL;
}

shoal_arena *
shoal_process_arena(size_t index)
{
	family_meet();
	return index < family.self.arena_count ? family.self.arenas[index] : NULL;
}
