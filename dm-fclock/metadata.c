// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store on M: superblocks by bios, bitmap blocks through dm-bufio.
 *
 * Why bits are not set in dm-bufio's buffers right away
 *
 *  i.   dm-bufio may write a dirty buffer at any time. A block that changes while
 *       it is written may reach M torn inside a sector, and a torn sector takes
 *       the slot offline when it is read again after a crash.
 *  ii.  After a failed commit the buffers are clean. They may be evicted and read
 *       again with what M has, or stay and show bits that never reached M.
 *
 * So fclock_md_set() collects a batch of whole blocks in memory of its own
 * (struct shadow). A commit copies each block of the batch into its buffer, marks
 * it dirty once, touches no buffer again before dm_bufio_write_dirty_buffers()
 * has returned, and forgets the batch only when that said 0. A commit that failed
 * is repeated whole by the next one. Nobody reads bits from a buffer whose block
 * is in the batch, so what fclock_md_load() reports is durable.
 *
 * The batch has a fixed size and is preallocated: setting bits needs no memory
 * but the buffer that dm-bufio has in reserve.
 *
 * The client of dm-bufio is made once, when nothing waits for it. To make or destroy one
 * takes locks of the whole kernel (of the shrinkers, of the slab caches), and who
 * has these may be in reclaim, waiting for a write of A that waits for an owner's start.
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/dm-bufio.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "compat.h"
#include "fault.h"
#include "metadata.h"

#define DM_MSG_PREFIX "fclock"

/* Blocks that a batch can hold: 512 KiB of shadows. */
#define BATCH_BLOCKS 128
/* Buffers that dm-bufio never gives away: the committer's and some loaders'. */
#define RESERVED_BUFFERS 16

#define WHICH_UNKNOWN (-1)

/* A block of the batch as the next commit writes it. */
struct shadow {
	u64 block;
	void *data;
};

/**
 * struct fclock_metadata - the store; made and freed by the volume
 * @bdev: M, the volume's reference
 * @page: for superblocks; only the one superblock call uses it
 * @which: block of the newest durable superblock; as @page
 * @bufio: empty until the first load; emptied while no load or commit is under way
 * @batch_mutex: one change of the batch at a time: the committer, and a load that
 *	commits first
 * @batch_sem: read: no block enters or leaves the batch, no buffer is filled.
 *	Write: under @batch_mutex
 * @nr: shadows in use; changed under both locks, or by an owner's start, while no
 *	load or commit is under way
 * @shadows: the memory of all of them
 * @batch: @nr in use; changed under both locks. A shadow that is in the batch changes
 *	under @batch_mutex alone: loads look at @block only
 */
struct fclock_metadata {
	struct block_device *bdev;
	void *page[FCLOCK_SUPER_BLOCKS];
	int which;
	struct fclock_super seen;	/* by a write, before it */

	struct dm_bufio_client *bufio;
	struct mutex batch_mutex;	/* changes of the batch */
	struct rw_semaphore batch_sem;
	unsigned int nr;
	void *shadows;
	struct shadow batch[BATCH_BLOCKS];
};

static u64 md_blocks(const struct fclock_metadata *md)
{
	return bdev_nr_sectors(md->bdev) / FCLOCK_MD_BLOCK_SECTORS;
}

/* ---- Superblocks ---- */

/* One block, one bio on the stack, past every cache. */
static int super_io(struct fclock_metadata *md, unsigned int block,
		    blk_opf_t opf)
{
	struct bio_vec bvec;
	struct bio bio;
	int r;

	bio_init(&bio, md->bdev, &bvec, 1, opf | REQ_SYNC | REQ_META);
	bio.bi_iter.bi_sector = block * FCLOCK_MD_BLOCK_SECTORS;
	__bio_add_page(&bio, virt_to_page(md->page[block]),
		       FCLOCK_MD_BLOCK_SIZE, offset_in_page(md->page[block]));
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);

	return r;
}

