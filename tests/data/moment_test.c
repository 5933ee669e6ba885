/*
 * All items of a container at one moment, while the one who changes it stands still in the midst of
 * that, or has died there: who only reads waits for nobody.
 */
#include "data/dict.h"
#include "data/list.h"
#include "dict_common.h"
#include "steps.h"
#include <signal.h>
#include <sys/wait.h>

/* How far the change has come. */
enum stage { BEGUN, ABOUT_TO_HAPPEN, HAPPENED, STAGES };

enum { ITEMS = 10, OLD = 3, NEW = 4 };

struct world {
	char name[40];
	shoal_arena *arena, *watched; /* the same one, through a read-only handle */
	shoal_list *list, *list_there;
	shoal_dict *dict, *dict_there;
	shoal_namespace *space, *space_there;
	enum stage stage;
	void (*read)(const struct world *, bool watches);
};

static struct world
world_make(enum stage stage)
{
	struct world w = { .stage = stage };
	snprintf(w.name, sizeof w.name, "moment-test-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(w.name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", NULL, &w.list), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &w.dict), 0);
	REQUIRE_EQ(shoal_namespace_create(w.arena, "n", NULL, &w.space), 0);
	for (int i = 0; i < ITEMS; i++) {
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_ANY(OLD)), 0);
	}
	REQUIRE_EQ(shoal_namespace_set(w.space, "a", SHOAL_ANY(OLD)), 0);
	REQUIRE_EQ(shoal_arena_attach_readonly(w.name, 0, &w.watched), 0);
	REQUIRE_EQ(shoal_arena_unlink(w.name), 0);
	REQUIRE_EQ(shoal_list_open(w.watched, "l", 0, &w.list_there), 0);
	REQUIRE_EQ(shoal_dict_open(w.watched, "d", 0, &w.dict_there), 0);
	REQUIRE_EQ(shoal_namespace_open(w.watched, "n", 0, &w.space_there), 0);
	return w;
}

static void
world_end(struct world *w)
{
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	shoal_arena_close(w->watched);
	shoal_arena_close(w->arena);
}

/* ---- who stands still ---- */

static void
stand_still(struct ledger_hold *h, enum stage stage, word64 *at, uint64_t to)
{
	struct ledger *l = h->ledger;
	if (stage >= ABOUT_TO_HAPPEN) {
		store_relaxed(&l->commit.at, arena_offset(h->arena, at));
		store_relaxed(&l->commit.to, to);
		store_release(ledger_op(l), LEDGER_COMMITTING);
	}
	if (stage == HAPPENED)
		store_release(at, to);
	raise(SIGSTOP);
}

/* In the midst of an append of 77. */
static int
appends(void *arg)
{
	struct world *w = arg;
	struct list_call call;
	REQUIRE_EQ(list_begin(&call, w->list), 0);
	struct list_top *top = arena_at(w->arena, call.shape.top);
	struct leaf *tail = arena_at(w->arena, call.shape.tail);
	store_relaxed(&tail->slot[ITEMS], UINT64_C(77) << 3 | SLOT_INT);
	stand_still(&call.hold, w->stage, &top->tail_count, ITEMS + 1);
	return 0;
}

/* The int of a key becomes NEW. */
static void
sets(struct world *w, void *body, uint32_t kind, shoal_any key)
{
	struct dict_call c;
	struct dict_key k;
	struct dict_place p;
	REQUIRE_EQ(dict_enter(body, kind, &c), 0);
	REQUIRE_EQ(dict_key_of(&c, &key, &k), 0);
	REQUIRE_EQ(dict_lock(&c, k.hash), 0);
	REQUIRE_EQ(dict_locate(&c, &k, &p), 0);
	ledger_open(&c.hold, 0);
	char *value = (char *)p.entry + entry_value_at(p.head.key_bytes);
	stand_still(&c.hold, w->stage, (word64 *)(void *)value, NEW);
}

static int
sets_in_dict(void *arg)
{
	struct world *w = arg;
	sets(w, w->dict, SHOAL_KIND_DICT, SHOAL_ANY(5));
	return 0;
}

