// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of proofs and tags: two nodes greet each other and speak, and somebody
 * between them changes, repeats, leaves out, turns round and makes up what they say.
 */
#include <kunit/test.h>
#include <crypto/hash.h>
#include <linux/kernel.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "auth.h"

#define HEADER	sizeof(struct fclock_wire_header)
#define TAG_AT	offsetof(struct fclock_wire_header, tag)
#define LONG	(HEADER + FCLOCK_MD_BLOCK_SIZE)
#define SHORT	(HEADER + sizeof(struct fclock_wire_lock_request))

/* ---- RFC 5869, appendix A ---- */

struct hkdf_vector {
	const char *ikm, *salt, *info, *prk, *okm;
};

static const struct hkdf_vector hkdf_vectors[] = {
	{
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"000102030405060708090a0b0c",
		"f0f1f2f3f4f5f6f7f8f9",
		"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
	}, {
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
	}, {
		"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		"",
		"",
		"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
	},
};

static size_t unhex(struct kunit *test, u8 *bin, const char *hex)
{
	size_t len = strlen(hex) / 2;

	KUNIT_ASSERT_EQ(test, hex2bin(bin, hex, len), 0);
	return len;
}

static void hkdf_one(struct kunit *test, struct crypto_shash *tfm,
		     const struct hkdf_vector *v)
{
	u8 ikm[96], salt[96], info[96], want[96], prk[32], okm[96];
	size_t ikm_len = unhex(test, ikm, v->ikm);
	size_t salt_len = unhex(test, salt, v->salt);
	size_t info_len = unhex(test, info, v->info);
	size_t len;

	KUNIT_ASSERT_EQ(test, fclock_hkdf_extract(tfm, salt, salt_len, ikm,
						  ikm_len, prk), 0);
	unhex(test, want, v->prk);
	KUNIT_EXPECT_EQ(test, memcmp(prk, want, sizeof(prk)), 0);
	KUNIT_ASSERT_EQ(test, crypto_shash_setkey(tfm, prk, sizeof(prk)), 0);
	len = unhex(test, want, v->okm);
	memset(okm, 0xee, sizeof(okm));
	KUNIT_ASSERT_EQ(test, fclock_hkdf_expand(tfm, info, info_len, okm, len),
			0);
	KUNIT_EXPECT_EQ(test, memcmp(okm, want, len), 0);
	KUNIT_EXPECT_EQ(test, okm[len], (u8)0xee);
}

static void hkdf(struct kunit *test)
{
	struct crypto_shash *tfm = crypto_alloc_shash("hmac(sha256)", 0, 0);
	unsigned int i;
	u8 okm;

	KUNIT_ASSERT_FALSE(test, IS_ERR(tfm));
	for (i = 0; i < ARRAY_SIZE(hkdf_vectors); i++)
		hkdf_one(test, tfm, &hkdf_vectors[i]);
	KUNIT_EXPECT_EQ(test, fclock_hkdf_expand(tfm, NULL, 0, &okm,
						 255 * 32 + 1), -EINVAL);
	crypto_free_shash(tfm);
}

/* ---- Two nodes ---- */

/* Node 2 connects to node 1. */
struct pair {
	struct fclock_key *key;
	struct fclock_greeting greeting;
	u8 welcome[FCLOCK_HELLO_FRAME] __aligned(8);
	struct fclock_auth *connector, *acceptor;
	u8 frame[LONG] __aligned(8), sent[LONG] __aligned(8);
};

static void write_hello(u8 *frame, u8 type, unsigned int node,
			unsigned int peer, u64 instance)
{
	const struct fclock_msg msg = {
		.type = type,
		.length = sizeof(struct fclock_wire_hello),
		.sender = instance,
		.seq = 1,
	};
	struct fclock_wire_hello *hello = (void *)(frame + HEADER);

	memset(frame, 0, FCLOCK_HELLO_FRAME);
	fclock_wire_encode_header(frame, &msg);
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = node;
	hello->peer_id = peer;
	memset(hello->uuid, 0x77, sizeof(hello->uuid));
	hello->length = cpu_to_le64(1 << 20);
	hello->room = cpu_to_le64(1 << 21);
	hello->grain = cpu_to_le32(FCLOCK_DEFAULT_GRAIN);
}

