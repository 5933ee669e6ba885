/* A queue in a libevent loop. */
#include <event2/event.h>
#include <unistd.h>

#include <shoal/shoal.h>

static struct event_base *loop;

static int
feed(void *queue)
{
	for (int i = 1; i <= 5; i++) {
		char text[32];
		int n = snprintf(text, sizeof text, "message %d", i);

		if (shoal_queue_put(queue, text, (size_t)n + 1, SHOAL_FOREVER) < 0)
			return 1;
		usleep(20 * 1000);
	}
	shoal_queue_close(queue);
	return 0;
}

/* Takes what is there. The -EAGAIN at the end of it arms the descriptor again. */
static bool
drain(shoal_queue *queue)
{
	char text[32];
	ssize_t rc;

	while ((rc = shoal_queue_get(queue, text, sizeof text, SHOAL_NOWAIT)) >= 0)
		puts(text);
	return rc == -EAGAIN;
}

static void
on_readable(evutil_socket_t fd, short what, void *queue)
{
	(void)fd, (void)what;
	if (!drain(queue))
		event_base_loopbreak(loop);
}

int
main(void)
{
	struct event *readable = NULL;
	shoal_arena *arena;
	shoal_queue *queue;
	int fd;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &queue) < 0 ||
	    shoal_process_spawn(feed, queue, NULL, NULL) < 0 || (fd = shoal_queue_fd(queue)) < 0)
		return shoal_perror("libevent"), 1;
	loop = event_base_new();
	if (loop)
		readable = event_new(loop, fd, EV_READ | EV_PERSIST, on_readable, queue);
	if (!readable || event_add(readable, NULL) < 0)
		return fputs("libevent: the descriptor is not taken\n", stderr), 1;
	event_base_dispatch(loop);
	event_free(readable);
	event_base_free(loop);
	return 0;
}
