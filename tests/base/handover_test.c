#include "base/handover.h"
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MANY = 300 };

static void
send_with(int socket, const char *text, size_t count)
{
	int fds[MANY];
	for (size_t i = 0; i < count; i++)
		fds[i] = STDERR_FILENO;
	REQUIRE_EQ(handover_send(socket, text, 4, fds, count), 0);
}

static void
expect_with(int socket, const char *text, int count)
{
	char got[4] = "";
	int fds[HANDOVER_FDS];
	REQUIRE_EQ(handover_recv(socket, got, sizeof got, fds), count);
	REQUIRE_STR_EQ(got, text);
	for (int i = 0; i < count; i++) {
		REQUIRE(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
}

Test(handover, more_descriptors_than_a_message_carries_come_together)
{
	int ends[2];
	REQUIRE_EQ(handover_pair(ends), 0);
	send_with(ends[0], "all", MANY);
	send_with(ends[0], "one", 1);
	send_with(ends[0], "not", 0);
	expect_with(ends[1], "all", MANY);
	expect_with(ends[1], "one", 1);
	expect_with(ends[1], "not", 0);
	close(ends[0]);
	REQUIRE_EQ(handover_recv(ends[1], ends, 4, (int[HANDOVER_FDS]){ 0 }), -EPIPE);
	close(ends[1]);
}

/* The next one is not taken for the rest of one that there were not enough descriptors for. */
Test(handover, one_that_fails_is_over)
{
	int ends[2], fds[HANDOVER_FDS];
	char text[4];
	struct rlimit usual, few;
	REQUIRE_EQ(handover_pair(ends), 0);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
	int first = dup(STDERR_FILENO);
	close(first);
	for (int room = 0; room < MANY; room += 270) {
		send_with(ends[0], "all", MANY);
		send_with(ends[0], "one", 1);
		few = (struct rlimit){ (rlim_t)(first + room), usual.rlim_max };
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
		REQUIRE_EQ(handover_recv(ends[1], text, sizeof text, fds), -EMFILE);
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
		expect_with(ends[1], "one", 1);
		int again = dup(STDERR_FILENO);
		REQUIRE_EQ(again, first);
		close(again);
	}
	close(ends[0]);
	close(ends[1]);
}
