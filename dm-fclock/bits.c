// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an owner knows of split grains, in core: a flat bitmap per slot, valid
 * slice by slice. A slice's bits are of the generation in slice_gen[]; a
 * trigger changes nothing here but the generation it began (fresh), and a slice
 * of an older one is emptied when it is next looked at. That keeps the
 * trigger O(1). Bits are set only after a commit that returned success (invariant 2).
 */
#include <linux/bitmap.h>
#include "core-private.h"

static struct fclock_owned_slot *owned(struct fclock_core *core,
				       unsigned int slot)
{
	return &core->own.slot[slot];
}

/* Grains of @slice: the volume's last slice may be short. */
static u32 slice_grains(struct fclock_core *core, u64 slice)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 first = slice * geo->slice;

	return min_t(u64, geo->slice, geo->grains - first);
}

static void slice_empty(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_owned_slot *os = owned(core, slot);
	u64 first = slice * core->sb.geo.slice;

	bitmap_clear(os->bits, first, slice_grains(core, slice));
	os->slice_gen[slice] = core->sb.slot[slot].generation;
	os->slice_split[slice] = 0;
	os->known++;
}

/**
 * fclock_slice_known - are the bits of (@slot, @slice) right in core?
 * If not they must be loaded before they are looked at.
 */
bool fclock_slice_known(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_owned_slot *os = owned(core, slot);
	u64 generation = core->sb.slot[slot].generation;

	if (!os->bits)
		return false;
	if (os->slice_gen[slice] == generation)
		return true;
	if (os->fresh != generation)
		return false;
	slice_empty(core, slot, slice);
	return true;
}

/* Slots of @slots in which @grain, of a known slice, is not split. */
u16 fclock_unsplit_slots(struct fclock_core *core, u16 slots, u64 grain)
{
	u16 unsplit = 0;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) && !test_bit(grain, owned(core, s)->bits))
			unsplit |= BIT(s);
	return unsplit;
}

bool fclock_all_split(struct fclock_core *core, u16 slots, u64 grain)
{
	return !fclock_unsplit_slots(core, slots, grain);
}

/**
 * fclock_next_unsplit - first grain in [@first, @last] that some slot needs split
 * The grains are of one slice, known in every slot.
 * Return: @last + 1 if there is none.
 */
u64 fclock_next_unsplit(struct fclock_core *core, u16 slots, u64 first,
			u64 last)
{
	u64 found = last + 1;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (slots & BIT(s))
			found = find_next_zero_bit(owned(core, s)->bits, found,
						   first);
	return found;
}

/* First grain in [@first, @last] split in all of @slots, else @last + 1. Same terms. */
u64 fclock_next_split(struct fclock_core *core, u16 slots, u64 first, u64 last)
{
	u64 g = first, next;
	unsigned int s;

	while (g <= last) {
		next = g;
		for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
			if (slots & BIT(s))
				next = find_next_bit(owned(core, s)->bits,
						     last + 1, next);
		if (next == g)
			return g;
		g = next;
	}
	return last + 1;
}

static bool slice_full(struct fclock_core *core, u16 slots, u64 slice)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) &&
		    (!fclock_slice_known(core, s, slice) ||
		     owned(core, s)->slice_split[slice] !=
		     slice_grains(core, slice)))
			return false;
	return true;
}

static bool slice_all_known(struct fclock_core *core, u16 slots, u64 slice)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((slots & BIT(s)) && !fclock_slice_known(core, s, slice))
			return false;
	return true;
}

static bool slice_mine(struct fclock_core *core, u64 slice)
{
	return fclock_slice_owner(&core->sb, slice) == core->cfg.node;
}

/* Slices that one grant looks at in each direction: bounds the time under the lock. */
#define RUN_SLICES	4096

static u64 run_end(struct fclock_core *core, u16 slots, u64 grain)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 slice = grain / geo->slice;
	u64 stop = min(slice + RUN_SLICES, geo->slices);
	u64 end = fclock_slice_end(core, grain);
	u64 next = fclock_next_unsplit(core, slots, grain, end);

	if (next <= end)
		return next - 1;
	while (++slice < stop && slice_mine(core, slice)) {
		u64 first = slice * geo->slice;

		if (slice_full(core, slots, slice)) {
			end = fclock_slice_end(core, first);
			continue;
		}
		if (slice_all_known(core, slots, slice))
			return fclock_next_unsplit(core, slots, first,
						   fclock_slice_end(core, first)) - 1;
		break;
	}
	return end;
}

