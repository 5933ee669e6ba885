#include "live_world.h"
#include "ring/group.h"
#include "ring/loan.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct live live;
struct live_region live_regions[LIVE_REGIONS];
unsigned live_region_count;
uint32_t live_tag[4];

static char payload[70000];

#define MUST(x) live_must(x, #x)

/* ---- what stands in the arena ---- */

static void
make_queues(void)
{
	static const unsigned flags[LIVE_QUEUES] = {
		0, 0, SHOAL_QUEUE_REDELIVER, SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE,
		SHOAL_QUEUE_JOINABLE, 0,
	};
	for (int i = 0; i < LIVE_QUEUES; i++) {
		char name[24];
		snprintf(name, sizeof name, "queue-%d", i);
		shoal_queue_options o = { .capacity = i == LIVE_GROUPS ? 64 : 16, .flags = flags[i] };
		MUST(shoal_queue_create(live.arena, name, &o, &live.queue[i]) == 0);
		live.ref[i] = shoal_ref_of(live.arena, live.queue[i]);
		/* Two groups of 16, and some single messages behind them. */
		if (i == LIVE_GROUPS)
			MUST(shoal_queue_put_many(live.queue[i], payload, 8, 32, 0) == 32);
		for (int n = 0; n < 9; n++)
			MUST(shoal_queue_put(live.queue[i], payload, n % 3 ? 8 : 600, 0) == 0);
	}
}

static void
make_pipes(void)
{
	static const unsigned flags[LIVE_PIPES] = { 0, SHOAL_PIPE_SHARED_ENDS, SHOAL_PIPE_SIMPLEX, 0 };
	for (int i = 0; i < LIVE_PIPES; i++) {
		char name[24];
		snprintf(name, sizeof name, "pipe-%d", i);
		shoal_pipe_options o = { .ring_bytes = 4096, .flags = flags[i] };
		shoal_pipe_end **e = live.end[i];
		MUST(shoal_pipe_create(live.arena, name, &o, &e[0], &e[1]) == 0);
		for (int n = 0; n < 6; n++) {
			MUST(shoal_pipe_send(e[1], payload, n % 3 ? 8 : 2000, 0) == 0);
			if (i == 0 || i == 1)
				MUST(shoal_pipe_send(e[0], payload, n % 3 ? 100 : 2000, 0) == 0);
		}
	}
}

static void
make_blocks(void)
{
	static const size_t sizes[LIVE_BLOCKS] = { 1, 16, 100, 600, 600, 2000, 5000, 30000,
		                                   65536, 100000, 600, 8 };
	MUST(shoal_memory_create(live.arena, "memory", 1000, NULL, NULL, &live.memory) == 0);
	for (int i = 0; i < LIVE_BLOCKS; i++)
		MUST(shoal_alloc(live.arena, sizes[i], &live.block[i]) == 0);
	shoal_free(live.arena, live.block[10]);
	live.block[10] = NULL;
}

static void
take_loans(shoal_loan *loan)
{
	char buffer[1000];
	MUST(shoal_queue_reserve(live.queue[0], 600, 0, &loan[0]) == 0);
	MUST(shoal_queue_borrow(live.queue[2], 0, &loan[1]) == 0);
	MUST(shoal_queue_borrow(live.queue[1], 0, &loan[2]) == 0);
	MUST(shoal_queue_borrow(live.queue[3], 0, &loan[3]) == 0);
	MUST(shoal_queue_get(live.queue[3], buffer, sizeof buffer, 0) >= 0);
	MUST(shoal_queue_borrow(live.queue[4], 0, &loan[4]) == 0);
	MUST(shoal_queue_get(live.queue[4], buffer, sizeof buffer, 0) >= 0);
}

static void *
be_the_other(void *ready)
{
	struct member *me;
	struct shoal_thread *t;
	take_loans(live.loan + 6);
	MUST(shoal_pipe_borrow(live.end[0][0], 0, &live.loan[11]) == 0);
	MUST(member_here(live.arena, &t, &me) == 0);
	live_tag[LIVE_OTHER] = member_tag(live.arena, me);
	pthread_barrier_wait(ready);
	for (;;)
		pause();
	return NULL;
}

