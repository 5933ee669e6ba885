/*
 * The descriptor of an event: see poller.h.
 *
 * It watches the gate of those who wait, which set opens for all at once. A setter that dies
 * between its turn and its wake wakes one alone, who need not do anything that would wake the
 * others; so all look every 5 ms while the event is clear.
 */
#include "arena/object.h"
#include "base/error.h"
#include "ring/poller.h"
#include "sync/event.h"

static enum poller_answer
is_set(const struct poller_object *o, struct poller_peer *none)
{
	(void)none;
	return shoal_event_is_set(o->object) ? POLLER_READY : POLLER_UNTOLD;
}

/* One under a name: readable from its destruction on, and not looked at any more. */
static enum poller_answer
is_set_or_gone(const struct poller_object *o, struct poller_peer *none)
{
	uint32_t index;
	if (object_find_body(o->arena, o->object, SHOAL_KIND_EVENT, &index) ||
	    !object_ready(o->arena, index))
		return POLLER_READY;
	return is_set(o, none);
}

static void
rearm(word32 *gate)
{
	poller_rearm(gate);
}

/* Before there are threads that could read it meanwhile. */
__attribute__((constructor)) static void
hear_of_waits(void)
{
	event_unset_hook = rearm;
}

int
shoal_event_fd(shoal_event *event)
{
	shoal_arena *a = arena_of(event);
	if (!a)
		return fail(-EINVAL,
		            "%p is no event in a mapped arena: make it there, with shoal_event_create",
		            (void *)event);
	struct event *e = event_of(event);
	bool named = load_relaxed(&e->named);
	struct poller_object o = { .arena = a, .gate = &e->gate, .polled = &e->polled,
		                   .look = named ? is_set_or_gone : is_set, .object = event };
	word32 *name = NULL;
	int rc = named ? object_stay_at(a, event, SHOAL_KIND_EVENT, &o.seen_as, &name) : 0;
	if (rc)
		return rc;
	rc = poller_fd(&o);
	if (name)
		object_unstay(name);
	return rc;
}
