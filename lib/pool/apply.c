#include "base/clock.h"
#include "base/error.h"
#include "pool/slot.h"
#include <stdlib.h>

static int
check_task(const struct shoal_pool *p, const char *call, shoal_task_fn *fn, const void *in,
           size_t in_bytes, size_t out_bytes)
{
	int rc = pool_check(p, call);
	if (rc < 0)
		return rc;
	if (!fn)
		return fail(-EINVAL, "%s: no function", call);
	if (!in && in_bytes)
		return fail(-EINVAL, "%s: in is NULL, and %zu bytes long", call, in_bytes);
	if (in_bytes > LIMIT_MAX || out_bytes > LIMIT_MAX)
		return fail(-EOVERFLOW, "%s: %zu bytes of input and %zu of result", call, in_bytes,
		            out_bytes);
	return 0;
}

/* Not pending any more, or never: whoever settles it now has it to the end. */
static void
withdraw(struct shoal_pool *p, struct shoal_result *r)
{
	if (result_take_this(p, r)) {
		slot_recall(p, r->id);
		result_fail(r, -ECANCELED, NULL);
		result_ready(r);
		return;
	}
	while (load_acquire(&r->state) != RESULT_READY)
		futex_wait(&r->state, load_acquire(&r->state), clock_now() + FUTEX_SLICE_NS);
}

/* It was not sent: both holds are the caller's. */
static void
never_mind(struct shoal_result *r)
{
	result_drop(r);
	result_drop(r);
}

int
shoal_pool_apply(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes, void *out,
                 size_t out_bytes)
{
	int rc = check_task(p, "pool apply", fn, in, in_bytes, out_bytes);
	if (rc < 0)
		return rc;
	if (!out && out_bytes)
		return fail(-EINVAL, "pool apply: out is NULL, and %zu bytes long", out_bytes);
	if (pool_in_callback(p))
		return fail(-EDEADLK, "pool apply: in a callback of this pool");
	struct shoal_result *r = result_new(p);
	if (!r)
		return -ENOMEM;
	r->to = out_bytes ? out : NULL;
	r->to_bytes = out_bytes;
	struct errand e = { .call = "pool apply", .fn = fn, .in = in, .in_bytes = in_bytes,
		                .out_bytes = out_bytes, .items = 1, .deadline = CLOCK_NEVER,
		                .result = r };
	rc = slot_send(p, &e);
	if (rc < 0) {
		never_mind(r);
		return rc;
	}
	rc = result_await(r, "pool apply", CLOCK_NEVER, false);
	if (rc < 0)
		withdraw(p, r);
	else if (r->code < 0)
		rc = fail(r->code, "%s", r->text ? r->text : shoal_strerror(r->code));
	result_drop(r);
	return rc;
}

int
shoal_pool_apply_async(shoal_pool *p, shoal_task_fn *fn, const void *in, size_t in_bytes,
                       shoal_done_fn *done, void *arg, shoal_result **out)
{
	if (out)
		*out = NULL;
	int rc = check_task(p, "pool apply_async", fn, in, in_bytes, 0);
	if (rc < 0)
		return rc;
	struct shoal_result *r = result_new(p);
	if (!r)
		return -ENOMEM;
	r->done = done;
	r->called = done != NULL;
	r->arg = arg;
	struct errand e = { .call = "pool apply_async", .fn = fn, .in = in, .in_bytes = in_bytes,
		                .items = 1, .deadline = CLOCK_NEVER, .tell = done || !out,
		                .any_length = true, .result = r };
	if (out)
		*out = r;
	rc = slot_send(p, &e);
	if (rc < 0) {
		never_mind(r);
		if (out)
			*out = NULL;
	} else if (!out) {
		result_drop(r);
	}
	return rc;
}
