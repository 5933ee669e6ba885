/*
 * The event: a count of turns and a gate, with deaths before any statement.
 *
 * WAITERS wait once each, the first may give up; SETTERS set and clear TURNS times each. Every call has
 * list_op_pending name the gate; a sleeper watches the gate and the turns.
 *
 * Shown: when nothing can happen any more, nobody is asleep who began to wait before a set. Memory
 * is sequentially consistent (event.c, E1 and E2).
 *
 *	-DWAITERS= -DSETTERS= -DTURNS= -DKILLS=
 *	-DNO_CLEAR    it stays set
 * Wrong ones, which must fail:
 *	-DGATE_ALONE  the turns are not watched
 *	-DNO_PENDING  list_op_pending is not set
 *	-DNO_CHAIN    who was woken wakes nobody
 *	-DFLAG        a flag that is set or clear, instead of a count of turns
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef SETTERS
#define SETTERS 2
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define MEMBERS (WAITERS + SETTERS)

byte turns; /* odd: set */
byte sets;
bit armed;
bit asleep[MEMBERS], woken[MEMBERS], pending[MEMBERS], doomed[MEMBERS], over[MEMBERS];
byte since[WAITERS]; /* the sets before its wait began */
byte kills;

inline wake_one()
{
	if
	:: asleep[0] -> asleep[0] = 0; woken[0] = 1
	:: asleep[1] -> asleep[1] = 0; woken[1] = 1
#if WAITERS > 2
	:: asleep[2] -> asleep[2] = 0; woken[2] = 1
#endif
	:: else
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
#if WAITERS > 2
	wake_each(2)
#endif
}

inline die(me)
{
	atomic { asleep[me] = 0; woken[me] = 0 };
	atomic {
		if :: pending[me] -> wake_one() :: else fi;
		pending[me] = 0;
		over[me] = 1
	}
}

#ifdef NO_PENDING
#define call_begins(m) skip
#else
#define call_begins(m) pending[m] = 1
#endif

#ifdef FLAG
#define told (turns != 0)
#else
#define told (turns != seen)
#endif
#ifdef GATE_ALONE
#define stands true
#else
#define stands (!told)
#endif

proctype Setter(byte me)
{
	byte n = 0;

	{
		skip; /* a label may not stand first */
call:		call_begins(me);
		atomic { if :: !(turns & 1) -> turns++; sets++ :: else fi; n++ };
		if
		:: armed -> atomic { clear_and_wake_all() }
		:: else
		fi;
		pending[me] = 0;
#ifndef NO_CLEAR
#ifdef FLAG
		turns = 0;
#else
		atomic { if :: turns & 1 -> turns++ :: else fi };
#endif
#endif
		if :: n < TURNS -> goto call :: else -> over[me] = 1 fi
	} unless {
		doomed[me] -> die(me)
	}
}

proctype Waiter(byte me)
{
	byte seen = 0;

	{
		atomic { seen = turns; since[me] = sets; if :: seen & 1 -> goto out :: else fi };
		call_begins(me);
try:		if
		:: atomic { told -> goto leave }
		:: atomic { !told }
		fi;
		armed = 1;
		if
		:: atomic { told -> goto leave }
		:: atomic { !told }
		fi;
		if
		:: atomic { armed && stands -> asleep[me] = 1 }
		:: atomic { !(armed && stands) -> goto try }
		fi;
end_asleep:	if
		:: atomic { woken[me] -> woken[me] = 0 }
		:: atomic { me == 0 && (asleep[me] || woken[me]) -> asleep[me] = 0; woken[me] = 0 }; goto leave
		fi;
		goto try;
leave:
#ifndef NO_CHAIN
		if
		:: atomic { told && armed -> clear_and_wake_all() }
		:: else
		fi;
#endif
out:		atomic { pending[me] = 0; over[me] = 1 }
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

#define missed(i) (!over[i] && since[i] != sets)

proctype Monitor()
{
	timeout -> assert(!missed(0) && !missed(1)
#if WAITERS > 2
		&& !missed(2)
#endif
		)
}

init {
	byte m;

	atomic {
		do
		:: m < WAITERS -> run Waiter(m); m++
		:: m >= WAITERS && m < MEMBERS -> run Setter(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
