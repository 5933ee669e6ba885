/*
 * How objects end: destroyed by their makers, let go by those who refer to them, buried when nobody
 * is inside.
 *
 * What an object is, its words alone tell: its state, its holds, the pins. Who comes to bury
 * believes nothing else, so any number may try, and one who dies at it is followed by the next. The
 * header's `dying` only says where to look; it is cleared before the look, so what becomes due
 * during it is noted again. What a member that died had made due and not noted is due to its
 * recovery, which notes all.
 *
 *	READY -> DYING   object_destroy, of a kind that does not last
 *	READY -> KEPT    object_destroy, of one that lasts
 *	READY -> DYING   of a kind that nobody destroys (kind_ops.lost): what it was for is gone. Under
 *	                 the hold lock
 *	KEPT  -> DYING   nothing refers to it: no holds, and then no pins. Under the hold lock
 *	DYING -> NONE    nobody is inside a call on it, and no pin can be on it (referred is 0). Under
 *	                 the name lock
 *
 * What has parts gives them back before the name lock is taken, since they may be many. Who does
 * that names the object in its record (`making`), so that nobody else buries it meanwhile; two who
 * meet there leave it to the next one. One that is stopped in it holds up nobody; after its death
 * the next one goes on.
 */
#include "arena/block.h"
#include "arena/hold.h"
#include "arena/object.h"
#include "arena/pin.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "sync/bell.h"
#include "sync/gate.h"

#define BATCH 256u
#define HOLD_LOCK_NS 1000000 /* a stopped holder of the hold lock delays a sweep by so much */

/* ---- notes ---- */

void
object_note_end(shoal_arena *a, uint32_t index)
{
	fetch_or_seq_cst(&a->header->dying, UINT64_C(1) << index % 64);
}

void
object_note_all(shoal_arena *a)
{
	store_relaxed(&a->header->object_rover, 1);
	store_seq_cst(&a->header->dying, UINT64_MAX);
}

void
object_note_unpinned(shoal_arena *a, uint32_t index)
{
	const struct object *o = arena_object(a, index);
	enum object_state state = object_state(load_acquire(&o->word));
	if ((state == OBJECT_KEPT || state == OBJECT_DYING) && load_relaxed(&o->holds) == 0)
		object_note_end(a, index);
}

void
object_note_mail(shoal_arena *a, uint32_t index)
{
	if (load_acquire(&arena_object(a, index)->mailed))
		fetch_or_seq_cst(&a->header->dying, UINT64_MAX);
}

/* ---- the entry ---- */

/* A free entry below the rover is found by the next one who makes an object. */
static void
lower_rover(shoal_arena *a, uint32_t index)
{
	word32 *rover = &a->header->object_rover;
	uint32_t seen;
	while (index < (seen = load_relaxed(rover)) && !cas32_acq_rel(rover, seen, index))
		;
}

/* Its maker is alone with it, or dead, or it is being buried. From exactly the word seen. */
static void
end(shoal_arena *a, uint32_t index, uint64_t word)
{
	struct object *o = arena_object(a, index);
	uint64_t body = load_acquire(&o->body);
	if (body)
		block_reclaim(a, body, block_word(BLOCK_OBJECT, index, 0));
	store_relaxed(&o->body, 0);
	fence_crash();
	if (cas64_acq_rel(&o->word, word, ((word >> 32) + 1) << 32))
		lower_rover(a, index);
}

void
object_abandon(shoal_arena *a, struct member *me, uint32_t index)
{
	end(a, index, load_relaxed(&arena_object(a, index)->word));
	store_relaxed(&me->making, 0);
	gate_open_all(&a->header->names_gate);
}

/* ---- nothing refers to it ---- */

static bool
is_lost(const shoal_arena *a, uint32_t index)
{
	const struct kind_ops *ops = kind_of(a, index);
	return ops && ops->lost && ops->lost(a, index);
}

/* What may be let go: it has no holds, but may be pinned. */
static bool
unheld(const shoal_arena *a, uint32_t index)
{
	const struct object *o = arena_object(a, index);
	enum object_state state = object_state(load_acquire(&o->word));
	if (state == OBJECT_READY)
		return is_lost(a, index);
	return (state == OBJECT_KEPT || (state == OBJECT_DYING && load_relaxed(&o->referred))) &&
	       load_acquire(&o->holds) == 0;
}

