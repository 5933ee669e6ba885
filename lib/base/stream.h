/*
 * What a fork does to the C library's streams.
 *
 * A child that begins pays some microseconds for each page that it is the first to touch, code and
 * data alike: a quarter of a start was that. So what the parent can find out is not asked there.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>

/* Whether no other thread exists that could hold a stream's lock; false when that is not known. */
bool stream_alone(void);

/*
 * Writes out what is buffered: of all streams, or of stdout and stderr only. A thread that sits in
 * a read of any stream holds its lock, and fflush(NULL) waits for it: all is for a thread that is
 * alone.
 */
void stream_flush(bool all);

/* Writes out what stdout and stderr hold back, if anything: else it takes a nanosecond or two. */
void stream_flush_written(void);

/*
 * In a child whose parent wrote nothing out: what is buffered of stdout and stderr is the parent's,
 * which has it still.
 */
void stream_drop(void);

/* In the parent: whether stdin was used, so that a child has to empty its buffer. */
bool stream_input_used(void);

/* In a fresh child: its standard input reads as empty, with nothing of the parent's in it. */
void stream_empty_input(bool used);

#endif
