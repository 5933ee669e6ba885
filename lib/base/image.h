/*
 * Executing this very program again, in a process of its own.
 *
 * Not by fork: that copies the page tables first, which takes 10 ms a GiB, and not by posix_spawn,
 * which can neither close what is between two descriptors to keep nor give the pidfd in the same
 * step as the process. The child borrows this process's memory and holds this thread up until it
 * has executed (CLONE_VM | CLONE_VFORK), runs no handler of anybody's, and calls nothing but the
 * kernel.
 */
#ifndef BASE_IMAGE_H
#define BASE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct image {
	char **argv, **envp;
	const int *keep;   /* descriptors that it has beside 0 (empty input), 1 and 2; ascending */
	size_t keep_count;
	bool apart;        /* nobody's child: no wait of this process sees it, nor SIGCHLD */
};

/*
 * 0: it has executed; its pidfd, close-on-exec, and its number, unless it is apart. Otherwise
 * -errno of fork or exec, and there is no process. Signals that are not ignored have their default
 * action in it, and the mask is this thread's.
 */
int image_start(const struct image *image, pid_t *pid, int *pidfd);

#endif
