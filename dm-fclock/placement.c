// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rendezvous hashing: every owner scores every slice, the highest score owns
 * it. An owner that comes or goes changes no other owner's scores, so a view
 * moves only the slices that it must. FCLOCK_WIRE_VERSION names this hash: all
 * nodes of a volume compute the same owners without a message.
 */
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/string.h>
#include "placement.h"

/* Odd, its bits without a pattern (2^64 over the golden ratio). */
#define FCLOCK_HASH_STEP	0x9e3779b97f4a7c15ULL

/* A bijection in which each input bit flips each output bit half the time. */
static u64 fclock_mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return x;
}

static u64 fclock_slice_hash(const u8 *uuid, u64 slice)
{
	__le64 half[2];
	u64 hash;

	memcpy(half, uuid, sizeof(half));
	hash = fclock_mix(le64_to_cpu(half[0]) + FCLOCK_HASH_STEP);
	hash = fclock_mix(hash ^ (le64_to_cpu(half[1]) + FCLOCK_HASH_STEP));
	return fclock_mix(hash ^ (slice + FCLOCK_HASH_STEP));
}

unsigned int fclock_owner_among(const u8 *uuid, u64 owners, u64 slice)
{
	u64 hash, score, best = 0;
	unsigned int id, owner = 0;

	/* None, or one that owns everything: nothing to hash. */
	if (!(owners & (owners - 1)))
		return owners ? ilog2(owners) + 1 : 0;

	hash = fclock_slice_hash(uuid, slice);
	for (; owners; owners &= owners - 1) {
		id = __ffs64(owners) + 1;
		score = fclock_mix(hash + id * FCLOCK_HASH_STEP);
		/* Strictly greater: a tie goes to the lower id. */
		if (!owner || score > best) {
			best = score;
			owner = id;
		}
	}
	return owner;
}

unsigned int fclock_slice_owner(const struct fclock_super *sb, u64 slice)
{
	return fclock_owner_among(sb->uuid, sb->owners, slice);
}
