/*
 * Pins: readers of a container of one place, who pin what they find there, against one who takes it
 * out and whoever ends it, with deaths of readers before any statement.
 *
 * The container holds one object, which its maker has destroyed (KEPT). A writer takes it out: the
 * place, the version, then the hold. Readers pin it, look at the version again, use it, perhaps put
 * it into another container and take it out again (-DAGAIN), and drop the pin. Whoever lets go of a
 * hold or a pin notes that the object may be due, and sweeps; a dead reader's recovery drops its pin,
 * notes and sweeps.
 *
 * A reader's pin, and its clearing, stay in its store buffer as long as they like (pins are ordered
 * by the compiler alone); the sweeper's barrier empties all buffers. All else is sequentially
 * consistent.
 *
 * Shown: nobody uses an object that has ended; when nothing can happen any more it has ended, unless
 * it was never taken out.
 *
 *	-DREADERS= -DKILLS= -DAGAIN
 * Wrong ones, which must fail:
 *	-DNO_BARRIER   the sweeper looks at the pins without it
 *	-DBARRIER_LAST the barrier comes after the look
 *	-DONE_LOOK     the reader does not look again
 *	-DHOLD_FIRST   the hold goes before the version rises
 *	-DNO_NOTE      who drops a pin notes nothing
 *	-DCLEAR_LAST   the note is cleared after the look
 *	-DNO_LOCK      a hold may be taken between the sweeper's two looks (with AGAIN)
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define NOBODY 15
#define SWEEPERS (READERS + 2)

bit place = 1; /* the object is in the container */
byte version;
byte holds = 1;
bit ended, due;
bit pinned[READERS];            /* as others see it */
byte buffer[READERS];           /* 0 nothing, 1 a pin, 2 a clearing: not seen yet */
byte locked = NOBODY;           /* the hold lock */
bit doomed[READERS], dead[READERS], over[READERS];
byte kills;

inline drain(r)
{
	if
	:: buffer[r] == 1 -> pinned[r] = 1; buffer[r] = 0
	:: buffer[r] == 2 -> pinned[r] = 0; buffer[r] = 0
	:: else
	fi
}

inline barrier()
{
	d_step {
		drain(0);
#if READERS > 1
		drain(1)
#endif
	}
}

#if READERS > 1
#define any_pin (pinned[0] || pinned[1])
#else
#define any_pin (pinned[0])
#endif

inline sweep(who)
{
	if
	:: due ->
#ifndef CLEAR_LAST
		due = 0;
#endif
#ifndef NO_LOCK
		atomic { locked == NOBODY -> locked = who };
#endif
		if
		:: holds == 0 && !ended ->
#if !defined(NO_BARRIER) && !defined(BARRIER_LAST)
			barrier();
#endif
			if
			:: !any_pin ->
#ifdef BARRIER_LAST
				barrier();
#endif
				ended = 1
			:: else
			fi
		:: else
		fi;
#ifdef CLEAR_LAST
		due = 0;
#endif
#ifndef NO_LOCK
		locked = NOBODY
#endif
	:: else
	fi
}

/* One that the sweeper has ended is refused. */
inline take_hold(who, got)
{
	atomic { locked == NOBODY -> locked = who };
	got = !ended;
	if :: got -> holds++ :: else fi;
	locked = NOBODY
}

inline drop_hold(who)
{
	atomic { locked == NOBODY -> locked = who };
	holds--;
	locked = NOBODY;
	due = 1
}

proctype Writer()
{
#ifdef HOLD_FIRST
	drop_hold(READERS);
	sweep(READERS);
	place = 0;
	version++
#else
	place = 0;
	version++;
	drop_hold(READERS);
	sweep(READERS)
#endif
}

/* A death: the buffer is seen; then recovery. What it did with a hold is a matter of hold.pml. */
proctype Reader(byte me)
{
	byte seen;
	bit got;

	{
		seen = version;
		if
		:: !place -> goto out
		:: else
		fi;
		buffer[me] = 1;
#ifndef ONE_LOOK
		if
		:: version != seen -> goto unpin
		:: else
		fi;
#endif
		assert(!ended);
	} unless {
		doomed[me] -> goto died
	}
#ifdef AGAIN
	take_hold(me, got);
	assert(got);
#endif
	{
		assert(!ended);
unpin:		atomic { drain(me); buffer[me] = 2 };
#ifndef NO_NOTE
		if :: holds == 0 -> due = 1 :: else fi;
#endif
	} unless {
		doomed[me] -> goto died
	}
#ifdef AGAIN
	if :: got -> assert(!ended); drop_hold(me) :: else fi;
#endif
	sweep(me);
	goto out;
died:	atomic { drain(me); dead[me] = 1 };
	/* its recoverer */
#ifdef AGAIN
	if :: got -> assert(!ended); drop_hold(me) :: else fi;
#endif
	pinned[me] = 0;
	due = 1;
	sweep(me);
out:	over[me] = 1
}

/* Buffers are drained some time. */
proctype Memory()
{
end:	do
	:: atomic { buffer[0] -> drain(0) }
#if READERS > 1
	:: atomic { buffer[1] -> drain(1) }
#endif
	od
}

proctype Killer()
{
	byte m;

	do
	:: kills < KILLS ->
		atomic {
			select(m: 0 .. (READERS - 1));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

/* The next one who makes an object sweeps what was noted. */
proctype Monitor()
{
	timeout ->
	sweep(READERS + 1);
	assert(ended)
}

init {
	byte m;

	atomic {
		do
		:: m < READERS -> run Reader(m); m++
		:: else -> break
		od;
		m = 0;
		run Writer();
		run Memory();
		run Killer();
		run Monitor()
	}
}
