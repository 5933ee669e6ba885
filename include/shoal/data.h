/*
 * Data that processes share: typed cells and arrays; lists, dicts and namespaces of dynamic values.
 *
 *	shoal_value *hits;
 *	int rc = shoal_value_create(arena, "hits", SHOAL_I64, SHOAL_ANY(0), &hits);
 *	...
 *	shoal_value_add_int(hits, 1);              // from any process: no update is ever lost
 *
 *	shoal_array *grid;
 *	rc = shoal_array_create(arena, "grid", SHOAL_F64, 1000, &grid);
 *	double *cell = shoal_array_data(grid);     // the memory itself
 *
 * NAMES, OPENING, DESTROYING are as for every object of an arena (shoal/arena.h): create gives
 * -EEXIST where the name is taken (NULL: no name), and what a creator that died left half-made
 * counts as absent; open waits for the creator up to the timeout (-ENOENT, -EPROTO: another kind of
 * object, -ECANCELED). Pointers are valid in this process and its forked children; a reference
 * (shoal_ref_of) reaches the others.
 *
 * LIFETIME. An object lives while its maker has not destroyed it, and while a container or a
 * message holds it, or an any that a call filled. When its maker destroys it the name goes at once.
 * Nothing may use a pointer to it afterwards but through one of those.
 *
 * ERRORS. 0 or a negative errno, with a sentence in shoal_error(); calls that fail leave everything
 * as it was, and *out NULL or nil. -EPERM: a call that writes, on a read-only handle.
 *
 * DEATHS. A process that dies inside a call has done all of it or nothing, but where it says so.
 *
 * LIFETIME. A container lives until its maker's side has called its destroy, and after that as
 * long as another container or a queued message refers to it, or a call has returned it to
 * somebody who has not cleared that any yet. Cycles are not collected: take one reference out of a
 * cycle. A thread can hold 16384 objects that calls returned (-ENOMEM): calls on all items of a
 * container with more objects in it fail so, snapshots and printing with more than half as many.
 *
 * READERS take no lock, wait for nobody and leave no trace: obstruction-free; after some tries in
 * vain (writers all the time) they take the writers' lock, and where they do not get it within 5 ms
 * try again without it.
 *
 * DEATH. A process may be killed at any instruction of any call: what the call was to do has
 * happened or it has not, the container is whole, no block is lost, and the next writer goes on at
 * once.
 *
 * STOPPED. A process that is stopped inside a call that changes a container holds up other changes
 * of that list, or of that part of a dict; nobody who reads: what it was to do has happened for
 * them or it has not, also where it was killed there and nobody has mended it yet.
 *
 * OVERWRITTEN. Where another program wrote over a container's memory, calls give -EPROTO, and none
 * writes outside of the container because of it. Destroying it gives back all blocks that still say
 * that they are its, and lets go what they refer to.
 *
 * The designs: readers copy and validate as in MemC3 (Fan, Andersen, Kaminsky, NSDI 2013), writers
 * publish by one store and write down what they do (recovery as in CXL-SHM, Zhang et al., SOSP
 * 2023).
 */
#ifndef SHOAL_DATA_H
#define SHOAL_DATA_H
#include <shoal/any.h>
#include <shoal/sync.h>
SHOAL_BEGIN_

/* ---- cells ---- */

/* A bool is 1 byte, 0 or 1. */
typedef enum {
	SHOAL_I8 = 1,
	SHOAL_U8,
	SHOAL_I16,
	SHOAL_U16,
	SHOAL_I32,
	SHOAL_U32,
	SHOAL_I64,
	SHOAL_U64,
	SHOAL_F32,
	SHOAL_F64,
	SHOAL_BOOL
} shoal_type;

/* ---- value: one cell ---- */

/*
 * `first`: an int, a bool or a double that the cell takes, or nil for 0.
 *   -EINVAL     no such type, or `first` is of another kind
 *   -EOVERFLOW  `first` is wide of the type
 *   -EEXIST, -ENOMEM, -ENOSPC, -EUSERS
 */
int shoal_value_create(shoal_arena *arena, const char *name, shoal_type type, shoal_any first,
                       shoal_value **out);
int shoal_value_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_value **out);
/* From a reference. -ENOENT: it was destroyed; -EPROTO: another kind. */
int shoal_value_at(shoal_arena *arena, shoal_ref ref, shoal_value **out);
/*
 * NULL is 0. Who waits for its lock gets -EPIPE, once nothing refers to the value either. While
 * somebody holds the lock the value stays what it is; its memory goes with the first object that is
 * made or destroyed after the release.
 */
