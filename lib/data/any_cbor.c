/* shoal_any_encode, shoal_any_decode: anys as bytes for files and wires outside the arena. */
#include "base/error.h"
#include "data/cbor.h"
#include <stdlib.h>
#include <string.h>

static ssize_t
encode(const shoal_any *v, void *buffer, size_t bytes)
{
	uint64_t needed = cbor_write(v, NULL, 0);
	if (needed > bytes)
		return fail_small(needed, "the value has %llu bytes as CBOR, the buffer %zu",
		                  (unsigned long long)needed, bytes);
	return (ssize_t)cbor_write(v, buffer, bytes);
}

ssize_t
shoal_any_encode(const shoal_any *v, void *buffer, size_t bytes)
{
	struct any_size size;
	shoal_any view, *memory;
	ssize_t rc = any_measure_outside(v, &size);
	if (rc)
		return rc;
	if (size.objects)
		return fail(-EINVAL, "a value with an object in it goes by put_any, send_any or a "
		                     "container: bytes outside the arena cannot name it");
	rc = any_once(v, size.nodes, &view, &memory);
	if (rc == 0)
		rc = encode(&view, buffer, bytes);
	free(memory);
	return rc;
}

/* Every map of the block, and the value itself. The input may have changed since it was counted. */
static int
check_keys(const shoal_any *v)
{
	if (v->kind != SHOAL_ANY_LIST && v->kind != SHOAL_ANY_MAP)
		return 0;
	const struct any_block *b = (const struct any_block *)(const void *)v->as.items - 1;
	int rc = v->kind == SHOAL_ANY_MAP ? any_keys_differ(v) : 0;
	for (uint64_t i = 0; rc == 0 && i < b->nodes; i++)
		if (v->as.items[i].kind == SHOAL_ANY_MAP)
			rc = any_keys_differ(&v->as.items[i]);
	return rc;
}

int
shoal_any_decode(const void *cbor, size_t bytes, shoal_any *out)
{
	struct cbor_counts counts;
	struct any_block *b = NULL;
	shoal_any v;
	*out = SHOAL_NIL;
	if (bytes > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "%zu bytes of CBOR: the most is %llu", bytes,
		            (unsigned long long)ANY_BYTES_MAX);
	int rc = cbor_count(cbor, bytes, false, &counts);
	if (rc)
		return rc;
	if (counts.block && !(b = any_block_make(counts.nodes, bytes)))
		return -ENOMEM;
	if (b)
		memcpy(any_text(b), cbor, bytes);
	rc = cbor_read(NULL, b, cbor, bytes, GONE_FAILS, &v);
	if (rc == 0 && counts.nodes && (rc = check_keys(&v)))
		shoal_any_clear(&v);
	if (rc == 0)
		*out = v;
	return rc;
}
