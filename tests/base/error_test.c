#include "base/error.h"
#include "harness.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

Test(error, nothing_has_failed_at_first)
{
	REQUIRE_STR_EQ(shoal_error(), "no call of this thread has failed");
	REQUIRE_EQ(shoal_needed(), 0);
}

Test(error, fail_gives_the_code_and_keeps_the_sentence)
{
	REQUIRE_EQ(fail(-ENOSPC, "arena '%s': %d bytes short", "jobs", 12), -ENOSPC);
	REQUIRE_STR_EQ(shoal_error(), "arena 'jobs': 12 bytes short");
}

Test(error, a_long_sentence_is_cut)
{
	REQUIRE_EQ(fail(-EINVAL, "%01000d", 7), -EINVAL);
	REQUIRE_EQ(strlen(shoal_error()), 511);
}

Test(error, fail_small_tells_what_is_needed)
{
	REQUIRE_EQ(fail_small(300, "the message has %d bytes", 300), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 300);
	REQUIRE_STR_EQ(shoal_error(), "the message has 300 bytes");
}

Test(error, fail_quiet_keeps_the_text_itself)
{
	static const char text[] = "the queue is empty";
	REQUIRE_EQ(fail_quiet(-EAGAIN, text), -EAGAIN);
	REQUIRE(shoal_error() == text);
}

static void *
fail_elsewhere(void *arg)
{
	(void)arg;
	fail(-EPIPE, "in the other thread");
	return NULL;
}

Test(error, each_thread_has_its_own)
{
	fail(-EPERM, "in this thread");
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_STR_EQ(shoal_error(), "in this thread");
}

Test(error, codes_of_either_sign_have_a_meaning)
{
	REQUIRE_STR_EQ(shoal_strerror(-EAGAIN), shoal_strerror(EAGAIN));
	REQUIRE_STR_EQ(shoal_strerror(0), "no error");
	REQUIRE_STR_EQ(shoal_strerror(-EOWNERDEAD), "the last holder died; what it held is suspect");
	REQUIRE_STR_EQ(shoal_strerror(-9999), "an error of the system");
	REQUIRE_STR_EQ(shoal_strerror(-EIO), "it failed, or its input or output did");
}

Test(error, timed_out_is_either_of_two_codes)
{
	REQUIRE(shoal_timed_out(-ETIMEDOUT));
	REQUIRE(shoal_timed_out(-EAGAIN));
	REQUIRE(!shoal_timed_out(0));
	REQUIRE(!shoal_timed_out(-EPIPE));
}

struct heard { int level; char line[64]; int count; };

static void
hear(void *arg, int level, const char *line)
{
	struct heard *heard = arg;
	heard->level = level;
	heard->count++;
	snprintf(heard->line, sizeof heard->line, "%s", line);
}

Test(error, the_log_goes_where_it_is_set)
{
	struct heard heard = { 0 };
	shoal_log_set(LOG_WARNING, hear, &heard);
	log_line(LOG_INFO, "not asked for");
	REQUIRE_EQ(heard.count, 0);
	log_line(LOG_WARNING, "member %d is gone", 3);
	REQUIRE_EQ(heard.count, 1);
	REQUIRE_EQ(heard.level, LOG_WARNING);
	REQUIRE_STR_EQ(heard.line, "member 3 is gone");
}

/* The write end of a pipe becomes the child's stderr. */
static int
stop_with_a_sentence(void *arg)
{
	dup2(*(int *)arg, STDERR_FILENO);
	stop("slot %d was given twice", 9);
}

Test(error, stop_says_why_and_aborts)
{
	int fds[2];
	char line[128] = "";
	REQUIRE_EQ(pipe(fds), 0);
	pid_t pid = child(stop_with_a_sentence, &fds[1]);
	expect_killed(pid, SIGABRT, 5000);
	close(fds[1]);
	REQUIRE(read(fds[0], line, sizeof line - 1) > 0);
	REQUIRE_STR_EQ(line, "shoal: slot 9 was given twice\n");
	close(fds[0]);
}

static int
print_an_error(void *arg)
{
	dup2(*(int *)arg, STDERR_FILENO);
	fail(-EBUSY, "the end is taken");
	shoal_perror("reader");
	shoal_perror(NULL);
	return 0;
}

Test(error, perror_prints_the_sentence_after_the_name)
{
	int fds[2];
	char text[128] = "";
	REQUIRE_EQ(pipe(fds), 0);
	expect_child(child(print_an_error, &fds[1]), 0, 5000);
	close(fds[1]);
	size_t have = 0;
	ssize_t n;
	while ((n = read(fds[0], text + have, sizeof text - 1 - have)) > 0)
		have += (size_t)n;
	REQUIRE_STR_EQ(text, "reader: the end is taken\nthe end is taken\n");
	close(fds[0]);
}

Test(error, the_version_is_the_headers)
{
	REQUIRE_EQ(shoal_version(), SHOAL_VERSION);
}
