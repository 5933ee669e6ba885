/* The programs that the README shows, word for word. */
#include "outside.h"

struct account {
	shoal_lock lock;
	long balance;
};

static void
repair(struct account *account)
{
	account->balance = 0;
}

static int
deposit(struct account *account)
{
	int rc = shoal_lock_acquire(&account->lock, SHOAL_SEC(1));
	if (rc == -EOWNERDEAD)                        /* held; its last holder died in the middle */
		repair(account), shoal_lock_consistent(&account->lock);
	else if (rc < 0)
		return rc;                                /* not held */
	account->balance += 10;
	shoal_lock_release(&account->lock);
	return 0;
}

static void
sell(shoal_dict *stock, shoal_dict *sold)
{
	shoal_dict_set(stock, SHOAL_ANY("bolts"), SHOAL_MAP("price", 0.25, "bins", SHOAL_LIST(7, 9)));
	shoal_dict_add_int(sold, SHOAL_ANY("bolts"), 12, NULL);
	shoal_dict_print(stock, stdout);              /* {"bolts": {"price": 0.25, "bins": [7, 9]}} */
	puts("");
}

static int
f(void *q)
{
	return shoal_queue_put_any(q, SHOAL_LIST(42, SHOAL_NIL, "hello"), SHOAL_SEC(1));
}

static int
square(shoal_task *task)
{
	int x = *(const int *)task->in;
	*(int *)task->out = x * x;
	return 0;
}

/* The right column of the table of what is known from Python. */
static void
from_python(shoal_arena *arena)
{
	static shoal_lock lock;
	shoal_queue *q;
	shoal_process *p;
	shoal_pool *pool;
	shoal_dict *d;
	shoal_any x;
	int xs[4] = { 1, 2, 3, 4 }, ys[4];
	SHOAL_HOLD(&lock);
	CHECK(shoal_queue_create(arena, NULL, &(shoal_queue_options){ .capacity = 64 }, &q) == 0);
	CHECK(shoal_process_spawn(f, q, NULL, &p) == 0);
	CHECK(shoal_queue_get_any(q, &x, SHOAL_FOREVER) == 0);
	CHECK(shoal_process_join(p, SHOAL_SEC(5)) == 0 && shoal_process_close(p) == 0);
	CHECK(x.count == 3);
	shoal_any_clear(&x);
	CHECK(shoal_pool_create(NULL, &pool) == 0);
	CHECK(shoal_pool_map(pool, square, xs, sizeof *xs, ys, sizeof *ys, 4, NULL) == 0);
	CHECK(ys[3] == 16);
	shoal_pool_destroy(pool);
	CHECK(shoal_dict_create(arena, NULL, NULL, &d) == 0);
	CHECK(shoal_dict_set(d, SHOAL_ANY("hits"), SHOAL_ANY(1)) == 0);
	CHECK(shoal_dict_destroy(arena, d) == 0 && shoal_queue_destroy(arena, q) == 0);
}

int
readme(shoal_arena *arena)
{
	struct account *account = shoal_new(arena, sizeof *account);
	shoal_dict *stock, *sold;
	CHECK(shoal_dict_create(arena, "stock", NULL, &stock) == 0);
	CHECK(shoal_dict_create(arena, "sold", NULL, &sold) == 0);
	sell(stock, sold);
	CHECK(deposit(account) == 0 && account->balance == 10);
	shoal_free(arena, account);
	from_python(arena);
	CHECK(shoal_dict_destroy(arena, stock) == 0);
	return shoal_dict_destroy(arena, sold);
}
