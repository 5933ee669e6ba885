#include "arena/common.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

Test(map, unlink_removes_no_other_file)
{
	char path[] = "/tmp/shoal-test-XXXXXX";
	int fd = mkstemp(path);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(shoal_arena_unlink(path), -EPROTO);
	REQUIRE_EQ(write(fd, "something else", 14), 14);
	REQUIRE_EQ(shoal_arena_unlink(path), -EPROTO);
	REQUIRE_EQ(unlink(path), 0);
	close(fd);
	REQUIRE_EQ(symlink("/tmp", path), 0);
	REQUIRE_EQ(shoal_arena_unlink(path), -EPROTO);
	REQUIRE_EQ(unlink(path), 0);
	REQUIRE_EQ(mknod(path, S_IFSOCK | 0600, 0), 0);
	REQUIRE_EQ(shoal_arena_unlink(path), -EPROTO);
	REQUIRE_EQ(unlink(path), 0);
}

Test(map, a_private_one_has_a_word_in_sentences)
{
	shoal_arena *a = create(NULL, &small);
	REQUIRE(shoal_ref_of(a, &a) == 0);
	REQUIRE(strstr(shoal_error(), "'(private)'") != NULL);
	shoal_arena_close(a);
}

/* A reference is to what is somebody's: not to what nobody has, or has any more. */
Test(map, no_reference_is_to_what_is_free)
{
	static const size_t bytes[] = { 100, 70000, 3 << 20 };
	shoal_arena_options o = { .limit_bytes = 64 << 20 };
	shoal_arena *a = create(NULL, &o);
	for (int i = 0; i < 3; i++) {
		char *p = shoal_new(a, bytes[i]);
		char *last = p + bytes[i] - 1;
		REQUIRE(shoal_deref(a, shoal_ref_of(a, last)) == last);
		REQUIRE(shoal_deref(a, shoal_ref_of(a, p + bytes[i] / 2)) == p + bytes[i] / 2);
		shoal_free(a, p);
		REQUIRE(shoal_ref_of(a, p) == 0);
		REQUIRE(strstr(shoal_error(), "no block") != NULL);
		REQUIRE(shoal_ref_of(a, last) == 0);
	}
	REQUIRE(shoal_ref_of(a, a->base + a->bytes - 1) == 0);
	shoal_arena_close(a);
}

/* ---- private ones ---- */

