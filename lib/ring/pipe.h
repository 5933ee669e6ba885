/*
 * The pipe in the arena, and a thread's handle on one of its ends.
 *
 * One object: this struct, two byte rings, and with SHARED_ENDS two rows of users. shoal_pipe_end *
 * is the address of one of its ends in the mapping: valid in this process and its forked children.
 *
 * A way is one direction: one byte ring, its writer at one end and its reader at the other.
 * Positions count bytes, are 64 bits wide and only grow; the place in the ring is their low bits. A
 * record begins at a multiple of 8:
 *
 *	bits 63..32  length of the message in bytes
 *	bits 31..6   its mark (mark.h)
 *	bits  5..3   gap between the header and the payload, in units of 8 bytes
 *	bits  2..1   enum record_type
 *	bit   0      1: a record is here
 *
 * The header is the publication: payload first, then 0 in the next header's place, then one release
 * store of this header. So there is no shared tail, and the reader clears nothing. The low half
 * changes when a record comes, which is what a sleeper watches. 8 bytes always stay free, for the
 * zero. A record does not cross the end of the ring: a WRAP record, stored after the header at 0 is
 * zero, sends the reader there. Payloads of RECORD_ALIGNED bytes and more begin on a cache line.
 *
 * Messages longer than a quarter of the ring are in a block; their record holds its offset, and the
 * block's word is PLACE(object, position + side) until the reader's CAS makes it HELD(reader). So a
 * time-out or a death never leaves half a message.
 *
 * A message taken is dropped with its taker, never delivered twice: `taken` passes it before it is
 * copied out (where another one may go on at this end, or a block is involved), `done` after. Space
 * up to `done` is the writer's, but for places that are borrowed; the writer goes by `head`, which
 * the reader moves seldom, and looks at `done` itself only before it waits.
 *
 * Who owns an end is in its owner word; both ends' states are in the two words, so that one load
 * tells a call that the end is still this process's, of this pipe, and that the peer has not
 * closed. Bit by bit:
 *	bits 63..58  OWNER_… flags
 *	bits 57..44  of the object's generation and index (handed_identity): tells incarnations at one
 *	             address apart
 *	bits 43..32  OWNED: index of the process record
 *	bits 31..0   OWNED: generation of the process record
 *	bits 43..22  GIVEN: when the process that it was given to started, as pipe_handle.c makes it
 *	             of that; 0 not known
 *	bits 21..0   GIVEN: its pid
 */
#ifndef RING_PIPE_H
#define RING_PIPE_H

#include "arena/block.h"
#include "arena/object.h"
#include "ring/copy.h"
#include "ring/mark.h"
#include "ring/pace.h"
#include "sync/bell.h"
#include "sync/gate.h"
#include <shoal/pipe.h>

#define RING_MIN 4096u
#define RING_DEFAULT (256u << 10)
#define RING_MAX (UINT32_C(1) << 30)
#define PIPE_MESSAGE_MAX (UINT64_C(0x100000000) - 64)
#define RECORD_ALIGNED 4096u
#define BORROWED_MAX 32u
#define SHORT_RECORD (8 + COPY_SHORT)
/* How far ahead of a short record the writer asks for lines; and how much behind a longer one. */
#define PREFETCH_BYTES 512u
#define PREFETCH_MOST 2048u

enum record_type { RECORD_INLINE, RECORD_BLOCK, RECORD_WRAP };

static inline uint64_t
record_word(enum record_type type, uint64_t gap, uint64_t bytes)
{
	return bytes << 32 | gap | (uint64_t)type << 1 | 1;
}

#define RECORD_MARK_SHIFT 6
#define RECORD_MARKED ((uint64_t)MARK_BITS << RECORD_MARK_SHIFT)

static inline uint32_t
record_mark(uint64_t word)
{
	return (uint32_t)(word >> RECORD_MARK_SHIFT) & MARK_BITS;
}

static inline enum record_type
record_type(uint64_t word)
{
	return (enum record_type)(word >> 1 & 3);
}

/* In bytes, as it stands there. */
static inline uint64_t
record_gap(uint64_t word)
{
	return word & 0x38;
}

static inline uint64_t
record_bytes(uint64_t word)
{
	return word >> 32;
}

static inline uint64_t
round_up_8(uint64_t n)
{
	return (n + 7) & ~UINT64_C(7);
}

/* Waiters and pollers side by side: the other side tests both with one load. */
struct pipe_gates {
	word32 wait; /* wake one */
	word32 poll; /* wake all */
};

