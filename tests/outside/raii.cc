/* The C++ of shoal.hpp: what a scope opens it closes; failures are thrown; deaths are told. */
#include <shoal/shoal.hpp>
#include <csignal>
#include <cstring>

#define CHECK(holds) \
	((holds) ? (void)0 : (std::fprintf(stderr, "raii.cc:%d: not so: %s\n", __LINE__, #holds), std::exit(1)))

struct job {
	int number;
	double weight;
};

static void
queues(const shoal::arena &arena)
{
	shoal::queue<job> jobs(arena, "jobs");
	shoal::queue<double> sums(arena, "sums");
	shoal::process worker([&] {
		job j;
		double sum = 0;
		while (jobs.get(j, SHOAL_SEC(5)))
			sum += j.weight;
		CHECK(jobs.ended());
		sums.put(sum);
		return 3;
	});
	auto same = shoal::queue<job>::open(arena, "jobs");
	CHECK(same.get() == jobs.get());
	for (int i = 0; i < 4; i++)
		CHECK(same.put({ i, 0.5 }));
	jobs.close();
	double sum = 0;
	CHECK(sums.get(sum, SHOAL_SEC(5)) && sum == 2 && !sums.get(sum, SHOAL_NOWAIT) && !sums.ended());
	CHECK(worker.join(SHOAL_SEC(5)) && worker.exitcode() == 3);
	try {
		sums.put(0.25);
		shoal::queue<job>::open(arena, "sums").get(*std::make_unique<job>(), SHOAL_NOWAIT);
		CHECK(!"a job is longer than a double");
	} catch (const shoal::error &e) {
		CHECK(e.code() == -EPROTO && std::strstr(e.what(), "shorter"));
	}
	try {
		jobs.put({ 0, 0 });
		CHECK(!"a closed queue takes nothing");
	} catch (const shoal::error &e) {
		CHECK(e.code() == -EPIPE && std::strlen(e.what()) > 0);
	}
}

/* An interrupt that came before does not leave the child to itself, and is not lost. */
static void
interrupts(const shoal::arena &arena)
{
	shoal::queue<int> done(arena);
	int got = 0;
	{
		shoal::process slow([&] {
			usleep(100000);
			done.put(1);
		});
		shoal_thread_interrupt(shoal_thread_self());
	}
	CHECK(shoal_process_children(nullptr, 0) == 0 && done.size() == 1);
	CHECK(done.get(got, SHOAL_NOWAIT) && got == 1);
	try {
		done.get(got, SHOAL_SEC(5));
		CHECK(!"the interrupt is kept");
	} catch (const shoal::error &e) {
		CHECK(e.code() == -ECANCELED);
	}
}

static void
locks(const shoal::arena &arena)
{
	auto *lock = static_cast<shoal_lock *>(shoal_new(arena.get(), sizeof(shoal_lock)));
	{
		shoal::process victim([&] {
			shoal::held h(*lock);
			std::raise(SIGKILL);
		});
		CHECK(victim.join(SHOAL_SEC(5)) && victim.exitcode() == -SIGKILL);
	}
	{
		shoal::held h(*lock, SHOAL_SEC(5));
		CHECK(h && h.suspect());
		h.repaired();
		shoal::process other([&] { return static_cast<bool>(shoal::held(*lock, SHOAL_NOWAIT)); });
		CHECK(other.join() && other.exitcode() == 0);
	}
	CHECK(!shoal_lock_held(lock));
	shoal_free(arena.get(), lock);
}

static void
values(const shoal::arena &arena)
{
	auto dict = shoal::make_dict(arena, "stock");
	auto list = shoal::make_list(arena);
	shoal::any got, all;
	shoal::check(shoal_dict_set(dict.get(), SHOAL_ANY("bolts"), SHOAL_MAP("price", 0.25, "n", true)));
	shoal::check(shoal_dict_get(dict.get(), SHOAL_ANY("bolts"), got.out()));
	CHECK(got->count == 2 && shoal_any_double(shoal_any_find(&got.view(), "price"), 0) == 0.25);
	shoal::check(shoal_list_append(list.get(), SHOAL_ANY("x")));
	shoal::check(shoal_list_get(list.get(), 0, got.out()));
	CHECK(!std::strcmp(got.string(), "x") && got == got);
	shoal::dict moved = std::move(dict);
	CHECK(!dict.get() && shoal_dict_size(moved.get()) == 1);
}

int
main()
{
	shoal::arena arena;
	queues(arena);
	interrupts(arena);
	locks(arena);
	values(arena);
	{
		shoal::process thrower([] { throw std::runtime_error("as it should be"); });
		CHECK(thrower.join(SHOAL_SEC(5)) && thrower.exitcode() == 1);
	}
	shoal_arena_info info;
	CHECK(shoal_arena_stat(arena.get(), &info) == 0 && info.objects == 0);
	CHECK(shoal_arena_check(arena.get(), stderr) == 0);
	std::puts("outside: C++");
}
