#include "pool/slot.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/notice.h"
#include "pool/collector.h"
#include "pool/functions.h"
#include "pool/crate.h"
#include "sync/gate.h"
#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

/* Under the lock. */
static struct slot *
pop(struct shoal_pool *p)
{
	if (!p->spare_count)
		return NULL;
	uint32_t index = p->spare[--p->spare_count];
	if (index >= load_relaxed(&p->head->high))
		store_release(&p->head->high, index + 1);
	struct slot *s = &p->slots[index];
	uint64_t generation = slot_generation(load_relaxed(&s->state));
	store_release(&s->state, slot_word(generation, 0, SLOT_FILLING));
	return s;
}

static uint32_t
index_of(const struct shoal_pool *p, const struct slot *s)
{
	return (uint32_t)(s - p->slots);
}

static uint64_t
id_of(const struct shoal_pool *p, const struct slot *s)
{
	return id_make(slot_generation(load_relaxed(&s->state)), index_of(p, s));
}

/* It is the caller's: FILLING or TAKEN. */
static void
release(struct shoal_pool *p, struct slot *s)
{
	uint64_t next = slot_generation(load_relaxed(&s->state)) + 1;
	crate_give(p->arena, s->crate);
	crate_give(p->arena, load_relaxed(&s->reply));
	s->crate = 0;
	store_relaxed(&s->reply, 0);
	pthread_mutex_lock(&p->lock);
	store_release(&s->state, slot_word(next, 0, SLOT_FREE));
	p->spare[p->spare_count++] = index_of(p, s);
	bool waited = p->waiting > 0;
	pthread_mutex_unlock(&p->lock);
	if (waited)
		slot_ring(p);
}

void
slot_want(struct shoal_pool *p, int more)
{
	p->waiting += (uint32_t)more;
	store_seq_cst(&p->head->wanted, p->waiting > 0);
}

/* 0, POOL_FULL, or a code. */
static int
find_place(struct shoal_pool *p, const struct errand *e, struct slot **out)
{
	pthread_mutex_lock(&p->lock);
	int rc = 0;
	if (!e->closed_too || load_relaxed(&p->phase) > POOL_CLOSED)
		rc = pool_open(p, e->call);
	uint32_t number = 0;
	if (!rc)
		rc = function_number(p->head, (any_function *)e->fn, &number);
	*out = rc ? NULL : pop(p);
	if (*out) {
		(*out)->function = number;
		result_count(p, e->result);
	}
	pthread_mutex_unlock(&p->lock);
	return rc ? rc : *out ? 0 : POOL_FULL;
}

/* Until there may be a place: an end is told while `wanted` is 1. */
static int
wait_for_place(struct shoal_pool *p, const struct errand *e, struct slot **out)
{
	struct shoal_thread *t = thread_self();
	if (!t)
		return fail(-ENOMEM, "%s: no memory for this thread's record", e->call);
	for (;;) {
		store_seq_cst(&p->head->bell, 1);
		slot_harvest_all(p);
		int rc = find_place(p, e, out);
		if (rc != POOL_FULL)
			return rc;
		struct futex_watch watch = { &p->head->bell, 1 };
		rc = gate_sleep(t, &watch, 1, e->deadline);
		if (rc == -ECANCELED)
			return fail(rc, "%s: interrupted while it waited for a place", e->call);
		if (rc < 0)
			return fail_quiet(rc, "as many tasks are pending as the pool takes");
	}
}