/* Killed with loans, an object half made, a place that it writes, and a block in its hand. */
static void
be_the_dead(int fd)
{
	shoal_loan loan[6];
	struct member *me;
	struct shoal_thread *t;
	struct object_made made;
	uint64_t block, word, place = 0;
	struct ring ring;
	MUST(member_here(live.arena, &t, &me) == 0);
	take_loans(loan);
	MUST(shoal_pipe_recv(live.end[3][0], payload, sizeof payload, 0) > 0);
	MUST(shoal_pipe_borrow(live.end[3][0], 0, &loan[5]) == 0);
	MUST(object_make(live.arena, t, me, "half", SHOAL_KIND_MEMORY, 0, 0, &made) == 0);
	MUST(object_body(live.arena, t, me, made.index, 600) == 0);
	data_half_change(&live.data);
	MUST(block_take(live.arena, t, me, 900, &block) == 0);
	uint32_t tag = member_tag(live.arena, me);
	MUST(ring_find(live.arena, live.queue[4], &ring) == 0);
	MUST(walk_put(&ring, &place, &word) == WALK_READY);
	store_relaxed(&me->call.object, ring.object);
	store_relaxed(&me->call.pos, place);
	store_relaxed(&ring_slot(&ring, place)->turn, slot_word(WRITING, slot_lap(word), tag, 0));
	MUST(write(fd, &tag, sizeof tag) == sizeof tag);
	raise(SIGKILL);
}

