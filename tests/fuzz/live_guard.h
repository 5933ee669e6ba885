/*
 * What surrounds a fuzzed arena: nothing that can be touched on either side of its mapping, and a
 * way back from the few sentences with which the library may stop a process.
 *
 * mmap, munmap, write and abort of the library are wrapped by the linker (-Wl,--wrap).
 */
#ifndef FUZZ_LIVE_GUARD_H
#define FUZZ_LIVE_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

/* A sentence with these words may stop too, until the next guard_run. */
void guard_allow(const char *words);

/* Runs fn(arg). False: the library stopped in it, with a sentence that may be. */
bool guard_run(void (*fn)(void *), void *arg);

/* How often it did. */
unsigned long guard_stops(void);

/* Ends the process with the sentence where it is not so. */
void live_must(bool so, const char *what);

#endif
