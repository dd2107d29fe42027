// SPDX-License-Identifier: GPL-2.0-only
/*
 * Confirmations as runs of grains, one rbtree per map.
 *
 * Why a lookup needs no lock
 *
 * A lookup walks the rbtree under rcu_read_lock() while a writer changes it.
 *
 * i.   The walk ends and meets only runs that are, or just were, in the tree:
 *	lib/rbtree.c promises that for lockless walks, removed runs are freed
 *	after a grace period only, and a new run is filled before it is linked
 *	(rb_link_node_rcu(), and a barrier before the tree is turned). During a
 *	rotation the walk may miss a run that is there. That is a false negative:
 *	the caller then asks under the lock.
 *
 * ii.  While a run is in the tree it only grows, and a grain is confirmed before
 *	the run grows over it. A lookup may read an old @first with a new @last
 *	or the reverse: any such pair lies inside the newest extent of that run,
 *	all of which is confirmed.
 *
 * iii. When neighbours merge, one of them first grows over the others, which are
 *	removed after that. In between they overlap, and both say the truth. The
 *	order of the tree holds at every step: @first of the run that grows stays
 *	above the run before it, which did not touch it.
 *
 * iv.  A run that ends is removed whole, never shortened. A lookup that met it
 *	before may still say "confirmed" after fclock_cache_drop(). For the clock,
 *	the shrinker and drop_cache that is no harm, the grains are split all the
 *	same. Where a generation ends, gates are closed and what was in flight
 *	(counted before it looked here) has drained before the drop.
 *
 * v.	A map of many runs is dropped by taking its root away: gates are closed, and
 *	so many runs under the lock would be felt. They keep their places on the clock,
 *	dead, as they are of an older era than their map, and are freed bit by bit.
 *	Nobody but lookups that began before the drop is in their tree, which does
 *	not change any more.
 */
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "cache.h"

/*
 * The clock looks at no more runs than this for each that it evicts, so that a
 * cache in which everything is in use does not hold the lock for long.
 */
#ifndef FCLOCK_CLOCK_LOOKS		/* the simulator has less */
#define FCLOCK_CLOCK_LOOKS	32
/* Runs that are freed, or passed over, in one go under the lock. */
#define FCLOCK_TIDY_RUNS	1024
#endif

/**
 * struct fclock_cache_run - grains [first, last] are confirmed
 * @node: in the map's tree. Lock; walked under RCU
 * @first: shrinks only, while in the tree. Lock; read under RCU
 * @last: grows only, while in the tree. Lock; read under RCU
 * @clock: in cache->runs, the head is the hand. Lock
 * @rcu: once the run is in neither
 * @map: index of its map. Constant
 * @referenced: hit since the hand came by. Written by anyone
 * @era: of its map when it was made. Constant
 *
 * One cache line: lookups touch nothing else of a run.
 */
struct fclock_cache_run {
	struct rb_node node;
	u64 first;
	u64 last;
	union {
		struct list_head clock;
		struct rcu_head rcu;
	};
	u8 map;
	bool referenced;
	u32 era;
};

static_assert(sizeof(struct fclock_cache_run) <= 64);

#define to_run(ptr)	rb_entry(ptr, struct fclock_cache_run, node)

void fclock_cache_init(struct fclock_cache *cache, spinlock_t *lock, u64 limit)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_CACHE_MAPS; i++) {
		cache->map[i].root = RB_ROOT;
		cache->map_runs[i] = 0;
		cache->era[i] = 0;
	}
	cache->nr_dead = 0;
	cache->lock = lock;
	INIT_LIST_HEAD(&cache->runs);
	cache->limit = limit;
	cache->bytes = 0;
	cache->nr_runs = 0;
	cache->discards = 0;
}

/* A hit dirties the run's line once per round of the clock, not every time. */
static void fclock_run_touch(struct fclock_cache_run *run)
{
	if (!READ_ONCE(run->referenced))
		WRITE_ONCE(run->referenced, true);
}

bool fclock_cache_covers(struct fclock_cache *cache, unsigned int map,
			 u64 first, u64 last)
{
	struct fclock_cache_run *run;
	struct rb_node *node;
	bool covers = false;

	/*
	 * Half an old and half a new @first is no value that ever was. Where
	 * 64 bits are not read at once the upper halves are zero: no volume
	 * has more grains than a long counts (check.c).
	 */
	rcu_read_lock();
	node = rcu_dereference_raw(cache->map[map].root.rb_node);
	while (node) {
		run = to_run(node);
		if (first < READ_ONCE(run->first)) {
			node = rcu_dereference_raw(node->rb_left);
		} else if (first > READ_ONCE(run->last)) {
			node = rcu_dereference_raw(node->rb_right);
		} else {
			covers = last <= READ_ONCE(run->last);
			if (covers)
				fclock_run_touch(run);
			break;
		}
	}
	rcu_read_unlock();
	return covers;
}

