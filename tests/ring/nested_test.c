/*
 * A signal handler's call on another object, wherever it comes in a call: a thread knows a few
 * objects, and what it knows of one is overwritten when it uses two others with the same home.
 */
#include "harness.h"
#include "ring/pipe.h"
#include "ring/queue.h"
#include "steps.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <string.h>

#if HAS_STEPS

/* Object 0 is the one whose call is interrupted, 1 the handler's. A message is one letter. */
struct kind {
	void (*make)(int object);
	/* where the thread looks first for what it knows of it, of both ends of a pipe */
	uint32_t (*home)(int object);
	bool (*knows)(int object);
	int (*give)(int object, char letter);
	bool (*take)(int object, char *letter);
	void (*destroy)(int object);
};

static shoal_arena *arena;
static const struct kind *kind;
static int given, given_nested;
static bool gives; /* or takes */

static void
one_letter(ssize_t rc)
{
	REQUIRE(rc == 1 || rc == -EAGAIN);
}

/* ---- queues ---- */

static shoal_queue *queue[3];

static void
make_queue(int i)
{
	shoal_queue_options o = { .capacity = 8 };
	REQUIRE_EQ(shoal_queue_create(arena, NULL, &o, &queue[i]), 0);
}

static uint32_t
cursor_home(int i)
{
	return thread_home(queue[i], CURSOR_BITS);
}

static int
put(int i, char letter)
{
	return shoal_queue_put(queue[i], &letter, 1, 0);
}

static bool
get(int i, char *letter)
{
	ssize_t rc = shoal_queue_get(queue[i], letter, 1, 0);
	one_letter(rc);
	return rc == 1;
}

static void
destroy_queue(int i)
{
	REQUIRE_EQ(shoal_queue_destroy(arena, queue[i]), 0);
}

static bool
has_cursor(int i)
{
	const struct cursor *c = cursor_slot(thread_self(), queue[i]);
	return c->ring.queue == queue[i] && c->epoch == thread_epoch();
}

static const struct kind queues = {
	make_queue, cursor_home, has_cursor, put, get, destroy_queue,
};

/* ---- pipes ---- */

static shoal_pipe_end *left[3], *right[3];

static void
make_pipe(int i)
{
	shoal_pipe_options o = { .ring_bytes = 4096 };
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, &o, &left[i], &right[i]), 0);
}

static uint32_t
handle_home(int i)
{
	uint32_t other = thread_home(right[i], PIPE_HANDLE_BITS);
	return thread_home(left[i], PIPE_HANDLE_BITS) << PIPE_HANDLE_BITS | other;
}

static int
send(int i, char letter)
{
	return shoal_pipe_send(left[i], &letter, 1, 0);
}

static bool
receive(int i, char *letter)
{
	ssize_t rc = shoal_pipe_recv(right[i], letter, 1, 0);
	one_letter(rc);
	return rc == 1;
}

static void
destroy_pipe(int i)
{
	REQUIRE_EQ(shoal_pipe_destroy(arena, left[i]), 0);
}

static bool
has_handles(int i)
{
	struct shoal_thread *t = thread_self();
	bool left_is = pipe_handle_slot(t, left[i])->end == left[i];
	bool right_is = pipe_handle_slot(t, right[i])->end == right[i];
	REQUIRE_EQ(left_is, right_is);
	return left_is;
}

static const struct kind pipes = {
	make_pipe, handle_home, has_handles, send, receive, destroy_pipe,
};

/* ---- dicts ---- */

static shoal_dict *dict[3];

static void
make_dict(int i)
{
	REQUIRE_EQ(shoal_dict_create(arena, NULL, NULL, &dict[i]), 0);
}

/* As place_of in data/container.c. */
static uint32_t
container_home(int i)
{
	return thread_home(dict[i], 3);
}

static int
set(int i, char letter)
{
	return shoal_dict_set(dict[i], SHOAL_ANY(1), SHOAL_ANY((int)letter));
}

