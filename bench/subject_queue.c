/*
 * subject_queue.c - shoal's queue: copying, in batches, and in place
 *
 * A slot holds a message of up to SLOT_BYTES_MAX, as somebody who knows his message size would ask
 * for; longer ones travel in blocks. The capacity is that of the other rings of fixed slots.
 */
#include "rings.h"
#include "subject.h"

#include "spin.h"

#include <errno.h>
#include <shoal/arena.h>
#include <shoal/queue.h>
#include <stdlib.h>

enum {
	SLOT_BYTES_MAX = 4096
};

struct way {
	shoal_queue *queue;
	shoal_loan loan;
};

static int
way_open(struct opening *o, int i)
{
	struct way *w = calloc(1, sizeof *w);
	shoal_queue_options options = { .capacity = slots_for(o->bytes) };

	if (!w)
		return -ENOMEM;
	options.slot_bytes = o->bytes <= SLOT_BYTES_MAX ? (uint32_t)o->bytes : 0;
	o->way[i] = w;
	return shoal_queue_create(o->arena, NULL, &options, &w->queue);
}

static int
queue_open(struct opening *o)
{
	shoal_arena *arena;
	int rc = shoal_arena_create(NULL, NULL, &arena);

	if (rc < 0)
		return rc;
	o->arena = arena;
	rc = way_open(o, 0);
	if (rc == 0 && o->duplex)
		rc = way_open(o, 1);
	return rc;
}

static long
queue_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	int rc = shoal_queue_put(w->queue, item, bytes, SHOAL_FOREVER);

	(void)count;
	return rc < 0 ? rc : 1;
}

static long
queue_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	ssize_t got = shoal_queue_get(w->queue, item, bytes, SHOAL_FOREVER);

	(void)count;
	return got < 0 ? got : 1;
}

static long
queue_send_spinning(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	unsigned waits = 0;
	int rc;

	(void)count;
	while ((rc = shoal_queue_put(w->queue, item, bytes, SHOAL_NOWAIT)) == -EAGAIN)
		spin_a_little(&waits);
	return rc < 0 ? rc : 1;
}

static long
queue_recv_spinning(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	unsigned waits = 0;
	ssize_t got;

	(void)count;
	while ((got = shoal_queue_get(w->queue, item, bytes, SHOAL_NOWAIT)) == -EAGAIN)
		spin_a_little(&waits);
	return got < 0 ? got : 1;
}

static long
queue_send_many(void *way, const void *items, size_t bytes, size_t count)
{
	struct way *w = way;

	return shoal_queue_put_many(w->queue, items, bytes, count, SHOAL_FOREVER);
}

static long
queue_recv_many(void *way, void *items, size_t bytes, size_t count)
{
	struct way *w = way;

	return shoal_queue_get_many(w->queue, items, bytes, count, SHOAL_FOREVER);
}

static void *
queue_lend(void *way, size_t bytes)
{
	struct way *w = way;
	int rc = shoal_queue_reserve(w->queue, bytes, SHOAL_FOREVER, &w->loan);

	return rc < 0 ? NULL : w->loan.data;
}

static const void *
queue_borrow(void *way, size_t bytes)
{
	struct way *w = way;
	int rc = shoal_queue_borrow(w->queue, SHOAL_FOREVER, &w->loan);

	return rc < 0 || w->loan.bytes != bytes ? NULL : w->loan.data;
}

static int
queue_commit(void *way)
{
	struct way *w = way;

	return shoal_loan_commit(&w->loan, SHOAL_FOREVER);
}

static void
queue_release(void *way)
{
	struct way *w = way;

	shoal_loan_release(&w->loan);
}

const struct subject subject_queue = {
	.name = "shoal queue",
	.about = "shoal_queue_put, shoal_queue_get",
	.traits = SUBJECT_SPINS_FIRST,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = queue_open,
	.close = close_arena,
	.send = queue_send,
	.recv = queue_recv,
};

const struct subject subject_queue_batch = {
	.name = "shoal queue x32",
	.about = "shoal_queue_put_many, shoal_queue_get_many, 32 messages a call",
	.traits = SUBJECT_BATCHES | SUBJECT_SPINS_FIRST,
	.batch = BATCH_MAX,
	.bytes_max = 4 * KIBI,
	.open = queue_open,
	.close = close_arena,
	.send = queue_send_many,
	.recv = queue_recv_many,
};

const struct subject subject_queue_loan = {
	.name = "shoal queue in place",
	.about = "shoal_queue_reserve, shoal_loan_commit, shoal_queue_borrow, shoal_loan_release",
	.traits = SUBJECT_LENDS | SUBJECT_SPINS_FIRST,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = queue_open,
	.close = close_arena,
	.send = queue_send,
	.recv = queue_recv,
	.lend = queue_lend,
	.commit = queue_commit,
	.borrow = queue_borrow,
	.release = queue_release,
};

/* What is asked of rings that cannot sleep, asked of ours: nobody ever waits in the kernel. */
const struct subject subject_queue_spinning = {
	.name = "shoal queue spinning",
	.about = "shoal_queue_put, shoal_queue_get with SHOAL_NOWAIT, again until they succeed",
	.traits = SUBJECT_SPINS,
	.batch = 1,
	.bytes_max = MEBI,
	.open = queue_open,
	.close = close_arena,
	.send = queue_send_spinning,
	.recv = queue_recv_spinning,
};
