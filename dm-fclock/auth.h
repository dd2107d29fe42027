/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may speak: what two nodes prove to each other with a key that both have,
 * and the tags of their frames. Documentation/protocol.rst has the words.
 */
#ifndef FCLOCK_AUTH_H
#define FCLOCK_AUTH_H

#include <linux/types.h>
#include "wire.h"

/* Bytes of a pre-shared key: 128 bits against guessing; as much as trusted keys have. */
#define FCLOCK_KEY_MIN		16
#define FCLOCK_KEY_MAX		128
#define FCLOCK_SHA256_LEN	32

struct crypto_shash;
struct fclock_key;
struct fclock_auth;

/* Which side of the connection a node is; distinct labels go into all keys. */
enum fclock_auth_side {
	FCLOCK_AUTH_CONNECTOR	= 1,
	FCLOCK_AUTH_ACCEPTOR	= 2,
};

/* The frames before there are keys, as they were sent. */
struct fclock_greeting {
	u8 challenge[FCLOCK_CHALLENGE_FRAME] __aligned(8);
	u8 hello[FCLOCK_HELLO_FRAME] __aligned(8);
};

/**
 * fclock_key_create - what follows from a pre-shared key
 * @secret: its bytes; the caller wipes them
 * @len: FCLOCK_KEY_MIN to FCLOCK_KEY_MAX
 *
 * Context: may sleep and load modules.
 * Return: one reference, or ERR_PTR.
 */
struct fclock_key *fclock_key_create(const u8 *secret, size_t len);
struct fclock_key *fclock_key_get(struct fclock_key *key);	/* or NULL */
void fclock_key_put(struct fclock_key *key);			/* or NULL */
/* Made from the same bytes, or both NULL. */
bool fclock_key_same(const struct fclock_key *a, const struct fclock_key *b);

/* A whole CHALLENGE of node @node; with @keyed it has a nonce of its own. */
void fclock_auth_challenge(void *frame, unsigned int node, bool keyed);

/* HELLO @frame to a node without a key says that there is one, and proves nothing. */
void fclock_auth_demand_key(void *frame);

/*
 * The proofs of HELLO and WELCOME. They touch no connection, so that what comes from a
 * stranger harms none. Process context.
 */

/* Completes g->hello, which answers g->challenge. */
int fclock_auth_sign_hello(struct fclock_key *key, struct fclock_greeting *g);
/* Return: 0: it was said by one who has the key, for this challenge; or -EKEYREJECTED. */
int fclock_auth_check_hello(struct fclock_key *key,
			    const struct fclock_greeting *g);
/* Completes WELCOME @frame, which answers g->hello. */
int fclock_auth_sign_welcome(struct fclock_key *key,
			     const struct fclock_greeting *g, void *frame);
int fclock_auth_check_welcome(struct fclock_key *key,
			      const struct fclock_greeting *g,
			      const void *frame);

/**
 * fclock_auth_create - room for the keys of one connection at a time
 * @key: a reference is taken
 *
 * Context: may sleep. No module is loaded and after this, up to a connection's keys,
 * nothing is allocated.
 * Return: the object or NULL.
 */
struct fclock_auth *fclock_auth_create(struct fclock_key *key);
void fclock_auth_destroy(struct fclock_auth *auth);		/* or NULL */
struct fclock_key *fclock_auth_key(struct fclock_auth *auth);
/* Of the greeting that the connection begins with: written by the caller. */
struct fclock_greeting *fclock_auth_greeting(struct fclock_auth *auth);
/*
 * Both have proved themselves: keys for each direction from the greeting and WELCOME
 * @welcome. Return: 0 or an error, then nothing is sent or taken.
 */
int fclock_auth_begin(struct fclock_auth *auth, enum fclock_auth_side side,
		      const void *welcome);
/* The connection is gone; so are its keys. */
void fclock_auth_end(struct fclock_auth *auth);

/*
 * The tag of the next frame out, and of the next frame in. One at a time for each
 * direction; may sleep, allocate nothing. -EPROTO: there are no keys yet; -EKEYEXPIRED: the
 * counter has come to its end; -EBADMSG: not the next frame that the other side sent. After
 * an error the direction is dead.
 */
int fclock_auth_seal(struct fclock_auth *auth, void *frame, size_t len);
int fclock_auth_open(struct fclock_auth *auth, void *frame, size_t len);

/* For tests: as if so many frames had gone each way. */
void fclock_auth_set_counters(struct fclock_auth *auth, u64 tx, u64 rx);
/* RFC 5869, on HMAC-SHA256; @prk_tfm is keyed with the extract. */
int fclock_hkdf_extract(struct crypto_shash *tfm, const u8 *salt,
			size_t salt_len, const u8 *ikm, size_t ikm_len, u8 *prk);
int fclock_hkdf_expand(struct crypto_shash *prk_tfm, const u8 *info,
		       size_t info_len, u8 *okm, size_t okm_len);

/* keyring.c */
struct dm_target;

/* Of a description in a table: "<description>" or ":<size>:<type>:<description>". */
#define FCLOCK_KEY_WORD		256
/**
 * fclock_key_read - the pre-shared key that a table names
 * @ti: for the sentence in the log
 * @word: as in the table, checked by its constructor
 *
 * Context: constructor.
 * Return: one reference, or ERR_PTR after ti->error was set.
 */
struct fclock_key *fclock_key_read(struct dm_target *ti, const char *word);

#endif
