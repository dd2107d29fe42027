// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's outside: its life, dispatch, time, status.
 *
 * Frames of this node to itself take the same way as all others, through
 * fclock_settle() at the end of every event.
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
	/* until a superblock is adopted, sizes are M's or the table's */
	core->sb.geo = cfg->geo;
	core->room = max(cfg->room, cfg->geo.length);
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
	fclock_update_paths(core);
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
		/* nobody looks at a peer that is not configured; what has records is */
		r = peer->objects ? 0 : fclock_client_init_peer(peer);
		if (!r)
			r = fclock_owner_init_peer(peer);
		if (r)
			return r;
		spin_lock_irqsave(core->lock, flags);
		peer->configured = true;
		core->cfg.peers |= fclock_node_bit(node);
		fclock_client_retry(core);
		fclock_settle(core);
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

void fclock_core_formatted(struct fclock_core *core, const u8 *uuid)
{
	lockdep_assert_held(core->lock);
	core->formatted = true;
	memcpy(core->cfg.uuid, uuid, sizeof(core->cfg.uuid));
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
	fclock_wish(core);	/* a peer may have been here before */
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

/* Where I/O of the map ends, sectors: a copy may be older than the volume's last growth. */
static u64 limit_of(struct fclock_core *core, unsigned int map, u8 path)
{
	if (map == FCLOCK_CACHE_A)
		return core->sb.geo.length;
	return path == FCLOCK_PATH_CACHE || path == FCLOCK_PATH_PASS ?
	       core->sb.slot[map].length : ~0ULL;
}

/*
 * Copies that do not fit on this node: it copies nothing for them, and its wish is not to have
 * them. A participant prepares for none, so they come by a table that is attached meanwhile.
 */
static void update_short(struct fclock_core *core)
{
	u16 slots = core->attached &
		    fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	unsigned int s;

	core->too_short = 0;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) &&
		    core->copy_length[s] < core->sb.slot[s].length)
			core->too_short |= BIT(s);
}

void fclock_update_paths(struct fclock_core *core)
{
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	unsigned int shift = ilog2(core->sb.geo.grain), m;
	u8 path;

	update_short(core);
	core->free_from = 0;
	for (m = 0; m < FCLOCK_CACHE_MAPS; m++) {
		path = path_of(core, m);
		core->limit[m] = limit_of(core, m, path);
		WRITE_ONCE(core->whole[m], min_t(u64, core->limit[m] >> shift,
						 ULONG_MAX));
		/* the hit path does not see it before its limit */
		smp_store_release(&core->path[m], path);
		if (m < FCLOCK_MAX_SLOTS && (active & BIT(m)))
			core->free_from = max(core->free_from,
					      fclock_slot_grains(&core->sb, m));
	}
}

/*
 * Writes of A behind the ends of all active copies need no split. Forgotten with the rest of
 * A's confirmations by the next trigger, whose copy goes further.
 */
void fclock_cache_free_grains(struct fclock_core *core)
{
	u64 last = core->sb.geo.grains - 1;

	/* from PREPARE on nothing enters the cache */
	if (!core->prep.number && core->free_from <= last &&
	    core->path[FCLOCK_CACHE_A] == FCLOCK_PATH_CACHE)
		fclock_cache_add(&core->cache, FCLOCK_CACHE_A, core->free_from,
				 last);
}

