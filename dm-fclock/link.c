// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links to other nodes: HELLO and WELCOME, who is refused, what a link that comes up
 * or breaks means for everything that was said on it.
 */
#include "core-private.h"

void fclock_link_down(struct fclock_core *core, struct fclock_peer *peer)
{
	if (peer->link == FCLOCK_LINK_DOWN)
		return;
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_DOWN,
			  peer->instance);
	peer->link = FCLOCK_LINK_DOWN;
	peer->pending = 0;
	peer->told = 0;
	fclock_ask_forget(peer);
	fclock_client_link_down(core, peer);
	fclock_owner_link_down(core, peer);
	if (core->have_sb && core->sb.primary == peer->node)
		fclock_asks_lost(core, "the link to the primary broke");
	fclock_primary_gone(core);
	fclock_say_cut_off(core);
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
	peer->state = again ? max(peer->state, msg->state) : msg->state;
	peer->credits = min_t(u16, le16_to_cpu(hello->credits), FCLOCK_CREDITS);
	memcpy(peer->host, hello->host, sizeof(peer->host));
	peer->primary = le64_to_cpu(hello->primary_instance) == msg->sender;
	if (!again) {
		peer->instance = msg->sender;
		peer->bye = false;
		fclock_primary_new_instance(core, peer);
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
	fclock_check_ended(core);	/* BYE can be said */
	fclock_members_news(core);
	fclock_say_cut_off(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

static int refuse(struct fclock_core *core, struct fclock_peer *peer, int error,
		  const char *why)
{
	trace_fclock_link(core->cfg.node, peer->node, FCLOCK_TK_REFUSED, 0);
	fclock_say_limited(core, "refuses node %u: %s", peer->node, why);
	return error;
}

/*
 * One of the two has a table that is too short for what the other knows of the volume: a node
 * that was away while the others resized it.
 */
static bool lengths_differ(struct fclock_core *core,
			   const struct fclock_wire_hello *hello,
			   const char **why)
{
	u64 theirs = le64_to_cpu(hello->length), room = le64_to_cpu(hello->room);
	u64 ours = core->sb.geo.length;

	if (room >= ours && core->room >= theirs)
		return false;
	if (room < ours)
		snprintf(core->why, sizeof(core->why), "it can run %llu sectors and the volume has %llu",
			 (unsigned long long)room, (unsigned long long)ours);
	else
		snprintf(core->why, sizeof(core->why), "this node can run %llu sectors and the volume has %llu",
			 (unsigned long long)core->room,
			 (unsigned long long)theirs);
	*why = core->why;
	return true;
}

/*
 * The volume is longer than this node can run. No link comes about, so a participant that was
 * left out before the volume grew hears nowhere but from M that it is one no more.
 */
static void hear_length(struct fclock_core *core,
			const struct fclock_wire_hello *hello)
{
	u64 theirs = le64_to_cpu(hello->length);

	if (theirs <= core->room || !core->formatted ||
	    memcmp(hello->uuid, core->cfg.uuid, sizeof(hello->uuid)) ||
	    le32_to_cpu(hello->grain) != core->sb.geo.grain)
		return;
	fclock_say_too_long(core, theirs);
	fclock_members_news(core);
}

/* Is it this node's peer, of this volume, in this version? Return: 0, or an error and @why. */
static int mismatch(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_msg *msg,
		    const struct fclock_wire_hello *hello, const char **why)
{
	static const u8 no_uuid[FCLOCK_UUID_LEN];

	*why = "it speaks another version of the protocol";
	if (hello->min_version > FCLOCK_WIRE_VERSION ||
	    hello->max_version < FCLOCK_WIRE_VERSION)
		return -EPROTONOSUPPORT;
	*why = "wrong node id";
	if (hello->node_id != peer->node || hello->peer_id != core->cfg.node ||
	    !msg->sender)
		return -EINVAL;
	*why = "its metadata is that of another volume";
	if (memcmp(hello->uuid, no_uuid, sizeof(no_uuid)) &&
	    fclock_other_uuid(core, hello->uuid))
		return -EMEDIUMTYPE;
	*why = "its grain size differs";
	if (le32_to_cpu(hello->grain) != core->sb.geo.grain ||
	    lengths_differ(core, hello, why))
		return -EINVAL;
	*why = "it demands a key and this node has none";
	if (le16_to_cpu(hello->flags) & FCLOCK_HELLO_KEY)
		return -EKEYREJECTED;
	return 0;
}

static int check_hello(struct fclock_core *core, struct fclock_peer *peer,
		       const struct fclock_msg *msg,
		       const struct fclock_wire_hello *hello)
{
	const char *why;
	int r = mismatch(core, peer, msg, hello, &why);

	return r ? refuse(core, peer, r, why) : 0;
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

	fclock_encode_hello(core, peer,
			    frame + sizeof(struct fclock_wire_header), error);
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
		r = fclock_receive_list(core, peer, le64_to_cpu(hello->epoch),
					le64_to_cpu(hello->members));
	if (r) {
		hear_length(core, hello);
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

int fclock_receive_welcome(struct fclock_core *core, struct fclock_peer *peer,
			   const struct fclock_msg *msg,
			   const struct fclock_wire_hello *hello)
{
	const char *why;
	int r;

	if (msg->type != FCLOCK_WELCOME || msg->seq != 1 ||
	    msg->receiver != core->instance)
		return -EPROTO;
	if (hello->refusal) {
		/*
		 * Other lists under one epoch: this side suspends as well. But a list
		 * of another volume says of nobody here that he is fenced.
		 */
		if (!mismatch(core, peer, msg, hello, &why))
			fclock_receive_list(core, peer,
					    le64_to_cpu(hello->epoch),
					    le64_to_cpu(hello->members));
		else
			hear_length(core, hello);
		fclock_say_limited(core, "node %u refuses this node: error %u",
				   peer->node, le32_to_cpu(hello->refusal));
		return -ECONNREFUSED;
	}
	r = check_hello(core, peer, msg, hello);
	if (!r)
		r = check_instance(core, peer, msg, hello);
	if (!r)
		r = fclock_receive_list(core, peer, le64_to_cpu(hello->epoch),
					le64_to_cpu(hello->members));
	if (!r)
		link_up(core, peer, msg, hello, false);
	else
		hear_length(core, hello);
	return r;
}

void fclock_core_lost(struct fclock_core *core, unsigned int node)
{
	lockdep_assert_held(core->lock);

	fclock_link_down(core, &core->peer[node]);
	fclock_settle(core);
}
