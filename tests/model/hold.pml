/*
 * References counted: an object's holds and the progress of the block that refers to it, changed
 * together under a robust lock by absolute values written down before, with deaths before any
 * statement.
 *
 * MEMBERS count the REFS references of a block each, drop them and free the block. A dead one's
 * block is dropped and freed by a recoverer, who may die at it and is followed by the next.
 *
 * Shown: while the lock is free and nothing is open, the holds are the sum of the progresses; no
 * freed block is written to; at last all is dropped and freed. Memory is sequentially consistent.
 *
 *	-DMEMBERS= -DREFS= -DKILLS=
 * Wrong ones, which must fail:
 *	-DNO_INTENT   two stores, and nothing written down
 *	-DRELATIVE    what is open is done again by adding
 *	-DOPEN_FIRST  open is set before the values are written
 *	-DNO_SETTLE   the recoverer frees by the progress that it reads first
 */
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef REFS
#define REFS 2
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define ALL (MEMBERS + KILLS + 1)
#define NOBODY 15

byte holds, progress[MEMBERS];
bit freed[MEMBERS];

byte owner = NOBODY;
bit died; /* the last owner of the lock died with it */
bit open;
byte for_block, to_progress, to_holds;
bool up; /* the direction, for RELATIVE */

bit doomed[ALL], dead[ALL], over[ALL];
byte kills;

inline write_progress(at, n_)
{
	assert(!freed[at]);
	progress[at] = n_
}

inline carry_out()
{
#ifdef RELATIVE
	if :: up -> holds++ :: else -> holds-- fi;
#else
	holds = to_holds;
#endif
	write_progress(for_block, to_progress)
}

inline take(who)
{
	atomic { owner == NOBODY -> owner = who };
	if
	:: died ->
		if :: open -> carry_out() :: else fi;
		open = 0;
		died = 0
	:: else
	fi
}

#define sum (progress[0] + progress[1])
#define release() d_step { assert(!open && holds == sum); owner = NOBODY }

/* One more or less, if the progress is `was`; otherwise nothing. */
inline change(by, b, was, is)
{
	take(by);
	if
	:: progress[b] != was
	:: else ->
#ifdef NO_INTENT
		holds = holds + is - was;
		write_progress(b, is)
#else
#ifdef OPEN_FIRST
		open = 1;
#endif
		for_block = b;
		to_progress = is;
		to_holds = holds + is - was;
		up = (is > was);
		open = 1;
		carry_out();
		open = 0
#endif
	fi;
	release()
}

inline die(one)
{
	atomic {
		if :: owner == one -> owner = NOBODY; died = 1 :: else fi;
		dead[one] = 1;
		over[one] = 1
	}
}

proctype Member(byte me)
{
	byte n = 0;

	{
		do
		:: n < REFS -> change(me, me, n, n + 1); n++
		:: else -> break
		od;
		do
		:: n > 0 -> change(me, me, n, n - 1); n--
		:: else -> break
		od;
		atomic { freed[me] = 1; over[me] = 1 }
	} unless {
		doomed[me] -> die(me)
	}
}

/* Recoverers come one after the other: the next when the one before has died. */
proctype Recoverer(byte me)
{
	byte m = 0, n = 0;

end_unneeded:
	(me == MEMBERS || dead[me - 1]);
	{
		do
		:: m < MEMBERS ->
			(over[m]);
			if
			:: dead[m] && !freed[m] ->
#ifndef NO_SETTLE
				take(me);
				release();
#endif
				do
				:: n = progress[m];
					if
					:: n > 0 -> change(me, m, n, n - 1)
					:: else -> break
					fi
				od;
				freed[m] = 1
			:: else
			fi;
			m++
		:: else -> break
		od;
		over[me] = 1
	} unless {
		doomed[me] -> die(me)
	}
}

/* The last recoverer lives. */
proctype Killer()
{
	byte m;

	do
	:: kills < KILLS ->
		atomic {
			select(m: 0 .. (ALL - 2));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

proctype Monitor()
{
	timeout -> assert(holds == 0 && freed[0] && freed[1] && !open)
}

init {
	byte m;

	atomic {
		do
		:: m < MEMBERS -> run Member(m); m++
		:: m >= MEMBERS && m < ALL -> run Recoverer(m); m++
		:: else -> break
		od;
		m = 0;
		run Killer();
		run Monitor()
	}
}
