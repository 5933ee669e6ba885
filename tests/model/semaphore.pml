/*
 * The semaphore: a value and a gate, with deaths before any statement.
 *
 * TAKERS acquire once each, the first may give up; GIVERS release GIVES times each. Every call has
 * list_op_pending name the gate, so that the kernel wakes one sleeper when the caller dies; a sleeper
 * watches the gate and the value.
 *
 * Shown: when nothing can happen any more, nobody is asleep while there is a permit; no permit
 * comes from nowhere. Memory is sequentially consistent: that either side sees the other is the work
 * of seq_cst (semaphore.c, S1 and S2).
 *
 *	-DTAKERS= -DGIVERS= -DGIVES= -DKILLS=
 *	-DPLAIN       who releases wakes one and writes nothing; who leaves the wait, and has seen nobody
 *	              asleep, clears the gate
 * Wrong ones, which must fail:
 *	-DGATE_ALONE  the value is not watched
 *	-DTWO_STEPS   the gate is woken, then cleared, in two steps
 *	-DNO_PENDING  list_op_pending is not set
 *	-DNO_BATON    who was woken does not wake the next one
 *	-DLEAVE_DUMB  who gives up does not wake the next one
 *	-DCLEAR_DUMB  PLAIN: who clears the gate wakes nobody
 */
#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef GIVERS
#define GIVERS 2
#endif
#ifndef GIVES
#define GIVES 1
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define MEMBERS (TAKERS + GIVERS)

byte value, given, taken;
bit armed;
bit asleep[MEMBERS], woken[MEMBERS], pending[MEMBERS], doomed[MEMBERS], over[MEMBERS];
byte kills;

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

inline clear_and_wake_all()
{
	armed = 0;
	wake_each(0);
	wake_each(1);
#if TAKERS > 2
	wake_each(2)
#endif
}

/* Out of its sleep; then the word that pending names, which bears nobody's id. */
inline die(me)
{
	atomic { asleep[me] = 0; woken[me] = 0 };
	atomic {
		if :: pending[me] -> wake_one(n) :: else fi;
		n = 0;
		pending[me] = 0;
		over[me] = 1
	}
}

#ifdef NO_PENDING
#define call_begins(m) skip
#else
#define call_begins(m) pending[m] = 1
#endif

/* gate_open */
#ifdef TWO_STEPS
#define open_gate() \
	atomic { wake_one(n) }; \
	if :: n == 0 -> armed = 0 :: else fi; \
	n = 0
#else
#define open_gate() \
	atomic { wake_one(n) }; \
	if :: atomic { n == 0 -> clear_and_wake_all() } :: else fi; \
	n = 0
#endif

#ifdef PLAIN
#define tell() atomic { wake_one(n) }; n = 0
#else
#define tell() open_gate()
#endif

#ifdef CLEAR_DUMB
#define clear_gate() armed = 0
#else
#define clear_gate() atomic { clear_and_wake_all() }
#endif

#if TAKERS > 2
#define lonely (!asleep[0] && !asleep[1] && !asleep[2])
#else
#define lonely (!asleep[0] && !asleep[1])
#endif

#ifdef GATE_ALONE
#define stands true
#else
#define stands (value == 0)
#endif

proctype Giver(byte me)
{
	byte gives = 0;
	bit n = 0;

	{
		skip; /* a label may not stand first */
call:		call_begins(me);
		atomic { value++; given++; gives++ };
		if
		:: armed -> tell()
		:: else
		fi;
		pending[me] = 0;
		if :: gives < GIVES -> goto call :: else -> over[me] = 1 fi
	} unless {
		doomed[me] -> die(me)
	}
}

proctype Taker(byte me)
{
	bit n = 0, slept = 0;

	{
		call_begins(me);
try:		if
		:: atomic { value > 0 -> value--; taken++ }; goto got
		:: atomic { value == 0 }
		fi;
		armed = 1;
		if
		:: atomic { value > 0 -> goto try }
		:: atomic { value == 0 }
		fi;
		if
		:: atomic { armed && stands -> asleep[me] = 1; slept = 1 }
		:: atomic { !(armed && stands) -> goto try }
		fi;
end_asleep:	if
		:: atomic { woken[me] -> woken[me] = 0 }
		/* Interrupted, perhaps woken as well. Only the first: the others must be told. */
		:: atomic { me == 0 && (asleep[me] || woken[me]) -> asleep[me] = 0; woken[me] = 0 }; goto leave
		fi;
		goto try;
leave:
#ifdef LEAVE_DUMB
		slept = 0;
#endif
		skip;
got:
#ifndef NO_BATON
		if
		:: slept && value > 0 -> open_gate(); goto out
		:: else
		fi;
#endif
#ifdef PLAIN
		if
		:: armed && lonely -> clear_gate()
		:: else
		fi;
#endif
out:		skip;
		atomic { pending[me] = 0; over[me] = 1 }
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

proctype Monitor()
{
	timeout ->
	atomic {
		assert(value + taken == given);
		assert(value == 0 || (over[0] && over[1]
#if TAKERS > 2
			&& over[2]
#endif
			))
	}
}

init {
	byte m;

	atomic {
		do
		:: m < TAKERS -> run Taker(m); m++
		:: m >= TAKERS && m < MEMBERS -> run Giver(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
