/* Closing a queue in handlers, whatever they interrupted, and while another one destroys it. */
#include "queue_common.h"
#include "ring/queue.h"
#include "ruin.h"
#include <pthread.h>

#if HAS_STEPS

static struct world w;

static void
close_it(void)
{
	shoal_queue_close(w.queue);
}

static void
make_another(void)
{
	shoal_queue_options o = { .capacity = 4 };
	if (w.queue)
		REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &w.queue), 0);
}

static void
close_once(int (*run)(void *))
{
	make_another();
	expect_child(child(run, NULL), 0, 5000);
	REQUIRE_EQ(shoal_queue_put(w.queue, "x", 2, 0), -EPIPE);
}

/* A handler closes a new queue in a new process. */
static void
close_at_each_instruction(int (*run)(void *))
{
	progress = shared(sizeof *progress);
	w = world_make(4, 0, 0);
	at = UINT32_MAX;
	close_once(run);
	uint32_t stride = progress->all / TIMES + 1;
	for (at = 0, progress->more = true; progress->more; at = steps_last() + stride)
		close_once(run);
	REQUIRE(at > 20);
	world_end(w);
}

static void *
stay(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Not its first call: what that begins of the thread is begun with signals blocked. */
static void
warm(void)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, stay, NULL), 0);
	REQUIRE(shoal_thread_self());
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
}

static void
allocate(void *unused)
{
	void *volatile memory = malloc(3000);
	(void)unused;
	free(memory);
}

static int
close_in_malloc(void *unused)
{
	(void)unused;
	warm();
	in_steps(allocate, NULL, close_it);
	close_it();
	shoal_arena_close(w.arena);
	return 0;
}

Test(queue_close, a_handler_does_it_inside_malloc)
{
	close_at_each_instruction(close_in_malloc);
}

static int put_rc;

static void
put(void *unused)
{
	(void)unused;
	put_rc = shoal_queue_put(w.queue, "x", 2, 0);
}

static int
close_in_the_first_call(void *unused)
{
	(void)unused;
	warm();
	in_steps(put, NULL, close_it);
	close_it();
	shoal_arena_close(w.arena);
	return put_rc != 0 && put_rc != -EPIPE;
}

Test(queue_close, a_handler_does_it_inside_its_threads_first_call,
     .timeout = 2 * HARNESS_TIMEOUT)
{
	close_at_each_instruction(close_in_the_first_call);
}

/* ---- while another one destroys it ---- */

struct ruin {
	void (*op)(void *);
	bool seated, busy;
	bool message;       /* there is one */
	bool intact;        /* who has the memory then writes what it said, and that it is open */
	unsigned char fill; /* else what it has then */
};

static struct ruin *ruin;

static void
close_op(void *unused)
{
	(void)unused;
	close_it();
}

static int
use_and_let_it_be_destroyed(void *unused)
{
	(void)unused;
	REQUIRE(shoal_thread_self());
	REQUIRE_EQ(shoal_queue_size(w.queue), ruin->message);
	if (ruin->seated)
		REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), ruin->message ? 2 : -EAGAIN);
	thread_here->busy = ruin->busy;
	in_steps_while_destroyed(ruin->op);
	thread_here->busy = 0;
	shoal_arena_close(w.arena);
	return 0;
}

/* Takes memory of that size until it has the queue's, if that is to be had. */
static unsigned char *
take_its_memory(size_t bytes, const void *its)
{
	static void *other[64];
	void *memory = NULL;
	int n = 0;
	while (n < 64 && memory != its && shoal_alloc(w.arena, bytes, &memory) == 0)
		other[n++] = memory;
	for (int i = 0; i < n; i++)
		if (other[i] != its)
			shoal_free(w.arena, other[i]);
	return memory == its ? memory : NULL;
}

static void
overwrite(unsigned char *memory, const unsigned char *said, size_t bytes)
{
	if (!ruin->intact) {
		memset(memory, ruin->fill, bytes);
		return;
	}
	memcpy(memory, said, bytes);
	store_relaxed(&((struct shoal_queue *)(void *)memory)->closing, QUEUE_OPEN);
}