int shoal_value_destroy(shoal_arena *arena, shoal_value *value);
shoal_type shoal_value_type(const shoal_value *value);

/*
 * Each is one atomic step, without waiting, that all processes see in one order; what was written
 * before a set, add or exchange is seen by whoever reads its result. Since they have no way to
 * fail, what the cell cannot hold stops the process with a sentence, in every build: a number wide
 * of its type (SHOAL_U64: above INT64_MAX; SHOAL_BOOL: other than 0 and 1), the int calls but set
 * on a floating cell, the double calls but get on another one, a value that was destroyed. Floating
 * cells take infinities and NaN, and round (SHOAL_F32). On a read-only handle only get and type may
 * be called.
 */
int64_t shoal_value_get_int(const shoal_value *value);
void shoal_value_set_int(shoal_value *value, int64_t to);
/* The new value. */
int64_t shoal_value_add_int(shoal_value *value, int64_t delta);
/* The old value. */
int64_t shoal_value_exchange_int(shoal_value *value, int64_t to);
/* Where it is not *expected, false, and *expected is what it is. */
bool shoal_value_compare_exchange_int(shoal_value *value, int64_t *expected, int64_t desired);
double shoal_value_get_double(const shoal_value *value);
void shoal_value_set_double(shoal_value *value, double to);
double shoal_value_add_double(shoal_value *value, double delta);

/*
 * The value's own lock, for what is more than one step. The calls above do not take it: they are
 * as atomic with it as without. NULL on a read-only handle, with -EPERM in words: to take a lock is
 * to write.
 */
shoal_rlock *shoal_value_lock(shoal_value *value);

/* ---- array: cells side by side ---- */

/*
 * `count` cells, 0 at first; it never changes. -EINVAL: no such type; -ENOMEM: more than the
 * arena's limit.
 */
int shoal_array_create(shoal_arena *arena, const char *name, shoal_type type, size_t count,
                       shoal_array **out);
int shoal_array_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_array **out);
int shoal_array_at(shoal_arena *arena, shoal_ref ref, shoal_array **out);
/* As shoal_value_destroy. */
int shoal_array_destroy(shoal_arena *arena, shoal_array *array);

/*
 * The cells themselves, as a C array of the type, aligned to 128 bytes. How to keep processes from
 * writing at once is the user's affair: shoal_array_lock, atomics, or a part for each.
 */
void *shoal_array_data(shoal_array *array);
size_t shoal_array_count(const shoal_array *array);
shoal_type shoal_array_type(const shoal_array *array);

/*
 * Index from 0, negative from the end; -ENOENT outside. Get gives an int, a bool or a double;
 * -EOVERFLOW for a SHOAL_U64 above INT64_MAX, which may be there by shoal_array_data. Set
 * takes an int or a bool, for a floating cell a double too (-EINVAL for others), that the cell can
 * hold (-EOVERFLOW). One cell is read, or written, in one step.
 */
int shoal_array_get(const shoal_array *array, ptrdiff_t index, shoal_any *out);
int shoal_array_set(shoal_array *array, ptrdiff_t index, shoal_any value);

/*
 * `count` cells from `first` on, to or from memory of the type. Each cell is whole; all of them are
 * of one moment only where a lock sees to it, and a death in a write leaves part of it. -ENOENT:
 * they are not all within the array; nothing is done.
 */
int shoal_array_read(const shoal_array *array, size_t first, size_t count, void *out);
int shoal_array_write(shoal_array *array, size_t first, size_t count, const void *in);

/* NULL on a read-only handle, with -EPERM in words. */
shoal_rlock *shoal_array_lock(shoal_array *array);

/* ---- containers ---- */

/* flags: SHOAL_OR_OPEN, SHOAL_WITH_OWNER. reserve: items to make room for now, as a hint. */
typedef struct {
	unsigned flags;
	uint32_t reserve;
	uint64_t reserved_[4];
} shoal_container_options;

/* ---- lists ---- */

