/* put_many and get_many of small items in groups, killed and stopped at each instruction. */
#include <errno.h>
#include <string.h>

#include "harness.h"
#include "queue_world.h"

enum {
	GROUP = 16, /* places that are claimed at once */
	RING = 2 * GROUP,
	ITEM = 16, /* three to a slot */
	BATCHES = 3
};

struct pack_shape {
	struct queue_shape of;
	uint32_t there; /* how many setup puts, in batches */
};

/* ---- batches, logged ---- */

static int64_t
send_many(struct step_world *w, uint32_t count, shoal_time timeout)
{
	unsigned char items[RING * ITEM];
	uint32_t first = w->log[step_me].sent;
	for (uint32_t i = 0; i < count; i++)
		step_fill(items + i * ITEM, ITEM, step_id(step_me, first + i));
	int64_t n = shoal_queue_put_many(queue_of(w), items, ITEM, count, timeout);
	for (int64_t i = 0; i < n; i++)
		step_sent(w);
	return n;
}

static int64_t
receive_many(struct step_world *w, uint32_t count, shoal_time timeout)
{
	unsigned char items[RING * ITEM];
	int64_t n = shoal_queue_get_many(queue_of(w), items, ITEM, count, timeout);
	for (int64_t i = 0; i < n; i++)
		step_got(w, items + i * ITEM, ITEM);
	return n;
}

static void
must_move(struct step_world *w, const char *what, uint32_t count,
          int64_t move(struct step_world *, uint32_t, shoal_time))
{
	while (count) {
		int64_t n;
		STEP_WITHIN(w, what, n = move(w, count, SHOAL_MS(TIMEOUT_MS)));
		STEP_REQUIRE(w, n > 0, "%s: %d", what, (int)n);
		count -= (uint32_t)n;
	}
}

/* As many out as in, so that two at once never want more than there is. */
static void
turn_many(struct step_world *w)
{
	int64_t n;
	STEP_WITHIN(w, "put_many at once", n = send_many(w, GROUP, SHOAL_NOWAIT));
	STEP_REQUIRE(w, n > 0 || n == -EAGAIN, "put_many at once: %d", (int)n);
	if (n > 0) {
		must_move(w, "get_many", (uint32_t)n, receive_many);
		return;
	}
	STEP_WITHIN(w, "get_many at once", n = receive_many(w, GROUP, SHOAL_NOWAIT));
	STEP_REQUIRE(w, n > 0 || n == -EAGAIN, "get_many at once: %d", (int)n);
	if (n > 0)
		must_move(w, "put_many", (uint32_t)n, send_many);
}

static void
pack_crowd(struct step_world *w)
{
	arena_join(w);
	step_meet(w, 2);
	for (int i = 0; i < BATCHES; i++)
		turn_many(w);
}

static void
pack_check(struct step_world *w)
{
	for (int i = 0; i < BATCHES; i++)
		turn_many(w);
	queue_check(w);
}

static void
meet_get_many(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->extra = MEET_GETS * GROUP;
	mine->result = shoal_queue_get_many(queue_of(w), mine->buffer, ITEM, GROUP, SHOAL_NOWAIT);
}

static void
meet_put_many(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	unsigned char items[GROUP * ITEM];
	for (uint32_t i = 0; i < GROUP; i++)
		step_fill(items + i * ITEM, ITEM, step_id(step_me, i));
	mine->extra = MEET_PUTS * GROUP;
	mine->result = shoal_queue_put_many(queue_of(w), items, ITEM, GROUP, SHOAL_NOWAIT);
	mine->extra = MEET_PUTS * (mine->result > 0 ? (uint32_t)mine->result : 0);
}

/* ---- what is there before ---- */

static uint32_t
there(const struct step_world *w)
{
	return ((const struct pack_shape *)w->shape)->there;
}

/* All in groups; those of the ring's first lap were taken whole, so that its leaders are packed. */
static void
packed_setup(struct step_world *w)
{
	queue_setup(w);
	arena_join(w);
	must_move(w, "setup put_many", RING, send_many);
	must_move(w, "setup get_many", RING, receive_many);
	must_move(w, "setup put_many", there(w), send_many);
}

/* In the first lap, whose places are single. */
static void
fresh_setup(struct step_world *w)
{
	queue_setup(w);
	arena_join(w);
	must_move(w, "setup put_many", there(w), send_many);
}

/* ---- what the victim calls ---- */

static void
prepare(struct step_world *w)
{
	arena_join(w);
	shoal_queue_size(queue_of(w));
	shoal_queue_peek_bytes(queue_of(w));
	for (uint32_t n = 0; n < queue_shape(w)->sends; n++)
		step_fill(step_mine(w)->buffer + n * ITEM, ITEM, step_id(step_me, n));
}

static void
put_after(struct step_world *w)
{
	int64_t sent = queue_shape(w)->sends > 1 ? step_mine(w)->result : step_mine(w)->result == 0;
	for (int64_t n = 0; n < sent; n++)
		step_sent(w);
}

static void
get_after(struct step_world *w)
{
	int64_t got = queue_shape(w)->lost > 1 ? step_mine(w)->result : step_mine(w)->result >= 0;
	for (int64_t n = 0; n < got; n++)
		step_got(w, step_mine(w)->buffer + n * ITEM, ITEM);
}

static void
put_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_put(queue_of(w), step_mine(w)->buffer, ITEM, SHOAL_SEC(1));
}

