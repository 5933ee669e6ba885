#include "base/thread.h"
#include "base/futex.h"
#include "base/kernel.h"
#include "base/pause.h"
#include "base/error.h"
#include "base/signals.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

__thread struct shoal_thread *thread_here;
struct thread_page thread_page;
void (*thread_exit_hook)(struct shoal_thread *);
void (*thread_end_hook)(struct shoal_thread *);
void (*thread_fork_hook)(struct shoal_thread *);

static uint32_t generation;
/*
 * The number that the epoch has come to, or is about to, in this process or in those that it was
 * forked from. A fork does not wipe it, and a child's numbers begin behind it: what its parent
 * found out is kept under none of them.
 */
static word32 epoch_reached;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* The key whose destructor is thread_end, and 1. 0: there is none yet. */
static word32 key_made;

/* Relaxed: who asks has a record, or asked has_key. */
static pthread_key_t
end_key(void)
{
	return load_relaxed(&key_made) - 1;
}

/*
 * Records of ended threads. They are never freed: one who interrupts a thread may still be at its
 * record when the thread has ended by that.
 */
static word64 spare;  /* struct shoal_thread * */
static word64 newest; /* the same, of all; the older ones behind it */

static struct shoal_thread *
make(void)
{
	struct shoal_thread *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	/* Pairs with clear_parents, in a child: the older ones are behind it. */
	do
		t->older = (struct shoal_thread *)(uintptr_t)load_relaxed(&newest);
	while (!cas64_acq_rel(&newest, (uintptr_t)t->older, (uintptr_t)t));
	return t;
}

static void
keep(struct shoal_thread *t)
{
	do
		t->next = (struct shoal_thread *)(uintptr_t)load_relaxed(&spare);
	while (!cas64_acq_rel(&spare, (uintptr_t)t->next, (uintptr_t)t));
}

/* Takes all and gives the rest back, so that no other one's step comes in between. */
static struct shoal_thread *
fresh(void)
{
	struct shoal_thread *t = (struct shoal_thread *)(uintptr_t)exchange_acq_rel(&spare, 0);
	if (!t)
		return make();
	for (struct shoal_thread *more = t->next, *next; more; more = next) {
		next = more->next;
		keep(more);
	}
	store_relaxed(&t->interrupt, 0);
	t->mark = t->held = 0;
	t->lonely = NULL;
	return t;
}

/* NULL first: a handler that comes meanwhile finds none. */
static void
free_table(void **table)
{
	void *its = *table;
	*table = NULL;
	fence_compiler();
	free(its);
}

static void
forget_last(struct shoal_thread *t)
{
	memset(t->cursor_last, 0, sizeof t->cursor_last);
	memset(t->pipe_last, 0, sizeof t->pipe_last);
}

static void
free_tables(struct shoal_thread *t)
{
	forget_last(t);
	free_table(&t->cursors);
	free_table(&t->pipes);
	free_table(&t->watched);
}

/*
 * Until it is nobody's, what a signal handler calls is refused: nobody would give back what it
 * took, and what it allocated might wait for malloc's lock, which this thread has inside free. Then
 * a call begins another record, and this one may be another thread's.
 *
 * In a child that nobody has told of its fork yet it is the parent's record, and all that it names
 * is the parent's.
 */
static void
thread_end(void *record)
{
	struct shoal_thread *t = record;
	if (!thread_is_begun()) {
		thread_here = NULL;
		return;
	}
	t->busy = t->passing = 1;
	if (thread_end_hook)
		thread_end_hook(t);
	free_tables(t);
	thread_here = NULL;
	fence_compiler();
	t->busy = t->passing = 0;
	keep(t);
}

static uint32_t
epoch_after(uint32_t epoch)
{
	return epoch >= THREAD_NO_EPOCH - 1 ? 1 : epoch + 1;
}

/*
 * Who keeps something under a number has read it from the page, behind the CAS or store there that
 * follows this; a fork after that copies what is stored here too.
 */
static void
epoch_reach(uint32_t epoch)
{
	uint32_t seen;
	do
		seen = load_relaxed(&epoch_reached);
	while ((int32_t)(epoch - seen) > 0 && !cas32_acq_rel(&epoch_reached, seen, epoch));
}

void
thread_epoch_next(void)
{
	for (uint32_t seen; (seen = thread_epoch()) != 0;) {
		uint32_t next = epoch_after(seen);
		epoch_reach(next);
		if (cas32_acq_rel(&thread_page.epoch, seen, next))
			return;
	}
}

void
thread_leave(void)
{
	if (!thread_here || !thread_epoch())
		return;
	if (thread_exit_hook)
		thread_exit_hook(thread_here);
	pthread_setspecific(end_key(), NULL);
	thread_end(thread_here);
}

/*
 * The end of the process by exit: the thread that calls it leaves properly, the others' ends look
 * like deaths.
 */
__attribute__((destructor)) static void
end_process(void)
{
	thread_leave();
}

/*
 * Tables are dropped, not freed: another thread of the parent may have been inside malloc at a
 * _Fork, and free would wait for ever for one that is not there.
 */
static void
clear(struct shoal_thread *parents)
{
	/* The forking thread is the child's first. */
	parents->tid = (uint32_t)getpid();
	memset(parents->seat, 0, sizeof parents->seat);
	forget_last(parents);
	parents->cursors = parents->pipes = parents->watched = NULL;
	parents->busy = parents->passing = 0;
	parents->held = 0;
	parents->mark = 0;
	store_relaxed(&parents->interrupt, 0);
}

