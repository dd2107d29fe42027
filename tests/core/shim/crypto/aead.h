/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gcm(aes) of OpenSSL, by the kernel's names, for associated data alone: all that
 * auth.c wants of it. See shim_crypto.c.
 */
#ifndef SHIM_CRYPTO_AEAD_H
#define SHIM_CRYPTO_AEAD_H

#include <linux/types.h>
#include <linux/scatterlist.h>

#define CRYPTO_ALG_ASYNC		0x80
#define CRYPTO_TFM_REQ_MAY_SLEEP	0x200

struct crypto_aead;

struct aead_request {
	struct crypto_aead *tfm;
	struct scatterlist *src, *dst;
	unsigned int cryptlen, assoclen;
	const u8 *iv;
};

/*
 * If set, no nonce may be used twice to seal under one key, nor a key that another
 * tfm has sealed with.
 */
extern bool shim_aead_strict;
/* Forget what keys were used. */
void shim_aead_reset(void);

struct crypto_aead *crypto_alloc_aead(const char *name, u32 type, u32 mask);
void crypto_free_aead(struct crypto_aead *tfm);
int crypto_aead_setauthsize(struct crypto_aead *tfm, unsigned int size);
int crypto_aead_setkey(struct crypto_aead *tfm, const u8 *key,
		       unsigned int len);
struct aead_request *aead_request_alloc(struct crypto_aead *tfm, gfp_t gfp);
void aead_request_free(struct aead_request *req);
int crypto_aead_encrypt(struct aead_request *req);
int crypto_aead_decrypt(struct aead_request *req);

static inline void aead_request_set_callback(struct aead_request *req,
					     u32 flags, void *done, void *data)
{
	(void)req, (void)flags, (void)done, (void)data;
}

static inline void aead_request_set_ad(struct aead_request *req,
				       unsigned int len)
{
	req->assoclen = len;
}

static inline void aead_request_set_crypt(struct aead_request *req,
					  struct scatterlist *src,
					  struct scatterlist *dst,
					  unsigned int len, const u8 *iv)
{
	req->src = src;
	req->dst = dst;
	req->cryptlen = len;
	req->iv = iv;
}

#endif
