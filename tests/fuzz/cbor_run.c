#include "cbor_run.h"
#include "arena/object.h"
#include "arena/pin.h"
#include "data/cell.h"
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shoal_arena *arena;
static shoal_queue *queue;
static uint32_t object;
static FILE *nowhere;

static void
must(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "cbor_run: %s: %s\n", what, shoal_error());
	abort();
}

void
cbor_run_begin(void)
{
	shoal_arena_options options = { .limit_bytes = 16 << 20, .members_max = 4 };
	must(shoal_arena_create(NULL, &options, &arena) == 0, "no arena");
	must(shoal_queue_create(arena, "q", NULL, &queue) == 0, "no queue");
	object = object_of_body(arena, queue, SHOAL_KIND_QUEUE);
	nowhere = fopen("/dev/null", "w");
	must(nowhere != NULL, "no /dev/null");
}

void
cbor_run_end(void)
{
	fclose(nowhere);
	must(shoal_arena_check(arena, stderr) == 0, "the arena is damaged");
	shoal_arena_close(arena);
}

/* Written, it is the same bytes each time, and read the same value: told by its bytes, for NaN. */
static void
write_again(const shoal_any *v)
{
	shoal_any again;
	ssize_t n = shoal_any_encode(v, NULL, 0);
	must(n == -EMSGSIZE, "a value that was read has no length");
	size_t bytes = shoal_needed();
	char *first = malloc(bytes), *second = malloc(bytes);
	must(shoal_any_encode(v, first, bytes) == (ssize_t)bytes, "not written");
	must(shoal_any_decode(first, bytes, &again) == 0, "what was written is not read");
	must(shoal_any_encode(&again, second, bytes) == (ssize_t)bytes, "not written again");
	must(memcmp(first, second, bytes) == 0, "written again it is something else");
	shoal_any_clear(&again);
	free(first);
	free(second);
}

static void
use(const shoal_any *v)
{
	shoal_any copy;
	must(shoal_any_print(v, nowhere) == 0, "not printed");
	must(shoal_any_copy(v, &copy) == 0, "not copied");
	(void)shoal_any_equal(v, &copy);
	shoal_any_clear(&copy);
}

static void
as_wire(const void *bytes, size_t n)
{
	shoal_any v;
	if (shoal_any_decode(bytes, n, &v))
		return;
	use(&v);
	write_again(&v);
	shoal_any_clear(&v);
}

static void
as_cell(const void *bytes, size_t n, uint32_t kind, uint32_t nodes)
{
	struct cell c = { .kind = kind, .bytes = (uint32_t)n, .refs = 3, .nodes = nodes };
	shoal_ref refs[3];
	shoal_any v;
	must(cell_refs(&c, bytes, refs, 3, 0) <= 3, "more references than asked for");
	if (cell_read(arena, &c, bytes, &v) == 0) {
		use(&v);
		shoal_any_clear(&v);
	}
	uint32_t pinned = object;
	pin_filter(arena, &pinned, 1);
	must(pinned == object, "a pin is left");
}

static void
fill_references(unsigned char *bytes, size_t n)
{
	shoal_ref ref = shoal_ref_of(arena, queue);
	for (size_t at = 0; at + 14 <= n; at++)
		if (memcmp(bytes + at, CBOR_RUN_REF, 14) == 0)
			for (int i = 0; i < 8; i++)
				bytes[at + 6 + (size_t)i] = (unsigned char)(ref >> (56 - 8 * i));
}

/* A copy of just the length, so that a sanitizer sees whatever is read behind it. */
void
cbor_run(const uint8_t *data, size_t bytes)
{
	if (bytes > 1 << 20)
		return;
	unsigned char *copy = calloc(1, bytes ? bytes : 1);
	if (bytes)
		memcpy(copy, data, bytes);
	as_wire(copy, bytes);
	fill_references(copy, bytes);
	uint32_t nodes = bytes ? copy[bytes - 1] : 0;
	as_cell(copy, bytes, SHOAL_ANY_LIST, bytes ? (uint32_t)bytes - 1 : 0);
	as_cell(copy, bytes, SHOAL_ANY_MAP, bytes ? (uint32_t)bytes - 1 : 0);
	as_cell(copy, bytes, nodes % 10, nodes % 16);
	free(copy);
}
