/*
 * Which public functions the watched processes call. Each that no case watches stands in
 * without.txt, with its reason.
 */
#ifndef STEP_COVER_H
#define STEP_COVER_H

#include <stdbool.h>
#include <stdint.h>

/* Looks up the library's functions in this program: false if that cannot be done. */
bool cover_begin(void);
bool cover_is_on(void);
/* A watched process comes by an address. */
void cover_note(uint64_t pc);
/* Prints what is wrong: how many functions have neither a case nor a reason, or both. */
int cover_report(void);

#endif
