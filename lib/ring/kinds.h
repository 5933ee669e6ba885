#ifndef RING_KINDS_H
#define RING_KINDS_H

#include "arena/kinds.h"

extern const struct kind_ops queue_kind; /* ring/queue_recover.c */
extern const struct kind_ops pipe_kind;  /* ring/pipe_recover.c */
extern const struct kind_ops listener_kind; /* ring/listener.c */

#endif
