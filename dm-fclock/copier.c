// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies grains from A to the copy devices with dm-kcopyd.
 */
#include <linux/bitops.h>
#include <linux/device-mapper.h>
#include <linux/dm-kcopyd.h>
#include <linux/slab.h>

#include "compat.h"
#include "fault.h"
#include "copier.h"

#define DM_MSG_PREFIX "fclock"

/**
 * struct fclock_copier - made and freed by the volume
 * @kcopyd: reads once, writes to up to DM_KCOPYD_MAX_REGIONS devices
 * @wq: starts the second and later kcopyd jobs of one copy. Not kcopyd's own
 *	thread: that would wait for a job of the reserve which only this thread
 *	gives back
 */
struct fclock_copier {
	struct dm_kcopyd_client *kcopyd;
	struct workqueue_struct *wq;
};

/* The next slots to copy at once: the lowest of @todo. */
static u16 next_batch(u16 todo, bool single)
{
	unsigned int n = single ? 1 : DM_KCOPYD_MAX_REGIONS;
	u16 batch = 0;

	while (todo && n--) {
		batch |= todo & -todo;
		todo &= todo - 1;
	}

	return batch;
}

/*
 * What a kcopyd job of @job->batch came to. An error among several devices leaves
 * all of them in doubt (a job that is cut in pieces stops at the first error),
 * so from then on the copy goes slot by slot.
 */
static void account(struct fclock_copy_job *job, int read_err,
		    unsigned long write_err)
{
	if (read_err) {
		job->read_error = true;
		job->failed = job->slots;
		job->todo = 0;
	} else if (write_err && hweight16(job->batch) == 1) {
		job->failed |= job->batch;
	} else if (write_err) {
		job->todo |= job->batch;
		job->single = true;
	}
}

/* In kcopyd's thread. */
static void copied(int read_err, unsigned long write_err, void *context)
{
	struct fclock_copy_job *job = context;

	read_err |= fclock_fault(FCLOCK_FAULT_COPY_READ);
	write_err |= fclock_fault(FCLOCK_FAULT_COPY_WRITE);
	account(job, read_err, write_err);
	if (job->todo)
		queue_work(job->copier->wq, &job->next);
	else
		job->done(job);
}

static void copy_batch(struct fclock_copy_job *job)
{
	struct dm_io_region from = {
		.bdev = job->src,
		.sector = job->sector,
		.count = job->count,
	};
	struct dm_io_region to[DM_KCOPYD_MAX_REGIONS];
	unsigned long batch;
	unsigned int slot, n = 0;

	fclock_delay(FCLOCK_DELAY_COPY);
	job->batch = next_batch(job->todo, job->single);
	job->todo &= ~job->batch;

	batch = job->batch;
	for_each_set_bit(slot, &batch, FCLOCK_MAX_SLOTS) {
		to[n] = from;
		to[n++].bdev = job->dst[slot];
	}

	dm_kcopyd_copy(job->copier->kcopyd, &from, n, to, 0, copied, job);
}

static void copy_next(struct work_struct *work)
{
	copy_batch(container_of(work, struct fclock_copy_job, next));
}

void fclock_copy_start(struct fclock_copier *copier,
		       struct fclock_copy_job *job)
{
	job->copier = copier;
	job->read_error = false;
	job->failed = 0;
	job->todo = job->slots;
	job->single = false;
	INIT_WORK(&job->next, copy_next);

	if (WARN_ON_ONCE(!job->slots)) {
		job->done(job);
		return;
	}
	copy_batch(job);
}

struct fclock_copier *fclock_copier_create(void)
{
	struct fclock_copier *copier;
	int r;

	copier = kzalloc(sizeof(*copier), GFP_KERNEL);
	if (!copier)
		return ERR_PTR(-ENOMEM);

	copier->wq = alloc_workqueue("fclock-copy",
				     WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!copier->wq) {
		r = -ENOMEM;
		goto out_with_copier;
	}

	copier->kcopyd = dm_kcopyd_client_create(NULL);
	if (IS_ERR(copier->kcopyd)) {
		r = PTR_ERR(copier->kcopyd);
		goto out_with_wq;
	}

	return copier;

out_with_wq:
	destroy_workqueue(copier->wq);
out_with_copier:
	kfree(copier);
	return ERR_PTR(r);
}

void fclock_copier_destroy(struct fclock_copier *copier)
{
	/* kcopyd still counts a job for a moment after its callback. */
	dm_kcopyd_client_destroy(copier->kcopyd);
	destroy_workqueue(copier->wq);
	kfree(copier);
}
