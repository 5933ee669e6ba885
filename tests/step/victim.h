/*
 * A process that is watched instruction by instruction, and the trace of one that was.
 *
 * The same operation from the same memory takes the same instructions (a difference is noticed and
 * counted). So a later victim need not be stepped from the start: it runs to a breakpoint, as often
 * as the trace came by there, and is stepped only from there.
 */
#ifndef STEP_VICTIM_H
#define STEP_VICTIM_H

#include "step.h"

/* What a watched process is to do. */
struct act {
	enum step_who who;
	step_fn *prepare, *op, *after, *waker;
	bool thread, started, stepped;
};

struct victim;
struct trace;

/* What the driver looks at in a victim that stands at the last point of a trace. */
typedef void look_fn(const struct victim *v, const struct trace *t, void *arg);

struct victim {
	struct step_world *w;
	const struct act *act;
	pid_t pid, tid;
	struct shoal_process *process; /* if it was started as such */
	int request; /* of ptrace: how it goes on */
	bool moving; /* a step is under way: it sleeps in the kernel */
	bool ended;
	int signal;  /* that killed it, or that it stopped with */
	long slept;  /* its sleeps so far, when one was last told of */
	void *robust; /* the head of its robust list, in its memory */
	look_fn *look; /* called at each point of a trace that is recorded; NULL: nothing */
	void *look_arg;
};

struct point {
	uint64_t pc;
	uint64_t hash;
	uint32_t nth; /* how many points before have this pc */
	bool again;  /* a string instruction after its first round; the next point is behind it */
	bool write;  /* something differs from the point before */
	bool asleep; /* the step to the next point slept */
};

/* point[0] is before the first instruction, point[count - 1] after the last. */
struct trace {
	struct point *point;
	size_t count, room;
	bool finished; /* the operation returned */
	bool crashed;
	bool stuck;    /* it sleeps, and nobody wakes it */
	bool touched;  /* it came by memory that was not looked at before: a next one sees more */
	int signal;
	bool stepped; /* points are reached without breakpoints */
	unsigned long drifts; /* later runs that took another way */
};

enum { TRACE_MAX = 400000 };

bool victim_start(struct victim *v, struct step_world *w, const struct act *act);
/*
 * To point n of the trace. false: it went another way, and stands n instructions from the start or
 * at its end.
 */
bool victim_to(struct victim *v, struct trace *t, size_t n);
/* About how many steps that takes. */
size_t victim_cost(const struct trace *t, size_t n);
void victim_kill(struct victim *v);
/*
 * Lets a stopped one go on unwatched, until its operation returned: false if it did not within a
 * second.
 */
bool victim_finish(struct victim *v);

/* An unwatched run, which tells what memory the operation comes by. */
void trace_warm(struct step_world *w, const struct act *act);
void trace_record(struct trace *t, struct step_world *w, const struct act *act);
/* The same with a victim that stands at its start; it is killed at the end. */
void trace_follow(struct trace *t, struct victim *v);
/* Whether both took the same way. */
bool trace_same(const struct trace *a, const struct trace *b);
void trace_drop(struct trace *t);

#endif
