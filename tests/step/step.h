/*
 * The stepper: an operation is killed at every one of its instructions, and stopped at every one,
 * and others go on.
 *
 * A case says how the world is made (setup, once, in the driver process), what a victim does before
 * it is watched (prepare) and while it is (op), and what survivors do and demand afterwards. All
 * processes of a case are forked from the driver, so every pointer means the same in each of them.
 * The shared memory is put back to what setup left before every run, so a run costs a fork and no
 * arena.
 *
 * The phases, each over every instruction of the operation:
 *	kill      the victim is killed; for each distinct state of memory that this leaves: one survivor
 *	          checks, then two work at once and a third checks; then an auditor looks for what
 *	          leaked
 *	sleeper   the same, with another process asleep in a call that the operation may or must wake
 *	recovery  for each state that a kill left: a process that recovers is killed at each of its
 *	          instructions. Where what is left is not all in watched memory: for deaths wherever
 *	          something differs, at up to 16 points, others after each (earnest.c)
 *	stop      the victim stands still: who is held up? Then it goes on, and must have lost nothing
 * Every instruction is looked at. The ordinary run kills after those alone after which something
 * differs (shared memory, the robust list, a system call): killed anywhere between two such, a
 * process leaves the same. It lets somebody recover from four states of each case. STEP_FULL=1
 * kills after each instruction of operations that have up to 6000, after each 16th and wherever
 * something differs in longer ones, and lets somebody recover from all states, or from as many as
 * STEP_STATES says.
 */
#ifndef STEP_STEP_H
#define STEP_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

struct shoal_arena;

/* Who a process is: its messages bear it, its log is kept under it. */
enum step_who {
	STEP_SETUP,
	STEP_VICTIM,
	STEP_SECOND,
	STEP_SLEEPER,
	STEP_ROUSER,
	STEP_LEFT,
	STEP_RIGHT,
	STEP_CHECKER,
	STEP_WHOS
};

enum { STEP_TEXT = 400, STEP_LOG = 200, STEP_BUFFER = 2048, STEP_OBJECTS = 8 };

/* What an operation tells: it lies in shared memory, so what a killed one had done is known. */
struct step_part {
	volatile uint32_t done; /* 1: the operation returned; 2: so did `after` */
	volatile int32_t inside; /* about to call */
	int64_t result;
	uint32_t extra;
	void *pointer; /* what it was given */
	_Alignas(64) unsigned char buffer[STEP_BUFFER];
};

struct step_log {
	uint32_t sent; /* messages accepted: numbers 0 to sent - 1 */
	uint32_t count;
	uint32_t got[STEP_LOG];
};

struct step_world {
	const struct step_case *of;
	const void *shape; /* of the case */
	struct shoal_arena *arena;
	void *object[STEP_OBJECTS];
	uint64_t base[8]; /* what the auditor saw when nobody was killed */
	bool base_known;
	/*
	 * one block more than the base may be in use: given to the dead, or being taken back from
	 * it
	 */
	bool spare;

	struct step_part part[STEP_WHOS];
	struct step_log log[STEP_WHOS];
	volatile uint32_t ready;  /* those that wait to start together */
	/* the victim was killed, not stopped: it may have lost what it held */
	volatile uint32_t killed;
	/* roles that were killed because they hung: each may have had a message in its hands */
	volatile uint32_t cut;
	volatile uint32_t held;   /* a role's answer */

	volatile uint32_t failed;
	char text[STEP_TEXT];
	char doing[STEP_TEXT]; /* of the process that set it last: what hangs */
	int64_t slowest_ns;
	char slowest[64];
};

typedef void step_fn(struct step_world *);

/*
 * What somebody tries while the victim stands still: true if it was held up. `wait_ns` is how long
 * it may try.
 */
struct step_role {
	const char *name;
	bool (*try)(struct step_world *, int64_t wait_ns);
};

enum { STEP_MEETS = 4, STEP_ROLES = 5 };

