/*
 * Loans of a pipe: reserve and commit, borrow and release.
 *
 * reserve takes a block and no place, so nobody waits for it. borrow lends the record where it
 * lies: the writer passes its bytes by until the loan ends, in whatever order loans end. A message
 * that came in a block frees its place at once.
 *
 * Crash points: the entry of the loan is filled before the hand is cleared, and before a record
 * counts as lent; recovery ends what the entry names by one CAS from exactly what its member alone
 * can have written (block HELD(dead), the record lent to dead), so ending it twice does nothing.
 * The position is of one pipe: another one may have its index, its memory, and a record lent out at
 * the same position; by the generation in the entry it is told apart.
 *
 * With SHARED_ENDS another one goes on. Of a borrower of a record in place that died under the
 * readers' lock, by what was stored last:
 *	the entry      the record is the next one's, who may note it at the same index, by its own name
 *	lent           so is the record; who mends the lock takes the dead one's name away, or the dead
 *	               one's recovery does
 *	`taken`        dropped and counted by who mends the lock, who takes the name away first
 *	`done`         dropped and counted by the recovery, if it finds the name
 * So a record is counted once, and no recovery ends another one's loan.
 */
#include "base/error.h"
#include "base/probe.h"
#include "ring/loan.h"
#include "ring/pipe.h"

static int
too_many(void)
{
	return fail(-EBUSY, "this thread has %d loans out already; release some", LOANS_MAX);
}

static uint32_t
generation(const struct pipe_handle *h)
{
	return (uint32_t)(h->alive >> 32);
}

static void
fill_loan(shoal_loan *out, struct pipe_handle *h, struct member *me, const struct loan_entry *l,
          uint32_t way)
{
	out->kind = LOAN_OF_PIPE | way;
	out->deliveries = way == LOAN_RECEIVED;
	out->internal_[LOAN_RING] = (uintptr_t)h->end;
	loan_name_entry(out, out->bytes, l, me);
	loan_name_which(out, l);
	loan_name_owner(out, l, member_tag(h->arena, me));
	out->internal_[LOAN_BLOCK_OFFSET] = load_relaxed(&l->block);
}

/* ---- reserve, commit ---- */

static int
reserve(struct pipe_handle *h, struct shoal_thread *t, size_t bytes, shoal_loan *out)
{
	struct member *me = pipe_me(h, t);
	if (!h->tx)
		return fail(-EPERM, "the left end of a SIMPLEX pipe only receives");
	if (pipe_end_closed(h) || pipe_peer_closed(h))
		return fail_quiet(-EPIPE, "the other end of the pipe is closed: nobody would receive it");
	struct loan_entry *l = loan_free_entry(me);
	if (!l)
		return too_many();
	uint64_t block;
	int rc = block_take(h->arena, t, me, bytes < LINE ? LINE : bytes, &block);
	if (rc)
		return rc;
	loan_fill(l, h->object, generation(h), 0, block, LOAN_PIPE_BLOCK);
	hand_clear(&me->hand);
	*out = (shoal_loan){ .data = arena_at(h->arena, block), .bytes = bytes };
	fill_loan(out, h, me, l, LOAN_TO_SEND);
	return 0;
}

int
shoal_pipe_reserve(shoal_pipe_end *end, size_t bytes, shoal_time timeout, shoal_loan *out)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	(void)timeout; /* it takes no place, so there is nothing to wait for */
	if (bytes > PIPE_MESSAGE_MAX)
		return fail_small(bytes, "a message of %zu bytes: the most is %llu", bytes,
		                  (unsigned long long)PIPE_MESSAGE_MAX);
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (rc)
		return rc;
	rc = reserve(h, t, bytes, out);
	pipe_leave(t, h);
	return rc;
}

/* Whether the pipe that it is of is there, and has not been destroyed. */
static bool
is_there(const shoal_arena *a, uint32_t object, uint32_t its)
{
	if (object >= objects_high(a))
		return false;
	uint64_t word = load_acquire(&arena_object(a, object)->word);
	return word >> 32 == its && object_state(word) == OBJECT_READY;
}

