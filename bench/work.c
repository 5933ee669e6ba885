/*
 * work.c - the loops of the workers
 *
 * They are the same for every subject. A worker's buffer is private, hot and touched before the
 * window, as the memory of somebody who makes or uses messages is.
 *
 * What a loop does beside the call is part of every subject's time: nothing of pipe(2)'s, half of a
 * ring's. So messages whose bytes are not all made and read have loops of their own, once for one a
 * call and once for batches, which keep all they use in registers and call nothing but the subject.
 */
#include "stage.h"

#include "audit.h"
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>

/* For allocate_and_free: blocks kept alive, and pairs between two looks at the stage. */
enum {
	ALIVE = 16,
	LOOK_EVERY = 256,
};

enum {
	GATHER_NS = 20000
};

bool
work_failed(struct work *w, const char *call, long rc)
{
	snprintf(w->row->error, sizeof w->row->error, "%s failed: %s", call,
	         rc < 0 ? strerror((int)-rc) : "nothing was done");
	return false;
}

unsigned
workers_of(const struct plan *p)
{
	if (measure_is_message(p->measure))
		return p->producers + p->consumers;
	return measure_is_alone(p->measure) ? 1 : 2 * p->pairs;
}

void
work_gather(struct work *w)
{
	atomic_fetch_add(&w->stage->gathered, 1);
	while (atomic_load(&w->stage->gathered) < workers_of(w->plan))
		clock_nap(GATHER_NS);
}

void *
work_buffer(const struct plan *plan)
{
	size_t bytes = plan->bytes * plan->subject->batch;
	void *buffer = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);

	if (!buffer)
		abort();
	memset(buffer, 0x5a, bytes);
	return buffer;
}

/* A batch may go in parts: the rest is sent again, as its author would. */
static bool
send_all(struct work *w, void *way, const char *items, size_t count)
{
	const struct plan *p = w->plan;

	while (count > 0) {
		long n = p->subject->send(way, items, p->bytes, count);

		if (n <= 0)
			return work_failed(w, "send", n);
		items += (size_t)n * p->bytes;
		count -= (size_t)n;
	}
	return true;
}

static bool
send_touched(struct work *w, void *way, void *buffer, uint64_t stamp)
{
	const struct plan *p = w->plan;
	void *place;
	int rc;

	if (!(p->subject->traits & SUBJECT_LENDS)) {
		audit_fill(buffer, p->bytes, stamp);
		return send_all(w, way, buffer, 1);
	}
	place = p->subject->lend(way, p->bytes);
	if (!place)
		return work_failed(w, "reserve", 0);
	audit_fill(place, p->bytes, stamp);
	rc = p->subject->commit(way);
	return rc < 0 ? work_failed(w, "commit", rc) : true;
}

/*
 * One end mark goes round: the last producer sends it when all the others are done, and each
 * consumer that meets it sends it on. So a consumer that leaves can leave nothing behind. It is a
 * whole batch of marks, in case a call for a batch waits for all of it.
 */
static bool
send_end(struct work *w, void *way, char *buffer)
{
	size_t batch = w->plan->subject->batch;

	if (w->plan->measure == ONE_WAY_TOUCHED)
		return send_touched(w, way, buffer, AUDIT_END);
	for (size_t i = 0; i < batch; i++)
		audit_write(buffer + i * w->plan->bytes, w->plan->bytes, AUDIT_END);
	return send_all(w, way, buffer, batch);
}

uint64_t
work_cpu_ns(const struct work *w)
{
	return w->plan->subject->traits & SUBJECT_THREADS ? clock_thread_cpu_ns() : clock_cpu_ns();
}

void
work_close(struct work *w, const struct audit *a, uint64_t cpu_began)
{
	w->row->messages = a->count;
	w->row->sum = a->sum;
	w->row->squares = a->squares;
	w->row->bad = a->bad;
	w->row->cpu_ns = work_cpu_ns(w) - cpu_began;
}

