/*
 * From an end's address to this thread's handle, and who owns the end.
 *
 * Crash points: an owner that dies right after its CAS is named by the word, and its end is closed
 * for it. A closer that dies after its end is CLOSED, and before the other one says PEER_CLOSED,
 * what lay unread is given back and all are woken: who waits there looks at both words, and watches
 * its life; recover_process does all of it again. One who dies when an end has become its own, or
 * the one's that it gave it to, before it said so to those who wait for it: the bell tells them.
 */
#include "base/error.h"
#include "base/kernel.h"
#include "base/racy.h"
#include "ring/handed.h"
#include "ring/pipe.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPIN_FIRST 400u
#define GIVE_MOST 8192u

/* ---- the parts of the body ---- */

uint32_t
pipe_ring_bytes(const shoal_arena *a, const struct pipe *p)
{
	uint32_t ring = p->ring_bytes;
	if (ring < RING_MIN || ring > RING_MAX || (ring & (ring - 1)))
		return 0;
	uint64_t rows = p->flags & SHOAL_PIPE_SHARED_ENDS ? 2 * sizeof(word64) * a->members_max : 0;
	uint64_t needed = PIPE_RINGS_AT + 2 * (uint64_t)ring + rows;
	return needed <= block_bytes(a, arena_offset(a, p)) ? ring : 0;
}

char *
pipe_ring(struct pipe *p, uint32_t ring_bytes, unsigned side)
{
	return (char *)p + PIPE_RINGS_AT + (uint64_t)side * ring_bytes;
}

word64 *
pipe_users(struct pipe *p, uint32_t ring_bytes, uint32_t members_max, unsigned side)
{
	char *rows = (char *)p + PIPE_RINGS_AT + 2 * (uint64_t)ring_bytes;
	return (word64 *)(void *)rows + (uint64_t)side * members_max;
}

/* ---- closing ---- */

static bool
same_owner(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~OWNER_PEER_CLOSED) == 0;
}

void
pipe_shut_end(shoal_arena *a, struct pipe *p, unsigned side, uint64_t seen)
{
	word64 *owner = &p->end[side].owner;
	uint64_t now = load_acquire(owner);
	while (same_owner(now, seen) && !(now & OWNER_CLOSED)) {
		uint64_t closed = (now & (OWNER_NONCE | OWNER_PEER_CLOSED)) | OWNER_CLOSED;
		if (cas64_seq_cst(owner, now, closed))
			break;
		now = load_acquire(owner);
	}
	if (!(load_acquire(owner) & OWNER_CLOSED))
		return;
	fetch_or_seq_cst(&p->end[!side].owner, OWNER_PEER_CLOSED);
	way_drain(a, p, !side);
	if (p->object < objects_high(a))
		object_note_mail(a, p->object);
	way_wake_all(&p->way[0]);
	way_wake_all(&p->way[1]);
	pipe_end_connection(a, p);
}

/*
 * The object's word is read first: what is found after that is this pipe's, or the word is another
 * one by now. Its callers are in a call on the pipe, or name it.
 */
void
pipe_end_connection(shoal_arena *a, struct pipe *p)
{
	uint32_t object = p->object;
	if (!(p->flags & PIPE_CONNECTION) || object >= objects_high(a))
		return;
	uint64_t word = load_acquire(&arena_object(a, object)->word);
	if (object_body_at(a, object) == (void *)p &&
	    (load_acquire(&p->end[0].owner) & load_acquire(&p->end[1].owner) & OWNER_CLOSED))
		object_end_alone(a, object, word);
}

/* Whether a process that uses the end is left. */
static bool
has_users(shoal_arena *a, const word64 *row)
{
	for (uint32_t i = 0; i < a->members_max; i++) {
		uint64_t user = load_seq_cst(&row[i]);
		if ((user & USER_STATE) == 1 && !process_gone(a, i, (uint32_t)(user >> 2)))
			return true;
	}
	return false;
}

void
pipe_leave_users(shoal_arena *a, struct pipe *p, unsigned side, uint32_t process, uint64_t word)
{
	uint32_t ring = pipe_ring_bytes(a, p);
	if (!ring)
		return;
	word64 *row = pipe_users(p, ring, a->members_max, side);
	bool left = cas64_seq_cst(&row[process], word, (word & ~(uint64_t)USER_STATE) | 2);
	if (!has_users(a, row)) {
		pipe_shut_end(a, p, side, load_acquire(&p->end[side].owner));
	} else if (left) {
		/* Those who wait watch the life of one user: of another one from now on. */
		way_wake_all(&p->way[0]);
		way_wake_all(&p->way[1]);
	}
}

/* ---- given to a process that has not used it yet ---- */

