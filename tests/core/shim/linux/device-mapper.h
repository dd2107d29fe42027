/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of the kernel's printf are more than the C library's: nothing is printed. */
#ifndef SHIM_LINUX_DEVICE_MAPPER_H
#define SHIM_LINUX_DEVICE_MAPPER_H

static inline void shim_dm_log(const char *fmt, ...)
{
	(void)fmt;
}

#define DMWARN		shim_dm_log
#define DMWARN_LIMIT	shim_dm_log

#endif
