#include "arena/object.h"
#include "arena/block.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/racy.h"
#include "sync/gate.h"
#include <string.h>

#define BACK_AT_ONCE 512u /* entries: 64 KiB */

uint32_t
objects_high(const shoal_arena *a)
{
	uint32_t high = load_acquire(&a->header->objects_high);
	return high < a->objects_max ? high : a->objects_max;
}

int
object_name_check(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	if (!name)
		return 0;
	size_t n = strlen(name);
	if (n == 0 || n >= NAME_BYTES || strspn(name, allowed) != n)
		return fail(-EINVAL, "'%.80s' is no name for an object: 1 to %u bytes of A-Z a-z 0-9 . _ -",
		            name, NAME_BYTES - 1);
	return 0;
}

int
object_lock_names(shoal_arena *a, struct shoal_thread *t, int64_t deadline)
{
	struct robust *lock = &a->header->name_lock;
	int rc = robust_take(t, lock, deadline);
	/* Every change under it is one store: there is nothing to mend. */
	if (rc == -EOWNERDEAD) {
		robust_mend(lock);
		rc = 0;
	}
	return rc;
}

void
object_unlock_names(shoal_arena *a, struct shoal_thread *t)
{
	robust_release(t, &a->header->name_lock);
}

/* FNV-1a; never 0. */
uint32_t
object_name_hash(const char *name)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < NAME_BYTES && name[i]; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ? hash : 1;
}

/* The entry may be given to another object meanwhile, with another name. */
static bool
is_named(const struct object *o, const char *name)
{
	char its[NAME_BYTES];
	racy_read(its, o->name, sizeof its);
	return strncmp(its, name, sizeof its) == 0;
}

/* The entry's word, with its name as it was under that word. False where it has another name. */
static bool
read_named(const struct object *o, const char *name, uint64_t *word)
{
	bool named;
	/* One that becomes READY meanwhile is not another one: it is read again, not passed. */
	do {
		*word = load_acquire(&o->word);
		if (object_state(*word) != OBJECT_READY && object_state(*word) != OBJECT_MAKING)
			return false;
		named = is_named(o, name);
		fence_acquire();
	} while (load_relaxed(&o->word) != *word);
	return named;
}

/*
 * The first entry from i on with this hash, or `high`, which is even. Two are read at once. Whoever
 * knows that there is an object of that name sees its hash: its maker wrote it first.
 */
static uint32_t
find_hash(const shoal_arena *a, uint32_t i, uint32_t high, uint32_t hash)
{
	for (; i < high; i = (i | 1) + 1) {
		uint64_t two = load_relaxed((word64 *)(void *)arena_name_hash(a, i & ~1u));
		if (unlikely((uint32_t)two == hash && !(i & 1)))
			break;
		if (unlikely(two >> 32 == hash)) {
			i |= 1;
			break;
		}
	}
	/* Pairs with `reserve`: the name is read after the hash. */
	fence_acquire();
	return i < high ? i : high;
}

/*
 * The entry of that name that is READY, or MAKING by a living member; objects_high where there is
 * none.
 */
static uint32_t
look_up(const shoal_arena *a, const char *name, uint64_t *word)
{
	uint32_t high = objects_high(a), hash = object_name_hash(name);
	for (uint32_t i = 1; (i = find_hash(a, i, high & ~1u, hash)) < (high & ~1u); i++) {
		if (!read_named(arena_object(a, i), name, word))
			continue;
		if (object_state(*word) == OBJECT_READY ||
		    member_state(a, object_tag(*word)) == MEMBER_ALIVE)
			return i;
	}
	return high;
}

static int
grow(shoal_arena *a)
{
	uint32_t high = objects_high(a);
	uint32_t more = a->objects_max - high < BACK_AT_ONCE ? a->objects_max - high : BACK_AT_ONCE;
	if (!more)
		return fail(-ENOMEM, "the arena holds its %u objects; destroy some", a->objects_max);
	int rc = arena_back(a, a->objects_at + high * sizeof(struct object),
	                    more * sizeof(struct object));
	if (rc == 0)
		rc = arena_back(a, a->names_at + high * sizeof(word32), more * sizeof(word32));
	if (rc == 0)
		store_release(&a->header->objects_high, high + more);
	return rc;
}

static uint32_t
find_none(const shoal_arena *a, uint32_t from, uint32_t high)
{
	while (from < high && object_state(load_acquire(&arena_object(a, from)->word)) != OBJECT_NONE)
		from++;
	return from;
}

/*
 * Under the name lock, so the entry stays NONE until its word is set. Entry 0 is never used. What
 * ends meanwhile lowers the rover, which then must not be raised. Where it is wrong, by a death,
 * entries wait until the table has reached its end.
 */
