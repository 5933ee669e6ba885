#include "ring/storm_worker.h"
#include <errno.h>
#include <sched.h>
#include <string.h>

enum {
	LOANS_MAX = 3
};

static char buffer[STORM_BYTES_MAX + BATCH_MAX * 1024];

/* The last message of each place that this consumer has seen: what comes later was put later. */
static struct {
	uint32_t life, number;
} last[WORKERS_MAX];

static void
check_order(struct worker *w, uint32_t from, uint32_t number)
{
	uint32_t place = w->ledger->life[from].place;
	bool later = from > last[place].life ||
	             (from == last[place].life && number > last[place].number);
	if (!later) {
		w->life->disordered++;
		snprintf(w->life->why, sizeof w->life->why, "message %u of %u came after %u of %u",
		         number, from, last[place].number, last[place].life);
	}
	last[place].life = from;
	last[place].number = number;
}

static void
count_message(struct worker *w, const void *data, size_t bytes, uint32_t deliveries)
{
	uint32_t from = 0, number = 0;
	if (!message_read(data, bytes, &from, &number) || from >= LOOK(w->ledger->life_count) ||
	    number == 0 || number > LIFE_MESSAGES) {
		w->life->torn++;
		snprintf(w->life->why, sizeof w->life->why, "%zu bytes, of %u number %u", bytes,
		         from, number);
		return;
	}
	bool again = ledger_mark(w->ledger, from, number) > 0;
	if (again && (!channel_redelivers(w->channel) || deliveries == 1)) {
		w->life->doubled_early++;
		snprintf(w->life->why, sizeof w->life->why, "message %u of %u for the second time",
		         number, from);
	}
	if (!channel_redelivers(w->channel))
		check_order(w, from, number);
	uint64_t *received = &w->ledger->received[w->life->place];
	NOTE(*received, *received + 1);
}

/* The control: what a faulty library would do to this message. */
static void
receive_wrongly(struct worker *w, const void *data, size_t bytes, uint32_t deliveries)
{
	static char torn[STORM_BYTES_MAX], *leaked;
	switch (w->channel->fault) {
	case DOUBLE:
		count_message(w, data, bytes, deliveries);
		break;
	case TEAR:
		memcpy(torn, data, bytes);
		torn[bytes - 1] ^= 1;
		data = torn;
		break;
	case SWAP:
		memset(last, 0xff, sizeof last);
		break;
	case LEAK:
		leaked = leaked ? leaked : shoal_new(w->channel->arena, 100);
		break;
	default: /* LOSE */
		return;
	}
	count_message(w, data, bytes, deliveries);
}

/* Checks a message and marks it as received. `deliveries` is 0 where the library does not tell. */
static void
receive(struct worker *w, const void *data, size_t bytes, uint32_t deliveries)
{
	if (w->channel->fault && dice_roll(&w->dice, 16) == 0)
		receive_wrongly(w, data, bytes, deliveries);
	else
		count_message(w, data, bytes, deliveries);
}

/*
 * The books around a get. What a copying get has taken is this process's own, and lost with it
 * until it is marked; where the queue keeps it until it is reported as done, it comes again.
 */
static void
before_get(struct worker *w, const char *call, uint32_t count)
{
	bool kept = channel_redelivers(w->channel) && channel_joinable(w->channel);
	NOTE(w->life->doing, call);
	NOTE(w->life->held, count);
	NOTE(w->life->may_lose, kept ? 0 : count);
	NOTE(w->life->may_double, kept ? count : 0);
}

static void
after_get(struct worker *w)
{
	NOTE(w->life->may_lose, 0);
	NOTE(w->life->may_double, 0);
	NOTE(w->life->held, 0);
	NOTE(w->life->calls, w->life->calls + 1);
}

/* Now and then into a buffer that is too small for any message: it must stay where it is. */
static ssize_t
get_one(struct worker *w)
{
	bool too_small = dice_roll(&w->dice, 32) == 0;
	before_get(w, "get", 1);
	size_t room = too_small ? STORM_BYTES_MIN - 1 : STORM_BYTES_MAX;
	ssize_t rc = channel_get(w->channel, buffer, room, worker_patience(w));
	if (rc >= 0) {
		receive(w, buffer, (size_t)rc, 0);
		int done = channel_done(w->channel);
		rc = done < 0 ? done : rc;
	}
	after_get(w);
	return too_small && rc == -EMSGSIZE ? 0 : rc;
}

