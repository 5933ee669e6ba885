/* A queue in a libuv loop. */
#include <unistd.h>
#include <uv.h>

#include <shoal/shoal.h>

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
on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	if (!drain(poll->data))
		uv_close((uv_handle_t *)poll, NULL);
}

int
main(void)
{
	uv_loop_t *loop = uv_default_loop();
	uv_poll_t poll;
	shoal_arena *arena;
	shoal_queue *queue;
	int fd;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &queue) < 0 ||
	    shoal_process_spawn(feed, queue, NULL, NULL) < 0 || (fd = shoal_queue_fd(queue)) < 0)
		return shoal_perror("libuv"), 1;
	poll.data = queue;
	if (uv_poll_init(loop, &poll, fd) < 0 || uv_poll_start(&poll, UV_READABLE, on_readable) < 0)
		return fputs("libuv: the descriptor is not taken\n", stderr), 1;
	uv_run(loop, UV_RUN_DEFAULT);
	return uv_loop_close(loop) < 0;
}
