/*
 * What the two halves of a getter share: ring_getter.c takes and releases, ring_borrower.c lends.
 */
#ifndef MODEL_RING_GETTER_H
#define MODEL_RING_GETTER_H

#include "ring_world.h"

/* A getter's next step. */
enum {
	CLAIM = 1,
	FIRST_HALF,
	SECOND_HALF,
	TAKE_BLOCK,
	COPY,
	COUNT,
	NOTHING_EARLY,
	NOTHING_DONE,
	RELEASE,
	COPY_LATE,
	FREE_BLOCK,
	UNNAME,
	LATE,
	MEND,
	TELL_BACK,
	SCAN,
	CLEAR_BACKS,
	SCAN_AGAIN,
	SCAN_MARK,
	CLEAR_LAST,
	MARK,
	LEND,
	UNCALL,
	LOAN_BASE,
	LOAN_COUNT,
	LOAN_RELEASE,
	LOAN_FREE,
	LOAN_CLEAR,
	RETURN_BLOCK,
	RETURN_MARK,
	RETURN_TELL,
	RETURN_PLACE,
	RETURN_BLOCK_LATE,
	RETURN_TOLD,
	RETURN_UNMARK,
};

static inline const char *
go(struct mind *m, int pc, const char *name)
{
	m->pc = (uint8_t)pc;
	return name;
}

int loans_out(const struct record *r);
/* It can hold no further message before it has released one. */
bool full_handed(const struct record *r);
/* READING(me) becomes EMPTY of the next lap. */
void leave_place(struct world *w, struct mind *m, int who);

/* An idle getter begins to release its loan i: NULL, it has none. */
const char *release_loan(struct world *w, int who, int i);
/* Or to return it. */
const char *return_loan(struct world *w, int who, int i);
/* The steps from LEND on. */
const char *borrower_step(struct world *w, int who);

#endif
