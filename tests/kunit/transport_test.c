// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the transport: nodes of a toy core speak with each other and with
 * strangers over the loopback device of this kernel, with lockdep looking on.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include "auth.h"
#include "peer.h"
#include "transport.h"

#define NODES		3
#define FIRST_PORT	7788
#define HEADER		sizeof(struct fclock_wire_header)
#define HELLO		sizeof(struct fclock_wire_hello)
#define WAIT_MS		20000
/* Longer than the transport waits for a HELLO. */
#define STRANGER_S	8

struct toy_link {
	bool up, greet, welcome;	/* greet: HELLO or WELCOME is due */
	unsigned int opened, adopted, lost, refused;
	unsigned int want, asked;	/* frames to send */
	unsigned int owe;		/* echoes to send */
	unsigned int got, echoed;
	unsigned int wrong;		/* what must not happen */
	u64 seq_in, seq_out;		/* of the connection */
};

struct toy {
	struct fclock_transport *t;
	unsigned int node;
	spinlock_t lock;		/* all below */
	bool running, refuse;
	struct toy_link link[NODES + 1];
};

struct cluster {
	struct kunit *test;
	struct fclock_key *key[NODES + 1];	/* NULL: none */
	struct toy toy[NODES + 1];
};

/* ---- The toy core ---- */

static struct toy_link *enter(struct toy *toy, unsigned int node,
			      unsigned long *flags)
{
	spin_lock_irqsave(&toy->lock, *flags);
	if (!toy->running)
		toy->link[node].wrong++;
	return &toy->link[node];
}

static void leave(struct toy *toy, unsigned long flags)
{
	spin_unlock_irqrestore(&toy->lock, flags);
}

static void link_up(struct toy_link *l, bool welcome)
{
	l->up = true;
	l->greet = true;
	l->welcome = welcome;
	l->owe = 0;
	l->seq_in = welcome;
	l->seq_out = 0;
}

static void toy_opened(void *ctx, unsigned int node)
{
	struct toy *toy = ctx;
	unsigned long flags;
	struct toy_link *l = enter(toy, node, &flags);

	l->wrong += l->up;
	l->opened++;
	link_up(l, false);
	leave(toy, flags);
}

static int write_frame(struct toy_link *l, void *buf, u8 type, u32 length)
{
	struct fclock_msg msg = {
		.type = type,
		.length = length,
		.sender = 1,
		.seq = ++l->seq_out,
		.state = 1,
	};

	fclock_wire_encode_header(buf, &msg);
	return HEADER + length;
}

static int write_greeting(struct toy *toy, struct toy_link *l, void *buf,
			  unsigned int node, u8 type, int refusal)
{
	struct fclock_wire_hello *hello = buf + HEADER;

	memset(hello, 0, sizeof(*hello));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = toy->node;
	hello->peer_id = node;
	hello->refusal = cpu_to_le32(refusal);
	hello->length = cpu_to_le64(1 << 20);
	hello->room = cpu_to_le64(1 << 20);
	hello->grain = cpu_to_le32(FCLOCK_DEFAULT_GRAIN);
	hello->trigger_timeout = cpu_to_le32(10000);
	strscpy(hello->host, "toy", sizeof(hello->host));
	return write_frame(l, buf, type, HELLO);
}

static int toy_hello(void *ctx, unsigned int node, const struct fclock_msg *msg,
		     const struct fclock_wire_hello *hello, void *refusal,
		     size_t *refusal_len)
{
	struct toy *toy = ctx;
	unsigned long flags;
	struct toy_link *l = enter(toy, node, &flags);
	struct toy_link other = {};
	int r = 0;

	l->wrong += hello->node_id != node;
	if (toy->refuse) {
		*refusal_len = write_greeting(toy, &other, refusal, node,
					      FCLOCK_WELCOME, EACCES);
		r = -EACCES;
	} else {
		l->adopted++;
		link_up(l, true);
	}
	leave(toy, flags);
	return r;
}

/* The bytes of a large frame follow from its number. */
static void fill(u8 *payload, u64 seq)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_MD_BLOCK_SIZE; i++)
		payload[i] = seq * 7 + i;
}

static bool filled(const u8 *payload, u64 seq)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_MD_BLOCK_SIZE; i++)
		if (payload[i] != (u8)(seq * 7 + i))
			return false;
	return true;
}

static int toy_receive(void *ctx, unsigned int node,
		       const struct fclock_msg *msg, const void *payload)
{
	struct toy *toy = ctx;
	unsigned long flags;
	struct toy_link *l = enter(toy, node, &flags);
	const struct fclock_wire_hello *hello = payload;
	int r = 0;

	l->wrong += !l->up || msg->seq != ++l->seq_in;
	switch (msg->type) {
	case FCLOCK_WELCOME:
		if (hello->refusal) {
			l->refused++;
			r = -EACCES;
		}
		break;
	case FCLOCK_RESUME:
		l->wrong += !filled(payload, msg->seq);
		l->got++;
		l->owe++;
		fclock_transport_kick(toy->t, node);
		break;
	case FCLOCK_BYE:
		l->echoed++;
		break;
	}
	leave(toy, flags);
	return r;
}

