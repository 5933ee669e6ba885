/*
 * subject_dpdk.c - DPDK's rte_ring of elements, with its three ways of many on either side
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

#define SUBJECT(id, title, how, opens) \
	const struct subject id = { \
		.name = title, \
		.about = "DPDK's rte_ring_enqueue_elem, rte_ring_dequeue_elem, " how, \
		.traits = SUBJECT_SPINS | SUBJECT_FULL_ONLY, \
		.batch = 1, \
		.bytes_max = 64 * KIBI, \
		.open = opens, \
		.send = ring_send, \
		.recv = ring_recv, \
	}
#else
#define SUBJECT(id, title, how, opens) \
	const struct subject id = { \
		.name = title, \
		.about = "left out: configure has not found DPDK (Debian's libdpdk-dev)", \
		.batch = 1, \
	}
#endif

SUBJECT(subject_rte_ring, "rte_ring", "the default of many on either side", mpmc_open);
SUBJECT(subject_rte_ring_rts, "rte_ring RTS", "relaxed tails", rts_open);
SUBJECT(subject_rte_ring_hts, "rte_ring HTS", "head and tail together", hts_open);
