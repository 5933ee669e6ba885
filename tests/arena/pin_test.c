/* What a call gave stays while its user has it. */
#include "referred.h"
#include <pthread.h>

static struct pin
pin(shoal_arena *a, uint32_t object)
{
	struct pin p;
	REQUIRE_EQ(pin_take(a, here(a).me, object, &p), 0);
	return p;
}

static struct pin
pinned_value(shoal_arena *a, shoal_value **v)
{
	*v = new_value(a, NULL, 7);
	uint32_t i = index_of(a, *v, SHOAL_KIND_VALUE);
	store_relaxed(&arena_object(a, i)->referred, 1);
	return pin(a, i);
}

static void
drop(shoal_arena *a, struct pin p)
{
	struct here h = here(a);
	pin_drop(a, h.t, h.me, &p);
}

Test(pin, what_is_pinned_stays)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v;
	struct pin first = pinned_value(a, &v), second = pin(a, first.object);
	uint32_t i = first.object;
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_EQ(state_of(a, i), OBJECT_KEPT);
	drop(a, first);
	drop(a, first);
	REQUIRE_EQ(state_of(a, i), OBJECT_KEPT);
	REQUIRE_EQ(shoal_value_get_int(v), 7);
	drop(a, second);
	REQUIRE_EQ(state_of(a, i), OBJECT_NONE);
	drop(a, second);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* The last hold goes while somebody has it from the container. */
Test(pin, it_outlives_the_reference)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, NULL, 7);
	uint32_t i = index_of(a, v, SHOAL_KIND_VALUE);
	word32 *counted = new_progress(a);
	REQUIRE_EQ(hold(a, i, 1, counted, 1), 0);
	struct pin p = pin(a, i);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_EQ(hold(a, i, -1, counted, 0), 0);
	sweep(a);
	REQUIRE_EQ(state_of(a, i), OBJECT_KEPT);
	/* It may be put somewhere again. */
	REQUIRE_EQ(hold(a, i, 1, counted, 1), 0);
	drop(a, p);
	REQUIRE_EQ(state_of(a, i), OBJECT_KEPT);
	REQUIRE_EQ(hold(a, i, -1, counted, 0), 0);
	sweep(a);
	REQUIRE_EQ(state_of(a, i), OBJECT_NONE);
	shoal_arena_close(a);
}

/* ---- whose ---- */

struct scene {
	shoal_arena *a;
	struct pin pin;
	shoal_value *v;
};

static int
pin_and_die(void *arg)
{
	struct scene *s = arg;
	for (int i = 0; i < 3; i++)
		(void)pin(s->a, s->pin.object);
	raise(SIGKILL);
	return 0;
}

