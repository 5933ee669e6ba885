#include "arena/block.h"
#include "common.h"
#include <pthread.h>
#include <signal.h>

static const size_t sizes[] = {
	0,       1,     15,    16,     17,     32,     33,     63,      64,
	65,      128,   129,   500,    512,    513,    640,    641,     1000,
	1024,    1025,  4096,  8192,   8193,   16320,  21760,  32704,   32705,
	65535,   65536, 65537, 131072, 200000, 262144, 300000, 1 << 20, (1 << 20) + 1,
	1500000,
};
enum { SIZES = sizeof sizes / sizeof *sizes };

static shoal_arena_info
info_of(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info;
}

/* Nothing is in use, nothing is wrong. */
static void
sound(shoal_arena *a)
{
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(info_of(a).blocks, 0);
	REQUIRE_EQ(info_of(a).used_bytes, 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static void *
take(shoal_arena *a, size_t bytes)
{
	void *p;
	REQUIRE_EQ(shoal_alloc(a, bytes, &p), 0);
	return p;
}

/* Takes all there is, also what lies ready with others, and keeps what was theirs. */
static int
take_from_others(void *arg)
{
	shoal_arena *a = ((void **)arg)[0];
	void *theirs = ((void **)arg)[1], *p[64], *kept = NULL;
	int n = 0;
	while (n < 64 && shoal_alloc(a, 65536, &p[n]) == 0)
		n++;
	while (n--) {
		if (p[n] == theirs)
			kept = p[n];
		else
			shoal_free(a, p[n]);
	}
	return kept ? 0 : 1;
}

/* A run that came back another way is named by its old slot too. */
Test(block, a_run_may_come_back_while_an_old_slot_names_it)
{
	shoal_arena_options o = { .limit_bytes = 1 << 20 };
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &a), 0);
	void *run = take(a, 65536);
	shoal_free(a, run);
	expect_child(child(take_from_others, (void *[]){ a, run }), 0, 5000);
	shoal_free(a, run);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE(take(a, 65536) == run);
	REQUIRE(take(a, 65536) != run);
	shoal_arena_close(a);
}

/* Nothing is freed through a handle that cannot write, wherever that is tried. */
Test(block, a_read_only_handle_frees_nothing_in_a_nested_call_too)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small), *watched;
	void *p = take(a, 100);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &watched), 0);
	void *seen = shoal_deref(watched, shoal_ref_of(a, p));
	REQUIRE(seen != NULL);
	for (int nested = 0; nested < 2; nested++) {
		thread_here->busy = (uint32_t)nested;
		shoal_free(watched, seen);
		thread_here->busy = 0;
		REQUIRE(strstr(shoal_error(), "read-only"));
		REQUIRE_EQ(shoal_arena_unlink("a b"), -EINVAL); /* another sentence */
	}
	REQUIRE_EQ(info_of(a).blocks, 1);
	shoal_free(a, p);
	shoal_arena_close(watched);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	sound(a);
}

/* More than half of what is left is taken, as what it is, not as the next power of two. */
Test(block, the_last_pages_are_taken_as_they_are)
{
	shoal_arena_options o = { .limit_bytes = 1 << 20 };
	shoal_arena *a;
	void *p, *q;
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &a), 0);
	p = take(a, 16);
	q = take(a, 9 * 65536);
	memset(q, 1, 9 * 65536);
	shoal_free(a, p);
	shoal_free(a, q);
	q = take(a, 9 * 65536);
	shoal_free(a, q);
	sound(a);
}

/* ---- runs that lie ready with members who do not need them ---- */

struct idler {
	shoal_arena *arena;
	pthread_barrier_t *turn;
	size_t bytes, later;
};

/* So many as its magazine holds, and none given back. */
static void *
idle_with_runs(void *arg)
{
	struct idler *me = arg;
	void *p[4];
	for (int i = 0; i < 4; i++)
		p[i] = take(me->arena, me->bytes);
	for (int i = 0; i < 4; i++)
		shoal_free(me->arena, p[i]);
	pthread_barrier_wait(me->turn);
	pthread_barrier_wait(me->turn);
	/* What it had ready may be another one's by now. */
	p[0] = take(me->arena, me->later);
	memset(p[0], 1, me->later);
	shoal_free(me->arena, p[0]);
	return NULL;
}