static struct fclock_key *make_key(struct kunit *test, u8 first)
{
	u8 secret[32] = { first };
	struct fclock_key *key = fclock_key_create(secret, sizeof(secret));

	KUNIT_ASSERT_FALSE(test, IS_ERR(key));
	return key;
}

/* Up to a WELCOME that is signed. */
static void greet(struct kunit *test, struct pair *p)
{
	fclock_auth_challenge(p->greeting.challenge, 1, true);
	write_hello(p->greeting.hello, FCLOCK_HELLO, 2, 1, 0x22);
	KUNIT_ASSERT_EQ(test, fclock_auth_sign_hello(p->key, &p->greeting), 0);
	write_hello(p->welcome, FCLOCK_WELCOME, 1, 2, 0x11);
	KUNIT_ASSERT_EQ(test, fclock_auth_sign_welcome(p->key, &p->greeting,
						       p->welcome), 0);
}

static void begin(struct kunit *test, struct pair *p)
{
	*fclock_auth_greeting(p->connector) = p->greeting;
	*fclock_auth_greeting(p->acceptor) = p->greeting;
	KUNIT_ASSERT_EQ(test, fclock_auth_begin(p->connector,
						FCLOCK_AUTH_CONNECTOR,
						p->welcome), 0);
	KUNIT_ASSERT_EQ(test, fclock_auth_begin(p->acceptor,
						FCLOCK_AUTH_ACCEPTOR,
						p->welcome), 0);
}

static struct pair *make_pair(struct kunit *test)
{
	struct pair *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p);
	p->key = make_key(test, 1);
	p->connector = fclock_auth_create(p->key);
	p->acceptor = fclock_auth_create(p->key);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p->connector);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p->acceptor);
	greet(test, p);
	begin(test, p);
	return p;
}

static void free_pair(struct pair *p)
{
	fclock_auth_destroy(p->connector);
	fclock_auth_destroy(p->acceptor);
	fclock_key_put(p->key);
}

/* The sender's next frame, @len bytes, in @p->sent. */
static void say(struct kunit *test, struct pair *p, struct fclock_auth *sender,
		size_t len)
{
	const struct fclock_msg msg = {
		.type = len == LONG ? FCLOCK_RESUME : FCLOCK_LOCK_REQUEST,
		.length = len - HEADER,
		.seq = 2,
	};

	memset(p->sent, 0x5a, sizeof(p->sent));
	fclock_wire_encode_header(p->sent, &msg);
	KUNIT_ASSERT_EQ(test, fclock_auth_seal(sender, p->sent, len), 0);
}

/* What becomes of @p->sent there. */
static int hear(struct pair *p, struct fclock_auth *receiver, size_t len)
{
	memcpy(p->frame, p->sent, sizeof(p->frame));
	return fclock_auth_open(receiver, p->frame, len);
}

static void speaks(struct kunit *test)
{
	struct pair *p = make_pair(test);
	static const size_t lens[] = { HEADER, SHORT, LONG, HEADER + 1, 333 };
	unsigned int i;

	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting), 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							p->welcome), 0);
	for (i = 0; i < 100; i++) {
		size_t len = lens[i % ARRAY_SIZE(lens)];

		say(test, p, p->connector, len);
		KUNIT_EXPECT_TRUE(test, memchr_inv(p->sent + TAG_AT, 0,
						   FCLOCK_TAG_LEN));
		KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, len), 0);
		/* nothing but the tag has changed: it is not secret */
		KUNIT_EXPECT_EQ(test, memcmp(p->frame, p->sent, TAG_AT), 0);
		KUNIT_EXPECT_EQ(test, memcmp(p->frame + HEADER,
					     p->sent + HEADER, len - HEADER), 0);
		say(test, p, p->acceptor, len);
		KUNIT_EXPECT_EQ(test, hear(p, p->connector, len), 0);
	}
	free_pair(p);
}

