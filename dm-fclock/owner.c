// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner: shared locks that it gave, splits in flight, requests in order of
 * arrival.
 */
#include <linux/interval_tree_generic.h>
#include <linux/slab.h>
#include "core-private.h"

#define REC_START(r)	((r)->first)
#define REC_LAST(r)	((r)->last)
INTERVAL_TREE_DEFINE(struct fclock_record, node, u64, subtree_last,
		     REC_START, REC_LAST, static __maybe_unused, held_tree)

/*
 * A client keeps to its credits. But what it asks again over a new link may have been granted on
 * that link already, and such grants count here until they are sent.
 */
#define REC_OPEN_MOST	(2 * FCLOCK_CREDITS)
#define SHARED_AHEAD	16	/* grains granted with a shared lock beyond the request */

static struct fclock_peer *client_of(struct fclock_core *core,
				     const struct fclock_record *rec)
{
	return &core->peer[rec->client];
}

int fclock_owner_init(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;
	unsigned int i;

	INIT_LIST_HEAD(&own->free_splits);
	INIT_LIST_HEAD(&own->copied);
	INIT_LIST_HEAD(&own->batch);
	INIT_LIST_HEAD(&own->queue);
	INIT_LIST_HEAD(&own->stuck);
	own->stuck_tree = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&own->loads);
	INIT_LIST_HEAD(&own->free_loads);
	own->splits_tree = RB_ROOT;
	for (i = 0; i < FCLOCK_MAX_SLOTS; i++)
		own->held[i] = RB_ROOT_CACHED;
	own->splits = kvcalloc(FCLOCK_SPLITS, sizeof(*own->splits), GFP_KERNEL);
	own->load = kvcalloc(FCLOCK_LOADS, sizeof(*own->load), GFP_KERNEL);
	if (!own->splits || !own->load)
		return -ENOMEM;
	for (i = 0; i < FCLOCK_SPLITS; i++) {
		own->splits[i].index = i;
		INIT_LIST_HEAD(&own->splits[i].waiters);
		list_add_tail(&own->splits[i].list, &own->free_splits);
	}
	for (i = 0; i < FCLOCK_LOADS; i++)
		list_add_tail(&own->load[i].list, &own->free_loads);
	return 0;
}

void fclock_owner_exit(struct fclock_core *core)
{
	kvfree(core->own.splits);
	kvfree(core->own.load);
}

int fclock_owner_init_peer(struct fclock_peer *peer)
{
	unsigned int i;

	peer->records = kvcalloc(FCLOCK_OBJECTS, sizeof(*peer->records),
				 GFP_KERNEL);
	if (!peer->records)
		return -ENOMEM;
	for (i = 0; i < FCLOCK_OBJECTS; i++) {
		struct fclock_record *rec = &peer->records[i];

		rec->client = peer->node;
		INIT_LIST_HEAD(&rec->list);
		INIT_LIST_HEAD(&rec->out.list);
		INIT_LIST_HEAD(&rec->recall.list);
		rec->out.type = FCLOCK_OUT_GRANT;
		rec->recall.type = FCLOCK_OUT_RECALL;
	}
	return 0;
}

/* ------------------------------------------------------------------ records */

static void record_unstick(struct fclock_core *core, struct fclock_record *rec)
{
	if (rec->stuck)
		held_tree_remove(rec, &core->own.stuck_tree);
	rec->stuck = false;
}

void fclock_record_free(struct fclock_core *core, struct fclock_record *rec)
{
	record_unstick(core, rec);
	if (rec->state == FCLOCK_REC_WAITING ||
	    rec->state == FCLOCK_REC_GRANTING)
		client_of(core, rec)->rec_open--;
	if (rec->state == FCLOCK_REC_HELD) {
		held_tree_remove(rec, &core->own.held[rec->target]);
		client_of(core, rec)->rec_held--;
	}
	list_del_init(&rec->list);
	fclock_unqueue_out(&rec->out);
	fclock_unqueue_out(&rec->recall);
	rec->state = FCLOCK_REC_FREE;
	rec->recalled = false;
}