/* Down from @grain, which is split or ends the slice, while the grain below is split. */
static u64 run_begin_in_slice(struct fclock_core *core, u16 slots, u64 grain,
			      u64 slice)
{
	u64 begin = slice * core->sb.geo.slice;

	while (grain > begin && fclock_all_split(core, slots, grain - 1))
		grain--;
	return grain;
}

static u64 run_begin(struct fclock_core *core, u16 slots, u64 grain)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 slice = grain / geo->slice;
	u64 stop = slice > RUN_SLICES ? slice - RUN_SLICES : 0;
	u64 begin = slice_full(core, slots, slice) ? slice * geo->slice :
		    run_begin_in_slice(core, slots, grain, slice);

	while (begin == slice * geo->slice && slice > stop &&
	       slice_mine(core, slice - 1)) {
		slice--;
		if (!slice_full(core, slots, slice))
			return slice_all_known(core, slots, slice) ?
			       run_begin_in_slice(core, slots, begin, slice) :
			       begin;
		begin = slice * geo->slice;
	}
	return begin;
}

/**
 * fclock_split_run - the run of grains split in all of @slots around @grain
 * @grain: split in all of them
 *
 * Crosses slices that this node owns and knows (claim 5).
 */
void fclock_split_run(struct fclock_core *core, u16 slots, u64 grain,
		      u64 *first, u64 *last)
{
	*first = run_begin(core, slots, grain);
	*last = run_end(core, slots, grain);
}

/* [@first, @last], of one known slice, became durable. */
void fclock_bits_set(struct fclock_core *core, unsigned int slot, u64 first,
		     u64 last)
{
	struct fclock_owned_slot *os = owned(core, slot);
	u64 slice = first / core->sb.geo.slice, g;

	if (!os->bits || !fclock_slice_known(core, slot, slice))
		return;
	for (g = first; g <= last; g++) {
		if (__test_and_set_bit(g, os->bits))
			continue;
		os->slice_split[slice]++;
		os->split++;
	}
}

/* A bitmap block was read; ignored if the generation ended or the bits are known by now. */
void fclock_bits_loaded(struct fclock_core *core, struct fclock_load *load)
{
	struct fclock_owned_slot *os = owned(core, load->slot);
	u64 first = load->slice * core->sb.geo.slice;
	u32 i, nr = slice_grains(core, load->slice);

	if (!os->bits || load->generation != core->sb.slot[load->slot].generation ||
	    fclock_slice_known(core, load->slot, load->slice))
		return;
	slice_empty(core, load->slot, load->slice);
	for_each_set_bit(i, load->bits, nr)
		__set_bit(first + i, os->bits);
	os->slice_split[load->slice] = bitmap_weight(load->bits, nr);
	os->split += os->slice_split[load->slice];
}

/* A generation begins while this node owns: everything is unsplit, without a look at M. */
void fclock_bits_trigger(struct fclock_core *core, unsigned int slot)
{
	struct fclock_owned_slot *os = owned(core, slot);

	os->fresh = core->sb.slot[slot].generation;
	os->split = 0;
	os->known = 0;
}

/* Nothing in core is to be trusted any more: ownership begins or ended. */
void fclock_bits_forget(struct fclock_core *core, unsigned int slot)
{
	struct fclock_owned_slot *os = owned(core, slot);

	os->fresh = 0;
	os->split = 0;
	os->known = 0;
	if (os->slice_gen)
		memset(os->slice_gen, 0,
		       core->sb.geo.slices * sizeof(*os->slice_gen));
}

static void slot_moved(struct fclock_core *core, const struct fclock_super *old,
		       unsigned int slot)
{
	struct fclock_owned_slot *os = owned(core, slot);
	u64 slice;

	for (slice = 0; slice < core->sb.geo.slices; slice++) {
		bool mine = fclock_slice_owner(old, slice) == core->cfg.node &&
			    slice_mine(core, slice);

		if (mine) {
			fclock_slice_known(core, slot, slice);
			continue;
		}
		if (os->slice_gen[slice] == core->sb.slot[slot].generation) {
			os->split -= os->slice_split[slice];
			os->known--;
		}
		os->slice_gen[slice] = 0;
	}
	os->fresh = 0;
}

/* The owner list changed: what stays here is kept, all else is read anew if it ever returns. */
void fclock_bits_moved(struct fclock_core *core, const struct fclock_super *old)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (owned(core, s)->bits)
			slot_moved(core, old, s);
}