static unsigned
gather(const shoal_arena *a, uint32_t *from, uint32_t *list)
{
	uint32_t high = objects_high(a);
	unsigned n = 0;
	for (; *from < high && n < BATCH; *from += 64)
		if (*from && unheld(a, *from))
			list[n++] = *from;
	return n;
}

/* Under the hold lock: nobody can take a hold or make another one end. */
static void
let_go(shoal_arena *a, struct member *me, uint32_t *list, unsigned n)
{
	bool referred = false;
	for (unsigned i = 0; i < n; i++)
		referred |= load_relaxed(&arena_object(a, list[i])->referred);
	if (referred) {
		pin_barrier(a);
		pin_filter(a, list, n);
	}
	for (unsigned i = 0; i < n; i++) {
		struct object *o = arena_object(a, list[i] & ~PIN_FOUND);
		uint64_t word = load_acquire(&o->word);
		if ((list[i] & PIN_FOUND) || !unheld(a, list[i]))
			continue;
		store_relaxed(&o->referred, 0);
		fence_crash();
		if (object_state(word) != OBJECT_DYING)
			cas64_seq_cst(&o->word, word,
			              object_word(word, OBJECT_DYING, member_tag(a, me)));
	}
}

/*
 * All of one remainder by 64. What is pinned is noted again by whoever drops the pin. False: the
 * hold lock is another one's now.
 */
static bool
let_go_all(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t remainder)
{
	uint32_t list[BATCH], from = remainder;
	unsigned n;
	while ((n = gather(a, &from, list))) {
		if (hold_lock(a, t, clock_deadline(HOLD_LOCK_NS)))
			return false;
		let_go(a, me, list, n);
		hold_unlock(a, t);
	}
	return true;
}

/* ---- burial ---- */

static bool
is_inside(const struct member *m, uint32_t index)
{
	for (unsigned i = 0; i < INSIDE_MAX; i++)
		if (load_acquire(&m->inside[i]) == index)
			return true;
	return load_acquire(&m->call.object) == index;
}

/*
 * Whether any member is in a call on the object, this one too, when it recovers another one inside
 * its own call; or destroys it and has not told those who wait yet, or, but for `me`, buries it.
 */
static bool
somebody_inside(const shoal_arena *a, const struct member *me, uint32_t index)
{
	/* Orders the look at the object's word before: sync/stay.h, Y1. */
	fence_seq_cst();
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const struct member *m = arena_member(a, i);
		bool making = m != me && load_acquire(&m->making) == index;
		if (load_acquire(&m->life.word) && (making || is_inside(m, index)))
			return true;
	}
	return false;
}

/*
 * Under the name lock. Crash points: the messages' blocks go while the body is still the object's;
 * then the body; then the entry. One that finds the body's word changed leaves the messages alone:
 * they were done before.
 */
static void
bury(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, uint64_t word)
{
	const struct kind_ops *ops = kind_of(a, index);
	if (ops && ops->empty && object_has_body(a, index))
		ops->empty(a, t, me, index);
	end(a, index, word);
}

/*
 * Asked without the name lock, since it takes system calls. Who is inside comes first: one of them
 * may yet take a lock, and leave with it, but nobody else. So once it is false it stays so.
 */
static bool
is_in_use(shoal_arena *a, uint32_t index)
{
	const struct kind_ops *ops = kind_of(a, index);
	return somebody_inside(a, NULL, index) ||
	       (ops && ops->kept && object_has_body(a, index) && ops->kept(a, index));
}

/* Orders the calls that began before against the look whether anybody is inside. */
static void
let_barrier_pass(const shoal_arena *a)
{
	if (a->flags & ARENA_MEMBARRIER)
		kernel_barrier();
}

/*
 * Under the name lock. Its destroyer may have died before it told those who wait, and wrote that it
 * is over where they look who know the memory by its address: once that is free it is to say so.
 * What ended alone (object_end_alone) has no destroyer at all.
 *
 * A barrier lies between what `shut` wrote and the look who is inside. Pairs with pipe_enter_quick,
 * which stores its name, and then looks at two words, with a fence for the compiler only:
 * it may have read them while the end was open, and its name be on its way yet. The look's own
 * fence orders nobody else's store, and the barrier of the destroyer's recovery
 * (object_recover_making) came before the word was closed. Behind this one either the name is seen
 * here, or there that the end is closed. A destroyer that lives let one pass after its own `shut`.
 *
 * False: it is still to be buried.
 */
