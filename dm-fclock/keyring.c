// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pre-shared key out of the kernel keyring, as dm-crypt takes it. Only what
 * follows from it is kept.
 */
#include <linux/key.h>
#include <linux/random.h>
#include <keys/user-type.h>
#if IS_REACHABLE(CONFIG_ENCRYPTED_KEYS)
#include <keys/encrypted-type.h>
#endif
#if IS_REACHABLE(CONFIG_TRUSTED_KEYS)
#include <keys/trusted-type.h>
#endif
#include "auth.h"
#include "volume.h"

#ifdef CONFIG_KEYS

struct payload {
	const u8 *data;
	unsigned int len;
};

static int user_payload(struct key *key, struct payload *p)
{
	const struct user_key_payload *ukp = user_key_payload_locked(key);

	if (!ukp)
		return -EKEYREVOKED;
	p->data = ukp->data;
	p->len = ukp->datalen;
	return 0;
}

#if IS_REACHABLE(CONFIG_ENCRYPTED_KEYS)
static int encrypted_payload(struct key *key, struct payload *p)
{
	const struct encrypted_key_payload *ekp = key->payload.data[0];

	if (!ekp)
		return -EKEYREVOKED;
	p->data = ekp->decrypted_data;
	p->len = ekp->decrypted_datalen;
	return 0;
}
#endif

#if IS_REACHABLE(CONFIG_TRUSTED_KEYS)
static int trusted_payload(struct key *key, struct payload *p)
{
	const struct trusted_key_payload *tkp = key->payload.data[0];

	if (!tkp)
		return -EKEYREVOKED;
	p->data = tkp->key;
	p->len = tkp->key_len;
	return 0;
}
#endif

struct source {
	const char *name;
	struct key_type *type;
	int (*payload)(struct key *key, struct payload *p);
};

/* The first two are tried for a description without a type. */
static const struct source sources[] = {
	{ "logon", &key_type_logon, user_payload },
	{ "user", &key_type_user, user_payload },
#if IS_REACHABLE(CONFIG_ENCRYPTED_KEYS)
	{ "encrypted", &key_type_encrypted, encrypted_payload },
#endif
#if IS_REACHABLE(CONFIG_TRUSTED_KEYS)
	{ "trusted", &key_type_trusted, trusted_payload },
#endif
};

#define NR_PLAIN_SOURCES 2

/* What a word says. @size: 0: any */
struct wanted {
	const struct source *source;	/* NULL: the plain ones */
	unsigned int size;
	const char *description;
};

static int parse_size(struct dm_target *ti, const char *word, const char *text,
		      size_t len, struct wanted *w)
{
	char number[8];

	if (len < sizeof(number)) {
		memcpy(number, text, len);
		number[len] = '\0';
		if (!kstrtouint(number, 10, &w->size) &&
		    w->size >= FCLOCK_KEY_MIN && w->size <= FCLOCK_KEY_MAX)
			return 0;
	}
	fclock_complain(ti, "key %s: size %.*s is not from %u to %u bytes",
			word, (int)len, text, FCLOCK_KEY_MIN, FCLOCK_KEY_MAX);
	return -EINVAL;
}

static int parse_type(struct dm_target *ti, const char *word, const char *text,
		      size_t len, struct wanted *w)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		if (strlen(sources[i].name) != len ||
		    strncmp(sources[i].name, text, len))
			continue;
		w->source = &sources[i];
		return 0;
	}
	fclock_complain(ti, "key %s: type %.*s is not logon, user, or one of encrypted and trusted that this kernel has",
			word, (int)len, text);
	return -EINVAL;
}

/* "<description>" or ":<size>:<type>:<description>" */
static int parse_word(struct dm_target *ti, const char *word, struct wanted *w)
{
	const char *type, *description;

	w->source = NULL;
	w->size = 0;
	w->description = word;
	if (word[0] != ':')
		return 0;
	type = strchr(word + 1, ':');
	description = type ? strchr(type + 1, ':') : NULL;
	if (!description || !description[1]) {
		fclock_complain(ti, "key %s is neither <description> nor :<size>:<type>:<description>",
				word);
		return -EINVAL;
	}
	w->description = description + 1;
	return parse_size(ti, word, word + 1, type - word - 1, w) ?:
		parse_type(ti, word, type + 1, description - type - 1, w);
}

