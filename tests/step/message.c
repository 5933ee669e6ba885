/*
 * Messages that tell who sent them and whether they are whole, and the account of who received
 * what.
 */
#include <string.h>

#include "step.h"

/* Above every thread id, lest one be taken for the other: word_named() tells them apart by that. */
static const uint32_t FIRST = UINT32_C(1) << 24;

uint32_t
step_id(enum step_who who, uint32_t n)
{
	return FIRST + (who + 1u) * 1000u + n;
}

static uint32_t
sender_of(uint32_t id)
{
	return id < FIRST + 1000u ? STEP_WHOS : (id - FIRST) / 1000u - 1;
}

void
step_fill(void *message, size_t bytes, uint32_t id)
{
	unsigned char *at = message;
	memcpy(at, &id, 4);
	for (size_t i = 4; i < bytes; i++)
		at[i] = (unsigned char)(id * 7u + i);
}

uint32_t
step_read(const void *message, size_t bytes)
{
	const unsigned char *at = message;
	uint32_t id;
	memcpy(&id, at, 4);
	for (size_t i = 4; i < bytes; i++) {
		if (at[i] != (unsigned char)(id * 7u + i))
			return 0;
	}
	return id;
}

void
step_sent(struct step_world *w)
{
	w->log[step_me].sent++;
}

void
step_got(struct step_world *w, const void *message, size_t bytes)
{
	uint32_t id = step_read(message, bytes);
	STEP_REQUIRE(w, id != 0, "a torn message was received");
	struct step_log *log = &w->log[step_me];
	STEP_REQUIRE(w, log->count < STEP_LOG, "more messages come than were sent");
	log->got[log->count++] = id;
}

static uint32_t
times_got(const struct step_world *w, uint32_t id)
{
	uint32_t times = 0;
	for (int who = 0; who < STEP_WHOS; who++) {
		for (uint32_t i = 0; i < w->log[who].count; i++)
			times += w->log[who].got[i] == id;
	}
	return times;
}

/*
 * A dead taker may have had it: it has it whole in its buffer, of the length of the case's
 * messages.
 */
static bool
dead_had(const struct step_world *w, uint32_t id)
{
	for (int who = STEP_VICTIM; who <= STEP_SECOND; who++) {
		const unsigned char *at = w->part[who].buffer;
		for (size_t i = 0; i + 4 <= STEP_BUFFER; i += 4) {
			uint32_t word;
			memcpy(&word, at + i, 4);
			if (word == id)
				return true;
		}
	}
	return false;
}

static void
account_known(struct step_world *w, const struct step_expect *e)
{
	uint32_t lost = 0, may = e->lost[0] + e->lost[1] + w->cut;
	for (uint32_t who = 0; who < STEP_WHOS; who++) {
		bool dead = (who == STEP_VICTIM || who == STEP_SECOND) && w->killed;
		for (uint32_t n = 0; n < w->log[who].sent; n++) {
			uint32_t id = step_id(who, n), times = times_got(w, id);
			STEP_REQUIRE(w, times <= 1, "message %u came %u times", id, times);
			if (times == 1)
				continue;
			STEP_REQUIRE(w, !dead || w->part[who].done == 0 || may, "message %u is lost", id);
			STEP_REQUIRE(w, lost < may, "message %u is lost (%u may be)", id, may);
			STEP_REQUIRE(w, !e->redelivered || dead_had(w, id),
			             "message %u is not delivered again", id);
			lost++;
		}
	}
}

/* Nothing comes that nobody sent; of the dead at most what they were sending. */
static void
account_unknown(struct step_world *w, const struct step_expect *e)
{
	for (uint32_t by = 0; by < STEP_WHOS; by++) {
		for (uint32_t i = 0; i < w->log[by].count; i++) {
			uint32_t id = w->log[by].got[i], who = sender_of(id), n = (id - FIRST) % 1000;
			STEP_REQUIRE(w, who < STEP_WHOS,
			             "a message %u comes that nobody sent", id);
			uint32_t more = who == STEP_VICTIM ? e->sends[0] : who == STEP_SECOND ? e->sends[1] : 0;
			STEP_REQUIRE(w, n < w->log[who].sent + more,
			             "message %u comes, which was not sent", id);
			STEP_REQUIRE(w, times_got(w, id) == 1, "message %u comes twice", id);
		}
	}
}

/* One receiver sees each sender's messages in order. */
static void
account_order(struct step_world *w)
{
	for (uint32_t by = 0; by < STEP_WHOS; by++) {
		uint32_t last[STEP_WHOS] = { 0 };
		for (uint32_t i = 0; i < w->log[by].count; i++) {
			uint32_t id = w->log[by].got[i], who = sender_of(id);
			STEP_REQUIRE(w, id > last[who], "message %u comes after %u", id, last[who]);
			last[who] = id;
		}
	}
}

/* Of what a dead one sent, what came is a prefix: a hole in it would be a lost message. */
static void
account_prefix(struct step_world *w, enum step_who who, uint32_t sends)
{
	bool missing = false;
	for (uint32_t n = 0; n < sends; n++) {
		bool here = times_got(w, step_id(who, n)) != 0;
		STEP_REQUIRE(w, !here || !missing, "message %u comes, but not the one before",
		             step_id(who, n));
		missing = missing || !here;
	}
}

/*
 * What a call that returned had sent is there, even if its process died then; what it refused is
 * not.
 */
static void
account_returned(struct step_world *w, enum step_who who, uint32_t sends, uint32_t may_lose)
{
	const struct step_part *part = &w->part[who];
	uint32_t missing = 0, here = 0;
	for (uint32_t n = 0; part->done && n < sends; n++) {
		uint32_t times = times_got(w, step_id(who, n));
		here += times;
		missing += times == 0;
	}
	if (part->result < 0) {
		STEP_REQUIRE(w, !here, "the call failed (%d), but its message came", (int)part->result);
		return;
	}
	STEP_REQUIRE(w, missing <= may_lose, "the call returned, but %u of its messages are lost",
	             missing);
}

void
step_account(struct step_world *w, const struct step_expect *expect)
{
	/* One that was stopped and went on lost nothing, and logged what it sent. */
	static const struct step_expect all;
	const struct step_expect *e = w->killed ? expect : &all;
	account_unknown(w, e);
	account_known(w, e);
	account_returned(w, STEP_VICTIM, e->sends[0], e->lost[0] + e->lost[1]);
	account_returned(w, STEP_SECOND, e->sends[1], e->lost[0] + e->lost[1]);
	if (!e->redelivered)
		account_order(w);
	if (e->lost[0] + e->lost[1] == 0) {
		account_prefix(w, STEP_VICTIM, e->sends[0]);
		account_prefix(w, STEP_SECOND, e->sends[1]);
	}
}
