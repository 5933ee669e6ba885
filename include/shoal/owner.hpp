/*
 * Part of shoal/shoal.hpp: errors as exceptions, arenas, and the owners of what lives in them.
 */
#ifndef SHOAL_OWNER_HPP
#define SHOAL_OWNER_HPP
#include <shoal/shoal.h>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace shoal {

/* A negative code and its sentence. */
class error : public std::runtime_error {
public:
	explicit error(ssize_t code) : error(code, shoal_error()) {}
	error(ssize_t code, const char *sentence)
	    : std::runtime_error(sentence), code_(static_cast<int>(code)) {}
	int code() const noexcept { return code_; }

private:
	int code_;
};

/*
 * What pthread_exit unwinds with: one who catches everything must throw it on. Other libraries than
 * GNU's have no name for it.
 */
#ifdef __GLIBCXX__
using thread_ends_ = abi::__forced_unwind;
#else
struct thread_ends_ {};
#endif

/* A result that is no failure. */
template <class Result>
Result
check(Result rc)
{
	if (rc < 0)
		throw error(rc);
	return rc;
}

/* Whether it was done: false when there was no time. */
inline bool
in_time(ssize_t rc)
{
	if (shoal_timed_out(rc))
		return false;
	check(rc);
	return true;
}

/* ---- arenas ---- */

class arena {
public:
	/* A new one: private, or under a name. */
	explicit arena(const char *name = nullptr, const shoal_arena_options *options = nullptr)
	{
		check(shoal_arena_create(name, options, &arena_));
	}
	/* Takes over a handle. nullptr is no handle but no name. */
	template <class Handle, std::enable_if_t<std::is_same_v<Handle, shoal_arena>, int> = 0>
	explicit arena(Handle *handle) noexcept : arena_(handle) {}
	arena(arena &&other) noexcept : arena_(std::exchange(other.arena_, nullptr)) {}
	arena &operator=(arena &&other) noexcept
	{
		arena taken(std::move(other));
		std::swap(arena_, taken.arena_);
		return *this;
	}
	~arena() { shoal_arena_close(arena_); }

	static arena attach(const char *name, shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_arena *out;
		check(shoal_arena_attach(name, timeout, &out));
		return arena(out);
	}
	shoal_arena *get() const noexcept { return arena_; }

private:
	shoal_arena *arena_;
};

/* ---- objects of an arena ---- */

/*
 * Owns an object: destroys it at the end, in the process that made the owner. For every kind that
 * has a destroy: shoal::object<shoal_dict, shoal_dict_destroy>. The arena must live as long.
 */
template <class T, int (*destroy)(shoal_arena *, T *)>
class object {
public:
	using type = T;
	object(const arena &in, T *made, bool owned = true) noexcept
	    : arena_(in.get()), object_(made), maker_(owned ? getpid() : 0) {}
	object(object &&other) noexcept
	    : arena_(other.arena_), object_(std::exchange(other.object_, nullptr)),
	      maker_(other.maker_) {}
	object &operator=(object &&other) noexcept
	{
		object taken(std::move(other));
		std::swap(arena_, taken.arena_);
		std::swap(object_, taken.object_);
		std::swap(maker_, taken.maker_);
		return *this;
	}
	~object()
	{
		if (object_ && maker_ == getpid())
			destroy(arena_, object_);
	}
	T *get() const noexcept { return object_; }
	shoal_ref ref() const noexcept { return shoal_ref_of(arena_, object_); }

private:
	shoal_arena *arena_;
	T *object_;
	pid_t maker_;
};

/* With SHOAL_OR_OPEN there may be several who asked for it: then it is nobody's. */
inline bool
is_owned_(unsigned flags)
{
	return !(flags & SHOAL_OR_OPEN);
}
template <class Options>
bool
is_owned_(const Options *options)
{
	return !options || is_owned_(options->flags);
}

/* One that exists under the name, waiting for its maker; a new one, which the owner destroys. */
template <class Object, class Open>
Object
open_(Open open, const arena &in, const char *name, shoal_time timeout)
{
	typename Object::type *out;
	check(open(in.get(), name, timeout, &out));
	return Object(in, out, false);
}
template <class Object, class Create, class... Options>
Object
make_(Create create, bool owned, const arena &in, const char *name, Options... options)
{
	typename Object::type *out;
	check(create(in.get(), name, options..., &out));
	return Object(in, out, owned);
}

/* shoal::lock, and shoal::open_lock(arena, name, timeout), and so on. */
#define SHOAL_OWNER_(noun) \
	using noun = object<shoal_##noun, shoal_##noun##_destroy>; \
	inline noun open_##noun(const arena &in, const char *name, shoal_time timeout = SHOAL_FOREVER) \
	{ \
		return open_<noun>(shoal_##noun##_open, in, name, timeout); \
	}
SHOAL_OWNER_(dict)
SHOAL_OWNER_(list)
SHOAL_OWNER_(lock)
SHOAL_OWNER_(rwlock)
SHOAL_OWNER_(semaphore)
SHOAL_OWNER_(condition)
SHOAL_OWNER_(event)
#undef SHOAL_OWNER_

inline dict
make_dict(const arena &in, const char *name = nullptr)
{
	return make_<dict>(shoal_dict_create, true, in, name, nullptr);
}

inline list
make_list(const arena &in, const char *name = nullptr)
{
	return make_<list>(shoal_list_create, true, in, name, nullptr);
}

inline lock
make_lock(const arena &in, const char *name = nullptr, unsigned flags = 0)
{
	return make_<lock>(shoal_lock_create, is_owned_(flags), in, name, flags);
}

inline rwlock
make_rwlock(const arena &in, const char *name = nullptr, unsigned flags = 0)
{
	return make_<rwlock>(shoal_rwlock_create, is_owned_(flags), in, name, flags);
}

/* `bound` may have SHOAL_SEMAPHORE_OWNED. */
inline semaphore
make_semaphore(const arena &in, const char *name, uint32_t value, uint32_t bound = 0)
{
	return make_<semaphore>(shoal_semaphore_create, true, in, name, value, bound);
}

inline condition
make_condition(const arena &in, const char *name = nullptr)
{
	return make_<condition>(shoal_condition_create, true, in, name);
}

inline event
make_event(const arena &in, const char *name = nullptr)
{
	return make_<event>(shoal_event_create, true, in, name);
}

} // namespace shoal

#endif
