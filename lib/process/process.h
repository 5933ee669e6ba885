/*
 * The handle of a process. Everything in it is guarded by the family's lock, but for what never
 * changes.
 */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include "base/lifeline.h"
#include "process/cradle.h"
#include <shoal/process.h>

struct bundle;

enum process_kind { PROCESS_CHILD, PROCESS_SELF, PROCESS_PARENT };

enum process_state {
	PROCESS_NEW,      /* made, or its start failed */
	PROCESS_STARTING, /* in shoal_process_start; on the family's list from here on */
	PROCESS_RUNNING,  /* has a pidfd */
	PROCESS_ENDED,    /* waited for: its code is known, or never will be */
};

struct shoal_process {
	/* never changes */
	enum process_kind kind;
	pid_t maker;      /* the only process that may use the handle */
	const char *name; /* "Process-2:1", or the user's */
	const char *path; /* "2:1": what the names of its children begin with; "" for the first */
	int (*run)(void *);
	void *arg;
	size_t arg_bytes;
	shoal_start_method method;
	bool daemon;
	int last_signal; /* what a daemon gets when its parent has ended; may change before the start */
	bool quiet; /* its start touches no stream, for a caller that waits for nobody */
	bool kept; /* nobody was given the handle: the library frees it */
	size_t arena_count;
	shoal_arena **arenas;

	/* from start to end */
	enum process_state state;
	pid_t pid;
	int fd; /* its pidfd, kept until the handle is closed; -1: none */
	struct lifeline lifeline;
	struct cradle *cradle;
	struct bundle *bundle; /* in which the cradle is; NULL: forked, with one of the family's */
	unsigned server;       /* the fork server whose child it is; 0: it is this process's own */
	bool shown; /* kept, but shoal_process_children gave it out: freed by close alone */
	unsigned pins; /* threads that join it at the process's end: the last frees what was closed */
	bool closed;   /* while it was pinned */
	int64_t untold_from;   /* when it was found ended and its server had not told how; 0: never */
	bool code_known;
	int code;

	/* the family's list: started and not yet ended, or kept */
	struct shoal_process *next, **link;
};

/* 0, -EINVAL or -EPERM: whether this process may use the handle. `call` begins the sentence. */
int process_check(const struct shoal_process *p, const char *call);

/* Gives the cradle back. The family's lock is held, unless nobody uses the handle. */
void process_leave_cradle(struct shoal_process *p);

/* Frees the handle and closes what it has. It is on no list and nobody uses it. */
void process_free(struct shoal_process *p);

/* The memory stays, whoever closes it, until it is unpinned. The family's lock is held. */
void process_pin(struct shoal_process *p);
void process_unpin(struct shoal_process *p);

/* Takes note of the end of a running child, if it has come. The family's lock is held. */
bool process_reap(struct shoal_process *p);

/* The same of any process but this one; takes the lock. */
bool process_ended(struct shoal_process *p);

/*
 * As that: of one that has ended and whose server is about to tell how, once it
 * has told, or after SERVER_TELLS_NS.
 */
bool process_settle(struct shoal_process *p);

#endif
