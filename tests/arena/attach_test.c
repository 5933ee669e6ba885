/* What attach refuses: files that are no arenas, hostile ones, those of others. */
#include "arena/common.h"
#include "arena/header.h"
#include "base/kernel.h"
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int
open_arena(const char *name)
{
	int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0);
	return fd;
}

/* The file of an arena that nobody is attached to. */
static int
make_file(const char *name)
{
	shoal_arena_close(create(name, &small));
	return open_arena(name);
}

static void
drop_file(const char *name, int fd)
{
	close(fd);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

static int
attach_any(const char *name)
{
	shoal_arena *a = NULL;
	int rc = shoal_arena_attach(name, 0, &a);
	REQUIRE((rc == 0) == (a != NULL));
	shoal_arena *w = NULL;
	int watched = shoal_arena_attach_readonly(name, 0, &w);
	REQUIRE_EQ(watched, rc);
	shoal_arena_close(w);
	shoal_arena_close(a);
	return rc;
}

/* ---- no arena ---- */

static void
refuse_content(const void *content, size_t bytes, const char *word)
{
	const char *name = test_name();
	shoal_arena_close(create(name, &small)); /* makes the directory */
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(write(fd, content, bytes), (ssize_t)bytes);
	REQUIRE_FAILS(attach_any(name), -EPROTO, name);
	if (!strstr(shoal_error(), word))
		test_fail(__FILE__, __LINE__, "the sentence lacks '%s'", word);
	drop_file(name, fd);
}

Test(attach, files_that_are_no_arenas)
{
	static char big[1 << 20];
	refuse_content("", 0, "0 bytes");
	refuse_content("hello", 5, "5 bytes");
	refuse_content(big, 100, "100 bytes");
	refuse_content(big, sizeof big, "not an arena");
	memset(big, 0xff, sizeof big);
	refuse_content(big, sizeof big, "not an arena");
	memcpy(big, "\x89\nSHOAL1", 8);
	refuse_content(big, 8, "8 bytes");
	refuse_content(big, sizeof big, "");
}

Test(attach, things_that_are_no_files)
{
	const char *name = test_name();
	shoal_arena *a;
	drop_file(name, make_file(name));
	REQUIRE_EQ(mkdir(path_of(name), 0700), 0);
	REQUIRE_EQ(attach_any(name), -EPROTO);
	REQUIRE_EQ(shoal_arena_create(name, &small, &a), -EEXIST);
	REQUIRE_EQ(rmdir(path_of(name)), 0);
	REQUIRE_EQ(mkfifo(path_of(name), 0600), 0);
	REQUIRE_EQ(attach_any(name), -EPROTO);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

Test(attach, descriptors_that_are_no_arenas)
{
	shoal_arena *a;
	int p[2];
	REQUIRE_EQ(pipe(p), 0);
	REQUIRE_EQ(shoal_arena_attach_fd(-1, &a), -EBADF);
	REQUIRE_EQ(shoal_arena_attach_fd(9999, &a), -EBADF);
	REQUIRE_EQ(shoal_arena_attach_fd(p[0], &a), -EPROTO);
	int fd = memfd_create("other", MFD_CLOEXEC);
	REQUIRE_FAILS(shoal_arena_attach_fd(fd, &a), -EPROTO, "descriptor");
	close(fd);
	close(p[0]);
	close(p[1]);
}

/* A copy of a private arena can be cut short under its users. */
Test(attach, an_unsealed_copy_is_refused)
{
	static char page[HEADER_BYTES];
	shoal_arena *a = create(NULL, &small), *b;
	int fd = memfd_create("copy", MFD_CLOEXEC);
	REQUIRE_EQ(pread(shoal_arena_fd(a), page, sizeof page, 0), (ssize_t)sizeof page);
	REQUIRE_EQ(pwrite(fd, page, sizeof page, 0), (ssize_t)sizeof page);
	REQUIRE_EQ(ftruncate(fd, (off_t)a->bytes), 0);
	REQUIRE_FAILS(shoal_arena_attach_fd(fd, &b), -EPROTO, "sealed");
	close(fd);
	shoal_arena_close(a);
}

/* ---- hostile headers ---- */

/* As copiers make them that leave out zeros. */
static void
copy_with_holes(int from, int to, off_t bytes)
{
	static const char zeros[4096];
	char page[sizeof zeros];
	REQUIRE_EQ(ftruncate(to, bytes), 0);
	for (off_t at = 0; at < bytes; at += (off_t)sizeof page) {
		REQUIRE_EQ(pread(from, page, sizeof page, at), sizeof page);
		if (memcmp(page, zeros, sizeof page))
			REQUIRE_EQ(pwrite(to, page, sizeof page, at), sizeof page);
	}
}

/* What lies in a hole needs memory at the first touch, when there may be none. */
Test(attach, a_copy_with_holes_is_refused)
{
	struct stat s;
	const char *name = test_name();
	int whole = make_file(name);
	REQUIRE_EQ(attach_any(name), 0);
	REQUIRE_EQ(fstat(whole, &s), 0);
	REQUIRE_EQ(unlink(path_of(name)), 0);
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	copy_with_holes(whole, fd, s.st_size);
	REQUIRE_FAILS(attach_any(name), -EPROTO, "holes");
	close(whole);
	drop_file(name, fd);
}

Test(attach, a_truncated_file)
{
	const char *name = test_name();
	int fd = make_file(name);
	struct stat s;
	REQUIRE_EQ(fstat(fd, &s), 0);
	const off_t cuts[] = { s.st_size - 1, s.st_size - 4096, s.st_size + 4096, 65536, 4096 };
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		REQUIRE_EQ(ftruncate(fd, cuts[i]), 0);
		REQUIRE_FAILS(attach_any(name), -EPROTO, "truncated");
	}
	drop_file(name, fd);
}

static void
require_refused(const char *name, int fd, size_t at, uint32_t was, uint32_t value)
{
	if (value == was)
		return;
	REQUIRE_EQ(pwrite(fd, &value, 4, (off_t)at), 4);
	int rc = attach_any(name);
	if (rc != -EPROTO || !strstr(shoal_error(), name))
		test_fail(__FILE__, __LINE__, "header word at %zu: %x instead of %x gives %d", at,
		          value, was, rc);
}

/* Each word of the part that never changes, but for those that mean nothing to an attacher. */
Test(attach, every_header_field_hostile)
{
	const char *name = test_name();
	int fd = make_file(name);
	REQUIRE_EQ(attach_any(name), 0);
	for (size_t at = 0; at < offsetof(struct arena_header, flags); at += 4) {
		uint32_t was;
		REQUIRE_EQ(pread(fd, &was, 4, (off_t)at), 4);
		const uint32_t values[] = { 0, 1, was + 1, was - 1, was ^ 0x80000000u, ~was,
			                    was * 2, 0xffffffffu, 0x7fffffffu };
		for (size_t i = 0; i < sizeof values / sizeof *values; i++)
			require_refused(name, fd, at, was, values[i]);
		REQUIRE_EQ(pwrite(fd, &was, 4, (off_t)at), 4);
	}
	REQUIRE_EQ(attach_any(name), 0);
	drop_file(name, fd);
}

static const struct { size_t at; uint32_t value; const char *word; } hostile[] = {
	{ offsetof(struct arena_header, magic), 0x12345678, "not an arena" },
	{ offsetof(struct arena_header, version), ARENA_VERSION + 1, "library knows version" },
	{ offsetof(struct arena_header, layout), 1, "layout" },
	{ offsetof(struct arena_header, data_at), 0, "data_at" },
	{ offsetof(struct arena_header, flags), 8, "flags" },
	{ offsetof(struct arena_header, mode), 0777, "mode" },
	{ offsetof(struct arena_header, id), 0, "id" },
	{ offsetof(struct arena_header, state), 0, "state" },
	{ offsetof(struct arena_header, state), 7, "state" },
	{ offsetof(struct arena_header, members_high), 17, "members_high" },
	{ offsetof(struct arena_header, objects_high), OBJECTS_MAX + 1, "objects_high" },
	{ offsetof(struct arena_header, pages_high), 1000, "pages_high" },
	{ offsetof(struct arena_header, pages_high) + 4, 1, "pages_high" },
};

Test(attach, the_sentence_names_the_field)
{
	const char *name = test_name();
	int fd = make_file(name);
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		uint32_t was;
		REQUIRE_EQ(pread(fd, &was, 4, (off_t)hostile[i].at), 4);
		REQUIRE_EQ(pwrite(fd, &hostile[i].value, 4, (off_t)hostile[i].at), 4);
		REQUIRE_FAILS(attach_any(name), -EPROTO, hostile[i].word);
		REQUIRE_EQ(pwrite(fd, &was, 4, (off_t)hostile[i].at), 4);
	}
	REQUIRE_EQ(attach_any(name), 0);
	drop_file(name, fd);
}

