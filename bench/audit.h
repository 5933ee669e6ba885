/*
 * audit.h - the proof that every message arrived once, whole and in order
 *
 * A message's first word is its stamp: who sent it and its number with that sender. With one
 * producer and one consumer it must be exactly the next number, which leaves no room for any error.
 * With more of either each sender's numbers must grow, and at the end the counts, the sums and the
 * sums of squares of both sides must agree: a lost message cannot be hidden by a doubled one.
 */
#ifndef BENCH_AUDIT_H
#define BENCH_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define AUDIT_END UINT64_MAX

enum {
	AUDIT_SENDERS = 32
};

struct audit {
	uint64_t count, sum, squares, bad;
	uint64_t last[AUDIT_SENDERS];
};

typedef uint64_t audit_words __attribute__((vector_size(16), aligned(16), may_alias));

static inline uint64_t
audit_stamp(unsigned sender, uint64_t number)
{
	return (uint64_t)sender << 56 | number;
}

static inline uint64_t
audit_read(const void *message)
{
	uint64_t stamp;

	memcpy(&stamp, message, sizeof stamp);
	return stamp;
}

/* The last word repeats the stamp, inverted: a message cut or mixed with another one shows. */
static inline void
audit_write(void *message, size_t bytes, uint64_t stamp)
{
	uint64_t inverted = ~stamp;

	memcpy(message, &stamp, sizeof stamp);
	if (bytes >= 2 * sizeof stamp)
		memcpy((char *)message + bytes - sizeof stamp, &inverted, sizeof inverted);
}

static inline void
audit_add(struct audit *a, uint64_t stamp)
{
	a->count++;
	a->sum += stamp;
	a->squares += stamp * stamp;
}

static inline void
audit_order(struct audit *a, uint64_t stamp)
{
	unsigned sender = stamp >> 56 & (AUDIT_SENDERS - 1);

	a->bad += stamp <= a->last[sender];
	a->last[sender] = stamp;
}

static inline void
audit_whole(struct audit *a, const void *message, size_t bytes, uint64_t stamp)
{
	if (bytes >= 2 * sizeof stamp)
		a->bad += audit_read((const char *)message + bytes - sizeof stamp) != ~stamp;
}

/* Every byte is made: word i of the message is the stamp plus i. */
static inline void
audit_fill(void *message, size_t bytes, uint64_t stamp)
{
	audit_words *at = __builtin_assume_aligned(message, 16);
	audit_words word = { stamp, stamp + 1 }, other = { stamp + 2, stamp + 3 };
	size_t pairs = bytes / sizeof *at, i = 0;

	for (; i + 2 <= pairs; i += 2, word += 4, other += 4) {
		at[i] = word;
		at[i + 1] = other;
	}
	if (i < pairs)
		at[i++] = word;
	if (bytes % sizeof *at)
		memcpy(&at[i], &stamp, sizeof stamp);
}

/* Every byte is read: the sum of the words is known from the first. */
static inline void
audit_sum(struct audit *a, const void *message, size_t bytes, uint64_t stamp)
{
	const audit_words *at = __builtin_assume_aligned(message, 16);
	audit_words sum = { 0, 0 }, other = { 0, 0 };
	uint64_t pairs = bytes / sizeof *at, words = 2 * pairs, i = 0;
	uint64_t expected = words * stamp + (words ? words * (words - 1) / 2 : 0);

	for (; i + 2 <= pairs; i += 2) {
		sum += at[i];
		other += at[i + 1];
	}
	if (i < pairs)
		sum += at[i];
	sum += other;
	a->bad += sum[0] + sum[1] != expected;
}

#endif
