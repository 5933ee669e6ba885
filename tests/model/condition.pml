/*
 * The condition: notifications kept as grants, with deaths before any statement.
 *
 * WAITERS wait once each, holding the lock before and after; a notifier takes the lock and notifies
 * one, NOTES times. The lock itself is one step (lock.pml shows it): at a holder's death it is free and
 * suspect, and who waits for it looks again. A sleeper watches seq and the bell, which
 * list_op_pending names; while a waiter is in line for the lock, pending names the lock, so its death
 * wakes nobody here. Who comes when nobody waits moves `all` up to its own number. The slice (5 ms of
 * one who naps) may end a nap at any time. ENDS waits end by an interrupt or a deadline, with a wake
 * that came beside it or without.
 *
 * Shown: when nothing can happen any more, nobody is asleep who was let go by a change of seq;
 * without deaths as many return as were notified.
 *
 *	-DWAITERS= -DNOTES= -DKILLS= -DENDS=
 *	-DALL         it notifies all instead
 * Wrong ones, which must fail:
 *	-DNO_PENDING  list_op_pending does not name the bell
 *	-DNO_RING     who goes in line for the lock with a grant rings for nobody
 *	-DNO_PASS     who is awake and not let go wakes nobody (with three waiters)
 *	-DLEAVE_GRANT one whose wait has ended leaves a grant that lets it go
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef NOTES
#define NOTES 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef ENDS
#define ENDS 0
#endif
#define NOTIFIER WAITERS
#define MEMBERS (WAITERS + 1)
#define NOBODY 15

byte holder = NOBODY;
bit died;
byte seq, tickets, all, some, grants, waiting;
bit hint;
bit asleep[MEMBERS], napping[MEMBERS], woken[MEMBERS], pending[MEMBERS];
bit doomed[MEMBERS], over[MEMBERS], in[MEMBERS];
byte ticket[MEMBERS];
byte kills, ends, notified, returned;
bit torn; /* a notifier is between its stores: dead there, it has notified nobody */

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

inline wake_all()
{
	wake_each(0);
	wake_each(1);
#if WAITERS > 2
	wake_each(2)
#endif
}

inline die(me)
{
	atomic {
		asleep[me] = 0;
		woken[me] = 0;
		napping[me] = 0;
		if :: holder == me -> holder = NOBODY; died = 1 :: else fi
	};
	atomic {
		if :: pending[me] -> wake_one() :: else fi;
		pending[me] = 0;
		over[me] = 1
	}
}

#ifdef NO_PENDING
#define names_bell(m) skip
#else
#define names_bell(m) pending[m] = 1
#endif

#define by_all(m) (in[m] && ticket[m] < all)
#define by_grant(m) (in[m] && grants > 0 && ticket[m] < some)
#define may_go(m) (by_all(m) || by_grant(m))

#ifdef LEAVE_GRANT
#define takes_grant(m) (by_grant(m) && !by_all(m) && !ended)
#define returns(m) (may_go(m) && !ended)
#else
#define takes_grant(m) (by_grant(m) && !by_all(m))
#define returns(m) may_go(m)
#endif

/* Who finds the lock suspect notifies all in the dead one's stead: the header asks for it. */
inline repair()
{
	if
	:: died -> died = 0; all = tickets; grants = 0; waiting = 0; seq++; torn = 0; wake_all()
	:: else
	fi
}

