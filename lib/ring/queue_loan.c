/*
 * Loans of a queue: reserve and commit, borrow and release.
 *
 * reserve takes a block and no place, so nobody waits for it. borrow takes the place; a message
 * that came in a block frees its place at once, but under REDELIVER, where the place is what it
 * would go back to.
 */
#include "base/error.h"
#include "ring/copy.h"
#include "ring/loan.h"

static uint32_t
generation(const struct cursor *c)
{
	return (uint32_t)(c->alive >> 32);
}

/* Of another queue that had this one's address, or index, it says nothing of this one. */
static bool
is_of_queue(const struct cursor *c, const struct loan_entry *l)
{
	return loan_is_of(l, c->ring.object, generation(c));
}

static void
leave_waking(struct shoal_thread *t, struct cursor *c, void *pending)
{
	fence_compiler();
	if (unlikely(load_relaxed(&c->ring.queue->put_any)))
		queue_wake_putters(c->ring.queue);
	robust_pending_restore(t, pending);
	queue_leave(t, c);
}

static void
fill_loan(shoal_loan *out, struct cursor *c, const struct loan_entry *l, uint32_t way)
{
	out->kind = LOAN_OF_QUEUE | way;
	out->internal_[LOAN_RING] = (uintptr_t)c->ring.queue;
	loan_name_entry(out, out->bytes, l, c->me);
	loan_name_which(out, l);
	loan_name_owner(out, l, c->tag);
	out->internal_[LOAN_BLOCK_OFFSET] = load_relaxed(&l->block);
}

static int
too_many(void)
{
	return fail(-EBUSY, "this thread has %d loans out already; release some", LOANS_MAX);
}

/* ---- reserve, commit ---- */

static int
reserve(struct cursor *c, struct shoal_thread *t, size_t bytes, shoal_loan *out)
{
	uint64_t block;
	struct loan_entry *l = loan_free_entry(c->me);
	if (!l)
		return too_many();
	int rc = block_take(c->arena, t, c->me, bytes < LINE ? LINE : bytes, &block);
	if (rc)
		return rc;
	loan_fill(l, c->ring.object, generation(c), 0, block, LOAN_RESERVED);
	hand_clear(&c->me->hand);
	*out = (shoal_loan){ .data = arena_at(c->arena, block), .bytes = bytes };
	fill_loan(out, c, l, LOAN_TO_SEND);
	return 0;
}

int
shoal_queue_reserve(shoal_queue *q, size_t bytes, shoal_time timeout, shoal_loan *out)
{
	struct shoal_thread *t;
	struct cursor *c;
	(void)timeout; /* it takes no place, so there is nothing to wait for */
	if (bytes > MESSAGE_MAX)
		return put_too_long(bytes);
	int rc = queue_enter(q, &t, &c);
	if (rc)
		return rc;
	rc = load_relaxed(&q->closing) ? fail_quiet(-EPIPE, "the queue is closed")
	                               : reserve(c, t, bytes, out);
	queue_leave(t, c);
	return rc;
}

/*
 * 0, where the entry has this very loan of this very queue. A copy of a loan that ended must not
 * end the next one in its entry, nor one of a queue that was destroyed a loan of the next queue at
 * its address: -EPIPE.
 */
static int
check_entry(const struct cursor *c, const struct loan_entry *l, const shoal_loan *loan)
{
	if (!loan_is_entry(loan, l) || load_relaxed(&l->state) >= LOAN_STATES_OF_PIPE)
		return loan_ended();
	return is_of_queue(c, l) ? 0 : queue_destroyed();
}

/* The loan's queue, cursor and entry, if it is this thread's. */
static int
enter_loan(shoal_loan *loan, struct shoal_thread **t, struct cursor **c, struct loan_entry **l)
{
	shoal_queue *q = (shoal_queue *)(uintptr_t)loan->internal_[LOAN_RING];
	int rc = queue_enter(q, t, c);
	if (rc)
		return rc;
	*l = loan_entry(loan, (*c)->me);
	if (loan_tag(loan) != (*c)->tag)
		rc = fail(-EPERM, "the loan belongs to another thread; shoal_loan_adopt moves it");
	else
		rc = check_entry(*c, *l, loan);
	if (rc)
		queue_leave(*t, *c);
	return rc;
}