static void record_queue(struct fclock_record *rec, struct list_head *list)
{
	list_move_tail(&rec->list, list);
}

/*
 * Until a client that is cut off is back or fenced. No split waits for that: there are few of
 * them, and all that this owner has could come to stand behind one dead reader.
 */
static void record_stick(struct fclock_core *core, struct fclock_record *rec)
{
	record_queue(rec, &core->own.stuck);
	if (rec->kind == FCLOCK_KIND_SHARED)
		return;
	rec->first = rec->ask_first;
	rec->last = rec->ask_last;
	rec->stuck = true;
	held_tree_insert(rec, &core->own.stuck_tree);
}

static void record_grant(struct fclock_core *core, struct fclock_record *rec,
			 u8 status)
{
	list_del_init(&rec->list);
	rec->state = FCLOCK_REC_GRANTING;
	rec->status = status;
	fclock_queue_out(core, client_of(core, rec), &rec->out);
}

static void record_hold(struct fclock_core *core, struct fclock_record *rec,
			u64 last)
{
	list_del_init(&rec->list);
	client_of(core, rec)->rec_open--;
	client_of(core, rec)->rec_held++;
	rec->state = FCLOCK_REC_HELD;
	rec->status = FCLOCK_GRANTED;
	rec->sent = false;
	rec->first = rec->ask_first;
	rec->last = last;
	held_tree_insert(rec, &core->own.held[rec->target]);
	fclock_queue_out(core, client_of(core, rec), &rec->out);
}

/* One RELEASE_REQUEST however many wait for the lock. It follows the grant in the queue. */
void fclock_record_recall(struct fclock_core *core, struct fclock_record *rec)
{
	if (rec->recalled)
		return;
	rec->recalled = true;
	fclock_queue_out(core, client_of(core, rec), &rec->recall);
}

static void record_release(struct fclock_core *core, struct fclock_record *rec)
{
	u64 first = rec->first, last = rec->last;
	u8 slot = rec->target;

	fclock_record_free(core, rec);
	core->own.stuck_again = true;
	fclock_splits_recheck(core, slot, first, last);
}

/* Does a client hold a shared lock on [@first, @last]? @recall: ask all of them to release. */
bool fclock_owner_held(struct fclock_core *core, unsigned int slot, u64 first,
		       u64 last, bool recall)
{
	struct rb_root_cached *root = &core->own.held[slot];
	struct fclock_record *rec = held_tree_iter_first(root, first, last);
	bool held = rec;

	for (; rec && recall; rec = held_tree_iter_next(rec, first, last))
		fclock_record_recall(core, rec);
	return held;
}

/*
 * The first grain behind a shared lock on one of [@first, @last], in one of @slots, that
 * a client holds whose link is down; 0: there is none.
 */
u64 fclock_owner_held_by_lost(struct fclock_core *core, u16 slots, u64 first,
			      u64 last)
{
	struct fclock_record *rec;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(slots & BIT(s)))
			continue;
		rec = held_tree_iter_first(&core->own.held[s], first, last);
		for (; rec; rec = held_tree_iter_next(rec, first, last))
			if (client_of(core, rec)->link != FCLOCK_LINK_UP)
				return rec->last + 1;
	}
	return 0;
}

/* ---------------------------------------------------------------- requests */

/*
 * How far beyond @last to go for a client that walks on: doubled with every
 * miss that begins where the last answer ended.
 */
