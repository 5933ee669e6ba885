#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
memory(void *old, size_t items, size_t bytes)
{
	void *p = old ? realloc(old, items * bytes) : calloc(items, bytes);

	if (!p) {
		fprintf(stderr, "no memory for %zu states\n", items);
		exit(2);
	}
	return p;
}

static uint64_t
mixed(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* 0 stands for an unused slot. */
static uint64_t
fingerprint(const void *state, size_t bytes)
{
	const char *p = state;
	uint64_t a = UINT64_C(0x9e3779b97f4a7c15), b = UINT64_C(0xc2b2ae3d27d4eb4f);

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t x;
		memcpy(&x, p + i, 8);
		__uint128_t wide = (__uint128_t)(x ^ a) * UINT64_C(0xff51afd7ed558ccd);
		a = (uint64_t)wide ^ (uint64_t)(wide >> 64) ^ b;
		b = (b << 23 | b >> 41) + x;
	}
	a = mixed(a ^ mixed(b));
	return a ? a : 1;
}

static bool
insert(struct state_set *s, uint64_t key)
{
	size_t i = key & (s->room - 1);

	while (s->slot[i] && s->slot[i] != key)
		i = (i + 1) & (s->room - 1);
	if (s->slot[i] == key)
		return false;
	s->slot[i] = key;
	return true;
}

static void
grow(struct state_set *s)
{
	uint64_t *old = s->slot;
	size_t room = s->room;

	s->room = room ? 2 * room : 1 << 16;
	s->slot = memory(NULL, s->room, sizeof *s->slot);
	for (size_t i = 0; i < room; i++)
		if (old[i])
			insert(s, old[i]);
	free(old);
}

bool
state_set_add(struct state_set *s, const void *state, size_t bytes)
{
	if (10 * s->count >= 6 * s->room)
		grow(s);
	if (!insert(s, fingerprint(state, bytes)))
		return false;
	s->count++;
	return true;
}

void
state_set_finish(struct state_set *s)
{
	free(s->slot);
	*s = (struct state_set){ 0 };
}

void *
state_list_add(struct state_list *l, const void *state)
{
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 1 << 12;
		l->item = memory(l->item, l->room, l->bytes);
		if (l->with_steps)
			l->step = memory(l->step, l->room, sizeof *l->step);
	}
	return memcpy(state_list_at(l, l->count++), state, l->bytes);
}

void
state_list_finish(struct state_list *l)
{
	free(l->item);
	free(l->step);
	*l = (struct state_list){ 0 };
}
