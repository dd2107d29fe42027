/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MATH64_H
#define SHIM_LINUX_MATH64_H

#include <linux/types.h>
#include <asm/div64.h>

/*
 * Where a long has 32 bits the kernel has no __udivdi3, so there an object that
 * divides without one of these functions must show by asking for it.
 */
#if __SIZEOF_LONG__ == 8
static inline u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
	*rem = n % d;
	return n / d;
}

static inline u64 div64_u64_rem(u64 n, u64 d, u64 *rem)
{
	*rem = n % d;
	return n / d;
}

static inline u64 div_u64(u64 n, u32 d)
{
	return n / d;
}

static inline u64 div64_u64(u64 n, u64 d)
{
	return n / d;
}

static inline s64 div_s64(s64 n, s32 d)
{
	return n / d;
}
#else
u64 div_u64_rem(u64 n, u32 d, u32 *rem);
u64 div64_u64_rem(u64 n, u64 d, u64 *rem);
u64 div_u64(u64 n, u32 d);
u64 div64_u64(u64 n, u64 d);
s64 div_s64(s64 n, s32 d);
#endif

#ifdef __SIZEOF_INT128__
static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c)
{
	return (unsigned __int128)a * b / c;
}

static inline u64 mul_u64_u64_shr(u64 a, u64 b, unsigned int shift)
{
	return (unsigned __int128)a * b >> shift;
}
#else
u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c);
u64 mul_u64_u64_shr(u64 a, u64 b, unsigned int shift);
#endif

#endif
