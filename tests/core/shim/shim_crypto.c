// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's crypto API on OpenSSL, as far as auth.c goes. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <crypto/aead.h>
#include <crypto/algapi.h>
#include <crypto/hash.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/slab.h>

#define SHA256_LEN	32
#define KEY_LEN		32
#define TAG_LEN		16
#define IV_LEN		12
#define HMAC_KEY_MAX	256

unsigned long crypto_memneq(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len);
}

/* ---- hmac(sha256) ---- */

struct crypto_shash {
	bool keyed;
	unsigned int len;
	u8 key[HMAC_KEY_MAX];
};

struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask)
{
	struct crypto_shash *tfm;

	BUG_ON(strcmp(name, "hmac(sha256)") || type || mask);
	tfm = kzalloc(sizeof(*tfm), GFP_KERNEL);
	return tfm ? tfm : ERR_PTR(-ENOMEM);
}

void crypto_free_shash(struct crypto_shash *tfm)
{
	kfree(tfm);
}

int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key,
			unsigned int len)
{
	BUG_ON(len > sizeof(tfm->key));
	memcpy(tfm->key, key, len);
	tfm->len = len;
	tfm->keyed = true;
	return 0;
}

int crypto_shash_init(struct shash_desc *desc)
{
	if (!desc->tfm->keyed)
		return -ENOKEY;
	if (!desc->ctx)
		desc->ctx = HMAC_CTX_new();
	BUG_ON(!desc->ctx || !HMAC_Init_ex(desc->ctx, desc->tfm->key,
					   desc->tfm->len, EVP_sha256(), NULL));
	return 0;
}

int crypto_shash_update(struct shash_desc *desc, const u8 *data,
			unsigned int len)
{
	BUG_ON(!HMAC_Update(desc->ctx, data, len));
	return 0;
}

int crypto_shash_final(struct shash_desc *desc, u8 *out)
{
	BUG_ON(!HMAC_Final(desc->ctx, out, NULL));
	return 0;
}

int crypto_shash_finup(struct shash_desc *desc, const u8 *data,
		       unsigned int len, u8 *out)
{
	return crypto_shash_update(desc, data, len) ?:
		crypto_shash_final(desc, out);
}

void shash_desc_zero(struct shash_desc *desc)
{
	HMAC_CTX_free(desc->ctx);
	desc->ctx = NULL;
}

int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data,
			    unsigned int len, u8 *out)
{
	struct shash_desc desc = { tfm, NULL };
	int r = crypto_shash_init(&desc);

	if (!r)
		r = crypto_shash_finup(&desc, data, len, out);
	shash_desc_zero(&desc);
	return r;
}

/* ---- gcm(aes) ---- */

struct crypto_aead {
	EVP_CIPHER_CTX *ctx;
	bool keyed, sealed;
	unsigned int authsize;
	u8 key[KEY_LEN];
	u64 last;		/* the greatest nonce that sealed */
};

/* Keys that sealed, at most one for each direction of a connection. */
#define USED_MAX	4096

bool shim_aead_strict;
static u8 used[USED_MAX][KEY_LEN];
static unsigned int nr_used;

void shim_aead_reset(void)
{
	nr_used = 0;
}

static void mark_used(const u8 *key)
{
	unsigned int i;

	for (i = 0; i < nr_used; i++)
		if (!memcmp(used[i], key, KEY_LEN))
			shim_bug("a key seals for a second time", __FILE__,
				 __LINE__);
	if (nr_used < USED_MAX)
		memcpy(used[nr_used++], key, KEY_LEN);
}

/* Nonces are counters here, so each is greater than the one before. */
static void check_nonce(struct crypto_aead *tfm, const u8 *iv)
{
	u64 n;

	if (!shim_aead_strict)
		return;
	memcpy(&n, iv + IV_LEN - sizeof(n), sizeof(n));
	if (!tfm->sealed)
		mark_used(tfm->key);
	else if (n <= tfm->last)
		shim_bug("a nonce is used twice", __FILE__, __LINE__);
	tfm->sealed = true;
	tfm->last = n;
}

struct crypto_aead *crypto_alloc_aead(const char *name, u32 type, u32 mask)
{
	struct crypto_aead *tfm;

	BUG_ON(strcmp(name, "gcm(aes)") || type || mask != CRYPTO_ALG_ASYNC);
	tfm = kzalloc(sizeof(*tfm), GFP_KERNEL);
	if (!tfm)
		return ERR_PTR(-ENOMEM);
	tfm->ctx = EVP_CIPHER_CTX_new();
	BUG_ON(!tfm->ctx);
	return tfm;
}

void crypto_free_aead(struct crypto_aead *tfm)
{
	EVP_CIPHER_CTX_free(tfm->ctx);
	kfree(tfm);
}

int crypto_aead_setauthsize(struct crypto_aead *tfm, unsigned int size)
{
	if (size != TAG_LEN)
		return -EINVAL;
	tfm->authsize = size;
	return 0;
}

int crypto_aead_setkey(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	if (len != KEY_LEN)
		return -EINVAL;
	memcpy(tfm->key, key, len);
	tfm->keyed = true;
	tfm->sealed = false;
	return 0;
}

struct aead_request *aead_request_alloc(struct crypto_aead *tfm, gfp_t gfp)
{
	struct aead_request *req = kzalloc(sizeof(*req), gfp);

	if (req)
		req->tfm = tfm;
	return req;
}

void aead_request_free(struct aead_request *req)
{
	kfree(req);
}

/* The associated data, then the tag: nothing is encrypted. */
static void check_request(const struct aead_request *req, unsigned int cryptlen)
{
	BUG_ON(!req->tfm->keyed || req->src != req->dst ||
	       req->cryptlen != cryptlen || req->src[0].length != req->assoclen ||
	       req->src[1].length != req->tfm->authsize);
}

int crypto_aead_encrypt(struct aead_request *req)
{
	EVP_CIPHER_CTX *ctx = req->tfm->ctx;
	u8 none[TAG_LEN];
	int n;

	check_request(req, 0);
	check_nonce(req->tfm, req->iv);
	BUG_ON(!EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, req->tfm->key,
				   req->iv) ||
	       !EVP_EncryptUpdate(ctx, NULL, &n, req->src[0].at,
				  req->assoclen) ||
	       !EVP_EncryptFinal_ex(ctx, none, &n) ||
	       !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN,
				    req->dst[1].at));
	return 0;
}

int crypto_aead_decrypt(struct aead_request *req)
{
	EVP_CIPHER_CTX *ctx = req->tfm->ctx;
	u8 none[TAG_LEN];
	int n;

	check_request(req, TAG_LEN);
	BUG_ON(!EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, req->tfm->key,
				   req->iv) ||
	       !EVP_DecryptUpdate(ctx, NULL, &n, req->src[0].at,
				  req->assoclen) ||
	       !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN,
				    req->src[1].at));
	return EVP_DecryptFinal_ex(ctx, none, &n) > 0 ? 0 : -EBADMSG;
}
