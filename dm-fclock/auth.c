// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may speak.
 *
 *   acceptor -> connector   CHALLENGE  nonce of the acceptor
 *   connector -> acceptor   HELLO      nonce of the connector, proof
 *   acceptor -> connector   WELCOME    proof
 *   both ways               frames     tag
 *
 * A proof is HMAC-SHA256 over a label and all frames so far, cut to the 16 bytes of
 * the header's tag. Its key and those of the directions follow from the pre-shared one by
 * HKDF. A tag is AES-256-GCM over the whole frame as associated data: what is said stays
 * readable, so the frames in a capture can still be looked at, and there is no second pass over
 * a superblock. The nonce is a counter of each direction that is not sent, so a frame
 * that is repeated, left out or moved has a wrong tag.
 */
#include <crypto/aead.h>
#include <crypto/algapi.h>
#include <crypto/hash.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/refcount.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "auth.h"
#include "compat.h"

#ifdef FCLOCK_HAVE_CRYPTO_UTILS
#include <crypto/utils.h>
#endif

#define HEADER		sizeof(struct fclock_wire_header)
#define TAG_AT		offsetof(struct fclock_wire_header, tag)
#define AES_KEY_LEN	32
#define IV_LEN		12

/* All of them differ, so that no proof or key is good for another purpose. */
static const u8 label_salt[] = "dm-fclock pre-shared key";
static const u8 label_proofs[] = "dm-fclock proofs";
static const u8 label_check[] = "dm-fclock same key";
static const u8 label_hello[] = "dm-fclock HELLO";
static const u8 label_welcome[] = "dm-fclock WELCOME";

/* Concurrent users: the tfms have their keys once and for all. */
struct fclock_key {
	refcount_t refs;
	struct crypto_shash *prk;	/* HKDF's extract */
	struct crypto_shash *proofs;
	struct crypto_aead *aead;	/* keeps the algorithm for those to come */
	u8 check[FCLOCK_SHA256_LEN];	/* tells keys apart, and nothing else */
};

struct fclock_auth_way {
	struct crypto_aead *aead;
	struct aead_request *req;
	bool ready;
	u64 count;			/* frames so far */
	u8 iv[IV_LEN];
	u8 tag[FCLOCK_TAG_LEN];
};

struct fclock_auth {
	struct fclock_key *key;
	struct fclock_greeting greeting;
	struct fclock_auth_way tx, rx;
};

/* What the keys of a connection are bound to. */
struct fclock_auth_info {
	u8 label[24];
	u8 version;
	u8 way;				/* enum fclock_auth_side of the sender */
	u8 connector, acceptor;		/* node ids */
	u8 pad[4];
	u8 connector_nonce[FCLOCK_NONCE_LEN];
	u8 acceptor_nonce[FCLOCK_NONCE_LEN];
	__le64 connector_instance, acceptor_instance;
	/* as each of them said it; zero: M was not formatted when it looked */
	u8 connector_uuid[FCLOCK_UUID_LEN];
	u8 acceptor_uuid[FCLOCK_UUID_LEN];
};

static_assert(sizeof(struct fclock_auth_info) == 144);

/* ---- HKDF ---- */

int fclock_hkdf_extract(struct crypto_shash *tfm, const u8 *salt,
			size_t salt_len, const u8 *ikm, size_t ikm_len, u8 *prk)
{
	static const u8 zeros[FCLOCK_SHA256_LEN];
	int r;

	if (!salt_len) {
		salt = zeros;
		salt_len = sizeof(zeros);
	}
	r = crypto_shash_setkey(tfm, salt, salt_len);
	return r ?: crypto_shash_tfm_digest(tfm, ikm, ikm_len, prk);
}

int fclock_hkdf_expand(struct crypto_shash *prk_tfm, const u8 *info,
		       size_t info_len, u8 *okm, size_t okm_len)
{
	SHASH_DESC_ON_STACK(desc, prk_tfm);
	u8 block[FCLOCK_SHA256_LEN];
	size_t done = 0, n;
	u8 number = 0;
	int r = 0;

	if (okm_len > 255 * sizeof(block))
		return -EINVAL;
	desc->tfm = prk_tfm;
	while (!r && done < okm_len) {
		number++;
		r = crypto_shash_init(desc);
		if (!r && done)
			r = crypto_shash_update(desc, block, sizeof(block));
		if (!r)
			r = crypto_shash_update(desc, info, info_len);
		if (!r)
			r = crypto_shash_finup(desc, &number, 1, block);
		if (r)
			break;
		n = min(okm_len - done, sizeof(block));
		memcpy(okm + done, block, n);
		done += n;
	}
	shash_desc_zero(desc);
	memzero_explicit(block, sizeof(block));
	return r;
}

