/*
 * Measures the temperature ten times a second, for whoever wants to know.
 *
 * The sensor and its readers are unrelated programs. They meet by name: the arena's, which is
 * looked up per user, and the queue's inside it. Either may come first, end, or be killed, and
 * come again. The arena vanishes with its last user;
 * if that one was killed, as by Ctrl-C, when the next one comes.
 */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <shoal/shoal.h>

#include "sensor.h"

static const shoal_arena_options shared_arena = { .flags = SHOAL_OR_ATTACH | SHOAL_UNLINK_LAST };
static const shoal_queue_options shared_queue = { .capacity = 64, .flags = SHOAL_OR_OPEN };

static struct reading
measure(uint32_t number)
{
	return (struct reading){
		.time = shoal_now(),
		.sensor = getpid(),
		.number = number,
		.celsius = 20 + 5 * sin(number / 20.0),
	};
}

/* A reading that nobody took in time is of no use: the oldest makes room for the newest. */
static int
publish(shoal_queue *queue, const struct reading *reading)
{
	struct reading oldest;
	int rc;

	while ((rc = shoal_queue_put(queue, reading, sizeof *reading, SHOAL_NOWAIT)) == -EAGAIN) {
		ssize_t taken = shoal_queue_get(queue, &oldest, sizeof oldest, SHOAL_NOWAIT);

		if (taken < 0 && taken != -EAGAIN)
			return (int)taken;
	}
	return rc;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : SENSOR_ARENA;
	uint32_t readings = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : UINT32_MAX;
	shoal_arena *arena;
	shoal_queue *queue;

	if (shoal_arena_create(name, &shared_arena, &arena) < 0 ||
	    shoal_queue_create(arena, SENSOR_QUEUE, &shared_queue, &queue) < 0) {
		shoal_perror("sensor");
		return 1;
	}
	for (uint32_t number = 1; number <= readings; number++) {
		const struct timespec tenth = { .tv_nsec = 100 * 1000 * 1000 };
		struct reading reading = measure(number);

		if (publish(queue, &reading) < 0) {
			shoal_perror("sensor");
			return 1;
		}
		nanosleep(&tenth, NULL);
	}
	shoal_arena_close(arena);
	return 0;
}
