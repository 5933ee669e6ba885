/*
 * What a setter wrote before it set an event that is set, on a machine that stores late, as x86:
 * its store waits in its own buffer until it gets out, or a locked step of its own takes it out.
 *
 * The taker clears, looks for what was written, and waits where there is nothing yet.
 *
 * Shown: it finds what was written, or the event set: it never sleeps beside what is there.
 *
 * Wrong one, which must fail:
 *	-DLOADS_ALONE  a set of what is set is a load, and no locked step
 */
byte turns = 1; /* odd: set */
bit written, buffered, found;

#define is_set (turns % 2 == 1)

/* A locked step. */
#define locked written = written | buffered; buffered = 0

proctype Setter()
{
	buffered = 1;
	if
#ifdef LOADS_ALONE
	:: atomic { is_set -> skip }
#else
	:: atomic { is_set -> locked }
#endif
	:: atomic { !is_set -> locked; turns++ }
	fi
}

proctype Buffer()
{
end:	atomic { buffered -> locked }
}

proctype Taker()
{
	atomic { is_set -> turns++ };
	if
	:: written -> found = 1
	:: !written -> is_set; found = 1
	fi
}

proctype Monitor()
{
	timeout -> assert(found)
}

init {
	atomic {
		run Setter();
		run Buffer();
		run Taker();
		run Monitor()
	}
}
