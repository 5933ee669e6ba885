/*
 * The ledger: one change of a container committed by one store, with deaths before any statement,
 * also of those who repair.
 *
 * A container with two parts, each a word that leads to one block (`slot`), a version that readers
 * compare, and a ledger (lib/data/ledger.h). Each writer changes its part ROUNDS times: it takes a
 * block, fills it, brings it in, retires the old one, commits, raises the version and frees the old
 * one; or (EMPTYING) takes the old one out and puts nothing in its place. The first WRITERS - 1 write
 * to part 0, the last one to part 1. Freed blocks go to whoever takes one next, in either part. The
 * rescuer, who lives, recovers the dead in the order of arena/recover.c: their ledgers, if nobody
 * has these, then the block in their hands. A magazine is left out: a block is taken in one step,
 * by the hand that names it.
 *
 * Shown: no block is freed that a part leads to; none is in both parts; what a reader copied
 * and found under one version is whole and of its part; and when nothing can happen any more, every
 * block is free or in a part. Memory is sequentially consistent.
 *
 *	-DWRITERS= -DROUNDS= -DBLOCKS= -DREADS= -DKILLS=; -DROUNDS_0= for those who write to part 0
 *	-DEMPTYING    a writer may also leave its part empty
 * Wrong ones, which must fail:
 *	-DFREE_FIRST  the old block is freed before the version is raised
 *	-DNO_CHAIN    what comes in is put on no chain
 *	-DNO_TAKING   it is, but not named before its word changes
 *	-DNO_OP       a repair believes that nothing was under way
 *	-DOP_ALONE    a repair believes that the change has happened when `op` says that it is being
 *	              committed, without a look at the word
 *	-DNO_INDEX    the words of blocks on chains do not say whose chain it is
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef ROUNDS_0
#define ROUNDS_0 ROUNDS
#endif
#ifndef BLOCKS
#define BLOCKS 4
#endif
#ifndef READS
#define READS 1
#endif
#ifndef KILLS
#define KILLS 2
#endif

/* The word of a block. */
#define FREE 0
#define HELD(m) (1 + (m))
#ifdef NO_INDEX
#define PART(link, part, stale) (64 + (link) * 8 + (stale))
#else
#define PART(link, part, stale) (64 + (link) * 8 + (part) * 2 + (stale))
#endif
#define link_of(w) (((w) - 64) / 8)
#define is_chained(w, part, stale) ((w) >= 64 && (w) == PART(link_of(w), part, stale))

#define IDLE 0
#define OPEN 1
#define COMMITTING 2
#define NOBODY 15

byte word[BLOCKS + 1]; /* block 0 is none */
byte first[BLOCKS + 1], second[BLOCKS + 1]; /* the two halves of what is in it */

byte slot[2], version[2];

byte holder[2] = NOBODY;
bit died[2];
byte op[2], commit_to[2], then_to[2], fresh[2], taking[2], stale[2], next[2];

byte hand[WRITERS];
bit doomed[WRITERS], dead[WRITERS], over[WRITERS];
byte kills;

/* What is written: another number each time, odd or even as the part is. */
#define is_of(value, part) ((value) % 2 == (part))

#define in_service(b) (slot[0] == (b) || slot[1] == (b))

inline die(me)
{
	atomic { if :: holder[0] == me -> holder[0] = NOBODY; died[0] = 1 :: else fi };
	atomic { if :: holder[1] == me -> holder[1] = NOBODY; died[1] = 1 :: else fi };
	atomic { dead[me] = 1 }
}

#ifdef OP_ALONE
#define committed(p) (op[p] == COMMITTING)
#else
#define committed(p) (op[p] == COMMITTING && slot[p] == commit_to[p])
#endif

/* One CAS from the exact word. */
inline reclaim(b, seen)
{
	atomic {
		if
		:: word[b] == seen -> assert(!in_service(b)); word[b] = FREE
		:: else
		fi
	}
}

#define free_chain(p, head, mark) \
	do \
	:: atomic { head[p] != 0 -> b = head[p]; w = word[b] }; \
		if \
		:: atomic { is_chained(w, p, mark) -> next[p] = link_of(w) }; reclaim(b, w) \
		:: atomic { !is_chained(w, p, mark) } \
		fi; \
		atomic { head[p] = next[p]; b = 0; w = 0 } \
	:: atomic { head[p] == 0 -> break } \
	od

/* Three stores and then one: a death between the three leaves nothing new. */
inline close(p)
{
	atomic { taking[p] = 0 };
	atomic { fresh[p] = 0; stale[p] = 0; next[p] = 0 };
	atomic { commit_to[p] = 0; then_to[p] = 0; op[p] = IDLE }
}

inline repair(p)
{
#ifndef NO_OP
	if
	:: atomic { op[p] == IDLE };
	:: atomic { op[p] != IDLE && committed(p) };
		version[p] = then_to[p];
		free_chain(p, stale, 1);
		close(p)
	:: atomic { op[p] != IDLE && !committed(p) };
		if
		:: atomic { taking[p] != 0 && taking[p] != fresh[p] &&
			word[taking[p]] == PART(fresh[p], p, 0) -> fresh[p] = taking[p] }
		:: atomic { else }
		fi;
		taking[p] = 0;
		free_chain(p, fresh, 0);
		close(p)
	fi;
#else
	close(p);
#endif
	died[p] = 0
}

