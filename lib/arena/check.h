/*
 * shoal_arena_check, in parts: every invariant of the layout, looked at on an arena that is quiet.
 * Each violation is a line.
 *
 *	blocks    runs end where the next begins; each word has one of the states; whoever it names
 *	          has it: a magazine (in exactly one slot), a hand or a loan, an object (its body)
 *	slabs     the list of each class has exactly its pages
 *	members   a record that is free holds nothing; a living one's magazines are its own
 *	objects   one that is ready has its body; no two have one name; then the kind looks at it
 *
 * What a dead member holds that is not recovered yet is in order: its record names it. A tag that
 * is nobody's is not.
 */
#ifndef ARENA_CHECK_H
#define ARENA_CHECK_H

#include "arena/walk.h"

struct check {
	shoal_arena *a;
	FILE *report; /* or NULL */
	int found;
	uint32_t slab_pages[SMALL_CLASSES]; /* met by the walk */
	uint32_t *parts; /* of each object, below `objects`; NULL where there is no memory to count */
	uint32_t objects;
};

void check_wrong(struct check *c, const char *format, ...) SHOAL_PRINTF_(2, 3);

void check_blocks(struct check *c);
void check_slabs(struct check *c); /* after check_blocks */
void check_members(struct check *c);
void check_objects(struct check *c);

/* The record that bears the tag now, living or dead and not recovered; NULL where nobody does. */
struct member *check_bearer(const shoal_arena *a, uint32_t tag);

#endif
