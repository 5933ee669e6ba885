/* What signal handlers do to the list of what their thread holds, whatever they interrupted. */
#include "base/thread.h"
#include "common.h"
#include "lock_calls.h"
#include "steps.h"
#include "sync/bell.h"

#if HAS_STEPS

struct world {
	shoal_lock lock[2];
	pthread_mutex_t mutex[2];
	struct robust bell;
	shoal_event event;
	shoal_semaphore semaphore;
	bool more;    /* the operation had such an instruction */
	bool inside;  /* and the handler one */
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

#endif
