#include "ring/pace.h"

#define TRY_ROUNDS 4u

static void
note_shortest(int64_t *best, int64_t took)
{
	if (!*best || took < *best)
		*best = took;
}

static void
change(struct pace *p)
{
	p->evicts = !p->evicts;
	p->tries = !p->tries;
	p->rounds = 0;
}

/* After a try that was given up there is no other way's time. */
static void
end_try(struct pace *p)
{
	int64_t least = p->evicts ? p->own - p->own / 8 : p->own + 1;
	if (p->other && p->other < least) {
		p->tries = false;
		p->rounds = 0;
		p->wait = PACE_WAIT;
	} else {
		change(p);
		p->wait = p->wait < PACE_WAIT_MOST ? 2 * p->wait : p->wait;
	}
	p->own = p->other = 0;
}

/* The first round after a change is between the two ways. */
void
pace_end_round(struct pace *p, int64_t now)
{
	int64_t took = now - p->began;
	bool late = pace_is_late(p, now);
	uint32_t round = p->rounds++;
	p->began = now;
	p->bytes = 0;
	if (!p->tries) {
		if (round && p->wait - round <= TRY_ROUNDS)
			note_shortest(&p->own, took);
		if (p->rounds >= p->wait)
			change(p);
		return;
	}
	if (round && !late)
		note_shortest(&p->other, took);
	if (late || round == TRY_ROUNDS)
		end_try(p);
}
