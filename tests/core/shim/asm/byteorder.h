/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_BYTEORDER_H
#define SHIM_ASM_BYTEORDER_H

#include <linux/types.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define shim_le(x, n)	(x)
#define shim_be(x, n)	__builtin_bswap##n(x)
#else
#define shim_le(x, n)	__builtin_bswap##n(x)
#define shim_be(x, n)	(x)
#endif

#define shim_byteorder(n)						\
static inline __le##n cpu_to_le##n(u##n x) { return shim_le(x, n); }	\
static inline u##n le##n##_to_cpu(__le##n x) { return shim_le(x, n); }	\
static inline __be##n cpu_to_be##n(u##n x) { return shim_be(x, n); }	\
static inline u##n be##n##_to_cpu(__be##n x) { return shim_be(x, n); }	\
static inline u##n le##n##_to_cpup(const __le##n *p)			\
{ return le##n##_to_cpu(*p); }						\
static inline void le##n##_add_cpu(__le##n *p, u##n v)			\
{ *p = cpu_to_le##n(le##n##_to_cpu(*p) + v); }

shim_byteorder(16)
shim_byteorder(32)
shim_byteorder(64)

/* For constants in initializers. */
#define __cpu_to_le16(x)	((__le16)shim_le(x, 16))
#define __cpu_to_le32(x)	((__le32)shim_le(x, 32))
#define __cpu_to_le64(x)	((__le64)shim_le(x, 64))

#endif
