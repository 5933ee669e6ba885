/*
 * What an arena holds, from its own records: for programs that watch. Nothing is written, no lock
 * is taken.
 */
#include "arena/object.h"
#include "arena/walk.h"
#include "base/error.h"
#include "base/kernel.h"
#include <string.h>

#define SAME(ours, kernels) _Static_assert((int)(ours) == (int)(kernels), "told by the same bits")
SAME(SHOAL_HAS_WAITV, KERNEL_WAITV);
SAME(SHOAL_HAS_MEMBARRIER, KERNEL_MEMBARRIER);
SAME(SHOAL_HAS_NOEXEC_SEAL, KERNEL_NOEXEC_SEAL);
SAME(SHOAL_HAS_PENDING_RULE, KERNEL_PENDING_RULE);
SAME(SHOAL_HAS_PIDFD, KERNEL_PIDFD);
SAME(SHOAL_HAS_URING, KERNEL_URING);

static bool
in_use(uint64_t word)
{
	enum block_state s = block_state(word);
	return s != BLOCK_FREE && s != BLOCK_MAGAZINE && s != BLOCK_SLAB;
}

static void
count_block(void *arg, const struct block_seen *b)
{
	shoal_arena_info *info = arg;
	if (!in_use(b->word))
		return;
	info->blocks++;
	info->used_bytes += b->bytes;
}

/* A row is its record's for ever, whoever has the record: the sums never go back. */
static void
count_member(shoal_arena_info *info, const struct member *m)
{
	uint32_t life = load_acquire(&m->life.word);
	if (life && !(life & FUTEX_DIED) && !load_relaxed(&m->borrowed))
		info->members++;
	info->deaths += load_relaxed(&m->counts.deaths);
	info->recoveries += load_relaxed(&m->counts.recoveries);
	info->locks_autocleaned += load_relaxed(&m->counts.locks_autocleaned);
	info->messages_dropped += load_relaxed(&m->counts.dropped);
	info->messages_redelivered += load_relaxed(&m->counts.redelivered);
}

static uint32_t
features(const shoal_arena *a)
{
	uint32_t has = kernel_features();
	return a->flags & ARENA_MEMBARRIER ? has : has & ~(uint32_t)SHOAL_HAS_MEMBARRIER;
}

/* Whole, and of a kind that users know. */
static bool
is_users(const shoal_arena *a, uint32_t index)
{
	const struct kind_ops *ops = kind_of(a, index);
	return object_ready(a, index) && !(ops && ops->lost);
}

int
shoal_arena_stat(const shoal_arena *a, shoal_arena_info *out)
{
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	memset(out, 0, sizeof *out);
	out->limit_bytes = arena_limit(a);
	out->taken_bytes = arena_pages(a) << PAGE_BITS;
	out->members_max = a->members_max;
	out->features = features(a);
	walk_blocks(a, count_block, out);
	for (uint32_t i = 1; i <= walk_members(a); i++)
		count_member(out, arena_member(a, i));
	for (uint32_t i = 1; i < objects_high(a); i++)
		out->objects += is_users(a, i);
	return 0;
}

/* ---- the list of objects ---- */

struct share {
	uint32_t object;
	uint64_t bytes;
};

static void
count_share(void *arg, const struct block_seen *b)
{
	struct share *s = arg;
	enum block_state state = block_state(b->word);
	bool its = state == BLOCK_OBJECT || state == BLOCK_PLACE || state == BLOCK_PART;
	if (its && block_object(b->word) == s->object)
		s->bytes += b->bytes;
}

/* A kind looks into its body only when there is one. */
static bool
has_body(const shoal_arena *a, uint32_t index)
{
	uint64_t body = load_acquire(&arena_object(a, index)->body);
	const word64 *word = body ? block_word_at(a, body) : NULL;
	return word && load_acquire(word) == block_word(BLOCK_OBJECT, index, 0);
}

/* False when the object is another one, or none, by the time all is read. */
static bool
describe(const shoal_arena *a, uint32_t index, shoal_object_info *out)
{
	struct object *o = arena_object(a, index);
	uint64_t word = load_acquire(&o->word);
	if (!is_users(a, index) || !has_body(a, index))
		return false;
	memset(out, 0, sizeof *out);
	if (object_state(word) == OBJECT_READY)
		memcpy(out->name, o->name, sizeof out->name - 1);
	out->kind = load_relaxed(&o->kind);
	uint32_t owner = load_relaxed(&o->owner);
	if (owner && owner <= a->members_max)
		out->owner = (pid_t)(uint32_t)load_acquire(&arena_process(a, owner - 1)->word);
	out->ref = object_ref(a, index);
	struct share share = { .object = index };
	walk_blocks(a, count_share, &share);
	out->used_bytes = share.bytes;
	const struct kind_ops *ops = kind_of(a, index);
	out->size = ops && ops->size ? ops->size(a, index) : 0;
	return load_acquire(&o->word) == word;
}

int
shoal_arena_next(const shoal_arena *a, uint64_t *cursor, shoal_object_info *out)
{
	int rc = arena_asked(__func__, a, cursor && out ? out : NULL);
	if (rc)
		return rc;
	while (*cursor + 1 < objects_high(a)) {
		*cursor += 1;
		if (describe(a, (uint32_t)*cursor, out))
			return 1;
	}
	return 0;
}
