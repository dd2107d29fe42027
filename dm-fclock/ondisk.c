// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of the metadata device: superblock and bitmap blocks. CRC-32C is
 * the kernel's crc32c() everywhere: it begins with all ones or with a seed's
 * sum, and its result is not inverted.
 */
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "ondisk.h"

#define FCLOCK_SUPER_MAGIC	0x31306b636f6c6366ULL	/* "fclock01" */
#define FCLOCK_SUPER_VERSION	2
#define FCLOCK_MAX_LENGTH	(S64_MAX >> 9)	/* sectors whose bytes loff_t counts */

struct fclock_disk_slot {
	u8 state;			/* enum fclock_slot_state */
	u8 pad[3];
	__le32 rate;			/* of background copy, KiB/s */
	__le64 generation;
	__le64 length;
};

static_assert(offsetof(struct fclock_disk_slot, rate) == 4);
static_assert(sizeof(struct fclock_disk_slot) == 24);

struct fclock_disk_participant {
	__le64 instance;		/* 0: not listed, all else zero */
	__le16 attached;
	u8 pad[6];
	char host[FCLOCK_HOST_LEN];
};

static_assert(sizeof(struct fclock_disk_participant) == 48);

/*
 * One superblock block. @magic, @version and @crc keep their places in every
 * version, so that any version can tell another one from a torn write.
 */
struct fclock_disk_super {
	__le64 magic;
	__le32 version;
	__le32 crc;			/* CRC-32C of the block with this as zero */
	__le64 state;
	u8 uuid[FCLOCK_UUID_LEN];
	__le64 length;
	__le32 grain;
	__le32 slice;
	__le64 grains;
	__le64 slices;
	__le64 epoch;
	__le64 members;
	__le64 owners;
	__le64 primary_instance;
	u8 primary;
	u8 pad[7];
	struct fclock_disk_slot slot[FCLOCK_MAX_SLOTS];
	u8 pad2[16];
	struct fclock_disk_participant part[FCLOCK_MAX_NODES];
	u8 pad3[512];
};

static_assert(offsetof(struct fclock_disk_super, crc) == 12);
static_assert(offsetof(struct fclock_disk_super, state) == 16);
static_assert(offsetof(struct fclock_disk_super, uuid) == 24);
static_assert(offsetof(struct fclock_disk_super, length) == 40);
static_assert(offsetof(struct fclock_disk_super, epoch) == 72);
static_assert(offsetof(struct fclock_disk_super, primary) == 104);
static_assert(offsetof(struct fclock_disk_super, slot) == 112);
static_assert(offsetof(struct fclock_disk_super, part) == 512);
static_assert(offsetof(struct fclock_disk_super, pad3) == 3584);
static_assert(sizeof(struct fclock_disk_super) == FCLOCK_MD_BLOCK_SIZE);

/*
 * One sector of a bitmap block. Bit n of the sector is bit n % 8 of byte n / 8.
 * The CRC is seeded with what struct fclock_disk_seed says, so that a sector of
 * another volume or of another place does not check.
 */
struct fclock_disk_sector {
	__le32 crc;			/* CRC-32C of all that follows */
	__le32 pad;
	__le64 generation;
	u8 bits[FCLOCK_SECTOR_BITS / 8];
};

static_assert(sizeof(struct fclock_disk_sector) == 512);
static_assert(sizeof(struct fclock_disk_sector) * FCLOCK_MD_BLOCK_SECTORS ==
	      FCLOCK_MD_BLOCK_SIZE);
static_assert(offsetof(struct fclock_disk_sector, generation) == 8);
static_assert(offsetof(struct fclock_disk_sector, bits) == 16);
static_assert(FCLOCK_SECTOR_BITS * FCLOCK_MD_BLOCK_SECTORS >= FCLOCK_MAX_SLICE);

