/* Whose a pipe's end is, when who used it has left, or gave it to one who is gone. */
#include "base/kernel.h"
#include "pipe_common.h"
#include "ring/pipe.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct stage {
	struct world w;
	volatile int step;
	shoal_pipe_end *volatile at;
	bool elsewhere; /* another object is where the pipe was among the arena's objects */
	shoal_event *volatile event;
};

static struct stage *
stage_make(unsigned flags)
{
	struct stage *s = shared(sizeof *s);
	s->w = world_make(4096, flags);
	return s;
}

static void
wait_for(const struct stage *s, int step)
{
	for (int i = 0; i < 5000 && s->step < step; i++)
		sleep_ms(1);
	REQUIRE(s->step >= step);
}

/* What a call that does not wait gives when it no longer says -EAGAIN, at the latest in 2 s. */
static ssize_t
recv_at_last(shoal_pipe_end *end)
{
	ssize_t rc = -EAGAIN;
	for (int i = 0; rc == -EAGAIN && i < 2000; i++, sleep_ms(1))
		rc = shoal_pipe_recv(end, NULL, 0, 0);
	return rc;
}

/* ---- its process left the arena ---- */

static int
use_and_leave(void *arg)
{
	struct stage *s = arg;
	send_text(s->w.right, "mine");
	wait_for(s, 1);
	shoal_arena_close(s->w.arena);
	s->step = 2;
	pause();
	return 0;
}

static int
come_after(void *arg)
{
	struct stage *s = arg;
	shoal_free(s->w.arena, shoal_new(s->w.arena, 64));
	s->step = 3;
	pause();
	return 0;
}

/* Its record is the next one's, who has nothing to do with the pipe. */
static void
leave(unsigned flags, shoal_time timeout)
{
	struct stage *s = stage_make(flags);
	pid_t first = child(use_and_leave, s);
	recv_text(s->w.left, "mine");
	if (flags & SHOAL_PIPE_SHARED_ENDS)
		shoal_pipe_close(s->w.right);
	s->step = 1;
	wait_for(s, 2);
	pid_t next = child(come_after, s);
	wait_for(s, 3);
	ssize_t rc = timeout ? shoal_pipe_recv(s->w.left, NULL, 0, timeout) : recv_at_last(s->w.left);
	REQUIRE_EQ(rc, -EPIPE);
	kill(first, SIGKILL);
	kill(next, SIGKILL);
	expect_killed(first, SIGKILL, 5000);
	expect_killed(next, SIGKILL, 5000);
	world_end(s->w);
}

Test(pipe_owner, who_took_the_record_of_one_who_left_is_not_taken_for_it)
{
	leave(0, SHOAL_SEC(2));
	leave(0, 0);
}

Test(pipe_owner, nor_at_a_shared_end)
{
	leave(SHOAL_PIPE_SHARED_ENDS, SHOAL_SEC(2));
	leave(SHOAL_PIPE_SHARED_ENDS, 0);
}

/* ---- who used it last lives, and has it no longer ---- */

static int
be_there(void *unused)
{
	(void)unused;
	pause();
	return 0;
}

Test(pipe_owner, who_gave_an_end_away_does_not_stand_for_who_died_with_it)
{
	struct world w = world_make(4096, 0);
	send_text(w.right, "mine");
	recv_text(w.left, "mine");
	pid_t pid = child(be_there, NULL);
	REQUIRE_EQ(shoal_pipe_give(w.right, pid), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EAGAIN);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(recv_at_last(w.left), -EPIPE);
	world_end(w);
}

/* For less time than a sleep takes, again and again. */
Test(pipe_owner, who_waits_for_short_times_learns_of_its_death_too)
{
	struct world w = world_make(4096, 0);
	pid_t pid = child(be_there, NULL);
	REQUIRE_EQ(shoal_pipe_give(w.right, pid), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 1000), -ETIMEDOUT);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	ssize_t rc = -ETIMEDOUT;
	for (int64_t until = now_ns() + SHOAL_SEC(1); rc == -ETIMEDOUT && now_ns() < until;)
		rc = shoal_pipe_recv(w.left, NULL, 0, 1000);
	REQUIRE_EQ(rc, -EPIPE);
	world_end(w);
}

