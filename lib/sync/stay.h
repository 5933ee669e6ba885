/*
 * Staying in a call on an object that others may destroy.
 *
 * Locks and the like know of no arena; under a name in one they can be destroyed while others wait
 * (shoal/sync.h). Who is about to wait, or to wake, begins to stay: that names the object in this
 * thread's member record, where those look who would use the memory again, and finds the object's
 * own word in the arena, which says whether it is destroyed. The arena floor does both, by the hook
 * (arena/inside.c); outside of arenas staying is nothing. The lock of a value or an array
 * (shoal/data.h) ends with it: when its maker has destroyed it, and nothing refers to it.
 *
 *	one who waits                                  destroyer
 *	  names the object in its record                 word: READY -> DYING             (seq_cst, Y1)
 *	  fence; word? READY              (Y1)           changes what is slept on, in one step with
 *	  says that it will sleep; fence  (Y2)             waking all; or all that it says (seq_cst, Y2)
 *	  word? READY                     (Y2)           whoever finds DYING: fence; is it named in a
 *	  sleeps while all is as it was seen               record, or held? No: the memory is free  (Y1)
 *	  word? DYING: wakes the others, -EPIPE
 *	  its record names nothing
 *
 * Y1: either the one who waits sees DYING, or it is seen in its record. Y2: either it sees DYING,
 * or what it sleeps on changes after it was looked at. No word is waited on that was not before,
 * which is why bell.h, by which queues and pipes end, is another way: it says more of that.
 *
 * Two things lie between READY and DYING. What lasts while something refers to it is KEPT when its
 * maker destroyed it, and not over for those who stay (`kept`). And what has an owner ends with it
 * (`owned`): nobody is there to say DYING, so who is about to sleep asks first whether the owner is
 * gone, after each slice again, and is the destroyer if it is (stay_ended). Only where there is
 * time to ask: one who just passes through finds it as it was.
 *
 * Crash points. The destroyer, before DYING: nothing was done. After it, before the wake: who waits
 * looks at the word again after each slice, of 50 ms at most, and the next one who creates or
 * destroys an object wakes them too, but for those at the lock of a value or an array. In the midst
 * of the wake: list_op_pending names the word that it wakes on, so one is woken, who wakes all.
 * After it: nothing is left but the memory, for the next to look. One who waits: its record names
 * the object until it is recovered; a wake that it got was one of all.
 */
#ifndef SYNC_STAY_H
#define SYNC_STAY_H

#include "base/atomic.h"

struct stay {
	word32 *name;       /* in this thread's record; NULL: none was to be had */
	const word64 *word; /* of the object; NULL: it is in no arena under a name */
	uint64_t alive;     /* what it is until it is destroyed */
	uint64_t kept;      /* what it may be after that, while something refers to it */
	bool owned;         /* SHOAL_WITH_OWNER */
	bool readonly;      /* its arena is attached read-only: nobody can stay, and it is over */
};

enum stay_mode {
	STAY_LOOK,  /* is it such an object? also while it is being made */
	STAY_QUICK, /* for signal handlers: named only where this thread has a record */
	STAY_JOIN,
};

/*
 * Set before main, where there are arenas; fills what it was given all zero. Asked to name what is
 * no such object any more, it is over; only what knows that it was made as one is to be named.
 */
extern void (*stay_hook)(const void *object, enum stay_mode mode, struct stay *out)
	__attribute__((visibility("hidden")));

/* Whether its owner is gone; then it is destroyed, if nobody else did. */
extern bool (*stay_orphan_hook)(const struct stay *s) __attribute__((visibility("hidden")));

static inline struct stay
stay_begin(const void *object, enum stay_mode mode)
{
	struct stay s = { 0 };
	if (stay_hook)
		stay_hook(object, mode, &s);
	return s;
}

static inline void
stay_end(const struct stay *s)
{
	if (s->name)
		store_release(s->name, 0);
}

/* Destroyed. With Y2 in mind: after a fence, or after what was slept on was read. */
static inline bool
stay_over(const struct stay *s)
{
	uint64_t word = s->word ? load_seq_cst(s->word) : 0;
	return s->word && word != s->alive && word != s->kept;
}

/* As stay_over, of one who is about to sleep: what has an owner ends with it. */
static inline bool
stay_ended(const struct stay *s)
{
	return stay_over(s) || (s->owned && stay_orphan_hook(s));
}

/* Whether the object that is being initialised is one that can be destroyed. */
static inline bool
stay_is_for(const void *object)
{
	return stay_begin(object, STAY_LOOK).word != NULL;
}

#endif
