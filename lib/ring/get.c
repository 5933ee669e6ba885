/*
 * get: one CAS claims a message, one store gives its place to the next lap.
 *
 * Crash points, by what the next one to come finds (recovery: queue_recover.c):
 *	before the claim               nothing happened
 *	group G_READING(me)            dropped, all of it; see group.h
 *	place READING(me)              dropped, or BACK under REDELIVER; JOINABLE: counted from the
 *	                               row's base
 *	block PLACE, my hand names it  the place's affair
 *	block HELD(me)                 freed with my hand, or put back to its place under REDELIVER
 *	place EMPTY(l+1)               the message was received
 *	before the wake                list_op_pending names the putters' gate: the kernel wakes one
 */
#include "base/error.h"
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/group.h"
#include "ring/loan.h"

/* JOINABLE: the row says from which count this take began, before the claim. */
static inline bool
claim(struct cursor *c, uint64_t place, uint64_t from, uint64_t to)
{
	if (c->ring.flags & SHOAL_QUEUE_JOINABLE) {
		struct queue_row *row = queue_row(c->ring.queue, c->tag);
		store_relaxed(&row->base, load_relaxed(&row->got));
	}
	store_relaxed(&c->me->call.pos, place);
	fence_crash();
	return cas64_acq_rel(&cursor_slot_at(c, place)->turn, from, to);
}

/* Every HINT_EVERY places. */
__attribute__((noinline)) void
get_tell(struct cursor *c, uint64_t next)
{
	shoal_queue *q = c->ring.queue;
	store_relaxed(&q->head, next);
	if (c->ring.stride > 2 * LINE && next + HINT_EVERY > c->tail_seen)
		c->tail_seen = load_relaxed(&q->tail);
	/* One who takes what it put itself has nobody to keep away from. */
	if ((next & q->keep_every) == 0 && c->put < next)
		queue_keep_distance(q, load_relaxed(&q->tail) - next, next - c->get_since);
}

static ALWAYS_INLINE void
advance(struct cursor *c, uint64_t place)
{
	c->get = place + 1;
	if (unlikely((c->get & (HINT_EVERY - 1)) == 0))
		get_tell(c, c->get);
}

static inline void
advance_group(struct cursor *c, uint64_t place)
{
	c->get = place + GROUP_PLACES;
	get_tell(c, c->get);
}

static inline void
give_place(struct cursor *c, struct slot *s, uint64_t word)
{
	queue_publish(c, s, slot_word(EMPTY, slot_lap(word) + 1, 0, 0));
}

void
get_release(struct cursor *c, const struct taken *m)
{
	if (c->ring.flags & SHOAL_QUEUE_JOINABLE) {
		struct queue_row *row = queue_row(c->ring.queue, c->tag);
		store_relaxed(&row->got, load_relaxed(&row->base) + 1);
		if (slot_is_hole(m->word))
			store_relaxed(&row->done, load_relaxed(&row->done) + 1);
		fence_crash();
	}
	give_place(c, m->slot, m->word);
}

/*
 * A hole is passed so that it is counted once, by its taker. A get has named a gate; who only looks
 * names that of the putters, who wait for the place.
 */
static void
pass_hole(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word)
{
	void *old = robust_pending_set_first(t, &c->ring.queue->put.wait);
	struct taken m = { .slot = cursor_slot_at(c, place), .place = place };
	m.word = slot_word(READING, slot_lap(word), c->tag, TRIES_HOLE);
	if (claim(c, place, word, m.word)) {
		advance(c, place);
		get_release(c, &m);
		queue_tell_putters(c->ring.queue);
	}
	robust_pending_restore(t, old);
}

static int
too_small(size_t bytes, size_t room, size_t exact)
{
	if (exact != SIZE_MAX)
		return fail_small(bytes, "the next message has %zu bytes, the items of this call %zu",
		                  bytes, exact);
	return fail_small(bytes,
	                  "the next message has %zu bytes, the buffer %zu; it stays in the queue",
	                  bytes, room);
}

