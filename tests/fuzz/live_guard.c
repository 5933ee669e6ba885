#include "live_guard.h"
#include <shoal/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_BYTES ((size_t)16 << 30)
#define MAPPINGS 16

void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);
ssize_t __real_write(int fd, const void *p, size_t bytes);
void __real_abort(void) __attribute__((noreturn));
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);
ssize_t __wrap_write(int fd, const void *p, size_t bytes);
void __wrap_abort(void) __attribute__((noreturn));

/* ---- nothing beside the mapping ---- */

static void *guarded[MAPPINGS];

static void **
guarded_slot(const void *at)
{
	for (int i = 0; i < MAPPINGS; i++)
		if (guarded[i] == at)
			return &guarded[i];
	return NULL;
}

void *
__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	void **slot = guarded_slot(NULL);
	if (fd < 0 || at || !slot)
		return __real_mmap(at, bytes, prot, flags, fd, offset);
	char *wide = __real_mmap(NULL, bytes + 2 * GUARD_BYTES, PROT_NONE,
	                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wide == MAP_FAILED)
		return wide;
	void *p = __real_mmap(wide + GUARD_BYTES, bytes, prot, flags | MAP_FIXED, fd, offset);
	if (p == MAP_FAILED)
		__real_munmap(wide, bytes + 2 * GUARD_BYTES);
	else
		*slot = p;
	return p;
}

int
__wrap_munmap(void *at, size_t bytes)
{
	void **slot = guarded_slot(at);
	if (!slot)
		return __real_munmap(at, bytes);
	*slot = NULL;
	return __real_munmap((char *)at - GUARD_BYTES, bytes + 2 * GUARD_BYTES);
}

/* ---- the way back ---- */

/* The calls that have no way to give an error, and the misuse that the headers say stops. */
static const char *const may_stop[] = {
	"shoal: shoal_free",
	"shoal: shoal_queue_close: ",
	"shoal: shoal_loan_release",
};

static const char *allowed;
static jmp_buf back;
static volatile bool inside;
static unsigned long stops;
static char sentence[1024];

unsigned long
guard_stops(void)
{
	return stops;
}

void
guard_allow(const char *words)
{
	allowed = words;
}

ssize_t
__wrap_write(int fd, const void *p, size_t bytes)
{
	if (!inside || fd != STDERR_FILENO)
		return __real_write(fd, p, bytes);
	size_t n = bytes < sizeof sentence - 1 ? bytes : sizeof sentence - 1;
	memcpy(sentence, p, n);
	sentence[n] = '\0';
	return (ssize_t)bytes;
}

void
__wrap_abort(void)
{
	bool may = inside && allowed && strstr(sentence, allowed);
	for (size_t i = 0; inside && i < sizeof may_stop / sizeof *may_stop; i++)
		may |= strncmp(sentence, may_stop[i], strlen(may_stop[i])) == 0;
	if (!may) {
		fprintf(stderr, "live: the library stopped: %s\n", sentence);
		__real_abort();
	}
	longjmp(back, 1);
}

bool
guard_run(void (*fn)(void *), void *arg)
{
	sentence[0] = '\0';
	allowed = NULL;
	if (setjmp(back)) {
		inside = false;
		stops++;
		return false;
	}
	inside = true;
	fn(arg);
	inside = false;
	return true;
}

void
live_must(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "live: %s: %s\n", what, shoal_error());
	_exit(99);
}
