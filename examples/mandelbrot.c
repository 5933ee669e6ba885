/*
 * The Mandelbrot set as a picture: a pool computes the rows, and a bar on stderr says how far it
 * is.
 *
 *	mandelbrot [-s] WIDTH HEIGHT >picture.ppm
 *
 * Rows differ much in what they cost, so each is an item of its own and workers take whichever
 * comes next. The rows lie in an arena that the pool knows, where the workers write them in place:
 * nothing is copied. -s computes the same in one process, for comparison.
 */
#include <stdlib.h>
#include <string.h>

#include <shoal/shoal.h>

#define ITERATIONS 1000

struct picture {
	unsigned width, height;
};

/* How many steps the point stays near; ITERATIONS: as long as anybody looked. */
static unsigned
steps(double re, double im)
{
	double x = 0, y = 0;
	unsigned n = 0;

	while (n < ITERATIONS && x * x + y * y < 4) {
		double next = x * x - y * y + re;

		y = 2 * x * y + im;
		x = next;
		n++;
	}
	return n;
}

static void
paint(unsigned char *rgb, unsigned n)
{
	bool inside = n == ITERATIONS;

	rgb[0] = inside ? 0 : (unsigned char)(n * 5);
	rgb[1] = inside ? 0 : (unsigned char)(n * 11);
	rgb[2] = inside ? 0 : (unsigned char)(255 - n * 3);
}

static void
compute_row(const struct picture *p, size_t row, unsigned char *rgb)
{
	double im = 2.4 * (double)row / p->height - 1.2;

	for (unsigned i = 0; i < p->width; i++)
		paint(rgb + 3 * i, steps(3.2 * i / p->width - 2.2, im));
}

/* A worker has the picture's measures from the time it was forked. */
static int
row_task(shoal_task *task)
{
	compute_row(task->context, task->index, task->out);
	return 0;
}

static int
compute_serially(const struct picture *p, unsigned char *rows)
{
	for (size_t i = 0; i < p->height; i++)
		compute_row(p, i, rows + i * 3 * p->width);
	return 0;
}

static int
compute_by_pool(const struct picture *p, shoal_arena *arena, unsigned char *rows)
{
	shoal_pool_options options = { .arena = arena, .context = (void *)(uintptr_t)p };
	shoal_map_options map = { .chunk = 1, .progress = shoal_progress_bar,
		                      .progress_arg = "mandelbrot" };
	shoal_pool *pool;
	ssize_t failed;

	if (shoal_pool_create(&options, &pool) < 0)
		return shoal_perror("pool"), 1;
	failed = shoal_pool_map(pool, row_task, NULL, 0, rows, 3 * p->width, p->height, &map);
	if (failed)
		shoal_perror("map");
	shoal_pool_destroy(pool);
	return failed != 0;
}

static int
write_picture(const struct picture *p, const unsigned char *rows)
{
	size_t bytes = (size_t)3 * p->width * p->height;

	printf("P6\n%u %u\n255\n", p->width, p->height);
	return fwrite(rows, 1, bytes, stdout) != bytes || fflush(stdout);
}

int
main(int argc, char **argv)
{
	bool serial = argc > 1 && !strcmp(argv[1], "-s");
	struct picture p = { 0 };
	shoal_arena *arena;
	unsigned char *rows;
	int rc;

	if (argc == 3 + serial) {
		p.width = (unsigned)strtoul(argv[1 + serial], NULL, 10);
		p.height = (unsigned)strtoul(argv[2 + serial], NULL, 10);
	}
	if (!p.width || !p.height || p.width > 20000 || p.height > 20000) {
		fprintf(stderr, "usage: mandelbrot [-s] WIDTH HEIGHT >picture.ppm\n");
		return 2;
	}
	if (shoal_arena_create(NULL, NULL, &arena) < 0)
		return shoal_perror("arena"), 1;
	rows = shoal_new(arena, (size_t)3 * p.width * p.height);
	if (!rows)
		return shoal_perror("rows"), 1;
	rc = serial ? compute_serially(&p, rows) : compute_by_pool(&p, arena, rows);
	if (!rc)
		rc = write_picture(&p, rows);
	shoal_arena_close(arena);
	return rc;
}
