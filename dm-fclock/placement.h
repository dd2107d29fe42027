/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which node owns a slice in a view. Reads the owner list of the superblock and
 * never the primary field.
 */
#ifndef FCLOCK_PLACEMENT_H
#define FCLOCK_PLACEMENT_H

#include "ondisk.h"

/**
 * fclock_slice_owner - node id (1..64) of the owner of a slice, 0: no owner
 *
 * Rendezvous hashing of (volume UUID, slice, node id) over @sb->owners: a view
 * moves only the slices of owners that came or went.
 */
unsigned int fclock_slice_owner(const struct fclock_super *sb, u64 slice);

/* The same for the volume @uuid if @owners (bit id - 1) owned. */
unsigned int fclock_owner_among(const u8 *uuid, u64 owners, u64 slice);

#endif
