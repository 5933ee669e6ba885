/* What a pipe does for one process that has both ends. */
#include "pipe_common.h"
#include "ring/pipe.h"
#include <sys/mman.h>

Test(pipe, messages_go_both_ways_in_order)
{
	struct world w = world_make(0, 0);
	send_text(w.left, "one");
	send_text(w.left, "two");
	send_text(w.right, "back");
	recv_text(w.right, "one");
	recv_text(w.left, "back");
	recv_text(w.right, "two");
	REQUIRE_EQ(shoal_pipe_recv(w.right, NULL, 0, 0), -EAGAIN);
	world_end(w);
}

Test(pipe, an_empty_message_is_a_message)
{
	struct world w = world_make(0, 0);
	char c;
	REQUIRE_EQ(shoal_pipe_send(w.left, NULL, 0, 0), 0);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w.right), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, &c, 1, 0), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, &c, 1, 0), -EAGAIN);
	world_end(w);
}

Test(pipe, every_length_arrives_whole)
{
	struct world w = world_make(4096, 0);
	unsigned char out[3000], in[3000];
	for (size_t n = 0; n < sizeof out; n += n < 600 ? 1 : 37) {
		for (size_t i = 0; i < n; i++)
			out[i] = (unsigned char)(i * 7 + n);
		REQUIRE_EQ(shoal_pipe_send(w.left, out, n, 0), 0);
		memset(in, 0, sizeof in);
		REQUIRE_EQ(shoal_pipe_recv(w.right, in, sizeof in, 0), (ssize_t)n);
		REQUIRE_EQ(memcmp(out, in, n), 0);
	}
	world_end(w);
}

/*
 * Whatever was received before, by whichever way, an empty pipe gives nothing; and so at every
 * place of the ring, its end among them.
 */
Test(pipe, an_empty_pipe_gives_nothing_after_any_length)
{
	static const size_t lengths[] = { 8, 65, 8, 8, 0, 700, 64, 8, 1, 2000, 8 };
	struct world w = world_make(4096, 0);
	char out[2000], in[2000];
	for (unsigned i = 0; i < 3000; i++) {
		size_t n = lengths[i % (sizeof lengths / sizeof *lengths)];
		memset(out, (int)i, n);
		REQUIRE_EQ(shoal_pipe_send(w.left, out, n, 0), 0);
		REQUIRE_EQ(shoal_pipe_recv(w.right, in, sizeof in, 0), (ssize_t)n);
		REQUIRE_EQ(memcmp(out, in, n), 0);
		REQUIRE_EQ(shoal_pipe_recv(w.right, in, sizeof in, 0), -EAGAIN);
		REQUIRE_EQ(shoal_pipe_recv(w.right, in, 8, 0), -EAGAIN);
	}
	world_end(w);
}

/* Several are under way at each wrap, of lengths that end everywhere in the ring. */
/*
 * Far enough that the reader has tried to put what it has read out of the caches, in every length
 * that it does so for, and with another record's beginning in the last line.
 */
Test(pipe, a_long_stream_arrives_whole)
{
	struct world w = world_make(0, 0);
	static uint64_t out[2048 / 8], in[2048 / 8];
	uint64_t number = 0;
	for (unsigned burst = 0; burst < 200; burst++) {
		for (unsigned i = 0; i < 64; i++) {
			size_t n = 504 + (number + i) * 8 % 1544;
			for (size_t k = 0; k < n / 8; k++)
				out[k] = number + i + k;
			REQUIRE_EQ(shoal_pipe_send(w.left, out, n, 0), 0);
		}
		for (unsigned i = 0; i < 64; i++, number++) {
			size_t n = 504 + number * 8 % 1544;
			REQUIRE_EQ(shoal_pipe_recv(w.right, in, sizeof in, 0), (ssize_t)n);
			for (size_t k = 0; k < n / 8; k++)
				REQUIRE_EQ(in[k], number + k);
		}
	}
	world_end(w);
}