static bool
bury_if_left(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
             uint64_t seen, bool in_use)
{
	uint64_t word = load_acquire(&arena_object(a, index)->word);
	if (word != seen)
		return true;
	const struct kind_ops *ops = kind_of(a, index);
	bool left = ops && ops->shut && object_has_body(a, index) &&
	            member_state(a, object_tag(word)) != MEMBER_ALIVE;
	if (left)
		ops->shut(a, index);
	if (in_use)
		return false;
	if (left)
		let_barrier_pass(a);
	if (somebody_inside(a, me, index))
		return false;
	bury(a, t, me, index, word);
	return true;
}

/*
 * Its parts go, while the record names it. False: another one is about it.
 */
static bool
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, uint64_t seen)
{
	const struct kind_ops *ops = kind_of(a, index);
	/* Pairs with the others' same steps: one of two sees the other, or the word that it left. */
	store_release(&me->making, index);
	fence_seq_cst();
	if (somebody_inside(a, me, index))
		return false;
	if (load_acquire(&arena_object(a, index)->word) == seen && object_has_body(a, index))
		ops->empty(a, t, me, index);
	return true;
}

static bool
bury_named(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, uint64_t word,
           bool in_use)
{
	if (object_lock_names(a, t, clock_deadline(0)))
		return false;
	bool done = bury_if_left(a, t, me, index, word, in_use);
	object_unlock_names(a, t);
	return done;
}

/* False: it is still to be buried. */
static bool
try_to_bury(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index)
{
	uint64_t word = load_acquire(&arena_object(a, index)->word);
	bool in_use = is_in_use(a, index);
	if (object_state(word) != OBJECT_DYING)
		return true;
	if (in_use && member_state(a, object_tag(word)) == MEMBER_ALIVE)
		return false;
	const struct kind_ops *ops = kind_of(a, index);
	if (in_use || !ops || !ops->parts || !ops->empty)
		return bury_named(a, t, me, index, word, in_use);
	uint32_t making = load_relaxed(&me->making);
	bool done = empty(a, t, me, index, word) && bury_named(a, t, me, index, word, false);
	store_release(&me->making, making);
	return done;
}

/* What is still referred to is noted when it is let go. */
static bool
to_bury(const shoal_arena *a, uint32_t index)
{
	const struct object *o = arena_object(a, index);
	return object_state(load_acquire(&o->word)) == OBJECT_DYING && !load_relaxed(&o->referred);
}

/* All of one remainder. False: some are left to bury. */
static bool
bury_all(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t remainder,
         bool *any)
{
	bool all = true;
	for (uint32_t i = remainder; i < objects_high(a); i += 64) {
		if (!to_bury(a, i))
			continue;
		bool done = try_to_bury(a, t, me, i);
		*any |= done;
		all &= done;
	}
	return all;
}

/* Each burial may let go of others: while one was buried, there is another round. */
static void
sweep(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	bool any = true;
	uint64_t bits, left = 0;
	while (any && (bits = load_relaxed(&a->header->dying) | left)) {
		any = false;
		left = 0;
		fetch_and_seq_cst(&a->header->dying, ~bits);
		for (uint32_t r = 0; r < 64; r++) {
			if (!(bits >> r & 1))
				continue;
			bool all = let_go_all(a, t, me, r);
			if (!(bury_all(a, t, me, r, &any) && all))
				left |= UINT64_C(1) << r;
		}
	}
	if (left)
		fetch_or_seq_cst(&a->header->dying, left);
}

/* Busy: as in object_body, for what parts of objects give back. */
void
object_sweep(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	if (likely(!load_relaxed(&a->header->dying)))
		return;
	uint32_t busy = t->busy;
	t->busy = 1;
	sweep(a, t, me);
	t->busy = busy;
}

/* ---- destroy ---- */

/* The one whose index is known, without a look at others. False: it is to be noted. */
static bool
end_one(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index)
{
	uint32_t list[] = { index };
	if (unheld(a, index)) {
		if (hold_lock(a, t, clock_deadline(HOLD_LOCK_NS)))
			return false;
		let_go(a, me, list, 1);
		hold_unlock(a, t);
	}
	return !to_bury(a, index) || try_to_bury(a, t, me, index);
}

void
object_end_lost(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index)
{
	if (index < objects_high(a) && !end_one(a, t, me, index))
		object_note_end(a, index);
	object_sweep(a, t, me);
}

/*
 * Crash points: from DYING, or KEPT, on nobody opens it. Those who sleep on it learn of a death
 * before they are all told by the bell, and shut it themselves.
 */
