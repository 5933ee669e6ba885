/* Which start methods there are, and which one a process gets. */
#ifndef PROCESS_METHOD_H
#define PROCESS_METHOD_H

#include <shoal/process.h>

/*
 * 0, or why a process with an argument of so many bytes (0: a pointer) does not start by this
 * method.
 */
int method_check(shoal_start_method method, size_t arg_bytes);

/* What DEFAULT comes to now for this function; never DEFAULT. */
shoal_start_method method_of(shoal_start_method method, size_t arg_bytes, int (*run)(void *));

/* What was chosen for DEFAULT, DEFAULT when nothing was; and in a new process, by its parent. */
uint32_t method_chosen(void);
void method_inherit(uint32_t chosen);

#endif