static u64 owner_ahead(struct fclock_core *core, struct fclock_record *rec,
		       u32 least, u32 most)
{
	unsigned int k = rec->kind - 1;
	u64 *next = &core->own.ahead[rec->client].next[k];
	u32 *window = &core->own.ahead[rec->client].window[k];
	u64 end = fclock_slice_end(core, rec->ask_last), last;

	if (rec->ask_first == *next && *next)
		*window = clamp_t(u32, *window * 2, 1, most);
	else
		*window = 0;
	last = min(rec->ask_last + max(*window, least), end);
	*next = last + 1;
	return last;
}

static u32 max_split_grains(struct fclock_core *core)
{
	return max_t(u32, 1, FCLOCK_MAX_SPLIT / core->sb.geo.grain);
}

/*
 * The end of the run from @grain, up to @last, that needs @slots split, is the same in all of
 * their copies, and is not being split.
 */
u64 fclock_split_extent(struct fclock_core *core, u16 all, u16 slots, u64 grain,
			u64 last)
{
	struct fclock_split *sp = fclock_split_after(core, grain);
	u64 end = grain;

	last = min(last, grain + max_split_grains(core) - 1);
	if (sp && sp->first <= last)
		last = sp->first - 1;
	while (end < last &&
	       fclock_unsplit_slots(core, all, end + 1) == slots &&
	       fclock_same_end(core, slots, __ffs(slots), end + 1) == slots)
		end++;
	return end;
}

/*
 * A split from @grain on, up to @last. What was asked for and what is ahead of it are never one
 * split: whether the latter can be copied, and locked, is to be nobody's trouble.
 * Return: NULL: none is free, or a client that is cut off holds a shared lock there.
 */
static struct fclock_split *owner_split_at(struct fclock_core *core,
					   struct fclock_record *rec, u16 slots,
					   u64 grain, u64 last)
{
	bool ahead = grain > rec->ask_last;
	struct fclock_split *sp;
	u16 need;

	need = fclock_unsplit_slots(core, slots, grain);
	need = fclock_same_end(core, need, __ffs(need), grain);
	last = fclock_split_extent(core, slots, need, grain,
				   ahead ? last : min(last, rec->ask_last));
	if (fclock_owner_held_by_lost(core, need, grain, last))
		return NULL;
	sp = fclock_split_start(core, grain, last, need, false);
	if (sp)
		sp->ahead = ahead;
	return sp;
}

/*
 * Have every unsplit grain of [ask_first, last] split, and wait for the first of
 * those splits that the request needs; it is looked at again when that one has ended.
 * Some grain is unsplit, and a free split object is left for it: if there is no
 * split for it, the record is stuck.
 */
static void owner_split(struct fclock_core *core, struct fclock_record *rec,
			u16 slots, u64 last)
{
	struct fclock_split *wait = NULL, *sp;
	u64 g = rec->ask_first;

	for (;;) {
		g = fclock_next_unsplit(core, slots, g, last);
		if (g > last)
			break;
		sp = fclock_split_after(core, g);
		if (!sp || sp->first > g)
			sp = owner_split_at(core, rec, slots, g, last);
		if (!sp)
			break;
		if (!wait)
			wait = sp;
		g = sp->last + 1;
	}
	if (wait)
		record_queue(rec, &wait->waiters);
	else
		record_stick(core, rec);
}

/* The first stuck writer of [@first, @last] that needs a split for one of @slots. */
static struct fclock_record *stuck_after(struct fclock_core *core, u16 slots,
					 u64 first, u64 last)
{
	struct fclock_record *rec;

	rec = held_tree_iter_first(&core->own.stuck_tree, first, last);
	while (rec && !(fclock_record_slots(core, rec) & slots))
		rec = held_tree_iter_next(rec, first, last);
	return rec;
}

