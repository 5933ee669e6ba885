/*
 * Sorting, on private copies as of one moment: the order of the items is found with nobody kept
 * out, and then, unless the list has changed meanwhile, new nodes are built from the slots in
 * that order. After some tries the ledger is held for all of it.
 */
#include "base/error.h"
#include "data/any.h"
#include "data/list.h"
#include <stdlib.h>
#include <string.h>

#define SORT_TRIES 3

struct sorted {
	const shoal_any *item;
	uint64_t index;
};

struct sorting {
	shoal_any_order *order; /* NULL: by value */
	void *arg;
	int failed; /* kinds that do not compare */
};

static int compare_values(const shoal_any *a, const shoal_any *b, int *failed);

static int
compare_text(const shoal_any *a, const shoal_any *b)
{
	size_t shorter = a->count < b->count ? a->count : b->count;
	int rc = shorter ? memcmp(a->as.bytes, b->as.bytes, shorter) : 0;
	return rc ? rc : (a->count > b->count) - (a->count < b->count);
}

static int
compare_items(const shoal_any *a, const shoal_any *b, int *failed)
{
	for (size_t i = 0; i < a->count && i < b->count && !*failed; i++) {
		if (shoal_any_equal(&a->as.items[i], &b->as.items[i]))
			continue;
		return compare_values(&a->as.items[i], &b->as.items[i], failed);
	}
	return (a->count > b->count) - (a->count < b->count);
}

static bool
is_number(const shoal_any *v)
{
	return v->kind == SHOAL_ANY_BOOL || v->kind == SHOAL_ANY_INT || v->kind == SHOAL_ANY_DOUBLE;
}

/* An int against a double, without rounding the int. */
static int
compare_mixed(int64_t i, double d)
{
	if (d >= 0x1p63)
		return -1;
	if (d < -0x1p63)
		return 1;
	int64_t whole = (int64_t)d;
	if (i != whole)
		return i < whole ? -1 : 1;
	double rest = d - (double)whole;
	return (rest < 0) - (rest > 0);
}

static int
compare_numbers(const shoal_any *a, const shoal_any *b)
{
	bool real_a = a->kind == SHOAL_ANY_DOUBLE, real_b = b->kind == SHOAL_ANY_DOUBLE;
	if (real_a && real_b)
		return (a->as.real > b->as.real) - (a->as.real < b->as.real);
	if (real_a)
		return a->as.real == a->as.real ? -compare_mixed(shoal_any_int(b, 0), a->as.real) : 0;
	if (real_b)
		return b->as.real == b->as.real ? compare_mixed(shoal_any_int(a, 0), b->as.real) : 0;
	int64_t x = shoal_any_int(a, 0), y = shoal_any_int(b, 0);
	return (x > y) - (x < y);
}

static int
compare_values(const shoal_any *a, const shoal_any *b, int *failed)
{
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b);
	if (a->kind == b->kind && any_is_text(a))
		return compare_text(a, b);
	if (a->kind == b->kind && a->kind == SHOAL_ANY_LIST)
		return compare_items(a, b, failed);
	*failed = fail(-EINVAL, "values of kinds %u and %u have no order: give one", a->kind, b->kind);
	return 0;
}

static bool
is_after(const struct sorted *a, const struct sorted *b, struct sorting *s)
{
	if (s->order)
		return s->order(a->item, b->item, s->arg) > 0;
	return compare_values(a->item, b->item, &s->failed) > 0;
}

/* Two runs side by side become one: [from, middle) and [middle, end). */
static void
merge(const struct sorted *in, struct sorted *out, uint64_t from, uint64_t middle, uint64_t end,
      struct sorting *s)
{
	uint64_t left = from, right = middle;
	for (uint64_t i = from; i < end; i++) {
		bool of_right = left == middle ||
		                (right < end && !s->failed && is_after(&in[left], &in[right], s));
		out[i] = of_right ? in[right++] : in[left++];
	}
}

/*
 * Whatever the order says, each item comes out once: an order that contradicts itself, or that of
 * NaNs, which is none, leads nowhere else. The other half of `sorted` is room to merge into.
 */
