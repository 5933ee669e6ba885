#include "common.h"
#include <shoal/sync.h>
#include <signal.h>

Test(named, locks_are_found_by_their_names)
{
	shoal_arena *a = create(NULL, &small);
	shoal_lock *lock, *same;
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &lock), -ENOENT);
	REQUIRE_EQ(shoal_lock_create(a, "door", SHOAL_LOCK_AUTOCLEAN, &lock), 0);
	REQUIRE_FAILS(shoal_lock_create(a, "door", 0, &same), -EEXIST, "door");
	REQUIRE(!same);
	REQUIRE_EQ(shoal_lock_create(a, "door", SHOAL_OR_OPEN, &same), 0);
	REQUIRE(same == lock);
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &same), 0);
	REQUIRE(same == lock);
	REQUIRE_FAILS(shoal_lock_release(lock), -EPERM, "'door'");
	REQUIRE_EQ(shoal_lock_create(a, "odd", 8, &same), -EINVAL);
	REQUIRE_EQ(shoal_lock_create(a, "no/name", 0, &same), -EINVAL);
	REQUIRE_EQ(shoal_lock_open(a, "odd", 0, &same), -ENOENT);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(lock), 0);
	REQUIRE_EQ(shoal_lock_destroy(a, lock), 0);
	REQUIRE_EQ(shoal_lock_destroy(a, NULL), 0);
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &same), -ENOENT);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(named, each_kind_is_its_own)
{
	shoal_arena *a = create(NULL, &small);
	shoal_rwlock *rw, *rw2;
	shoal_semaphore *s, *s2;
	shoal_condition *c, *c2;
	shoal_event *e, *e2;
	REQUIRE_EQ(shoal_rwlock_create(a, "rw", 0, &rw), 0);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 3, 2, &s), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 2, 2, &s), 0);
	REQUIRE_EQ(shoal_condition_create(a, "c", &c), 0);
	REQUIRE_EQ(shoal_event_create(a, "e", &e), 0);
	REQUIRE_EQ(shoal_rwlock_open(a, "rw", 0, &rw2), 0);
	REQUIRE_EQ(shoal_semaphore_open(a, "s", 0, &s2), 0);
	REQUIRE_EQ(shoal_condition_open(a, "c", 0, &c2), 0);
	REQUIRE_EQ(shoal_event_open(a, "e", 0, &e2), 0);
	REQUIRE(rw == rw2 && s == s2 && c == c2 && e == e2);
	REQUIRE_EQ(shoal_event_open(a, "s", 0, &e2), -EPROTO);
	REQUIRE_EQ(shoal_semaphore_release(s), -EOVERFLOW);
	REQUIRE_EQ(shoal_rwlock_read(rw, 0), 0);
	REQUIRE_EQ(shoal_rwlock_release(rw), 0);
	shoal_object_info o;
	int n = 0;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &o) == 1; n++)
		REQUIRE(o.kind >= SHOAL_KIND_LOCK && o.size >= 32);
	REQUIRE_EQ(n, 4);
	REQUIRE_EQ(shoal_rwlock_destroy(a, rw), 0);
	REQUIRE_EQ(shoal_semaphore_destroy(a, s), 0);
	REQUIRE_EQ(shoal_condition_destroy(a, c), 0);
	REQUIRE_EQ(shoal_event_destroy(a, e), 0);
	REQUIRE_EQ(shoal_arena_next(a, &(uint64_t){ 0 }, &o), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static int
open_and_die(void *arg)
{
	shoal_arena *a = attach(arg);
	shoal_lock *lock;
	shoal_event *event;
	REQUIRE_EQ(shoal_lock_open(a, "lock", SHOAL_SEC(5), &lock), 0);
	REQUIRE_EQ(shoal_event_open(a, "event", SHOAL_SEC(5), &event), 0);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), 0);
	REQUIRE_EQ(shoal_event_set(event), 0);
	for (;;)
		pause();
	return 0;
}

Test(named, they_join_processes_that_share_an_arena)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small);
	shoal_lock *lock;
	shoal_event *event;
	pid_t pid = child(open_and_die, (void *)(uintptr_t)name);
	sleep_ms(20);
	REQUIRE_EQ(shoal_lock_create(a, "lock", 0, &lock), 0);
	REQUIRE_EQ(shoal_event_create(a, "event", &event), 0);
	REQUIRE_EQ(shoal_event_wait(event, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), -EAGAIN);
	kill(pid, SIGKILL);
	REQUIRE_EQ(shoal_lock_acquire(lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_consistent(lock), 0);
	REQUIRE_EQ(shoal_lock_release(lock), 0);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE_EQ(shoal_lock_destroy(a, lock), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}
