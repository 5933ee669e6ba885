#include "arena/member.h"
#include "common.h"
#include <pthread.h>
#include <signal.h>

static struct member *
me_in(shoal_arena *a)
{
	struct shoal_thread *t;
	struct member *m;
	REQUIRE_EQ(member_here(a, &t, &m), 0);
	return m;
}

static uint32_t
members(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.members;
}

static shoal_arena *
small_arena(uint32_t members_max)
{
	shoal_arena_options o = { .limit_bytes = 4 << 20, .members_max = members_max };
	return create(NULL, &o);
}

static void
sound(shoal_arena *a)
{
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(member, a_thread_joins_at_its_first_call)
{
	shoal_arena *a = small_arena(4);
	struct member *m = me_in(a);
	REQUIRE(m && me_in(a) == m);
	REQUIRE_EQ(members(a), 1);
	REQUIRE_EQ(member_state(a, member_tag(a, m)), MEMBER_ALIVE);
	REQUIRE_EQ(member_own_tag(m), member_tag(a, m));
	REQUIRE(member_of_tag(a, member_tag(a, m)) == m);
	sound(a);
}

struct freed {
	shoal_arena *arena;
	void *memory[1000];
};

static void *
free_all(void *arg)
{
	struct freed *f = arg;
	for (int i = 0; i < 1000; i++)
		shoal_free(f->arena, f->memory[i]);
	REQUIRE_EQ(members(f->arena), 1);
	return NULL;
}

/* What it freed is there for others: they need no page more. */
Test(member, a_thread_that_only_frees_does_not_join)
{
	static struct freed f;
	static const size_t bytes[] = { 64, 3000, 100000 };
	shoal_arena_options o = { .limit_bytes = 256 << 20 };
	shoal_arena_info info;
	f.arena = create(NULL, &o);
	uint64_t taken = 0;
	for (unsigned n = 0; n < 9; n++) {
		pthread_t thread;
		for (int i = 0; i < 1000; i++)
			REQUIRE(f.memory[i] = shoal_new(f.arena, bytes[n / 3]));
		REQUIRE_EQ(shoal_arena_stat(f.arena, &info), 0);
		REQUIRE(n % 3 == 0 || info.taken_bytes == taken);
		taken = info.taken_bytes;
		REQUIRE_EQ(pthread_create(&thread, NULL, free_all, &f), 0);
		REQUIRE_EQ(pthread_join(thread, NULL), 0);
	}
	sound(f.arena);
}

/* A fork may come while another thread joins for the first time. */
Test(member, forks_are_heard_of_before_the_first_one_joins)
{
	REQUIRE(thread_fork_hook && thread_end_hook && thread_exit_hook);
}

static void *
join_only(void *arena)
{
	me_in(arena);
	return NULL;
}

/* An epoch of 0 is a forked child's: after 2^32 ends of threads this is none. */
Test(member, any_number_of_threads_may_leave)
{
	shoal_arena *a = small_arena(4);
	struct member *m = me_in(a);
	uint32_t generation = thread_generation();
	store_relaxed(&thread_page.epoch, THREAD_NO_EPOCH - 1);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		REQUIRE_EQ(pthread_create(&thread, NULL, join_only, a), 0);
		REQUIRE_EQ(pthread_join(thread, NULL), 0);
		REQUIRE(me_in(a) == m);
		REQUIRE_EQ(thread_generation(), generation);
	}
	store_relaxed(&thread_page.epoch, THREAD_NO_EPOCH - 1);
	shoal_arena_close(create(NULL, &small));
	REQUIRE(me_in(a) == m);
	REQUIRE_EQ(thread_generation(), generation);
	sound(a);
}

struct seen {
	shoal_arena *arena;
	uint32_t index, tag;
	volatile int go;
};

static void *
join_and_end(void *arg)
{
	struct seen *s = arg;
	struct member *m = me_in(s->arena);
	s->index = member_index(s->arena, m);
	s->tag = member_tag(s->arena, m);
	return NULL;
}