/* ---- Proofs ---- */

static void hello_bits(struct kunit *test)
{
	struct pair *p = make_pair(test);
	u8 *bytes = (void *)&p->greeting;
	unsigned int i, wrong = 0;

	for (i = 0; i < sizeof(p->greeting) * 8; i++) {
		bytes[i / 8] ^= 1 << i % 8;
		wrong += fclock_auth_check_hello(p->key, &p->greeting) !=
			-EKEYREJECTED;
		bytes[i / 8] ^= 1 << i % 8;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting), 0);
	free_pair(p);
}

static void welcome_bits(struct kunit *test)
{
	struct pair *p = make_pair(test);
	u8 *bytes = (void *)&p->greeting;
	unsigned int i, wrong = 0;

	for (i = 0; i < sizeof(p->greeting) * 8; i++) {
		bytes[i / 8] ^= 1 << i % 8;
		wrong += fclock_auth_check_welcome(p->key, &p->greeting,
						   p->welcome) != -EKEYREJECTED;
		bytes[i / 8] ^= 1 << i % 8;
	}
	for (i = 0; i < sizeof(p->welcome) * 8; i++) {
		p->welcome[i / 8] ^= 1 << i % 8;
		wrong += fclock_auth_check_welcome(p->key, &p->greeting,
						   p->welcome) != -EKEYREJECTED;
		p->welcome[i / 8] ^= 1 << i % 8;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							p->welcome), 0);
	free_pair(p);
}

static void other_keys(struct kunit *test)
{
	struct pair *p = make_pair(test);
	struct fclock_key *other = make_key(test, 2), *same = make_key(test, 1);
	u8 secret[FCLOCK_KEY_MAX + 1] = { 1 };

	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(other, &p->greeting),
			-EKEYREJECTED);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(other, &p->greeting,
							p->welcome),
			-EKEYREJECTED);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(same, &p->greeting), 0);
	KUNIT_EXPECT_TRUE(test, fclock_key_same(p->key, same));
	KUNIT_EXPECT_FALSE(test, fclock_key_same(p->key, other));
	KUNIT_EXPECT_FALSE(test, fclock_key_same(p->key, NULL));
	KUNIT_EXPECT_FALSE(test, fclock_key_same(NULL, p->key));
	KUNIT_EXPECT_TRUE(test, fclock_key_same(NULL, NULL));
	fclock_key_put(other);
	fclock_key_put(same);

	KUNIT_EXPECT_EQ(test, PTR_ERR(fclock_key_create(secret,
							FCLOCK_KEY_MIN - 1)),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(fclock_key_create(secret,
							FCLOCK_KEY_MAX + 1)),
			-EINVAL);
	/* one byte more is another key, were it zero */
	same = fclock_key_create(secret, FCLOCK_KEY_MIN);
	other = fclock_key_create(secret, FCLOCK_KEY_MAX);
	KUNIT_ASSERT_FALSE(test, IS_ERR(same) || IS_ERR(other));
	KUNIT_EXPECT_FALSE(test, fclock_key_same(same, other));
	fclock_key_put(other);
	fclock_key_put(same);
	free_pair(p);
}

