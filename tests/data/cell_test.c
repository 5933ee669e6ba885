#include "data/cell.h"
#include "harness.h"
#include <math.h>
#include <shoal/shoal.h>
#include <stdlib.h>
#include <string.h>

/* Through a cell: what comes out. */
static int
through(shoal_any v, struct cell *c, shoal_any *out)
{
	int rc = cell_of(NULL, &v, c);
	if (rc)
		return rc;
	char *bytes = malloc(c->bytes + 1);
	bytes[c->bytes] = 'z';
	cell_write(&v, c, bytes);
	REQUIRE_EQ(bytes[c->bytes], 'z');
	bytes = realloc(bytes, c->bytes ? c->bytes : 1);
	rc = cell_read(NULL, c, bytes, out);
	free(bytes);
	return rc;
}

static void
expect_same(shoal_any v, uint32_t bytes, uint32_t nodes)
{
	struct cell c;
	shoal_any out;
	REQUIRE_EQ(through(v, &c, &out), 0);
	REQUIRE_EQ(c.kind, v.kind);
	REQUIRE_EQ(c.bytes, bytes);
	REQUIRE_EQ(c.nodes, nodes);
	REQUIRE_EQ(c.refs, 0);
	REQUIRE_EQ(out.kind, v.kind);
	REQUIRE(shoal_any_equal(&v, &out));
	if (v.kind == SHOAL_ANY_STRING)
		REQUIRE_EQ(out.as.string[v.count], 0);
	shoal_any_clear(&out);
}

Test(cell, each_kind_goes_in_and_comes_out)
{
	expect_same(SHOAL_NIL, 0, 0);
	expect_same(SHOAL_ANY((bool)true), 8, 0);
	expect_same(SHOAL_ANY(INT64_MIN), 8, 0);
	expect_same(SHOAL_ANY(0.1), 8, 0);
	expect_same(SHOAL_ANY(""), 0, 0);
	expect_same(SHOAL_ANY("text"), 4, 0);
	expect_same(shoal_any_from_bytes("\0\1", 2), 2, 0);
	expect_same(shoal_any_from_items(NULL, 0), 1, 0);
	expect_same(SHOAL_LIST(1, "a", SHOAL_LIST(SHOAL_NIL)), 6, 4);
	expect_same(SHOAL_MAP("a", SHOAL_MAP(1, 0.5)), 8, 4);
}

Test(cell, a_nan_keeps_its_bits)
{
	uint64_t bits = UINT64_C(0x7ff8dead0000beef), seen;
	shoal_any v = SHOAL_ANY(0.0), out;
	struct cell c;
	memcpy(&v.as, &bits, sizeof bits);
	REQUIRE_EQ(through(v, &c, &out), 0);
	memcpy(&seen, &out.as, sizeof seen);
	REQUIRE(seen == bits);
}

Test(cell, a_key_is_its_kind_and_bytes)
{
	struct cell c;
	shoal_any good[] = { SHOAL_ANY(1), SHOAL_ANY((bool)true), SHOAL_ANY("k"),
		             shoal_any_from_bytes("k", 1) };
	shoal_any bad[] = { SHOAL_NIL, SHOAL_ANY(1.0), SHOAL_LIST(1), SHOAL_MAP(1, 1) };
	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(key_of(&good[i], &c), 0);
		REQUIRE_EQ(c.kind, good[i].kind);
		REQUIRE_EQ(key_of(&bad[i], &c), -EINVAL);
	}
	shoal_any beyond = SHOAL_ANY(UINT64_MAX);
	REQUIRE_EQ(key_of(&beyond, &c), -EOVERFLOW);
}

Test(cell, damaged_ones_are_refused)
{
	struct cell c;
	shoal_any v = SHOAL_LIST(1, "abc", SHOAL_LIST(2, 3)), out = SHOAL_ANY(77);
	unsigned char bytes[16], *at = bytes;
	REQUIRE_EQ(cell_of(NULL, &v, &c), 0);
	cell_write(&v, &c, bytes);
	struct cell wrong[] = {
		{ 99, 8, 0, 0 },
		{ SHOAL_ANY_NIL, 1, 0, 0 },
		{ SHOAL_ANY_INT, 7, 0, 0 },
		{ SHOAL_ANY_LIST, 0, 0, 0 },
		{ SHOAL_ANY_LIST, c.bytes, 0, c.nodes - 1 },
		{ SHOAL_ANY_LIST, c.bytes, 0, UINT32_MAX },
		{ SHOAL_ANY_LIST, c.bytes - 1, 0, c.nodes },
		{ SHOAL_ANY_MAP, c.bytes, 0, c.nodes },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		REQUIRE_EQ(cell_read(NULL, &wrong[i], at, &out), -EPROTO);
		REQUIRE_EQ(out.as.integer, 77);
	}
	/* More nodes than there are is no harm. */
	struct cell loose = { SHOAL_ANY_LIST, c.bytes, 0, c.bytes - 1 };
	REQUIRE_EQ(cell_read(NULL, &loose, at, &out), 0);
	REQUIRE(shoal_any_equal(&v, &out));
	shoal_any_clear(&out);
	/* Each byte in each way: something comes out, or an error. */
	for (uint32_t i = 0; i < c.bytes; i++)
		for (unsigned x = 1; x < 256; x++) {
			at[i] ^= (unsigned char)x;
			if (cell_read(NULL, &c, at, &out) == 0)
				shoal_any_clear(&out);
			at[i] ^= (unsigned char)x;
		}
}
