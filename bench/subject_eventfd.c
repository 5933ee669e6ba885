/*
 * subject_eventfd.c - a ring in shared memory with two eventfd(2) counters for room and messages
 *
 * With EFD_SEMAPHORE a read takes one and sleeps where there is none, as sem_wait does: a message
 * is four system calls, two on either side. What the counters let in takes the next place, and
 * waits there for the neighbour that had the place one round ago, which is at work on it.
 */
#include "rings.h"
#include "subject.h"

#include "spin.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slot {
	_Atomic uint64_t turn;
	char data[];
};

struct ring {
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) uint64_t capacity;
	size_t stride;
	int room, ready;
	_Alignas(128) char slots[];
};

static struct slot *
slot_at(struct ring *r, uint64_t place)
{
	return (void *)(r->slots + (place & (r->capacity - 1)) * r->stride);
}

static int
way_open(struct opening *o, int i)
{
	uint32_t capacity = slots_for(o->bytes);
	size_t stride = (sizeof(struct slot) + o->bytes + 63) & ~(size_t)63;
	struct ring *r = shared_memory(sizeof *r + capacity * stride);

	if (!r)
		return -ENOMEM;
	r->capacity = capacity;
	r->stride = stride;
	for (uint64_t place = 0; place < capacity; place++)
		atomic_init(&slot_at(r, place)->turn, 2 * place);
	r->room = eventfd(capacity, EFD_SEMAPHORE | EFD_CLOEXEC);
	r->ready = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	o->way[i] = r;
	return r->room < 0 || r->ready < 0 ? -errno : 0;
}

static int
ring_open(struct opening *o)
{
	int rc = way_open(o, 0);

	return rc == 0 && o->duplex ? way_open(o, 1) : rc;
}

static int
count_down(int fd)
{
	uint64_t one;

	while (read(fd, &one, sizeof one) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int
count_up(int fd)
{
	uint64_t one = 1;

	return write(fd, &one, sizeof one) < 0 ? -errno : 0;
}

static struct slot *
take_turn(struct ring *r, _Atomic uint64_t *position, uint64_t odd, uint64_t *place)
{
	unsigned waits = 0;
	struct slot *s;

	*place = atomic_fetch_add_explicit(position, 1, memory_order_relaxed);
	s = slot_at(r, *place);
	while (atomic_load_explicit(&s->turn, memory_order_acquire) != 2 * *place + odd)
		spin_a_little(&waits);
	return s;
}

static long
ring_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	int rc = count_down(r->room);
	struct slot *s;
	uint64_t place;

	(void)count;
	if (rc < 0)
		return rc;
	s = take_turn(r, &r->tail, 0, &place);
	memcpy(s->data, item, bytes);
	atomic_store_explicit(&s->turn, 2 * place + 1, memory_order_release);
	rc = count_up(r->ready);
	return rc < 0 ? rc : 1;
}

static long
ring_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	int rc = count_down(r->ready);
	struct slot *s;
	uint64_t place;

	(void)count;
	if (rc < 0)
		return rc;
	s = take_turn(r, &r->head, 1, &place);
	memcpy(item, s->data, bytes);
	atomic_store_explicit(&s->turn, 2 * (place + r->capacity), memory_order_release);
	rc = count_up(r->room);
	return rc < 0 ? rc : 1;
}

const struct subject subject_eventfd = {
	.name = "eventfd ring",
	.about = "a ring in shared memory, room and messages counted by two EFD_SEMAPHOREs",
	.traits = SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = MEBI,
	.open = ring_open,
	.send = ring_send,
	.recv = ring_recv,
};