/* ---- The pre-shared key ---- */

static struct crypto_aead *alloc_aead(void)
{
	struct crypto_aead *aead;

	/* only what answers at once: frames are sealed one after the other */
	aead = crypto_alloc_aead("gcm(aes)", 0, CRYPTO_ALG_ASYNC);
	if (!IS_ERR(aead) && crypto_aead_setauthsize(aead, FCLOCK_TAG_LEN)) {
		crypto_free_aead(aead);
		return ERR_PTR(-EINVAL);
	}
	return aead;
}

static int derive(struct fclock_key *key, const u8 *secret, size_t len)
{
	u8 k[FCLOCK_SHA256_LEN];
	int r;

	r = fclock_hkdf_extract(key->prk, label_salt, sizeof(label_salt),
				secret, len, k) ?:
		crypto_shash_setkey(key->prk, k, sizeof(k)) ?:
		fclock_hkdf_expand(key->prk, label_check, sizeof(label_check),
				   key->check, sizeof(key->check)) ?:
		fclock_hkdf_expand(key->prk, label_proofs, sizeof(label_proofs),
				   k, sizeof(k)) ?:
		crypto_shash_setkey(key->proofs, k, sizeof(k));
	memzero_explicit(k, sizeof(k));
	return r;
}

static void free_key(struct fclock_key *key)
{
	if (!IS_ERR_OR_NULL(key->prk))
		crypto_free_shash(key->prk);
	if (!IS_ERR_OR_NULL(key->proofs))
		crypto_free_shash(key->proofs);
	if (!IS_ERR_OR_NULL(key->aead))
		crypto_free_aead(key->aead);
	kfree_sensitive(key);
}

struct fclock_key *fclock_key_create(const u8 *secret, size_t len)
{
	struct fclock_key *key;
	int r;

	if (len < FCLOCK_KEY_MIN || len > FCLOCK_KEY_MAX)
		return ERR_PTR(-EINVAL);
	key = kzalloc(sizeof(*key), GFP_KERNEL);
	if (!key)
		return ERR_PTR(-ENOMEM);
	refcount_set(&key->refs, 1);
	key->prk = crypto_alloc_shash("hmac(sha256)", 0, 0);
	key->proofs = crypto_alloc_shash("hmac(sha256)", 0, 0);
	key->aead = alloc_aead();
	r = PTR_ERR_OR_ZERO(key->prk) ?: PTR_ERR_OR_ZERO(key->proofs) ?:
		PTR_ERR_OR_ZERO(key->aead) ?: derive(key, secret, len);
	if (r) {
		free_key(key);
		return ERR_PTR(r);
	}
	return key;
}

struct fclock_key *fclock_key_get(struct fclock_key *key)
{
	if (key)
		refcount_inc(&key->refs);
	return key;
}

void fclock_key_put(struct fclock_key *key)
{
	if (key && refcount_dec_and_test(&key->refs))
		free_key(key);
}

bool fclock_key_same(const struct fclock_key *a, const struct fclock_key *b)
{
	if (!a || !b)
		return a == b;
	return !crypto_memneq(a->check, b->check, sizeof(a->check));
}

/* ---- Proofs ---- */

void fclock_auth_challenge(void *frame, unsigned int node, bool keyed)
{
	const struct fclock_msg msg = {
		.type = FCLOCK_CHALLENGE,
		.length = sizeof(struct fclock_wire_challenge),
	};
	struct fclock_wire_challenge *c = frame + HEADER;

	fclock_wire_encode_header(frame, &msg);
	memset(c, 0, sizeof(*c));
	c->node_id = node;
	if (!keyed)
		return;
	c->flags = cpu_to_le16(FCLOCK_HELLO_KEY);
	get_random_bytes(c->nonce, sizeof(c->nonce));
}

void fclock_auth_demand_key(void *frame)
{
	struct fclock_wire_hello *hello = frame + HEADER;

	hello->flags |= cpu_to_le16(FCLOCK_HELLO_KEY);
}

/* A HELLO or WELCOME as if its tag were zero. */
static int hash_unsigned(struct shash_desc *desc, const u8 *frame)
{
	static const u8 no_tag[FCLOCK_TAG_LEN];

	return crypto_shash_update(desc, frame, TAG_AT) ?:
		crypto_shash_update(desc, no_tag, sizeof(no_tag)) ?:
		crypto_shash_update(desc, frame + HEADER,
				    sizeof(struct fclock_wire_hello));
}