static int
pipe_destroyed(void)
{
	return fail_quiet(-EPIPE, "the pipe that the loan is of was destroyed");
}

/* Whether the call may be made here, by this thread. */
static int
may_end(shoal_arena *a, const shoal_loan *loan, struct shoal_thread **t, struct member **me)
{
	if (thread_is_nested(thread_known()))
		return pipe_nested();
	int rc = member_here(a, t, me);
	if (rc == 0 && loan_tag(loan) != member_tag(a, *me))
		rc = fail(-EPERM, "the loan belongs to another thread; shoal_loan_adopt moves it");
	return rc;
}

/* The loan's handle and entry, if it is this thread's. */
static int
enter_loan(const shoal_loan *loan, struct shoal_thread **t, struct pipe_handle **h,
           struct loan_entry **l)
{
	shoal_pipe_end *end = (shoal_pipe_end *)(uintptr_t)loan->internal_[LOAN_RING];
	shoal_arena *a = arena_of(end);
	struct member *me;
	/* First: to one whose loan it is not, a child of its owner's, the end is another process's. */
	int rc = a ? may_end(a, loan, t, &me) : 0;
	/* Nor does it claim the end of the next pipe at its own one's address. */
	if (rc == 0 && a && !is_there(a, loan_object(loan), loan_generation(loan)))
		rc = pipe_destroyed();
	if (rc || (rc = pipe_enter(end, PIPE_CLAIM, t, h)))
		return rc;
	me = pipe_me(*h, *t);
	*l = loan_entry(loan, me);
	if (!loan_is_entry(loan, *l))
		rc = loan_ended();
	else if (!loan_is_of(*l, (*h)->object, generation(*h)))
		rc = pipe_destroyed();
	if (rc)
		pipe_leave(*t, *h);
	return rc;
}

/* The entry names the block until it is sent; the hand does from before its word changes. */
static int
commit(struct pipe_handle *h, struct shoal_thread *t, struct loan_entry *l, uint64_t block,
       size_t bytes, shoal_time timeout)
{
	struct hand *hand = &pipe_me(h, t)->hand;
	if (!h->tx)
		return fail(-EPERM, "the left end of a SIMPLEX pipe only receives");
	hand_take(hand, block);
	int rc = send_block(h, t, block, bytes, 0, timeout);
	if (rc == 0)
		loan_clear(l);
	else
		hand_clear(hand);
	return rc;
}

int
pipe_loan_commit(shoal_loan *loan, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	struct loan_entry *l;
	int rc = enter_loan(loan, &t, &h, &l);
	if (rc)
		return rc;
	uint64_t block = loan->internal_[LOAN_BLOCK_OFFSET];
	if (loan->bytes > loan_reserved(loan) || loan->bytes > block_bytes(h->arena, block)) {
		pipe_leave(t, h);
		return loan_too_long(loan);
	}
	void *old = t->robust->pending;
	if (h->tx)
		robust_pending_set(t, &h->tx->data.wait);
	rc = commit(h, t, l, block, loan->bytes, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	if (rc == 0)
		loan->kind = 0;
	return rc;
}

/* ---- borrow, release ---- */

static int
lend_place(struct pipe_handle *h, const struct pipe_message *m, struct loan_entry *l)
{
	struct pipe_way *w = h->rx;
	unsigned i = 0;
	while (i < BORROWED_MAX && load_relaxed(&w->borrowed[i]))
		i++;
	if (i == BORROWED_MAX)
		return fail(-EBUSY, "%u messages of this end are borrowed already; release some",
		            BORROWED_MAX);
	PROBE_PIPE_RECV(h->end, m->pos, m->bytes, 1);
	store_relaxed(&l->base, i);
	loan_fill(l, h->object, generation(h), m->pos, 0,
	          h->side ? LOAN_PIPE_RIGHT : LOAN_PIPE_LEFT);
	fence_crash();
	store_relaxed(&w->borrowing, 1);
	store_release(&w->borrowed[i], lent_word(member_own_tag(h->me), m->pos));
	fence_crash();
	store_relaxed(&w->taken, m->next);
	recv_pass(h, m);
	return 0;
}

static int
lend(struct pipe_handle *h, struct member *me, const struct pipe_message *m, struct loan_entry *l,
     shoal_loan *out)
{
	int rc = m->block ? recv_take_block(h, me, m) : lend_place(h, m, l);
	if (rc)
		return rc;
	if (m->block) {
		loan_fill(l, h->object, generation(h), m->pos, m->block, LOAN_PIPE_BLOCK);
		hand_clear(&me->hand);
	}
	void *data = m->block ? arena_at(h->arena, m->block) : m->data;
	*out = (shoal_loan){ .data = data, .bytes = m->bytes };
	fill_loan(out, h, me, l, LOAN_RECEIVED);
	return 0;
}

int
shoal_pipe_borrow(shoal_pipe_end *end, shoal_time timeout, shoal_loan *out)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (rc)
		return rc;
	struct pipe_wait w = { .timeout = timeout };
	struct pipe_message m;
	void *old = t->robust->pending;
	struct member *me = pipe_me(h, t);
	struct loan_entry *l = loan_free_entry(me);
	rc = l ? recv_next(h, t, &w, &m) : too_many();
	if (rc == 0) {
		rc = m.mark ? recv_refuse_marked() : lend(h, me, &m, l, out);
		recv_give_back(h, t);
	}
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}

