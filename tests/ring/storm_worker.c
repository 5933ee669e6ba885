#include "ring/storm_worker.h"

shoal_time
worker_patience(struct worker *w)
{
	switch (dice_roll(&w->dice, 8)) {
	case 0:
		return SHOAL_NOWAIT;
	case 1:
		return SHOAL_MS(1);
	default:
		return SHOAL_FOREVER;
	}
}

unsigned
worker_way(struct worker *w)
{
	unsigned way;
	do
		way = 1u << dice_roll(&w->dice, 3);
	while (!(w->channel->kind->ways & way));
	return way;
}

int
worker_fail(struct worker *w, const char *call, ssize_t rc)
{
	snprintf(w->life->why, sizeof w->life->why, "%s", shoal_error());
	w->life->doing = call;
	w->life->failure = (int)rc;
	return 1;
}