Test(map, a_private_arena_gives_memory_and_ends)
{
	shoal_arena *a = create(NULL, NULL);
	char *p = shoal_new(a, 100);
	REQUIRE(p && arena_of(p) == a);
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(p[i], 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	uint32_t epoch = thread_epoch();
	shoal_arena_close(a);
	REQUIRE(arena_of(p) == NULL);
	REQUIRE(thread_epoch() != epoch);
	shoal_arena_close(NULL);
}

Test(map, its_file_is_private_and_sealed)
{
	shoal_arena *a = create(NULL, &small);
	struct stat s;
	REQUIRE_EQ(fstat(shoal_arena_fd(a), &s), 0);
	REQUIRE_EQ(s.st_mode & 0777, 0600);
	REQUIRE_EQ(ftruncate(shoal_arena_fd(a), 4096), -1);
	REQUIRE_EQ(ftruncate(shoal_arena_fd(a), s.st_size * 2), -1);
	REQUIRE(fcntl(shoal_arena_fd(a), F_GETFD) & FD_CLOEXEC);
	REQUIRE((fcntl(shoal_arena_fd(a), F_GET_SEALS) & F_SEAL_SEAL) != 0);
	shoal_arena_close(a);
}

static int
write_in_child(void *p)
{
	shoal_arena *a = arena_of(p);
	REQUIRE(a != NULL);
	REQUIRE(shoal_new(a, 5000) != NULL);
	*(int *)p = 42;
	shoal_arena_close(a);
	REQUIRE(arena_of(p) == NULL);
	return 0;
}

Test(map, a_forked_child_has_it_at_the_same_address)
{
	shoal_arena *a = create(NULL, &small);
	int *p = shoal_new(a, sizeof *p);
	expect_child(child(write_in_child, p), 0, 5000);
	REQUIRE_EQ(*p, 42);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(map, options_out_of_range_are_refused)
{
	static const shoal_arena_options bad[] = {
		{ .reserved_ = { [0] = 1 } },
		{ .reserved_ = { [3] = 1 } },
		{ .members_max = 4001 },
		{ .flags = 8 },
		{ .flags = ~0u },
		{ .mode = 0700 },
		{ .mode = 010600 },
		{ .limit_bytes = ((size_t)1 << 40) + 1 },
		{ .limit_bytes = (size_t)1 << 40 },
		{ .limit_bytes = SIZE_MAX },
		{ .limit_bytes = 1 << 20, .reserve_bytes = 2 << 20 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		shoal_arena *a = (void *)1;
		REQUIRE_FAILS(shoal_arena_create(NULL, &bad[i], &a), -EINVAL, "arena options");
		REQUIRE(a == NULL);
	}
}

Test(map, the_smallest_and_the_largest_arenas_work)
{
	static const shoal_arena_options extremes[] = {
		{ .limit_bytes = 1, .members_max = 1 },
		{ .limit_bytes = 1, .members_max = 4000 },
		{ .limit_bytes = ((size_t)1 << 40) - (1 << 30), .members_max = 4000 },
		{ .limit_bytes = 8 << 20, .reserve_bytes = 8 << 20, .flags = SHOAL_HUGE },
	};
	for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
		shoal_arena *a = create(NULL, &extremes[i]);
		REQUIRE(shoal_new(a, 100) != NULL);
		shoal_arena_info info;
		REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
		REQUIRE(info.limit_bytes >= extremes[i].limit_bytes);
		REQUIRE(info.limit_bytes >= 1 << 20);
		REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
		shoal_arena_close(a);
	}
}

Test(map, more_arenas_than_a_process_can_have)
{
	static shoal_arena *all[THREAD_SEATS];
	shoal_arena *more;
	for (int i = 0; i < THREAD_SEATS; i++)
		all[i] = create(NULL, &small);
	REQUIRE_FAILS(shoal_arena_create(NULL, &small, &more), -EMFILE, "256 arenas");
	for (int i = 0; i < THREAD_SEATS; i += 2)
		REQUIRE(arena_of(all[i]->base + 100) == all[i]);
	for (int i = THREAD_SEATS - 1; i >= 0; i--)
		shoal_arena_close(all[i]);
	shoal_arena_close(create(NULL, &small));
}

/* ---- named ones ---- */

Test(map, bad_names_are_refused)
{
	char long_name[65], long_path[400];
	memset(long_name, 'a', 64);
	long_name[64] = 0;
	memset(long_path, '/', 399);
	long_path[398] = 'a';
	long_path[399] = 0;
	const char *bad[] = { "", ".", "..", "a b", "a\nb", "ü", long_name, long_path, "/dev/shm/",
		              "./.." };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		shoal_arena *a;
		REQUIRE_EQ(shoal_arena_create(bad[i], &small, &a), -EINVAL);
		REQUIRE_EQ(shoal_arena_attach(bad[i], 0, &a), -EINVAL);
		REQUIRE_EQ(shoal_arena_unlink(bad[i]), -EINVAL);
	}
	REQUIRE_EQ(shoal_arena_unlink(NULL), -EINVAL);
}

Test(map, a_name_is_taken_once)
{
	const char *name = test_name();
	shoal_arena *b, *a = create(name, &small);
	shoal_arena_options or_attach = small;
	or_attach.flags = SHOAL_OR_ATTACH;
	REQUIRE_FAILS(shoal_arena_create(name, &small, &b), -EEXIST, name);
	REQUIRE(strstr(shoal_error(), "SHOAL_OR_ATTACH"));
	REQUIRE(b == NULL);
	REQUIRE_EQ(shoal_arena_create(name, &or_attach, &b), 0);
	REQUIRE(a == b);
	shoal_arena_close(b);
	shoal_arena_close(a);
	REQUIRE(exists(name));
	REQUIRE_FAILS(shoal_arena_create(name, &small, &b), -EEXIST, name);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), -ENOENT);
	shoal_arena_close(create(name, &or_attach));
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

