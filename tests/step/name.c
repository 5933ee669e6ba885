#include "name.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct names now;

/* In clock ticks, as /proc has it: the 22nd word, and the 20th behind the command's name. */
static uint64_t
start_of(pid_t tid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	const char *at = n > 0 ? strrchr(text, ')') : NULL;
	for (int i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

const struct names *
names_now(void)
{
	return &now;
}

void
names_put(const struct names *n)
{
	now = *n;
}

void
names_clear(void)
{
	now = (struct names){ 0 };
}

void
names_add(enum step_who who, pid_t tid)
{
	now.tid[who] = tid;
	now.start[who] = start_of(tid);
}

/* A thread id stands alone, or in the low 30 bits of a futex word. */
static uint32_t
word_named(uint32_t word, const struct names *n)
{
	uint32_t id = word & 0x3fffffffu;
	for (uint32_t who = 0; id && who < STEP_WHOS; who++) {
		if (id == (uint32_t)n->tid[who])
			return (word & 0xc0000000u) | 0x3fff0000u | who;
	}
	return word;
}

/*
 * A start time stands alone, or above 24 bits of something else. Whose it is does not matter: the
 * thread id beside it tells.
 */
static uint64_t
start_named(uint64_t pair, const struct names *n)
{
	for (uint32_t who = 0; pair && who < STEP_WHOS; who++) {
		if (n->start[who] && pair == n->start[who])
			return UINT64_C(0xfeed);
		if (n->start[who] && pair >> 24 == n->start[who])
			return UINT64_C(0xfeed) << 24 | (pair & 0xffffff);
	}
	return pair;
}

void
pair_named(uint32_t *word, const struct names *n)
{
	uint64_t pair;
	memcpy(&pair, word, sizeof pair);
	uint64_t named = start_named(pair, n);
	if (named != pair) {
		memcpy(word, &named, sizeof named);
		return;
	}
	word[0] = word_named(word[0], n);
	word[1] = word_named(word[1], n);
}
