/*
 * subject_queue_peer.c - queues of C++ libraries: Boost.Interprocess's between processes, and
 * oneTBB's between the threads of one, which is what sharing with nobody could cost
 */
#include "rings.h"
#include "subject.h"

#include "config.h"
#include "run.h"

#include <errno.h>

#if HAVE_BOOST
#include "queue_boost.h"

static int
boost_open(struct opening *o)
{
	for (int i = 0; i <= o->duplex; i++) {
		o->way[i] = boost_queue_open(slots_for(o->bytes), o->bytes);
		if (!o->way[i])
			return -ENOMEM;
	}
	return 0;
}
#endif

const struct subject subject_queue_boost = {
	.name = "Boost message_queue",
	.traits = SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = MEBI,
#if HAVE_BOOST
	.about = "Boost.Interprocess: message_queue::send, receive, of one priority",
	.open = boost_open,
	.send = boost_queue_send,
	.recv = boost_queue_recv,
#else
	.about = "left out: configure has not found Boost (Debian's libboost-dev) and a C++ compiler",
#endif
};

#if HAVE_TBB
#include "queue_tbb.h"

static int
tbb_open(struct opening *o)
{
	for (int i = 0; i <= o->duplex; i++) {
		o->way[i] = tbb_queue_open(slots_for(o->bytes), o->bytes);
		if (!o->way[i])
			return -ENOMEM;
	}
	return 0;
}

static bool
tbb_fits(const struct plan *p)
{
	return p->bytes == 8 || p->bytes == 64 || p->bytes == KIBI;
}
#endif

const struct subject subject_queue_tbb = {
	.name = "oneTBB (threads)",
	.traits = SUBJECT_THREADS | SUBJECT_FULL_ONLY,
	.batch = 1,
	.bytes_max = KIBI,
#if HAVE_TBB
	.about = "oneTBB: concurrent_bounded_queue::push, pop, by the threads of one process",
	.open = tbb_open,
	.fits = tbb_fits,
	.send = tbb_queue_send,
	.recv = tbb_queue_recv,
#else
	.about = "left out: configure has not found oneTBB (Debian's libtbb-dev) and a C++ compiler",
#endif
};
