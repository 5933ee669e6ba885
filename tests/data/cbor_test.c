#include "data/any.h"
#include "harness.h"
#include "steps.h"
#include <math.h>
#include <shoal/shoal.h>
#include <stdlib.h>
#include <string.h>

static size_t
from_hex(const char *hex, unsigned char *to)
{
	size_t n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], 0 };
		to[i] = (unsigned char)strtoul(two, NULL, 16);
	}
	return n;
}

/* The bytes at the end of a page's worth of their own, so that ASan sees one read too far. */
static int
decode(const char *hex, shoal_any *out)
{
	unsigned char *bytes = malloc(strlen(hex) / 2 + 1);
	size_t n = from_hex(hex, bytes);
	bytes = realloc(bytes, n ? n : 1);
	int rc = shoal_any_decode(bytes, n, out);
	free(bytes);
	return rc;
}

static void
expect_hex(shoal_any v, const char *hex)
{
	unsigned char bytes[512], want[512];
	ssize_t n = shoal_any_encode(&v, bytes, sizeof bytes);
	REQUIRE_EQ(n, from_hex(hex, want));
	REQUIRE(memcmp(bytes, want, (size_t)n) == 0);
}

/* Read, it is this value; and written again, these bytes. */
static void
expect_both(const char *hex, shoal_any want)
{
	shoal_any v;
	REQUIRE_EQ(decode(hex, &v), 0);
	REQUIRE_EQ(v.kind, want.kind);
	REQUIRE(shoal_any_equal(&v, &want));
	expect_hex(want, hex);
	expect_hex(v, hex);
	shoal_any_clear(&v);
}

/* Read, it is this value, whose own encoding is another one. */
static void
expect_read(const char *hex, shoal_any want)
{
	shoal_any v;
	REQUIRE_EQ(decode(hex, &v), 0);
	REQUIRE_EQ(v.kind, want.kind);
	REQUIRE(shoal_any_equal(&v, &want));
	shoal_any_clear(&v);
}

static void
expect_refused(const char *hex, int code)
{
	shoal_any v = SHOAL_ANY(77);
	REQUIRE_EQ(decode(hex, &v), code);
	REQUIRE_EQ(v.kind, SHOAL_ANY_NIL);
}

/* ---- RFC 8949, appendix A ---- */

Test(cbor, integers_of_the_standard)
{
	expect_both("00", SHOAL_ANY(0));
	expect_both("01", SHOAL_ANY(1));
	expect_both("0a", SHOAL_ANY(10));
	expect_both("17", SHOAL_ANY(23));
	expect_both("1818", SHOAL_ANY(24));
	expect_both("1819", SHOAL_ANY(25));
	expect_both("1864", SHOAL_ANY(100));
	expect_both("1903e8", SHOAL_ANY(1000));
	expect_both("1a000f4240", SHOAL_ANY(1000000));
	expect_both("1b000000e8d4a51000", SHOAL_ANY(1000000000000));
	expect_both("20", SHOAL_ANY(-1));
	expect_both("29", SHOAL_ANY(-10));
	expect_both("3863", SHOAL_ANY(-100));
	expect_both("3903e7", SHOAL_ANY(-1000));
	expect_both("1b7fffffffffffffff", SHOAL_ANY(INT64_MAX));
	expect_both("3b7fffffffffffffff", SHOAL_ANY(INT64_MIN));
	expect_refused("1b8000000000000000", -EOVERFLOW);
	expect_refused("1bffffffffffffffff", -EOVERFLOW);
	expect_refused("3b8000000000000000", -EOVERFLOW);
	expect_refused("3bffffffffffffffff", -EOVERFLOW);
	expect_refused("c249010000000000000000", -EOVERFLOW);
	expect_refused("c349010000000000000000", -EOVERFLOW);
	expect_refused("c25f42010043000000ff", -EOVERFLOW);
}

