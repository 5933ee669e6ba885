/*
 * Pipes: messages both ways between two ends, in shared memory.
 *
 *	shoal_pipe_end *mine, *its;
 *	shoal_pipe_create(arena, NULL, NULL, &mine, &its);
 *	if (fork() == 0) {
 *		shoal_pipe_send(its, "hello", 6, SHOAL_FOREVER);
 *		_exit(0);
 *	}
 *	char text[64];
 *	ssize_t n = shoal_pipe_recv(mine, text, sizeof text, SHOAL_FOREVER); // 6; then -EPIPE
 *
 * A message has any length from 0 to 2^32 - 64 bytes and arrives whole, once, in order. Up to a
 * quarter of ring_bytes it travels in the ring, longer in a block of the arena.
 *
 * Whose an end is. It belongs to the first process that sends, receives, reserves or borrows on it,
 * until that one closes it or gives it away; another one gets -EBUSY. One thread at a time uses an
 * end. With SHOAL_PIPE_SHARED_ENDS any process and thread may use an end at once; it closes when
 * every process that used it has closed it or died. The process that created the pipe counts as a
 * user of both ends, one that opened an end as a user of that one.
 *
 * Ends of ends. When an end is closed, or its owner dies at any instruction, what it had sent is
 * still received at the other one, and then comes -EPIPE. Sending to it is -EPIPE at once when it
 * was closed; after a death, from when anybody has noticed that, who waits at the other end or
 * recovers what the dead left, and at the latest when there is no room: what was sent until then
 * is lost. Of a process killed inside a call the message in hand never was (send; of a send_many a
 * prefix may have been sent) or is dropped (recv). Nothing is delivered twice, and nobody waits for
 * the dead.
 * When the pipe goes with its owner (SHOAL_WITH_OWNER), ends that others opened stay closed, also
 * once another pipe has the memory.
 *
 * A process that is stopped holds up the other end as long as it sends nothing, or makes no room.
 * With SHARED_ENDS, stopped inside a call, it holds up those who want to do the same at the same
 * end. While it takes a block, for a long message or a loan, it holds up others as one inside
 * shoal_alloc does.
 *
 * Where only a slice of time notices: 5 ms until room in a full ring is noticed that its reader
 * made little of and then went away to do something else; until the death of an owner is noticed
 * whose threads had all left the arena, or that was given the end and never used it (but when such
 * a one executes another program, only the end of that is noticed), or that of the whole pipe
 * WITH_OWNER; on a pipe of which anybody made a descriptor, until a receiver notices what a dead
 * one had not told; at a shared end, until a receiver notices a message for which one was woken who
 * then died; and until shoal_pipe_open notices a pipe whose creator died just when its name
 * appeared.
 *
 * An end that nobody has used yet is nobody's. Whoever was meant to have it and dies before its
 * first call on it closes nothing: the end stays open for the next process that uses it, and the
 * other end waits for that one. Where one process alone is meant to have it, give it to that one as
 * soon as its pid is known (shoal_pipe_give): then its death is the end, whether it used it or not.
 */
#ifndef SHOAL_PIPE_H
#define SHOAL_PIPE_H
#include <shoal/any.h>
SHOAL_BEGIN_

enum {
	SHOAL_PIPE_SIMPLEX = 1,     /* the left end receives, the right end sends; else -EPERM */
	SHOAL_PIPE_SHARED_ENDS = 2, /* several processes at one end */
};

/*
 * flags: the above, SHOAL_OR_OPEN, SHOAL_WITH_OWNER. ring_bytes: of each direction, a power of two
 * from 4096 to 2^30; 0: 256 KiB. For the highest rate, and messages over 64 KiB, 4 MiB: on
 * processors whose cores have slow ways into one another's caches that carries up to seven times as
 * much, since a line has gone to the cache that all share before it is written again
 * (docs/performance.md). The memory is taken at once.
 */
typedef struct {
	uint32_t ring_bytes;
	unsigned flags;
	uint64_t reserved_[4];
} shoal_pipe_options;

typedef struct {
	uint64_t sent, received;       /* messages, by this end */
	uint32_t waiting_bytes;        /* in the ring for this end; a message in a block counts 16 */
	uint32_t ring_bytes;
	pid_t left_owner, right_owner; /* 0: nobody's yet, closed, or shared */
	uint64_t reserved_[8];
} shoal_pipe_info;

typedef enum { SHOAL_LEFT, SHOAL_RIGHT } shoal_pipe_side;

/*
 * left and right may be NULL where they are not wanted. 0, -EEXIST, -EINVAL, -ENOMEM, -ENOSPC,
 * -EUSERS, -EPERM (read-only); -EPROTO: the name is of another kind.
 */