/* ---- in the way ---- */

Test(attach, a_symlink_is_not_followed)
{
	const char *name = test_name(), *target = "target";
	char to[160];
	shoal_arena *a;
	int fd = make_file(name);
	snprintf(to, sizeof to, "%s.%s", path_of(name), target);
	REQUIRE_EQ(rename(path_of(name), to), 0);
	REQUIRE_EQ(symlink(to, path_of(name)), 0);
	REQUIRE_FAILS(attach_any(name), -EPERM, "symbolic link");
	REQUIRE_EQ(shoal_arena_create(name, &small, &a), -EEXIST);
	shoal_arena_options o = small;
	o.flags = SHOAL_OR_ATTACH;
	REQUIRE_EQ(shoal_arena_create(name, &o, &a), -EPERM);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(access(to, F_OK), 0);
	REQUIRE_EQ(unlink(to), 0);
	close(fd);
}

Test(attach, another_users_file_is_refused)
{
	if (skip_unless(geteuid() == 0, "root, to give a file to another user"))
		return;
	const char *name = test_name();
	shoal_arena *a;
	int fd = make_file(name);
	REQUIRE_EQ(fchown(fd, 65534, 65534), 0);
	REQUIRE_FAILS(attach_any(name), -EPERM, "belongs to user 65534");
	REQUIRE_EQ(shoal_arena_create(name, &small, &a), -EEXIST);
	REQUIRE_EQ(fchown(fd, 0, 0), 0);
	REQUIRE_EQ(attach_any(name), 0);
	drop_file(name, fd);
}