/* Of a pipe that is no more, or was overwritten: NULL. */
static struct pipe *
pipe_of(shoal_arena *a, const struct loan_entry *l)
{
	uint32_t object = load_relaxed(&l->object);
	bool there = is_there(a, object, load_relaxed(&l->generation));
	struct pipe *p = there ? object_body_at(a, object) : NULL;
	return p && pipe_ring_bytes(a, p) ? p : NULL;
}

static struct pipe_way *
way_of(struct pipe *p, uint32_t state)
{
	return &p->way[state == LOAN_PIPE_LEFT ? SHOAL_RIGHT : SHOAL_LEFT];
}

/* From one member's name to another's, or to 0. False: it is not that one's. */
static bool
rename_lent(struct pipe_way *w, const struct loan_entry *l, uint32_t tag, uint32_t to)
{
	uint64_t pos = load_relaxed(&l->pos), i = load_relaxed(&l->base);
	return i < BORROWED_MAX &&
	       cas64_seq_cst(&w->borrowed[i], lent_word(tag, pos), to ? lent_word(to, pos) : 0);
}

/*
 * The space is the writer's again; `borrowed` is what a writer asleep watches. `done` is read first
 * (way_drop_taken). Where nobody else goes on at this end, `taken` tells as well.
 */
static bool
end_place(struct pipe *p, struct pipe_way *w, const struct loan_entry *l, uint32_t tag)
{
	uint64_t pos = load_relaxed(&l->pos);
	bool alone = !(p->flags & SHOAL_PIPE_SHARED_ENDS);
	bool passed = load_acquire(&w->done) > pos || (alone && load_acquire(&w->taken) > pos);
	bool ended = rename_lent(w, l, tag, TAG_NONE);
	fence_seq_cst();
	if (load_relaxed(&w->room_any))
		way_wake_writers(w);
	return passed && ended;
}

/*
 * The pipe is named meanwhile, so that nobody else gets its memory; without that where the record
 * has no place for another name, since nobody else would give the place back. Of a pipe that is no
 * more there is nothing to give back.
 */
bool
pipe_end_loan(shoal_arena *a, struct shoal_thread *t, struct member *me,
              const struct loan_entry *l, uint32_t state)
{
	uint32_t object = load_relaxed(&l->object), its = load_relaxed(&l->generation);
	word32 *name = is_there(a, object, its) ? object_stay(a, me, object, its) : NULL;
	struct pipe *p = pipe_of(a, l);
	bool ended = false;
	if (p) {
		struct pipe_way *w = way_of(p, state);
		void *old = robust_pending_set(t, &w->room.wait);
		ended = end_place(p, w, l, member_tag(a, me));
		robust_pending_restore(t, old);
	}
	if (name)
		object_unstay(name);
	return ended;
}

