/*
 * subject_kernel.c - what the kernel offers: pipe(2), a pair of sockets, POSIX message queues
 *
 * Each has its default size, but one of the pipes the largest that anybody may ask for, and one
 * system call a message on each side as long as the kernel keeps a message whole. Where it does
 * not (a pipe beyond PIPE_BUF, a stream) the sides loop, and where several processes share a side
 * they hold a lock for the length of a message, because nobody could tell the pieces apart
 * otherwise.
 */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PIPE_LARGE = MEBI,
	SEQPACKET_BYTES_MAX = 64 * KIBI,
	MQ_BYTES_MAX = 8 * KIBI,
	MQ_DEPTH = 10,
};

struct sides {
	pthread_mutex_t send, recv;
};

struct way {
	int in, out;
	struct sides *sides;
};

static int
lock_open(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int rc = pthread_mutexattr_init(&attr);

	if (rc == 0)
		rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (rc == 0)
		rc = pthread_mutex_init(lock, &attr);
	return -rc;
}

static int
sides_open(struct way *w)
{
	int rc;

	w->sides = shared_memory(sizeof *w->sides);
	if (!w->sides)
		return -ENOMEM;
	rc = lock_open(&w->sides->send);
	return rc < 0 ? rc : lock_open(&w->sides->recv);
}

static int
way_open(struct opening *o, int i, int fds[2], bool whole)
{
	struct way *w = calloc(1, sizeof *w);

	if (!w)
		return -ENOMEM;
	w->in = fds[1];
	w->out = fds[0];
	o->way[i] = w;
	return o->producers + o->consumers > 2 && !whole ? sides_open(w) : 0;
}

/* `whole` bytes are written at once. */
static int
pipes_open(struct opening *o, int size, size_t whole)
{
	int fds[2], rc = 0;

	for (int i = 0; i <= o->duplex && rc == 0; i++) {
		if (pipe2(fds, O_CLOEXEC) < 0 || (size && fcntl(fds[1], F_SETPIPE_SZ, size) < 0))
			return -errno;
		rc = way_open(o, i, fds, whole <= PIPE_BUF);
	}
	return rc;
}

static int
pipe_open(struct opening *o)
{
	return pipes_open(o, 0, o->bytes);
}

static int
pipe_open_large(struct opening *o)
{
	return pipes_open(o, PIPE_LARGE, o->bytes);
}

static int
pipe_open_batch(struct opening *o)
{
	return pipes_open(o, 0, o->bytes * BATCH_MAX);
}

static int
sockets_open(struct opening *o, int type)
{
	bool whole = type == SOCK_SEQPACKET;
	int fds[2], back[2], rc;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	back[0] = fds[1];
	back[1] = fds[0];
	rc = way_open(o, 0, fds, whole);
	return rc == 0 && o->duplex ? way_open(o, 1, back, whole) : rc;
}

static int
stream_open(struct opening *o)
{
	return sockets_open(o, SOCK_STREAM);
}

static int
seqpacket_open(struct opening *o)
{
	return sockets_open(o, SOCK_SEQPACKET);
}

static long
write_all(int fd, const char *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
	}
	return 1;
}

static long
read_all(int fd, char *at, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = read(fd, at, bytes);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
	}
	return 1;
}

static long
fd_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	long rc;

	(void)count;
	if (!w->sides)
		return write_all(w->in, item, bytes);
	pthread_mutex_lock(&w->sides->send);
	rc = write_all(w->in, item, bytes);
	pthread_mutex_unlock(&w->sides->send);
	return rc;
}

static long
fd_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	long rc;

	(void)count;
	if (!w->sides)
		return read_all(w->out, item, bytes);
	pthread_mutex_lock(&w->sides->recv);
	rc = read_all(w->out, item, bytes);
	pthread_mutex_unlock(&w->sides->recv);
	return rc;
}