/*
 * Python's list: the same meaning and complexity, or better. Indices count from 0, negative ones
 * from the end; outside is -ENOENT, but insert and slice take what is outside for the end, as
 * Python does.
 * get, size and index arithmetic are O(log n) at most; append and pop at the end O(1) amortized;
 * insert and remove O(log n); the calls on all items O(n), sort O(n log n).
 *
 * Values are copied in and out; an out-parameter owns its memory (shoal_any_clear). Failures of all
 * calls: -EINVAL (a value that cannot be kept, see any.h), -EPROTO (shared memory was overwritten),
 * -ENOMEM, -ENOSPC, -EDEADLK (in a signal handler that interrupted another call, or called by an
 * order of shoal_list_sort), and those of joining the arena (arena.h). What is no list, NULL, or
 * was destroyed stops the process, but where nothing could keep it (READ-ONLY).
 *
 * IN A FULL ARENA what takes items out may need memory first: pop, remove and remove_at build a few
 * nodes now and then, clear, reverse and sort a new list: -ENOMEM then, and nothing has changed.
 *
 * A queue or pipe that was destroyed is gone, whatever refers to it. Get and pop of an item that it
 * is, or is in, give -ENOENT, and a sentence that says so; remove_at, and pop to NULL, take the
 * item out. The calls on all items have nil in its stead.
 *
 * A READ-ONLY handle (shoal_arena_attach_readonly) reads too, but for values with objects in them,
 * and gives -EPERM where writers are too quick; it does not keep the list from being destroyed:
 * then its calls give -ENOENT. Readers for whom no member's record is to be had (-EUSERS,
 * members_max) read like that, and give -EUSERS where writers are too quick.
 */
/* Less than 0, 0, more than 0. It may be called on any two items, in any order. */
typedef int shoal_any_order(const shoal_any *, const shoal_any *, void *arg);

/* name NULL: none. 0, -EEXIST (without SHOAL_OR_OPEN), -EPROTO: another kind has the name. */
int shoal_list_create(shoal_arena *, const char *name, const shoal_container_options *,
                      shoal_list **out);
/* Waits for its creator up to the timeout: -ENOENT when there is none by then. */
int shoal_list_open(shoal_arena *, const char *name, shoal_time timeout, shoal_list **out);
/* Its name goes at once, the list when nothing refers to it any more. NULL is 0. */
int shoal_list_destroy(shoal_arena *, shoal_list *);
/* From a reference (shoal_ref_of): -ENOENT gone, -EPROTO another kind. */
int shoal_list_at(shoal_arena *, shoal_ref, shoal_list **out);
/* All items as they were at one moment. */
int shoal_list_snapshot(shoal_list *, shoal_any *out);
int shoal_list_append(shoal_list *, shoal_any);
int shoal_list_insert(shoal_list *, ptrdiff_t index, shoal_any);
/*
 * By the items of a list; all of them or none. A list of an arena gives those that it had at one
 * moment of the call, be it this list itself. Writers wait while the items are copied.
 */
int shoal_list_extend(shoal_list *, shoal_any list);
/* The item goes out and to *out, which may be NULL. -ENOENT. */
int shoal_list_pop(shoal_list *, ptrdiff_t index, shoal_any *out);
int shoal_list_get(shoal_list *, ptrdiff_t index, shoal_any *out);
int shoal_list_set(shoal_list *, ptrdiff_t index, shoal_any);
int shoal_list_remove_at(shoal_list *, ptrdiff_t index);
/* The first item that is equal (shoal_any_equal). -ENOENT. */
int shoal_list_remove(shoal_list *, shoal_any);
/* Its index, or -ENOENT; how many there are. */
ssize_t shoal_list_index(shoal_list *, shoal_any);
ssize_t shoal_list_count(shoal_list *, shoal_any);
/* list[first:end], as they were at one moment. */
int shoal_list_slice(shoal_list *, ptrdiff_t first, ptrdiff_t end, shoal_any *out);
/*
 * Stable. order NULL: by value, numbers with numbers, strings with strings, bytes with bytes, lists
 * with lists item by item; -EINVAL for others, and nothing has changed. Where others keep changing
 * the list, its writers are kept out in the end while the order is called: calls on containers from
 * it give -EDEADLK then. The list may not be destroyed meanwhile.
 */
int shoal_list_sort(shoal_list *, shoal_any_order *, void *arg);
int shoal_list_reverse(shoal_list *);
int shoal_list_clear(shoal_list *);
/* 0 where the list was overwritten, or is gone from a read-only handle. */
size_t shoal_list_size(const shoal_list *);
/*
 * An int, or a bool, becomes that much more: *sum, which may be NULL. -EINVAL, -EOVERFLOW, -ENOENT.
 */
int shoal_list_add_int(shoal_list *, ptrdiff_t index, int64_t delta, int64_t *sum);
/* As JSON, as it was at one moment. */
int shoal_list_print(shoal_list *, FILE *);

/* ---- dicts ---- */

