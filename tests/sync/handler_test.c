/* What signal handlers do to the list of what their thread holds, whatever they interrupted. */
#include "base/clock.h"
#include "base/thread.h"
#include "common.h"
#include "lock_calls.h"
#include "steps.h"
#include "sync/bell.h"
#include <shoal/arena.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>

#if HAS_STEPS

struct world {
	shoal_lock lock[2];
	pthread_mutex_t mutex[2];
	struct robust bell;
	shoal_event event;
	shoal_semaphore semaphore;
	bool more;    /* the operation had such an instruction */
	bool inside;  /* and the handler one */
	volatile int64_t got_at;
	uint32_t all; /* how many that has, where it has not so many */
};

static struct world *w;
static uint32_t at, inner;

static void
make(void)
{
	pthread_mutexattr_t attr;
	w = shared(sizeof *w);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(pthread_mutex_init(&w->mutex[i], &attr), 0);
}

static void
ring(void)
{
	struct shoal_thread *t = thread_self();
	if (bell_take(t, &w->bell))
		bell_give(t, &w->bell);
}

/* In a child that dies then. */
static void
at_each_instruction(int (*run)(void *), void (*look)(void))
{
	make();
	w->more = true;
	for (at = 0; w->more; at++) {
		expect_killed(child(run, NULL), SIGKILL, 5000);
		look();
	}
	REQUIRE(at > 10);
}

static int
take_and_die(void *unused)
{
	(void)unused;
	take(&w->lock[0]);
	w->more = steps_into(take, &w->lock[1], at, ring);
	give(&w->lock[0]);
	return raise(SIGKILL);
}

static void
look_at_the_second(void)
{
	must_be_marked(&w->lock[1]);
}

Test(handler, a_lock_that_is_being_taken_is_known_to_be_held)
{
	at_each_instruction(take_and_die, look_at_the_second);
}

static int
give_the_second_and_die(void *unused)
{
	(void)unused;
	take(&w->lock[0]);
	take(&w->lock[1]);
	w->more = steps_into(give, &w->lock[1], at, ring);
	return raise(SIGKILL);
}

static int
give_the_first_and_die(void *unused)
{
	(void)unused;
	take(&w->lock[0]);
	take(&w->lock[1]);
	w->more = steps_into(give, &w->lock[0], at, ring);
	return raise(SIGKILL);
}

static void
look_at_the_first(void)
{
	must_be_marked(&w->lock[0]);
	take(&w->lock[1]);
	give(&w->lock[1]);
}

static void
look_at_both(void)
{
	must_be_marked(&w->lock[1]);
	take(&w->lock[0]);
	give(&w->lock[0]);
}

Test(handler, one_that_is_being_given_back_leaves_the_others_known)
{
	at_each_instruction(give_the_second_and_die, look_at_the_first);
	at_each_instruction(give_the_first_and_die, look_at_both);
}

/* ---- the C library's own ---- */

static void
take_mutex(void *mutex)
{
	REQUIRE_EQ(pthread_mutex_lock(mutex), 0);
}

static int
take_a_mutex_and_die(void *unused)
{
	(void)unused;
	take_mutex(&w->mutex[0]);
	w->more = steps_into(take_mutex, &w->mutex[1], at, ring);
	REQUIRE_EQ(pthread_mutex_unlock(&w->mutex[0]), 0);
	return raise(SIGKILL);
}

static void
look_at_the_second_mutex(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	REQUIRE_EQ(pthread_mutex_timedlock(&w->mutex[1], &until), EOWNERDEAD);
	REQUIRE_EQ(pthread_mutex_consistent(&w->mutex[1]), 0);
	REQUIRE_EQ(pthread_mutex_unlock(&w->mutex[1]), 0);
}

Test(handler, nor_is_a_mutex_of_the_c_library_forgotten)
{
	at_each_instruction(take_a_mutex_and_die, look_at_the_second_mutex);
}

/* ---- who dies in the handler ---- */

static void
end_here(void)
{
	raise(SIGKILL);
}

static void
ring_op(void *unused)
{
	(void)unused;
	ring();
}

static void
set_op(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_event_set(&w->event), 0);
}

static void
release_op(void *unused)
{
	(void)unused;
	(void)shoal_semaphore_release(&w->semaphore);
}

static void (*handler_op)(void *);
static void (*before)(void *); /* what the child does first; or NULL */

/* Where nothing is pending it is as if nothing had been interrupted. */
static void
handle_and_die(void)
{
	bool pending = thread_self()->robust->pending;
	w->inside = pending && steps_into(handler_op, NULL, inner, end_here);
	w->all = pending ? steps.done : 0;
	raise(SIGKILL);
}

static int
take_and_die_inside(void *unused)
{
	(void)unused;
	if (before)
		before(NULL);
	steps_into(take, &w->lock[1], at, handle_and_die);
	w->more = w->inside = false;
	return raise(SIGKILL);
}

static void
look_at_lock_and_bell(void)
{
	struct shoal_thread *t = thread_self();
	int rc = shoal_lock_acquire(&w->lock[1], SHOAL_SEC(1));
	REQUIRE(rc == 0 || rc == -EOWNERDEAD);
	if (rc)
		REQUIRE_EQ(shoal_lock_consistent(&w->lock[1]), 0);
	give(&w->lock[1]);
	REQUIRE(bell_take(t, &w->bell));
	bell_give(t, &w->bell);
}

