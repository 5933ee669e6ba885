/* Two children receive and answer on one end: each message is taken by one of them, whole. */
#include <unistd.h>
#include <shoal/shoal.h>

static int
run(void *conn)
{
	char text[64] = "";

	if (shoal_pipe_recv(conn, text, sizeof text, SHOAL_FOREVER) < 0)
		return 1;
	puts(text);
	snprintf(text, sizeof text, "hello, I am subprocess: %d", getpid());
	if (shoal_pipe_send(conn, text, sizeof text, SHOAL_FOREVER) < 0)
		return 1;
	shoal_pipe_close(conn);
	return 0;
}

int
main(void)
{
	static const shoal_pipe_options shared = { .flags = SHOAL_PIPE_SHARED_ENDS };
	char text[64] = "nice to meet you, I am the main process";
	shoal_pipe_end *mine, *its;
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_pipe_create(arena, NULL, &shared, &mine, &its) < 0 ||
	    shoal_process_spawn(run, its, NULL, NULL) < 0 ||
	    shoal_process_spawn(run, its, NULL, NULL) < 0 ||
	    shoal_pipe_send(mine, text, sizeof text, SHOAL_FOREVER) < 0 ||
	    shoal_pipe_send(mine, text, sizeof text, SHOAL_FOREVER) < 0)
		return shoal_perror("pipe"), 1;
	for (int i = 0; i < 2 && shoal_pipe_recv(mine, text, sizeof text, SHOAL_FOREVER) > 0; i++)
		puts(text);
	return 0;
}
