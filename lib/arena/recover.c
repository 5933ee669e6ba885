/*
 * What a member that died, or leaves, has left.
 *
 * Whatever recovery writes into a queue or pipe, the dead one's record names it: the call that it
 * was in, until its hands are resolved too; and, for its loans and counts and its process's ends,
 * `inside`, by one name after the other. They were all cleared before, so there is room. One who
 * destroys the object sees the name, as that of any member in a call (Y1 of sync/stay.h), and its
 * memory stays what it is; or the word tells here that it has ended, and it is left alone. But for
 * blocks: what the dead one HELD is given back whatever became of the object.
 *
 * Crash points: a recoverer that dies leaves the name, in a record that still counts; the next one
 * clears it, and begins anew. One that is stopped holds up the burial of that one object.
 */
#include "arena/recover.h"
#include "arena/block.h"
#include "arena/kinds.h"
#include "arena/hold.h"
#include "arena/object.h"
#include "arena/pin.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/probe.h"

static void
add(word64 *own_count, uint64_t n)
{
	store_relaxed(own_count, load_relaxed(own_count) + n);
}

/*
 * The dead one may have named the object too late, while it was being buried, and have died before
 * it saw that. Of what is whole at this look the name came in time. Those who wait on what is not,
 * and can be shut, are told by that, and what stands at its places goes with it.
 */
static void
resolve_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead)
{
	uint32_t object = load_acquire(&dead->call.object);
	if (!object || object >= objects_high(a))
		return;
	bool whole = object_ready(a, object);
	const struct kind_ops *ops = kind_of(a, object);
	if (ops && ops->recover_call && (whole || !ops->shut))
		ops->recover_call(a, t, me, dead, object);
}

/*
 * Whether its object is still there or not: what is still HELD by the dead one is nobody's, and its
 * entry is the last that names it.
 */
static void
resolve_loan(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             struct loan_entry *l)
{
	uint32_t object = load_relaxed(&l->object), its = load_relaxed(&l->generation);
	word32 *name = object < objects_high(a) ? object_stay(a, dead, object, its) : NULL;
	if (name) {
		const struct kind_ops *ops = kind_of(a, object);
		if (ops && ops->recover_loan)
			ops->recover_loan(a, t, me, dead, l);
		object_unstay(name);
	}
	uint64_t block = load_relaxed(&l->block);
	if (block)
		block_reclaim(a, block, block_word(BLOCK_HELD, 0, member_tag(a, dead)));
	store_release(&l->state, 0);
}

static void
resolve_loans(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead)
{
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		struct loan_entry *l = &dead->loans[i];
		if (load_acquire(&l->state))
			resolve_loan(a, t, me, dead, l);
	}
}

static void
resolve_hand(shoal_arena *a, struct member *dead, struct hand *h, uint32_t tag)
{
	uint64_t block = load_acquire(&h->block);
	if (!block)
		return;
	uint32_t kind = load_relaxed(&h->kind);
	if (kind == HAND_PUT || kind == HAND_GET) {
		uint32_t object = load_relaxed(&h->object);
		const struct kind_ops *ops = object < objects_high(a) ? kind_of(a, object) : NULL;
		if (ops && ops->recover_hand)
			ops->recover_hand(a, dead, h);
	} else if (kind == HAND_PAGE) {
		slab_adopt(a, dead, block);
	}
	/*
	 * Whatever it was for: what is still HELD by the dead one is nobody's, and what it was about to
	 * give its user.
	 */
	block_reclaim(a, block, block_word(BLOCK_HELD, 0, tag));
	if (kind == HAND_TAKE)
		block_reclaim(a, block, block_word(BLOCK_USER, 0, tag));
	hand_clear(h);
}

/* What the dead one has in each object; and its process, pipe ends, unless that is UINT32_MAX. */
static void
resolve_objects(shoal_arena *a, struct member *me, struct member *dead, uint32_t process,
                uint32_t generation)
{
	bool gone = process != UINT32_MAX;
	uint32_t high = objects_high(a);
	for (uint32_t i = 1; i < high; i++) {
		uint64_t word = load_acquire(&arena_object(a, i)->word);
		const struct kind_ops *ops = object_state(word) == OBJECT_READY ? kind_of(a, i) : NULL;
		bool asked = ops && (ops->recover_member || (gone && ops->recover_process));
		/* Also whether it was of that kind, when it was asked. */
		word32 *name = asked ? object_stay(a, dead, i, word >> 32) : NULL;
		if (!name)
			continue;
		if (ops->recover_member)
			ops->recover_member(a, me, dead, i);
		if (gone && ops->recover_process)
			ops->recover_process(a, process, generation, i);
		object_unstay(name);
	}
}

