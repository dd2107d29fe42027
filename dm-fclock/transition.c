// SPDX-License-Identifier: GPL-2.0-only
/*
 * A node as a participant: PREPARE, drain, PREPARED, adopt. And what it asks of the
 * primary: its wish (what should stand in the superblock about it) and the
 * triggers and stops of its users.
 *
 *            PREPARE(n)            drained              superblock >= n
 *   (none) ------------> pending ----------> prepared ------------------> (none)
 *                           |                             adopt
 *                           +-------------------------------^
 *
 * A superblock below the pending number is ignored; a PREPARE above it replaces it.
 */
#include "core-private.h"

/* -------------------------------------------------------------------- gates */

void fclock_gate(struct fclock_core *core, u32 closed)
{
	if (closed == core->gates)
		return;
	core->gates = closed;
	core->ops->gate(core, closed, ++core->gate_seq);
	if (!closed)
		core->gated_seq = core->gate_seq;	/* nothing to wait for */
}

void fclock_core_gated(struct fclock_core *core, u64 seq)
{
	lockdep_assert_held(core->lock);

	if (seq != core->gate_seq)
		return;
	core->gated_seq = seq;
	fclock_progress(core);
	fclock_settle(core);
}

/* All that counts as in flight behind the gates, and of the owner, has ended. */
bool fclock_drained(struct fclock_core *core)
{
	return core->gated_seq == core->gate_seq && !core->nr_granted &&
	       fclock_owner_idle(core);
}

static u32 gates_of(u8 kind, u16 slots)
{
	if (kind == FCLOCK_VIEW || kind == FCLOCK_COPY_RATE ||
	    kind == FCLOCK_RESIZE)
		return 0;
	return slots | (kind == FCLOCK_TRIGGER ? BIT(FCLOCK_CACHE_A) : 0);
}

/* ---------------------------------------------------------------- participant */

/*
 * A longer volume than this node can run, or a copy longer than its table here: a reload has made
 * them shorter while the primary did not know yet.
 */
static bool too_short_for(struct fclock_core *core,
			  const struct fclock_wire_prepare *p)
{
	u16 slots = le16_to_cpu(p->slots) & core->attached;
	unsigned int s;

	if (p->kind == FCLOCK_RESIZE)
		return le64_to_cpu(p->length) > core->room;
	for (s = 0; p->kind == FCLOCK_TRIGGER && s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) &&
		    core->copy_length[s] < core->sb.geo.length)
			return true;
	return false;
}

/**
 * fclock_prepare - PREPARE from @peer
 *
 * Only the primary that the adopted superblock names prepares anything (a new one
 * announces itself first), and only upwards. Where this node cannot take part it says so by its
 * wish, and never PREPARED.
 */
void fclock_prepare(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_wire_prepare *p)
{
	u64 number = le64_to_cpu(p->number);
	u16 slots = le16_to_cpu(p->slots);

	if (!core->have_sb || peer->node != core->sb.primary ||
	    peer->instance != core->sb.primary_instance)
		return;
	if (number == core->prep.number && core->prep.said)
		fclock_send(core, peer, FCLOCK_SEND_PREPARED);
	if (number <= core->sb.state || number <= core->prep.number ||
	    number - core->sb.state > FCLOCK_STATE_JUMP ||
	    !fclock_is_listed(core))
		return;
	if (too_short_for(core, p)) {
		fclock_wish(core);
		return;
	}
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_PREPARE, number,
				slots);
	core->prep.number = number;
	core->prep.kind = p->kind;
	core->prep.slots = slots;
	core->prep.length = le64_to_cpu(p->length);
	core->prep.began = core->ops->now(core);
	core->prep.said = false;
	fclock_client_drop_requests(core);
	fclock_owner_prepare(core);
	fclock_gate(core, gates_of(p->kind, slots));
	fclock_client_retry(core);
	fclock_progress(core);
}

/* Something ended that a transition, or the end of the instance, may wait for. */
void fclock_progress(struct fclock_core *core)
{
	struct fclock_prepare *prep = &core->prep;

	if (core->phase == FCLOCK_ENDING || core->phase == FCLOCK_LEAVING)
		fclock_check_ended(core);
	if (!prep->number || prep->number == ~0ULL || prep->said ||
	    !fclock_drained(core))
		return;
	fclock_client_forget_locks(core);
	prep->said = true;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_PREPARED,
				prep->number, prep->slots);
	fclock_send(core, &core->peer[core->sb.primary], FCLOCK_SEND_PREPARED);
}

