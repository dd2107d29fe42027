// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bitmap blocks: any 4 KiB is loaded, and written to if it checks. Nothing beyond the
 * bits of the slice changes, an error changes nothing, a set bit stays.
 */
#include <linux/bitmap.h>
#include <linux/crc32c.h>
#include "input.h"
#include "node.h"

#define SECTOR	512
#define GUARD	128		/* bits on each side */

static u8 block[FCLOCK_MD_BLOCK_SIZE] __aligned(8);
static unsigned long map[BITS_TO_LONGS(FCLOCK_MAX_SLICE + 3 * GUARD)];
static unsigned long old[ARRAY_SIZE(map)];

/* What a sector's checksum should be, from on-disk.rst. */
static u32 sector_crc(const u8 *sector, const struct fclock_bitmap_id *id,
		      u32 nr)
{
	u8 seed[40];
	u32 slot = id->slot;

	memcpy(seed, id->uuid, 16);
	memcpy(seed + 16, sector + 8, 8);
	memcpy(seed + 24, &id->slice, 8);
	memcpy(seed + 32, &slot, 4);
	memcpy(seed + 36, &nr, 4);
	return crc32c(crc32c(~0, seed, sizeof(seed)), sector + 4, SECTOR - 4);
}

/* 0x01 bits, 0x02 other bytes, 0x04 the checksum stays wrong, 0x08 another generation */
static void make_sector(struct input *in, const struct fclock_bitmap_id *id,
			u32 nr)
{
	u8 *sector = block + nr * SECTOR;
	u8 how = in_u8(in);
	u64 generation = id->generation;
	u32 crc;

	memset(sector, 0, SECTOR);
	if (!(how & 0x03))
		return;
	if (how & 0x08)
		generation += (s8)in_u8(in);
	memcpy(sector + 8, &generation, 8);
	if (how & 0x01)
		memset(sector + 16, in_u8(in), in_u16(in) % (SECTOR - 15));
	if (how & 0x02)
		in_patch(in, sector, SECTOR);
	if (how & 0x04)
		return;
	crc = sector_crc(sector, id, nr);
	memcpy(sector, &crc, 4);
}

static void check_guards(const struct fclock_bitmap_id *id, u64 bit0, int r)
{
	u64 i;

	for (i = 0; i < BITS_PER_LONG * ARRAY_SIZE(map); i++)
		if (r < 0 || i < bit0 || i >= bit0 + id->nbits)
			fz_check(test_bit(i, map) == test_bit(i, old));
}

static int load(const struct fclock_bitmap_id *id, u64 bit0, u8 fill)
{
	u32 i, set = 0;
	int r;

	memset(map, fill, sizeof(map));
	memcpy(old, map, sizeof(map));
	r = fclock_bitmap_load(block, id, map, bit0);
	check_guards(id, bit0, r);
	if (r < 0)
		return r;
	for (i = 0; i < id->nbits; i++)
		set += test_bit(bit0 + i, map);
	fz_check(set == r);
	return r;
}

static void set(struct input *in, const struct fclock_bitmap_id *id, u64 bit0)
{
	static unsigned long before[ARRAY_SIZE(map)];
	u32 first = in_u16(in), count = in_u16(in), i;
	int r;

	memcpy(before, map, sizeof(map));
	r = fclock_bitmap_set(block, id, first, count);
	fz_check(!r == (id->generation && first <= id->nbits &&
			count <= id->nbits - first));
	fz_check(load(id, bit0, 0) >= 0);
	for (i = 0; i < id->nbits; i++)
		fz_check(test_bit(bit0 + i, map) ==
			 (test_bit(bit0 + i, before) ||
			  (!r && i >= first && i < first + count)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, data + size };
	u8 uuid[FCLOCK_UUID_LEN];
	struct fclock_bitmap_id id = { .uuid = uuid };
	u64 bit0 = GUARD + in_u8(&in) % GUARD;
	u32 i;

	memset(uuid, 0x77, sizeof(uuid));
	id.nbits = in_u16(&in) % (FCLOCK_MAX_SLICE + 1);
	id.slice = in_number(&in);
	id.slot = in_u8(&in) % FCLOCK_MAX_SLOTS;
	id.generation = in_number(&in);
	for (i = 0; i < FCLOCK_MD_BLOCK_SECTORS; i++)
		make_sector(&in, &id, i);
	if (load(&id, bit0, in_u8(&in)) >= 0)
		set(&in, &id, bit0);
	return 0;
}
