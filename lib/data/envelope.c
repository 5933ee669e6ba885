#include "data/envelope.h"
#include "arena/hold.h"
#include "base/clock.h"
#include "base/error.h"
#include "data/any.h"
#include "data/kinds.h"
#include "data/reference.h"
#include "ring/mark.h"

#define NOWHERE UINT64_MAX

struct envelope {
	shoal_ref ring;    /* the queue or pipe, */
	uint32_t index;    /* and its index */
	word32 counted;    /* of its references */
	word64 place;      /* NOWHERE until the sender has one */
	uint64_t refs;
	shoal_ref ref[];
};

/* The body, as far as it lies in its block. */
static struct envelope *
body_of(const shoal_arena *a, uint32_t object)
{
	struct envelope *e = object_body_at(a, object);
	uint64_t room = e ? object_body_bytes(a, e) : 0;
	return room >= sizeof *e && e->refs <= (room - sizeof *e) / sizeof *e->ref ? e : NULL;
}

/* ---- sending ---- */

static uint64_t
gather(const shoal_any *v, shoal_ref *to)
{
	uint64_t n = 0;
	if (v->kind == SHOAL_ANY_OBJECT) {
		*to = reference_object(reference_of(v));
		return 1;
	}
	for (uint64_t i = 0; i < any_items(v); i++)
		n += gather(&v->as.items[i], to + n);
	return n;
}

static int
count(struct envelope_call *c, struct envelope *e)
{
	int rc = 0;
	for (uint64_t i = 0; i < e->refs && rc == 0; i++) {
		uint32_t object;
		rc = hold_object(c->arena, e->ref[i], &object);
		if (rc == 0)
			rc = hold_change(c->arena, c->thread, c->me, object, 1, &e->counted,
			                 (uint32_t)i + 1);
	}
	return reference_counted(rc);
}

static int
make(struct envelope_call *c, const shoal_any *v, uint32_t refs, struct envelope **out)
{
	struct object_made made;
	shoal_arena *a = c->arena;
	int rc = object_make(a, c->thread, c->me, NULL, KIND_ENVELOPE, 0, CLOCK_NEVER, &made);
	if (rc)
		return rc;
	rc = object_body(a, c->thread, c->me, made.index, sizeof **out + refs * sizeof(shoal_ref));
	struct envelope *e = rc ? NULL : object_body_at(a, made.index);
	if (!e) {
		object_abandon(a, c->me, made.index);
		return rc ? rc : -EPROTO;
	}
	e->ring = c->to = object_ref(a, c->ring);
	e->index = c->ring;
	e->refs = gather(v, e->ref);
	store_relaxed(&e->place, NOWHERE);
	c->index = made.index;
	*out = e;
	return 0;
}

int
envelope_make(shoal_arena *a, uint32_t ring, const shoal_any *v, uint32_t refs,
              struct envelope_call *out)
{
	struct envelope_call *c = out;
	struct envelope *e;
	*c = (struct envelope_call){ .arena = a, .ring = ring };
	int rc = member_here(a, &c->thread, &c->me);
	if (rc)
		return rc;
	if (load_relaxed(&c->me->posting))
		return fail(-EDEADLK, "a value was sent by a signal handler inside another such call");
	rc = make(c, v, refs, &e);
	if (rc)
		return rc;
	store_relaxed(&arena_object(a, ring)->mailed, 1);
	/* From before anybody can find it lost. */
	store_relaxed(&c->me->posting, c->index);
	fence_crash();
	object_publish(a, c->me, c->index);
	c->ref = object_ref(a, c->index);
	c->place = &e->place;
	rc = count(c, e);
	if (rc)
		envelope_sent(c, rc);
	return rc;
}

static bool
stands(const shoal_arena *a, uint32_t ring, shoal_ref ref)
{
	uint64_t word = load_acquire(&arena_object(a, ring)->word);
	return object_state(word) == OBJECT_READY && object_ref(a, ring) == ref;
}

