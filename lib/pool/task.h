/* A task as its worker has it: one item at a time, of a slot or of a job. */
#ifndef POOL_TASK_H
#define POOL_TASK_H

#include "arena/arena.h"
#include "base/thread.h"
#include "pool/shared.h"

/* A worker's process: one thread, no locks. */
struct self {
	shoal_arena *arena;
	shoal_arena *theirs; /* of the pool's options, or NULL */
	struct pool_head *head;
	struct seat *seat;
	uint32_t number; /* of the seat */
	shoal_queue *queue;
	void *context;
	struct slot *slot;  /* of the item that runs; NULL: it is a job's */
	uint64_t id;
	bool replied;
	size_t reply_bytes;
	char text[TEXT_BYTES]; /* of the item that runs; "": none */
	uint64_t text_at;      /* what seat->at was when it was written */
};

/* Where an item is, and what the task is to see. */
struct item {
	shoal_task_fn *fn;
	const void *in;
	size_t in_bytes;
	void *out;
	size_t out_bytes;
	size_t index;
	int64_t timeout;
};

/*
 * Runs the function on it, as number `at` of its slot or job: its code, not above 0. What it
 * replied and its text are in `self`.
 */
int task_run(struct self *self, const struct item *i, uint64_t at);

/*
 * Where the loop over short items ends; not 0 in a worker. In a child that a task or the
 * initializer forked, in whatever way, it is 0, so that the loop need not ask for every item
 * whether it is in one.
 */
#define task_end thread_page.worker

/* Once in each worker: from now on its children know. */
static inline void
task_begin(void)
{
	store_relaxed(&task_end, 1);
}

/* Such a child must not go on as the worker, whose task it would answer too. */
static inline bool
task_in_child(void)
{
	return unlikely(!load_relaxed(&task_end));
}

/* So it ends where the function returns. */
_Noreturn void task_end_child(int code);

/* Of this number; where this worker has no such function, one that says so and fails. */
shoal_task_fn *task_function(const struct self *self, uint32_t number);

/* No item runs any more. Once the slot or chunk is DONE, not before. */
static inline void
task_idle(struct self *self)
{
	store_release(&self->seat->at, 0);
}

/* All items of the slot with this id; false: it is not to be had any more. */
bool task_slot(struct self *self, uint64_t id);

#endif
