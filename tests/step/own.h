/* The driver's own memory, which its forks do not get: thousands of pages make each one dear. */
#ifndef STEP_OWN_H
#define STEP_OWN_H

#include <stddef.h>

/* Zeros. */
void *own_alloc(size_t bytes);
/* Larger than it was; NULL, 0: a new one. */
void *own_grow(void *memory, size_t was, size_t bytes);
void own_free(void *memory, size_t bytes);

#endif
