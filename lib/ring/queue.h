/*
 * The queue in the arena, and a thread's cursors on it. See slot.h for the protocol, tests/model/
 * for its proof.
 *
 * shoal_queue * is the address of this struct in the mapping: valid in this process and its forked
 * children.
 *
 * tail and head are hints: plain stores, they may lag or even go back, and are never ahead. Each
 * thread keeps cursors of its own, which are never beyond the truth either, because place p is
 * claimed only by one who saw p-1 claimed, and claims never come undone.
 */
#ifndef RING_QUEUE_H
#define RING_QUEUE_H

#include "arena/block.h"
#include "arena/object.h"
#include "base/error.h"
#include "ring/copy.h"
#include "ring/mark.h"
#include "ring/ring.h"
#include "sync/bell.h"
#include "sync/gate.h"

_Static_assert(MARK_BITS < UINT32_C(1) << (SLOT_RETURNS_SHIFT - SLOT_MARK_SHIFT),
               "the returns are counted beside the mark");

#define CAPACITY_MAX (UINT32_C(1) << 31)
#define MESSAGE_MAX (UINT64_C(0x100000000) - 64)
#define HINT_EVERY 8u

enum { QUEUE_OPEN, QUEUE_CLOSED, QUEUE_DESTROYED };

/* Taken and poll gates side by side: the other side tests both with one load. */
struct gates {
	word32 wait; /* takers or putters: wake one */
	word32 poll; /* pollers: wake all */
};

/*
 * Counts of one member index on this queue; only its member (or who recovers it) writes, never
 * reset.
 */
struct queue_row {
	word64 base; /* JOINABLE: got when the take in progress began */
	word64 got;  /* JOINABLE: messages taken and released */
	word64 done; /* JOINABLE: of them reported by task_done, or abandoned by a death */
	word64 dropped, redelivered;
	uint64_t unused[3];
};
_Static_assert(sizeof(struct queue_row) == 64, "a row is a line of its own");

struct shoal_queue {
	/* lines 1, 2: read by everybody, written rarely */
	/* index and generation of its object: tells incarnations at one address apart (handed.h) */
	_Alignas(SPACING) uint64_t serial;
	uint64_t mask;
	uint64_t slots_at, rows_at; /* from this struct */
	uint32_t shift;      /* log2 of the capacity */
	uint32_t stride;
	uint32_t slot_bytes; /* longest message inside a slot */
	uint32_t flags;
	uint32_t object;
	uint32_t rows;       /* members_max */
	/* places between two looks at the distance, minus 1; a power of two minus 1 */
	uint32_t keep_every;
	uint32_t keep;       /* distance below which one stays back; 0: never */
	word32 closing;
	word32 backs;        /* REDELIVER: grows before and after a place becomes BACK */
	union {
		struct gates get;
		word64 get_any;
	};
	union {
		struct gates put;
		word64 put_any;
	};
	word32 join_gate;
	word32 polled;       /* poller.h */
	struct robust bell;  /* of who closes or destroys it */
	/* lines 3, 4: putters write */
	_Alignas(SPACING) word64 tail;
	/* lines 5, 6: getters write */
	_Alignas(SPACING) word64 head;
};

/*
 * The place at which a cursor is, for the quick ways of put and get: what takes ten instructions to
 * find is kept from one call to the next. Each moves it on by one slot, and finds it anew where the
 * lap may end, at the latest every HINT_EVERY places. Any other call on the queue may move the
 * cursor, and leaves no aim.
 */
struct aim {
	struct slot *slot; /* NULL: there is none */
	uint64_t word;     /* what a free place, or a full one, says in this lap */
	uint64_t given;    /* what a getter gives it back with */
	ptrdiff_t ahead;   /* to the place whose line is asked for; beyond the last one, in vain */
};

/*
 * One thread on one queue, private to the thread. What calls need of the queue's description they
 * have from here: checked once, and out of others' reach.
 */
struct cursor {
	struct ring ring;
	const word64 *life; /* the object's word, and what that is until the queue is destroyed */
	uint64_t alive;
	uint32_t epoch; /* thread_epoch at which it was made */
	uint32_t tag;
	/* shorter messages may go the quick way; 0 where there is none */
	uint64_t quick_put, quick_get;
	uint64_t quick_long; /* and these, by a call of memcpy */
	struct member *me;
	uint64_t mine; /* my tag where a slot word has its owner */
	uint64_t put, get;
	struct aim aim[2]; /* of LAST_SENT: its puts, and of LAST_RECEIVED */
	uint32_t aim_mask; /* where a place is a multiple of this and 1 the aim is found anew */
	uint32_t lines;    /* of a long slot, to be asked for by a putter */
	uint64_t put_since, get_since; /* where it stood when it was full, or empty, last */
	uint64_t tail_seen; /* of long slots: the putters were here when they were last looked at */
	shoal_arena *arena;
	bool fenced; /* no membarrier: publish by seq_cst exchange */
	word64 *posting; /* where the place of a message under MARK_HOLDS is told */
	/* `backs` before the last look at all places that found none BACK */
	uint32_t backs_seen;
};

