/*
 * Counts the words of every file under some directories, with as many processes as there are
 * processors, and prints what `tr -cs '[:alnum:]_' '\n' | sort | uniq -c` prints of them.
 *
 *	walker --- paths ---> counters --- tallies ---> main
 *
 * One process walks the directories and puts a path at a time into the first queue. The counters
 * take whatever path comes next and answer with one message per file, its tally. The parent adds
 * the tallies up while they come.
 *
 * How it ends: `paths` is JOINABLE, and a counter reports a path as done once its tally is in the
 * other queue. So when the walker's join returns, nothing more can come, and it closes `tallies`.
 * A counter that is killed makes nobody wait: what it had taken counts as done, the others go on,
 * and its exit code tells the parent that the sum is short.
 */
#include <ctype.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shoal/shoal.h>

#define COUNTERS_MAX 64

/* A hash table from words to counts. Its room is 0 or a power of two, and never full. */
struct entry {
	char *word;
	size_t length;
	uint64_t count;
};

struct tally {
	struct entry *entries;
	size_t room, used;
	size_t message_bytes; /* what the tally takes as a message */
};

/* What every process of this program inherits. */
struct job {
	char **roots;
	shoal_queue *paths, *tallies;
};

/* In a message, each word is its count, its letters and a zero byte, one right after the other. */
typedef uint32_t message_count;

static void *
must(void *memory)
{
	if (memory)
		return memory;
	perror("wordcount");
	shoal_process_exit(1);
}

static size_t
hash(const char *word, size_t length)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)word[i]) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

/* The entry of a word, or the empty one where it belongs. */
static struct entry *
tally_find(const struct tally *t, const char *word, size_t length)
{
	for (size_t i = hash(word, length);; i++) {
		struct entry *e = &t->entries[i & (t->room - 1)];

		if (!e->word || (e->length == length && !memcmp(e->word, word, length)))
			return e;
	}
}

static void
tally_grow(struct tally *t)
{
	struct tally bigger = *t;

	bigger.room = t->room ? 2 * t->room : 1024;
	bigger.entries = must(calloc(bigger.room, sizeof *bigger.entries));
	for (size_t i = 0; i < t->room; i++) {
		struct entry *e = &t->entries[i];

		if (e->word)
			*tally_find(&bigger, e->word, e->length) = *e;
	}
	free(t->entries);
	*t = bigger;
}

static void
tally_add(struct tally *t, const char *word, size_t length, uint64_t count)
{
	struct entry *e;

	if (2 * t->used >= t->room)
		tally_grow(t);
	e = tally_find(t, word, length);
	if (!e->word) {
		e->word = must(strndup(word, length));
		e->length = length;
		t->used++;
		t->message_bytes += sizeof(message_count) + length + 1;
	}
	e->count += count;
}

static void
tally_finish(struct tally *t)
{
	for (size_t i = 0; i < t->room; i++)
		free(t->entries[i].word);
	free(t->entries);
}

static void
tally_write(const struct tally *t, char *at)
{
	for (size_t i = 0; i < t->room; i++) {
		const struct entry *e = &t->entries[i];
		message_count count = (message_count)e->count;

		if (!e->word)
			continue;
		memcpy(at, &count, sizeof count);
		memcpy(at + sizeof count, e->word, e->length + 1);
		at += sizeof count + e->length + 1;
	}
}

static void
tally_read(struct tally *t, const char *at, size_t bytes)
{
	for (const char *end = at + bytes; at < end;) {
		message_count count;
		const char *word = at + sizeof count;
		size_t length = strlen(word);

		memcpy(&count, at, sizeof count);
		tally_add(t, word, length, count);
		at = word + length + 1;
	}
}

static bool
in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void
count_words(struct tally *t, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t start = i;

		while (i < bytes && in_word(text[i]))
			i++;
		if (i > start)
			tally_add(t, text + start, i - start, 1);
		else
			i++;
	}
}

/* The whole of a file in memory of its own. */
static char *
read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "r");
	struct stat st;
	char *text = NULL;

	if (file && !fstat(fileno(file), &st)) {
		text = must(malloc((size_t)st.st_size + 1));
		*bytes = fread(text, 1, (size_t)st.st_size, file);
	}
	if (!text || ferror(file))
		perror(path);
	if (file)
		fclose(file);
	return text;
}

/* The tally is written straight into the memory in which it travels. */
static int
send_tally(shoal_queue *tallies, const struct tally *t)
{
	shoal_loan loan;
	int rc = shoal_queue_reserve(tallies, t->message_bytes, SHOAL_FOREVER, &loan);

	if (rc < 0)
		return rc;
	tally_write(t, loan.data);
	return shoal_loan_commit(&loan, SHOAL_FOREVER);
}

