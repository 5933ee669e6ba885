/* Pipes: both ways, one way, shared ends, ends that are given away, the end. */
#include "outside.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

static int
answer(void *its)
{
	char text[16];
	CHECK(shoal_pipe_recv(its, text, sizeof text, SHOAL_SEC(5)) == 6);
	CHECK(shoal_pipe_send(its, "there", 6, SHOAL_SEC(5)) == 0);
	return 0;
}

static void
both_ways(shoal_arena *arena)
{
	shoal_pipe_end *mine, *its, *same;
	shoal_pipe_info info;
	char text[16];
	CHECK(shoal_pipe_create(arena, "line", NULL, &mine, &its) == 0);
	CHECK(shoal_pipe_open(arena, "line", SHOAL_LEFT, SHOAL_NOWAIT, &same) == 0 && same == mine);
	CHECK(shoal_pipe_open(arena, "line", SHOAL_RIGHT, SHOAL_NOWAIT, &same) == 0 && same == its);
	CHECK(shoal_pipe_at(arena, shoal_ref_of(arena, mine), &same) == 0 && same == mine);
	CHECK(shoal_pipe_poll(mine, SHOAL_NOWAIT) == 0);
	CHECK(shoal_pipe_send(mine, "hello", 6, SHOAL_NOWAIT) == 0);
	in_child(answer, its);
	CHECK(shoal_pipe_poll(mine, SHOAL_SEC(5)) == 1 && shoal_pipe_peek_bytes(mine) == 6);
	CHECK(shoal_pipe_recv(mine, text, 2, SHOAL_NOWAIT) == -EMSGSIZE && shoal_needed() == 6);
	CHECK(shoal_pipe_recv(mine, text, sizeof text, SHOAL_NOWAIT) == 6);
	CHECK(shoal_pipe_stat(mine, &info) == 0 && info.sent == 1 && info.received == 1);
	/* Its owner has ended: so has the end. */
	CHECK(shoal_pipe_recv(mine, text, sizeof text, SHOAL_SEC(5)) == -EPIPE);
	CHECK(shoal_pipe_send(mine, text, 1, SHOAL_SEC(5)) == -EPIPE);
	shoal_pipe_close(mine);
	CHECK(shoal_pipe_poll(mine, SHOAL_NOWAIT) == -EPIPE);
	CHECK(shoal_pipe_destroy(arena, mine) == 0);
}

static void
one_way(shoal_arena *arena)
{
	const shoal_pipe_options simplex = { .flags = SHOAL_PIPE_SIMPLEX };
	shoal_pipe_end *in, *out;
	shoal_loan loan;
	int many[3] = { 1, 2, 3 };
	shoal_any got;
	CHECK(shoal_pipe_create(arena, NULL, &simplex, &in, &out) == 0);
	CHECK(shoal_pipe_send(in, "x", 1, SHOAL_NOWAIT) == -EPERM);
	CHECK(shoal_pipe_send(out, "", 0, SHOAL_NOWAIT) == 0);
	CHECK(shoal_pipe_recv(in, many, sizeof many, SHOAL_NOWAIT) == 0);
	CHECK(shoal_pipe_send_many(out, many, sizeof(int), 3, SHOAL_NOWAIT) == 3);
	CHECK(shoal_pipe_recv_many(in, many, sizeof(int), 3, SHOAL_NOWAIT) == 3 && many[2] == 3);
	CHECK(shoal_pipe_reserve(out, 5, SHOAL_NOWAIT, &loan) == 0);
	memcpy(loan.data, "loan", 5);
	CHECK(shoal_loan_commit(&loan, SHOAL_NOWAIT) == 0);
	CHECK(shoal_pipe_borrow(in, SHOAL_NOWAIT, &loan) == 0 && !strcmp(loan.data, "loan"));
	shoal_loan_release(&loan);
	CHECK(shoal_pipe_send_any(out, SHOAL_ANY(3.5), SHOAL_NOWAIT) == 0);
	CHECK(shoal_pipe_recv_any(in, &got, SHOAL_NOWAIT) == 0 && shoal_any_double(&got, 0) == 3.5);
	shoal_any_clear(&got);
	struct pollfd room = { .fd = shoal_pipe_room_fd(out), .events = POLLIN };
	struct pollfd message = { .fd = shoal_pipe_fd(in), .events = POLLIN };
	CHECK(room.fd > STDERR_FILENO && poll(&room, 1, 5000) == 1 && message.fd > STDERR_FILENO);
	while (shoal_pipe_recv(in, many, sizeof many, SHOAL_NOWAIT) != -EAGAIN)
		continue;
	CHECK(shoal_pipe_send(out, "x", 1, SHOAL_NOWAIT) == 0 && poll(&message, 1, 5000) == 1);
	CHECK(shoal_pipe_destroy(arena, in) == 0);
}

static int
refused(void *end)
{
	return shoal_pipe_send(end, "x", 1, SHOAL_NOWAIT) != -EBUSY;
}

static int
use_it(void *end)
{
	return shoal_pipe_send(end, "mine now", 9, SHOAL_NOWAIT);
}

static void
owners(shoal_arena *arena)
{
	const shoal_pipe_options shared = { .flags = SHOAL_PIPE_SHARED_ENDS };
	shoal_pipe_end *left, *right;
	char text[16];
	CHECK(shoal_pipe_create(arena, NULL, NULL, &left, &right) == 0);
	CHECK(shoal_pipe_send(right, "first", 6, SHOAL_NOWAIT) == 0);
	in_child(refused, right);
	CHECK(shoal_pipe_give(right, 0) == 0);
	in_child(use_it, right);
	CHECK(shoal_pipe_recv(left, text, sizeof text, SHOAL_NOWAIT) == 6);
	CHECK(shoal_pipe_recv(left, text, sizeof text, SHOAL_NOWAIT) == 9);
	CHECK(shoal_pipe_destroy(arena, left) == 0);
	CHECK(shoal_pipe_create(arena, NULL, &shared, &left, &right) == 0);
	CHECK(shoal_pipe_send(right, "first", 6, SHOAL_NOWAIT) == 0);
	in_child(use_it, right);
	CHECK(shoal_pipe_recv(left, text, sizeof text, SHOAL_NOWAIT) == 6);
	CHECK(shoal_pipe_recv(left, text, sizeof text, SHOAL_NOWAIT) == 9);
	CHECK(shoal_pipe_destroy(arena, left) == 0);
}

void
pipes(shoal_arena *arena)
{
	both_ways(arena);
	one_way(arena);
	owners(arena);
}
