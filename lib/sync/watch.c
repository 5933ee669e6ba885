#include "sync/watch.h"
#include "base/error.h"
#include "base/peek.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t lock_quick_held = SHOAL_LOCKS_HELD_MAX;
unsigned lock_watched;

static unsigned
mode_of(const char *word, size_t length)
{
	static const struct {
		const char *word;
		unsigned modes;
	} known[] = { { "order", WATCH_ORDER },
		      { "deadlock", WATCH_CIRCLES },
		      { "refuse", WATCH_CIRCLES | WATCH_REFUSE } };
	for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strlen(known[i].word) == length && !memcmp(word, known[i].word, length))
			return known[i].modes;
	fprintf(stderr, "shoal: SHOAL_LOCKS has '%.*s', which is none of order, deadlock, refuse\n",
	        (int)length, word);
	return 0;
}

unsigned
watch_modes(const char *list)
{
	unsigned modes = 0;
	while (*(list += strspn(list, ", "))) {
		size_t length = strcspn(list, ", ");
		modes |= mode_of(list, length);
		list += length;
	}
	return modes;
}

void
watch_begin(unsigned modes)
{
	if ((modes & WATCH_ORDER) && !order_begin())
		modes &= ~(unsigned)WATCH_ORDER;
	lock_watched = modes;
	lock_quick_held = modes ? 0 : SHOAL_LOCKS_HELD_MAX;
	log_at_least(LOG_WARNING);
}

__attribute__((constructor)) static void
begin_from_environment(void)
{
	const char *list = secure_getenv("SHOAL_LOCKS");
	unsigned modes = list ? watch_modes(list) : 0;
	if (modes)
		watch_begin(modes);
}

/* NULL where there is no memory: what that thread holds is not watched. */
static struct watch_held *
held_here(struct shoal_thread *t)
{
	if (!t->watched)
		t->watched = calloc(1, sizeof(struct watch_held));
	struct watch_held *mine = t->watched;
	if (mine && !t->held)
		mine->count = 0;
	return mine;
}

int
watch_wait(struct shoal_thread *t, struct lock *l, const struct robust_wait *how)
{
	struct watch_held *mine = held_here(t);
	/* One who only tries waits for nobody. */
	if (!mine || how->deadline == ROBUST_NOWAIT || lock_is_mine(l, t))
		return 0;
	if (lock_watched & WATCH_ORDER)
		order_note(t, mine, l);
	if (!(lock_watched & WATCH_CIRCLES))
		return 0;
	circle_tell(mine, l);
	/* A condition's wait takes its lock again, come what may: it is only told. */
	bool refuse = (lock_watched & WATCH_REFUSE) && how->interruptible;
	if (!circle_closed(t, l) || !refuse)
		return 0;
	circle_tell(mine, NULL);
	return -EDEADLK;
}

void
watch_waited(struct shoal_thread *t, struct lock *l, bool is_held)
{
	struct watch_held *mine = t->watched;
	if (mine && (lock_watched & WATCH_CIRCLES))
		circle_tell(mine, NULL);
	if (!is_held)
		return;
	/* What its last holder, dead, waited for. */
	store_relaxed(&l->waits, 0);
	if (mine && mine->count < WATCH_HELD_MAX)
		mine->lock[mine->count++] = l;
}

static bool
is_same(const struct lock *a, const struct lock *b)
{
	int64_t bytes;
	return a == b || (peek_distance(a, b, &bytes) && bytes == 0);
}

/* By the address first; it may have been taken by that of another mapping. */
static unsigned
find_held(const struct watch_held *mine, const struct lock *l)
{
	unsigned i = mine->count;
	while (i && mine->lock[i - 1] != l)
		i--;
	for (unsigned k = mine->count; k && !i; k--)
		if (is_same(mine->lock[k - 1], l))
			i = k;
	return i;
}

void
watch_given(struct shoal_thread *t, struct lock *l)
{
	struct watch_held *mine = t->watched;
	unsigned i = mine ? find_held(mine, l) : 0;
	if (!i)
		return;
	memmove(&mine->lock[i - 1], &mine->lock[i], (mine->count - i) * sizeof mine->lock[0]);
	mine->count--;
}

/* ---- readers ---- */

void
watch_read(struct shoal_thread *t, const struct lock *l, shoal_time timeout)
{
	struct watch_held *mine = held_here(t);
	if (mine && timeout > 0 && (lock_watched & WATCH_ORDER))
		order_note(t, mine, l);
}

void
watch_reads(struct shoal_thread *t, const struct lock *l)
{
	struct watch_held *mine = t->watched;
	if (mine && mine->reads < WATCH_READ_MAX)
		mine->read[mine->reads++] = l;
}

void
watch_read_given(struct shoal_thread *t, const struct lock *l)
{
	struct watch_held *mine = t->watched;
	unsigned i = mine ? mine->reads : 0;
	while (i && !is_same(mine->read[i - 1], l))
		i--;
	if (i)
		mine->read[i - 1] = mine->read[--mine->reads];
}
