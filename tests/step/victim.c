#include "victim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cover.h"
#include "cpu.h"
#include "memory.h"
#include "name.h"
#include "own.h"
#include "people.h"
#include "tracer.h"

#include <shoal/process.h>

/* Room for every address that a case's traces come by. */
enum { KNOWN_MAX = 1 << 16 };
/* Looks of a millisecond at one that sleeps again. */
enum { AGAIN_LOOKS = 3 };
static const int64_t STUCK_NS = 3000000000;
static const int64_t LOST_NS = 20000000000;

/* ---- in the victim ---- */

static struct victim *self;

static void
victim_act(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	self->w->part[self->act->who].inside = (int32_t)syscall(SYS_gettid);
	cpu_trap();
	self->act->op(self->w);
	/* What a thread does at its end is watched too. */
	if (self->act->thread || self->act->started)
		return;
	self->w->part[self->act->who].done = 1;
	if (self->act->after)
		self->act->after(self->w);
	self->w->part[self->act->who].done = 2;
}

static void *
victim_thread(void *arg)
{
	(void)arg;
	if (self->act->prepare)
		self->act->prepare(self->w);
	victim_act();
	return NULL;
}

/*
 * Once its operation returned the process stays, so that what happened is the operation and not its
 * end.
 */
static void
victim_live(struct victim *v)
{
	self = v;
	step_me = v->act->who;
	if (v->act->thread) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, victim_thread, NULL) == 0)
			pthread_join(thread, NULL);
		v->w->part[v->act->who].done = 2;
	} else {
		victim_thread(NULL);
	}
	for (;;)
		pause();
}

static int
victim_run_process(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	victim_live(arg);
	return 0;
}

/* ---- in the driver ---- */

bool
is_done(const struct victim *v)
{
	return v->w->part[v->act->who].done != 0;
}

static bool
stop_note(struct victim *v, int status)
{
	v->moving = false;
	if (WIFSTOPPED(status)) {
		v->signal = WSTOPSIG(status);
		return v->signal == SIGTRAP;
	}
	v->ended = true;
	v->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return false;
}

enum tell { TELL_NO_SLEEP, TELL_SLEEP, TELL_NEXT_SLEEP };

/* Another sleep than the one told last, and not for a moment. */
static bool
sleeps_again(struct victim *v, long *seen, int *looks)
{
	long sleeps = people_sleep_count(v->tid);
	*looks = sleeps == *seen ? *looks + 1 : 0;
	*seen = sleeps;
	return sleeps != v->slept && *looks >= AGAIN_LOOKS;
}

/*
 * Waits for the step under way. The driver's timer ends the wait now and then, to look whether the
 * victim sleeps. One that came by all that it was to do, on another way, will not stop any more.
 */
static enum moved
victim_wait(struct victim *v, enum tell tell)
{
	int64_t began = step_now();
	long seen = 0;
	int looks = 0;
	for (;;) {
		int status = 0;
		pid_t pid = waitpid(v->tid, &status, __WALL);
		if (pid == v->tid) {
			/* Its children's ends are nothing to it. */
			if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD &&
			    ptrace(v->request, v->tid, NULL, NULL) == 0)
				continue;
			if (stop_note(v, status))
				return MOVED;
			return v->ended ? MOVED_END : MOVED_SIGNAL;
		}
		if (pid < 0 && errno != EINTR) {
			v->ended = true;
			return MOVED_END;
		}
		bool sleeps = people_sleeps(v->tid);
		if (sleeps && (tell == TELL_SLEEP ||
		               (tell == TELL_NEXT_SLEEP && sleeps_again(v, &seen, &looks)))) {
			v->slept = people_sleep_count(v->tid);
			return MOVED_ASLEEP;
		}
		/* One that gets no processor is not stuck; what does not sleep has longer. */
		if ((sleeps && v->w->part[v->act->who].done == 2) ||
		    step_now() - began > (sleeps ? STUCK_NS : LOST_NS))
			return MOVED_STUCK;
	}
}

static void
victim_wake(struct victim *v)
{
	if (v->act->waker)
		people_run(v->w, STEP_ROUSER, v->act->waker);
}

/*
 * A sleep of milliseconds, whose end was fixed steps ago, may be over before it begins: then it
 * counts as slept, or nobody would ever do what it is for.
 */
