/*
 * All that a new process needs to know when it does not inherit it: one file in memory that its
 * parent fills, and that both map. The parent keeps the head, with the cradle, until the process
 * has ended; the child uses names and argument where they lie.
 *
 * Words that change after it was filled: `taken`, 0 → 1, once, by the process that it is for, so
 * that a descriptor or a token that was left somewhere makes no second one; those of the cradle;
 * and `failure` and `sentence`, before the child reports that it failed.
 */
#ifndef PROCESS_BUNDLE_H
#define PROCESS_BUNDLE_H

#include "process/code.h"
#include "process/process.h"
#include <signal.h>

#define BUNDLE_FDS 256 /* the lifeline and up to 255 arenas */
#define BUNDLE_SENTENCE 400

struct bundle {
	struct cradle cradle;
	word32 taken;
	bool server;  /* for a fork server; of what follows it has only the parent */
	bool daemon;
	pid_t parent;
	uint32_t version;
	uint32_t method;     /* what DEFAULT means */
	int last_signal;     /* as in its parent's handle */
	uint64_t head_bytes; /* whole pages; the argument begins behind them */
	uint64_t arg_bytes;
	sigset_t mask;       /* the signals that the new process blocks */
	struct code_ref code;
	uint32_t name, path, parent_name, directory; /* where the strings begin; 0: no directory */
	/* The lifeline, -1 when there is none, and the arenas, as the child has them. */
	uint32_t fd_count;
	int fds[BUNDLE_FDS];
	int failure;
	char sentence[BUNDLE_SENTENCE];
};

/* 0 or -errno with a sentence. The descriptor is close-on-exec and above 2. */
int bundle_pack(const struct shoal_process *p, shoal_start_method method, struct bundle **out,
                int *fd);
int bundle_pack_server(struct bundle **out, int *fd);

/*
 * The other side's: NULL when it is none, or not of this library's build. The head is shared with
 * the parent; what is written to the argument is this process's own, and its children's copy.
 */
struct bundle *bundle_open(int fd);
/* Whether this process is the first to have it. */
bool bundle_take(struct bundle *p);
const char *bundle_text(const struct bundle *p, uint32_t at);
void *bundle_arg(struct bundle *p);

/* Gives the mapping of all but the head back; that of the rest. */
void bundle_shrink(struct bundle *p);
void bundle_drop(struct bundle *p);

#endif
