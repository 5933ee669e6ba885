/*
 * Messages that refer to objects, killed and stopped at each instruction of those who send, receive
 * and drop them: the objects live as long as a message or somebody has them, and no longer.
 */
#include "arena_world.h"
#include "harness.h"

#include <errno.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* object[0]: a queue or an end to send on; [1]: the end to receive from; [2]: the list inside. */

enum {
	ITEM = 4711,
	LONG = 300
};

#define BOTH (SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE)

struct shape {
	unsigned flags;
	bool pipe;
	bool filled; /* the message is there already, and nobody else has the list */
	bool wide; /* it lies in a block */
	bool redeliver; /* a taker that died has not had it */
};

static const struct shape *
shape_of(const struct step_world *w)
{
	return w->of->shape;
}

static int
send_list(struct step_world *w)
{
	char text[LONG + 1] = { 0 };
	shoal_list *list = w->object[2];
	for (int i = 0; i < LONG && shape_of(w)->wide; i++)
		text[i] = 'x';
	shoal_any v = SHOAL_LIST(list, text, SHOAL_MAP("again", list));
	return shape_of(w)->pipe ? shoal_pipe_send_any(w->object[0], v, SHOAL_NOWAIT)
	                         : shoal_queue_put_any(w->object[0], v, SHOAL_NOWAIT);
}

static int
recv_any(struct step_world *w, shoal_any *out)
{
	return shape_of(w)->pipe ? shoal_pipe_recv_any(w->object[1], out, SHOAL_NOWAIT)
	                         : shoal_queue_get_any(w->object[0], out, SHOAL_NOWAIT);
}

static void
make_carrier(struct step_world *w)
{
	const struct shape *s = shape_of(w);
	shoal_queue_options q = { .capacity = 4, .slot_bytes = 100, .flags = s->flags };
	shoal_pipe_options p = { .ring_bytes = 4096, .flags = s->flags };
	shoal_queue **queue = (shoal_queue **)&w->object[0];
	shoal_pipe_end **left = (shoal_pipe_end **)&w->object[0];
	int rc = s->pipe ? shoal_pipe_create(w->arena, NULL, &p, left, (shoal_pipe_end **)&w->object[1])
	                 : shoal_queue_create(w->arena, NULL, &q, queue);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
}

static void
setup(struct step_world *w)
{
	shoal_list **list = (shoal_list **)&w->object[2];
	arena_world(w);
	make_carrier(w);
	STEP_REQUIRE(w, shoal_list_create(w->arena, "list", NULL, list) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_append(*list, SHOAL_ANY(ITEM)) == 0, "%s", shoal_error());
	if (!shape_of(w)->filled)
		return;
	int rc = send_list(w);
	STEP_REQUIRE(w, rc == 0, "send: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, shoal_list_destroy(w->arena, *list) == 0, "%s", shoal_error());
}

/* ---- operations ---- */

static void
send_op(struct step_world *w)
{
	step_mine(w)->result = send_list(w);
}

static void
look_inside(struct step_world *w, const shoal_any *v)
{
	shoal_any item;
	for (int i = 0; i < 2; i++) {
		const shoal_any *in = i ? shoal_any_find(shoal_any_at(v, 2), "again") : shoal_any_at(v, 0);
		int rc = shoal_list_get(shoal_any_to_list(in), 0, &item);
		STEP_REQUIRE(w, rc == 0 && shoal_any_int(&item, 0) == ITEM, "what was sent is lost: %d",
		             rc);
	}
}

static void
recv_op(struct step_world *w)
{
	shoal_any v;
	int rc = recv_any(w, &v);
	if (rc == 0) {
		look_inside(w, &v);
		/* From here on it is done, and does not come back. */
		step_mine(w)->pointer = w;
		if (shape_of(w)->flags == BOTH)
			rc = shoal_queue_task_done(w->object[0]);
		shoal_any_clear(&v);
	}
	step_mine(w)->result = rc;
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->extra = 1;
	step_mine(w)->result = shape_of(w)->pipe ? shoal_pipe_destroy(w->arena, w->object[0])
	                                         : shoal_queue_destroy(w->arena, w->object[0]);
}

static void
close_op(struct step_world *w)
{
	step_mine(w)->extra = 1;
	shoal_pipe_close(w->object[1]);
}

/* Sends in vain: nobody would receive it. */
static void
refused_op(struct step_world *w)
{
	shoal_queue_close(w->object[0]);
	int rc = send_list(w);
	STEP_REQUIRE(w, rc == -EPIPE, "send: %d, %s", rc, shoal_error());
	step_mine(w)->result = rc;
}

/* ---- survivors ---- */

/* The queue or pipe is there still, as far as its end was not the victim's to bring about. */
static int
drain(struct step_world *w)
{
	shoal_any v;
	int n = 0;
	if (w->part[STEP_VICTIM].extra)
		return 0;
	for (int rc;; n++) {
		STEP_WITHIN(w, "receive", rc = recv_any(w, &v));
		if (rc) {
			STEP_REQUIRE(w, rc == -EAGAIN || rc == -EPIPE, "receive: %d, %s", rc, shoal_error());
			return n;
		}
		look_inside(w, &v);
		if (shape_of(w)->flags == BOTH)
			STEP_REQUIRE(w, shoal_queue_task_done(w->object[0]) == 0, "%s", shoal_error());
		shoal_any_clear(&v);
	}
}

static void
destroy_carrier(struct step_world *w)
{
	shoal_object_info info;
	uint64_t cursor = 0;
	while (shoal_arena_next(w->arena, &cursor, &info) == 1)
		if (info.kind == SHOAL_KIND_QUEUE || info.kind == SHOAL_KIND_PIPE)
			STEP_WITHIN(w, "destroy", destroy_op(w));
}

/* The message is there once or not; the list lives while it has a name, or a message has it. */
static void
check(struct step_world *w)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	shoal_list *list;
	int rc;
	STEP_WITHIN(w, "recover", rc = shoal_arena_recover(w->arena));
	STEP_REQUIRE(w, rc >= 0, "recover: %d", rc);
	int n = drain(w);
	bool sent = !shape_of(w)->filled && part->done && part->result == 0;
	STEP_REQUIRE(w, !shape_of(w)->filled || !part->done || part->result == 0,
	             "the call fails: %lld", (long long)part->result);
	STEP_REQUIRE(w, n <= 1, "%d messages come", n);
	STEP_REQUIRE(w, n == 1 || !sent || shape_of(w)->pipe, "the message is lost");
	STEP_REQUIRE(w, n == 1 || part->pointer || !shape_of(w)->redeliver,
	             "the message does not come back");
	rc = shoal_list_open(w->arena, "list", SHOAL_NOWAIT, &list);
	STEP_REQUIRE(w, (rc == 0) == !shape_of(w)->filled, "open: %d, %s", rc, shoal_error());
	if (rc == 0)
		STEP_WITHIN(w, "destroy", rc = shoal_list_destroy(w->arena, list));
	destroy_carrier(w);
}

