/*
 * The rule of list_op_pending, tried on the running kernel.
 *
 * The caller sleeps on `lobby`. A thread moves it from there to `word` in the kernel, which tells
 * that it is asleep there, and ends while its robust list's list_op_pending names `word`. If the
 * caller is woken, the rule holds; if the thread has ended and nobody has woken it in DOUBT_NS, it
 * does not.
 *
 * A sleeper whom the scheduler wakes for nothing, or who is stopped and continued, sleeps again
 * where it began: in the lobby. So the lobby is closed behind it before the thread ends, and one
 * that came back to it ends a trial that tells nothing.
 *
 * The thread is the kernel's alone, in 50 us: one made by pthread_create would tell the C library
 * for ever that its locks are needed. It shares the caller's thread-local storage, so it makes only
 * calls that do not fail, and nothing in it is instrumented.
 */
#include "base/clock.h"
#include "base/futex.h"
#include "base/kernel.h"
#include "base/signals.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DOUBT_NS INT64_C(50000000)
/* Trials that tell nothing are made again, and so is the first that tells that nobody is woken. */
enum { TRIES = 8, DOUBTS = 2 };
enum { CLOSED = 1 };
#define STACK_BYTES ((size_t)64 * 1024)
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID)

/* The kernel's struct robust_list_head. */
struct list_head {
	void *first;
	long offset;
	void *pending;
};

struct trial {
	word32 lobby, word;
	word32 back; /* how many came back to the lobby before it was closed */
	word32 over; /* the caller sleeps no more */
	word32 alive; /* the thread's id; cleared and woken by the kernel when it has ended */
	struct list_head head;
};

__attribute__((no_sanitize("address", "thread", "undefined"))) static int
die(void *arg)
{
	struct trial *t = arg;
	syscall(SYS_set_robust_list, &t->head, sizeof t->head);
	while (syscall(SYS_futex, &t->lobby, FUTEX_CMP_REQUEUE, 0, 1L, &t->word, 0) == 0)
		if (*(volatile uint32_t *)&t->over)
			return 0;
	*(volatile uint32_t *)&t->lobby = CLOSED;
	*(volatile uint32_t *)&t->back = (uint32_t)syscall(SYS_futex, &t->lobby, FUTEX_WAKE, 1L);
	return 0;
}

static int
launch(struct trial *t, char *stack)
{
	char *top = stack + STACK_BYTES;
	return clone(die, top, THREAD_FLAGS, t, &t->alive, NULL, &t->alive) < 0 ? -errno : 0;
}

static void
bury(struct trial *t)
{
	uint32_t id;
	store_relaxed(&t->over, 1);
	while ((id = load_acquire(&t->alive)) != 0)
		futex_wait(&t->alive, id, CLOCK_NEVER);
}

/* 0 or errno. futex_wait does not tell a wake from a lobby that is closed. */
static int
sleep_in_lobby(struct trial *t)
{
	struct timespec at = clock_timespec(clock_deadline(DOUBT_NS));
	long rc = syscall(SYS_futex, &t->lobby, FUTEX_WAIT_BITSET, 0L, &at, NULL,
	                  FUTEX_BITSET_MATCH_ANY);
	return rc ? errno : 0;
}

/* 1: woken. 0: not woken. -EINTR: it came back to the lobby. -EAGAIN: the thread did not end. */
static int
try_on(char *stack)
{
	struct trial t = { .word = { FUTEX_DIED | FUTEX_SLEEPERS } };
	t.head = (struct list_head){ &t.head.first, 0, &t.word };
	int rc = launch(&t, stack);
	if (rc)
		return rc == -EAGAIN || rc == -ENOMEM ? rc : 0;
	int slept = sleep_in_lobby(&t);
	bool ended = !load_acquire(&t.alive);
	bury(&t);
	if (slept == ETIMEDOUT && !ended)
		return -EAGAIN;
	if (load_relaxed(&t.back) || (slept && slept != ETIMEDOUT))
		return -EINTR;
	return !slept;
}

/* A thread that got no processor until just before the end of the wait looks as if not woken. */
static int
try_often(char *stack)
{
	int rc = -EINTR, failed = 0;
	for (int i = 0; i < TRIES && (rc == -EINTR || (rc == 0 && failed < DOUBTS)); i++) {
		rc = try_on(stack);
		failed += rc == 0;
	}
	return rc == -EINTR ? -EAGAIN : rc;
}

/* A signal would bring a sleeper that was moved back to where it began. */
int
futex_death_wakes(void)
{
	sigset_t old;
	/* ThreadSanitizer must know each thread, and takes one that a fork leaves behind for a leak. */
	if (kernel_clone_is_watched())
		return kernel_release_at_least(6, 2);
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -ENOMEM;
	signals_block(&old);
	int rc = try_often(stack);
	signals_restore(&old);
	munmap(stack, STACK_BYTES);
	return rc;
}
