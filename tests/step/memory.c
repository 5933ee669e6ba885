#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "name.h"
#include "own.h"

enum { PAGE = 4096, WORDS = PAGE / 4, REGIONS = 4 };

struct region {
	char *at;
	size_t pages;
	int fd;
	bool elsewhere; /* victims map the file at other addresses */
	unsigned char **base; /* a page's bytes, NULL: all zero */
	uint32_t **skip;      /* a page's words to leave out, one bit each */
	unsigned char *hot; /* a victim had it mapped */
};

struct image_page {
	size_t region, page;
	unsigned char bytes[PAGE];
};

struct memory_image {
	size_t bytes; /* of the image itself */
	size_t count;
	struct names names;
	struct step_world world;
	struct image_page page[];
};

typedef void page_fn(size_t region, size_t page, void *arg);

static struct region regions[REGIONS];
static size_t region_count;
static struct step_world *world;
static struct step_world world_base;
static const unsigned char zeros[PAGE];

void
memory_world(struct step_world *w)
{
	world = w;
}

void
step_watch(void *at, size_t bytes, int fd)
{
	if (region_count == REGIONS)
		abort();
	size_t pages = (bytes + PAGE - 1) / PAGE;
	regions[region_count++] = (struct region){
		.at = at,
		.pages = pages,
		.fd = fd,
		.base = calloc(pages, sizeof(unsigned char *)),
		.skip = calloc(pages, sizeof(uint32_t *)),
		.hot = calloc(pages, 1),
	};
}

void
step_watch_file(void *at, size_t bytes, int fd)
{
	step_watch(at, bytes, fd);
	regions[region_count - 1].elsewhere = true;
}

bool
memory_range(size_t i, uint64_t *at, uint64_t *bytes)
{
	if (i >= region_count)
		return false;
	*at = (uint64_t)(uintptr_t)regions[i].at;
	*bytes = regions[i].pages * PAGE;
	return true;
}

bool
memory_is_elsewhere(void)
{
	for (size_t i = 0; i < region_count; i++) {
		if (regions[i].elsewhere)
			return true;
	}
	return false;
}

bool
memory_is_here(uint64_t at)
{
	for (size_t i = 0; i < region_count; i++) {
		const struct region *r = &regions[i];
		if (!r->elsewhere && at - (uint64_t)(uintptr_t)r->at < r->pages * PAGE)
			return true;
	}
	return false;
}

static unsigned char *
page_at(size_t region, size_t page)
{
	return (unsigned char *)regions[region].at + page * PAGE;
}

static const unsigned char *
page_base(size_t region, size_t page)
{
	const unsigned char *base = regions[region].base[page];
	return base ? base : zeros;
}

/*
 * Pages of a sparse file that were never written are not read: reading would put memory behind
 * them.
 */
static void
region_each(size_t index, page_fn *fn, void *arg)
{
	struct region *r = &regions[index];
	off_t end = (off_t)(r->pages * PAGE);
	for (off_t at = 0; at < end;) {
		off_t from = at, to = end;
		if (r->fd >= 0) {
			from = lseek(r->fd, at, SEEK_DATA);
			to = from < 0 ? -1 : lseek(r->fd, from, SEEK_HOLE);
			if (from < 0 || to < 0)
				return;
		}
		for (off_t p = from / PAGE; p < (to + PAGE - 1) / PAGE && p * PAGE < end; p++)
			fn(index, (size_t)p, arg);
		at = to;
	}
}

static void
memory_each(page_fn *fn, void *arg)
{
	for (size_t i = 0; i < region_count; i++)
		region_each(i, fn, arg);
}

static void
page_save(size_t region, size_t page, void *arg)
{
	(void)arg;
	if (memcmp(page_at(region, page), zeros, PAGE) == 0)
		return;
	unsigned char *copy = own_alloc(PAGE);
	memcpy(copy, page_at(region, page), PAGE);
	regions[region].base[page] = copy;
}

void
memory_base(void)
{
	for (size_t i = 0; i < region_count; i++) {
		for (size_t p = 0; p < regions[i].pages; p++) {
			own_free(regions[i].base[p], PAGE);
			regions[i].base[p] = NULL;
		}
	}
	memory_each(page_save, NULL);
	world_base = *world;
}

static void
page_rewind(size_t region, size_t page, void *arg)
{
	(void)arg;
	if (memcmp(page_at(region, page), page_base(region, page), PAGE) == 0)
		return;
	memcpy(page_at(region, page), page_base(region, page), PAGE);
}

void
memory_rewind(void)
{
	memory_each(page_rewind, NULL);
	*world = world_base;
	names_clear();
}

static void
page_count(size_t region, size_t page, void *arg)
{
	size_t *count = arg;
	if (memcmp(page_at(region, page), page_base(region, page), PAGE) == 0)
		return;
	++*count;
}

static void
page_copy(size_t region, size_t page, void *arg)
{
	struct memory_image *image = arg;
	if (memcmp(page_at(region, page), page_base(region, page), PAGE) == 0)
		return;
	struct image_page *copy = &image->page[image->count++];
	copy->region = region;
	copy->page = page;
	memcpy(copy->bytes, page_at(region, page), PAGE);
}