/*
 * The owner word has the pid and when the process started, so an end is given by one CAS: one who
 * dies or is stopped before it has changed nothing, and after it the bell says the rest. Two
 * processes that have one pid in turn are told apart, but for those that started a multiple of
 * 2^22 - 1 ticks, some 11 hours, one after the other.
 */
uint64_t
pipe_given_word(pid_t pid, uint64_t started)
{
	uint64_t bits = started ? started % (OWNER_GIVEN_STARTED >> 22) + 1 : 0;
	return OWNER_GIVEN | bits << 22 | ((uint64_t)pid & OWNER_GIVEN_PID);
}

/* Whether the process that has the pid and started then is a later one. */
static bool
is_another(uint64_t word, uint64_t started)
{
	uint64_t its = pipe_given_word(pipe_given_pid(word), started);
	return started && (word & OWNER_GIVEN_STARTED) && ((its ^ word) & OWNER_GIVEN_STARTED);
}

uint64_t
pipe_given_started(uint64_t word)
{
	uint64_t started = kernel_start_time(pipe_given_pid(word));
	return is_another(word, started) ? 0 : started;
}

/* Where /proc does not tell when it started, by the pid alone. */
bool
pipe_given_ended(uint64_t word)
{
	pid_t pid = pipe_given_pid(word);
	uint64_t started = kernel_start_time(pid);
	return is_another(word, started) || kernel_process_ended(pid, started);
}

/* ---- which pipe it was ---- */

static uint64_t
identity(const shoal_pipe_end *end)
{
	return (load_relaxed(&end->owner) & OWNER_NONCE) >> 44;
}

shoal_pipe_end *
pipe_hand_out(const shoal_arena *a, struct pipe *p, unsigned side)
{
	shoal_pipe_end *end = &p->end[side];
	uint64_t its;
	uint32_t object;
	do {
		its = identity(end);
		/* It may be another's memory by now. */
		racy_read(&object, &p->object, sizeof object);
		handed_note(a, object, end, its);
	} while (its != identity(end));
	return end;
}

/* ---- whose ---- */

static int
closed_error(void)
{
	return fail_quiet(-EPIPE, "this end of the pipe is closed, or the pipe was destroyed");
}

static const char *
side_name(const struct pipe_handle *h)
{
	return h->side ? "right" : "left";
}

static int
busy_error(const struct pipe_handle *h, pid_t pid)
{
	return fail(-EBUSY,
	            "the %s end of the pipe belongs to process %d; that one can shoal_pipe_give it, or "
	            "create the pipe with SHOAL_PIPE_SHARED_ENDS for several processes at one end",
	            side_name(h), (int)pid);
}

static uint64_t
my_word(const struct pipe_handle *h)
{
	uint32_t process = h->arena->process;
	return h->nonce | OWNER_OWNED | (uint64_t)process << 32 | process_generation(h->arena, process);
}

/* The last owner may have published without moving `tail`, and taken without moving `done`. */
static void
resume(struct pipe_handle *h)
{
	struct pipe_way *tx = h->tx, *rx = h->rx;
	if (tx) {
		uint64_t from = load_relaxed(&tx->tail) & ~UINT64_C(7);
		store_relaxed(&tx->tail, way_end(h->tx_ring, h->mask, from));
	}
	if (rx && load_relaxed(&rx->taken) > load_relaxed(&rx->done))
		store_release(&rx->done, load_relaxed(&rx->taken));
}

/* Somebody else's by the word: 0 when that one is gone, and the end closed with it. */
static int
others(struct pipe_handle *h, uint64_t word)
{
	uint32_t process = (uint32_t)(word >> 32) & 0xfff;
	if (word & OWNER_GIVEN) {
		pid_t to = pipe_given_pid(word);
		if (!pipe_given_ended(word))
			return to == getpid() ? 0 : busy_error(h, to);
	} else if (!process_gone(h->arena, process, (uint32_t)word)) {
		return busy_error(h, process_pid(h->arena, process));
	}
	pipe_shut_end(h->arena, h->pipe, h->side, word);
	return closed_error();
}

/* Registers this process as a user of a shared end. */
static int
join_users(struct pipe_handle *h)
{
	if (load_relaxed(h->user) != h->user_word) {
		store_seq_cst(h->user, h->user_word);
		fence_seq_cst();
	}
	return load_acquire(&h->end->owner) & OWNER_CLOSED ? closed_error() : 0;
}

/*
 * Those who wait at the other end, and who poll it, watch the owner's life: from then on the next
 * one's.
 */
