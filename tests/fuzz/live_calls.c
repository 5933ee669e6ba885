/* The calls on the containers, the value and the array of the fuzzed arena. */
#include "live_data.h"
#include "live_guard.h"
#include "live_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shoal_arena *arena;
static struct live_data *data;
static uint8_t x, y;
static char bytes[40000];

/* ---- what is given ---- */

static shoal_dict *
a_dict(void)
{
	return data->dict[x % DATA_DICTS];
}

static shoal_list *
a_list(void)
{
	return data->list[x % DATA_LISTS];
}

static shoal_any
a_key(void)
{
	static const char *const names[] = { "long", "other", "others", "new", "newer", "bytes" };
	if (y >= 240)
		return shoal_any_from_string(names[y % 6]);
	return shoal_any_from_int(y + (x & 2 ? 150 : 0));
}

static ptrdiff_t
an_index(void)
{
	return x & 2 ? y - 128 : y + (x & 4 ? 160 : 0);
}

/* Valid until the next one. */
static shoal_any
an_any(void)
{
	static shoal_any items[4];
	items[0] = items[2] = shoal_any_from_int(y);
	items[1] = shoal_any_from_string("text");
	items[3] = data->list[0] ? shoal_any_from_list(data->list[0]) : SHOAL_NIL;
	switch (x / 16) {
	case 0: return shoal_any_from_bytes(bytes, y * 8u);
	case 1: return shoal_any_from_bytes(bytes, y * 150u);
	case 2: return shoal_any_from_items(items, 4);
	case 3: return shoal_any_from_pairs(items, 2);
	case 4: return items[3];
	case 5: return data->dict[1] ? shoal_any_from_dict(data->dict[1]) : SHOAL_NIL;
	case 6: return SHOAL_NIL;
	case 7: return shoal_any_from_double(y);
	default: return shoal_any_from_int(y);
	}
}

/* All that is in it may be read, whatever was overwritten where it came from. */
static void
used(shoal_any *v)
{
	if (y % 4 == 0) {
		FILE *to = fopen("/dev/null", "w");
		if (to) {
			(void)shoal_any_print(v, to);
			fclose(to);
		}
	}
	shoal_any_clear(v);
}

/* ---- dicts ---- */

static void
dict_set(void)
{
	if (y % 8 == 7)
		(void)shoal_dict_set_bytes(a_dict(), &y, 1, bytes, x * 8u);
	else
		(void)shoal_dict_set(a_dict(), a_key(), an_any());
}

static void
dict_get(void)
{
	shoal_any v;
	if (shoal_dict_get(a_dict(), a_key(), &v) == 0)
		used(&v);
	ssize_t n = shoal_dict_get_bytes(a_dict(), "bytes", 5, bytes, sizeof bytes);
	live_must(n <= (ssize_t)sizeof bytes, "no more than there is room for");
	(void)shoal_dict_has(a_dict(), a_key());
}

static void
dict_pop(void)
{
	shoal_any k, v;
	switch (x / 32) {
	case 0:
		if (shoal_dict_popitem(a_dict(), &k, &v) == 0)
			used(&k), used(&v);
		break;
	case 1:
		(void)shoal_dict_pop_bytes(a_dict(), "bytes", 5);
		break;
	default:
		if (shoal_dict_pop(a_dict(), a_key(), &v) == 0)
			used(&v);
	}
}

static void
dict_change(void)
{
	int64_t sum;
	shoal_any to = shoal_any_from_int(y), v;
	switch (x / 2 % 4) {
	case 0:
		(void)shoal_dict_add_int(a_dict(), a_key(), x, &sum);
		break;
	case 1:
		if (shoal_dict_get(a_dict(), a_key(), &v) == 0) {
			(void)shoal_dict_compare_exchange(a_dict(), a_key(), &v, y % 2 ? &to : NULL);
			shoal_any_clear(&v);
		}
		break;
	case 2:
		if (shoal_dict_setdefault(a_dict(), a_key(), an_any(), &v) == 0)
			used(&v);
		break;
	default:
		to = an_any();
		if (to.kind == SHOAL_ANY_MAP)
			(void)shoal_dict_update(a_dict(), to);
	}
}

