/*
 * shoal for C++17: what a scope opens it closes. The C interface is all there, and get() leads to it.
 *
 *	shoal::arena arena;
 *	shoal::queue<job> jobs(arena);
 *	shoal::process worker([&] {
 *		job j;
 *		while (jobs.get(j))
 *			do_it(j);
 *	});
 *	jobs.put({ 1 });
 *	jobs.close();
 *	worker.join();
 *
 * RESULTS. What goes wrong is thrown, as shoal::error with the sentence of shoal_error(). What is merely
 * not there in time is false.
 *
 * OWNERS move and are not copied. Their ends are as those of the C calls that they make: an owner of an
 * object destroys it for all processes, but one that was opened, or inherited by a fork, leaves it alone.
 * Processes that a fork made end without unwinding, as C's do.
 */
#ifndef SHOAL_SHOAL_HPP
#define SHOAL_SHOAL_HPP
#include <shoal/shoal.h>
#include <cstdlib>
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
	explicit arena(shoal_arena *handle) noexcept : arena_(handle) {}
	arena(arena &&other) noexcept : arena_(std::exchange(other.arena_, nullptr)) {}
	arena &operator=(arena other) noexcept
	{
		std::swap(arena_, other.arena_);
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
 * Owns an object: destroys it at the end, in the process that made the owner. For every kind that has
 * a destroy: shoal::object<shoal_dict, shoal_dict_destroy>. The arena must live as long.
 */
template <class T, int (*destroy)(shoal_arena *, T *)>
class object {
public:
	object(const arena &in, T *made, bool owned = true) noexcept
	    : arena_(in.get()), object_(made), maker_(owned ? getpid() : 0) {}
	object(object &&other) noexcept
	    : arena_(other.arena_), object_(std::exchange(other.object_, nullptr)), maker_(other.maker_) {}
	object &operator=(object other) noexcept
	{
		std::swap(arena_, other.arena_);
		std::swap(object_, other.object_);
		std::swap(maker_, other.maker_);
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

using dict = object<shoal_dict, shoal_dict_destroy>;
using list = object<shoal_list, shoal_list_destroy>;

inline dict
make_dict(const arena &in, const char *name = nullptr)
{
	shoal_dict *made;
	check(shoal_dict_create(in.get(), name, nullptr, &made));
	return dict(in, made);
}

inline list
make_list(const arena &in, const char *name = nullptr)
{
	shoal_list *made;
	check(shoal_list_create(in.get(), name, nullptr, &made));
	return list(in, made);
}

/* A queue of values of one type, which are copied as they are. */
template <class T>
class queue : public object<shoal_queue, shoal_queue_destroy> {
	static_assert(std::is_trivially_copyable_v<T>, "messages are copied byte by byte");

public:
	explicit queue(const arena &in, const char *name = nullptr,
	               const shoal_queue_options *options = nullptr)
	    : object(in, made(in, name, options)) {}

	static queue open(const arena &in, const char *name, shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_queue *out;
		check(shoal_queue_open(in.get(), name, timeout, &out));
		return queue(in, out, false);
	}

	/* False: no room in time. */
	bool put(const T &value, shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_queue_put(get(), &value, sizeof value, timeout));
	}
	/*
	 * False: nothing in time, or no more at all; ended() tells which. A message that is shorter than
	 * a T, which another program put, is taken and thrown as -EPROTO; `out` is good for nothing then.
	 */
	bool get(T &out, shoal_time timeout = SHOAL_FOREVER)
	{
		ssize_t rc = shoal_queue_get(get(), &out, sizeof out, timeout);
		ended_ = rc == -EPIPE;
		if (rc >= 0 && static_cast<std::size_t>(rc) != sizeof out)
			throw error(-EPROTO, "a message that is shorter than the queue's type");
		return !ended_ && in_time(rc);
	}
	bool ended() const noexcept { return ended_; }
	void close() noexcept { shoal_queue_close(get()); }
	std::size_t size() const noexcept { return shoal_queue_size(get()); }
	int fd() { return check(shoal_queue_fd(get())); }
	using object::get;

private:
	queue(const arena &in, shoal_queue *q, bool owned) : object(in, q, owned) {}
	static shoal_queue *made(const arena &in, const char *name, const shoal_queue_options *options)
	{
		shoal_queue *out;
		check(shoal_queue_create(in.get(), name, options, &out));
		return out;
	}
	bool ended_ = false;
};

/* ---- locks ---- */

/* Holds a lock to the end of the scope. */
class held {
public:
	explicit held(shoal_lock &lock, shoal_time timeout = SHOAL_FOREVER)
	    : lock_(lock), rc_(shoal_lock_acquire(&lock, timeout))
	{
		if (!shoal_have(rc_) && !shoal_timed_out(rc_))
			throw error(rc_);
	}
	held(const held &) = delete;
	held &operator=(const held &) = delete;
	~held()
	{
		if (shoal_have(rc_))
			shoal_lock_release(&lock_);
	}
	/* False: not in time. */
	explicit operator bool() const noexcept { return shoal_have(rc_); }
	/* What the lock guards is suspect, until repaired() says that it is whole again. */
	bool suspect() const noexcept { return rc_ == -EOWNERDEAD; }
	void repaired()
	{
		check(shoal_lock_consistent(&lock_));
		rc_ = 0;
	}

private:
	shoal_lock &lock_;
	int rc_;
};

/* ---- values ---- */

/* Owns what a call filled: any v; shoal_dict_get(d, SHOAL_ANY("k"), v.out()); */
class any {
public:
	any() noexcept : any_() {}
	any(any &&other) noexcept : any_(std::exchange(other.any_, shoal_any{})) {}
	any &operator=(any other) noexcept
	{
		std::swap(any_, other.any_);
		return *this;
	}
	~any() { shoal_any_clear(&any_); }

	shoal_any *out() noexcept
	{
		shoal_any_clear(&any_);
		return &any_;
	}
	const shoal_any &view() const noexcept { return any_; }
	const shoal_any *operator->() const noexcept { return &any_; }
	int64_t integer(int64_t otherwise = 0) const { return shoal_any_int(&any_, otherwise); }
	double real(double otherwise = 0) const { return shoal_any_double(&any_, otherwise); }
	const char *string(const char *otherwise = "") const { return shoal_any_string(&any_, otherwise); }
	bool operator==(const any &other) const { return shoal_any_equal(&any_, &other.any_); }

private:
	shoal_any any_;
};

/* ---- processes ---- */

/*
 * A forked process that runs a function, and is joined at the end of the scope. The function's result
 * is the exit status, 0 where it has none; what it throws is printed, and is 1.
 */
class process {
public:
	template <class Run>
	explicit process(Run run, const shoal_process_options *options = nullptr)
	{
		check(shoal_process_spawn(&process::trampoline<Run>, &run, options, &process_));
	}
	process(process &&other) noexcept : process_(std::exchange(other.process_, nullptr)) {}
	process &operator=(process other) noexcept
	{
		std::swap(process_, other.process_);
		return *this;
	}
	/* An interrupt is kept for the next wait, whose result somebody looks at. */
	~process()
	{
		if (!process_)
			return;
		int rc = shoal_process_join(process_, SHOAL_FOREVER);
		bool interrupted = rc == -ECANCELED;
		while (rc == -ECANCELED)
			rc = shoal_process_join(process_, SHOAL_FOREVER);
		if (interrupted)
			shoal_thread_interrupt(shoal_thread_self());
		if (rc != -EPERM)
			shoal_process_close(process_);
	}

	/* False: it is running. */
	bool join(shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_process_join(process_, timeout));
	}
	/* Nothing while it runs; minus the signal that ended it. */
	std::optional<int> exitcode() const
	{
		int code;
		if (in_time(shoal_process_exitcode(process_, &code)))
			return code;
		return std::nullopt;
	}
	void terminate() { check(shoal_process_terminate(process_)); }
	shoal_process *get() const noexcept { return process_; }

private:
	template <class Run>
	static int trampoline(void *run) noexcept
	{
		try {
			if constexpr (std::is_void_v<std::invoke_result_t<Run &>>) {
				(*static_cast<Run *>(run))();
				return 0;
			} else {
				return static_cast<int>((*static_cast<Run *>(run))());
			}
		} catch (const std::exception &e) {
			std::fprintf(stderr, "%s: %s\n", shoal_process_name(shoal_process_current()), e.what());
		} catch (...) {
			std::fputs("a process ended by an exception\n", stderr);
		}
		return 1;
	}
	shoal_process *process_ = nullptr;
};

} // namespace shoal

#endif
