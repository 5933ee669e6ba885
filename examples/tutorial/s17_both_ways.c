/* Each end of a pipe sends to the other one, and prints what it receives under a lock. */
#include <shoal/shoal.h>

static shoal_pipe_end *one_end, *the_other_end;
static shoal_lock *lock;

static int
talk(shoal_pipe_end *end, const char *greeting)
{
	shoal_any got;

	if (shoal_pipe_send_any(end, SHOAL_ANY(greeting), SHOAL_FOREVER) < 0)
		return 1;
	SHOAL_HOLD(lock);
	if (shoal_pipe_recv_any(end, &got, SHOAL_FOREVER) < 0)
		return 1;
	puts(shoal_any_string(&got, "?"));
	shoal_any_clear(&got);
	return 0;
}

static int
run(void *end)
{
	return talk(end, end == one_end ? "hello from one_end_pipe" : "hello from the_other_end_pipe");
}

int
main(void)
{
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_lock_create(arena, NULL, 0, &lock) < 0 ||
	    shoal_pipe_create(arena, NULL, NULL, &one_end, &the_other_end) < 0 ||
	    shoal_process_spawn(run, one_end, NULL, NULL) < 0 ||
	    shoal_process_spawn(run, the_other_end, NULL, NULL) < 0)
		return shoal_perror("pipe"), 1;
	return 0;
}
