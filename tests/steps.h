/* A handler before a chosen instruction of an operation, as a signal may come there. */
#ifndef TESTS_STEPS_H
#define TESTS_STEPS_H

/* The trap flag works like this on x86-64 alone; ThreadSanitizer puts signals off. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define HAS_STEPS 1

#include "harness.h"
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STEPS_TRAP_FLAG 0x100
/* Instructions from one try to the next: a sanitizer makes many more of them, and steps slowly. */
#define STEPS_STRIDE (1 + 12 * (HARNESS_SLOW > 1))

static struct {
	volatile bool on, came;
	volatile uint32_t at, done;
	volatile uint32_t waits; /* how often it has asked the kernel to let it sleep on a futex */
	greg_t entry; /* not 0: there, whatever `at` is */
	bool runs;    /* to the entry, unstepped: a breakpoint is there, in place of `code` */
	unsigned char code;
	void (*come)(void);
} steps;

static inline bool
steps_calls(const greg_t *reg, long number)
{
	static const unsigned char call[] = { 0x0f, 0x05 };
	return reg[REG_RAX] == number && memcmp((const void *)reg[REG_RIP], call, sizeof call) == 0;
}

/* Not by its context switches: where a step takes long, the time to sleep until may be over. */
static inline bool
steps_waits(const greg_t *reg)
{
	int op = (int)reg[REG_RSI] & FUTEX_CMD_MASK;
	if (steps_calls(reg, SYS_futex))
		return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
#ifdef SYS_futex_waitv
	if (steps_calls(reg, SYS_futex_waitv))
		return true;
#endif
	return false;
}

/* Where signals are about to be blocked the trap is not: it would end the process. */
static inline void
steps_stay_on(greg_t *reg)
{
	static uint64_t set;
	if (!steps_calls(reg, SYS_rt_sigprocmask) || !reg[REG_RSI] || reg[REG_RDI] == SIG_UNBLOCK)
		return;
	memcpy(&set, (const void *)reg[REG_RSI], sizeof set);
	set &= ~(UINT64_C(1) << (SIGTRAP - 1));
	reg[REG_RSI] = (greg_t)&set;
}

/*
 * From come(): goes on unstepped until that function is called, which is where come() is called
 * again. So it sleeps, which a sanitizer's steps from the look at the clock to the kernel are too
 * slow for. No signals may be blocked there.
 */
static inline void
steps_run_to(void (*entry)(void))
{
	unsigned char *code = (unsigned char *)(uintptr_t)entry;
	uintptr_t page = (uintptr_t)code & -(uintptr_t)sysconf(_SC_PAGESIZE);
	REQUIRE_EQ(mprotect((void *)page, 1, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	steps.code = *code;
	*code = 0xcc; /* int3 */
	steps.entry = (greg_t)entry;
	steps.runs = steps.on = true;
}

static inline void
steps_arrive(greg_t *reg)
{
	if (!steps.runs || reg[REG_RIP] != steps.entry + 1)
		return;
	*(unsigned char *)steps.entry = steps.code;
	reg[REG_RIP] = steps.entry;
	steps.runs = false;
}

/* From that instruction on nothing is stepped. */
static inline void
steps_trap(int signo, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	(void)signo, (void)info;
	steps_arrive(at->uc_mcontext.gregs);
	bool can_come = steps.done >= steps.at && !sigismember(&at->uc_sigmask, SIGUSR1);
	bool is_there = steps.entry ? at->uc_mcontext.gregs[REG_RIP] == steps.entry : can_come;
	steps_stay_on(at->uc_mcontext.gregs);
	steps.done += steps.on;
	if (steps.on && is_there) {
		steps.on = false;
		steps.come();
		steps.came = true;
	}
	steps.waits += steps.on && steps_waits(at->uc_mcontext.gregs);
	if (steps.on && !steps.runs)
		at->uc_mcontext.gregs[REG_EFL] |= STEPS_TRAP_FLAG;
	else
		at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)STEPS_TRAP_FLAG;
}

/*
 * Runs op(arg), and come() before its instruction number `at`, or where signals are blocked there
 * before the first one where they are not, as a signal's handler would. False: it has not so many,
 * but steps.done. Also inside come().
 */
static inline bool
steps_until(void (*op)(void *), void *arg, uint32_t at, void (*entry)(void), void (*come)(void))
{
	struct sigaction act = { .sa_sigaction = steps_trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
	REQUIRE_EQ(sigaction(SIGTRAP, &act, NULL), 0);
	steps.at = at;
	steps.entry = (greg_t)entry;
	steps.done = steps.waits = 0;
	steps.came = false;
	steps.come = come;
	steps.on = true;
	raise(SIGTRAP);
	op(arg);
	steps.on = false;
	raise(SIGTRAP);
	/* UBSan's look at a bool is not volatile, and raise is told to call nothing here. */
	__asm__ volatile("" ::: "memory");
	return steps.came;
}

static inline bool
steps_into(void (*op)(void *), void *arg, uint32_t at, void (*come)(void))
{
	return steps_until(op, arg, at, NULL, come);
}

/* As that, where the operation first calls a function of the library, which is not inlined. */
static inline bool
steps_into_call(void (*op)(void *), void *arg, void (*entry)(void), void (*come)(void))
{
	return steps_until(op, arg, 0, entry, come);
}

/* A handler that forks, as one of SIGCHLD may, to start anew what has ended. */
static inline void
steps_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	REQUIRE(pid > 0);
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
}

#else
#define HAS_STEPS 0
#endif

#endif