bool
pipe_pass_end(struct pipe_handle *h, struct shoal_thread *t, uint64_t seen, uint64_t next)
{
	bool rung = bell_take(t, &h->pipe->bell);
	bool passed = cas64_seq_cst(&h->end->owner, seen, next);
	if (passed && (next & OWNER_OWNED))
		resume(h);
	way_wake_all(&h->pipe->way[0]);
	way_wake_all(&h->pipe->way[1]);
	if (rung)
		bell_give(t, &h->pipe->bell);
	return passed;
}

/*
 * The owner word says that the end is mine, or nobody's where I only look; else why not. Until the
 * record named the call another pipe may have come to lie here: its word is left alone.
 */
static int
claim(struct pipe_handle *h, struct shoal_thread *t, enum pipe_intent intent, uint64_t *word)
{
	for (;;) {
		uint64_t w = *word = load_acquire(&h->end->owner), mine = my_word(h);
		if ((w & (OWNER_CLOSED | OWNER_NONCE)) != h->nonce)
			return closed_error();
		if (h->shared != !!(w & OWNER_SHARED))
			return fail(-EPROTO,
			            "the %s end of the pipe contradicts it: shared memory was overwritten",
			            side_name(h));
		if (h->shared && pipe_user_left(h))
			return closed_error();
		if (h->shared)
			return intent == PIPE_CLAIM ? join_users(h) : 0;
		if (same_owner(w, mine))
			return 0;
		if (w & (OWNER_OWNED | OWNER_GIVEN)) {
			int rc = others(h, w);
			if (rc)
				return rc;
		}
		if (intent == PIPE_LOOK)
			return 0;
		(void)pipe_pass_end(h, t, w, mine | (w & OWNER_PEER_CLOSED));
	}
}

/* ---- the handle ---- */

static void
find_ways(struct pipe_handle *h)
{
	struct pipe *p = h->pipe;
	unsigned side = h->side;
	uint32_t ring = (uint32_t)h->mask + 1;
	bool simplex = p->flags & SHOAL_PIPE_SIMPLEX;
	h->to = &p->way[side];
	h->from = &p->way[!side];
	if (!simplex || side == SHOAL_RIGHT) {
		h->tx = h->to;
		h->tx_ring = pipe_ring(p, ring, side);
	}
	if (!simplex || side == SHOAL_LEFT) {
		h->rx = h->from;
		h->rx_ring = pipe_ring(p, ring, !side);
	}
}

/*
 * `word` is the object's, read before all else of the pipe: while it stays so, it is this pipe. 0
 * where nothing is there any more: then nothing is damaged.
 */
struct found {
	struct pipe *pipe;
	unsigned side;
	uint32_t object, ring_bytes;
	uint64_t word;
};

/*
 * The left end is where a block begins, the right one is not. What was read is what is checked:
 * others may write meanwhile.
 */
static int
find(const shoal_arena *a, const shoal_pipe_end *end, struct found *f)
{
	f->side = block_word_at(a, arena_offset(a, end)) ? SHOAL_LEFT : SHOAL_RIGHT;
	f->pipe = (struct pipe *)(uintptr_t)(end - f->side);
	f->word = 0;
	int rc = object_find_body(a, f->pipe, SHOAL_KIND_PIPE, &f->object);
	if (rc)
		return rc;
	f->word = load_acquire(&arena_object(a, f->object)->word);
	f->ring_bytes = pipe_ring_bytes(a, f->pipe);
	if (f->pipe->object == f->object && f->ring_bytes)
		return 0;
	uint32_t again;
	if (!object_is_still(a, f->object, f->word) ||
	    object_find_body(a, f->pipe, SHOAL_KIND_PIPE, &again) || again != f->object)
		f->word = 0;
	return fail(-EPROTO, "the pipe of object %u is damaged: shared memory was overwritten",
	            f->object);
}

int
pipe_find(const shoal_arena *a, const shoal_pipe_end *end, struct pipe **p, unsigned *side)
{
	struct found f;
	int rc = find(a, end, &f);
	*p = f.pipe;
	*side = f.side;
	return rc;
}

/*
 * Asked after the record names the call: true until it leaves (Y1 of sync/stay.h). The quick way
 * asks it too: the owner word has 14 bits of the identity, which come round.
 */
static bool
lives(const struct pipe_handle *h)
{
	return load_acquire(h->life) == h->alive;
}

/*
 * The object's word is read first, and again before the handle is used: what was read in between is
 * of the pipe with that word. The fence keeps the second look behind it.
 */
