// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handshake and the tags: three real transports (transport.c peer.c guest.c auth.c)
 * with toy cores, and somebody in between who has every byte in his hands. The input
 * says what he carries, changes, repeats, leaves out, turns round and makes up; when works
 * run and time goes by; which node has which key.
 *
 * Checked: a node with a key hears only what a node with the same key said to it: each
 * frame once, in order, all from one conversation that has this node at its other end. No
 * nonce and no key seals twice. Nobody connects in a storm. When he lets go, all who have the
 * same key come together, and nobody else does. All memory is given back.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/random.h>
#include <crypto/aead.h>
#include "peer.h"
#include "net.h"
#include "input.h"

#define HEADER	sizeof(struct fclock_wire_header)
#define NODES	3
#define KEYS	3		/* 0: none */
#define SAID	4096
#define TAPE	64
#define OPS	400

/* What a toy core said. Its number stands in the frame as its id. */
struct said {
	unsigned int from, to, key;
	unsigned int talk;		/* the author's conversation */
	unsigned int answers;		/* that of the other side, as the author knows; 0: HELLO */
	u64 seq, sum;
	bool heard;
};

struct toy_link {
	bool up, greet, welcome;
	unsigned int talk, other;
	u64 seq_in, seq_out;
	unsigned int want, got;
};

struct toy {
	struct fclock_transport *t;
	unsigned int node, key;
	bool running, refuses;
	struct toy_link link[NODES + 1];
};

/* Bytes that went by. */
struct taped {
	unsigned int len;
	u8 bytes[FCLOCK_FRAME_MAX];
};

static struct toy toys[NODES + 1];
static struct said said[SAID];
static unsigned int nr_said, talks;
static struct taped tape[TAPE];
static unsigned int nr_taped;
static struct fclock_key *keys[KEYS];
static struct net name_space;
/* A new key or a start may connect at once. */
static bool may_hurry[NODES + 1][NODES + 1];
static u8 scratch[NET_BYTES] __aligned(8);

/* ---- Toy cores ---- */

static u64 sum_of(const struct fclock_msg *msg, const void *payload)
{
	const u64 head[] = { msg->type, msg->length, msg->sender,
			     msg->receiver, msg->state, msg->id, msg->seq };
	u64 sum = 0xcbf29ce484222325;
	const u64 *words = payload;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(head); i++)
		sum = (sum ^ head[i]) * 0x100000001b3;
	/* all payloads here have whole words */
	for (i = 0; i < msg->length / 8; i++)
		sum = (sum ^ words[i]) * 0x100000001b3;
	return sum ^ sum >> 32;
}

static int say(struct toy *toy, unsigned int node, struct toy_link *l,
	       unsigned int answers, void *frame, u8 type, u32 length)
{
	struct fclock_msg msg = {
		.type = type,
		.length = length,
		.sender = 1000 + toy->node,
		.receiver = 1000 + node,
		.state = 5,
		.id = nr_said,
		.seq = ++l->seq_out,
	};
	struct said *s;

	if (nr_said == SAID)
		return 0;
	s = &said[nr_said++];
	*s = (struct said) {
		.from = toy->node, .to = node, .key = toy->key,
		.talk = l->talk, .answers = answers, .seq = msg.seq,
		.sum = sum_of(&msg, frame + HEADER),
	};
	fclock_wire_encode_header(frame, &msg);
	return HEADER + length;
}

static int greet(struct toy *toy, unsigned int node, struct toy_link *l,
		 unsigned int answers, void *frame, u8 type, u32 refusal)
{
	struct fclock_wire_hello *hello = frame + HEADER;

	memset(hello, 0, sizeof(*hello));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = toy->node;
	hello->peer_id = node;
	hello->refusal = cpu_to_le32(refusal);
	memset(hello->uuid, 0x77, sizeof(hello->uuid));
	hello->length = cpu_to_le64(1 << 20);
	hello->room = cpu_to_le64(1 << 20);
	hello->grain = cpu_to_le32(FCLOCK_DEFAULT_GRAIN);
	return say(toy, node, l, answers, frame, type, sizeof(*hello));
}

static void link_up(struct toy_link *l, bool welcome)
{
	l->up = true;
	l->greet = true;
	l->welcome = welcome;
	l->talk = ++talks;
	l->other = 0;
	l->seq_in = welcome;
	l->seq_out = 0;
}

/* Did @node say this to @toy, with its key, and not before? NULL: nobody can tell. */
static struct said *believe(struct toy *toy, unsigned int node,
			    const struct fclock_msg *msg, const void *payload)
{
	struct said *s = &said[msg->id % SAID];

	if (!toy->key)
		return NULL;
	net_check(msg->id < nr_said);
	net_check(s->from == node && s->to == toy->node);
	net_check(s->key == toy->key);
	net_check(s->sum == sum_of(msg, payload));
	net_check(!s->heard);
	s->heard = true;
	return s;
}

