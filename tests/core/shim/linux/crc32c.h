/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_CRC32C_H
#define SHIM_LINUX_CRC32C_H

#include <linux/types.h>

/* Castagnoli, reflected; neither seed nor result inverted, as the kernel's. */
u32 crc32c(u32 crc, const void *p, unsigned int length);

#endif
