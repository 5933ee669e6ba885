#include "common.h"
#include "base/kernel.h"
#include "base/thread.h"
#include "sync/plain.h"
#include <sys/resource.h>

enum { MOST = SHOAL_READERS_MAX };

struct world {
	shoal_rwlock lock;
	word32 reached, over;
	volatile uint64_t pair[2];
	volatile int result;
	volatile int64_t at;
	volatile bool end;
};

static int
give(struct world *w)
{
	return shoal_rwlock_release(&w->lock);
}

static int
read_and_stay(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(10)), 0);
	reach(&w->reached);
	stay();
	return 0;
}

static int
write_and_stay(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(10)), 0);
	reach(&w->reached);
	stay();
	return 0;
}

static pid_t
started(struct world *w, int (*run)(void *))
{
	uint32_t before = load_acquire(&w->reached);
	pid_t pid = child(run, w);
	wait_for(&w->reached, before + 1);
	return pid;
}

Test(rwlock, has_many_readers_or_one_writer)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_rwlock), 128);
	REQUIRE_EQ(shoal_rwlock_init(&w->lock, 2), -EINVAL);
	REQUIRE_EQ(shoal_rwlock_init(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), -EPERM);
	pid_t reader = started(w, read_and_stay);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), -EAGAIN);
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= SHOAL_MS(30));
	/* Nothing is left of the try. */
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), 0);
	kill_now(reader);
	pid_t writer = started(w, write_and_stay);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(give(w), -EPERM);
	kill_now(writer);
	REQUIRE_EQ(thread_self()->held, 0);
}

Test(rwlock, counts_its_writers)
{
	struct world *w = shared(sizeof *w);
	shoal_lock_info info;
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_stat(&w->lock, &info), 0);
	REQUIRE(info.acquisitions == 0 && info.owner == 0);
	REQUIRE_EQ(give(w), 0);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), 0);
		REQUIRE_EQ(shoal_rwlock_stat(&w->lock, &info), 0);
		REQUIRE(info.acquisitions == (uint64_t)i + 1 && info.owner == gettid());
		REQUIRE_EQ(give(w), 0);
	}
	kill_now(started(w, write_and_stay));
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rwlock_stat(&w->lock, &info), 0);
	REQUIRE_EQ(info.deaths, 1);
	REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(shoal_rwlock_stat(&w->lock, NULL), -EINVAL);
}

Test(rwlock, knows_what_its_thread_holds)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(1)), -EDEADLK);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(1)), -EDEADLK);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(give(w), -EPERM);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(1)), -EDEADLK);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(1)), -EDEADLK);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(give(w), -EPERM);
}

/* It might wait for itself: the places are its own, or a writer waits until it is done. */
Test(rwlock, a_reader_does_not_wait_for_a_second_place)
{
	struct world *w = shared(sizeof *w);
	kill_now(started(w, read_and_stay));
	for (int i = 0; i < MOST; i++)
		REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), -EAGAIN);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(5)), -EDEADLK);
	REQUIRE(fair_ns() - start < SHOAL_SEC(2));
	for (int i = 0; i < MOST; i++)
		REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(give(w), -EPERM);
}

static int
holds_nothing(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(give(w), -EPERM);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(10)), -ETIMEDOUT);
	return 0;
}

Test(rwlock, a_forked_child_holds_nothing)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	expect_child(child(holds_nothing, w), 0, 2000);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), 0);
	expect_child(child(holds_nothing, w), 0, 2000);
	REQUIRE_EQ(give(w), 0);
}

Test(rwlock, an_interrupt_ends_the_wait)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = started(w, read_and_stay);
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(p, NULL);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), 0);
	kill_now(pid);
}

static int
write_once(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	w->result = shoal_rwlock_write(&w->lock, SHOAL_SEC(10));
	w->at = fair_ns();
	if (w->result == -EOWNERDEAD)
		REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	return give(w);
}

/* ---- deaths ---- */

