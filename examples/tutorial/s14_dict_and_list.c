/* Ten processes write their numbers into a dict and a list that they share. */
#include <unistd.h>
#include <shoal/shoal.h>

static shoal_dict *d;
static shoal_list *l;

static int
f(void *unused)
{
	(void)unused;
	if (shoal_dict_set(d, SHOAL_ANY(getpid()), SHOAL_ANY(getpid())) < 0)
		return 1;
	return shoal_list_append(l, SHOAL_ANY(getpid()));
}

int
main(void)
{
	shoal_process *p[10];
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_dict_create(arena, NULL, NULL, &d) < 0 ||
	    shoal_list_create(arena, NULL, NULL, &l) < 0 ||
	    shoal_list_extend(l, SHOAL_LIST(0, 1, 2, 3, 4)) < 0)
		return shoal_perror("manager"), 1;
	for (int i = 0; i < 10; i++)
		if (shoal_process_spawn(f, NULL, NULL, &p[i]) < 0)
			return shoal_perror("process"), 1;
	for (int i = 0; i < 10; i++)
		shoal_process_join(p[i], SHOAL_FOREVER);
	shoal_dict_print(d, stdout);
	puts("");
	shoal_list_print(l, stdout);
	puts("");
	return 0;
}
