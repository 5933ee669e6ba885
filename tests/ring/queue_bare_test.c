/* Calls that go on where others are refused: without a record, in a signal handler, read-only. */
#include "queue_common.h"
#include "ring/queue.h"
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct world w;
static void *memory;

/* One record, which is the test's thread's. */
static void
make_crowded(uint32_t capacity)
{
	shoal_arena_options o = { .limit_bytes = 1 << 22, .members_max = 1 };
	shoal_queue_options of_queue = { .capacity = capacity };
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", &of_queue, &w.queue), 0);
}

static void
in_another_thread(void *(*run)(void *))
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, run, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

static void *
close_without_record(void *unused)
{
	REQUIRE_EQ(shoal_queue_put(w.queue, "a", 2, 0), -EUSERS);
	char before[512];
	snprintf(before, sizeof before, "%s", shoal_error());
	shoal_queue_close(w.queue);
	REQUIRE_STR_EQ(shoal_error(), before);
	return unused;
}

Test(queue_bare, one_without_a_record_closes_it)
{
	make_crowded(4);
	put_text(w.queue, "left");
	in_another_thread(close_without_record);
	REQUIRE_EQ(shoal_queue_put(w.queue, "b", 2, 0), -EPIPE);
	get_text(w.queue, "left");
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

/* ---- who sleeps is woken, though another one has the bell just then ---- */

/* Well below the slice after which a sleeper looks again by itself. */
#define SOON (SHOAL_MS(20) * HARNESS_SLOW)

struct sleep {
	word32 ready;
	volatile int64_t closed, woken;
};

static struct sleep *asleep;

static void
wait_ready(uint32_t n)
{
	for (int i = 0; i < 5000 && load_acquire(&asleep->ready) < n; i++)
		sleep_ms(1);
	REQUIRE(load_acquire(&asleep->ready) >= n);
}

static int
hold_the_bell(void *unused)
{
	(void)unused;
	REQUIRE(bell_take(thread_self(), &w.queue->bell));
	fetch_add_seq_cst(&asleep->ready, 1);
	for (;;)
		pause();
	return 0;
}

static pid_t
begin_sleep(void)
{
	asleep = shared(sizeof *asleep);
	pid_t pid = child(hold_the_bell, NULL);
	wait_ready(1);
	return pid;
}

static void
end_sleep(pid_t holder)
{
	REQUIRE(asleep->closed && asleep->woken - asleep->closed < SOON);
	kill(holder, SIGKILL);
	expect_killed(holder, SIGKILL, 5000);
	world_end(w);
}

static int
get_until_closed(void *unused)
{
	(void)unused;
	fetch_add_seq_cst(&asleep->ready, 1);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_SEC(10)), -EPIPE);
	asleep->woken = fair_ns();
	return 0;
}

static void
close_at(int signo)
{
	(void)signo;
	asleep->closed = fair_ns();
	shoal_queue_close(w.queue);
}

static void *
close_late(void *unused)
{
	wait_ready(2);
	sleep_ms(10);
	close_at(0);
	return unused;
}

Test(queue_bare, one_without_a_record_wakes_who_sleeps)
{
	pthread_t thread;
	make_crowded(4);
	pid_t holder = begin_sleep();
	REQUIRE_EQ(pthread_create(&thread, NULL, close_late, NULL), 0);
	get_until_closed(NULL);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	end_sleep(holder);
}

static void *
free_without_record(void *unused)
{
	shoal_free(w.arena, memory);
	return unused;
}

Test(queue_bare, one_without_a_record_frees)
{
	static const size_t bytes[] = { 16, 100, 5000, 100000, 3 << 20 };
	for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
		shoal_arena_info info;
		make_crowded(4);
		REQUIRE_EQ(shoal_alloc(w.arena, bytes[i], &memory), 0);
		REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
		REQUIRE_EQ(info.blocks, 2);
		in_another_thread(free_without_record);
		world_end(w);
	}
}

static int
free_twice(void *unused)
{
	(void)unused;
	in_another_thread(free_without_record);
	in_another_thread(free_without_record);
	return 0;
}

Test(queue_bare, to_free_twice_without_a_record_stops_the_process)
{
	make_crowded(4);
	REQUIRE_EQ(shoal_alloc(w.arena, 100, &memory), 0);
	expect_killed(child(free_twice, NULL), SIGABRT, 5000);
	shoal_arena_close(w.arena);
}

/* ---- in a handler ---- */

static shoal_queue *others[64];

static void
call_all(int signo)
{
	(void)signo;
	for (int i = 0; i < 64; i++)
		(void)!shoal_queue_put(others[i], "x", 2, 0);
}

static void
close_it(int signo)
{
	(void)signo;
	shoal_queue_close(w.queue);
}

static void
free_it(int signo)
{
	(void)signo;
	shoal_free(w.arena, memory);
	memory = NULL;
}

static timer_t
alarm_in(int ms, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };
	timer_t timer;
	struct itimerspec once = { { 0, 0 }, { 0, ms * 1000000L } };
	sigaction(SIGALRM, &act, NULL);
	REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	REQUIRE_EQ(timer_settime(timer, 0, &once, NULL), 0);
	return timer;
}

