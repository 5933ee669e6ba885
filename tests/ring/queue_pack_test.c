/* Groups: put_many and get_many of small items, which nobody may tell from single messages. */
#include "deaths.h"

#define GROUP 16 /* places that put_many claims at once */
#define SOON SHOAL_SEC(1)

/* A queue as anybody would write it for one process, and the real one beside it. */
struct twin {
	struct world w;
	uint32_t capacity, put, got; /* numbers of messages */
	uint8_t bytes[1u << 16];     /* of message n, at n % that */
	uint64_t random;
};

static uint32_t
pick(struct twin *t, uint32_t below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (uint32_t)(t->random >> 32) % below;
}

static uint8_t *
bytes_of(struct twin *t, uint32_t n)
{
	return &t->bytes[n % sizeof t->bytes];
}

static void
write_message(unsigned char *to, uint32_t bytes, uint32_t n)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (unsigned char)(n * 31 + i * 7);
}

static void
require_message(const unsigned char *got, uint32_t bytes, uint32_t n)
{
	for (uint32_t i = 0; i < bytes; i++)
		REQUIRE_EQ(got[i], (unsigned char)(n * 31 + i * 7));
}

static void
put_some(struct twin *t, uint32_t bytes, uint32_t count)
{
	unsigned char items[64 * 64] = { 0 };
	uint32_t room = t->capacity - (t->put - t->got), fit = count < room ? count : room;
	for (uint32_t i = 0; i < count; i++)
		write_message(items + i * bytes, bytes, t->put + i);
	ssize_t wanted = fit || !count ? (ssize_t)fit : -EAGAIN;
	REQUIRE_EQ(shoal_queue_put_many(t->w.queue, items, bytes, count, 0), wanted);
	for (uint32_t i = 0; i < fit; i++)
		*bytes_of(t, t->put++) = (uint8_t)bytes;
}

static void
put_one(struct twin *t, uint32_t bytes)
{
	unsigned char item[64];
	bool fits = t->put - t->got < t->capacity;
	write_message(item, bytes, t->put);
	REQUIRE_EQ(shoal_queue_put(t->w.queue, item, bytes, 0), fits ? 0 : -EAGAIN);
	if (fits)
		*bytes_of(t, t->put++) = (uint8_t)bytes;
}

static void
get_some(struct twin *t, uint32_t bytes, uint32_t count)
{
	unsigned char items[64 * 64];
	uint32_t n = 0;
	while (n < count && t->got + n != t->put && *bytes_of(t, t->got + n) == bytes)
		n++;
	ssize_t wanted = n || !count ? (ssize_t)n : t->got == t->put ? -EAGAIN : -EMSGSIZE;
	REQUIRE_EQ(shoal_queue_get_many(t->w.queue, items, bytes, count, 0), wanted);
	for (uint32_t i = 0; i < n; i++)
		require_message(items + i * bytes, bytes, t->got++);
}

static void
get_one(struct twin *t, bool small)
{
	unsigned char item[64];
	uint32_t bytes = *bytes_of(t, t->got);
	size_t room = small ? bytes - 1 : sizeof item;
	ssize_t wanted = t->got == t->put ? -EAGAIN : small ? -EMSGSIZE : (ssize_t)bytes;
	REQUIRE_EQ(shoal_queue_get(t->w.queue, item, room, 0), wanted);
	if (wanted > 0)
		require_message(item, bytes, t->got++);
}

static void
borrow_one(struct twin *t)
{
	shoal_loan loan;
	uint32_t bytes = *bytes_of(t, t->got);
	bool there = t->got != t->put;
	REQUIRE_EQ(shoal_queue_borrow(t->w.queue, 0, &loan), there ? 0 : -EAGAIN);
	if (!there)
		return;
	REQUIRE_EQ(loan.bytes, bytes);
	require_message(loan.data, bytes, t->got++);
	shoal_loan_release(&loan);
}

static void
look(struct twin *t)
{
	bool there = t->got != t->put;
	REQUIRE_EQ(shoal_queue_size(t->w.queue), t->put - t->got);
	REQUIRE_EQ(shoal_queue_empty(t->w.queue), !there);
	REQUIRE_EQ(shoal_queue_full(t->w.queue), t->put - t->got == t->capacity);
	ssize_t wanted = there ? *bytes_of(t, t->got) : -EAGAIN;
	REQUIRE_EQ(shoal_queue_peek_bytes(t->w.queue), wanted);
}

