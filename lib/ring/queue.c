/* Making, finding and looking at queues. */
#include "base/clock.h"
#include "base/error.h"
#include "base/racy.h"
#include "ring/group.h"

#define CAPACITY_DEFAULT 1024u
#define KEEP_SHIFT_MIN 9u
#define SLOT_BYTES_DEFAULT (LINE - SLOT_HEADER)
#define ALIGNED_FROM 512u
#define SLOT_BYTES_MAX (UINT32_C(1) << 20)
#define FLAGS (SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE)

struct shape {
	uint32_t shift, stride, slot_bytes, flags;
	size_t bytes; /* of the whole body */
};

static uint32_t
log2_up(uint32_t n)
{
	uint32_t shift = 1;
	while ((UINT64_C(1) << shift) < n)
		shift++;
	return shift;
}

static size_t
rows_at(void)
{
	return sizeof(struct shoal_queue);
}

static size_t
slots_at(const shoal_arena *a)
{
	size_t end = rows_at() + a->members_max * sizeof(struct queue_row);
	return (end + SPACING - 1) / SPACING * SPACING;
}

/*
 * Those longer than a line lie side by side and share the one between them: what moves is lines,
 * and 64 bytes are 1.25 of them in place of 2. Two in one line gain nothing, nor do long ones
 * (docs/performance.md), whose copies are left aligned.
 */
static uint32_t
stride_for(uint32_t inside)
{
	uint32_t bytes = SLOT_HEADER + inside;
	uint32_t align = bytes <= LINE || bytes >= ALIGNED_FROM ? LINE : SLOT_ALIGN;
	return (bytes + align - 1) / align * align;
}

static int
shape_of(const shoal_arena *a, const shoal_queue_options *o, struct shape *out)
{
	static const shoal_queue_options none;
	o = o ? o : &none;
	for (int i = 0; i < 4; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "shoal_queue_options: reserved_ must be zero");
	if (o->flags & ~(unsigned)(FLAGS | SHOAL_WITH_OWNER | SHOAL_OR_OPEN))
		return fail(-EINVAL, "shoal_queue_options: unknown flags %#x", o->flags);
	if (o->capacity == 1 || o->capacity > CAPACITY_MAX)
		return fail(-EINVAL, "a queue's capacity is 2 to 2^31, or 0 for %u; not %u",
		            CAPACITY_DEFAULT, o->capacity);
	if (o->slot_bytes > SLOT_BYTES_MAX)
		return fail(
			-EINVAL,
			"slot_bytes is at most %u; longer messages travel in blocks by themselves",
			SLOT_BYTES_MAX);
	out->stride = stride_for(o->slot_bytes ? o->slot_bytes : SLOT_BYTES_DEFAULT);
	out->slot_bytes = out->stride - SLOT_HEADER;
	out->shift = log2_up(o->capacity ? o->capacity : CAPACITY_DEFAULT);
	out->flags = o->flags & FLAGS;
	out->bytes = slots_at(a) + ((size_t)out->stride << out->shift);
	return 0;
}

/* Zero is EMPTY(0) for every slot: nothing else is to be written. */
static int
fill(shoal_arena *a, uint32_t index, void *body, const void *arg)
{
	const struct shape *shape = arg;
	shoal_queue *q = body;
	uint64_t serial = load_relaxed(&arena_object(a, index)->word) >> 32 << 32 | index;
	racy_write(&q->serial, &serial, sizeof serial); /* read by queue_hand_out of an earlier one */
	q->mask = (UINT64_C(1) << shape->shift) - 1;
	q->slots_at = slots_at(a);
	q->rows_at = rows_at();
	q->shift = shape->shift;
	q->stride = shape->stride;
	q->slot_bytes = shape->slot_bytes;
	q->flags = shape->flags;
	racy_write(&q->object, &index, sizeof index);
	q->rows = a->members_max;
	/* A short ring has no room to keep a distance in. */
	q->keep = shape->shift >= KEEP_SHIFT_MIN ? 1u << (KEEP_SHIFT_MIN - 2) : 0;
	q->keep_every = q->keep ? q->keep / 2 - 1 : UINT32_MAX;
	return 0;
}

int
shoal_queue_create(shoal_arena *a, const char *name, const shoal_queue_options *options,
                   shoal_queue **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct shape shape = { 0 };
	void *body;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	if ((rc = shape_of(a, options, &shape)) || (rc = member_here(a, &t, &me)))
		return rc;
	unsigned flags = options ? options->flags : 0;
	struct object_plan plan = { SHOAL_KIND_QUEUE, flags, shape.bytes, fill, &shape };
	rc = object_create(a, t, me, name, &plan, &body);
	*out = queue_hand_out(a, body);
	return rc;
}

int
shoal_queue_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_queue **out)
{
	struct object_found o;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	rc = object_open(a, thread_self(), name, SHOAL_KIND_QUEUE, clock_deadline(timeout), &o);
	*out = queue_hand_out(a, o.body);
	return rc;
}

int
shoal_queue_at(shoal_arena *a, shoal_ref ref, shoal_queue **out)
{
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	rc = object_at(a, ref, SHOAL_KIND_QUEUE, &index);
	*out = rc ? NULL : queue_hand_out(a, object_body_at(a, index));
	return rc || *out ? rc : -EPROTO;
}

int
shoal_queue_destroy(shoal_arena *a, shoal_queue *q)
{
	struct shoal_thread *t;
	struct member *me;
	if (!q)
		return 0;
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	return object_destroy(a, t, me, object_of_body(a, q, SHOAL_KIND_QUEUE));
}

/* ---- looking ---- */

/*
 * By this thread's cursor, if it has one: then `thread` is busy until look_end, so that no signal
 * handler has it name another queue. *seen: what is known of places that are BACK.
 */