struct pipe_way {
	/* lines 1, 2: the writer writes */
	_Alignas(SPACING) word64 tail; /* of the next record; may lag by what a dead writer published */
	word64 head_seen;              /* the reader's progress as last looked at */
	word64 sent;
	word64 wanted;                 /* way_wanted of the last one who found too little room */
	/* lines 3, 4: the reader writes */
	_Alignas(SPACING) word64 done; /* received up to here */
	word64 taken;                  /* never delivered (again) below this; may be below `done` */
	word64 head_given;             /* == head */
	word64 received;
	word32 borrowing;              /* some entry of `borrowed` may be set */
	/* lines 5, 6: the reader writes seldom, the writer reads when it has used up what it knew */
	_Alignas(SPACING) word64 head;
	/* lines 7, 8: read by both, written by those who sleep */
	_Alignas(SPACING) union {
		struct pipe_gates data; /* readers */
		word64 data_any;
	};
	union {
		struct pipe_gates room; /* writers */
		word64 room_any;
	};
	/* SHARED_ENDS: guards the lines 1, 2 and 3, 4 */
	_Alignas(SPACING) struct robust writing;
	_Alignas(SPACING) struct robust reading;
	/* lent_word of a record that is lent out, 0 none */
	_Alignas(SPACING) word64 borrowed[BORROWED_MAX];
};

/*
 * What is lent out in place names who has it: with SHARED_ENDS several may have lent themselves one
 * record in turn, of whom all but the last died before they took it. Bit by bit:
 *	bits 63..40  tag of the member
 *	bits 39..3   the position's low bits; that is less than a lap behind `done`, or not behind it
 *	bit  0       1
 * Stored by the reader, with SHARED_ENDS under its lock. By CAS from exactly the member's own: to 0
 * by itself and its recovery; to another one's by who adopts the loan; of one that died before
 * `done` had passed the record, also to 0 by who mends the lock.
 */
#define LENT_BITS 40
#define LENT_POS ((UINT64_C(1) << LENT_BITS) - 8)

static inline uint64_t
lent_word(uint32_t tag, uint64_t pos)
{
	return (uint64_t)tag << LENT_BITS | (pos & LENT_POS) | 1;
}

/* The whole position, of one that is near `near`. */
static inline uint64_t
lent_pos(uint64_t word, uint64_t near)
{
	uint64_t ahead = ((word & LENT_POS) - (near & ~UINT64_C(7))) << (64 - LENT_BITS);
	return (near & ~UINT64_C(7)) + (uint64_t)((int64_t)ahead >> (64 - LENT_BITS));
}

#define OWNER_PEER_CLOSED (UINT64_C(1) << 63) /* the other end is closed; never cleared */
#define OWNER_CLOSED (UINT64_C(1) << 62)      /* this end is closed; never cleared */
#define OWNER_SHARED (UINT64_C(1) << 61)      /* SHARED_ENDS: the users' rows tell whose */
#define OWNER_OWNED (UINT64_C(1) << 60)
#define OWNER_GIVEN (UINT64_C(1) << 59)
/* OWNED by a listener's process, and to be accepted: nobody uses it before (listener.h) */
#define OWNER_PENDING (UINT64_C(1) << 58)
#define OWNER_NONCE (UINT64_C(0x3fff) << 44)
#define OWNER_GIVEN_PID UINT64_C(0x3fffff) /* the kernel's own limit of ids */
#define OWNER_GIVEN_STARTED (UINT64_C(0x3fffff) << 22)
#define OWNER_WHO \
	(OWNER_OWNED | OWNER_GIVEN | OWNER_SHARED | OWNER_CLOSED | UINT64_C(0xfffffffffff))

struct shoal_pipe_end {
	_Alignas(SPACING) word64 owner;
	uint32_t side;
	word32 tag; /* a member of the owner that used the end, for those who wait for it: a hint */
};

/*
 * The body: the ends first, so that the left end's address is the object's. Behind it the two
 * rings, then the two rows of users.
 */
struct pipe {
	struct shoal_pipe_end end[2]; /* SHOAL_LEFT, SHOAL_RIGHT */
	/* lines 5, 6: never change, but for the bell, of who destroys the pipe or claims an end */
	_Alignas(SPACING) uint32_t ring_bytes;
	uint32_t flags;
	uint32_t object;
	word32 polled; /* poller.h */
	struct robust bell;
	struct pipe_way way[2]; /* way[s]: what the end of side s sends */
};

