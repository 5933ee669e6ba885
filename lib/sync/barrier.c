/*
 * Barriers: a state that counts those who came, and the names of those who ever did.
 *
 *	 0 state    31..0  turn: changes when a round is complete, and when one is broken or reset;
 *	                   what those who came sleep on
 *	            47..32 how many came to this round; as many as the parties: the last one is at its
 *	                   action
 *	            48     BROKEN: until a reset; set together with a new turn
 *	            63..49 how the last 15 turns ended, the latest in bit 49: 1 broken or reset
 *	 8 parties
 *	12 20 bytes unused
 *	32 place    24 words, a thread each, from its first round on:
 *	            0                      free
 *	            SLEEPERS | tid         in a call: named by its list_op_pending, so that the kernel
 *	                                   marks it at the thread's death and wakes one who watches it
 *	            AWAY | mark            between two calls (kernel_thread_mark, 29 bits of it)
 *	            SLEEPERS | DIED        died in a call; until a reset
 *
 * Each change of the state is one CAS. A round is complete when the last to come, after its action,
 * makes the turn one more and the count 0. Whoever finds a dead party, or runs out of time, breaks
 * the round in the same way, from exactly the state seen.
 *
 *	party                                             last
 *	  pending = place; place: 0 or its own AWAY         the same, count + 1: as many as the parties
 *	    -> SLEEPERS | tid
 *	  count + 1                     (acq_rel, B1)       action
 *	  sleep while turn is the same,                     turn + 1, count 0      (acq_rel, B1)
 *	    watching the places too                         wake all on turn
 *	  turn is another              (acquire, B1)        place = AWAY; pending restored
 *	  place = AWAY; pending restored
 *
 * A reset takes the places of the dead and of those who are away. One that never came to a round
 * leaves its place free.
 *
 * B1: the last sees what each party wrote before it came, and each party what all of them wrote.
 *
 * Crash points. In a call, wherever: the place is marked, one who watches it wakes and breaks the
 * round, or, where the turn is another one by then, wakes the others in the dead one's stead.
 * Nobody asleep: the next to come sees the mark. Between calls, and in an action, whose calls name
 * words of their own: those who sleep ask the kernel every 5 ms about the threads whose places are
 * not marked, each about its share. Model: tests/model/barrier.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "sync/robust.h"
#include <shoal/sync.h>
#include <string.h>

#define PLACES SHOAL_PARTIES_KNOWN_MAX
#define AWAY 0x20000000u
#define MARK_BITS 0x1fffffffu
#define BROKEN (UINT64_C(1) << 48)
#define HISTORY_AT 49
#define HISTORY_TURNS 15
#define SPIN_MAX 300

struct barrier {
	word64 state;
	word32 parties;
	word32 unused[5];
	word32 place[PLACES];
};

_Static_assert(sizeof(struct barrier) == sizeof(shoal_barrier), "a barrier's size is pinned");

/* One call. */
struct party {
	struct shoal_thread *t;
	struct barrier *b;
	word32 *place; /* NULL: there are more threads than places */
	bool known;    /* it had that place already */
	bool came;
	void *pending;
	uint32_t number; /* in its round */
	uint32_t next;   /* the place that it asks about next */
};

static struct barrier *
barrier_of(const shoal_barrier *barrier)
{
	return (struct barrier *)(uintptr_t)barrier;
}

static uint32_t
turn_of(uint64_t state)
{
	return (uint32_t)state;
}

static uint32_t
came(uint64_t state)
{
	return state >> 32 & 0xffff;
}

static word32 *
turn_word(struct barrier *b)
{
	return (word32 *)(void *)&b->state; /* the low half: little-endian */
}

/* The state after this turn has ended. */
static uint64_t
ended(uint64_t state, bool well, uint64_t broken)
{
	uint64_t history = state >> HISTORY_AT << 1 | !well;
	return (uint64_t)(uint32_t)(state + 1) | broken | history << HISTORY_AT;
}

