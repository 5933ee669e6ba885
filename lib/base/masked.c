#include "base/masked.h"

static void
block_signals(sigset_t *old)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

static void
give_back(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void
masked_lock(struct masked *m)
{
	sigset_t old;
	block_signals(&old);
	pthread_mutex_lock(&m->mutex);
	m->mask = old;
}

bool
masked_try_lock(struct masked *m)
{
	sigset_t old;
	block_signals(&old);
	bool mine = pthread_mutex_trylock(&m->mutex) == 0;
	if (mine)
		m->mask = old;
	else
		give_back(&old);
	return mine;
}

void
masked_unlock(struct masked *m)
{
	sigset_t old = m->mask;
	pthread_mutex_unlock(&m->mutex);
	give_back(&old);
}

void
masked_once(pthread_once_t *once, void (*begin)(void))
{
	sigset_t old;
	block_signals(&old);
	pthread_once(once, begin);
	give_back(&old);
}

void
masked_renew(struct masked *m)
{
	pthread_mutex_init(&m->mutex, NULL);
}
