/* From a key to its entry: by readers, who take nothing, and by the holder of the stripe's lock. */
#include "base/clock.h"
#include "base/error.h"
#include "data/dict_read.h"

int
dict_damaged(const struct dict_call *c)
{
	return fail(-EPROTO, "dict %u of arena '%s' is damaged: shared memory was overwritten",
	            c->in.object, c->in.arena->name);
}

/* ---- from a hash to its bucket ---- */

void *
dict_at_anew(const shoal_arena *a, uint64_t offset, uint64_t bytes, uint64_t align)
{
	uint64_t end = arena_pages_end(a);
	bool is = offset >= a->data_at && offset <= end && bytes <= end - offset;
	return is && offset % align == 0 ? arena_at(a, offset) : NULL;
}

bool
dict_look(struct dict_call *c)
{
	return dict_read_look(&c->seen);
}

struct bucket *
dict_bucket(const struct dict_call *c, uint64_t index)
{
	return level_of(index) <= LEVELS ? dict_read_bucket(&c->seen, index) : NULL;
}

struct bucket *
dict_read_tree(struct dict_view v, uint64_t tree, uint64_t place, unsigned bits)
{
	uint64_t at = tree & ~TREE;
	for (unsigned shift = tree_shift(bits);; shift -= NODE_BITS) {
		const word64 *node = dict_seen_lines(&v, at, LINE);
		at = node ? load_acquire(&node[place >> shift & ((1u << NODE_BITS) - 1)]) : 0;
		if (!at || !shift)
			return at ? dict_seen_lines(&v, at, LINE) : NULL;
	}
}

bool
dict_find_bucket(struct dict_call *c, uint64_t hash, struct dict_place *out)
{
	return dict_read_find(&c->seen, hash, out);
}

struct bucket *
dict_more(const struct dict_view *v, const struct bucket *line)
{
	return dict_read_more(v, line);
}

struct dict_found
dict_read_lines(struct dict_view v, struct bucket *b, const struct dict_key *key)
{
	struct dict_found found;
	struct bucket *line = b;
	for (unsigned lines = 0; line && lines < LINES_MAX; lines++) {
		for (unsigned bits = dict_read_tags(line, key->hash); bits; bits &= bits - 1)
			if (dict_read_slot(&v, dict_read_first(line, bits), key, &found))
				return found;
		line = dict_read_more(&v, line);
	}
	return (struct dict_found){ 0 };
}

int
dict_read(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	struct dict_view v = dict_view_of(c->in.arena, c->dict);
	int rc;
	do {
		for (unsigned tries = 0; tries < READ_TRIES; tries++) {
			rc = dict_read_once(v, key, reader, arg);
			if (likely(rc != -EAGAIN))
				return rc;
		}
		rc = dict_read_locked(c, key, reader, arg);
	} while (rc == -ETIMEDOUT);
	return rc;
}

/* Writers are too quick for this one: they wait, then, unless one of them is stopped. */
int
dict_read_locked(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg)
{
	int rc = dict_lock_until(c, key->hash, clock_now() + CONTAINER_READER_NS);
	if (rc)
		return rc;
	rc = dict_read_once(dict_view_of(c->in.arena, c->dict), key, reader, arg);
	dict_unlock(c);
	return rc == -EAGAIN ? dict_damaged(c) : rc;
}

/* ---- before the lock ---- */

const struct bucket *
dict_fetch_bucket(struct dict_call *c, const struct dict_key *key)
{
	uint64_t level = dict_read_look(&c->seen) ? load_acquire(&c->seen.table->level) : LEVELS + 1;
	if (unlikely(level > LEVELS))
		return NULL;
	const struct bucket *b = dict_read_bucket(&c->seen, key->hash & ((FIRST << level) - 1));
	prefetch_write(b);
	return b;
}

/*
 * One that is not born yet has empty slots. Who takes the entry out needs the word of its block
 * too.
 */
void
dict_fetch_entry(const struct dict_call *c, const struct dict_key *key, const struct bucket *b)
{
	unsigned bits = b ? dict_read_tags(b, key->hash) : 0;
	if (!bits)
		return;
	uint64_t offset = load_acquire(dict_read_first(b, bits)) & SLOT_OFFSET;
	const char *e = dict_at(c, offset, sizeof(struct dict_entry));
	if (unlikely(!e))
		return;
	prefetch_read(e);
	prefetch_read(e + LINE);
	prefetch_write(block_word_at(c->in.arena, offset));
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
	struct dict_found found;
	*out = (struct dict_place){ 0 };
	if (!dict_find_bucket(c, key->hash, out) || !dict_owns_bucket(c, out->bucket, out->index))
		return dict_damaged(c);
	found = dict_read_lines(c->seen, out->bucket, key);
	if (found.slot) {
		out->slot = found.slot;
		out->offset = found.offset;
		out->head = found.head;
		out->entry = dict_at(c, found.offset, sizeof *out->entry);
		return likely(owns_line(c, out, found.slot)) ? 0 : dict_damaged(c);
	}
	for (struct bucket *line = out->bucket; line; line = dict_more(&c->seen, line)) {
		if (out->lines++ == LINES_MAX || !owns_line(c, out, line))
			return dict_damaged(c);
		look_at_line(line, out);
	}
	return 0;
}