/* Drops what the new superblock ends; tells what an operator would want to know. */
static void adopt_slots(struct fclock_core *core)
{
	struct fclock_peer *peer;
	u16 triggered = 0, changed = 0;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		const struct fclock_slot *was = &core->old.slot[s];
		const struct fclock_slot *is = &core->sb.slot[s];

		if (was->generation != is->generation) {
			triggered |= BIT(s);
			for (peer = fclock_next_peer(core, NULL); peer;
			     peer = fclock_next_peer(core, peer))
				peer->split[s] = 0;
		}
		if (was->state != is->state ||
		    was->generation != is->generation)
			changed |= BIT(s);
		if (was->generation != is->generation ||
		    (is->state != FCLOCK_SLOT_ACTIVE &&
		     is->state != FCLOCK_SLOT_COMPLETE))
			fclock_cache_drop(&core->cache, s);
		if (was->state != is->state && is->state == FCLOCK_SLOT_OFFLINE)
			fclock_say(core, "slot %u is offline: its copy lost its point in time",
				   s);
	}
	if (triggered) {
		fclock_cache_drop(&core->cache, FCLOCK_CACHE_A);
		core->ops->event(core, FCLOCK_EVENT_TRIGGER, triggered);
	}
	fclock_tidy_later(core);
	if (changed)
		core->ops->event(core, FCLOCK_EVENT_STATE, changed);
}

static void adopt_length(struct fclock_core *core, bool had_sb)
{
	u64 length = core->sb.geo.length;

	if (core->old.geo.length == length)
		return;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_RESIZE, length, 0);
	if (had_sb)
		fclock_say(core, "the volume has %llu sectors now, it had %llu",
			   (unsigned long long)length,
			   (unsigned long long)core->old.geo.length);
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

static void adopt_phase(struct fclock_core *core)
{
	bool listed = fclock_is_listed(core);

	if (core->phase == FCLOCK_STARTING && listed &&
	    !fclock_member(core, core->cfg.node))
		fclock_begin_ending(core, "a members list left it out");
	else if (core->phase == FCLOCK_STARTING && listed)
		fclock_set_phase(core, FCLOCK_RUNNING);
	else if (core->phase == FCLOCK_RUNNING && !listed)
		fclock_begin_ending(core, "it is no participant any more");
	else if (core->phase == FCLOCK_LEAVING)
		fclock_check_ended(core);
}

static void say_owners(struct fclock_core *core)
{
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	u16 unowned = core->sb.owners ? 0 : active;

	if (unowned & ~core->said_unowned)
		fclock_say(core, "no participant has a copy device for slot %s attached: writes of unsplit grains of %s wait",
			   fclock_list_slots(unowned).text, core->cfg.origin);
	core->said_unowned = unowned;
}

/**
 * fclock_adopt - a superblock that is durable replaces the known one
 * @ends_locks: by RESUME, so every participant had PREPARED
 */
void fclock_adopt(struct fclock_core *core, const struct fclock_super *sb,
		  bool ends_locks)
{
	enum fclock_volume_state was = fclock_core_volume_state(core);
	bool primary_changed, had_sb = core->have_sb;

	if ((core->have_sb && sb->state <= core->sb.state) ||
	    sb->state < core->prep.number)
		return;
	memcpy(&core->old, &core->sb, sizeof(core->old));
	memcpy(&core->sb, sb, sizeof(core->sb));
	core->have_sb = true;
	fclock_core_formatted(core, sb->uuid);
	core->prep.number = 0;
	fclock_set_untaken(core, false);
	primary_changed = core->old.primary_instance != sb->primary_instance;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_ADOPT, sb->state, 0);
	fclock_client_drop_requests(core);
	adopt_slots(core);
	adopt_length(core, had_sb);
	fclock_owner_adopt(core, &core->old, ends_locks);
	say_owners(core);
	if (core->sb.epoch > core->epoch)
		fclock_members_adopt(core, core->sb.epoch, core->sb.members);
	/*
	 * Numbers of attempts of this node that failed end here: who wrote @sb had the role only
	 * when no write of this node could follow, and looked at M before it wrote, so none of
	 * them stands there above @sb. Kept, they would make a PREPARE of this node far above
	 * all that is on M, and who heard it would ignore the next primary for that long.
	 */
	if (sb->primary_instance != core->instance)
		core->pri.number = sb->state;
	if (primary_changed) {
		fclock_asks_lost(core, "the primary changed");
		if (core->old.primary_instance == core->instance)
			fclock_primary_reset(core);
	}
	if (core->phase != FCLOCK_ENDING && core->phase != FCLOCK_LEFT)
		fclock_gate(core, 0);
	adopt_phase(core);
	fclock_update_paths(core);
	fclock_cache_free_grains(core);
	fclock_wish(core);
	fclock_send_all(core, FCLOCK_SEND_PING);	/* tells our state number */
	/* the one who handed the role over may go before it has told everybody */
	if (primary_changed && fclock_is_primary(core)) {
		core->pri.resume = ends_locks;
		fclock_send_all(core, FCLOCK_SEND_SUPER);
	}
	fclock_client_retry(core);
	fclock_owner_retry(core);
	if (fclock_reads_wanted(core))
		fclock_members_news(core);
	fclock_say_cut_off(core);
	fclock_state_event(core, was);
}

