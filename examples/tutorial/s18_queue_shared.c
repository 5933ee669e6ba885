/* The parent puts eight numbers; five children take one each; the parent has the rest, in order. */
#include <unistd.h>
#include <shoal/shoal.h>

static shoal_queue *q;

static int
take(void)
{
	int n;
	return shoal_queue_get(q, &n, sizeof n, SHOAL_FOREVER) < 0 ? -1 : n;
}

static int
say_hello(void *name)
{
	return printf("get: %d pid: %d %s\n", take(), getpid(), (const char *)name) < 0;
}

int
main(void)
{
	static const char *const name[] = { "Binary", "Joker", "Bob", "Joe", "new_one" };
	shoal_process *p[5];
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 || shoal_queue_create(arena, NULL, NULL, &q) < 0)
		return shoal_perror("queue"), 1;
	for (int n = 1; n <= 8; n++)
		if (shoal_queue_put(q, &n, sizeof n, SHOAL_FOREVER) < 0)
			return shoal_perror("put"), 1;
	for (int i = 0; i < 5; i++)
		if (shoal_process_spawn(say_hello, (void *)name[i], NULL, &p[i]) < 0)
			return shoal_perror("process"), 1;
	for (int i = 0; i < 5; i++)
		shoal_process_join(p[i], SHOAL_FOREVER);
	for (int i = 0; i < 3; i++)
		printf("%d\n", take());
	return 0;
}
