/* The kinds of this floor, for the arena (arena/kinds.h). */
#ifndef DATA_KINDS_H
#define DATA_KINDS_H

#include "arena/kinds.h"

extern const struct kind_ops value_kind;
extern const struct kind_ops array_kind;
extern const struct kind_ops list_kind;
extern const struct kind_ops dict_kind; /* namespaces too */
extern const struct kind_ops envelope_kind;

#endif
