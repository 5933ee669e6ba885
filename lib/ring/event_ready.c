/*
 * Whether an event is set, or destroyed: see ready.h. One that is not in an arena under a name, or
 * made by shoal_event_create, cannot be destroyed: index 0.
 *
 * Its waiters and those who poll it have one gate, and a setter that dies wakes one there, who
 * wakes the others.
 */
#include "arena/object.h"
#include "base/error.h"
#include "ring/poller.h"
#include "ring/ready.h"
#include "sync/event.h"
#include "sync/gate.h"
#include "sync/stay.h"

int
event_ready_begin(shoal_event *e, struct ready_object *o)
{
	if (!e || (uintptr_t)e % _Alignof(struct event))
		return fail(-EINVAL, "%p is no event", (void *)e);
	*o = (struct ready_object){ 0 };
	shoal_arena *a = arena_of(e);
	if (a && a->readonly)
		return fail(-EPERM, "arena '%s' is attached read-only: nobody can wait for its events",
		            a->name);
	if (!a || !load_relaxed(&event_of(e)->named))
		return 0;
	uint32_t index;
	int rc = object_find_body(a, e, SHOAL_KIND_EVENT, &index);
	if (rc)
		return rc;
	uint64_t word = load_acquire(&arena_object(a, index)->word);
	*o = (struct ready_object){ a, index, (uint32_t)(word >> 32) };
	return 0;
}

static bool
lives(const struct ready_object *o)
{
	return !o->arena || ready_lives(o);
}

/* Named in this thread's record from here to stay_end: the memory is the event's. */
static bool
stays(shoal_event *e, const struct ready_object *o, struct stay *stay)
{
	*stay = (struct stay){ 0 };
	if (!o->arena)
		return true;
	if (ready_lives(o))
		*stay = stay_begin(e, STAY_JOIN);
	if (stay->word && !stay_over(stay) && ready_lives(o))
		return true;
	stay_end(stay);
	return false;
}

bool
event_ready(shoal_event *event, const struct ready_object *o, struct ready_words *words)
{
	struct event *e = event_of(event);
	if (!lives(o))
		return true;
	uint32_t turns = load_acquire(&e->turns);
	if ((turns & 1) || !lives(o))
		return true;
	if (!words) {
		poller_rearm(&e->gate);
		return false;
	}
	*words = (struct ready_words){
		.list = { { &e->gate, GATE_ARMED }, { &e->turns, turns } },
		.count = 2,
		.sliced = load_relaxed(&e->polled) != 0,
		.pending = &e->gate,
	};
	return false;
}

void
event_ready_arm(shoal_event *event, const struct ready_object *o)
{
	struct stay stay;
	if (!stays(event, o, &stay))
		return;
	store_relaxed(&event_of(event)->gate, GATE_ARMED);
	stay_end(&stay);
}

void
event_ready_woken(shoal_event *event, const struct ready_object *o, bool ready)
{
	struct stay stay;
	word32 *gate = &event_of(event)->gate;
	if (!ready || !load_relaxed(gate) || !stays(event, o, &stay))
		return;
	gate_open_all(gate);
	stay_end(&stay);
}
