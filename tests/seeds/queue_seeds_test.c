/* The tutorials' programs about queues: S2, S18, S28. S10 and S22 put lists: they need values. */
#include "seeds/tutorial.h"
#include <string.h>
#include <unistd.h>

static shoal_queue *global_queue;

static int
put_one(void *unused)
{
	int one = 1;
	(void)unused;
	return shoal_queue_put(global_queue, &one, sizeof one, SHOAL_FOREVER);
}

Test(queue_seeds, s2_a_child_puts_into_a_queue_that_it_inherited)
{
	transcript_begin();
	global_queue = new_queue();
	shoal_process *p1 = start(put_one, NULL, NULL);
	int got = 0;
	REQUIRE_EQ(shoal_queue_get(global_queue, &got, sizeof got, SHOAL_SEC(10)), sizeof got);
	say("%d", got);
	finish(p1);

	REQUIRE_EQ(transcript_lines()->count, 1);
	REQUIRE_EQ(said("1"), 1);
}

struct greeter {
	const char *name;
	shoal_queue *queue;
};

static int
get_int(shoal_queue *queue)
{
	int n = 0;
	REQUIRE_EQ(shoal_queue_get(queue, &n, sizeof n, SHOAL_SEC(10)), sizeof n);
	return n;
}

static int
say_hello(void *arg)
{
	const struct greeter *me = arg;
	say("get: %d pid: %d %s", get_int(me->queue), (int)getpid(), me->name);
	return 0;
}

Test(queue_seeds, s18_five_children_and_the_parent_share_eight_messages)
{
	static const char *const name[] = { "Binary", "Joker", "Bob", "Joe", "new_one" };
	struct greeter greeter[5];
	shoal_process *p[5];
	transcript_begin();
	shoal_queue *q = new_queue();
	for (int n = 1; n <= 8; n++)
		REQUIRE_EQ(shoal_queue_put(q, &n, sizeof n, SHOAL_NOWAIT), 0);
	for (int i = 0; i < 5; i++) {
		greeter[i] = (struct greeter){ name[i], q };
		p[i] = start(say_hello, &greeter[i], NULL);
	}
	for (int i = 0; i < 5; i++)
		finish(p[i]);

	/* The children have taken the first five, each a different one; the rest comes in order. */
	const struct transcript *t = transcript_lines();
	unsigned seen = 0;
	REQUIRE_EQ(t->count, 5);
	for (size_t i = 0; i < t->count; i++) {
		int n = 0;
		REQUIRE_EQ(sscanf(t->line[i], "get: %d", &n), 1);
		REQUIRE(n >= 1 && n <= 5 && !(seen & 1u << n));
		seen |= 1u << n;
	}
	REQUIRE_EQ(get_int(q), 6);
	REQUIRE_EQ(get_int(q), 7);
	REQUIRE_EQ(get_int(q), 8);
	REQUIRE(shoal_queue_empty(q));
}

static const char *const letters[] = { "aa", "bb", "cc", "dd", "ee", "ff", "gg" };

static int
print_all(void *queue)
{
	char text[8];
	ssize_t rc;
	while ((rc = shoal_queue_get(queue, text, sizeof text, SHOAL_SEC(10))) >= 0)
		say("%.*s", (int)rc, text);
	REQUIRE_EQ(rc, -EPIPE);
	return 0;
}

/*
 * In Python this program gets its seven items and then waits for ever, since a queue has no end.
 * Here the parent closes the queue, and the child's eighth get says so.
 */
Test(queue_seeds, s28_a_closed_queue_is_read_to_its_end)
{
	transcript_begin();
	shoal_queue *q = new_queue();
	for (int i = 0; i < 7; i++)
		put_text(q, letters[i]);
	shoal_queue_close(q);
	finish(start(print_all, q, NULL));

	const struct transcript *t = transcript_lines();
	REQUIRE_EQ(t->count, 7);
	for (int i = 0; i < 7; i++)
		REQUIRE_STR_EQ(t->line[i], letters[i]);
}

/* The same with the consumer there first: it sleeps, and the close wakes it. */
Test(queue_seeds, s28_a_waiting_reader_learns_of_the_end)
{
	transcript_begin();
	shoal_queue *q = new_queue();
	shoal_process *p = start(print_all, q, NULL);
	for (int i = 0; i < 7; i++) {
		put_text(q, letters[i]);
		sleep_ms(10);
	}
	shoal_queue_close(q);
	finish(p);

	REQUIRE_EQ(transcript_lines()->count, 7);
}
