// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may be alive, who is gone, whose the role of the primary is; the beginning and
 * the end of an instance.
 *
 * The role is judged only by a superblock just read from M: a stale one could name
 * two nodes. It moves only to a participant of the list that was read, or, when
 * every listed instance is gone, to the one node that the members list on M
 * names as lowest, so that two nodes never take it at once.
 */
#include "core-private.h"

/* Is @node in the newest members list? All configured nodes are, before the first one. */
bool fclock_member(struct fclock_core *core, unsigned int node)
{
	if (core->epoch)
		return core->members & fclock_node_bit(node);
	return core->peer[node].configured;
}

/*
 * Is it certain that (@node, @instance), which a superblock of number @state names, does
 * no I/O any more?
 *
 * It is when a members list left the node out (which means fenced), when it said
 * BYE, or when a later instance of the node said HELLO. Instances have no order of their
 * own, and the superblock may name one that came after the last HELLO which was
 * heard here; but an instance that knows a state in which another one of its node was
 * listed can only be the later one.
 */
static bool instance_gone(struct fclock_core *core, unsigned int node,
			  u64 instance, u64 state)
{
	const struct fclock_peer *peer = &core->peer[node];

	if (core->epoch && !(core->members & fclock_node_bit(node)))
		return true;
	if (node == core->cfg.node)
		return instance != core->instance;
	if (peer->instance == instance)
		return peer->bye;
	return peer->instance && peer->state >= state;
}

/* Is the listed participant @node of @sb gone? */
bool fclock_gone(struct fclock_core *core, const struct fclock_super *sb,
		 unsigned int node)
{
	return instance_gone(core, node, fclock_listed_instance(sb, node),
			     sb->state);
}

static bool primary_gone(struct fclock_core *core,
			 const struct fclock_super *sb)
{
	return !sb->primary || instance_gone(core, sb->primary,
					     sb->primary_instance, sb->state);
}

/* ------------------------------------------------------------------ the role */

static u64 listed_alive(struct fclock_core *core, const struct fclock_super *sb)
{
	u64 nodes = 0;
	unsigned int node;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (fclock_listed_instance(sb, node) &&
		    !fclock_gone(core, sb, node))
			nodes |= fclock_node_bit(node);
	return nodes;
}

u64 fclock_core_configured(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);
	return core->cfg.peers | fclock_node_bit(core->cfg.node);
}

/* Case (c): nodes of the list on M that no newer list left out, or of the newest list. */
static u64 candidates(struct fclock_core *core, const struct fclock_super *sb)
{
	u64 nodes = sb && sb->epoch ? sb->members :
				fclock_core_configured(core);

	if (core->epoch)
		nodes &= core->members;
	return nodes ? nodes : core->members;
}

/**
 * role_of - whose the role is by @sb; 0: it has not moved, or nobody's that is known
 * @sb: just read from M; NULL: M is empty
 */
static unsigned int role_of(struct fclock_core *core,
			    const struct fclock_super *sb)
{
	u64 nodes;

	if (sb && !primary_gone(core, sb))
		return 0;
	nodes = sb ? listed_alive(core, sb) : 0;
	if (nodes)
		return __ffs64(nodes) + 1;		/* (b) */
	nodes = candidates(core, sb);
	return nodes ? __ffs64(nodes) + 1 : 0;		/* (c) */
}

/*
 * By @sb this very instance has the role, though it was never told: the former primary
 * gave it away and could not say so, or this node's own write was reported as failed.
 *
 * Only two write a superblock that names this instance: itself, and a primary that leaves, by its
 * last view. That one writes no other after it, whether the write succeeds (then it knows
 * another primary), fails (primary_gave_away()), is overtaken by the next superblock, or the
 * instance stops meanwhile.
 */
static bool names_this(struct fclock_core *core, const struct fclock_super *sb)
{
	return sb && sb->primary == core->cfg.node &&
	       sb->primary_instance == core->instance;
}

