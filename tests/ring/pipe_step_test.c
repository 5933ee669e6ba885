/*
 * What others do, or a death, at each instruction of a call on a pipe. Where no instruction can be
 * stopped at nothing is tested.
 */
#include "pipe_common.h"
#include "base/kernel.h"
#include "ring/loan.h"
#include "ring/pipe.h"
#include "steps.h"
#include "sync/gate.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#if HAS_STEPS

/*
 * LONG is more than a quarter of the ring, so that it takes a block, and less than what the C
 * library copies by `rep movsb` on any processor: each of its bytes is an instruction to step over.
 */
enum { LENGTH = 200, LONG = 2000, INSTRUCTIONS_MOST = 20000 };

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

static struct {
	uint32_t at;
	void (*come)(void);
} beyond;

static void
go_on(void)
{
	steps.entry = 0;
	steps.at = steps.done + beyond.at;
	steps.come = beyond.come;
	steps.came = false;
	steps.on = true;
}

/* As steps_into, so many instructions after the operation first called a function. */
static bool
steps_beyond(void (*op)(void *), void *arg, void (*entry)(void), uint32_t at, void (*come)(void))
{
	beyond.at = at;
	beyond.come = come;
	(void)steps_into_call(op, arg, entry, go_on);
	return steps.come == come && steps.done > steps.at;
}

/* ---- a borrower that dies at a shared end ---- */

static void
die(void)
{
	raise(SIGKILL);
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
	(void)steps_beyond(borrow_op, &loan, (void (*)(void))loan_fill, *(uint32_t *)at, die);
	return 0;
}

static uint64_t
dropped(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.messages_dropped;
}

static bool
is_killed(pid_t pid)
{
	siginfo_t how;
	REQUIRE_EQ(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
	bool killed = how.si_code == CLD_KILLED;
	if (killed)
		expect_killed(pid, SIGKILL, 5000);
	else
		expect_child(pid, 0, 5000);
	return killed;
}

/* From the first word of its entry on. False: the call has not so many instructions. */
static bool
borrow_after_a_death(uint32_t at)
{
	struct world w = scene.w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	send_filled(w.left, 'A', LENGTH);
	bool died = is_killed(child(borrow_and_die, &at));
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
		at += STEPS_STRIDE;
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
	steps.others_wait = true;
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
		at += STEPS_STRIDE;
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

/* ---- an end that another process makes its own meanwhile ---- */

enum { USE, USE_AND_CLOSE };

static struct meeting {
	volatile int go, used, over;
	volatile int act, first, second;
} *meeting;

static int
use_when_told(void *unused)
{
	(void)unused;
	await(&meeting->go, 1);
	meeting->first = shoal_pipe_send(scene.w.right, "mine", 5, 0);
	if (meeting->act == USE_AND_CLOSE)
		shoal_pipe_close(scene.w.right);
	meeting->used = 1;
	await(&meeting->over, 1);
	meeting->second = shoal_pipe_send(scene.w.right, "still", 6, 0);
	return 0;
}

static void
let_it_be_used(void)
{
	meeting->go = 1;
	await(&meeting->used, 1);
}

static void
give_op(void *to)
{
	scene.rc = shoal_pipe_give(scene.w.right, *(pid_t *)to);
}

static void
close_op(void *unused)
{
	(void)unused;
	shoal_pipe_close(scene.w.right);
}

static int
stay_away(void *unused)
{
	(void)unused;
	for (;;)
		sleep_ms(1000);
	return 0;
}

/* An end that is nobody's: it is this call's, or the other process's, and not both. */
static void
meet(void (*op)(void *), int act, void (*entry)(void))
{
	struct world w = scene.w = world_make(4096, 0);
	pid_t to = child(stay_away, NULL);
	meeting = shared(sizeof *meeting);
	meeting->act = act;
	pid_t pid = child(use_when_told, NULL);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 0);
	scene.rc = 0;
	REQUIRE(steps_into_call(op, &to, entry, let_it_be_used));
	meeting->over = 1;
	expect_child(pid, 0, 10000);
	REQUIRE_EQ(meeting->first, 0);
	REQUIRE_EQ(meeting->second, act == USE ? 0 : -EPIPE);
	if (op == give_op)
		REQUIRE_EQ(scene.rc, act == USE ? -EBUSY : -EPIPE);
	kill(to, SIGKILL);
	expect_killed(to, SIGKILL, 5000);
	world_end(w);
}

/* It is looked up to whom it goes, and then it goes. */
static void
meet_give(int act)
{
	meet(give_op, act, (void (*)(void))kernel_start_time);
	meet(give_op, act, (void (*)(void))pipe_pass_end);
}

Test(pipe_step, give_takes_nothing_from_who_used_the_end_first)
{
	meet_give(USE);
}

Test(pipe_step, give_opens_no_end_that_was_closed)
{
	meet_give(USE_AND_CLOSE);
}

static bool
close_and_meet(uint32_t at)
{
	struct world w = scene.w = world_make(4096, 0);
	meeting = shared(sizeof *meeting);
	pid_t pid = child(use_when_told, NULL);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 0);
	bool more = steps_into(close_op, NULL, at, let_it_be_used);
	if (!more)
		let_it_be_used();
	meeting->over = 1;
	expect_child(pid, 0, 10000);
	REQUIRE(meeting->first == 0 || meeting->first == -EPIPE);
	REQUIRE_EQ(meeting->second, meeting->first);
	world_end(w);
	return more;
}

Test(pipe_step, close_closes_nothing_of_who_used_the_end_first, .timeout = HARNESS_TIMEOUT * 3)
{
	uint32_t at = 0;
	while (at < INSTRUCTIONS_MOST && close_and_meet(at))
		at += 2 * STEPS_STRIDE;
	REQUIRE(at > 20 && at < INSTRUCTIONS_MOST);
}

