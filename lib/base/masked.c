#include "base/masked.h"
#include "base/signals.h"

void
masked_lock(struct masked *m)
{
	sigset_t old;
	signals_block(&old);
	pthread_mutex_lock(&m->mutex);
	m->mask = old;
}

bool
masked_try_lock(struct masked *m)
{
	sigset_t old;
	signals_block(&old);
	bool mine = pthread_mutex_trylock(&m->mutex) == 0;
	if (mine)
		m->mask = old;
	else
		signals_restore(&old);
	return mine;
}

void
masked_unlock(struct masked *m)
{
	sigset_t old = m->mask;
	pthread_mutex_unlock(&m->mutex);
	signals_restore(&old);
}

void
masked_once(pthread_once_t *once, void (*begin)(void))
{
	sigset_t old;
	signals_block(&old);
	pthread_once(once, begin);
	signals_restore(&old);
}

void
masked_renew(struct masked *m)
{
	pthread_mutex_init(&m->mutex, NULL);
}
