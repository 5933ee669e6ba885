/*
 * The barrier: a state that counts, and places that the kernel marks, with deaths before any
 * statement of a call.
 *
 * As many parties as come, one round. A sleeper watches the turn and all places; a death in a call
 * marks the dead one's place and wakes one who watches it (list_op_pending). The 5 ms in which
 * sleepers look again are left out: nothing here needs them.
 *
 * Shown: when nothing can happen any more, nobody is asleep after a death or a complete round; who
 * returns well does so from a round to which all came.
 *
 *	-DPARTIES= -DKILLS=
 * Wrong ones, which must fail:
 *	-DTURN_ALONE  the places are not watched
 *	-DNO_LOOK     who comes, or is about to sleep, does not look at the marks
 *	-DNO_CHAIN    who finds the round over and somebody dead wakes nobody
 */
#ifndef PARTIES
#define PARTIES 3
#endif
#ifndef KILLS
#define KILLS 1
#endif

byte turn, came, all_came;
bit broken;
bit marked[PARTIES], placed[PARTIES], asleep[PARTIES], woken[PARTIES], doomed[PARTIES], over[PARTIES];
byte kills;

inline wake_each(i)
{
	woken[i] = woken[i] | asleep[i];
	asleep[i] = 0
}

inline wake_all()
{
	wake_each(0);
	wake_each(1);
#if PARTIES > 2
	wake_each(2)
#endif
}

/* Whoever sleeps watches the dead one's place. */
inline wake_watcher()
{
#ifdef TURN_ALONE
	skip
#else
	if
	:: asleep[0] -> asleep[0] = 0; woken[0] = 1
	:: asleep[1] -> asleep[1] = 0; woken[1] = 1
#if PARTIES > 2
	:: asleep[2] -> asleep[2] = 0; woken[2] = 1
#endif
	:: else
	fi
#endif
}

inline die(me)
{
	atomic { asleep[me] = 0; woken[me] = 0 };
	atomic {
		if :: placed[me] -> marked[me] = 1; wake_watcher() :: else fi;
		over[me] = 1
	}
}

#if PARTIES > 2
#define any_marked (marked[0] || marked[1] || marked[2])
#else
#define any_marked (marked[0] || marked[1])
#endif
#ifdef NO_LOOK
#define mark_seen false
#else
#define mark_seen any_marked
#endif

inline break_it(t)
{
	atomic { if :: turn == t && !broken -> turn++; came = 0; broken = 1 :: else fi };
	atomic { wake_all() }
}

proctype Party(byte me)
{
	byte t = 0;
	bit dead_seen = 0;

	{
		atomic { placed[me] = 1; t = turn };
		if
		:: atomic { broken || mark_seen -> t = turn }; goto breaks
		:: atomic { !broken && !mark_seen ->
			came++;
			t = turn;
			if :: came == PARTIES -> all_came = 1; goto last :: else fi }
		fi;
look:		if
		:: atomic { turn != t -> goto after }
		:: atomic { turn == t && mark_seen -> goto breaks }
		:: atomic { turn == t && !mark_seen -> dead_seen = any_marked }
		fi;
		/* What futex_waitv compares: the turn, and the places as they were seen. */
		if
#ifdef TURN_ALONE
		:: atomic { turn == t -> asleep[me] = 1 }
		:: atomic { turn != t -> goto look }
#else
		:: atomic { turn == t && any_marked == dead_seen -> asleep[me] = 1 }
		:: atomic { !(turn == t && any_marked == dead_seen) -> goto look }
#endif
		fi;
end_asleep:	atomic { woken[me] -> woken[me] = 0 };
		goto look;
after:
#ifndef NO_CHAIN
		atomic { if :: any_marked -> wake_all() :: else fi };
#endif
		atomic { assert(broken || all_came); goto done };
breaks:		break_it(t);
		goto done;
last:		atomic { if :: turn == t -> turn++; came = 0 :: else fi };
		atomic { wake_all() };
done:		atomic { placed[me] = 0; over[me] = 1 }
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
			select(m: 0 .. (PARTIES - 1));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

/* One that died before it had a place never came, and is not known: the others wait for it. */
proctype Monitor()
{
	timeout -> assert(!(any_marked || turn > 0) || (over[0] && over[1]
#if PARTIES > 2
		&& over[2]
#endif
		))
}

init {
	byte m;

	atomic {
		do
		:: m < PARTIES -> run Party(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
