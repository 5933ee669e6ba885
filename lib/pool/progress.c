/* The ready-made progress bar. */
#include "pool/progress.h"
#include "base/cancel.h"
#include "base/clock.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30
#define REDRAW_NS INT64_C(50000000)

/* When that began whose progress this thread is told of; 0: it is not known. */
static __thread int64_t began_then;

/* Whose bar is on the line, and since when: one at a time, others begin anew. */
static struct {
	pthread_mutex_t lock;
	const void *of;
	size_t before, last; /* what was done at `since` */
	int64_t since, drawn;
} bar = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Another thread may have been drawing. */
static void
after_fork_child(void)
{
	bar.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	bar.since = 0;
}

__attribute__((constructor)) static void
hear_of_forks(void)
{
	pthread_atfork(NULL, NULL, after_fork_child);
}

void
progress_tell(void (*progress)(void *, size_t, size_t), void *arg, size_t done, size_t total,
              int64_t began)
{
	if (!progress)
		return;
	int64_t outer = began_then; /* it may run a map itself */
	began_then = began;
	progress(arg, done, total);
	began_then = outer;
}

static void
write_time(char *to, size_t bytes, double seconds)
{
	unsigned s = seconds < 0 || seconds > 359999 ? 359999u : (unsigned)seconds;
	if (s >= 3600)
		snprintf(to, bytes, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(to, bytes, "%02u:%02u", s / 60, s % 60);
}

static void
draw(const char *what, size_t done, size_t total, double passed, bool over_it)
{
	char line[256], cells[WIDTH + 1], went[16], left[16];
	size_t full = done < total ? (size_t)((double)done / (double)total * WIDTH) : WIDTH;
	double rate = passed > 0 ? (double)(done - bar.before) / passed : 0;
	memset(cells, '#', full);
	memset(cells + full, ' ', WIDTH - full);
	cells[WIDTH] = 0;
	write_time(went, sizeof went, passed);
	write_time(left, sizeof left, rate > 0 ? (double)(total - done) / rate : 0);
	snprintf(line, sizeof line, "%s%s%s%3.0f%%|%s| %zu/%zu [%s<%s, %.1f/s]%s",
	         over_it ? "\r" : "", what ? what : "", what ? ": " : "",
	         total ? 100.0 * (double)done / (double)total : 100.0, cells, done, total, went,
	         left, rate, done == total ? "\n" : "");
	int old = cancel_forbid();
	fputs(line, stderr);
	fflush(stderr);
	cancel_restore(old);
}

void
shoal_progress_bar(void *arg, size_t done, size_t total)
{
	bool terminal = isatty(STDERR_FILENO);
	if (done > total)
		done = total;
	pthread_mutex_lock(&bar.lock);
	int64_t now = clock_now();
	if (bar.of != arg || done < bar.last || !bar.since ||
	    (began_then && began_then != bar.since)) {
		bar.of = arg;
		bar.since = began_then ? began_then : now;
		bar.before = began_then ? 0 : done;
	}
	bar.last = done;
	bool due = terminal && now - bar.drawn >= REDRAW_NS;
	if (due || done == total) {
		bar.drawn = now;
		draw(arg, done, total, (double)(now - bar.since) / 1e9, terminal);
	}
	if (done == total)
		bar.since = 0;
	pthread_mutex_unlock(&bar.lock);
}
