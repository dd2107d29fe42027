// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the constructors check about devices and about what stands on M. Nothing
 * is written. Every refusal is one sentence in the kernel log.
 */
#include <linux/delay.h>
#include "volume.h"

static bool bdevs_overlap(struct block_device *a, struct block_device *b)
{
	sector_t sa = get_start_sect(a), sb = get_start_sect(b);

	return a->bd_disk == b->bd_disk &&
	       sa < sb + bdev_nr_sectors(b) && sb < sa + bdev_nr_sectors(a);
}

int fclock_refuse_overlap(struct dm_target *ti, struct block_device *mine,
			  struct block_device *other, const char *what)
{
	if (!other || !bdevs_overlap(mine, other))
		return 0;
	fclock_complain(ti, "device %pg overlaps with %pg, %s", mine, other,
			what);
	ti->error = "Devices overlap";
	return -EINVAL;
}

int fclock_check_size(struct dm_target *ti, struct block_device *bdev,
		      const char *what)
{
	if (bdev_nr_sectors(bdev) >= ti->len)
		return 0;
	fclock_complain(ti, "length %llu is above the %llu sectors of %s device %pg",
			(u64)ti->len, (u64)bdev_nr_sectors(bdev), what, bdev);
	ti->error = "Device too small";
	return -EINVAL;
}

int fclock_check_kind(struct dm_target *ti, struct block_device *bdev,
		      unsigned int limit, const char *what)
{
	if (bdev_is_zoned(bdev)) {
		fclock_complain(ti, "%s device %pg is zoned", what, bdev);
		ti->error = "Zoned devices are not supported";
		return -EINVAL;
	}
	if (bdev_logical_block_size(bdev) > limit) {
		fclock_complain(ti, "%s device %pg has logical blocks of %u bytes, limit %u",
				what, bdev, bdev_logical_block_size(bdev),
				limit);
		ti->error = "Logical block size too large";
		return -EINVAL;
	}
	return 0;
}

/* -------------------------------------------------------- what M says */

static int explain_super(struct fclock_volume *v, struct dm_target *ti, int r)
{
	static const char wipe[] =
		"to give up all that is on it, run: blkdiscard -z -l 8192";

	ti->error = "Metadata device refused";
	switch (r) {
	case -EILSEQ:
		fclock_complain(ti, "metadata device %pg holds no valid superblock: %s /dev/%pg",
				v->meta, wipe, v->meta);
		return -EINVAL;
	case -EPROTONOSUPPORT:
		fclock_complain(ti, "metadata device %pg has a format of another version",
				v->meta);
		return -EINVAL;
	case -EUCLEAN:
		fclock_complain(ti, "metadata device %pg has an impossible superblock: %s /dev/%pg",
				v->meta, wipe, v->meta);
		return -EINVAL;
	}
	fclock_complain(ti, "metadata device %pg cannot be read (%d)", v->meta,
			r);
	return r;
}

static int check_super(struct fclock_volume *v, struct fclock_target *t,
		       const struct fclock_super *sb)
{
	const struct fclock_args *args = &t->args;
	u64 need = fclock_md_sectors_needed(&sb->geo);
	struct dm_target *ti = t->ti;
	unsigned int i;

	ti->error = "Metadata device does not fit the table";
	/* a longer one waits for a resize, or is a node's that was not there for one */
	if (sb->geo.length > ti->len) {
		fclock_complain(ti, "length %llu is below the %llu sectors of the volume on metadata device %pg",
				(u64)ti->len, sb->geo.length, v->meta);
		return -EINVAL;
	}
	if (fclock_check_whole_blocks(t, sb->geo.length))
		return -EINVAL;
	if (args->has_grain && sb->geo.grain != args->grain) {
		fclock_complain(ti, "grain_size %u is not the %u sectors of metadata device %pg",
				args->grain, sb->geo.grain, v->meta);
		return -EINVAL;
	}
	if (bdev_nr_sectors(v->meta) < need) {
		fclock_complain(ti, "metadata device %pg has %llu sectors and %llu are needed",
				v->meta, (u64)bdev_nr_sectors(v->meta), need);
		return -ENOSPC;
	}
	for (i = 0; !args->has_listen && i < FCLOCK_MAX_NODES; i++) {
		if (!sb->part[i].instance || i + 1 == args->node)
			continue;
		fclock_complain(ti, "metadata device %pg lists node %u and the table has no listen",
				v->meta, i + 1);
		return -EINVAL;
	}
	v->geo = sb->geo;
	for (i = 0; i < FCLOCK_MAX_SLOTS; i++)
		if (sb->slot[i].state == FCLOCK_SLOT_ACTIVE ||
		    sb->slot[i].state == FCLOCK_SLOT_COMPLETE)
			v->covered[i] = sb->slot[i].length;
	return 0;
}

