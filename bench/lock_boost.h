/* lock_boost.h - Boost's interprocess_mutex, for C */
#ifndef BENCH_LOCK_BOOST_H
#define BENCH_LOCK_BOOST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Its size, at least this much of which init is given; all others return 0 or a negative errno. */
size_t boost_mutex_bytes(void);
int boost_mutex_init(void *);
int boost_mutex_lock(void *);
int boost_mutex_unlock(void *);

#ifdef __cplusplus
}
#endif

#endif
