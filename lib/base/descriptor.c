#include "base/descriptor.h"
#include "base/direct.h"

int
descriptor_above(int fd)
{
	if (fd < 0 || fd >= DESCRIPTOR_FIRST)
		return fd;
	int above = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
	if (above < 0)
		return fd;
	direct_close(fd);
	return above;
}
