// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios. A bio whose grains are all known to be split goes to its device at once:
 * no lock, no message, nothing shared written. Every other one waits in the core,
 * comes back with a verdict about its front part, and is cut there if that is
 * not all of it.
 */
#include "trace.h"
#include "volume.h"

#define FCLOCK_MIN_PIECES	64

/**
 * struct fclock_bio - per-bio data
 * @gate: the bio counts there, NULL: it does not
 * @second: the second flush of a copy, which is A's
 * @image: it went to A, for what the copy shows of it
 * @granted: went whole with the verdict GO: fclock_client_done() at its end
 * @cut: parts of it were issued as pieces, and so will be the rest
 * @whole: what the bio was before it was cut
 * @status: first error of a piece, or BLK_STS_DM_REQUEUE: a blk_status_t, in a word as
 *	some machines cannot exchange a single byte
 * @pending: pieces in flight, and one for the part that still waits
 */
struct fclock_bio {
	struct fclock_waiter waiter;
	struct fclock_target *t;
	struct percpu_ref *gate;
	bool second;
	bool image;
	bool granted;
	bool cut;
	struct bvec_iter whole;
	unsigned int status;
	atomic_t pending;
};

/* A part of a bio that was cut; made from volume->pieces. */
struct fclock_piece {
	struct fclock_bio *io;
	struct fclock_object *lock;
	struct bio bio;			/* last: its vectors are the original's */
};

size_t fclock_io_size(void)
{
	return sizeof(struct fclock_bio);
}

int fclock_io_init(struct fclock_volume *v)
{
	return bioset_init(&v->pieces, FCLOCK_MIN_PIECES,
			   offsetof(struct fclock_piece, bio), 0);
}

void fclock_io_exit(struct fclock_volume *v)
{
	bioset_exit(&v->pieces);
}