Test(member, leaves_when_its_thread_ends)
{
	struct seen s = { .arena = small_arena(4) };
	me_in(s.arena);
	for (int i = 0; i < 50; i++) {
		uint32_t before = s.tag;
		pthread_t thread;
		REQUIRE_EQ(pthread_create(&thread, NULL, join_and_end, &s), 0);
		REQUIRE_EQ(pthread_join(thread, NULL), 0);
		REQUIRE_EQ(s.index, 2);
		REQUIRE(s.tag != before);
		REQUIRE_EQ(member_state(s.arena, s.tag), MEMBER_GONE);
		REQUIRE_EQ(members(s.arena), 1);
	}
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(s.arena, &info), 0);
	REQUIRE_EQ(info.deaths, 0);
	sound(s.arena);
}

static int
join_and_die(void *arg)
{
	join_and_end(arg);
	raise(SIGKILL);
	return 0;
}

static struct seen *
shared_seen(shoal_arena *a)
{
	struct seen *s = shared(sizeof *s);
	s->arena = a;
	return s;
}

Test(member, a_dead_one_is_reaped_once)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	shoal_arena_info info;
	struct member *m = me_in(a);
	expect_killed(child(join_and_die, s), SIGKILL, 5000);
	REQUIRE(s->index != member_index(a, m));
	REQUIRE_EQ(member_state(a, s->tag), MEMBER_DEAD);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(shoal_arena_recover(a), 0);
	REQUIRE_EQ(member_state(a, s->tag), MEMBER_GONE);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.deaths, 1);
	REQUIRE_EQ(info.recoveries, 1);
	REQUIRE_EQ(info.members, 1);
	sound(a);
}

Test(member, records_of_the_dead_are_used_again)
{
	shoal_arena *a = small_arena(2);
	struct seen *s = shared_seen(a);
	me_in(a);
	for (int i = 0; i < 40; i++) {
		expect_killed(child(join_and_die, s), SIGKILL, 5000);
		REQUIRE_EQ(s->index, 2);
	}
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	sound(a);
}

static int
join_in_vain(void *arg)
{
	struct seen *s = arg;
	struct shoal_thread *t;
	struct member *m;
	REQUIRE_FAILS(member_here(s->arena, &t, &m), -EUSERS, "members_max");
	REQUIRE(!m);
	void *p;
	REQUIRE_EQ(shoal_alloc(s->arena, 10, &p), -EUSERS);
	REQUIRE(!p);
	return 0;
}

static int
join_and_stay(void *arg)
{
	struct seen *s = arg;
	join_and_end(s);
	s->go = 1;
	while (s->go != 2)
		sleep_ms(1);
	return 0;
}

Test(member, no_more_than_members_max)
{
	shoal_arena *a = small_arena(2);
	struct seen *s = shared_seen(a);
	me_in(a);
	pid_t pid = child(join_and_stay, s);
	for (int i = 0; i < 5000 && !s->go; i++)
		sleep_ms(1);
	/* A process needs a record as well as a thread: here the thread's is missing too. */
	expect_child(child(join_in_vain, s), 0, 5000);
	s->go = 2;
	expect_child(pid, 0, 5000);
	expect_killed(child(join_and_die, s), SIGKILL, 5000);
	REQUIRE(shoal_arena_recover(a) >= 1);
	sound(a);
}

static int
look_after_fork(void *arg)
{
	struct seen *s = arg;
	struct member *m = me_in(s->arena);
	REQUIRE(member_tag(s->arena, m) != s->tag);
	REQUIRE_EQ(member_state(s->arena, s->tag), MEMBER_ALIVE);
	REQUIRE_EQ(load_relaxed(&m->tid), getpid());
	REQUIRE_EQ(process_pid(s->arena, s->arena->process), getpid());
	shoal_arena_close(s->arena);
	return 0;
}

