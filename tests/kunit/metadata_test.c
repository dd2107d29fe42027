// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the store on M: the real dm-bufio over a disk in memory that has a
 * volatile cache, loses it on request, and fails writes on request.
 */
#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/shrinker.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include "metadata.h"

#define GRAINS		64
#define SLICES		(GRAINS / FCLOCK_MIN_SLICE)
#define GENERATION	7

struct disk {
	struct gendisk *gd;
	size_t size;
	u8 *cache, *media;
	bool fail_writes, tear;
	unsigned int writes, flushes;
	u8 uuid[FCLOCK_UUID_LEN];
	struct fclock_metadata *md;
};

/* ---- The disk ---- */

static bool write_bio(struct disk *d, struct bio *bio)
{
	size_t at = (size_t)bio->bi_iter.bi_sector << SECTOR_SHIFT, first = at;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (d->fail_writes)
		return false;
	if (bio->bi_opf & REQ_PREFLUSH) {
		memcpy(d->media, d->cache, d->size);
		d->flushes++;
	}
	if (d->tear) {
		memset(d->media + first, 0xff, bio->bi_iter.bi_size / 2);
		return false;
	}
	bio_for_each_segment(bv, bio, iter) {
		memcpy(d->cache + at, page_address(bv.bv_page) + bv.bv_offset,
		       bv.bv_len);
		at += bv.bv_len;
	}
	if (at > first)
		d->writes++;
	if (bio->bi_opf & REQ_FUA)
		memcpy(d->media + first, d->cache + first, at - first);
	return true;
}

static void read_bio(struct disk *d, struct bio *bio)
{
	size_t at = (size_t)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		memcpy(page_address(bv.bv_page) + bv.bv_offset, d->cache + at,
		       bv.bv_len);
		at += bv.bv_len;
	}
}

static void disk_submit_bio(struct bio *bio)
{
	struct disk *d = bio->bi_bdev->bd_disk->private_data;

	if (bio_op(bio) == REQ_OP_READ) {
		read_bio(d, bio);
	} else if (bio_op(bio) != REQ_OP_WRITE || !write_bio(d, bio)) {
		bio_io_error(bio);
		return;
	}
	bio_endio(bio);
}

static const struct block_device_operations disk_ops = {
	.submit_bio = disk_submit_bio,
};

static void lose_power(struct disk *d)
{
	memcpy(d->cache, d->media, d->size);
}

/* ---- A formatted M ---- */

static struct fclock_super *make_super(struct kunit *test, struct disk *d)
{
	struct fclock_super *sb = kunit_kzalloc(test, sizeof(*sb), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sb);
	KUNIT_ASSERT_EQ(test, 0, fclock_geometry_init(&sb->geo, GRAINS * 8, 8,
						      0));
	KUNIT_ASSERT_EQ(test, (u64)SLICES, sb->geo.slices);
	sb->state = 1;
	memcpy(sb->uuid, d->uuid, sizeof(sb->uuid));
	return sb;
}

static int metadata_init(struct kunit *test)
{
	struct fclock_geometry geo;
	struct disk *d;

	d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, d);
	test->priv = d;
	get_random_bytes(d->uuid, sizeof(d->uuid));
	fclock_geometry_init(&geo, GRAINS * 8, 8, 0);
	d->size = fclock_md_sectors_needed(&geo) << SECTOR_SHIFT;
	d->cache = vzalloc(d->size);
	d->media = vzalloc(d->size);
	KUNIT_ASSERT_TRUE(test, d->cache && d->media);
	d->gd = blk_alloc_disk(NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, d->gd);
	d->gd->fops = &disk_ops;
	d->gd->private_data = d;
	set_capacity(d->gd, d->size >> SECTOR_SHIFT);
	blk_queue_write_cache(d->gd->queue, true, true);
	d->md = fclock_md_open(d->gd->part0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(d->md));
	KUNIT_ASSERT_EQ(test, 0u, d->writes);
	KUNIT_ASSERT_EQ(test, 0, fclock_md_format(d->md, make_super(test, d)));
	KUNIT_ASSERT_EQ(test, 0, fclock_md_start_owner(d->md));
	return 0;
}

static void metadata_exit(struct kunit *test)
{
	struct disk *d = test->priv;

	if (!IS_ERR_OR_NULL(d->md))
		fclock_md_close(d->md);
	if (d->gd)
		put_disk(d->gd);
	vfree(d->cache);
	vfree(d->media);
}

static struct fclock_bitmap_id block_id(struct disk *d, u64 slice,
					unsigned int slot)
{
	return (struct fclock_bitmap_id) {
		.uuid = d->uuid,
		.slice = slice,
		.slot = slot,
		.generation = GENERATION,
		.nbits = FCLOCK_MIN_SLICE,
	};
}

