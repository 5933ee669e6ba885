/*
 * put: one CAS claims a place, one store publishes it.
 *
 * Crash points, by what the next one to come finds:
 *	before the claim            nothing happened; a block is HELD(me) and named by my hand
 *	place WRITING(me)           a hole, made by the first getter that meets it; the block as before
 *	block PLACE(q,p), not FULL  the hand still names it; recovery sees that the place is a hole and
 *	                            frees it
 *	place FULL                  the message is there; the hand names a block that is its place's
 *	                            affair
 *	before the wake             list_op_pending names the getters' gate: the kernel wakes one
 * One who slept for room: until a place is claimed, or it waits for memory instead, and the next
 * sleeper is told of what is left, list_op_pending names the putters' gate: the kernel wakes
 * another one there.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/group.h"

static ALWAYS_INLINE bool
claim(struct cursor *c, uint64_t place)
{
	struct slot *s = cursor_slot_at(c, place);
	uint64_t empty = cursor_word(c, place);
	if (load_acquire(&s->turn) != empty)
		return false;
	store_relaxed(&c->me->call.pos, place);
	return cas64_acq_rel(&s->turn, empty, empty | c->mine | WRITING);
}

/* Every HINT_EVERY places. */
__attribute__((noinline)) void
put_tell(struct cursor *c, uint64_t next)
{
	shoal_queue *q = c->ring.queue;
	store_relaxed(&q->tail, next);
	/* One who takes what it put itself has nobody to keep away from. */
	uint64_t mask = c->ring.mask;
	if ((next & q->keep_every) == 0 && c->get + mask < next)
		queue_keep_distance(q, load_relaxed(&q->head) + mask + 1 - next, next - c->put_since);
}

static ALWAYS_INLINE void
advance(struct cursor *c, uint64_t place)
{
	c->put = place + 1;
	if (unlikely((c->put & (HINT_EVERY - 1)) == 0))
		put_tell(c, c->put);
}

int
put_refuse(const shoal_queue *q)
{
	if (load_relaxed(&q->closing) == QUEUE_DESTROYED)
		return queue_destroyed();
	return fail_quiet(-EPIPE, "the queue is closed: nothing can be put");
}

static inline void
wake_getters(shoal_queue *q)
{
	fence_compiler();
	if (unlikely(load_relaxed(&q->get_any)))
		queue_wake_getters(q);
}

/*
 * Until the cursor is at a place that is free, as *word says. What this call has put already must
 * be known before it sleeps.
 */
static int
find_room(struct cursor *c, struct shoal_thread *t, struct sleeper *s, uint64_t *word)
{
	shoal_queue *q = c->ring.queue;
	for (;;) {
		enum walk_end end = walk_put(&c->ring, &c->put, word);
		if (end == WALK_END || load_relaxed(&q->closing))
			return put_refuse(q);
		if (unlikely(end == WALK_BROKEN))
			return queue_broken(c, c->put);
		if (end == WALK_READY)
			return 0;
		store_relaxed(&q->tail, c->put);
		wake_getters(q);
		int rc = queue_wait(c, t, s, c->put, *word);
		if (rc)
			return rc;
	}
}

/* A place of my own, WRITING(me): found, waited for. The cursor is at it. */
static int
claim_slow(struct cursor *c, struct shoal_thread *t, struct sleeper *s)
{
	for (uint64_t lost = UINT64_MAX;;) {
		uint64_t word;
		int rc = find_room(c, t, s, &word);
		if (rc)
			return rc;
		/* What another one was faster at is never free again. */
		if (unlikely(c->put == lost))
			return queue_broken(c, lost);
		lost = c->put;
		if (unlikely(slot_state(word) == GROUP))
			group_open(&c->ring, lost, word);
		if (claim(c, lost))
			return 0;
	}
}

/*
 * What the next putter would meet behind this one's places: anything but a wait for a living
 * member.
 */
static bool
is_more(const struct cursor *c, uint64_t places)
{
	uint64_t place = c->put + places, word;
	if (walk_put(&c->ring, &place, &word) != WALK_WAIT)
		return true;
	return slot_owner(word) && member_state(c->arena, slot_owner(word)) != MEMBER_ALIVE;
}

/* One who was woken lets the next putter go on if there is room for it too. */
void
put_pass_on(struct cursor *c, struct shoal_thread *t, struct sleeper *s, uint64_t places)
{
	if (s->slept && is_more(c, places))
		queue_wake_putters(c->ring.queue);
	robust_pending_set(t, &c->ring.queue->get.wait);
	s->slept = s->armed = false;
}

