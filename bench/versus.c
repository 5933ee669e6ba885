/*
 * shoal-versus: builds of the library beside each other
 *
 *	shoal-versus [-p] [-b BYTES] [-c CAPACITY] [-n ROUNDS] [-w MILLISECONDS] LIBRARY...
 *
 * Each libshoal.so gets a queue (-p: a pipe) and two processes, pipe(2) gets two as well, and in
 * each round they run in turn, forwards and backwards, one pair awake at a time. A machine that
 * changes its pace by the second then changes it for all of them, and what a change of the source
 * is worth shows as a ratio within a round: to the first library, and to pipe(2).
 */
#include "audit.h"
#include "clock.h"
#include "stats.h"

#include <shoal/shoal.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAIRS_MAX = 9,
	ROUNDS_MAX = 2000,
	LOOK_EVERY = 64, /* messages between two looks at the clock */
	NAP_NS = 100000
};

/* What the manager and a pair share. */
struct pair {
	_Alignas(128) _Atomic bool measure; /* set by the manager, cleared by the consumer */
	_Atomic bool ready;
	double rate; /* millions a second, in the last window */
	_Alignas(128) _Atomic bool produce; /* set and cleared by the consumer */
};

struct way {
	bool (*send)(struct way *, const void *message);
	bool (*receive)(struct way *, void *message);
	int pipe[2];
	shoal_queue *queue;
	shoal_pipe_end *near, *far;
	__typeof__(shoal_queue_put) *put;
	__typeof__(shoal_queue_get) *get;
	__typeof__(shoal_pipe_send) *pipe_send;
	__typeof__(shoal_pipe_recv) *pipe_recv;
};

static bool pipes;
static size_t bytes = 8;
static unsigned capacity = 1024, rounds = 100;
static uint64_t window_ns = 10000000;

static bool
put(struct way *w, const void *message)
{
	return w->put(w->queue, message, bytes, SHOAL_FOREVER) == 0;
}

static bool
get(struct way *w, void *message)
{
	return w->get(w->queue, message, bytes, SHOAL_FOREVER) == (ssize_t)bytes;
}

static bool
pipe_send(struct way *w, const void *message)
{
	return w->pipe_send(w->near, message, bytes, SHOAL_FOREVER) == 0;
}

static bool
pipe_recv(struct way *w, void *message)
{
	return w->pipe_recv(w->far, message, bytes, SHOAL_FOREVER) == (ssize_t)bytes;
}

static bool
write_one(struct way *w, const void *message)
{
	return write(w->pipe[1], message, bytes) == (ssize_t)bytes;
}

/* What is longer than the kernel's pipe comes in parts. */
static bool
read_one(struct way *w, void *message)
{
	ssize_t n = 1;

	for (size_t had = 0; had < bytes && n > 0; had += (size_t)n)
		n = read(w->pipe[0], (char *)message + had, bytes - had);
	return n > 0;
}

static bool
open_pipe(struct way *w)
{
	*w = (struct way){ .send = write_one, .receive = read_one };
	return pipe(w->pipe) == 0;
}

/* By name, since several builds of one library are never in one process. */
static bool
find(void *library, const char *name, void *function)
{
	*(void **)function = dlsym(library, name);
	if (!*(void **)function)
		fprintf(stderr, "shoal-versus: %s\n", dlerror());
	return *(void **)function;
}

static bool
open_queue(struct way *w, void *library, shoal_arena *arena)
{
	shoal_queue_options options = { .capacity = capacity, .slot_bytes = (uint32_t)bytes };
	__typeof__(shoal_queue_create) *create;

	w->send = put;
	w->receive = get;
	return find(library, "shoal_queue_create", &create) &&
	       find(library, "shoal_queue_put", &w->put) &&
	       find(library, "shoal_queue_get", &w->get) &&
	       create(arena, NULL, &options, &w->queue) == 0;
}

static bool
open_shoal_pipe(struct way *w, void *library, shoal_arena *arena)
{
	__typeof__(shoal_pipe_create) *create;

	w->send = pipe_send;
	w->receive = pipe_recv;
	return find(library, "shoal_pipe_create", &create) &&
	       find(library, "shoal_pipe_send", &w->pipe_send) &&
	       find(library, "shoal_pipe_recv", &w->pipe_recv) &&
	       create(arena, NULL, NULL, &w->near, &w->far) == 0;
}

static bool
open_library(struct way *w, const char *file)
{
	__typeof__(shoal_arena_create) *create;
	shoal_arena *arena;
	void *library = dlopen(file, RTLD_NOW);

	if (!library) {
		fprintf(stderr, "shoal-versus: %s\n", dlerror());
		return false;
	}
	*w = (struct way){ .queue = NULL };
	if (!find(library, "shoal_arena_create", &create) || create(NULL, NULL, &arena) < 0)
		return false;
	return pipes ? open_shoal_pipe(w, library, arena) : open_queue(w, library, arena);
}

static void
leave(const char *what)
{
	fprintf(stderr, "shoal-versus: %s failed\n", what);
	_exit(1);
}

/* The last message of each window has the stamp AUDIT_END. */
static void
produce(struct way *w, struct pair *p, void *message)
{
	for (uint64_t stamp = 1;; stamp++) {
		bool more = atomic_load_explicit(&p->produce, memory_order_relaxed);

		audit_fill(message, bytes, more ? stamp : AUDIT_END);
		if (!w->send(w, message))
			leave("sending");
		while (!more && !atomic_load(&p->produce))
			clock_nap(NAP_NS);
	}
}

