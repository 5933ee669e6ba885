#include "process/cleanup.h"
#include "base/error.h"
#include "process/family.h"
#include <shoal/process.h>
#include <stdlib.h>

struct cleanup {
	struct cleanup *next;
	void (*call)(void *);
	void *arg;
	int priority;
};

/* Guarded by the family's lock; first the one to be called first. */
static struct cleanup *cleanups;

static void
insert(struct cleanup *c)
{
	struct cleanup **at = &cleanups;
	while (*at && (*at)->priority > c->priority)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
}

static struct cleanup *
take(int least_priority)
{
	family_lock();
	struct cleanup *c = cleanups;
	if (c && c->priority < least_priority)
		c = NULL;
	if (c)
		cleanups = c->next;
	family_unlock();
	return c;
}

void
cleanup_run(int least_priority)
{
	for (struct cleanup *c; (c = take(least_priority));) {
		c->call(c->arg);
		free(c);
	}
}

void
cleanup_forget(void)
{
	cleanups = NULL;
}

int
shoal_process_at_exit(void (*call)(void *), void *arg, int priority)
{
	if (!call)
		return fail(-EINVAL, "at_exit: no function to call");
	struct cleanup *c = malloc(sizeof *c);
	if (!c)
		return fail(-ENOMEM, "at_exit: no memory for one more function");
	*c = (struct cleanup){ .call = call, .arg = arg, .priority = priority };
	family_lock();
	int rc = family_hook_end();
	if (!rc)
		insert(c);
	family_unlock();
	if (rc)
		free(c);
	return rc;
}
