/* subject.c - the list of everything measured, in the order of the table */
#include "subject.h"

#include <shoal/arena.h>
#include <sys/mman.h>

const struct subject *const subjects[] = {
	&subject_queue,
	&subject_queue_batch,
	&subject_queue_loan,
	&subject_shoal_pipe,
	&subject_shoal_pipe_batch,
	&subject_shoal_pipe_loan,
	&subject_pipe,
	&subject_socket,
	&subject_mq,
	&subject_mutex,
	&subject_vyukov,
	&subject_alloc,
	&subject_malloc,
};
const size_t subject_count = sizeof subjects / sizeof *subjects;

void *
shared_memory(size_t bytes)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int
close_arena(struct opening *o)
{
	int rc = shoal_arena_recover(o->arena);

	if (rc >= 0)
		rc = shoal_arena_check(o->arena, stderr);
	shoal_arena_close(o->arena);
	return rc;
}
