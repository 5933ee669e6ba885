/* A child sends two values and closes its end; what the parent sends then, nobody reads. */
#include <shoal/shoal.h>

static int
f(void *conn)
{
	if (shoal_pipe_send_any(conn, SHOAL_LIST(42, SHOAL_NIL, "lily1"), SHOAL_FOREVER) < 0 ||
	    shoal_pipe_send_any(conn, SHOAL_LIST(42, SHOAL_NIL, "lily2"), SHOAL_FOREVER) < 0)
		return 1;
	puts("from child");
	shoal_pipe_close(conn);
	return 0;
}

int
main(void)
{
	shoal_arena *arena;
	shoal_pipe_end *parent_conn, *child_conn;
	shoal_process *p;
	shoal_any got;
	int rc;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_pipe_create(arena, NULL, NULL, &parent_conn, &child_conn) < 0 ||
	    shoal_process_spawn(f, child_conn, NULL, &p) < 0)
		return shoal_perror("pipe"), 1;
	for (int i = 0; i < 2 && shoal_pipe_recv_any(parent_conn, &got, SHOAL_FOREVER) == 0; i++) {
		shoal_any_print(&got, stdout);
		puts("");
		shoal_any_clear(&got);
	}
	/* 0, or -EPIPE once the child has closed its end: an answer, never a signal. */
	rc = shoal_pipe_send_any(parent_conn, SHOAL_ANY("from parent"), SHOAL_FOREVER);
	shoal_process_join(p, SHOAL_FOREVER);
	return rc < 0 && rc != -EPIPE;
}
