/* From CBOR to an any. See cbor.h. */
#include "base/error.h"
#include "data/cbor.h"
#include "data/reference.h"
#include <cbor.h>
#include <stdlib.h>
#include <string.h>

#define ENDLESS UINT64_MAX
#define NO_TAG UINT64_MAX

/* A list or map that has begun. */
struct frame {
	uint64_t left;  /* items still to come; ENDLESS until a break */
	uint64_t count; /* items so far */
	uint32_t kind;
};

struct reader {
	const unsigned char *from;
	uint64_t bytes, at; /* at: of the item in hand */
	shoal_arena *arena;
	bool refs;          /* references are welcome */
	enum reference_gone gone;
	bool keep;          /* what is read is kept, else only counted */
	int rc;
	bool done;          /* the outermost value is there */
	uint64_t tag;       /* of the next item; any that is passed over: 0 */
	uint32_t depth;
	struct frame frame[ANY_DEPTH_MAX];
	/* A string in parts: its kind, or NIL; how long it is so far. */
	uint32_t parts;
	uint64_t parts_bytes;
	/* What is counted, */
	struct cbor_counts counts;
	shoal_ref *out_refs;
	size_t refs_from, refs_max, refs_given;
	/* or kept: see cbor.h. */
	struct any_block *block;
	uint64_t stack, final; /* nodes in use below and from here on */
	char *text;
	shoal_any root;
};

static int refuse(struct reader *r, int code, const char *what) __attribute__((cold));

static int
refuse(struct reader *r, int code, const char *what)
{
	if (!r->rc)
		r->rc = fail(code, "CBOR, byte %llu of %llu: %s", (unsigned long long)r->at,
		             (unsigned long long)r->bytes, what);
	return r->rc;
}

/* ---- one more item ---- */

/* On top of the stack; false where the block was made for another value. */
static bool
push(struct reader *r, const shoal_any *v)
{
	r->counts.nodes++;
	if (!r->keep)
		return true;
	if (!r->block || r->stack == r->final)
		return refuse(r, -EINVAL, "more items than were counted") == 0;
	any_nodes(r->block)[r->stack++] = *v;
	return true;
}

/* The value, or an item of its list or map. */
static bool
place(struct reader *r, const shoal_any *v)
{
	r->tag = NO_TAG;
	if (r->depth == 0) {
		r->root = *v;
		r->done = true;
		return true;
	}
	struct frame *f = &r->frame[r->depth - 1];
	if (f->kind == SHOAL_ANY_MAP && f->count % 2 == 0 && any_key_check(v))
		return refuse(r, -EINVAL, "a key that is no int, bool, string or bytes") == 0;
	f->count++;
	return push(r, v);
}

/* The items of one that ends lie on top of the stack; those of the outermost stay there. */
static void
settle(struct reader *r, shoal_any *v, uint64_t items)
{
	shoal_any *nodes = any_nodes(r->block), *from = &nodes[r->stack - items];
	v->as.items = from;
	if (r->depth == 0)
		return;
	/* Each node is in one of the two places, so there is room. */
	r->stack -= items;
	r->final -= items;
	v->as.items = memmove(&nodes[r->final], from, items * sizeof *nodes);
}

static bool
end_frame(struct reader *r)
{
	const struct frame *f = &r->frame[--r->depth];
	shoal_any v = { .kind = f->kind, .count = f->kind == SHOAL_ANY_MAP ? f->count / 2 : f->count };
	if (r->block)
		settle(r, &v, f->count);
	return place(r, &v);
}

/* An item was placed: its list or map may be whole by that, and the one around that one. */
static void
advance(struct reader *r)
{
	while (r->depth) {
		struct frame *f = &r->frame[r->depth - 1];
		if (f->left == ENDLESS || --f->left || !end_frame(r))
			return;
	}
}

static void
item(struct reader *r, shoal_any v)
{
	if (place(r, &v))
		advance(r);
}

static void
begin(struct reader *r, uint32_t kind, uint64_t items)
{
	if (r->depth == ANY_DEPTH_MAX) {
		refuse(r, -EINVAL, "lists and maps within each other: more than 64 deep");
		return;
	}
	r->tag = NO_TAG;
	r->frame[r->depth++] = (struct frame){ .left = items, .kind = kind };
	if (items == 0 && end_frame(r))
		advance(r);
}

/* Each item has at least a byte, so a length that is more than there are bytes is a lie. */
static void
begin_counted(struct reader *r, uint32_t kind, uint64_t n)
{
	uint64_t each = kind == SHOAL_ANY_MAP ? 2 : 1;
	if (n > (r->bytes - r->at) / each)
		refuse(r, -EINVAL, "a list or map that is longer than what is there");
	else
		begin(r, kind, n * each);
}

