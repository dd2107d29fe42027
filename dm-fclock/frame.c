// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames to send. Objects that have something to say stand in the peer's queue, and
 * fclock_make_frame() encodes the first of them into the link's own buffer when the
 * link can send. So no message needs memory, none is lost with a link (what
 * must be said again is queued again), and nothing sent can be of a state that
 * has ended.
 */
#include "core-private.h"

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

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
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

u32 fclock_encode_hello(struct fclock_core *core, struct fclock_peer *peer,
			struct fclock_wire_hello *hello, int refusal)
{
	memset(hello, 0, sizeof(*hello));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = core->cfg.node;
	hello->peer_id = peer->node;
	hello->refusal = cpu_to_le32(-refusal);
	if (core->formatted)
		memcpy(hello->uuid, core->cfg.uuid, sizeof(hello->uuid));
	hello->length = cpu_to_le64(core->sb.geo.length);
	hello->room = cpu_to_le64(core->room);
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
	if (core->pri.kind == FCLOCK_RESIZE)
		p->length = cpu_to_le64(core->pri.length);
	return sizeof(*p);
}

static u32 encode_answer(struct fclock_peer *peer, struct fclock_msg *msg,
			 struct fclock_wire_answer *a)
{
	memset(a, 0, sizeof(*a));
	msg->id = peer->asked.answer_id;
	a->error = cpu_to_le32(-peer->asked.answer_error);
	/* not what stood in the buffer behind the text's end */
	strscpy(a->text, peer->asked.answer_text, sizeof(a->text));
	return sizeof(*a);
}

static u32 encode_ping(struct fclock_core *core, struct fclock_wire_ping *p)
{
	unsigned int s;

	memset(p, 0, sizeof(*p));
	/*
	 * Who takes the role may do so by an older list than it has heard of since:
	 * its word that it knows this one must wait (members.c, all_heard()).
	 */
	if (core->pri.phase != FCLOCK_PRI_TAKING) {
		p->epoch = cpu_to_le64(core->epoch);
		p->members = cpu_to_le64(core->members);
	}
	for (s = 0; s < FCLOCK_MAX_SLOTS && core->own.active; s++)
		p->split[s] = cpu_to_le64(core->own.slot[s].split);
	return sizeof(*p);
}

/* The first ask of a local user; false: it was cancelled meanwhile. */
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
	a->rate = cpu_to_le32(ask->rate);
	a->length = cpu_to_le64(ask->length);
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
		msg->length = fclock_encode_hello(core, peer, payload, 0);
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

int fclock_make_frame(struct fclock_core *core, struct fclock_peer *peer,
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

	length = fclock_make_frame(core, &core->peer[node], buf);
	if (length)
		core->stats.msg_sent++;
	fclock_settle(core);	/* a lock given back may have fed a waiter */
	return length;
}
