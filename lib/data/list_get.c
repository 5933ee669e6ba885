/*
 * One item, and how many there are, without the ledger: after some tries in vain, since writers
 * raise the version all the time, with it. It is waited for a while only, since whoever has it may
 * be stopped by now.
 */
#include "base/clock.h"
#include "base/error.h"
#include "data/list.h"

#define GET_TRIES 64

enum got { GOT, GOT_AGAIN, GOT_FAILED };

static inline bool
still(const struct list_call *call, uint64_t version)
{
	fence_acquire();
	return load_relaxed(&call->list->version) == version;
}

/* Whether the index, if it counts from the end, means the same place as before. */
static inline bool
same_place(const struct list_call *call, ptrdiff_t index)
{
	if (likely(index >= 0))
		return true;
	const struct list_top *top = arena_at(call->c.arena, call->shape.top);
	return load_relaxed(&top->tail_count) == call->shape.tail_count;
}

/* What lies in a block. */
static __attribute__((noinline)) enum got
get_block(struct list_call *call, uint64_t slot, ptrdiff_t index, uint64_t version, shoal_any *out,
          int *rc)
{
	struct item_copy copy;
	bool whole = list_slot_copy(call->c.arena, slot, &copy, rc);
	bool same = same_place(call, index) && still(call, version);
	enum got got = same && whole ? GOT : same && *rc == -ENOMEM ? GOT_FAILED : GOT_AGAIN;
	if (got == GOT) {
		*rc = list_slot_any(call, &copy, GONE_FAILS, out);
		/* What was pinned just now stays, if it was still in the list then. */
		if (unlikely(out->kind >= SHOAL_ANY_LIST || *rc) && !still(call, version)) {
			shoal_any_clear(out);
			got = GOT_AGAIN;
		}
	}
	item_forget(&copy);
	return got;
}

static inline enum got
try_get(struct list_call *call, ptrdiff_t index, shoal_any *out, int *rc)
{
	const shoal_arena *a = call->c.arena;
	struct place p;
	uint64_t at, version = load_acquire(&call->list->version);
	if (!list_shape_read(a, call->list, &call->shape))
		return GOT_AGAIN;
	*rc = list_index(index, shape_size(&call->shape), &at);
	if (*rc)
		return still(call, version) ? GOT_FAILED : GOT_AGAIN;
	if (!list_find(a, &call->shape, at, &p))
		return GOT_AGAIN;
	uint64_t slot = load_acquire(&p.leaf->slot[p.slot]);
	if ((slot & 7) != SLOT_INT)
		return get_block(call, slot, index, version, out, rc);
	fence_acquire();
	if (!same_place(call, index) || !still(call, version))
		return GOT_AGAIN;
	*out = shoal_any_from_int((int64_t)slot >> 3);
	return GOT;
}

/* -ETIMEDOUT: not so soon, and the call was not left. */
static __attribute__((noinline)) int
get_locked(struct list_call *call, ptrdiff_t index, shoal_any *out)
{
	struct place p;
	uint64_t at;
	int rc = list_lock_until(call, clock_now() + CONTAINER_READER_NS);
	if (rc)
		return rc;
	rc = list_place(call, index, &at, &p);
	if (rc == 0)
		rc = list_place_any(call, &p, out);
	return list_leave(call, rc);
}

int
shoal_list_get(shoal_list *list, ptrdiff_t index, shoal_any *out)
{
	struct list_call call;
	*out = SHOAL_NIL;
	int rc = list_enter_reader(&call, list);
	if (rc)
		return rc;
	do {
		for (int i = 0; i < GET_TRIES; i++) {
			if (unlikely(try_get(&call, index, out, &rc) == GOT_AGAIN))
				continue;
			rc = list_leave_call(&call, rc);
			if (unlikely(rc))
				shoal_any_clear(out);
			return rc;
		}
		rc = get_locked(&call, index, out);
	} while (rc == -ETIMEDOUT);
	return rc;
}

bool
list_size_try(const shoal_arena *a, const struct shoal_list *list, uint64_t *size)
{
	struct list_shape s;
	for (int i = 0; i < GET_TRIES; i++) {
		uint64_t version = load_acquire(&list->version);
		bool whole = list_shape_read(a, list, &s);
		fence_acquire();
		*size = shape_size(&s);
		if (likely(whole && load_relaxed(&list->version) == version))
			return true;
	}
	return false;
}

size_t
shoal_list_size(const shoal_list *list)
{
	struct list_call call;
	uint64_t size;
	if (list_enter_reader(&call, list))
		return 0;
	int rc;
	do {
		if (likely(list_size_try(call.c.arena, list, &size)))
			return list_leave_call(&call, 0) ? 0 : size;
		rc = list_lock_until(&call, clock_now() + CONTAINER_READER_NS);
	} while (rc == -ETIMEDOUT);
	if (rc)
		return 0;
	size = shape_size(&call.shape);
	(void)list_leave(&call, 0);
	return size;
}
