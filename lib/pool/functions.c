#include "pool/functions.h"
#include "base/error.h"

static uint32_t
place(uint64_t pointer)
{
	return (uint32_t)(pointer * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (POOL_FUNCTIONS - 1);
}

int
function_number(struct pool_head *head, any_function *fn, uint32_t *number)
{
	uint64_t pointer = (uintptr_t)fn;
	uint32_t at = place(pointer);
	for (uint32_t i = 0; i < POOL_FUNCTIONS; i++, at = (at + 1) & (POOL_FUNCTIONS - 1)) {
		uint64_t there = load_relaxed(&head->functions[at]);
		if (there && there != pointer)
			continue;
		store_release(&head->functions[at], pointer);
		*number = at;
		return 0;
	}
	return fail(-ENOMEM, "a pool knows up to %u different functions", POOL_FUNCTIONS);
}

any_function *
function_find(const struct pool_head *head, uint32_t number)
{
	if (number >= POOL_FUNCTIONS)
		return NULL;
	return (any_function *)(uintptr_t)load_acquire(&head->functions[number]);
}