static struct bio *bio_of(struct fclock_bio *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

static void trace_io(struct fclock_bio *io, enum fclock_trace_bio what, u64 last)
{
	trace_fclock_bio(io->t->volume->node, what, io->waiter.target,
			 io->waiter.first, last);
}

/* ------------------------------------------------------- the hit path */

/*
 * Beyond the volume (the table is longer while a resize has not come yet), or beyond what the copy
 * covers. Whole grains need no lock. Of a copy it is known only behind its gate: while that
 * has no slot yet, or no state, its limit says nothing.
 */
static bool is_beyond(struct fclock_volume *v, const struct fclock_bio *io,
		      unsigned int map)
{
	u64 limit, end = io->waiter.end;
	unsigned long flags;

	if (likely(io->waiter.last < READ_ONCE(v->core->whole[map])))
		return false;
	spin_lock_irqsave(&v->lock, flags);
	limit = v->core->limit[map];
	spin_unlock_irqrestore(&v->lock, flags);
	if (end <= limit)
		return false;
	if (map == FCLOCK_CACHE_A)
		DMERR_LIMIT("node %u: I/O up to sector %llu of %pg: the volume has %llu until it is resized",
			    v->node, end, v->origin, limit);
	else
		DMERR_LIMIT("node %u: I/O up to sector %llu of slot %u: its copy has %llu",
			    v->node, end, map, limit);
	return true;
}

/*
 * Is the bio free to go? If so it is counted at its gate; -EIO: it is to fail at
 * once; -EAGAIN: the core has to be asked.
 *
 * Counted first, looked up after that: whoever closes the gate and waits for it
 * knows that no bio is under way by what the cache said before.
 */
static int pass_gate(struct fclock_volume *v, struct fclock_bio *io,
		     unsigned int map)
{
	struct percpu_ref *gate = &v->gate[map].ref;
	int r = -EAGAIN;

	if (!percpu_ref_tryget_live(gate))
		return -EAGAIN;
	/*
	 * Pairs with the release that ends percpu_ref_resurrect(): a gate
	 * seen open again must not be followed by a cache from before.
	 */
	smp_rmb();
	/* pairs with fclock_update_paths(): a path is not seen before its limit */
	switch (smp_load_acquire(&v->core->path[map])) {
	case FCLOCK_PATH_PASS:
		r = 0;
		break;
	case FCLOCK_PATH_CACHE:
		if (!fclock_cache_covers(&v->core->cache, map,
					 io->waiter.first, io->waiter.last))
			break;
		this_cpu_inc(v->hits->hits);
		r = 0;
		break;
	case FCLOCK_PATH_FAIL:
		r = -EIO;
		break;
	}
	if (!r && map != FCLOCK_CACHE_A && is_beyond(v, io, map))
		r = -EIO;
	if (r)
		percpu_ref_put(gate);
	else
		io->gate = gate;
	return r;
}

/* Which I/O it is for the core; -EOPNOTSUPP: not ours. */
static int classify(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return FCLOCK_IO_READ;
	case REQ_OP_WRITE:
	case REQ_OP_WRITE_ZEROES:
		return FCLOCK_IO_WRITE;
	case REQ_OP_DISCARD:
		return FCLOCK_IO_DISCARD;
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * A noflush suspend sets its mark before presuspend, which takes the lock and
 * calls every waiter back: looked at under the lock, nobody slips through.
 */
static int submit_waiter(struct fclock_bio *io)
{
	struct fclock_volume *v = io->t->volume;
	unsigned long flags;
	int r = -EAGAIN;

	spin_lock_irqsave(&v->lock, flags);
	if (!dm_noflush_suspending(io->t->ti)) {
		fclock_client_submit(v->core, &io->waiter);
		r = 0;
	}
	spin_unlock_irqrestore(&v->lock, flags);
	return r;
}

/*
 * What a copy shows of its unsplit grains stands on A, perhaps in a volatile cache, so a
 * flush of the copy makes that durable as well. Once after a trigger is enough: as
 * long as a grain is unsplit it does not change on A. A copy that is complete has nothing
 * there, and A may have failed. The caller counts as in flight, so no trigger comes between
 * the look at the path, the flush and the mark.
 */
static bool flushes_image(struct fclock_volume *v, unsigned int map, u8 path)
{
	return path == FCLOCK_PATH_CACHE && !test_bit(map, &v->image_flushed);
}

/* The first flush of a copy goes to its device. */
static bool flushes_copy(struct fclock_bio *io, u8 path)
{
	return !io->second && (path == FCLOCK_PATH_PASS ||
			       path == FCLOCK_PATH_CACHE);
}

/* Behind its open gate; -EAGAIN: the core has to be asked. */
static int pass_flush(struct fclock_target *t, struct fclock_bio *io,
		      struct bio *bio)
{
	struct fclock_volume *v = t->volume;
	struct percpu_ref *gate = &v->gate[t->map].ref;
	int r = -EAGAIN;
	u8 path;

	if (!percpu_ref_tryget_live(gate))
		return r;
	/* as in pass_gate() */
	smp_rmb();
	path = READ_ONCE(v->core->path[t->map]);
	if (io->second && flushes_image(v, t->map, path)) {
		bio_set_dev(bio, t->origin->bdev);
		io->image = true;
		r = DM_MAPIO_REMAPPED;
	} else if (flushes_copy(io, path)) {
		r = DM_MAPIO_REMAPPED;
	} else if (path == FCLOCK_PATH_FAIL) {
		r = DM_MAPIO_KILL;
	} else if (path != FCLOCK_PATH_CORE) {
		r = DM_MAPIO_SUBMITTED;
	}
	if (r == DM_MAPIO_REMAPPED)
		io->gate = gate;
	else
		percpu_ref_put(gate);
	if (r == DM_MAPIO_SUBMITTED)
		bio_endio(bio);
	return r;
}

/*
 * Everything on M that flushed data depends on is durable already, so a flush is
 * only the devices': dm sends a second one of a copy, for A. One of A passes closed
 * gates, too. A copy device is left alone while its slot is idle or offline, and behind
 * a closed gate, or before this node takes part, both flushes wait as all other I/O does:
 * when a stop has ended none may be under way.
 */
static int map_flush(struct fclock_target *t, struct fclock_bio *io,
		     struct bio *bio)
{
	int r;

	if (t->target == FCLOCK_TARGET_A)
		return DM_MAPIO_REMAPPED;
	io->t = t;
	io->second = dm_bio_get_target_bio_nr(bio);
	r = pass_flush(t, io, bio);
	if (r != -EAGAIN)
		return r;
	io->waiter.target = t->target;
	io->waiter.io = FCLOCK_IO_FLUSH;
	io->waiter.first = 0;
	io->waiter.last = 0;
	io->waiter.end = 0;
	return submit_waiter(io) ? DM_MAPIO_REQUEUE : DM_MAPIO_SUBMITTED;
}

static int map_miss(struct fclock_target *t, struct fclock_bio *io,
		    struct bio *bio)
{
	if (bio->bi_opf & REQ_NOWAIT) {
		bio_wouldblock_error(bio);
		return DM_MAPIO_SUBMITTED;
	}
	/* who polls would poll the device that this bio is not sent to yet */
	bio_clear_polled(bio);
	this_cpu_inc(t->volume->hits->misses);
	trace_io(io, FCLOCK_TB_WAIT, io->waiter.last);
	/* once submitted the bio may be gone: nothing of it is touched */
	return submit_waiter(io) ? DM_MAPIO_REQUEUE : DM_MAPIO_SUBMITTED;
}

int fclock_io_map(struct dm_target *ti, struct bio *bio)
{
	struct fclock_target *t = ti->private;
	struct fclock_volume *v = t->volume;
	struct fclock_bio *io = dm_per_bio_data(bio, sizeof(*io));
	int kind = classify(bio);

	io->gate = NULL;
	io->second = false;
	io->image = false;
	io->granted = false;
	io->cut = false;
	bio_set_dev(bio, t->dev->bdev);
	if (!bio_sectors(bio))
		return map_flush(t, io, bio);
	io->waiter.first = bio->bi_iter.bi_sector >> v->grain_shift;
	io->waiter.last = (bio_end_sector(bio) - 1) >> v->grain_shift;
	io->waiter.end = bio_end_sector(bio);
	if (kind < 0 ||
	    (t->target == FCLOCK_TARGET_A && is_beyond(v, io, t->map)))
		return DM_MAPIO_KILL;
	if (t->target == FCLOCK_TARGET_A && kind == FCLOCK_IO_READ)
		return DM_MAPIO_REMAPPED;

	io->t = t;
	io->waiter.target = t->target;
	io->waiter.io = kind;
	switch (pass_gate(v, io, t->map)) {
	case 0:
		/* its end must not wait until somebody polls: gates wait for it */
		bio_clear_polled(bio);
		return DM_MAPIO_REMAPPED;
	case -EIO:
		return DM_MAPIO_KILL;
	}
	return map_miss(t, io, bio);
}

static void io_done(struct fclock_volume *v, struct fclock_object *lock)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_client_done(v->core, lock);
	spin_unlock_irqrestore(&v->lock, flags);
}

int fclock_io_end(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct fclock_bio *io = dm_per_bio_data(bio, sizeof(*io));

	/* while it still counts as in flight */
	if (io->image && !*error)
		set_bit(io->t->map, &io->t->volume->image_flushed);
	if (io->gate) {
		percpu_ref_put(io->gate);
		io->gate = NULL;
	} else if (io->granted) {
		io->granted = false;
		io_done(io->t->volume, io->waiter.lock);
	}
	return DM_ENDIO_DONE;
}

/* ------------------------------------------------------- with a verdict */

static void end_bio(struct fclock_bio *io, blk_status_t status)
{
	struct bio *bio = bio_of(io);

	bio->bi_status = status;
	bio_endio(bio);
}

static void note_status(struct fclock_bio *io, blk_status_t status)
{
	if (!status)
		return;
	/*
	 * Given back to dm means that all of it is done again later, so an
	 * error of a part says nothing any more.
	 */
	if (status == BLK_STS_DM_REQUEUE)
		WRITE_ONCE(io->status, (__force unsigned int)status);
	else
		cmpxchg(&io->status, 0, (__force unsigned int)status);
}

/*
 * A noflush suspend wants the bio back, all of it. dm takes it while that suspend goes on, and
 * makes an I/O error of it when the suspend was interrupted meanwhile: then it begins anew.
 */
static void give_back(struct fclock_bio *io)
{
	struct bio *bio = bio_of(io);

	if (io->cut) {
		bio->bi_iter = io->whole;
		io->waiter.first = bio->bi_iter.bi_sector >>
				   io->t->volume->grain_shift;
		io->cut = false;
	}
	if (submit_waiter(io))
		end_bio(io, BLK_STS_DM_REQUEUE);
}

static void put_part(struct fclock_bio *io)
{
	blk_status_t status;

	if (!atomic_dec_and_test(&io->pending))
		return;
	status = (__force blk_status_t)io->status;
	if (status == BLK_STS_DM_REQUEUE)
		give_back(io);
	else
		end_bio(io, status);
}

static void piece_endio(struct bio *bio)
{
	struct fclock_piece *piece =
		container_of(bio, struct fclock_piece, bio);
	struct fclock_bio *io = piece->io;

	io_done(io->t->volume, piece->lock);
	note_status(io, bio->bi_status);
	bio_put(bio);
	put_part(io);
}

static struct block_device *device_for(const struct fclock_bio *io)
{
	struct fclock_target *t = io->t;

	if (io->second)
		return t->origin->bdev;
	return io->waiter.verdict == FCLOCK_GO_SHARED ?
		t->volume->origin : t->dev->bdev;
}

/*
 * A second flush that has waited, and still counts as in flight. The lists of the members may
 * have become disputed since its verdict: what the path does not tell is flushed.
 */
static bool is_to_image(struct fclock_bio *io)
{
	struct fclock_volume *v = io->t->volume;
	unsigned int map = io->t->map;
	u8 path = READ_ONCE(v->core->path[map]);

	io->image = flushes_image(v, map, path);
	return io->image || path == FCLOCK_PATH_CORE;
}

/* The whole bio, uncut. */
static void finish_whole(struct fclock_bio *io)
{
	struct bio *bio = bio_of(io);
	u64 last = io->waiter.last;

	switch (io->waiter.verdict) {
	case FCLOCK_GO:
	case FCLOCK_GO_SHARED:
		trace_io(io, FCLOCK_TB_GO, last);
		io->granted = true;
		if (io->second && !is_to_image(io)) {
			end_bio(io, BLK_STS_OK);
			return;
		}
		bio_set_dev(bio, device_for(io));
		dm_submit_bio_remap(bio, NULL);
		return;
	case FCLOCK_NO_EFFECT:
		trace_io(io, FCLOCK_TB_GO, last);
		end_bio(io, BLK_STS_OK);
		return;
	case FCLOCK_REQUEUE:
		trace_io(io, FCLOCK_TB_REQUEUE, last);
		give_back(io);
		return;
	default:
		trace_io(io, FCLOCK_TB_FAIL, last);
		end_bio(io, BLK_STS_IOERR);
	}
}

/*
 * Issues @sectors from the front of what is left of the bio as a piece. The
 * caller's reference in @pending keeps the bio.
 */
static void issue_piece(struct fclock_bio *io, unsigned int sectors)
{
	struct fclock_volume *v = io->t->volume;
	struct bio *bio = bio_of(io), *part;
	struct fclock_piece *piece;

	/* waits for a piece that is in flight, if need be: never fails */
	part = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOIO, &v->pieces);
	part->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	piece = container_of(part, struct fclock_piece, bio);
	piece->io = io;
	piece->lock = io->waiter.lock;
	part->bi_end_io = piece_endio;
	bio_set_dev(part, device_for(io));
	atomic_inc(&io->pending);
	dm_submit_bio_remap(bio, part);
}

