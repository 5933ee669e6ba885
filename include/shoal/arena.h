/*
 * Arenas: memory that processes share, and what lives in it.
 *
 *	shoal_arena *arena;
 *	int rc = shoal_arena_create("sensors", NULL, &arena); // in one program
 *	int rc = shoal_arena_attach("sensors", SHOAL_SEC(5), &arena); // in another one
 *
 * A PRIVATE arena has no name: it reaches other processes by fork, by its descriptor
 * (shoal_arena_fd, sent over a socket, or inherited), or by the process options. The kernel frees
 * it with the last process that has it.
 *
 * A NAMED arena is a file. A name is 1 to 63 bytes of A-Z a-z 0-9 . _ - and stands in this user's
 * own directory, /dev/shm/shoal-<uid>, which nobody else can enter. A name with a '/' is a path,
 * used as it is: its directory and its mode decide who shares it. Nobody ever sees a half-made one:
 * the name appears when the arena is whole, and a creator that dies before leaves nothing. It stays
 * until shoal_arena_unlink, or, under SHOAL_UNLINK_LAST, until its last process has closed it or
 * ended by exit (a forked child counts once it attaches it, or makes its first call that writes).
 * Where the last one was killed, or ended by _exit, the file stays until somebody attaches, or
 * creates one of, that name.
 *
 * A handle is this process's; its forked children inherit it with the mapping, at the same address.
 * Attaching the same arena again gives the same handle, which is then to be closed once more. A
 * read-only handle is another one.
 *
 * Members. A thread that makes its first call that writes joins the arena: it takes one of
 * members_max records, and gives it back when it ends, or closes the arena. When it is killed, what
 * it held is resolved by the others: everything in an arena survives the death of any process at
 * any instruction. What is attached must be trusted all the same: its users can write to every
 * byte, and the file of a named one can be truncated under them, which ends them with SIGBUS.
 * (Private arenas are sealed against that.)
 *
 * Errors are negative errno values, with a sentence in shoal_error(). Calls that fail leave
 * everything as it was, and *out NULL. Any thread may make any call at any time, except to close a
 * handle against its use.
 *
 * Memory. `limit_bytes` is a range of addresses, reserved at once: an arena takes memory as its
 * blocks are used, in steps of 64 KiB and more, always before it is handed out, so that a full
 * /dev/shm is -ENOSPC from the call that needs memory, never SIGBUS. Its own tables come on top: 4
 * KiB, 64 bytes for each of members_max, 12 KiB for each thread that ever was a member at the same
 * time, 64 KiB for each 512 objects, 16 bytes a page of 64 KiB. Memory once taken is used again,
 * and not given back before the arena ends. The mapping is not part of core dumps, since writing
 * one would fill the whole range.
 */
#ifndef SHOAL_ARENA_H
#define SHOAL_ARENA_H

#include <shoal/base.h>

SHOAL_BEGIN_

/* ---- options ---- */

enum {
	/* A named arena goes with its last process: left behind by a signal, with the next to come. */
	SHOAL_UNLINK_LAST = 1,
	SHOAL_HUGE = 2,        /* ask for huge pages: a hint that the kernel may ignore */
	SHOAL_OR_ATTACH = 4,   /* attach the arena if it exists; its own options hold then */
};

/* All zero, or NULL, is the default. */
typedef struct {
	/*
	 * For blocks; in steps of 64 KiB. 0: 64 GiB; less counts as 1 MiB; over 1 TiB, with what the
	 * arena needs for itself, is -EINVAL.
	 */
	size_t limit_bytes;
	/*
	 * So much is taken at once: blocks that fit into it never meet -ENOSPC (those over 32640 bytes
	 * need their pages of 64 KiB in a row). The tables' memory comes on top, as they grow.
	 */
	size_t reserve_bytes;
	unsigned mode;        /* of the file, within 0666, whatever the umask; 0: 0600 */
	uint32_t members_max; /* threads at one time, and processes; 1 to 4000; 0: 256 */
	unsigned flags;       /* SHOAL_UNLINK_LAST … */
	uint64_t reserved_[4];
} shoal_arena_options;

/* ---- create, attach, close ---- */

/*
 * A new arena: private when the name is NULL. This process is attached to it.
 *   -EEXIST   the name is taken, by whatever file (without SHOAL_OR_ATTACH). An arena under
 *             SHOAL_UNLINK_LAST whose processes have all died is no obstacle: it is removed
 *   -EINVAL   a bad name or option        -ENOSPC   no memory behind the first 100 KiB
 *   -EPERM    the directory is not this user's own, or open to others
 *   -ENOMEM   no addresses (RLIMIT_AS)    -EMFILE   no descriptor, or 256 arenas mapped
 *   -EFBIG    RLIMIT_FSIZE                -EOPNOTSUPP  a file system without O_TMPFILE
 *   -ENOENT, -EACCES, -ENOTDIR and the like, of a path's directory, as open(2) gives them
 */
int shoal_arena_create(const char *name, const shoal_arena_options *options, shoal_arena **out);

