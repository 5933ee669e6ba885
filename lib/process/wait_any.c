/*
 * shoal_wait: any number of objects at once, of any kinds (waitable.h).
 *
 * First everything is looked at, by memory alone, and descriptors and processes by one poll: where
 * something is ready, or the time is 0, nothing else is done. Then, by what is to be waited for:
 *
 *	words   where each item has words that tell and all of them fit: one futex_waitv, beside the
 *	        word of shoal_thread_interrupt. It needs nothing but memory, leaves nothing behind, and
 *	        costs what a get's own sleep costs; two dozen queues, thirty pipes, sixty events
 *	polls   where a process or a descriptor is among them, or the words are too many: one poll, in
 *	        which the objects have their own descriptors (ring/poller.h), made once for each object
 *	        and kept. Interrupts are looked for every 10 ms, as in shoal_process_join. From then on
 *	        the objects say that they are polled, and all who sleep on them look every 5 ms; so this
 *	        is not the way where words do
 *
 * Before it sleeps a thread looks a few times more, with pauses: an answer that is on its way comes
 * sooner than a wake.
 *
 * Crash points: one that waits holds nothing, and its record names an object only while it is
 * looked at. A wake that came here and was meant for another one is passed on after each sleep; one
 * who is killed in between names the first such word by list_op_pending, and other sleepers look
 * every 50 ms.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/pollset.h"
#include "process/waitable.h"
#include "sync/gate.h"
#include "sync/robust.h"
#include <stdlib.h>
#include <string.h>

#define INTERRUPT_SLICE_NS INT64_C(10000000)
#define ON_STACK 16u
/* A futex wake takes about as long as this many pauses, of which a look is two. */
#define SPIN_PAUSES 320u
#define ROUND_PAUSES 16u
#define YIELDS 8u

struct waiting {
	shoal_waitable *items; /* the caller's */
	struct waitable *all;
	struct pollfd *polls;
	bool *ready;
	size_t count;
	struct shoal_thread *thread;
	int64_t deadline;
	size_t polled; /* items that have no look */
	bool barrier;
};

/* ---- looking ---- */

/* How many are ready; those without a look are as they were. `sleep` is filled anew. */
static size_t
look(struct waiting *w, struct waitable_sleep *sleep)
{
	size_t n = 0;
	sleep->count = 0;
	sleep->full = sleep->sliced = false;
	sleep->pending = NULL;
	for (size_t i = 0; i < w->count; i++) {
		struct waitable *item = &w->all[i];
		if (item->kind->look)
			w->ready[i] = item->kind->look(item, sleep);
		n += w->ready[i];
	}
	return n;
}

static int
bad_fd(const struct waiting *w, size_t index)
{
	return fail(-EBADF, "shoal_wait: item %zu of %zu: %d is no open descriptor", index, w->count,
	            w->polls[index].fd);
}

/*
 * What poll told: how many are ready, or -EBADF. An object's descriptor may be readable for
 * nothing.
 */
static ssize_t
heed(struct waiting *w)
{
	ssize_t n = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct waitable *item = &w->all[i];
		short told = w->polls[i].revents;
		bool object = item->kind->look != NULL;
		if (!object && told & POLLNVAL)
			return bad_fd(w, i);
		if (object && (told || w->polls[i].fd < 0))
			w->ready[i] = item->kind->look(item, NULL);
		else
			w->ready[i] = !object && told;
		n += w->ready[i];
	}
	return n;
}

static ssize_t
poll_all(struct waiting *w, int64_t deadline)
{
	int rc = pollset_wait(w->polls, w->count, deadline);
	return rc < 0 ? fail(rc, "shoal_wait: poll: %s", strerror(-rc)) : rc;
}

