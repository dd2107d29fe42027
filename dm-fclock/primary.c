// SPDX-License-Identifier: GPL-2.0-only
/*
 * The primary: one transition at a time (protocol.rst, "Transitions").
 *
 *                      begin               all PREPARED          durable
 *   IDLE ----------------------> PREPARING -----------> WRITING ---------> RESUMING
 *    ^  ^                            | time-out            | failed            |
 *    |  |        durable             v                     v                   |
 *    |  +--------------------------- ABORTING <------------+                   |
 *    |                               (newer superblock, old content)           |
 *    +-------------------------------------------------------------------------+
 *                      all that can be reached run the new state
 *
 *   TAKING: a node that takes the role writes the superblock, as it is on M, again
 *   with the next number and itself as primary.
 *
 * A failed write has an unknown outcome, so after it nothing is announced before
 * a newer superblock is durable.
 */
#include "core-private.h"

static void primary_write(struct fclock_core *core, u8 phase)
{
	core->pri.phase = phase;
	core->pri.writing = true;
	core->pri.slices = core->pri.next.geo.slices;
	if (phase == FCLOCK_PRI_WRITING && core->pri.kind == FCLOCK_RESIZE)
		core->pri.slices = core->sb.geo.slices;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_WRITE,
				core->pri.next.state, core->pri.slots);
	core->ops->write_super(core, &core->pri.next, core->pri.format);
}

static u64 next_number(struct fclock_core *core)
{
	u64 n = max(core->pri.number, core->sb.state);

	if (core->prep.number != ~0ULL)
		n = max(n, core->prep.number);
	core->pri.number = n + 1;
	return core->pri.number;
}

/* The old content under a new number. */
static void next_from_current(struct fclock_core *core)
{
	memcpy(&core->pri.next, &core->sb, sizeof(core->pri.next));
	core->pri.next.state = next_number(core);
	core->pri.format = false;
}

static void build_next(struct fclock_core *core)
{
	struct fclock_primary *pri = &core->pri;
	unsigned int s;

	memcpy(&pri->next, &core->sb, sizeof(pri->next));
	pri->next.state = pri->number;
	pri->format = false;
	if (pri->kind == FCLOCK_VIEW) {
		fclock_build_view(core, &pri->next);
		return;
	}
	if (pri->kind == FCLOCK_RESIZE) {
		/* ask_refused() has tried it */
		WARN_ON(fclock_geometry_grow(&pri->next.geo, pri->length));
		return;
	}
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		struct fclock_slot *slot = &pri->next.slot[s];

		if (!(pri->slots & BIT(s)))
			continue;
		if (pri->kind == FCLOCK_COPY_RATE) {
			slot->rate = pri->rate;
		} else if (pri->kind == FCLOCK_TRIGGER) {
			slot->state = FCLOCK_SLOT_ACTIVE;
			slot->generation = pri->number;
			slot->length = core->sb.geo.length;
		} else {
			slot->state = pri->kind == FCLOCK_STOP ?
				      FCLOCK_SLOT_IDLE : FCLOCK_SLOT_OFFLINE;
		}
	}
}

/* --------------------------------------------------------------- transitions */

static void primary_abort(struct fclock_core *core, int error)
{
	core->pri.error = error;
	next_from_current(core);
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_ABORT,
				core->pri.next.state, core->pri.slots);
	primary_write(core, FCLOCK_PRI_ABORTING);
}

/* A listed participant that is not gone, and not yet PREPARED; 0: none. */
static unsigned int first_unprepared(struct fclock_core *core)
{
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (peer->needs_prepare && !peer->prepared &&
		    !fclock_gone(core, &core->sb, peer->node))
			return peer->node;
	return 0;
}

static void primary_check_prepared(struct fclock_core *core)
{
	if (core->pri.phase != FCLOCK_PRI_PREPARING || first_unprepared(core))
		return;
	build_next(core);
	primary_write(core, FCLOCK_PRI_WRITING);
}

static void primary_begin(struct fclock_core *core, u8 kind, u16 slots,
			  unsigned int asker)
{
	struct fclock_primary *pri = &core->pri;
	struct fclock_peer *peer;

	next_number(core);
	pri->kind = kind;
	pri->slots = slots;
	pri->asker = asker;
	pri->error = 0;
	pri->phase = FCLOCK_PRI_PREPARING;
	pri->deadline = core->ops->now(core) + core->cfg.trigger_timeout;
	fclock_arm(core, pri->deadline);
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		peer->prepared = false;
		peer->needs_prepare =
			fclock_listed_instance(&core->sb, peer->node) &&
			!fclock_gone(core, &core->sb, peer->node);
		if (peer->needs_prepare)
			fclock_send(core, peer, FCLOCK_SEND_PREPARE);
	}
	primary_check_prepared(core);
}

