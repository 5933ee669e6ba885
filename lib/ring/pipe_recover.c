/*
 * What the arena asks of pipes: finishing what the dead left, destroying, listing, checking. Each
 * step is one CAS from exactly the word seen, so all of it may run again, and beside another one
 * that does the same.
 */
#include "base/error.h"
#include "base/racy.h"
#include "ring/kinds.h"
#include "ring/loan.h"
#include "ring/pipe.h"

/* The body, or NULL while there is none, or where it is damaged. */
static struct pipe *
body(const shoal_arena *a, uint32_t object, uint32_t *ring)
{
	struct pipe *p = object_body_at(a, object);
	*ring = p ? pipe_ring_bytes(a, p) : 0;
	return *ring ? p : NULL;
}

static void
wake_all(struct pipe *p)
{
	way_wake_all(&p->way[0]);
	way_wake_all(&p->way[1]);
}

/*
 * What it had published is there, and what it had not never was: those who wait for it look again.
 */
static void
recover_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             uint32_t object)
{
	uint32_t ring;
	struct pipe *p = body(a, object, &ring);
	if (p)
		wake_all(p);
	(void)t;
	(void)me;
	(void)dead;
}

static void
count_dropped(struct member *me)
{
	store_relaxed(&me->counts.dropped, load_relaxed(&me->counts.dropped) + 1);
}

static bool
has_block(const shoal_arena *a, const struct member *m, const struct loan_entry *l)
{
	word64 *word = block_word_at(a, load_relaxed(&l->block));
	return word && load_acquire(word) == block_word(BLOCK_HELD, 0, member_tag(a, m));
}

/*
 * What was borrowed is dropped, unless it has been adopted. `pos` is 0 for what was to be sent,
 * which vanishes.
 */
static void
recover_loan(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             struct loan_entry *l)
{
	uint32_t state = load_acquire(&l->state);
	bool dropped = false;
	if (state == LOAN_PIPE_BLOCK)
		dropped = load_relaxed(&l->pos) && has_block(a, dead, l);
	else if (state)
		dropped = pipe_end_loan(a, t, dead, l, state);
	if (dropped)
		count_dropped(me);
}

/*
 * Whether the record at the position holds this block. One that was not published bears 0, or is
 * another one's by now.
 */
static bool
is_there(struct pipe *p, uint32_t ring, unsigned side, uint64_t pos, uint64_t block)
{
	struct pipe_message m;
	int rc = way_look(pipe_ring(p, ring, side), ring - 1, pos, &m);
	return rc == 1 && m.pos == pos && m.block == block;
}

/* Whether the end that receives what comes on the way is open. */
static bool
receives(const struct pipe *p, unsigned side)
{
	return !(load_acquire(&p->end[!side].owner) & OWNER_CLOSED);
}

/*
 * The block is PLACE(pipe, pos), and a living receiver makes it HELD before `done` passes. Of a
 * sender: it is nobody's if its record was not published; the record at pos may be another sender's
 * by now. Of a receiver: it is nobody's once the receiver had passed it; with SHARED_ENDS `taken`
 * may be another receiver's, and who mends the lock drops what the dead one took. Of both: where
 * nobody receives any more, it may have come after the end was drained. Else it is its record's
 * affair.
 */
static void
recover_hand(shoal_arena *a, struct member *dead, const struct hand *hand)
{
	uint32_t ring, object = load_relaxed(&hand->object);
	uint64_t place = load_relaxed(&hand->pos), block = load_relaxed(&hand->block);
	uint64_t pos = place & ~UINT64_C(7);
	unsigned side = place & 1;
	struct pipe *p = body(a, object, &ring);
	if (!p)
		return;
	const struct pipe_way *w = &p->way[side];
	bool alone = !(p->flags & SHOAL_PIPE_SHARED_ENDS);
	bool nobodys = load_acquire(&w->done) > pos || !receives(p, side);
	if (load_relaxed(&hand->kind) == HAND_GET)
		nobodys |= alone && load_acquire(&w->taken) > pos;
	else
		nobodys |= !is_there(p, ring, side, pos, block);
	if (nobodys)
		block_reclaim(a, block, pipe_place(object, side, pos));
	(void)dead;
}

/*
 * One that is closed may have been closed by the dead one, who told nobody of it, or did not give
 * back what lay unread there: all of that is done, again if need be.
 */
