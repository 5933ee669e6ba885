/* A queue that was overwritten gives errors; those who know where its places lie go on. */
#include "queue_common.h"
#include "ring/group.h"
#include <time.h>

#define GROUP_BYTES 8

/* Some word of what the queue says of itself. */
struct word {
	const char *name;
	size_t at, bytes;
};

#define WORD(field) { #field, offsetof(struct shoal_queue, field), sizeof((shoal_queue *)0)->field }

static const struct word description[] = {
	WORD(mask), WORD(slots_at), WORD(rows_at),    WORD(shift),
	WORD(rows), WORD(stride),   WORD(slot_bytes), WORD(object),
};
#define WORDS (sizeof description / sizeof *description)

static void
flip(shoal_queue *q, const struct word *w)
{
	unsigned char *p = (unsigned char *)q + w->at;
	for (size_t i = 0; i < w->bytes; i++)
		p[i] ^= 0x81;
}

Test(queue_damage, who_comes_to_a_damaged_description_is_told)
{
	struct world w = world_make(16, 0, 0);
	shoal_queue_info info;
	char c;
	for (size_t i = 0; i < WORDS; i++) {
		flip(w.queue, &description[i]);
		REQUIRE_EQ(shoal_queue_put(w.queue, "a", 1, 0), -EPROTO);
		REQUIRE_EQ(shoal_queue_get(w.queue, &c, 1, 0), -EPROTO);
		REQUIRE_EQ(shoal_queue_put_many(w.queue, "ab", 1, 2, 0), -EPROTO);
		REQUIRE_EQ(shoal_queue_stat(w.queue, &info), -EPROTO);
		REQUIRE_EQ(shoal_queue_fd(w.queue), -EPROTO);
		REQUIRE_EQ(shoal_queue_size(w.queue), 0);
		REQUIRE(shoal_arena_check(w.arena, NULL) != 0);
		flip(w.queue, &description[i]);
	}
	put_text(w.queue, "b");
	get_text(w.queue, "b");
	world_end(w);
}

Test(queue_damage, who_knows_the_queue_goes_on)
{
	struct world w = world_make(16, 0, 0);
	char c[2 * 20] = "";
	put_text(w.queue, "a");
	for (size_t i = 0; i < WORDS; i++) {
		flip(w.queue, &description[i]);
		put_text(w.queue, "b");
		get_text(w.queue, i ? "b" : "a");
		/* The slow ways too: full, and until nothing is left. */
		REQUIRE_EQ(shoal_queue_size(w.queue), 1);
		REQUIRE_EQ(shoal_queue_put_many(w.queue, c, 2, 20, 0), 15);
		REQUIRE(shoal_queue_full(w.queue));
		REQUIRE_EQ(shoal_queue_get_many(w.queue, c, 2, 20, 0), 16);
		REQUIRE_EQ(shoal_queue_get(w.queue, c, 2, 0), -EAGAIN);
		put_text(w.queue, "b");
		flip(w.queue, &description[i]);
	}
	get_text(w.queue, "b");
	world_end(w);
}

static void
put_group(shoal_queue *q)
{
	static const char items[GROUP_PLACES * GROUP_BYTES];
	REQUIRE_EQ(shoal_queue_put_many(q, items, GROUP_BYTES, GROUP_PLACES, 0), GROUP_PLACES);
}

/* The length of a group's items is one that no group has. */
Test(queue_damage, a_group_of_no_length_is_given_back)
{
	struct world w = world_make(64, 0, 0);
	struct ring ring;
	static char big[GROUP_PLACES * 4096];
	REQUIRE_EQ(ring_find(w.arena, w.queue, &ring), 0);
	for (uint64_t place = 0; place < 2 * GROUP_PLACES; place += GROUP_PLACES) {
		put_group(w.queue);
		store_relaxed(&ring_slot(&ring, place)->bytes, 4096);
		/* One by one, and all together. */
		if (!place)
			REQUIRE_EQ(shoal_queue_get(w.queue, big, sizeof big, 0), -EPROTO);
		else
			REQUIRE_EQ(shoal_queue_get_many(w.queue, big, 4096, GROUP_PLACES, 0), -EPROTO);
		REQUIRE(shoal_queue_empty(w.queue));
	}
	for (int laps = 0; laps < 20; laps++) {
		put_group(w.queue);
		REQUIRE_EQ(shoal_queue_get(w.queue, big, sizeof big, 0), GROUP_BYTES);
		REQUIRE_EQ(shoal_queue_get_many(w.queue, big, GROUP_BYTES, GROUP_PLACES, 0),
		           GROUP_PLACES - 1);
	}
	world_end(w);
}

