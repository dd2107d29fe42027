/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One core between recording operations and made-up peers. The suites of the
 * state machines include it; tests/core runs the same suites in user space.
 *
 * Peers say only what a test makes them say. Node n has instance 1000 + n.
 */
#ifndef FCLOCK_TEST_RIG_H
#define FCLOCK_TEST_RIG_H

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "core.h"
#include "core-private.h"

#define RIG_GRAINS	64
#define RIG_SLICE	16
#define RIG_SLICES	4
#ifndef RIG_LENGTH
#define RIG_LENGTH	(RIG_GRAINS * 8)
#endif
/* of the tables, before anything is reloaded; sectors */
#ifndef RIG_ROOM
#define RIG_ROOM	RIG_LENGTH
#endif
#define RIG_ROOM_SLICES	DIV_ROUND_UP(RIG_ROOM, 8 * RIG_SLICE)
#define RIG_NODES	3
#define RIG_PEER(n)	(1000ULL + (n))

struct rig {
	spinlock_t lock;		/* the core's */
	struct kunit *test;
	struct fclock_core *core;
	u64 now, chance;
	/* what was ordered */
	unsigned int copies, commits, loads, starts, writes, reads, gates;
	unsigned int wakes, answers, disconnects, events;
	u32 closed;
	u64 gate_seq, timer_at;
	struct fclock_split *split[FCLOCK_SPLITS];
	struct fclock_load *load[FCLOCK_LOADS];
	unsigned int nr_load;
	struct fclock_super written, sb;
	bool format;
	/* the last frame taken */
	struct fclock_msg msg;
	u8 frame[FCLOCK_FRAME_MAX] __aligned(8);
	u8 out[FCLOCK_FRAME_MAX] __aligned(8);	/* payloads made here */
	u64 seq[RIG_NODES + 1];
	u64 state;			/* that peers say */
	u64 primary;			/* instance that they say has the role */
	u8 uuid;			/* each byte of it */
	u64 owners;			/* not 0: instead of one */
	unsigned long bits[2][BITS_TO_LONGS(RIG_ROOM_SLICES * RIG_SLICE)];
	u64 slice_era[2][RIG_ROOM_SLICES];
	u32 slice_split[2][RIG_ROOM_SLICES];
};

static inline struct rig *rig_of(struct fclock_core *core)
{
	return container_of(core->lock, struct rig, lock);
}

/*
 * An event is an expression about rig->core, with the lock held. Whoever waits for
 * dm events hears of every state word that it changes.
 */
#define rig_do(r, event) do {						\
	struct rig *rig_r = (r);					\
	unsigned long rig_flags;					\
	unsigned int rig_events;					\
	enum fclock_volume_state rig_was;				\
									\
	spin_lock_irqsave(&rig_r->lock, rig_flags);			\
	rig_events = rig_r->events;					\
	rig_r->events = 0;						\
	rig_was = fclock_core_volume_state(rig_r->core);		\
	event;								\
	if (fclock_core_volume_state(rig_r->core) != rig_was)		\
		KUNIT_EXPECT_TRUE(rig_r->test, rig_r->events &		\
				  FCLOCK_EVENT_STATE);			\
	rig_r->events |= rig_events;					\
	spin_unlock_irqrestore(&rig_r->lock, rig_flags);		\
} while (0)

static void rig_kick(struct fclock_core *core, unsigned int node)
{
}

static void rig_disconnect(struct fclock_core *core, unsigned int node)
{
	rig_of(core)->disconnects++;
}

static void rig_wake(struct fclock_core *core, struct fclock_waiter *waiter)
{
	rig_of(core)->wakes++;
	/* the caller's again; tests use the same one for the next I/O */
	INIT_LIST_HEAD(&waiter->list);
}

static void rig_copy(struct fclock_core *core, struct fclock_split *split)
{
	struct rig *rig = rig_of(core);

	rig->split[rig->copies++ % FCLOCK_SPLITS] = split;
}

static void rig_commit(struct fclock_core *core)
{
	rig_of(core)->commits++;
}

static void rig_load(struct fclock_core *core, struct fclock_load *load)
{
	struct rig *rig = rig_of(core);

	rig->loads++;
	rig->load[rig->nr_load++] = load;
}

static void rig_start_owner(struct fclock_core *core)
{
	rig_of(core)->starts++;
}

static void rig_write_super(struct fclock_core *core,
			    const struct fclock_super *sb, bool format)
{
	struct rig *rig = rig_of(core);

	rig->writes++;
	rig->written = *sb;
	rig->format = format;
}

