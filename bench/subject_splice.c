/*
 * subject_splice.c - pipe(2) written by vmsplice(2): pages are lent to the pipe, and read copies
 *
 * A page may not be written again until it was read, and nobody tells when that was. But the pipe
 * has so many places, each for a page at most, and the oldest one is read first: a producer whose
 * buffers hold twice what the pipe does comes round to a page only after it was read.
 */
#include "subject.h"

#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	PLACES = 16, /* of a pipe of 64 KiB */
};

struct way {
	int fds[2];
	char *buffers;
	size_t stride, count, next, bytes;
	void *read_into;
};

static bool
splice_fits(const struct plan *p)
{
	return p->bytes <= PAGE || (p->producers == 1 && p->consumers == 1);
}

static int
splice_open(struct opening *o)
{
	for (int i = 0; i <= o->duplex; i++) {
		struct way *w = calloc(1, sizeof *w);

		if (!w)
			return -ENOMEM;
		if (pipe2(w->fds, O_CLOEXEC) < 0)
			return -errno;
		o->way[i] = w;
	}
	return 0;
}

static void *
pages(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Of each process its own: the pages of a parent would be copied when they are written. */
static int
splice_enter(struct opening *o, unsigned worker)
{
	(void)worker;
	for (int i = 0; i <= o->duplex; i++) {
		struct way *w = o->way[i];

		w->stride = (o->bytes + PAGE - 1) / PAGE * PAGE;
		w->count = 2 * PLACES * PAGE / w->stride + 2;
		w->count = w->count < 2 * PLACES ? w->count : 2 * PLACES;
		w->buffers = pages(w->count * w->stride);
		w->read_into = pages(w->stride);
		if (!w->buffers || !w->read_into)
			return -ENOMEM;
	}
	return 0;
}

static void *
splice_lend(void *way, size_t bytes)
{
	struct way *w = way;

	w->bytes = bytes;
	return w->buffers + w->next++ % w->count * w->stride;
}

static int
splice_all(struct way *w, char *at, size_t bytes)
{
	while (bytes > 0) {
		struct iovec piece = { at, bytes };
		ssize_t n = vmsplice(w->fds[1], &piece, 1, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
	}
	return 0;
}

static long
splice_send(void *way, const void *item, size_t bytes, size_t count)
{
	char *buffer = splice_lend(way, bytes);
	int rc;

	(void)count;
	memcpy(buffer, item, bytes);
	rc = splice_all(way, buffer, bytes);
	return rc < 0 ? rc : 1;
}

static long
splice_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	char *at = item;

	(void)count;
	while (bytes > 0) {
		ssize_t n = read(w->fds[0], at, bytes);

		if (n == 0 || (n < 0 && errno != EINTR))
			return n < 0 ? -errno : -EPIPE;
		if (n > 0) {
			at += n;
			bytes -= (size_t)n;
		}
	}
	return 1;
}

static int
splice_commit(void *way)
{
	struct way *w = way;

	return splice_all(w, w->buffers + (w->next - 1) % w->count * w->stride, w->bytes);
}

static const void *
splice_borrow(void *way, size_t bytes)
{
	struct way *w = way;

	return splice_recv(w, w->read_into, bytes, 1) < 0 ? NULL : w->read_into;
}

static void
splice_release(void *way)
{
	(void)way;
}

const struct subject subject_vmsplice = {
	.name = "vmsplice",
	.about = "pipe(2) of 64 KiB: copied into pages that vmsplice(2) lends, and read",
	.traits = SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = splice_open,
	.fits = splice_fits,
	.enter = splice_enter,
	.send = splice_send,
	.recv = splice_recv,
};

const struct subject subject_vmsplice_loan = {
	.name = "vmsplice in place",
	.about = "pipe(2) of 64 KiB: made in the pages that vmsplice(2) lends, and read",
	.traits = SUBJECT_LENDS | SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = 64 * MEBI,
	.open = splice_open,
	.fits = splice_fits,
	.enter = splice_enter,
	.send = splice_send,
	.recv = splice_recv,
	.lend = splice_lend,
	.commit = splice_commit,
	.borrow = splice_borrow,
	.release = splice_release,
};