void fclock_primary_prepared(struct fclock_core *core, struct fclock_peer *peer,
			     u64 number)
{
	if (core->pri.phase != FCLOCK_PRI_PREPARING ||
	    number != core->pri.number ||
	    fclock_listed_instance(&core->sb, peer->node) != peer->instance)
		return;
	peer->prepared = true;
	primary_check_prepared(core);
}

static u8 kind_of_ask(u8 ask)
{
	switch (ask) {
	case FCLOCK_ASK_TRIGGER:
		return FCLOCK_TRIGGER;
	case FCLOCK_ASK_COPY_RATE:
		return FCLOCK_COPY_RATE;
	case FCLOCK_ASK_RESIZE:
		return FCLOCK_RESIZE;
	}
	return FCLOCK_STOP;
}

static void primary_next_ask(struct fclock_core *core)
{
	const struct fclock_asked *asked = fclock_ask_next(core);

	if (!asked)
		return;
	core->pri.rate = asked->rate;
	core->pri.length = asked->length;
	primary_begin(core, kind_of_ask(asked->kind), asked->slots,
		      container_of(asked, struct fclock_peer, asked)->node);
}

/*
 * An offline waits for all I/O of its slots, which a device below may keep for long; a view
 * closes no gate, and moves what waits for a dead owner. So where one failed the other has its
 * turn before it is tried again. Return: one has begun.
 */
static bool primary_begin_wanted(struct fclock_core *core)
{
	struct fclock_primary *pri = &core->pri;
	u16 offline;
	bool view;

	if (pri->retry_at || fclock_first_unconnected(core))
		return false;
	offline = fclock_offline_wanted(core);
	view = fclock_view_differs(core);
	if (view && (!offline || pri->view_first)) {
		pri->view_first = false;
		primary_begin(core, FCLOCK_VIEW, 0, 0);
		return true;
	}
	if (offline)
		primary_begin(core, FCLOCK_OFFLINE, offline, 0);
	return offline;
}

/*
 * Attempts to take the role failed, and then this node was told that it has it: one of them may
 * stand on M, so the next superblock has to be above them all. Not by a transition: who has
 * heard a PREPARE so far above M ignores the next primary, for as many seconds as there were
 * attempts.
 */
static bool primary_catch_up(struct fclock_core *core)
{
	if (core->pri.number <= core->sb.state)
		return false;
	next_from_current(core);
	primary_write(core, FCLOCK_PRI_TAKING);
	return true;
}

/*
 * Anything to do? A view or an offline that would have to wait for a participant
 * that is not connected is not begun: it would only hold up the others. Without its own
 * wish a new primary would write a view that leaves itself out, and lose the role.
 */
void fclock_primary_kick(struct fclock_core *core)
{
	struct fclock_primary *pri = &core->pri;

	/* nothing begins before M can be written again: nobody is to wait for that */
	while (pri->failed && !list_empty(&pri->asks))
		primary_next_ask(core);
	while (fclock_is_primary(core) && pri->phase == FCLOCK_PRI_IDLE &&
	       !core->split_brain &&
	       core->peer[core->cfg.node].wish.valid &&
	       core->prep.number != ~0ULL) {
		if (primary_catch_up(core) || primary_begin_wanted(core))
			return;
		if (list_empty(&pri->asks) || !fclock_is_listed(core))
			return;
		primary_next_ask(core);
	}
}

/* ------------------------------------------------------------------- RESUME */

/* To whom this node hands the role over: it is waited for also while it is not connected. */
static bool is_successor(struct fclock_core *core, struct fclock_peer *peer)
{
	return peer->node == core->sb.primary &&
	       !fclock_gone(core, &core->sb, peer->node);
}

/*
 * Who joins by this very view was not prepared, but may be the successor. The link of a
 * node that a list has left out may look alive for seconds: nobody waits for it.
 */
static bool is_awaited(struct fclock_core *core, struct fclock_peer *peer)
{
	return (peer->needs_prepare && peer->link == FCLOCK_LINK_UP &&
		fclock_member(core, peer->node)) ||
	       is_successor(core, peer);
}

