/* What becomes of messages, places and blocks when a process is killed with them in its hands. */
#include "deaths.h"
#include "ring/queue.h"

#define LONG 5000
/* The kernel tells of a death in about 0.14 ms; slices of 5 ms close the other windows. */
#define SOON SHOAL_SEC(1)

static struct slot *
first_slot(const struct world *w)
{
	struct ring ring;
	REQUIRE_EQ(ring_find(w->arena, w->queue, &ring), 0);
	return ring_slot(&ring, 0);
}

static void
put_long_text(shoal_queue *q, char c)
{
	char text[LONG];
	memset(text, c, sizeof text);
	REQUIRE_EQ(shoal_queue_put(q, text, sizeof text, 0), 0);
}

static void
get_long_text(shoal_queue *q, char c)
{
	char text[LONG];
	REQUIRE_EQ(shoal_queue_get(q, text, sizeof text, SHOAL_SEC(5)), LONG);
	for (int i = 0; i < LONG; i++)
		REQUIRE_EQ(text[i], c);
}

Test(queue_death, a_putter_killed_in_its_copy_leaves_nothing)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = stage_make(w, 20);
	put_text(w.queue, "a");
	let_die(die_in_put, s);
	put_text(w.queue, "b");
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	REQUIRE(shoal_queue_empty(w.queue));
	world_end(w);
}

Test(queue_death, a_putter_of_a_long_message_leaks_no_block)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = stage_make(w, LONG);
	let_die(die_in_put, s);
	put_text(w.queue, "b");
	get_text(w.queue, "b");
	world_end(w);
}

Test(queue_death, a_getter_killed_in_its_copy_drops_its_message)
{
	struct world w = world_make(2, 0, 0);
	struct stage *s = stage_make(w, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	let_die(die_in_get, s);
	get_text(w.queue, "b");
	/* Its place is free again. */
	put_text(w.queue, "c");
	put_text(w.queue, "d");
	REQUIRE_EQ(info_of(w).dropped, 1);
	get_text(w.queue, "c");
	get_text(w.queue, "d");
	world_end(w);
}

Test(queue_death, a_getter_killed_in_a_long_copy_drops_the_block)
{
	struct world w = world_make(2, 0, 0);
	struct stage *s = stage_make(w, 0);
	put_long_text(w.queue, 'a');
	put_long_text(w.queue, 'b');
	let_die(die_in_get, s);
	get_long_text(w.queue, 'b');
	world_end(w);
}

Test(queue_death, redeliver_gives_it_to_the_next)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	let_die(die_in_get, s);
	/* Until somebody learns of the death, others pass it. */
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	REQUIRE_EQ(info_of(w).redelivered, 1);
	REQUIRE_EQ(info_of(w).dropped, 0);
	world_end(w);
}

Test(queue_death, redeliver_gives_a_long_one_to_the_next)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	put_long_text(w.queue, 'a');
	put_long_text(w.queue, 'b');
	let_die(die_in_get, s);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	let_die(borrow_and_die, s);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	get_long_text(w.queue, 'a');
	get_long_text(w.queue, 'b');
	world_end(w);
}

Test(queue_death, a_batch_comes_again_as_a_whole)
{
	struct world w = world_make(8, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	for (int i = 0; i < 3; i++)
		put_text(w.queue, (char[]){ (char)('a' + i), 0 });
	for (int i = 0; i < 3; i++)
		let_die(borrow_and_die, s);
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	char seen[3] = "";
	for (int i = 0; i < 3; i++) {
		char got[2];
		REQUIRE_EQ(shoal_queue_get(w.queue, got, 2, 0), 2);
		seen[got[0] - 'a']++;
	}
	REQUIRE(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
	world_end(w);
}

Test(queue_death, deliveries_are_counted)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	shoal_loan loan;
	put_text(w.queue, "a");
	let_die(borrow_and_die, s);
	let_die(die_in_get, s);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, SHOAL_SEC(5), &loan), 0);
	REQUIRE_EQ(loan.deliveries, 3);
	shoal_loan_release(&loan);
	world_end(w);
}

Test(queue_death, a_message_that_kills_all_its_takers_is_dropped_at_last)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	put_text(w.queue, "a");
	for (int i = 0; i < 31; i++)
		let_die(borrow_and_die, s);
	char got[8];
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), -EAGAIN);
	REQUIRE_EQ(info_of(w).dropped, 1);
	put_text(w.queue, "b");
	get_text(w.queue, "b");
	world_end(w);
}

