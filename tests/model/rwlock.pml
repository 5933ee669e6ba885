/*
 * The rwlock: a writers' lock and a place for each reader, with deaths before any statement.
 *
 * READERS and WRITERS go in ROUNDS times each. The lock itself is one step (lock.pml shows it), free
 * and suspect after its holder's death. A writer that waits for a place watches the gate and the place,
 * and may find after any sleep, by asking, that a reader is dead (the slice of 5 ms): that step is
 * always open to it while the place's owner is dead.
 *
 * Shown: a writer is alone; when nothing can happen any more, everybody is through, also without the
 * slice where nobody died.
 *
 *	-DREADERS= -DWRITERS= -DROUNDS= -DKILLS=
 * Wrong ones, which must fail:
 *	-DLOOK_FIRST  a reader looks at the lock before it takes its place
 *	-DNO_ASKING   nobody asks whether a reader is dead
 *	-DGATE_ALONE  the writer watches the gate, and not the place
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define MEMBERS (READERS + WRITERS)
#define NOBODY 15

byte holder = NOBODY;
bit place[READERS];
bit armed, asleep, woken; /* only the lock's holder sleeps at the gate */
bit pending[MEMBERS], doomed[MEMBERS], over[MEMBERS], dead[MEMBERS];
byte reading, writing, kills;
bit reads[MEMBERS], writes[MEMBERS];

inline wake()
{
	if :: asleep -> asleep = 0; woken = 1 :: else fi
}

inline die(me)
{
	atomic {
		if :: holder == me -> holder = NOBODY; asleep = 0; woken = 0 :: else fi;
		if :: reads[me] -> reads[me] = 0; reading-- :: else fi;
		if :: writes[me] -> writes[me] = 0; writing-- :: else fi;
		dead[me] = 1
	};
	atomic {
		if :: pending[me] -> wake() :: else fi;
		pending[me] = 0;
		over[me] = 1
	}
}

inline leave_place(me)
{
	pending[me] = 1;
	place[me] = 0;
	if
	:: armed -> atomic { if :: asleep -> wake() :: else -> armed = 0 fi }
	:: else
	fi;
	pending[me] = 0
}

proctype Reader(byte me)
{
	byte rounds = 0;

	{
		skip; /* a label may not stand first */
call:		rounds++;
#ifdef LOOK_FIRST
		if
		:: atomic { holder == NOBODY }; place[me] = 1; goto in
		:: atomic { holder != NOBODY }
		fi;
#else
		place[me] = 1;
		if
		:: atomic { holder == NOBODY -> goto in }
		:: atomic { holder != NOBODY }
		fi;
		leave_place(me);
#endif
end_line:	atomic { holder == NOBODY -> holder = me };
		place[me] = 1;
		holder = NOBODY;
in:		atomic { reads[me] = 1; reading++; assert(writing == 0) };
		atomic { reads[me] = 0; reading-- };
		leave_place(me);
		if :: rounds < ROUNDS -> goto call :: else -> over[me] = 1 fi
	} unless {
		doomed[me] -> die(me)
	}
}

proctype Writer(byte me)
{
	byte rounds = 0, i = 0;

	{
		skip; /* a label may not stand first */
call:		rounds++;
end_line:	atomic { holder == NOBODY -> holder = me };
		i = 0;
drain:		if
		:: i == READERS -> goto in
		:: else
		fi;
		if
		:: atomic { !place[i] -> i++ }; goto drain
		:: atomic { place[i] }
		fi;
		armed = 1;
		if
		:: atomic { !place[i] -> goto drain }
		:: atomic { place[i] }
		fi;
		if
#ifdef GATE_ALONE
		:: atomic { armed -> asleep = 1 }
		:: atomic { !armed -> goto drain }
#else
		:: atomic { armed && place[i] -> asleep = 1 }
		:: atomic { !(armed && place[i]) -> goto drain }
#endif
		fi;
end_asleep:	if
		:: atomic { woken -> woken = 0 }
#ifndef NO_ASKING
		:: atomic { asleep && dead[i] && place[i] -> asleep = 0; place[i] = 0 }
#endif
		fi;
		goto drain;
in:		atomic { writes[me] = 1; writing++; assert(writing == 1 && reading == 0) };
		atomic { writes[me] = 0; writing-- };
		holder = NOBODY;
		if :: rounds < ROUNDS -> goto call :: else -> over[me] = 1 fi
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
	byte m;

	timeout ->
	atomic {
		m = 0;
		do
		:: m < MEMBERS -> assert(over[m]); m++
		:: else -> break
		od
	}
}

init {
	byte m;

	atomic {
		do
		:: m < READERS -> run Reader(m); m++
		:: m >= READERS && m < MEMBERS -> run Writer(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
