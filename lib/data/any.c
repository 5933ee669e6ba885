/* Anys that own nothing: making them, and looking at what they are. */
#include "data/any.h"
#include <shoal/arena.h>
#include <string.h>

const char *
any_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[SHOAL_ANY_NIL] = "nil",       [SHOAL_ANY_BOOL] = "bool",
		[SHOAL_ANY_INT] = "int",       [SHOAL_ANY_DOUBLE] = "double",
		[SHOAL_ANY_STRING] = "string", [SHOAL_ANY_BYTES] = "bytes",
		[SHOAL_ANY_LIST] = "list",     [SHOAL_ANY_MAP] = "map",
		[SHOAL_ANY_OBJECT] = "object",
	};
	return kind < sizeof names / sizeof *names ? names[kind] : "none";
}

static shoal_any
view(uint32_t kind, size_t count)
{
	return (shoal_any){ .kind = kind, .count = count };
}

shoal_any
shoal_any_from_bool(bool b)
{
	shoal_any v = view(SHOAL_ANY_BOOL, 0);
	v.as.boolean = b;
	return v;
}

shoal_any
shoal_any_from_int(long long i)
{
	shoal_any v = view(SHOAL_ANY_INT, 0);
	v.as.integer = i;
	return v;
}

shoal_any
shoal_any_from_uint(unsigned long long u)
{
	shoal_any v = shoal_any_from_int((long long)u);
	v.internal_ = u > INT64_MAX ? ANY_BEYOND : 0;
	return v;
}

shoal_any
shoal_any_from_double(double d)
{
	shoal_any v = view(SHOAL_ANY_DOUBLE, 0);
	v.as.real = d;
	return v;
}

shoal_any
shoal_any_from_string(const char *s)
{
	if (!s)
		return SHOAL_NIL;
	shoal_any v = view(SHOAL_ANY_STRING, strlen(s));
	v.as.string = s;
	return v;
}

shoal_any
shoal_any_from_bytes(const void *p, size_t bytes)
{
	if (!p && bytes)
		return SHOAL_NIL;
	shoal_any v = view(SHOAL_ANY_BYTES, bytes);
	v.as.bytes = p ? p : "";
	return v;
}

shoal_any
shoal_any_from_items(const shoal_any *items, size_t count)
{
	if (!items && count)
		return SHOAL_NIL;
	shoal_any v = view(SHOAL_ANY_LIST, count);
	v.as.items = items;
	return v;
}

shoal_any
shoal_any_from_pairs(const shoal_any *items, size_t count)
{
	if (!items && count)
		return SHOAL_NIL;
	shoal_any v = view(SHOAL_ANY_MAP, count);
	v.as.items = items;
	return v;
}

static shoal_any
from_object(void *object, uint32_t kind)
{
	if (!object)
		return SHOAL_NIL;
	shoal_any v = view(SHOAL_ANY_OBJECT, 0);
	v.internal_ = kind;
	v.as.object = object;
	return v;
}

shoal_any
shoal_any_from_queue(shoal_queue *q)
{
	return from_object(q, SHOAL_KIND_QUEUE);
}

shoal_any
shoal_any_from_pipe(shoal_pipe_end *end)
{
	return from_object(end, SHOAL_KIND_PIPE);
}

shoal_any
shoal_any_from_value(shoal_value *value)
{
	return from_object(value, SHOAL_KIND_VALUE);
}

shoal_any
shoal_any_from_array(shoal_array *array)
{
	return from_object(array, SHOAL_KIND_ARRAY);
}

shoal_any
shoal_any_from_list(shoal_list *list)
{
	return from_object(list, SHOAL_KIND_LIST);
}

shoal_any
shoal_any_from_dict(shoal_dict *dict)
{
	return from_object(dict, SHOAL_KIND_DICT);
}

shoal_any
shoal_any_from_namespace(shoal_namespace *ns)
{
	return from_object(ns, SHOAL_KIND_NAMESPACE);
}

/* ---- looking ---- */

int64_t
shoal_any_int(const shoal_any *v, int64_t otherwise)
{
	if (v && v->kind == SHOAL_ANY_INT && !(v->internal_ & ANY_BEYOND))
		return v->as.integer;
	return v && v->kind == SHOAL_ANY_BOOL ? v->as.boolean : otherwise;
}

double
shoal_any_double(const shoal_any *v, double otherwise)
{
	if (v && v->kind == SHOAL_ANY_DOUBLE)
		return v->as.real;
	if (v && v->kind == SHOAL_ANY_INT)
		return v->internal_ & ANY_BEYOND ? (double)(uint64_t)v->as.integer : (double)v->as.integer;
	return v && v->kind == SHOAL_ANY_BOOL ? v->as.boolean : otherwise;
}

bool
shoal_any_bool(const shoal_any *v, bool otherwise)
{
	if (v && v->kind == SHOAL_ANY_BOOL)
		return v->as.boolean;
	return v && v->kind == SHOAL_ANY_INT ? v->as.integer != 0 : otherwise;
}

const char *
shoal_any_string(const shoal_any *v, const char *otherwise)
{
	return v && v->kind == SHOAL_ANY_STRING ? v->as.string : otherwise;
}

static void *
to_object(const shoal_any *v, uint32_t kind)
{
	bool is = v && v->kind == SHOAL_ANY_OBJECT && (v->internal_ & ANY_OBJECT_KIND) == kind;
	return is ? v->as.object : NULL;
}

shoal_list *
shoal_any_to_list(const shoal_any *v)
{
	return to_object(v, SHOAL_KIND_LIST);
}

shoal_dict *
shoal_any_to_dict(const shoal_any *v)
{
	return to_object(v, SHOAL_KIND_DICT);
}

shoal_queue *
shoal_any_to_queue(const shoal_any *v)
{
	return to_object(v, SHOAL_KIND_QUEUE);
}

const shoal_any *
shoal_any_at(const shoal_any *v, size_t index)
{
	return v && v->kind == SHOAL_ANY_LIST && index < v->count ? &v->as.items[index] : NULL;
}

/* From the end, since of two equal keys the last one counts. */
const shoal_any *
shoal_any_find(const shoal_any *v, const char *key)
{
	if (!v || v->kind != SHOAL_ANY_MAP || !key)
		return NULL;
	shoal_any wanted = shoal_any_from_string(key);
	for (size_t i = v->count; i-- > 0;)
		if (any_key_compare(&v->as.items[2 * i], &wanted) == 0)
			return &v->as.items[2 * i + 1];
	return NULL;
}