/* All but its magazines: what is buried meanwhile may come to lie in there, when me is dead. */
static void
resolve(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
        uint32_t process, uint32_t generation)
{
	uint32_t tag = member_tag(a, dead);
	for (unsigned i = 0; i < INSIDE_MAX; i++)
		store_release(&dead->inside[i], 0);
	resolve_call(a, t, me, dead);
	resolve_loans(a, t, me, dead);
	resolve_hand(a, dead, &dead->hand, tag);
	resolve_hand(a, dead, &dead->page_hand, tag);
	store_relaxed(&dead->call.kind, 0);
	store_release(&dead->call.object, 0);
	object_recover_making(a, dead);
	resolve_objects(a, me, dead, process, generation);
	pin_drop_all(a, dead);
	/* What it was sending or had taken is where its queue or pipe says: the sweep looks. */
	store_release(&dead->posting, 0);
	store_release(&dead->opening, 0);
}

/* One who died before it had written which process it is of, in a new record, is of none. */
static void
note_process(shoal_arena *a, uint32_t process, uint32_t generation)
{
	if (process < a->members_max && generation == process_generation(a, process))
		store_release(&arena_process(a, process)->died, generation);
}

static void
collect(shoal_arena *a, struct member *me, uint32_t process, uint32_t generation)
{
	uint32_t high = objects_high(a);
	for (uint32_t i = 1; i < high; i++) {
		const struct kind_ops *ops = object_ready(a, i) ? kind_of(a, i) : NULL;
		if (ops && ops->collect)
			ops->collect(a, me, process, generation, i);
	}
}

void
recover_leaving(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	if (a->generation != thread_generation())
		return;
	collect(a, me, a->process, process_generation(a, a->process));
	object_sweep(a, t, me);
}

static bool
reap(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead)
{
	if (!(load_acquire(&dead->life.word) & FUTEX_DIED))
		return false;
	uint32_t process = load_acquire(&dead->process);
	uint32_t generation = load_relaxed(&dead->process_generation);
	note_process(a, process, generation);
	hold_recover(a, t, dead);
	/* A thread of it that dies after this look is recovered after it, and that one looks again. */
	if (process >= a->members_max || !process_gone(a, process, generation))
		process = UINT32_MAX;
	resolve(a, t, me, dead, process, generation);
	if (process != UINT32_MAX)
		object_recover_owned(a, t, me);
	object_note_all(a);
	object_sweep(a, t, me);
	block_empty_magazines(a, dead, member_tag(a, dead));
	add(&me->counts.deaths, 1);
	add(&me->counts.recoveries, 1);
	/* Last, since me may be the dead one's record: from here on it is another's. */
	member_retire(dead);
	futex_clear_and_wake(&dead->life.word, FUTEX_ALL);
	return true;
}

int
member_recover(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
               int64_t deadline)
{
	struct member *dead = arena_member(a, index);
	/* Whatever its word says: this thread lives. */
	if (dead == member_seat(a, t))
		return -EBUSY;
	if (load_acquire(&dead->life.word) & FUTEX_DIED)
		PROBE_DEATH(a, index, load_relaxed(&dead->tid));
	int rc = deadline ? robust_take(t, &dead->recovering, deadline)
	                  : robust_try(t, &dead->recovering);
	if (rc == -EOWNERDEAD)
		robust_mend(&dead->recovering);
	else if (rc)
		return -EBUSY;
	PROBE_RECOVERY_BEGIN(a, index);
	bool reaped = reap(a, t, me, dead);
	PROBE_RECOVERY_END(a, index, reaped);
	robust_release(t, &dead->recovering);
	return reaped;
}

int
member_recover_all(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	int reaped = 0;
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++)
		if (load_acquire(&arena_member(a, i)->life.word) & FUTEX_DIED)
			reaped += member_recover(a, t, me, i, 0) == 1;
	return reaped;
}

/* The dead one's own record serves as the recoverer's: it is held by `recovering`. */
bool
member_recover_bare(shoal_arena *a, struct shoal_thread *t)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		struct member *dead = arena_member(a, i);
		if ((load_acquire(&dead->life.word) & FUTEX_DIED) &&
		    member_recover(a, t, dead, i, 0) == 1)
			return true;
	}
	return false;
}

void
recover_self(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	int rc = robust_take(t, &me->recovering, CLOCK_NEVER);
	if (rc == -EOWNERDEAD)
		robust_mend(&me->recovering);
	resolve(a, t, me, me, UINT32_MAX, 0);
	object_sweep(a, t, me);
	block_empty_magazines(a, me, member_tag(a, me));
	member_retire(me);
	/* A word that says that this thread had it before is damage: then it was not taken. */
	if (rc == 0 || rc == -EOWNERDEAD)
		robust_release(t, &me->recovering);
	robust_drop(t, &me->life);
}

int
shoal_arena_recover(shoal_arena *a)
{
	struct shoal_thread *t;
	struct member *me;
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	int reaped = member_recover_all(a, t, me);
	object_recover_owned(a, t, me);
	collect(a, me, UINT32_MAX, 0);
	object_sweep(a, t, me);
	return reaped;
}