static void rig_read_super(struct fclock_core *core)
{
	rig_of(core)->reads++;
}

static void rig_gate(struct fclock_core *core, u32 closed, u64 seq)
{
	struct rig *rig = rig_of(core);

	rig->gates++;
	rig->closed = closed;
	rig->gate_seq = seq;
}

static void rig_timer(struct fclock_core *core, u64 at)
{
	rig_of(core)->timer_at = at;
}

static void rig_answer(struct fclock_core *core, struct fclock_ask *ask)
{
	rig_of(core)->answers++;
}

static void rig_event(struct fclock_core *core, unsigned int events, u16 slots)
{
	rig_of(core)->events |= events;
}

static u64 rig_now(struct fclock_core *core)
{
	return rig_of(core)->now;
}

static u64 rig_random(struct fclock_core *core)
{
	return rig_of(core)->chance += 7777;
}

static const struct fclock_core_ops rig_ops = {
	.kick = rig_kick,
	.disconnect = rig_disconnect,
	.wake = rig_wake,
	.copy = rig_copy,
	.commit = rig_commit,
	.load = rig_load,
	.start_owner = rig_start_owner,
	.write_super = rig_write_super,
	.read_super = rig_read_super,
	.gate = rig_gate,
	.timer = rig_timer,
	.answer = rig_answer,
	.event = rig_event,
	.now = rig_now,
	.random = rig_random,
};

/* Node @node of three, both slots attached, not started. */
static inline int rig_init(struct kunit *test, unsigned int node)
{
	struct fclock_core_config *cfg;
	struct rig *rig = kzalloc(sizeof(*rig), GFP_KERNEL);
	unsigned int s;

	cfg = kzalloc(sizeof(*cfg), GFP_KERNEL);
	if (!rig || !cfg)
		return -ENOMEM;
	rig->test = test;
	rig->now = 100000;
	rig->chance = 5;
	rig->uuid = 0x77;
	spin_lock_init(&rig->lock);
	cfg->node = node;
	cfg->peers = 7 & ~fclock_node_bit(node);
	cfg->networked = true;
	cfg->geo = (struct fclock_geometry) {
		.length = RIG_LENGTH, .grain = 8, .slice = RIG_SLICE,
		.grains = RIG_GRAINS, .slices = RIG_SLICES,
	};
	cfg->room = RIG_ROOM;
	memset(cfg->uuid, rig->uuid, sizeof(cfg->uuid));
	cfg->trigger_timeout = 1000;
	cfg->cache_limit = ~0ULL;
	strscpy(cfg->host, "here", sizeof(cfg->host));
	rig->core = fclock_core_create(cfg, &rig_ops, &rig->lock);
	kfree(cfg);
	test->priv = rig;
	if (!rig->core)
		return -ENOMEM;
	for (s = 0; s < 2; s++) {
		struct fclock_slot_memory mem = {
			.bits = rig->bits[s], .slice_era = rig->slice_era[s],
			.slice_split = rig->slice_split[s],
			.slices = RIG_ROOM_SLICES,
		};

		rig_do(rig, fclock_core_attach(rig->core, s, &mem, RIG_ROOM));
	}
	return 0;
}

static inline void rig_exit(struct kunit *test)
{
	struct rig *rig = test->priv;

	fclock_core_destroy(rig->core);
	kfree(rig);
}

/* ------------------------------------------------------------ frames */

/* Peer @node says something; the payload is in rig->out. */
static inline int rig_says_as(struct rig *rig, unsigned int node, u64 instance,
			      u8 type, u64 id, u32 length)
{
	struct fclock_msg msg = {
		.type = type, .length = length, .sender = instance,
		.receiver = rig->core->instance, .state = rig->state,
		.id = id, .seq = ++rig->seq[node],
	};
	int r;

	KUNIT_EXPECT_EQ(rig->test, 0,
			fclock_wire_check_payload(&msg, rig->out,
						  RIG_ROOM_SLICES * RIG_SLICE));
	rig_do(rig, r = fclock_core_receive(rig->core, node, &msg, rig->out));
	return r;
}

static inline int rig_says(struct rig *rig, unsigned int node, u8 type, u64 id,
			   u32 length)
{
	return rig_says_as(rig, node, RIG_PEER(node), type, id, length);
}

