/* Whether a reader evicts, by rounds whose times the test says. */
#include "harness.h"
#include "ring/pace.h"

#define PLAIN_NS 1000

/* What the rounds of a reader took that follows the pace, ended early where it would end them. */
struct run {
	struct pace pace;
	int64_t now;
	unsigned evicting; /* rounds */
};

static void
run(struct run *r, unsigned rounds, int64_t evicting_ns)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct pace *p = &r->pace;
		int64_t took = p->evicts ? evicting_ns : PLAIN_NS;
		/* pace_passed asks after each message: here after each hundredth. */
		for (int64_t part = PLAIN_NS / 100; part < took; part += PLAIN_NS / 100)
			if (pace_is_late(p, r->now + part))
				took = part;
		r->now += took;
		r->evicting += p->evicts;
		pace_end_round(p, r->now);
	}
}

Test(pace, evicts_where_that_is_faster_by_more_than_an_eighth)
{
	struct run r = { .pace = pace_of(4096), .now = 1 };
	run(&r, PACE_WAIT + 5, PLAIN_NS * 6 / 8);
	REQUIRE(r.pace.evicts);
	r.evicting = 0;
	run(&r, 1000, PLAIN_NS * 6 / 8);
	REQUIRE(r.evicting >= 900);
}

Test(pace, does_not_where_it_is_faster_by_less)
{
	struct run r = { .pace = pace_of(4096), .now = 1 };
	run(&r, 10000, PLAIN_NS * 9 / 10);
	REQUIRE(!r.pace.evicts || r.pace.tries);
	REQUIRE(r.evicting >= 5 && r.evicting < 100);
}

Test(pace, a_try_that_takes_ten_times_as_long_costs_little)
{
	struct run r = { .pace = pace_of(4096), .now = 1 };
	run(&r, 10000, 10 * PLAIN_NS);
	/* A round each, after 16, 32 and so on to 4096 others. */
	REQUIRE_EQ(r.evicting, 9);
	REQUIRE(r.now < PLAIN_NS * 10050);
}

Test(pace, goes_back_when_it_pays_no_more)
{
	struct run r = { .pace = pace_of(4096), .now = 1 };
	run(&r, 100, PLAIN_NS / 2);
	REQUIRE(r.evicting > 50);
	run(&r, PACE_WAIT_MOST, 3 * PLAIN_NS);
	REQUIRE(r.pace.evicts == r.pace.tries);
	/* And begins again, however many tries have failed meanwhile. */
	run(&r, 2 * PACE_WAIT_MOST, PLAIN_NS / 2);
	REQUIRE(r.pace.evicts != r.pace.tries);
}

/* As many bytes as a round has end it, and no fewer. */
Test(pace, a_round_is_two_laps_at_least)
{
	struct pace small = pace_of(4096), large = pace_of(1 << 20);
	REQUIRE_EQ(small.round, PACE_ROUND);
	REQUIRE_EQ(large.round, 2 << 20);
	pace_passed(&large, large.round - 1);
	REQUIRE_EQ(large.rounds, 0);
	pace_passed(&large, 1);
	REQUIRE_EQ(large.rounds, 1);
	REQUIRE_EQ(large.bytes, 0);
}
