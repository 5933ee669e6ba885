/* Entries as private copies, before they are found to be whole. */
#include "base/error.h"
#include "data/dict.h"
#include <stdlib.h>

static inline size_t
value_at(const struct dict_copy *copy)
{
	return entry_value_at(copy->head.key_bytes) - sizeof copy->head;
}

int
dict_copy_entry(const struct dict_call *c, uint64_t offset, const struct dict_entry *head,
                struct dict_copy *out)
{
	out->head = *head;
	size_t bytes = value_at(out) + head->value_bytes;
	const void *from = dict_at(c, offset + sizeof *head, bytes);
	out->bytes = (char *)out->inside;
	if (!from)
		return dict_damaged(c);
	if (bytes > sizeof out->inside && !(out->bytes = malloc(bytes)))
		return fail(-ENOMEM, "no memory for a copy of %zu bytes", bytes);
	racy_read(out->bytes, from, bytes);
	return 0;
}

void
dict_copy_clear(struct dict_copy *copy)
{
	if (copy->bytes != (char *)copy->inside)
		free(copy->bytes);
	copy->bytes = (char *)copy->inside;
}

int
dict_copy_key(const struct dict_call *c, const struct dict_copy *copy, shoal_any *out)
{
	struct cell cell = { .kind = copy->head.key_kind, .bytes = copy->head.key_bytes };
	return cell_read(c->in.arena, &cell, copy->bytes, out);
}

int
dict_copy_value(const struct dict_call *c, const struct dict_copy *copy, enum reference_gone gone,
                shoal_any *out)
{
	struct cell cell = {
		.kind = copy->head.value_kind,
		.bytes = copy->head.value_bytes,
		.refs = copy->head.value_refs,
		.nodes = copy->head.value_nodes,
	};
	return cell_read_as(c->in.arena, &cell, copy->bytes + value_at(copy), gone, out);
}
