/*
 * crew.c - the workers of one repetition
 *
 * Worker i runs on processor i, counted round; what threads a library starts for it run anywhere.
 * A worker whose subject wants it makes ways of its own before anyone sends, and gives them up when
 * all have what they wanted: a library with a thread that sends in the background would lose what
 * is still under way.
 */
#include "crew.h"

#include "clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRAIN_NS (5 * 1000000000ull)
#define LEAVE_LOOK_NS 1000000ull

static uint64_t
switches_of(const struct subject *s)
{
	struct rusage usage;

	getrusage(s->traits & SUBJECT_THREADS ? RUSAGE_THREAD : RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}

static void
leave_together(struct work *w, struct opening *own)
{
	uint64_t deadline = clock_ns() + DRAIN_NS;

	atomic_fetch_add(&w->stage->leaving, 1);
	while (atomic_load(&w->stage->leaving) < workers_of(w->plan) && clock_ns() < deadline)
		clock_nap(LEAVE_LOOK_NS);
	w->plan->subject->leave(own);
}

/* The opening is copied, since threads would share what the worker changes in it. */
static bool
hand_work(struct hand *h)
{
	struct work *w = &h->work;
	const struct subject *s = w->plan->subject;
	struct opening own = *w->opening;
	uint64_t switches;
	bool ok;

	w->opening = &own;
	priority_shift(-1);
	if (s->enter) {
		int rc = s->enter(&own, (unsigned)(w->row - w->stage->row));

		if (rc < 0)
			return work_failed(w, "to enter", rc);
		work_gather(w);
	}
	pin_to(h->processor);
	switches = switches_of(s);
	ok = h->worker(w);
	w->row->switches = switches_of(s) - switches;
	if (ok && s->leave)
		leave_together(w, &own);
	return ok;
}

static void *
hand_thread(void *arg)
{
	struct hand *h = arg;

	return hand_work(h) ? h : NULL;
}

static bool
crew_add(struct crew *crew, struct work *w, worker_fn *worker, unsigned processor)
{
	struct hand *h = &crew->hand[crew->count];

	*h = (struct hand){ .worker = worker, .work = *w, .processor = processor };
	if (w->plan->subject->traits & SUBJECT_THREADS)
		return pthread_create(&h->thread, NULL, hand_thread, h) == 0 && ++crew->count;
	h->pid = fork_bound();
	if (h->pid < 0)
		return false;
	if (h->pid == 0) {
		_exit(hand_work(h) ? 0 : 1);
	}
	crew->count++;
	return true;
}

bool
crew_start(struct crew *crew, struct work *w, worker_fn *worker_for(enum measure, bool producer))
{
	const struct plan *p = w->plan;
	unsigned producers = measure_is_message(p->measure) ? p->producers : p->pairs;
	unsigned workers = workers_of(p);

	atomic_store(&w->stage->producers_left, producers);
	for (unsigned i = 0; i < workers; i++) {
		bool producer = i < producers;

		w->row = &w->stage->row[i];
		w->index = producer || measure_is_trip(p->measure) ? i : i - producers;
		if (!crew_add(crew, w, worker_for(w->plan->measure, producer), i))
			return false;
	}
	return true;
}

void
crew_kill(struct crew *crew)
{
	for (unsigned i = 0; i < crew->count; i++)
		if (crew->hand[i].pid > 0)
			kill(crew->hand[i].pid, SIGKILL);
	for (unsigned i = 0; i < crew->count; i++)
		if (crew->hand[i].pid > 0)
			waitpid(crew->hand[i].pid, NULL, 0);
}

/* A worker that failed leaves others waiting: its own words say more than that they are stuck. */
static void
reject_stuck(struct crew *crew, struct stage *stage, struct sample *out)
{
	for (unsigned i = 0; i < crew->count; i++)
		if (stage->row[i].error[0])
			reject(out, "%s", stage->row[i].error);
	reject(out, "stuck: a worker was not done %d s after the window", 5);
}

/* Whether it has ended by the deadline; a thread that failed looks like a process that exited 1. */
static bool
hand_ended(struct hand *h, uint64_t deadline_ns, int *status)
{
	void *good = NULL;

	if (h->pid)
		return wait_until(h->pid, deadline_ns, status);
	while (pthread_tryjoin_np(h->thread, &good)) {
		if (clock_ns() >= deadline_ns)
			return false;
		clock_nap(100000);
	}
	*status = good ? 0 : 1 << 8;
	return true;
}

void
crew_finish(struct crew *crew, struct stage *stage, struct sample *out)
{
	uint64_t deadline = clock_ns() + DRAIN_NS;

	for (unsigned i = 0; i < crew->count; i++) {
		int status = 0;

		if (!hand_ended(&crew->hand[i], deadline, &status)) {
			reject_stuck(crew, stage, out);
			crew_kill(crew);
			return;
		}
		crew->hand[i].pid = 0;
		if (WIFSIGNALED(status))
			reject(out, "worker %u died: %s", i, strsignal(WTERMSIG(status)));
		else if (WEXITSTATUS(status))
			reject(out, "worker failed: %s", stage->row[i].error);
		if (out->error[0])
			deadline = clock_ns() + DRAIN_NS / 10;
	}
}
