/*
 * peer.h - libraries of peers, loaded when one is measured
 *
 * If the program were linked with them, each fork of every measurement would copy their mappings,
 * and their constructors would run for nothing.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* `at` is a pointer to a pointer to a function. */
struct peer_function {
	const char *name;
	void *at;
};

/* 0, or -ELIBACC where the library or one of the functions is missing, said on stderr. */
int peer_load(const char *library, const struct peer_function *, size_t count);

#endif
