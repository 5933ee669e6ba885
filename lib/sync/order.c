/*
 * The order of locks, as Linux's lockdep has it: a picture with an arrow from A to B once some
 * thread has waited, or might have, for B with A held. An arrow that closes a circle is told, once:
 * two threads that come at the wrong moment wait for each other for ever, though this time nothing
 * happened.
 *
 * A lock goes by its name; those of one name are one (and among themselves have no order), one
 * without is known by its address. The picture is in memory that forked children share, so that the
 * arrows of all of a family come together. Arrows are single bits set by one atomic step; names are
 * added under a robust word, whose next holder finds at most a name half written behind the count.
 */
#include "base/clock.h"
#include "base/error.h"
#include "sync/name.h"
#include "sync/watch.h"
#include <string.h>
#include <sys/mman.h>

enum { KINDS = 256, KIND_WORDS = KINDS / 64 };

struct picture {
	struct robust lock;
	word32 kinds;
	word32 full; /* told that there are more than KINDS */
	char name[KINDS][NAME_MAX_BYTES + 8];
	word64 arrow[KINDS][KIND_WORDS]; /* from row to bit */
};

static struct picture *picture;

bool
order_begin(void)
{
	if (picture)
		return true;
	int access = PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, sizeof *picture, access, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	picture = p;
	return true;
}

/* Among the first n; n where it is none of them. */
static unsigned
find(const char *name, unsigned n)
{
	unsigned i = 0;
	while (i < n && strcmp(picture->name[i], name))
		i++;
	return i;
}

/* KINDS where there is no room. */
static unsigned
add(struct shoal_thread *t, const char *name)
{
	if (robust_take(t, &picture->lock, CLOCK_NEVER) == -EOWNERDEAD)
		robust_mend(&picture->lock);
	unsigned n = load_relaxed(&picture->kinds), i = find(name, n);
	if (i == n && n < KINDS) {
		strcpy(picture->name[n], name);
		store_release(&picture->kinds, n + 1);
	} else if (i == n && !exchange_acq_rel(&picture->full, 1)) {
		log_line(LOG_WARNING, "the order of locks is watched for the first %d names only", KINDS);
	}
	robust_release(t, &picture->lock);
	return i;
}

static unsigned
kind_of(struct shoal_thread *t, const struct lock *l)
{
	char name[NAME_MAX_BYTES + 8];
	name_of(l, name);
	/* Another thread may add one meanwhile. */
	unsigned n = load_acquire(&picture->kinds), i = find(name, n);
	return i < n ? i : add(t, name);
}

static bool
arrow(unsigned from, unsigned to)
{
	return load_relaxed(&picture->arrow[from][to / 64]) >> to % 64 & 1;
}

/* Whether arrows lead from one to the other. */
static bool
leads(unsigned from, unsigned to)
{
	bool seen[KINDS] = { false };
	unsigned stack[KINDS], depth = 0, n = load_acquire(&picture->kinds);
	seen[from] = true;
	stack[depth++] = from;
	while (depth) {
		unsigned at = stack[--depth];
		if (at == to)
			return true;
		for (unsigned i = 0; i < n; i++)
			if (!seen[i] && arrow(at, i))
				seen[i] = true, stack[depth++] = i;
	}
	return false;
}

static void
note(struct shoal_thread *t, unsigned first, unsigned second)
{
	if (first == second || first == KINDS || second == KINDS || arrow(first, second))
		return;
	bool wrong = leads(second, first);
	uint64_t bit = UINT64_C(1) << second % 64;
	if (fetch_or_seq_cst(&picture->arrow[first][second / 64], bit) & bit || !wrong)
		return;
	log_line(LOG_WARNING,
	         "lock order: thread %u takes the lock %s while it holds %s; somewhere %s is taken "
	         "while %s is held, directly or by way of others: take them in one order everywhere",
	         t->tid, picture->name[second], picture->name[first], picture->name[first],
	         picture->name[second]);
}

void
order_note(struct shoal_thread *t, const struct watch_held *held, const struct lock *l)
{
	if (!held->count && !held->reads)
		return;
	unsigned second = kind_of(t, l);
	for (unsigned i = 0; i < held->count; i++)
		note(t, kind_of(t, held->lock[i]), second);
	for (unsigned i = 0; i < held->reads; i++)
		note(t, kind_of(t, held->read[i]), second);
}
