#include "ring/storm_ledger.h"
#include <sys/mman.h>

struct ledger *
ledger_create(void)
{
	void *memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void
ledger_destroy(struct ledger *ledger)
{
	if (ledger)
		munmap(ledger, sizeof *ledger);
}

struct life *
ledger_open_life(struct ledger *ledger, uint32_t place, enum role role)
{
	if (ledger->life_count == LIVES_MAX)
		return NULL;
	struct life *life = &ledger->life[ledger->life_count];
	life->place = place;
	life->role = role;
	life->doing = "starting";
	NOTE(ledger->life_count, ledger->life_count + 1);
	return life;
}

uint32_t
ledger_id(const struct ledger *ledger, const struct life *life)
{
	return (uint32_t)(life - ledger->life);
}

/* One instruction: a kill finds it done or not, and two receivers of one message both show. */
unsigned
ledger_mark(struct ledger *ledger, uint32_t life, uint32_t number)
{
	return __atomic_fetch_add(&ledger->mark[life][number], 1, __ATOMIC_SEQ_CST);
}

uint64_t
ledger_progress(const struct ledger *ledger)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		sum += LOOK(ledger->received[i]);
	return sum;
}

/* The messages of one producer's life. Only its first byte of marks is never used. */
static void
add_messages(struct balance *b, const struct life *life, const uint8_t *mark)
{
	uint32_t begun = life->begun > life->done ? life->begun : life->done;
	b->put += life->done;
	for (uint32_t n = 1; n <= LIFE_MESSAGES; n++) {
		b->received += mark[n] > 0;
		b->lost += n <= life->done && mark[n] == 0;
		b->doubled += mark[n] > 1 ? mark[n] - 1u : 0;
		b->ghosts += n > begun && mark[n] > 0;
	}
}

static void
add_life(struct balance *b, const struct life *life)
{
	b->torn += life->torn;
	b->disordered += life->disordered;
	b->doubled_early += life->doubled_early;
	b->failures += life->failure != 0;
	b->returned += life->returned;
	if (!life->killed)
		return;
	b->kills++;
	b->consumer_kills += life->role == CONSUMER;
	b->may_lose += life->may_lose;
	b->may_double += life->may_double;
	b->held += life->held;
}

static void
report_life(const struct ledger *ledger, const struct life *life, FILE *report)
{
	if (!life->torn && !life->disordered && !life->doubled_early && !life->failure)
		return;
	fprintf(report, "  %s %u at place %u: torn %u, out of order %u, unannounced doubles %u",
	        life->role == PRODUCER ? "producer" : "consumer", ledger_id(ledger, life),
	        life->place, life->torn, life->disordered, life->doubled_early);
	if (life->failure)
		fprintf(report, "; %s gave %d", life->doing, life->failure);
	fprintf(report, "; %s\n", life->why);
}

struct balance
ledger_close(const struct ledger *ledger, FILE *report)
{
	struct balance b = { 0 };
	for (uint32_t i = 0; i < ledger->life_count; i++) {
		const struct life *life = &ledger->life[i];
		add_life(&b, life);
		report_life(ledger, life, report);
		if (life->role == PRODUCER)
			add_messages(&b, life, ledger->mark[i]);
	}
	return b;
}
