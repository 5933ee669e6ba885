/* queue_boost.h - Boost.Interprocess's message_queue, for C */
#ifndef BENCH_QUEUE_BOOST_H
#define BENCH_QUEUE_BOOST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Has no name any more when it returns; NULL where there is no memory. */
void *boost_queue_open(size_t messages, size_t bytes);

/* Each returns 1 or a negative errno. */
long boost_queue_send(void *queue, const void *item, size_t bytes, size_t count);
long boost_queue_recv(void *queue, void *item, size_t bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
