/* Three children write one key of a dict, and their numbers into a list; the parent just waits. */
#include <unistd.h>
#include <shoal/shoal.h>

static shoal_dict *m_dict;
static shoal_list *m_list;

static int
op(void *unused)
{
	(void)unused;
	if (shoal_dict_set(m_dict, SHOAL_ANY(1), SHOAL_ANY("dict in op")) < 0 ||
	    shoal_list_append(m_list, SHOAL_ANY(getpid())) < 0)
		return 1;
	puts("finish op ...");
	return 0;
}

int
main(void)
{
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_dict_create(arena, NULL, NULL, &m_dict) < 0 ||
	    shoal_list_create(arena, NULL, NULL, &m_list) < 0)
		return shoal_perror("manager"), 1;
	for (int i = 0; i < 3; i++)
		if (shoal_process_spawn(op, NULL, NULL, NULL) < 0)
			return shoal_perror("process"), 1;
	sleep(5);
	shoal_dict_print(m_dict, stdout);
	puts("");
	shoal_list_print(m_list, stdout);
	puts("");
	return 0;
}
