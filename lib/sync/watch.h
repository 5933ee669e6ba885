/*
 * Watching locks, for whoever looks for a deadlock. Switched on by SHOAL_LOCKS in the environment,
 * a list of
 *	order     tells when two locks are taken in an order in which they have been taken the other
 *	          way round (order.c)
 *	deadlock  tells when threads wait for one another in a circle (circle.c)
 *	refuse    tells, and the wait that would close the circle fails with -EDEADLK
 *
 * Off, it costs a compare with a word instead of one with a number: while locks are watched, every
 * acquisition and release goes the slow way (lock.h), which looks here.
 */
#ifndef SYNC_WATCH_H
#define SYNC_WATCH_H

#include "sync/lock.h"

enum { WATCH_ORDER = 1, WATCH_CIRCLES = 2, WATCH_REFUSE = 4 };

/* What such a list asks for; a word that is none of them is told. */
unsigned watch_modes(const char *list);

/* From then on, and in the children that are forked from then on, with one picture of the order. */
void watch_begin(unsigned modes);

/* Locks that a thread holds, kept with its record; those beyond are not watched. */
enum { WATCH_HELD_MAX = 64, WATCH_READ_MAX = 16 };

struct watch_held {
	struct lock *lock[WATCH_HELD_MAX];
	unsigned count;
	const struct lock *read[WATCH_READ_MAX]; /* rwlocks that it reads */
	unsigned reads;
};

/* Before a wait: 0, or -EDEADLK. */
int watch_wait(struct shoal_thread *t, struct lock *l, const struct robust_wait *how);
/* After it, held or not. */
void watch_waited(struct shoal_thread *t, struct lock *l, bool held);
/* Before the release. */
void watch_given(struct shoal_thread *t, struct lock *l);

/* A reader of an rwlock, before and after it has it, and before it gives it back. */
void watch_read(struct shoal_thread *t, const struct lock *l, shoal_time timeout);
void watch_reads(struct shoal_thread *t, const struct lock *l);
void watch_read_given(struct shoal_thread *t, const struct lock *l);

/* ---- order.c ---- */

/* Memory for the picture. False where there is none. */
bool order_begin(void);
/* `l` is about to be taken with these held. */
void order_note(struct shoal_thread *t, const struct watch_held *held, const struct lock *l);

/* ---- circle.c ---- */

/* In all that is held: its holder now waits for `l`, NULL: for nothing. */
void circle_tell(const struct watch_held *held, const struct lock *l);
/* Whether the holder of `l` waits, by way of others, for this thread; if so, that is told. */
bool circle_closed(struct shoal_thread *t, const struct lock *l);

#endif
