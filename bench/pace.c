/*
 * pace.c - messages sent at a fixed rate, and how late each one came
 *
 * Message n is due at a time that is known beforehand, and its delay counts from then, whenever it
 * was really sent: a subject that held its producer up is charged with all the messages that had to
 * wait meanwhile. A producer that is late sends at once until it has caught up.
 */
#include "stage.h"

#include "audit.h"
#include "clock.h"
#include "spin.h"

#include <stdlib.h>

enum {
	LEAD_NS = 2000000
};

static uint64_t
due_ns(const struct work *w, uint64_t number)
{
	return w->stage->paced_from_ns + (uint64_t)((double)number * 1e3 / w->plan->rate);
}

bool
pace(struct work *w)
{
	const struct plan *p = w->plan;
	void *way = w->opening->way[0], *item = work_buffer(p);
	uint64_t cpu_began = work_cpu_ns(w);
	struct audit a = { 0 };
	long n = 1;

	w->stage->paced_from_ns = clock_ns() + LEAD_NS;
	while (n > 0 && !atomic_load_explicit(&w->stage->stop, memory_order_relaxed)) {
		uint64_t stamp = a.count + 1, due = due_ns(w, stamp);

		while (clock_ns() < due)
			pause_once();
		audit_write(item, p->bytes, stamp);
		n = p->subject->send(way, item, p->bytes, 1);
		if (n > 0)
			audit_add(&a, stamp);
	}
	w->row->messages = a.count;
	atomic_fetch_sub(&w->stage->producers_left, 1);
	if (n > 0 && !(p->subject->traits & SUBJECT_COUNTED)) {
		audit_write(item, p->bytes, AUDIT_END);
		n = p->subject->send(way, item, p->bytes, 1);
	}
	work_close(w, &a, cpu_began);
	return n > 0 ? true : work_failed(w, "send", n);
}

/* The producer's count is in its row before it counts as done. */
static bool
all_came(const struct work *w, uint64_t count)
{
	return atomic_load(&w->stage->producers_left) == 0 && w->stage->row[0].messages == count;
}

static bool
follow_all(struct work *w, void *item, struct audit *a, struct hist *h)
{
	const struct plan *p = w->plan;
	bool counted = p->subject->traits & SUBJECT_COUNTED;

	for (;;) {
		long n = p->subject->recv(w->opening->way[0], item, p->bytes, 1);
		uint64_t now = clock_ns(), stamp = audit_read(item), due;

		if (n == 0 && counted && !all_came(w, a->count))
			continue;
		if (n <= 0)
			return n == 0 && counted ? true : work_failed(w, "receive", n);
		if (stamp == AUDIT_END)
			return true;
		audit_add(a, stamp);
		a->bad += stamp != a->count;
		audit_whole(a, item, p->bytes, stamp);
		due = due_ns(w, stamp);
		if (atomic_load_explicit(&w->stage->measuring, memory_order_relaxed))
			hist_add(h, now > due ? now - due : 0);
		atomic_store_explicit(&w->row->count, a->count, memory_order_relaxed);
	}
}

bool
follow(struct work *w)
{
	struct hist *h = calloc(1, sizeof *h);
	uint64_t cpu_began = work_cpu_ns(w);
	struct audit a = { 0 };
	bool ok;

	if (!h)
		abort();
	ok = follow_all(w, work_buffer(w->plan), &a, h);
	w->stage->hist = *h;
	work_close(w, &a, cpu_began);
	free(h);
	return ok;
}
