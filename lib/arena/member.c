#include "arena/member.h"
#include "arena/recover.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include <unistd.h>

word32 arena_seats[THREAD_SEATS];
/* The id of the thread of this process that claims the process's record, one at a time; or 0. */
static word32 joining;

enum member_state
member_state(const shoal_arena *a, uint32_t tag)
{
	const struct member *m = member_of_tag(a, tag);
	if (!m)
		return MEMBER_GONE;
	/* Life before generation: the generation rises before the word is free for the next one. */
	uint32_t life = load_acquire(&m->life.word);
	if (tag_make(tag_index(tag), load_acquire(&m->generation)) != tag)
		return MEMBER_GONE;
	return life & FUTEX_DIED ? MEMBER_DEAD : MEMBER_ALIVE;
}

static uint32_t
members_high(const shoal_arena *a)
{
	uint32_t high = load_acquire(&a->header->members_high);
	return high < a->members_max ? high : a->members_max;
}

/* robust_claim, or robust_claim_briefly. */
typedef bool claim_fn(struct shoal_thread *t, struct robust *life);

static uint32_t
claim_any(shoal_arena *a, struct shoal_thread *t, claim_fn *claim)
{
	uint32_t high = members_high(a);
	for (uint32_t i = 1; i <= high; i++) {
		struct robust *life = &arena_member(a, i)->life;
		if (load_relaxed(&life->word) == 0 && claim(t, life))
			return i;
	}
	return 0;
}

static int
grow(shoal_arena *a)
{
	uint32_t high = members_high(a);
	if (high == a->members_max)
		return fail(-EUSERS,
		            "all %u members of arena '%s' are taken; create it with a larger members_max",
		            a->members_max, a->name);
	int rc = arena_back(a, a->members_at + high * MEMBER_STRIDE, MEMBER_STRIDE);
	if (rc == 0)
		cas32_acq_rel(&a->header->members_high, high, high + 1);
	return rc;
}

/*
 * A free record, or a new one. The dead are reaped only when there is none: that wants a record of
 * one's own to work from, so one record is claimed, or made, before.
 */
static int
find_record(shoal_arena *a, struct shoal_thread *t, uint32_t *index)
{
	while (!(*index = claim_any(a, t, robust_claim))) {
		int rc = grow(a);
		if (rc == 0)
			continue;
		if (!member_recover_bare(a, t))
			return rc;
	}
	return 0;
}

static void
leave_all(struct shoal_thread *t)
{
	for (unsigned i = 0; i < THREAD_SEATS; i++)
		if (t->seat[i])
			member_leave(arena_of(t->seat[i]), t);
}

static void
leave_processes(struct shoal_thread *t)
{
	for (unsigned i = 0; i < THREAD_SEATS; i++)
		if (t->seat[i])
			recover_leaving(arena_of(t->seat[i]), t, t->seat[i]);
}

static void
forget(struct shoal_thread *parents)
{
	(void)parents;
	store_relaxed(&joining, 0);
	for (unsigned i = 0; i < THREAD_SEATS; i++)
		store_relaxed(&arena_seats[i], 0);
}

/* Before any fork: `joining` may be another thread's then, which the child lacks. */
__attribute__((constructor)) static void
hear_of_threads(void)
{
	thread_fork_hook = forget;
	thread_end_hook = leave_all;
	thread_exit_hook = leave_processes;
}

/*
 * One at a time, by a spin: the record of a process is claimed once in its life. False: this is a
 * signal handler that interrupted the one who is at it.
 */
static bool
begin_joining(void)
{
	uint32_t mine = (uint32_t)kernel_tid();
	while (!cas32_acq_rel(&joining, 0, mine)) {
		if (load_relaxed(&joining) == mine)
			return false;
		kernel_yield();
	}
	return true;
}

bool
process_is_joined(const shoal_arena *a)
{
	if (!begin_joining())
		return false;
	bool is = a->generation == thread_generation();
	store_release(&joining, 0);
	return is;
}

