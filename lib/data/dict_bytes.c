/* Items as bytes: the short way, without anys. */
#include "base/error.h"
#include "data/any.h"
#include "data/dict_read.h"

enum verdict {
	COPIED = 1,
	TOO_LONG,
	NO_BYTES,
	BEYOND_MEMORY
};

struct wanted {
	void *buffer;
	size_t room;
	/* of what was found: */
	enum verdict verdict;
	uint32_t bytes, kind;
};

#define BYTES_MOST (UINT32_MAX - 64)

static int
check(const char *what, const void *at, size_t bytes)
{
	if (unlikely(!at && bytes))
		return fail(-EINVAL, "a %s of %zu bytes at NULL", what, bytes);
	if (unlikely(bytes > BYTES_MOST))
		return fail(-EMSGSIZE, "a %s of %zu bytes: the most is %u", what, bytes, BYTES_MOST);
	return 0;
}

/* The copy is made where the caller wants it, and found to be whole after that. */
static ALWAYS_INLINE int
read_bytes(const struct dict_view *v, const struct dict_place *p, uint64_t offset,
           const struct dict_entry *head, void *arg)
{
	struct wanted *w = arg;
	const void *from = dict_seen(v, offset + entry_value_at(head->key_bytes), head->value_bytes);
	w->bytes = head->value_bytes;
	w->kind = head->value_kind;
	if (unlikely(!from))
		w->verdict = BEYOND_MEMORY;
	else if (unlikely(w->kind != SHOAL_ANY_BYTES && w->kind != SHOAL_ANY_STRING))
		w->verdict = NO_BYTES;
	else if (unlikely(w->bytes > w->room))
		w->verdict = TOO_LONG;
	else {
		w->verdict = COPIED;
		racy_read_short(w->buffer, from, w->bytes);
	}
	return likely(dict_still(v, p)) ? 0 : -EAGAIN;
}

static int
judge(const struct dict_call *c, const struct wanted *w)
{
	switch (w->verdict) {
	case COPIED:
		return 0;
	case TOO_LONG:
		return fail_small(w->bytes, "a value of %u bytes does not fit a buffer of %zu",
		                  w->bytes, w->room);
	case NO_BYTES:
		return fail(-EPROTO, "the key's value is no bytes, but of kind %s",
		            any_kind_name(w->kind));
	case BEYOND_MEMORY:
		break;
	}
	return dict_damaged(c);
}

static int
no_such_key(void)
{
	return fail_quiet(-ENOENT, "the dict has no such key");
}

static __attribute__((noinline)) ssize_t
get_bytes(shoal_dict *d, const void *key, size_t key_bytes, struct wanted w)
{
	struct dict_call c;
	struct dict_key k;
	int rc = check("key", key, key_bytes);
	if (rc || (rc = dict_enter_reader(d, SHOAL_KIND_DICT, &c)))
		return rc;
	dict_key_of_bytes(&c, key, key_bytes, &k);
	rc = dict_read(&c, &k, read_bytes, &w);
	if (rc == 0)
		rc = judge(&c, &w);
	else if (rc == -ENOENT)
		(void)no_such_key();
	rc = dict_leave_reader(&c, rc);
	return rc ? rc : (ssize_t)w.bytes;
}

/* Nearly always the key is short and there, its value fits, and nobody changes it meanwhile. */
ssize_t
shoal_dict_get_bytes(shoal_dict *d, const void *key, size_t key_bytes, void *buffer,
                     size_t buffer_bytes)
{
	struct container_visit in;
	struct wanted w = { .buffer = buffer, .room = buffer_bytes };
	if (unlikely(!key) || unlikely(key_bytes > LINE) ||
	    unlikely(!container_visit(d, SHOAL_KIND_DICT, &in)))
		return get_bytes(d, key, key_bytes, w);
	struct dict_key k;
	dict_read_key(d, key, key_bytes, &k);
	int rc = dict_read_once(dict_view_of(in.arena, d), &k, read_bytes, &w);
	container_quit(&in);
	if (likely(rc == 0 && w.verdict == COPIED))
		return (ssize_t)w.bytes;
	return rc == -ENOENT ? no_such_key() : get_bytes(d, key, key_bytes, w);
}

int
shoal_dict_set_bytes(shoal_dict *d, const void *key, size_t key_bytes, const void *value,
                     size_t value_bytes)
{
	struct dict_call c;
	struct dict_key k;
	struct dict_value v = { .bytes = value ? value : "" };
	int rc = check("key", key, key_bytes);
	if (likely(rc == 0))
		rc = check("value", value, value_bytes);
	if (unlikely(rc))
		return rc;
	v.cell = (struct cell){ .kind = SHOAL_ANY_BYTES, .bytes = (uint32_t)value_bytes };
	rc = dict_enter(d, SHOAL_KIND_DICT, &c);
	if (unlikely(rc))
		return rc;
	dict_key_of_bytes(&c, key, key_bytes, &k);
	rc = dict_set(&c, &k, &v);
	dict_leave_changed(&c);
	return rc;
}

int
shoal_dict_pop_bytes(shoal_dict *d, const void *key, size_t key_bytes)
{
	int rc = check("key", key, key_bytes);
	shoal_any k = shoal_any_from_bytes(key, key_bytes);
	return rc ? rc : dict_pop_any(d, SHOAL_KIND_DICT, &k, NULL);
}