static bool
slept_late(const struct victim *v)
{
	return cpu_returned(v->tid) == -ETIMEDOUT;
}

enum moved
victim_go(struct victim *v, int request)
{
	if (!v->moving) {
		if (ptrace(request, v->tid, NULL, NULL) != 0) {
			v->ended = true;
			return MOVED_END;
		}
		v->moving = true;
		v->request = request;
	}
	return victim_wait(v, TELL_SLEEP);
}

enum moved
victim_step(struct victim *v)
{
	enum moved moved = victim_go(v, PTRACE_SINGLESTEP);
	if (moved != MOVED_ASLEEP)
		return moved;
	victim_wake(v);
	return victim_wait(v, TELL_NO_SLEEP);
}

bool
victim_start(struct victim *v, struct step_world *w, const struct act *act)
{
	*v = (struct victim){ .w = w, .act = act, .request = PTRACE_CONT };
	w->part[act->who].inside = 0;
	if (act->started) {
		v->pid = shoal_process_spawn(victim_run_process, v, NULL, &v->process) == 0
		             ? shoal_process_pid(v->process)
		             : -1;
	} else {
		v->pid = people_fork();
	}
	if (v->pid == 0) {
		victim_live(v);
		_exit(0);
	}
	v->tid = v->pid;
	if (act->thread) {
		for (int i = 0; i < 20000 && !w->part[act->who].inside; i++)
			usleep(50);
		v->tid = w->part[act->who].inside;
	}
	if (victim_wait(v, TELL_NO_SLEEP) != MOVED)
		return false;
	w->part[act->who].inside = 1;
	ptrace(PTRACE_SETOPTIONS, v->tid, NULL, (void *)(long)PTRACE_O_EXITKILL);
	cpu_pass_trap(v->tid);
	names_add(act->who, v->tid);
	people_share_cpu(v->tid);
	size_t length = 0;
	if (syscall(SYS_get_robust_list, v->tid, &v->robust, &length) != 0)
		v->robust = NULL;
	return true;
}

void
victim_kill(struct victim *v)
{
	int status;
	if (v->pid <= 0)
		return;
	people_use_all_cpus();
	kill(v->pid, SIGKILL);
	if (v->tid != v->pid) {
		while (waitpid(v->tid, &status, __WALL) < 0 && errno == EINTR)
			;
	}
	for (;;) {
		pid_t pid = waitpid(v->pid, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0 || WIFEXITED(status) || WIFSIGNALED(status))
			break;
	}
	v->pid = 0;
	if (v->process && shoal_process_join(v->process, SHOAL_SEC(1)) == 0)
		shoal_process_close(v->process);
	v->process = NULL;
}