/*
 * Beside the SHOAL_PIPE_… of its flags: it was made by shoal_pipe_connect, and ends when both its
 * ends are closed.
 */
#define PIPE_CONNECTION 0x100u

#define PIPE_RINGS_AT ((sizeof(struct pipe) + 4095) & ~(size_t)4095)
_Static_assert(sizeof(struct shoal_pipe_end) == SPACING, "an end is found by its address");
_Static_assert(offsetof(struct pipe, end) == 0, "the left end is the object's address");

/*
 * A part of one lap in which short records need no look at what the other side says: they end at or
 * below `end`, and begin at most `bytes` before it, give or take a record. It is private, so that
 * damaged positions in the arena lead nowhere else; it may lag, since positions only grow.
 */
struct pipe_stretch {
	uint64_t end, bytes;
};

/* Nothing is in it where bytes is 0. */
static inline bool
stretch_holds(const struct pipe_stretch *s, uint64_t pos, uint64_t size)
{
	return s->end - pos - size < s->bytes;
}

/*
 * From pos up to `to`, and not nearer to the end of its lap than `spare`. The first bytes of a lap
 * are left out, so that what begins a record's length before it is in the same lap.
 */
static inline struct pipe_stretch
stretch_from(uint64_t pos, uint64_t to, uint64_t mask, uint64_t spare)
{
	uint64_t lap = pos & ~mask, end = lap + mask + 1 - spare, from = lap + SHORT_RECORD;
	end = to < end ? to : end;
	from = pos > from ? pos : from;
	return (struct pipe_stretch){ .end = end, .bytes = end > from ? end - from : 0 };
}

/*
 * One thread on one end, private to the thread. All that is used of the pipe's own description was
 * checked when it was made. What the fast paths use comes first.
 */
struct pipe_handle {
	shoal_pipe_end *end;
	uint64_t mine;       /* the owner word while the fast path is allowed */
	struct member *me;
	uint32_t epoch;      /* thread_epoch at which it was made */
	uint32_t object;
	uint64_t quick_mask; /* mask, for a position that others may have overwritten: in whole words */
	struct pipe_way *to, *from; /* tx and rx, but never NULL */
	char *tx_ring, *rx_ring;
	struct pipe_stretch room, data; /* empty where the fast path may not be taken */
	uint64_t mask;
	uint64_t last_word;  /* of the last short record received: the next one is mostly as long */
	uint64_t tail_seen;  /* the writer was beyond this when it was last looked at */
	uint64_t kept_at;    /* where this reader last stayed back, or found nothing */
	const word64 *life;  /* the object's word, and what that is until the pipe is destroyed */
	uint64_t alive;
	struct pipe_way *tx, *rx; /* NULL: SIMPLEX, the other direction */
	unsigned side;       /* of the end: it sends on way[side] */
	unsigned seat;
	bool fenced;         /* no membarrier: publish by seq_cst exchange */
	bool shared;
	bool quick_tx, quick_rx; /* the fast path may be taken */
	bool data_armed, room_armed; /* this thread armed the gate and nobody else does */
	uint32_t spin;       /* pauses that the next wait spends before it sleeps */
	uint64_t long_limit; /* messages from this on go in a block */
	uint64_t give_after; /* the writer is told after so many bytes; the distance to keep from it */
	uint64_t sent_before, received_before; /* at the last time it was full, or empty */
	struct pipe *pipe;
	shoal_arena *arena;
	uint64_t nonce;       /* the owner word's part that never changes */
	uint64_t found;       /* the owner word that the last PIPE_LOOK went by */
	int64_t peer_seen_ns; /* when the peer's process was last found alive the long way */
	word64 *user;         /* shared: this process's entry, and what it must say */
	uint64_t user_word;
	struct pace pace;
	word64 *posting;      /* where the place of a message under MARK_HOLDS is told */
};

/* A power of two. A thread that uses more ends in turn looks them up anew. */
#define PIPE_HANDLE_BITS 5
#define PIPE_HANDLES (1u << PIPE_HANDLE_BITS)
#define PIPE_HANDLE_BYTES 512u
_Static_assert(sizeof(struct pipe_handle) <= PIPE_HANDLE_BYTES, "a handle is found by a shift");

static inline word64 *
pipe_header(char *ring, uint64_t mask, uint64_t pos)
{
	return (word64 *)(void *)(ring + (pos & mask));
}

