#include "seeds/tutorial.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATIENCE (SHOAL_SEC(10) * HARNESS_SLOW)

enum { TEXT_MAX = 256 };

/* An unnamed file that every process appends to. */
static int paper = -1;

void
transcript_begin(void)
{
	if (paper >= 0)
		close(paper);
	paper = memfd_create("transcript", MFD_CLOEXEC);
	REQUIRE(paper >= 0);
	REQUIRE_EQ(fcntl(paper, F_SETFL, O_APPEND), 0);
}

void
say(const char *format, ...)
{
	char line[TEXT_MAX];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	REQUIRE(n >= 0 && n < (int)sizeof line - 1);
	line[n++] = '\n';
	REQUIRE_EQ(write(paper, line, (size_t)n), n);
}

const struct transcript *
transcript_lines(void)
{
	static char text[LINES_MAX * TEXT_MAX];
	static struct transcript t;
	ssize_t bytes = pread(paper, text, sizeof text - 1, 0);
	REQUIRE(bytes >= 0);
	text[bytes] = 0;
	t.count = 0;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		REQUIRE(t.count < LINES_MAX);
		*end = 0;
		t.line[t.count++] = line;
	}
	return &t;
}

size_t
said(const char *line)
{
	const struct transcript *t = transcript_lines();
	size_t times = 0;
	for (size_t i = 0; i < t->count; i++)
		times += !strcmp(t->line[i], line);
	return times;
}

shoal_process *
start(int (*run)(void *), void *arg, const char *name)
{
	const shoal_process_options options = { .name = name };
	shoal_process *process;
	REQUIRE_EQ(shoal_process_spawn(run, arg, name ? &options : NULL, &process), 0);
	return process;
}

void
finish(shoal_process *process)
{
	int code = -1;
	REQUIRE_EQ(shoal_process_join(process, PATIENCE), 0);
	REQUIRE_EQ(shoal_process_exitcode(process, &code), 0);
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(shoal_process_close(process), 0);
}

static shoal_arena *
new_arena(void)
{
	shoal_arena *arena;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	return arena;
}

shoal_queue *
new_queue(void)
{
	shoal_queue *queue;
	REQUIRE_EQ(shoal_queue_create(new_arena(), NULL, NULL, &queue), 0);
	return queue;
}

shoal_lock *
new_lock(void)
{
	shoal_lock *lock;
	REQUIRE_EQ(shoal_lock_create(new_arena(), NULL, 0, &lock), 0);
	return lock;
}

shoal_list *
new_list(void)
{
	shoal_list *list;
	REQUIRE_EQ(shoal_list_create(new_arena(), NULL, NULL, &list), 0);
	return list;
}

shoal_dict *
new_dict(void)
{
	shoal_dict *dict;
	REQUIRE_EQ(shoal_dict_create(new_arena(), NULL, NULL, &dict), 0);
	return dict;
}

void
new_pipe(unsigned flags, shoal_pipe_end **left, shoal_pipe_end **right)
{
	const shoal_pipe_options options = { .flags = flags };
	REQUIRE_EQ(shoal_pipe_create(new_arena(), NULL, &options, left, right), 0);
}

void
put_text(shoal_queue *queue, const char *text)
{
	REQUIRE_EQ(shoal_queue_put(queue, text, strlen(text) + 1, PATIENCE), 0);
}

void
send_text(shoal_pipe_end *end, const char *text)
{
	REQUIRE_EQ(shoal_pipe_send(end, text, strlen(text) + 1, PATIENCE), 0);
}

/* A text must have come whole: its zero byte is its last one and its only one. */
static const char *
whole(const char *text, ssize_t bytes)
{
	REQUIRE(bytes > 0);
	REQUIRE_EQ(strnlen(text, (size_t)bytes), bytes - 1);
	return text;
}

const char *
get_text(shoal_queue *queue)
{
	static char text[TEXT_MAX];
	return whole(text, shoal_queue_get(queue, text, sizeof text, PATIENCE));
}

const char *
recv_text(shoal_pipe_end *end)
{
	static char text[TEXT_MAX];
	return whole(text, shoal_pipe_recv(end, text, sizeof text, PATIENCE));
}
