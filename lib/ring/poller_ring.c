#include "ring/poller_ring.h"
#include "base/direct.h"
#include "base/kernel.h"
#include "base/notice.h"
#include "base/pidfd.h"
#include "sync/gate.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RINGS_MAX 8u

enum { ID_GATE, ID_DYING, ID_DYING_TOO, ID_BELL, ID_PEER };

/* ---- this thread's ring ---- */

static void
close_peer(struct poller_ring *r)
{
	if (r->peer_fd >= 0)
		direct_close(r->peer_fd);
	r->peer_fd = -1;
	r->peer = (struct poller_peer){ 0 };
}

static void
end_ring(struct poller_ring **link, void (*end)(struct uring *))
{
	struct poller_ring *r = *link;
	*link = r->next;
	end(&r->uring);
	close_peer(r);
	free(r);
}

void
poller_ring_close_all(struct poller_ring **rings)
{
	while (*rings)
		end_ring(rings, uring_close);
}

void
poller_ring_forget_all(struct poller_ring **rings)
{
	while (*rings)
		end_ring(rings, uring_forget);
}

/* How many are left. */
static unsigned
close_ended(struct poller_ring **link)
{
	unsigned left = 0;
	while (*link) {
		if (kernel_sibling_ended((*link)->tid)) {
			end_ring(link, uring_close);
			continue;
		}
		link = &(*link)->next;
		left++;
	}
	return left;
}

/* A kernel that does not pass on the wakes of the dead would leave rings silent. */
static int
open_ring(struct poller_ring **rings, uint32_t tid, int eventfd)
{
	if (!kernel_has(KERNEL_PENDING_RULE) || !kernel_has(KERNEL_URING))
		return -ENOSYS;
	if (close_ended(rings) >= RINGS_MAX)
		return -EBUSY;
	struct poller_ring *r = malloc(sizeof *r);
	if (!r)
		return -ENOMEM;
	*r = (struct poller_ring){ .next = *rings, .tid = tid, .peer_fd = -1 };
	int rc = uring_open(&r->uring, eventfd);
	if (rc)
		free(r);
	else
		*rings = r;
	return rc;
}

static struct poller_ring **
find(struct poller_ring **link, uint32_t tid)
{
	while (*link && (*link)->tid != tid)
		link = &(*link)->next;
	return link;
}

/* ---- watching ---- */

/*
 * What has told is read off, so that the next to tell raises the eventfd again. Who tells meanwhile
 * has changed the object before the look that follows. What the kernel did not take the last time
 * is offered again; until it takes it this ring adds nothing, and does not count as watching.
 */
static int
flush(struct poller_ring *r)
{
	uint32_t told;
	int rc = uring_enter(&r->uring, true, &told);
	r->watched &= ~told;
	return rc;
}

/*
 * The descriptor keeps the number from being used again, so the start time read after it was opened
 * is its process's. READY: it has ended. What is still watched of another peer may tell once, for
 * nothing.
 */
static int
follow_peer(struct poller_ring *r, const struct poller_peer *peer)
{
	if (peer->pid == r->peer.pid && peer->started == r->peer.started)
		return POLLER_TOLD;
	close_peer(r);
	r->watched &= ~(1u << ID_PEER);
	if (!peer->pid)
		return POLLER_TOLD;
	r->peer_fd = pidfd_open_pid(peer->pid);
	if (r->peer_fd < 0)
		return r->peer_fd == -ESRCH ? POLLER_READY : POLLER_UNTOLD;
	uint64_t started = kernel_start_time(peer->pid);
	if (started != peer->started) {
		close_peer(r);
		return started ? POLLER_READY : POLLER_UNTOLD;
	}
	r->peer = *peer;
	return POLLER_TOLD;
}

static bool
is_missing(struct poller_ring *r, unsigned id)
{
	bool missing = !(r->watched & 1u << id);
	r->watched |= 1u << id;
	return missing;
}

/* What was watched already and has told since counts as well. */
static int
submit(struct poller_ring *r, const struct poller_object *o, uint32_t bell)
{
	uint32_t told;
	if (is_missing(r, ID_GATE))
		uring_add_futex(&r->uring, ID_GATE, o->gate, GATE_ARMED, false);
	for (unsigned i = 0; i < 2; i++)
		if (o->dying[i] && is_missing(r, ID_DYING + i))
			uring_add_futex(&r->uring, ID_DYING + i, o->dying[i], load_relaxed(o->dying[i]),
			                true);
	if (o->bell && is_missing(r, ID_BELL))
		uring_add_futex(&r->uring, ID_BELL, o->bell, bell, true);
	if (r->peer_fd >= 0 && is_missing(r, ID_PEER))
		uring_add_pollable(&r->uring, ID_PEER, r->peer_fd);
	int rc = uring_enter(&r->uring, false, &told);
	r->watched &= ~told;
	if (rc)
		return rc;
	return told ? POLLER_READY : POLLER_TOLD;
}

static int
watch(struct poller_ring *r, const struct poller_object *o)
{
	struct poller_peer peer = { 0 };
	gate_arm(o->gate, o->arena->flags & ARENA_MEMBARRIER);
	uint32_t bell = o->bell ? load_acquire(o->bell) : 0;
	int answer = o->look(o, &peer);
	if (answer == POLLER_TOLD && load_relaxed(o->polled) == POLLED_BY_MANY)
		answer = POLLER_UNTOLD;
	int followed = answer == POLLER_READY ? answer : follow_peer(r, &peer);
	if (followed == POLLER_READY)
		return POLLER_READY;
	int rc = submit(r, o, bell);
	if (rc != POLLER_TOLD)
		return rc;
	return followed > answer ? followed : answer;
}

/* It is another thread's, ended since, that had the same number; or forgot what had told. */
static bool
is_useless(int rc)
{
	return rc == -EEXIST || rc == -EBADR;
}

int
poller_ring_watch(struct poller_ring **rings, const struct poller_object *o, int eventfd)
{
	uint32_t tid = (uint32_t)kernel_tid();
	struct poller_ring **mine = find(rings, tid);
	int rc = *mine ? flush(*mine) : open_ring(mine = rings, tid, eventfd);
	if (is_useless(rc)) {
		end_ring(mine, uring_close);
		rc = open_ring(mine = rings, tid, eventfd);
	}
	return rc ? rc : watch(*mine, o);
}