Test(pipe, records_wrap_wherever_the_ring_ends)
{
	struct world w = world_make(4096, 0);
	char message[700];
	unsigned sent = 0, received = 0;
	while (received < 20000) {
		size_t n = 4 + sent * 31 % 690;
		memset(message, (int)sent, n);
		memcpy(message, &sent, sizeof sent);
		int rc = shoal_pipe_send(w.left, message, n, 0);
		if (rc == 0) {
			sent++;
			continue;
		}
		REQUIRE_EQ(rc, -EAGAIN);
		REQUIRE(sent > received + 2);
		for (unsigned burst = 1 + sent % 5; burst && received < sent; burst--, received++) {
			ssize_t got = shoal_pipe_recv(w.right, message, sizeof message, 0);
			REQUIRE_EQ(got, 4 + received * 31 % 690);
			REQUIRE_EQ(memcmp(message, &received, sizeof received), 0);
			REQUIRE(got == 4 || message[got - 1] == (char)received);
		}
	}
	while (shoal_pipe_recv(w.right, message, sizeof message, 0) >= 0)
		received++;
	REQUIRE_EQ(received, sent);
	world_end(w);
}

Test(pipe, a_small_buffer_leaves_the_message)
{
	struct world w = world_make(4096, 0);
	char big[2000] = "big", small[3];
	REQUIRE_EQ(shoal_pipe_send(w.left, "abcd", 4, 0), 0);
	REQUIRE_EQ(shoal_pipe_send(w.left, big, sizeof big, 0), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, small, sizeof small, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 4);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w.right), 4);
	REQUIRE_EQ(shoal_pipe_recv(w.right, big, 4, 0), 4);
	REQUIRE_EQ(shoal_pipe_recv(w.right, small, sizeof small, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 2000);
	REQUIRE_EQ(shoal_pipe_recv(w.right, big, sizeof big, 0), 2000);
	world_end(w);
}

Test(pipe, a_full_ring_refuses_without_waiting)
{
	struct world w = world_make(4096, 0);
	char message[100] = "";
	int n = 0, rc;
	while ((rc = shoal_pipe_send(w.left, message, sizeof message, 0)) == 0)
		n++;
	REQUIRE_EQ(rc, -EAGAIN);
	REQUIRE(n > 30 && n < 41);
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_pipe_send(w.left, message, sizeof message, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= 30000000);
	/* Two are enough wherever the ring ends. */
	REQUIRE_EQ(shoal_pipe_recv(w.right, message, sizeof message, 0), 100);
	REQUIRE_EQ(shoal_pipe_recv(w.right, message, sizeof message, 0), 100);
	REQUIRE_EQ(shoal_pipe_send(w.left, message, sizeof message, 0), 0);
	/* A long one takes a place too, and gives its block back when there is none. */
	while (shoal_pipe_send(w.left, NULL, 0, 0) == 0)
		continue;
	char *big = calloc(1, 50000);
	REQUIRE_EQ(shoal_pipe_send(w.left, big, 50000, 0), -EAGAIN);
	free(big);
	world_end(w);
}

Test(pipe, an_empty_ring_is_waited_for_in_vain)
{
	struct world w = world_make(0, 0);
	char c;
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_pipe_recv(w.right, &c, 1, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= 30000000);
	REQUIRE_EQ(shoal_pipe_recv(w.right, &c, 1, -5), -EAGAIN);
	REQUIRE_EQ(shoal_pipe_poll(w.right, SHOAL_MS(10)), 0);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 0);
	send_text(w.left, "x");
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 1);
	world_end(w);
}

Test(pipe, a_hundred_mebibytes_are_one_message, .timeout = 60)
{
	struct world w = world_make(0, 0);
	size_t n = (size_t)100 << 20;
	unsigned char *out = malloc(n), *in = calloc(1, n);
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(i ^ i >> 11);
	REQUIRE_EQ(shoal_pipe_send(w.left, out, n, 0), 0);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w.right), (ssize_t)n);
	REQUIRE_EQ(shoal_pipe_recv(w.right, in, n, 0), (ssize_t)n);
	REQUIRE_EQ(memcmp(in, out, n), 0);
	free(out);
	free(in);
	world_end(w);
}

Test(pipe, a_message_beyond_the_limit_is_refused)
{
	struct world w = world_make(0, 0);
	REQUIRE_EQ(shoal_pipe_send(w.left, "", (size_t)1 << 32, 0), -EMSGSIZE);
	world_end(w);
}

