#include "arena/object.h"
#include "common.h"
#include <pthread.h>
#include <shoal/queue.h>
#include <signal.h>

static void
sound(shoal_arena *a, uint64_t objects)
{
	shoal_arena_info info;
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.objects, objects);
	REQUIRE_EQ(info.blocks, objects);
	shoal_arena_close(a);
}

static void *
make(shoal_arena *a, const char *name, size_t bytes)
{
	void *p;
	REQUIRE_EQ(shoal_memory_create(a, name, bytes, NULL, NULL, &p), 0);
	return p;
}

static void *
find(shoal_arena *a, const char *name, shoal_time timeout)
{
	void *p;
	return shoal_memory_open(a, name, timeout, &p, NULL) ? NULL : p;
}

Test(object, names_are_checked)
{
	shoal_arena *a = create(NULL, NULL);
	char long_name[65];
	void *p = a;
	memset(long_name, 'n', sizeof long_name);
	long_name[64] = '\0';
	static const char *const bad[] = { "", "a/b", "a b", "\xc3\xa4", "a\n" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		REQUIRE_FAILS(shoal_memory_create(a, bad[i], 8, NULL, NULL, &p), -EINVAL, "name");
	REQUIRE_EQ(shoal_memory_create(a, long_name, 8, NULL, NULL, &p), -EINVAL);
	REQUIRE(!p);
	long_name[63] = '\0';
	p = make(a, long_name, 8);
	REQUIRE(find(a, long_name, 0) == p);
	long_name[62] = '\0';
	REQUIRE(!find(a, long_name, 0));
	REQUIRE_EQ(shoal_memory_open(a, NULL, 0, &p, NULL), -EINVAL);
	sound(a, 1);
}

Test(object, memory_has_the_size_that_was_asked_for)
{
	static const size_t sizes[] = { 0, 1, 64, 1000, 100000 };
	shoal_arena *a = create(NULL, NULL);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t bytes = 77;
		void *p = make(a, "m", sizes[i]), *q;
		for (size_t k = 0; k < sizes[i]; k++)
			REQUIRE(((char *)p)[k] == 0);
		memset(p, 1, sizes[i]);
		REQUIRE_EQ((uintptr_t)p % 64, 0);
		REQUIRE_EQ(shoal_memory_open(a, "m", 0, &q, &bytes), 0);
		REQUIRE(p == q);
		REQUIRE_EQ(bytes, sizes[i]);
		REQUIRE_EQ(shoal_memory_create(a, "m", 1, NULL, NULL, &q), -EEXIST);
		REQUIRE(!q);
		REQUIRE_EQ(shoal_memory_destroy(a, p), 0);
		REQUIRE(!find(a, "m", 0));
	}
	REQUIRE_EQ(shoal_memory_destroy(a, NULL), 0);
	sound(a, 0);
}

Test(object, one_without_a_name_is_found_by_its_reference)
{
	shoal_arena *a = create(NULL, NULL);
	void *p = make(a, NULL, 10), *q = make(a, NULL, 10);
	shoal_ref ref = shoal_ref_of(a, p);
	REQUIRE(p != q);
	REQUIRE(shoal_deref(a, ref) == p);
	REQUIRE_EQ(shoal_memory_destroy(a, p), 0);
	REQUIRE(!shoal_deref(a, ref));
	/* The same block again, another object. */
	p = make(a, NULL, 10);
	REQUIRE(!shoal_deref(a, ref));
	sound(a, 2);
}

Test(object, another_kind_is_refused)
{
	shoal_arena *a = create(NULL, NULL);
	shoal_queue_options o = { .capacity = 4, .flags = SHOAL_OR_OPEN };
	shoal_queue *q;
	make(a, "m", 10);
	REQUIRE_EQ(shoal_queue_open(a, "m", 0, &q), -EPROTO);
	REQUIRE_EQ(shoal_queue_create(a, "m", &o, &q), -EPROTO);
	REQUIRE_EQ(shoal_queue_create(a, "q", &o, &q), 0);
	void *p;
	REQUIRE_EQ(shoal_memory_open(a, "q", 0, &p, NULL), -EPROTO);
	sound(a, 2);
}

static int
destroy_wrong_kind(void *arg)
{
	return shoal_queue_destroy(arg, find(arg, "m", 0));
}

static int
destroy_twice(void *arg)
{
	void *p = make(arg, "n", 10);
	REQUIRE_EQ(shoal_memory_destroy(arg, p), 0);
	return shoal_memory_destroy(arg, p);
}

Test(object, a_wrong_pointer_stops_the_process)
{
	shoal_arena *a = create(NULL, NULL);
	make(a, "m", 10);
	expect_killed(child(destroy_wrong_kind, a), SIGABRT, 5000);
	expect_killed(child(destroy_twice, a), SIGABRT, 5000);
	sound(a, 1);
}

