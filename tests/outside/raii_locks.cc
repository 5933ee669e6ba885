/* Of shoal.hpp: what holds a lock to the end of the scope, and locks with names. */
#include "raii.hpp"

static void
a_death(const shoal::arena &arena)
{
	auto *lock = static_cast<shoal_lock *>(shoal_new(arena.get(), sizeof(shoal_lock)));
	{
		shoal::process victim([&] {
			shoal::held h(*lock);
			std::raise(SIGKILL);
		});
		CHECK(victim.join(SHOAL_SEC(5)) && victim.exitcode() == -SIGKILL);
	}
	{
		shoal::held h(*lock, SHOAL_SEC(5));
		CHECK(h && h.suspect());
		h.repaired();
		shoal::process other([&] { return static_cast<bool>(shoal::held(*lock, SHOAL_NOWAIT)); });
		CHECK(other.join() && other.exitcode() == 0);
	}
	CHECK(!shoal_lock_held(lock));
	shoal_free(arena.get(), lock);
}

/* Under names, and held: whoever makes one destroys it, and whoever opens it does not. */
static void
named_locks(const shoal::arena &arena)
{
	shoal_arena_info info;
	{
		auto lock = shoal::make_lock(arena, "lock", SHOAL_LOCK_AUTOCLEAN);
		auto rwlock = shoal::make_rwlock(arena, "rwlock");
		auto permits = shoal::make_semaphore(arena, "permits", 1, SHOAL_SEMAPHORE_OWNED);
		auto condition = shoal::make_condition(arena, "condition");
		auto event = shoal::make_event(arena, "event");
		CHECK(shoal::open_lock(arena, "lock").get() == lock.get());
		CHECK(shoal::open_rwlock(arena, "rwlock").get() == rwlock.get());
		CHECK(shoal::open_semaphore(arena, "permits").get() == permits.get());
		CHECK(shoal::open_condition(arena, "condition").get() == condition.get());
		CHECK(shoal::open_event(arena, "event").get() == event.get());
		shoal::process victim([&] {
			shoal::held h(*lock.get());
			shoal::writing w(*rwlock.get());
			shoal::permit p(*permits.get());
			std::raise(SIGKILL);
		});
		CHECK(victim.join(SHOAL_SEC(5)) && victim.exitcode() == -SIGKILL);
		shoal::held h(*lock.get(), SHOAL_SEC(5));
		CHECK(h && !h.suspect());
		{
			shoal::reading r(*rwlock.get(), SHOAL_SEC(5));
			CHECK(r && r.suspect());
			r.repaired();
		}
		shoal::reading one(*rwlock.get(), SHOAL_NOWAIT), two(*rwlock.get(), SHOAL_NOWAIT);
		shoal::process other([&] { return shoal::writing(*rwlock.get(), SHOAL_MS(1)) ? 1 : 0; });
		CHECK(one && two && other.join() && other.exitcode() == 0);
		{
			shoal::permit p(*permits.get(), SHOAL_SEC(5));
			CHECK(p && shoal_semaphore_value(permits.get()) == 0);
			CHECK(!shoal::permit(*permits.get(), SHOAL_NOWAIT));
		}
		CHECK(shoal_semaphore_value(permits.get()) == 1);
	}
	CHECK(shoal_arena_stat(arena.get(), &info) == 0 && info.objects == 0);
	shoal_rlock again;
	shoal_rlock_init(&again, 0);
	{
		shoal::held_again one(again), two(again);
		CHECK(one && two);
	}
	CHECK(shoal_rlock_release(&again) == -EPERM);
}

void
locks(const shoal::arena &arena)
{
	a_death(arena);
	named_locks(arena);
}
