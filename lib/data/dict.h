/*
 * A dict in shared memory: its words, and what the files dict_*.c share.
 *
 * ---- where things lie ----
 *
 * control   the object's body: the root, the seed, the ledgers, the first table. Never moves.
 * table     in the body, or a PART block: the levels, and a count for each stripe. clear puts
 *           another one in its place.
 * bucket    one line: its state, six slots, a link to an overflow line (a PART block of the same
 *           shape, without a state)
 * entry     a PART block: one key with its value. It does not change, but for the 8 bytes of an
 *           int, a double or a bool, and for `counted`.
 *
 * A key's hash tells its bucket by its low bits, its stripe by the lowest three, and its tag in the
 * slot by the highest sixteen. Table level 0 has the first FIRST buckets, level L as many again as
 * all before it. Buckets never move, and there are never fewer of them. A bucket is born when the
 * bucket that it is split from, the one without its highest bit, gives it what belongs to it; until
 * then its state is 0. So a hash's bucket is found from the highest level down: the first that is
 * born.
 *
 * ---- the words ----
 *
 * bucket.state  63..58 depth: how many low bits of the hash all its keys have in common; 57..0
 *               version, from 1, raised after each change and before what it took out is freed
 * slot          63..48 tag, 39..0 offset of the entry; 0: empty
 * root          offset of the table
 * epoch         raised after the root has changed, before the old table goes
 * table.level   the highest level of which buckets may be born
 * table.at[L]   the level's buckets; beyond LEVEL_WHOLE its directory, whose words lead to chunks
 *               of 1024 buckets, or are 0. With TREE, as a chunk's word too: there was no block so
 *               long, and it leads to a node
 * node          a line whose words lead to nodes, or are 0: which one the bits of a bucket's place
 *               in its level or chunk say, three at a time from the highest on. The last ones lead
 *               to buckets, each a PART block of its own
 *
 * ---- who changes what ----
 *
 * A stripe's buckets, entries and count: its ledger (index 0 to 7). Levels and chunks: the ledger
 * of what they share (8), taken after a stripe's, and only tried, so growth waits for nobody. The
 * root: all of them, in order.
 *
 * A reader takes nothing: epoch, root, the bucket's state, the slots, a copy of the entry; then
 * state and epoch again. If neither has changed, nothing that it read had been freed. Offsets are
 * looked at before they are followed, lengths are read once, and steps are bounded, since what it
 * reads meanwhile may be anything. When that fails too often it takes the stripe's lock.
 * One who reads all of them looks at where the ledgers stand (ledger_look, dict_snapshot.c), and
 * trusts a bucket's state only where its stripe is in the midst of nothing.
 *
 * ---- crash points ----
 *
 *	set        commit: the slot; a new overflow line comes with its slot filled, commit: the link
 *	pop        commit: the slot
 *	popitem    likewise; before it, where no entry of a stripe is named, commit: its `recent`
 *	add_int    commit: the entry's value
 *	split      the child's slots and overflow lines are filled while its state is 0; commit: its
 *	           state. Then the parent's state says the greater depth, and then (finish) its slots
 *	           that lead to the child's entries are emptied. Until then both buckets lead to them,
 *	           nobody writes, and a reader finds them by either.
 *	trim       after a pop or a split: commit: what leads to an empty line leads to the next one;
 *	           until then it stays, and is filled like others
 *	level      commit: table.at[L]; then: table.level
 *	chunk      commit: the directory's word; so a node, or a bucket of a tree: the node's before it
 *	clear      commit: the root; then: the epoch; then the old table with all it leads to is freed
 */
#ifndef DATA_DICT_H
#define DATA_DICT_H

#include "base/racy.h"
#include "data/cell.h"
#include "data/container.h"
#include "data/ledger.h"
#include <shoal/data.h>

#define STRIPE_BITS 3u
#define STRIPES (1u << STRIPE_BITS)
#define SHARED_LEDGER STRIPES
#define FIRST_BITS 4u
#define FIRST (UINT64_C(1) << FIRST_BITS)
#define LEVELS 30u
#define LEVEL_WHOLE 7u /* up to this one a level's buckets are one block, of at most 1024 */
#define CHUNK_BITS 10u
#define CHUNK (UINT64_C(1) << CHUNK_BITS)
#define TREE UINT64_C(1)
#define NODE_BITS 3u
#define SLOTS 6u
#define LINES_MAX 4096u /* of one bucket: none is put behind them, a longer chain is damage */

