// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the primary is asked for: the queue of asks, what is refused at once, and answers.
 */
#include "core-private.h"

static void answer(struct fclock_core *core, unsigned int node, u64 id,
		   int error, const char *text)
{
	struct fclock_asked *asked = &core->peer[node].asked;

	asked->answer_id = id;
	asked->answer_error = error;
	strscpy(asked->answer_text, text, sizeof(asked->answer_text));
	fclock_send(core, &core->peer[node], FCLOCK_SEND_ANSWER);
}

/* To whoever asked for the transition that ends here, if somebody still waits. */
void fclock_answer_asker(struct fclock_core *core, int error, const char *text)
{
	unsigned int node = core->pri.asker;

	core->pri.asker = 0;
	if (node)
		answer(core, node, core->peer[node].asked.id, error, text);
}

/* A needed participant whose link is down; 0: none. */
unsigned int fclock_first_unconnected(struct fclock_core *core)
{
	unsigned int node;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (fclock_listed_instance(&core->sb, node) &&
		    !fclock_gone(core, &core->sb, node) &&
		    (core->peer[node].link != FCLOCK_LINK_UP ||
		     core->peer[node].instance !=
		     fclock_listed_instance(&core->sb, node)))
			return node;
	return 0;
}

/* Slots that @peer, a participant, has attached by a table shorter than the volume. */
static u16 short_copies(struct fclock_core *core, const struct fclock_peer *peer)
{
	const struct fclock_wish *wish = &peer->wish;
	u16 slots = 0;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (wish->valid && wish->copy[s] &&
		    wish->copy[s] < core->sb.geo.length)
			slots |= BIT(s);
	return slots;
}

/* Of those with a short table fclock_any_short() has more to say. */
static unsigned int first_unattached(struct fclock_core *core, u16 slots)
{
	unsigned int node;
	u64 instance;
	u16 attached;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		instance = fclock_listed_instance(&core->sb, node);
		attached = core->sb.part[node - 1].attached;
		if (instance == core->peer[node].instance)
			attached |= short_copies(core, &core->peer[node]);
		if (instance && (attached & slots) != slots)
			return node;
	}
	return 0;
}

/*
 * Does @peer say that its table is too short for a volume of @length, or for a copy of the
 * volume in one of @slots?
 */
static bool is_short(struct fclock_core *core, const struct fclock_peer *peer,
		     u16 slots, u64 length, char *text, size_t size)
{
	const struct fclock_wish *wish = &peer->wish;
	u64 all = core->sb.geo.length;
	unsigned int s;

	if (wish->room < length) {
		snprintf(text, size, "node %u can run %llu sectors: its table or metadata device is too short for %llu",
			 peer->node, (unsigned long long)wish->room,
			 (unsigned long long)length);
		return true;
	}
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(slots & BIT(s)) || wish->copy[s] >= all)
			continue;
		if (wish->copy[s])
			snprintf(text, size, "node %u has slot %u attached with %llu sectors, and the volume has %llu",
				 peer->node, s,
				 (unsigned long long)wish->copy[s],
				 (unsigned long long)all);
		else
			snprintf(text, size, "node %u does not have slot %u attached",
				 peer->node, s);
		return true;
	}
	return false;
}

/*
 * A participant that is too short for what is to come, as far as is known: who has not told its
 * wish yet says it when PREPARE comes.
 */
bool fclock_any_short(struct fclock_core *core, u16 slots, u64 length,
		      char *text, size_t size)
{
	struct fclock_peer *peer;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		if (fclock_has_wished(core, peer) &&
		    is_short(core, peer, slots, length, text, size))
			return true;
	return false;
}

static int resize_refused(struct fclock_core *core, u64 length, char *text,
			  size_t size)
{
	struct fclock_geometry geo = core->sb.geo;

	if (length < geo.length) {
		snprintf(text, size, "the volume has %llu sectors and cannot shrink",
			 (unsigned long long)geo.length);
		return -EINVAL;
	}
	if (fclock_geometry_grow(&geo, length)) {
		strscpy(text, "more sectors than can be counted", size);
		return -EINVAL;
	}
	return fclock_any_short(core, 0, length, text, size) ? -EINVAL : 0;
}

