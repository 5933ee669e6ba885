/* What a dead worker leaves of the maps that it took part in; the supervisor's. */
#include "pool/map.h"
#include "pool/mourn.h"
#include "pool/slot.h"
#include <string.h>

static void
fail_item(struct shoal_pool *p, struct job *job, uint64_t i, bool valid, const struct death *d)
{
	struct row *row = arena_at(p->arena, job->rows);
	word32 *codes = arena_at(p->arena, job->codes);
	uint64_t begin = i / job->chunk * job->chunk, end = begin + job->chunk;
	for (uint64_t k = begin; !valid && k < end && k < job->count; k++)
		store_relaxed(&codes[k], 0);
	store_relaxed(&codes[i], (uint32_t)d->code);
	store_relaxed(&row->failed, 1);
	uint64_t had = load_relaxed(&row->text_of);
	if (had && had <= i + 1)
		return;
	snprintf(row->text, sizeof row->text, "%s", d->how);
	store_release(&row->text_of, i + 1);
}

/* The word of a chunk of so many, where the one with that number in it was the last to end. */
static uint64_t
after_item(uint64_t i, uint64_t items, unsigned seat)
{
	return CHUNK_CODES | (i + 1 < items ? chunk_word(i + 1, 0, 0, CHUNK_FREE)
	                                    : chunk_word(0, 0, seat, CHUNK_DONE));
}

/*
 * It ended badly, and the dead one had said so, its text and all. Of one whose text is lacking
 * nothing was said: it is as if it had not ended.
 */
static bool
has_failed(struct shoal_pool *p, struct job *job, uint64_t i, unsigned seat)
{
	word32 *codes = arena_at(p->arena, job->codes);
	struct row *rows = arena_at(p->arena, job->rows);
	uint32_t code = load_relaxed(&codes[i]);
	uint64_t text_of = load_acquire(&rows[seat].text_of);
	bool said = code == (uint32_t)CODE_UNBEGUN || (text_of && text_of <= i + 1);
	if (code && said)
		store_relaxed(&rows->failed, 1);
	else
		store_relaxed(&codes[i], 0);
	return code && said;
}

/* The word of its chunk from now on. */
static uint64_t
settle_chunk(struct shoal_pool *p, struct job *job, uint64_t c, uint64_t word, struct death *d)
{
	uint64_t at = load_acquire(&p->seats[d->seat].at);
	uint64_t begin = c * job->chunk, first = chunk_first(word), codes = word & CHUNK_CODES;
	uint64_t items = job->count - begin < job->chunk ? job->count - begin : job->chunk;
	if (at <= begin || at > begin + items)
		return chunk_word(first, chunk_tries(word), 0, CHUNK_FREE) | codes;
	uint64_t i = at - 1 - begin;
	if (codes && has_failed(p, job, at - 1, d->seat))
		return after_item(i, items, d->seat);
	d->held = true;
	unsigned tries = i == first ? chunk_tries(word) : 0;
	if (mourn_try_again(p, d, tries))
		return chunk_word(i, tries + 1, 0, CHUNK_FREE) | codes;
	fail_item(p, job, at - 1, codes, d);
	return after_item(i, items, d->seat);
}

static void
settle_job(struct shoal_pool *p, struct map *m, struct death *d)
{
	struct job *job = m->job;
	word64 *words = arena_at(p->arena, job->words);
	struct row *rows = arena_at(p->arena, job->rows);
	uint64_t done = 0;
	for (uint64_t c = 0; c < job->chunks; c++) {
		uint64_t word = load_acquire(&words[c]);
		if (chunk_seat(word) != d->seat)
			continue;
		if (chunk_state(word) == CHUNK_CLAIMED) {
			word = settle_chunk(p, job, c, word, d);
			store_release(&words[c], word);
		}
		done += chunk_state(word) == CHUNK_DONE;
	}
	store_release(&rows[d->seat].chunks, done);
	map_look_whether_all(p, job);
}

/* All maps: one that it had left may lack only its word that all is done. */
void
map_mourn(struct shoal_pool *p, struct death *d)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < POOL_JOBS; i++)
		if (p->maps[i])
			settle_job(p, p->maps[i], d);
	pthread_mutex_unlock(&p->lock);
}
