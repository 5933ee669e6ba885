#include "sync/stay.h"

void (*stay_hook)(const void *object, enum stay_mode mode, struct stay *out);
bool (*stay_orphan_hook)(const struct stay *s);
