/* Dicts from their making to their end, and what all their items are subject to. */
#include "data/dict.h"
#include "base/error.h"
#include "base/shmfile.h"

/* More clears than come within one look at the size after another. */
enum { SIZE_LOOKS = 1000 };

static int
fill(shoal_arena *a, uint32_t index, void *body, const void *unused)
{
	struct shoal_dict *d = body;
	(void)index;
	(void)unused;
	d->seed = shmfile_random();
	for (unsigned i = 0; i < FIRST; i++)
		store_relaxed(&d->buckets[i].state, state_make(FIRST_BITS, 1));
	store_relaxed(&d->first.at[0], arena_offset(a, d->buckets));
	store_relaxed(&d->epoch, 1);
	store_relaxed(&d->root, arena_offset(a, &d->first));
	return 0;
}

static int
create(const char *call, shoal_arena *a, const char *name, uint32_t kind,
       const shoal_container_options *options, void **out)
{
	return container_create(call, a, name, kind, sizeof(struct shoal_dict), options, fill, out);
}

/*
 * Room is made once the dict is there, by the one who made it: where there is not enough memory, it
 * has less. It may be gone by then.
 */
int
dict_create(const char *call, shoal_arena *a, const char *name, uint32_t kind,
            const shoal_container_options *options, void **out)
{
	struct dict_call c;
	if (!options || !options->reserve)
		return create(call, a, name, kind, options, out);
	struct error_kept kept;
	shoal_container_options anew = *options;
	anew.flags &= ~(unsigned)SHOAL_OR_OPEN;
	error_keep(&kept);
	int rc = create(call, a, name, kind, &anew, out);
	if (rc == -EEXIST && options->flags & SHOAL_OR_OPEN) {
		error_restore(&kept);
		return create(call, a, name, kind, options, out);
	}
	if (rc)
		return rc;
	if (dict_enter_found(*out, kind, &c) == 0) {
		(void)dict_reserve(&c, options->reserve);
		dict_leave(&c);
	}
	return 0;
}

int
shoal_dict_create(shoal_arena *a, const char *name, const shoal_container_options *options,
                  shoal_dict **out)
{
	return dict_create(__func__, a, name, SHOAL_KIND_DICT, options, (void **)out);
}

int
shoal_dict_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_dict **out)
{
	return container_open(__func__, a, name, SHOAL_KIND_DICT, timeout, (void **)out);
}

int
shoal_dict_destroy(shoal_arena *a, shoal_dict *d)
{
	return container_destroy(a, d, SHOAL_KIND_DICT);
}

int
shoal_dict_at(shoal_arena *a, shoal_ref ref, shoal_dict **out)
{
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	rc = object_at(a, ref, SHOAL_KIND_DICT, &index);
	*out = rc ? NULL : object_body_at(a, index);
	return rc || *out ? rc : -EPROTO;
}

/* ---- of all items ---- */

/*
 * It is as large as it was at one moment between two clears. Where nothing keeps it, as of a reader
 * without a record, it may be another's memory by now, which changes for ever: leaving tells that.
 */
size_t
shoal_dict_size(const shoal_dict *d)
{
	struct dict_call c;
	uint64_t count = 0;
	if (dict_enter_reader(d, SHOAL_KIND_DICT, &c))
		return 0;
	for (unsigned i = 0; i < SIZE_LOOKS; i++) {
		count = dict_look(&c) ? dict_count(&c) : 0;
		if (load_acquire(&c.dict->epoch) == c.seen.epoch)
			break;
	}
	return dict_leave_reader(&c, 0) ? 0 : count;
}

uint64_t
shoal_dict_version(const shoal_dict *d)
{
	struct dict_call c;
	uint64_t writes = 0;
	if (dict_enter_reader(d, SHOAL_KIND_DICT, &c))
		return 0;
	for (unsigned i = 0; i <= SHARED_LEDGER; i++)
		writes += load_acquire(&c.dict->ledger[i].writes) >> 1;
	return dict_leave_reader(&c, 0) ? 0 : writes;
}

static int
clear(struct dict_call *c)
{
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	uint64_t table;
	ledger_open(&shared, 0);
	int rc = dict_new_table(&shared, &table);
	if (rc == 0)
		rc = dict_replace_table(c, &shared, table);
	if (rc)
		ledger_give_up(&shared);
	return rc;
}

int
shoal_dict_clear(shoal_dict *d)
{
	struct dict_call c;
	int rc = dict_enter(d, SHOAL_KIND_DICT, &c);
	if (rc)
		return rc;
	rc = dict_lock_all(&c);
	if (rc == 0) {
		rc = clear(&c);
		dict_unlock_all(&c);
	}
	dict_leave_changed(&c);
	return rc;
}
