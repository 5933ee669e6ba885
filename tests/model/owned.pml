/*
 * The semaphore whose permits have owners: cells, a turn and a gate, with deaths before any
 * statement.
 *
 * Each of TAKERS takes one of PERMITS and gives it back, ROUNDS times. A cell bears its owner's
 * number, or 0. The kernel, at a death: the cell on the robust list that bears the dead one's
 * number is free again, and nobody sleeps there; then the word that list_op_pending names: a cell
 * is as one on the list, at the gate one sleeper is woken. An owner's death changes neither word
 * that a sleeper watches: its slice makes it look again.
 *
 * Shown: no permit has two owners, and none is lost, whoever died; where nobody died, nobody's
 * slice is what wakes him while there is a permit; everybody comes through. Slices end when nothing
 * else can happen any more, and EARLY of them before. Memory is sequentially consistent: that
 * either side sees the other is the work of seq_cst (owned.c, S1).
 *
 *	-DTAKERS= -DPERMITS= -DROUNDS= -DKILLS= -DEARLY=
 *	-DGIVE_UP     the first may also leave its sleep, by a deadline or an interrupt
 * Wrong ones, which must fail:
 *	-DNO_SLICE    who sleeps is woken by releases alone
 *	-DNO_PENDING  a taker does not name its cell before it takes it
 *	-DCOUNTED     a number says how many are free, which takers and owners change beside the cells
 *	-DNO_CAS      a cell is looked at, then taken, in two steps
 *	-DTWO_STEPS   the gate is woken, then cleared, in two steps
 *	-DLOOK_ONCE   neither a second look nor the turn
 *	-DLEAVE_DUMB  who gives up does not wake the next one (with GIVE_UP)
 */
#ifndef TAKERS
#define TAKERS 3
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef EARLY
#define EARLY 0
#endif

/* After each somebody takes a permit, or dies. */
#define SLICES (TAKERS * ROUNDS + KILLS)

#define NOTHING 15 /* named by list_op_pending, or no cell */
#define GATE 14

byte cell[PERMITS];
byte turn, count = PERMITS;
bit armed;
bit asleep[TAKERS], woken[TAKERS], doomed[TAKERS], over[TAKERS];
byte pending[TAKERS] = NOTHING, listed[TAKERS] = NOTHING;
byte using[PERMITS]; /* who uses what the permit stands for */
byte kills, early, slices;
bit somebody_died;

#if PERMITS > 1
#define none_free (cell[0] != 0 && cell[1] != 0)
#else
#define none_free (cell[0] != 0)
#endif

#if TAKERS > 2
#define anybody(what) (what[0] || what[1] || what[2])
#define everybody(what) (what[0] && what[1] && what[2])
#else
#define anybody(what) (what[0] || what[1])
#define everybody(what) (what[0] && what[1])
#endif

inline wake_one(n)
{
	n = 1;
	if
	:: asleep[0] -> asleep[0] = 0; woken[0] = 1
	:: asleep[1] -> asleep[1] = 0; woken[1] = 1
#if TAKERS > 2
	:: asleep[2] -> asleep[2] = 0; woken[2] = 1
#endif
	:: else -> n = 0
	fi
}

inline wake_each(i)
{
	woken[i] = woken[i] | asleep[i];
	asleep[i] = 0
}

inline wake_all()
{
	wake_each(0);
	wake_each(1);
#if TAKERS > 2
	wake_each(2)
#endif
}

inline free_of_dead(c)
{
	if
	:: c < PERMITS && cell[c] == me + 1 -> cell[c] = 0
	:: else
	fi
}

/* Out of its sleep and its use; the list; list_op_pending. */
inline die(me)
{
	atomic {
		asleep[me] = 0;
		woken[me] = 0;
		somebody_died = 1;
		if :: using[0] == me + 1 -> using[0] = 0 :: else fi;
#if PERMITS > 1
		if :: using[1] == me + 1 -> using[1] = 0 :: else fi
#endif
	};
	atomic { free_of_dead(listed[me]) };
	atomic {
		free_of_dead(pending[me]);
		if :: pending[me] == GATE -> wake_one(n) :: else fi;
		n = 0;
		pending[me] = NOTHING;
		listed[me] = NOTHING;
		over[me] = 1
	}
}

/* gate_open */
#ifdef TWO_STEPS
#define open_gate() \
	atomic { wake_one(n) }; \
	if :: n == 0 -> armed = 0 :: else fi; \
	n = 0
#else
#define open_gate() \
	atomic { wake_one(n) }; \
	if :: atomic { n == 0 -> armed = 0; wake_all() } :: else fi; \
	n = 0
#endif

#ifdef NO_PENDING
#define name_cell() skip
#else
#define name_cell() pending[me] = at
#endif

