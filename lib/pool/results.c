#include "pool/results.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "pool/slot.h"
#include "sync/gate.h"
#include <stdlib.h>
#include <string.h>

#define WINDOW_CHUNKS 4u

/* ---- lists ---- */

static void
link_last(struct shoal_results *it, struct shoal_result *r)
{
	pthread_mutex_lock(&it->lock);
	r->before = it->last;
	if (it->last)
		it->last->after = r;
	else
		it->first = r;
	it->last = r;
	pthread_mutex_unlock(&it->lock);
}

void
results_take_out(struct shoal_results *it, struct shoal_result *r)
{
	pthread_mutex_lock(&it->lock);
	if (r->before)
		r->before->after = r->after;
	else
		it->first = r->after;
	if (r->after)
		r->after->before = r->before;
	else
		it->last = r->before;
	pthread_mutex_unlock(&it->lock);
}

void
results_note(struct shoal_results *it, struct shoal_result *r)
{
	pthread_mutex_lock(&it->lock);
	if (!it->ordered) {
		if (it->ready)
			it->ready_last->next = r;
		else
			it->ready = r;
		it->ready_last = r;
	}
	pthread_mutex_unlock(&it->lock);
}

void
results_drop(struct shoal_results *it)
{
	fetch_add_seq_cst(&it->changes, 1);
	futex_wake(&it->changes, FUTEX_ALL);
	if (fetch_add_seq_cst(&it->references, -1u) != 1)
		return;
	struct shoal_pool *p = it->pool;
	pthread_mutex_destroy(&it->feeding);
	pthread_mutex_destroy(&it->lock);
	free(it);
	pool_drop(p);
}

/* ---- feeding ---- */

static size_t
next_batch(const struct shoal_results *it)
{
	size_t left = it->count - it->begun;
	return left < it->chunk ? left : it->chunk;
}

static int
send_batch(struct shoal_results *it, int64_t deadline)
{
	struct shoal_pool *p = it->pool;
	size_t items = next_batch(it);
	struct shoal_result *r = result_new(p);
	if (!r)
		return -ENOMEM;
	r->it = it;
	r->items = items;
	r->index = it->begun;
	struct errand e = {
		.call = "pool imap", .fn = it->fn, .in_bytes = it->in_bytes,
		.in = it->in_bytes ? it->in + it->begun * it->in_bytes : NULL,
		.out_bytes = it->out_bytes, .items = items, .index = it->begun, .timeout = it->timeout,
		.tell = true, .closed_too = true, .deadline = deadline, .result = r,
	};
	fetch_add_seq_cst(&it->references, 1);
	link_last(it, r);
	int rc = slot_send(p, &e);
	if (rc == 0) {
		it->begun += items;
		return 0;
	}
	results_take_out(it, r);
	fetch_add_seq_cst(&it->references, -1u);
	result_drop(r);
	result_drop(r);
	return rc;
}

static bool
in_window(const struct shoal_results *it)
{
	size_t out = it->begun - load_relaxed(&it->taken);
	return load_relaxed(&it->lifted) || out == 0 || out + next_batch(it) <= it->window;
}

/* The pool has ended: what was not sent never will be, and fails as what was pending did. */
static int
give_up_rest(struct shoal_results *it, int rc)
{
	if (load_seq_cst(&it->pool->phase) < POOL_ENDING)
		return rc;
	store_release(&it->unsent, it->begun);
	it->begun = it->count;
	return 0;
}

/*
 * With `feeding`, which it gives back. Waits for a place only when nothing is in work: else what
 * comes back makes room.
 */
static int
feed(struct shoal_results *it, int64_t deadline)
{
	int rc = 0;
	bool any = it->begun < it->count;
	while (!rc && it->begun < it->count && in_window(it)) {
		bool idle = it->begun == load_relaxed(&it->taken);
		rc = send_batch(it, idle ? deadline : 0);
	}
	if (rc)
		rc = give_up_rest(it, rc);
	bool last = any && it->begun == it->count;
	bool idle = it->begun == load_relaxed(&it->taken);
	pthread_mutex_unlock(&it->feeding);
	if (last)
		pool_uncount(it->pool, 1);
	return rc == -EAGAIN && !idle ? 0 : rc;
}

int
results_feed(struct shoal_results *it, int64_t deadline)
{
	pthread_mutex_lock(&it->feeding);
	return feed(it, deadline);
}

static struct shoal_results *
hold_nth(struct shoal_pool *p, unsigned n)
{
	pthread_mutex_lock(&p->lock);
	struct shoal_results *it = p->iterators;
	while (it && n--)
		it = it->next;
	if (it)
		fetch_add_seq_cst(&it->references, 1);
	pthread_mutex_unlock(&p->lock);
	return it;
}

void
results_feed_all(struct shoal_pool *p)
{
	struct shoal_results *it;
	for (unsigned i = 0; (it = hold_nth(p, i)); i++) {
		store_relaxed(&it->lifted, 1);
		if (pthread_mutex_trylock(&it->feeding) == 0)
			feed(it, 0);
		results_drop(it);
	}
}

/* ---- begun, freed ---- */

static size_t
chunk_of(const shoal_map_options *o, size_t count)
{
	size_t chunk = o->chunk ? o->chunk : 1;
	return count && chunk > count ? count : chunk;
}