static int
find_entry(shoal_arena *a, uint32_t *index)
{
	word32 *rover = &a->header->object_rover;
	uint32_t high = objects_high(a), from = load_acquire(rover);
	uint32_t i = find_none(a, from && from <= high ? from : 1, high);
	if (i >= high && high == a->objects_max)
		i = find_none(a, 1, high);
	if (i >= high) {
		int rc = grow(a);
		if (rc)
			return rc;
	}
	cas32_acq_rel(rover, from, i + 1);
	*index = i;
	return 0;
}

static int
reserve(shoal_arena *a, struct member *me, const char *name, uint32_t kind, uint32_t *index)
{
	uint32_t i;
	int rc = find_entry(a, &i);
	if (rc)
		return rc;
	struct object *o = arena_object(a, i);
	store_relaxed(&o->body, 0);
	store_relaxed(&o->kind, kind);
	store_relaxed(&o->owner, 0);
	store_relaxed(&o->holds, 0);
	store_relaxed(&o->referred, 0);
	store_relaxed(&o->mailed, 0);
	char named[NAME_BYTES] = "";
	if (name)
		memcpy(named, name, strlen(name));
	racy_write(o->name, named, sizeof named);
	store_release(arena_name_hash(a, i), name ? object_name_hash(name) : 0);
	/*
	 * Named first, so that a death after the word finds it; a NONE entry that is named here is
	 * nobody's.
	 */
	store_relaxed(&me->making, i);
	fence_crash();
	store_release(&o->word, object_word(load_relaxed(&o->word), OBJECT_MAKING, member_tag(a, me)));
	*index = i;
	return 0;
}

/* What is there already under the name, for one who would create it. */
static int
meet(shoal_arena *a, const char *name, uint32_t index, uint64_t word, uint32_t kind,
     unsigned flags, struct object_made *out)
{
	if (!(flags & SHOAL_OR_OPEN))
		return fail(-EEXIST, "'%s' exists in arena '%s'; open it, or pass SHOAL_OR_OPEN where "
		            "there are flags", name, a->name);
	if (load_relaxed(&arena_object(a, index)->kind) != kind)
		return fail(-EPROTO, "'%s' in arena '%s' is an object of another kind", name, a->name);
	*out = (struct object_made){ index, true, word };
	return object_state(word) == OBJECT_READY ? 0 : -EAGAIN;
}

/* One try. -EAGAIN: a living member is making it; *word says which. */
static int
make(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name, uint32_t kind,
     unsigned flags, int64_t deadline, struct object_made *out, uint64_t *seen)
{
	int rc = object_lock_names(a, t, deadline);
	if (rc)
		return fail(rc, "the name lock of arena '%s' is held by another member", a->name);
	uint64_t word = 0;
	uint32_t i = name ? look_up(a, name, &word) : objects_high(a);
	if (i < objects_high(a) && name) {
		rc = meet(a, name, i, word, kind, flags, out);
	} else {
		*out = (struct object_made){ 0 };
		rc = reserve(a, me, name, kind, &out->index);
	}
	object_unlock_names(a, t);
	*seen = word;
	return rc;
}

/*
 * Until the entry that another member makes is no longer as seen, or that member is dead: then it
 * counts as absent. Its death wakes one; others look after a slice.
 */
static int
wait_for_maker(shoal_arena *a, struct shoal_thread *t, uint32_t index, uint64_t seen,
               int64_t deadline)
{
	struct object *o = arena_object(a, index);
	struct member *maker = member_of_tag(a, object_tag(seen));
	while (maker) {
		uint32_t life = load_acquire(&maker->life.word);
		gate_arm(&a->header->names_gate, a->flags & ARENA_MEMBARRIER);
		if (load_acquire(&o->word) != seen || member_state(a, object_tag(seen)) != MEMBER_ALIVE)
			return 0;
		struct futex_watch watch[] = { { &a->header->names_gate, GATE_ARMED },
			                       { &maker->life.word, life } };
		int64_t until = clock_sooner(deadline, FUTEX_SLICE_NS);
		int rc = gate_sleep(t, watch, 2, until);
		if (rc == -ECANCELED || (rc && until == deadline))
			return fail(rc, "another member is making that object in arena '%s'", a->name);
	}
	return 0;
}

/* One whose owner is gone holds the name no longer. */
static void
end_orphan(shoal_arena *a, const char *name)
{
	uint64_t word;
	uint32_t i = name ? look_up(a, name, &word) : objects_high(a);
	if (i < objects_high(a))
		(void)object_end_orphan(a, i);
}

int
object_make(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name,
            uint32_t kind, unsigned flags, int64_t deadline, struct object_made *out)
{
	int rc = object_name_check(name);
	if (rc)
		return rc;
	end_orphan(a, name);
	object_sweep(a, t, me);
	uint64_t seen = 0;
	while ((rc = make(a, t, me, name, kind, flags, deadline, out, &seen)) == -EAGAIN)
		if ((rc = wait_for_maker(a, t, out->index, seen, deadline)))
			return rc;
	return rc;
}

