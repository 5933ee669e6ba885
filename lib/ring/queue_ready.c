/* Whether a get would not wait: see ready.h. */
#include "ring/ready.h"
#include "base/error.h"
#include "ring/poller.h"
#include "ring/queue.h"

bool
ready_lives(const struct ready_object *o)
{
	uint64_t word = load_acquire(&arena_object(o->arena, o->index)->word);
	return word >> 32 == o->generation && object_state(word) == OBJECT_READY;
}

/* Inside a call on the object the address still means, or not at all. */
static bool
enter(shoal_queue *q, const struct ready_object *o, struct shoal_thread **t, struct cursor **c)
{
	if (!ready_lives(o) || queue_enter(q, t, c))
		return false;
	if (ready_lives(o))
		return true;
	queue_leave(*t, *c);
	return false;
}

int
queue_ready_begin(shoal_queue *q, struct ready_object *o)
{
	struct shoal_thread *t;
	struct cursor *c;
	struct ring ring;
	shoal_arena *a = arena_of(q);
	if (!a)
		return fail(-EINVAL, "%p is no queue of a mapped arena", (void *)q);
	int rc = ring_find(a, q, &ring);
	if (rc || (rc = queue_enter(q, &t, &c)))
		return rc;
	uint64_t word = load_acquire(&arena_object(a, ring.object)->word);
	*o = (struct ready_object){ a, ring.object, (uint32_t)(word >> 32) };
	queue_leave(t, c);
	return 0;
}

static int
look(struct cursor *c, struct shoal_thread *t, struct sleeper *s, bool polls)
{
	struct marked none = MARKED_NONE;
	struct taken m;
	*s = (struct sleeper){ .gate = &c->ring.queue->get.wait, .marked = &none,
		                .looks = !polls };
	int rc = get_take(c, t, SIZE_MAX, BYTES_OF_NONE, 1, s, &m);
	s->marked = NULL;
	return rc;
}

static void
add(struct ready_words *w, word32 *word, uint32_t seen)
{
	w->list[w->count++] = (struct futex_watch){ word, seen };
}

/*
 * The place's owner, if it has one, lived when it was looked at; its death changes its life word.
 */
static void
add_owner(struct cursor *c, uint64_t word, struct ready_words *w)
{
	struct member *owner = slot_owner(word) ? member_of_tag(c->arena, slot_owner(word)) : NULL;
	if (owner)
		add(w, &owner->life.word, load_acquire(&owner->life.word) & ~FUTEX_DIED);
}

static bool
look_in(struct cursor *c, struct shoal_thread *t, struct ready_words *w)
{
	shoal_queue *q = c->ring.queue;
	struct sleeper s;
	if (!w)
		return look(c, t, &s, true) != -EAGAIN;
	uint32_t bell = bell_read(&q->bell), wait = load_relaxed(&q->get.wait);
	if (look(c, t, &s, false) != -EAGAIN)
		return true;
	*w = (struct ready_words){ .pending = &q->get.wait };
	add(w, &q->get.poll, GATE_ARMED);
	add(w, slot_low(cursor_slot_at(c, s.place)), (uint32_t)s.word);
	add(w, &q->bell.word, bell);
	add(w, &q->get.wait, wait);
	add_owner(c, s.word, w);
	w->sliced = (c->ring.flags & SHOAL_QUEUE_REDELIVER) || load_relaxed(&q->polled) ||
	            load_relaxed(&q->closing) || object_has_owner(c->arena, c->ring.object);
	return false;
}

bool
queue_ready(shoal_queue *q, const struct ready_object *o, struct ready_words *words)
{
	struct shoal_thread *t;
	struct cursor *c;
	if (!enter(q, o, &t, &c))
		return true;
	bool is = look_in(c, t, words);
	queue_leave(t, c);
	return is;
}

void
queue_ready_arm(shoal_queue *q, const struct ready_object *o)
{
	struct shoal_thread *t;
	struct cursor *c;
	if (!enter(q, o, &t, &c))
		return;
	store_relaxed(&q->get.poll, GATE_ARMED);
	queue_leave(t, c);
}

/*
 * A message that a dead putter left told this one alone; a wake at the getters' gate may have been
 * a getter's.
 */
void
queue_ready_woken(shoal_queue *q, const struct ready_object *o, bool ready)
{
	struct shoal_thread *t;
	struct cursor *c;
	if (!load_relaxed(&q->get_any) || !enter(q, o, &t, &c))
		return;
	if (ready)
		queue_wake_getters(q);
	else if (load_relaxed(&q->get.wait))
		gate_open(&q->get.wait);
	queue_leave(t, c);
}
