/*
 * shoal/queue.h: a bounded queue of messages for any number of processes and threads.
 *
 *	shoal_queue *q;
 *	shoal_queue_create(arena, "jobs", NULL, &q);
 *	shoal_queue_put(q, &job, sizeof job, SHOAL_FOREVER);            in one process
 *	shoal_queue_get(q, &job, sizeof job, SHOAL_FOREVER);            in another
 *
 * ORDER. There is one global order of puts; each putter's messages keep its own order. Every
 * message goes to one getter. A get that returns a message sees everything that its putter wrote
 * before the put.
 *
 * MESSAGES have 0 to 2^32 - 64 bytes. Up to slot_bytes they travel inside the ring, longer ones in
 * a block of the arena that the queue takes and gives back by itself.
 *
 * PROGRESS. A put or get that need not wait makes no system call, but for wakes: one CAS claims a
 * place, one store publishes it. Getters wait for the earliest place that was claimed and not
 * published: a member STOPPED inside put holds up the getters at its place, one stopped inside get
 * holds up putters once the ring has come round to its place. Nobody else is held up, but by one
 * who is stopped while it takes a block, as inside shoal_alloc.
 * put_many and get_many of items of at most 64 bytes move 16 by one CAS where so many are asked
 * for, on queues without flags: let both sides ask for multiples of 16. A get of fewer first gives
 * each its own place, which is slower than if they had been put one by one, and one STOPPED in that
 * holds up the getters.
 *
 * WHEN A PROCESS IS KILLED
 *	inside put             the message never existed, or it arrives whole; of a batch a prefix
 *	                       arrives
 *	inside get             that message (batch) is dropped and counted; REDELIVER: delivered again.
 *	                       Until its place is given back, the last step before the wakes and the
 *	                       return: from then on it was received, and is neither. What must not be
 *	                       missed is borrowed, or got under JOINABLE too: it comes at least once
 *	with loans out         see shoal_loan; of JOINABLE queues also what get took and task_done did
 *	                       not report
 *	asleep                 its wake goes to another sleeper
 *	Those who wait for its place go on as soon as the kernel has marked its death. Slices of 5 ms
 *	close these windows only: without futex_waitv whatever the gate does not tell; sleeping getters
 *	of a REDELIVER queue when a borrower dies; the death of the owner of one WITH_OWNER; join; what
 *	a dead one had not told to those who sleep on a queue of which anybody made a descriptor, whom
 *	the kernel may wake instead; opening one whose creator died just when its name appeared. A
 *	member stopped between its message and its wake delays a sleeper by at most 50 ms.
 *	Under REDELIVER what comes back is before others from its recovery on: by a getter that finds
 *	nothing else, a putter that comes round to its place, or whoever else meets the dead one.
 *
 * A closed queue whose ring is full has no place for its end: while a living getter still has the
 * last place, the other getters wait for it to give that back. Under REDELIVER the end waits for
 * every message that may still come back.
 *
 * The protocol: Dmitry Vyukov's bounded MPMC ring, with the owner's name in the slot word in place
 * of a sequence; lib/ring/slot.h.
 */
#ifndef SHOAL_QUEUE_H
#define SHOAL_QUEUE_H

#include <shoal/any.h>

SHOAL_BEGIN_

enum {
	/*
	 * A message whose taker died before it had it whole is delivered again: before others, out of
	 * order, at most 30 times. (Returned ones: any number of times.)
	 */
	SHOAL_QUEUE_REDELIVER = 1,
	/*
	 * task_done and join. With REDELIVER a message stays its taker's until task_done, and keeps its
	 * place: putters wait for it once the ring has come round. At most 32 a thread (-EBUSY).
	 */
	SHOAL_QUEUE_JOINABLE = 2,
};

/* All zero, or NULL, is the default. */
typedef struct {
	/*
	 * Messages: 2 to 2^31, rounded up to a power of two; 0: 1024. For the highest rate as many as
	 * fill 4 MiB, each with its slot_bytes and 16 (shoal/pipe.h, ring_bytes).
	 */
	uint32_t capacity;
	/*
	 * Longest message inside the ring, up to 1 MiB; 0: 48, what fits a cache line. Longer ones take
	 * a block each, which is several times slower for short messages: give the longest usual one. A
	 * place has 16 more, rounded up to a multiple of 64, or of 16 where that is between 64 and 512.
	 */
	uint32_t slot_bytes;
	unsigned flags;      /* SHOAL_QUEUE_…, SHOAL_WITH_OWNER, SHOAL_OR_OPEN */
	uint64_t reserved_[4];
} shoal_queue_options;

