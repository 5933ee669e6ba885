/*
 * Numbers of descriptors. Where the program has closed a standard stream, the next descriptor gets
 * its number, and what the program prints goes there, or to a child as its stream.
 */
#ifndef BASE_DESCRIPTOR_H
#define BASE_DESCRIPTOR_H

#define DESCRIPTOR_FIRST 3

/*
 * The same above the streams, close-on-exec; `fd` is closed if it was another. Where no number is
 * left it stays as it is.
 */
int descriptor_above(int fd);

#endif
