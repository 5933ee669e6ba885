/*
 * subject_vyukov.c - the plain sequence ring (Vyukov), which dies with its first victim
 *
 * It is the fastest bounded ring for many producers and consumers that does nothing about death:
 * one compare-and-swap on a shared position, one sequence number a slot. It cannot sleep.
 */
#include "rings.h"
#include "subject.h"

#include "spin.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct slot {
	_Atomic uint64_t turn;
	uint64_t bytes;
	char data[];
};

struct ring {
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) uint64_t mask;
	size_t stride;
	_Alignas(128) char slots[];
};

static inline struct slot *
slot_at(struct ring *r, uint64_t place)
{
	return (void *)(r->slots + (place & r->mask) * r->stride);
}

static int
way_open(struct opening *o, int i)
{
	uint32_t capacity = slots_for(o->bytes);
	size_t stride = (sizeof(struct slot) + o->bytes + 63) & ~(size_t)63;
	struct ring *r = shared_memory(sizeof *r + capacity * stride);

	if (!r)
		return -ENOMEM;
	r->mask = capacity - 1;
	r->stride = stride;
	for (uint64_t place = 0; place < capacity; place++)
		atomic_init(&slot_at(r, place)->turn, place * 2);
	o->way[i] = r;
	return 0;
}

static int
ring_open(struct opening *o)
{
	int rc = way_open(o, 0);

	return rc == 0 && o->duplex ? way_open(o, 1) : rc;
}

/* claim moves the position past the slot whose turn is the one awaited. NULL: full, or empty. */
static inline struct slot *
claim(struct ring *r, _Atomic uint64_t *position, uint64_t odd,
      uint64_t *place)
{
	uint64_t p = atomic_load_explicit(position, memory_order_relaxed);

	for (;;) {
		struct slot *s = slot_at(r, p);
		uint64_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);
		int64_t ahead = (int64_t)(turn - (p * 2 + odd));

		if (ahead < 0)
			return NULL;
		if (ahead > 0) {
			p = atomic_load_explicit(position, memory_order_relaxed);
			continue;
		}
		*place = p;
		if (atomic_compare_exchange_weak_explicit(position, &p, p + 1, memory_order_relaxed,
		                                          memory_order_relaxed))
			return s;
	}
}

static long
ring_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	struct slot *s;
	uint64_t place;
	unsigned waits = 0;

	(void)count;
	while (!(s = claim(r, &r->tail, 0, &place)))
		spin_a_little(&waits);
	s->bytes = bytes;
	memcpy(s->data, item, bytes);
	atomic_store_explicit(&s->turn, place * 2 + 1, memory_order_release);
	return 1;
}

static long
ring_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	struct slot *s;
	uint64_t place;
	unsigned waits = 0;

	(void)count;
	while (!(s = claim(r, &r->head, 1, &place)))
		spin_a_little(&waits);
	memcpy(item, s->data, s->bytes < bytes ? s->bytes : bytes);
	atomic_store_explicit(&s->turn, (place + r->mask + 1) * 2, memory_order_release);
	return 1;
}

const struct subject subject_vyukov = {
	.name = "sequence ring",
	.about = "Vyukov's plain ring of fixed slots: spins, and dies with its first victim",
	.traits = SUBJECT_SPINS,
	.batch = 1,
	.bytes_max = MEBI,
	.open = ring_open,
	.send = ring_send,
	.recv = ring_recv,
};
