/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults and delays on request, for tests: only in kernels with fault injection
 * in debugfs, no code in others. See fault.c.
 */
#ifndef FCLOCK_FAULT_H
#define FCLOCK_FAULT_H

#include <linux/types.h>

enum fclock_fault {
	/* fail */
	FCLOCK_FAULT_RECEIVE,	/* a frame is lost, and its connection */
	FCLOCK_FAULT_SEND,	/* nothing more can be sent on a connection */
	FCLOCK_FAULT_DUPLICATE,	/* a frame comes twice */
	FCLOCK_FAULT_SUPER,	/* a superblock is not written */
	FCLOCK_FAULT_SUPER_LATE, /* it is written, and its write fails */
	FCLOCK_FAULT_COMMIT,	/* bitmaps are not written */
	FCLOCK_FAULT_COMMIT_LATE, /* they are written, and the commit fails */
	FCLOCK_FAULT_LOAD,	/* a bitmap cannot be read */
	FCLOCK_FAULT_COPY_READ,	/* A cannot be read by a copy */
	FCLOCK_FAULT_COPY_WRITE, /* one of its copy devices cannot be written */
	FCLOCK_FAULT_FLUSH,	/* a copy device cannot be flushed */
	/* delay */
	FCLOCK_DELAY_RECEIVE,	/* a frame that has come */
	FCLOCK_DELAY_SEND,	/* frames to be sent */
	FCLOCK_DELAY_GATE,	/* gates to be closed or opened */
	FCLOCK_DELAY_SUPER,	/* a superblock to be written */
	FCLOCK_DELAY_COMMIT,	/* a commit */
	FCLOCK_DELAY_COPY,	/* a copy */
	FCLOCK_FAULTS
};

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS

/* Is it to fail now? In any context. */
bool fclock_fault(enum fclock_fault what);
/* Sleeps if it is to be late. */
void fclock_delay(enum fclock_fault what);
void fclock_fault_init(void);
void fclock_fault_exit(void);

#else

static inline bool fclock_fault(enum fclock_fault what)
{
	return false;
}

static inline void fclock_delay(enum fclock_fault what)
{
}

static inline void fclock_fault_init(void)
{
}

static inline void fclock_fault_exit(void)
{
}

#endif
#endif