/* ---- init ---- */

static int
refuse(void *memory, void *arg)
{
	(void)memory;
	return *(int *)arg;
}

Test(object, init_may_refuse)
{
	shoal_arena *a = create(NULL, NULL);
	void *p = a;
	int rc = -EIO;
	REQUIRE_EQ(shoal_memory_create(a, "m", 10, refuse, &rc, &p), -EIO);
	REQUIRE(!p && !find(a, "m", 0));
	rc = 5;
	REQUIRE(shoal_memory_create(a, "m", 10, refuse, &rc, &p) < 0);
	REQUIRE(!p && !find(a, "m", 0));
	rc = 0;
	REQUIRE_EQ(shoal_memory_create(a, "m", 10, refuse, &rc, &p), 0);
	sound(a, 1);
}

struct making {
	shoal_arena *arena;
	volatile int inside, go;
	volatile int result;
	volatile int64_t at;
};

static int
die_in_init(void *memory, void *arg)
{
	struct making *m = arg;
	void *p;
	/* One inside the other. */
	REQUIRE_EQ(shoal_memory_create(m->arena, "inner", 10, NULL, NULL, &p), 0);
	memset(memory, 1, 10);
	raise(SIGKILL);
	return 0;
}

static int
wait_in_init(void *memory, void *arg)
{
	struct making *m = arg;
	m->inside = 1;
	while (!m->go)
		sleep_ms(1);
	strcpy(memory, "made");
	return 0;
}

static int
make_and_die(void *arg)
{
	struct making *m = arg;
	void *p;
	return shoal_memory_create(m->arena, "m", 10, die_in_init, m, &p);
}

static int
make_slowly(void *arg)
{
	struct making *m = arg;
	void *p;
	int rc = shoal_memory_create(m->arena, "m", 10, wait_in_init, m, &p);
	shoal_arena_close(m->arena);
	return rc;
}

static struct making *
making_in(shoal_arena *a)
{
	struct making *m = shared(sizeof *m);
	m->arena = a;
	return m;
}

static void
wait_until_inside(struct making *m)
{
	for (int i = 0; i < 5000 && !m->inside; i++)
		sleep_ms(1);
	REQUIRE(m->inside);
}

Test(object, what_a_dead_creator_left_is_absent)
{
	shoal_arena *a = create(NULL, NULL);
	struct making *m = making_in(a);
	make(a, "other", 10);
	expect_killed(child(make_and_die, m), SIGKILL, 5000);
	REQUIRE(!find(a, "m", 0));
	REQUIRE(find(a, "inner", 0));
	char *p = make(a, "m", 10);
	REQUIRE_EQ(p[0], 0);
	sound(a, 3);
}

Test(object, nobody_sees_one_half_made)
{
	shoal_arena *a = create(NULL, NULL);
	struct making *m = making_in(a);
	void *p;
	pid_t pid = child(make_slowly, m);
	wait_until_inside(m);
	REQUIRE(!find(a, "m", SHOAL_MS(20)));
	REQUIRE_EQ(shoal_memory_create(a, "m", 10, NULL, NULL, &p), -EEXIST);
	m->go = 1;
	p = find(a, "m", SHOAL_SEC(5));
	REQUIRE_STR_EQ(p, "made");
	expect_child(pid, 0, 5000);
	sound(a, 1);
}

/* ---- OR_OPEN ---- */

static const shoal_queue_options or_open = { .capacity = 4, .flags = SHOAL_OR_OPEN };

static int
open_or_make(void *arg)
{
	struct making *m = arg;
	shoal_queue *q;
	while (!m->go)
		;
	m->result = shoal_queue_create(m->arena, "q", &or_open, &q);
	if (m->result == 0)
		REQUIRE_EQ(shoal_queue_put(q, "x", 2, 0), 0);
	m->at = fair_ns();
	shoal_arena_close(m->arena);
	return m->result != 0;
}

Test(object, two_creators_of_one_name_meet)
{
	shoal_arena *a = create(NULL, NULL);
	shoal_queue *q;
	shoal_free(a, shoal_new(a, 1));
	for (int round = 0; round < 20; round++) {
		struct making *m = making_in(a);
		pid_t pid[3];
		for (int i = 0; i < 3; i++)
			pid[i] = child(open_or_make, m);
		m->go = 1;
		for (int i = 0; i < 3; i++)
			expect_child(pid[i], 0, 5000);
		REQUIRE_EQ(shoal_queue_open(a, "q", 0, &q), 0);
		REQUIRE_EQ(shoal_queue_size(q), 3);
		REQUIRE_EQ(shoal_queue_destroy(a, q), 0);
	}
	sound(a, 0);
}

