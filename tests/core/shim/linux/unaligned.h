/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_UNALIGNED_H
#define SHIM_LINUX_UNALIGNED_H

#include <string.h>
#include <asm/byteorder.h>

#define get_unaligned(p) ({						\
	typeof(*(p)) shim_v;						\
	memcpy(&shim_v, p, sizeof(shim_v));				\
	shim_v; })
#define put_unaligned(v, p) do {					\
	typeof(*(p)) shim_v = (v);					\
	memcpy(p, &shim_v, sizeof(shim_v));				\
} while (0)

#define shim_unaligned(n)						\
static inline u##n get_unaligned_le##n(const void *p)			\
{									\
	__le##n v;							\
	memcpy(&v, p, sizeof(v));					\
	return le##n##_to_cpu(v);					\
}									\
static inline void put_unaligned_le##n(u##n x, void *p)			\
{									\
	__le##n v = cpu_to_le##n(x);					\
	memcpy(p, &v, sizeof(v));					\
}

shim_unaligned(16)
shim_unaligned(32)
shim_unaligned(64)

#endif
