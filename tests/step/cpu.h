/*
 * What the stepper knows of a processor: how a process stops itself, where it stands, and how a
 * breakpoint is written. On aarch64 a loop of exclusive loads and stores never ends when it is
 * stepped: build with -mlse or later.
 */
#ifndef STEP_CPU_H
#define STEP_CPU_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)
/* The processor reports a breakpoint with the address after it. */
enum { CPU_TRAP_BYTES = 1 };
#define CPU_TRAP_MASK UINT64_C(0xff)
#define CPU_TRAP_CODE UINT64_C(0xcc)
#define cpu_trap() __asm__ volatile("int3" ::: "memory")
#define CPU_PC rip
#define CPU_RESULT rax
#elif defined(__aarch64__)
enum { CPU_TRAP_BYTES = 0 };
#define CPU_TRAP_MASK UINT64_C(0xffffffff)
#define CPU_TRAP_CODE UINT64_C(0xd4200000)
#define cpu_trap() __asm__ volatile("brk #0" ::: "memory")
#define CPU_PC pc
#define CPU_RESULT regs[0]
#else
#error "the stepper does not know this processor"
#endif

static inline bool
cpu_registers(pid_t tid, struct user_regs_struct *regs, bool write)
{
	struct iovec io = { .iov_base = regs, .iov_len = sizeof *regs };
	int request = write ? PTRACE_SETREGSET : PTRACE_GETREGSET;
	return ptrace(request, tid, (void *)NT_PRSTATUS, &io) == 0;
}

static inline uint64_t
cpu_pc(pid_t tid)
{
	struct user_regs_struct regs;
	return cpu_registers(tid, &regs, false) ? regs.CPU_PC : 0;
}

/* Of the system call that it has just made. */
static inline int64_t
cpu_returned(pid_t tid)
{
	struct user_regs_struct regs;
	return cpu_registers(tid, &regs, false) ? (int64_t)regs.CPU_RESULT : 0;
}

/*
 * The length of a repeated string instruction, whose rounds are steps of their own; 0: it is
 * another one.
 */
static inline unsigned
cpu_string_bytes(const unsigned char *code)
{
#if defined(__x86_64__)
	unsigned n = 1;
	if (code[0] != 0xf3 && code[0] != 0xf2)
		return 0;
	if ((code[n] & 0xf0) == 0x40)
		n++;
	bool moves = code[n] == 0xa4 || code[n] == 0xa5, stores = code[n] == 0xaa || code[n] == 0xab;
	return moves || stores ? n + 1 : 0;
#else
	(void)code;
	return 0;
#endif
}

enum { CODE_BYTES = 8 };

static inline bool
cpu_is_system_call(const unsigned char *code)
{
#if defined(__x86_64__)
	return code[0] == 0x0f && code[1] == 0x05;
#else
	return code[0] == 0x01 && (code[1] & 0x1f) == 0 && code[3] == 0xd4;
#endif
}

/*
 * Past the breakpoint that a process ran into itself; where the processor stops before it, this
 * steps over.
 */
static inline void
cpu_pass_trap(pid_t tid)
{
#if defined(__aarch64__)
	struct user_regs_struct regs;
	if (cpu_registers(tid, &regs, false)) {
		regs.CPU_PC += 4;
		cpu_registers(tid, &regs, true);
	}
#else
	(void)tid;
#endif
}

/*
 * Stops before the instruction there is taken (0: nowhere any more), by this thread alone: other
 * threads and children of its process, whose code it is too, run by. Which processor can.
 */
#if defined(__x86_64__)
#define CPU_STOPS true
#else
#define CPU_STOPS false
#endif

static inline bool
cpu_stop_before(pid_t tid, uint64_t pc)
{
#if defined(__x86_64__)
	const size_t first = offsetof(struct user, u_debugreg[0]);
	const size_t control = offsetof(struct user, u_debugreg[7]);
	return (!pc || ptrace(PTRACE_POKEUSER, tid, first, (void *)pc) == 0) &&
	       ptrace(PTRACE_POKEUSER, tid, control, (void *)(uintptr_t)(pc != 0)) == 0;
#else
	(void)tid, (void)pc;
	return false;
#endif
}

/* ---- calls made for a process that stands still, and words watched; x86-64 alone ---- */

#if defined(__x86_64__)
static inline void
cpu_set_call(struct user_regs_struct *regs, uint64_t pc, long number, uint64_t a, uint64_t b,
             uint64_t c)
{
	regs->rip = pc;
	regs->rax = (uint64_t)number;
	regs->orig_rax = UINT64_MAX;
	regs->rdi = a;
	regs->rsi = b;
	regs->rdx = c;
}

static inline int64_t
cpu_result(const struct user_regs_struct *regs)
{
	return (int64_t)regs->rax;
}

/* Else the kernel might take the registers for those of a call to be made again. */
static inline void
cpu_no_restart(struct user_regs_struct *regs)
{
	regs->orig_rax = UINT64_MAX;
}

/* At the entry of a call: no call is made. */
static inline void
cpu_forget_call(pid_t tid, struct user_regs_struct *regs)
{
	regs->orig_rax = UINT64_MAX;
	cpu_registers(tid, regs, true);
}

/* The registers at a call's entry become those before its instruction. */
static inline void
cpu_before_call(struct user_regs_struct *regs)
{
	regs->rip -= 2;
	regs->rax = regs->orig_rax;
	regs->orig_rax = UINT64_MAX;
}

/* Stops after each store to one of two aligned words. */
static inline bool
cpu_watch_words(pid_t tid, const void *one, const void *other)
{
	const long both = 0x5 | 0x9L << 16 | 0x9L << 20;
	return ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[0]), one) == 0 &&
	       ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[1]), other) == 0 &&
	       ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, u_debugreg[7]), both) == 0;
}
#endif

#endif