/* The processes and descriptors alone: an entry of -1 is passed by. */
static ssize_t
look_at_fds(struct waiting *w)
{
	for (size_t i = 0; i < w->count; i++) {
		struct waitable *item = &w->all[i];
		int fd = item->kind->look ? -1 : item->kind->fd(item);
		w->polls[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	ssize_t n = poll_all(w, 0);
	for (size_t i = 0; n >= 0 && i < w->count; i++) {
		if (w->polls[i].revents & POLLNVAL)
			return bad_fd(w, i);
		if (!w->all[i].kind->look)
			w->ready[i] = w->polls[i].revents != 0;
	}
	return n;
}

static ssize_t
look_first(struct waiting *w, struct waitable_sleep *sleep)
{
	ssize_t rc = w->polled ? look_at_fds(w) : 0;
	return rc < 0 ? rc : (ssize_t)look(w, sleep);
}

static size_t
spin(struct waiting *w, struct waitable_sleep *sleep)
{
	size_t n = 0, rounds = SPIN_PAUSES / (ROUND_PAUSES + 2 * w->count);
	if (kernel_cpus_online() == 1)
		rounds = 0;
	for (size_t i = 0; i < rounds + YIELDS && !n; i++) {
		for (uint32_t k = 0; i < rounds && k < ROUND_PAUSES; k++)
			cpu_relax();
		if (i >= rounds)
			kernel_yield();
		n = look(w, sleep);
	}
	return n;
}

/* The sentence of the kind, behind which item it is about. */
static int
bad_item(const struct waiting *w, size_t index, int rc)
{
	char why[256];
	snprintf(why, sizeof why, "%s", shoal_error());
	return fail(rc, "shoal_wait: item %zu of %zu: %s", index, w->count, why);
}

/* ---- asleep ---- */

static int
interrupted(void)
{
	return fail_quiet(-ECANCELED, "the wait was interrupted by shoal_thread_interrupt");
}

static void
arm(struct waiting *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->all[i].kind->arm)
			w->all[i].kind->arm(&w->all[i]);
	fence_seq_cst();
	if (w->barrier)
		gate_barrier(true);
}

static size_t
look_woken(struct waiting *w, struct waitable_sleep *sleep)
{
	size_t n = look(w, sleep);
	for (size_t i = 0; i < w->count; i++)
		if (w->all[i].kind->woken)
			w->all[i].kind->woken(&w->all[i], w->ready[i]);
	return n;
}

/* One sleep. Passes on what it was told, whatever ended it. */
static int
sleep_on(struct waiting *w, struct waitable_sleep *s)
{
	int64_t until = s->sliced ? clock_sooner(w->deadline, FUTEX_SLICE_NS) : w->deadline;
	int rc = gate_sleep_among(w->thread, s->list, s->count, until);
	return rc == -ETIMEDOUT && until < w->deadline ? 0 : rc;
}

/*
 * How many are ready; 0 after the deadline, also where wakes that tell nothing never cease;
 * -ECANCELED. -E2BIG: the words are too many.
 */
static ssize_t
wait_by_words(struct waiting *w, struct waitable_sleep *s)
{
	for (;;) {
		arm(w);
		size_t n = look(w, s);
		if (n)
			return (ssize_t)n;
		if (s->full)
			return -E2BIG;
		word32 *pending = s->pending;
		void *old = pending ? robust_pending_set(w->thread, pending) : NULL;
		int rc = sleep_on(w, s);
		n = look_woken(w, s);
		if (pending)
			robust_pending_restore(w->thread, old);
		if (rc == -ECANCELED)
			return interrupted();
		if (n || rc || clock_now() >= w->deadline)
			return (ssize_t)n;
	}
}

/* Whether there is one for each of them. */
static bool
open_fds(struct waiting *w)
{
	bool all = true;
	for (size_t i = 0; i < w->count; i++) {
		struct waitable *item = &w->all[i];
		int fd = item->kind->fd ? item->kind->fd(item) : -1;
		w->polls[i] = (struct pollfd){ .fd = fd < 0 ? -1 : fd, .events = POLLIN };
		all &= fd >= 0;
	}
	return all;
}

static ssize_t
wait_by_polls(struct waiting *w)
{
	bool all = open_fds(w);
	for (;;) {
		if (thread_interrupted(w->thread))
			return interrupted();
		int64_t slice = all ? INTERRUPT_SLICE_NS : FUTEX_SLICE_NS;
		int64_t until = clock_sooner(w->deadline, slice);
		ssize_t n = poll_all(w, until);
		if (n >= 0)
			n = heed(w);
		if (n || clock_now() >= w->deadline)
			return n;
	}
}

static int
may_sleep(const struct waiting *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct waitable *item = &w->all[i];
		int rc = item->kind->may_sleep ? item->kind->may_sleep(item) : 0;
		if (rc < 0)
			return bad_item(w, i, rc);
	}
	return 0;
}

