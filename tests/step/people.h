/*
 * The other processes of a run: survivors, sleepers, auditors. Each is forked from the driver and
 * has a deadline.
 */
#ifndef STEP_PEOPLE_H
#define STEP_PEOPLE_H

#include "step.h"

struct person {
	pid_t pid;
	enum step_who who;
	bool hung;
	int status;
};

/* A child that dies with its driver. */
pid_t people_fork(void);
/* Whether a process sleeps in the kernel. */
bool people_sleeps(pid_t tid);
/* How often it fell asleep, or stopped for its tracer. */
long people_sleep_count(pid_t tid);
/*
 * The driver and this one on one processor: each step is a change from the one to the other, which
 * takes several times as long between two. Until the driver may use all again. Its children may.
 */
void people_share_cpu(pid_t tid);
void people_use_all_cpus(void);

struct person people_start(struct step_world *w, enum step_who who, step_fn *fn);
/* Waits until it sleeps in its call: false if it returned instead. */
bool people_asleep(struct step_world *w, const struct person *p);
/* Waits for its end; whatever is wrong with it is recorded in the world. */
bool people_end(struct step_world *w, struct person *p);
/* start and end: true if nothing was wrong */
bool people_run(struct step_world *w, enum step_who who, step_fn *fn);
/* The same for one that may be held up for good: false if it was after ms, and had to be killed. */
bool people_try(struct step_world *w, enum step_who who, step_fn *fn, int ms);
void people_kill(struct person *p);
void people_init(void);

#endif