static void owner_shared(struct fclock_core *core, struct fclock_record *rec)
{
	u64 first = rec->ask_first, last;
	u16 slots = BIT(rec->target);
	struct fclock_split *sp = fclock_split_after(core, first);
	struct fclock_record *stuck;

	/* No new shared lock passes a waiting exclusive one (invariant 4). */
	if (sp && sp->first <= first) {
		record_queue(rec, &sp->waiters);
		return;
	}
	if (stuck_after(core, slots, first, first)) {
		record_stick(core, rec);
		return;
	}
	last = owner_ahead(core, rec, SHARED_AHEAD, core->sb.geo.slice);
	last = fclock_next_split(core, slots, first, last) - 1;
	if (sp && sp->first <= last)
		last = sp->first - 1;
	stuck = stuck_after(core, slots, first, last);
	if (stuck)
		last = stuck->first - 1;
	record_hold(core, rec, last);
}

/* A record that waits for a split object stands in the queue: who comes later must not pass. */
static bool owner_crowded(struct fclock_core *core)
{
	return list_empty(&core->own.free_splits);
}

u16 fclock_record_slots(struct fclock_core *core, struct fclock_record *rec)
{
	if (rec->target == FCLOCK_TARGET_A)
		return fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	return BIT(rec->target);
}

static void owner_decide(struct fclock_core *core, struct fclock_record *rec)
{
	u16 slots = fclock_record_slots(core, rec);
	u64 last = rec->ask_last;
	bool split;

	/*
	 * Splitting for a slot that fails, goes, or does not fit is not begun; the
	 * next state decides. The bits of one that is not attached are never ready.
	 */
	if ((slots & (core->own.failing | core->detaching | core->too_short)) ||
	    !fclock_slice_ready(core, slots, fclock_slice_of(core, rec->ask_first))) {
		record_queue(rec, &core->own.queue);
		return;
	}
	split = rec->kind == FCLOCK_KIND_SHARED ?
		fclock_all_split(core, slots, rec->ask_first) :
		fclock_next_unsplit(core, slots, rec->ask_first, last) > last;
	if (split) {
		record_grant(core, rec, FCLOCK_GRANTED);
		return;
	}
	rec->cold = false;
	if (owner_crowded(core)) {
		record_queue(rec, &core->own.queue);
		return;
	}
	if (rec->kind == FCLOCK_KIND_SHARED) {
		owner_shared(core, rec);
		return;
	}
	if (list_empty(&rec->list))	/* its first look: not after a wait */
		last = owner_ahead(core, rec, 0, 4 * max_split_grains(core));
	owner_split(core, rec, slots, last);
}

static void owner_handle(struct fclock_core *core, struct fclock_record *rec)
{
	u64 slice;

	record_unstick(core, rec);
	if (rec->want_state > core->sb.state || core->split_brain) {
		record_queue(rec, &core->own.queue);
		return;
	}
	slice = fclock_slice_of(core, rec->ask_first);
	if (rec->want_state < core->sb.state || core->prep.number ||
	    rec->ask_last >= core->sb.geo.grains ||
	    fclock_listed_instance(&core->sb, rec->client) !=
	    client_of(core, rec)->instance ||
	    fclock_slice_owner(&core->sb, slice) != core->cfg.node ||
	    fclock_slice_of(core, rec->ask_last) != slice) {
		fclock_record_free(core, rec);		/* the client asks again */
		return;
	}
	if (rec->target != FCLOCK_TARGET_A) {
		u8 state = core->sb.slot[rec->target].state;

		if (state == FCLOCK_SLOT_COMPLETE) {
			record_grant(core, rec, FCLOCK_GRANTED);
			return;
		}
		if (state != FCLOCK_SLOT_ACTIVE) {
			record_grant(core, rec, FCLOCK_GRANT_EIO);
			return;
		}
	}
	if (!core->own.ready) {
		record_queue(rec, &core->own.queue);
		return;
	}
	owner_decide(core, rec);
}

/* In order of arrival; who must wait again goes to the tail of where it waits. */
void fclock_owner_handle_list(struct fclock_core *core, struct list_head *list)
{
	struct fclock_record *rec;
	LIST_HEAD(todo);

	list_splice_init(list, &todo);
	while (!list_empty(&todo)) {
		rec = list_first_entry(&todo, struct fclock_record, list);
		owner_handle(core, rec);
	}
}

