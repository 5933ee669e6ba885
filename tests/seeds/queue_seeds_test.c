/* The tutorials' programs about queues: S2, S10, S18, S22, S28. */
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

/* [42, None, 'hello'] crosses as it is. */
static int
put_three(void *queue)
{
	return shoal_queue_put_any(queue, SHOAL_LIST(42, SHOAL_NIL, "hello"), SHOAL_FOREVER);
}

Test(queue_seeds, s10_a_list_of_a_number_nothing_and_a_text_crosses)
{
	shoal_any got, want = SHOAL_LIST(42, SHOAL_NIL, "hello");
	shoal_queue *q = new_queue();
	shoal_process *p = start(put_three, q, NULL);
	REQUIRE_EQ(shoal_queue_get_any(q, &got, SHOAL_SEC(10)), 0);
	REQUIRE(shoal_any_equal(&got, &want));
	REQUIRE_EQ(shoal_any_at(&got, 1)->kind, SHOAL_ANY_NIL);
	shoal_any_clear(&got);
	finish(p);
}

struct numbered {
	shoal_queue *queue;
	int number;
};

/* The queue's address is the same in forked processes. */
static int
put_hello(void *arg)
{
	const struct numbered *me = arg;
	long long id = (long long)(intptr_t)me->queue;
	return shoal_queue_put_any(me->queue, SHOAL_LIST("hello", me->number, id), SHOAL_FOREVER);
}

Test(queue_seeds, s22_three_processes_say_hello_through_the_same_queue)
{
	struct numbered me[3];
	shoal_process *p[3];
	unsigned seen = 0;
	shoal_queue *q = new_queue();
	for (int i = 0; i < 3; i++) {
		me[i] = (struct numbered){ q, i };
		p[i] = start(put_hello, &me[i], NULL);
	}
	for (int i = 0; i < 3; i++) {
		shoal_any got;
		REQUIRE_EQ(shoal_queue_get_any(q, &got, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(got.count, 3);
		REQUIRE_STR_EQ(shoal_any_string(shoal_any_at(&got, 0), ""), "hello");
		int64_t n = shoal_any_int(shoal_any_at(&got, 1), -1);
		REQUIRE(n >= 0 && n < 3 && !(seen & 1u << n));
		seen |= 1u << n;
		REQUIRE_EQ(shoal_any_int(shoal_any_at(&got, 2), 0), (intptr_t)q);
		shoal_any_clear(&got);
	}
	for (int i = 0; i < 3; i++)
		finish(p[i]);
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
