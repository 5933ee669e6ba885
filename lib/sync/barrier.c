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
 *	12 well     of the turns that are out of the history, those from this one on ended well
 *	16 16 bytes unused
 *	32 place    24 words, a thread each, from its first round on:
 *	            0                      free
 *	            SLEEPERS | tid         in a call: named by its list_op_pending, so that the kernel
 *	                                   marks it at the thread's death and wakes one who watches it
 *	            AWAY | mark            between two calls (kernel_thread_mark, 29 bits of it)
 *	            SLEEPERS | DIED        died in a call; until a reset
 *
 * Each change of the state is one CAS. A round is complete when the last to come, after its action,
 * makes the turn one more and the count 0. Whoever finds a dead party, or runs out of time, breaks
 * the round in the same way, from exactly the state seen. Before the bit of a bad end leaves the
 * history, `well` names the turn after it: so it only ever tells of ends that there were. It only
 * goes forward, and is right for a state that is the same before and after it was read.
 *
 *	party                                             last
 *	  pending = place; place: 0 or its own AWAY         the same, count + 1: as many as the parties
 *	    -> SLEEPERS | tid
 *	  count + 1                     (acq_rel, B1)       action
 *	  sleep while turn is the same,                     turn + 1, count 0      (acq_rel, B1)
 *	    watching the places too                         wake all on turn
 *	  turn is another              (acquire, B1)        place = AWAY      (seq_cst, B2)
 *	  place = AWAY                 (seq_cst, B2)        a bad end since? place = 0
 *	  a bad end since? place = 0   (seq_cst, B2)        pending restored
 *	  pending restored
 *
 * A reset breaks the barrier, takes the places of the dead and of those who are away (B2), and
 * clears BROKEN, in a turn of its own: what was seen before ends no round after it. If it dies
 * before that the barrier stays broken; or it has forgotten one who came after another reset, and
 * is known again when it comes. One that never came to a round leaves its place free.
 *
 * B1: the last sees what each party wrote before it came, and each party what all of them wrote.
 * B2: either the reset sees who is away, or that one the end of its turn; else it would be known,
 * though it has not come since.
 *
 * Crash points. In a call, wherever: the place is marked, one who watches it wakes and breaks the
 * round, or, where the turn is another one by then, wakes the others in the dead one's stead.
 * Nobody asleep: the next to come sees the mark. Between calls, and in an action, whose calls name
 * words of their own: those who sleep ask the kernel every 5 ms about the threads whose places are
 * not marked, each about its share. Models: tests/model/barrier.pml, barrier_late.pml and
 * barrier_reset.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "sync/robust.h"
#include <shoal/sync.h>
#include <string.h>

#define PLACES SHOAL_PARTIES_KNOWN_MAX
#define AWAY 0x20000000u
#define MARK_BITS (KERNEL_MARK_TID | KERNEL_MARK_LOW)
#define BROKEN (UINT64_C(1) << 48)
#define HISTORY_AT 49
#define HISTORY_TURNS 15
#define SHARE_NS (8 * FUTEX_SLICE_NS)
#define SPIN_MAX 300

