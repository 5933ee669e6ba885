/*
 * The shared memory of a case: saved, put back, compared.
 *
 * Two runs that leave the same bytes leave the same world, once every process but the driver is
 * gone. Thread ids are replaced by who bore them, start times by a sign; other words that differ
 * between two equal runs are found by comparing such runs, and left out.
 */
#ifndef STEP_MEMORY_H
#define STEP_MEMORY_H

#include "step.h"

/* What one run left: the pages that differ from the base, and the world. */
struct memory_image;

void memory_world(struct step_world *w);
/* What is there now is the base. */
void memory_base(void);
void memory_rewind(void);

struct memory_image *memory_copy(void);
void memory_put(const struct memory_image *image);
void memory_drop(struct memory_image *image);

/*
 * Both are what the same steps left: words that differ are left out from now on. true: there were
 * more of them.
 */
bool memory_learn(const struct memory_image *one, const struct memory_image *other);
uint64_t memory_hash(void);
/* Where what is there now first differs from an image, in words; "" if it does not. */
void memory_difference(const struct memory_image *image, char *text, size_t room);

/*
 * The same hash after each of a process's steps, of the pages alone that watched processes ever
 * had mapped: those that one of them can have written.
 */
void memory_follow(void);
uint64_t memory_next(void);
/*
 * Takes note of what a process has mapped, or of all there is when it has ended: true if that is
 * more than was known.
 */
bool memory_touched(pid_t tid);
/* The i-th part of watched memory, as long as there is one. */
bool memory_range(size_t i, uint64_t *at, uint64_t *bytes);
/* Whether victims map some of it elsewhere than the driver. */
bool memory_is_elsewhere(void);
/* Whether a victim's address is of watched memory that the driver has at the same place. */
bool memory_is_here(uint64_t at);

#endif
