#include "list_history.h"
#include <stdlib.h>
#include <string.h>

/*
 * The search of Wing and Gong with Lowe's memory of what was tried: an operation may be the next
 * when none of those left ended before it began.
 */
enum {
	TRIED = 1 << 16
};

struct state {
	int64_t item[LIST_HISTORY_MAX];
	size_t count;
};

struct search {
	const struct list_op *op;
	size_t count;
	uint64_t done, must; /* bits: those that took effect; those that have an end */
	uint64_t tried[TRIED]; /* hashes of what led nowhere */
};

int64_t
list_history_sum(const int64_t *items, size_t count)
{
	uint64_t h = count + 1;
	for (size_t i = 0; i < count; i++)
		h = (h ^ (uint64_t)items[i]) * UINT64_C(0x9e3779b97f4a7c15), h ^= h >> 29;
	return (int64_t)(h >> 1);
}

static void
put(struct state *s, size_t at, int64_t v)
{
	memmove(s->item + at + 1, s->item + at, (s->count - at) * sizeof *s->item);
	s->item[at] = v;
	s->count++;
}

static void
reverse(struct state *s)
{
	for (size_t i = 0; i < s->count / 2; i++) {
		int64_t v = s->item[i];
		s->item[i] = s->item[s->count - 1 - i];
		s->item[s->count - 1 - i] = v;
	}
}

/* What the call gives; the state becomes what it is afterwards. */
static int64_t
apply(const struct list_op *o, struct state *s)
{
	size_t at = o->index < 0 && s->count ? s->count - 1 : 0;
	int64_t there = s->count ? s->item[at] : LIST_ABSENT;
	switch (o->kind) {
	case CALL_APPEND: put(s, s->count, o->arg); return 0;
	case CALL_INSERT: put(s, 0, o->arg); return 0;
	case CALL_POP:
		if (s->count)
			memmove(s->item + at, s->item + at + 1, (--s->count - at) * sizeof *s->item);
		return there;
	case CALL_GET: return there;
	case CALL_SET:
		if (!s->count)
			return LIST_ABSENT;
		s->item[at] = o->arg;
		return 0;
	case CALL_SIZE: return (int64_t)s->count;
	case CALL_REVERSE: reverse(s); return 0;
	default: return list_history_sum(s->item, s->count);
	}
}

static bool
was_tried(struct search *s, const struct state *state)
{
	uint64_t h = (uint64_t)list_history_sum(state->item, state->count) ^ s->done;
	h = (h * UINT64_C(0xff51afd7ed558ccd)) | 1;
	for (size_t i = (h >> 20) % TRIED, n = 0; n < 64; i = (i + 1) % TRIED, n++) {
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
	for (size_t i = 0; i < s->count; i++)
		if (!(s->done >> i & 1) && s->op[i].end && s->op[i].end < end)
			end = s->op[i].end;
	return end;
}

static bool
explain(struct search *s, const struct state *state)
{
	if ((s->done & s->must) == s->must)
		return true;
	if (was_tried(s, state))
		return false;
	int64_t end = earliest_end(s);
	for (size_t i = 0; i < s->count; i++) {
		struct state next = *state;
		if (s->done >> i & 1 || s->op[i].begin > end)
			continue;
		int64_t result = apply(&s->op[i], &next);
		if (s->op[i].end && result != s->op[i].result)
			continue;
		s->done |= UINT64_C(1) << i;
		if (explain(s, &next))
			return true;
		s->done &= ~(UINT64_C(1) << i);
	}
	return false;
}

bool
list_history_explained(const struct list_op *op, size_t count)
{
	struct search *s = calloc(1, sizeof *s);
	struct state empty = { .count = 0 };
	if (!s || count > LIST_HISTORY_MAX)
		abort();
	s->op = op;
	s->count = count;
	for (size_t i = 0; i < count; i++)
		s->must |= (uint64_t)(op[i].end != 0) << i;
	bool explained = explain(s, &empty);
	free(s);
	return explained;
}