static int
use_and_stay(void *arg)
{
	struct stage *s = arg;
	send_text(s->w.right, "user");
	pause();
	return 0;
}

static int
use_and_close(void *arg)
{
	struct stage *s = arg;
	send_text(s->w.right, "closes");
	shoal_pipe_close(s->w.right);
	s->step = 1;
	pause();
	return 0;
}

Test(pipe_owner, nor_who_closed_a_shared_end_for_its_last_user)
{
	struct stage *s = stage_make(SHOAL_PIPE_SHARED_ENDS);
	pid_t user = child(use_and_stay, s);
	recv_text(s->w.left, "user");
	pid_t closer = child(use_and_close, s);
	recv_text(s->w.left, "closes");
	wait_for(s, 1);
	shoal_pipe_close(s->w.right);
	REQUIRE_EQ(shoal_pipe_recv(s->w.left, NULL, 0, 0), -EAGAIN);
	kill(user, SIGKILL);
	expect_killed(user, SIGKILL, 5000);
	REQUIRE_EQ(recv_at_last(s->w.left), -EPIPE);
	kill(closer, SIGKILL);
	expect_killed(closer, SIGKILL, 5000);
	world_end(s->w);
}

/* ---- another pipe has the memory ---- */

static int
make_with_owner(void *arg)
{
	struct stage *s = arg;
	shoal_pipe_end *left;
	shoal_pipe_options o = { .flags = SHOAL_WITH_OWNER };
	REQUIRE_EQ(shoal_pipe_create(s->w.arena, "mine", &o, &left, NULL), 0);
	send_text(left, "hello");
	s->step = 1;
	pause();
	return 0;
}

/* Makes a pipe of its own where the other one lay. */
static int
come_into_its_memory(void *arg)
{
	struct stage *s = arg;
	shoal_pipe_end *left;
	shoal_event *event = NULL;
	REQUIRE(shoal_arena_recover(s->w.arena) >= 0);
	if (s->elsewhere)
		REQUIRE_EQ(shoal_event_create(s->w.arena, NULL, &event), 0);
	s->event = event;
	REQUIRE_EQ(shoal_pipe_create(s->w.arena, NULL, NULL, &left, NULL), 0);
	send_text(left, "secret");
	s->at = left;
	s->step = 2;
	pause();
	return 0;
}

static void
keep_an_end(bool use, bool elsewhere)
{
	struct stage *s = stage_make(0);
	s->elsewhere = elsewhere;
	shoal_pipe_end *right, *again;
	shoal_event *before; /* with it the memory that events lie in */
	char got[8];
	REQUIRE_EQ(shoal_event_create(s->w.arena, NULL, &before), 0);
	pid_t owner = child(make_with_owner, s);
	wait_for(s, 1);
	REQUIRE_EQ(shoal_pipe_open(s->w.arena, "mine", SHOAL_RIGHT, 0, &right), 0);
	if (use)
		recv_text(right, "hello");
	kill(owner, SIGKILL);
	expect_killed(owner, SIGKILL, 5000);
	pid_t next = child(come_into_its_memory, s);
	wait_for(s, 2);
	REQUIRE(s->at == right - 1);
	REQUIRE_EQ(shoal_pipe_recv(right, got, sizeof got, 0), -EPIPE);
	REQUIRE_EQ(shoal_pipe_send(right, "x", 1, 0), -EPIPE);
	/* Given out again, it is the new one's. */
	shoal_ref ref = shoal_ref_of(s->w.arena, right);
	REQUIRE_EQ(shoal_pipe_at(s->w.arena, ref, &again), 0);
	recv_text(again, "secret");
	kill(next, SIGKILL);
	expect_killed(next, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_destroy(s->w.arena, again), 0);
	REQUIRE_EQ(shoal_event_destroy(s->w.arena, before), 0);
	if (s->event)
		REQUIRE_EQ(shoal_event_destroy(s->w.arena, s->event), 0);
	world_end(s->w);
}

Test(pipe_owner, an_end_is_not_a_strangers_that_has_its_memory)
{
	keep_an_end(true, false);
	keep_an_end(true, true);
}

