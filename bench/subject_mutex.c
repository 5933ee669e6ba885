/*
 * subject_mutex.c - what people write by hand: a ring under a process-shared mutex
 *
 * Two conditions, one for room and one for messages, and a signal only when somebody waits: the
 * version of a careful author. It hangs for ever when a process dies inside.
 */
#include "rings.h"
#include "subject.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t room, ready;
	uint64_t head, tail;
	uint32_t room_waiters, ready_waiters;
	uint32_t capacity;
	size_t stride;
	_Alignas(64) char slots[];
};

static int
shared_parts(struct ring *r)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	int rc;

	pthread_mutexattr_init(&mutex);
	pthread_condattr_init(&cond);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	rc = pthread_mutex_init(&r->lock, &mutex);
	if (rc == 0)
		rc = pthread_cond_init(&r->room, &cond);
	if (rc == 0)
		rc = pthread_cond_init(&r->ready, &cond);
	return -rc;
}

static int
way_open(struct opening *o, int i)
{
	uint32_t capacity = slots_for(o->bytes);
	size_t stride = (o->bytes + sizeof(uint64_t) + 63) & ~(size_t)63;
	struct ring *r = shared_memory(sizeof *r + capacity * stride);

	if (!r)
		return -ENOMEM;
	r->capacity = capacity;
	r->stride = stride;
	o->way[i] = r;
	return shared_parts(r);
}

static int
ring_open(struct opening *o)
{
	int rc = way_open(o, 0);

	return rc == 0 && o->duplex ? way_open(o, 1) : rc;
}

static char *
slot_at(struct ring *r, uint64_t place)
{
	return r->slots + (place & (r->capacity - 1)) * r->stride;
}

static long
ring_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	char *slot;

	(void)count;
	pthread_mutex_lock(&r->lock);
	while (r->tail - r->head == r->capacity) {
		r->room_waiters++;
		pthread_cond_wait(&r->room, &r->lock);
		r->room_waiters--;
	}
	slot = slot_at(r, r->tail++);
	memcpy(slot, &bytes, sizeof bytes);
	memcpy(slot + sizeof bytes, item, bytes);
	if (r->ready_waiters)
		pthread_cond_signal(&r->ready);
	pthread_mutex_unlock(&r->lock);
	return 1;
}

static long
ring_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct ring *r = way;
	size_t length;
	char *slot;

	(void)count;
	pthread_mutex_lock(&r->lock);
	while (r->tail == r->head) {
		r->ready_waiters++;
		pthread_cond_wait(&r->ready, &r->lock);
		r->ready_waiters--;
	}
	slot = slot_at(r, r->head++);
	memcpy(&length, slot, sizeof length);
	memcpy(item, slot + sizeof length, length < bytes ? length : bytes);
	if (r->room_waiters)
		pthread_cond_signal(&r->room);
	pthread_mutex_unlock(&r->lock);
	return 1;
}

const struct subject subject_mutex = {
	.name = "pthread ring",
	.about = "a ring under a process-shared mutex with two conditions",
	.batch = 1,
	.bytes_max = MEBI,
	.open = ring_open,
	.send = ring_send,
	.recv = ring_recv,
};
