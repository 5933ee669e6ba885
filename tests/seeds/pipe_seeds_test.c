/* The tutorials' programs about pipes: S3, S11, S12, S17, S23. Their lists are text here. */
#include "seeds/tutorial.h"
#include <string.h>
#include <unistd.h>

static int
send_f(void *child_conn)
{
	send_text(child_conn, "f");
	return 0;
}

Test(pipe_seeds, s3_two_processes_send_on_one_end)
{
	shoal_pipe_end *parent_conn, *child_conn;
	transcript_begin();
	new_pipe(SHOAL_PIPE_SHARED_ENDS, &parent_conn, &child_conn);
	shoal_process *p1 = start(send_f, child_conn, NULL);
	shoal_process *p2 = start(send_f, child_conn, NULL);
	say("%s", recv_text(parent_conn));
	say("%s", recv_text(parent_conn));
	finish(p1);
	finish(p2);

	REQUIRE_EQ(transcript_lines()->count, 2);
	REQUIRE_EQ(said("f"), 2);
}

/* 0 when the end refuses this process, and says how it would not. */
static int
be_refused(void *child_conn)
{
	REQUIRE_EQ(shoal_pipe_send(child_conn, "f", 2, SHOAL_NOWAIT), -EBUSY);
	REQUIRE(strstr(shoal_error(), "SHOAL_PIPE_SHARED_ENDS"));
	return 0;
}

/* Without the flag an end belongs to the first process that uses it, and a second one is told. */
Test(pipe_seeds, s3_an_unshared_end_refuses_a_second_process)
{
	shoal_pipe_end *parent_conn, *child_conn;
	transcript_begin();
	new_pipe(0, &parent_conn, &child_conn);
	send_text(child_conn, "mine");
	finish(start(be_refused, child_conn, NULL));
	REQUIRE_STR_EQ(recv_text(parent_conn), "mine");
}

static int
send_twice(void *child_conn)
{
	send_text(child_conn, "[42, null, 'lily1']");
	send_text(child_conn, "[42, null, 'lily2']");
	say("from child");
	shoal_pipe_close(child_conn);
	return 0;
}

Test(pipe_seeds, s11_what_nobody_will_read_can_be_sent)
{
	shoal_pipe_end *parent_conn, *child_conn;
	transcript_begin();
	new_pipe(0, &parent_conn, &child_conn);
	shoal_process *p = start(send_twice, child_conn, NULL);
	REQUIRE_STR_EQ(recv_text(parent_conn), "[42, null, 'lily1']");
	REQUIRE_STR_EQ(recv_text(parent_conn), "[42, null, 'lily2']");
	/* Whether the child has closed its end yet is open; it is told, and never a signal. */
	int rc = shoal_pipe_send(parent_conn, "from parent", 12, SHOAL_SEC(10));
	REQUIRE(rc == 0 || rc == -EPIPE);
	finish(p);
	REQUIRE_EQ(said("from child"), 1);
	REQUIRE_EQ(shoal_pipe_send(parent_conn, "from parent", 12, SHOAL_SEC(10)), -EPIPE);
}

static int
send_twice_and_receive(void *child_conn)
{
	send_text(child_conn, "[42, null, 'lily1']");
	send_text(child_conn, "[42, null, 'lily2']");
	say("from child");
	say("%s", recv_text(child_conn));
	shoal_pipe_close(child_conn);
	return 0;
}

Test(pipe_seeds, s12_the_child_hears_its_parent)
{
	shoal_pipe_end *parent_conn, *child_conn;
	transcript_begin();
	new_pipe(0, &parent_conn, &child_conn);
	shoal_process *p = start(send_twice_and_receive, child_conn, NULL);
	REQUIRE_STR_EQ(recv_text(parent_conn), "[42, null, 'lily1']");
	REQUIRE_STR_EQ(recv_text(parent_conn), "[42, null, 'lily2']");
	send_text(parent_conn, "from parent");
	finish(p);

	const struct transcript *t = transcript_lines();
	REQUIRE_EQ(t->count, 2);
	REQUIRE_STR_EQ(t->line[0], "from child");
	REQUIRE_STR_EQ(t->line[1], "from parent");
}

struct speaker {
	shoal_pipe_end *end;
	shoal_lock *lock;
	const char *greeting;
};

static int
send_then_print(void *arg)
{
	const struct speaker *me = arg;
	send_text(me->end, me->greeting);
	REQUIRE_EQ(shoal_lock_acquire(me->lock, SHOAL_SEC(10)), 0);
	say("%s", recv_text(me->end));
	return shoal_lock_release(me->lock);
}

Test(pipe_seeds, s17_both_ends_send_first_and_then_print_one_at_a_time)
{
	struct speaker one = { .greeting = "hello from one_end_pipe" };
	struct speaker other = { .greeting = "hello from the_other_end_pipe" };
	transcript_begin();
	new_pipe(0, &one.end, &other.end);
	one.lock = other.lock = new_lock();
	shoal_process *p1 = start(send_then_print, &one, NULL);
	shoal_process *p2 = start(send_then_print, &other, NULL);
	finish(p1);
	finish(p2);

	REQUIRE_EQ(transcript_lines()->count, 2);
	REQUIRE_EQ(said("hello from one_end_pipe"), 1);
	REQUIRE_EQ(said("hello from the_other_end_pipe"), 1);
}

static int
receive_and_reply(void *child_conn)
{
	char reply[64];
	say("%s", recv_text(child_conn));
	snprintf(reply, sizeof reply, "hello, I am subprocess %d", (int)getpid());
	send_text(child_conn, reply);
	shoal_pipe_close(child_conn);
	return 0;
}

Test(pipe_seeds, s23_two_children_receive_and_reply_on_one_end)
{
	static const char greeting[] = "nice to meet you, I am the main process";
	shoal_pipe_end *parent_conn, *child_conn;
	transcript_begin();
	new_pipe(SHOAL_PIPE_SHARED_ENDS, &parent_conn, &child_conn);
	shoal_process *p = start(receive_and_reply, child_conn, NULL);
	shoal_process *p1 = start(receive_and_reply, child_conn, NULL);
	send_text(parent_conn, greeting);
	send_text(parent_conn, greeting);
	int first = 0, second = 0;
	REQUIRE_EQ(sscanf(recv_text(parent_conn), "hello, I am subprocess %d", &first), 1);
	REQUIRE_EQ(sscanf(recv_text(parent_conn), "hello, I am subprocess %d", &second), 1);
	REQUIRE(first != second);
	REQUIRE_EQ(first + second, shoal_process_pid(p) + shoal_process_pid(p1));
	finish(p);
	finish(p1);

	REQUIRE_EQ(transcript_lines()->count, 2);
	REQUIRE_EQ(said(greeting), 2);
}