Test(attach, a_mode_that_became_wider_is_refused)
{
	const char *name = test_name();
	int fd = make_file(name);
	REQUIRE_EQ(fchmod(fd, 0666), 0);
	REQUIRE_FAILS(attach_any(name), -EPERM, "666");
	REQUIRE_EQ(fchmod(fd, 0600), 0);
	REQUIRE_EQ(attach_any(name), 0);
	drop_file(name, fd);
}

Test(attach, a_second_link_is_refused)
{
	const char *name = test_name();
	char other[160];
	int fd = make_file(name);
	snprintf(other, sizeof other, "%s.other", path_of(name));
	REQUIRE_EQ(link(path_of(name), other), 0);
	REQUIRE_FAILS(attach_any(name), -EPERM, "hard link");
	REQUIRE_EQ(unlink(other), 0);
	drop_file(name, fd);
}

#define STRANGER 54321u

/* As a user whose directory somebody else has made before. */
static int
be_a_stranger(void *unused)
{
	(void)unused;
	char dir[64];
	shoal_arena *a;
	snprintf(dir, sizeof dir, "/dev/shm/shoal-%u", STRANGER);
	REQUIRE_EQ(mkdir(dir, 0777), 0);
	REQUIRE_EQ(setresuid(STRANGER, STRANGER, 0), 0);
	int mine = shoal_arena_create("x", &small, &a);
	bool said = strstr(shoal_error(), "belongs to user 0") != NULL;
	int theirs = shoal_arena_attach("x", 0, &a);
	REQUIRE_EQ(setresuid(0, 0, 0), 0);
	REQUIRE_EQ(chown(dir, STRANGER, STRANGER), 0);
	REQUIRE_EQ(chmod(dir, 0755), 0);
	REQUIRE_EQ(setresuid(STRANGER, STRANGER, 0), 0);
	int open_to_all = shoal_arena_create("x", &small, &a);
	REQUIRE_EQ(setresuid(0, 0, 0), 0);
	REQUIRE_EQ(rmdir(dir), 0);
	REQUIRE_EQ(symlink("/tmp", dir), 0);
	REQUIRE_EQ(setresuid(STRANGER, STRANGER, 0), 0);
	int linked = shoal_arena_create("x", &small, &a);
	REQUIRE_EQ(setresuid(0, 0, 0), 0);
	REQUIRE_EQ(unlink(dir), 0);
	REQUIRE_EQ(mine, -EPERM);
	REQUIRE(said);
	REQUIRE_EQ(theirs, -EPERM);
	REQUIRE_EQ(open_to_all, -EPERM);
	REQUIRE_EQ(linked, -EPERM);
	return 0;
}

