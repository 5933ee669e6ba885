/*
 * Workers are killed at random while tasks run. Each task ends exactly once, as it should or by its
 * worker's death; afterwards nothing is left: no block, no member, no descriptor.
 */
#include "pool/common.h"
#include "pool/pool.h"
#include <time.h>

enum { SECONDS = 2, KINDS = 4, WORKERS = 3,
	MEMBERS = WORKERS + 4 /* the test and the pool's threads */ };

struct ledger {
	_Atomic int runs[1 << 20];
};
static struct ledger *ledger;
static _Atomic int called, called_dead;

static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

struct killer {
	shoal_pool *pool;
	_Atomic bool over;
	_Atomic int kills;
	unsigned seed;
};

/* A number that was given back may be another's by then, but not so soon. */
static void *
kill_workers(void *arg)
{
	struct killer *k = arg;
	while (!atomic_load(&k->over)) {
		struct timespec t = { .tv_nsec = 200000 + next_random(&k->seed) % 3000000 };
		nanosleep(&t, NULL);
		const struct seat *s = &k->pool->seats[1 + next_random(&k->seed) % WORKERS];
		bool works = load_acquire(&s->phase) == SEAT_WORKING;
		if (works && kill((pid_t)load_relaxed(&s->pid), SIGKILL) == 0)
			atomic_fetch_add(&k->kills, 1);
	}
	return NULL;
}

static int
count_run(shoal_task *t)
{
	int which = t->in ? *(const int *)t->in : (int)t->index;
	char text[300];
	atomic_fetch_add(&ledger->runs[which], 1);
	memset(text, which & 0xff, sizeof text);
	memcpy(text, &which, sizeof which);
	if (t->out)
		memcpy(t->out, text, t->out_bytes);
	else
		return shoal_task_reply(t, text, which % 3 ? sizeof text : sizeof which);
	return which % 97 == 0 ? -EIO : 0;
}

static void
note(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	int which = (int)(intptr_t)arg;
	if (code == -EOWNERDEAD) {
		REQUIRE(strstr(error, "signal 9"));
		atomic_fetch_add(&called_dead, 1);
	} else {
		REQUIRE_EQ(code, 0);
		REQUIRE_EQ(out_bytes, which % 3 ? 300 : sizeof which);
		REQUIRE(memcmp(out, &which, sizeof which) == 0);
	}
	atomic_fetch_add(&called, 1);
}

static void
storm_apply(shoal_pool *p, unsigned *seed)
{
	enum { TASKS = 500 };
	shoal_result *r[TASKS];
	int before = atomic_load(&called);
	memset(ledger->runs, 0, TASKS * sizeof *ledger->runs);
	for (int i = 0; i < TASKS; i++)
		REQUIRE_EQ(shoal_pool_apply_async(p, count_run, &i, sizeof i, i % 2 ? note : NULL,
		                                  (void *)(intptr_t)i, &r[i]), 0);
	for (int i = 0; i < TASKS; i++) {
		char out[300];
		if (next_random(seed) % 16 == 0) {
			REQUIRE_EQ(shoal_result_wait(r[i], SHOAL_SEC(10)), 0);
		}
		ssize_t rc = shoal_result_get(r[i], out, sizeof out, SHOAL_SEC(10));
		REQUIRE(rc == -EOWNERDEAD || (rc > 0 && memcmp(out, &i, sizeof i) == 0));
		int runs = atomic_load(&ledger->runs[i]);
		REQUIRE(runs == 1 || (runs == 0 && rc == -EOWNERDEAD));
		shoal_result_free(r[i]);
	}
	REQUIRE_EQ(atomic_load(&called), before + TASKS / 2);
}

static void
storm_map(shoal_pool *p, unsigned *seed)
{
	enum { COUNT = 20000 };
	static int in[COUNT], out[COUNT], codes[COUNT];
	shoal_map_options o = { .chunk = next_random(seed) % 64, .codes = codes };
	int failed = 0;
	for (int i = 0; i < COUNT; i++) {
		in[i] = i;
		out[i] = -1;
	}
	memset(ledger->runs, 0, COUNT * sizeof *ledger->runs);
	ssize_t rc = shoal_pool_map(p, count_run, in, sizeof *in, out, sizeof *out, COUNT, &o);
	for (int i = 0; i < COUNT; i++) {
		int runs = atomic_load(&ledger->runs[i]);
		failed += codes[i] != 0;
		if (codes[i] == -EOWNERDEAD) {
			REQUIRE(runs <= 1);
			continue;
		}
		REQUIRE_EQ(codes[i], i % 97 ? 0 : -EIO);
		REQUIRE_EQ(runs, 1);
		REQUIRE_EQ(out[i], codes[i] ? -1 : i);
	}
	REQUIRE_EQ(rc, failed);
}

