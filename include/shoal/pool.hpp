/*
 * Part of shoal/shoal.hpp: pools whose tasks are functions of one argument, and their results.
 *
 *	double half(int n) { return n / 2.0; }
 *	...
 *	shoal::pool pool;
 *	double six = pool.apply<half>(12);
 *	shoal::result<double> later = pool.submit<half>(14);
 *	std::vector<double> all = pool.map<half>({ 1, 2, 3 });
 */
#ifndef SHOAL_POOL_HPP
#define SHOAL_POOL_HPP
#include <shoal/owner.hpp>
#include <vector>

namespace shoal {

/* What a function of one argument takes and gives. */
template <class Function> struct signature;
template <class Out, class In> struct signature<Out (*)(In)> {
	using in = std::decay_t<In>;
	using out = Out;
	static_assert(std::is_trivially_copyable_v<in> && std::is_trivially_copyable_v<out>,
	              "what a task takes and gives is copied byte by byte");
	static_assert(alignof(in) <= 16, "what a task takes lies at multiples of 16 at most");
};
template <class Out, class In>
struct signature<Out (*)(In) noexcept> : signature<Out (*)(In)> {};
template <auto run> using task_in = typename signature<decltype(run)>::in;
template <auto run> using task_out = typename signature<decltype(run)>::out;

/* The task of a function. What that throws is the task's error text; an error has its code too. */
template <auto run>
int
task_(shoal_task *t)
{
	try {
		const task_out<run> answer = run(*static_cast<const task_in<run> *>(t->in));
		return shoal_task_reply(t, &answer, sizeof answer);
	} catch (const error &e) {
		const int rc = shoal_task_fail(t, "%s", e.what());
		return e.code() < 0 ? e.code() : rc;
	} catch (const std::exception &e) {
		return shoal_task_fail(t, "%s", e.what());
	} catch (thread_ends_ &) {
		throw;
	} catch (...) {
		return shoal_task_fail(t, "a task ended by an exception");
	}
}

/* What a task will have given. Freed before that, it is discarded. */
template <class T>
class result {
public:
	explicit result(shoal_result *made) noexcept : result_(made) {}
	result(result &&other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
	result &operator=(result &&other) noexcept
	{
		result taken(std::move(other));
		std::swap(result_, taken.result_);
		return *this;
	}
	~result() { shoal_result_free(result_); }

	/* False: not ready in time. */
	bool wait(shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_result_wait(result_, timeout));
	}
	/* Nothing: not ready in time. The task's own failure is thrown, each time. */
	std::optional<T> answer(shoal_time timeout = SHOAL_FOREVER)
	{
		static_assert(std::is_default_constructible_v<T>, "an answer is copied into a T that is there");
		T out;
		if (!wait(timeout))
			return std::nullopt;
		check(shoal_result_get(result_, &out, sizeof out, SHOAL_NOWAIT));
		return out;
	}
	bool ready() const noexcept { return shoal_result_ready(result_); }
	/* Whether it was not begun and never will be; false: it runs, or has ended. */
	bool cancel()
	{
		int rc = shoal_result_cancel(result_);
		return rc != -EBUSY && rc != -EALREADY && check(rc) == 0;
	}
	shoal_result *get() const noexcept { return result_; }

private:
	shoal_result *result_;
};

/*
 * Worker processes, for functions that the program had when they were started. At its end it ends
 * them, and cancels what is pending: close() and join() before that let all of it be done.
 */
class pool {
public:
	explicit pool(unsigned workers = 0)
	{
		shoal_pool_options options = {};
		options.workers = workers;
		check(shoal_pool_create(&options, &pool_));
	}
	explicit pool(const shoal_pool_options &options) { check(shoal_pool_create(&options, &pool_)); }
	pool(pool &&other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
	pool &operator=(pool &&other) noexcept
	{
		pool taken(std::move(other));
		std::swap(pool_, taken.pool_);
		return *this;
	}
	~pool() { shoal_pool_destroy(pool_); }

	/* Runs it and waits. Its failure is thrown, with its text. */
	template <auto run>
	task_out<run> apply(const task_in<run> &in)
	{
		static_assert(std::is_default_constructible_v<task_out<run>>,
		              "an answer is copied into one that is there");
		task_out<run> out;
		check(shoal_pool_apply(pool_, task_<run>, &in, sizeof in, &out, sizeof out));
		return out;
	}
	/* Not waited for. */
	template <auto run>
	result<task_out<run>> submit(const task_in<run> &in)
	{
		shoal_result *out;
		check(shoal_pool_apply_async(pool_, task_<run>, &in, sizeof in, nullptr, nullptr, &out));
		return result<task_out<run>>(out);
	}
	/*
	 * All of them, in their order. The failure of the first that fails is thrown when all have
	 * ended; with options that have codes it is not: those tell which results are good.
	 */
	template <auto run>
	std::vector<task_out<run>> map(const std::vector<task_in<run>> &in,
	                               const shoal_map_options *options = nullptr)
	{
		static_assert(!std::is_same_v<task_in<run>, bool> && !std::is_same_v<task_out<run>, bool>,
		              "a std::vector<bool> is no array");
		static_assert(std::is_default_constructible_v<task_out<run>>,
		              "answers are copied into those that are there");
		std::vector<task_out<run>> out(in.size());
		std::vector<int> codes(in.size());
		shoal_map_options o = options ? *options : shoal_map_options{};
		bool told = o.codes;
		if (!told)
			o.codes = codes.data();
		check(shoal_pool_map(pool_, task_<run>, in.data(), sizeof(task_in<run>), out.data(),
		                     sizeof(task_out<run>), in.size(), &o));
		for (int code : codes)
			if (!told && code < 0)
				throw error(code);
		return out;
	}
	void close() { check(shoal_pool_close(pool_)); }
	/* After close() or terminate(). False: not in time. */
	bool join(shoal_time timeout = SHOAL_FOREVER)
	{
		return in_time(shoal_pool_join(pool_, timeout));
	}
	void terminate() { check(shoal_pool_terminate(pool_)); }
	shoal_pool *get() const noexcept { return pool_; }

private:
	shoal_pool *pool_ = nullptr;
};

} // namespace shoal

#endif
