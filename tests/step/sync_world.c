#include "sync_world.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "people.h"

enum {
	PATIENCE_MS = 1000
};

static pid_t holder;

static void *
shared(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void
sync_setup(struct step_world *w)
{
	w->object[0] = shared(sizeof(struct sync_page));
	w->object[1] = shared(sizeof(struct sync_stage));
	STEP_REQUIRE(w, w->object[0] != MAP_FAILED && w->object[1] != MAP_FAILED, "no memory");
	step_watch(w->object[0], sizeof(struct sync_page), -1);
}

void
sync_warm(struct step_world *w)
{
	shoal_lock own = { { 0 } };
	int rc = shoal_lock_acquire(&own, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0 && shoal_lock_release(&own) == 0, "a lock of its own: %d", rc);
	shoal_rwlock read = { { 0 } };
	rc = shoal_rwlock_read(&read, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0 && shoal_rwlock_release(&read) == 0, "an rwlock of its own: %d", rc);
}

void
sync_nothing_pending(struct step_world *w)
{
	void **head = NULL;
	size_t bytes = 0;
	long rc = syscall(SYS_get_robust_list, 0, &head, &bytes);
	STEP_REQUIRE(w, rc == 0 && head[2] == NULL, "a word is named for the kernel after the call");
}

void
sync_until(struct step_world *w, volatile uint32_t *word, uint32_t value, const char *what)
{
	for (int64_t began = step_now(); *word != value; usleep(50))
		STEP_REQUIRE(w, step_now() - began < PATIENCE_MS * INT64_C(1000000),
		             "the case waits in vain: %s", what);
}

/* ---- the holder ---- */

static bool
is_wanted(struct sync_stage *s, uint32_t what)
{
	return s->wanted == what || (s->victim && kill(s->victim, 0) != 0);
}

__attribute__((noreturn)) static void
hold(struct step_world *w, step_fn *take, step_fn *give)
{
	struct sync_stage *s = sync_stage(w);
	step_me = STEP_RIGHT;
	while (s->wanted == 0)
		usleep(50);
	take(w);
	s->holds = 1;
	while (!is_wanted(s, 2))
		usleep(50);
	give(w);
	s->over = 1;
	_exit(0);
}

void
sync_clean(struct step_world *w)
{
	if (holder > 0) {
		kill(holder, SIGKILL);
		while (waitpid(holder, NULL, 0) < 0 && errno == EINTR)
			;
		holder = 0;
	}
	memset(w->object[1], 0, sizeof(struct sync_stage));
}

void
sync_clean_holder(struct step_world *w, step_fn *take, step_fn *give)
{
	sync_clean(w);
	holder = people_fork();
	if (holder == 0)
		hold(w, take, give);
}

void
sync_victim_prepare(struct step_world *w)
{
	sync_warm(w);
	sync_stage(w)->victim = getpid();
}

void
sync_take_nothing(struct step_world *w)
{
	(void)w;
}

void
sync_holder_takes(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	s->wanted = 1;
	sync_until(w, &s->holds, 1, "the holder takes it");
}

void
sync_holder_gives(struct step_world *w)
{
	sync_stage(w)->wanted = 2;
}

void
sync_victim_stands(struct step_world *w)
{
	sync_stage(w)->stands = 1;
	sync_holder_gives(w);
}

bool
sync_victim_waits(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	return s->stands && !w->part[STEP_VICTIM].done && kill(s->victim, 0) == 0;
}

void
sync_holder_ends(struct step_world *w)
{
	if (sync_stage(w)->wanted)
		sync_until(w, &sync_stage(w)->over, 1, "the holder is through");
}

/* ---- the sleeper ---- */

void
sync_held_back(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	s->sleeper = getpid();
	step_begin(w, "the sleeper's call");
	while (!s->go)
		usleep(100);
	s->calling = 1;
}

void
sync_let_go_at_once(struct step_world *w)
{
	sync_stage(w)->go = 1;
}

void
sync_let_go(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	if (!s->sleeper)
		return;
	s->go = 1;
	sync_until(w, &s->calling, 1, "the sleeper calls");
	int64_t began = step_now();
	for (int seen = 0; seen < 3; usleep(40)) {
		seen = people_sleeps(s->sleeper) ? seen + 1 : 0;
		STEP_REQUIRE(w, step_now() - began < PATIENCE_MS * INT64_C(1000000),
		             "the sleeper does not fall asleep");
	}
}

bool
sync_sleeps(struct step_world *w)
{
	return w->part[STEP_SLEEPER].inside;
}

void
sync_must_wake(struct step_world *w, const char *why)
{
	step_must_wake(w, SYNC_TIMEOUT_MS, why);
}

void
sync_must_wake_within(struct step_world *w, int ms, const char *why)
{
	int64_t began = step_begin(w, why);
	while (sync_sleeps(w) && step_now() - began < ms * INT64_C(1000000))
		usleep(20);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, !sync_sleeps(w), "it sleeps on for %d ms: %s", ms, why);
}

pid_t
sync_twin(struct step_world *w, step_fn *call)
{
	pid_t twin = people_fork();
	if (twin == 0) {
		call(w);
		_exit(0);
	}
	int64_t began = step_now();
	for (int seen = 0; twin > 0 && seen < 3; usleep(40)) {
		seen = people_sleeps(twin) ? seen + 1 : 0;
		STEP_REQUIRE(w, step_now() - began < PATIENCE_MS * INT64_C(1000000),
		             "the second sleeper does not fall asleep");
	}
	return twin;
}

void
sync_twin_end(struct step_world *w, pid_t twin)
{
	int status = 1;
	while (waitpid(twin, &status, 0) < 0 && errno == EINTR)
		;
	STEP_REQUIRE(w, status == 0, "the second sleeper ended with %#x", (unsigned)status);
}