_Static_assert(FIRST << (LEVEL_WHOLE - 1) == CHUNK, "the greatest whole level is one chunk");
_Static_assert(FIRST_BITS >= STRIPE_BITS, "a bucket and what is split from it have one stripe");

struct bucket {
	word64 state; /* an overflow line: unused */
	word64 slot[SLOTS];
	word64 more;
};
_Static_assert(sizeof(struct bucket) == LINE, "a bucket is one line");
_Static_assert(sizeof(word64) << NODE_BITS == LINE, "and so is a node");

struct dict_table {
	word64 level;
	word64 at[LEVELS + 1];
	struct {
		_Alignas(LINE) word64 count;
		word64 split; /* a hint: the next bucket to be split; level << 48 | index */
		word64 recent; /* offset of the block that names its newest entries, or 0 */
	} stripe[STRIPES];
};

struct shoal_dict {
	/* lines 1, 2: everybody reads them, hardly anybody writes */
	word64 root;
	word64 epoch;
	uint64_t seed;
	/* lines 3, 4: those who insert write */
	_Alignas(SPACING) word64 order; /* of insertions; numbers may be left out */
	_Alignas(SPACING) struct ledger ledger[STRIPES + 1];
	/* the first table, so that a new dict has no other block; not used any more after a clear */
	_Alignas(SPACING) struct dict_table first;
	_Alignas(SPACING) struct bucket buckets[FIRST];
};

struct dict_entry {
	uint64_t hash;
	uint64_t order;
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint32_t value_refs;
	uint32_t value_nodes;
	word32 counted; /* of value_refs */
	uint8_t key_kind;
	uint8_t value_kind;
	uint16_t unused;
	/* the key, then, at the next multiple of 8, the value */
};
_Static_assert(sizeof(struct dict_entry) == 40, "a short key shares its line");

#define STATE_DEPTH 58u
#define STATE_VERSION ((UINT64_C(1) << STATE_DEPTH) - 1)
#define SLOT_TAG 48u
#define SLOT_OFFSET ((UINT64_C(1) << 40) - 1)

static inline unsigned
state_depth(uint64_t state)
{
	return (unsigned)(state >> STATE_DEPTH);
}

static inline uint64_t
state_make(unsigned depth, uint64_t version)
{
	return (uint64_t)depth << STATE_DEPTH | (version & STATE_VERSION);
}

/* The same depth, the next version. */
static inline uint64_t
state_next(uint64_t state)
{
	return state_make(state_depth(state), (state & STATE_VERSION) + 1);
}

static inline uint64_t
slot_make(uint64_t hash, uint64_t entry)
{
	return hash >> SLOT_TAG << SLOT_TAG | entry;
}

/* Whether the hash belongs into a bucket of this index and depth. */
static inline bool
bucket_fits(uint64_t index, unsigned depth, uint64_t hash)
{
	return depth < 64 && (hash & ((UINT64_C(1) << depth) - 1)) == index;
}

static inline size_t
entry_value_at(uint32_t key_bytes)
{
	return sizeof(struct dict_entry) + (((size_t)key_bytes + 7) & ~(size_t)7);
}

static inline size_t
entry_bytes(const struct dict_entry *head)
{
	return entry_value_at(head->key_bytes) + head->value_bytes;
}

static inline bool
kind_is_scalar(uint32_t kind)
{
	return kind == SHOAL_ANY_BOOL || kind == SHOAL_ANY_INT || kind == SHOAL_ANY_DOUBLE;
}

/* ---- one call ---- */

/*
 * What a look found, and how far the arena's memory reached then. A quick reader has one of its own
 * that no other function gets the address of, so that it stays in registers.
 */
struct dict_view {
	const shoal_arena *arena;
	const struct shoal_dict *dict;
	uint64_t lines; /* from data_at on: of whole pages, one at least */
	uint64_t epoch;
	struct dict_table *table;
};

struct dict_call {
	struct container in;
	struct shoal_dict *dict;
	struct ledger_hold hold;
	struct dict_view seen;
};

/* A key as it lies in an entry. */
struct dict_key {
	struct cell cell;
	const void *bytes;
	uint64_t scalar;
	uint64_t hash;
};

#define DICT_LINES(pages) ((uint64_t)(pages) << (PAGE_BITS - LINE_BITS))

