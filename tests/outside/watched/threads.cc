/* Of one owner threads may use at once what processes may: ThreadSanitizer sees the headers' code. */
#include "../raii.hpp"
#include <atomic>
#include <thread>

/* Both have called once before they begin, so that no order of the first calls hides the others. */
template <class Receive>
static void
at_once(Receive receive)
{
	std::atomic<int> ready{ 0 };
	auto begin = [&] {
		receive();
		ready.fetch_add(1, std::memory_order_relaxed);
		while (ready.load(std::memory_order_relaxed) < 2)
			std::this_thread::yield();
		for (int i = 0; i < 100; i++)
			receive();
	};
	std::thread one(begin), other(begin);
	one.join();
	other.join();
}

int
main()
{
	shoal::arena arena;
	shoal::queue<int> queue(arena);
	shoal::pipe<int> line(arena);
	at_once([&] {
		int got;
		CHECK(!queue.get(got, SHOAL_NOWAIT) && !queue.borrow(SHOAL_NOWAIT) && !queue.ended() &&
		      !line.left.recv(got, SHOAL_NOWAIT) && !line.left.ended());
	});
	queue.close();
	shoal::queue<int> moved = std::move(queue);
	at_once([&] { CHECK(!moved.borrow() && moved.ended()); });
	std::puts("outside: threads");
}
