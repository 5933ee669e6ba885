/* A queue's descriptors. */
#include "base/kernel.h"
#include "queue_common.h"
#include "ring/queue.h"
#include "steps.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

static bool
is_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, timeout_ms) == 1;
}

static void
drain(shoal_queue *q)
{
	char got[64];
	ssize_t n;
	while ((n = shoal_queue_get(q, got, sizeof got, 0)) >= 0)
		;
	REQUIRE_EQ(n, -EAGAIN);
}

Test(queue_fd, is_readable_while_a_get_would_not_wait)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(shoal_queue_fd(w.queue), fd);
	REQUIRE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (int round = 0; round < 3; round++) {
		REQUIRE(!is_readable(fd, 20));
		put_text(w.queue, "a");
		put_text(w.queue, "b");
		REQUIRE(is_readable(fd, 5000));
		get_text(w.queue, "a");
		REQUIRE(is_readable(fd, 5000));
		drain(w.queue);
	}
	shoal_queue_close(w.queue);
	REQUIRE(is_readable(fd, 5000));
	world_end(w);
}

Test(queue_fd, tells_of_room)
{
	struct world w = world_make(2, 0, 0);
	int fd = shoal_queue_room_fd(w.queue);
	REQUIRE(fd >= 0);
	REQUIRE(is_readable(fd, 5000));
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_put(w.queue, "c", 2, 0), -EAGAIN);
	REQUIRE(!is_readable(fd, 20));
	get_text(w.queue, "a");
	REQUIRE(is_readable(fd, 5000));
	get_text(w.queue, "b");
	world_end(w);
}

static int
put_later(void *arg)
{
	struct world *w = arg;
	sleep_ms(50);
	return -shoal_queue_put(w->queue, "from a child", 13, SHOAL_SEC(5));
}

/* A taker that sleeps and a poller do not swallow each other's wake. */
Test(queue_fd, works_for_every_process_and_beside_sleeping_getters)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	for (int i = 0; i < 3; i++) {
		pid_t pid = child(put_later, &w);
		REQUIRE(is_readable(fd, 5000));
		get_text(w.queue, "from a child");
		drain(w.queue);
		expect_child(pid, 0, 5000);
		pid = child(put_later, &w);
		get_text(w.queue, "from a child");
		expect_child(pid, 0, 5000);
		drain(w.queue);
	}
	world_end(w);
}

static int
poll_in_child(void *arg)
{
	struct world *w = arg;
	int fd = shoal_queue_fd(w->queue);
	REQUIRE(fd >= 0);
	REQUIRE(is_readable(fd, 5000));
	get_text(w->queue, "for the child");
	return 0;
}

Test(queue_fd, is_made_anew_after_fork)
{
	struct world w = world_make(4, 0, 0);
	REQUIRE(shoal_queue_fd(w.queue) >= 0);
	pid_t pid = child(poll_in_child, &w);
	sleep_ms(20);
	put_text(w.queue, "for the child");
	expect_child(pid, 0, 5000);
	world_end(w);
}

static int
die_writing(void *arg)
{
	struct world *w = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(w->queue, 0, &loan), 0);
	raise(SIGKILL);
	return 0;
}

/* What a dead one holds does not keep the descriptor silent. */
Test(queue_fd, tells_of_a_message_that_comes_back_from_the_dead)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	put_text(w.queue, "again");
	pid_t pid = child(die_writing, &w);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	int fd = shoal_queue_fd(w.queue);
	REQUIRE(is_readable(fd, 5000));
	get_text(w.queue, "again");
	drain(w.queue);
	world_end(w);
}

/* ---- the ways of asking ---- */

static int
ask_epoll(int fd, int ms)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	REQUIRE_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	int n = epoll_wait(ep, &e, 1, ms);
	close(ep);
	return n;
}

static int
ask_select(int fd, int ms)
{
	fd_set set;
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &t);
}

