#include "base/clock.h"
#include "harness.h"

Test(clock, it_never_goes_back)
{
	int64_t before = clock_now();
	for (int i = 0; i < 10000; i++) {
		int64_t now = shoal_now();
		REQUIRE(now >= before);
		before = now;
	}
}

Test(clock, a_deadline_is_now_plus_the_timeout)
{
	int64_t before = clock_now();
	int64_t deadline = clock_deadline(SHOAL_SEC(5));
	int64_t after = clock_now();
	REQUIRE(deadline >= before + SHOAL_SEC(5));
	REQUIRE(deadline <= after + SHOAL_SEC(5));
}

Test(clock, a_negative_timeout_is_none_at_all)
{
	int64_t deadline = clock_deadline(-SHOAL_SEC(5));
	REQUIRE(deadline <= clock_now());
	REQUIRE(clock_deadline(SHOAL_NOWAIT) >= deadline);
	REQUIRE(clock_deadline(INT64_MIN) > 0);
}

Test(clock, what_lies_beyond_the_clock_is_never)
{
	REQUIRE_EQ(clock_deadline(SHOAL_FOREVER), CLOCK_NEVER);
	REQUIRE_EQ(clock_deadline(SHOAL_FOREVER - 1), CLOCK_NEVER);
	REQUIRE(clock_deadline(SHOAL_SEC(3600)) < CLOCK_NEVER);
}

Test(clock, the_sooner_of_a_deadline_and_a_slice)
{
	int64_t now = clock_now();
	REQUIRE_EQ(clock_sooner(now, SHOAL_SEC(1)), now);
	int64_t slice = clock_sooner(CLOCK_NEVER, SHOAL_SEC(1));
	REQUIRE(slice >= now + SHOAL_SEC(1));
	REQUIRE(slice <= clock_now() + SHOAL_SEC(1));
}

Test(clock, a_timespec_holds_the_same_time)
{
	struct timespec t = clock_timespec(INT64_C(12345678901234567));
	REQUIRE_EQ(t.tv_sec, 12345678);
	REQUIRE_EQ(t.tv_nsec, 901234567);
}

Test(clock, what_is_left_shrinks_to_nothing)
{
	REQUIRE_EQ(shoal_left(SHOAL_FOREVER), SHOAL_FOREVER);
	REQUIRE_EQ(shoal_left(0), 0);
	REQUIRE_EQ(shoal_left(shoal_now()), 0);
	shoal_time left = shoal_left(shoal_now() + SHOAL_SEC(10));
	REQUIRE(left > SHOAL_SEC(9) && left <= SHOAL_SEC(10));
}
