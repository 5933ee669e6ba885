/*
 * Ordered atomics by name.
 *
 * This file and futex.c are the only places where memory orders are written. Everything
 * else says what it means: load_acquire, store_release, cas_acq_rel. The orders are chosen for the
 * weaker of the two machines (aarch64); on x86-64 all but the fences and the exchanges are plain
 * moves.
 *
 * The types are distinct structs, so that a plain access to a shared word does not compile.
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { _Atomic uint32_t w; } word32;
typedef struct { _Atomic uint64_t w; } word64;
/* Only for what users see as memory of these types: no state of ours is that small. */
typedef struct { _Atomic uint8_t w; } word8;
typedef struct { _Atomic uint16_t w; } word16;

_Static_assert(sizeof(word32) == 4 && sizeof(word64) == 8, "shared words have no hidden lock");
_Static_assert(sizeof(word8) == 1 && sizeof(word16) == 2, "nor have small ones");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "words are lock-free");

/*
 * Two lines: the adjacent-line prefetcher of x86-64 pairs them, and some aarch64 lines are that
 * long.
 */
#define LINE 64
#define LINE_BITS 6
#define SPACING 128

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* For the few functions that are the fast path of a public call. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

#define container_of(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

/* Works for words of all sizes alike. */
#define load_relaxed(p) atomic_load_explicit(&(p)->w, memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit(&(p)->w, memory_order_acquire)
#define load_seq_cst(p) atomic_load_explicit(&(p)->w, memory_order_seq_cst)
#define store_relaxed(p, v) atomic_store_explicit(&(p)->w, (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit(&(p)->w, (v), memory_order_release)
#define store_seq_cst(p, v) atomic_store_explicit(&(p)->w, (v), memory_order_seq_cst)

/* The old value comes back; the seq_cst ones also order against other words (Dekker pairs). */
#define exchange_acq_rel(p, v) atomic_exchange_explicit(&(p)->w, (v), memory_order_acq_rel)
#define exchange_seq_cst(p, v) atomic_exchange_explicit(&(p)->w, (v), memory_order_seq_cst)
#define fetch_or_seq_cst(p, v) atomic_fetch_or_explicit(&(p)->w, (v), memory_order_seq_cst)
#define fetch_and_seq_cst(p, v) atomic_fetch_and_explicit(&(p)->w, (v), memory_order_seq_cst)
#define fetch_or_relaxed(p, v) atomic_fetch_or_explicit(&(p)->w, (v), memory_order_relaxed)
#define fetch_and_relaxed(p, v) atomic_fetch_and_explicit(&(p)->w, (v), memory_order_relaxed)
/*
 * Only for words of this process, and for hints: a dead one's add to a shared count cannot be
 * repaired.
 */
#define fetch_add_seq_cst(p, v) atomic_fetch_add_explicit(&(p)->w, (v), memory_order_seq_cst)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit(&(p)->w, (v), memory_order_relaxed)

/* True when *p was exactly `want` and now is `v`. */
static inline bool
cas32_acq_rel(word32 *p, uint32_t want, uint32_t v)
{
	return atomic_compare_exchange_strong_explicit(&p->w, &want, v, memory_order_acq_rel,
	                                               memory_order_relaxed);
}

static inline bool
cas64_acq_rel(word64 *p, uint64_t want, uint64_t v)
{
	return atomic_compare_exchange_strong_explicit(&p->w, &want, v, memory_order_acq_rel,
	                                               memory_order_relaxed);
}

static inline bool
cas32_seq_cst(word32 *p, uint32_t want, uint32_t v)
{
	return atomic_compare_exchange_strong_explicit(&p->w, &want, v, memory_order_seq_cst,
	                                               memory_order_relaxed);
}

static inline bool
cas64_seq_cst(word64 *p, uint64_t want, uint64_t v)
{
	return atomic_compare_exchange_strong_explicit(&p->w, &want, v, memory_order_seq_cst,
	                                               memory_order_relaxed);
}

/*
 * Orders this thread's stores for one who looks at its memory after its death, or who interrupts
 * it: the kernel, a recoverer, a signal handler. On the machine it costs nothing where stores stay
 * in order.
 */
static inline void
fence_crash(void)
{
#if defined(__x86_64__)
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_release);
#endif
}

/*
 * Only the compiler is held back: for the pair with membarrier, whose other side pays
 * (arena/wait.h).
 */
static inline void
fence_compiler(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void
fence_seq_cst(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* What was stored before is seen by whoever sees what is stored after. */
static inline void
fence_release(void)
{
	atomic_thread_fence(memory_order_release);
}

static inline void
fence_acquire(void)
{
	atomic_thread_fence(memory_order_acquire);
}

/* A hint to the core that nothing is to be done for a moment. */
static inline void
cpu_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/* How many of these make a step of a spin: base/pause.c. */
extern word32 cpu_pauses __attribute__((visibility("hidden")));

/* One step of a spin, which takes about as long on each processor. */
static inline void
cpu_relax(void)
{
	for (uint32_t i = load_relaxed(&cpu_pauses); i; i--)
		cpu_pause();
}

/*
 * Ask for a line before it is needed, to write to it or to read it. By the instruction itself: the
 * compiler takes its builtin for something without an effect, and drops a function that does
 * nothing else; and on x86-64 it gives a prefetch for reading in place of the other one, unless it
 * is told of a newer machine. Older ones take that for no operation.
 */
static inline void
prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)p));
#elif defined(__aarch64__)
	__asm__ __volatile__("prfm pstl1keep, %0" : : "Q"(*(const char *)p));
#else
	__builtin_prefetch(p, 1, 3);
#endif
}

static inline void
prefetch_read(const void *p)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetcht0 %0" : : "m"(*(const char *)p));
#elif defined(__aarch64__)
	__asm__ __volatile__("prfm pldl1keep, %0" : : "Q"(*(const char *)p));
#else
	__builtin_prefetch(p, 0, 3);
#endif
}

/*
 * Puts a line out of all caches, into memory. Nothing depends on when: what is stored to it later
 * is stored as ever. Where there is no such instruction it stays where it is.
 */
static inline void
evict(const void *p)
{
#if defined(__x86_64__)
	__builtin_ia32_clflush(p);
#else
	(void)p;
#endif
}

#endif
