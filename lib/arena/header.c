#include "arena/header.h"
#include "arena/slab.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/shmfile.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arenas are little-endian");

#define SMALL_PAGE UINT64_C(4096)

static uint64_t
round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Each limit is far below 2^41, so no sum overflows. */
bool
layout_compute(uint64_t pages_max, uint32_t members_max, uint32_t objects_max, struct layout *out)
{
	if (pages_max < PAGES_MIN || pages_max > LIMIT_MAX >> PAGE_BITS || members_max < 1 ||
	    members_max > MEMBERS_MAX || objects_max < OBJECTS_FIRST ||
	    objects_max > OBJECTS_MAX || objects_max % OBJECTS_FIRST)
		return false;
	*out = (struct layout){ .pages_max = pages_max, .members_max = members_max,
		                .objects_max = objects_max };
	out->processes_at = HEADER_BYTES;
	out->members_at = round_up(
		out->processes_at + members_max * sizeof(struct process_record), SMALL_PAGE);
	out->objects_at = out->members_at + members_max * MEMBER_STRIDE;
	out->names_at = round_up(out->objects_at + objects_max * sizeof(struct object), SMALL_PAGE);
	out->pages_at = round_up(out->names_at + objects_max * sizeof(word32), SMALL_PAGE);
	out->pins_at = round_up(out->pages_at + pages_max * sizeof(struct page), SMALL_PAGE);
	out->data_at = round_up(out->pins_at + members_max * PIN_STRIDE, PAGE_BYTES);
	out->bytes = out->data_at + (pages_max << PAGE_BITS);
	return out->bytes <= LIMIT_MAX;
}

static int
check_options(const shoal_arena_options *o)
{
	const unsigned known = SHOAL_UNLINK_LAST | SHOAL_HUGE | SHOAL_OR_ATTACH;
	for (unsigned i = 0; i < sizeof o->reserved_ / sizeof *o->reserved_; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "arena options: reserved_[%u] is not zero", i);
	if (o->flags & ~known)
		return fail(-EINVAL, "arena options: flags 0x%x has bits that mean nothing",
		            o->flags);
	if (o->mode & ~0666u)
		return fail(-EINVAL, "arena options: mode %04o is not within 0666", o->mode);
	if (o->members_max > MEMBERS_MAX)
		return fail(-EINVAL, "arena options: members_max %u is more than %u",
		            o->members_max, MEMBERS_MAX);
	return 0;
}

/* As many as there can be bodies; entry 0 is none. */
static uint32_t
objects_for(uint64_t pages)
{
	uint64_t most = round_up((pages << PAGE_BITS) / SLAB_SPACED + 1, OBJECTS_FIRST);
	return most < OBJECTS_MAX ? (uint32_t)most : OBJECTS_MAX;
}

int
layout_choose(const shoal_arena_options *o, struct layout *out)
{
	int rc = check_options(o);
	if (rc)
		return rc;
	uint64_t limit = o->limit_bytes ? o->limit_bytes : LIMIT_DEFAULT;
	uint64_t pages = limit <= LIMIT_MAX ? round_up(limit, PAGE_BYTES) >> PAGE_BITS : 0;
	if (pages && pages < PAGES_MIN)
		pages = PAGES_MIN;
	uint32_t members = o->members_max ? o->members_max : MEMBERS_DEFAULT;
	if (!layout_compute(pages, members, objects_for(pages), out))
		return fail(-EINVAL,
		            "arena options: limit_bytes %llu with the tables of %u members is more "
		            "than %llu bytes",
		            (unsigned long long)limit, members, (unsigned long long)LIMIT_MAX);
	if (o->reserve_bytes > pages << PAGE_BITS)
		return fail(-EINVAL,
		            "arena options: reserve_bytes %zu is more than limit_bytes %llu",
		            o->reserve_bytes, (unsigned long long)limit);
	return 0;
}

/* ---- the hash ---- */

#define FIELD(type, member) offsetof(struct type, member)

