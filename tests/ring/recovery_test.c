/*
 * One who recovers a dead member stands still in the midst of a queue or pipe, while that is
 * destroyed: nobody else has its memory until recovery has left it, or is dead as well.
 */
#include "deaths.h"
#include "ring/pipe.h"
#include "ring/queue.h"
#include "steps.h"
#include "sync/gate.h"

#if HAS_STEPS

#define MOST 4000
#define FILL 0x41

static struct {
	shoal_arena *arena;
	void *it;
	size_t bytes;
	void *block[MOST];
	int blocks;
} scene;

static struct progress {
	volatile int reached, go;
} *progress;

/* ---- who recovers, in its own process ---- */

static void
stand_still(void)
{
	progress->reached = 1;
	while (!progress->go)
		sleep_ms(1);
}

static void
recover_op(void *unused)
{
	(void)unused;
	/* Or at its joining, which is this one's first call. */
	REQUIRE(shoal_arena_recover(scene.arena) >= 0);
}

static int
recover_standing_still(void *entry)
{
	void (*where)(void);
	memcpy(&where, entry, sizeof where);
	REQUIRE(steps_into_call(recover_op, NULL, where, stand_still));
	shoal_arena_close(scene.arena);
	return 0;
}

static pid_t
recoverer(void (*where)(void))
{
	pid_t pid = child(recover_standing_still, &where);
	for (int i = 0; i < 5000 && !progress->reached; i++)
		sleep_ms(1);
	REQUIRE(progress->reached);
	return pid;
}

/* ---- who gets the memory ---- */

static bool
lies_there(const char *block)
{
	const char *it = scene.it;
	return block < it + scene.bytes && it < block + scene.bytes;
}

/* All there is of that size, or until one has what was destroyed. */
static void
allocate_there(void)
{
	void *block = NULL;
	for (scene.blocks = 0; scene.blocks < MOST && !(block && lies_there(block));) {
		if (shoal_alloc(scene.arena, scene.bytes, &block))
			return;
		memset(block, FILL, scene.bytes);
		scene.block[scene.blocks++] = block;
	}
}

static void
expect_untouched(void)
{
	for (int i = 0; i < scene.blocks; i++) {
		const char *block = scene.block[i];
		for (size_t k = 0; k < scene.bytes; k++)
			if (block[k] != FILL)
				test_fail(__FILE__, __LINE__, "%#x at %zu of %zu of another's block", block[k], k,
				          scene.bytes);
		shoal_free(scene.arena, scene.block[i]);
	}
}

static void
begin(void)
{
	shoal_arena_options o = { .limit_bytes = 1 << 23, .members_max = 8 };
	progress = shared(sizeof *progress);
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &scene.arena), 0);
}

static void
made(void *it)
{
	scene.it = it;
	scene.bytes = object_body_bytes(scene.arena, it);
}

static void
end(uint64_t objects)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_check(scene.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(scene.arena, &info), 0);
	REQUIRE_EQ(info.objects, objects);
	REQUIRE_EQ(info.blocks, objects);
	shoal_arena_close(scene.arena);
}

static void
destroy(bool pipe)
{
	int rc = pipe ? shoal_pipe_destroy(scene.arena, scene.it)
	              : shoal_queue_destroy(scene.arena, scene.it);
	REQUIRE_EQ(rc, 0);
}

/* It goes on, and finds all as it was. `others`: objects that stay. */
static void
let_go_on(pid_t pid, bool pipe, uint64_t others)
{
	destroy(pipe);
	allocate_there();
	progress->go = 1;
	expect_child(pid, 0, 5000);
	expect_untouched();
	end(others);
}

/* Its name in the dead one's record stays until another one has recovered both. */
static void
let_die_there(pid_t pid, bool pipe, uint64_t others)
{
	shoal_arena_info info;
	destroy(pipe);
	REQUIRE_EQ(shoal_arena_stat(scene.arena, &info), 0);
	REQUIRE_EQ(info.blocks, others + 1);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(scene.arena), 2);
	end(others);
}

/* ---- a queue, of which the dead one had borrowed a message ---- */

static int
borrow_and_be_killed(void *unused)
{
	shoal_loan loan;
	(void)unused;
	REQUIRE_EQ(shoal_queue_borrow(scene.it, 0, &loan), 0);
	raise(SIGKILL);
	return 0;
}

static pid_t
begin_with_loan(void)
{
	shoal_queue_options o = { .capacity = 8, .flags = SHOAL_QUEUE_REDELIVER };
	shoal_queue *q;
	begin();
	REQUIRE_EQ(shoal_queue_create(scene.arena, NULL, &o, &q), 0);
	made(q);
	put_text(q, "one");
	expect_killed(child(borrow_and_be_killed, NULL), SIGKILL, 5000);
	return recoverer((void (*)(void))queue_wake_armed);
}

Test(queue_recovery, a_loan_is_given_back_to_nobody_elses_memory)
{
	let_go_on(begin_with_loan(), false, 0);
}

Test(queue_recovery, who_dies_giving_a_loan_back_leaves_the_queue_to_the_next)
{
	let_die_there(begin_with_loan(), false, 0);
}

/* ---- a queue whose counts have a row of the dead one, which is in nothing ---- */

static int
join_arena_and_be_killed(void *unused)
{
	shoal_queue *other;
	(void)unused;
	REQUIRE_EQ(shoal_queue_create(scene.arena, NULL, NULL, &other), 0);
	raise(SIGKILL);
	return 0;
}

static pid_t
begin_with_row(void)
{
	shoal_queue_options o = { .capacity = 8, .flags = SHOAL_QUEUE_JOINABLE };
	shoal_queue *q;
	begin();
	REQUIRE_EQ(shoal_queue_create(scene.arena, NULL, &o, &q), 0);
	made(q);
	expect_killed(child(join_arena_and_be_killed, NULL), SIGKILL, 5000);
	return recoverer((void (*)(void))gate_open_all);
}

Test(queue_recovery, a_dead_ones_tasks_are_counted_in_nobody_elses_memory)
{
	let_go_on(begin_with_row(), false, 1);
}

Test(queue_recovery, who_dies_counting_tasks_leaves_the_queue_to_the_next)
{
	let_die_there(begin_with_row(), false, 1);
}

/* ---- a pipe, of which the dead one had an end ---- */

static int
send_and_be_killed(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_pipe_send((shoal_pipe_end *)scene.it + 1, "x", 1, 0), 0);
	raise(SIGKILL);
	return 0;
}

static pid_t
begin_with_end(void)
{
	shoal_pipe_options o = { .ring_bytes = 4096 };
	shoal_pipe_end *left;
	begin();
	REQUIRE_EQ(shoal_pipe_create(scene.arena, NULL, &o, &left, NULL), 0);
	made(left);
	expect_killed(child(send_and_be_killed, NULL), SIGKILL, 5000);
	return recoverer((void (*)(void))way_wake_all);
}

Test(pipe_recovery, an_end_is_closed_in_nobody_elses_memory)
{
	let_go_on(begin_with_end(), true, 0);
}

Test(pipe_recovery, who_dies_closing_an_end_leaves_the_pipe_to_the_next)
{
	let_die_there(begin_with_end(), true, 0);
}

#endif
