/*
 * subject_pipe.c - shoal's pipe: copying, in batches, and in place
 *
 * The ring is as large as rings.h says; "shoal pipe 256 KiB" has the library's default, as the
 * kernel's pipe has its own. One pair of processes owns one end each; only shapes with more ask for
 * SHARED_ENDS and pay for its locks.
 */
#include "rings.h"
#include "subject.h"

#include <errno.h>
#include <shoal/arena.h>
#include <shoal/pipe.h>
#include <stdlib.h>

struct way {
	shoal_pipe_end *near, *far;
	shoal_loan loan;
};

static int
ways_of(struct opening *o, shoal_pipe_end *left, shoal_pipe_end *right)
{
	struct way *w = calloc(2, sizeof *w);

	if (!w)
		return -ENOMEM;
	w[0].near = w[1].far = left;
	w[0].far = w[1].near = right;
	o->way[0] = &w[0];
	o->way[1] = &w[1];
	return 0;
}

static int
open_with(struct opening *o, uint32_t ring_bytes)
{
	bool shared = o->producers > 1 || o->consumers > 1;
	shoal_pipe_options options = { .ring_bytes = ring_bytes,
		                       .flags = shared ? SHOAL_PIPE_SHARED_ENDS : 0 };
	shoal_pipe_end *left, *right;
	shoal_arena *arena;
	int rc = shoal_arena_create(NULL, NULL, &arena);

	if (rc < 0)
		return rc;
	o->arena = arena;
	rc = shoal_pipe_create(arena, NULL, &options, &left, &right);
	return rc < 0 ? rc : ways_of(o, left, right);
}

static int
pipe_open(struct opening *o)
{
	return open_with(o, ring_bytes_for(o->bytes));
}

static int
pipe_open_default(struct opening *o)
{
	return open_with(o, 0);
}

static long
pipe_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	int rc = shoal_pipe_send(w->near, item, bytes, SHOAL_FOREVER);

	(void)count;
	return rc < 0 ? rc : 1;
}

static long
pipe_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	ssize_t got = shoal_pipe_recv(w->far, item, bytes, SHOAL_FOREVER);

	(void)count;
	return got < 0 ? got : 1;
}

static long
pipe_send_many(void *way, const void *items, size_t bytes, size_t count)
{
	struct way *w = way;

	return shoal_pipe_send_many(w->near, items, bytes, count, SHOAL_FOREVER);
}

static long
pipe_recv_many(void *way, void *items, size_t bytes, size_t count)
{
	struct way *w = way;

	return shoal_pipe_recv_many(w->far, items, bytes, count, SHOAL_FOREVER);
}

static void *
pipe_lend(void *way, size_t bytes)
{
	struct way *w = way;
	int rc = shoal_pipe_reserve(w->near, bytes, SHOAL_FOREVER, &w->loan);

	return rc < 0 ? NULL : w->loan.data;
}

static const void *
pipe_borrow(void *way, size_t bytes)
{
	struct way *w = way;
	int rc = shoal_pipe_borrow(w->far, SHOAL_FOREVER, &w->loan);

	return rc < 0 || w->loan.bytes != bytes ? NULL : w->loan.data;
}

static int
pipe_commit(void *way)
{
	struct way *w = way;

	return shoal_loan_commit(&w->loan, SHOAL_FOREVER);
}

static void
pipe_release(void *way)
{
	struct way *w = way;

	shoal_loan_release(&w->loan);
}

const struct subject subject_shoal_pipe = {
	.name = "shoal pipe",
	.about = "shoal_pipe_send, shoal_pipe_recv",
	.traits = SUBJECT_SPINS_FIRST,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = pipe_open,
	.close = close_arena,
	.send = pipe_send,
	.recv = pipe_recv,
};

const struct subject subject_shoal_pipe_default = {
	.name = "shoal pipe 256 KiB",
	.about = "the same with a ring of the default size",
	.traits = SUBJECT_SPINS_FIRST,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = pipe_open_default,
	.close = close_arena,
	.send = pipe_send,
	.recv = pipe_recv,
};

const struct subject subject_shoal_pipe_batch = {
	.name = "shoal pipe x32",
	.about = "shoal_pipe_send_many, shoal_pipe_recv_many, 32 messages a call",
	.traits = SUBJECT_BATCHES | SUBJECT_SPINS_FIRST,
	.batch = BATCH_MAX,
	.bytes_max = 4 * KIBI,
	.open = pipe_open,
	.close = close_arena,
	.send = pipe_send_many,
	.recv = pipe_recv_many,
};

const struct subject subject_shoal_pipe_loan = {
	.name = "shoal pipe in place",
	.about = "shoal_pipe_reserve, shoal_loan_commit, shoal_pipe_borrow, shoal_loan_release",
	.traits = SUBJECT_LENDS | SUBJECT_SPINS_FIRST,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = pipe_open,
	.close = close_arena,
	.send = pipe_send,
	.recv = pipe_recv,
	.lend = pipe_lend,
	.commit = pipe_commit,
	.borrow = pipe_borrow,
	.release = pipe_release,
};