static int
put_to_the_other(void *queue)
{
	sleep_ms(150);
	put_text(queue, "to another queue");
	return 0;
}

/*
 * What a handler is refused takes nothing that the interrupted call has: it waits on for its own
 * queue, not for that of the handler's last call.
 */
Test(queue_bare, a_get_waits_on_for_its_own_queue)
{
	char got[64];
	w = world_make(4, 0, 0);
	for (int i = 0; i < 64; i++)
		REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &others[i]), 0);
	pid_t pid = child(put_to_the_other, w.queue);
	timer_t timer = alarm_in(20, call_all);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_SEC(10)), 17);
	timer_delete(timer);
	expect_child(pid, 0, 5000);
	for (int i = 0; i < 64; i++)
		REQUIRE_EQ(shoal_queue_destroy(w.arena, others[i]), 0);
	world_end(w);
}

Test(queue_bare, a_handler_closes_the_queue_that_is_waited_for)
{
	w = world_make(4, 0, 0);
	timer_t timer = alarm_in(20, close_it);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_SEC(10)), -EPIPE);
	timer_delete(timer);
	world_end(w);
}

/* Not by the signal, which comes to another process than the one that sleeps. */
Test(queue_bare, a_handler_wakes_who_sleeps)
{
	w = world_make(4, 0, 0);
	shoal_queue *mine;
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &mine), 0);
	pid_t holder = begin_sleep(), sleeper = child(get_until_closed, NULL);
	wait_ready(2);
	timer_t timer = alarm_in(10, close_at);
	REQUIRE_EQ(shoal_queue_get(mine, NULL, 0, SHOAL_MS(100)), -ETIMEDOUT);
	timer_delete(timer);
	expect_child(sleeper, 0, 5000);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, mine), 0);
	end_sleep(holder);
}

Test(queue_bare, a_handler_closes_a_full_queue)
{
	w = world_make(2, 0, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	timer_t timer = alarm_in(20, close_it);
	REQUIRE_EQ(shoal_queue_put(w.queue, "c", 2, SHOAL_SEC(10)), -EPIPE);
	timer_delete(timer);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EPIPE);
	world_end(w);
}

Test(queue_bare, a_handler_frees)
{
	w = world_make(4, 0, 0);
	REQUIRE_EQ(shoal_alloc(w.arena, 100, &memory), 0);
	timer_t timer = alarm_in(20, free_it);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_MS(200)), -ETIMEDOUT);
	timer_delete(timer);
	REQUIRE(!memory);
	world_end(w);
}

/* ---- read-only ---- */

Test(queue_bare, through_a_read_only_handle_nothing_is_closed_or_freed)
{
	char name[64];
	shoal_arena *watched;
	shoal_queue *q;
	snprintf(name, sizeof name, "test-bare-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &w.queue), 0);
	REQUIRE_EQ(shoal_alloc(w.arena, 100, &memory), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &watched), 0);
	REQUIRE_EQ(shoal_queue_open(watched, "q", 0, &q), 0);
	shoal_queue_close(q);
	REQUIRE(strstr(shoal_error(), "read-only") != NULL);
	shoal_free(watched, shoal_deref(watched, shoal_ref_of(w.arena, memory)));
	REQUIRE(strstr(shoal_error(), "read-only") != NULL);
	put_text(w.queue, "still open");
	shoal_free(w.arena, memory);
	shoal_arena_close(watched);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	world_end(w);
}

static shoal_queue *watched_queue;
static bool told;

static void
close_watched(int signo)
{
	(void)signo;
	shoal_queue_close(watched_queue);
	told = strstr(shoal_error(), "read-only") != NULL;
}

/* Also inside another call. */
Test(queue_bare, nor_by_a_handler)
{
	char name[64];
	shoal_arena *watched;
	snprintf(name, sizeof name, "test-bare-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &w.queue), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &watched), 0);
	REQUIRE_EQ(shoal_queue_open(watched, "q", 0, &watched_queue), 0);
	timer_t timer = alarm_in(20, close_watched);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_MS(200)), -ETIMEDOUT);
	timer_delete(timer);
	REQUIRE(told);
	put_text(w.queue, "still open");
	shoal_arena_close(watched);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	world_end(w);
}

static void
close_other(int signo)
{
	(void)signo;
	shoal_queue_close(watched_queue);
	told = strstr(shoal_error(), "PID namespace") != NULL;
}

/* A new process, which is nothing in the other arena yet. */
static int
close_foreign(void *queue)
{
	watched_queue = queue;
	timer_t timer = alarm_in(20, close_other);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, SHOAL_MS(200)), -ETIMEDOUT);
	timer_delete(timer);
	return told ? 0 : 1;
}

/* As one that came from another PID namespace: its ids mean nothing there. */
Test(queue_bare, nor_from_another_namespace)
{
	struct world other = world_make(4, 0, 0);
	struct arena_header *h = other.arena->header;
	shoal_queue *q = other.queue;
	w = world_make(4, 0, 0);
	h->pid_namespace++;
	pid_t pid = child(close_foreign, q);
	expect_child(pid, 0, 5000);
	h->pid_namespace--;
	put_text(q, "still open");
	world_end(other);
	world_end(w);
}
