/* The same, with what is a comment in the tutorial: the child reads what its parent sends. */
#include <shoal/shoal.h>

static void
print(shoal_any *got)
{
	shoal_any_print(got, stdout);
	puts("");
	shoal_any_clear(got);
}

static int
f(void *conn)
{
	shoal_any got;

	if (shoal_pipe_send_any(conn, SHOAL_LIST(42, SHOAL_NIL, "lily1"), SHOAL_FOREVER) < 0 ||
	    shoal_pipe_send_any(conn, SHOAL_LIST(42, SHOAL_NIL, "lily2"), SHOAL_FOREVER) < 0 ||
	    shoal_pipe_recv_any(conn, &got, SHOAL_FOREVER) < 0)
		return 1;
	puts(shoal_any_string(&got, "?"));
	shoal_any_clear(&got);
	return 0;
}

int
main(void)
{
	shoal_arena *arena;
	shoal_pipe_end *parent_conn, *child_conn;
	shoal_any got;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_pipe_create(arena, NULL, NULL, &parent_conn, &child_conn) < 0 ||
	    shoal_process_spawn(f, child_conn, NULL, NULL) < 0)
		return shoal_perror("pipe"), 1;
	for (int i = 0; i < 2 && shoal_pipe_recv_any(parent_conn, &got, SHOAL_FOREVER) == 0; i++)
		print(&got);
	return shoal_pipe_send_any(parent_conn, SHOAL_ANY("from parent"), SHOAL_FOREVER) < 0;
}
