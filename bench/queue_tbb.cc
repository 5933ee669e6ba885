/* queue_tbb.cc - oneTBB's concurrent_bounded_queue, made for three sizes of messages */
#include "config.h"

#if HAVE_TBB
#include "queue_tbb.h"

#include <cstring>
#include <tbb/concurrent_queue.h>

template <size_t N> struct message {
	char data[N];
};
template <size_t N> using queue_of = tbb::concurrent_bounded_queue<message<N>>;

template <size_t N>
static void *
open_of(size_t messages)
{
	auto *queue = new queue_of<N>;
	queue->set_capacity((long)messages);
	return queue;
}

template <size_t N>
static void
push_of(void *queue, const void *item)
{
	static_cast<queue_of<N> *>(queue)->push(*static_cast<const message<N> *>(item));
}

template <size_t N>
static void
pop_of(void *queue, void *item)
{
	static_cast<queue_of<N> *>(queue)->pop(*static_cast<message<N> *>(item));
}

void *
tbb_queue_open(size_t messages, size_t bytes)
{
	return bytes == 8 ? open_of<8>(messages)
	                  : bytes == 64 ? open_of<64>(messages)
	                                : bytes == 1024 ? open_of<1024>(messages) : nullptr;
}

long
tbb_queue_send(void *queue, const void *item, size_t bytes, size_t)
{
	if (bytes == 8)
		push_of<8>(queue, item);
	else if (bytes == 64)
		push_of<64>(queue, item);
	else
		push_of<1024>(queue, item);
	return 1;
}

long
tbb_queue_recv(void *queue, void *item, size_t bytes, size_t)
{
	if (bytes == 8)
		pop_of<8>(queue, item);
	else if (bytes == 64)
		pop_of<64>(queue, item);
	else
		pop_of<1024>(queue, item);
	return 1;
}
#endif
