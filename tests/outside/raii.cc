/* The C++ of shoal.hpp: what a scope opens it closes; failures are thrown; deaths are told. */
#include "raii.hpp"
#include <pthread.h>

/* Owners move and are not copied, nor is what has one among its members; the traits say so. */
template <class T>
constexpr bool only_moves = std::is_nothrow_move_constructible_v<T> &&
                            std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(only_moves<shoal::queue<int>> && only_moves<shoal::pipe<int>>);
static_assert(only_moves<shoal::pipe_end<int>> && only_moves<shoal::listener<int>>);
struct team {
	shoal::dict dict;
	shoal::any any;
};
static_assert(only_moves<team> && only_moves<shoal::loan<int>>);
struct crew {
	shoal::arena arena;
	shoal::process process;
	shoal::pool pool;
	shoal::result<int> result;
};
static_assert(only_moves<crew>);

/* To itself, too. */
template <class T>
static T &
moved_to_itself(T &owner)
{
	T *same = &owner;
	return owner = std::move(*same);
}

/* An interrupt that came before does not leave the child to itself, and is not lost. */
static void
interrupts(const shoal::arena &arena)
{
	shoal::queue<int> done(arena);
	int got = 0;
	{
		shoal::process slow([&] {
			usleep(100000);
			done.put(1);
		});
		shoal_thread_interrupt(shoal_thread_self());
	}
	CHECK(shoal_process_children(nullptr, 0) == 0 && done.size() == 1);
	CHECK(done.get(got, SHOAL_NOWAIT) && got == 1);
	try {
		done.get(got, SHOAL_SEC(5));
		CHECK(!"the interrupt is kept");
	} catch (const shoal::error &e) {
		CHECK(e.code() == -ECANCELED);
	}
}

static void
values(const shoal::arena &arena)
{
	auto dict = shoal::make_dict(arena, "stock");
	auto list = shoal::make_list(arena, "parts");
	CHECK(shoal::open_dict(arena, "stock").get() == dict.get());
	CHECK(shoal::open_list(arena, "parts", SHOAL_NOWAIT).get() == list.get());
	shoal::any got, all;
	shoal::check(shoal_dict_set(dict.get(), SHOAL_ANY("bolts"), SHOAL_MAP("price", 0.25, "n", true)));
	shoal::check(shoal_dict_get(dict.get(), SHOAL_ANY("bolts"), got.out()));
	CHECK(got->count == 2 && shoal_any_double(shoal_any_find(&got.view(), "price"), 0) == 0.25);
	shoal::check(shoal_list_append(list.get(), SHOAL_ANY("x")));
	shoal::check(shoal_list_get(list.get(), 0, got.out()));
	CHECK(!std::strcmp(got.string(), "x") && got == got);
	/* What is asked for may be in the any that the answer goes to, which is nil if there is none. */
	shoal::check(shoal_dict_set(dict.get(), SHOAL_ANY("x"), SHOAL_ANY("a string with memory")));
	shoal::check(shoal_dict_get(dict.get(), got.view(), got.out()));
	CHECK(!std::strcmp(got.string(), "a string with memory"));
	CHECK(shoal_dict_get(dict.get(), got.view(), all.out()) == -ENOENT && all->kind == SHOAL_ANY_NIL);
	CHECK(shoal_dict_get(dict.get(), got.view(), got.out()) == -ENOENT);
	CHECK(got->kind == SHOAL_ANY_NIL);
	shoal::check(shoal_dict_pop(dict.get(), SHOAL_ANY("x"), got.out()));
	CHECK(got != all && !(got != got) && all == shoal::any());
	CHECK(moved_to_itself(dict).get() && moved_to_itself(got).view().kind == SHOAL_ANY_STRING);
	shoal::dict moved = std::move(dict);
	CHECK(!dict.get() && shoal_dict_size(moved.get()) == 1);
}

int
main()
{
	shoal::arena arena(nullptr);
	messages(arena);
	interrupts(arena);
	locks(arena);
	values(arena);
	pools();
	{
		shoal::process thrower([] { throw std::runtime_error("as it should be"); });
		CHECK(thrower.join(SHOAL_SEC(5)) && thrower.exitcode() == 1);
	}
	{
		shoal::process leaver([] { pthread_exit(nullptr); });
		CHECK(leaver.join(SHOAL_SEC(5)) && leaver.exitcode() == 0);
	}
	{
		/* Bytes of what it refers to would not be what it refers to. */
		shoal_process_options options = {};
		options.arg_bytes = 1;
		CHECK(thrown([&] { shoal::process([] {}, &options); }, "arg_bytes") == -EINVAL);
		options.arg_bytes = 0;
		options.method = SHOAL_SPAWN;
		CHECK(thrown([&] { shoal::process([] {}, &options); }, "") == -EINVAL);
	}
	shoal_arena_info info;
	CHECK(shoal_arena_stat(arena.get(), &info) == 0 && info.objects == 0);
	CHECK(shoal_arena_check(arena.get(), stderr) == 0);
	std::puts("outside: C++");
}
