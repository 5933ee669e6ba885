/* The entries of loans, and the public calls on them. */
#include "ring/loan.h"
#include "base/error.h"
#include "ring/pipe.h"

static struct loan_entry *
first_free(struct member *me)
{
	for (unsigned i = 0; i < LOANS_MAX; i++)
		if (load_relaxed(&me->loans[i].state) == LOAN_NONE)
			return &me->loans[i];
	return NULL;
}

/* Its queue was destroyed and buried, as none is on which this thread is in a call. */
static bool
is_outlived(const shoal_arena *a, const struct loan_entry *l)
{
	uint32_t object = load_relaxed(&l->object);
	uint64_t word = object < objects_high(a) ? load_acquire(&arena_object(a, object)->word) : 0;
	return word >> 32 != load_relaxed(&l->generation);
}

/*
 * What gets kept of queues that are no more: nobody can report that by task_done, and no user has a
 * loan of it to release. Crash points: the block is this member's while the entry names it; then it
 * is free, and the entry says nothing of who has it since.
 */
static void
clear_outlived(shoal_arena *a, struct member *me)
{
	uint64_t held = block_word(BLOCK_HELD, 0, member_own_tag(me));
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		struct loan_entry *l = &me->loans[i];
		if (load_relaxed(&l->state) != LOAN_KEPT || !is_outlived(a, l))
			continue;
		if (load_relaxed(&l->block))
			block_reclaim(a, load_relaxed(&l->block), held);
		loan_clear(l);
	}
}

struct loan_entry *
loan_free_entry(struct member *me)
{
	struct loan_entry *l = first_free(me);
	if (likely(l))
		return l;
	clear_outlived(arena_of(me), me);
	return first_free(me);
}

void
loan_fill(struct loan_entry *l, uint32_t object, uint32_t generation, uint64_t pos, uint64_t block,
          uint32_t state)
{
	static __thread uint64_t order;
	store_relaxed(&l->object, object);
	store_relaxed(&l->generation, generation);
	store_relaxed(&l->pos, pos);
	store_relaxed(&l->block, block);
	store_relaxed(&l->order, ++order);
	store_relaxed(&l->filled, load_relaxed(&l->filled) + 1);
	store_release(&l->state, state);
}

void
loan_clear(struct loan_entry *l)
{
	store_release(&l->state, LOAN_NONE);
}

void
loan_clear_of(struct loan_entry *l, uint64_t use)
{
	cas64_acq_rel(&l->use, use, use & ~(uint64_t)UINT32_MAX);
}

bool
loan_is_entry(const shoal_loan *loan, const struct loan_entry *l)
{
	return load_acquire(&l->state) != LOAN_NONE &&
	       loan_is_of(l, loan_object(loan), loan_generation(loan)) &&
	       loan_which(loan, l) == loan->internal_[LOAN_POS] &&
	       load_relaxed(&l->block) == loan->internal_[LOAN_BLOCK_OFFSET];
}

int
loan_too_long(const shoal_loan *loan)
{
	return fail_small(loan->bytes, "the loan has %zu bytes, more than the %zu that were reserved",
	                  loan->bytes, loan_reserved(loan));
}

int
loan_ended(void)
{
	return fail(-EINVAL, "the loan has ended already");
}

int
shoal_loan_commit(shoal_loan *loan, shoal_time timeout)
{
	if (!loan->kind)
		return loan_ended();
	if (!(loan->kind & LOAN_TO_SEND))
		return fail(-EINVAL, "a borrowed message cannot be committed; reserve gives what can");
	if ((loan->kind & LOAN_OF) == LOAN_OF_PIPE)
		return pipe_loan_commit(loan, timeout);
	return queue_loan_commit(loan, timeout);
}

void
shoal_loan_release(shoal_loan *loan)
{
	if (!loan)
		return;
	if ((loan->kind & LOAN_OF) == LOAN_OF_PIPE)
		pipe_loan_release(loan);
	else if (loan->kind)
		queue_loan_release(loan);
}

int
shoal_loan_finish(shoal_loan *loan)
{
	if (!loan->kind)
		return loan_ended();
	if ((loan->kind & (LOAN_OF | LOAN_RECEIVED)) != (LOAN_OF_QUEUE | LOAN_RECEIVED))
		return fail(-EINVAL, "only a message borrowed from a JOINABLE queue can be finished");
	return queue_loan_finish(loan);
}

int
shoal_loan_return(shoal_loan *loan)
{
	if (!loan->kind)
		return loan_ended();
	if ((loan->kind & (LOAN_OF | LOAN_RECEIVED)) != (LOAN_OF_QUEUE | LOAN_RECEIVED))
		return fail(-EINVAL, "only a message borrowed from a REDELIVER queue can be returned");
	return queue_loan_return(loan);
}

int
shoal_loan_adopt(shoal_loan *loan)
{
	if (!loan->kind)
		return loan_ended();
	if ((loan->kind & LOAN_OF) == LOAN_OF_PIPE)
		return pipe_loan_adopt(loan);
	return queue_loan_adopt(loan);
}
