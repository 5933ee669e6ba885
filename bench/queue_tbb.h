/* queue_tbb.h - oneTBB's concurrent_bounded_queue, for C */
#ifndef BENCH_QUEUE_TBB_H
#define BENCH_QUEUE_TBB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of messages of 8, 64 or 1024 bytes; NULL for others. */
void *tbb_queue_open(size_t messages, size_t bytes);
long tbb_queue_send(void *queue, const void *item, size_t bytes, size_t count);
long tbb_queue_recv(void *queue, void *item, size_t bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
