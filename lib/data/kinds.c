/*
 * The kinds of this floor and of those below, for the arena's recovery, destruction, listing and
 * check.
 */
#include "arena/kinds.h"
#include "data/kinds.h"
#include "ring/kinds.h"

const struct kind_ops *const kind_table[KIND_COUNT] = {
	[SHOAL_KIND_MEMORY] = &memory_kind,
	[SHOAL_KIND_QUEUE] = &queue_kind,
	[SHOAL_KIND_PIPE] = &pipe_kind,
	[SHOAL_KIND_LISTENER] = &listener_kind,
	[SHOAL_KIND_VALUE] = &value_kind,
	[SHOAL_KIND_ARRAY] = &array_kind,
	[SHOAL_KIND_LIST] = &list_kind,
	[SHOAL_KIND_DICT] = &dict_kind,
	[SHOAL_KIND_NAMESPACE] = &dict_kind,
	[SHOAL_KIND_LOCK] = &plain_kind,
	[SHOAL_KIND_RWLOCK] = &plain_kind,
	[SHOAL_KIND_SEMAPHORE] = &plain_kind,
	[SHOAL_KIND_CONDITION] = &plain_kind,
	[SHOAL_KIND_EVENT] = &plain_kind,
	[KIND_ENVELOPE] = &envelope_kind,
};