inline free_stale(p)
{
	do
	:: atomic { stale[p] != 0 -> b = stale[p]; w = word[b] };
		next[p] = link_of(w);
		hand[me] = b;
		atomic { assert(!in_service(b)); word[b] = HELD(me) };
		stale[p] = link_of(w);
		atomic { assert(!in_service(b)); word[b] = FREE };
		atomic { hand[me] = 0; b = 0; w = 0 }
	:: atomic { stale[p] == 0 -> break }
	od
}

inline take_any(m)
{
	if
	:: word[1] == FREE -> b = 1
	:: word[2] == FREE -> b = 2
	:: word[3] == FREE -> b = 3
	:: word[4] == FREE -> b = 4
#if BLOCKS > 4
	:: word[5] == FREE -> b = 5
#endif
	fi;
	word[b] = HELD(m);
	hand[m] = b
}

#define limit(p) (p -> ROUNDS : ROUNDS_0)

proctype Writer(byte me, p)
{
	byte b = 0, w = 0, new = 0, rounds = 0;

	{
		skip; /* a label may not stand first */
call:
		if
		:: atomic { take_any(me); new = b; b = 0 };
			first[new] = 2 * (2 + me * ROUNDS + rounds) + p;
			atomic { second[new] = first[new] }
#ifdef EMPTYING
		:: new = 0
#endif
		fi;
		atomic { holder[p] == NOBODY -> holder[p] = me };
		if :: died[p] -> repair(p) :: else fi;

		op[p] = OPEN;
		if
		:: new != 0 ->
#if !defined(NO_CHAIN) && !defined(NO_TAKING)
			taking[p] = new;
#endif
			word[new] = PART(fresh[p], p, 0);
#ifndef NO_CHAIN
			fresh[p] = new;
#endif
			hand[me] = 0
		:: else
		fi;
		if
		:: slot[p] != 0 -> word[slot[p]] = PART(stale[p], p, 1); stale[p] = slot[p]
		:: else
		fi;
		atomic { then_to[p] = version[p] + 1; commit_to[p] = new };
		op[p] = COMMITTING;
		atomic { slot[p] = new; assert(new == 0 || slot[0] != slot[1]) };
#ifndef FREE_FIRST
		version[p] = then_to[p];
		free_stale(p);
#else
		free_stale(p);
		version[p] = then_to[p];
#endif
		close(p);
		atomic { holder[p] = NOBODY; new = 0; rounds++ };
		if
		:: atomic { rounds < limit(p) -> goto call }
		:: atomic { rounds == limit(p) -> rounds = 0; over[me] = 1 }
		fi
	} unless {
		doomed[me] -> die(me)
	}
}

#define to_save(m) (dead[m] && !(saved & (1 << (m))))

/* What arena/recover.c does, by one who lives. */
proctype Rescuer()
{
	byte m = 0, b = 0, w = 0, p = 0, saved = 0;

end:	do
	:: atomic {
			if
			:: to_save(0) -> m = 0
			:: to_save(1) -> m = 1
#if WRITERS > 2
			:: to_save(2) -> m = 2
#endif
			fi;
			p = (m == WRITERS - 1)
		};
		/* The ledger of its call, if nobody has it. */
		if
		:: atomic { holder[p] == NOBODY && died[p] -> holder[p] = WRITERS };
			repair(p);
			holder[p] = NOBODY
		:: atomic { !(holder[p] == NOBODY && died[p]) }
		fi;
		/* Then the hand. */
		if
		:: atomic { hand[m] != 0 && word[hand[m]] == HELD(m) ->
			assert(!in_service(hand[m])); word[hand[m]] = FREE }
		:: atomic { !(hand[m] != 0 && word[hand[m]] == HELD(m)) }
		fi;
		atomic { hand[m] = 0; saved = saved | (1 << m); m = 0; p = 0 }
	od
}

proctype Reader(byte p)
{
	byte v = 0, b = 0, one = 0, two = 0, reads = 0;

	do
	:: reads < READS ->
		v = version[p];
		b = slot[p];
		one = first[b];
		two = second[b];
		atomic {
			assert(b == 0 || version[p] != v || (one == two && is_of(one, p) && one != 0));
			reads++;
			v = 0; b = 0; one = 0; two = 0
		}
	:: else -> break
	od
}

proctype Killer()
{
	byte m;

	do
	:: kills < KILLS ->
		atomic {
			select(m: 0 .. (WRITERS - 1));
			if :: !over[m] && !doomed[m] -> doomed[m] = 1; kills++ :: else fi;
			m = 0
		}
	:: break
	od
}

#define accounted(b) (word[b] == FREE || (word[b] >= 64 && in_service(b)))

proctype Monitor()
{
	timeout ->
	atomic {
		assert(op[0] == IDLE && op[1] == IDLE);
		assert(accounted(1) && accounted(2) && accounted(3) && accounted(4));
#if BLOCKS > 4
		assert(accounted(5));
#endif
	}
}

init {
	byte m;

	atomic {
		word[1] = PART(0, 0, 0); first[1] = 2; second[1] = 2; slot[0] = 1;
		word[2] = PART(0, 1, 0); first[2] = 3; second[2] = 3; slot[1] = 2;
		do
		:: m < WRITERS - 1 -> run Writer(m, 0); m++
		:: m == WRITERS - 1 -> run Writer(m, 1); m++
		:: else -> break
		od;
		m = 0;
		run Rescuer();
#if READS > 0
		run Reader(0);
#endif
		run Killer();
		run Monitor()
	}
}