/* Another thread than the forking one does not know whose record of all is that one's. */
static void
clear_parents(struct shoal_thread *parents)
{
	if (parents) {
		clear(parents);
		return;
	}
	if (kernel_tid() == getpid())
		return;
	struct shoal_thread *t = (struct shoal_thread *)(uintptr_t)load_acquire(&newest);
	for (; t; t = t->older)
		clear(t);
}

/*
 * In the child of a fork only the forking thread lives on; the others' records are garbage there.
 * Of threads that come at once one begins the child, and the others wait for it. Signals are
 * blocked: a handler would wait for the very thread that it interrupts, and what it joined before
 * the record is cleared would have no owner.
 */
static void
begin_child(struct shoal_thread *parents)
{
	if (cas32_acq_rel(&thread_page.beginning, 0, 1)) {
		generation++;
		if (thread_fork_hook)
			thread_fork_hook(parents);
		clear_parents(parents);
		/* Pairs with those who wait, and with begin_here: what was the parent's is gone. */
		uint32_t first = epoch_after(load_relaxed(&epoch_reached));
		epoch_reach(first);
		store_release(&thread_page.epoch, first);
	}
	while (!load_acquire(&thread_page.epoch))
		kernel_yield();
}

/* Others may have taken all keys, and may give some back. Threads may come at once. */
static bool
has_key(void)
{
	pthread_key_t mine;
	if (load_acquire(&key_made))
		return true;
	if (pthread_key_create(&mine, thread_end))
		return false;
	/* Pairs with the load above: the C library knows the key. */
	if (!cas32_acq_rel(&key_made, 0, (uint32_t)mine + 1))
		pthread_key_delete(mine);
	return true;
}

/* The kernel and the C library will hear of its thread's end. */
static bool
may_begin(struct shoal_thread *t)
{
	size_t bytes;
	if (syscall(SYS_get_robust_list, 0, &t->robust, &bytes) || !t->robust)
		return false;
	return has_key() && pthread_setspecific(end_key(), t) == 0;
}

/* With signals blocked. A handler that came before that may have begun everything. */
static struct shoal_thread *
begin_here(void)
{
	struct shoal_thread *t = thread_here;
	/* Pairs with begin_child. */
	if (!load_acquire(&thread_page.epoch))
		begin_child(t);
	else if (t)
		return t;
	if (!t)
		t = fresh();
	if (t && may_begin(t)) {
		t->tid = (uint32_t)kernel_tid();
		return thread_here = t;
	}
	/* As in the child of a raw clone, which has no robust list: a later call tries again. */
	if (thread_here)
		pthread_setspecific(end_key(), NULL);
	thread_here = NULL;
	if (t)
		keep(t);
	return NULL;
}

/*
 * The usual fork comes here; _Fork and raw clone find out at their first call. Here malloc may be
 * used, so the tables are freed, but where a handler forked inside a call that may be at them.
 */
static void
after_fork(void)
{
	sigset_t old;
	signals_block(&old);
	struct shoal_thread *t = thread_here;
	if (!thread_epoch()) {
		if (t && !t->busy)
			free_tables(t);
		if (t)
			begin_here();
		else
			begin_child(NULL);
	}
	signals_restore(&old);
}

static void
begin_process(void)
{
	/* Anew, since it may be a file's, by the linker's script; until now it was 0. */
	void *page = mmap(&thread_page, sizeof thread_page, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (page == MAP_FAILED || madvise(page, sizeof thread_page, MADV_WIPEONFORK))
		stop("no page that fork wipes: %s; Linux 4.14 or later is needed", strerror(errno));
	store_relaxed(&thread_page.beginning, 1);
	epoch_reach(1);
	store_relaxed(&thread_page.epoch, 1);
	pause_measure();
	pthread_atfork(NULL, NULL, after_fork);
}

/*
 * A handler that came in the middle would begin another record, which nobody leaves then; or wait
 * for a lock, of malloc or of pthread_once, that its own thread holds.
 */
struct shoal_thread *
thread_begin(void)
{
	sigset_t old;
	signals_block(&old);
	pthread_once(&once, begin_process);
	struct shoal_thread *t = begin_here();
	signals_restore(&old);
	return t;
}

struct robust_head *
thread_robust(void)
{
	struct shoal_thread *t = thread_here;
	if (likely(t && thread_epoch()))
		return t->robust;
	struct robust_head *head;
	size_t bytes;
	return syscall(SYS_get_robust_list, 0, &head, &bytes) ? NULL : head;
}

uint32_t
thread_generation(void)
{
	return generation;
}

struct shoal_thread *
thread_or_lent(struct shoal_thread *lent)
{
	struct shoal_thread *t = thread_known();
	if (t)
		return t;
	*lent = (struct shoal_thread){ .tid = (uint32_t)kernel_tid(), .robust = thread_robust() };
	return lent->robust ? lent : NULL;
}

shoal_thread *
shoal_thread_self(void)
{
	return thread_self();
}

/*
 * Stores and system calls: safe in a signal handler. The other word may be unmapped by now, which
 * the kernel tells, and its other sleepers look again.
 */
void
shoal_thread_interrupt(shoal_thread *t)
{
	store_seq_cst(&t->interrupt, 1);
	futex_wake(&t->interrupt, 1);
	uint64_t word = load_seq_cst(&t->asleep_on);
	if (word)
		futex_wake((word32 *)(uintptr_t)word, FUTEX_ALL);
}
