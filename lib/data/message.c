/*
 * Values as messages of queues and pipes: CBOR (data/cbor.h), and a mark (ring/mark.h) that says
 * that it is a value, and what its receiver needs for it:
 *	0           bytes, as put and send give them
 *	1           nil, a bool, a number, an object: nothing
 *	2 + n       a string, bytes, a list, a map with n anys inside: a block of n nodes
 *	MARK_MAX    so many or more: a node for each byte is enough
 *
 * Deaths are those of put and get, send and recv: a value is a message like any other. Its sender
 * encodes it, and its receiver makes room for it, before a place is claimed.
 */
#include "base/error.h"
#include "data/cbor.h"
#include "data/cell.h"
#include "ring/mark.h"
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
	unsigned char brief[SHORT_MAX];
};

/*
 * What the references inside a message that waits hold: nothing. The objects are found to be whole
 * when it is sent and again when it is received, so a reference leads nowhere else; who sends one
 * must keep the object until it has arrived.
 */
static int
hold(shoal_arena *a, const shoal_any *v, struct cell *c)
{
	return cell_of(a, v, c);
}

static uint32_t
mark_of(const shoal_any *v, const struct cell *c)
{
	if (!any_needs_block(v))
		return MARK_SCALAR;
	return c->nodes < MARK_MAX - MARK_BLOCK ? MARK_BLOCK + c->nodes : MARK_MAX;
}

static int
pack(shoal_arena *a, const shoal_any *v, struct parcel *p)
{
	struct cell c;
	int rc = hold(a, v, &c);
	if (rc)
		return rc;
	uint64_t bytes = cbor_write(v, p->brief, sizeof p->brief);
	if (bytes > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "a value of %llu bytes: a message has at most %llu",
		            (unsigned long long)bytes, (unsigned long long)ANY_BYTES_MAX);
	p->data = bytes <= sizeof p->brief ? p->brief : malloc(bytes);
	if (!p->data)
		return fail(-ENOMEM, "no memory to encode a value of %llu bytes",
		            (unsigned long long)bytes);
	if (p->data != p->brief)
		cbor_write(v, p->data, bytes);
	p->bytes = bytes;
	p->mark = mark_of(v, &c);
	return 0;
}

static void
unpack(struct parcel *p)
{
	if (p->data != p->brief)
		free(p->data);
}

int
shoal_queue_put_any(shoal_queue *q, shoal_any v, shoal_time timeout)
{
	struct parcel p;
	int rc = pack(arena_of(q), &v, &p);
	if (rc)
		return rc;
	rc = queue_put_marked(q, p.data, p.bytes, p.mark, timeout);
	unpack(&p);
	return rc;
}

int
shoal_pipe_send_any(shoal_pipe_end *end, shoal_any v, shoal_time timeout)
{
	struct parcel p;
	int rc = pack(arena_of(end), &v, &p);
	if (rc)
		return rc;
	rc = pipe_send_marked(end, p.data, p.bytes, p.mark, timeout);
	unpack(&p);
	return rc;
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
	uint64_t nodes = m->mark > MARK_BLOCK ? m->mark - MARK_BLOCK : 0;
	return m->mark == MARK_MAX || nodes > m->bytes ? m->bytes : nodes;
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
	*out = (shoal_any){ .kind = SHOAL_ANY_BYTES, .internal_ = ANY_OWNED, .count = r->marked.bytes };
	out->as.bytes = text;
}

static int
finish(shoal_arena *a, struct reception *r, int rc, shoal_any *out)
{
	const struct marked *m = &r->marked;
	if (rc) {
		free(r->block);
		return rc;
	}
	if (m->mark == 0) {
		take_bytes(r, out);
		return 0;
	}
	if (m->mark == MARK_SCALAR) {
		rc = cbor_read(a, NULL, m->buffer, m->bytes, out);
		free(r->block);
	} else {
		rc = cbor_read(a, r->block, NULL, m->bytes, out);
	}
	if (rc == -EINVAL || rc == -EOVERFLOW)
		return fail(-EPROTO, "a message of %zu bytes is no value: shared memory was overwritten",
		            m->bytes);
	return rc;
}

int
shoal_queue_get_any(shoal_queue *q, shoal_any *out, shoal_time timeout)
{
	struct reception r;
	begin(&r);
	int rc = queue_get_marked(q, &r.marked, timeout);
	return finish(rc ? NULL : arena_of(q), &r, rc, out);
}

int
shoal_pipe_recv_any(shoal_pipe_end *end, shoal_any *out, shoal_time timeout)
{
	struct reception r;
	begin(&r);
	int rc = pipe_recv_marked(end, &r.marked, timeout);
	return finish(rc ? NULL : arena_of(end), &r, rc, out);
}
