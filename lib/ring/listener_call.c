/* Connecting and accepting: see listener.h. */
#include "base/clock.h"
#include "base/error.h"
#include "ring/listener.h"
#include "ring/poller.h"

static int
over(void)
{
	return fail_quiet(-EPIPE, "the listener was destroyed, or its process has ended");
}

/* Whoever waits for a place looks now. */
static void
free_place(shoal_listener *l, word64 *place, uint64_t entry)
{
	if (!cas64_seq_cst(place, entry, 0))
		return;
	fetch_add_seq_cst(&l->freed, 1);
	if (load_seq_cst(&l->room))
		gate_open_all(&l->room);
}

/* ---- accept ---- */

/*
 * Makes the end this process's: L3. False: another one was faster, or its client and the listener's
 * process are gone. Those who wait at the other end watch this process from then on.
 */
static bool
take_end(const struct listener_call *c, struct pipe *p)
{
	shoal_arena *a = c->arena;
	word64 *owner = &p->end[SHOAL_LEFT].owner;
	bool rung = bell_take(c->thread, &p->bell), mine = false;
	uint64_t word;
	while (!mine && (word = load_acquire(owner)) & OWNER_PENDING) {
		uint64_t next = (word & (OWNER_NONCE | OWNER_PEER_CLOSED)) | OWNER_OWNED |
		                (uint64_t)a->process << 32 | process_generation(a, a->process);
		mine = cas64_seq_cst(owner, word, next);
	}
	if (mine)
		store_relaxed(&p->end[SHOAL_LEFT].tag, member_tag(a, c->me));
	way_wake_all(&p->way[0]);
	way_wake_all(&p->way[1]);
	if (rung)
		bell_give(c->thread, &p->bell);
	return mine;
}

/* Under a name of its own: one whose client is gone may end as soon as it is nobody's. */
static shoal_pipe_end *
take(const struct listener_call *c, word64 *place, uint64_t entry)
{
	shoal_arena *a = c->arena;
	uint32_t object = listener_entry_object(entry);
	uint64_t word = load_acquire(&arena_object(a, object)->word);
	word32 *name = object_stay(a, c->me, object, word >> 32);
	if (!name)
		return NULL;
	bool is = listener_look(a, entry) == ENTRY_PENDING;
	struct pipe *p = is ? object_body_at(a, object) : NULL;
	bool mine = p && take_end(c, p);
	free_place(c->listener, place, entry);
	object_unstay(name);
	return mine ? pipe_hand_out(a, p, SHOAL_LEFT) : NULL;
}

/* Places whose client died on its way, or whose server did, count as free. */
static void
clear_stale(const struct listener_call *c)
{
	shoal_listener *l = c->listener;
	for (uint32_t i = 0; i < BACKLOG; i++) {
		uint64_t entry = load_acquire(&l->pending[i]);
		if (listener_look(c->arena, entry) == ENTRY_STALE)
			free_place(l, &l->pending[i], entry);
	}
}

static shoal_pipe_end *
take_first(const struct listener_call *c)
{
	uint32_t place;
	uint64_t entry;
	while (listener_first(c->arena, c->listener, &place, &entry)) {
		shoal_pipe_end *end = take(c, &c->listener->pending[place], entry);
		if (end)
			return end;
	}
	return NULL;
}

/* Asleep while the words are as they were. 0: look again. */
static int
sleep_on(const struct listener_call *c, const struct futex_watch *watch, unsigned count,
         int64_t deadline, bool sliced)
{
	int64_t until = sliced ? clock_sooner(deadline, FUTEX_SLICE_NS) : deadline;
	int rc = gate_sleep(c->thread, watch, count, until);
	if (rc == -ECANCELED)
		return fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt");
	return 0;
}

/*
 * The death of the listener's process is told by one who lives of it; where none does, and where
 * the kernel may tell a descriptor's ring instead, by the slices.
 */
static int
sleep_accepting(const struct listener_call *c, uint32_t turns, uint32_t bell, int64_t deadline)
{
	shoal_arena *a = c->arena;
	shoal_listener *l = c->listener;
	struct futex_watch watch[] = { { &l->accept.wait, GATE_ARMED },
		                       { &l->turns, turns },
		                       { &l->bell.word, bell },
		                       { NULL, 0 } };
	if (l->process == a->process && l->process_generation == process_generation(a, a->process))
		return sleep_on(c, watch, 3, deadline, load_relaxed(&l->polled));
	struct member *life = process_living_member(a, l->process, l->process_generation, 0);
	if (!life)
		return sleep_on(c, watch, 3, deadline, true);
	watch[3] = (struct futex_watch){ &life->life.word, load_acquire(&life->life.word) };
	if (!watch[3].seen || watch[3].seen & FUTEX_DIED)
		return 0;
	return sleep_on(c, watch, 4, deadline, load_relaxed(&l->polled));
}

