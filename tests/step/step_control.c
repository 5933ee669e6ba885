/*
 * What the stepper must catch: a plain sequence ring and a lock without an owner, as people write
 * them. If these pass, the stepper is broken; and if a machine that was late before anything was
 * tried makes a case fail, it is too.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "step.h"

enum { PLACES = 4, BYTES = 48, TRY_MS = 30 };

struct plain_slot {
	uint64_t sequence;
	unsigned char bytes[56];
};

struct plain_ring {
	_Alignas(64) uint64_t tail;
	_Alignas(64) uint64_t head;
	_Alignas(64) struct plain_slot slot[PLACES];
	_Alignas(64) uint32_t lock;
	uint32_t guarded[2];
};

static struct plain_ring *
ring_of(struct step_world *w)
{
	return w->object[0];
}

static uint64_t
load(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static int
plain_put(struct plain_ring *r, const void *bytes)
{
	uint64_t p = load(&r->tail);
	for (;;) {
		struct plain_slot *s = &r->slot[p % PLACES];
		int64_t ahead = (int64_t)(load(&s->sequence) - p);
		if (ahead < 0)
			return -EAGAIN;
		if (ahead > 0) {
			p = load(&r->tail);
			continue;
		}
		if (!__atomic_compare_exchange_n(&r->tail, &p, p + 1, false, __ATOMIC_ACQ_REL,
		                                 __ATOMIC_ACQUIRE))
			continue;
		memcpy(s->bytes, bytes, BYTES);
		__atomic_store_n(&s->sequence, p + 1, __ATOMIC_RELEASE);
		return 0;
	}
}

static int
plain_get(struct plain_ring *r, void *bytes)
{
	uint64_t p = load(&r->head);
	for (;;) {
		struct plain_slot *s = &r->slot[p % PLACES];
		int64_t ahead = (int64_t)(load(&s->sequence) - (p + 1));
		if (ahead < 0)
			return -EAGAIN;
		if (ahead > 0) {
			p = load(&r->head);
			continue;
		}
		if (!__atomic_compare_exchange_n(&r->head, &p, p + 1, false, __ATOMIC_ACQ_REL,
		                                 __ATOMIC_ACQUIRE))
			continue;
		memcpy(bytes, s->bytes, BYTES);
		__atomic_store_n(&s->sequence, p + PLACES, __ATOMIC_RELEASE);
		return 0;
	}
}

static int
plain_wait(struct step_world *w, int (*call)(struct plain_ring *, void *), void *bytes, int64_t ns)
{
	int64_t began = step_now();
	int rc;
	while ((rc = call(ring_of(w), bytes)) == -EAGAIN && step_now() - began < ns)
		sched_yield();
	return rc;
}

static int
put_call(struct plain_ring *r, void *bytes)
{
	return plain_put(r, bytes);
}

static void
plain_setup(struct step_world *w)
{
	struct plain_ring *r =
		mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char bytes[BYTES];
	w->object[0] = r;
	step_watch(r, sizeof *r, -1);
	for (uint64_t i = 0; i < PLACES; i++)
		r->slot[i].sequence = i;
	step_fill(bytes, BYTES, step_id(STEP_SETUP, 0));
	plain_put(r, bytes);
	step_sent(w);
}

static bool
plain_send(struct step_world *w, int64_t ns)
{
	unsigned char bytes[BYTES];
	step_fill(bytes, BYTES, step_id(step_me, w->log[step_me].sent));
	int rc = plain_wait(w, put_call, bytes, ns);
	if (rc == 0)
		step_sent(w);
	return rc == 0;
}

static bool
plain_receive(struct step_world *w, int64_t ns)
{
	unsigned char bytes[BYTES];
	int rc = plain_wait(w, plain_get, bytes, ns);
	if (rc == 0)
		step_got(w, bytes, BYTES);
	return rc == 0;
}

static void
put_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = plain_put(ring_of(w), mine->buffer);
}

static void
put_after(struct step_world *w)
{
	if (step_mine(w)->result == 0)
		step_sent(w);
}

static void
put_prepare(struct step_world *w)
{
	step_fill(step_mine(w)->buffer, BYTES, step_id(step_me, 0));
}

static void
get_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = plain_get(ring_of(w), mine->buffer);
}

static void
get_after(struct step_world *w)
{
	if (step_mine(w)->result == 0)
		step_got(w, step_mine(w)->buffer, BYTES);
}

/* Round the ring, then everything out. */
static void
plain_check(struct step_world *w)
{
	for (int i = 0; i < 2 * PLACES; i++) {
		STEP_WITHIN(w, "put",
		            STEP_REQUIRE(w, plain_send(w, TRY_MS * 1000000),
		                         "a put waits for ever"));
		STEP_WITHIN(w, "get",
		            STEP_REQUIRE(w, plain_receive(w, TRY_MS * 1000000),
		                         "a get waits for ever"));
	}
	while (plain_receive(w, 0))
		;
	step_account(w, &(struct step_expect){ .lost = { 1 }, .sends = { 1 } });
}