int
process_ensure(shoal_arena *a)
{
	int rc = 0;
	if (!begin_joining())
		return fail(-EDEADLK, "in a signal handler that interrupted its thread's first call");
	if (a->generation != thread_generation())
		rc = process_join(a);
	store_release(&joining, 0);
	return rc;
}

/*
 * Then it was asked what follows. Relaxed: nothing else depends on it. A forked child whose first
 * call is yet to come has its parent's count.
 */
static bool
process_has_members(const shoal_arena *a)
{
	return thread_epoch() && seats_taken(load_relaxed(&arena_seats[a->seat]));
}

int
member_may_write(const shoal_arena *a, const struct shoal_thread *t)
{
	if (a->readonly)
		return fail(-EPERM, "arena '%s' is attached read-only", a->name);
	if (t && !robust_usable(t))
		return fail(-ENOSYS, "this C library's robust list is laid out in another way");
	if (!process_has_members(a) && kernel_pid_namespace() != a->header->pid_namespace)
		return fail(-EPERM, "arena '%s' belongs to another PID namespace; attach it read-only",
		            a->name);
	return 0;
}

/* Of those that arena_seats counts, how many threads_max lets in. One beyond may have no seat. */
static uint32_t
limited(uint32_t seats)
{
	uint32_t taken = seats_taken(seats), beyond = seats / SEAT_BEYOND;
	return taken > beyond ? taken - beyond : 0;
}

/*
 * Counted before it has a record, so that there are never more than may be. Relaxed: of the count
 * nothing else depends; who is counted a moment too long keeps another one out.
 */
static bool
count_in(shoal_arena *a)
{
	word32 *seats = &arena_seats[a->seat];
	uint32_t now, most = load_relaxed(&a->threads_max);
	do
		now = load_relaxed(seats);
	while ((!most || limited(now) < most) && !cas32_acq_rel(seats, now, now + 1));
	return !most || limited(now) < most;
}

static struct member *
begin_member(shoal_arena *a, const struct shoal_thread *t, uint32_t index, bool borrowed)
{
	struct member *m = arena_member(a, index);
	/* A new record's 0 is a process too: one who dies here is of none. */
	store_relaxed(&m->process, UINT32_MAX);
	fence_crash();
	store_relaxed(&m->borrowed, borrowed);
	store_relaxed(&m->tid, t->tid);
	store_relaxed(&m->tag, member_tag(a, m));
	store_relaxed(&m->process_generation, process_generation(a, a->process));
	store_release(&m->process, a->process);
	return m;
}

/* The thread is counted, and is no longer if it fails. */
static int
take_record(shoal_arena *a, struct shoal_thread *t, struct member **out)
{
	uint32_t index;
	int rc = process_ensure(a);
	if (!rc)
		rc = find_record(a, t, &index);
	if (rc) {
		fetch_add_relaxed(&arena_seats[a->seat], UINT32_MAX);
		return rc;
	}
	struct member *m = begin_member(a, t, index, false);
	t->seat[a->seat] = *out = m;
	member_recover_all(a, t, m);
	return 0;
}

/* What the thread is in while it joins or leaves, before. */
struct passage {
	uint32_t busy, passing;
};

/*
 * What a signal handler calls meanwhile would take another record, and what it frees would come to
 * lie in magazines that are emptied.
 */
static struct passage
pass(struct shoal_thread *t)
{
	struct passage before = { t->busy, t->passing };
	t->busy = t->passing = 1;
	return before;
}

static void
passed(struct shoal_thread *t, struct passage before)
{
	t->passing = before.passing;
	t->busy = before.busy;
}

/*
 * Not by a signal handler inside a joining or leaving; nor inside a change of the thread's robust
 * list, which gets one more for good.
 */
static int
may_join(shoal_arena *a, const struct shoal_thread *t)
{
	if (!t)
		return fail(-ENOMEM, "no memory or no pthread key for this thread's record, or "
		            "get_robust_list is refused");
	if (t->passing || robust_is_changing(t->robust))
		return fail(-EDEADLK, "a signal handler's call would make its thread a member of arena "
		            "'%s', inside a call that it interrupted", a->name);
	return member_may_write(a, t);
}