static int toy_next_frame(void *ctx, unsigned int node, void *buf)
{
	struct toy *toy = ctx;
	unsigned long flags;
	struct toy_link *l = enter(toy, node, &flags);
	int r = 0;

	l->wrong += !l->up;
	if (l->greet) {
		l->greet = false;
		r = write_greeting(toy, l, buf, node, l->welcome ?
				   FCLOCK_WELCOME : FCLOCK_HELLO, 0);
	} else if (l->seq_in && l->owe) {
		l->owe--;
		r = write_frame(l, buf, FCLOCK_BYE, 0);
	} else if (l->seq_in && l->want) {
		l->want--;
		fill(buf + HEADER, l->seq_out + 1);
		r = write_frame(l, buf, FCLOCK_RESUME, FCLOCK_MD_BLOCK_SIZE);
	}
	leave(toy, flags);
	return r;
}

static void toy_lost(void *ctx, unsigned int node)
{
	struct toy *toy = ctx;
	unsigned long flags;
	struct toy_link *l = enter(toy, node, &flags);

	l->wrong += !l->up;
	l->up = false;
	l->lost++;
	leave(toy, flags);
}

static u64 toy_grains(void *ctx)
{
	return 1024;
}

static const struct fclock_transport_ops toy_ops = {
	.opened = toy_opened,
	.hello = toy_hello,
	.receive = toy_receive,
	.next_frame = toy_next_frame,
	.lost = toy_lost,
	.grains = toy_grains,
};

/* ---- Clusters of them ---- */

static struct fclock_addr loopback(sa_family_t family, u16 port)
{
	struct fclock_addr addr = {};

	if (family == AF_INET6) {
		addr.in6.sin6_family = AF_INET6;
		addr.in6.sin6_addr = in6addr_loopback;
		addr.in6.sin6_port = htons(port);
	} else {
		addr.in4.sin_family = AF_INET;
		addr.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr.in4.sin_port = htons(port);
	}
	return addr;
}

static unsigned int others(struct fclock_peer_addr *peers, sa_family_t family,
			   unsigned int node)
{
	unsigned int i, n = 0;

	for (i = 1; i <= NODES; i++) {
		if (i == node)
			continue;
		peers[n].node = i;
		peers[n++].addr = loopback(family, FIRST_PORT + i);
	}
	return n;
}

static void create_node(struct cluster *c, sa_family_t family,
			unsigned int node)
{
	struct fclock_addr listen = loopback(family, FIRST_PORT + node);
	struct fclock_peer_addr peers[NODES];
	unsigned int n = others(peers, family, node);
	struct toy *toy = &c->toy[node];

	toy->node = node;
	spin_lock_init(&toy->lock);
	toy->t = fclock_transport_create(&init_net, node, &listen, peers, n,
					 c->key[node], &toy_ops, toy);
	KUNIT_ASSERT_FALSE(c->test, IS_ERR(toy->t));
}

static void start_node(struct cluster *c, unsigned int node)
{
	struct toy *toy = &c->toy[node];
	unsigned int i;

	for (i = 1; i <= NODES; i++)
		toy->link[i].up = false;
	toy->running = true;
	KUNIT_ASSERT_EQ(c->test, fclock_transport_start(toy->t), 0);
}

static void stop_node(struct cluster *c, unsigned int node)
{
	fclock_transport_stop(c->toy[node].t);
	/* From now on a call is wrong. */
	c->toy[node].running = false;
}

static struct fclock_key *make_key(struct kunit *test, u8 first)
{
	u8 secret[32] = { first };
	struct fclock_key *key;

	if (!first)
		return NULL;
	key = fclock_key_create(secret, sizeof(secret));
	KUNIT_ASSERT_FALSE(test, IS_ERR(key));
	return key;
}

/* @keys: a letter for each node's key, '\0' for none */
static struct cluster *keyed_cluster(struct kunit *test, sa_family_t family,
				     const u8 keys[NODES])
{
	struct cluster *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c);
	c->test = test;
	for (i = 1; i <= NODES; i++) {
		c->key[i] = make_key(test, keys[i - 1]);
		create_node(c, family, i);
	}
	return c;
}

static struct cluster *cluster(struct kunit *test, sa_family_t family)
{
	static const u8 none[NODES];

	return keyed_cluster(test, family, none);
}

static void end_cluster(struct cluster *c)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++) {
		stop_node(c, i);
		fclock_transport_destroy(c->toy[i].t);
		fclock_key_put(c->key[i]);
	}
	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			KUNIT_EXPECT_EQ(c->test, c->toy[i].link[j].wrong, 0);
}

static bool all_up(struct cluster *c)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			if (i != j && !READ_ONCE(c->toy[i].link[j].up))
				return false;
	return true;
}

static bool all_echoed(struct cluster *c)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			if (READ_ONCE(c->toy[i].link[j].echoed) !=
			    c->toy[i].link[j].asked)
				return false;
	return true;
}