Test(pipe, batches_go_in_order_and_wrap)
{
	struct world w = world_make(4096, 0);
	uint64_t out[300], in[300];
	for (uint64_t round = 0; round < 200; round++) {
		size_t count = 1 + round % 250;
		for (size_t i = 0; i < count; i++)
			out[i] = round << 32 | i;
		ssize_t sent = shoal_pipe_send_many(w.left, out, 8, count, 0);
		REQUIRE(sent > 0 && sent <= (ssize_t)count && (sent == (ssize_t)count || sent > 200));
		for (ssize_t got = 0, n; got < sent; got += n) {
			n = shoal_pipe_recv_many(w.right, in, 8, 1 + round % 7 * 20, 0);
			REQUIRE(n > 0);
			REQUIRE_EQ(memcmp(in, out + got, (size_t)n * 8), 0);
		}
		REQUIRE_EQ(shoal_pipe_recv_many(w.right, in, 8, 5, 0), -EAGAIN);
	}
	world_end(w);
}

Test(pipe, a_batch_has_no_time_or_too_little)
{
	struct world w = world_make(4096, 0);
	uint64_t items[4] = { 0 };
	while (shoal_pipe_send_many(w.left, items, 8, 4, 0) > 0)
		continue;
	REQUIRE_EQ(shoal_pipe_send_many(w.left, items, 8, 4, 0), -EAGAIN);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, items, 8, 4, -1), -EAGAIN);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, items, 8, 4, 1), -ETIMEDOUT);
	REQUIRE(strstr(shoal_error(), "in time"));
	world_end(w);
}

Test(pipe, a_batch_at_nothing_is_refused)
{
	struct world w = world_make(0, 0);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, NULL, 8, 3, 0), -EINVAL);
	REQUIRE(strstr(shoal_error(), "3 items of 8 bytes"));
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, NULL, 8, 3, 0), -EINVAL);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 0);
	world_end(w);
}

Test(pipe, a_batch_stops_before_another_length)
{
	struct world w = world_make(4096, 0);
	char items[6][3];
	REQUIRE_EQ(shoal_pipe_send_many(w.left, "aaabbbccc", 3, 3, 0), 3);
	send_text(w.left, "other");
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, items, 3, 6, 0), 3);
	REQUIRE_EQ(memcmp(items, "aaabbbccc", 9), 0);
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, items, 3, 6, 0), -EMSGSIZE);
	recv_text(w.right, "other");
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, items, 3, 6, SHOAL_MS(5)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, items, 3, 0, 0), 0);
	world_end(w);
}

Test(pipe, long_items_are_batched_too)
{
	struct world w = world_make(4096, 0);
	char *out = malloc(5 * 3000), *in = calloc(5, 3000);
	for (int i = 0; i < 5 * 3000; i++)
		out[i] = (char)(i * 13);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, out, 3000, 5, 0), 5);
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, in, 3000, 5, 0), 5);
	REQUIRE_EQ(memcmp(in, out, 5 * 3000), 0);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, out, 600, 5, 0), 5);
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, in, 600, 5, 0), 5);
	REQUIRE_EQ(memcmp(in, out, 5 * 600), 0);
	free(out);
	free(in);
	world_end(w);
}

/* The call tells what it sent, and the next wait is the one that ends. */
static void
interrupt_batch(uint32_t item_bytes)
{
	enum { COUNT = 2000 };
	struct world w = world_make(4096, 0);
	char *items = calloc(COUNT, item_bytes);
	shoal_thread_interrupt(shoal_thread_self());
	ssize_t n = shoal_pipe_send_many(w.left, items, item_bytes, COUNT, SHOAL_SEC(5));
	REQUIRE(n > 0 && n < COUNT);
	REQUIRE_EQ(shoal_pipe_send(w.left, items, item_bytes, SHOAL_SEC(5)), -ECANCELED);
	REQUIRE_EQ(shoal_pipe_send(w.left, items, item_bytes, SHOAL_MS(5)), -ETIMEDOUT);
	free(items);
	world_end(w);
}

Test(pipe, an_interrupt_that_cuts_a_batch_short_is_kept)
{
	interrupt_batch(8);
	interrupt_batch(3000);
}

Test(pipe, what_was_sent_is_received_after_close)
{
	struct world w = world_make(0, 0);
	send_text(w.left, "last");
	shoal_pipe_close(w.left);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 1);
	REQUIRE_EQ(shoal_pipe_send(w.right, "x", 1, 0), -EPIPE);
	recv_text(w.right, "last");
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), 1);
	REQUIRE_EQ(shoal_pipe_peek_bytes(w.right), -EPIPE);
	REQUIRE_EQ(shoal_pipe_recv(w.right, NULL, 0, SHOAL_FOREVER), -EPIPE);
	REQUIRE_EQ(shoal_pipe_send(w.left, "x", 1, 0), -EPIPE);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EPIPE);
	world_end(w);
}

