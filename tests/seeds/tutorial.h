/*
 * What the tutorials' programs have in common: processes that are started and joined, and a
 * printer. The printer is a transcript, so that a test can look at what all processes said.
 */
#ifndef SEEDS_TUTORIAL_H
#define SEEDS_TUTORIAL_H
#include "harness.h"
#include <shoal/shoal.h>

enum { LINES_MAX = 64 };

struct transcript {
	size_t count;
	char *line[LINES_MAX];
};

/* Empties the transcript; before the first say() and before the processes that say things. */
void transcript_begin(void);

/* Adds one line, from any process. Lines never mix: each is one write. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The lines so far, in the order in which they were said. They live until the next call. */
const struct transcript *transcript_lines(void);

/* How many lines are exactly this. */
size_t said(const char *line);

/* Stops the test if a process cannot be started; name NULL gives the library's own. */
shoal_process *start(int (*run)(void *), void *arg, const char *name);

/* Joins a process that must end by itself with exit code 0, and closes the handle. */
void finish(shoal_process *process);

/* An arena and a queue, a lock, a list and so on of the test's own; they go with the test. */
shoal_queue *new_queue(void);
shoal_lock *new_lock(void);
shoal_list *new_list(void);
shoal_dict *new_dict(void);
void new_pipe(unsigned flags, shoal_pipe_end **left, shoal_pipe_end **right);

/* Messages that are text, the final zero byte included. They stop the process on failure. */
void put_text(shoal_queue *queue, const char *text);
void send_text(shoal_pipe_end *end, const char *text);

/* The text lives until the next call in this process. */
const char *get_text(shoal_queue *queue);
const char *recv_text(shoal_pipe_end *end);

#endif
