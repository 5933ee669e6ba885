/*
 * What the arena asks of the kinds of objects that the floors below build in it.
 * The table is filled in data/kinds.c, at link time; a kind without work to do has NULL entries.
 *
 * Every function may run again after a death inside it, and beside another one that does the same.
 */
#ifndef ARENA_KINDS_H
#define ARENA_KINDS_H

#include "arena/member.h"

#define KIND_COUNT 16
#define KIND_ENVELOPE 15u /* of no user's: data/envelope.h */
#define KIND_LOCK_AT SPACING
#define KIND_PARTS_UNKNOWN UINT64_MAX

struct kind_ops {
	/*
	 * It lives on, without a name, after its maker has destroyed it, as long as a container or a
	 * message refers to it, or a call's result (arena/object.h). Such a kind has no shut.
	 */
	bool lasts;
	/* It has blocks beside its body: BLOCK_PART. */
	bool parts;
	/* It has a lock for its users in its body, at KIND_LOCK_AT: sync/stay.h. */
	bool locked;
	/* The dead member was in a call on the object, at call.pos. */
	void (*recover_call)(shoal_arena *, struct shoal_thread *, struct member *me,
	                     struct member *dead, uint32_t object);
	/*
	 * A loan of it that has not ended, while it lives, and is named. The caller gives the block
	 * back, if the dead one has it still, and clears the entry.
	 */
	void (*recover_loan)(shoal_arena *, struct shoal_thread *, struct member *me,
	                     struct member *dead, struct loan_entry *);
	/* A block in its hand for HAND_PUT or HAND_GET; the hand is cleared by the caller. */
	void (*recover_hand)(shoal_arena *, struct member *dead, const struct hand *);
	/* Each object of the kind that lives, for each dead member; named meanwhile. */
	void (*recover_member)(shoal_arena *, struct member *me, struct member *dead, uint32_t object);
	/* The same, where its process is gone: parts that belong to that. Named meanwhile. */
	void (*recover_process)(shoal_arena *, uint32_t process, uint32_t generation,
	                        uint32_t object);
	/*
	 * The process leaves, in order; UINT32_MAX: whichever have left. Objects that go when nobody
	 * has them any more go now.
	 */
	void (*collect)(shoal_arena *, struct member *me, uint32_t process, uint32_t generation,
	                uint32_t object);
	/* What those who sleep on it watch besides; NULL where the body is damaged. */
	struct robust *(*bell)(const shoal_arena *, uint32_t object);
	/* The object is being destroyed: those who wait on it return -EPIPE. */
	void (*shut)(shoal_arena *, uint32_t object);
	/*
	 * Destroyed, and in use all the same, as a held lock is. Writes nothing: the memory may become
	 * another's meanwhile.
	 */
	bool (*kept)(shoal_arena *, uint32_t object);
	/*
	 * Nobody is inside a call on it any more: gives back the blocks of its messages, or its parts.
	 * By one at a time, under the name lock.
	 */
	void (*empty)(shoal_arena *, struct shoal_thread *, struct member *me, uint32_t object);
	/*
	 * Of a kind that no user knows, makes or destroys: whether what this object is for is gone.
	 * Once it is, it stays so. Such objects are neither listed nor counted.
	 */
	bool (*lost)(const shoal_arena *, uint32_t object);
	/* For shoal_arena_next: size as the user understands it. */
	uint64_t (*size)(const shoal_arena *, uint32_t object);
	/*
	 * For shoal_arena_check: how many invariants are violated; each is a line to report if not
	 * NULL. So many blocks say that they are parts of it: the kind must reach them all, and no
	 * other. KIND_PARTS_UNKNOWN: not counted.
	 */
	int (*check)(shoal_arena *, uint32_t object, uint64_t parts, FILE *report);
};

extern const struct kind_ops *const kind_table[KIND_COUNT];
extern const struct kind_ops memory_kind; /* memory.c */
extern const struct kind_ops plain_kind;  /* named.c */

static inline const struct kind_ops *
kind_of(const shoal_arena *a, uint32_t object)
{
	uint32_t kind = load_relaxed(&arena_object(a, object)->kind);
	return kind < KIND_COUNT ? kind_table[kind] : NULL;
}

#endif
