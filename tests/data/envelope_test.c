/* Objects in messages: they live as long as a message has them, and whoever received them. */
#include "arena/object.h"
#include "data/envelope.h"
#include "ring/mark.h"
#include "storm_value.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static shoal_arena *arena;
static shoal_queue *queue;
static shoal_pipe_end *left, *right;

static void
set_up(unsigned queue_flags, unsigned pipe_flags)
{
	shoal_queue_options q = { .capacity = 8, .slot_bytes = 64, .flags = queue_flags };
	shoal_pipe_options p = { .ring_bytes = 4096, .flags = pipe_flags };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, &q, &queue), 0);
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, &p, &left, &right), 0);
}

static size_t
objects(void)
{
	shoal_arena_info info;
	REQUIRE(shoal_arena_recover(arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	return info.objects;
}

static void
tear_down(void)
{
	shoal_arena_info info;
	(void)objects();
	REQUIRE_EQ(shoal_queue_destroy(arena, queue), 0);
	REQUIRE_EQ(shoal_pipe_destroy(arena, left), 0);
	REQUIRE_EQ(objects(), 0);
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	shoal_arena_close(arena);
}

static shoal_list *
list_of(int64_t n)
{
	shoal_list *list;
	REQUIRE_EQ(shoal_list_create(arena, NULL, NULL, &list), 0);
	REQUIRE_EQ(shoal_list_append(list, SHOAL_ANY(n)), 0);
	return list;
}

static bool piped;

static int
send_any(shoal_any v)
{
	return piped ? shoal_pipe_send_any(left, v, 0) : shoal_queue_put_any(queue, v, 0);
}

static int
recv_any(shoal_any *out)
{
	return piped ? shoal_pipe_recv_any(right, out, 0) : shoal_queue_get_any(queue, out, 0);
}

static void
expect_list(const shoal_any *object, int64_t n)
{
	shoal_any v;
	REQUIRE_EQ(shoal_list_get(shoal_any_to_list(object), 0, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), n);
}

static void
only_the_message_has_it(void)
{
	char text[2000] = { 0 };
	memset(text, 'x', sizeof text - 1);
	for (int i = 0; i < 30; i++) {
		shoal_any out;
		shoal_list *list = list_of(i);
		bool wide = i % 2;
		REQUIRE_EQ(send_any(wide ? SHOAL_LIST(text, list, list) : SHOAL_ANY(list)), 0);
		REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
		REQUIRE_EQ(objects(), 3);
		REQUIRE_EQ(recv_any(&out), 0);
		REQUIRE_EQ(objects(), 3);
		expect_list(wide ? shoal_any_at(&out, 2) : &out, i);
		shoal_any_clear(&out);
		REQUIRE_EQ(objects(), 2);
	}
}

Test(envelope, what_only_a_message_has_lives)
{
	set_up(0, 0);
	for (int i = 0; i < 2; i++) {
		piped = i;
		only_the_message_has_it();
	}
	tear_down();
}

Test(envelope, many_references_in_one_message)
{
	enum { MANY = 500 };
	shoal_any items[MANY], out;
	set_up(0, 0);
	for (int i = 0; i < MANY; i++)
		items[i] = SHOAL_ANY(list_of(i));
	for (int i = 0; i < 2; i++) {
		piped = i;
		REQUIRE_EQ(send_any(shoal_any_from_items(items, MANY)), 0);
	}
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(shoal_list_destroy(arena, shoal_any_to_list(&items[i])), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(objects(), 2 + MANY);
		piped = i;
		REQUIRE_EQ(recv_any(&out), 0);
		for (int k = 0; k < MANY; k++)
			expect_list(shoal_any_at(&out, (size_t)k), k);
		shoal_any_clear(&out);
	}
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

Test(envelope, what_is_not_sent_is_not_held)
{
	set_up(0, 0);
	shoal_list *list = list_of(1);
	for (int i = 0; i < 2; i++) {
		int n = 0, rc;
		piped = i;
		while ((rc = send_any(SHOAL_ANY(list))) == 0)
			n++;
		REQUIRE_EQ(rc, -EAGAIN);
		REQUIRE(n >= 8);
		for (shoal_any out; n; n--) {
			REQUIRE_EQ(recv_any(&out), 0);
			shoal_any_clear(&out);
		}
	}
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

Test(envelope, who_has_destroyed_an_object_cannot_send_it)
{
	set_up(0, 0);
	shoal_list *list = list_of(1);
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	REQUIRE_EQ(send_any(SHOAL_ANY(list)), -EINVAL);
	tear_down();
}

Test(envelope, a_queue_that_is_destroyed_lets_go)
{
	set_up(0, 0);
	for (int i = 0; i < 5; i++) {
		shoal_list *list = list_of(i);
		REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(list), 0), 0);
		REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	}
	/* Itself too, and an object that a container has in its turn. */
	shoal_list *outer = list_of(0), *inner = list_of(7);
	REQUIRE_EQ(shoal_list_append(outer, SHOAL_ANY(inner)), 0);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_LIST(queue, outer), 0), 0);
	REQUIRE_EQ(shoal_list_destroy(arena, outer), 0);
	REQUIRE_EQ(shoal_list_destroy(arena, inner), 0);
	REQUIRE_EQ(objects(), 9);
	REQUIRE_EQ(shoal_queue_destroy(arena, queue), 0);
	REQUIRE_EQ(objects(), 1);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, NULL, &queue), 0);
	tear_down();
}