Test(pin, a_dead_ones_are_dropped)
{
	shoal_arena *a = create(NULL, &small);
	struct scene s = { .a = a };
	s.pin = pinned_value(a, &s.v);
	drop(a, s.pin);
	expect_killed(child(pin_and_die, &s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_value_destroy(a, s.v), 0);
	REQUIRE_EQ(state_of(a, s.pin.object), OBJECT_KEPT);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(state_of(a, s.pin.object), OBJECT_NONE);
	shoal_arena_close(a);
}

static int
drop_in_child(void *arg)
{
	struct scene *s = arg;
	drop(s->a, s->pin);
	REQUIRE_EQ(state_of(s->a, s->pin.object), OBJECT_KEPT);
	return 0;
}

Test(pin, a_forked_child_has_none_of_its_parents)
{
	shoal_arena *a = create(NULL, &small);
	struct scene s = { .a = a };
	s.pin = pinned_value(a, &s.v);
	REQUIRE_EQ(shoal_value_destroy(a, s.v), 0);
	expect_child(child(drop_in_child, &s), 0, 5000);
	REQUIRE_EQ(state_of(a, s.pin.object), OBJECT_KEPT);
	drop(a, s.pin);
	REQUIRE_EQ(state_of(a, s.pin.object), OBJECT_NONE);
	shoal_arena_close(a);
}

static void *
drop_in_thread(void *arg)
{
	struct scene *s = arg;
	drop(s->a, s->pin);
	REQUIRE_EQ(state_of(s->a, s->pin.object), OBJECT_NONE);
	s->pin = pinned_value(s->a, &s->v);
	REQUIRE_EQ(shoal_value_destroy(s->a, s->v), 0);
	REQUIRE_EQ(state_of(s->a, s->pin.object), OBJECT_KEPT);
	return NULL;
}

/* Another thread may drop it; a thread's end drops its own. */
Test(pin, threads_share_them_and_end)
{
	shoal_arena *a = create(NULL, &small);
	struct scene s = { .a = a };
	pthread_t thread;
	s.pin = pinned_value(a, &s.v);
	REQUIRE_EQ(shoal_value_destroy(a, s.v), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, drop_in_thread, &s), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(state_of(a, s.pin.object), OBJECT_NONE);
	shoal_arena_close(a);
}

/* ---- many ---- */

Test(pin, thousands_in_any_order)
{
	shoal_arena *a = create(NULL, &small);
	struct here h = here(a);
	uint32_t i = index_of(a, new_value(a, NULL, 7), SHOAL_KIND_VALUE);
	static struct pin p[PINS_MAX];
	struct pin more;
	for (uint32_t n = 0; n < PINS_MAX; n++)
		p[n] = pin(a, i + n % 7);
	REQUIRE_FAILS(pin_take(a, h.me, i, &more), -ENOMEM, "clear some");
	for (uint32_t n = 0; n < PINS_MAX; n += 2)
		pin_undo(a, h.me, &p[n]);
	for (uint32_t n = 0; n < PINS_MAX / 2; n++)
		more = pin(a, i);
	REQUIRE_EQ(pin_take(a, h.me, i, &more), -ENOMEM);
	pin_drop_all(a, h.me);
	const word32 *pins = arena_pins(a, member_index(a, h.me));
	for (uint32_t n = 0; n < PINS_MAX; n++)
		REQUIRE_EQ(load_relaxed(&pins[n]), 0);
	more = pin(a, i);
	pin_undo(a, h.me, &more);
	shoal_arena_close(a);
}

/* ---- at once ---- */

/*
 * A container of one place: a writer puts a new object there and lets the old one go; readers take
 * what is there, by the rule of arena/pin.h, and must find it alive for as long as they have it.
 */
struct place {
	shoal_arena *a;
	word64 version;
	word32 object;
	word32 stop, reads;
	word32 *counted;
};

static void *
read_place(void *arg)
{
	struct place *p = arg;
	struct here h = here(p->a);
	while (!load_acquire(&p->stop)) {
		uint64_t version = load_acquire(&p->version);
		uint32_t object = load_acquire(&p->object);
		struct pin taken = pin(p->a, object);
		if (load_acquire(&p->version) != version) {
			pin_undo(p->a, h.me, &taken);
			continue;
		}
		uint64_t word = load_acquire(&arena_object(p->a, object)->word);
		for (int i = 0; i < 50; i++) {
			uint64_t now = load_acquire(&arena_object(p->a, object)->word);
			REQUIRE_EQ(now >> 32, word >> 32);
			REQUIRE(object_state(now) == OBJECT_READY || object_state(now) == OBJECT_KEPT);
		}
		fetch_add_relaxed(&p->reads, 1);
		pin_drop(p->a, h.t, h.me, &taken);
	}
	return NULL;
}

static void
replace(struct place *p, uint32_t n)
{
	uint32_t old = load_relaxed(&p->object);
	shoal_value *v = new_value(p->a, NULL, 1);
	uint32_t i = index_of(p->a, v, SHOAL_KIND_VALUE);
	REQUIRE_EQ(hold(p->a, i, 1, &p->counted[n & 1], 1), 0);
	REQUIRE_EQ(shoal_value_destroy(p->a, v), 0);
	store_release(&p->object, i);
	store_seq_cst(&p->version, load_relaxed(&p->version) + 1);
	if (old)
		REQUIRE_EQ(hold(p->a, old, -1, &p->counted[~n & 1], 0), 0);
	sweep(p->a);
}

Test(pin, readers_find_what_they_pinned_alive, .timeout = 60)
{
	enum { READERS = 3, ROUNDS = 3000 };
	struct place p = { .a = create(NULL, &small) };
	pthread_t reader[READERS];
	p.counted = new_progress(p.a);
	replace(&p, 0);
	for (int i = 0; i < READERS; i++)
		REQUIRE_EQ(pthread_create(&reader[i], NULL, read_place, &p), 0);
	uint32_t n = 1;
	int64_t until = now_ns() + SHOAL_SEC(1);
	for (; n < ROUNDS || (load_relaxed(&p.reads) < ROUNDS && now_ns() < until); n++)
		replace(&p, n);
	store_release(&p.stop, 1);
	for (int i = 0; i < READERS; i++)
		REQUIRE_EQ(pthread_join(reader[i], NULL), 0);
	uint32_t last = load_relaxed(&p.object);
	REQUIRE_EQ(hold(p.a, last, -1, &p.counted[(n - 1) & 1], 0), 0);
	sweep(p.a);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(p.a, &info), 0);
	REQUIRE_EQ(info.objects, 0);
	REQUIRE_EQ(shoal_arena_check(p.a, stderr), 0);
	shoal_arena_close(p.a);
}