static int set(struct disk *d, u64 slice, unsigned int slot, u32 grain)
{
	struct fclock_bitmap_id id = block_id(d, slice, slot);

	return fclock_md_set(d->md, &id, grain, 1);
}

/* The bits of a block as one number, or an error. */
static long load(struct disk *d, u64 slice, unsigned int slot)
{
	struct fclock_bitmap_id id = block_id(d, slice, slot);
	unsigned long bits = 0;
	long r = fclock_md_load(d->md, &id, &bits, 0);

	return r < 0 ? r : bits;
}

/* The same, of what a power cut leaves. */
static long on_media(struct disk *d, u64 slice, unsigned int slot)
{
	size_t at = fclock_bitmap_block(slice, slot) * FCLOCK_MD_BLOCK_SIZE;
	struct fclock_bitmap_id id = block_id(d, slice, slot);
	unsigned long bits = 0;
	int r = fclock_bitmap_load(d->media + at, &id, &bits, 0);

	return r < 0 ? r : bits;
}

/* Another owner has written a bit, and died before it was durable. */
static void other_writes(struct kunit *test, struct disk *d, u64 slice,
			 unsigned int slot, u32 grain)
{
	size_t at = fclock_bitmap_block(slice, slot) * FCLOCK_MD_BLOCK_SIZE;
	struct fclock_bitmap_id id = block_id(d, slice, slot);

	KUNIT_ASSERT_EQ(test, 0, fclock_bitmap_set(d->cache + at, &id, grain,
						   1));
}

/* Another owner has made a bit durable. */
static void other_sets(struct kunit *test, struct disk *d, u64 slice,
		       unsigned int slot, u32 grain)
{
	size_t at = fclock_bitmap_block(slice, slot) * FCLOCK_MD_BLOCK_SIZE;

	other_writes(test, d, slice, slot, grain);
	memcpy(d->media + at, d->cache + at, FCLOCK_MD_BLOCK_SIZE);
}

/* Another primary has written block 1 with @state, and died before it was durable. */
static void other_writes_super(struct kunit *test, struct disk *d, u64 state)
{
	struct fclock_super *sb = make_super(test, d);

	sb->state = state;
	fclock_super_encode(sb, d->cache + FCLOCK_MD_BLOCK_SIZE);
}

/* The state of the superblock, or an error. */
static long read_state(struct kunit *test, struct disk *d)
{
	struct fclock_super *sb = make_super(test, d);
	int r = fclock_md_read_super(d->md, sb);

	return r ?: sb->state;
}

/* ---- Cases ---- */

/* More blocks than a batch holds; what a commit that returned 0 has set is there. */
static void commit_is_durable(struct kunit *test)
{
	struct disk *d = test->priv;
	unsigned int slot;
	u64 slice;

	for (slice = 0; slice < SLICES; slice++)
		for (slot = 0; slot < FCLOCK_MAX_SLOTS; slot++)
			KUNIT_ASSERT_EQ(test, 0, set(d, slice, slot,
						     (slice + slot) % 4));
	KUNIT_ASSERT_EQ(test, 0, fclock_md_commit(d->md));
	for (slice = 0; slice < SLICES; slice++)
		for (slot = 0; slot < FCLOCK_MAX_SLOTS; slot++)
			KUNIT_ASSERT_EQ(test, on_media(d, slice, slot),
					1L << (slice + slot) % 4);
	lose_power(d);
	KUNIT_ASSERT_EQ(test, 0, fclock_md_start_owner(d->md));
	for (slice = 0; slice < SLICES; slice++)
		for (slot = 0; slot < FCLOCK_MAX_SLOTS; slot++)
			KUNIT_ASSERT_EQ(test, load(d, slice, slot),
					1L << (slice + slot) % 4);
}

/* What was read before another owner wrote is not trusted by a new start. */
static void start_forgets_reads(struct kunit *test)
{
	struct disk *d = test->priv;

	KUNIT_EXPECT_EQ(test, 0L, load(d, 3, 0));
	KUNIT_EXPECT_EQ(test, 0, set(d, 4, 0, 0));
	KUNIT_EXPECT_EQ(test, 0, fclock_md_commit(d->md));
	other_sets(test, d, 3, 0, 1);
	other_sets(test, d, 4, 0, 3);
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 2L, load(d, 3, 0));
	KUNIT_EXPECT_EQ(test, 9L, load(d, 4, 0));
	KUNIT_EXPECT_EQ(test, 0, set(d, 3, 0, 2));
	KUNIT_EXPECT_EQ(test, 0, fclock_md_commit(d->md));
	KUNIT_EXPECT_EQ(test, 6L, load(d, 3, 0));
}

