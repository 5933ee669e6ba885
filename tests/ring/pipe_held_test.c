/*
 * Shared ends of which another process has the lock, stopped in the middle of a copy: its buffer is
 * a page that cannot be touched until it is let go.
 */
#include "pipe_common.h"
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 1 << 16 };

struct stage {
	struct world w;
	size_t bytes;
	volatile int held, go_ms; /* go_ms: let go so many ms after it is set */
};

static struct stage *here;
static void *page;

static void
stay_here(int unused)
{
	(void)unused;
	here->held = 1;
	while (!here->go_ms)
		sleep_ms(1);
	sleep_ms(here->go_ms);
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

static void *
untouchable(struct stage *s)
{
	here = s;
	page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	signal(SIGSEGV, stay_here);
	return page;
}

static int
hold_recv(void *arg)
{
	struct stage *s = arg;
	REQUIRE_EQ(shoal_pipe_recv(s->w.left, untouchable(s), PAGE, 0), (ssize_t)s->bytes);
	return 0;
}

static int
hold_send(void *arg)
{
	struct stage *s = arg;
	REQUIRE_EQ(shoal_pipe_send(s->w.right, untouchable(s), s->bytes, 0), 0);
	return 0;
}

static pid_t
hold(int (*run)(void *), struct stage *s)
{
	pid_t pid = child(run, s);
	for (int i = 0; i < 5000 && !s->held; i++)
		sleep_ms(1);
	REQUIRE(s->held);
	return pid;
}

/* A reader stopped at the left end, with the only message in its hands. */
static struct stage *
stop_reader(pid_t *pid)
{
	struct stage *s = shared(sizeof *s);
	s->w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	s->bytes = 5;
	send_text(s->w.right, "held");
	*pid = hold(hold_recv, s);
	return s;
}

/* A writer stopped at the right end; its message fills the ring, but for less than 1000 bytes. */
static struct stage *
stop_writer(pid_t *pid)
{
	struct stage *s = shared(sizeof *s);
	char message[100] = "";
	s->w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	s->bytes = sizeof message;
	while (shoal_pipe_send(s->w.right, message, sizeof message, 0) == 0)
		continue;
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_pipe_recv(s->w.left, message, sizeof message, 0), sizeof message);
	*pid = hold(hold_send, s);
	return s;
}

static void
let_go(struct stage *s, pid_t pid)
{
	s->go_ms = 1;
	expect_child(pid, 0, 5000);
	world_end(s->w);
}

/* There is room, and there are messages, as this process has seen; another one has the lock. */
Test(pipe_held, short_messages_wait_for_it_too)
{
	static const size_t lengths[] = { 8, 16, 64, 3 };
	char message[PAGE] = "";
	for (size_t i = 0; i < 8; i++) {
		struct stage *s = shared(sizeof *s);
		bool reads = i % 2;
		s->bytes = lengths[i / 2];
		s->w = world_make(0, SHOAL_PIPE_SHARED_ENDS);
		for (int k = 0; k < 40; k++)
			REQUIRE_EQ(shoal_pipe_send(s->w.right, message, s->bytes, 0), 0);
		for (int k = 0; k < 20; k++)
			REQUIRE_EQ(shoal_pipe_recv(s->w.left, message, PAGE, 0), (ssize_t)s->bytes);
		pid_t pid = hold(reads ? hold_recv : hold_send, s);
		if (reads)
			REQUIRE_EQ(shoal_pipe_recv(s->w.left, message, PAGE, 0), -EAGAIN);
		else
			REQUIRE_EQ(shoal_pipe_send(s->w.right, message, s->bytes, 0), -EAGAIN);
		let_go(s, pid);
	}
}

/* ---- the time that the lock takes ---- */

static int
call(struct stage *s, bool reads, shoal_time timeout)
{
	static const char message[1000];
	return reads ? (int)shoal_pipe_recv(s->w.left, NULL, 0, timeout)
	             : shoal_pipe_send(s->w.right, message, sizeof message, timeout);
}

/* How long a call takes to give up when it is let go late, and there is nothing, or no room. */
static int64_t
give_up(bool reads)
{
	pid_t pid;
	struct stage *s = reads ? stop_reader(&pid) : stop_writer(&pid);
	int64_t start = now_ns();
	s->go_ms = 900;
	REQUIRE_EQ(call(s, reads, SHOAL_SEC(1)), -ETIMEDOUT);
	int64_t took = now_ns() - start;
	REQUIRE(took >= SHOAL_SEC(1));
	expect_child(pid, 0, 5000);
	world_end(s->w);
	return took;
}

/* A busy machine may be late, but not each time by nearly as much again. */
static void
expect_one_deadline(bool reads)
{
	int tries = 1;
	while (give_up(reads) > SHOAL_MS(1800))
		REQUIRE(tries++ < 4);
}

Test(pipe_held, what_a_reader_waits_for_the_lock_is_of_its_time)
{
	expect_one_deadline(true);
}

Test(pipe_held, what_a_writer_waits_for_the_lock_is_of_its_time)
{
	expect_one_deadline(false);
}

static void
expect_interrupt(bool reads)
{
	pid_t pid;
	struct stage *s = reads ? stop_reader(&pid) : stop_writer(&pid);
	shoal_thread_interrupt(shoal_thread_self());
	REQUIRE_EQ(call(s, reads, 0), -EAGAIN);
	REQUIRE_EQ(call(s, reads, SHOAL_SEC(2)), -ECANCELED);
	let_go(s, pid);
}

Test(pipe_held, an_interrupt_ends_a_readers_wait_for_the_lock)
{
	expect_interrupt(true);
}

Test(pipe_held, an_interrupt_ends_a_writers_wait_for_the_lock)
{
	expect_interrupt(false);
}

/* ---- looking ---- */

static int
look_at_once(void *arg)
{
	struct stage *s = arg;
	REQUIRE_EQ(shoal_pipe_poll(s->w.left, 0), 1);
	REQUIRE_EQ(shoal_pipe_poll(s->w.left, SHOAL_MS(5)), 1);
	REQUIRE_EQ(shoal_pipe_peek_bytes(s->w.left), (ssize_t)s->bytes);
	return 0;
}

Test(pipe_held, a_look_that_does_not_wait_waits_for_nobody)
{
	pid_t pid;
	struct stage *s = stop_reader(&pid);
	expect_child(child(look_at_once, s), 0, 5000);
	let_go(s, pid);
}
