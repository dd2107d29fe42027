/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that look random and are the same in each run. */
#ifndef SHIM_LINUX_RANDOM_H
#define SHIM_LINUX_RANDOM_H

#include <linux/types.h>
#include <asm/byteorder.h>

extern u64 shim_random_state;

void get_random_bytes(void *to, size_t len);

static inline u32 get_random_u32(void)
{
	__le32 v;

	get_random_bytes(&v, sizeof(v));
	return le32_to_cpu(v);
}

#endif
