/* Which start methods there are. */
#ifndef PROCESS_METHOD_H
#define PROCESS_METHOD_H

#include <shoal/process.h>

/*
 * 0, or why a process with an argument of so many bytes (0: a pointer) does not start by this
 * method.
 */
int method_check(shoal_start_method method, size_t arg_bytes);

#endif