static ssize_t
wait_for_one(struct waiting *w, shoal_time timeout)
{
	struct waitable_sleep sleep;
	ssize_t n = look_first(w, &sleep);
	if (n || timeout <= 0)
		return n;
	w->deadline = clock_deadline(timeout);
	n = may_sleep(w);
	if (n < 0)
		return n;
	if (thread_interrupted(w->thread))
		return interrupted();
	n = w->polled ? 0 : (ssize_t)spin(w, &sleep);
	if (n)
		return n;
	n = w->polled ? -E2BIG : wait_by_words(w, &sleep);
	return n == -E2BIG ? wait_by_polls(w) : n;
}

/* ---- the call ---- */

static void
end(struct waiting *w, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (w->all[i].kind->end)
			w->all[i].kind->end(&w->all[i]);
}

static int
begin_one(struct waiting *w, size_t i)
{
	struct waitable *item = &w->all[i];
	*item = (struct waitable){ .kind = waitable_kind_of(w->items[i].kind) };
	if (!item->kind)
		return fail(-EINVAL, "shoal_wait: item %zu of %zu is of no kind that there is: %u", i,
		            w->count, w->items[i].kind);
	if (w->items[i].kind != WAITABLE_FD && !w->items[i].on.object)
		return fail(-EINVAL, "shoal_wait: item %zu of %zu: the %s is NULL", i, w->count,
		            item->kind->noun);
	if (w->items[i].kind == WAITABLE_FD)
		item->on.fd = w->items[i].on.fd;
	else
		item->on.object = w->items[i].on.object;
	int rc = item->kind->begin(item);
	if (rc < 0)
		return bad_item(w, i, rc);
	w->ready[i] = false;
	w->polled += !item->kind->look;
	w->barrier |= item->barrier;
	return 0;
}

static ssize_t
wait_in(struct waiting *w, shoal_time timeout)
{
	for (size_t i = 0; i < w->count; i++) {
		int rc = begin_one(w, i);
		if (rc < 0) {
			end(w, i);
			return rc;
		}
	}
	ssize_t n = wait_for_one(w, timeout);
	end(w, w->count);
	for (size_t i = 0; n >= 0 && i < w->count; i++)
		w->items[i].ready = w->ready[i];
	return n;
}

static ssize_t
wait_with_memory(struct waiting *w, shoal_time timeout)
{
	w->all = malloc(w->count * (sizeof *w->all + sizeof *w->polls + sizeof *w->ready));
	if (!w->all)
		return fail(-ENOMEM, "shoal_wait: no memory for %zu items", w->count);
	w->polls = (struct pollfd *)(w->all + w->count);
	w->ready = (bool *)(w->polls + w->count);
	ssize_t n = wait_in(w, timeout);
	free(w->all);
	return n;
}

int
shoal_wait(shoal_waitable *items, size_t count, shoal_time timeout)
{
	struct waitable all[ON_STACK];
	struct pollfd polls[ON_STACK];
	bool ready[ON_STACK];
	struct waiting w = { .items = items, .all = all, .polls = polls, .ready = ready,
		             .count = count, .thread = thread_self() };
	if (!count)
		return 0;
	if (!items || count > INT32_MAX)
		return fail(-EINVAL, "shoal_wait: items is %p, and count %zu", (void *)items, count);
	if (!w.thread)
		return fail(-ENOMEM, "shoal_wait: no memory for this thread's record");
	return (int)(count <= ON_STACK ? wait_in(&w, timeout) : wait_with_memory(&w, timeout));
}