Test(rwlock, dead_readers_are_no_readers)
{
	struct world *w = shared(sizeof *w);
	pid_t reader[3];
	for (int i = 0; i < 3; i++)
		reader[i] = started(w, read_and_stay);
	pid_t writer = child(write_once, w);
	wait_asleep(writer);
	kill_now(reader[0]);
	/* Stopped is not dead. */
	kill(reader[1], SIGSTOP);
	kill_now(reader[2]);
	sleep_ms(30);
	REQUIRE_EQ(w->at, 0);
	int64_t at = kill_now(reader[1]);
	expect_child(writer, 0, 2000);
	REQUIRE_EQ(w->result, 0);
	REQUIRE(w->at - at < DEATH_NS);
	expect_child(child(write_once, w), 0, 2000);
	/* Also for one who only tries. */
	reader[0] = started(w, read_and_stay);
	kill_now(reader[0]);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), 0);
}

Test(rwlock, a_dead_writers_lock_is_suspect)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = started(w, write_and_stay);
	pid_t writer = child(write_once, w);
	wait_asleep(writer);
	int64_t at = kill_now(pid);
	expect_child(writer, 0, 2000);
	REQUIRE_EQ(w->result, -EOWNERDEAD);
	REQUIRE(w->at - at < DEATH_NS);
	/* A reader that finds it so is alone. */
	kill_now(started(w, write_and_stay));
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(1)), -EOWNERDEAD);
	expect_child(child(holds_nothing, w), 0, 2000);
	REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	REQUIRE_EQ(give(w), 0);
	/* Given back suspect: for nobody. */
	kill_now(started(w, write_and_stay));
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), -EOWNERDEAD);
	REQUIRE_EQ(give(w), 0);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(1)), -ENOTRECOVERABLE);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(1)), -ENOTRECOVERABLE);
	REQUIRE_EQ(shoal_rwlock_init(&w->lock, SHOAL_LOCK_AUTOCLEAN), 0);
	kill_now(started(w, write_and_stay));
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), 0);
	REQUIRE_EQ(give(w), 0);
}

/* A writer that could not wait for the readers gives a suspect lock back as it found it. */
/* ---- other ends than SIGKILL ---- */

static int
hold_and_exec(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(w->end ? shoal_rwlock_write(&w->lock, 0) : shoal_rwlock_read(&w->lock, 0), 0);
	reach(&w->reached);
	execl("/bin/sleep", "sleep", "20", (char *)NULL);
	return 1;
}

static void *
hold_and_end(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(w->end ? shoal_rwlock_write(&w->lock, 0) : shoal_rwlock_read(&w->lock, 0), 0);
	return NULL;
}

static void
thread_ends_holding(struct world *w)
{
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, hold_and_end, w), 0);
	pthread_join(p, NULL);
}

/* A reader that replaced itself is one until it ends; a writer died of it, as the header says. */
Test(rwlock, exec_and_a_threads_end_while_holding)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = started(w, hold_and_exec);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(50)), -ETIMEDOUT);
	kill_now(pid);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(500)), 0);
	REQUIRE_EQ(give(w), 0);
	thread_ends_holding(w);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(500)), 0);
	REQUIRE_EQ(give(w), 0);
	w->end = true;
	pid = started(w, hold_and_exec);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_MS(500)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	REQUIRE_EQ(give(w), 0);
	kill_now(pid);
	thread_ends_holding(w);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(500)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	REQUIRE_EQ(give(w), 0);
}

/* Of rwlocks and rlocks alike: each that a dead thread held is told of, and one more is refused. */
enum { MANY = SHOAL_LOCKS_HELD_MAX };

struct many {
	shoal_rwlock rw[MANY / 2 + 1];
	shoal_rlock r[MANY / 2];
};

static int
hold_many(void *arg)
{
	struct many *m = arg;
	for (int i = 0; i < MANY / 2; i++) {
		REQUIRE_EQ(shoal_rwlock_write(&m->rw[i], 0), 0);
		REQUIRE_EQ(shoal_rlock_acquire(&m->r[i], 0), 0);
		REQUIRE_EQ(shoal_rlock_acquire(&m->r[i], 0), 0);
	}
	REQUIRE_EQ(shoal_rwlock_write(&m->rw[MANY / 2], 0), -EOVERFLOW);
	raise(SIGKILL);
	return 0;
}

