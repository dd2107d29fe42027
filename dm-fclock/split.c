// SPDX-License-Identifier: GPL-2.0-only
/*
 * Splits: the exclusive lock on a run of grains while it is copied and committed.
 *
 * The life of a split, and why no write overtakes it (invariants 2 and 4):
 *
 *   LOCKING     the split stands in splits_tree: no new shared lock is given on its
 *               grains. Holders are asked to release.
 *   COPYING     no holder is left. kcopyd copies A to the slots.
 *   COPIED      waits for the commit under way to end; then all that wait go together.
 *   COMMITTING  B is flushed, then the bits are set and committed on M.
 *   (done)      the bits are set in core, the waiters are looked at again and find
 *               the grains split: only now can a grant be encoded.
 *
 * A crash before the commit leaves the grain unsplit: A was not yet written, so
 * the copy still reads right through A. A crash after it leaves grain and bit on
 * stable storage. A split that a PREPARE finds short of COMMITTING is dropped
 * where it stands: its grain stays unsplit.
 */
#include "core-private.h"

/* The first split that ends at or after @grain. */
struct fclock_split *fclock_split_after(struct fclock_core *core, u64 grain)
{
	struct rb_node *n = core->own.splits_tree.rb_node;
	struct fclock_split *found = NULL;

	while (n) {
		struct fclock_split *sp = rb_entry(n, struct fclock_split, node);

		if (sp->last >= grain) {
			found = sp;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return found;
}

static void split_insert(struct fclock_core *core, struct fclock_split *sp)
{
	struct rb_node **link = &core->own.splits_tree.rb_node, *parent = NULL;

	while (*link) {
		struct fclock_split *o;

		parent = *link;
		o = rb_entry(parent, struct fclock_split, node);
		link = sp->first < o->first ? &parent->rb_left :
					      &parent->rb_right;
	}
	rb_link_node(&sp->node, parent, link);
	rb_insert_color(&sp->node, &core->own.splits_tree);
}

/* Takes @sp out; its waiters, in order, go to @waiters. */
static void split_end(struct fclock_core *core, struct fclock_split *sp,
		      struct list_head *waiters)
{
	rb_erase(&sp->node, &core->own.splits_tree);
	list_splice_tail_init(&sp->waiters, waiters);
	sp->state = FCLOCK_SPLIT_FREE;
	core->own.nr_background -= sp->background;
	list_move_tail(&sp->list, &core->own.free_splits);
	if (core->detaching & sp->slots)
		core->ops->event(core, FCLOCK_EVENT_ENDED, 0);
}

static bool split_held(struct fclock_core *core, struct fclock_split *sp,
		       bool recall)
{
	bool held = false;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (sp->slots & BIT(s))
			held |= fclock_owner_held(core, s, sp->first, sp->last,
						  recall);
	return held;
}

/* Where the copy of @slot of @grain ends: the last grain of a copy may be cut short. */
static u64 copy_end(struct fclock_core *core, unsigned int slot, u64 grain)
{
	return min((grain + 1) << ilog2(core->sb.geo.grain),
		   core->sb.slot[slot].length);
}

/*
 * Those of @slots whose copy of @grain ends where that of @slot does: a split copies the same
 * sectors to all of its slots. Copies of different lengths differ in the last grain
 * of the shorter one.
 */
u16 fclock_same_end(struct fclock_core *core, u16 slots, unsigned int slot,
		    u64 grain)
{
	u64 end = copy_end(core, slot, grain);
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) && copy_end(core, s, grain) != end)
			slots &= ~BIT(s);
	return slots;
}

static void split_copy(struct fclock_core *core, struct fclock_split *sp)
{
	trace_fclock_split(core->cfg.node, FCLOCK_TS_COPY, sp->first, sp->last,
			   sp->slots);
	sp->state = FCLOCK_SPLIT_COPYING;
	core->own.nr_copying++;
	core->ops->copy(core, sp);
}

/**
 * fclock_split_start - take the exclusive lock on [@first, @last] for @slots and copy
 * @background: no request asked for it
 * Return: the split, or NULL when all are in use.
 */
struct fclock_split *fclock_split_start(struct fclock_core *core, u64 first,
					u64 last, u16 slots, bool background)
{
	struct fclock_split *sp;

	if (list_empty(&core->own.free_splits))
		return NULL;
	sp = list_first_entry(&core->own.free_splits, struct fclock_split,
			      list);
	list_del_init(&sp->list);
	sp->first = first;
	sp->last = last;
	sp->end = copy_end(core, __ffs(slots), last);
	sp->slots = slots;
	sp->failed = 0;
	sp->background = background;
	sp->ahead = false;
	core->own.nr_background += background;
	sp->state = FCLOCK_SPLIT_LOCKING;
	split_insert(core, sp);
	trace_fclock_split(core->cfg.node, FCLOCK_TS_LOCK, first, last, slots);
	if (!split_held(core, sp, true))
		split_copy(core, sp);
	return sp;
}

