/*
 * map.c - gets and sets of random keys, copied in and out
 *
 * Every word of a value is the same and has the key in its upper half, so a value that is torn, or
 * another key's, shows. Nothing is ever removed: a key that is not found counts as wrong as well.
 */
#include "map.h"

#include "clock.h"

enum {
	VALUE_WORDS_MAX = 512,
	LOOK_EVERY = 64, /* calls between two looks at the stage */
	PERCENT_2_32 = 42949672, /* a hundredth of 2^32 */
};

bool
map_possible(const struct plan *p)
{
	if (p->bytes < 8 || p->bytes % 8 || p->bytes > 8 * VALUE_WORDS_MAX || !p->keys)
		return false;
	return p->measure != MAP_GROWTH || !p->subject->fill;
}

/* Neighbours in number are not neighbours as keys. */
static uint64_t
key_of(uint32_t number)
{
	return (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);
}

static void
value_make(uint64_t *value, size_t bytes, uint32_t number, uint32_t stamp)
{
	for (size_t i = 0; i < bytes / 8; i++)
		value[i] = (uint64_t)number << 32 | stamp;
}

static bool
value_whole(const uint64_t *value, size_t bytes, uint32_t number)
{
	uint64_t differ = 0;

	for (size_t i = 1; i < bytes / 8; i++)
		differ |= value[i] ^ value[0];
	return !differ && value[0] >> 32 == number;
}

static uint64_t
random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

bool
map_fill(struct work *w)
{
	const struct plan *p = w->plan;
	const struct subject *s = p->subject;
	uint64_t value[VALUE_WORDS_MAX];
	void *map;
	int rc = 0;

	w->row = &w->stage->row[0];
	if (p->measure == MAP_GROWTH || s->traits & SUBJECT_PRIVATE)
		return true;
	map = s->join(w->opening);
	if (!map)
		return work_failed(w, "join", 0);
	for (uint32_t i = 0; i < p->keys && rc == 0; i++) {
		value_make(value, p->bytes, i, 0);
		rc = s->fill ? s->fill(map, key_of(i), value, p->bytes)
		             : s->set(map, key_of(i), value, p->bytes);
	}
	if (rc == 0 && s->fill)
		rc = s->fill(map, 0, NULL, 0);
	return rc == 0 ? true : work_failed(w, "set", rc);
}

static bool
fill_own(struct work *w, void *map)
{
	uint64_t value[VALUE_WORDS_MAX];
	int rc = 0;

	for (uint32_t i = 0; i < w->plan->keys && rc == 0; i++) {
		value_make(value, w->plan->bytes, i, 0);
		rc = w->plan->subject->set(map, key_of(i), value, w->plan->bytes);
	}
	return rc == 0 ? true : work_failed(w, "set", rc);
}

static long
use_once(const struct work *w, void *map, uint64_t random, uint32_t sets_below, uint64_t *value)
{
	const struct subject *s = w->plan->subject;
	size_t bytes = w->plan->bytes;
	uint32_t number = (uint32_t)((random >> 32) * w->plan->keys >> 32);
	long got;

	if ((uint32_t)random < sets_below) {
		value_make(value, bytes, number, (uint32_t)random);
		return s->set(map, key_of(number), value, bytes);
	}
	value[0] = ~UINT64_C(0);
	got = s->get(map, key_of(number), value, bytes);
	if (got < 0)
		return got;
	w->row->bad += (size_t)got != bytes || !value_whole(value, bytes, number);
	return 0;
}

bool
map_use(struct work *w)
{
	enum measure m = w->plan->measure;
	bool half = m == MAP_HALF || m == MAP_HALF_ALONE;
	uint32_t sets_below = (half ? 50u : 5u) * PERCENT_2_32;
	uint64_t value[VALUE_WORDS_MAX], random, count = 0, cpu_began;
	void *map = w->plan->subject->join(w->opening);
	long rc = 0;

	if (!map)
		return work_failed(w, "join", 0);
	if (w->plan->subject->traits & SUBJECT_PRIVATE && !fill_own(w, map))
		return false;
	random = key_of((uint32_t)(w->row - w->stage->row) + 1) ^ clock_ns();
	work_gather(w);
	cpu_began = clock_thread_cpu_ns();
	while (rc == 0 && !atomic_load_explicit(&w->stage->stop, memory_order_relaxed)) {
		for (int i = 0; i < LOOK_EVERY && rc == 0; i++)
			rc = use_once(w, map, random_next(&random), sets_below, value);
		count += LOOK_EVERY;
		atomic_store_explicit(&w->row->count, count, memory_order_relaxed);
	}
	w->row->messages = count;
	w->row->cpu_ns = clock_thread_cpu_ns() - cpu_began;
	return rc == 0 ? true : work_failed(w, "get or set", rc);
}

/* Every call is timed: the longest one is what growth may not make long. */
bool
map_grow(struct work *w)
{
	const struct plan *p = w->plan;
	uint64_t value[VALUE_WORDS_MAX], began, last, cpu_began;
	void *map = p->subject->join(w->opening);
	int rc = 0;

	if (!map)
		return work_failed(w, "join", 0);
	cpu_began = clock_thread_cpu_ns();
	began = last = clock_ns();
	for (uint32_t i = 0; i < p->keys && rc == 0; i++) {
		uint64_t now;

		value_make(value, p->bytes, i, 0);
		rc = p->subject->set(map, key_of(i), value, p->bytes);
		now = clock_ns();
		if (now - last > w->row->pause_ns)
			w->row->pause_ns = now - last;
		last = now;
		atomic_store_explicit(&w->row->count, i + 1, memory_order_relaxed);
	}
	w->row->took_ns = last - began;
	w->row->messages = p->keys;
	w->row->cpu_ns = clock_thread_cpu_ns() - cpu_began;
	return rc == 0 ? true : work_failed(w, "set", rc);
}