/* The next frame for @node, PINGs and wishes left out; 0: none. */
static inline u8 rig_hears(struct rig *rig, unsigned int node)
{
	const struct fclock_wire_ask *ask;
	int n;

	for (;;) {
		rig_do(rig, n = fclock_core_next_frame(rig->core, node,
						       rig->frame));
		if (!n)
			return 0;
		if (fclock_wire_decode_header(rig->frame, &rig->msg))
			return 0xff;
		ask = (void *)(rig->frame + sizeof(struct fclock_wire_header));
		if (rig->msg.type == FCLOCK_PING ||
		    (rig->msg.type == FCLOCK_ASK &&
		     ask->kind == FCLOCK_ASK_WISH))
			continue;
		return rig->msg.type;
	}
}

static inline const void *rig_payload(struct rig *rig)
{
	return rig->frame + sizeof(struct fclock_wire_header);
}

static inline void rig_silence(struct rig *rig, unsigned int node)
{
	while (rig_hears(rig, node))
		;
}

static inline struct fclock_wire_hello *rig_hello(struct rig *rig,
						  unsigned int node)
{
	struct fclock_wire_hello *hello = (void *)rig->out;

	memset(rig->out, 0, sizeof(rig->out));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = node;
	hello->peer_id = rig->core->cfg.node;
	hello->length = cpu_to_le64(RIG_LENGTH);
	hello->room = cpu_to_le64(RIG_ROOM);
	hello->grain = cpu_to_le32(8);
	hello->epoch = cpu_to_le64(rig->core->epoch);
	hello->members = cpu_to_le64(rig->core->members);
	hello->primary_instance = cpu_to_le64(rig->primary);
	hello->credits = cpu_to_le16(FCLOCK_CREDITS);
	hello->locks = cpu_to_le16(FCLOCK_LOCKS);
	strscpy(hello->host, "there", sizeof(hello->host));
	return hello;
}

/* The link of @node comes up, in the direction that the ids say. */
static inline int rig_link_as(struct rig *rig, unsigned int node, u64 instance)
{
	struct fclock_wire_hello *hello = rig_hello(rig, node);
	struct fclock_msg msg = {
		.type = FCLOCK_HELLO, .length = sizeof(*hello),
		.sender = instance, .state = rig->state, .seq = 1,
	};
	size_t refusal;
	int r;

	rig->seq[node] = 0;
	if (node < rig->core->cfg.node) {
		rig_do(rig, fclock_core_opened(rig->core, node));
		KUNIT_EXPECT_EQ(rig->test, rig_hears(rig, node), FCLOCK_HELLO);
		rig_hello(rig, node);
		return rig_says_as(rig, node, instance, FCLOCK_WELCOME, 0,
				   sizeof(*hello));
	}
	rig->seq[node] = 1;
	rig_do(rig, r = fclock_core_hello(rig->core, node, &msg, hello,
					  rig->frame, &refusal));
	if (!r)
		KUNIT_EXPECT_EQ(rig->test, rig_hears(rig, node),
				FCLOCK_WELCOME);
	return r;
}

static inline int rig_link(struct rig *rig, unsigned int node)
{
	return rig_link_as(rig, node, RIG_PEER(node));
}

static inline void rig_cut(struct rig *rig, unsigned int node)
{
	rig_do(rig, fclock_core_lost(rig->core, node));
}

/* rig->sb as the primary's peer sends it */
static inline int rig_super(struct rig *rig, unsigned int node, u8 type)
{
	fclock_super_encode(&rig->sb, rig->out);
	rig->state = rig->sb.state;
	return rig_says(rig, node, type, 0, FCLOCK_MD_BLOCK_SIZE);
}

static inline int rig_prepare_length(struct rig *rig, unsigned int node,
				     u64 number, u8 kind, u16 slots, u64 length)
{
	struct fclock_wire_prepare *p = (void *)rig->out;

	memset(p, 0, sizeof(*p));
	p->length = cpu_to_le64(length);
	p->number = cpu_to_le64(number);
	p->kind = kind;
	p->slots = cpu_to_le16(slots);
	return rig_says(rig, node, FCLOCK_PREPARE, 0, sizeof(*p));
}

static inline int rig_prepare(struct rig *rig, unsigned int node, u64 number,
			      u8 kind, u16 slots)
{
	return rig_prepare_length(rig, node, number, kind, slots, 0);
}

static inline int rig_request(struct rig *rig, unsigned int node, u64 id,
			      u8 target, u8 kind, u64 first, u64 last)
{
	struct fclock_wire_lock_request *q = (void *)rig->out;

	memset(q, 0, sizeof(*q));
	q->target = target;
	q->kind = kind;
	q->first = cpu_to_le64(first);
	q->last = cpu_to_le64(last);
	return rig_says(rig, node, FCLOCK_LOCK_REQUEST, id, sizeof(*q));
}

