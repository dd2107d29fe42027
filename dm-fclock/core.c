// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's outside: links and frames, dispatch, time, status.
 *
 * A frame is made when a link can send it: objects that have something to say
 * stand in the peer's queue, and fclock_core_next_frame() encodes the first of them into
 * the link's own buffer. So no message needs memory, none is lost with a link
 * (what must be said again is queued again), and nothing sent can be of a state that
 * has ended. Frames of this node to itself take the same way through
 * fclock_settle().
 */
#include <linux/slab.h>
#include "core-private.h"

/* ------------------------------------------------------------- life of a core */

static int peer_init(struct fclock_core *core, struct fclock_peer *peer)
{
	int r;

	if (!peer->configured)
		return 0;
	r = fclock_client_init_peer(peer);
	if (!r)
		r = fclock_owner_init_peer(peer);
	if (peer->node == core->cfg.node) {
		peer->link = FCLOCK_LINK_UP;
		peer->instance = core->instance;
		peer->credits = FCLOCK_CREDITS;
	}
	return r;
}

static void core_init(struct fclock_core *core,
		      const struct fclock_core_config *cfg,
		      const struct fclock_core_ops *ops, spinlock_t *lock)
{
	unsigned int node;

	core->cfg = *cfg;
	core->ops = ops;
	core->lock = lock;
	core->instance = ops->random(core);
	core->next_id = ops->random(core) & GENMASK_ULL(40, 0);
	/* until a superblock is adopted, sizes are the table's */
	core->sb.geo = cfg->geo;
	INIT_LIST_HEAD(&core->parked);
	INIT_LIST_HEAD(&core->recalled);
	INIT_LIST_HEAD(&core->asks);
	INIT_LIST_HEAD(&core->pri.asks);
	for (node = 0; node <= FCLOCK_MAX_NODES; node++) {
		struct fclock_peer *peer = &core->peer[node];

		peer->node = node;
		peer->configured = node == cfg->node ||
				   (node && (cfg->peers &
					     fclock_node_bit(node)));
		INIT_LIST_HEAD(&peer->out);
		INIT_LIST_HEAD(&peer->free);
		INIT_LIST_HEAD(&peer->lru);
		INIT_LIST_HEAD(&peer->starved);
		INIT_LIST_HEAD(&peer->asked.list);
	}
	fclock_cache_init(&core->cache, lock, cfg->cache_limit);
}

struct fclock_core *fclock_core_create(const struct fclock_core_config *cfg,
				       const struct fclock_core_ops *ops,
				       spinlock_t *lock)
{
	struct fclock_core *core = kvzalloc(sizeof(*core), GFP_KERNEL);
	unsigned int node;

	if (!core)
		return NULL;
	core_init(core, cfg, ops, lock);
	if (fclock_owner_init(core))
		goto out_free;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (peer_init(core, &core->peer[node]))
			goto out_free;
	return core;

out_free:
	fclock_core_destroy(core);
	return NULL;
}

/**
 * fclock_core_add_peers - a reload names nodes that were not configured before
 * @peers: bit (id - 1)
 *
 * Context: may sleep, takes core->lock itself; one caller at a time.
 * Return: 0 or -ENOMEM (some of them may be configured then).
 */
int fclock_core_add_peers(struct fclock_core *core, u64 peers)
{
	unsigned int node;
	unsigned long flags;
	int r;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		struct fclock_peer *peer = &core->peer[node];

		if (!(peers & fclock_node_bit(node)) || peer->configured)
			continue;
		/* nobody looks at a peer that is not configured */
		r = peer->objects ? 0 : fclock_client_init_peer(peer);
		if (!r && !peer->records)
			r = fclock_owner_init_peer(peer);
		if (r)
			return r;
		spin_lock_irqsave(core->lock, flags);
		peer->configured = true;
		core->cfg.peers |= fclock_node_bit(node);
		spin_unlock_irqrestore(core->lock, flags);
	}
	return 0;
}

void fclock_core_destroy(struct fclock_core *core)
{
	unsigned int node;

	fclock_cache_exit(&core->cache);
	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		kvfree(core->peer[node].objects);
		kvfree(core->peer[node].records);
	}
	fclock_owner_exit(core);
	kvfree(core);
}

