/* peer.c - libraries of peers, loaded when one is measured */
#include "peer.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int
peer_load(const char *library, const struct peer_function *functions, size_t count)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; handle && i < count; i++) {
		void *symbol = dlsym(handle, functions[i].name);

		if (!symbol)
			handle = NULL;
		memcpy(functions[i].at, &symbol, sizeof symbol);
	}
	if (handle)
		return 0;
	fprintf(stderr, "shoal-bench: %s\n", dlerror());
	return -ELIBACC;
}
