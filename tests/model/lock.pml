/*
 * The lock: a robust word with sticky waiters, with deaths before any statement.
 *
 * Each of TAKERS takes the lock ROUNDS times, or gives up waiting. The word is the holder, and the
 * bits sleepers and died. The kernel, at a death: the word on the robust list that bears the dead
 * one's id is marked and one sleeper woken; then the word that list_op_pending names, which is
 * woken once also when it bears nobody's id.
 *
 * Shown: one holder at a time; a taker is told of a death in the critical section; when nothing can
 * happen any more, nobody is asleep over a free lock. Memory is sequentially consistent; the word
 * is one location.
 *
 *	-DTAKERS= -DROUNDS= -DKILLS=
 *	-DGIVE_UP     the first may also leave its sleep, by a deadline or an interrupt
 *	-DSUSPECT     it is suspect at first, may be given back suspect, and is lost then
 * Wrong ones, which must fail:
 *	-DCLASSIC     the release drops the sleepers' bit and wakes after it, in two steps, as the C
 *	              library's robust mutex does; who was woken sets it again
 *	-DTWO_STEPS   the bit stays, but the release stores and wakes in two steps, and clears it in one
 *	              more when it woke nobody
 *	-DCLEAR_DUMB  who has the word and saw nobody asleep clears the bit and wakes nobody
 *	-DNO_PENDING  list_op_pending is not set
 *	-DOLD_KERNEL  before Linux 6.2 a word is woken only when it is 0 altogether
 *	-DNO_CHAIN    who finds the lock lost wakes nobody (with SUSPECT)
 */
#ifndef TAKERS
#define TAKERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define NOBODY 15

byte holder = NOBODY;
bit sleepers, lost;
#ifdef SUSPECT
bit died = 1, dirty = 1; /* somebody died before */
#else
bit died, dirty; /* dirty: what the lock guards is in the middle of a change */
#endif
bit asleep[TAKERS], woken[TAKERS], listed[TAKERS], pending[TAKERS];
bit doomed[TAKERS], over[TAKERS];
byte kills, inside;

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

inline mark()
{
	holder = NOBODY;
	died = 1;
	if :: sleepers -> wake_one(n) :: else fi
}

#ifdef OLD_KERNEL
#define wakes_pending (holder == NOBODY && !sleepers && !died)
#else
#define wakes_pending (holder == NOBODY)
#endif

/* Out of its sleep; the list; list_op_pending. An entry that is pending too is left to the last. */
inline die(me)
{
	atomic {
		asleep[me] = 0;
		woken[me] = 0;
		if :: inside == me + 1 -> inside = 0 :: else fi
	};
	atomic { if :: listed[me] && !pending[me] && holder == me -> mark() :: else fi };
	atomic {
		if
		:: pending[me] && holder == me -> mark()
		:: pending[me] && wakes_pending -> wake_one(n)
		:: else
		fi;
		n = 0;
		pending[me] = 0;
		listed[me] = 0;
		over[me] = 1
	}
}

#if TAKERS > 2
#define lonely (!asleep[0] && !asleep[1] && !asleep[2])
#else
#define lonely (!asleep[0] && !asleep[1])
#endif

#ifdef CLEAR_DUMB
#define clear_bit() sleepers = 0
#else
#define clear_bit() atomic { sleepers = 0; wake_all() }
#endif

#ifdef NO_PENDING
#define call_begins(m) skip
#else
#define call_begins(m) pending[m] = 1
#endif

proctype Taker(byte me)
{
	byte rounds = 0;
	bit told = 0, n = 0, slept = 0;

	{
		skip; /* a label may not stand first */
call:
		atomic { call_begins(me); told = 0; slept = 0; rounds++ };
try:		if
		:: atomic { holder == NOBODY && died && lost -> goto out };
		:: atomic { holder == NOBODY && !(died && lost) -> holder = me; told = died };
			goto got
		:: atomic { holder != NOBODY && !sleepers -> sleepers = 1 }
		:: atomic { holder != NOBODY && sleepers }
		fi;
		if
		:: atomic { holder != NOBODY && sleepers -> asleep[me] = 1; slept = 1 }
		:: atomic { !(holder != NOBODY && sleepers) -> goto try }
		fi;
end_asleep:	if
		:: atomic { woken[me] -> woken[me] = 0 }
#ifdef GIVE_UP
		:: atomic { me == 0 && asleep[me] -> asleep[me] = 0 };
			/* One more look; who is woken after it left was not asleep for the kernel. */
			if
			:: atomic { holder == NOBODY -> goto try }
			:: atomic { holder != NOBODY -> goto leave }
			fi
#endif
		fi;
#ifdef CLASSIC
		atomic { sleepers = 1 };
#endif
		goto try;
out:
#ifndef NO_CHAIN
		atomic { if :: slept -> wake_all() :: else fi };
#endif
		goto leave;

got:		listed[me] = 1;
		pending[me] = 0;
		/* ---- the critical section ---- */
		atomic {
			assert(inside == 0 && holder == me);
			assert(told || !dirty);
			inside = me + 1;
			dirty = 1
		};
		if
		:: atomic { told -> died = 0; told = 0 }
#ifdef SUSPECT
		:: told
#endif
		:: !told
		fi;
		atomic { inside = 0; dirty = told };
		/* ---- release ---- */
		call_begins(me);
#ifdef SUSPECT
		if
		:: told ->
			lost = 1;
			listed[me] = 0;
			atomic { holder = NOBODY };
			atomic { wake_all() };
			goto leave
		:: else
		fi;
#endif
		listed[me] = 0;
#ifdef CLASSIC
		atomic { n = sleepers; sleepers = 0; holder = NOBODY };
		if :: atomic { n -> wake_one(n); n = 0 } :: else fi;
#else
		if
		:: atomic { !sleepers -> holder = NOBODY; goto leave }
		:: sleepers
		fi;
#ifdef TWO_STEPS
		atomic { holder = NOBODY };
		atomic { wake_one(n) };
		if :: n == 0 -> sleepers = 0 :: else fi;
#else
		/* It may look whether anybody is asleep; what it saw may be over by then. */
		if
		:: lonely ->
			clear_bit();
			if
			:: atomic { !sleepers -> holder = NOBODY; goto leave }
			:: sleepers
			fi
		:: true
		fi;
		/* The last thing that is written. */
		atomic { holder = NOBODY; wake_one(n) };
#endif
		n = 0;
#endif
leave:		atomic { pending[me] = 0; n = 0; told = 0; slept = 0 };
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

/* When nothing else can happen: everybody is through. */
proctype Monitor()
{
	timeout -> assert(over[0] && over[1]
#if TAKERS > 2
		&& over[2]
#endif
		)
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