void fclock_core_start(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);

	if (core->started)
		return;
	core->started = true;
	core->ping_at = core->ops->now(core) + FCLOCK_PING_MS;
	if (core->cfg.networked)
		fclock_arm(core, core->ping_at);
	fclock_update_paths(core);
	fclock_members_news(core);
	fclock_settle(core);
}

void fclock_set_phase(struct fclock_core *core, enum fclock_phase phase)
{
	if (core->phase == phase)
		return;
	core->phase = phase;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_PHASE, phase, 0);
	fclock_update_paths(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

/* What the hit path does, by the adopted superblock. */
static u8 path_of(struct fclock_core *core, unsigned int map)
{
	if ((core->phase != FCLOCK_RUNNING && core->phase != FCLOCK_LEAVING) ||
	    core->split_brain || !core->have_sb)
		return FCLOCK_PATH_CORE;
	if (map == FCLOCK_CACHE_A)
		return fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE) ?
		       FCLOCK_PATH_CACHE : FCLOCK_PATH_PASS;
	switch (core->sb.slot[map].state) {
	case FCLOCK_SLOT_ACTIVE:
		return FCLOCK_PATH_CACHE;
	case FCLOCK_SLOT_COMPLETE:
		return FCLOCK_PATH_PASS;
	default:
		return FCLOCK_PATH_FAIL;
	}
}

void fclock_update_paths(struct fclock_core *core)
{
	unsigned int m;

	for (m = 0; m < FCLOCK_CACHE_MAPS; m++)
		WRITE_ONCE(core->path[m], path_of(core, m));
}

void fclock_core_attach(struct fclock_core *core, unsigned int slot,
			unsigned long *bits, u64 *slice_gen, u32 *slice_split)
{
	struct fclock_owned_slot *os = &core->own.slot[slot];

	lockdep_assert_held(core->lock);

	os->bits = bits;
	os->slice_gen = slice_gen;
	os->slice_split = slice_split;
	fclock_bits_forget(core, slot);
	core->attached |= BIT(slot);
	core->own.scan_slot = 0;
	core->own.scan_slice = 0;
	fclock_wish(core);
	fclock_owner_retry(core);
	fclock_settle(core);
}

void fclock_core_detach(struct fclock_core *core, unsigned int slot)
{
	lockdep_assert_held(core->lock);

	core->attached &= ~BIT(slot);
	core->detaching |= BIT(slot);
	fclock_owner_detach(core, slot);
	fclock_wish(core);
	fclock_settle(core);
}

bool fclock_core_detached(struct fclock_core *core, unsigned int slot)
{
	struct fclock_owned_slot *os = &core->own.slot[slot];
	unsigned int i;

	lockdep_assert_held(core->lock);

	for (i = 0; i < FCLOCK_SPLITS; i++)
		if (core->own.splits[i].state != FCLOCK_SPLIT_FREE &&
		    (core->own.splits[i].slots & BIT(slot)))
			return false;
	memset(os, 0, sizeof(*os));
	core->detaching &= ~BIT(slot);
	return true;
}

void fclock_core_set_timeout(struct fclock_core *core, u32 ms)
{
	lockdep_assert_held(core->lock);
	core->cfg.trigger_timeout = ms;
}

void fclock_core_reset_stats(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);
	memset(&core->stats, 0, sizeof(core->stats));
	core->stats.cache_discards_base = core->cache.discards;
}

/* ---------------------------------------------------------------- sending */

void fclock_send(struct fclock_core *core, struct fclock_peer *peer,
		 enum fclock_pending what)
{
	if (peer->link == FCLOCK_LINK_DOWN)
		return;
	peer->pending |= BIT(what);
	if (peer->node != core->cfg.node)
		core->ops->kick(core, peer->node);
}

/* To every other node whose link is up. */
void fclock_send_all(struct fclock_core *core, enum fclock_pending what)
{
	struct fclock_peer *peer;

	fclock_for_each_peer(core, peer)
		if (peer->node != core->cfg.node &&
		    peer->link == FCLOCK_LINK_UP)
			fclock_send(core, peer, what);
}

