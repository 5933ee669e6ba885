/* Pools under each start method, and what waits for results beside other things. */
#include "pool/common.h"
#include <errno.h>
#include <pthread.h>

static int answer;

static int
set_answer(void *arg)
{
	answer = *(const int *)arg;
	return 0;
}

static int
tell_answer(shoal_task *t)
{
	return t->context ? -EINVAL : shoal_task_reply(t, &answer, sizeof answer);
}

static int
tell_name(shoal_task *t)
{
	const char *name = shoal_process_name(shoal_process_current());
	return shoal_task_reply(t, name, strlen(name) + 1);
}

static void
run_all(shoal_start_method method, const char *prefix)
{
	enum { COUNT = 1000 };
	static int in[COUNT], out[COUNT];
	char name[64];
	int arg = 11;
	shoal_arena *theirs;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &theirs), 0);
	shoal_pool_options o = { .workers = 2, .method = method, .initializer = set_answer,
		                     .initializer_arg = &arg, .initializer_arg_bytes = sizeof arg,
		                     .arena = theirs };
	shoal_pool *p = pool_with(&o);
	REQUIRE_EQ(value_of(p, tell_answer, 0), 11);
	shoal_result *r = sent(p, tell_name, 0);
	REQUIRE(shoal_result_get(r, name, sizeof name, SHOAL_SEC(10)) > 0);
	shoal_result_free(r);
	REQUIRE(strncmp(name, prefix, strlen(prefix)) == 0);
	REQUIRE_EQ(shoal_pool_apply(p, die_by, &(int){ SIGKILL }, sizeof(int), NULL, 0), -EOWNERDEAD);
	REQUIRE_EQ(value_of(p, tell_answer, 0), 11);
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, COUNT, NULL), 0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(out[i], i * i);
	int *in_place = shoal_new(theirs, COUNT * sizeof *in_place);
	for (int i = 0; i < COUNT; i++)
		in_place[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square, in_place, sizeof *in, in_place, sizeof *in, COUNT, NULL),
	           0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(in_place[i], i * i);
	finish(p);
	shoal_arena_close(theirs);
}

Test(pool_method, forked_workers)
{
	run_all(SHOAL_FORK, "ForkPoolWorker-");
}

Test(pool_method, workers_of_the_fork_server)
{
	run_all(SHOAL_FORKSERVER, "ForkServerPoolWorker-");
}

Test(pool_method, spawned_workers)
{
	run_all(SHOAL_SPAWN, "SpawnPoolWorker-");
}

Test(pool_method, pointers_need_fork)
{
	shoal_pool *p;
	int n;
	shoal_pool_options o = { .method = SHOAL_SPAWN, .context = &n };
	REQUIRE_EQ(shoal_pool_create(&o, &p), -EINVAL);
	o = (shoal_pool_options){ .method = SHOAL_FORKSERVER, .initializer = set_answer,
		                      .initializer_arg = &n };
	REQUIRE_EQ(shoal_pool_create(&o, &p), -EINVAL);
}

static pthread_mutex_t ours = PTHREAD_MUTEX_INITIALIZER;

static int
tell_ours(shoal_task *t)
{
	int rc = pthread_mutex_trylock(&ours);
	if (rc == 0)
		pthread_mutex_unlock(&ours);
	return shoal_task_reply(t, &rc, sizeof rc);
}

/* A replacement is forked while the program holds what it likes; the other methods copy nothing. */
Test(pool_method, what_the_program_has_locked_is_locked_in_forked_workers_alone)
{
	for (shoal_start_method m = SHOAL_START_DEFAULT; m <= SHOAL_SPAWN; m++) {
		shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .method = m });
		REQUIRE_EQ(value_of(p, tell_ours, 0), 0);
		pthread_mutex_lock(&ours);
		REQUIRE_EQ(shoal_pool_apply(p, die_by, &(int){ SIGKILL }, sizeof(int), NULL, 0),
		           -EOWNERDEAD);
		REQUIRE_EQ(value_of(p, tell_ours, 0), m <= SHOAL_FORK ? EBUSY : 0);
		pthread_mutex_unlock(&ours);
		finish(p);
	}
}

Test(pool_method, results_are_waited_for_beside_descriptors)
{
	shoal_pool *p = pool_of(2);
	int ends[2];
	REQUIRE_EQ(pipe(ends), 0);
	for (int with_fd = 0; with_fd < 2; with_fd++) {
		shoal_result *slow = sent(p, nap, 30000), *soon = sent(p, nap, 30);
		shoal_waitable w[3] = { shoal_on_result(slow), shoal_on_result(soon),
			                    shoal_on_fd(ends[0]) };
		REQUIRE_EQ(shoal_wait(w, with_fd ? 3 : 2, 0), 0);
		REQUIRE_EQ(shoal_wait(w, with_fd ? 3 : 2, SHOAL_SEC(10)), 1);
		REQUIRE(w[1].ready && !w[0].ready);
		REQUIRE_EQ(shoal_result_code(soon), 0);
		shoal_result_free(soon);
		shoal_result_free(slow);
		if (with_fd)
			break;
		REQUIRE_EQ(shoal_pool_terminate(p), 0);
		shoal_pool_destroy(p);
		p = pool_of(2);
	}
	shoal_result *r;
	int ms = 30, in[20];
	for (int i = 0; i < 20; i++)
		in[i] = 1;
	REQUIRE_EQ(shoal_pool_map_async(p, nap, in, sizeof ms, NULL, 0, 20, NULL, NULL, NULL, &r), 0);
	REQUIRE_EQ(shoal_wait(&(shoal_waitable){ .kind = 5, .on.object = r }, 1, SHOAL_SEC(10)), 1);
	REQUIRE(shoal_result_ready(r));
	shoal_result_free(r);
	shoal_pool_destroy(p);
	close(ends[0]);
	close(ends[1]);
}
