/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies grains from A to up to 16 copy devices with dm-kcopyd.
 */
#ifndef FCLOCK_COPIER_H
#define FCLOCK_COPIER_H

#include <linux/blkdev.h>
#include <linux/workqueue.h>
#include "ondisk.h"

struct fclock_copier;

/**
 * struct fclock_copy_job - one copy, embedded in the caller's object
 * @copier: set by fclock_copy_start()
 * @src: A
 * @sector: of A and of every B
 * @count: sectors
 * @dst: copy devices, index slot; only entries of @slots are read
 * @slots: bit s: copy to dst[s]
 * @done: called once, in kcopyd's thread: may not sleep and may not start a copy
 *	itself. The job is the caller's again. Must be set before the start
 * @read_error: A could not be read (nothing is known to be complete)
 * @failed: bit s: the copy on slot s is not certain to be complete
 * @todo: the copier's own: slots not yet copied
 * @batch: the copier's own: slots of the kcopyd job under way
 * @single: the copier's own: one slot at a time after an error
 * @next: the copier's own: starts the kcopyd job after the first one
 *
 * kcopyd takes 8 destinations, so more slots are copied in two jobs; with several
 * destinations and an error, slots whose completeness is in doubt are copied again
 * one by one before @done, so @failed names only slots that really fail.
 *
 * The object must live until @done; who embeds it owns it. Between start and
 * @done only the copier touches it.
 */
struct fclock_copy_job {
	struct fclock_copier *copier;
	struct block_device *src;
	sector_t sector;
	sector_t count;
	struct block_device *dst[FCLOCK_MAX_SLOTS];
	u16 slots;
	void (*done)(struct fclock_copy_job *job);
	bool read_error;
	u16 failed;
	u16 todo;
	u16 batch;
	bool single;
	struct work_struct next;
};

/* May sleep. Return: the copier or ERR_PTR. */
struct fclock_copier *fclock_copier_create(void);
/* All jobs have called done(). May sleep. */
void fclock_copier_destroy(struct fclock_copier *copier);
/**
 * fclock_copy_start - copy @job->count sectors of A to every slot of @job->slots
 * @copier: whose kcopyd
 * @job: filled in up to @done; @slots is not empty
 *
 * Never fails; completes through @job->done. The copies are not flushed.
 *
 * Context: may sleep for a job of kcopyd's reserve, which others' completions
 * give back; a workqueue will do, @done of another job will not.
 */
void fclock_copy_start(struct fclock_copier *copier,
		       struct fclock_copy_job *job);

#endif
