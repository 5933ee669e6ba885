/* How a pool begins: its options, its arena, its first workers, its threads. */
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/notice.h"
#include "pool/callback.h"
#include "pool/create.h"
#include "pool/collector.h"
#include "pool/crew.h"
#include "pool/end.h"
#include "pool/functions.h"
#include "pool/crate.h"
#include "pool/supervisor.h"
#include "process/method.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_DEFAULT 4096u
#define RETRIES_DEFAULT 3u
#define RETRIES_MOST 200u
#define BUCKETS 1024u
#define ROOM_PER_TASK 2u /* places of the work queue: messages come twice after deaths */

/* ---- options ---- */

/*
 * Tasks are mostly written for workers that see the program as it was, with its globals and its
 * context, which only forked ones do; a program with threads that must not be forked says so.
 */
static shoal_start_method
method_of_pool(const shoal_pool_options *o)
{
	shoal_start_method method = o->method;
	if (method == SHOAL_START_DEFAULT)
		method = (shoal_start_method)method_chosen();
	return method == SHOAL_START_DEFAULT ? SHOAL_FORK : method;
}

static int
check_options(const shoal_pool_options *o)
{
	for (size_t i = 0; i < sizeof o->reserved_ / sizeof *o->reserved_; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "pool options: reserved_ is not zero");
	if (o->workers > POOL_WORKERS_MAX)
		return fail(-EINVAL, "a pool has up to %u workers, not %u", POOL_WORKERS_MAX,
		            o->workers);
	if (o->queue_depth > POOL_DEPTH_MAX)
		return fail(-EINVAL, "queue_depth is at most %u, not %u", POOL_DEPTH_MAX,
		            o->queue_depth);
	if (o->retries_max > RETRIES_MOST)
		return fail(-EINVAL, "retries_max is at most %u, not %u", RETRIES_MOST, o->retries_max);
	if ((unsigned)o->on_death > SHOAL_BREAK_POOL)
		return fail(-EINVAL, "there is no policy %d for deaths", (int)o->on_death);
	if (o->initializer_arg_bytes && (!o->initializer_arg || !o->initializer))
		return fail(-EINVAL, "initializer_arg_bytes is %zu, without %s",
		            o->initializer_arg_bytes, o->initializer ? "an argument" : "initializer");
	if (o->arena && o->arena->readonly)
		return fail(-EPERM, "pool create: workers cannot attach the options' arena, which is "
		            "attached read-only here");
	if ((unsigned)o->method > SHOAL_SPAWN)
		return fail(-EINVAL, "there is no start method %d", (int)o->method);
	if (method_of_pool(o) != SHOAL_FORK &&
	    (o->context || (o->initializer_arg && !o->initializer_arg_bytes)))
		return fail(-EINVAL, "%s is a pointer, which only fork carries",
		            o->context ? "context" : "initializer_arg without bytes");
	return 0;
}

/* ---- shared memory ---- */

static uint64_t
spaced(uint64_t bytes)
{
	return (bytes + SPACING - 1) & ~(uint64_t)(SPACING - 1);
}

/* Head, seats, bits and slots, one after another, zeroed: FREE and EMPTY are 0. */
static int
lay_out(struct shoal_pool *p, uint32_t workers, uint32_t depth)
{
	uint64_t head = spaced(sizeof(struct pool_head));
	uint64_t seats = (workers + 1) * sizeof(struct seat);
	uint64_t done = spaced((depth + 63) / 64 * sizeof(word64));
	uint64_t slots = depth * sizeof(struct slot);
	void *memory;
	uint64_t bytes = head + seats + done + slots + (uint64_t)depth * TEXT_BYTES;
	int rc = shoal_alloc(p->arena, bytes + SPACING, &memory);
	if (rc < 0)
		return rc;
	uint64_t at = spaced(arena_offset(p->arena, memory));
	struct pool_head *h = p->head = arena_at(p->arena, at);
	h->workers = workers;
	h->depth = depth;
	h->method = (uint32_t)method_of_pool(&p->options);
	h->seats = at + head;
	h->done = h->seats + seats;
	h->slots = h->done + done;
	h->texts = h->slots + slots;
	p->seats = arena_at(p->arena, h->seats);
	p->done = arena_at(p->arena, h->done);
	p->slots = arena_at(p->arena, h->slots);
	return 0;
}

static int
make_queue(struct shoal_pool *p)
{
	uint32_t room = ROOM_PER_TASK * (p->head->depth + p->head->workers);
	shoal_queue_options o = { .capacity = room < 2 ? 2 : room, .slot_bytes = sizeof(uint64_t) };
	int rc = shoal_queue_create(p->arena, NULL, &o, &p->queue);
	if (!rc)
		p->head->queue = shoal_ref_of(p->arena, p->queue);
	return rc;
}