/* Mostly of one length and in batches, sometimes not. */
static void
do_anything(struct twin *t, uint32_t usual)
{
	uint32_t bytes = pick(t, 8) ? usual : 1 + pick(t, 63);
	uint32_t count = pick(t, 4) ? pick(t, 4) * GROUP : pick(t, 40);
	switch (pick(t, 16)) {
	case 0: put_one(t, bytes); break;
	case 1: get_one(t, false); break;
	case 2: get_one(t, true); break;
	case 3: borrow_one(t); break;
	case 4: look(t); break;
	case 5:
	case 6:
	case 7:
	case 8: put_some(t, bytes, count); break;
	case 9: get_some(t, bytes, count); break;
	default: get_some(t, *bytes_of(t, t->got), count); break;
	}
}

static void
live_through(uint32_t capacity, uint32_t slot_bytes, uint32_t usual)
{
	static struct twin t;
	t = (struct twin){ .capacity = capacity, .random = capacity * 64 + usual };
	t.w = world_make(capacity, slot_bytes, 0);
	*bytes_of(&t, 0) = (uint8_t)usual;
	for (int i = 0; i < 20000; i++) {
		do_anything(&t, usual);
		/* What is not there yet has a length all the same. */
		if (t.got == t.put)
			*bytes_of(&t, t.got) = (uint8_t)usual;
		else if (i % 64 == 0)
			look(&t);
	}
	world_end(t.w);
}

Test(queue_pack, nobody_can_tell_a_group_from_single_messages, .timeout = 60 * HARNESS_SLOW)
{
	static const uint32_t capacities[] = { 4, 8, 16, 32, 1024 };
	static const uint32_t lengths[] = { 1, 3, 8, 16, 24, 25, 64 };
	for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
		for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
			live_through(capacities[i], k % 2 ? 0 : 200, lengths[k]);
}

static void
put_numbers(shoal_queue *q, uint64_t from, size_t count)
{
	uint64_t items[64];
	for (size_t i = 0; i < count; i++)
		items[i] = from + i;
	REQUIRE_EQ(shoal_queue_put_many(q, items, sizeof *items, count, SOON), (ssize_t)count);
}

static void
get_numbers(shoal_queue *q, uint64_t from, size_t count)
{
	uint64_t items[64];
	REQUIRE_EQ(shoal_queue_get_many(q, items, sizeof *items, count, SOON), (ssize_t)count);
	for (size_t i = 0; i < count; i++)
		REQUIRE_EQ(items[i], from + i);
}

static void
get_number(shoal_queue *q, uint64_t wanted)
{
	uint64_t got = 0;
	REQUIRE_EQ(shoal_queue_get(q, &got, sizeof got, SOON), (ssize_t)sizeof got);
	REQUIRE_EQ(got, wanted);
}

/* So many laps that the followers of a group that is always packed lag far behind their leader. */
Test(queue_pack, groups_may_go_round_for_ever, .timeout = 60 * HARNESS_SLOW)
{
	struct world w = world_make(GROUP, 0, 0);
	uint64_t n = 0;
	for (int lap = 0; lap < (1 << 20) + 3; lap++, n += GROUP) {
		put_numbers(w.queue, n, GROUP);
		get_numbers(w.queue, n, GROUP);
	}
	for (int i = 0; i < 3 * GROUP; i++, n++) {
		REQUIRE_EQ(shoal_queue_put(w.queue, &n, sizeof n, 0), 0);
		get_number(w.queue, n);
	}
	REQUIRE_EQ(info_of(w).puts, n);
	world_end(w);
}

Test(queue_pack, a_closed_queue_gives_its_groups_first)
{
	for (int packed = 0; packed < 2; packed++) {
		struct world w = world_make(4 * GROUP, 0, 0);
		uint64_t got;
		put_numbers(w.queue, 0, 2 * GROUP);
		get_numbers(w.queue, 0, packed ? GROUP : 1);
		shoal_queue_close(w.queue);
		REQUIRE_EQ(shoal_queue_put_many(w.queue, &got, sizeof got, 1, 0), -EPIPE);
		get_numbers(w.queue, packed ? GROUP : 1, packed ? GROUP : 2 * GROUP - 1);
		REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, SOON), -EPIPE);
		world_end(w);
	}
}

