/*
 * A look at all eight words of a line that others may be writing: which of them have a tag in their
 * highest sixteen bits. It is a hint: who goes on with a word reads it again.
 */
#ifndef BASE_RACY_LINE_H
#define BASE_RACY_LINE_H

#include "base/atomic.h"

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#include <emmintrin.h>
#define RACY_LINE_BITS 2 /* of the result, for each word */

/* Of 32 parts of 16 bits those that are the tag become bytes; of two the higher's sign stays. */
static ALWAYS_INLINE unsigned
racy_line_tags(const void *line, uint16_t tag)
{
	const __m128i *from = line, its = _mm_set1_epi16((short)tag);
	__m128i first = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(from), its),
	                                _mm_cmpeq_epi16(_mm_load_si128(from + 1), its));
	__m128i second = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(from + 2), its),
	                                 _mm_cmpeq_epi16(_mm_load_si128(from + 3), its));
	unsigned tags = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(first, second)) & 0xaaaa;
	fence_compiler();
	return tags;
}
#else
#define RACY_LINE_BITS 1

static ALWAYS_INLINE unsigned
racy_line_tags(const void *line, uint16_t tag)
{
	const word64 *word = line;
	unsigned tags = 0;
#pragma GCC unroll 8
	for (unsigned i = 0; i < LINE / 8; i++)
		tags |= (unsigned)(load_relaxed(&word[i]) >> 48 == tag) << i;
	return tags;
}
#endif

/* The lowest bit that is a word's. */
static ALWAYS_INLINE unsigned
racy_line_tag(unsigned word)
{
	return 1u << word * RACY_LINE_BITS;
}

/* The first word with the tag, of those that have it. */
static ALWAYS_INLINE unsigned
racy_line_first(unsigned tags)
{
	return (unsigned)__builtin_ctz(tags) / RACY_LINE_BITS;
}

#endif
