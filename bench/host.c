/* host.c - where this was measured, as the kernel tells it, and what about it disturbs */
#include "host.h"

#include "build.h"

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* The first line of a file, or "unknown". */
static void
first_line(const char *path, char out[HOST_TEXT])
{
	FILE *file = fopen(path, "r");

	snprintf(out, HOST_TEXT, "unknown");
	if (!file)
		return;
	if (fgets(out, HOST_TEXT, file))
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/* Of "always [madvise] never", what stands in brackets. */
static void
chosen(char text[HOST_TEXT])
{
	char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;

	if (!to)
		return;
	*to = '\0';
	memmove(text, from + 1, (size_t)(to - from));
}

static __attribute__((format(printf, 2, 3))) void
warn(struct host *h, const char *format, ...)
{
	va_list args;

	if (h->warnings == WARNINGS_MAX)
		return;
	va_start(args, format);
	vsnprintf(h->warning[h->warnings++], HOST_TEXT, format, args);
	va_end(args);
}

static void
take_value(const char *line, const char *key, char out[HOST_TEXT])
{
	const char *value = strchr(line, ':');

	if (strncmp(line, key, strlen(key)) || !value || out[0])
		return;
	value += strspn(value, ": \t");
	snprintf(out, HOST_TEXT, "%.*s", (int)strcspn(value, "\n"), value);
}

static void
look_at_processors(struct host *h)
{
	char line[8192], cores[HOST_TEXT] = "", socket[HOST_TEXT], cpu[HOST_TEXT] = "";
	FILE *file = fopen("/proc/cpuinfo", "r");
	unsigned packages = 0;

	while (file && fgets(line, sizeof line, file)) {
		take_value(line, "model name", h->cpu);
		take_value(line, "CPU part", cpu);
		take_value(line, "cpu cores", cores);
		socket[0] = '\0';
		take_value(line, "physical id", socket);
		if (socket[0] && (unsigned)atoi(socket) + 1 > packages)
			packages = (unsigned)atoi(socket) + 1;
		if (!strncmp(line, "flags", 5) && strstr(line, " hypervisor"))
			snprintf(h->virt, sizeof h->virt, "hypervisor");
	}
	if (file)
		fclose(file);
	if (!h->cpu[0])
		snprintf(h->cpu, sizeof h->cpu, "%.150s", cpu[0] ? cpu : "unknown");
	h->packages = packages ? packages : 1;
	h->cores = (unsigned)atoi(cores) * h->packages;
}

static unsigned
given_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static void
look_for_hypervisor(struct host *h)
{
	char product[HOST_TEXT], type[HOST_TEXT];

	first_line("/sys/class/dmi/id/product_name", product);
	first_line("/sys/hypervisor/type", type);
	if (strcmp(type, "unknown"))
		snprintf(h->virt, sizeof h->virt, "%s", type);
	else if (h->virt[0] && strcmp(product, "unknown"))
		snprintf(h->virt, sizeof h->virt, "%s", product);
	else if (!h->virt[0])
		snprintf(h->virt, sizeof h->virt, "none");
}

static void
judge(struct host *h)
{
	if (strcmp(h->virt, "none"))
		warn(h, "a virtual machine: its processors may be taken away at any time");
	if (strcmp(h->governor, "performance") && strcmp(h->governor, "unknown"))
		warn(h, "the frequency governor is %.40s, not performance", h->governor);
	if (h->smt == 1)
		warn(h, "SMT is on: neighbouring processors share a core");
	if (h->load > 0.5)
		warn(h, "a load of %.1f: others want the processors too", h->load);
	if (h->processors < 2)
		warn(h, "one processor: nothing runs beside anything");
	else if (h->processors < 4)
		warn(h, "%u processors: shapes with more workers share them", h->processors);
	if (strcmp(h->clock, "tsc") && strcmp(h->clock, "arch_sys_counter"))
		warn(h, "the clock is %.40s: looks at it are slow", h->clock);
	if (strstr(h->git, "dirty"))
		warn(h, "built from sources that were not committed");
}

void
host_look(struct host *h)
{
	char text[HOST_TEXT];
	struct utsname name;

	memset(h, 0, sizeof *h);
	h->git = BUILD_GIT;
	h->cc = BUILD_CC;
	h->cflags = BUILD_CFLAGS;
	look_at_processors(h);
	look_for_hypervisor(h);
	if (uname(&name) == 0) {
		snprintf(h->kernel, sizeof h->kernel, "%.80s %.70s", name.sysname, name.release);
		snprintf(h->machine, sizeof h->machine, "%s", name.machine);
	}
	h->processors = given_processors();
	first_line("/sys/devices/system/cpu/smt/active", text);
	h->smt = strcmp(text, "unknown") ? atoi(text) : -1;
	first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", h->governor);
	first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", h->clock);
	first_line("/sys/kernel/mm/transparent_hugepage/enabled", h->thp);
	first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", h->thp_shmem);
	chosen(h->thp);
	chosen(h->thp_shmem);
	first_line("/proc/loadavg", text);
	h->load = atof(text);
	judge(h);
}

void
host_print(const struct host *h, FILE *out)
{
	fprintf(out, "%s, %u processors, %s %s; shoal %s, %s %s\n", h->cpu, h->processors, h->kernel,
	        h->machine, h->git, h->cc, h->cflags);
	for (unsigned i = 0; i < h->warnings; i++)
		fprintf(out, "warning: %s\n", h->warning[i]);
}
