/*
 * Printing as JSON (RFC 8259), whatever the locale, always valid. What JSON lacks:
 *	NaN              null
 *	infinities       1e999, -1e999, which readers take for what they are
 *	bytes            {"$bytes": "base64"}
 *	objects          {"$queue": "name"}; without a name the number of its reference
 *	other keys       as strings, as in Python: 1 is "1", true is "true"; bytes as their base64
 *	no UTF-8         each byte that is part of none is U+FFFD
 */
#include "arena/object.h"
#include "base/error.h"
#include "base/racy.h"
#include "data/any.h"
#include "data/reference.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

/* The length of the UTF-8 character that begins here, 0 where none does. */
static unsigned
utf8_length(const unsigned char *s, size_t n)
{
	static const struct { unsigned char mask, is; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	for (unsigned more = 0; more < 4; more++) {
		if ((s[0] & forms[more].mask) != forms[more].is)
			continue;
		uint32_t c = s[0] & (unsigned char)~forms[more].mask;
		for (unsigned i = 1; i <= more; i++) {
			if (i >= n || (s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3f);
		}
		bool is = c >= forms[more].least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		return is ? more + 1 : 0;
	}
	return 0;
}

static void
print_escaped(unsigned char c, FILE *f)
{
	static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	const char *name = NULL;
	for (size_t i = 0; i < sizeof names - 1 && !name; i += 2)
		if ((unsigned char)names[i] == c)
			name = &names[i + 1];
	if (name)
		fprintf(f, "\\%c", *name);
	else if (c < 0x20 || c == 0x7f)
		fprintf(f, "\\u%04x", c);
	else
		fputc(c, f);
}

static void
print_string(const char *text, size_t n, FILE *f)
{
	const unsigned char *s = (const unsigned char *)text;
	fputc('"', f);
	while (n) {
		unsigned length = utf8_length(s, n);
		if (length == 1)
			print_escaped(*s, f);
		else if (length)
			fwrite(s, 1, length, f);
		else
			fputs("\xef\xbf\xbd", f);
		s += length ? length : 1;
		n -= length ? length : 1;
	}
	fputc('"', f);
}

static void
print_base64(const unsigned char *s, size_t n, FILE *f)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	fputc('"', f);
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t bits = (uint32_t)s[i] << 16 | (left > 1 ? (uint32_t)s[i + 1] << 8 : 0) |
		                (left > 2 ? s[i + 2] : 0);
		char out[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
			            left > 1 ? digits[bits >> 6 & 63] : '=',
			            left > 2 ? digits[bits & 63] : '=' };
		fwrite(out, 1, sizeof out, f);
	}
	fputc('"', f);
}

/* ---- numbers ---- */

/* The shortest that reads back as the same; a locale's own point is none of JSON's. */
static void
print_double(double d, FILE *f)
{
	char text[40];
	if (isnan(d) || isinf(d)) {
		fputs(isnan(d) ? "null" : d < 0 ? "-1e999"
		                                : "1e999", f);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	bool whole = true;
	for (const char *s = text; *s;) {
		size_t n = strspn(s, "0123456789+-e");
		fwrite(s, 1, n, f);
		whole = whole && !memchr(s, 'e', n);
		s += n;
		n = strcspn(s, "0123456789+-e");
		if (n) {
			fputc('.', f);
			whole = false;
		}
		s += n;
	}
	if (whole)
		fputs(".0", f);
}

static void
print_int(const shoal_any *v, FILE *f)
{
	if (v->internal_ & ANY_BEYOND)
		fprintf(f, "%llu", (unsigned long long)v->as.integer);
	else
		fprintf(f, "%lld", (long long)v->as.integer);
}

/* ---- objects ---- */

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[SHOAL_KIND_QUEUE] = "queue", [SHOAL_KIND_PIPE] = "pipe",
		[SHOAL_KIND_DICT] = "dict",   [SHOAL_KIND_LIST] = "list",
		[SHOAL_KIND_VALUE] = "value", [SHOAL_KIND_ARRAY] = "array",
		[SHOAL_KIND_NAMESPACE] = "namespace",
	};
	const char *name = kind < sizeof names / sizeof *names ? names[kind] : NULL;
	return name ? name : "object";
}

