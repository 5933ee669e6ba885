/* No object goes into a value as long as nothing can keep it from going away. */
#include "data/reference.h"
#include "base/error.h"

static int
refuse(void)
{
	return fail(-EPERM, "objects do not go into values");
}

int
reference_check(const shoal_arena *a, const shoal_any *object)
{
	(void)a;
	(void)object;
	return refuse();
}

shoal_ref
reference_of(const shoal_any *object)
{
	(void)object;
	return 0;
}

int
reference_pin(shoal_arena *a, shoal_ref ref, shoal_any *out)
{
	(void)a;
	(void)ref;
	(void)out;
	return refuse();
}

int
reference_pin_again(shoal_any *object)
{
	(void)object;
	return refuse();
}

void
reference_unpin(const shoal_any *object)
{
	(void)object;
}