/* What stands where only a part of a string may, or with a tag that it cannot have. */
static bool
may_come(struct reader *r)
{
	if (r->parts)
		return refuse(r, -EINVAL, "a string in parts has a part that is none") == 0;
	if (r->tag == CBOR_REFERENCE)
		return refuse(r, -EINVAL, "a reference that is no number") == 0;
	return true;
}

static void
scalar(struct reader *r, shoal_any v)
{
	if (may_come(r))
		item(r, v);
}

static void
reference(struct reader *r, shoal_ref ref)
{
	shoal_any v = { .kind = SHOAL_ANY_OBJECT };
	if (!r->refs) {
		refuse(r, -EINVAL, "a reference to an object means something in its arena only");
		return;
	}
	uint64_t i = r->counts.refs++;
	if (i >= r->refs_from && r->refs_given < r->refs_max)
		r->out_refs[r->refs_given++] = reference_object(ref);
	if (r->keep && (r->rc = reference_read(r->arena, ref, r->gone, &v)))
		return;
	if (v.kind == SHOAL_ANY_NIL)
		r->counts.refs--;
	if (place(r, &v))
		advance(r);
	else if (r->keep && v.kind == SHOAL_ANY_OBJECT)
		reference_unpin(&v);
}

/* ---- strings ---- */

/* To the left, over its own head. */
static void
add_text(struct reader *r, const void *p, uint64_t n)
{
	if (r->block && n)
		memmove(r->text + r->parts_bytes, p, n);
	r->parts_bytes += n;
}

static void
end_text(struct reader *r, uint32_t kind)
{
	shoal_any v = { .kind = kind, .count = r->parts_bytes };
	if (r->block) {
		r->text[v.count] = 0;
		v.as.string = r->text;
		r->text += v.count + 1;
	} else if (r->keep) {
		refuse(r, -EINVAL, "text where none was counted");
		return;
	}
	r->parts = SHOAL_ANY_NIL;
	r->parts_bytes = 0;
	item(r, v);
}

static void
text(struct reader *r, uint32_t kind, const void *p, uint64_t n)
{
	if (r->parts == kind) {
		add_text(r, p, n);
	} else if (may_come(r)) {
		add_text(r, p, n);
		end_text(r, kind);
	}
}

static void
begin_parts(struct reader *r, uint32_t kind)
{
	if (may_come(r))
		r->parts = kind;
}

/* ---- what libcbor calls ---- */

static shoal_any
of_int(int64_t i)
{
	shoal_any v = { .kind = SHOAL_ANY_INT };
	v.as.integer = i;
	return v;
}

static void
on_uint64(void *p, uint64_t u)
{
	struct reader *r = p;
	if (r->tag == CBOR_REFERENCE && !r->parts)
		reference(r, u);
	else if (u > INT64_MAX)
		refuse(r, -EOVERFLOW, "a number beyond INT64_MAX");
	else
		scalar(r, of_int((int64_t)u));
}

static void
on_negint64(void *p, uint64_t n)
{
	if (n > INT64_MAX)
		refuse(p, -EOVERFLOW, "a number below INT64_MIN");
	else
		scalar(p, of_int(-1 - (int64_t)n));
}

static void on_uint8(void *p, uint8_t u) { on_uint64(p, u); }
static void on_uint16(void *p, uint16_t u) { on_uint64(p, u); }
static void on_uint32(void *p, uint32_t u) { on_uint64(p, u); }
static void on_negint8(void *p, uint8_t n) { on_negint64(p, n); }
static void on_negint16(void *p, uint16_t n) { on_negint64(p, n); }
static void on_negint32(void *p, uint32_t n) { on_negint64(p, n); }

static void
on_double(void *p, double d)
{
	shoal_any v = { .kind = SHOAL_ANY_DOUBLE };
	v.as.real = d;
	scalar(p, v);
}

static void on_float(void *p, float f) { on_double(p, (double)f); }

static void
on_bool(void *p, bool b)
{
	shoal_any v = { .kind = SHOAL_ANY_BOOL };
	v.as.boolean = b;
	scalar(p, v);
}

static void on_nil(void *p) { scalar(p, SHOAL_NIL); }

static void on_string(void *p, cbor_data s, size_t n) { text(p, SHOAL_ANY_STRING, s, n); }

static void
on_bytes(void *p, cbor_data s, size_t n)
{
	struct reader *r = p;
	if (r->tag == 2 || r->tag == 3)
		refuse(r, -EOVERFLOW, "a bignum");
	else
		text(r, SHOAL_ANY_BYTES, s, n);
}

static void on_string_parts(void *p) { begin_parts(p, SHOAL_ANY_STRING); }

static void
on_bytes_parts(void *p)
{
	struct reader *r = p;
	if (r->tag == 2 || r->tag == 3)
		refuse(r, -EOVERFLOW, "a bignum");
	else
		begin_parts(r, SHOAL_ANY_BYTES);
}

