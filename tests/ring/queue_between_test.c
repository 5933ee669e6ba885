/*
 * What others do between two steps of one call: a message comes back and goes again while it is
 * looked for, and a loan's thread ends while the loan is adopted.
 */
#include "queue_common.h"
#include "ring/queue.h"
#include "steps.h"
#include <pthread.h>

#if HAS_STEPS

/* ---- another thread, which does as it is told ---- */

enum { IDLE, BORROW, RETURN, RELEASE, GET, END };

static struct other {
	pthread_t thread;
	_Atomic int order;
	shoal_queue *queue;
	shoal_loan loan;
	char buffer[20000];
	ssize_t rc;
} others[2];

static void *
obey(void *arg)
{
	struct other *o = arg;
	for (int order; (order = o->order) != END;) {
		if (order == IDLE) {
			sched_yield();
			continue;
		}
		if (order == BORROW)
			o->rc = shoal_queue_borrow(o->queue, 0, &o->loan);
		else if (order == RETURN)
			o->rc = shoal_loan_return(&o->loan);
		else if (order == RELEASE)
			shoal_loan_release(&o->loan);
		else
			o->rc = shoal_queue_get(o->queue, o->buffer, sizeof o->buffer, 0);
		o->order = IDLE;
	}
	return NULL;
}

static void
tell(struct other *o, int order)
{
	o->order = order;
	while (order != END && o->order != IDLE)
		sched_yield();
	if (order == END)
		REQUIRE_EQ(pthread_join(o->thread, NULL), 0);
}

static struct other *
begin(struct other *o, shoal_queue *q)
{
	o->queue = q;
	o->order = IDLE;
	o->rc = 0;
	REQUIRE_EQ(pthread_create(&o->thread, NULL, obey, o), 0);
	steps.others_wait = true;
	return o;
}

static struct {
	struct world w;
	uint32_t later;
	int came; /* how many of the hooks */
	shoal_loan loan;
	ssize_t rc;
} scene;

/* ---- the end of a closed queue ---- */

static void
get_op(void *unused)
{
	char text[8];
	(void)unused;
	scene.rc = shoal_queue_get(scene.w.queue, text, sizeof text, 0);
}

/* It comes back, and some instructions later somebody has it again. */
static void
come_and_go(void)
{
	if (scene.came++) {
		tell(&others[0], BORROW);
		return;
	}
	tell(&others[0], RETURN);
	REQUIRE_EQ(others[0].rc, 0);
	steps.at = steps.done + scene.later;
	steps.on = true;
}

/* False: the call has no such instruction. */
static bool
got_while_it_comes_and_goes(uint32_t n, uint32_t later)
{
	scene.w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	scene.later = later;
	scene.came = 0;
	struct other *o = begin(&others[0], scene.w.queue);
	put_text(scene.w.queue, "last");
	tell(o, BORROW);
	REQUIRE_EQ(o->rc, 0);
	shoal_queue_close(scene.w.queue);
	steps_into(get_op, NULL, n, come_and_go);
	REQUIRE(scene.rc == 5 || scene.rc == -EAGAIN);
	if (scene.rc != 5 && scene.came == 1)
		get_text(scene.w.queue, "last");
	else if (scene.rc != 5)
		tell(o, RELEASE);
	tell(o, END);
	REQUIRE_EQ(shoal_queue_get(scene.w.queue, o->buffer, 8, 0), -EPIPE);
	world_end(scene.w);
	return scene.came;
}

Test(queue_between, nobody_is_told_the_end_beside_the_last, .timeout = HARNESS_TIMEOUT * 2)
{
	for (uint32_t later = 20; later <= 220; later += 50)
		for (uint32_t n = 0; got_while_it_comes_and_goes(n, later); n += 7)
			continue;
}

/* ---- adoption ---- */

static void
adopt_op(void *unused)
{
	(void)unused;
	scene.rc = shoal_loan_adopt(&scene.loan);
}

/* Its record is the next thread's then. */
static void
let_its_thread_end(void)
{
	tell(&others[0], END);
	tell(begin(&others[0], scene.w.queue), BORROW);
	tell(&others[1], GET);
	scene.came++;
}

/* The message is the adopter's, or goes back and is the next one's. */
static bool
adopted_while_its_thread_ends(uint32_t n)
{
	static char text[sizeof others[0].buffer];
	scene.w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	scene.came = 0;
	struct other *from = begin(&others[0], scene.w.queue), *next = begin(&others[1], scene.w.queue);
	memset(text, 'x', sizeof text);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_queue_put(scene.w.queue, text, sizeof text, 0), 0);
	tell(from, BORROW);
	REQUIRE_EQ(from->rc, 0);
	scene.loan = from->loan;
	steps_into(adopt_op, NULL, n, let_its_thread_end);
	if (!scene.came)
		let_its_thread_end();
	REQUIRE_EQ(next->rc, sizeof text);
	REQUIRE_EQ(memcmp(next->buffer, text, sizeof text), 0);
	REQUIRE_EQ(from->rc, 0);
	REQUIRE_EQ(memcmp(from->loan.data, text, sizeof text), 0);
	if (scene.rc == 0) {
		REQUIRE_EQ(memcmp(scene.loan.data, text, sizeof text), 0);
		shoal_loan_release(&scene.loan);
	} else {
		REQUIRE_EQ(scene.rc, -EINVAL);
		tell(next, GET);
		REQUIRE_EQ(next->rc, sizeof text);
	}
	tell(from, RELEASE);
	tell(next, END);
	REQUIRE_EQ(shoal_queue_size(scene.w.queue), 0);
	/* No place is anybody's, though its thread is there. */
	for (int i = 0; i < 4; i++)
		put_text(scene.w.queue, "text");
	for (int i = 0; i < 4; i++)
		get_text(scene.w.queue, "text");
	tell(from, END);
	world_end(scene.w);
	return steps.came;
}

Test(queue_between, a_loan_is_adopted_while_its_thread_ends, .timeout = HARNESS_TIMEOUT * 2)
{
	for (uint32_t n = 0; adopted_while_its_thread_ends(n); n += 3)
		continue;
}

#endif

/* ---- the end of one that was closed while it was full ---- */

static int
get_the_end(void *arg)
{
	char text[8];
	REQUIRE_EQ(shoal_queue_get(arg, text, sizeof text, SHOAL_SEC(5)), -EPIPE);
	return 0;
}

Test(queue_between, who_waits_for_the_end_learns_of_it_soon)
{
	int64_t best = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		struct world w = world_make(2, 0, 0);
		shoal_loan loan[2];
		for (int k = 0; k < 2; k++) {
			put_text(w.queue, "text");
			REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[k]), 0);
		}
		shoal_queue_close(w.queue);
		pid_t pid = child(get_the_end, w.queue);
		sleep_ms(60 + i);
		int64_t began = now_ns();
		shoal_loan_release(&loan[0]);
		expect_child(pid, 0, 5000);
		best = now_ns() - began < best ? now_ns() - began : best;
		shoal_loan_release(&loan[1]);
		world_end(w);
	}
	REQUIRE(best < SHOAL_MS(8) * HARNESS_SLOW);
}
