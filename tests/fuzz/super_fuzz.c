// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole M that somebody else wrote: two superblock blocks, of which the newest is
 * chosen, and the bitmap blocks behind them, read by a node that starts on it.
 */
#include <linux/bitmap.h>
#include <linux/crc32c.h>
#include "input.h"
#include "node.h"

#define MOST_GRAINS	4096	/* of a volume that is started */

static u8 supers[2][FCLOCK_MD_BLOCK_SIZE] __aligned(8);
static struct input bitmaps;

static void seal(u8 *block)
{
	u32 crc;

	memset(block + 12, 0, 4);
	crc = crc32c(~0, block, FCLOCK_MD_BLOCK_SIZE);
	memcpy(block + 12, &crc, 4);
}

static void good_super(struct input *in, struct fclock_super *sb)
{
	unsigned int i;

	memset(sb, 0, sizeof(*sb));
	sb->state = in_number(in);
	memset(sb->uuid, 0x77, sizeof(sb->uuid));
	fz_geometry(&sb->geo);
	sb->epoch = in_u8(in);
	sb->members = sb->epoch ? in_u8(in) : 0;
	sb->primary = in_u8(in);
	sb->primary_instance = in_u8(in) % 4;
	if (sb->primary_instance)
		sb->primary_instance += 500;
	sb->owners = in_u8(in) & 7;
	for (i = 0; i < FZ_NODES; i++) {
		sb->part[i].instance = sb->owners & BIT(i) ? 501 + i : 0;
		sb->part[i].attached = in_u8(in);
		strscpy(sb->part[i].host, "there", sizeof(sb->part[i].host));
	}
	for (i = 0; i < FZ_SLOTS; i++) {
		u8 how = in_u8(in);

		sb->slot[i].state = how % 4;
		sb->slot[i].rate = how & 0x80 ? 1U << (how >> 2 & 31) : 0;
		sb->slot[i].generation = in_u8(in);
		sb->slot[i].length = sb->geo.length;
	}
}

/*
 * 0x01 a superblock that may be, 0x02 a few other bytes, 0x04 the checksum stays wrong,
 * 0x08 bytes as they come, 0x10 the same as the other block
 */
static void make_block(struct input *in, u8 *block, const u8 *other)
{
	static struct fclock_super sb;
	u8 how = in_u8(in);

	memset(block, 0, FCLOCK_MD_BLOCK_SIZE);
	if (how & 0x10) {
		memcpy(block, other, FCLOCK_MD_BLOCK_SIZE);
	} else if (how & 0x08) {
		in_bytes(in, block, in_u16(in) % FCLOCK_MD_BLOCK_SIZE);
		return;
	} else if (how & 0x01) {
		good_super(in, &sb);
		fclock_super_encode(&sb, block);
	}
	if (!(how & 0x02))
		return;
	in_patch(in, block, FCLOCK_MD_BLOCK_SIZE);
	if (!(how & 0x04))
		seal(block);
}

/* Every bitmap block of M is what the input says at that moment. */
static long read_bits(struct fz *fz, struct fclock_load *load)
{
	static u8 block[FCLOCK_MD_BLOCK_SIZE] __aligned(8);
	u64 first = load->slice * fz->geo.slice;
	struct fclock_bitmap_id id = {
		.uuid = fz->core->sb.uuid,
		.slice = load->slice,
		.slot = load->slot,
		.generation = load->generation,
		.nbits = min_t(u64, fz->geo.slice,
			       fz->core->sb.geo.grains - first),
	};
	u8 how = in_u8(&bitmaps);
	u32 at = in_u8(&bitmaps) % id.nbits;

	memset(block, 0, sizeof(block));
	if (how & 0x01)
		fclock_bitmap_set(block, &id, at, min_t(u32, in_u8(&bitmaps),
							id.nbits - at));
	if (how & 0x02)
		in_patch(&bitmaps, block, sizeof(block));
	return fclock_bitmap_load(block, &id, load->bits, 0);
}

/* A node starts on this M, takes the role if it may, splits and reads. */
static void start(const struct fclock_super *sb, u8 how)
{
	static struct fz fz;
	unsigned int s;

	fz_init(&fz, how % FZ_NODES + 1, &sb->geo, ~0ULL);
	fz.m = *sb;
	fz.formatted = true;
	fz.read_bits = read_bits;
	for (s = 0; s < FZ_SLOTS; s++)
		if (how & 0x10 << s)
			fz_attach(&fz, s);
	fz_do(&fz, fclock_core_start(fz.core));
	fz_settle(&fz, 5);
	fz_bio(&fz, 1, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 0, 0);
	fz_bio(&fz, 2, 0, FCLOCK_IO_READ, 0, sb->geo.grains - 1);
	fz_bio(&fz, 3, 1, FCLOCK_IO_WRITE, 0, 0);
	fz_settle(&fz, 5);
	fz_tick(&fz, 1000);
	fz_settle(&fz, 5);
	fz.read_bits = NULL;
	fz_must_live(&fz);
	fz_exit(&fz);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 again[FCLOCK_MD_BLOCK_SIZE];
	static struct fclock_super sb;
	struct input in = { data, data + size };
	u8 how = in_u8(&in);
	int r, which = -1;

	make_block(&in, supers[0], supers[1]);
	make_block(&in, supers[1], supers[0]);
	r = fclock_super_choose(supers[0], supers[1], &sb, &which);
	if (r)
		return 0;
	fz_check(which == 0 || which == 1);
	/* every byte of a block that is taken means something */
	fclock_super_encode(&sb, again);
	fz_check(!memcmp(again, supers[which], sizeof(again)));
	fz_check(sb.geo.grains * sb.geo.grain >= sb.geo.length &&
		 sb.geo.slices * sb.geo.slice >= sb.geo.grains);
	if (sb.geo.grains > MOST_GRAINS)
		return 0;
	bitmaps = in;
	start(&sb, how);
	return 0;
}