/* A HELLO or WELCOME that was good once, under the next challenge. */
static void greeting_replayed(struct kunit *test)
{
	struct pair *p = make_pair(test);
	struct fclock_greeting old = p->greeting;
	u8 welcome[FCLOCK_HELLO_FRAME] __aligned(8);

	memcpy(welcome, p->welcome, sizeof(welcome));
	greet(test, p);
	KUNIT_EXPECT_NE(test, memcmp(old.challenge, p->greeting.challenge,
				     sizeof(old.challenge)), 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							welcome),
			-EKEYREJECTED);
	memcpy(p->greeting.hello, old.hello, sizeof(old.hello));
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	/* and with the old challenge a WELCOME for another HELLO */
	greet(test, p);
	memcpy(p->greeting.challenge, old.challenge, sizeof(old.challenge));
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							welcome),
			-EKEYREJECTED);
	free_pair(p);
}

/*
 * Node 2's own challenge is held out to it as node 1's, and its answer comes back
 * as the HELLO of another and as WELCOME.
 */
static void greeting_reflected(struct kunit *test)
{
	struct pair *p = make_pair(test);
	struct fclock_wire_header *header = (void *)p->welcome;
	struct fclock_wire_challenge *c = (void *)(p->greeting.challenge +
						   HEADER);
	struct fclock_wire_hello *hello = (void *)(p->greeting.hello + HEADER);

	fclock_auth_challenge(p->greeting.challenge, 2, true);
	c->node_id = 1;
	write_hello(p->greeting.hello, FCLOCK_HELLO, 2, 1, 0x22);
	KUNIT_ASSERT_EQ(test, fclock_auth_sign_hello(p->key, &p->greeting), 0);

	memcpy(p->welcome, p->greeting.hello, sizeof(p->welcome));
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							p->welcome),
			-EKEYREJECTED);
	header->type = FCLOCK_WELCOME;
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							p->welcome),
			-EKEYREJECTED);
	/* node 2 asked as node 2 */
	c->node_id = 2;
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	hello->node_id = 3;
	hello->peer_id = 2;
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	free_pair(p);
}

/* "I have no key", in its place or with all of its bytes. */
static void downgraded(struct kunit *test)
{
	struct pair *p = make_pair(test);
	struct fclock_wire_hello *hello = (void *)(p->greeting.hello + HEADER);
	struct fclock_wire_hello *welcome = (void *)(p->welcome + HEADER);

	hello->flags = 0;
	welcome->flags = 0;
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(p->key, &p->greeting,
							p->welcome),
			-EKEYREJECTED);
	memset(p->greeting.hello + TAG_AT, 0, FCLOCK_TAG_LEN);
	memset(hello->nonce, 0, sizeof(hello->nonce));
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	fclock_auth_demand_key(p->greeting.hello);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting),
			-EKEYREJECTED);
	free_pair(p);
}

/* ---- Tags ---- */

static void frame_bits(struct kunit *test)
{
	struct pair *p = make_pair(test);
	unsigned int i, wrong = 0;

	for (i = 0; i < SHORT * 8; i++) {
		say(test, p, p->connector, SHORT);
		p->sent[i / 8] ^= 1 << i % 8;
		wrong += hear(p, p->acceptor, SHORT) != -EBADMSG;
		/* and nothing more, were it right */
		p->sent[i / 8] ^= 1 << i % 8;
		wrong += hear(p, p->acceptor, SHORT) != -EPROTO;
		begin(test, p);
	}
	for (i = 0; i < 500; i++) {
		unsigned int at = get_random_u32() % (LONG * 8);

		say(test, p, p->acceptor, LONG);
		p->sent[at / 8] ^= 1 << at % 8;
		wrong += hear(p, p->connector, LONG) != -EBADMSG;
		begin(test, p);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	free_pair(p);
}

static void frame_length(struct kunit *test)
{
	struct pair *p = make_pair(test);
	size_t len;

	for (len = HEADER; len < SHORT + 20; len++) {
		if (len == SHORT)
			continue;
		say(test, p, p->connector, SHORT);
		KUNIT_EXPECT_EQ_MSG(test, hear(p, p->acceptor, len), -EBADMSG,
				    "%zu bytes", len);
		begin(test, p);
	}
	free_pair(p);
}

static void frame_replayed(struct kunit *test)
{
	struct pair *p = make_pair(test);

	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), 0);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EBADMSG);

	/* left out */
	begin(test, p);
	say(test, p, p->connector, SHORT);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EBADMSG);

	/* turned round: to whom it came from, and as if it came from there */
	begin(test, p);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->connector, SHORT), -EBADMSG);
	free_pair(p);
}

