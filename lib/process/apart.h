/* The starts that inherit nothing: by the fork server, and by executing the program again. */
#ifndef PROCESS_APART_H
#define PROCESS_APART_H

#include "process/process.h"

/* Makes the process run, and fills in the handle. 0, or -errno with a sentence and no process. */
int apart_start(struct shoal_process *p, shoal_start_method method);

#endif
