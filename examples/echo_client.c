/* Sends its lines to the echo server and prints what comes back: echo_client [ARENA]. */
#include <string.h>

#include <shoal/shoal.h>

#define PATIENCE SHOAL_SEC(10)

static int
send_lines(shoal_pipe_end *server)
{
	char line[4096];

	while (fgets(line, sizeof line, stdin)) {
		int rc = shoal_pipe_send(server, line, strlen(line), PATIENCE);
		ssize_t bytes = rc < 0 ? rc : shoal_pipe_recv(server, line, sizeof line, PATIENCE);

		if (bytes < 0)
			return (int)bytes;
		fwrite(line, 1, (size_t)bytes, stdout);
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	shoal_arena *arena;
	shoal_pipe_end *server;

	if (shoal_arena_attach(argc > 1 ? argv[1] : "echo", PATIENCE, &arena) < 0 ||
	    shoal_pipe_connect(arena, "echo", PATIENCE, &server) < 0 || send_lines(server) < 0) {
		shoal_perror("echo_client");
		return 1;
	}
	shoal_pipe_close(server);
	shoal_arena_close(arena);
	return 0;
}
