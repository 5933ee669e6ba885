/*
 * A process that changes a pipe or a queue for all who sleep on it, and dies between the change and
 * the wakes: they go on within 10 ms, by a wake of the kernel or by a slice of 5 ms.
 */
#include "base/atomic.h"
#include "pipe_common.h"
#include "ring/pipe.h"
#include "ring/queue.h"
#include "sync/event.h"
#include "sync/robust.h"
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

/*
 * A busy machine may keep a process that was woken from running, so one quick round of ROUNDS is
 * enough. The death comes just after the sleep began: to wait for the end of a slice of 50 ms takes
 * most of it each time.
 */
#define BAR_NS SHOAL_MS(20)
enum { ROUNDS = 40 };

struct scene {
	struct world w;
	shoal_queue *queue;
	shoal_event *event;
	word32 ready;
	volatile int64_t died, went_on[2];
	volatile int result[2];
};

static struct scene *
scene_make(unsigned pipe_flags)
{
	struct scene *s = shared(sizeof *s);
	shoal_queue_options o = { .capacity = 4 };
	s->w = world_make(4096, pipe_flags);
	REQUIRE_EQ(shoal_queue_create(s->w.arena, "q", &o, &s->queue), 0);
	REQUIRE_EQ(shoal_event_create(s->w.arena, "e", &s->event), 0);
	return s;
}

static void
scene_end(struct scene *s)
{
	REQUIRE(shoal_arena_recover(s->w.arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(s->w.arena, stderr), 0);
	shoal_arena_close(s->w.arena);
}

static void
wait_for(word32 *word, uint32_t n)
{
	for (int i = 0; i < 5000 && load_acquire(word) < n; i++)
		sleep_ms(1);
	REQUIRE(load_acquire(word) >= n);
}

/* Asleep in the kernel, since a moment. */
static void
wait_asleep(pid_t pid)
{
	char path[40], state = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 5000 && state != 'S'; i++) {
		FILE *f = fopen(path, "r");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		if (f)
			fclose(f);
		if (state != 'S')
			usleep(200);
	}
	REQUIRE_EQ(state, 'S');
}

static int
die(struct scene *s)
{
	s->died = now_ns();
	return raise(SIGKILL);
}

static void
went_on(struct scene *s, int i, ssize_t rc)
{
	s->went_on[i] = now_ns();
	s->result[i] = (int)rc;
}

typedef int actor_fn(void *scene);

/* The sleepers sleep, the victim dies: how long until the last one went on. */
static int64_t
delay(struct scene *s, actor_fn *const sleeper[2], actor_fn *victim)
{
	pid_t pid[2] = { 0 };
	store_release(&s->ready, 0);
	for (int i = 0; i < 2 && sleeper[i]; i++) {
		pid[i] = child(sleeper[i], s);
		wait_for(&s->ready, (uint32_t)i + 1);
	}
	for (int i = 0; i < 2 && sleeper[i]; i++)
		wait_asleep(pid[i]);
	expect_killed(child(victim, s), SIGKILL, 5000);
	int64_t last = 0;
	for (int i = 0; i < 2 && sleeper[i]; i++) {
		expect_child(pid[i], 0, 8000);
		last = s->went_on[i] > last ? s->went_on[i] : last;
	}
	return last - s->died;
}

static void
expect_soon(unsigned pipe_flags, actor_fn *one, actor_fn *two, actor_fn *victim, int result)
{
	actor_fn *const sleeper[2] = { one, two };
	int64_t best = INT64_MAX;
	for (int i = 0; i < ROUNDS && best >= BAR_NS; i++) {
		struct scene *s = scene_make(pipe_flags);
		int64_t took = delay(s, sleeper, victim);
		best = took < best ? took : best;
		for (int k = 0; k < 2 && sleeper[k]; k++)
			REQUIRE_EQ(s->result[k], result);
		scene_end(s);
	}
	REQUIRE(best < BAR_NS);
}

/* ---- destroyed and closed ---- */

static int
receive_left(void *arg)
{
	struct scene *s = arg;
	char c;
	store_release(&s->ready, 1);
	went_on(s, 0, shoal_pipe_recv(s->w.left, &c, 1, SHOAL_SEC(5)));
	return 0;
}

