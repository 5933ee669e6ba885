/*
 * A whole run takes hours and may be interrupted: the cases that went well are written to the file
 * that STEP_DONE names, and are passed by when the same program runs with the same settings again.
 * Once all have gone well the file goes, and the next run begins anew.
 */
#ifndef STEP_DONE_H
#define STEP_DONE_H

#include <stdbool.h>

/* By the program, before the first case and after the last; cases may be other processes'. */
void done_begin(void);
void done_end(bool all_well);

bool done_before(const char *name);
void done_note(const char *name);

#endif
