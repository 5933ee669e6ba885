/* queue_boost.cc - Boost.Interprocess's message_queue: a mutex, two conditions, priorities */
#include "config.h"

#if HAVE_BOOST
#include "queue_boost.h"

#include <atomic>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <string>
#include <unistd.h>

namespace bip = boost::interprocess;

void *
boost_queue_open(size_t messages, size_t bytes)
{
	static std::atomic<int> number;
	std::string name = "shoal-bench-" + std::to_string(getpid()) + "-" + std::to_string(number++);
	try {
		auto *queue = new bip::message_queue(bip::create_only, name.c_str(), messages, bytes);
		bip::message_queue::remove(name.c_str());
		return queue;
	} catch (...) {
		bip::message_queue::remove(name.c_str());
		return nullptr;
	}
}

long
boost_queue_send(void *queue, const void *item, size_t bytes, size_t)
{
	try {
		static_cast<bip::message_queue *>(queue)->send(item, bytes, 0);
	} catch (...) {
		return -EIO;
	}
	return 1;
}

long
boost_queue_recv(void *queue, void *item, size_t bytes, size_t)
{
	bip::message_queue::size_type got;
	unsigned priority;
	try {
		static_cast<bip::message_queue *>(queue)->receive(item, bytes, got, priority);
	} catch (...) {
		return -EIO;
	}
	return got == bytes ? 1 : -EMSGSIZE;
}
#endif