static bool
pop(int i, char *letter)
{
	shoal_any value;
	int rc = shoal_dict_pop(dict[i], SHOAL_ANY(1), &value);
	REQUIRE(rc == 0 || rc == -ENOENT);
	if (rc == 0)
		*letter = (char)value.as.integer;
	return rc == 0;
}

static void
destroy_dict(int i)
{
	REQUIRE_EQ(shoal_dict_destroy(arena, dict[i]), 0);
}

static const struct kind dicts = { make_dict, container_home, NULL, set, pop, destroy_dict };

/* ---- what happens ---- */

static void
call_another(void)
{
	given_nested = kind->give(1, 'B');
}

static void
interrupted(void *unused)
{
	char letter;
	(void)unused;
	if (gives)
		given = kind->give(0, 'A');
	else
		REQUIRE(kind->take(0, &letter) && letter == 'A');
}

/* What was given is there, once, in its own object, and nothing else. */
static void
must_hold(int object, bool has, char expected)
{
	char letter = 0;
	REQUIRE_EQ(kind->take(object, &letter), has);
	REQUIRE(!has || letter == expected);
	REQUIRE(!kind->take(object, &letter));
}

/* evict: the call is the first one on its object, but for the other. */
static bool
once(uint32_t at, bool evict)
{
	char letter;
	if (!gives)
		REQUIRE_EQ(kind->give(0, 'A'), 0);
	if (evict)
		REQUIRE(kind->give(1, 'C') == 0 && kind->take(1, &letter) && letter == 'C');
	given_nested = -EDEADLK;
	bool more = steps_into(interrupted, NULL, at, call_another);
	REQUIRE(!gives || given == 0);
	REQUIRE(given_nested == 0 || given_nested == -EDEADLK);
	must_hold(0, gives, 'A');
	must_hold(1, given_nested == 0, 'B');
	return more;
}

/* Both sides of it. */
static void
use(int object)
{
	REQUIRE_EQ(kind->give(object, 'D'), 0);
	must_hold(object, true, 'D');
}

/* Those that lie elsewhere stay until the arena ends. */
static void
make_in_one_home(int i)
{
	do
		kind->make(i);
	while (kind->home(i) != kind->home(0));
	use(i);
}

/* The first one is at home there and the last one beside it, so that the other two take turns. */
static void
make_in_one_place(void)
{
	kind->make(0);
	use(0);
	make_in_one_home(2);
	REQUIRE(!kind->knows || (kind->knows(0) && kind->knows(2)));
	make_in_one_home(1);
	REQUIRE(!kind->knows || (!kind->knows(0) && kind->knows(1) && kind->knows(2)));
}

static void
at_instructions(const struct kind *k)
{
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	kind = k;
	make_in_one_place();
	for (int way = 0; way < 4; way++) {
		gives = way & 1;
		for (uint32_t at = 0; once(at, way & 2); at += HARNESS_SLOW * (1 + at / 128))
			continue;
	}
	for (int i = 0; i < 3; i++)
		kind->destroy(i);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
}

/*
 * Two of one home that are used in turn both stay known: a look-up anew costs several times what a
 * call does. A third one takes the home of the first; what is of an older epoch leaves its place.
 */
static void
take_places(const struct kind *k)
{
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	kind = k;
	make_in_one_place();
	thread_epoch_next();
	use(1);
	REQUIRE(!kind->knows || kind->knows(1));
	use(0);
	REQUIRE(!kind->knows || (kind->knows(0) && kind->knows(1)));
	shoal_arena_close(arena);
}

Test(nested, queues_have_two_places)
{
	take_places(&queues);
}

Test(nested, pipes_have_two_places)
{
	take_places(&pipes);
}

Test(nested, calls_on_other_queues)
{
	at_instructions(&queues);
}

Test(nested, calls_on_other_pipes)
{
	at_instructions(&pipes);
}

Test(nested, calls_on_other_dicts)
{
	at_instructions(&dicts);
}

#endif