/* Nothing interrupts the call that waits: the wake comes from outside, and is no signal. */
Test(queue_fd, epoll_and_select_are_told_and_not_interrupted)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	for (int i = 0; i < 6; i++) {
		int (*ask)(int, int) = i & 1 ? ask_epoll : ask_select;
		REQUIRE_EQ(ask(fd, 10), 0);
		pid_t pid = child(put_later, &w);
		REQUIRE_EQ(ask(fd, 5000), 1);
		REQUIRE_EQ(ask(fd, 0), 1);
		get_text(w.queue, "from a child");
		drain(w.queue);
		expect_child(pid, 0, 5000);
	}
	world_end(w);
}

/* ---- nobody runs while all is idle ---- */

static int
threads(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	REQUIRE(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int
be_idle(void *arg)
{
	struct world *w = arg;
	struct rusage before, after;
	int alone = threads(), fd = shoal_queue_fd(w->queue);
	drain(w->queue);
	sleep_ms(20);
	getrusage(RUSAGE_SELF, &before);
	REQUIRE(!is_readable(fd, 500));
	getrusage(RUSAGE_SELF, &after);
	REQUIRE_EQ(threads(), alone);
	REQUIRE(after.ru_nvcsw - before.ru_nvcsw < 10);
	return 0;
}

static bool
by_ring(void)
{
	return kernel_has(KERNEL_URING) && kernel_has(KERNEL_PENDING_RULE);
}

Test(queue_fd, nobody_runs_while_all_is_idle)
{
	struct world w = world_make(4, 0, 0);
	if (by_ring())
		expect_child(child(be_idle, &w), 0, 5000);
	world_end(w);
}

/* ---- deaths ---- */

/* As one is left that dies between its message and the wake. */
static int
die_before_the_wake(void *arg)
{
	struct world *w = arg;
	shoal_queue *q = w->queue;
	struct gates armed = { { load_relaxed(&q->get.wait) }, { load_relaxed(&q->get.poll) } };
	store_relaxed(&q->get.wait, 0);
	store_relaxed(&q->get.poll, 0);
	put_text(q, "its last");
	store_relaxed(&q->get.wait, load_relaxed(&armed.wait));
	store_relaxed(&q->get.poll, load_relaxed(&armed.poll));
	robust_pending_set(thread_self(), &q->get.wait);
	return raise(SIGKILL);
}

Test(queue_fd, tells_of_a_message_whose_putter_died_before_its_wake)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	for (int i = 0; i < 3; i++) {
		drain(w.queue);
		REQUIRE(!is_readable(fd, 20));
		pid_t pid = child(die_before_the_wake, &w);
		REQUIRE(is_readable(fd, 5000));
		expect_killed(pid, SIGKILL, 5000);
		get_text(w.queue, "its last");
	}
	drain(w.queue);
	world_end(w);
}

struct borrower {
	struct world w;
	word32 has, may_die;
};

static void
wait_for(word32 *flag)
{
	while (!load_acquire(flag))
		sleep_ms(1);
}

static int
borrow_and_die(void *arg)
{
	struct borrower *b = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(b->w.queue, SHOAL_SEC(5), &loan), 0);
	store_release(&b->has, 1);
	wait_for(&b->may_die);
	return raise(SIGKILL);
}

static void
let_it_die(struct borrower *b, pid_t pid, int fd)
{
	REQUIRE(!is_readable(fd, 10));
	store_release(&b->may_die, 1);
	REQUIRE(is_readable(fd, 5000));
	expect_killed(pid, SIGKILL, 5000);
}

/* No gate tells of a borrower's death, which gives its place back, or its message. */
Test(queue_fd, tells_of_the_place_that_a_dead_borrower_gives_back)
{
	struct borrower *b = shared(sizeof *b);
	b->w = world_make(2, 0, 0);
	int fd = shoal_queue_room_fd(b->w.queue);
	put_text(b->w.queue, "a");
	put_text(b->w.queue, "b");
	pid_t pid = child(borrow_and_die, b);
	wait_for(&b->has);
	REQUIRE_EQ(shoal_queue_put(b->w.queue, "c", 2, 0), -EAGAIN);
	let_it_die(b, pid, fd);
	put_text(b->w.queue, "c");
	get_text(b->w.queue, "b");
	get_text(b->w.queue, "c");
	world_end(b->w);
}

