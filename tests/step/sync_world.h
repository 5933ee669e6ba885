/*
 * Locks and the like as a case's subject: plain objects in one watched page, and a stage beside it,
 * which is not watched, on which victim, sleeper and a holder take turns.
 *
 * A sleeper starts before its victim. Where it is to sleep for what the victim holds, it is held
 * back until the victim, or its waker, lets it go. The holder is a process that lives through the
 * run: it takes what the victim is to sleep for, and gives it back when the waker says so, or when
 * the victim is dead.
 */
#ifndef STEP_SYNC_WORLD_H
#define STEP_SYNC_WORLD_H

#include <shoal/sync.h>

#include "step.h"

/* The objects. A lock's users change both halves of what it guards. */
struct sync_page {
	_Alignas(64) shoal_rwlock lock; /* or a lock, or an rlock, in its first bytes */
	_Alignas(64) shoal_semaphore semaphore;
	_Alignas(64) shoal_condition condition;
	_Alignas(64) shoal_event event;
	_Alignas(64) shoal_barrier barrier;
	_Alignas(64) uint64_t half[2];
};

struct sync_stage {
	volatile pid_t sleeper; /* 0: none in this run */
	volatile uint32_t go;   /* the sleeper may call */
	volatile uint32_t calling;
	volatile pid_t victim;
	volatile uint32_t wanted; /* of the holder: 1 to take it, 2 to give it back */
	volatile uint32_t holds;
	volatile uint32_t over; /* the holder is through */
	volatile uint32_t met; /* a survivor was told of a death */
	volatile uint32_t waked; /* how often the victim's waker ran */
	volatile uint32_t stands; /* the victim was stopped: who shall wake it when it goes on? */
	volatile uint32_t given; /* permits, or items, by others than the victim */
	volatile uint32_t taken; /* of these, and who went on, by the same */
};

enum { SYNC_TIMEOUT_MS = 300 };

static inline struct sync_page *
sync_page(struct step_world *w)
{
	return w->object[0];
}

static inline struct sync_stage *
sync_stage(struct step_world *w)
{
	return w->object[1];
}

void sync_setup(struct step_world *w);
/* Before each run, in the driver. */
void sync_clean(struct step_world *w);
/* The same, with a holder: it takes and gives in those functions. */
void sync_clean_holder(struct step_world *w, step_fn *take, step_fn *give);

/* A first call of this thread, so that what it registers is not part of what is watched. */
void sync_warm(struct step_world *w);

/* What a call names for the kernel, lest it die in it, it takes back. */
void sync_nothing_pending(struct step_world *w);

/* Waits until the word is that, or fails. */
void sync_until(struct step_world *w, volatile uint32_t *word, uint32_t value, const char *what);

/* In the sleeper, before its call: until it is let go. */
void sync_held_back(struct step_world *w);
/* Lets the sleeper go, if there is one, and waits until it sleeps in its call. */
void sync_let_go(struct step_world *w);
/* The same, where its call need not sleep. */
void sync_let_go_at_once(struct step_world *w);

/* For a victim with a holder, and a holder that is to take nothing before it gives. */
void sync_victim_prepare(struct step_world *w);
void sync_take_nothing(struct step_world *w);

/* In the victim's prepare, and its waker: the holder has it; the holder gives it back. */
void sync_holder_takes(struct step_world *w);
void sync_holder_gives(struct step_world *w);

/*
 * In a role: the victim stands still, and when it goes on the holder does what it waits for, again
 * and again, as long as the second one says so.
 */
void sync_victim_stands(struct step_world *w);
bool sync_victim_waits(struct step_world *w);
/* In the check: the holder, where it was asked for anything, is through. */
void sync_holder_ends(struct step_world *w);

/* The sleeper's call returns, and how fast is measured. */
void sync_must_wake(struct step_world *w, const char *why);
/* The same within so many milliseconds, as the header states for it: not measured. */
void sync_must_wake_within(struct step_world *w, int ms, const char *why);
bool sync_sleeps(struct step_world *w);

/* A second one that does the same as the sleeper: forked from it, and waited for at its end. */
pid_t sync_twin(struct step_world *w, step_fn *call);
void sync_twin_end(struct step_world *w, pid_t twin);

#endif
