/*
 * death.c - how long the others wait when a member is killed
 *
 * 64 members are registered: a crowd of threads that does nothing, a producer and a consumer that
 * live, and a victim at work beside them, killed at a random moment and replaced. What counts is
 * the consumer's longest silence between the kill and 12 ms after it: how long no message of the
 * living producer arrived. That is stricter than the time to the first message after the kill,
 * because one may arrive before the hole is reached. The same silence is measured in as many
 * windows without a kill, to tell the scheduler's share.
 *
 * Messages of 1 KiB in a ring of 64 places: a victim spends most of its time inside a copy, so
 * that most kills hit a place in its hands, and the ring comes round within the window.
 */
#include "death.h"

#include "clock.h"
#include "stats.h"
#include "subject.h"

#include <pthread.h>
#include <shoal/arena.h>
#include <shoal/queue.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MEMBERS = 64,
	CROWD = MEMBERS - 3,
	PLACES = 64,
	BYTES = 1024,
	BATCH = 32,
	KILLS_MAX = 1000,
};

#define WINDOW_NS 12000000ull
#define PATIENCE_NS 3000000000ull

struct scene {
	_Alignas(128) _Atomic uint64_t since; /* silence counts from here on; 0: it does not */
	_Alignas(128) _Atomic uint64_t longest; /* the consumer's longest silence since then */
	_Atomic uint64_t arrived; /* when the last message of the living came */
	_Alignas(128) _Atomic bool victim_ready;
	_Atomic uint32_t crowd_ready;
	struct death_result result;
};

struct play {
	struct scene *scene;
	shoal_arena *arena;
	shoal_queue *queue;
	enum victim victim;
};

static __attribute__((format(printf, 2, 3))) void
stop(struct scene *scene, const char *format, ...)
{
	va_list args;

	if (scene->result.error[0])
		return;
	va_start(args, format);
	vsnprintf(scene->result.error, sizeof scene->result.error, format, args);
	va_end(args);
}

static void
live_producer(struct play *play)
{
	uint64_t message[BYTES / 8] = { 1 };

	pin_to(0);
	while (shoal_queue_put(play->queue, message, BYTES, SHOAL_FOREVER) == 0)
		;
	stop(play->scene, "the living producer failed: %s", shoal_error());
}

static void
live_consumer(struct play *play)
{
	struct scene *scene = play->scene;
	uint64_t message[BYTES / 8], last = clock_ns();

	pin_to(1);
	while (shoal_queue_get(play->queue, message, BYTES, SHOAL_FOREVER) == BYTES) {
		uint64_t since = atomic_load(&scene->since), now = clock_ns(), silence;

		if (message[0] != 1)
			continue;
		silence = now - (last > since ? last : since);
		if (since && now > since && silence > atomic_load(&scene->longest))
			atomic_store(&scene->longest, silence);
		atomic_store(&scene->arrived, now);
		last = now;
	}
	stop(scene, "the living consumer failed: %s", shoal_error());
}

static void
victim(struct play *play)
{
	static uint64_t items[BATCH * BYTES / 8];
	ssize_t rc;

	do {
		if (play->victim == VICTIM_PUT)
			rc = shoal_queue_put(play->queue, items, BYTES, SHOAL_FOREVER);
		else if (play->victim == VICTIM_PUT_MANY)
			rc = shoal_queue_put_many(play->queue, items, BYTES, BATCH, SHOAL_FOREVER);
		else
			rc = shoal_queue_get(play->queue, items, BYTES, SHOAL_FOREVER);
		atomic_store_explicit(&play->scene->victim_ready, true, memory_order_relaxed);
	} while (rc >= 0);
	stop(play->scene, "the victim failed: %s", shoal_error());
}

/* Whoever uses an arena is a member of it; it stays one until it ends. */
static void *
one_of_crowd(void *arg)
{
	struct play *play = arg;

	shoal_free(play->arena, shoal_new(play->arena, 64));
	atomic_fetch_add(&play->scene->crowd_ready, 1);
	for (;;)
		pause();
	return NULL;
}

static void
crowd(struct play *play)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * KIBI);
	for (int i = 1; i < CROWD; i++)
		if (pthread_create(&thread, &attr, one_of_crowd, play) != 0)
			stop(play->scene, "no thread for the crowd");
	one_of_crowd(play);
}

static pid_t
enter(struct play *play, void (*role)(struct play *))
{
	pid_t pid = fork_bound();

	if (pid == 0) {
		role(play);
		_exit(1);
	}
	if (pid < 0)
		stop(play->scene, "fork failed");
	return pid;
}

