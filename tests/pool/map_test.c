#include "pool/common.h"
#include <pthread.h>
#include <sys/mman.h>

Test(pool_map, every_item_runs_and_lands_in_its_place)
{
	static const size_t chunks[] = { 0, 1, 7, 1000, 100000 };
	enum { COUNT = 10000 };
	static int in[COUNT], out[COUNT];
	shoal_pool *p = pool_of(3);
	for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
		shoal_map_options o = { .chunk = chunks[c] };
		for (int i = 0; i < COUNT; i++) {
			in[i] = i - 500;
			out[i] = -1;
		}
		REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, COUNT, &o), 0);
		for (int i = 0; i < COUNT; i++)
			REQUIRE_EQ(out[i], in[i] * in[i]);
	}
	finish(p);
}

/* The third says something and goes on all the same; the sixth fails and says nothing. */
static int
fail_without_words(shoal_task *t)
{
	if (t->index == 2)
		shoal_task_fail(t, "no matter");
	t->in_bytes = t->out_bytes = 0;
	return t->index == 5 ? -EDOM : 0;
}

static int
square_of_four_bytes(shoal_task *t)
{
	if (t->in_bytes != sizeof(int) || t->out_bytes != sizeof(int))
		return -EPROTO;
	int rc = square(t);
	t->in_bytes = t->out_bytes = 0;
	t->in = t->out = NULL;
	return rc;
}

Test(pool_map, what_an_item_said_or_changed_is_not_the_next_ones)
{
	enum { COUNT = 10 };
	static int in[COUNT], out[COUNT];
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = COUNT };
	REQUIRE_EQ(shoal_pool_map(p, fail_without_words, in, sizeof *in, out, sizeof *out, COUNT, &o),
	           1);
	REQUIRE(!strstr(shoal_error(), "no matter"));
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square_of_four_bytes, in, sizeof *in, out, sizeof *out, COUNT, &o),
	           0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(out[i], i * i);
	finish(p);
}

static size_t progressed;

static void
note_progress(void *arg, size_t done, size_t total)
{
	(void)arg;
	REQUIRE_EQ(done, progressed % total + 1);
	progressed = done;
}

Test(pool_map, a_window_bounds_what_is_in_work)
{
	enum { COUNT = 100 };
	int in[COUNT];
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	shoal_pool *p = pool_of(2);
	shoal_map_options o = { .window = 5 };
	shoal_results *it;
	shoal_pool_info info;
	REQUIRE_EQ(shoal_pool_imap_unordered(p, square, in, sizeof *in, sizeof *in, COUNT, &o, &it), 0);
	sleep_ms(100);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.tasks_done, 5);
	int value;
	for (int i = 0; i < 7; i++)
		REQUIRE(shoal_results_next(it, NULL, &value, sizeof value, SHOAL_SEC(5)) == sizeof value);
	sleep_ms(50);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE(info.tasks_done <= 12);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	/* Who joins has the rest run, as far as it is not given up. */
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.tasks_done, COUNT);
	for (int i = 7; i < 50; i++)
		REQUIRE(shoal_results_next(it, NULL, &value, sizeof value, SHOAL_SEC(5)) == sizeof value);
	shoal_results_free(it);
	shoal_pool_destroy(p);
}

Test(pool_map, an_iterator_given_up_in_the_middle_leaves_the_pool_as_it_was)
{
	enum { COUNT = 100 };
	int in[COUNT], out;
	for (int i = 0; i < COUNT; i++)
		in[i] = 5;
	shoal_pool *p = pool_of(2);
	for (int round = 0; round < 3; round++) {
		shoal_results *it;
		REQUIRE_EQ(shoal_pool_imap(p, nap, in, sizeof *in, 0, COUNT, NULL, &it), 0);
		if (round)
			REQUIRE_EQ(shoal_results_next(it, NULL, NULL, 0, SHOAL_SEC(5)), 0);
		REQUIRE(round != 2 || shoal_results_next(it, NULL, NULL, 0, 0) <= 0);
		shoal_results_free(it);
		REQUIRE_EQ(shoal_pool_apply(p, square, in, sizeof *in, &out, sizeof out), 0);
	}
	finish(p);
}

