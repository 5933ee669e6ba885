/* Looking at memory of this process that may not be there: for reports, never for protocols. */
#ifndef BASE_PEEK_H
#define BASE_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* False where some of it is not mapped; then `to` is undefined. */
bool peek_copy(const void *from, void *to, size_t bytes);

/*
 * Whether both lie in mappings of one object, as far from each other as they are in it: then they
 * are that far from each other wherever it is mapped as a whole.
 */
bool peek_together(const void *a, const void *b);

/* The process that a thread belongs to; 0 where there is no such thread. */
pid_t peek_process(pid_t thread);

#endif