static void toy_opened(void *ctx, unsigned int node)
{
	struct toy *toy = ctx;

	net_check(toy->running && !toy->link[node].up);
	link_up(&toy->link[node], false);
}

static int toy_hello(void *ctx, unsigned int node, const struct fclock_msg *msg,
		     const struct fclock_wire_hello *hello, void *refusal,
		     size_t *refusal_len)
{
	struct toy_link *l = &((struct toy *)ctx)->link[node], none = { 0 };
	struct toy *toy = ctx;
	struct said *s;

	net_check(toy->running && hello->node_id == node);
	s = believe(toy, node, msg, hello);
	net_check(!s || (s->seq == 1 && !s->answers));
	if (toy->refuses) {
		none.talk = ++talks;
		*refusal_len = greet(toy, node, &none, s ? s->talk : 0, refusal,
				     FCLOCK_WELCOME, EACCES);
		return -EACCES;
	}
	link_up(l, true);
	l->other = s ? s->talk : 0;
	return 0;
}

static int toy_receive(void *ctx, unsigned int node,
		       const struct fclock_msg *msg, const void *payload)
{
	struct toy_link *l = &((struct toy *)ctx)->link[node];
	const struct fclock_wire_hello *welcome = payload;
	struct toy *toy = ctx;
	struct said *s;

	net_check(toy->running && l->up);
	s = believe(toy, node, msg, payload);
	if (s) {
		if (msg->type == FCLOCK_WELCOME)
			l->other = s->talk;
		net_check(s->talk == l->other && s->answers == l->talk);
		net_check(s->seq == ++l->seq_in);
	} else {
		l->seq_in++;
	}
	if (msg->type == FCLOCK_WELCOME && welcome->refusal)
		return -EACCES;
	if (msg->type == FCLOCK_RESUME || msg->type == FCLOCK_BYE)
		l->got++;
	return 0;
}

static int toy_next_frame(void *ctx, unsigned int node, void *buf)
{
	struct toy_link *l = &((struct toy *)ctx)->link[node];
	struct toy *toy = ctx;

	net_check(toy->running && l->up);
	if (l->greet) {
		l->greet = false;
		return greet(toy, node, l, l->other, buf, l->welcome ?
			     FCLOCK_WELCOME : FCLOCK_HELLO, 0);
	}
	if (!l->seq_in || !l->want)
		return 0;
	l->want--;
	if (l->want % 4)
		return say(toy, node, l, l->other, buf, FCLOCK_BYE, 0);
	memset(buf + HEADER, l->want, FCLOCK_MD_BLOCK_SIZE);
	return say(toy, node, l, l->other, buf, FCLOCK_RESUME,
		   FCLOCK_MD_BLOCK_SIZE);
}

static void toy_lost(void *ctx, unsigned int node)
{
	struct toy *toy = ctx;

	net_check(toy->running && toy->link[node].up);
	toy->link[node].up = false;
}