/*
 * The arena of that name, waiting for it up to `timeout` (it is looked for again every 8 ms at the
 * latest).
 *   -ENOENT   there is none in time; also one that its last user is just removing
 *   -EPROTO   not an arena, truncated, damaged, a copy with holes, or made by another version:
 *             nothing of it is used
 *   -EPERM    a symbolic link; a file whose owner or mode forbids it; in this user's own directory
 *             also another user's file, or a mode wider than it was made with (elsewhere that is
 *             its owner's affair); another PID namespace; or its waits use membarrier, which this
 *             process may not: create it with SHOAL_WITHOUT=membarrier in the environment
 *   -EACCES, -ENOTDIR and the like, of a path's directory, as open(2) gives them
 *   -EUSERS   as many processes as members_max are attached
 *   -ECANCELED  shoal_thread_interrupt
 */
int shoal_arena_attach(const char *name, shoal_time timeout, shoal_arena **out);

/*
 * For one who watches: mapped read-only, no member, no trace; from another PID namespace too. Calls
 * that write give -EPERM, and so does shoal_lock_open, and all that open what is in shoal/sync.h.
 * -ENOENT, -EPROTO, -EPERM, -ECANCELED as above.
 */
int shoal_arena_attach_readonly(const char *name, shoal_time timeout, shoal_arena **out);

/*
 * From a descriptor that shoal_arena_fd gave, here or in another process. It is copied: close yours
 * when you like. One that was opened O_RDONLY gives a read-only handle. Errors as above; -EBADF.
 */
int shoal_arena_attach_fd(int fd, shoal_arena **out);

/*
 * The arena's own descriptor, close-on-exec, valid until the arena is closed: pass it on, do not
 * close it.
 */
int shoal_arena_fd(const shoal_arena *arena);

/*
 * Counts: the last close of this process detaches. NULL is nothing. The memory stays mapped until
 * each other thread that is a member has ended, since what a thread holds in an arena is told by
 * the kernel, at its death, in that memory. Where this thread holds locks in it (shoal/sync.h),
 * which is a mistake, the arena stays mapped until this thread has ended, and a warning is logged;
 * the locks can still be released. (An rwlock that it reads does not count: that it is no reader
 * any more is told by its end, wherever the memory is.) Blocks, objects and names stay for the
 * others.
 */
void shoal_arena_close(shoal_arena *arena);

/*
 * Takes the name away; those who are attached go on. 0, -ENOENT; -EPROTO: at the path is another
 * file; -EBUSY: another process was stopped while it removed it; -EACCES, -ENOTDIR, -EISDIR and the
 * like as unlink(2) gives them.
 */
int shoal_arena_unlink(const char *name);

/* ---- health ---- */

/*
 * Finishes now what dead members left: how many were reaped. Nobody has to call it, since whoever
 * meets what a dead one held does the same. -EPERM on a read-only handle.
 */
int shoal_arena_recover(shoal_arena *arena);

/*
 * Looks at every invariant and returns how many are violated: 0 is a sound arena. Each is a line to
 * `report` when it is not NULL. The count is exact while no thread is inside a call on the arena.
 * Nothing is written, no lock is taken; damaged memory leads it neither outside the arena nor round
 * in circles. Time: proportional to the blocks.
 */
int shoal_arena_check(shoal_arena *arena, FILE *report);

/* What the kernel offers to an arena; without any of these it works, by slower ways. */
enum {
	SHOAL_HAS_WAITV = 1,        /* futex_waitv; else some waits notice after 5 ms */
	SHOAL_HAS_MEMBARRIER = 2,   /* puts and gets without a fence */
	SHOAL_HAS_NOEXEC_SEAL = 4,  /* private arenas can never become programs */
	SHOAL_HAS_PENDING_RULE = 8, /* a death passes on every wake; else after 5 ms */
	SHOAL_HAS_PIDFD = 16,
	SHOAL_HAS_URING = 32,       /* descriptors for poll without a helper thread, mostly */
};

typedef struct {
	size_t limit_bytes;  /* for blocks */
	size_t taken_bytes;  /* of these, with memory behind them; never falls */
	size_t used_bytes;   /* of these, in blocks of users, objects, messages, loans */
	uint64_t blocks;     /* how many such blocks */
	uint64_t objects;
	uint32_t members;    /* threads that are members now */
	uint32_t members_max;
	uint64_t deaths;     /* members found dead, since the arena was made; never falls */
	uint64_t recoveries; /* of these, finished */
	uint64_t locks_autocleaned;
	uint64_t messages_dropped;     /* in the hands of the dead */
	uint64_t messages_redelivered; /* taken by the dead, delivered again */
	uint32_t features;             /* SHOAL_HAS_WAITV … */
	uint64_t reserved_[16];
} shoal_arena_info;

/*
 * 0. Each number was true at some moment during the call; together they are exact only while
 * nothing moves. Takes no lock. Time: proportional to the blocks.
 */
int shoal_arena_stat(const shoal_arena *arena, shoal_arena_info *out);

