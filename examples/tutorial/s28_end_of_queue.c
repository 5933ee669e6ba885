/*
 * The reader takes until there is no more. Python's queue cannot say that: there this program
 * prints seven items and hangs. Here the writer closes the queue, and the eighth get is -EPIPE.
 */
#include <unistd.h>
#include <shoal/shoal.h>

static int
prt_q(void *q)
{
	char text[3] = "";
	ssize_t rc;

	while ((rc = shoal_queue_get(q, text, 2, SHOAL_FOREVER)) >= 0 && puts(text) >= 0)
		usleep(100 * 1000);
	return rc != -EPIPE;
}

int
main(void)
{
	static const char *const all[] = { "aa", "bb", "cc", "dd", "ee", "ff", "gg" };
	shoal_arena *arena;
	shoal_queue *q;
	shoal_process *p;
	int code;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 || shoal_queue_create(arena, NULL, NULL, &q) < 0)
		return shoal_perror("queue"), 1;
	for (int i = 0; i < 7; i++) {
		printf("%s put into the queue\n", all[i]);
		if (shoal_queue_put(q, all[i], 2, SHOAL_FOREVER) < 0)
			return shoal_perror("put"), 1;
		usleep(200 * 1000);
	}
	shoal_queue_close(q);
	if (shoal_process_spawn(prt_q, q, NULL, &p) < 0 || shoal_process_join(p, SHOAL_FOREVER) < 0)
		return shoal_perror("process"), 1;
	return shoal_process_exitcode(p, &code) < 0 || code;
}