/* How the turn ended that a party of it slept through; one of long ago as broken. */
static bool
ended_well(uint64_t now, uint32_t turn)
{
	uint32_t since = turn_of(now) - turn - 1;
	return since < HISTORY_TURNS && !(now >> (HISTORY_AT + since) & 1);
}

/* Of that turn, unless it is another one by now: ends it for all. */
static void
end_turn(struct barrier *b, uint32_t turn, uint64_t broken)
{
	uint64_t state;
	do {
		state = load_acquire(&b->state);
		if (turn_of(state) != turn || (state & BROKEN))
			break;
	} while (!cas64_acq_rel(&b->state, state, ended(state, false, broken)));
	futex_wake(turn_word(b), FUTEX_ALL);
}

int
shoal_barrier_init(shoal_barrier *barrier, uint32_t parties)
{
	struct barrier *b = barrier_of(barrier);
	if (parties == 0 || parties > UINT16_MAX)
		return fail(-EINVAL, "a barrier for %u parties: 1 to %d", parties, UINT16_MAX);
	memset(barrier, 0, sizeof *barrier);
	store_release(&b->parties, parties);
	return 0;
}

/* ---- places ---- */

static uint32_t
away(struct shoal_thread *t)
{
	return AWAY | (robust_mark(t) & MARK_BITS);
}

static word32 *
place_with(struct barrier *b, uint32_t word)
{
	for (int i = 0; i < PLACES; i++)
		if (load_relaxed(&b->place[i]) == word)
			return &b->place[i];
	return NULL;
}

/*
 * This thread's place of an earlier round, or a free one. Another one may take that meanwhile, and
 * a reset takes the former from its owner.
 */
static void
enter(struct party *p)
{
	uint32_t mine = away(p->t), word;
	void *old = p->t->robust->pending;
	do {
		p->place = place_with(p->b, mine);
		p->known = p->place;
		word = p->known ? mine : 0;
		if (!p->known && !(p->place = place_with(p->b, 0)))
			break;
		robust_pending_set(p->t, p->place);
	} while (!cas32_acq_rel(p->place, word, FUTEX_SLEEPERS | p->t->tid));
	p->pending = old;
	if (p->place)
		p->next = (uint32_t)(p->place - p->b->place) + 1;
	else
		robust_pending_restore(p->t, old);
}

/* One that never came to a round is no party, and its death will harm nobody. */
static void
leave(struct party *p)
{
	if (!p->place)
		return;
	store_release(p->place, p->known || p->came ? away(p->t) : 0);
	robust_pending_restore(p->t, p->pending);
}

static bool
is_away(uint32_t word)
{
	return (word & (FUTEX_SLEEPERS | FUTEX_DIED | AWAY)) == AWAY;
}

/* By asking the kernel, where the word does not tell. */
static bool
has_ended(uint32_t word)
{
	if (word & FUTEX_DIED)
		return true;
	if (is_away(word))
		return kernel_thread_ended(word & MARK_BITS, MARK_BITS);
	return word && kernel_thread_ended(word & KERNEL_MARK_TID, KERNEL_MARK_TID);
}

static bool
any_marked(struct barrier *b)
{
	for (int i = 0; i < PLACES; i++)
		if (load_acquire(&b->place[i]) & FUTEX_DIED)
			return true;
	return false;
}

/* Its share of the places, so that all who sleep ask about each place once in a slice. */
static bool
any_ended(struct party *p, uint64_t state)
{
	uint32_t sleepers = came(state) ? came(state) : 1;
	uint32_t share = (PLACES + sleepers - 1) / sleepers;
	for (uint32_t i = 0; i < share; i++) {
		word32 *place = &p->b->place[(p->next + i) % PLACES];
		if (place != p->place && has_ended(load_acquire(place)))
			return true;
	}
	p->next += share;
	return false;
}

/* ---- waiting ---- */

