#include "arena/handle.h"
#include "arena/member.h"
#include "base/error.h"
#include "base/kernel.h"
#include <string.h>

#define TRIES_MAX 100

/* What is being created: the file has no name until all of it stands. */
struct making {
	struct layout layout;
	const struct place *place; /* NULL: private */
	uint32_t flags;            /* ARENA_… */
	unsigned map_flags;
	unsigned mode;
	uint64_t reserve_bytes;
	int fd;
};

static const char *
what(const struct making *m)
{
	return m->place ? m->place->path : "a private arena";
}

/* The parts that are touched before anybody grows them; a full file system shows here. */
static int
back_first(const struct making *m)
{
	const struct layout *l = &m->layout;
	const struct { uint64_t from, bytes; } parts[] = {
		{ 0, l->members_at + MEMBER_STRIDE },
		{ l->objects_at, OBJECTS_FIRST * sizeof(struct object) },
		{ l->names_at, OBJECTS_FIRST * sizeof(word32) },
		{ l->pages_at, HEADER_BYTES },
		{ l->pages_at,
		  (m->reserve_bytes + PAGE_BYTES - 1) / PAGE_BYTES * sizeof(struct page) },
		{ l->data_at, m->reserve_bytes },
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		int rc = parts[i].bytes ? shmfile_back(m->fd, parts[i].from, parts[i].bytes) : 0;
		if (rc)
			return fail(rc, "%s: there is no memory for its first %llu bytes: %s",
			            what(m), (unsigned long long)parts[i].bytes, strerror(-rc));
	}
	return 0;
}

/* Its own file, which nobody else can have open yet. */
static int
map_and_fill(const struct making *m, shoal_arena **out)
{
	const struct arena_header sizes = {
		.limit_bytes = m->layout.bytes, .pages_max = m->layout.pages_max,
		.members_max = m->layout.members_max, .objects_max = m->layout.objects_max,
		.processes_at = m->layout.processes_at, .members_at = m->layout.members_at,
		.objects_at = m->layout.objects_at, .names_at = m->layout.names_at,
		.pages_at = m->layout.pages_at,
		.pins_at = m->layout.pins_at, .data_at = m->layout.data_at, .flags = m->flags,
	};
	shoal_arena *a;
	int rc = handle_map(&sizes, m->fd, m->map_flags, what(m), &a);
	if (rc)
		return rc;
	snprintf(a->name, sizeof a->name, "%s", m->place ? m->place->path : ARENA_PRIVATE);
	header_fill(a->header, &m->layout, m->flags, m->mode);
	a->id = a->header->id;
	*out = a;
	return 0;
}

/* The name comes last: whoever opens it finds an arena that is whole and has this process in it. */
static int
build(struct making *m, shoal_arena **out)
{
	shoal_arena *a;
	int rc = map_and_fill(m, &a);
	if (rc)
		return rc;
	rc = process_join(a);
	if (rc == 0 && m->place)
		rc = shmfile_publish(m->fd, m->place);
	if (rc) {
		handle_unmap(a);
		return rc;
	}
	table_add(a);
	*out = a;
	return 0;
}

static int
make(struct making *m, shoal_arena **out)
{
	m->fd = m->place ? shmfile_unnamed(m->place, m->layout.bytes, m->mode)
	                 : shmfile_private(m->layout.bytes, m->mode);
	if (m->fd < 0)
		return m->fd;
	/* Which may take long, so not under the lock. */
	int rc = back_first(m);
	if (rc == 0) {
		table_lock();
		rc = build(m, out);
		table_unlock();
	}
	if (rc)
		shmfile_close(m->fd);
	return rc;
}

/*
 * The name is taken. An arena that is over (its last process died before it could unlink it) is in
 * nobody's way: attaching removes it. -ENOENT: it is gone, so make one.
 */
static int
meet(const char *name, const struct place *p, bool or_attach, shoal_arena **out)
{
	int rc = shoal_arena_attach(name, SHOAL_NOWAIT, out);
	if (rc == -ENOENT || or_attach)
		return rc;
	if (rc == 0)
		shoal_arena_close(*out);
	*out = NULL;
	return shmfile_taken(p);
}

static int
make_named(struct making *m, const char *name, bool or_attach, shoal_arena **out)
{
	struct place p;
	int rc = place_find(name, true, &p);
	if (rc)
		return rc;
	m->place = &p;
	rc = -ENOENT;
	for (int tries = 0; rc == -ENOENT && tries < TRIES_MAX; tries++) {
		rc = or_attach ? shoal_arena_attach(name, SHOAL_NOWAIT, out) : -ENOENT;
		if (rc == -ENOENT)
			rc = make(m, out);
		if (rc == -EEXIST)
			rc = meet(name, &p, or_attach, out);
	}
	place_leave(&p);
	return rc;
}

static uint32_t
header_flags(const char *name, unsigned options)
{
	uint32_t flags = 0;
	if (name)
		flags |= ARENA_NAMED;
	if (name && (options & SHOAL_UNLINK_LAST))
		flags |= ARENA_UNLINK_LAST;
	if (kernel_has(KERNEL_MEMBARRIER) && kernel_barrier_join() == 0)
		flags |= ARENA_MEMBARRIER;
	return flags;
}

int
shoal_arena_create(const char *name, const shoal_arena_options *options, shoal_arena **out)
{
	static const shoal_arena_options none;
	const shoal_arena_options *o = options ? options : &none;
	struct making m = { .mode = o->mode ? o->mode : 0600, .reserve_bytes = o->reserve_bytes };
	int rc = arena_asked(__func__, o, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = layout_choose(o, &m.layout);
	if (rc)
		return rc;
	if (!thread_self())
		return fail(-ENOMEM,
		            "no memory for this thread's record, or get_robust_list is refused");
	m.flags = header_flags(name, o->flags);
	/* Tried before anybody waits here; forked children inherit the answer. */
	(void)kernel_has(KERNEL_PENDING_RULE);
	m.map_flags = o->flags & SHOAL_HUGE ? SHMFILE_HUGE : 0;
	return name ? make_named(&m, name, o->flags & SHOAL_OR_ATTACH, out) : make(&m, out);
}
