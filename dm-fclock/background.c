// SPDX-License-Identifier: GPL-2.0-only
/*
 * Background copy: an owner splits its slices of a slot by itself, from the start of
 * the device, at the slot's rate (message copy_rate).
 *
 * These are splits like all others and obey the same rules; what is special is only
 * when one begins. None begins while a request waits (but for a client that is cut off),
 * while a transition is pending,
 * or in the last half of the split objects. A token bucket per slot holds the rate: a
 * run may begin while the bucket is not in debt, and is paid for as it begins, so an
 * owner begins at most
 *
 *	share of the rate * (time + FCLOCK_BURST_MS) + one run
 *
 * while its share stays what it is. A run that waits for readers to release is copied
 * later than it was paid for.
 *
 * The rate is of the cluster: each owner takes the share of it that its slices are of
 * the volume. Where it stands is the bitmap, so nothing else has to be remembered
 * over a restart or a view: the walk begins anew and passes over what is split.
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include "core-private.h"

#define MOST_MS		BIT(20)	/* paid in at once: no overflow */
#define LONGEST_MS	60000	/* until the debt is looked at again */

static struct fclock_background *bg_of(struct fclock_core *core,
				       unsigned int slot)
{
	return &core->own.background[slot];
}

static u64 grain_bytes(struct fclock_core *core)
{
	return (u64)core->sb.geo.grain << 9;
}

/* ------------------------------------------------------------------- the rate */

/* Of the cluster's rate this owner's part, bytes/s; never 0. */
static u64 bg_share(struct fclock_core *core, unsigned int slot)
{
	u64 all = fclock_slot_grains(&core->sb, slot);
	u64 mine = fclock_own_grains(core, slot);
	u64 rate = (u64)core->sb.slot[slot].rate << 10;
	unsigned int shift = fls64(all) > 32 ? fls64(all) - 32 : 0;
	u64 part = div64_u64((mine >> shift) << 16, all >> shift);

	return max_t(u64, (rate * max_t(u64, part, 1)) >> 16, 1);
}

/* Grains that are copied at once: of one second at most, if that is one. */
static u64 bg_run(struct fclock_core *core, u64 share)
{
	return clamp_t(u64, div64_u64(share, grain_bytes(core)), 1,
		       max_t(u32, 1, FCLOCK_MAX_SPLIT / core->sb.geo.grain));
}

/* Pays in what the time since then is worth. May the slot copy now? */
static bool bg_may(struct fclock_core *core, unsigned int slot, u64 now)
{
	struct fclock_background *bg = bg_of(core, slot);
	u64 share = bg_share(core, slot);

	bg->tokens += share * min_t(u64, now - bg->at, MOST_MS);
	bg->tokens = min_t(s64, bg->tokens, share * FCLOCK_BURST_MS);
	bg->at = now;
	if (bg->tokens >= 0)
		return true;
	fclock_arm(core, now + min_t(u64, LONGEST_MS,
				     div64_u64(-bg->tokens, share) + 1));
	return false;
}

static void bg_pay(struct fclock_core *core, u16 slots, u64 grains)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (slots & BIT(s))
			bg_of(core, s)->tokens -=
				grains * grain_bytes(core) * 1000;
}

/* ------------------------------------------------------------------- the walk */

/*
 * The next grain of @slot, from where the walk stands, that is neither split nor being
 * split; false: none now. Who returns false has seen to it that it is asked again.
 */
static bool bg_find(struct fclock_core *core, unsigned int slot, u64 *grain)
{
	struct fclock_background *bg = bg_of(core, slot);
	struct fclock_split *sp;
	u64 most = fclock_slices_at_once(core), looked, slice, end, g;

	for (looked = 0; looked < most; looked++) {
		if (bg->next >= core->sb.geo.grains)
			return false;
		slice = fclock_slice_of(core, bg->next);
		end = fclock_slice_end(core, bg->next);
		if (fclock_slice_owner(&core->sb, slice) != core->cfg.node) {
			bg->next = end + 1;
			continue;
		}
		if (!fclock_slice_known(core, slot, slice)) {
			fclock_slice_load(core, slot, slice);
			return false;
		}
		g = fclock_next_unsplit(core, BIT(slot), bg->next, end);
		bg->next = g;
		if (g > end)
			continue;
		sp = fclock_split_after(core, g);
		if (!sp || sp->first > g) {
			*grain = g;
			return true;
		}
		bg->next = sp->last + 1;
	}
	fclock_arm(core, core->ops->now(core) + 1);
	return false;
}

/*
 * At the end of the walk, and not all is split: splits under way may end well; what
 * was passed over, or dropped, is found by another walk.
 */
static void bg_again(struct fclock_core *core, unsigned int slot, u64 now)
{
	struct fclock_background *bg = bg_of(core, slot);

	if (bg->next < core->sb.geo.grains ||
	    core->own.slot[slot].split == fclock_own_grains(core, slot))
		return;
	if (!bg->again_at)
		bg->again_at = now + FCLOCK_RETRY_MS;
	if (now < bg->again_at) {
		fclock_arm(core, bg->again_at);
		return;
	}
	bg->again_at = 0;
	bg->next = 0;
}

/*
 * Slots of @may that go with a copy of @run grains from @grain on: A is read once. Not
 * those whose rate is for less.
 */
static u16 bg_together(struct fclock_core *core, u16 may, u64 grain, u64 run)
{
	u64 slice = fclock_slice_of(core, grain);
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((may & BIT(s)) && (!fclock_slice_known(core, s, slice) ||
				       bg_run(core, bg_share(core, s)) < run))
			may &= ~BIT(s);
	return may;
}