/*
 * Python's dict, of any number of processes. Keys are ints, bools, strings and bytes; two keys are
 * the same where kind and value are: 1, true and "1" are three keys. Values are any values
 * (any.h): copied in and out, an out-parameter owns its memory (shoal_any_clear).
 *
 *	shoal_dict *d;
 *	shoal_dict_create(arena, "stock", NULL, &d);
 *	shoal_dict_set(d, SHOAL_ANY("bolts"), SHOAL_ANY(144));
 *	shoal_dict_add_int(d, SHOAL_ANY("bolts"), -12, NULL);           in another process
 *
 * ATOMIC. Each call is: whoever looks sees all of it or nothing. All calls on one key have one
 * order; so have all calls on the dict but next, which looks at one bucket after the other, and
 * update, which is a write for each pair.
 *
 * READERS (get, get_bytes, has, next, size, snapshot, print) take no lock, write nothing that
 * others read, and never wait, unless writers changed what they read a hundred times over: then
 * they take the lock of a writer. snapshot and print, which read all items, give up after three
 * walks' worth of tries, if these are fewer; then they take all the locks that are to be had, and
 * keep writers out while they look at what has changed since: not for another walk.
 *
 * WRITERS of keys of different stripes (an eighth of the hashes each) do not meet. A member
 * STOPPED inside a write holds up other writes of its stripe, popitem and clear, and nobody else: a
 * popitem or clear that finds one stripe taken lets the others go within 50 ms, mostly 0.02, and
 * waits for it without them. Stopped inside clear or popitem, all writes.
 *
 * Growth is a bounded step of each insertion: no call moves the whole table, and an arena that was
 * cut into small blocks will do. Without any memory to grow, or while a member stands still that
 * was about to, buckets become long, and calls on their keys slow; one of 24576 items takes no more
 * (-ENOMEM). The dict never shrinks but by clear.
 *
 * A READ-ONLY handle (shoal_arena_attach_readonly) reads too, but for values with objects in them,
 * and gives -EPERM where writers are too quick; it does not keep the dict from being destroyed:
 * then its calls give -ENOENT (has false, size 0). Readers for whom no member's record is to be had
 * (-EUSERS, members_max) read like that, and give -EUSERS where writers are too quick.
 *
 * WHEN A PROCESS IS KILLED inside a write, that write has happened or not; the next writer of the
 * stripe, or whoever recovers the dead one, finishes or undoes it, and nothing leaks.
 *
 * RESULTS of all calls: -ENOENT no such key; -EINVAL a key or value that cannot be kept; -ENOMEM
 * and -ENOSPC no memory, and nothing has changed; -EPROTO the dict's memory was overwritten;
 * -EDEADLK in a signal handler that interrupted another call, or called by an order of
 * shoal_list_sort; -EPERM the arena is attached read-only. What is no dict, NULL, or was destroyed
 * stops the process, but where nothing could keep it (READ-ONLY). Where a value has a queue or pipe
 * in it that was destroyed, get, pop, setdefault and compare_exchange give -ENOENT, and a sentence
 * that says so, though the key is there; pop to NULL takes it out; popitem, next, snapshot and
 * print have nil in its stead.
 *
 * The design: split-ordered levels (Shalev and Shavit, JACM 2006) of one-line buckets, read under
 * versions; lib/data/dict.h.
 */

/*
 * flags: SHOAL_OR_OPEN, SHOAL_WITH_OWNER. `reserve`: room for so many items now, a hint: it ends
 * where memory does, at as many as the arena's limit may hold, and where the dict is there already.
 * 0; -EEXIST, -EINVAL, -ENOMEM, -ENOSPC, -EPROTO (the name is of another kind).
 */
int shoal_dict_create(shoal_arena *, const char *name, const shoal_container_options *,
                      shoal_dict **out);
/* Waits for its creator up to the timeout: -ENOENT. */
int shoal_dict_open(shoal_arena *, const char *name, shoal_time timeout, shoal_dict **out);
/* The name goes at once; the dict, when nothing refers to it and nobody is inside. NULL is 0. */
int shoal_dict_destroy(shoal_arena *, shoal_dict *);
/* From a reference: -ENOENT it is gone, -EPROTO it names another kind. */
int shoal_dict_at(shoal_arena *, shoal_ref, shoal_dict **out);