/* As many messages as there are at once, and the rest of the last one. */
static long
read_some(int fd, char *at, size_t bytes, size_t count)
{
	ssize_t n = read(fd, at, bytes * count);
	size_t torn = n > 0 ? (size_t)n % bytes : 0;
	long rc = 1;

	if (n <= 0)
		return n == 0 ? -EPIPE : errno == EINTR ? read_some(fd, at, bytes, count) : -errno;
	if (torn)
		rc = read_all(fd, at + n, bytes - torn);
	return rc < 0 ? rc : (n + (long)bytes - 1) / (long)bytes;
}

static long
batch_send(void *way, const void *items, size_t bytes, size_t count)
{
	long rc = fd_send(way, items, bytes * count, 1);

	return rc < 0 ? rc : (long)count;
}

static long
batch_recv(void *way, void *items, size_t bytes, size_t count)
{
	struct way *w = way;
	long n;

	if (w->sides)
		pthread_mutex_lock(&w->sides->recv);
	n = read_some(w->out, items, bytes, count);
	if (w->sides)
		pthread_mutex_unlock(&w->sides->recv);
	return n;
}

/* The name is gone before anything can go wrong: nothing is ever left in /dev/mqueue. */
static int
mq_way_open(struct opening *o, int i)
{
	struct mq_attr attr = { .mq_maxmsg = MQ_DEPTH, .mq_msgsize = (long)o->bytes };
	char name[64];
	int fds[2];

	snprintf(name, sizeof name, "/shoal-bench-%ld-%d", (long)getpid(), i);
	fds[0] = fds[1] = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (fds[0] < 0)
		return -errno;
	mq_unlink(name);
	return way_open(o, i, fds, true);
}

static int
queue_open(struct opening *o)
{
	int rc = mq_way_open(o, 0);

	return rc == 0 && o->duplex ? mq_way_open(o, 1) : rc;
}

static long
queue_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;

	(void)count;
	return mq_send(w->in, item, bytes, 0) < 0 ? -errno : 1;
}

static long
queue_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;

	(void)count;
	return mq_receive(w->out, item, bytes, NULL) < 0 ? -errno : 1;
}

const struct subject subject_pipe = {
	.name = "pipe(2)",
	.about = "the kernel's pipe of 64 KiB, one write and one read a message",
	.traits = SUBJECT_IS_BASE,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = pipe_open,
	.send = fd_send,
	.recv = fd_recv,
};

const struct subject subject_pipe_large = {
	.name = "pipe(2) of 1 MiB",
	.about = "the same with F_SETPIPE_SZ",
	.traits = SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = pipe_open_large,
	.send = fd_send,
	.recv = fd_recv,
};

const struct subject subject_pipe_batch = {
	.name = "pipe(2) x32",
	.about = "32 messages a write, and as many as there are a read",
	.traits = SUBJECT_BATCHES | SUBJECT_FULL_ONLY,
	.batch = BATCH_MAX,
	.bytes_max = 64 * KIBI / BATCH_MAX,
	.open = pipe_open_batch,
	.send = batch_send,
	.recv = batch_recv,
};

const struct subject subject_stream = {
	.name = "socketpair stream",
	.about = "AF_UNIX, SOCK_STREAM, one write and one read a message",
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = stream_open,
	.send = fd_send,
	.recv = fd_recv,
};

const struct subject subject_seqpacket = {
	.name = "socketpair seqpacket",
	.about = "AF_UNIX, SOCK_SEQPACKET, up to 64 KiB",
	.traits = SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = SEQPACKET_BYTES_MAX,
	.open = seqpacket_open,
	.send = fd_send,
	.recv = fd_recv,
};

const struct subject subject_mq = {
	.name = "POSIX mq",
	.about = "mq_send, mq_receive, the default depth of 10",
	.batch = 1,
	.bytes_max = MQ_BYTES_MAX,
	.open = queue_open,
	.send = queue_send,
	.recv = queue_recv,
};