struct fclock_disk_seed {
	u8 uuid[FCLOCK_UUID_LEN];
	__le64 generation;
	__le64 slice;
	__le32 slot;
	__le32 sector;			/* 0..7 */
};

static_assert(sizeof(struct fclock_disk_seed) == 40);

static bool fclock_all_zero(const void *p, size_t len)
{
	return !memchr_inv(p, 0, len);
}

/* Geometry */

static void fclock_geometry_slice(struct fclock_geometry *geo, u32 slice)
{
	geo->slice = slice;
	geo->slices = (geo->grains + slice - 1) >> ilog2(slice);
}

static u64 fclock_grains_of(u64 length, u32 grain)
{
	return (length + grain - 1) >> ilog2(grain);
}

static bool fclock_grain_ok(u64 length, u32 grain)
{
	return length && length <= FCLOCK_MAX_LENGTH && is_power_of_2(grain) &&
		grain >= FCLOCK_MIN_GRAIN && grain <= FCLOCK_MAX_GRAIN;
}

u64 fclock_md_sectors_needed(const struct fclock_geometry *geo)
{
	return fclock_bitmap_block(geo->slices, 0) * FCLOCK_MD_BLOCK_SECTORS;
}

int fclock_geometry_init(struct fclock_geometry *geo, u64 length, u32 grain,
			 u64 md_sectors)
{
	if (!fclock_grain_ok(length, grain))
		return -EINVAL;
	geo->length = length;
	geo->grain = grain;
	geo->grains = fclock_grains_of(length, grain);

	fclock_geometry_slice(geo, FCLOCK_MAX_SLICE);
	while (geo->slices < FCLOCK_MIN_SLICES && geo->slice > FCLOCK_MIN_SLICE)
		fclock_geometry_slice(geo, geo->slice / 2);

	if (!md_sectors)
		return 0;
	while (fclock_md_sectors_needed(geo) > md_sectors) {
		if (geo->slice == FCLOCK_MAX_SLICE)
			return -ENOSPC;
		fclock_geometry_slice(geo, geo->slice * 2);
	}
	return 0;
}

int fclock_geometry_grow(struct fclock_geometry *geo, u64 length)
{
	if (length < geo->length || !fclock_grain_ok(length, geo->grain))
		return -EINVAL;
	geo->length = length;
	geo->grains = fclock_grains_of(length, geo->grain);
	fclock_geometry_slice(geo, geo->slice);
	return 0;
}

u64 fclock_md_carries(const struct fclock_geometry *geo, u64 md_sectors)
{
	unsigned int shift = ilog2(geo->slice) + ilog2(geo->grain);
	u64 blocks = md_sectors / FCLOCK_MD_BLOCK_SECTORS;
	u64 slices = blocks < FCLOCK_BITMAP_BLOCK ? 0 :
		     (blocks - FCLOCK_BITMAP_BLOCK) / FCLOCK_MAX_SLOTS;

	return slices > FCLOCK_MAX_LENGTH >> shift ? FCLOCK_MAX_LENGTH :
						     slices << shift;
}

static bool fclock_geometry_ok(const struct fclock_geometry *geo)
{
	struct fclock_geometry want = { .length = geo->length };

	if (!fclock_grain_ok(geo->length, geo->grain) ||
	    !is_power_of_2(geo->slice) || geo->slice < FCLOCK_MIN_SLICE ||
	    geo->slice > FCLOCK_MAX_SLICE)
		return false;
	want.grains = fclock_grains_of(geo->length, geo->grain);
	fclock_geometry_slice(&want, geo->slice);
	return geo->grains == want.grains && geo->slices == want.slices;
}

/* Host names */

static bool fclock_host_char_ok(char c)
{
	return c > ' ' && c < 0x7f;
}

void fclock_host_set(char *host, const char *name)
{
	unsigned int i;

	memset(host, 0, FCLOCK_HOST_LEN);
	for (i = 0; i < FCLOCK_HOST_LEN - 1 && name[i]; i++)
		host[i] = fclock_host_char_ok(name[i]) ? name[i] : '?';
}