Test(pool_map, imap_gives_results_in_order)
{
	enum { COUNT = 1000 };
	static int in[COUNT];
	shoal_pool *p = pool_of(3);
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	for (size_t chunk = 1; chunk < 200; chunk += 99) {
		shoal_map_options o = { .chunk = chunk, .progress = note_progress };
		shoal_results *it;
		REQUIRE_EQ(shoal_pool_imap(p, square, in, sizeof *in, sizeof *in, COUNT, &o, &it), 0);
		for (int i = 0; i < COUNT; i++) {
			size_t index;
			int value;
			REQUIRE_EQ(shoal_results_next(it, &index, &value, sizeof value, SHOAL_SEC(5)),
			           sizeof value);
			REQUIRE_EQ(index, i);
			REQUIRE_EQ(value, i * i);
		}
		REQUIRE_EQ(progressed, COUNT);
		size_t index = 0;
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(5)), -EPIPE);
		REQUIRE_EQ(index, COUNT);
		shoal_results_free(it);
	}
	finish(p);
}

static int
answer_at_length(shoal_task *t)
{
	char text[1000] = "";
	return shoal_task_reply(t, text, t->index == 1 ? 0 : sizeof text);
}

Test(pool_map, an_item_that_was_to_answer_nothing_cannot)
{
	char out[1000];
	shoal_pool *p = pool_of(1);
	for (size_t chunk = 1; chunk < 4; chunk += 2) {
		shoal_map_options o = { .chunk = chunk };
		shoal_results *it;
		REQUIRE_EQ(shoal_pool_imap(p, answer_at_length, NULL, 0, 0, 3, &o, &it), 0);
		for (int i = 0; i < 3; i++)
			REQUIRE_EQ(shoal_results_next(it, NULL, out, sizeof out, SHOAL_SEC(10)),
			           i == 1 ? 0 : -EMSGSIZE);
		shoal_results_free(it);
	}
	finish(p);
}

/* ---- what is queued ---- */

static size_t
queued(shoal_pool *p)
{
	shoal_pool_info info;
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	return info.queued;
}

/* The last chunk of ten items in fours is two. */
Test(pool_map, each_item_that_is_not_begun_counts_as_queued)
{
	int in[10] = { 0 };
	shoal_result *r;
	shoal_results *it;
	let_in = shared(sizeof *let_in);
	shoal_pool_options po = { .workers = 1, .initializer = wait_outside };
	shoal_map_options o = { .chunk = 4 };
	shoal_pool *p = pool_with(&po);
	REQUIRE_EQ(shoal_pool_map_async(p, square, in, sizeof *in, in, sizeof *in, 10, &o, NULL, NULL,
	                                &r), 0);
	REQUIRE_EQ(queued(p), 10);
	drop(p, square, 1);
	REQUIRE_EQ(queued(p), 11);
	REQUIRE_EQ(shoal_pool_imap(p, square, in, sizeof *in, sizeof *in, 10, &o, &it), 0);
	REQUIRE_EQ(queued(p), 21);
	atomic_store(let_in, 1);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 0);
	shoal_result_free(r);
	shoal_results_free(it);
	finish(p);
}

/* ---- looked at while they end ---- */

enum { LOOKED_AT = 200000 };
static _Atomic int looked_enough;

static int
do_nothing(shoal_task *t)
{
	(void)t;
	return 0;
}

static void *
look(void *pool)
{
	shoal_pool_info info;
	while (!atomic_load(&looked_enough)) {
		REQUIRE_EQ(shoal_pool_stat(pool, &info), 0);
		REQUIRE(info.queued <= LOOKED_AT + 1);
	}
	return NULL;
}

/* The task's input comes to lie where the map was. */
Test(pool_map, the_count_of_what_is_queued_is_never_of_what_was)
{
	static char later[LOOKED_AT * 12];
	pthread_t looker;
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = 1 };
	int64_t began = now_ns();
	memset(later, 0x7f, 1024);
	pthread_create(&looker, NULL, look, p);
	while (now_ns() - began < 1000000000) {
		REQUIRE_EQ(shoal_pool_map(p, do_nothing, NULL, 0, NULL, 0, LOOKED_AT, &o), 0);
		REQUIRE_EQ(shoal_pool_apply(p, do_nothing, later, sizeof later, NULL, 0), 0);
	}
	atomic_store(&looked_enough, 1);
	pthread_join(looker, NULL);
	finish(p);
}

enum { LARGE_ITEM = 1 << 16, LARGE_ITEMS = 512, LARGE = LARGE_ITEM * LARGE_ITEMS };

static int
fill_but_last(shoal_task *t)
{
	memset(t->out, 1, t->out_bytes);
	return t->index == LARGE_ITEMS - 1 ? -EIO : 0;
}

/*
 * Items are copied one by one, since one has failed; when the first has come, the others must have
 * before the memory is the caller's again. It looks through a mapping of its own.
 */
