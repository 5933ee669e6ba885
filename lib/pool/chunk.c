/*
 * Workers take lines of eight chunk words by an add to a hint, and the chunks in them by one
 * compare-and-swap each, in their own line of cache; at the end each looks through all words and
 * takes what is left in the others' lines.
 *
 * Crash points: pool/shared.h. Before its first failure a chunk's codes are made 0, then its word
 * says that they are valid, then the code is written, then the row says that one failed, then the
 * chunk is DONE: so of one that is not DONE the supervisor settles the item that seat->at names,
 * and whatever was said of earlier ones is true. That is the last one also while what the items
 * printed is written out.
 */
#include "pool/chunk.h"
#include "base/futex.h"
#include "base/stream.h"
#include <string.h>

#define LINE_WORDS (LINE / sizeof(word64))
#define WINDOW_BYTES 65536 /* what Linux maps at one read fault (fault_around_bytes) */

struct part {
	struct self *self;
	struct job *job;
	word64 *words;
	word32 *codes;
	struct row *row;
	shoal_task_fn *fn;
	const char *in;
	char *out;
	uint64_t chunks; /* of the row */
	uint64_t now, word; /* the chunk that is its own, and that one's word */
	uint32_t *left;
};

static char *
area(const struct self *self, bool theirs, uint64_t offset)
{
	return arena_at(theirs ? self->theirs : self->arena, offset);
}

static void
keep_failure(struct part *p, uint64_t i, int code)
{
	struct row *row = p->row;
	uint64_t had = load_relaxed(&row->text_of);
	store_relaxed(&row->failed, 1);
	if (code == CODE_UNBEGUN)
		return;
	if (had && had <= i + 1)
		return;
	if (p->self->text_at != i + 1)
		p->self->text[0] = 0;
	/* Of one that dies in the copy there is no text, rather than some of each. */
	store_release(&row->text_of, 0);
	fence_crash();
	memcpy(row->text, p->self->text, TEXT_BYTES);
	store_release(&row->text_of, i + 1);
}

static void
make_codes(struct part *p)
{
	uint64_t c = p->now, begin = c * p->job->chunk, end = begin + p->job->chunk;
	for (uint64_t i = begin; i < end && i < p->job->count; i++)
		store_relaxed(&p->codes[i], 0);
	p->word |= CHUNK_CODES;
	store_release(&p->words[c], p->word);
}

static __attribute__((noinline)) void
settle_failure(struct part *p, uint64_t i, int code)
{
	if (!(p->word & CHUNK_CODES))
		make_codes(p);
	store_relaxed(&p->codes[i], (uint32_t)code);
	keep_failure(p, i, code);
}

/* Not in a child that the item forked. */
static __attribute__((noinline)) void
settle_untimed(struct part *p, uint64_t i, int code)
{
	if (task_in_child())
		task_end_child(code);
	settle_failure(p, i, code);
}

static uint64_t
run_timed(struct part *p, uint64_t i, uint64_t end)
{
	const struct job *job = p->job;
	for (; i < end && !load_relaxed(&job->stop); i++) {
		struct item item = {
			p->fn, job->in_bytes ? p->in + i * job->in_bytes : NULL, job->in_bytes,
			job->out_bytes ? p->out + i * job->out_bytes : NULL, job->out_bytes,
			i, job->timeout,
		};
		int code = task_run(p->self, &item, i);
		if (code < 0)
			settle_failure(p, i, code);
	}
	return i;
}

/*
 * Some nanoseconds an item beside what it does. What a task may take for its own to change is
 * written anew for each; the fences keep the compiler from putting two of these stores together in
 * a vector register, which takes it longer than the stores.
 */
static uint64_t
run_untimed(struct part *p, uint64_t i, uint64_t end)
{
	const struct job *job = p->job;
	const size_t in_bytes = job->in_bytes, out_bytes = job->out_bytes;
	shoal_task_fn *const fn = p->fn;
	const char *in = in_bytes ? p->in + i * in_bytes : NULL;
	char *out = out_bytes ? p->out + i * out_bytes : NULL;
	word64 *at = &p->self->seat->at;
	shoal_task task = { .context = p->self->context, .internal_ = { p->self } };
	word64 *last = &task_end;
	store_relaxed(last, end);
	while (i < load_relaxed(last) && likely(!load_relaxed(&job->stop))) {
		task.index = i++;
		task.out = out;
		fence_compiler();
		store_release(at, i);
		task.in = in;
		fence_compiler();
		task.in_bytes = in_bytes;
		task.out_bytes = out_bytes;
		in += in_bytes;
		out += out_bytes;
		int code = fn(&task);
		if (unlikely(code < 0))
			settle_untimed(p, i - 1, code);
	}
	if (task_in_child())
		task_end_child(0);
	return i;
}

