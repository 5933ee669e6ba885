/* What is told of a queue is what calls on it meet: also beside the dead, and under load. */
#include "queue_common.h"
#include "ring/group.h"
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#define REDELIVER SHOAL_QUEUE_REDELIVER
#define JOINABLE SHOAL_QUEUE_JOINABLE

static int
borrow_and_die(void *queue)
{
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(queue, 0, &loan), 0);
	raise(SIGKILL);
	return 0;
}

static void
let_borrower_die(shoal_queue *q)
{
	expect_killed(child(borrow_and_die, q), SIGKILL, 5000);
}

Test(queue_look, what_a_dead_borrower_gives_back_is_there)
{
	struct world w = world_make(4, 0, REDELIVER);
	put_text(w.queue, "a");
	let_borrower_die(w.queue);
	REQUIRE(!shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 1);
	get_text(w.queue, "a");
	REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	world_end(w);
}

Test(queue_look, what_was_returned_is_in_the_size)
{
	struct world w = world_make(4, 0, REDELIVER);
	shoal_queue_info info;
	shoal_loan loan;
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_return(&loan), 0);
	REQUIRE_EQ(shoal_queue_size(w.queue), 2);
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	REQUIRE_EQ(info.size, 2);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_size(w.queue), 1);
	get_text(w.queue, "b");
	world_end(w);
}

Test(queue_look, the_place_of_a_dead_borrower_is_room)
{
	static const unsigned flags[] = { 0, JOINABLE };
	for (int i = 0; i < 2; i++) {
		struct world w = world_make(2, 0, flags[i]);
		put_text(w.queue, "a");
		put_text(w.queue, "b");
		REQUIRE(shoal_queue_full(w.queue));
		let_borrower_die(w.queue);
		REQUIRE(!shoal_queue_full(w.queue));
		put_text(w.queue, "c");
		REQUIRE(shoal_queue_full(w.queue));
		get_text(w.queue, "b");
		get_text(w.queue, "c");
		world_end(w);
	}
}

static int
take_all_and_die(void *queue)
{
	struct slot *s = (struct slot *)(void *)((char *)queue + ((shoal_queue *)queue)->slots_at);
	struct shoal_thread *t;
	struct member *me;
	shoal_arena *a = arena_of(queue);
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	uint64_t full = group_word(GROUP_FULL, 0, 0);
	REQUIRE(cas64_acq_rel(&s->turn, full, group_word(GROUP_READING, 0, member_tag(a, me))));
	raise(SIGKILL);
	return 0;
}

/* The getters are round at its place: what a get would meet there is a place without a message. */
Test(queue_look, nor_is_a_message_at_the_place_of_a_dead_borrower)
{
	static const unsigned flags[] = { 0, JOINABLE };
	for (int i = 0; i < 2; i++) {
		struct world w = world_make(2, 0, flags[i]);
		char got[8];
		put_text(w.queue, "a");
		put_text(w.queue, "b");
		let_borrower_die(w.queue);
		get_text(w.queue, "b");
		REQUIRE_EQ(shoal_queue_size(w.queue), 0);
		REQUIRE(shoal_queue_empty(w.queue));
		REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), -EAGAIN);
		REQUIRE(shoal_queue_empty(w.queue));
		world_end(w);
	}
}

/* As get_many has it between its claim and the end of its copy. */
Test(queue_look, nor_in_the_group_of_a_dead_getter)
{
	struct world w = world_make(GROUP_PLACES, 0, 0);
	uint64_t items[GROUP_PLACES] = { 0 };
	REQUIRE_EQ(shoal_queue_put_many(w.queue, items, 8, GROUP_PLACES, 0), GROUP_PLACES);
	expect_killed(child(take_all_and_die, w.queue), SIGKILL, 5000);
	REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE(!shoal_queue_full(w.queue));
	REQUIRE_EQ(shoal_queue_get(w.queue, items, sizeof items, 0), -EAGAIN);
	world_end(w);
}