static void
storm_imap(shoal_pool *p, unsigned *seed, bool ordered)
{
	enum { COUNT = 3000 };
	shoal_results *it;
	static char seen[COUNT];
	shoal_map_options o = { .chunk = 1 + next_random(seed) % 20 };
	memset(seen, 0, sizeof seen);
	memset(ledger->runs, 0, COUNT * sizeof *ledger->runs);
	if (ordered)
		REQUIRE_EQ(shoal_pool_imap(p, count_run, NULL, 0, 300, COUNT, &o, &it), 0);
	else
		REQUIRE_EQ(shoal_pool_imap_unordered(p, count_run, NULL, 0, 300, COUNT, &o, &it), 0);
	for (int i = 0; i < COUNT; i++) {
		char out[300];
		size_t index;
		ssize_t rc = shoal_results_next(it, &index, out, sizeof out, SHOAL_SEC(10));
		REQUIRE(index < COUNT && !seen[index]++);
		REQUIRE(!ordered || index == (size_t)i);
		int which = (int)index;
		if (rc != -EOWNERDEAD)
			REQUIRE_EQ(rc, which % 97 ? 300 : -EIO);
		REQUIRE(rc < 0 || memcmp(out, &which, sizeof which) == 0);
	}
	REQUIRE_EQ(shoal_results_next(it, NULL, NULL, 0, 0), -EPIPE);
	shoal_results_free(it);
}

static void
require_no_leak(shoal_pool *p, const shoal_arena_info *before)
{
	shoal_arena_info now = { 0 };
	for (int i = 0; i < 500; i++) {
		shoal_arena_recover(p->arena);
		REQUIRE_EQ(shoal_arena_stat(p->arena, &now), 0);
		if (now.used_bytes == before->used_bytes && now.members <= MEMBERS)
			break;
		sleep_ms(10);
	}
	REQUIRE_EQ(now.used_bytes, before->used_bytes);
	REQUIRE(now.members <= MEMBERS);
	REQUIRE_EQ(shoal_arena_check(p->arena, stderr), 0);
}

static void
storm(shoal_death_policy policy, unsigned seed)
{
	shoal_pool_options o = { .workers = WORKERS, .on_death = policy, .retries_max = 200,
		                     .tasks_per_worker = seed % 2 ? 1000 : 0 };
	ledger = shared(sizeof *ledger);
	shoal_pool *p = pool_with(&o);
	int warm = 1;
	REQUIRE_EQ(shoal_pool_apply(p, count_run, &warm, sizeof warm, &warm, sizeof warm), 0);
	until_stat(p, WORKERS, 0);
	for (int i = 1; i <= WORKERS; i++)
		while (load_acquire(&p->seats[i].phase) != SEAT_WORKING)
			sleep_ms(1);
	sleep_ms(20);
	shoal_arena_info before;
	REQUIRE_EQ(shoal_arena_stat(p->arena, &before), 0);
	int fds = open_fds();
	struct killer k = { .pool = p, .seed = seed };
	pthread_t thread;
	pthread_create(&thread, NULL, kill_workers, &k);
	int64_t end = now_ns() + SECONDS * INT64_C(1000000000);
	for (int round = 0; now_ns() < end; round++) {
		if (round % KINDS == 0)
			storm_apply(p, &seed);
		else if (round % KINDS == 1)
			storm_map(p, &seed);
		else
			storm_imap(p, &seed, round % KINDS == 2);
	}
	atomic_store(&k.over, true);
	pthread_join(thread, NULL);
	REQUIRE(atomic_load(&k.kills) > 10);
	until_stat(p, WORKERS, 0);
	sleep_ms(50);
	require_no_leak(p, &before);
	REQUIRE_EQ(open_fds(), fds);
	finish(p);
}

Test(pool_storm, tasks_of_killed_workers_fail_exactly_once, .timeout = 60 * HARNESS_SLOW)
{
	storm(SHOAL_FAIL_TASK, 2);
	storm(SHOAL_FAIL_TASK, 17);
}
