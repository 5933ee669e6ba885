/*
 * A function as other processes can find it, wherever their modules are mapped: the build-id of the
 * program or shared library that it is in, and how far it is from the module's base. So static
 * functions work, and nobody registers them; the same build-id is the same code.
 *
 * A function that SHOAL_ENTRY names is found by that name instead, also in a program that is
 * another one.
 *
 * A reference is all bytes and no pointers: it may lie in shared memory. One that others may have
 * written over leads to -EPROTO, or to some other place in the code of this process, but never out
 * of it.
 */
#ifndef PROCESS_CODE_H
#define PROCESS_CODE_H

#include <stdint.h>

#define CODE_ID_BYTES 20
#define CODE_TEXT_BYTES 24

struct code_ref {
	uint64_t offset; /* from the module's base */
	uint64_t name;   /* an entry's name, hashed; 0: found by module and offset */
	uint8_t id[CODE_ID_BYTES]; /* the build-id's first bytes; zeros beyond its end */
	uint8_t main;    /* the module is the program itself */
	uint8_t pad[3];
	char text[CODE_TEXT_BYTES]; /* for sentences: the end of the module's or entry's name */
};
_Static_assert(sizeof(struct code_ref) == 64, "a reference is a line");

/*
 * 0. -EINVAL, with a sentence: no function, one that no module has, or a module without build-id.
 */
int code_refer(void (*fn)(void), struct code_ref *out);

/*
 * 0. -ENOENT: the module is not loaded here, or there is no entry of that name. -EPROTO: the module
 * of that name has another build-id, or the offset leads to no code. -EEXIST: two functions have
 * that name.
 */
int code_find(const struct code_ref *ref, void (**fn)(void));

#endif
