/* What a new process has of its parent's, and what it has not, under each start method. */
#include "process/methods.h"
#include <dlfcn.h>
#include <pthread.h>
#include <shoal/queue.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int
read_input(void *arg)
{
	obey(arg);
	return getchar() == EOF && read(STDIN_FILENO, &(char){ 0 }, 1) == 0;
}

EACH_METHOD(standard_input_is_empty)
{
	int ends[2];
	REQUIRE_EQ(pipe(ends), 0);
	REQUIRE_EQ(write(ends[1], "abc", 3), 3);
	REQUIRE_EQ(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	REQUIRE_EQ(getchar(), 'a');
	REQUIRE_EQ(code_sent(read_input, 0), 1);
	REQUIRE_EQ(getchar(), 'b');
}

EACH_METHOD(a_closed_standard_input_does_no_harm)
{
	close(STDIN_FILENO);
	REQUIRE_EQ(code_sent(read_input, 0), 1);
	REQUIRE_EQ(code_sent(read_input, 0), 1);
}

static int
take_much(void *arg)
{
	void *memory;
	obey(arg);
	return shoal_alloc(arena, 1 << 20, &memory) == 0 ? 7 : 8;
}

/* The input's place is free for the arena's file, and the child puts an empty one there. */
EACH_METHOD(an_arena_made_without_an_input_grows_in_the_child)
{
	close(STDIN_FILENO);
	prepare(order.method);
	REQUIRE(shoal_arena_fd(arena) > STDERR_FILENO);
	REQUIRE_EQ(code_sent(read_input, 0), 1);
	REQUIRE_EQ(code_sent(take_much, 0), 7);
}

static int
print_b(void *arg)
{
	obey(arg);
	fputs("B", stdout);
	return 0;
}

EACH_METHOD(buffered_output_appears_once_and_in_order)
{
	char got[8] = "";
	int ends[2];
	REQUIRE_EQ(code_sent(return_it, 0), 0);
	REQUIRE_EQ(pipe(ends), 0);
	int kept = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	fputs("A", stdout);
	int code = code_sent(print_b, 0);
	fputs("C", stdout);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(read(ends[0], got, sizeof got - 1), 3);
	REQUIRE_STR_EQ(got, "ABC");
}

static int
complain(void *arg)
{
	obey(arg);
	fputs("E", stderr);
	fputs("O", stdout);
	return 0;
}

/* Both streams as they are at each start, not as they were when a server was made. */
EACH_METHOD(output_goes_where_the_parents_does)
{
	int kept[2] = { dup(STDOUT_FILENO), dup(STDERR_FILENO) };
	for (int i = 0; i < 2; i++) {
		int out[2], err[2];
		char got[2][8] = { "", "" };
		REQUIRE_EQ(pipe(out), 0);
		REQUIRE_EQ(pipe(err), 0);
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		int code = code_sent(complain, 0);
		dup2(kept[0], STDOUT_FILENO);
		dup2(kept[1], STDERR_FILENO);
		REQUIRE_EQ(code, 0);
		REQUIRE_EQ(read(out[0], got[0], sizeof got[0] - 1), 1);
		REQUIRE_EQ(read(err[0], got[1], sizeof got[1] - 1), 1);
		REQUIRE_STR_EQ(got[0], "O");
		REQUIRE_STR_EQ(got[1], "E");
	}
}

static int
print_nowhere(void *arg)
{
	obey(arg);
	fputs("nowhere", stdout);
	fputs("nowhere", stderr);
	return fcntl(STDOUT_FILENO, F_GETFD) < 0 && fcntl(STDERR_FILENO, F_GETFD) < 0 ? 8 : 9;
}

static int
without_output(void *arg)
{
	(void)arg;
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	fputs("nowhere", stdout);
	return code_sent(print_nowhere, 0);
}

EACH_METHOD(closed_output_does_not_keep_one_from_starting_or_ending)
{
	expect_child(child(without_output, NULL), 8, 10000);
}

/* CPython's TestCloseFds. A forked child has what its parent has; others have what is theirs. */
static int
has_it(void *arg)
{
	int fd = obey(arg);
	return fcntl(fd, F_GETFD) >= 0;
}

EACH_METHOD(descriptors_of_the_parent_are_not_the_childs)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 200);
	REQUIRE_EQ(fd, 200);
	REQUIRE_EQ(code_sent(has_it, fd), order.method == SHOAL_FORK);
}