bool fclock_host_ok(const char *host)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_HOST_LEN && host[i]; i++)
		if (!fclock_host_char_ok(host[i]))
			return false;
	return i < FCLOCK_HOST_LEN &&
		fclock_all_zero(host + i, FCLOCK_HOST_LEN - i);
}

/* Superblock */

static u32 fclock_super_crc(const void *block)
{
	static const __le32 zero;
	const size_t crc = offsetof(struct fclock_disk_super, crc);
	const size_t rest = crc + sizeof(zero);
	u32 sum;

	sum = crc32c(~0, block, crc);
	sum = crc32c(sum, &zero, sizeof(zero));
	return crc32c(sum, block + rest, FCLOCK_MD_BLOCK_SIZE - rest);
}

static void fclock_part_encode(struct fclock_disk_participant *dp,
			       const struct fclock_participant *part)
{
	if (!part->instance)
		return;
	dp->instance = cpu_to_le64(part->instance);
	dp->attached = cpu_to_le16(part->attached);
	fclock_host_set(dp->host, part->host);
}

static void fclock_slot_encode(struct fclock_disk_slot *ds,
			       const struct fclock_slot *slot)
{
	ds->state = slot->state;
	ds->generation = cpu_to_le64(slot->generation);
	ds->length = cpu_to_le64(slot->length);
	ds->rate = cpu_to_le32(slot->rate);
}

void fclock_super_encode(const struct fclock_super *sb, void *block)
{
	struct fclock_disk_super *ds = block;
	unsigned int i;

	memset(ds, 0, sizeof(*ds));
	ds->magic = cpu_to_le64(FCLOCK_SUPER_MAGIC);
	ds->version = cpu_to_le32(FCLOCK_SUPER_VERSION);
	ds->state = cpu_to_le64(sb->state);
	memcpy(ds->uuid, sb->uuid, FCLOCK_UUID_LEN);
	ds->length = cpu_to_le64(sb->geo.length);
	ds->grain = cpu_to_le32(sb->geo.grain);
	ds->slice = cpu_to_le32(sb->geo.slice);
	ds->grains = cpu_to_le64(sb->geo.grains);
	ds->slices = cpu_to_le64(sb->geo.slices);
	ds->epoch = cpu_to_le64(sb->epoch);
	ds->members = cpu_to_le64(sb->members);
	ds->owners = cpu_to_le64(sb->owners);
	ds->primary = sb->primary;
	ds->primary_instance = cpu_to_le64(sb->primary_instance);
	for (i = 0; i < FCLOCK_MAX_NODES; i++)
		fclock_part_encode(&ds->part[i], &sb->part[i]);
	for (i = 0; i < FCLOCK_MAX_SLOTS; i++)
		fclock_slot_encode(&ds->slot[i], &sb->slot[i]);
	ds->crc = cpu_to_le32(fclock_super_crc(ds));
}

static bool fclock_part_decode(const struct fclock_disk_participant *dp,
			       struct fclock_participant *part)
{
	part->instance = le64_to_cpu(dp->instance);
	part->attached = le16_to_cpu(dp->attached);
	memcpy(part->host, dp->host, FCLOCK_HOST_LEN);
	if (!part->instance)
		return fclock_all_zero(dp, sizeof(*dp));
	return fclock_all_zero(dp->pad, sizeof(dp->pad)) &&
		fclock_host_ok(dp->host);
}

static bool fclock_slot_decode(const struct fclock_disk_slot *ds,
			       struct fclock_slot *slot,
			       const struct fclock_super *sb)
{
	slot->state = ds->state;
	slot->generation = le64_to_cpu(ds->generation);
	slot->length = le64_to_cpu(ds->length);
	slot->rate = le32_to_cpu(ds->rate);
	if (!fclock_all_zero(ds->pad, sizeof(ds->pad)) ||
	    slot->state > FCLOCK_SLOT_OFFLINE ||
	    slot->generation > sb->state || slot->length > sb->geo.length)
		return false;
	return slot->state == FCLOCK_SLOT_IDLE ||
		(slot->generation && slot->length);
}

