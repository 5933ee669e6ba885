/* Messages in place: reserve and commit, borrow and release. */
#include "pipe_common.h"
#include "ring/pipe.h"
#include <pthread.h>

static void
commit_text(shoal_pipe_end *end, const char *text, size_t reserved)
{
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_reserve(end, reserved, 0, &loan), 0);
	REQUIRE_EQ((uintptr_t)loan.data % 64, 0);
	strcpy(loan.data, text);
	loan.bytes = strlen(text) + 1;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EINVAL);
}

Test(pipe_loan, what_is_committed_is_received)
{
	struct world w = world_make(0, 0);
	commit_text(w.left, "short", 10);
	commit_text(w.left, "lowered", 100000);
	recv_text(w.right, "short");
	recv_text(w.right, "lowered");
	world_end(w);
}

Test(pipe_loan, a_reservation_takes_no_place)
{
	struct world w = world_make(0, 0);
	shoal_loan first, second;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 8, 0, &first), 0);
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 8, 0, &second), 0);
	send_text(w.left, "between");
	strcpy(second.data, "second");
	REQUIRE_EQ(shoal_loan_commit(&second, 0), 0);
	shoal_loan_release(&first);
	recv_text(w.right, "between");
	char got[8];
	REQUIRE_EQ(shoal_pipe_recv(w.right, got, 8, 0), 8);
	REQUIRE_STR_EQ(got, "second");
	world_end(w);
}

Test(pipe_loan, more_than_reserved_is_refused)
{
	struct world w = world_make(0, 0);
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 64, 0, &loan), 0);
	loan.bytes = 1 << 20;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 1 << 20);
	loan.bytes = 65;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EMSGSIZE);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 10, 0, &loan), 0);
	loan.bytes = 64;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EMSGSIZE);
	shoal_loan copy = loan;
	REQUIRE_EQ(shoal_loan_adopt(&loan), 0);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_loan_adopt(&copy), -EINVAL);
	world_end(w);
}

Test(pipe_loan, a_copy_of_an_ended_one_ends_no_next_to_be_sent)
{
	struct world w = world_make(0, 0);
	char text[8];
	shoal_loan loan, copy, next;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 8, 0, &loan), 0);
	copy = loan;
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 8, 0, &next), 0);
	REQUIRE_EQ(next.data, copy.data);
	REQUIRE_EQ(shoal_loan_adopt(&copy), -EINVAL);
	REQUIRE_EQ(shoal_loan_commit(&copy, 0), -EINVAL);
	shoal_loan_release(&copy);
	REQUIRE_EQ(shoal_loan_adopt(&next), 0);
	strcpy(next.data, "next");
	REQUIRE_EQ(shoal_loan_commit(&next, 0), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, text, sizeof text, 0), 8);
	REQUIRE_STR_EQ(text, "next");
	world_end(w);
}

static int
commit_my_parents(void *arg)
{
	REQUIRE_EQ(shoal_loan_commit(arg, 0), -EPERM);
	return 0;
}

Test(pipe_loan, a_forked_child_cannot_commit_its_parents)
{
	struct world w = world_make(0, 0);
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 64, 0, &loan), 0);
	expect_child(child(commit_my_parents, &loan), 0, 5000);
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
	world_end(w);
}

Test(pipe_loan, a_commit_in_vain_leaves_the_loan)
{
	struct world w = world_make(4096, 0);
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 64, 0, &loan), 0);
	strcpy(loan.data, "late");
	while (shoal_pipe_send(w.left, NULL, 0, 0) == 0)
		continue;
	REQUIRE_EQ(shoal_loan_commit(&loan, SHOAL_MS(5)), -ETIMEDOUT);
	while (shoal_pipe_recv(w.right, NULL, 0, 0) == 0)
		continue;
	loan.bytes = 5;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
	recv_text(w.right, "late");
	world_end(w);
}

