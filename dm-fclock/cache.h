/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confirmations (claims 1, 3 to 6): for the origin and for each slot, the runs of
 * grains known to be split in the current generation. Lookups are lock-free
 * under RCU and write no shared cache line; a lookup may miss what is there
 * (false negative) and never hits what is not. Changes happen under the
 * caller's lock. Any run may be forgotten at any time.
 */
#ifndef FCLOCK_CACHE_H
#define FCLOCK_CACHE_H

#include <linux/types.h>
#include <linux/rbtree.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include "ondisk.h"

#define FCLOCK_CACHE_A		FCLOCK_MAX_SLOTS	/* index of A's map */
#define FCLOCK_CACHE_MAPS	(FCLOCK_MAX_SLOTS + 1)

struct fclock_cache_map {
	/* Runs by first grain; disjoint, not adjacent. Writers hold *lock. */
	struct rb_root root;
};

struct fclock_cache {
	struct fclock_cache_map map[FCLOCK_CACHE_MAPS];
	spinlock_t *lock;		/* the core's lock */
	struct list_head runs;		/* all runs, for the clock hand. *lock */
	u64 limit;			/* bytes, ~0ull: none; 0: cache nothing. *lock */
	u64 bytes;			/* all structures. *lock, read anywhere with READ_ONCE */
	u64 nr_runs;			/* *lock, ditto */
	u64 discards;			/* runs forgotten (limit, shrinker, drop_cache). *lock */
	/* Runs of a map that was dropped are freed later: their era has ended. *lock */
	u64 nr_dead;			/* of those; neither in @nr_runs nor in @bytes */
	u64 map_runs[FCLOCK_CACHE_MAPS];
	u32 era[FCLOCK_CACHE_MAPS];
};

/* @lock: held by the caller of every function that changes the cache. */
void fclock_cache_init(struct fclock_cache *cache, spinlock_t *lock, u64 limit);
/*
 * Forget everything and wait for nothing: runs are freed after a grace period.
 * With *lock held, or when nobody else changes the cache any more.
 */
void fclock_cache_exit(struct fclock_cache *cache);

/**
 * fclock_cache_covers - are all grains [first, last] confirmed?
 * Context: any; takes rcu_read_lock() itself. No lock needed; never writes
 * shared memory except one flag of the run that was clear (clock eviction).
 */
bool fclock_cache_covers(struct fclock_cache *cache, unsigned int map,
			 u64 first, u64 last);
/**
 * fclock_cache_run - kind and extent of what starts at @first
 * @confirmed: set to whether @first is confirmed
 *
 * Return: the last grain of [first, last] that has the same answer as @first, that is
 * the end of the confirmed run, or of the gap, cut at @last.
 * Context: *lock held (so the answer is exact).
 */
u64 fclock_cache_run(struct fclock_cache *cache, unsigned int map,
		     u64 first, u64 last, bool *confirmed);
/**
 * fclock_cache_add - remember that [first, last] is split
 *
 * Merges with neighbours. Allocates with GFP_NOWAIT; forgets silently when memory or
 * the limit does not allow it (evicting other runs by a clock first).
 * Context: *lock held.
 */
void fclock_cache_add(struct fclock_cache *cache, unsigned int map,
		      u64 first, u64 last);
/*
 * Forget one map (a generation ended). *lock held. Not counted as discards. The time that
 * this takes does not grow with the map: after it fclock_cache_tidy() may be wanted.
 */
void fclock_cache_drop(struct fclock_cache *cache, unsigned int map);
/* Forget all maps, counted in discards (message drop_cache). *lock held. As above. */
void fclock_cache_drop_all(struct fclock_cache *cache);
/* Change the limit (bytes) and begin to evict down to it. *lock held. As above. */
void fclock_cache_set_limit(struct fclock_cache *cache, u64 limit);
/* Is there something for fclock_cache_tidy() to do? *lock held. */
bool fclock_cache_untidy(const struct fclock_cache *cache);
/* Free, and evict, some more of what is to go. *lock held, for a bounded time. */
void fclock_cache_tidy(struct fclock_cache *cache);
/* Forget up to @nr runs, clock order (shrinker). *lock held. Return: runs forgotten. */
unsigned long fclock_cache_shrink(struct fclock_cache *cache, unsigned long nr);

#endif
