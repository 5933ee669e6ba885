#include "base/pollset.h"
#include "base/clock.h"
#include "base/direct.h"
#include <errno.h>
#include <sys/resource.h>

#define SLICE_NS INT64_C(5000000)

/*
 * The kernel takes no list longer than the limit of open files: such a one is looked at in pieces.
 */
static int
look(struct pollfd *list, size_t count)
{
	struct rlimit open;
	int told = 0;
	if (getrlimit(RLIMIT_NOFILE, &open) || !open.rlim_cur)
		return -EINVAL;
	for (size_t at = 0; at < count; at += open.rlim_cur) {
		size_t piece = count - at < open.rlim_cur ? count - at : open.rlim_cur;
		int n = direct_poll(list + at, piece, &(struct timespec){ 0 });
		if (n < 0 && errno != EINTR)
			return -errno;
		told += n > 0 ? n : 0;
	}
	return told;
}

static int
look_and_sleep(struct pollfd *list, size_t count, int64_t left)
{
	int told = look(list, count);
	if (told > 0 || left <= 0)
		return told;
	struct timespec slice = clock_timespec(left < SLICE_NS ? left : SLICE_NS);
	direct_poll(NULL, 0, &slice);
	return look(list, count);
}

int
pollset_wait(struct pollfd *list, size_t count, int64_t deadline)
{
	int64_t left = INT64_MAX;
	if (deadline != CLOCK_NEVER)
		left = deadline ? deadline - clock_now() : 0;
	struct timespec time = clock_timespec(left > 0 ? left : 0);
	int n = direct_poll(list, count, left == INT64_MAX ? NULL : &time);
	if (n < 0 && errno == EINVAL)
		return look_and_sleep(list, count, left);
	if (n < 0 && errno == EINTR)
		return 0;
	return n < 0 ? -errno : n;
}