/*
 * Somebody runs @sb, or what followed: it was announced, so its write has ended. One that has
 * not ended may stand on M already, and be sent to the device once more (by multipath, or iSCSI):
 * over what the next primary has written into that block since. Who is not listed in @sb may have
 * its number from M.
 */
static bool was_announced(struct fclock_core *core,
			  const struct fclock_super *sb)
{
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (peer->node != core->cfg.node &&
		    peer->link == FCLOCK_LINK_UP && peer->state >= sb->state &&
		    fclock_listed_instance(sb, peer->node) == peer->instance)
			return true;
	return false;
}

/*
 * The node that has the role, as it said itself, is heard, and has not come to @sb: its write may
 * not have ended. It will say that it has, or be gone. 0: there is none.
 *
 * A link that breaks ends this as well: a primary that has stopped and could not say BYE looks
 * the same, and who starts would wait for a list although all is well.
 */
static unsigned int under_way(struct fclock_core *core,
			      const struct fclock_super *sb)
{
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (peer->link == FCLOCK_LINK_UP && peer->state < sb->state &&
		    (peer->primary || peer == fclock_linked_primary(core)) &&
		    !instance_gone(core, peer->node, peer->instance, sb->state))
			return peer->node;
	return 0;
}

/*
 * Case (c) with a list that does not follow the one on M at once: by a list in between
 * another node may be taking the role right now, though this one has the lower id. Who
 * is in the newest list and says so without taking the role will judge by this list or
 * a newer one; who is not in it is fenced. So all of them are waited for.
 */
static bool all_heard(struct fclock_core *core, const struct fclock_super *sb)
{
	struct fclock_peer *peer;
	u64 nodes = core->members & ~fclock_node_bit(core->cfg.node);

	if (core->epoch <= (sb ? sb->epoch : 0) + 1)
		return true;
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (peer->told == core->epoch)
			nodes &= ~fclock_node_bit(peer->node);
	return !nodes;
}

/*
 * Was @sb written by the very node that it names? Then its write has ended: that node is gone, or
 * is this one, which does not look at M while it writes.
 *
 * This node knows the numbers that it tried itself; who gave it the role wrote nothing after. And
 * a participant knows one that took the role: nobody gives it away without this node's PREPARED,
 * so not above the number that is pending here. (Nor is that one the primary of the superblock
 * that runs here: where it is gone nobody asks this.)
 */
static bool wrote_itself(struct fclock_core *core,
			 const struct fclock_super *sb)
{
	if (names_this(core, sb) && core->pri.tried > core->sb.state &&
	    sb->state >= core->pri.tried)
		return true;
	return fclock_is_listed(core) && primary_gone(core, sb) &&
	       sb->state > max(core->sb.state, core->prep.number);
}

/*
 * Has the write of @sb ended? If it gives the role away, it was written by a primary that had this
 * node's PREPARED: the one known here. Who took the role by it, and wrote more, is gone where
 * this is asked; so is the primary of the superblock that this node runs, if @sb is that.
 */
static bool has_ended(struct fclock_core *core, const struct fclock_super *sb)
{
	return !core->have_sb || primary_gone(core, &core->sb) ||
	       wrote_itself(core, sb) || was_announced(core, sb);
}

/* May this node act on it? By (b) only who is listed, as role_of() has it. */
static bool may_take(struct fclock_core *core, const struct fclock_super *sb)
{
	if (core->split_brain || !fclock_member(core, core->cfg.node))
		return false;
	if (names_this(core, sb))
		return !fclock_is_primary(core) && has_ended(core, sb);
	if (role_of(core, sb) != core->cfg.node)
		return false;
	if (sb && listed_alive(core, sb))
		return has_ended(core, sb);
	return core->phase == FCLOCK_STARTING && all_heard(core, sb) &&
	       !(sb && under_way(core, sb));
}

