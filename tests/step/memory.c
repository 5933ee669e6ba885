#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 4, REGIONS = 4 };

struct region {
	char *at;
	size_t pages;
	int fd;
	unsigned char **base; /* a page's bytes, NULL: all zero */
	uint32_t **skip;      /* a page's words to leave out, one bit each */
	unsigned char *hot;
};

struct image_page {
	size_t region, page;
	unsigned char bytes[PAGE];
};

struct memory_image {
	size_t bytes; /* of the image itself, which is not forked with the driver */
	size_t count;
	pid_t name[STEP_WHOS];
	struct step_world world;
	struct image_page page[];
};

typedef void page_fn(size_t region, size_t page, void *arg);

static struct region regions[REGIONS];
static size_t region_count;
static struct step_world *world;
static struct step_world world_base;
static pid_t names[STEP_WHOS];
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
	unsigned char *copy = malloc(PAGE);
	memcpy(copy, page_at(region, page), PAGE);
	regions[region].base[page] = copy;
}

void
memory_base(void)
{
	for (size_t i = 0; i < region_count; i++) {
		for (size_t p = 0; p < regions[i].pages; p++) {
			free(regions[i].base[p]);
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
	regions[region].hot[page] = 1;
	memcpy(page_at(region, page), page_base(region, page), PAGE);
}

void
memory_rewind(void)
{
	memory_each(page_rewind, NULL);
	*world = world_base;
	memory_names_clear();
}

static void
page_count(size_t region, size_t page, void *arg)
{
	size_t *count = arg;
	if (memcmp(page_at(region, page), page_base(region, page), PAGE) == 0)
		return;
	regions[region].hot[page] = 1;
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

/*
 * Thousands of images would make each fork of the driver dear: MADV_DONTFORK keeps them out of it.
 */
struct memory_image *
memory_copy(void)
{
	size_t count = 0;
	memory_each(page_count, &count);
	size_t bytes = sizeof(struct memory_image) + count * sizeof(struct image_page);
	struct memory_image *image =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image == MAP_FAILED || madvise(image, bytes, MADV_DONTFORK) != 0)
		abort();
	image->bytes = bytes;
	memory_each(page_copy, image);
	memcpy(image->name, names, sizeof names);
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
	memcpy(names, image->name, sizeof names);
	*world = image->world;
}

void
memory_drop(struct memory_image *image)
{
	if (image)
		munmap(image, image->bytes);
}

void
memory_name(enum step_who who, pid_t tid)
{
	names[who] = tid;
}

void
memory_names_clear(void)
{
	memset(names, 0, sizeof names);
}

/* A thread id stands alone, or in the low 30 bits of a futex word. */
static uint32_t
word_named(uint32_t word, const pid_t *name)
{
	for (uint32_t who = 0; who < STEP_WHOS; who++) {
		if (name[who] && (word & 0x3fffffffu) == (uint32_t)name[who])
			return (word & 0xc0000000u) | 0x3fff0000u | who;
	}
	return word;
}

/* The page with names in place of thread ids, and zeros in place of what is left out. */
static void
page_plain(size_t region, size_t page, const unsigned char *bytes, const pid_t *name, uint32_t *out)
{
	const uint32_t *skip = regions[region].skip[page];
	memcpy(out, bytes, PAGE);
	for (size_t i = 0; i < WORDS; i++) {
		if (!out[i])
			continue;
		if (skip && (skip[i / 32] >> (i % 32) & 1))
			out[i] = 0;
		else
			out[i] = word_named(out[i], name);
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

static void
page_learn(const struct memory_image *one, const struct memory_image *other, size_t region,
           size_t page)
{
	uint32_t a[WORDS], b[WORDS];
	const struct image_page *in_one = image_find(one, region, page);
	const struct image_page *in_other = image_find(other, region, page);
	page_plain(region, page, in_one ? in_one->bytes : page_base(region, page), one->name, a);
	page_plain(region, page, in_other ? in_other->bytes : page_base(region, page), other->name, b);
	uint32_t **skip = &regions[region].skip[page];
	for (size_t i = 0; i < WORDS; i++) {
		if (a[i] == b[i])
			continue;
		if (!*skip)
			*skip = calloc(WORDS / 32, sizeof(uint32_t));
		(*skip)[i / 32] |= 1u << (i % 32);
	}
}

void
memory_learn(const struct memory_image *one, const struct memory_image *other)
{
	for (size_t i = 0; i < one->count; i++)
		page_learn(one, other, one->page[i].region, one->page[i].page);
	for (size_t i = 0; i < other->count; i++)
		page_learn(one, other, other->page[i].region, other->page[i].page);
}

static uint64_t
bytes_hash(uint64_t seed, const void *bytes, size_t length)
{
	uint64_t h = seed * UINT64_C(0x9e3779b97f4a7c15) + length;
	const unsigned char *at = bytes;
	for (size_t i = 0; i + 8 <= length; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, 8);
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	return h;
}

struct hashing {
	bool hot;
	uint64_t sum;
};

/* A page adds by how much it differs from the base, so an untouched one adds nothing. */
static void
page_hash(size_t region, size_t page, void *arg)
{
	struct hashing *h = arg;
	if (h->hot && !regions[region].hot[page])
		return;
	const unsigned char *now = page_at(region, page), *base = page_base(region, page);
	if (memcmp(now, base, PAGE) == 0)
		return;
	uint32_t plain[WORDS];
	uint64_t seed = page * REGIONS + region + 1;
	page_plain(region, page, now, names, plain);
	h->sum += bytes_hash(seed, plain, PAGE);
	page_plain(region, page, base, names, plain);
	h->sum -= bytes_hash(seed, plain, PAGE);
}

uint64_t
memory_hash(bool hot)
{
	struct hashing h = { .hot = hot };
	memory_each(page_hash, &h);
	for (uint64_t who = STEP_VICTIM; who <= STEP_SECOND; who++) {
		h.sum += bytes_hash(101 + who, &world->part[who], sizeof world->part[who]);
		h.sum += bytes_hash(201 + who, &world->log[who], sizeof world->log[who]);
	}
	return h.sum;
}

size_t
memory_bytes(void)
{
	size_t pages = 0;
	for (size_t i = 0; i < region_count; i++)
		pages += regions[i].pages;
	return pages * PAGE;
}
