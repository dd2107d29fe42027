/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_CRYPTO_ALGAPI_H
#define SHIM_CRYPTO_ALGAPI_H

#include <linux/types.h>

/* 0: the same; in the same time whatever they are */
unsigned long crypto_memneq(const void *a, const void *b, size_t len);

#endif
