/* shoal_wait where others die or destroy, signals come, or the input is bad. */
#include "process/wait_any_common.h"
#include <sys/time.h>

/* ---- deaths, ends ---- */

static int
send_and_sleep(void *end)
{
	REQUIRE_EQ(shoal_pipe_send(end, "x", 1, 0), 0);
	return sleep_long(NULL);
}

/* With and without a descriptor in the list. */
static void
writer_is_killed(size_t count, unsigned flags)
{
	shoal_arena *a = arena_make();
	shoal_pipe_options o = { .ring_bytes = 4096, .flags = flags };
	shoal_pipe_end *left, *right;
	int pair[2];
	char c;
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	REQUIRE_EQ(shoal_pipe_create(a, NULL, &o, &left, &right), 0);
	pid_t pid = child(send_and_sleep, right);
	shoal_waitable on[] = { shoal_on_pipe(left), shoal_on_fd(pair[0]) };
	REQUIRE_EQ(shoal_wait(on, count, SHOAL_SEC(5)), 1);
	REQUIRE_EQ(shoal_pipe_recv(left, &c, 1, 0), 1);
	if (flags)
		shoal_pipe_close(right);
	REQUIRE_EQ(shoal_wait(on, count, SHOAL_MS(30)), 0);
	kill(pid, SIGKILL);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_wait(on, count, SHOAL_SEC(5)), 1);
	REQUIRE(ms_since(start) < 1000);
	REQUIRE_EQ(shoal_pipe_recv(left, &c, 1, 0), -EPIPE);
	expect_killed(pid, SIGKILL, 5000);
	close(pair[0]);
	close(pair[1]);
	arena_end(a);
}

Test(wait_any_end, a_killed_writer_is_the_end_of_its_pipe)
{
	writer_is_killed(1, 0);
	writer_is_killed(2, 0);
	writer_is_killed(1, SHOAL_PIPE_SHARED_ENDS);
	writer_is_killed(2, SHOAL_PIPE_SHARED_ENDS);
}

static int
kill_late(void *pid)
{
	sleep_ms(50);
	return kill(*(pid_t *)pid, SIGKILL);
}

Test(wait_any_end, a_killed_process_is_noticed_at_once)
{
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	shoal_waitable on[] = { shoal_on_process(p) };
	pid_t pid = shoal_process_pid(p);
	REQUIRE_EQ(shoal_wait(on, 1, 0), 0);
	pid_t killer = child(kill_late, &pid);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_wait(on, 1, SHOAL_SEC(5)), 1);
	REQUIRE(ms_since(start) < 1000);
	expect_child(killer, 0, 5000);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
}

struct ending {
	shoal_arena *arena;
	shoal_queue *queue;
	shoal_pipe_end *end;
	shoal_event *event;
	int which;
};

static int
destroy_late(void *arg)
{
	struct ending *e = arg;
	sleep_ms(30);
	if (e->which == 0)
		return shoal_queue_destroy(e->arena, e->queue);
	if (e->which == 1)
		return shoal_pipe_destroy(e->arena, e->end);
	return shoal_event_destroy(e->arena, e->event);
}

/* By another process, beside others that stay, with and without a descriptor in the list. */
Test(wait_any_end, what_is_destroyed_meanwhile_is_ready)
{
	int pair[2];
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < 6; i++) {
		struct ending e = { .arena = arena_make(), .which = i % 3 };
		shoal_pipe_end *right;
		e.queue = queue_make(e.arena);
		pipe_make(e.arena, &e.end, &right);
		REQUIRE_EQ(shoal_event_create(e.arena, NULL, &e.event), 0);
		shoal_waitable on[] = { shoal_on_queue(e.queue), shoal_on_pipe(e.end),
			                shoal_on_event(e.event), shoal_on_fd(pair[0]) };
		pid_t pid = child(destroy_late, &e);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_wait(on, i < 3 ? 3 : 4, SHOAL_SEC(5)), 1);
		REQUIRE(ms_since(start) < 1000);
		REQUIRE(on[e.which].ready);
		expect_child(pid, 0, 5000);
		arena_end(e.arena);
	}
	close(pair[0]);
	close(pair[1]);
}

