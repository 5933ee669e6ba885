#include "pool/functions.h"
#include "base/error.h"
#include <dlfcn.h>

static uint32_t
place(uint64_t pointer)
{
	return (uint32_t)(pointer * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (POOL_FUNCTIONS - 1);
}

/* A module without a build-id is found by its address alone, which fork keeps. */
static int
enter(struct pool_head *head, struct function *f, any_function *fn)
{
	f->referred = code_refer(fn, &f->ref) == 0;
	if (!f->referred && head->method != SHOAL_FORK)
		return -EINVAL;
	store_release(&f->pointer, (uintptr_t)fn);
	return 0;
}

int
function_number(struct pool_head *head, any_function *fn, uint32_t *number)
{
	uint64_t pointer = (uintptr_t)fn;
	uint32_t at = place(pointer);
	for (uint32_t i = 0; i < POOL_FUNCTIONS; i++, at = (at + 1) & (POOL_FUNCTIONS - 1)) {
		struct function *f = &head->functions[at];
		uint64_t there = load_relaxed(&f->pointer);
		if (there && there != pointer)
			continue;
		*number = at;
		return there ? 0 : enter(head, f, fn);
	}
	return fail(-ENOMEM, "a pool knows up to %u different functions", POOL_FUNCTIONS);
}

/* A worker that was forked before the module was loaded does not have it. */
static any_function *
by_address(uint64_t pointer)
{
	Dl_info where;
	return dladdr((void *)(uintptr_t)pointer, &where) ? (any_function *)(uintptr_t)pointer : NULL;
}

any_function *
function_find(const struct pool_head *head, uint32_t number)
{
	static any_function *known[POOL_FUNCTIONS];
	if (number >= POOL_FUNCTIONS)
		return NULL;
	const struct function *f = &head->functions[number];
	any_function *fn = known[number];
	if (fn)
		return fn;
	uint64_t pointer = load_acquire(&f->pointer);
	if (!f->referred)
		fn = head->method == SHOAL_FORK ? by_address(pointer) : NULL;
	else if (code_find(&f->ref, &fn) < 0)
		fn = NULL;
	return known[number] = fn;
}
