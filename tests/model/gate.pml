/*
 * The gate: how takers sleep and senders wake them, with deaths before any statement.
 *
 * Places 0, 1, … of one queue, each used once. A sender claims the first empty place, writes,
 * publishes, and wakes if the gate is armed. A taker takes the places in order, and sleeps where
 * it finds nothing, watching in one futex_waitv the gate, the place's word and, where the word
 * names one, that member's life word. Each one's list_op_pending names the gate during its whole
 * call, so that the kernel wakes one sleeper when it dies.
 *
 * Shown: when nothing can happen any more, no taker is asleep while there is something to take
 * or a dead member's place to mend. Memory is sequentially consistent: that the sender's two
 * steps and the sleeper's two are seen in order is the work of membarrier.
 *
 *	-DTAKERS= -DSENDERS= -DPUTS= -DKILLS=   how many; PUTS for each sender
 *	-DBATCH       a sender publishes all its messages, then wakes once
 *	-DREDELIVER   a taker borrows: its place names it until the release, and comes back when it dies
 * Wrong ones, which must fail:
 *	-DGATE_ALONE  the place's word is not watched
 *	-DTWO_STEPS   the gate is woken, then cleared, in two steps
 *	-DNO_PENDING  list_op_pending is not set
 *	-DNO_CHAIN    who was woken does not wake the next (with BATCH)
 *	-DFULL_ALONE  who was woken wakes the next only when the next place is full, not
 *	              when its writer is dead
 *	-DNO_WALK     nor does it look past places that others took (with BATCH)
 *	-DNO_LIFE     the writer's life word is not watched
 *	-DNO_TELLING  a borrower does not tell those who sleep (with REDELIVER)
 *	-DNESTED      pending names another word while a taker mends: a lock inside the
 *	              call, not restored by a death
 */
#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef PUTS
#define PUTS 1
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define MEMBERS (TAKERS + SENDERS)
#define PLACES (SENDERS * PUTS)

/* A place's word: the state, and the member that it names. */
#define EMPTY 0
#define FULL 1
#define HOLE 2
#define TAKEN 3
#define BACK 4
#define WRITING(m) (16 + (m))
#define READING(m) (32 + (m))
#define is_writing(t) ((t) >= 16 && (t) < 32)
#define is_reading(t) ((t) >= 32)
#define owner(t) ((t) & 15)

byte turn[PLACES + 1]; /* the last one stays empty: the end of every walk */
bit armed;             /* the gate's word */
bit on_gate[MEMBERS];  /* asleep, to be woken by the gate */
byte on_life[MEMBERS]; /* asleep, to be woken by these members' life words: one bit each */
bit woken[MEMBERS];
bit pending[MEMBERS];
bit doomed[MEMBERS];   /* killed; what the kernel does for it is still to come */
bit dead[MEMBERS];     /* its life word says so */
bit over[MEMBERS];     /* it calls no more, and cannot be killed */
byte kills, wakes;

/*
 * FUTEX_WAKE(gate, 1). It may be spent on one who was woken by another word, or is killed, and
 * still stands in the queue.
 */
inline wake_one()
{
	if
	:: on_gate[0] -> on_gate[0] = 0; woken[0] = 1; wakes = 1
	:: on_gate[1] -> on_gate[1] = 0; woken[1] = 1; wakes = 1
#if TAKERS > 2
	:: on_gate[2] -> on_gate[2] = 0; woken[2] = 1; wakes = 1
#endif
	:: else -> wakes = 0
	fi
}

inline wake_each(i)
{
	woken[i] = woken[i] | on_gate[i];
	on_gate[i] = 0
}

/* FUTEX_WAKE_OP: the gate is cleared and everybody woken, in one step. */
inline clear_and_wake_all()
{
	armed = 0;
	wake_each(0);
	wake_each(1);
#if TAKERS > 2
	wake_each(2)
#endif
}

#ifdef GATE_ALONE
#define place_stands true
#else
#define place_stands (turn[c] == seen)
#endif
#ifdef NO_LIFE
#define watched_live true
#else
#define watched_live (!(is_writing(seen) && dead[owner(seen)]) && !((life & 1) && dead[0]) && \
	!((life & 2) && dead[1]) && !((life & 4) && dead[2]))
#endif
/* What futex_waitv compares before it sleeps. */
#define may_sleep (armed && place_stands && watched_live)

#define watches(i, m) ((on_life[i] >> (m)) & 1)

/* The kernel marks the life word and wakes one of those who watch it. */
inline wake_watcher(m)
{
	if
	:: watches(0, m) -> on_life[0] = 0; woken[0] = 1
	:: watches(1, m) -> on_life[1] = 0; woken[1] = 1
#if TAKERS > 2
	:: watches(2, m) -> on_life[2] = 0; woken[2] = 1
#endif
	:: else
	fi
}

inline leave_sleep(m)
{
	on_gate[m] = 0;
	on_life[m] = 0;
	woken[m] = 0
}

/* A member's end: out of its sleep, then the robust list, then list_op_pending. */
inline die(m)
{
	atomic { leave_sleep(m); dead[m] = 1; wake_watcher(m) }
	atomic { if :: pending[m] -> wake_one(); wakes = 0 :: else fi; pending[m] = 0 }
}

#ifdef NO_PENDING
#define call_begins(m) skip
#else
#define call_begins(m) pending[m] = 1
#endif

