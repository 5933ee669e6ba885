/*
 * Whether this program, executed again, would come to this library before its main function: what
 * the fork server and spawn rest on. If it did not, main would run a second time.
 */
#ifndef PROCESS_AGAIN_H
#define PROCESS_AGAIN_H

#include <stdbool.h>

/* 0, or -ENOSYS with a sentence. A server that is there already does not ask for the ids. */
int again_check(void);
int again_check_ids(void);
/* Both hold. */
bool again_possible(void);
/* Whether the module of that address is there then, before anything is loaded by dlopen. */
bool again_has(const void *address);

/*
 * In a program just begun, from a constructor: lets all other initialisers run, then `run` instead
 * of main. Returns where `run` is still to come; it does not return.
 *
 * The library's own constructor would be too early, since libraries that it does not depend on and
 * the program itself have theirs later. So the program's last one, which is the last of all, is
 * replaced in this process's memory by a function that calls it and then `run`.
 */
void again_instead_of_main(void (*self)(void), void (*run)(void));

#endif