/* No such state, an owner where none can be, and a leader that is none. */
Test(queue_damage, a_place_in_no_state_is_told)
{
	static const uint64_t damage[] = { 7, UINT64_C(3) << 40 | FULL, UINT64_C(3) << 40 | EMPTY,
		                           WRITING, GROUP | 9 << 3 };
	struct world w = world_make(4, 0, 0);
	struct ring ring;
	char c;
	REQUIRE_EQ(ring_find(w.arena, w.queue, &ring), 0);
	put_text(w.queue, "a");
	for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
		uint64_t before = exchange_seq_cst(&ring_slot(&ring, 0)->turn, damage[i]);
		REQUIRE_EQ(shoal_queue_get(w.queue, &c, 1, SHOAL_SEC(1)), -EPROTO);
		store_relaxed(&ring_slot(&ring, 0)->turn, before);
	}
	get_text(w.queue, "a");
	world_end(w);
}

/* Each object of the arena, and how much it holds. */
static void
list(shoal_arena *a)
{
	shoal_object_info info;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &info) == 1;)
		REQUIRE(info.size <= 4);
}

/*
 * Where words lead in a circle patience ends: soon for those who only want to know how much there
 * is. Nothing moves, so what a put or a get walks is the measure.
 */
Test(queue_damage, the_size_of_an_endless_queue_is_soon_told, .timeout = 60 * HARNESS_SLOW)
{
	struct world w = world_make(4, 0, 0);
	struct ring ring;
	shoal_queue_info info;
	REQUIRE_EQ(ring_find(w.arena, w.queue, &ring), 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	/* A follower that says it leads. */
	uint64_t before = exchange_seq_cst(&ring_slot(&ring, 2)->turn, GROUP);
	int64_t began = thread_cpu_ns();
	REQUIRE(!shoal_queue_full(w.queue));
	int64_t once = thread_cpu_ns() - began;
	REQUIRE(once > SHOAL_MS(20));
	began = thread_cpu_ns();
	REQUIRE(shoal_queue_size(w.queue) <= 4);
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	list(w.arena);
	REQUIRE(thread_cpu_ns() - began < once / 20);
	store_relaxed(&ring_slot(&ring, 2)->turn, before);
	REQUIRE_EQ(shoal_queue_size(w.queue), 2);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	world_end(w);
}

static struct slot *
first_slot(shoal_queue *q)
{
	return (struct slot *)(void *)((char *)q + q->slots_at);
}

/* The length is believed only as far as the arena's memory goes. */
Test(queue_damage, nobody_makes_room_for_a_message_longer_than_the_arena)
{
	struct world w = world_make(16, 0, 0);
	char message[3000] = "long";
	void *got = NULL;
	shoal_any value;
	REQUIRE_EQ(shoal_queue_put(w.queue, message, sizeof message, 0), 0);
	uint32_t bytes = load_relaxed(&first_slot(w.queue)->bytes);
	store_relaxed(&first_slot(w.queue)->bytes, UINT32_MAX - 100);
	REQUIRE_EQ(shoal_queue_get_new(w.queue, &got, 0), -EPROTO);
	REQUIRE(strstr(shoal_error(), "by its place"));
	REQUIRE_EQ(shoal_queue_get_any(w.queue, &value, 0), -EPROTO);
	REQUIRE(strstr(shoal_error(), "by its place"));
	store_relaxed(&first_slot(w.queue)->bytes, bytes);
	/* Nor is that believed beyond the arena's limit: as bytes it would be none. */
	word64 *pages = &w.arena->header->pages_high;
	uint64_t high = load_relaxed(pages);
	store_relaxed(pages, UINT64_C(1) << 48);
	REQUIRE_EQ(shoal_queue_get_new(w.queue, &got, 0), sizeof message);
	store_relaxed(pages, high);
	free(got);
	world_end(w);
}