/* All of a connection, played back into one of the same two instances. */
static void session_replayed(struct kunit *test)
{
	struct pair *p = make_pair(test);

	say(test, p, p->connector, SHORT);
	greet(test, p);
	begin(test, p);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EBADMSG);

	/* only the connector's nonce, or only the acceptor's, is a new one */
	begin(test, p);
	say(test, p, p->connector, SHORT);
	KUNIT_ASSERT_EQ(test, fclock_auth_sign_hello(p->key, &p->greeting), 0);
	begin(test, p);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EBADMSG);
	begin(test, p);
	say(test, p, p->connector, SHORT);
	fclock_auth_challenge(p->greeting.challenge, 1, true);
	begin(test, p);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EBADMSG);
	free_pair(p);
}

/* Each of these alone makes other keys. */
static void bound(struct kunit *test)
{
	static const size_t hello_at[] = {
		offsetof(struct fclock_wire_header, sender),
		HEADER + offsetof(struct fclock_wire_hello, node_id),
		HEADER + offsetof(struct fclock_wire_hello, uuid),
		HEADER + offsetof(struct fclock_wire_hello, nonce),
	};
	static const size_t welcome_at[] = {
		offsetof(struct fclock_wire_header, sender),
		HEADER + offsetof(struct fclock_wire_hello, node_id),
		HEADER + offsetof(struct fclock_wire_hello, uuid),
	};
	struct pair *p = make_pair(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hello_at); i++) {
		say(test, p, p->connector, SHORT);
		p->greeting.hello[hello_at[i]] ^= 1;
		begin(test, p);
		KUNIT_EXPECT_EQ_MSG(test, hear(p, p->acceptor, SHORT), -EBADMSG,
				    "HELLO, offset %zu", hello_at[i]);
		begin(test, p);
	}
	for (i = 0; i < ARRAY_SIZE(welcome_at); i++) {
		say(test, p, p->acceptor, SHORT);
		p->welcome[welcome_at[i]] ^= 1;
		begin(test, p);
		KUNIT_EXPECT_EQ_MSG(test, hear(p, p->connector, SHORT),
				    -EBADMSG, "WELCOME, offset %zu",
				    welcome_at[i]);
		begin(test, p);
	}
	free_pair(p);
}

static void no_keys_yet(struct kunit *test)
{
	struct pair *p = make_pair(test);
	struct fclock_auth *fresh = fclock_auth_create(p->key);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fresh);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, fresh, SHORT), -EPROTO);
	KUNIT_EXPECT_EQ(test, fclock_auth_seal(fresh, p->sent, SHORT), -EPROTO);
	fclock_auth_end(p->acceptor);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EPROTO);
	fclock_auth_destroy(fresh);
	free_pair(p);
}

static void counter_ends(struct kunit *test)
{
	struct pair *p = make_pair(test);

	fclock_auth_set_counters(p->connector, U64_MAX - 3, 0);
	fclock_auth_set_counters(p->acceptor, 0, U64_MAX - 3);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), 0);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_seal(p->connector, p->sent, SHORT),
			-EKEYEXPIRED);
	KUNIT_EXPECT_EQ(test, hear(p, p->acceptor, SHORT), -EKEYEXPIRED);
	/* it does not begin anew by itself */
	KUNIT_EXPECT_EQ(test, fclock_auth_seal(p->connector, p->sent, SHORT),
			-EPROTO);
	/* the other direction goes on */
	say(test, p, p->acceptor, SHORT);
	KUNIT_EXPECT_EQ(test, hear(p, p->connector, SHORT), 0);
	free_pair(p);
}

