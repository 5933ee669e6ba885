/*
 * Two children send on the same end of a pipe. Python's messages may get mixed then; here it must
 * be asked for, and each message arrives whole.
 */
#include <shoal/shoal.h>

static shoal_pipe_end *parent_conn, *child_conn;

static int
run(void *unused)
{
	(void)unused;
	return shoal_pipe_send(child_conn, "f", 1, SHOAL_FOREVER);
}

int
main(void)
{
	static const shoal_pipe_options shared = { .flags = SHOAL_PIPE_SHARED_ENDS };
	shoal_arena *arena;
	char text[2] = "";

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_pipe_create(arena, NULL, &shared, &parent_conn, &child_conn) < 0 ||
	    shoal_process_spawn(run, NULL, NULL, NULL) < 0 ||
	    shoal_process_spawn(run, NULL, NULL, NULL) < 0)
		return shoal_perror("pipe"), 1;
	for (int i = 0; i < 2; i++) {
		if (shoal_pipe_recv(parent_conn, text, 1, SHOAL_FOREVER) < 0)
			return shoal_perror("receive"), 1;
		puts(text);
	}
	return 0;
}