/* What a process that shoal started is to do at last. */
static bool
has_ended(const struct victim *v)
{
	siginfo_t info = { 0 };
	if (!v->act->started)
		return false;
	return waitid(P_PID, (id_t)v->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

bool
victim_finish(struct victim *v)
{
	if (v->ended)
		return is_done(v);
	volatile uint32_t *done = &v->w->part[v->act->who].done;
	if (ptrace(PTRACE_DETACH, v->tid, NULL, NULL) != 0)
		return false;
	int64_t began = step_now();
	while (*done != 2 && !has_ended(v) && step_now() - began < STUCK_NS)
		usleep(30);
	return *done == 2 || has_ended(v);
}

/* ---- to a breakpoint ---- */

static bool
breakpoint_set(struct victim *v, uint64_t pc, long *code)
{
	if (v->act->stepped)
		return cpu_stop_before(v->tid, pc);
	errno = 0;
	*code = ptrace(PTRACE_PEEKTEXT, v->tid, (void *)pc, NULL);
	if (errno)
		return false;
	uint64_t with = ((uint64_t)*code & ~CPU_TRAP_MASK) | CPU_TRAP_CODE;
	return ptrace(PTRACE_POKETEXT, v->tid, (void *)pc, (void *)with) == 0;
}

/* The victim stands at the breakpoint as if it were not there. */
static void
breakpoint_clear(struct victim *v, uint64_t pc, long code)
{
	struct user_regs_struct regs;
	if (v->act->stepped) {
		cpu_stop_before(v->tid, 0);
		return;
	}
	cpu_registers(v->tid, &regs, false);
	regs.CPU_PC = pc;
	cpu_registers(v->tid, &regs, true);
	ptrace(PTRACE_POKETEXT, v->tid, (void *)pc, (void *)code);
}

bool
victim_run(struct victim *v, uint64_t pc)
{
	long code = 0;
	if (!breakpoint_set(v, pc, &code))
		return false;
	enum moved moved = victim_go(v, PTRACE_CONT);
	while (moved == MOVED_ASLEEP && !is_done(v)) {
		victim_wake(v);
		moved = victim_wait(v, TELL_NEXT_SLEEP);
	}
	uint64_t stands = v->act->stepped ? pc : pc + CPU_TRAP_BYTES;
	if (moved != MOVED || cpu_pc(v->tid) != stands)
		return false;
	breakpoint_clear(v, pc, code);
	return true;
}

/* ---- traces ---- */

/* The thread's robust list is its own memory, but the kernel reads it when it dies. */
static uint64_t
robust_hash(const struct victim *v)
{
	struct {
		void *first;
		long offset;
		void *pending;
	} head = { 0 };
	struct iovec here = { &head, sizeof head }, there = { v->robust, sizeof head };
	if (!v->robust || process_vm_readv(v->tid, &here, 1, &there, 1, 0) != (ssize_t)sizeof head)
		return 0;
	return (uintptr_t)head.first * UINT64_C(0x9e3779b97f4a7c15) ^
	       (uintptr_t)head.pending * UINT64_C(31);
}

/*
 * What stands at an address, as the driver has it: the victim is its fork, and in the victim a
 * breakpoint may lie there.
 */
static void
code_read(uint64_t pc, unsigned char *code)
{
	struct iovec here = { code, CODE_BYTES }, there = { (void *)pc, CODE_BYTES };
	memset(code, 0, CODE_BYTES);
	process_vm_readv(getpid(), &here, 1, &there, 1, 0);
}

/* What the tracer wants to know of an instruction, and how often the trace came by it. */
struct known {
	uint64_t pc;
	uint32_t times;
	uint32_t round; /* the trace that `times` counts */
	uint32_t string_bytes;
	bool system_call;
};

static struct known *known;
static uint32_t known_round;

static struct known *
known_at(uint64_t pc)
{
	if (!known)
		known = own_alloc(KNOWN_MAX * sizeof *known);
	size_t i = (size_t)(pc * UINT64_C(0x9e3779b97f4a7c15) >> 40) % KNOWN_MAX;
	while (known[i].pc && known[i].pc != pc)
		i = (i + 1) % KNOWN_MAX;
	struct known *k = &known[i];
	if (!k->pc) {
		cover_note(pc);
		unsigned char code[CODE_BYTES];
		code_read(pc, code);
		*k = (struct known){ .pc = pc,
			             .string_bytes = cpu_string_bytes(code),
			             .system_call = cpu_is_system_call(code) };
	}
	if (k->round != known_round) {
		k->round = known_round;
		k->times = 0;
	}
	return k;
}

struct point *
trace_add(struct trace *t, const struct victim *v, bool system_call)
{
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 512;
		t->point = own_grow(t->point, t->room * sizeof *t->point, room * sizeof *t->point);
		t->room = room;
	}
	struct point p = { .pc = cpu_pc(v->tid), .hash = memory_next() + robust_hash(v) };
	const struct point *last = t->count ? &t->point[t->count - 1] : NULL;
	struct known *k = known_at(p.pc);
	p.again = last && last->pc == p.pc && k->string_bytes;
	p.nth = k->times++;
	p.write = system_call || !last || last->hash != p.hash;
	t->point[t->count++] = p;
	if (v->look)
		v->look(v, t, v->look_arg);
	return &t->point[t->count - 1];
}

uint64_t
string_end(uint64_t pc)
{
	return pc + known_at(pc)->string_bytes;
}

void
trace_begin(struct trace *t, const struct victim *v)
{
	*t = (struct trace){ .stepped = v->act->stepped && !CPU_STOPS };
	known_round++;
	memory_follow();
}

void
trace_end(struct trace *t, struct victim *v, enum moved moved)
{
	bool ends = v->act->thread || v->act->started;
	t->finished = is_done(v) || (moved == MOVED_END && ends && v->signal == 0);
	t->signal = v->signal;
	t->stuck = moved == MOVED_STUCK;
	t->crashed = moved == MOVED_SIGNAL || (moved == MOVED_END && !t->finished && !ends);
	t->touched = memory_touched(v->pid);
	victim_kill(v);
}

bool
trace_same(const struct trace *a, const struct trace *b)
{
	if (a->count != b->count || a->finished != b->finished)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->point[i].pc != b->point[i].pc)
			return false;
	}
	return true;
}