Test(pipe_owner, nor_is_one_that_was_never_used)
{
	keep_an_end(false, false);
	keep_an_end(false, true);
}

/* ---- known by its address ---- */

static int
send_to_the_next_one(void *arg)
{
	struct stage *s = arg;
	shoal_pipe_end *first;
	REQUIRE_EQ(shoal_pipe_open(s->w.arena, "first", SHOAL_RIGHT, 0, &first), 0);
	s->step = 1;
	wait_for(s, 2);
	REQUIRE(s->at == first);
	send_text(s->at, "from afar");
	return 0;
}

/* Where the one was that another process had opened itself. */
Test(pipe_owner, an_end_that_another_process_told_of_is_the_one_that_is_there)
{
	struct stage *s = stage_make(0);
	shoal_pipe_end *left, *right;
	REQUIRE_EQ(shoal_pipe_create(s->w.arena, "first", NULL, &left, NULL), 0);
	pid_t pid = child(send_to_the_next_one, s);
	wait_for(s, 1);
	REQUIRE_EQ(shoal_pipe_destroy(s->w.arena, left), 0);
	REQUIRE_EQ(shoal_pipe_create(s->w.arena, NULL, NULL, &left, &right), 0);
	s->at = right;
	s->step = 2;
	expect_child(pid, 0, 5000);
	recv_text(left, "from afar");
	REQUIRE_EQ(shoal_pipe_destroy(s->w.arena, left), 0);
	world_end(s->w);
}

/* ---- given to a process ---- */

Test(pipe_owner, who_has_a_dead_ones_pid_is_not_taken_for_it)
{
	pid_t pid = child(be_there, NULL);
	uint64_t started = kernel_start_time(pid);
	REQUIRE(started > 1);
	REQUIRE_EQ(pipe_given_pid(pipe_given_word(pid, started)), pid);
	REQUIRE_EQ(pipe_given_started(pipe_given_word(pid, started)), started);
	REQUIRE(!pipe_given_ended(pipe_given_word(pid, started)));
	REQUIRE(!pipe_given_ended(pipe_given_word(pid, 0)));
	REQUIRE(pipe_given_ended(pipe_given_word(pid, started - 1)));
	REQUIRE_EQ(pipe_given_started(pipe_given_word(pid, started - 1)), 0);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE(pipe_given_ended(pipe_given_word(pid, started)));
	REQUIRE(pipe_given_ended(pipe_given_word(pid, 0)));
}

static void *
sleep_in_a_thread(void *tid)
{
	store_relaxed((word32 *)tid, (uint32_t)kernel_tid());
	for (;;)
		pause();
	return NULL;
}

Test(pipe_owner, nothing_is_given_to_a_thread_or_to_one_who_has_ended)
{
	struct world w = world_make(4096, 0);
	word32 tid = { 0 };
	pthread_t thread;
	send_text(w.right, "mine");
	REQUIRE_EQ(pthread_create(&thread, NULL, sleep_in_a_thread, &tid), 0);
	for (int i = 0; i < 5000 && !load_relaxed(&tid); i++)
		sleep_ms(1);
	REQUIRE_EQ(shoal_pipe_give(w.right, (pid_t)load_relaxed(&tid)), -ENOENT);
	pid_t zombie = child(be_there, NULL);
	siginfo_t info;
	kill(zombie, SIGKILL);
	REQUIRE_EQ(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	REQUIRE_EQ(shoal_pipe_give(w.right, zombie), -ENOENT);
	expect_killed(zombie, SIGKILL, 5000);
	send_text(w.right, "still");
	recv_text(w.left, "mine");
	recv_text(w.left, "still");
	world_end(w);
}

Test(pipe_owner, without_a_descriptor_give_says_so_and_gives_nothing)
{
	struct world w = world_make(4096, 0);
	struct rlimit all, none;
	send_text(w.right, "mine");
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = all.rlim_max };
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = shoal_pipe_give(w.right, getppid());
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &all), 0);
	REQUIRE_EQ(rc, -EMFILE);
	send_text(w.right, "still");
	recv_text(w.left, "mine");
	recv_text(w.left, "still");
	world_end(w);
}

