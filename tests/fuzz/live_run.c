#include "live_run.h"
#include "live_guard.h"
#include "live_world.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER 100000u
#define STEPS_MAX 64

/* What is left of the input; zeros at its end. */
static struct { const uint8_t *at, *end; } input;

static uint8_t
next_8(void)
{
	return input.at < input.end ? *input.at++ : 0;
}

static uint16_t
next_16(void)
{
	uint16_t low = next_8();
	return (uint16_t)(low | next_8() << 8);
}

static uint64_t
next_64(void)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v |= (uint64_t)next_8() << 8 * i;
	return v;
}

/* ---- overwrites ---- */

/* Some word of the arena, of those that may be overwritten. */
static uint64_t
any_offset(uint8_t region, uint16_t choice)
{
	const struct live_region *r = &live_regions[region % live_region_count];
	return r->at + choice * UINT64_C(4) % r->bytes;
}

static uint64_t
block_offset(uint8_t i)
{
	void *p = live.block[i % LIVE_BLOCKS];
	return p ? arena_offset(live.arena, p) : live.arena->data_at;
}

static uint64_t
word_at(uint64_t offset)
{
	uint64_t v;
	memcpy(&v, arena_at(live.arena, offset & ~UINT64_C(7)), sizeof v);
	return v;
}

/* What is likely to mean something where it is put, or to be just beside what means something. */
static uint64_t
new_value(uint8_t how, uint64_t old)
{
	uint8_t x = next_8();
	switch (how % 16) {
	case 0: return next_64();
	case 1: return 0;
	case 2: return ~UINT64_C(0);
	case 3: return old + 1;
	case 4: return old - 1;
	case 5: return old ^ UINT64_C(1) << x % 64;
	case 6: return x;
	case 7: return word_at(any_offset(x, next_16()));
	case 8: return block_offset(x);
	case 9: return block_word(x % 8, 0, live_tag[LIVE_ME + x / 8 % 3]);
	case 10: return block_word(BLOCK_OBJECT, x % 16, 0);
	case 11: return slot_word(x % 8, x / 8 % 4, live_tag[LIVE_ME + x / 32 % 3], x / 64);
	case 12: return live.arena->bytes - x;
	case 13: return arena_page_offset(live.arena, x % 64);
	case 14: return old + ((uint64_t)x << next_8() % 64);
	default: return UINT64_C(1) << x % 64;
	}
}

/* A lock that a living thread holds is waited for: only this thread may seem to hold it. */
static uint64_t
lock_value(uint64_t v)
{
	return (v & 0xc0000000) | (v & 1 ? thread_here->tid : 0);
}

/* A region's, or of a part of a container. */
static uint64_t
chosen_offset(void)
{
	uint8_t region = next_8();
	uint16_t choice = next_16();
	uint64_t part = region < 64 ? data_part_word(live.arena, choice, next_16()) : 0;
	return part ? part : any_offset(region, choice);
}

static void
overwrite(void)
{
	uint64_t at = chosen_offset();
	uint8_t how = next_8();
	uint64_t old = word_at(at), v = new_value(how, old);
	bool half = how & 0x80;
	at &= half ? ~UINT64_C(3) : ~UINT64_C(7);
	if (live_is_link(at))
		return;
	if (live_is_lock(at))
		v = lock_value(v), half = true;
	memcpy(arena_at(live.arena, at), &v, half ? 4 : 8);
}

/* ---- calls ---- */

static char buffer[BUFFER];
static uint8_t x, y;
static int ignored;

static shoal_queue *
a_queue(void)
{
	return live.queue[x % LIVE_QUEUES];
}

static shoal_pipe_end *
an_end(void)
{
	return live.end[x % LIVE_PIPES][x / LIVE_PIPES % 2];
}

static shoal_loan *
a_loan(void)
{
	return &live.loan[x % LIVE_LOANS];
}

/* A few bytes, some hundred, or so many that they need a run of pages. */
static size_t
length(void)
{
	return y < 96 ? y : y < 250 ? 200 + (y - 96) * UINT64_C(32) : 70000;
}

static void
put(void)
{
	ignored = shoal_queue_put(a_queue(), buffer, length(), 0);
}

static void
put_many(void)
{
	size_t item = y % 4 ? 8 : length() % 1000;
	ignored = (int)shoal_queue_put_many(a_queue(), buffer, item, x / 6, 0);
}

static void
got(ssize_t n, size_t room)
{
	live_must(n <= (ssize_t)room, "no more than there is room for");
}

static void
get(void)
{
	size_t room = y % 4 ? BUFFER : length();
	char *to = malloc(room + 1);
	got(shoal_queue_get(a_queue(), to, room, 0), room);
	free(to);
}