/* A batch that failed is not written over what another owner has made of its block. */
static void start_forgets_batch(struct kunit *test)
{
	struct disk *d = test->priv;
	unsigned int writes;

	KUNIT_EXPECT_EQ(test, 0, set(d, 5, 1, 0));
	d->fail_writes = true;
	KUNIT_EXPECT_NE(test, 0, fclock_md_commit(d->md));
	d->fail_writes = false;
	other_sets(test, d, 5, 1, 2);
	writes = d->writes;
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 0, set(d, 6, 1, 1));
	KUNIT_EXPECT_EQ(test, 0, fclock_md_commit(d->md));
	KUNIT_EXPECT_EQ(test, writes + 1, d->writes);
	KUNIT_EXPECT_EQ(test, 4L, load(d, 5, 1));
	KUNIT_EXPECT_EQ(test, 2L, load(d, 6, 1));
}

/* Without a new start it is written again. */
static void failed_commit_again(struct kunit *test)
{
	struct disk *d = test->priv;

	KUNIT_EXPECT_EQ(test, 0, set(d, 5, 1, 0));
	d->fail_writes = true;
	KUNIT_EXPECT_NE(test, 0, fclock_md_commit(d->md));
	KUNIT_EXPECT_GT(test, 0L, load(d, 5, 1));
	d->fail_writes = false;
	KUNIT_EXPECT_EQ(test, 1L, load(d, 5, 1));
	lose_power(d);
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 1L, load(d, 5, 1));
}

/*
 * What an owner has read its clients may act on: a write to A on the word of a bit that
 * the next power cut takes away would be copied over the old grain after it.
 */
static void start_makes_durable(struct kunit *test)
{
	struct disk *d = test->priv;

	other_writes(test, d, 3, 0, 1);
	KUNIT_EXPECT_EQ(test, 0L, on_media(d, 3, 0));
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 2L, load(d, 3, 0));
	lose_power(d);
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 2L, load(d, 3, 0));
}

/* One flush for a start, and no start without it. */
static void start_flushes(struct kunit *test)
{
	struct disk *d = test->priv;
	unsigned int flushes = d->flushes;

	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, flushes + 1, d->flushes);
	d->fail_writes = true;
	KUNIT_EXPECT_NE(test, 0, fclock_md_start_owner(d->md));
	d->fail_writes = false;
	KUNIT_EXPECT_EQ(test, 0, fclock_md_start_owner(d->md));
	KUNIT_EXPECT_EQ(test, 0L, load(d, 0, 0));
}

/* By what a node has read of M it takes the role, or is told that it is moved. */
static void read_super_makes_durable(struct kunit *test)
{
	struct disk *d = test->priv;

	other_writes_super(test, d, 2);
	KUNIT_EXPECT_EQ(test, 2L, read_state(test, d));
	lose_power(d);
	KUNIT_EXPECT_EQ(test, 2L, read_state(test, d));
	d->fail_writes = true;
	KUNIT_EXPECT_GT(test, 0L, read_state(test, d));
	d->fail_writes = false;
}

/*
 * The write of one block is cut by a power failure before which the other one was not
 * durable, and its sectors as the one who wrote it died have reached the disk in part.
 */
static void torn_super_leaves_the_other(struct kunit *test)
{
	struct disk *d = test->priv;
	struct fclock_super *sb = make_super(test, d);

	other_writes_super(test, d, 2);
	memset(d->media + FCLOCK_MD_BLOCK_SIZE, 0xff, FCLOCK_MD_BLOCK_SIZE / 2);
	d->tear = true;
	sb->state = 3;
	KUNIT_EXPECT_NE(test, 0, fclock_md_write_super(d->md, sb));
	d->tear = false;
	lose_power(d);
	KUNIT_EXPECT_EQ(test, 2L, read_state(test, d));
}

/*
 * A primary that does not know yet that it is none: what another one has written stays, also
 * under the same state number, and so does what stands where that one grew to.
 */