/*
 * Crash points: body is written while the block is still HELD(me); only its word makes it the
 * object's.
 */
static int
take_body(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, size_t bytes)
{
	uint64_t offset;
	int rc = block_take(a, t, me, bytes < SLAB_SPACED ? SLAB_SPACED : bytes, &offset);
	if (rc)
		return rc;
	struct block_found b;
	if (!block_find(a, offset, &b) || b.bytes < bytes) {
		hand_clear(&me->hand);
		return fail(-EPROTO, "the pages of arena '%s' are damaged: shared memory was overwritten",
		            a->name);
	}
	/* Who buries what was here looks whether that is in use, and then whether it is still there. */
	racy_clear(arena_at(a, offset), bytes);
	store_relaxed(&arena_object(a, index)->body, offset);
	fence_crash();
	store_release(b.word, block_word(BLOCK_OBJECT, index, 0));
	hand_clear(&me->hand);
	return 0;
}

/* Busy: what a signal handler frees meanwhile goes past the magazines and the hand. */
int
object_body(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, size_t bytes)
{
	uint32_t busy = t->busy;
	t->busy = 1;
	int rc = take_body(a, t, me, index, bytes);
	t->busy = busy;
	return rc;
}

bool
object_has_body(const shoal_arena *a, uint32_t index)
{
	uint64_t body = load_acquire(&arena_object(a, index)->body);
	const word64 *word = body ? block_word_at(a, body) : NULL;
	return word && load_acquire(word) == block_word(BLOCK_OBJECT, index, 0);
}

/* The body is looked up by its block, whose word names the object again: one of the two may lie. */
static void *
find_body(const shoal_arena *a, uint32_t index)
{
	uint64_t body = load_acquire(&arena_object(a, index)->body);
	struct block_found b;
	bool own = block_find(a, body, &b) && b.bytes >= SLAB_SPACED && body % SPACING == 0 &&
	           load_acquire(b.word) == block_word(BLOCK_OBJECT, index, 0);
	return own ? arena_at(a, body) : NULL;
}

static int
fail_no_body(const shoal_arena *a, uint32_t index)
{
	return fail(-EPROTO,
	            "object %u of arena '%s' has no body of its own: shared memory was overwritten",
	            index, a->name);
}

void *
object_body_at(const shoal_arena *a, uint32_t index)
{
	void *body = find_body(a, index);
	if (!body)
		fail_no_body(a, index);
	return body;
}

int
object_body_of(const shoal_arena *a, uint32_t index, uint64_t word, void **body)
{
	*body = find_body(a, index);
	if (object_is_still(a, index, word))
		return *body ? 0 : fail_no_body(a, index);
	*body = NULL;
	return fail_quiet(-ENOENT, "the object was destroyed while it was opened");
}

size_t
object_body_bytes(const shoal_arena *a, const void *body)
{
	return block_bytes(a, arena_offset(a, body));
}

void
object_own(shoal_arena *a, uint32_t index, unsigned flags)
{
	if (!(flags & SHOAL_WITH_OWNER))
		return;
	struct object *o = arena_object(a, index);
	store_relaxed(&o->owner_generation, process_generation(a, a->process));
	store_relaxed(&o->owner, a->process + 1);
}

void
object_publish(shoal_arena *a, struct member *me, uint32_t index)
{
	struct object *o = arena_object(a, index);
	store_release(&o->word, object_word(load_relaxed(&o->word), OBJECT_READY, 0));
	store_relaxed(&me->making, 0);
	gate_open_all(&a->header->names_gate);
}

static int
make_whole(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
           const struct object_plan *plan, void **body)
{
	int rc = object_body(a, t, me, index, plan->bytes);
	*body = rc ? NULL : object_body_at(a, index);
	if (*body)
		rc = plan->fill ? plan->fill(a, index, *body, plan->arg) : 0;
	else
		rc = rc ? rc : -EPROTO;
	if (rc) {
		object_abandon(a, me, index);
		return rc;
	}
	object_own(a, index, plan->flags);
	object_publish(a, me, index);
	return 0;
}

int
object_create(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name,
              const struct object_plan *plan, void **body)
{
	struct object_made made;
	int rc;
	do {
		*body = NULL;
		rc = object_make(a, t, me, name, plan->kind, plan->flags, CLOCK_NEVER, &made);
		if (rc)
			return rc;
		rc = made.existed ? object_body_of(a, made.index, made.word, body)
		                  : make_whole(a, t, me, made.index, plan, body);
	} while (made.existed && rc == -ENOENT);
	if (rc)
		*body = NULL;
	return rc;
}