/* What a futex can watch of a word: the low half. */
static inline word32 *
low_half(word64 *w)
{
	return (word32 *)(void *)w;
}

/*
 * What a user of a shared end says in its process's entry; state 1: a user, 2: it closed the end.
 */
#define USER_STATE 3u

static inline uint64_t
pipe_user_word(uint32_t generation, unsigned state)
{
	return (uint64_t)generation << 2 | state;
}

/* ---- pipe.c ---- */

struct pipe_shape {
	uint32_t ring_bytes, flags;
	size_t bytes; /* of the whole body */
};

/* 0, or -EINVAL. */
int pipe_shape_of(const shoal_arena *a, const shoal_pipe_options *o, struct pipe_shape *out);
/* A body of that shape for an object that is being made. 0, -ENOMEM, -ENOSPC, -EPROTO. */
int pipe_body(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
              const struct pipe_shape *shape);
struct pipe_wait;
struct pipe_message;
/* 1: a message. 0: none yet, and its header will be at m->pos. -EPIPE, -EPROTO; -ECANCELED. */
int pipe_look(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
              struct pipe_message *m);

/* ---- pipe_handle.c: from an end's address to this thread's handle, and who owns the end ---- */

static ALWAYS_INLINE struct pipe_handle *
pipe_handle_at(struct shoal_thread *t, uint32_t place)
{
	return (struct pipe_handle *)(void *)((char *)t->pipes + place * PIPE_HANDLE_BYTES);
}

/* Where its handle is, if there is one: at home or beside it. */
static ALWAYS_INLINE struct pipe_handle *
pipe_handle_slot(struct shoal_thread *t, const shoal_pipe_end *end)
{
	uint32_t home = thread_home(end, PIPE_HANDLE_BITS);
	struct pipe_handle *h = pipe_handle_at(t, home);
	return likely(h->end == end) ? h : pipe_handle_at(t, home ^ 1);
}

/* The handle that this thread has for the end, or NULL. */
static ALWAYS_INLINE struct pipe_handle *
pipe_handle_known(struct shoal_thread *t, const shoal_pipe_end *end, enum thread_last which)
{
	struct pipe_handle *h = t->pipe_last[which];
	if (likely(h && h->end == end && h->epoch == thread_epoch()))
		return h;
	h = t->pipes ? pipe_handle_slot(t, end) : NULL;
	if (!h || h->end != end || h->epoch != thread_epoch())
		return NULL;
	return t->pipe_last[which] = h;
}

/*
 * The everyday way into a call: NULL when this thread did not use the end before, when something
 * changed, or when another call is interrupted; then nothing was done. The record of the call comes
 * before the look at the words: one who destroys the pipe changes them, lets a barrier pass, and
 * looks for calls inside.
 */
static ALWAYS_INLINE struct pipe_handle *
pipe_enter_quick(struct shoal_thread *t, const shoal_pipe_end *end, enum thread_last which)
{
	if (unlikely(!t || t->busy))
		return NULL;
	/* First: a signal handler's call may make the handle another pipe's. */
	t->busy = 1;
	fence_compiler();
	struct pipe_handle *h = pipe_handle_known(t, end, which);
	if (likely(h)) {
		store_relaxed(&h->me->call.object, h->object);
		fence_compiler();
		if (likely(load_relaxed(&end->owner) == h->mine && load_relaxed(h->life) == h->alive))
			return h;
		store_relaxed(&h->me->call.object, 0);
	}
	t->busy = 0;
	return NULL;
}

static inline struct member *
pipe_me(const struct pipe_handle *h, const struct shoal_thread *t)
{
	(void)t;
	return h->me;
}

/*
 * Between enter and leave the member's record names the pipe, so that destroy does not give its
 * memory back. PIPE_LOOK: without claiming the end. 0, -EBUSY, -EDEADLK, -EPIPE (the end is
 * closed).
 */
enum pipe_intent { PIPE_LOOK, PIPE_CLAIM };
int pipe_enter(shoal_pipe_end *end, enum pipe_intent intent, struct shoal_thread **t,
               struct pipe_handle **h);
/* -EDEADLK: in a signal handler inside another call. */
int pipe_nested(void);

static inline void
pipe_leave(struct shoal_thread *t, struct pipe_handle *h)
{
	store_release(&h->me->call.object, 0);
	t->busy = 0;
}

/*
 * A call gives the end to the caller: where it goes with its owner, whatever pipe lies there later
 * is not that one. Returns it.
 */