/* ---- What another implementation says ---- */

/* tests/kunit/auth-golden, for FCLOCK_WIRE_VERSION */
static const u8 golden_hello[FCLOCK_TAG_LEN] = {
	0xaa, 0xcc, 0xf4, 0x26, 0xf5, 0xa4, 0x1c, 0xe6,
	0xa3, 0xb7, 0xe0, 0xc4, 0x22, 0xe6, 0x98, 0x74,
};

static const u8 golden_welcome[FCLOCK_TAG_LEN] = {
	0x4d, 0x8c, 0xb5, 0xe8, 0x01, 0x8f, 0x66, 0xb9,
	0x33, 0x1f, 0x58, 0x5e, 0x0f, 0x1e, 0xa9, 0xa8,
};

static const u8 golden_up[FCLOCK_TAG_LEN] = {
	0x12, 0x14, 0x7e, 0x84, 0xe3, 0xfb, 0xe5, 0x88,
	0xaa, 0x6e, 0xd6, 0x87, 0xe7, 0x04, 0xcb, 0x64,
};

static const u8 golden_down[FCLOCK_TAG_LEN] = {
	0x64, 0xb9, 0xd1, 0x26, 0x68, 0x9f, 0xa5, 0x5f,
	0x68, 0x44, 0xe3, 0x3c, 0x8d, 0x42, 0x92, 0x08,
};

static void golden(struct kunit *test)
{
	struct pair *p = make_pair(test);
	u8 *challenge = p->greeting.challenge, *hello = p->greeting.hello;

	fclock_auth_challenge(challenge, 1, true);
	memset(challenge + HEADER +
	       offsetof(struct fclock_wire_challenge, nonce), 0xaa, 32);
	write_hello(hello, FCLOCK_HELLO, 2, 1, 0x22);
	fclock_auth_demand_key(hello);
	memset(hello + HEADER + offsetof(struct fclock_wire_hello, nonce), 0xcc,
	       32);
	memcpy(hello + TAG_AT, golden_hello, FCLOCK_TAG_LEN);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_hello(p->key, &p->greeting), 0);

	write_hello(p->welcome, FCLOCK_WELCOME, 1, 2, 0x11);
	KUNIT_ASSERT_EQ(test, fclock_auth_sign_welcome(p->key, &p->greeting,
						       p->welcome), 0);
	KUNIT_EXPECT_EQ(test, memcmp(p->welcome + TAG_AT, golden_welcome,
				     FCLOCK_TAG_LEN), 0);
	begin(test, p);
	say(test, p, p->connector, SHORT);
	KUNIT_EXPECT_EQ(test, memcmp(p->sent + TAG_AT, golden_up,
				     FCLOCK_TAG_LEN), 0);
	say(test, p, p->acceptor, SHORT);
	KUNIT_EXPECT_EQ(test, memcmp(p->sent + TAG_AT, golden_down,
				     FCLOCK_TAG_LEN), 0);
	free_pair(p);
}

static struct kunit_case auth_cases[] = {
	KUNIT_CASE(hkdf),
	KUNIT_CASE(golden),
	KUNIT_CASE(speaks),
	KUNIT_CASE(hello_bits),
	KUNIT_CASE(welcome_bits),
	KUNIT_CASE(other_keys),
	KUNIT_CASE(greeting_replayed),
	KUNIT_CASE(greeting_reflected),
	KUNIT_CASE(downgraded),
	KUNIT_CASE(frame_bits),
	KUNIT_CASE(frame_length),
	KUNIT_CASE(frame_replayed),
	KUNIT_CASE(session_replayed),
	KUNIT_CASE(bound),
	KUNIT_CASE(no_keys_yet),
	KUNIT_CASE(counter_ends),
	{}
};

static struct kunit_suite auth_suite = {
	.name = "fclock-auth",
	.test_cases = auth_cases,
};

kunit_test_suite(auth_suite);
