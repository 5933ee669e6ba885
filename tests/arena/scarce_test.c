/*
 * What happens when memory, descriptors or addresses run out: an error code, and the state as it
 * was.
 */
#include "arena/common.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

/* A tmpfs of 1 MiB that ends with this process. */
static void
mount_small(const char *dir)
{
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	REQUIRE_EQ(mount("small", dir, "tmpfs", 0, "size=1m"), 0);
}

static int
fill_from_inside(void *dir)
{
	char path[64];
	mount_small(dir);
	snprintf(path, sizeof path, "%s/a", (char *)dir);
	shoal_arena_options o = { .limit_bytes = 64 << 20 };
	shoal_arena *a = create(path, &o);
	void *got[64], *p;
	int n = 0, rc = 0;
	while (n < 64 && (rc = shoal_alloc(a, 60000, &got[n])) == 0)
		memset(got[n++], 0xaa, 60000);
	REQUIRE_EQ(rc, -ENOSPC);
	REQUIRE(n > 5);
	REQUIRE(strstr(shoal_error(), "no memory") != NULL);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_free(a, got[0]);
	REQUIRE_EQ(shoal_alloc(a, 60000, &p), 0);
	REQUIRE_EQ(shoal_alloc(a, 10 << 20, &got[0]), -ENOSPC);
	shoal_arena_close(a);
	return 0;
}

static int
create_in_the_full(void *dir)
{
	static char block[4096];
	char path[64], filler[64];
	shoal_arena *a;
	mount_small(dir);
	snprintf(filler, sizeof filler, "%s/filler", (char *)dir);
	snprintf(path, sizeof path, "%s/a", (char *)dir);
	int fd = open(filler, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int blocks = 0;
	while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
		blocks++;
	/* With any number of blocks left, it works or it says so, and leaves nothing behind. */
	for (int left = 0; left < blocks; left++) {
		struct stat s;
		REQUIRE_EQ(ftruncate(fd, (off_t)(blocks - left) * 4096), 0);
		int rc = shoal_arena_create(path, &small, &a);
		if (rc == 0)
			break;
		REQUIRE_EQ(rc, -ENOSPC);
		REQUIRE_EQ(lstat(path, &s), -1);
		REQUIRE(left < 100);
	}
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
	return 0;
}

static void
in_a_small_one(int (*run)(void *))
{
	if (skip_unless(geteuid() == 0, "root, to mount a small tmpfs"))
		return;
	char dir[] = "/tmp/shoal-test-XXXXXX";
	REQUIRE(mkdtemp(dir) != NULL);
	expect_child(child(run, dir), 0, 10000);
	REQUIRE_EQ(rmdir(dir), 0);
}

Test(scarce, a_full_tmpfs_is_an_error_of_the_call)
{
	in_a_small_one(fill_from_inside);
}

Test(scarce, a_full_tmpfs_holds_no_half_arena)
{
	in_a_small_one(create_in_the_full);
}

static void
limit(int what, rlim_t most)
{
	struct rlimit r;
	REQUIRE_EQ(getrlimit(what, &r), 0);
	r.rlim_cur = most;
	REQUIRE_EQ(setrlimit(what, &r), 0);
}

static int
descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Every number of free descriptors: it works, or it says so and takes none. */
static int
with_few_descriptors(void *name)
{
	shoal_arena *a, *b;
	int before = descriptors(), low = dup(0);
	close(low);
	int rc = -1, refused = 0;
	for (int more = 0; rc; more++, refused++) {
		limit(RLIMIT_NOFILE, (rlim_t)(low + more));
		rc = shoal_arena_create(NULL, &small, &a);
		int created = rc ? rc : shoal_arena_create(name, &small, &b);
		REQUIRE(created == 0 || created == -EMFILE);
		REQUIRE(rc == 0 || strstr(shoal_error(), "RLIMIT_NOFILE"));
		if (rc == 0 && created)
			shoal_arena_close(a);
		rc = created;
		limit(RLIMIT_NOFILE, (rlim_t)(low + 100));
		REQUIRE_EQ(exists(name), rc == 0);
		REQUIRE_EQ(descriptors(), before + (rc ? 0 : 2));
		REQUIRE(more < 20);
	}
	REQUIRE(refused > 2);
	shoal_arena_close(b);
	limit(RLIMIT_NOFILE, (rlim_t)(low + 1));
	REQUIRE_EQ(shoal_arena_attach(name, 0, &b), -EMFILE);
	REQUIRE_EQ(shoal_arena_attach_fd(shoal_arena_fd(a), &b), -EMFILE);
	limit(RLIMIT_NOFILE, (rlim_t)(low + 100));
	REQUIRE(attach(name) != a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	return 0;
}

Test(scarce, without_descriptors_it_says_so)
{
	const char *name = test_name();
	shoal_arena_close(create(NULL, &small));
	expect_child(child(with_few_descriptors, (void *)name), 0, 5000);
}

static int
with_few_addresses(void *unused)
{
	(void)unused;
	shoal_arena *a;
	limit(RLIMIT_AS, (rlim_t)4 << 30);
	REQUIRE_FAILS(shoal_arena_create(NULL, NULL, &a), -ENOMEM, "limit_bytes");
	a = create(NULL, &small);
	REQUIRE(shoal_new(a, 100) != NULL);
	shoal_arena_close(a);
	return 0;
}

Test(scarce, without_addresses_it_says_so)
{
	if (skip_unless(HARNESS_SLOW == 1, "a build that has no shadow memory"))
		return;
	expect_child(child(with_few_addresses, NULL), 0, 5000);
}

static int
with_short_files(void *unused)
{
	(void)unused;
	shoal_arena *a;
	limit(RLIMIT_FSIZE, 100 << 20);
	REQUIRE_FAILS(shoal_arena_create(NULL, NULL, &a), -EFBIG, "RLIMIT_FSIZE");
	shoal_arena_close(create(NULL, &small));
	return 0;
}

Test(scarce, a_limit_on_file_lengths_is_no_signal)
{
	expect_child(child(with_short_files, NULL), 0, 5000);
}