/* --------------------------------------------------------------------- wishes */

/* The primary, while its link is up. */
struct fclock_peer *fclock_linked_primary(struct fclock_core *core)
{
	struct fclock_peer *peer = &core->peer[core->sb.primary];

	if (!core->have_sb || !core->sb.primary ||
	    peer->link != FCLOCK_LINK_UP ||
	    peer->instance != core->sb.primary_instance)
		return NULL;
	return peer;
}

/* What this node wants has changed, or the primary may not know it. */
void fclock_wish(struct fclock_core *core)
{
	struct fclock_peer *peer = fclock_linked_primary(core);

	if (peer && core->started && core->phase != FCLOCK_LEFT &&
	    core->phase != FCLOCK_ENDING)
		fclock_send(core, peer, FCLOCK_SEND_WISH);
}

void fclock_wish_get(struct fclock_core *core, struct fclock_wire_ask *ask)
{
	bool joined = (core->phase == FCLOCK_STARTING ||
		       core->phase == FCLOCK_RUNNING) &&
		      fclock_member(core, core->cfg.node);
	unsigned int s;

	memset(ask, 0, sizeof(*ask));
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (core->attached & BIT(s))
			ask->copy[s] = cpu_to_le64(core->copy_length[s]);
	ask->kind = FCLOCK_ASK_WISH;
	ask->flags = joined ? FCLOCK_WISH_JOINED : 0;
	/* who has not all of the copy cannot keep it */
	ask->attached = cpu_to_le16(core->attached & ~core->too_short);
	ask->length = cpu_to_le64(core->room);
	core->told_room = core->room;
	core->told_joined = joined;
	ask->offline = cpu_to_le16(core->own.failing);
	ask->complete = cpu_to_le16(fclock_owner_complete(core));
	memcpy(ask->host, core->cfg.host, sizeof(ask->host));
}

/* ------------------------------------------------------------ triggers, stops */

static void ask_end(struct fclock_core *core, struct fclock_ask *ask, int error,
		    const char *text)
{
	list_del_init(&ask->list);
	ask->done = true;
	ask->error = error;
	strscpy(ask->text, text, sizeof(ask->text));
	core->ops->answer(core, ask);
}

/* Who can only be asked later, and where to look why. */
static void ask_unconnected(struct fclock_core *core, struct fclock_ask *ask)
{
	char text[FCLOCK_ANSWER_TEXT];

	snprintf(text, sizeof(text), "the primary, node %u, is not connected",
		 core->sb.primary);
	ask_end(core, ask, -ENOTCONN, text);
}

/* The first ask is at the primary, always; the others wait for its answer. */
void fclock_asks_kick(struct fclock_core *core)
{
	struct fclock_peer *peer = fclock_linked_primary(core);
	struct fclock_ask *ask;

	while (!list_empty(&core->asks)) {
		ask = list_first_entry(&core->asks, struct fclock_ask, list);
		if (ask->sent)
			return;
		if (core->phase != FCLOCK_RUNNING) {
			ask_end(core, ask, -EAGAIN,
				"this node does not take part in the volume (yet)");
		} else if (!peer) {
			ask_unconnected(core, ask);
		} else {
			ask->sent = true;
			fclock_send(core, peer, FCLOCK_SEND_ASK);
			return;
		}
	}
}

/* What was sent to the primary will not be answered: its outcome is not known here. */
void fclock_asks_lost(struct fclock_core *core, const char *why)
{
	struct fclock_ask *ask;

	ask = list_first_entry_or_null(&core->asks, struct fclock_ask, list);
	if (ask)
		ask_end(core, ask, -EINPROGRESS, why);
	fclock_asks_kick(core);
}

void fclock_answered(struct fclock_core *core, u64 id, int error,
		     const char *text)
{
	struct fclock_ask *ask;

	ask = list_first_entry_or_null(&core->asks, struct fclock_ask, list);
	if (!ask || ask->id != id)
		return;
	ask_end(core, ask, error, text);
	fclock_asks_kick(core);
}

void fclock_core_ask(struct fclock_core *core, struct fclock_ask *ask)
{
	lockdep_assert_held(core->lock);

	ask->id = ++core->next_id;
	ask->sent = false;
	ask->done = false;
	list_add_tail(&ask->list, &core->asks);
	fclock_asks_kick(core);
	fclock_settle(core);
}

void fclock_core_ask_cancel(struct fclock_core *core, struct fclock_ask *ask)
{
	struct fclock_peer *peer = fclock_linked_primary(core);

	lockdep_assert_held(core->lock);

	if (ask->done)
		return;
	list_del_init(&ask->list);
	ask->done = true;
	if (ask->sent && peer) {
		core->cancel_id = ask->id;
		fclock_send(core, peer, FCLOCK_SEND_CANCEL);
	}
	fclock_asks_kick(core);
	fclock_settle(core);
}
