#include "own.h"

#include <stdlib.h>
#include <sys/mman.h>

void *
own_alloc(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, bytes, MADV_DONTFORK) != 0)
		abort();
	return memory;
}

void *
own_grow(void *memory, size_t was, size_t bytes)
{
	if (!memory)
		return own_alloc(bytes);
	memory = mremap(memory, was, bytes, MREMAP_MAYMOVE);
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void
own_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
