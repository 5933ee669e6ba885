/* The public calls of maps, and how they tell of their progress. */
#include "base/clock.h"
#include "base/error.h"
#include "pool/callback.h"
#include "pool/map.h"
#include "pool/progress.h"
#include <string.h>

#define TELL_NS INT64_C(50000000)

static int
check(const struct shoal_pool *p, const struct map_errand *e)
{
	int rc = pool_check(p, e->call);
	if (rc < 0)
		return rc;
	if (!e->fn)
		return fail(-EINVAL, "%s: no function", e->call);
	if (e->count && ((!e->in && e->in_bytes) || (!e->out && e->out_bytes)))
		return fail(-EINVAL, "%s: %s is NULL, and its items have a length", e->call,
		            e->in || !e->in_bytes ? "out" : "in");
	if (e->options.timeout < 0)
		return fail(-EINVAL, "%s: a timeout below 0", e->call);
	for (size_t i = 0; i < sizeof e->options.reserved_ / sizeof *e->options.reserved_; i++)
		if (e->options.reserved_[i])
			return fail(-EINVAL, "%s: reserved_ of the options is not zero", e->call);
	return 0;
}

/* Holds of a result that was not begun: the pool's and the handle's. */
static void
never_mind(struct shoal_result *r)
{
	result_drop(r);
	result_drop(r);
}

/* ---- map ---- */

static void
tell(const struct map_errand *e, size_t done, size_t *told)
{
	if (done == *told)
		return;
	*told = done;
	progress_tell(e->options.progress, e->options.progress_arg, done, e->count,
	              e->result->map->began);
}

/* What is taken in meanwhile has no memory to count in: all of its items have ended. */
static size_t
count_done(struct shoal_pool *p, const struct map *m)
{
	pthread_mutex_lock(&p->lock);
	size_t done = p->maps[m->index] == m ? map_items_done(p, m) : m->count;
	pthread_mutex_unlock(&p->lock);
	return done;
}

static int
wait_for(struct shoal_pool *p, const struct map_errand *e, struct shoal_result *r, size_t *told)
{
	for (;;) {
		int64_t slice = e->options.progress ? clock_sooner(CLOCK_NEVER, TELL_NS) : CLOCK_NEVER;
		int rc = result_await(r, e->call, slice, false);
		if (rc != -ETIMEDOUT)
			return rc;
		size_t done = count_done(p, r->map);
		tell(e, done < e->count ? done : *told, told);
	}
}

/* Interrupted: what runs goes on, into memory of the pool, or of the options' arena. */
static void
withdraw(struct shoal_pool *p, struct shoal_result *r)
{
	if (result_take_this(p, r)) {
		map_stop(p, r->map);
		result_fail(r, -ECANCELED, NULL);
		result_ready(r);
		return;
	}
	while (load_acquire(&r->state) != RESULT_READY)
		futex_wait(&r->state, load_acquire(&r->state), clock_now() + FUTEX_SLICE_NS);
}

static ssize_t
run(struct shoal_pool *p, struct map_errand *e)
{
	size_t told = 0;
	struct shoal_result *r = e->result = result_new(p);
	if (!r)
		return -ENOMEM;
	int rc = map_begin(p, e);
	if (rc < 0) {
		never_mind(r);
		return rc;
	}
	rc = wait_for(p, e, r, &told);
	if (rc < 0)
		withdraw(p, r);
	ssize_t failed = rc < 0 ? rc : r->length;
	if (rc == 0 && r->code < 0) {
		fail(r->code, "%s", r->text ? r->text : shoal_strerror(r->code));
		if (!r->whole)
			failed = r->code;
	}
	if (failed >= 0)
		tell(e, e->count, &told);
	result_drop(r);
	return failed;
}

ssize_t
shoal_pool_map(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes, void *out,
               size_t out_bytes, size_t count, const shoal_map_options *options)
{
	static const shoal_map_options none;
	struct map_errand e = { .call = "pool map", .fn = fn, .in = in, .in_bytes = in_bytes,
		                    .out = out, .out_bytes = out_bytes, .count = count,
		                    .options = options ? *options : none };
	int rc = check(p, &e);
	if (rc < 0)
		return rc;
	if (pool_in_callback(p))
		return fail(-EDEADLK, "pool map: in a callback of this pool");
	if (count)
		return run(p, &e);
	pthread_mutex_lock(&p->lock);
	rc = pool_open(p, e.call);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- map_async ---- */

/* A map of nothing has ended before it begins. */
static int
begin_empty(struct shoal_pool *p, const struct map_errand *e)
{
	struct shoal_result *r = e->result;
	pthread_mutex_lock(&p->lock);
	int rc = pool_open(p, e->call);
	if (rc == 0)
		result_count(p, r);
	pthread_mutex_unlock(&p->lock);
	if (rc < 0)
		return rc;
	r->data = e->out;
	r->borrowed = true;
	result_deliver(r);
	return 0;
}

int
shoal_pool_map_async(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes, void *out,
                     size_t out_bytes, size_t count, const shoal_map_options *options,
                     shoal_done_fn *done, void *arg, shoal_result **result)
{
	static const shoal_map_options none;
	struct map_errand e = { .call = "pool map_async", .fn = fn, .in = in, .in_bytes = in_bytes,
		                    .out = out, .out_bytes = out_bytes, .count = count, .tell = true,
		                    .options = options ? *options : none };
	if (result)
		*result = NULL;
	int rc = check(p, &e);
	if (rc < 0)
		return rc;
	struct shoal_result *r = e.result = result_new(p);
	if (!r)
		return -ENOMEM;
	r->done = done;
	r->arg = arg;
	r->called = done || e.options.progress;
	if (result)
		*result = r;
	rc = count ? map_begin(p, &e) : begin_empty(p, &e);
	if (rc < 0) {
		never_mind(r);
		if (result)
			*result = NULL;
		return rc;
	}
	if (!result)
		result_drop(r);
	if (e.options.progress)
		callback_wake(p);
	return 0;
}

/* ---- progress of map_async ---- */

/* The next one whose items have gone on, held. */
static struct map *
one_to_tell(struct shoal_pool *p, unsigned *from, bool *any, size_t *done)
{
	struct map *found = NULL;
	pthread_mutex_lock(&p->lock);
	for (; *from < POOL_JOBS && !found; ++*from) {
		struct map *m = p->maps[*from];
		if (!m || !m->progress)
			continue;
		*any = true;
		*done = map_items_done(p, m);
		if (*done == m->told || *done == m->job->count)
			continue;
		fetch_add_seq_cst(&m->result->references, 1);
		found = m;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

int64_t
map_progress(struct shoal_pool *p)
{
	bool any = false;
	size_t done;
	/* Each of them once: items may end faster than their number is told. */
	unsigned from = 0;
	for (struct map *m; (m = one_to_tell(p, &from, &any, &done));) {
		m->told = done;
		if (!load_relaxed(&m->result->dropped) && !load_relaxed(&p->mute))
			progress_tell(m->progress, m->progress_arg, done, m->count, m->began);
		result_drop(m->result);
	}
	return any ? clock_sooner(CLOCK_NEVER, TELL_NS) : CLOCK_NEVER;
}

/* The map's memory may be gone; what it counted is here. */
void
map_progress_last(struct map *m)
{
	if (m->result->whole && m->told != m->count)
		progress_tell(m->progress, m->progress_arg, m->count, m->count, m->began);
}