static inline bool
fits(size_t bytes, size_t room, size_t exact)
{
	return bytes <= room && (exact == SIZE_MAX || bytes == exact);
}

int
get_refuse_value(void)
{
	return fail_quiet(-EPROTO, "the next message is a value, not bytes: "
	                           "shoal_queue_get_any takes it; it stays in the queue");
}

/* Whether this call may take the message: 0, -EMSGSIZE, -EPROTO. */
static int
fit(size_t bytes, uint32_t mark, size_t room, size_t exact, struct marked *marked)
{
	if (marked)
		return marked_fits(marked, bytes, mark) ? 0 : -EMSGSIZE;
	if (mark)
		return get_refuse_value();
	return fits(bytes, room, exact) ? 0 : too_small(bytes, room, exact);
}

/*
 * Claims the message that `word` says is at the place. Its length and mark are read before the
 * claim: a CAS from the exact word proves that they were this message's. 0, -EMSGSIZE, -EPROTO,
 * -EAGAIN: another one was faster.
 */
static inline int
claim_message(struct cursor *c, uint64_t place, uint64_t word, uint32_t tries, size_t room,
              size_t exact, struct marked *marked, struct taken *out)
{
	struct slot *s = cursor_slot_at(c, place);
	size_t bytes = load_relaxed(&s->bytes);
	uint32_t flags = load_relaxed(&s->flags);
	if (unlikely(!fits(bytes, room, exact) || flags > SLOT_BLOCK || marked)) {
		if (load_acquire(&s->turn) != word)
			return -EAGAIN;
		int rc = fit(bytes, slot_mark(flags), room, exact, marked);
		if (rc)
			return rc;
	}
	uint64_t mine = slot_word(READING, slot_lap(word), c->tag, tries);
	if (unlikely(!claim(c, place, word, mine)))
		return -EAGAIN;
	*out = (struct taken){ .slot = s, .place = place, .word = mine, .bytes = bytes, .places = 1 };
	return 0;
}

/* ---- groups ---- */

/* All of it, in the way of claim_message. */
static int
claim_group(struct cursor *c, uint64_t place, uint64_t word, size_t exact, struct taken *out)
{
	struct slot *s = cursor_slot_at(c, place);
	uint64_t mine = group_word(GROUP_READING, slot_lap(word), c->tag);
	if (unlikely(load_relaxed(&s->bytes) != exact) || unlikely(!claim(c, place, word, mine)))
		return -EAGAIN;
	*out = (struct taken){ .slot = s, .place = place, .word = mine, .bytes = exact,
		               .places = GROUP_PLACES };
	return 0;
}

static void
pass_group(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word)
{
	void *old = robust_pending_set_first(t, &c->ring.queue->put.wait);
	uint32_t lap = slot_lap(word);
	if (claim(c, place, word, group_word(GROUP_PASSING, lap, c->tag))) {
		queue_publish(c, cursor_slot_at(c, place), group_word(GROUP_EMPTY, lap + 1, 0));
		advance_group(c, place);
		queue_tell_putters(c->ring.queue);
	}
	robust_pending_restore(t, old);
}

/*
 * What `word` says of the group is ready: takes it whole where that is wanted, passes it, or
 * spreads it. -EAGAIN: look again. What this call has given back is told first: a death while it
 * spreads wakes a getter.
 */
