#include "base/error.h"
#include "base/atomic.h"
#include "base/cancel.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __thread char sentence[ERROR_BYTES];
static __thread const char *last; /* what shoal_error gives: the sentence, or a fixed text */
static __thread size_t needed_bytes;

static struct { int level; shoal_log_fn *fn; void *arg; } sink;

int
fail(int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	last = sentence;
	return code;
}

int
fail_small(size_t needed, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	last = sentence;
	needed_bytes = needed;
	return -EMSGSIZE;
}

int
fail_quiet(int code, const char *fixed)
{
	last = fixed;
	return code;
}

void
error_keep(struct error_kept *out)
{
	out->last = last;
	out->needed = needed_bytes;
	if (last == sentence)
		memcpy(out->sentence, sentence, sizeof sentence);
}

void
error_restore(const struct error_kept *kept)
{
	last = kept->last;
	needed_bytes = kept->needed;
	if (last == sentence)
		memcpy(sentence, kept->sentence, sizeof sentence);
}

void
stop(const char *format, ...)
{
	char line[ERROR_BYTES + 16];
	int n = snprintf(line, sizeof line, "shoal: ");
	va_list args;
	va_start(args, format);
	n += vsnprintf(line + n, ERROR_BYTES, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	(void)cancel_forbid();
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written;
	abort();
}

void
log_line(int level, const char *format, ...)
{
	if (likely(level > sink.level))
		return;
	char line[ERROR_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	int old = cancel_forbid();
	if (sink.fn)
		sink.fn(sink.arg, level, line);
	else
		fprintf(stderr, "shoal: %s\n", line);
	cancel_restore(old);
}

void
log_at_least(int level)
{
	if (sink.level < level)
		sink.level = level;
}

void
shoal_log_set(int level, shoal_log_fn *fn, void *arg)
{
	sink.fn = fn;
	sink.arg = arg;
	sink.level = level;
}

const char *
shoal_error(void)
{
	return last ? last : "no call of this thread has failed";
}

size_t
shoal_needed(void)
{
	return needed_bytes;
}

void
shoal_perror(const char *what)
{
	if (what && *what)
		fprintf(stderr, "%s: %s\n", what, shoal_error());
	else
		fprintf(stderr, "%s\n", shoal_error());
}

unsigned
shoal_version(void)
{
	return SHOAL_VERSION;
}

/* What the code means here, which is not always what strerror says. */
static const struct { int code; const char *text; } meanings[] = {
	{ 0, "no error" },
	{ EAGAIN, "it would have to wait" },
	{ ETIMEDOUT, "the time ran out" },
	{ EPIPE, "closed, destroyed, or the other side is gone" },
	{ EOWNERDEAD, "the last holder died; what it held is suspect" },
	{ ENOTRECOVERABLE, "given back suspect; it must be initialised anew" },
	{ EMSGSIZE, "the message does not fit" },
	{ ENOMEM, "the limit of the arena or of memory is reached" },
	{ ENOSPC, "there is no memory behind the arena" },
	{ EMFILE, "too many open files" },
	{ EUSERS, "the arena has no place for another member" },
	{ ECANCELED, "interrupted or cancelled" },
	{ EPROTO, "not an arena, another layout, or another kind of object" },
	{ EINVAL, "an argument is out of range" },
	{ EPERM, "not allowed for this caller" },
	{ EBUSY, "in use" },
	{ EDEADLK, "it would wait for itself" },
	{ EOVERFLOW, "more than it takes" },
	{ EALREADY, "already done" },
	{ ENOENT, "there is no such object" },
	{ EEXIST, "there is one of that name already" },
	{ ENOSYS, "this kernel or C library lacks what it needs" },
	{ EBADF, "not an open descriptor" },
	{ EACCES, "the file's or directory's mode forbids it" },
	{ ENOTDIR, "part of the path is no directory" },
	{ EISDIR, "the path is a directory" },
	{ ENAMETOOLONG, "the path is too long" },
	{ EFBIG, "larger than RLIMIT_FSIZE allows" },
	{ EOPNOTSUPP, "the file system cannot do it" },
	{ ECHILD, "not a child of this process, or not started" },
	{ EIO, "it failed, or its input or output did" },
	{ ERANGE, "out of range" },
	{ EDOM, "not a value that it is made for" },
	{ EINTR, "interrupted by a signal" },
};

const char *
shoal_strerror(int code)
{
	int positive = code < 0 ? -code : code;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].code == positive)
			return meanings[i].text;
	return "an error of the system";
}