int     shoal_pipe_create(shoal_arena *, const char *name, const shoal_pipe_options *,
                          shoal_pipe_end **left, shoal_pipe_end **right);
/* Waits for the creator. 0, -ENOENT (not there in time), -EPROTO (another kind of object). */
int     shoal_pipe_open(shoal_arena *, const char *name, shoal_pipe_side, shoal_time timeout,
                        shoal_pipe_end **out);
/*
 * From shoal_ref_of an end. A reference to a right end does not notice when another pipe has its
 * memory.
 */
int     shoal_pipe_at(shoal_arena *, shoal_ref, shoal_pipe_end **out);
/* Both ends, by either one. Who waits gets -EPIPE. */
int     shoal_pipe_destroy(shoal_arena *, shoal_pipe_end *);

/*
 * 0. -EAGAIN, -ETIMEDOUT: no room. -EPIPE, -EBUSY, -EMSGSIZE, -ENOMEM, -ENOSPC, -ECANCELED,
 * -EDEADLK (in a signal handler inside a call).
 */
SHOAL_CHECK_ int shoal_pipe_send(shoal_pipe_end *, const void *message, size_t bytes,
                                 shoal_time timeout);
/*
 * The length. -EMSGSIZE: the buffer is too small, the message stays; shoal_needed() tells its
 * length. -EPROTO: it is a value of send_any, and stays. -EPIPE: there will be none.
 */
SHOAL_CHECK_ ssize_t shoal_pipe_recv(shoal_pipe_end *, void *buffer, size_t buffer_bytes,
                                     shoal_time timeout);
/*
 * The length of the next message, without taking it. -EAGAIN, -EPIPE, -EBUSY; -EPROTO: it is a
 * value. Here and in all calls on an end -EPROTO also: no pipe is there any more, or shared memory
 * was overwritten.
 */
ssize_t shoal_pipe_peek_bytes(shoal_pipe_end *);

/*
 * A value (shoal/any.h) as a message, as shoal_queue_put_any and shoal_queue_get_any have it:
 * recv_any gives a message of send as bytes, every other call that receives gives -EPROTO for one
 * of send_any, and it stays. Objects inside are held as there; a message that nobody can receive
 * any more, since its end is closed, lets them go.
 */
SHOAL_CHECK_ int shoal_pipe_send_any(shoal_pipe_end *, shoal_any, shoal_time timeout);
SHOAL_CHECK_ int shoal_pipe_recv_any(shoal_pipe_end *, shoal_any *out, shoal_time timeout);

/*
 * 1: a message, or the end of them. 0: none in time. Takes nothing, and does not make the end this
 * process's. -EPIPE: this end is closed; -EBUSY, -ECANCELED, -EDEADLK, -EPERM (SIMPLEX).
 */
int     shoal_pipe_poll(shoal_pipe_end *, shoal_time timeout);

/*
 * Messages of item_bytes each. How many were sent in time, at least one; else why not. -EINVAL:
 * items of some bytes at NULL.
 */
SHOAL_CHECK_ ssize_t shoal_pipe_send_many(shoal_pipe_end *, const void *items, size_t item_bytes,
                                          size_t count, shoal_time timeout);
/*
 * Waits for the first, takes what is there, at most count; stops before a message of another length
 * (-EMSGSIZE if it is the first: it stays). -EINVAL as above.
 */
SHOAL_CHECK_ ssize_t shoal_pipe_recv_many(shoal_pipe_end *, void *items, size_t item_bytes,
                                          size_t count, shoal_time timeout);

/*
 * Memory to write a message into, for shoal_loan_commit. It takes no place in the pipe: nobody
 * waits for it, nor does it wait.
 */
int     shoal_pipe_reserve(shoal_pipe_end *, size_t bytes, shoal_time timeout, shoal_loan *);
/*
 * The next message, read where it lies until shoal_loan_release. At most 32 that lie in the ring
 * are out at a time (-EBUSY).
 */
int     shoal_pipe_borrow(shoal_pipe_end *, shoal_time timeout, shoal_loan *);

/*
 * Of an end that is another process's: nothing happens. One that nobody has used yet closes for
 * all: never close a copy of the other side's end, as Python's tutorials do after a start; give it
 * (shoal_pipe_give), or leave it alone.
 */
void    shoal_pipe_close(shoal_pipe_end *);
/*
 * To the process of this pid, or 0: to the next one that uses it. Messages that wait go with it.
 * -EBUSY, -ENOENT (no such process, a thread's number, a zombie), -EINVAL (shared), -EMFILE,
 * -ENFILE (it cannot be looked up); -EPIPE (the end is closed).
 */
int     shoal_pipe_give(shoal_pipe_end *, pid_t to);

