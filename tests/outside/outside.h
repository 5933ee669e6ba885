/* What the programs outside of the tree share: a check that says where it failed; the sections. */
#ifndef OUTSIDE_H
#define OUTSIDE_H
#include <shoal/shoal.h>
#include <stdlib.h>

#define CHECK(holds) \
	((holds) ? (void)0 \
	         : (fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #holds, \
	                    shoal_error()), \
	            exit(1)))

/* One for each section of the description of the interface. */
void rules(void);
void arenas(void);
void queues(shoal_arena *arena);
void pipes(shoal_arena *arena);
void locks(shoal_arena *arena);
void data(shoal_arena *arena);
void processes(shoal_arena *arena);
void waits(shoal_arena *arena);
void pools(void);

/* The programs of the README. */
int readme(shoal_arena *arena);

/* Runs it in a process that must end by itself, with 0. */
void in_child(int (*run)(void *), void *arg);
#endif
