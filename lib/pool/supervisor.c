/*
 * It sleeps until a worker ends, somebody kicks it, or an item's time is up; and it waits for
 * nothing else: neither for a worker that runs, nor for a lock that a worker may hold, nor for one
 * of the program's streams. A start waits for what fork does, and under the other methods for the
 * fork server and the new process.
 *
 * How a pool ends: closed and nothing unsettled, it closes the work queue, so workers leave by
 * themselves, at the latest when the time of their items is up; ENDING, it sends SIGTERM, and GRACE
 * later SIGKILL. When all processes are buried the phase is ENDED.
 */
#include "pool/supervisor.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/notice.h"
#include "base/pollset.h"
#include "pool/callback.h"
#include "pool/collector.h"
#include "pool/crew.h"
#include "pool/map.h"
#include "pool/mourn.h"
#include "pool/slot.h"
#include "process/process.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_NS INT64_C(100000000)
#define START_AGAIN_NS INT64_C(20000000)
#define STARTS_MAX 250 /* as shoal/pool.h has it */
#define PUT_AGAIN_NS INT64_C(2000000)
#define UNTOLD_NS INT64_C(1000000)
#define LOOK_NS INT64_C(1000000) /* however short the times of items are */

struct watch {
	struct shoal_pool *pool;
	struct pollfd *fds; /* [0] is the kick, [i] seat i's */
	int64_t kill_at;    /* CLOCK_NEVER: SIGTERM has not been sent */
	unsigned failures;  /* starts in a row that failed, with no worker alive */
};

static uint32_t
phase(const struct watch *w)
{
	return load_seq_cst(&w->pool->phase);
}

/* ---- deaths ---- */

static void
breaks(struct shoal_pool *p, int code, const char *why)
{
	pool_end(p, code, true, why);
	log_line(LOG_WARNING, "a pool breaks: %s", why);
}

/* An initializer that has returned 0 since the last look ends the row. */
static void
look_who_is_in(struct shoal_pool *p)
{
	for (uint32_t i = 1; i <= p->head->workers; i++) {
		uint32_t at = load_acquire(&p->seats[i].phase);
		bool in = p->workers[i].process && (at == SEAT_WORKING || at == SEAT_LEAVING);
		if (in && !p->workers[i].let_in)
			p->refusals = 0;
		p->workers[i].let_in |= in;
	}
}

static void
count_refusal(struct shoal_pool *p, int code, const char *how)
{
	char why[TEXT_BYTES];
	look_who_is_in(p);
	if (++p->refusals < p->retries_max)
		return;
	snprintf(why, sizeof why, "the pool's initializer failed %u times in a row: %s", p->refusals,
	         how);
	breaks(p, code, why);
}

/* It ended as it should: its share is done, or the pool is closed. */
static bool
left_by_itself(const struct seat *s, int code)
{
	return code == 0 && load_acquire(&s->phase) == SEAT_LEAVING;
}

static void
look_at_start(struct shoal_pool *p, uint32_t seat, const char *how)
{
	const struct seat *s = &p->seats[seat];
	uint32_t at = load_acquire(&s->phase);
	if (at == SEAT_REFUSED) {
		char what[TEXT_BYTES];
		int code = (int)load_relaxed(&s->code);
		snprintf(what, sizeof what, "its code is %d (%s)", code, strerror(-code));
		count_refusal(p, code, what);
	} else if (at == SEAT_INITIALIZING) {
		count_refusal(p, -EOWNERDEAD, how);
	} else if (at >= SEAT_WORKING && !p->workers[seat].let_in) {
		p->refusals = 0;
	}
}

