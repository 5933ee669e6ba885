/* contend.h - the workers of a lock, alone and contended */
#ifndef BENCH_CONTEND_H
#define BENCH_CONTEND_H

#include "stage.h"

/* Learns how fast this machine is, once; the processes forked afterwards know it too. */
void contend_calibrate(void);

/* The smallest of the shares, as a part of what would be fair: 1 is perfect, 0 is starved. */
double smallest_share(const uint64_t *first, const uint64_t *last, unsigned count);

#endif
