/* A ring's eventfd: what raises it, and what does not. */
#include "base/uring.h"
#include "base/kernel.h"
#include "base/notice.h"
#include "harness.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

static struct uring ring;
static int event;

static bool
is_raised(void)
{
	struct pollfd p = { .fd = event, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static bool
begin(void)
{
	if (!kernel_has(KERNEL_URING))
		return false;
	event = notice_open();
	REQUIRE(event >= 0);
	REQUIRE_EQ(uring_open(&ring, event), 0);
	return true;
}

static void
end(void)
{
	uring_close(&ring);
	notice_close(event);
}

static uint32_t
enter(bool quiet)
{
	uint32_t told;
	REQUIRE_EQ(uring_enter(&ring, quiet, &told), 0);
	return told;
}

Test(uring, a_wake_from_outside_raises_it)
{
	word32 *word = shared(sizeof *word);
	if (!begin())
		return;
	for (int i = 0; i < 10; i++) {
		uring_add_futex(&ring, 3, word, 0, false);
		REQUIRE_EQ(enter(false), 0);
		REQUIRE(!is_raised());
		REQUIRE_EQ(futex_wake(word, 1), 1);
		REQUIRE(is_raised());
		REQUIRE_EQ(enter(true), 1u << 3);
		REQUIRE(notice_clear(event));
		REQUIRE_EQ(enter(false), 0);
		REQUIRE(!is_raised());
	}
	end();
}

Test(uring, a_word_that_has_changed_tells_at_once)
{
	word32 *word = shared(sizeof *word);
	if (!begin())
		return;
	uring_add_futex(&ring, 0, word, 7, false);
	REQUIRE_EQ(enter(false), 1);
	REQUIRE(is_raised());
	end();
}

/* It takes no wake that is meant for one who sleeps. */
Test(uring, one_who_waits_for_deaths_is_not_woken_by_others)
{
	word32 *word = shared(sizeof *word);
	if (!begin())
		return;
	uring_add_futex(&ring, 0, word, 0, true);
	REQUIRE_EQ(enter(false), 0);
	REQUIRE_EQ(futex_wake(word, FUTEX_ALL), 0);
	REQUIRE(!is_raised());
	REQUIRE_EQ(futex_clear_and_wake(word, FUTEX_ALL), 1);
	REQUIRE(is_raised());
	REQUIRE_EQ(enter(true), 1);
	end();
}

Test(uring, what_can_be_polled_raises_it)
{
	int ends[2];
	if (!begin())
		return;
	REQUIRE_EQ(pipe(ends), 0);
	uring_add_pollable(&ring, 5, ends[0]);
	REQUIRE_EQ(enter(false), 0);
	REQUIRE(!is_raised());
	REQUIRE_EQ(write(ends[1], "x", 1), 1);
	REQUIRE(is_raised());
	REQUIRE_EQ(enter(true), 1u << 5);
	close(ends[0]);
	close(ends[1]);
	end();
}

static void *
enter_elsewhere(void *unused)
{
	uint32_t told;
	(void)unused;
	REQUIRE_EQ(uring_enter(&ring, false, &told), -EEXIST);
	return NULL;
}

static void *
watch_and_end(void *word)
{
	REQUIRE(begin());
	uring_add_futex(&ring, 0, word, 0, false);
	REQUIRE_EQ(enter(false), 0);
	return NULL;
}

Test(uring, it_is_its_threads_alone)
{
	pthread_t thread;
	if (!begin())
		return;
	REQUIRE_EQ(pthread_create(&thread, NULL, enter_elsewhere, NULL), 0);
	pthread_join(thread, NULL);
	end();
}

/* Nobody would be told any more: so the descriptor asks for a call. */
Test(uring, the_end_of_its_thread_raises_it)
{
	word32 *word = shared(sizeof *word);
	pthread_t thread;
	if (!kernel_has(KERNEL_URING))
		return;
	REQUIRE_EQ(pthread_create(&thread, NULL, watch_and_end, word), 0);
	pthread_join(thread, NULL);
	for (int i = 0; !is_raised() && i < 1000; i++)
		sleep_ms(1);
	REQUIRE(is_raised());
	end();
}

static int
begin_without_streams(void *unused)
{
	(void)unused;
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	word32 *word = shared(sizeof *word);
	if (!begin())
		return 0;
	REQUIRE(ring.fd > STDERR_FILENO);
	uring_add_futex(&ring, 3, word, 0, false);
	REQUIRE_EQ(enter(false), 0);
	REQUIRE_EQ(futex_wake(word, 1), 1);
	REQUIRE(is_raised());
	end();
	return 0;
}

Test(uring, it_is_no_stream)
{
	expect_child(child(begin_without_streams, NULL), 0, 5000);
}
