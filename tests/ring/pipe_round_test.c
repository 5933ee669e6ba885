/* Identities of pipes come round: what a thread keeps of one is not taken for a later one's. */
#include "pipe_common.h"
#include "arena/object.h"
#include "ring/pipe.h"
#include <pthread.h>

enum { ROUND = 1 << 14, PIPES_MOST = 200, BEFORE = 520, AHEAD = 384 };

static const shoal_pipe_options small = { .ring_bytes = 4096 };

static struct scene {
	struct world w;
	pthread_barrier_t turn;
} scene;

static uint64_t
identity(const shoal_pipe_end *end)
{
	return load_relaxed(&end->owner) & OWNER_NONCE;
}

static void
make_pipe(void)
{
	int rc = shoal_pipe_create(scene.w.arena, NULL, &small, &scene.w.left, &scene.w.right);
	REQUIRE_EQ(rc, 0);
}

/* It used the first one, and is asked to use the last one. */
static void *
send_at_both(void *unused)
{
	for (int i = 0; i < BEFORE; i++) {
		REQUIRE_EQ(shoal_pipe_send(scene.w.right, "earlier", 8, 0), 0);
		recv_text(scene.w.left, "earlier");
	}
	pthread_barrier_wait(&scene.turn);
	pthread_barrier_wait(&scene.turn);
	REQUIRE_EQ(shoal_pipe_send(scene.w.right, "written", 8, 0), -EAGAIN);
	return unused;
}

static word64 *
entry_word(void)
{
	const struct pipe *p = (const struct pipe *)scene.w.left;
	return &arena_object(scene.w.arena, p->object)->word;
}

/* The next object at this entry has the generation. */
static void
set_next(word64 *word, uint64_t generation)
{
	store_relaxed(word, generation << 32 | (uint32_t)load_relaxed(word));
}

/*
 * Until one lies where that one was: all but one of a round of identities are taken for made and
 * destroyed.
 */
static void
come_round(void)
{
	const shoal_pipe_end *first = scene.w.left;
	word64 *word = entry_word();
	uint64_t its = identity(first), generation = load_relaxed(word) >> 32;
	for (int i = 0; i < PIPES_MOST; i++) {
		REQUIRE_EQ(shoal_pipe_destroy(scene.w.arena, scene.w.left), 0);
		set_next(word, generation + ROUND);
		make_pipe();
		REQUIRE(entry_word() == word);
		if (scene.w.left == first && identity(first) == its)
			return;
	}
	REQUIRE(!"it has not come round");
}

/* Full, and as far into its ring as that it looks to the other one as if there was room. */
static int
fill(void)
{
	int n = 0;
	for (int i = 0; i < AHEAD; i++) {
		REQUIRE_EQ(shoal_pipe_send(scene.w.right, "through", 8, 0), 0);
		recv_text(scene.w.left, "through");
	}
	while (shoal_pipe_send(scene.w.right, "waiting", 8, 0) == 0)
		n++;
	return n;
}

Test(pipe_round, a_thread_takes_none_for_one_that_was_there_before)
{
	pthread_t thread;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &scene.w.arena), 0);
	make_pipe();
	REQUIRE_EQ(pthread_barrier_init(&scene.turn, NULL, 2), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, send_at_both, NULL), 0);
	pthread_barrier_wait(&scene.turn);
	come_round();
	int sent = fill();
	pthread_barrier_wait(&scene.turn);
	pthread_join(thread, NULL);
	for (int i = 0; i < sent; i++)
		recv_text(scene.w.left, "waiting");
	REQUIRE_EQ(shoal_pipe_recv(scene.w.left, NULL, 0, 0), -EAGAIN);
	world_end(scene.w);
}
