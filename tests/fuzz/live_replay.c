/*
 * The same without libFuzzer: live-replay COUNT [SEED] runs so many generated inputs, live-replay
 * FILE... those of the files.
 */
#include "live_guard.h"
#include "live_run.h"
#include "live_world.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define INPUT_BYTES 200
#define INPUT_CPU_SECONDS 10 /* a loop; a wait that nobody ends takes none */
#define INPUT_SECONDS 300

static uint8_t input[4096];
static size_t input_bytes;
static unsigned long number;

/* xorshift64*, so that a seed means the same everywhere. */
static uint64_t state;

static uint64_t
random_64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static void
generate(void)
{
	input_bytes = 20 + random_64() % (INPUT_BYTES - 20);
	for (size_t i = 0; i < input_bytes; i++)
		input[i] = (uint8_t)(random_64() >> 56);
}

/* The input that did it, to be given back as a file (xxd -r -p). */
static void
tell(void)
{
	static const char hex[] = "0123456789abcdef";
	char line[2 * sizeof input + 1];
	for (size_t i = 0; i < input_bytes; i++) {
		line[2 * i] = hex[input[i] >> 4];
		line[2 * i + 1] = hex[input[i] & 15];
	}
	line[2 * input_bytes] = '\0';
	dprintf(STDERR_FILENO, "live-replay: input %lu: %s\n", number, line);
}

static void
on_signal(int signo)
{
	tell();
	signal(signo, SIG_DFL);
	raise(signo);
}

/* A sanitizer, where there is one, keeps its signals and calls back when it gives up. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void
watch_deaths(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	signal(SIGALRM, on_signal);
	signal(SIGPROF, on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(tell);
	for (size_t i = 0; !__sanitizer_set_death_callback && i < sizeof fatal / sizeof *fatal; i++)
		signal(fatal[i], on_signal);
}

static void
run_one(void)
{
	static const struct itimerval cpu = { .it_value.tv_sec = INPUT_CPU_SECONDS };
	setitimer(ITIMER_PROF, &cpu, NULL);
	alarm(INPUT_SECONDS);
	live_run(input, input_bytes);
	number++;
}

static int
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return perror(path), 1;
	input_bytes = fread(input, 1, sizeof input, f);
	fclose(f);
	run_one();
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int rc = 0;
	live_begin();
	watch_deaths();
	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	for (unsigned long i = 0; i < count; i++) {
		generate();
		run_one();
	}
	for (int i = 1; !count && i < argc; i++)
		rc |= run_file(argv[i]);
	live_end();
	printf("live-replay: %lu inputs, %lu ended by a stop\n", number, guard_stops());
	return rc;
}