struct step_case {
	const char *name;
	const void *shape;
	step_fn *setup;   /* once, in the driver */
	step_fn *prepare; /* in the victim, before it is watched */
	step_fn *op;      /* watched: the call, and its result into its part's `result` */
	step_fn *after;   /* in a victim that was not killed: logs what it sent and received */
	step_fn *waker;   /* run by another process each time the victim falls asleep */
	step_fn *check;   /* the last survivor: drains, refills, and demands what is promised */
	step_fn *crowd;   /* two at once, then check */
	step_fn *sleeper; /* asleep in a call when the victim starts */
	step_fn *rouse;   /* makes the sleeper's call possible, unless the victim did */
	step_fn *audit;   /* nothing leaked; sets base when it is not known */
	step_fn *clean;   /* in the driver, before each run: what lies outside the watched memory */
	void (*end)(pid_t driver); /* after the driver, however it ended: removes what is left */
	step_fn *meet_prepare;
	/*
	 * ways to come upon what the dead left, each killed at its every instruction; the first one
	 * without meet_prepare
	 */
	step_fn *meet[STEP_MEETS];
	struct step_role role[STEP_ROLES];
	bool thread;      /* op ends the thread that it runs in */
	bool control;     /* must fail */
	bool started;     /* the victim is a process that shoal started, and op ends it */
	/* not all that it changes is watched memory: no two kills are alike, each is checked */
	bool unwatched;
	bool stepped;     /* others run its code: no breakpoints are written there */
	bool slept;       /* who comes upon what the dead left may sleep */
};

/* ---- for cases ---- */

extern enum step_who step_me;

static inline struct step_part *
step_mine(struct step_world *w)
{
	return &w->part[step_me];
}

/*
 * The memory that a case shares, to be put back before each run. fd: of the file behind it, or -1.
 */
void step_watch(void *at, size_t bytes, int fd);
/* The same, of a file that the watched processes map themselves. */
void step_watch_file(void *at, size_t bytes, int fd);

/* Records what is wrong (the first one counts) and ends this process. */
__attribute__((noreturn, format(printf, 2, 3))) void step_fail(struct step_world *w,
                                                               const char *format, ...);
#define STEP_REQUIRE(w, condition, ...) \
	do { \
		if (!(condition)) \
			step_fail((w), __VA_ARGS__); \
	} while (0)

/*
 * STEP_WITHIN(w, "put", rc = shoal_queue_put(…)): the statement is timed, and named should it hang.
 */
int64_t step_begin(struct step_world *w, const char *what);
void step_end(struct step_world *w, const char *what, int64_t began);
#define STEP_WITHIN(w, what, ...) \
	do { \
		int64_t began_ = step_begin((w), (what)); \
		__VA_ARGS__; \
		step_end((w), (what), began_); \
	} while (0)

int64_t step_now(void);
/* The sleeper's call has returned, or does so in that time; how fast is measured. */
enum { WAKE_MS = 400 };
void step_must_wake(struct step_world *w, int ms, const char *why);
/* Waits until `count` processes of this run came here. */
void step_meet(struct step_world *w, uint32_t count);

/* Messages: number n of sender who, `bytes` long (4 or more), every byte of them known. */
uint32_t step_id(enum step_who who, uint32_t n);
void step_fill(void *message, size_t bytes, uint32_t id);
/* The number, or 0 if a byte is not as it was filled. */
uint32_t step_read(const void *message, size_t bytes);
void step_sent(struct step_world *w);
void step_got(struct step_world *w, const void *message, size_t bytes);

/*
 * Everything that was accepted was received once, in each sender's order as far as one receiver saw
 * it. lost: how many messages at the head may have gone with the dead; victim_sends: how many
 * messages may have come from each of the dead, or not.
 */
struct step_expect {
	/* of the victim, of the second victim; whose call returned 0 or more has sent */
	uint32_t lost[2], sends[2];
	bool redelivered;           /* lost only if its taker had it whole; order is not kept */
};
void step_account(struct step_world *w, const struct step_expect *e);

/* Runs a case in a process of its own: how many violations, all printed. */
int step_run(const struct step_case *c);
/* In that process: ends with that number, at most 99. */
_Noreturn void step_drive(const struct step_case *c);
void step_register(const struct step_case *c);

#define STEP_CASE_WHERE(suite_, name_, runs_, ...) \
	static const struct step_case case_##suite_##_##name_ = { .name = #suite_ "." #name_, \
	  __VA_ARGS__ }; \
	__attribute__((constructor)) static void register_##suite_##_##name_(void) \
	{ \
		if (runs_) \
			step_register(&case_##suite_##_##name_); \
	} \
	Test(step_##suite_, name_, .timeout = 4000) \
	{ \
		if (runs_) \
			REQUIRE_EQ(step_run(&case_##suite_##_##name_), 0); \
	}
#define STEP_CASE(suite_, name_, ...) STEP_CASE_WHERE(suite_, name_, true, __VA_ARGS__)
/* For what takes too long for every day: in the full run alone. */
#define STEP_FULL_CASE(suite_, name_, ...) \
	STEP_CASE_WHERE(suite_, name_, getenv("STEP_FULL"), __VA_ARGS__)

#endif
