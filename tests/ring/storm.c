#include "ring/storm.h"
#include "ring/storm_worker.h"
#include "harness.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define TICK_NS (MS / 2)
#define LATE_MAX_NS (10 * MS)
#define GAP_MAX_NS (1000 * MS * HARNESS_SLOW) /* far beyond any promise: the machine is shared */
#define STALL_NS (5000 * MS * HARNESS_SLOW)
#define END_NS (15000 * MS * HARNESS_SLOW)

struct place {
	pid_t pid;
	struct life *life;
	int64_t stopped_until; /* or 0 */
};

struct supervisor {
	const struct storm *storm;
	struct channel channel;
	struct ledger *ledger;
	struct dice dice;
	struct place place[WORKERS_MAX];
	unsigned places;
	unsigned violations;
	bool stalled; /* the rest of the run is only an end */
	shoal_arena_info before, after;
	uint64_t progress;
	int64_t quiet_ns, gap_ns; /* without progress up to now; the longest such time */
	int64_t late_ns; /* the supervisor's own worst delay */
};

static __attribute__((format(printf, 2, 3))) void
violation(struct supervisor *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(s->storm->report, "  VIOLATION: ");
	vfprintf(s->storm->report, format, args);
	fprintf(s->storm->report, "\n");
	va_end(args);
	s->violations++;
}

