/*
 * Objects: what has a header, a kind, perhaps a name, and one block as its body.
 *
 * States of an entry (arena/layout.h): NONE -> MAKING(me) -> READY -> DYING(me) -> NONE. Entries
 * are taken and named under the name lock, so that two creators of one name meet; READY is one
 * store, so nobody sees an object half-made. What a creator that died left MAKING counts as absent.
 * A DYING object's memory is given back when no member is inside a call on it, by whoever looks
 * next (object_sweep): a stopped member inside a call delays that, and nothing else. An object of a
 * kind that lasts is KEPT between READY and DYING, without a name, while references to it lie in
 * containers or messages (arena/hold.h), or somebody has it from one of them (arena/pin.h).
 *
 * A stopped member that holds the name lock holds up creating, destroying and sweeping; not
 * opening.
 */
#ifndef ARENA_OBJECT_H
#define ARENA_OBJECT_H

#include "arena/kinds.h"

struct object_made {
	uint32_t index;
	bool existed;  /* SHOAL_OR_OPEN found one */
	uint64_t word; /* of that one, when it was found */
};

/* An object that was found by its name. It may end at any moment, and its entry be another's. */
struct object_found {
	uint32_t index;
	uint64_t word;
	void *body;
};

/* 0, or -EINVAL with a sentence; NULL is no name. */
int object_name_check(const char *name);
/* What arena_name_hash has for an entry of that name. */
uint32_t object_name_hash(const char *name);

/*
 * Reserves an entry, MAKING(me), with its name; with SHOAL_OR_OPEN in flags gives the one that
 * exists (of that kind) instead. 0, -EEXIST, -ENOMEM, -ENOSPC, -EPROTO (another kind has the name),
 * -ETIMEDOUT (its creator is not ready).
 */
int object_make(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name,
                uint32_t kind, unsigned flags, int64_t deadline, struct object_made *out);

/*
 * A body of `bytes`, zeroed, aligned to SPACING, BLOCK_OBJECT(index). 0, -ENOMEM, -ENOSPC; -EPROTO.
 */
int object_body(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
                size_t bytes);

/* SHOAL_WITH_OWNER in flags: it goes when this process does. Before it is published. */
void object_own(shoal_arena *a, uint32_t index, unsigned flags);
/* The object is whole: everybody sees it from now on. */
void object_publish(shoal_arena *a, struct member *me, uint32_t index);
/* It is not to be after all; gives its body back. */
void object_abandon(shoal_arena *a, struct member *me, uint32_t index);

/* What an object is to be. */
struct object_plan {
	uint32_t kind;
	unsigned flags; /* SHOAL_OR_OPEN, SHOAL_WITH_OWNER; the others are passed by */
	size_t bytes;   /* of its body */
	/* Makes the zeroed body whole before it is seen. 0, or why it is not to be. NULL: it is. */
	int (*fill)(shoal_arena *a, uint32_t index, void *body, const void *arg);
	const void *arg;
};

/*
 * All of these at once: one that is new and published, or, under SHOAL_OR_OPEN, the one that
 * exists. The body is its own, also where it is destroyed as soon as it is seen. The codes of
 * object_make, object_body and `fill`; *body is NULL then.
 */
int object_create(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name,
                  const struct object_plan *plan, void **body);

/*
 * The READY object of that name and kind, waiting for its creator: 0, -ENOENT (deadline passed),
 * -EPROTO, -ECANCELED; -ENOMEM where this thread has no record: t is NULL.
 */
int object_find(shoal_arena *a, struct shoal_thread *t, const char *name, uint32_t kind,
                int64_t deadline, uint32_t *index);
/* The same with its body, which was its own when it was READY: never that of a later one. */
int object_open(shoal_arena *a, struct shoal_thread *t, const char *name, uint32_t kind,
                int64_t deadline, struct object_found *out);

/*
 * Takes the name away, ends waits, and gives the memory back as soon as nobody is inside, and, of a
 * kind that lasts, nothing refers to it. 0 or -ENOENT.
 */
int object_destroy(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index);

/*
 * From READY, for an object that nobody can use any more, though nobody destroyed it; `word` was
 * read before that was found. Any number may try. object_sweep follows, by anybody.
 */
void object_end_alone(shoal_arena *a, uint32_t index, uint64_t word);

/* SHOAL_WITH_OWNER. */
static inline bool
object_has_owner(const shoal_arena *a, uint32_t index)
{
	return load_relaxed(&arena_object(a, index)->owner);
}

/* Whether its owner is gone; it is destroyed then, unless this process may only read. */
bool object_end_orphan(shoal_arena *a, uint32_t index);
/* The same for those who only look, in no call: the next one who calls destroys it. */
bool object_is_orphan(shoal_arena *a, uint32_t index);