static void
on_list(void *p, size_t n)
{
	if (may_come(p))
		begin_counted(p, SHOAL_ANY_LIST, n);
}

static void
on_map(void *p, size_t n)
{
	if (may_come(p))
		begin_counted(p, SHOAL_ANY_MAP, n);
}

static void
on_list_endless(void *p)
{
	if (may_come(p))
		begin(p, SHOAL_ANY_LIST, ENDLESS);
}

static void
on_map_endless(void *p)
{
	if (may_come(p))
		begin(p, SHOAL_ANY_MAP, ENDLESS);
}

static void
on_break(void *p)
{
	struct reader *r = p;
	if (r->parts) {
		end_text(r, r->parts);
		return;
	}
	const struct frame *f = r->depth ? &r->frame[r->depth - 1] : NULL;
	bool ends = f && f->left == ENDLESS && r->tag == NO_TAG;
	if (!ends || (f->kind == SHOAL_ANY_MAP && f->count % 2))
		refuse(r, -EINVAL, "a break where nothing can end");
	else if (end_frame(r))
		advance(r);
}

static void
on_tag(void *p, uint64_t tag)
{
	struct reader *r = p;
	if (may_come(r))
		r->tag = tag == NO_TAG ? 0 : tag;
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string_start = on_bytes_parts,
	.byte_string = on_bytes,
	.string = on_string,
	.string_start = on_string_parts,
	.indef_array_start = on_list_endless,
	.array_start = on_list,
	.indef_map_start = on_map_endless,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_nil,
	.null = on_nil,
	.boolean = on_bool,
	.indef_break = on_break,
};

/* ---- all of it ---- */

static int
read_all(struct reader *r)
{
	r->tag = NO_TAG;
	while (!r->rc && !r->done) {
		struct cbor_decoder_result d =
			cbor_stream_decode(r->from + r->at, r->bytes - r->at, &callbacks, r);
		if (d.status == CBOR_DECODER_NEDATA)
			refuse(r, -EINVAL, "it ends too soon");
		else if (d.status != CBOR_DECODER_FINISHED || d.read == 0)
			refuse(r, -EINVAL, "no item that a value has");
		if (!r->rc)
			r->at += d.read;
	}
	if (!r->rc && r->at < r->bytes)
		refuse(r, -EINVAL, "there is something behind the value");
	return r->rc;
}

int
cbor_count(const void *bytes, uint64_t n, bool refs, struct cbor_counts *out)
{
	struct reader r = { .from = bytes, .bytes = n, .refs = refs };
	int rc = read_all(&r);
	*out = r.counts;
	out->block = any_needs_block(&r.root);
	return rc;
}

size_t
cbor_refs(const void *bytes, uint64_t n, shoal_ref *out, size_t max, size_t from)
{
	struct reader r = { .from = bytes, .bytes = n, .refs = true, .out_refs = out,
		                .refs_max = max, .refs_from = from };
	(void)read_all(&r);
	return r.refs_given;
}

/* ---- for good ---- */

static void
unpin(struct reader *r)
{
	const shoal_any *nodes = r->block ? any_nodes(r->block) : NULL;
	for (uint64_t i = 0; nodes && i < r->block->nodes; i++)
		if ((i < r->stack || i >= r->final) && nodes[i].kind == SHOAL_ANY_OBJECT)
			reference_unpin(&nodes[i]);
	if (r->done && r->root.kind == SHOAL_ANY_OBJECT)
		reference_unpin(&r->root);
}

/*
 * The block becomes the value's, or goes where the value needs none. It may have room for more
 * items than there are: where a text is all, it comes to lie where items would.
 */
static void
own(struct reader *r, shoal_any *out)
{
	struct any_block *b = r->block;
	*out = r->root;
	if (any_is_text(out)) {
		out->as.string = memmove(b + 1, out->as.string, out->count + 1);
		b->nodes = 0;
	} else if (b && r->stack < r->final) {
		memset(&any_nodes(b)[r->stack], 0, (r->final - r->stack) * sizeof(shoal_any));
	}
	bool owns = any_needs_block(out);
	if (b)
		b->objects = owns ? r->counts.refs : 0;
	if (!owns)
		free(b);
	if ((owns && b) || out->kind == SHOAL_ANY_OBJECT)
		out->internal_ |= ANY_OWNED;
}

int
cbor_read(shoal_arena *a, struct any_block *b, const void *scalar, uint64_t n,
          enum reference_gone gone, shoal_any *out)
{
	struct reader r = { .bytes = n, .arena = a, .refs = a != NULL, .gone = gone, .keep = true,
		                .block = b };
	r.from = b ? (const unsigned char *)any_text(b) : scalar;
	r.text = b ? any_text(b) : NULL;
	r.final = b ? b->nodes : 0;
	int rc = read_all(&r);
	if (rc == 0) {
		own(&r, out);
		return 0;
	}
	unpin(&r);
	free(b);
	return rc;
}