static void
make_people(void)
{
	static pthread_barrier_t ready;
	pthread_t other;
	int fds[2], status;
	MUST(pthread_barrier_init(&ready, NULL, 2) == 0);
	MUST(pthread_create(&other, NULL, be_the_other, &ready) == 0);
	pthread_barrier_wait(&ready);
	MUST(pipe(fds) == 0);
	/* The last to come, since whoever joins recovers the dead. */
	pid_t pid = fork();
	if (pid == 0)
		be_the_dead(fds[1]);
	MUST(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	MUST(read(fds[0], &live_tag[LIVE_DEAD], 4) == 4);
	close(fds[0]);
	close(fds[1]);
}

/* ---- where the words are ---- */

static void
add(const char *what, uint64_t at, uint64_t bytes)
{
	MUST(live_region_count < LIVE_REGIONS && at + bytes <= live.arena->bytes);
	live_regions[live_region_count++] = (struct live_region){ what, at, bytes };
}

static const struct pipe *
the_pipe(int i)
{
	return (const struct pipe *)(const void *)live.end[i][SHOAL_LEFT];
}

static void
add_members(void)
{
	const shoal_arena *a = live.arena;
	for (int i = LIVE_ME; i <= LIVE_DEAD; i++) {
		uint64_t at = arena_offset(a, member_of_tag(a, live_tag[i]));
		add("member", at, offsetof(struct member, loans));
		add("loans", at + offsetof(struct member, loans), sizeof(struct loan_entry) * 8);
		add("magazines", at + offsetof(struct member, magazines),
		    sizeof(struct magazine) * CLASSES);
		/* Those for messages and bodies, more often. */
		unsigned class = slab_class_of(600);
		add("magazine", at + offsetof(struct member, magazines[class]),
		    sizeof(struct magazine) * 2);
	}
}

static void
add_pages(void)
{
	const shoal_arena *a = live.arena;
	uint64_t high = load_relaxed(&a->header->pages_high);
	add("page table", a->pages_at, high * sizeof(struct page));
	for (uint64_t page = 0; page < high; page++) {
		uint64_t word = load_relaxed(&arena_page(a, page)->word);
		if (block_state(word) == BLOCK_SLAB)
			add("slab", arena_page_offset(a, page),
			    8 + 8 * (uint64_t)slab_classes[block_low(word)].count);
	}
}

static void
add_bodies(void)
{
	const shoal_arena *a = live.arena;
	for (int i = 0; i < LIVE_QUEUES; i++) {
		const shoal_queue *q = live.queue[i];
		uint64_t at = arena_offset(a, q);
		/* Where its parts lie, and the rest. */
		add("queue", at, offsetof(struct shoal_queue, closing));
		add("queue", at + offsetof(struct shoal_queue, closing),
		    sizeof *q - offsetof(struct shoal_queue, closing));
		add("rows", at + q->rows_at, q->rows * sizeof(struct queue_row));
		add("slots", at + q->slots_at, (q->mask + 1) * q->stride);
		/* Leaders, more often. */
		for (uint64_t leader = 0; i == LIVE_GROUPS && leader <= q->mask; leader += GROUP_PLACES)
			add("leader", at + q->slots_at + leader * q->stride, SLOT_HEADER);
	}
	for (int i = 0; i < LIVE_PIPES; i++) {
		const struct pipe *p = the_pipe(i);
		uint64_t at = arena_offset(a, p);
		add("ends", at, offsetof(struct pipe, way));
		add("way", at + offsetof(struct pipe, way[0]), sizeof p->way[0]);
		add("way", at + offsetof(struct pipe, way[1]), sizeof p->way[1]);
		add("ring", at + PIPE_RINGS_AT, p->ring_bytes);
		add("ring", at + PIPE_RINGS_AT + p->ring_bytes, p->ring_bytes);
		if (p->flags & SHOAL_PIPE_SHARED_ENDS)
			add("users", at + PIPE_RINGS_AT + 2 * (uint64_t)p->ring_bytes,
			    2 * sizeof(word64) * a->members_max);
	}
}

static void
add_regions(void)
{
	const shoal_arena *a = live.arena;
	add("header", 0, sizeof(struct arena_header));
	add("processes", a->processes_at, a->members_max * sizeof(struct process_record));
	add("objects", a->objects_at, 21 * sizeof(struct object));
	add("names", a->names_at, 21 * sizeof(word32));
	add_members();
	add_pages();
	add_bodies();
	data_each_region(a, &live.data, add);
	data_find_parts(a);
}

/* ---- robust words ---- */

static uint64_t robust_at[128];
static unsigned robust_count, locks_count;

static void
add_robust(const struct robust *r)
{
	robust_at[robust_count++] = arena_offset(live.arena, r);
}

static void
find_robust(void)
{
	shoal_arena *a = live.arena;
	add_robust(&a->header->page_lock);
	add_robust(&a->header->name_lock);
	add_robust(&a->header->hold_lock);
	for (uint32_t i = 1; i <= a->members_max; i++)
		add_robust(&arena_member(a, i)->recovering);
	for (int i = 0; i < LIVE_PIPES; i++)
		for (int side = 0; side < 2; side++) {
			add_robust(&the_pipe(i)->way[side].writing);
			add_robust(&the_pipe(i)->way[side].reading);
		}
	data_each_lock(&live.data, add_robust);
	locks_count = robust_count;
	for (uint32_t i = 1; i <= a->members_max; i++)
		add_robust(&arena_member(a, i)->life);
	for (int i = 0; i < LIVE_QUEUES; i++)
		add_robust(&live.queue[i]->bell);
	for (int i = 0; i < LIVE_PIPES; i++)
		add_robust(&the_pipe(i)->bell);
}

bool
live_is_link(uint64_t offset)
{
	for (unsigned i = 0; i < robust_count; i++)
		if (offset - robust_at[i] < sizeof(struct robust) && offset - robust_at[i] >= 24)
			return true;
	return false;
}

bool
live_is_lock(uint64_t offset)
{
	for (unsigned i = 0; i < locks_count; i++)
		if (offset == robust_at[i])
			return true;
	return false;
}

/* ---- the way back ---- */

static struct {
	uint64_t pages;
	uint64_t *at;
	char *bytes;
	struct live live;
	struct shoal_arena arena;
	struct shoal_thread thread;
	struct robust_head robust;
	struct cursor cursors[CURSORS];
	char pipes[PIPE_HANDLES * PIPE_HANDLE_BYTES];
	uint32_t seats, epoch;
} saved;

#define STEP UINT64_C(4096)
static word32 inputs;

/* Calls fn for each piece of the file that has something in it. */
static void
each_piece(void (*fn)(uint64_t at))
{
	off_t end = (off_t)live.arena->bytes, at = 0;
	while ((at = lseek(live.arena->fd, at, SEEK_DATA)) >= 0 && at < end) {
		off_t hole = lseek(live.arena->fd, at, SEEK_HOLE);
		for (; at < hole; at += (off_t)STEP)
			fn((uint64_t)at);
	}
}

static void
count_piece(uint64_t at)
{
	(void)at;
	saved.pages++;
}

static uint64_t next_piece;

static void
save_piece(uint64_t at)
{
	saved.at[next_piece] = at;
	memcpy(saved.bytes + next_piece++ * STEP, arena_at(live.arena, at), STEP);
}

static void
restore_piece(uint64_t at)
{
	while (next_piece < saved.pages && saved.at[next_piece] < at)
		next_piece++;
	if (next_piece < saved.pages && saved.at[next_piece] == at)
		memcpy(arena_at(live.arena, at), saved.bytes + next_piece * STEP, STEP);
	else
		MUST(fallocate(live.arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		               STEP) == 0);
}

static void
save(void)
{
	struct shoal_thread *t = thread_here;
	each_piece(count_piece);
	saved.at = calloc(saved.pages, sizeof *saved.at);
	saved.bytes = malloc(saved.pages * STEP);
	MUST(saved.at && saved.bytes);
	next_piece = 0;
	each_piece(save_piece);
	saved.live = live;
	saved.arena = *live.arena;
	saved.thread = *t;
	saved.robust = *t->robust;
	memcpy(saved.cursors, t->cursors, sizeof saved.cursors);
	memcpy(saved.pipes, t->pipes, sizeof saved.pipes);
	saved.seats = load_relaxed(&arena_seats[live.arena->seat]);
	saved.epoch = thread_epoch();
}

void
live_restore(void)
{
	struct shoal_thread *t = thread_here;
	fetch_add_relaxed(&inputs, 1);
	next_piece = 0;
	each_piece(restore_piece);
	live = saved.live;
	*live.arena = saved.arena;
	*t = saved.thread;
	*t->robust = saved.robust;
	memcpy(t->cursors, saved.cursors, sizeof saved.cursors);
	memcpy(t->pipes, saved.pipes, sizeof saved.pipes);
	store_relaxed(&arena_seats[live.arena->seat], saved.seats);
	store_relaxed(&thread_page.epoch, saved.epoch);
}

static pthread_t interrupter;
static word32 ended;

/*
 * A wait for one that lives, or seems to, is no fault, and most calls that make or find something
 * have no limit of time: it is interrupted.
 */
static void *
interrupt(void *thread)
{
	for (uint32_t seen = 0; !load_relaxed(&ended); usleep(5000)) {
		uint32_t now = load_relaxed(&inputs);
		if (now == seen)
			shoal_thread_interrupt(thread);
		seen = now;
	}
	return NULL;
}

void
live_end(void)
{
	store_relaxed(&ended, 1);
	MUST(pthread_join(interrupter, NULL) == 0);
}

void
live_begin(void)
{
	static const shoal_arena_options small = { .limit_bytes = 4 << 20, .members_max = 6 };
	struct member *me;
	struct shoal_thread *t;
	MUST(shoal_arena_create(NULL, &small, &live.arena) == 0);
	live.attached = true;
	make_queues();
	make_pipes();
	make_blocks();
	data_make(live.arena, &live.data);
	MUST(member_here(live.arena, &t, &me) == 0);
	live_tag[LIVE_ME] = member_tag(live.arena, me);
	take_loans(live.loan);
	MUST(shoal_pipe_borrow(live.end[0][1], 0, &live.loan[5]) == 0);
	MUST(shoal_arena_check(live.arena, stderr) == 0);
	make_people();
	add_regions();
	find_robust();
	save();
	MUST(pthread_create(&interrupter, NULL, interrupt, thread_here) == 0);
}
