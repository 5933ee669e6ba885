/* How a map ends in the host: its results taken in, its memory given back. */
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "pool/collector.h"
#include "pool/crate.h"
#include "pool/map.h"
#include "pool/slot.h"
#include <string.h>

/* ---- ended ---- */

word32 *
map_complete(struct map *m)
{
	return &m->job->complete;
}

static struct row *
rows_of(const struct shoal_pool *p, const struct job *job)
{
	return arena_at(p->arena, job->rows);
}

static uint64_t
chunks_done(const struct shoal_pool *p, const struct job *job)
{
	const struct row *rows = rows_of(p, job);
	uint64_t sum = 0;
	for (uint32_t i = 0; i <= p->head->workers; i++)
		sum += load_acquire(&rows[i].chunks);
	return sum;
}

size_t
map_items_done(const struct shoal_pool *p, const struct map *m)
{
	uint64_t items = chunks_done(p, m->job) * m->job->chunk;
	return items < m->job->count ? items : m->job->count;
}

/* Of a DONE chunk with this word: how many of its items were settled before the host took it. */
static uint64_t
items_settled(const struct job *job, uint64_t c, uint64_t word)
{
	uint64_t left = job->count - c * job->chunk;
	if (!chunk_seat(word))
		return chunk_first(word);
	return left < job->chunk ? left : job->chunk;
}

/* Those that were not begun, since the map was stopped, count as neither. */
static void
count_codes(const word32 *codes, uint64_t count, uint64_t *done, uint64_t *failed)
{
	for (uint64_t i = 0; i < count; i++) {
		int code = (int)load_relaxed(&codes[i]);
		*done += code == 0;
		*failed += code < 0;
	}
}

/* While its memory is its own: under the pool's lock and in the table, or before it is retired. */
static void
count_ended(const struct shoal_pool *p, const struct map *m, uint64_t *done, uint64_t *failed)
{
	const struct job *job = m->job;
	const word64 *words = arena_at(p->arena, job->words);
	const word32 *codes = arena_at(p->arena, job->codes);
	for (uint64_t c = 0; c < job->chunks; c++) {
		uint64_t word = load_acquire(&words[c]);
		if (chunk_state(word) != CHUNK_DONE)
			continue;
		uint64_t count = items_settled(job, c, word);
		if (word & CHUNK_CODES)
			count_codes(codes + c * job->chunk, count, done, failed);
		else
			*done += count;
	}
}

/* The lock makes it one moment: a map is in the table, or what it counted is in the sums. */
void
map_count(struct shoal_pool *p, uint64_t *done, uint64_t *failed)
{
	pthread_mutex_lock(&p->lock);
	*done = load_relaxed(&p->done_count);
	*failed = load_relaxed(&p->failed_count);
	for (unsigned i = 0; i < POOL_JOBS; i++)
		if (p->maps[i])
			count_ended(p, p->maps[i], done, failed);
	pthread_mutex_unlock(&p->lock);
}

static const char *
text_of(const struct shoal_pool *p, const struct map *m, uint64_t item)
{
	const struct row *rows = rows_of(p, m->job);
	for (uint32_t i = 0; i <= p->head->workers; i++)
		if (load_acquire(&rows[i].text_of) == item + 1 && rows[i].text[0])
			return rows[i].text;
	return NULL;
}

static bool
any_failed(const struct shoal_pool *p, const struct map *m)
{
	const struct row *rows = rows_of(p, m->job);
	for (uint32_t i = 0; i <= p->head->workers; i++)
		if (load_relaxed(&rows[i].failed))
			return true;
	return false;
}

/* Of a complete map. */
static int
code_of(const struct job *job, const word64 *words, const word32 *codes, uint64_t i)
{
	uint64_t c = i / job->chunk, word = load_relaxed(&words[c]);
	if (!chunk_seat(word) && i - c * job->chunk >= chunk_first(word))
		return -ECANCELED;
	int code = word & CHUNK_CODES ? (int)load_relaxed(&codes[i]) : 0;
	return code == CODE_UNBEGUN ? -ECANCELED : code;
}