static void
get_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_get(queue_of(w), mine->buffer, QUEUE_BYTES_MAX, SHOAL_SEC(1));
}

static void
put_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_put_many(queue_of(w), mine->buffer, ITEM, queue_shape(w)->sends,
	                                    SHOAL_SEC(1));
}

static void
get_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_get_many(queue_of(w), mine->buffer, ITEM, queue_shape(w)->lost,
	                                    SHOAL_SEC(1));
}

static void
borrow_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = shoal_queue_borrow(queue_of(w), SHOAL_SEC(1), &loan);
	if (rc == 0) {
		memcpy(step_mine(w)->buffer, loan.data, ITEM);
		shoal_loan_release(&loan);
	}
	step_mine(w)->result = rc;
}

static void
close_op(struct step_world *w)
{
	shoal_queue_close(queue_of(w));
	step_mine(w)->result = 0;
}

static void
wake_get(struct step_world *w)
{
	STEP_REQUIRE(w, receive_many(w, GROUP, SHOAL_MS(TIMEOUT_MS)) == GROUP, "the waker cannot get");
}

static void
wake_put(struct step_world *w)
{
	STEP_REQUIRE(w, send_many(w, GROUP, SHOAL_MS(TIMEOUT_MS)) == GROUP, "the waker cannot put");
}

/* shape: how many are there, how many the victim takes, how many it sends */
#define SHAPE(there_, lost_, sends_) \
	(&(const struct pack_shape){ { RING, 0, 0, ITEM, 0, (lost_), (sends_) }, (there_) })
#define FRESH .setup = fresh_setup
#define PACKED .setup = packed_setup
#define SURVIVORS \
	.check = pack_check, .crowd = pack_crowd, .audit = arena_audit, .meet_prepare = meet_prepare, \
	.meet = { meet_recover, meet_get_many, meet_put_many, meet_get }
#define WATCHERS \
	.role = { { "get", try_get }, { "put", try_put }, { "lap", try_lap }, { "others", try_others } }
#define PUT(op_) .prepare = prepare, .op = op_, .after = put_after
#define GET(op_) .prepare = prepare, .op = op_, .after = get_after
#define WAKES_GETTER .sleeper = queue_sleep_get, .rouse = queue_rouse_getter
#define WAKES_PUTTER .sleeper = queue_sleep_put, .rouse = queue_rouse_putter

/* A group that was single, one that is packed; both in front of single places. */
STEP_CASE(queue, pack_put_fresh, FRESH, .shape = SHAPE(0, 0, GROUP + 2), SURVIVORS, WATCHERS,
          PUT(put_many_op))
STEP_CASE(queue, pack_put, PACKED, .shape = SHAPE(0, 0, GROUP), SURVIVORS, WATCHERS,
          PUT(put_many_op))
STEP_CASE(queue, pack_put_to_sleeper, PACKED, .shape = SHAPE(0, 0, GROUP), SURVIVORS,
          PUT(put_many_op), WAKES_GETTER)
STEP_CASE(queue, pack_put_asleep, PACKED, .shape = SHAPE(RING, 0, GROUP), SURVIVORS,
          PUT(put_many_op), .waker = wake_get)

/* A group whole, a group and a part, a part alone. */
STEP_CASE(queue, pack_get, PACKED, .shape = SHAPE(GROUP, GROUP, 0), SURVIVORS, WATCHERS,
          GET(get_many_op))
STEP_CASE(queue, pack_get_all, PACKED, .shape = SHAPE(RING, RING, 0), SURVIVORS, GET(get_many_op))
STEP_CASE(queue, pack_get_full, PACKED, .shape = SHAPE(RING, GROUP, 0), SURVIVORS,
          GET(get_many_op), WAKES_PUTTER)
STEP_CASE(queue, pack_get_more, PACKED, .shape = SHAPE(RING, GROUP + 2, 0), SURVIVORS,
          GET(get_many_op), WAKES_PUTTER)
STEP_CASE(queue, pack_get_asleep, PACKED, .shape = SHAPE(0, GROUP, 0), SURVIVORS,
          GET(get_many_op), .waker = wake_put)
STEP_CASE(queue, pack_spread, PACKED, .shape = SHAPE(GROUP, 1, 0), SURVIVORS, WATCHERS, GET(get_op))
STEP_CASE(queue, pack_spread_full, FRESH, .shape = SHAPE(RING, 1, 0), SURVIVORS, GET(get_op),
          WAKES_PUTTER)
STEP_CASE(queue, pack_borrow, FRESH, .shape = SHAPE(GROUP, 1, 0), SURVIVORS, GET(borrow_op))

/* A single place of a group that is packed; the end of the queue at its leader. */
STEP_CASE(queue, pack_open, PACKED, .shape = SHAPE(GROUP, 0, 1), SURVIVORS, WATCHERS, PUT(put_op))
STEP_CASE(queue, pack_open_to_sleeper, PACKED, .shape = SHAPE(0, 0, 1), SURVIVORS, PUT(put_op),
          WAKES_GETTER)
STEP_CASE(queue, pack_close, PACKED, .shape = SHAPE(GROUP, 0, 0), .prepare = prepare,
          .op = close_op, .check = queue_check_closed, .audit = arena_audit,
          .meet_prepare = meet_prepare,
          .meet = { meet_recover, meet_get_many, meet_put_many, meet_get })