/* ---- interrupts, signals ---- */

static void *
interrupt_late(void *thread)
{
	sleep_ms(30);
	shoal_thread_interrupt(thread);
	return NULL;
}

Test(wait_any_end, an_interrupt_ends_it_once)
{
	shoal_arena *a = arena_make();
	int pair[2];
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	shoal_waitable on[] = { shoal_on_queue(queue_make(a)), shoal_on_fd(pair[0]) };
	for (size_t count = 1; count <= 2; count++) {
		pthread_t thread;
		pthread_create(&thread, NULL, interrupt_late, shoal_thread_self());
		on[0].ready = 9;
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_SEC(5)), -ECANCELED);
		REQUIRE_EQ(on[0].ready, 9);
		pthread_join(thread, NULL);
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_MS(5)), 0);
		shoal_thread_interrupt(shoal_thread_self());
		REQUIRE_EQ(shoal_wait(on, count, 0), 0);
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_SEC(5)), -ECANCELED);
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_MS(5)), 0);
	}
	close(pair[0]);
	close(pair[1]);
	arena_end(a);
}

static volatile sig_atomic_t ticks;

static void
tick(int signo)
{
	(void)signo;
	ticks++;
}

/* TestIgnoreEINTR, _TestPollEintr. */
Test(wait_any_end, signals_do_not_cut_it_short)
{
	shoal_arena *a = arena_make();
	int pair[2];
	struct sigaction action = { .sa_handler = tick };
	struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	sigaction(SIGALRM, &action, NULL);
	shoal_waitable on[] = { shoal_on_queue(queue_make(a)), shoal_on_fd(pair[0]) };
	for (size_t count = 1; count <= 2; count++) {
		int before = ticks;
		int64_t start = now_ns();
		setitimer(ITIMER_REAL, &often, NULL);
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_MS(150)), 0);
		setitimer(ITIMER_REAL, &never, NULL);
		REQUIRE(now_ns() - start >= 150000000);
		REQUIRE(ticks > before);
	}
	close(pair[0]);
	close(pair[1]);
	arena_end(a);
}

/* ---- bad input ---- */

/* The sentence names the item, and nothing was changed. */
static void
refused(shoal_waitable bad, int code)
{
	shoal_waitable on[3] = { shoal_on_fd(0), shoal_on_fd(0), bad };
	for (int i = 0; i < 3; i++)
		on[i].ready = 5;
	REQUIRE_EQ(shoal_wait(on, 3, SHOAL_FOREVER), code);
	REQUIRE(strstr(shoal_error(), "item 2 of 3") != NULL);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(on[i].ready, 5);
}

static int
foreign_handle(void *arg)
{
	refused(*(shoal_waitable *)arg, -EPERM);
	return 0;
}

static int
own_end(void *arg)
{
	struct talk *t = arg;
	char c;
	REQUIRE_EQ(shoal_pipe_recv(t->left, &c, 1, 0), -EAGAIN);
	return sleep_long(NULL);
}