static int write_super_block(struct fclock_metadata *md,
			     const struct fclock_super *sb, unsigned int block)
{
	int r;

	fclock_super_encode(sb, md->page[block]);

	fclock_delay(FCLOCK_DELAY_SUPER);
	if (fclock_fault(FCLOCK_FAULT_SUPER))
		return -EIO;
	r = super_io(md, block, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA);
	if (fclock_fault(FCLOCK_FAULT_SUPER_LATE))
		return -EIO;

	return r;
}

/* Both blocks as they stand; sets md->which. */
static int read_supers(struct fclock_metadata *md, struct fclock_super *sb)
{
	unsigned int i;
	int r, which;

	for (i = 0; i < FCLOCK_SUPER_BLOCKS; i++) {
		r = super_io(md, i, REQ_OP_READ);
		if (r)
			return r;
	}

	r = fclock_super_choose(md->page[0], md->page[1], sb, &which);
	if (!r)
		md->which = which;

	return r;
}

int fclock_md_read_super(struct fclock_metadata *md, struct fclock_super *sb)
{
	int r;

	if (md_blocks(md) < FCLOCK_BITMAP_BLOCK)
		return -ENOSPC;

	r = blkdev_issue_flush(md->bdev);
	if (r)
		return r;

	return read_supers(md, sb);
}

/* The bitmap blocks of slices [@from, @to), durably. */
static int zero_slices(struct fclock_metadata *md, u64 from, u64 to)
{
	u64 first = fclock_bitmap_block(from, 0), end = fclock_bitmap_block(to, 0);
	int r;

	if (md_blocks(md) < end)
		return -ENOSPC;

	r = blkdev_issue_zeroout(md->bdev, first * FCLOCK_MD_BLOCK_SECTORS,
				 (end - first) * FCLOCK_MD_BLOCK_SECTORS,
				 GFP_NOIO, 0);
	if (!r)
		r = blkdev_issue_flush(md->bdev);

	return r;
}

/* Other primaries may have written since this node last looked: -ESTALE. */
static int see_supers(struct fclock_metadata *md, const struct fclock_super *sb)
{
	int r;

	r = read_supers(md, &md->seen);
	if (!r && md->seen.state >= sb->state)
		r = -ESTALE;

	return r;
}

int fclock_md_write_super(struct fclock_metadata *md,
			  const struct fclock_super *sb)
{
	unsigned int target;
	int r;

	r = see_supers(md, sb);
	if (r)
		return r;

	target = !md->which;
	r = write_super_block(md, sb, target);
	if (!r)
		md->which = target;

	return r;
}

/*
 * Nobody uses the blocks of slices that the volume does not have yet, so what a crash leaves of
 * this changes nothing.
 */
int fclock_md_grow(struct fclock_metadata *md, const struct fclock_super *sb,
		   u64 slices)
{
	return see_supers(md, sb) ?: zero_slices(md, slices, sb->geo.slices);
}

int fclock_md_format(struct fclock_metadata *md, const struct fclock_super *sb)
{
	int r;

	md->which = WHICH_UNKNOWN;
	r = zero_slices(md, 0, sb->geo.slices);
	if (r)
		return r;

	/*
	 * Block 1 first: a crash between the two leaves one zero and one valid
	 * block, which is refused and never taken for a volume.
	 */
	r = write_super_block(md, sb, 1);
	if (r)
		return r;
	r = write_super_block(md, sb, 0);
	if (!r)
		md->which = 0;

	return r;
}

/* ---- Bitmap blocks ---- */

/* The block of @id, refused when it is beyond M's end. */
static int locate(struct fclock_metadata *md, const struct fclock_bitmap_id *id,
		  u64 *block)
{
	*block = fclock_bitmap_block(id->slice, id->slot);
	if (*block < md_blocks(md))
		return 0;

	DMERR_LIMIT("%pg: bitmap block %llu is beyond its %llu blocks",
		    md->bdev, *block, md_blocks(md));
	return -ERANGE;
}