static void
get_many(void)
{
	size_t item = y % 4 ? 8 : 600, count = x / 6;
	char *to = malloc(item * count + 1);
	got(shoal_queue_get_many(a_queue(), to, item, count, 0), count);
	free(to);
}

static void
get_new(void)
{
	void *to = NULL;
	if (shoal_queue_get_new(a_queue(), &to, 0) >= 0)
		free(to);
}

static void
look_at_queue(void)
{
	shoal_queue_info info;
	shoal_queue *q = a_queue();
	(void)shoal_queue_peek_bytes(q);
	(void)shoal_queue_size(q);
	(void)shoal_queue_empty(q);
	(void)shoal_queue_full(q);
	(void)shoal_queue_stat(q, &info);
}

/* An entry of `loan` that is not used any more. */
static shoal_loan *
empty_loan(void)
{
	for (int i = 0; i < LIVE_LOANS; i++)
		if (!live.loan[i].kind)
			return &live.loan[i];
	return NULL;
}

/* What is lent lies in the arena, and may be written or read from end to end. */
static void
use(const shoal_loan *loan, bool write)
{
	char *p = loan->data;
	live_must(arena_holds(live.arena, p) && loan->bytes <= live.arena->bytes -
	          arena_offset(live.arena, p), "a loan in the arena");
	if (write)
		memset(p, 1, loan->bytes);
	for (size_t i = 0; i < loan->bytes; i += 64)
		buffer[0] ^= p[i];
}

static void
reserve(void)
{
	shoal_loan *loan = empty_loan();
	if (!loan)
		return;
	int rc = y % 2 ? shoal_queue_reserve(a_queue(), length(), 0, loan)
	               : shoal_pipe_reserve(an_end(), length(), 0, loan);
	if (rc == 0)
		use(loan, true);
}

static void
borrow(void)
{
	shoal_loan *loan = empty_loan();
	if (!loan)
		return;
	int rc = y % 2 ? shoal_queue_borrow(a_queue(), 0, loan) : shoal_pipe_borrow(an_end(), 0, loan);
	if (rc == 0)
		use(loan, false);
}

static void
end_loan(void)
{
	switch (y % 5) {
	case 0: ignored = shoal_loan_commit(a_loan(), 0); break;
	case 1: shoal_loan_release(a_loan()); break;
	case 2: (void)shoal_loan_finish(a_loan()); break;
	case 3: (void)shoal_loan_return(a_loan()); break;
	default: (void)shoal_loan_adopt(a_loan()); break;
	}
}

static void
task_done(void)
{
	(void)shoal_queue_task_done(a_queue());
	ignored = shoal_queue_join(a_queue(), 0);
}

static void
close_queue(void)
{
	shoal_queue_close(a_queue());
}

static void
destroy(void)
{
	shoal_queue *q = a_queue();
	/* As for what was destroyed before. */
	guard_allow("is no object of that kind");
	switch (y % 4) {
	case 0:
		live.queue[x % LIVE_QUEUES] = NULL;
		(void)shoal_queue_destroy(live.arena, q);
		break;
	case 1:
		(void)shoal_memory_destroy(live.arena, live.memory);
		live.memory = NULL;
		break;
	default:
		(void)shoal_pipe_destroy(live.arena, an_end());
		live.end[x % LIVE_PIPES][0] = live.end[x % LIVE_PIPES][1] = NULL;
		break;
	}
}

static void
send(void)
{
	ignored = shoal_pipe_send(an_end(), buffer, length(), 0);
}

static void
send_many(void)
{
	ignored = (int)shoal_pipe_send_many(an_end(), buffer, length() % 1000, y % 16, 0);
}

static void
recv(void)
{
	size_t room = y % 4 ? BUFFER : length();
	char *to = malloc(room + 1);
	got(shoal_pipe_recv(an_end(), to, room, 0), room);
	free(to);
}

static void
recv_many(void)
{
	size_t item = y % 4 ? 8 : 100, count = y % 16;
	char *to = malloc(item * count + 1);
	got(shoal_pipe_recv_many(an_end(), to, item, count, 0), count);
	free(to);
}

static void
look_at_pipe(void)
{
	shoal_pipe_info info;
	(void)shoal_pipe_peek_bytes(an_end());
	(void)shoal_pipe_poll(an_end(), 0);
	(void)shoal_pipe_stat(an_end(), &info);
}

static void
close_pipe(void)
{
	if (y % 2)
		shoal_pipe_close(an_end());
	else
		(void)shoal_pipe_give(an_end(), y % 4 ? 0 : getpid());
}

static void
alloc(void)
{
	void **p = &live.block[x % LIVE_BLOCKS];
	if (*p) {
		shoal_free(live.arena, *p);
		*p = NULL;
	} else if (shoal_alloc(live.arena, length(), p) == 0) {
		live_must(arena_holds(live.arena, *p), "a block in the arena");
		memset(*p, 1, length());
	}
}