/* A slice of sleep on the turn, the interrupt, and the places of others. */
static int
sleep_on(struct party *p, uint32_t turn, int64_t deadline)
{
	struct futex_watch watch[PLACES + 2] = { { turn_word(p->b), turn }, { &p->t->interrupt, 0 } };
	unsigned n = 2, parties = load_relaxed(&p->b->parties);
	for (unsigned i = 0; i < PLACES; i++) {
		uint32_t word = load_acquire(&p->b->place[i]);
		if (&p->b->place[i] == p->place || (i >= parties && !word))
			continue;
		if (word & FUTEX_DIED)
			return 0;
		watch[n++] = (struct futex_watch){ &p->b->place[i], word };
	}
	int64_t until = clock_sooner(deadline, FUTEX_SLICE_NS);
	int rc = futex_wait_any(watch, n, until);
	return rc && until == deadline ? rc : 0;
}

static bool
is_over(const struct party *p, uint32_t turn)
{
	return turn_of(load_acquire(&p->b->state)) != turn;
}

static bool
spin(const struct party *p, uint32_t turn)
{
	if (load_relaxed(&p->b->parties) > kernel_cpus_online())
		return false;
	for (int i = 0; i < SPIN_MAX; i++) {
		if (is_over(p, turn))
			return true;
		cpu_relax();
	}
	return false;
}

/* Until the turn is another one: 0, or why this one ends it. */
static int
wait_turn(struct party *p, uint32_t turn, int64_t deadline)
{
	for (int rc = spin(p, turn) ? 0 : 1; !is_over(p, turn);) {
		if (rc < 0)
			return rc;
		if (any_marked(p->b) || (rc == 0 && any_ended(p, load_acquire(&p->b->state))))
			return -EPIPE;
		if (thread_interrupted(p->t))
			return -ECANCELED;
		rc = sleep_on(p, turn, deadline);
	}
	return 0;
}

static int
broken(void)
{
	return fail(-EPIPE, "the barrier is broken: a party died, ran out of time or gave up; see "
	            "shoal_barrier_reset");
}

static int
why(int rc)
{
	if (rc == -ETIMEDOUT)
		return fail_quiet(rc, "not all parties came in time; the barrier is broken");
	if (rc == -ECANCELED)
		return fail_quiet(rc, "interrupted by shoal_thread_interrupt; the barrier is broken");
	return broken();
}

static int
wait_for_others(struct party *p, uint32_t turn, int64_t deadline)
{
	int rc = wait_turn(p, turn, deadline);
	if (rc)
		end_turn(p->b, turn, BROKEN);
	else if (any_marked(p->b))
		futex_wake(turn_word(p->b), FUTEX_ALL); /* the dead one may have been about to */
	if (!ended_well(load_acquire(&p->b->state), turn))
		return why(rc);
	/* Complete after all, between the last look and its end: the interrupt is for the next wait. */
	if (rc == -ECANCELED)
		store_relaxed(&p->t->interrupt, 1);
	return (int)p->number;
}

/* What the action calls is called as outside of the barrier: its place is not named meanwhile. */
static int
act(const struct party *p, int (*action)(void *), void *arg)
{
	void *named = p->t->robust->pending;
	robust_pending_restore(p->t, p->pending);
	int rc = action(arg);
	robust_pending_restore(p->t, named);
	return rc;
}

static int
be_last(struct party *p, uint64_t state, int (*action)(void *), void *arg)
{
	int rc = action ? act(p, action, arg) : 0;
	if (rc) {
		end_turn(p->b, turn_of(state), BROKEN);
		return fail(rc < 0 ? rc : -EPIPE, "the barrier's action returned %d; it is broken", rc);
	}
	bool well = cas64_acq_rel(&p->b->state, state, ended(state, true, 0));
	futex_wake(turn_word(p->b), FUTEX_ALL);
	return well ? (int)p->number : broken();
}