/* One that was taken so often that the next get drops it is not there to be got. */
Test(queue_look, nor_is_what_killed_too_many_takers)
{
	struct world w = world_make(4, 0, REDELIVER);
	char got[8];
	put_text(w.queue, "a");
	for (int i = 0; i < 30; i++)
		let_borrower_die(w.queue);
	REQUIRE(!shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 1);
	let_borrower_die(w.queue);
	REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	/* Looks do not hide it from the get that drops it. */
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), -EAGAIN);
	shoal_queue_info info;
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	REQUIRE_EQ(info.dropped, 1);
	world_end(w);
}

static int
borrow_and_stay(void *queue)
{
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(queue, 0, &loan), 0);
	for (;;)
		pause();
	return 0;
}

/* Nor where getters have come round to its place since. */
Test(queue_look, nor_is_it_a_lap_later)
{
	struct world w = world_make(2, 0, REDELIVER);
	char got[8];
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	for (int i = 0; i < 30; i++)
		let_borrower_die(w.queue);
	pid_t pid = child(borrow_and_stay, w.queue);
	for (int i = 0; i < 5000 && shoal_queue_size(w.queue) == 2; i++)
		sleep_ms(1);
	get_text(w.queue, "b");
	REQUIRE(shoal_queue_empty(w.queue));
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), -EAGAIN);
	REQUIRE(shoal_queue_empty(w.queue));
	world_end(w);
}

/* Its message waits there. */
Test(queue_look, the_place_of_what_comes_back_is_none)
{
	struct world w = world_make(2, 0, REDELIVER);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	let_borrower_die(w.queue);
	REQUIRE(shoal_queue_full(w.queue));
	REQUIRE_EQ(shoal_queue_put(w.queue, "c", 2, 0), -EAGAIN);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	world_end(w);
}

/* ---- counts ---- */

static word32 over;

static void *
put_get_and_report(void *queue)
{
	char byte;
	while (!load_relaxed(&over))
		if (shoal_queue_put(queue, "a", 1, 0) == 0 && shoal_queue_get(queue, &byte, 1, 0) == 1)
			REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	return NULL;
}

static pthread_mutex_t until_over = PTHREAD_MUTEX_INITIALIZER;

static void *
be_a_member(void *queue)
{
	(void)shoal_queue_peek_bytes(queue);
	pthread_mutex_lock(&until_over);
	pthread_mutex_unlock(&until_over);
	return NULL;
}

enum { BEFORE = 60 };

/*
 * One message is never reported: none is unfinished only where more seems done than was put. Who
 * reports has a late row, so that much is done between a look at what was put and one at that.
 */
Test(queue_look, what_is_unfinished_is_never_below_what_is)
{
	struct world w = world_make(64, 0, JOINABLE);
	shoal_queue_info info;
	shoal_arena_info members = { 0 };
	pthread_t thread, before[BEFORE];
	put_text(w.queue, "never done");
	get_text(w.queue, "never done");
	pthread_mutex_lock(&until_over);
	for (int i = 0; i < BEFORE; i++)
		REQUIRE_EQ(pthread_create(&before[i], NULL, be_a_member, w.queue), 0);
	while (members.members <= BEFORE)
		REQUIRE_EQ(shoal_arena_stat(w.arena, &members), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, put_get_and_report, w.queue), 0);
	for (int64_t end = now_ns() + SHOAL_SEC(1); now_ns() < end;) {
		REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
		REQUIRE(info.unfinished > 0 && info.unfinished < UINT64_C(1) << 32);
	}
	store_relaxed(&over, 1);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	pthread_mutex_unlock(&until_over);
	for (int i = 0; i < BEFORE; i++)
		REQUIRE_EQ(pthread_join(before[i], NULL), 0);
	world_end(w);
}

static int
sleep_in_get(void *queue)
{
	return (int)shoal_queue_get(queue, NULL, 0, SHOAL_FOREVER);
}