static int
sets_in_namespace(void *arg)
{
	struct world *w = arg;
	sets(w, w->space, SHOAL_KIND_NAMESPACE, shoal_any_from_string("a"));
	return 0;
}

/* ---- who reads ---- */

static void
read_list(const struct world *w, bool watches)
{
	shoal_list *l = watches ? w->list_there : w->list;
	size_t count = ITEMS + (w->stage == HAPPENED);
	shoal_any v;
	char text[200];
	FILE *to = fmemopen(text, sizeof text, "w");
	REQUIRE_EQ(shoal_list_snapshot(l, &v), 0);
	REQUIRE_EQ(v.count, count);
	for (size_t i = 0; i < count; i++)
		REQUIRE_EQ(shoal_any_int(shoal_any_at(&v, i), -1), i < ITEMS ? (int64_t)i : 77);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_list_slice(l, -2, PTRDIFF_MAX, &v), 0);
	REQUIRE_EQ(shoal_any_int(shoal_any_at(&v, 1), -1), w->stage == HAPPENED ? 77 : ITEMS - 1);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_list_index(l, SHOAL_ANY(4)), 4);
	REQUIRE_EQ(shoal_list_count(l, SHOAL_ANY(77)), w->stage == HAPPENED);
	REQUIRE(to && shoal_list_print(l, to) == 0);
	fclose(to);
}

