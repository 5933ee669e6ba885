/* lock_boost.cc - Boost's interprocess_mutex, where configure has found it; else nothing */
#include "config.h"

#if HAVE_BOOST
#include "lock_boost.h"

#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <cerrno>
#include <new>

using boost::interprocess::interprocess_mutex;

size_t
boost_mutex_bytes(void)
{
	return sizeof(interprocess_mutex);
}

int
boost_mutex_init(void *it)
{
	try {
		new (it) interprocess_mutex;
	} catch (...) {
		return -EINVAL;
	}
	return 0;
}

int
boost_mutex_lock(void *it)
{
	try {
		static_cast<interprocess_mutex *>(it)->lock();
	} catch (...) {
		return -EINVAL;
	}
	return 0;
}

int
boost_mutex_unlock(void *it)
{
	static_cast<interprocess_mutex *>(it)->unlock();
	return 0;
}
#endif
