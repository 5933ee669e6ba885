/*
 * Counting the references of a value that is kept: one by one, the object's holds and the block's
 * own `counted` together (arena/hold.h), so that whoever drops the block knows how far it came.
 * They are looked up by few walks over the value: one, where there is memory for them all.
 */
#ifndef DATA_COUNTED_H
#define DATA_COUNTED_H

#include "data/cell.h"
#include "data/ledger.h"

/* All of them. 0; -EPROTO: there are fewer; -ENOENT: an object in it is being destroyed. */
int counted_raise(struct ledger_hold *h, const struct cell *cell, const void *bytes,
                  word32 *counted);
/*
 * From the last to the first that was counted. One that is no reference any more, or counts that
 * contradict each other, end it.
 */
void counted_drop(struct ledger_hold *h, const struct cell *cell, const void *bytes,
                  word32 *counted);

#endif