/* 0, or why @asked is refused at once; text to @text. */
static int ask_refused(struct fclock_core *core,
		       const struct fclock_asked *asked, char *text,
		       size_t size)
{
	unsigned int node = fclock_first_unconnected(core);

	if (core->pri.failed) {
		strscpy(text, "the metadata device cannot be written", size);
		return -EIO;
	}
	if (node) {
		snprintf(text, size, "node %u is not connected", node);
		return -ENOTCONN;
	}
	if (asked->kind == FCLOCK_ASK_RESIZE)
		return resize_refused(core, asked->length, text, size);
	if (asked->kind != FCLOCK_ASK_TRIGGER)
		return 0;
	node = first_unattached(core, asked->slots);
	if (!node)
		return fclock_any_short(core, asked->slots, 0, text, size) ?
		       -EINVAL : 0;
	snprintf(text, size, "node %u does not have slot %s attached", node,
		 fclock_list_slots(asked->slots &
				   ~core->sb.part[node - 1].attached).text);
	return -ENODEV;
}

/* The superblock says already what @asked wants. */
static bool ask_is_done(struct fclock_core *core,
			const struct fclock_asked *asked)
{
	const struct fclock_slot *slot;

	if (asked->kind == FCLOCK_ASK_RESIZE)
		return core->sb.geo.length == asked->length;
	slot = &core->sb.slot[__ffs(asked->slots)];
	switch (asked->kind) {
	case FCLOCK_ASK_STOP:
		return slot->state == FCLOCK_SLOT_IDLE;
	case FCLOCK_ASK_COPY_RATE:
		return slot->rate == asked->rate;
	}
	return false;
}

/**
 * fclock_ask_next - take the oldest ask out of the queue
 *
 * Return: the ask that a transition is to be begun for, or NULL: it is answered.
 */
const struct fclock_asked *fclock_ask_next(struct fclock_core *core)
{
	struct fclock_asked *asked;
	struct fclock_peer *peer;
	char text[FCLOCK_ANSWER_TEXT] = "";
	int error;

	asked = list_first_entry(&core->pri.asks, struct fclock_asked, list);
	peer = container_of(asked, struct fclock_peer, asked);
	list_del_init(&asked->list);
	asked->queued = false;
	error = ask_refused(core, asked, text, sizeof(text));
	if (!error && !ask_is_done(core, asked))
		return asked;
	answer(core, peer->node, asked->id, error, text);
	return NULL;
}

/**
 * fclock_ask_cancelled - nobody waits any more for @id, and for what @peer asked before it
 *
 * Return: the transition under way was begun for it.
 */
bool fclock_ask_cancelled(struct fclock_core *core, struct fclock_peer *peer,
			  u64 id)
{
	/* ids rise: it is about that one and all before it */
	if (peer->asked.id > id)
		return false;
	if (peer->asked.queued) {
		fclock_ask_forget(peer);
		return false;
	}
	if (core->pri.asker != peer->node)
		return false;
	core->pri.asker = 0;
	return true;
}

/*
 * Nobody waits for what @peer asked before. When its link breaks, who asked there hears that the
 * outcome is not known, and looks at the volume: what has not begun by now is not to begin
 * behind his back.
 */
void fclock_ask_forget(struct fclock_peer *peer)
{
	if (peer->asked.queued)
		list_del_init(&peer->asked.list);
	peer->asked.queued = false;
}

void fclock_ask_add(struct fclock_core *core, struct fclock_peer *peer, u64 id,
		    const struct fclock_wire_ask *ask)
{
	u16 slots = le16_to_cpu(ask->slots);

	if (ask->kind != FCLOCK_ASK_RESIZE &&
	    (!slots || (ask->kind != FCLOCK_ASK_TRIGGER &&
			!is_power_of_2(slots)))) {
		answer(core, peer->node, id, -EINVAL, "bad slots");
		return;
	}
	if (!fclock_is_primary(core)) {
		answer(core, peer->node, id, -EAGAIN, "the primary moved");
		return;
	}
	if (core->split_brain) {
		answer(core, peer->node, id, -EEXIST, FCLOCK_TWO_LISTS);
		return;
	}
	/* A node asks one at a time: nobody waits for the one before any more. */
	fclock_ask_forget(peer);
	if (core->pri.asker == peer->node)
		core->pri.asker = 0;
	peer->asked.id = id;
	peer->asked.kind = ask->kind;
	peer->asked.slots = slots;
	peer->asked.rate = le32_to_cpu(ask->rate);
	peer->asked.length = le64_to_cpu(ask->length);
	peer->asked.queued = true;
	list_add_tail(&peer->asked.list, &core->pri.asks);
}

/* Every ask that waits gets this answer. */
void fclock_asks_refuse(struct fclock_core *core, int error, const char *text)
{
	struct fclock_asked *asked, *tmp;
	struct fclock_peer *peer;

	list_for_each_entry_safe(asked, tmp, &core->pri.asks, list) {
		peer = container_of(asked, struct fclock_peer, asked);
		list_del_init(&asked->list);
		asked->queued = false;
		answer(core, peer->node, asked->id, error, text);
	}
}