/*
 * A short message goes inside the slot after all: its receiver then frees nothing. The entry names
 * the block until it is sent; the hand does from before its word changes.
 */
static int
commit(struct cursor *c, struct shoal_thread *t, struct loan_entry *l, uint64_t block,
       size_t bytes, shoal_time timeout)
{
	if (bytes <= ring_inside(&c->ring)) {
		int rc = put_inline(c, t, arena_at(c->arena, block), bytes, 0, timeout);
		if (rc == 0) {
			(void)block_give(c->arena, c->me, block);
			loan_clear(l);
		}
		return rc;
	}
	hand_fill(&c->me->hand, HAND_PUT, c->ring.object, UINT64_MAX, block);
	struct sleeper s = { .gate = &c->ring.queue->put.wait, .timeout = timeout };
	int rc = put_block(c, t, block, bytes, 0, &s);
	if (rc == 0)
		loan_clear(l);
	else
		hand_clear(&c->me->hand);
	return rc;
}

int
queue_loan_commit(shoal_loan *loan, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	struct loan_entry *l;
	int rc = enter_loan(loan, &t, &c, &l);
	if (rc)
		return rc;
	uint64_t block = loan->internal_[LOAN_BLOCK_OFFSET];
	if (loan->bytes > loan_reserved(loan) || loan->bytes > block_bytes(c->arena, block))
		rc = loan_too_long(loan);
	else
		rc = commit(c, t, l, block, loan->bytes, timeout);
	if (rc == 0)
		loan->kind = 0;
	queue_leave(t, c);
	return rc;
}

/* ---- borrow, release ---- */

/*
 * Crash points: while both the call and the entry name the place, recovery settles it by the call,
 * whose row.base still holds. From then on the call names nothing: places given back later in it
 * change what row.base says.
 */
static void
keep_place(struct cursor *c, struct loan_entry *l, const struct taken *m, enum loan_state state)
{
	loan_fill(l, c->ring.object, generation(c), m->place, m->block, state);
	store_release(&c->me->call.pos, UINT64_MAX);
	hand_clear(&c->me->hand);
}

void
loan_record(struct cursor *c, struct loan_entry *l, const struct taken *m)
{
	keep_place(c, l, m, LOAN_PLACE);
}

/* A block whose place goes on at once: from PLACE to BLOCK before the place is given back. */
static void
detach_block(struct cursor *c, struct loan_entry *l, const struct taken *m)
{
	loan_fill(l, c->ring.object, generation(c), m->place, m->block, LOAN_BLOCK);
	hand_clear(&c->me->hand);
	get_release(c, m);
}

static int
borrow(struct cursor *c, struct shoal_thread *t, shoal_time timeout, shoal_loan *out)
{
	struct sleeper s = { .gate = &c->ring.queue->get.wait, .timeout = timeout };
	struct taken m;
	struct loan_entry *l = loan_free_entry(c->me);
	if (!l)
		return too_many();
	int rc = get_take(c, t, SIZE_MAX, SIZE_MAX, 1, &s, &m);
	if (rc)
		return rc;
	rc = get_taken_data(c, &m);
	if (rc)
		return rc;
	if (m.block && !(c->ring.flags & SHOAL_QUEUE_REDELIVER))
		detach_block(c, l, &m);
	else
		loan_record(c, l, &m);
	*out = (shoal_loan){
		.data = m.block ? arena_at(c->arena, m.block) : (void *)m.slot->payload,
		.bytes = m.bytes,
		.deliveries = slot_tries(m.word) + slot_returns(load_relaxed(&m.slot->flags)) + 1,
	};
	fill_loan(out, c, l, LOAN_RECEIVED);
	return 0;
}