void fclock_core_attach(struct fclock_core *core, unsigned int slot,
			const struct fclock_slot_memory *mem, u64 length)
{
	struct fclock_owned_slot *os = &core->own.slot[slot];

	lockdep_assert_held(core->lock);

	os->bits = mem->bits;
	os->slice_era = mem->slice_era;
	os->slice_split = mem->slice_split;
	os->slices = mem->slices;
	/* a table may have been loaded between the end of the last detach and its memory's */
	memset(&os->spare, 0, sizeof(os->spare));
	core->copy_length[slot] = length;
	fclock_bits_forget(core, slot);
	core->attached |= BIT(slot);
	update_short(core);
	core->own.told &= ~BIT(slot);	/* wishes have said otherwise meanwhile */
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
	update_short(core);
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

void fclock_core_spare(struct fclock_core *core, unsigned int slot,
		       const struct fclock_slot_memory *mem)
{
	lockdep_assert_held(core->lock);
	core->own.slot[slot].spare = *mem;
}

bool fclock_core_spared(struct fclock_core *core, unsigned int slot,
			const unsigned long *bits)
{
	const struct fclock_owned_slot *os = &core->own.slot[slot];

	lockdep_assert_held(core->lock);
	return os->bits != bits && os->spare.bits != bits;
}

int fclock_core_set_copy(struct fclock_core *core, unsigned int slot, u64 length)
{
	const struct fclock_slot *is = &core->sb.slot[slot];
	u64 least = 0;

	lockdep_assert_held(core->lock);

	if (core->have_sb && (is->state == FCLOCK_SLOT_ACTIVE ||
			      is->state == FCLOCK_SLOT_COMPLETE))
		least = is->length;
	if (core->prep.number && core->prep.kind == FCLOCK_TRIGGER &&
	    (core->prep.slots & BIT(slot)))
		least = core->sb.geo.length;
	if (length < least)
		return -EBUSY;
	core->copy_length[slot] = length;
	update_short(core);
	fclock_wish(core);
	fclock_owner_retry(core);
	fclock_settle(core);
	return 0;
}

/* What was too long to be adopted fits now: on M, and from who announces it to a new link. */
static void hear_again(struct fclock_core *core)
{
	struct fclock_peer *peer;

	core->said_length = 0;
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (peer->node == core->cfg.node ||
		    peer->link == FCLOCK_LINK_DOWN)
			continue;
		fclock_link_down(core, peer);
		core->ops->disconnect(core, peer->node);
	}
	if (core->started)
		fclock_members_news(core);
}

u64 fclock_core_least_room(struct fclock_core *core)
{
	u64 least = core->sb.geo.length;

	lockdep_assert_held(core->lock);

	if (core->prep.number && core->prep.kind == FCLOCK_RESIZE)
		least = max(least, core->prep.length);
	/* who is being taken in is asked by no PREPARE, and the volume may have grown */
	if (core->phase == FCLOCK_STARTING)
		least = max(least, core->told_room);
	return least;
}

