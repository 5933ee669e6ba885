#ifndef DATA_KINDS_H
#define DATA_KINDS_H

#include "arena/kinds.h"

extern const struct kind_ops value_kind; /* data/value.c */
extern const struct kind_ops array_kind; /* data/array.c */

#endif
