/*
 * shoal for C++17: what a scope opens it closes. The C interface is all there, and get() leads to
 * it.
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
 *	arena                                        owner.hpp
 *	object, dict, list, lock, rwlock,            what owns an object of an arena; make_ and open_
 *	semaphore, condition, event                  and the name are functions that give one
 *	queue, pipe, pipe_end, listener, loan        message.hpp: messages of one type
 *	held, held_again, reading, writing, permit   below: hold a lock to the end of the scope
 *	any, process                                 below
 *	pool, result                                 pool.hpp: tasks that are functions of one argument
 *
 * RESULTS. What goes wrong is thrown, as shoal::error with the sentence of shoal_error(). What is
 * merely not there in time is false, or an empty std::optional.
 *
 * OWNERS move and are not copied. One that was moved from owns nothing: its get() is NULL, an any
 * is nil; it may be assigned to, and nothing else be asked of it. Their ends are as those of the C
 * calls that they make: an owner of an object destroys it for all processes, but one that was
 * opened, made with SHOAL_OR_OPEN, or inherited by a fork, leaves it alone. Processes that a fork
 * made end without unwinding, as C's do.
 *
 * MESSAGES, and what tasks take and give, are copied byte by byte.
 */
#ifndef SHOAL_SHOAL_HPP
#define SHOAL_SHOAL_HPP
#include <shoal/message.hpp>
#include <shoal/owner.hpp>
#include <shoal/pool.hpp>

namespace shoal {

/* ---- locks ---- */

/* Holds a lock, or what is like one, to the end of the scope. */
template <class Lock, auto acquire, auto give, auto... consistent>
class holding {
public:
	explicit holding(Lock &held, shoal_time timeout = SHOAL_FOREVER)
	    : lock_(held), rc_(acquire(&held, timeout))
	{
		if (!shoal_have(rc_) && !shoal_timed_out(rc_))
			throw error(rc_);
	}
	holding(const holding &) = delete;
	holding &operator=(const holding &) = delete;
	~holding()
	{
		if (shoal_have(rc_))
			give(&lock_);
	}
	/* False: not in time. */
	explicit operator bool() const noexcept { return shoal_have(rc_); }
	/* What the lock guards is suspect, until repaired() says that it is whole again. */
	bool suspect() const noexcept { return rc_ == -EOWNERDEAD; }
	void repaired()
	{
		static_assert(sizeof...(consistent) == 1, "a permit is never suspect");
		check((consistent(&lock_), ...));
		rc_ = 0;
	}

private:
	Lock &lock_;
	int rc_;
};

using held = holding<shoal_lock, shoal_lock_acquire, shoal_lock_release, shoal_lock_consistent>;
using held_again =
	holding<shoal_rlock, shoal_rlock_acquire, shoal_rlock_release, shoal_rlock_consistent>;
using reading =
	holding<shoal_rwlock, shoal_rwlock_read, shoal_rwlock_release, shoal_rwlock_consistent>;
using writing =
	holding<shoal_rwlock, shoal_rwlock_write, shoal_rwlock_release, shoal_rwlock_consistent>;
using permit = holding<shoal_semaphore, shoal_semaphore_acquire, shoal_semaphore_release>;

/* ---- values ---- */

/* Owns what a call filled: any v; shoal_dict_get(d, SHOAL_ANY("k"), v.out()); */
class any {
public:
	any() noexcept : any_() {}
	any(any &&other) noexcept : any_(std::exchange(other.any_, shoal_any{})) {}
	any &operator=(any &&other) noexcept
	{
		any taken(std::move(other));
		std::swap(any_, taken.any_);
		return *this;
	}
	~any() { shoal_any_clear(&any_); }

	/*
	 * For the call that is to fill it, as std::out_ptr: what the any was it is to the end of the
	 * whole expression, so that other arguments may be of it, and what the call gave from there on;
	 * nil, if that was nothing. Not to be kept as a pointer.
	 */
	class filling {
	public:
		explicit filling(any &to) noexcept : to_(to) {}
		filling(const filling &) = delete;
		filling &operator=(const filling &) = delete;
		~filling()
		{
			std::swap(to_.any_, given_);
			shoal_any_clear(&given_);
		}
		operator shoal_any *() && noexcept { return &given_; }

	private:
		any &to_;
		shoal_any given_ = {};
	};
	[[nodiscard]] filling out() noexcept { return filling(*this); }
	const shoal_any &view() const noexcept { return any_; }
	const shoal_any *operator->() const noexcept { return &any_; }
	int64_t integer(int64_t otherwise = 0) const { return shoal_any_int(&any_, otherwise); }
	double real(double otherwise = 0) const { return shoal_any_double(&any_, otherwise); }
	const char *string(const char *otherwise = "") const
	{
		return shoal_any_string(&any_, otherwise);
	}
	bool operator==(const any &other) const { return shoal_any_equal(&any_, &other.any_); }
	bool operator!=(const any &other) const { return !(*this == other); }

private:
	shoal_any any_;
};

/* ---- processes ---- */

/*
 * A forked process that runs a function, and is joined at the end of the scope. The function's
 * result is the exit status, 0 where it has none; what it throws is printed, and is 1. It is not
 * copied as bytes, which would mean nothing elsewhere: options with arg_bytes are thrown as -EINVAL,
 * and FORKSERVER and SPAWN are for shoal_process_spawn.
 */
class process {
public:
	template <class Run>
	explicit process(Run run, const shoal_process_options *options = nullptr)
	{
		if (options && options->arg_bytes)
			throw error(-EINVAL, "a function object is not copied as bytes (arg_bytes)");
		check(shoal_process_spawn(&process::trampoline<Run>, &run, options, &process_));
	}
	process(process &&other) noexcept : process_(std::exchange(other.process_, nullptr)) {}
	process &operator=(process &&other) noexcept
	{
		process taken(std::move(other));
		std::swap(process_, taken.process_);
		return *this;
	}
	/*
	 * Waits for its end, also while an exception passes: what it waits for must come then, too. An
	 * interrupt is kept for the next wait, whose result somebody looks at.
	 */
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
	static int trampoline(void *run)
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
		} catch (thread_ends_ &) {
			throw;
		} catch (...) {
			std::fputs("a process ended by an exception\n", stderr);
		}
		return 1;
	}
	shoal_process *process_ = nullptr;
};

} // namespace shoal

#endif
