/* Processes and threads that use one dict at once. */
#include "data/dict.h"
#include "dict_common.h"
#include "steps.h"
#include <pthread.h>

enum {
	KEYS = 2000,
	WRITERS = 2,
	READERS = 2
};

struct crowd {
	struct dict_world w;
	volatile int stop;
	volatile uint64_t reads;
};

/* Both halves of a value are the same: one that is torn is seen. */
static int
writes(void *arg)
{
	struct crowd *c = arg;
	uint64_t n = 0, x = (uint64_t)now_ns();
	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		uint64_t value[12];
		x = x * UINT64_C(6364136223846793005) + 1;
		uint32_t key = (uint32_t)(x >> 33) % KEYS;
		for (int i = 0; i < 12; i++)
			value[i] = (uint64_t)key << 32 | (n & 0xffffffff);
		size_t bytes = (1 + (x >> 20) % 12) * 8;
		if ((x >> 50) % 4)
			REQUIRE_EQ(shoal_dict_set_bytes(c->w.dict, &key, sizeof key, value, bytes), 0);
		else
			(void)shoal_dict_pop_bytes(c->w.dict, &key, sizeof key);
		n++;
	}
	return 0;
}

static int
reads(void *arg)
{
	struct crowd *c = arg;
	uint64_t x = (uint64_t)now_ns(), n = 0;
	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		uint64_t value[12];
		x = x * UINT64_C(6364136223846793005) + 1;
		uint32_t key = (uint32_t)(x >> 33) % KEYS;
		ssize_t got = shoal_dict_get_bytes(c->w.dict, &key, sizeof key, value, sizeof value);
		REQUIRE(got == -ENOENT || (got > 0 && got % 8 == 0));
		for (ssize_t i = 0; i < got / 8; i++)
			REQUIRE(value[i] == value[0] && value[i] >> 32 == key);
		n++;
	}
	__atomic_fetch_add(&c->reads, n, __ATOMIC_RELAXED);
	return 0;
}

Test(dict, readers_never_see_a_torn_value)
{
	struct crowd *c = shared(sizeof *c);
	pid_t pid[WRITERS + READERS];
	c->w = dict_world(0);
	for (int i = 0; i < WRITERS + READERS; i++)
		pid[i] = child(i < WRITERS ? writes : reads, c);
	sleep_ms(1500);
	c->stop = 1;
	for (int i = 0; i < WRITERS + READERS; i++)
		expect_child(pid[i], 0, 5000);
	REQUIRE(c->reads > 1000);
	dict_world_end(&c->w);
}

static void *
writes_as_thread(void *arg)
{
	return (void *)(intptr_t)writes(arg);
}

static void *
reads_as_thread(void *arg)
{
	return (void *)(intptr_t)reads(arg);
}

static void
look_at_all(shoal_dict *d)
{
	shoal_any map;
	REQUIRE_EQ(shoal_dict_snapshot(d, &map), 0);
	for (size_t i = 0; i < map.count; i++) {
		const shoal_any *v = &map.as.items[2 * i + 1];
		for (size_t at = 8; at < v->count; at += 8)
			REQUIRE(memcmp(v->as.bytes, (const char *)v->as.bytes + at, 8) == 0);
	}
	shoal_any_clear(&map);
}

/* The same by threads of one process, for ThreadSanitizer to see. */
Test(dict, threads_read_beside_writers)
{
	static struct crowd c;
	pthread_t thread[WRITERS + READERS];
	c.w = dict_world(0);
	for (int i = 0; i < WRITERS + READERS; i++) {
		void *(*run)(void *) = i < WRITERS ? writes_as_thread : reads_as_thread;
		REQUIRE_EQ(pthread_create(&thread[i], NULL, run, &c), 0);
	}
	for (int64_t end = now_ns() + 500000000; now_ns() < end;)
		look_at_all(c.w.dict);
	__atomic_store_n(&c.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < WRITERS + READERS; i++)
		REQUIRE_EQ(pthread_join(thread[i], NULL), 0);
	dict_world_end(&c.w);
}