/* ---- those who wait ---- */

static int
get_one(void *arg)
{
	struct stage *s = arg;
	char got[64];
	s->result = (int)shoal_queue_get(s->queue, got, sizeof got, SHOAL_SEC(10));
	s->at = fair_ns();
	return s->result < 0;
}

static int
put_one(void *arg)
{
	struct stage *s = arg;
	s->result = shoal_queue_put(s->queue, "x", 2, SHOAL_SEC(10));
	s->at = fair_ns();
	return s->result < 0;
}

/* One is asleep behind what another one holds, who is killed then. */
static void
expect_woken(struct world w, int (*holder)(void *), size_t bytes, int (*sleeper)(void *))
{
	struct stage *held = stage_make(w, bytes), *asleep = stage_make(w, 0);
	pid_t pid = child(holder, held);
	wait_until_reached(held);
	pid_t waits = child(sleeper, asleep);
	sleep_ms(60);
	REQUIRE_EQ(asleep->at, 0);
	int64_t killed = fair_ns();
	kill(pid, SIGKILL);
	expect_child(waits, 0, 10000);
	REQUIRE(asleep->at - killed < SOON);
	expect_killed(pid, SIGKILL, 1000);
}

Test(queue_death, a_getter_asleep_behind_a_dead_putter_goes_on)
{
	struct world w = world_make(4, 0, 0);
	struct stage *held = stage_make(w, 20), *asleep = stage_make(w, 0);
	pid_t pid = child(stay_in_put, held);
	wait_until_reached(held);
	put_text(w.queue, "b");
	pid_t waits = child(get_one, asleep);
	sleep_ms(60);
	REQUIRE_EQ(asleep->at, 0);
	int64_t killed = fair_ns();
	kill(pid, SIGKILL);
	expect_child(waits, 0, 10000);
	REQUIRE(asleep->at - killed < SOON);
	expect_killed(pid, SIGKILL, 1000);
	world_end(w);
}

Test(queue_death, a_putter_asleep_behind_a_dead_getter_goes_on)
{
	struct world w = world_make(2, 0, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	expect_woken(w, stay_in_get, 0, put_one);
	world_end(w);
}

Test(queue_death, a_putter_asleep_behind_a_dead_borrower_goes_on)
{
	struct world w = world_make(2, 0, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	expect_woken(w, borrow_and_stay, 0, put_one);
	world_end(w);
}

Test(queue_death, a_sleeping_getter_gets_what_a_dead_borrower_had)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	put_text(w.queue, "a");
	expect_woken(w, borrow_and_stay, 0, get_one);
	world_end(w);
}

Test(queue_death, a_sleeping_getter_gets_what_a_dead_getter_had)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	put_long_text(w.queue, 'a');
	struct stage *held = stage_make(w, 0);
	pid_t pid = child(stay_in_get, held);
	wait_until_reached(held);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	get_long_text(w.queue, 'a');
	world_end(w);
}

Test(queue_death, one_who_only_polls_gets_it_too)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	char got[8];
	put_text(w.queue, "a");
	let_die(borrow_and_die, s);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_NOWAIT), 2);
	world_end(w);
}

Test(queue_death, the_end_comes_after_what_the_dead_had)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	char got[8];
	put_text(w.queue, "a");
	pid_t pid = child(borrow_and_stay, s);
	wait_until_reached(s);
	shoal_queue_close(w.queue);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_MS(30)), -ETIMEDOUT);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

/* A stopped one is not dead: what it holds is waited for, and a timeout holds all the same. */
Test(queue_death, a_stopped_putter_is_waited_for)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = stage_make(w, 20);
	char got[8];
	pid_t pid = child(stay_in_put, s);
	wait_until_reached(s);
	kill(pid, SIGSTOP);
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_MS(30)), -ETIMEDOUT);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	get_text(w.queue, "b");
	world_end(w);
}

struct stopped {
	struct stage stage;
	shoal_arena *arena;
	uint32_t dead;
};

static int
stay_recovering(void *arg)
{
	struct stopped *s = arg;
	REQUIRE_EQ(robust_try(thread_self(), &arena_member(s->arena, s->dead)->recovering), 0);
	s->stage.reached = 1;
	for (;;)
		pause();
	return 0;
}