#define wait_for(c, cond) do {						\
	unsigned int _ms = 0;						\
	bool _ok;							\
									\
	while (!(_ok = (cond)) && _ms < WAIT_MS) {			\
		msleep(20);						\
		_ms += 20;						\
	}								\
	KUNIT_EXPECT_TRUE((c)->test, _ok);				\
} while (0)

static void ask(struct cluster *c, unsigned int from, unsigned int to,
		unsigned int count)
{
	struct toy *toy = &c->toy[from];

	spin_lock_irq(&toy->lock);
	toy->link[to].want += count;
	toy->link[to].asked += count;
	spin_unlock_irq(&toy->lock);
	fclock_transport_kick(toy->t, to);
}

static void ask_all(struct cluster *c, unsigned int count)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			if (i != j)
				ask(c, i, j, count);
}

static void start_all(struct cluster *c)
{
	unsigned int i;

	for (i = 1; i <= NODES; i++)
		start_node(c, i);
}

static struct cluster *running_cluster(struct kunit *test, sa_family_t family)
{
	struct cluster *c = cluster(test, family);

	start_all(c);
	wait_for(c, all_up(c));
	return c;
}

/* ---- Tests ---- */

static void exchange(struct kunit *test, sa_family_t family)
{
	struct cluster *c = running_cluster(test, family);

	ask_all(c, 200);
	wait_for(c, all_echoed(c));
	KUNIT_EXPECT_EQ(test, c->toy[1].link[3].adopted, 1);
	KUNIT_EXPECT_EQ(test, c->toy[3].link[1].opened, 1);
	KUNIT_EXPECT_EQ(test, c->toy[3].link[1].adopted, 0);
	end_cluster(c);
}

static void exchange_ipv4(struct kunit *test)
{
	exchange(test, AF_INET);
}

static void exchange_ipv6(struct kunit *test)
{
	exchange(test, AF_INET6);
}

static void reconnects(struct kunit *test)
{
	struct cluster *c = running_cluster(test, AF_INET);
	struct toy_link *l = &c->toy[2].link[1];

	fclock_transport_disconnect(c->toy[1].t, 2);
	wait_for(c, READ_ONCE(l->opened) == 2 && all_up(c));
	KUNIT_EXPECT_EQ(test, l->lost, 1);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].lost, 1);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[3].lost, 0);
	ask_all(c, 20);
	wait_for(c, all_echoed(c));
	end_cluster(c);
}

static void starts_again(struct kunit *test)
{
	struct cluster *c = running_cluster(test, AF_INET);
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		for (j = 1; j <= NODES; j++)
			ask(c, j, 1 + j % NODES, 500);
		msleep(20 * i);
		j = 1 + i % NODES;
		stop_node(c, j);
		fclock_transport_kick(c->toy[j].t, 1 + j % NODES);
		start_node(c, j);
		wait_for(c, all_up(c));
	}
	end_cluster(c);
}

static void refuses(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct toy_link *l = &c->toy[2].link[1];

	c->toy[1].refuse = true;
	start_node(c, 1);
	start_node(c, 2);
	wait_for(c, READ_ONCE(l->refused) >= 2);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 0);
	WRITE_ONCE(c->toy[1].refuse, false);
	wait_for(c, READ_ONCE(l->up) && READ_ONCE(c->toy[1].link[2].up));
	KUNIT_EXPECT_EQ(test, l->lost, l->opened - 1);
	end_cluster(c);
}

static void drains(struct kunit *test)
{
	struct cluster *c = running_cluster(test, AF_INET);

	ask(c, 1, 2, 300);
	fclock_transport_drain(c->toy[1].t, WAIT_MS);
	stop_node(c, 1);
	wait_for(c, READ_ONCE(c->toy[2].link[1].got) == 300);
	end_cluster(c);
}

static void changes_peers(struct kunit *test)
{
	struct cluster *c = running_cluster(test, AF_INET);
	struct fclock_peer_addr peers[NODES];
	unsigned int n = others(peers, AF_INET, 1);
	struct fclock_transport *t = c->toy[1].t;

	KUNIT_EXPECT_EQ(test, fclock_transport_set_peers(t, peers, n), 0);
	msleep(100);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].lost, 0);
	/* Without node 3. */
	KUNIT_EXPECT_EQ(test, fclock_transport_set_peers(t, peers, 1), 0);
	wait_for(c, READ_ONCE(c->toy[1].link[3].lost) == 1);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].lost, 0);
	KUNIT_EXPECT_EQ(test, fclock_transport_set_peers(t, peers, n), 0);
	wait_for(c, all_up(c));
	peers[0].node = 1;
	KUNIT_EXPECT_EQ(test, fclock_transport_set_peers(t, peers, n), -EINVAL);
	peers[0].node = 2;
	peers[0].addr = loopback(AF_INET6, FIRST_PORT);
	KUNIT_EXPECT_EQ(test, fclock_transport_set_peers(t, peers, n),
			-EAFNOSUPPORT);
	end_cluster(c);
}

/* ---- Strangers ---- */

static struct socket *stranger(struct kunit *test, u16 port)
{
	struct fclock_addr from = loopback(AF_INET, port);
	struct fclock_addr to = loopback(AF_INET, FIRST_PORT + 1);
	struct socket *sock;
	int r;

