/*
 * The file behind a mapping: every system call that makes, opens, checks, grows or maps one.
 *
 * A file has its full length from the start and is sparse; memory is put behind a part with
 * shmfile_back before anybody touches it. Without that, a full file system would show as SIGBUS at
 * some later store.
 *
 * All give 0, a descriptor, or -errno with a sentence. Descriptors are close-on-exec.
 */
#ifndef BASE_SHMFILE_H
#define BASE_SHMFILE_H

#include "base/place.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct shmfile {
	uint64_t device, inode; /* the file's identity on this machine */
	uint64_t bytes;
	unsigned mode, links;
	uid_t owner;
	bool fixed;    /* sealed: nobody can make it shorter */
	bool readonly; /* of the descriptor */
};

/*
 * An unnamed file of `bytes` that ends with its last user, sealed against any change of its length.
 */
int shmfile_private(uint64_t bytes, unsigned mode);

/* One in the place's directory that has no name until shmfile_publish. */
int shmfile_unnamed(const struct place *p, uint64_t bytes, unsigned mode);

/*
 * Gives the file its name in one step: it was whole before anybody can open it. -EEXIST when the
 * name is taken.
 */
int shmfile_publish(int fd, const struct place *p);
/* -EEXIST, and what to do about it. */
int shmfile_taken(const struct place *p);

/*
 * No symbolic link, device or pipe is opened; -ENOENT when there is none; -EPERM for another user's
 * in one's own place.
 */
int shmfile_open(const struct place *p, bool readonly);

/* Another descriptor of the same file. */
int shmfile_copy(int fd);

int shmfile_look(int fd, const char *what, struct shmfile *out);

/* Both descriptors are of one file. */
bool shmfile_same(int fd, const struct shmfile *f);

/* Up to `bytes` from the start: how many there are. */
ssize_t shmfile_read(int fd, void *out, size_t bytes);

/*
 * How much memory is behind it, wherever in it; UINT64_MAX where its file system has another way of
 * counting than tmpfs has.
 */
uint64_t shmfile_backed(int fd);

/* 0, or -ENOSPC, … without a sentence. Idempotent; goes on after signals. */
int shmfile_back(int fd, uint64_t from, uint64_t bytes);

enum { SHMFILE_READONLY = 1, SHMFILE_HUGE = 2 };

/*
 * NULL with errno's value in *rc. The mapping stays out of core dumps: writing one would read, and
 * so fill, the whole sparse range.
 */
void *shmfile_map(int fd, uint64_t bytes, unsigned flags, int *rc);
void shmfile_unmap(void *base, uint64_t bytes);
/*
 * That part of a mapping, in whole pages, becomes this process's own copy: nobody else sees what is
 * written there from now on, a forked child has its own again. 0 or -errno; then nothing changed.
 */
int shmfile_own(void *base, uint64_t from, uint64_t bytes, int fd);

/* The path under which the file was opened or linked; empty when /proc does not tell. */
void shmfile_path(int fd, char *out, size_t bytes);

/*
 * The right to take the name away: a descriptor that holds the lock of the file, which is the same
 * as fd's and still has the name; closing it, or death, gives the right back. -ENOENT: the name is
 * gone, or another file's. -EBUSY: another one holds it for longer than such a decision takes (it
 * was stopped).
 */
int shmfile_lock(const struct place *p, int fd);
/* Under shmfile_lock. 0 or -errno. */
int shmfile_unlink_locked(const struct place *p);

/*
 * Removes the name: 0 or -errno. Outside this user's own directory a file that does not begin with
 * `magic` stays: -EPROTO.
 */
int shmfile_unlink(const struct place *p, uint64_t magic);

void shmfile_close(int fd);

/* Random bytes for an identity that nobody has to keep secret. */
uint64_t shmfile_random(void);

#endif
