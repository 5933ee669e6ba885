/*
 * What several processes did to the keys of a dict, recorded while they did it, and whether there
 * is an order of it that explains every result: for each key by itself, since calls on different
 * keys do not meet.
 *
 * An operation took effect at one moment between its begin and its end. One whose process was
 * killed in it has no end: it took effect later, or never.
 */
#ifndef TESTS_DATA_HISTORY_H
#define TESTS_DATA_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
	HISTORY_GET,
	HISTORY_SET,
	HISTORY_POP,
	HISTORY_EXCHANGE,
	HISTORY_ADD
};

#define HISTORY_ABSENT INT64_MIN

struct history_op {
	int64_t begin, end; /* end 0: it was killed */
	int64_t arg; /* SET, ADD; EXCHANGE: what it becomes */
	int64_t expected; /* EXCHANGE */
	int64_t result; /* GET, POP: a value or ABSENT; EXCHANGE: whether; ADD: the sum */
	uint32_t key;
	uint32_t kind;
};

/* All of one key, in any order; at most HISTORY_MAX. The key was absent before. */
enum {
	HISTORY_MAX = 2048
};
bool history_explained(struct history_op *op, size_t count);

#endif
