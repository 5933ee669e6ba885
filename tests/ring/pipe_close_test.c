/*
 * The end that is to receive is closed at each instruction of a send: what the message had is
 * nobody's then. Where no instruction can be stopped at nothing is tested.
 */
#include "pipe_common.h"
#include "arena/object.h"
#include "data/envelope.h"
#include "ring/mark.h"
#include "ring/pipe.h"
#include "steps.h"
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#if HAS_STEPS

/* More than a quarter of the ring. */
enum { LONG = 1100 };

static struct scene {
	struct world w;
	struct envelope_call envelope;
	uint32_t at;
	int rc;
	bool came;
	_Atomic int closing; /* 1: somebody waits for the end to be closed; 2: it is closed */
} scene;

static void
await(int value)
{
	int64_t until = now_ns() + SHOAL_SEC(10);
	while (scene.closing < value) {
		REQUIRE(now_ns() < until);
		sched_yield();
	}
}

static void
come(void)
{
	scene.closing = 1;
	await(2);
}

/* The thread ends as one whose process is killed: it gives nothing back. */
static void
die(void)
{
	scene.came = true;
	syscall(SYS_exit, 0);
}

/* A little later, when the record may have come behind the end. */
static void
come_and_die(void)
{
	come();
	steps.at = steps.done + 8;
	steps.come = die;
	steps.on = true;
}

/* Making and ending an object looks for what is lost. */
static void
close_and_look(void)
{
	shoal_list *list;
	shoal_pipe_close(scene.w.right);
	REQUIRE_EQ(shoal_list_create(scene.w.arena, NULL, NULL, &list), 0);
	REQUIRE_EQ(shoal_list_destroy(scene.w.arena, list), 0);
}

/* What is stepped is only what comes behind the copy of the message. */
static struct sending {
	struct shoal_thread *thread;
	struct pipe_handle *handle;
	uint64_t block;
} sending;

static void
send_block_op(void *at)
{
	struct sending *s = at;
	scene.rc = send_block(s->handle, s->thread, s->block, LONG, 0, 0);
}

static void *
send_long(void *dies)
{
	struct sending *s = &sending;
	void (*comes)(void) = dies ? come_and_die : come;
	REQUIRE_EQ(pipe_enter(scene.w.left, PIPE_CLAIM, &s->thread, &s->handle), 0);
	struct member *me = s->handle->me;
	REQUIRE_EQ(block_take(scene.w.arena, s->thread, me, LONG, &s->block), 0);
	scene.came = steps_into(send_block_op, s, scene.at, comes);
	if (scene.rc)
		block_give(scene.w.arena, me, s->block);
	pipe_leave(s->thread, s->handle);
	if (!scene.came)
		come();
	return NULL;
}

static void
send_object_op(void *at)
{
	struct envelope_call *c = at;
	scene.rc = pipe_send_marked(scene.w.left, &c->ref, sizeof c->ref, MARK_HOLDS | 1, c->place, 0);
	envelope_sent(c, scene.rc);
}

static void *
send_object(void *unused)
{
	shoal_list *list;
	const struct pipe *p = (const struct pipe *)scene.w.left;
	REQUIRE_EQ(shoal_list_create(scene.w.arena, NULL, NULL, &list), 0);
	REQUIRE_EQ(shoal_pipe_send(scene.w.left, "first", 6, 0), 0);
	shoal_any v = SHOAL_ANY(list);
	REQUIRE_EQ(envelope_make(scene.w.arena, p->object, &v, 1, &scene.envelope), 0);
	scene.came = steps_into(send_object_op, &scene.envelope, scene.at, come);
	if (!scene.came)
		come();
	REQUIRE_EQ(shoal_list_destroy(scene.w.arena, list), 0);
	return unused;
}

static void
expect_nothing_but_the_pipe(void)
{
	shoal_arena_info info;
	REQUIRE(scene.rc == 0 || scene.rc == -EPIPE);
	REQUIRE_EQ(shoal_arena_check(scene.w.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(scene.w.arena, &info), 0);
	REQUIRE_EQ(info.objects, 1);
	REQUIRE_EQ(info.blocks, 1);
}

/* False: the send has not so many instructions. */
static bool
close_within(void *(*send)(void *), void *dies, uint32_t at)
{
	pthread_t thread;
	shoal_pipe_options o = { .ring_bytes = 4096 };
	scene.at = at;
	scene.came = false;
	scene.closing = 0;
	steps.others_wait = true;
	REQUIRE_EQ(shoal_pipe_create(scene.w.arena, NULL, &o, &scene.w.left, &scene.w.right), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, send, dies), 0);
	await(1);
	close_and_look();
	scene.closing = 2;
	pthread_join(thread, NULL);
	REQUIRE(!dies || shoal_arena_recover(scene.w.arena) >= 0);
	expect_nothing_but_the_pipe();
	REQUIRE_EQ(shoal_pipe_destroy(scene.w.arena, scene.w.left), 0);
	return scene.came;
}

static void
close_anywhere(void *(*send)(void *), void *dies, uint32_t stride)
{
	uint32_t at = 0;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &scene.w.arena), 0);
	while (close_within(send, dies, at))
		at += stride * STEPS_STRIDE;
	REQUIRE(at > 100);
	shoal_arena_close(scene.w.arena);
}

Test(pipe_close, a_long_message_to_an_end_that_is_closed_goes, .timeout = HARNESS_TIMEOUT * 3)
{
	close_anywhere(send_long, NULL, 2);
}

/* AddressSanitizer needs threads to end as others do. */
Test(pipe_close, so_does_that_of_a_thread_that_dies, .timeout = HARNESS_TIMEOUT * 3,
     .disabled = HARNESS_SLOW > 1)
{
	close_anywhere(send_long, "dies", 2);
}

Test(pipe_close, an_object_sent_to_an_end_that_is_closed_goes, .timeout = HARNESS_TIMEOUT * 3)
{
	close_anywhere(send_object, NULL, 4);
}

#endif
