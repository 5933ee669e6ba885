/* Being inside a call on a container: of whom, and of what. */
#include "dict_common.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "arena/object.h"
#include "base/thread.h"

/* ---- a wrong kind of pointer ---- */

static int
append_to_a_value(void *unused)
{
	shoal_arena *a;
	shoal_list *l;
	shoal_value *v;
	void *p;
	(void)unused;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_destroy(a, l), 0);
	do
		REQUIRE_EQ(shoal_alloc(a, 512, &p), 0);
	while (p != (void *)l);
	shoal_free(a, p);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I64, SHOAL_ANY(0), &v), 0);
	REQUIRE((void *)v == (void *)l);
	(void)shoal_list_append((shoal_list *)v, SHOAL_ANY(2));
	return 0;
}

/* Also where a list that this thread had used lay before. */
Test(container, what_is_no_list_stops)
{
	expect_killed(child(append_to_a_value, NULL), SIGABRT, 5000);
}

/* ---- through a read-only handle ---- */

struct watched {
	char name[40];
	volatile int opened, destroyed;
};

/* What it opened goes while it looks. */
static int
watches_the_end(void *arg)
{
	struct watched *seen = arg;
	shoal_arena *a;
	shoal_dict *d;
	shoal_any v;
	shoal_cursor cursor = { 0 };
	const shoal_any *key;
	REQUIRE_EQ(shoal_arena_attach_readonly(seen->name, SHOAL_SEC(5), &a), 0);
	REQUIRE_EQ(shoal_dict_open(a, "d", 0, &d), 0);
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	for (seen->opened = 1; !seen->destroyed;)
		usleep(100);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY(1), &v), -ENOENT);
		REQUIRE(strstr(shoal_error(), "destroyed"));
		REQUIRE(!shoal_dict_has(d, SHOAL_ANY(1)));
		REQUIRE_EQ(shoal_dict_size(d), 0);
		REQUIRE_EQ(shoal_dict_snapshot(d, &v), -ENOENT);
		REQUIRE_EQ(shoal_dict_next(d, &cursor, &key, NULL), -ENOENT);
	}
	shoal_arena_close(a);
	return 0;
}

Test(container, one_that_is_watched_may_be_destroyed)
{
	struct dict_world w;
	struct watched *seen = shared(sizeof *seen);
	snprintf(seen->name, sizeof seen->name, "dict-test-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(seen->name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &w.dict), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(1), SHOAL_ANY(3)), 0);
	pid_t pid = child(watches_the_end, seen);
	while (!seen->opened)
		usleep(100);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, w.dict), 0);
	seen->destroyed = 1;
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(seen->name), 0);
	shoal_arena_close(w.arena);
}

/* ---- one that another follows while it is read ---- */

static struct succession {
	char name[40];
	void *body;
	volatile int met, succeeded, known, followed;
} *succession;

static void *
page_of(void *body)
{
	return (void *)((uintptr_t)body & ~(uintptr_t)4095);
}

/* The reader has entered, and reads the first word: it waits until another one lies there. */
static void
meet(int signo)
{
	(void)signo;
	for (succession->met = 1; !succession->succeeded;)
		usleep(100);
	mprotect(page_of(succession->body), 4096, PROT_READ);
}

static int
list_get(void *l)
{
	shoal_any v;
	int rc = shoal_list_get(l, 0, &v);
	REQUIRE_EQ(v.kind, rc ? SHOAL_ANY_NIL : SHOAL_ANY_INT);
	return rc;
}

static int
list_get_whole(void *l)
{
	shoal_any v;
	int rc = shoal_list_snapshot(l, &v);
	REQUIRE_EQ(v.kind, rc ? SHOAL_ANY_NIL : SHOAL_ANY_LIST);
	shoal_any_clear(&v);
	return rc;
}

static int
list_has_size(void *l)
{
	return shoal_list_size(l) ? 0 : -ENOENT;
}

static int
dict_get(void *d)
{
	shoal_any v;
	int rc = shoal_dict_get(d, shoal_any_from_bytes("k", 1), &v);
	REQUIRE_EQ(v.kind, rc ? SHOAL_ANY_NIL : SHOAL_ANY_BYTES);
	shoal_any_clear(&v);
	return rc;
}

static int
dict_get_absent(void *d)
{
	shoal_any v;
	int rc = shoal_dict_get(d, SHOAL_ANY("none"), &v);
	return strstr(shoal_error(), "destroyed") ? rc : 0;
}