	KUNIT_ASSERT_EQ(test, sock_create_kern(&init_net, AF_INET, SOCK_STREAM,
					       IPPROTO_TCP, &sock), 0);
	sock_set_reuseaddr(sock->sk);
	sock_no_linger(sock->sk);
	sock->sk->sk_rcvtimeo = STRANGER_S * HZ;
	KUNIT_ASSERT_EQ(test, kernel_bind(sock, (void *)&from,
					  sizeof(from.in4)), 0);
	r = kernel_connect(sock, (void *)&to, sizeof(to.in4), 0);
	/* who is not wanted may be cut off before this returns */
	KUNIT_ASSERT_TRUE(test, !r || r == -ECONNRESET);
	return sock;
}

static int stranger_reads(struct socket *sock, void *buf, size_t len)
{
	struct msghdr msg = {};
	struct kvec iov = { .iov_base = buf, .iov_len = len };

	return kernel_recvmsg(sock, &msg, &iov, 1, len, MSG_WAITALL);
}

static void stranger_sends(struct socket *sock, void *buf, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
	struct kvec iov = { .iov_base = buf, .iov_len = len };

	kernel_sendmsg(sock, &msg, &iov, 1, len);
}

/* The first that everybody hears. */
static void hear_challenge(struct kunit *test, struct socket *sock, void *frame)
{
	KUNIT_EXPECT_EQ(test, stranger_reads(sock, frame,
					     FCLOCK_CHALLENGE_FRAME),
			(int)FCLOCK_CHALLENGE_FRAME);
}

/* Is cut off, however politely; it may have heard the challenge. */
static void expect_cut(struct kunit *test, struct socket *sock)
{
	unsigned int heard = 0;
	u8 byte;
	int r;

	do {
		r = stranger_reads(sock, &byte, 1);
	} while (r == 1 && heard++ < FCLOCK_CHALLENGE_FRAME);

	KUNIT_EXPECT_TRUE(test, r == 0 || r == -ECONNRESET || r == -EPIPE ||
			  r == -ENOTCONN);
	sock_release(sock);
}

enum oddity {
	GARBAGE,
	LONG,
	SHORT,
	HALF,
	SILENT,
	OTHER_TYPE,
	CHALLENGED,
	OTHER_VERSION,
	WITH_KEY,
	STRANGE_NODE,
	LOWER_NODE,
	WILD_NODE,
	NR_ODDITIES,
};

static size_t odd_hello(u8 *buf, enum oddity oddity)
{
	struct toy toy = { .node = 2 };
	struct toy_link l = {};
	struct fclock_wire_header *header = (void *)buf;
	struct fclock_wire_hello *hello = (void *)buf + HEADER;
	size_t len = write_greeting(&toy, &l, buf, 1, FCLOCK_HELLO, 0);

	switch (oddity) {
	case GARBAGE:
		get_random_bytes(buf, len);
		break;
	case LONG:
		header->length = cpu_to_le32(~0);
		break;
	case SHORT:
		header->length = cpu_to_le32(HELLO - 8);
		break;
	case HALF:
		return len / 2;
	case SILENT:
		return 0;
	case OTHER_TYPE:
		header->type = FCLOCK_WELCOME;
		break;
	case CHALLENGED:
		header->type = FCLOCK_CHALLENGE;
		header->length =
			cpu_to_le32(sizeof(struct fclock_wire_challenge));
		break;
	case OTHER_VERSION:
		header->version++;
		break;
	case WITH_KEY:
		fclock_auth_demand_key(buf);
		break;
	case STRANGE_NODE:
		hello->node_id = NODES + 1;
		break;
	case LOWER_NODE:
		hello->node_id = 1;
		break;
	case WILD_NODE:
		hello->node_id = 255;
		break;
	default:
		break;
	}
	return len;
}

static void strangers(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct socket *sock[NR_ODDITIES + 1];
	u8 *buf = kunit_kzalloc(test, FCLOCK_HELLO_FRAME, GFP_KERNEL);
	unsigned int i;
	size_t len;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	start_node(c, 1);
	for (i = 0; i < NR_ODDITIES; i++) {
		sock[i] = stranger(test, 700 + i);
		len = odd_hello(buf, i);
		if (len)
			stranger_sends(sock[i], buf, len);
		/* Those that may wait for the deadline do so together. */
		if (i != HALF && i != SILENT)
			expect_cut(test, sock[i]);
	}
	/* An unprivileged port; and the right words do not help. */
	sock[i] = stranger(test, 2000);
	stranger_sends(sock[i], buf, odd_hello(buf, NR_ODDITIES));
	expect_cut(test, sock[i]);
	expect_cut(test, sock[HALF]);
	expect_cut(test, sock[SILENT]);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 0);
	end_cluster(c);
}

/* Who holds all the places and says nothing does not keep out who says HELLO. */
#define CROWD	12
#define PLACES	8