int
shoal_queue_borrow(shoal_queue *q, shoal_time timeout, shoal_loan *out)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (rc)
		return rc;
	void *old = robust_pending_set(t, &q->put.wait);
	rc = borrow(c, t, timeout, out);
	leave_waking(t, c, old);
	return rc;
}

/* The place as this member has it; READING(me) stays until this member changes it. */
static struct taken
taken_of(const struct cursor *c, const struct loan_entry *l)
{
	uint64_t place = load_relaxed(&l->pos);
	struct slot *s = cursor_slot_at(c, place);
	return (struct taken){ .slot = s, .place = place, .word = load_relaxed(&s->turn),
		               .bytes = load_relaxed(&s->bytes), .block = load_relaxed(&l->block) };
}

/* Else somebody wrote over the place or the entry, and the place is left as it is. */
static bool
is_mine(const struct cursor *c, const struct taken *m)
{
	return slot_state(m->word) == READING && slot_owner(m->word) == c->tag;
}

/*
 * Crash points: base is written while the state still says PLACE; from RELEASING on, `got` is base
 * + 1 whatever it says, if the place is still READING(me).
 */
void
loan_end(struct cursor *c, struct loan_entry *l, const struct taken *m)
{
	struct queue_row *row = queue_row(c->ring.queue, c->tag);
	if (unlikely(!is_mine(c, m))) {
		if (m->block)
			(void)block_give(c->arena, c->me, m->block);
		loan_clear(l);
		return;
	}
	if (c->ring.flags & SHOAL_QUEUE_JOINABLE) {
		uint64_t base = load_relaxed(&row->got);
		store_relaxed(&l->base, base);
		store_release(&l->state, LOAN_RELEASING);
		store_release(&row->base, base);
		fence_crash();
	}
	bool holds = slot_mark(load_relaxed(&m->slot->flags)) & MARK_HOLDS;
	get_release(c, m);
	if (m->block)
		(void)block_give(c->arena, c->me, m->block);
	loan_clear(l);
	if (unlikely(holds))
		object_note_mail(c->arena, c->ring.object);
}

int
loan_keep(struct cursor *c, struct loan_entry *l, struct taken *m, void *to)
{
	int rc = get_taken_data(c, m);
	if (unlikely(rc))
		return rc;
	const void *from = m->block ? arena_at(c->arena, m->block) : (void *)m->slot->payload;
	keep_place(c, l, m, LOAN_KEPT);
	memcpy(to, from, m->bytes);
	return 0;
}

bool
loan_end_oldest(struct cursor *c)
{
	struct loan_entry *oldest = NULL;
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		struct loan_entry *l = &c->me->loans[i];
		if (load_relaxed(&l->state) != LOAN_KEPT || !is_of_queue(c, l))
			continue;
		if (!oldest || load_relaxed(&l->order) < load_relaxed(&oldest->order))
			oldest = l;
	}
	if (!oldest)
		return false;
	struct taken m = taken_of(c, oldest);
	loan_end(c, oldest, &m);
	return true;
}

uint32_t
loan_count(const struct cursor *c)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		const struct loan_entry *l = &c->me->loans[i];
		n += load_relaxed(&l->state) == LOAN_PLACE && is_of_queue(c, l);
	}
	return n;
}

static void
release(struct cursor *c, struct loan_entry *l)
{
	struct taken m = taken_of(c, l);
	switch (load_relaxed(&l->state)) {
	case LOAN_RESERVED:
	case LOAN_BLOCK:
		(void)block_give(c->arena, c->me, m.block);
		loan_clear(l);
		break;
	default:
		loan_end(c, l, &m);
		break;
	}
}