Test(map, attaching_twice_gives_one_handle)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small), *b;
	REQUIRE(attach(name) == a);
	REQUIRE_EQ(shoal_arena_attach_fd(shoal_arena_fd(a), &b), 0);
	REQUIRE(a == b);
	shoal_arena_close(a);
	shoal_arena_close(a);
	REQUIRE(shoal_new(a, 10) != NULL);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

Test(map, a_path_is_used_as_it_is)
{
	char dir[] = "/dev/shm/test-XXXXXX", path[64];
	REQUIRE(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/any name", dir);
	shoal_arena_options o = small;
	o.mode = 0664;
	mode_t mask = umask(0777);
	shoal_arena *a = create(path, &o);
	umask(mask);
	struct stat s;
	REQUIRE_EQ(stat(path, &s), 0);
	REQUIRE_EQ(s.st_mode & 0777, 0664);
	REQUIRE_EQ(chdir(dir), 0);
	REQUIRE(attach("./any name") == a);
	shoal_arena_close(a);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink("./any name"), 0);
	REQUIRE_EQ(chdir("/"), 0);
	REQUIRE_EQ(rmdir(dir), 0);
	REQUIRE_EQ(shoal_arena_attach(path, 0, &a), -ENOENT);
}

Test(map, references_hold_across_processes)
{
	shoal_arena *a = create(NULL, &small), *b = create(NULL, &small);
	char *p = shoal_new(a, 100);
	shoal_ref ref = shoal_ref_of(a, p + 3);
	REQUIRE(shoal_deref(a, ref) == p + 3);
	REQUIRE(shoal_deref(a, 0) == NULL);
	REQUIRE(shoal_ref_of(a, NULL) == 0);
	REQUIRE(shoal_ref_of(a, a->header) == 0);
	REQUIRE(shoal_ref_of(a, &a) == 0);
	REQUIRE(shoal_ref_of(b, p) == 0);
	if ((a->id & 0xff) != (b->id & 0xff))
		REQUIRE(shoal_deref(b, ref) == NULL);
	REQUIRE(shoal_deref(a, (a->id & 0xff) << 56 | 4096) == NULL);
	REQUIRE(shoal_deref(a, (a->id & 0xff) << 56 | a->bytes) == NULL);
	shoal_arena_close(b);
	shoal_arena_close(a);
}

/* ---- waiting ---- */

static int
attach_later(void *name)
{
	shoal_arena *a = attach(name);
	REQUIRE(shoal_new(a, 10) != NULL);
	shoal_arena_close(a);
	return 0;
}

Test(map, attach_waits_for_the_creator)
{
	const char *name = test_name();
	pid_t pid = child(attach_later, (void *)name);
	sleep_ms(60);
	shoal_arena *a = create(name, &small);
	expect_child(pid, 0, 5000);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

Test(map, attach_gives_up_in_time)
{
	const char *name = test_name();
	shoal_arena *a;
	int64_t fair = fair_ns();
	REQUIRE_FAILS(shoal_arena_attach(name, SHOAL_NOWAIT, &a), -ENOENT, name);
	REQUIRE_FAILS(shoal_arena_attach(name, -5, &a), -ENOENT, name);
	REQUIRE(fair_ns() - fair < SHOAL_MS(50 * HARNESS_SLOW));
	int64_t before = now_ns();
	REQUIRE_EQ(shoal_arena_attach(name, SHOAL_MS(60), &a), -ENOENT);
	REQUIRE(now_ns() - before >= SHOAL_MS(60));
	REQUIRE(a == NULL);
}

static void *
interrupt_soon(void *thread)
{
	sleep_ms(30);
	shoal_thread_interrupt(thread);
	return NULL;
}

Test(map, an_interrupt_ends_the_wait)
{
	pthread_t t;
	shoal_arena *a;
	pthread_create(&t, NULL, interrupt_soon, shoal_thread_self());
	REQUIRE_EQ(shoal_arena_attach(test_name(), SHOAL_FOREVER, &a), -ECANCELED);
	pthread_join(t, NULL);
}

/* ---- watchers ---- */

Test(map, a_watcher_reads_and_cannot_write)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small), *w, *again;
	char *p = shoal_new(a, 100);
	strcpy(p, "seen");
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &w), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &again), 0);
	REQUIRE(w != a && w == again);
	REQUIRE_STR_EQ(shoal_deref(w, shoal_ref_of(a, p)), "seen");
	void *q;
	REQUIRE_FAILS(shoal_alloc(w, 10, &q), -EPERM, "read-only");
	REQUIRE_EQ(shoal_arena_recover(w), -EPERM);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(w, &info), 0);
	REQUIRE_EQ(info.members, 1);
	REQUIRE_EQ(shoal_arena_check(w, stderr), 0);
	shoal_arena_close(w);
	shoal_arena_close(w);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

