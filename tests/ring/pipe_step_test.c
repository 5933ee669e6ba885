/*
 * What others do, or a death, at each instruction of a call on a pipe. Where no instruction can be
 * stopped at nothing is tested.
 */
#include "pipe_common.h"
#include "ring/loan.h"
#include "steps.h"
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#if HAS_STEPS

enum { LENGTH = 200, LONG = 5000, INSTRUCTIONS_MOST = 20000 };

static struct scene {
	struct world w;
	shoal_loan loan;
	int rc;
} scene;

static void
await(const volatile int *word, int value)
{
	int64_t until = now_ns() + SHOAL_SEC(10);
	while (*word < value) {
		REQUIRE(now_ns() < until);
		sched_yield();
	}
}

static void
fill_pipe(shoal_pipe_end *end, size_t bytes)
{
	char text[LONG];
	memset(text, 'B', bytes);
	while (shoal_pipe_send(end, text, bytes, 0) == 0)
		continue;
}

static void
expect_all(const shoal_loan *loan, char c)
{
	for (size_t i = 0; i < loan->bytes; i++)
		REQUIRE_EQ(((const char *)loan->data)[i], c);
}

static void
send_filled(shoal_pipe_end *end, char c, size_t bytes)
{
	char text[LONG];
	memset(text, c, bytes);
	REQUIRE_EQ(shoal_pipe_send(end, text, bytes, 0), 0);
}

/* ---- a borrower that dies at a shared end ---- */

static void
die(void)
{
	raise(SIGKILL);
}

static uint32_t later;

static void
die_later(void)
{
	steps.entry = 0;
	steps.at = steps.done + later;
	steps.come = die;
	steps.on = true;
}

static void
borrow_op(void *loan)
{
	scene.rc = shoal_pipe_borrow(scene.w.right, SHOAL_SEC(1), loan);
}

static int
borrow_and_die(void *at)
{
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_poll(scene.w.right, 0), 1);
	later = *(uint32_t *)at;
	REQUIRE(steps_into_call(borrow_op, &loan, (void (*)(void))loan_fill, die_later));
	return 0;
}

static uint64_t
dropped(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.messages_dropped;
}

/* From the first word of its entry on. False: the call has not so many instructions. */
static bool
borrow_after_a_death(uint32_t at)
{
	struct world w = scene.w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	send_filled(w.left, 'A', LENGTH);
	pid_t pid = child(borrow_and_die, &at);
	siginfo_t how;
	REQUIRE_EQ(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
	bool died = how.si_code == CLD_KILLED;
	if (died)
		expect_killed(pid, SIGKILL, 5000);
	else
		expect_child(pid, 0, 5000);
	int rc = shoal_pipe_borrow(w.right, 0, &scene.loan);
	REQUIRE(rc == 0 || rc == -EAGAIN);
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	if (rc == 0) {
		fill_pipe(w.left, 64);
		expect_all(&scene.loan, 'A');
		shoal_loan_release(&scene.loan);
	}
	REQUIRE_EQ(dropped(w.arena), rc != 0);
	world_end(w);
	return died;
}

Test(pipe_step, a_dead_borrowers_recovery_ends_nobody_elses_loan, .timeout = HARNESS_TIMEOUT * 3)
{
	uint32_t at = 0;
	while (at < INSTRUCTIONS_MOST && borrow_after_a_death(at))
		at += HARNESS_SLOW;
	REQUIRE(at > 20 && at < INSTRUCTIONS_MOST);
}

/* ---- a loan whose thread ends while another one adopts it ---- */

static struct {
	volatile int lent, over, taken, end;
	shoal_loan loan;
	pthread_t former, next;
} adoption;

static void *
lend(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_pipe_borrow(scene.w.right, 0, &scene.loan), 0);
	adoption.lent = 1;
	await(&adoption.over, 1);
	return NULL;
}

/* In the record that the former one had. */
static void *
borrow_next(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_pipe_borrow(scene.w.right, 0, &adoption.loan), 0);
	adoption.taken = 1;
	await(&adoption.end, 1);
	shoal_loan_release(&adoption.loan);
	return NULL;
}

static void
another_takes_the_record(void)
{
	adoption.over = 1;
	REQUIRE_EQ(pthread_join(adoption.former, NULL), 0);
	REQUIRE_EQ(pthread_create(&adoption.next, NULL, borrow_next, NULL), 0);
	await(&adoption.taken, 1);
}

static void
adopt_op(void *unused)
{
	(void)unused;
	scene.rc = shoal_loan_adopt(&scene.loan);
}

static void
expect_room(struct world w, size_t bytes)
{
	char text[LONG];
	for (int i = 0; i < 200; i++) {
		send_filled(w.left, 'C', bytes);
		REQUIRE_EQ(shoal_pipe_recv(w.right, text, sizeof text, 0), (ssize_t)bytes);
	}
}

static bool
adopt_while_it_ends(uint32_t at, size_t bytes)
{
	struct world w = scene.w = world_make(4096, 0);
	send_filled(w.left, 'A', bytes);
	send_filled(w.left, 'N', bytes);
	adoption.lent = adoption.over = adoption.taken = adoption.end = 0;
	REQUIRE_EQ(pthread_create(&adoption.former, NULL, lend, NULL), 0);
	await(&adoption.lent, 1);
	bool more = steps_into(adopt_op, NULL, at, another_takes_the_record);
	if (!more)
		another_takes_the_record();
	REQUIRE(scene.rc == 0 || scene.rc == -EINVAL);
	for (int i = 0; i < 3; i++) {
		fill_pipe(w.left, bytes);
		while (shoal_pipe_recv(w.right, (char[LONG]){ 0 }, LONG, 0) > 0)
			continue;
		if (scene.rc == 0)
			expect_all(&scene.loan, 'A');
		expect_all(&adoption.loan, 'N');
	}
	adoption.end = 1;
	REQUIRE_EQ(pthread_join(adoption.next, NULL), 0);
	if (scene.rc == 0)
		shoal_loan_release(&scene.loan);
	expect_room(w, bytes);
	world_end(w);
	return more;
}

static void
adopt_at_each(size_t bytes)
{
	uint32_t at = 0;
	while (at < INSTRUCTIONS_MOST && adopt_while_it_ends(at, bytes))
		at += HARNESS_SLOW;
	REQUIRE(at > 20 && at < INSTRUCTIONS_MOST);
}

Test(pipe_step, an_adopted_place_is_the_adopters_or_has_ended, .timeout = HARNESS_TIMEOUT * 3)
{
	adopt_at_each(LENGTH);
}

Test(pipe_step, an_adopted_block_is_the_adopters_or_has_ended, .timeout = HARNESS_TIMEOUT * 3)
{
	adopt_at_each(LONG);
}

#endif