enum {
	SHOAL_KIND_MEMORY = 1,
	SHOAL_KIND_QUEUE,
	SHOAL_KIND_PIPE,
	SHOAL_KIND_LOCK,
	SHOAL_KIND_EVENT,
	SHOAL_KIND_DICT,
	SHOAL_KIND_LIST,
	SHOAL_KIND_VALUE,
	SHOAL_KIND_RWLOCK,
	SHOAL_KIND_SEMAPHORE,
	SHOAL_KIND_CONDITION,
	SHOAL_KIND_ARRAY,
	SHOAL_KIND_NAMESPACE,
	SHOAL_KIND_LISTENER,
};

typedef struct {
	char name[64];     /* empty: none */
	uint32_t kind;     /* SHOAL_KIND_… */
	pid_t owner;       /* SHOAL_WITH_OWNER: of this process; else 0 */
	shoal_ref ref;
	size_t used_bytes; /* its blocks, its messages' included */
	uint64_t size;     /* messages, entries or bytes, as its kind counts */
	uint64_t reserved_[4];
} shoal_object_info;

/*
 * Lists the objects: 1 and the next one in *out, or 0 at the end. *cursor is 0 at first. Each
 * object that is there throughout is met exactly once. Time: proportional to the blocks, for each.
 *
 *	shoal_object_info o;
 *	for (uint64_t at = 0; shoal_arena_next(arena, &at, &o) == 1;)
 *		printf("%s\n", o.name);
 */
int shoal_arena_next(const shoal_arena *arena, uint64_t *cursor, shoal_object_info *out);

/* ---- memory ---- */

/*
 * Zeroed memory, aligned to 16 bytes, from 64 bytes up to 64. It stays until somebody, in any
 * process, frees it: the death of the one who took it changes nothing. A death inside the call
 * leaks nothing. Mostly a few stores into this thread's own record; else a search for free blocks
 * that no other member can hold up, or, for blocks over 32640 bytes and for growth, one lock of the
 * arena: only one who is stopped inside that holds others up, those who take such memory, create
 * objects or recover a dead member that needs it.
 * Small blocks are cut from pages of 64 KiB, each for blocks of one size, for which alone it is
 * used from then on: an arena that was full of blocks of one size may have none of another to give,
 * though nothing is in use.
 *   -ENOMEM  the arena's limit     -ENOSPC  no memory behind it     -EUSERS  members_max
 *   -EPERM   read-only, or another PID namespace
 *   -EDEADLK in a signal handler that interrupted a call
 */
int shoal_alloc(shoal_arena *arena, size_t bytes, void **out);

/* The same, NULL on failure. */
void *shoal_new(shoal_arena *arena, size_t bytes);

/*
 * From any thread of any process, also one for which the arena has no place (members_max) or
 * memory, and in a signal handler, whatever that interrupted. A thread that only frees does not
 * join the arena. NULL is nothing; what shoal_alloc did not give, or was freed already, stops the
 * process. Nothing is freed through a read-only handle: shoal_error() says so.
 */
void shoal_free(shoal_arena *arena, void *memory);

/* ---- references ---- */

/*
 * An address means nothing in another process; a reference does, in each that has the arena: 64
 * bits, to be kept in shared memory or sent in a message. 0 refers to nothing. One to plain memory
 * names any of its bytes; one to an object tells whether the object was destroyed since (of 65536
 * objects made in its place, one is mistaken for it).
 */

/* 0 (-EINVAL in words) for an address outside the arena's blocks. */
shoal_ref shoal_ref_of(const shoal_arena *arena, const void *address);

/* NULL for 0, another arena's reference, or an object that was destroyed. Takes no lock. */
void *shoal_deref(const shoal_arena *arena, shoal_ref ref);

/* ---- named memory ---- */

/*
 * Zeroed memory under a name. `init`, if not NULL, runs before the name appears, so nobody sees it
 * half-made; when it returns non-zero, or its process dies in it, there is no such object. Its
 * result comes back when it is negative.
 *   -EEXIST  the name is taken     -EINVAL  a bad name
 *   -ENOMEM, -ENOSPC, -EUSERS, -EPERM as for shoal_alloc
 * Objects of all kinds get and lose their names one after another: one who is stopped while it
 * creates or destroys may hold up those who create in this arena; and, while it takes its memory,
 * those whom one inside shoal_alloc holds up. Who opens, uses and destroys is not held up; but what
 * has references to other objects is buried while nobody else counts references, so by one who is
 * stopped in that.
 */
int shoal_memory_create(shoal_arena *arena, const char *name, size_t bytes,
                        int (*init)(void *memory, void *arg), void *arg, void **out);

/*
 * Waits for its creator up to `timeout`. -ENOENT: there is none in time. -EPROTO: another kind of
 * object has the name. `bytes` may be NULL.
 */
int shoal_memory_open(shoal_arena *arena, const char *name, shoal_time timeout, void **out,
                      size_t *bytes);

/*
 * The name goes at once; the memory is used again. NULL is 0. Twice is a mistake: -ENOENT while
 * another one destroys it; later it stops the process.
 */
int shoal_memory_destroy(shoal_arena *arena, void *memory);

SHOAL_END_

#endif
