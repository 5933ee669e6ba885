/*
 * Cursors: a bucket at a time, in the order of bit-reversed hashes.
 *
 * A bucket of depth d has the hashes with d low bits in common, which reversed are one interval; a
 * split halves it, and intervals never grow but by clear. The position is the first reversed hash
 * that is not covered yet. The bucket of the hash that it stands for is copied as it was at one
 * moment, without what lies before the position; then the position is the end of its interval.
 *
 * internal_: the batch that was copied; a mark that the last interval was covered.
 */
#include "base/clock.h"
#include "base/error.h"
#include "data/dict.h"
#include "data/item.h"
#include <stdlib.h>

#define BATCH_TRIES 100u

struct batch {
	size_t count, next, room;
	uint64_t bytes; /* of its entries, which lie side by side in the arena */
	shoal_any item[]; /* key and value in turn */
};

static uint64_t
reversed(uint64_t x)
{
	x = (x >> 1 & UINT64_C(0x5555555555555555)) | (x & UINT64_C(0x5555555555555555)) << 1;
	x = (x >> 2 & UINT64_C(0x3333333333333333)) | (x & UINT64_C(0x3333333333333333)) << 2;
	x = (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	return __builtin_bswap64(x);
}

static void
empty_batch(struct batch *b)
{
	for (size_t i = 0; b && i < 2 * b->count; i++)
		shoal_any_clear(&b->item[i]);
	if (b)
		b->count = b->next = b->bytes = 0;
}

void
shoal_cursor_clear(shoal_cursor *cursor)
{
	if (!cursor)
		return;
	empty_batch(cursor->internal_[0]);
	free(cursor->internal_[0]);
	*cursor = (shoal_cursor){ 0 };
}

static int
room_for_one(struct batch **at)
{
	struct batch *b = *at;
	if (b && b->count < b->room)
		return 0;
	size_t room = b ? 2 * b->room : 8;
	b = realloc(b, sizeof *b + 2 * room * sizeof b->item[0]);
	if (!b)
		return fail(-ENOMEM, "no memory for %zu items of a cursor", room);
	if (!*at)
		b->count = b->next = b->bytes = 0;
	b->room = room;
	*at = b;
	return 0;
}

static int
copy_item(struct dict_call *c, const struct dict_place *p, uint64_t offset,
          const struct dict_entry *head, struct batch **at)
{
	struct dict_copy copy;
	int rc = room_for_one(at);
	if (rc)
		return rc;
	(*at)->bytes += entry_bytes(head);
	if ((*at)->bytes > item_room(c->in.arena, c->in.arena->data_at))
		return -EAGAIN;
	shoal_any *item = &(*at)->item[2 * (*at)->count];
	item[0] = item[1] = SHOAL_NIL;
	rc = dict_copy_entry(c, offset, head, &copy);
	if (rc == 0 && !dict_still(&c->seen, p))
		rc = -EAGAIN;
	if (rc == 0)
		rc = dict_copy_key(c, &copy, &item[0]);
	if (rc == 0)
		rc = dict_copy_value(c, &copy, GONE_IS_NIL, &item[1]);
	dict_copy_clear(&copy);
	/* Also where one of them failed: clearing takes either. */
	(*at)->count++;
	return rc;
}

static int
copy_line(struct dict_call *c, const struct dict_place *p, const struct bucket *line,
          uint64_t from, struct batch **at)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct dict_entry head;
		uint64_t offset = load_acquire(&line->slot[i]) & SLOT_OFFSET;
		const struct dict_entry *e = offset ? dict_at(c, offset, sizeof *e) : NULL;
		if (!e)
			continue;
		racy_read(&head, e, sizeof head);
		if (!bucket_fits(p->index, state_depth(p->state), head.hash) ||
		    reversed(head.hash) < from)
			continue;
		int rc = copy_item(c, p, offset, &head, at);
		if (rc)
			return rc;
	}
	return 0;
}

static int
copy_bucket(struct dict_call *c, uint64_t from, struct batch **at, unsigned *depth)
{
	struct dict_place p;
	unsigned lines = 0;
	empty_batch(*at);
	if (!dict_look(c) || !dict_find_bucket(c, reversed(from), &p))
		return -EAGAIN;
	*depth = state_depth(p.state);
	for (const struct bucket *line = p.bucket; line; line = dict_more(&c->seen, line)) {
		int rc = lines++ < LINES_MAX ? copy_line(c, &p, line, from, at) : -EAGAIN;
		if (rc)
			return dict_still(&c->seen, &p) ? rc : -EAGAIN;
	}
	return dict_still(&c->seen, &p) ? 0 : -EAGAIN;
}

/* The interval that begins at `from`: its items, and how many bits its hashes have in common. */
static int
read_bucket(struct dict_call *c, uint64_t from, struct batch **at, unsigned *depth)
{
	int rc;
	do {
		rc = -EAGAIN;
		for (unsigned tries = 0; rc == -EAGAIN && tries < BATCH_TRIES; tries++)
			rc = copy_bucket(c, from, at, depth);
		if (rc != -EAGAIN)
			return rc;
		/* What its pins were the last to hold is buried outside of the lock. */
		empty_batch(*at);
		rc = dict_lock_until(c, reversed(from), clock_now() + CONTAINER_READER_NS);
	} while (rc == -ETIMEDOUT);
	if (rc)
		return rc;
	rc = copy_bucket(c, from, at, depth);
	dict_unlock(c);
	return rc == -EAGAIN ? dict_damaged(c) : rc;
}

/*
 * Goes on from bucket to bucket until one has something, or all were seen. Levels that were
 * overwritten may lead to one bucket again and again: no more are looked at than the arena holds.
 */
static int
next_batch(struct dict_call *c, shoal_cursor *cursor)
{
	struct batch *b = cursor->internal_[0];
	uint64_t left = c->in.arena->bytes / LINE;
	int rc = 0;
	do {
		unsigned depth = 0;
		rc = left-- ? read_bucket(c, cursor->position, &b, &depth) : dict_damaged(c);
		cursor->internal_[0] = b;
		if (rc)
			break;
		uint64_t interval = UINT64_C(1) << (64 - depth);
		cursor->position = (cursor->position / interval + 1) * interval;
		if (cursor->position == 0)
			cursor->internal_[1] = cursor;
	} while (!cursor->internal_[1] && (!b || b->count == 0));
	if (rc)
		empty_batch(b);
	return rc;
}

int
shoal_dict_next(shoal_dict *d, shoal_cursor *cursor, const shoal_any **key,
                const shoal_any **value)
{
	struct dict_call c;
	struct batch *b = cursor->internal_[0];
	if (!(b && b->next < b->count) && !cursor->internal_[1]) {
		/* What the last ones referred to goes under no lock, and outside. */
		empty_batch(b);
		int rc = dict_enter_reader(d, SHOAL_KIND_DICT, &c);
		if (rc)
			return rc;
		rc = dict_leave_reader(&c, next_batch(&c, cursor));
		b = cursor->internal_[0];
		if (rc) {
			empty_batch(b);
			return rc;
		}
	}
	if (!b || b->next == b->count) {
		shoal_cursor_clear(cursor);
		return 0;
	}
	if (key)
		*key = &b->item[2 * b->next];
	if (value)
		*value = &b->item[2 * b->next + 1];
	b->next++;
	return 1;
}