static int
poll_right(void *arg)
{
	struct scene *s = arg;
	store_release(&s->ready, 2);
	int rc = shoal_pipe_poll(s->w.right, SHOAL_SEC(5));
	went_on(s, 1, rc == 1 ? shoal_pipe_recv(s->w.right, NULL, 0, 0) : rc);
	return 0;
}

/* As object_destroy has it at its first step that others see. */
static void
begin_to_destroy(shoal_arena *a, uint32_t object, struct robust *bell)
{
	struct shoal_thread *t;
	struct member *me;
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	struct object *o = arena_object(a, object);
	store_release(&me->making, object);
	REQUIRE(bell_take(t, bell));
	uint64_t word = load_relaxed(&o->word) & ~UINT64_C(0xffffffff);
	store_release(&o->word, word | (uint64_t)OBJECT_DYING << 28 | member_tag(a, me));
}

static int
die_destroying_the_pipe(void *arg)
{
	struct scene *s = arg;
	struct pipe *p = (struct pipe *)(void *)s->w.left;
	begin_to_destroy(s->w.arena, p->object, &p->bell);
	return die(s);
}

Test(ending, both_ends_go_on_when_the_pipes_destroyer_dies)
{
	expect_soon(0, receive_left, poll_right, die_destroying_the_pipe, -EPIPE);
}

static int
die_having_closed_an_end(void *arg)
{
	struct scene *s = arg;
	struct pipe *p = (struct pipe *)(void *)s->w.left;
	begin_to_destroy(s->w.arena, p->object, &p->bell);
	fetch_or_seq_cst(&p->end[0].owner, OWNER_CLOSED);
	return die(s);
}

Test(ending, and_when_it_had_closed_one)
{
	expect_soon(0, receive_left, poll_right, die_having_closed_an_end, -EPIPE);
}

static int
get(void *arg)
{
	struct scene *s = arg;
	char c;
	store_release(&s->ready, 1);
	went_on(s, 0, shoal_queue_get(s->queue, &c, 1, SHOAL_SEC(5)));
	return 0;
}

static int
get_too(void *arg)
{
	struct scene *s = arg;
	char c;
	store_release(&s->ready, 2);
	went_on(s, 1, shoal_queue_get(s->queue, &c, 1, SHOAL_SEC(5)));
	return 0;
}

static int
put_to_a_full_one(void *arg)
{
	struct scene *s = arg;
	while (shoal_queue_put(s->queue, "a", 1, 0) == 0)
		continue;
	store_release(&s->ready, 1);
	went_on(s, 0, shoal_queue_put(s->queue, "a", 1, SHOAL_SEC(5)));
	return 0;
}

static int
put_too(void *arg)
{
	struct scene *s = arg;
	store_release(&s->ready, 2);
	went_on(s, 1, shoal_queue_put(s->queue, "a", 1, SHOAL_SEC(5)));
	return 0;
}

static int
die_destroying_the_queue(void *arg)
{
	struct scene *s = arg;
	begin_to_destroy(s->w.arena, s->queue->object, &s->queue->bell);
	return die(s);
}

static int
die_before_the_destroyers_wakes(void *arg)
{
	struct scene *s = arg;
	begin_to_destroy(s->w.arena, s->queue->object, &s->queue->bell);
	store_seq_cst(&s->queue->closing, QUEUE_DESTROYED);
	return die(s);
}

Test(ending, getters_go_on_when_the_queues_destroyer_dies)
{
	expect_soon(0, get, get_too, die_destroying_the_queue, -EPIPE);
	expect_soon(0, get, get_too, die_before_the_destroyers_wakes, -EPIPE);
}

Test(ending, putters_go_on_when_the_queues_destroyer_dies)
{
	expect_soon(0, put_to_a_full_one, put_too, die_destroying_the_queue, -EPIPE);
	expect_soon(0, put_to_a_full_one, put_too, die_before_the_destroyers_wakes, -EPIPE);
}

/* As shoal_queue_close has it before its wakes. */
static int
die_closing_the_queue(void *arg)
{
	struct scene *s = arg;
	REQUIRE(bell_take(thread_self(), &s->queue->bell));
	store_seq_cst(&s->queue->closing, QUEUE_CLOSED);
	return die(s);
}

Test(ending, getters_go_on_when_its_closer_dies)
{
	expect_soon(0, get, get_too, die_closing_the_queue, -EPIPE);
}

Test(ending, putters_go_on_when_its_closer_dies)
{
	expect_soon(0, put_to_a_full_one, put_too, die_closing_the_queue, -EPIPE);
}

