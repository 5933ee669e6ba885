/*
 * Files that claim to be arenas: whatever their bytes are, attaching them is an error with a
 * sentence, or gives an arena that stat, next and check walk without a crash, without an endless
 * loop, and without a step outside.
 *
 * The first byte of an input chooses. Even: the rest is the start of the file. Odd: the rest are
 * patches (region, offset low, offset high, count, bytes …) of an arena that is sound, so that
 * those get past the header.
 */
#include "arena/header.h"
#include <shoal/shoal.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define REGIONS 7
#define PIECE 4096

static char *sound; /* a copy of an arena with something of each kind in it */
static uint64_t sound_bytes;
static uint64_t region[REGIONS];

static void
must(bool so, const char *what)
{
	if (so)
		return;
	fprintf(stderr, "attach_fuzz: %s: %s\n", what, shoal_error());
	abort();
}

static void
fill(shoal_arena *a)
{
	shoal_queue *q;
	must(shoal_queue_create(a, "queue", NULL, &q) == 0, "a queue");
	must(shoal_queue_put(q, "message", 7, SHOAL_NOWAIT) == 0, "a message");
	must(shoal_queue_put(q, sound, 5000, SHOAL_NOWAIT) == 0, "a long message");
	shoal_pipe_end *left, *right;
	must(shoal_pipe_create(a, "pipe", NULL, &left, &right) == 0, "a pipe");
	must(shoal_pipe_send(left, "message", 7, SHOAL_NOWAIT) == 0, "a message");
	for (size_t n = 1; n < 200000; n *= 5)
		must(shoal_new(a, n) != NULL, "a block");
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	static const shoal_arena_options small = { .limit_bytes = 4 << 20, .members_max = 3 };
	shoal_arena *a;
	must(shoal_arena_create(NULL, &small, &a) == 0, "an arena");
	sound_bytes = a->bytes;
	sound = calloc(1, sound_bytes);
	must(sound != NULL, "memory");
	fill(a);
	const uint64_t at[REGIONS] = {
		0, a->members_at, a->objects_at, a->pages_at, a->data_at,
		load_relaxed(&arena_object(a, 1)->body), load_relaxed(&arena_object(a, 2)->body),
	};
	memcpy(region, at, sizeof region);
	memcpy(sound, a->base, sound_bytes);
	shoal_arena_close(a);
	return 0;
}

static bool
is_zero(const char *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PIECE - 1) == 0;
}

static void
put(int fd, const void *p, size_t bytes, uint64_t at)
{
	must(pwrite(fd, p, bytes, (off_t)at) == (ssize_t)bytes, "writing");
}

static void
put_sound(int fd)
{
	must(fallocate(fd, 0, 0, (off_t)sound_bytes) == 0, "memory for the holes");
	for (uint64_t at = 0; at < sound_bytes; at += PIECE)
		if (!is_zero(sound + at))
			put(fd, sound + at, PIECE, at);
}

static void
put_patches(int fd, const uint8_t *data, size_t bytes)
{
	while (bytes > 4) {
		uint64_t at = region[data[0] % REGIONS] + (uint64_t)(data[1] | data[2] << 8);
		size_t n = data[3] < bytes - 4 ? data[3] : bytes - 4;
		if (n > sound_bytes - at)
			n = sound_bytes - at;
		put(fd, data + 4, n, at);
		data += 4 + n;
		bytes -= 4 + n;
	}
}

static void
look(shoal_arena *a)
{
	shoal_arena_info info;
	shoal_object_info object;
	must(shoal_arena_check(a, NULL) >= 0, "check");
	must(shoal_arena_stat(a, &info) == 0, "stat");
	uint64_t objects = 0;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &object) == 1; objects++)
		(void)shoal_deref(a, object.ref);
	must(objects <= OBJECTS_MAX, "an end to the objects");
}

static void
attach(int fd)
{
	shoal_arena *a;
	int rc = shoal_arena_attach_fd(fd, &a);
	must(rc <= 0 && (rc == 0) == (a != NULL) && *shoal_error(), "an answer");
	if (rc)
		return;
	look(a);
	shoal_arena_close(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes < 1 || bytes > 1 << 16)
		return 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(fd >= 0, "memfd_create");
	if (data[0] & 1) {
		put_sound(fd);
		put_patches(fd, data + 1, bytes - 1);
	} else {
		put(fd, data + 1, bytes - 1, 0);
	}
	must(ftruncate(fd, (off_t)sound_bytes) == 0, "ftruncate");
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "sealing");
	attach(fd);
	close(fd);
	return 0;
}
