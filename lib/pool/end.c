#include "pool/end.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/notice.h"
#include "pool/callback.h"
#include "pool/collector.h"
#include "pool/crew.h"
#include "pool/results.h"
#include "pool/slot.h"
#include "sync/gate.h"
#include <signal.h>
#include <stdlib.h>

#define END_NS INT64_C(1000000000)

/* ---- all pools of this process ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shoal_pool *pools;
/*
 * 1 and the thread_generation() of the process whose end is to call terminate_all; 0: none is. In a
 * child by _Fork, which no handler is told of, it is the parent's, and so are the pools.
 */
static uint32_t hooked;

static void
after_fork_child(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	pools = NULL;
	hooked = 0;
}

__attribute__((constructor)) static void
hear_of_forks(void)
{
	pthread_atfork(NULL, NULL, after_fork_child);
}

static void
enlist(struct shoal_pool *p)
{
	p->next = pools;
	p->link = &pools;
	if (pools)
		pools->link = &p->next;
	pools = p;
}

static void
delist(struct shoal_pool *p)
{
	pthread_mutex_lock(&lock);
	if (p->link) {
		*p->link = p->next;
		if (p->next)
			p->next->link = p->link;
		p->link = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* It is called once: for a pool that a later cleanup makes it is given again. */
static void
terminate_all(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	hooked = 0;
	for (struct shoal_pool *p = pools; p; p = p->next) {
		store_seq_cst(&p->mute, 1);
		pool_end(p, -ECANCELED, false, "the process ends");
	}
	for (struct shoal_pool *p = pools; p; p = p->next)
		shoal_pool_terminate(p);
	pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static int
hook(uint32_t process)
{
	if (hooked == process)
		return 0;
	if (hooked)
		pools = NULL;
	int rc = shoal_process_at_exit(terminate_all, NULL, 0);
	hooked = rc ? 0 : process;
	return rc;
}

int
end_with_process(struct shoal_pool *p)
{
	pthread_mutex_lock(&lock);
	int rc = hook(p->generation + 1);
	if (!rc)
		enlist(p);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- waiting ---- */

/* Until the word, seen before the look, has changed: 0, or why not to wait on. */
static int
sleep_on(word32 *word, uint32_t seen, int64_t deadline)
{
	struct shoal_thread *t = thread_self();
	struct futex_watch watch = { word, seen };
	return t ? gate_sleep(t, &watch, 1, deadline) : futex_wait(word, seen, deadline);
}

static int
wait_ended(struct shoal_pool *p, int64_t deadline)
{
	uint32_t now;
	while ((now = load_seq_cst(&p->phase)) != POOL_ENDED) {
		int rc = futex_wait(&p->phase, now, deadline);
		if (rc == -ETIMEDOUT)
			return rc;
	}
	return 0;
}

/* ---- the calls ---- */

int
shoal_pool_close(shoal_pool *p)
{
	int rc = pool_check(p, "pool close");
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&p->lock);
	if (load_relaxed(&p->phase) == POOL_OPEN) {
		store_seq_cst(&p->phase, POOL_CLOSED);
		/* From now on every end is taken in, also such as nobody asks for. */
		slot_want(p, 1);
	}
	pthread_mutex_unlock(&p->lock);
	slot_ring(p);
	/* The bell may be 0 already, by a worker that stands still before its wake. */
	collector_rouse(p);
	notice_raise(p->kick);
	return 0;
}

static int
join(struct shoal_pool *p, shoal_time timeout)
{
	int64_t deadline = clock_deadline(timeout);
	for (;;) {
		uint32_t idle = load_seq_cst(&p->idle), now = load_seq_cst(&p->phase);
		results_feed_all(p);
		if (now == POOL_ENDED && !load_seq_cst(&p->unsettled))
			return 0;
		if (timeout <= 0)
			return fail_quiet(-EAGAIN, "the pool still has tasks or workers");
		/* What is settled may be told by `idle`, the workers' end by `phase`. */
		struct shoal_thread *t = thread_self();
		struct futex_watch watch[2] = { { &p->phase, now }, { &p->idle, idle } };
		int rc = t ? gate_sleep(t, watch, 2, deadline) : sleep_on(&p->phase, now, deadline);
		if (rc == -ECANCELED)
			return fail_quiet(rc, "join was interrupted by shoal_thread_interrupt");
		if (rc < 0)
			return fail_quiet(rc, "the pool had tasks or workers to the end of the time");
	}
}

int
shoal_pool_join(shoal_pool *p, shoal_time timeout)
{
	int rc = pool_check(p, "pool join");
	if (rc < 0)
		return rc;
	if (pool_in_callback(p))
		return fail(-EDEADLK, "pool join: in a callback of this pool");
	if (load_seq_cst(&p->phase) == POOL_OPEN)
		return fail(-EINVAL, "pool join: close or terminate the pool first");
	rc = join(p, timeout);
	if (rc == 0 && p->broken)
		return fail(p->broken, "pool join: the pool broke: %s", p->reason);
	return rc;
}

int
shoal_pool_terminate(shoal_pool *p)
{
	int rc = pool_check(p, "pool terminate");
	if (rc < 0)
		return rc;
	pool_end(p, -ECANCELED, false, "the pool was terminated");
	if (wait_ended(p, clock_deadline(END_NS)) < 0)
		return fail(-ETIMEDOUT, "pool terminate: the kernel keeps a worker that was killed");
	return 0;
}

void
shoal_pool_destroy(shoal_pool *p)
{
	if (!p || pool_check(p, "pool destroy") < 0)
		return;
	if (pool_in_callback(p)) {
		fail(-EDEADLK, "pool destroy: in a callback of this pool");
		return;
	}
	shoal_pool_terminate(p);
	delist(p);
	pool_threads_wait(p, clock_deadline(END_NS));
	pool_drop(p);
}

/* An interrupt is for a wait of the caller's, and that one has to come to its end. */
static void
join_killed(shoal_process *worker)
{
	bool interrupted = false;
	while (shoal_process_join(worker, SHOAL_FOREVER) == -ECANCELED)
		interrupted = true;
	if (interrupted)
		shoal_thread_interrupt(shoal_thread_self());
}

/* No thread of the pool may touch its workers while this one does. */
void
end_unborn(struct shoal_pool *p)
{
	char sentence[TEXT_BYTES], how[TEXT_BYTES];
	snprintf(sentence, sizeof sentence, "%s", shoal_error());
	store_seq_cst(&p->phase, POOL_ENDING);
	bool supervised = p->supervised;
	if (supervised) {
		notice_raise(p->kick);
		wait_ended(p, CLOCK_NEVER);
	} else if (p->workers) {
		crew_signal(p, SIGKILL);
		for (uint32_t i = 1; i <= p->head->workers; i++) {
			if (!p->workers[i].process)
				continue;
			join_killed(p->workers[i].process);
			crew_bury(p, i, how, sizeof how);
		}
		callback_stop(p);
		slot_ring(p);
	}
	pool_threads_wait(p, CLOCK_NEVER);
	pool_drop(p);
	fail(0, "%s", sentence);
}
