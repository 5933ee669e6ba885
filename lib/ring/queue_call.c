/* What all calls on a queue share: the cursor, the record of the call, waiting and waking. */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/racy.h"
#include "ring/copy.h"
#include "ring/handed.h"
#include "ring/poller.h"
#include "ring/queue.h"
#include <stdlib.h>

/* A futex wake takes about as long as this many pauses: longer spins cost more than they save. */
#define SPIN_PAUSES 300u
#define SLIP_PAUSES 64u
#define YIELDS 24u

/* It may be another's memory by now. */
static uint64_t
identity(const shoal_queue *q)
{
	uint64_t serial;
	racy_read(&serial, &q->serial, sizeof serial);
	return handed_identity((uint32_t)serial, serial >> 32);
}

shoal_queue *
queue_hand_out(const shoal_arena *a, shoal_queue *q)
{
	uint64_t its;
	uint32_t object;
	if (!q)
		return NULL;
	do {
		its = identity(q);
		racy_read(&object, &q->object, sizeof object);
		handed_note(a, object, q, its);
	} while (its != identity(q));
	return q;
}

int
queue_destroyed(void)
{
	return fail_quiet(-EPIPE, "the queue was destroyed");
}

int
queue_check_handed(const struct ring *r, uint64_t word)
{
	uint64_t its = handed_identity(r->object, word >> 32);
	return handed_is_anothers(r->queue, its) ? queue_destroyed() : 0;
}

static bool
is_used(const struct cursor *c)
{
	return c->ring.queue && c->epoch == thread_epoch();
}

/* Where it has its cursor, or is to have it: beside home while another one is there. */
static struct cursor *
cursor_room(struct shoal_thread *t, const shoal_queue *q)
{
	struct cursor *c = cursor_slot(t, q);
	struct cursor *home = (struct cursor *)t->cursors + thread_home(q, CURSOR_BITS);
	return c->ring.queue == q || (is_used(home) && !is_used(c)) ? c : home;
}

/*
 * The object's word is read first, and again by cursor_lives before the cursor is used: what was
 * read in between is of the object with that word. The fence keeps the second look behind it.
 */
int
cursor_make(struct shoal_thread *t, shoal_queue *q, struct cursor **out)
{
	shoal_arena *a = arena_of(q);
	struct member *me;
	if (!a)
		stop("%p is no queue of a mapped arena", (void *)q);
	struct ring ring;
	uint64_t word;
	int rc = ring_find_word(a, q, &ring, &word);
	if (rc && !word)
		return fail(-EPIPE, "there is no queue at %p: it was destroyed, or never made",
		            (void *)q);
	if (object_state(word) != OBJECT_READY)
		return queue_destroyed();
	if (rc == 0)
		rc = queue_check_handed(&ring, word);
	if (rc == 0)
		rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	fence_acquire();
	if (!t->cursors && !(t->cursors = calloc(CURSORS, sizeof(struct cursor))))
		return fail(-ENOMEM, "no memory for this thread's cursors");
	*out = cursor_room(t, q);
	/* One that must order its stores by fences, or may meet a flag's rules, goes the long way. */
	bool fenced = !(a->flags & ARENA_MEMBARRIER);
	uint32_t longest = ring_inside(&ring) < COPY_SHORT ? ring_inside(&ring) : COPY_SHORT;
	uint32_t tag = member_tag(a, me), lines = (ring.stride + LINE - 1) / LINE;
	**out = (struct cursor){
		.ring = ring,
		.life = &arena_object(a, ring.object)->word,
		.alive = word,
		.epoch = member_epoch(a, t, me),
		.tag = tag,
		.aim_mask = ring.mask < HINT_EVERY ? (uint32_t)ring.mask : HINT_EVERY - 1,
		.lines = lines < PREFETCH_LINES_MAX ? lines : PREFETCH_LINES_MAX,
		.quick_put = fenced ? 0 : longest + 1,
		.quick_get = fenced || ring.flags ? 0 : longest + 1,
		.quick_long = fenced ? 0 : ring_inside(&ring) + 1,
		.me = me,
		.mine = slot_word(0, 0, tag, 0),
		.arena = a,
		.fenced = fenced,
	};
	return 0;
}