typedef struct {
	/* places claimed by putters and by getters since the queue was made */
	uint64_t puts, gets;
	uint64_t dropped;           /* messages that died with their taker */
	uint64_t redelivered;
	uint64_t unfinished;        /* JOINABLE: put and not yet done */
	uint32_t size, capacity;
	uint32_t putters_waiting, getters_waiting; /* asleep, at the time of looking */
	uint64_t reserved_[8];
} shoal_queue_info;

/*
 * A queue, with a name (1 to 63 of A-Z a-z 0-9 . _ -) or without. -EINVAL; -EEXIST (SHOAL_OR_OPEN
 * opens that one, whatever its options); -ENOMEM, -ENOSPC. A creator that dies half-way leaves
 * nothing. The pointer is valid in this process and its forked children.
 */
int shoal_queue_create(shoal_arena *, const char *name, const shoal_queue_options *,
                       shoal_queue **out);
/* Waits for its creator up to the timeout: -ENOENT. -EPROTO: an object of another kind. */
int shoal_queue_open(shoal_arena *, const char *name, shoal_time timeout, shoal_queue **out);
/* From a reference (shoal_ref_of): -ENOENT when it is gone, -EPROTO for another kind. */
int shoal_queue_at(shoal_arena *, shoal_ref, shoal_queue **out);
/*
 * The name goes at once and waiters return -EPIPE; the memory is used again when no member is
 * inside a call on it. No call may start on it afterwards. NULL is 0. Twice is a mistake: -ENOENT
 * while another one destroys it or its memory is kept; later it stops the process.
 */
int shoal_queue_destroy(shoal_arena *, shoal_queue *);

/*
 * Copies the message in. -EAGAIN, -ETIMEDOUT, -ECANCELED, -EPIPE (closed, or destroyed meanwhile),
 * -EMSGSIZE, -ENOMEM, -ENOSPC: no memory for a long one, though the queue has room. Within the
 * timeout it waits a moment for a getter that still copies out what was there: 5 ms, and a
 * nanosecond for each byte.
 */
SHOAL_CHECK_ int shoal_queue_put(shoal_queue *, const void *message, size_t bytes,
                                 shoal_time timeout);
/*
 * Copies the next message out and gives its length. -EMSGSIZE: longer than the buffer; it stays,
 * shoal_needed() tells its length. -EPIPE: closed, and nothing is left; or destroyed meanwhile.
 * -EPROTO: it is a value of put_any; it stays. -EAGAIN says that this call would have to wait,
 * perhaps for another member's unfinished put.
 */
SHOAL_CHECK_ ssize_t shoal_queue_get(shoal_queue *, void *buffer, size_t buffer_bytes,
                                     shoal_time timeout);
/* The same into memory from malloc, which is the caller's to free, for messages of any length. */
ssize_t shoal_queue_get_new(shoal_queue *, void **data, shoal_time timeout);

/*
 * A value (shoal/any.h) as a message: encoded, copied in; and copied out, *out owning its memory. A
 * message bears one bit that says which it is: get_any gives one of put as bytes; every other call
 * that receives, or peeks, gives -EPROTO for one of put_any, and it stays. As put and get; also
 * -EINVAL, -EOVERFLOW: no value that can be sent. get_any needs memory before it takes the message,
 * which stays where there is none (-ENOMEM).
 *
 * What is in it that refers to objects holds them while the message waits, and hands them over: a
 * container that its maker has destroyed lives on in the message, and in what get_any gave until
 * that is cleared. It is let go once, whatever becomes of the message: received, dropped with its
 * taker, or with the queue. (A queue or pipe that is destroyed meanwhile is none any more: -ENOENT,
 * and the message is gone.) Such a message takes an entry among the arena's objects (-ENOMEM), and
 * the name lock for a moment: one STOPPED there holds up those who create and destroy. -EDEADLK: in
 * a signal handler that interrupted another such call.
 */
SHOAL_CHECK_ int shoal_queue_put_any(shoal_queue *, shoal_any, shoal_time timeout);
SHOAL_CHECK_ int shoal_queue_get_any(shoal_queue *, shoal_any *out, shoal_time timeout);

