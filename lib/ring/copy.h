/* Short copies without a call: messages of a few words are most of the traffic. */
#ifndef RING_COPY_H
#define RING_COPY_H

#include "base/atomic.h"
#include "base/error.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define COPY_SHORT 64u

/* What fits a vector register of either machine. */
typedef uint64_t copy_16 __attribute__((vector_size(16)));

/*
 * At most COPY_SHORT bytes: two overlapping moves of a power of two cover every length between it
 * and its double.
 */
static inline void
copy_short(void *restrict to, const void *restrict from, size_t n)
{
	char *d = to;
	const char *s = from;
	if (n == 8) {
		memcpy(d, s, 8);
	} else if (n > 32) {
		copy_16 a, b, c, e;
		memcpy(&a, s, 16);
		memcpy(&b, s + 16, 16);
		memcpy(&c, s + n - 32, 16);
		memcpy(&e, s + n - 16, 16);
		memcpy(d, &a, 16);
		memcpy(d + 16, &b, 16);
		memcpy(d + n - 32, &c, 16);
		memcpy(d + n - 16, &e, 16);
	} else if (n >= 16) {
		copy_16 a, b;
		memcpy(&a, s, 16);
		memcpy(&b, s + n - 16, 16);
		memcpy(d, &a, 16);
		memcpy(d + n - 16, &b, 16);
	} else if (n >= 8) {
		uint64_t head, tail;
		memcpy(&head, s, 8);
		memcpy(&tail, s + n - 8, 8);
		memcpy(d, &head, 8);
		memcpy(d + n - 8, &tail, 8);
	} else if (n >= 4) {
		uint32_t head, tail;
		memcpy(&head, s, 4);
		memcpy(&tail, s + n - 4, 4);
		memcpy(d, &head, 4);
		memcpy(d + n - 4, &tail, 4);
	} else if (n) {
		d[0] = s[0];
		d[n / 2] = s[n / 2];
		d[n - 1] = s[n - 1];
	}
}

/* Lines that are to be written, or read, soon; without a loop's share for each. */
static ALWAYS_INLINE void
prefetch_lines(const char *from, size_t lines, bool write)
{
	for (; lines >= 4; lines -= 4, from += 4 * LINE) {
		for (size_t i = 0; i < 4 * LINE; i += LINE)
			write ? prefetch_write(from + i) : prefetch_read(from + i);
	}
	for (; lines; lines--, from += LINE)
		write ? prefetch_write(from) : prefetch_read(from);
}

static inline void
copy_bytes(void *restrict to, const void *restrict from, size_t n)
{
	if (n > COPY_SHORT)
		memcpy(to, from, n);
	else
		copy_short(to, from, n);
}

/* -EINVAL: there are some, and nowhere. */
static inline int
items_check(const void *items, size_t item_bytes, size_t count)
{
	if (likely(items) || !item_bytes || !count)
		return 0;
	return fail(-EINVAL, "%zu items of %zu bytes at NULL", count, item_bytes);
}

#endif