static int
dict_get_bytes(void *d)
{
	char buffer[8];
	ssize_t n = shoal_dict_get_bytes(d, "k", 1, buffer, sizeof buffer);
	return n < 0 && strstr(shoal_error(), "destroyed") ? (int)n : 0;
}

static int
dict_has(void *d)
{
	return shoal_dict_has(d, shoal_any_from_bytes("k", 1)) ? 0 : -ENOENT;
}

static int
dict_has_size(void *d)
{
	return shoal_dict_size(d) ? 0 : -ENOENT;
}

static int
dict_has_version(void *d)
{
	return shoal_dict_version(d) ? 0 : -ENOENT;
}

static int
dict_get_whole(void *d)
{
	shoal_any v;
	int rc = shoal_dict_snapshot(d, &v);
	REQUIRE_EQ(v.kind, rc ? SHOAL_ANY_NIL : SHOAL_ANY_MAP);
	shoal_any_clear(&v);
	return rc;
}

static int
dict_next(void *d)
{
	shoal_cursor cursor = { 0 };
	const shoal_any *key;
	int rc = shoal_dict_next(d, &cursor, &key, NULL);
	shoal_cursor_clear(&cursor);
	return rc < 0 ? rc : 0;
}

/* 0 in earnest, and -ENOENT of one that went. */
static const struct {
	bool dict;
	int (*read)(void *container);
} reader[] = {
	{ false, list_get }, { false, list_get_whole }, { false, list_has_size },
	{ true, dict_get }, { true, dict_get_absent }, { true, dict_get_bytes }, { true, dict_has },
	{ true, dict_has_size }, { true, dict_has_version }, { true, dict_get_whole },
	{ true, dict_next },
};

static void *
container_of_one(shoal_arena *a, const char *name, bool dict)
{
	shoal_list *l;
	shoal_dict *d;
	if (dict) {
		REQUIRE_EQ(shoal_dict_create(a, name, NULL, &d), 0);
		REQUIRE_EQ(shoal_dict_set_bytes(d, "k", 1, "v", 1), 0);
		return d;
	}
	REQUIRE_EQ(shoal_list_create(a, name, NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(1)), 0);
	return l;
}

static int
reads_in_succession(void *arg)
{
	size_t i = (size_t)arg;
	shoal_arena *a;
	shoal_list *l;
	shoal_dict *d;
	REQUIRE_EQ(shoal_arena_attach_readonly(succession->name, SHOAL_SEC(5), &a), 0);
	if (reader[i].dict)
		REQUIRE_EQ(shoal_dict_open(a, "c", 0, &d), 0);
	else
		REQUIRE_EQ(shoal_list_open(a, "c", 0, &l), 0);
	succession->body = reader[i].dict ? (void *)d : (void *)l;
	if (reader[i].read != dict_get_absent)
		REQUIRE_EQ(reader[i].read(succession->body), 0);
	signal(SIGSEGV, meet);
	REQUIRE_EQ(mprotect(page_of(succession->body), 4096, PROT_NONE), 0);
	REQUIRE_EQ(reader[i].read(succession->body), -ENOENT);
	REQUIRE(succession->met);
	shoal_arena_close(a);
	return 0;
}

static void
let_it_be_followed(size_t i)
{
	shoal_arena *a;
	int n = 0;
	succession = shared(sizeof *succession);
	snprintf(succession->name, sizeof succession->name, "succession-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(succession->name, NULL, &a), 0);
	void *c = container_of_one(a, "c", reader[i].dict);
	pid_t pid = child(reads_in_succession, (void *)i);
	while (!succession->met)
		usleep(100);
	if (reader[i].dict)
		REQUIRE_EQ(shoal_dict_destroy(a, c), 0);
	else
		REQUIRE_EQ(shoal_list_destroy(a, c), 0);
	while (container_of_one(a, NULL, reader[i].dict) != c)
		REQUIRE(++n < 1000);
	succession->succeeded = 1;
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(succession->name), 0);
	shoal_arena_close(a);
}

/* What lies there by then is never given out as the one that was asked. */
Test(container, what_follows_it_while_it_is_read_is_not_taken_for_it)
{
	for (size_t i = 0; i < sizeof reader / sizeof *reader; i++)
		let_it_be_followed(i);
}

/* ---- without a record ---- */