static const uint32_t shape[] = {
	SPACING, PAGE_BITS, NAME_BYTES, TAG_INDEX_BITS, MEMBER_STRIDE, HEADER_BYTES,
	LOANS_MAX, INSIDE_MAX, SMALL_CLASSES, RUN_CLASSES, MAGAZINE_SLOTS,
	BLOCK_FREE, BLOCK_MAGAZINE, BLOCK_HELD, BLOCK_USER, BLOCK_PLACE, BLOCK_OBJECT, BLOCK_SLAB,
	BLOCK_PART,
	sizeof(struct robust), FIELD(robust, word), FIELD(robust, prev), FIELD(robust, next),
	sizeof(struct page), FIELD(page, word), FIELD(page, pages), FIELD(page, next),
	sizeof(struct hand), FIELD(hand, block), FIELD(hand, pos), FIELD(hand, object),
	FIELD(hand, kind),
	sizeof(struct call), FIELD(call, pos), FIELD(call, object), FIELD(call, kind),
	sizeof(struct loan_entry), FIELD(loan_entry, pos), FIELD(loan_entry, block),
	FIELD(loan_entry, base), FIELD(loan_entry, object), FIELD(loan_entry, state),
	FIELD(loan_entry, filled), FIELD(loan_entry, generation),
	sizeof(struct magazine), FIELD(magazine, count), FIELD(magazine, slot),
	sizeof(struct counts), FIELD(counts, deaths), FIELD(counts, recoveries),
	FIELD(counts, locks_autocleaned), FIELD(counts, dropped), FIELD(counts, redelivered),
	sizeof(struct member), FIELD(member, life), FIELD(member, generation),
	FIELD(member, process), FIELD(member, process_generation), FIELD(member, tid),
	FIELD(member, borrowed),
	FIELD(member, pins), FIELD(member, pins_high), PINS_FIRST, PINS_MAX,
	TAG_INDEX_BITS, /* a pin's entry has the rest of a tag */
	FIELD(member, posting), FIELD(member, opening), FIELD(member, opening_pos),
	FIELD(member, recovering), FIELD(member, call), FIELD(member, hand),
	FIELD(member, page_hand), FIELD(member, making), FIELD(member, inside),
	FIELD(member, counts),
	FIELD(member, loans), FIELD(member, magazines),
	sizeof(struct process_record), FIELD(process_record, word),
	FIELD(process_record, start_time), FIELD(process_record, died),
	FIELD(process_record, ending),
	sizeof(struct object), FIELD(object, word), FIELD(object, body), FIELD(object, kind),
	FIELD(object, owner), FIELD(object, owner_generation),
	FIELD(object, bytes), FIELD(object, holds), FIELD(object, referred),
	FIELD(object, mailed), FIELD(object, name),
	sizeof(struct hold_intent), FIELD(hold_intent, progress_at), FIELD(hold_intent, progress),
	FIELD(hold_intent, object), FIELD(hold_intent, holds), FIELD(hold_intent, open),
	sizeof(struct arena_header), FIELD(arena_header, state), FIELD(arena_header, members_high),
	FIELD(arena_header, objects_high), FIELD(arena_header, names_gate),
	FIELD(arena_header, pages_high),
	FIELD(arena_header, page_lock), FIELD(arena_header, rover), FIELD(arena_header, name_lock),
	FIELD(arena_header, slab_head), FIELD(arena_header, slab_pages),
	FIELD(arena_header, hold_lock), FIELD(arena_header, intent), FIELD(arena_header, dying),
	FIELD(arena_header, object_rover),
};

/* FNV-1a over the numbers. */
uint32_t
layout_hash(void)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		hash = (hash ^ shape[i]) * 16777619u;
	return hash;
}

/* ---- the header ---- */

static uint64_t
new_id(void)
{
	uint64_t id = shmfile_random();
	return id & 0xff ? id : id | 1;
}

void
header_fill(struct arena_header *h, const struct layout *l, uint32_t flags, unsigned mode)
{
	h->version = ARENA_VERSION;
	h->layout = layout_hash();
	h->limit_bytes = l->bytes;
	h->pages_max = l->pages_max;
	h->members_max = l->members_max;
	h->objects_max = l->objects_max;
	h->processes_at = l->processes_at;
	h->members_at = l->members_at;
	h->objects_at = l->objects_at;
	h->names_at = l->names_at;
	h->pages_at = l->pages_at;
	h->pins_at = l->pins_at;
	h->data_at = l->data_at;
	h->flags = flags;
	h->mode = mode;
	h->pid_namespace = kernel_pid_namespace();
	h->id = new_id();
	store_relaxed(&h->members_high, 1);
	store_relaxed(&h->objects_high, OBJECTS_FIRST);
	store_release(&h->state, ARENA_READY);
	h->magic = ARENA_MAGIC;
}