/* A power of two. A thread that uses more queues in turn looks them up anew. */
#define CURSOR_BITS 6
#define CURSORS (1u << CURSOR_BITS)

/* They begin where the queue's head ends, and there is one of each member. */
static inline struct queue_row *
queue_row(const shoal_queue *q, uint32_t tag)
{
	return (struct queue_row *)(uintptr_t)(q + 1) + tag_index(tag) - 1;
}

#define PREFETCH_PLACES 8u
#define PREFETCH_LINES_MAX 32u
#define DISTANCE_PAUSES 128u

static ALWAYS_INLINE struct slot *
cursor_slot_at(const struct cursor *c, uint64_t place)
{
	return ring_slot(&c->ring, place);
}

/* EMPTY of the place's lap; the other states of that lap by OR. */
static ALWAYS_INLINE uint64_t
cursor_word(const struct cursor *c, uint64_t place)
{
	return slot_word(EMPTY, ring_lap(&c->ring, place), 0, 0);
}

/* As many as a line takes to come; where they are long, the next one. */
static ALWAYS_INLINE uint32_t
prefetch_places(const struct cursor *c)
{
	return c->ring.stride <= 2 * LINE ? PREFETCH_PLACES : 1;
}

/* In the quick ways' state: a putter's EMPTY, a getter's FULL. */
static inline void
cursor_aim(const struct cursor *c, uint64_t place, enum slot_state state, struct aim *out)
{
	char *slot = (char *)cursor_slot_at(c, place);
	*out = (struct aim){
		.slot = (struct slot *)(void *)slot,
		.word = cursor_word(c, place) | state,
		.given = slot_word(EMPTY, ring_lap(&c->ring, place) + 1, 0, 0),
		.ahead = (char *)cursor_slot_at(c, place + prefetch_places(c)) - slot,
	};
}

static ALWAYS_INLINE struct slot *
slot_beyond(struct slot *s, uint32_t stride)
{
	return (struct slot *)(void *)((char *)s + stride);
}

/*
 * Asks for the lines that this thread writes a little later: the first one of a place some way
 * ahead, and for a putter the others.
 */
static ALWAYS_INLINE void
cursor_prefetch(const struct cursor *c, uint64_t place, bool put)
{
	const char *ahead = (const char *)cursor_slot_at(c, place + prefetch_places(c));
	prefetch_lines(ahead, put ? c->lines : 1, true);
}

/*
 * Asks for the lines of the next message, which is mostly as long as this one, while this one is
 * copied: but only where its putter is known to have left them, or it would fetch them back.
 */
static inline void
cursor_prefetch_read(const struct cursor *c, uint64_t place, size_t bytes)
{
	if (place + 1 >= c->tail_seen)
		return;
	const char *next = (const char *)cursor_slot_at(c, place + 1);
	size_t lines = (SLOT_HEADER + bytes - 1) / LINE;
	prefetch_lines(next + LINE, lines < PREFETCH_LINES_MAX ? lines : PREFETCH_LINES_MAX, false);
}

/*
 * One who works right behind the other side takes each line from it while that is still at it: a
 * transfer a message, in both directions. In the middle of a burst one that has come too near stays
 * back for a moment. The other side's hint may lag: then this stays back for nothing, once every
 * keep_every places.
 */
static inline void
queue_keep_distance(const shoal_queue *q, uint64_t distance, uint64_t burst)
{
	if (burst <= q->keep_every || distance >= q->keep)
		return;
	for (uint32_t i = 0; i < DISTANCE_PAUSES; i++)
		cpu_relax();
}

/* The cursor of this thread, made if needed. 0 or a failure with its sentence. */
int cursor_make(struct shoal_thread *t, shoal_queue *q, struct cursor **out);
/*
 * A call gives it to the caller: where it goes with its owner, whatever queue lies there later is
 * not that one. Returns it.
 */
shoal_queue *queue_hand_out(const shoal_arena *a, shoal_queue *q);
/* What was found, with that word. -EPIPE: the address was given out for one that was destroyed. */
int queue_check_handed(const struct ring *r, uint64_t word);
/* -EPIPE. */
int queue_destroyed(void);