/* Return: a reference to the key. */
static struct key *find_key(const struct wanted *w, const struct source **source)
{
	struct key *key = ERR_PTR(-ENOKEY);
	unsigned int i;

	if (w->source) {
		*source = w->source;
		return request_key(w->source->type, w->description, NULL);
	}
	for (i = 0; i < NR_PLAIN_SOURCES; i++) {
		*source = &sources[i];
		key = request_key(sources[i].type, w->description, NULL);
		/* one that was revoked or has expired is not passed over */
		if (PTR_ERR(key) != -ENOKEY)
			break;
	}
	return key;
}

/* Copies the payload of a key that fits. Return: its bytes, or an error. */
static int copy_payload(struct dm_target *ti, const char *word,
			const struct wanted *w, const struct source *source,
			struct key *key, u8 *secret)
{
	struct payload p;
	int r;

	down_read(&key->sem);
	r = source->payload(key, &p);
	if (r) {
		fclock_complain(ti, "key %s was revoked", word);
	} else if (w->size && p.len != w->size) {
		fclock_complain(ti, "key %s has %u bytes and not %u", word,
				p.len, w->size);
		r = -EINVAL;
	} else if (p.len < FCLOCK_KEY_MIN || p.len > FCLOCK_KEY_MAX) {
		fclock_complain(ti, "key %s has %u bytes and not from %u to %u",
				word, p.len, FCLOCK_KEY_MIN, FCLOCK_KEY_MAX);
		r = -EINVAL;
	} else {
		memcpy(secret, p.data, p.len);
		r = p.len;
	}
	up_read(&key->sem);
	return r;
}

static struct fclock_key *use_key(struct dm_target *ti, const char *word,
				  const struct wanted *w,
				  const struct source *source, struct key *key)
{
	u8 secret[FCLOCK_KEY_MAX];
	struct fclock_key *result;
	int r;

	r = copy_payload(ti, word, w, source, key, secret);
	if (r < 0)
		return ERR_PTR(r);
	result = fclock_key_create(secret, r);
	memzero_explicit(secret, sizeof(secret));
	if (IS_ERR(result))
		fclock_complain(ti, "key %s: this kernel offers no hmac(sha256) or no gcm(aes) (%ld)",
				word, PTR_ERR(result));
	return result;
}

static void explain_missing(struct dm_target *ti, const char *word, long r)
{
	if (r == -EKEYREVOKED)
		fclock_complain(ti, "key %s was revoked", word);
	else if (r == -EKEYEXPIRED)
		fclock_complain(ti, "key %s has expired", word);
	else
		fclock_complain(ti, "key %s is not in the keyrings of this process (%ld)",
				word, r);
}

struct fclock_key *fclock_key_read(struct dm_target *ti, const char *word)
{
	const struct source *source;
	struct fclock_key *result;
	struct wanted wanted;
	struct key *key;
	int r;

	ti->error = "Invalid key";
	r = parse_word(ti, word, &wanted);
	if (r)
		return ERR_PTR(r);
	/* the nonces have to be good ones */
	r = wait_for_random_bytes();
	if (r)
		return ERR_PTR(r);

	key = find_key(&wanted, &source);
	if (IS_ERR(key)) {
		explain_missing(ti, word, PTR_ERR(key));
		return ERR_CAST(key);
	}
	result = use_key(ti, word, &wanted, source, key);
	key_put(key);
	return result;
}

#else

struct fclock_key *fclock_key_read(struct dm_target *ti, const char *word)
{
	fclock_complain(ti, "key %s: this kernel has no keyrings", word);
	ti->error = "No keyrings";
	return ERR_PTR(-EOPNOTSUPP);
}

#endif