/*
 * The gate is armed before the second look, and told after the connection is there: one of the two
 * sees the other.
 */
static int
accept_waiting(const struct listener_call *c, shoal_time timeout, shoal_pipe_end **out)
{
	shoal_listener *l = c->listener;
	int64_t deadline = timeout > 0 ? clock_deadline(timeout) : 0;
	for (bool armed = false;; armed = !armed) {
		uint32_t turns = load_acquire(&l->turns), bell = bell_read(&l->bell);
		if ((*out = take_first(c)))
			return 0;
		clear_stale(c);
		if (listener_over(c) || listener_recover(c))
			return over();
		if (timeout <= 0) {
			poller_rearm(&l->accept.poll);
			return fail_quiet(-EAGAIN, "nobody has connected, and the timeout is 0");
		}
		if (clock_now() >= deadline)
			return fail_quiet(-ETIMEDOUT, "nobody has connected in time");
		int rc = 0;
		if (armed)
			rc = sleep_accepting(c, turns, bell, deadline);
		else
			gate_arm(&l->accept.wait, false);
		if (rc)
			return rc;
	}
}

/*
 * The end of its process is no fault of those who accept beside it: where there is no object any
 * more, it is the listener's end.
 */
static int
find_listener(const shoal_arena *a, const shoal_listener *l, uint32_t *object)
{
	const word64 *block = block_word_at(a, arena_offset(a, l));
	if (!block || block_state(load_acquire(block)) != BLOCK_OBJECT)
		return over();
	return object_find_body(a, l, SHOAL_KIND_LISTENER, object);
}

int
shoal_listener_accept(shoal_listener *l, shoal_time timeout, shoal_pipe_end **out)
{
	struct listener_call c;
	uint32_t object;
	shoal_arena *a = arena_of(l);
	if (!a || !out)
		return fail(-EINVAL, a ? "accept needs a place for the end" :
		                         "%p is no listener in a mapped arena", (void *)l);
	int rc = find_listener(a, l, &object);
	if (rc || (rc = listener_enter(a, object, &c)))
		return rc;
	void *old = robust_pending_set(c.thread, &l->accept.wait);
	rc = accept_waiting(&c, timeout, out);
	robust_pending_restore(c.thread, old);
	listener_leave(&c);
	if (rc == -EPIPE)
		object_sweep(a, c.thread, c.me);
	return rc;
}

/* ---- connect ---- */

/* The right end is this process's, the left one pending for the listener's. */
static void
own_ends(const struct listener_call *c, struct pipe *p)
{
	shoal_arena *a = c->arena;
	const shoal_listener *l = c->listener;
	uint64_t nonce = load_relaxed(&p->end[SHOAL_LEFT].owner) & OWNER_NONCE;
	p->flags |= PIPE_CONNECTION;
	store_relaxed(&p->end[SHOAL_RIGHT].owner, nonce | OWNER_OWNED | (uint64_t)a->process << 32 |
	                                                  process_generation(a, a->process));
	store_relaxed(&p->end[SHOAL_RIGHT].tag, member_tag(a, c->me));
	store_relaxed(&p->end[SHOAL_LEFT].owner,
	              nonce | OWNER_OWNED | OWNER_PENDING |
	                      (uint64_t)(l->process & 0xfff) << 32 | l->process_generation);
}

/* A pipe that is still this member's MAKING. */
static int
make_pipe(const struct listener_call *c, uint32_t *object, struct pipe **out)
{
	shoal_pipe_options o = { .ring_bytes = c->listener->ring_bytes,
		                 .flags = c->listener->flags };
	struct pipe_shape shape;
	struct object_made made;
	int rc = pipe_shape_of(c->arena, &o, &shape);
	if (rc == 0)
		rc = object_make(c->arena, c->thread, c->me, NULL, SHOAL_KIND_PIPE, 0, CLOCK_NEVER,
		                 &made);
	if (rc)
		return rc;
	rc = pipe_body(c->arena, c->thread, c->me, made.index, &shape);
	*out = rc ? NULL : object_body_at(c->arena, made.index);
	if (!*out) {
		object_abandon(c->arena, c->me, made.index);
		return rc ? rc : -EPROTO;
	}
	*object = made.index;
	own_ends(c, *out);
	return 0;
}

