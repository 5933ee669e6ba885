/*
 * From a key to its entry, as readers go: inline, so that what they do with the entry can be too.
 *
 * Of a look-up in a dict that no cache holds nearly all is two waits for memory, for the bucket and
 * then for the entry. The fewer instructions there are, and the fewer branches that go either way,
 * the farther a processor gets beyond them meanwhile.
 */
#ifndef DATA_DICT_READ_H
#define DATA_DICT_READ_H

#include "data/dict.h"

#define READ_TRIES 100u
#define FIND_TRIES 64u

struct dict_found {
	word64 *slot; /* or NULL */
	uint64_t offset;
	struct dict_entry head; /* a copy */
};

/* ---- from a hash to its bucket ---- */

static ALWAYS_INLINE bool
dict_read_look(struct dict_call *c)
{
	c->epoch = load_acquire(&c->dict->epoch);
	c->end = arena_pages_end(c->in.arena);
	/* The epoch first: with an old one, what the new root leads to is never taken for it. */
	uint64_t root = load_acquire(&c->dict->root);
	c->table = root % LINE ? NULL : dict_at(c, root, sizeof(struct dict_table));
	return c->table != NULL;
}

static ALWAYS_INLINE struct bucket *
dict_read_in_block(const struct dict_call *c, uint64_t block, uint64_t index)
{
	return block ? dict_at(c, block + index * LINE, LINE) : NULL;
}

/* Of a level that has a directory. */
static ALWAYS_INLINE struct bucket *
dict_read_in_chunk(const struct dict_call *c, uint64_t directory, uint64_t index)
{
	const word64 *chunk =
		directory ? dict_at(c, directory + (index >> CHUNK_BITS) * 8, sizeof *chunk) : NULL;
	return chunk ? dict_read_in_block(c, load_acquire(chunk), index & (CHUNK - 1)) : NULL;
}

/* Else the state was overwritten: a cursor would go through hashes one by one. */
static inline bool
dict_read_depth(unsigned depth)
{
	return depth - FIRST_BITS <= LEVELS;
}

static ALWAYS_INLINE struct bucket *
dict_read_bucket(const struct dict_call *c, uint64_t index)
{
	unsigned level = level_of(index);
	if (unlikely(level > LEVELS))
		return NULL;
	uint64_t at = load_acquire(&c->table->at[level]);
	if (level <= LEVEL_WHOLE)
		return dict_read_in_block(c, at, index - level_first(level));
	return dict_read_in_chunk(c, at, index - level_first(level));
}

/* From the highest level down to the first bucket that is born. */
static ALWAYS_INLINE bool
dict_read_down(struct dict_call *c, uint64_t hash, struct dict_place *out)
{
	uint64_t level = load_acquire(&c->table->level);
	if (unlikely(level > LEVELS))
		return false;
	uint64_t index = hash & ((FIRST << level) - 1);
	for (;;) {
		out->bucket = dict_read_bucket(c, index);
		out->state = out->bucket ? load_acquire(&out->bucket->state) : 0;
		if (likely(out->state))
			break;
		if (index < FIRST)
			return false;
		index -= UINT64_C(1) << (63 - __builtin_clzll(index));
	}
	out->index = index;
	return dict_read_depth(state_depth(out->state)) &&
	       bucket_fits(index, state_depth(out->state), hash);
}

/*
 * One that was split between the look at the child and the look at it does not fit: then the child
 * is born by now.
 */
static ALWAYS_INLINE bool
dict_read_find(struct dict_call *c, uint64_t hash, struct dict_place *out)
{
	for (unsigned tries = 0; tries < FIND_TRIES; tries++)
		if (likely(dict_read_down(c, hash, out)))
			return true;
	return false;
}

/* ---- from a bucket to an entry ---- */

/* Most keys are short: without calls. */
static ALWAYS_INLINE bool
dict_read_equal(const char *shared, const char *private, size_t n)
{
	for (; n >= 8 && n <= LINE; n -= 8, shared += 8, private += 8) {
		uint64_t its, mine;
		racy_read(&its, shared, 8);
		memcpy(&mine, private, 8);
		if (its != mine)
			return false;
	}
	return n == 0 || racy_equal(shared, private, n);
}

static ALWAYS_INLINE bool
dict_read_is_key(const struct dict_call *c, uint64_t offset, const struct dict_key *key,
                 struct dict_entry *head)
{
	const struct dict_entry *e = dict_at(c, offset, sizeof *e + key->cell.bytes);
	if (unlikely(!e))
		return false;
	/* Its second line comes while the first one is compared. */
	prefetch_read((const char *)e + LINE);
	racy_read(head, e, sizeof *head);
	return head->hash == key->hash && head->key_kind == key->cell.kind &&
	       head->key_bytes == key->cell.bytes &&
	       dict_read_equal((const char *)(e + 1), key->bytes, key->cell.bytes);
}

/*
 * A bit for each slot with the hash's tag. All are looked at, without a branch: where in the line a
 * key is cannot be foretold, and a processor that has not guessed wrong goes on to what comes after
 * the call while it waits for the entry.
 */
static ALWAYS_INLINE unsigned
dict_read_tags(const struct bucket *line, uint64_t hash)
{
	unsigned bits = 0;
#pragma GCC unroll 6
	for (unsigned i = 0; i < SLOTS; i++)
		bits |= (unsigned)((load_relaxed(&line->slot[i]) ^ hash) >> SLOT_TAG == 0) << i;
	return bits;
}

/*
 * What the slot leads to is what is looked at: it is read once more, and may be another one's by
 * now, or empty.
 */
static ALWAYS_INLINE bool
dict_read_line(const struct dict_call *c, struct bucket *line, const struct dict_key *key,
               struct dict_found *out)
{
	for (unsigned bits = dict_read_tags(line, key->hash); bits; bits &= bits - 1) {
		out->slot = &line->slot[__builtin_ctz(bits)];
		out->offset = load_acquire(out->slot) & SLOT_OFFSET;
		if (likely(dict_read_is_key(c, out->offset, key, &out->head)))
			return true;
	}
	return false;
}

static ALWAYS_INLINE bool
dict_read_lines(const struct dict_call *c, struct bucket *b, const struct dict_key *key,
                struct dict_found *out)
{
	struct bucket *line = b;
	for (unsigned lines = 0; line && lines < LINES_MAX; lines++) {
		if (dict_read_line(c, line, key, out))
			return true;
		line = dict_more(c, line);
	}
	return false;
}

static ALWAYS_INLINE int
dict_read_once(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	struct dict_place p;
	struct dict_found found;
	if (unlikely(!dict_read_look(c) || !dict_read_find(c, key->hash, &p)))
		return -EAGAIN;
	if (!dict_read_lines(c, p.bucket, key, &found))
		return dict_still(c, &p) ? -ENOENT : -EAGAIN;
	return reader(c, &p, found.offset, &found.head, arg);
}

static ALWAYS_INLINE int
dict_read_by(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		int rc = dict_read_once(c, key, reader, arg);
		if (likely(rc != -EAGAIN))
			return rc;
	}
	return dict_read_locked(c, key, reader, arg);
}

#endif