static void say_waiting(struct fclock_core *core, const struct fclock_super *sb)
{
	unsigned int node;
	u64 key;

	node = sb && !primary_gone(core, sb) ? sb->primary : role_of(core, sb);
	/* by one that may be alive, and whose write may be under way: as may_take() */
	if (sb && node == core->cfg.node && !has_ended(core, sb)) {
		sb = &core->sb;
		node = sb->primary;
	}
	if (sb && node == core->cfg.node && under_way(core, sb))
		node = under_way(core, sb);
	key = ((u64)node << 32) | core->phase | BIT(16);
	if (core->said_waiting == key || !node)
		return;
	core->said_waiting = key;
	if (!fclock_member(core, core->cfg.node))
		fclock_say(core, "waits: it is not in the members list of epoch %llu",
			   (unsigned long long)core->epoch);
	else if (sb && node != core->cfg.node && sb->part[node - 1].instance)
		fclock_say(core, "waits for node %u (host %s), or for a members list without it",
			   node, sb->part[node - 1].host);
	else if (node != core->cfg.node)
		fclock_say(core, "waits for node %u, or for a members list without it",
			   node);
	else if (!all_heard(core, sb))
		fclock_say(core, "waits for all members of epoch %llu, or for a list without them: M has epoch %llu",
			   (unsigned long long)core->epoch,
			   (unsigned long long)(sb ? sb->epoch : 0));
}

/*
 * What the pending PREPARE came to is not heard from the primary while its link is down: perhaps
 * it has given the role to this node, is off since then, and nobody will ever tell.
 */
static bool may_be_untold(struct fclock_core *core)
{
	return core->prep.number && !fclock_linked_primary(core);
}

/*
 * A starting node, one whose primary is gone, and one that may have the role, looks at M again
 * and again.
 */
bool fclock_reads_wanted(struct fclock_core *core)
{
	if (!core->started || core->prep.number == ~0ULL)
		return false;
	if (core->phase == FCLOCK_STARTING)
		return !fclock_is_primary(core);
	if (core->phase != FCLOCK_RUNNING && core->phase != FCLOCK_LEAVING)
		return false;
	/* who has PREPARED a resize can run it: this node was not there, or heard wrong */
	if (core->said_length > core->room)
		return true;
	/* or until M can be read again */
	return core->md_error || may_be_untold(core) ||
	       primary_gone(core, &core->sb);
}

void fclock_set_md_error(struct fclock_core *core, bool error)
{
	if (core->md_error != error)
		core->ops->event(core, FCLOCK_EVENT_STATE, 0);
	core->md_error = error;
}

void fclock_set_untaken(struct fclock_core *core, bool untaken)
{
	if (core->untaken != untaken)
		core->ops->event(core, FCLOCK_EVENT_STATE, 0);
	core->untaken = untaken;
}

void fclock_read_later(struct fclock_core *core)
{
	core->reread_at = core->ops->now(core) + FCLOCK_RETRY_MS;
	fclock_arm(core, core->reread_at);
}

static void read_super(struct fclock_core *core)
{
	if (core->reading || core->pri.writing)
		return;
	core->reading = true;
	core->news = false;
	core->ops->read_super(core);
}

/* A new list, a HELLO, a BYE: who is gone may have changed. */
void fclock_members_news(struct fclock_core *core)
{
	fclock_primary_gone(core);
	core->news = core->reading;
	if (!fclock_reads_wanted(core))
		return;
	fclock_read_later(core);
	read_super(core);
}

/* M is empty: the superblock that formats it. */
static void take_empty(struct fclock_core *core)
{
	struct fclock_super *sb = &core->scratch;

	memset(sb, 0, sizeof(*sb));
	memcpy(sb->uuid, core->cfg.uuid, sizeof(sb->uuid));
	sb->geo = core->cfg.geo;
	sb->epoch = core->epoch;
	sb->members = core->members;
	fclock_primary_take(core, sb, true);
}

