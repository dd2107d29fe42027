// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an owner knows of split grains, in core: a flat bitmap per slot, valid
 * slice by slice. Bits are set only after a commit that returned success (invariant 2).
 *
 * Neither a trigger nor a view walks the slices, for there may be 65536 of them and this
 * is done under the lock. They begin a new era, and each slice carries the stamp of the era in
 * which its bits were last known to be right. When it is looked at in a later one:
 *
 *   a trigger began that era's generation       it is empty
 *   views lie between, and this node owned it   its bits are right: nobody else could
 *   in all of them                              write them
 *   anything else                               it is read again
 *
 * A copy that is older than the volume's last growth ends before the volume does. Grains
 * behind its end need no split, so their bits are set in core (and never on M), up to the
 * end of the slice: the volume may grow into that without a look at it. They are not
 * counted. Slices that are wholly behind the end are known without a read.
 */
#include <linux/bitmap.h>
#include "core-private.h"

static struct fclock_owned_slot *owned(struct fclock_core *core,
				       unsigned int slot)
{
	return &core->own.slot[slot];
}

/* Grains of @slice that the copy of @slot has: the last slice may be short. */
static u32 slice_grains(struct fclock_core *core, unsigned int slot, u64 slice)
{
	u64 first = slice * core->sb.geo.slice;
	u64 all = fclock_slot_grains(&core->sb, slot);

	return all > first ? min_t(u64, core->sb.geo.slice, all - first) : 0;
}

static bool slice_mine(struct fclock_core *core, u64 slice)
{
	return fclock_slice_owner(&core->sb, slice) == core->cfg.node;
}

/* The bits of @slice, as they are, are right from now on. */
static void slice_right(struct fclock_core *core, struct fclock_owned_slot *os,
			u64 slice)
{
	os->slice_era[slice] = os->era[0].stamp;
	os->split += os->slice_split[slice];
	os->known++;
}

/* bitmap_clear() counts in unsigned int: 16 TiB with grains of 4 KiB are too large for it. */
static void clear_slice(struct fclock_core *core, unsigned int slot, u64 slice)
{
	u32 nr = slice_grains(core, slot, slice);
	unsigned long *bits = owned(core, slot)->bits;
	u64 first = slice * core->sb.geo.slice, behind = first + nr;

	bitmap_clear(bits + BIT_WORD(first), first % BITS_PER_LONG, nr);
	bitmap_set(bits + BIT_WORD(behind), behind % BITS_PER_LONG,
		   core->sb.geo.slice - nr);
}

static void slice_empty(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_owned_slot *os = owned(core, slot);

	clear_slice(core, slot, slice);
	os->slice_split[slice] = 0;
	slice_right(core, os, slice);
}

/* Is all of it behind the end of the copy? */
static bool slice_behind(struct fclock_core *core, unsigned int slot, u64 slice)
{
	if (slice_grains(core, slot, slice))
		return false;
	slice_empty(core, slot, slice);
	return true;
}

/* Without the stamp of the newest era: was it owned here ever since it was last known? */
static bool slice_kept(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_owned_slot *os = owned(core, slot);
	const struct fclock_era *era = os->era;
	unsigned int i;

	for (i = 0; i < FCLOCK_ERAS && era[i].stamp; i++) {
		if (fclock_owner_among(core->sb.uuid, era[i].owners, slice) !=
		    core->cfg.node)
			return false;
		if (os->slice_era[slice] == era[i].stamp) {
			slice_right(core, os, slice);
			return true;
		}
		if (era[i].fresh) {
			slice_empty(core, slot, slice);
			return true;
		}
	}
	return false;
}

/**
 * fclock_slice_known - are the bits of (@slot, @slice) right in core?
 * If not they must be loaded before they are looked at.
 */
bool fclock_slice_known(struct fclock_core *core, unsigned int slot, u64 slice)
{
	struct fclock_owned_slot *os = owned(core, slot);

	if (!os->bits || !os->era[0].stamp)
		return false;
	return os->slice_era[slice] == os->era[0].stamp ||
	       slice_kept(core, slot, slice) ||
	       slice_behind(core, slot, slice);
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
		     slice_grains(core, s, slice)))
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

/* Slices that one grant looks at in each direction: bounds the time under the lock. */
#define RUN_SLICES	4096

static u64 run_end(struct fclock_core *core, u16 slots, u64 grain)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 slice = fclock_slice_of(core, grain);
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

/* Down from @grain while the bit below is set, to @least: every grant of a run does it. */
static u64 bits_begin(const unsigned long *bits, u64 grain, u64 least)
{
	while (grain > least) {
		if (!(grain % BITS_PER_LONG) && grain - least >= BITS_PER_LONG &&
		    bits[BIT_WORD(grain) - 1] == ~0UL)
			grain -= BITS_PER_LONG;
		else if (test_bit(grain - 1, bits))
			grain--;
		else
			break;
	}
	return grain;
}

/* Down from @grain, which is split or ends the slice, while the grain below is split. */
static u64 run_begin_in_slice(struct fclock_core *core, u16 slots, u64 grain,
			      u64 slice)
{
	u64 begin = slice * core->sb.geo.slice;
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (slots & BIT(s))
			begin = bits_begin(owned(core, s)->bits, grain, begin);
	return begin;
}

static u64 run_begin(struct fclock_core *core, u16 slots, u64 grain)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 slice = fclock_slice_of(core, grain);
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
	u64 slice = fclock_slice_of(core, first), g;

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
	u32 i, nr = slice_grains(core, load->slot, load->slice);

	if (!os->bits || load->generation != core->sb.slot[load->slot].generation ||
	    !slice_mine(core, load->slice) ||
	    fclock_slice_known(core, load->slot, load->slice))
		return;
	clear_slice(core, load->slot, load->slice);
	for_each_set_bit(i, load->bits, nr)
		__set_bit(first + i, os->bits);
	os->slice_split[load->slice] = bitmap_weight(load->bits, nr);
	slice_right(core, os, load->slice);
}

static void era_begin(struct fclock_core *core, struct fclock_owned_slot *os,
		      bool fresh)
{
	os->era[0] = (struct fclock_era) {
		.stamp = ++core->own.stamps,
		.owners = core->sb.owners,
		.fresh = fresh,
	};
	os->split = 0;
	os->known = 0;
}

/* A generation begins while this node owns: everything is unsplit, without a look at M. */
void fclock_bits_trigger(struct fclock_core *core, unsigned int slot)
{
	struct fclock_owned_slot *os = owned(core, slot);

	memset(os->era, 0, sizeof(os->era));
	era_begin(core, os, true);
}

/* Nothing in core is to be trusted any more: ownership begins or ended. */
void fclock_bits_forget(struct fclock_core *core, unsigned int slot)
{
	struct fclock_owned_slot *os = owned(core, slot);

	memset(os->era, 0, sizeof(os->era));
	era_begin(core, os, false);
}

/*
 * The owner list changed: what stays here is kept, all else is read anew if it ever
 * returns.
 */
void fclock_bits_moved(struct fclock_core *core)
{
	unsigned int s;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		struct fclock_owned_slot *os = owned(core, s);

		if (!os->bits)
			continue;
		memmove(&os->era[1], &os->era[0],
			sizeof(os->era) - sizeof(os->era[0]));
		era_begin(core, os, false);
	}
}