static int
count_file(const struct job *job, const char *path)
{
	struct tally tally = { 0 };
	size_t bytes;
	char *text = read_file(path, &bytes);
	int rc;

	if (!text)
		return -ENOENT;
	count_words(&tally, text, bytes);
	free(text);
	rc = send_tally(job->tallies, &tally);
	if (rc < 0)
		shoal_perror(path);
	tally_finish(&tally);
	return rc;
}

/* A counter's life: paths, until there are no more. */
static int
count(void *arg)
{
	const struct job *job = arg;
	int failures = 0;
	ssize_t rc;
	void *path;

	while ((rc = shoal_queue_get_new(job->paths, &path, SHOAL_FOREVER)) >= 0) {
		failures += count_file(job, path) < 0;
		free(path);
		shoal_queue_task_done(job->paths);
	}
	return rc != -EPIPE || failures > 0;
}

static int
put_paths(const struct job *job)
{
	FTS *tree = fts_open(job->roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int failures = !tree;
	FTSENT *e;

	while (tree && (e = fts_read(tree))) {
		if (e->fts_errno) {
			fprintf(stderr, "%s: %s\n", e->fts_path, strerror(e->fts_errno));
			failures++;
		}
		if (e->fts_info == FTS_F)
			failures += shoal_queue_put(job->paths, e->fts_path,
			                            strlen(e->fts_path) + 1, SHOAL_FOREVER) < 0;
	}
	if (tree)
		fts_close(tree);
	return failures;
}

/* The walker's life: every path, then the end of both queues. */
static int
walk(void *arg)
{
	const struct job *job = arg;
	int failures = put_paths(job);

	shoal_queue_close(job->paths);
	failures += shoal_queue_join(job->paths, SHOAL_FOREVER) < 0;
	shoal_queue_close(job->tallies);
	return failures > 0;
}

static bool
any_alive(shoal_process *const *processes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (shoal_process_is_alive(processes[i]))
			return true;
	return false;
}

/* Adds tallies up where they lie until the queue ends, or until no counter is left to send any. */
static int
add_up(struct tally *sum, shoal_queue *tallies, shoal_process *const *counters,
       unsigned counter_count)
{
	for (;;) {
		shoal_loan loan;
		int rc = shoal_queue_borrow(tallies, SHOAL_SEC(1), &loan);

		if (rc == -EPIPE)
			return 0;
		if (shoal_timed_out(rc) && any_alive(counters, counter_count))
			continue;
		if (rc < 0)
			return rc;
		tally_read(sum, loan.data, loan.bytes);
		shoal_loan_release(&loan);
	}
}

static int
by_word(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->word, ((const struct entry *)b)->word);
}

static void
print(const struct tally *sum)
{
	struct entry *sorted = must(calloc(sum->used + 1, sizeof *sorted));
	size_t n = 0;

	for (size_t i = 0; i < sum->room; i++)
		if (sum->entries[i].word)
			sorted[n++] = sum->entries[i];
	qsort(sorted, n, sizeof *sorted, by_word);
	for (size_t i = 0; i < n; i++)
		printf("%7llu %s\n", (unsigned long long)sorted[i].count, sorted[i].word);
	free(sorted);
}

/* 0 when the process has ended well; a message for one that was killed. */
static int
finish(shoal_process *process)
{
	int code = -1;

	if (shoal_process_join(process, SHOAL_SEC(10)) < 0)
		shoal_perror(shoal_process_name(process));
	else if (shoal_process_exitcode(process, &code) == 0 && code < 0)
		fprintf(stderr, "%s: killed by signal %d\n", shoal_process_name(process), -code);
	return code;
}

static int
run(struct job *job, unsigned counters)
{
	static const shoal_process_options daemon = { .daemon = true };
	shoal_process *walker, *counter[COUNTERS_MAX];
	struct tally sum = { 0 };
	int failures = 0;

	for (unsigned i = 0; i < counters; i++)
		if (shoal_process_spawn(count, job, &daemon, &counter[i]) < 0)
			return -1;
	if (shoal_process_spawn(walk, job, &daemon, &walker) < 0 ||
	    add_up(&sum, job->tallies, counter, counters) < 0)
		return -1;
	for (unsigned i = 0; i < counters; i++)
		failures += finish(counter[i]) != 0;
	failures += finish(walker) != 0;
	print(&sum);
	tally_finish(&sum);
	return failures;
}

int
main(int argc, char **argv)
{
	static const shoal_queue_options joinable = { .flags = SHOAL_QUEUE_JOINABLE };
	struct job job = { .roots = argv + 1 };
	unsigned counters = shoal_cpu_count();
	shoal_arena *arena;
	int rc;

	if (argc < 2) {
		fprintf(stderr, "usage: wordcount DIRECTORY...\n");
		return 2;
	}
	if (counters > COUNTERS_MAX)
		counters = COUNTERS_MAX;
	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, &joinable, &job.paths) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &job.tallies) < 0 ||
	    (rc = run(&job, counters)) < 0) {
		shoal_perror("wordcount");
		return 1;
	}
	shoal_arena_close(arena);
	return rc > 0;
}