/* Each one adds; nothing is lost. */
static int
adds(void *arg)
{
	struct crowd *c = arg;
	for (int i = 0; i < 20000; i++)
		REQUIRE_EQ(shoal_dict_add_int(c->w.dict, SHOAL_ANY(i % 7), 1, NULL), 0);
	return 0;
}

Test(dict, additions_of_several_processes_add_up)
{
	struct crowd *c = shared(sizeof *c);
	pid_t pid[4];
	int64_t sum = 0;
	c->w = dict_world(0);
	for (int i = 0; i < 4; i++)
		pid[i] = child(adds, c);
	for (int i = 0; i < 4; i++)
		expect_child(pid[i], 0, 15000);
	for (int i = 0; i < 7; i++)
		sum += int_of(c->w.dict, SHOAL_ANY(i));
	REQUIRE_EQ(sum, 4 * 20000);
	dict_world_end(&c->w);
}

/* Two keys always change together, by update's one write each; a snapshot is of one moment. */
static int
moves(void *arg)
{
	struct crowd *c = arg;
	for (int64_t i = 0; !c->stop; i++) {
		REQUIRE_EQ(shoal_dict_set(c->w.dict, SHOAL_ANY("first"), SHOAL_ANY(i)), 0);
		REQUIRE_EQ(shoal_dict_set(c->w.dict, SHOAL_ANY("second"), SHOAL_ANY(i)), 0);
	}
	return 0;
}

Test(dict, a_snapshot_is_of_one_moment)
{
	struct crowd *c = shared(sizeof *c);
	c->w = dict_world(0);
	REQUIRE_EQ(shoal_dict_update(c->w.dict, SHOAL_MAP("first", 0, "second", 0)), 0);
	for (int i = 0; i < 500; i++)
		REQUIRE_EQ(shoal_dict_set(c->w.dict, SHOAL_ANY(i), SHOAL_ANY(i)), 0);
	pid_t pid = child(moves, c);
	for (int i = 0; i < 500; i++) {
		shoal_any map;
		REQUIRE_EQ(shoal_dict_snapshot(c->w.dict, &map), 0);
		REQUIRE_EQ(map.count, 502);
		int64_t first = shoal_any_int(shoal_any_find(&map, "first"), -1);
		int64_t second = shoal_any_int(shoal_any_find(&map, "second"), -1);
		REQUIRE(first == second || first == second + 1);
		shoal_any_clear(&map);
	}
	c->stop = 1;
	expect_child(pid, 0, 5000);
	dict_world_end(&c->w);
}

/* ---- one that another one destroys ---- */

#if HAS_STEPS

static shoal_arena *arena;
static int made;

static void *
destroy(void *unused)
{
	shoal_dict *d;
	REQUIRE_EQ(shoal_dict_open(arena, "shared", 0, &d), 0);
	REQUIRE_EQ(shoal_dict_destroy(arena, d), 0);
	return unused;
}

static void
let_it_be_destroyed(void)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, destroy, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

static void
create_op(void *dict)
{
	shoal_container_options o = { .flags = SHOAL_OR_OPEN, .reserve = 1000 };
	made = shoal_dict_create(arena, "shared", &o, dict);
}

/* As an open would: the handle is of one that is gone by now. */
Test(dict, one_that_was_made_may_be_gone_before_it_has_room)
{
	shoal_dict *d = NULL;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE(steps_into_call(create_op, &d, (void (*)(void))dict_enter_found,
	                        let_it_be_destroyed));
	REQUIRE_EQ(made, 0);
	REQUIRE(d);
	REQUIRE_EQ(shoal_dict_open(arena, "shared", 0, &d), -ENOENT);
	shoal_arena_close(arena);
}

#endif
