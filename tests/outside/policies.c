/* Pools' options: what becomes of the dead, initializers, contexts, workers' lives, the arena. */
#include "outside.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* What workers and this process share: how often things ran. */
struct board {
	shoal_semaphore runs, begun;
	shoal_event go;
};

static struct board *board;

static int
die_at_first(shoal_task *task)
{
	shoal_event *first = task->context;
	CHECK(shoal_semaphore_release(&board->runs) == 0);
	if (!shoal_event_is_set(first) && shoal_event_set(first) == 0)
		raise(SIGKILL);
	return shoal_task_reply(task, "lived", 6);
}

static int
die(shoal_task *task)
{
	CHECK(!task->context && shoal_semaphore_release(&board->runs) == 0);
	raise(SIGKILL);
	return 0;
}

static int
own_pid(shoal_task *task)
{
	*(pid_t *)task->out = getpid();
	return 0;
}

static int
stay(shoal_task *task)
{
	if (task->in && *(const int *)task->in == 0)
		return 0;
	CHECK(shoal_semaphore_release(&board->begun) == 0);
	for (;;)
		pause();
}

static void
retry(shoal_arena *arena)
{
	shoal_event *first = shoal_new(arena, sizeof *first);
	const shoal_pool_options again = { .workers = 1, .on_death = SHOAL_RETRY_TASK,
		                               .retries_max = 2, .context = first };
	shoal_pool_options in_vain = again;
	shoal_pool_info info;
	shoal_pool *pool;
	char text[8] = "";
	CHECK(first && shoal_semaphore_init(&board->runs, 0, 0) == 0);
	CHECK(shoal_pool_create(&again, &pool) == 0);
	CHECK(shoal_pool_apply(pool, die_at_first, NULL, 0, text, sizeof text) == 0);
	CHECK(!strcmp(text, "lived") && shoal_semaphore_value(&board->runs) == 2);
	CHECK(shoal_pool_stat(pool, &info) == 0 && info.deaths == 1 && info.tasks_done == 1);
	shoal_pool_destroy(pool);

	/* So often and no more: then it has failed. */
	in_vain.context = NULL;
	CHECK(shoal_semaphore_init(&board->runs, 0, 0) == 0);
	CHECK(shoal_pool_create(&in_vain, &pool) == 0);
	CHECK(shoal_pool_apply(pool, die, NULL, 0, NULL, 0) == -EOWNERDEAD);
	CHECK(shoal_semaphore_value(&board->runs) == 3);
	shoal_pool_destroy(pool);
	shoal_free(arena, first);
}

/* One death ends all: what runs, and what comes later. */
static void
breaks(void)
{
	const shoal_pool_options broken = { .workers = 2, .on_death = SHOAL_BREAK_POOL };
	shoal_result *running;
	shoal_pool *pool;
	pid_t pid;
	CHECK(shoal_semaphore_init(&board->begun, 0, 0) == 0);
	CHECK(shoal_pool_create(&broken, &pool) == 0);
	CHECK(shoal_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid) == 0 && pid != getpid());
	CHECK(shoal_pool_apply_async(pool, stay, NULL, 0, NULL, NULL, &running) == 0);
	CHECK(shoal_semaphore_acquire(&board->begun, SHOAL_SEC(10)) == 0);
	CHECK(shoal_pool_apply(pool, die, NULL, 0, NULL, 0) == -EOWNERDEAD);
	CHECK(shoal_result_get(running, NULL, 0, SHOAL_SEC(10)) == -EOWNERDEAD);
	shoal_result_free(running);
	CHECK(shoal_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid) == -EOWNERDEAD);
	CHECK(strstr(shoal_error(), "broken"));
	CHECK(shoal_pool_close(pool) == 0 && shoal_pool_join(pool, SHOAL_SEC(10)) == -EOWNERDEAD);
	shoal_pool_destroy(pool);
}

/* ---- initializers ---- */

static int prepared;

static int
prepare(void *with)
{
	prepared = *(const int *)with;
	return 0;
}

static int
what_is_prepared(shoal_task *task)
{
	*(int *)task->out = prepared;
	return 0;
}

static int
refuse(void *unused)
{
	(void)unused;
	CHECK(shoal_semaphore_release(&board->runs) == 0);
	return -ERANGE;
}

static void
initializers(void)
{
	const int with = 7;
	shoal_pool_options options = { .workers = 1, .initializer = prepare,
		                           .initializer_arg = (void *)&with,
		                           .initializer_arg_bytes = sizeof with };
	shoal_pool *pool;
	pid_t pid;
	int is = 0;
	CHECK(shoal_pool_create(&options, &pool) == 0 && prepared == 0);
	CHECK(shoal_pool_apply(pool, what_is_prepared, NULL, 0, &is, sizeof is) == 0 && is == 7);
	CHECK(shoal_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof pid) == 0 && kill(pid, 0) == 0);
	shoal_pool_destroy(pool);
	CHECK(kill(pid, 0) < 0 && errno == ESRCH);

	/* One that always fails breaks the pool with its code, after so many times. */
	options.initializer = refuse;
	options.retries_max = 2;
	CHECK(shoal_semaphore_init(&board->runs, 0, 0) == 0);
	CHECK(shoal_pool_create(&options, &pool) == 0);
	CHECK(shoal_pool_apply(pool, what_is_prepared, NULL, 0, &is, sizeof is) == -ERANGE);
	CHECK(shoal_semaphore_value(&board->runs) == 2);
	shoal_pool_destroy(pool);
}

