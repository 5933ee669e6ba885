/*
 * A cell: how a value lies in shared memory, wherever: in an entry of a dict, in an item of a list.
 *
 *	NIL                 no bytes
 *	BOOL, INT, DOUBLE   8 bytes: 0 or 1, the two's complement, the IEEE bits
 *	STRING, BYTES       its bytes, no NUL
 *	LIST, MAP           CBOR (data/cbor.h)
 *	OBJECT              8 bytes: its reference
 *
 * A reference is that of the object (object_ref); bit 0, which an offset never has, tells the right
 * end of a pipe. References inside a cell do not count by themselves: whoever keeps a cell counts
 * those that cell_refs gives.
 *
 * Writing: cell_of, room for `bytes` somewhere, cell_write. Reading: the struct and the bytes are
 * copied to private memory, the copy is found to be whole (its version has not changed), and
 * cell_read makes it an any. What others may have overwritten gives -EPROTO, never a stray access.
 */
#ifndef DATA_CELL_H
#define DATA_CELL_H

#include "data/reference.h"
#include <shoal/any.h>

struct cell {
	uint32_t kind;  /* SHOAL_ANY_… */
	uint32_t bytes;
	uint32_t refs;  /* references inside */
	uint32_t nodes; /* LIST, MAP: anys inside, at any depth, so that a reader knows what it needs */
};

/*
 * Measures a value and looks whether it can be kept in this arena. 0; -EINVAL: nested deeper than
 * 64, a key that is none, an object that is not of this arena or was destroyed; -EOVERFLOW: an int
 * beyond INT64_MAX; -EMSGSIZE: 2^32 - 64 bytes or more. The sentence says which.
 */
int cell_of(shoal_arena *a, const shoal_any *v, struct cell *out);

/*
 * The same for a key of a dict: int, bool, string and bytes only. Two keys are the same one where
 * kind, bytes, and the bytes themselves are.
 */
int key_of(const shoal_any *key, struct cell *out);

/* Writes exactly c->bytes, which cell_of found for this value. `to` is aligned to 8. */
void cell_write(const shoal_any *v, const struct cell *c, void *to);

/*
 * An any that owns its memory, from a private copy of the cell's bytes; *out is overwritten.
 * Objects are pinned: whoever reads from a container looks at its version once more after this, and
 * clears *out where that has changed. -ENOMEM; -EPROTO: these bytes are no such value; -ENOENT: an
 * object is gone: the version has changed, or it was a queue or pipe.
 */
int cell_read_as(shoal_arena *a, const struct cell *c, const void *bytes, enum reference_gone gone,
                 shoal_any *out);

static inline int
cell_read(shoal_arena *a, const struct cell *c, const void *bytes, shoal_any *out)
{
	return cell_read_as(a, c, bytes, GONE_FAILS, out);
}

/*
 * The references inside, in their order, from the one of number `from` (0 is the first) on: up to
 * `max` of them go to out. How many. An object's own one is that of its first byte, of either end
 * of a pipe.
 */
size_t cell_refs(const struct cell *c, const void *bytes, shoal_ref *out, size_t max, size_t from);

#endif