/* Its place was not free at once, or it has slept before. */
__attribute__((noinline)) static int
claim_waiting(struct cursor *c, struct shoal_thread *t, struct sleeper *s, bool mine)
{
	int rc = mine ? 0 : claim_slow(c, t, s);
	if (rc == 0 && (s->slept || s->armed))
		put_pass_on(c, t, s, 1);
	else if (rc == -EPIPE && s->slept)
		queue_wake_armed(c->ring.queue); /* the closer may have died before it told all */
	return rc;
}

/* One that is not fresh may have slept: for a group, or for the room that brings its memory. */
static ALWAYS_INLINE int
claim_any(struct cursor *c, struct shoal_thread *t, struct sleeper *s, bool fresh, uint64_t *place)
{
	*place = c->put;
	bool mine = claim(c, *place);
	if (likely(mine && (fresh || (!s->slept && !s->armed))))
		return 0;
	int rc = claim_waiting(c, t, s, mine);
	*place = c->put;
	return rc;
}

/* While the place is WRITING(me): whoever sees the message can see where it is. */
static ALWAYS_INLINE void
tell_place(const struct cursor *c, uint64_t place, uint32_t mark)
{
	if (unlikely(mark & MARK_HOLDS))
		store_release(c->posting, place);
}

static ALWAYS_INLINE void
publish_inline(struct cursor *c, uint64_t place, const void *message, size_t bytes,
               uint32_t mark)
{
	struct slot *s = cursor_slot_at(c, place);
	cursor_prefetch(c, place, true);
	PROBE_QUEUE_PUT(c->ring.queue, place, bytes, 1);
	tell_place(c, place, mark);
	store_relaxed(&s->plain, (uint64_t)(mark << SLOT_MARK_SHIFT) << 32 | bytes);
	copy_bytes(s->payload, message, bytes);
	queue_publish(c, s, cursor_word(c, place) | FULL);
}

int
put_inline(struct cursor *c, struct shoal_thread *t, const void *message, size_t bytes,
           uint32_t mark, shoal_time timeout)
{
	shoal_queue *q = c->ring.queue;
	if (unlikely(load_relaxed(&q->closing)))
		return put_refuse(q);
	struct sleeper s = { .gate = &q->put.wait, .timeout = timeout };
	void *old = robust_pending_set(t, &q->get.wait);
	uint64_t place;
	int rc = claim_any(c, t, &s, true, &place);
	if (likely(rc == 0)) {
		publish_inline(c, place, message, bytes, mark);
		advance(c, place);
		wake_getters(q);
	}
	robust_pending_restore(t, old);
	return rc;
}

size_t
put_each(struct cursor *c, struct shoal_thread *t, struct sleeper *s, const char *items,
         size_t bytes, size_t count, int *rc)
{
	size_t n;
	for (n = 0; n < count; n++) {
		uint64_t place;
		*rc = claim_any(c, t, s, n > 0, &place);
		if (unlikely(*rc))
			break;
		publish_inline(c, place, items + n * bytes, bytes, 0);
		advance(c, place);
		s->spins = 0;
		if (unlikely((n + 1) % PUT_TELL_EVERY == 0))
			wake_getters(c->ring.queue);
	}
	return n;
}

int
put_block(struct cursor *c, struct shoal_thread *t, uint64_t block, size_t bytes,
          uint32_t mark, struct sleeper *s)
{
	shoal_queue *q = c->ring.queue;
	if (unlikely(load_relaxed(&q->closing)))
		return put_refuse(q);
	word64 *word = block_word_at(c->arena, block);
	if (unlikely(!word))
		return fail(-EPROTO, "the message's block is none any more: shared memory was overwritten");
	/* One who slept names the putters' gate until its place is claimed and the wake passed on. */
	void *old = t->robust->pending;
	if (likely(!s->slept && !s->armed))
		robust_pending_set(t, &q->get.wait);
	uint64_t place;
	int rc = claim_any(c, t, s, false, &place);
	if (rc == 0) {
		struct slot *slot = cursor_slot_at(c, place);
		PROBE_QUEUE_PUT(q, place, bytes, 1);
		tell_place(c, place, mark);
		store_relaxed(&slot->bytes, (uint32_t)bytes);
		store_relaxed(&slot->flags, mark << SLOT_MARK_SHIFT | SLOT_BLOCK);
		memcpy(slot->payload, &block, sizeof block);
		/*
		 * The hand says which place before the block does: once freed, the block may go to any
		 * other.
		 */
		store_relaxed(&c->me->hand.object, c->ring.object);
		store_relaxed(&c->me->hand.pos, place);
		fence_crash();
		store_release(word, block_word(BLOCK_PLACE, c->ring.object, place));
		queue_publish(c, slot, slot_word(FULL, ring_lap(&c->ring, place), 0, 0));
		hand_clear(&c->me->hand);
		advance(c, place);
		wake_getters(q);
	}
	robust_pending_restore(t, old);
	return rc;
}