static int
stay_making_a_queue(void *arg)
{
	struct making *m = arg;
	struct shoal_thread *t;
	struct member *me;
	struct object_made made;
	REQUIRE_EQ(member_here(m->arena, &t, &me), 0);
	REQUIRE_EQ(object_make(m->arena, t, me, "q", SHOAL_KIND_QUEUE, 0, 0, &made), 0);
	REQUIRE_EQ(object_body(m->arena, t, me, made.index, 1000), 0);
	m->inside = 1;
	for (;;)
		pause();
	return 0;
}

/* The one that it waits for is killed: then it makes the queue itself. */
Test(object, a_creator_does_not_wait_for_a_dead_one)
{
	shoal_arena *a = create(NULL, NULL);
	struct making *first = making_in(a), *second = making_in(a);
	shoal_free(a, shoal_new(a, 1));
	pid_t maker = child(stay_making_a_queue, first);
	wait_until_inside(first);
	second->go = 1;
	pid_t pid = child(open_or_make, second);
	sleep_ms(60);
	REQUIRE_EQ(second->at, 0);
	int64_t killed = fair_ns();
	kill(maker, SIGKILL);
	expect_child(pid, 0, 5000);
	REQUIRE(second->at - killed < SHOAL_SEC(1));
	expect_killed(maker, SIGKILL, 1000);
	sound(a, 1);
}

/* ---- destruction ---- */

static int
make_owned(void *arg)
{
	struct making *m = arg;
	shoal_queue_options o = { .capacity = 4, .flags = SHOAL_WITH_OWNER };
	shoal_queue *q;
	char text[5000] = "";
	REQUIRE_EQ(shoal_queue_create(m->arena, "owned", &o, &q), 0);
	REQUIRE_EQ(shoal_queue_put(q, text, sizeof text, 0), 0);
	m->inside = 1;
	for (;;)
		pause();
	return 0;
}

Test(object, with_owner_goes_with_its_process)
{
	shoal_arena *a = create(NULL, NULL);
	struct making *m = making_in(a);
	shoal_queue *q;
	pid_t pid = child(make_owned, m);
	wait_until_inside(m);
	REQUIRE_EQ(shoal_arena_recover(a), 0);
	REQUIRE_EQ(shoal_queue_open(a, "owned", 0, &q), 0);
	kill(pid, SIGSTOP);
	shoal_arena_recover(a);
	REQUIRE_EQ(shoal_queue_open(a, "owned", 0, &q), 0);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(shoal_queue_open(a, "owned", 0, &q), -ENOENT);
	sound(a, 0);
}

struct waiting {
	shoal_arena *arena;
	shoal_queue *queue;
	volatile int result;
	volatile int64_t at;
};

static int
wait_in_get(void *arg)
{
	struct waiting *w = arg;
	char got[64];
	w->result = (int)shoal_queue_get(w->queue, got, sizeof got, SHOAL_SEC(10));
	w->at = fair_ns();
	shoal_arena_close(w->arena);
	return 0;
}

static struct waiting *
waiting_in(shoal_arena *a)
{
	struct waiting *w = shared(sizeof *w);
	w->arena = a;
	REQUIRE_EQ(shoal_queue_create(a, "q", &or_open, &w->queue), 0);
	return w;
}

static void
wait_until_asleep(const struct waiting *w)
{
	shoal_queue_info info = { .size = 0 };
	for (int i = 0; i < 5000 && !info.getters_waiting; i++) {
		sleep_ms(1);
		REQUIRE_EQ(shoal_queue_stat(w->queue, &info), 0);
	}
	REQUIRE_EQ(info.getters_waiting, 1);
}

/* Its memory is not another's while a stopped one is inside. */
Test(object, memory_waits_for_those_inside)
{
	shoal_arena *a = create(NULL, NULL);
	struct waiting *w = waiting_in(a);
	pid_t pid = child(wait_in_get, w);
	wait_until_asleep(w);
	kill(pid, SIGSTOP);
	sleep_ms(5);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_queue_destroy(a, w->queue), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.blocks, 1);
	REQUIRE_EQ(shoal_queue_open(a, "q", 0, &w->queue), -ENOENT);
	shoal_queue *again;
	REQUIRE_EQ(shoal_queue_create(a, "q", &or_open, &again), 0);
	REQUIRE(again != w->queue);
	kill(pid, SIGCONT);
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(w->result, -EPIPE);
	sound(a, 1);
}