static void fclock_super_read(const struct fclock_disk_super *ds,
			      struct fclock_super *sb)
{
	sb->state = le64_to_cpu(ds->state);
	memcpy(sb->uuid, ds->uuid, FCLOCK_UUID_LEN);
	sb->geo.length = le64_to_cpu(ds->length);
	sb->geo.grain = le32_to_cpu(ds->grain);
	sb->geo.slice = le32_to_cpu(ds->slice);
	sb->geo.grains = le64_to_cpu(ds->grains);
	sb->geo.slices = le64_to_cpu(ds->slices);
	sb->epoch = le64_to_cpu(ds->epoch);
	sb->members = le64_to_cpu(ds->members);
	sb->owners = le64_to_cpu(ds->owners);
	sb->primary = ds->primary;
	sb->primary_instance = le64_to_cpu(ds->primary_instance);
}

/*
 * The primary need not be listed: a node that takes the role over writes the
 * old content again with itself as primary (protocol.rst, "Who is primary", case c).
 */
static bool fclock_super_ok(const struct fclock_super *sb)
{
	return sb->state && sb->state <= FCLOCK_STATE_MAX &&
		!fclock_all_zero(sb->uuid, FCLOCK_UUID_LEN) &&
		fclock_geometry_ok(&sb->geo) &&
		sb->primary <= FCLOCK_MAX_NODES &&
		!sb->primary == !sb->primary_instance &&
		!sb->epoch == !sb->members &&
		sb->epoch <= FCLOCK_EPOCH_MAX;
}

static int fclock_super_check(const struct fclock_disk_super *ds,
			      struct fclock_super *sb)
{
	u64 listed = 0;
	unsigned int i;

	fclock_super_read(ds, sb);
	if (!fclock_super_ok(sb) ||
	    !fclock_all_zero(ds->pad, sizeof(ds->pad)) ||
	    !fclock_all_zero(ds->pad2, sizeof(ds->pad2)) ||
	    !fclock_all_zero(ds->pad3, sizeof(ds->pad3)))
		return -EUCLEAN;
	for (i = 0; i < FCLOCK_MAX_SLOTS; i++)
		if (!fclock_slot_decode(&ds->slot[i], &sb->slot[i], sb))
			return -EUCLEAN;
	for (i = 0; i < FCLOCK_MAX_NODES; i++) {
		if (!fclock_part_decode(&ds->part[i], &sb->part[i]))
			return -EUCLEAN;
		if (sb->part[i].instance)
			listed |= BIT_ULL(i);
	}
	return sb->owners & ~listed ? -EUCLEAN : 0;
}

int fclock_super_decode(const void *block, struct fclock_super *sb)
{
	const struct fclock_disk_super *ds = block;

	if (fclock_all_zero(block, FCLOCK_MD_BLOCK_SIZE))
		return -ENODATA;
	if (le64_to_cpu(ds->magic) != FCLOCK_SUPER_MAGIC ||
	    le32_to_cpu(ds->crc) != fclock_super_crc(block))
		return -EILSEQ;
	if (le32_to_cpu(ds->version) != FCLOCK_SUPER_VERSION)
		return -EPROTONOSUPPORT;
	return fclock_super_check(ds, sb);
}

static u64 fclock_super_state(const void *block)
{
	const struct fclock_disk_super *ds = block;

	return le64_to_cpu(ds->state);
}

/*
 * Only a torn write may stand beside a valid block. What has a right CRC and
 * is still not understood was written on purpose, perhaps after the other one.
 */
