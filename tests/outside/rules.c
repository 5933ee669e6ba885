/* Rules for all of it: results, time, errors, the log, interrupts, threads, signal handlers. */
#include "outside.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

static void
results(void)
{
	shoal_arena *none;
	FILE *paper = tmpfile();
	char line[1024];
	CHECK(shoal_version() == SHOAL_VERSION);
	CHECK(shoal_timed_out(-EAGAIN) && shoal_timed_out(-ETIMEDOUT) && !shoal_timed_out(0));
	CHECK(!strcmp(shoal_strerror(-EPIPE), shoal_strerror(EPIPE)));
	CHECK(strcmp(shoal_strerror(EPIPE), shoal_strerror(EPERM)));
	CHECK(shoal_arena_create("not a name", NULL, &none) == -EINVAL && !none);
	CHECK(paper && strstr(shoal_error(), "not a name"));
	stderr_to(paper);
	shoal_perror("outside");
	stderr_to(NULL);
	snprintf(line, sizeof line, "outside: %s\n", shoal_error());
	CHECK(wrote(paper, line));
}

static void
times(void)
{
	shoal_event event;
	shoal_time begin = shoal_now();
	CHECK(begin > 0 && shoal_left(begin) == 0);
	CHECK(shoal_left(begin + SHOAL_SEC(60)) > SHOAL_SEC(30) && shoal_left(SHOAL_FOREVER) > 0);
	CHECK(shoal_event_init(&event) == 0 && shoal_event_wait(&event, -1) == -EAGAIN);
	CHECK(shoal_event_wait(&event, SHOAL_MS(5)) == -ETIMEDOUT);
	CHECK(shoal_now() - begin >= SHOAL_MS(5));
}

/* ---- the log ---- */

struct lines {
	int count, level;
	char last[512];
};

static void
keep(void *arg, int level, const char *line)
{
	struct lines *lines = arg;
	lines->count++;
	lines->level = level;
	snprintf(lines->last, sizeof lines->last, "%s", line);
}

/* A thread that closes an arena and still holds a lock in it is told of, as a warning. */
static void *
close_too_early(void *unused)
{
	shoal_arena *arena;
	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	shoal_lock *lock = shoal_new(arena, sizeof *lock);
	CHECK(lock && shoal_lock_acquire(lock, SHOAL_NOWAIT) == 0);
	shoal_arena_close(arena);
	CHECK(shoal_lock_release(lock) == 0);
	return unused;
}

static void
log_lines(void)
{
	struct lines lines = { 0 };
	shoal_log_set(1, keep, &lines);
	in_thread(close_too_early, NULL);
	CHECK(lines.count == 0);
	shoal_log_set(2, keep, &lines);
	in_thread(close_too_early, NULL);
	CHECK(lines.count == 1 && lines.level == 2 && strstr(lines.last, "holds locks"));
	FILE *paper = tmpfile();
	CHECK(paper);
	shoal_log_set(2, NULL, NULL);
	stderr_to(paper);
	in_thread(close_too_early, NULL);
	stderr_to(NULL);
	CHECK(ftell(paper) >= 0 && fseek(paper, 0, SEEK_END) == 0 && ftell(paper) > 0);
	CHECK(fclose(paper) == 0);
	shoal_log_set(0, keep, &lines);
	in_thread(close_too_early, NULL);
	CHECK(lines.count == 1);
}

/* ---- threads and signal handlers ---- */

static shoal_event event;
static shoal_semaphore permits;
static shoal_thread *waiter;
static shoal_queue *queue;
static volatile int handled, wanted;
static volatile bool refused;

static void *
interrupt(void *thread)
{
	shoal_thread_interrupt(thread);
	return NULL;
}

/* An interrupt ends the present wait, or the next one, once; from this thread or another one. */
static void
interrupts(void)
{
	pthread_t other;
	memset(&event, 0xff, sizeof event);
	CHECK(shoal_event_init(&event) == 0);
	shoal_thread_interrupt(shoal_thread_self());
	CHECK(shoal_event_wait(&event, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(shoal_event_wait(&event, SHOAL_MS(1)) == -ETIMEDOUT);
	CHECK(pthread_create(&other, NULL, interrupt, shoal_thread_self()) == 0);
	CHECK(shoal_event_wait(&event, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(pthread_join(other, NULL) == 0);
	CHECK(shoal_event_wait(&event, SHOAL_MS(1)) == -ETIMEDOUT);
}

/* The handler from now on, at once and then every 5 ms; none. */
static void
every_5_ms(void (*handler)(int))
{
	const struct sigaction a = { .sa_handler = handler ? handler : SIG_IGN };
	const struct timeval step = { .tv_usec = handler ? 5000 : 0 };
	const struct itimerval timer = { .it_interval = step, .it_value = step };
	handled = 0;
	CHECK(sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void
count_it(int signo)
{
	handled += signo == SIGALRM;
}

/* Does what the thread that it interrupts waits for. */
static void
do_it(int signo)
{
	count_it(signo);
	if (wanted == 1)
		shoal_event_set(&event);
	else if (wanted == 2)
		shoal_semaphore_release(&permits);
	else if (wanted == 3 && shoal_event_is_set(&event))
		shoal_event_clear(&event), shoal_thread_interrupt(waiter);
	wanted = 0;
}

/* It interrupts a get now and then: what it puts then is refused, but it may close the queue. */
static void
put_inside(int signo)
{
	count_it(signo);
	if (shoal_queue_put(queue, "x", 1, SHOAL_NOWAIT) == -EDEADLK) {
		refused = true;
		shoal_queue_close(queue);
	}
}

static void
handlers(void)
{
	shoal_arena *arena;
	shoal_time begin = shoal_now();
	ssize_t rc;
	char text[4];
	CHECK(shoal_event_init(&event) == 0 && shoal_semaphore_init(&permits, 0, 1) == 0);
	waiter = shoal_thread_self();
	every_5_ms(count_it);
	CHECK(shoal_event_wait(&event, SHOAL_MS(50)) == -ETIMEDOUT);
	CHECK(shoal_now() - begin >= SHOAL_MS(50) && handled > 0);
	every_5_ms(do_it);
	wanted = 1;
	CHECK(shoal_event_wait(&event, SHOAL_SEC(10)) == 0);
	wanted = 2;
	CHECK(shoal_semaphore_acquire(&permits, SHOAL_SEC(10)) == 0);
	wanted = 3;
	CHECK(shoal_semaphore_acquire(&permits, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(!shoal_event_is_set(&event) && shoal_semaphore_value(&permits) == 0);

	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	CHECK(shoal_queue_create(arena, NULL, NULL, &queue) == 0);
	every_5_ms(put_inside);
	while ((rc = shoal_queue_get(queue, text, sizeof text, SHOAL_SEC(10))) == 1)
		continue;
	every_5_ms(NULL);
	CHECK(rc == -EPIPE && refused);
	CHECK(shoal_queue_destroy(arena, queue) == 0);
	shoal_arena_close(arena);
}

void
rules(void)
{
	results();
	times();
	log_lines();
	interrupts();
	handlers();
}
