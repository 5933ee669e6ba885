/* Prints what the sensor measures. It waits for a sensor to come, and for the next to follow. */
#include <inttypes.h>
#include <stdlib.h>

#include <shoal/shoal.h>

#include "sensor.h"

#define PATIENCE SHOAL_SEC(10)

static int
print_readings(shoal_queue *queue, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct reading r;
		ssize_t rc = shoal_queue_get(queue, &r, sizeof r, PATIENCE);

		if (rc < 0)
			return (int)rc;
		printf("sensor %" PRId32 " reading %" PRIu32 ": %.2f degrees, %.1f us ago\n",
		       r.sensor, r.number, r.celsius, (double)(shoal_now() - r.time) / 1e3);
		fflush(stdout);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : SENSOR_ARENA;
	uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : UINT32_MAX;
	shoal_arena *arena;
	shoal_queue *queue;

	if (shoal_arena_attach(name, PATIENCE, &arena) < 0 ||
	    shoal_queue_open(arena, SENSOR_QUEUE, PATIENCE, &queue) < 0 ||
	    print_readings(queue, count) < 0) {
		shoal_perror("reader");
		return 1;
	}
	shoal_arena_close(arena);
	return 0;
}
