/*
 * run.c - one repetition: processes, pinning, the window, and the proof
 *
 * The rate is what consumers received between two looks at their counters, after a warm-up, while
 * everybody was at work. Then the producers stop, the rest is drained, and the run counts only if
 * both sides agree on what was carried.
 */
#include "run.h"

#include "clock.h"
#include "contend.h"
#include "crew.h"
#include "judge.h"
#include "map.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sleepers make few round trips a window, and processes that share a processor few turns on it. */
enum {
	ASLEEP_WINDOWS = 4,
	TRIPS_MIN = 50,
	STARTS_MIN = 12, /* a fork of much memory takes a tenth of a second */
};

#define DRAIN_NS (5 * 1000000000ull)

static const char *const measure_names[MEASURES] = {
	[ONE_WAY] = "one way",
	[ONE_WAY_TOUCHED] = "one way, every byte made and read",
	[FIXED_RATE] = "latency at a fixed rate",
	[ROUND_SPINNING] = "round trip, both spinning",
	[ROUND_ASLEEP] = "round trip, both asleep",
	[ALLOCATION] = "alloc and free",
	[LOCK_ALONE] = "lock, alone",
	[LOCK_CONTENDED] = "lock, contended",
	[LOCK_RELAY] = "lock, handed over and back",
	[LOCK_ASLEEP] = "lock, handed over to a sleeper",
	[LOCK_DEATH] = "lock, holder killed, sleeper has it",
	[MAP_READING_ALONE] = "map, 95 % reads, alone",
	[MAP_HALF_ALONE] = "map, 50 % reads, alone",
	[MAP_READING] = "map, 95 % reads",
	[MAP_HALF] = "map, 50 % reads",
	[MAP_GROWTH] = "map, growing from empty",
	[PROCESS_START] = "process, started and joined",
};

const char *
measure_name(enum measure m)
{
	return measure_names[m];
}

bool
measure_is_trip(enum measure m)
{
	return m == ROUND_SPINNING || m == ROUND_ASLEEP || (m >= LOCK_RELAY && m <= LOCK_DEATH) ||
	       m == PROCESS_START;
}

bool
measure_is_lock(enum measure m)
{
	return m >= LOCK_ALONE && m <= LOCK_DEATH;
}

bool
measure_is_map(enum measure m)
{
	return m >= MAP_READING_ALONE && m <= MAP_GROWTH;
}

bool
measure_is_message(enum measure m)
{
	return m <= ROUND_ASLEEP;
}

bool
measure_is_alone(enum measure m)
{
	return m == ALLOCATION || m == LOCK_ALONE || m == MAP_READING_ALONE || m == MAP_HALF_ALONE ||
	       m == MAP_GROWTH || m == PROCESS_START;
}

bool
plan_possible(const struct plan *p)
{
	unsigned traits = p->subject->traits;

	if (!p->subject->open || (p->subject->fits && !p->subject->fits(p)))
		return false;
	if (traits & SUBJECT_SPINS && (p->measure == LOCK_ASLEEP || p->measure == ROUND_ASLEEP))
		return false;
	if (p->measure == LOCK_DEATH && !(traits & SUBJECT_SURVIVES))
		return false;
	if (measure_is_map(p->measure) || traits & SUBJECT_MAPS)
		return measure_is_map(p->measure) && traits & SUBJECT_MAPS && map_possible(p);
	if (measure_is_lock(p->measure) || traits & SUBJECT_LOCKS)
		return measure_is_lock(p->measure) && traits & SUBJECT_LOCKS;
	if (p->measure == PROCESS_START || traits & SUBJECT_STARTS)
		return p->measure == PROCESS_START && traits & SUBJECT_STARTS;
	if (p->bytes < sizeof(uint64_t) || p->bytes > p->subject->bytes_max || p->bytes % 8)
		return false;
	if (p->measure == ALLOCATION || traits & SUBJECT_ALLOCATES)
		return p->measure == ALLOCATION && traits & SUBJECT_ALLOCATES;
	if (p->measure == FIXED_RATE && (p->producers > 1 || p->consumers > 1))
		return false;
	if (p->measure == ONE_WAY)
		return !(traits & SUBJECT_LENDS);
	if (p->measure == ONE_WAY_TOUCHED)
		return !(traits & SUBJECT_BATCHES);
	return !(traits & (SUBJECT_BATCHES | SUBJECT_LENDS)) && p->producers == 1 && p->consumers == 1;
}

void
reject(struct sample *out, const char *format, ...)
{
	va_list args;

	if (out->error[0])
		return;
	out->ok = false;
	va_start(args, format);
	vsnprintf(out->error, sizeof out->error, format, args);
	va_end(args);
}

static bool
allocate(struct work *w)
{
	allocate_and_free(w);
	return !w->row->error[0];
}

static worker_fn *
worker_for(enum measure m, bool producer)
{
	if (m == ALLOCATION)
		return allocate;
	if (measure_is_map(m))
		return m == MAP_GROWTH ? map_grow : map_use;
	if (m == PROCESS_START)
		return start_and_join;
	if (m == LOCK_DEATH)
		return producer ? inherit : bequeath;
	if (measure_is_lock(m))
		return measure_is_trip(m) ? relay : contend;
	if (measure_is_trip(m))
		return producer ? ping : pong;
	if (m == FIXED_RATE)
		return producer ? pace : follow;
	return producer ? produce : consume;
}