static int
sleep_in_put(void *queue)
{
	return shoal_queue_put(queue, "c", 2, SHOAL_FOREVER);
}

/* Killed when `waiting` of the queue's figures says that it sleeps; then it says so no more. */
static void
expect_no_trace(shoal_queue *q, int (*sleep_in)(void *), shoal_queue_info *info, uint32_t *waiting)
{
	pid_t pid = child(sleep_in, q);
	do
		REQUIRE_EQ(shoal_queue_stat(q, info), 0);
	while (!*waiting);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_queue_stat(q, info), 0);
	REQUIRE_EQ(*waiting, 0);
}

Test(queue_look, the_dead_wait_no_more)
{
	struct world w = world_make(2, 0, 0);
	shoal_queue_info info;
	expect_no_trace(w.queue, sleep_in_get, &info, &info.getters_waiting);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	expect_no_trace(w.queue, sleep_in_put, &info, &info.putters_waiting);
	world_end(w);
}

/* ---- sentences ---- */

/* shoal_error() is the last failure: what succeeds leaves it. */
Test(queue_look, what_succeeds_leaves_the_last_failure)
{
	static char text[5000];
	struct world w = world_make(4, 0, 0);
	shoal_arena *other;
	shoal_queue *q;
	char before[512];
	void *data;
	REQUIRE_EQ(shoal_queue_put(w.queue, text, 3, 0), 0);
	REQUIRE_EQ(shoal_queue_put(w.queue, text, sizeof text, 0), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &q), -EEXIST);
	snprintf(before, sizeof before, "%s", shoal_error());
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), 3);
	REQUIRE_STR_EQ(shoal_error(), before);
	REQUIRE_EQ(shoal_queue_get_new(w.queue, &data, 0), 3);
	REQUIRE_STR_EQ(shoal_error(), before);
	free(data);
	REQUIRE_EQ(shoal_queue_get_new(w.queue, &data, 0), sizeof text);
	REQUIRE_STR_EQ(shoal_error(), before);
	free(data);
	shoal_queue_options o = { .flags = SHOAL_OR_OPEN };
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", &o, &q), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &q), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &other), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	shoal_arena_close(other);
	char name[64];
	snprintf(name, sizeof name, "test-look-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &other), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_STR_EQ(shoal_error(), before);
	shoal_arena_close(other);
	world_end(w);
}

/* ---- what a look costs ---- */

#define MANY (1u << 17)

/* One message came back and was taken: no place is looked at for it any more. */
static struct world
world_with_a_past(void)
{
	struct world w = world_make(MANY, 0, REDELIVER);
	shoal_loan loan;
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_return(&loan), 0);
	get_text(w.queue, "a");
	return w;
}

Test(queue_look, a_return_does_not_make_later_looks_long, .timeout = 60 * HARNESS_SLOW)
{
	struct world w = world_with_a_past();
	int64_t begin = fair_ns();
	for (int i = 0; i < 5000; i++)
		REQUIRE(shoal_queue_empty(w.queue));
	REQUIRE(fair_ns() - begin < SHOAL_SEC(1));
	world_end(w);
}

static int64_t
cpu_ns(void)
{
	struct rusage u;
	REQUIRE_EQ(getrusage(RUSAGE_SELF, &u), 0);
	return SHOAL_SEC(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * INT64_C(1000);
}

Test(queue_look, a_return_does_not_keep_an_idle_descriptor_at_work)
{
	struct world w = world_with_a_past();
	struct pollfd p = { .fd = shoal_queue_fd(w.queue), .events = POLLIN };
	REQUIRE(p.fd >= 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
	while (poll(&p, 1, 50) == 1)
		REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
	int64_t begin = cpu_ns();
	REQUIRE_EQ(poll(&p, 1, 1000), 0);
	REQUIRE(cpu_ns() - begin < SHOAL_MS(60) * HARNESS_SLOW);
	world_end(w);
}