static int
give_initializer(struct shoal_pool *p)
{
	struct pool_head *h = p->head;
	const shoal_pool_options *o = &p->options;
	h->initializer = UINT32_MAX;
	h->initializer_arg = (uintptr_t)o->initializer_arg;
	h->initializer_bytes = o->initializer_arg_bytes;
	int rc = 0;
	if (o->initializer_arg_bytes) {
		rc = crate_take(p->arena, 0, o->initializer_arg_bytes, NULL, &h->initializer_arg);
		if (!rc)
			memcpy(arena_at(p->arena, h->initializer_arg), o->initializer_arg,
			       o->initializer_arg_bytes);
	}
	if (!rc && o->initializer)
		rc = function_number(h, (any_function *)o->initializer, &h->initializer);
	return rc;
}

static int
make_arena(uint32_t workers, shoal_arena **out)
{
	shoal_arena_options o = { .members_max = workers + POOL_HELPERS + POOL_CALLERS_MAX };
	int rc = shoal_arena_create(NULL, &o, out);
	if (!rc)
		store_relaxed(&(*out)->threads_max, POOL_CALLERS_MAX);
	return rc;
}

static int
share(struct shoal_pool *p)
{
	const shoal_pool_options *o = &p->options;
	uint32_t workers = o->workers ? o->workers : shoal_cpu_count();
	uint32_t depth = o->queue_depth ? o->queue_depth : DEPTH_DEFAULT;
	if (workers > POOL_WORKERS_MAX)
		workers = POOL_WORKERS_MAX;
	int rc = p->arena ? 0 : make_arena(workers, &p->arena);
	if (!rc)
		rc = lay_out(p, workers, depth);
	if (!rc)
		rc = make_queue(p);
	if (!rc)
		rc = give_initializer(p);
	if (rc)
		return rc;
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	_Static_assert(sizeof mask <= sizeof p->head->mask, "a signal mask fits");
	memcpy(p->head->mask, &mask, sizeof mask);
	p->head->context = (uintptr_t)o->context;
	p->head->tasks_per_worker = o->tasks_per_worker;
	return 0;
}

/* ---- private memory ---- */

static int
allocate(struct shoal_pool *p)
{
	uint32_t depth = p->head->depth;
	p->spare = malloc(depth * sizeof *p->spare);
	p->workers = calloc(p->head->workers + 1, sizeof *p->workers);
	p->fds = calloc(p->head->workers + 1, sizeof *p->fds);
	if (!p->spare || !p->workers || !p->fds)
		return fail(-ENOMEM, "no memory for a pool of %u workers", p->head->workers);
	for (uint32_t i = 0; i < depth; i++)
		p->spare[i] = depth - 1 - i;
	p->spare_count = depth;
	p->kick = notice_open();
	return p->kick < 0 ? fail(p->kick, "no descriptor for a pool") : 0;
}

static struct shoal_pool *
blank(const shoal_pool_options *o)
{
	struct shoal_pool *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	/* It looks into a file for how many processors there are. */
	int old = cancel_forbid();
	p->pending = cds_lfht_new_flavor(BUCKETS, BUCKETS, BUCKETS, 0, &rcu_flavor, NULL);
	cancel_restore(old);
	if (!p->pending) {
		free(p);
		return NULL;
	}
	p->generation = thread_generation();
	p->options = *o;
	p->retries_max = o->retries_max ? o->retries_max : RETRIES_DEFAULT;
	p->kick = -1;
	store_relaxed(&p->references, 1);
	pthread_mutex_init(&p->lock, NULL);
	cds_wfcq_init(&p->calls_head, &p->calls_tail);
	return p;
}

int
create_host(const shoal_pool_options *o, shoal_arena *arena, struct shoal_pool **out)
{
	thread_self();
	struct shoal_pool *p = *out = blank(o);
	if (!p)
		return fail(-ENOMEM, "no memory for a pool");
	p->arena = arena;
	int rc = share(p);
	return rc ? rc : allocate(p);
}

/* Workers first: those that are forked before there are threads find no lock taken. */
static int
begin(struct shoal_pool *p)
{
	int rc = 0;
	for (uint32_t i = 1; !rc && i <= p->head->workers; i++)
		rc = crew_start(p, i, false);
	if (rc)
		return rc;
	rc = callback_start(p);
	if (!rc)
		rc = collector_start(p);
	if (!rc)
		rc = supervisor_start(p);
	p->supervised = !rc;
	return rc;
}

int
shoal_pool_create(const shoal_pool_options *options, shoal_pool **out)
{
	static const shoal_pool_options none;
	const shoal_pool_options *o = options ? options : &none;
	if (!out)
		return fail(-EINVAL, "pool create: out is NULL");
	*out = NULL;
	int rc = check_options(o);
	if (rc < 0)
		return rc;
	struct shoal_pool *p;
	rc = create_host(o, NULL, &p);
	if (!rc)
		rc = begin(p);
	if (!rc)
		rc = end_with_process(p);
	if (rc) {
		if (p)
			end_unborn(p);
		return rc;
	}
	*out = p;
	return 0;
}
