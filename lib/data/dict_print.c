/* Printing, as JSON. */
#include "data/any.h"
#include "data/dict.h"

int
dict_print(const void *body, uint32_t kind, FILE *to)
{
	shoal_any map;
	int rc = dict_snapshot(body, kind, &map);
	if (rc == 0)
		rc = shoal_any_print(&map, to);
	shoal_any_clear(&map);
	return rc;
}

int
shoal_dict_print(shoal_dict *d, FILE *to)
{
	return dict_print(d, SHOAL_KIND_DICT, to);
}

int
shoal_namespace_print(shoal_namespace *n, FILE *to)
{
	return dict_print(n, SHOAL_KIND_NAMESPACE, to);
}
