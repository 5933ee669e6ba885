#include "process/method.h"
#include "base/atomic.h"
#include "base/error.h"
#include "base/kernel.h"
#include "process/again.h"
#include "process/code.h"

static word32 chosen; /* a shoal_start_method; DEFAULT until one is set */

static bool
exists(shoal_start_method method)
{
	switch (method) {
	case SHOAL_START_DEFAULT:
	case SHOAL_FORK:
	case SHOAL_FORKSERVER:
	case SHOAL_SPAWN:
		return true;
	}
	return false;
}

static const char *
name_of(uint32_t method)
{
	return method == SHOAL_FORK ? "FORK" : method == SHOAL_SPAWN ? "SPAWN" : "FORKSERVER";
}

int
method_check(shoal_start_method method, size_t arg_bytes)
{
	if (!exists(method))
		return fail(-EINVAL, "there is no start method %d", (int)method);
	if ((method == SHOAL_FORKSERVER || method == SHOAL_SPAWN) && !arg_bytes)
		return fail(-EINVAL, "arg is a pointer, which only fork carries; set arg_bytes");
	return 0;
}

/* Whether the program, executed again, has the function. */
static bool
carried(void (*run)(void))
{
	struct code_ref ref;
	return again_possible() && !code_refer(run, &ref) &&
	       (ref.main || ref.name || again_has((void *)(uintptr_t)run));
}

/*
 * A pointer is carried by fork alone. Locks that other threads hold at a fork stay locked in the
 * child, so who has threads gets the server, if it does not need fork.
 */
shoal_start_method
method_of(shoal_start_method method, size_t arg_bytes, int (*run)(void *))
{
	if (method != SHOAL_START_DEFAULT)
		return method;
	if (!arg_bytes)
		return SHOAL_FORK;
	method = (shoal_start_method)load_relaxed(&chosen);
	if (method != SHOAL_START_DEFAULT)
		return method;
	return kernel_threads() > 1 && carried((void (*)(void))run) ? SHOAL_FORKSERVER : SHOAL_FORK;
}

uint32_t
method_chosen(void)
{
	return load_relaxed(&chosen);
}

void
method_inherit(uint32_t method)
{
	store_relaxed(&chosen, method);
}

int
shoal_start_method_set(shoal_start_method method)
{
	if (!exists(method))
		return fail(-EINVAL, "there is no start method %d", (int)method);
	if (method == SHOAL_START_DEFAULT)
		store_relaxed(&chosen, SHOAL_START_DEFAULT);
	else if (!cas32_acq_rel(&chosen, SHOAL_START_DEFAULT, (uint32_t)method))
		return fail(-EALREADY, "the start method is SHOAL_%s by now; set "
		                       "SHOAL_START_DEFAULT first", name_of(load_relaxed(&chosen)));
	return 0;
}

shoal_start_method
shoal_start_method_get(void)
{
	shoal_start_method method = (shoal_start_method)load_relaxed(&chosen);
	return method == SHOAL_START_DEFAULT ? SHOAL_FORK : method;
}

unsigned
shoal_cpu_count(void)
{
	return kernel_cpus();
}
