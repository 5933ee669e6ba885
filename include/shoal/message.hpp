/*
 * Part of shoal/shoal.hpp: queues, pipes and listeners for messages of one type, and loans.
 */
#ifndef SHOAL_MESSAGE_HPP
#define SHOAL_MESSAGE_HPP
#include <shoal/owner.hpp>
#include <atomic>

namespace shoal {

/* ---- loans ---- */

/*
 * Whether the last call found the end of all, whichever thread made it: threads may receive at
 * once. Nothing else is read because of it, so it orders nothing.
 */
class ended_flag_ {
public:
	ended_flag_() noexcept = default;
	ended_flag_(ended_flag_ &&other) noexcept : ended_(other.get()) {}
	ended_flag_ &operator=(ended_flag_ &&other) noexcept
	{
		set(other.get());
		return *this;
	}
	void set(bool ended) noexcept { ended_.store(ended, std::memory_order_relaxed); }
	bool get() const noexcept { return ended_.load(std::memory_order_relaxed); }

private:
	std::atomic<bool> ended_{ false };
};

/* Whether one came, all of it. A failure is thrown, but for the end of all, which `ended` tells. */
template <class T>
bool
received_(ssize_t rc, ended_flag_ &ended)
{
	ended.set(rc == -EPIPE);
	if (rc >= 0 && static_cast<std::size_t>(rc) != sizeof(T))
		throw error(-EPROTO, "a message that is shorter than its type");
	return rc != -EPIPE && in_time(rc);
}

/*
 * A message in place: *loan. It is its thread's (shoal/base.h). At its end what was borrowed is
 * done with, and what was reserved and not committed never was. Queues and pipe ends give it, and
 * live at least as long as it does.
 */
template <class T>
class loan {
	static_assert(std::is_trivially_copyable_v<T>, "messages are copied byte by byte");
	static_assert(alignof(T) <= 8, "messages in a ring lie at multiples of 8");

public:
	explicit loan(const shoal_loan &lent) noexcept : loan_(lent) {}
	loan(loan &&other) noexcept : loan_(std::exchange(other.loan_, shoal_loan{})) {}
	loan &operator=(loan &&other) noexcept
	{
		loan taken(std::move(other));
		std::swap(loan_, taken.loan_);
		return *this;
	}
	~loan() { release(); }

	T &operator*() const noexcept { return *static_cast<T *>(loan_.data); }
	T *operator->() const noexcept { return static_cast<T *>(loan_.data); }
	/* How often it was delivered, from 1 on. */
	unsigned deliveries() const noexcept { return loan_.deliveries; }

	/* Sends what was reserved. False: no room in time; the loan stands. */
	bool commit(shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_loan_commit(&loan_, timeout));
	}
	void release() noexcept { shoal_loan_release(&loan_); }
	/* Of a JOINABLE queue: released and reported. */
	void finish() { check(shoal_loan_finish(&loan_)); }
	/* To a REDELIVER queue, for another one. */
	void give_back() { check(shoal_loan_return(&loan_)); }
	/* Takes it over from the thread that has it. */
	void adopt() { check(shoal_loan_adopt(&loan_)); }
	shoal_loan *get() noexcept { return &loan_; }

private:
	shoal_loan loan_;
};

/* Room for a message, which the queue or pipe end lends; its next message, if there is one. */
template <class T, class From>
loan<T>
reserve_(int (*reserve)(From *, size_t, shoal_time, shoal_loan *), From *from)
{
	shoal_loan lent;
	check(reserve(from, sizeof(T), SHOAL_NOWAIT, &lent));
	return loan<T>(lent);
}
template <class T, class From>
std::optional<loan<T>>
borrow_(int (*borrow)(From *, shoal_time, shoal_loan *), From *from, shoal_time timeout,
        ended_flag_ &ended)
{
	shoal_loan lent;
	int rc = borrow(from, timeout, &lent);
	std::optional<loan<T>> out;
	if (rc == 0)
		out.emplace(lent);
	if (rc == 0 && lent.bytes > sizeof(T))
		throw error(-EMSGSIZE, "a message that is longer than its type");
	if (!received_<T>(rc ? rc : static_cast<ssize_t>(lent.bytes), ended))
		return std::nullopt;
	return out;
}

/* ---- queues ---- */

/* A queue of values of one type, which are copied as they are. */
template <class T>
class queue : public object<shoal_queue, shoal_queue_destroy> {
	static_assert(std::is_trivially_copyable_v<T>, "messages are copied byte by byte");

public:
	explicit queue(const arena &in, const char *name = nullptr,
	               const shoal_queue_options *options = nullptr)
	    : object(shoal::make_<object>(shoal_queue_create, is_owned_(options), in, name, options)) {}

	static queue open(const arena &in, const char *name, shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_queue *out;
		check(shoal_queue_open(in.get(), name, timeout, &out));
		return queue(opened{}, in, out);
	}

	/* False: no room in time. */
	bool put(const T &value, shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_queue_put(get(), &value, sizeof value, timeout));
	}
	/*
	 * False: nothing in time, or no more at all; ended() tells which. A message that is shorter
	 * than a T, which another program put, is taken and thrown as -EPROTO; `out` is good for
	 * nothing then. A longer one stays, and is thrown as -EMSGSIZE each time, and so does a value
	 * of shoal_queue_put_any, as -EPROTO: only shoal_queue_get_any takes that.
	 */
	bool get(T &out, shoal_time timeout = SHOAL_FOREVER)
	{
		return received_<T>(shoal_queue_get(get(), &out, sizeof out, timeout), ended_);
	}
	/* Memory to write a message in, for commit(). */
	loan<T> reserve() { return reserve_<T>(shoal_queue_reserve, get()); }
	/*
	 * As get, but in place; where that is false there is none. A message that is longer than a T is
	 * taken and thrown too, as -EMSGSIZE.
	 */
	std::optional<loan<T>> borrow(shoal_time timeout = SHOAL_FOREVER)
	{
		return borrow_<T>(shoal_queue_borrow, get(), timeout, ended_);
	}
	/* Of any thread's last call. */
	bool ended() const noexcept { return ended_.get(); }
	void close() noexcept { shoal_queue_close(get()); }
	std::size_t size() const noexcept { return shoal_queue_size(get()); }
	int fd() { return check(shoal_queue_fd(get())); }
	using object::get;

