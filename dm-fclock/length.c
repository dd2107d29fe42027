// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long the volume may become here, and its copies are: by the tables that were
 * loaded, by M, and by the memory that there is.
 *
 * A resize fails on no node once all have PREPARED, so whatever it needs is there before
 * the core, and so the primary, hears that this node can run a longer volume: the
 * constructor of a longer table allocates, the resume tells.
 *
 * All but fclock_check_blocks() is under volumes_lock (volume.c).
 */
#include "volume.h"

void fclock_free_memory(struct fclock_slot_memory *mem)
{
	kvfree(mem->bits);
	kvfree(mem->slice_era);
	kvfree(mem->slice_split);
	memset(mem, 0, sizeof(*mem));
}

/* What the core wants to keep about a slot of a volume that long. */
int fclock_make_memory(struct fclock_slot_memory *mem,
		       const struct fclock_volume *v, u64 length)
{
	struct fclock_geometry geo = v->geo;

	memset(mem, 0, sizeof(*mem));
	if (fclock_geometry_grow(&geo, max(length, geo.length)))
		return -EINVAL;
	mem->slices = geo.slices;
	mem->bits = kvcalloc(BITS_TO_LONGS(geo.slices * geo.slice),
			     sizeof(long), GFP_KERNEL);
	mem->slice_era = kvcalloc(geo.slices, sizeof(u64), GFP_KERNEL);
	mem->slice_split = kvcalloc(geo.slices, sizeof(u32), GFP_KERNEL);
	if (mem->bits && mem->slice_era && mem->slice_split)
		return 0;
	fclock_free_memory(mem);
	return -ENOMEM;
}

/* The volume's length as far as this node knows. */
u64 fclock_volume_length(struct fclock_volume *v)
{
	unsigned long flags;
	u64 length;

	spin_lock_irqsave(&v->lock, flags);
	length = v->core->sb.geo.length;
	spin_unlock_irqrestore(&v->lock, flags);
	return length;
}

/*
 * Memory of one slot for a volume that long. What the core has taken of the last
 * spare one leaves the memory before that to be freed.
 */
static int spare_memory(struct fclock_volume *v, unsigned int slot, u64 length)
{
	struct fclock_attachment *a = &v->slot[slot];
	struct fclock_slot_memory more, unused = { };
	unsigned long flags;
	int r;

	r = fclock_make_memory(&more, v, length);
	if (r)
		return r;
	if (!a->attached) {
		fclock_free_memory(&a->mem);
		a->mem = more;
		return 0;
	}
	spin_lock_irqsave(&v->lock, flags);
	if (fclock_core_spared(v->core, slot, a->mem.bits)) {
		unused = a->mem;
		a->mem = a->spare;
	} else {
		unused = a->spare;
	}
	a->spare = more;
	fclock_core_spare(v->core, slot, &a->spare);
	spin_unlock_irqrestore(&v->lock, flags);
	fclock_free_memory(&unused);
	return 0;
}

/* As far as the table goes, and M: memory for slices without a place on M is of no use. */
static u64 carried(const struct fclock_volume *v, const struct fclock_target *t)
{
	return min_t(u64, t->ti->len,
		     fclock_md_carries(&v->geo, bdev_nr_sectors(v->meta)));
}

/*
 * A longer table: the memory for a volume of its length is there before anybody hears
 * of it, so that a resize needs none.
 */
int fclock_plan_length(struct fclock_target *t, struct fclock_volume *v)
{
	u64 length = carried(v, t);
	unsigned int s;
	int r = 0;

	fclock_assert_volumes_held();
	for (s = 0; length > v->memory && !r && s < FCLOCK_MAX_SLOTS; s++)
		if (v->slot[s].md)
			r = spare_memory(v, s, length);
	if (r) {
		t->ti->error = "Out of memory";
		return r;
	}
	v->memory = max(v->memory, length);
	v->planned = max_t(u64, v->planned, t->ti->len);
	return 0;
}

