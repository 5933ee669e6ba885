/*
 * How a call fails: one line `return fail(-ENOSPC, "…", …)` gives the code back and keeps the
 * sentence for shoal_error(). Nothing here allocates, so it works when memory is short, and in a
 * forked child.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <shoal/base.h>

/* Returns `code`. The sentence names the object, the numbers, and what to do. */
int fail(int code, const char *format, ...) SHOAL_PRINTF_(2, 3);

/*
 * fail() for a message that does not fit the caller's buffer: `needed` is kept for shoal_needed().
 */
int fail_small(size_t needed, const char *format, ...) SHOAL_PRINTF_(2, 3);

/*
 * -EAGAIN and -ETIMEDOUT are the everyday results of polling and must not cost a formatted
 * sentence: a fixed text is kept by its address. Returns `code`.
 */
int fail_quiet(int code, const char *fixed);

/* Misuse that would corrupt shared memory stops the process with a sentence, in every build. */
void stop(const char *format, ...) SHOAL_PRINTF_(1, 2) __attribute__((noreturn, cold));

/*
 * What shoal_error() and shoal_needed() tell, put aside by a call that tries what may fail, and
 * does its work all the same. It costs next to nothing where the last one was no sentence.
 */
#define ERROR_BYTES 512
struct error_kept {
	const char *last;
	size_t needed;
	char sentence[ERROR_BYTES]; /* where `last` is one that was formatted */
};
void error_keep(struct error_kept *out);
void error_restore(const struct error_kept *kept);

enum { LOG_ERROR = 1, LOG_WARNING, LOG_INFO, LOG_DEBUG };
/* Lines up to `level` are shown, if none were asked for. */
void log_at_least(int level);
void log_line(int level, const char *format, ...) SHOAL_PRINTF_(2, 3);

#endif