/* @welcome: NULL: HELLO's proof. */
static int prove(struct fclock_key *key, const struct fclock_greeting *g,
		 const u8 *welcome, u8 *tag)
{
	SHASH_DESC_ON_STACK(desc, key->proofs);
	u8 mac[FCLOCK_SHA256_LEN];
	int r;

	desc->tfm = key->proofs;
	r = crypto_shash_init(desc);
	if (!r)
		r = welcome ?
			crypto_shash_update(desc, label_welcome,
					    sizeof(label_welcome)) :
			crypto_shash_update(desc, label_hello,
					    sizeof(label_hello));
	if (!r)
		r = crypto_shash_update(desc, g->challenge,
					sizeof(g->challenge));
	if (!r && welcome)
		r = crypto_shash_update(desc, g->hello, sizeof(g->hello));
	if (!r)
		r = hash_unsigned(desc, welcome ?: g->hello);
	if (!r)
		r = crypto_shash_final(desc, mac);
	if (!r)
		memcpy(tag, mac, FCLOCK_TAG_LEN);
	shash_desc_zero(desc);
	memzero_explicit(mac, sizeof(mac));
	return r;
}

static int check(struct fclock_key *key, const struct fclock_greeting *g,
		 const u8 *welcome)
{
	const u8 *frame = welcome ?: g->hello;
	const struct fclock_wire_hello *hello = (const void *)(frame + HEADER);
	u8 tag[FCLOCK_TAG_LEN];
	int r;

	r = prove(key, g, welcome, tag);
	if (r)
		return r;
	if (!(le16_to_cpu(hello->flags) & FCLOCK_HELLO_KEY) ||
	    crypto_memneq(tag, frame + TAG_AT, sizeof(tag)))
		r = -EKEYREJECTED;
	memzero_explicit(tag, sizeof(tag));
	return r;
}

int fclock_auth_sign_hello(struct fclock_key *key, struct fclock_greeting *g)
{
	struct fclock_wire_hello *hello = (void *)(g->hello + HEADER);

	hello->flags |= cpu_to_le16(FCLOCK_HELLO_KEY);
	get_random_bytes(hello->nonce, sizeof(hello->nonce));
	return prove(key, g, NULL, g->hello + TAG_AT);
}

int fclock_auth_check_hello(struct fclock_key *key,
			    const struct fclock_greeting *g)
{
	return check(key, g, NULL);
}

int fclock_auth_sign_welcome(struct fclock_key *key,
			     const struct fclock_greeting *g, void *frame)
{
	struct fclock_wire_hello *hello = frame + HEADER;

	hello->flags |= cpu_to_le16(FCLOCK_HELLO_KEY);
	return prove(key, g, frame, frame + TAG_AT);
}

int fclock_auth_check_welcome(struct fclock_key *key,
			      const struct fclock_greeting *g,
			      const void *frame)
{
	return check(key, g, frame);
}

/* ---- The keys of a connection ---- */

static void end_way(struct fclock_auth_way *w)
{
	w->ready = false;
	w->count = 0;
}

static int init_way(struct fclock_auth_way *w)
{
	w->aead = alloc_aead();
	if (IS_ERR(w->aead))
		return PTR_ERR(w->aead);
	w->req = aead_request_alloc(w->aead, GFP_KERNEL);
	return w->req ? 0 : -ENOMEM;
}

static void exit_way(struct fclock_auth_way *w)
{
	if (w->req)
		aead_request_free(w->req);
	if (!IS_ERR_OR_NULL(w->aead))
		crypto_free_aead(w->aead);
}

struct fclock_auth *fclock_auth_create(struct fclock_key *key)
{
	struct fclock_auth *auth = kzalloc(sizeof(*auth), GFP_KERNEL);

	if (!auth)
		return NULL;
	auth->key = fclock_key_get(key);
	if (init_way(&auth->tx) || init_way(&auth->rx)) {
		fclock_auth_destroy(auth);
		return NULL;
	}
	return auth;
}

void fclock_auth_destroy(struct fclock_auth *auth)
{
	if (!auth)
		return;
	exit_way(&auth->tx);
	exit_way(&auth->rx);
	fclock_key_put(auth->key);
	kfree_sensitive(auth);
}

struct fclock_key *fclock_auth_key(struct fclock_auth *auth)
{
	return auth->key;
}

struct fclock_greeting *fclock_auth_greeting(struct fclock_auth *auth)
{
	return &auth->greeting;
}

/* @side: whose frames */
static int begin_way(struct fclock_auth *auth, struct fclock_auth_way *w,
		     struct fclock_auth_info *info, enum fclock_auth_side side)
{
	u8 k[AES_KEY_LEN];
	int r;

