/*
 * subject_zeromq.c - ZeroMQ's PUSH and PULL over ipc
 *
 * Each consumer binds an address of its own, in the abstract namespace, and each producer connects
 * to all of them: ZeroMQ deals the messages out. A context with its thread belongs to one process,
 * so it is made there. The high-water marks are the capacity of the other rings. The address bears
 * the stage manager's number, so no two runs can meet.
 */
#include "rings.h"
#include "subject.h"

#include "config.h"

#if HAVE_ZMQ
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum {
	QUIET_MS = 20, /* so long without a message: the consumer looks whether it was the last one */
	AGAIN_MS = 5, /* between two attempts to reach a consumer that has not bound yet */
};

struct way {
	void *context, *push, *pull;
};

static struct {
	__typeof__(&zmq_ctx_new) ctx_new;
	__typeof__(&zmq_ctx_term) ctx_term;
	__typeof__(&zmq_socket) socket;
	__typeof__(&zmq_close) close;
	__typeof__(&zmq_bind) bind;
	__typeof__(&zmq_connect) connect;
	__typeof__(&zmq_setsockopt) setsockopt;
	__typeof__(&zmq_send) send;
	__typeof__(&zmq_recv) recv;
} zmq;

static int
zeromq_open(struct opening *o)
{
	static const struct peer_function functions[] = {
		{ "zmq_ctx_new", &zmq.ctx_new }, { "zmq_ctx_term", &zmq.ctx_term },
		{ "zmq_socket", &zmq.socket },   { "zmq_close", &zmq.close },
		{ "zmq_bind", &zmq.bind },       { "zmq_connect", &zmq.connect },
		{ "zmq_send", &zmq.send },       { "zmq_recv", &zmq.recv },
		{ "zmq_setsockopt", &zmq.setsockopt },
	};

	for (int i = 0; i <= o->duplex; i++) {
		o->way[i] = calloc(1, sizeof(struct way));
		if (!o->way[i])
			return -ENOMEM;
	}
	return peer_load("libzmq.so", functions, sizeof functions / sizeof *functions);
}

static void
address(char text[64], int way, unsigned consumer)
{
	snprintf(text, 64, "ipc://@shoal-bench-%ld-%d-%u", (long)getppid(), way, consumer);
}

static int
option(void *socket, int name, int value)
{
	return zmq.setsockopt(socket, name, &value, sizeof value);
}

static int
push_open(const struct opening *o, int i)
{
	struct way *w = o->way[i];
	char text[64];

	w->push = zmq.socket(w->context, ZMQ_PUSH);
	if (!w->push || option(w->push, ZMQ_SNDHWM, (int)slots_for(o->bytes)) ||
	    option(w->push, ZMQ_RECONNECT_IVL, AGAIN_MS))
		return -errno;
	for (unsigned c = 0; c < o->consumers; c++) {
		address(text, i, c);
		if (zmq.connect(w->push, text))
			return -errno;
	}
	return 0;
}

static int
pull_open(const struct opening *o, int i, unsigned consumer)
{
	struct way *w = o->way[i];
	char text[64];

	address(text, i, consumer);
	w->pull = zmq.socket(w->context, ZMQ_PULL);
	if (!w->pull || option(w->pull, ZMQ_RCVHWM, (int)slots_for(o->bytes)) ||
	    (!o->duplex && option(w->pull, ZMQ_RCVTIMEO, QUIET_MS)) || zmq.bind(w->pull, text))
		return -errno;
	return 0;
}

static int
zeromq_enter(struct opening *o, unsigned worker)
{
	void *context = zmq.ctx_new();
	int rc = context ? 0 : -errno;

	for (int i = 0; i <= o->duplex && rc == 0; i++) {
		struct way *w = o->way[i];
		bool sends = o->duplex ? (unsigned)i == worker : worker < o->producers;

		w->context = context;
		rc = sends ? push_open(o, i) : pull_open(o, i, o->duplex ? 0 : worker - o->producers);
	}
	return rc;
}

static void
zeromq_leave(struct opening *o)
{
	struct way *w = NULL;

	for (int i = 0; i <= o->duplex; i++) {
		w = o->way[i];
		if (w->push)
			zmq.close(w->push);
		if (w->pull)
			zmq.close(w->pull);
	}
	zmq.ctx_term(w->context);
}

static long
zeromq_send(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;

	(void)count;
	return zmq.send(w->push, item, bytes, 0) < 0 ? -errno : 1;
}

static long
zeromq_recv(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	int got = zmq.recv(w->pull, item, bytes, 0);

	(void)count;
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	return (size_t)got == bytes ? 1 : -EMSGSIZE;
}
#endif

const struct subject subject_zeromq = {
	.name = "ZeroMQ ipc",
	.batch = 1,
	.bytes_max = MEBI,
	.traits = SUBJECT_COUNTED | SUBJECT_FULL_ONLY,
#if HAVE_ZMQ
	.about = "PUSH and PULL over ipc, zmq_send, zmq_recv",
	.open = zeromq_open,
	.enter = zeromq_enter,
	.leave = zeromq_leave,
	.send = zeromq_send,
	.recv = zeromq_recv,
#else
	.about = "left out: configure has not found ZeroMQ (Debian's libzmq3-dev)",
#endif
};