static int
take_place(struct shoal_pool *p, const struct errand *e, struct slot **out)
{
	int rc = find_place(p, e, out);
	if (rc != POOL_FULL)
		return rc;
	slot_harvest_all(p);
	rc = find_place(p, e, out);
	if (rc != POOL_FULL)
		return rc;
	if (!e->deadline || pool_in_callback(p))
		return fail_quiet(-EAGAIN, "as many tasks are pending as the pool takes");
	pthread_mutex_lock(&p->lock);
	slot_want(p, 1);
	pthread_mutex_unlock(&p->lock);
	rc = wait_for_place(p, e, out);
	pthread_mutex_lock(&p->lock);
	slot_want(p, -1);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- filling ---- */

static uint64_t
up(uint64_t bytes)
{
	return (bytes + 15) & ~UINT64_C(15);
}

/* Answers, inputs and results that are not small lie in one crate, in this order. */
static int
place_parts(struct shoal_pool *p, struct slot *s, const struct errand *e, uint64_t *in)
{
	uint64_t answers = e->items > 1 ? up(e->items * sizeof(struct answer)) : 0;
	uint64_t ins = e->items * e->in_bytes, outs = e->items * e->out_bytes;
	uint64_t far_in = ins > INLINE_BYTES ? up(ins) : 0;
	uint64_t far_out = outs > INLINE_BYTES ? up(outs) : 0;
	uint64_t all = answers + far_in + far_out, at = 0;
	s->crate = 0;
	if (all) {
		int rc = crate_take(p->arena, id_of(p, s), all, NULL, &at);
		if (rc < 0)
			return rc;
		s->crate = at;
	}
	*in = far_in ? at + answers : arena_offset(p->arena, s->inline_in);
	s->out = far_out ? at + answers + far_in : arena_offset(p->arena, s->inline_out);
	if (outs)
		memset(arena_at(p->arena, s->out), 0, outs);
	return 0;
}

static int
fill(struct shoal_pool *p, struct slot *s, const struct errand *e)
{
	uint64_t in;
	int rc = place_parts(p, s, e, &in);
	if (rc < 0)
		return rc;
	if (e->in_bytes)
		memcpy(arena_at(p->arena, in), e->in, e->items * e->in_bytes);
	s->in = in;
	s->in_bytes = e->in_bytes;
	s->out_bytes = e->out_bytes;
	s->items = e->items;
	s->index = e->index;
	s->timeout = pool_limit(e->timeout);
	store_relaxed(&s->first, 0);
	s->tries = 0;
	s->text_of = 0;
	s->reply_bytes = 0;
	s->answer.value = 0;
	store_relaxed(&s->wait, 0);
	store_relaxed(&s->flags, (e->tell ? SLOT_TELL : 0u) | (e->out_bytes ? SLOT_OUT : 0u) |
	                         (e->any_length ? SLOT_ANY : 0u));
	return 0;
}

void
slot_put(struct shoal_pool *p, uint64_t message)
{
	if (shoal_queue_put(p->queue, &message, sizeof message, SHOAL_NOWAIT) == 0)
		return;
	store_seq_cst(&p->put_again, 1);
	notice_raise(p->kick);
}

int
slot_send(struct shoal_pool *p, const struct errand *e)
{
	struct slot *s;
	struct shoal_result *r = e->result;
	int rc = take_place(p, e, &s);
	if (rc < 0)
		return rc;
	rc = fill(p, s, e);
	if (rc < 0) {
		release(p, s);
		result_uncount(p, r->called);
		return rc;
	}
	uint64_t id = r->id = id_of(p, s);
	pool_time(p, e->timeout);
	result_add(p, r);
	if (e->tell)
		collector_rouse(p);
	store_release(&s->state, slot_word(id_generation(id), 0, SLOT_QUEUED));
	slot_put(p, id);
	result_overtaken(p, r);
	return 0;
}

/* ---- ends ---- */

void
slot_ring(struct shoal_pool *p)
{
	if (exchange_seq_cst(&p->head->bell, 0))
		futex_wake(&p->head->bell, FUTEX_ALL);
}

static const char *
text_of(const struct shoal_pool *p, const struct slot *s, uint64_t item)
{
	const char *texts = arena_at(p->arena, p->head->texts);
	return s->text_of == item + 1 ? texts + index_of(p, s) * TEXT_BYTES : NULL;
}

static const struct answer *
answers_of(const struct shoal_pool *p, const struct slot *s)
{
	return s->items > 1 ? arena_at(p->arena, s->crate) : &s->answer;
}

/* Also when its result is not wanted any more: then without those that were never begun. */
static void
count_items(struct shoal_pool *p, const struct slot *s)
{
	const struct answer *a = answers_of(p, s);
	uint64_t done = 0, failed = 0;
	for (uint64_t i = 0; i < s->items; i++) {
		done += a[i].value >= 0;
		failed += a[i].value < 0 && a[i].value != ANSWER_UNBEGUN;
	}
	if (failed)
		fetch_add_relaxed(&p->failed_count, failed);
	if (done)
		fetch_add_relaxed(&p->done_count, done);
}

/* The result of a single item, and where it lies. */
static void
settle_one(struct shoal_pool *p, struct slot *s, struct shoal_result *r)
{
	r->whole = true;
	if (s->answer.value < 0) {
		result_fail(r, (int)s->answer.value, text_of(p, s, 0));
		return;
	}
	uint64_t reply = load_relaxed(&s->reply);
	const void *from = arena_at(p->arena, reply ? reply : s->out);
	size_t bytes = reply ? s->reply_bytes : (size_t)s->answer.value;
	void *to = r->to ? r->to : result_room(r, bytes);
	if (to && r->to)
		memcpy(to, from, r->to_bytes);
	else if (to)
		memcpy(to, from, bytes);
	r->length = (ssize_t)bytes;
}

/* A batch keeps its answers and its area, as they are, and the text of the first that failed. */
static void
settle_batch(struct shoal_pool *p, struct slot *s, struct shoal_result *r)
{
	uint64_t answers = s->items * sizeof(struct answer), outs = s->items * s->out_bytes;
	char *to = result_room(r, answers + outs);
	if (!to)
		return;
	r->whole = true;
	memcpy(to, answers_of(p, s), answers);
	memcpy(to + answers, arena_at(p->arena, s->out), outs);
	if (s->text_of) {
		r->text = strdup(text_of(p, s, s->text_of - 1));
		r->text_of = s->text_of;
	}
}

bool
slot_harvest(struct shoal_pool *p, uint32_t index)
{
	struct slot *s = &p->slots[index];
	uint64_t seen = load_acquire(&s->state), generation = slot_generation(seen);
	if (slot_state(seen) != SLOT_DONE ||
	    !cas64_acq_rel(&s->state, seen, slot_word(generation, 0, SLOT_TAKEN)))
		return false;
	struct shoal_result *r = result_take(p, id_make(generation, index));
	count_items(p, s);
	if (r && r->it)
		settle_batch(p, s, r);
	else if (r)
		settle_one(p, s, r);
	release(p, s);
	if (r)
		result_deliver(r);
	return true;
}

unsigned
slot_harvest_all(struct shoal_pool *p)
{
	unsigned taken = 0;
	for (uint32_t word = 0; word * 64 < slot_high(p); word++) {
		if (!load_relaxed(&p->done[word]))
			continue;
		uint64_t bits = exchange_seq_cst(&p->done[word], 0);
		for (; bits; bits &= bits - 1)
			taken += slot_harvest(p, word * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	return taken;
}

bool
slot_recall(struct shoal_pool *p, uint64_t id)
{
	struct slot *s = &p->slots[id_index(id)];
	uint64_t queued = slot_word(id_generation(id), 0, SLOT_QUEUED);
	if (!cas64_acq_rel(&s->state, queued, slot_word(id_generation(id), 0, SLOT_TAKEN)))
		return false;
	release(p, s);
	return true;
}

/* The lock keeps the slot from being another task's. */
void
slot_stop(struct shoal_pool *p, uint64_t id)
{
	struct slot *s = &p->slots[id_index(id)];
	pthread_mutex_lock(&p->lock);
	if (slot_generation(load_relaxed(&s->state)) == id_generation(id))
		fetch_or_seq_cst(&s->flags, SLOT_STOP);
	pthread_mutex_unlock(&p->lock);
}

void
slot_tell(struct shoal_pool *p, uint64_t id)
{
	struct slot *s = &p->slots[id_index(id)];
	fetch_or_seq_cst(&s->flags, SLOT_TELL);
	collector_rouse(p);
	uint64_t word = load_seq_cst(&s->state);
	if (slot_generation(word) == id_generation(id) && slot_state(word) == SLOT_DONE)
		slot_ring(p);
}

/* What is QUEUED is not filled anew while the lock keeps it from being given back. */
size_t
slot_unbegun(struct shoal_pool *p)
{
	size_t count = 0;
	for (uint32_t i = 0; i < slot_high(p); i++) {
		const struct slot *s = &p->slots[i];
		if (slot_state(load_relaxed(&s->state)) != SLOT_QUEUED)
			continue;
		pthread_mutex_lock(&p->lock);
		if (slot_state(load_acquire(&s->state)) == SLOT_QUEUED)
			count += s->items - load_relaxed(&s->first);
		pthread_mutex_unlock(&p->lock);
	}
	return count;
}

bool
slot_any_runs(const struct shoal_pool *p)
{
	for (uint32_t i = 0; i < slot_high(p); i++) {
		enum slot_state state = slot_state(load_seq_cst(&p->slots[i].state));
		if (state == SLOT_QUEUED || state == SLOT_RUNNING)
			return true;
	}
	return false;
}
