/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands on the metadata device M: two superblock blocks and one bitmap
 * block per (slice, slot). Pure functions over 4 KiB buffers: no I/O, no locks.
 * Documentation/on-disk.rst draws the same layout.
 */
#ifndef FCLOCK_ONDISK_H
#define FCLOCK_ONDISK_H

#include <linux/bits.h>
#include <linux/types.h>

#define FCLOCK_MD_BLOCK_SIZE	4096
#define FCLOCK_MD_BLOCK_SECTORS	8
#define FCLOCK_SUPER_BLOCKS	2	/* blocks 0 and 1 */
#define FCLOCK_BITMAP_BLOCK	16	/* first bitmap block */
#define FCLOCK_MAX_SLOTS	16
#define FCLOCK_MAX_NODES	64
#define FCLOCK_HOST_LEN		32	/* first 31 bytes of the host name, NUL */
#define FCLOCK_UUID_LEN		16
#define FCLOCK_MIN_GRAIN	8	/* sectors: 4 KiB */
#define FCLOCK_MAX_GRAIN	2048	/* sectors: 1 MiB */
#define FCLOCK_DEFAULT_GRAIN	128	/* sectors: 64 KiB */
#define FCLOCK_MIN_SLICE	4	/* grains */
#define FCLOCK_MAX_SLICE	16384	/* grains */
#define FCLOCK_MIN_SLICES	1024	/* slices a volume gets if it can */
#define FCLOCK_SECTOR_BITS	3968	/* 496 bytes of bits in each 512 byte sector */
/*
 * Greatest epoch of a members list, wherever it comes from: beyond what is believed there
 * must be room for newer ones.
 */
#define FCLOCK_EPOCH_MAX	BIT_ULL(62)
#define FCLOCK_STATE_MAX	BIT_ULL(62)	/* likewise, of a superblock's number */

enum fclock_slot_state {
	FCLOCK_SLOT_IDLE	= 0,	/* never triggered, or stopped */
	FCLOCK_SLOT_ACTIVE	= 1,
	FCLOCK_SLOT_COMPLETE	= 2,	/* every grain split and durable */
	FCLOCK_SLOT_OFFLINE	= 3,	/* lost its point in time */
};

/**
 * struct fclock_geometry - sizes; @grain and @slice are fixed when M is formatted, all
 * others can only grow
 * @length: of the volume, in 512 byte sectors
 * @grain: in sectors, power of two
 * @slice: in grains, power of two
 * @grains: of the volume; the last one may be partly beyond @length
 * @slices: of the volume
 */
struct fclock_geometry {
	u64 length;
	u32 grain;
	u32 slice;
	u64 grains;
	u64 slices;
};

/* A node instance that runs the volume; @instance 0: not listed. */
struct fclock_participant {
	u64 instance;
	u16 attached;			/* bit s: has the copy of slot s */
	char host[FCLOCK_HOST_LEN];
};

struct fclock_slot {
	u8 state;			/* enum fclock_slot_state */
	u64 generation;			/* state number of the last trigger, 0: never */
	u64 length;			/* sectors of A that the copy covers */
	u32 rate;			/* of background copy, KiB/s, 0: off */
};

/**
 * struct fclock_super - the superblock in core: the state of the cluster
 * @state: state number
 * @primary: node id of the primary, 0: none yet
 * @primary_instance: instance that holds the role
 * @owners: bit (id - 1): node is an owner
 * @epoch: of @members, 0: no list was ever given
 * @members: bit (id - 1)
 * @part: participants, index node id - 1
 */
struct fclock_super {
	u64 state;
	u8 uuid[FCLOCK_UUID_LEN];
	struct fclock_geometry geo;
	u8 primary;
	u64 primary_instance;
	u64 owners;
	u64 epoch;
	u64 members;
	struct fclock_participant part[FCLOCK_MAX_NODES];
	struct fclock_slot slot[FCLOCK_MAX_SLOTS];
};

