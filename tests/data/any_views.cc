// The views of shoal/any.h in C++17; compiled by `ninja check`, where there is a C++ compiler.
#include <shoal/shoal.h>

static int
keep(shoal_any v)
{
	shoal_any copy;
	int rc = shoal_any_copy(&v, &copy);
	shoal_any_clear(&copy);
	return rc;
}

int
any_views(shoal_list *list, char *text, const char *constant)
{
	static_assert(sizeof(shoal_any) == 24, "an any is three words");
	keep(SHOAL_ANY(true));
	keep(SHOAL_ANY(text));
	keep(SHOAL_ANY(constant));
	keep(SHOAL_ANY(list));
	keep(SHOAL_ANY(nullptr));
	keep(SHOAL_NIL);
	keep(SHOAL_ANY(1u) = SHOAL_ANY(0.5f));
	return keep(SHOAL_MAP("a", SHOAL_LIST(1, SHOAL_NIL, 2ul, 'c', 0.5), 2, SHOAL_MAP(true, list)));
}