static void super_seen(struct fclock_core *core, const struct fclock_super *sb)
{
	fclock_set_md_error(core, false);
	fclock_core_formatted(core, sb->uuid);
	/*
	 * A starting node has no locks and no confirmations, so it may learn the
	 * state from M. A participant adopts only what the primary announces, and
	 * so does who is to become one: a superblock whose write was reported as
	 * failed stands on M too, until the primary has written another one.
	 */
	if (core->phase == FCLOCK_STARTING && !under_way(core, sb) &&
	    fclock_listed_instance(sb, core->cfg.node) != core->instance &&
	    !names_this(core, sb))
		fclock_adopt(core, sb, false);
	if (fclock_members_adopt(core, sb->epoch, sb->members) == -EEXIST &&
	    !core->split_brain) {
		fclock_say(core, "the metadata device has another members list under epoch %llu: this node suspends",
			   (unsigned long long)sb->epoch);
		fclock_members_disputed(core);
	}
	/*
	 * Struck, and who did it has gone since: nobody will tell. But one that leaves was
	 * struck by its own wish, perhaps in a write that was reported as failed.
	 */
	if (sb->state > core->sb.state && fclock_is_listed(core) &&
	    (core->phase == FCLOCK_RUNNING || primary_gone(core, &core->sb)) &&
	    !fclock_is_primary(core) && !names_this(core, sb) &&
	    fclock_listed_instance(sb, core->cfg.node) != core->instance)
		fclock_begin_ending(core, "the metadata device does not list it any more");
	if (core->phase == FCLOCK_ENDING || core->phase == FCLOCK_LEFT ||
	    !fclock_reads_wanted(core))
		return;
	if (may_take(core, sb)) {
		fclock_primary_take(core, sb, false);
	} else {
		fclock_set_untaken(core, false);
		say_waiting(core, sb);
	}
}

static void empty_seen(struct fclock_core *core)
{
	fclock_set_md_error(core, false);
	if (may_take(core, NULL)) {
		take_empty(core);
	} else {
		fclock_set_untaken(core, false);
		say_waiting(core, NULL);
	}
}

/* A longer volume than this node can run: it waits for a longer table. */
void fclock_say_too_long(struct fclock_core *core, u64 length)
{
	if (core->said_length == length)
		return;
	core->said_length = length;
	/* a peer may say a longer one at each HELLO */
	fclock_say_limited(core, "waits: the volume has %llu sectors, and this node's table, or its metadata device, is for %llu: load a longer table",
			   (unsigned long long)length,
			   (unsigned long long)core->room);
}

/*
 * @sb stands on M or was announced, and is that of a longer volume than this node can run: it
 * was no participant when the volume grew. It goes on waiting, or ends.
 */
void fclock_members_too_long(struct fclock_core *core,
			     const struct fclock_super *sb)
{
	fclock_core_formatted(core, sb->uuid);
	fclock_say_too_long(core, sb->geo.length);
	/* it was struck before the volume grew */
	if (fclock_is_listed(core) && sb->state > core->sb.state &&
	    fclock_listed_instance(sb, core->cfg.node) != core->instance)
		fclock_begin_ending(core, "it is no participant any more");
}

static void super_read(struct fclock_core *core, int error,
		       const struct fclock_super *sb)
{
	fclock_read_later(core);
	if (!error && (fclock_other_uuid(core, sb->uuid) ||
		       !fclock_same_layout(core, sb)))
		error = -EMEDIUMTYPE;
	if (core->news) {
		/* who is gone may have written after the read and before the news */
		read_super(core);
	} else if (!error && sb->geo.length > core->room) {
		fclock_set_md_error(core, false);
		fclock_members_too_long(core, sb);
	} else if (!error) {
		core->said_length = 0;
		super_seen(core, sb);
	} else if (error == -ENODATA && !core->formatted) {
		empty_seen(core);
	} else {
		if (!core->md_error)
			fclock_say(core, "the superblock cannot be read: error %d",
				   error);
		fclock_set_md_error(core, true);
	}
}

