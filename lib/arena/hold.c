#include "arena/hold.h"
#include "arena/object.h"
#include "arena/slab.h"
#include "base/clock.h"
#include "base/error.h"

/* A word of the arena: an offset that shared memory gave is looked at before it is used. */
static word32 *
progress_at(const shoal_arena *a, uint64_t offset)
{
	bool is = offset >= a->data_at && offset % 4 == 0 && offset <= a->bytes - 4;
	return is ? arena_at(a, offset) : NULL;
}

/* Step 2, as often as it takes: absolute values. */
static void
carry_out(shoal_arena *a)
{
	const struct hold_intent *i = &a->header->intent;
	uint32_t object = load_relaxed(&i->object);
	word32 *progress = progress_at(a, load_relaxed(&i->progress_at));
	if (progress && object < objects_high(a)) {
		store_relaxed(&arena_object(a, object)->holds, load_relaxed(&i->holds));
		store_relaxed(progress, load_relaxed(&i->progress));
	}
}

static void
close_intent(shoal_arena *a)
{
	fence_crash();
	store_release(&a->header->intent.open, 0);
}

int
hold_lock(shoal_arena *a, struct shoal_thread *t, int64_t deadline)
{
	struct robust *lock = &a->header->hold_lock;
	int rc = robust_take(t, lock, deadline);
	if (rc != -EOWNERDEAD)
		return rc;
	if (load_acquire(&a->header->intent.open))
		carry_out(a);
	close_intent(a);
	robust_mend(lock);
	return 0;
}

void
hold_unlock(shoal_arena *a, struct shoal_thread *t)
{
	robust_release(t, &a->header->hold_lock);
}

void
hold_settle(shoal_arena *a, struct shoal_thread *t)
{
	/* An intent is open only while its lock is held, or marked. */
	if (load_acquire(&a->header->hold_lock.word) & (FUTEX_TID | FUTEX_DIED) &&
	    hold_lock(a, t, CLOCK_NEVER) == 0)
		hold_unlock(a, t);
}

void
hold_recover(shoal_arena *a, struct shoal_thread *t, const struct member *dead)
{
	uint32_t word = load_acquire(&a->header->hold_lock.word);
	if ((word & FUTEX_DIED) || (word & FUTEX_TID) == load_relaxed(&dead->tid))
		hold_settle(a, t);
}

/* Under the lock: the object's new count, or why it cannot change. */
static int
reckon(const shoal_arena *a, uint32_t object, int delta, const word32 *progress, uint32_t to,
       uint32_t *holds)
{
	const struct object *o = arena_object(a, object);
	enum object_state state = object_state(load_acquire(&o->word));
	uint32_t now = load_relaxed(&o->holds);
	if (load_relaxed(progress) != to - (uint32_t)delta)
		return fail(-EAGAIN, "references of a block in arena '%s' were counted by another member",
		            a->name);
	if (delta > 0 && state != OBJECT_READY && state != OBJECT_KEPT)
		return fail(-ENOENT, "object %u of arena '%s' is destroyed: it cannot be referred to",
		            object, a->name);
	if (delta > 0 && now == UINT32_MAX)
		return fail(-EOVERFLOW, "object %u of arena '%s' has %u references", object, a->name,
		            now);
	if (delta < 0 && (now == 0 || state == OBJECT_NONE))
		return fail(-EPROTO,
		            "object %u of arena '%s' has fewer references than were counted: shared "
		            "memory was overwritten",
		            object, a->name);
	*holds = now + (uint32_t)delta;
	return 0;
}

static void
change(shoal_arena *a, uint32_t object, uint32_t holds, const word32 *progress, uint32_t to)
{
	struct hold_intent *i = &a->header->intent;
	store_relaxed(&i->progress_at, arena_offset(a, progress));
	store_relaxed(&i->progress, to);
	store_relaxed(&i->object, object);
	store_relaxed(&i->holds, holds);
	/* Before the first reference is counted, so before anybody can have read it. */
	if (holds)
		store_relaxed(&arena_object(a, object)->referred, 1);
	fence_crash();
	store_release(&i->open, 1);
	fence_crash();
	carry_out(a);
	close_intent(a);
}

int
hold_change(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object, int delta,
            word32 *progress, uint32_t to)
{
	uint32_t holds = 1;
	(void)me;
	if (!arena_holds(a, progress) || !progress_at(a, arena_offset(a, progress)) || !object ||
	    object >= objects_high(a))
		return fail(-EPROTO, "a reference to object %u of arena '%s' is damaged", object,
		            a->name);
	int rc = hold_lock(a, t, CLOCK_NEVER);
	if (rc)
		return fail(rc, "the lock of references of arena '%s' is held by this thread", a->name);
	rc = reckon(a, object, delta, progress, to, &holds);
	if (rc == 0)
		change(a, object, holds, progress, to);
	hold_unlock(a, t);
	if (rc == 0 && holds == 0)
		object_note_end(a, object);
	return rc;
}

int
hold_object(const shoal_arena *a, shoal_ref ref, uint32_t *index)
{
	uint64_t offset = ref & ((UINT64_C(1) << 40) - 1);
	const word64 *word = ref >> 56 == (a->id & 0xff) ? block_word_at(a, offset) : NULL;
	uint64_t block = word ? load_acquire(word) : 0;
	*index = block_object(block);
	if (block_state(block) == BLOCK_OBJECT && *index && *index < objects_high(a) &&
	    object_ref(a, *index) == ref)
		return 0;
	return fail(-ENOENT, "reference %#llx names nothing in arena '%s' any more",
	            (unsigned long long)ref, a->name);
}