Test(cbor, floats_of_the_standard)
{
	expect_both("f90000", SHOAL_ANY(0.0));
	expect_hex(SHOAL_ANY(-0.0), "f98000");
	expect_both("f93c00", SHOAL_ANY(1.0));
	expect_both("fb3ff199999999999a", SHOAL_ANY(1.1));
	expect_both("f93e00", SHOAL_ANY(1.5));
	expect_both("f97bff", SHOAL_ANY(65504.0));
	expect_both("fa47c35000", SHOAL_ANY(100000.0));
	expect_both("fa7f7fffff", SHOAL_ANY(3.4028234663852886e+38));
	expect_both("fb7e37e43c8800759c", SHOAL_ANY(1.0e+300));
	expect_both("f90001", SHOAL_ANY(5.960464477539063e-8));
	expect_both("f90400", SHOAL_ANY(0.00006103515625));
	expect_both("f9c400", SHOAL_ANY(-4.0));
	expect_both("fbc010666666666666", SHOAL_ANY(-4.1));
	expect_both("f97c00", SHOAL_ANY(INFINITY));
	expect_both("f9fc00", SHOAL_ANY(-INFINITY));
	expect_hex(SHOAL_ANY(NAN), "f97e00");
	expect_hex(SHOAL_ANY(-NAN), "f97e00");
	expect_read("fa7f800000", SHOAL_ANY(INFINITY));
	expect_read("fb7ff0000000000000", SHOAL_ANY(INFINITY));
	expect_read("fbfff0000000000000", SHOAL_ANY(-INFINITY));
	const char *nans[] = { "f97e00", "fa7fc00000", "fb7ff8000000000000" };
	for (int i = 0; i < 3; i++) {
		shoal_any v;
		REQUIRE_EQ(decode(nans[i], &v), 0);
		REQUIRE(isnan(shoal_any_double(&v, 0)));
	}
}

/* A float that fits is written as a half only where the half is the same number. */
Test(cbor, the_shortest_float_is_exact)
{
	expect_hex(SHOAL_ANY(65505.0), "fa477fe100");
	expect_hex(SHOAL_ANY(65536.0), "fa47800000");
	expect_hex(SHOAL_ANY(0x1p-14 + 0x1p-24), "f90401");
	expect_hex(SHOAL_ANY(0x3ffp-24), "f903ff");
	expect_hex(SHOAL_ANY(0x1p-25), "fa33000000");
	expect_hex(SHOAL_ANY(0x1p-24 + 0x1p-26), "fa33a00000");
	expect_hex(SHOAL_ANY(0x1p-149), "fa00000001");
	expect_hex(SHOAL_ANY(0x1p-150), "fb3690000000000000");
	expect_hex(SHOAL_ANY(0x1p128), "fb47f0000000000000");
	/* All halves: what is read of one is written as it. */
	for (unsigned half = 0; half < 0x10000; half++) {
		if ((half & 0x7c00) == 0x7c00 && half & 0x3ff)
			continue;
		unsigned char bytes[3] = { 0xf9, (unsigned char)(half >> 8), (unsigned char)half };
		unsigned char again[9];
		shoal_any v;
		REQUIRE_EQ(shoal_any_decode(bytes, 3, &v), 0);
		REQUIRE_EQ(shoal_any_encode(&v, again, sizeof again), 3);
		REQUIRE(memcmp(bytes, again, 3) == 0);
	}
}

Test(cbor, simple_values_of_the_standard)
{
	expect_both("f4", SHOAL_ANY((bool)false));
	expect_both("f5", SHOAL_ANY((bool)true));
	expect_both("f6", SHOAL_NIL);
	expect_read("f7", SHOAL_NIL);
	expect_refused("f0", -EINVAL);
	expect_refused("f818", -EINVAL);
	expect_refused("f8ff", -EINVAL);
}

