/*
 * From a key to its entry, as readers go: inline, so that what they do with the entry can be too.
 *
 * Of a look-up in a dict that no cache holds nearly all is two waits for memory, for the bucket and
 * then for the entry. The fewer instructions there are, and the fewer branches that go either way,
 * the farther a processor gets beyond them meanwhile.
 */
#ifndef DATA_DICT_READ_H
#define DATA_DICT_READ_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/racy_line.h"
#include "data/dict.h"

#define READ_TRIES 100u
#define FIND_TRIES 64u

struct dict_found {
	word64 *slot; /* or NULL */
	uint64_t offset;
	struct dict_entry head; /* a copy */
};

/* ---- from a key to its hash ---- */

/* The kind is part of the key: 1, true and "\1\0\0\0\0\0\0\0" are three. */
static ALWAYS_INLINE uint64_t
dict_read_hash(const struct shoal_dict *d, const struct dict_key *key)
{
	uint64_t seed = d->seed + key->cell.kind * UINT64_C(0x9e3779b97f4a7c15);
	if (likely(key->cell.bytes == 8))
		return XXH3_64bits_withSeed(key->bytes, 8, seed);
	return XXH3_64bits_withSeed(key->bytes, key->cell.bytes, seed);
}

static ALWAYS_INLINE void
dict_read_key(const struct shoal_dict *d, const void *key, size_t bytes, struct dict_key *out)
{
	out->cell = (struct cell){ .kind = SHOAL_ANY_BYTES, .bytes = (uint32_t)bytes };
	out->bytes = key;
	out->hash = dict_read_hash(d, out);
}

/* ---- from a hash to its bucket ---- */

static ALWAYS_INLINE bool
dict_read_look(struct dict_view *v)
{
	v->epoch = load_acquire(&v->dict->epoch);
	uint64_t pages = arena_pages(v->arena);
	if (unlikely(!pages))
		return false;
	v->lines = DICT_LINES(pages);
	/* The epoch first: with an old one, what the new root leads to is never taken for it. */
	v->table = dict_seen_lines(v, load_acquire(&v->dict->root), sizeof(struct dict_table));
	return v->table != NULL;
}

static ALWAYS_INLINE struct bucket *
dict_read_in_block(const struct dict_view *v, uint64_t block, uint64_t index)
{
	return block ? dict_seen_lines(v, block + index * LINE, LINE) : NULL;
}

/* Of a level or chunk that is a tree: the bucket of the place, or NULL. */
struct bucket *dict_read_tree(struct dict_view v, uint64_t tree, uint64_t place, unsigned bits);

/* Of a level that has a directory. */
static ALWAYS_INLINE struct bucket *
dict_read_in_chunk(const struct dict_view *v, uint64_t directory, uint64_t index)
{
	const word64 *chunk =
		directory ? dict_seen(v, directory + (index >> CHUNK_BITS) * 8, sizeof *chunk)
		          : NULL;
	uint64_t at = chunk ? load_acquire(chunk) : 0;
	index &= CHUNK - 1;
	if (unlikely(at & TREE))
		return dict_read_tree(*v, at, index, CHUNK_BITS);
	return dict_read_in_block(v, at, index);
}

/* Else the state was overwritten: a cursor would go through hashes one by one. */
static inline bool
dict_read_depth(unsigned depth)
{
	return depth - FIRST_BITS <= LEVELS;
}

/* Of a level that there may be. */
static ALWAYS_INLINE struct bucket *
dict_read_bucket(const struct dict_view *v, uint64_t index)
{
	unsigned level = level_of(index);
	uint64_t at = load_acquire(&v->table->at[level]), place = level ? without_top(index) : index;
	if (unlikely(at & TREE))
		return dict_read_tree(*v, at, place, level_bits(level));
	if (level <= LEVEL_WHOLE)
		return dict_read_in_block(v, at, place);
	return dict_read_in_chunk(v, at, place);
}