static struct shadow *__find_shadow(struct fclock_metadata *md, u64 block)
{
	unsigned int i;

	lockdep_assert(lockdep_is_held(&md->batch_mutex) ||
		       lockdep_is_held(&md->batch_sem));

	for (i = 0; i < md->nr; i++)
		if (md->batch[i].block == block)
			return &md->batch[i];

	return NULL;
}

/* Copy one shadow over its buffer. The block is written whole, so never read. */
static int __fill_buffer(struct fclock_metadata *md, const struct shadow *s)
{
	struct dm_buffer *b;
	void *data;

	lockdep_assert_held_write(&md->batch_sem);

	data = dm_bufio_new(md->bufio, s->block, &b);
	if (IS_ERR(data))
		return PTR_ERR(data);
	memcpy(data, s->data, FCLOCK_MD_BLOCK_SIZE);
	dm_bufio_mark_buffer_dirty(b);
	dm_bufio_release(b);

	return 0;
}

static int __fill_buffers(struct fclock_metadata *md)
{
	unsigned int i;
	int r = 0;

	lockdep_assert_held(&md->batch_mutex);
	down_write(&md->batch_sem);
	for (i = 0; i < md->nr && !r; i++)
		r = __fill_buffer(md, &md->batch[i]);
	up_write(&md->batch_sem);

	return r;
}

static int __commit(struct fclock_metadata *md)
{
	int r;

	lockdep_assert_held(&md->batch_mutex);

	if (!md->nr)
		return 0;

	fclock_delay(FCLOCK_DELAY_COMMIT);
	r = fclock_fault(FCLOCK_FAULT_COMMIT) ? -EIO : __fill_buffers(md);
	if (!r)
		r = dm_bufio_write_dirty_buffers(md->bufio);
	if (!r && fclock_fault(FCLOCK_FAULT_COMMIT_LATE))
		r = -EIO;
	if (r) {
		DMERR_LIMIT("%pg: commit of %u bitmap blocks failed: %d",
			    md->bdev, md->nr, r);
		return r;
	}

	down_write(&md->batch_sem);
	md->nr = 0;
	up_write(&md->batch_sem);

	return 0;
}

/* A block that is not in the batch: read it into a shadow that is not yet in use. */
static int __read_shadow(struct fclock_metadata *md, u64 block,
			 struct shadow *s)
{
	struct dm_buffer *b;
	void *data;

	lockdep_assert_held(&md->batch_mutex);

	data = dm_bufio_read(md->bufio, block, &b);
	if (IS_ERR(data))
		return PTR_ERR(data);
	memcpy(s->data, data, FCLOCK_MD_BLOCK_SIZE);
	dm_bufio_release(b);
	s->block = block;

	return 0;
}

static int __set(struct fclock_metadata *md, const struct fclock_bitmap_id *id,
		 u64 block, u32 first, u32 count)
{
	struct shadow *s = __find_shadow(md, block);
	int r;

	lockdep_assert_held(&md->batch_mutex);
	if (s)
		return fclock_bitmap_set(s->data, id, first, count);

	if (md->nr == BATCH_BLOCKS) {
		r = __commit(md);
		if (r)
			return r;
	}

	s = &md->batch[md->nr];
	r = __read_shadow(md, block, s);
	if (!r)
		r = fclock_bitmap_set(s->data, id, first, count);
	if (r)
		return r;

	down_write(&md->batch_sem);
	md->nr++;
	up_write(&md->batch_sem);

	return 0;
}

int fclock_md_set(struct fclock_metadata *md, const struct fclock_bitmap_id *id,
		  u32 first, u32 count)
{
	u64 block;
	int r;

	r = locate(md, id, &block);
	if (r)
		return r;

	mutex_lock(&md->batch_mutex);
	r = __set(md, id, block, first, count);
	mutex_unlock(&md->batch_mutex);

	return r;
}

int fclock_md_commit(struct fclock_metadata *md)
{
	int r;

	mutex_lock(&md->batch_mutex);
	r = __commit(md);
	mutex_unlock(&md->batch_mutex);

	return r;
}

