/*
 * map_boost.cc - what Boost.Interprocess's users write: an unordered_map in a managed segment, one
 * interprocess_mutex around each operation, values in the segment's own strings of bytes
 */
#include "config.h"

#if HAVE_BOOST
#include "map_boost.h"

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <cerrno>
#include <cstring>
#include <new>

namespace bip = boost::interprocess;

/* As managed_shared_memory, on memory that has no name to be left behind. */
using segment = bip::basic_managed_external_buffer<
	char, bip::rbtree_best_fit<bip::mutex_family>, bip::iset_index>;
using manager = segment::segment_manager;
using bytes_t = bip::vector<char, bip::allocator<char, manager>>;
using entry = std::pair<const uint64_t, bytes_t>;
using map_t = boost::unordered_map<uint64_t, bytes_t, boost::hash<uint64_t>,
                                   std::equal_to<uint64_t>, bip::allocator<entry, manager>>;

struct shared {
	bip::interprocess_mutex mutex;
	map_t map;
	explicit shared(manager *m)
		: map(16, boost::hash<uint64_t>(), std::equal_to<uint64_t>(),
		      bip::allocator<entry, manager>(m)) {}
};

void *
boost_map_open(uint32_t keys, size_t bytes)
{
	try {
		size_t room = (size_t)keys * (bytes + 192) * 2 + ((size_t)16 << 20);
		auto *region = new bip::mapped_region(bip::anonymous_shared_memory(room));
		auto *s = new segment(bip::create_only, region->get_address(), room);
		return s->construct<shared>(bip::unique_instance)(s->get_segment_manager());
	} catch (...) {
		return nullptr;
	}
}

int
boost_map_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	auto *s = static_cast<shared *>(map);
	auto *from = static_cast<const char *>(value);
	try {
		bip::scoped_lock<bip::interprocess_mutex> hold(s->mutex);
		auto found = s->map.find(key);
		if (found != s->map.end())
			found->second.assign(from, from + bytes);
		else
			s->map.emplace(key, bytes_t(from, from + bytes, s->map.get_allocator()));
	} catch (...) {
		return -ENOMEM;
	}
	return 0;
}

long
boost_map_get(void *map, uint64_t key, void *value, size_t bytes)
{
	auto *s = static_cast<shared *>(map);
	bip::scoped_lock<bip::interprocess_mutex> hold(s->mutex);
	auto found = s->map.find(key);
	if (found == s->map.end())
		return -ENOENT;
	size_t has = found->second.size();
	std::memcpy(value, found->second.data(), has < bytes ? has : bytes);
	return (long)has;
}
#endif