void fclock_queue_out(struct fclock_core *core, struct fclock_peer *peer,
		      struct fclock_out *out)
{
	if (!list_empty(&out->list) || peer->link != FCLOCK_LINK_UP)
		return;
	list_add_tail(&out->list, &peer->out);
	if (peer->node != core->cfg.node)
		core->ops->kick(core, peer->node);
}

void fclock_unqueue_out(struct fclock_out *out)
{
	list_del_init(&out->list);
}

static u32 encode_hello(struct fclock_core *core, struct fclock_peer *peer,
			struct fclock_wire_hello *hello, int refusal)
{
	memset(hello, 0, sizeof(*hello));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = core->cfg.node;
	hello->peer_id = peer->node;
	hello->refusal = cpu_to_le32(-refusal);
	if (core->have_sb)
		memcpy(hello->uuid, core->sb.uuid, sizeof(hello->uuid));
	hello->length = cpu_to_le64(core->sb.geo.length);
	hello->grain = cpu_to_le32(core->sb.geo.grain);
	hello->trigger_timeout = cpu_to_le32(core->cfg.trigger_timeout);
	hello->epoch = cpu_to_le64(core->epoch);
	hello->members = cpu_to_le64(core->members);
	hello->primary_instance = cpu_to_le64(core->sb.primary_instance);
	hello->attached = cpu_to_le16(core->attached);
	hello->credits = cpu_to_le16(FCLOCK_CREDITS);
	hello->locks = cpu_to_le16(FCLOCK_LOCKS);
	memcpy(hello->host, core->cfg.host, sizeof(hello->host));
	return sizeof(*hello);
}

static u32 encode_prepare(struct fclock_core *core,
			  struct fclock_wire_prepare *p)
{
	memset(p, 0, sizeof(*p));
	p->number = cpu_to_le64(core->pri.number);
	p->kind = core->pri.kind;
	p->slots = cpu_to_le16(core->pri.slots);
	return sizeof(*p);
}

static u32 encode_answer(struct fclock_peer *peer, struct fclock_msg *msg,
			 struct fclock_wire_answer *a)
{
	memset(a, 0, sizeof(*a));
	msg->id = peer->asked.answer_id;
	a->error = cpu_to_le32(-peer->asked.answer_error);
	memcpy(a->text, peer->asked.answer_text, sizeof(a->text));
	return sizeof(*a);
}

static u32 encode_ping(struct fclock_core *core, struct fclock_wire_ping *p)
{
	unsigned int s;

	memset(p, 0, sizeof(*p));
	p->epoch = cpu_to_le64(core->epoch);
	p->members = cpu_to_le64(core->members);
	for (s = 0; s < FCLOCK_MAX_SLOTS && core->own.active; s++)
		p->split[s] = cpu_to_le64(core->own.slot[s].split);
	return sizeof(*p);
}

/* The first local trigger or stop; false: it was cancelled meanwhile. */
static bool encode_ask(struct fclock_core *core, struct fclock_msg *msg,
		       struct fclock_wire_ask *a)
{
	struct fclock_ask *ask;

	memset(a, 0, sizeof(*a));
	ask = list_first_entry_or_null(&core->asks, struct fclock_ask, list);
	if (!ask || !ask->sent)
		return false;
	msg->id = ask->id;
	a->kind = ask->kind;
	a->slots = cpu_to_le16(ask->slots);
	return true;
}

static u32 encode_cancel(struct fclock_core *core, struct fclock_msg *msg,
			 struct fclock_wire_ask *a)
{
	memset(a, 0, sizeof(*a));
	a->kind = FCLOCK_ASK_CANCEL;
	msg->id = core->cancel_id;
	return sizeof(*a);
}

