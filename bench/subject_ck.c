/*
 * subject_ck.c - Concurrency Kit's rings, for one on either side and for many
 *
 * CK_RING_PROTOTYPE makes the functions for one type of messages, so there are three sizes. A ring
 * of n holds n - 1. It cannot sleep.
 */
#include "rings.h"
#include "subject.h"

#include "config.h"
#include "run.h"

#if HAVE_CK
#include "spin.h"

#include <ck_ring.h>
#include <errno.h>

struct word {
	char data[8];
};

struct line {
	char data[64];
};

struct kibi {
	char data[KIBI];
};

CK_RING_PROTOTYPE(word, word)
CK_RING_PROTOTYPE(line, line)
CK_RING_PROTOTYPE(kibi, kibi)

struct way {
	ck_ring_t ring;
	_Alignas(128) char slots[];
};

static bool
mpmc_fits(const struct plan *p)
{
	return p->bytes == sizeof(struct word) || p->bytes == sizeof(struct line) ||
	       p->bytes == sizeof(struct kibi);
}

static bool
spsc_fits(const struct plan *p)
{
	return mpmc_fits(p) && p->producers == 1 && p->consumers == 1;
}

static int
ring_open(struct opening *o)
{
	for (int i = 0; i <= o->duplex; i++) {
		unsigned count = slots_for(o->bytes);
		struct way *w = shared_memory(sizeof *w + count * o->bytes);

		if (!w)
			return -ENOMEM;
		ck_ring_init(&w->ring, count);
		o->way[i] = w;
	}
	return 0;
}

/* The four calls differ in a word of their names, and so do the types. */
#define SEND(kind, type) \
	while (!CK_RING_ENQUEUE_##kind(type, &w->ring, (void *)w->slots, (void *)(uintptr_t)item)) \
		spin_a_little(&waits);
#define RECV(kind, type) \
	while (!CK_RING_DEQUEUE_##kind(type, &w->ring, (void *)w->slots, item)) \
		spin_a_little(&waits);
#define BY_SIZE(call, kind) \
	struct way *w = way; \
	unsigned waits = 0; \
\
	(void)count; \
	if (bytes == sizeof(struct word)) { \
		call(kind, word); \
	} else if (bytes == sizeof(struct line)) { \
		call(kind, line); \
	} else { \
		call(kind, kibi); \
	} \
	return 1;

static long
spsc_send(void *way, const void *item, size_t bytes, size_t count)
{
	BY_SIZE(SEND, SPSC)
}

static long
spsc_recv(void *way, void *item, size_t bytes, size_t count)
{
	BY_SIZE(RECV, SPSC)
}

static long
mpmc_send(void *way, const void *item, size_t bytes, size_t count)
{
	BY_SIZE(SEND, MPMC)
}

static long
mpmc_recv(void *way, void *item, size_t bytes, size_t count)
{
	BY_SIZE(RECV, MPMC)
}
#else
#define ABSENT "left out: configure has not found Concurrency Kit (Debian's libck-dev)"
#endif

const struct subject subject_ck_spsc = {
	.name = "ck_ring spsc",
	.traits = SUBJECT_SPINS | SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = KIBI,
#if HAVE_CK
	.about = "Concurrency Kit, one producer and one consumer, 8, 64 or 1024 bytes",
	.open = ring_open,
	.fits = spsc_fits,
	.send = spsc_send,
	.recv = spsc_recv,
#else
	.about = ABSENT,
#endif
};

const struct subject subject_ck_mpmc = {
	.name = "ck_ring mpmc",
	.traits = SUBJECT_SPINS | SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = KIBI,
#if HAVE_CK
	.about = "Concurrency Kit, many producers and consumers, 8, 64 or 1024 bytes",
	.open = ring_open,
	.fits = mpmc_fits,
	.send = mpmc_send,
	.recv = mpmc_recv,
#else
	.about = ABSENT,
#endif
};
