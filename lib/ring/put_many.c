/*
 * put_many: small items in groups (group.h) where the next places make one, others one CAS a place;
 * everything else once a call.
 *
 * Crash points, by what the next one to come finds:
 *	before a claim        nothing happened to this item and those behind it
 *	group G_WRITING(me)   a hole, made by the first getter that meets it
 *	group G_FULL          its items are there
 *	before the wake       list_op_pending names the getters' gate: the kernel wakes one
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/group.h"

/*
 * A group that was taken one by one is packed again only every so many laps: to spread it costs its
 * getter more than single places would.
 */
#define PACK_EVERY 8u
/* Followers of a group that is packed lap after lap are brought up to it before laps go round. */
#define REFRESH_EVERY (UINT32_C(1) << 20)

enum claimed {
	CLAIMED_NONE,
	CLAIMED_GROUP,
	CLAIMED_LOST
};

static bool
may_pack(const struct ring *r, uint64_t place, uint64_t word)
{
	if (likely(group_is(word, GROUP_EMPTY)))
		return true;
	return slot_lap(word) % PACK_EVERY == 0 && group_is_free(r, place);
}

/* The leader is EMPTY in its lap, as `word` says. */
static enum claimed
claim_group(struct cursor *c, uint64_t place, uint64_t word)
{
	struct slot *s = cursor_slot_at(c, place);
	uint32_t lap = slot_lap(word);
	if (unlikely(slot_state(word) == GROUP && lap % REFRESH_EVERY == 0)) {
		group_open(&c->ring, place, word);
		return CLAIMED_LOST;
	}
	if (!may_pack(&c->ring, place, word))
		return CLAIMED_NONE;
	store_relaxed(&c->me->call.pos, place);
	bool mine = cas64_acq_rel(&s->turn, word, group_word(GROUP_WRITING, lap, c->tag));
	return mine ? CLAIMED_GROUP : CLAIMED_LOST;
}

static inline void
wake_getters(shoal_queue *q)
{
	fence_compiler();
	if (unlikely(load_relaxed(&q->get_any)))
		queue_wake_getters(q);
}

/*
 * A group of my own, G_WRITING(me): found, waited for. CLAIMED_NONE: the cursor is at a single
 * place, or *rc says why there is none.
 */
static enum claimed
claim_slow(struct cursor *c, struct shoal_thread *t, struct sleeper *s, int *rc)
{
	shoal_queue *q = c->ring.queue;
	for (;;) {
		uint64_t word;
		enum walk_end end = walk_put(&c->ring, &c->put, &word);
		if (end == WALK_END || load_relaxed(&q->closing) || c->put != group_leader(c->put))
			return CLAIMED_NONE;
		if (unlikely(end == WALK_BROKEN)) {
			*rc = queue_broken(c, c->put);
			return CLAIMED_NONE;
		}
		if (end == WALK_READY) {
			enum claimed claimed = claim_group(c, c->put, word);
			if (claimed != CLAIMED_LOST)
				return claimed;
			continue;
		}
		store_relaxed(&q->tail, c->put);
		wake_getters(q);
		*rc = queue_wait(c, t, s, c->put, word);
		if (*rc)
			return CLAIMED_NONE;
	}
}

static inline enum claimed
claim_any(struct cursor *c, struct shoal_thread *t, struct sleeper *s, int *rc)
{
	uint64_t empty = group_word(GROUP_EMPTY, ring_lap(&c->ring, c->put), 0);
	if (likely(load_acquire(&cursor_slot_at(c, c->put)->turn) == empty) &&
	    likely(claim_group(c, c->put, empty) == CLAIMED_GROUP))
		return CLAIMED_GROUP;
	enum claimed claimed = claim_slow(c, t, s, rc);
	if (claimed == CLAIMED_GROUP && (s->slept || s->armed))
		put_pass_on(c, t, s, GROUP_PLACES);
	return claimed;
}