/* ---- whose an end is ---- */

/* As a first use leaves it, killed when the end is its own and nobody knows. */
static int
die_claiming_the_right_end(void *arg)
{
	struct scene *s = arg;
	struct shoal_thread *t;
	struct member *me;
	shoal_arena *a = s->w.arena;
	struct pipe *p = (struct pipe *)(void *)s->w.left;
	word64 *owner = &p->end[SHOAL_RIGHT].owner;
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	uint64_t mine = OWNER_OWNED | (uint64_t)a->process << 32 | process_generation(a, a->process);
	REQUIRE(bell_take(t, &p->bell));
	REQUIRE(cas64_seq_cst(owner, load_relaxed(owner), load_relaxed(owner) | mine));
	return die(s);
}

Test(ending, a_receiver_learns_that_its_new_peer_died_at_once)
{
	expect_soon(0, receive_left, NULL, die_claiming_the_right_end, -EPIPE);
}

static int
poll_left(void *arg)
{
	struct scene *s = arg;
	store_release(&s->ready, 1);
	int rc = shoal_pipe_poll(s->w.left, SHOAL_SEC(5));
	went_on(s, 0, rc == 1 ? shoal_pipe_recv(s->w.left, NULL, 0, 0) : rc);
	return 0;
}

Test(ending, and_one_who_polls_it)
{
	expect_soon(0, poll_left, NULL, die_claiming_the_right_end, -EPIPE);
}

static void *
receive_in_a_thread(void *arg)
{
	receive_left(arg);
	return NULL;
}

static int
use_and_stay(void *arg)
{
	struct scene *s = arg;
	send_text(s->w.right, "");
	pause();
	return 0;
}

/* The end has two users; the one whose life the sleeper watched leaves, the other one dies. */
Test(ending, a_shared_end_is_over_with_the_user_that_was_not_watched)
{
	int64_t best = INT64_MAX;
	for (int i = 0; i < ROUNDS && best >= BAR_NS; i++) {
		struct scene *s = scene_make(SHOAL_PIPE_SHARED_ENDS);
		pthread_t thread;
		pid_t other = child(use_and_stay, s);
		recv_text(s->w.left, "");
		REQUIRE_EQ(pthread_create(&thread, NULL, receive_in_a_thread, s), 0);
		wait_for(&s->ready, 1);
		sleep_ms(10);
		shoal_pipe_close(s->w.right);
		sleep_ms(3);
		int64_t died = now_ns();
		kill(other, SIGKILL);
		expect_killed(other, SIGKILL, 5000);
		pthread_join(thread, NULL);
		REQUIRE_EQ(s->result[0], -EPIPE);
		int64_t took = s->went_on[0] - died;
		best = took < best ? took : best;
		scene_end(s);
	}
	REQUIRE(best < BAR_NS);
}

/* The last user left, and died before it closed the end. */
static int
die_leaving(void *arg)
{
	struct scene *s = arg;
	shoal_arena *a = s->w.arena;
	struct pipe *p = (struct pipe *)(void *)s->w.left;
	send_text(s->w.right, "");
	word64 *row = pipe_users(p, p->ring_bytes, a->members_max, SHOAL_RIGHT);
	wait_for(&s->ready, 1);
	store_seq_cst(&row[a->process], pipe_user_word(process_generation(a, a->process), 2));
	return die(s);
}