static void
nap(int64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static enum role
role_of(uint32_t place)
{
	return place % 2 ? CONSUMER : PRODUCER;
}

static const char *
role_name(const struct life *life)
{
	return life->role == PRODUCER ? "producer" : "consumer";
}

static struct worker
worker_at(struct supervisor *s, struct life *life)
{
	uint32_t id = ledger_id(s->ledger, life);
	return (struct worker){
		.channel = &s->channel,
		.ledger = s->ledger,
		.life = life,
		.dice = { s->storm->seed * 1000003 + id },
	};
}

static _Noreturn void
live(struct supervisor *s, struct life *life, pid_t parent)
{
	struct worker worker = worker_at(s, life);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	(void)!nice(10);
	_exit(life->role == PRODUCER ? produce(&worker) : consume(&worker));
}

/* Fills a place with a new life. */
static void
settle(struct supervisor *s, unsigned i)
{
	struct life *life = ledger_open_life(s->ledger, i, role_of(i));
	pid_t parent = getpid(), pid = life ? fork() : -1;
	if (pid == 0)
		live(s, life, parent);
	if (life && pid < 0)
		violation(s, "fork failed: %s", strerror(errno));
	if (life)
		life->pid = pid;
	s->place[i] = (struct place){ pid > 0 ? pid : 0, life, 0 };
}

/* A place whose worker is gone. A worker that nobody killed must have ended well. */
static void
bury(struct supervisor *s, unsigned i, int status)
{
	struct place *p = &s->place[i];
	bool murdered = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && p->life->killed;
	if (WIFEXITED(status))
		p->life->killed = false; /* it was faster than its killer */
	if (!murdered && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		violation(s, "%s %u ended with status 0x%x in %s", role_name(p->life),
		          ledger_id(s->ledger, p->life), (unsigned)status, p->life->doing);
	p->pid = 0;
}

/* True when the place is empty. */
static bool
gone(struct supervisor *s, unsigned i, int options)
{
	int status;
	if (s->place[i].pid && waitpid(s->place[i].pid, &status, options) == s->place[i].pid)
		bury(s, i, status);
	return !s->place[i].pid;
}

static void
slay(struct supervisor *s, unsigned i)
{
	if (!s->place[i].pid)
		return;
	s->place[i].life->killed = true;
	kill(s->place[i].pid, SIGKILL);
	gone(s, i, 0);
}

/* A stopped worker holds what it holds, and whoever recovers must not take it for dead. */
static void
stop(struct supervisor *s, unsigned i, int64_t now)
{
	struct place *p = &s->place[i];
	if (p->pid && !p->stopped_until && kill(p->pid, SIGSTOP) == 0)
		p->stopped_until = now + (1 + dice_roll(&s->dice, 20)) * MS;
}

static void
go_on(struct supervisor *s, unsigned i)
{
	if (s->place[i].pid && s->place[i].stopped_until)
		kill(s->place[i].pid, SIGCONT);
	s->place[i].stopped_until = 0;
}

static void
dump(struct supervisor *s)
{
	for (unsigned i = 0; i < s->places; i++) {
		const struct life *life = s->place[i].life;
		if (!s->place[i].pid)
			continue;
		fprintf(s->storm->report, "  pid %d %s %u: in %s after %llu calls, put %u of %u\n",
		        (int)s->place[i].pid, role_name(life), ledger_id(s->ledger, life),
		        life->doing, (unsigned long long)life->calls, life->done, life->begun);
	}
	fflush(s->storm->report);
	while (s->storm->hold)
		pause();
}

static void
slay_all(struct supervisor *s)
{
	for (unsigned i = 0; i < s->places; i++)
		slay(s, i);
}

static void
stall(struct supervisor *s, const char *what)
{
	violation(s, "%s", what);
	dump(s);
	slay_all(s);
	s->stalled = true;
}

/*
 * A machine that does not let the supervisor run does not let the workers run: of the time between
 * two looks only so much counts, as part of a gap and as part of the storm.
 */
static int64_t
at_most_late(int64_t ns)
{
	return ns < LATE_MAX_NS ? ns : LATE_MAX_NS;
}

/* Looks whether anything was received since the last look, `ns` ago. */
static void
watch(struct supervisor *s, int64_t ns)
{
	uint64_t progress = ledger_progress(s->ledger);
	s->late_ns = ns > s->late_ns ? ns : s->late_ns;
	s->quiet_ns += at_most_late(ns);
	s->gap_ns = s->quiet_ns > s->gap_ns ? s->quiet_ns : s->gap_ns;
	if (progress != s->progress)
		s->quiet_ns = 0;
	else if (s->quiet_ns > STALL_NS)
		stall(s, "nobody gets on");
	s->progress = progress;
}

static unsigned
victim(struct supervisor *s)
{
	unsigned i = dice_roll(&s->dice, s->places);
	return s->storm->spare_consumers && role_of(i) == CONSUMER ? i - 1 : i;
}

/* Mostly one; sometimes several at the same moment. */
static void
strike(struct supervisor *s, int64_t now)
{
	unsigned victims = dice_roll(&s->dice, 16) ? 1 : 2 + dice_roll(&s->dice, 3);
	while (victims--)
		slay(s, victim(s));
	if (s->storm->stops && dice_roll(&s->dice, 4) == 0)
		stop(s, dice_roll(&s->dice, s->places), now);
}

static int64_t
next_strike(struct supervisor *s, int64_t now)
{
	uint32_t us = (uint32_t)(2 * s->storm->kill_every_ns / 1000);
	return now + dice_roll(&s->dice, us) * INT64_C(1000);
}

/* Empty places are filled again; those who were stopped long enough go on. */
static void
tend(struct supervisor *s, int64_t now)
{
	for (unsigned i = 0; i < s->places; i++) {
		if (s->place[i].stopped_until && now >= s->place[i].stopped_until)
			go_on(s, i);
		if (gone(s, i, WNOHANG))
			settle(s, i);
	}
}

static void
rage(struct supervisor *s)
{
	int64_t now = shoal_now(), raged_ns = 0, end = now + 4 * s->storm->duration_ns;
	int64_t strike_at = next_strike(s, now);
	for (unsigned i = 0; i < s->places; i++)
		settle(s, i);
	while (!s->stalled && raged_ns < s->storm->duration_ns && now < end &&
	       s->ledger->life_count + s->places < LIVES_MAX) {
		int64_t before = now;
		if (now >= strike_at) {
			strike(s, now);
			strike_at = next_strike(s, now);
		}
		tend(s, now);
		nap(TICK_NS);
		now = shoal_now();
		raged_ns += at_most_late(now - before);
		watch(s, now - before);
	}
}

/* Waits until all workers of a role have ended by themselves. */
static void
await(struct supervisor *s, enum role role)
{
	int64_t end = shoal_now() + END_NS;
	for (unsigned i = role; i < s->places && !s->stalled; i += 2)
		while (!s->stalled && !gone(s, i, WNOHANG)) {
			nap(TICK_NS);
			if (shoal_now() > end)
				stall(s, role == PRODUCER ? "producers stay" : "consumers stay");
		}
}

/* The supervisor receives what is left. It cannot watch itself, so an alarm does. */
static void
drain(struct supervisor *s)
{
	struct life *life = ledger_open_life(s->ledger, WORKERS_MAX - 1, CONSUMER);
	struct worker worker = worker_at(s, life);
	alarm((unsigned)(END_NS / MS / 1000));
	consume(&worker);
	alarm(0);
}

/* Producers end first; then the channel is closed, and some consumers are killed on the way out. */
static void
calm(struct supervisor *s)
{
	for (unsigned i = 0; i < s->places; i++)
		go_on(s, i);
	NOTE(s->ledger->stopping, true);
	await(s, PRODUCER);
	NOTE(s->ledger->closing, true);
	channel_close(&s->channel);
	for (unsigned i = 1; i < s->places && !s->stalled && !s->storm->spare_consumers; i += 4)
		slay(s, i);
	await(s, CONSUMER);
	if (s->stalled)
		return;
	drain(s);
	if (channel_joinable(&s->channel) && shoal_queue_join(s->channel.queue, SHOAL_SEC(5)) != 0)
		violation(s, "join after the end: %s", shoal_error());
}

/* A message of each sort, so that the supervisor is a member and the arena has its first pages. */
static int
warm_up(struct supervisor *s)
{
	static char message[STORM_BYTES_MAX];
	const size_t room = sizeof message, bytes[] = { STORM_BYTES_MIN, STORM_BYTES_MAX };
	int rc = 0;
	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = channel_put(&s->channel, message, bytes[i], SHOAL_NOWAIT);
		ssize_t got = rc ? rc : channel_get(&s->channel, message, room, SHOAL_NOWAIT);
		rc = got < 0 ? (int)got : channel_done(&s->channel);
	}
	return rc;
}

static void
judge_arena(struct supervisor *s)
{
	shoal_arena *arena = s->channel.arena;
	int rc = 0;
	for (int i = 0; i < 100 && (rc = shoal_arena_recover(arena)) > 0; i++)
		;
	if (rc != 0)
		violation(s, "recover gave %d: %s", rc, shoal_error());
	if ((rc = shoal_arena_check(arena, s->storm->report)) != 0)
		violation(s, "check gave %d", rc);
	if ((rc = shoal_arena_stat(arena, &s->after)) != 0)
		violation(s, "stat gave %d", rc);
	if (s->after.members != s->before.members)
		violation(s, "%u members, before %u", s->after.members, s->before.members);
	if (s->after.blocks != s->before.blocks)
		violation(s, "%ju blocks, before %ju", (uintmax_t)s->after.blocks,
		          (uintmax_t)s->before.blocks);
	if (s->after.used_bytes != s->before.used_bytes)
		violation(s, "%zu bytes used, before %zu", s->after.used_bytes,
		          s->before.used_bytes);
}

/* The library's own counts. */
static uint64_t
dropped(const struct supervisor *s)
{
	return s->after.messages_dropped - s->before.messages_dropped;
}

static uint64_t
redelivered(const struct supervisor *s)
{
	return s->after.messages_redelivered - s->before.messages_redelivered;
}

static void
at_most(struct supervisor *s, uint64_t value, uint64_t bound, const char *what)
{
	if (value > bound)
		violation(s, "%ju %s, at most %ju allowed", (uintmax_t)value, what,
		          (uintmax_t)bound);
}

static void
judge_messages(struct supervisor *s, const struct balance *b)
{
	uint64_t may_drop = channel_redelivers(&s->channel) ? 0 : b->held;
	at_most(s, b->lost, b->may_lose, "messages lost");
	at_most(s, b->doubled, b->may_double, "messages doubled");
	at_most(s, b->doubled_early, 0, "messages doubled unannounced");
	at_most(s, b->ghosts, 0, "messages received that nobody put");
	at_most(s, b->torn, 0, "messages torn");
	at_most(s, b->disordered, 0, "messages out of order");
	at_most(s, b->failures, 0, "calls failed");
	at_most(s, dropped(s), may_drop, "messages counted as dropped");
	at_most(s, redelivered(s), b->held + b->returned, "messages counted as redelivered");
	at_most(s, s->gap_ns, GAP_MAX_NS, "ns without a message");
}

static void
print_balance(const struct supervisor *s, const struct balance *b)
{
	fprintf(s->storm->report, "%s%s: %ju messages, %ju kills, %u lives; ",
	        s->storm->kind->name, s->storm->spare_consumers ? " (producers)" : "",
	        (uintmax_t)b->received, (uintmax_t)b->kills, s->ledger->life_count);
	fprintf(s->storm->report, "lost %ju of %ju allowed, ", (uintmax_t)b->lost,
	        (uintmax_t)b->may_lose);
	fprintf(s->storm->report, "doubled %ju of %ju; ", (uintmax_t)b->doubled,
	        (uintmax_t)b->may_double);
	fprintf(s->storm->report, "dropped %ju, redelivered %ju; ", (uintmax_t)dropped(s),
	        (uintmax_t)redelivered(s));
	fprintf(s->storm->report, "longest gap %.1f ms (supervisor late %.1f ms); seed %ju\n",
	        (double)s->gap_ns / 1e6, (double)s->late_ns / 1e6, (uintmax_t)s->storm->seed);
}

/* After a stall the books are not worth adding up. */
static void
judge(struct supervisor *s)
{
	if (s->stalled)
		return;
	judge_arena(s);
	struct balance balance = ledger_close(s->ledger, s->storm->report);
	judge_messages(s, &balance);
	print_balance(s, &balance);
}

static void
run(struct supervisor *s)
{
	int rc = channel_create(&s->channel, s->channel.arena, s->storm->kind);
	if (rc == 0)
		rc = warm_up(s);
	if (rc == 0)
		rc = shoal_arena_stat(s->channel.arena, &s->before);
	if (rc < 0) {
		violation(s, "%s: cannot begin: %s", s->storm->kind->name, shoal_error());
		return;
	}
	/* The killer must not starve among the many. Where it may not rise, it stays. */
	int rank = getpriority(PRIO_PROCESS, 0);
	(void)setpriority(PRIO_PROCESS, 0, rank - 10);
	rage(s);
	(void)setpriority(PRIO_PROCESS, 0, rank);
	calm(s);
	judge(s);
}

unsigned
storm_run(const struct storm *storm)
{
	struct supervisor s = {
		.storm = storm, .dice = { storm->seed }, .places = 2 * storm->pairs
	};
	s.ledger = ledger_create();
	s.channel.fault = storm->fault;
	if (!s.ledger || shoal_arena_create(NULL, NULL, &s.channel.arena) < 0) {
		violation(&s, "no memory to begin");
		return s.violations;
	}
	run(&s);
	if (s.violations)
		fprintf(storm->report, "  again: shoal-storm --only %s --seed %ju --pairs %u%s\n",
		        storm->kind->name, (uintmax_t)storm->seed, storm->pairs,
		        storm->spare_consumers ? " --spare-consumers" : "");
	channel_destroy(&s.channel);
	shoal_arena_close(s.channel.arena);
	ledger_destroy(s.ledger);
	return s.violations;
}
