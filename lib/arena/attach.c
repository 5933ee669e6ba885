#include "arena/close.h"
#include "arena/handle.h"
#include "arena/member.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/kernel.h"
#include <string.h>

#define PAUSE_FIRST_NS INT64_C(500000)
#define PAUSE_MAX_NS INT64_C(8000000)

/* What is about to be attached. */
struct source {
	int fd;
	const char *what; /* for sentences */
	bool own;         /* stands in this user's own directory */
	struct shmfile file;
};

static int
read_header(int fd, const struct shmfile *f, const char *what, struct arena_header *h)
{
	memset(h, 0, sizeof *h);
	ssize_t n = shmfile_read(fd, h, sizeof *h);
	if (n < 0)
		return fail((int)n, "%s cannot be read: %s", what, strerror((int)-n));
	if (n < (ssize_t)sizeof *h)
		return fail(-EPROTO, "%s is not an arena: it has %zd bytes, a header alone has %zu",
		            what, n, sizeof *h);
	return header_validate(h, f->bytes, what);
}

/*
 * A copy may have holes where there were zeros: touched while the file system is full, they are a
 * SIGBUS. Asked behind the header, since memory comes before the header says so.
 */
static int
check_memory(int fd, const struct arena_header *h, const char *what)
{
	uint64_t is = shmfile_backed(fd), least = h->members_at;
	least += load_relaxed(&h->members_high) * MEMBER_STRIDE;
	least += load_relaxed(&h->objects_high) * sizeof(struct object);
	least += load_relaxed(&h->pages_high) << PAGE_BITS;
	if (is >= least)
		return 0;
	return fail(-EPROTO,
	            "%s is a copy of an arena with holes: %llu bytes of memory for %llu at the least",
	            what, (unsigned long long)is, (unsigned long long)least);
}

/* A private arena that anybody could make shorter would be a SIGBUS to its other users. */
static int
check_file(const struct arena_header *h, const struct shmfile *f, bool own, const char *what)
{
	if (!(h->flags & ARENA_NAMED) && !f->fixed)
		return fail(-EPROTO,
		            "%s is a copy of an arena: the file is not sealed against truncation",
		            what);
	if (own && (f->mode & ~h->mode))
		return fail(-EPERM,
		            "%s has mode %03o, wider than the %03o it was created with; chmod it",
		            what, f->mode, h->mode);
	return 0;
}

static int
over(const char *what)
{
	return fail(-ENOENT, "%s is at its end: its last member has left", what);
}

static int
may_join(shoal_arena *a, const char *what)
{
	if (a->header->pid_namespace != kernel_pid_namespace())
		return fail(-EPERM, "%s belongs to another PID namespace; attach it read-only",
		            what);
	return arena_over(a) ? over(what) : 0;
}

/* The record is written first, the state read after: see close.h. A watcher has no record. */
static int
join_process(shoal_arena *a, const char *what)
{
	if (a->readonly)
		return load_acquire(&a->header->state) == ARENA_DYING ? over(what) : 0;
	int rc = may_join(a, what);
	if (rc == 0)
		rc = process_join(a);
	if (rc)
		return rc;
	fence_seq_cst();
	if (load_seq_cst(&a->header->state) != ARENA_DYING)
		return 0;
	process_leave(a);
	arena_over(a);
	return over(what);
}

/* Maps the file whose header was validated; the descriptor is the handle's when this succeeds. */
static int
map_file(const struct source *from, const struct arena_header *h, const char *name,
         shoal_arena **out)
{
	shoal_arena *a;
	unsigned flags = from->file.readonly ? SHMFILE_READONLY : 0;
	int rc = handle_map(h, from->fd, flags, from->what, &a);
	if (rc)
		return rc;
	snprintf(a->name, sizeof a->name, "%s", *name ? name : ARENA_PRIVATE);
	rc = handle_join_barrier(a, from->what);
	if (rc == 0)
		rc = join_process(a, from->what);
	if (rc) {
		handle_unmap(a);
		return rc;
	}
	table_add(a);
	*out = a;
	return 0;
}

/*
 * Of a forked child, which has no record yet in what it inherited. It keeps the record when the
 * arena is over after all: another thread may use the arena by it already.
 */
