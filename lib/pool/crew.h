/* The workers' processes: started, found ended, signalled. The supervisor's. */
#ifndef POOL_CREW_H
#define POOL_CREW_H

#include "pool/pool.h"

/* A process for this seat: 0, or why not. Quiet: no stream of this process is written out. */
int crew_start(struct shoal_pool *p, uint32_t seat, bool quiet);

/* Its process has ended: how, in words and as exit code (minus the signal). It is forgotten. */
int crew_bury(struct shoal_pool *p, uint32_t seat, char *how, size_t how_bytes);

void crew_signal(struct shoal_pool *p, int signo);

#endif