/* Of those who count, the rows are left in counts, and their sum is returned. */
static uint64_t
received(const struct plan *p, struct stage *stage, uint64_t counts[WORKERS_MAX])
{
	bool all = !measure_is_message(p->measure) || measure_is_trip(p->measure);
	unsigned first = all ? 0 : p->producers;
	unsigned last = measure_is_trip(p->measure) ? 1 : workers_of(p);
	uint64_t sum = 0;

	for (unsigned i = first; i < last; i++) {
		counts[i] = atomic_load_explicit(&stage->row[i].count, memory_order_relaxed);
		sum += counts[i];
	}
	return sum;
}

/* The warm-up begins with the first message: on a busy machine a worker may come late. */
static void
warm_up(struct work *w, const struct timing *timing)
{
	uint64_t deadline = clock_ns() + DRAIN_NS, counts[WORKERS_MAX];

	while (received(w->plan, w->stage, counts) == 0 && clock_ns() < deadline)
		clock_nap(timing->warm_ns / 16);
	clock_nap(timing->warm_ns);
}

static uint64_t
window_of(const struct plan *p, const struct timing *timing)
{
	bool longer = p->measure == FIXED_RATE || p->measure == ROUND_ASLEEP ||
	              p->measure == LOCK_CONTENDED || p->measure == LOCK_ASLEEP ||
	              p->measure == LOCK_DEATH;

	return timing->window_ns * (longer ? ASLEEP_WINDOWS : 1);
}

/* A window in which too little came is a busy machine's: it goes on until enough did. */
static void
observe(struct work *w, const struct timing *timing, struct sample *out)
{
	uint64_t enough = w->plan->measure == PROCESS_START     ? STARTS_MIN
	                  : measure_is_trip(w->plan->measure) ? TRIPS_MIN
	                                                      : 1;
	uint64_t before[WORKERS_MAX], after[WORKERS_MAX];
	uint64_t window_ns = window_of(w->plan, timing), began, ended, first, last;

	warm_up(w, timing);
	atomic_store(&w->stage->measuring, true);
	first = received(w->plan, w->stage, before);
	began = clock_ns();
	do {
		clock_nap(window_ns);
		last = received(w->plan, w->stage, after);
		ended = clock_ns();
	} while (last - first < enough && ended < began + DRAIN_NS);
	atomic_store(&w->stage->stop, true);
	out->rate = (double)(last - first) * 1e3 / (double)(ended - began);
	if (w->plan->measure == LOCK_CONTENDED)
		out->share = smallest_share(before, after, workers_of(w->plan));
}

static void
manage(const struct plan *p, const struct timing *timing, struct stage *stage)
{
	struct sample *out = &stage->sample;
	struct opening opening = {
		.bytes = p->bytes, .producers = p->producers, .consumers = p->consumers,
		.duplex = measure_is_trip(p->measure), .keys = p->keys
	};
	struct work work = { .plan = p, .opening = &opening, .stage = stage };
	struct crew crew = { .count = 0 };
	int rc;

	if (p->subject->run) {
		rc = p->subject->run(p, timing, out);
		if (rc < 0)
			reject(out, "%s", strerror(-rc));
		out->ok = !out->error[0];
		return;
	}
	rc = p->subject->open(&opening);
	if (rc < 0) {
		reject(out, "open failed: %s", strerror(-rc));
		return;
	}
	if (measure_is_map(p->measure) && !map_fill(&work)) {
		reject(out, "%s", stage->row[0].error);
		return;
	}
	if (!crew_start(&crew, &work, worker_for)) {
		reject(out, "fork failed");
		crew_kill(&crew);
		return;
	}
	observe(&work, timing, out);
	crew_finish(&crew, stage, out);
	if (!out->error[0])
		judge(p, stage, out);
	rc = p->subject->close ? p->subject->close(&opening) : 0;
	if (rc != 0)
		reject(out, "the arena is not sound afterwards (%d)", rc);
	out->ok = !out->error[0];
}

/* In real time workers that spin let nobody of their own priority run, nor who is to stop them. */
void
run_once(const struct plan *p, const struct timing *timing, struct sample *out)
{
	struct stage *stage = shared_memory(sizeof *stage);
	uint64_t planned_ns = timing->warm_ns + ASLEEP_WINDOWS * timing->window_ns;
	uint64_t deadline = clock_ns() + planned_ns + 3 * DRAIN_NS;
	int status = 0;
	pid_t pid;

	memset(out, 0, sizeof *out);
	if (p->inside_ns)
		contend_calibrate();
	if (!stage || (pid = fork_bound()) < 0) {
		reject(out, "no memory or no process for a run");
		return;
	}
	if (pid == 0) {
		priority_shift(1);
		manage(p, timing, stage);
		_exit(0);
	}
	if (!wait_until(pid, deadline, &status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		reject(&stage->sample, "stuck: the run did not end");
	}
	if (WIFSIGNALED(status))
		reject(&stage->sample, "the run died: %s", strsignal(WTERMSIG(status)));
	*out = stage->sample;
	munmap(stage, sizeof *stage);
}
