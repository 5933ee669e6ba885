/*
 * What shoal_wait can wait for, kind by kind: wait_any.c goes by this table alone.
 *
 * A kind either has a look, which says by memory alone whether the object is ready, or is ready
 * when its descriptor is readable. A wait goes so:
 *
 *	begin   each item, once: the handle can be waited for, or the call fails
 *	look    each item: ready? Then it is over
 *	may     each item: may this thread sleep for it? If not, the call fails
 *	arm     each item; then one barrier for all of them
 *	look    each item again, which adds the words to sleep on, as they were before it looked
 *	sleep   while all words are as seen
 *	woken   each item, after each sleep
 *	end     each item, once, whatever became of it
 *
 * So those who make an object ready do it before they look whether anybody armed it; and a change
 * between the second look and the sleep changes a word. Where not all of it are words, or they are
 * too many, the thread polls the items' descriptors instead; a look that finds nothing makes them
 * unreadable.
 *
 * Kinds are numbered as in shoal/process.h. The floors above define theirs by waitable_define, in a
 * constructor.
 */
#ifndef PROCESS_WAITABLE_H
#define PROCESS_WAITABLE_H

#include "base/futex.h"
#include <shoal/process.h>

/* As shoal_on_queue and so on number them. */
enum {
	WAITABLE_QUEUE = 1, WAITABLE_PIPE, WAITABLE_PROCESS, WAITABLE_EVENT, WAITABLE_RESULT,
	WAITABLE_FD, WAITABLE_KINDS,
};
#define WAITABLE_WORDS 127u /* one of the kernel's 128 is the interrupt's */

/* What the thread is about to sleep on. */
struct waitable_sleep {
	struct futex_watch list[WAITABLE_WORDS + 1];
	unsigned count;
	bool full;      /* there were more words than the list has room for */
	bool sliced;    /* not all is told: look again after FUTEX_SLICE_NS */
	word32 *pending; /* what a death of the sleeper is to wake (sync/robust.h); the first one's */
};

/* One item of one wait; private to the call. */
struct waitable {
	const struct waitable_kind *kind;
	union { void *object; int fd; } on;
	/* for the kind's own use, from begin to end */
	void *owner;
	uint64_t life;
	uint32_t index;
	bool barrier; /* who makes it ready relies on kernel_barrier, not on a fence of its own */
};

struct waitable_kind {
	const char *noun; /* "queue" */
	/* 0, or why not, with its sentence. What it did before it failed is undone. */
	int (*begin)(struct waitable *);
	/*
	 * Whether it is ready. Takes nothing and waits for nobody. Where it is not: adds the words that
	 * tell, by waitable_watch; or, `sleep` being NULL, makes its descriptor unreadable. NULL: it is
	 * ready when its descriptor is readable.
	 */
	bool (*look)(struct waitable *, struct waitable_sleep *);
	/* 0, or why this thread must not sleep for it, with its sentence. NULL: it may. */
	int (*may_sleep)(const struct waitable *);
	/* From now on whoever makes it ready has to tell. A barrier follows. NULL: they always tell. */
	void (*arm)(struct waitable *);
	/*
	 * After a sleep: one that was told in somebody else's stead tells that one. NULL: a wake is for
	 * all.
	 */
	void (*woken)(struct waitable *, bool ready);
	/*
	 * A descriptor, not the caller's to close, that is readable when it is ready, and perhaps for
	 * nothing until the next look. Or -errno. NULL: there is none, and a wait that polls looks
	 * every FUTEX_SLICE_NS.
	 */
	int (*fd)(struct waitable *);
	void (*end)(struct waitable *); /* NULL: nothing to do */
};

/* Before main, from a constructor. */
void waitable_define(uint32_t kind, const struct waitable_kind *ops);
/* NULL where there is none of that number. */
const struct waitable_kind *waitable_kind_of(uint32_t kind);

static inline void
waitable_watch(struct waitable_sleep *s, word32 *word, uint32_t seen)
{
	if (s->count < WAITABLE_WORDS)
		s->list[s->count++] = (struct futex_watch){ word, seen };
	else
		s->full = true;
}

#endif