/* Where its cursor is, if there is one: at home or beside it. */
static ALWAYS_INLINE struct cursor *
cursor_slot(struct shoal_thread *t, const shoal_queue *q)
{
	uint32_t home = thread_home(q, CURSOR_BITS);
	struct cursor *all = t->cursors;
	return likely(all[home].ring.queue == q) ? &all[home] : &all[home ^ 1];
}

/*
 * The cursor that this thread has for the address, or NULL. Whether the queue is still there,
 * cursor_lives tells.
 */
static ALWAYS_INLINE struct cursor *
cursor_known(struct shoal_thread *t, const shoal_queue *q, enum thread_last which)
{
	struct cursor *c = t->cursor_last[which];
	if (likely(c && c->ring.queue == q && c->epoch == thread_epoch()))
		return c;
	c = t->cursors ? cursor_slot(t, q) : NULL;
	if (!c || c->ring.queue != q || c->epoch != thread_epoch())
		return NULL;
	return t->cursor_last[which] = c;
}

/*
 * Asked after the record names the queue, it stays true until the call leaves. One who destroys
 * the queue changes the word, lets a barrier pass and looks who is inside: he sees the record, or
 * this one the word (Y1 of sync/stay.h). Asked before, it tells nothing for good: an entry that is
 * no object's any more is named for nothing.
 *
 * The queue's own memory is not asked. Once it is buried that is free, and says all that it said;
 * then it is somebody's who may write any part of it first. The word never leads back: each object
 * of the entry has another generation. Whatever a call does to the places comes behind this look:
 * that of queue_enter, or of the quick ways of put and get.
 */
static ALWAYS_INLINE bool
cursor_lives(const struct cursor *c)
{
	return load_acquire(c->life) == c->alive;
}

static inline int
cursor_of(struct shoal_thread *t, shoal_queue *q, struct cursor **out)
{
	struct cursor *c = *out = cursor_known(t, q, LAST_OTHER);
	if (unlikely(!c || !cursor_lives(c)))
		return cursor_make(t, q, out);
	c->aim[LAST_SENT].slot = c->aim[LAST_RECEIVED].slot = NULL;
	return 0;
}

/* ---- walk.c: where the cursors stand ---- */

/* What a walk ended at; the cursor is at the place, and *word is what was read there. */
enum walk_end {
	WALK_READY,  /* EMPTY for a putter; FULL or a hole for a getter */
	WALK_WAIT,   /* full, or empty, or another one is at it: see the word */
	WALK_END,    /* CLOSED */
	WALK_BROKEN, /* the places contradict one another; the cursor stays where it was */
};
enum walk_end walk_put(const struct ring *r, uint64_t *cursor, uint64_t *word);
enum walk_end walk_get(const struct ring *r, uint64_t *cursor, uint64_t *word);
/* From the hints on. Exact when nothing moved while it was read; never more than the capacity. */
uint64_t walk_size(const struct ring *r, uint64_t *taken, uint64_t *put);

/* ---- queue_recover.c ---- */

/* -EPROTO, with the place that contradicts the others. */
int queue_broken(const struct cursor *c, uint64_t place);

/*
 * The place bears the name of a dead member, as `word` says: mends it, or has the member recovered.
 * True: look again at once. False: its owner lives (or its recoverer does not come on before the
 * deadline).
 */
bool queue_mend(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word,
                int64_t deadline);
/* Everybody who sleeps on it: the end, a place that was mended or came back. */
void queue_wake_all(shoal_queue *q);
void queue_note_back(shoal_queue *q);
bool queue_settle_block(shoal_arena *a, const struct ring *r, uint64_t place, uint64_t block,
                        uint32_t tag);
/*
 * For those who only look. How many messages are BACK, or will be once their dead takers are
 * recovered, as a get does that finds nothing else; with `worn` also those that it only drops.
 * While `backs` is *seen, and nobody is dead, there are none, and no place is looked at; a look
 * that finds none, nor any worn, moves *seen.
 */
uint64_t queue_count_back(const shoal_arena *a, const struct ring *r, uint32_t *seen, bool worn);
/* walk_size, and what is, or will be, BACK and not worn. */
uint64_t queue_size(const shoal_arena *a, const struct ring *r, uint32_t *seen, uint64_t *taken,
                    uint64_t *put);
/*
 * Of a place that is not BACK, as the word says that was read there: whether its reader may be
 * about to return it. Then the look is not to be remembered: the reader may be stopped before it
 * counts `backs` again.
 */
