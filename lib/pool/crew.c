#include "pool/crew.h"
#include "base/clock.h"
#include "base/error.h"
#include "pool/worker.h"
#include "process/process.h"
#include <signal.h>
#include <string.h>

/* As Python's: they count on through all pools of a process. */
static word32 numbers;

static const char *
method_name(shoal_start_method method)
{
	return method == SHOAL_SPAWN ? "Spawn" : method == SHOAL_FORKSERVER ? "ForkServer" : "Fork";
}

static void
prepare(struct seat *s)
{
	store_relaxed(&s->code, 0);
	store_relaxed(&s->job, 0);
	store_relaxed(&s->at, 0);
	store_relaxed(&s->deadline, 0);
	store_relaxed(&s->making, 0);
	store_relaxed(&s->giving, 0);
	store_release(&s->phase, SEAT_STARTING);
}

/* A task may ignore the SIGTERM that daemons get when their parent has ended. */
static int
begin(struct worker_order *order, const shoal_process_options *o, bool quiet, shoal_process **out)
{
	shoal_process *process;
	int rc = shoal_process_create(worker_run, order, o, &process);
	*out = NULL;
	if (rc < 0)
		return rc;
	process->last_signal = SIGKILL;
	process->quiet = quiet;
	rc = shoal_process_start(process);
	if (rc < 0)
		process_free(process);
	else
		*out = process;
	return rc;
}

int
crew_start(struct shoal_pool *p, uint32_t seat, bool quiet)
{
	char name[40];
	shoal_arena *arenas[2] = { p->arena, p->options.arena };
	shoal_start_method method = (shoal_start_method)p->head->method;
	snprintf(name, sizeof name, "%sPoolWorker-%u", method_name(method),
	         fetch_add_relaxed(&numbers, 1) + 1);
	struct worker_order order = { arena_offset(p->arena, p->head), seat };
	shoal_process_options o = {
		.name = name, .daemon = true, .method = method, .arg_bytes = sizeof order,
		.arenas = arenas, .arena_count = p->options.arena ? 2 : 1,
	};
	struct worker *w = &p->workers[seat];
	prepare(&p->seats[seat]);
	w->killed = w->untold = w->let_in = false;
	int rc = begin(&order, &o, quiet, &w->process);
	if (rc < 0) {
		store_relaxed(&p->seats[seat].phase, SEAT_EMPTY);
		return rc;
	}
	w->fd = shoal_process_fd(w->process);
	fetch_add_seq_cst(&p->alive, 1);
	return 0;
}

int
crew_bury(struct shoal_pool *p, uint32_t seat, char *how, size_t how_bytes)
{
	struct worker *w = &p->workers[seat];
	int code = 0;
	int pid = (int)shoal_process_pid(w->process);
	int rc = shoal_process_exitcode(w->process, &code);
	if (rc < 0)
		snprintf(how, how_bytes, "the task's worker, process %d, ended; how is not known", pid);
	else if (code < 0)
		snprintf(how, how_bytes, "the task's worker, process %d, was killed by signal %d (%s)",
		         pid, -code, strsignal(-code));
	else
		snprintf(how, how_bytes, "the task's worker, process %d, exited with status %d", pid,
		         code);
	shoal_process_close(w->process);
	w->process = NULL;
	w->fd = -1;
	fetch_add_seq_cst(&p->alive, -1u);
	return rc < 0 ? rc : code;
}

void
crew_signal(struct shoal_pool *p, int signo)
{
	for (uint32_t i = 1; i <= p->head->workers; i++)
		if (p->workers[i].process)
			shoal_process_signal(p->workers[i].process, signo);
}