/* What the verdict says about @sectors from the front, of a bio that is cut. */
static void finish_part(struct fclock_bio *io, unsigned int sectors)
{
	switch (io->waiter.verdict) {
	case FCLOCK_GO:
	case FCLOCK_GO_SHARED:
		issue_piece(io, sectors);
		return;
	case FCLOCK_NO_EFFECT:
		return;
	case FCLOCK_REQUEUE:
		note_status(io, BLK_STS_DM_REQUEUE);
		return;
	default:
		note_status(io, BLK_STS_IOERR);
	}
}

/*
 * Cuts the front part off and asks again for the rest.
 *
 * A noflush suspend gives the rest back while pieces may be in flight or done. dm
 * then issues the whole bio again, which is harmless: nobody was told that any of
 * it is done, and a write that comes twice is the same write.
 */
static void finish_front(struct fclock_bio *io)
{
	struct fclock_volume *v = io->t->volume;
	struct fclock_waiter *w = &io->waiter;
	struct bio *bio = bio_of(io);
	unsigned int sectors;

	sectors = ((w->first + w->count) << v->grain_shift) -
		bio->bi_iter.bi_sector;
	trace_io(io, FCLOCK_TB_CUT, w->first + w->count - 1);
	if (!io->cut) {
		io->cut = true;
		io->whole = bio->bi_iter;
		io->status = 0;
		atomic_set(&io->pending, 1);
	}
	finish_part(io, sectors);
	bio_advance(bio, sectors << SECTOR_SHIFT);
	w->first += w->count;
	if (submit_waiter(io)) {
		note_status(io, BLK_STS_DM_REQUEUE);
		put_part(io);
	}
}

static void finish_waiter(struct fclock_bio *io)
{
	struct fclock_waiter *w = &io->waiter;

	/* errors and requeues are about all that is left */
	if (w->count <= w->last - w->first &&
	    w->verdict != FCLOCK_REQUEUE) {
		finish_front(io);
	} else if (io->cut) {
		finish_part(io, bio_sectors(bio_of(io)));
		put_part(io);
	} else {
		finish_whole(io);
	}
}

void fclock_io_wake_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, wake_work);
	struct fclock_waiter *w, *next;
	struct blk_plug plug;
	unsigned long flags;
	LIST_HEAD(woken);

	spin_lock_irqsave(&v->lock, flags);
	list_splice_init(&v->woken, &woken);
	spin_unlock_irqrestore(&v->lock, flags);
	blk_start_plug(&plug);
	list_for_each_entry_safe(w, next, &woken, list) {
		/* submit_waiter() puts it on a list of the core again */
		list_del_init(&w->list);
		finish_waiter(container_of(w, struct fclock_bio, waiter));
	}
	blk_finish_plug(&plug);
}