static inline __attribute__((always_inline)) bool
produce_copies(struct work *w, void *way, char *items, size_t batch, struct audit *a)
{
	struct stage *stage = w->stage;
	long (*send)(void *, const void *, size_t, size_t) = w->plan->subject->send;
	const size_t bytes = w->plan->bytes;
	const uint64_t sender = audit_stamp(w->index, 0);
	struct audit sum = *a;
	bool ok = true;

	while (ok && !atomic_load_explicit(&stage->stop, memory_order_relaxed)) {
		for (size_t i = 0; i < batch; i++) {
			uint64_t stamp = sender | (sum.count + 1);

			audit_write(items + i * bytes, bytes, stamp);
			audit_add(&sum, stamp);
		}
		long n = send(way, items, bytes, batch);

		if (n < (long)batch)
			ok = n > 0 ? send_all(w, way, items + (size_t)n * bytes, batch - (size_t)n)
			           : work_failed(w, "send", n);
	}
	*a = sum;
	return ok;
}

static bool
produce_touched(struct work *w, void *way, void *buffer, struct audit *a)
{
	struct stage *stage = w->stage;
	bool ok = true;

	while (ok && !atomic_load_explicit(&stage->stop, memory_order_relaxed)) {
		uint64_t stamp = audit_stamp(w->index, a->count + 1);

		audit_add(a, stamp);
		ok = send_touched(w, way, buffer, stamp);
	}
	return ok;
}

static bool
produce_all(struct work *w, void *way, void *buffer, struct audit *a)
{
	size_t batch = w->plan->subject->batch;

	if (w->plan->measure == ONE_WAY_TOUCHED)
		return produce_touched(w, way, buffer, a);
	return batch == 1 ? produce_copies(w, way, buffer, 1, a)
	                  : produce_copies(w, way, buffer, batch, a);
}

static bool
counted(const struct plan *p)
{
	return p->subject->traits & SUBJECT_COUNTED;
}

bool
produce(struct work *w)
{
	void *way = w->opening->way[0];
	void *buffer = work_buffer(w->plan);
	uint64_t cpu_began = work_cpu_ns(w);
	struct audit a = { 0 };
	bool ok = produce_all(w, way, buffer, &a);

	w->row->messages = a.count;
	if (ok && atomic_fetch_sub(&w->stage->producers_left, 1) == 1 && !counted(w->plan))
		ok = send_end(w, way, buffer);
	work_close(w, &a, cpu_began);
	return ok;
}

static inline bool
one_to_one(const struct plan *p)
{
	return p->producers == 1 && p->consumers == 1;
}

/* What is known of every message: the stamp is the next one, or the sender's next. */
static inline void
take_stamp(struct audit *a, uint64_t stamp, bool alone)
{
	audit_add(a, stamp);
	if (alone)
		a->bad += stamp != a->count;
	else
		audit_order(a, stamp);
}

/* False when the message is the end mark. */
static bool
take_touched(const struct work *w, struct audit *a, const void *message)
{
	uint64_t stamp = audit_read(message);

	if (stamp == AUDIT_END)
		return false;
	take_stamp(a, stamp, one_to_one(w->plan));
	audit_sum(a, message, w->plan->bytes, stamp);
	return true;
}

/*
 * Where no consumer can pass an end on, all end together when nothing comes any more and all that
 * was sent was received. What a producer sent is in its row before it counts as done.
 */
static bool
more_to_come(struct work *w)
{
	const struct row *row = w->stage->row;
	uint32_t producers = w->plan->producers;
	uint64_t left = 0;

	if (atomic_load(&w->stage->producers_left) > 0)
		return true;
	for (unsigned i = 0; i < producers; i++)
		left += row[i].messages;
	for (unsigned i = producers; i < workers_of(w->plan); i++)
		left -= atomic_load_explicit(&row[i].count, memory_order_relaxed);
	return left > 0;
}

/* Each returns 1 to go on, 0 at the end, negative after a failure. */
static int
consume_one(struct work *w, void *way, void *item, struct audit *a)
{
	const struct plan *p = w->plan;
	long n = p->subject->recv(way, item, p->bytes, 1);

	if (n == 0 && counted(p))
		return more_to_come(w);
	if (n <= 0)
		return work_failed(w, "receive", n) - 1;
	return take_touched(w, a, item);
}

