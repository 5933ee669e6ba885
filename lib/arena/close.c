#include "arena/close.h"
#include "arena/handle.h"
#include "arena/recover.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/thread.h"
#include <string.h>
#include <unistd.h>

/*
 * This process does not count: it has left, or not joined yet, or a record of its pid is from
 * before an exec. Nor do those at their end, who have looked, or will, after they said so: of those
 * that end together the last to say it finds nobody.
 */
static bool
nobody_attached(shoal_arena *a)
{
	uint32_t self = (uint32_t)getpid();
	for (uint32_t i = 0; i < a->members_max; i++) {
		struct process_record *p = arena_process(a, i);
		uint64_t word = load_seq_cst(&p->word);
		uint32_t pid = (uint32_t)word;
		if (pid && pid != self && load_seq_cst(&p->ending) != (uint32_t)(word >> 32) &&
		    !kernel_process_ended((pid_t)pid, process_started(p, word)))
			return false;
	}
	return true;
}

/* Under the file's lock. Crash points: DYING stays, and the next to come goes on from there. */
static bool
decide(shoal_arena *a, const struct place *p)
{
	word32 *state = &a->header->state;
	for (;;) {
		if (!nobody_attached(a)) {
			store_seq_cst(state, ARENA_READY);
			return false;
		}
		store_seq_cst(state, ARENA_DYING);
		if (nobody_attached(a)) {
			shmfile_unlink_locked(p);
			return true;
		}
	}
}

bool
arena_over(shoal_arena *a)
{
	if (!(a->flags & ARENA_UNLINK_LAST) || !strcmp(a->name, ARENA_PRIVATE))
		return false;
	/* Pids of another namespace say nothing here. */
	if (a->header->pid_namespace != kernel_pid_namespace())
		return false;
	if (load_seq_cst(&a->header->state) == ARENA_READY && !nobody_attached(a))
		return false;
	struct place p;
	if (place_find(a->name, false, &p))
		return true;
	int locked = shmfile_lock(&p, a->fd);
	bool over = locked < 0 || decide(a, &p);
	if (locked >= 0)
		shmfile_close(locked);
	place_leave(&p);
	return over;
}

/*
 * A forked child that never used the arena has no record in it: the one that the handle names is
 * the parent's.
 */
static void
leave(shoal_arena *a)
{
	if (a->readonly)
		return;
	if (a->generation == thread_generation())
		process_leave(a);
	arena_over(a);
}

/*
 * The caller may come late: somebody may have attached the arena again, or unmapped it, and the
 * handle may be another arena's by now. All of that shows under the lock. Afterwards the handle is
 * this caller's alone: nobody finds it, and it is not free.
 */
static bool
take_off(shoal_arena *a)
{
	table_lock();
	bool mine = a->base && a->closing && seats_taken(load_relaxed(&arena_seats[a->seat])) == 0;
	if (mine) {
		store_relaxed(&arena_seats[a->seat], 0);
		table_remove(a);
		leave(a);
		a->closing = false;
	}
	table_unlock();
	return mine;
}

/* The hook has a lock of its own, which a fork takes before the table's. */
void
arena_unmap(shoal_arena *a)
{
	if (!take_off(a))
		return;
	if (arena_unmap_hook)
		arena_unmap_hook(a);
	table_lock();
	shmfile_close(a->fd);
	handle_unmap(a);
	table_unlock();
}

/*
 * Whether this thread holds locks in the arena, besides being a member. If so it becomes one, if it
 * was not: what keeps the arena mapped is that a member of this process has not left.
 */
static bool
holds_locks(shoal_arena *a, struct shoal_thread *t)
{
	struct member *me = t ? member_seat(a, t) : NULL;
	if (!t || a->readonly)
		return false;
	if (!robust_holds_within(t, a->base, a->bytes, me ? &me->life : NULL))
		return false;
	log_line(LOG_WARNING,
	         "arena '%s' is closed by thread %u, which holds locks in it: it stays mapped until "
	         "that thread ends; release them first",
	         a->name, t->tid);
	(void)member_here(a, &t, &me);
	return true;
}

void
shoal_arena_close(shoal_arena *a)
{
	if (!a)
		return;
	struct shoal_thread *t = thread_self();
	bool holds = holds_locks(a, t);
	table_lock();
	bool last = a->references > 0 && --a->references == 0;
	if (last)
		a->closing = true;
	table_unlock();
	if (!last || holds)
		return;
	if (t && t->seat[a->seat]) {
		recover_leaving(a, t, t->seat[a->seat]);
		member_leave(a, t);
	}
	arena_unmap(a);
}

void
arena_abandon(shoal_arena *a)
{
	if (a)
		store_release(&a->abandoned, 1);
	shoal_arena_close(a);
}

/* Its other threads may still use the arena, so the record stays until the process is gone. */
static void
end(shoal_arena *a)
{
	struct process_record *p = arena_process(a, a->process);
	uint64_t word = load_acquire(&p->word);
	if (!(a->flags & ARENA_UNLINK_LAST) || (uint32_t)word != (uint32_t)getpid())
		return;
	store_seq_cst(&p->ending, (uint32_t)(word >> 32));
	(void)arena_over(a);
}

/*
 * A thread that has the table does not come back where its end was exit: then the files stay, as
 * after a death.
 */
void
arena_end_all(void)
{
	if (!table_try_lock())
		return;
	for (unsigned i = 0; i < table_seats(); i++) {
		shoal_arena *a = table_seat(i);
		if (a && !a->readonly && a->generation == thread_generation())
			end(a);
	}
	table_unlock();
}

__attribute__((destructor)) static void
end_process(void)
{
	arena_end_all();
}

int
shoal_arena_unlink(const char *name)
{
	struct place p;
	int rc = place_find(name, false, &p);
	if (rc)
		return rc;
	rc = shmfile_unlink(&p, ARENA_MAGIC);
	place_leave(&p);
	return rc;
}