static void newer_super_stays(struct kunit *test)
{
	size_t at = fclock_bitmap_block(SLICES / 2, 0) * FCLOCK_MD_BLOCK_SIZE;
	size_t len = FCLOCK_SUPER_BLOCKS * FCLOCK_MD_BLOCK_SIZE;
	struct disk *d = test->priv;
	struct fclock_super *sb = make_super(test, d);
	u8 *supers = kunit_kzalloc(test, len, GFP_KERNEL);
	unsigned int writes = d->writes;

	KUNIT_ASSERT_NOT_NULL(test, supers);
	other_writes_super(test, d, 5);
	memset(d->cache + at, 0xff, d->size - at);
	memcpy(supers, d->cache, len);
	for (sb->state = 4; sb->state <= 5; sb->state++) {
		KUNIT_EXPECT_EQ(test, -ESTALE, fclock_md_write_super(d->md, sb));
		KUNIT_EXPECT_EQ(test, -ESTALE,
				fclock_md_grow(d->md, sb, SLICES / 2));
	}
	KUNIT_EXPECT_EQ(test, writes, d->writes);
	KUNIT_EXPECT_EQ(test, 0, memcmp(supers, d->cache, len));
	KUNIT_EXPECT_PTR_EQ(test, NULL, memchr_inv(d->cache + at, 0xff,
						   d->size - at));
	KUNIT_EXPECT_EQ(test, 5L, read_state(test, d));

	/* the next number goes over the older one */
	KUNIT_EXPECT_EQ(test, 0, fclock_md_write_super(d->md, sb));
	KUNIT_EXPECT_EQ(test, 0, memcmp(supers + FCLOCK_MD_BLOCK_SIZE,
					d->cache + FCLOCK_MD_BLOCK_SIZE,
					FCLOCK_MD_BLOCK_SIZE));
	KUNIT_EXPECT_EQ(test, 6L, read_state(test, d));
}

/* Garbage stands where the volume grows to; it is gone when that has been said. */
static void grown_slices_are_durable(struct kunit *test)
{
	struct disk *d = test->priv;
	size_t at = fclock_bitmap_block(SLICES / 2, 0) * FCLOCK_MD_BLOCK_SIZE;
	struct fclock_super *sb = make_super(test, d);

	memset(d->media + at, 0xff, d->size - at);
	lose_power(d);
	sb->state = 2;
	KUNIT_EXPECT_EQ(test, 0, fclock_md_grow(d->md, sb, SLICES / 2));
	lose_power(d);
	KUNIT_EXPECT_PTR_EQ(test, NULL, memchr_inv(d->media + at, 0,
						   d->size - at));
	d->fail_writes = true;
	KUNIT_EXPECT_NE(test, 0, fclock_md_grow(d->md, sb, SLICES / 2));
	d->fail_writes = false;
}

/*
 * A shrinker, as that of a file system on A: it waits for I/O that waits for the
 * owner's start.
 */
struct reclaim {
	struct shrinker shrinker;
	struct work_struct start;
	struct completion started;
	struct disk *d;
	bool armed, stuck;
	int r;
};

static void reclaim_start(struct work_struct *work)
{
	struct reclaim *rc = container_of(work, struct reclaim, start);

	rc->r = fclock_md_start_owner(rc->d->md);
	complete_all(&rc->started);
}

static unsigned long reclaim_count(struct shrinker *s, struct shrink_control *sc)
{
	return container_of(s, struct reclaim, shrinker)->armed ? 1024 : 0;
}

static unsigned long reclaim_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct reclaim *rc = container_of(s, struct reclaim, shrinker);

	if (!rc->armed)
		return SHRINK_STOP;
	rc->armed = false;
	queue_work(system_unbound_wq, &rc->start);
	rc->stuck = !wait_for_completion_timeout(&rc->started, 5 * HZ);
	return SHRINK_STOP;
}

static void start_during_reclaim(struct kunit *test)
{
	struct reclaim *rc = kunit_kzalloc(test, sizeof(*rc), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rc);
	rc->d = test->priv;
	rc->armed = true;
	rc->r = -EINPROGRESS;
	INIT_WORK(&rc->start, reclaim_start);
	init_completion(&rc->started);
	rc->shrinker.count_objects = reclaim_count;
	rc->shrinker.scan_objects = reclaim_scan;
	rc->shrinker.seeks = DEFAULT_SEEKS;
	KUNIT_ASSERT_EQ(test, 0, register_shrinker(&rc->shrinker, "fclock-test"));
	drop_slab();
	KUNIT_EXPECT_FALSE(test, rc->armed);
	KUNIT_EXPECT_FALSE(test, rc->stuck);
	if (!rc->armed)
		wait_for_completion(&rc->started);
	KUNIT_EXPECT_EQ(test, 0, rc->r);
	unregister_shrinker(&rc->shrinker);
}

static struct kunit_case metadata_cases[] = {
	KUNIT_CASE(commit_is_durable),
	KUNIT_CASE(start_forgets_reads),
	KUNIT_CASE(start_forgets_batch),
	KUNIT_CASE(failed_commit_again),
	KUNIT_CASE(start_makes_durable),
	KUNIT_CASE(start_flushes),
	KUNIT_CASE(read_super_makes_durable),
	KUNIT_CASE(torn_super_leaves_the_other),
	KUNIT_CASE(newer_super_stays),
	KUNIT_CASE(grown_slices_are_durable),
	KUNIT_CASE(start_during_reclaim),
	{}
};

static struct kunit_suite metadata_suite = {
	.name = "fclock_metadata",
	.init = metadata_init,
	.exit = metadata_exit,
	.test_cases = metadata_cases,
};

kunit_test_suite(metadata_suite);
