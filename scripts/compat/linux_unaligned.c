/* 6.12: asm/unaligned.h became linux/unaligned.h */
#include <linux/unaligned.h>

u32 probe(const void *p)
{
	return get_unaligned_le32(p);
}