static void owner_retry_stuck(struct fclock_core *core)
{
	if (!core->own.stuck_again)
		return;
	core->own.stuck_again = false;
	fclock_owner_handle_list(core, &core->own.stuck);
}

void fclock_owner_retry(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;

	owner_retry_stuck(core);
	fclock_owner_handle_list(core, &own->queue);
	if (!own->active || core->prep.number)
		return;
	if (own->ready) {
		fclock_owner_scan(core);
		fclock_owner_tell_complete(core);
		fclock_background(core);
	} else if (!own->starting) {
		/* the timer may have come while a transition was pending */
		fclock_arm(core, own->start_at);
	}
}

/* A client that asks in @state has dropped what it asked in older ones. */
static void drop_older(struct fclock_core *core, struct fclock_peer *peer,
		       u64 state)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_OBJECTS; i++) {
		struct fclock_record *rec = &peer->records[i];

		if ((rec->state == FCLOCK_REC_WAITING ||
		     rec->state == FCLOCK_REC_GRANTING) &&
		    rec->want_state < state)
			fclock_record_free(core, rec);
	}
}

/**
 * fclock_owner_request - LOCK_REQUEST from @peer
 *
 * Return: 0, or -EPROTO for a request that breaks the credits.
 */
int fclock_owner_request(struct fclock_core *core, struct fclock_peer *peer,
			 const struct fclock_msg *msg,
			 const struct fclock_wire_lock_request *req)
{
	u16 place = msg->id & 0xffff;
	struct fclock_record *rec;

	if (place >= FCLOCK_OBJECTS)
		return -EPROTO;
	rec = &peer->records[place];
	if (rec->state != FCLOCK_REC_FREE && rec->id == msg->id) {
		/* asked again after a reconnect; the grant may be lost */
		if (rec->state != FCLOCK_REC_WAITING)
			fclock_queue_out(core, peer, &rec->out);
		return 0;
	}
	/* The client uses the place again, so it holds nothing there. */
	if (rec->state == FCLOCK_REC_HELD)
		record_release(core, rec);
	else if (rec->state != FCLOCK_REC_FREE)
		fclock_record_free(core, rec);
	if (msg->state < core->sb.state)
		return 0;
	if (peer->rec_open >= REC_OPEN_MOST)
		drop_older(core, peer, msg->state);
	if (peer->rec_open >= REC_OPEN_MOST)
		return -EPROTO;
	peer->rec_open++;
	rec->id = msg->id;
	rec->want_state = msg->state;
	rec->ask_first = le64_to_cpu(req->first);
	rec->ask_last = le64_to_cpu(req->last);
	rec->target = req->target;
	rec->kind = req->kind;
	rec->state = FCLOCK_REC_WAITING;
	rec->cold = true;
	owner_handle(core, rec);
	owner_retry_stuck(core);
	return 0;
}

/* RELEASED: in every state; for an id that is not held here it changes nothing. */
void fclock_owner_released(struct fclock_core *core, struct fclock_peer *peer,
			   u64 id)
{
	u16 place = id & 0xffff;
	struct fclock_record *rec;

	if (place >= FCLOCK_OBJECTS)
		return;
	rec = &peer->records[place];
	if (rec->id == id && rec->state == FCLOCK_REC_HELD)
		record_release(core, rec);
	owner_retry_stuck(core);
}

/* -------------------------------------------------------------- transitions */

/* Splits that wait for locks or for a commit. */
static void owner_drop_splits(struct fclock_core *core)
{
	struct fclock_split *sp, *tmp;
	unsigned int i;

	list_for_each_entry_safe(sp, tmp, &core->own.copied, list)
		fclock_split_drop(core, sp);
	for (i = 0; i < FCLOCK_SPLITS; i++)
		if (core->own.splits[i].state == FCLOCK_SPLIT_LOCKING)
			fclock_split_drop(core, &core->own.splits[i]);
}