/*
 * Bits are numbered by longs, and those of a copy are one piece of memory of at most INT_MAX
 * bytes. Where a long has 32 bits, the upper half of each grain's number is zero for it,
 * so the readers of the cache, who take no lock, see no half of a change.
 */
int fclock_check_grains(struct dm_target *ti, const struct fclock_geometry *geo)
{
	u64 most = min_t(u64, LONG_MAX, (u64)(INT_MAX & PAGE_MASK) * 8);
	u64 grains = ((u64)ti->len + geo->grain - 1) >> ilog2(geo->grain);

	if (grains <= most)
		return 0;
	ti->error = "Too many grains";
	fclock_complain(ti, "length %llu has %llu grains of %u sectors and this machine takes %llu",
			(u64)ti->len, grains, geo->grain, most);
	return -EINVAL;
}

/* M is all zero: the primary will format it, with this geometry. */
static int plan_format(struct fclock_volume *v, struct fclock_target *t)
{
	u32 grain = t->args.has_grain ? t->args.grain : FCLOCK_DEFAULT_GRAIN;
	u64 size = bdev_nr_sectors(v->meta);
	struct dm_target *ti = t->ti;
	u64 need;
	int r;

	r = fclock_geometry_init(&v->geo, ti->len, grain, size);
	if (!r)
		return 0;
	ti->error = "Metadata device does not fit the table";
	if (r == -ENOSPC) {
		/* the largest slices need least */
		need = FCLOCK_BITMAP_BLOCK +
			DIV64_U64_ROUND_UP(DIV_ROUND_UP_ULL(ti->len, grain),
					   FCLOCK_MAX_SLICE) *
			FCLOCK_MAX_SLOTS;
		fclock_complain(ti, "metadata device %pg has %llu sectors and %llu are needed",
				v->meta, size, need * FCLOCK_MD_BLOCK_SECTORS);
	} else {
		fclock_complain(ti, "length %llu cannot be had with a grain of %u sectors",
				(u64)ti->len, grain);
	}
	return r;
}

#define READ_TRIES	10
#define READ_PAUSE	100		/* ms */

/*
 * Another node that formats M right now has written block 1 and not yet block 0. Nobody is
 * to be told to wipe that.
 */
static int read_super(struct fclock_volume *v)
{
	unsigned int i;
	int r;

	for (i = 0; i < READ_TRIES; i++) {
		r = fclock_md_read_super(v->md, v->read_sb);
		if (r != -EILSEQ)
			break;
		msleep(READ_PAUSE);
	}
	return r;
}

int fclock_read_metadata(struct fclock_volume *v, struct fclock_target *t)
{
	int r;

	v->md = fclock_md_open(v->meta);
	if (IS_ERR(v->md)) {
		r = PTR_ERR(v->md);
		v->md = NULL;
		t->ti->error = "Cannot prepare the metadata store";
		return r;
	}
	v->read_sb = kvzalloc(sizeof(*v->read_sb), GFP_KERNEL);
	if (!v->read_sb) {
		t->ti->error = "Out of memory";
		return -ENOMEM;
	}
	r = read_super(v);
	v->formatted = !r;
	if (!r)
		r = check_super(v, t, v->read_sb);
	else if (r == -ENODATA)
		r = plan_format(v, t);
	else
		r = explain_super(v, t->ti, r);
	if (!r)
		r = fclock_check_grains(t->ti, &v->geo);
	if (r)
		return r;
	v->grain_shift = ilog2(v->geo.grain);
	return fclock_check_kind(t->ti, v->origin, v->geo.grain << SECTOR_SHIFT,
			  "origin");
}