static void crowd(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct socket *sock[CROWD], *good;
	u8 *buf = kunit_kzalloc(test, FCLOCK_HELLO_FRAME, GFP_KERNEL);
	unsigned long began = jiffies;
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	start_node(c, 1);
	for (i = 0; i < CROWD; i++)
		sock[i] = stranger(test, 950 + i);
	for (i = 0; i < CROWD - PLACES; i++)
		expect_cut(test, sock[i]);
	good = stranger(test, 950 + CROWD);
	hear_challenge(test, good, buf);
	stranger_sends(good, buf, odd_hello(buf, NR_ODDITIES));
	KUNIT_EXPECT_EQ(test, stranger_reads(good, buf, FCLOCK_HELLO_FRAME),
			(int)FCLOCK_HELLO_FRAME);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 1);
	expect_cut(test, sock[i++]);
	/* and not because the time of the others was over */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - began), 4000);
	for (; i < CROWD; i++)
		expect_cut(test, sock[i]);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(c->toy[1].link[2].up));
	sock_release(good);
	end_cluster(c);
}

/* A peer that speaks well, then not. */
static void bad_frames(struct kunit *test)
{
	static const u8 type[] = {
		FCLOCK_HELLO, FCLOCK_WELCOME, FCLOCK_LOCK_REQUEST, 99,
		FCLOCK_RESUME, FCLOCK_CHALLENGE,
	};
	struct cluster *c = cluster(test, AF_INET);
	struct toy_link *l = &c->toy[1].link[2];
	u8 *buf = kunit_kzalloc(test, FCLOCK_FRAME_MAX, GFP_KERNEL);
	struct fclock_wire_header *header = (void *)buf;
	struct socket *sock;
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	start_node(c, 1);
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		sock = stranger(test, 800 + i);
		hear_challenge(test, sock, buf);
		stranger_sends(sock, buf, odd_hello(buf, NR_ODDITIES));
		KUNIT_EXPECT_EQ(test, stranger_reads(sock, buf,
						     FCLOCK_HELLO_FRAME),
				(int)FCLOCK_HELLO_FRAME);
		KUNIT_EXPECT_EQ(test, header->type, FCLOCK_WELCOME);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(l->up));

		odd_hello(buf, NR_ODDITIES);
		header->type = type[i];
		if (type[i] == FCLOCK_RESUME)
			header->length = cpu_to_le32(FCLOCK_MD_BLOCK_SIZE + 1);
		if (type[i] == FCLOCK_LOCK_REQUEST)
			header->length = cpu_to_le32(24);
		if (type[i] == FCLOCK_CHALLENGE)
			header->length = cpu_to_le32(40);
		stranger_sends(sock, buf, FCLOCK_HELLO_FRAME);
		expect_cut(test, sock);
		wait_for(c, READ_ONCE(l->lost) == i + 1);
		KUNIT_EXPECT_EQ(test, l->adopted, i + 1);
	}
	end_cluster(c);
}

/* The newer connection of a node replaces the older one without a loss. */
static void replaces(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct toy_link *l = &c->toy[1].link[2];
	u8 *buf = kunit_kzalloc(test, FCLOCK_HELLO_FRAME, GFP_KERNEL);
	struct socket *sock[2];
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	start_node(c, 1);
	for (i = 0; i < 2; i++) {
		sock[i] = stranger(test, 900 + i);
		hear_challenge(test, sock[i], buf);
		stranger_sends(sock[i], buf, odd_hello(buf, NR_ODDITIES));
		KUNIT_EXPECT_EQ(test, stranger_reads(sock[i], buf,
						     FCLOCK_HELLO_FRAME),
				(int)FCLOCK_HELLO_FRAME);
	}
	expect_cut(test, sock[0]);
	KUNIT_EXPECT_EQ(test, l->adopted, 2);
	KUNIT_EXPECT_EQ(test, l->lost, 0);
	sock_release(sock[1]);
	wait_for(c, READ_ONCE(l->lost) == 1);
	end_cluster(c);
}

/* Node 2 meets a node 1 of another version, and says which one it speaks. */
static void other_version(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct fclock_addr at = loopback(AF_INET, FIRST_PORT + 1);
	u8 *buf = kunit_kzalloc(test, FCLOCK_HELLO_FRAME, GFP_KERNEL);
	struct fclock_wire_header *header = (void *)buf;
	struct socket *listener, *sock;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	KUNIT_ASSERT_EQ(test, sock_create_kern(&init_net, AF_INET, SOCK_STREAM,
					       IPPROTO_TCP, &listener), 0);
	sock_set_reuseaddr(listener->sk);
	listener->sk->sk_rcvtimeo = STRANGER_S * HZ;
	KUNIT_ASSERT_EQ(test, kernel_bind(listener, (void *)&at,
					  sizeof(at.in4)), 0);
	KUNIT_ASSERT_EQ(test, kernel_listen(listener, 1), 0);
	start_node(c, 2);
	KUNIT_ASSERT_EQ(test, kernel_accept(listener, &sock, 0), 0);
	sock->sk->sk_rcvtimeo = STRANGER_S * HZ;
	sock_no_linger(sock->sk);
	fclock_auth_challenge(buf, 1, false);
	header->version++;
	stranger_sends(sock, buf, FCLOCK_CHALLENGE_FRAME);
	memset(buf, 0, FCLOCK_HELLO_FRAME);
	KUNIT_EXPECT_EQ(test, stranger_reads(sock, buf, HEADER), (int)HEADER);
	KUNIT_EXPECT_EQ(test, header->version, FCLOCK_WIRE_VERSION);
	KUNIT_EXPECT_EQ(test, header->type, FCLOCK_HELLO);
	expect_cut(test, sock);
	KUNIT_EXPECT_EQ(test, c->toy[2].link[1].opened, 0);
	sock_release(listener);
	end_cluster(c);
}