static bool
is_full(const struct cursor *c)
{
	uint64_t place = c->put, word;
	return walk_put(&c->ring, &place, &word) == WALK_WAIT;
}

/*
 * A get gives its place back first, and the memory of what was there once that is copied: one who
 * waits for it sleeps this long at a time, and in all so long and a nanosecond for each byte,
 * should the getter stand still; or until its own deadline.
 */
#define MOMENT_NS INT64_C(50000)
#define MOMENTS_NS INT64_C(5000000)

/* 0: look again. Else -ECANCELED, or what there is to say where it has been waited for. */
static int
wait_for_memory(struct shoal_thread *t, struct sleeper *s, size_t bytes, int64_t *until,
                int otherwise)
{
	word32 nothing = { 0 };
	int64_t now = clock_now();
	if (s->timeout <= 0)
		return otherwise;
	if (!s->deadline)
		s->deadline = clock_deadline(s->timeout);
	if (!*until)
		*until = now + MOMENTS_NS + (int64_t)bytes;
	if (now >= *until || now >= s->deadline)
		return otherwise;
	if (unlikely(thread_interrupted(t)))
		return fail_quiet(-ECANCELED, "the wait was interrupted by shoal_thread_interrupt");
	futex_wait(&nothing, 0, now + MOMENT_NS);
	return 0;
}

/* Where the arena has no memory while the queue is full, a get makes both: it is waited for. */
static int
take_block(struct cursor *c, struct shoal_thread *t, struct sleeper *s, size_t bytes,
           uint64_t *block)
{
	struct error_kept kept;
	error_keep(&kept);
	for (int64_t until = 0, tries = 0;; tries++) {
		if (unlikely(load_relaxed(&c->ring.queue->closing)))
			return put_refuse(c->ring.queue);
		int rc = block_take(c->arena, t, c->me, bytes, block);
		if (unlikely(rc == 0 && tries))
			error_restore(&kept);
		if (likely(rc == 0) || (rc != -ENOMEM && rc != -ENOSPC) || bytes > c->arena->bytes)
			return rc;
		uint64_t word;
		if (is_full(c)) {
			until = 0;
			rc = find_room(c, t, s, &word);
		} else {
			/* The place that it was told of is for one who has the memory, or needs none. */
			if (s->slept)
				put_pass_on(c, t, s, 0);
			rc = wait_for_memory(t, s, bytes, &until, rc);
		}
		if (rc)
			return rc;
	}
}

/* The block is filled before a place is claimed, so that nobody waits for a long copy. */
static int
fill_and_put(struct cursor *c, struct shoal_thread *t, struct sleeper *s, const void *message,
             size_t bytes, uint32_t mark)
{
	uint64_t block;
	int rc = take_block(c, t, s, bytes, &block);
	if (likely(rc == 0)) {
		memcpy(arena_at(c->arena, block), message, bytes);
		store_relaxed(&c->me->hand.pos, UINT64_MAX);
		store_relaxed(&c->me->hand.object, c->ring.object);
		store_release(&c->me->hand.kind, HAND_PUT);
		rc = put_block(c, t, block, bytes, mark, s);
		if (unlikely(rc))
			block_give(c->arena, c->me, block);
	}
	/* The room that woke this one is left to another one; the end that did so is for all. */
	if (unlikely(rc == -EPIPE && s->slept))
		queue_wake_armed(c->ring.queue);
	else if (unlikely(rc && s->slept))
		queue_wake_putters(c->ring.queue);
	return rc;
}

int
put_too_long(size_t bytes)
{
	return fail_small(bytes, "a message of %zu bytes: the most is %llu", bytes,
	                  (unsigned long long)MESSAGE_MAX);
}

int
put_long(struct cursor *c, struct shoal_thread *t, const void *message, size_t bytes,
         uint32_t mark, shoal_time timeout)
{
	if (bytes > MESSAGE_MAX)
		return put_too_long(bytes);
	struct sleeper s = { .gate = &c->ring.queue->put.wait, .timeout = timeout };
	void *old = robust_pending_set(t, &c->ring.queue->get.wait);
	int rc = fill_and_put(c, t, &s, message, bytes, mark);
	robust_pending_restore(t, old);
	return rc;
}

