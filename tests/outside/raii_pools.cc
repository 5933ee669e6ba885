/* Of shoal.hpp: pools, whose tasks are functions, and results. */
#include "raii.hpp"
#include <pthread.h>

static double
half(int n)
{
	if (n < 0)
		throw shoal::error(-ERANGE, "less than nothing");
	if (n == 13)
		throw std::runtime_error("no thirteen");
	if (n == 12)
		throw shoal::error(5, "no negative code");
	if (n == 14)
		throw shoal::error(-ETIMEDOUT, "too late");
	return n / 2.0;
}

static job
weigh(const job &j) noexcept
{
	return { j.number + 1, 2 * j.weight };
}

static int
stay(int)
{
	for (;;)
		pause();
}

static int
leave(int)
{
	pthread_exit(nullptr);
}

static void
tasks()
{
	shoal::pool pool(2);
	CHECK(pool.apply<half>(5) == 2.5 && pool.apply<weigh>({ 1, 0.5 }).weight == 1);
	CHECK(thrown([&] { pool.apply<half>(-1); }, "less than nothing") == -ERANGE);
	CHECK(thrown([&] { pool.apply<half>(13); }, "no thirteen") == -EIO);
	CHECK(thrown([&] { pool.apply<half>(12); }, "no negative code") == -EIO);

	auto good = pool.submit<half>(7), bad = pool.submit<half>(-7);
	CHECK(good.answer(SHOAL_SEC(10)) == 3.5 && good.ready() && good.answer() == 3.5);
	CHECK(!good.cancel() && bad.wait(SHOAL_SEC(10)));
	CHECK(thrown([&] { bad.answer(); }, "less than nothing") == -ERANGE);

	auto late = pool.submit<half>(14);
	CHECK(thrown([&] { late.answer(SHOAL_SEC(10)); }, "too late") == -ETIMEDOUT);

	auto all = pool.map<half>({ 1, 2, 3 });
	CHECK(all.size() == 3 && all[0] == 0.5 && all[2] == 1.5);
	CHECK(thrown([&] { pool.map<half>({ 1, 13, -3 }); }, "no thirteen") == -EIO);
	int codes[3];
	shoal_map_options tell = {};
	tell.codes = codes;
	all = pool.map<half>({ 1, 13, 3 }, &tell);
	CHECK(codes[0] == 0 && codes[1] == -EIO && codes[2] == 0 && all[2] == 1.5);
	shoal_pool_info info;
	CHECK(shoal_pool_stat(pool.get(), &info) == 0 && info.deaths == 0);
	auto moved = std::move(pool);
	moved.close();
	CHECK(moved.join(SHOAL_SEC(10)) && !pool.get());
	CHECK(thrown([&] { moved.apply<half>(1); }, "") == -EPIPE);
}

/* The end of a task's thread is its worker's, and no exception of the task. */
static void
leaves()
{
	shoal::pool pool(1);
	CHECK(thrown([&] { pool.apply<leave>(1); }, "exited with status 0") == -EOWNERDEAD);
}

/* A pool that goes takes along what is pending; its results remain. */
static void
ends()
{
	std::optional<shoal::result<int>> running, pending;
	{
		shoal_pool_options options = {};
		options.workers = 1;
		shoal::pool pool(options);
		running = pool.submit<stay>(1);
		pending = pool.submit<stay>(2);
		CHECK(!running->wait(SHOAL_MS(1)) && !running->answer(SHOAL_NOWAIT) && !running->ready());
		CHECK(pending->cancel() && pending->wait(SHOAL_SEC(10)));
		CHECK(shoal_result_code(pending->get()) == -ECANCELED);
	}
	CHECK(thrown([&] { running->answer(SHOAL_SEC(10)); }, "") == -ECANCELED);
	shoal::pool pool(1);
	pool.terminate();
	CHECK(pool.join(SHOAL_SEC(10)));
}

void
pools()
{
	tasks();
	leaves();
	ends();
}
