/* SPDX-License-Identifier: GPL-2.0-only */
/* hmac(sha256) of OpenSSL, by the kernel's names; shim_crypto.c */
#ifndef SHIM_CRYPTO_HASH_H
#define SHIM_CRYPTO_HASH_H

#include <linux/types.h>

struct crypto_shash;

struct shash_desc {
	struct crypto_shash *tfm;
	void *ctx;
};

#define SHASH_DESC_ON_STACK(desc, unused)				\
	struct shash_desc desc##_on_stack = { NULL, NULL };		\
	struct shash_desc *desc = &desc##_on_stack

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask);
void crypto_free_shash(struct crypto_shash *tfm);
int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key,
			unsigned int len);
int crypto_shash_init(struct shash_desc *desc);
int crypto_shash_update(struct shash_desc *desc, const u8 *data,
			unsigned int len);
int crypto_shash_final(struct shash_desc *desc, u8 *out);
int crypto_shash_finup(struct shash_desc *desc, const u8 *data,
		       unsigned int len, u8 *out);
int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data,
			    unsigned int len, u8 *out);
void shash_desc_zero(struct shash_desc *desc);

#endif