void fclock_core_super_read(struct fclock_core *core, int error,
			    const struct fclock_super *sb)
{
	lockdep_assert_held(core->lock);

	core->reading = false;
	if (fclock_reads_wanted(core))
		super_read(core, error, sb);
	fclock_check_ended(core);
	fclock_settle(core);
}

/* --------------------------------------------------------------- members lists */

/*
 * Left out by a list, this instance may not go on if M may list it, or name it as the primary:
 * the others take it for gone, also when a later list has the node again.
 */
static void left_out(struct fclock_core *core)
{
	if (core->phase == FCLOCK_RUNNING || core->phase == FCLOCK_LEAVING ||
	    core->told_joined || core->pri.tried)
		fclock_begin_ending(core, "a members list left it out");
}

/**
 * fclock_members_adopt - a list came from the cluster manager, a peer or M
 * Return: 0; -ESTALE: older than the known one; -EEXIST: another list under its epoch.
 */
int fclock_members_adopt(struct fclock_core *core, u64 epoch, u64 members)
{
	enum fclock_volume_state was = fclock_core_volume_state(core);

	if (epoch < core->epoch)
		return -ESTALE;
	if (epoch == core->epoch)
		return members == core->members ? 0 : -EEXIST;
	core->epoch = epoch;
	core->members = members;
	core->split_brain = false;
	fclock_send_all(core, FCLOCK_SEND_PING);
	if (!fclock_member(core, core->cfg.node))
		left_out(core);
	fclock_wish(core);	/* a member wishes to take part */
	fclock_update_paths(core);
	fclock_client_retry(core);
	fclock_owner_retry(core);
	fclock_members_news(core);
	fclock_state_event(core, was);
	return 0;
}

/*
 * Another list is known under the epoch of this node's: one of the two may leave nodes
 * out that are alive. Until a newer one comes this node begins nothing that goes by a
 * list: no I/O but reads of A, no copy, no transition, and it does not take the role.
 */
void fclock_members_disputed(struct fclock_core *core)
{
	if (core->split_brain)
		return;
	core->split_brain = true;
	fclock_update_paths(core);
	fclock_owner_disputed(core);
	fclock_primary_disputed(core);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

int fclock_core_adopt_members(struct fclock_core *core, u64 epoch, u64 members)
{
	int r;

	lockdep_assert_held(core->lock);

	if (!epoch || epoch > FCLOCK_EPOCH_MAX || !members)
		return -EINVAL;
	r = fclock_members_adopt(core, epoch, members);
	fclock_settle(core);
	return r;
}

int fclock_core_members(struct fclock_core *core, u64 epoch, u64 members)
{
	lockdep_assert_held(core->lock);

	if (members & ~fclock_core_configured(core))
		return -EINVAL;
	return fclock_core_adopt_members(core, epoch, members);
}

/* --------------------------------------------------------- end of an instance */

/* From now on this instance begins nothing: what is under way ends. */
void fclock_stop_all(struct fclock_core *core)
{
	enum fclock_volume_state was = fclock_core_volume_state(core);

	core->prep.number = ~0ULL;
	core->prep.said = true;
	if (!core->pri.writing) {
		core->pri.phase = FCLOCK_PRI_IDLE;
		core->pri.retry_at = 0;
	}
	fclock_client_drop_requests(core);
	fclock_owner_prepare(core);
	fclock_state_event(core, was);
}

/**
 * fclock_begin_ending - this instance may not, or cannot, take part any more
 *
 * Everything stops except reads of A. When all I/O of the instance has ended the
 * node begins again as a new one, which remembers nothing.
 */
void fclock_begin_ending(struct fclock_core *core, const char *why)
{
	if (core->phase == FCLOCK_ENDING || core->phase == FCLOCK_LEFT)
		return;
	fclock_say(core, "stops taking part: %s", why);
	if (core->phase == FCLOCK_LEAVING)
		core->leave_now = true;		/* no new instance follows */
	else
		fclock_set_phase(core, FCLOCK_ENDING);
	fclock_stop_all(core);
	fclock_gate(core, BIT(FCLOCK_CACHE_MAPS) - 1);
	fclock_asks_lost(core, why);
	fclock_check_ended(core);
}

static void reborn(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int m;

	/* no BYE: the HELLO of the next instance says that this one is over */
	fclock_client_forget_locks(core);
	fclock_owner_reset(core);
	for (m = 0; m < FCLOCK_CACHE_MAPS; m++)
		fclock_cache_drop(&core->cache, m);
	fclock_tidy_later(core);
	core->pri.phase = FCLOCK_PRI_IDLE;
	core->pri.tried = 0;
	fclock_primary_reset(core);
	core->prep.number = 0;
	core->instance = core->ops->random(core);
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (peer->node == core->cfg.node) {
			peer->instance = core->instance;
			peer->wish.valid = false;
			continue;
		}
		if (peer->link != FCLOCK_LINK_DOWN) {
			fclock_link_down(core, peer);
			core->ops->disconnect(core, peer->node);
		}
	}
	core->said_waiting = 0;
	core->told_room = 0;
	core->told_joined = false;
	fclock_set_phase(core, FCLOCK_STARTING);
	fclock_gate(core, 0);
	fclock_client_retry(core);
	fclock_members_news(core);
}

