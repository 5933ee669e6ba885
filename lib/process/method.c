#include "process/method.h"
#include "base/atomic.h"
#include "base/error.h"
#include "base/kernel.h"

static word32 chosen; /* a shoal_start_method; DEFAULT until one is set */

static int
check(shoal_start_method method)
{
	switch (method) {
	case SHOAL_START_DEFAULT:
	case SHOAL_FORK:
		return 0;
	case SHOAL_FORKSERVER:
	case SHOAL_SPAWN:
		return fail(-ENOSYS, "this version starts processes by fork only; use SHOAL_FORK");
	}
	return fail(-EINVAL, "there is no start method %d", (int)method);
}

int
method_check(shoal_start_method method, size_t arg_bytes)
{
	if ((method == SHOAL_FORKSERVER || method == SHOAL_SPAWN) && !arg_bytes)
		return fail(-EINVAL, "arg is a pointer, which only fork carries; set arg_bytes");
	return check(method);
}

int
shoal_start_method_set(shoal_start_method method)
{
	int rc = check(method);
	if (!rc)
		store_relaxed(&chosen, (uint32_t)method);
	return rc;
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
