/*
 * Copies of memory that another thread or process may be writing: a copy is of use only when a
 * version, read before and again after it, has not changed. The copy itself may be of anything.
 *
 * The language has no such thing. The copy is a plain one that the compiler may not defer or
 * repeat; ThreadSanitizer is shown atomic accesses in its place, by both sides.
 */
#ifndef BASE_RACY_H
#define BASE_RACY_H

#include "base/atomic.h"
#include <string.h>

#if defined(__SANITIZE_THREAD__)
static inline void
racy_read(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;
	size_t i = 0;
	for (; (uintptr_t)from % 8 == 0 && i + 8 <= n; i += 8) {
		uint64_t word = load_relaxed((const word64 *)(const void *)(f + i));
		memcpy(t + i, &word, 8);
	}
	for (; i < n; i++)
		t[i] = atomic_load_explicit((const _Atomic char *)(f + i), memory_order_relaxed);
}

static inline void
racy_write(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;
	size_t i = 0;
	for (; (uintptr_t)to % 8 == 0 && i + 8 <= n; i += 8) {
		uint64_t word;
		memcpy(&word, f + i, 8);
		store_relaxed((word64 *)(void *)(t + i), word);
	}
	for (; i < n; i++)
		atomic_store_explicit((_Atomic char *)(t + i), f[i], memory_order_relaxed);
}

static inline void
racy_clear(void *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit((_Atomic char *)to + i, 0, memory_order_relaxed);
}
#else
static inline void
racy_read(void *restrict to, const void *restrict from, size_t n)
{
	memcpy(to, from, n);
	fence_compiler();
}

static inline void
racy_write(void *restrict to, const void *restrict from, size_t n)
{
	memcpy(to, from, n);
	fence_compiler();
}

static inline void
racy_clear(void *to, size_t n)
{
	memset(to, 0, n);
	fence_compiler();
}
#endif

/* The same, without a call of memcpy where it is a quarter of a line to a whole one. */
static ALWAYS_INLINE void
racy_read_short(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;
	if (n - 16 > 48) {
		racy_read(to, from, n);
		return;
	}
	if (n >= 32) {
		racy_read(t, f, 32);
		racy_read(t + n - 32, f + n - 32, 32);
		return;
	}
	racy_read(t, f, 16);
	racy_read(t + n - 16, f + n - 16, 16);
}

/* A word of eight bytes, at any address. */
static inline uint64_t
racy_word(const void *shared)
{
	uint64_t word;
	racy_read(&word, shared, sizeof word);
	return word;
}

/* Whether the shared bytes were equal to the private ones, as far as one look tells. */
static inline bool
racy_equal(const void *shared, const void *private, size_t n)
{
	char part[64];
	for (size_t at = 0; at < n; at += sizeof part) {
		size_t m = n - at < sizeof part ? n - at : sizeof part;
		racy_read(part, (const char *)shared + at, m);
		if (memcmp(part, (const char *)private + at, m) != 0)
			return false;
	}
	return true;
}

#endif
