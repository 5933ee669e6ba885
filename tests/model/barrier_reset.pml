/*
 * The barrier's ends: resets beside parties that come, run out of time, are late to look how their
 * round ended, and leave; resetters that die. History is HISTORY turns long.
 *
 * Shown: who returns well does so from a round that ended well, and who is told that it was broken
 * while the history still tells, from one that was. When nothing runs any more and the barrier is
 * not broken, those are known (AWAY) who came since the last reset, and nobody else; but where a
 * reset died beside another one, it may have forgotten one who came after that.
 *
 *	-DPARTIES= -DCALLS= (of each party) -DRESETS= -DKILLS= (of resetters) -DHISTORY=
 * Wrong ones, which must fail:
 *	-DNO_LOOK      who leaves does not look whether its round was undone
 *	-DLOOK_FIRST   it looks before its place says AWAY
 *	-DKEEP_LATE    a bad end leaves the history before `well` names the turn after it
 *	-DANY_STATE    a reset ends the broken turn that it finds, not the one it saw before it forgot
 */
#ifndef PARTIES
#define PARTIES 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef RESETS
#define RESETS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef HISTORY
#define HISTORY 1
#endif

#define TURNS 24
#define OLDEST (1 << (HISTORY - 1))
#define BITS ((1 << HISTORY) - 1)

mtype = { FREE, IN, AWAY };

/* One word: each change of these is one CAS. */
byte turn, came, history;
bit broken;

byte well;
mtype place[PARTIES] = FREE;
byte running;

/* What was, for the claims alone. */
bit ended_good[TURNS], ever[PARTIES], a_reset_died;
byte last_reset, round[PARTIES];

/* From exactly the state that was seen: the turn, and whether it is broken, and all came. */
inline end_from(t, was_broken, all, good, now_broken)
{
#ifndef KEEP_LATE
	keep_bad(t);
#endif
	atomic {
		did = 0;
		if
		:: turn == t && broken == was_broken && (!all || came == PARTIES) ->
			ended_good[turn] = good;
			if :: was_broken && !now_broken -> last_reset = turn + 1 :: else fi;
			leaves = history & OLDEST;
			history = ((history << 1) | !good) & BITS;
			turn++;
			came = 0;
			broken = now_broken;
			did = 1
		:: else
		fi
	};
#ifdef KEEP_LATE
	if :: leaves -> well = t - HISTORY + 1 :: else fi
#endif
}

inline keep_bad(t)
{
	atomic { leaves = turn == t && (history & OLDEST) };
	if
	:: leaves ->
		seen_well = well;
		atomic { leaves = turn == t && t - seen_well >= HISTORY };
		if
		:: leaves -> atomic { if :: well == seen_well -> well = t - HISTORY + 1 :: else fi }
		:: else
		fi
	:: else
	fi;
	leaves = 0
}

/* What nobody reads any more makes no states. */
inline forget_looks()
{
	seen_turn = 0;
	seen_well = 0;
	seen_history = 0;
	seen_broken = 0;
	since = 0;
	did = 0;
	leaves = 0
}

/* The turn, history and BROKEN that stood around a look at `well`. */
inline look_back()
{
	seen_turn = turn;
	do
	:: true ->
		seen_well = well;
		atomic {
			if
			:: seen_turn == turn ->
				seen_history = history;
				seen_broken = broken;
				break
			:: else -> seen_turn = turn
			fi
		}
	od
}

inline look_undone()
{
	look_back();
	atomic { since = seen_turn - t;
	if
	:: seen_broken -> undone = 1
	:: !seen_broken && since <= HISTORY -> undone = (seen_history & ((1 << since) - 1)) != 0
	:: else -> undone = seen_history != 0 || since > seen_turn - seen_well
	fi;
#ifdef NO_LOOK
	undone = 0;
#endif
	forget_looks() }
}

proctype Party(byte me)
{
	byte calls, t, seen_turn, seen_well, seen_history, since;
	bit did, leaves, seen_broken, known, has_come, undone, well_told;

	do
	:: calls == CALLS -> break
	:: else ->
		calls++;
		has_come = 0;
		t = turn;
		/* Its own place: taken again as it is by then. */
		atomic { known = place[me] == AWAY; place[me] = IN };
		if
		:: atomic { broken -> goto leave }
		:: atomic { !broken && came == PARTIES -> goto leave }
		:: atomic { !broken && came < PARTIES ->
			came++;
			has_come = 1;
			t = turn;
			round[me] = t;
			ever[me] = 1;
			if :: came == PARTIES -> goto last :: else fi }
		fi;
		/* Sleeps, or runs out of time and breaks the round. */
		if
		:: turn != t
		:: end_from(t, 0, 0, 0, 1)
		fi;
		look_back();
		since = seen_turn - t - 1;
		atomic { if
		:: since < HISTORY -> well_told = !(seen_history >> since & 1);
			assert(well_told == ended_good[t])
		:: else -> well_told = since < seen_turn - seen_well;
			assert(!well_told || ended_good[t])
		fi;
		well_told = 0;
		forget_looks() };
		goto leave;
last:		end_from(t, 0, 1, 1, 0);
leave:
#ifdef LOOK_FIRST
		look_undone();
#endif
		if
		:: known || has_come -> place[me] = AWAY
		:: else -> place[me] = FREE; goto over
		fi;
#ifndef LOOK_FIRST
		look_undone();
#endif
		if
		:: undone -> atomic { if :: place[me] == AWAY -> place[me] = FREE :: else fi }
		:: else
		fi;
over:		atomic { t = 0; known = 0; undone = 0; forget_looks() }
	od;
	running--
}

proctype Resetter(byte dies)
{
	byte t, n, seen_well;
	bit did, leaves, away;

again:	if
	:: atomic { broken -> t = turn }
	:: atomic { !broken -> t = turn };
		end_from(t, 0, 0, 0, 1);
		goto again
	fi;
	n = 0;
	do
	:: n < PARTIES ->
		atomic { away = place[n] == AWAY; if :: !away -> goto next :: else fi };
		atomic { if :: place[n] == AWAY -> place[n] = FREE :: else fi; away = 0 };
next:		atomic { n++; if :: dies -> a_reset_died = 1; goto dead :: true fi }
	:: else -> break
	od;
	n = 0;
#ifdef ANY_STATE
	atomic { t = turn; if :: !broken -> goto dead :: else fi };
#endif
	end_from(t, 1, 0, 0, 0);
	if :: !did -> goto again :: else fi;
dead:	atomic { t = 0; n = 0; did = 0; leaves = 0; seen_well = 0; running-- }
}

proctype Monitor()
{
	byte n;

	running == 0;
	atomic {
		do
		:: n < PARTIES ->
			assert(broken || place[n] != AWAY || (ever[n] && round[n] >= last_reset));
			assert(broken || a_reset_died || place[n] == AWAY ||
				!ever[n] || round[n] < last_reset);
			n++
		:: else -> break
		od
	}
}

init {
	byte n;

	atomic {
		running = PARTIES + RESETS;
		do
		:: n < PARTIES -> run Party(n); n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < RESETS -> run Resetter(n < KILLS); n++
		:: else -> break
		od;
		run Monitor()
	}
}
