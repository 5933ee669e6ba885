#include "data/cell.h"
#include "base/error.h"
#include "data/cbor.h"
#include <string.h>

#define WORD_BYTES 8u

/* ---- measuring ---- */

static int
check_objects(const shoal_arena *a, const shoal_any *v)
{
	if (v->kind == SHOAL_ANY_OBJECT)
		return reference_check(a, v);
	int rc = 0;
	for (uint64_t i = 0; i < any_items(v) && rc == 0; i++)
		rc = check_objects(a, &v->as.items[i]);
	return rc;
}

/* How long it is in a cell; a list or map as CBOR. */
static uint64_t
length(const shoal_any *v)
{
	switch (v->kind) {
	case SHOAL_ANY_NIL: return 0;
	case SHOAL_ANY_STRING:
	case SHOAL_ANY_BYTES: return v->count;
	case SHOAL_ANY_LIST:
	case SHOAL_ANY_MAP: return cbor_write(v, NULL, 0);
	default: return WORD_BYTES;
	}
}

int
cell_of(shoal_arena *a, const shoal_any *v, struct cell *out)
{
	struct any_size size;
	int rc = any_measure(v, &size);
	if (rc == 0 && size.objects)
		rc = check_objects(a, v);
	if (rc)
		return rc;
	uint64_t bytes = length(v);
	if (bytes > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "a value of %llu bytes, encoded: the most is %llu",
		            (unsigned long long)bytes, (unsigned long long)ANY_BYTES_MAX);
	*out = (struct cell){
		.kind = v->kind,
		.bytes = (uint32_t)bytes,
		.refs = (uint32_t)size.objects,
		.nodes = (uint32_t)size.nodes,
	};
	return 0;
}

int
key_of(const shoal_any *key, struct cell *out)
{
	int rc = any_key_check(key);
	return rc ? rc : cell_of(NULL, key, out);
}

/* ---- writing ---- */

static uint64_t
word_of(const shoal_any *v)
{
	uint64_t word = (uint64_t)v->as.integer;
	if (v->kind == SHOAL_ANY_BOOL)
		return v->as.boolean;
	if (v->kind == SHOAL_ANY_DOUBLE)
		memcpy(&word, &v->as.real, sizeof word);
	return v->kind == SHOAL_ANY_OBJECT ? reference_of(v) : word;
}

void
cell_write(const shoal_any *v, const struct cell *c, void *to)
{
	switch (c->kind) {
	case SHOAL_ANY_NIL:
		return;
	case SHOAL_ANY_STRING:
	case SHOAL_ANY_BYTES:
		memcpy(to, c->bytes ? v->as.bytes : "", c->bytes);
		return;
	case SHOAL_ANY_LIST:
	case SHOAL_ANY_MAP:
		cbor_write(v, to, c->bytes);
		return;
	default: {
		uint64_t word = word_of(v);
		memcpy(to, &word, sizeof word);
	}
	}
}

/* ---- reading ---- */

static int
damaged(const struct cell *c)
{
	return fail(-EPROTO, "%u bytes are no value of kind %u: shared memory was overwritten",
	            c->bytes, c->kind);
}

static int
read_word(shoal_arena *a, const struct cell *c, const void *bytes, enum reference_gone gone,
          shoal_any *out)
{
	uint64_t word;
	if (c->bytes != sizeof word)
		return damaged(c);
	memcpy(&word, bytes, sizeof word);
	if (c->kind == SHOAL_ANY_OBJECT) {
		int rc = reference_read(a, word, gone, out);
		if (rc == 0 && out->kind == SHOAL_ANY_OBJECT)
			out->internal_ |= ANY_OWNED;
		return rc == -EINVAL ? damaged(c) : rc;
	}
	*out = (shoal_any){ .kind = c->kind };
	if (c->kind == SHOAL_ANY_BOOL)
		out->as.boolean = word & 1;
	else
		memcpy(&out->as, &word, sizeof word);
	return 0;
}

static int
read_text(const struct cell *c, const void *bytes, shoal_any *out)
{
	struct any_block *b = any_block_make(0, (uint64_t)c->bytes + 1);
	if (!b)
		return -ENOMEM;
	char *text = any_text(b);
	if (c->bytes)
		memcpy(text, bytes, c->bytes);
	text[c->bytes] = 0;
	*out = (shoal_any){ .kind = c->kind, .internal_ = ANY_OWNED, .count = c->bytes };
	out->as.string = text;
	return 0;
}

/* Each any has at least a byte, so damaged counts make nobody allocate much. */
static int
read_cbor(shoal_arena *a, const struct cell *c, const void *bytes, enum reference_gone gone,
          shoal_any *out)
{
	struct any_block *b = NULL;
	if (c->nodes < c->bytes && !(b = any_block_make(c->nodes, c->bytes)))
		return -ENOMEM;
	if (!b)
		return damaged(c);
	memcpy(any_text(b), bytes, c->bytes);
	shoal_any v;
	int rc = cbor_read(a, b, NULL, c->bytes, gone, &v);
	if (rc == -EINVAL || rc == -EOVERFLOW)
		return damaged(c);
	if (rc)
		return rc;
	if (v.kind != c->kind) {
		shoal_any_clear(&v);
		return damaged(c);
	}
	*out = v;
	return 0;
}

int
cell_read_as(shoal_arena *a, const struct cell *c, const void *bytes, enum reference_gone gone,
             shoal_any *out)
{
	switch (c->kind) {
	case SHOAL_ANY_NIL:
		if (c->bytes)
			return damaged(c);
		*out = SHOAL_NIL;
		return 0;
	case SHOAL_ANY_BOOL:
	case SHOAL_ANY_INT:
	case SHOAL_ANY_DOUBLE:
	case SHOAL_ANY_OBJECT:
		return read_word(a, c, bytes, gone, out);
	case SHOAL_ANY_STRING:
	case SHOAL_ANY_BYTES:
		return read_text(c, bytes, out);
	case SHOAL_ANY_LIST:
	case SHOAL_ANY_MAP:
		return read_cbor(a, c, bytes, gone, out);
	default:
		return damaged(c);
	}
}

size_t
cell_refs(const struct cell *c, const void *bytes, shoal_ref *out, size_t max, size_t from)
{
	shoal_ref ref;
	if (!c->refs || !max || from >= c->refs)
		return 0;
	if (c->kind == SHOAL_ANY_LIST || c->kind == SHOAL_ANY_MAP)
		return cbor_refs(bytes, c->bytes, out, max, from);
	if (c->kind != SHOAL_ANY_OBJECT || c->bytes != sizeof ref)
		return 0;
	memcpy(&ref, bytes, sizeof ref);
	*out = reference_object(ref);
	return 1;
}
