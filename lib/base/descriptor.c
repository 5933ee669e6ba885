#include "base/descriptor.h"
#include <fcntl.h>
#include <unistd.h>

int
descriptor_above(int fd)
{
	if (fd < 0 || fd >= DESCRIPTOR_FIRST)
		return fd;
	int above = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
	if (above < 0)
		return fd;
	close(fd);
	return above;
}
