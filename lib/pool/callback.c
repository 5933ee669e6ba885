#include "pool/callback.h"
#include "base/clock.h"
#include "base/futex.h"
#include "pool/map.h"

/* The pool whose callback this thread is running. */
static __thread struct shoal_pool *here;

bool
pool_in_callback(const struct shoal_pool *p)
{
	return here == p;
}

void
callback_wake(struct shoal_pool *p)
{
	fetch_add_seq_cst(&p->calls, 1);
	futex_wake(&p->calls, 1);
}

void
callback_put(struct shoal_result *r)
{
	struct shoal_pool *p = pool_hold(r->pool);
	store_release(&r->put, 1);
	cds_wfcq_enqueue(&p->calls_head, &p->calls_tail, &r->call);
	callback_wake(p);
	pool_drop(p);
}

static struct shoal_result *
next(struct shoal_pool *p)
{
	struct cds_wfcq_node *node = cds_wfcq_dequeue_blocking(&p->calls_head, &p->calls_tail);
	if (!node)
		return NULL;
	struct shoal_result *r = caa_container_of(node, struct shoal_result, call);
	(void)load_acquire(&r->put);
	return r;
}

static void
run(struct shoal_pool *p, struct shoal_result *r)
{
	bool heard = !load_acquire(&r->dropped) && !load_relaxed(&p->mute);
	if (heard && r->map)
		map_progress_last(r->map);
	bool has = r->code >= 0 || (r->map && r->whole);
	if (heard && r->done)
		r->done(r->arg, r->code, has ? r->data : NULL, has ? r->bytes : 0, r->text);
	result_ready(r);
}

static void *
live(void *arg)
{
	struct shoal_pool *p = here = arg;
	pool_thread_begin(p);
	for (;;) {
		uint32_t seen = load_seq_cst(&p->calls);
		struct shoal_result *r = next(p);
		if (r) {
			run(p, r);
			continue;
		}
		int64_t deadline = map_progress(p);
		if (load_seq_cst(&p->over) && !load_seq_cst(&p->due))
			break;
		futex_wait(&p->calls, seen, deadline);
	}
	pool_thread_end(p);
	return NULL;
}

int
callback_start(struct shoal_pool *p)
{
	return pool_thread(p, live);
}

void
callback_stop(struct shoal_pool *p)
{
	store_seq_cst(&p->over, 1);
	callback_wake(p);
}