static int
look_after_arenas(void *arg)
{
	obey(arg);
	shoal_queue *q;
	struct stat s;
	REQUIRE(shoal_process_arena(0) != shoal_process_arena(1));
	REQUIRE_EQ(shoal_queue_open(shoal_process_arena(1), "q", 0, &q), 0);
	REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
	REQUIRE(shoal_process_arena(2) == arena);
	REQUIRE(shoal_alloc(shoal_process_arena(3), 100, (void *[1]){ NULL }) == -EPERM);
	REQUIRE(!shoal_process_arena(4));
	REQUIRE_EQ(fstat(shoal_arena_fd(arena), &s), 0);
	return 0;
}

EACH_METHOD(arenas_come_in_their_order)
{
	char name[64], got[4];
	shoal_arena *list[4] = { arena, NULL, arena, NULL };
	shoal_queue *q;
	shoal_process_options o = { .method = order.method, .arenas = list, .arena_count = 4,
		                        .arg_bytes = sizeof order };
	snprintf(name, sizeof name, "inherit-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &list[1]), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &list[3]), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(shoal_queue_create(list[1], "q", NULL, &q), 0);
	REQUIRE_EQ(ended_code(spawned(look_after_arenas, &order, &o)), 0);
	REQUIRE_EQ(shoal_queue_get(q, got, sizeof got, 0), 1);
}

static int
count_arenas(void *arg)
{
	obey(arg);
	int count = 0;
	while (shoal_process_arena((size_t)count) == arena)
		count++;
	return count;
}

/* More descriptors than the kernel carries in one message. */
EACH_METHOD(as_many_arenas_as_there_may_be)
{
	static shoal_arena *list[255];
	for (int i = 0; i < 255; i++)
		list[i] = arena;
	shoal_process_options o = { .method = order.method, .arenas = list, .arena_count = 255,
		                        .arg_bytes = sizeof order, .daemon = true };
	REQUIRE_EQ(ended_code(spawned(count_arenas, &order, &o)), 255);
}

static int
check_large(void *arg)
{
	const unsigned char *at = arg;
	REQUIRE_EQ((uintptr_t)arg % _Alignof(max_align_t), 0);
	for (size_t i = 0; i < 3000001; i++)
		if (at[i] != (unsigned char)(i * 7 + (i >> 12)))
			return 1;
	memset(arg, 0, 3000001);
	return 0;
}

EACH_METHOD(a_large_argument_arrives_and_is_the_childs_own)
{
	unsigned char *large = malloc(3000001);
	for (size_t i = 0; i < 3000001; i++)
		large[i] = (unsigned char)(i * 7 + (i >> 12));
	shoal_process_options o = { .method = order.method, .arg_bytes = 3000001 };
	REQUIRE_EQ(ended_code(spawned(check_large, large, &o)), 0);
	REQUIRE_EQ(check_large(large), 0);
	free(large);
}

static int
see_surroundings(void *arg)
{
	char here[256];
	sigset_t mask;
	obey(arg);
	REQUIRE(getcwd(here, sizeof here));
	REQUIRE_STR_EQ(here, "/");
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	REQUIRE(sigismember(&mask, SIGUSR1) == 1);
	REQUIRE(sigismember(&mask, SIGCHLD) == 0);
	REQUIRE_EQ(shoal_start_method_get(), order.number);
	REQUIRE_EQ(shoal_start_method_set(SHOAL_FORK), -EALREADY);
	return 0;
}

/* Also when a server stood elsewhere as it was made. */
/* Also from the processes that the child forks, in whatever way. */
static int
let_others_write(void *arg)
{
	struct order *mine = arg;
	int number = obey(arg);
	pid_t pid = fork();
	if (pid == 0) {
		mine->number = 99;
		_exit(0);
	}
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
	return mine->number == number ? 3 : 4;
}

EACH_METHOD(the_argument_is_not_shared_with_the_childs_children)
{
	REQUIRE_EQ(code_sent(let_others_write, 5), 3);
}

EACH_METHOD(directory_mask_and_method_are_the_parents)
{
	sigset_t one;
	REQUIRE_EQ(code_sent(return_it, 0), 0);
	REQUIRE_EQ(chdir("/"), 0);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	REQUIRE_EQ(shoal_start_method_set(order.method), 0);
	REQUIRE_EQ(code_sent(see_surroundings, order.method), 0);
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *
hold_it(void *arg)
{
	pthread_mutex_lock(&held);
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	return arg;
}

static int
take_it(void *arg)
{
	int locked;
	obey(arg);
	locked = pthread_mutex_trylock(&held);
	return locked == 0;
}

/* A fork copies the lock as it is, with nobody who would release it. */
Test(process_threads, with_threads_the_default_finds_no_lock_held)
{
	pthread_t t;
	prepare(SHOAL_START_DEFAULT);
	pthread_barrier_init(&both, NULL, 2);
	REQUIRE_EQ(pthread_create(&t, NULL, hold_it, NULL), 0);
	pthread_barrier_wait(&both);
	REQUIRE_EQ(code_sent(take_it, 0), 1);
	order.method = SHOAL_FORK;
	REQUIRE_EQ(code_sent(take_it, 0), 0);
	pthread_barrier_wait(&both);
	pthread_join(t, NULL);
}

/* What the server could not find is forked. */
Test(process_threads, with_threads_a_function_by_dlopen_is_forked)
{
	pthread_t t;
	void *library = dlopen("libthread_db.so.1", RTLD_NOW);
	if (!library)
		return;
	int (*run)(void *) = (int (*)(void *))(uintptr_t)dlsym(library, "td_init");
	pthread_barrier_init(&both, NULL, 2);
	REQUIRE_EQ(pthread_create(&t, NULL, hold_it, NULL), 0);
	shoal_process_options o = { .arg_bytes = sizeof order };
	REQUIRE_EQ(ended_code(spawned(run, &order, &o)), 0);
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	pthread_join(t, NULL);
}

static int
resident_mib(void *arg)
{
	long pages = 0;
	obey(arg);
	FILE *f = fopen("/proc/self/statm", "r");
	REQUIRE(f && fscanf(f, "%*s %ld", &pages) == 1);
	fclose(f);
	return (int)(pages / 256) > 255 ? 255 : (int)(pages / 256);
}

/* Fork maps all of the parent's memory; the other methods nothing of it. */
EACH_METHOD(memory_of_the_parent_is_not_carried)
{
	size_t bytes = (size_t)200 << 20;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	memset(memory, 1, bytes);
	int mib = code_sent(resident_mib, 0);
	if (order.method != SHOAL_FORK)
		REQUIRE(mib < 190);
	munmap(memory, bytes);
}

/* The module is here by dlopen alone. */
static void
refuse_foreign_function(void)
{
	void *library = dlopen("libthread_db.so.1", RTLD_NOW);
	shoal_process *p;
	if (!library)
		return;
	int (*run)(void *) = (int (*)(void *))(uintptr_t)dlsym(library, "td_init");
	shoal_process_options o = { .method = order.method, .arg_bytes = sizeof order };
	REQUIRE(run);
	REQUIRE_EQ(shoal_process_create(run, &order, &o, &p), 0);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_process_start(p), -ENOENT);
	REQUIRE(strstr(shoal_error(), "libthread_db"));
	REQUIRE(strstr(shoal_error(), "Process-1"));
	REQUIRE_EQ(shoal_process_pid(p), 0);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	REQUIRE(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	REQUIRE_EQ(shoal_process_close(p), 0);
}

Test(process_by_server, a_function_that_is_not_there_is_an_error)
{
	prepare(SHOAL_FORKSERVER);
	refuse_foreign_function();
}

Test(process_by_spawn, a_function_that_is_not_there_is_an_error)
{
	prepare(SHOAL_SPAWN);
	refuse_foreign_function();
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
lack_descriptors(void *arg)
{
	shoal_process *p;
	shoal_process_options o = { .method = order.method, .arg_bytes = sizeof order, .daemon = true,
		                        .arenas = &arena, .arena_count = 1 };
	order.number = 5;
	REQUIRE_EQ(shoal_process_create(return_it, &order, &o, &p), 0);
	int open = count_fds();
	for (rlim_t most = 3; most < 40; most++) {
		limit(RLIMIT_NOFILE, most);
		int rc = shoal_process_start(p);
		if (!rc)
			break;
		REQUIRE(rc == -EMFILE || rc == -ENFILE);
		REQUIRE_EQ(shoal_process_pid(p), 0);
		REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	}
	limit(RLIMIT_NOFILE, 512);
	REQUIRE_EQ(ended_code(p), 5);
	/* The server's socket and pidfd stay. */
	REQUIRE_EQ(count_fds(), open + (order.method == SHOAL_FORKSERVER ? 2 : 0));
	return arg != NULL;
}

EACH_METHOD(no_descriptor_left_is_an_error_and_no_process)
{
	expect_child(child(lack_descriptors, NULL), 0, 10000);
}

static int
lack_processes(void *arg)
{
	shoal_process *p;
	shoal_process_options o = { .method = order.method, .arg_bytes = sizeof order };
	limit(RLIMIT_NPROC, 0);
	if (!geteuid() && setuid(65534))
		return 0;
	REQUIRE_EQ(shoal_process_create(return_it, &order, &o, &p), 0);
	REQUIRE_EQ(shoal_process_start(p), -EAGAIN);
	REQUIRE_EQ(shoal_process_close(p), 0);
	return arg != NULL;
}

EACH_METHOD(no_process_left_is_an_error)
{
	expect_child(child(lack_processes, NULL), 0, 10000);
}