Test(cbor, tags_of_the_standard_are_passed_over)
{
	expect_read("c074323031332d30332d32315432303a30343a30305a", SHOAL_ANY("2013-03-21T20:04:00Z"));
	expect_read("c11a514b67b0", SHOAL_ANY(1363896240));
	expect_read("c1fb41d452d9ec200000", SHOAL_ANY(1363896240.5));
	expect_read("d74401020304", shoal_any_from_bytes("\1\2\3\4", 4));
	expect_read("d818456449455446", shoal_any_from_bytes("dIETF", 5));
	expect_read("d82076687474703a2f2f7777772e6578616d706c652e636f6d",
	            SHOAL_ANY("http://www.example.com"));
	expect_read("d9d9f783c001c10203", SHOAL_LIST(1, 2, 3));
	/* Many of them are no depth. */
	char hex[2 * 1000 + 3];
	memset(hex, 'c', sizeof hex);
	for (int i = 0; i < 1000; i++)
		hex[2 * i + 1] = '0';
	strcpy(hex + 2000, "05");
	expect_read(hex, SHOAL_ANY(5));
}

Test(cbor, strings_of_the_standard)
{
	expect_both("40", shoal_any_from_bytes("", 0));
	expect_both("4401020304", shoal_any_from_bytes("\1\2\3\4", 4));
	expect_both("60", SHOAL_ANY(""));
	expect_both("6161", SHOAL_ANY("a"));
	expect_both("6449455446", SHOAL_ANY("IETF"));
	expect_both("62225c", SHOAL_ANY("\"\\"));
	expect_both("62c3bc", SHOAL_ANY("\u00fc"));
	expect_both("63e6b0b4", SHOAL_ANY("\u6c34"));
	expect_both("64f0908591", SHOAL_ANY("\U00010151"));
	expect_read("5f42010243030405ff", shoal_any_from_bytes("\1\2\3\4\5", 5));
	expect_read("7f657374726561646d696e67ff", SHOAL_ANY("streaming"));
	expect_read("5fff", shoal_any_from_bytes("", 0));
	expect_read("7f60ff", SHOAL_ANY(""));
}

static shoal_any
to_25(shoal_any items[25])
{
	for (int i = 0; i < 25; i++)
		items[i] = SHOAL_ANY(i + 1);
	return shoal_any_from_items(items, 25);
}

Test(cbor, lists_and_maps_of_the_standard)
{
	shoal_any items[25];
	expect_both("80", shoal_any_from_items(NULL, 0));
	expect_both("83010203", SHOAL_LIST(1, 2, 3));
	expect_both("8301820203820405", SHOAL_LIST(1, SHOAL_LIST(2, 3), SHOAL_LIST(4, 5)));
	expect_both("98190102030405060708090a0b0c0d0e0f101112131415161718181819", to_25(items));
	expect_both("a0", shoal_any_from_pairs(NULL, 0));
	expect_both("a201020304", SHOAL_MAP(1, 2, 3, 4));
	expect_both("a26161016162820203", SHOAL_MAP("a", 1, "b", SHOAL_LIST(2, 3)));
	expect_both("826161a161626163", SHOAL_LIST("a", SHOAL_MAP("b", "c")));
	shoal_any pairs[10];
	for (int i = 0; i < 10; i++)
		pairs[i] = shoal_any_from_string(&"a\0b\0c\0d\0e\0A\0B\0C\0D\0E"[2 * (i / 2 + i % 2 * 5)]);
	expect_both("a56161614161626142616361436164614461656145", shoal_any_from_pairs(pairs, 5));
}

Test(cbor, endless_ones_of_the_standard)
{
	shoal_any items[25];
	shoal_any nested = SHOAL_LIST(1, SHOAL_LIST(2, 3), SHOAL_LIST(4, 5));
	expect_read("9fff", shoal_any_from_items(NULL, 0));
	expect_read("9f018202039f0405ffff", nested);
	expect_read("9f01820203820405ff", nested);
	expect_read("83018202039f0405ff", nested);
	expect_read("83019f0203ff820405", nested);
	expect_read("9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", to_25(items));
	expect_read("bf61610161629f0203ffff", SHOAL_MAP("a", 1, "b", SHOAL_LIST(2, 3)));
	expect_read("826161bf61626163ff", SHOAL_LIST("a", SHOAL_MAP("b", "c")));
	expect_read("bf6346756ef563416d7421ff", SHOAL_MAP("Fun", (bool)true, "Amt", -2));
}

