#include "arena/table.h"
#include "base/masked.h"
#include <string.h>
#include <urcu-bp.h>

/* Words, since a reader of the old table may still be at it in the eyes of a race detector. */
struct range {
	word64 base, bytes;
	word32 seat;
};

struct table {
	word32 count;
	struct range at[THREAD_SEATS];
};

static shoal_arena handles[THREAD_SEATS];
/* Those from here on were never in use: a look would get a forked child a page for each ten. */
static unsigned handles_used;
static struct table tables[2];
/* [T.1] released by change, acquired by arena_of: the ranges it names are whole. */
static word32 current;
static struct masked lock = MASKED_INIT;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- readers ---- */

/*
 * The ranges do not overlap, so the last one that begins at or before the address is the only
 * candidate.
 */
static const struct range *
search(const struct table *t, uint64_t address)
{
	uint32_t low = 0, high = load_relaxed(&t->count);
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (load_relaxed(&t->at[middle].base) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &t->at[low - 1] : NULL;
}

shoal_arena *
arena_of(const void *address)
{
	shoal_arena *a = NULL;
	uint64_t at = (uintptr_t)address;
	rcu_read_lock();
	const struct range *r = search(&tables[load_acquire(&current)], at);
	if (r && at - load_relaxed(&r->base) < load_relaxed(&r->bytes))
		a = &handles[load_relaxed(&r->seat)];
	rcu_read_unlock();
	return a;
}

/* ---- changes ---- */

static void
before_fork(void)
{
	masked_lock(&lock);
	urcu_bp_before_fork();
}

static void
after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	masked_unlock(&lock);
}

/*
 * Without this, readers that the parent's other threads were would be waited for in the child, for
 * ever.
 */
static void
after_fork_child(void)
{
	urcu_bp_after_fork_child();
	masked_unlock(&lock);
}

static void
begin(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void
table_lock(void)
{
	masked_once(&once, begin);
	masked_lock(&lock);
}

bool
table_try_lock(void)
{
	masked_once(&once, begin);
	return masked_try_lock(&lock);
}

void
table_unlock(void)
{
	masked_unlock(&lock);
}

unsigned
table_seats(void)
{
	return handles_used;
}

shoal_arena *
table_seat(unsigned seat)
{
	return handles[seat].base ? &handles[seat] : NULL;
}

shoal_arena *
table_find(const struct shmfile *file, bool readonly)
{
	for (unsigned i = 0; i < handles_used; i++) {
		shoal_arena *a = &handles[i];
		bool whole = a->base && (a->references || a->closing);
		if (whole && a->readonly == readonly && shmfile_same(a->fd, file))
			return a;
	}
	return NULL;
}

shoal_arena *
table_slot(void)
{
	unsigned i = 0;
	while (i < handles_used && handles[i].base)
		i++;
	if (i == THREAD_SEATS)
		return NULL;
	if (i == handles_used)
		handles_used++;
	memset(&handles[i], 0, sizeof handles[i]);
	handles[i].seat = i;
	return &handles[i];
}

static void
put(struct table *t, uint32_t i, const struct range *r)
{
	store_relaxed(&t->at[i].base, load_relaxed(&r->base));
	store_relaxed(&t->at[i].bytes, load_relaxed(&r->bytes));
	store_relaxed(&t->at[i].seat, load_relaxed(&r->seat));
}

static void
put_arena(struct table *t, uint32_t i, const shoal_arena *a)
{
	store_relaxed(&t->at[i].base, (uintptr_t)a->base);
	store_relaxed(&t->at[i].bytes, a->bytes);
	store_relaxed(&t->at[i].seat, a->seat);
}

/*
 * Copies all ranges but `without`, and `with` in its place, then waits until nobody reads the old
 * table.
 */
static void
change(const shoal_arena *with, const shoal_arena *without)
{
	uint32_t old = load_relaxed(&current), n = 0;
	const struct table *from = &tables[old];
	struct table *to = &tables[!old];
	for (uint32_t i = 0; i < load_relaxed(&from->count); i++) {
		const struct range *r = &from->at[i];
		if (with && (uintptr_t)with->base < load_relaxed(&r->base)) {
			put_arena(to, n++, with);
			with = NULL;
		}
		if (!without || load_relaxed(&r->seat) != without->seat)
			put(to, n++, r);
	}
	if (with)
		put_arena(to, n++, with);
	store_relaxed(&to->count, n);
	store_release(&current, !old);
	synchronize_rcu();
}

void
table_add(shoal_arena *a)
{
	change(a, NULL);
}

void
table_remove(shoal_arena *a)
{
	thread_epoch_next();
	change(NULL, a);
}