#ifdef LOOK_ONCE
#define stands armed
#else
#define stands (armed && turn == seen)
#endif

/*
 * robust_try of each cell, from a place of its own on. mine: the cell, or NOTHING. Only the cell's
 * own word is taken in one step: another one may be free by now, or no more.
 */
inline take()
{
	atomic { i = 0; mine = NOTHING };
	do
	:: atomic { mine == NOTHING && i < PERMITS && cell[(me + i) % PERMITS] != 0 -> i++ }
	:: atomic { mine == NOTHING && i < PERMITS && cell[(me + i) % PERMITS] == 0 ->
			at = (me + i) % PERMITS;
			i++;
			name_cell() };
#ifdef NO_CAS
		if
		:: cell[at] == 0 -> atomic { cell[at] = me + 1; mine = at }
		:: else
		fi;
#else
		atomic { if :: cell[at] == 0 -> cell[at] = me + 1; mine = at :: else fi };
#endif
		atomic { if :: mine != NOTHING -> listed[me] = mine :: else fi };
		pending[me] = named
	:: atomic { mine != NOTHING || i == PERMITS -> i = 0; at = 0; break }
	od
}

#ifdef COUNTED
#define no_permit (count == 0)
#else
#define no_permit none_free
#endif

proctype Taker(byte me)
{
	byte rounds = 0, i = 0, at = 0, mine = NOTHING, named = NOTHING, seen = 0;
	bit n = 0, slept = 0, stays = 0;

	{
		skip; /* a label may not stand first */
call:
#ifdef COUNTED
		if :: count == 0 -> goto wait :: else fi;
#endif
		take();
		if :: mine != NOTHING -> goto got :: else fi;

		/* ---- acquire_slow ---- */
wait:		atomic { named = GATE; pending[me] = GATE };
try:		atomic { seen = turn };
#ifdef COUNTED
		if :: count == 0 -> goto arm :: else fi;
#endif
		take();
		if :: mine != NOTHING -> goto leave :: else fi;
arm:		armed = 1;
#ifndef LOOK_ONCE
		if
		:: atomic { !no_permit -> goto try }
		:: atomic { no_permit }
		fi;
#endif
		if
		:: atomic { stands -> asleep[me] = 1; slept = 1 }
		:: atomic { !stands -> goto try }
		fi;
end_asleep:	if
		:: atomic { woken[me] -> woken[me] = 0 }
		:: atomic { asleep[me] && early < EARLY -> early++; asleep[me] = 0 }
#ifdef GIVE_UP
		/* Interrupted, perhaps woken as well. */
		:: atomic { me == 0 && (asleep[me] || woken[me]) -> asleep[me] = 0; woken[me] = 0 };
			goto leave
#endif
		fi;
		goto try;
leave:
#ifdef LEAVE_DUMB
		if :: mine == NOTHING -> slept = 0 :: else fi;
#endif
		if
		:: slept && !no_permit -> open_gate()
		:: else
		fi;
		atomic { pending[me] = NOTHING; named = NOTHING; slept = 0; seen = 0 };
		if :: mine == NOTHING -> goto through :: else fi;

		/* ---- it has a permit ---- */
got:
#ifdef COUNTED
		count--;
#endif
		atomic { assert(using[mine] == 0 && cell[mine] == me + 1); using[mine] = me + 1 };
		atomic { using[mine] = 0 };
		/* ---- release_owned, robust_release within it ---- */
		/* Where it has a record. */
		if :: atomic { stays = armed } :: skip fi;
		pending[me] = GATE;
		pending[me] = mine;
		listed[me] = NOTHING;
		cell[mine] = 0;
		pending[me] = GATE;
		atomic { if :: stays -> turn++ :: else fi; mine = NOTHING; stays = 0 };
#ifdef COUNTED
		count++;
#endif
		if
		:: armed -> open_gate()
		:: else
		fi;
		pending[me] = NOTHING;
through:	atomic { rounds++ };
		if
		:: rounds < ROUNDS -> goto call
		:: else -> over[me] = 1
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
			select(m: 0 .. (TAKERS - 1));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

/* When nothing else can happen: slices end, or everybody is through, and all permits are there. */
proctype Monitor()
{
#ifndef NO_SLICE
	do
	:: timeout ->
		if
		:: atomic { anybody(asleep) ->
				assert(somebody_died && !none_free && slices < SLICES);
				slices++;
				wake_all() }
		:: else -> break
		fi
	od;
#else
	timeout;
#endif
	atomic { assert(everybody(over)); assert(cell[0] == 0) };
#if PERMITS > 1
	assert(cell[1] == 0)
#endif
}

init {
	byte m;

	atomic {
		do
		:: m < TAKERS -> run Taker(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
