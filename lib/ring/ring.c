/* A queue's description, believed only where it fits the block that holds it. */
#include "ring/ring.h"
#include "base/error.h"
#include "ring/queue.h"

static bool
is_shaped(const struct ring *r)
{
	return r->shift >= 1 && r->shift <= 31 && r->mask == (UINT64_C(1) << r->shift) - 1 &&
	       r->stride >= LINE && r->stride % SLOT_ALIGN == 0;
}

/* The rows, which every queue has right behind its head, and then the slots. */
static bool
fits(const shoal_arena *a, const struct ring *r, uint64_t slots_at, uint64_t bytes)
{
	uint64_t rows_end = sizeof(shoal_queue) + a->members_max * sizeof(struct queue_row);
	return slots_at % LINE == 0 && slots_at >= rows_end && slots_at <= bytes &&
	       (r->mask + 1) * r->stride <= bytes - slots_at;
}

int
ring_of_object(const shoal_arena *a, uint32_t object, struct ring *out)
{
	shoal_queue *q = object_body_at(a, object);
	if (!q)
		return -EPROTO;
	uint64_t slots_at = q->slots_at;
	*out = (struct ring){
		.queue = q,
		.mask = q->mask,
		.shift = q->shift,
		.stride = q->stride,
		.flags = q->flags,
		.object = q->object,
	};
	/* What was read is what is checked: others may write meanwhile. */
	fence_compiler();
	if (out->object != object || !is_shaped(out) ||
	    !fits(a, out, slots_at, object_body_bytes(a, q)) || q->rows_at != sizeof *q ||
	    q->rows != a->members_max || q->slot_bytes != ring_inside(out))
		return fail(-EPROTO,
		            "the description of queue %u is damaged: shared memory was overwritten",
		            object);
	out->slots = (char *)q + slots_at;
	return 0;
}

int
ring_find_word(const shoal_arena *a, const shoal_queue *q, struct ring *out, uint64_t *word)
{
	uint32_t object, again;
	*word = 0;
	int rc = object_find_body(a, q, SHOAL_KIND_QUEUE, &object);
	if (rc)
		return rc;
	*word = load_acquire(&arena_object(a, object)->word);
	rc = ring_of_object(a, object, out);
	if (rc == 0 && out->queue != q)
		rc = fail(-EPROTO, "the body of queue %u is elsewhere: shared memory was overwritten",
		          object);
	if (rc && (!object_is_still(a, object, *word) ||
	           object_find_body(a, q, SHOAL_KIND_QUEUE, &again) || again != object))
		*word = 0;
	return rc;
}

int
ring_find(const shoal_arena *a, const shoal_queue *q, struct ring *out)
{
	uint64_t word;
	return ring_find_word(a, q, out, &word);
}