/* What a dead putter held does not wait for a stopped recoverer. */
Test(queue_death, a_hole_is_made_by_anybody)
{
	struct world w = world_make(4, 0, 0);
	struct stopped *s = shared(sizeof *s);
	s->stage.queue = w.queue;
	s->stage.bytes = 20;
	s->arena = w.arena;
	let_die(die_in_put, &s->stage);
	put_text(w.queue, "b");
	s->dead = tag_index(slot_owner(load_relaxed(&first_slot(&w)->turn)));
	pid_t pid = child(stay_recovering, s);
	wait_until_reached(&s->stage);
	get_text(w.queue, "b");
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	world_end(w);
}

/* ---- blocks and loans ---- */

/* A put of a block up to where the block's word names the place, and the place is not FULL. */
static struct cursor *
put_half(shoal_queue *q, uint64_t place, uint64_t block)
{
	struct shoal_thread *t;
	struct cursor *c;
	REQUIRE_EQ(queue_enter(q, &t, &c), 0);
	struct slot *slot = cursor_slot_at(c, place);
	if (!block)
		REQUIRE_EQ(block_take(c->arena, t, c->me, LONG, &block), 0);
	store_relaxed(&c->me->call.pos, place);
	hand_fill(&c->me->hand, HAND_PUT, q->object, place, block);
	store_relaxed(&slot->turn, slot_word(WRITING, ring_lap(&c->ring, place), c->tag, 0));
	store_relaxed(&slot->bytes, LONG);
	store_relaxed(&slot->flags, SLOT_BLOCK);
	memcpy(slot->payload, &block, sizeof block);
	store_release(block_word_at(c->arena, block), block_word(BLOCK_PLACE, q->object, place));
	return c;
}

static int
die_before_full(void *arg)
{
	struct stage *s = arg;
	put_half(s->queue, 0, 0);
	raise(SIGKILL);
	return 0;
}

Test(queue_death, a_block_whose_place_became_a_hole_comes_back)
{
	struct world w = world_make(4, 0, 0);
	let_die(die_before_full, stage_make(w, 0));
	world_end(w);
}

/* The put is over but for the hand. */
static int
die_after_full(void *arg)
{
	struct stage *s = arg;
	struct cursor *c = put_half(s->queue, 0, 0);
	store_release(&cursor_slot_at(c, 0)->turn, slot_word(FULL, 0, 0, 0));
	REQUIRE(load_relaxed(&c->me->hand.block));
	raise(SIGKILL);
	return 0;
}

/*
 * The dead one's hand names the block still when its message was taken and another one sends the
 * same block.
 */
Test(queue_death, a_dead_hand_leaves_the_block_of_the_next_alone)
{
	struct world w = world_make(4, 0, 0);
	char got[LONG];
	let_die(die_after_full, stage_make(w, 0));
	uint64_t block;
	memcpy(&block, first_slot(&w)->payload, sizeof block);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), LONG);
	struct shoal_thread *t;
	struct member *me;
	uint64_t mine;
	REQUIRE_EQ(member_here(w.arena, &t, &me), 0);
	REQUIRE_EQ(block_take(w.arena, t, me, LONG, &mine), 0);
	REQUIRE_EQ(mine, block);
	struct cursor *c = put_half(w.queue, 1, block);
	queue_leave(t, c);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	REQUIRE_EQ(load_relaxed(block_word_at(w.arena, block)),
	           block_word(BLOCK_PLACE, w.queue->object, 1));
	store_release(&cursor_slot_at(c, 1)->turn, slot_word(FULL, 0, 0, 0));
	hand_clear(&me->hand);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), LONG);
	world_end(w);
}

static int
reserve_and_die(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan[3];
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_queue_reserve(s->queue, (size_t)1 << (8 * i), 0, &loan[i]), 0);
	raise(SIGKILL);
	return 0;
}

Test(queue_death, unsent_loans_vanish)
{
	struct world w = world_make(4, 0, 0);
	let_die(reserve_and_die, stage_make(w, 0));
	world_end(w);
}

Test(queue_death, borrowed_blocks_come_back)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = stage_make(w, 0);
	put_long_text(w.queue, 'a');
	let_die(borrow_and_die, s);
	/* Its place went on when it was borrowed: nothing was dropped that is still in the queue. */
	REQUIRE(shoal_queue_empty(w.queue));
	world_end(w);
}

Test(queue_death, a_message_of_a_dead_putter_stays)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = stage_make(w, 0);
	put_long_text(w.queue, 'a');
	let_die(reserve_and_die, s);
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	get_long_text(w.queue, 'a');
	world_end(w);
}