static bool all_resumed(struct fclock_core *core)
{
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (peer->node != core->cfg.node &&
		    peer->state < core->sb.state && is_awaited(core, peer))
			return false;
	return true;
}

static void primary_finish(struct fclock_core *core)
{
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_answer_asker(core, 0, "");
	fclock_progress(core);
	fclock_primary_kick(core);
}

static void announce(struct fclock_core *core, bool resume)
{
	enum fclock_volume_state was = fclock_core_volume_state(core);

	core->pri.resume = resume;
	core->pri.failed = false;
	fclock_adopt(core, &core->pri.next, resume);
	fclock_state_event(core, was);
	fclock_forget_wishes(core);
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_RESUME,
				core->sb.state, core->pri.slots);
	fclock_send_all(core, FCLOCK_SEND_SUPER);
}

static void primary_resume(struct fclock_core *core)
{
	u8 kind = core->pri.kind;

	/* RESUMING before the adoption: a primary that hands over stays until it is heard. */
	core->pri.phase = FCLOCK_PRI_RESUMING;
	core->pri.retry_at = 0;
	core->pri.deadline = core->ops->now(core) + core->cfg.trigger_timeout;
	announce(core, true);
	if (kind == FCLOCK_TRIGGER)
		core->ops->event(core, FCLOCK_EVENT_STATE, core->pri.slots);
	fclock_arm(core, core->pri.deadline);
	if (all_resumed(core))
		primary_finish(core);
}

static void primary_aborted(struct fclock_core *core)
{
	char text[FCLOCK_ANSWER_TEXT];

	if (core->pri.error == -ETIMEDOUT)
		snprintf(text, sizeof(text),
			 "node %u did not answer within %u ms", core->pri.late,
			 core->cfg.trigger_timeout);
	else if (core->pri.error == -EINTR)
		strscpy(text, "interrupted", sizeof(text));
	else if (core->pri.error == -EINVAL)
		strscpy(text, core->pri.why, sizeof(text));
	else if (core->pri.error == -EEXIST)
		strscpy(text, FCLOCK_TWO_LISTS, sizeof(text));
	else
		strscpy(text, "the superblock could not be written",
			sizeof(text));
	/* what was asked is not repeated: a view or an offline has its turn at once */
	if (core->pri.kind == FCLOCK_VIEW || core->pri.kind == FCLOCK_OFFLINE) {
		core->pri.view_first = core->pri.kind == FCLOCK_OFFLINE;
		core->pri.retry_at = core->ops->now(core) + FCLOCK_RETRY_MS;
		fclock_arm(core, core->pri.retry_at);
	}
	announce(core, false);
	/* not before: what the adoption began would have this one's asker, and its error */
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_answer_asker(core, core->pri.error, text);
	fclock_progress(core);
	fclock_primary_kick(core);
}

/* ------------------------------------------------------------- M's failures */

static bool others_alive(struct fclock_core *core)
{
	unsigned int node;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (node != core->cfg.node &&
		    fclock_listed_instance(&core->sb, node) &&
		    !fclock_gone(core, &core->sb, node))
			return true;
	return false;
}

/*
 * Two writes failed. If somebody else may be able to write M, this instance ends, so
 * that the role moves; else it stays failed, and what its gates hold gets I/O errors.
 */
static void primary_failed(struct fclock_core *core, int error)
{
	if (!core->pri.failed)
		fclock_say(core, "the metadata device cannot be written: error %d",
			   error);
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_answer_asker(core, -EINPROGRESS,
			    "the metadata device cannot be written");
	if (others_alive(core)) {
		/* what waits here goes on when the role has moved: no errors */
		fclock_begin_ending(core, "it cannot write the metadata device");
		return;
	}
	core->pri.failed = true;
	core->ops->event(core, FCLOCK_EVENT_STATE, 0);
	core->pri.phase = FCLOCK_PRI_ABORTING;	/* nothing is begun meanwhile */
	core->pri.retry_at = core->ops->now(core) + FCLOCK_RETRY_MS;
	fclock_arm(core, core->pri.retry_at);
	fclock_client_retry(core);
	fclock_progress(core);
	fclock_primary_kick(core);	/* refuses what waits */
}

/*
 * M had a newer superblock than the one to write: another node has taken the role, for
 * which this instance is gone. Higher numbers would only write over what that node says.
 */
static void primary_overtaken(struct fclock_core *core)
{
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_answer_asker(core, -EINPROGRESS, "another node is the primary");
	fclock_begin_ending(core, "another node has written a newer superblock");
}