static void *
read_without_a_record(void *arg)
{
	shoal_dict *d = arg;
	shoal_any v;
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	REQUIRE(shoal_dict_has(d, SHOAL_ANY(1)));
	REQUIRE_EQ(shoal_dict_size(d), 500);
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE_EQ(v.count, 500);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(1), SHOAL_ANY(4)), -EUSERS);
	REQUIRE_EQ(shoal_dict_pop(d, SHOAL_ANY(1), &v), -EUSERS);
	return NULL;
}

Test(container, one_who_finds_no_record_reads_it)
{
	struct dict_world w;
	shoal_arena_options one = { .members_max = 1 };
	pthread_t thread;
	REQUIRE_EQ(shoal_arena_create(NULL, &one, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	dict_fill(w.dict, 0, 500);
	REQUIRE_EQ(pthread_create(&thread, NULL, read_without_a_record, w.dict), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	dict_world_end(&w);
}

/* ---- one that the thread knows ---- */

static bool
has_k(shoal_dict *d)
{
	char text[2];
	return shoal_dict_get_bytes(d, "k", 1, text, sizeof text) == 1 && *text == 'v';
}

static shoal_dict *
dict_with_k(shoal_arena *a)
{
	shoal_dict *d;
	REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_set_bytes(d, "k", 1, "v", 1), 0);
	REQUIRE(has_k(d) && has_k(d));
	return d;
}

static int
gets_what_was_destroyed(void *unused)
{
	shoal_arena *a;
	(void)unused;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	shoal_dict *d = dict_with_k(a);
	REQUIRE_EQ(shoal_dict_destroy(a, d), 0);
	return has_k(d);
}

Test(container, what_was_destroyed_stops_who_knew_it)
{
	expect_killed(child(gets_what_was_destroyed, NULL), SIGABRT, 5000);
}

static int
gets_from_a_list(void *unused)
{
	shoal_arena *a;
	shoal_list *l;
	(void)unused;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(1)), 0);
	return has_k((shoal_dict *)(void *)l);
}

Test(container, a_list_that_it_knew_is_no_dict)
{
	expect_killed(child(gets_from_a_list, NULL), SIGABRT, 5000);
}

static shoal_dict *other_dict;
static volatile ssize_t got_inside;

static void
gets_from_the_other(int signo)
{
	char text[2];
	signal(signo, SIG_DFL);
	got_inside = shoal_dict_get_bytes(other_dict, "k", 1, text, sizeof text);
	mprotect(page_of(succession->body), 4096, PROT_READ | PROT_WRITE);
}

/* Whatever the thread knows: the call inside would end the protection of the one around it. */
static int
gets_inside_a_get(void *unused)
{
	shoal_arena *a;
	struct succession s;
	(void)unused;
	succession = &s;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	shoal_dict *d = dict_with_k(a);
	do
		other_dict = dict_with_k(a);
	while (page_of(other_dict) == page_of(d));
	s.body = d;
	signal(SIGSEGV, gets_from_the_other);
	REQUIRE(has_k(d) && has_k(other_dict));
	REQUIRE_EQ(mprotect(page_of(d), 4096, PROT_NONE), 0);
	REQUIRE(has_k(d));
	REQUIRE_EQ(got_inside, -EDEADLK);
	return 0;
}

Test(container, a_handler_does_not_get_inside_a_get)
{
	expect_child(child(gets_inside_a_get, NULL), 0, 5000);
}

/* The reader has entered, and reads the seed: it waits until the dict was destroyed. */
static void
meet_a_member(int signo)
{
	signal(signo, SIG_DFL);
	for (succession->met = 1; !succession->succeeded;)
		usleep(100);
	mprotect(page_of(succession->body), 4096, PROT_READ | PROT_WRITE);
}

static int
is_inside(void *unused)
{
	shoal_arena *a;
	shoal_dict *d;
	(void)unused;
	REQUIRE_EQ(shoal_arena_attach(succession->name, SHOAL_SEC(5), &a), 0);
	REQUIRE_EQ(shoal_dict_open(a, "c", 0, &d), 0);
	REQUIRE(has_k(d));
	for (succession->known = 1; !succession->followed;)
		usleep(100);
	succession->body = d;
	signal(SIGSEGV, meet_a_member);
	REQUIRE_EQ(mprotect(page_of(d), 4096, PROT_NONE), 0);
	REQUIRE(has_k(d));
	REQUIRE(succession->met);
	shoal_arena_close(a);
	return 0;
}

