// SPDX-License-Identifier: GPL-2.0-only
/*
 * Constructor arguments of fclock-origin. Every refusal is one sentence in the
 * kernel log that names the value and the limit.
 */
#include <linux/ctype.h>
#include <linux/inet.h>
#include <linux/in6.h>
#include <linux/log2.h>
#include <net/ipv6.h>
#include "volume.h"

int fclock_parse_slot(const char *word, unsigned int *slot)
{
	if (kstrtouint(word, 10, slot) || *slot >= FCLOCK_MAX_SLOTS)
		return -EINVAL;
	return 0;
}

/* "<ip>:<port>", IPv6 in brackets. */
static int parse_addr(const char *word, struct fclock_addr *addr)
{
	char ip[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(word, ':'), *end;
	size_t len;
	u16 port;

	memset(addr, 0, sizeof(*addr));
	if (!colon || kstrtou16(colon + 1, 10, &port) || !port)
		return -EINVAL;
	len = colon - word;
	if (!len || len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, word, len);
	ip[len] = '\0';
	/* for both, any other character ends an address */
	if (ip[0] != '[') {
		addr->in4.sin_family = AF_INET;
		addr->in4.sin_port = htons(port);
		return in4_pton(ip, -1, (u8 *)&addr->in4.sin_addr, -1, &end) &&
			!*end ? 0 : -EINVAL;
	}
	if (ip[len - 1] != ']')
		return -EINVAL;
	ip[len - 1] = '\0';
	addr->in6.sin6_family = AF_INET6;
	addr->in6.sin6_port = htons(port);
	return in6_pton(ip + 1, -1, (u8 *)&addr->in6.sin6_addr, -1, &end) &&
		!*end ? 0 : -EINVAL;
}

static bool is_loopback(const struct fclock_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return ipv4_is_loopback(addr->in4.sin_addr.s_addr);
	return ipv6_addr_loopback(&addr->in6.sin6_addr);
}

bool fclock_same_addr(const struct fclock_addr *a, const struct fclock_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_port == b->in4.sin_port &&
		       a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       ipv6_addr_equal(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

/* Can a node have it? Of a link-local one no table can name the interface. */
static bool is_host(const struct fclock_addr *addr, bool any)
{
	__be32 in4 = addr->in4.sin_addr.s_addr;
	const struct in6_addr *in6 = &addr->in6.sin6_addr;

	if (addr->sa.sa_family == AF_INET)
		return !ipv4_is_multicast(in4) && !ipv4_is_lbcast(in4) &&
		       (any || !ipv4_is_zeronet(in4));
	return !ipv6_addr_is_multicast(in6) &&
	       !(ipv6_addr_type(in6) & IPV6_ADDR_LINKLOCAL) &&
	       (any || !ipv6_addr_any(in6));
}

static int parse_grain(struct dm_target *ti, const char *word,
		       struct fclock_args *args)
{
	if (kstrtou32(word, 10, &args->grain) ||
	    args->grain < FCLOCK_MIN_GRAIN || args->grain > FCLOCK_MAX_GRAIN ||
	    !is_power_of_2(args->grain)) {
		fclock_complain(ti, "grain_size %s is not a power of two from %u to %u sectors",
				word, FCLOCK_MIN_GRAIN, FCLOCK_MAX_GRAIN);
		ti->error = "Invalid grain_size";
		return -EINVAL;
	}
	args->has_grain = true;
	return 0;
}

static int parse_cache_limit(struct dm_target *ti, const char *word,
			     struct fclock_args *args)
{
	if (kstrtou64(word, 10, &args->cache_limit) ||
	    args->cache_limit > FCLOCK_MAX_CACHE_KIB) {
		fclock_complain(ti, "cache_limit %s is not a number of KiB up to %llu",
				word, FCLOCK_MAX_CACHE_KIB);
		ti->error = "Invalid cache_limit";
		return -EINVAL;
	}
	args->has_cache_limit = true;
	return 0;
}

static int parse_timeout(struct dm_target *ti, const char *word,
			 struct fclock_args *args)
{
	if (kstrtou32(word, 10, &args->trigger_timeout) ||
	    args->trigger_timeout < FCLOCK_MIN_TIMEOUT ||
	    args->trigger_timeout > FCLOCK_MAX_TIMEOUT) {
		fclock_complain(ti, "trigger_timeout %s is not from %u to %u ms",
				word, FCLOCK_MIN_TIMEOUT, FCLOCK_MAX_TIMEOUT);
		ti->error = "Invalid trigger_timeout";
		return -EINVAL;
	}
	args->has_timeout = true;
	return 0;
}

/*
 * Copies a word that dm's table shows again. dm prints it as it is and splits at
 * white space and backslashes: such a line would not load back.
 */
static int parse_word(struct dm_target *ti, const char *name, const char *word,
		      char *copy, size_t size)
{
	size_t i, len = strlen(word);

	for (i = 0; i < len; i++)
		if (!isascii(word[i]) || !isgraph(word[i]) || word[i] == '\\')
			break;
	if (len && len < size && i == len) {
		strscpy(copy, word, size);
		return 0;
	}
	fclock_complain(ti, "%s %s is not 1 to %zu printable characters without a backslash",
			name, word, size - 1);
	ti->error = "Invalid word";
	return -EINVAL;
}

static int parse_cluster(struct dm_target *ti, const char *word,
			 struct fclock_args *args)
{
	args->has_cluster = true;
	return parse_word(ti, "cluster", word, args->cluster,
			  sizeof(args->cluster));
}

static int parse_key(struct dm_target *ti, const char *word,
		     struct fclock_args *args)
{
	args->has_key = true;
	return parse_word(ti, "key", word, args->key_word,
			  sizeof(args->key_word));
}

static int parse_listen(struct dm_target *ti, const char *word,
			struct fclock_args *args)
{
	if (parse_addr(word, &args->listen)) {
		fclock_complain(ti, "listen %s is not <ip>:<port> with a port from 1 to 65535",
				word);
		ti->error = "Invalid listen address";
		return -EINVAL;
	}
	if (!is_host(&args->listen, true)) {
		fclock_complain(ti, "listen %s is not an address that a node can have",
				word);
		ti->error = "Invalid listen address";
		return -EINVAL;
	}
	args->has_listen = true;
	return 0;
}

static int parse_peer(struct dm_target *ti, const char *id, const char *word,
		      struct fclock_args *args)
{
	struct fclock_peer_addr *peer = &args->peer[args->nr_peers];
	unsigned int node;

	ti->error = "Invalid peer";
	if (kstrtouint(id, 10, &node) || !node || node > FCLOCK_MAX_NODES) {
		fclock_complain(ti, "peer %s is not a node id from 1 to %u", id,
				FCLOCK_MAX_NODES);
		return -EINVAL;
	}
	if (node == args->node) {
		fclock_complain(ti, "peer %u is this node itself", node);
		return -EINVAL;
	}
	if (args->peer_mask & (1ULL << (node - 1))) {
		fclock_complain(ti, "peer %u is given twice", node);
		return -EINVAL;
	}
	if (parse_addr(word, &peer->addr)) {
		fclock_complain(ti, "peer %u: %s is not <ip>:<port> with a port from 1 to 65535",
				node, word);
		return -EINVAL;
	}
	if (!is_host(&peer->addr, false)) {
		fclock_complain(ti, "peer %u: %s is not an address that a node can have",
				node, word);
		return -EINVAL;
	}
	peer->node = node;
	args->peer_mask |= 1ULL << (node - 1);
	args->nr_peers++;
	return 0;
}

/* What the words mean together. */
static int check_args(struct dm_target *ti, const struct fclock_args *args)
{
	unsigned int i;

	ti->error = "Invalid network arguments";
	if (args->has_cluster && !args->has_listen) {
		fclock_complain(ti, "cluster %s needs listen <ip>:<port>",
				args->cluster);
		return -EINVAL;
	}
	if (args->has_key && args->insecure) {
		fclock_complain(ti, "key %s and insecure exclude each other",
				args->key_word);
		return -EINVAL;
	}
	if (args->nr_peers && !args->has_listen) {
		fclock_complain(ti, "peer %u needs listen <ip>:<port>",
				args->peer[0].node);
		return -EINVAL;
	}
	/* one socket of one family listens and connects */
	for (i = 0; i < args->nr_peers; i++) {
		if (args->peer[i].addr.sa.sa_family ==
		    args->listen.sa.sa_family)
			continue;
		fclock_complain(ti, "peer %u %pISpc is not of the address family of listen %pISpc",
				args->peer[i].node, &args->peer[i].addr.sa,
				&args->listen.sa);
		return -EINVAL;
	}
	if (!args->has_listen || args->insecure || args->has_key)
		return 0;
	if (!is_loopback(&args->listen)) {
		fclock_complain(ti, "listen %pISpc is not loopback and neither key nor insecure is given",
				&args->listen.sa);
		return -EINVAL;
	}
	for (i = 0; i < args->nr_peers; i++) {
		if (is_loopback(&args->peer[i].addr))
			continue;
		fclock_complain(ti, "peer %u %pISpc is not loopback and neither key nor insecure is given",
				args->peer[i].node, &args->peer[i].addr.sa);
		return -EINVAL;
	}
	return 0;
}

static int need_words(struct dm_target *ti, const char *name, unsigned int argc,
		      unsigned int need)
{
	if (argc >= need)
		return 0;
	fclock_complain(ti, "feature argument %s needs %u more word%s", name,
			need, need > 1 ? "s" : "");
	ti->error = "Missing word after a feature argument";
	return -EINVAL;
}

static int parse_once(struct dm_target *ti, const char *name, bool given)
{
	if (!given)
		return 0;
	fclock_complain(ti, "feature argument %s is given twice", name);
	ti->error = "Feature argument given twice";
	return -EINVAL;
}

/* Takes @argc down by the words it used. */
static int parse_feature(struct dm_target *ti, struct dm_arg_set *as,
			 unsigned int *argc, struct fclock_args *args)
{
	static const struct {
		const char *name;
		size_t given;
		int (*parse)(struct dm_target *ti, const char *word,
			     struct fclock_args *args);
	} features[] = {
		{ "grain_size", offsetof(struct fclock_args, has_grain),
		  parse_grain },
		{ "listen", offsetof(struct fclock_args, has_listen),
		  parse_listen },
		{ "cache_limit", offsetof(struct fclock_args, has_cache_limit),
		  parse_cache_limit },
		{ "trigger_timeout", offsetof(struct fclock_args, has_timeout),
		  parse_timeout },
		{ "cluster", offsetof(struct fclock_args, has_cluster),
		  parse_cluster },
		{ "key", offsetof(struct fclock_args, has_key), parse_key },
	};
	const char *name = dm_shift_arg(as), *id;
	unsigned int i;
	int r;

	(*argc)--;
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (strcmp(name, features[i].name))
			continue;
		r = need_words(ti, name, *argc, 1) ?:
			parse_once(ti, name, *((u8 *)args + features[i].given));
		if (r)
			return r;
		(*argc)--;
		return features[i].parse(ti, dm_shift_arg(as), args);
	}
	if (!strcmp(name, "peer")) {
		r = need_words(ti, name, *argc, 2);
		if (r)
			return r;
		*argc -= 2;
		id = dm_shift_arg(as);
		return parse_peer(ti, id, dm_shift_arg(as), args);
	}
	if (!strcmp(name, "insecure")) {
		r = parse_once(ti, name, args->insecure);
		args->insecure = true;
		return r;
	}
	fclock_complain(ti, "unknown feature argument %s", name);
	ti->error = "Unknown feature argument";
	return -EINVAL;
}

/**
 * fclock_parse_args - parse "[<#feature_args> <feature_arg>*]"
 * @args: @args->node is set already
 */
int fclock_parse_args(struct dm_target *ti, struct dm_arg_set *as,
		      struct fclock_args *args)
{
	unsigned int argc = 0;
	int r;

	args->trigger_timeout = FCLOCK_DEFAULT_TIMEOUT;
	if (as->argc) {
		const char *word = dm_shift_arg(as);

		if (kstrtouint(word, 10, &argc) || argc != as->argc) {
			fclock_complain(ti, "%s feature arguments are announced and %u follow",
					word, as->argc);
			ti->error = "Invalid number of feature arguments";
			return -EINVAL;
		}
	}
	while (argc) {
		r = parse_feature(ti, as, &argc, args);
		if (r)
			return r;
	}
	return check_args(ti, args);
}

unsigned int fclock_count_args(const struct fclock_args *args)
{
	return 2 * args->has_grain + 2 * args->has_listen +
	       3 * args->nr_peers + 2 * args->has_cache_limit +
	       2 * args->has_timeout + 2 * args->has_cluster +
	       2 * args->has_key + args->insecure;
}