shoal_pipe_end *pipe_hand_out(const shoal_arena *a, struct pipe *p, unsigned side);

/* The owner word of the handle's end from `seen` to `next`. False: it is another one by now. */
bool pipe_pass_end(struct pipe_handle *h, struct shoal_thread *t, uint64_t seen, uint64_t next);

static inline pid_t
pipe_given_pid(uint64_t word)
{
	return (pid_t)(word & OWNER_GIVEN_PID);
}

/* GIVEN to the process of this pid and kernel_start_time: that part of the owner word. */
uint64_t pipe_given_word(pid_t pid, uint64_t started);
/* When the process that the word names started; 0: not known, or it has ended. */
uint64_t pipe_given_started(uint64_t word);
/* Whether the process that the word names has ended. */
bool pipe_given_ended(uint64_t word);

/* Both ends, for a pipe that is being destroyed: any number may do it. Wakes everybody. */
void pipe_shut(shoal_arena *a, uint32_t object);
/* Closes an end for its owner, or for a dead one: from exactly the word seen. Wakes everybody. */
void pipe_shut_end(shoal_arena *a, struct pipe *p, unsigned side, uint64_t seen);
/* Whether it is one that ends by itself, and both ends are closed: then it does. */
void pipe_end_connection(shoal_arena *a, struct pipe *p);
/* Closes an end whose owner has gone, if it has. Its callers are as those of the one above. */
void pipe_end_left(shoal_arena *a, struct pipe *p, unsigned side);
/* A process left a shared end: closes it if nobody else uses it. */
void pipe_leave_users(shoal_arena *a, struct pipe *p, unsigned side, uint32_t process,
                      uint64_t word);

/*
 * The pipe whose end begins at the address, and which one it is: 0, or -EPROTO: none, or one whose
 * rings do not lie in its block.
 */
int pipe_find(const shoal_arena *a, const shoal_pipe_end *end, struct pipe **p, unsigned *side);
/* The length of each ring, 0 where the body does not hold what it says. */
uint32_t pipe_ring_bytes(const shoal_arena *a, const struct pipe *p);
char *pipe_ring(struct pipe *p, uint32_t ring_bytes, unsigned side);
word64 *pipe_users(struct pipe *p, uint32_t ring_bytes, uint32_t members_max, unsigned side);

/* ---- pipe_way.c: the ring ---- */

/* The word of a message's block: positions are multiples of 8, so the way fits beside it. */
static inline uint64_t
pipe_place(uint32_t object, unsigned side, uint64_t pos)
{
	return block_word(BLOCK_PLACE, object, pos | side);
}

struct pipe_message {
	uint64_t pos, next; /* of its record, and of the one behind it */
	uint64_t bytes;
	uint64_t block; /* offset, 0: inline */
	char *data;     /* inline */
	uint32_t mark;
};

/*
 * 1: a message. 0: none yet, and pos is where its header will be. -EPROTO: this is no record.
 * Changes nothing.
 */
int way_look(char *ring, uint64_t mask, uint64_t pos, struct pipe_message *out);
/* Behind the last record that was published from `from` on. */
uint64_t way_end(char *ring, uint64_t mask, uint64_t from);
/* Gives back the blocks of messages that nobody will receive. Any number may do it. */
void way_drain(shoal_arena *a, struct pipe *p, unsigned side);
/*
 * For the holder of the readers' lock: what its last holder, dead, had taken is dropped, and what
 * it had only lent itself is not lent.
 */
void way_drop_taken(shoal_arena *a, struct pipe *p, unsigned side);
/*
 * What the writer may use is below this plus the ring's size; *word is what changes when it grows.
 */
uint64_t way_free(struct pipe_way *w, word64 **word);
/* What `wanted` says: the bytes, and how many had been sent then; it holds until one more is. */
uint64_t way_wanted(const struct pipe_way *w, uint64_t bytes);
/*
 * The reader tells the writer how far it is. One who sleeps for room is woken when there is plenty,
 * or the reader is about to wait.
 */
void way_give(struct pipe_handle *h, struct pipe_way *w, bool waits);
void way_wake_readers(struct pipe_way *w);
void way_wake_writers(struct pipe_way *w);
void way_wake_all(struct pipe_way *w);

/* ---- pipe_wait.c ---- */