/* True: the memory was to be had, and is as it was left, whatever the child did then. */
static bool
use_its_memory(pid_t pid, size_t bytes)
{
	static unsigned char left[4096];
	void *its = w.queue;
	REQUIRE(reaches(1, pid));
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	w.queue = NULL;
	REQUIRE(bytes <= sizeof left);
	memcpy(left, its, bytes);
	unsigned char *memory = take_its_memory(bytes, its);
	if (memory) {
		overwrite(memory, left, bytes);
		memcpy(left, memory, bytes);
	}
	next_step(2);
	expect_child(pid, 0, 5000);
	for (size_t i = 0; memory && i < bytes; i++)
		if (memory[i] != left[i])
			test_fail(__FILE__, __LINE__, "destroyed before instruction %u, it wrote at %zu",
			          at, i);
	shoal_free(w.arena, memory);
	return memory;
}

static bool
ruin_once(void)
{
	make_another();
	if (ruin->message)
		put_text(w.queue, "m");
	size_t bytes = object_body_bytes(w.arena, w.queue);
	next_step(0);
	return use_its_memory(child(use_and_let_it_be_destroyed, NULL), bytes);
}

static void
make_small(void)
{
	shoal_arena_options o = { .limit_bytes = 1 << 21, .members_max = 8 };
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &w.arena), 0);
}

/* Before each instruction, or, of many, about so many of them at most. */
static void
ruin_in(struct ruin how, uint32_t times)
{
	uint32_t used = 0;
	ruin = shared(sizeof *ruin);
	progress = shared(sizeof *progress);
	*ruin = how;
	make_small();
	at = UINT32_MAX;
	ruin_once();
	uint32_t stride = progress->all / times + STEPS_STRIDE;
	for (at = 0, progress->more = true; progress->more; at = steps_last() + stride)
		used += ruin_once();
	make_another();
	world_end(w);
	REQUIRE(used > 5);
}

Test(queue_close, is_not_at_what_has_its_memory_next, .timeout = 2 * HARNESS_TIMEOUT)
{
	ruin_in((struct ruin){ .op = close_op, .seated = true, .fill = 0x5a }, 3 * TIMES);
}

Test(queue_close, nor_is_one_who_never_joined, .timeout = 2 * HARNESS_TIMEOUT)
{
	ruin_in((struct ruin){ .op = close_op, .fill = 0x5a }, 3 * TIMES);
}

Test(queue_close, nor_is_a_handler_inside_another_call, .timeout = 2 * HARNESS_TIMEOUT)
{
	ruin_in((struct ruin){ .op = close_op, .seated = true, .busy = true, .fill = 0x5a }, 3 * TIMES);
}

static void
put_op(void *unused)
{
	static const char message[1000];
	(void)unused;
	put_rc = shoal_queue_put(w.queue, message, sizeof message, 0);
}

/* All zero it looks like a queue that is open and empty. */
Test(queue_close, nor_is_one_who_puts, .timeout = 2 * HARNESS_TIMEOUT)
{
	ruin_in((struct ruin){ .op = put_op, .seated = true }, UINT32_MAX);
}

/* The thread knows the queue: what it sees of the memory says nothing else. */
static void
nor_by_what_it_knows(void (*op)(void *), bool message)
{
	ruin_in((struct ruin){ .op = op, .seated = true, .message = message, .intact = true }, 250);
}

Test(queue_close, nor_is_one_who_knew_it_and_puts, .timeout = 2 * HARNESS_TIMEOUT)
{
	nor_by_what_it_knows(put, false);
}

Test(queue_close, nor_in_a_block, .timeout = 2 * HARNESS_TIMEOUT)
{
	nor_by_what_it_knows(put_op, false);
}

static void
get_op(void *unused)
{
	char text[8];
	(void)unused;
	put_rc = (int)shoal_queue_get(w.queue, text, sizeof text, 0);
}

Test(queue_close, nor_is_one_who_knew_it_and_gets, .timeout = 2 * HARNESS_TIMEOUT)
{
	nor_by_what_it_knows(get_op, true);
}

static void
borrow_op(void *unused)
{
	shoal_loan loan;
	(void)unused;
	put_rc = shoal_queue_borrow(w.queue, 0, &loan);
}