/*
 * Somebody else died: who recovers it looks at each message's references, and lets those go that
 * nobody needs. What the victim has taken, and not got in its hands yet, it needs.
 */
static bool
try_sweep(struct step_world *w, int64_t ns)
{
	void *block;
	int status = -1;
	(void)ns;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (shoal_alloc(w->arena, 16, &block) == 0)
			shoal_free(w->arena, block);
		_exit(0);
	}
	STEP_REQUIRE(w, pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "nobody died");
	STEP_REQUIRE(w, shoal_arena_recover(w->arena) >= 0, "recover fails");
	return false;
}

#define CASE(name_, op_, its_, ...) \
	static const struct shape shape_##name_ = its_; \
	STEP_CASE(envelope, name_, .shape = &shape_##name_, .setup = setup, .prepare = arena_join, \
	          .op = op_, .check = check, .audit = arena_audit, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover }, __VA_ARGS__)
#define SHAPE(...) \
	{ \
		__VA_ARGS__ \
	}
/* The same windows hold up the same people, whatever bears the message. */
#define ROLES .role = { { "others", try_others }, { "create", try_list } }
#define NO_ROLES .crowd = NULL
#define SHARED .pipe = true, .flags = SHOAL_PIPE_SHARED_ENDS
CASE(put, send_op, SHAPE(.flags = 0), ROLES)
CASE(put_block, send_op, SHAPE(.wide = true), ROLES)
CASE(put_refused, refused_op, SHAPE(.flags = 0), ROLES)
CASE(get, recv_op, SHAPE(.filled = true), ROLES)
CASE(get_block, recv_op, SHAPE(.filled = true, .wide = true), NO_ROLES)
CASE(get_redeliver, recv_op, SHAPE(.filled = true, .flags = SHOAL_QUEUE_REDELIVER), ROLES)
CASE(get_both, recv_op, SHAPE(.filled = true, .redeliver = true, .flags = BOTH), NO_ROLES)
CASE(destroy_queue, destroy_op, SHAPE(.filled = true), NO_ROLES)
CASE(send, send_op, SHAPE(SHARED), NO_ROLES)
CASE(send_block, send_op, SHAPE(SHARED, .wide = true), NO_ROLES)
CASE(recv, recv_op, SHAPE(SHARED, .filled = true), NO_ROLES)
CASE(recv_alone, recv_op, SHAPE(.pipe = true, .filled = true), NO_ROLES)
CASE(close, close_op, SHAPE(.pipe = true, .filled = true), NO_ROLES)
CASE(destroy_pipe, destroy_op, SHAPE(.pipe = true, .filled = true), NO_ROLES)

/* Many fork, so these take long. */
#define SWEPT_CASE(name_, its_) \
	static const struct shape shape_##name_ = its_; \
	STEP_FULL_CASE(envelope, name_, .shape = &shape_##name_, .setup = setup, \
	               .prepare = arena_join, .op = recv_op, .check = check, .audit = arena_audit, \
	               .role = { { "sweep", try_sweep } })
SWEPT_CASE(get_swept, SHAPE(.filled = true, .wide = true))
SWEPT_CASE(recv_swept, SHAPE(.pipe = true, .filled = true))
