/*
 * subject_map_daemon.c - Redis and memcached, asked over a local socket
 *
 * A run starts a server of its own, without persistence, on a socket in a fresh directory, and ends
 * it. Their protocols are simple enough to be written here; each operation is one write and as many
 * reads as its answer comes in, which is what their client libraries do without pipelining.
 */
#include "subject.h"

#include "clock.h"
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WORDS_MAX = 16,
	ROOM = 8192,
	READY_NS = 1000000,
	READY_TRIES = 3000,
	PIPELINED = 64,
};

struct server {
	pid_t pid;
	char directory[64];
	struct sockaddr_un address;
};

struct client {
	int fd;
	unsigned unanswered;
	size_t have; /* bytes of an answer */
	char answer[ROOM];
};

static int
connect_to(const struct server *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&s->address, sizeof s->address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
become(char *const *command)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execvp(command[0], command);
	_exit(127);
}

static int
server_end(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	unlink(s->address.sun_path);
	rmdir(s->directory);
	free(s);
	return 0;
}

/* `words` is the command, in which @ stands for the socket's path. */
static int
server_start(struct opening *o, const char *const *words)
{
	struct server *s = calloc(1, sizeof *s);
	char *command[WORDS_MAX + 1] = { NULL };
	int fd = -1;

	if (!s)
		return -ENOMEM;
	strcpy(s->directory, "/tmp/shoal-bench-XXXXXX");
	if (!mkdtemp(s->directory))
		return -errno;
	s->address.sun_family = AF_UNIX;
	snprintf(s->address.sun_path, sizeof s->address.sun_path, "%s/socket", s->directory);
	for (int i = 0; i < WORDS_MAX && words[i]; i++)
		command[i] = *words[i] == '@' ? s->address.sun_path : (char *)(uintptr_t)words[i];
	s->pid = fork_bound();
	if (s->pid == 0)
		become(command);
	for (int i = 0; i < READY_TRIES && fd < 0 && s->pid > 0; i++) {
		clock_nap(READY_NS);
		fd = connect_to(s);
	}
	if (fd < 0) {
		server_end(s);
		return -ECONNREFUSED;
	}
	close(fd);
	o->arena = s;
	return 0;
}

static int
daemon_close(struct opening *o)
{
	return server_end(o->arena);
}

static void *
daemon_join(const struct opening *o)
{
	struct client *c = calloc(1, sizeof *c);

	if (c)
		c->fd = connect_to(o->arena);
	return c && c->fd >= 0 ? c : NULL;
}

static int
ask(struct client *c, const char *question, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(c->fd, question, bytes);

		if (n <= 0)
			return -EIO;
		question += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int
hear(struct client *c, size_t bytes)
{
	while (c->have < bytes) {
		ssize_t n = read(c->fd, c->answer + c->have, ROOM - c->have);

		if (n <= 0)
			return -EIO;
		c->have += (size_t)n;
	}
	return 0;
}

/* The first line's length with its end, or negative. */
static long
hear_line(struct client *c)
{
	for (size_t want = 1;; want = c->have + 1) {
		char *end;

		if (hear(c, want) < 0)
			return -EIO;
		end = memmem(c->answer, c->have, "\r\n", 2);
		if (end)
			return end + 2 - c->answer;
	}
}

/* So many answers that all read like this one. */
static int
hear_same(struct client *c, const char *answer, unsigned times)
{
	size_t each = strlen(answer);

	while (times-- > 0) {
		if (hear(c, each) < 0 || memcmp(c->answer, answer, each) != 0)
			return -EPROTO;
		c->have -= each;
		memmove(c->answer, c->answer + each, c->have);
	}
	return 0;
}

/* A value of `bytes` after a header of `at`, and what ends it. */
static long
hear_value(struct client *c, long at, size_t bytes, const char *end, void *value)
{
	size_t all = (size_t)at + bytes + strlen(end);

	if (at < 0 || all > ROOM || hear(c, all) < 0 || c->have != all)
		return -EPROTO;
	memcpy(value, c->answer + at, bytes);
	c->have = 0;
	return (long)bytes;
}

/* With `value` NULL the answers that are still to come are heard. */
static int
fill_by(struct client *c, const char *answer, const char *question, int bytes)
{
	int rc = question ? ask(c, question, (size_t)bytes) : 0;

	c->unanswered += question != NULL;
	if (rc == 0 && (!question || c->unanswered == PIPELINED)) {
		rc = hear_same(c, answer, c->unanswered);
		c->unanswered = 0;
	}
	return rc;
}

/* ---- Redis: RESP ---- */

static int
redis_open(struct opening *o)
{
	static const char *const words[] = { "redis-server", "--port",       "0",  "--appendonly",
		                             "no",           "--unixsocket", "@",  "--dir",
		                             "/tmp",         "--save",       "",   NULL };

	return server_start(o, words);
}

static int
redis_set_text(char *text, uint64_t key, const void *value, size_t bytes)
{
	int n = sprintf(text, "*3\r\n$3\r\nSET\r\n$8\r\n");

	memcpy(text + n, &key, 8);
	n += 8;
	n += sprintf(text + n, "\r\n$%zu\r\n", bytes);
	memcpy(text + n, value, bytes);
	n += (int)bytes;
	memcpy(text + n, "\r\n", 2);
	return n + 2;
}

static int
redis_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	char text[ROOM];
	int rc = ask(map, text, (size_t)redis_set_text(text, key, value, bytes));

	return rc < 0 ? rc : hear_same(map, "+OK\r\n", 1);
}