Test(ending, a_shared_end_is_over_with_one_that_died_leaving)
{
	struct scene *s = scene_make(SHOAL_PIPE_SHARED_ENDS);
	pid_t other = child(die_leaving, s);
	recv_text(s->w.left, "");
	shoal_pipe_close(s->w.right);
	store_release(&s->ready, 1);
	REQUIRE_EQ(shoal_pipe_recv(s->w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	expect_killed(other, SIGKILL, 5000);
	scene_end(s);
}

/* ---- beside descriptors, which the kernel may wake instead ---- */

static int
polls(struct scene *s, int fd)
{
	char c;
	REQUIRE(fd >= 0);
	(void)!shoal_queue_get(s->queue, &c, 1, 0);
	(void)!shoal_event_wait(s->event, 0);
	fetch_add_seq_cst(&s->ready, 1);
	pause();
	return 0;
}

static int
watch_and_never_look(void *arg)
{
	struct scene *s = arg;
	return polls(s, shoal_queue_fd(s->queue));
}

static int
watch_the_event_and_never_look(void *arg)
{
	struct scene *s = arg;
	return polls(s, shoal_event_fd(s->event));
}

static int
die_having_put(void *arg)
{
	struct scene *s = arg;
	struct gates *g = &s->queue->get;
	uint32_t wait = load_relaxed(&g->wait), polls = load_relaxed(&g->poll);
	store_relaxed(&g->wait, 0);
	store_relaxed(&g->poll, 0);
	REQUIRE_EQ(shoal_queue_put(s->queue, "", 1, 0), 0);
	store_relaxed(&g->wait, wait);
	store_relaxed(&g->poll, polls);
	robust_pending_set(thread_self(), &g->wait);
	return die(s);
}

static int
wait_for_event(void *arg)
{
	struct scene *s = arg;
	store_release(&s->ready, 1);
	went_on(s, 0, shoal_event_wait(s->event, SHOAL_SEC(5)));
	return 0;
}

static int
die_setting(void *arg)
{
	struct scene *s = arg;
	struct event *e = event_of(s->event);
	robust_pending_set(thread_self(), &e->gate);
	REQUIRE(cas32_seq_cst(&e->turns, 0, 1));
	return die(s);
}

/* `first` watches before the sleeper sleeps, so that the kernel's wake goes to it. */
static void
expect_soon_beside(actor_fn *first, actor_fn *sleeper, actor_fn *victim, int result)
{
	actor_fn *const sleepers[2] = { sleeper };
	int64_t best = INT64_MAX;
	for (int i = 0; i < ROUNDS && best >= BAR_NS; i++) {
		struct scene *s = scene_make(0);
		pid_t poller = child(first, s);
		wait_for(&s->ready, 1);
		int64_t took = delay(s, sleepers, victim);
		best = took < best ? took : best;
		REQUIRE_EQ(s->result[0], result);
		kill(poller, SIGKILL);
		expect_killed(poller, SIGKILL, 5000);
		scene_end(s);
	}
	REQUIRE(best < BAR_NS);
}

Test(ending, a_descriptor_keeps_no_getter_from_the_message_of_a_dead_one)
{
	expect_soon_beside(watch_and_never_look, get, die_having_put, 1);
}

Test(ending, a_descriptor_keeps_nobody_from_the_event_of_a_dead_one)
{
	expect_soon_beside(watch_the_event_and_never_look, wait_for_event, die_setting, 0);
}

static int
wait_for_descriptor(void *arg)
{
	struct scene *s = arg;
	struct pollfd p = { .fd = shoal_queue_fd(s->queue), .events = POLLIN };
	char c;
	REQUIRE_EQ(shoal_queue_get(s->queue, &c, 1, 0), -EAGAIN);
	store_release(&s->ready, 1);
	ssize_t rc = -EAGAIN;
	while (rc == -EAGAIN && poll(&p, 1, 5000) == 1)
		rc = shoal_queue_get(s->queue, &c, 1, 0);
	went_on(s, 0, rc);
	return 0;
}

Test(ending, a_descriptor_keeps_no_other_one_from_the_message_of_a_dead_one)
{
	expect_soon_beside(watch_and_never_look, wait_for_descriptor, die_having_put, 1);
}

static int
wait_for_pipes_descriptor(void *arg)
{
	struct scene *s = arg;
	struct pollfd p = { .fd = shoal_pipe_fd(s->w.left), .events = POLLIN };
	ssize_t rc = shoal_pipe_recv(s->w.left, NULL, 0, 0);
	REQUIRE_EQ(rc, -EAGAIN);
	store_release(&s->ready, 1);
	/* It may be readable for nothing. */
	while (rc == -EAGAIN && poll(&p, 1, 5000) == 1)
		rc = shoal_pipe_recv(s->w.left, NULL, 0, 0);
	went_on(s, 0, rc);
	return 0;
}

Test(ending, descriptors_tell_when_a_destroyer_dies)
{
	expect_soon(0, wait_for_pipes_descriptor, NULL, die_destroying_the_pipe, -EPIPE);
	expect_soon(0, wait_for_descriptor, NULL, die_destroying_the_queue, -EPIPE);
}

Test(ending, descriptors_tell_of_a_new_peer_that_died_at_once)
{
	expect_soon(0, wait_for_pipes_descriptor, NULL, die_claiming_the_right_end, -EPIPE);
}
