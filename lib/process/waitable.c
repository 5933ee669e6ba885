#include "process/waitable.h"
#include "base/error.h"

static const struct waitable_kind *kinds[WAITABLE_KINDS];

void
waitable_define(uint32_t kind, const struct waitable_kind *ops)
{
	if (kind >= WAITABLE_KINDS || kinds[kind])
		stop("the kind of waitable %u is defined already, or too large", kind);
	kinds[kind] = ops;
}

const struct waitable_kind *
waitable_kind_of(uint32_t kind)
{
	return kind < WAITABLE_KINDS ? kinds[kind] : NULL;
}