	info->way = side;
	r = fclock_hkdf_expand(auth->key->prk, (u8 *)info, sizeof(*info), k,
			       sizeof(k)) ?:
		crypto_aead_setkey(w->aead, k, sizeof(k));
	memzero_explicit(k, sizeof(k));
	w->count = 0;
	w->ready = !r;
	return r;
}

int fclock_auth_begin(struct fclock_auth *auth, enum fclock_auth_side side,
		      const void *welcome)
{
	const struct fclock_greeting *g = &auth->greeting;
	const struct fclock_wire_challenge *c = (void *)(g->challenge + HEADER);
	const struct fclock_wire_header *hh = (void *)g->hello;
	const struct fclock_wire_hello *hello = (void *)(g->hello + HEADER);
	const struct fclock_wire_header *wh = welcome;
	const struct fclock_wire_hello *w = welcome + HEADER;
	bool connector = side == FCLOCK_AUTH_CONNECTOR;
	struct fclock_auth_info info = {
		.label = "dm-fclock frames",
		.version = FCLOCK_WIRE_VERSION,
		.connector = hello->node_id,
		.acceptor = w->node_id,
		.connector_instance = hh->sender,
		.acceptor_instance = wh->sender,
	};
	unsigned int noreclaim;
	int r;

	memcpy(info.connector_nonce, hello->nonce, sizeof(hello->nonce));
	memcpy(info.acceptor_nonce, c->nonce, sizeof(c->nonce));
	memcpy(info.connector_uuid, hello->uuid, sizeof(hello->uuid));
	memcpy(info.acceptor_uuid, w->uuid, sizeof(w->uuid));

	/* the cipher's key schedule needs a little memory */
	noreclaim = memalloc_noreclaim_save();
	r = begin_way(auth, connector ? &auth->tx : &auth->rx, &info,
		      FCLOCK_AUTH_CONNECTOR) ?:
		begin_way(auth, connector ? &auth->rx : &auth->tx, &info,
			  FCLOCK_AUTH_ACCEPTOR);
	memalloc_noreclaim_restore(noreclaim);
	if (r)
		fclock_auth_end(auth);
	return r;
}

void fclock_auth_end(struct fclock_auth *auth)
{
	end_way(&auth->tx);
	end_way(&auth->rx);
}

void fclock_auth_set_counters(struct fclock_auth *auth, u64 tx, u64 rx)
{
	auth->tx.count = tx;
	auth->rx.count = rx;
}

/* ---- Tags ---- */

/* @frame with its tag zero is all associated data; the tag stands in @w. */
static int run(struct fclock_auth_way *w, void *frame, size_t len, bool seal)
{
	struct scatterlist sg[2];
	unsigned int noreclaim;
	int r;

	if (!w->ready)
		return -EPROTO;
	/* the greatest number is never used, and none twice */
	if (w->count == U64_MAX - 1) {
		end_way(w);
		return -EKEYEXPIRED;
	}
	w->count++;
	memset(w->iv, 0, sizeof(w->iv));
	put_unaligned_le64(w->count, w->iv + IV_LEN - sizeof(w->count));

	sg_init_table(sg, ARRAY_SIZE(sg));
	sg_set_buf(&sg[0], frame, len);
	sg_set_buf(&sg[1], w->tag, sizeof(w->tag));
	aead_request_set_callback(w->req, CRYPTO_TFM_REQ_MAY_SLEEP, NULL, NULL);
	aead_request_set_ad(w->req, len);
	aead_request_set_crypt(w->req, sg, sg, seal ? 0 : sizeof(w->tag), w->iv);

	noreclaim = memalloc_noreclaim_save();
	r = seal ? crypto_aead_encrypt(w->req) : crypto_aead_decrypt(w->req);
	memalloc_noreclaim_restore(noreclaim);
	if (r)
		end_way(w);
	return r;
}

int fclock_auth_seal(struct fclock_auth *auth, void *frame, size_t len)
{
	struct fclock_wire_header *header = frame;
	int r;

	memset(header->tag, 0, sizeof(header->tag));
	r = run(&auth->tx, frame, len, true);
	if (!r)
		memcpy(header->tag, auth->tx.tag, sizeof(header->tag));
	return r;
}

int fclock_auth_open(struct fclock_auth *auth, void *frame, size_t len)
{
	struct fclock_wire_header *header = frame;

	memcpy(auth->rx.tag, header->tag, sizeof(header->tag));
	memset(header->tag, 0, sizeof(header->tag));
	return run(&auth->rx, frame, len, false);
}