Test(envelope, an_end_that_is_closed_lets_go)
{
	for (unsigned flags = 0; flags <= SHOAL_PIPE_SHARED_ENDS; flags += SHOAL_PIPE_SHARED_ENDS) {
		set_up(0, flags);
		shoal_list *list = list_of(1);
		REQUIRE_EQ(shoal_pipe_send_any(left, SHOAL_ANY(list), 0), 0);
		REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
		REQUIRE_EQ(objects(), 3);
		shoal_pipe_close(right);
		REQUIRE_EQ(objects(), 2);
		tear_down();
	}
}

/* Between the taking and the pinning nobody else lets go, and whoever looks. */
Test(envelope, what_is_being_opened_is_held)
{
	char bytes[64];
	uint32_t index;
	shoal_ref ref, its;
	struct shoal_thread *t;
	struct member *me;
	set_up(0, 0);
	for (int i = 0; i < 2; i++) {
		struct marked m = { .buffer = bytes, .room = sizeof bytes, .most = MARK_HOLDS | 1 };
		piped = i;
		shoal_list *list = list_of(3);
		its = shoal_ref_of(arena, list);
		REQUIRE_EQ(send_any(SHOAL_ANY(list)), 0);
		REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
		REQUIRE_EQ(i ? pipe_recv_marked(right, &m, 0) : queue_get_marked(queue, &m, 0), 0);
		REQUIRE_EQ(member_here(arena, &t, &me), 0);
		object_note_all(arena);
		object_sweep(arena, t, me);
		REQUIRE_EQ(object_at(arena, its, SHOAL_KIND_LIST, &index), 0);
		memcpy(&ref, bytes + m.bytes - sizeof ref, sizeof ref);
		envelope_opened(arena, ref);
		REQUIRE_EQ(object_at(arena, its, SHOAL_KIND_LIST, &index), -ENOENT);
	}
	tear_down();
}

/* ---- deaths ---- */

static int
takes_and_dies(void *arg)
{
	shoal_any out;
	(void)arg;
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, SHOAL_SEC(5)), 0);
	expect_list(&out, 3);
	raise(SIGKILL);
	return 0;
}

static int
puts_and_dies(void *arg)
{
	(void)arg;
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(list_of(3)), 0), 0);
	raise(SIGKILL);
	return 0;
}

Test(envelope, what_the_dead_had_taken_goes_with_them)
{
	set_up(0, 0);
	shoal_list *list = list_of(3);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(list), 0), 0);
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	expect_killed(child(takes_and_dies, NULL), SIGKILL, 5000);
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

Test(envelope, what_the_dead_sent_arrives)
{
	shoal_any out;
	set_up(0, 0);
	expect_killed(child(puts_and_dies, NULL), SIGKILL, 5000);
	REQUIRE_EQ(objects(), 3);
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), 0);
	expect_list(&out, 3);
	/* Its maker died before it destroyed it. */
	shoal_list *list = shoal_any_to_list(&out);
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	expect_list(&out, 3);
	shoal_any_clear(&out);
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

Test(envelope, what_is_delivered_again_is_held_all_the_time, .timeout = 60 * HARNESS_SLOW)
{
	shoal_any out;
	set_up(SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE, 0);
	shoal_list *list = list_of(3);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(list), 0), 0);
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	for (int i = 0; i < 5; i++) {
		expect_killed(child(takes_and_dies, NULL), SIGKILL, 5000);
		REQUIRE_EQ(objects(), 3);
	}
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), 0);
	expect_list(&out, 3);
	shoal_any_clear(&out);
	REQUIRE_EQ(objects(), 3);
	REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

Test(envelope, what_was_delivered_too_often_is_let_go, .timeout = 60 * HARNESS_SLOW)
{
	shoal_any out;
	set_up(SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE, 0);
	shoal_list *list = list_of(3);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(list), 0), 0);
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
	for (int i = 0; i < 31; i++)
		expect_killed(child(takes_and_dies, NULL), SIGKILL, 5000);
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), -EAGAIN);
	REQUIRE_EQ(objects(), 2);
	tear_down();
}