/* From the highest level down to the first bucket that is born. */
static ALWAYS_INLINE bool
dict_read_down(const struct dict_view *v, uint64_t hash, struct dict_place *out)
{
	uint64_t level = load_acquire(&v->table->level);
	if (unlikely(level > LEVELS))
		return false;
	uint64_t index = hash & ((FIRST << level) - 1);
	for (;;) {
		out->bucket = dict_read_bucket(v, index);
		out->state = out->bucket ? load_acquire(&out->bucket->state) : 0;
		if (likely(out->state))
			break;
		if (index < FIRST)
			return false;
		index = without_top(index);
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
dict_read_find(const struct dict_view *v, uint64_t hash, struct dict_place *out)
{
	for (unsigned tries = 0; tries < FIND_TRIES; tries++)
		if (likely(dict_read_down(v, hash, out)))
			return true;
	return false;
}

/* ---- from a bucket to an entry ---- */

/* Most keys are short: without calls. */
static ALWAYS_INLINE bool
dict_read_equal(const char *shared, const char *private, size_t n)
{
	if (likely(n == 8))
		return racy_word(shared) == racy_word(private);
	for (; n >= 8 && n <= LINE; n -= 8, shared += 8, private += 8) {
		uint64_t its, mine;
		racy_read(&its, shared, 8);
		memcpy(&mine, private, 8);
		if (its != mine)
			return false;
	}
	return n == 0 || racy_equal(shared, private, n);
}

/* Field by field: who does not use one does not read it. */
static ALWAYS_INLINE void
dict_read_head(const struct dict_entry *e, struct dict_entry *head)
{
	racy_read(&head->hash, &e->hash, sizeof e->hash);
	racy_read(&head->order, &e->order, sizeof e->order);
	racy_read(&head->key_bytes, &e->key_bytes, sizeof e->key_bytes);
	racy_read(&head->value_bytes, &e->value_bytes, sizeof e->value_bytes);
	racy_read(&head->value_refs, &e->value_refs, sizeof e->value_refs);
	racy_read(&head->value_nodes, &e->value_nodes, sizeof e->value_nodes);
	racy_read(&head->key_kind, &e->key_kind, sizeof e->key_kind);
	racy_read(&head->value_kind, &e->value_kind, sizeof e->value_kind);
}

static ALWAYS_INLINE bool
dict_read_is_key(const struct dict_view *v, uint64_t offset,
                 const struct dict_key *key, struct dict_entry *head)
{
	const struct dict_entry *e = dict_seen(v, offset, sizeof *e + key->cell.bytes);
	if (unlikely(!e))
		return false;
	/* Its second line comes while the first one is compared. */
	prefetch_read((const char *)e + LINE);
	dict_read_head(e, head);
	return head->key_kind == key->cell.kind &&
	       head->key_bytes == key->cell.bytes &&
	       dict_read_equal((const char *)(e + 1), key->bytes, key->cell.bytes);
}

/*
 * Which slots have the hash's tag, as racy_line_tags says it. All are looked at, without a branch:
 * where in the line a key is cannot be foretold, and a processor that has not guessed wrong goes on
 * to what comes after the call while it waits for the entry.
 */
static ALWAYS_INLINE unsigned
dict_read_tags(const struct bucket *line, uint64_t hash)
{
	unsigned slots = racy_line_tag(SLOTS + 1) - racy_line_tag(1);
	return racy_line_tags(line, (uint16_t)(hash >> SLOT_TAG)) & slots;
}

/* The slot that the lowest bit is of. */
static ALWAYS_INLINE word64 *
dict_read_first(const struct bucket *line, unsigned bits)
{
	return (word64 *)(uintptr_t)line + racy_line_first(bits);
}

static ALWAYS_INLINE struct bucket *
dict_read_more(const struct dict_view *v, const struct bucket *line)
{
	uint64_t more = load_acquire(&line->more);
	return more ? dict_seen_lines(v, more, LINE) : NULL;
}

/*
 * What the slot leads to is what is looked at: it is read once more, and may be another one's by
 * now, or empty.
 */
static ALWAYS_INLINE bool
dict_read_slot(const struct dict_view *v, word64 *slot, const struct dict_key *key,
               struct dict_found *out)
{
	out->slot = slot;
	out->offset = load_acquire(slot) & SLOT_OFFSET;
	return likely(dict_read_is_key(v, out->offset, key, &out->head));
}

/* The slot is NULL where no line has the key. */
struct dict_found dict_read_lines(struct dict_view v, struct bucket *b, const struct dict_key *key);

/* Nearly always the first slot with the tag is the key's. */
static ALWAYS_INLINE int
dict_read_once(struct dict_view v, const struct dict_key *key, dict_reader *reader, void *arg)
{
	struct dict_place p;
	struct dict_found found;
	if (unlikely(!dict_read_look(&v) || !dict_read_find(&v, key->hash, &p)))
		return -EAGAIN;
	unsigned bits = dict_read_tags(p.bucket, key->hash);
	if (unlikely(!bits) || !dict_read_slot(&v, dict_read_first(p.bucket, bits), key, &found)) {
		const struct dict_key copy = *key; /* so that the key itself stays in registers */
		found = dict_read_lines(v, p.bucket, &copy);
		if (!found.slot)
			return dict_still(&v, &p) ? -ENOENT : -EAGAIN;
	}
	return reader(&v, &p, found.offset, &found.head, arg);
}

#endif
