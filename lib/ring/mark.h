/*
 * Marks: a message may bear a number, to which the floor above gives its meaning (data/message.c:
 * it is a value). 0 is none: bytes, as put and send give them. Who receives bytes refuses marked
 * ones with -EPROTO, and they stay; who receives marked ones says beforehand what it has room for.
 */
#ifndef RING_MARK_H
#define RING_MARK_H

#include "arena/arena.h"

#define MARK_MAX ((UINT32_C(1) << 25) - 1)
/*
 * With any mark: the message has references to objects, which are counted for it by an object of
 * its own (data/envelope.h), which looks whether the message is still at its place. Its sender says
 * where that is before the message is there. Who takes it says so in its record (member_open)
 * before the place is given back; who drops it says object_note_mail.
 */
#define MARK_HOLDS (UINT32_C(1) << 25)
#define MARK_BITS (MARK_MAX | MARK_HOLDS)

struct marked {
	/*
	 * Room for messages of so many bytes and of marks up to this, with MARK_HOLDS and without it;
	 * for those without one too. 0: for none with a mark.
	 */
	void *buffer;
	size_t room;
	uint32_t most;
	bool plain;
	/* What the message has that was taken, or that is next and has no room. */
	uint32_t mark;
	size_t bytes;
	/* Makes room for that one. 0, or -ENOMEM: it stays where it is. */
	int (*make_room)(struct marked *);
};

/* For one who only looks: no message has room in it: none is taken, nothing is said. */
#define MARKED_NONE { .plain = false }

static inline bool
marked_fits(struct marked *m, size_t bytes, uint32_t mark)
{
	m->bytes = bytes;
	m->mark = mark;
	return bytes <= m->room && (mark & MARK_MAX) <= (m->most & MARK_MAX) &&
	       (mark ? m->most != 0 : m->plain);
}

/*
 * 0, or as put and get, send and recv give. Under MARK_HOLDS *place becomes the message's before
 * it is there.
 */
int queue_put_marked(shoal_queue *q, const void *message, size_t bytes, uint32_t mark,
                     word64 *place, shoal_time timeout);
int queue_get_marked(shoal_queue *q, struct marked *m, shoal_time timeout);
int pipe_send_marked(shoal_pipe_end *end, const void *message, size_t bytes, uint32_t mark,
                     word64 *place, shoal_time timeout);
int pipe_recv_marked(shoal_pipe_end *end, struct marked *m, shoal_time timeout);

/*
 * Whether the message that was sent to the place is still to be received, for one who has not seen
 * that the queue or pipe is gone. Of a pipe: whether one is whose last 8 bytes are `last`: the
 * place may be another one's.
 */
bool queue_has_message(const shoal_arena *a, uint32_t object, uint64_t place);
bool pipe_has_message(const shoal_arena *a, uint32_t object, uint64_t place, uint64_t last);
/* Whether the end to which the place's messages go is open. */
bool pipe_receives(const shoal_arena *a, uint32_t object, uint64_t place);

#endif
