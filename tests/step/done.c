#include "done.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 400 };

static const char *
file_name(void)
{
	return getenv("STEP_DONE");
}

/* FNV-1a of the program. */
static uint64_t
program_hash(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	FILE *self = fopen("/proc/self/exe", "re");
	for (int c; self && (c = getc(self)) != EOF;)
		hash = (hash ^ (uint64_t)c) * UINT64_C(0x100000001b3);
	if (self)
		fclose(self);
	return hash;
}

static void
heading(char *out, size_t room)
{
	static const char *const settings[] = { "STEP_FULL", "STEP_PHASES", "STEP_STRIDE",
		                                "STEP_STATES" };
	size_t at = (size_t)snprintf(out, room, "%016" PRIx64, program_hash());
	for (size_t i = 0; i < sizeof settings / sizeof *settings && at < room; i++) {
		const char *value = getenv(settings[i]);
		at += (size_t)snprintf(out + at, room - at, " %s", value ? value : "-");
	}
}

static bool
has_line(FILE *file, const char *wanted)
{
	char line[LINE];
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, wanted))
			return true;
	}
	return false;
}

static bool
is_in_file(const char *line)
{
	FILE *file = fopen(file_name(), "re");
	bool found = has_line(file, line);
	if (file)
		fclose(file);
	return found;
}

/* One write, so that the lines of several processes stay whole. */
static void
append(const char *text, int flags)
{
	char line[LINE];
	int fd = open(file_name(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0644);
	int bytes = snprintf(line, sizeof line, "%s\n", text);
	if (fd < 0 || write(fd, line, (size_t)bytes) != bytes)
		perror(file_name());
	if (fd >= 0)
		close(fd);
}

void
done_begin(void)
{
	char head[LINE];
	if (!file_name())
		return;
	heading(head, sizeof head);
	if (!is_in_file(head))
		append(head, O_TRUNC);
}

void
done_end(bool all_well)
{
	if (file_name() && all_well)
		unlink(file_name());
}

bool
done_before(const char *name)
{
	return file_name() && is_in_file(name);
}

void
done_note(const char *name)
{
	if (file_name())
		append(name, 0);
}