static void
leave(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The longest silence of one window, in milliseconds; negative when nothing came any more. */
static double
silence_ms(struct scene *scene, pid_t killed)
{
	uint64_t began = clock_ns();

	atomic_store(&scene->longest, 0);
	atomic_store(&scene->since, began);
	leave(killed);
	clock_nap(WINDOW_NS);
	while (atomic_load(&scene->arrived) < began + WINDOW_NS) {
		if (clock_ns() > began + PATIENCE_NS)
			return -1;
		clock_nap(100000);
	}
	atomic_store(&scene->since, 0);
	return (double)atomic_load(&scene->longest) / 1e6;
}

static bool
victim_at_work(struct play *play, pid_t *pid)
{
	uint64_t deadline = clock_ns() + PATIENCE_NS;

	atomic_store(&play->scene->victim_ready, false);
	*pid = enter(play, victim);
	while (!atomic_load(&play->scene->victim_ready)) {
		if (*pid < 0 || clock_ns() > deadline)
			return false;
		clock_nap(100000);
	}
	clock_nap(100000 + (uint64_t)rand() % 900000);
	return true;
}

static bool
one_kill(struct play *play, double *calm_ms, double *killed_ms)
{
	pid_t pid;

	*calm_ms = silence_ms(play->scene, 0);
	if (!victim_at_work(play, &pid)) {
		stop(play->scene, "a victim did not come to work");
		leave(pid);
		return false;
	}
	*killed_ms = silence_ms(play->scene, pid);
	if (*killed_ms < 0 || *calm_ms < 0)
		stop(play->scene, "no message in %d s after kill %u", 3, play->scene->result.kills);
	return !play->scene->result.error[0];
}

static void
act(struct play *play, unsigned kills)
{
	static double calm[KILLS_MAX], killed[KILLS_MAX];
	struct death_result *r = &play->scene->result;
	shoal_arena_info info = { 0 };

	for (r->kills = 0; r->kills < kills && r->kills < KILLS_MAX; r->kills++)
		if (!one_kill(play, &calm[r->kills], &killed[r->kills]))
			break;
	r->p50_ms = percentile(killed, r->kills, 0.5);
	r->p99_ms = percentile(killed, r->kills, 0.99);
	r->max_ms = percentile(killed, r->kills, 1);
	r->calm_p99_ms = percentile(calm, r->kills, 0.99);
	r->calm_max_ms = percentile(calm, r->kills, 1);
	shoal_arena_stat(play->arena, &info);
	r->recoveries = info.recoveries;
	if (info.members < MEMBERS - 1)
		stop(play->scene, "only %u members are registered", info.members);
}

static bool
stage_open(struct play *play)
{
	shoal_arena_options arena = { .members_max = 2 * MEMBERS };
	shoal_queue_options queue = { .capacity = PLACES, .slot_bytes = BYTES };
	int rc = shoal_arena_create(NULL, &arena, &play->arena);

	if (rc == 0)
		rc = shoal_queue_create(play->arena, NULL, &queue, &play->queue);
	if (rc < 0)
		stop(play->scene, "open failed: %s", shoal_error());
	return rc == 0;
}

static void
manage(struct play *play, unsigned kills)
{
	uint64_t deadline = clock_ns() + PATIENCE_NS;
	pid_t pids[3];

	if (!stage_open(play))
		return;
	pids[0] = enter(play, crowd);
	while (atomic_load(&play->scene->crowd_ready) < CROWD && clock_ns() < deadline)
		clock_nap(1000000);
	pids[1] = enter(play, live_consumer);
	pids[2] = enter(play, live_producer);
	clock_nap(20000000);
	act(play, kills);
	for (int i = 0; i < 3; i++)
		leave(pids[i]);
	if (shoal_arena_recover(play->arena) < 0 || shoal_arena_check(play->arena, stderr) != 0)
		stop(play->scene, "the arena is not sound afterwards");
}

void
death_run(enum victim who, unsigned kills, struct death_result *out)
{
	struct scene *scene = shared_memory(sizeof *scene);
	struct play play = { .scene = scene, .victim = who };
	uint64_t deadline = clock_ns() + kills * 50000000ull + 3 * PATIENCE_NS;
	int status = 0;
	pid_t pid;

	memset(out, 0, sizeof *out);
	if (!scene || (pid = fork_bound()) < 0) {
		snprintf(out->error, sizeof out->error, "no memory or no process");
		return;
	}
	if (pid == 0) {
		manage(&play, kills);
		_exit(0);
	}
	if (!wait_until(pid, deadline, &status)) {
		leave(pid);
		stop(scene, "stuck after kill %u", scene->result.kills);
	}
	if (WIFSIGNALED(status))
		stop(scene, "the run died: %s", strsignal(WTERMSIG(status)));
	*out = scene->result;
	munmap(scene, sizeof *scene);
}