/* ---- workers ---- */

/* After two tasks comes another worker, started by the fork server. */
static void
lives(void)
{
	const shoal_pool_options short_ones = { .workers = 1, .tasks_per_worker = 2,
		                                    .method = SHOAL_FORKSERVER };
	shoal_pool_info info;
	shoal_pool *pool;
	pid_t pid[6];
	CHECK(shoal_pool_create(&short_ones, &pool) == 0);
	for (int i = 0; i < 6; i++) {
		CHECK(shoal_pool_apply(pool, own_pid, NULL, 0, &pid[i], sizeof pid[i]) == 0);
		CHECK(i < 2 || pid[i] != pid[i - 2]);
	}
	CHECK(pid[0] == pid[1]);
	CHECK(shoal_pool_stat(pool, &info) == 0 && info.deaths == 0 && info.tasks_done == 6);
	shoal_pool_destroy(pool);
}

/* The results themselves, where they lie in the arena of the options. */
static int
where(shoal_task *task)
{
	*(void **)task->out = task->out;
	return 0;
}

static void
in_place(shoal_arena *arena)
{
	const shoal_pool_options there = { .workers = 2, .arena = arena };
	void **at = shoal_new(arena, 10 * sizeof *at);
	shoal_pool *pool;
	CHECK(at && shoal_pool_create(&there, &pool) == 0);
	CHECK(shoal_pool_map(pool, where, NULL, 0, at, sizeof *at, 10, NULL) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(at[i] == at + i);
	shoal_pool_destroy(pool);
	shoal_free(arena, at);
}

/* ---- the end of what runs, and of an item that takes too long ---- */

static void
ends(void)
{
	const shoal_pool_options one = { .workers = 1 };
	const int in[2] = { 0, 1 };
	int codes[2] = { 1, 1 };
	const shoal_map_options soon = { .timeout = SHOAL_MS(50), .codes = codes };
	shoal_result *running, *pending;
	shoal_pool *pool;
	CHECK(shoal_semaphore_init(&board->begun, 0, 0) == 0);
	CHECK(shoal_pool_create(&one, &pool) == 0);
	CHECK(shoal_pool_map(pool, stay, in, sizeof *in, NULL, 0, 2, &soon) == 1);
	CHECK(codes[0] == 0 && codes[1] == -ETIMEDOUT);
	CHECK(shoal_semaphore_acquire(&board->begun, SHOAL_NOWAIT) == 0);

	CHECK(shoal_pool_apply_async(pool, stay, NULL, 0, NULL, NULL, &running) == 0);
	CHECK(shoal_pool_apply_async(pool, stay, NULL, 0, NULL, NULL, &pending) == 0);
	CHECK(shoal_semaphore_acquire(&board->begun, SHOAL_SEC(10)) == 0);
	CHECK(shoal_pool_terminate(pool) == 0);
	CHECK(shoal_result_get(running, NULL, 0, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(shoal_result_get(pending, NULL, 0, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(shoal_semaphore_value(&board->begun) == 0);
	shoal_result_free(running);
	shoal_result_free(pending);
	shoal_pool_destroy(pool);
}

/* ---- what nobody wants any more ---- */

static int
run_once(shoal_task *task)
{
	(void)task;
	return shoal_semaphore_release(&board->runs);
}

static int
wait_to_go(shoal_task *task)
{
	(void)task;
	CHECK(shoal_semaphore_release(&board->begun) == 0);
	return shoal_event_wait(&board->go, SHOAL_SEC(10));
}

static void
comes(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)out;
	*(bool *)arg = !code && !out_bytes && !error;
}

/* Of an iterator that is freed nothing more begins; of a result that is, no callback comes. */
static void
dropping(void)
{
	const shoal_pool_options one = { .workers = 1 };
	const shoal_map_options few = { .window = 4, .chunk = 1 };
	bool came[2] = { false, false };
	shoal_result *r[2];
	shoal_results *it;
	shoal_pool *pool;
	CHECK(shoal_semaphore_init(&board->runs, 0, 0) == 0 && shoal_event_init(&board->go) == 0);
	CHECK(shoal_pool_create(&one, &pool) == 0);
	CHECK(shoal_pool_imap(pool, run_once, NULL, 0, 0, 100, &few, &it) == 0);
	CHECK(shoal_results_next(it, NULL, NULL, 0, SHOAL_SEC(10)) == 0);
	shoal_results_free(it);
	for (int i = 0; i < 2; i++)
		CHECK(shoal_pool_apply_async(pool, wait_to_go, NULL, 0, comes, &came[i], &r[i]) == 0);
	CHECK(shoal_semaphore_acquire(&board->begun, SHOAL_SEC(10)) == 0);
	shoal_result_free(r[0]);
	CHECK(shoal_event_set(&board->go) == 0 && shoal_pool_close(pool) == 0);
	CHECK(shoal_pool_join(pool, SHOAL_SEC(10)) == 0 && !came[0] && came[1]);
	CHECK(shoal_result_code(r[1]) == 0 && shoal_semaphore_value(&board->runs) < 10);
	shoal_result_free(r[1]);
	shoal_pool_destroy(pool);
}

void
policies(void)
{
	shoal_arena *arena;
	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	board = shoal_new(arena, sizeof *board);
	CHECK(board);
	retry(arena);
	breaks();
	initializers();
	lives();
	in_place(arena);
	ends();
	dropping();
	shoal_arena_close(arena);
}