bool queue_may_come_back(const shoal_arena *a, uint64_t word);
/* Somebody is dead, and nobody at the recovery. */
bool queue_dead_left(const shoal_arena *a);
/* What a call that meets the word at its place makes of it, if its owner is dead; else the word. */
uint64_t queue_settled(const shoal_arena *a, const struct ring *r, uint64_t word);
void queue_wake_armed(shoal_queue *q);

/* ---- queue_join.c ---- */
void queue_count_done(struct cursor *c, struct shoal_thread *t);

/* ---- queue_call.c: what all calls share ---- */

/* call.kind in the member's record, for those who count sleepers, or look for what is BACK. */
enum { CALL_NONE, CALL_PUT, CALL_GET, CALL_PUT_ASLEEP, CALL_GET_ASLEEP, CALL_RETURN };

/* -EDEADLK: in a signal handler inside another call. */
int queue_nested(void);

/*
 * The quick way into a call, before anything is read that a signal handler's call would change: a
 * cursor may become another queue's. NULL: the other way; then nothing was done.
 */
static ALWAYS_INLINE struct cursor *
queue_begin(struct shoal_thread *t, const shoal_queue *q, enum thread_last which)
{
	if (unlikely(!t || t->busy || t->robust->pending))
		return NULL;
	t->busy = 1;
	fence_compiler();
	struct cursor *c = cursor_known(t, q, which);
	if (unlikely(!c))
		t->busy = 0;
	return c;
}

/*
 * The same for put and get: also NULL where the last call of that kind was on another queue, or the
 * cursor has no aim. queue_take_aim may help then. False: it may not, or was not needed.
 */
static ALWAYS_INLINE struct cursor *
queue_begin_aimed(struct shoal_thread *t, const shoal_queue *q, enum thread_last which)
{
	if (unlikely(!t || t->busy || t->robust->pending))
		return NULL;
	t->busy = 1;
	fence_compiler();
	struct cursor *c = t->cursor_last[which];
	if (likely(c && c->ring.queue == q && c->epoch == thread_epoch() && c->aim[which].slot))
		return c;
	t->busy = 0;
	return NULL;
}

bool queue_take_aim(struct shoal_thread *t, const shoal_queue *q, enum thread_last which);

/*
 * Names the place that the call is to take. A record names it before it names the queue; as long as
 * nobody has it, the place says that it is not this thread's.
 */
static ALWAYS_INLINE void
queue_enter_at(const struct cursor *c, struct member *me, uint64_t place)
{
	uint32_t object = c->ring.object;
	store_relaxed(&me->call.pos, place);
	store_release(&me->call.object, object);
	fence_compiler();
}

static ALWAYS_INLINE void
queue_leave_as(struct shoal_thread *t, struct member *me)
{
	store_release(&me->call.object, 0);
	t->busy = 0;
}

static inline void
queue_leave(struct shoal_thread *t, struct cursor *c)
{
	queue_leave_as(t, c->me);
}

/* The record names the queue, and no place: that of an earlier call is a loan by now. */
static inline void
queue_name_call(const struct cursor *c)
{
	store_relaxed(&c->me->call.pos, UINT64_MAX);
	store_release(&c->me->call.object, c->ring.object);
	/* A destroyer sees that somebody is inside: its barrier orders this store, or this fence. */
	if (unlikely(c->fenced))
		fence_seq_cst();
	else
		fence_compiler();
}

/* Enters a call: 0, or why not. -EPIPE: it is destroyed, or was before the record named it. */
static inline int
queue_enter(shoal_queue *q, struct shoal_thread **thread, struct cursor **c)
{
	struct shoal_thread *t = *thread = thread_self();
	if (unlikely(!t))
		return fail(-ENOMEM, "no memory for this thread's record");
	/* Before the cursor: the one whose place it would take may be the interrupted call's. */
	if (unlikely(thread_is_nested(t)))
		return queue_nested();
	t->busy = 1;
	fence_compiler();
	int rc = cursor_of(t, q, c);
	if (unlikely(rc)) {
		t->busy = 0;
		return rc;
	}
	queue_name_call(*c);
	if (likely(cursor_lives(*c)))
		return 0;
	queue_leave(t, *c);
	return queue_destroyed();
}

/*
 * Sleeps while the place is as seen, or mends it. 0: look again. -ETIMEDOUT, -EAGAIN, -ECANCELED.
 * `gate` is where one sleeps.
 */
struct sleeper {
	word32 *gate;
	int64_t deadline;
	shoal_time timeout;
	uint32_t spins;
	uint32_t bell; /* as it was when the gate was armed */
	bool armed, slept;
	struct marked *marked; /* a getter of marked messages */
	bool looks; /* it will not poll: descriptors stay as they are */
	/* after -EAGAIN: where the call would have waited, and what stood there */
	uint64_t place, word;
};
int queue_wait(struct cursor *c, struct shoal_thread *t, struct sleeper *s, uint64_t place,
               uint64_t word);