Test(block, what_lies_ready_with_an_idle_member_is_there_for_others)
{
	static const size_t bytes[] = { 65536, 131072, 500000, 1000000, 100 };
	for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
		shoal_arena_options o = { .limit_bytes = 6 << 20 };
		shoal_arena *a;
		REQUIRE_EQ(shoal_arena_create(NULL, &o, &a), 0);
		pthread_barrier_t turn;
		pthread_t thread;
		struct idler idler = { a, &turn, 1000000, bytes[i] < 70000 ? bytes[i] : 70000 };
		pthread_barrier_init(&turn, NULL, 2);
		REQUIRE_EQ(pthread_create(&thread, NULL, idle_with_runs, &idler), 0);
		pthread_barrier_wait(&turn);
		static void *got[100000];
		size_t n = 0;
		while (n < 100000 && shoal_alloc(a, bytes[i], &got[n]) == 0)
			memset(got[n++], 0x5a, bytes[i]);
		REQUIRE(n * bytes[i] > 4 << 20);
		REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
		shoal_free(a, got[--n]);
		if (bytes[i] < 70000)
			while (n)
				shoal_free(a, got[--n]);
		pthread_barrier_wait(&turn);
		REQUIRE_EQ(pthread_join(thread, NULL), 0);
		while (n) {
			for (size_t k = 0; k < bytes[i]; k++)
				REQUIRE(((char *)got[n - 1])[k] == 0x5a);
			shoal_free(a, got[--n]);
		}
		pthread_barrier_destroy(&turn);
		sound(a);
	}
}

static bool
is_all(const void *p, size_t bytes, char c)
{
	const char *s = p;
	for (size_t i = 0; i < bytes; i++)
		if (s[i] != c)
			return false;
	return true;
}

Test(block, every_size_is_zeroed_aligned_and_apart)
{
	shoal_arena *a = create(NULL, NULL);
	for (int round = 0; round < 3; round++) {
		char *p[SIZES];
		for (int i = 0; i < SIZES; i++) {
			p[i] = take(a, sizes[i]);
			REQUIRE_EQ((uintptr_t)p[i] % (sizes[i] >= 64 ? 64 : 16), 0);
			REQUIRE(is_all(p[i], sizes[i], 0));
			memset(p[i], i + 1, sizes[i]);
		}
		REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
		for (int i = 0; i < SIZES; i++)
			REQUIRE(is_all(p[i], sizes[i], (char)(i + 1)));
		REQUIRE_EQ(info_of(a).blocks, SIZES);
		for (int i = 0; i < SIZES; i++)
			shoal_free(a, p[(i * 7) % SIZES]);
	}
	sound(a);
}

Test(block, classes_hold_what_they_say)
{
	shoal_arena *a = create(NULL, NULL);
	for (unsigned c = 0; c < SMALL_CLASSES; c++) {
		const struct slab_class *s = &slab_classes[c];
		REQUIRE_EQ(slab_class_of(s->bytes), c);
		REQUIRE(c == 0 || slab_class_of(slab_classes[c - 1].bytes + 1) == c);
		REQUIRE(s->blocks_at >= 8 + 8u * s->count);
		REQUIRE(s->blocks_at + s->count * s->bytes <= PAGE_BYTES);
		char *p = take(a, s->bytes);
		for (uint32_t in = 0; in < PAGE_BYTES; in++) {
			struct block_found b;
			uint64_t page = page_of(a, arena_offset(a, p));
			uint64_t offset = arena_page_offset(a, page) + in;
			uint32_t rest = in - s->blocks_at;
			bool begins = in >= s->blocks_at && rest % s->bytes == 0 && rest / s->bytes < s->count;
			REQUIRE_EQ(block_find(a, offset, &b), begins);
		}
		shoal_free(a, p);
	}
	sound(a);
}