static void
dict_next(void)
{
	shoal_cursor c = { 0 };
	const shoal_any *k, *v;
	unsigned long seen = 0;
	while (shoal_dict_next(a_dict(), &c, &k, &v) == 1)
		live_must(++seen < 1000000, "an end to the items");
	shoal_cursor_clear(&c);
}

static void
dict_whole(void)
{
	shoal_any v;
	if (shoal_dict_snapshot(a_dict(), &v) == 0)
		used(&v);
	(void)shoal_dict_size(a_dict());
	(void)shoal_dict_version(a_dict());
	if (y % 4 == 0)
		(void)shoal_dict_clear(a_dict());
}

/* Levels, chunks and overflow lines come. */
static void
dict_fill(void)
{
	for (int i = 0; i < 64; i++)
		if (shoal_dict_set(a_dict(), SHOAL_ANY(1000 + 64 * y + i), SHOAL_ANY(i)))
			return;
}

/* ---- lists ---- */

static void
list_add(void)
{
	shoal_any other = data->list[1] ? shoal_any_from_list(data->list[1]) : an_any();
	switch (x / 2 % 4) {
	case 0: (void)shoal_list_insert(a_list(), an_index(), an_any()); break;
	case 1: (void)shoal_list_extend(a_list(), y % 4 ? an_any() : other); break;
	default: (void)shoal_list_append(a_list(), an_any());
	}
}

static void
list_take(void)
{
	shoal_any v;
	switch (x / 8 % 4) {
	case 0: (void)shoal_list_remove_at(a_list(), an_index()); break;
	case 1: (void)shoal_list_remove(a_list(), an_any()); break;
	default:
		if (shoal_list_pop(a_list(), y % 2 ? an_index() : -1, &v) == 0)
			used(&v);
	}
}

static void
list_get(void)
{
	shoal_any v;
	if (shoal_list_get(a_list(), an_index(), &v) == 0)
		used(&v);
	if (shoal_list_slice(a_list(), an_index(), an_index() + x, &v) == 0)
		used(&v);
	(void)shoal_list_size(a_list());
}

static void
list_change(void)
{
	int64_t sum;
	if (x & 8)
		(void)shoal_list_set(a_list(), an_index(), an_any());
	else
		(void)shoal_list_add_int(a_list(), an_index(), 1, &sum);
}

static int
by_kind(const shoal_any *a, const shoal_any *b, void *arg)
{
	(void)arg;
	return (int)a->kind - (int)b->kind;
}

static void
list_whole(void)
{
	shoal_any v;
	switch (y % 8) {
	case 0: (void)shoal_list_clear(a_list()); break;
	case 1: (void)shoal_list_sort(a_list(), NULL, NULL); break;
	case 2: (void)shoal_list_sort(a_list(), by_kind, NULL); break;
	case 3: (void)shoal_list_reverse(a_list()); break;
	case 4: (void)shoal_list_count(a_list(), an_any()); break;
	case 5: (void)shoal_list_index(a_list(), an_any()); break;
	default:
		if (shoal_list_snapshot(a_list(), &v) == 0)
			used(&v);
	}
}

/* ---- the others ---- */

static void
names(void)
{
	shoal_any v;
	if (y % 4 == 0)
		(void)shoal_namespace_set(data->names, y % 8 ? "a" : "b", an_any());
	else if (y % 4 == 1)
		(void)shoal_namespace_del(data->names, "a");
	else if (shoal_namespace_get(data->names, y % 8 > 4 ? "a" : "list", &v) == 0)
		used(&v);
}

