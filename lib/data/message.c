/*
 * Values as messages of queues and pipes: CBOR (data/cbor.h), and a mark (ring/mark.h) that says
 * that it is a value, and what its receiver needs for it:
 *	0           bytes, as put and send give them
 *	1           nil, a bool, a number, an object: nothing
 *	2 + n       a string, bytes, a list, a map with n anys inside: a block of n nodes
 *	MARK_MAX    so many or more: a node for each byte is enough
 *
 * and MARK_HOLDS where there are references in it: then the last 8 bytes are that of the envelope
 * (data/envelope.h) that holds the objects for the message.
 *
 * Deaths are those of put and get, send and recv: a value is a message like any other. Its sender
 * encodes it, and its receiver makes room for it, before a place is claimed. What dies with a
 * message that has references is at the head of data/envelope.h.
 */
#include "base/error.h"
#include "data/cbor.h"
#include "data/cell.h"
#include "data/envelope.h"
#include "ring/mark.h"
#include "ring/pipe.h"
#include <shoal/queue.h>
#include <shoal/pipe.h>
#include <stdlib.h>
#include <string.h>

#define MARK_SCALAR 1u
#define MARK_BLOCK 2u
/* Encoded values of up to so many bytes need no memory of their own on their way. */
#define SHORT_MAX 512u
/* A reference is the longest of the values that need no block. */
#define SCALAR_ROOM 16u

/* ---- sending ---- */

struct parcel {
	void *data;
	size_t bytes;
	uint32_t mark;
	struct envelope_call envelope;
	unsigned char brief[SHORT_MAX];
};

static uint32_t
mark_of(const shoal_any *v, const struct cell *c)
{
	uint32_t holds = c->refs ? MARK_HOLDS : 0;
	if (!any_needs_block(v))
		return MARK_SCALAR | holds;
	return (c->nodes < MARK_MAX - MARK_BLOCK ? MARK_BLOCK + c->nodes : MARK_MAX) | holds;
}

static void
unpack(struct parcel *p)
{
	if (p->data != p->brief)
		free(p->data);
}

/* With room at the end for the envelope's reference. */
static int
encode(const shoal_any *v, const struct cell *c, struct parcel *p)
{
	uint64_t tail = c->refs ? sizeof(shoal_ref) : 0;
	uint64_t bytes = cbor_write(v, p->brief, sizeof p->brief) + tail;
	p->data = p->brief;
	if (bytes > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "a value of %llu bytes: a message has at most %llu",
		            (unsigned long long)bytes, (unsigned long long)ANY_BYTES_MAX);
	if (bytes > sizeof p->brief && !(p->data = malloc(bytes))) {
		p->data = p->brief;
		return fail(-ENOMEM, "no memory to encode a value of %llu bytes",
		            (unsigned long long)bytes);
	}
	if (p->data != p->brief)
		cbor_write(v, p->data, bytes - tail);
	p->bytes = bytes;
	p->mark = mark_of(v, c);
	return 0;
}

/* For the queue or pipe whose body this is. */
static int
pack(const void *body, uint32_t kind, const shoal_any *v, struct parcel *p)
{
	struct cell c;
	shoal_arena *a = arena_of(body);
	p->envelope = (struct envelope_call){ .index = 0 };
	int rc = cell_of(a, v, &c);
	if (rc == 0)
		rc = encode(v, &c, p);
	if (rc || !c.refs)
		return rc;
	uint32_t ring;
	rc = object_find_body(a, body, kind, &ring);
	if (rc == 0)
		rc = envelope_make(a, ring, v, c.refs, &p->envelope);
	if (rc)
		unpack(p);
	else
		memcpy((char *)p->data + p->bytes - sizeof p->envelope.ref, &p->envelope.ref,
		       sizeof p->envelope.ref);
	return rc;
}

static int
sent(struct parcel *p, int rc)
{
	envelope_sent(&p->envelope, rc);
	unpack(p);
	return rc;
}

int
shoal_queue_put_any(shoal_queue *q, shoal_any v, shoal_time timeout)
{
	struct parcel p;
	int rc = pack(q, SHOAL_KIND_QUEUE, &v, &p);
	if (rc)
		return rc;
	return sent(&p, queue_put_marked(q, p.data, p.bytes, p.mark, p.envelope.place, timeout));
}

int
shoal_pipe_send_any(shoal_pipe_end *end, shoal_any v, shoal_time timeout)
{
	struct parcel p;
	struct pipe *pipe;
	unsigned side;
	shoal_arena *a = arena_of(end);
	bool is = a && pipe_find(a, end, &pipe, &side) == 0;
	int rc = pack(is ? (void *)pipe : end, SHOAL_KIND_PIPE, &v, &p);
	if (rc)
		return rc;
	return sent(&p, pipe_send_marked(end, p.data, p.bytes, p.mark, p.envelope.place, timeout));
}

