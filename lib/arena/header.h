/*
 * The first page of an arena: where everything stands, and whether a file is an arena at all.
 *
 * An attacher reads the header once into memory of its own and believes nothing of it: from the
 * three limits the layout is computed anew, and must be what the header says. Afterwards only the
 * copy is used, so that nobody can change a field between its check and its use. The few fields
 * that move while the arena lives (members_high, objects_high, pages_high) are checked at attach,
 * and clamped at each use.
 */
#ifndef ARENA_HEADER_H
#define ARENA_HEADER_H

#include "arena/arena.h"

#define PAGES_MIN UINT64_C(16)
#define OBJECTS_FIRST 512u /* object entries with memory behind them from the start */

struct layout {
	uint64_t bytes; /* of the file */
	uint64_t pages_max;
	uint32_t members_max;
	uint32_t objects_max;
	uint64_t processes_at, members_at, objects_at, names_at, pages_at, pins_at, data_at;
};

/* False where a limit is out of range. */
bool layout_compute(uint64_t pages_max, uint32_t members_max, uint32_t objects_max,
                    struct layout *out);

/* Checks the options and lays the arena out for them. 0 or -EINVAL. */
int layout_choose(const shoal_arena_options *options, struct layout *out);

/*
 * A number that differs when a struct of layout.h, or a list that the kernel walks, is laid out
 * otherwise.
 */
uint32_t layout_hash(void);

/* All but the magic, which is written last. The page is zero. */
void header_fill(struct arena_header *h, const struct layout *l, uint32_t flags, unsigned mode);

/*
 * 0, or -EPROTO and a sentence that names the field. `file_bytes` is the file's length, `what` its
 * name.
 */
int header_validate(const struct arena_header *copy, uint64_t file_bytes, const char *what);

#endif