static void
bury(struct watch *w, uint32_t seat)
{
	struct shoal_pool *p = w->pool;
	char how[TEXT_BYTES];
	bool late = p->workers[seat].killed;
	int code = crew_bury(p, seat, how, sizeof how);
	bool left = left_by_itself(&p->seats[seat], code);
	if (phase(w) >= POOL_ENDING)
		return;
	if (!left)
		fetch_add_relaxed(&p->deaths, 1);
	look_at_start(p, seat, how);
	if (late)
		snprintf(how, sizeof how, "the item ran for longer than it may, and its worker was killed");
	struct death d = { seat, late ? -ETIMEDOUT : -EOWNERDEAD, how, false };
	mourn(p, &d);
	store_seq_cst(&p->put_again, 1);
	if (d.held && !late && p->options.on_death == SHOAL_BREAK_POOL && phase(w) < POOL_ENDING)
		breaks(p, -EOWNERDEAD, how);
}

/* ---- time ---- */

/* The item's end is decided by the exchange of its deadline; what the signal meets is no other. */
static void
overdue(struct shoal_pool *p, uint32_t seat, uint64_t deadline)
{
	if (!cas64_acq_rel(&p->seats[seat].deadline, deadline, SEAT_OVERDUE))
		return;
	p->workers[seat].killed = true;
	shoal_process_kill(p->workers[seat].process);
}

/*
 * Whether an item may run or begin. What nobody wants any more does not count as unsettled, and its
 * time is up all the same: it goes on in slots and jobs, of which a worker names its own.
 */
static bool
anything_runs(const struct shoal_pool *p)
{
	if (load_seq_cst(&p->unsettled) || slot_any_runs(p))
		return true;
	for (uint32_t i = 1; i <= p->head->workers; i++)
		if (load_seq_cst(&p->seats[i].job))
			return true;
	return false;
}

/*
 * When to look again: an item that begins after this look has at least the shortest time, or is
 * found overdue LOOK_NS late.
 */
static int64_t
look_at_times(struct watch *w)
{
	struct shoal_pool *p = w->pool;
	int64_t now = clock_now(), shortest = (int64_t)load_seq_cst(&p->shortest);
	if (!shortest || !anything_runs(p))
		return CLOCK_NEVER;
	int64_t next = clock_deadline(shortest > LOOK_NS ? shortest : LOOK_NS);
	for (uint32_t i = 1; i <= p->head->workers; i++) {
		uint64_t deadline = load_acquire(&p->seats[i].deadline);
		if (!p->workers[i].process || !deadline || deadline == SEAT_OVERDUE)
			continue;
		if ((int64_t)deadline <= now)
			overdue(p, i, deadline);
		else if ((int64_t)deadline < next)
			next = (int64_t)deadline;
	}
	return next;
}

/* ---- the crew ---- */

static bool
wants_workers(const struct watch *w)
{
	uint32_t now = phase(w);
	return now == POOL_OPEN || (now == POOL_CLOSED && load_seq_cst(&w->pool->unsettled) > 0);
}

/* The code is no start's own: of -EAGAIN shoal_timed_out would say that it is worth another try. */
static void
break_for_want(struct shoal_pool *p)
{
	char why[TEXT_BYTES];
	snprintf(why, sizeof why, "no worker could be started: %s", shoal_error());
	breaks(p, -ECHILD, why);
}

/* It has not told how one ended, and may stand still: a start would too, and hold up the rest. */
static bool
server_is_late(const struct shoal_pool *p)
{
	bool any = false;
	for (uint32_t i = 1; i <= p->head->workers && p->head->method == SHOAL_FORKSERVER; i++)
		any |= p->workers[i].untold;
	return any;
}

/* When to try again; CLOCK_NEVER: all are there. */
static int64_t
fill_seats(struct watch *w)
{
	struct shoal_pool *p = w->pool;
	int64_t again = CLOCK_NEVER;
	if (server_is_late(p))
		return again;
	for (uint32_t i = 1; i <= p->head->workers && wants_workers(w); i++) {
		struct worker *worker = &p->workers[i];
		if (worker->process)
			continue;
		if (worker->again <= clock_now() && crew_start(p, i, true) == 0) {
			w->failures = 0;
			store_seq_cst(&p->put_again, 1);
			continue;
		}
		if (worker->again <= clock_now()) {
			worker->again = clock_now() + START_AGAIN_NS;
			if (!load_relaxed(&p->alive) && ++w->failures >= STARTS_MAX)
				break_for_want(p);
		}
		if (worker->again < again)
			again = worker->again;
	}
	return again;
}

