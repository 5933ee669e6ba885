/*
 * All items as they were at one moment, in the order of their insertion.
 *
 * A moment is where every ledger stands where it stood before (ledger_look), between two changes or
 * in the midst of one. A walk through all items takes long, and writers may leave no moment so
 * long. So what was read is kept for the next walk, with the state of its bucket: that one looks at
 * the states, and reads only what has another one by now, and the words that change in place. The
 * walks become short. Where even that is too long, this one takes the locks that are to be had
 * for the last of them: who is stopped keeps its own, and changes nothing.
 *
 * Where a change of a stripe has happened and is still under way, the state of its bucket may not
 * say so yet: then all of the stripe are read.
 */
#include "base/error.h"
#include "data/any.h"
#include "data/dict.h"
#include <stdlib.h>

#define MOMENT_TRIES 100u
#define WALKS 3u /* through all items, or through SOME: so much the tries may come to in all */
#define SOME UINT64_C(10000)
#define LOOK_EACH 64u /* items or buckets: whether anything has changed meanwhile */
#define PAUSES 64u /* for a change to be over */
#define AHEAD 16u /* items */

struct moment {
	struct ledger_state at[SHARED_LEDGER + 1];
	bool amid; /* a change is under way: it lasts, or its maker is stopped or dead */
};

struct item {
	uint64_t order;
	shoal_any key, value;
	const word64 *scalar; /* where the value is, if it may change in place */
	bool gone;
};

/* What a bucket had in that state: 0, where it changed while it was read. */
struct known {
	uint64_t index, state;
	size_t first, count;
};

struct known_list {
	struct known *at;
	size_t count, room;
};

struct items {
	struct dict_call *call;
	struct item *item;
	size_t count, room, gone;
	struct known_list old, now; /* by index: of the last walk, and of this one */
	size_t next; /* of the old ones */
	uint64_t epoch;
	const struct dict_table *table;
	struct moment moment;
	uint64_t walked; /* items and buckets, in all tries */
	bool hasty, locked;
	int rc;
};

/* ---- the moment ---- */

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

/* Whether it is over, in the midst of a walk: it may not say so at once. */
static bool
is_over(const struct dict_call *c, const struct moment *m)
{
	bool same = true;
	for (unsigned i = 0; i <= SHARED_LEDGER && same; i++)
		same = load_relaxed(&c->dict->ledger[i].writes) == m->at[i].writes;
	return !same;
}

/* Nobody waits for what is read in vain. */
static bool
is_in_vain(struct items *s)
{
	return s->walked++ % LOOK_EACH == 0 && s->hasty && is_over(s->call, &s->moment);
}

/* ---- the items ---- */

static int
room_for_one(void **at, size_t count, size_t *room, size_t bytes)
{
	if (count < *room)
		return 0;
	size_t more = *room ? 2 * *room : 64;
	void *p = realloc(*at, more * bytes);
	if (!p)
		return fail(-ENOMEM, "no memory for a snapshot of %zu items", more);
	*at = p;
	*room = more;
	return 0;
}

static void
clear(struct item *i)
{
	shoal_any_clear(&i->key);
	shoal_any_clear(&i->value);
}

/* What its pins were the last to hold is buried outside of the locks. */
static void
drop(struct items *s, const struct known *k)
{
	for (size_t i = k->first; i < k->first + k->count; i++) {
		s->item[i].gone = true;
		if (!s->locked)
			clear(&s->item[i]);
	}
	s->gone += k->count;
}

static void
forget(struct items *s)
{
	for (size_t i = 0; i < s->count; i++)
		clear(&s->item[i]);
	s->count = s->gone = s->now.count = 0;
}

/* What is not whole by the end of the walk is not believed. */
static bool
gather(void *arg, uint64_t block, const struct dict_entry *e)
{
	struct items *s = arg;
	struct dict_copy copy;
	struct dict_entry head;
	if (!e)
		return true;
	if (is_in_vain(s))
		return false;
	racy_read(&head, e, sizeof head);
	s->rc = room_for_one((void **)&s->item, s->count, &s->room, sizeof *s->item);
	if (s->rc)
		return false;
	struct item *i = &s->item[s->count++];
	s->now.at[s->now.count - 1].count++;
	*i = (struct item){ .order = head.order };
	if (kind_is_scalar(head.value_kind))
		i->scalar = dict_at(s->call, block + entry_value_at(head.key_bytes), sizeof *i->scalar);
	s->rc = dict_copy_entry(s->call, block, &head, &copy);
	if (s->rc == 0)
		s->rc = dict_copy_key(s->call, &copy, &i->key);
	if (s->rc == 0)
		s->rc = dict_copy_value(s->call, &copy, GONE_IS_NIL, &i->value);
	dict_copy_clear(&copy);
	return s->rc == 0;
}

/* ---- what is known ---- */

static bool
note(struct items *s, const struct known *k)
{
	struct known_list *now = &s->now;
	s->rc = room_for_one((void **)&now->at, now->count, &now->room, sizeof *now->at);
	if (s->rc == 0)
		now->at[now->count++] = *k;
	return s->rc == 0;
}

