/*
 * Crash points, in task_slot: named in pool/shared.h. In task_run: seat->at names the item from
 * before its first instruction to after its last, so a death in between is that item's; and so is
 * one while what it printed is written out, where it has a time before that has ended.
 */
#include "pool/task.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/stream.h"
#include "pool/functions.h"
#include "pool/crate.h"
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a task's children ---- */

/* As a process that task->fn is the main function of, without what its parent has to do at exit. */
void
task_end_child(int code)
{
	_exit(code < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- one item ---- */

static void
begin_time(struct self *self, const struct item *i)
{
	int64_t deadline = clock_deadline(i->timeout);
	store_release(&self->seat->deadline, (uint64_t)deadline);
}

/* The supervisor has given the item its end: nothing that it did counts any more. */
static void
end_time(struct self *self)
{
	uint64_t deadline = load_relaxed(&self->seat->deadline);
	if (deadline != SEAT_OVERDUE && cas64_acq_rel(&self->seat->deadline, deadline, 0))
		return;
	for (;;)
		direct_pause();
}

int
task_run(struct self *self, const struct item *i, uint64_t at)
{
	shoal_task task = {
		.in = i->in, .in_bytes = i->in_bytes, .out = i->out, .out_bytes = i->out_bytes,
		.index = i->index, .context = self->context, .internal_ = { self },
	};
	self->replied = false;
	self->text[0] = 0;
	/* Named before its time begins: whoever finds the time up finds the right item. */
	store_release(&self->seat->at, at + 1);
	if (unlikely(i->timeout))
		begin_time(self, i);
	int rc = i->fn(&task);
	if (task_in_child())
		task_end_child(rc);
	if (unlikely(i->timeout)) {
		stream_flush_written(); /* whoever does not read it does not hold the item up for ever */
		end_time(self);
	}
	return rc < 0 ? rc : 0;
}

static struct self *
self_of(shoal_task *task, const char *call)
{
	if (!task || !task->internal_[0]) {
		fail(-EINVAL, "%s: the task is NULL, or not one of a pool", call);
		return NULL;
	}
	return task->internal_[0];
}

int
shoal_task_fail(shoal_task *task, const char *format, ...)
{
	struct self *self = self_of(task, "task fail");
	if (!self)
		return -EINVAL;
	va_list args;
	va_start(args, format);
	vsnprintf(self->text, sizeof self->text, format, args);
	va_end(args);
	self->text_at = load_relaxed(&self->seat->at);
	return fail(-EIO, "%s", self->text);
}

static int
reply_in_place(struct self *self, shoal_task *task, const void *data, size_t bytes)
{
	if (bytes > task->out_bytes)
		return fail_small(bytes, "task reply: %zu bytes, and there is room for %zu", bytes,
		                  task->out_bytes);
	if (bytes)
		memmove(task->out, data, bytes);
	/* A map knows no lengths: there the rest stays what the task made it. */
	if (self->slot && bytes < task->out_bytes)
		memset((char *)task->out + bytes, 0, task->out_bytes - bytes);
	self->reply_bytes = bytes;
	self->replied = true;
	return 0;
}

/*
 * The new crate comes before the old one goes: a reply that finds no room leaves the earlier one.
 *
 * Crash points: both crates have a name all the time, in the slot or in the seat, and some have two
 * for a moment. The supervisor gives back what any of the names tells.
 */
static int
reply_apart(struct self *self, const void *data, size_t bytes)
{
	struct slot *s = self->slot;
	struct seat *seat = self->seat;
	uint64_t old = load_relaxed(&s->reply), at = 0;
	if (bytes > INLINE_BYTES) {
		int rc = crate_take(self->arena, self->id, bytes, &seat->making, &at);
		if (rc < 0) {
			store_release(&seat->making, 0);
			return rc;
		}
	}
	if (bytes)
		memcpy(at ? arena_at(self->arena, at) : s->inline_out, data, bytes);
	store_release(&seat->giving, old);
	store_release(&s->reply, at);
	store_release(&seat->making, 0);
	s->reply_bytes = bytes;
	self->reply_bytes = bytes;
	self->replied = true;
	crate_give(self->arena, old);
	store_release(&seat->giving, 0);
	return 0;
}

int
shoal_task_reply(shoal_task *task, const void *data, size_t bytes)
{
	struct self *self = self_of(task, "task reply");
	if (!self)
		return -EINVAL;
	if (!data && bytes)
		return fail(-EINVAL, "task reply: data is NULL, and %zu bytes long", bytes);
	/* The worker may be at another item by now. */
	if (task_in_child())
		return fail(-EPERM, "task reply: process %d is a child that the task forked; the task "
		            "itself replies", (int)getpid());
	if (self->slot && load_relaxed(&self->slot->flags) & SLOT_ANY)
		return reply_apart(self, data, bytes);
	return reply_in_place(self, task, data, bytes);
}

static int
unknown(shoal_task *task)
{
	shoal_task_fail(task, "this worker does not have the task's function: it is in no library that "
	                "was loaded when the worker began");
	return -ENOENT;
}

shoal_task_fn *
task_function(const struct self *self, uint32_t number)
{
	any_function *fn = function_find(self->head, number);
	return fn ? (shoal_task_fn *)fn : unknown;
}

/* ---- a slot ---- */

static void
keep_text(struct self *self, struct slot *s, uint64_t i)
{
	char *texts = arena_at(self->arena, self->head->texts);
	if (s->text_of)
		return;
	memcpy(texts + id_index(self->id) * TEXT_BYTES, self->text, TEXT_BYTES);
	fence_compiler(); /* half of it is never told: whoever dies before here has left none */
	s->text_of = (uint32_t)i + 1;
}

static int64_t
run_item(struct self *self, struct slot *s, shoal_task_fn *fn, uint64_t i)
{
	bool has_out = load_relaxed(&s->flags) & SLOT_OUT;
	struct item item = {
		.fn = fn, .in = s->in_bytes ? arena_at(self->arena, s->in + i * s->in_bytes) : NULL,
		.in_bytes = s->in_bytes, .index = s->index + i, .timeout = s->timeout,
		.out = has_out ? arena_at(self->arena, s->out + i * s->out_bytes) : NULL,
		.out_bytes = s->out_bytes,
	};
	int rc = task_run(self, &item, i);
	if (rc < 0)
		keep_text(self, s, i);
	return rc < 0 ? rc : (int64_t)(self->replied ? self->reply_bytes : s->out_bytes);
}

static void
run_items(struct self *self, struct slot *s)
{
	shoal_task_fn *fn = task_function(self, s->function);
	struct answer *a = s->items > 1 ? arena_at(self->arena, s->crate) : &s->answer;
	for (uint64_t i = load_relaxed(&s->first); i < s->items; i++) {
		bool stopped = load_relaxed(&s->flags) & SLOT_STOP;
		a[i].value = stopped ? ANSWER_UNBEGUN : run_item(self, s, fn, i);
	}
}

static void
tell(struct self *self, struct slot *s, uint64_t id)
{
	struct pool_head *h = self->head;
	word64 *done = arena_at(self->arena, h->done);
	uint32_t index = id_index(id), tag = id_tag(id);
	fetch_or_seq_cst(&done[index / 64], UINT64_C(1) << index % 64);
	if (load_seq_cst(&s->wait) == tag && cas32_seq_cst(&s->wait, tag, 0))
		futex_wake(&s->wait, FUTEX_ALL);
	bool due = (load_relaxed(&s->flags) & SLOT_TELL) || load_seq_cst(&h->wanted);
	if (due && exchange_seq_cst(&h->bell, 0))
		futex_wake(&h->bell, FUTEX_ALL);
}

bool
task_slot(struct self *self, uint64_t id)
{
	struct slot *s = (struct slot *)arena_at(self->arena, self->head->slots) + id_index(id);
	uint64_t generation = id_generation(id);
	uint64_t running = slot_word(generation, self->number, SLOT_RUNNING);
	if (!cas64_acq_rel(&s->state, slot_word(generation, 0, SLOT_QUEUED), running))
		return false;
	self->slot = s;
	self->id = id;
	run_items(self, s);
	self->slot = NULL;
	stream_flush_written();
	/* [P.1] released here, acquired by slot_harvest: the answers are whole. */
	bool mine = cas64_seq_cst(&s->state, running, slot_word(generation, 0, SLOT_DONE));
	/* Not before: RUNNING without an item is a task that was not begun. */
	task_idle(self);
	if (mine)
		tell(self, s, id);
	return true;
}
