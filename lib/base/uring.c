#include "base/uring.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include "base/kernel.h"
#include "base/signals.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* The same numbers on all machines; older headers lack them, as they do the structs below. */
#define SYSCALL_SETUP 425
#define SYSCALL_ENTER 426
#define SYSCALL_REGISTER 427

#define SETUP_TASKRUN_FLAG (1u << 9)
#define SETUP_SINGLE_ISSUER (1u << 12)
#define SETUP_DEFER_TASKRUN (1u << 13)
#define FEATURE_SINGLE_MMAP 1u
#define REGISTER_EVENTFD 4
#define ENTER_GETEVENTS 1u
#define EVENTFD_DISABLED 1u
#define OFFSET_ENTRIES 0x10000000L
#define OP_POLL_ADD 6
#define OP_FUTEX_WAIT 51
#define FUTEX_SIZE_32 2
#define POLL_READABLE 1
#define ENTRIES 4u
#define SIGNAL_BYTES 8
#define STACK_BYTES ((size_t)64 * 1024)

struct submission_offsets {
	uint32_t head, tail, mask, count, flags, dropped, array, unused;
	uint64_t user;
};

struct completion_offsets {
	uint32_t head, tail, mask, count, overflow, entries, flags, unused;
	uint64_t user;
};

struct uring_params {
	uint32_t entries, completions, flags, cpu, idle, features, queue, unused[3];
	struct submission_offsets in;
	struct completion_offsets out;
};

struct uring_entry {
	uint8_t op, flags;
	uint16_t priority;
	int32_t fd; /* of a futex: its size and scope */
	uint64_t value, address;
	uint32_t length, events;
	uint64_t id;
	uint32_t unused[2];
	uint64_t wake_mask, unused_too;
};
_Static_assert(sizeof(struct uring_entry) == 64, "the kernel's struct io_uring_sqe");

struct completion {
	uint64_t id;
	int32_t result;
	uint32_t flags;
};

static size_t
rings_bytes(const struct uring_params *p)
{
	size_t in = p->in.array + p->entries * sizeof(uint32_t);
	size_t out = p->out.entries + p->completions * sizeof(struct completion);
	return in > out ? in : out;
}

static void *
map(int fd, size_t bytes, long offset)
{
	int flags = MAP_SHARED | MAP_POPULATE;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
	if (at == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_DONTFORK);
	return at;
}

/* Entry i of the submission ring is always entry i of the table. */
static void
fill(struct uring *r, const struct uring_params *p)
{
	uint32_t *array = (uint32_t *)(void *)(r->rings + p->in.array);
	for (uint32_t i = 0; i < p->entries; i++)
		array[i] = i;
	r->mask = p->entries - 1;
	r->completion_mask = p->completions - 1;
	r->done_at = p->out.entries;
	r->head = (word32 *)(void *)(r->rings + p->in.head);
	r->tail = (word32 *)(void *)(r->rings + p->in.tail);
	r->done_head = (word32 *)(void *)(r->rings + p->out.head);
	r->done_tail = (word32 *)(void *)(r->rings + p->out.tail);
	r->done_flags = (word32 *)(void *)(r->rings + p->out.flags);
	r->submitted = load_relaxed(r->tail);
}

static int
register_eventfd(const struct uring *r, int eventfd)
{
	if (eventfd < 0)
		return 0;
	return syscall(SYSCALL_REGISTER, r->fd, REGISTER_EVENTFD, &eventfd, 1) < 0 ? -errno : 0;
}

int
uring_open(struct uring *r, int eventfd)
{
	struct uring_params p = {
		.flags = SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN | SETUP_TASKRUN_FLAG,
	};
	*r = (struct uring){ .fd = (int)syscall(SYSCALL_SETUP, ENTRIES, &p) };
	if (r->fd < 0)
		return -errno;
	/* What a program puts in a stream's place later would end it unheard. */
	r->fd = descriptor_above(r->fd);
	r->rings_bytes = rings_bytes(&p);
	r->rings = p.features & FEATURE_SINGLE_MMAP ? map(r->fd, r->rings_bytes, 0) : NULL;
	r->entries = map(r->fd, ENTRIES * sizeof *r->entries, OFFSET_ENTRIES);
	int rc = r->rings && r->entries ? register_eventfd(r, eventfd) : -ENOMEM;
	if (rc)
		uring_close(r);
	else
		fill(r, &p);
	return rc;
}