/* Ends out of order; the space of what is lent is not written over. */
Test(pipe_loan, borrowed_messages_stay_until_released)
{
	struct world w = world_make(4096, 0);
	shoal_loan loan[3];
	char text[600];
	for (int i = 0; i < 3; i++) {
		memset(text, 'a' + i, sizeof text);
		REQUIRE_EQ(shoal_pipe_send(w.left, text, sizeof text, 0), 0);
		REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan[i]), 0);
		REQUIRE_EQ(loan[i].bytes, sizeof text);
		REQUIRE_EQ(loan[i].deliveries, 1);
	}
	static const int order[] = { 1, 0, 2 };
	for (int i = 0; i < 3; i++) {
		int n = 0;
		while (shoal_pipe_send(w.left, "fill", 5, 0) == 0)
			n++;
		for (; n > 0; n--)
			recv_text(w.right, "fill");
		shoal_loan *l = &loan[order[i]];
		for (size_t k = 0; k < l->bytes; k++)
			REQUIRE_EQ(((char *)l->data)[k], 'a' + order[i]);
		shoal_loan_release(l);
	}
	for (int i = 0; i < 1000; i++) {
		send_text(w.left, "round and round");
		recv_text(w.right, "round and round");
	}
	world_end(w);
}

Test(pipe_loan, a_long_message_is_borrowed_in_its_block)
{
	struct world w = world_make(4096, 0);
	shoal_loan loan;
	char *big = malloc(300000);
	memset(big, 'z', 300000);
	REQUIRE_EQ(shoal_pipe_send(w.left, big, 300000, 0), 0);
	REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan), 0);
	REQUIRE_EQ(loan.bytes, 300000);
	REQUIRE_EQ(memcmp(loan.data, big, 300000), 0);
	shoal_loan_release(&loan);
	shoal_loan_release(&loan);
	free(big);
	world_end(w);
}

Test(pipe_loan, a_thread_has_at_most_32)
{
	struct world w = world_make(0, 0);
	shoal_loan loan[33];
	for (int i = 0; i < 33; i++)
		REQUIRE_EQ(shoal_pipe_reserve(w.left, 1, 0, &loan[i]), i < 32 ? 0 : -EBUSY);
	send_text(w.left, "x");
	REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan[32]), -EBUSY);
	for (int i = 0; i < 32; i++)
		shoal_loan_release(&loan[i]);
	REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan[32]), 0);
	shoal_loan_release(&loan[32]);
	world_end(w);
}

static void *
end_it(void *arg)
{
	shoal_loan *loan = arg;
	uint32_t kind = loan->kind;
	REQUIRE_EQ(shoal_loan_commit(loan, 0), -EPERM);
	shoal_loan_release(loan);
	REQUIRE(loan->kind == kind && strstr(shoal_error(), "another thread"));
	REQUIRE_EQ(shoal_loan_adopt(loan), 0);
	REQUIRE_EQ(shoal_loan_commit(loan, 0), 0);
	return NULL;
}

static void *
release_it(void *arg)
{
	REQUIRE_EQ(shoal_loan_adopt(arg), 0);
	shoal_loan_release(arg);
	return NULL;
}

Test(pipe_loan, adopt_moves_it_to_another_thread)
{
	struct world w = world_make(0, 0);
	shoal_loan loan;
	pthread_t thread;
	REQUIRE_EQ(shoal_pipe_reserve(w.left, 10, 0, &loan), 0);
	strcpy(loan.data, "moved");
	REQUIRE_EQ(pthread_create(&thread, NULL, end_it, &loan), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan), 0);
	REQUIRE_STR_EQ(loan.data, "moved");
	REQUIRE_EQ(pthread_create(&thread, NULL, release_it, &loan), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	send_text(w.left, "in place");
	REQUIRE_EQ(shoal_pipe_borrow(w.right, 0, &loan), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, release_it, &loan), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	world_end(w);
}

static int
hold_loans(void *arg)
{
	struct world *w = arg;
	shoal_loan loan[3];
	REQUIRE_EQ(shoal_pipe_reserve(w->right, 5000, 0, &loan[0]), 0);
	REQUIRE_EQ(shoal_pipe_borrow(w->right, SHOAL_SEC(5), &loan[1]), 0);
	REQUIRE_EQ(shoal_pipe_borrow(w->right, SHOAL_SEC(5), &loan[2]), 0);
	send_text(w->right, "holding");
	for (;;)
		sleep_ms(1000);
	return 0;
}

