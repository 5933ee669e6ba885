/*
 * The barrier with more threads than parties: one that comes when the round is complete, and the
 * last of it at its action, waits for that round's end and comes again.
 *
 * Shown: when nothing can happen any more everybody has been through, as the threads are a multiple
 * of the parties: nobody sleeps on a round to which it was not counted.
 *
 *	-DPARTIES= -DTHREADS=
 * Wrong one, which must fail:
 *	-DNEXT_TURN  the late-comer asks anew which turn it is, after it has found the round complete
 */
#ifndef PARTIES
#define PARTIES 2
#endif
#ifndef THREADS
#define THREADS 4
#endif

byte turn, came, through;

proctype Thread()
{
	byte t;

again:	if
	:: atomic { came < PARTIES ->
		came++;
		t = turn;
		if :: came == PARTIES -> goto last :: else -> goto sleep fi }
	:: atomic { came == PARTIES -> t = turn }
	fi;
#ifdef NEXT_TURN
	t = turn;
#endif
end_late:
	turn != t;
	goto again;
last:	atomic { turn++; came = 0 };
	goto done;
end_sleep:
sleep:	turn != t;
done:	through++
}

proctype Monitor()
{
	timeout -> assert(through == THREADS)
}

init {
	byte n;

	atomic {
		do
		:: n < THREADS -> run Thread(); n++
		:: else -> break
		od;
		run Monitor()
	}
}
