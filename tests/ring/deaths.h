/*
 * Processes that end inside a call, at a known instruction: the copy of the message faults on a
 * page that cannot be touched, and the handler kills the process there, or waits there until
 * somebody else does.
 */
#ifndef TESTS_DEATHS_H
#define TESTS_DEATHS_H

#include "queue_common.h"
#include <sys/mman.h>
#include <unistd.h>

struct stage {
	shoal_queue *queue;
	size_t bytes;
	volatile int reached; /* shared */
	volatile int result;
	volatile int64_t at; /* when the result was there */
};

static volatile int *stage_reached;

static inline void
end_here(int signo)
{
	(void)signo;
	raise(SIGKILL);
}

static inline void
wait_here(int signo)
{
	(void)signo;
	*stage_reached = 1;
	for (;;)
		pause();
}

static inline void *
untouchable(void (*handler)(int))
{
	void *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(p != MAP_FAILED);
	signal(SIGSEGV, handler);
	return p;
}

static inline int
die_in_put(void *arg)
{
	struct stage *s = arg;
	return shoal_queue_put(s->queue, untouchable(end_here), s->bytes, SHOAL_SEC(5));
}

static inline int
die_in_get(void *arg)
{
	struct stage *s = arg;
	return (int)shoal_queue_get(s->queue, untouchable(end_here), 1 << 20, SHOAL_SEC(5));
}

static inline int
stay_in_put(void *arg)
{
	struct stage *s = arg;
	stage_reached = &s->reached;
	return shoal_queue_put(s->queue, untouchable(wait_here), s->bytes, SHOAL_SEC(5));
}

static inline int
stay_in_get(void *arg)
{
	struct stage *s = arg;
	stage_reached = &s->reached;
	return (int)shoal_queue_get(s->queue, untouchable(wait_here), 1 << 20, SHOAL_SEC(5));
}

static inline int
borrow_and_die(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(s->queue, SHOAL_SEC(5), &loan), 0);
	raise(SIGKILL);
	return 0;
}

static inline int
borrow_and_stay(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(s->queue, SHOAL_SEC(5), &loan), 0);
	s->reached = 1;
	for (;;)
		pause();
	return 0;
}

static inline struct stage *
stage_make(struct world w, size_t bytes)
{
	struct stage *s = shared(sizeof *s);
	s->queue = w.queue;
	s->bytes = bytes;
	return s;
}

static inline void
wait_until_reached(struct stage *s)
{
	for (int i = 0; i < 5000 && !s->reached; i++)
		sleep_ms(1);
	REQUIRE(s->reached);
}

/* A child that does it and dies there. */
static inline void
let_die(int (*run)(void *), struct stage *s)
{
	expect_killed(child(run, s), SIGKILL, 5000);
}

static inline shoal_queue_info
info_of(struct world w)
{
	shoal_queue_info info;
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	return info;
}

#endif