static int
fill_handle(struct pipe_handle *h, shoal_arena *a, shoal_pipe_end *end)
{
	struct found f;
	int rc = find(a, end, &f);
	if (object_state(f.word) != OBJECT_READY)
		return closed_error();
	uint32_t ring = f.ring_bytes;
	uint64_t its = handed_identity(f.object, f.word >> 32);
	if (rc == 0 && handed_is_anothers(end, its))
		rc = closed_error();
	if (rc)
		return rc;
	*h = (struct pipe_handle){
		.end = end,
		.mine = UINT64_MAX,
		.epoch = THREAD_NO_EPOCH,
		.object = f.object,
		.side = f.side,
		.seat = a->seat,
		.fenced = !(a->flags & ARENA_MEMBARRIER),
		.mask = ring - 1,
		.quick_mask = (ring - 1) & ~7u,
		.long_limit = ring / 4 + 1,
		.give_after = ring / 8 < GIVE_MOST ? ring / 8 : GIVE_MOST,
		.last_word = record_word(RECORD_INLINE, 0, 8),
		.spin = SPIN_FIRST,
		.pace = pace_of(ring),
		.nonce = its << 44 & OWNER_NONCE,
		.life = &arena_object(a, f.object)->word,
		.alive = f.word,
		.pipe = f.pipe,
		.arena = a,
	};
	find_ways(h);
	if (f.pipe->flags & SHOAL_PIPE_SHARED_ENDS) {
		h->shared = true;
		h->user = pipe_users(f.pipe, ring, a->members_max, f.side) + a->process;
		h->user_word = pipe_user_word(process_generation(a, a->process), 1);
	}
	fence_acquire();
	return 0;
}

static bool
is_used(const struct pipe_handle *h)
{
	return h->end && h->epoch == thread_epoch();
}

/* Where it has its handle, or is to have it: beside home while another one is there. */
static struct pipe_handle *
handle_room(struct shoal_thread *t, const shoal_pipe_end *end)
{
	struct pipe_handle *h = pipe_handle_slot(t, end);
	struct pipe_handle *home = pipe_handle_at(t, thread_home(end, PIPE_HANDLE_BITS));
	return h->end == end || (is_used(home) && !is_used(h)) ? h : home;
}

static int
find_handle(struct shoal_thread *t, shoal_arena *a, shoal_pipe_end *end, struct pipe_handle **out)
{
	if (!t->pipes && !(t->pipes = calloc(PIPE_HANDLES, PIPE_HANDLE_BYTES)))
		return fail(-ENOMEM, "no memory for this thread's handles");
	struct pipe_handle *h = *out = handle_room(t, end);
	if (h->end == end && h->epoch == thread_epoch() && h->arena == a && lives(h))
		return 0;
	return fill_handle(h, a, end);
}

/* From now on the fast path may be taken as long as the owner word stays as it is. */
static void
settle(struct pipe_handle *h, struct member *me, uint64_t word)
{
	bool quick = !h->shared && !h->fenced;
	if (h->mine != word)
		h->data_armed = h->room_armed = false;
	h->mine = word;
	h->quick_rx = quick && h->rx;
	h->quick_tx = quick && h->tx && !(word & OWNER_PEER_CLOSED);
	if (!h->quick_tx)
		h->room = (struct pipe_stretch){ 0 };
	store_relaxed(&h->end->tag, member_tag(h->arena, me));
}

static int
enter_claiming(struct pipe_handle *h, struct shoal_thread *t, enum pipe_intent intent)
{
	uint64_t word;
	int rc = claim(h, t, intent, &word);
	h->found = word;
	if (rc == 0 && intent == PIPE_CLAIM)
		settle(h, h->me, word);
	return rc;
}

static void
begin(struct pipe_handle *h)
{
	store_relaxed(&h->me->call.object, h->object);
	if (h->fenced)
		fence_seq_cst();
	fence_compiler();
}

int
pipe_nested(void)
{
	return fail(-EDEADLK, "a pipe call in a signal handler that interrupted another call");
}

int
pipe_enter(shoal_pipe_end *end, enum pipe_intent intent, struct shoal_thread **t,
           struct pipe_handle **h)
{
	*t = thread_self();
	if (unlikely(thread_is_nested(*t)))
		return pipe_nested();
	if (intent == PIPE_CLAIM && (*h = pipe_enter_quick(*t, end, LAST_OTHER)))
		return 0;
	shoal_arena *a = arena_of(end);
	struct member *me;
	if (!a)
		stop("%p is no end of a pipe in a mapped arena", (void *)end);
	int rc = member_here(a, t, &me);
	if (rc)
		return rc;
	(*t)->busy = 1;
	fence_compiler();
	rc = find_handle(*t, a, end, h);
	if (rc) {
		(*t)->busy = 0;
		return rc;
	}
	(*h)->me = me;
	(*h)->epoch = member_epoch(a, *t, me);
	begin(*h);
	rc = lives(*h) ? enter_claiming(*h, *t, intent) : closed_error();
	if (rc)
		pipe_leave(*t, *h);
	return rc;
}
