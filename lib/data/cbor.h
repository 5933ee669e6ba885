/*
 * CBOR (RFC 8949), by libcbor's streaming calls: how lists and maps lie in cells, and how every
 * value travels in a message.
 *
 * Written: the shortest form of each number, a double as the shortest float that is equal to it
 * (NaN as the one half float), definite lengths, maps in their own order. So one value has one
 * encoding.
 *
 * A reference to an object of the arena is the tag CBOR_REFERENCE around an unsigned number of 8
 * bytes. The tag is private: outside an arena such a number says nothing.
 *
 * Read: whatever is well-formed, indefinite lengths too. undefined is nil; tags are passed over,
 * but for references and bignums, which are -EOVERFLOW like every int that is no int64; the other
 * simple values are refused. The length of a list on the wire allocates nothing: what is read is
 * counted first, or was counted by who wrote it.
 *
 * Reading for good is done in place. The bytes lie where the text of the value is to be, each
 * string moves to the left over its own head, which has at least the one byte that the NUL needs,
 * and the next item begins behind it. Anys are gathered on a stack that grows from the first node
 * up, and go to their place at the other end when their list or map ends; each is in one of the two
 * places, so both fit where `nodes` was right, and those of the outermost end up first.
 */
#ifndef DATA_CBOR_H
#define DATA_CBOR_H

#include "arena/arena.h"
#include "data/any.h"
#include "data/reference.h"

#define CBOR_REFERENCE UINT64_C(0x53686f6c) /* "Shol" */
/* A number, nil or a bool is never longer. */
#define CBOR_SCALAR_MAX 9u

/* How long the encoding is; as much of it as goes in `room` is written. */
uint64_t cbor_write(const shoal_any *v, void *to, uint64_t room);

struct cbor_counts {
	uint64_t nodes; /* anys inside, at any depth */
	uint64_t refs;
	bool block;     /* the value needs a block, be it without nodes */
};

/*
 * Reads all of it, and keeps nothing. -EINVAL: not well-formed, cut short, something behind it,
 * nested too deeply, a key that is none; a reference, unless `refs`. -EOVERFLOW. The sentence says
 * at which byte.
 */
int cbor_count(const void *bytes, uint64_t n, bool refs, struct cbor_counts *out);

/*
 * The value whose n bytes lie at any_text(b), in place. b is the value's then, or freed: where the
 * value needs none, and in case of failure. b may be NULL for what needs none, whose bytes are at
 * `scalar`. Objects of the arena are pinned; without an arena references are refused. -EINVAL,
 * -EOVERFLOW as above, also where b has too few nodes; -ENOENT: an object is gone.
 */
int cbor_read(shoal_arena *a, struct any_block *b, const void *scalar, uint64_t n,
              enum reference_gone gone, shoal_any *out);

/* The references, in their order: those from number `from` on, at most max. How many. */
size_t cbor_refs(const void *bytes, uint64_t n, shoal_ref *out, size_t max, size_t from);

#endif
