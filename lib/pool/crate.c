#include "pool/crate.h"
#include "arena/block.h"
#include "arena/member.h"
#include "base/error.h"
#include "pool/shared.h"

static int
take(shoal_arena *a, struct shoal_thread *t, struct member *me, uint64_t owner, uint64_t bytes,
     word64 *record, uint64_t *data)
{
	uint64_t offset;
	int rc = block_take(a, t, me, bytes + CRATE_AHEAD, &offset);
	if (rc)
		return rc;
	store_relaxed((word64 *)arena_at(a, offset), owner);
	*data = offset + CRATE_AHEAD;
	if (record)
		store_relaxed(record, *data);
	fence_crash();
	uint64_t mine = block_word(BLOCK_HELD, 0, member_own_tag(me));
	if (!block_change(a, offset, mine, block_word(BLOCK_USER, 0, member_own_tag(me))))
		rc = fail(-EPROTO, "the pool's memory was overwritten");
	hand_clear(&me->hand);
	return rc;
}

int
crate_take(shoal_arena *a, uint64_t owner, uint64_t bytes, word64 *record, uint64_t *data)
{
	struct shoal_thread *t;
	struct member *me;
	if (thread_is_nested(thread_known()))
		return fail(-EDEADLK, "a signal handler inside another call uses a pool");
	int rc = member_here(a, &t, &me);
	if (rc == -EUSERS)
		return fail(rc, "more than %u threads of this process use a pool at one time",
		            POOL_CALLERS_MAX);
	if (rc)
		return rc;
	if (bytes > a->bytes)
		return fail(-ENOMEM, "%llu bytes are more than a pool's arena has",
		            (unsigned long long)bytes);
	t->busy = 1;
	rc = take(a, t, me, owner, bytes, record, data);
	t->busy = 0;
	return rc;
}

void
crate_give(shoal_arena *a, uint64_t data)
{
	if (data)
		shoal_free(a, arena_at(a, data - CRATE_AHEAD));
}

bool
crate_is(const shoal_arena *a, uint64_t data, uint64_t owner)
{
	if (data < CRATE_AHEAD || data >= a->bytes)
		return false;
	const word64 *word = block_word_at(a, data - CRATE_AHEAD);
	return word && block_state(load_acquire(word)) == BLOCK_USER &&
	       load_relaxed((const word64 *)arena_at(a, data - CRATE_AHEAD)) == owner;
}
