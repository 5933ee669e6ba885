#include "pool/result.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/notice.h"
#include "pool/callback.h"
#include "pool/map.h"
#include "pool/results.h"
#include "pool/slot.h"
#include <stdlib.h>
#include <string.h>

#define GRAVE_FULL 64

/* ---- memory ---- */

static word64 grave; /* struct shoal_result *, linked by `next` */
static word32 graves;

static void
destroy(struct shoal_result *r)
{
	uint32_t notice = load_relaxed(&r->notice);
	if (notice)
		notice_close((int)notice - 1);
	if (!r->borrowed && r->data != r->small)
		free(r->data);
	free(r->text);
	free(r->map);
	free(r);
}

static void
empty_grave(void)
{
	struct shoal_result *r = (struct shoal_result *)(uintptr_t)exchange_acq_rel(&grave, 0);
	if (!r)
		return;
	pool_await_readers();
	for (struct shoal_result *next; r; r = next) {
		next = r->next;
		destroy(r);
	}
}

static void
bury(struct shoal_result *r)
{
	do
		r->next = (struct shoal_result *)(uintptr_t)load_relaxed(&grave);
	while (!cas64_acq_rel(&grave, (uintptr_t)r->next, (uintptr_t)r));
	if (fetch_add_relaxed(&graves, 1) % GRAVE_FULL == GRAVE_FULL - 1)
		empty_grave();
}

/* Leak checkers look after this. */
__attribute__((destructor)) static void
end_process(void)
{
	empty_grave();
}

struct shoal_result *
result_new(struct shoal_pool *p)
{
	struct shoal_result *r = calloc(1, sizeof *r);
	if (!r) {
		fail(-ENOMEM, "no memory for a task's result");
		return NULL;
	}
	store_relaxed(&r->references, 2);
	r->generation = p->generation;
	r->pool = p;
	cds_lfht_node_init(&r->node);
	cds_wfcq_node_init(&r->call);
	return r;
}

void
result_drop(struct shoal_result *r)
{
	if (fetch_add_seq_cst(&r->references, -1u) == 1)
		bury(r);
}

/*
 * One that is not READY keeps its pool: by the handle, by the threads that settle it, by whoever
 * takes it in. So a pool that nothing holds any more has none, and this one is READY by now.
 */
struct shoal_pool *
result_pool(const struct shoal_result *r)
{
	rcu_read_lock();
	bool over = load_acquire(&r->state) == RESULT_READY;
	struct shoal_pool *p = over ? NULL : pool_hold_used(r->pool);
	rcu_read_unlock();
	return p;
}

void
result_count(struct shoal_pool *p, const struct shoal_result *r)
{
	if (r->called)
		fetch_add_seq_cst(&p->due, 1);
	pool_count(p, 1);
}

void
result_uncount(struct shoal_pool *p, bool called)
{
	if (called && fetch_add_seq_cst(&p->due, -1u) == 1 && load_seq_cst(&p->over))
		callback_wake(p);
	pool_uncount(p, 1);
}

/* ---- pending ---- */

static unsigned long
hash(uint64_t id)
{
	return (unsigned long)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20);
}

static int
match(struct cds_lfht_node *node, const void *id)
{
	const struct shoal_result *r = caa_container_of(node, struct shoal_result, node);
	return load_acquire(&r->shown) && r->id == *(const uint64_t *)id;
}

void
result_add(struct shoal_pool *p, struct shoal_result *r)
{
	store_release(&r->shown, 1);
	rcu_read_lock();
	cds_lfht_add(p->pending, hash(r->id), &r->node);
	rcu_read_unlock();
}

/* The deletion is the one step that decides. */
struct shoal_result *
result_take(struct shoal_pool *p, uint64_t id)
{
	struct cds_lfht_iter at;
	rcu_read_lock();
	cds_lfht_lookup(p->pending, hash(id), match, &id, &at);
	struct cds_lfht_node *node = cds_lfht_iter_get_node(&at);
	bool mine = node && !cds_lfht_del(p->pending, node);
	rcu_read_unlock();
	return mine ? caa_container_of(node, struct shoal_result, node) : NULL;
}

bool
result_take_this(struct shoal_pool *p, struct shoal_result *r)
{
	rcu_read_lock();
	bool mine = load_acquire(&r->shown) && !cds_lfht_del(p->pending, &r->node);
	rcu_read_unlock();
	return mine;
}

/* ---- settling ---- */

void
result_fail(struct shoal_result *r, int code, const char *text)
{
	r->code = code;
	r->bytes = 0;
	r->length = 0;
	r->text = strdup(text && *text ? text : shoal_strerror(code));
}

void *
result_room(struct shoal_result *r, size_t bytes)
{
	r->data = bytes <= sizeof r->small ? r->small : malloc(bytes);
	if (!r->data) {
		result_fail(r, -ENOMEM, "no memory for the task's result");
		return NULL;
	}
	r->bytes = bytes;
	r->length = (ssize_t)bytes;
	return r->data;
}

void
result_deliver(struct shoal_result *r)
{
	if (r->called)
		callback_put(r);
	else
		result_ready(r);
}

void
result_overtaken(struct shoal_pool *p, struct shoal_result *r)
{
	fence_seq_cst();
	if (load_seq_cst(&p->phase) < POOL_ENDING || !result_take_this(p, r))
		return;
	pthread_mutex_lock(&p->lock);
	result_fail(r, p->broken ? p->broken : -ECANCELED, p->reason);
	pthread_mutex_unlock(&p->lock);
	result_deliver(r);
}

