/*
 * All items of a container at one moment, while the one who changes it stands still in the midst of
 * that, or has died there: who only reads waits for nobody.
 */
#include "data/dict.h"
#include "data/list.h"
#include "dict_common.h"
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
read_list(const struct world *w, shoal_list *l)
{
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

static int
reads_list(void *arg)
{
	const struct world *w = arg;
	read_list(w, w->list_there);
	read_list(w, w->list);
	return 0;
}

static int
watches_list(void *arg)
{
	const struct world *w = arg;
	read_list(w, w->list_there);
	return 0;
}

static void
read_dict(const struct world *w, shoal_dict *d)
{
	shoal_any v;
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE_EQ(v.count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		REQUIRE_EQ(shoal_any_int(&v.as.items[2 * i + 1], -1),
		           i == 5 && w->stage == HAPPENED ? NEW : OLD);
	shoal_any_clear(&v);
}

static int
reads_dict(void *arg)
{
	const struct world *w = arg;
	read_dict(w, w->dict_there);
	read_dict(w, w->dict);
	return 0;
}

static int
watches_dict(void *arg)
{
	const struct world *w = arg;
	read_dict(w, w->dict_there);
	return 0;
}

static void
read_namespace(const struct world *w, shoal_namespace *n)
{
	char text[200] = "";
	FILE *to = fmemopen(text, sizeof text, "w");
	REQUIRE(to && shoal_namespace_print(n, to) == 0);
	fclose(to);
	REQUIRE(strchr(text, w->stage == HAPPENED ? '0' + NEW : '0' + OLD));
}

static int
reads_namespace(void *arg)
{
	const struct world *w = arg;
	read_namespace(w, w->space_there);
	read_namespace(w, w->space);
	return 0;
}

static int
watches_namespace(void *arg)
{
	const struct world *w = arg;
	read_namespace(w, w->space_there);
	return 0;
}

/* ---- both ---- */

/* `watches` has nothing but the read-only handle, so that it can mend nothing. */
static void
beside(int (*changes)(void *), int (*reads)(void *), int (*watches)(void *))
{
	for (enum stage stage = BEGUN; stage < STAGES; stage++) {
		struct world w = world_make(stage);
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
	beside(appends, reads_list, watches_list);
}

Test(moment, of_a_dict_beside_one_who_stands_still_or_is_dead)
{
	beside(sets_in_dict, reads_dict, watches_dict);
}

Test(moment, of_a_namespace_beside_one_who_stands_still_or_is_dead)
{
	beside(sets_in_namespace, reads_namespace, watches_namespace);
}