/* Return: false: there is nothing to say any more. */
static bool encode_pending(struct fclock_core *core, struct fclock_peer *peer,
			   unsigned int what, struct fclock_msg *msg,
			   void *payload)
{
	static const u8 types[] = {
		[FCLOCK_SEND_HELLO] = FCLOCK_HELLO,
		[FCLOCK_SEND_WELCOME] = FCLOCK_WELCOME,
		[FCLOCK_SEND_SUPER] = FCLOCK_ABORT,
		[FCLOCK_SEND_PREPARE] = FCLOCK_PREPARE,
		[FCLOCK_SEND_PREPARED] = FCLOCK_PREPARED,
		[FCLOCK_SEND_ANSWER] = FCLOCK_ANSWER,
		[FCLOCK_SEND_WISH] = FCLOCK_ASK,
		[FCLOCK_SEND_ASK] = FCLOCK_ASK,
		[FCLOCK_SEND_CANCEL] = FCLOCK_ASK,
		[FCLOCK_SEND_PING] = FCLOCK_PING,
		[FCLOCK_SEND_BYE] = FCLOCK_BYE,
	};

	msg->type = types[what];
	switch (what) {
	case FCLOCK_SEND_HELLO:
	case FCLOCK_SEND_WELCOME:
		msg->length = encode_hello(core, peer, payload, 0);
		return true;
	case FCLOCK_SEND_SUPER:
		if (!fclock_is_primary(core) &&
		    core->pri.phase != FCLOCK_PRI_RESUMING)
			return false;
		if (core->pri.resume)
			msg->type = FCLOCK_RESUME;
		fclock_super_encode(&core->sb, payload);
		msg->length = FCLOCK_MD_BLOCK_SIZE;
		return true;
	case FCLOCK_SEND_PREPARE:
		msg->length = encode_prepare(core, payload);
		return core->pri.phase == FCLOCK_PRI_PREPARING;
	case FCLOCK_SEND_PREPARED:
		msg->id = core->prep.number;
		return core->prep.number && core->prep.said &&
		       core->prep.number != ~0ULL;
	case FCLOCK_SEND_ANSWER:
		msg->length = encode_answer(peer, msg, payload);
		return true;
	case FCLOCK_SEND_WISH:
		fclock_wish_get(core, payload);
		msg->length = sizeof(struct fclock_wire_ask);
		return true;
	case FCLOCK_SEND_ASK:
		msg->length = sizeof(struct fclock_wire_ask);
		return encode_ask(core, msg, payload);
	case FCLOCK_SEND_CANCEL:
		msg->length = encode_cancel(core, msg, payload);
		return true;
	case FCLOCK_SEND_PING:
		msg->length = encode_ping(core, payload);
		return true;
	case FCLOCK_SEND_BYE:
		return true;
	}
	return false;
}

static bool next_message(struct fclock_core *core, struct fclock_peer *peer,
			 struct fclock_msg *msg, void *payload)
{
	struct fclock_out *out;
	unsigned int what;

	while (peer->pending) {
		what = __ffs(peer->pending);
		peer->pending &= ~BIT(what);
		memset(msg, 0, sizeof(*msg));
		if (encode_pending(core, peer, what, msg, payload))
			return true;
	}
	if (list_empty(&peer->out))
		return false;
	out = list_first_entry(&peer->out, struct fclock_out, list);
	list_del_init(&out->list);
	memset(msg, 0, sizeof(*msg));
	if (out->type == FCLOCK_OUT_GRANT || out->type == FCLOCK_OUT_RECALL)
		msg->length = fclock_owner_encode(core, peer, out, msg, payload);
	else
		msg->length = fclock_client_encode(core, peer, out, msg, payload);
	return true;
}

static int make_frame(struct fclock_core *core, struct fclock_peer *peer,
		      void *buf)
{
	struct fclock_msg msg;

	if (peer->link == FCLOCK_LINK_DOWN)
		return 0;
	/* a connector says nothing between HELLO and WELCOME */
	if (peer->link == FCLOCK_LINK_HELLO)
		peer->pending &= BIT(FCLOCK_SEND_HELLO);
	if (!next_message(core, peer, &msg,
			  buf + sizeof(struct fclock_wire_header)))
		return 0;
	msg.sender = core->instance;
	msg.receiver = msg.type == FCLOCK_HELLO ? 0 : peer->instance;
	msg.state = core->have_sb ? core->sb.state : 0;
	msg.seq = ++peer->tx_seq;
	fclock_wire_encode_header(buf, &msg);
	return sizeof(struct fclock_wire_header) + msg.length;
}

