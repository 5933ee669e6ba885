/*
 * Instructions are counted by the trap flag. A trap costs microseconds, and a test asks for
 * instruction after instruction of the same operation, each time from its start: so the way that an
 * operation takes is kept, and the next time it runs to the last place on it that can be told by
 * its address, unstepped, and is stepped from there.
 *
 * An operation may take another way the next time, and not come to that place. Then come() is
 * called after its last instruction, and the next one is stepped from the start.
 */
#include "steps.h"

#if HAS_STEPS

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { TRAP_FLAG = 0x100, BREAKPOINT = 0xcc };

struct steps steps;
static pid_t stepped; /* the thread */
static bool runs_next; /* to steps.entry, from the next instruction on: it may be there now */

/* ---- the ways that operations take ---- */

enum { WAYS = 8, PLACES = 4096, SEEN = 4 * PLACES };

/* An instruction that had not been executed before, and where signals are not blocked. */
struct place {
	greg_t address;
	uint32_t from; /* from there to here they are */
	uint32_t done, waits;
};

struct way {
	void (*op)(void *);
	void *arg;
	uint32_t known; /* so many instructions from the start on */
	uint32_t open;  /* behind the last one of them where signals are not blocked */
	uint32_t count;
	struct place place[PLACES];
	greg_t seen[SEEN];
};

/* Children walk them too, and what they find is for the next one. */
static struct ways {
	uint32_t next, last;
	struct way way[WAYS];
} *ways;

static struct way *volatile walked; /* NULL: it is not kept, or not any more */
static greg_t start;       /* not 0: the operation, which is not there yet */