/*
 * Two members lists under one epoch: by the other one these slices may be somebody
 * else's. The requests wait in the queue for a newer list.
 */
void fclock_owner_disputed(struct fclock_core *core)
{
	owner_drop_splits(core);
}

/*
 * PREPARE: nothing new is granted, copied or committed. Requests of this state
 * are dropped with the splits that wait for locks or for a commit; locks whose grant
 * was never sent were never given. That a grant waits to be sent does not tell: it
 * may be its second time, for a request that crossed the first.
 */
void fclock_owner_prepare(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int i;

	owner_drop_splits(core);
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (!peer->rec_open && !peer->rec_held)
			continue;
		for (i = 0; i < FCLOCK_OBJECTS; i++) {
			struct fclock_record *rec = &peer->records[i];

			if ((rec->state == FCLOCK_REC_WAITING &&
			     rec->want_state <= core->sb.state) ||
			    rec->state == FCLOCK_REC_GRANTING ||
			    (rec->state == FCLOCK_REC_HELD && !rec->sent))
				fclock_record_free(core, rec);
		}
	}
}

/* Nothing of this owner is in flight to B or M. */
bool fclock_owner_idle(struct fclock_core *core)
{
	return !core->own.nr_copying && !core->own.committing &&
	       !core->own.nr_loading && !core->own.starting;
}

/*
 * What a client gave up while nobody heard it is not to stay here until it is cut off itself: with
 * it would wait who splits there. It is asked; who has the lock says so by keeping it while used.
 */
static void owner_ask_back(struct fclock_core *core, struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; peer->rec_held && i < FCLOCK_OBJECTS; i++)
		if (peer->records[i].state == FCLOCK_REC_HELD)
			fclock_record_recall(core, &peer->records[i]);
}

/*
 * Shared locks of all clients; with @old only of those whose instance is not listed any more. The
 * others may have said PREPARED to what is aborted now, and that ended their locks there.
 */
static void owner_forget_given(struct fclock_core *core,
			       const struct fclock_super *old)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (old && fclock_listed_instance(old, peer->node) ==
			   fclock_listed_instance(&core->sb, peer->node)) {
			owner_ask_back(core, peer);
			continue;
		}
		if (!peer->rec_held)
			continue;
		for (i = 0; i < FCLOCK_OBJECTS; i++)
			if (peer->records[i].state == FCLOCK_REC_HELD)
				record_release(core, &peer->records[i]);
	}
}

/* Every request of an older state has ended; those of this state and above are looked at. */
static void owner_drop_old(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (!peer->rec_open)
			continue;
		for (i = 0; i < FCLOCK_OBJECTS; i++) {
			struct fclock_record *rec = &peer->records[i];

			if ((rec->state == FCLOCK_REC_WAITING ||
			     rec->state == FCLOCK_REC_GRANTING) &&
			    rec->want_state < core->sb.state)
				fclock_record_free(core, rec);
		}
	}
}

/* One at a time. A start under way began before what this one is for. */
static void owner_start(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;

	own->ready = false;
	own->start_again = own->starting;
	if (own->starting)
		return;
	own->starting = true;
	core->ops->start_owner(core);
}

static void owner_begin(struct fclock_core *core)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		fclock_bits_forget(core, s);
	core->own.active = true;
	owner_start(core);
}

static void owner_end(struct fclock_core *core)
{
	unsigned int s;

	core->own.active = false;
	core->own.ready = false;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		fclock_bits_forget(core, s);
}

/*
 * What is known of the old generation counts no more. Of one that this very state began
 * all is known; another may have been written to before its superblock came here.
 */
static void owner_generation(struct fclock_core *core, unsigned int slot)
{
	if (core->sb.slot[slot].generation == core->sb.state)
		fclock_bits_trigger(core, slot);
	else
		fclock_bits_forget(core, slot);
}