/* The length of the message that a get would take now; -EAGAIN, -EPIPE, -EPROTO. */
ssize_t shoal_queue_peek_bytes(shoal_queue *);

/*
 * `count` items of item_bytes, each a message of its own, one after another in memory. They give
 * how many were done in time, at least one, or why not even that. get_many waits for the first
 * only, and stops before a message of another length (-EMSGSIZE if it is first: it stays). As put
 * and get; also -EINVAL: items of some bytes at NULL.
 */
SHOAL_CHECK_ ssize_t shoal_queue_put_many(shoal_queue *, const void *items, size_t item_bytes,
                                          size_t count, shoal_time timeout);
SHOAL_CHECK_ ssize_t shoal_queue_get_many(shoal_queue *, void *items, size_t item_bytes,
                                          size_t count, shoal_time timeout);

/*
 * Loans, see shoal/base.h. reserve gives memory to write a message in; it takes no place in the
 * queue, so nobody waits for it, and it does not wait itself. borrow receives in place: it waits
 * like get. A message that came in a block frees its place at once (not under REDELIVER); one
 * inside the ring keeps it until the loan ends, and putters wait for it once the ring has come
 * round.
 */
int shoal_queue_reserve(shoal_queue *, size_t bytes, shoal_time timeout, shoal_loan *);
int shoal_queue_borrow(shoal_queue *, shoal_time timeout, shoal_loan *);

/*
 * No more puts by anyone: -EPIPE. Gets drain it, then -EPIPE. Any number of times; also in a signal
 * handler, whatever that interrupted, and by a thread for which the arena has no place or memory.
 * It does nothing where the arena is read-only, damaged, or of another PID namespace, where the C
 * library's robust list is laid out in another way, and where the queue was destroyed:
 * shoal_error() says so.
 *
 * Of some nobody knows that they are in here: of a thread for which the arena has no place or
 * memory; of a handler that interrupted a change of its thread's robust list, as when a lock or a
 * robust mutex is taken or released, or a barrier's wait with the action in it, or its process's
 * first call on the arena, or calls that are at four locks or the like under names at once; of a
 * child of _Fork or clone until its first call has returned. Held up while another one destroys the
 * queue, they may write over what has the memory next: it is not to be destroyed meanwhile.
 */
void shoal_queue_close(shoal_queue *);

/*
 * Messages to be got, unfinished puts and what came back included; exact when nothing moved while
 * it was read. What living takers have borrowed, or under both flags not reported, is not in it,
 * but has its place: putters may wait all the same.
 */
size_t shoal_queue_size(const shoal_queue *);
/* What a get, and a put, would meet now. */
bool shoal_queue_empty(const shoal_queue *);
bool shoal_queue_full(const shoal_queue *);

/*
 * JOINABLE: one message that this thread took is done, its oldest. Under REDELIVER one that is
 * borrowed is reported by shoal_loan_finish, or here after its release, before those that get took.
 * -EOVERFLOW: it took no more. -EINVAL: not JOINABLE.
 */
int shoal_queue_task_done(shoal_queue *);
/*
 * Waits until every message that was put is done. It never waits for the dead. -EAGAIN, -ETIMEDOUT,
 * -ECANCELED, -EPIPE.
 */
SHOAL_CHECK_ int shoal_queue_join(shoal_queue *, shoal_time timeout);

/*
 * Descriptors for poll and epoll: readable when a get, and a put, would not wait. The library's
 * own: never read or close them. Level-triggered, close-on-exec, may be readable for nothing: call
 * with SHOAL_NOWAIT until -EAGAIN, which re-arms them. Made by each process for itself: ask again
 * after fork. -EMFILE, -ENOMEM, -EPIPE (destroyed), -EUSERS. Slices of 5 ms, in a thread of the
 * library's own: where io_uring is not allowed (SHOAL_HAS_URING); of room_fd while there is no
 * room; of fd under REDELIVER and WITH_OWNER, at the end of a closed queue, and once several
 * processes made one of this queue. Else nothing runs while all is idle.
 */
int shoal_queue_fd(shoal_queue *);
int shoal_queue_room_fd(shoal_queue *);

int shoal_queue_stat(const shoal_queue *, shoal_queue_info *);

SHOAL_END_

#endif