void
uring_close(struct uring *r)
{
	if (r->rings)
		munmap(r->rings, r->rings_bytes);
	if (r->entries)
		munmap(r->entries, ENTRIES * sizeof *r->entries);
	uring_forget(r);
}

void
uring_forget(struct uring *r)
{
	direct_close(r->fd);
	*r = (struct uring){ .fd = -1 };
}

static void
add(struct uring *r, const struct uring_entry *e)
{
	r->entries[r->submitted & r->mask] = *e;
	r->submitted++;
}

/* futex_wake asks for everybody but bit 31; the kernel's own wakes and FUTEX_WAKE_OP for all. */
void
uring_add_futex(struct uring *r, unsigned id, word32 *word, uint32_t seen, bool deaths_only)
{
	struct uring_entry e = { .op = OP_FUTEX_WAIT, .fd = FUTEX_SIZE_32, .value = seen,
		                 .address = (uintptr_t)word, .id = id,
		                 .wake_mask = deaths_only ? FUTEX_FOR_DEATHS : UINT32_MAX };
	add(r, &e);
}

void
uring_add_pollable(struct uring *r, unsigned id, int fd)
{
	struct uring_entry e = { .op = OP_POLL_ADD, .fd = fd, .events = POLL_READABLE, .id = id };
	add(r, &e);
}

/* The kernel's stores to the completions come before its tail, ours to the head after the reads. */
static uint32_t
reap(struct uring *r)
{
	const struct completion *all = (const void *)(r->rings + r->done_at);
	uint32_t head = load_relaxed(r->done_head), tail = load_acquire(r->done_tail), told = 0;
	for (; head != tail; head++)
		told |= 1u << (all[head & r->completion_mask].id & 31);
	store_release(r->done_head, head);
	return told;
}

/*
 * What is not taken, for want of memory, stays in the ring, and is offered again. The kernel moves
 * the head in this thread's calls alone.
 */
int
uring_enter(struct uring *r, bool quiet, uint32_t *told)
{
	uint32_t count = r->submitted - load_relaxed(r->head);
	store_release(r->tail, r->submitted);
	if (quiet)
		store_relaxed(r->done_flags, EVENTFD_DISABLED);
	long n = syscall(SYSCALL_ENTER, r->fd, count, 0, ENTER_GETEVENTS, NULL, SIGNAL_BYTES);
	int rc = n < 0 ? -errno : n < (long)count ? -EAGAIN : 0;
	if (quiet)
		store_relaxed(r->done_flags, 0);
	*told = reap(r);
	return rc;
}

/* The word is not what is said: a kernel that knows futexes in a ring says so at once. */
static int
try_one(void *result)
{
	struct uring r;
	word32 word = { 0 };
	uint32_t told;
	int rc = uring_open(&r, -1);
	if (rc == 0) {
		const struct completion *first = (const void *)(r.rings + r.done_at);
		uring_add_futex(&r, 0, &word, 1, true);
		rc = uring_enter(&r, false, &told);
		if (rc == 0 && (told != 1 || first->result != -EAGAIN))
			rc = -ENOSYS;
		uring_close(&r);
	}
	*(int *)result = rc;
	return 0;
}

/*
 * As posix_spawn does it: the caller stands still until the child, which nobody is told of, ends.
 * What the child finds it leaves at the low end of its stack. ThreadSanitizer takes two processes
 * in one memory for one: there the child has its own.
 */
int
uring_probe(void)
{
	sigset_t old;
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
	                   MAP_SHARED | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -ENOMEM;
	int *result = (int *)(void *)stack;
	*result = -ENOSYS;
	int flags = kernel_clone_is_watched() ? 0 : CLONE_VM | CLONE_VFORK;
	signals_block(&old);
	pid_t pid = clone(try_one, stack + STACK_BYTES, flags, result);
	if (pid > 0)
		syscall(SYS_wait4, pid, NULL, __WALL, NULL);
	int rc = pid < 0 ? -errno : *result;
	signals_restore(&old);
	munmap(stack, STACK_BYTES);
	return rc;
}