Test(rwlock, as_many_of_both_kinds_as_a_thread_may_hold_are_told)
{
	struct many *m = shared(sizeof *m);
	expect_killed(child(hold_many, m), SIGKILL, 5000);
	for (int i = 0; i < MANY / 2; i++) {
		REQUIRE_EQ(shoal_rwlock_write(&m->rw[i], 0), -EOWNERDEAD);
		REQUIRE_EQ(shoal_rlock_acquire(&m->r[i], 0), -EOWNERDEAD);
		REQUIRE_EQ(shoal_rwlock_consistent(&m->rw[i]), 0);
		REQUIRE_EQ(shoal_rlock_consistent(&m->r[i]), 0);
		REQUIRE_EQ(shoal_rwlock_release(&m->rw[i]), 0);
		REQUIRE_EQ(shoal_rlock_release(&m->r[i]), 0);
	}
	REQUIRE_EQ(shoal_rwlock_write(&m->rw[MANY / 2], 0), 0);
	REQUIRE_EQ(shoal_rwlock_release(&m->rw[MANY / 2]), 0);
}

Test(rwlock, a_suspect_lock_is_not_lost_by_giving_up)
{
	struct world *w = shared(sizeof *w);
	pid_t reader = started(w, read_and_stay), writer = child(write_once, w);
	wait_asleep(writer);
	kill_now(writer);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(10)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_MS(10)), -ETIMEDOUT);
	kill_now(reader);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_MS(500)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
	REQUIRE_EQ(give(w), 0);
}

/* ---- many ---- */

static int
read_once(void *arg)
{
	struct world *w = arg;
	w->result = shoal_rwlock_read(&w->lock, SHOAL_SEC(10));
	w->at = fair_ns();
	return give(w);
}

Test(rwlock, one_reader_more_than_there_are_places_waits)
{
	struct world *w = shared(sizeof *w);
	pid_t reader[MOST];
	for (int i = 0; i < MOST; i++)
		reader[i] = started(w, read_and_stay);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_MS(20)), -ETIMEDOUT);
	pid_t one_more = child(read_once, w);
	wait_asleep(one_more);
	REQUIRE_EQ(w->at, 0);
	int64_t at = kill_now(reader[7]);
	expect_child(one_more, 0, 2000);
	REQUIRE(w->result == 0 && w->at - at < DEATH_NS);
	for (int i = 0; i < MOST; i++)
		if (i != 7)
			kill_now(reader[i]);
}

static int
write_pairs(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < 3000; i++) {
		REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(20)), 0);
		w->pair[0] = w->pair[0] + 1;
		w->pair[1] = w->pair[1] + 1;
		REQUIRE_EQ(give(w), 0);
	}
	reach(&w->over);
	return 0;
}

static int
read_pairs(void *arg)
{
	struct world *w = arg;
	/* Readers that overlap all the time must not keep the writers out. */
	while (load_acquire(&w->over) < 2) {
		REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(20)), 0);
		REQUIRE_EQ(w->pair[0], w->pair[1]);
		REQUIRE_EQ(give(w), 0);
	}
	return 0;
}

Test(rwlock, readers_see_no_half_of_a_write, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[5];
	for (int i = 0; i < 5; i++)
		pid[i] = child(i < 2 ? write_pairs : read_pairs, w);
	for (int i = 0; i < 5; i++)
		expect_child(pid[i], 0, 40000);
	REQUIRE_EQ(w->pair[0], 6000);
}

/* Gives it back only once another one reads, so that somebody always does; for a while. */
static int
read_overlapping(void *arg)
{
	struct world *w = arg;
	while (!load_acquire(&w->over)) {
		REQUIRE_EQ(shoal_rwlock_read(&w->lock, SHOAL_SEC(20)), 0);
		uint32_t before = fetch_add_seq_cst(&w->reached, 1);
		for (int i = 0; i < 20 && load_acquire(&w->reached) == before + 1; i++)
			sleep_ms(1);
		REQUIRE_EQ(give(w), 0);
	}
	return 0;
}

static int
write_nearly_always(void *arg)
{
	struct world *w = arg;
	while (!load_acquire(&w->over)) {
		REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(20)), 0);
		sleep_ms(1);
		REQUIRE_EQ(give(w), 0);
		reach(&w->reached);
	}
	return 0;
}

