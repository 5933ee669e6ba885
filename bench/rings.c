/* rings.c - how large the rings are that are measured */
#include "rings.h"

#include "subject.h"

#define LARGE (4u * MEBI)
/* So many times as fast through the shared cache, in most looks; or in one, if others came while
 * both processors were halves of one core. */
#define WORTH_IT 1.25
#define PLAIN_ONCE 2.0

static bool large;

void
rings_choose(enum rings asked, const struct limits *limits)
{
	struct spread times = limits_ratio(limits, HAND_LARGE, HAND_SMALL);
	bool pays = times.median > WORTH_IT || times.max > PLAIN_ONCE;

	large = asked == RINGS_LARGE || (asked == RINGS_BY_MACHINE && pays);
}

const char *
rings_text(void)
{
	return large ? "large, of 4 MiB" : "small, of 256 KiB";
}

/* As many as it takes, a message and its header on lines of their own: a power of two. */
static uint32_t
slots_of_large(size_t bytes)
{
	size_t slot = (bytes + 16 + 63) / 64 * 64;
	uint32_t slots = 4;

	while (slots * slot < LARGE - LARGE / 16)
		slots *= 2;
	return slots;
}

uint32_t
slots_for(size_t bytes)
{
	if (large)
		return slots_of_large(bytes);
	if (bytes <= 256)
		return 1024;
	if (bytes <= 1024)
		return 512;
	if (bytes <= 4096)
		return 128;
	return bytes <= 65536 ? 16 : 4;
}

uint32_t
ring_bytes_for(size_t bytes)
{
	if (bytes > 4 * KIBI)
		return LARGE;
	return large ? LARGE : 256 * KIBI;
}
