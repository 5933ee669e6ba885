/*
 * System calls that fail while one waits or makes a descriptor: an error code, or another way, and
 * the state as it was. A filter of seccomp makes them fail, so each case has a process of its own.
 */
#include "base/kernel.h"
#include "queue_common.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the C library's headers are older than the kernel; the same numbers on all machines. */
enum { URING_SETUP = 425, URING_ENTER = 426, URING_REGISTER = 427, PIDFD_OPEN = 434,
       CLONE3 = 435, WAITV = 449 };

/* Sanitizers make system calls of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* From here on these calls fail so in this process; false: there are no filters here. */
static bool
fail_calls(const int *number, int count, int error)
{
	struct sock_filter code[16] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	unsigned short n = 1;
	for (int i = 0; i < count; i++) {
		struct sock_filter is =
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number[i], 0, 1);
		struct sock_filter then = BPF_STMT(BPF_RET | BPF_K,
		                                   SECCOMP_RET_ERRNO | (unsigned)error);
		code[n++] = is;
		code[n++] = then;
	}
	struct sock_filter otherwise = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = otherwise;
	struct sock_fprog program = { .len = n, .filter = code };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int
descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct fault {
	int number[2], count, error;
	int result; /* of shoal_queue_fd, or shoal_pipe_fd; 0: it works all the same */
};

struct scene {
	struct world w;
	shoal_pipe_end *left, *right;
	const struct fault *fault;
};

static bool
is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, ms) == 1;
}

static int
another_peer(void *arg)
{
	struct scene *s = arg;
	REQUIRE_EQ(shoal_pipe_send(s->right, "x", 1, 0), 0);
	pause();
	return 0;
}

/* Everything was tried once before, so that what this kernel has is known. */
static struct scene
scene_make(void)
{
	struct scene s = { .w = world_make(4, 0, 0) };
	REQUIRE_EQ(shoal_pipe_create(s.w.arena, "p", NULL, &s.left, &s.right), 0);
	kernel_has(KERNEL_WAITV);
	kernel_has(KERNEL_URING);
	kernel_has(KERNEL_PENDING_RULE);
	return s;
}

static void
scene_end(struct scene *s)
{
	REQUIRE_EQ(shoal_arena_recover(s->w.arena) >= 0, 1);
	REQUIRE_EQ(shoal_arena_check(s->w.arena, stderr), 0);
	REQUIRE_EQ(shoal_pipe_destroy(s->w.arena, s->left), 0);
	world_end(s->w);
}

static int
make_descriptors(void *arg)
{
	struct scene *s = arg;
	const struct fault *f = s->fault;
	char c;
	REQUIRE_EQ(shoal_pipe_recv(s->left, &c, 1, SHOAL_SEC(5)), 1);
	int before = descriptors();
	if (!fail_calls(f->number, f->count, f->error))
		return 0;
	int queue = shoal_queue_fd(s->w.queue), pipe = shoal_pipe_fd(s->left);
	if (f->result) {
		REQUIRE_EQ(queue, f->result);
		REQUIRE(strstr(shoal_error(), "descriptor"));
		REQUIRE_EQ(pipe, f->result);
		REQUIRE_EQ(descriptors(), before);
	} else {
		REQUIRE(queue >= 0 && pipe >= 0);
		REQUIRE_EQ(shoal_queue_get(s->w.queue, &c, 1, 0), -EAGAIN);
		REQUIRE(!is_readable(queue, 10) && !is_readable(pipe, 10));
		put_text(s->w.queue, "");
		REQUIRE(is_readable(queue, 5000));
	}
	put_text(s->w.queue, "");
	while (shoal_queue_get(s->w.queue, &c, 1, 0) == 1)
		continue;
	return 0;
}

Test(ring_scarce, descriptors_are_made_another_way_or_refused, .disabled = SANITIZED)
{
	static const struct fault faults[] = {
		{ { SYS_eventfd2 }, 1, EMFILE, -EMFILE },
		{ { SYS_eventfd2 }, 1, ENOMEM, -ENOMEM },
		{ { URING_SETUP }, 1, EMFILE, 0 },
		{ { URING_SETUP }, 1, ENOMEM, 0 },
		{ { URING_REGISTER }, 1, ENOMEM, 0 },
		{ { URING_ENTER }, 1, EINTR, 0 },
		{ { URING_ENTER }, 1, EBUSY, 0 },
		{ { PIDFD_OPEN }, 1, EMFILE, 0 },
		/* No ring and no thread. */
		{ { URING_SETUP, CLONE3 }, 2, EAGAIN, -EAGAIN },
		{ { SYS_mmap, CLONE3 }, 2, EAGAIN, -EAGAIN },
	};
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct scene s = scene_make();
		s.fault = &faults[i];
		pid_t peer = child(another_peer, &s);
		expect_child(child(make_descriptors, &s), 0, 10000);
		kill(peer, SIGKILL);
		expect_killed(peer, SIGKILL, 5000);
		scene_end(&s);
	}
}

/* Interrupted at once, each time: it looks again, and keeps its deadline. */
static int
wait_interrupted(void *arg)
{
	struct scene *s = arg;
	static const int waits[] = { WAITV, SYS_futex };
	char c;
	if (!fail_calls(waits, 2, EINTR))
		return 0;
	int64_t began = now_ns();
	REQUIRE_EQ(shoal_queue_get(s->w.queue, &c, 1, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_pipe_recv(s->left, &c, 1, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_pipe_poll(s->left, SHOAL_MS(30)), 0);
	REQUIRE(now_ns() - began >= SHOAL_MS(90));
	put_text(s->w.queue, "");
	REQUIRE_EQ(shoal_queue_get(s->w.queue, &c, 1, SHOAL_SEC(1)), 1);
	while (shoal_queue_put(s->w.queue, "x", 1, 0) == 0)
		continue;
	REQUIRE_EQ(shoal_queue_put(s->w.queue, "x", 1, SHOAL_MS(30)), -ETIMEDOUT);
	while (shoal_queue_get(s->w.queue, &c, 1, 0) == 1)
		continue;
	return 0;
}

Test(ring_scarce, interrupted_waits_go_on, .disabled = SANITIZED)
{
	struct scene s = scene_make();
	expect_child(child(wait_interrupted, &s), 0, 10000);
	scene_end(&s);
}