/* ---- Keys ---- */

#define KEYS(a, b, c) ((const u8 [NODES]) { a, b, c })

static u64 failures(struct cluster *c, unsigned int node)
{
	return fclock_transport_auth_failures(c->toy[node].t);
}

static bool pair_up(struct cluster *c, unsigned int a, unsigned int b)
{
	return READ_ONCE(c->toy[a].link[b].up) &&
	       READ_ONCE(c->toy[b].link[a].up);
}

static void keyed(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	unsigned int i;

	start_all(c);
	wait_for(c, all_up(c));
	ask_all(c, 100);
	wait_for(c, all_echoed(c));
	fclock_transport_disconnect(c->toy[1].t, 2);
	wait_for(c, READ_ONCE(c->toy[2].link[1].opened) == 2 && all_up(c));
	ask_all(c, 20);
	wait_for(c, all_echoed(c));
	for (i = 1; i <= NODES; i++)
		KUNIT_EXPECT_EQ(test, failures(c, i), 0);
	end_cluster(c);
}

/* Node 2 is kept out by both others, without a storm, until it has their key. */
static void kept_out(struct kunit *test, u8 its)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', its, 'k'));
	unsigned long began = jiffies;

	start_all(c);
	wait_for(c, pair_up(c, 1, 3));
	/* it connects to node 1, and node 3 to it: three times each */
	wait_for(c, failures(c, 1) >= 3 && failures(c, its ? 2 : 3) >= 3);
	/* after 250, 500 ms */
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - began), 700);
	KUNIT_EXPECT_LE(test, failures(c, 1), 4);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 0);
	KUNIT_EXPECT_EQ(test, c->toy[2].link[3].adopted, 0);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(c->toy[1].link[2].up));
	KUNIT_EXPECT_FALSE(test, READ_ONCE(c->toy[2].link[3].up));
	KUNIT_EXPECT_EQ(test, c->toy[2].link[1].got, 0);

	KUNIT_EXPECT_EQ(test, fclock_transport_set_key(c->toy[2].t, c->key[1]),
			0);
	wait_for(c, all_up(c));
	ask_all(c, 20);
	wait_for(c, all_echoed(c));
	KUNIT_EXPECT_EQ(test, c->toy[1].link[3].lost, 0);
	end_cluster(c);
}

static void wrong_key(struct kunit *test)
{
	kept_out(test, 'x');
}

static void no_key(struct kunit *test)
{
	kept_out(test, 0);
}

static void changes_key(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	struct fclock_key *same = make_key(test, 'k'), *new = make_key(test, 'n');
	unsigned int i;

	start_all(c);
	wait_for(c, all_up(c));
	for (i = 1; i <= NODES; i++)
		KUNIT_EXPECT_EQ(test, fclock_transport_set_key(c->toy[i].t,
							       same), 0);
	ask_all(c, 20);
	wait_for(c, all_echoed(c));
	KUNIT_EXPECT_EQ(test, c->toy[3].link[1].opened, 1);

	for (i = 1; i <= NODES; i++)
		KUNIT_EXPECT_EQ(test, fclock_transport_set_key(c->toy[i].t,
							       new), 0);
	wait_for(c, READ_ONCE(c->toy[3].link[1].opened) >= 2 &&
		 READ_ONCE(c->toy[3].link[2].opened) >= 2 && all_up(c));
	ask_all(c, 20);
	wait_for(c, all_echoed(c));

	/* and to none */
	for (i = 1; i <= NODES; i++)
		KUNIT_EXPECT_EQ(test, fclock_transport_set_key(c->toy[i].t,
							       NULL), 0);
	wait_for(c, READ_ONCE(c->toy[3].link[1].opened) >= 3 && all_up(c));
	ask_all(c, 20);
	wait_for(c, all_echoed(c));
	fclock_key_put(same);
	fclock_key_put(new);
	end_cluster(c);
}

