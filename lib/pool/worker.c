#include "pool/worker.h"
#include "base/error.h"
#include "base/stream.h"
#include "pool/chunk.h"
#include "pool/functions.h"
#include "pool/task.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * The process may have been forked by the supervisor, which blocks all signals; and its host may
 * have a handler for SIGTERM, which is how workers are ended.
 */
static void
set_signals(const struct pool_head *h)
{
	sigset_t mask;
	memcpy(&mask, h->mask, sizeof mask);
	sigdelset(&mask, SIGTERM);
	signal(SIGTERM, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static int
initialize(struct self *self)
{
	const struct pool_head *h = self->head;
	if (h->initializer == UINT32_MAX)
		return 0;
	int (*initializer)(void *) = (int (*)(void *))function_find(h, h->initializer);
	void *arg = h->initializer_bytes ? arena_at(self->arena, h->initializer_arg)
	                                 : (void *)(uintptr_t)h->initializer_arg;
	store_release(&self->seat->phase, SEAT_INITIALIZING);
	int rc = initializer ? initializer(arg) : -ENOENT;
	if (task_in_child())
		task_end_child(rc);
	stream_flush_written();
	if (!rc)
		return 0;
	store_relaxed(&self->seat->code, (uint32_t)(rc < 0 ? rc : -ECANCELED));
	store_release(&self->seat->phase, SEAT_REFUSED);
	return 1;
}

int
worker_once(struct self *self, uint32_t *left, shoal_time timeout)
{
	uint64_t message;
	ssize_t rc = shoal_queue_get(self->queue, &message, sizeof message, timeout);
	if (rc != (ssize_t)sizeof message)
		return rc < 0 ? (int)rc : -EPROTO;
	if (message & ID_JOB) {
		chunk_work(self, message, left);
	} else if (task_slot(self, message) && left) {
		--*left;
	}
	return 0;
}

/* 0: the pool is closed, or the worker has done its share. */
static int
work(struct self *self)
{
	uint32_t left = self->head->tasks_per_worker;
	uint32_t *counted = left ? &left : NULL;
	while (!counted || left > 0) {
		int rc = worker_once(self, counted, SHOAL_FOREVER);
		if (rc < 0 && rc != -ECANCELED)
			return rc != -EPIPE;
	}
	return 0;
}

int
worker_begin(struct self *self, shoal_arena *arena, shoal_arena *theirs,
             const struct worker_order *o)
{
	self->arena = arena;
	self->theirs = theirs;
	self->head = arena_at(self->arena, o->head);
	self->number = o->seat;
	self->seat = (struct seat *)arena_at(self->arena, self->head->seats) + o->seat;
	bool forked = self->head->method == SHOAL_FORK;
	task_begin();
	self->context = forked ? (void *)(uintptr_t)self->head->context : NULL;
	return shoal_queue_at(self->arena, self->head->queue, &self->queue);
}

int
worker_run(void *order)
{
	static struct self self;
	if (worker_begin(&self, shoal_process_arena(0), shoal_process_arena(1), order) < 0)
		return 1;
	set_signals(self.head);
	store_relaxed(&self.seat->pid, (uint32_t)getpid());
	if (initialize(&self))
		return 1;
	store_release(&self.seat->phase, SEAT_WORKING);
	int rc = work(&self);
	if (!rc)
		store_release(&self.seat->phase, SEAT_LEAVING);
	return rc;
}