/*
 * The volume has grown beyond what there is memory for: the spare one takes its place, and what
 * was known is read from M again. Nothing is in flight here that could change that on M.
 */
static void owner_take_spare(struct fclock_core *core)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		struct fclock_owned_slot *os = &core->own.slot[s];

		if (!os->bits || os->slices >= core->sb.geo.slices ||
		    WARN_ON(os->spare.slices < core->sb.geo.slices))
			continue;
		os->bits = os->spare.bits;
		os->slice_era = os->spare.slice_era;
		os->slice_split = os->spare.slice_split;
		os->slices = os->spare.slices;
		memset(&os->spare, 0, sizeof(os->spare));
		fclock_bits_forget(core, s);
	}
}

/**
 * fclock_owner_adopt - core->sb has just replaced @old
 * @ends_locks: by RESUME: every participant had PREPARED, so no lock given here is held
 *	any more. After an ABORT, or a new primary's superblock, the tables stay: who
 *	had not said PREPARED still holds.
 */
void fclock_owner_adopt(struct fclock_core *core,
			const struct fclock_super *old, bool ends_locks)
{
	bool mine = core->sb.owners & fclock_node_bit(core->cfg.node);
	u16 ended = 0;
	unsigned int s;

	mine = mine && fclock_is_listed(core);
	if (old->geo.slices != core->sb.geo.slices)
		owner_take_spare(core);
	owner_drop_old(core);
	owner_forget_given(core, ends_locks ? NULL : old);
	if (mine && !core->own.active) {
		owner_begin(core);
	} else if (!mine && core->own.active) {
		owner_end(core);
	} else if (mine && old->owners != core->sb.owners) {
		fclock_bits_moved(core);
		/* what other owners wrote is not to be read from old buffers */
		owner_start(core);
	}
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (core->sb.slot[s].state != FCLOCK_SLOT_ACTIVE ||
		    core->sb.slot[s].generation != old->slot[s].generation)
			ended |= BIT(s);
		if (core->own.active && core->own.slot[s].bits &&
		    core->sb.slot[s].generation != old->slot[s].generation)
			owner_generation(core, s);
	}
	if (old->owners != core->sb.owners ||
	    old->geo.grains != core->sb.geo.grains) {
		core->own.grains = 0;
		core->own.counted = 0;
		memset(core->own.slot_grains, 0, sizeof(core->own.slot_grains));
	}
	core->own.told = 0;
	core->own.stuck_again = true;
	core->own.failing &= ~ended;
	core->own.scan_slot = 0;
	core->own.scan_slice = 0;
	fclock_background_adopt(core, old);
	memset(core->own.ahead, 0, sizeof(core->own.ahead));
}

/*
 * Short of memory it is tried again; where M cannot be read the copies are given up,
 * and it is tried again for those to come. Meanwhile requests wait in the queue.
 */
static void owner_not_started(struct fclock_core *core, int error)
{
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);

	fclock_say(core, "cannot read the bitmaps: error %d", error);
	if (error != -ENOMEM)
		fclock_owner_fail(core, active);
	core->own.start_at = core->ops->now(core) + FCLOCK_RETRY_MS;
	fclock_arm(core, core->own.start_at);
}

void fclock_core_owner_started(struct fclock_core *core, int error)
{
	lockdep_assert_held(core->lock);

	core->own.starting = false;
	if (core->own.active && core->own.start_again)
		owner_start(core);
	else if (core->own.active && error)
		owner_not_started(core, error);
	else
		core->own.ready = core->own.active;
	fclock_progress(core);
	fclock_owner_retry(core);
	fclock_settle(core);
}

void fclock_owner_timer(struct fclock_core *core, u64 now)
{
	struct fclock_owner *own = &core->own;

	if (!own->active || own->starting || core->prep.number)
		return;
	if (own->ready)
		fclock_owner_retry(core);
	else if (now >= own->start_at)
		owner_start(core);
	else
		fclock_arm(core, own->start_at);
}

