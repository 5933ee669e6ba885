/* The tutorials' programs about locks alone: S13. */
#include "seeds/tutorial.h"
#include <string.h>

enum { PROCESSES = 10, LINE_BYTES = 32 };

/*
 * A printer that would mix lines: it writes byte by byte, at a place that it reads first. What two
 * processes print at once ends up in one place.
 */
struct sheet {
	shoal_lock *lock;
	volatile size_t *used;
	volatile char *text;
	int i;
};

static void
print_slowly(const struct sheet *s, const char *line)
{
	for (; *line; line++) {
		size_t at = *s->used;
		s->text[at] = *line;
		if (at % 4 == 0)
			sleep_ms(1);
		*s->used = at + 1;
	}
}

static int
print_under_the_lock(void *arg)
{
	const struct sheet *s = arg;
	char line[LINE_BYTES];
	snprintf(line, sizeof line, "hello world %d\n", s->i);
	SHOAL_HOLD(s->lock);
	print_slowly(s, line);
	return 0;
}

Test(sync_seeds, s13_ten_processes_print_whole_lines_under_one_lock)
{
	struct sheet s = { new_lock(), shared(sizeof *s.used), shared(PROCESSES * LINE_BYTES), 0 };
	shoal_process *p[PROCESSES];
	for (s.i = 0; s.i < PROCESSES; s.i++)
		p[s.i] = start(print_under_the_lock, &s, NULL);
	for (int i = 0; i < PROCESSES; i++)
		finish(p[i]);

	REQUIRE_EQ(*s.used, PROCESSES * strlen("hello world 0\n"));
	for (int i = 0; i < PROCESSES; i++) {
		char line[LINE_BYTES];
		snprintf(line, sizeof line, "hello world %d\n", i);
		REQUIRE(strstr((const char *)s.text, line));
	}
}