/* An item's answer, input and result, and what each is rounded up by, for all items of a batch. */
static bool
too_large(size_t in_bytes, size_t out_bytes, size_t count, size_t chunk)
{
	size_t inputs, each, batch;
	return __builtin_mul_overflow(count, in_bytes, &inputs) ||
	       __builtin_add_overflow(in_bytes, out_bytes, &each) ||
	       __builtin_add_overflow(each, 2 * sizeof(struct answer), &each) ||
	       __builtin_mul_overflow(chunk, each, &batch) || batch > LIMIT_MAX;
}

static int
check(const struct shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes,
      size_t out_bytes, size_t count, const shoal_map_options *o)
{
	int rc = pool_check(p, "pool imap");
	if (rc < 0)
		return rc;
	if (!fn || (!in && in_bytes && count))
		return fail(-EINVAL, "pool imap: %s is NULL", fn ? "in" : "the function");
	if (too_large(in_bytes, out_bytes, count, chunk_of(o, count)))
		return fail(-EOVERFLOW, "pool imap: %zu items of %zu and %zu bytes", count, in_bytes,
		            out_bytes);
	if (o->timeout < 0 || o->codes)
		return fail(-EINVAL, "pool imap: %s", o->codes ? "codes are for map" : "a timeout below 0");
	for (size_t i = 0; i < sizeof o->reserved_ / sizeof *o->reserved_; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "pool imap: reserved_ of the options is not zero");
	return 0;
}

/* Under the pool's lock. */
static void
enlist(struct shoal_results *it)
{
	struct shoal_pool *p = it->pool;
	it->next = p->iterators;
	it->link = &p->iterators;
	if (it->next)
		it->next->link = &it->next;
	p->iterators = it;
}

static void
delist(struct shoal_results *it)
{
	pthread_mutex_lock(&it->pool->lock);
	*it->link = it->next;
	if (it->next)
		it->next->link = it->link;
	pthread_mutex_unlock(&it->pool->lock);
}

/*
 * Counted under the lock, as result_count: a pool that is closed next has its workers stay for it,
 * and who joins sends for it what is counted.
 */
static int
begin(struct shoal_pool *p, struct shoal_results *it)
{
	pthread_mutex_lock(&p->lock);
	int rc = pool_open(p, "pool imap");
	if (!rc) {
		it->pool = pool_hold(p);
		enlist(it);
		if (it->count)
			pool_count(p, 1);
	}
	pthread_mutex_unlock(&p->lock);
	if (rc)
		return rc;
	rc = results_feed(it, 0);
	return rc == -EAGAIN ? 0 : rc;
}

static int
make(struct shoal_pool *p, const struct shoal_results *like, const shoal_map_options *o,
     struct shoal_results **out)
{
	struct shoal_results *it = malloc(sizeof *it);
	if (!it)
		return fail(-ENOMEM, "pool imap: no memory");
	*it = *like;
	it->chunk = chunk_of(o, like->count);
	it->window = o->window ? o->window : WINDOW_CHUNKS * p->head->workers * it->chunk;
	it->timeout = o->timeout;
	it->progress = o->progress;
	it->progress_arg = o->progress_arg;
	it->began = clock_now();
	it->generation = p->generation;
	store_relaxed(&it->references, 1);
	store_relaxed(&it->unsent, UINT64_MAX);
	pthread_mutex_init(&it->feeding, NULL);
	pthread_mutex_init(&it->lock, NULL);
	int rc = begin(p, it);
	if (!rc)
		*out = it;
	else if (it->pool)
		shoal_results_free(it);
	else
		free(it);
	return rc;
}

int
shoal_pool_imap(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes,
                size_t out_bytes, size_t count, const shoal_map_options *options,
                shoal_results **out)
{
	static const shoal_map_options none;
	const shoal_map_options *o = options ? options : &none;
	if (!out)
		return fail(-EINVAL, "pool imap: it is NULL");
	*out = NULL;
	struct shoal_results like = { .ordered = true, .fn = fn, .in = in, .in_bytes = in_bytes,
		                          .out_bytes = out_bytes, .count = count };
	int rc = check(p, fn, in, in_bytes, out_bytes, count, o);
	return rc < 0 ? rc : make(p, &like, o, out);
}

int
shoal_pool_imap_unordered(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes,
                          size_t out_bytes, size_t count, const shoal_map_options *options,
                          shoal_results **out)
{
	static const shoal_map_options none;
	const shoal_map_options *o = options ? options : &none;
	if (!out)
		return fail(-EINVAL, "pool imap_unordered: it is NULL");
	*out = NULL;
	struct shoal_results like = { .fn = fn, .in = in, .in_bytes = in_bytes,
		                          .out_bytes = out_bytes, .count = count };
	int rc = check(p, fn, in, in_bytes, out_bytes, count, o);
	return rc < 0 ? rc : make(p, &like, o, out);
}

/* Nothing is noted any more: what is discarded goes into the grave by the same link. */
static void
forget_ready(struct shoal_results *it)
{
	pthread_mutex_lock(&it->lock);
	it->ordered = true;
	it->ready = it->ready_last = NULL;
	pthread_mutex_unlock(&it->lock);
}

void
shoal_results_free(shoal_results *it)
{
	if (!it)
		return;
	thread_self();
	if (it->generation != thread_generation())
		return;
	pthread_mutex_lock(&it->feeding);
	bool open = it->begun < it->count;
	it->begun = it->count;
	pthread_mutex_unlock(&it->feeding);
	delist(it);
	if (open)
		pool_uncount(it->pool, 1);
	forget_ready(it);
	for (struct shoal_result *r; (r = it->first);) {
		results_take_out(it, r);
		result_discard(r);
	}
	if (it->current)
		result_drop(it->current);
	results_drop(it);
}