Test(pool_map, what_a_map_writes_is_written_when_its_result_is_freed)
{
	shoal_result *r;
	shoal_pool *p = pool_of(1);
	int fd = memfd_create("out", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && ftruncate(fd, LARGE) == 0);
	char *out = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile char *seen = mmap(NULL, LARGE, PROT_READ, MAP_SHARED, fd, 0);
	REQUIRE(out != MAP_FAILED && seen != MAP_FAILED);
	REQUIRE_EQ(shoal_pool_map_async(p, fill_but_last, NULL, 0, out, LARGE_ITEM, LARGE_ITEMS, NULL,
	                                NULL, NULL, &r), 0);
	while (!seen[0])
		continue;
	shoal_result_free(r);
	REQUIRE_EQ(seen[LARGE - LARGE_ITEM - 1], 1);
	munmap((void *)(uintptr_t)seen, LARGE);
	munmap(out, LARGE);
	close(fd);
	finish(p);
}

/* ---- the ready-made bar ---- */

#define BARS 1024

/* What a child writes to stderr, which is no terminal, while it draws. */
static void
what_is_drawn(int (*draw)(void *fd), char text[BARS])
{
	int fd = memfd_create("bars", MFD_CLOEXEC);
	REQUIRE(fd >= 0);
	expect_child(child(draw, &fd), 0, 10000);
	ssize_t n = pread(fd, text, BARS - 1, 0);
	close(fd);
	REQUIRE(n > 0);
	text[n] = '\0';
}

static int
draw_bars(void *fd)
{
	REQUIRE(dup2(*(int *)fd, STDERR_FILENO) == STDERR_FILENO);
	shoal_progress_bar("half", 1, 2);
	shoal_progress_bar("half", 2, 2);
	shoal_progress_bar(NULL, 0, 0);
	shoal_progress_bar("beyond", 50, 3);
	return 0;
}

/* No terminal: a line for each that is done, none on the way, and no more than all of it. */
Test(pool_map, the_ready_made_bar_says_when_all_is_done)
{
	char text[BARS];
	what_is_drawn(draw_bars, text);
	REQUIRE(strstr(text, "half: 100%|##############################| 2/2 [") == text);
	REQUIRE(strstr(text, "\n100%|##############################| 0/0 ["));
	REQUIRE(strstr(text, "\nbeyond: 100%|##############################| 3/3 ["));
	REQUIRE(!strstr(text, "1/2"));
}

/* ---- what has ended ---- */

static void
until_ended(shoal_pool *p, uint64_t done, uint64_t failed)
{
	shoal_pool_info info = { 0 };
	for (int i = 0; i < 3000 && (info.tasks_done != done || info.tasks_failed != failed); i++) {
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
		REQUIRE(info.tasks_done <= done && info.tasks_failed <= failed);
		sleep_ms(1);
	}
	REQUIRE_EQ(info.tasks_done, done);
	REQUIRE_EQ(info.tasks_failed, failed);
}

Test(pool_map, tasks_that_nobody_asks_for_are_counted_when_they_have_ended)
{
	shoal_result *r[5];
	shoal_pool *p = pool_of(1);
	for (int i = 0; i < 5; i++)
		r[i] = sent(p, i == 2 ? fail_by : square, i == 2 ? -EIO : i);
	until_ended(p, 4, 1);
	for (int i = 0; i < 5; i++)
		shoal_result_free(r[i]);
	r[0] = sent(p, nap, 100);
	r[1] = sent(p, square, 1);
	sleep_ms(20);
	shoal_result_free(r[0]);
	REQUIRE_EQ(gotten(r[1]), 1);
	shoal_result_free(r[1]);
	until_ended(p, 6, 1);
	finish(p);
}

/* The second fails, the fifth lasts until the test lets it go on. */
static int
last_or_fail(shoal_task *t)
{
	while (t->index == 4 && !atomic_load(let_in))
		sleep_ms(1);
	return t->index == 1 ? -EIO : 0;
}

Test(pool_map, items_of_maps_are_counted_while_they_run)
{
	shoal_result *r;
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = 1 };
	for (uint64_t round = 0; round < 2; round++) {
		atomic_store(let_in, 0);
		REQUIRE_EQ(shoal_pool_map_async(p, last_or_fail, NULL, 0, NULL, 0, 6, &o, NULL, NULL, &r),
		           0);
		until_ended(p, round * 5 + 3, round + 1);
		if (round)
			shoal_result_free(r);
		atomic_store(let_in, 1);
		/* Of the freed one the fifth goes on and the sixth does not begin. */
		until_ended(p, round * 5 + 5 - round, round + 1);
		if (!round)
			shoal_result_free(r);
	}
	finish(p);
}

