/* Items as bytes: the short way, without anys. */
#include "base/error.h"
#include "data/dict_read.h"

struct wanted {
	void *buffer;
	size_t room;
	ssize_t bytes;
};

static int
check_key(const void *key, size_t bytes)
{
	if (unlikely(bytes > UINT32_MAX - 64 || (!key && bytes)))
		return fail(-EINVAL, "a key of %zu bytes at %p", bytes, key);
	return 0;
}

/* The copy is made where the caller wants it, and found to be whole after that. */
static ALWAYS_INLINE int
read_bytes(struct dict_call *c, const struct dict_place *p, uint64_t offset,
           const struct dict_entry *head, void *arg)
{
	struct wanted *w = arg;
	const void *from = dict_at(c, offset + entry_value_at(head->key_bytes), head->value_bytes);
	bool is = head->value_kind == SHOAL_ANY_BYTES || head->value_kind == SHOAL_ANY_STRING;
	bool fits = from && is && head->value_bytes <= w->room;
	if (likely(fits))
		racy_read(w->buffer, from, head->value_bytes);
	if (unlikely(!dict_still(c, p)))
		return -EAGAIN;
	w->bytes = head->value_bytes;
	if (likely(fits))
		return 0;
	if (!from)
		return dict_damaged(c);
	if (!is)
		return fail(-EPROTO, "the key's value is no bytes, but an any of kind %u",
		            head->value_kind);
	return fail_small(head->value_bytes, "a value of %u bytes does not fit a buffer of %zu",
	                  head->value_bytes, w->room);
}

ssize_t
shoal_dict_get_bytes(shoal_dict *d, const void *key, size_t key_bytes, void *buffer,
                     size_t buffer_bytes)
{
	struct dict_call c;
	struct dict_key k;
	struct wanted w = { buffer, buffer_bytes, 0 };
	int rc = check_key(key, key_bytes);
	if (unlikely(rc) || unlikely(rc = dict_enter_reader(d, SHOAL_KIND_DICT, &c)))
		return rc;
	dict_key_of_bytes(&c, key, key_bytes, &k);
	rc = dict_read_by(&c, &k, read_bytes, &w);
	if (rc == -ENOENT)
		(void)fail_quiet(rc, "the dict has no such key");
	rc = dict_leave_reader(&c, rc);
	return likely(rc == 0) ? w.bytes : rc;
}

int
shoal_dict_set_bytes(shoal_dict *d, const void *key, size_t key_bytes, const void *value,
                     size_t value_bytes)
{
	struct dict_call c;
	struct dict_key k;
	struct dict_value v = { .bytes = value ? value : "" };
	int rc = check_key(key, key_bytes);
	if (unlikely(rc))
		return rc;
	if (!value && value_bytes)
		return fail(-EINVAL, "a value of %zu bytes at NULL", value_bytes);
	if (unlikely(value_bytes > UINT32_MAX - 64))
		return fail(-EMSGSIZE, "a value of %zu bytes: the most is %u", value_bytes,
		            UINT32_MAX - 64);
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
	int rc = check_key(key, key_bytes);
	shoal_any k = shoal_any_from_bytes(key, key_bytes);
	return rc ? rc : dict_pop_any(d, SHOAL_KIND_DICT, &k, NULL);
}