/* The pool may be gone as soon as its count of the unsettled falls: that comes last but one. */
void
result_ready(struct shoal_result *r)
{
	struct shoal_pool *p = r->pool;
	struct shoal_results *it = r->it;
	bool called = r->called;
	if (it && !load_relaxed(&r->dropped))
		results_note(it, r);
	if (exchange_seq_cst(&r->state, RESULT_READY) == RESULT_AWAITED)
		futex_wake(&r->state, FUTEX_ALL);
	uint32_t notice = load_seq_cst(&r->notice);
	if (notice)
		notice_raise((int)notice - 1);
	if (it)
		results_drop(it);
	result_drop(r);
	result_uncount(p, called);
}

void
result_discard(struct shoal_result *r)
{
	store_seq_cst(&r->dropped, 1);
	struct shoal_pool *p = result_pool(r);
	if (p && result_take_this(p, r)) {
		if (r->map)
			map_stop(p, r->map);
		else if (!slot_recall(p, r->id))
			slot_stop(p, r->id);
		result_fail(r, -ECANCELED, NULL);
		result_ready(r);
	} else if (p && r->map) {
		map_await_written(r->map);
	}
	if (p)
		pool_drop(p);
	result_drop(r);
}

/* ---- what users ask ---- */

static int
check(const struct shoal_result *r, const char *call)
{
	if (!r)
		return fail(-EINVAL, "%s: the result is NULL", call);
	thread_self();
	if (r->generation != thread_generation())
		return fail(-EPERM, "%s: the result is another process's", call);
	return 0;
}

static int
await(struct shoal_result *r, const char *call, int64_t deadline, bool now)
{
	struct shoal_pool *p = result_pool(r);
	if (!p)
		return 0;
	int rc = result_await(r, call, deadline, now);
	pool_drop(p);
	return rc;
}

bool
shoal_result_ready(const shoal_result *r)
{
	if (check(r, "result ready") < 0)
		return false;
	return await((shoal_result *)(uintptr_t)r, "result ready", 0, true) == 0;
}

int
shoal_result_wait(shoal_result *r, shoal_time timeout)
{
	int rc = check(r, "result wait");
	return rc < 0 ? rc : await(r, "result wait", clock_deadline(timeout), timeout <= 0);
}

ssize_t
shoal_result_get(shoal_result *r, void *out, size_t out_bytes, shoal_time timeout)
{
	ssize_t rc = check(r, "result get");
	if (rc == 0 && !out && out_bytes)
		rc = fail(-EINVAL, "result get: out is NULL, and %zu bytes long", out_bytes);
	if (rc == 0)
		rc = await(r, "result get", clock_deadline(timeout), timeout <= 0);
	if (rc < 0)
		return rc;
	if (r->code < 0 && !(r->map && r->whole))
		return fail(r->code, "%s", r->text ? r->text : shoal_strerror(r->code));
	if (r->map || r->borrowed) /* its results are where the caller wanted them */
		return r->length;
	if (r->bytes > out_bytes)
		return fail_small(r->bytes, "the result has %zu bytes, the buffer %zu", r->bytes,
		                  out_bytes);
	if (r->bytes)
		memcpy(out, r->data, r->bytes);
	return r->length;
}

/*
 * A map of which nothing runs any more is over by now, unless another thread takes it in just at
 * this moment: then that is waited for, as it copies. Callbacks are not.
 */
static void
await_taken(struct shoal_result *r)
{
	if (r->called || load_acquire(&r->map->taking) == MAP_LEFT)
		return;
	cas32_seq_cst(&r->state, RESULT_PENDING, RESULT_AWAITED);
	while (load_acquire(&r->state) != RESULT_READY)
		futex_wait(&r->state, RESULT_AWAITED, CLOCK_NEVER);
}

static int
cancel(struct shoal_pool *p, struct shoal_result *r)
{
	if (result_await(r, "result cancel", 0, true) == 0 || load_acquire(&r->put) ||
	    (r->map && !map_stop(p, r->map)))
		return fail(-EALREADY, "result cancel: the task has ended");
	if (r->map) {
		await_taken(r);
		return 0;
	}
	if (!slot_recall(p, r->id))
		return fail(-EBUSY, "result cancel: the task runs");
	if (result_take_this(p, r)) {
		result_fail(r, -ECANCELED, "the task was cancelled");
		result_deliver(r);
	}
	return 0;
}

int
shoal_result_cancel(shoal_result *r)
{
	int rc = check(r, "result cancel");
	if (rc < 0)
		return rc;
	struct shoal_pool *p = result_pool(r);
	if (!p)
		return fail(-EALREADY, "result cancel: the task has ended");
	rc = cancel(p, r);
	pool_drop(p);
	return rc;
}

void
shoal_result_free(shoal_result *r)
{
	if (r && check(r, "result free") == 0)
		result_discard(r);
}

int
shoal_result_code(const shoal_result *r)
{
	int rc = check(r, "result code");
	if (rc < 0)
		return rc;
	return shoal_result_ready(r) ? r->code : -EAGAIN;
}

const char *
shoal_result_error(const shoal_result *r)
{
	if (check(r, "result error") < 0 || !shoal_result_ready(r) || !r->text)
		return "";
	return r->text;
}