int fclock_core_next_frame(struct fclock_core *core, unsigned int node,
			   void *buf)
{
	int length;

	lockdep_assert_held(core->lock);

	length = make_frame(core, &core->peer[node], buf);
	if (length)
		core->stats.msg_sent++;
	return length;
}

/* --------------------------------------------------------------- receiving */

static int receive_super(struct fclock_core *core, struct fclock_peer *peer,
			 const struct fclock_msg *msg, const void *payload)
{
	struct fclock_super *sb = &core->scratch;
	int r = fclock_super_decode(payload, sb);

	if (r)
		return r;
	/* It comes from the node that it names, or from one that hands the role over. */
	if (sb->primary_instance != peer->instance &&
	    core->sb.primary_instance != peer->instance)
		return 0;
	if ((core->have_sb && memcmp(sb->uuid, core->sb.uuid, sizeof(sb->uuid))) ||
	    !fclock_same_geometry(core, sb))
		return -EPROTO;
	fclock_adopt(core, sb, msg->type == FCLOCK_RESUME);
	return 0;
}

static void receive_bye(struct fclock_core *core, struct fclock_peer *peer)
{
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_BYE,
			  peer->instance);
	peer->bye = true;
	fclock_members_news(core);
}

static int receive_list(struct fclock_core *core, struct fclock_peer *peer,
			u64 epoch, u64 members)
{
	if (fclock_members_adopt(core, epoch, members) != -EEXIST)
		return 0;
	fclock_say(core, "node %u has another members list under epoch %llu: both suspend",
		   peer->node, (unsigned long long)epoch);
	core->split_brain = true;
	fclock_update_paths(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
	return -EEXIST;
}

static int receive_ping(struct fclock_core *core, struct fclock_peer *peer,
			const struct fclock_wire_ping *ping)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		peer->split[s] = le64_to_cpu(ping->split[s]);
	return receive_list(core, peer, le64_to_cpu(ping->epoch),
			    le64_to_cpu(ping->members));
}

static int dispatch(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_msg *msg, const void *payload)
{
	const struct fclock_wire_prepare *prep = payload;
	const struct fclock_wire_answer *ans = payload;

	switch (msg->type) {
	case FCLOCK_LOCK_REQUEST:
		return fclock_owner_request(core, peer, msg, payload);
	case FCLOCK_LOCK_GRANT:
		fclock_client_grant(core, peer, msg, payload);
		return 0;
	case FCLOCK_RELEASE_REQUEST:
		return fclock_client_recall(core, peer, msg->id);
	case FCLOCK_RELEASED:
		fclock_owner_released(core, peer, msg->id);
		return 0;
	case FCLOCK_ASK:
		fclock_primary_asked(core, peer, msg->id, msg->state, payload);
		return 0;
	case FCLOCK_ANSWER:
		fclock_answered(core, msg->id, -(int)le32_to_cpu(ans->error),
				ans->text);
		return 0;
	case FCLOCK_PREPARE:
		fclock_prepare(core, peer, le64_to_cpu(prep->number),
			       prep->kind, le16_to_cpu(prep->slots));
		return 0;
	case FCLOCK_PREPARED:
		fclock_primary_prepared(core, peer, msg->id);
		return 0;
	case FCLOCK_RESUME:
	case FCLOCK_ABORT:
		return receive_super(core, peer, msg, payload);
	case FCLOCK_PING:
		return receive_ping(core, peer, payload);
	case FCLOCK_BYE:
		receive_bye(core, peer);
		return 0;
	}
	return -EPROTO;
}

static int receive(struct fclock_core *core, struct fclock_peer *peer,
		   const struct fclock_msg *msg, const void *payload)
{
	if (msg->seq != ++peer->rx_seq)
		return -EPROTO;
	/* from or for another instance */
	if (msg->sender != peer->instance || msg->receiver != core->instance)
		return 0;
	peer->state = msg->state;
	peer->heard_at = core->ops->now(core);
	if (core->phase == FCLOCK_LEFT)
		return 0;
	fclock_primary_heard(core, peer);
	return dispatch(core, peer, msg, payload);
}

