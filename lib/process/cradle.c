#include "process/cradle.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/pidfd.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHEET_CRADLES 64
#define SHEET_BYTES (SHEET_CRADLES * sizeof(struct cradle))
#define CODE_LEFT 0x100u
#define CODE_SIGNAL 0x200u
#define SPINS 100

enum { ASLEEP = 1, OPEN, REFUSED };
enum { READY = 1, FAILED };

/* One mapping of many cradles; sheets live as long as the process. */
struct sheet {
	struct sheet *next;
	struct cradle *cradles;
	uint64_t taken; /* a bit for each */
};
static struct sheet *sheets;

static struct sheet *
sheet_add(void)
{
	struct sheet *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	void *memory =
		mmap(NULL, SHEET_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		free(s);
		return NULL;
	}
	*s = (struct sheet){ .next = sheets, .cradles = memory };
	sheets = s;
	return s;
}

struct cradle *
cradle_take(void)
{
	struct sheet *s = sheets;
	while (s && s->taken == UINT64_MAX)
		s = s->next;
	if (!s)
		s = sheet_add();
	if (!s)
		return NULL;
	int i = __builtin_ctzll(~s->taken);
	s->taken |= UINT64_C(1) << i;
	struct cradle *c = &s->cradles[i];
	store_relaxed(&c->gate, 0);
	store_relaxed(&c->code, 0);
	store_relaxed(&c->report, 0);
	return c;
}

void
cradle_give(struct cradle *c)
{
	for (struct sheet *s = sheets; s; s = s->next)
		if (c >= s->cradles && c < s->cradles + SHEET_CRADLES)
			s->taken &= ~(UINT64_C(1) << (c - s->cradles));
}

static void
decide(struct cradle *c, uint32_t answer)
{
	if (exchange_acq_rel(&c->gate, answer) == ASLEEP)
		futex_wake(&c->gate, 1);
}

void
cradle_open(struct cradle *c)
{
	decide(c, OPEN);
}

void
cradle_refuse(struct cradle *c)
{
	decide(c, REFUSED);
}

bool
cradle_code(struct cradle *c, int *code)
{
	uint32_t left = load_acquire(&c->code);
	*code = left & CODE_SIGNAL ? -(int)(left & 0xff) : (int)(left & 0xff);
	return left & CODE_LEFT;
}

static bool
decided(struct cradle *c)
{
	return load_acquire(&c->gate) >= OPEN;
}

/* 0: the parent is in another PID namespace. */
static bool
orphaned(pid_t parent, int parent_fd)
{
	if (parent_fd >= 0)
		return pidfd_sleep(parent_fd, 0) == 1;
	pid_t now = getppid();
	return now != parent && now != 0;
}

/*
 * The parent is mostly done before the child runs at all. It may also be dead before it decides,
 * and no word tells that: the sleep is in slices, each with a look at who the parent is.
 */
bool
cradle_wait(struct cradle *c, pid_t parent, int parent_fd)
{
	for (int i = 0; i < SPINS && !decided(c); i++)
		cpu_relax();
	if (!decided(c))
		cas32_acq_rel(&c->gate, 0, ASLEEP);
	while (!decided(c)) {
		if (orphaned(parent, parent_fd))
			return false;
		futex_wait(&c->gate, ASLEEP, clock_now() + FUTEX_SLICE_NS);
	}
	return load_acquire(&c->gate) == OPEN;
}

/* A child that has ended may have reported first. */
int
cradle_wait_report(struct cradle *c, int pidfd)
{
	uint32_t said;
	while (!(said = load_acquire(&c->report))) {
		if (pidfd_sleep(pidfd, 0) == 1 && !load_acquire(&c->report))
			return -ECHILD;
		futex_wait(&c->report, 0, clock_now() + FUTEX_SLICE_NS);
	}
	return said == READY;
}

/* What the child wrote before, a sentence, is seen by a parent that sees the word. */
void
cradle_report(struct cradle *c, bool ready)
{
	store_release(&c->report, ready ? READY : FAILED);
	futex_wake(&c->report, 1);
}

void
cradle_note_end(struct cradle *c, int status)
{
	uint32_t code = WIFSIGNALED(status) ? CODE_SIGNAL | (uint32_t)WTERMSIG(status)
	                                    : (uint32_t)WEXITSTATUS(status);
	store_release(&c->code, CODE_LEFT | code);
}

void
cradle_leave_code(struct cradle *c, int code)
{
	store_release(&c->code, CODE_LEFT | (uint32_t)(code & 0xff));
}

void
cradle_forget(void)
{
	sheets = NULL;
}
