/*
 * Searches a POSIX regular expression through all files under some directories with a pool, and
 * prints what `grep -rn PATTERN DIRECTORY…` prints of text files, file after file in the order of
 * their paths.
 *
 *	pgrep [-E] PATTERN DIRECTORY…
 *
 * Paths are the inputs of imap, which gives the results in their order while later files are still
 * being searched; its window bounds how far ahead that goes. What a task finds has any length: it
 * lies in a block of an arena, and the answer in place is the reference to it. The pattern is
 * compiled once in each worker, by its initializer.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shoal/shoal.h>

struct search {
	const char *pattern;
	int flags;
	shoal_arena *arena;
};

/* What a task answers: its output, in memory of the arena that is the reader's to free. */
struct answer {
	shoal_ref text;
	size_t bytes;
};

/* The paths, as the workers see them too: they are forked when all are known. */
struct paths {
	char **at;
	size_t count, room;
	size_t unread; /* files and directories that could not be looked into */
};

static regex_t regex; /* a worker's */
static struct paths paths;

/* Output that grows. */
struct text {
	char *at;
	size_t bytes, room;
};

static int
text_add(struct text *t, const char *from, size_t bytes)
{
	if (t->bytes + bytes > t->room) {
		size_t room = 2 * (t->bytes + bytes);
		char *at = realloc(t->at, room);

		if (!at)
			return -ENOMEM;
		t->at = at;
		t->room = room;
	}
	memcpy(t->at + t->bytes, from, bytes);
	t->bytes += bytes;
	return 0;
}

static int
compile(void *arg)
{
	const struct search *s = arg;

	return regcomp(&regex, s->pattern, s->flags | REG_NOSUB) ? -EINVAL : 0;
}

/* One line without its end; `line` is writable, and ends with a zero byte for regexec. */
static int
match_line(struct text *out, const char *path, size_t number, char *line, size_t bytes)
{
	char prefix[32];
	int n, rc;

	if (regexec(&regex, line, 0, NULL, 0))
		return 0;
	n = snprintf(prefix, sizeof prefix, ":%zu:", number);
	rc = text_add(out, path, strlen(path));
	if (!rc)
		rc = text_add(out, prefix, (size_t)n);
	if (!rc)
		rc = text_add(out, line, bytes);
	return rc ? rc : text_add(out, "\n", 1);
}

/* A file with a zero byte is not text: it is passed by, as with grep's -I. */
static int
match_all(struct text *out, const char *path, char *file, size_t bytes)
{
	size_t number = 0;
	int rc = 0;

	if (memchr(file, 0, bytes))
		return 0;
	for (size_t at = 0; !rc && at < bytes; number++) {
		char *end = memchr(file + at, '\n', bytes - at);
		size_t length = end ? (size_t)(end - file) - at : bytes - at;

		file[at + length] = 0;
		rc = match_line(out, path, number + 1, file + at, length);
		at += length + 1;
	}
	return rc;
}

