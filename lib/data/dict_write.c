/* One key's entry put in, put in the place of another, or taken out: under the stripe's lock. */
#include "base/error.h"
#include "data/counted.h"
#include "data/dict.h"
#include "data/reference.h"

static int
write_cell(const struct dict_value *v, void *to)
{
	if (v->any)
		cell_write(v->any, &v->cell, to);
	else
		racy_write(to, v->bytes, v->cell.bytes);
	return 0;
}

int
dict_make_entry(struct dict_call *c, const struct dict_key *key, const struct dict_value *value,
                uint64_t *entry)
{
	size_t at = entry_value_at(key->cell.bytes), bytes = at + value->cell.bytes;
	struct dict_entry head = {
		.hash = key->hash,
		.key_bytes = key->cell.bytes,
		.value_bytes = value->cell.bytes,
		.value_refs = value->cell.refs,
		.value_nodes = value->cell.nodes,
		.key_kind = (uint8_t)key->cell.kind,
		.value_kind = (uint8_t)value->cell.kind,
	};
	if (bytes < LEDGER_BLOCK_MIN)
		bytes = LEDGER_BLOCK_MIN;
	int rc = block_take(c->in.arena, c->in.thread, c->in.me, bytes, entry);
	if (rc)
		return rc;
	char *e = arena_at(c->in.arena, *entry);
	racy_write(e, &head, sizeof head);
	if (key->cell.bytes)
		racy_write(e + sizeof head, key->bytes, key->cell.bytes);
	return write_cell(value, e + at);
}

/* ---- references ---- */

/* The value, as the head says once it is read. False: it is longer than its block. */
static bool
value_of_entry(const struct ledger_hold *h, uint64_t entry, struct cell *cell, const char **value)
{
	struct dict_entry head;
	const char *e = arena_at(h->arena, entry);
	uint64_t bytes = block_bytes(h->arena, entry);
	if (bytes < sizeof head)
		return false;
	racy_read(&head, e, sizeof head);
	uint64_t at = entry_value_at(head.key_bytes);
	*cell = (struct cell){
		.kind = head.value_kind,
		.bytes = head.value_bytes,
		.refs = head.value_refs,
		.nodes = head.value_nodes,
	};
	*value = e + at;
	return bytes >= at && bytes - at >= head.value_bytes;
}

/* The entry is fresh on the ledger: what is counted is dropped again, if the change is given up. */
static int
count_refs(struct dict_call *c, uint64_t entry)
{
	struct dict_entry *e = arena_at(c->hold.arena, entry);
	struct cell cell;
	const char *value;
	if (!value_of_entry(&c->hold, entry, &cell, &value))
		return dict_damaged(c);
	int rc = ledger_bears(&c->hold, entry);
	return rc ? rc : counted_raise(&c->hold, &cell, value, &e->counted);
}

/* The block is freed in any case. */
static void
drop_refs(struct ledger_hold *h, uint64_t entry)
{
	struct dict_entry *e = arena_at(h->arena, entry);
	struct cell cell;
	const char *value;
	if (value_of_entry(h, entry, &cell, &value))
		counted_drop(h, &cell, value, &e->counted);
}

static void
finish(struct ledger_hold *h, uint32_t what)
{
	if (what == DICT_SPLIT)
		dict_finish_split(h);
}

const struct ledger_kind dict_ledger = { .finish = finish, .drop = drop_refs };

/* ---- the changes ---- */

static struct dict_table *
table_of(const struct dict_call *c)
{
	return c->seen.table;
}

static void
then_count(struct dict_call *c, int delta)
{
	word64 *count = &table_of(c)->stripe[c->hold.index].count;
	ledger_then(&c->hold, 1, count, load_relaxed(count) + (uint64_t)(int64_t)delta);
}

static int
replace(struct dict_call *c, const struct dict_key *key, const struct dict_place *p,
        uint64_t entry)
{
	int rc = ledger_retire(&c->hold, p->offset, p->head.value_refs);
	if (rc == 0)
		ledger_commit(&c->hold, p->slot, slot_make(key->hash, entry));
	return rc;
}

/* Into an empty slot, or into a line that has none but it. */
static int
insert(struct dict_call *c, const struct dict_key *key, const struct dict_place *p, uint64_t entry)
{
	const struct dict_entry *e = arena_at(c->in.arena, entry);
	uint64_t slot = slot_make(key->hash, entry), more;
	dict_name_recent(c, e->order, key->hash);
	then_count(c, 1);
	if (p->room) {
		ledger_commit(&c->hold, p->room, slot);
		return 0;
	}
	if (unlikely(p->lines >= LINES_MAX))
		return fail(-ENOMEM, "a bucket of dict %u of arena '%s' is full, and could not be split",
		            c->in.object, c->in.arena->name);
	int rc = ledger_take(&c->hold, sizeof(struct bucket), &more);
	if (rc)
		return rc;
	struct bucket *line = arena_at(c->in.arena, more);
	for (unsigned i = 1; i < SLOTS; i++)
		store_relaxed(&line->slot[i], 0);
	store_relaxed(&line->slot[0], slot);
	store_relaxed(&line->more, 0);
	ledger_commit(&c->hold, p->end, more);
	return 0;
}

/* The bucket has no room for an entry: one that comes again may find it split. */
static void
grow_for_another(struct dict_call *c, const struct dict_place *p)
{
	struct error_kept kept;
	error_keep(&kept);
	dict_grow(c, p);
	error_restore(&kept);
}