bool
queue_take_aim(struct shoal_thread *t, const shoal_queue *q, enum thread_last which)
{
	struct cursor *c = queue_begin(t, q, which);
	if (!c)
		return false;
	bool quick = which == LAST_SENT ? c->quick_put : c->quick_get;
	if (quick && which == LAST_SENT)
		cursor_aim(c, c->put, EMPTY, &c->aim[which]);
	else if (quick)
		cursor_aim(c, c->get, FULL, &c->aim[which]);
	fence_compiler();
	t->busy = 0;
	return quick;
}

int
queue_nested(void)
{
	return fail(-EDEADLK, "a queue call in a signal handler that interrupted another call");
}

static void
wake(struct gates *g)
{
	if (load_relaxed(&g->wait))
		gate_open(&g->wait);
	if (load_relaxed(&g->poll))
		gate_open_all(&g->poll);
}

void
queue_wake_getters(shoal_queue *q)
{
	wake(&q->get);
}

void
queue_wake_putters(shoal_queue *q)
{
	wake(&q->put);
}

void
queue_wake_armed(shoal_queue *q)
{
	struct gates *both[] = { &q->get, &q->put };
	for (int i = 0; i < 2; i++) {
		if (load_seq_cst(&both[i]->wait))
			gate_open_all(&both[i]->wait);
		if (load_seq_cst(&both[i]->poll))
			gate_open_all(&both[i]->poll);
	}
}

void
queue_wake_all(shoal_queue *q)
{
	gate_open_all(&q->get.wait);
	gate_open_all(&q->get.poll);
	gate_open_all(&q->put.wait);
	gate_open_all(&q->put.poll);
	gate_open_all(&q->join_gate);
}

/*
 * True when the word changed. After a burst it stays off the line first, so that the other side
 * fills several places in peace.
 */
static bool
spin(struct slot *s, uint64_t word, uint64_t at, uint64_t *since, uint32_t *spins)
{
	if (at - *since > 1)
		for (uint32_t i = 0; i < SLIP_PAUSES; i++)
			cpu_relax();
	*since = at;
	for (; *spins < SPIN_PAUSES; ++*spins) {
		if (load_relaxed(&s->turn) != word)
			return true;
		cpu_relax();
	}
	return false;
}

/* Whether a destroyer is at it, or died at it, before it said so: then this one says so. */
static bool
look_whether_destroyed(struct cursor *c)
{
	shoal_queue *q = c->ring.queue;
	if (likely(object_ready(c->arena, c->ring.object)) ||
	    load_relaxed(&q->closing) == QUEUE_DESTROYED)
		return false;
	store_seq_cst(&q->closing, QUEUE_DESTROYED);
	queue_wake_all(q);
	return true;
}

/* Its owner is gone, and so it is destroyed. What else the owner had is given back as well. */
static bool
look_for_owner(struct cursor *c, struct shoal_thread *t)
{
	if (likely(!object_end_orphan(c->arena, c->ring.object)))
		return false;
	(void)member_recover_all(c->arena, t, c->me);
	return true;
}

/*
 * What no gate tells: REDELIVER, a borrower died, or one who gave a message back before it said so;
 * its owner died; and a destroyer died before it said so. Whether there was any of it: asked before
 * a call goes away with nothing, since one who comes again and again for a short time, or for none,
 * must learn it as well.
 */
static bool
look_around(struct cursor *c, struct shoal_thread *t)
{
	bool redeliver = c->ring.flags & SHOAL_QUEUE_REDELIVER;
	return (redeliver && member_recover_all(c->arena, t, c->me)) || look_for_owner(c, t) ||
	       look_whether_destroyed(c);
}