proctype Waiter(byte me)
{
	byte s = 0, seen = 0, passed = 0;
	bit rest = 0, ended = 0;

	{
		atomic { holder == NOBODY -> holder = me; repair() };
		atomic { if :: waiting == 0 -> grants = 0; all = tickets :: else fi };
		atomic { ticket[me] = tickets; tickets++; waiting++; in[me] = 1; s = seq; names_bell(me) };
		atomic { holder = NOBODY };
look:		atomic {
			seen = seq;
			if
			:: by_all(me) -> goto line
			:: by_grant(me) && !by_all(me) && (!hint || rest) -> goto line
			:: by_grant(me) && !by_all(me) && hint && !rest -> napping[me] = 1
			:: !may_go(me) && holder == NOBODY && died -> goto line
			:: else
			fi
		};
#ifndef NO_PASS
		atomic {
			if
			:: !napping[me] && grants > 0 && passed != seen + 1 -> passed = seen + 1; wake_one()
			:: else
			fi
		};
#endif
		if
		:: atomic { seq == seen -> asleep[me] = 1 }
		:: atomic { seq != seen -> napping[me] = 0; goto look }
		fi;
end_asleep:	if
		:: atomic { woken[me] -> woken[me] = 0; napping[me] = 0 }
		:: atomic { napping[me] && !woken[me] -> asleep[me] = 0; napping[me] = 0; rest = 1 }
		:: atomic { ends < ENDS ->
			ends++; ended = 1; asleep[me] = 0; woken[me] = 0; napping[me] = 0; goto line }
		fi;
		goto look;

line:		if
		:: atomic { holder == NOBODY -> goto got }
		:: atomic { holder != NOBODY }
		fi;
		atomic { if :: died -> wake_all() :: else fi };
		if
		:: by_grant(me) && !by_all(me) ->
			hint = 1;
#ifndef NO_RING
			atomic { if :: waiting > 1 -> wake_one() :: else fi }
#endif
		:: else
		fi;
		pending[me] = 0;
end_line:	atomic { holder == NOBODY -> skip };
got:		atomic {
			if
			:: holder == NOBODY -> holder = me
			:: else -> goto end_line
			fi;
			names_bell(me);
			hint = 0;
			rest = 0;
			if
			:: may_go(me) || died || ended ->
				if :: returns(me) -> returned++ :: else fi;
				if :: by_all(me) -> skip :: else -> waiting = (waiting > 0 -> waiting - 1 : 0) fi;
				if :: takes_grant(me) -> grants-- :: else fi;
				in[me] = 0
			:: else
			fi
		};
		atomic { if :: died && all > 0 -> wake_all() :: else fi };
		atomic { if :: grants > 0 -> wake_one() :: else fi };
		atomic {
			holder = NOBODY;
			if
			:: in[me] -> goto look
			:: else -> repair(); pending[me] = 0; over[me] = 1
			fi
		}
	} unless {
		doomed[me] -> die(me)
	}
}

proctype Notifier(byte me)
{
	byte notes = 0;

	{
		skip; /* a label may not stand first */
end_turn:	atomic { holder == NOBODY -> holder = me; repair() };
		if
		:: waiting == 0 -> goto done
		:: else
		fi;
		names_bell(me);
		torn = 1;
#ifdef ALL
		all = tickets;
		grants = 0;
		waiting = 0;
#else
		if
		:: atomic { grants + 1 >= waiting ->
			notified = notified + waiting - grants;
			all = tickets; grants = 0; waiting = 0 }
		:: atomic { grants + 1 < waiting -> some = tickets; grants++; notified++ }
		fi;
#endif
		atomic { seq++; torn = 0 };
#ifdef ALL
		atomic { wake_all() };
#else
		atomic { if :: grants > 0 -> wake_one() :: else -> wake_all() fi };
#endif
		pending[me] = 0;
		notes++;
done:		atomic { holder = NOBODY };
		if :: notes > 0 && notes < NOTES -> goto end_turn :: else -> over[me] = 1 fi
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

#define left(m) (!torn && !over[m] && asleep[m] && in[m] && (ticket[m] < all || (grants > 0 && ticket[m] < some)))

proctype Monitor()
{
	timeout ->
	atomic {
		assert(!left(0) && !left(1)
#if WAITERS > 2
			&& !left(2)
#endif
			);
#ifndef ALL
		assert(kills > 0 || returned == notified)
#endif
	}
}

init {
	byte m;

	atomic {
		do
		:: m < WAITERS -> run Waiter(m); m++
		:: else -> break
		od;
		m = 0;
		run Notifier(NOTIFIER);
		run Killer();
		run Monitor()
	}
}