Test(pipe_loan, a_death_gives_all_of_them_back)
{
	struct world w = world_make(4096, 0);
	shoal_arena_info info;
	char *big = calloc(1, 100000);
	send_text(w.left, "in place");
	REQUIRE_EQ(shoal_pipe_send(w.left, big, 100000, 0), 0);
	pid_t pid = child(hold_loans, &w);
	recv_text(w.left, "holding");
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
	REQUIRE_EQ(info.blocks, 1);
	REQUIRE_EQ(info.messages_dropped, 2);
	free(big);
	world_end(w);
}

/* ---- a pipe that is destroyed while a message of it is borrowed, and the next one ---- */

struct pair {
	shoal_arena *arena;
	shoal_pipe_end *left, *right;
	volatile int borrowed;
};

static void
pair_make(struct pair *p)
{
	static const shoal_pipe_options small = { .ring_bytes = 4096 };
	REQUIRE_EQ(shoal_pipe_create(p->arena, NULL, &small, &p->left, &p->right), 0);
	send_text(p->left, "lent");
}

/* The loan is at the place that one of an earlier pipe had, and stays until it is released. */
static void
expect_kept(struct pair *p, shoal_loan *loan)
{
	for (int i = 0; i < 1000 && shoal_pipe_send(p->left, "over", 5, 0) == 0; i++)
		recv_text(p->right, "over");
	REQUIRE_STR_EQ(loan->data, "lent");
	shoal_loan_release(loan);
	REQUIRE_EQ(shoal_pipe_destroy(p->arena, p->left), 0);
}

Test(pipe_loan, a_dead_pipes_loan_takes_nothing_from_who_has_its_memory)
{
	struct world w = world_make(4096, 0);
	struct pair first = { .arena = w.arena }, next[64];
	shoal_loan old, new;
	pair_make(&first);
	REQUIRE_EQ(shoal_pipe_borrow(first.right, 0, &old), 0);
	REQUIRE_EQ(shoal_pipe_destroy(w.arena, first.left), 0);
	int n = 0;
	do {
		REQUIRE(n < 64);
		next[n].arena = w.arena;
		pair_make(&next[n]);
	} while (next[n++].left != first.left);
	REQUIRE_EQ(shoal_pipe_borrow(next[--n].right, 0, &new), 0);
	REQUIRE(new.data == old.data);
	shoal_loan_release(&old);
	expect_kept(&next[n], &new);
	while (n--)
		REQUIRE_EQ(shoal_pipe_destroy(w.arena, next[n].left), 0);
	world_end(w);
}

static int
borrow_and_stay(void *arg)
{
	struct pair *p = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_pipe_borrow(p->right, 0, &loan), 0);
	p->borrowed = 1;
	for (;;)
		sleep_ms(1000);
	return 0;
}

static uint32_t
object_of(const shoal_pipe_end *left)
{
	return ((const struct pipe *)(const void *)left)->object;
}

Test(pipe_loan, nor_does_its_borrowers_death_from_who_has_its_entry)
{
	struct world w = world_make(4096, 0);
	struct pair *p = shared(sizeof *p);
	shoal_loan loan;
	p->arena = w.arena;
	pair_make(p);
	pid_t pid = child(borrow_and_stay, p);
	for (int i = 0; i < 5000 && !p->borrowed; i++)
		sleep_ms(1);
	REQUIRE(p->borrowed);
	uint32_t object = object_of(p->left);
	REQUIRE_EQ(shoal_pipe_destroy(p->arena, p->left), 0);
	pair_make(p);
	REQUIRE_EQ(object_of(p->left), object);
	REQUIRE_EQ(shoal_pipe_borrow(p->right, 0, &loan), 0);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(p->arena), 1);
	expect_kept(p, &loan);
	world_end(w);
}
