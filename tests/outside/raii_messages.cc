/* Of shoal.hpp: queues, loans, pipes, listeners. */
#include "raii.hpp"
#include <thread>

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
	sums.put(0.25);
	job j;
	CHECK(thrown([&] { shoal::queue<job>::open(arena, "sums").get(j, SHOAL_NOWAIT); }, "shorter") ==
	      -EPROTO);
	/* What no double can be stays where it is. */
	CHECK(shoal_queue_put_any(sums.get(), SHOAL_ANY("a value"), SHOAL_NOWAIT) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(thrown([&] { sums.get(sum, SHOAL_NOWAIT); }, "any") == -EPROTO && sums.size() == 1);
	shoal::any value;
	CHECK(shoal_queue_get_any(sums.get(), value.out(), SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_put(sums.get(), "longer than it", 15, SHOAL_NOWAIT) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(thrown([&] { sums.get(sum, SHOAL_NOWAIT); }, "") == -EMSGSIZE && sums.size() == 1);
	CHECK(thrown([&] { jobs.put({ 0, 0 }); }, "closed") == -EPIPE);
}

/* Written and read in place; given back; another thread's; longer than its type. */
static void
loans(const shoal::arena &arena)
{
	shoal_queue_options options = {};
	options.flags = SHOAL_QUEUE_REDELIVER;
	shoal::queue<job> jobs(arena, "jobs", &options);
	{
		auto room = jobs.reserve();
		*room = { 7, 0.5 };
		CHECK(room.commit() && jobs.size() == 1);
		/* More than a thread may have at a time. */
		for (int i = 0; i < 40; i++)
			auto never_sent = jobs.reserve();
	}
	auto first = jobs.borrow();
	CHECK(first && (*first)->number == 7 && first->deliveries() == 1 && jobs.size() == 0);
	first->give_back();
	{
		auto again = jobs.borrow(SHOAL_NOWAIT);
		CHECK(again && (**again).weight == 0.5 && again->deliveries() == 2);
	}
	CHECK(!jobs.borrow(SHOAL_NOWAIT) && !jobs.ended() && jobs.put({ 8, 0 }));
	auto ints = shoal::queue<int>::open(arena, "jobs");
	CHECK(thrown([&] { ints.borrow(); }, "longer") == -EMSGSIZE && jobs.size() == 0);
	jobs.close();
	CHECK(!jobs.borrow() && jobs.ended());
}

/* A thread's loan, which this one takes over while that one still lives. */
static void
adopting(const shoal::arena &arena)
{
	shoal::queue<job> jobs(arena);
	std::optional<shoal::loan<job>> of_thread;
	shoal::event lent = shoal::make_event(arena), adopted = shoal::make_event(arena);
	std::thread other([&] {
		of_thread.emplace(jobs.reserve());
		shoal_event_set(lent.get());
		CHECK(shoal_event_wait(adopted.get(), SHOAL_SEC(5)) == 0);
	});
	CHECK(shoal_event_wait(lent.get(), SHOAL_SEC(5)) == 0);
	of_thread->adopt();
	**of_thread = { 8, 0 };
	shoal_event_set(adopted.get());
	other.join();
	job j;
	CHECK(of_thread->commit() && jobs.get(j, SHOAL_NOWAIT) && j.number == 8);
}

static void
finishing(const shoal::arena &arena)
{
	shoal_queue_options options = {};
	options.flags = SHOAL_QUEUE_JOINABLE;
	shoal::queue<int> jobs(arena, NULL, &options), none(arena, NULL, NULL);
	shoal::arena unnamed(NULL), handle(shoal::arena(NULL, NULL));
	CHECK(jobs.put(1));
	auto job = jobs.borrow();
	CHECK(job && shoal_queue_join(jobs.get(), SHOAL_NOWAIT) == -EAGAIN);
	job->finish();
	CHECK(shoal_queue_join(jobs.get(), SHOAL_NOWAIT) == 0);
}

/* Both ways, and in place; the pipe goes with its owner. */
static void
pipes(const shoal::arena &arena)
{
	job j;
	{
		shoal::pipe<job> line(arena, "line");
		shoal::process worker([&] {
			job got;
			while (line.right.recv(got, SHOAL_SEC(5)))
				line.right.send({ got.number + 1, 0 });
			CHECK(line.right.ended());
		});
		CHECK(!line.left.poll() && line.left.send({ 1, 0 }));
		CHECK(line.left.poll(SHOAL_SEC(5)) && line.left.recv(j) && j.number == 2);
		auto room = line.left.reserve();
		*room = { 5, 0 };
		CHECK(room.commit());
		auto answer = line.left.borrow(SHOAL_SEC(5));
		CHECK(answer && (*answer)->number == 6 && !line.left.recv(j, SHOAL_NOWAIT));
		CHECK(!line.left.ended() && line.left.fd() >= 0);
		answer.reset();
		auto moved = std::move(line);
		CHECK(!line.left.get() && moved.left.get());
		moved.left.close();
		CHECK(worker.join(SHOAL_SEC(5)) && worker.exitcode() == 0 && !moved.left.get());
	}
	shoal_pipe_end *none;
	CHECK(shoal_pipe_open(arena.get(), "line", SHOAL_LEFT, SHOAL_NOWAIT, &none) == -ENOENT);
}

/* An end that was opened is closed with its owner, unless it was given away. */
static void
given_ends(const shoal::arena &arena)
{
	shoal::pipe<int> given(arena, "given");
	{
		auto end = shoal::pipe_end<int>::open(arena, "given", SHOAL_RIGHT);
		CHECK(end.send(1));
		end.give();
	}
	CHECK(given.right.send(2));
	{
		auto end = shoal::pipe_end<int>::open(arena, "given", SHOAL_RIGHT);
	}
	int n;
	CHECK(given.left.recv(n) && n == 1 && given.left.recv(n) && n == 2);
	CHECK(!given.left.recv(n) && given.left.ended());
}

/* Whoever of several comes first makes it, and none of their ends is its end. */
static void
made_or_opened(const shoal::arena &arena)
{
	shoal_queue_options options = {};
	shoal_pipe_options pipe_options = {};
	options.flags = pipe_options.flags = SHOAL_OR_OPEN;
	{
		shoal::queue<int> first(arena, "either", &options);
		shoal::pipe<int> line(arena, "either_line", &pipe_options);
		auto lock = shoal::make_lock(arena, "either_lock", SHOAL_OR_OPEN);
		{
			shoal::queue<int> second(arena, "either", &options);
			shoal::pipe<int> same(arena, "either_line", &pipe_options);
			CHECK(shoal::make_lock(arena, "either_lock", SHOAL_OR_OPEN).get() == lock.get());
			CHECK(second.put(1) && same.left.get() == line.left.get());
		}
		CHECK(first.put(2) && line.left.send(3));
	}
	auto left = shoal::queue<int>::open(arena, "either", SHOAL_NOWAIT);
	CHECK(shoal_queue_size(left.get()) == 2);
	CHECK(shoal_queue_destroy(arena.get(), left.get()) == 0);
	shoal_pipe_end *end;
	CHECK(shoal_pipe_open(arena.get(), "either_line", SHOAL_RIGHT, SHOAL_NOWAIT, &end) == 0);
	CHECK(shoal_pipe_destroy(arena.get(), end) == 0);
	auto lock = shoal::open_lock(arena, "either_lock", SHOAL_NOWAIT);
	CHECK(shoal_lock_destroy(arena.get(), lock.get()) == 0);
}

static void
clients(const shoal::arena &arena)
{
	shoal::listener<int> server(arena, "server");
	CHECK(!server.accept(SHOAL_NOWAIT) && server.fd() >= 0);
	shoal::process client([&] {
		int n;
		auto end = shoal::pipe_end<int>::connect(arena, "server", SHOAL_SEC(5));
		CHECK(end && end->send(20) && end->recv(n, SHOAL_SEC(5)));
		return n;
	});
	auto end = server.accept(SHOAL_SEC(5));
	int n = 0;
	CHECK(end && end->recv(n, SHOAL_SEC(5)) && n == 20 && end->send(n + 2));
	CHECK(client.join(SHOAL_SEC(5)) && client.exitcode() == 22);
	CHECK(!end->recv(n, SHOAL_SEC(5)) && end->ended());
	shoal_arena_info info;
	end.reset();
	CHECK(shoal_arena_stat(arena.get(), &info) == 0 && info.objects == 1);
	auto connect = [&] { shoal::pipe_end<int>::connect(arena, "nobody", SHOAL_NOWAIT); };
	CHECK(thrown(connect, "nobody") == -ENOENT);
}

void
messages(const shoal::arena &arena)
{
	queues(arena);
	loans(arena);
	adopting(arena);
	finishing(arena);
	pipes(arena);
	given_ends(arena);
	made_or_opened(arena);
	clients(arena);
}
