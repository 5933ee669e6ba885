/*
 * The listener in the arena: a name, and the connections that nobody has accepted yet.
 *
 * A connection is a pipe without a name, made by its client: the right end is the client's, the
 * left one belongs to the listener's process from the start, PENDING: nobody may use it before it
 * is accepted, and the death of that process closes it as it does any end. It ends by itself when
 * both ends are closed (PIPE_CONNECTION).
 *
 *	client                                          server
 *	  a place of the backlog is 0? else waits         the entry of the lowest ticket whose pipe is
 *	  the pipe, MAKING(me), both ends owned            READY
 *	  place: 0 -> its entry             (CAS, L1)     end: PENDING(listener's process) -> OWNED(me)
 *	  pipe: MAKING -> READY             (store, L2)                                     (CAS, L3)
 *	  turns + 1; wakes all who accept                 place: its entry -> 0             (CAS, L4)
 *	                                                  freed + 1; wakes all who wait for a place
 *
 * An entry is believed only where the pipe has its generation, and, once READY, its left end is
 * PENDING. Any other one is stale, and whoever meets it makes the place 0 by CAS.
 *
 * Crash points. Client, up to L2: the pipe is its MAKING, and goes with its recovery; its entry is
 * stale then. After L2: the pipe is pending, with one end closed: it is accepted and read to its
 * end. Before its wakes: list_op_pending names the gate of those who accept. Server, after L3: the
 * end is its own, and closed by its death; the entry is stale. Before its wakes: who waits for a
 * place looks every 5 ms. The listener's process: who accepts in another one watches the life of a
 * member of it, as long as one lives, else looks every 5 ms. Destroyer: as of all objects; the
 * pending ends are closed by it, or by the one who buries it.
 *
 * Stopped: a client between L1 and L2 takes a place away; a server between L3 and L4 nothing.
 * Whoever stands still in a call on the listener delays its burial, and with it the end of
 * connections that came after it was destroyed.
 */
#ifndef RING_LISTENER_H
#define RING_LISTENER_H

#include "ring/pipe.h"

#define BACKLOG 128u

/*
 * An entry: bits 63..44 index of the pipe's object, 43..24 the low bits of its generation, 23..0 a
 * ticket. Of two the one with the lower ticket, modulo 2^24, came first.
 */
static inline uint64_t
listener_entry(uint32_t object, uint64_t generation, uint32_t ticket)
{
	return (uint64_t)object << 44 | (generation & 0xfffff) << 24 | (ticket & 0xffffff);
}

static inline uint32_t
listener_entry_object(uint64_t entry)
{
	return (uint32_t)(entry >> 44);
}

struct shoal_listener {
	/* never change */
	_Alignas(SPACING) uint32_t object;
	uint32_t process, process_generation; /* whose it is */
	uint32_t ring_bytes, flags;           /* of the pipes */
	word32 polled;                        /* poller.h */
	struct robust bell;
	/* written by clients */
	_Alignas(SPACING) word32 turns; /* grows when a connection has come */
	word32 tickets;
	struct pipe_gates accept;       /* all are woken */
	/* written by servers */
	_Alignas(SPACING) word32 freed; /* grows when a place has become 0 */
	word32 room;                    /* gate of those who wait for a place */
	_Alignas(SPACING) word64 pending[BACKLOG];
};

/* What an entry is. */
enum listener_entry_state {
	ENTRY_NONE,    /* 0 */
	ENTRY_COMING,  /* its pipe is being made by a living client */
	ENTRY_PENDING, /* it can be accepted */
	ENTRY_STALE,
};
enum listener_entry_state listener_look(const shoal_arena *a, uint64_t entry);

/* Whether there is one to accept, and the place of the one that came first. */
bool listener_first(const shoal_arena *a, shoal_listener *l, uint32_t *place, uint64_t *entry);
/* Whether its process has ended, or left. */
bool listener_abandoned(shoal_arena *a, const shoal_listener *l);
/* Closes the left ends of all that are pending. */
void listener_refuse_all(shoal_arena *a, shoal_listener *l, struct member *me);
void listener_wake_all(shoal_listener *l);

/*
 * In a call on the listener: between enter and leave the record names it. *generation is the
 * object's. 0, -EPIPE, -EDEADLK, -EPROTO, or what joining gives.
 */
struct listener_call {
	shoal_arena *arena;
	struct shoal_thread *thread;
	struct member *me;
	shoal_listener *listener;
	uint32_t object;
	uint64_t alive; /* the object's word while it is not destroyed */
};
int listener_enter(shoal_arena *a, uint32_t object, struct listener_call *c);
void listener_leave(const struct listener_call *c);
bool listener_over(const struct listener_call *c);
/* A recovery of its dead process, which destroys it; true: look again. */
bool listener_recover(const struct listener_call *c);

#endif
