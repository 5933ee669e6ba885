/* The ring of a source of the poller, where the kernel does not take what is to be watched. */
#include "ring/poller_ring.h"
#include "base/kernel.h"
#include "base/notice.h"
#include "pipe_common.h"
#include "sync/gate.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct poller_ring *rings;
static bool refuses;
static int aside = -1;

/* From here on the ring's descriptor is no ring's: the kernel takes nothing. */
static void
refuse(void)
{
	int other = open("/dev/null", O_RDONLY);
	aside = dup(rings->uring.fd);
	REQUIRE(other >= 0 && aside >= 0);
	REQUIRE_EQ(dup2(other, rings->uring.fd), rings->uring.fd);
	close(other);
}

static void
accept_again(void)
{
	REQUIRE_EQ(dup2(aside, rings->uring.fd), rings->uring.fd);
	close(aside);
	refuses = false;
}

static enum poller_answer
look(const struct poller_object *o, struct poller_peer *peer)
{
	(void)o, (void)peer;
	if (refuses)
		refuse();
	return POLLER_TOLD;
}

static void
expect_told(word32 *gate, int event)
{
	REQUIRE(!notice_clear(event));
	gate_open_all(gate);
	REQUIRE(notice_clear(event));
}

Test(poller_ring, what_the_kernel_did_not_take_is_watched_by_the_next_call)
{
	struct world w = world_make(0, 0);
	struct gates {
		word32 gate, dying, bell, polled;
	} *g = shared(sizeof *g);
	struct poller_object o = { .arena = w.arena, .gate = &g->gate, .dying = { &g->dying },
		                       .bell = &g->bell, .polled = &g->polled, .look = look };
	int event = notice_open();
	REQUIRE(event >= 0);
	for (int i = 0; kernel_has(KERNEL_URING) && i < 4; i++) {
		REQUIRE_EQ(poller_ring_watch(&rings, &o, event), POLLER_TOLD);
		expect_told(&g->gate, event);
		refuses = true;
		REQUIRE(poller_ring_watch(&rings, &o, event) < 0);
		REQUIRE(poller_ring_watch(&rings, &o, event) < 0);
		accept_again();
		REQUIRE_EQ(poller_ring_watch(&rings, &o, event), POLLER_TOLD);
		expect_told(&g->gate, event);
	}
	poller_ring_close_all(&rings);
	notice_close(event);
	world_end(w);
}