static bool
all_gone(const struct shoal_pool *p)
{
	for (uint32_t i = 1; i <= p->head->workers; i++)
		if (p->workers[i].process)
			return false;
	return true;
}

/* SIGTERM once, which a stopped one takes when it goes on; SIGKILL when the grace is over. */
static int64_t
end_workers(struct watch *w)
{
	struct shoal_pool *p = w->pool;
	if (w->kill_at == CLOCK_NEVER) {
		crew_signal(p, SIGTERM);
		crew_signal(p, SIGCONT);
		w->kill_at = clock_now() + GRACE_NS;
	} else if (w->kill_at <= clock_now()) {
		crew_signal(p, SIGKILL);
		w->kill_at = clock_now() + GRACE_NS;
	}
	return w->kill_at;
}

/* ---- the round ---- */

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until when to sleep: one whose end is known, but not how, is asked for again. */
static int64_t
list_watched(struct watch *w, int64_t deadline)
{
	struct shoal_pool *p = w->pool;
	w->fds[0] = (struct pollfd){ .fd = p->kick, .events = POLLIN };
	for (uint32_t i = 1; i <= p->head->workers; i++) {
		const struct worker *one = &p->workers[i];
		bool asked = one->process && !one->untold;
		w->fds[i] = (struct pollfd){ .fd = asked ? one->fd : -1, .events = POLLIN };
		if (one->untold)
			deadline = sooner(deadline, clock_deadline(UNTOLD_NS));
	}
	return deadline;
}

/* Blind: where the limit of open files is 0 by now, no descriptor is looked at. */
static void
look_at_worker(struct watch *w, uint32_t i, bool blind)
{
	struct worker *one = &w->pool->workers[i];
	bool told = w->fds[i].revents || one->untold;
	if (!one->process || !(told || blind))
		return;
	bool ended = process_ended(one->process);
	one->untold = !ended && told;
	if (ended)
		bury(w, i);
}

static void
sleep_until(struct watch *w, int64_t deadline)
{
	struct shoal_pool *p = w->pool;
	uint32_t workers = p->head->workers;
	int told = pollset_wait(w->fds, workers + 1, list_watched(w, deadline));
	if (told < 0 || w->fds[0].revents)
		notice_clear(p->kick);
	for (uint32_t i = 1; i <= workers; i++)
		look_at_worker(w, i, told < 0);
}

/* What is to be done now; when to look again. */
static int64_t
round_once(struct watch *w)
{
	struct shoal_pool *p = w->pool;
	if (phase(w) >= POOL_ENDING)
		return end_workers(w);
	if (!wants_workers(w)) {
		shoal_queue_close(p->queue);
		return look_at_times(w);
	}
	int64_t next = sooner(fill_seats(w), look_at_times(w));
	map_bury_retired(p);
	if (load_seq_cst(&p->put_again))
		mourn_put_again(p);
	if (load_seq_cst(&p->put_again))
		next = sooner(next, clock_now() + PUT_AGAIN_NS);
	return next;
}

static bool
over(const struct watch *w)
{
	return all_gone(w->pool) && !wants_workers(w);
}

static void *
live(void *arg)
{
	struct shoal_pool *p = arg;
	struct watch w = { .pool = p, .kill_at = CLOCK_NEVER };
	w.fds = p->fds;
	pool_thread_begin(p);
	while (!over(&w)) {
		int64_t next = round_once(&w);
		if (!over(&w))
			sleep_until(&w, next);
	}
	pthread_mutex_lock(&p->lock);
	store_seq_cst(&p->phase, POOL_ENDED);
	pthread_mutex_unlock(&p->lock);
	futex_wake(&p->phase, FUTEX_ALL);
	callback_stop(p);
	slot_ring(p);
	collector_rouse(p);
	pool_thread_end(p);
	return NULL;
}

int
supervisor_start(struct shoal_pool *p)
{
	return pool_thread(p, live);
}