struct barrier {
	word64 state;
	word32 parties;
	word32 well;
	word32 unused[4];
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
	uint32_t turn;   /* the round that it came to; before that, the one when the call began */
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

/*
 * The bit of the oldest end is about to leave the history. Crash points: what is kept is true
 * already. Where the CAS fails another one has kept the same, or the state is another one.
 */
static void
keep_bad(struct barrier *b, uint64_t state)
{
	uint32_t turn = turn_of(state), seen = load_acquire(&b->well);
	bool present = turn_of(load_acquire(&b->state)) == turn;
	if (present && turn - seen >= HISTORY_TURNS)
		(void)cas32_acq_rel(&b->well, seen, turn - HISTORY_TURNS + 1);
}

/* From exactly that state. */
static bool
end_from(struct barrier *b, uint64_t state, bool well, uint64_t broken)
{
	if (unlikely(state >> (HISTORY_AT + HISTORY_TURNS - 1)))
		keep_bad(b, state);
	return cas64_acq_rel(&b->state, state, ended(state, well, broken));
}

/* The state, and how many turns before its own `well` is. */
static uint64_t
look_back(struct barrier *b, uint32_t *well)
{
	uint64_t state = load_seq_cst(&b->state);
	for (;;) {
		uint64_t seen = state;
		*well = turn_of(seen) - load_acquire(&b->well);
		state = load_acquire(&b->state);
		if (turn_of(state) == turn_of(seen))
			return state;
	}
}

/* Of a turn that is over. One before a bad end, and out of the history, may have been broken. */
static bool
ended_well(struct barrier *b, uint32_t turn)
{
	uint32_t well;
	uint64_t state = look_back(b, &well);
	uint32_t since = turn_of(state) - turn - 1;
	if (since < HISTORY_TURNS)
		return !(state >> (HISTORY_AT + since) & 1);
	return since < well;
}

/* Whether it is broken, or a turn from that one on was broken or reset. */
static bool
is_undone(struct barrier *b, uint32_t turn)
{
	uint32_t well;
	uint64_t state = look_back(b, &well), history = state >> HISTORY_AT;
	uint32_t since = turn_of(state) - turn;
	if (state & BROKEN)
		return true;
	if (since <= HISTORY_TURNS)
		return history & ((1u << since) - 1);
	return history || since > well;
}

/* Of that turn, unless it is another one by now: breaks it for all. True: this call did. */
static bool
break_turn(struct barrier *b, uint32_t turn)
{
	bool done = false;
	while (!done) {
		uint64_t state = load_acquire(&b->state);
		if (turn_of(state) != turn || (state & BROKEN))
			break;
		done = end_from(b, state, false, BROKEN);
	}
	futex_wake(turn_word(b), FUTEX_ALL);
	return done;
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
	p->turn = turn_of(load_acquire(&p->b->state));
	do {
		p->place = place_with(p->b, mine);
		p->known = p->place;
		word = p->known ? mine : 0;
		if (!p->known && !(p->place = place_with(p->b, 0)))
			break;
		robust_pending_set(p->t, p->place);
	} while (!cas32_acq_rel(p->place, word, FUTEX_SLEEPERS | p->t->tid));
	p->pending = old;
	if (!p->place)
		robust_pending_restore(p->t, old);
}

/*
 * One that never came to a round is no party, and its death will harm nobody. Nor is one that has
 * not come since a reset. Where the place is another one's by then a reset has taken it.
 */
static void
leave(struct party *p)
{
	if (!p->place)
		return;
	uint32_t word = p->known || p->came ? away(p->t) : 0;
	store_seq_cst(p->place, word); /* B2 */
	if (word && is_undone(p->b, p->turn))
		(void)cas32_acq_rel(p->place, word, 0);
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

/* Those who came, but for one at its action. */
static uint32_t
asleep(const struct barrier *b, uint64_t state)
{
	uint32_t others = load_relaxed(&b->parties) - 1;
	uint32_t sleepers = came(state) < others ? came(state) : others;
	return sleepers ? sleepers : 1;
}

/*
 * Its share of the places, by its number, so that all who sleep ask about each place once in a
 * slice. By the clock that all have the shares go round: one who is STOPPED hides nobody for long.
 */
static bool
any_ended(const struct party *p, uint64_t state)
{
	uint32_t share = (PLACES - 1) / asleep(p->b, state) + 1;
	uint32_t first = (p->number + (uint32_t)(clock_now() / SHARE_NS % PLACES)) * share;
	for (uint32_t i = 0; i < share; i++) {
		word32 *place = &p->b->place[(first + i) % PLACES];
		if (place != p->place && has_ended(load_acquire(place)))
			return true;
	}
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
	if (rc && break_turn(p->b, turn))
		return why(rc);
	if (!rc && any_marked(p->b))
		futex_wake(turn_word(p->b), FUTEX_ALL); /* the dead one may have been about to */
	/* Over after all, between the last look and its end: the interrupt is for the next wait. */
	if (rc == -ECANCELED)
		store_relaxed(&p->t->interrupt, 1);
	return ended_well(p->b, turn) ? (int)p->number : broken();
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
		break_turn(p->b, turn_of(state));
		return fail(rc < 0 ? rc : -EPIPE, "the barrier's action returned %d; it is broken", rc);
	}
	bool well = end_from(p->b, state, true, 0);
	futex_wake(turn_word(p->b), FUTEX_ALL);
	return well ? (int)p->number : broken();
}

/*
 * Comes to the present round, and gives the state with it. -EAGAIN: it is complete, and not over
 * in the state given.
 */
static int
come(struct party *p, shoal_time timeout, uint64_t *state)
{
	uint32_t parties = load_relaxed(&p->b->parties);
	for (;;) {
		uint64_t seen = *state = load_acquire(&p->b->state);
		if (seen & BROKEN)
			return -EPIPE;
		if (any_marked(p->b)) {
			break_turn(p->b, turn_of(seen));
			return -EPIPE;
		}
		if (came(seen) >= parties)
			return -EAGAIN;
		if (timeout <= 0 && came(seen) + 1 < parties)
			return -ETIMEDOUT;
		*state = seen + (UINT64_C(1) << 32);
		p->came = cas64_acq_rel(&p->b->state, seen, *state);
		if (!p->came)
			continue;
		p->number = came(seen);
		p->turn = turn_of(seen);
		return 0;
	}
}

/* Waits behind complete rounds until it has come to one. */
static int
come_in_time(struct party *p, shoal_time timeout, int64_t deadline, uint64_t *state)
{
	int rc;
	while ((rc = come(p, timeout, state)) == -EAGAIN) {
		rc = timeout <= 0 ? -ETIMEDOUT : wait_turn(p, turn_of(*state), deadline);
		if (rc == -EPIPE)
			break_turn(p->b, turn_of(*state));
		else if (rc)
			break;
	}
	return rc;
}

/* Nothing has changed, but where it found the barrier broken. */
static int
why_not_come(int rc, shoal_time timeout)
{
	if (rc == -EPIPE)
		return broken();
	if (timeout <= 0)
		return fail_quiet(-EAGAIN, "other parties have not come, and the timeout is 0");
	if (rc == -ECANCELED)
		return fail_quiet(rc, "interrupted by shoal_thread_interrupt while the round before was "
		                  "not over");
	return fail_quiet(rc, "the round before was not over in time: its last party is at its "
	                  "action, or stopped");
}

static int
wait_at(struct party *p, int (*action)(void *), void *arg, shoal_time timeout)
{
	uint64_t state;
	int64_t deadline = timeout > 0 ? clock_deadline(timeout) : 0;
	int rc = come_in_time(p, timeout, deadline, &state);
	if (rc)
		return why_not_come(rc, timeout);
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

/* The broken state. */
static uint64_t
break_it(struct barrier *b)
{
	uint64_t state;
	while (!((state = load_acquire(&b->state)) & BROKEN))
		break_turn(b, turn_of(state));
	return state;
}

int
shoal_barrier_abort(shoal_barrier *barrier)
{
	break_it(barrier_of(barrier));
	return 0;
}

/* Those who are in no call are known again when they come. */
static void
forget_all(struct barrier *b)
{
	for (int i = 0; i < PLACES; i++) {
		uint32_t word = load_acquire(&b->place[i]);
		if (is_away(word) || has_ended(word))
			(void)cas32_acq_rel(&b->place[i], word, 0);
	}
}

/*
 * Nobody comes while the places are taken. Another reset that ends meanwhile lets parties in, which
 * this one may have forgotten: once more then.
 */
int
shoal_barrier_reset(shoal_barrier *barrier)
{
	struct barrier *b = barrier_of(barrier);
	uint64_t state;
	do {
		state = break_it(b);
		fence_seq_cst(); /* B2 */
		forget_all(b);
	} while (!end_from(b, state, false, 0));
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
