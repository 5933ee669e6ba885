#include "data/reference.h"
#include "arena/hold.h"
#include "arena/pin.h"
#include "base/error.h"
#include "data/any.h"
#include "ring/pipe.h"
#include "ring/queue.h"

/* The kinds that values refer to. */
static bool
is_kind(uint32_t kind)
{
	switch (kind) {
	case SHOAL_KIND_QUEUE:
	case SHOAL_KIND_PIPE:
	case SHOAL_KIND_DICT:
	case SHOAL_KIND_LIST:
	case SHOAL_KIND_VALUE:
	case SHOAL_KIND_ARRAY:
	case SHOAL_KIND_NAMESPACE: return true;
	default: return false;
	}
}

/* Its index, and which end of a pipe it is: 0, or -EPROTO: it is no object of that kind. */
static int
find(const shoal_arena *a, const shoal_any *object, uint32_t *index, unsigned *side)
{
	uint32_t kind = object->internal_ & ANY_OBJECT_KIND;
	const void *body = object->as.object;
	struct pipe *p;
	*side = 0;
	if (kind == SHOAL_KIND_PIPE) {
		int rc = pipe_find(a, body, &p, side);
		if (rc)
			return rc;
		body = p;
	}
	return object_find_body(a, body, kind, index);
}

int
reference_check(const shoal_arena *a, const shoal_any *object)
{
	uint32_t index;
	unsigned side;
	if (!a || !arena_holds(a, object->as.object))
		return fail(-EINVAL, "the object at %p is not of arena '%s': nothing there can refer to it",
		            object->as.object, a ? a->name : "");
	if (find(a, object, &index, &side) || !object_ready(a, index))
		return fail(-EINVAL, "%p is no object of its kind in arena '%s' any more",
		            object->as.object, a->name);
	return 0;
}

shoal_ref
reference_of(const shoal_any *object)
{
	uint32_t index;
	unsigned side;
	const shoal_arena *a = arena_of(object->as.object);
	if (!a || find(a, object, &index, &side))
		return 0;
	return object_ref(a, index) | (side ? REFERENCE_RIGHT : 0);
}

/* ---- pins ---- */

static void
fill(shoal_any *out, const shoal_arena *a, uint32_t kind, const struct pin *p, void *object)
{
	*out = (shoal_any){
		.kind = SHOAL_ANY_OBJECT,
		.internal_ = p->object << ANY_OBJECT_SHIFT | kind,
		.count = p->tag | (size_t)p->at << ANY_PIN_SHIFT | (size_t)a->id << ANY_ARENA_SHIFT,
	};
	out->as.object = object;
}

static struct pin
pin_of(const shoal_any *object)
{
	return (struct pin){
		.object = (object->internal_ & ~(ANY_OWNED | ANY_BEYOND)) >> ANY_OBJECT_SHIFT,
		.tag = object->count & ((1u << ANY_PIN_SHIFT) - 1),
		.at = (uint32_t)(object->count >> ANY_PIN_SHIFT) & (PINS_MAX - 1),
	};
}

/* Another arena may lie where its own was. */
static bool
is_of(const shoal_any *object, const shoal_arena *a)
{
	return object->count >> ANY_ARENA_SHIFT == (size_t)a->id << ANY_ARENA_SHIFT >> ANY_ARENA_SHIFT;
}

/* The pin first, then the look that finds the object alive: from then on it stays. */
static int
pin(shoal_arena *a, uint32_t index, uint32_t kind, shoal_ref ref, struct pin *out, void **body)
{
	struct shoal_thread *t;
	struct member *me;
	int rc = member_here(a, &t, &me);
	if (rc == 0)
		rc = pin_take(a, me, index, out);
	if (rc)
		return rc;
	uint32_t again;
	rc = object_at(a, ref, kind, &again);
	*body = rc ? NULL : object_body_at(a, index);
	if (rc == 0 && *body && again == index)
		return 0;
	pin_undo(a, me, out);
	return rc ? rc : fail(-ENOENT, "what reference %#llx named is gone", (unsigned long long)ref);
}

static void *
hand_out(const shoal_arena *a, void *body, uint32_t kind, bool right)
{
	if (kind == SHOAL_KIND_PIPE)
		return pipe_hand_out(a, body, right ? SHOAL_RIGHT : SHOAL_LEFT);
	return kind == SHOAL_KIND_QUEUE ? queue_hand_out(a, body) : body;
}

int
reference_pin(shoal_arena *a, shoal_ref ref, shoal_any *out)
{
	uint32_t index;
	struct pin p;
	void *body;
	int rc = hold_object(a, reference_object(ref), &index);
	if (rc)
		return rc;
	uint32_t kind = load_relaxed(&arena_object(a, index)->kind);
	bool right = ref & REFERENCE_RIGHT;
	if (!is_kind(kind) || (right && kind != SHOAL_KIND_PIPE))
		return fail(-EINVAL, "reference %#llx names no object that a value has",
		            (unsigned long long)ref);
	rc = pin(a, index, kind, reference_object(ref), &p, &body);
	if (rc == 0)
		fill(out, a, kind, &p, hand_out(a, body, kind, right));
	return rc;
}

int
reference_read(shoal_arena *a, shoal_ref ref, enum reference_gone gone, shoal_any *out)
{
	int rc = reference_pin(a, ref, out);
	if (likely(rc != -ENOENT))
		return rc;
	*out = SHOAL_NIL;
	if (gone == GONE_IS_NIL)
		return 0;
	return fail(rc, "the value refers to a queue or pipe, reference %#llx, that was destroyed",
	            (unsigned long long)ref);
}

int
reference_pin_again(shoal_any *object)
{
	uint32_t index, kind = object->internal_ & ANY_OBJECT_KIND;
	unsigned side;
	struct pin p;
	void *body;
	shoal_arena *a = arena_of(object->as.object);
	if (!a || find(a, object, &index, &side))
		return fail(-EINVAL, "%p is no object of a mapped arena", object->as.object);
	int rc = pin(a, index, kind, object_ref(a, index), &p, &body);
	if (rc == 0)
		fill(object, a, kind, &p, object->as.object);
	return rc;
}

void
reference_unpin(const shoal_any *object)
{
	shoal_arena *a = arena_of(object->as.object);
	struct shoal_thread *t;
	struct member *me;
	struct pin p = pin_of(object);
	/* An arena that is closed has let go of this process's pins. */
	if (a && is_of(object, a) && member_here(a, &t, &me) == 0)
		pin_drop(a, t, me, &p);
}

int
reference_counted(int rc)
{
	return rc == -ENOENT ? fail(-EINVAL, "an object in the value is being destroyed") : rc;
}