/* Dies at `inner` of the handler at `at` of the operation; false: the handler has not so many. */
static bool
die_once(void)
{
	w->inside = true;
	expect_killed(child(take_and_die_inside, NULL), SIGKILL, 5000);
	look_at_lock_and_bell();
	return w->inside;
}

/* At some of the handler's, evenly, beginning with another one each time. */
static void
die_in(void (*op)(void *))
{
	uint32_t most = 0;
	make();
	handler_op = op;
	for (at = 0, w->more = true; w->more; at += HARNESS_SLOW) {
		inner = UINT32_MAX;
		die_once();
		uint32_t stride = w->all / 16 + 1;
		for (inner = at % stride; w->all && die_once(); inner += stride)
			most = inner > most ? inner : most;
	}
	REQUIRE(at > 10 && most > 20);
}

Test(handler, who_dies_ringing_a_bell_leaves_the_lock_to_the_next)
{
	die_in(ring_op);
}

Test(handler, who_dies_setting_an_event_does_too)
{
	die_in(set_op);
}

Test(handler, and_who_dies_releasing_a_semaphore)
{
	die_in(release_op);
}

/* ---- in one that was just woken for a word ---- */

static void
take_word(void *word)
{
	REQUIRE_EQ(robust_take(thread_self(), word, clock_deadline(SHOAL_SEC(10))), 0);
}

/* It was held until this one slept. */
static void
die_once_it_is_free(void)
{
	if (load_relaxed(&w->bell.word) != FUTEX_SLEEPERS) {
		steps.on = true;
		return;
	}
	w->inside = steps_into(set_op, NULL, inner, end_here);
	raise(SIGKILL);
}

static int
be_woken_and_die(void *unused)
{
	(void)unused;
	steps_into(take_word, &w->bell, 0, die_once_it_is_free);
	robust_release(thread_self(), &w->bell);
	return raise(SIGKILL);
}

static int
take_it_after_that(void *unused)
{
	(void)unused;
	take_word(&w->bell);
	w->got_at = fair_ns();
	robust_release(thread_self(), &w->bell);
	return 0;
}

/* What the dead one's wake is late for is a slice. */
Test(handler, who_dies_setting_an_event_after_a_wake_keeps_nobody_waiting, .timeout = 60)
{
	struct shoal_thread *t = thread_self();
	make();
	w->inside = true;
	for (inner = 0; w->inside; inner += 4) {
		take_word(&w->bell);
		pid_t first = child(be_woken_and_die, NULL);
		wait_asleep(first);
		pid_t second = child(take_it_after_that, NULL);
		wait_asleep(second);
		int64_t free_at = fair_ns();
		robust_release(t, &w->bell);
		expect_killed(first, SIGKILL, 5000);
		expect_child(second, 0, 5000);
		REQUIRE(w->got_at - free_at < SHOAL_MS(300) * HARNESS_SLOW);
	}
	REQUIRE(inner > 20);
}

/* ---- calls on an arena's objects, of a thread that uses them ---- */

static shoal_arena *arena;
static shoal_queue *queue;
static shoal_pipe_end *left, *right;
static shoal_dict *dict;

/* The queue is full, and the pipe is everybody's. */
static void
make_objects(void)
{
	static const shoal_queue_options few = { .capacity = 8 };
	static const shoal_pipe_options shared_ends = { .flags = SHOAL_PIPE_SHARED_ENDS };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, &few, &queue), 0);
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, &shared_ends, &left, &right), 0);
	REQUIRE_EQ(shoal_dict_create(arena, NULL, NULL, &dict), 0);
	while (shoal_queue_put(queue, "x", 1, 0) == 0)
		continue;
}

static int rc;

static void
put_op(void *unused)
{
	(void)unused;
	rc = shoal_queue_put(queue, "x", 1, 0);
}

static void
send_op(void *unused)
{
	(void)unused;
	rc = shoal_pipe_send(left, "x", 1, 0);
}

static void
set_dict_op(void *unused)
{
	(void)unused;
	rc = shoal_dict_set(dict, SHOAL_ANY(1), SHOAL_ANY(1));
}

/* A lock whose holder died inside its own call and the handler's is not lost. */
static void
die_in_call(void (*op)(void *))
{
	make_objects();
	before = op;
	die_in(op);
	op(NULL);
	REQUIRE(rc == 0 || rc == -EAGAIN);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
}

Test(handler, who_dies_putting_leaves_the_lock_to_the_next)
{
	die_in_call(put_op);
}

Test(handler, who_dies_sending_does_too)
{
	die_in_call(send_op);
}

static uint32_t refused;

static void
call_all(void)
{
	void (*const op[])(void *) = { put_op, send_op, set_dict_op };
	for (int i = 0; i < 3; i++) {
		op[i](NULL);
		REQUIRE(rc == 0 || rc == -EAGAIN || rc == -EDEADLK);
		refused += rc == -EDEADLK;
	}
}

Test(handler, calls_inside_those_of_a_lock_are_refused)
{
	make();
	make_objects();
	call_all();
	REQUIRE_EQ(refused, 0);
	for (at = 0, w->more = true; w->more; at++) {
		w->more = steps_into(take, &w->lock[0], at, call_all);
		w->more |= steps_into(give, &w->lock[0], at, call_all);
	}
	REQUIRE(refused > 10);
	uint32_t before_one = refused;
	call_all();
	REQUIRE_EQ(refused, before_one);
	shoal_arena_close(arena);
}

#endif