/*
 * For poll and epoll: readable when recv, or send, would not wait. The library's: never read or
 * close them; anew after fork. -EMFILE, -ENOMEM, -EPIPE (destroyed), -EUSERS. Call with
 * SHOAL_NOWAIT until -EAGAIN, which re-arms them. Slices of 5 ms as of a queue's: without io_uring,
 * of room_fd, WITH_OWNER, for the death of the users of a shared end, and once several processes
 * made one. That the other end's owner executed another program they tell only when that ends.
 * Those of a destroyed pipe stay, readable, until shoal_pipe_close of the end, until another pipe's
 * are made at its address, or until the arena is closed.
 */
int     shoal_pipe_fd(shoal_pipe_end *);
int     shoal_pipe_room_fd(shoal_pipe_end *);
int     shoal_pipe_stat(const shoal_pipe_end *, shoal_pipe_info *);

/* ---- listeners: a pipe for each client ---- */

/*
 *	server                                          client
 *	shoal_listener_create(a, "echo", NULL, &l);     shoal_pipe_connect(a, "echo", s, &end);
 *	shoal_listener_accept(l, SHOAL_FOREVER, &end);  shoal_pipe_send(end, "hello", 5, SHOAL_FOREVER);
 *
 * Who may use the arena may connect: its mode is the authority.
 *
 * A listener belongs to the process that made it, and ends with it, or when it is destroyed: its
 * name goes, accepts return -EPIPE, and so do clients that wait for a place, and calls on the ends
 * of those who were not accepted. Connections that were accepted are their own: nothing of this
 * concerns them. Several processes and threads may accept at once; each connection goes to one.
 *
 * A connection is a pipe. The client has its right end, the server its left one (so with
 * SHOAL_PIPE_SIMPLEX clients send). The client may send before it is accepted. A client that dies
 * before that is accepted all the same: what it sent is received, then comes -EPIPE. Until then its
 * left end belongs to the listener's process. Whose the ends are, what a death closes, and
 * shoal_pipe_give: as above.
 *
 * It is destroyed by itself when both its ends are closed, by shoal_pipe_close, by the death of
 * whose they are, or by the end of that process; shoal_pipe_destroy does it at once. So nothing
 * leaks, whoever dies where; and no end may be used after its shoal_pipe_close. An end that was
 * given to nobody (shoal_pipe_give to 0) and that nobody then uses keeps it.
 *
 * Killed in connect: there is no connection, or one whose client is gone. In accept: the connection
 * is the next one's to accept, or its client gets -EPIPE. A stopped client that was about to become
 * one of the backlog takes a place of it away; nobody else is held up by a stopped client or
 * server, but for what holds up making and destroying objects.
 */

/*
 * options: of the pipes; flags SHOAL_PIPE_SIMPLEX, and SHOAL_OR_OPEN for another process that
 * accepts. 0. -EEXIST: there is one, and its process lives. -EINVAL: no name; SHARED_ENDS.
 * -EPROTO, -ENOMEM, -ENOSPC, -EUSERS, as of shoal_pipe_create.
 */
int     shoal_listener_create(shoal_arena *, const char *name, const shoal_pipe_options *,
                              shoal_listener **out);
/*
 * The next client's pipe, in the order in which they came. 0. -EAGAIN, -ETIMEDOUT: nobody.
 * -EPIPE: the listener was destroyed, or its process has ended, also before the call. -ECANCELED,
 * -EDEADLK. -EPROTO: this is no listener, or its memory is another object's by now.
 */
int     shoal_listener_accept(shoal_listener *, shoal_time timeout, shoal_pipe_end **out);
/* For poll and epoll, as shoal_pipe_fd: readable when accept would not wait. */
int     shoal_listener_fd(shoal_listener *);
/*
 * The name goes at once. NULL is 0. Twice is a mistake: -ENOENT while another one destroys it or
 * its memory is kept; later it stops the process.
 */
int     shoal_listener_destroy(shoal_arena *, shoal_listener *);

/*
 * Waits for a listener of that name whose process lives, and, where 128 clients wait to be accepted
 * already, for a place: `timeout` in all. It does not wait to be accepted. 0. -ENOENT: there is
 * none. -EAGAIN, -ETIMEDOUT: no place. -EPIPE: the listener went meanwhile. -EPROTO: the name is
 * another object's. -ECANCELED, -EDEADLK, -EINVAL, -ENOMEM, -ENOSPC, -EUSERS. Slices of 5 ms until
 * a place is noticed that a dead server made.
 *
 * Each connection takes twice ring_bytes of the arena and a little more, rounded up to a power of
 * two: 1 MiB by default.
 */
int     shoal_pipe_connect(shoal_arena *, const char *listener, shoal_time timeout,
                           shoal_pipe_end **out);

SHOAL_END_
#endif
