/*
 * Where a named arena stands: a directory that is held open, and a file's name in it.
 *
 * A plain name stands in this user's own directory, /dev/shm/shoal-<uid>, which nobody else can
 * write to or look into; a name with a slash is a path of the user's choosing, whose directory and
 * mode decide who may use it. Every later step is relative to the directory, so nobody can put
 * another one in its place in between.
 */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

#include <stdbool.h>

#define PLACE_BYTES 256

struct place {
	int dir;                /* O_PATH, close-on-exec */
	bool own;               /* in this user's directory: what others own is refused */
	char path[PLACE_BYTES]; /* absolute */
	const char *leaf;       /* in path */
};

/*
 * 0, -EINVAL (a bad name), -ENOENT (there is no such directory; `make` makes this user's own),
 * -EPERM (it is not safe to use) or another -errno, with a sentence. After 0 the place must be
 * left.
 */
int place_find(const char *name, bool make, struct place *out);
void place_leave(struct place *p);

#endif
