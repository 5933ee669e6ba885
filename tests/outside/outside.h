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
void signals(shoal_arena *arena);
void anys(shoal_arena *arena);
void cells(shoal_arena *arena);
void containers(shoal_arena *arena);
void processes(shoal_arena *arena);
void starts(shoal_arena *arena);
void waits(shoal_arena *arena);
void pools(void);
void policies(void);

/* The programs of the README. */
int readme(shoal_arena *arena);

/* Runs it in a process that must end by itself, with 0; in one that must be killed by SIGKILL. */
void in_child(int (*run)(void *), void *arg);
void to_death(int (*run)(void *), void *arg);

/* Runs it to its end in another thread of this process. */
void in_thread(void *(*run)(void *), void *arg);

/* What goes to stderr goes to this file instead; to stderr again with NULL. */
void stderr_to(FILE *paper);
/* Whether just this was written to the file, which is closed. */
bool wrote(FILE *paper, const char *text);
#endif
