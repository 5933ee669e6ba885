/*
 * What a shoal_any is inside.
 *
 * internal_, bit by bit:
 *	bit  31      OWNED: what a call filled, and shoal_any_clear gives back: the block whose text or
 *	             items begin where `as` says, or the pin of an object
 *	bit  30      BEYOND: an int that is more than INT64_MAX; as.integer has its bits
 *	bits 27..8   a pinned object: its index in the arena's table
 *	bits 7..0    OBJECT: SHOAL_KIND_…
 * count, of a pinned object, names the one entry that pins it (arena/pin.h):
 *	bits 63..38  low bits of the arena's id: another one may come to lie at the same address
 *	bits 37..24  which entry of the member's record
 *	bits 23..0   the member's tag: of whichever thread pinned it
 * So a thread may clear what another one got, and what outlived its thread, its process or its
 * arena clears nothing.
 *
 * Only the root bears OWNED: a copy of what lies within is a view.
 *
 * An owned string, list or map is one block of malloc: this header, `nodes` anys, the text. The
 * items of the root come first, so the block is found from them; the items of each list and the
 * pairs of each map lie side by side. Nodes that are not used are nil.
 */
#ifndef DATA_ANY_H
#define DATA_ANY_H

#include <shoal/any.h>
#include <stdio.h>

#define ANY_OWNED (UINT32_C(1) << 31)
#define ANY_BEYOND (UINT32_C(1) << 30)
#define ANY_OBJECT_KIND UINT32_C(0xff)
#define ANY_OBJECT_SHIFT 8
#define ANY_PIN_SHIFT 24
#define ANY_ARENA_SHIFT 38
#define ANY_DEPTH_MAX 64u
/* Of a value, encoded, and of its text: what a message takes. */
#define ANY_BYTES_MAX (UINT64_C(0x100000000) - 64)

_Static_assert(sizeof(size_t) == 8, "count has room for a pin");

struct any_block {
	uint64_t nodes;
	uint64_t objects; /* how many of them are pinned */
};

/* What lies inside an any, at any depth; without itself, but with its own text. */
struct any_size {
	uint64_t nodes;
	uint64_t text;    /* bytes of strings and bytes, a NUL behind each */
	uint64_t objects; /* itself included */
	const shoal_any *beyond; /* an int beyond INT64_MAX, itself included; NULL: none */
};

/*
 * 0, or why it is none that a container or a message takes: -EINVAL (too deep, a kind that there is
 * not, a key that is none), -EOVERFLOW, -EMSGSIZE.
 */
int any_measure(const shoal_any *v, struct any_size *out);

/* For sentences. */
const char *any_kind_name(uint32_t kind);

/*
 * The same of what is copied or encoded: what a call filled may be a snapshot, one level deeper.
 * And of what is printed: ints beyond INT64_MAX too.
 */
int any_measure_outside(const shoal_any *v, struct any_size *out);
int any_measure_printed(const shoal_any *v, struct any_size *out);
/* Of all items of a container, whose keys differ. */
int any_copy_whole(const shoal_any *v, shoal_any *out);

/*
 * The value without the pairs that later ones replace. `nodes` as measured; *out is a view of
 * *memory, which the caller frees, or, where nothing is replaced, v itself with memory NULL. 0,
 * -ENOMEM.
 */
int any_once(const shoal_any *v, uint64_t nodes, shoal_any *out, shoal_any **memory);
/* To `to`, which has room for all, the pairs of a map that no later one replaces: how many. */
size_t any_pairs_once(const shoal_any *map, shoal_any *to);
/* Whether some key comes twice in a map, at any depth. Measured. */
bool any_has_twice(const shoal_any *v);

/* A key of a map or dict: 0 or -EINVAL, -EOVERFLOW. */
int any_key_check(const shoal_any *key);
/* A total order of keys, 0 where they are the same key: of one kind and value. */
int any_key_compare(const shoal_any *a, const shoal_any *b);
/* Whether some key comes twice. 0, -EINVAL, -ENOMEM. */
int any_keys_differ(const shoal_any *map);

/* Room for so many nodes and so much text, with no object yet; NULL with a sentence. */
struct any_block *any_block_make(uint64_t nodes, uint64_t text);

static inline shoal_any *
any_nodes(struct any_block *b)
{
	return (shoal_any *)(void *)(b + 1);
}

static inline char *
any_text(struct any_block *b)
{
	return (char *)(any_nodes(b) + b->nodes);
}

/* Items of a list, and both of each pair of a map. */
static inline uint64_t
any_items(const shoal_any *v)
{
	if (v->kind == SHOAL_ANY_LIST)
		return v->count;
	return v->kind == SHOAL_ANY_MAP ? 2 * (uint64_t)v->count : 0;
}

static inline bool
any_is_text(const shoal_any *v)
{
	return v->kind == SHOAL_ANY_STRING || v->kind == SHOAL_ANY_BYTES;
}

static inline bool
any_is_key(const shoal_any *v)
{
	return v->kind == SHOAL_ANY_INT || v->kind == SHOAL_ANY_BOOL || any_is_text(v);
}

/* An owned one is a block of malloc. */
static inline bool
any_needs_block(const shoal_any *v)
{
	return any_is_text(v) || v->kind == SHOAL_ANY_LIST || v->kind == SHOAL_ANY_MAP;
}

#endif