/* Another one lies there, and has another entry in the table. */
static void
follow_with_another(shoal_arena *a, shoal_dict *c)
{
	uint32_t before, after;
	shoal_dict *d;
	shoal_value *v;
	REQUIRE_EQ(object_find_body(a, c, SHOAL_KIND_DICT, &before), 0);
	REQUIRE_EQ(shoal_dict_destroy(a, c), 0);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I64, SHOAL_ANY(0), &v), 0);
	for (int n = 0; (d = container_of_one(a, NULL, true)) != c;)
		REQUIRE(++n < 1000);
	REQUIRE_EQ(object_find_body(a, d, SHOAL_KIND_DICT, &after), 0);
	REQUIRE(before != after);
}

/*
 * Its memory stays while a call is inside, and is free after that; also where the thread knew
 * another one there.
 */
Test(container, nothing_lies_there_while_a_member_is_inside)
{
	shoal_arena *a;
	void *other[200];
	succession = shared(sizeof *succession);
	snprintf(succession->name, sizeof succession->name, "inside-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(succession->name, NULL, &a), 0);
	void *c = container_of_one(a, "c", true);
	pid_t pid = child(is_inside, NULL);
	while (!succession->known)
		usleep(100);
	follow_with_another(a, c);
	succession->followed = 1;
	while (!succession->met)
		usleep(100);
	REQUIRE_EQ(shoal_dict_destroy(a, c), 0);
	for (int i = 0; i < 200; i++) {
		other[i] = container_of_one(a, NULL, true);
		REQUIRE(other[i] != c);
	}
	succession->succeeded = 1;
	expect_child(pid, 0, 5000);
	for (int i = 0; i < 200; i++)
		REQUIRE_EQ(shoal_dict_destroy(a, other[i]), 0);
	REQUIRE_EQ(shoal_arena_unlink(succession->name), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static uint32_t
members_of(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.members;
}

/* In its place, and with a dict where that had one. */
Test(container, a_new_arena_is_not_taken_for_the_one_before)
{
	shoal_arena *a;
	shoal_dict *was = NULL, *d;
	int again = 0;
	for (int i = 0; i < 8; i++) {
		REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
		REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
		again += d == was;
		was = d;
		REQUIRE(!has_k(d));
		REQUIRE_EQ(members_of(a), 1);
		REQUIRE_EQ(shoal_dict_set_bytes(d, "k", 1, "v", 1), 0);
		REQUIRE(has_k(d));
		shoal_arena_close(a);
	}
	REQUIRE(again);
}

struct two_arenas {
	shoal_arena *arena[2];
	shoal_dict *dict[2];
};

/* In a child of _Fork, with which the harness has nothing to do: whether it has joined by a get. */
static void
join_by_a_get(shoal_arena *a, shoal_dict *d)
{
	if (members_of(a) != 1 || !has_k(d) || members_of(a) != 2)
		_exit(1);
}

/* It knows what its parent's thread knew, but has no record yet, and must not use its parent's. */
Test(container, a_forked_child_joins_by_itself)
{
	struct two_arenas two;
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_arena_create(NULL, NULL, &two.arena[i]), 0);
		two.dict[i] = dict_with_k(two.arena[i]);
	}
	pid_t pid = _Fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < 2; i++)
			join_by_a_get(two.arena[i], two.dict[i]);
		_exit(0);
	}
	expect_child(pid, 0, 5000);
	for (int i = 0; i < 2; i++)
		shoal_arena_close(two.arena[i]);
}

static pid_t begotten = -1;

static void
beget(int signo)
{
	signal(signo, SIG_DFL);
	begotten = _Fork();
	mprotect(page_of(succession->body), 4096, PROT_READ | PROT_WRITE);
}

/*
 * The thread finds out what the container is, by its entry in the table, when a handler forks: what
 * it keeps in the child is the parent's.
 */
Test(container, what_was_found_out_in_the_midst_of_a_fork_is_the_parents)
{
	shoal_arena *a;
	struct succession s;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	shoal_dict *d = NULL;
	uint32_t index;
	REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_set_bytes(d, "k", 1, "v", 1), 0);
	REQUIRE_EQ(object_find_body(a, d, SHOAL_KIND_DICT, &index), 0);
	thread_epoch_next(); /* it knows nothing any more */
	succession = &s;
	s.body = arena_object(a, index);
	signal(SIGSEGV, beget);
	REQUIRE_EQ(mprotect(page_of(s.body), 4096, PROT_NONE), 0);
	bool has = has_k(d);
	if (begotten == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (has)
			join_by_a_get(a, d);
		_exit(!has);
	}
	expect_child(begotten, 0, 5000);
	REQUIRE(has);
	shoal_arena_close(a);
}