static u64 toy_grains(void *ctx)
{
	(void)ctx;
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

/* ---- Nodes ---- */

static void hurry(unsigned int node)
{
	unsigned int i;

	for (i = 1; i <= NODES; i++)
		may_hurry[node][i] = true;
}

static void connects(unsigned int from, unsigned int to)
{
	net_check(from > to && from <= NODES);
	net_check(may_hurry[from][to] ||
		  jiffies - net_connected[from][to] >= 250);
	may_hurry[from][to] = false;
}

static void start(struct toy *toy)
{
	memset(toy->link, 0, sizeof(toy->link));
	toy->running = true;
	hurry(toy->node);
	net_check(!fclock_transport_start(toy->t));
}

static void stop(struct toy *toy)
{
	fclock_transport_stop(toy->t);
	toy->running = false;
}

static void create(struct toy *toy, unsigned int node, unsigned int key)
{
	struct fclock_addr listen = net_addr(node, NET_PORT);
	struct fclock_peer_addr peers[NODES];
	unsigned int i, n = 0;

	for (i = 1; i <= NODES; i++)
		if (i != node)
			peers[n++] = (struct fclock_peer_addr) {
				i, net_addr(i, NET_PORT)
			};
	toy->node = node;
	toy->key = key;
	toy->refuses = false;
	toy->t = fclock_transport_create(&name_space, node, &listen, peers, n,
					 keys[key], &toy_ops, toy);
	net_check(!IS_ERR(toy->t));
	start(toy);
}

/* Who is connected may be, by its address and port if there is no key. */
static void check_peers(struct toy *toy)
{
	unsigned int i;

	for (i = toy->node + 1; i <= NODES; i++) {
		struct fclock_peer *p = toy->t->peer[i];

		if (!p->s.sock || test_bit(PEER_DROP, &p->flags))
			continue;
		net_check(p->s.sock->conn->from == i);
		net_check(p->auth || p->s.sock->conn->port < 1024);
	}
}

static bool run_work(unsigned int nth)
{
	unsigned int i;

	if (!shim_work_run(nth))
		return false;
	for (i = 1; i <= NODES; i++)
		check_peers(&toys[i]);
	return true;
}

static unsigned int refused_at;

static bool refuse_memory(size_t size, gfp_t gfp)
{
	(void)size, (void)gfp;
	return !refused_at--;
}

static void change_key(struct toy *toy, u8 how)
{
	unsigned int key = how % KEYS;

	if (how & 0x80) {
		refused_at = how >> 3 & 15;
		shim_alloc_fails = refuse_memory;
	}
	if (!fclock_transport_set_key(toy->t, keys[key])) {
		if (toy->key != key)
			hurry(toy->node);
		toy->key = key;
	} else {
		net_check(how & 0x80);
	}
	shim_alloc_fails = NULL;
}

/* ---- Who is in between ---- */

static struct net_conn *pick(struct input *in)
{
	unsigned int i, n = in_u8(in);

	for (i = 0; i < NET_CONNS; i++) {
		struct net_conn *c = &net_conn[(n + i) % NET_CONNS];

		if (c->used)
			return c;
	}
	return NULL;
}

/* Up to the end of the next frame that end @end has sent; all where there is none. */
static unsigned int one_frame(const struct net_conn *c, unsigned int end)
{
	const struct net_pipe *p = &c->pipe[end];
	unsigned int left = p->sent - p->carried;
	struct fclock_wire_header h;
	u64 len;

	if (left < HEADER)
		return left;
	memcpy(&h, p->out + p->carried, HEADER);
	len = HEADER + le32_to_cpu(h.length);
	return len < left ? len : left;
}

static unsigned int amount(struct input *in, const struct net_conn *c,
			   unsigned int end)
{
	u8 how = in_u8(in);

	if (how < 0xa0)
		return one_frame(c, end);
	return how < 0xe0 ? NET_BYTES : in_u8(in);
}

/* Takes what @end has sent into the scratch buffer. */
static unsigned int take(struct net_conn *c, unsigned int end, unsigned int len)
{
	struct net_pipe *p = &c->pipe[end];
	unsigned int at = p->carried;
	struct taped *t;

	len = net_carry(c, end, len, false);
	memcpy(scratch, p->out + at, len);
	if (len && len <= FCLOCK_FRAME_MAX) {
		t = &tape[nr_taped++ % TAPE];
		memcpy(t->bytes, scratch, len);
		t->len = len;
	}
	return len;
}

/* A stranger's own frame. */
static unsigned int make_up(struct input *in)
{
	static const u8 types[] = {
		FCLOCK_HELLO, FCLOCK_WELCOME, FCLOCK_CHALLENGE, FCLOCK_BYE,
	};
	struct toy he = { .node = in_u8(in) % (NODES + 2) };
	struct toy_link l = { .talk = ++talks, .seq_out = in_u8(in) % 4 };
	unsigned int to = in_u8(in) % (NODES + 2), len;
	u8 type = types[in_u8(in) % ARRAY_SIZE(types)];

	switch (type) {
	case FCLOCK_CHALLENGE:
		fclock_auth_challenge(scratch, he.node, in_u8(in) & 1);
		len = FCLOCK_CHALLENGE_FRAME;
		break;
	case FCLOCK_BYE:
		len = say(&he, to, &l, 0, scratch, type, 0);
		break;
	default:
		len = greet(&he, to, &l, 0, scratch, type, in_u8(in) & 1);
		if (len && in_u8(in) & 1)
			fclock_auth_demand_key(scratch);
	}
	in_patch(in, scratch, len);
	return len;
}

static void carry_all(void)
{
	struct net_conn *c;
	unsigned int end;

	for (c = net_conn; c < net_conn + NET_CONNS; c++)
		for (end = 0; end < 2 && c->used; end++)
			if (!c->stranger)
				net_carry(c, end, NET_BYTES, true);
}

/* He has a connection of his own, or stands in one of others. */
static void attack(struct input *in, u8 op)
{
	struct net_conn *c = pick(in), *other;
	unsigned int end, len;
	struct taped *t;
	u8 how;

	if (!c)
		return;
	how = in_u8(in);
	end = how & 1;
	switch (op % 8) {
	case 0:				/* passes on */
		net_carry(c, end, amount(in, c, end), true);
		break;
	case 1:				/* changes */
		len = take(c, end, amount(in, c, end));
		in_patch(in, scratch, len);
		net_inject(c, !end, scratch, len);
		break;
	case 2:				/* keeps */
		take(c, end, amount(in, c, end));
		break;
	case 3:				/* repeats, or turns round */
		len = take(c, end, amount(in, c, end));
		if (how & 2)
			net_inject(c, !end, scratch, len);
		net_inject(c, how & 4 ? end : !end, scratch, len);
		break;
	case 4:				/* plays back */
		t = &tape[in_u8(in) % TAPE];
		net_inject(c, end, t->bytes, t->len);
		break;
	case 5:				/* makes up */
		len = make_up(in);
		net_inject(c, end, scratch, len);
		break;
	case 6:				/* puts two connections together */
		other = pick(in);
		len = take(c, end, amount(in, c, end));
		net_inject(other, how & 2 ? end : !end, scratch, len);
		break;
	case 7:
		net_cut(c);
		break;
	}
}

static void step(struct input *in)
{
	u8 op = in_u8(in), how = in_u8(in);
	struct toy *toy = &toys[1 + how % NODES];
	unsigned int peer = 1 + (how >> 2) % NODES;

	switch (op % 16) {
	case 0:
		run_work(how % 8);
		break;
	case 1:
		while (how-- % 32 && run_work(0))
			;
		break;
	case 2:
		shim_work_time(jiffies + (how < 0x80 ? how : how * 20));
		break;
	case 3:
		toy->link[peer].want += 1 + how % 5;
		fclock_transport_kick(toy->t, peer);
		break;
	case 4:
		change_key(toy, in_u8(in));
		break;
	case 5:
		if (how & 0x10)
			fclock_transport_disconnect(toy->t, peer);
		else
			toy->refuses = how & 0x20;
		break;
	case 6:
		if (how & 0x10) {
			stop(toy);
			start(toy);
		} else {
			net_stranger(1 + (how >> 5), how & 0x08 ? 700 : 2000,
				     toy->node);
		}
		break;
	case 7:
		carry_all();
		break;
	default:
		attack(in, op);
	}
}

/* ---- He lets go ---- */

static bool all_as_it_should_be(void)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			if (i != j && toys[i].link[j].up !=
			    (toys[i].key == toys[j].key))
				return false;
	return true;
}