/* The end belongs to the leader of a group that was packed the lap before; or the ring is full. */
Test(queue_pack, the_end_stands_where_a_group_was)
{
	for (int full = 0; full < 2; full++) {
		struct world w = world_make(GROUP, 0, 0);
		uint64_t got;
		put_numbers(w.queue, 0, GROUP);
		if (!full)
			get_numbers(w.queue, 0, GROUP);
		shoal_queue_close(w.queue);
		if (full)
			get_numbers(w.queue, 0, GROUP);
		REQUIRE_EQ(shoal_queue_get_many(w.queue, &got, sizeof got, 1, SOON), -EPIPE);
		REQUIRE_EQ(shoal_queue_put_many(w.queue, &got, sizeof got, 1, SOON), -EPIPE);
		world_end(w);
	}
}

/* ---- deaths ---- */

/* The last `bytes` before a page that cannot be touched. */
static char *
edge_of(size_t bytes)
{
	char *page = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(page != MAP_FAILED);
	REQUIRE_EQ(mprotect(page + 4096, 4096, PROT_NONE), 0);
	signal(SIGSEGV, end_here);
	return page + 4096 - bytes;
}

static int
die_in_put_many(void *arg)
{
	struct stage *s = arg;
	uint64_t *items = (uint64_t *)(void *)edge_of(s->bytes);
	for (size_t i = 0; i < s->bytes / sizeof *items; i++)
		items[i] = i;
	return (int)shoal_queue_put_many(s->queue, items, sizeof *items, 4 * GROUP, SOON);
}

static int
die_in_get_many(void *arg)
{
	struct stage *s = arg;
	char *items = edge_of(s->bytes);
	return (int)shoal_queue_get_many(s->queue, items, sizeof(uint64_t), 4 * GROUP, SOON);
}

Test(queue_pack, of_a_putter_killed_in_a_group_whole_groups_arrive)
{
	struct world w = world_make(8 * GROUP, 0, 0);
	struct stage *s = stage_make(w, (2 * GROUP + 3) * sizeof(uint64_t));
	uint64_t got;
	let_die(die_in_put_many, s);
	put_numbers(w.queue, 100, GROUP + 2);
	get_numbers(w.queue, 0, GROUP);
	get_number(w.queue, GROUP);
	get_numbers(w.queue, GROUP + 1, GROUP - 1);
	get_numbers(w.queue, 100, GROUP + 2);
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, 0), -EAGAIN);
	REQUIRE_EQ(info_of(w).dropped, 0);
	world_end(w);
}

Test(queue_pack, a_dead_putters_group_is_passed_by_every_call)
{
	for (int way = 0; way < 4; way++) {
		struct world w = world_make(2 * GROUP, 0, 0);
		uint64_t got = 0;
		shoal_loan loan;
		let_die(die_in_put_many, stage_make(w, sizeof(uint64_t)));
		REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
		REQUIRE(shoal_queue_empty(w.queue));
		REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), -EAGAIN);
		put_numbers(w.queue, 7, 1);
		REQUIRE(!shoal_queue_empty(w.queue));
		if (way == 0)
			get_number(w.queue, 7);
		else if (way == 1)
			get_numbers(w.queue, 7, 1);
		else if (way == 2)
			REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), (ssize_t)sizeof got);
		else
			REQUIRE_EQ(shoal_queue_borrow(w.queue, SOON, &loan), 0);
		if (way == 3)
			shoal_loan_release(&loan);
		world_end(w);
	}
}

Test(queue_pack, a_getter_killed_in_a_group_drops_it_as_one)
{
	struct world w = world_make(4 * GROUP, 0, 0);
	put_numbers(w.queue, 0, 3 * GROUP);
	let_die(die_in_get_many, stage_make(w, GROUP * sizeof(uint64_t)));
	get_numbers(w.queue, 2 * GROUP, GROUP);
	/* Its places are free again, all of them. */
	put_numbers(w.queue, 50, 4 * GROUP);
	REQUIRE_EQ(info_of(w).dropped, GROUP);
	get_numbers(w.queue, 50, 4 * GROUP);
	world_end(w);
}

/* ---- waiting ---- */

static int
get_group_asleep(void *arg)
{
	struct stage *s = arg;
	uint64_t items[GROUP];
	s->reached = 1;
	s->result = (int)shoal_queue_get_many(s->queue, items, sizeof *items, GROUP, SHOAL_SEC(5));
	return s->result == GROUP ? 0 : 1;
}

