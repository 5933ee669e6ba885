#include "ring/storm_channel.h"
#include "ring/storm_message.h"
#include <string.h>

#define R SHOAL_QUEUE_REDELIVER
#define J SHOAL_QUEUE_JOINABLE
#define S SHOAL_PIPE_SHARED_ENDS

const struct kind kinds[] = {
	{ "inline", false, 0, ONE, 0, STORM_BYTES_MIN, 48 },
	{ "blocks", false, 0, ONE, 0, 200, STORM_BYTES_MAX },
	{ "batches", false, 0, ONE | BATCH, 0, 32, 32 },
	/* groups of items, taken whole and in parts */
	{ "packed", false, 0, ONE | BATCH, 0, 16, 16 },
	{ "packed-mixed", false, 0, ONE | BATCH | LOAN, 64, 20, 20 },
	{ "block-batches", false, 0, ONE | BATCH, 0, 300, 300 },
	{ "loans", false, 0, LOAN, 256, STORM_BYTES_MIN, 2000 },
	{ "mixed", false, 0, ONE | BATCH | LOAN, 64, 40, 40 },
	{ "redeliver", false, R, ONE | LOAN, 64, STORM_BYTES_MIN, 4000 },
	{ "redeliver-batches", false, R, ONE | BATCH | LOAN, 0, 32, 32 },
	{ "joinable", false, J, ONE | LOAN, 64, STORM_BYTES_MIN, 2000 },
	{ "joinable-redeliver", false, J | R, ONE | LOAN, 64, STORM_BYTES_MIN, 2000 },
	{ "pipe", true, S, ONE, 0, STORM_BYTES_MIN, 2000 },
	{ "pipe-blocks", true, S, ONE, 0, 200, STORM_BYTES_MAX },
	{ "pipe-batches", true, S, ONE | BATCH, 0, 32, 32 },
	{ "pipe-loans", true, S, ONE | LOAN, 0, STORM_BYTES_MIN, 2000 },
	{ 0 },
};

/* Small, so that the ring goes round often and both of its ends are met. */
enum {
	CAPACITY = 64,
	RING_BYTES = 16 * 1024
};

const struct kind *
kind_find(const char *name)
{
	for (const struct kind *k = kinds; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

/*
 * The supervisor uses both ends of a pipe before anybody else: a shared end lasts as long as one of
 * its users does, and all the others are going to be killed.
 */
static int
pipe_create(struct channel *c)
{
	const shoal_pipe_options options = { .ring_bytes = RING_BYTES, .flags = c->kind->flags };
	char hello[8];
	int rc = shoal_pipe_create(c->arena, NULL, &options, &c->left, &c->right);
	if (rc == 0)
		rc = shoal_pipe_send(c->left, "hello", 6, SHOAL_NOWAIT);
	if (rc == 0)
		rc = (int)shoal_pipe_recv(c->right, hello, sizeof hello, SHOAL_NOWAIT);
	return rc < 0 ? rc : 0;
}

int
channel_create(struct channel *c, shoal_arena *arena, const struct kind *kind)
{
	const shoal_queue_options options = {
		.capacity = CAPACITY, .slot_bytes = kind->slot_bytes, .flags = kind->flags
	};
	c->kind = kind;
	c->arena = arena;
	return kind->pipe ? pipe_create(c) : shoal_queue_create(arena, NULL, &options, &c->queue);
}

void
channel_destroy(struct channel *c)
{
	if (c->queue)
		shoal_queue_destroy(c->arena, c->queue);
	if (c->left)
		shoal_pipe_destroy(c->arena, c->left);
}

int
channel_put(struct channel *c, const void *message, size_t bytes, shoal_time timeout)
{
	return c->queue ? shoal_queue_put(c->queue, message, bytes, timeout)
	                : shoal_pipe_send(c->left, message, bytes, timeout);
}

ssize_t
channel_put_many(struct channel *c, const void *items, size_t bytes, size_t count,
                 shoal_time timeout)
{
	return c->queue ? shoal_queue_put_many(c->queue, items, bytes, count, timeout)
	                : shoal_pipe_send_many(c->left, items, bytes, count, timeout);
}

int
channel_reserve(struct channel *c, size_t bytes, shoal_time timeout, shoal_loan *loan)
{
	return c->queue ? shoal_queue_reserve(c->queue, bytes, timeout, loan)
	                : shoal_pipe_reserve(c->left, bytes, timeout, loan);
}

ssize_t
channel_get(struct channel *c, void *buffer, size_t bytes, shoal_time timeout)
{
	return c->queue ? shoal_queue_get(c->queue, buffer, bytes, timeout)
	                : shoal_pipe_recv(c->right, buffer, bytes, timeout);
}

ssize_t
channel_get_many(struct channel *c, void *items, size_t bytes, size_t count, shoal_time timeout)
{
	return c->queue ? shoal_queue_get_many(c->queue, items, bytes, count, timeout)
	                : shoal_pipe_recv_many(c->right, items, bytes, count, timeout);
}

int
channel_borrow(struct channel *c, shoal_time timeout, shoal_loan *loan)
{
	return c->queue ? shoal_queue_borrow(c->queue, timeout, loan)
	                : shoal_pipe_borrow(c->right, timeout, loan);
}

int
channel_done(struct channel *c)
{
	return channel_joinable(c) ? shoal_queue_task_done(c->queue) : 0;
}

void
channel_close(struct channel *c)
{
	if (c->queue)
		shoal_queue_close(c->queue);
	else
		shoal_pipe_close(c->left);
}

bool
channel_redelivers(const struct channel *c)
{
	return c->queue && c->kind->flags & R;
}

bool
channel_joinable(const struct channel *c)
{
	return c->queue && c->kind->flags & J;
}
