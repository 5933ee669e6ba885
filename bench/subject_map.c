/*
 * subject_map.c - shoal's dict, and what a map costs that is shared with nobody
 *
 * The private one is open addressing over a flat table, values beside the keys and overwritten in
 * place: about as little as can be done.
 */
#include "subject.h"

#include <shoal/shoal.h>

#include <stdlib.h>
#include <string.h>

static int
dict_open(struct opening *o)
{
	shoal_container_options options = { .reserve = 0 };
	shoal_arena *arena;
	shoal_dict *dict;
	int rc = shoal_arena_create(NULL, NULL, &arena);

	if (rc == 0)
		rc = shoal_dict_create(arena, NULL, &options, &dict);
	if (rc < 0)
		return rc;
	o->arena = arena;
	o->way[0] = dict;
	return 0;
}

static void *
dict_join(const struct opening *o)
{
	return o->way[0];
}

static int
dict_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	return shoal_dict_set_bytes(map, &key, sizeof key, value, bytes);
}

static long
dict_get(void *map, uint64_t key, void *value, size_t bytes)
{
	return shoal_dict_get_bytes(map, &key, sizeof key, value, bytes);
}

const struct subject subject_dict = {
	.name = "shoal dict",
	.about = "shoal_dict_get_bytes, shoal_dict_set_bytes in a private arena",
	.traits = SUBJECT_MAPS,
	.open = dict_open,
	.close = close_arena,
	.join = dict_join,
	.set = dict_set,
	.get = dict_get,
};

struct flat {
	size_t mask, stride;
	char *slots; /* a used byte's word, the key, the value */
};

static int
flat_open(struct opening *o)
{
	(void)o;
	return 0;
}

static void *
flat_join(const struct opening *o)
{
	struct flat *f = malloc(sizeof *f);
	size_t slots = 16;

	while (slots < 2 * (size_t)o->keys)
		slots *= 2;
	if (!f)
		return NULL;
	f->mask = slots - 1;
	f->stride = 16 + o->bytes;
	f->slots = calloc(slots, f->stride);
	return f->slots ? f : NULL;
}

static uint64_t *
flat_slot(const struct flat *f, uint64_t key)
{
	uint64_t hash = key * UINT64_C(0xff51afd7ed558ccd);

	for (size_t i = hash ^ hash >> 32;; i++) {
		uint64_t *slot = (uint64_t *)(void *)(f->slots + (i & f->mask) * f->stride);

		if (!slot[0] || slot[1] == key)
			return slot;
	}
}

static int
flat_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	uint64_t *slot = flat_slot(map, key);

	slot[0] = 1;
	slot[1] = key;
	memcpy(slot + 2, value, bytes);
	return 0;
}

static long
flat_get(void *map, uint64_t key, void *value, size_t bytes)
{
	const uint64_t *slot = flat_slot(map, key);

	if (!slot[0])
		return -ENOENT;
	memcpy(value, slot + 2, bytes);
	return (long)bytes;
}

const struct subject subject_map_private = {
	.name = "private table",
	.about = "a flat table of each process's own: what cannot be shared",
	.traits = SUBJECT_MAPS | SUBJECT_PRIVATE,
	.open = flat_open,
	.join = flat_join,
	.set = flat_set,
	.get = flat_get,
};