int fclock_super_choose(const void *block0, const void *block1,
			struct fclock_super *sb, int *which)
{
	int err0 = fclock_super_decode(block0, sb);
	int err1 = fclock_super_decode(block1, sb);

	if (err0 == -EUCLEAN || err0 == -EPROTONOSUPPORT)
		return err0;
	if (err1 == -EUCLEAN || err1 == -EPROTONOSUPPORT)
		return err1;
	if (err0 && err1)
		return err0 == err1 ? err0 : -EILSEQ;
	if (err0 == -ENODATA || err1 == -ENODATA)
		return -EILSEQ;

	if (err0 || err1) {
		*which = err0 ? 1 : 0;
	} else if (fclock_super_state(block0) == fclock_super_state(block1)) {
		/* So it is after formatting. A number is never used twice. */
		if (memcmp(block0, block1, FCLOCK_MD_BLOCK_SIZE))
			return -EILSEQ;
		*which = 0;
	} else {
		*which = fclock_super_state(block1) >
			fclock_super_state(block0);
	}
	return fclock_super_decode(*which ? block1 : block0, sb);
}

/* Bitmap blocks */

static u32 fclock_sector_crc(const struct fclock_disk_sector *ds,
			     const struct fclock_bitmap_id *id,
			     unsigned int sector)
{
	const size_t start = offsetof(struct fclock_disk_sector, pad);
	struct fclock_disk_seed seed = {
		.generation = ds->generation,
		.slice = cpu_to_le64(id->slice),
		.slot = cpu_to_le32(id->slot),
		.sector = cpu_to_le32(sector),
	};

	memcpy(seed.uuid, id->uuid, FCLOCK_UUID_LEN);
	return crc32c(crc32c(~0, &seed, sizeof(seed)), (const u8 *)ds + start,
		      sizeof(*ds) - start);
}

/* Bits of the slice that stand in this sector. */
static u32 fclock_sector_nbits(const struct fclock_bitmap_id *id,
			       unsigned int sector)
{
	u32 base = sector * FCLOCK_SECTOR_BITS;

	return id->nbits <= base ? 0 :
		min_t(u32, id->nbits - base, FCLOCK_SECTOR_BITS);
}

/* Are the bits at and beyond @nbits clear? */
static bool fclock_sector_tail_ok(const struct fclock_disk_sector *ds,
				  u32 nbits)
{
	u32 byte = nbits / 8;

	if (byte == sizeof(ds->bits))
		return true;
	return !(ds->bits[byte] >> (nbits % 8)) &&
		fclock_all_zero(&ds->bits[byte + 1],
				sizeof(ds->bits) - byte - 1);
}

/* Return: 1 when the sector's bits count, 0 when they read as zero, -errno. */
static int fclock_sector_check(const struct fclock_disk_sector *ds,
			       const struct fclock_bitmap_id *id,
			       unsigned int sector)
{
	u64 generation = le64_to_cpu(ds->generation);

	if (fclock_all_zero(ds, sizeof(*ds)))
		return 0;
	if (le32_to_cpu(ds->crc) != fclock_sector_crc(ds, id, sector))
		return -EILSEQ;
	if (generation > id->generation)
		return -ESTALE;
	if (ds->pad ||
	    !fclock_sector_tail_ok(ds, fclock_sector_nbits(id, sector)))
		return -EUCLEAN;
	return generation == id->generation;
}

/* The @n <= BITS_PER_LONG bits that begin at byte @p; reads no byte beyond. */
static unsigned long fclock_get_bits(const u8 *p, unsigned int n)
{
	unsigned long word = 0;
	unsigned int i;

	for (i = 0; i * 8 < n; i++)
		word |= (unsigned long)p[i] << (i * 8);
	return n == BITS_PER_LONG ? word : word & ((1UL << n) - 1);
}