struct memory_image *
memory_copy(void)
{
	size_t count = 0;
	memory_each(page_count, &count);
	size_t bytes = sizeof(struct memory_image) + count * sizeof(struct image_page);
	struct memory_image *image = own_alloc(bytes);
	image->bytes = bytes;
	memory_each(page_copy, image);
	image->names = *names_now();
	image->world = *world;
	return image;
}

void
memory_put(const struct memory_image *image)
{
	memory_rewind();
	if (!image)
		return;
	for (size_t i = 0; i < image->count; i++) {
		const struct image_page *copy = &image->page[i];
		memcpy(page_at(copy->region, copy->page), copy->bytes, PAGE);
	}
	names_put(&image->names);
	*world = image->world;
}

void
memory_drop(struct memory_image *image)
{
	if (image)
		own_free(image, image->bytes);
}

/* The page with names in place of thread ids, and zeros in place of what is left out. */
static void
page_plain(size_t region, size_t page, const unsigned char *bytes, const struct names *names,
           uint32_t *out)
{
	const uint32_t *skip = regions[region].skip[page];
	memcpy(out, bytes, PAGE);
	for (size_t i = 0; i < WORDS; i += 2) {
		if (out[i] || out[i + 1])
			pair_named(out + i, names);
	}
	for (size_t i = 0; skip && i < WORDS; i++) {
		if (skip[i / 32] >> (i % 32) & 1)
			out[i] = 0;
	}
}

static const struct image_page *
image_find(const struct memory_image *image, size_t region, size_t page)
{
	for (size_t i = 0; i < image->count; i++) {
		if (image->page[i].region == region && image->page[i].page == page)
			return &image->page[i];
	}
	return NULL;
}

static bool
page_learn(const struct memory_image *one, const struct memory_image *other, size_t region,
           size_t page)
{
	uint32_t a[WORDS], b[WORDS];
	const struct image_page *in_one = image_find(one, region, page);
	const struct image_page *in_other = image_find(other, region, page);
	page_plain(region, page, in_one ? in_one->bytes : page_base(region, page), &one->names, a);
	page_plain(region, page, in_other ? in_other->bytes : page_base(region, page),
	           &other->names, b);
	uint32_t **skip = &regions[region].skip[page];
	bool more = false;
	for (size_t i = 0; i < WORDS; i++) {
		if (a[i] == b[i])
			continue;
		more = true;
		if (!*skip)
			*skip = calloc(WORDS / 32, sizeof(uint32_t));
		(*skip)[i / 32] |= 1u << (i % 32);
	}
	return more;
}

bool
memory_learn(const struct memory_image *one, const struct memory_image *other)
{
	bool more = false;
	for (size_t i = 0; i < one->count; i++)
		more |= page_learn(one, other, one->page[i].region, one->page[i].page);
	for (size_t i = 0; i < other->count; i++)
		more |= page_learn(one, other, other->page[i].region, other->page[i].page);
	return more;
}

static uint64_t
mix(uint64_t where, uint64_t word)
{
	uint64_t h = (where + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ word;
	h = (h ^ (h >> 32)) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ (h >> 29)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ (h >> 32);
}

static uint64_t
bytes_hash(uint64_t seed, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	uint64_t sum = 0;
	for (size_t i = 0; i + 8 <= length; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, 8);
		if (word)
			sum += mix(seed << 32 | i, word);
	}
	return sum;
}

/* Two words as memory_plain shows them. */
static uint64_t
pair_plain(const uint32_t *skip, size_t i, const unsigned char *bytes)
{
	uint32_t pair[2];
	memcpy(pair, bytes + i * 4, sizeof pair);
	pair_named(pair, names_now());
	for (size_t k = 0; skip && k < 2; k++) {
		if (skip[(i + k) / 32] >> ((i + k) % 32) & 1)
			pair[k] = 0;
	}
	return (uint64_t)pair[1] << 32 | pair[0];
}

/* How much a page differs from the base: a sum over the words that do, so 0 if none does. */
static uint64_t
page_sum(size_t region, size_t page, const unsigned char *now)
{
	const unsigned char *base = page_base(region, page);
	const uint32_t *skip = regions[region].skip[page];
	uint64_t where = (page * REGIONS + region + 1) << 32, sum = 0;
	if (memcmp(now, base, PAGE) == 0)
		return 0;
	for (size_t i = 0; i < WORDS; i += 2) {
		if (memcmp(now + i * 4, base + i * 4, 8) == 0)
			continue;
		sum += mix(where + i, pair_plain(skip, i, now));
		sum -= mix(where + i, pair_plain(skip, i, base));
	}
	return sum;
}

static void
page_hash(size_t region, size_t page, void *arg)
{
	*(uint64_t *)arg += page_sum(region, page, page_at(region, page));
}