static inline void
publish_group(struct cursor *c, const struct group_layout *l, const char *items)
{
	uint64_t place = c->put;
	struct slot *s = cursor_slot_at(c, place);
	group_prefetch(c, place + GROUP_AHEAD, l);
	group_fill(c, place, l, items);
	PROBE_QUEUE_PUT(c->ring.queue, c->put, l->item_bytes, GROUP_PLACES);
	queue_publish(c, s, group_word(GROUP_FULL, ring_lap(&c->ring, place), 0));
	c->put = place + GROUP_PLACES;
	put_tell(c, c->put);
}

/* Up to where a group may begin for which there is enough left. */
static size_t
single_places(const struct cursor *c, const struct group_layout *l, size_t count)
{
	size_t next = GROUP_PLACES - (c->put & (GROUP_PLACES - 1));
	return l->each && count >= next + GROUP_PLACES ? next : count;
}

/* The next items, as many as go in one step: how many. Fewer than could be, and *rc says why. */
static inline size_t
put_some(struct cursor *c, struct shoal_thread *t, struct sleeper *s, const char *items,
         size_t count, const struct group_layout *l, int *rc)
{
	if (l->each && count >= GROUP_PLACES && c->put == group_leader(c->put)) {
		if (claim_any(c, t, s, rc) == CLAIMED_GROUP) {
			publish_group(c, l, items);
			s->spins = 0;
			return GROUP_PLACES;
		}
		if (*rc)
			return 0;
	}
	return put_each(c, t, s, items, l->item_bytes, single_places(c, l, count), rc);
}

/* An interrupt that cut a batch short is for the next wait: this call tells what it put. */
static ssize_t
how_many(struct shoal_thread *t, size_t n, int rc)
{
	if (unlikely(n && rc == -ECANCELED))
		store_relaxed(&t->interrupt, 1);
	return n ? (ssize_t)n : rc;
}

static ssize_t
put_items(struct cursor *c, struct shoal_thread *t, const char *items, size_t item_bytes,
          size_t count, shoal_time timeout)
{
	shoal_queue *q = c->ring.queue;
	if (unlikely(load_relaxed(&q->closing)))
		return put_refuse(q);
	struct group_layout l = { .item_bytes = (uint32_t)item_bytes };
	group_lay_out(&c->ring, item_bytes, &l);
	struct sleeper s = { .gate = &q->put.wait, .timeout = timeout };
	void *old = robust_pending_set(t, &q->get.wait);
	size_t n = 0, told = 0;
	int rc = 0;
	while (n < count && !rc) {
		n += put_some(c, t, &s, items + n * item_bytes, count - n, &l, &rc);
		if (unlikely(n - told >= PUT_TELL_EVERY)) {
			wake_getters(q);
			told = n;
		}
	}
	store_relaxed(&q->tail, c->put);
	wake_getters(q);
	robust_pending_restore(t, old);
	return how_many(t, n, rc);
}

static ssize_t
put_long_items(struct cursor *c, struct shoal_thread *t, const char *items, size_t item_bytes,
               size_t count, shoal_time timeout)
{
	int64_t end = timeout > 0 ? clock_deadline(timeout) : 0;
	for (size_t n = 0; n < count; n++) {
		shoal_time left = end == CLOCK_NEVER ? SHOAL_FOREVER : end ? shoal_left(end)
		                                                           : 0;
		int rc = put_long(c, t, items + n * item_bytes, item_bytes, 0, left);
		if (rc)
			return how_many(t, n, rc == -EAGAIN && timeout > 0 ? -ETIMEDOUT : rc);
	}
	return (ssize_t)count;
}

ssize_t
shoal_queue_put_many(shoal_queue *q, const void *items, size_t item_bytes, size_t count,
                     shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = items_check(items, item_bytes, count);
	rc = rc ? rc : queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	ssize_t n = item_bytes <= ring_inside(&c->ring)
	                    ? put_items(c, t, items, item_bytes, count, timeout)
	                    : put_long_items(c, t, items, item_bytes, count, timeout);
	queue_leave(t, c);
	return n;
}