/* Replace the @n <= BITS_PER_LONG bits of @map from @pos on by @word's. */
static void fclock_put_bits(unsigned long *map, u64 pos, unsigned long word,
			    unsigned int n)
{
	unsigned long mask = n == BITS_PER_LONG ? ~0UL : (1UL << n) - 1;
	unsigned int shift = pos % BITS_PER_LONG;

	map += pos / BITS_PER_LONG;
	map[0] = (map[0] & ~(mask << shift)) | word << shift;
	if (shift + n <= BITS_PER_LONG)
		return;
	shift = BITS_PER_LONG - shift;
	map[1] = (map[1] & ~(mask >> shift)) | word >> shift;
}

/* @ds NULL: all zero. Return: set bits. */
static u32 fclock_sector_copy(const struct fclock_disk_sector *ds, u32 nbits,
			      unsigned long *bits, u64 pos)
{
	unsigned long word = 0;
	u32 i, n, set = 0;

	for (i = 0; i < nbits; i += n) {
		n = min_t(u32, nbits - i, BITS_PER_LONG);
		if (ds)
			word = fclock_get_bits(&ds->bits[i / 8], n);
		fclock_put_bits(bits, pos + i, word, n);
		set += hweight_long(word);
	}
	return set;
}

int fclock_bitmap_load(const void *block, const struct fclock_bitmap_id *id,
		       unsigned long *bits, u64 bit0)
{
	const struct fclock_disk_sector *ds = block;
	bool counts[FCLOCK_MD_BLOCK_SECTORS];
	u32 set = 0;
	unsigned int i;
	int r;

	if (id->nbits > FCLOCK_MAX_SLICE)
		return -EINVAL;
	/* All sectors before the first bit: an error leaves @bits alone. */
	for (i = 0; i < FCLOCK_MD_BLOCK_SECTORS; i++) {
		r = fclock_sector_check(&ds[i], id, i);
		if (r < 0)
			return r;
		counts[i] = r;
	}
	for (i = 0; i < FCLOCK_MD_BLOCK_SECTORS; i++)
		set += fclock_sector_copy(counts[i] ? &ds[i] : NULL,
					  fclock_sector_nbits(id, i), bits,
					  bit0 + i * FCLOCK_SECTOR_BITS);
	return set;
}

static void fclock_sector_set(struct fclock_disk_sector *ds,
			      const struct fclock_bitmap_id *id,
			      unsigned int sector, u32 first, u32 end)
{
	u32 i = first;

	if (le64_to_cpu(ds->generation) != id->generation) {
		memset(ds, 0, sizeof(*ds));
		ds->generation = cpu_to_le64(id->generation);
	}
	while (i < end) {
		if (i % 8 == 0 && end - i >= 8) {
			ds->bits[i / 8] = 0xff;
			i += 8;
		} else {
			ds->bits[i / 8] |= 1 << (i % 8);
			i++;
		}
	}
	ds->crc = cpu_to_le32(fclock_sector_crc(ds, id, sector));
}

int fclock_bitmap_set(void *block, const struct fclock_bitmap_id *id,
		      u32 first, u32 count)
{
	struct fclock_disk_sector *ds = block;
	u32 base, end = first + count;
	unsigned int i, from, to;
	int r;

	if (!id->generation || id->nbits > FCLOCK_MAX_SLICE ||
	    first > id->nbits || count > id->nbits - first)
		return -EINVAL;
	if (!count)
		return 0;
	from = first / FCLOCK_SECTOR_BITS;
	to = (end - 1) / FCLOCK_SECTOR_BITS;
	for (i = from; i <= to; i++) {
		r = fclock_sector_check(&ds[i], id, i);
		if (r < 0)
			return r;
	}
	for (i = from; i <= to; i++) {
		base = i * FCLOCK_SECTOR_BITS;
		fclock_sector_set(&ds[i], id, i, max(first, base) - base,
				  min_t(u32, end - base, FCLOCK_SECTOR_BITS));
	}
	return 0;
}