/* Nothing is found yet, but that the dict is on a page. */
static ALWAYS_INLINE struct dict_view
dict_view_of(const shoal_arena *a, const struct shoal_dict *d)
{
	return (struct dict_view){ .arena = a, .dict = d, .lines = DICT_LINES(1) };
}

extern const struct ledger_kind dict_ledger;

/* kind: of the object, a dict or a namespace. As container_enter. */
int dict_enter(const void *body, uint32_t kind, struct dict_call *c);
/* As container_enter_found. */
int dict_enter_found(const void *body, uint32_t kind, struct dict_call *c);
/* For one who only reads: also where the arena is attached read-only. */
int dict_enter_reader(const void *body, uint32_t kind, struct dict_call *c);
void dict_leave(struct dict_call *c);
/* Of dict_enter_reader: as container_leave_reader. */
int dict_leave_reader(struct dict_call *c, int rc);
/* The same after a change: what lost its last reference by it goes. */
void dict_leave_changed(struct dict_call *c);
/* 0 or -EINVAL. */
int dict_key_of(struct dict_call *c, const shoal_any *key, struct dict_key *out);
void dict_key_of_bytes(struct dict_call *c, const void *key, size_t bytes, struct dict_key *out);

/* The same where the arena may have grown since the look; `align` is a power of two. */
void *dict_at_anew(const shoal_arena *a, uint64_t offset, uint64_t bytes, uint64_t align);

/*
 * What lies at the offset, in units of 1 << bits bytes, or NULL where not all of it is within the
 * arena's memory. Turned by so many bits, what is no multiple of the unit, or is below data_at, is
 * beyond every end.
 */
static ALWAYS_INLINE void *
dict_seen_units(const struct dict_view *v, uint64_t offset, uint64_t bytes, unsigned bits)
{
	uint64_t units = (bytes + (UINT64_C(1) << bits) - 1) >> bits;
	uint64_t all = v->lines << (LINE_BITS - bits), at = offset - v->arena->data_at;
	bool small = __builtin_constant_p(bytes) && bytes <= 1 << PAGE_BITS;
	at = at >> bits | at << (64 - bits);
	if (unlikely(at > all - units) || (!small && unlikely(units > all)))
		return dict_at_anew(v->arena, offset, bytes, UINT64_C(1) << bits);
	char *there = arena_at(v->arena, offset);
	if (!there)
		__builtin_unreachable();
	return there;
}

/* Words, at a multiple of 8. */
static ALWAYS_INLINE void *
dict_seen(const struct dict_view *v, uint64_t offset, uint64_t bytes)
{
	return dict_seen_units(v, offset, bytes, 3);
}

/* Whole lines. */
static ALWAYS_INLINE void *
dict_seen_lines(const struct dict_view *v, uint64_t offset, uint64_t bytes)
{
	return dict_seen_units(v, offset, bytes, LINE_BITS);
}

static ALWAYS_INLINE void *
dict_at(const struct dict_call *c, uint64_t offset, uint64_t bytes)
{
	return dict_seen(&c->seen, offset, bytes);
}

/* Reads epoch and root; false where there is no table there. */
bool dict_look(struct dict_call *c);

/* ---- where buckets are, and what leads there: dict_find.c ---- */

static inline unsigned
level_of(uint64_t index)
{
	return index < FIRST ? 0 : ((unsigned)__builtin_clzll(index) ^ 63) - (FIRST_BITS - 1);
}

/* Of a level but the first: its place in that level, and also the one that it is split from. */
static inline uint64_t
without_top(uint64_t index)
{
	return index ^ UINT64_C(1) << ((unsigned)__builtin_clzll(index) ^ 63);
}

static inline uint64_t
level_first(unsigned level)
{
	return level ? FIRST << (level - 1) : 0;
}

/* So many bits a place has among a level's buckets. */
static inline unsigned
level_bits(unsigned level)
{
	return level ? FIRST_BITS + level - 1 : FIRST_BITS;
}

/* In a tree of places of so many bits: below those that the first node looks at. */
static inline unsigned
tree_shift(unsigned bits)
{
	return (bits - 1) / NODE_BITS * NODE_BITS;
}

struct dict_place {
	struct bucket *bucket;
	uint64_t index;
	uint64_t state;
	word64 *slot; /* that has the key, or NULL */
	struct dict_entry *entry; /* where there is one, and a copy of its head */
	struct dict_entry head;
	uint64_t offset;
	word64 *room; /* the first empty slot, or NULL */
	word64 *end; /* the last line's link */
	unsigned full; /* slots in use */
	unsigned lines; /* where the key has no slot */
};