Test(wait_any_end, bad_handles_are_named_and_change_nothing)
{
	shoal_arena *a = arena_make();
	shoal_queue *q = queue_make(a);
	static const shoal_pipe_options simplex = { .flags = SHOAL_PIPE_SIMPLEX };
	struct talk t;
	shoal_process *p, *new;
	uint64_t memory[64] = { 0 };
	REQUIRE_EQ(shoal_pipe_create(a, NULL, &simplex, &t.left, &t.right), 0);
	refused((shoal_waitable){ .kind = 0, .on.object = q }, -EINVAL);
	refused((shoal_waitable){ .kind = 7, .on.object = q }, -EINVAL);
	refused((shoal_waitable){ .kind = UINT32_MAX, .on.object = q }, -EINVAL);
	for (uint32_t kind = 1; kind <= 5; kind++)
		refused((shoal_waitable){ .kind = kind }, -EINVAL);
	refused(shoal_on_queue((void *)memory), -EINVAL);
	refused(shoal_on_pipe((void *)memory), -EINVAL);
	refused(shoal_on_queue((void *)t.left), -EPROTO);
	refused(shoal_on_pipe((void *)q), -EPROTO);
	refused(shoal_on_pipe(t.right), -EPERM);
	refused(shoal_on_event((void *)((char *)memory + 1)), -EINVAL);
	refused(shoal_on_fd(-1), -EBADF);
	refused(shoal_on_fd(1 << 20), -EBADF);
	REQUIRE_EQ(shoal_process_create(give_back, NULL, NULL, &new), 0);
	refused(shoal_on_process(new), -ECHILD);
	refused(shoal_on_process(shoal_process_current()), -ECHILD);
	p = spawned(sleep_long, NULL, NULL);
	shoal_waitable its = shoal_on_process(p);
	expect_child(child(foreign_handle, &its), 0, 5000);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	REQUIRE_EQ(shoal_process_close(new), 0);
	pid_t owner = child(own_end, &t);
	shoal_pipe_info info = { 0 };
	for (int i = 0; i < 5000 && info.left_owner != owner; i++) {
		sleep_ms(1);
		REQUIRE_EQ(shoal_pipe_stat(t.left, &info), 0);
	}
	refused(shoal_on_pipe(t.left), -EBUSY);
	kill(owner, SIGKILL);
	expect_killed(owner, SIGKILL, 5000);
	REQUIRE_EQ(shoal_wait(NULL, 1, 0), -EINVAL);
	arena_end(a);
}

/* It could say that it waits in no word of such an arena. */
Test(wait_any_end, nobody_waits_for_an_event_of_a_read_only_arena)
{
	char name[64];
	shoal_arena *a, *readonly;
	shoal_event *named, *plain;
	snprintf(name, sizeof name, "wait-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &a), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &readonly), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(shoal_event_create(a, "e", &named), 0);
	plain = shoal_new(a, sizeof *plain);
	shoal_event *seen = shoal_deref(readonly, shoal_ref_of(a, named));
	shoal_event *also = shoal_deref(readonly, shoal_ref_of(a, plain));
	REQUIRE(seen && also);
	refused(shoal_on_event(seen), -EPERM);
	refused(shoal_on_event(also), -EPERM);
	REQUIRE_EQ(shoal_event_wait(seen, SHOAL_MS(5)), -EPERM);
	shoal_arena_close(readonly);
	arena_end(a);
}

static shoal_queue *handlers_queue;
static int handlers_code;

static void
wait_in_handler(int signo)
{
	shoal_waitable on[] = { shoal_on_queue(handlers_queue) };
	int kept = errno;
	handlers_code = shoal_wait(on, 1, SHOAL_SEC(5));
	errno = kept;
	(void)signo;
}

/* One asleep in shoal_wait is in no call on the objects: a handler may use them. */
Test(wait_any_end, a_handler_that_interrupts_it_may_wait_too)
{
	shoal_arena *a = arena_make();
	handlers_queue = queue_make(a);
	struct sigaction action = { .sa_handler = wait_in_handler };
	struct itimerval once = { { 0, 0 }, { 0, 30000 } };
	sigaction(SIGALRM, &action, NULL);
	struct sleep_for late = { handlers_queue, 100 };
	pid_t pid = child(put_late, &late);
	shoal_waitable on[] = { shoal_on_queue(handlers_queue) };
	setitimer(ITIMER_REAL, &once, NULL);
	REQUIRE_EQ(shoal_wait(on, 1, SHOAL_SEC(5)), 1);
	REQUIRE_EQ(handlers_code, 1);
	expect_child(pid, 0, 5000);
	arena_end(a);
}
