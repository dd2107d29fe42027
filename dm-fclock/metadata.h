/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store on M: superblocks read and written past every cache by bios, bitmap
 * blocks through dm-bufio. One committer.
 */
#ifndef FCLOCK_METADATA_H
#define FCLOCK_METADATA_H

#include <linux/blkdev.h>
#include "ondisk.h"

struct fclock_metadata;

/**
 * fclock_md_open - prepare the store on @bdev; reads and writes nothing
 * @bdev: M; the caller holds its reference until fclock_md_close() returned
 *
 * Context: may sleep.
 * Return: the store or ERR_PTR.
 */
struct fclock_metadata *fclock_md_open(struct block_device *bdev);
/* No call may be under way or follow. May sleep. */
void fclock_md_close(struct fclock_metadata *md);

/**
 * fclock_md_read_super - flush M, then read both superblocks from the device
 * @md: the store; remembers where the newest one stands for the next write
 * @sb: result
 *
 * Context: may sleep, GFP_NOIO, preallocated pages and bios. Not concurrent with
 * itself or fclock_md_write_super().
 * Return: 0, I/O errors, or those of fclock_super_choose().
 */
int fclock_md_read_super(struct fclock_metadata *md, struct fclock_super *sb);
/**
 * fclock_md_write_super - write @sb to the block that does not hold the newest
 * @md: the store, after a successful fclock_md_read_super() or fclock_md_format()
 * @sb: the next state
 *
 * REQ_PREFLUSH | REQ_FUA. After an error the outcome is unknown. The next write looks
 * at both blocks again: if this one is there, it goes over the other, and its
 * PREFLUSH makes this one durable first; if not, it goes to the same block again.
 *
 * Context: as fclock_md_read_super().
 * Return: 0: durable. -ESTALE: one that is not older stands on M, nothing was
 * written. Errors of fclock_md_read_super(), I/O errors.
 */
int fclock_md_write_super(struct fclock_metadata *md,
			  const struct fclock_super *sb);
/**
 * fclock_md_grow - zero the bitmap blocks that @sb has more than a volume of @slices
 * @md: as fclock_md_write_super(), which has to follow
 *
 * Durable when it returns. Context: as fclock_md_format().
 * Return: 0. -ESTALE: one that is not older than @sb stands on M, nothing was written.
 * -ENOSPC when M is too small, I/O errors.
 */
int fclock_md_grow(struct fclock_metadata *md, const struct fclock_super *sb,
		   u64 slices);
/**
 * fclock_md_format - zero every bitmap block, flush, superblock 1, superblock 0
 * @md: the store
 * @sb: the first state; @sb->geo says how many bitmap blocks there are
 *
 * Each step is durable before the next begins.
 *
 * Context: may sleep for long, looks at no signal. Not concurrent with another
 * superblock call.
 * Return: 0, -ENOSPC when M is smaller than the layout, I/O errors.
 */
int fclock_md_format(struct fclock_metadata *md, const struct fclock_super *sb);

/**
 * fclock_md_start_owner - this node begins to own slices: forget what dm-bufio has
 * and flush M, so that nothing read in an earlier time is trusted
 * @md: the store
 *
 * Bits that were set and never committed in an earlier time are forgotten. Writes of A
 * wait for this: it allocates nothing, and takes no lock that reclaim may hold.
 *
 * Context: may sleep; no load or commit under way.
 * Return: 0, or the flush's error.
 */
int fclock_md_start_owner(struct fclock_metadata *md);

/**
 * fclock_md_load - read one bitmap block
 * @md: the store, after fclock_md_start_owner()
 * @id: which block
 * @bits: flat bitmap of the slot, bit = grain; bits of this slice are written
 * @bit0: as fclock_bitmap_load(): slice x geo->slice
 *
 * Only durable bits are reported: a block with bits that are set and not yet
 * committed is committed first.
 *
 * Context: may sleep; GFP_NOIO. Any number at once.
 * Return: set bits, -EIO, -ERANGE when the block is beyond M's end, or as
 * fclock_bitmap_load().
 */
long fclock_md_load(struct fclock_metadata *md,
		    const struct fclock_bitmap_id *id, unsigned long *bits,
		    u64 bit0);
/**
 * fclock_md_set - set the bits of one run for the next commit
 * @md: as fclock_md_load()
 * @id: which block
 * @first: grain within the slice
 * @count: grains
 *
 * Only after the copy was flushed on B: a batch that is full is committed from
 * here, so the bits may become durable before fclock_md_commit() is called.
 * Whatever was set stays in the batch until a commit succeeds.
 *
 * Context: committer only, may sleep, GFP_NOIO, allocates nothing of its own.
 * Return: 0; an error means that this run is not in the batch: -EIO, -ERANGE,
 * -ENOMEM, or as fclock_bitmap_set(), or of the commit of a full batch.
 */
int fclock_md_set(struct fclock_metadata *md, const struct fclock_bitmap_id *id,
		  u32 first, u32 count);
/**
 * fclock_md_commit - make everything durable that was set
 * @md: as fclock_md_load()
 *
 * Context: committer only, may sleep.
 * Return: 0: everything ever set is durable. An error: what was set since the
 * last success is in doubt and is written again by the next commit.
 */
int fclock_md_commit(struct fclock_metadata *md);

#endif