static bool
shut(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, uint64_t word)
{
	struct object *o = arena_object(a, index);
	const struct kind_ops *ops = kind_of(a, index);
	uint64_t to = object_word(word, OBJECT_DYING, member_tag(a, me));
	if (ops && ops->lasts)
		to = object_word(word, OBJECT_KEPT, TAG_NONE);
	if (object_state(word) != OBJECT_READY)
		return false;
	struct robust *bell = ops && ops->bell ? ops->bell(a, index) : NULL;
	bool held = bell && bell_take(t, bell);
	bool mine = cas64_seq_cst(&o->word, word, to);
	if (mine && ops && ops->shut)
		ops->shut(a, index);
	if (held)
		bell_give(t, bell);
	return mine;
}

/*
 * From exactly the word seen, which has the entry's generation: what came after is another object.
 * Named before it is changed: however long this one stands still, nobody buries what it still
 * touches, or what somebody may be inside whose record nobody sees before the barrier.
 */
static int
destroy(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, uint64_t word)
{
	store_release(&me->making, index);
	fence_seq_cst();
	bool mine = shut(a, t, me, index, word);
	if (mine)
		let_barrier_pass(a);
	store_release(&me->making, 0);
	if (!mine)
		return fail(-ENOENT, "the object is destroyed already");
	object_note_mail(a, index);
	/* Should this one die before it is noted, its recovery notes all. */
	if (!end_one(a, t, me, index))
		object_note_end(a, index);
	object_sweep(a, t, me);
	return 0;
}

int
object_destroy(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index)
{
	return destroy(a, t, me, index, load_seq_cst(&arena_object(a, index)->word));
}

void
object_end_alone(shoal_arena *a, uint32_t index, uint64_t word)
{
	if (object_state(word) != OBJECT_READY)
		return;
	cas64_seq_cst(&arena_object(a, index)->word, word, object_word(word, OBJECT_DYING, TAG_NONE));
	/* Should this one die before it is noted, its recovery notes all. */
	object_note_end(a, index);
}

/*
 * The word is looked at before the owner and after it: another one may destroy it meanwhile, and
 * reuse the entry.
 */
static bool
is_orphan(shoal_arena *a, uint32_t index, uint64_t *word)
{
	const struct object *o = arena_object(a, index);
	*word = load_acquire(&o->word);
	uint32_t owner = load_acquire(&o->owner);
	return owner && object_state(*word) == OBJECT_READY &&
	       process_gone(a, owner - 1, (uint32_t)load_acquire(&o->owner_generation)) &&
	       load_acquire(&o->word) == *word;
}

/*
 * Crash points: as those of destroy, by whom any number may try. Who dies before the word is DYING
 * leaves an orphan to the next one; what gives it away is the owner's end, which nobody takes back.
 */
bool
object_end_orphan(shoal_arena *a, uint32_t index)
{
	struct shoal_thread *t;
	struct member *me;
	uint64_t word;
	if (!object_has_owner(a, index) || !is_orphan(a, index, &word))
		return false;
	if (!a->readonly && member_here(a, &t, &me) == 0)
		(void)destroy(a, t, me, index, word);
	return true;
}

bool
object_is_orphan(shoal_arena *a, uint32_t index)
{
	uint64_t word;
	return object_has_owner(a, index) && is_orphan(a, index, &word);
}

/* ---- for recovery ---- */

/*
 * Several, when an init function made objects too. The block may still be in the dead one's hand
 * (HELD): then the hand gives it back. What it destroyed it may have left without a barrier: until
 * one has passed the dead one's record keeps it.
 */
void
object_recover_making(shoal_arena *a, struct member *dead)
{
	uint32_t high = objects_high(a), tag = member_tag(a, dead);
	bool any = load_acquire(&dead->making) != 0;
	for (uint32_t i = 1; i < high; i++) {
		uint64_t word = load_acquire(&arena_object(a, i)->word);
		if (object_state(word) != OBJECT_MAKING || object_tag(word) != tag)
			continue;
		end(a, i, word);
		any = true;
	}
	if (load_relaxed(&dead->making))
		let_barrier_pass(a);
	store_release(&dead->making, 0);
	if (any)
		gate_open_all(&a->header->names_gate);
}

void
object_recover_owned(shoal_arena *a, struct shoal_thread *t, struct member *me)
{
	uint32_t high = objects_high(a);
	uint64_t word;
	for (uint32_t i = 1; i < high; i++)
		if (is_orphan(a, i, &word))
			(void)destroy(a, t, me, i, word);
}