static bool
is_pipe(const shoal_arena *a, uint32_t ring)
{
	return load_relaxed(&arena_object(a, ring)->kind) == SHOAL_KIND_PIPE;
}

/*
 * Who destroyed the queue meanwhile may have looked before `mailed` was set, or while `posting`
 * named the envelope, and so may who closed the end that was to receive: then this one looks. By
 * now the envelope may have gone, and its index be another one's, which is looked at in vain.
 */
void
envelope_sent(struct envelope_call *c, int rc)
{
	const shoal_arena *a = c->arena;
	if (!c->index)
		return;
	uint64_t place = load_relaxed(c->place);
	store_release(&c->me->posting, 0);
	fence_seq_cst();
	if (rc || !stands(a, c->ring, c->to) ||
	    (is_pipe(a, c->ring) && !pipe_receives(a, c->ring, place)))
		object_end_lost(c->arena, c->thread, c->me, c->index);
	c->index = 0;
}

/* ---- receiving ---- */

void
envelope_opened(shoal_arena *a, shoal_ref ref)
{
	struct shoal_thread *t;
	struct member *me;
	uint32_t index;
	if (member_here(a, &t, &me))
		return;
	store_release(&me->opening, 0);
	if (ref && hold_object(a, ref, &index) == 0)
		object_end_lost(a, t, me, index);
}

/* ---- whether it is needed ---- */

static bool
is_posted(const shoal_arena *a, uint32_t object)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++)
		if (load_acquire(&arena_member(a, i)->posting) == object)
			return true;
	return false;
}

static bool
is_opened(const shoal_arena *a, uint32_t ring, uint64_t place)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const struct member *m = arena_member(a, i);
		if (load_acquire(&m->opening) == ring && load_relaxed(&m->opening_pos) == place)
			return true;
	}
	return false;
}

/* What is read of a queue that goes meanwhile is memory of anybody's; so it is looked at again. */
static bool
lies_there(const shoal_arena *a, uint32_t object, const struct envelope *e, uint64_t place)
{
	if (place == NOWHERE || !e->index || e->index >= objects_high(a) ||
	    !stands(a, e->index, e->ring))
		return false;
	bool has = is_pipe(a, e->index)
	                   ? pipe_has_message(a, e->index, place, object_ref(a, object))
	                   : queue_has_message(a, e->index, place);
	fence_acquire();
	return has && stands(a, e->index, e->ring);
}

static bool
lost(const shoal_arena *a, uint32_t object)
{
	const struct envelope *e = body_of(a, object);
	if (!e)
		return true;
	if (is_posted(a, object))
		return false;
	uint64_t place = load_acquire(&e->place);
	return !lies_there(a, object, e, place) && !is_opened(a, e->index, place);
}

/* ---- its end, and its check ---- */

/* From the last to the first that was counted. Counts that contradict each other end it. */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct envelope *e = body_of(a, object);
	uint32_t n;
	hold_settle(a, t);
	while (e && (n = load_acquire(&e->counted)) && n <= e->refs) {
		uint32_t to;
		int rc = hold_object(a, e->ref[n - 1], &to);
		if (rc == 0)
			rc = hold_change(a, t, me, to, -1, &e->counted, n - 1);
		if (rc && rc != -EAGAIN)
			return;
	}
}

static int
complain(FILE *report, uint32_t object, const char *what)
{
	if (report)
		fprintf(report, "the references of a message, object %u: %s\n", object, what);
	return 1;
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	const struct envelope *e = body_of(a, object);
	(void)parts;
	if (!e)
		return complain(report, object, "the body is damaged");
	if (is_posted(a, object))
		return 0;
	/* One that is noted is due, and not forgotten. */
	bool noted = load_acquire(&a->header->dying) >> object % 64 & 1;
	if (lost(a, object))
		return noted || !object_ready(a, object) ? 0 : complain(report, object, "it has gone");
	return load_acquire(&e->counted) == e->refs
	               ? 0
	               : complain(report, object, "not all have been counted");
}

const struct kind_ops envelope_kind = { .lost = lost, .empty = empty, .check = check };
