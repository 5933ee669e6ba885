/*
 * A thread is in its first call on a queue or pipe, while that is destroyed, and one of another
 * shape comes to lie there: what the thread knows then is never of the two. And memory that is free
 * says that it is no queue or pipe any more.
 */
#include "base/kernel.h"
#include "ring/kinds.h"
#include "ring/pipe.h"
#include "ring/poller.h"
#include "ring/queue.h"
#include "ruin.h"
#include <shoal/shoal.h>
#include <errno.h>
#include <string.h>

#if HAS_STEPS

#define PUTS 2

/* The same for both: `next` is of the other shape. */
struct kind {
	void *(*make)(const char *name, bool next);
	void *(*open)(const char *name);
	void (*destroy)(void *);
	int (*put)(void *, const char *text);
	ssize_t (*get)(void *, char *text, size_t room);
	int (*fd)(void *);
	const struct kind_ops *ops;
	bool (*says_that_it_is_over)(const void *);
};

/* What the child's first call gave, and those after it. */
struct later {
	volatile int first, rc[PUTS];
};

static const struct kind *kind;
static shoal_arena *arena;
static void *first, *other;
static struct later *later;
static const char *const texts[PUTS] = { "1", "2" };

/* ---- queues ---- */

static void *
make_queue(const char *name, bool next)
{
	shoal_queue *q;
	shoal_queue_options o = { .capacity = next ? 2 : 4, .slot_bytes = next ? 112 : 0 };
	REQUIRE_EQ(shoal_queue_create(arena, name, &o, &q), 0);
	return q;
}

static void *
open_queue(const char *name)
{
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_open(arena, name, 0, &q), 0);
	return q;
}

static void
destroy_queue(void *q)
{
	REQUIRE_EQ(shoal_queue_destroy(arena, q), 0);
}

static int
put(void *q, const char *text)
{
	return shoal_queue_put(q, text, 2, 0);
}

static ssize_t
get(void *q, char *text, size_t room)
{
	return shoal_queue_get(q, text, room, 0);
}

static int
queue_fd(void *q)
{
	return shoal_queue_fd(q);
}

static bool
queue_is_over(const void *q)
{
	return load_relaxed(&((const struct shoal_queue *)q)->closing) == QUEUE_DESTROYED;
}

static const struct kind queues = { make_queue, open_queue, destroy_queue, put, get, queue_fd,
	                            &queue_kind, queue_is_over };

/* ---- pipes: from the right to the left end, where the pipe begins ---- */

static void *
make_pipe(const char *name, bool next)
{
	shoal_pipe_end *left;
	shoal_pipe_options o = { .ring_bytes = next ? 32768 : 65536 };
	REQUIRE_EQ(shoal_pipe_create(arena, name, &o, &left, NULL), 0);
	return left;
}

static void *
open_pipe(const char *name)
{
	shoal_pipe_end *right;
	REQUIRE_EQ(shoal_pipe_open(arena, name, SHOAL_RIGHT, 0, &right), 0);
	return right - 1;
}

static void
destroy_pipe(void *left)
{
	REQUIRE_EQ(shoal_pipe_destroy(arena, left), 0);
}

static int
send(void *left, const char *text)
{
	return shoal_pipe_send((shoal_pipe_end *)left + 1, text, 2, 0);
}

static ssize_t
recv(void *left, char *text, size_t room)
{
	return shoal_pipe_recv(left, text, room, 0);
}

static int
pipe_fd(void *left)
{
	return shoal_pipe_fd(left);
}

static bool
pipe_is_over(const void *left)
{
	const struct pipe *p = left;
	return load_relaxed(&p->end[0].owner) & load_relaxed(&p->end[1].owner) & OWNER_CLOSED;
}

static const struct kind pipes = { make_pipe, open_pipe, destroy_pipe, send, recv, pipe_fd,
	                           &pipe_kind, pipe_is_over };

/* ---- one stop ---- */

static void
first_put(void *unused)
{
	(void)unused;
	later->first = kind->put(first, "0");
}

/* Not the thread's first call of all: that is long. */
static int
use_first_and_next(void *unused)
{
	(void)unused;
	REQUIRE_EQ(kind->put(other, "other"), 0);
	in_steps_while_destroyed(first_put);
	void *next = kind->open("next");
	for (int i = 0; i < PUTS; i++)
		later->rc[i] = kind->put(next, texts[i]);
	shoal_arena_close(arena);
	return 0;
}