Test(map, a_readonly_descriptor_gives_a_watcher)
{
	shoal_arena *a = create(NULL, &small), *w;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", shoal_arena_fd(a));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(shoal_arena_attach_fd(fd, &w), 0);
	REQUIRE(w != a);
	close(fd);
	void *q;
	REQUIRE_EQ(shoal_alloc(w, 10, &q), -EPERM);
	shoal_arena_close(w);
	shoal_arena_close(a);
}

/* ---- the end ---- */

Test(map, unlink_last_goes_with_the_last_handle)
{
	const char *name = test_name();
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST;
	shoal_arena *a = create(name, &o);
	REQUIRE(attach(name) == a);
	shoal_arena_close(a);
	REQUIRE(exists(name));
	shoal_arena_close(a);
	REQUIRE(!exists(name));
}

static int *board;

static int
hold_a_while(void *name)
{
	shoal_arena *a = attach(name);
	board[0] = 1;
	while (!((volatile int *)board)[1])
		sleep_ms(1);
	shoal_arena_close(a);
	return exists(name);
}

static void
until_held(void)
{
	while (!((volatile int *)board)[0])
		sleep_ms(1);
}

Test(map, unlink_last_waits_for_the_other_process)
{
	const char *name = test_name();
	board = shared(4096);
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST;
	pid_t pid = child(hold_a_while, (void *)name);
	shoal_arena *a = create(name, &o);
	until_held();
	shoal_arena_close(a);
	REQUIRE(exists(name));
	board[1] = 1;
	expect_child(pid, 0, 5000);
	REQUIRE(!exists(name));
}

static shoal_arena *inherited;

static int
attach_the_inherited(void *name)
{
	REQUIRE(attach(name) == inherited);
	board[0] = 1;
	while (!((volatile int *)board)[1])
		sleep_ms(1);
	REQUIRE(exists(name));
	shoal_arena_close(inherited);
	REQUIRE(exists(name));
	shoal_arena_close(inherited);
	return exists(name);
}

/* A child that only inherited it does not count; one that attaches it does, whatever it calls. */
Test(map, and_for_a_forked_child_that_attached_it)
{
	const char *name = test_name();
	board = shared(4096);
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST;
	inherited = create(name, &o);
	pid_t pid = child(attach_the_inherited, (void *)name);
	until_held();
	shoal_arena_close(inherited);
	REQUIRE(exists(name));
	board[1] = 1;
	expect_child(pid, 0, 5000);
	REQUIRE(!exists(name));
}

static int
create_and_die(void *name)
{
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST;
	shoal_arena *a = create(name, &o);
	REQUIRE(shoal_new(a, 10) != NULL);
	return raise(SIGKILL);
}

