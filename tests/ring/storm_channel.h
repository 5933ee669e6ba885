/*
 * What the storm rages over: a queue or a pipe, and the ways of putting and getting that are mixed
 * in it. One table lists the kinds; everything else treats queue and pipe alike.
 */
#ifndef RING_STORM_CHANNEL_H
#define RING_STORM_CHANNEL_H
#include <shoal/shoal.h>

/* Ways to put and to get. */
enum {
	ONE = 1,
	BATCH = 2,
	LOAN = 4
};

struct kind {
	const char *name;
	bool pipe;
	unsigned flags; /* of the queue or the pipe */
	unsigned ways;
	uint32_t slot_bytes;
	size_t bytes_min, bytes_max; /* equal where batches are used: a batch's items are */
};

/* Ends with a kind that has no name. */
extern const struct kind kinds[];
const struct kind *kind_find(const char *name);

/* Controls: a storm that is not told of these must report them. */
enum fault {
	NO_FAULT,
	LOSE,
	DOUBLE,
	TEAR,
	SWAP,
	LEAK
};

struct channel {
	const struct kind *kind;
	enum fault fault;
	shoal_arena *arena;
	shoal_queue *queue; /* or NULL, */
	shoal_pipe_end *left, *right; /* and left sends to right */
};

int channel_create(struct channel *channel, shoal_arena *arena, const struct kind *kind);
void channel_destroy(struct channel *channel);

int channel_put(struct channel *channel, const void *message, size_t bytes, shoal_time timeout);
ssize_t channel_put_many(struct channel *channel, const void *items, size_t bytes, size_t count,
                         shoal_time timeout);
int channel_reserve(struct channel *channel, size_t bytes, shoal_time timeout, shoal_loan *loan);
ssize_t channel_get(struct channel *channel, void *buffer, size_t bytes, shoal_time timeout);
ssize_t channel_get_many(struct channel *channel, void *items, size_t bytes, size_t count,
                         shoal_time timeout);
int channel_borrow(struct channel *channel, shoal_time timeout, shoal_loan *loan);

/* Reports the oldest message taken by a get; nothing to do where the channel keeps no count. */
int channel_done(struct channel *channel);

/* Nothing more is put; what is there can still be got. */
void channel_close(struct channel *channel);

bool channel_redelivers(const struct channel *channel);
bool channel_joinable(const struct channel *channel);

#endif