Test(member, a_forked_child_is_another)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	join_and_end(s);
	expect_child(child(look_after_fork, s), 0, 5000);
	REQUIRE_EQ(process_pid(a, a->process), getpid());
	REQUIRE_EQ(member_tag(a, me_in(a)), s->tag);
	shoal_arena_recover(a);
	REQUIRE_EQ(members(a), 1);
	sound(a);
}

/* Killed while it claims its record: it never said which process it is of. */
static int
die_joining(void *arg)
{
	struct seen *s = arg;
	struct shoal_thread *t = thread_self();
	struct member *m = arena_member(s->arena, 2);
	REQUIRE(robust_claim(t, &m->life));
	raise(SIGKILL);
	return 0;
}

Test(member, one_that_dies_joining_is_of_no_process)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	me_in(a);
	/* The second record has been used, and is free. */
	expect_killed(child(join_and_die, s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	expect_killed(child(die_joining, s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE(!process_gone(a, a->process, process_generation(a, a->process)));
	sound(a);
}

/* The same in a record that nobody has had. */
static int
die_in_a_new_one(void *arg)
{
	struct seen *s = arg;
	struct member *m = arena_member(s->arena, 2);
	REQUIRE(robust_claim(thread_self(), &m->life));
	store_relaxed(&m->process, 0);
	store_relaxed(&m->process_generation, 0);
	raise(SIGKILL);
	return 0;
}

/* That a member of the first process has died is still known. */
Test(member, one_that_dies_in_a_new_record_tells_nothing_of_the_first_process)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	me_in(a);
	uint32_t generation = process_generation(a, 0);
	REQUIRE_EQ(a->process, 0);
	store_relaxed(&arena_process(a, 0)->died, generation);
	expect_killed(child(join_and_die, s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	expect_killed(child(die_in_a_new_one, s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(load_relaxed(&arena_process(a, 0)->died), generation);
	sound(a);
}

/* As a record is that a helping thread borrows, at the moment when somebody checks the arena. */
Test(member, one_that_has_not_said_its_process_yet_is_no_damage)
{
	shoal_arena *a = small_arena(4);
	struct member *m = me_in(a);
	store_relaxed(&m->process, UINT32_MAX);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	store_relaxed(&m->process, 4);
	REQUIRE_EQ(shoal_arena_check(a, NULL), 1);
	store_relaxed(&m->process, a->process);
	sound(a);
}

static int
die_recovering(void *arg)
{
	struct seen *s = arg;
	struct shoal_thread *t = thread_self();
	me_in(s->arena);
	REQUIRE_EQ(robust_try(t, &arena_member(s->arena, s->index)->recovering), 0);
	raise(SIGKILL);
	return 0;
}

static int
stay_recovering(void *arg)
{
	struct seen *s = arg;
	struct shoal_thread *t = thread_self();
	REQUIRE_EQ(robust_try(t, &arena_member(s->arena, s->index)->recovering), 0);
	s->go = 1;
	for (;;)
		pause();
	return 0;
}

Test(member, a_dead_recoverer_is_followed_by_the_next)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	me_in(a);
	pid_t pid = child(join_and_stay, s);
	for (int i = 0; i < 5000 && !s->go; i++)
		sleep_ms(1);
	expect_killed(child(die_recovering, s), SIGKILL, 5000);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE(shoal_arena_recover(a) >= 1);
	REQUIRE_EQ(members(a), 1);
	sound(a);
}

/* A stopped one is waited for to the deadline, by those who must; others pass. */
Test(member, a_stopped_recoverer_holds_up_only_to_the_deadline)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	struct member *me = me_in(a);
	expect_killed(child(join_and_die, s), SIGKILL, 5000);
	pid_t pid = child(stay_recovering, s);
	for (int i = 0; i < 5000 && !s->go; i++)
		sleep_ms(1);
	REQUIRE_EQ(shoal_arena_recover(a), 0);
	int64_t start = now_ns();
	REQUIRE_EQ(member_recover(a, thread_self(), me, s->index, start + SHOAL_MS(30)), -EBUSY);
	REQUIRE(now_ns() - start >= SHOAL_MS(30));
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	sound(a);
}

Test(member, a_process_is_gone_when_it_died)
{
	shoal_arena *a = small_arena(4);
	struct seen *s = shared_seen(a);
	me_in(a);
	pid_t pid = child(join_and_stay, s);
	for (int i = 0; i < 5000 && !s->go; i++)
		sleep_ms(1);
	uint32_t process = load_relaxed(&arena_member(a, s->index)->process);
	uint32_t generation = process_generation(a, process);
	REQUIRE_EQ(process_pid(a, process), pid);
	REQUIRE(!process_gone(a, process, generation));
	kill(pid, SIGSTOP);
	REQUIRE(!process_gone(a, process, generation));
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE(process_gone(a, process, generation));
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE(process_gone(a, process, generation));
	sound(a);
}

/* ---- borrowed for one call ---- */

Test(member, a_record_is_borrowed_for_a_call)
{
	shoal_arena *a = small_arena(2);
	struct member *mine = me_in(a);
	struct shoal_thread lent, *t = thread_or_lent(&lent);
	REQUIRE(t == thread_self());
	for (int i = 0; i < 3; i++) {
		struct member *m = member_borrow(a, t);
		REQUIRE(m && m != mine && member_seat(a, t) == mine);
		/* It makes nobody a member. */
		REQUIRE_EQ(members(a), 1);
		REQUIRE_EQ(member_state(a, member_own_tag(m)), MEMBER_ALIVE);
		REQUIRE(!member_borrow(a, t));
		uint32_t tag = member_own_tag(m);
		member_give_back(t, m);
		REQUIRE_EQ(member_state(a, tag), MEMBER_GONE);
		REQUIRE_EQ(members(a), 1);
	}
	sound(a);
}

static void *
borrow_in_a_new_thread(void *arena)
{
	struct shoal_thread lent, *t = thread_or_lent(&lent);
	REQUIRE(t == &lent);
	struct member *m = member_borrow(arena, t);
	REQUIRE(m);
	member_give_back(t, m);
	REQUIRE(!thread_known());
	return NULL;
}

Test(member, also_by_a_thread_of_which_nothing_is_known)
{
	pthread_t thread;
	shoal_arena *a = small_arena(2);
	REQUIRE_EQ(pthread_create(&thread, NULL, borrow_in_a_new_thread, a), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(members(a), 0);
	sound(a);
}

static int
borrow_and_die(void *arena)
{
	struct shoal_thread lent;
	struct member *m = member_borrow(arena, thread_or_lent(&lent));
	REQUIRE(m);
	store_relaxed(&m->inside[0], 1);
	return raise(SIGKILL);
}

Test(member, one_who_dies_with_it_is_recovered)
{
	shoal_arena *a = small_arena(4);
	me_in(a);
	expect_killed(child(borrow_and_die, a), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(members(a), 1);
	sound(a);
}

static pthread_key_t last_key;

/* A second time: all others' keys had their turn. */
static void
end_here(void *rounds)
{
	if (rounds == &last_key)
		_exit(0);
	pthread_setspecific(last_key, &last_key);
}

static int
end_the_thread(void *arg)
{
	REQUIRE_EQ(pthread_key_create(&last_key, end_here), 0);
	REQUIRE_EQ(pthread_setspecific(last_key, arg), 0);
	pthread_exit(NULL);
}

/* Its record is the parent's: what that names is not given back. */
Test(member, the_end_of_a_thread_in_an_untold_child_leaves_its_parents_membership,
     .disabled = NOT_SEEN_BY_TSAN)
{
	shoal_arena *a = small_arena(4);
	struct member *m = me_in(a);
	uint32_t tag = member_tag(a, m);
	expect_child(untold_child(end_the_thread, a), 0, 5000);
	REQUIRE_EQ(members(a), 1);
	REQUIRE_EQ(member_state(a, tag), MEMBER_ALIVE);
	REQUIRE(me_in(a) == m && member_tag(a, m) == tag);
	sound(a);
}