struct view {
	shoal_arena *arena;
	struct shoal_thread *thread;
	struct ring ring;
	uint32_t *seen, nothing;
};

static int
look(const shoal_queue *q, struct view *v)
{
	struct shoal_thread *t = thread_here;
	struct cursor *c = queue_begin(t, q, LAST_OTHER);
	if (likely(c && cursor_lives(c))) {
		v->arena = c->arena;
		v->thread = t;
		v->ring = c->ring;
		v->seen = &c->backs_seen;
		return 0;
	}
	if (c)
		t->busy = 0;
	v->thread = NULL;
	v->nothing = 0;
	v->seen = &v->nothing;
	v->arena = arena_of(q);
	if (v->arena)
		return ring_find(v->arena, q, &v->ring);
	return fail(-EINVAL, "%p is no queue of a mapped arena", (const void *)q);
}

static void
look_end(const struct view *v)
{
	fence_compiler();
	if (v->thread)
		v->thread->busy = 0;
}

size_t
shoal_queue_size(const shoal_queue *q)
{
	struct view v;
	uint64_t taken, put, size = 0;
	if (look(q, &v) == 0)
		size = queue_size(v.arena, &v.ring, v.seen, &taken, &put);
	look_end(&v);
	return size;
}

/* What a dead one was writing is a hole for the get that comes to it. */
static bool
is_hole(uint64_t word)
{
	return slot_state(word) == GROUP ? group_is(word, GROUP_HOLE) : slot_is_hole(word);
}

/*
 * What a get would meet now: a message, or a wait (or the end). A place of the lap before that a
 * dead one was reading is free by then, or has a message that is worn, as the others that come back
 * were counted; and nothing is behind it.
 */
static bool
nothing_to_get(const struct view *v)
{
	uint64_t place = load_relaxed(&v->ring.queue->head), word;
	if (queue_count_back(v->arena, &v->ring, v->seen, false))
		return false;
	for (;;) {
		enum walk_end end = walk_get(&v->ring, &place, &word);
		uint64_t settled = queue_settled(v->arena, &v->ring, word);
		if (end != WALK_READY && (end != WALK_WAIT || settled == word))
			return true;
		if (group_or_slot_empty(settled) || slot_state(settled) == BACK)
			return true;
		if (!is_hole(settled))
			return false;
		place += slot_state(word) == GROUP ? GROUP_PLACES : 1;
	}
}

bool
shoal_queue_empty(const shoal_queue *q)
{
	struct view v;
	bool empty = look(q, &v) || nothing_to_get(&v);
	look_end(&v);
	return empty;
}

/* A place that a dead one was reading is free for the put that comes to it, unless it is BACK. */
static bool
nowhere_to_put(const struct view *v)
{
	uint64_t place = load_relaxed(&v->ring.queue->tail), word;
	if (walk_put(&v->ring, &place, &word) != WALK_WAIT)
		return false;
	return !group_or_slot_empty(queue_settled(v->arena, &v->ring, word));
}

bool
shoal_queue_full(const shoal_queue *q)
{
	struct view v;
	bool full = look(q, &v) == 0 && nowhere_to_put(&v);
	look_end(&v);
	return full;
}

/* The length of the message that a get would take now. */
static ssize_t
peek(struct cursor *c, struct shoal_thread *t)
{
	struct marked none = MARKED_NONE;
	struct sleeper s = { .gate = &c->ring.queue->get.wait, .marked = &none };
	struct taken m;
	int rc = get_take(c, t, SIZE_MAX, BYTES_OF_NONE, 1, &s, &m);
	if (rc != -EMSGSIZE)
		return rc;
	return none.mark ? get_refuse_value() : (ssize_t)none.bytes;
}

ssize_t
shoal_queue_peek_bytes(shoal_queue *q)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (rc)
		return rc;
	ssize_t bytes = peek(c, t);
	queue_leave(t, c);
	return bytes;
}

/* What was done is read before what was put, which is no less then; but rows may be overwritten. */
static void
sum_rows(const shoal_arena *a, const struct ring *r, shoal_queue_info *out)
{
	uint64_t done = 0, taken, put;
	uint32_t seen = 0;
	for (uint32_t i = 0; i < a->members_max; i++) {
		const struct queue_row *row = queue_row(r->queue, i + 1);
		out->dropped += load_relaxed(&row->dropped);
		out->redelivered += load_relaxed(&row->redelivered);
		done += load_acquire(&row->done);
	}
	out->size = (uint32_t)queue_size(a, r, &seen, &taken, &put);
	out->gets = taken;
	out->puts = put;
	if (r->flags & SHOAL_QUEUE_JOINABLE && put > done)
		out->unfinished = put - done;
}

/* The dead sleep no more. */
static void
count_sleepers(const shoal_arena *a, const struct ring *r, shoal_queue_info *out)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const struct member *m = arena_member(a, i);
		if (load_acquire(&m->call.object) != r->object ||
		    (load_acquire(&m->life.word) & FUTEX_DIED))
			continue;
		out->putters_waiting += load_relaxed(&m->call.kind) == CALL_PUT_ASLEEP;
		out->getters_waiting += load_relaxed(&m->call.kind) == CALL_GET_ASLEEP;
	}
}

int
shoal_queue_stat(const shoal_queue *q, shoal_queue_info *out)
{
	shoal_arena *a = arena_of(q);
	if (!a)
		return fail(-EINVAL, "%p is no queue of a mapped arena", (const void *)q);
	struct ring ring;
	int rc = ring_find(a, q, &ring);
	if (rc)
		return rc;
	*out = (shoal_queue_info){ .capacity = (uint32_t)(ring.mask + 1) };
	sum_rows(a, &ring, out);
	count_sleepers(a, &ring, out);
	return 0;
}