/* One run of @slot, and of what else is in @may. False: nothing could begin. */
static bool bg_copy(struct fclock_core *core, unsigned int slot, u16 may,
		    u64 now)
{
	struct fclock_background *bg = bg_of(core, slot);
	u64 run = bg_run(core, bg_share(core, slot)), g, end, free;
	u16 slots;

	if (!bg_find(core, slot, &g)) {
		bg_again(core, slot, now);
		return false;
	}
	may = bg_together(core, may, g, run);
	slots = fclock_unsplit_slots(core, may, g);
	slots = fclock_same_end(core, slots, slot, g);
	end = min(fclock_slice_end(core, g), g + run - 1);
	end = fclock_split_extent(core, may, slots, g, end);
	/* nobody is to wait, because of this copy, for a node that is cut off */
	free = fclock_owner_held_by_lost(core, slots, g, end);
	if (free) {
		bg->next = free;
		return true;
	}
	bg->next = end + 1;
	if (!bg->began)
		trace_fclock_background(core->cfg.node, FCLOCK_TW_BEGIN, slot,
					core->sb.slot[slot].rate, g);
	bg->began = true;
	fclock_split_start(core, g, end, slots, true);
	bg_pay(core, slots, end - g + 1);
	return true;
}

/* --------------------------------------------------------------------- when */

/* Is all of @slot split here? */
static bool bg_done(struct fclock_core *core, unsigned int slot)
{
	struct fclock_background *bg = bg_of(core, slot);

	if (core->own.slot[slot].split != fclock_own_grains(core, slot))
		return false;
	if (bg->began)
		trace_fclock_background(core->cfg.node, FCLOCK_TW_DONE, slot,
					core->sb.slot[slot].rate,
					fclock_slot_grains(&core->sb, slot));
	bg->began = false;
	return true;
}

/* Slots that are to be copied. */
static u16 bg_slots(struct fclock_core *core)
{
	u16 slots = core->own.background_slots & ~core->own.failing &
		    ~core->detaching & ~core->too_short;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) &&
		    (!core->own.slot[s].bits || bg_done(core, s)))
			slots &= ~BIT(s);
	return slots;
}

/* Those of @slots that are not in debt. */
static u16 bg_ready(struct fclock_core *core, u16 slots, u64 now)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) && !bg_may(core, s, now))
			slots &= ~BIT(s);
	return slots;
}

/* Does a request wait for anything here? */
static bool misses_wait(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;
	unsigned int i;

	if (!list_empty(&own->queue))
		return true;
	for (i = 0; i < FCLOCK_SPLITS; i++)
		if (!list_empty(&own->splits[i].waiters))
			return true;
	return false;
}

/* Is there a split object that requests can do without? */
static bool bg_room(struct fclock_core *core)
{
	unsigned int i, used = 0;

	if (core->own.nr_background >= FCLOCK_BACKGROUND)
		return false;
	for (i = 0; i < FCLOCK_SPLITS; i++)
		used += core->own.splits[i].state != FCLOCK_SPLIT_FREE;
	return used < FCLOCK_SPLITS / 2;
}

static void bg_yields(struct fclock_core *core, bool yields, u16 slots)
{
	if (core->own.background_yields == yields)
		return;
	core->own.background_yields = yields;
	trace_fclock_background(core->cfg.node, yields ? FCLOCK_TW_YIELD :
				FCLOCK_TW_GO_ON, __ffs(slots), 0, 0);
}

/**
 * fclock_background - begin what may begin now
 *
 * Called whenever something ended that it may wait for, and by the timer.
 */
void fclock_background(struct fclock_core *core)
{
	unsigned int i, s;
	u16 slots, may;
	bool began;
	u64 now;

	/* the share is known when its grains are counted */
	if (!core->own.background_slots || !core->own.active ||
	    !core->own.ready || core->own.counted < core->sb.geo.slices ||
	    core->prep.number || core->split_brain)
		return;
	slots = bg_slots(core);
	if (!slots)
		return;
	now = core->ops->now(core);
	bg_yields(core, misses_wait(core), slots);
	if (core->own.background_yields)
		return;
	do {
		began = false;
		for (i = 0; i < FCLOCK_MAX_SLOTS && bg_room(core); i++) {
			s = core->own.background_turn++ % FCLOCK_MAX_SLOTS;
			may = bg_ready(core, slots, now);
			if (!(may & BIT(s)))
				continue;
			bg_again(core, s, now);
			began |= bg_copy(core, s, may, now);
		}
	} while (began && bg_room(core));
}

/* core->sb has just replaced @old: the walk begins anew. */
void fclock_background_adopt(struct fclock_core *core,
			     const struct fclock_super *old)
{
	u64 now = core->ops->now(core);
	unsigned int s;

	core->own.background_slots = 0;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		const struct fclock_slot *was = &old->slot[s];
		const struct fclock_slot *is = &core->sb.slot[s];
		struct fclock_background *bg = bg_of(core, s);

		bg->next = 0;
		bg->again_at = 0;
		if (is->rate && is->state == FCLOCK_SLOT_ACTIVE)
			core->own.background_slots |= BIT(s);
		if (was->rate == is->rate && was->state == is->state &&
		    was->generation == is->generation)
			continue;
		/* a debt stays, savings do not */
		bg->tokens = min_t(s64, bg->tokens, 0);
		bg->at = now;
		bg->began = false;
	}
}
