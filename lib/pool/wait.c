/*
 * How a thread waits for a result. One without a callback is taken in by whoever waits for it, who
 * sleeps on the task's own word: two wakes from the call to the result. One with a callback is
 * READY when that has returned, and nothing else tells.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/notice.h"
#include "pool/map.h"
#include "pool/slot.h"
#include "process/waitable.h"
#include "sync/gate.h"

/* A wake takes about as long as this many pauses. */
#define SPIN_PAUSES 200u

static bool
ready(const struct shoal_result *r)
{
	return load_acquire(&r->state) == RESULT_READY;
}

/* Looks where its end shows first. */
static bool
take_in(struct shoal_pool *p, struct shoal_result *r)
{
	if (ready(r))
		return true;
	if (r->map)
		map_harvest(p, r->map);
	else
		slot_harvest(p, id_index(r->id));
	return ready(r);
}

/*
 * The word that a worker changes at the end, told that somebody sleeps. Who waited for what was
 * here before comes late and takes the place of one who waits for what is here now, whom the worker
 * would not find: that one announces itself anew.
 */
static struct futex_watch
announce(struct shoal_pool *p, struct shoal_result *r)
{
	if (r->map)
		return (struct futex_watch){ map_complete(r->map), 0 };
	struct slot *s = &p->slots[id_index(r->id)];
	uint32_t tag = id_tag(r->id), seen = load_seq_cst(&s->wait);
	if (seen != tag && cas32_seq_cst(&s->wait, seen, tag) && seen)
		futex_wake(&s->wait, FUTEX_ALL);
	return (struct futex_watch){ &s->wait, tag };
}

static bool
spin(struct shoal_pool *p, struct shoal_result *r, bool direct)
{
	static word32 cpus;
	if (!load_relaxed(&cpus))
		store_relaxed(&cpus, kernel_cpus_online());
	for (unsigned i = 0; load_relaxed(&cpus) > 1 && i < SPIN_PAUSES; i++) {
		if (direct ? take_in(p, r) : ready(r))
			return true;
		cpu_relax();
	}
	return false;
}

static int
sleep_once(struct shoal_pool *p, struct shoal_result *r, bool direct, int64_t deadline)
{
	struct shoal_thread *t = thread_self();
	struct futex_watch watch[2] = { { &r->state, RESULT_AWAITED } };
	if (!t)
		return fail(-ENOMEM, "no memory for this thread's record");
	cas32_seq_cst(&r->state, RESULT_PENDING, RESULT_AWAITED);
	if (ready(r))
		return 0;
	if (direct) {
		watch[1] = announce(p, r);
		fence_seq_cst();
		if (take_in(p, r))
			return 0;
	}
	return gate_sleep(t, watch, direct ? 2 : 1, deadline);
}

static int
sleep_until(struct shoal_result *r, const char *call, bool direct, int64_t deadline)
{
	struct shoal_pool *p = r->pool;
	if (spin(p, r, direct))
		return 0;
	while (!ready(r)) {
		if (direct && take_in(p, r))
			break;
		int rc = sleep_once(p, r, direct, deadline);
		if (ready(r))
			break;
		if (rc == -ECANCELED)
			return fail(rc, "%s: interrupted by shoal_thread_interrupt", call);
		if (rc == -ETIMEDOUT)
			return fail_quiet(rc, "the task ran on to the end of the time");
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
result_await(struct shoal_result *r, const char *call, int64_t deadline, bool now)
{
	if (ready(r))
		return 0;
	bool direct = !r->called && !r->it;
	if (direct && take_in(r->pool, r))
		return 0;
	if (now)
		return fail_quiet(-EAGAIN, "the task has not ended");
	if (pool_in_callback(r->pool))
		return fail(-EDEADLK, "%s: in a callback of this pool, and the task has not ended", call);
	return sleep_until(r, call, direct, deadline);
}

/* ---- for shoal_wait ---- */

/* The collector takes it in from now on, and the result alone tells. */
static int
begin(struct waitable *w)
{
	struct shoal_result *r = w->on.object;
	if (!r)
		return fail(-EINVAL, "wait: the result is NULL");
	thread_self();
	if (r->generation != thread_generation())
		return fail(-EPERM, "wait: the result is another process's");
	struct shoal_pool *p = r->called || r->it ? NULL : result_pool(r);
	if (!p)
		return 0;
	if (r->map)
		map_tell(p, r->map);
	else
		slot_tell(p, r->id);
	pool_drop(p);
	return 0;
}

/* What would make it ready may be this very thread. */
static int
may_sleep(const struct waitable *w)
{
	struct shoal_pool *p = result_pool(w->on.object);
	if (!p)
		return 0;
	int rc = pool_in_callback(p)
	             ? fail(-EDEADLK, "in a callback of the result's pool, and the task has not ended")
	             : 0;
	pool_drop(p);
	return rc;
}

static bool
look(struct waitable *w, struct waitable_sleep *s)
{
	struct shoal_result *r = w->on.object;
	if (s)
		cas32_seq_cst(&r->state, RESULT_PENDING, RESULT_AWAITED);
	if (ready(r))
		return true;
	if (s)
		waitable_watch(s, &r->state, RESULT_AWAITED);
	return false;
}

/* Made once, and readable from the end on. */
static int
descriptor(struct waitable *w)
{
	struct shoal_result *r = w->on.object;
	uint32_t notice = load_acquire(&r->notice);
	if (notice)
		return (int)notice - 1;
	int fd = notice_open();
	if (fd < 0)
		return fail(fd, "wait: no descriptor for a result");
	if (!cas32_seq_cst(&r->notice, 0, (uint32_t)fd + 1))
		notice_close(fd);
	if (ready(r))
		notice_raise((int)load_acquire(&r->notice) - 1);
	return (int)load_acquire(&r->notice) - 1;
}

static const struct waitable_kind result_kind = {
	.noun = "result", .begin = begin, .look = look, .may_sleep = may_sleep, .fd = descriptor,
};

__attribute__((constructor)) static void
define_kind(void)
{
	waitable_define(WAITABLE_RESULT, &result_kind);
}
