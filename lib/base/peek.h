/* Looking at memory of this process that may not be there: for reports, never for protocols. */
#ifndef BASE_PEEK_H
#define BASE_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* False where some of it is not mapped; then `to` is undefined. */
bool peek_copy(const void *from, void *to, size_t bytes);

/*
 * How far `to` is behind `from` in the object, a file or shared memory, that both are mapped from,
 * by whichever mappings: so far are they from each other wherever it is mapped as a whole. False
 * where they are of two objects.
 */
bool peek_distance(const void *from, const void *to, int64_t *bytes);

/* The process that a thread belongs to; 0 where there is no such thread. */
pid_t peek_process(pid_t thread);

#endif