/* There, if that is to be had; those that lie elsewhere stay until then. */
static void *
make_next_there(void)
{
	static void *elsewhere[20];
	void *next = kind->make("next", true);
	int n = 0;
	while (next != first && n < 20) {
		kind->destroy(next);
		elsewhere[n++] = kind->make(NULL, true);
		next = kind->make("next", true);
	}
	while (n)
		kind->destroy(elsewhere[--n]);
	return next;
}

/* What was put in time is there, and nothing else, but what the first call may have put. */
static void
expect_all_there(void *next)
{
	char text[8] = "";
	ssize_t n = kind->get(next, text, sizeof text);
	if (n == 2 && strcmp(text, "0") == 0)
		n = kind->get(next, text, sizeof text);
	for (int i = 0; i < PUTS; i++) {
		if (later->rc[i])
			continue;
		if (n != 2 || strcmp(text, texts[i]) != 0)
			test_fail(__FILE__, __LINE__, "held before instruction %u: '%s' is lost (%zd)", at,
			          texts[i], n);
		n = kind->get(next, text, sizeof text);
	}
	REQUIRE(n == -EAGAIN || n == -EPIPE);
}

/* True: the next one came to lie there. */
static bool
reuse_once(void)
{
	other = kind->make(NULL, false);
	first = kind->make(NULL, false);
	next_step(0);
	pid_t pid = child(use_first_and_next, NULL);
	REQUIRE(reaches(1, pid));
	kind->destroy(first);
	void *next = make_next_there();
	bool there = next == first;
	next_step(2);
	expect_child(pid, 0, 5000);
	if (later->first && later->first != -EPIPE)
		test_fail(__FILE__, __LINE__, "held before instruction %u: %d", at, later->first);
	expect_all_there(next);
	kind->destroy(next);
	kind->destroy(other);
	return there;
}

static void
reuse_in(const struct kind *of)
{
	shoal_arena_options o = { .limit_bytes = 1 << 23, .members_max = 8 };
	uint32_t used = 0;
	kind = of;
	later = shared(sizeof *later);
	progress = shared(sizeof *progress);
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &arena), 0);
	at = UINT32_MAX;
	reuse_once();
	uint32_t stride = progress->all / (10 * TIMES) + 1;
	for (at = 0, progress->more = true; progress->more; at += stride)
		used += reuse_once();
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
	REQUIRE(used > TIMES);
}

Test(queue_reuse, a_first_put_knows_one_queue, .timeout = 2 * HARNESS_TIMEOUT)
{
	reuse_in(&queues);
}

Test(pipe_reuse, a_first_send_knows_one_pipe, .timeout = 2 * HARNESS_TIMEOUT)
{
	reuse_in(&pipes);
}

/* ---- one who asks for a descriptor ---- */

static void
fd_op(void *unused)
{
	(void)unused;
	(void)kind->fd(first);
}

static int
ask_while_destroyed(void *unused)
{
	REQUIRE_EQ(kind->put(other, "other"), 0);
	REQUIRE(steps_into_call(fd_op, unused, (void (*)(void))poller_fd, let_it_be_destroyed));
	shoal_arena_close(arena);
	return 0;
}

/* Somebody's memory that has a part of it, if that is to be had. */
static unsigned char *
take_its_memory(size_t bytes)
{
	void *p;
	for (int i = 0; i < 100 && shoal_alloc(arena, bytes, &p) == 0; i++)
		if ((uintptr_t)p < (uintptr_t)first + bytes && (uintptr_t)first < (uintptr_t)p + bytes)
			return p;
	return NULL;
}

static void
nothing_is_written_by_who_asks(const struct kind *of)
{
	kind = of;
	progress = shared(sizeof *progress);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	other = kind->make(NULL, false);
	first = kind->make(NULL, false);
	size_t bytes = block_bytes(arena, arena_offset(arena, first));
	pid_t pid = child(ask_while_destroyed, NULL);
	REQUIRE(reaches(1, pid));
	kind->destroy(first);
	unsigned char *taken = take_its_memory(bytes);
	if (taken)
		memset(taken, 'A', bytes);
	next_step(2);
	expect_child(pid, 0, 5000);
	for (size_t i = 0; taken && i < bytes; i++)
		REQUIRE_EQ(taken[i], 'A');
	shoal_arena_close(arena);
}

Test(queue_reuse, who_asks_for_its_descriptor_writes_to_no_other_memory)
{
	nothing_is_written_by_who_asks(&queues);
}

Test(pipe_reuse, who_asks_for_its_descriptor_writes_to_no_other_memory)
{
	nothing_is_written_by_who_asks(&pipes);
}