/*
 * The first load from a window maps all of its pages into this process, to be written too; the
 * stores would meet a fault in each page, which in the first map takes them longer than the items.
 */
static void
touch(const char *at, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += WINDOW_BYTES)
		*(const volatile char *)(at + i);
}

/* The items of a chunk from `i` to before `end`. */
static void
run_items(struct part *p, uint64_t i, uint64_t end)
{
	touch(p->out + i * p->job->out_bytes, (end - i) * p->job->out_bytes);
	p->self->text_at = 0;
	i = p->job->timeout ? run_timed(p, i, end) : run_untimed(p, i, end);
	for (; i < end; i++)
		settle_failure(p, i, CODE_UNBEGUN);
}

static bool
run_chunk(struct part *p, uint64_t c)
{
	const struct job *job = p->job;
	uint32_t me = p->self->number;
	uint64_t word = load_acquire(&p->words[c]);
	if (chunk_state(word) != CHUNK_FREE)
		return true;
	uint64_t first = chunk_first(word);
	p->now = c;
	p->word = chunk_word(first, chunk_tries(word), me, CHUNK_CLAIMED) | (word & CHUNK_CODES);
	if (!cas64_acq_rel(&p->words[c], word, p->word))
		return true;
	uint64_t begin = c * job->chunk, end = begin + job->chunk;
	run_items(p, begin + first, end < job->count ? end : job->count);
	stream_flush_written(); /* a pool's end takes the worker by SIGTERM, with its buffers */
	/* [J.1] released here, acquired with the rows: what the items wrote is whole. */
	store_release(&p->words[c], chunk_word(0, 0, me, CHUNK_DONE) | (p->word & CHUNK_CODES));
	task_idle(p->self);
	store_release(&p->row->chunks, ++p->chunks);
	return !p->left || --*p->left > 0;
}

static void
run_chunks(struct part *p)
{
	struct job *job = p->job;
	for (;;) {
		uint64_t c = fetch_add_relaxed(&job->next, 1) * LINE_WORDS;
		if (c >= job->chunks)
			break;
		uint64_t end = c + LINE_WORDS < job->chunks ? c + LINE_WORDS : job->chunks;
		for (; c < end; c++)
			if (!run_chunk(p, c))
				return;
	}
	for (uint64_t c = 0; c < job->chunks; c++)
		if (!run_chunk(p, c))
			return;
}

/* Whoever stores its row last sees all the others'. */
static void
look_whether_all(struct self *self, struct job *job)
{
	const struct row *rows = arena_at(self->arena, job->rows);
	uint64_t sum = 0;
	fence_seq_cst();
	for (uint32_t i = 0; i <= self->head->workers; i++)
		sum += load_acquire(&rows[i].chunks);
	if (sum != job->chunks || exchange_seq_cst(&job->complete, 1))
		return;
	futex_wake(&job->complete, FUTEX_ALL);
	if (load_seq_cst(&job->tell) && exchange_seq_cst(&self->head->bell, 0))
		futex_wake(&self->head->bell, FUTEX_ALL);
}

static void
take_part(struct self *self, struct job *job, uint32_t *left)
{
	struct row *row = (struct row *)arena_at(self->arena, job->rows) + self->number;
	struct part p = {
		.self = self, .job = job, .row = row, .left = left,
		.words = arena_at(self->arena, job->words),
		.codes = arena_at(self->arena, job->codes),
		.fn = task_function(self, job->function),
		.in = area(self, job->in_theirs, job->in),
		.out = area(self, job->out_theirs, job->out),
		.chunks = load_relaxed(&row->chunks),
	};
	run_chunks(&p);
	look_whether_all(self, job);
}

void
chunk_work(struct self *self, uint64_t id, uint32_t *left)
{
	uint32_t index = id_index(id);
	store_seq_cst(&self->seat->job, id);
	/*
	 * The place first, acquired against its release in map.c's enter, the id behind it: with a
	 * later job's place comes that map_end.c's retire took this id away. The other way about a
	 * place could be read when the job is over and another one begun, which the seat does not
	 * name.
	 */
	uint64_t at = index < POOL_JOBS ? load_acquire(&self->head->job_at[index]) : 0;
	if (at && load_seq_cst(&self->head->jobs[index]) == id)
		take_part(self, arena_at(self->arena, at), left);
	store_release(&self->seat->job, 0);
}
