/* Namespaces: dicts of their own kind, with strings for keys. */
#include "base/error.h"
#include "data/dict.h"

int
shoal_namespace_create(shoal_arena *a, const char *name, const shoal_container_options *options,
                       shoal_namespace **out)
{
	return dict_create(__func__, a, name, SHOAL_KIND_NAMESPACE, options, (void **)out);
}

int
shoal_namespace_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_namespace **out)
{
	return container_open(__func__, a, name, SHOAL_KIND_NAMESPACE, timeout, (void **)out);
}

int
shoal_namespace_destroy(shoal_arena *a, shoal_namespace *n)
{
	return container_destroy(a, n, SHOAL_KIND_NAMESPACE);
}

/* An attribute without a name is a bad key. */
static int
check_attribute(const char *attribute)
{
	return attribute && *attribute ? 0 : fail(-EINVAL, "an attribute needs a name");
}

int
shoal_namespace_set(shoal_namespace *n, const char *attribute, shoal_any value)
{
	int rc = check_attribute(attribute);
	shoal_any key = rc ? SHOAL_NIL : shoal_any_from_string(attribute);
	return rc ? rc : dict_set_any(n, SHOAL_KIND_NAMESPACE, &key, &value);
}

int
shoal_namespace_get(shoal_namespace *n, const char *attribute, shoal_any *value)
{
	int rc = check_attribute(attribute);
	shoal_any key = rc ? SHOAL_NIL : shoal_any_from_string(attribute);
	*value = SHOAL_NIL;
	return rc ? rc : dict_get_any(n, SHOAL_KIND_NAMESPACE, &key, value);
}

int
shoal_namespace_del(shoal_namespace *n, const char *attribute)
{
	int rc = check_attribute(attribute);
	shoal_any key = rc ? SHOAL_NIL : shoal_any_from_string(attribute);
	return rc ? rc : dict_pop_any(n, SHOAL_KIND_NAMESPACE, &key, NULL);
}