/* After a change that the other side may sleep for. */
void queue_wake_getters(shoal_queue *q);
void queue_wake_putters(shoal_queue *q);

/* As said, where some may sleep. */
static inline void
queue_tell_putters(shoal_queue *q)
{
	fence_compiler();
	if (unlikely(load_relaxed(&q->put_any)))
		queue_wake_putters(q);
}

static inline void
queue_publish(struct cursor *c, struct slot *s, uint64_t word)
{
	if (unlikely(c->fenced))
		exchange_seq_cst(&s->turn, word);
	else
		store_release(&s->turn, word);
}

/* ---- put.c, get.c ---- */

/*
 * A message whose payload is in a block, HELD(me) and named by my hand. 0, or why not: the block is
 * still mine.
 */
int put_block(struct cursor *c, struct shoal_thread *t, uint64_t block, size_t bytes,
              uint32_t mark, struct sleeper *s);
int put_inline(struct cursor *c, struct shoal_thread *t, const void *message, size_t bytes,
               uint32_t mark, shoal_time timeout);

int put_long(struct cursor *c, struct shoal_thread *t, const void *message, size_t bytes,
             uint32_t mark, shoal_time timeout);
/* One CAS an item, each published by itself: how many there was room for, and *rc why no more. */
size_t put_each(struct cursor *c, struct shoal_thread *t, struct sleeper *s, const char *items,
                size_t bytes, size_t count, int *rc);
/* Those who sleep are told now and then, not only at the end of a long batch. */
#define PUT_TELL_EVERY 32u
/* -EMSGSIZE: more than any message has. */
int put_too_long(size_t bytes);
/* Why nothing can be put: -EPIPE. */
int put_refuse(const shoal_queue *q);
/* Every HINT_EVERY places: where this thread is; and it keeps its distance. */
void put_tell(struct cursor *c, uint64_t next);
/* It may have been woken, and has claimed so many places: then it is as one that never slept. */
void put_pass_on(struct cursor *c, struct shoal_thread *t, struct sleeper *s, uint64_t places);

/*
 * A message in this thread's hands: its place is READING(me). Or a group of them (group.h), whose
 * leader is G_READING(me).
 */
struct taken {
	struct slot *slot;
	uint64_t place;
	uint64_t word; /* READING(lap, me, tries) */
	size_t bytes;
	uint64_t block; /* offset, 0: inline */
	uint32_t places;
};
/*
 * Takes the next message of at most `room` bytes, or of exactly `exact` a group of up to `most`
 * places. -EMSGSIZE leaves it. The sleeper remembers across calls whether this thread slept.
 */
int get_take(struct cursor *c, struct shoal_thread *t, size_t room, size_t exact, size_t most,
             struct sleeper *s, struct taken *out);
/* Copied, counted: the place goes on to the next lap. Not for groups: get_copy alone is. */
void get_release(struct cursor *c, const struct taken *m);
/*
 * Finds its bytes: in the slot, or in a block that is HELD(me) and named by my hand from then on.
 * 0, or -EPROTO: it has none, and its place was given back.
 */
int get_taken_data(struct cursor *c, struct taken *m);
/* Finds, copies out and gives back. 0 or -EPROTO. */
int get_copy(struct cursor *c, struct taken *m, void *to);
/* As `exact`: no message has this length. */
#define BYTES_OF_NONE (SIZE_MAX - 1)
/* -EPROTO: the next message is for get_any. */
int get_refuse_value(void);
/* Takes the next message and copies it out; under JOINABLE | REDELIVER it stays this thread's. */
ssize_t get_next(struct cursor *c, struct shoal_thread *t, void *buffer, size_t room,
                struct sleeper *s);
/* The hint of how far gets are: every HINT_EVERY places, and once a batch. */
void get_tell(struct cursor *c, uint64_t next);
/* shoal_queue_get, whatever the queue's flags and the message. */
ssize_t get_slow(shoal_queue *q, void *buffer, size_t buffer_bytes, shoal_time timeout);
/* What is there, of this length, and in the common case, one after another: how many. */
size_t get_each(struct cursor *c, char *items, size_t bytes, size_t count);
/*
 * What no get gives: the holes that come next, and what is worn before the first that comes back.
 * Join counts them, also where nobody gets any more.
 */
void get_pass_lost(struct cursor *c, struct shoal_thread *t);

#endif