/* NULL: its level or chunk is not there. */
struct bucket *dict_bucket(const struct dict_call *c, uint64_t index);
/* The bucket of a hash, as it was at one moment. False: it changes too often, or is damaged. */
bool dict_find_bucket(struct dict_call *c, uint64_t hash, struct dict_place *out);
/* The next line of a bucket, or NULL. */
struct bucket *dict_more(const struct dict_view *v, const struct bucket *line);

/* ---- dict_table.c ---- */

/* A table with its first level, fresh on the ledger: 0, -ENOMEM, -ENOSPC. */
int dict_new_table(struct ledger_hold *h, uint64_t *table);
/* Every block that the table leads to, itself last. False: it is damaged. */
typedef bool dict_visit(void *arg, uint64_t block, const struct dict_entry *entry);
bool dict_walk(struct dict_call *c, dict_visit *visit, void *arg);

/* For one who keeps what the buckets had from one walk to the next. */
enum dict_bucket_is {
	DICT_BUCKET_NEW, /* it is read */
	DICT_BUCKET_KNOWN, /* it need not be */
	DICT_BUCKET_LAST /* the walk ends, and is false */
};

struct dict_renewal {
	dict_visit *visit;
	enum dict_bucket_is (*look)(void *arg, uint64_t index, uint64_t state);
	/* whole: it does not contradict itself, and visit did not end it. False ends the walk. */
	bool (*was_read)(void *arg, bool whole);
	/* A split may be under way: each entry once, also where two buckets lead to it. */
	bool amid;
};
bool dict_walk_anew(struct dict_call *c, const struct dict_renewal *renewal, void *arg);

/* The level after the present one, or what a bucket lies in, by the holder of what is shared. */
int dict_new_level(struct dict_call *c, struct ledger_hold *h, unsigned level);
int dict_new_bucket(struct dict_call *c, struct ledger_hold *h, uint64_t index);

/*
 * Before anything is written there: whether it is the dict's own, a part of so many bytes, or the
 * bucket of the index in one. What leads there may have been overwritten, and other things have
 * words that no store of a dict's may touch.
 */
bool dict_owns(const struct dict_call *c, uint64_t part, uint64_t bytes);
bool dict_owns_bucket(const struct dict_call *c, const struct bucket *b, uint64_t index);

/* ---- dict_find.c ---- */

/* Whether what was read since the place was found is of that moment. */
static inline bool
dict_still(const struct dict_view *v, const struct dict_place *p)
{
	fence_acquire();
	return load_relaxed(&p->bucket->state) == p->state &&
	       load_relaxed(&v->dict->epoch) == v->epoch;
}

/*
 * What a reader does with the key's entry at the offset, whose head is copied: it may be anything
 * until dict_still has said otherwise. 0 or a failure; -EAGAIN: read again.
 */
typedef int dict_reader(const struct dict_view *v, const struct dict_place *p, uint64_t offset,
                        const struct dict_entry *head, void *arg);
/* -ENOENT: there is no such key. */
int dict_read(struct dict_call *c, const struct dict_key *key, dict_reader *reader, void *arg);
/* -ETIMEDOUT: somebody else has the lock for long. */
int dict_read_locked(struct dict_call *c, const struct dict_key *key, dict_reader *reader,
                     void *arg);
/*
 * Before the lock is taken, so that it is held while less is waited for: the key's bucket, and then
 * its entry, begin to come. Only hints: what is there under the lock may be another one.
 */
const struct bucket *dict_fetch_bucket(struct dict_call *c, const struct dict_key *key);
void dict_fetch_entry(const struct dict_call *c, const struct dict_key *key,
                      const struct bucket *b);
static inline void
dict_fetch(struct dict_call *c, const struct dict_key *key)
{
	dict_fetch_entry(c, key, dict_fetch_bucket(c, key));
}

/* Under the stripe's lock: where the key is, or would be. 0 or -EPROTO. */
int dict_locate(struct dict_call *c, const struct dict_key *key, struct dict_place *out);
int dict_damaged(const struct dict_call *c);

/* ---- dict_copy.c ---- */

/* The bytes of an entry, copied; of any that lies within the arena's memory. */
struct dict_copy {
	struct dict_entry head;
	char *bytes; /* the key, and the value at value_at: `inside`, or malloc'ed */
	uint64_t inside[32];
};

