/*
 * The storm's books: what every worker was about to do and has done, in shared memory of the test's
 * own, so that they outlive whoever is killed and owe nothing to the library.
 *
 * A worker's place is filled again and again; each time with a new life, whose record nobody but
 * that life writes. What a record says when its life is killed bounds what the kill may cost:
 *
 *	numbers 1 .. done	were put: each is received once
 *	done + 1 .. begun	were in hand: each is received once or never
 *	may_lose		messages that it may have taken and not yet marked as received
 *	may_double		messages that it marked as received and that come again if it dies
 *	held			messages that it may have taken and not given back
 */
#ifndef RING_STORM_LEDGER_H
#define RING_STORM_LEDGER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	LIVES_MAX = 1 << 16,
	LIFE_MESSAGES = 1 << 14,
	WORKERS_MAX = 64,
	WHY_BYTES = 160
};

enum role {
	PRODUCER,
	CONSUMER
};

struct life {
	uint32_t place;
	enum role role;
	pid_t pid;
	bool killed; /* the supervisor's word: by it, at the bound that stands here */

	uint32_t begun, done;
	uint32_t may_lose, may_double, held;
	uint32_t returned; /* loans given back to be delivered again */

	uint32_t torn, disordered, doubled_early;
	int failure; /* a result that no call should have given, and of which call */
	const char *doing; /* the call in progress, or the last one */
	uint64_t calls;
	char why[WHY_BYTES];
};

struct ledger {
	bool stopping; /* producers finish what they began and end */
	bool closing; /* the end of the channel is not a failure any more */
	uint32_t life_count;
	uint64_t received[WORKERS_MAX]; /* by place: who stands there counts on */
	struct life life[LIVES_MAX];
	uint8_t mark[LIVES_MAX][LIFE_MESSAGES + 1];
};

/* What the books say at the end. */
struct balance {
	uint64_t put, received; /* puts that returned; different messages that came */
	uint64_t lost, doubled; /* of the ones that were put */
	uint64_t ghosts; /* received, though nobody began to put them */
	uint64_t torn, disordered, doubled_early, failures;
	uint64_t kills, consumer_kills;
	uint64_t may_lose, may_double, held, returned;
};

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger *ledger);

/* The supervisor's: a new life for a place; NULL when the books are full. */
struct life *ledger_open_life(struct ledger *ledger, uint32_t place, enum role role);
uint32_t ledger_id(const struct ledger *ledger, const struct life *life);

/* A consumer's: marks a message as received; how often it had been received before. */
unsigned ledger_mark(struct ledger *ledger, uint32_t life, uint32_t number);

/* All that was received so far. */
uint64_t ledger_progress(const struct ledger *ledger);

/* Adds it all up once nobody writes any more, and reports each life that went wrong. */
struct balance ledger_close(const struct ledger *ledger, FILE *report);

/* Stores that happen in the order in which they are written, also as seen after a kill. */
#define NOTE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_SEQ_CST)
#define LOOK(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)

#endif
