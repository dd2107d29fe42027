/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BITMAP_H
#define SHIM_LINUX_BITMAP_H

#include <linux/slab.h>
#include <linux/kernel.h>
#include_next <linux/bitmap.h>

static inline void bitmap_set(unsigned long *map, unsigned int start, int len)
{
	for (; len > 0; len--, start++)
		map[BIT_WORD(start)] |= BIT_MASK(start);
}

static inline void bitmap_copy(unsigned long *dst, const unsigned long *src,
			       unsigned int nbits)
{
	memcpy(dst, src, BITS_TO_LONGS(nbits) * sizeof(*dst));
}

#define bitmap_zalloc(nbits, gfp) ((unsigned long *)kcalloc(	\
	BITS_TO_LONGS(nbits), sizeof(unsigned long), gfp))
#define bitmap_alloc(nbits, gfp) ((unsigned long *)kmalloc_array(	\
	BITS_TO_LONGS(nbits), sizeof(unsigned long), gfp))
#define bitmap_free(map)	kfree(map)

#define for_each_set_bitrange(b, e, map, size)				\
	for ((b) = find_first_bit(map, size),				\
	     (e) = (b) < (size) ? find_next_zero_bit(map, size, b) : (size); \
	     (b) < (size);						\
	     (b) = find_next_bit(map, size, e),				\
	     (e) = (b) < (size) ? find_next_zero_bit(map, size, b) : (size))

#endif
