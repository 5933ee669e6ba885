/*
 * subject_map_peer.c - maps that other libraries have: Boost, LMDB, liburcu
 *
 * One that configure has not found stays in the list without functions: its `about` says what to
 * install.
 */
#include "subject.h"

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-bp.h>
#include <urcu/rculfhash.h>

#if HAVE_BOOST
#include "map_boost.h"

static int
boost_open(struct opening *o)
{
	o->way[0] = boost_map_open(o->keys, o->bytes);
	return o->way[0] ? 0 : -ENOMEM;
}

static void *
boost_join(const struct opening *o)
{
	return o->way[0];
}
#endif

const struct subject subject_map_boost = {
	.name = "Boost map",
	.traits = SUBJECT_MAPS | SUBJECT_IS_BASE,
#if HAVE_BOOST
	.about = "Boost.Interprocess: unordered_map in a segment, under an interprocess_mutex",
	.open = boost_open,
	.join = boost_join,
	.set = boost_map_set,
	.get = boost_map_get,
#else
	.about = "left out: configure has not found Boost (Debian's libboost-dev) and a C++ compiler",
#endif
};

#if HAVE_LMDB
#include <lmdb.h>

struct lmdb {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *reader;
};

/* Each process opens the environment by itself: LMDB's rule. */
static struct lmdb *
lmdb_begin(const char *path)
{
	struct lmdb *l = calloc(1, sizeof *l);
	MDB_txn *txn;

	if (!l || mdb_env_create(&l->env) || mdb_env_set_mapsize(l->env, (size_t)4 << 30) ||
	    mdb_env_open(l->env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP, 0600) ||
	    mdb_txn_begin(l->env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &l->dbi) ||
	    mdb_txn_commit(txn))
		return NULL;
	return l;
}

static int
lmdb_open(struct opening *o)
{
	char *path;

	if (asprintf(&path, "/dev/shm/shoal-bench-%d.lmdb", (int)getpid()) < 0)
		return -ENOMEM;
	o->arena = path;
	return 0;
}

static int
lmdb_close(struct opening *o)
{
	char lock[128];

	snprintf(lock, sizeof lock, "%s-lock", (char *)o->arena);
	unlink(o->arena);
	unlink(lock);
	return 0;
}

static void *
lmdb_join(const struct opening *o)
{
	return lmdb_begin(o->arena);
}

static int
lmdb_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	struct lmdb *l = map;
	MDB_val k = { sizeof key, &key }, v = { bytes, (void *)(uintptr_t)value };
	MDB_txn *txn;

	if (mdb_txn_begin(l->env, NULL, 0, &txn) || mdb_put(txn, l->dbi, &k, &v, 0) ||
	    mdb_txn_commit(txn))
		return -EIO;
	return 0;
}

static long
lmdb_get(void *map, uint64_t key, void *value, size_t bytes)
{
	struct lmdb *l = map;
	MDB_val k = { sizeof key, &key }, v;
	long got = -ENOENT;

	if (l->reader ? mdb_txn_renew(l->reader)
	              : mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader))
		return -EIO;
	if (mdb_get(l->reader, l->dbi, &k, &v) == 0) {
		memcpy(value, v.mv_data, v.mv_size < bytes ? v.mv_size : bytes);
		got = (long)v.mv_size;
	}
	mdb_txn_reset(l->reader);
	return got;
}
#endif

const struct subject subject_map_lmdb = {
	.name = "LMDB",
	.traits = SUBJECT_MAPS,
#if HAVE_LMDB
	.about = "LMDB in /dev/shm, NOSYNC and WRITEMAP, a transaction an operation",
	.open = lmdb_open,
	.close = lmdb_close,
	.join = lmdb_join,
	.set = lmdb_set,
	.get = lmdb_get,
#else
	.about = "left out: configure has not found LMDB (Debian's liblmdb-dev)",
#endif
};

/* liburcu's table, as users of one process have it: nodes by malloc, freed by call_rcu. */
struct lfht_node {
	struct cds_lfht_node node;
	struct rcu_head rcu;
	uint64_t key;
	size_t bytes;
	char value[];
};

static int
lfht_open(struct opening *o)
{
	o->way[0] = cds_lfht_new(1024, 1024, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
	return o->way[0] ? 0 : -ENOMEM;
}

static void *
lfht_join(const struct opening *o)
{
	return o->way[0];
}

static unsigned long
lfht_hash(uint64_t key)
{
	key ^= key >> 32;
	return key * UINT64_C(0xff51afd7ed558ccd) >> 8;
}

static int
lfht_match(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct lfht_node, node)->key == *(const uint64_t *)key;
}

static void
lfht_free(struct rcu_head *head)
{
	free(caa_container_of(head, struct lfht_node, rcu));
}

static int
lfht_set(void *map, uint64_t key, const void *value, size_t bytes)
{
	struct lfht_node *n = malloc(sizeof *n + bytes);
	struct cds_lfht_node *old;

	if (!n)
		return -ENOMEM;
	cds_lfht_node_init(&n->node);
	n->key = key;
	n->bytes = bytes;
	memcpy(n->value, value, bytes);
	rcu_read_lock();
	old = cds_lfht_add_replace(map, lfht_hash(key), lfht_match, &key, &n->node);
	if (old)
		call_rcu(&caa_container_of(old, struct lfht_node, node)->rcu, lfht_free);
	rcu_read_unlock();
	return 0;
}

static long
lfht_get(void *map, uint64_t key, void *value, size_t bytes)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	long got = -ENOENT;

	rcu_read_lock();
	cds_lfht_lookup(map, lfht_hash(key), lfht_match, &key, &iter);
	node = cds_lfht_iter_get_node(&iter);
	if (node) {
		struct lfht_node *n = caa_container_of(node, struct lfht_node, node);

		memcpy(value, n->value, n->bytes < bytes ? n->bytes : bytes);
		got = (long)n->bytes;
	}
	rcu_read_unlock();
	return got;
}

const struct subject subject_map_lfht = {
	.name = "cds_lfht (threads)",
	.about = "liburcu's lock-free hash table, by the threads of one process",
	.traits = SUBJECT_MAPS | SUBJECT_THREADS,
	.open = lfht_open,
	.join = lfht_join,
	.set = lfht_set,
	.get = lfht_get,
};
