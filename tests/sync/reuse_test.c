/* Memory of plain objects, used for something else as soon as the last user is through. */
#include "base/futex.h"
#include "steps.h"
#include "sync/gate.h"
#include "sync/lock.h"
#include "sync/semaphore.h"
#include <shoal/sync.h>

#if HAS_STEPS

static struct scene {
	union {
		shoal_lock lock;
		shoal_semaphore semaphore;
		unsigned char bytes[64];
	};
	bool freed;
} scene;

static void
use_for_something_else(void)
{
	memset(scene.bytes, 0xff, sizeof scene.bytes);
	scene.freed = true;
}

/* What was written since then. */
static void
expect_untouched(void)
{
	REQUIRE(scene.freed);
	for (size_t i = 0; i < sizeof scene.bytes; i++)
		REQUIRE_EQ(scene.bytes[i], 0xff);
}

/* One who comes before an instruction from which on another one may have it, and be the last. */
static void
take_it_if_free(void)
{
	if (!(load_relaxed(&lock_of(&scene.lock)->node.word) & FUTEX_TID))
		use_for_something_else();
}

static void
take_it_if_there(void)
{
	if (load_relaxed(&semaphore_of(&scene.semaphore)->value))
		use_for_something_else();
}

static void
release_lock(void *unused)
{
	(void)unused;
	(void)shoal_lock_release(&scene.lock);
}

static void
release_semaphore(void *unused)
{
	(void)unused;
	(void)shoal_semaphore_release(&scene.semaphore);
}

/* Someone waited for it, and gave up. */
static void
begin_lock(void)
{
	REQUIRE_EQ(shoal_lock_init(&scene.lock), 0);
	REQUIRE_EQ(shoal_lock_acquire(&scene.lock, 0), 0);
	fetch_or_relaxed(&lock_of(&scene.lock)->node.word, FUTEX_SLEEPERS);
}

static void
begin_semaphore(void)
{
	REQUIRE_EQ(shoal_semaphore_init(&scene.semaphore, 0, 0), 0);
	store_relaxed(&semaphore_of(&scene.semaphore)->gate, GATE_ARMED);
}

static void
at_each_instruction(void (*begin)(void), void (*op)(void *), void (*come)(void), bool again)
{
	uint32_t freed = 0, at = 0;
	for (bool more = true; more; at += STEPS_STRIDE) {
		scene.freed = false;
		begin();
		if (again) { /* it has told nobody before */
			op(NULL);
			begin();
		}
		more = steps_into(op, NULL, at, come);
		if (!scene.freed)
			continue;
		expect_untouched();
		freed++;
	}
	REQUIRE(freed > 3);
}

Test(sync_reuse, a_released_lock_is_written_to_by_nobody, .timeout = 2 * HARNESS_TIMEOUT)
{
	at_each_instruction(begin_lock, release_lock, take_it_if_free, false);
	at_each_instruction(begin_lock, release_lock, take_it_if_free, true);
}

Test(sync_reuse, a_released_semaphore_is_written_to_by_nobody, .timeout = 2 * HARNESS_TIMEOUT)
{
	at_each_instruction(begin_semaphore, release_semaphore, take_it_if_there, false);
}

#endif
