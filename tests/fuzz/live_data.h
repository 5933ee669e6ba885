/*
 * The containers, the value and the array of the fuzzed arena: what they are made of, where their
 * words lie, and the calls on them.
 */
#ifndef FUZZ_LIVE_DATA_H
#define FUZZ_LIVE_DATA_H

#include "sync/robust.h"
#include <shoal/shoal.h>

enum { DATA_DICTS = 2, DATA_LISTS = 2 };

/* Pointers that a program has in its own memory. */
struct live_data {
	shoal_dict *dict[DATA_DICTS]; /* a few hundred keys; a few, and levels in chunks */
	shoal_list *list[DATA_LISTS]; /* a tree; one whose writer died in the midst of a change */
	shoal_namespace *names;
	shoal_value *value;
	shoal_array *array;
};

void data_make(shoal_arena *a, struct live_data *d);
/* What one that is about to be killed leaves: a change of list 1, with blocks in and out. */
void data_half_change(const struct live_data *d);

/* Calls fn for each part with words in it that may be overwritten. */
void data_each_region(const shoal_arena *a, const struct live_data *d,
                      void (*fn)(const char *what, uint64_t at, uint64_t bytes));
/* The robust words that have a lock's meaning. */
void data_each_lock(const struct live_data *d, void (*fn)(const struct robust *r));

/* Some word of some block that is a container's part, or 0 where there is none any more. */
uint64_t data_part_word(const shoal_arena *a, uint16_t block, uint16_t word);
/* After data_make: remembers which blocks those are. */
void data_find_parts(const shoal_arena *a);

/* One call of them, chosen by `which`; x and y choose what it is given. */
void data_call(shoal_arena *a, struct live_data *d, uint8_t which, uint8_t x, uint8_t y);

#endif