static int
end_loan(shoal_loan *loan, bool done)
{
	struct shoal_thread *t;
	struct cursor *c;
	struct loan_entry *l;
	int rc = enter_loan(loan, &t, &c, &l);
	if (rc)
		return rc;
	if (done && !(c->ring.flags & SHOAL_QUEUE_JOINABLE)) {
		queue_leave(t, c);
		return fail(-EINVAL, "shoal_loan_finish needs a JOINABLE queue; use shoal_loan_release");
	}
	const struct queue_row *row = queue_row(c->ring.queue, c->tag);
	if (done && load_relaxed(&row->done) >= load_relaxed(&row->got) + loan_count(c)) {
		queue_leave(t, c);
		return fail(-EOVERFLOW, "task_done was called for this message already");
	}
	void *old = robust_pending_set(t, &c->ring.queue->put.wait);
	release(c, l);
	loan->kind = 0;
	if (done)
		queue_count_done(c, t);
	leave_waking(t, c, old);
	return 0;
}

/*
 * Its queue is destroyed, and its place with that, whatever lies there now; a block is this
 * thread's yet.
 */
static void
drop(shoal_loan *loan)
{
	shoal_arena *a = arena_of((void *)(uintptr_t)loan->internal_[LOAN_RING]);
	struct shoal_thread *t;
	struct member *me;
	if (!a || member_here(a, &t, &me) || loan_tag(loan) != member_tag(a, me))
		return;
	struct loan_entry *l = loan_entry(loan, me);
	uint64_t block = loan->internal_[LOAN_BLOCK_OFFSET];
	if (!loan_is_entry(loan, l))
		return;
	if (block)
		block_reclaim(a, block, block_word(BLOCK_HELD, 0, member_tag(a, me)));
	loan_clear(l);
	loan->kind = 0;
}

void
queue_loan_release(shoal_loan *loan)
{
	if (end_loan(loan, false) == -EPIPE)
		drop(loan);
}

int
queue_loan_finish(shoal_loan *loan)
{
	return end_loan(loan, true);
}

/*
 * What the word counts of deliveries ends a message that kills its takers; what living ones return
 * is not counted there, but for the first time: the word tells then that it is not the first
 * delivery any more.
 */
static uint64_t
returned(struct slot *s, uint64_t word)
{
	uint32_t flags = load_relaxed(&s->flags), tries = slot_tries(word);
	if (tries && slot_returns(flags) < SLOT_RETURNS_MAX)
		store_relaxed(&s->flags, flags + (UINT32_C(1) << SLOT_RETURNS_SHIFT));
	return slot_word(BACK, slot_lap(word), 0, tries ? tries - 1 : 0);
}

/*
 * Delivered again, to anybody. Crash points: the block goes back to its place while that is
 * READING(me); then the return is counted in flags: recovery makes the place BACK with the delivery
 * counted too, so the next one counts one more than there were; then the place itself. The entry is
 * cleared last: recovery finds the place not READING(me) and leaves it.
 *
 * Stopped between the two counts of `backs`: who looked before the place was BACK looks again as
 * long as the record says RETURN.
 */
static int
put_back(struct cursor *c, struct loan_entry *l)
{
	shoal_queue *q = c->ring.queue;
	struct taken m = taken_of(c, l);
	struct queue_row *row = queue_row(q, c->tag);
	if (!is_mine(c, &m))
		return fail(-EPROTO,
		            "place %llu of queue %u is not the loan's: shared memory was overwritten",
		            (unsigned long long)m.place, c->ring.object);
	if (m.block)
		(void)block_change(c->arena, m.block, block_word(BLOCK_HELD, 0, c->tag),
		                   block_word(BLOCK_PLACE, c->ring.object, m.place));
	store_relaxed(&c->me->call.kind, CALL_RETURN);
	queue_note_back(q);
	queue_publish(c, m.slot, returned(m.slot, m.word));
	queue_note_back(q);
	store_release(&c->me->call.kind, CALL_NONE);
	store_relaxed(&row->redelivered, load_relaxed(&row->redelivered) + 1);
	loan_clear(l);
	queue_wake_all(q);
	return 0;
}

