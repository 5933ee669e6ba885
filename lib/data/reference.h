/*
 * References to objects of an arena, as cells and messages have them: object_ref of the object, and
 * in bit 0, which an offset never has, whether it is the right end of a pipe.
 */
#ifndef DATA_REFERENCE_H
#define DATA_REFERENCE_H

#include "arena/arena.h"
#include <shoal/any.h>

#define REFERENCE_RIGHT UINT64_C(1)

/* Whether it is an object of this arena, whole and of its kind: 0 or -EINVAL. */
int reference_check(const shoal_arena *a, const shoal_any *object);
/* Of one that was checked; 0 where it has gone since. */
shoal_ref reference_of(const shoal_any *object);
/*
 * The object that it names, pinned in this thread's record: 0; -ENOENT: gone; -EINVAL: none of this
 * arena, or of a kind that no value refers to; -EPERM: the arena is read-only; or no memory for the
 * pin.
 */
int reference_pin(shoal_arena *a, shoal_ref ref, shoal_any *out);
/*
 * One of those in a value that is read: pinned, as reference_pin does. What holds a value keeps
 * what is in it, but for a queue or pipe, which goes when it is destroyed: GONE_IS_NIL has nil in
 * its stead, GONE_FAILS gives -ENOENT and says so.
 */
enum reference_gone { GONE_FAILS, GONE_IS_NIL };
int reference_read(shoal_arena *a, shoal_ref ref, enum reference_gone gone, shoal_any *out);
/* Of one that reference_pin, or reference_pin_again, filled. */
void reference_unpin(const shoal_any *object);
/* Pins the object of a view. 0, or -EINVAL: it is none of a mapped arena. */
int reference_pin_again(shoal_any *object);

/*
 * What a call that puts a value in gives where counting its references gave rc: -ENOENT would tell
 * of a key or an index that is not there.
 */
int reference_counted(int rc);

static inline shoal_ref
reference_object(shoal_ref ref)
{
	return ref & ~REFERENCE_RIGHT;
}

#endif
