#include "base/masked.h"
#include "base/cancel.h"
#include "base/signals.h"

static struct held
hold(void)
{
	struct held old;
	signals_block(&old.mask);
	old.cancel = cancel_forbid();
	return old;
}

static void
let_go(struct held old)
{
	cancel_restore(old.cancel);
	signals_restore(&old.mask);
}

void
masked_lock(struct masked *m)
{
	struct held old = hold();
	pthread_mutex_lock(&m->mutex);
	m->old = old;
}

bool
masked_try_lock(struct masked *m)
{
	struct held old = hold();
	bool mine = pthread_mutex_trylock(&m->mutex) == 0;
	if (mine)
		m->old = old;
	else
		let_go(old);
	return mine;
}

void
masked_unlock(struct masked *m)
{
	struct held old = m->old;
	pthread_mutex_unlock(&m->mutex);
	let_go(old);
}

void
masked_once(pthread_once_t *once, void (*begin)(void))
{
	struct held old = hold();
	pthread_once(once, begin);
	let_go(old);
}

void
masked_renew(struct masked *m)
{
	pthread_mutex_init(&m->mutex, NULL);
}
