/*
 * All items as they were at one moment, in the order of their insertion: every ledger stands where
 * it stood before they were read (ledger_look), between two changes or in the midst of one. Where
 * writers leave no such moment, this one takes the locks that are to be had: who is stopped keeps
 * its own, and changes nothing.
 */
#include "base/error.h"
#include "data/any.h"
#include "data/dict.h"
#include <stdlib.h>

#define MOMENT_TRIES 3u
#define PAUSES 64u /* for a change to be over */

struct item {
	uint64_t order;
	shoal_any key, value;
};

struct items {
	struct dict_call *call;
	struct item *item;
	size_t count, room;
	int rc;
};

static int
room_for_one(struct items *s)
{
	if (s->count < s->room)
		return 0;
	size_t room = s->room ? 2 * s->room : 64;
	struct item *item = realloc(s->item, room * sizeof *item);
	if (!item)
		return fail(-ENOMEM, "no memory for a snapshot of %zu items", room);
	s->item = item;
	s->room = room;
	return 0;
}

/* Under the walk, which may be of a table that changes: what is found then is not believed. */
static bool
gather(void *arg, uint64_t block, const struct dict_entry *e)
{
	struct items *s = arg;
	struct dict_copy copy;
	struct dict_entry head;
	if (!e)
		return true;
	racy_read(&head, e, sizeof head);
	s->rc = room_for_one(s);
	if (s->rc)
		return false;
	struct item *i = &s->item[s->count];
	*i = (struct item){ .order = head.order };
	s->rc = dict_copy_entry(s->call, block, &head, &copy);
	if (s->rc == 0)
		s->rc = dict_copy_key(s->call, &copy, &i->key);
	if (s->rc == 0)
		s->rc = dict_copy_value(s->call, &copy, GONE_IS_NIL, &i->value);
	dict_copy_clear(&copy);
	s->count++;
	return s->rc == 0;
}

static void
forget(struct items *s)
{
	for (size_t i = 0; i < s->count; i++) {
		shoal_any_clear(&s->item[i].key);
		shoal_any_clear(&s->item[i].value);
	}
	s->count = 0;
	s->rc = 0;
}

/* ---- the moment ---- */

struct moment {
	struct ledger_state at[SHARED_LEDGER + 1];
	bool amid; /* a change is under way: it lasts, or its maker is stopped or dead */
};

static bool
look(const struct dict_call *c, struct moment *m)
{
	bool is = true;
	m->amid = false;
	for (unsigned i = 0; i <= SHARED_LEDGER && is; i++) {
		struct ledger *l = &c->dict->ledger[i];
		for (unsigned p = 0; p < PAUSES && load_relaxed(&l->writes) & 1; p++)
			cpu_relax();
		is = ledger_look(c->in.arena, l, &m->at[i]);
		m->amid |= m->at[i].writes & 1;
	}
	return is;
}

static bool
still(const struct dict_call *c, const struct moment *m)
{
	bool is = true;
	for (unsigned i = 0; i <= SHARED_LEDGER && is; i++)
		is = ledger_still(c->in.arena, &c->dict->ledger[i], &m->at[i]);
	return is;
}

/* False: there was no such moment. Nothing may be gathered yet. */
static bool
gather_all(struct items *s, int *rc)
{
	struct dict_call *c = s->call;
	struct moment m;
	if (!look(c, &m))
		return false;
	bool is = dict_look(c) &&
	          (m.amid ? dict_walk_amid(c, gather, s) : dict_walk(c, gather, s));
	*rc = is ? 0 : s->rc ? s->rc : dict_damaged(c);
	return still(c, &m);
}

/* While nobody writes, or else while nobody may but those who do not come to it. */
static int
gather_moment(struct items *s)
{
	for (unsigned round = 0;; round += round < DICT_PATIENCE_DOUBLED) {
		int rc;
		for (unsigned tries = 0; tries < MOMENT_TRIES; tries++, forget(s))
			if (gather_all(s, &rc))
				return rc;
		if (!s->call->in.me)
			return container_cannot_lock(&s->call->in, "dict");
		uint32_t held = dict_lock_some(s->call, DICT_PATIENCE_NS << round);
		bool is = gather_all(s, &rc);
		dict_unlock_some(s->call, held);
		if (is)
			return rc;
		forget(s);
	}
}

static int
by_order(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->order, y = ((const struct item *)b)->order;
	return x < y ? -1 : x > y;
}

/* One owned map of them all. */
static int
to_map(struct items *s, shoal_any *out)
{
	if (s->count)
		qsort(s->item, s->count, sizeof *s->item, by_order);
	shoal_any *pair = malloc((2 * s->count + 1) * sizeof *pair);
	if (!pair)
		return fail(-ENOMEM, "no memory for a snapshot of %zu items", s->count);
	for (size_t i = 0; i < s->count; i++) {
		pair[2 * i] = s->item[i].key;
		pair[2 * i + 1] = s->item[i].value;
	}
	shoal_any map = shoal_any_from_pairs(pair, s->count);
	int rc = any_copy_whole(&map, out);
	free(pair);
	return rc;
}

int
dict_snapshot(const void *body, uint32_t kind, shoal_any *out)
{
	struct dict_call c;
	struct items s = { .call = &c };
	*out = SHOAL_NIL;
	int rc = dict_enter_reader(body, kind, &c);
	if (rc)
		return rc;
	rc = dict_leave_reader(&c, gather_moment(&s));
	if (rc == 0)
		rc = to_map(&s, out);
	forget(&s);
	free(s.item);
	return rc;
}

int
shoal_dict_snapshot(shoal_dict *d, shoal_any *out)
{
	return dict_snapshot(d, SHOAL_KIND_DICT, out);
}