/* ---- hostile bytes ---- */

Test(cbor, what_is_cut_short_is_refused)
{
	const char *whole = "a26161016162830282636162630405f5";
	char hex[64];
	shoal_any v;
	REQUIRE_EQ(decode(whole, &v), -EINVAL);
	whole = "a2616101616283028263616263045f4105ff";
	REQUIRE_EQ(decode("a26161016162830282636162630405", &v), 0);
	shoal_any_clear(&v);
	for (size_t n = 0; n < strlen(whole); n += 2) {
		memcpy(hex, whole, n);
		hex[n] = 0;
		expect_refused(hex, -EINVAL);
	}
	const char *cut[] = { "18",   "19",   "1900",     "1a",   "1b00000000000000", "38",   "41",
		              "58",   "61",   "7a000000", "81",   "98",               "9f",   "9f01",
		              "a1",   "a101", "bf",       "bf01", "c0",               "d8",   "d9ff",
		              "5f",   "5f41", "7f",       "f9",   "fa0000",           "fb",   "f8",
		              "8182", "c0c0" };
	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
		expect_refused(cut[i], -EINVAL);
}

Test(cbor, lengths_that_are_lies_allocate_nothing)
{
	const char *lies[] = {
		"9bffffffffffffffff", "9b7fffffffffffffff", "9b8000000000000000", "bbffffffffffffffff",
		"bb8000000000000000", "bb4000000000000000", "5bffffffffffffffff", "7bffffffffffffffff",
		"5b7fffffffffffffff", "9affffffff0000000",  "baffffffff0000",      "99ffff00",
		"819affffffff",       "9f9bffffffffffffffff", "a2010203",          "8301",
	};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
		expect_refused(lies[i], -EINVAL);
}

