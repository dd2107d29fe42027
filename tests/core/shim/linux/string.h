/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>
#include <strings.h>
#include <linux/types.h>

ssize_t strscpy_shim(char *dst, const char *src, size_t size);
ssize_t strscpy_pad_shim(char *dst, const char *src, size_t size);
void *memchr_inv(const void *p, int c, size_t n);

/* The size may be left out for an array. */
#define shim_size(a, b, size, ...) size
#define strscpy(dst, src, ...) \
	strscpy_shim(dst, src, shim_size(0, 0, ##__VA_ARGS__, sizeof(dst)))
#define strscpy_pad(dst, src, ...) \
	strscpy_pad_shim(dst, src, shim_size(0, 0, ##__VA_ARGS__, sizeof(dst)))

static inline bool mem_is_zero(const void *p, size_t n)
{
	return !memchr_inv(p, 0, n);
}

static inline void memzero_explicit(void *p, size_t n)
{
	memset(p, 0, n);
}

#endif
