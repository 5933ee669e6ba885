/* judge.h - whether a repetition counts, and what its rows say */
#ifndef BENCH_JUDGE_H
#define BENCH_JUDGE_H

#include "stage.h"

/* Rejects the sample unless all that was sent was received, all that was held was held alone … */
void judge(const struct plan *, struct stage *, struct sample *out);

#endif
