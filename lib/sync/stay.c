#include "sync/stay.h"

void (*stay_hook)(const void *object, enum stay_mode mode, struct stay *out);