/* Comes to the present round. -EAGAIN: it is complete, and not over yet. */
static int
come(struct party *p, shoal_time timeout, uint64_t *state)
{
	uint32_t parties = load_relaxed(&p->b->parties);
	for (;;) {
		uint64_t seen = load_acquire(&p->b->state);
		if (seen & BROKEN)
			return -EPIPE;
		if (any_marked(p->b)) {
			end_turn(p->b, turn_of(seen), BROKEN);
			return -EPIPE;
		}
		if (came(seen) >= parties)
			return -EAGAIN;
		if (timeout <= 0 && came(seen) + 1 < parties)
			return -ETIMEDOUT;
		*state = seen + (UINT64_C(1) << 32);
		p->number = came(seen);
		p->came = cas64_acq_rel(&p->b->state, seen, *state);
		if (p->came)
			return 0;
	}
}

static int
wait_at(struct party *p, int (*action)(void *), void *arg, shoal_time timeout)
{
	uint64_t state;
	int64_t deadline = timeout > 0 ? clock_deadline(timeout) : 0;
	int rc;
	while ((rc = come(p, timeout, &state)) == -EAGAIN) {
		uint32_t turn = turn_of(load_acquire(&p->b->state));
		rc = timeout <= 0 ? -ETIMEDOUT : wait_turn(p, turn, deadline);
		if (rc == -EPIPE)
			end_turn(p->b, turn, BROKEN);
		if (rc)
			break;
	}
	if (rc == -ETIMEDOUT && timeout <= 0)
		return fail_quiet(-EAGAIN, "other parties have not come, and the timeout is 0");
	if (rc)
		return why(rc);
	if (p->number + 1 == load_relaxed(&p->b->parties))
		return be_last(p, state, action, arg);
	return wait_for_others(p, turn_of(state), deadline);
}

int
shoal_barrier_wait_do(shoal_barrier *barrier, int (*action)(void *), void *arg, shoal_time timeout)
{
	struct party p = { .t = thread_self(), .b = barrier_of(barrier) };
	if (!p.t)
		return fail(-ENOMEM, "no memory for this thread's record");
	enter(&p);
	int rc = wait_at(&p, action, arg, timeout);
	leave(&p);
	return rc;
}

int
shoal_barrier_wait(shoal_barrier *barrier, shoal_time timeout)
{
	return shoal_barrier_wait_do(barrier, NULL, NULL, timeout);
}

/* ---- by anybody ---- */

int
shoal_barrier_abort(shoal_barrier *barrier)
{
	struct barrier *b = barrier_of(barrier);
	uint64_t state;
	while (!((state = load_acquire(&b->state)) & BROKEN))
		end_turn(b, turn_of(state), BROKEN);
	return 0;
}

/*
 * The dead go first: who comes to the new round must not find them. So do those who are in no call:
 * they are known again when they come.
 */
int
shoal_barrier_reset(shoal_barrier *barrier)
{
	struct barrier *b = barrier_of(barrier);
	for (int i = 0; i < PLACES; i++) {
		uint32_t word = load_acquire(&b->place[i]);
		if (is_away(word) || has_ended(word))
			(void)cas32_acq_rel(&b->place[i], word, 0);
	}
	uint64_t state;
	do {
		state = load_acquire(&b->state);
		if (!(state & BROKEN) && !came(state))
			return 0;
	} while (!cas64_acq_rel(&b->state, state, ended(state, false, 0)));
	futex_wake(turn_word(b), FUTEX_ALL);
	return 0;
}

uint32_t
shoal_barrier_parties(const shoal_barrier *barrier)
{
	return load_relaxed(&barrier_of(barrier)->parties);
}

uint32_t
shoal_barrier_waiting(const shoal_barrier *barrier)
{
	uint64_t state = load_acquire(&barrier_of(barrier)->state);
	return came(state) < shoal_barrier_parties(barrier) ? came(state) : 0;
}

bool
shoal_barrier_broken(const shoal_barrier *barrier)
{
	return load_acquire(&barrier_of(barrier)->state) & BROKEN;
}