/* What failed leaves its place in `out` as it was. */
static uint64_t
copy_some(struct shoal_pool *p, struct map *m, struct shoal_result *r)
{
	const struct job *job = m->job;
	const word32 *codes = arena_at(p->arena, job->codes);
	const word64 *words = arena_at(p->arena, job->words);
	const char *from = arena_at(p->arena, job->out_theirs ? 0 : job->out);
	uint64_t failed = 0, first = 0;
	for (uint64_t i = 0; i < job->count; i++) {
		int code = code_of(job, words, codes, i);
		if (code && !failed++) {
			r->code = code;
			first = i;
		}
		if (m->codes)
			m->codes[i] = code;
		if (!code && m->out)
			memcpy((char *)m->out + i * job->out_bytes, from + i * job->out_bytes,
			       job->out_bytes);
	}
	const char *text = text_of(p, m, first);
	if (failed)
		r->text = strdup(text ? text : shoal_strerror(r->code));
	return failed;
}

static void
copy_all(struct shoal_pool *p, struct map *m)
{
	const struct job *job = m->job;
	if (m->out)
		memcpy(m->out, arena_at(p->arena, job->out), job->count * job->out_bytes);
	if (m->codes)
		memset(m->codes, 0, job->count * sizeof *m->codes);
}

static void
settle(struct shoal_pool *p, struct map *m)
{
	struct shoal_result *r = m->result;
	uint64_t failed = 0;
	if (any_failed(p, m))
		failed = copy_some(p, m, r);
	else
		copy_all(p, m);
	r->whole = true;
	r->length = (ssize_t)failed;
	r->bytes = r->data ? m->job->count * m->job->out_bytes : 0;
}

/* ---- buried ---- */

/* Sequentially consistent against a worker that names it and then looks. */
static bool
anybody_in(const struct shoal_pool *p, uint64_t id)
{
	for (uint32_t i = 1; i <= p->head->workers; i++)
		if (load_seq_cst(&p->seats[i].job) == id)
			return true;
	return false;
}

void
map_bury_retired(struct shoal_pool *p)
{
	struct map *free_ones = NULL;
	pthread_mutex_lock(&p->lock);
	for (struct map **at = &p->retired; *at;) {
		struct map *m = *at;
		/* Acquires against map_stop's leaving: what it did to the words comes before. */
		if (anybody_in(p, m->id) || load_acquire(&m->users)) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		m->next = free_ones;
		free_ones = m;
	}
	pthread_mutex_unlock(&p->lock);
	for (struct map *m = free_ones, *next; m; m = next) {
		next = m->next;
		crate_give(p->arena, m->crate);
		result_drop(m->result);
	}
}

static void
retire(struct shoal_pool *p, struct map *m)
{
	uint64_t done = 0, failed = 0;
	if (any_failed(p, m))
		count_ended(p, m, &done, &failed);
	else
		done = m->job->count;
	pthread_mutex_lock(&p->lock);
	fetch_add_relaxed(&p->done_count, done);
	fetch_add_relaxed(&p->failed_count, failed);
	store_seq_cst(&p->head->jobs[m->index], 0);
	p->maps[m->index] = NULL;
	m->next = p->retired;
	p->retired = m;
	pthread_mutex_unlock(&p->lock);
	map_bury_retired(p);
}

bool
map_harvest(struct shoal_pool *p, struct map *m)
{
	if (!load_acquire(&m->job->complete) || !cas32_seq_cst(&m->taking, MAP_LEFT, MAP_TAKING))
		return false;
	struct shoal_result *r = m->result;
	bool mine = result_take_this(p, r);
	if (mine)
		settle(p, m);
	if (exchange_seq_cst(&m->taking, MAP_WRITTEN) == MAP_AWAITED)
		futex_wake(&m->taking, FUTEX_ALL);
	fetch_add_seq_cst(&r->references, 1);
	retire(p, m);
	if (mine)
		result_deliver(r);
	result_drop(r);
	return true;
}

/*
 * Who takes a result from the pending to write has said TAKING before: this one, who found it
 * taken, sees that. Of one that nobody takes in nothing is written.
 */