void
trace_follow(struct trace *t, struct victim *v)
{
	trace_begin(t, v);
	struct point *p = trace_add(t, v, false);
	enum moved moved = MOVED;
	while (!is_done(v) && t->count < TRACE_MAX) {
		bool system_call = known_at(p->pc)->system_call;
		moved = victim_go(v, PTRACE_SINGLESTEP);
		if (moved == MOVED_ASLEEP) {
			p->asleep = true;
			victim_wake(v);
			moved = victim_wait(v, TELL_NO_SLEEP);
		}
		if (moved != MOVED)
			break;
		if (system_call && !p->asleep && slept_late(v)) {
			p->asleep = true;
			victim_wake(v);
		}
		p = trace_add(t, v, system_call);
		if (p->again && !t->stepped && victim_run(v, string_end(p->pc)))
			p = trace_add(t, v, false);
	}
	trace_end(t, v, moved);
}

void
trace_record(struct trace *t, struct step_world *w, const struct act *act)
{
	struct victim v;
	if (victim_start(&v, w, act)) {
		trace_follow(t, &v);
		return;
	}
	*t = (struct trace){ .crashed = true, .signal = v.signal };
	victim_kill(&v);
}

void
trace_warm(struct step_world *w, const struct act *act)
{
	struct victim v;
	if (victim_start(&v, w, act)) {
		enum moved moved = victim_go(&v, PTRACE_CONT);
		while (moved == MOVED_ASLEEP && !is_done(&v)) {
			victim_wake(&v);
			moved = victim_wait(&v, TELL_SLEEP);
		}
		memory_touched(v.pid);
	}
	victim_kill(&v);
}

void
trace_drop(struct trace *t)
{
	own_free(t->point, t->room * sizeof *t->point);
	*t = (struct trace){ 0 };
}

/* ---- to a point ---- */

/*
 * The cheapest point at or before n to run to; 0: step from the start. A stop at a breakpoint costs
 * about four steps.
 */
static size_t
point_before(const struct trace *t, size_t n)
{
	size_t best = 0, best_cost = n;
	for (size_t m = n; !t->stepped && m > 0 && n - m < best_cost; m--) {
		size_t cost = n - m + 4 * ((size_t)t->point[m].nth + 1);
		if (cost >= best_cost || t->point[m].again || t->point[m - 1].again)
			continue;
		best = m;
		best_cost = cost;
	}
	return best;
}

size_t
victim_cost(const struct trace *t, size_t n)
{
	size_t at = point_before(t, n);
	return n - at + (at ? 4 * ((size_t)t->point[at].nth + 1) : 0);
}

static bool
victim_run_to(struct victim *v, const struct trace *t, size_t m)
{
	uint64_t pc = t->point[m].pc;
	/* It may stand there already, at the start. */
	uint32_t times = t->point[m].nth + 1 - (t->point[0].pc == pc);
	for (uint32_t i = 0; i < times; i++) {
		if (i > 0 && victim_step(v) != MOVED)
			return false;
		if (i > 0 && cpu_pc(v->tid) == pc)
			continue;
		if (!victim_run(v, pc))
			return false;
	}
	return true;
}

bool
victim_to(struct victim *v, struct trace *t, size_t n)
{
	size_t at = point_before(t, n);
	bool same = true;
	if (at > 0)
		same = victim_run_to(v, t, at);
	for (; same && at < n; at++) {
		if (t->point[at].again && !t->stepped) {
			same = victim_run(v, t->point[at + 1].pc);
			continue;
		}
		enum moved moved = at + 1 == n && t->point[at].asleep ? victim_go(v, PTRACE_SINGLESTEP)
									 : victim_step(v);
		if (moved == MOVED_ASLEEP)
			return true;
		if (moved == MOVED && at + 1 < n && t->point[at].asleep && slept_late(v))
			victim_wake(v);
		same = moved == MOVED || (moved == MOVED_END && at + 1 == t->count - 1);
	}
	same = same && (v->ended || cpu_pc(v->tid) == t->point[n].pc);
	if (!same)
		t->drifts++;
	return same;
}
