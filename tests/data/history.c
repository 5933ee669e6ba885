#include "history.h"
#include <stdlib.h>
#include <string.h>

/*
 * The search of Wing and Gong with Lowe's memory of what was tried: an operation may be the next
 * when none of those left ended before it began.
 */
enum {
	WORDS = HISTORY_MAX / 64,
	TRIED = 1 << 16
};

struct search {
	const struct history_op *op;
	size_t count, must; /* of them, those that have an end and are not done */
	uint64_t done[WORDS];
	uint64_t tried[TRIED]; /* hashes of what led nowhere */
	size_t first; /* all before it are done */
};

static bool
is_done(const struct search *s, size_t i)
{
	return s->done[i / 64] >> i % 64 & 1;
}

/* What the key has afterwards; false where the result is not explained by what it has. */
static bool
apply(const struct history_op *o, int64_t *value)
{
	bool killed = o->end == 0;
	switch (o->kind) {
	case HISTORY_GET:
		return killed || o->result == *value;
	case HISTORY_SET:
		*value = o->arg;
		return true;
	case HISTORY_POP:
		if (!killed && o->result != *value)
			return false;
		*value = HISTORY_ABSENT;
		return true;
	case HISTORY_EXCHANGE:
		if (!killed && o->result != (*value == o->expected))
			return false;
		if (*value == o->expected)
			*value = o->arg;
		return true;
	default:
		*value = (*value == HISTORY_ABSENT ? 0 : *value) + o->arg;
		return killed || o->result == *value;
	}
}

static uint64_t
hash_of(const struct search *s, int64_t value)
{
	uint64_t h = (uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < WORDS; i++)
		h = (h ^ s->done[i]) * UINT64_C(0xff51afd7ed558ccd), h ^= h >> 32;
	return h | 1;
}

static bool
was_tried(struct search *s, int64_t value)
{
	uint64_t h = hash_of(s, value);
	for (size_t i = h % TRIED, n = 0; n < 64; i = (i + 1) % TRIED, n++) {
		if (s->tried[i] == h)
			return true;
		if (!s->tried[i]) {
			s->tried[i] = h;
			return false;
		}
	}
	return false;
}

static int64_t
earliest_end(const struct search *s)
{
	int64_t end = INT64_MAX;
	for (size_t i = s->first; i < s->count && s->op[i].begin <= end; i++)
		if (!is_done(s, i) && s->op[i].end && s->op[i].end < end)
			end = s->op[i].end;
	return end;
}

static bool
explain(struct search *s, int64_t value)
{
	if (s->must == 0)
		return true;
	if (was_tried(s, value))
		return false;
	size_t first = s->first;
	while (s->first < s->count && is_done(s, s->first))
		s->first++;
	int64_t end = earliest_end(s);
	for (size_t i = s->first; i < s->count && s->op[i].begin <= end; i++) {
		int64_t next = value;
		if (is_done(s, i) || !apply(&s->op[i], &next))
			continue;
		s->done[i / 64] |= UINT64_C(1) << i % 64;
		s->must -= s->op[i].end != 0;
		if (explain(s, next))
			return true;
		s->done[i / 64] &= ~(UINT64_C(1) << i % 64);
		s->must += s->op[i].end != 0;
	}
	s->first = first;
	return false;
}

static int
by_begin(const void *a, const void *b)
{
	const struct history_op *x = a, *y = b;
	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

bool
history_explained(struct history_op *op, size_t count)
{
	struct search *s = calloc(1, sizeof *s);
	if (!s || count > HISTORY_MAX)
		abort();
	qsort(op, count, sizeof *op, by_begin);
	s->op = op;
	s->count = count;
	for (size_t i = 0; i < count; i++)
		s->must += op[i].end != 0;
	bool explained = explain(s, HISTORY_ABSENT);
	free(s);
	return explained;
}