proctype Sender(byte me)
{
	byte c = 0, puts = 0;
	bit nobody = 0;

	{
		skip; /* a label may not stand first */
call:
claim:		atomic {
			call_begins(me);
			do
			:: turn[c] != EMPTY -> c++
			:: else -> break
			od;
			turn[c] = WRITING(me)
		};
		atomic { turn[c] = FULL; puts++ };
#ifdef BATCH
		if :: puts < PUTS -> goto claim :: else fi;
#endif
		if
		:: atomic { armed -> wake_one(); nobody = !wakes; wakes = 0 };
#ifdef TWO_STEPS
			armed = 0
#else
			if
			:: atomic { nobody -> clear_and_wake_all(); nobody = 0 }
			:: else
			fi
#endif
		:: else
		fi;
		atomic { pending[me] = 0; if :: puts < PUTS -> goto call :: else over[me] = 1 fi }
	} unless {
		doomed[me] -> die(me)
	}
}

/* Places that are taken, or were nobody's, are passed; nobody passes a writer. */
inline walk()
{
	do
	:: turn[c] == HOLE || turn[c] == TAKEN || turn[c] == BACK || is_reading(turn[c]) -> c++
	:: else -> break
	od
}

#ifdef NO_WALK
#define walk_on() skip
#else
#define walk_on() walk()
#endif

#define to_mend (is_writing(turn[c]) && dead[owner(turn[c])])

/*
 * A dead writer's place counts: messages may stand behind it, whose wakes found an earlier place
 * still being written.
 */
#ifdef FULL_ALONE
#define there_is_more (turn[c] == FULL)
#else
#define there_is_more (turn[c] == FULL || to_mend)
#endif

#ifdef REDELIVER
#define CLAIMED READING(me)
#define mine(i) had = i
#define mended(i) (turn[i] == BACK || (is_reading(turn[i]) && dead[owner(turn[i])]))
/*
 * Before the cursor: what came back, or comes back now, is claimed; the life words of the others'
 * readers are to be watched.
 */
inline look_back()
{
	life = 0;
	i = 0;
	do
	:: i < c && !mended(i) ->
		if
		:: is_reading(turn[i]) && owner(turn[i]) != me -> life = life | (1 << owner(turn[i]))
		:: else
		fi;
		i++
	:: i < c && mended(i) -> turn[i] = READING(me); mine(i); i = 0; life = 0; seen = 0; goto got
	:: else -> break
	od;
	i = 0
}
#else
#define CLAIMED TAKEN
#define mine(i) skip
#define look_back() skip
#endif

inline look()
{
	walk();
	if
	:: turn[c] == FULL -> turn[c] = CLAIMED; mine(c); c++; life = 0; goto got
	:: to_mend -> life = 0; goto mend
	:: else
	fi
}

proctype Taker(byte me)
{
	byte c = 0, seen = 0, life = 0, i = 0, had = 0;
	bit slept = 0;

	{
		skip; /* a label may not stand first */
call:
try:		atomic { call_begins(me); look_back(); look(); seen = 0; life = 0 };
		armed = 1;
		atomic { look(); seen = turn[c] };
		/*
		 * Only now: what was claimed meanwhile stands before the cursor or changes the word that
		 * is watched.
		 */
#ifdef REDELIVER
		atomic { look_back() };
#endif
		atomic {
			if
			:: may_sleep ->
				slept = 1;
				on_gate[me] = 1;
#ifndef NO_LIFE
				on_life[me] = life;
				if :: is_writing(seen) -> on_life[me] = life | (1 << owner(seen)) :: else fi;
#endif
				seen = 0;
				life = 0
			:: else -> seen = 0; life = 0; goto try
			fi
		};
end_asleep:	atomic { woken[me] -> leave_sleep(me) };
		goto try;

mend:
#ifdef NESTED
		pending[me] = 0;
#endif
		atomic { if :: to_mend -> turn[c] = HOLE :: else fi };
#ifdef NESTED
		pending[me] = 1;
#endif
		atomic { clear_and_wake_all() };
		goto try;

got:
#if defined(REDELIVER) && !defined(NO_TELLING)
		if :: atomic { armed -> clear_and_wake_all() } :: else fi;
#endif
		/* Who was woken lets the next one go on, if there is more. */
#ifndef NO_CHAIN
		atomic {
			if
			:: slept -> walk_on(); if :: there_is_more -> wake_one(); wakes = 0 :: else fi
			:: else
			fi
		};
#endif
		atomic { pending[me] = 0; slept = 0 };
#ifdef REDELIVER
		atomic { turn[had] = TAKEN; had = 0 };
#endif
		if
		:: goto call
		:: over[me] = 1
		fi
	} unless {
		doomed[me] -> die(me)
	}
}

proctype Killer()
{
	byte m;

	do
	:: kills < KILLS ->
		atomic {
			select(m: 0 .. (MEMBERS - 1));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

#define asleep_alive(m) (!doomed[m] && (on_gate[m] || on_life[m]) && !woken[m])

/* When nothing else can happen: is there something that a sleeper should see? */
proctype Monitor()
{
	byte i, t;
	bit there;

	timeout ->
	atomic {
		i = 0;
		do
		:: i < PLACES ->
			t = turn[i];
			if
			:: t == HOLE || t == TAKEN || (is_reading(t) && !dead[owner(t)]) -> i++
			:: t == FULL || t == BACK || (is_writing(t) && dead[owner(t)]) || is_reading(t) ->
				there = 1;
				break
			:: else -> break
			fi
		:: else -> break
		od;
		assert(!(there && (asleep_alive(0) || asleep_alive(1)
#if TAKERS > 2
			|| asleep_alive(2)
#endif
			)))
	}
}

init {
	byte m;

	atomic {
		do
		:: m < TAKERS -> run Taker(m); m++
		:: m >= TAKERS && m < MEMBERS -> run Sender(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
