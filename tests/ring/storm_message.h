/*
 * What the storm sends: messages that prove who sent them, which one each is, and that it is
 * whole. Every byte follows from the sender's life, the number and the length.
 */
#ifndef RING_STORM_MESSAGE_H
#define RING_STORM_MESSAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STORM_BYTES_MIN = 16,
	STORM_BYTES_MAX = 70 * 1024
};

void message_fill(void *at, size_t bytes, uint32_t life, uint32_t number);

/* False when the message is not one that message_fill made, at any of its bytes. */
bool message_read(const void *at, size_t bytes, uint32_t *life, uint32_t *number);

/* Random numbers that a seed repeats. */
struct dice {
	uint64_t state;
};

uint64_t dice_next(struct dice *dice);

/* From 0 to sides - 1. */
uint32_t dice_roll(struct dice *dice, uint32_t sides);

#endif