/* Also by one that had room enough, and was refused once. */
Test(pipe, each_send_to_a_closed_end_is_refused)
{
	static const size_t lengths[] = { 8, 16, 64, 100, 1 };
	char message[100] = "";
	for (size_t i = 0; i < 5; i++) {
		struct world w = world_make(0, 0);
		for (int k = 0; k < 20; k++)
			REQUIRE_EQ(shoal_pipe_send(w.right, message, lengths[i], 0), 0);
		shoal_pipe_close(w.left);
		for (int k = 0; k < 5; k++)
			REQUIRE_EQ(shoal_pipe_send(w.right, message, lengths[i], 0), -EPIPE);
		world_end(w);
	}
}

/* The blocks of messages that nobody can receive any more come back at the close. */
Test(pipe, a_closed_end_keeps_no_blocks)
{
	struct world w = world_make(0, 0);
	shoal_arena_info info;
	char *big = calloc(1, 200000);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_pipe_send(w.left, big, 200000, 0), 0);
	shoal_pipe_close(w.right);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
	REQUIRE_EQ(info.blocks, 1);
	free(big);
	world_end(w);
}

Test(pipe, destroying_frees_what_is_under_way)
{
	struct world w = world_make(0, 0);
	char *big = calloc(1, 200000);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_pipe_send(w.left, big, 200000, 0), 0);
	free(big);
	world_end(w);
}

Test(pipe, simplex_goes_from_right_to_left)
{
	struct world w = world_make(0, SHOAL_PIPE_SIMPLEX);
	char c;
	send_text(w.right, "ok");
	recv_text(w.left, "ok");
	REQUIRE_EQ(shoal_pipe_send(w.left, "x", 1, 0), -EPERM);
	REQUIRE_EQ(shoal_pipe_recv(w.right, &c, 1, 0), -EPERM);
	REQUIRE_EQ(shoal_pipe_poll(w.right, 0), -EPERM);
	REQUIRE_EQ(shoal_pipe_send_many(w.left, "x", 1, 1, 0), -EPERM);
	REQUIRE_EQ(shoal_pipe_recv_many(w.right, &c, 1, 1, 0), -EPERM);
	world_end(w);
}

Test(pipe, bad_options_are_refused)
{
	struct world w = world_make(0, 0);
	shoal_pipe_end *l, *r;
	static const shoal_pipe_options bad[] = {
		{ .ring_bytes = 5000 },
		{ .ring_bytes = 2048 },
		{ .flags = 64 },
		{ .reserved_ = { 0, 1 } },
	};
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(shoal_pipe_create(w.arena, NULL, &bad[i], &l, &r), -EINVAL);
	REQUIRE_EQ(shoal_pipe_create(w.arena, "a b", NULL, &l, &r), -EINVAL);
	REQUIRE_EQ(shoal_pipe_create(w.arena, "p", NULL, &l, &r), -EEXIST);
	REQUIRE_EQ(shoal_pipe_open(w.arena, "p", (shoal_pipe_side)2, 0, &l), -EINVAL);
	REQUIRE_EQ(shoal_pipe_open(w.arena, "absent", SHOAL_LEFT, 0, &l), -ENOENT);
	world_end(w);
}

Test(pipe, nothing_in_the_place_of_an_arena_or_a_result_is_refused)
{
	struct world w = world_make(4096, 0);
	shoal_pipe_end *end = NULL;
	REQUIRE_EQ(shoal_pipe_create(NULL, "x", NULL, &end, NULL), -EINVAL);
	REQUIRE_EQ(shoal_pipe_open(NULL, "p", SHOAL_LEFT, 0, &end), -EINVAL);
	REQUIRE_EQ(shoal_pipe_open(w.arena, "p", SHOAL_LEFT, 0, NULL), -EINVAL);
	REQUIRE_EQ(shoal_pipe_at(NULL, shoal_ref_of(w.arena, w.left), &end), -EINVAL);
	REQUIRE_EQ(shoal_pipe_at(w.arena, shoal_ref_of(w.arena, w.left), NULL), -EINVAL);
	REQUIRE_EQ(shoal_pipe_destroy(NULL, w.left), -EINVAL);
	REQUIRE_EQ(shoal_pipe_stat(w.left, NULL), -EINVAL);
	REQUIRE(strstr(shoal_error(), "shoal_pipe_stat needs a place"));
	world_end(w);
}