/*
 * Names the object in this record, so that it is not buried: for one who is in no call on it. NULL:
 * it has ended, or is another one, or the record names enough already. Ends with object_unstay.
 */
word32 *object_stay(shoal_arena *a, struct member *me, uint32_t index, uint64_t generation);

/* What a name is given by again later. */
struct object_seen {
	uint32_t index;
	uint64_t generation;
};

/*
 * The same by where its body begins: 0, and *place. -EPROTO: there is none of that kind. -EPIPE: it
 * has ended. And why this thread has no record.
 */
int object_stay_at(shoal_arena *a, const void *body, uint32_t kind, struct object_seen *seen,
                   word32 **place);

static inline void
object_unstay(word32 *place)
{
	store_release(place, 0);
}

/*
 * Gives back what is due. One load when nothing is. Under no lock: it takes those of objects that
 * it buries.
 */
void object_sweep(shoal_arena *a, struct shoal_thread *t, struct member *me);

/* The object may be due; with _unpinned: if it is. object_sweep follows, by anybody. */
void object_note_end(shoal_arena *a, uint32_t index);
void object_note_unpinned(shoal_arena *a, uint32_t index);
/* One who died may not have noted what it made due. */
void object_note_all(shoal_arena *a);
/* Messages of this queue or pipe are gone: what they referred to may be due, if they did. */
void object_note_mail(shoal_arena *a, uint32_t index);
/* What it was for may be gone: then it goes now, or with the next sweep. Under no lock. */
void object_end_lost(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index);

/*
 * The object whose body begins at the address. 0, or -EPROTO: there is none of that kind.
 */
int object_find_body(const shoal_arena *a, const void *body, uint32_t kind, uint32_t *index);
/* The same for those who destroy it, or cannot give an error: stops with the sentence. */
uint32_t object_of_body(const shoal_arena *a, const void *body, uint32_t kind);

#define OBJECT_STATE_BIT 28u /* the state's bits, below those of the generation */
static inline enum object_state
object_state(uint64_t word)
{
	return (enum object_state)(word >> OBJECT_STATE_BIT & 15);
}
/* As references carry it: never 0, which stands for memory that is no object's. */
static inline uint64_t
object_generation(uint64_t word)
{
	return (word >> 32) % 0xffff + 1;
}
static inline uint64_t
object_word(uint64_t old, enum object_state state, uint32_t tag)
{
	return (old & ~UINT64_C(0xffffffff)) | (uint64_t)state << OBJECT_STATE_BIT | tag;
}
static inline uint32_t
object_tag(uint64_t word)
{
	return (uint32_t)word & 0xffffff;
}
/* What was read of the entry, or by way of it, after the word, is of the object with that word. */
static inline bool
object_is_still(const shoal_arena *a, uint32_t index, uint64_t word)
{
	fence_acquire();
	return load_relaxed(&arena_object(a, index)->word) == word;
}
/* It is whole, under a name or without one. */
static inline bool
object_ready(const shoal_arena *a, uint32_t index)
{
	enum object_state state = object_state(load_acquire(&arena_object(a, index)->word));
	return state == OBJECT_READY || state == OBJECT_KEPT;
}
/*
 * Its body, in a block of its own of at least SLAB_SPACED bytes; NULL, with a sentence, where the
 * entry names none.
 */
void *object_body_at(const shoal_arena *a, uint32_t index);
/* Of the object that had that word: 0; -ENOENT: it has ended, look again; -EPROTO. */
int object_body_of(const shoal_arena *a, uint32_t index, uint64_t word, void **body);
bool object_has_body(const shoal_arena *a, uint32_t index);
/* How many bytes its block has. */
size_t object_body_bytes(const shoal_arena *a, const void *body);

/*
 * References carry 16 bits of the generation: -ENOENT when it is another object by now, -EPROTO of
 * another kind.
 */
shoal_ref object_ref(const shoal_arena *a, uint32_t index);
int object_at(const shoal_arena *a, shoal_ref ref, uint32_t kind, uint32_t *index);

/* Entries are taken and named, and objects buried, under it. 0, -ETIMEDOUT, -EDEADLK. */
int object_lock_names(shoal_arena *a, struct shoal_thread *t, int64_t deadline);
void object_unlock_names(shoal_arena *a, struct shoal_thread *t);

/* ---- for recovery ---- */
void object_recover_making(shoal_arena *a, struct member *dead);
void object_recover_owned(shoal_arena *a, struct shoal_thread *t, struct member *me);
/* Every index below this may be looked at. */
uint32_t objects_high(const shoal_arena *a);

#endif
