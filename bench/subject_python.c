/*
 * subject_python.c - Python's multiprocessing: Queue, SimpleQueue, Pipe, and Manager().dict()
 *
 * python_peers.py, which is part of this program, makes its own processes, takes the time itself
 * and prints what it found. Its loops are Python's, as those of everybody who uses these are.
 */
#include "rings.h"
#include "subject.h"

#include "config.h"
#include "run.h"
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if HAVE_PYTHON
#include "clock.h"

#include <sys/wait.h>

enum {
	WORDS = 8,
	WORD_ROOM = 24,
	OUTPUT_ROOM = 1024,
};

__asm__(".pushsection .rodata\n"
        ".hidden python_script\n"
        ".globl python_script\n"
        "python_script:\n"
        ".incbin \"bench/python_peers.py\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char python_script[];

static int
python_open(struct opening *o)
{
	(void)o;
	return -ENOTSUP;
}

static bool
queue_fits(const struct plan *p)
{
	return p->measure == ONE_WAY || p->measure == ROUND_SPINNING || p->measure == ROUND_ASLEEP;
}

static bool
pipe_fits(const struct plan *p)
{
	return queue_fits(p) && p->producers == 1 && p->consumers == 1;
}

/* Each call asks the manager's process, so a million keys tell nothing that fewer do not. */
static bool
dict_fits(const struct plan *p)
{
	return measure_is_map(p->measure) && p->measure != MAP_GROWTH && p->keys <= 100000;
}

static const char *
measure_word(enum measure m)
{
	switch (m) {
	case ONE_WAY: return "oneway";
	case ROUND_SPINNING: return "spinning";
	case MAP_READING_ALONE:
	case MAP_READING: return "reading";
	case MAP_HALF_ALONE:
	case MAP_HALF: return "half";
	default: return "asleep";
	}
}

static void
become(const char *kind, const struct plan *p, const struct timing *t, int out)
{
	bool map = measure_is_map(p->measure);
	uint64_t numbers[] = { map ? workers_of(p) : p->producers, p->consumers,
		               p->bytes, map ? p->keys : slots_for(p->bytes),
		               t->warm_ns, t->window_ns };
	char text[WORDS][WORD_ROOM];
	const char *words[] = { "python3", "-c", python_script, kind, measure_word(p->measure),
		                text[0], text[1], text[2], text[3], text[4],
		                text[5], NULL };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		snprintf(text[i], WORD_ROOM, "%llu", (unsigned long long)numbers[i]);
	dup2(out, STDOUT_FILENO);
	execvp(words[0], (char *const *)(uintptr_t)words);
	_exit(127);
}

static double
value_of(const char *output, const char *name)
{
	char word[64];
	const char *at;

	snprintf(word, sizeof word, " %s ", name);
	at = strstr(output, word);
	return at ? strtod(at + strlen(word), NULL) : 0;
}

static void
understand(const char *output, struct sample *out)
{
	out->rate = value_of(output, "rate");
	out->messages = (uint64_t)value_of(output, "messages");
	out->cpu_ns = value_of(output, "cpu_ns");
	out->switches = value_of(output, "switches");
	out->p50 = value_of(output, "p50");
	out->p99 = value_of(output, "p99");
	out->p999 = value_of(output, "p999");
	if (value_of(output, "bad") > 0)
		reject(out, "%g messages or values torn or out of order", value_of(output, "bad"));
	if (value_of(output, "differs") > 0 || !out->messages)
		reject(out, "what was sent is not what was received");
}

static int
python_run(const char *kind, const struct plan *p, const struct timing *t, struct sample *out)
{
	char output[OUTPUT_ROOM] = " ";
	size_t have = 1;
	int fds[2], status = 0;
	ssize_t n = 1;
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork_bound()) < 0)
		return -errno;
	if (pid == 0) {
		close(fds[0]);
		become(kind, p, t, fds[1]);
	}
	close(fds[1]);
	while (n > 0 && have < sizeof output - 1) {
		n = read(fds[0], output + have, sizeof output - 1 - have);
		have += n > 0 ? (size_t)n : 0;
	}
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (status)
		reject(out, "python3 ended with status %d", status);
	else
		understand(output, out);
	return 0;
}

#define SUBJECT(id, title, kind, fit, its, what) \
	static int id##_run(const struct plan *p, const struct timing *t, struct sample *out) \
	{ \
		return python_run(kind, p, t, out); \
	} \
	const struct subject id = { \
		.name = title, \
		.about = "Python's multiprocessing." kind ", " what, \
		.traits = SUBJECT_FULL_ONLY | (its), \
		.batch = 1, \
		.bytes_max = 64 * KIBI, \
		.open = python_open, \
		.fits = fit, \
		.run = id##_run, \
	}
#else
#define SUBJECT(id, title, kind, fit, its, what) \
	const struct subject id = { \
		.name = title, \
		.about = "left out: configure has not found Python (Debian's python3)", \
		.batch = 1, \
	}
#endif

SUBJECT(subject_python_queue, "Python Queue", "Queue", queue_fits, 0, "put and get of bytes");
SUBJECT(subject_python_simple, "Python SimpleQueue", "SimpleQueue", queue_fits, 0,
        "put and get of bytes");
SUBJECT(subject_python_pipe, "Python Pipe", "Pipe", pipe_fits, 0, "send_bytes and recv_bytes");
SUBJECT(subject_map_python, "Python dict", "Manager().dict", dict_fits, SUBJECT_MAPS,
        "get and set of bytes");
