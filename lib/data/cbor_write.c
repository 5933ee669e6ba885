/* From an any to CBOR. See cbor.h. */
#include "data/cbor.h"
#include "data/reference.h"
#include <cbor.h>
#include <float.h>
#include <math.h>
#include <string.h>

struct writer {
	unsigned char *to;
	uint64_t room, at;
};

static void
put(struct writer *w, const void *p, uint64_t n)
{
	if (n && w->at <= w->room && n <= w->room - w->at)
		memcpy(w->to + w->at, p, n);
	w->at += n;
}

/* An item's first bytes, by one of libcbor's encoders. */
#define PUT_HEAD(w, encoder, ...) \
	do { \
		unsigned char head[CBOR_SCALAR_MAX]; \
		put(w, head, encoder(__VA_ARGS__, head, sizeof head)); \
	} while (0)

/* ---- floats ---- */

/* The half float that is exactly f, or false. */
static bool
is_half(float f, uint16_t *half)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	uint32_t sign = bits >> 16 & 0x8000, part = bits & 0x7fffff;
	int exponent = (int)(bits >> 23 & 0xff) - 127;
	if (exponent == 128 || (exponent == -127 && !part)) {
		*half = (uint16_t)(sign | (exponent == 128 ? 0x7c00 : 0));
		return exponent == 128 ? !part : true;
	}
	if (exponent > 15 || exponent < -24)
		return false;
	/* Below 2^-14 a half has fewer and fewer bits. */
	uint32_t lost = exponent < -14 ? (uint32_t)(13 - 14 - exponent) : 13;
	uint32_t whole = part | 0x800000;
	if (whole & ((1u << lost) - 1))
		return false;
	uint32_t top = exponent < -14 ? 0 : (uint32_t)(exponent + 14) << 10;
	*half = (uint16_t)(sign | (top + (whole >> lost)));
	return true;
}

static void
put_half(struct writer *w, uint16_t half)
{
	unsigned char bytes[3] = { 0xf9, (unsigned char)(half >> 8), (unsigned char)half };
	put(w, bytes, sizeof bytes);
}

static void
put_double(struct writer *w, double d)
{
	uint16_t half = 0x7e00;
	bool narrow = isinf(d) || fabs(d) <= (double)FLT_MAX;
	if (isnan(d))
		put_half(w, half);
	else if (!narrow || (double)(float)d != d)
		PUT_HEAD(w, cbor_encode_double, d);
	else if (is_half((float)d, &half))
		put_half(w, half);
	else
		PUT_HEAD(w, cbor_encode_single, (float)d);
}

/* ---- values ---- */

static void
put_int(struct writer *w, int64_t i)
{
	if (i >= 0)
		PUT_HEAD(w, cbor_encode_uint, (uint64_t)i);
	else
		PUT_HEAD(w, cbor_encode_negint, ~(uint64_t)i);
}

static void
put_reference(struct writer *w, const shoal_any *v)
{
	PUT_HEAD(w, cbor_encode_tag, CBOR_REFERENCE);
	PUT_HEAD(w, cbor_encode_uint64, reference_of(v));
}

static void
put_nil(struct writer *w)
{
	unsigned char head[1];
	put(w, head, cbor_encode_null(head, sizeof head));
}

/* any_measure has found that it is not deeper. */
static void
put_any(struct writer *w, const shoal_any *v)
{
	switch (v->kind) {
	case SHOAL_ANY_BOOL: PUT_HEAD(w, cbor_encode_bool, v->as.boolean); break;
	case SHOAL_ANY_INT: put_int(w, v->as.integer); break;
	case SHOAL_ANY_DOUBLE: put_double(w, v->as.real); break;
	case SHOAL_ANY_STRING: PUT_HEAD(w, cbor_encode_string_start, v->count); break;
	case SHOAL_ANY_BYTES: PUT_HEAD(w, cbor_encode_bytestring_start, v->count); break;
	case SHOAL_ANY_LIST: PUT_HEAD(w, cbor_encode_array_start, v->count); break;
	case SHOAL_ANY_MAP: PUT_HEAD(w, cbor_encode_map_start, v->count); break;
	case SHOAL_ANY_OBJECT: put_reference(w, v); break;
	default: put_nil(w); break;
	}
	if (any_is_text(v))
		put(w, v->as.bytes, v->count);
	for (uint64_t i = 0; i < any_items(v); i++)
		put_any(w, &v->as.items[i]);
}

uint64_t
cbor_write(const shoal_any *v, void *to, uint64_t room)
{
	struct writer w = { .to = to, .room = room };
	put_any(&w, v);
	return w.at;
}