static char *
read_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *file = NULL;

	*bytes = 0;
	if (fd >= 0 && !fstat(fd, &st))
		file = malloc((size_t)st.st_size + 1);
	for (ssize_t n = 1; file && n > 0 && *bytes < (size_t)st.st_size; *bytes += (size_t)n) {
		n = read(fd, file + *bytes, (size_t)st.st_size - *bytes);
		if (n < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
	return file;
}

static int
search_file(shoal_task *task)
{
	const struct search *s = task->context;
	const char *path = paths.at[task->index];
	struct answer *answer = task->out;
	struct text out = { 0 };
	size_t bytes;
	char *file = read_file(path, &bytes);
	int rc;

	if (!file)
		return shoal_task_fail(task, "%s: %s", path, strerror(errno));
	rc = match_all(&out, path, file, bytes);
	free(file);
	if (!rc && out.bytes) {
		void *shared = shoal_new(s->arena, out.bytes);

		rc = shared ? 0 : -ENOMEM;
		if (shared)
			memcpy(shared, out.at, out.bytes);
		*answer = (struct answer){ shoal_ref_of(s->arena, shared), out.bytes };
	}
	free(out.at);
	return rc;
}

static int
keep_path(const char *path)
{
	if (paths.count == paths.room) {
		size_t room = paths.room ? 2 * paths.room : 1024;
		char **at = realloc(paths.at, room * sizeof *at);

		if (!at)
			return -ENOMEM;
		paths.at = at;
		paths.room = room;
	}
	paths.at[paths.count] = strdup(path);
	return paths.at[paths.count++] ? 0 : -ENOMEM;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
find_paths(char **roots)
{
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int rc = tree ? 0 : -errno;

	for (FTSENT *e; !rc && (e = fts_read(tree));) {
		if (e->fts_info == FTS_F) {
			rc = keep_path(e->fts_path);
		} else if (e->fts_info == FTS_NS || e->fts_info == FTS_DNR || e->fts_info == FTS_ERR) {
			fprintf(stderr, "pgrep: %s: %s\n", e->fts_path, strerror(e->fts_errno));
			paths.unread++;
		}
	}
	if (tree)
		fts_close(tree);
	if (paths.count)
		qsort(paths.at, paths.count, sizeof *paths.at, by_path);
	return rc;
}

/* Prints the results as they come, in order; how many files could not be searched. */
static int
print_all(const struct search *s, shoal_results *it, bool *any)
{
	struct answer a;
	int failures = 0;

	for (;;) {
		ssize_t rc = shoal_results_next(it, NULL, &a, sizeof a, SHOAL_FOREVER);

		if (rc == -EPIPE)
			return failures;
		if (rc < 0) {
			fprintf(stderr, "pgrep: %s\n", shoal_error());
			failures++;
			continue;
		}
		if (!a.bytes)
			continue;
		*any = true;
		fwrite(shoal_deref(s->arena, a.text), 1, a.bytes, stdout);
		shoal_free(s->arena, shoal_deref(s->arena, a.text));
	}
}

static int
search(struct search *s, bool *any)
{
	shoal_pool_options options = { .initializer = compile, .initializer_arg = s, .context = s,
		                           .retries_max = 1 };
	shoal_map_options map = { .chunk = 8 };
	shoal_pool *pool;
	shoal_results *it;
	int failures = 1;

	if (shoal_pool_create(&options, &pool) < 0)
		return shoal_perror("pgrep: pool"), 1;
	if (shoal_pool_imap(pool, search_file, NULL, 0, sizeof(struct answer), paths.count, &map,
	                    &it) == 0) {
		failures = print_all(s, it, any);
		shoal_results_free(it);
	} else {
		shoal_perror("pgrep");
	}
	shoal_pool_destroy(pool);
	return failures;
}

int
main(int argc, char **argv)
{
	bool extended = argc > 1 && !strcmp(argv[1], "-E"), any = false;
	struct search s = { .flags = extended ? REG_EXTENDED : 0 };
	regex_t tried;
	int failures;

	if (argc < 3 + extended) {
		fprintf(stderr, "usage: pgrep [-E] PATTERN DIRECTORY...\n");
		return 2;
	}
	s.pattern = argv[1 + extended];
	if (regcomp(&tried, s.pattern, s.flags)) {
		fprintf(stderr, "pgrep: not a regular expression: %s\n", s.pattern);
		return 2;
	}
	regfree(&tried);
	if (find_paths(argv + 2 + extended) || shoal_arena_create(NULL, NULL, &s.arena) < 0)
		return shoal_perror("pgrep"), 2;
	failures = search(&s, &any);
	shoal_arena_close(s.arena);
	for (size_t i = 0; i < paths.count; i++)
		free(paths.at[i]);
	free(paths.at);
	return failures || paths.unread ? 2 : !any;
}