/* 0, -ENOMEM; -EPROTO: it reaches beyond the arena's memory. */
int dict_copy_entry(const struct dict_call *c, uint64_t offset, const struct dict_entry *head,
                    struct dict_copy *out);
void dict_copy_clear(struct dict_copy *copy);
/* As cell_read. */
int dict_copy_key(const struct dict_call *c, const struct dict_copy *copy, shoal_any *out);
int dict_copy_value(const struct dict_call *c, const struct dict_copy *copy,
                    enum reference_gone gone, shoal_any *out);

/* ---- dict_lock.c, dict_write.c ---- */

/* The stripe of the hash, or what all share; afterwards the root is as it stays. */
int dict_lock(struct dict_call *c, uint64_t hash);
/* -ETIMEDOUT: it is not held by then. */
int dict_lock_until(struct dict_call *c, uint64_t hash, int64_t deadline);
void dict_unlock(struct dict_call *c);
int dict_lock_all(struct dict_call *c);
void dict_unlock_all(struct dict_call *c);
/*
 * How long others are held up, at first, by one who has some and is to have them all; it is
 * doubled.
 */
#define DICT_PATIENCE_NS INT64_C(20000)
#define DICT_PATIENCE_DOUBLED 11u /* so often at most: 41 ms */
/* Of all of them those that are had within the time, a bit for each. */
uint32_t dict_lock_some(struct dict_call *c, int64_t patience);
void dict_unlock_some(struct dict_call *c, uint32_t held);
/* Another ledger of the same dict. */
struct ledger_hold dict_hold(const struct dict_call *c, uint32_t index);

/* A value that is to be set: an any, or raw bytes. */
struct dict_value {
	struct cell cell;
	const shoal_any *any; /* or NULL: */
	const void *bytes;
};
/* 0, -ENOMEM, -ENOSPC: an entry HELD(me), in my hand. */
int dict_make_entry(struct dict_call *c, const struct dict_key *key, const struct dict_value *value,
                    uint64_t *entry);
/* The entry in my hand takes its place; under the lock. The hand is empty afterwards. */
int dict_put(struct dict_call *c, const struct dict_key *key, const struct dict_place *p,
             uint64_t entry);
/* The whole of it: make, lock, put, unlock. */
int dict_set(struct dict_call *c, const struct dict_key *key, const struct dict_value *value);
/* The same under the lock, with the place that was found. */
int dict_set_here(struct dict_call *c, const struct dict_key *key, const struct dict_place *p,
                  const struct dict_value *value);
/* A value of 8 bytes in the place of another of its kind. */
void dict_put_scalar(struct dict_call *c, const struct dict_place *p, uint64_t value);
int dict_remove(struct dict_call *c, const struct dict_place *p);
/* Under the lock: the lines behind the bucket's own that are empty go. */
void dict_trim(struct dict_call *c, struct bucket *b);

/* ---- dict_grow.c ---- */

/* After an insertion, under the stripe's lock: a bounded step. */
void dict_grow(struct dict_call *c, const struct dict_place *p);
void dict_finish_split(struct ledger_hold *h);
/* Room for so many items, or for as many as may be. 0; -ENOMEM, -ENOSPC: it ended in between. */
int dict_reserve(struct dict_call *c, uint64_t items);

/* ---- dict_recent.c ---- */

/* Before an entry of this order and hash comes in, under the stripe's lock. */
void dict_name_recent(struct dict_call *c, uint64_t order, uint64_t hash);

/* ---- dict_kind.c, dict.c ---- */

uint64_t dict_count(const struct dict_call *c);
/* Under all locks: everything goes out, and this table, fresh on `shared`, comes in. */
int dict_replace_table(struct dict_call *c, struct ledger_hold *shared, uint64_t table);
int dict_create(const char *call, shoal_arena *a, const char *name, uint32_t kind,
                const shoal_container_options *options, void **out);
int dict_get_any(const void *body, uint32_t kind, const shoal_any *key, shoal_any *value);
int dict_set_any(void *body, uint32_t kind, const shoal_any *key, const shoal_any *value);
/* dict_print.c */
int dict_snapshot(const void *body, uint32_t kind, shoal_any *out);
int dict_print(const void *body, uint32_t kind, FILE *to);
int dict_pop_any(void *body, uint32_t kind, const shoal_any *key, shoal_any *value);
/* Of a place under the lock. */
int dict_take_value(struct dict_call *c, const struct dict_place *p, shoal_any *out);
enum {
	DICT_SPLIT = 1
};

#endif