/*
 * Copied, since who destroys the object may take it away meanwhile: what was destroyed and is held
 * yet has no name any more, and its old one may be another's.
 */
static void
name_now(const shoal_arena *a, uint32_t index, char name[NAME_BYTES])
{
	const struct object *o = arena_object(a, index);
	uint64_t word = load_acquire(&o->word);
	racy_read(name, o->name, NAME_BYTES);
	name[NAME_BYTES - 1] = 0;
	if (object_state(word) != OBJECT_READY || !object_is_still(a, index, word))
		*name = 0;
}

static void
print_object(const shoal_any *v, FILE *f)
{
	const shoal_arena *a = arena_of(v->as.object);
	shoal_ref ref = reference_of(v);
	uint32_t kind = v->internal_ & ANY_OBJECT_KIND, index;
	char name[NAME_BYTES] = "";
	if (a && ref && object_at(a, reference_object(ref), kind, &index) == 0)
		name_now(a, index, name);
	fprintf(f, "{\"$%s\": ", kind_name(kind));
	if (*name)
		print_string(name, strlen(name), f);
	else
		fprintf(f, "\"%llu\"", (unsigned long long)ref);
	fputc('}', f);
}

/* ---- values ---- */

static void print(const shoal_any *v, FILE *f);

static void
print_key(const shoal_any *key, FILE *f)
{
	if (key->kind == SHOAL_ANY_STRING || key->kind == SHOAL_ANY_BYTES) {
		if (key->kind == SHOAL_ANY_STRING)
			print_string(key->as.string, key->count, f);
		else
			print_base64(key->as.bytes, key->count, f);
		return;
	}
	fputc('"', f);
	print(key, f);
	fputc('"', f);
}

static void
print_items(const shoal_any *v, FILE *f)
{
	bool map = v->kind == SHOAL_ANY_MAP;
	fputc(map ? '{' : '[', f);
	for (size_t i = 0; i < v->count; i++) {
		if (i)
			fputs(", ", f);
		if (map) {
			print_key(&v->as.items[2 * i], f);
			fputs(": ", f);
		}
		print(&v->as.items[map ? 2 * i + 1 : i], f);
	}
	fputc(map ? '}' : ']', f);
}

/* It was measured: it is not too deep, and its keys are keys. */
static void
print(const shoal_any *v, FILE *f)
{
	switch (v->kind) {
	case SHOAL_ANY_BOOL: fputs(v->as.boolean ? "true" : "false", f); break;
	case SHOAL_ANY_INT: print_int(v, f); break;
	case SHOAL_ANY_DOUBLE: print_double(v->as.real, f); break;
	case SHOAL_ANY_STRING: print_string(v->as.string, v->count, f); break;
	case SHOAL_ANY_BYTES:
		fputs("{\"$bytes\": ", f);
		print_base64(v->as.bytes, v->count, f);
		fputc('}', f);
		break;
	case SHOAL_ANY_LIST:
	case SHOAL_ANY_MAP: print_items(v, f); break;
	case SHOAL_ANY_OBJECT: print_object(v, f); break;
	default: fputs("null", f); break;
	}
}

static int
print_once(const shoal_any *v, FILE *f)
{
	flockfile(f);
	print(v, f);
	int bad = ferror(f);
	funlockfile(f);
	return bad ? fail(-EIO, "a value could not be written: the stream has an error") : 0;
}

int
shoal_any_print(const shoal_any *v, FILE *f)
{
	struct any_size size;
	shoal_any view, *memory;
	int rc = any_measure_printed(v, &size);
	if (rc)
		return rc;
	rc = any_once(v, size.nodes, &view, &memory);
	if (rc == 0)
		rc = print_once(&view, f);
	free(memory);
	return rc;
}
