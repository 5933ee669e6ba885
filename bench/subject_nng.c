/*
 * subject_nng.c - nng's push and pull over ipc
 *
 * As with ZeroMQ, each consumer listens at an address of its own and each producer dials all of
 * them. nng starts its threads with the first socket of a process, so sockets are made after the
 * fork. A dialer that finds nobody yet goes on by itself.
 */
#include "rings.h"
#include "subject.h"

#include "config.h"

#if HAVE_NNG
#include "peer.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	QUIET_MS = 20, /* so long without a message: the consumer looks whether it was the last one */
	AGAIN_MS = 5, /* between two attempts to reach a consumer that does not listen yet */
	SENDBUF_MAX = 8192, /* messages; of more it says that the option is bad */
};

struct way {
	nng_socket push, pull;
};

static struct {
	__typeof__(&nng_push0_open) push_open;
	__typeof__(&nng_pull0_open) pull_open;
	__typeof__(&nng_dial) dial;
	__typeof__(&nng_listen) listen;
	__typeof__(&nng_close) close;
	__typeof__(&nng_socket_set_ms) set_ms;
	__typeof__(&nng_socket_set_int) set_int;
	__typeof__(&nng_socket_set_size) set_size;
	__typeof__(&nng_send) send;
	__typeof__(&nng_recv) recv;
} nng;

static int
nng_begin(struct opening *o)
{
	static const struct peer_function functions[] = {
		{ "nng_push0_open", &nng.push_open },    { "nng_pull0_open", &nng.pull_open },
		{ "nng_dial", &nng.dial },               { "nng_listen", &nng.listen },
		{ "nng_close", &nng.close },             { "nng_socket_set_ms", &nng.set_ms },
		{ "nng_socket_set_int", &nng.set_int },  { "nng_send", &nng.send },
		{ "nng_socket_set_size", &nng.set_size }, { "nng_recv", &nng.recv },
	};

	for (int i = 0; i <= o->duplex; i++) {
		o->way[i] = calloc(1, sizeof(struct way));
		if (!o->way[i])
			return -ENOMEM;
	}
	return peer_load("libnng.so", functions, sizeof functions / sizeof *functions);
}

static void
address(char text[64], int way, unsigned consumer)
{
	snprintf(text, 64, "abstract://shoal-bench-%ld-%d-%u", (long)getppid(), way, consumer);
}

/* What nng knows no errno for is EIO. */
static int
error_of(int rc)
{
	if (rc == 0)
		return 0;
	return rc & NNG_ESYSERR ? -(rc & ~NNG_ESYSERR) : -EIO;
}

static int
push_begin(const struct opening *o, int i)
{
	struct way *w = o->way[i];
	char text[64];
	uint32_t slots = slots_for(o->bytes);
	int rc = nng.push_open(&w->push);

	if (rc == 0)
		rc = nng.set_int(w->push, NNG_OPT_SENDBUF, slots < SENDBUF_MAX ? (int)slots : SENDBUF_MAX);
	if (rc == 0)
		rc = nng.set_ms(w->push, NNG_OPT_RECONNMINT, AGAIN_MS);
	for (unsigned c = 0; c < o->consumers && rc == 0; c++) {
		address(text, i, c);
		rc = nng.dial(w->push, text, NULL, NNG_FLAG_NONBLOCK);
	}
	return error_of(rc);
}

static int
pull_begin(const struct opening *o, int i, unsigned consumer)
{
	struct way *w = o->way[i];
	char text[64];
	int rc = nng.pull_open(&w->pull);

	address(text, i, consumer);
	if (rc == 0)
		rc = nng.set_size(w->pull, NNG_OPT_RECVMAXSZ, 2 * MEBI);
	if (rc == 0 && !o->duplex)
		rc = nng.set_ms(w->pull, NNG_OPT_RECVTIMEO, QUIET_MS);
	if (rc == 0)
		rc = nng.listen(w->pull, text, NULL, 0);
	return error_of(rc);
}

static int
nng_enter(struct opening *o, unsigned worker)
{
	int rc = 0;

	for (int i = 0; i <= o->duplex && rc == 0; i++) {
		bool sends = o->duplex ? (unsigned)i == worker : worker < o->producers;

		rc = sends ? push_begin(o, i)
		           : pull_begin(o, i, o->duplex ? 0 : worker - o->producers);
	}
	return rc;
}

static void
nng_leave(struct opening *o)
{
	for (int i = 0; i <= o->duplex; i++) {
		struct way *w = o->way[i];

		nng.close(w->push.id ? w->push : w->pull);
	}
}

static long
nng_post(void *way, const void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	int rc = nng.send(w->push, (void *)(uintptr_t)item, bytes, 0);

	(void)count;
	return rc ? error_of(rc) : 1;
}

static long
nng_fetch(void *way, void *item, size_t bytes, size_t count)
{
	struct way *w = way;
	size_t got = bytes;
	int rc = nng.recv(w->pull, item, &got, 0);

	(void)count;
	if (rc)
		return rc == NNG_ETIMEDOUT ? 0 : error_of(rc);
	return got == bytes ? 1 : -EMSGSIZE;
}
#endif

const struct subject subject_nng = {
	.name = "nng ipc",
	.batch = 1,
	.bytes_max = MEBI,
	.traits = SUBJECT_COUNTED | SUBJECT_FULL_ONLY,
#if HAVE_NNG
	.about = "push and pull over ipc, nng_send, nng_recv",
	.open = nng_begin,
	.enter = nng_enter,
	.leave = nng_leave,
	.send = nng_post,
	.recv = nng_fetch,
#else
	.about = "left out: configure has not found nng (Debian's libnng-dev)",
#endif
};
