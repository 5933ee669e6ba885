/*
 * Probes, for bpftrace, SystemTap, perf and gdb: each is one `nop` in the code, and a note in the
 * file that says where it is and where its arguments are. docs/tracing.md is for those who use
 * them; `ninja check` compares it with this file and with the library.
 *
 * Nothing is computed for a probe. On the fast paths an argument is what stands in a register or in
 * this thread's own memory at that moment, or a number of the source; as it is, whatever its size,
 * which is why these are macros. (A message's place is given as the cursor has it, not as a local
 * variable: the latter would stay in a register for longer, and the next one be saved for it.)
 *
 * A message's probe comes before the step by which the others learn of it: put before get, get
 * before the put that takes the place again. So in a trace they stand in this order, too.
 *
 * Where configure finds no <sys/sdt.h> they are empty, and nothing else is different.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#include <config.h>

#if HAVE_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define PROBE(...) STAP_PROBEV(shoal, __VA_ARGS__)
#ifdef __clang__
/* Of that header's macros, though only where they are used. */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif
#else
/* Declared, so that the arguments are used; never called. */
int probe_of(int nothing, ...);
#define PROBE(name, ...) ((void)sizeof probe_of(0, __VA_ARGS__))
#endif

/* ---- messages: `count` of them, each of so many bytes, from this place or position on ---- */

#define PROBE_QUEUE_PUT(queue, place, bytes, count) PROBE(queue_put, queue, place, bytes, count)
#define PROBE_QUEUE_GET(queue, place, bytes, count) PROBE(queue_get, queue, place, bytes, count)
#define PROBE_PIPE_SEND(end, position, bytes, count) PROBE(pipe_send, end, position, bytes, count)
#define PROBE_PIPE_RECV(end, position, bytes, count) PROBE(pipe_recv, end, position, bytes, count)

/* ---- sleeping in a futex; where several words are watched, the first one ---- */

/* The deadline is CLOCK_MONOTONIC's, CLOCK_NEVER without one. */
#define PROBE_PARK(word, deadline) PROBE(park, word, deadline)
/* The same thread again: 0, or -ETIMEDOUT. */
#define PROBE_UNPARK(word, result) PROBE(unpark, word, result)
/* After the call: how many were woken. */
#define PROBE_WAKE(word, woken) PROBE(wake, word, woken)

/* ---- locks: before anything is done under it, and after all was ---- */

#define PROBE_LOCK_ACQUIRE(lock) PROBE(lock_acquire, lock)
#define PROBE_LOCK_RELEASE(lock) PROBE(lock_release, lock)
/* Another one holds it: this thread waits for it, or goes without. */
#define PROBE_LOCK_CONTENDED(lock) PROBE(lock_contended, lock)
/* This thread has it, and found that its last holder died with it. */
#define PROBE_LOCK_DEATH(lock) PROBE(lock_death, lock)

/* ---- deaths ---- */

/* This thread finds the member dead, and will recover it unless another one is at it. */
#define PROBE_DEATH(arena, member, tid) PROBE(death, arena, member, tid)
#define PROBE_RECOVERY_BEGIN(arena, member) PROBE(recovery_begin, arena, member)
/* `done`: 0 if another one had recovered it before. */
#define PROBE_RECOVERY_END(arena, member, done) PROBE(recovery_end, arena, member, done)

#endif
