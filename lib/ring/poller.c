#include "ring/poller_ring.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/masked.h"
#include "base/notice.h"
#include "base/thread.h"
#include "sync/gate.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Gates in one sleep; of more sources it learns when it looks. */
#define WATCH_MAX 120u

enum source_state { WAITING, SIGNALLED };

struct source {
	struct source *next;
	struct poller_object of;
	int fd;
	uint32_t seen;
	enum source_state state;
	bool helped; /* the helper looks at it */
	bool by_gate; /* and watches its gate, which no ring does */
	struct poller_ring *rings;
};

word32 poller_sources;
static struct masked lock = MASKED_INIT;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct source *sources;
static word32 kick; /* changes whenever the helper has to look at the list again */
static bool running;
static word32 generation; /* of the process in which the sources were made; and: */
#define FORGETTING 0x80000000u /* the parent's are being forgotten */

static void
kick_helper(void)
{
	fetch_add_relaxed(&kick, 1);
	futex_wake(&kick, 1);
}

static void
tell(struct source *s)
{
	s->state = SIGNALLED;
	notice_raise(s->fd);
}

static void
look_at(struct source *s)
{
	struct poller_peer peer = { 0 };
	if (s->of.look(&s->of, &peer) == POLLER_READY)
		tell(s);
}

/* False: it has ended, or there is no record that could name it: then the slices are all. */
static bool
arm(const struct poller_object *o)
{
	bool barrier = o->arena->flags & ARENA_MEMBARRIER;
	if (!o->seen_as.index) {
		gate_arm(o->gate, barrier);
		return true;
	}
	struct shoal_thread lent, *t = thread_or_lent(&lent);
	struct member *me = t ? member_borrow(o->arena, t) : NULL;
	if (!me)
		return false;
	word32 *name = object_stay(o->arena, me, o->seen_as.index, o->seen_as.generation);
	if (name) {
		gate_arm(o->gate, barrier);
		object_unstay(name);
	}
	member_give_back(t, me);
	return name;
}

/*
 * The gates of those who wait without a ring: armed before the look, so that what comes after it is
 * told. One that is armed still when a slice has passed is not armed anew: another process may have
 * done that since it was opened, which the next slice puts right.
 */
static unsigned
watch_all(struct futex_watch *watch, bool slice_passed, bool *sliced)
{
	unsigned n = 0;
	*sliced = false;
	watch[n++] = (struct futex_watch){ &kick, load_relaxed(&kick) };
	for (struct source *s = sources; s; s = s->next) {
		word32 *gate = s->of.gate;
		if (s->state != WAITING || !s->helped)
			continue;
		bool armed = slice_passed && load_acquire(gate) == GATE_ARMED;
		if (s->by_gate && !armed)
			armed = arm(&s->of);
		look_at(s);
		if (s->state != WAITING)
			continue;
		*sliced = true;
		if (s->by_gate && armed && n < WATCH_MAX)
			watch[n++] = (struct futex_watch){ gate, GATE_ARMED };
	}
	return n;
}

/*
 * The list may change while it sleeps, and what it watches be unmapped: the kernel goes by the
 * file, not by the address.
 */
static void *
help(void *unused)
{
	struct futex_watch watch[WATCH_MAX];
	bool sliced, slice_passed = false;
	for (;;) {
		masked_lock(&lock);
		unsigned n = watch_all(watch, slice_passed, &sliced);
		masked_unlock(&lock);
		int64_t until = sliced ? clock_sooner(CLOCK_NEVER, FUTEX_SLICE_NS) : CLOCK_NEVER;
		slice_passed = futex_wait_any(watch, n, until) == -ETIMEDOUT;
	}
	return unused;
}

static int
start_helper(void)
{
	if (running)
		return 0;
	int rc = notice_thread(help);
	running = rc == 0;
	return rc;
}

/* Watched by a ring, or by the helper, unless it is ready. 0, or -errno: nobody watches. */
static int
begin_waiting(struct source *s)
{
	s->state = WAITING;
	int answer = poller_ring_watch(&s->rings, &s->of, s->fd);
	s->by_gate = answer < 0;
	s->helped = answer < 0 || answer == POLLER_UNTOLD;
	if (answer == POLLER_READY)
		tell(s);
	else if (s->by_gate)
		look_at(s);
	if (s->state != WAITING || !s->helped)
		return 0;
	int rc = start_helper();
	kick_helper();
	return rc;
}

static void
let_go(struct source *s, void (*end_rings)(struct poller_ring **))
{
	end_rings(&s->rings);
	notice_close(s->fd);
	free(s);
	fetch_add_relaxed(&poller_sources, UINT32_MAX);
}

static void
drop(struct source **link)
{
	struct source *s = *link;
	*link = s->next;
	let_go(s, poller_ring_close_all);
}

static void
forget_arena(shoal_arena *a)
{
	masked_lock(&lock);
	for (struct source **link = &sources; *link;) {
		if ((*link)->of.arena == a)
			drop(link);
		else
			link = &(*link)->next;
	}
	masked_unlock(&lock);
}

/* ---- fork ---- */

static void
before_fork(void)
{
	masked_lock(&lock);
}