static int
consume_lent(struct work *w, void *way, struct audit *a)
{
	const struct subject *s = w->plan->subject;
	const void *place = s->borrow(way, w->plan->bytes);
	bool more;

	if (!place)
		return work_failed(w, "borrow", 0) - 1;
	more = take_touched(w, a, place);
	s->release(way);
	return more;
}

static int
consume_touched(struct work *w, void *way, void *buffer, struct audit *a)
{
	bool lent = w->plan->subject->traits & SUBJECT_LENDS;
	int more;

	do {
		more = lent ? consume_lent(w, way, a) : consume_one(w, way, buffer, a);
		atomic_store_explicit(&w->row->count, a->count, memory_order_relaxed);
	} while (more > 0);
	return more;
}

/* 0 at the end, negative after a failure. */
static inline __attribute__((always_inline)) int
consume_copies(struct work *w, void *way, char *items, size_t batch, struct audit *a)
{
	long (*recv)(void *, void *, size_t, size_t) = w->plan->subject->recv;
	const size_t bytes = w->plan->bytes;
	const bool alone = one_to_one(w->plan);
	struct row *row = w->row;
	struct audit sum = *a;
	bool ended = false;
	long n;

	do {
		n = recv(way, items, bytes, batch);
		for (long i = 0; i < n && !ended; i++) {
			const char *item = items + (size_t)i * bytes;
			uint64_t stamp = audit_read(item);

			ended = stamp == AUDIT_END;
			if (ended)
				break;
			take_stamp(&sum, stamp, alone);
			audit_whole(&sum, item, bytes, stamp);
		}
		atomic_store_explicit(&row->count, sum.count, memory_order_relaxed);
	} while (!ended && (n > 0 || (n == 0 && counted(w->plan) && more_to_come(w))));
	*a = sum;
	return ended || (n == 0 && counted(w->plan)) ? 0 : work_failed(w, "receive", n) - 1;
}

static int
consume_all(struct work *w, void *way, void *buffer, struct audit *a)
{
	size_t batch = w->plan->subject->batch;

	if (w->plan->measure == ONE_WAY_TOUCHED)
		return consume_touched(w, way, buffer, a);
	return batch == 1 ? consume_copies(w, way, buffer, 1, a)
	                  : consume_copies(w, way, buffer, batch, a);
}

bool
consume(struct work *w)
{
	void *way = w->opening->way[0];
	void *buffer = work_buffer(w->plan);
	uint64_t cpu_began = work_cpu_ns(w);
	struct audit a = { 0 };
	int more = consume_all(w, way, buffer, &a);

	if (more == 0 && !counted(w->plan) &&
	    atomic_fetch_add(&w->stage->consumers_ended, 1) + 1 < w->plan->consumers)
		more = send_end(w, way, buffer) - 1;
	work_close(w, &a, cpu_began);
	return more == 0;
}

/* Blocks stay alive for a while, as in a program that keeps some: the oldest one of 16 is freed. */
void
allocate_and_free(struct work *w)
{
	const struct subject *s = w->plan->subject;
	size_t bytes = w->plan->bytes;
	void *arena = w->opening->arena, *alive[ALIVE] = { 0 };
	uint64_t cpu_began = clock_cpu_ns();
	struct audit a = { 0 };

	for (uint64_t i = 0;; i++) {
		void **slot = &alive[i % ALIVE];
		void *fresh = s->allocate(arena, bytes);

		if (!fresh) {
			work_failed(w, "alloc", 0);
			break;
		}
		memset(fresh, (int)i, bytes);
		if (*slot)
			s->give(arena, *slot);
		*slot = fresh;
		a.count++;
		if (i % LOOK_EVERY)
			continue;
		atomic_store_explicit(&w->row->count, a.count, memory_order_relaxed);
		if (atomic_load_explicit(&w->stage->stop, memory_order_relaxed))
			break;
	}
	for (size_t i = 0; i < ALIVE; i++)
		if (alive[i])
			s->give(arena, alive[i]);
	work_close(w, &a, cpu_began);
}
