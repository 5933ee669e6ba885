/*
 * No call of any layer is a cancellation point: one that a thread makes while it is being cancelled
 * does its work, and the others of its process go on.
 */
#include "pool/common.h"
#include <pthread.h>

enum { BIG = 1 << 20 };

static struct {
	char name[40], big[BIG];
	shoal_arena *arena;
	shoal_queue *queue;
	shoal_pipe_end *left, *right;
} w;

static void
arenas(void)
{
	shoal_arena *one, *other;
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_create(w.name, NULL, &one), 0);
	REQUIRE_EQ(shoal_arena_attach(w.name, SHOAL_SEC(1), &other), 0);
	shoal_arena_close(other);
	REQUIRE_EQ(shoal_arena_attach_readonly(w.name, SHOAL_SEC(1), &other), 0);
	shoal_arena_close(other);
	REQUIRE_EQ(shoal_arena_attach_fd(shoal_arena_fd(one), &other), 0);
	shoal_arena_close(other);
	REQUIRE_EQ(shoal_arena_stat(one, &info), 0);
	REQUIRE_EQ(shoal_arena_recover(one), 0);
	REQUIRE_EQ(shoal_arena_unlink(w.name), 0);
	shoal_arena_close(one);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &one), 0);
	shoal_arena_close(one);
}

/* Both grow the arena. */
static void
messages(void)
{
	REQUIRE_EQ(shoal_queue_put(w.queue, w.big, BIG, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, w.big, BIG, SHOAL_SEC(5)), BIG);
	REQUIRE_EQ(shoal_pipe_send(w.left, w.big, BIG, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, w.big, BIG, SHOAL_SEC(5)), BIG);
	REQUIRE(shoal_queue_fd(w.queue) >= 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, w.big, BIG, SHOAL_MS(1)), -ETIMEDOUT);
	void *p = shoal_new(w.arena, 8 * BIG);
	REQUIRE(p);
	shoal_free(w.arena, p);
}

/* A forked one is cancelled like the thread that forked it: so it does not sleep. */
static int
last_a_while(void *number)
{
	for (int64_t end = now_ns() + SHOAL_MS(20); now_ns() < end;)
		continue;
	return *(int *)number;
}

static void
processes(void)
{
	static const shoal_start_method methods[] = { SHOAL_FORK, SHOAL_FORKSERVER, SHOAL_SPAWN };
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		int code, number = 7;
		shoal_process *p;
		shoal_process_options o = { .daemon = true, .method = methods[i],
			                        .arg_bytes = sizeof number };
		REQUIRE_EQ(shoal_process_spawn(last_a_while, &number, &o, &p), 0);
		REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(shoal_process_exitcode(p, &code), 0);
		REQUIRE_EQ(code, number);
		REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
		REQUIRE_EQ(shoal_process_close(p), 0);
	}
}

static void
pools(void)
{
	shoal_pool *p;
	int in = 3, out = 0;
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .workers = 1 }, &p), 0);
	REQUIRE_EQ(shoal_pool_apply(p, square, &in, sizeof in, &out, sizeof out), 0);
	REQUIRE_EQ(out, 9);
	shoal_pool_close(p);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	shoal_pool_destroy(p);
}

static void *
call_cancelled(void *calls)
{
	REQUIRE_EQ(pthread_cancel(pthread_self()), 0);
	(*(void (**)(void))calls)();
	REQUIRE_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	return NULL;
}

static void
join_thread(pthread_t thread)
{
	void *gave;
	REQUIRE_EQ(pthread_join(thread, &gave), 0);
	REQUIRE(gave != PTHREAD_CANCELED);
}

/* Standard output has something to be flushed. */
static void
both(void (*calls)(void))
{
	pthread_t thread;
	snprintf(w.name, sizeof w.name, "cancelled-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &w.queue), 0);
	REQUIRE_EQ(shoal_pipe_create(w.arena, NULL, NULL, &w.left, &w.right), 0);
	printf(" ");
	REQUIRE_EQ(pthread_create(&thread, NULL, call_cancelled, &calls), 0);
	join_thread(thread);
	calls();
	shoal_arena_close(w.arena);
}

Test(thread_cancel, waits_for_the_end_of_calls_on_arenas)
{
	both(arenas);
}

Test(thread_cancel, waits_for_the_end_of_messages_that_need_memory)
{
	both(messages);
}

Test(thread_cancel, waits_for_the_end_of_starts_and_joins)
{
	both(processes);
}

Test(thread_cancel, waits_for_the_end_of_a_pools_calls)
{
	both(pools);
}