/**
 * fclock_settle - deliver what this node has to say to itself
 *
 * At the end of every event, so that no part of the core is entered from
 * another one's middle.
 */
void fclock_settle(struct fclock_core *core)
{
	struct fclock_peer *self = fclock_self(core);
	const size_t head = sizeof(struct fclock_wire_header);
	struct fclock_msg msg;

	if (core->settling)
		return;
	core->settling = true;
	while (make_frame(core, self, core->frame)) {
		if (!WARN_ON(fclock_wire_decode_header(core->frame, &msg)))
			receive(core, self, &msg, core->frame + head);
	}
	core->settling = false;
}


/* -------------------------------------------------------------------- links */

void fclock_link_down(struct fclock_core *core, struct fclock_peer *peer)
{
	if (peer->link == FCLOCK_LINK_DOWN)
		return;
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_DOWN,
			  peer->instance);
	peer->link = FCLOCK_LINK_DOWN;
	peer->pending = 0;
	fclock_client_link_down(core, peer);
	fclock_owner_link_down(core, peer);
	if (core->have_sb && core->sb.primary == peer->node)
		fclock_asks_lost(core, "the link to the primary broke");
	fclock_primary_gone(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

static void link_up(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_msg *msg,
		    const struct fclock_wire_hello *hello, bool welcome)
{
	bool again = peer->instance == msg->sender;

	peer->link = FCLOCK_LINK_UP;
	peer->rx_seq = msg->seq;
	peer->heard_at = core->ops->now(core);
	peer->state = msg->state;
	peer->credits = min_t(u16, le16_to_cpu(hello->credits), FCLOCK_CREDITS);
	memcpy(peer->host, hello->host, sizeof(peer->host));
	if (!again) {
		peer->instance = msg->sender;
		peer->bye = false;
		peer->wish.valid = false;
		fclock_owner_new_instance(core, peer);
	}
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_UP,
			  peer->instance);
	if (welcome)
		fclock_send(core, peer, FCLOCK_SEND_WELCOME);
	if (core->phase == FCLOCK_LEFT) {
		fclock_send(core, peer, FCLOCK_SEND_BYE);
		return;
	}
	fclock_send(core, peer, FCLOCK_SEND_PING);
	fclock_primary_link_up(core, peer);
	fclock_client_link_up(core, peer);
	fclock_owner_link_up(core, peer);
	fclock_wish(core);
	fclock_asks_kick(core);
	fclock_members_news(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

static int refuse(struct fclock_core *core, struct fclock_peer *peer, int error,
		  const char *why)
{
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_REFUSED, 0);
	fclock_say(core, "refuses node %u: %s", peer->node, why);
	return error;
}

static int check_hello(struct fclock_core *core, struct fclock_peer *peer,
		       const struct fclock_msg *msg,
		       const struct fclock_wire_hello *hello)
{
	static const u8 no_uuid[FCLOCK_UUID_LEN];

	if (hello->min_version > FCLOCK_WIRE_VERSION ||
	    hello->max_version < FCLOCK_WIRE_VERSION)
		return refuse(core, peer, -EPROTONOSUPPORT,
			      "it speaks another version of the protocol");
	if (hello->node_id != peer->node || hello->peer_id != core->cfg.node ||
	    !msg->sender)
		return refuse(core, peer, -EINVAL, "wrong node id");
	if (core->have_sb && memcmp(hello->uuid, no_uuid, sizeof(no_uuid)) &&
	    memcmp(hello->uuid, core->sb.uuid, sizeof(no_uuid)))
		return refuse(core, peer, -EMEDIUMTYPE,
			      "its metadata is that of another volume");
	if (le64_to_cpu(hello->length) != core->sb.geo.length ||
	    le32_to_cpu(hello->grain) != core->sb.geo.grain)
		return refuse(core, peer, -EINVAL,
			      "its length or grain size differs");
	if (le16_to_cpu(hello->flags) & FCLOCK_HELLO_KEY)
		return refuse(core, peer, -EKEYREJECTED,
			      "it demands a key and this node has none");
	return 0;
}

/* An instance other than the known one: is the old one certainly not alive? */
static int check_instance(struct fclock_core *core, struct fclock_peer *peer,
			  const struct fclock_msg *msg,
			  const struct fclock_wire_hello *hello)
{
	u64 listed = fclock_listed_instance(&core->sb, peer->node);

	if (msg->sender == peer->instance)
		return 0;
	if (peer->link == FCLOCK_LINK_UP && !peer->bye)
		return refuse(core, peer, -EBUSY,
			      "its old instance is still connected");
	if (core->have_sb && listed && listed != msg->sender &&
	    !fclock_gone(core, &core->sb, peer->node) &&
	    strncmp(core->sb.part[peer->node - 1].host, hello->host,
		    FCLOCK_HOST_LEN))
		return refuse(core, peer, -EPERM,
			      "its old instance ran on another host: only a members list strikes that");
	return 0;
}

void fclock_core_opened(struct fclock_core *core, unsigned int node)
{
	struct fclock_peer *peer = &core->peer[node];

	lockdep_assert_held(core->lock);

	fclock_link_down(core, peer);
	peer->link = FCLOCK_LINK_HELLO;
	peer->tx_seq = 0;
	peer->rx_seq = 0;
	fclock_send(core, peer, FCLOCK_SEND_HELLO);
	fclock_settle(core);
}

static void write_refusal(struct fclock_core *core, struct fclock_peer *peer,
			  const struct fclock_msg *msg, int error, void *frame,
			  size_t *length)
{
	struct fclock_msg reply = {
		.type = FCLOCK_WELCOME,
		.length = sizeof(struct fclock_wire_hello),
		.sender = core->instance,
		.receiver = msg->sender,
		.state = core->have_sb ? core->sb.state : 0,
		.seq = 1,
	};

	encode_hello(core, peer, frame + sizeof(struct fclock_wire_header),
		     error);
	fclock_wire_encode_header(frame, &reply);
	*length = FCLOCK_HELLO_FRAME;
}

int fclock_core_hello(struct fclock_core *core, unsigned int node,
		      const struct fclock_msg *msg,
		      const struct fclock_wire_hello *hello, void *refusal,
		      size_t *refusal_len)
{
	struct fclock_peer *peer = &core->peer[node];
	int r;

	lockdep_assert_held(core->lock);

	*refusal_len = 0;
	r = check_hello(core, peer, msg, hello);
	if (!r)
		r = check_instance(core, peer, msg, hello);
	if (!r)
		r = receive_list(core, peer, le64_to_cpu(hello->epoch),
				 le64_to_cpu(hello->members));
	if (r) {
		write_refusal(core, peer, msg, r, refusal, refusal_len);
		fclock_settle(core);
		return r;
	}
	fclock_link_down(core, peer);
	peer->tx_seq = 0;
	link_up(core, peer, msg, hello, true);
	fclock_settle(core);
	return 0;
}

static int receive_welcome(struct fclock_core *core, struct fclock_peer *peer,
			   const struct fclock_msg *msg,
			   const struct fclock_wire_hello *hello)
{
	int r;

	if (msg->type != FCLOCK_WELCOME || msg->seq != 1 ||
	    msg->receiver != core->instance)
		return -EPROTO;
	if (hello->refusal) {
		fclock_say(core, "node %u refuses this node: error %u",
			   peer->node, le32_to_cpu(hello->refusal));
		return -ECONNREFUSED;
	}
	r = check_hello(core, peer, msg, hello);
	if (!r)
		r = check_instance(core, peer, msg, hello);
	if (!r)
		r = receive_list(core, peer, le64_to_cpu(hello->epoch),
				 le64_to_cpu(hello->members));
	if (!r)
		link_up(core, peer, msg, hello, false);
	return r;
}

int fclock_core_receive(struct fclock_core *core, unsigned int node,
			const struct fclock_msg *msg, const void *payload)
{
	struct fclock_peer *peer = &core->peer[node];
	int r = -EPROTO;

	lockdep_assert_held(core->lock);

	core->stats.msg_received++;
	if (peer->link == FCLOCK_LINK_HELLO)
		r = receive_welcome(core, peer, msg, payload);
	else if (peer->link == FCLOCK_LINK_UP)
		r = receive(core, peer, msg, payload);
	fclock_settle(core);
	return r;
}

void fclock_core_lost(struct fclock_core *core, unsigned int node)
{
	lockdep_assert_held(core->lock);

	fclock_link_down(core, &core->peer[node]);
	fclock_settle(core);
}

/* --------------------------------------------------------------------- time */

void fclock_arm(struct fclock_core *core, u64 at)
{
	if (core->timer_at && core->timer_at <= at)
		return;
	core->timer_at = at;
	core->ops->timer(core, at);
}

static void links_timer(struct fclock_core *core, u64 now)
{
	struct fclock_peer *peer;

	if (!core->cfg.networked || !core->started)
		return;
	if (now >= core->ping_at) {
		core->ping_at = now + FCLOCK_PING_MS;
		fclock_send_all(core, FCLOCK_SEND_PING);
	}
	fclock_arm(core, core->ping_at);
	fclock_for_each_peer(core, peer) {
		if (peer->node == core->cfg.node ||
		    peer->link != FCLOCK_LINK_UP ||
		    now < peer->heard_at + FCLOCK_DEAD_MS)
			continue;
		fclock_say(core, "node %u is silent: dropping the connection",
			   peer->node);
		fclock_link_down(core, peer);
		core->ops->disconnect(core, peer->node);
	}
}

void fclock_core_timer(struct fclock_core *core)
{
	u64 now = core->ops->now(core);

	lockdep_assert_held(core->lock);

	core->timer_at = 0;
	links_timer(core, now);
	fclock_client_timer(core, now);
	fclock_primary_timer(core, now);
	fclock_members_timer(core, now);
	if (core->own.active && core->own.ready)
		fclock_owner_retry(core);
	fclock_settle(core);
}

/* -------------------------------------------------------------------- status */

enum fclock_volume_state fclock_core_volume_state(struct fclock_core *core)
{
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);

	lockdep_assert_held(core->lock);

	if (core->pri.failed || core->md_error)
		return FCLOCK_VOLUME_FAILED;
	if ((core->phase != FCLOCK_RUNNING && core->phase != FCLOCK_LEAVING) ||
	    core->split_brain || (active && !core->sb.owners))
		return FCLOCK_VOLUME_SUSPENDED;
	return FCLOCK_VOLUME_ACTIVE;
}

