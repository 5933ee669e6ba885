/*
 * How a call on a pipe waits: off the line for a moment, spinning, then asleep; and how it learns
 * that nobody will come.
 *
 * A sleeper watches its gate, the word that the event changes, the pipe's bell, and the life word
 * of a member of the process that owns the other end (sync/gate.h, sync/bell.h). Where that process
 * shows no living member (its threads have left the arena, or it was only promised the end) nothing
 * tells of its death but its pidfd, and sleeps are cut into slices of FUTEX_SLICE_NS. So are those
 * for room: the reader does not wake a writer for every few bytes; those at a shared end: one who
 * was woken takes the end's lock, which it names instead of its gate, so if it dies then nobody
 * passes its wake on; and those beside descriptors, which the kernel may wake instead (poller.h).
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "ring/pipe.h"
#include "ring/poller.h"

/*
 * A futex wake between idle CPUs of a virtual machine takes about as long as SPIN_MOST pauses. A
 * spin that was of use doubles the next one, one in vain halves it.
 */
#define SPIN_MOST 1600u
#define SPIN_LEAST 16u
#define SLIP_PAUSES 64u
#define YIELDS 3u
#define PEER_LOOK_NS INT64_C(1000000)

/* ---- the other end ---- */

static shoal_pipe_end *
other_end(const struct pipe_handle *h)
{
	return &h->pipe->end[!h->side];
}

bool
pipe_user_left(const struct pipe_handle *h)
{
	return load_relaxed(h->user) == (h->user_word ^ USER_STATE);
}

bool
pipe_end_closed(const struct pipe_handle *h)
{
	if ((load_acquire(&h->end->owner) & (OWNER_CLOSED | OWNER_NONCE)) != h->nonce)
		return true;
	return h->user && pipe_user_left(h);
}

bool
pipe_peer_closed(const struct pipe_handle *h)
{
	if (load_acquire(&h->end->owner) & OWNER_PEER_CLOSED)
		return true;
	return load_acquire(&other_end(h)->owner) & OWNER_CLOSED;
}

/*
 * Finishes what the members of the process left, which may close its ends; then closes this one if
 * that is due.
 */
static bool
process_ended(struct pipe_handle *h, struct shoal_thread *t, uint32_t process, uint32_t generation)
{
	if (process_living_member(h->arena, process, generation, 0))
		return false;
	member_recover_all(h->arena, t, pipe_me(h, t));
	return process_gone(h->arena, process, generation);
}

/*
 * The owner of an end as `word` says: gone? *life is a word that tells of its death, NULL where
 * none does.
 */
static bool
owner_gone(struct pipe_handle *h, struct shoal_thread *t, const shoal_pipe_end *end, uint64_t word,
           struct member **life)
{
	if (word & OWNER_GIVEN)
		return pipe_given_ended(word);
	if (!(word & OWNER_OWNED))
		return false;
	uint32_t process = (uint32_t)(word >> 32) & 0xfff;
	uint32_t generation = (uint32_t)word;
	*life = process_living_member(h->arena, process, generation, load_relaxed(&end->tag));
	return !*life && process_ended(h, t, process, generation);
}

/*
 * SHARED_ENDS: the users are gone one by one, and the last one closes the end. Without it there are
 * no rows of them, whatever the ends' words say.
 */
static void
look_at_users(struct pipe_handle *h, struct shoal_thread *t, unsigned side, struct member **life)
{
	struct pipe *p = h->pipe;
	uint32_t count = h->arena->members_max;
	const word64 *row = pipe_users(p, (uint32_t)h->mask + 1, count, side);
	bool used = false;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t user = load_acquire(&row[i]);
		if ((user & USER_STATE) != 1)
			continue;
		used = true;
		uint32_t generation = (uint32_t)(user >> 2);
		*life = process_living_member(h->arena, i, generation, load_relaxed(&p->end[side].tag));
		if (*life)
			return;
		if (process_ended(h, t, i, generation))
			pipe_leave_users(h->arena, p, side, i, user);
	}
	/* Its last user left, and died before it closed it. */
	if (!used)
		pipe_shut_end(h->arena, p, side, load_acquire(&p->end[side].owner));
}

/*
 * True: the other end is closed by now. Else *life may tell when that changes; *known: it is
 * somebody's.
 */