__attribute__((constructor)) static void
ways_make(void)
{
	void *p = mmap(NULL, sizeof *ways, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	ways = p;
}

static void
way_forget(struct way *way)
{
	way->known = way->open = way->count = 0;
	memset(way->seen, 0, sizeof way->seen);
}

static struct way *
way_of(void (*op)(void *), void *arg)
{
	for (struct way *way = ways->way; way < ways->way + WAYS; way++) {
		if (way->op == op && way->arg == arg)
			return way;
	}
	struct way *way = &ways->way[ways->next++ % WAYS];
	way_forget(way);
	way->op = op;
	way->arg = arg;
	return way;
}

/* True: it was not executed before. */
static bool
way_sees(struct way *way, greg_t address)
{
	size_t i = (uint64_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 50;
	_Static_assert(SEEN == 1 << 14, "what the hash gives");
	while (way->seen[i] && way->seen[i] != address)
		i = (i + 1) % SEEN;
	bool is_new = !way->seen[i];
	way->seen[i] = address;
	return is_new;
}

/* It cannot be written to. */
static bool
is_of_vdso(greg_t address)
{
	uintptr_t from = getauxval(AT_SYSINFO_EHDR);
	return from && (uintptr_t)address - from < 4 * 4096;
}

/* Before instruction number steps.done. One where signals are blocked bears no breakpoint. */
static void
way_keep(struct way *way, greg_t address, bool blocked)
{
	if (way->known != steps.done || way->count == PLACES)
		return;
	way->known++;
	bool is_new = way_sees(way, address);
	if (blocked || is_of_vdso(address))
		return;
	if (is_new)
		way->place[way->count++] = (struct place){ address, way->open, steps.done, steps.waits };
	way->open = way->known;
}

/* Of one to a function of the library nothing but that function. */
static void
way_keep_entry(struct way *way, greg_t address, bool blocked)
{
	if (way->count == 0 && !blocked)
		way->place[way->count++] = (struct place){ address, 0, 0, 0 };
}

/* The last one up to there, or where signals are blocked there the first one where they are not. */
static const struct place *
way_place(const struct way *way, uint32_t at)
{
	const struct place *found = NULL;
	for (uint32_t i = 0; i < way->count && way->place[i].from <= at; i++)
		found = &way->place[i];
	return found;
}

/* ---- a breakpoint ---- */

static struct {
	unsigned char *volatile at; /* NULL: there is none */
	unsigned char code;
	const struct place *place; /* if it is one of a way */
} stop;

static void
stop_at(greg_t address, const struct place *place)
{
	uintptr_t page = (uintptr_t)address & -(uintptr_t)sysconf(_SC_PAGESIZE);
	REQUIRE_EQ(mprotect((void *)page, 1, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	stop.place = place;
	stop.code = *(unsigned char *)address;
	stop.at = (unsigned char *)address;
	*stop.at = BREAKPOINT;
}

static void
stop_remove(void)
{
	unsigned char *at = stop.at;
	if (at)
		*at = stop.code;
	stop.at = NULL;
}

/*
 * Calls nothing until it is gone, since it may lie in whatever is called. Two threads may have come
 * to it before the first one removes it.
 */
static void
stop_arrive(greg_t *reg)
{
	reg[REG_RIP]--;
	stop_remove();
	if (!stop.place || stepped != gettid())
		return;
	steps.done = stop.place->done;
	steps.waits = stop.place->waits;
}

/* ---- the trap ---- */

static bool
calls(const greg_t *reg, long number)
{
	static const unsigned char call[] = { 0x0f, 0x05 };
	return reg[REG_RAX] == number && memcmp((const void *)reg[REG_RIP], call, sizeof call) == 0;
}

/* Not by its context switches: where a step takes long, the time to sleep until may be over. */
static bool
calls_a_wait(const greg_t *reg)
{
	int op = (int)reg[REG_RSI] & FUTEX_CMD_MASK;
	if (calls(reg, SYS_futex))
		return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET;
#ifdef SYS_futex_waitv
	if (calls(reg, SYS_futex_waitv))
		return true;
#endif
	return false;
}

/* Where signals are about to be blocked the trap is not: it would end the process. */
static void
leave_unblocked(greg_t *reg)
{
	static uint64_t set;
	if (!calls(reg, SYS_rt_sigprocmask) || !reg[REG_RSI] || reg[REG_RDI] == SIG_UNBLOCK)
		return;
	memcpy(&set, (const void *)reg[REG_RSI], sizeof set);
	set &= ~(UINT64_C(1) << (SIGTRAP - 1));
	reg[REG_RSI] = (greg_t)&set;
}

/* What is before the operation is not counted. */
static bool
has_begun(greg_t address)
{
	if (start == address)
		start = 0;
	return !start;
}

/* From that instruction on nothing is stepped, unless come() says so. */
static void
step(greg_t *reg, bool blocked)
{
	bool is_there = steps.entry ? reg[REG_RIP] == steps.entry : steps.done >= steps.at && !blocked;
	if (walked && steps.entry == 0)
		way_keep(walked, reg[REG_RIP], blocked);
	else if (walked && is_there)
		way_keep_entry(walked, reg[REG_RIP], blocked);
	steps.done++;
	if (is_there) {
		ways->last = steps.done - 1;
		walked = NULL;
		steps.on = false;
		steps.come();
		steps.came = true;
	}
	steps.waits += steps.on && calls_a_wait(reg);
}

static void
trap(int signo, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	greg_t *reg = at->uc_mcontext.gregs;
	(void)signo;
	/* Of an int3, not of a step. */
	if (info->si_code == SI_KERNEL)
		stop_arrive(reg);
	leave_unblocked(reg);
	bool is_it = stepped == gettid();
	if (runs_next && is_it && reg[REG_RIP] != steps.entry) {
		runs_next = false;
		stop_at(steps.entry, NULL);
	}
	if (steps.on && is_it && has_begun(reg[REG_RIP]))
		step(reg, sigismember(&at->uc_sigmask, SIGUSR1));
	if (steps.on && is_it && !stop.at)
		reg[REG_EFL] |= TRAP_FLAG;
	else
		reg[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void
begin(uint32_t at, greg_t entry, void (*come)(void))
{
	struct sigaction act = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
	REQUIRE_EQ(sigaction(SIGTRAP, &act, NULL), 0);
	stepped = gettid();
	steps.at = at;
	steps.entry = entry;
	steps.done = steps.waits = 0;
	steps.came = false;
	steps.come = come;
	runs_next = false;
	steps.on = true;
}

void
steps_begin(uint32_t at, void (*come)(void))
{
	begin(at, 0, come);
	walked = NULL;
	start = 0;
	raise(SIGTRAP);
}

void
steps_end(void)
{
	steps.on = false;
	stop_remove();
	/* The next trap is the last one; and UBSan's look at a bool is not volatile. */
	__asm__ volatile("" ::: "memory");
}

void
steps_run_to(void (*entry)(void))
{
	steps.entry = (greg_t)entry;
	runs_next = steps.on = true;
}

/* ---- an operation ---- */

/* It took another way than the last time. */
static void
come_late(struct way *way)
{
	way_forget(way);
	ways->last = steps.at;
	steps.come();
	steps.on = false;
	steps.came = true;
}

static bool
steps_until(void (*op)(void *), void *arg, uint32_t at, greg_t entry, void (*come)(void))
{
	struct way *way = way_of(op, entry ? (void *)entry : arg);
	/* Another thread would come to the breakpoint too, where its signals may be blocked. */
	const struct place *place = steps.others_wait || is_alone() ? way_place(way, at) : NULL;
	begin(at, entry, come);
	walked = way;
	start = place ? 0 : (greg_t)op;
	if (place)
		stop_at(place->address, place);
	else
		raise(SIGTRAP);
	op(arg);
	walked = NULL;
	bool missed = place && stop.at && stop.place == place;
	steps_end();
	if (missed && !entry)
		come_late(way);
	return steps.came;
}

bool
steps_into(void (*op)(void *), void *arg, uint32_t at, void (*come)(void))
{
	return steps_until(op, arg, at, 0, come);
}

uint32_t
steps_last(void)
{
	return ways->last;
}

bool
steps_into_call(void (*op)(void *), void *arg, void (*entry)(void), void (*come)(void))
{
	return steps_until(op, arg, 0, (greg_t)entry, come);
}

#endif
