/*
 * How a map begins and ends in the host. Its memory, one crate: the job, a row for each seat, the
 * words of its chunks, its items' codes, and inputs and results where they are copied.
 */
#include "pool/map.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "pool/collector.h"
#include "pool/functions.h"
#include "pool/crate.h"
#include "pool/slot.h"
#include "sync/gate.h"
#include <stdlib.h>
#include <string.h>

#define SHARES 4u /* chunks for each worker, by default: as Python's */
#define PLACE_SLICE_NS INT64_C(2000000)

/* ---- memory ---- */

static uint64_t
spaced(uint64_t bytes)
{
	return (bytes + SPACING - 1) & ~(uint64_t)(SPACING - 1);
}

static bool
lies_in(const shoal_arena *a, const void *from, uint64_t bytes)
{
	return a && arena_holds(a, from) && a->bytes - arena_offset(a, from) >= bytes;
}

struct plan {
	uint64_t chunk, chunks, ins, outs;
	bool in_theirs, out_theirs;
	uint64_t rows, words, codes, in, out, all; /* from the crate's start */
};

/* False: more than there are addresses. */
static bool
plan(const struct shoal_pool *p, const struct map_errand *e, struct plan *n)
{
	uint64_t workers = p->head->workers;
	if (__builtin_mul_overflow(e->in_bytes, e->count, &n->ins) ||
	    __builtin_mul_overflow(e->out_bytes, e->count, &n->outs) ||
	    n->ins > LIMIT_MAX || n->outs > LIMIT_MAX || e->count > LIMIT_MAX / 16)
		return false;
	n->chunk = e->options.chunk ? e->options.chunk
	                            : (e->count + SHARES * workers - 1) / (SHARES * workers);
	if (n->chunk > e->count)
		n->chunk = e->count;
	n->chunks = (e->count + n->chunk - 1) / n->chunk;
	n->in_theirs = lies_in(p->options.arena, e->in, n->ins);
	n->out_theirs = lies_in(p->options.arena, e->out, n->outs);
	n->rows = spaced(sizeof(struct job));
	n->words = n->rows + (workers + 1) * sizeof(struct row);
	n->codes = spaced(n->words + n->chunks * sizeof(word64));
	n->in = spaced(n->codes + e->count * sizeof(word32));
	n->out = spaced(n->in + (n->in_theirs ? 0 : n->ins));
	n->all = n->out + (n->out_theirs ? 0 : n->outs);
	return true;
}

static void
write_job(struct shoal_pool *p, const struct map_errand *e, const struct plan *n,
          uint64_t base, struct job *job)
{
	memset(job, 0, n->codes);
	job->count = e->count;
	job->chunk = n->chunk;
	job->chunks = n->chunks;
	job->in_bytes = e->in_bytes;
	job->out_bytes = e->out_bytes;
	job->rows = base + n->rows;
	job->words = base + n->words;
	job->codes = base + n->codes;
	job->timeout = pool_limit(e->options.timeout);
	job->in_theirs = n->in_theirs;
	job->out_theirs = n->out_theirs;
	job->in = n->in_theirs ? arena_offset(p->options.arena, e->in) : base + n->in;
	job->out = n->out_theirs ? arena_offset(p->options.arena, e->out) : base + n->out;
	store_relaxed(&job->tell, e->tell);
	if (!n->in_theirs && n->ins)
		memcpy(arena_at(p->arena, job->in), e->in, n->ins);
}

/* ---- begun ---- */

/* Under the lock: a place in the head's table, and a number. 0, POOL_FULL, or a code. */
static int
enter(struct shoal_pool *p, const struct map_errand *e, struct map *m)
{
	int rc = pool_open(p, e->call);
	uint32_t number = 0;
	if (!rc)
		rc = function_number(p->head, (any_function *)e->fn, &number);
	if (rc)
		return rc;
	unsigned i = 0;
	while (i < POOL_JOBS && p->maps[i])
		i++;
	if (i == POOL_JOBS)
		return POOL_FULL;
	m->index = i;
	m->id = ID_JOB | id_make(++p->job_generation, i);
	m->job->id = m->id;
	m->job->function = number;
	e->result->id = m->id;
	result_count(p, e->result);
	result_add(p, e->result);
	p->maps[i] = m;
	store_release(&p->head->job_at[i], arena_offset(p->arena, m->job));
	store_seq_cst(&p->head->jobs[i], m->id);
	return 0;
}

