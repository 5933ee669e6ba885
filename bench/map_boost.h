/* map_boost.h - Boost.Interprocess's unordered_map in a shared segment, for C */
#ifndef BENCH_MAP_BOOST_H
#define BENCH_MAP_BOOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For that many keys and values of that many bytes; NULL where there is no memory. */
void *boost_map_open(uint32_t keys, size_t bytes);
int boost_map_set(void *map, uint64_t key, const void *value, size_t bytes);
long boost_map_get(void *map, uint64_t key, void *value, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