/* ---- storm ---- */

enum { RAGING = 4, STORM_MS = 2500 };

struct storm {
	volatile int stop;
	volatile uint64_t sent[RAGING], received[RAGING];
};

struct raging {
	struct storm *storm;
	int me;
};

static void
storm_send(struct storm *s, int me, uint64_t r)
{
	int64_t words[STORM_WORDS];
	shoal_list *list = list_of((int64_t)r);
	shoal_any v = r % 3 ? SHOAL_LIST(list, value_of((int64_t)r, words), list) : SHOAL_LIST(list);
	int rc = r % 2 ? shoal_queue_put_any(queue, v, SHOAL_MS(1))
	               : shoal_pipe_send_any(left, v, SHOAL_MS(1));
	REQUIRE(rc == 0 || rc == -ETIMEDOUT || rc == -EAGAIN);
	s->sent[me] += rc == 0;
	REQUIRE_EQ(shoal_list_destroy(arena, list), 0);
}

static void
storm_recv(struct storm *s, int me, uint64_t r)
{
	shoal_any out, item;
	int rc = r % 2 ? shoal_queue_get_any(queue, &out, 0) : shoal_pipe_recv_any(right, &out, 0);
	REQUIRE(rc == 0 || rc == -EAGAIN);
	if (rc)
		return;
	for (size_t i = 0; i < out.count; i += 2) {
		REQUIRE_EQ(shoal_list_get(shoal_any_to_list(shoal_any_at(&out, i)), 0, &item), 0);
		REQUIRE(shoal_any_int(&item, -1) >= 0);
	}
	if (out.count > 1)
		(void)number_of(shoal_any_at(&out, 1));
	shoal_any_clear(&out);
	if (r % 2)
		REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	s->received[me]++;
}

static int
rages(void *arg)
{
	struct raging me = *(struct raging *)arg;
	uint64_t x = (uint64_t)now_ns() + (uint64_t)me.me;
	while (!me.storm->stop) {
		uint64_t r = random_next(&x);
		if (r / 4 % 2)
			storm_send(me.storm, me.me, r / 8);
		else
			storm_recv(me.storm, me.me, r / 8);
	}
	return 0;
}

/* The dead did not destroy what they had made. */
static void
destroy_lists(void)
{
	shoal_object_info info;
	shoal_list *list;
	uint64_t cursor = 0;
	while (shoal_arena_next(arena, &cursor, &info) == 1)
		if (info.kind == SHOAL_KIND_LIST && shoal_list_at(arena, info.ref, &list) == 0)
			(void)shoal_list_destroy(arena, list);
}

static void
drain(void)
{
	shoal_any out;
	while (shoal_queue_get_any(queue, &out, 0) == 0) {
		shoal_any_clear(&out);
		REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	}
	while (shoal_pipe_recv_any(right, &out, 0) == 0)
		shoal_any_clear(&out);
}

static bool
has_raged(const struct storm *s, int kills)
{
	uint64_t sent = 0, received = 0;
	for (int i = 0; i < RAGING; i++) {
		sent += s->sent[i];
		received += s->received[i];
	}
	return kills > 20 && sent > 500 && received > 500;
}

Test(envelope, nothing_leaks_whoever_is_killed, .timeout = 60 * HARNESS_SLOW)
{
	struct storm *s = shared(sizeof *s);
	pid_t pid[RAGING];
	uint64_t x = (uint64_t)now_ns();
	int kills = 0;
	int64_t began = now_ns();
	set_up(SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE, SHOAL_PIPE_SHARED_ENDS);
	for (int i = 0; i < RAGING; i++)
		pid[i] = child(rages, &(struct raging){ s, i });
	int64_t end = now_ns() + STORM_MS * INT64_C(1000000);
	/* On a busy machine it takes longer until enough has happened. */
	while (now_ns() < end || (!has_raged(s, kills) && now_ns() < end + 8 * (end - began))) {
		int i = (int)(random_next(&x) % RAGING);
		sleep_ms(1 + (int)(random_next(&x) % 10));
		kill(pid[i], SIGKILL);
		expect_killed(pid[i], SIGKILL, 5000);
		pid[i] = child(rages, &(struct raging){ s, i });
		if (kills++ % 16 == 0)
			REQUIRE(shoal_arena_recover(arena) >= 0);
	}
	s->stop = 1;
	for (int i = 0; i < RAGING; i++)
		expect_child(pid[i], 0, 5000 * HARNESS_SLOW);
	REQUIRE(has_raged(s, kills));
	REQUIRE(shoal_arena_recover(arena) >= 0);
	/* What is left is what messages have, and what the dead did not destroy. */
	destroy_lists();
	drain();
	REQUIRE_EQ(objects(), 2);
	tear_down();
}
