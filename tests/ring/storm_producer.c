#include "ring/storm_worker.h"
#include <errno.h>
#include <sched.h>
#include <string.h>

static char buffer[STORM_BYTES_MAX + BATCH_MAX * 1024];

static size_t
some_bytes(struct worker *w)
{
	const struct kind *k = w->channel->kind;
	return k->bytes_min + dice_roll(&w->dice, (uint32_t)(k->bytes_max - k->bytes_min + 1));
}

/* The books before a put of the next `count` messages, and after one of which `count` went. */
static void
before_put(struct life *life, const char *call, uint32_t count)
{
	NOTE(life->doing, call);
	NOTE(life->begun, life->done + count);
}

static void
after_put(struct life *life, uint32_t count)
{
	NOTE(life->done, life->done + count);
	NOTE(life->begun, life->done);
	NOTE(life->calls, life->calls + 1);
}

static ssize_t
put_one(struct worker *w)
{
	uint32_t id = ledger_id(w->ledger, w->life);
	size_t bytes = some_bytes(w);
	message_fill(buffer, bytes, id, w->life->done + 1);
	before_put(w->life, "put", 1);
	int rc = channel_put(w->channel, buffer, bytes, worker_patience(w));
	after_put(w->life, rc == 0);
	return rc;
}

static ssize_t
put_batch(struct worker *w)
{
	uint32_t id = ledger_id(w->ledger, w->life);
	uint32_t count = 1 + dice_roll(&w->dice, BATCH_MAX);
	size_t bytes = w->channel->kind->bytes_min;
	for (uint32_t i = 0; i < count; i++)
		message_fill(buffer + i * bytes, bytes, id, w->life->done + 1 + i);
	before_put(w->life, "put_many", count);
	ssize_t rc = channel_put_many(w->channel, buffer, bytes, count, worker_patience(w));
	after_put(w->life, rc > 0 ? (uint32_t)rc : 0);
	return rc;
}

/* After a time-out the loan stands: try again, or give it up. */
static int
commit(struct worker *w, shoal_loan *loan)
{
	message_fill(loan->data, loan->bytes, ledger_id(w->ledger, w->life), w->life->done + 1);
	before_put(w->life, "commit", 1);
	int rc = shoal_loan_commit(loan, worker_patience(w));
	while (shoal_timed_out(rc) && dice_roll(&w->dice, 4))
		rc = shoal_loan_commit(loan, worker_patience(w));
	if (rc < 0)
		shoal_loan_release(loan);
	after_put(w->life, rc == 0);
	return rc;
}

/* Several loans at once, of which some are never sent. */
static ssize_t
put_loans(struct worker *w)
{
	shoal_loan loan[3];
	uint32_t count = 0, wanted = 1 + dice_roll(&w->dice, 3);
	ssize_t rc = 0;
	NOTE(w->life->doing, "reserve");
	for (; count < wanted && rc == 0; count += rc == 0)
		rc = channel_reserve(w->channel, some_bytes(w), worker_patience(w), &loan[count]);
	for (uint32_t i = 0; i < count; i++) {
		if (dice_roll(&w->dice, 8) == 0) {
			shoal_loan_release(&loan[i]);
			continue;
		}
		int sent = commit(w, &loan[i]);
		rc = rc == 0 || shoal_timed_out(rc) ? sent : rc;
	}
	return rc;
}

static ssize_t
put_some(struct worker *w)
{
	unsigned way = worker_way(w);
	return way == ONE ? put_one(w) : way == BATCH ? put_batch(w)
	                                              : put_loans(w);
}

int
produce(struct worker *w)
{
	uint32_t quota = 1 + dice_roll(&w->dice, LIFE_MESSAGES - 2 * BATCH_MAX);
	while (!LOOK(w->ledger->stopping) && w->life->done < quota) {
		ssize_t rc = put_some(w);
		if (rc < 0 && !shoal_timed_out(rc))
			return worker_fail(w, w->life->doing, rc);
		if (rc < 0)
			sched_yield();
	}
	return 0;
}