/* ---- a pipe that is destroyed while its message in a block is received ---- */

static int
destroy_when_told(void *unused)
{
	(void)unused;
	await(&meeting->go, 1);
	REQUIRE_EQ(shoal_pipe_destroy(scene.w.arena, scene.w.left), 0);
	meeting->used = 1;
	return 0;
}

static void
recv_op(void *buffer)
{
	scene.rc = (int)shoal_pipe_recv(scene.w.right, buffer, LONG, SHOAL_SEC(5));
}

static void
borrow_block_op(void *unused)
{
	(void)unused;
	scene.rc = shoal_pipe_borrow(scene.w.right, SHOAL_SEC(5), &scene.loan);
}

static bool
destroyed_meanwhile(void (*op)(void *), unsigned flags, uint32_t at)
{
	char text[LONG];
	struct world w = scene.w = world_make(4096, flags);
	*meeting = (struct meeting){ 0 };
	send_filled(w.left, 'A', LONG);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 1);
	pid_t pid = child(destroy_when_told, NULL);
	bool more = steps_beyond(op, text, (void (*)(void))block_bytes, at, let_it_be_used);
	if (!more)
		let_it_be_used();
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(scene.rc, scene.rc >= 0 ? (op == recv_op ? LONG : 0) : -EPIPE);
	if (op == borrow_block_op && scene.rc == 0)
		shoal_loan_release(&scene.loan);
	REQUIRE_EQ(blocks_in_the_end(w.arena, 0), 0);
	shoal_arena_close(w.arena);
	return more;
}

static void
destroy_at_each(void (*op)(void *), unsigned flags)
{
	uint32_t at = 0;
	meeting = shared(sizeof *meeting);
	while (at < INSTRUCTIONS_MOST && destroyed_meanwhile(op, flags, at))
		at += STEPS_STRIDE;
	REQUIRE(at > 20 && at < INSTRUCTIONS_MOST);
}

Test(pipe_step, a_block_that_goes_with_its_pipe_is_the_end, .timeout = HARNESS_TIMEOUT * 3)
{
	destroy_at_each(recv_op, 0);
}

Test(pipe_step, so_it_is_where_it_is_borrowed_or_shared, .timeout = HARNESS_TIMEOUT * 3)
{
	destroy_at_each(borrow_block_op, 0);
	destroy_at_each(recv_op, SHOAL_PIPE_SHARED_ENDS);
}

/* ---- one who was woken at a shared end, and dies before it has the message ---- */

static struct {
	uint32_t at;
	volatile int sleeps, go, sent;
	volatile int64_t got;
} *vigil;

static void
recv_short_op(void *buffer)
{
	scene.rc = (int)shoal_pipe_recv(scene.w.right, buffer, LONG, SHOAL_SEC(1) * HARNESS_SLOW);
}

/* Each time that it takes the lock, until there is the message. */
static void
die_after_the_sleep(void)
{
	vigil->sleeps = 1;
	beyond.at = vigil->at;
	beyond.come = die;
	if (vigil->sent) {
		go_on();
		return;
	}
	steps_run_to((void (*)(void))robust_take_as);
}

/* Unstepped: the pauses before it sleeps are tens of thousands of steps, of all the time it has. */
static void
run_to_the_sleep(void)
{
	steps.come = die_after_the_sleep;
	steps_run_to((void (*)(void))gate_sleep);
}

static int
sleep_and_die(void *unused)
{
	char text[LONG];
	(void)unused;
	(void)steps_into(recv_short_op, text, 0, run_to_the_sleep);
	REQUIRE(vigil->sleeps);
	return 0;
}

static int
sleep_too(void *unused)
{
	char text[LONG];
	(void)unused;
	await(&vigil->go, 1);
	REQUIRE_EQ(shoal_pipe_recv(scene.w.right, text, sizeof text, SHOAL_SEC(10)), LENGTH);
	vigil->got = now_ns();
	return 0;
}

/* In a system call that waits, as /proc tells. False: it has ended, or does not come to wait. */
static bool
comes_to_sleep(pid_t pid)
{
	char name[64], state = 'R';
	snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 5000 && state != 'S' && state != 'Z'; i++) {
		sleep_ms(1);
		FILE *f = fopen(name, "r");
		REQUIRE(f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
		fclose(f);
	}
	return state == 'S';
}

/* So many instructions after it began to take the lock. */
static bool
is_received_soon(uint32_t at)
{
	struct world w = scene.w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	vigil = shared(sizeof *vigil);
	vigil->at = at;
	pid_t other = child(sleep_too, NULL), pid = child(sleep_and_die, NULL);
	await(&vigil->sleeps, 1);
	bool both = comes_to_sleep(pid);
	vigil->go = 1;
	both &= comes_to_sleep(other);
	int64_t start = now_ns();
	vigil->sent = 1;
	send_filled(w.left, 'A', LENGTH);
	/* It may have looked just before it was to die; or the other one has got the message. */
	bool killed = is_killed(pid);
	if (!killed)
		send_filled(w.left, 'A', LENGTH);
	expect_child(other, 0, 5000);
	world_end(w);
	return both && killed && vigil->got - start < SHOAL_MS(25);
}

/* A busy machine may be late, but not each time. */
Test(pipe_step, a_message_waits_for_no_dead_receiver, .timeout = HARNESS_TIMEOUT * 3)
{
	for (uint32_t at = 20; at <= 80; at += 30) {
		int tries = 1;
		while (!is_received_soon(at))
			REQUIRE(tries++ < 8);
	}
}

#endif