static uint64_t
consume_some(struct way *w, void *message, struct audit *audit)
{
	for (int i = 0; i < LOOK_EVERY; i++) {
		if (!w->receive(w, message))
			leave("receiving");
		audit_sum(audit, message, bytes, audit_read(message));
	}
	return clock_ns();
}

/* A quarter of a window to warm up, the window, and what was under way. */
static void
measure(struct way *w, struct pair *p, void *message)
{
	struct audit audit = { 0 };
	uint64_t messages = 0, began, now;

	atomic_store(&p->produce, true);
	now = began = consume_some(w, message, &audit);
	while (now - began < window_ns / 4)
		now = consume_some(w, message, &audit);
	for (began = now; now - began < window_ns; messages += LOOK_EVERY)
		now = consume_some(w, message, &audit);
	atomic_store(&p->produce, false);
	do {
		if (!w->receive(w, message))
			leave("receiving");
	} while (audit_read(message) != AUDIT_END);
	if (audit.bad)
		leave("a message's sum");
	p->rate = (double)messages * 1e3 / (double)(now - began);
}

static void
run_pair(struct pair *p, const char *file)
{
	void *message = aligned_alloc(64, (bytes + 63) / 64 * 64);
	struct way w;

	if (!message || !(file ? open_library(&w, file) : open_pipe(&w)))
		leave("opening");
	pid_t producer = fork_bound();

	if (producer < 0)
		leave("fork");
	pin_to(producer ? 0 : 1);
	if (!producer) {
		while (!atomic_load(&p->produce))
			clock_nap(NAP_NS);
		produce(&w, p, message);
	}
	for (atomic_store(&p->ready, true);; atomic_store(&p->measure, false)) {
		while (!atomic_load(&p->measure))
			clock_nap(NAP_NS);
		measure(&w, p, message);
	}
}

/* Until the flag is that; false: the pair has given up, or takes more than ten seconds. */
static bool
await(_Atomic bool *flag, bool value, pid_t pid)
{
	uint64_t deadline = clock_ns() + UINT64_C(10000000000);
	int status;

	while (atomic_load(flag) != value && clock_ns() < deadline)
		if (wait_until(pid, clock_ns() + NAP_NS, &status))
			return false;
	return atomic_load(flag) == value;
}

static void
report(const char *name, const double *rate, const double *first, const double *pipe)
{
	static double own[ROUNDS_MAX], beside[ROUNDS_MAX], ratio[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		own[i] = rate[i];
		beside[i] = rate[i] / first[i];
		ratio[i] = rate[i] / pipe[i];
	}
	struct spread s = spread_of(own, rounds), b = spread_of(beside, rounds);
	struct spread r = spread_of(ratio, rounds);

	printf("%-28s %8.3f  (%.3f-%.3f) M/s   %5.2fx the first   %6.2fx pipe(2)  (%.2f-%.2f)\n", name,
	       s.median, percentile(own, rounds, 0.1), percentile(own, rounds, 0.9), b.median, r.median,
	       percentile(ratio, rounds, 0.1), percentile(ratio, rounds, 0.9));
}

static bool
number(const char *text, unsigned long least, unsigned long most, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return *text && !*end && *out >= least && *out <= most;
}

static bool
option(int letter, const char *text)
{
	unsigned long n;
	bool good = letter == 'b'   ? number(text, 8, 1 << 20, &n) && n % 8 == 0
	            : letter == 'c' ? number(text, 2, 1 << 20, &n)
	            : letter == 'n' ? number(text, 1, ROUNDS_MAX, &n)
	            : letter == 'w' ? number(text, 1, 1000, &n)
	                            : false;

	if (!good)
		return false;
	if (letter == 'b')
		bytes = n;
	else if (letter == 'c')
		capacity = (unsigned)n;
	else if (letter == 'n')
		rounds = (unsigned)n;
	else
		window_ns = n * 1000000;
	return true;
}

int
main(int argc, char **argv)
{
	static double rate[PAIRS_MAX][ROUNDS_MAX];
	pid_t pid[PAIRS_MAX];
	bool good = true;
	int letter;

	while ((letter = getopt(argc, argv, "pb:c:n:w:")) != -1)
		if (letter == 'p')
			pipes = true;
		else
			good = good && option(letter, optarg);
	int libraries = argc - optind, pairs = libraries + 1;

	if (!good || libraries < 1 || pairs > PAIRS_MAX) {
		fprintf(stderr, "usage: shoal-versus [-p] [-b 8-1048576 bytes, by 8] [-c 2-1048576 places] "
		                "[-n 1-%d rounds] [-w 1-1000 ms] LIBRARY... (1 to %d)\n",
		        ROUNDS_MAX, PAIRS_MAX - 1);
		return 2;
	}
	struct pair *p = mmap(NULL, (size_t)pairs * sizeof *p, PROT_READ | PROT_WRITE,
	                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (int i = 0; i < pairs; i++) {
		pid[i] = fork_bound();
		if (!pid[i])
			run_pair(&p[i], i < libraries ? argv[optind + i] : NULL);
		if (pid[i] < 0 || !await(&p[i].ready, true, pid[i]))
			return 1;
	}
	for (unsigned k = 0; k < rounds; k++)
		for (int j = 0; j < pairs; j++) {
			int i = k % 2 ? pairs - 1 - j : j;

			atomic_store(&p[i].measure, true);
			if (!await(&p[i].measure, false, pid[i]))
				return 1;
			rate[i][k] = p[i].rate;
		}
	for (int i = 0; i < pairs; i++)
		report(i < libraries ? argv[optind + i] : "pipe(2)", rate[i], rate[0], rate[libraries]);
	return 0;
}