int
queue_loan_return(shoal_loan *loan)
{
	struct shoal_thread *t;
	struct cursor *c;
	struct loan_entry *l;
	int rc = enter_loan(loan, &t, &c, &l);
	if (rc)
		return rc;
	if (!(c->ring.flags & SHOAL_QUEUE_REDELIVER)) {
		rc = fail(-EINVAL, "shoal_loan_return needs a REDELIVER queue");
	} else {
		rc = put_back(c, l);
		if (rc == 0)
			loan->kind = 0;
	}
	queue_leave(t, c);
	return rc;
}

/*
 * The block first: while it bears my name and its place does not, recovery of either of us gives it
 * to whoever the place names then (queue_settle_block).
 */
static bool
move(struct cursor *c, uint32_t from, uint64_t pos, uint64_t block, uint32_t state)
{
	if (block && !block_change(c->arena, block, block_word(BLOCK_HELD, 0, from),
	                           block_word(BLOCK_HELD, 0, c->tag)))
		return false;
	if (state != LOAN_PLACE && state != LOAN_KEPT)
		return true;
	struct slot *s = cursor_slot_at(c, pos);
	uint64_t word = load_acquire(&s->turn);
	if (slot_owner(word) == from &&
	    cas64_acq_rel(&s->turn, word,
	                  slot_word(READING, slot_lap(word), c->tag, slot_tries(word))))
		return true;
	if (block && !queue_settle_block(c->arena, &c->ring, pos, block, c->tag))
		block_reclaim(c->arena, block, block_word(BLOCK_HELD, 0, c->tag));
	return false;
}

static int
ended_with_its_thread(void)
{
	return fail(-EINVAL, "the loan ended with the thread that had it");
}

/*
 * From another thread's record to mine. Crash points: my entry names it first, and finds that the
 * place and the block do not bear my name yet; then they change hands, one CAS each; the old entry
 * goes last, and finds the same. It goes as it was found: its thread may have ended meanwhile, and
 * the record be another one's.
 */
static int
adopt(struct cursor *c, shoal_loan *loan, struct member *from)
{
	struct loan_entry *theirs = loan_entry(loan, from);
	struct loan_entry *mine = loan_free_entry(c->me);
	uint64_t use = loan_use(theirs);
	uint32_t state = loan_use_state(use), tag = loan_tag(loan);
	uint64_t pos = loan_pos(loan), block = loan->internal_[LOAN_BLOCK_OFFSET];
	if (!mine)
		return too_many();
	int rc = check_entry(c, theirs, loan);
	if (rc || member_state(c->arena, tag) != MEMBER_ALIVE)
		return rc == -EPIPE ? rc : ended_with_its_thread();
	loan_fill(mine, c->ring.object, generation(c), pos, block, state);
	if (!move(c, tag, pos, block, state)) {
		loan_clear(mine);
		return ended_with_its_thread();
	}
	loan_clear_of(theirs, use);
	size_t reserved = loan_reserved(loan);
	fill_loan(loan, c, mine, loan->kind & ~(uint32_t)LOAN_OF);
	loan_name_entry(loan, reserved, mine, c->me);
	return 0;
}

/* Once more whether it lives: else the process that was read is the next one's. */
static int
is_another_ones(const struct cursor *c, uint32_t tag)
{
	fence_acquire();
	return member_state(c->arena, tag) == MEMBER_ALIVE
	           ? fail(-EPERM, "the loan belongs to another process")
	           : ended_with_its_thread();
}

int
queue_loan_adopt(shoal_loan *loan)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter((shoal_queue *)(uintptr_t)loan->internal_[LOAN_RING], &t, &c);
	if (rc)
		return rc;
	uint32_t tag = loan_tag(loan);
	struct member *from = member_of_tag(c->arena, tag);
	if (from == c->me && tag == c->tag)
		rc = check_entry(c, loan_entry(loan, from), loan);
	else if (!from || member_state(c->arena, tag) != MEMBER_ALIVE)
		rc = ended_with_its_thread();
	else if (load_relaxed(&from->process) != c->arena->process)
		rc = is_another_ones(c, tag);
	else
		rc = adopt(c, loan, from);
	queue_leave(t, c);
	return rc;
}
