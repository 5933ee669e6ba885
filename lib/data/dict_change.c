/* Changes that depend on what is there: setdefault, add_int, compare_exchange. */
#include "base/error.h"
#include "data/any.h"
#include "data/dict.h"
#include <string.h>

/* One of them, from its entry to its end: what it is given, and what is given back. */
struct change {
	struct dict_call call;
	struct dict_key key;
	struct dict_value value;
	struct dict_place place;
	shoal_any there; /* what was there, cleared when no lock is held any more */
};

static int
begin(shoal_dict *d, const shoal_any *key, struct change *x)
{
	x->there = SHOAL_NIL;
	int rc = dict_enter(d, SHOAL_KIND_DICT, &x->call);
	if (rc)
		return rc;
	rc = dict_key_of(&x->call, key, &x->key);
	if (rc)
		dict_leave(&x->call);
	return rc;
}

/* The lock, and the place. What is there is made an any where `wanted`. */
static int
lock(struct change *x, bool wanted)
{
	dict_fetch(&x->call, &x->key);
	int rc = dict_lock(&x->call, x->key.hash);
	if (rc)
		return rc;
	rc = dict_locate(&x->call, &x->key, &x->place);
	if (rc == 0 && x->place.slot && wanted)
		rc = dict_take_value(&x->call, &x->place, &x->there);
	if (rc)
		dict_unlock(&x->call);
	return rc;
}

static int
put(struct change *x)
{
	return dict_set_here(&x->call, &x->key, &x->place, &x->value);
}

static void
swap(shoal_any *a, shoal_any *b)
{
	shoal_any was = *a;
	*a = *b;
	*b = was;
}

int
shoal_dict_setdefault(shoal_dict *d, shoal_any key, shoal_any value, shoal_any *out)
{
	struct change x = { .value = { .any = &value } };
	shoal_any mine = SHOAL_NIL; /* copied while nobody waits */
	if (out)
		*out = SHOAL_NIL;
	int rc = begin(d, &key, &x);
	if (rc)
		return rc;
	rc = cell_of(x.call.in.arena, &value, &x.value.cell);
	if (rc == 0 && out)
		rc = shoal_any_copy(&value, &mine);
	if (rc == 0)
		rc = lock(&x, out != NULL);
	if (rc == 0) {
		if (!x.place.slot) {
			rc = put(&x);
			swap(&x.there, &mine);
		}
		dict_unlock(&x.call);
	}
	dict_leave_changed(&x.call);
	if (out && rc == 0)
		swap(out, &x.there);
	shoal_any_clear(&x.there);
	shoal_any_clear(&mine);
	return rc;
}

/* ---- add_int ---- */

static int
add(struct change *x, int64_t delta, int64_t *sum)
{
	int64_t old = 0;
	if (x->place.slot) {
		const struct dict_entry *e = &x->place.head;
		word64 *at = dict_at(&x->call, x->place.offset + entry_value_at(e->key_bytes), 8);
		if (e->value_kind != SHOAL_ANY_INT)
			return fail(-EINVAL, "the key's value is no int, but of kind %s",
			            any_kind_name(e->value_kind));
		if (!at)
			return dict_damaged(&x->call);
		old = (int64_t)load_relaxed(at);
	}
	if (__builtin_add_overflow(old, delta, sum))
		return fail(-EOVERFLOW, "%lld and %lld are more than an int holds", (long long)old,
		            (long long)delta);
	shoal_any v = shoal_any_from_int(*sum);
	x->value.any = &v;
	int rc = cell_of(x->call.in.arena, &v, &x->value.cell);
	return rc ? rc : put(x);
}

int
shoal_dict_add_int(shoal_dict *d, shoal_any key, int64_t delta, int64_t *sum)
{
	struct change x = { 0 };
	int64_t result = 0;
	int rc = begin(d, &key, &x);
	if (rc)
		return rc;
	rc = lock(&x, false);
	if (rc == 0) {
		rc = add(&x, delta, &result);
		dict_unlock(&x.call);
	}
	dict_leave(&x.call);
	if (rc == 0 && sum)
		*sum = result;
	return rc;
}

/* ---- compare_exchange ---- */

static int
exchange(struct change *x, const shoal_any *expected, const shoal_any *desired)
{
	bool there = x->place.slot;
	if (there != (expected != NULL) || (there && !shoal_any_equal(&x->there, expected)))
		return fail_quiet(-ECANCELED, "the key's value is not the one that was expected");
	if (desired)
		return put(x);
	return there ? dict_remove(&x->call, &x->place) : 0;
}

int
shoal_dict_compare_exchange(shoal_dict *d, shoal_any key, const shoal_any *expected,
                            const shoal_any *desired)
{
	struct change x = { .value = { .any = desired } };
	struct any_size size;
	int rc = expected ? any_measure(expected, &size) : 0;
	if (rc == 0)
		rc = begin(d, &key, &x);
	if (rc)
		return rc;
	if (desired)
		rc = cell_of(x.call.in.arena, desired, &x.value.cell);
	if (rc == 0)
		rc = lock(&x, expected != NULL);
	if (rc == 0) {
		rc = exchange(&x, expected, desired);
		dict_unlock(&x.call);
	}
	dict_leave_changed(&x.call);
	shoal_any_clear(&x.there);
	return rc;
}
