#include "death.h"

#include <stdint.h>
#include <sys/uio.h>

#include "memory.h"

/* As in the kernel's include/uapi/linux/futex.h. */
#define WORD_SLEEPERS UINT32_C(0x80000000)
#define WORD_DIED UINT32_C(0x40000000)
#define WORD_THREAD UINT32_C(0x3fffffff)

/* struct robust_list_head; the low bit of an entry says that its word inherits priority. */
struct head {
	uint64_t first;
	int64_t offset;
	uint64_t pending;
};

static bool
peek(const struct victim *v, uint64_t at, void *to, size_t bytes)
{
	struct iovec here = { to, bytes }, there = { (void *)(uintptr_t)at, bytes };
	return process_vm_readv(v->tid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

/*
 * Memory that is at the same place in the driver is written there: in a victim that leaps it is
 * write-protected.
 */
static bool
poke(const struct victim *v, uint64_t at, uint32_t word)
{
	if (memory_is_here(at)) {
		*(volatile uint32_t *)(uintptr_t)at = word;
		return true;
	}
	struct iovec here = { &word, sizeof word }, there = { (void *)(uintptr_t)at, sizeof word };
	return process_vm_writev(v->tid, &here, 1, &there, 1, 0) == (ssize_t)sizeof word;
}

/* The wakes that belong to it find nobody asleep: there is none in what it is used for. */
static bool
mark(const struct victim *v, struct death *d, uint64_t entry, int64_t offset)
{
	uint64_t at = (entry & ~UINT64_C(1)) + (uint64_t)offset;
	uint32_t word;
	if (!peek(v, at, &word, sizeof word))
		return false;
	if ((word & WORD_THREAD) != (uint32_t)v->tid)
		return true;
	if (d->count == DEATH_WORDS || !poke(v, at, (word & WORD_SLEEPERS) | WORD_DIED))
		return false;
	d->word[d->count].at = at;
	d->word[d->count++].was = word;
	return true;
}

bool
death_mark(const struct victim *v, struct death *d)
{
	uint64_t head_at = (uint64_t)(uintptr_t)v->robust;
	struct head head;
	d->count = 0;
	if (!head_at || !peek(v, head_at, &head, sizeof head))
		return false;
	uint64_t entry = head.first;
	for (int i = 0; (entry & ~UINT64_C(1)) != head_at && i < 2048; i++) {
		uint64_t next;
		if (!peek(v, entry & ~UINT64_C(1), &next, sizeof next))
			break;
		if (entry != head.pending && !mark(v, d, entry, head.offset))
			break;
		entry = next;
	}
	if (!head.pending)
		return true;
	return mark(v, d, head.pending, head.offset);
}

void
death_undo(const struct victim *v, const struct death *d)
{
	for (size_t i = d->count; i-- > 0;)
		poke(v, d->word[i].at, d->word[i].was);
}