/*
 * By what is known here, or by a view that takes this instance in: the primary had its wish, and
 * what became of that is not heard while the link is down. Once the link is up, BYE undoes it.
 */
static bool may_be_listed(struct fclock_core *core)
{
	return fclock_is_listed(core) ||
	       (core->told_joined && !fclock_linked_primary(core));
}

static bool left_done(struct fclock_core *core)
{
	if (core->pri.writing || core->reading || !fclock_drained(core))
		return false;
	if (core->leave_now)
		return true;
	return !may_be_listed(core) && core->pri.phase == FCLOCK_PRI_IDLE;
}

/* Has what an ending or leaving instance waits for come about? */
void fclock_check_ended(struct fclock_core *core)
{
	if (core->phase == FCLOCK_ENDING) {
		if (!core->pri.writing && !core->reading && fclock_drained(core))
			reborn(core);
	} else if (core->phase == FCLOCK_LEAVING && left_done(core)) {
		fclock_stop_all(core);
		fclock_set_phase(core, FCLOCK_LEFT);
		fclock_send_all(core, FCLOCK_SEND_BYE);
		core->ops->event(core, FCLOCK_EVENT_ENDED, 0);
	}
}

void fclock_core_leave(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);

	if (core->phase == FCLOCK_ENDING)
		core->leave_now = true;
	fclock_set_phase(core, FCLOCK_LEAVING);
	fclock_asks_lost(core, "this node leaves");
	fclock_wish(core);
	fclock_check_ended(core);
	fclock_settle(core);
}

/* What others may still believe of an instance that goes. */
static void say_leaves_now(struct fclock_core *core)
{
	if (may_be_listed(core))
		fclock_say(core, "leaves without the others' word: it may stay listed");
	else if (core->pri.phase == FCLOCK_PRI_RESUMING && core->sb.primary)
		fclock_say(core, "leaves, and node %u may not have heard that it is the primary",
			   core->sb.primary);
	else
		fclock_say(core, "leaves as soon as nothing is under way here");
}

void fclock_core_leave_now(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);

	if (core->phase == FCLOCK_LEFT)
		return;
	say_leaves_now(core);
	core->leave_now = true;
	fclock_stop_all(core);
	fclock_check_ended(core);
	fclock_settle(core);
}

/* ------------------------------------------------------------------------ time */

void fclock_members_timer(struct fclock_core *core, u64 now)
{
	if (!fclock_reads_wanted(core))
		return;
	if (now >= core->reread_at) {
		core->reread_at = now + FCLOCK_RETRY_MS;
		read_super(core);
	}
	fclock_arm(core, core->reread_at);
}
