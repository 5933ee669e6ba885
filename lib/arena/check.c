#include "arena/check.h"
#include "arena/header.h"
#include "arena/object.h"
#include "base/error.h"
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_COMPARED 4096u /* each with each */

void
check_wrong(struct check *c, const char *format, ...)
{
	if (c->found < INT_MAX)
		c->found++;
	if (!c->report)
		return;
	va_list args;
	va_start(args, format);
	vfprintf(c->report, format, args);
	va_end(args);
	fputc('\n', c->report);
}

struct member *
check_bearer(const shoal_arena *a, uint32_t tag)
{
	uint32_t index = tag_index(tag);
	if (!index || index > walk_members(a))
		return NULL;
	struct member *m = arena_member(a, index);
	if (!load_acquire(&m->life.word) || tag_make(index, load_acquire(&m->generation)) != tag)
		return NULL;
	return m;
}

static void
check_header(struct check *c)
{
	struct arena_header copy;
	memcpy(&copy, c->a->header, sizeof copy);
	if (header_validate(&copy, c->a->bytes, "the arena"))
		check_wrong(c, "header: %s", shoal_error());
}

/* ---- objects ---- */

static bool
has_body(struct check *c, uint32_t i, const struct object *o)
{
	uint64_t body = load_acquire(&o->body);
	const word64 *word = body ? block_word_at(c->a, body) : NULL;
	if (word && load_acquire(word) == block_word(BLOCK_OBJECT, i, 0))
		return true;
	check_wrong(c,
	            "object %u is ready, but its body at offset 0x%llx is not a block of its own",
	            i, (unsigned long long)body);
	return false;
}

static void
check_ready(struct check *c, uint32_t i)
{
	struct object *o = arena_object(c->a, i);
	if (!memchr(o->name, 0, NAME_BYTES))
		check_wrong(c, "object %u has a name without an end", i);
	if (load_relaxed(&o->owner) > c->a->members_max)
		check_wrong(c, "object %u belongs to process record %u, which is none", i,
		            load_relaxed(&o->owner) - 1);
	if (!has_body(c, i, o))
		return;
	const struct kind_ops *ops = kind_of(c->a, i);
	uint64_t parts = c->parts && i < c->objects ? c->parts[i] : KIND_PARTS_UNKNOWN;
	if (parts && c->parts && !(ops && ops->parts))
		check_wrong(c, "object %u has %llu blocks beside its body, which its kind has not", i,
		            (unsigned long long)parts);
	int more = ops && ops->check ? ops->check(c->a, i, parts, c->report) : 0;
	if (more > 0)
		c->found = more < INT_MAX - c->found ? c->found + more : INT_MAX;
}

static void
check_object(struct check *c, uint32_t i)
{
	uint64_t word = load_acquire(&arena_object(c->a, i)->word);
	enum object_state state = object_state(word);
	if (state > OBJECT_KEPT)
		check_wrong(c, "object %u has state %u", i, state);
	else if (state == OBJECT_MAKING && !check_bearer(c->a, (uint32_t)word & 0xffffff))
		check_wrong(c, "object %u is being made by tag 0x%x, which is nobody's", i,
		            (uint32_t)word & 0xffffff);
	else if (object_ready(c->a, i))
		check_ready(c, i);
}

static bool
is_named(const shoal_arena *a, uint32_t i)
{
	return object_state(load_acquire(&arena_object(a, i)->word)) == OBJECT_READY;
}

static void
check_name(struct check *c, uint32_t i)
{
	const struct object *o = arena_object(c->a, i);
	if (!o->name[0] || !is_named(c->a, i))
		return;
	if (load_relaxed(arena_name_hash(c->a, i)) != object_name_hash(o->name))
		check_wrong(c, "object %u is not found by its name, '%.63s'", i, o->name);
	for (uint32_t j = 1; j < i; j++)
		if (is_named(c->a, j) &&
		    !strncmp(arena_object(c->a, j)->name, o->name, NAME_BYTES))
			check_wrong(c, "objects %u and %u have one name, '%.63s'", j, i, o->name);
}

void
check_objects(struct check *c)
{
	uint32_t high = objects_high(c->a);
	for (uint32_t i = 0; i < high; i++)
		check_object(c, i);
	for (uint32_t i = 1; i < high && i < NAMES_COMPARED; i++)
		check_name(c, i);
}

int
shoal_arena_check(shoal_arena *a, FILE *report)
{
	int rc = arena_asked(__func__, a, a);
	if (rc)
		return rc;
	uint32_t objects = objects_high(a);
	struct check c = { .a = a, .report = report, .objects = objects };
	c.parts = calloc(objects, sizeof *c.parts);
	check_header(&c);
	check_blocks(&c);
	check_slabs(&c);
	check_members(&c);
	check_objects(&c);
	free(c.parts);
	return c.found;
}
