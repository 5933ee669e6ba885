/* From a key to its entry: by readers, who take nothing, and by the holder of the stripe's lock. */
#include "base/error.h"
#include "data/dict.h"

#define READ_TRIES 100u

struct found {
	word64 *slot; /* or NULL */
	uint64_t offset;
	struct dict_entry head; /* a copy */
};

int
dict_damaged(const struct dict_call *c)
{
	return fail(-EPROTO, "dict %u of arena '%s' is damaged: shared memory was overwritten",
	            c->in.object, c->in.arena->name);
}

static ALWAYS_INLINE bool
is_key(const struct dict_call *c, uint64_t offset, const struct dict_key *key,
       struct dict_entry *head)
{
	const struct dict_entry *e = dict_at(c, offset, sizeof *e);
	if (unlikely(!e))
		return false;
	racy_read(head, e, sizeof *head);
	if (head->hash != key->hash || head->key_kind != key->cell.kind ||
	    head->key_bytes != key->cell.bytes)
		return false;
	const char *bytes = dict_at(c, offset + sizeof *e, head->key_bytes);
	return bytes && racy_equal(bytes, key->bytes, head->key_bytes);
}

/*
 * The entry's second line comes while the first one is compared; and, for one who will take the
 * entry out, the word of its block.
 */
static ALWAYS_INLINE void
fetch_entry(const struct dict_call *c, uint64_t offset, bool change)
{
	const char *e = dict_at(c, offset, 2 * LINE);
	if (unlikely(!e))
		return;
	prefetch_read(e + LINE);
	if (change)
		prefetch_write(block_word_at(c->in.arena, offset));
}

/* What the slot led to is what is looked at: the slot is read once. */
static ALWAYS_INLINE bool
find_in_line(const struct dict_call *c, struct bucket *line, const struct dict_key *key,
             bool change, struct found *out)
{
	uint64_t tag = key->hash >> SLOT_TAG;
	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t slot = load_acquire(&line->slot[i]);
		if (likely(slot >> SLOT_TAG != tag || !slot))
			continue;
		out->offset = slot & SLOT_OFFSET;
		fetch_entry(c, out->offset, change);
		if (is_key(c, out->offset, key, &out->head)) {
			out->slot = &line->slot[i];
			return true;
		}
	}
	return false;
}

static ALWAYS_INLINE bool
find_in_bucket(const struct dict_call *c, struct bucket *b, const struct dict_key *key,
               bool change, struct found *out)
{
	struct bucket *line = b;
	for (unsigned lines = 0; line && lines < LINES_MAX; lines++) {
		if (find_in_line(c, line, key, change, out))
			return true;
		line = dict_more(c, line);
	}
	return false;
}

static ALWAYS_INLINE int
read_once(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	struct dict_place p;
	struct found found;
	if (unlikely(!dict_look(c) || !dict_find_bucket(c, key->hash, &p)))
		return -EAGAIN;
	if (!find_in_bucket(c, p.bucket, key, false, &found))
		return dict_still(c, &p) ? -ENOENT : -EAGAIN;
	return reader(c, &p, found.offset, &found.head, arg);
}

int
dict_read(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	int rc = -EAGAIN;
	for (unsigned tries = 0; rc == -EAGAIN && tries < READ_TRIES; tries++)
		rc = read_once(c, key, reader, arg);
	if (likely(rc != -EAGAIN))
		return rc;
	/* Writers are too quick for this one: they wait, then. */
	rc = dict_lock(c, key->hash);
	if (rc)
		return rc;
	rc = read_once(c, key, reader, arg);
	dict_unlock(c);
	return rc == -EAGAIN ? dict_damaged(c) : rc;
}

/* ---- under the lock ---- */

/* Whether a line of the bucket may be written. */
static bool
owns_line(const struct dict_call *c, const struct dict_place *p, const void *in)
{
	uint64_t at = arena_offset(c->in.arena, in) & ~(uint64_t)(LINE - 1);
	return at == arena_offset(c->in.arena, p->bucket) || dict_owns(c, at, LINE);
}

static void
look_at_line(struct bucket *line, struct dict_place *out)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (load_relaxed(&line->slot[i]))
			out->full++;
		else if (!out->room)
			out->room = &line->slot[i];
	}
	out->end = &line->more;
}

int
dict_locate(struct dict_call *c, const struct dict_key *key, struct dict_place *out)
{
	struct found found;
	unsigned lines = 0;
	*out = (struct dict_place){ 0 };
	if (!dict_find_bucket(c, key->hash, out) || !dict_owns_bucket(c, out->bucket, out->index))
		return dict_damaged(c);
	if (find_in_bucket(c, out->bucket, key, true, &found)) {
		out->slot = found.slot;
		out->offset = found.offset;
		out->head = found.head;
		out->entry = dict_at(c, found.offset, sizeof *out->entry);
		return likely(owns_line(c, out, found.slot)) ? 0 : dict_damaged(c);
	}
	for (struct bucket *line = out->bucket; line; line = dict_more(c, line)) {
		if (lines++ == LINES_MAX || !owns_line(c, out, line))
			return dict_damaged(c);
		look_at_line(line, out);
	}
	return 0;
}