Test(queue_fd, tells_of_the_message_that_a_dead_borrower_gives_back)
{
	struct borrower *b = shared(sizeof *b);
	b->w = world_make(2, 0, SHOAL_QUEUE_REDELIVER);
	int fd = shoal_queue_fd(b->w.queue);
	put_text(b->w.queue, "a");
	pid_t pid = child(borrow_and_die, b);
	wait_for(&b->has);
	drain(b->w.queue);
	let_it_die(b, pid, fd);
	get_text(b->w.queue, "a");
	world_end(b->w);
}

/* ---- threads and forks ---- */

struct turns {
	struct world w;
	int fd;
};

static void *
take_a_turn(void *arg)
{
	struct turns *t = arg;
	drain(t->w.queue);
	REQUIRE(!is_readable(t->fd, 0));
	return NULL;
}

/* Who rearms it may be any thread, and end before it is told. */
Test(queue_fd, threads_rearm_it_by_turns)
{
	struct turns t = { .w = world_make(4, 0, 0) };
	t.fd = shoal_queue_fd(t.w.queue);
	for (int i = 0; i < 40; i++) {
		pthread_t thread;
		REQUIRE_EQ(pthread_create(&thread, NULL, take_a_turn, &t), 0);
		pthread_join(thread, NULL);
		if (i & 1)
			take_a_turn(&t);
		put_text(t.w.queue, "again");
		REQUIRE(is_readable(t.fd, 5000));
		get_text(t.w.queue, "again");
	}
	sleep_ms(20);
	world_end(t.w);
}

struct crowd {
	struct world w;
	int fd;
	word32 taken, stop;
};

static void *
poll_and_take(void *arg)
{
	struct crowd *c = arg;
	char got[16];
	while (!load_relaxed(&c->stop)) {
		if (!is_readable(c->fd, 1000))
			continue;
		while (shoal_queue_get(c->w.queue, got, sizeof got, 0) >= 0)
			fetch_add_relaxed(&c->taken, 1);
	}
	return NULL;
}

/* More threads than have rings: each message is told, whoever takes it. */
Test(queue_fd, many_threads_poll_one)
{
	enum { THREADS = 12, MESSAGES = 300 };
	struct crowd c = { .w = world_make(4, 0, 0) };
	pthread_t thread[THREADS];
	c.fd = shoal_queue_fd(c.w.queue);
	for (int i = 0; i < THREADS; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, poll_and_take, &c), 0);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		put_text(c.w.queue, "one");
		for (int64_t end = now_ns() + INT64_C(5000000000); load_relaxed(&c.taken) <= i;)
			REQUIRE(now_ns() < end);
	}
	store_relaxed(&c.stop, 1);
	put_text(c.w.queue, "end");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	char got[16];
	(void)!shoal_queue_get(c.w.queue, got, sizeof got, 0);
	world_end(c.w);
}

/* As the kernel counts them. */
static int
eventfd_id(int fd)
{
	char path[40], line[80];
	int id = -1;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "eventfd-id: %d", &id);
	if (f)
		fclose(f);
	REQUIRE(id >= 0);
	return id;
}

Test(queue_fd, is_made_anew_after_a_fork_that_tells_nobody, .disabled = NOT_SEEN_BY_TSAN)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	REQUIRE(fd >= 0);
	int parents = eventfd_id(fd);
	pid_t pid = _Fork();
	if (pid == 0) {
		REQUIRE(eventfd_id(shoal_queue_fd(w.queue)) != parents);
		_exit(poll_in_child(&w));
	}
	sleep_ms(20);
	put_text(w.queue, "for the child");
	expect_child(pid, 0, 5000);
	drain(w.queue);
	put_text(w.queue, "for the parent");
	REQUIRE(is_readable(fd, 5000));
	get_text(w.queue, "for the parent");
	world_end(w);
}

/* ---- many ---- */

