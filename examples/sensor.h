/* What the sensor and its readers agree on. */
#ifndef SENSOR_H
#define SENSOR_H
#include <stdint.h>

#define SENSOR_ARENA "shoal-sensor" /* unless the command line names another */
#define SENSOR_QUEUE "readings"

struct reading {
	int64_t time; /* shoal_now() of the sensor */
	int32_t sensor; /* its process id */
	uint32_t number; /* from 1, anew with each sensor */
	double celsius;
};
#endif