static bool
look_at_peer(struct pipe_handle *h, struct shoal_thread *t, struct member **life, bool *known)
{
	shoal_pipe_end *end = other_end(h);
	uint64_t word = load_acquire(&end->owner);
	*life = NULL;
	*known = word & (OWNER_OWNED | OWNER_GIVEN | OWNER_SHARED);
	if (h->shared && (word & OWNER_SHARED))
		look_at_users(h, t, !h->side, life);
	else if (owner_gone(h, t, end, word, life))
		pipe_shut_end(h->arena, h->pipe, !h->side, word);
	return pipe_peer_closed(h);
}

/*
 * Whether the member that used the other end last lives, and the end is its process's still. The
 * tag may be a former owner's: of one who gave the end away to somebody who has not used it yet, or
 * died before it said that it does, or of a user of a shared end who has closed it.
 */
static bool
user_lives(const struct pipe_handle *h)
{
	const shoal_pipe_end *end = other_end(h);
	uint64_t word = load_acquire(&end->owner);
	uint32_t tag = load_relaxed(&end->tag), count = h->arena->members_max;
	const struct member *m = member_of_tag(h->arena, tag);
	if (!m || member_state(h->arena, tag) != MEMBER_ALIVE)
		return false;
	uint32_t process = load_relaxed(&m->process), generation = load_relaxed(&m->process_generation);
	if (!h->shared || !(word & OWNER_SHARED))
		return (word & OWNER_WHO) == (OWNER_OWNED | (uint64_t)process << 32 | generation);
	const word64 *row = pipe_users(h->pipe, (uint32_t)h->mask + 1, count, !h->side);
	return process < count && load_relaxed(&row[process]) == pipe_user_word(generation, 1);
}

bool
pipe_peer_gone(struct pipe_handle *h, struct shoal_thread *t)
{
	if (user_lives(h))
		return false;
	int64_t now = clock_now();
	if (now - h->peer_seen_ns < PEER_LOOK_NS)
		return false;
	h->peer_seen_ns = now;
	struct member *life;
	bool known;
	return look_at_peer(h, t, &life, &known);
}

/* ---- the wait ---- */

static struct pipe_gates *
gates_of(const struct pipe_handle *h, const struct pipe_wait *w)
{
	return w->readers ? &h->rx->data : &h->tx->room;
}

static word32 *
gate_of(const struct pipe_handle *h, const struct pipe_wait *w)
{
	struct pipe_gates *gates = gates_of(h, w);
	return w->poll ? &gates->poll : &gates->wait;
}

/*
 * More than one message since the last wait: the other side is at it, and is left in peace to fill
 * several lines.
 */
static void
slip(struct pipe_handle *h, const struct pipe_wait *w)
{
	uint64_t count = load_relaxed(w->readers ? &h->rx->received : &h->tx->sent);
	uint64_t *before = w->readers ? &h->received_before : &h->sent_before;
	bool burst = count - *before > 1;
	*before = count;
	if (w->readers)
		h->kept_at = load_relaxed(&h->rx->done);
	for (uint32_t i = 0; burst && i < SLIP_PAUSES; i++)
		cpu_relax();
}

/* Its destroyer may have died before it closed both ends. */
static bool
destroyed(const struct pipe_handle *h)
{
	if (likely(object_ready(h->arena, h->object)))
		return false;
	pipe_shut(h->arena, h->object);
	return pipe_end_closed(h);
}

int64_t
pipe_deadline(struct pipe_wait *w)
{
	if (!w->deadline && w->timeout > 0)
		w->deadline = w->timeout == SHOAL_FOREVER ? CLOCK_NEVER : clock_deadline(w->timeout);
	return w->deadline;
}

/*
 * Asked before a call goes away with nothing: one who comes again and again for a short time, or
 * for none, must learn it as well.
 */
static bool
is_over(struct pipe_handle *h, struct shoal_thread *t)
{
	return pipe_peer_gone(h, t) || object_end_orphan(h->arena, h->object) || destroyed(h);
}

int
pipe_timed_out(void)
{
	return fail_quiet(-ETIMEDOUT, "the pipe did not become ready in time");
}