static bool all_got(void)
{
	unsigned int i, j;

	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++)
			if (i != j && toys[i].key == toys[j].key &&
			    !toys[i].link[j].got)
				return false;
	return true;
}

static void settle(void)
{
	unsigned int i;

	for (i = 0; i < 200 && run_work(0); i++)
		;
	carry_all();
	for (i = 0; i < 200 && run_work(0); i++)
		;
}

static void let_go(void)
{
	unsigned long end;
	unsigned int i, j;

	for (i = 0; i < NET_CONNS; i++)
		if (net_conn[i].used)
			net_cut(&net_conn[i]);
	for (i = 1; i <= NODES; i++)
		toys[i].refuses = false;
	/* two backoffs and two greetings that came to nothing */
	for (end = jiffies + 22000; jiffies < end; shim_work_time(end))
		settle();
	settle();
	/* who has another key greets for a moment, again and again */
	for (i = 0; i < 100 && !all_as_it_should_be(); i++) {
		shim_work_time(jiffies + 100);
		settle();
	}
	net_check(nr_said == SAID || all_as_it_should_be());
	for (i = 1; i <= NODES; i++)
		for (j = 1; j <= NODES; j++) {
			toys[i].link[j].got = 0;
			toys[i].link[j].want = 1;
			fclock_transport_kick(toys[i].t, j);
		}
	for (i = 0; i < 4; i++)
		settle();
	net_check(nr_said == SAID || all_got());
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, data + size };
	long allocs = shim_allocs;
	unsigned int i, ops;
	u8 secret[32] = { 0 };
	u8 how = in_u8(&in);

	shim_random_state = 1;
	shim_aead_strict = true;
	shim_aead_reset();
	jiffies = 100000;
	nr_said = 0;
	talks = 0;
	nr_taped = 0;
	memset(tape, 0, sizeof(tape));
	memset(may_hurry, 0, sizeof(may_hurry));
	net_connect_hook = connects;
	net_init();
	for (i = 1; i < KEYS; i++) {
		secret[0] = i;
		keys[i] = fclock_key_create(secret, sizeof(secret));
		net_check(!IS_ERR(keys[i]));
	}
	/* mostly one key, for that goes furthest */
	for (i = 1; i <= NODES; i++)
		create(&toys[i], i, how & 1 << i ? (how >> 2 * i) % KEYS : 1);

	for (ops = 0; ops < OPS && !in_empty(&in); ops++)
		step(&in);
	let_go();

	for (i = 1; i <= NODES; i++) {
		stop(&toys[i]);
		fclock_transport_destroy(toys[i].t);
	}
	for (i = 1; i < KEYS; i++)
		fclock_key_put(keys[i]);
	net_exit();
	net_check(!shim_works() && !name_space.refs);
	net_check(shim_allocs == allocs);
	return 0;
}