static int
redis_fill(void *map, uint64_t key, const void *value, size_t bytes)
{
	char text[ROOM];

	return fill_by(map, "+OK\r\n", value ? text : NULL,
	               value ? redis_set_text(text, key, value, bytes) : 0);
}

static long
redis_get(void *map, uint64_t key, void *value, size_t bytes)
{
	char text[64];
	int n = sprintf(text, "*2\r\n$3\r\nGET\r\n$8\r\n");

	memcpy(text + n, &key, 8);
	memcpy(text + n + 8, "\r\n", 2);
	if (ask(map, text, (size_t)n + 10) < 0)
		return -EIO;
	return hear_value(map, hear_line(map), bytes, "\r\n", value);
}

const struct subject subject_map_redis = {
	.name = "Redis",
	.traits = SUBJECT_MAPS,
	.about = HAVE_REDIS
	             ? "Redis on a local socket, one request at a time"
	             : "left out: configure has not found redis-server (Debian's redis-server)",
	.open = HAVE_REDIS ? redis_open : NULL,
	.close = daemon_close,
	.join = daemon_join,
	.set = redis_set,
	.get = redis_get,
	.fill = redis_fill,
};

/* ---- memcached: the text protocol ---- */

static int
memcached_open(struct opening *o)
{
	static const char *const words[] = { "memcached", "-u",   "root", "-t", "1",
		                             "-m",        "1024", "-s",   "@",  NULL };

	return server_start(o, words);
}

static int
memcached_set_text(char *text, uint64_t key, const void *value, size_t bytes)
{
	int n = sprintf(text, "set %016llx 0 0 %zu\r\n", (unsigned long long)key, bytes);

	memcpy(text + n, value, bytes);
	n += (int)bytes;
	memcpy(text + n, "\r\n", 2);
	return n + 2;
}

static int
memcached_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	char text[ROOM];
	int rc = ask(map, text, (size_t)memcached_set_text(text, key, value, bytes));

	return rc < 0 ? rc : hear_same(map, "STORED\r\n", 1);
}

static int
memcached_fill(void *map, uint64_t key, const void *value, size_t bytes)
{
	char text[ROOM];

	return fill_by(map, "STORED\r\n", value ? text : NULL,
	               value ? memcached_set_text(text, key, value, bytes) : 0);
}

static long
memcached_get(void *map, uint64_t key, void *value, size_t bytes)
{
	char text[64];
	int n = sprintf(text, "get %016llx\r\n", (unsigned long long)key);

	if (ask(map, text, (size_t)n) < 0)
		return -EIO;
	return hear_value(map, hear_line(map), bytes, "\r\nEND\r\n", value);
}

const struct subject subject_map_memcached = {
	.name = "memcached",
	.traits = SUBJECT_MAPS,
	.about = HAVE_MEMCACHED
	             ? "memcached on a local socket, one thread, one request at a time"
	             : "left out: configure has not found memcached (Debian's memcached)",
	.open = HAVE_MEMCACHED ? memcached_open : NULL,
	.close = daemon_close,
	.join = daemon_join,
	.set = memcached_set,
	.get = memcached_get,
	.fill = memcached_fill,
};