/* What was known of the bucket, if anything was. Those before it are passed over. */
static const struct known *
find_known(struct items *s, uint64_t index)
{
	const struct known_list *old = &s->old;
	while (s->next < old->count && old->at[s->next].index < index)
		drop(s, &old->at[s->next++]);
	bool is = s->next < old->count && old->at[s->next].index == index;
	return is ? &old->at[s->next++] : NULL;
}

/* The words that change in place. */
static void
refresh(struct items *s, const struct known *k)
{
	for (size_t i = k->first; i < k->first + k->count; i++) {
		struct item *it = &s->item[i];
		if (i + AHEAD < s->count)
			prefetch_read(s->item[i + AHEAD].scalar);
		if (!it->scalar)
			continue;
		struct cell cell = { .kind = it->value.kind, .bytes = sizeof(uint64_t) };
		uint64_t word = load_acquire(it->scalar);
		(void)cell_read(s->call->in.arena, &cell, &word, &it->value);
	}
}

static enum dict_bucket_is
look_at_bucket(void *arg, uint64_t index, uint64_t state)
{
	struct items *s = arg;
	const struct ledger_state *stripe = &s->moment.at[index % STRIPES];
	if (is_in_vain(s))
		return DICT_BUCKET_LAST;
	const struct known *k = find_known(s, index);
	bool says = !(stripe->writes & 1) || !stripe->committed;
	if (k && k->state == state && says && note(s, k)) {
		refresh(s, k);
		return DICT_BUCKET_KNOWN;
	}
	if (k)
		drop(s, k);
	struct known fresh = { .index = index, .state = state, .first = s->count };
	return note(s, &fresh) ? DICT_BUCKET_NEW : DICT_BUCKET_LAST;
}

/*
 * One that changed meanwhile is known by the state that it had before, and has another one: the
 * next walk reads it again.
 */
static bool
was_read(void *arg, bool whole)
{
	struct items *s = arg;
	if (whole)
		return true;
	s->now.at[s->now.count - 1].state = 0;
	if (s->hasty || !is_over(s->call, &s->moment))
		return false;
	s->rc = 0;
	return true;
}

/* ---- one walk ---- */

/* After a clear all of it is another's. */
static void
begin(struct items *s)
{
	struct known_list was = s->old;
	s->old = s->now;
	s->now = was;
	s->now.count = s->next = 0;
	if (s->epoch == s->call->seen.epoch && s->table == s->call->seen.table)
		return;
	while (s->next < s->old.count)
		drop(s, &s->old.at[s->next++]);
	s->epoch = s->call->seen.epoch;
	s->table = s->call->seen.table;
}

/* What it did not come to is known as before; after a whole walk there is no such bucket. */
static void
end(struct items *s, bool whole)
{
	int rc = s->rc;
	while (s->next < s->old.count) {
		const struct known *k = &s->old.at[s->next++];
		if (whole || !note(s, k))
			drop(s, k);
	}
	s->rc = rc;
}

/* False: it was of no moment. */
static bool
gather_all(struct items *s, bool hasty, int *rc)
{
	struct dict_call *c = s->call;
	if (!look(c, &s->moment))
		return false;
	struct dict_renewal renewal = { gather, look_at_bucket, was_read, s->moment.amid };
	s->hasty = hasty;
	s->rc = 0;
	bool is = dict_look(c);
	if (is) {
		begin(s);
		is = dict_walk_anew(c, &renewal, s);
		end(s, is);
	}
	if (!still(c, &s->moment))
		return false;
	*rc = is ? 0 : s->rc ? s->rc : dict_damaged(c);
	return true;
}

/*
 * While nobody happens to write. The first walk and the last one go on in any case, so that those
 * after them find most of it known.
 */
static bool
gather_beside(struct items *s, int *rc)
{
	uint64_t most = SOME + (dict_look(s->call) ? WALKS * dict_count(s->call) : 0);
	s->walked = 0;
	for (unsigned tries = 0; tries < MOMENT_TRIES && s->walked < most; tries++)
		if (gather_all(s, tries > 0, rc))
			return true;
	return gather_all(s, false, rc);
}

/* Or else while nobody may but those who do not come to it. */
static int
gather_moment(struct items *s)
{
	struct dict_call *c = s->call;
	for (unsigned round = 0;; round += round < DICT_PATIENCE_DOUBLED) {
		int rc;
		if (s->gone > SOME + s->count / 2)
			forget(s);
		if (gather_beside(s, &rc))
			return rc;
		if (!c->in.me)
			return container_cannot_lock(&c->in, "dict");
		uint32_t held = dict_lock_some(c, DICT_PATIENCE_NS << round);
		s->locked = true;
		bool is = gather_all(s, true, &rc);
		dict_unlock_some(c, held);
		s->locked = false;
		if (is)
			return rc;
	}
}

static int
by_order(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->order, y = ((const struct item *)b)->order;
	return x < y ? -1 : x > y;
}

static void
leave_out_gone(struct items *s)
{
	size_t count = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (s->item[i].gone)
			clear(&s->item[i]);
		else
			s->item[count++] = s->item[i];
	}
	s->count = count;
}

/* One owned map of them all. */
static int
to_map(struct items *s, shoal_any *out)
{
	leave_out_gone(s);
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
	free(s.old.at);
	free(s.now.at);
	return rc;
}

int
shoal_dict_snapshot(shoal_dict *d, shoal_any *out)
{
	return dict_snapshot(d, SHOAL_KIND_DICT, out);
}