/* A handler may have come, and joined, before this passage began. */
static int
join(shoal_arena *a, struct shoal_thread *t, struct member **out)
{
	if ((*out = member_seat(a, t)))
		return 0;
	if (!count_in(a))
		return fail(-EUSERS, "as many threads of this process use arena '%s' as may: %u", a->name,
		            load_relaxed(&a->threads_max));
	return take_record(a, t, out);
}

static void
leave_abandoned(struct shoal_thread *t)
{
	for (unsigned i = 0; i < THREAD_SEATS; i++) {
		struct member *m = t->seat[i];
		shoal_arena *a = m ? arena_of(m) : NULL;
		if (a && load_acquire(&a->abandoned) &&
		    !robust_holds_within(t, a->base, a->bytes, &m->life))
			member_leave(a, t);
	}
}

int
member_join(shoal_arena *a, struct shoal_thread *t, struct member **out)
{
	int rc = arena_asked("the call", a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = may_join(a, t);
	if (rc)
		return rc;
	leave_abandoned(t);
	struct passage before = pass(t);
	rc = join(a, t, out);
	passed(t, before);
	return rc;
}

void
member_begin_beyond(shoal_arena *a)
{
	struct shoal_thread *t = thread_self();
	struct member *m;
	bool may = may_join(a, t) == 0;
	fetch_add_relaxed(&arena_seats[a->seat], SEAT_BEYOND + may);
	if (!may)
		return;
	struct passage before = pass(t);
	take_record(a, t, &m);
	passed(t, before);
}

void
member_end_beyond(shoal_arena *a)
{
	fetch_add_relaxed(&arena_seats[a->seat], -SEAT_BEYOND);
}

struct member *
member_borrow(shoal_arena *a, struct shoal_thread *t)
{
	struct error_kept kept;
	uint32_t index = 0;
	/* In a forked child the process that the arena names is the parent still. */
	if (!thread_epoch())
		return NULL;
	error_keep(&kept);
	if (!robust_is_changing(t->robust) && process_ensure(a) == 0)
		while (!(index = claim_any(a, t, robust_claim_briefly)) && grow(a) == 0)
			continue;
	error_restore(&kept);
	return index ? begin_member(a, t, index, true) : NULL;
}

void
member_give_back(struct shoal_thread *t, struct member *m)
{
	member_retire(m);
	robust_drop_briefly(t, &m->life);
}

void
member_leave(shoal_arena *a, struct shoal_thread *t)
{
	struct member *m = member_seat(a, t);
	if (!m)
		return;
	struct passage before = pass(t);
	recover_self(a, t, m);
	thread_epoch_next();
	t->seat[a->seat] = NULL;
	passed(t, before);
	/*
	 * Whether it is closing is looked at under the table's lock, as is the count by the closer. A
	 * thread that ends with locks held leaves the mapping behind: the kernel has yet to mark them.
	 */
	bool holds = robust_holds_within(t, a->base, a->bytes, NULL);
	if (seats_taken(fetch_add_relaxed(&arena_seats[a->seat], UINT32_MAX)) == 1 && !holds)
		arena_unmap(a);
}

/* ---- processes ---- */

static uint64_t
record_word(uint32_t generation, pid_t pid)
{
	return (uint64_t)generation << 32 | (uint32_t)pid;
}

static bool
record_ended(const struct process_record *p, uint64_t word)
{
	return kernel_process_ended((pid_t)(uint32_t)word, process_started(p, word));
}

/* Claimed by the pid itself, so that one who dies before it wrote more is known. */
static bool
claim_process(shoal_arena *a, uint32_t i, pid_t pid)
{
	struct process_record *p = arena_process(a, i);
	uint64_t word = load_acquire(&p->word);
	uint32_t generation = (uint32_t)(word >> 32) + 1;
	bool mine = (uint32_t)word == (uint32_t)pid && thread_generation() == 0;
	if ((uint32_t)word != 0 && !mine && !record_ended(p, word))
		return false;
	if (!cas64_acq_rel(&p->word, word, record_word(generation, pid)))
		return false;
	store_release(&p->start_time, kernel_start_time(pid) << 24 | (generation & 0xffffff));
	a->process = i;
	return true;
}

/*
 * First the records that are free, then those whose process has ended. What the ended one's
 * members left may still be unresolved: it names the record's generation too, and this process
 * has the next.
 */
int
process_join(shoal_arena *a)
{
	pid_t pid = getpid();
	for (int ended = 0; ended < 2; ended++) {
		for (uint32_t i = 0; i < a->members_max; i++) {
			uint64_t word = load_acquire(&arena_process(a, i)->word);
			if (((uint32_t)word == 0) == !ended && claim_process(a, i, pid)) {
				a->generation = thread_generation();
				return 0;
			}
		}
	}
	return fail(-EUSERS, "arena '%s' has no place for another process: members_max is %u", a->name,
	            a->members_max);
}

bool
process_leave(shoal_arena *a)
{
	struct process_record *p = arena_process(a, a->process);
	uint64_t word = load_acquire(&p->word);
	uint32_t generation = (uint32_t)(word >> 32);
	if ((uint32_t)word == (uint32_t)getpid())
		cas64_seq_cst(&p->word, word, record_word(generation + 1, 0));
	for (uint32_t i = 0; i < a->members_max; i++) {
		p = arena_process(a, i);
		word = load_seq_cst(&p->word);
		if ((uint32_t)word != 0 && !record_ended(p, word))
			return false;
	}
	return true;
}

/*
 * Whether the record's process has a living member, and whether a dead one (not recovered yet, or
 * recovered).
 */
static void
look_at_members(const shoal_arena *a, uint32_t index, uint32_t generation, bool *living, bool *dead)
{
	*living = false;
	*dead = load_acquire(&arena_process(a, index)->died) == generation;
	for (uint32_t i = 1; i <= members_high(a); i++) {
		const struct member *m = arena_member(a, i);
		uint32_t life = load_acquire(&m->life.word);
		if (!life || load_acquire(&m->process) != index ||
		    load_acquire(&m->process_generation) != generation)
			continue;
		if (life & FUTEX_DIED)
			*dead = true;
		else
			*living = true;
	}
}

/* Another process may have the record by now: it has the next generation. */
static bool
is_of(const struct member *m, uint32_t process, uint32_t generation)
{
	return load_acquire(&m->process) == process &&
	       load_relaxed(&m->process_generation) == generation;
}

struct member *
process_living_member(const shoal_arena *a, uint32_t index, uint32_t generation, uint32_t hint)
{
	struct member *m = member_of_tag(a, hint);
	if (m && member_state(a, hint) == MEMBER_ALIVE && is_of(m, index, generation))
		return m;
	for (uint32_t i = 1; i <= members_high(a); i++) {
		m = arena_member(a, i);
		uint32_t life = load_acquire(&m->life.word);
		if (life && !(life & FUTEX_DIED) && is_of(m, index, generation))
			return m;
	}
	return NULL;
}

/*
 * A process is gone when a member of it died and none lives, or when it has no member left and its
 * pidfd says so: the robust words of a killed process are marked a little before its pidfd reads as
 * ended.
 */
bool
process_gone(shoal_arena *a, uint32_t index, uint32_t generation)
{
	if (index >= a->members_max)
		return true;
	struct process_record *p = arena_process(a, index);
	uint64_t word = load_acquire(&p->word);
	if ((uint32_t)(word >> 32) != generation || (uint32_t)word == 0)
		return true;
	bool living, dead;
	look_at_members(a, index, generation, &living, &dead);
	bool gone = !living && (dead || record_ended(p, word));
	/* The record may have been given back meanwhile, and its members be another's. */
	return load_acquire(&p->word) != word || gone;
}
