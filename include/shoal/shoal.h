#ifndef SHOAL_SHOAL_H
#define SHOAL_SHOAL_H
#include <shoal/any.h>
#include <shoal/data.h>
#include <shoal/arena.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/pool.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/scoped.h>
#include <shoal/sync.h>
#endif