/*
 * A view that gives the role away may stand on M although its write was reported as failed. By it
 * this instance is no participant, so nobody waits for it: where M names nobody the next node that
 * starts takes the role. A newer superblock could come after that one's, with the old content, and
 * a look at M before it does not help: it may be written in between. So none follows. By BYE the
 * role moves, whichever of the two superblocks M has.
 */
static void primary_gave_away(struct fclock_core *core)
{
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_begin_ending(core, "the superblock by which it leaves could not be written");
}

/*
 * Where another node was faster it will be heard. M is looked at again with a pause: one that can
 * be read and not written, or reads an older superblock than it has, would be asked without an end.
 */
static void primary_not_taken(struct fclock_core *core, int error)
{
	if (error != -ESTALE && !core->untaken)
		fclock_say(core, "cannot become the primary: error %d", error);
	fclock_set_untaken(core, error != -ESTALE);
	fclock_send_all(core, FCLOCK_SEND_PING);
	fclock_read_later(core);
}

static void primary_taken(struct fclock_core *core, int error)
{
	if (error) {
		core->pri.phase = FCLOCK_PRI_IDLE;
		primary_not_taken(core, error);
		return;
	}
	if (core->untaken)	/* the attempts that failed were not all told */
		fclock_say(core, "becomes the primary");
	fclock_set_md_error(core, false);
	announce(core, false);
	core->pri.phase = FCLOCK_PRI_IDLE;
	fclock_primary_kick(core);
}

void fclock_primary_written(struct fclock_core *core, int error)
{
	u8 phase = core->pri.phase;

	core->pri.writing = false;
	/*
	 * This instance does nothing new. Or the role went to another node before the end of
	 * the write was known here: who saw on M that it is named has not waited to be told.
	 */
	if (core->prep.number == ~0ULL || phase == FCLOCK_PRI_IDLE) {
		core->pri.phase = FCLOCK_PRI_IDLE;
		fclock_check_ended(core);
		return;
	}
	/* told that it is the primary while it took the role: as after any write that failed */
	if (phase == FCLOCK_PRI_TAKING && error && fclock_is_primary(core))
		phase = FCLOCK_PRI_WRITING;
	if (phase == FCLOCK_PRI_TAKING)
		primary_taken(core, error);
	else if (error == -ESTALE)
		primary_overtaken(core);
	else if (phase == FCLOCK_PRI_WRITING && !error)
		primary_resume(core);
	else if (phase == FCLOCK_PRI_WRITING &&
		 core->pri.next.primary_instance != core->instance)
		primary_gave_away(core);
	else if (phase == FCLOCK_PRI_WRITING)
		primary_abort(core, -EIO);
	else if (!error)
		primary_aborted(core);
	else
		primary_failed(core, error);
	/* leave_now() may wait for nothing but this write */
	fclock_check_ended(core);
}

void fclock_core_super_written(struct fclock_core *core, int error)
{
	lockdep_assert_held(core->lock);

	fclock_primary_written(core, error);
	fclock_settle(core);
}

/* --------------------------------------------------------------- events, time */

/* A participant says, perhaps as its answer to PREPARE, that it cannot take part. */
static void primary_check_short(struct fclock_core *core)
{
	struct fclock_primary *pri = &core->pri;
	u16 slots = pri->kind == FCLOCK_TRIGGER ? pri->slots : 0;
	u64 length = pri->kind == FCLOCK_RESIZE ? pri->length : 0;

	if (pri->phase == FCLOCK_PRI_PREPARING && (slots || length) &&
	    fclock_any_short(core, slots, length, pri->why, sizeof(pri->why)))
		primary_abort(core, -EINVAL);
}

/* To a participant that may not have heard it, or dropped it while its table was too short. */
static void prepare_again(struct fclock_core *core, struct fclock_peer *peer)
{
	if (core->pri.phase == FCLOCK_PRI_PREPARING && peer->needs_prepare &&
	    !peer->prepared &&
	    fclock_listed_instance(&core->sb, peer->node) == peer->instance)
		fclock_send(core, peer, FCLOCK_SEND_PREPARE);
}

/* ASK from @peer, sent at its state number @state. */
void fclock_primary_asked(struct fclock_core *core, struct fclock_peer *peer,
			  u64 id, u64 state, const struct fclock_wire_ask *ask)
{
	if (ask->kind == FCLOCK_ASK_WISH) {
		fclock_wish_set(core, peer, state, ask);
		primary_check_short(core);
		prepare_again(core, peer);
	} else if (ask->kind == FCLOCK_ASK_CANCEL) {
		if (fclock_ask_cancelled(core, peer, id) &&
		    core->pri.phase == FCLOCK_PRI_PREPARING)
			primary_abort(core, -EINTR);
	} else {
		fclock_ask_add(core, peer, id, ask);
	}
	fclock_primary_kick(core);
}

