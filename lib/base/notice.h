/*
 * An eventfd as a flag that poll sees, and a thread of the library's own: all signals blocked,
 * detached.
 */
#ifndef BASE_NOTICE_H
#define BASE_NOTICE_H

#include <stdbool.h>

/* A descriptor that is not readable yet, or -errno. */
int notice_open(void);
void notice_raise(int fd);
/* Whether it was raised. */
bool notice_clear(int fd);
void notice_close(int fd);

/* 0 or -errno. */
int notice_thread(void *(*run)(void *));

#endif
