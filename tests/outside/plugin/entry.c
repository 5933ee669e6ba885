/* A library that is loaded by name and has a function of a name that the program has, too. */
#include <shoal/process.h>

static int
other(void *unused)
{
	(void)unused;
	return 1;
}
SHOAL_ENTRY(outside_by_name, other);