int
dict_put(struct dict_call *c, const struct dict_key *key, const struct dict_place *p,
         uint64_t entry)
{
	struct dict_entry *e = arena_at(c->in.arena, entry);
	uint64_t order = p->slot ? p->head.order : fetch_add_relaxed(&c->dict->order, 1);
	racy_write(&e->order, &order, sizeof order);
	ledger_open(&c->hold, 0);
	int rc = ledger_adopt(&c->hold, entry);
	if (rc == 0 && e->value_refs)
		rc = count_refs(c, entry);
	ledger_then(&c->hold, 0, &p->bucket->state, state_next(p->state));
	if (rc == 0)
		rc = p->slot ? replace(c, key, p, entry) : insert(c, key, p, entry);
	if (rc)
		ledger_give_up(&c->hold);
	else if (!p->slot)
		dict_grow(c, p);
	if (unlikely(rc && p->lines >= LINES_MAX))
		grow_for_another(c, p);
	return rc;
}

/* Nothing comes in and nothing goes out: the old value and the new one may be the same. */
void
dict_put_scalar(struct dict_call *c, const struct dict_place *p, uint64_t value)
{
	char *at = (char *)p->entry + entry_value_at(p->head.key_bytes);
	ledger_open(&c->hold, 0);
	ledger_commit(&c->hold, (word64 *)(void *)at, value);
}

/* ---- lines that have nothing any more ---- */

static bool
is_empty(const struct bucket *line)
{
	uint64_t any = 0;
	for (unsigned i = 0; i < SLOTS; i++)
		any |= load_relaxed(&line->slot[i]);
	return !any;
}

/* What leads to the line leads to the next one. */
static bool
take_out(struct dict_call *c, struct bucket *b, struct bucket *before, const struct bucket *line)
{
	ledger_open(&c->hold, 0);
	if (ledger_retire(&c->hold, arena_offset(c->in.arena, line), false)) {
		ledger_give_up(&c->hold);
		return false;
	}
	ledger_then(&c->hold, 0, &b->state, state_next(load_relaxed(&b->state)));
	ledger_commit(&c->hold, &before->more, load_relaxed(&line->more));
	return true;
}

void
dict_trim(struct dict_call *c, struct bucket *b)
{
	struct bucket *before = b, *line;
	for (unsigned lines = 0; (line = dict_more(&c->seen, before)) && lines < LINES_MAX; lines++)
		if (!is_empty(line))
			before = line;
		else if (!take_out(c, b, before, line))
			return;
}

static void
trim_after(struct dict_call *c, const struct dict_place *p)
{
	uint64_t at = arena_offset(c->in.arena, p->slot) & ~(uint64_t)(LINE - 1);
	const struct bucket *line = arena_at(c->in.arena, at);
	if (unlikely(line != p->bucket) && is_empty(line))
		dict_trim(c, p->bucket);
}

int
dict_remove(struct dict_call *c, const struct dict_place *p)
{
	ledger_open(&c->hold, 0);
	int rc = ledger_retire(&c->hold, p->offset, p->head.value_refs);
	if (rc) {
		ledger_give_up(&c->hold);
		return rc;
	}
	ledger_then(&c->hold, 0, &p->bucket->state, state_next(p->state));
	then_count(c, -1);
	ledger_commit(&c->hold, p->slot, 0);
	trim_after(c, p);
	return 0;
}

static bool
fits_in_place(const struct dict_call *c, const struct dict_place *p, const struct dict_value *v)
{
	return p->slot && v->any && kind_is_scalar(v->cell.kind) &&
	       p->head.value_kind == v->cell.kind && p->head.value_bytes == 8 &&
	       dict_at(c, p->offset + entry_value_at(p->head.key_bytes), 8);
}

/* A value of 8 bytes may go where the old one is. */
int
dict_set_here(struct dict_call *c, const struct dict_key *key, const struct dict_place *p,
              const struct dict_value *value)
{
	uint64_t entry, scalar;
	if (fits_in_place(c, p, value)) {
		(void)write_cell(value, &scalar);
		dict_put_scalar(c, p, scalar);
		return 0;
	}
	int rc = dict_make_entry(c, key, value, &entry);
	return rc ? rc : dict_put(c, key, p, entry);
}

/* A long one before the lock is taken: others write meanwhile. */
int
dict_set(struct dict_call *c, const struct dict_key *key, const struct dict_value *value)
{
	struct dict_place p;
	uint64_t entry = 0;
	bool scalar = value->any && kind_is_scalar(value->cell.kind);
	const struct bucket *bucket = dict_fetch_bucket(c, key);
	int rc = scalar ? 0 : dict_make_entry(c, key, value, &entry);
	if (rc)
		return rc;
	dict_fetch_entry(c, key, bucket);
	rc = dict_lock(c, key->hash);
	if (rc) {
		if (entry)
			(void)block_give(c->in.arena, c->in.me, entry);
		return rc;
	}
	rc = dict_locate(c, key, &p);
	if (rc == 0)
		rc = entry ? dict_put(c, key, &p, entry) : dict_set_here(c, key, &p, value);
	else if (entry)
		(void)block_give(c->in.arena, c->in.me, entry);
	dict_unlock(c);
	return rc;
}
