/* A queue in an epoll loop, beside whatever else the loop looks after. */
#include <sys/epoll.h>
#include <unistd.h>

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

int
main(void)
{
	struct epoll_event readable = { .events = EPOLLIN }, event;
	int loop = epoll_create1(EPOLL_CLOEXEC);
	shoal_arena *arena;
	shoal_queue *queue;
	int fd;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &queue) < 0 ||
	    shoal_process_spawn(feed, queue, NULL, NULL) < 0 || (fd = shoal_queue_fd(queue)) < 0)
		return shoal_perror("epoll"), 1;
	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &readable) < 0)
		return perror("epoll"), 1;
	while (drain(queue))
		epoll_wait(loop, &event, 1, -1);
	close(loop);
	return 0;
}