static int
take_group(struct cursor *c, struct shoal_thread *t, uint64_t word, size_t room, size_t exact,
           size_t most, struct marked *marked, struct taken *out)
{
	struct slot *s = cursor_slot_at(c, c->get);
	size_t bytes = load_relaxed(&s->bytes);
	if (group_is(word, GROUP_HOLE)) {
		pass_group(c, t, c->get, word);
		return -EAGAIN;
	}
	if (!fits(bytes, room, exact))
		return load_acquire(&s->turn) == word ? fit(bytes, 0, room, exact, marked) : -EAGAIN;
	if (most >= GROUP_PLACES && bytes == exact && group_is(word, GROUP_FULL)) {
		int rc = claim_group(c, c->get, word, exact, out);
		if (rc == 0)
			advance_group(c, out->place);
		return rc;
	}
	queue_tell_putters(c->ring.queue);
	int rc = group_spread(c, t, c->get, word);
	return rc ? rc : -EAGAIN;
}

/* ---- REDELIVER: messages whose taker died ---- */

static uint64_t
place_of(const struct cursor *c, uint64_t index, uint64_t word)
{
	uint64_t lap = c->get >> c->ring.shift;
	lap += (uint64_t)(int64_t)(int32_t)(slot_lap(word) - (uint32_t)lap);
	return lap << c->ring.shift | index;
}

/* Delivered more often than the word can count: dropped, and counted. */
static void
drop_worn(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word)
{
	struct taken m;
	struct marked all = { .room = SIZE_MAX, .most = UINT32_MAX, .plain = true };
	if (claim_message(c, place, word, TRIES_MAX, SIZE_MAX, SIZE_MAX, &all, &m))
		return;
	struct queue_row *row = queue_row(c->ring.queue, c->tag);
	store_relaxed(&row->dropped, load_relaxed(&row->dropped) + 1);
	if (get_taken_data(c, &m) == 0) {
		get_release(c, &m);
		if (m.block)
			(void)block_give(c->arena, c->me, m.block);
	}
	object_note_mail(c->arena, c->ring.object);
	/* After the release: until then a death gives it back, and join must wait for it. */
	if (c->ring.flags & SHOAL_QUEUE_JOINABLE)
		queue_count_done(c, t);
	queue_tell_putters(c->ring.queue);
}

/*
 * A reader that died is met here by one who looks for what comes back: nobody else may come by its
 * place.
 */
static bool
mend_reader(struct cursor *c, struct shoal_thread *t, uint64_t i, uint64_t word)
{
	return slot_state(word) == READING && slot_owner(word) != c->tag &&
	       member_state(c->arena, slot_owner(word)) == MEMBER_DEAD &&
	       queue_mend(c, t, place_of(c, i, word), word, 0);
}

/*
 * 0: got one. -EAGAIN: there is none, or another one was faster. -EMSGSIZE.
 * `backs` grows and nobody clears it: each getter remembers what it was before a look that found
 * nothing, so no look of one hides what comes back from another. (A flag loses it: a getter stopped
 * between clearing and looking again.) Nor is a look remembered that met one who returns a message.
 */
static int
take_back(struct cursor *c, struct shoal_thread *t, size_t room, size_t exact,
          struct marked *marked, struct taken *out)
{
	shoal_queue *q = c->ring.queue;
	uint32_t seen = load_seq_cst(&q->backs);
	bool found = false;
	for (uint64_t i = 0; i <= c->ring.mask; i++) {
		uint64_t word = load_acquire(&cursor_slot_at(c, i)->turn);
		if (mend_reader(c, t, i, word))
			word = load_acquire(&cursor_slot_at(c, i)->turn);
		found |= slot_state(word) == BACK || queue_may_come_back(c->arena, word);
		if (slot_state(word) != BACK)
			continue;
		uint64_t place = place_of(c, i, word);
		if (slot_tries(word) >= TRIES_MAX) {
			drop_worn(c, t, place, word);
			continue;
		}
		int rc = claim_message(c, place, word, slot_tries(word) + 1, room, exact, marked, out);
		if (rc != -EAGAIN)
			return rc;
	}
	if (!found)
		c->backs_seen = seen;
	return -EAGAIN;
}

/*
 * A message that another one reads may still come back, or has: then the end is not the end yet. It
 * never leaves its place, so one look at each place is enough, and it has to be one: between two
 * looks, for the one and for the other, it might go from either to the other.
 */
