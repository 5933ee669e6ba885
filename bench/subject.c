/* subject.c - the list of everything measured, in the order of the table */
#include "subject.h"

#include <errno.h>
#include <shoal/arena.h>
#include <string.h>
#include <sys/mman.h>

enum {
	LOCK_STRIDE = 256
};

const struct subject *const subjects[] = {
	&subject_queue,
	&subject_queue_batch,
	&subject_queue_loan,
	&subject_queue_spinning,
	&subject_shoal_pipe,
	&subject_shoal_pipe_default,
	&subject_shoal_pipe_batch,
	&subject_shoal_pipe_loan,
	&subject_pipe,
	&subject_pipe_large,
	&subject_pipe_batch,
	&subject_vmsplice,
	&subject_vmsplice_loan,
	&subject_stream,
	&subject_seqpacket,
	&subject_mq,
	&subject_eventfd,
	&subject_mutex,
	&subject_queue_boost,
	&subject_zeromq,
	&subject_nng,
	&subject_vyukov,
	&subject_ck_spsc,
	&subject_ck_mpmc,
	&subject_rte_ring_spsc,
	&subject_rte_ring_spsc_batch,
	&subject_rte_ring,
	&subject_rte_ring_batch,
	&subject_rte_ring_rts,
	&subject_rte_ring_hts,
	&subject_queue_tbb,
	&subject_python_queue,
	&subject_python_simple,
	&subject_python_pipe,
	&subject_alloc,
	&subject_malloc,
	&subject_lock,
	&subject_lock_normal,
	&subject_lock_robust,
	&subject_lock_pi,
	&subject_lock_sem,
	&subject_lock_ck,
	&subject_lock_boost,
	&subject_bare_fork,
	&subject_start_fork,
	&subject_start_server,
	&subject_start_spawn,
	&subject_bare_spawn,
	&subject_dict,
	&subject_map_boost,
	&subject_map_lmdb,
	&subject_map_redis,
	&subject_map_memcached,
	&subject_map_python,
	&subject_map_lfht,
	&subject_map_private,
};
const size_t subject_count = sizeof subjects / sizeof *subjects;

bool
subject_is_ours(const struct subject *s)
{
	return strncmp(s->name, "shoal", 5) == 0;
}

void *
shared_memory(size_t bytes)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int
open_locks(struct opening *o, size_t bytes, int (*init)(void *lock))
{
	char *memory = bytes <= LOCK_STRIDE ? shared_memory(WAYS_MAX * LOCK_STRIDE) : NULL;
	int rc = 0;

	if (!memory)
		return -ENOMEM;
	for (int i = 0; i < WAYS_MAX && rc == 0; i++) {
		o->way[i] = memory + i * LOCK_STRIDE;
		rc = init(o->way[i]);
	}
	return rc;
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
