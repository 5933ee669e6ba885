/* A child is held before a chosen instruction of an operation, while its parent does something. */
#ifndef TESTS_RUIN_H
#define TESTS_RUIN_H

#include "steps.h"

#if HAS_STEPS

#include "base/atomic.h"
#include <unistd.h>

#define TIMES 40u /* about so many instructions of an operation, evenly */

struct progress {
	bool more;    /* the operation had such an instruction */
	uint32_t all; /* how many it has */
	word32 step;
};

static uint32_t at;
static volatile struct progress *progress;

static inline void
in_steps(void (*op)(void *), void *arg, void (*come)(void))
{
	steps.others_wait = true;
	progress->more = steps_into(op, arg, at, come);
	if (!progress->more)
		progress->all = steps.done;
}

static inline void
next_step(uint32_t step)
{
	store_release((word32 *)&progress->step, step);
}

static inline bool
reaches(uint32_t step, pid_t pid)
{
	word32 *its = (word32 *)&progress->step;
	for (int i = 0; i < 50000 && load_acquire(its) < step; i++) {
		if (pid && kill(pid, 0))
			return false;
		usleep(100);
	}
	return load_acquire(its) >= step;
}

/* In the child: the parent goes on, until it has made the second step. */
static inline void
let_it_be_destroyed(void)
{
	next_step(1);
	REQUIRE(reaches(2, 0));
}

/* Also where the operation had no such instruction. */
static inline void
in_steps_while_destroyed(void (*op)(void *))
{
	in_steps(op, NULL, let_it_be_destroyed);
	if (!progress->more)
		let_it_be_destroyed();
}

#endif

#endif