Test(block, no_block_begins_outside)
{
	shoal_arena *a = create(NULL, &small);
	static const int64_t far[] = { 0, 4096, -1, INT64_MAX, INT64_MIN };
	struct block_found b;
	for (size_t i = 0; i < sizeof far / sizeof *far; i++)
		REQUIRE(!block_find(a, (uint64_t)far[i], &b));
	REQUIRE(!block_find(a, a->bytes, &b));
	REQUIRE(!block_find(a, a->data_at - 64, &b));
	sound(a);
}

/* What a thread has ready is overwritten: an error, for each class and what is too long for one. */
Test(block, no_damaged_slot_gives_a_block)
{
	static const size_t lengths[] = { 16, 32, 64, 100, 5000 };
	shoal_arena *a = create(NULL, &small);
	struct member *me;
	struct shoal_thread *t;
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		void *p = take(a, lengths[i]);
		struct magazine *g = &me->magazines[slab_class_of(lengths[i])];
		uint32_t count = load_relaxed(&g->count);
		word64 *slot = &g->slot[count - 1];
		uint64_t whole = load_relaxed(slot);
		const uint64_t damage[] = {
			0, 64, 1, UINT64_MAX, INT64_MAX, 1 << 20, a->bytes, whole + (UINT64_C(1) << 40),
		};
		for (size_t k = 0; k < sizeof damage / sizeof *damage; k++) {
			void *q = a;
			store_relaxed(slot, damage[k]);
			REQUIRE_FAILS(shoal_alloc(a, lengths[i], &q), -EPROTO, "overwritten");
			REQUIRE(!q && load_relaxed(&me->hand.block) == 0 && load_relaxed(&g->count) == count);
		}
		store_relaxed(slot, arena_offset(a, p));
		REQUIRE_FAILS(shoal_alloc(a, lengths[i], &p), -EPROTO, "overwritten");
		p = arena_at(a, load_relaxed(slot));
		store_relaxed(slot, whole);
		shoal_free(a, p);
	}
	sound(a);
}

static int
free_it(void *arg)
{
	void **p = arg;
	for (int i = 1; i <= SIZES; i++)
		shoal_free(p[0], p[i]);
	shoal_arena_close(p[0]);
	return 0;
}

/* The length of a run is overwritten: no block reaches beyond the arena. */
Test(block, no_run_ends_outside)
{
	shoal_arena *a = create(NULL, &small);
	char *p = take(a, 3 << PAGE_BITS);
	uint64_t offset = arena_offset(a, p), number = (offset - a->data_at) >> PAGE_BITS;
	word32 *pages = &arena_page(a, number)->pages;
	uint32_t whole = load_relaxed(pages), left = (uint32_t)(a->pages_max - number);
	REQUIRE(block_bytes(a, offset) >= 3 << PAGE_BITS);
	store_relaxed(pages, left);
	REQUIRE_EQ(block_bytes(a, offset), (uint64_t)left << PAGE_BITS);
	store_relaxed(pages, left + 1);
	REQUIRE_EQ(block_bytes(a, offset), 0);
	store_relaxed(pages, UINT32_MAX);
	REQUIRE_EQ(block_bytes(a, offset), 0);
	store_relaxed(pages, 0);
	REQUIRE_EQ(block_bytes(a, offset), 0);
	store_relaxed(pages, whole);
	shoal_free(a, p);
	sound(a);
}

Test(block, another_process_may_free_it)
{
	shoal_arena *a = create(NULL, NULL);
	void **p = shared((SIZES + 1) * sizeof *p);
	p[0] = a;
	for (int i = 0; i < SIZES; i++)
		p[i + 1] = take(a, sizes[i]);
	expect_child(child(free_it, p), 0, 5000);
	sound(a);
}

static int
fill_magazines_and_die(void *arg)
{
	void *p[SIZES];
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < SIZES; i++)
			p[i] = take(arg, sizes[i]);
		for (int i = 0; i < SIZES; i++)
			shoal_free(arg, p[i]);
	}
	raise(SIGKILL);
	return 0;
}

Test(block, magazines_of_a_dead_one_come_back)
{
	shoal_arena *a = create(NULL, NULL);
	shoal_free(a, take(a, 1));
	size_t taken = 0;
	/*
	 * What it had is taken again: once the runs have found their places, the arena does not grow.
	 */
	for (int i = 0; i < 12; i++) {
		expect_killed(child(fill_magazines_and_die, a), SIGKILL, 5000);
		REQUIRE_EQ(shoal_arena_recover(a), 1);
		taken = i < 4 ? info_of(a).taken_bytes : taken;
	}
	REQUIRE_EQ(info_of(a).taken_bytes, taken);
	sound(a);
}