/* A shared lock on [@first, @last] of @slot ended: who waited for it? */
void fclock_splits_recheck(struct fclock_core *core, unsigned int slot,
			   u64 first, u64 last)
{
	struct fclock_split *sp = fclock_split_after(core, first);
	struct rb_node *n;

	while (sp && sp->first <= last) {
		n = rb_next(&sp->node);
		if (sp->state == FCLOCK_SPLIT_LOCKING &&
		    (sp->slots & BIT(slot)) && !split_held(core, sp, false))
			split_copy(core, sp);
		sp = n ? rb_entry(n, struct fclock_split, node) : NULL;
	}
}

/* ------------------------------------------------------------------ failures */

/* The copies of @slots lost their point in time, or will: ask for offline (invariant 7). */
void fclock_owner_fail(struct fclock_core *core, u16 slots)
{
	slots &= fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	if (!(slots & ~core->own.failing))
		return;
	fclock_say(core, "cannot keep the copy of slot %s: taking it offline",
		   fclock_list_slots(slots).text);
	core->own.failing |= slots;
	fclock_wish(core);
}

/* ------------------------------------------------------------ copy and commit */

static void commit_start(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;
	struct fclock_split *sp;

	if (own->committing || list_empty(&own->copied) || core->prep.number)
		return;
	own->committing = true;
	list_splice_init(&own->copied, &own->batch);
	list_for_each_entry(sp, &own->batch, list) {
		sp->state = FCLOCK_SPLIT_COMMITTING;
		trace_fclock_split(core->cfg.node, FCLOCK_TS_COMMIT, sp->first,
				   sp->last, sp->slots & ~sp->failed);
	}
	core->stats.commits++;
	core->ops->commit(core);
}

void fclock_split_drop(struct fclock_core *core, struct fclock_split *sp)
{
	LIST_HEAD(waiters);

	split_end(core, sp, &waiters);
	fclock_owner_handle_list(core, &waiters);
}

/*
 * What nobody asked for costs no copy when it cannot be copied: it is dropped, and nobody is
 * served ahead for now. A request that has come to wait for it begins a split of its own.
 */
static void copy_failed(struct fclock_core *core, struct fclock_split *sp)
{
	if (sp->ahead)
		memset(core->own.ahead, 0, sizeof(core->own.ahead));
	else
		fclock_owner_fail(core, sp->failed);
}

void fclock_core_copied(struct fclock_core *core, struct fclock_split *sp,
			bool read_error, u16 failed)
{
	lockdep_assert_held(core->lock);

	core->own.nr_copying--;
	sp->failed = (read_error ? sp->slots : failed) & sp->slots;
	trace_fclock_split(core->cfg.node, sp->failed ? FCLOCK_TS_FAIL :
			   FCLOCK_TS_COPIED, sp->first, sp->last, sp->slots);
	if (sp->failed)
		copy_failed(core, sp);
	if (core->prep.number || core->split_brain || sp->failed == sp->slots ||
	    (sp->failed && sp->ahead)) {
		/* After PREPARE nothing new is committed; the grain stays unsplit. */
		fclock_split_drop(core, sp);
		fclock_progress(core);
		fclock_owner_retry(core);
	} else {
		/* nobody in the queue waits for that: it ends with the commit */
		sp->state = FCLOCK_SPLIT_COPIED;
		list_move_tail(&sp->list, &core->own.copied);
		commit_start(core);
	}
	fclock_settle(core);
}

static void split_committed(struct fclock_core *core, struct fclock_split *sp,
			    u16 failed)
{
	u16 done = sp->slots & ~(sp->failed | failed);
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(done & BIT(s)))
			continue;
		fclock_bits_set(core, s, sp->first, sp->last);
		core->stats.grains_copied += sp->last - sp->first + 1;
	}
	trace_fclock_split(core->cfg.node, FCLOCK_TS_DONE, sp->first, sp->last,
			   done);
}

/* Slots of which every grain that this node owns is split. */
u16 fclock_owner_complete(struct fclock_core *core)
{
	u16 complete = 0;
	unsigned int s;

	if (!core->own.active || !core->own.ready ||
	    core->own.counted < core->sb.geo.slices)
		return 0;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (core->sb.slot[s].state == FCLOCK_SLOT_ACTIVE &&
		    core->own.slot[s].bits &&
		    core->own.slot[s].split == fclock_own_grains(core, s))
			complete |= BIT(s);
	return complete;
}

/* Once for each state: the primary believes only what was said in its own. */
void fclock_owner_tell_complete(struct fclock_core *core)
{
	u16 complete = fclock_owner_complete(core);

	if (!(complete & ~core->own.told))
		return;
	core->own.told = complete;
	fclock_wish(core);
}

void fclock_core_committed(struct fclock_core *core, u16 failed)
{
	struct fclock_split *sp, *tmp;
	LIST_HEAD(waiters);
	u16 all = 0;

	lockdep_assert_held(core->lock);

	core->own.committing = false;
	list_for_each_entry_safe(sp, tmp, &core->own.batch, list) {
		split_committed(core, sp, failed);
		all |= sp->slots;
		split_end(core, sp, &waiters);
	}
	if (failed & all)
		fclock_owner_fail(core, failed & all);
	/* a grain may be split that a reader was stuck for, behind a writer of more */
	core->own.stuck_again = true;
	fclock_owner_handle_list(core, &waiters);
	commit_start(core);
	fclock_owner_tell_complete(core);
	fclock_progress(core);
	fclock_owner_retry(core);
	fclock_settle(core);
}