void
map_await_written(struct map *m)
{
	fence_seq_cst();
	cas32_seq_cst(&m->taking, MAP_TAKING, MAP_AWAITED);
	while (load_acquire(&m->taking) == MAP_AWAITED)
		futex_wait(&m->taking, MAP_AWAITED, CLOCK_NEVER);
}

struct map *
map_hold_nth(struct shoal_pool *p, unsigned i)
{
	pthread_mutex_lock(&p->lock);
	struct map *m = p->maps[i];
	if (m)
		fetch_add_seq_cst(&m->result->references, 1);
	pthread_mutex_unlock(&p->lock);
	return m;
}

unsigned
map_harvest_all(struct shoal_pool *p)
{
	unsigned taken = 0;
	for (unsigned i = 0; i < POOL_JOBS; i++) {
		struct map *m = load_relaxed(&p->head->jobs[i]) ? map_hold_nth(p, i) : NULL;
		if (!m)
			continue;
		taken += map_harvest(p, m);
		result_drop(m->result);
	}
	return taken;
}

/* ---- given up ---- */

void
map_look_whether_all(const struct shoal_pool *p, struct job *job)
{
	fence_seq_cst();
	if (chunks_done(p, job) != job->chunks)
		return;
	store_seq_cst(&job->complete, 1);
	futex_wake(&job->complete, FUTEX_ALL);
}

/*
 * The chunks that no worker has become the host's own, as they are: so a map of which nothing runs
 * is over at once. One thread of the host at a time, so that another one finds all that it leaves
 * counted; the add to row 0 is released with the words, for whoever sees all rows.
 */
static void
take_unbegun(const struct shoal_pool *p, struct job *job)
{
	word64 *words = arena_at(p->arena, job->words);
	struct row *row = rows_of(p, job);
	uint64_t taken = 0;
	for (uint64_t c = 0; c < job->chunks; c++) {
		uint64_t word = load_relaxed(&words[c]);
		taken += chunk_state(word) == CHUNK_FREE &&
		         cas64_acq_rel(&words[c], word, word | CHUNK_DONE);
	}
	if (!taken)
		return;
	store_relaxed(&row->failed, 1);
	fetch_add_seq_cst(&row->chunks, taken);
	map_look_whether_all(p, job);
}

/* The job's memory is somebody else's once the map has left the table, which the lock guards. */
bool
map_tell(struct shoal_pool *p, struct map *m)
{
	pthread_mutex_lock(&p->lock);
	bool runs = p->maps[m->index] == m;
	if (runs)
		store_seq_cst(&m->job->tell, 1);
	bool complete = runs && load_seq_cst(&m->job->complete);
	pthread_mutex_unlock(&p->lock);
	collector_rouse(p);
	if (complete)
		slot_ring(p);
	return runs;
}

/*
 * There may be millions of chunks: they are gone through without the lock, and `users` keeps the
 * memory meanwhile. Who finds the map retired while it is used leaves it to the one who uses it. A
 * map that is over by that is taken in here, rather than by the collector a moment later.
 */
bool
map_stop(struct shoal_pool *p, struct map *m)
{
	pthread_mutex_lock(&p->lock);
	bool runs = p->maps[m->index] == m;
	if (runs) {
		store_seq_cst(&m->job->tell, 1);
		store_seq_cst(&m->job->stop, 1);
		fetch_add_seq_cst(&m->users, 1);
	}
	pthread_mutex_unlock(&p->lock);
	if (!runs)
		return false;
	pthread_mutex_lock(&m->stopping);
	take_unbegun(p, m->job);
	pthread_mutex_unlock(&m->stopping);
	/* Sequentially consistent, as `tell` is: the worker that ends it sees that if this is early. */
	if (load_seq_cst(&m->job->complete))
		map_harvest(p, m);
	fetch_add_seq_cst(&m->users, -1u);
	map_bury_retired(p);
	collector_rouse(p);
	return true;
}

/* The pool ends, and its workers have. */
void
map_drop_all(struct shoal_pool *p)
{
	for (unsigned i = 0; i < POOL_JOBS; i++)
		if (p->maps[i])
			result_drop(p->maps[i]->result);
	for (struct map *m = p->retired, *next; m; m = next) {
		next = m->next;
		result_drop(m->result);
	}
}