/* A descriptor that said there was something is told that there is nothing. */
static int
begin(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w)
{
	poller_rearm(&gates_of(h, w)->poll);
	if (w->timeout <= 0) {
		if (is_over(h, t))
			return 0;
		return fail_quiet(-EAGAIN, "the pipe would have to wait, and the timeout is 0");
	}
	w->began = true;
	slip(h, w);
	(void)pipe_deadline(w);
	return 0;
}

static bool
spin(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, word64 *word,
     uint64_t seen)
{
	for (; w->pauses < h->spin; w->pauses++) {
		if (load_relaxed(word) != seen || unlikely(load_relaxed(&t->interrupt))) {
			h->spin = h->spin * 2 < SPIN_MOST ? h->spin * 2 : SPIN_MOST;
			return true;
		}
		cpu_relax();
	}
	return false;
}

/*
 * A gate that this thread has armed behind a barrier, and that is armed still, was never open
 * since: nobody else of this end arms it, and a waker that opens it looks for sleepers in the same
 * step. Then the barrier would tell nothing new.
 */
static void
arm(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w)
{
	word32 *gate = gate_of(h, w);
	bool *mine = w->readers ? &h->data_armed : &h->room_armed;
	robust_pending_set(t, gate);
	if (h->shared || w->poll || !*mine || load_acquire(gate) != GATE_ARMED)
		gate_arm(gate, !h->fenced);
	*mine = !w->poll;
	w->bell = bell_read(&h->pipe->bell);
	w->armed = true;
	h->spin = h->spin / 2 > SPIN_LEAST ? h->spin / 2 : SPIN_LEAST;
}

unsigned
pipe_watch(struct pipe_handle *h, struct shoal_thread *t, const struct pipe_wait *w, word64 *word,
           uint64_t seen, struct futex_watch *list, bool *sliced)
{
	struct pipe *p = h->pipe;
	unsigned n = 0;
	struct member *life;
	bool known;
	if (object_end_orphan(h->arena, h->object) || destroyed(h) ||
	    look_at_peer(h, t, &life, &known))
		return 0;
	list[n++] = (struct futex_watch){ gate_of(h, w), GATE_ARMED };
	list[n++] = (struct futex_watch){ low_half(word), (uint32_t)seen };
	list[n++] = (struct futex_watch){ &p->bell.word, w->bell };
	if (life) {
		uint32_t alive = load_acquire(&life->life.word);
		if (!alive || alive & FUTEX_DIED)
			return 0;
		list[n++] = (struct futex_watch){ &life->life.word, alive };
	}
	*sliced = (known && !life) || !w->readers || h->shared || load_relaxed(&p->polled) ||
	          object_has_owner(h->arena, h->object);
	return n;
}

static int
sleep_on(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, word64 *word,
         uint64_t seen)
{
	struct futex_watch watch[PIPE_WATCHED];
	bool sliced;
	unsigned n = pipe_watch(h, t, w, word, seen, watch, &sliced);
	w->armed = false;
	if (!n)
		return 0;
	int64_t until = sliced ? clock_sooner(w->deadline, FUTEX_SLICE_NS) : w->deadline;
	int rc = gate_sleep(t, watch, n, until);
	w->slept = true;
	return rc == -ETIMEDOUT && until < w->deadline ? 0 : rc;
}

void
pipe_pass_on(struct pipe_handle *h, const struct pipe_wait *w)
{
	if (h->shared && w->slept && !w->poll)
		gate_open(gate_of(h, w));
}

int
pipe_wait(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, word64 *word,
          uint64_t seen)
{
	if (!w->began) {
		int rc = begin(h, t, w);
		if (rc || w->timeout <= 0)
			return rc;
	}
	if (unlikely(thread_interrupted(t)))
		return fail_quiet(-ECANCELED, "the wait was interrupted by shoal_thread_interrupt");
	if (!w->armed) {
		if (spin(h, t, w, word, seen))
			return 0;
		if (w->yields < YIELDS) {
			w->yields++;
			kernel_yield();
			return 0;
		}
		if (clock_now() >= w->deadline)
			return is_over(h, t) ? 0 : pipe_timed_out();
		arm(h, t, w);
		return 0;
	}
	int rc = sleep_on(h, t, w, word, seen);
	if (rc == -ETIMEDOUT)
		return pipe_timed_out();
	if (rc == -ECANCELED)
		return fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt");
	return 0;
}