int shoal_dict_set(shoal_dict *, shoal_any key, shoal_any value);
int shoal_dict_get(shoal_dict *, shoal_any key, shoal_any *value);
/* Takes the item out. `value` may be NULL. */
int shoal_dict_pop(shoal_dict *, shoal_any key, shoal_any *value);
/*
 * Takes out the item whose key was inserted last, as Python does; of two that were inserted at one
 * time either may count as the later one, whichever call returned first, and to give a key another
 * value moves it not. Either may be NULL. -ENOENT: the dict is empty. The first call, and one of
 * some thousands in a row, looks at every item.
 */
int shoal_dict_popitem(shoal_dict *, shoal_any *key, shoal_any *value);
bool shoal_dict_has(shoal_dict *, shoal_any key);
/* Exact when nothing moved while it was counted. */
size_t shoal_dict_size(const shoal_dict *);
/*
 * In one step; takes as long as giving all items back takes, and writers wait so long. It needs
 * memory for an empty table: where there is none (-ENOMEM, -ENOSPC), shoal_dict_pop and
 * shoal_dict_popitem still take out one item after the other.
 */
int shoal_dict_clear(shoal_dict *);
/* What the key has, or `value`, which it has from now on. `out` may be NULL. */
int shoal_dict_setdefault(shoal_dict *, shoal_any key, shoal_any value, shoal_any *out);
/*
 * Each pair is a write of its own; a map with a pair that cannot be kept changes nothing. Where
 * memory ends in between (-ENOMEM, -ENOSPC), the pairs before are written.
 */
int shoal_dict_update(shoal_dict *, shoal_any map);
/*
 * If the key's value equals *expected (NULL: if there is none), it becomes *desired (NULL: the item
 * goes). -ECANCELED: it was another one.
 */
int shoal_dict_compare_exchange(shoal_dict *, shoal_any key, const shoal_any *expected,
                                const shoal_any *desired);
/*
 * The key's int becomes that much more; a missing one counts as 0. `sum`, the new value, may be
 * NULL. -EINVAL: it is no int. -EOVERFLOW.
 */
int shoal_dict_add_int(shoal_dict *, shoal_any key, int64_t delta, int64_t *sum);

/*
 * The same items, without anys: key and value are bytes. The quickest way. -EMSGSIZE: one of more
 * than 2^32 - 65 bytes; -EINVAL: NULL with a length.
 */
int shoal_dict_set_bytes(shoal_dict *, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes);
/*
 * The value's length. -EMSGSIZE: the buffer is too small (shoal_needed). -EPROTO: it is neither
 * bytes nor a string. The buffer may have been written to in any case.
 */
ssize_t shoal_dict_get_bytes(shoal_dict *, const void *key, size_t key_bytes, void *buffer,
                             size_t buffer_bytes);
int shoal_dict_pop_bytes(shoal_dict *, const void *key, size_t key_bytes);

/* All zero is a cursor before the first item. It is one thread's. */
typedef struct {
	uint64_t position;
	void *internal_[3];
} shoal_cursor;
/*
 * 1 and the next item, valid until the next call with this cursor; 0: that was all, and the cursor
 * is at the start again. An item whose key is there from the first call to the last is seen
 * exactly once; one that comes or goes meanwhile at most once for each time that it was inserted.
 * In no order. A call looks for the next item in bucket after bucket: where the dict had millions
 * of items, and has few, it may pass all those that are empty.
 */
int shoal_dict_next(shoal_dict *, shoal_cursor *, const shoal_any **key, const shoal_any **value);
/* For a cursor that is left before the end. Twice is fine. */
void shoal_cursor_clear(shoal_cursor *);
/* A map of all items as they were at one moment, in the order of their insertion. */
int shoal_dict_snapshot(shoal_dict *, shoal_any *out);
/* Another number after every write. */
uint64_t shoal_dict_version(const shoal_dict *);

/* A snapshot as JSON. */
int shoal_dict_print(shoal_dict *, FILE *);

/* ---- namespaces ---- */

/* Attributes of any value under names, as Python's Namespace: a dict with strings for keys. */
int shoal_namespace_create(shoal_arena *, const char *name, const shoal_container_options *,
                           shoal_namespace **out);
int shoal_namespace_open(shoal_arena *, const char *name, shoal_time timeout,
                         shoal_namespace **out);
int shoal_namespace_destroy(shoal_arena *, shoal_namespace *);
int shoal_namespace_set(shoal_namespace *, const char *attribute, shoal_any);
/* -ENOENT: there is no such attribute; so del. */
int shoal_namespace_get(shoal_namespace *, const char *attribute, shoal_any *);
int shoal_namespace_del(shoal_namespace *, const char *attribute);
int shoal_namespace_print(shoal_namespace *, FILE *);

SHOAL_END_

#endif
