/* Anys that own what they refer to: measuring, copying, giving back. */
#include "base/error.h"
#include "data/any.h"
#include "data/reference.h"
#include <stdlib.h>
#include <string.h>

static int measure(const shoal_any *v, struct any_size *size, unsigned levels);

static int
measure_items(const shoal_any *v, struct any_size *size, unsigned levels)
{
	uint64_t n = any_items(v);
	if (levels == 0)
		return fail(-EINVAL, "lists and maps within each other: more than %u deep", ANY_DEPTH_MAX);
	if (v->count > ANY_BYTES_MAX || n > ANY_BYTES_MAX || (size->nodes += n) > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "more than %llu items in a value",
		            (unsigned long long)ANY_BYTES_MAX);
	for (uint64_t i = 0; i < n; i++) {
		const shoal_any *item = &v->as.items[i];
		if (v->kind == SHOAL_ANY_MAP && i % 2 == 0 && !any_is_key(item))
			return any_key_check(item);
		int rc = measure(item, size, levels - 1);
		if (rc)
			return rc;
	}
	return 0;
}

static int
measure(const shoal_any *v, struct any_size *size, unsigned levels)
{
	switch (v->kind) {
	case SHOAL_ANY_NIL:
	case SHOAL_ANY_BOOL:
	case SHOAL_ANY_DOUBLE:
		return 0;
	case SHOAL_ANY_INT:
		/* Noted, so that all of it is looked at: it may be printed. */
		if (v->internal_ & ANY_BEYOND)
			size->beyond = v;
		return 0;
	case SHOAL_ANY_STRING:
	case SHOAL_ANY_BYTES:
		if (v->count > ANY_BYTES_MAX || (size->text += v->count + 1) > ANY_BYTES_MAX)
			return fail(-EMSGSIZE, "more than %llu bytes of text in a value",
			            (unsigned long long)ANY_BYTES_MAX);
		return 0;
	case SHOAL_ANY_LIST:
	case SHOAL_ANY_MAP:
		return measure_items(v, size, levels);
	case SHOAL_ANY_OBJECT:
		size->objects++;
		return 0;
	default:
		return fail(-EINVAL, "a shoal_any of kind %u: there is none; was it ever filled?",
		            v->kind);
	}
}

static int
measure_to(const shoal_any *v, struct any_size *out, unsigned levels)
{
	*out = (struct any_size){ 0 };
	int rc = measure(v, out, levels);
	if (rc == 0 && out->beyond)
		rc = fail(-EOVERFLOW, "%llu is more than INT64_MAX",
		          (unsigned long long)out->beyond->as.integer);
	return rc;
}

int
any_measure(const shoal_any *v, struct any_size *out)
{
	return measure_to(v, out, ANY_DEPTH_MAX);
}

static unsigned
levels_of(const shoal_any *v)
{
	return ANY_DEPTH_MAX + (v->internal_ & ANY_OWNED ? 1 : 0);
}

int
any_measure_outside(const shoal_any *v, struct any_size *out)
{
	return measure_to(v, out, levels_of(v));
}

int
any_measure_printed(const shoal_any *v, struct any_size *out)
{
	*out = (struct any_size){ 0 };
	return measure(v, out, levels_of(v));
}

struct any_block *
any_block_make(uint64_t nodes, uint64_t text)
{
	struct any_block *b = malloc(sizeof *b + nodes * sizeof(shoal_any) + text);
	if (b)
		*b = (struct any_block){ .nodes = nodes };
	else
		fail(-ENOMEM, "no memory for a value of %llu items and %llu bytes of text",
		     (unsigned long long)nodes, (unsigned long long)text);
	return b;
}

/* ---- copy ---- */

/* Where the next items and the next text go. */
struct room {
	shoal_any *node;
	char *text;
};

static void
copy_text(shoal_any *to, const shoal_any *from, struct room *room)
{
	if (from->count)
		memcpy(room->text, from->as.bytes, from->count);
	room->text[from->count] = 0;
	to->as.string = room->text;
	room->text += from->count + 1;
}

static void
copy_into(shoal_any *to, const shoal_any *from, struct room *room)
{
	*to = *from;
	to->internal_ &= ~ANY_OWNED;
	uint64_t n = any_items(from);
	shoal_any *items = room->node;
	if (any_is_text(from))
		copy_text(to, from, room);
	if (from->kind == SHOAL_ANY_LIST || from->kind == SHOAL_ANY_MAP)
		to->as.items = items;
	room->node += n;
	for (uint64_t i = 0; i < n; i++)
		copy_into(&items[i], &from->as.items[i], room);
}

