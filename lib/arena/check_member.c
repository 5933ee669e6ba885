#include "arena/check.h"
#include "arena/object.h"

static void
check_free(struct check *c, uint32_t index, const struct member *m)
{
	const struct { const char *what; uint64_t value; } rest[] = {
		{ "block in its hand", load_relaxed(&m->hand.block) },
		{ "page in its hand", load_relaxed(&m->page_hand.block) },
		{ "call on object", load_relaxed(&m->call.object) },
		{ "half-made object", load_relaxed(&m->making) },
	};
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		if (rest[i].value)
			check_wrong(c, "member %u is free, but has a %s: 0x%llx", index,
			            rest[i].what, (unsigned long long)rest[i].value);
	for (unsigned i = 0; i < INSIDE_MAX; i++)
		if (load_relaxed(&m->inside[i]))
			check_wrong(c, "member %u is free, but is in a call on object %u", index,
			            load_relaxed(&m->inside[i]));
	for (unsigned i = 0; i < LOANS_MAX; i++)
		if (load_relaxed(&m->loans[i].state))
			check_wrong(c, "member %u is free, but has loan %u", index, i);
	for (unsigned i = 0; i < CLASSES; i++)
		if (load_relaxed(&m->magazines[i].count))
			check_wrong(c, "member %u is free, but has %u blocks of class %u", index,
			            load_relaxed(&m->magazines[i].count), i);
}

/* The walk looks from the block to its slot; this, from the slot to its block. */
static void
check_slots(struct check *c, uint32_t index, const struct member *m, unsigned class)
{
	const struct magazine *g = &m->magazines[class];
	uint32_t count = load_relaxed(&g->count);
	uint64_t its = block_word(BLOCK_MAGAZINE, 0, member_tag(c->a, m));
	if (count > MAGAZINE_SLOTS) {
		check_wrong(c, "member %u has %u blocks in its magazine of class %u", index, count,
		            class);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = load_relaxed(&g->slot[i]);
		struct block_found b;
		/* A run may have been made free by one who needed pages. */
		if (class >= SMALL_CLASSES)
			continue;
		if (!block_find(c->a, offset, &b) || b.class != class || load_acquire(b.word) != its)
			check_wrong(c, "member %u has 0x%llx, which is not, in its magazine of class %u",
			            index, (unsigned long long)offset, class);
	}
}

static void
check_living(struct check *c, uint32_t index, const struct member *m)
{
	uint32_t object = load_relaxed(&m->call.object), making = load_relaxed(&m->making);
	if (object >= objects_high(c->a) || making >= objects_high(c->a))
		check_wrong(c, "member %u is in a call on object %u, making %u: there is none",
		            index, object, making);
	for (unsigned i = 0; i < INSIDE_MAX; i++)
		if (load_relaxed(&m->inside[i]) >= objects_high(c->a))
			check_wrong(c, "member %u is in a call on object %u: there is none", index,
			            load_relaxed(&m->inside[i]));
	/* UINT32_MAX: it joins or leaves at this moment, as a helping thread may. */
	uint32_t process = load_relaxed(&m->process);
	if (process >= c->a->members_max && process != UINT32_MAX)
		check_wrong(c, "member %u is of process record %u, which is none", index, process);
	for (unsigned class = 0; class < CLASSES; class++)
		check_slots(c, index, m, class);
}

void
check_members(struct check *c)
{
	for (uint32_t i = 1; i <= walk_members(c->a); i++) {
		const struct member *m = arena_member(c->a, i);
		uint32_t life = load_acquire(&m->life.word);
		if (life == 0)
			check_free(c, i, m);
		else if (!(life & FUTEX_DIED))
			check_living(c, i, m);
	}
}