Test(pipe, it_is_found_by_name_and_by_reference)
{
	struct world w = world_make(0, 0);
	shoal_pipe_end *end;
	REQUIRE_EQ(shoal_pipe_open(w.arena, "p", SHOAL_RIGHT, 0, &end), 0);
	REQUIRE(end == w.right);
	REQUIRE_EQ(shoal_pipe_at(w.arena, shoal_ref_of(w.arena, w.left), &end), 0);
	REQUIRE(end == w.left);
	REQUIRE_EQ(shoal_pipe_at(w.arena, shoal_ref_of(w.arena, w.right), &end), 0);
	REQUIRE(end == w.right);
	shoal_pipe_end *l, *r;
	shoal_pipe_options o = { .flags = SHOAL_OR_OPEN };
	REQUIRE_EQ(shoal_pipe_create(w.arena, "p", &o, &l, &r), 0);
	REQUIRE(l == w.left && r == w.right);
	world_end(w);
}

Test(pipe, stat_counts)
{
	struct world w = world_make(8192, 0);
	shoal_pipe_info info;
	for (int i = 0; i < 5; i++)
		send_text(w.left, "12345");
	recv_text(w.right, "12345");
	REQUIRE_EQ(shoal_pipe_stat(w.left, &info), 0);
	REQUIRE_EQ(info.sent, 5);
	REQUIRE_EQ(info.received, 0);
	REQUIRE_EQ(info.ring_bytes, 8192);
	REQUIRE_EQ(info.left_owner, info.right_owner);
	REQUIRE_EQ(shoal_pipe_stat(w.right, &info), 0);
	REQUIRE_EQ(info.received, 1);
	REQUIRE_EQ(info.waiting_bytes, 4 * 16);
	world_end(w);
}

/* Another pipe at the same address is another pipe, also to a thread that used the first. */
Test(pipe, a_new_pipe_at_an_old_address_is_new)
{
	struct world w = world_make(4096, 0);
	for (int i = 0; i < 50; i++) {
		shoal_pipe_options o = { .ring_bytes = i % 2 ? 4096 : 8192 };
		shoal_pipe_end *l, *r;
		char c = 0;
		REQUIRE_EQ(shoal_pipe_create(w.arena, NULL, &o, &l, &r), 0);
		REQUIRE_EQ(shoal_pipe_recv(r, &c, 1, 0), -EAGAIN);
		for (char n = 0; n < 20; n++)
			REQUIRE_EQ(shoal_pipe_send(l, &n, 1, 0), 0);
		REQUIRE_EQ(shoal_pipe_recv(r, &c, 1, 0), 1);
		REQUIRE_EQ(shoal_pipe_destroy(w.arena, l), 0);
	}
	world_end(w);
}

/* A position that was overwritten: nothing is read behind the ring, whose last header ends it. */
Test(pipe, no_record_begins_across_the_end_of_its_ring)
{
	enum { RING = 4096 };
	struct pipe_message m;
	char *ring = mmap(NULL, 2 * RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(ring != MAP_FAILED);
	REQUIRE_EQ(mprotect(ring + RING, RING, PROT_NONE), 0);
	store_relaxed((word64 *)(void *)(ring + RING - 8), record_word(RECORD_INLINE, 0, 0));
	for (uint64_t pos = RING - 8; pos < RING; pos++) {
		REQUIRE_EQ(way_look(ring, RING - 1, pos, &m), 1);
		REQUIRE_EQ(m.pos, RING - 8);
		REQUIRE_EQ(m.next, RING);
	}
	/* One that would not end in it is damage. */
	store_relaxed((word64 *)(void *)(ring + RING - 8), record_word(RECORD_INLINE, 0, 1));
	REQUIRE_EQ(way_look(ring, RING - 1, RING - 8, &m), -EPROTO);
	store_relaxed((word64 *)(void *)(ring + RING - 8), record_word(RECORD_BLOCK, 0, 1));
	REQUIRE_EQ(way_look(ring, RING - 1, RING - 8, &m), -EPROTO);
	munmap(ring, 2 * RING);
}