Test(map, unlink_last_ends_with_the_death_of_the_last)
{
	const char *name = test_name();
	shoal_arena *a;
	expect_killed(child(create_and_die, (void *)name), SIGKILL, 5000);
	REQUIRE(exists(name));
	REQUIRE_EQ(shoal_arena_attach(name, 0, &a), -ENOENT);
	REQUIRE(!exists(name));
	expect_killed(child(create_and_die, (void *)name), SIGKILL, 5000);
	shoal_arena_close(create(name, &small));
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

static int
begin_to_end_and_die(void *name)
{
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST;
	store_seq_cst(&create(name, &o)->header->state, ARENA_DYING);
	return raise(SIGKILL);
}

Test(map, what_a_dead_one_was_ending_is_ended)
{
	const char *name = test_name();
	expect_killed(child(begin_to_end_and_die, (void *)name), SIGKILL, 5000);
	shoal_arena *a = create(name, &small);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

/*
 * While it is attached, an arena has its name: nobody unlinks it under its users, nobody makes a
 * second one.
 */
static int
come_and_go(void *name)
{
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST | SHOAL_OR_ATTACH;
	for (int i = 0; i < 150; i++) {
		struct stat file, named;
		shoal_arena *a = create(name, &o);
		REQUIRE_EQ(fstat(shoal_arena_fd(a), &file), 0);
		REQUIRE_EQ(file.st_nlink, 1);
		REQUIRE_EQ(stat(path_of(name), &named), 0);
		REQUIRE_EQ(file.st_ino, named.st_ino);
		shoal_arena_close(a);
	}
	return 0;
}

Test(map, many_come_and_go, .timeout = 60)
{
	const char *name = test_name();
	pid_t pid[4];
	for (int i = 0; i < 4; i++)
		pid[i] = child(come_and_go, (void *)name);
	for (int i = 0; i < 4; i++)
		expect_child(pid[i], 0, 50000);
	REQUIRE(!exists(name));
}

/* ---- threads ---- */

static atomic_int stage;

static void *
use_for_a_while(void *arg)
{
	shoal_arena *a = arg;
	char *p = shoal_new(a, 100);
	REQUIRE(p != NULL);
	atomic_store(&stage, 1);
	while (atomic_load(&stage) != 2)
		sleep_ms(1);
	strcpy(p, "still there");
	REQUIRE(arena_of(p) == a);
	return p;
}

Test(map, close_waits_for_threads_that_use_it)
{
	pthread_t t;
	void *p;
	shoal_arena *a = create(NULL, &small);
	REQUIRE(shoal_new(a, 100) != NULL);
	pthread_create(&t, NULL, use_for_a_while, a);
	while (atomic_load(&stage) != 1)
		sleep_ms(1);
	shoal_arena_close(a);
	atomic_store(&stage, 2);
	pthread_join(t, &p);
	REQUIRE(arena_of(p) == NULL);
}

Test(map, a_closed_arena_lives_again)
{
	pthread_t t;
	void *p;
	const char *name = test_name();
	shoal_arena *a = create(name, &small);
	pthread_create(&t, NULL, use_for_a_while, a);
	while (atomic_load(&stage) != 1)
		sleep_ms(1);
	shoal_arena_close(a);
	REQUIRE(attach(name) == a);
	atomic_store(&stage, 2);
	pthread_join(t, &p);
	REQUIRE(arena_of(p) == a);
	shoal_arena_close(a);
	REQUIRE(arena_of(p) == NULL);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

static void *
look_up_again_and_again(void *arg)
{
	shoal_arena *a = arg;
	while (!atomic_load(&stage))
		for (int i = 0; i < 100; i++)
			REQUIRE(arena_of(a->base + 64 * i) == a);
	return NULL;
}

Test(map, the_table_is_read_while_it_changes)
{
	pthread_t t[2];
	shoal_arena *a = create(NULL, &small);
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, look_up_again_and_again, a);
	for (int i = 0; i < 50; i++) {
		shoal_arena *b = create(NULL, &small);
		REQUIRE(arena_of(b->base) == b);
		shoal_arena_close(b);
	}
	atomic_store(&stage, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	shoal_arena_close(a);
}
