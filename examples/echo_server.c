/*
 * Sends back what its clients send, however many there are, in one thread: echo_server [ARENA].
 *
 * A listener has no place among the items of shoal_wait, but its descriptor has: item 0. Each
 * client has a pipe of its own, which ends when the client does, in whatever way.
 */
#include <stdlib.h>

#include <shoal/shoal.h>

static const shoal_arena_options shared_arena = { .flags = SHOAL_OR_ATTACH | SHOAL_UNLINK_LAST };

/* What is waited for: the listener, then each client's end of its pipe. */
static shoal_waitable *items;
static size_t count;

/* All who have come: what makes a descriptor ready is taken until there is no more of it. */
static int
welcome(shoal_listener *listener)
{
	shoal_pipe_end *end;
	int rc;

	while ((rc = shoal_listener_accept(listener, SHOAL_NOWAIT, &end)) == 0) {
		shoal_waitable *more = realloc(items, (count + 1) * sizeof *items);

		if (!more)
			return -ENOMEM;
		items = more;
		items[count++] = shoal_on_pipe(end);
	}
	return rc == -EAGAIN ? 0 : rc;
}

/* False: the client has gone, or does not take what it asked for. */
static bool
answer(shoal_pipe_end *end)
{
	char text[4096];
	ssize_t bytes;

	while ((bytes = shoal_pipe_recv(end, text, sizeof text, SHOAL_NOWAIT)) >= 0)
		if (shoal_pipe_send(end, text, (size_t)bytes, SHOAL_NOWAIT) < 0)
			return false;
	return bytes == -EAGAIN;
}

static int
serve(shoal_listener *listener)
{
	for (;;) {
		int rc = shoal_wait(items, count, SHOAL_FOREVER);

		if (rc < 0)
			return rc;
		for (size_t i = count - 1; i > 0; i--) {
			if (!items[i].ready || answer(items[i].on.object))
				continue;
			shoal_pipe_close(items[i].on.object);
			items[i] = items[--count];
		}
		if (items[0].ready && (rc = welcome(listener)) < 0)
			return rc;
	}
}

int
main(int argc, char **argv)
{
	shoal_arena *arena;
	shoal_listener *listener;

	items = malloc(sizeof *items);
	if (!items || shoal_arena_create(argc > 1 ? argv[1] : "echo", &shared_arena, &arena) < 0 ||
	    shoal_listener_create(arena, "echo", NULL, &listener) < 0) {
		shoal_perror("echo_server");
		return 1;
	}
	items[count++] = shoal_on_fd(shoal_listener_fd(listener));
	if (serve(listener) < 0)
		shoal_perror("echo_server");
	return 1;
}