static int
join_inherited(shoal_arena *a, const char *what)
{
	if (a->readonly || process_is_joined(a))
		return 0;
	int rc = may_join(a, what);
	if (rc == 0)
		rc = process_ensure(a);
	if (rc)
		return rc;
	fence_seq_cst();
	return load_seq_cst(&a->header->state) == ARENA_DYING ? over(what) : 0;
}

/* A handle that is closed but still has threads in it lives again. No handle: 0, and *out stays. */
static int
find_again(const struct source *from, shoal_arena **out)
{
	shoal_arena *a = table_find(&from->file, from->file.readonly);
	int rc = a ? join_inherited(a, from->what) : 0;
	if (!a || rc)
		return rc;
	a->references++;
	a->closing = false;
	*out = a;
	return 0;
}

/* Takes the descriptor over, whatever comes; *out is NULL. */
static int
attach_source(struct source *from, shoal_arena **out)
{
	struct arena_header h;
	char path[PLACE_BYTES] = "";
	int rc = shmfile_look(from->fd, from->what, &from->file);
	table_lock();
	if (rc == 0)
		rc = find_again(from, out);
	bool found = *out != NULL;
	if (rc == 0 && !found)
		rc = read_header(from->fd, &from->file, from->what, &h);
	if (rc == 0 && !found)
		rc = check_file(&h, &from->file, from->own, from->what);
	if (rc == 0 && !found)
		rc = check_memory(from->fd, &h, from->what);
	if (rc == 0 && !found) {
		if (h.flags & ARENA_NAMED)
			shmfile_path(from->fd, path, sizeof path);
		rc = map_file(from, &h, path, out);
	}
	table_unlock();
	if (rc || found)
		shmfile_close(from->fd);
	return rc;
}

static int
attach_once(const char *name, bool readonly, shoal_arena **out)
{
	struct place p;
	int rc = place_find(name, false, &p);
	if (rc)
		return rc;
	struct source from = { .what = p.path, .own = p.own };
	rc = from.fd = shmfile_open(&p, readonly);
	if (rc >= 0)
		rc = attach_source(&from, out);
	place_leave(&p);
	return rc;
}

/*
 * An arena that appears wakes nobody: the name is looked at again after a while, twice as long each
 * time.
 */
static int
pause_before_next(struct shoal_thread *t, int64_t deadline, int64_t *pause)
{
	int64_t until = clock_sooner(deadline, *pause);
	while (!load_relaxed(&t->interrupt) && futex_wait(&t->interrupt, 0, until) != -ETIMEDOUT)
		;
	if (*pause < PAUSE_MAX_NS)
		*pause *= 2;
	if (thread_interrupted(t))
		return fail_quiet(-ECANCELED, "the wait for an arena was interrupted");
	return 0;
}

static int
attach(const char *call, const char *name, bool readonly, int64_t deadline, shoal_arena **out)
{
	struct shoal_thread *t = thread_self();
	int rc = arena_asked(call, call, out);
	if (rc)
		return rc;
	if (!t)
		return fail(-ENOMEM,
		            "no memory for this thread's record, or get_robust_list is refused");
	*out = NULL;
	for (int64_t pause = PAUSE_FIRST_NS;;) {
		rc = attach_once(name, readonly, out);
		if (rc != -ENOENT || clock_now() >= deadline)
			return rc;
		rc = pause_before_next(t, deadline, &pause);
		if (rc)
			return rc;
	}
}

int
shoal_arena_attach(const char *name, shoal_time timeout, shoal_arena **out)
{
	return attach(__func__, name, false, clock_deadline(timeout), out);
}

int
shoal_arena_attach_readonly(const char *name, shoal_time timeout, shoal_arena **out)
{
	return attach(__func__, name, true, clock_deadline(timeout), out);
}

int
shoal_arena_attach_fd(int fd, shoal_arena **out)
{
	char what[32];
	int rc = arena_asked(__func__, __func__, out);
	if (rc)
		return rc;
	*out = NULL;
	if (!thread_self())
		return fail(-ENOMEM,
		            "no memory for this thread's record, or get_robust_list is refused");
	snprintf(what, sizeof what, "descriptor %d", fd);
	struct source from = { .what = what, .fd = shmfile_copy(fd) };
	return from.fd < 0 ? from.fd : attach_source(&from, out);
}

int
shoal_arena_fd(const shoal_arena *a)
{
	int rc = arena_asked(__func__, a, a);
	return rc ? rc : a->fd;
}
