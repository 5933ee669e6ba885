#include "pool/pool.h"
#include "arena/member.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/notice.h"
#include "base/signals.h"
#include "pool/map.h"
#include "pool/result.h"
#include "pool/slot.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK_LEAST (8ul << 20)

/* ---- who may use it, and whether it takes tasks ---- */

int
pool_check(const struct shoal_pool *p, const char *call)
{
	if (!p)
		return fail(-EINVAL, "%s: the pool is NULL", call);
	thread_self();
	if (p->generation != thread_generation())
		return fail(-EPERM, "%s: the pool is another process's; make one here", call);
	return 0;
}

/* Under the lock. */
int
pool_open(struct shoal_pool *p, const char *call)
{
	uint32_t now = load_relaxed(&p->phase);
	if (now == POOL_OPEN)
		return 0;
	if (p->broken)
		return fail(p->broken, "%s: the pool is broken: %s", call, p->reason);
	static const char *const state[] = {
		[POOL_CLOSED] = "is closed",
		[POOL_ENDING] = "is ending",
		[POOL_ENDED] = "has ended",
	};
	return fail(-EPIPE, "%s: the pool %s", call, state[now]);
}

/* ---- references ---- */

struct shoal_pool *
pool_hold(struct shoal_pool *p)
{
	fetch_add_seq_cst(&p->references, 1);
	return p;
}

/* Acquires against the last one's drop: what that one did to results before it is seen. */
struct shoal_pool *
pool_hold_used(struct shoal_pool *p)
{
	uint32_t had = load_acquire(&p->references);
	while (had && !cas32_seq_cst(&p->references, had, had + 1))
		had = load_acquire(&p->references);
	return had ? p : NULL;
}

/* liburcu waits under its lock. */
void
pool_await_readers(void)
{
	int old = cancel_forbid();
	synchronize_rcu();
	cancel_restore(old);
}

/* Who saw one of its results not READY may be looking at it still: pool_hold_used. */
static void
destroy(struct shoal_pool *p)
{
	map_drop_all(p);
	pool_await_readers();
	cds_lfht_destroy(p->pending, NULL);
	cds_wfcq_destroy(&p->calls_head, &p->calls_tail);
	pthread_mutex_destroy(&p->lock);
	arena_abandon(p->arena);
	if (p->kick >= 0)
		notice_close(p->kick);
	free(p->spare);
	free(p->workers);
	free(p->fds);
	free(p);
}

void
pool_drop(struct shoal_pool *p)
{
	if (fetch_add_seq_cst(&p->references, -1u) == 1)
		destroy(p);
}

/* ---- threads ---- */

static size_t
stack_bytes(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur < STACK_LEAST)
		return STACK_LEAST;
	return limit.rlim_cur;
}

/*
 * The stack is as the main thread's: a worker that the supervisor forks runs its tasks on the
 * supervisor's.
 */
int
pool_thread(struct shoal_pool *p, void *(*run)(void *))
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t old;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, stack_bytes());
	fetch_add_seq_cst(&p->references, POOL_HELPER);
	signals_block(&old);
	int rc = pthread_create(&thread, &attr, run, p);
	signals_restore(&old);
	pthread_attr_destroy(&attr);
	if (!rc)
		return 0;
	fetch_add_seq_cst(&p->references, -POOL_HELPER);
	return fail(-rc, "no thread for a pool: %s", strerror(rc));
}

void
pool_thread_begin(struct shoal_pool *p)
{
	member_begin_beyond(p->arena);
}

/*
 * The arena is left before the count falls: closed by one who waited for the threads, it is
 * unmapped at once. The pool may be gone by the wake, which takes its address alone.
 */
void
pool_thread_end(struct shoal_pool *p)
{
	member_end_beyond(p->arena);
	thread_leave();
	word32 *word = &p->references;
	if (fetch_add_seq_cst(word, -POOL_HELPER) == POOL_HELPER)
		destroy(p);
	else
		futex_wake(word, FUTEX_ALL);
}

void
pool_threads_wait(struct shoal_pool *p, int64_t deadline)
{
	uint32_t now;
	while ((now = load_seq_cst(&p->references)) >= POOL_HELPER)
		if (futex_wait(&p->references, now, deadline) == -ETIMEDOUT)
			return;
}

/* ---- what is pending ---- */

void
pool_count(struct shoal_pool *p, uint64_t more)
{
	fetch_add_seq_cst(&p->unsettled, more);
}

/* The last one wakes those who join, and the supervisor of a closed pool. */
void
pool_uncount(struct shoal_pool *p, uint64_t less)
{
	pool_hold(p);
	if (fetch_add_seq_cst(&p->unsettled, -less) == less) {
		fetch_add_seq_cst(&p->idle, 1);
		if (load_seq_cst(&p->phase) != POOL_OPEN) {
			futex_wake(&p->idle, FUTEX_ALL);
			notice_raise(p->kick);
		}
	}
	pool_drop(p);
}

shoal_time
pool_limit(shoal_time timeout)
{
	return clock_deadline(timeout) == CLOCK_NEVER ? 0 : timeout;
}

void
pool_time(struct shoal_pool *p, shoal_time timeout)
{
	uint64_t had = load_relaxed(&p->shortest);
	if (!pool_limit(timeout))
		return;
	while ((!had || (uint64_t)timeout < had) &&
	       !cas64_seq_cst(&p->shortest, had, (uint64_t)timeout))
		had = load_relaxed(&p->shortest);
	notice_raise(p->kick);
}

void
pool_settle_all(struct shoal_pool *p, int code, const char *text)
{
	for (;;) {
		struct cds_lfht_iter at;
		rcu_read_lock();
		cds_lfht_first(p->pending, &at);
		struct cds_lfht_node *node = cds_lfht_iter_get_node(&at);
		bool mine = node && !cds_lfht_del(p->pending, node);
		rcu_read_unlock();
		if (!node)
			return;
		if (!mine)
			continue;
		struct shoal_result *r = caa_container_of(node, struct shoal_result, node);
		(void)load_acquire(&r->shown);
		result_fail(r, code, text);
		result_deliver(r);
	}
}

bool
pool_end(struct shoal_pool *p, int code, bool broken, const char *text)
{
	pthread_mutex_lock(&p->lock);
	bool mine = load_relaxed(&p->phase) < POOL_ENDING;
	if (mine) {
		store_seq_cst(&p->phase, POOL_ENDING);
		p->broken = broken ? code : 0;
		snprintf(p->reason, sizeof p->reason, "%s", text);
	}
	pthread_mutex_unlock(&p->lock);
	if (!mine)
		return false;
	pool_settle_all(p, code, text);
	slot_ring(p);
	futex_wake(&p->idle, FUTEX_ALL);
	notice_raise(p->kick);
	return true;
}

/* ---- counts ---- */

int
shoal_pool_stat(const shoal_pool *pool, shoal_pool_info *out)
{
	struct shoal_pool *p = (struct shoal_pool *)(uintptr_t)pool;
	int rc = pool_check(p, "pool stat");
	if (rc < 0)
		return rc;
	if (!out)
		return fail(-EINVAL, "pool stat: out is NULL");
	/* What has ended and nobody has asked for is taken in, and so counted. */
	slot_harvest_all(p);
	map_harvest_all(p);
	*out = (shoal_pool_info){
		.workers = load_relaxed(&p->alive), .deaths = load_relaxed(&p->deaths),
	};
	map_count(p, &out->tasks_done, &out->tasks_failed);
	out->queued = slot_unbegun(p) + map_unbegun(p);
	return 0;
}