/* nsync's starve_with_readers and starve_with_writers. */
Test(rwlock, nobody_starves, .timeout = 60 * HARNESS_SLOW)
{
	for (int writers = 0; writers < 2; writers++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[2];
		for (int i = 0; i < 2; i++)
			pid[i] = child(writers ? write_nearly_always : read_overlapping, w);
		wait_for(&w->reached, 10);
		for (int i = 0; i < 5; i++) {
			int rc = writers ? shoal_rwlock_read(&w->lock, SHOAL_SEC(10))
			                 : shoal_rwlock_write(&w->lock, SHOAL_SEC(10));
			REQUIRE_EQ(rc, 0);
			REQUIRE_EQ(give(w), 0);
		}
		/* Not killed: a writer's death would be told to the other one. */
		reach(&w->over);
		for (int i = 0; i < 2; i++)
			expect_child(pid[i], 0, 5000);
	}
}

static int
mix_for_ever(void *arg)
{
	struct world *w = arg;
	for (unsigned i = (unsigned)getpid();; i++) {
		int rc = i % 3 ? shoal_rwlock_read(&w->lock, SHOAL_SEC(10))
		               : shoal_rwlock_write(&w->lock, SHOAL_SEC(10));
		REQUIRE(shoal_have(rc));
		if (rc) {
			w->pair[1] = w->pair[0];
			REQUIRE_EQ(shoal_rwlock_consistent(&w->lock), 0);
		}
		if (i % 3 == 0) {
			w->pair[0] = w->pair[0] + 1;
			w->pair[1] = w->pair[1] + 1;
		}
		REQUIRE_EQ(w->pair[0], w->pair[1]);
		REQUIRE_EQ(give(w), 0);
	}
	return 0;
}

Test(rwlock, deaths_at_random_stop_nobody, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		pid[i] = child(mix_for_ever, w);
	for (int round = 0; round < 100; round++) {
		uint64_t before = w->pair[0];
		for (int i = 0; i < 3000 && w->pair[0] == before; i++)
			sleep_ms(1);
		REQUIRE(w->pair[0] != before);
		kill_now(pid[round % 3]);
		pid[round % 3] = child(mix_for_ever, w);
	}
	for (int i = 0; i < 3; i++)
		kill_now(pid[i]);
}

static int
read_without_descriptors(void *arg)
{
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 });
	return read_and_stay(arg);
}

Test(rwlock, a_reader_that_cannot_read_when_it_began_reads_all_the_same)
{
	struct world *w = shared(sizeof *w);
	pid_t reader = started(w, read_without_descriptors);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_MS(50)), -ETIMEDOUT);
	REQUIRE(rwlock_in_use(&w->lock));
	kill_now(reader);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(give(w), 0);
}

static void *
write_in_vain(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	int rc = shoal_rwlock_write(&w->lock, SHOAL_MS(100));
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return (void *)(intptr_t)rc;
}

Test(rwlock, no_wait_for_readers_is_a_cancellation_point)
{
	struct world *w = shared(sizeof *w);
	pthread_t p;
	void *result;
	pid_t reader = started(w, read_and_stay);
	REQUIRE_EQ(pthread_create(&p, NULL, write_in_vain, w), 0);
	wait_for(&w->reached, 2);
	REQUIRE_EQ(pthread_cancel(p), 0);
	REQUIRE_EQ(pthread_join(p, &result), 0);
	REQUIRE_EQ((intptr_t)result, -ETIMEDOUT);
	kill_now(reader);
	REQUIRE_EQ(shoal_rwlock_write(&w->lock, SHOAL_SEC(5)), 0);
}

Test(rwlock, tells_threads_from_later_ones_of_the_same_id)
{
	uint32_t mark = kernel_thread_mark(getpid());
	REQUIRE_EQ(mark & 0x3fffff, (uint32_t)getpid());
	REQUIRE(!kernel_thread_ended(mark, UINT32_MAX));
	REQUIRE(kernel_thread_ended(mark ^ 1u << 30, UINT32_MAX));
	REQUIRE(!kernel_thread_ended(mark ^ 1u << 30, KERNEL_MARK_TID));
	/* When it began may not have been known. */
	REQUIRE(mark & KERNEL_MARK_LOW);
	REQUIRE(!kernel_thread_ended((uint32_t)getpid(), UINT32_MAX));
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	wait_state(pid, 'Z');
	REQUIRE(kernel_thread_ended(kernel_thread_mark(pid), UINT32_MAX));
	expect_child(pid, 0, 1000);
	REQUIRE(kernel_thread_ended((uint32_t)pid, UINT32_MAX));
}