static void
make(void)
{
	static const char *const names[] = { "queue-0", "new", "half", "pipe-1", "memory", NULL };
	const char *name = names[y % 6];
	shoal_queue_options q = { .capacity = 4, .flags = SHOAL_OR_OPEN };
	shoal_pipe_options p = { .ring_bytes = 4096, .flags = SHOAL_OR_OPEN };
	void *m;
	if (y % 3 == 0)
		(void)shoal_queue_create(live.arena, name, &q, &live.queue[x % LIVE_QUEUES]);
	else if (y % 3 == 1)
		(void)shoal_pipe_create(live.arena, name, &p, &live.end[x % LIVE_PIPES][0], NULL);
	else if (shoal_memory_create(live.arena, name, length(), NULL, NULL, &m) == 0)
		memset(m, 1, length());
}

static void
find(void)
{
	shoal_queue *q;
	size_t bytes;
	void *m;
	char name[16] = "queue-0";
	name[6] = (char)('0' + x % LIVE_QUEUES);
	if (shoal_queue_open(live.arena, name, 0, &q) == 0)
		live.queue[x % LIVE_QUEUES] = q;
	if (shoal_memory_open(live.arena, "memory", 0, &m, &bytes) == 0)
		for (size_t i = 0; i < bytes; i += 64)
			buffer[0] ^= ((char *)m)[i];
	(void)shoal_pipe_open(live.arena, "pipe-1", y % 2, 0, &live.end[1][y % 2]);
	if (shoal_queue_at(live.arena, live.ref[x % LIVE_QUEUES], &q) == 0)
		live.queue[x % LIVE_QUEUES] = q;
	(void)shoal_deref(live.arena, live.ref[x % LIVE_QUEUES]);
	(void)shoal_ref_of(live.arena, live.block[y % LIVE_BLOCKS]);
}

static void
look(const shoal_arena *a)
{
	shoal_arena_info info;
	shoal_object_info object;
	uint64_t objects = 0;
	live_must(shoal_arena_stat(a, &info) == 0, "stat");
	for (uint64_t at = 0; shoal_arena_next(a, &at, &object) == 1; objects++)
		(void)shoal_deref(a, object.ref);
	live_must(objects <= OBJECTS_MAX, "an end to the objects");
}

static void
look_around(void)
{
	look(live.arena);
	(void)shoal_arena_check(live.arena, NULL);
}

static void
recover(void)
{
	(void)shoal_arena_recover(live.arena);
}

/* The other thread keeps it mapped. */
static void
come_back(void)
{
	shoal_arena *a;
	int fd = dup(shoal_arena_fd(live.arena));
	shoal_arena_close(live.arena);
	live.attached = shoal_arena_attach_fd(fd, &a) == 0;
	close(fd);
	live_must(!live.attached || a == live.arena, "the arena that it was");
}

static void
watch(void)
{
	char path[40];
	shoal_arena *a;
	snprintf(path, sizeof path, "/proc/self/fd/%d", shoal_arena_fd(live.arena));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	live_must(fd >= 0, "the arena's file");
	if (shoal_arena_attach_fd(fd, &a) == 0) {
		look(a);
		shoal_arena_close(a);
	}
	close(fd);
}

static void (*const calls[])(void) = {
	put, put_many, get, get_many, get_new, look_at_queue, reserve, borrow, end_loan, task_done,
	close_queue, destroy, send, send_many, recv, recv_many, look_at_pipe, close_pipe, alloc,
	make, find, look_around, recover, come_back, watch, put, get, send, recv, alloc, end_loan,
	borrow,
};

/* A pointer that a program has not, since it destroyed or never had what it named. */
static bool
has_none(void (*call)(void))
{
	bool queue = call == put || call == put_many || call == get || call == get_many ||
	             call == get_new || call == look_at_queue || call == task_done ||
	             call == close_queue || call == destroy || call == reserve || call == borrow;
	bool pipe = call == send || call == send_many || call == recv || call == recv_many ||
	            call == look_at_pipe || call == close_pipe || call == destroy ||
	            call == reserve || call == borrow;
	return (queue && !a_queue()) || (pipe && !an_end());
}

static void
step(void *unused)
{
	uint8_t which = next_8();
	(void)unused;
	if (which < 128) {
		overwrite();
		return;
	}
	void (*call)(void) = calls[which % (sizeof calls / sizeof *calls)];
	x = next_8();
	y = next_8();
	if (!live.attached)
		return;
	if (which < 192)
		data_call(live.arena, &live.data, next_8(), x, y);
	else if (!has_none(call))
		call();
}

void
live_run(const uint8_t *data, size_t bytes)
{
	input.at = data;
	input.end = data + bytes;
	live_restore();
	for (int steps = 0; input.at < input.end && steps < STEPS_MAX; steps++)
		if (!guard_run(step, NULL))
			return;
}