int fclock_core_set_room(struct fclock_core *core, u64 sectors)
{
	lockdep_assert_held(core->lock);

	if (sectors < fclock_core_least_room(core))
		return -EBUSY;
	core->room = sectors;
	fclock_wish(core);
	if (core->said_length && core->said_length <= sectors)
		hear_again(core);
	fclock_settle(core);
	return 0;
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

/* Runs that the cache has forgotten are freed some at a time. */
void fclock_tidy_later(struct fclock_core *core)
{
	if (fclock_cache_untidy(&core->cache))
		fclock_arm(core, core->ops->now(core) + 1);
}

void fclock_core_drop_cache(struct fclock_core *core)
{
	lockdep_assert_held(core->lock);
	fclock_cache_drop_all(&core->cache);
	fclock_tidy_later(core);
}

void fclock_core_set_cache_limit(struct fclock_core *core, u64 limit)
{
	lockdep_assert_held(core->lock);
	fclock_cache_set_limit(&core->cache, limit);
	fclock_tidy_later(core);
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
	if (fclock_other_uuid(core, sb->uuid) ||
	    !fclock_same_layout(core, sb) ||
	    (core->have_sb && sb->state > core->sb.state &&
	     sb->state - core->sb.state > FCLOCK_STATE_JUMP))
		return -EPROTO;
	if (core->have_sb && sb->state <= core->sb.state)
		return 0;
	if (sb->geo.length > core->room) {
		fclock_members_too_long(core, sb);
		return 0;
	}
	if (!fclock_fits(core, sb))
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

int fclock_receive_list(struct fclock_core *core, struct fclock_peer *peer,
			u64 epoch, u64 members)
{
	if (fclock_members_adopt(core, epoch, members) != -EEXIST)
		return 0;
	fclock_say_limited(core, "node %u has another members list under epoch %llu: both suspend",
			   peer->node, (unsigned long long)epoch);
	fclock_members_disputed(core);
	return -EEXIST;
}

static int receive_ping(struct fclock_core *core, struct fclock_peer *peer,
			const struct fclock_msg *msg,
			const struct fclock_wire_ping *ping)
{
	u64 epoch = le64_to_cpu(ping->epoch);
	unsigned int s;
	int r;

	/* counted in an older state: of a generation, or of slices, that were others */
	for (s = 0; s < FCLOCK_MAX_SLOTS && msg->state >= core->sb.state; s++)
		peer->split[s] = le64_to_cpu(ping->split[s]);
	r = fclock_receive_list(core, peer, epoch, le64_to_cpu(ping->members));
	if (!r && peer->told != epoch) {
		peer->told = epoch;
		fclock_members_news(core);
	}
	return r;
}

static int dispatch(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_msg *msg, const void *payload)
{
	const struct fclock_wire_answer *ans = payload;
	int r;

	/* who is in this state knows how long the volume is in it */
	if ((msg->type == FCLOCK_LOCK_REQUEST ||
	     msg->type == FCLOCK_LOCK_GRANT) && msg->state == core->sb.state) {
		r = fclock_wire_check_payload(msg, payload,
					      core->sb.geo.grains);
		if (r)
			return r;
	}
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
		fclock_prepare(core, peer, payload);
		return 0;
	case FCLOCK_PREPARED:
		fclock_primary_prepared(core, peer, msg->id);
		return 0;
	case FCLOCK_RESUME:
	case FCLOCK_ABORT:
		return receive_super(core, peer, msg, payload);
	case FCLOCK_PING:
		return receive_ping(core, peer, msg, payload);
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
	peer->heard_at = core->ops->now(core);
	if (core->phase == FCLOCK_LEFT)
		return 0;
	if (msg->state > peer->state) {
		/*
		 * It runs the primary's new state, or it may tell that a former
		 * instance of the node is gone.
		 */
		peer->state = msg->state;
		fclock_members_news(core);
	}
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
	while (fclock_make_frame(core, self, core->frame)) {
		if (!WARN_ON(fclock_wire_decode_header(core->frame, &msg)))
			receive(core, self, &msg, core->frame + head);
	}
	core->settling = false;
}

int fclock_core_receive(struct fclock_core *core, unsigned int node,
			const struct fclock_msg *msg, const void *payload)
{
	struct fclock_peer *peer = &core->peer[node];
	int r = -EPROTO;

	lockdep_assert_held(core->lock);

	core->stats.msg_received++;
	if (peer->link == FCLOCK_LINK_HELLO)
		r = fclock_receive_welcome(core, peer, msg, payload);
	else if (peer->link == FCLOCK_LINK_UP)
		r = receive(core, peer, msg, payload);
	fclock_settle(core);
	return r;
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
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
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
	fclock_owner_timer(core, now);
	fclock_cache_tidy(&core->cache);
	fclock_tidy_later(core);
	fclock_settle(core);
}

/* -------------------------------------------------------------------- status */

struct fclock_slot_list fclock_list_slots(u16 slots)
{
	struct fclock_slot_list list = { "" };
	size_t n = 0;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (slots & BIT(s))
			n += scnprintf(list.text + n, sizeof(list.text) - n,
				       "%s%u", n ? "," : "", s);
	return list;
}

/*
 * Participants for which I/O of this node waits: owners that are not connected while there
 * is something to split, and the primary while gates are closed for its transition.
 */
static u64 cut_off_nodes(struct fclock_core *core)
{
	u64 needed = 0, nodes;
	unsigned int node;

	if (fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE))
		needed = core->sb.owners;
	if (core->prep.number && core->prep.number != ~0ULL)
		needed |= fclock_node_bit(core->sb.primary);
	for (nodes = needed; nodes; nodes &= nodes - 1) {
		node = __ffs64(nodes) + 1;
		if (core->peer[node].link == FCLOCK_LINK_UP)
			needed &= ~fclock_node_bit(node);
	}
	return needed;
}

/**
 * fclock_say_cut_off - name each node for which I/O of this one has begun to wait
 *
 * Said when it begins, not again at every HELLO that is not answered. It begins not only with
 * a link that breaks: the one to a new owner may never have been up.
 */
void fclock_say_cut_off(struct fclock_core *core)
{
	u64 nodes = core->phase == FCLOCK_RUNNING ? cut_off_nodes(core) : 0;
	u64 news = nodes & ~core->said_cut_off;

	core->said_cut_off = nodes;
	for (; news; news &= news - 1)
		fclock_say_limited(core, "I/O on grains that are not confirmed waits for node %u",
				   (unsigned int)__ffs64(news) + 1);
}

enum fclock_volume_state fclock_core_volume_state(struct fclock_core *core)
{
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);

	lockdep_assert_held(core->lock);

	if (core->pri.failed || core->md_error || core->untaken)
		return FCLOCK_VOLUME_FAILED;
	if ((core->phase != FCLOCK_RUNNING && core->phase != FCLOCK_LEAVING) ||
	    core->prep.number == ~0ULL ||	/* it stops, and may be LEAVING */
	    core->split_brain || (active && !core->sb.owners) ||
	    cut_off_nodes(core))
		return FCLOCK_VOLUME_SUSPENDED;
	return FCLOCK_VOLUME_ACTIVE;
}

