/*
 * An io_uring that raises an eventfd when one of the words or processes it watches tells, without a
 * thread: futexes through the ring came with Linux 6.7.
 *
 * The eventfd is raised in the context of whoever wakes the word (IORING_SETUP_DEFER_TASKRUN). A
 * ring in the ordinary mode interrupts the thread that submitted, whose epoll_wait then ends with
 * EINTR. The price is that one thread alone may enter the ring: others get -EEXIST and make another
 * one. When that thread ends, the kernel cancels what the ring watches, which raises the eventfd.
 *
 * Only the first completion after a flush raises it: a ring that is not flushed may stay silent.
 */
#ifndef BASE_URING_H
#define BASE_URING_H

#include "base/futex.h"

struct uring_entry;

struct uring {
	int fd;
	uint32_t mask, completion_mask, submitted;
	char *rings; /* the kernel's head, tail and flag words, and the completions */
	size_t rings_bytes;
	struct uring_entry *entries;
	word32 *head, *tail, *done_head, *done_tail, *done_flags;
	uint32_t done_at;
};

/*
 * Whether this process may use one here: 0, or -errno. Makes one and sends a futex through it, in a
 * child: the end of a ring interrupts the thread that made it, some time later.
 */
int uring_probe(void);

/* 0 or -errno. The eventfd is its caller's. */
int uring_open(struct uring *r, int eventfd);
void uring_close(struct uring *r);
/* In a forked child, which has the descriptor but not the memory. */
void uring_forget(struct uring *r);

/*
 * What the next uring_enter that gives 0 begins to watch. `id` is below 32, at most four from one
 * such to the next. A futex with `deaths_only` is told by FUTEX_WAKE_OP and by the kernel, when a
 * member dies, not by futex_wake.
 */
void uring_add_futex(struct uring *r, unsigned id, word32 *word, uint32_t seen, bool deaths_only);
void uring_add_pollable(struct uring *r, unsigned id, int fd);

/*
 * Begins what was added, and gives the ids of all that has told, bit by bit. With `quiet` the
 * eventfd is not raised by that. 0; or -errno, and not all of it has begun, which the next one
 * tries again: -EEXIST, the ring is another thread's; -EBADR, some that have told are not given,
 * and never will be.
 */
int uring_enter(struct uring *r, bool quiet, uint32_t *told);

#endif
