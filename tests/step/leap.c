#include "leap.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.h"
#include "memory.h"
#include "tracer.h"

#if !defined(__x86_64__)
void
leap_follow(struct trace *t, struct victim *v)
{
	trace_follow(t, v);
}

bool
leap_to(struct victim *v, struct trace *t, size_t n)
{
	return victim_to(v, t, n);
}
#else

/* What is in the victim's memory, as the last change of protection left it. */
struct leap {
	struct victim *v;
	bool protected;
};

/* ---- system calls by the victim ---- */

/* One of its own libraries' system call instructions, by which it can be made to call. */
static uint64_t
call_address(void)
{
	static uint64_t found;
	const unsigned char *at = (const unsigned char *)(uintptr_t)syscall;
	for (size_t i = 0; !found && i < 100; i++) {
		if (cpu_is_system_call(at + i))
			found = (uint64_t)(uintptr_t)(at + i);
	}
	return found;
}

static bool
step_over(struct victim *v)
{
	int status = 0;
	if (ptrace(PTRACE_SINGLESTEP, v->tid, NULL, NULL) != 0)
		return false;
	while (waitpid(v->tid, &status, __WALL) < 0 && errno == EINTR)
		;
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
}

static bool
make_call(struct victim *v, long number, uint64_t a, uint64_t b, uint64_t c)
{
	struct user_regs_struct before, regs;
	if (!cpu_registers(v->tid, &before, false))
		return false;
	regs = before;
	cpu_set_call(&regs, call_address(), number, a, b, c);
	bool good = cpu_registers(v->tid, &regs, true) && step_over(v) &&
	            cpu_registers(v->tid, &regs, false) && cpu_result(&regs) == 0;
	cpu_no_restart(&before);
	return cpu_registers(v->tid, &before, true) && good;
}

static bool
protect(struct leap *l, bool on)
{
	uint64_t at, bytes;
	bool good = true;
	if (l->protected == on)
		return true;
	int rights = on ? PROT_READ : PROT_READ | PROT_WRITE;
	for (size_t i = 0; memory_range(i, &at, &bytes); i++)
		good = make_call(l->v, SYS_mprotect, at, bytes, (uint64_t)rights) && good;
	l->protected = on;
	return good;
}

/* ---- from one change to the next ---- */

static bool
leap_begin(struct leap *l, struct victim *v)
{
	*l = (struct leap){ .v = v };
	ptrace(PTRACE_SETOPTIONS, v->tid, NULL,
	       (void *)(long)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	return v->robust && cpu_watch_words(v->tid, v->robust, (char *)v->robust + 2 * sizeof(void *));
}

/* It stands at the entry: the call is taken back, so that it can be made with memory as it was. */
static enum moved
system_call(struct leap *l)
{
	struct user_regs_struct regs;
	struct victim *v = l->v;
	int status = 0;
	cpu_registers(v->tid, &regs, false);
	struct user_regs_struct again = regs;
	cpu_forget_call(v->tid, &regs);
	ptrace(PTRACE_SYSCALL, v->tid, NULL, NULL);
	while (waitpid(v->tid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (!WIFSTOPPED(status))
		return MOVED_END;
	cpu_before_call(&again);
	cpu_registers(v->tid, &again, true);
	if (!protect(l, false))
		return MOVED_SIGNAL;
	return victim_step(v);
}

static bool
is_protected(const struct leap *l)
{
	siginfo_t info;
	uint64_t at, bytes;
	if (!l->protected || ptrace(PTRACE_GETSIGINFO, l->v->tid, NULL, &info) != 0)
		return false;
	uint64_t address = (uint64_t)(uintptr_t)info.si_addr;
	for (size_t i = 0; memory_range(i, &at, &bytes); i++) {
		if (address - at < bytes)
			return true;
	}
	return false;
}

/* MOVED: it stands behind a store, a system call, or a change of its robust list. */
static enum moved
leap_next(struct leap *l)
{
	struct victim *v = l->v;
	if (!protect(l, true))
		return MOVED_SIGNAL;
	enum moved moved = victim_go(v, PTRACE_SYSCALL);
	if (moved == MOVED_ASLEEP)
		return MOVED_STUCK;
	if (moved == MOVED_SIGNAL && v->signal == (SIGTRAP | 0x80))
		return is_done(v) ? MOVED_END : system_call(l);
	if (moved != MOVED_SIGNAL || v->signal != SIGSEGV || !is_protected(l))
		return moved;
	if (!protect(l, false))
		return MOVED_SIGNAL;
	uint64_t pc = cpu_pc(v->tid);
	moved = victim_step(v);
	/* Halves of a copy are as good as each other: it is not taken round by round. */
	if (moved != MOVED || cpu_pc(v->tid) != pc || string_end(pc) == pc)
		return moved;
	return victim_run(v, string_end(pc)) ? MOVED : MOVED_SIGNAL;
}

void
leap_follow(struct trace *t, struct victim *v)
{
	struct leap l;
	/* Stores to memory that is protected in another place would be missed. */
	if (memory_is_elsewhere()) {
		trace_follow(t, v);
		return;
	}
	trace_begin(t, v);
	trace_add(t, v, false);
	enum moved moved = leap_begin(&l, v) ? MOVED : MOVED_SIGNAL;
	while (moved == MOVED && !is_done(v) && t->count < TRACE_MAX) {
		moved = leap_next(&l);
		if (moved == MOVED)
			trace_add(t, v, true);
	}
	trace_end(t, v, moved);
}

bool
leap_to(struct victim *v, struct trace *t, size_t n)
{
	struct leap l;
	if (memory_is_elsewhere())
		return victim_to(v, t, n);
	bool same = leap_begin(&l, v);
	for (size_t at = 1; same && at <= n; at++)
		same = leap_next(&l) == MOVED && cpu_pc(v->tid) == t->point[at].pc;
	/* The kernel marks robust words in memory that its owner may write. */
	if (!v->ended)
		protect(&l, false);
	if (!same)
		t->drifts++;
	return same;
}
#endif
