/*
 * subject_dpdk.c - DPDK's rte_ring of elements: one on either side, many in three ways, in bursts
 *
 * The ring lies in our own shared memory and needs nothing of DPDK's environment: rte_ring_init
 * writes its head, and everything else is in the headers. A ring of n holds n - 1. It cannot
 * sleep. In the default way whoever is stopped between its two steps stops all the others.
 */
#include "rings.h"
#include "subject.h"

#include "config.h"

#if HAVE_DPDK
#include "peer.h"
#include "run.h"
#include "spin.h"

#include <errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

static struct {
	__typeof__(&rte_ring_init) init;
	__typeof__(&rte_ring_get_memsize_elem) get_memsize_elem;
} rte;

static int
rings_open(struct opening *o, unsigned flags)
{
	static const struct peer_function functions[] = {
		{ "rte_ring_init", &rte.init },
		{ "rte_ring_get_memsize_elem", &rte.get_memsize_elem },
	};
	int rc = peer_load("librte_ring.so", functions, sizeof functions / sizeof *functions);

	for (int i = 0; i <= o->duplex && rc == 0; i++) {
		unsigned count = slots_for(o->bytes);
		ssize_t room = rte.get_memsize_elem((unsigned)o->bytes, count);

		o->way[i] = room > 0 ? shared_memory((size_t)room) : NULL;
		rc = o->way[i] ? rte.init(o->way[i], "shoal-bench", count, flags) : -ENOMEM;
	}
	return rc;
}

static int
mpmc_open(struct opening *o)
{
	return rings_open(o, 0);
}

static int
spsc_open(struct opening *o)
{
	return rings_open(o, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static bool
spsc_fits(const struct plan *p)
{
	return p->producers == 1 && p->consumers == 1;
}

static int
rts_open(struct opening *o)
{
	return rings_open(o, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
}

static int
hts_open(struct opening *o)
{
	return rings_open(o, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ);
}

static long
ring_send(void *way, const void *item, size_t bytes, size_t count)
{
	unsigned waits = 0;

	(void)count;
	while (rte_ring_enqueue_elem(way, (void *)(uintptr_t)item, (unsigned)bytes))
		spin_a_little(&waits);
	return 1;
}

static long
ring_recv(void *way, void *item, size_t bytes, size_t count)
{
	unsigned waits = 0;

	(void)count;
	while (rte_ring_dequeue_elem(way, item, (unsigned)bytes))
		spin_a_little(&waits);
	return 1;
}

static long
burst_send(void *way, const void *items, size_t bytes, size_t count)
{
	unsigned waits = 0, sent;

	while (!(sent = rte_ring_enqueue_burst_elem(way, items, (unsigned)bytes, (unsigned)count,
	                                            NULL)))
		spin_a_little(&waits);
	return sent;
}

static long
burst_recv(void *way, void *items, size_t bytes, size_t count)
{
	unsigned waits = 0, taken;

	while (!(taken = rte_ring_dequeue_burst_elem(way, items, (unsigned)bytes, (unsigned)count,
	                                             NULL)))
		spin_a_little(&waits);
	return taken;
}

#define SUBJECT_OF(id, title, how, opens, fitting, most, longest, also, sends, recvs) \
	const struct subject id = { \
		.name = title, \
		.about = "DPDK's rte_ring of elements, " how, \
		.traits = SUBJECT_SPINS | SUBJECT_FULL_ONLY | (also), \
		.batch = most, \
		.bytes_max = longest, \
		.open = opens, \
		.fits = fitting, \
		.send = sends, \
		.recv = recvs, \
	}
#define SUBJECT(id, title, how, opens, fitting) \
	SUBJECT_OF(id, title, how, opens, fitting, 1, 64 * KIBI, 0, ring_send, ring_recv)
#define SUBJECT_BURST(id, title, how, opens, fitting) \
	SUBJECT_OF(id, title, how, opens, fitting, BATCH_MAX, 4 * KIBI, SUBJECT_BATCHES, \
	           burst_send, burst_recv)
#else
#define SUBJECT_BURST SUBJECT
#define SUBJECT(id, title, how, opens, fitting) \
	const struct subject id = { \
		.name = title, \
		.about = "left out: configure has not found DPDK (Debian's libdpdk-dev)", \
		.batch = 1, \
	}
#endif

SUBJECT(subject_rte_ring_spsc, "rte_ring SP/SC", "one on either side", spsc_open, spsc_fits);
SUBJECT_BURST(subject_rte_ring_spsc_batch, "rte_ring SP/SC x32", "the same in bursts of 32",
              spsc_open, spsc_fits);
SUBJECT(subject_rte_ring, "rte_ring", "the default of many on either side", mpmc_open, NULL);
SUBJECT_BURST(subject_rte_ring_batch, "rte_ring x32", "the same in bursts of 32", mpmc_open,
              NULL);
SUBJECT(subject_rte_ring_rts, "rte_ring RTS", "relaxed tails", rts_open, NULL);
SUBJECT(subject_rte_ring_hts, "rte_ring HTS", "head and tail together", hts_open, NULL);