/* Tells who waits for it, if the state is not @was any more. */
void fclock_state_event(struct fclock_core *core, enum fclock_volume_state was)
{
	if (fclock_core_volume_state(core) != was)
		core->ops->event(core, FCLOCK_EVENT_STATE, 0);
}

u64 fclock_core_split(struct fclock_core *core, unsigned int slot)
{
	unsigned int node;
	u64 split = 0, grains = fclock_slot_grains(&core->sb, slot);

	lockdep_assert_held(core->lock);

	if (core->sb.slot[slot].state == FCLOCK_SLOT_COMPLETE)
		return grains;
	if (core->sb.slot[slot].state != FCLOCK_SLOT_ACTIVE)
		return 0;
	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		if (!(core->sb.owners & fclock_node_bit(node)))
			continue;
		split += node == core->cfg.node ? core->own.slot[slot].split :
			 core->peer[node].split[slot];
	}
	/* while slices move both owners may have counted one */
	return min(split, grains);
}

u64 fclock_core_copy_grains(struct fclock_core *core, unsigned int slot)
{
	lockdep_assert_held(core->lock);

	return core->sb.slot[slot].state == FCLOCK_SLOT_IDLE ?
	       core->sb.geo.grains : fclock_slot_grains(&core->sb, slot);
}

u64 fclock_core_shared_locks(struct fclock_core *core, unsigned int slot)
{
	struct fclock_peer *peer;
	unsigned int i;
	u64 locks = 0;

	lockdep_assert_held(core->lock);

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		for (i = 0; peer->nr_held && i < FCLOCK_OBJECTS; i++)
			locks += peer->objects[i].state == FCLOCK_OBJ_HELD &&
				 peer->objects[i].target == slot;
	return locks;
}

u64 fclock_core_connected(struct fclock_core *core)
{
	struct fclock_peer *peer;
	u64 up = 0;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		up += peer->node != core->cfg.node &&
		      peer->link == FCLOCK_LINK_UP;
	return up;
}