/* The counter comes to its end: another connection, with other keys. */
static void renews_keys(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	struct fclock_peer *a = c->toy[1].t->peer[2], *b = c->toy[2].t->peer[1];

	start_all(c);
	wait_for(c, all_up(c));
	mutex_lock(&a->mutex);
	fclock_auth_set_counters(a->auth, U64_MAX - 3, 0);
	mutex_unlock(&a->mutex);
	mutex_lock(&b->mutex);
	fclock_auth_set_counters(b->auth, 0, U64_MAX - 3);
	mutex_unlock(&b->mutex);
	ask(c, 1, 2, 1);
	wait_for(c, all_echoed(c));
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].lost, 0);
	/* the last frame of these keys, and one that waits for the next ones */
	ask(c, 1, 2, 1);
	wait_for(c, all_echoed(c));
	fclock_transport_kick(c->toy[1].t, 2);
	ask(c, 1, 2, 1);
	wait_for(c, READ_ONCE(c->toy[1].link[2].lost) == 1 && all_up(c));
	KUNIT_EXPECT_EQ(test, c->toy[2].link[1].opened, 2);
	KUNIT_EXPECT_EQ(test, failures(c, 1) + failures(c, 2), 0);
	end_cluster(c);
}

/* Node 2, played by one who has the key. */
struct actor {
	struct socket *sock;
	struct fclock_auth *auth;
	u8 *frame;
	u64 seq;
};

static void actor_greets(struct kunit *test, struct actor *a,
			 struct fclock_key *key, u16 port)
{
	struct fclock_greeting *g;

	a->auth = fclock_auth_create(key);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a->auth);
	a->frame = kunit_kzalloc(test, FCLOCK_FRAME_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a->frame);
	a->sock = stranger(test, port);
	a->seq = 1;
	g = fclock_auth_greeting(a->auth);
	hear_challenge(test, a->sock, g->challenge);
	odd_hello(g->hello, NR_ODDITIES);
	KUNIT_EXPECT_EQ(test, fclock_auth_sign_hello(key, g), 0);
	stranger_sends(a->sock, g->hello, FCLOCK_HELLO_FRAME);
	KUNIT_EXPECT_EQ(test, stranger_reads(a->sock, a->frame,
					     FCLOCK_HELLO_FRAME),
			(int)FCLOCK_HELLO_FRAME);
	KUNIT_EXPECT_EQ(test, fclock_auth_check_welcome(key, g, a->frame), 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_begin(a->auth, FCLOCK_AUTH_CONNECTOR,
						a->frame), 0);
}

static void actor_says_bye(struct kunit *test, struct actor *a)
{
	struct toy_link l = { .seq_out = a->seq++ };

	write_frame(&l, a->frame, FCLOCK_BYE, 0);
	KUNIT_EXPECT_EQ(test, fclock_auth_seal(a->auth, a->frame, HEADER), 0);
	stranger_sends(a->sock, a->frame, HEADER);
}

enum forgery {
	UNSEALED,
	TWICE,
	CHANGED,
	SKIPPED,
	BACK,
	NR_FORGERIES,
};

static void forge(struct kunit *test, struct actor *a, enum forgery how)
{
	struct toy_link l = { .seq_out = a->seq };
	struct fclock_wire_header *header = (void *)a->frame;

	switch (how) {
	case UNSEALED:
		write_frame(&l, a->frame, FCLOCK_BYE, 0);
		break;
	case TWICE:
		break;
	case CHANGED:
		write_frame(&l, a->frame, FCLOCK_BYE, 0);
		fclock_auth_seal(a->auth, a->frame, HEADER);
		header->id = cpu_to_le64(1);
		break;
	case SKIPPED:
		write_frame(&l, a->frame, FCLOCK_BYE, 0);
		fclock_auth_seal(a->auth, a->frame, HEADER);
		fclock_auth_seal(a->auth, a->frame, HEADER);
		break;
	case BACK:
		/* what it says itself, turned round */
		break;
	default:
		break;
	}
	stranger_sends(a->sock, a->frame, HEADER);
}

static void forgeries(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	struct toy_link *l = &c->toy[1].link[2];
	struct actor a;
	unsigned int i;

	start_node(c, 1);
	for (i = 0; i < NR_FORGERIES; i++) {
		actor_greets(test, &a, c->key[1], 2000 + i);
		actor_says_bye(test, &a);
		wait_for(c, READ_ONCE(l->echoed) == i + 1);
		if (i == BACK) {
			ask(c, 1, 2, 1);
			stranger_reads(a.sock, a.frame, FCLOCK_FRAME_MAX);
			stranger_sends(a.sock, a.frame, FCLOCK_FRAME_MAX);
		} else {
			forge(test, &a, i);
		}
		wait_for(c, READ_ONCE(l->lost) == i + 1);
		KUNIT_EXPECT_EQ(test, l->echoed, i + 1);
		KUNIT_EXPECT_EQ(test, l->got, 0);
		KUNIT_EXPECT_EQ(test, failures(c, 1), i + 1);
		sock_release(a.sock);
		fclock_auth_destroy(a.auth);
	}
	end_cluster(c);
}