static void
read_dict(const struct world *w, bool watches)
{
	shoal_dict *d = watches ? w->dict_there : w->dict;
	shoal_any v;
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE_EQ(v.count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		REQUIRE_EQ(shoal_any_int(&v.as.items[2 * i + 1], -1),
		           i == 5 && w->stage == HAPPENED ? NEW : OLD);
	shoal_any_clear(&v);
}

static void
read_namespace(const struct world *w, bool watches)
{
	shoal_namespace *n = watches ? w->space_there : w->space;
	char text[200] = "";
	FILE *to = fmemopen(text, sizeof text, "w");
	REQUIRE(to && shoal_namespace_print(n, to) == 0);
	fclose(to);
	REQUIRE(strchr(text, w->stage == HAPPENED ? '0' + NEW : '0' + OLD));
}

/* ---- both ---- */

/* It has nothing but the read-only handle, so that it can mend nothing. */
static int
watches(void *arg)
{
	const struct world *w = arg;
	w->read(w, true);
	return 0;
}

static int
reads(void *arg)
{
	const struct world *w = arg;
	w->read(w, false);
	return watches(arg);
}

static void
beside(int (*changes)(void *), void (*read)(const struct world *, bool))
{
	for (enum stage stage = BEGUN; stage < STAGES; stage++) {
		struct world w = world_make(stage);
		w.read = read;
		int status;
		pid_t pid = child(changes, &w);
		REQUIRE_EQ(waitpid(pid, &status, WUNTRACED), pid);
		REQUIRE(WIFSTOPPED(status));
		expect_child(child(reads, &w), 0, 3000);
		REQUIRE_EQ(kill(pid, SIGKILL), 0);
		expect_killed(pid, SIGKILL, 3000);
		expect_child(child(watches, &w), 0, 3000);
		expect_child(child(reads, &w), 0, 3000);
		world_end(&w);
	}
}

Test(moment, of_a_list_beside_one_who_stands_still_or_is_dead)
{
	beside(appends, read_list);
}

Test(moment, of_a_dict_beside_one_who_stands_still_or_is_dead)
{
	beside(sets_in_dict, read_dict);
}

Test(moment, of_a_namespace_beside_one_who_stands_still_or_is_dead)
{
	beside(sets_in_namespace, read_namespace);
}

/* ---- the looks themselves ---- */

static void
look(struct ledger_hold *h, bool committed, struct ledger_state *out)
{
	REQUIRE(ledger_look(h->arena, h->ledger, out));
	REQUIRE_EQ(out->committed, committed);
	REQUIRE(ledger_still(h->arena, h->ledger, out));
}

/* The one between them is seen, though its maker is inside all the while. */
Test(moment, ends_where_a_change_happens)
{
	struct dict_world w = dict_world(0);
	struct ledger_state before, inside, happened, after;
	struct dict_call c;
	REQUIRE_EQ(dict_enter(w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_lock(&c, 0), 0);
	struct ledger *l = c.hold.ledger;
	word64 *at = &w.dict->order;
	uint64_t to = load_relaxed(at) + 1;
	look(&c.hold, false, &before);
	ledger_open(&c.hold, 0);
	REQUIRE(!ledger_still(w.arena, l, &before));
	look(&c.hold, false, &inside);
	store_relaxed(&l->commit.at, arena_offset(w.arena, at));
	store_relaxed(&l->commit.to, to);
	store_release(ledger_op(l), LEDGER_COMMITTING);
	look(&c.hold, false, &inside);
	store_release(at, to);
	REQUIRE(!ledger_still(w.arena, l, &inside));
	look(&c.hold, true, &happened);
	ledger_commit(&c.hold, at, to);
	REQUIRE(!ledger_still(w.arena, l, &happened));
	look(&c.hold, false, &after);
	dict_unlock(&c);
	dict_leave(&c);
	dict_world_end(&w);
}

/* ---- beside those who go on ---- */

enum { PLAYERS = 2, FILLERS = 100 };
static const char *const player_key[PLAYERS] = { "first", "second" };

struct game {
	struct dict_world w;
	volatile int player, stop;
};

static int64_t
ball(struct game *g, int player)
{
	return int_of(g->w.dict, shoal_any_from_string(player_key[player]));
}

/* One is ahead by 1 as soon as anybody has seen that the other one has come so far. */
static int
plays(void *arg)
{
	struct game *g = arg;
	int me = __atomic_fetch_add(&g->player, 1, __ATOMIC_RELAXED);
	for (int64_t i = 1; !g->stop; i++) {
		while (!g->stop && ball(g, !me) < i - !me)
			continue;
		shoal_any key = shoal_any_from_string(player_key[me]);
		REQUIRE_EQ(shoal_dict_set(g->w.dict, key, SHOAL_ANY(i)), 0);
	}
	return 0;
}

/* A change that somebody saw came before all that he did then, also while its maker is inside. */
Test(moment, of_a_dict_has_no_change_without_what_came_before_it)
{
	struct game *g = shared(sizeof *g);
	pid_t pid[PLAYERS];
	g->w = dict_world(0);
	dict_fill(g->w.dict, 0, FILLERS);
	REQUIRE_EQ(shoal_dict_update(g->w.dict, SHOAL_MAP("first", 0, "second", 0)), 0);
	for (int i = 0; i < PLAYERS; i++)
		pid[i] = child(plays, g);
	for (int64_t end = now_ns() + 400000000; now_ns() < end;) {
		shoal_any map;
		REQUIRE_EQ(shoal_dict_snapshot(g->w.dict, &map), 0);
		REQUIRE_EQ(map.count, FILLERS + PLAYERS);
		int64_t first = shoal_any_int(shoal_any_find(&map, "first"), -9);
		int64_t second = shoal_any_int(shoal_any_find(&map, "second"), -9);
		REQUIRE(first == second || first == second + 1);
		shoal_any_clear(&map);
	}
	g->stop = 1;
	for (int i = 0; i < PLAYERS; i++)
		expect_child(pid[i], 0, 5000);
	dict_world_end(&g->w);
}

/* ---- what is kept from one walk to the next ---- */

enum { WINDOW = 3000, EPOCH = 7000 };

/* Bytes, or an int, which changes in place afterwards. */
static int
slides(void *arg)
{
	static const char bytes[64];
	struct dict_world *w = &((struct game *)arg)->w;
	int64_t first = 1;
	for (int64_t last = 1; !((struct game *)arg)->stop; last++) {
		shoal_any v = last % 3 ? shoal_any_from_bytes(bytes, (size_t)(last % 50))
		                       : shoal_any_from_int(last);
		REQUIRE_EQ(shoal_dict_set(w->dict, SHOAL_ANY(last), v), 0);
		REQUIRE_EQ(shoal_dict_set(w->dict, SHOAL_ANY("last"), SHOAL_ANY(last)), 0);
		if (last - first == WINDOW) {
			REQUIRE_EQ(shoal_dict_pop(w->dict, SHOAL_ANY(first), NULL), 0);
			REQUIRE_EQ(shoal_dict_set(w->dict, SHOAL_ANY("first"), SHOAL_ANY(++first)), 0);
		}
		if (last % EPOCH == 0) {
			REQUIRE_EQ(shoal_dict_clear(w->dict), 0);
			first = last + 1;
			REQUIRE_EQ(shoal_dict_set(w->dict, SHOAL_ANY("last"), SHOAL_ANY(last)), 0);
			REQUIRE_EQ(shoal_dict_set(w->dict, SHOAL_ANY("first"), SHOAL_ANY(first)), 0);
		}
	}
	return 0;
}

/* All between the two, in their order, each with its value. */
static void
demand_window(const shoal_any *map)
{
	const shoal_any *first = shoal_any_find(map, "first"), *last = shoal_any_find(map, "last");
	int64_t from = 0, to = -1;
	for (size_t i = 0; i < map->count; i++) {
		const shoal_any *key = &map->as.items[2 * i], *v = key + 1;
		if (key->kind != SHOAL_ANY_INT)
			continue;
		int64_t k = key->as.integer;
		REQUIRE(to < 0 || k == to + 1);
		from = to < 0 ? k : from;
		to = k;
		REQUIRE(k % 3 ? v->kind == SHOAL_ANY_BYTES && v->count == (size_t)(k % 50)
		              : shoal_any_int(v, -1) == k);
	}
	if (to < 0 || !first || !last)
		return;
	int64_t f = first->as.integer, l = last->as.integer;
	REQUIRE(from == f || from == f + 1);
	REQUIRE(to == l || (to == l + 1 && from == f));
}

Test(moment, of_a_dict_that_grows_and_shrinks)
{
	struct game *g = shared(sizeof *g);
	g->w = dict_world(0);
	REQUIRE_EQ(shoal_dict_set(g->w.dict, SHOAL_ANY("first"), SHOAL_ANY(1)), 0);
	pid_t pid = child(slides, g);
	for (int64_t end = now_ns() + 800000000; now_ns() < end;) {
		shoal_any map;
		REQUIRE_EQ(shoal_dict_snapshot(g->w.dict, &map), 0);
		demand_window(&map);
		shoal_any_clear(&map);
	}
	g->stop = 1;
	expect_child(pid, 0, 5000);
	dict_world_end(&g->w);
}

#if HAS_STEPS

static struct removal {
	struct dict_world w;
	pid_t pid;
	volatile int begin;
	shoal_any map;
	int rc;
} *removal;

/* Takes out 5, and comes no further than the one store: its bucket's state is as before. */
static int
removes(void *arg)
{
	struct removal *r = arg;
	shoal_any five = SHOAL_ANY(5);
	struct dict_call c;
	struct dict_key k;
	struct dict_place p;
	REQUIRE_EQ(dict_enter(r->w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_key_of(&c, &five, &k), 0);
	while (!r->begin)
		sleep_ms(1);
	REQUIRE_EQ(dict_lock(&c, k.hash), 0);
	REQUIRE_EQ(dict_locate(&c, &k, &p), 0);
	word64 *count = &c.seen.table->stripe[c.hold.index].count;
	ledger_open(&c.hold, 0);
	REQUIRE_EQ(ledger_retire(&c.hold, p.offset, false), 0);
	ledger_then(&c.hold, 0, &p.bucket->state, state_next(p.state));
	ledger_then(&c.hold, 1, count, load_relaxed(count) - 1);
	stand_still(&c.hold, HAPPENED, p.slot, 0);
	return 0;
}

static void
let_it_remove(void)
{
	int status;
	removal->begin = 1;
	REQUIRE_EQ(waitpid(removal->pid, &status, WUNTRACED), removal->pid);
	REQUIRE(WIFSTOPPED(status));
}

static void
snapshot_op(void *arg)
{
	struct removal *r = arg;
	r->rc = shoal_dict_snapshot(r->w.dict, &r->map);
}

/* It has been through all items, and finds that it was of no moment. */
Test(moment, of_a_dict_does_not_ask_the_bucket_of_a_change_that_goes_on)
{
	removal = shared(sizeof *removal);
	removal->w = dict_world(0);
	dict_fill(removal->w.dict, 0, ITEMS);
	removal->pid = child(removes, removal);
	REQUIRE(steps_into_call(snapshot_op, removal, (void (*)(void))ledger_still, let_it_remove));
	REQUIRE_EQ(removal->rc, 0);
	REQUIRE_EQ(removal->map.count, ITEMS - 1);
	for (size_t i = 0; i < removal->map.count; i++)
		REQUIRE(shoal_any_int(&removal->map.as.items[2 * i], -1) != 5);
	shoal_any_clear(&removal->map);
	REQUIRE_EQ(kill(removal->pid, SIGKILL), 0);
	expect_killed(removal->pid, SIGKILL, 3000);
	REQUIRE_EQ(shoal_arena_recover(removal->w.arena), 1);
	dict_world_end(&removal->w);
}

/* ---- for how long others are kept out ---- */

enum { MANY = 100000, LOOKS = 10 };

static struct kept_out {
	struct dict_world w;
	volatile int stop, sets;
	int64_t began, worst; /* with the locks: of its processor's time, none of which is another's */
} *kept_out;

static int
sets_on(void *arg)
{
	struct kept_out *k = arg;
	for (; !k->stop; k->sets = k->sets + 1)
		REQUIRE_EQ(shoal_dict_set(k->w.dict, SHOAL_ANY(k->sets % 1000), SHOAL_ANY(k->sets)), 0);
	return 0;
}

static void
snapshot_of_many_op(void *arg)
{
	struct kept_out *k = arg;
	shoal_any map;
	REQUIRE_EQ(shoal_dict_snapshot(k->w.dict, &map), 0);
	REQUIRE_EQ(map.count, MANY);
	shoal_any_clear(&map);
}

static int64_t
snapshot_cpu_ns(struct kept_out *k)
{
	int64_t began = thread_cpu_ns();
	snapshot_of_many_op(k);
	return thread_cpu_ns() - began;
}

static void begins_to_lock(void);

static void
lets_go(void)
{
	int64_t took = thread_cpu_ns() - kept_out->began;
	kept_out->worst = took > kept_out->worst ? took : kept_out->worst;
	steps.come = begins_to_lock;
	steps_run_to((void (*)(void))dict_lock_some);
}

static void
begins_to_lock(void)
{
	kept_out->began = thread_cpu_ns();
	steps.come = lets_go;
	steps_run_to((void (*)(void))dict_unlock_some);
}

static void
runs_to_the_locks(void)
{
	steps.come = begins_to_lock;
	steps_run_to((void (*)(void))dict_lock_some);
}

/*
 * Not for the walk through all items, but for a look at what has changed since. Where the writer
 * had no processor a snapshot takes no locks at all: then another one is made, of LOOKS at most.
 */
Test(moment, of_many_items_keeps_writers_out_for_a_part_of_the_walk)
{
	struct kept_out *k = kept_out = shared(sizeof *k);
	k->w = dict_world(MANY);
	dict_fill(k->w.dict, 0, MANY);
	int64_t first = snapshot_cpu_ns(k), second = snapshot_cpu_ns(k);
	int64_t quiet = first < second ? first : second;
	pid_t pid = child(sets_on, k);
	for (int i = 0; i < LOOKS && k->worst == 0; i++)
		(void)steps_into(snapshot_of_many_op, k, 0, runs_to_the_locks);
	REQUIRE(k->worst < quiet / 5);
	k->stop = 1;
	expect_child(pid, 0, 5000);
	dict_world_end(&k->w);
}

#endif