static int
put_group_asleep(void *arg)
{
	struct stage *s = arg;
	uint64_t items[GROUP] = { 0 };
	s->reached = 1;
	s->result = (int)shoal_queue_put_many(s->queue, items, sizeof *items, GROUP, SHOAL_SEC(5));
	return s->result == GROUP ? 0 : 1;
}

Test(queue_pack, who_sleeps_for_a_group_is_woken_and_gets_it_whole)
{
	struct world w = world_make(GROUP, 0, 0);
	struct stage *s = stage_make(w, 0);
	pid_t getter = child(get_group_asleep, s);
	wait_until_reached(s);
	sleep_ms(30);
	put_numbers(w.queue, 0, GROUP);
	expect_child(getter, 0, 5000);
	put_numbers(w.queue, 0, GROUP);
	s->reached = 0;
	pid_t putter = child(put_group_asleep, s);
	wait_until_reached(s);
	sleep_ms(30);
	get_numbers(w.queue, 0, GROUP);
	expect_child(putter, 0, 5000);
	world_end(w);
}

static int
get_one_asleep(void *arg)
{
	struct stage *s = arg;
	uint64_t item;
	return shoal_queue_get(s->queue, &item, sizeof item, SHOAL_SEC(5)) == sizeof item ? 0 : 1;
}

Test(queue_pack, one_group_wakes_as_many_as_it_has_items)
{
	struct world w = world_make(2 * GROUP, 0, 0);
	struct stage *s = stage_make(w, 0);
	pid_t getters[GROUP];
	for (int i = 0; i < GROUP; i++)
		getters[i] = child(get_one_asleep, s);
	sleep_ms(50);
	put_numbers(w.queue, 0, GROUP);
	for (int i = 0; i < GROUP; i++)
		expect_child(getters[i], 0, 5000);
	world_end(w);
}

/* Other queues count places, or give them back one by one: no group is made there. */
Test(queue_pack, queues_with_flags_take_batches_item_by_item)
{
	static const unsigned flags[] = { SHOAL_QUEUE_REDELIVER, SHOAL_QUEUE_JOINABLE };
	for (int i = 0; i < 2; i++) {
		struct world w = world_make(2 * GROUP, 0, flags[i]);
		put_numbers(w.queue, 0, 2 * GROUP);
		get_number(w.queue, 0);
		get_numbers(w.queue, 1, GROUP);
		let_die(die_in_get_many, stage_make(w, sizeof(uint64_t)));
		REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
		world_end(w);
	}
}

/* Of long items too: the call tells what it put, and the next wait is the one that ends. */
Test(queue_pack, an_interrupt_that_cuts_long_items_short_is_kept)
{
	enum { CAPACITY = 16, LONG = 600 };
	struct world w = world_make(CAPACITY, 8, 0);
	char *items = calloc(CAPACITY + 1, LONG);
	shoal_thread_interrupt(shoal_thread_self());
	REQUIRE_EQ(shoal_queue_put_many(w.queue, items, LONG, CAPACITY + 1, SOON), CAPACITY);
	REQUIRE_EQ(shoal_queue_put(w.queue, items, LONG, SOON), -ECANCELED);
	REQUIRE_EQ(shoal_queue_put(w.queue, items, LONG, SHOAL_MS(5)), -ETIMEDOUT);
	free(items);
	world_end(w);
}

/* Also before one that is as long as the items. */
Test(queue_pack, a_batch_stops_before_a_value)
{
	struct world w = world_make(8, 0, 0);
	char items[4][48] = { 0 };
	for (size_t bytes = 1; bytes <= sizeof *items; bytes++) {
		shoal_any value = { 0 };
		REQUIRE_EQ(shoal_queue_put_many(w.queue, items, bytes, 3, 0), 3);
		REQUIRE_EQ(shoal_queue_put_any(w.queue, SHOAL_ANY("a value"), 0), 0);
		REQUIRE_EQ(shoal_queue_get_many(w.queue, items, bytes, 4, 0), 3);
		REQUIRE_EQ(shoal_queue_get_many(w.queue, items, bytes, 4, 0), -EPROTO);
		REQUIRE_EQ(shoal_queue_get_any(w.queue, &value, 0), 0);
		REQUIRE_STR_EQ(value.as.string, "a value");
		shoal_any_clear(&value);
	}
	world_end(w);
}