private:
	struct opened {};
	queue(opened, const arena &in, shoal_queue *q) noexcept : object(in, q, false) {}
	ended_flag_ ended_;
};

/* ---- pipes ---- */

/*
 * One end, for messages of one type. One that was opened, connected or accepted is closed when its
 * owner goes; those of a shoal::pipe go with that. Whose an end is: shoal/pipe.h.
 */
template <class T>
class pipe_end {
	static_assert(std::is_trivially_copyable_v<T>, "messages are copied byte by byte");

public:
	explicit pipe_end(shoal_pipe_end *end, bool owned = true) noexcept
	    : end_(end), closer_(owned ? getpid() : 0) {}
	pipe_end(pipe_end &&other) noexcept
	    : end_(std::exchange(other.end_, nullptr)), closer_(other.closer_),
	      ended_(std::move(other.ended_)) {}
	pipe_end &operator=(pipe_end &&other) noexcept
	{
		pipe_end taken(std::move(other));
		std::swap(end_, taken.end_);
		std::swap(closer_, taken.closer_);
		std::swap(ended_, taken.ended_);
		return *this;
	}
	~pipe_end()
	{
		if (closer_ == getpid())
			close();
	}

	static pipe_end open(const arena &in, const char *name, shoal_pipe_side side,
	                     shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_pipe_end *out;
		check(shoal_pipe_open(in.get(), name, side, timeout, &out));
		return pipe_end(out);
	}
	/* Nothing: the listener had no place in time. */
	static std::optional<pipe_end> connect(const arena &in, const char *listener,
	                                       shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_pipe_end *out;
		if (!in_time(shoal_pipe_connect(in.get(), listener, timeout, &out)))
			return std::nullopt;
		return pipe_end(out);
	}

	/* False: no room in time. */
	bool send(const T &value, shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_pipe_send(end_, &value, sizeof value, timeout));
	}
	/* False: nothing in time, or no more at all, as of a queue's get. */
	bool recv(T &out, shoal_time timeout = SHOAL_FOREVER)
	{
		return received_<T>(shoal_pipe_recv(end_, &out, sizeof out, timeout), ended_);
	}
	/* Of any thread's last call. */
	bool ended() const noexcept { return ended_.get(); }
	/* Whether recv would not wait. */
	bool poll(shoal_time timeout = SHOAL_NOWAIT)
	{
		return check(shoal_pipe_poll(end_, timeout)) > 0;
	}
	/* As of a queue. */
	loan<T> reserve() { return reserve_<T>(shoal_pipe_reserve, end_); }
	std::optional<loan<T>> borrow(shoal_time timeout = SHOAL_FOREVER)
	{
		return borrow_<T>(shoal_pipe_borrow, end_, timeout, ended_);
	}
	/* To a process, or to the next one that uses it: it is no longer closed here. */
	void give(pid_t to = 0)
	{
		check(shoal_pipe_give(end_, to));
		closer_ = 0;
	}
	/* No call may be made on it afterwards. */
	void close() noexcept
	{
		if (end_)
			shoal_pipe_close(std::exchange(end_, nullptr));
	}
	int fd() { return check(shoal_pipe_fd(end_)); }
	shoal_pipe_end *get() const noexcept { return end_; }

private:
	shoal_pipe_end *end_;
	pid_t closer_;
	ended_flag_ ended_;
};

/* A new pipe, with its two ends; destroyed as every object is. */
template <class T>
class pipe {
public:
	explicit pipe(const arena &in, const char *name = nullptr,
	              const shoal_pipe_options *options = nullptr)
	    : pipe(in, both(in, name, options), is_owned_(options)) {}

private:
	struct ends { shoal_pipe_end *left, *right; };
	pipe(const arena &in, ends e, bool owned) noexcept
	    : pipe_(in, e.left, owned), left(e.left, false), right(e.right, false) {}
	static ends both(const arena &in, const char *name, const shoal_pipe_options *options)
	{
		ends out;
		check(shoal_pipe_create(in.get(), name, options, &out.left, &out.right));
		return out;
	}
	object<shoal_pipe_end, shoal_pipe_destroy> pipe_;

public:
	pipe_end<T> left, right;
};

/* Gives each client that connects a pipe of its own. */
template <class T>
class listener : public object<shoal_listener, shoal_listener_destroy> {
public:
	listener(const arena &in, const char *name, const shoal_pipe_options *options = nullptr)
	    : object(shoal::make_<object>(shoal_listener_create, is_owned_(options), in, name,
	                                  options)) {}
	/* Nothing: nobody in time. */
	std::optional<pipe_end<T>> accept(shoal_time timeout = SHOAL_FOREVER)
	{
		shoal_pipe_end *out;
		if (!in_time(shoal_listener_accept(get(), timeout, &out)))
			return std::nullopt;
		return pipe_end<T>(out);
	}
	int fd() { return check(shoal_listener_fd(get())); }
};

} // namespace shoal

#endif
