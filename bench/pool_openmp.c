/* pool_openmp.c - the same loop by OpenMP's threads, where the compiler has them */
#include "pool.h"

#ifdef _OPENMP
#include <omp.h>

double
openmp_map(int (*item)(const long *in, long *out), const long *in, long *out, long count,
           long chunk, int threads)
{
	double began = omp_get_wtime();

#pragma omp parallel for schedule(dynamic, chunk) num_threads(threads)
	for (long i = 0; i < count; i++)
		item(in + i, out + i);
	return omp_get_wtime() - began;
}
#else
double
openmp_map(int (*item)(const long *in, long *out), const long *in, long *out, long count,
           long chunk, int threads)
{
	(void)item, (void)in, (void)out, (void)count, (void)chunk, (void)threads;
	return -1;
}
#endif