static bool
try_get(struct step_world *w, int64_t ns)
{
	struct step_log *log = &w->log[step_me];
	plain_send(w, ns);
	while (plain_receive(w, ns)) {
		if (log->got[log->count - 1] == step_id(step_me, 0))
			return false;
	}
	return true;
}

static bool
try_put(struct step_world *w, int64_t ns)
{
	return !plain_send(w, ns);
}

static bool
try_lap(struct step_world *w, int64_t ns)
{
	for (int i = 0; i < 2 * PLACES; i++) {
		if (!plain_send(w, ns) || !plain_receive(w, ns))
			return true;
	}
	return false;
}

STEP_CASE(control, ring_put, .setup = plain_setup, .prepare = put_prepare, .op = put_op,
          .after = put_after, .check = plain_check,
          .role = { { "get", try_get }, { "put", try_put }, { "lap", try_lap } }, .control = true)
STEP_CASE(control, ring_get, .setup = plain_setup, .op = get_op, .after = get_after,
          .check = plain_check,
          .role = { { "get", try_get }, { "put", try_put }, { "lap", try_lap } }, .control = true)

/* ---- a lock that does not say who holds it ---- */

static bool
lock_take(uint32_t *lock, int64_t ns)
{
	int64_t began = step_now();
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) {
		if (step_now() - began > ns)
			return false;
		sched_yield();
	}
	return true;
}

static void
lock_setup(struct step_world *w)
{
	struct plain_ring *r =
		mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	w->object[0] = r;
	step_watch(r, sizeof *r, -1);
}

static void
lock_op(struct step_world *w)
{
	struct plain_ring *r = ring_of(w);
	if (!lock_take(&r->lock, 1000000))
		return;
	r->guarded[0]++;
	r->guarded[1]++;
	__atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
}

static void
lock_check(struct step_world *w)
{
	struct plain_ring *r = ring_of(w);
	STEP_WITHIN(w, "lock",
	            STEP_REQUIRE(w, lock_take(&r->lock, TRY_MS * 1000000),
	                         "the lock is never free"));
	STEP_REQUIRE(w, r->guarded[0] == r->guarded[1], "half of a change is left");
	__atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
}

static bool
try_lock(struct step_world *w, int64_t ns)
{
	struct plain_ring *r = ring_of(w);
	if (!lock_take(&r->lock, ns))
		return true;
	__atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
	return false;
}

STEP_CASE(control, lock, .setup = lock_setup, .op = lock_op, .check = lock_check,
          .role = { { "lock", try_lock } }, .control = true)

/* ---- the time that setting up takes is no call's ---- */

static void
slow_setup(struct step_world *w)
{
	lock_setup(w);
	STEP_WITHIN(w, "set up", usleep(30000));
}

static void
store_op(struct step_world *w)
{
	__atomic_store_n(ring_of(w)->guarded, 1, __ATOMIC_RELEASE);
}

static void
store_check(struct step_world *w)
{
	uint32_t stored;
	STEP_WITHIN(w, "load", stored = __atomic_load_n(ring_of(w)->guarded, __ATOMIC_ACQUIRE));
	STEP_REQUIRE(w, stored <= 1, "%u was never stored", stored);
}

STEP_CASE(control, slow_setup, .setup = slow_setup, .op = store_op, .check = store_check)
