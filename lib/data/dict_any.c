/* Items as anys: set, get, pop, has. */
#include "base/error.h"
#include "data/any.h"
#include "data/dict.h"
#include <string.h>

/* Where the key was found, -ENOENT is about what its value refers to, and has been said. */
static int
no_such_key(int rc, bool found)
{
	return rc == -ENOENT && !found ? fail_quiet(rc, "the dict has no such key") : rc;
}

/* ---- get ---- */

struct reading {
	struct dict_call *call;
	shoal_any *out;
	bool found;
};

/* The value is an any before the second look, since what it refers to is pinned by then. */
static int
read_value(const struct dict_view *v, const struct dict_place *p, uint64_t offset,
           const struct dict_entry *head, void *arg)
{
	struct reading *r = arg;
	struct dict_call *c = r->call;
	struct dict_copy copy;
	c->seen = *v;
	int rc = dict_copy_entry(c, offset, head, &copy);
	if (rc || !dict_still(v, p)) {
		dict_copy_clear(&copy);
		return dict_still(v, p) ? rc : -EAGAIN;
	}
	rc = dict_copy_value(c, &copy, GONE_FAILS, r->out);
	dict_copy_clear(&copy);
	r->found = head->value_refs == 0 || dict_still(v, p);
	if (r->found)
		return rc;
	if (rc == 0)
		shoal_any_clear(r->out);
	return -EAGAIN;
}

int
dict_get_any(const void *body, uint32_t kind, const shoal_any *key, shoal_any *value)
{
	struct dict_call c;
	struct dict_key k;
	struct reading r = { .call = &c, .out = value };
	*value = SHOAL_NIL;
	int rc = dict_enter_reader(body, kind, &c);
	if (rc)
		return rc;
	rc = dict_key_of(&c, key, &k);
	if (rc == 0)
		rc = dict_read(&c, &k, read_value, &r);
	rc = dict_leave_reader(&c, no_such_key(rc, r.found));
	if (unlikely(rc))
		shoal_any_clear(value);
	return rc;
}

int
shoal_dict_get(shoal_dict *d, shoal_any key, shoal_any *value)
{
	return dict_get_any(d, SHOAL_KIND_DICT, &key, value);
}

static int
read_nothing(const struct dict_view *v, const struct dict_place *p, uint64_t offset,
             const struct dict_entry *head, void *arg)
{
	(void)offset, (void)head, (void)arg;
	return dict_still(v, p) ? 0 : -EAGAIN;
}

bool
shoal_dict_has(shoal_dict *d, shoal_any key)
{
	struct dict_call c;
	struct dict_key k;
	if (dict_enter_reader(d, SHOAL_KIND_DICT, &c))
		return false;
	int rc = dict_key_of(&c, &key, &k);
	if (rc == 0)
		rc = dict_read(&c, &k, read_nothing, NULL);
	return dict_leave_reader(&c, rc) == 0;
}

/* ---- set ---- */

int
dict_set_any(void *body, uint32_t kind, const shoal_any *key, const shoal_any *value)
{
	struct dict_call c;
	struct dict_key k;
	struct dict_value v = { .any = value };
	int rc = dict_enter(body, kind, &c);
	if (rc)
		return rc;
	rc = dict_key_of(&c, key, &k);
	if (rc == 0)
		rc = cell_of(c.in.arena, value, &v.cell);
	if (rc == 0)
		rc = dict_set(&c, &k, &v);
	dict_leave_changed(&c);
	return rc;
}

int
shoal_dict_set(shoal_dict *d, shoal_any key, shoal_any value)
{
	return dict_set_any(d, SHOAL_KIND_DICT, &key, &value);
}

/* Each by itself, since a snapshot may be one level deeper than what it is of. */
static int
check_pairs(struct dict_call *c, const shoal_any *map)
{
	struct cell cell;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < map->count; i++) {
		rc = key_of(&map->as.items[2 * i], &cell);
		if (rc == 0)
			rc = cell_of(c->in.arena, &map->as.items[2 * i + 1], &cell);
	}
	return rc;
}

/* Each pair is a write of its own; but a map in which one cannot be set changes nothing. */
int
shoal_dict_update(shoal_dict *d, shoal_any map)
{
	struct dict_call c;
	if (map.kind != SHOAL_ANY_MAP)
		return fail(-EINVAL, "a dict is updated from a map, not from a value of kind %s",
		            any_kind_name(map.kind));
	int rc = dict_enter(d, SHOAL_KIND_DICT, &c);
	if (rc)
		return rc;
	rc = check_pairs(&c, &map);
	for (size_t i = 0; rc == 0 && i < map.count; i++) {
		struct dict_key k;
		struct dict_value v = { .any = &map.as.items[2 * i + 1] };
		rc = dict_key_of(&c, &map.as.items[2 * i], &k);
		if (rc == 0)
			rc = cell_of(c.in.arena, v.any, &v.cell);
		if (rc == 0)
			rc = dict_set(&c, &k, &v);
	}
	dict_leave_changed(&c);
	return rc;
}

/* ---- pop ---- */

/* Of a place under the lock. */
int
dict_take_value(struct dict_call *c, const struct dict_place *p, shoal_any *out)
{
	struct dict_copy copy;
	int rc = dict_copy_entry(c, p->offset, &p->head, &copy);
	if (rc == 0)
		rc = dict_copy_value(c, &copy, GONE_FAILS, out);
	dict_copy_clear(&copy);
	return rc;
}

static int
pop(struct dict_call *c, const struct dict_key *k, shoal_any *value)
{
	struct dict_place p = { 0 };
	dict_fetch(c, k);
	int rc = dict_lock(c, k->hash);
	if (rc)
		return rc;
	rc = dict_locate(c, k, &p);
	if (rc == 0 && !p.slot)
		rc = -ENOENT;
	if (rc == 0 && value)
		rc = dict_take_value(c, &p, value);
	if (rc == 0)
		rc = dict_remove(c, &p);
	dict_unlock(c);
	return no_such_key(rc, p.slot);
}

int
dict_pop_any(void *body, uint32_t kind, const shoal_any *key, shoal_any *value)
{
	struct dict_call c;
	struct dict_key k;
	shoal_any popped = SHOAL_NIL;
	int rc = dict_enter(body, kind, &c);
	if (rc)
		return rc;
	rc = dict_key_of(&c, key, &k);
	if (rc == 0)
		rc = pop(&c, &k, value ? &popped : NULL);
	dict_leave_changed(&c);
	if (rc)
		shoal_any_clear(&popped);
	if (value)
		*value = popped;
	return rc;
}

int
shoal_dict_pop(shoal_dict *d, shoal_any key, shoal_any *value)
{
	return dict_pop_any(d, SHOAL_KIND_DICT, &key, value);
}