static void
end_of_owner(shoal_arena *a, struct pipe *p, unsigned side, uint32_t process, uint32_t generation)
{
	uint64_t word = load_acquire(&p->end[side].owner);
	uint64_t its = OWNER_OWNED | (uint64_t)process << 32 | generation;
	if ((word & OWNER_WHO) == its || word & OWNER_CLOSED)
		pipe_shut_end(a, p, side, word);
}

/*
 * A connection may end while this one is at it: it is named meanwhile. NULL where it has ended, or
 * the record has no place for another name: then it is left to the next one to come.
 */
static struct pipe *
stay(shoal_arena *a, struct member *me, uint32_t object, word32 **place)
{
	uint32_t ring;
	uint64_t word = load_acquire(&arena_object(a, object)->word);
	*place = object_stay(a, me, object, word >> 32);
	struct pipe *p = *place ? body(a, object, &ring) : NULL;
	if (*place && !p)
		object_unstay(*place);
	return p;
}

void
pipe_end_left(shoal_arena *a, struct pipe *p, unsigned side)
{
	uint64_t word = load_acquire(&p->end[side].owner);
	bool left = false;
	if (word & OWNER_GIVEN)
		left = pipe_given_ended(word);
	else if (word & OWNER_OWNED)
		left = process_gone(a, (uint32_t)(word >> 32) & 0xfff, (uint32_t)word);
	if (left)
		pipe_shut_end(a, p, side, word);
}

/*
 * Of a process that ends, or of all that have (UINT32_MAX); also what one of it had closed, as the
 * second end, and died there. And what was given to one that has ended, whichever that is: where it
 * never used it nothing else tells.
 */
static void
collect_ends(shoal_arena *a, struct pipe *p, uint32_t process, uint32_t generation)
{
	for (unsigned side = 0; side < 2; side++) {
		bool given = load_relaxed(&p->end[side].owner) & OWNER_GIVEN;
		if (process != UINT32_MAX)
			end_of_owner(a, p, side, process, generation);
		if (process == UINT32_MAX || given)
			pipe_end_left(a, p, side);
	}
	pipe_end_connection(a, p);
}

static bool
is_connection(const shoal_arena *a, uint32_t object)
{
	uint32_t ring;
	const struct pipe *p = body(a, object, &ring);
	return p && p->flags & PIPE_CONNECTION;
}

static void
collect(shoal_arena *a, struct member *me, uint32_t process, uint32_t generation, uint32_t object)
{
	word32 *place;
	struct pipe *p = is_connection(a, object) ? stay(a, me, object, &place) : NULL;
	if (!p)
		return;
	collect_ends(a, p, process, generation);
	object_unstay(place);
}

static void
recover_process(shoal_arena *a, uint32_t process, uint32_t generation, uint32_t object)
{
	uint32_t ring;
	struct pipe *p = body(a, object, &ring);
	if (p && p->flags & PIPE_CONNECTION) {
		collect_ends(a, p, process, generation);
		return;
	}
	for (unsigned side = 0; p && side < 2; side++) {
		end_of_owner(a, p, side, process, generation);
		if (!(p->flags & SHOAL_PIPE_SHARED_ENDS))
			continue;
		/* Also one who had left, and died before it closed the end as the last one. */
		uint64_t user = load_acquire(&pipe_users(p, ring, a->members_max, side)[process]);
		if (user && user >> 2 == generation)
			pipe_leave_users(a, p, side, process, user);
	}
}

static struct robust *
bell(const shoal_arena *a, uint32_t object)
{
	uint32_t ring;
	struct pipe *p = body(a, object, &ring);
	return p ? &p->bell : NULL;
}

void
pipe_shut(shoal_arena *a, uint32_t object)
{
	uint32_t ring;
	struct pipe *p = body(a, object, &ring);
	for (unsigned side = 0; p && side < 2; side++)
		pipe_shut_end(a, p, side, load_acquire(&p->end[side].owner));
	if (p)
		wake_all(p);
}

static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	(void)t, (void)me;
	uint32_t ring;
	struct pipe *p = body(a, object, &ring);
	for (unsigned side = 0; p && side < 2; side++)
		way_drain(a, p, side);
}