/* So many maps at once are rare: a look every two milliseconds will do. */
static int
enter_in_time(struct shoal_pool *p, const struct map_errand *e, struct map *m)
{
	struct shoal_thread *t = thread_self();
	if (!t)
		return fail(-ENOMEM, "%s: no memory for this thread's record", e->call);
	for (;;) {
		pthread_mutex_lock(&p->lock);
		int rc = enter(p, e, m);
		pthread_mutex_unlock(&p->lock);
		if (rc != POOL_FULL)
			return rc;
		if (pool_in_callback(p))
			return fail_quiet(-EAGAIN, "as many maps run as the pool takes");
		struct futex_watch watch = { &p->idle, load_seq_cst(&p->idle) };
		if (map_harvest_all(p))
			continue;
		if (gate_sleep(t, &watch, 1, clock_now() + PLACE_SLICE_NS) == -ECANCELED)
			return fail(-ECANCELED, "%s: interrupted while it waited for a place", e->call);
	}
}

static void
invite(struct shoal_pool *p, const struct map *m)
{
	uint64_t guests = p->head->workers;
	if (guests > m->job->chunks)
		guests = m->job->chunks;
	for (uint64_t i = 0; i < guests; i++)
		slot_put(p, m->id);
}

static int
new_map(struct shoal_pool *p, const struct map_errand *e, const struct plan *n, struct map **out)
{
	struct map *m = *out = calloc(1, sizeof *m);
	if (!m)
		return fail(-ENOMEM, "%s: no memory", e->call);
	int rc = crate_take(p->arena, 0, n->all + SPACING, NULL, &m->crate);
	if (rc < 0) {
		free(m);
		return rc;
	}
	uint64_t base = spaced(m->crate);
	m->job = arena_at(p->arena, base);
	write_job(p, e, n, base, m->job);
	pthread_mutex_init(&m->stopping, NULL);
	m->result = e->result;
	m->out = n->out_theirs || !e->out_bytes ? NULL : e->out;
	m->codes = e->options.codes;
	m->count = e->count;
	m->began = clock_now();
	return 0;
}

/* Before it is given memory, and copied. */
static int
look_whether_open(struct shoal_pool *p, const struct map_errand *e)
{
	pthread_mutex_lock(&p->lock);
	int rc = pool_open(p, e->call);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int
map_begin(struct shoal_pool *p, const struct map_errand *e)
{
	int rc = look_whether_open(p, e);
	struct plan n;
	if (rc < 0)
		return rc;
	if (!plan(p, e, &n))
		return fail(-EOVERFLOW, "%s: %zu items of %zu and %zu bytes", e->call, e->count,
		            e->in_bytes, e->out_bytes);
	struct map *m;
	rc = new_map(p, e, &n, &m);
	if (rc < 0)
		return rc;
	struct shoal_result *r = e->result;
	r->map = m;
	r->data = e->out;
	r->borrowed = true;
	m->progress = r->called ? e->options.progress : NULL;
	m->progress_arg = e->options.progress_arg;
	fetch_add_seq_cst(&r->references, 1);
	rc = enter_in_time(p, e, m);
	if (rc) {
		fetch_add_seq_cst(&r->references, -1u);
		crate_give(p->arena, m->crate);
		return rc;
	}
	pool_time(p, e->options.timeout);
	if (e->tell)
		collector_rouse(p);
	invite(p, m);
	result_overtaken(p, r);
	return 0;
}

/* ---- while it runs ---- */

void
map_invite_all(struct shoal_pool *p)
{
	for (unsigned i = 0; i < POOL_JOBS; i++) {
		struct map *m = map_hold_nth(p, i);
		if (!m)
			continue;
		if (!load_acquire(&m->job->complete))
			invite(p, m);
		result_drop(m->result);
	}
}

static size_t
unbegun(const struct shoal_pool *p, const struct job *job)
{
	const word64 *words = arena_at(p->arena, job->words);
	size_t count = 0;
	for (uint64_t c = 0; c < job->chunks; c++) {
		uint64_t word = load_relaxed(&words[c]), left = job->count - c * job->chunk;
		if (chunk_state(word) == CHUNK_FREE)
			count += (left < job->chunk ? left : job->chunk) - chunk_first(word);
	}
	return count;
}

/* The lock keeps each in the table, and its memory its own, while it is counted. */
size_t
map_unbegun(struct shoal_pool *p)
{
	size_t count = 0;
	for (unsigned i = 0; i < POOL_JOBS; i++) {
		if (!load_relaxed(&p->head->jobs[i]))
			continue;
		pthread_mutex_lock(&p->lock);
		if (p->maps[i])
			count += unbegun(p, p->maps[i]->job);
		pthread_mutex_unlock(&p->lock);
	}
	return count;
}
