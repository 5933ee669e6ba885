/* The worlds that were seen, and those still to be visited. */
#ifndef MODEL_STATES_H
#define MODEL_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A set of worlds, of each of which 64 bits are kept. Two different worlds of n look alike with
 * a chance of n * n / 2^65: one in ten thousand at 60 million.
 */
struct state_set {
	uint64_t *slot;
	size_t room, count;
};

/* True when it was not in the set. bytes is a multiple of 8. */
bool state_set_add(struct state_set *s, const void *state, size_t bytes);
void state_set_finish(struct state_set *s);

/* Worlds in the order in which they were found; where each came from, so that a way can be told. */
struct state_list {
	char *item;
	struct state_step {
		size_t from;
		const char *name;
		int who;
	} * step;
	size_t bytes, room, count;
	bool with_steps;
};

void *state_list_add(struct state_list *l, const void *state);
static inline void *
state_list_at(const struct state_list *l, size_t i)
{
	return l->item + i * l->bytes;
}
void state_list_finish(struct state_list *l);

#endif