struct pipe_wait {
	shoal_time timeout;
	int64_t deadline; /* of the whole call, once it waits for anything: pipe_deadline; else 0 */
	uint32_t pauses, yields;
	uint32_t bell; /* as it was when the gate was armed */
	bool began, armed, slept;
	bool readers; /* it waits for data, else for room */
	bool poll;    /* it takes nothing: woken with all others */
};

/* When the call's time is up, reckoned when it is first asked for. 0: it does not wait. */
int64_t pipe_deadline(struct pipe_wait *w);
/* -ETIMEDOUT. */
int pipe_timed_out(void);
/*
 * The word that the event changes is `seen`: waits for it, or for the peer's end. 0: look again.
 * -EAGAIN, -ETIMEDOUT, -ECANCELED.
 */
int pipe_wait(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, word64 *word,
              uint64_t seen);
/*
 * A call at a shared end that slept, and fails: it may have got the wake of a message, or of room,
 * that somebody else takes then.
 */
void pipe_pass_on(struct pipe_handle *h, const struct pipe_wait *w);
#define PIPE_WATCHED 4u
/*
 * The words that a sleeper watches, of its list of PIPE_WATCHED: how many; 0: look again. *sliced:
 * they do not tell of all.
 */
unsigned pipe_watch(struct pipe_handle *h, struct shoal_thread *t, const struct pipe_wait *w,
                    word64 *word, uint64_t seen, struct futex_watch *list, bool *sliced);
/* Whether no more can come from, or go to, the other end. */
bool pipe_peer_closed(const struct pipe_handle *h);
bool pipe_end_closed(const struct pipe_handle *h);
/* This process has closed the shared end. One who only looks at it need never have used it. */
bool pipe_user_left(const struct pipe_handle *h);
/*
 * Looks, at most every millisecond, whether a peer that shows no living member has ended. True: it
 * has, and its end is closed.
 */
bool pipe_peer_gone(struct pipe_handle *h, struct shoal_thread *t);

/* ---- pipe_fd.c ---- */

/* The descriptors that this process made of the end: those who still watch them see it no more. */
void pipe_forget_fds(const struct pipe_handle *h);

/* ---- pipe_send.c, pipe_recv.c ---- */

/* Room for a record whose payload has `bytes`: at *pos, with *gap. Waits. 0, or why not. */
int send_room(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, uint64_t bytes,
              uint64_t *pos, uint64_t *gap);
/* A block, HELD(me) and named by my hand, as a message. When it fails the block is still mine. */
int send_block(struct pipe_handle *h, struct shoal_thread *t, uint64_t block, uint64_t bytes,
               uint32_t mark, shoal_time timeout);
/* SHARED_ENDS. 0 with the end's lock, mended if need be; -EAGAIN, -ETIMEDOUT, -ECANCELED. */
int send_lock(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *wait);
int recv_lock(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *wait);
/* The next message, waited for; with SHARED_ENDS the end's lock is held when it is there. */
int recv_next(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
              struct pipe_message *m);
/* Takes a message in a block into my hand, and passes its record. 0, -EPROTO, -EPIPE. */
int recv_take_block(struct pipe_handle *h, struct member *me, const struct pipe_message *m);
/* What has been copied out, or lent, is passed. */
void recv_pass(struct pipe_handle *h, const struct pipe_message *m);
/*
 * With SHARED_ENDS: the lock goes back, and one who was woken lets the next one go on if there is
 * more.
 */
void recv_give_back(struct pipe_handle *h, struct shoal_thread *t);
int recv_too_small(const struct pipe_message *m, size_t room);
/* It bears a mark, and this call receives bytes: -EPROTO. */
int recv_refuse_marked(void);

/* ---- pipe_loan.c: for loan.c ---- */
int pipe_loan_commit(shoal_loan *loan, shoal_time timeout);
void pipe_loan_release(shoal_loan *loan);
int pipe_loan_adopt(shoal_loan *loan);
/*
 * Ends what this, or a dead, member's entry names in place. The pipe may be gone. True: the message
 * had been taken, and it is this call that ended its loan.
 */
bool pipe_end_loan(shoal_arena *a, struct shoal_thread *t, struct member *me,
                   const struct loan_entry *l, uint32_t state);
/*
 * States of a loan entry, from LOAN_PIPE of loan.h up. BLOCK: the block is HELD(me). LEFT, RIGHT: a
 * record that the end of that side received is lent out in place; the entry's `base` is its index
 * in `borrowed`, and it has no block.
 */
enum { LOAN_PIPE_BLOCK = 16, LOAN_PIPE_LEFT, LOAN_PIPE_RIGHT };

#endif