/* A grant with one run of split grains, or with a shared lock. */
static inline int rig_grant(struct rig *rig, unsigned int node, u64 id,
			    u8 target, u64 first, u64 last, bool shared)
{
	struct fclock_wire_lock_grant *g = (void *)rig->out;
	struct fclock_wire_run *run = (void *)(g + 1);
	u32 length = sizeof(*g);

	memset(rig->out, 0, sizeof(*g) + sizeof(*run));
	g->target = target;
	if (shared) {
		g->shared_first = cpu_to_le64(first);
		g->shared_count = cpu_to_le64(last - first + 1);
	} else {
		g->nr_runs = cpu_to_le16(1);
		run->first = cpu_to_le64(first);
		run->count = cpu_to_le64(last - first + 1);
		length += sizeof(*run);
	}
	return rig_says(rig, node, FCLOCK_LOCK_GRANT, id, length);
}

/* ------------------------------------------------------------ this node */

static inline void rig_gated(struct rig *rig)
{
	rig_do(rig, fclock_core_gated(rig->core, rig->gate_seq));
}

static inline void rig_time(struct rig *rig, u64 ms)
{
	rig->now += ms;
	rig_do(rig, fclock_core_timer(rig->core));
}

static inline void rig_loaded(struct rig *rig)
{
	struct fclock_load *load;

	while (rig->nr_load) {
		load = rig->load[--rig->nr_load];
		memset(load->bits, 0, sizeof(load->bits));
		load->result = 0;
		rig_do(rig, fclock_core_loaded(rig->core, load));
	}
}

static inline void rig_submit(struct rig *rig, struct fclock_waiter *w,
			      u8 target, u8 io, u64 first, u64 last)
{
	memset(w, 0, sizeof(*w));
	w->target = target;
	w->io = io;
	w->first = first;
	w->last = last;
	w->verdict = 0xee;
	rig_do(rig, fclock_client_submit(rig->core, w));
}

static inline void rig_done(struct rig *rig, struct fclock_waiter *w)
{
	rig_do(rig, fclock_client_done(rig->core, w->lock));
}

/*
 * A superblock of state 5 that lists all three nodes: both slots active since
 * state 3, node 1 is the primary, @owner the owner.
 */
static inline void rig_make_super(struct rig *rig, unsigned int owner)
{
	struct fclock_super *sb = &rig->sb;
	unsigned int n, s;

	memset(sb, 0, sizeof(*sb));
	sb->state = 5;
	memset(sb->uuid, rig->uuid, sizeof(sb->uuid));
	sb->geo = rig->core->cfg.geo;
	sb->primary = 1;
	sb->owners = rig->owners ? rig->owners : fclock_node_bit(owner);
	for (n = 1; n <= RIG_NODES; n++) {
		sb->part[n - 1].instance = n == rig->core->cfg.node ?
					   rig->core->instance : RIG_PEER(n);
		sb->part[n - 1].attached = 3;
		strscpy(sb->part[n - 1].host, n == rig->core->cfg.node ?
			"here" : "there", FCLOCK_HOST_LEN);
	}
	sb->primary_instance = sb->part[0].instance;
	for (s = 0; s < 2; s++) {
		sb->slot[s].state = FCLOCK_SLOT_ACTIVE;
		sb->slot[s].generation = 3;
		sb->slot[s].length = sb->geo.length;
	}
}

/* This node becomes a participant by the word of node 1; both links are up. */
static inline void rig_run(struct rig *rig, unsigned int owner)
{
	rig_make_super(rig, owner);
	rig->state = 5;
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, -ENODATA, &rig->sb));
	KUNIT_ASSERT_EQ(rig->test, 0, rig_link(rig, 1));
	KUNIT_ASSERT_EQ(rig->test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_ASSERT_EQ(rig->test, 0, rig_link(rig, 3));
	KUNIT_ASSERT_EQ(rig->test, rig->core->phase, FCLOCK_RUNNING);
	if (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	if (rig->sb.owners & fclock_node_bit(rig->core->cfg.node)) {
		KUNIT_EXPECT_EQ(rig->test, rig->starts, 1);
		rig_do(rig, fclock_core_owner_started(rig->core, 0));
		while (rig->nr_load)
			rig_loaded(rig);
	}
	rig_silence(rig, 1);
	rig_silence(rig, 3);
}

#endif