static _Atomic int *begun;

static int
wait_for_word(shoal_task *t)
{
	(void)t;
	atomic_fetch_add(begun, 1);
	while (!atomic_load(let_in))
		sleep_ms(1);
	return 0;
}

/* Of a chunk in a worker's hands only what runs goes on. */
Test(pool_map, items_of_a_freed_iterator_are_not_begun_any_more)
{
	shoal_results *it;
	begun = shared(sizeof *begun);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = 20 };
	REQUIRE_EQ(shoal_pool_imap(p, wait_for_word, NULL, 0, 0, 40, &o, &it), 0);
	while (!atomic_load(begun))
		sleep_ms(1);
	shoal_results_free(it);
	atomic_store(let_in, 1);
	REQUIRE_EQ(value_of(p, square, 3), 9);
	REQUIRE_EQ(atomic_load(begun), 1);
	finish(p);
}

static int
give_index(shoal_task *t)
{
	*(int *)t->out = (int)t->index;
	return 0;
}

/* The only worker is at another task. */
Test(pool_map, a_map_of_which_nothing_began_is_over_when_it_is_cancelled)
{
	int out[30], codes[30];
	shoal_result *r;
	begun = shared(sizeof *begun);
	let_in = shared(sizeof *let_in);
	memset(out, -1, sizeof out);
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = 4, .codes = codes };
	shoal_result *other = sent(p, wait_for_word, 0);
	REQUIRE_EQ(shoal_pool_map_async(p, give_index, NULL, 0, out, sizeof *out, 30, &o, NULL, NULL,
	                                &r), 0);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, 0), 30);
	REQUIRE_EQ(shoal_result_code(r), -ECANCELED);
	REQUIRE_EQ(shoal_result_cancel(r), -EALREADY);
	for (int i = 0; i < 30; i++)
		REQUIRE(out[i] == -1 && codes[i] == -ECANCELED);
	shoal_result_free(r);
	atomic_store(let_in, 1);
	REQUIRE_EQ(shoal_result_get(other, NULL, 0, SHOAL_SEC(10)), 0);
	shoal_result_free(other);
	finish(p);
}

/* What runs ends as it does, also the rest of what another worker had. */
Test(pool_map, of_a_map_that_is_cancelled_what_runs_goes_on)
{
	int codes[30];
	shoal_result *r;
	begun = shared(sizeof *begun);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	shoal_map_options o = { .chunk = 4, .codes = codes };
	REQUIRE_EQ(shoal_pool_map_async(p, wait_for_word, NULL, 0, NULL, 0, 30, &o, NULL, NULL, &r), 0);
	while (!atomic_load(begun))
		sleep_ms(1);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	REQUIRE(!shoal_result_ready(r));
	atomic_store(let_in, 1);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 29);
	for (int i = 0; i < 30; i++)
		REQUIRE_EQ(codes[i], i ? -ECANCELED : 0);
	REQUIRE_EQ(atomic_load(begun), 1);
	shoal_result_free(r);
	finish(p);
}

/* Two at a time, so the first call tells of two. What the bar says of them, and how long it was. */
static int
draw_a_map(void *fd)
{
	int in[6] = { 300, 300, 300, 300, 300, 300 };
	REQUIRE(dup2(*(int *)fd, STDERR_FILENO) == STDERR_FILENO);
	shoal_pool *p = pool_of(2);
	shoal_map_options o = { .chunk = 1, .progress = shoal_progress_bar };
	int64_t began = now_ns();
	REQUIRE_EQ(shoal_pool_map(p, nap, in, sizeof *in, NULL, 0, 6, &o), 0);
	fprintf(stderr, "took %lld ms\n", (long long)((now_ns() - began) / 1000000));
	finish(p);
	return 0;
}

Test(pool_map, the_ready_made_bar_knows_when_the_map_began)
{
	char text[BARS];
	double rate = 0;
	int ms = 0;
	what_is_drawn(draw_a_map, text);
	const char *figures = strrchr(text, ','), *took = strstr(text, "took ");
	REQUIRE(figures && took);
	REQUIRE_EQ(sscanf(figures, ", %lf/s", &rate), 1);
	REQUIRE_EQ(sscanf(took, "took %d ms", &ms), 1);
	double items = rate * ms / 1000;
	REQUIRE(items > 5.5 && items < 7.5);
}
