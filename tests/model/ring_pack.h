/*
 * Groups of places in the ring, as a finite world: put_many fills a group by one claim, get_many
 * takes it by one, whoever wants less spreads it to its places first.
 *
 * A group is `group` places, from a multiple of it: its leader and its followers. While the
 * leader's word is one of a group (phase), it says all about the group, and the followers' words
 * are EMPTY of some lap before. Items lie two to a place from the leader's on. The rest of the
 * ring is in ring_world.h; here is what groups add, for queues without flags, without blocks.
 */
#ifndef MODEL_RING_PACK_H
#define MODEL_RING_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PLACES_MAX = 6,
	PER_PLACE = 2, /* packed items in a place */
	PUTTERS = 2,
	GETTERS = 2,
	FIRST_GETTER = PUTTERS,
	FIRST_RECOVERER = PUTTERS + GETTERS,
	IMMORTAL = FIRST_RECOVERER + 1,
	MEMBERS = FIRST_RECOVERER + 2,
	NUMBERS = 10, /* messages of a putter, from 1 */
	NONE = 255,
};

enum state {
	EMPTY,
	WRITING,
	FULL,
	READING,
	CLOSED,
	GROUP
};
enum phase {
	SINGLE,
	G_EMPTY,
	G_WRITING,
	G_FULL,
	G_HOLE,
	G_READING,
	G_PASSING, /* as READING, of a hole */
	G_SPREAD, /* half-way to singles; owner 0: whoever wants it goes on */
	HOLE /* of a single FULL or READING */
};
struct word {
	uint8_t lap, state, owner, phase;
};

enum life {
	LIVING,
	DEAD,
	STOPPED,
	LEFT
};
struct mind {
	uint8_t pc, cursor, p, i, j, v;
	uint8_t then; /* what follows once a group is open, or mended */
	uint8_t took[4];
	struct word seen, saw;
};
struct world {
	_Alignas(8) struct word turn[PLACES_MAX];
	uint8_t cell[PLACES_MAX][PER_PLACE];
	uint8_t closing, tail, head;
	uint8_t life[MEMBERS], pos[MEMBERS];
	struct mind mind[MEMBERS];

	/* What no member can see: the bookkeeping of the checks. */
	uint8_t kills, stops, dropped;
	uint8_t sent[PUTTERS];
	uint8_t last[GETTERS][PUTTERS];
	uint8_t published[PUTTERS][NUMBERS + 1], delivered[PUTTERS][NUMBERS + 1];
};

/* Protocols that are wrong, each in one rule. */
enum broken {
	SOUND,
	SPREAD_UP, /* the first item is moved first, over those that lie at its new place */
	SPREAD_BACK, /* a dead spreader's group counts as packed again */
	SPREAD_ALL, /* who goes on moves also what was moved */
	OPEN_LEADER, /* the leader becomes EMPTY without its followers */
	OPEN_BACK, /* a follower is set to the lap of the opener, also backwards */
	PACK_UNSEEN, /* a group is claimed though its followers may be in use */
	WRITER_TO_EMPTY, /* a dead writer's group becomes EMPTY again, not a hole */
	NO_LEADER, /* a walk does not ask the leader */
	PASS_SPREAD, /* getters pass a group that is being spread */
	SLOW_IS_DEAD, /* a slow owner is taken for a dead one */
	MEND_BY_STORE, /* a place is mended by a store, not by a CAS from the word seen */
	DROP_ONE, /* a dead reader's group counts as one message */
	BROKEN_KINDS
};
extern const char *const broken_name[BROKEN_KINDS];

struct options {
	int putters, getters, puts[PUTTERS], kills, stops, group, groups;
	bool closes;
	bool hints; /* cursors also move up to what others stored */
	enum broken broken;
};
extern struct options opt;
extern const char *violation;

static inline int
places(void)
{
	return opt.group * opt.groups;
}

static inline int
lap_of(int p)
{
	return p / places();
}

static inline struct word *
turn_of(struct world *w, int p)
{
	return &w->turn[p % places()];
}

static inline int
leader_of(int p)
{
	return p / opt.group * opt.group;
}

static inline uint8_t *
item_of(struct world *w, int leader, int i)
{
	return &w->cell[(leader + i / PER_PLACE) % places()][i % PER_PLACE];
}

static inline struct word
word(int lap, int state, int owner, int phase)
{
	return (struct word){ (uint8_t)lap, (uint8_t)state, (uint8_t)owner, (uint8_t)phase };
}

static inline bool
word_same(struct word a, struct word b)
{
	return a.lap == b.lap && a.state == b.state && a.owner == b.owner && a.phase == b.phase;
}

static inline bool
swap(struct word *t, struct word from, struct word to)
{
	if (!word_same(*t, from))
		return false;
	*t = to;
	return true;
}

static inline uint8_t
tag_of(int who)
{
	return (uint8_t)(who + 1);
}

static inline const char *
go(struct mind *m, int pc, const char *name)
{
	m->pc = (uint8_t)pc;
	return name;
}

enum {
	IDLE = 0,
	FINISHED = 99
};

bool tag_dead(const struct world *w, uint8_t tag);
/* What anybody may make of a dead owner's word by one CAS, and that CAS. */
struct word word_mended(struct word seen);
void word_mend(struct world *w, int p, struct word seen);
int true_tail(const struct world *w);
int true_head(const struct world *w);
void publish_message(struct world *w, int v);
void receive(struct world *w, int who, int v);
void deliver(struct world *w, int v);

/*
 * What a walk finds at its cursor. ASK: the follower's own word comes next. JUMP: the cursor has
 * moved.
 */
enum found {
	READY,
	READY_GROUP,
	WAIT,
	END,
	ASK,
	JUMP
};
enum found pack_look(const struct world *w, struct mind *m, bool put);
enum found pack_look_own(const struct world *w, struct mind *m, bool put);

/* The followers of the group of m->p become EMPTY of its leader's lap, then the leader. */
void open_begin(struct mind *m, int then);
const char *open_step(struct world *w, struct mind *m);
enum {
	OPEN_LOOK = 50,
	OPEN_SET,
	OPEN_END,
};

const char *putter_step(struct world *w, int who, int choice);
const char *getter_step(struct world *w, int who, int choice);
const char *recoverer_step(struct world *w, int who, int choice);

const char *world_check(const struct world *w);
void world_print(const struct world *w);

#endif