/* Messages on their way, in both directions. */
static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	uint32_t ring;
	const struct pipe *p = body(a, object, &ring);
	uint64_t n = 0;
	for (unsigned side = 0; p && side < 2; side++) {
		uint64_t received = load_acquire(&p->way[side].received);
		uint64_t sent = load_acquire(&p->way[side].sent);
		n += sent > received ? sent - received : 0;
	}
	return n;
}

/* ---- messages with references ---- */

/* What lies at the end of the message; false where it leads outside. */
static bool
read_last(const shoal_arena *a, const struct pipe_message *m, uint64_t *last)
{
	const char *from = m->data;
	if (m->bytes < sizeof *last)
		return false;
	if (m->block && (!block_word_at(a, m->block) || m->bytes > block_bytes(a, m->block)))
		return false;
	if (m->block)
		from = arena_at(a, m->block);
	racy_read(last, from + m->bytes - sizeof *last, sizeof *last);
	return true;
}

bool
pipe_receives(const shoal_arena *a, uint32_t object, uint64_t place)
{
	uint32_t ring;
	const struct pipe *p = body(a, object, &ring);
	return p && receives(p, place & 1);
}

bool
pipe_has_message(const shoal_arena *a, uint32_t object, uint64_t place, uint64_t last)
{
	uint32_t ring;
	uint64_t pos = place & ~UINT64_C(7), found = 0;
	unsigned side = place & 1;
	struct pipe *p = body(a, object, &ring);
	struct pipe_message m;
	if (!p || !receives(p, side))
		return false;
	const struct pipe_way *w = &p->way[side];
	if (load_acquire(&w->done) > pos || load_acquire(&w->taken) > pos)
		return false;
	if (way_look(pipe_ring(p, ring, side), ring - 1, pos, &m) != 1 || m.pos != pos)
		return false;
	return (m.mark & MARK_HOLDS) && read_last(a, &m, &found) && found == last;
}

/* ---- check ---- */

static int
complain(FILE *report, uint32_t object, unsigned side, uint64_t pos, const char *what)
{
	if (report)
		fprintf(report, "pipe %u: %s end's bytes at %llu: %s\n", object, side ? "right" : "left",
		        (unsigned long long)pos, what);
	return 1;
}

/* On a pipe in use positions move on: what is wrong must be wrong while `done` stands still. */
static int
check_way(shoal_arena *a, struct pipe *p, uint32_t ring, unsigned side, uint32_t object,
          FILE *report)
{
	struct pipe_way *w = &p->way[side];
	uint64_t done = load_acquire(&w->done), tail = load_acquire(&w->tail);
	struct pipe_message m = { .pos = done };
	if (done % 8 || tail % 8 || (tail > done && tail - done > ring))
		return load_acquire(&w->done) == done
		               ? complain(report, object, side, done, "no position")
		               : 0;
	/* A closed end's messages were drained. */
	bool drained = !receives(p, side);
	for (uint64_t pos = done; pos - done < ring; pos = m.next) {
		int rc = way_look(pipe_ring(p, ring, side), ring - 1, pos, &m);
		if (load_acquire(&w->done) != done)
			return 0;
		if (rc < 0)
			return complain(report, object, side, pos, "no record");
		if (rc == 0)
			return m.pos < tail ? complain(report, object, side, m.pos, "a gap") : 0;
		word64 *b = m.block && !drained ? block_word_at(a, m.block) : NULL;
		if (m.block && !drained &&
		    (!b || load_acquire(b) != pipe_place(object, side, m.pos)) &&
		    load_acquire(&w->done) == done && load_acquire(&w->taken) <= m.pos)
			return complain(report, object, side, m.pos, "its block is not the record's");
	}
	return 0;
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	uint32_t ring;
	(void)parts;
	struct pipe *p = body(a, object, &ring);
	if (!p)
		return complain(report, object, 0, 0, "the body is damaged");
	return check_way(a, p, ring, 0, object, report) + check_way(a, p, ring, 1, object, report);
}

const struct kind_ops pipe_kind = {
	.recover_call = recover_call,
	.recover_loan = recover_loan,
	.recover_hand = recover_hand,
	.recover_process = recover_process,
	.collect = collect,
	.bell = bell,
	.shut = pipe_shut,
	.empty = empty,
	.size = size,
	.check = check,
};