static uint64_t
world_hash(void)
{
	uint64_t sum = 0;
	for (uint64_t who = STEP_VICTIM; who <= STEP_SECOND; who++) {
		sum += bytes_hash(101 + who, &world->part[who], sizeof world->part[who]);
		sum += bytes_hash(201 + who, &world->log[who], sizeof world->log[who]);
	}
	return sum;
}

uint64_t
memory_hash(void)
{
	uint64_t sum = world_hash();
	memory_each(page_hash, &sum);
	return sum;
}

static bool
page_difference(const struct memory_image *image, size_t region, size_t page, char *text,
                size_t room)
{
	uint32_t now[WORDS], then[WORDS];
	const struct image_page *in = image_find(image, region, page);
	page_plain(region, page, page_at(region, page), names_now(), now);
	page_plain(region, page, in ? in->bytes : page_base(region, page), &image->names, then);
	for (size_t i = 0; i < WORDS; i++) {
		if (now[i] == then[i])
			continue;
		snprintf(text, room, "%#x at %#zx, not %#x", now[i], page * PAGE + i * 4, then[i]);
		return true;
	}
	return false;
}

void
memory_difference(const struct memory_image *image, char *text, size_t room)
{
	const struct step_part *now = &world->part[STEP_VICTIM];
	const struct step_part *then = &image->world.part[STEP_VICTIM];
	text[0] = 0;
	for (size_t i = 0; i < region_count; i++) {
		for (size_t p = 0; p < regions[i].pages; p++) {
			if ((regions[i].hot[p] || image_find(image, i, p)) &&
			    page_difference(image, i, p, text, room))
				return;
		}
	}
	for (size_t who = 0; who < 2; who++) {
		if (memcmp(&now[who], &then[who], sizeof *now) != 0)
			snprintf(text, room, "what process %zu tells", who + 1);
	}
}

/* ---- step by step ---- */

/* A page that may change, and what it was at the step before. */
struct shadow {
	const unsigned char *now;
	size_t region, page;
	uint64_t sum;
	unsigned char was[PAGE];
};

static struct shadow *shadows;
static size_t shadow_count, shadow_room;
static uint64_t shadow_sum;
static struct {
	struct step_part part[2];
	struct step_log log[2];
	uint64_t sum;
} world_was;

static void
shadow_add(size_t region, size_t page)
{
	if (shadow_count == shadow_room) {
		size_t room = shadow_room ? shadow_room * 2 : 64;
		shadows = own_grow(shadows, shadow_room * sizeof *shadows, room * sizeof *shadows);
		shadow_room = room;
	}
	struct shadow *s = &shadows[shadow_count++];
	s->now = page_at(region, page);
	s->region = region;
	s->page = page;
	memcpy(s->was, s->now, PAGE);
	s->sum = page_sum(region, page, s->was);
	shadow_sum += s->sum;
}

static void
world_note(void)
{
	memcpy(world_was.part, &world->part[STEP_VICTIM], sizeof world_was.part);
	memcpy(world_was.log, &world->log[STEP_VICTIM], sizeof world_was.log);
	world_was.sum = world_hash();
}

void
memory_follow(void)
{
	shadow_count = 0;
	shadow_sum = 0;
	for (size_t i = 0; i < region_count; i++) {
		for (size_t p = 0; p < regions[i].pages; p++) {
			if (regions[i].hot[p])
				shadow_add(i, p);
		}
	}
	world_note();
}

uint64_t
memory_next(void)
{
	for (size_t i = 0; i < shadow_count; i++) {
		struct shadow *s = &shadows[i];
		if (memcmp(s->was, s->now, PAGE) == 0)
			continue;
		memcpy(s->was, s->now, PAGE);
		shadow_sum -= s->sum;
		s->sum = page_sum(s->region, s->page, s->was);
		shadow_sum += s->sum;
	}
	if (memcmp(world_was.part, &world->part[STEP_VICTIM], sizeof world_was.part) != 0 ||
	    memcmp(world_was.log, &world->log[STEP_VICTIM], sizeof world_was.log) != 0)
		world_note();
	return shadow_sum + world_was.sum;
}

static void
page_heat(size_t region, size_t page, void *arg)
{
	bool *more = arg;
	if (!regions[region].hot[page])
		*more = true;
	regions[region].hot[page] = 1;
}

bool
memory_touched(pid_t tid)
{
	char path[64];
	bool more = false;
	snprintf(path, sizeof path, "/proc/%d/pagemap", (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < region_count; i++) {
		struct region *r = &regions[i];
		uint64_t entry[512];
		if (r->elsewhere || fd < 0)
			region_each(i, page_heat, &more);
		for (size_t p = 0; fd >= 0 && !r->elsewhere && p < r->pages; p++) {
			size_t n = r->pages - p / 512 * 512;
			off_t at = (off_t)(((uintptr_t)r->at / PAGE + p) * sizeof entry[0]);
			if (p % 512 == 0 &&
			    pread(fd, entry, (n < 512 ? n : 512) * sizeof entry[0], at) <= 0)
				break;
			if (!(entry[p % 512] >> 63) || r->hot[p])
				continue;
			r->hot[p] = 1;
			more = true;
		}
	}
	if (fd >= 0)
		close(fd);
	return more;
}
