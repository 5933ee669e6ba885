/*
 * What several processes did to one small list, recorded while they did it, and whether there is an
 * order of it that explains every result.
 *
 * An operation took effect at one moment between its begin and its end. One whose process was
 * killed in it has no end: it took effect later, or never.
 */
#ifndef TESTS_DATA_LIST_HISTORY_H
#define TESTS_DATA_LIST_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum list_call_kind {
	CALL_APPEND,  /* arg */
	CALL_INSERT,  /* arg, in front */
	CALL_POP,     /* at index */
	CALL_GET,     /* at index */
	CALL_SET,     /* arg at index */
	CALL_SIZE,
	CALL_REVERSE,
	CALL_ALL,     /* result: list_history_sum of the items */
	CALL_KINDS
};

#define LIST_ABSENT INT64_MIN

enum {
	LIST_HISTORY_MAX = 64
};

struct list_op {
	int64_t begin, end; /* end 0: it was killed */
	int64_t arg;
	int64_t result; /* an item or LIST_ABSENT; a size; a sum */
	int32_t index;  /* 0 or -1 */
	uint32_t kind;
};

/* Another one for each list of items. */
int64_t list_history_sum(const int64_t *items, size_t count);

/* In any order; the list was empty before. */
bool list_history_explained(const struct list_op *op, size_t count);

#endif