/* More than one sleep of a helper thread watches. */
Test(queue_fd, many_in_one_process)
{
	enum { QUEUES = 150 };
	struct world w = world_make(4, 0, 0);
	shoal_queue_options o = { .capacity = 2 };
	shoal_queue *q[QUEUES];
	int fd[QUEUES];
	for (int i = 0; i < QUEUES; i++) {
		REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &q[i]), 0);
		fd[i] = shoal_queue_fd(q[i]);
		REQUIRE(fd[i] >= 0);
	}
	for (int i = 0; i < QUEUES; i += 7) {
		put_text(q[i], "x");
		REQUIRE(is_readable(fd[i], 5000));
		REQUIRE(!is_readable(fd[(i + 1) % QUEUES], 0));
		get_text(q[i], "x");
	}
	for (int i = 0; i < QUEUES; i++)
		REQUIRE_EQ(shoal_queue_destroy(w.arena, q[i]), 0);
	world_end(w);
}

static int
destroy_queue(void *world)
{
	const struct world *w = world;
	return shoal_queue_destroy(w->arena, w->queue) != 0;
}

/* The one of the queue that was there before, which another process destroyed, is not taken. */
Test(queue_fd, of_a_queue_where_another_one_was)
{
	enum { MOST = 100 };
	struct world w = world_make(4, 0, 0);
	shoal_queue *was = w.queue, *made[MOST];
	int n = 0;
	REQUIRE(shoal_queue_fd(was) >= 0);
	expect_child(child(destroy_queue, &w), 0, 5000);
	do
		REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &(shoal_queue_options){ .capacity = 4 },
		                              &made[n++]), 0);
	while (made[n - 1] != was && n < MOST);
	REQUIRE(made[n - 1] == was);
	int fd = shoal_queue_fd(was);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(load_relaxed(&was->polled), getpid());
	REQUIRE_EQ(shoal_queue_fd(was), fd);
	put_text(was, "a");
	REQUIRE(is_readable(fd, 5000));
	w.queue = was;
	while (--n > 0)
		REQUIRE_EQ(shoal_queue_destroy(w.arena, made[n - 1]), 0);
	world_end(w);
}

#if HAS_STEPS

/* ---- two threads of a child ---- */

static struct {
	shoal_queue *one, *other;
	int fd, others_fd;
	volatile int done;
} first;

static void *
ask_too(void *unused)
{
	first.others_fd = shoal_queue_fd(first.other);
	first.done = 1;
	return unused;
}

static void
let_another_ask(void)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, ask_too, NULL), 0);
	/* It may wait for this one. */
	for (int i = 0; i < 100 && !first.done; i++)
		sleep_ms(1);
}

static void
ask(void *unused)
{
	(void)unused;
	first.fd = shoal_queue_fd(first.one);
}

static int
ask_in_two_threads(void *unused)
{
	(void)unused;
	REQUIRE(steps_into_call(ask, NULL, (void (*)(void))pthread_mutex_init, let_another_ask));
	for (int i = 0; i < 5000 && !first.done; i++)
		sleep_ms(1);
	REQUIRE(first.done && first.fd >= 0 && first.others_fd >= 0);
	REQUIRE(first.fd != first.others_fd);
	REQUIRE_EQ(shoal_queue_fd(first.other), first.others_fd);
	put_text(first.other, "a");
	REQUIRE(is_readable(first.others_fd, 5000));
	REQUIRE(!is_readable(first.fd, 0));
	get_text(first.other, "a");
	return 0;
}

/* What the one has is not taken for the parent's by the other, who looks for that first. */
Test(queue_fd, two_threads_of_a_child_each_have_their_own)
{
	struct world w = world_make(4, 0, 0);
	first.one = w.queue;
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &first.other), 0);
	expect_child(child(ask_in_two_threads, NULL), 0, 10000);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, first.other), 0);
	world_end(w);
}

static void
ask_anew(void *queue)
{
	int fd = shoal_queue_fd(queue);
	REQUIRE(fd >= 0);
}

static int
fork_in_each_place(void *q)
{
	uint32_t n = 0;
	while (steps_into(ask_anew, q, n, steps_fork))
		n += 5 * STEPS_STRIDE;
	REQUIRE(n > 20);
	return 0;
}

Test(queue_fd, a_handler_may_fork_while_it_is_asked_for)
{
	struct world w = world_make(4, 0, 0);
	expect_child(child(fork_in_each_place, w.queue), 0, 10000);
	world_end(w);
}

#endif