u64 fclock_core_split(struct fclock_core *core, unsigned int slot)
{
	unsigned int node;
	u64 split = 0;

	lockdep_assert_held(core->lock);

	if (core->sb.slot[slot].state == FCLOCK_SLOT_COMPLETE)
		return core->sb.geo.grains;
	if (core->sb.slot[slot].state != FCLOCK_SLOT_ACTIVE)
		return 0;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		if (!(core->sb.owners & fclock_node_bit(node)))
			continue;
		split += node == core->cfg.node ? core->own.slot[slot].split :
			 core->peer[node].split[slot];
	}
	return split;
}

u64 fclock_core_shared_locks(struct fclock_core *core, unsigned int slot)
{
	struct fclock_peer *peer;
	unsigned int i;
	u64 locks = 0;

	lockdep_assert_held(core->lock);

	fclock_for_each_peer(core, peer)
		for (i = 0; peer->nr_held && i < FCLOCK_OBJECTS; i++)
			locks += peer->objects[i].state == FCLOCK_OBJ_HELD &&
				 peer->objects[i].target == slot;
	return locks;
}

u64 fclock_core_connected(struct fclock_core *core)
{
	struct fclock_peer *peer;
	u64 up = 0;

	fclock_for_each_peer(core, peer)
		up += peer->node != core->cfg.node &&
		      peer->link == FCLOCK_LINK_UP;
	return up;
}
