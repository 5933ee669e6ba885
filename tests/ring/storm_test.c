/* Five seconds of storm in all; shoal-storm rages for as long as one likes. */
#include "ring/storm.h"
#include "harness.h"
#include <stdlib.h>
#include <string.h>

static unsigned
rage(const char *kind, int ms, bool spare_consumers, enum fault fault)
{
	char *text = NULL;
	size_t bytes = 0;
	struct storm storm = {
		.kind = kind_find(kind),
		.seed = (uint64_t)now_ns() % 1000000,
		.duration_ns = ms * INT64_C(1000000),
		.pairs = 4,
		.kill_every_ns = 3000000,
		.spare_consumers = spare_consumers,
		.fault = fault,
		.report = open_memstream(&text, &bytes),
	};
	REQUIRE(storm.kind && storm.report);
	unsigned violations = storm_run(&storm);
	fclose(storm.report);
	if (violations && !fault)
		test_complain(__FILE__, __LINE__, text);
	free(text);
	return violations;
}

#define STORM(name, kind) \
	Test(storm, name, .timeout = 60 * HARNESS_SLOW) \
	{ \
		REQUIRE_EQ(rage(kind, 260, false, NO_FAULT), 0); \
		REQUIRE_EQ(rage(kind, 100, true, NO_FAULT), 0); \
	}

STORM(short_messages, "inline")
STORM(long_messages, "blocks")
STORM(batches, "batches")
STORM(packed_batches, "packed")
STORM(packed_batches_and_loans, "packed-mixed")
STORM(batches_of_blocks, "block-batches")
STORM(loans, "loans")
STORM(all_ways_mixed, "mixed")
STORM(redelivery, "redeliver")
STORM(redelivery_of_batches, "redeliver-batches")
STORM(counted_messages, "joinable")
STORM(counted_and_redelivered, "joinable-redeliver")
STORM(a_shared_pipe, "pipe")
STORM(long_messages_on_a_pipe, "pipe-blocks")
STORM(batches_on_a_pipe, "pipe-batches")
STORM(loans_on_a_pipe, "pipe-loans")

/* The controls: storms in which the consumers break a promise. */
Test(storm, what_is_lost_or_doubled_or_torn_or_leaked_is_noticed, .timeout = 60 * HARNESS_SLOW)
{
	for (enum fault fault = LOSE; fault <= LEAK; fault++)
		REQUIRE(rage("inline", 200, false, fault) > 0);
}