/* In the memset of what it was about to get: the block is in its magazine still. */
static int
die_taking(void *arg)
{
	struct shoal_thread *t;
	struct member *me;
	uint64_t offset;
	REQUIRE_EQ(member_here(arg, &t, &me), 0);
	REQUIRE_EQ(block_take(arg, t, me, 100, &offset), 0);
	raise(SIGKILL);
	return 0;
}

static int
die_taking_a_run(void *arg)
{
	struct shoal_thread *t;
	struct member *me;
	uint64_t offset;
	REQUIRE_EQ(member_here(arg, &t, &me), 0);
	REQUIRE_EQ(block_take(arg, t, me, 3 << 20, &offset), 0);
	raise(SIGKILL);
	return 0;
}

Test(block, what_is_in_a_dead_ones_hand_comes_back)
{
	shoal_arena *a = create(NULL, NULL);
	shoal_free(a, take(a, 1));
	for (int i = 0; i < 3; i++) {
		expect_killed(child(die_taking, a), SIGKILL, 5000);
		expect_killed(child(die_taking_a_run, a), SIGKILL, 5000);
	}
	sound(a);
}

/*
 * Killed with its hand on a run that is not its own yet, which another member takes: that one's new
 * slab page is its own to put on the list, once.
 */
static int
die_before_the_run_is_its_own(void *arg)
{
	struct shoal_thread *t;
	struct member *me;
	shoal_arena *a = arg;
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	hand_fill(&me->page_hand, HAND_PAGE, 0, 0,
	          arena_page_offset(a, load_relaxed(&a->header->pages_high)));
	raise(SIGKILL);
	return 0;
}

Test(block, another_ones_slab_page_is_not_adopted)
{
	shoal_arena *a = create(NULL, NULL);
	struct shoal_thread *t;
	struct member *me;
	REQUIRE_EQ(member_here(a, &t, &me), 0);
	uint64_t high = load_relaxed(&a->header->pages_high);
	expect_killed(child(die_before_the_run_is_its_own, a), SIGKILL, 5000);
	/* Its word says SLAB, and it is not on the list yet. */
	uint64_t page;
	REQUIRE_EQ(page_take(a, t, me, 1, &me->page_hand, HAND_PAGE, &page), 0);
	REQUIRE_EQ(page, high);
	memset(arena_at(a, arena_page_offset(a, page)), 0, slab_classes[5].blocks_at);
	store_release(&arena_page(a, page)->word, block_word(BLOCK_SLAB, member_index(a, me), 5));
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(load_relaxed(&a->header->slab_head[5]), 0);
	/* Its maker's own recovery does. */
	slab_adopt(a, me, arena_page_offset(a, page));
	slab_adopt(a, me, arena_page_offset(a, page));
	REQUIRE_EQ(load_relaxed(&a->header->slab_head[5]), page + 1);
	REQUIRE_EQ(load_relaxed(&arena_page(a, page)->next), 0);
	hand_clear(&me->page_hand);
	sound(a);
}

/* ---- the limit ---- */

enum { MANY = 5000 };

static unsigned
take_all(shoal_arena *a, size_t bytes, void **p)
{
	unsigned n = 0;
	while (n < MANY && shoal_alloc(a, bytes, &p[n]) == 0)
		n++;
	REQUIRE(n < MANY && !p[n]);
	REQUIRE_FAILS(shoal_alloc(a, bytes, &p[n]), -ENOMEM, "limit");
	return n;
}

static void
give_all(shoal_arena *a, void **p, unsigned n)
{
	for (unsigned i = 0; i < n; i += 2)
		shoal_free(a, p[i]);
	for (unsigned i = 1; i < n; i += 2)
		shoal_free(a, p[i]);
}