/* ---- a shared end that one looks at before its first call there ---- */

static int
look_without_use(void *arg)
{
	struct world *w = arg;
	shoal_waitable item = shoal_on_pipe(w->left);
	REQUIRE_EQ(shoal_pipe_poll(w->left, 0), 0);
	REQUIRE_EQ(shoal_pipe_poll(w->left, SHOAL_MS(20)), 0);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w->left), -EAGAIN);
	REQUIRE_EQ(shoal_wait(&item, 1, SHOAL_MS(20)), 0);
	REQUIRE_EQ(shoal_pipe_recv(w->left, NULL, 0, 0), -EAGAIN);
	send_text(w->right, "then");
	REQUIRE_EQ(shoal_pipe_peek_bytes(w->left), 5);
	shoal_pipe_close(w->left);
	REQUIRE_EQ(shoal_pipe_poll(w->left, 0), -EPIPE);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w->left), -EPIPE);
	REQUIRE_EQ(shoal_pipe_recv(w->left, NULL, 0, 0), -EPIPE);
	shoal_pipe_close(w->left);
	return 0;
}

Test(pipe_owner, a_shared_end_is_open_to_one_who_only_looks)
{
	struct world w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	expect_child(child(look_without_use, &w), 0, 5000);
	recv_text(w.left, "then");
	world_end(w);
}

/* ---- an end that is said to be shared, of a pipe without users' rows ---- */

enum { MEMBERS = 4000, BESIDE = 60000, BLOCKS_MOST = 64 };

/* A user's memory where the rows would be: an entry in it, or NULL. */
static word64 *
entry_beside(shoal_arena *a, word64 *row)
{
	for (int n = 0; n < BLOCKS_MOST; n++) {
		word64 *memory = shoal_new(a, BESIDE), *end = memory + BESIDE / sizeof *memory;
		REQUIRE(memory);
		for (uint32_t i = 100; i < MEMBERS; i++)
			if (row + i >= memory && row + i < end)
				return row + i;
	}
	return NULL;
}

Test(pipe_owner, a_word_that_says_shared_leads_to_no_rows)
{
	struct world w;
	shoal_pipe_options o = { .ring_bytes = 4096 };
	shoal_arena_options many = { .members_max = MEMBERS };
	REQUIRE_EQ(shoal_arena_create(NULL, &many, &w.arena), 0);
	REQUIRE_EQ(shoal_pipe_create(w.arena, "p", &o, &w.left, &w.right), 0);
	struct pipe *p = (struct pipe *)(void *)w.left;
	word64 *beside = entry_beside(w.arena, pipe_users(p, 4096, MEMBERS, SHOAL_RIGHT));
	REQUIRE(beside);
	store_relaxed(beside, pipe_user_word(7, 1));
	fetch_or_seq_cst(&w.right->owner, OWNER_SHARED);
	ssize_t rc = shoal_pipe_recv(w.left, NULL, 0, 0);
	REQUIRE_EQ(load_relaxed(beside), pipe_user_word(7, 1));
	REQUIRE_EQ(rc, -EAGAIN);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_MS(10)), -ETIMEDOUT);
	REQUIRE(shoal_pipe_fd(w.left) >= 0);
	REQUIRE_EQ(load_relaxed(beside), pipe_user_word(7, 1));
	shoal_arena_close(w.arena);
}

/* As if its number had come round again since the end was given. */
Test(pipe_owner, what_was_given_to_a_dead_process_is_no_later_ones)
{
	struct world w = world_make(0, 0);
	uint64_t started = kernel_start_time(getpid());
	if (skip_unless(started, "/proc"))
		return;
	uint64_t nonce = load_relaxed(&w.right->owner) & OWNER_NONCE;
	store_relaxed(&w.right->owner, nonce | pipe_given_word(getpid(), started));
	send_text(w.right, "mine");
	recv_text(w.left, "mine");
	REQUIRE_EQ(shoal_pipe_give(w.right, 0), 0);
	store_relaxed(&w.right->owner, nonce | pipe_given_word(getpid(), started + 1));
	REQUIRE_EQ(shoal_pipe_send(w.right, "", 1, 0), -EPIPE);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EPIPE);
	world_end(w);
}