/* To whoever may be behind: the newest durable superblock, then the pending PREPARE. */
void fclock_primary_link_up(struct fclock_core *core, struct fclock_peer *peer)
{
	if (!fclock_is_primary(core) && core->pri.phase != FCLOCK_PRI_RESUMING)
		return;
	fclock_send(core, peer, FCLOCK_SEND_SUPER);
	prepare_again(core, peer);
}

/* What a former instance of @peer wished and asked. */
void fclock_primary_new_instance(struct fclock_core *core,
				 struct fclock_peer *peer)
{
	peer->wish.valid = false;
	fclock_ask_forget(peer);
	peer->asked.id = 0;
	if (core->pri.asker == peer->node)
		core->pri.asker = 0;
}

/* Somebody may be gone, is not reachable any more, or told its state number. */
void fclock_primary_gone(struct fclock_core *core)
{
	primary_check_prepared(core);
	if (core->pri.phase == FCLOCK_PRI_RESUMING && all_resumed(core))
		primary_finish(core);
	fclock_primary_kick(core);
}

/*
 * Two members lists under one epoch: a transition must not strike nodes by one of them. Who
 * has asked is not kept waiting for a newer list.
 */
void fclock_primary_disputed(struct fclock_core *core)
{
	fclock_asks_refuse(core, -EEXIST, FCLOCK_TWO_LISTS);
	if (core->pri.phase == FCLOCK_PRI_PREPARING)
		primary_abort(core, -EEXIST);
}

void fclock_primary_timer(struct fclock_core *core, u64 now)
{
	struct fclock_primary *pri = &core->pri;

	if (pri->phase == FCLOCK_PRI_PREPARING && now >= pri->deadline) {
		pri->late = first_unprepared(core);
		fclock_say(core, "node %u did not answer PREPARE within %u ms: aborting",
			   pri->late, core->cfg.trigger_timeout);
		primary_abort(core, -ETIMEDOUT);
	} else if (pri->phase == FCLOCK_PRI_RESUMING && now >= pri->deadline) {
		primary_finish(core);
	} else if (pri->phase == FCLOCK_PRI_PREPARING ||
		   pri->phase == FCLOCK_PRI_RESUMING) {
		fclock_arm(core, pri->deadline);
	}
	if (pri->retry_at && now >= pri->retry_at) {
		pri->retry_at = 0;
		if (pri->phase == FCLOCK_PRI_ABORTING && !pri->writing)
			primary_abort(core, pri->error);
		else
			fclock_primary_kick(core);
	} else if (pri->retry_at) {
		fclock_arm(core, pri->retry_at);
	}
}

/**
 * fclock_primary_take - the role is this node's, by @sb, which was just read from M
 * @format: M is empty: @sb is made from the table
 */
void fclock_primary_take(struct fclock_core *core,
			 const struct fclock_super *sb, bool format)
{
	struct fclock_primary *pri = &core->pri;

	if (pri->phase != FCLOCK_PRI_IDLE || pri->writing)
		return;
	if (!core->untaken)
		fclock_say(core, "becomes the primary");
	memcpy(&pri->next, sb, sizeof(pri->next));
	pri->number = max(pri->number, sb->state);
	pri->next.state = next_number(core);
	pri->next.primary = core->cfg.node;
	pri->next.primary_instance = core->instance;
	pri->format = format;
	if (pri->tried <= core->sb.state)
		pri->tried = pri->next.state;
	pri->kind = FCLOCK_VIEW;
	pri->slots = 0;
	trace_fclock_transition(core->cfg.node, FCLOCK_TT_TAKE,
				pri->next.state, 0);
	primary_write(core, FCLOCK_PRI_TAKING);
}

/* The role went to another node. */
void fclock_primary_reset(struct fclock_core *core)
{
	struct fclock_peer *peer;

	if (core->pri.phase != FCLOCK_PRI_RESUMING)
		core->pri.phase = FCLOCK_PRI_IDLE;
	core->pri.retry_at = 0;
	core->pri.failed = false;
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		peer->wish.valid = false;
	fclock_asks_refuse(core, -EAGAIN, "the primary moved");
}
