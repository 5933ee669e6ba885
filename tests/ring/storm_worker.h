/* The storm's producers and consumers, each in a process that may be killed at any time. */
#ifndef RING_STORM_WORKER_H
#define RING_STORM_WORKER_H
#include "ring/storm_channel.h"
#include "ring/storm_ledger.h"
#include "ring/storm_message.h"

enum {
	BATCH_MAX = 40
};

struct worker {
	struct channel *channel;
	struct ledger *ledger;
	struct life *life;
	struct dice dice;
};

/* Work until told to stop, until a quota is reached or until a call fails; the exit status. */
int produce(struct worker *worker);
int consume(struct worker *worker);

/* Waits of every kind; most without end, since a wake-up that gets lost must show. */
shoal_time worker_patience(struct worker *worker);

/* One of the ways that the channel's kind allows. */
unsigned worker_way(struct worker *worker);

/* Notes what a call gave that it should not have given; the exit status. */
int worker_fail(struct worker *worker, const char *call, ssize_t rc);

#endif