/* A destroyer that dies before it told those who wait. */
static int
die_destroying(void *arg)
{
	struct waiting *w = arg;
	struct shoal_thread *t;
	struct member *me;
	REQUIRE_EQ(member_here(w->arena, &t, &me), 0);
	uint32_t index = object_of_body(w->arena, w->queue, SHOAL_KIND_QUEUE);
	struct object *o = arena_object(w->arena, index);
	uint64_t word = load_acquire(&o->word);
	word = (word & ~UINT64_C(0xffffffff)) | (uint64_t)OBJECT_DYING << 28 | member_tag(w->arena, me);
	store_release(&o->word, word);
	raise(SIGKILL);
	return 0;
}

Test(object, a_dead_destroyer_leaves_nobody_waiting)
{
	shoal_arena *a = create(NULL, NULL);
	struct waiting *w = waiting_in(a);
	pid_t pid = child(wait_in_get, w);
	wait_until_asleep(w);
	expect_killed(child(die_destroying, w), SIGKILL, 5000);
	int64_t dead = fair_ns();
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(w->result, -EPIPE);
	REQUIRE(w->at - dead < SHOAL_SEC(1));
	sound(a, 0);
}

/* ---- many ---- */

Test(object, entries_are_used_again)
{
	shoal_arena *a = create(NULL, NULL);
	for (int i = 0; i < 3000; i++)
		REQUIRE_EQ(shoal_memory_destroy(a, make(a, "m", 10)), 0);
	REQUIRE_EQ(objects_high(a), 512);
	for (int i = 0; i < 1000; i++)
		make(a, NULL, 10);
	REQUIRE(objects_high(a) > 1000);
	sound(a, 1000);
}

/* ---- makers that die when the entry is there and nobody was told ---- */

struct late {
	shoal_arena *a;
	word32 made, asleep, ready;
	volatile int64_t died, found[2];
};

/* As object_publish has it before its wake. */
static int
publish_and_die(void *arg)
{
	struct late *l = arg;
	struct shoal_thread *t;
	struct member *me;
	struct object_made made;
	REQUIRE_EQ(member_here(l->a, &t, &me), 0);
	REQUIRE_EQ(object_make(l->a, t, me, "late", SHOAL_KIND_QUEUE, 0, INT64_MAX, &made), 0);
	store_release(&l->made, 1);
	while (!load_acquire(&l->ready))
		sleep_ms(1);
	struct object *o = arena_object(l->a, made.index);
	uint64_t word = load_relaxed(&o->word) & ~UINT64_C(0xffffffff);
	l->died = now_ns();
	store_release(&o->word, word | (uint64_t)OBJECT_READY << 28);
	return raise(SIGKILL);
}

static int
open_late(void *arg)
{
	struct late *l = arg;
	shoal_queue *q;
	fetch_add_seq_cst(&l->asleep, 1);
	REQUIRE_EQ(shoal_queue_open(l->a, "late", SHOAL_SEC(5), &q), -EPROTO);
	l->found[0] = now_ns();
	return 0;
}

static int
create_late(void *arg)
{
	struct late *l = arg;
	shoal_queue *q;
	shoal_queue_options o = { .flags = SHOAL_OR_OPEN };
	uint32_t i = fetch_add_seq_cst(&l->asleep, 1);
	REQUIRE_EQ(shoal_queue_create(l->a, "late", &o, &q), -EPROTO);
	l->found[i & 1] = now_ns();
	return 0;
}

/* One quick round is enough: a busy machine may keep one that was woken from running. */
static void
expect_found_soon(int (*waits)(void *), uint32_t count)
{
	int64_t best = INT64_MAX;
	for (int round = 0; round < 40 && best >= SHOAL_MS(20); round++) {
		struct late *l = shared(sizeof *l);
		pid_t maker, pid[2];
		l->a = create(NULL, NULL);
		maker = child(publish_and_die, l);
		while (!load_acquire(&l->made))
			sleep_ms(1);
		for (uint32_t i = 0; i < count; i++)
			pid[i] = child(waits, l);
		while (load_acquire(&l->asleep) < count)
			sleep_ms(1);
		sleep_ms(5);
		store_release(&l->ready, 1);
		expect_killed(maker, SIGKILL, 5000);
		int64_t last = 0;
		for (uint32_t i = 0; i < count; i++) {
			expect_child(pid[i], 0, 8000);
			last = l->found[i] > last ? l->found[i] : last;
		}
		best = last - l->died < best ? last - l->died : best;
		REQUIRE(shoal_arena_recover(l->a) >= 0);
		shoal_arena_close(l->a);
	}
	REQUIRE(best < SHOAL_MS(20));
}

Test(object, a_maker_that_dies_untold_is_found_by_one_who_opens)
{
	expect_found_soon(open_late, 1);
}

Test(object, a_maker_that_dies_untold_is_found_by_all_who_create)
{
	expect_found_soon(create_late, 2);
}