Test(cbor, what_is_no_cbor_is_refused)
{
	const char *wrong[] = {
		"1c", "1d", "1e", "1f", "3c", "3f", "5c", "7e", "9c", "9d", "bc", "be", "dc", "df", "fc",
		"fd", "fe", "ff", "81ff", "c0ff", "a1ff", "a101ff", "9fc0ff", "bf01ff", "bfc0ff",
		/* Parts of strings that are none. */
		"5f01ff", "5f6161ff", "7f4161ff", "5f5f4101ffff", "5fc04101ff", "7f80ff", "5ff6ff",
		/* Something behind the value. */
		"0000", "8000", "f6f6", "61610a", "9fffff",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_refused(wrong[i], -EINVAL);
}

Test(cbor, keys_are_what_a_dict_takes)
{
	const char *wrong[] = { "a1f601", "a1f93c0001", "a18001", "a1a001", "a19fff01", "bff601ff",
		                "81a1f600" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_refused(wrong[i], -EINVAL);
	expect_read("a4010141610161610120f5", SHOAL_MAP(1, 1, shoal_any_from_bytes("a", 1), 1, "a", 1,
	                                                 -1, (bool)true));
}

Test(cbor, a_key_comes_once)
{
	expect_refused("a201010102", -EINVAL);
	expect_refused("a2616101616102", -EINVAL);
	expect_refused("81a2616101616102", -EINVAL);
	expect_refused("a10181a2f501f502", -EINVAL);
	expect_refused("bf0101180102ff", -EINVAL);
	REQUIRE(strstr(shoal_error(), "twice"));
}

/* So what is written is read again. */
Test(cbor, of_two_equal_keys_the_last_one_is_written)
{
	expect_hex(SHOAL_MAP("a", 1, "a", 2), "a1616102");
	expect_hex(SHOAL_LIST(SHOAL_MAP(1, 1, 2, SHOAL_MAP(1, 1, 1, 2), 1, 3)), "81a202a101020103");
}

static int
decode_deep(unsigned lists, unsigned maps, bool endless, shoal_any *out)
{
	unsigned char bytes[1024];
	size_t n = 0;
	for (unsigned i = 0; i < lists; i++)
		bytes[n++] = endless ? 0x9f : 0x81;
	for (unsigned i = 0; i < maps; i++) {
		bytes[n++] = endless ? 0xbf : 0xa1;
		bytes[n++] = 0x01;
	}
	bytes[n++] = 0x02;
	for (unsigned i = 0; endless && i < lists + maps; i++)
		bytes[n++] = 0xff;
	return shoal_any_decode(bytes, n, out);
}

Test(cbor, depth_ends_at_64)
{
	shoal_any v, copy;
	REQUIRE_EQ(decode_deep(64, 0, false, &v), 0);
	REQUIRE_EQ(shoal_any_copy(&v, &copy), 0);
	REQUIRE(shoal_any_equal(&v, &copy));
	shoal_any_clear(&copy);
	shoal_any_clear(&v);
	REQUIRE_EQ(decode_deep(30, 34, true, &v), 0);
	shoal_any_clear(&v);
	REQUIRE_EQ(decode_deep(65, 0, false, &v), -EINVAL);
	REQUIRE_EQ(decode_deep(0, 65, false, &v), -EINVAL);
	REQUIRE_EQ(decode_deep(65, 0, true, &v), -EINVAL);
	REQUIRE(strstr(shoal_error(), "64 deep"));
	/* A bomb of a megabyte is refused as soon. */
	unsigned char *bomb = malloc(1 << 20);
	memset(bomb, 0x81, 1 << 20);
	REQUIRE_EQ(shoal_any_decode(bomb, 1 << 20, &v), -EINVAL);
	memset(bomb, 0xc1, 1 << 20);
	REQUIRE_EQ(shoal_any_decode(bomb, 1 << 20, &v), -EINVAL);
	free(bomb);
}

Test(cbor, references_mean_nothing_outside_an_arena)
{
	expect_refused("da53686f6c1b0100000000010000", -EINVAL);
	REQUIRE(strstr(shoal_error(), "arena"));
	expect_refused("da53686f6c6161", -EINVAL);
	expect_refused("81da53686f6c1b0100000000010000", -EINVAL);
}

/* ---- sizes ---- */

Test(cbor, a_buffer_that_is_too_small_tells_how_much_is_needed)
{
	shoal_any v = SHOAL_LIST("0123456789", 1000, SHOAL_NIL);
	char buffer[64];
	memset(buffer, 'z', sizeof buffer);
	REQUIRE_EQ(shoal_any_encode(&v, NULL, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 16);
	REQUIRE_EQ(shoal_any_encode(&v, buffer, 15), -EMSGSIZE);
	REQUIRE_EQ(buffer[0], 'z');
	REQUIRE_EQ(shoal_any_encode(&v, buffer, 16), 16);
	REQUIRE_EQ(buffer[16], 'z');
}

Test(cbor, strings_end_with_a_nul_that_does_not_count)
{
	shoal_any v;
	REQUIRE_EQ(decode("8463616200620061ff414161", &v), -EINVAL);
	REQUIRE_EQ(decode("84636162006200614141617f6161ff", &v), -EINVAL);
	REQUIRE_EQ(decode("846361620062006141417f61616162ff", &v), 0);
	REQUIRE_EQ(v.as.items[0].count, 3);
	REQUIRE(memcmp(v.as.items[0].as.string, "ab\0", 4) == 0);
	REQUIRE(memcmp(v.as.items[1].as.string, "\0a", 3) == 0);
	REQUIRE(memcmp(v.as.items[2].as.string, "A", 2) == 0);
	REQUIRE(memcmp(v.as.items[3].as.string, "ab", 3) == 0);
	shoal_any_clear(&v);
}

/* Any tree: written, read, written. */
static shoal_any
tree(shoal_any *store, size_t *used, unsigned depth, uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	unsigned what = (unsigned)(*seed >> 33) % (depth ? 9 : 5);
	static const char text[] = "some text of which more or less is taken, up to all of it";
	size_t n = (size_t)(*seed >> 40) % (sizeof text - 1);
	switch (what) {
	case 0: return SHOAL_ANY((int64_t)(*seed << 7) >> (*seed >> 58));
	case 1: return SHOAL_ANY((double)(int64_t)*seed / 3);
	case 2: return shoal_any_from_bytes(text, n);
	case 3: return shoal_any_from_string(text + n);
	case 4: return *seed & 1 << 20 ? SHOAL_NIL : SHOAL_ANY((bool)(n & 1));
	default: break;
	}
	n %= 6;
	size_t at = *used;
	*used += 2 * n;
	for (size_t i = 0; i < 2 * n; i++)
		store[at + i] = what < 7 && i % 2 == 0 ? SHOAL_ANY((int)i)
		                                       : tree(store, used, depth - 1, seed);
	return what < 7 ? shoal_any_from_pairs(store + at, n) : shoal_any_from_items(store + at, n);
}

Test(cbor, whatever_is_written_is_read)
{
	shoal_any *store = calloc(1 << 16, sizeof *store);
	unsigned char *bytes = malloc(1 << 20), *again = malloc(1 << 20);
	uint64_t seed = 7;
	for (int i = 0; i < 3000; i++) {
		size_t used = 0;
		shoal_any v = tree(store, &used, 5, &seed), read;
		ssize_t n = shoal_any_encode(&v, bytes, 1 << 20);
		REQUIRE(n > 0);
		REQUIRE_EQ(shoal_any_decode(bytes, (size_t)n, &read), 0);
		REQUIRE(shoal_any_equal(&v, &read));
		REQUIRE_EQ(shoal_any_encode(&read, again, 1 << 20), n);
		REQUIRE(memcmp(bytes, again, (size_t)n) == 0);
		shoal_any_clear(&read);
	}
	free(store);
	free(bytes);
	free(again);
}

#if HAS_STEPS

static struct {
	unsigned char text[2000];
	size_t bytes;
	shoal_any out;
	int rc;
} input;

/* A tagged integer of the same length, where a list was counted. */
static void
change_input(void)
{
	memset(input.text, 0xc1, input.bytes - 9);
	input.text[input.bytes - 9] = 0x1b;
	memset(input.text + input.bytes - 8, 0x11, 8);
}

static void
decode_op(void *unused)
{
	(void)unused;
	input.rc = shoal_any_decode(input.text, input.bytes, &input.out);
}

Test(cbor, input_that_changes_is_some_value_or_none)
{
	input.bytes = 1003;
	memset(input.text, 0xf6, sizeof input.text);
	memcpy(input.text, (unsigned char[]){ 0x99, 1000 >> 8, 1000 & 0xff }, 3);
	REQUIRE(steps_into_call(decode_op, NULL, (void (*)(void))any_block_make, change_input));
	REQUIRE_EQ(input.rc, 0);
	REQUIRE_EQ(shoal_any_int(&input.out, 0), 0x1111111111111111);
	shoal_any_clear(&input.out);
}

#endif

/* A length that went below 0: nothing of it is looked at. */
Test(cbor, more_items_than_there_can_be_are_refused)
{
	shoal_any two[] = { SHOAL_ANY("key"), SHOAL_ANY(1) }, copy;
	shoal_any map = shoal_any_from_pairs(two, (size_t)INT64_MIN);
	shoal_any list = shoal_any_from_items(two, SIZE_MAX);
	REQUIRE_EQ(shoal_any_encode(&map, NULL, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_any_encode(&list, NULL, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_any_copy(&map, &copy), -EMSGSIZE);
	REQUIRE_EQ(shoal_any_print(&map, stdout), -EMSGSIZE);
}