/* ---- receiving ---- */

struct reception {
	struct marked marked; /* first: make_room gets its address */
	struct any_block *block;
	unsigned char scalar[SCALAR_ROOM];
};

/* Damaged memory may say any mark: there are no more anys than bytes. */
static uint64_t
nodes_of(const struct marked *m)
{
	uint32_t mark = m->mark & MARK_MAX;
	uint64_t nodes = mark > MARK_BLOCK ? mark - MARK_BLOCK : 0;
	return mark == MARK_MAX || nodes > m->bytes ? m->bytes : nodes;
}

/* The bytes go where the text of the value will be. */
static int
make_room(struct marked *m)
{
	struct reception *r = (struct reception *)(void *)m;
	free(r->block);
	r->block = any_block_make(nodes_of(m), (uint64_t)m->bytes + 1);
	if (!r->block)
		return -ENOMEM;
	m->buffer = any_text(r->block);
	m->room = m->bytes;
	m->most = m->mark;
	m->plain = true;
	return 0;
}

static void
begin(struct reception *r)
{
	r->block = NULL;
	r->marked = (struct marked){
		.buffer = r->scalar,
		.room = sizeof r->scalar,
		.most = MARK_SCALAR,
		.make_room = make_room,
	};
}

/* The block may have been made for another message, which somebody else took. */
static void
take_bytes(struct reception *r, shoal_any *out)
{
	char *text = memmove(r->block + 1, r->marked.buffer, r->marked.bytes);
	text[r->marked.bytes] = 0;
	r->block->nodes = 0;
	*out = (shoal_any){ .kind = SHOAL_ANY_BYTES, .internal_ = ANY_OWNED, .count = r->marked.bytes };
	out->as.bytes = text;
}

static int
read_value(shoal_arena *a, struct reception *r, uint64_t bytes, shoal_any *out)
{
	const struct marked *m = &r->marked;
	int rc;
	if ((m->mark & MARK_MAX) == MARK_SCALAR) {
		rc = cbor_read(a, NULL, m->buffer, bytes, GONE_FAILS, out);
		free(r->block);
	} else {
		rc = cbor_read(a, r->block, NULL, bytes, GONE_FAILS, out);
	}
	if (rc == -EINVAL || rc == -EOVERFLOW)
		return fail(-EPROTO, "a message of %llu bytes is no value: shared memory was overwritten",
		            (unsigned long long)bytes);
	return rc;
}

/* What it refers to is pinned before the message's hold on it goes. */
static int
open_envelope(shoal_arena *a, struct reception *r, shoal_any *out)
{
	shoal_ref ref = 0;
	uint64_t bytes = r->marked.bytes;
	if (bytes >= sizeof ref)
		memcpy(&ref, (char *)r->marked.buffer + (bytes -= sizeof ref), sizeof ref);
	int rc = read_value(a, r, bytes, out);
	envelope_opened(a, ref);
	return rc;
}

static int
finish(shoal_arena *a, struct reception *r, int rc, shoal_any *out)
{
	const struct marked *m = &r->marked;
	if (rc == 0 && (m->mark & MARK_HOLDS))
		return open_envelope(a, r, out);
	if (rc && (m->mark & MARK_HOLDS) && a)
		envelope_opened(a, 0);
	if (rc)
		free(r->block);
	else if (m->mark == 0)
		take_bytes(r, out);
	else
		rc = read_value(a, r, m->bytes, out);
	return rc;
}

/* One who took a message with references has not opened it yet. */
static int
enter(const void *end, struct reception *r, shoal_any *out)
{
	const shoal_arena *a = arena_of(end);
	const struct shoal_thread *t = thread_self();
	const struct member *me = a && t ? member_seat(a, t) : NULL;
	begin(r);
	*out = SHOAL_NIL;
	if (me && load_relaxed(&me->opening))
		return fail(-EDEADLK, "a value is received by a signal handler inside another such call");
	return 0;
}

int
shoal_queue_get_any(shoal_queue *q, shoal_any *out, shoal_time timeout)
{
	struct reception r;
	int rc = enter(q, &r, out);
	if (rc == 0)
		rc = finish(arena_of(q), &r, queue_get_marked(q, &r.marked, timeout), out);
	return rc;
}

int
shoal_pipe_recv_any(shoal_pipe_end *end, shoal_any *out, shoal_time timeout)
{
	struct reception r;
	int rc = enter(end, &r, out);
	if (rc == 0)
		rc = finish(arena_of(end), &r, pipe_recv_marked(end, &r.marked, timeout), out);
	return rc;
}
