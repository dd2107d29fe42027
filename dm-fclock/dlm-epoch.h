/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How lists of DLM become members lists: pure functions, for dlm.c and its tests.
 *
 * The epoch of a list is base + generation, both DLM's:
 *
 * generation
 *	the number that DLM gives with a list, from 1. A list is given to nobody
 *	before all nodes in it have its generation, and the next recovery takes
 *	the highest one that any of its nodes has, plus one. So under one
 *	generation there is one list, as long as one node that was given any list
 *	stays. When none stays, numbers may begin anew.
 *
 * base
 *	a number in the value block of a DLM lock, which each node holds in PR (protected
 *	read) from before its volume starts until after its volume has gone. Who finds
 *	no valid value block makes one while it holds the lock in EX (exclusive): the
 *	epoch on M, read then.
 *
 * Why no two lists that anybody still knows ever have one epoch:
 *
 *   1. A node whose volume runs holds PR, so nobody gets EX, and a lock that is
 *	held in PR keeps its value block when its master dies: the block is taken from a
 *	holder. So all who run have one base, and a base is made only while
 *	nobody runs: all who ran are fenced, or have ended their I/O and left.
 *   2. With one base, different lists have different generations.
 *   3. What those who do not run any more have left of their epochs is on M. It was
 *	written before they left or were fenced, so whoever makes a base has read it:
 *	a new epoch, base + generation with generation > 0, is above all of it. An
 *	epoch that was not written is known to nobody.
 *
 * A node that makes a base and dies before it has shown the lock's value block to others
 * invalidates it, and the next one begins again, with 1 to 3 as they are.
 */
#ifndef FCLOCK_DLM_EPOCH_H
#define FCLOCK_DLM_EPOCH_H

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <asm/byteorder.h>
#include "ondisk.h"

#define FCLOCK_LVB_MAGIC	0x66636c76	/* "fclv" */
#define FCLOCK_LVB_VERSION	1
/* With a greater one a list's epoch could be above all that is believed. */
#define FCLOCK_BASE_MAX		(FCLOCK_EPOCH_MAX - (u32)~0)

/* The value block; all nodes must agree on its size to be in one lockspace. */
struct fclock_lvb {
	__le32 magic;
	__le32 version;
	__le64 base;
	__le64 not_base;		/* ~base: a block of zeros or of dust says nothing */
	__le64 reserved;
};

static_assert(sizeof(struct fclock_lvb) == 32);

static inline void fclock_lvb_encode(struct fclock_lvb *lvb, u64 base)
{
	*lvb = (struct fclock_lvb) {
		.magic = cpu_to_le32(FCLOCK_LVB_MAGIC),
		.version = cpu_to_le32(FCLOCK_LVB_VERSION),
		.base = cpu_to_le64(base),
		.not_base = cpu_to_le64(~base),
	};
}

/* @lost: DLM says that the block may be old. Return: there is a base, in *@base. */
static inline bool fclock_lvb_decode(const struct fclock_lvb *lvb, bool lost,
				     u64 *base)
{
	if (lost || lvb->magic != cpu_to_le32(FCLOCK_LVB_MAGIC) ||
	    lvb->version != cpu_to_le32(FCLOCK_LVB_VERSION) ||
	    lvb->base != ~lvb->not_base ||
	    le64_to_cpu(lvb->base) > FCLOCK_BASE_MAX)
		return false;
	*base = le64_to_cpu(lvb->base);
	return true;
}

/* What to do next with the lock; dlm.c does it and says how it went. */
enum fclock_base_step {
	FCLOCK_BASE_PR,			/* ask for PR, wait, read the block */
	FCLOCK_BASE_NL,			/* give PR up */
	FCLOCK_BASE_EX,			/* ask for EX, do not wait; read the block */
	FCLOCK_BASE_MAKE,		/* read M, put its epoch into the block */
	FCLOCK_BASE_SHOW,		/* from EX to PR: writes the block */
	FCLOCK_BASE_UNMADE,		/* from EX to NL: writes nothing */
	FCLOCK_BASE_DONE,		/* PR is held and there is a base */
	FCLOCK_BASE_FAILED,
};

/**
 * fclock_base_next - the step that follows
 * @r: of @step: 0 or an error
 * @valid: the block that PR or EX has read holds a base
 *
 * It ends with the lock in PR and a base that all who hold it have. EX is never waited
 * for: whoever holds PR may do so for years. And PR without a base is given up at
 * once, so that one of those who do the same gets EX.
 */
static inline enum fclock_base_step
fclock_base_next(enum fclock_base_step step, int r, bool valid)
{
	switch (step) {
	case FCLOCK_BASE_PR:
		if (r)
			return FCLOCK_BASE_FAILED;
		return valid ? FCLOCK_BASE_DONE : FCLOCK_BASE_NL;
	case FCLOCK_BASE_NL:
		return r ? FCLOCK_BASE_FAILED : FCLOCK_BASE_EX;
	case FCLOCK_BASE_EX:
		if (r)
			return r == -EAGAIN ? FCLOCK_BASE_PR :
			       FCLOCK_BASE_FAILED;
		return valid ? FCLOCK_BASE_SHOW : FCLOCK_BASE_MAKE;
	case FCLOCK_BASE_MAKE:
		return r ? FCLOCK_BASE_UNMADE : FCLOCK_BASE_SHOW;
	case FCLOCK_BASE_SHOW:
		return r ? FCLOCK_BASE_FAILED : FCLOCK_BASE_DONE;
	default:
		return FCLOCK_BASE_FAILED;
	}
}

static inline u64 fclock_dlm_epoch(u64 base, u32 generation)
{
	return base + generation;
}

/* A DLM node as bit (id - 1); 0: no node of fclock can have that id. */
static inline u64 fclock_dlm_bit(int nodeid)
{
	if (nodeid < 1 || nodeid > FCLOCK_MAX_NODES)
		return 0;
	return 1ULL << (nodeid - 1);
}

#endif
