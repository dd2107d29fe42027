// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner's slices: how many grains they have, and their bits, read from M when somebody
 * waits for them, and in a walk through all.
 */
#include "core-private.h"

#ifndef FCLOCK_WALK			/* the simulator has less */
#define FCLOCK_WALK	64		/* slices */
#endif

static bool load_pending(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_load *load;

	list_for_each_entry(load, &core->own.loads, list)
		if (load->slot == slot && load->slice == slice)
			return true;
	return false;
}

static void load_start(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_load *load;

	if (load_pending(core, slot, slice) ||
	    list_empty(&core->own.free_loads) || !core->own.slot[slot].bits)
		return;
	load = list_first_entry(&core->own.free_loads, struct fclock_load, list);
	list_move_tail(&load->list, &core->own.loads);
	load->slot = slot;
	load->slice = slice;
	load->generation = core->sb.slot[slot].generation;
	core->own.nr_loading++;
	core->ops->load(core, load);
}

/* Are all bits that @slots have in @slice known? Starts reading those that are not. */
bool fclock_slice_ready(struct fclock_core *core, u16 slots, u64 slice)
{
	bool ready = true;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(slots & BIT(s)) || fclock_slice_known(core, s, slice))
			continue;
		load_start(core, s, slice);
		ready = false;
	}
	return ready;
}

/*
 * Slices that the walks below look at in one go, under the lock: who owns each of them costs
 * a hash for every owner.
 */
u64 fclock_slices_at_once(struct fclock_core *core)
{
	return FCLOCK_WALK + FCLOCK_WALK * 256 / (hweight64(core->sb.owners) + 3);
}

static void owner_count_all(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;
	unsigned int s;

	own->grains = core->sb.geo.grains;
	own->counted = core->sb.geo.slices;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		own->slot_grains[s] = fclock_slot_grains(&core->sb, s);
}

static void owner_count_slice(struct fclock_core *core, u64 first, u64 end)
{
	unsigned int s;
	u64 ends;

	core->own.grains += end - first;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		ends = min(end, fclock_slot_grains(&core->sb, s));
		if (ends > first)
			core->own.slot_grains[s] += ends - first;
	}
}

/* Some more of the grains in the slices of this owner. Return: all are counted. */
static bool owner_count(struct fclock_core *core)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	struct fclock_owner *own = &core->own;
	u64 first, stop = min(own->counted + fclock_slices_at_once(core),
			      geo->slices);

	if (core->sb.owners == fclock_node_bit(core->cfg.node))
		owner_count_all(core);
	for (; own->counted < stop; own->counted++) {
		if (fclock_slice_owner(&core->sb, own->counted) !=
		    core->cfg.node)
			continue;
		first = own->counted * geo->slice;
		owner_count_slice(core, first,
				  fclock_slice_end(core, first) + 1);
	}
	return own->counted == geo->slices;
}

/* Reads the block that the walk stands at. Return: the walk has to wait. */
static bool scan_slice(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;

	if (fclock_slice_owner(&core->sb, own->scan_slice) != core->cfg.node ||
	    fclock_slice_known(core, own->scan_slot, own->scan_slice))
		return false;
	/* leave room for what somebody waits for */
	if (own->nr_loading >= FCLOCK_LOADS / 2)
		return true;
	load_start(core, own->scan_slot, own->scan_slice);
	return false;
}

/* For the background copy: what somebody waits for finds room. */
void fclock_slice_load(struct fclock_core *core, unsigned int slot, u64 slice)
{
	if (core->own.nr_loading < (FCLOCK_LOADS + 1) / 2)
		load_start(core, slot, slice);
}

/* Some more of the walk through all bitmaps, which makes `split` exact and runs long. */
void fclock_owner_scan(struct fclock_core *core)
{
	struct fclock_owner *own = &core->own;
	u16 active = fclock_slots_in(&core->sb, FCLOCK_SLOT_ACTIVE);
	u64 looked = 0, most = fclock_slices_at_once(core);

	if (!owner_count(core)) {
		fclock_arm(core, core->ops->now(core) + 1);
		return;
	}
	while (own->scan_slot < FCLOCK_MAX_SLOTS && looked++ < most) {
		struct fclock_owned_slot *os = &own->slot[own->scan_slot];

		if (!(active & BIT(own->scan_slot)) || !os->bits ||
		    (own->failing & BIT(own->scan_slot)) ||
		    os->era[0].fresh ||
		    own->scan_slice >= core->sb.geo.slices) {
			own->scan_slot++;
			own->scan_slice = 0;
			continue;
		}
		if (scan_slice(core))
			return;
		own->scan_slice++;
	}
	if (own->scan_slot < FCLOCK_MAX_SLOTS)
		fclock_arm(core, core->ops->now(core) + 1);
}

void fclock_core_loaded(struct fclock_core *core, struct fclock_load *load)
{
	bool current_gen = load->generation ==
			   core->sb.slot[load->slot].generation;

	lockdep_assert_held(core->lock);

	core->own.nr_loading--;
	if (core->own.active && core->own.ready && current_gen) {
		if (load->result >= 0) {
			fclock_bits_loaded(core, load);
		} else {
			fclock_say(core,
				   "bitmap of slot %u, slice %llu cannot be used: error %ld",
				   load->slot, (unsigned long long)load->slice,
				   load->result);
			fclock_owner_fail(core, BIT(load->slot));
		}
	}
	list_move_tail(&load->list, &core->own.free_loads);
	fclock_owner_tell_complete(core);
	fclock_progress(core);
	fclock_owner_retry(core);
	fclock_settle(core);
}
