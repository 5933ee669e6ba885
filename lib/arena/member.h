/*
 * Members: threads that use an arena.
 *
 * A thread joins an arena by itself, at its first call that writes, unless that only frees memory
 * or closes a queue, which signal handlers may do inside any other call. Its record's life word is
 * a robust word held for life, so "is it dead?" is one load, and the kernel wakes one of those who
 * watch it. Lifetime of a record:
 *
 *	free (life 0)  -> joined (life tid|SLEEPERS)   CAS of the joiner
 *	joined         -> dead (life …|DIED)           the kernel
 *	joined         -> free clean leave: everything given back, generation + 1, life 0
 *	dead           -> free recovery: everything resolved, generation + 1, life 0
 *
 * A thread that has not joined borrows a record for one call that may be a signal handler's
 * (member_borrow): joined and free again before the call returns, without a seat.
 *
 * A tag whose generation has passed is GONE: what bore it was resolved before the generation rose,
 * so look again.
 */
#ifndef ARENA_MEMBER_H
#define ARENA_MEMBER_H

#include "arena/arena.h"

enum member_state { MEMBER_ALIVE, MEMBER_DEAD, MEMBER_GONE };

/*
 * This thread's record, joining if needed. 0, or a failure with its sentence: -EUSERS, -ENOSPC,
 * -EPERM (read-only, foreign PID namespace), -EDEADLK in a signal handler that interrupted this
 * thread's joining or leaving, or a change of its robust list. A call that is refused inside others
 * asks that first (thread_is_nested): it joins nothing then.
 */
int member_join(shoal_arena *a, struct shoal_thread *t, struct member **out);

/*
 * 0; -EPERM as above; -ENOSYS: the thread's robust list is laid out in another way. t is NULL where
 * it has none.
 */
int member_may_write(const shoal_arena *a, const struct shoal_thread *t);

/*
 * A record to name in it what one call is at, and for nothing else; t may be lent. For calls that
 * signal handlers make: nothing is allocated, nobody is recovered, and what is changed of the
 * thread is put back. NULL: all are taken, or there is no memory behind another one, or the handler
 * interrupted a change of the robust list, or the claim of the process's record; or this is a
 * forked child's first call.
 */
struct member *member_borrow(shoal_arena *a, struct shoal_thread *t);
void member_give_back(struct shoal_thread *t, struct member *m);

static inline struct member *
member_seat(const shoal_arena *a, const struct shoal_thread *t)
{
	return t->seat[a->seat];
}

/*
 * A new thread that has its record besides those that threads_max leaves to others, also if it gets
 * one only later; until it says that it ends, before it leaves.
 */
void member_begin_beyond(shoal_arena *a);
void member_end_beyond(shoal_arena *a);

/* The everyday way: one load when the thread has joined before. */
static inline int
member_here(shoal_arena *a, struct shoal_thread **thread, struct member **out)
{
	struct shoal_thread *t = thread_self();
	*thread = t;
	if (likely(t && a && (*out = member_seat(a, t))))
		return 0;
	return member_join(a, t, out);
}

/*
 * The epoch under which that is kept which was found out by the thread with that record. Where a
 * handler forked in the midst of it, the child has another record by now, or will have.
 */
static inline uint32_t
member_epoch(const shoal_arena *a, const struct shoal_thread *t, const struct member *me)
{
	uint32_t epoch = thread_epoch_kept();
	fence_compiler();
	return likely(member_seat(a, t) == me) ? epoch : THREAD_NO_EPOCH;
}

/*
 * From before it takes a message with references until what they refer to is pinned: they are
 * counted for the message until then.
 */
static inline void
member_open(struct member *me, uint32_t object, uint64_t pos)
{
	store_relaxed(&me->opening_pos, pos);
	store_release(&me->opening, object);
	fence_crash();
}

static inline uint32_t
member_index(const shoal_arena *a, const struct member *m)
{
	return (uint32_t)((arena_offset(a, m) - a->members_at) / MEMBER_STRIDE) + 1;
}

static inline uint32_t
member_tag(const shoal_arena *a, const struct member *m)
{
	return tag_make(member_index(a, m), load_relaxed(&m->generation));
}

/* Of this thread's own record. */
static inline uint32_t
member_own_tag(const struct member *me)
{
	return load_relaxed(&me->tag);
}

/* The record that a tag names, or NULL where there is none (a corrupt tag). */
static inline struct member *
member_of_tag(const shoal_arena *a, uint32_t tag)
{
	uint32_t index = tag_index(tag);
	bool is = index && index <= a->members_max && index <= load_acquire(&a->header->members_high);
	return is ? arena_member(a, index) : NULL;
}

/* Everything was given back, or resolved: from here on the tag names nobody. */
static inline void
member_retire(struct member *m)
{
	store_release(&m->process, UINT32_MAX);
	store_release(&m->generation, load_relaxed(&m->generation) + 1);
}

enum member_state member_state(const shoal_arena *a, uint32_t tag);

/* This thread gives everything back and leaves the arena. */
void member_leave(shoal_arena *a, struct shoal_thread *t);

/*
 * Finishes what the dead member left: 1 reaped, 0 somebody else did or it was not dead, -EBUSY:
 * another one is at it and deadline passed (a stopped recoverer holds up those who need what its
 * victim held; with deadline 0 nobody waits).
 */
int member_recover(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
                   int64_t deadline);

/* Recovers all that are dead now; how many were reaped. */
int member_recover_all(shoal_arena *a, struct shoal_thread *t, struct member *me);

/* ---- processes ---- */

/*
 * Claims this process's record in the arena, of a handle that nobody else knows yet. 0 or -EUSERS.
 */
int process_join(shoal_arena *a);
/* The same of any handle: a forked child has none in the arenas that it inherited. */
int process_ensure(shoal_arena *a);
bool process_is_joined(const shoal_arena *a);
/* Gives it back; true when no other process is attached (the dead ones do not count). */
bool process_leave(shoal_arena *a);
/* Whether the process of this record and generation has ended or left. */
bool process_gone(shoal_arena *a, uint32_t index, uint32_t generation);
/* One whose life word tells of its death; NULL: none of it lives. `hint`: a tag to try first. */
struct member *process_living_member(const shoal_arena *a, uint32_t index, uint32_t generation,
                                     uint32_t hint);
/*
 * The process's start time as the record with this word has it; 0 while it has only that of the
 * process before.
 */
static inline uint64_t
process_started(const struct process_record *p, uint64_t word)
{
	uint64_t start = load_acquire(&p->start_time);
	return ((start ^ word >> 32) & 0xffffff) == 0 ? start >> 24 : 0;
}
static inline uint32_t
process_generation(shoal_arena *a, uint32_t index)
{
	return (uint32_t)(load_acquire(&arena_process(a, index)->word) >> 32);
}
static inline pid_t
process_pid(shoal_arena *a, uint32_t index)
{
	return (pid_t)(uint32_t)load_acquire(&arena_process(a, index)->word);
}

#endif