Test(attach, another_users_directory_is_refused)
{
	if (skip_unless(geteuid() == 0, "root, to be two users"))
		return;
	expect_child(child(be_a_stranger, NULL), 0, 5000);
}

/* ---- other processes' worlds ---- */

static int
make_with_membarrier(void *name)
{
	shoal_arena *a = create(name, &small);
	if (skip_unless(a->flags & ARENA_MEMBARRIER, "membarrier"))
		REQUIRE_EQ(shoal_arena_unlink(name), 0);
	shoal_arena_close(a);
	return 0;
}

static int
attach_without_membarrier(void *name)
{
	shoal_arena *a;
	setenv("SHOAL_WITHOUT", "membarrier", 1);
	REQUIRE(!kernel_has(KERNEL_MEMBARRIER));
	REQUIRE_FAILS(shoal_arena_attach(name, 0, &a), -EPERM, "SHOAL_WITHOUT=membarrier");
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &a), 0);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	a = create(name, &small);
	REQUIRE_EQ(a->flags & ARENA_MEMBARRIER, 0);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.features & SHOAL_HAS_MEMBARRIER, 0);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	return 0;
}

/*
 * The environment is looked at once in a process: the test itself makes no call before its
 * children.
 */
Test(attach, who_cannot_join_the_barrier_is_refused)
{
	const char *name = test_name();
	expect_child(child(make_with_membarrier, (void *)name), 0, 5000);
	if (exists(name))
		expect_child(child(attach_without_membarrier, (void *)name), 0, 5000);
}

static int
in_another_namespace(void *name)
{
	shoal_arena *a;
	REQUIRE_FAILS(shoal_arena_attach(name, 0, &a), -EPERM, "namespace");
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &a), 0);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.members, 1);
	shoal_arena_close(a);
	return 0;
}

static int
unshare_pids(void *name)
{
	REQUIRE_EQ(unshare(CLONE_NEWPID), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_another_namespace(name));
	int status;
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int *board;

static int
hold(void *name)
{
	shoal_arena *a = create(name, &small);
	REQUIRE(shoal_new(a, 10) != NULL);
	__atomic_store_n(&board[0], 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&board[1], __ATOMIC_ACQUIRE))
		sleep_ms(1);
	shoal_arena_close(a);
	return 0;
}

Test(attach, another_pid_namespace_may_only_watch)
{
	if (skip_unless(geteuid() == 0, "root, for a PID namespace"))
		return;
	const char *name = test_name();
	board = shared(4096);
	pid_t holder = child(hold, (void *)name);
	while (!__atomic_load_n(&board[0], __ATOMIC_ACQUIRE))
		sleep_ms(1);
	expect_child(child(unshare_pids, (void *)name), 0, 5000);
	__atomic_store_n(&board[1], 1, __ATOMIC_RELEASE);
	expect_child(holder, 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}