/*
 * Returns 0 with batch_sem held for reading and @block not in the batch. Only a
 * block of the batch waits for a commit; for the others a commit under way is
 * in the way just while it fills its buffers.
 */
static int lock_durable(struct fclock_metadata *md, u64 block)
{
	int r;

	for (;;) {
		down_read(&md->batch_sem);
		if (!__find_shadow(md, block))
			return 0;
		up_read(&md->batch_sem);

		r = fclock_md_commit(md);
		if (r)
			return r;
	}
}

long fclock_md_load(struct fclock_metadata *md,
		    const struct fclock_bitmap_id *id, unsigned long *bits,
		    u64 bit0)
{
	struct dm_buffer *b;
	void *data;
	u64 block;
	long r;

	r = locate(md, id, &block);
	if (r)
		return r;
	r = lock_durable(md, block);
	if (r)
		return r;

	data = fclock_fault(FCLOCK_FAULT_LOAD) ? ERR_PTR(-EIO) :
						 dm_bufio_read(md->bufio, block, &b);
	if (IS_ERR(data)) {
		r = PTR_ERR(data);
	} else {
		r = fclock_bitmap_load(data, id, bits, bit0);
		dm_bufio_release(b);
	}
	up_read(&md->batch_sem);

	return r;
}

/* ---- Life ---- */

int fclock_md_start_owner(struct fclock_metadata *md)
{
	/* Nothing is dirty: a commit leaves none so, also one that failed. */
	dm_bufio_client_reset(md->bufio);
	md->nr = 0;

	return blkdev_issue_flush(md->bdev);
}

static void free_md(struct fclock_metadata *md)
{
	unsigned int i;

	if (md->bufio)
		dm_bufio_client_destroy(md->bufio);
	kvfree(md->shadows);
	for (i = 0; i < FCLOCK_SUPER_BLOCKS; i++)
		free_page((unsigned long)md->page[i]);
	mutex_destroy(&md->batch_mutex);
	kfree(md);
}

static int alloc_pages_of(struct fclock_metadata *md)
{
	unsigned int i;

	BUILD_BUG_ON(FCLOCK_MD_BLOCK_SIZE > PAGE_SIZE);

	for (i = 0; i < FCLOCK_SUPER_BLOCKS; i++) {
		md->page[i] = (void *)__get_free_page(GFP_KERNEL);
		if (!md->page[i])
			return -ENOMEM;
	}

	md->shadows = kvmalloc_array(BATCH_BLOCKS, FCLOCK_MD_BLOCK_SIZE,
				     GFP_KERNEL);
	if (!md->shadows)
		return -ENOMEM;
	for (i = 0; i < BATCH_BLOCKS; i++)
		md->batch[i].data = md->shadows + i * FCLOCK_MD_BLOCK_SIZE;

	return 0;
}

static int open_bufio(struct fclock_metadata *md)
{
	struct dm_bufio_client *bufio;

	bufio = dm_bufio_client_create(md->bdev, FCLOCK_MD_BLOCK_SIZE,
				       RESERVED_BUFFERS, 0, NULL, NULL, 0);
	if (IS_ERR(bufio))
		return PTR_ERR(bufio);
	md->bufio = bufio;

	return 0;
}

struct fclock_metadata *fclock_md_open(struct block_device *bdev)
{
	struct fclock_metadata *md;
	int r;

	md = kzalloc(sizeof(*md), GFP_KERNEL);
	if (!md)
		return ERR_PTR(-ENOMEM);

	md->bdev = bdev;
	md->which = WHICH_UNKNOWN;
	mutex_init(&md->batch_mutex);
	init_rwsem(&md->batch_sem);
	r = alloc_pages_of(md) ?: open_bufio(md);
	if (r) {
		free_md(md);
		return ERR_PTR(r);
	}

	return md;
}

void fclock_md_close(struct fclock_metadata *md)
{
	free_md(md);
}