Test(block, the_limit_is_an_error_and_memory_is_used_again)
{
	static void *p[MANY + 1];
	static const size_t lengths[] = { 64 << 10, 256 << 10, 100 << 10, 1 << 20, 3000000, 64 << 10 };
	shoal_arena *a = create(NULL, &small);
	unsigned first = 0;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		unsigned n = take_all(a, lengths[i], p);
		REQUIRE(n >= 1);
		first = first ? first : n;
		/* Runs that lie side by side become one again, those in a magazine and at the end too. */
		REQUIRE(n * lengths[i] >= (4 << 20) - lengths[i] - (lengths[i] == 100 << 10 ? 2 << 20 : 0));
		REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
		give_all(a, p, n);
		REQUIRE_EQ(info_of(a).blocks, 0);
	}
	REQUIRE_EQ(first, 64);
	sound(a);
}

/* What is free at the end of what was taken so far, and what was never taken, are one run. */
Test(block, the_last_pages_join_the_free_ones_before_them)
{
	shoal_arena *a = create(NULL, &small);
	shoal_free(a, take(a, 1 << 20));
	shoal_free(a, take(a, 60 << 16));
	sound(a);
}

Test(block, small_ones_fill_the_arena_too)
{
	static void *p[MANY + 1];
	shoal_arena *a = create(NULL, &small);
	unsigned n = take_all(a, 4096, p);
	REQUIRE(n > 900);
	give_all(a, p, n);
	REQUIRE_EQ(take_all(a, 4096, p), n);
	give_all(a, p, n);
	sound(a);
}

Test(block, too_much_is_refused)
{
	shoal_arena *a = create(NULL, &small);
	void *p = a;
	REQUIRE_EQ(shoal_alloc(a, SIZE_MAX, &p), -ENOMEM);
	REQUIRE(!p);
	REQUIRE_EQ(shoal_alloc(a, 5 << 20, &p), -ENOMEM);
	REQUIRE(!shoal_new(a, (size_t)1 << 40));
	shoal_free(a, NULL);
	sound(a);
}

/* ---- many at once ---- */

struct crowd {
	shoal_arena *arena;
	word64 box[64]; /* addresses that go from hand to hand: 0 is empty */
};

static void *
swap_blocks(void *arg)
{
	struct crowd *c = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	for (int i = 0; i < 20000; i++) {
		size_t bytes = sizes[rand_r(&seed) % (SIZES - 8)];
		char *p = take(c->arena, bytes);
		if (bytes) {
			REQUIRE(!p[0] && !p[bytes - 1]);
			memset(p, 1, bytes < 100 ? bytes : 100);
		}
		void *old = (void *)(uintptr_t)exchange_acq_rel(&c->box[rand_r(&seed) % 64], (uintptr_t)p);
		shoal_free(c->arena, old);
	}
	return NULL;
}

/*
 * ThreadSanitizer does not see that a block came back by way of another process: there one thread
 * each must do.
 */
static int
swap_in_threads(void *arg)
{
	struct crowd *c = arg;
#ifdef __SANITIZE_THREAD__
	swap_blocks(c);
#else
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, swap_blocks, c), 0);
	swap_blocks(c);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
#endif
	shoal_arena_close(c->arena);
	return 0;
}

Test(block, blocks_go_from_hand_to_hand, .timeout = 60 * HARNESS_SLOW)
{
	struct crowd *c = shared(sizeof *c);
	c->arena = create(NULL, NULL);
	shoal_free(c->arena, take(c->arena, 1));
	pid_t pid[2] = { child(swap_in_threads, c), child(swap_in_threads, c) };
	for (int i = 0; i < 2; i++)
		expect_child(pid[i], 0, 50000);
	for (int i = 0; i < 64; i++)
		shoal_free(c->arena, (void *)(uintptr_t)load_relaxed(&c->box[i]));
	sound(c->arena);
}

Test(block, threads_share_an_arena, .timeout = 60 * HARNESS_SLOW)
{
	struct crowd *c = shared(sizeof *c);
	pthread_t thread[3];
	c->arena = create(NULL, NULL);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, swap_blocks, c), 0);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(pthread_join(thread[i], NULL), 0);
	for (int i = 0; i < 64; i++)
		shoal_free(c->arena, (void *)(uintptr_t)load_relaxed(&c->box[i]));
	sound(c->arena);
}
