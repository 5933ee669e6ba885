/*
 * A list that only grows, and whose entries are used again: an entry's object is set last and
 * cleared first, so a reader finds no half-made one; a name that changes while it is read may come
 * out mixed, in a report.
 */
#include "sync/name.h"
#include "base/error.h"
#include <stdlib.h>
#include <string.h>

struct name {
	struct name *next;
	word64 object; /* its address; 0: nobody's; BEING_MADE */
	char text[NAME_MAX_BYTES];
};

#define BEING_MADE UINT64_C(1)

static word64 names; /* struct name *, of this process */

static struct name *
first(void)
{
	return (struct name *)(uintptr_t)load_acquire(&names);
}

static struct name *
find(uint64_t object)
{
	struct name *n = first();
	while (n && load_acquire(&n->object) != object)
		n = n->next;
	return n;
}

static struct name *
add(void)
{
	struct name *n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	store_relaxed(&n->object, BEING_MADE);
	do
		n->next = first();
	while (!cas64_acq_rel(&names, (uintptr_t)n->next, (uintptr_t)n));
	return n;
}

void
name_forget(const void *object)
{
	struct name *n = find((uintptr_t)object);
	if (unlikely(n != NULL))
		store_release(&n->object, 0);
}

int
name_give(const void *object, const char *name)
{
	size_t length = name ? strlen(name) : 0;
	if (length >= NAME_MAX_BYTES)
		return fail(-EINVAL, "a name of %zu bytes: it may have %d", length, NAME_MAX_BYTES - 1);
	name_forget(object);
	if (!length)
		return 0;
	struct name *n = find(0);
	if (!n || !cas64_acq_rel(&n->object, 0, BEING_MADE))
		n = add();
	if (!n)
		return fail(-ENOMEM, "no memory for the name '%s'", name);
	memcpy(n->text, name, length + 1);
	store_release(&n->object, (uintptr_t)object);
	return 0;
}

const char *
name_of(const void *object, char text[NAME_MAX_BYTES + 8])
{
	const struct name *n = find((uintptr_t)object);
	if (n)
		snprintf(text, NAME_MAX_BYTES + 8, "'%.*s'", NAME_MAX_BYTES - 1, n->text);
	else
		snprintf(text, NAME_MAX_BYTES + 8, "at %p", object);
	return text;
}
