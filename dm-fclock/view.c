// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the nodes wish, and the view that follows from it. Views are level-triggered: what
 * every node wishes is compared with what stands in the superblock, and a difference makes
 * a view.
 */
#include "core-private.h"

void fclock_wish_set(struct fclock_core *core, struct fclock_peer *peer,
		     u64 state, const struct fclock_wire_ask *ask)
{
	u16 stale = 0;
	unsigned int s;

	/* said of a generation that has ended since */
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (core->sb.slot[s].generation > state)
			stale |= BIT(s);
	peer->wish.valid = true;
	peer->wish.state = state;
	peer->wish.joined = ask->flags & FCLOCK_WISH_JOINED;
	peer->wish.attached = le16_to_cpu(ask->attached);
	peer->wish.offline = le16_to_cpu(ask->offline) & ~stale;
	peer->wish.complete = le16_to_cpu(ask->complete);
	peer->wish.room = le64_to_cpu(ask->length);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		peer->wish.copy[s] = le64_to_cpu(ask->copy[s]);
	memcpy(peer->wish.host, ask->host, sizeof(peer->wish.host));
}

/* Who cannot run so long a volume waits for a longer table. */
static bool wishes_in(struct fclock_core *core, struct fclock_peer *peer)
{
	return peer->wish.room >= core->sb.geo.length &&
	       peer->link == FCLOCK_LINK_UP && peer->wish.valid &&
	       peer->wish.joined && !peer->bye &&
	       fclock_member(core, peer->node);
}

/*
 * What @peer has attached, by the copies that there are now: its wish may be from before the
 * trigger of one that is longer than its table. Such a node must not own a part of it.
 */
static u16 view_attached(const struct fclock_super *next,
			 const struct fclock_peer *peer)
{
	u16 attached = peer->wish.attached;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (next->slot[s].state == FCLOCK_SLOT_ACTIVE &&
		    peer->wish.copy[s] < next->slot[s].length)
			attached &= ~BIT(s);
	return attached;
}

/* One node's line of the next participant list. */
static void view_node(struct fclock_core *core, struct fclock_super *next,
		      unsigned int node)
{
	struct fclock_participant *part = &next->part[node - 1];
	struct fclock_peer *peer = &core->peer[node];
	bool same = part->instance && part->instance == peer->instance;

	if (part->instance && (fclock_gone(core, &core->sb, node) ||
			       (same && peer->wish.valid &&
				!peer->wish.joined)))
		memset(part, 0, sizeof(*part));
	if (!part->instance && wishes_in(core, peer)) {
		part->instance = peer->instance;
		memcpy(part->host, peer->wish.host, sizeof(part->host));
	}
	if (part->instance && part->instance == peer->instance &&
	    peer->wish.valid)
		part->attached = view_attached(next, peer);
}

static unsigned int lowest_participant(struct fclock_core *core,
				       const struct fclock_super *sb,
				       bool connected)
{
	unsigned int node;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (sb->part[node - 1].instance &&
		    (!connected ||
		     core->peer[node].link == FCLOCK_LINK_UP))
			return node;
	return 0;
}

/* This node while it takes part, else whom it hands the role to. */
static void view_primary(struct fclock_core *core, struct fclock_super *next)
{
	unsigned int node = core->cfg.node;

	if (next->part[node - 1].instance != core->instance) {
		node = lowest_participant(core, next, true);
		if (!node)
			node = lowest_participant(core, next, false);
	}
	next->primary = node;
	next->primary_instance = node ? next->part[node - 1].instance : 0;
}

/*
 * Every participant that has the copies of all active slots owns its share of the
 * slices; all participants do while no slot is active, so that the first trigger
 * needs no view.
 */
static void view_owners(struct fclock_super *next)
{
	u16 active = fclock_slots_in(next, FCLOCK_SLOT_ACTIVE);
	unsigned int node;

	next->owners = 0;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (fclock_listed_instance(next, node) &&
		    (next->part[node - 1].attached & active) == active)
			next->owners |= fclock_node_bit(node);
}

/* What @peer says of its own slices in this state: they were others in older ones. */
static u16 complete_at(struct fclock_core *core, const struct fclock_peer *peer)
{
	return peer->wish.valid && peer->wish.state == core->sb.state ?
	       peer->wish.complete : 0;
}

/* A copy is complete when every owner found all of its slices split. */
static void view_complete(struct fclock_core *core, struct fclock_super *next)
{
	u16 complete = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	unsigned int node, s;

	if (!core->sb.owners)
		return;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (core->sb.owners & fclock_node_bit(node))
			complete &= complete_at(core, &core->peer[node]);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (complete & BIT(s))
			next->slot[s].state = FCLOCK_SLOT_COMPLETE;
}

void fclock_build_view(struct fclock_core *core, struct fclock_super *next)
{
	unsigned int node;

	next->epoch = core->epoch;
	next->members = core->members;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		view_node(core, next, node);
	view_complete(core, next);
	view_primary(core, next);
	view_owners(next);
}

bool fclock_view_differs(struct fclock_core *core)
{
	struct fclock_super *next = &core->scratch;

	memcpy(next, &core->sb, sizeof(*next));
	fclock_build_view(core, next);
	return memcmp(next, &core->sb, sizeof(*next));
}

/* Is it known what @peer, a participant, wishes? */
bool fclock_has_wished(struct fclock_core *core, const struct fclock_peer *peer)
{
	return peer->wish.valid &&
	       fclock_listed_instance(&core->sb, peer->node) == peer->instance;
}

u16 fclock_offline_wanted(struct fclock_core *core)
{
	u16 slots = 0;
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (fclock_has_wished(core, peer) &&
		    !fclock_gone(core, &core->sb, peer->node))
			slots |= peer->wish.offline;
	return slots & fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
}

/* What was wished for a generation that has ended says nothing about the next one. */
void fclock_forget_wishes(struct fclock_core *core)
{
	struct fclock_peer *peer;
	u16 ended = 0;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (core->sb.slot[s].generation != core->old.slot[s].generation)
			ended |= BIT(s);
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		peer->wish.offline &= ~ended;
	}
}