static const struct sorted *
merge_sort(struct sorted *sorted, uint64_t count, struct sorting *s)
{
	struct sorted *in = sorted, *out = sorted + count;
	for (uint64_t run = 1; run < count && !s->failed; run *= 2) {
		for (uint64_t from = 0; from < count; from += 2 * run) {
			uint64_t middle = from + run < count ? from + run : count;
			uint64_t end = from + 2 * run < count ? from + 2 * run : count;
			merge(in, out, from, middle, end, s);
		}
		struct sorted *swap = in;
		in = out;
		out = swap;
	}
	return in;
}

/* The indices of the items in their new order. */
static int
order_of(const shoal_any *items, uint64_t count, struct sorting *s, uint64_t *index)
{
	struct sorted *sorted = malloc((2 * count + 1) * sizeof *sorted);
	if (!sorted)
		return fail(-ENOMEM, "no memory to sort %llu items", (unsigned long long)count);
	for (uint64_t i = 0; i < count; i++)
		sorted[i] = (struct sorted){ &items[i], i };
	const struct sorted *in = merge_sort(sorted, count, s);
	for (uint64_t i = 0; i < count; i++)
		index[i] = in[i].index;
	free(sorted);
	return s->failed;
}

/* Under the ledger with the change open: the slots in the order of the indices. Leaves. */
static int
apply(struct list_call *call, uint64_t *index, uint64_t sorted)
{
	uint64_t *slots, count;
	int rc = list_slots(call, &slots, &count);
	if (rc == 0 && count != sorted) {
		free(slots);
		rc = list_damaged(call);
	}
	if (rc)
		return list_give_up(call, rc);
	for (uint64_t i = 0; i < count; i++)
		index[i] = slots[index[i]];
	free(slots);
	return count > 1 ? list_reorder(call, index, count) : list_give_up(call, 0);
}

static int
make_order(const shoal_any *items, uint64_t count, struct sorting *s, uint64_t **index)
{
	*index = malloc((count + 1) * sizeof **index);
	int rc = *index ? order_of(items, count, s, *index)
	                : fail(-ENOMEM, "no memory to sort %llu items", (unsigned long long)count);
	if (rc)
		free(*index);
	return rc;
}

/* -EAGAIN: the list has changed meanwhile. */
static int
sort_beside(shoal_list *list, struct sorting *s)
{
	struct list_call call;
	shoal_any *items;
	uint64_t *index, count, writes;
	int rc = list_read_many(list, list_range_all, NULL, &items, &count, &writes);
	if (rc)
		return rc;
	rc = make_order(items, count, s, &index);
	list_anys_free(items, count);
	if (rc)
		return rc;
	rc = list_enter(&call, list);
	if (rc == 0)
		rc = list_lock(&call);
	if (rc == 0 && load_relaxed(&call.list->ledger.writes) != writes)
		rc = list_leave(&call, -EAGAIN);
	else if (rc == 0) {
		ledger_open(&call.hold, 0);
		rc = apply(&call, index, count);
	}
	free(index);
	return rc;
}

static int
sort_locked(shoal_list *list, struct sorting *s)
{
	struct list_call call;
	shoal_any *items;
	uint64_t *index, count;
	int rc = list_begin(&call, list);
	if (rc)
		return rc;
	rc = list_anys(&call, &items, &count);
	if (rc)
		return list_give_up(&call, rc);
	rc = make_order(items, count, s, &index);
	if (rc == 0) {
		rc = apply(&call, index, count);
		free(index);
	} else {
		list_give_up(&call, rc);
	}
	/* What goes with their pins goes outside of the call. */
	list_anys_free(items, count);
	return rc;
}

int
shoal_list_sort(shoal_list *list, shoal_any_order *order, void *arg)
{
	struct sorting s = { .order = order, .arg = arg };
	int rc = -EAGAIN;
	for (int i = 0; i < SORT_TRIES && rc == -EAGAIN; i++)
		rc = sort_beside(list, &s);
	return rc == -EAGAIN ? sort_locked(list, &s) : rc;
}