Test(queue_close, nor_is_one_who_knew_it_and_borrows, .timeout = 2 * HARNESS_TIMEOUT)
{
	nor_by_what_it_knows(borrow_op, true);
}

static int
close_while_destroyed(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), -EAGAIN);
	in_steps_while_destroyed(close_op);
	shoal_arena_close(w.arena);
	return 0;
}

/* What who joins goes by. */
static void
destroy_a_closers(void)
{
	make_another();
	next_step(0);
	pid_t pid = child(close_while_destroyed, NULL);
	REQUIRE(reaches(1, pid));
	const struct shoal_queue *q = w.queue;
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	w.queue = NULL;
	next_step(2);
	expect_child(pid, 0, 5000);
	if (load_acquire(&q->closing) != QUEUE_DESTROYED)
		test_fail(__FILE__, __LINE__, "closed at instruction %u, it was not destroyed", at);
}

Test(queue_close, what_is_destroyed_meanwhile_stays_destroyed, .timeout = 2 * HARNESS_TIMEOUT)
{
	progress = shared(sizeof *progress);
	w = world_make(4, 0, 0);
	at = UINT32_MAX;
	destroy_a_closers();
	for (at = 0, progress->more = true; progress->more; at = steps_last() + 1)
		destroy_a_closers();
	make_another();
	world_end(w);
}

/* ---- who dies at it ---- */

static void
die(void)
{
	raise(SIGKILL);
}

static int
close_and_die(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
	in_steps(close_op, NULL, die);
	return raise(SIGKILL);
}

/* True: it had closed the queue; then it told who sleeps, or left that to its death. */
static bool
die_once(void)
{
	make_another();
	const struct shoal_queue *q = w.queue;
	store_relaxed(&w.queue->get.wait, GATE_ARMED);
	expect_killed(child(close_and_die, NULL), SIGKILL, 5000);
	bool told = load_acquire(&q->get.wait) == 0;
	bool closed = load_acquire(&q->closing) == QUEUE_CLOSED;
	REQUIRE(!closed || told || (bell_read(&q->bell) & FUTEX_DIED));
	return closed && !told;
}

Test(queue_close, who_dies_at_it_leaves_word)
{
	uint32_t left = 0;
	progress = shared(sizeof *progress);
	w = world_make(4, 0, 0);
	at = UINT32_MAX;
	REQUIRE(!die_once());
	uint32_t stride = progress->all / (3 * TIMES) + 1;
	for (at = 0, progress->more = true; progress->more; at = steps_last() + stride)
		left += die_once();
	make_another();
	world_end(w);
	REQUIRE(left > 1);
}

/* In the end no thread of this process is a member, so that a dead one would speak for it. */
static void *
make_owned(void *unused)
{
	shoal_queue_options o = { .capacity = 4, .flags = SHOAL_WITH_OWNER };
	shoal_queue *q;
	w = world_make(4, 0, 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "owned", &o, &q), 0);
	return unused;
}

static int
find_owned(void *unused)
{
	shoal_queue *q;
	(void)unused;
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE_EQ(shoal_queue_open(w.arena, "owned", 0, &q), 0);
	return 0;
}

static void
close_in_a_bare_fork(void)
{
	pid_t pid = _Fork();
	if (pid == 0) {
		in_steps(close_op, NULL, die);
		raise(SIGKILL);
	}
	expect_killed(pid, SIGKILL, 5000);
	expect_child(child(find_owned, NULL), 0, 5000);
}

/* Nobody tells the child of _Fork, whose first call it is. */
Test(queue_close, who_dies_at_it_in_a_child_is_not_its_parent)
{
	pthread_t thread;
	progress = shared(sizeof *progress);
	REQUIRE_EQ(pthread_create(&thread, NULL, make_owned, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	at = UINT32_MAX;
	close_in_a_bare_fork();
	uint32_t stride = progress->all / TIMES + 1;
	for (at = 0, progress->more = true; progress->more; at = steps_last() + stride)
		close_in_a_bare_fork();
	REQUIRE(at > 20);
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_open(w.arena, "owned", 0, &q), 0);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	world_end(w);
}

#endif