/* This instance is over; nothing is in flight any more. */
void fclock_owner_reset(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer))
		for (i = 0; i < FCLOCK_OBJECTS; i++)
			if (peer->records[i].state != FCLOCK_REC_FREE)
				fclock_record_free(core, &peer->records[i]);
	core->own.failing = 0;
	owner_end(core);
}

/* -------------------------------------------------------------- links, slots */

/* What a former instance of @peer asked for. Its locks end with the view that strikes it. */
void fclock_owner_new_instance(struct fclock_core *core,
			       struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_OBJECTS; i++)
		if (peer->records[i].state == FCLOCK_REC_WAITING ||
		    peer->records[i].state == FCLOCK_REC_GRANTING)
			fclock_record_free(core, &peer->records[i]);
}

/*
 * RELEASE_REQUESTs are sent again, and for every lock: a RELEASED may have been lost with the link,
 * and what was not used meanwhile was given up without one. Grants are sent when the client asks
 * again.
 */
void fclock_owner_link_up(struct fclock_core *core, struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_OBJECTS; i++)
		if (peer->records[i].state == FCLOCK_REC_HELD &&
		    peer->records[i].recalled)
			fclock_queue_out(core, peer, &peer->records[i].recall);
	owner_ask_back(core, peer);
	core->own.stuck_again = true;
	owner_retry_stuck(core);
}

/*
 * No split is kept until a node that is cut off comes back, or is fenced: what waits for
 * it is stuck without one, and where nobody waits readers are not kept out.
 */
static void owner_leave_locked(struct fclock_core *core)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_SPLITS; i++) {
		struct fclock_split *sp = &core->own.splits[i];

		if (sp->state == FCLOCK_SPLIT_LOCKING &&
		    fclock_owner_held_by_lost(core, sp->slots, sp->first,
					      sp->last))
			fclock_split_drop(core, sp);
	}
}

void fclock_owner_link_down(struct fclock_core *core, struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_OBJECTS; i++) {
		struct fclock_record *rec = &peer->records[i];

		fclock_unqueue_out(&rec->out);
		fclock_unqueue_out(&rec->recall);
		/* no reader has a lock that it never heard of, nor gets one now: it asks again */
		if (rec->state == FCLOCK_REC_GRANTING ||
		    (rec->state == FCLOCK_REC_WAITING &&
		     rec->kind == FCLOCK_KIND_SHARED))
			fclock_record_free(core, rec);
		else if (rec->state == FCLOCK_REC_HELD && !rec->sent)
			record_release(core, rec);
	}
	owner_leave_locked(core);
	/* who waited for a split object comes before whoever asks next */
	fclock_owner_retry(core);
}

/* Grants are made from the bits when they are sent, and those of @slots go away. */
static void owner_take_back(struct fclock_core *core, u16 slots)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (!peer->rec_open)
			continue;
		for (i = 0; i < FCLOCK_OBJECTS; i++) {
			struct fclock_record *rec = &peer->records[i];

			if (rec->state != FCLOCK_REC_GRANTING ||
			    !(fclock_record_slots(core, rec) & slots))
				continue;
			fclock_unqueue_out(&rec->out);
			rec->state = FCLOCK_REC_WAITING;
			record_queue(rec, &core->own.queue);
		}
	}
}

void fclock_owner_detach(struct fclock_core *core, unsigned int slot)
{
	struct fclock_split *sp;
	unsigned int i;

	for (i = 0; i < FCLOCK_SPLITS; i++) {
		sp = &core->own.splits[i];
		if (sp->state == FCLOCK_SPLIT_LOCKING && (sp->slots & BIT(slot)))
			fclock_split_drop(core, sp);
	}
	owner_take_back(core, BIT(slot));
}