/* A split copies up to @length, and a device takes whole blocks. */
int fclock_check_whole_blocks(const struct fclock_target *t, u64 length)
{
	struct block_device *bdev = t->dev->bdev;
	unsigned int size = bdev_logical_block_size(bdev);

	if (!(length & ((size >> SECTOR_SHIFT) - 1)))
		return 0;
	fclock_complain(t->ti, "length %llu is not in whole blocks of %pg, of %u bytes",
			length, bdev, size);
	return -EINVAL;
}

/* May the volume, and so its copies, end there? For the devices that are in use here. */
int fclock_check_blocks(struct fclock_volume *v, u64 length)
{
	struct fclock_target *t;
	unsigned int noio;
	int r = 0;

	/* a resume may wait for the lock, and reclaim for that device */
	noio = memalloc_noio_save();
	mutex_lock(&v->targets_lock);
	list_for_each_entry(t, &v->targets, list)
		r = r ?: fclock_check_whole_blocks(t, length);
	mutex_unlock(&v->targets_lock);
	memalloc_noio_restore(noio);
	return r;
}

/* The least length that a table of the slot may have, and @is: why. */
static u64 least_length(struct fclock_volume *v, unsigned int slot,
			const char **is)
{
	u64 covered = v->covered[slot], length;
	const struct fclock_slot *now;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	length = v->core->sb.geo.length;
	if (v->core->have_sb) {
		now = &v->core->sb.slot[slot];
		covered = now->state == FCLOCK_SLOT_ACTIVE ||
			  now->state == FCLOCK_SLOT_COMPLETE ? now->length : 0;
	}
	spin_unlock_irqrestore(&v->lock, flags);
	*is = covered ? "copy" : "volume";
	return covered ?: length;
}

/*
 * A copy keeps the length that it was triggered with, its table need not be longer; of the
 * next copy it is the primary who looks. Longer than the volume it may be as far as
 * the origin's table is.
 */
int fclock_check_copy_length(struct fclock_target *t, struct fclock_volume *v)
{
	const struct fclock_attachment *a = &v->slot[t->map];
	struct dm_target *ti = t->ti;
	const char *is;
	u64 least = least_length(v, t->map, &is);
	u64 all = fclock_volume_length(v);

	fclock_assert_volumes_held();
	if (ti->len < least && !(a->attached && ti->len == a->length)) {
		fclock_complain(ti, "length %llu is below the %llu sectors of the %s",
				(u64)ti->len, least, is);
		return -EINVAL;
	}
	/* what the table of a whole copy had to fit before there were longer tables */
	if (fclock_check_whole_blocks(t, least))
		return -EINVAL;
	/* with this table the next copy is one of the whole volume */
	if (ti->len >= all && fclock_check_whole_blocks(t, all))
		return -EINVAL;
	if (ti->len > v->planned) {
		fclock_complain(ti, "length %llu is above the %llu sectors of fclock-origin's table",
				(u64)ti->len, v->planned);
		return -EINVAL;
	}
	return 0;
}

/* The longest volume that this node can run by this table, M's size, and the memory. */
u64 fclock_room(const struct fclock_volume *v, const struct fclock_target *t)
{
	return min(carried(v, t), v->memory);
}

/* How long the volume may become by this table. */
int fclock_apply_length(struct fclock_volume *v, const struct fclock_target *t)
{
	u64 room = fclock_room(v, t);
	unsigned long flags;
	int r;

	fclock_assert_volumes_held();
	spin_lock_irqsave(&v->lock, flags);
	/* what M's size says is about growing: a volume that runs goes on */
	room = max(room, min_t(u64, t->ti->len,
			       fclock_core_least_room(v->core)));
	r = fclock_core_set_room(v->core, room);
	spin_unlock_irqrestore(&v->lock, flags);
	if (r)
		fclock_complain(t->ti, "length %llu is below that of the volume, of the resize under way, or of the table with which this node is joining",
				(u64)t->ti->len);
	else if (room < t->ti->len)
		DMWARN("%s: metadata device %pg has %llu sectors: the volume may have %llu until this table is loaded again, with a longer one",
		       dm_table_device_name(t->ti->table), v->meta,
		       (u64)bdev_nr_sectors(v->meta), room);
	return r;
}