static bool
find_left(const struct cursor *c, uint64_t *place, uint64_t *word)
{
	for (uint64_t i = 0; i <= c->ring.mask; i++) {
		*word = load_acquire(&cursor_slot_at(c, i)->turn);
		*place = i;
		bool read = slot_state(*word) == READING && slot_owner(*word) != c->tag;
		if (slot_state(*word) == BACK || (read && !slot_is_hole(*word)))
			return true;
	}
	return false;
}

/* ---- the slow way ---- */

static int
at_end(struct cursor *c, struct shoal_thread *t, struct sleeper *s)
{
	shoal_queue *q = c->ring.queue;
	uint64_t place, word;
	if (!(c->ring.flags & SHOAL_QUEUE_REDELIVER) || load_relaxed(&q->closing) == QUEUE_DESTROYED)
		return fail_quiet(-EPIPE, "the queue is closed and nothing is left in it");
	if (!find_left(c, &place, &word))
		return fail_quiet(-EPIPE, "the queue is closed and nothing is left in it");
	if (slot_state(word) == READING)
		return queue_wait(c, t, s, place, word);
	c->backs_seen = load_relaxed(&q->backs) - 1;
	return 0;
}

/*
 * The queue is closing and this is where its end belongs: the closer may have died, or found the
 * ring full.
 */
static void
settle_end(const struct cursor *c, uint64_t place, uint64_t word)
{
	struct slot *s = cursor_slot_at(c, place);
	if (slot_lap(word) != ring_lap(&c->ring, place))
		return;
	if (slot_state(word) == GROUP)
		group_open(&c->ring, place, word);
	else
		cas64_acq_rel(&s->turn, word, slot_word(CLOSED, slot_lap(word), 0, 0));
}

static int
take_slow(struct cursor *c, struct shoal_thread *t, size_t room, size_t exact, size_t most,
          struct sleeper *s, struct taken *out)
{
	shoal_queue *q = c->ring.queue;
	for (;;) {
		uint64_t word;
		int rc = -EAGAIN;
		if (unlikely(load_relaxed(&q->backs) != c->backs_seen))
			rc = take_back(c, t, room, exact, s->marked, out);
		if (rc != -EAGAIN)
			return rc;
		enum walk_end end = walk_get(&c->ring, &c->get, &word);
		uint64_t place = c->get;
		if (unlikely(end == WALK_BROKEN))
			return queue_broken(c, place);
		if (end == WALK_READY && slot_is_hole(word)) {
			pass_hole(c, t, place, word);
			continue;
		}
		if (end == WALK_READY && slot_state(word) == GROUP) {
			rc = take_group(c, t, word, room, exact, most, s->marked, out);
			if (rc == -EAGAIN)
				continue;
			return rc;
		}
		if (end == WALK_READY) {
			rc = claim_message(c, place, word, 0, room, exact, s->marked, out);
			if (rc == -EAGAIN)
				continue;
			if (rc == 0)
				advance(c, place);
			return rc;
		}
		store_relaxed(&q->head, c->get);
		queue_tell_putters(q);
		if (end == WALK_END) {
			rc = at_end(c, t, s);
		} else if (load_relaxed(&q->closing) && group_or_slot_empty(word) &&
		           slot_lap(word) == ring_lap(&c->ring, place)) {
			settle_end(c, place, word);
			rc = load_relaxed(&q->closing) == QUEUE_DESTROYED ? at_end(c, t, s) : 0;
		} else {
			rc = queue_wait(c, t, s, place, word);
		}
		if (rc)
			return rc;
	}
}

/*
 * What the next getter would meet, places that others took passed: anything but a wait for a living
 * member.
 */
static bool
is_more(const struct cursor *c)
{
	uint64_t place = c->get, word;
	if (walk_get(&c->ring, &place, &word) != WALK_WAIT)
		return true;
	return slot_owner(word) && member_state(c->arena, slot_owner(word)) != MEMBER_ALIVE;
}