static int
make_owned_and_die(void *arg)
{
	struct stage *s = arg;
	shoal_queue_options o = { .capacity = 4, .flags = SHOAL_WITH_OWNER };
	shoal_arena *a = *(shoal_arena **)(void *)(s + 1);
	REQUIRE_EQ(shoal_queue_create(a, "owned", &o, &s->queue), 0);
	s->reached = 1;
	sleep_ms(60);
	return die_in_put(s);
}

/* One who recovers the owner does it inside a call on what is destroyed thereby. */
Test(queue_death, a_queue_goes_with_its_owner_while_another_is_inside)
{
	struct world w = world_make(4, 0, 0);
	struct stage *s = shared(sizeof *s + sizeof(shoal_arena *));
	char got[8];
	*(shoal_arena **)(void *)(s + 1) = w.arena;
	s->bytes = 20;
	pid_t pid = child(make_owned_and_die, s);
	shoal_queue *owned;
	REQUIRE_EQ(shoal_queue_open(w.arena, "owned", SHOAL_SEC(5), &owned), 0);
	REQUIRE_EQ(shoal_queue_get(owned, got, sizeof got, SHOAL_SEC(5)), -EPIPE);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE_EQ(shoal_queue_open(w.arena, "owned", 0, &owned), -ENOENT);
	world_end(w);
}

/* ---- another queue has the memory ---- */

struct heirs {
	shoal_arena *arena;
	shoal_queue *volatile there;
	volatile int step;
};

static int
make_with_owner(void *arg)
{
	struct heirs *h = arg;
	shoal_queue_options o = { .capacity = 4, .flags = SHOAL_WITH_OWNER };
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(h->arena, "mine", &o, &q), 0);
	put_text(q, "hello");
	h->step = 1;
	for (;;)
		pause();
	return 0;
}

static int
come_into_its_memory(void *arg)
{
	struct heirs *h = arg;
	enum { TRIES = 200 };
	static shoal_queue *made[TRIES];
	shoal_queue_options o = { .capacity = 4 };
	int n = 0;
	REQUIRE(shoal_arena_recover(h->arena) >= 0);
	do
		REQUIRE_EQ(shoal_queue_create(h->arena, NULL, &o, &made[n]), 0);
	while (made[n] != h->there && ++n < TRIES);
	REQUIRE(n < TRIES);
	put_text(h->there, "secret");
	while (n-- > 0)
		REQUIRE_EQ(shoal_queue_destroy(h->arena, made[n]), 0);
	h->step = 2;
	for (;;)
		pause();
	return 0;
}

static pid_t
begin(int (*run)(void *), struct heirs *h, int step)
{
	pid_t pid = child(run, h);
	for (int i = 0; i < 5000 && h->step < step; i++)
		sleep_ms(1);
	REQUIRE(h->step >= step);
	return pid;
}

static void
end_of(pid_t pid)
{
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
}

static void
keep_a_queue(bool use)
{
	struct world w = world_make(4, 0, 0);
	struct heirs *h = shared(sizeof *h);
	shoal_queue *mine, *again;
	char got[8];
	h->arena = w.arena;
	pid_t owner = begin(make_with_owner, h, 1);
	REQUIRE_EQ(shoal_queue_open(w.arena, "mine", 0, &mine), 0);
	if (use)
		get_text(mine, "hello");
	end_of(owner);
	h->there = mine;
	pid_t next = begin(come_into_its_memory, h, 2);
	REQUIRE_EQ(shoal_queue_get(mine, got, sizeof got, 0), -EPIPE);
	REQUIRE_EQ(shoal_queue_put(mine, "x", 1, 0), -EPIPE);
	shoal_queue_close(mine);
	/* As in a signal handler inside another call. */
	thread_here->busy = 1;
	shoal_queue_close(mine);
	thread_here->busy = 0;
	/* Given out again, it is the new one's, and open. */
	REQUIRE_EQ(shoal_queue_at(w.arena, shoal_ref_of(w.arena, mine), &again), 0);
	get_text(again, "secret");
	put_text(again, "open");
	end_of(next);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, again), 0);
	world_end(w);
}

Test(queue_death, a_queue_is_not_a_strangers_that_has_its_memory)
{
	keep_a_queue(true);
}

Test(queue_death, nor_is_one_that_was_never_used)
{
	keep_a_queue(false);
}