static ssize_t
get_batch(struct worker *w)
{
	uint32_t count = 1 + dice_roll(&w->dice, BATCH_MAX);
	size_t bytes = w->channel->kind->bytes_min;
	before_get(w, "get_many", count);
	ssize_t rc = channel_get_many(w->channel, buffer, bytes, count, worker_patience(w));
	for (ssize_t i = 0; i < rc; i++)
		receive(w, buffer + (size_t)i * bytes, bytes, 0);
	after_get(w);
	return rc;
}

static int
give_back(struct worker *w, shoal_loan *loan)
{
	bool joinable = channel_joinable(w->channel);
	if (joinable && dice_roll(&w->dice, 2))
		return shoal_loan_finish(loan);
	shoal_loan_release(loan);
	return joinable ? channel_done(w->channel) : 0;
}

/* A borrowed message that is marked comes again if this process dies; an unmarked one is lost. */
static ssize_t
borrow(struct worker *w, shoal_time timeout, shoal_loan *loan)
{
	bool again = channel_redelivers(w->channel);
	NOTE(w->life->doing, "borrow");
	NOTE(w->life->held, w->life->held + 1);
	NOTE(w->life->may_lose, again ? 0 : 1);
	ssize_t rc = channel_borrow(w->channel, timeout, loan);
	if (rc == 0 && again)
		NOTE(w->life->may_double, w->life->may_double + 1);
	if (rc == 0)
		receive(w, loan->data, loan->bytes, loan->deliveries);
	NOTE(w->life->may_lose, 0);
	return rc;
}

/* Gives a message back unread; it comes again. */
static ssize_t
borrow_and_return(struct worker *w)
{
	shoal_loan loan;
	NOTE(w->life->doing, "return");
	NOTE(w->life->held, 1);
	ssize_t rc = channel_borrow(w->channel, worker_patience(w), &loan);
	if (rc == 0) {
		NOTE(w->life->returned, w->life->returned + 1);
		rc = shoal_loan_return(&loan);
	}
	NOTE(w->life->held, 0);
	return rc;
}

/* Several loans at once, given back in any order. */
static ssize_t
get_loans(struct worker *w)
{
	shoal_loan loan[LOANS_MAX];
	uint32_t count, wanted = 1 + dice_roll(&w->dice, LOANS_MAX);
	ssize_t rc = borrow(w, worker_patience(w), &loan[0]), failed = 0;
	for (count = rc == 0; count && count < wanted; count++)
		if (borrow(w, SHOAL_NOWAIT, &loan[count]) < 0)
			break;
	NOTE(w->life->doing, "release");
	while (count > 0) {
		uint32_t i = dice_roll(&w->dice, count);
		int gave = give_back(w, &loan[i]);
		failed = gave < 0 ? gave : failed;
		loan[i] = loan[--count];
		NOTE(w->life->held, w->life->held - 1);
	}
	after_get(w);
	return failed ? failed : rc;
}

static ssize_t
get_some(struct worker *w)
{
	unsigned way = worker_way(w);
	if (way == LOAN && channel_redelivers(w->channel) && dice_roll(&w->dice, 16) == 0)
		return borrow_and_return(w);
	return way == ONE ? get_one(w) : way == BATCH ? get_batch(w)
	                                              : get_loans(w);
}

int
consume(struct worker *w)
{
	uint32_t quota = 1 + dice_roll(&w->dice, LIFE_MESSAGES);
	bool to_the_end = w->life->place == WORKERS_MAX - 1;
	for (uint32_t i = 0; i < quota || to_the_end || LOOK(w->ledger->closing); i++) {
		ssize_t rc = get_some(w);
		if (rc == -EPIPE && LOOK(w->ledger->closing))
			return 0;
		if (rc < 0 && !shoal_timed_out(rc))
			return worker_fail(w, w->life->doing, rc);
		if (rc < 0)
			sched_yield();
	}
	return 0;
}