int
queue_put_marked(shoal_queue *q, const void *message, size_t bytes, uint32_t mark,
                 word64 *place, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	c->posting = place;
	rc = bytes <= ring_inside(&c->ring) ? put_inline(c, t, message, bytes, mark, timeout)
	                            : put_long(c, t, message, bytes, mark, timeout);
	queue_leave(t, c);
	return rc;
}

__attribute__((noinline)) static int
put_slow(shoal_queue *q, const void *message, size_t bytes, shoal_time timeout)
{
	return queue_put_marked(q, message, bytes, 0, NULL, timeout);
}

/* One that has begun, and done nothing yet. */
__attribute__((noinline)) static int
put_otherwise(struct shoal_thread *t, shoal_queue *q, const void *message, size_t bytes,
              shoal_time timeout)
{
	t->busy = 0;
	return put_slow(q, message, bytes, timeout);
}

/* One whose cursor is not at hand. */
__attribute__((noinline)) static int
put_anew(shoal_queue *q, const void *message, size_t bytes, shoal_time timeout)
{
	if (queue_take_aim(thread_here, q, LAST_SENT))
		return shoal_queue_put(q, message, bytes, timeout);
	return put_slow(q, message, bytes, timeout);
}

/* One that has named the place, and did not get it. */
__attribute__((noinline)) static int
put_elsewhere(struct cursor *c, const void *message, size_t bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return put_slow(c->ring.queue, message, bytes, timeout);
}

/* What some puts have to do after the message is there. */
__attribute__((noinline)) static int
finish(struct cursor *c)
{
	struct shoal_thread *t = thread_here;
	cursor_aim(c, c->put, EMPTY, &c->aim[LAST_SENT]);
	if ((c->put & (HINT_EVERY - 1)) == 0)
		put_tell(c, c->put);
	wake_getters(c->ring.queue);
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return 0;
}

/*
 * The common case by itself: this thread knows the queue, the next place is free, the message goes
 * inside. That the queue lives and is open is looked at after the record names the call.
 *
 * What takes its time are the loads and stores, three in a cycle: so what is known stays in
 * registers, as long as there are some that need not be pushed.
 */
static ALWAYS_INLINE int
put_quickly(struct shoal_thread *t, struct cursor *c, shoal_queue *q, const void *message,
            size_t bytes, shoal_time timeout, bool is_short)
{
	struct aim *aim = &c->aim[LAST_SENT];
	struct slot *s = aim->slot;
	uint64_t empty = aim->word;
	if (unlikely(load_acquire(&s->turn) != empty))
		return put_otherwise(t, q, message, bytes, timeout);
	struct member *me = c->me;
	queue_enter_at(c, me, c->put);
	robust_name_only(t->robust, &q->get.wait);
	if (unlikely(!cursor_lives(c) || load_relaxed(&q->closing) ||
	             !cas64_acq_rel(&s->turn, empty, empty | c->mine | WRITING)))
		return put_elsewhere(c, message, bytes, timeout);
	uint32_t stride = c->ring.stride;
	if (is_short) {
		const char *ahead = (const char *)s + aim->ahead;
		prefetch_lines(ahead, 1, true);
		if (stride > LINE)
			prefetch_lines(ahead + LINE, 1, true);
	} else {
		cursor_prefetch(c, c->put, true);
	}
	store_relaxed(&s->plain, bytes);
	if (is_short)
		copy_short(s->payload, message, bytes);
	else
		memcpy(s->payload, message, bytes);
	PROBE_QUEUE_PUT(c->ring.queue, c->put, bytes, 1);
	store_release(&s->turn, aim->word | FULL);
	aim->slot = slot_beyond(s, stride);
	uint64_t place = c->put + 1;
	c->put = place;
	fence_compiler();
	if (unlikely((place & c->aim_mask) == 0 || load_relaxed(&c->ring.queue->get_any)))
		return finish(c);
	robust_pending_restore(t, NULL);
	queue_leave_as(t, me);
	return 0;
}

__attribute__((noinline)) static int
put_longer(struct shoal_thread *t, struct cursor *c, shoal_queue *q, const void *message,
           size_t bytes, shoal_time timeout)
{
	if (unlikely(bytes >= c->quick_long))
		return put_otherwise(t, q, message, bytes, timeout);
	return put_quickly(t, c, q, message, bytes, timeout, false);
}

/* A short message calls nothing on its way. */
int
shoal_queue_put(shoal_queue *q, const void *message, size_t bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	struct cursor *c = queue_begin_aimed(t, q, LAST_SENT);
	if (unlikely(!c))
		return put_anew(q, message, bytes, timeout);
	if (unlikely(bytes >= c->quick_put))
		return put_longer(t, c, q, message, bytes, timeout);
	return put_quickly(t, c, q, message, bytes, timeout, true);
}