/* ---- validation ---- */

static int
refuse(const char *what, const char *field, uint64_t is, uint64_t must)
{
	return fail(-EPROTO, "%s is a damaged arena: its header's %s is %llu and must be %llu",
	            what, field, (unsigned long long)is, (unsigned long long)must);
}

static int
refuse_above(const char *what, const char *field, uint64_t is, uint64_t most)
{
	return fail(-EPROTO,
	            "%s is a damaged arena: its header's %s is %llu, at most %llu is possible",
	            what, field, (unsigned long long)is, (unsigned long long)most);
}

static int
validate_identity(const struct arena_header *h, const char *what)
{
	if (h->magic != ARENA_MAGIC)
		return fail(-EPROTO, "%s is not an arena of shoal: it begins with 0x%016llx", what,
		            (unsigned long long)h->magic);
	if (h->version != ARENA_VERSION)
		return fail(-EPROTO,
		            "%s is an arena of layout version %u; this library knows version %u",
		            what, h->version, ARENA_VERSION);
	if (h->layout != layout_hash())
		return fail(-EPROTO,
		            "%s was made by a library with another layout (hash %08x, here %08x); "
		            "use the same build of shoal on both sides",
		            what, h->layout, layout_hash());
	return 0;
}

static int
validate_layout(const struct arena_header *h, uint64_t file_bytes, const char *what)
{
	struct layout l;
	if (!layout_compute(h->pages_max, h->members_max, h->objects_max, &l))
		return fail(-EPROTO,
		            "%s is a damaged arena: pages_max %llu, members_max %u, objects_max %u "
		            "are no limits",
		            what, (unsigned long long)h->pages_max, h->members_max, h->objects_max);
	const struct { const char *field; uint64_t is, must; } fields[] = {
		{ "limit_bytes", h->limit_bytes, l.bytes },
		{ "processes_at", h->processes_at, l.processes_at },
		{ "members_at", h->members_at, l.members_at },
		{ "objects_at", h->objects_at, l.objects_at },
		{ "names_at", h->names_at, l.names_at },
		{ "pages_at", h->pages_at, l.pages_at },
		{ "pins_at", h->pins_at, l.pins_at },
		{ "data_at", h->data_at, l.data_at },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i].is != fields[i].must)
			return refuse(what, fields[i].field, fields[i].is, fields[i].must);
	if (file_bytes != l.bytes)
		return fail(-EPROTO, "%s is truncated: it has %llu bytes, its header says %llu",
		            what, (unsigned long long)file_bytes, (unsigned long long)l.bytes);
	return 0;
}

static int
validate_rest(const struct arena_header *h, const char *what)
{
	uint32_t state = load_relaxed(&h->state);
	uint32_t members = load_relaxed(&h->members_high), objects = load_relaxed(&h->objects_high);
	uint64_t pages = load_relaxed(&h->pages_high);
	if (h->flags & ~(uint32_t)(ARENA_NAMED | ARENA_MEMBARRIER | ARENA_UNLINK_LAST))
		return fail(-EPROTO, "%s is a damaged arena: its header's flags are 0x%x", what,
		            h->flags);
	if (h->mode & ~0666u)
		return fail(-EPROTO, "%s is a damaged arena: its header's mode is %o", what,
		            h->mode);
	if ((h->id & 0xff) == 0)
		return fail(-EPROTO, "%s is a damaged arena: its header's id is 0x%llx", what,
		            (unsigned long long)h->id);
	if (state != ARENA_READY && state != ARENA_DYING)
		return refuse(what, "state", state, ARENA_READY);
	if (members > h->members_max)
		return refuse_above(what, "members_high", members, h->members_max);
	if (objects > h->objects_max)
		return refuse_above(what, "objects_high", objects, h->objects_max);
	if (pages > h->pages_max)
		return refuse_above(what, "pages_high", pages, h->pages_max);
	return 0;
}

int
header_validate(const struct arena_header *copy, uint64_t file_bytes, const char *what)
{
	int rc = validate_identity(copy, what);
	if (rc == 0)
		rc = validate_layout(copy, file_bytes, what);
	if (rc == 0)
		rc = validate_rest(copy, what);
	return rc;
}