static void
value(void)
{
	int64_t seen = y;
	guard_allow(" value");
	switch (x % 8) {
	case 0: (void)shoal_value_get_int(data->value); break;
	case 1: shoal_value_set_int(data->value, y); break;
	case 2: (void)shoal_value_add_int(data->value, y); break;
	case 3: (void)shoal_value_exchange_int(data->value, y); break;
	case 4: (void)shoal_value_compare_exchange_int(data->value, &seen, x); break;
	case 5: (void)shoal_value_get_double(data->value); break;
	default:
		if (shoal_rlock_acquire(shoal_value_lock(data->value), 0) == 0)
			(void)shoal_rlock_release(shoal_value_lock(data->value));
	}
}

static void
array(void)
{
	float cells[100];
	shoal_any v;
	guard_allow(" is no array");
	(void)shoal_array_count(data->array);
	(void)shoal_array_set(data->array, an_index(), an_any());
	if (shoal_array_get(data->array, an_index(), &v) == 0)
		shoal_any_clear(&v);
	(void)shoal_array_read(data->array, y, x % 100, cells);
	(void)shoal_array_write(data->array, y, x % 100, cells);
}

/* By its name, by its reference, and gone. */
static void
find_data(void)
{
	void *p;
	(void)shoal_dict_open(arena, x % 2 ? "dict-0" : "list-0", 0, (shoal_dict **)&p);
	(void)shoal_list_open(arena, "list-1", 0, (shoal_list **)&p);
	(void)shoal_value_open(arena, "value", 0, (shoal_value **)&p);
	(void)shoal_array_open(arena, "array", 0, (shoal_array **)&p);
	if (data->list[0])
		(void)shoal_list_at(arena, shoal_ref_of(arena, data->list[0]), (shoal_list **)&p);
	if (data->dict[0])
		(void)shoal_dict_at(arena, shoal_ref_of(arena, data->dict[0]), (shoal_dict **)&p);
}

static void
destroy_data(void)
{
	struct live_data was = *data;
	switch (y % 8) {
	case 0: data->names = NULL, (void)shoal_namespace_destroy(arena, was.names); break;
	case 1: data->value = NULL, (void)shoal_value_destroy(arena, was.value); break;
	case 2: data->array = NULL, (void)shoal_array_destroy(arena, was.array); break;
	case 3: case 4:
		data->list[x % DATA_LISTS] = NULL;
		(void)shoal_list_destroy(arena, was.list[x % DATA_LISTS]);
		break;
	default:
		data->dict[x % DATA_DICTS] = NULL;
		(void)shoal_dict_destroy(arena, was.dict[x % DATA_DICTS]);
	}
}

/* A value as a message: it may be another one's by now. */
static void
message(void)
{
	shoal_any v;
	shoal_queue *q = live.queue[x % LIVE_QUEUES];
	int rc = q && y % 2 ? shoal_queue_put_any(q, an_any(), 0) : -EAGAIN;
	if (q && rc && shoal_queue_get_any(q, &v, 0) == 0)
		used(&v);
}

/* ---- which ---- */

static void (*const of_dict[])(void) = {
	dict_set, dict_get, dict_pop, dict_change, dict_next, dict_whole, dict_fill, dict_set,
};
static void (*const of_list[])(void) = {
	list_add, list_take, list_get, list_change, list_whole, list_add, list_take, list_change,
};

void
data_call(shoal_arena *a, struct live_data *d, uint8_t which, uint8_t x_is, uint8_t y_is)
{
	arena = a, data = d, x = x_is, y = y_is;
	guard_allow("destroyed");
	if (which % 32 < 12) {
		if (a_dict())
			of_dict[which / 32]();
	} else if (which % 32 < 24) {
		if (a_list())
			of_list[which / 32]();
	} else if (which % 32 == 24) {
		if (data->names)
			names();
	} else if (which % 32 == 25) {
		if (data->value)
			value();
	} else if (which % 32 == 26) {
		if (data->array)
			array();
	} else if (which % 32 == 27) {
		guard_allow("is no object of that kind");
		destroy_data();
	} else if (which % 32 == 28) {
		find_data();
	} else {
		message();
	}
}
