/* Waiting for several things; listeners, and clients that connect to them. */
#include "outside.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

static int
client(void *arena)
{
	shoal_pipe_end *end;
	char text[8];
	CHECK(shoal_pipe_connect(arena, "echo", SHOAL_SEC(5), &end) == 0);
	CHECK(shoal_pipe_send(end, "hello", 6, SHOAL_SEC(5)) == 0);
	CHECK(shoal_pipe_recv(end, text, sizeof text, SHOAL_SEC(5)) == 6 && !strcmp(text, "hello"));
	shoal_pipe_close(end);
	return 0;
}

static void
echo(shoal_arena *arena)
{
	shoal_listener *listener;
	shoal_process *child;
	shoal_pipe_end *end;
	char text[8];
	CHECK(shoal_listener_create(arena, "echo", NULL, &listener) == 0);
	CHECK(shoal_listener_accept(listener, SHOAL_NOWAIT, &end) == -EAGAIN);
	struct pollfd came = { .fd = shoal_listener_fd(listener), .events = POLLIN };
	CHECK(shoal_process_spawn(client, arena, NULL, &child) == 0);
	CHECK(came.fd > STDERR_FILENO && poll(&came, 1, 5000) == 1);
	CHECK(shoal_listener_accept(listener, SHOAL_SEC(5), &end) == 0);
	CHECK(shoal_pipe_recv(end, text, sizeof text, SHOAL_SEC(5)) == 6);
	CHECK(shoal_pipe_send(end, text, 6, SHOAL_SEC(5)) == 0);
	CHECK(shoal_process_join(child, SHOAL_SEC(5)) == 0 && shoal_process_close(child) == 0);
	shoal_pipe_close(end);
	CHECK(shoal_listener_destroy(arena, listener) == 0);
	CHECK(shoal_pipe_connect(arena, "echo", SHOAL_NOWAIT, &end) == -ENOENT);
}

static int
put_one(void *queue)
{
	return shoal_queue_put(queue, "x", 1, SHOAL_FOREVER);
}

/* Words in memory, and descriptors: the list says which are ready, of whatever kind. */
static void
of_each_kind(shoal_arena *arena)
{
	shoal_pipe_end *mine, *its;
	int fds[2];
	CHECK(shoal_pipe_create(arena, NULL, NULL, &mine, &its) == 0 && pipe(fds) == 0);
	shoal_waitable on[] = { shoal_on_pipe(mine), shoal_on_fd(fds[0]) };
	CHECK(shoal_wait(on, 2, SHOAL_MS(1)) == 0 && !on[0].ready && !on[1].ready);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(shoal_wait(on, 2, SHOAL_SEC(5)) == 1 && !on[0].ready && on[1].ready);
	CHECK(shoal_pipe_send(its, "x", 1, SHOAL_NOWAIT) == 0);
	CHECK(shoal_wait(on, 2, SHOAL_SEC(5)) == 2 && on[0].ready && on[1].ready);
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
	CHECK(shoal_wait(on, 2, SHOAL_NOWAIT) == -EBADF);
	CHECK(shoal_pipe_destroy(arena, mine) == 0);
}

void
waits(shoal_arena *arena)
{
	shoal_event *event = shoal_new(arena, sizeof *event);
	shoal_process *child;
	shoal_queue *q;
	echo(arena);
	of_each_kind(arena);
	CHECK(event && shoal_queue_create(arena, NULL, NULL, &q) == 0);
	shoal_waitable on[] = { shoal_on_queue(q), shoal_on_event(event) };
	CHECK(shoal_wait(on, 2, SHOAL_MS(1)) == 0);
	CHECK(shoal_process_spawn(put_one, q, NULL, &child) == 0);
	CHECK(shoal_wait(on, 2, SHOAL_SEC(5)) == 1 && on[0].ready && !on[1].ready);
	on[1] = shoal_on_process(child);
	CHECK(shoal_wait(on + 1, 1, SHOAL_SEC(5)) == 1 && on[1].ready);
	CHECK(shoal_process_join(child, SHOAL_NOWAIT) == 0 && shoal_process_close(child) == 0);
	on[1] = shoal_on_event(event);
	CHECK(shoal_event_set(event) == 0);
	CHECK(shoal_wait(on, 2, SHOAL_SEC(5)) == 2 && on[0].ready && on[1].ready);
	CHECK(shoal_queue_destroy(arena, q) == 0);
	shoal_free(arena, event);
}
