/* map.h - what workers do with a map: look up and change keys that are there, or add new ones */
#ifndef BENCH_MAP_H
#define BENCH_MAP_H

#include "stage.h"

/* Growth is left to the maps that can be filled one by one in the time there is. */
bool map_possible(const struct plan *);

/* Puts all keys in, in the stage manager; false with the reason in the first row. */
bool map_fill(struct work *);

bool map_use(struct work *);
bool map_grow(struct work *);

#endif