static bool
has_place(const struct listener_call *c)
{
	for (uint32_t i = 0; i < BACKLOG; i++)
		if (!load_acquire(&c->listener->pending[i]))
			return true;
	return false;
}

/* L1. */
static bool
enter_backlog(const struct listener_call *c, uint32_t object)
{
	shoal_listener *l = c->listener;
	uint64_t generation = load_relaxed(&arena_object(c->arena, object)->word) >> 32;
	uint64_t entry = listener_entry(object, generation, fetch_add_relaxed(&l->tickets, 1));
	for (uint32_t i = 0; i < BACKLOG; i++)
		if (!load_acquire(&l->pending[i]) && cas64_seq_cst(&l->pending[i], 0, entry))
			return true;
	return false;
}

/* 0: there is a place, or there was one. */
static int
wait_for_place(const struct listener_call *c, shoal_time timeout, int64_t deadline)
{
	shoal_listener *l = c->listener;
	for (bool armed = false;; armed = !armed) {
		struct futex_watch watch[] = { { &l->room, GATE_ARMED },
			                       { &l->freed, load_acquire(&l->freed) },
			                       { &l->bell.word, bell_read(&l->bell) } };
		clear_stale(c);
		if (listener_over(c) || listener_recover(c))
			return over();
		if (has_place(c))
			return 0;
		if (timeout <= 0)
			return fail_quiet(-EAGAIN, "the listener has as many waiting as it takes");
		if (clock_now() >= deadline)
			return fail_quiet(-ETIMEDOUT, "the listener had as many waiting as it takes");
		int rc = 0;
		if (armed)
			rc = sleep_on(c, watch, 3, deadline, true);
		else
			gate_arm(&l->room, false);
		if (rc)
			return rc;
	}
}

/* From L2 on it may be accepted. */
static void
publish(const struct listener_call *c, uint32_t object)
{
	shoal_listener *l = c->listener;
	object_publish(c->arena, c->me, object);
	fetch_add_seq_cst(&l->turns, 1);
	if (load_seq_cst(&l->accept.wait))
		gate_open_all(&l->accept.wait);
	if (load_seq_cst(&l->accept.poll))
		gate_open_all(&l->accept.poll);
}

static int
connect_in(const struct listener_call *c, shoal_time timeout, int64_t deadline,
           shoal_pipe_end **out)
{
	for (;;) {
		struct pipe *p;
		uint32_t object;
		int rc = wait_for_place(c, timeout, deadline);
		if (rc || (rc = make_pipe(c, &object, &p)))
			return rc;
		if (enter_backlog(c, object)) {
			publish(c, object);
			*out = pipe_hand_out(c->arena, p, SHOAL_RIGHT);
			return 0;
		}
		object_abandon(c->arena, c->me, object);
	}
}

/* One of that name, whose process lives. One whose process is gone is not there. */
static int
find(shoal_arena *a, const char *name, int64_t deadline, struct listener_call *c)
{
	for (;;) {
		uint32_t object;
		struct shoal_thread *t = thread_self();
		int rc = t ? object_find(a, t, name, SHOAL_KIND_LISTENER, deadline, &object)
		           : fail(-ENOMEM, "no memory for this thread's record");
		if (rc || ((rc = listener_enter(a, object, c)) && rc != -EPIPE))
			return rc;
		if (rc == 0 && !listener_recover(c))
			return 0;
		if (rc == 0)
			listener_leave(c);
		if (clock_now() >= deadline)
			return fail(-ENOENT, "there is no '%s' in arena '%s': its process has ended", name,
			            a->name);
	}
}

int
shoal_pipe_connect(shoal_arena *a, const char *name, shoal_time timeout, shoal_pipe_end **out)
{
	struct listener_call c;
	int64_t deadline = clock_deadline(timeout);
	if (!a || !name || !out)
		return fail(-EINVAL,
		            "connect needs an arena, a listener's name, and a place for the end");
	int rc = find(a, name, deadline, &c);
	if (rc)
		return rc;
	void *old = robust_pending_set(c.thread, &c.listener->accept.wait);
	rc = connect_in(&c, timeout, deadline, out);
	robust_pending_restore(c.thread, old);
	bool ended = rc == 0 && listener_over(&c);
	listener_leave(&c);
	/* What it left in the backlog is refused by those who bury it: only after this call. */
	if (ended)
		object_sweep(a, c.thread, c.me);
	return rc;
}