/* A HELLO of a former connection, and all kinds of bytes where the proof should be. */
static void unproved(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	struct fclock_wire_header *header;
	struct socket *sock;
	struct actor a;
	u8 *hello;
	unsigned int i;

	start_node(c, 1);
	actor_greets(test, &a, c->key[1], 2000);
	hello = fclock_auth_greeting(a.auth)->hello;
	header = (void *)hello;
	for (i = 0; i < 20; i++) {
		if (i == 1)
			memset(header->tag, 0, sizeof(header->tag));
		else if (i)
			get_random_bytes(header->tag, sizeof(header->tag));
		sock = stranger(test, 2001 + i);
		stranger_sends(sock, hello, FCLOCK_HELLO_FRAME);
		expect_cut(test, sock);
	}
	KUNIT_EXPECT_EQ(test, failures(c, 1), 20);
	/* the connection that there is lives on */
	actor_says_bye(test, &a);
	wait_for(c, READ_ONCE(c->toy[1].link[2].echoed) == 1);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 1);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].lost, 0);
	sock_release(a.sock);
	fclock_auth_destroy(a.auth);
	end_cluster(c);
}

/*
 * Who came from any port while there was a key is not let in without one when the key
 * has gone meanwhile.
 */
static void key_goes(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	u8 *buf = kunit_kzalloc(test, FCLOCK_HELLO_FRAME, GFP_KERNEL);
	static const u16 port[] = { 2000, 990 };
	struct socket *sock[2];
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	start_node(c, 1);
	for (i = 0; i < 2; i++) {
		sock[i] = stranger(test, port[i]);
		hear_challenge(test, sock[i], buf);
	}
	KUNIT_EXPECT_EQ(test, fclock_transport_set_key(c->toy[1].t, NULL), 0);
	stranger_sends(sock[0], buf, odd_hello(buf, NR_ODDITIES));
	expect_cut(test, sock[0]);
	KUNIT_EXPECT_EQ(test, c->toy[1].link[2].adopted, 0);
	stranger_sends(sock[1], buf, odd_hello(buf, NR_ODDITIES));
	wait_for(c, READ_ONCE(c->toy[1].link[2].adopted) == 1);
	sock_release(sock[1]);
	end_cluster(c);
}

/* A refusal of the core is proved like any WELCOME. */
static void refuses_keyed(struct kunit *test)
{
	struct cluster *c = keyed_cluster(test, AF_INET, KEYS('k', 'k', 'k'));
	struct toy_link *l = &c->toy[2].link[1];

	c->toy[1].refuse = true;
	start_node(c, 1);
	start_node(c, 2);
	wait_for(c, READ_ONCE(l->refused) >= 2);
	KUNIT_EXPECT_EQ(test, failures(c, 2), 0);
	WRITE_ONCE(c->toy[1].refuse, false);
	wait_for(c, pair_up(c, 1, 2));
	end_cluster(c);
}

static void address_in_use(struct kunit *test)
{
	struct cluster *c = cluster(test, AF_INET);
	struct fclock_addr listen = loopback(AF_INET, FIRST_PORT + 1);
	struct fclock_transport *t;

	start_node(c, 1);
	t = fclock_transport_create(&init_net, 9, &listen, NULL, 0, NULL,
				    &toy_ops, &c->toy[2]);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t));
	KUNIT_EXPECT_EQ(test, fclock_transport_start(t), -EADDRINUSE);
	stop_node(c, 1);
	KUNIT_EXPECT_EQ(test, fclock_transport_start(t), 0);
	fclock_transport_destroy(t);
	end_cluster(c);
}

/*
 * User-mode Linux receives what the loopback device carries on the sender's stack.
 * With KASAN that needs twice the default, as on other machines.
 */
#define STACK_NEEDED	SZ_32K

static int deep_stack(struct kunit *test)
{
	if (THREAD_SIZE < STACK_NEEDED)
		kunit_skip(test, "stacks of %lu bytes, %d needed: set CONFIG_KERNEL_STACK_ORDER=3",
			   (unsigned long)THREAD_SIZE, STACK_NEEDED);
	return 0;
}

/* Nobody else is there this early. */
static int loopback_up(struct kunit_suite *suite)
{
	struct net_device *lo = init_net.loopback_dev;
	int r;

	rtnl_lock();
	r = dev_change_flags(lo, lo->flags | IFF_UP, NULL);
	rtnl_unlock();
	return r;
}

static struct kunit_case transport_cases[] = {
	KUNIT_CASE(exchange_ipv4),
	KUNIT_CASE(exchange_ipv6),
	KUNIT_CASE(reconnects),
	KUNIT_CASE(starts_again),
	KUNIT_CASE(refuses),
	KUNIT_CASE(drains),
	KUNIT_CASE(changes_peers),
	KUNIT_CASE(strangers),
	KUNIT_CASE(crowd),
	KUNIT_CASE(bad_frames),
	KUNIT_CASE(replaces),
	KUNIT_CASE(other_version),
	KUNIT_CASE(keyed),
	KUNIT_CASE(wrong_key),
	KUNIT_CASE(no_key),
	KUNIT_CASE(changes_key),
	KUNIT_CASE(renews_keys),
	KUNIT_CASE(forgeries),
	KUNIT_CASE(unproved),
	KUNIT_CASE(key_goes),
	KUNIT_CASE(refuses_keyed),
	KUNIT_CASE(address_in_use),
	{}
};

static struct kunit_suite transport_suite = {
	.name = "fclock-transport",
	.suite_init = loopback_up,
	.init = deep_stack,
	.test_cases = transport_cases,
};

kunit_test_suite(transport_suite);