static void
unpin_nodes(const struct any_block *b, uint64_t n)
{
	const shoal_any *nodes = any_nodes((struct any_block *)(uintptr_t)b);
	for (uint64_t i = 0; i < n; i++)
		if (nodes[i].kind == SHOAL_ANY_OBJECT)
			reference_unpin(&nodes[i]);
}

static int
pin_nodes(struct any_block *b, uint64_t objects)
{
	shoal_any *nodes = any_nodes(b);
	for (uint64_t i = 0; objects && i < b->nodes; i++) {
		int rc = nodes[i].kind == SHOAL_ANY_OBJECT ? reference_pin_again(&nodes[i]) : 0;
		if (rc) {
			unpin_nodes(b, i);
			return rc;
		}
	}
	b->objects = objects;
	return 0;
}

static int
copy_block(const shoal_any *v, const struct any_size *size, shoal_any *copy)
{
	struct any_block *b = any_block_make(size->nodes, size->text);
	if (!b)
		return -ENOMEM;
	struct room room = { any_nodes(b), any_text(b) };
	copy_into(copy, v, &room);
	int rc = pin_nodes(b, size->objects);
	if (rc)
		free(b);
	return rc;
}

static int
copy_of(const shoal_any *v, const struct any_size *size, shoal_any *out)
{
	int rc = 0;
	shoal_any copy = *v;
	copy.internal_ &= ~ANY_OWNED;
	if (any_needs_block(v))
		rc = copy_block(v, size, &copy);
	else if (v->kind == SHOAL_ANY_OBJECT)
		rc = reference_pin_again(&copy);
	if (rc)
		return rc;
	if (any_needs_block(v) || v->kind == SHOAL_ANY_OBJECT)
		copy.internal_ |= ANY_OWNED;
	*out = copy;
	return 0;
}

int
any_copy_whole(const shoal_any *v, shoal_any *out)
{
	struct any_size size;
	int rc = measure_to(v, &size, ANY_DEPTH_MAX + 1);
	return rc ? rc : copy_of(v, &size, out);
}

/* ---- of two equal keys the last one ---- */

/* Of a view that is this thread's own; what lies in it moves to the room. */
static void
thin(shoal_any *v, shoal_any **room)
{
	shoal_any *items = *room;
	if (v->kind == SHOAL_ANY_MAP)
		v->count = any_pairs_once(v, items);
	else if (v->kind == SHOAL_ANY_LIST && v->count)
		memcpy(items, v->as.items, v->count * sizeof *items);
	uint64_t n = any_items(v);
	if (n)
		v->as.items = items;
	*room += n;
	for (uint64_t i = 0; i < n; i++)
		thin(&items[i], room);
}

int
any_once(const shoal_any *v, uint64_t nodes, shoal_any *out, shoal_any **memory)
{
	*out = *v;
	out->internal_ &= ~ANY_OWNED;
	*memory = NULL;
	if (!any_has_twice(v))
		return 0;
	shoal_any *room = *memory = malloc(nodes * sizeof *room);
	if (!room)
		return fail(-ENOMEM, "no memory for a value of %llu items", (unsigned long long)nodes);
	thin(out, &room);
	return 0;
}

static int
copy_once(const shoal_any *v, const struct any_size *size, shoal_any *out)
{
	struct any_size left = *size;
	shoal_any view, *memory;
	int rc = any_once(v, size->nodes, &view, &memory);
	if (rc == 0 && memory)
		rc = measure_to(&view, &left, ANY_DEPTH_MAX + 1);
	if (rc == 0)
		rc = copy_of(&view, &left, out);
	free(memory);
	return rc;
}

int
shoal_any_copy(const shoal_any *v, shoal_any *out)
{
	struct any_size size;
	int rc = any_measure_outside(v, &size);
	if (rc == 0)
		rc = copy_once(v, &size, out);
	if (rc)
		*out = SHOAL_NIL;
	return rc;
}

/* ---- clear ---- */

void
shoal_any_clear(shoal_any *v)
{
	if (!v)
		return;
	if (v->internal_ & ANY_OWNED && v->kind == SHOAL_ANY_OBJECT) {
		reference_unpin(v);
	} else if (v->internal_ & ANY_OWNED && any_needs_block(v)) {
		struct any_block *b = (struct any_block *)(uintptr_t)v->as.items - 1;
		if (b->objects)
			unpin_nodes(b, b->nodes);
		free(b);
	}
	*v = SHOAL_NIL;
}
