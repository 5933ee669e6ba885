#include "cover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <shoal/base.h>

enum { FUNCTIONS_MAX = 400, NAME = 60, LINE = 400 };

struct function {
	uint64_t at;
	volatile bool called;
	char name[NAME];
};

/* Shared with the drivers, which are this process's forks. */
static struct function *functions;
static size_t count;

/* Where the program was loaded, told by one of its functions. */
static uint64_t
loaded_at(void)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(functions[i].name, "shoal_error"))
			return (uint64_t)(uintptr_t)shoal_error - functions[i].at;
	}
	return 0;
}

bool
cover_begin(void)
{
	char command[LINE], line[LINE], path[LINE / 2] = "";
	if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
		return false;
	functions = mmap(NULL, FUNCTIONS_MAX * sizeof *functions, PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(command, sizeof command, "nm '%s'", path);
	FILE *symbols = functions == MAP_FAILED ? NULL : popen(command, "r");
	while (symbols && count < FUNCTIONS_MAX && fgets(line, sizeof line, symbols)) {
		struct function *f = &functions[count];
		unsigned long long at;
		if (sscanf(line, "%llx T %59s", &at, f->name) != 2 || strncmp(f->name, "shoal_", 6) != 0)
			continue;
		f->at = at;
		count++;
	}
	if (symbols)
		pclose(symbols);
	uint64_t from = loaded_at();
	for (size_t i = 0; i < count; i++)
		functions[i].at += from;
	return from != 0;
}

bool
cover_is_on(void)
{
	return count != 0;
}

void
cover_note(uint64_t pc)
{
	for (size_t i = 0; i < count; i++) {
		if (functions[i].at == pc)
			functions[i].called = true;
	}
}

static struct function *
find(const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(functions[i].name, name))
			return &functions[i];
	}
	return NULL;
}

/* "function: why it needs no case" */
static int
compare_reasons(bool *reason)
{
	char line[LINE], name[NAME];
	int wrong = 0;
	FILE *file = fopen(STEP_SOURCES "/without.txt", "r");
	while (file && fgets(line, sizeof line, file)) {
		if (line[0] == '#' || sscanf(line, "%59[a-z0-9_]: %*c", name) != 1)
			continue;
		struct function *f = find(name);
		if (f && !f->called) {
			reason[f - functions] = true;
			continue;
		}
		printf("%s stands in without.txt, but %s\n", name,
		       f ? "a case watches it" : "there is no such function");
		wrong++;
	}
	if (file)
		fclose(file);
	return wrong;
}

int
cover_report(void)
{
	bool reason[FUNCTIONS_MAX] = { false };
	size_t called = 0, excused = 0;
	int wrong = compare_reasons(reason);
	for (size_t i = 0; i < count; i++) {
		called += functions[i].called;
		excused += reason[i];
		if (functions[i].called || reason[i])
			continue;
		printf("%s: no case watches it, and without.txt does not say why\n", functions[i].name);
		wrong++;
	}
	printf("%zu public functions: %zu watched, %zu in without.txt\n", count, called, excused);
	return wrong;
}
