/* Messages of the account as values: bytes, by put_any and get_any, send_any and recv_any. */
#ifndef STEP_VALUE_H
#define STEP_VALUE_H

#include <errno.h>
#include <shoal/any.h>
#include <string.h>

/* Among a shape's flags, and none of the queue's or pipe's: messages are values. */
#define STEP_VALUES (1u << 20)

/* What a get_any gave, as get would have: its length, or why there is none. */
static inline ssize_t
value_to_bytes(int rc, shoal_any *v, void *buffer, size_t room)
{
	if (rc)
		return rc;
	ssize_t n = v->kind == SHOAL_ANY_BYTES && v->count <= room ? (ssize_t)v->count : -EPROTO;
	if (n > 0)
		memcpy(buffer, v->as.bytes, (size_t)n);
	shoal_any_clear(v);
	return n;
}

#endif