/**
 * fclock_geometry_init - choose the slice size (on-disk.rst)
 * @geo: result
 * @length: sectors of the volume, > 0
 * @grain: sectors
 * @md_sectors: size of M; 0: do not check
 *
 * Return: 0, -EINVAL for a bad grain or length, -ENOSPC when M is smaller than
 * fclock_md_sectors_needed() of the smallest possible layout; @geo is that one then.
 */
int fclock_geometry_init(struct fclock_geometry *geo, u64 length, u32 grain,
			 u64 md_sectors);
/* Sectors of M that @geo needs: 64 KiB + slices x 64 KiB. */
u64 fclock_md_sectors_needed(const struct fclock_geometry *geo);
/* The longest volume of @geo's grain and slice for which @md_sectors of M are enough. */
u64 fclock_md_carries(const struct fclock_geometry *geo, u64 md_sectors);
/**
 * fclock_geometry_grow - the same grain and slices for a longer volume
 * @length: sectors, at least @geo's
 *
 * Return: 0, or -EINVAL (@geo is as it was) when it is shorter, or more than can be counted.
 */
int fclock_geometry_grow(struct fclock_geometry *geo, u64 length);

static inline u64 fclock_bitmap_block(u64 slice, unsigned int slot)
{
	return FCLOCK_BITMAP_BLOCK + slice * FCLOCK_MAX_SLOTS + slot;
}

/**
 * fclock_host_set - make a clean host name of any
 * @host: FCLOCK_HOST_LEN bytes: printable ASCII without blanks ('?' for what is
 *	  not), cut to 31 bytes, zero behind
 * @name: NUL-terminated
 */
void fclock_host_set(char *host, const char *name);
/* Are these FCLOCK_HOST_LEN bytes what fclock_host_set() makes? May be empty. */
bool fclock_host_ok(const char *host);

/* Fill a 4 KiB @block from @sb, with magic, version and CRC. */
void fclock_super_encode(const struct fclock_super *sb, void *block);
/**
 * fclock_super_decode - check and read one superblock block
 *
 * Every field is checked: nothing in @sb can index out of an array or
 * describe an impossible geometry after a 0 return.
 *
 * Return: 0; -ENODATA all zero; -EILSEQ not a superblock or a wrong CRC (torn);
 * -EPROTONOSUPPORT valid but of another version; -EUCLEAN the CRC is right and
 * the content is not (a bug or a forgery).
 */
int fclock_super_decode(const void *block, struct fclock_super *sb);
/**
 * fclock_super_choose - the newest valid one of blocks 0 and 1
 * @which: 0 or 1, where @sb stands (the next write goes to the other)
 *
 * Return: 0; -ENODATA both all zero (M may be formatted); -EILSEQ none valid, or
 * one zero and one valid (refused, never formatted over); other errors of
 * fclock_super_decode().
 */
int fclock_super_choose(const void *block0, const void *block1,
			struct fclock_super *sb, int *which);

/* Names one bitmap block and what its sectors must say. */
struct fclock_bitmap_id {
	const u8 *uuid;
	u64 slice;
	unsigned int slot;
	u64 generation;		/* of the slot, by the superblock */
	u32 nbits;		/* grains of a slice */
};

/**
 * fclock_bitmap_load - read a 4 KiB bitmap block
 * @bits: result, bits [@bit0, @bit0 + id->nbits) are written (set or cleared),
 *	  none after an error. Whole words are stored: who writes other bits of the
 *	  same words (slices of fewer than 64 grains) must be excluded
 *
 * Sectors that are all zero or of an older generation read as zero bits.
 *
 * Return: number of set bits, or -EILSEQ for a wrong CRC, -ESTALE for a generation
 * newer than @id says, -EUCLEAN for set bits at or beyond @nbits.
 */
int fclock_bitmap_load(const void *block, const struct fclock_bitmap_id *id,
		       unsigned long *bits, u64 bit0);
/**
 * fclock_bitmap_set - set bits [first, first + count) in a block buffer
 *
 * Sectors of an older generation or all zero are started anew; the CRC of each
 * touched sector is renewed. A sector that does not check is refused.
 *
 * Return: 0, or as fclock_bitmap_load().
 */
int fclock_bitmap_set(void *block, const struct fclock_bitmap_id *id,
		      u32 first, u32 count);

#endif