/* Ends without the end's handle, which may be closed or given away by now. */
void
pipe_loan_release(shoal_loan *loan)
{
	shoal_pipe_end *end = (shoal_pipe_end *)(uintptr_t)loan->internal_[LOAN_RING];
	shoal_arena *a = arena_of(end);
	struct shoal_thread *t;
	struct member *me;
	if (!a)
		stop("shoal_loan_release: the loan is of an arena that is not attached any more");
	if (may_end(a, loan, &t, &me))
		return;
	struct loan_entry *l = loan_entry(loan, me);
	bool out = loan_is_entry(loan, l);
	loan->kind = 0;
	if (!out)
		return;
	t->busy = 1;
	if (load_relaxed(&l->state) == LOAN_PIPE_BLOCK)
		(void)block_give(a, me, loan->internal_[LOAN_BLOCK_OFFSET]);
	else
		(void)pipe_end_loan(a, t, me, l, load_relaxed(&l->state));
	loan_clear(l);
	t->busy = 0;
}

/* ---- adopt ---- */

/*
 * By one CAS from the other's name to mine, block or record, while the pipe of the record is named:
 * one that was destroyed has no more to lend. False: the loan has ended.
 */
static bool
move(shoal_arena *a, struct member *me, const struct loan_entry *l, uint32_t tag)
{
	uint32_t mine = member_tag(a, me), state = load_relaxed(&l->state);
	if (state == LOAN_PIPE_BLOCK)
		return block_change(a, load_relaxed(&l->block), block_word(BLOCK_HELD, 0, tag),
		                    block_word(BLOCK_HELD, 0, mine));
	word32 *name = object_stay(a, me, load_relaxed(&l->object), load_relaxed(&l->generation));
	struct pipe *p = name ? pipe_of(a, l) : NULL;
	bool moved = p && rename_lent(way_of(p, state), l, tag, mine);
	if (name)
		object_unstay(name);
	return moved;
}

/*
 * Crash points: mine is filled before the loan is moved, the other's is cleared after that. In
 * between both name it, and it bears the name of one of the two, whose end is its end. The other
 * thread may end meanwhile: then it is ended, and not moved; or moved, and the other's entry is
 * cleared by then, or the next one's who has the record.
 */
static int
adopt(shoal_arena *a, struct member *from, uint32_t tag, struct member *me, shoal_loan *loan)
{
	struct loan_entry *l = loan_free_entry(me);
	struct loan_entry *old = loan_entry(loan, from);
	uint64_t use = loan_use(old), block = loan->internal_[LOAN_BLOCK_OFFSET];
	if (!l)
		return too_many();
	if (!loan_is_entry(loan, old))
		return loan_ended();
	store_relaxed(&l->base, load_relaxed(&old->base));
	uint32_t process = load_relaxed(&from->process);
	if (member_state(a, tag) != MEMBER_ALIVE || !loan_use_state(use))
		return loan_ended();
	if (process != a->process)
		return fail(-EPERM, "the loan belongs to another process");
	loan_fill(l, loan_object(loan), loan_generation(loan), loan_pos(loan), block,
	          loan_use_state(use));
	if (!move(a, me, l, tag)) {
		loan_clear(l);
		return loan_ended();
	}
	loan_clear_of(old, use);
	loan_name_entry(loan, loan_reserved(loan), l, me);
	loan_name_which(loan, l);
	loan_name_owner(loan, l, member_tag(a, me));
	return 0;
}

int
pipe_loan_adopt(shoal_loan *loan)
{
	shoal_arena *a = arena_of((void *)(uintptr_t)loan->internal_[LOAN_RING]);
	struct shoal_thread *t;
	struct member *me;
	if (!a)
		return loan_ended();
	if (thread_is_nested(thread_known()))
		return fail(-EDEADLK, "shoal_loan_adopt in a signal handler inside another call");
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	uint32_t tag = loan_tag(loan);
	struct member *from = member_of_tag(a, tag);
	if (from == me && tag == member_tag(a, me))
		return loan_is_entry(loan, loan_entry(loan, me)) ? 0 : loan_ended();
	t->busy = 1;
	rc = from ? adopt(a, from, tag, me, loan) : loan_ended();
	t->busy = 0;
	return rc;
}