static void
after_fork_parent(void)
{
	masked_unlock(&lock);
}

/* The descriptors are the parent's too: the child makes its own. */
static void
forget_all(void)
{
	while (sources) {
		struct source *s = sources;
		sources = s->next;
		let_go(s, poller_ring_forget_all);
	}
	running = false;
}

static void
after_fork_child(void)
{
	forget_all();
	masked_unlock(&lock);
}

/*
 * The child of _Fork or a raw clone finds out at its first call; its parent may have held the lock.
 * So does the first call of any child, and its other threads wait until that one has done it: what
 * they made before would be forgotten, too, and the lock that they hold made anew. A child of one
 * who was at it begins anew.
 */
static void
notice_fork(void)
{
	uint32_t now = thread_self() ? thread_generation() : 0, mine = now | FORGETTING, then;
	while (unlikely((then = load_acquire(&generation)) != now)) {
		if (then == mine) {
			kernel_yield();
		} else if (cas32_acq_rel(&generation, then, mine)) {
			masked_renew(&lock);
			forget_all();
			store_release(&generation, now);
		}
	}
}

static void
begin(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	arena_unmap_hook = forget_arena;
}

/* ---- what calls use ---- */

static struct source *
find(const word32 *gate)
{
	struct source *s = sources;
	while (s && s->of.gate != gate)
		s = s->next;
	return s;
}

static void
wake_if_armed(word32 *gate)
{
	if (gate && load_seq_cst(gate))
		gate_open_all(gate);
}

/*
 * Pairs with the sleeper, who arms its gate, passes a barrier, and then reads who polls: either it
 * sees this, or this one sees the gate.
 */
static void
say_who_polls(const struct poller_object *o)
{
	uint32_t me = (uint32_t)getpid(), seen, next;
	do {
		seen = load_relaxed(o->polled);
		next = seen && seen != me ? POLLED_BY_MANY : me;
	} while (!cas32_seq_cst(o->polled, seen, next));
	wake_if_armed(o->dying[0]);
	wake_if_armed(o->dying[1]);
	wake_if_armed(o->gate);
}

static int
add(const struct poller_object *o)
{
	struct source *s = malloc(sizeof *s);
	if (!s)
		return fail(-ENOMEM, "no memory for a descriptor of a queue, pipe or event");
	*s = (struct source){ .next = sources, .of = *o, .fd = notice_open() };
	s->of.seen = &s->seen;
	say_who_polls(o);
	int rc = s->fd < 0 ? s->fd : begin_waiting(s);
	if (rc < 0) {
		poller_ring_close_all(&s->rings);
		if (s->fd >= 0)
			notice_close(s->fd);
		free(s);
		return fail(rc, "no descriptor for a queue, pipe or event: %s", strerror(-rc));
	}
	sources = s;
	fetch_add_relaxed(&poller_sources, 1);
	return s->fd;
}

/* Whether this process's source is of this object, not of one that another process destroyed. */
static bool
is_of(const struct source *s, const struct poller_object *o)
{
	uint32_t who = load_relaxed(o->polled);
	return s->of.object == o->object && s->of.look == o->look &&
	       (who == (uint32_t)getpid() || who == POLLED_BY_MANY);
}

static void
forget_gate(const word32 *gate)
{
	struct source **link = &sources;
	while (*link && (*link)->of.gate != gate)
		link = &(*link)->next;
	if (*link)
		drop(link);
}

int
poller_fd(const struct poller_object *o)
{
	if (o->arena->readonly)
		return fail(-EPERM, "arena '%s' is attached read-only", o->arena->name);
	notice_fork();
	masked_once(&once, begin);
	masked_lock(&lock);
	const struct source *s = find(o->gate);
	if (s && !is_of(s, o)) {
		forget_gate(o->gate);
		s = NULL;
	}
	int fd = s ? s->fd : add(o);
	masked_unlock(&lock);
	return fd;
}

void
poller_forget(word32 *gate)
{
	if (likely(!load_relaxed(&poller_sources)))
		return;
	notice_fork();
	masked_lock(&lock);
	forget_gate(gate);
	masked_unlock(&lock);
}

static bool
has_ended(const struct poller_object *o)
{
	uint32_t index = o->seen_as.index;
	uint64_t word = index ? load_acquire(&arena_object(o->arena, index)->word) : 0;
	return index && (word >> 32 != o->seen_as.generation || object_state(word) != OBJECT_READY);
}

void
poller_forget_ended(const void *object)
{
	if (likely(!load_relaxed(&poller_sources)))
		return;
	notice_fork();
	masked_lock(&lock);
	for (struct source **link = &sources; *link;) {
		if ((*link)->of.object == object && has_ended(&(*link)->of))
			drop(link);
		else
			link = &(*link)->next;
	}
	masked_unlock(&lock);
}

/*
 * Cleared first, looked at after: what comes in between raises it again. One that stays without a
 * helper thread, since there can be none now, is left readable: its user comes again.
 */
void
poller_rearm_slow(word32 *gate)
{
	notice_fork();
	masked_lock(&lock);
	struct source *s = find(gate);
	if (s && notice_clear(s->fd) && begin_waiting(s) < 0)
		tell(s);
	masked_unlock(&lock);
}
