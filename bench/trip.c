/*
 * trip.c - round trips
 *
 * Both spinning: ping-pong back to back, each side waiting as the subject waits. One look at the
 * clock a trip is part of every trip, of every subject.
 *
 * Both asleep: each side works for 60 to 100 microseconds, on its own processor, before it
 * answers. That is longer than any subject spins, so the other one is in the kernel when the
 * answer comes. The message carries the time at which its send began, and the receiver looks at
 * the clock as its receive returns: that is one way, and two ways that follow each other make a
 * round trip. Nothing has to be subtracted, the think time is in neither way, and it is the same
 * arithmetic for pipe(2) and for us. What a sender does after the receiver was woken counts for
 * nobody.
 */
#include "trip.h"

#include "audit.h"
#include "clock.h"

#include <stdlib.h>

enum {
	THINK_NS_MIN = 60000,
	THINK_NS_SPREAD = 40000,
};

/* The times are kept in private memory, touched first: a page fault is no part of a trip. */
void
trips_begin(struct trips *t, struct work *w)
{
	size_t bytes = sizeof *t->trip * TRIPS_MAX;

	*t = (struct trips){ .work = w, .seed = clock_ns() | 1 };
	t->out = w->opening->way[w->index];
	t->in = w->opening->way[!w->index];
	t->message = aligned_alloc(4096, (w->plan->bytes + 4095) & ~(size_t)4095);
	t->trip = malloc(bytes);
	if (!t->message || !t->trip)
		abort();
	memset(t->message, 0, w->plan->bytes);
	memset(t->trip, 1, bytes);
}

void
trips_end(struct trips *t, uint64_t cpu_began)
{
	struct row *row = t->work->row;

	row->cpu_ns = clock_cpu_ns() - cpu_began;
	row->trips = t->count;
	memcpy(t->work->stage->trip[t->work->index], t->trip, t->count * sizeof *t->trip);
}

void
trips_record(struct trips *t, uint64_t ns)
{
	if (t->count < TRIPS_MAX)
		t->trip[t->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static bool
post(struct trips *t, uint64_t word)
{
	const struct plan *p = t->work->plan;
	long n;

	memcpy(t->message, &word, sizeof word);
	n = p->subject->send(t->out, t->message, p->bytes, 1);
	return n == 1 ? true : work_failed(t->work, "send", n);
}

static bool
fetch(struct trips *t, uint64_t *word)
{
	const struct plan *p = t->work->plan;
	long n = p->subject->recv(t->in, t->message, p->bytes, 1);

	if (n != 1)
		return work_failed(t->work, "receive", n);
	*word = audit_read(t->message);
	return true;
}

void
trips_think(struct trips *t)
{
	uint64_t until;

	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	until = clock_ns() + THINK_NS_MIN + t->seed % THINK_NS_SPREAD;
	while (clock_ns() < until)
		;
}

static bool
stopping(struct trips *t)
{
	struct stage *stage = t->work->stage;

	atomic_store_explicit(&t->work->row->count, t->count, memory_order_relaxed);
	return t->count == TRIPS_MAX || atomic_load_explicit(&stage->stop, memory_order_relaxed);
}

static bool
ping_spinning(struct trips *t)
{
	uint64_t number = 0, echo, began = clock_ns();

	while (!stopping(t)) {
		uint64_t now;

		if (!post(t, ++number) || !fetch(t, &echo))
			return false;
		t->work->row->bad += echo != number;
		now = clock_ns();
		trips_record(t, now - began);
		began = now;
	}
	return post(t, AUDIT_END);
}

static bool
pong_spinning(struct trips *t)
{
	uint64_t word;

	for (;;) {
		if (!fetch(t, &word))
			return false;
		if (word == AUDIT_END)
			return true;
		if (!post(t, word))
			return false;
	}
}

static bool
answer_asleep(struct trips *t, bool *ended)
{
	uint64_t word;

	if (!fetch(t, &word))
		return false;
	*ended = word == AUDIT_END;
	if (*ended)
		return true;
	trips_record(t, clock_ns() - word);
	trips_think(t);
	return true;
}

static bool
ping_asleep(struct trips *t)
{
	bool ended;

	while (!stopping(t)) {
		if (!post(t, clock_ns()) || !answer_asleep(t, &ended))
			return false;
	}
	return post(t, AUDIT_END);
}

static bool
pong_asleep(struct trips *t)
{
	bool ended;

	for (;;) {
		if (!answer_asleep(t, &ended))
			return false;
		if (ended)
			return true;
		if (!post(t, clock_ns()))
			return false;
	}
}

static bool
trips_run(struct work *w, bool (*spinning)(struct trips *),
          bool (*asleep)(struct trips *))
{
	uint64_t cpu_began = clock_cpu_ns();
	struct trips t;
	bool ok;

	trips_begin(&t, w);
	ok = w->plan->measure == ROUND_SPINNING ? spinning(&t) : asleep(&t);
	trips_end(&t, cpu_began);
	return ok;
}

bool
ping(struct work *w)
{
	return trips_run(w, ping_spinning, ping_asleep);
}

bool
pong(struct work *w)
{
	return trips_run(w, pong_spinning, pong_asleep);
}
