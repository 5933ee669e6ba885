/* The next result of an iterator. */
#include "base/clock.h"
#include "base/error.h"
#include "pool/progress.h"
#include "pool/results.h"
#include "sync/gate.h"
#include <string.h>

/* A batch that is READY and next in turn, taken off the lists; NULL: none yet. */
static struct shoal_result *
next_ready(struct shoal_results *it)
{
	pthread_mutex_lock(&it->lock);
	struct shoal_result *r = it->ordered ? it->first : it->ready;
	if (r && load_acquire(&r->state) != RESULT_READY)
		r = NULL;
	if (r && !it->ordered)
		it->ready = r->next;
	pthread_mutex_unlock(&it->lock);
	if (r)
		results_take_out(it, r);
	return r;
}

static int
sleep_until_ready(struct shoal_results *it, uint32_t seen, shoal_time timeout, int64_t deadline)
{
	struct shoal_thread *t = thread_self();
	struct futex_watch watch = { &it->changes, seen };
	if (timeout <= 0)
		return fail_quiet(-EAGAIN, "the next result is not ready");
	if (pool_in_callback(it->pool))
		return fail(-EDEADLK, "results next: in a callback of this pool");
	if (!t)
		return fail(-ENOMEM, "no memory for this thread's record");
	int rc = gate_sleep(t, &watch, 1, deadline);
	if (rc == -ECANCELED)
		return fail_quiet(rc, "results next was interrupted by shoal_thread_interrupt");
	return rc < 0 ? fail_quiet(rc, "the next result was not ready in time") : 0;
}

enum found { FOUND_BATCH, FOUND_END, FOUND_UNSENT };

/* BATCH: `current` is there. UNSENT: all that was sent has been given, and no more will be. */
static int
find_batch(struct shoal_results *it, shoal_time timeout)
{
	int64_t deadline = clock_deadline(timeout);
	while (!it->current) {
		uint32_t seen = load_seq_cst(&it->changes);
		uint64_t taken = load_relaxed(&it->taken);
		if (taken == it->count)
			return FOUND_END;
		if (taken >= load_acquire(&it->unsent))
			return FOUND_UNSENT;
		int rc = results_feed(it, timeout <= 0 ? 0 : deadline);
		it->current = next_ready(it);
		it->current_at = 0;
		if (it->current)
			return FOUND_BATCH;
		if (taken >= load_acquire(&it->unsent))
			continue;
		if (!rc || it->first)
			rc = sleep_until_ready(it, seen, timeout, deadline);
		if (rc < 0)
			return rc;
	}
	return FOUND_BATCH;
}

static void
advance(struct shoal_results *it)
{
	struct shoal_result *r = it->current;
	store_relaxed(&it->taken, load_relaxed(&it->taken) + 1);
	if (++it->current_at < r->items)
		return;
	it->current = NULL;
	result_drop(r);
}

static int
give_failure(struct shoal_results *it, int code)
{
	const struct shoal_result *r = it->current;
	bool own = !r->whole || r->text_of == it->current_at + 1;
	int rc = fail(code, "%s", own && r->text && *r->text ? r->text : shoal_strerror(code));
	advance(it);
	return rc;
}

static int
give_unsent(struct shoal_results *it, size_t *index)
{
	struct shoal_pool *p = it->pool;
	*index = load_relaxed(&it->taken);
	store_relaxed(&it->taken, *index + 1);
	pthread_mutex_lock(&p->lock);
	int rc = fail(p->broken ? p->broken : -ECANCELED, "%s", p->reason);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static ssize_t
give(struct shoal_results *it, size_t *index, void *out, size_t out_bytes)
{
	const struct shoal_result *r = it->current;
	size_t at = it->current_at;
	*index = r->index + at;
	if (!r->whole)
		return give_failure(it, r->code);
	const struct answer *answers = r->data;
	int64_t value = answers[at].value;
	if (value < 0)
		return give_failure(it, (int)value);
	if ((size_t)value > out_bytes)
		return fail_small((size_t)value, "the result has %lld bytes, the buffer %zu",
		                  (long long)value, out_bytes);
	if (value)
		memcpy(out, (const char *)(answers + r->items) + at * it->out_bytes, (size_t)value);
	advance(it);
	return (ssize_t)value;
}

ssize_t
shoal_results_next(shoal_results *it, size_t *index, void *out, size_t out_bytes,
                   shoal_time timeout)
{
	size_t unused;
	size_t *which = index ? index : &unused;
	if (!it)
		return fail(-EINVAL, "results next: the iterator is NULL");
	*which = SIZE_MAX;
	thread_self();
	if (it->generation != thread_generation())
		return fail(-EPERM, "results next: the iterator is another process's");
	if (!out && out_bytes)
		return fail(-EINVAL, "results next: out is NULL, and %zu bytes long", out_bytes);
	int rc = find_batch(it, timeout);
	if (rc < 0)
		return rc;
	if (rc != FOUND_END) {
		uint64_t taken = load_relaxed(&it->taken);
		ssize_t given = rc == FOUND_BATCH ? give(it, which, out, out_bytes)
		                                  : give_unsent(it, which);
		if (load_relaxed(&it->taken) > taken)
			progress_tell(it->progress, it->progress_arg, taken + 1, it->count, it->began);
		return given;
	}
	*which = it->count;
	return fail_quiet(-EPIPE, "the iterator has given all results");
}