static int
find_ready(shoal_arena *a, struct shoal_thread *t, const char *name, uint32_t kind,
           int64_t deadline, struct object_found *out)
{
	int rc = name ? object_name_check(name) : fail(-EINVAL, "open needs a name");
	if (rc == 0 && !t)
		rc = fail(-ENOMEM, "no memory for this thread's record, or get_robust_list is refused");
	if (rc)
		return rc;
	for (bool armed = false;; armed = true) {
		uint64_t word;
		uint32_t i = look_up(a, name, &word);
		if (i < objects_high(a) && object_state(word) == OBJECT_READY &&
		    !object_end_orphan(a, i)) {
			bool right = load_relaxed(&arena_object(a, i)->kind) == kind;
			if (!object_is_still(a, i, word))
				continue;
			if (!right)
				return fail(-EPROTO, "'%s' in arena '%s' is an object of another kind",
				            name, a->name);
			*out = (struct object_found){ .index = i, .word = word };
			return 0;
		}
		if (clock_now() >= deadline)
			return fail(-ENOENT, "there is no '%s' in arena '%s'", name, a->name);
		if (a->readonly) {
			/* A watcher cannot arm the gate: it looks again now and then. */
			int64_t until = clock_sooner(deadline, FUTEX_SLICE_NS);
			futex_wait(&t->interrupt, 0, until);
			rc = thread_interrupted(t) ? -ECANCELED : 0;
		} else if (!armed) {
			gate_arm(&a->header->names_gate, a->flags & ARENA_MEMBARRIER);
			continue;
		} else {
			/* Nothing tells of a maker that died before it told that the entry is READY. */
			struct futex_watch gate = { &a->header->names_gate, GATE_ARMED };
			rc = gate_sleep(t, &gate, 1, clock_sooner(deadline, FUTEX_SLICE_NS));
			gate_arm(&a->header->names_gate, a->flags & ARENA_MEMBARRIER);
		}
		if (rc == -ECANCELED)
			return fail(rc, "interrupted while waiting for '%s'", name);
	}
}

int
object_find(shoal_arena *a, struct shoal_thread *t, const char *name, uint32_t kind,
            int64_t deadline, uint32_t *index)
{
	struct object_found found;
	int rc = find_ready(a, t, name, kind, deadline, &found);
	if (rc == 0)
		*index = found.index;
	return rc;
}

int
object_open(shoal_arena *a, struct shoal_thread *t, const char *name, uint32_t kind,
            int64_t deadline, struct object_found *out)
{
	int rc;
	*out = (struct object_found){ 0 };
	do {
		rc = find_ready(a, t, name, kind, deadline, out);
		if (rc)
			return rc;
		rc = object_body_of(a, out->index, out->word, &out->body);
	} while (rc == -ENOENT);
	return rc;
}

int
object_find_body(const shoal_arena *a, const void *body, uint32_t kind, uint32_t *index)
{
	struct block_found b;
	bool is = block_find(a, arena_offset(a, body), &b) && b.bytes >= SLAB_SPACED;
	uint64_t word = is ? load_acquire(b.word) : 0;
	*index = block_object(word);
	if (block_state(word) == BLOCK_OBJECT && *index < objects_high(a) &&
	    load_relaxed(&arena_object(a, *index)->kind) == kind)
		return 0;
	return fail(-EPROTO, "%p is no object of that kind in arena '%s', or was destroyed", body,
	            a->name);
}

uint32_t
object_of_body(const shoal_arena *a, const void *body, uint32_t kind)
{
	uint32_t index;
	if (object_find_body(a, body, kind, &index))
		stop("%s", shoal_error());
	return index;
}

shoal_ref
object_ref(const shoal_arena *a, uint32_t index)
{
	const struct object *o = arena_object(a, index);
	uint64_t generation = object_generation(load_acquire(&o->word));
	return (a->id & 0xff) << 56 | generation << 40 | load_acquire(&o->body);
}

int
object_at(const shoal_arena *a, shoal_ref ref, uint32_t kind, uint32_t *index)
{
	uint64_t offset = ref & ((UINT64_C(1) << 40) - 1);
	word64 *word = ref >> 56 == (a->id & 0xff) ? block_word_at(a, offset) : NULL;
	uint64_t block = word ? load_acquire(word) : 0;
	*index = block_object(block);
	if (!word || block_state(block) != BLOCK_OBJECT || *index >= objects_high(a) ||
	    !object_ready(a, *index) || object_ref(a, *index) != ref)
		return fail(-ENOENT, "reference %#llx names nothing in arena '%s' any more",
		            (unsigned long long)ref, a->name);
	if (load_relaxed(&arena_object(a, *index)->kind) != kind)
		return fail(-EPROTO, "reference %#llx names an object of another kind",
		            (unsigned long long)ref);
	return 0;
}