/* The run that holds @grain, else the first one after it, else NULL. */
static struct fclock_cache_run *
__find_run(struct fclock_cache *cache, unsigned int map, u64 grain)
{
	struct rb_node *node = cache->map[map].root.rb_node;
	struct fclock_cache_run *run, *found = NULL;

	lockdep_assert_held(cache->lock);
	while (node) {
		run = to_run(node);
		if (grain <= run->last) {
			found = run;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

u64 fclock_cache_run(struct fclock_cache *cache, unsigned int map,
		     u64 first, u64 last, bool *confirmed)
{
	struct fclock_cache_run *run = __find_run(cache, map, first);

	*confirmed = run && run->first <= first;
	if (*confirmed) {
		fclock_run_touch(run);
		return min(last, run->last);
	}
	return run && run->first <= last ? run->first - 1 : last;
}

static void __count_runs(struct fclock_cache *cache, unsigned int map, s64 nr)
{
	const s64 size = sizeof(struct fclock_cache_run);

	cache->map_runs[map] += nr;
	WRITE_ONCE(cache->bytes, cache->bytes + nr * size);
	WRITE_ONCE(cache->nr_runs, cache->nr_runs + nr);
}

/*
 * Off the clock and the books; freed when no lookup can be at it any more. Lock,
 * or nobody else is left.
 */
static void __free_run(struct fclock_cache *cache, struct fclock_cache_run *run)
{
	list_del(&run->clock);
	__count_runs(cache, run->map, -1);
	kfree_rcu(run, rcu);
}

static bool __is_dead(const struct fclock_cache *cache,
		      const struct fclock_cache_run *run)
{
	return run->era != cache->era[run->map];
}

static void __free_dead(struct fclock_cache *cache, struct fclock_cache_run *run)
{
	list_del(&run->clock);
	WRITE_ONCE(cache->nr_dead, cache->nr_dead - 1);
	kfree_rcu(run, rcu);
}

static void __remove_run(struct fclock_cache *cache,
			 struct fclock_cache_run *run)
{
	rb_erase(&run->node, &cache->map[run->map].root);
	__free_run(cache, run);
}

/*
 * Forget one run: the first at the hand that was not hit since it came by. Or, where
 * the hand meets only dead ones, free those.
 */
static void __evict_run(struct fclock_cache *cache)
{
	struct fclock_cache_run *run;
	unsigned int looks = FCLOCK_CLOCK_LOOKS;

	lockdep_assert_held(cache->lock);
	while (!list_empty(&cache->runs)) {
		run = list_first_entry(&cache->runs, struct fclock_cache_run,
				       clock);
		if (__is_dead(cache, run)) {
			__free_dead(cache, run);
			if (!--looks)
				return;
			continue;
		}
		if (!READ_ONCE(run->referenced) || !--looks) {
			cache->discards++;
			__remove_run(cache, run);
			return;
		}
		WRITE_ONCE(run->referenced, false);
		list_move_tail(&run->clock, &cache->runs);
	}
}

/* One is as a rule enough; more are in the way after a change of the limit, or dead. */
static bool __make_room(struct fclock_cache *cache)
{
	unsigned int tries = FCLOCK_CLOCK_LOOKS;

	if (cache->limit < sizeof(struct fclock_cache_run))
		return false;
	while (cache->bytes > cache->limit - sizeof(struct fclock_cache_run)) {
		if (!tries--)
			return false;
		__evict_run(cache);
	}
	return true;
}

static void __link_run(struct fclock_cache *cache, struct fclock_cache_run *run)
{
	struct rb_root *root = &cache->map[run->map].root;
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (run->first < to_run(parent)->first)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node_rcu(&run->node, parent, link);
	/*
	 * The tree is turned by plain stores, and what they publish may be this run: for
	 * whoever comes that way it has to be filled, too. Pairs with the dependency
	 * from each link to what it leads to in fclock_cache_covers().
	 */
	smp_wmb();
	rb_insert_color(&run->node, root);
	list_add_tail(&run->clock, &cache->runs);
	__count_runs(cache, run->map, 1);
}

/* A run of its own. Its place is found last: eviction turns the tree. */
static void __insert_run(struct fclock_cache *cache, unsigned int map,
			 u64 first, u64 last)
{
	struct fclock_cache_run *run;

	if (!__make_room(cache))
		return;
	run = kmalloc(sizeof(*run), GFP_NOWAIT | __GFP_NOWARN);
	if (!run)
		return;
	run->first = first;
	run->last = last;
	run->map = map;
	run->era = cache->era[map];
	run->referenced = false;
	__link_run(cache, run);
}

/* @run touches [@first, @last]: grow it over that and all that this touches. */
static void __grow_run(struct fclock_cache *cache, struct fclock_cache_run *run,
		       u64 first, u64 last)
{
	struct fclock_cache_run *end = run, *next;
	struct rb_node *node;

	while ((node = rb_next(&end->node))) {
		next = to_run(node);
		if (next->first - 1 > last)
			break;
		end = next;
	}

	/* Step iii: first grow, then remove what was grown over. */
	last = max(last, end->last);
	if (first < run->first)
		WRITE_ONCE(run->first, first);
	if (last > run->last)
		WRITE_ONCE(run->last, last);
	fclock_run_touch(run);

	while (end != run) {
		next = end;
		end = to_run(rb_prev(&end->node));
		__remove_run(cache, next);
	}
}

void fclock_cache_add(struct fclock_cache *cache, unsigned int map,
		      u64 first, u64 last)
{
	struct fclock_cache_run *run;

	lockdep_assert_held(cache->lock);
	/* From the grain before, to merge with a run that ends there. */
	run = __find_run(cache, map, first ? first - 1 : 0);
	/* In this order: the run begins at 0 or has a grain before it. */
	if (run && (run->first <= last || run->first - 1 == last))
		__grow_run(cache, run, first, last);
	else
		__insert_run(cache, map, first, last);
}

/* Forget a whole tree. Lookups that are in it walk on through its remains. */
static void __drop_map(struct fclock_cache *cache, unsigned int map)
{
	struct fclock_cache_run *run, *next;
	struct rb_root old = cache->map[map].root;
	s64 nr = cache->map_runs[map];

	WRITE_ONCE(cache->map[map].root.rb_node, NULL);
	if (nr > FCLOCK_TIDY_RUNS) {
		cache->era[map]++;
		WRITE_ONCE(cache->nr_dead, cache->nr_dead + nr);
		__count_runs(cache, map, -nr);
		return;
	}
	rbtree_postorder_for_each_entry_safe(run, next, &old, node)
		__free_run(cache, run);
}

void fclock_cache_drop(struct fclock_cache *cache, unsigned int map)
{
	lockdep_assert_held(cache->lock);
	__drop_map(cache, map);
}

void fclock_cache_drop_all(struct fclock_cache *cache)
{
	unsigned int i;

	lockdep_assert_held(cache->lock);
	cache->discards += cache->nr_runs;
	for (i = 0; i < FCLOCK_CACHE_MAPS; i++)
		__drop_map(cache, i);
}

void fclock_cache_exit(struct fclock_cache *cache)
{
	struct fclock_cache_run *run, *next;
	unsigned int i;

	for (i = 0; i < FCLOCK_CACHE_MAPS; i++)
		__drop_map(cache, i);
	list_for_each_entry_safe(run, next, &cache->runs, clock)
		__free_dead(cache, run);
}

bool fclock_cache_untidy(const struct fclock_cache *cache)
{
	return cache->nr_dead || cache->bytes > cache->limit;
}

/* The hand goes over what stays, and comes back to it: the order is as it was. */
void fclock_cache_tidy(struct fclock_cache *cache)
{
	unsigned int runs = FCLOCK_TIDY_RUNS;
	struct fclock_cache_run *run;

	lockdep_assert_held(cache->lock);
	while (fclock_cache_untidy(cache) && runs--) {
		run = list_first_entry(&cache->runs, struct fclock_cache_run,
				       clock);
		if (__is_dead(cache, run))
			__free_dead(cache, run);
		else if (cache->bytes > cache->limit)
			__evict_run(cache);
		else
			list_move_tail(&run->clock, &cache->runs);
	}
}

void fclock_cache_set_limit(struct fclock_cache *cache, u64 limit)
{
	lockdep_assert_held(cache->lock);
	cache->limit = limit;
	fclock_cache_tidy(cache);
}

unsigned long fclock_cache_shrink(struct fclock_cache *cache, unsigned long nr)
{
	unsigned long done = 0;

	lockdep_assert_held(cache->lock);
	while (done < nr && !list_empty(&cache->runs)) {
		__evict_run(cache);
		done++;
	}
	return done;
}