static int
sleep_on(struct cursor *c, struct shoal_thread *t, struct sleeper *s, struct slot *slot,
         uint64_t word)
{
	shoal_queue *q = c->ring.queue;
	struct futex_watch watch[4] = { { s->gate, GATE_ARMED },
		                        { slot_low(slot), (uint32_t)word },
		                        { &q->bell.word, s->bell } };
	unsigned n = 3;
	if (look_whether_destroyed(c))
		return 0;
	struct member *owner = slot_owner(word) ? member_of_tag(c->arena, slot_owner(word)) : NULL;
	if (owner) {
		uint32_t life = load_acquire(&owner->life.word);
		if (life & FUTEX_DIED)
			return 0;
		watch[n++] = (struct futex_watch){ &owner->life.word, life };
	}
	/*
	 * A borrower that dies gives its message back without a word that this one watches, and an
	 * owner that dies tells nobody. Beside descriptors the kernel's wake for a dead one may go
	 * there. What was closed while it was full ends where a place that is given back was, which
	 * is told to putters.
	 */
	int64_t until = s->deadline;
	if ((c->ring.flags & SHOAL_QUEUE_REDELIVER) || load_relaxed(&q->polled) ||
	    load_relaxed(&q->closing) || object_has_owner(c->arena, c->ring.object))
		until = clock_sooner(until, FUTEX_SLICE_NS);
	bool putter = s->gate == &q->put.wait;
	store_relaxed(&c->me->call.kind, putter ? CALL_PUT_ASLEEP : CALL_GET_ASLEEP);
	int rc = gate_sleep(t, watch, n, until);
	store_relaxed(&c->me->call.kind, CALL_NONE);
	s->slept = true;
	s->armed = false;
	bool found = look_around(c, t);
	return rc == -ETIMEDOUT && (found || until < s->deadline) ? 0 : rc;
}

static int
timed_out(void)
{
	return fail_quiet(-ETIMEDOUT, "the queue did not become ready in time");
}

static int
would_wait(struct sleeper *s)
{
	if (!s->looks)
		poller_rearm(&container_of(s->gate, struct gates, wait)->poll);
	return fail_quiet(-EAGAIN, "the queue would have to wait, and the timeout is 0");
}

int
queue_wait(struct cursor *c, struct shoal_thread *t, struct sleeper *s, uint64_t place,
           uint64_t word)
{
	struct slot *slot = cursor_slot_at(c, place);
	if (!s->deadline && s->timeout > 0)
		s->deadline = clock_deadline(s->timeout);
	if (unlikely(slot_owner(word)) && queue_mend(c, t, place, word, s->deadline))
		return 0;
	if (!s->deadline) {
		s->place = place;
		s->word = word;
		return look_around(c, t) ? 0 : would_wait(s);
	}
	bool putter = s->gate == &c->ring.queue->put.wait;
	if (s->spins < SPIN_PAUSES && kernel_cpus_online() == 1)
		s->spins = SPIN_PAUSES;
	if (s->spins < SPIN_PAUSES &&
	    spin(slot, word, place, putter ? &c->put_since : &c->get_since, &s->spins))
		return 0;
	if (s->spins < SPIN_PAUSES + YIELDS) {
		s->spins++;
		kernel_yield();
		return 0;
	}
	if (clock_now() >= s->deadline)
		return look_around(c, t) ? 0 : timed_out();
	if (!s->armed) {
		/* A death from here on passes a wake that was for this thread on to another one. */
		robust_pending_set(t, s->gate);
		gate_arm(s->gate, !c->fenced);
		s->bell = bell_read(&c->ring.queue->bell);
		s->armed = true;
		return 0;
	}
	int rc = sleep_on(c, t, s, slot, word);
	if (rc == -ETIMEDOUT)
		return timed_out();
	if (rc == -ECANCELED) {
		/* It may have been woken as well: somebody else takes that wake. */
		gate_open(s->gate);
		return fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt");
	}
	return 0;
}