/* One who was woken lets the next getter go on if there is more. */
static void
pass_on(struct cursor *c, struct shoal_thread *t, const struct sleeper *s)
{
	if (s->slept && is_more(c))
		queue_wake_getters(c->ring.queue);
	robust_pending_set(t, &c->ring.queue->put.wait);
}

int
get_take(struct cursor *c, struct shoal_thread *t, size_t room, size_t exact, size_t most,
         struct sleeper *s, struct taken *out)
{
	shoal_queue *q = c->ring.queue;
	uint64_t place = c->get;
	uint64_t word = load_acquire(&cursor_slot_at(c, place)->turn);
	int rc = -EAGAIN;
	if (most >= GROUP_PLACES && word == group_word(GROUP_FULL, ring_lap(&c->ring, place), 0)) {
		rc = claim_group(c, place, word, exact, out);
		if (likely(rc == 0))
			advance_group(c, place);
	} else if (likely(word == (cursor_word(c, place) | FULL) &&
	                  load_relaxed(&q->backs) == c->backs_seen)) {
		rc = claim_message(c, place, word, 0, room, exact, s->marked, out);
		if (likely(rc == 0))
			advance(c, place);
	}
	if (unlikely(rc == -EAGAIN)) {
		rc = take_slow(c, t, room, exact, most, s, out);
		if (rc == 0 && (s->slept || s->armed))
			pass_on(c, t, s);
		else if (s->slept && (rc == -EMSGSIZE || rc == -EPROTO))
			/* What woke this one is left to the others. */
			queue_wake_getters(q);
		/* The closer may have died before it told all. */
		if (unlikely(s->slept && rc == -EPIPE))
			queue_wake_armed(q);
	}
	if (unlikely(rc))
		return rc;
	PROBE_QUEUE_GET(q, out->place, out->bytes, out->places);
	if (out->places == 1)
		cursor_prefetch(c, place, false);
	return 0;
}

void
get_pass_lost(struct cursor *c, struct shoal_thread *t)
{
	uint64_t word;
	struct taken none;
	if (load_relaxed(&c->ring.queue->backs) != c->backs_seen)
		(void)take_back(c, t, 0, 0, &(struct marked)MARKED_NONE, &none);
	while (walk_get(&c->ring, &c->get, &word) == WALK_READY && slot_is_hole(word))
		pass_hole(c, t, c->get, word);
}

#define KEEPS (SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE)

/* Under both flags the message stays in the member's record until task_done. */
ssize_t
get_next(struct cursor *c, struct shoal_thread *t, void *buffer, size_t room, struct sleeper *s)
{
	struct taken m;
	struct loan_entry *entry = NULL;
	if ((c->ring.flags & KEEPS) == KEEPS && !(entry = loan_free_entry(c->me)))
		return fail(-EBUSY, "this thread has %d messages that it has not reported by task_done",
		            LOANS_MAX);
	int rc = get_take(c, t, room, SIZE_MAX, 1, s, &m);
	if (rc)
		return rc;
	if (unlikely(s->marked && (s->marked->mark & MARK_HOLDS)))
		member_open(c->me, c->ring.object, m.place);
	rc = entry ? loan_keep(c, entry, &m, buffer) : get_copy(c, &m, buffer);
	return rc ? rc : (ssize_t)m.bytes;
}

__attribute__((noinline)) ssize_t
get_slow(shoal_queue *q, void *buffer, size_t buffer_bytes, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	void *old = robust_pending_set(t, &q->put.wait);
	struct sleeper s = { .gate = &q->get.wait, .timeout = timeout };
	ssize_t n = get_next(c, t, buffer, buffer_bytes, &s);
	queue_tell_putters(q);
	robust_pending_restore(t, old);
	queue_leave(t, c);
	return n;
}