/* ---- a destroyer that dies before it says so ---- */

static void
die(void)
{
	raise(SIGKILL);
}

static void
destroy_op(void *unused)
{
	(void)unused;
	kind->destroy(first);
}

static int
destroy_and_die(void *unused)
{
	REQUIRE_EQ(kind->put(other, "other"), 0);
	(void)steps_into_call(destroy_op, unused, (void (*)(void))kind->ops->shut, die);
	return 0;
}

static void
bury_after(const struct kind *of)
{
	shoal_arena_info info;
	kind = of;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	other = kind->make(NULL, false);
	first = kind->make(NULL, false);
	expect_killed(child(destroy_and_die, NULL), SIGKILL, 5000);
	REQUIRE(!kind->says_that_it_is_over(first));
	REQUIRE_EQ(shoal_arena_recover(arena), 1);
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	REQUIRE_EQ(info.objects, 1);
	REQUIRE(kind->says_that_it_is_over(first));
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
}

Test(queue_reuse, what_a_dead_destroyer_left_is_told_and_buried)
{
	bury_after(&queues);
}

Test(pipe_reuse, what_a_dead_destroyer_left_is_told_and_buried)
{
	bury_after(&pipes);
}

/* ---- the barrier, before which nobody may bury ---- */

static void
recover_op(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_arena_recover(arena), 1);
}

static uint32_t dying, barriers;

/* One between what is told and the burial, which the steps go on to. */
static void
count_barrier(void)
{
	enum object_state state = object_state(load_acquire(&arena_object(arena, dying)->word));
	barriers += state == OBJECT_DYING && kind->says_that_it_is_over(first);
	steps.on = true;
}

/* The quick way into a pipe's call asks nothing but what is told there. */
Test(pipe_reuse, a_barrier_passes_after_what_a_dead_destroyer_left_is_told)
{
	kind = &pipes;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	other = kind->make(NULL, false);
	first = kind->make(NULL, false);
	dying = ((const struct pipe *)first)->object;
	expect_killed(child(destroy_and_die, NULL), SIGKILL, 5000);
	REQUIRE(!kind->says_that_it_is_over(first));
	(void)steps_into_call(recover_op, NULL, kernel_barrier, count_barrier);
	REQUIRE(kind->says_that_it_is_over(first));
	REQUIRE_EQ(barriers, arena->flags & ARENA_MEMBARRIER ? 1 : 0);
	shoal_arena_close(arena);
}

/* Records that name what is destroyed, which no other member's look passes by. */
static uint32_t
named_by(void)
{
	uint32_t n = 0, object = ((const struct shoal_queue *)first)->object;
	for (uint32_t i = 1; i <= arena->members_max; i++)
		n += load_acquire(&arena_member(arena, i)->making) == object;
	enum object_state state = object_state(load_acquire(&arena_object(arena, object)->word));
	return state == OBJECT_DYING ? n : 0;
}

static uint32_t named;

static void
look(void)
{
	named = named_by();
}

static bool
has_a_barrier(void)
{
	shoal_arena_options o = { .limit_bytes = 1 << 21, .members_max = 8 };
	kind = &queues;
	named = 0;
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &arena), 0);
	other = kind->make(NULL, false);
	first = kind->make(NULL, false);
	return arena->flags & ARENA_MEMBARRIER;
}

static void
nobody_is_named_in_the_end(void)
{
	REQUIRE_EQ(named, 1);
	for (uint32_t i = 1; i <= arena->members_max; i++)
		REQUIRE_EQ(load_acquire(&arena_member(arena, i)->making), 0);
	REQUIRE(kind->says_that_it_is_over(first));
	shoal_arena_close(arena);
}

Test(queue_reuse, a_destroyer_names_it_until_its_barrier_has_passed)
{
	if (has_a_barrier()) {
		REQUIRE(steps_into_call(destroy_op, NULL, kernel_barrier, look));
		nobody_is_named_in_the_end();
	}
}

static int
destroy_and_die_before_the_barrier(void *unused)
{
	REQUIRE_EQ(kind->put(other, "other"), 0);
	(void)steps_into_call(destroy_op, unused, kernel_barrier, die);
	return 0;
}

Test(queue_reuse, a_dead_destroyers_record_does_until_another_barrier_has_passed)
{
	if (has_a_barrier()) {
		expect_killed(child(destroy_and_die_before_the_barrier, NULL), SIGKILL, 5000);
		REQUIRE(steps_into_call(recover_op, NULL, kernel_barrier, look));
		nobody_is_named_in_the_end();
	}
}

#endif
