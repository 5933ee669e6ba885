#include "base/handover.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define A_MESSAGE 250

/* Before the data: how many descriptors there are in all. */
struct head {
	uint32_t count;
};

union control {
	char bytes[CMSG_SPACE(A_MESSAGE * sizeof(int))];
	struct cmsghdr align;
};

int
handover_pair(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	ends[0] = descriptor_above(ends[0]);
	ends[1] = descriptor_above(ends[1]);
	return 0;
}

static int
send_one(int socket, struct iovec *parts, size_t part_count, const int *fds, size_t count)
{
	union control c;
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = part_count };
	memset(&c, 0, sizeof c);
	if (count) {
		m.msg_control = c.bytes;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(h), fds, count * sizeof(int));
	}
	ssize_t n;
	do
		n = direct_sendmsg(socket, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static size_t
part_of(size_t left)
{
	return left < A_MESSAGE ? left : A_MESSAGE;
}

int
handover_send(int socket, const void *data, size_t bytes, const int *fds, size_t count)
{
	struct head h = { .count = (uint32_t)count };
	struct iovec parts[2] = { { &h, sizeof h }, { (void *)(uintptr_t)data, bytes } };
	size_t sent = part_of(count);
	int rc = send_one(socket, parts, 2, fds, sent);
	while (!rc && sent < count) {
		size_t more = part_of(count - sent);
		rc = send_one(socket, parts, 1, fds + sent, more);
		sent += more;
		if (rc && rc != -EPIPE && rc != -ECONNRESET)
			rc = -EPROTO;
	}
	return rc;
}

/* Adds to `fds` what came with this message, also when it is not as it should be. */
static int
recv_one(int socket, struct iovec *parts, size_t part_count, int *fds, size_t *count)
{
	union control c;
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = part_count, .msg_control = c.bytes,
		                .msg_controllen = sizeof c.bytes };
	ssize_t n;
	do
		n = direct_recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
		size_t came = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + *count, CMSG_DATA(h), came * sizeof(int));
		*count += came;
	}
	return m.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -EMFILE : 0;
}

/* Parts that are not wanted; the kernel closes what there is no room for. */
static void
pass_over(int socket, size_t parts)
{
	struct head h;
	ssize_t n = 1;
	for (; parts && n > 0; parts--) {
		do
			n = direct_read(socket, &h, sizeof h);
		while (n < 0 && errno == EINTR);
	}
}

int
handover_recv(int socket, void *data, size_t bytes, int *fds)
{
	struct head h = { 0 };
	struct iovec parts[2] = { { &h, sizeof h }, { data, bytes } };
	size_t count = 0, before;
	int rc = recv_one(socket, parts, 2, fds, &count);
	uint32_t all = h.count;
	size_t left = all && all <= HANDOVER_FDS ? (all - 1) / A_MESSAGE : 0;
	if (!rc && all > HANDOVER_FDS)
		rc = -EPROTO;
	for (; !rc && left; left--) {
		before = count;
		rc = recv_one(socket, parts, 1, fds, &count);
		if (!rc && count == before)
			rc = -EMFILE;
	}
	if (!rc && count < all)
		rc = -EMFILE;
	pass_over(socket, left);
	for (size_t i = 0; i < count; i++)
		fds[i] = descriptor_above(fds[i]);
	if (!rc)
		return (int)count;
	while (count)
		direct_close(fds[--count]);
	return rc;
}
