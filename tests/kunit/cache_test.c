// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the confirmation cache: against a plain bitmap under random
 * operations, and lookups without a lock against a writer.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "cache.h"

#define GRAINS		2048
#define NR_MAPS		3
#define OPERATIONS	150000

static const unsigned int maps[NR_MAPS] = { 0, 15, FCLOCK_CACHE_A };

struct fixture {
	struct fclock_cache cache;
	spinlock_t lock;		/* what the cache calls *lock */
	struct rnd_state rnd;
	DECLARE_BITMAP(split[NR_MAPS], GRAINS);
	u64 run_bytes;			/* of one run */
};

static int cache_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->lock);
	fclock_cache_init(&f->cache, &f->lock, ~0ULL);
	spin_lock(&f->lock);
	fclock_cache_add(&f->cache, 0, 0, 0);
	f->run_bytes = f->cache.bytes;
	fclock_cache_drop(&f->cache, 0);
	spin_unlock(&f->lock);
	test->priv = f;
	return 0;
}

static void cache_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (f)
		fclock_cache_exit(&f->cache);
}

/* The cache's functions, with the lock that they want. */
static void add(struct fixture *f, unsigned int map, u64 first, u64 last)
{
	spin_lock(&f->lock);
	fclock_cache_add(&f->cache, map, first, last);
	spin_unlock(&f->lock);
}

static void drop(struct fixture *f, unsigned int map)
{
	spin_lock(&f->lock);
	fclock_cache_drop(&f->cache, map);
	spin_unlock(&f->lock);
}

static void set_limit(struct fixture *f, u64 runs)
{
	spin_lock(&f->lock);
	fclock_cache_set_limit(&f->cache, runs * f->run_bytes);
	spin_unlock(&f->lock);
}

static bool covers(struct fixture *f, unsigned int map, u64 first, u64 last)
{
	return fclock_cache_covers(&f->cache, map, first, last);
}

static u64 run(struct fixture *f, unsigned int map, u64 first, u64 last,
	       bool *confirmed)
{
	u64 end;

	spin_lock(&f->lock);
	end = fclock_cache_run(&f->cache, map, first, last, confirmed);
	spin_unlock(&f->lock);
	return end;
}

static void expect_books(struct kunit *test, u64 nr_runs)
{
	struct fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, f->cache.nr_runs, nr_runs);
	KUNIT_EXPECT_EQ(test, f->cache.bytes, nr_runs * f->run_bytes);
}

static void empty(struct kunit *test)
{
	struct fixture *f = test->priv;
	bool confirmed = true;

	KUNIT_EXPECT_GE(test, f->run_bytes, 40ULL);
	expect_books(test, 0);
	KUNIT_EXPECT_FALSE(test, covers(f, 0, 0, 0));
	KUNIT_EXPECT_EQ(test, run(f, 0, 5, ~0ULL, &confirmed), ~0ULL);
	KUNIT_EXPECT_FALSE(test, confirmed);
	drop(f, 3);
	spin_lock(&f->lock);
	fclock_cache_drop_all(&f->cache);
	KUNIT_EXPECT_EQ(test, fclock_cache_shrink(&f->cache, 10), 0UL);
	spin_unlock(&f->lock);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
}

/* Every way in which a new run can lie to two that are there. */
static void merges(struct kunit *test)
{
	/* with runs [10, 19] and [30, 39]: what is added, runs after that */
	static const struct {
		u64 first, last;
		u64 nr_runs, want_first, want_last;
	} cases[] = {
		{ 0, 5, 3, 0, 5 },
		{ 0, 8, 3, 0, 8 },
		{ 0, 9, 2, 0, 19 },
		{ 9, 9, 2, 9, 19 },
		{ 10, 19, 2, 10, 19 },
		{ 10, 10, 2, 10, 19 },
		{ 12, 15, 2, 10, 19 },
		{ 19, 19, 2, 10, 19 },
		{ 19, 20, 2, 10, 20 },
		{ 20, 20, 2, 10, 20 },
		{ 21, 28, 3, 21, 28 },
		{ 20, 28, 2, 10, 28 },
		{ 21, 29, 2, 21, 39 },
		{ 20, 29, 1, 10, 39 },
		{ 15, 35, 1, 10, 39 },
		{ 10, 39, 1, 10, 39 },
		{ 0, 50, 1, 0, 50 },
		{ 39, 40, 2, 30, 40 },
		{ 40, 40, 2, 30, 40 },
		{ 41, 41, 3, 41, 41 },
		{ 0, ~0ULL, 1, 0, ~0ULL },
		{ 40, ~0ULL, 2, 30, ~0ULL },
	};
	struct fixture *f = test->priv;
	bool confirmed;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		drop(f, 7);
		add(f, 7, 30, 39);
		add(f, 7, 10, 19);
		add(f, 7, cases[i].first, cases[i].last);
		expect_books(test, cases[i].nr_runs);
		KUNIT_EXPECT_EQ_MSG(test,
				    run(f, 7, cases[i].want_first, ~0ULL,
					&confirmed),
				    cases[i].want_last, "case %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, confirmed, "case %u", i);
		KUNIT_EXPECT_TRUE_MSG(test,
				      covers(f, 7, cases[i].want_first,
					     cases[i].want_last),
				      "case %u", i);
		KUNIT_EXPECT_FALSE_MSG(test, cases[i].want_first &&
				       covers(f, 7, cases[i].want_first - 1,
					      cases[i].want_last),
				       "case %u", i);
		KUNIT_EXPECT_FALSE_MSG(test, cases[i].want_last != ~0ULL &&
				       covers(f, 7, cases[i].want_first,
					      cases[i].want_last + 1),
				       "case %u", i);
	}
	KUNIT_EXPECT_FALSE(test, covers(f, 6, 30, 30));
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
}

/* In any order, a wholly split volume is one run. */
static void full_is_one_run(struct kunit *test)
{
	struct fixture *f = test->priv;
	const u64 n = 4096;
	u64 i;

	for (i = 0; i < n; i++)
		add(f, FCLOCK_CACHE_A, i * 1021 % n, i * 1021 % n);
	expect_books(test, 1);
	KUNIT_EXPECT_TRUE(test, covers(f, FCLOCK_CACHE_A, 0, n - 1));
	KUNIT_EXPECT_FALSE(test, covers(f, FCLOCK_CACHE_A, 0, n));
	for (i = 0; i < n; i += 2)
		add(f, 1, i, i);
	expect_books(test, 1 + n / 2);
	add(f, 1, 0, n - 1);
	expect_books(test, 2);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
}

static u64 count_runs(struct fixture *f)
{
	unsigned int i, at;
	u64 n = 0;

	for (i = 0; i < NR_MAPS; i++)
		for (at = 0; at < GRAINS; at++)
			n += test_bit(at, f->split[i]) &&
				(!at || !test_bit(at - 1, f->split[i]));
	return n;
}

/*
 * Compare [first, last] of one map. @exact: nothing may be missing; else the
 * cache may have forgotten, but must not know more than is true.
 */
static bool same(struct fixture *f, unsigned int i, unsigned long first,
		 unsigned long last, bool exact)
{
	const unsigned long *split = f->split[i];
	bool truth = find_next_zero_bit(split, GRAINS, first) > last;
	bool hit = covers(f, maps[i], first, last), confirmed;
	unsigned long end;

	if (exact ? hit != truth : hit && !truth)
		return false;
	end = run(f, maps[i], first, last, &confirmed);
	if (end < first || end > last || (hit && !(confirmed && end == last)))
		return false;
	if (confirmed && find_next_zero_bit(split, GRAINS, first) <= end)
		return false;
	if (!exact)
		return true;
	if (confirmed != test_bit(first, split))
		return false;
	return end == min(last, (confirmed ?
				 find_next_zero_bit(split, GRAINS, first) :
				 find_next_bit(split, GRAINS, first)) - 1);
}

static void random_range(struct fixture *f, unsigned long *first,
			 unsigned long *last)
{
	u32 r = prandom_u32_state(&f->rnd);
	unsigned long len = 1 + (r >> 16) % (r & 1 ? 8 : r & 62 ? 64 : 1024);

	*first = prandom_u32_state(&f->rnd) % GRAINS;
	*last = min(*first + len, (unsigned long)GRAINS) - 1;
}

/* Return: false when the cache and the bitmap disagree. */
static bool random_operation(struct fixture *f, bool limited)
{
	unsigned int i = prandom_u32_state(&f->rnd) % NR_MAPS;
	u32 what = prandom_u32_state(&f->rnd) % 1000;
	unsigned long first, last, nr;

	random_range(f, &first, &last);
	if (what < 450) {
		add(f, maps[i], first, last);
		bitmap_set(f->split[i], first, last - first + 1);
		if (!limited && !covers(f, maps[i], first, last))
			return false;
	} else if (what < 455) {
		drop(f, maps[i]);
		bitmap_zero(f->split[i], GRAINS);
	} else if (limited && what < 470) {
		spin_lock(&f->lock);
		nr = fclock_cache_shrink(&f->cache, what - 454);
		spin_unlock(&f->lock);
		if (nr > what - 454)
			return false;
	} else if (limited && what < 475) {
		set_limit(f, prandom_u32_state(&f->rnd) % 100);
	} else if (limited && what < 476) {
		spin_lock(&f->lock);
		fclock_cache_drop_all(&f->cache);
		spin_unlock(&f->lock);
	}
	random_range(f, &first, &last);
	return same(f, i, first, last, !limited) &&
		f->cache.bytes == f->cache.nr_runs * f->run_bytes &&
		f->cache.bytes <= f->cache.limit;
}

static void against_bitmap(struct kunit *test, bool limited)
{
	struct fixture *f = test->priv;
	u32 seed = get_random_u32();
	unsigned int i;

	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&f->rnd, seed);
	for (i = 0; i < OPERATIONS; i++) {
		if (!random_operation(f, limited)) {
			KUNIT_FAIL(test, "operation %u of seed %u", i, seed);
			return;
		}
		if (!limited && i % 64 == 0 &&
		    f->cache.nr_runs != count_runs(f)) {
			KUNIT_FAIL(test, "%llu runs at operation %u, seed %u",
				   f->cache.nr_runs, i, seed);
			return;
		}
		cond_resched();
	}
}

static void random_exact(struct kunit *test)
{
	struct fixture *f = test->priv;

	against_bitmap(test, false);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
}

static void random_limited(struct kunit *test)
{
	struct fixture *f = test->priv;

	against_bitmap(test, true);
	KUNIT_EXPECT_GT(test, f->cache.discards, 1000ULL);
}

/* The runs of an exact cache, walked with fclock_cache_run() alone. */
static void walk(struct kunit *test)
{
	struct fixture *f = test->priv;
	bool confirmed;
	u64 at, end;

	add(f, 2, 5, 9);
	add(f, 2, 20, 29);
	for (at = 0; at < 40; at++) {
		end = run(f, 2, at, 39, &confirmed);
		KUNIT_EXPECT_EQ(test, confirmed,
				(at >= 5 && at <= 9) || (at >= 20 && at <= 29));
		KUNIT_EXPECT_EQ(test, end, at < 5 ? 4 : at < 10 ? 9 :
				at < 20 ? 19 : at < 30 ? 29 : 39ULL);
		KUNIT_EXPECT_EQ(test, run(f, 2, at, at, &confirmed), at);
	}
}

static void limits(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	/* 0 caches nothing, and less than a run holds no run. */
	set_limit(f, 0);
	add(f, 0, 1, 1000);
	expect_books(test, 0);
	spin_lock(&f->lock);
	fclock_cache_set_limit(&f->cache, f->run_bytes - 1);
	spin_unlock(&f->lock);
	add(f, 0, 1, 1000);
	expect_books(test, 0);
	KUNIT_EXPECT_FALSE(test, covers(f, 0, 1, 1));
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);

	set_limit(f, 10);
	for (i = 0; i < 100; i++)
		add(f, i % FCLOCK_CACHE_MAPS, i * 10, i * 10);
	expect_books(test, 10);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 90ULL);
	/* Growing needs no room. */
	add(f, 99 % FCLOCK_CACHE_MAPS, 991, 2000);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 90ULL);
	KUNIT_EXPECT_TRUE(test, covers(f, 99 % FCLOCK_CACHE_MAPS, 990, 2000));

	set_limit(f, 4);
	expect_books(test, 4);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 96ULL);
	set_limit(f, 0);
	expect_books(test, 0);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 100ULL);
}

static void discards(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	for (i = 0; i < 50; i++)
		add(f, i % 5, i * 10, i * 10);
	drop(f, 4);
	expect_books(test, 40);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
	KUNIT_EXPECT_FALSE(test, covers(f, 4, 40, 40));
	KUNIT_EXPECT_TRUE(test, covers(f, 3, 30, 30));
	spin_lock(&f->lock);
	KUNIT_EXPECT_EQ(test, fclock_cache_shrink(&f->cache, 7), 7UL);
	spin_unlock(&f->lock);
	expect_books(test, 33);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 7ULL);
	spin_lock(&f->lock);
	fclock_cache_drop_all(&f->cache);
	spin_unlock(&f->lock);
	expect_books(test, 0);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 40ULL);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->cache.runs));
}

/* What is used stays; what is not goes, oldest first. */
static void clock_order(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	set_limit(f, 20);
	for (i = 0; i < 20; i++)
		add(f, 0, i * 10, i * 10);
	for (i = 20; i < 200; i++) {
		KUNIT_EXPECT_TRUE(test, covers(f, 0, 30, 30));
		KUNIT_EXPECT_TRUE(test, covers(f, 0, 70, 70));
		add(f, 0, i * 10, i * 10);
		expect_books(test, 20);
	}
	/* A miss beside a run is no use of it. */
	KUNIT_EXPECT_FALSE(test, covers(f, 0, 1990, 1991));
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, covers(f, 0, i * 10, i * 10),
				i == 3 || i == 7);
	for (i = 182; i < 200; i++)
		KUNIT_EXPECT_TRUE(test, covers(f, 0, i * 10, i * 10));
}

/* To grow is to be used. */
static void clock_growth(struct kunit *test)
{
	struct fixture *f = test->priv;

	set_limit(f, 3);
	add(f, 0, 0, 0);
	add(f, 0, 10, 10);
	add(f, 0, 20, 20);
	add(f, 0, 1, 1);
	add(f, 0, 30, 30);
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 0, 1));
	KUNIT_EXPECT_FALSE(test, covers(f, 0, 10, 10));
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 20, 20));
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 30, 30));
}

/* Where all are used one goes all the same, after a bounded search. */
static void clock_all_used(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	for (i = 0; i < 1000; i++) {
		add(f, 0, i * 10, i * 10);
		covers(f, 0, i * 10, i * 10);
	}
	spin_lock(&f->lock);
	KUNIT_EXPECT_EQ(test, fclock_cache_shrink(&f->cache, 1), 1UL);
	spin_unlock(&f->lock);
	/* A whole round would have ended at the first one. */
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 0, 0));
	spin_lock(&f->lock);
	for (i = 999; i; i--) {
		KUNIT_EXPECT_EQ(test, fclock_cache_shrink(&f->cache, 1), 1UL);
		KUNIT_EXPECT_EQ(test, f->cache.nr_runs, i - 1);
	}
	KUNIT_EXPECT_EQ(test, fclock_cache_shrink(&f->cache, 1), 0UL);
	spin_unlock(&f->lock);
}

/* Frees the dead and what is above the limit. Return: how often that took the lock. */
static unsigned int tidy(struct fixture *f)
{
	unsigned int times = 0;
	bool more;

	do {
		spin_lock(&f->lock);
		more = fclock_cache_untidy(&f->cache);
		if (more)
			fclock_cache_tidy(&f->cache);
		spin_unlock(&f->lock);
		times += more;
	} while (more && times < 1000);
	return times;
}

static u64 on_the_clock(struct fixture *f)
{
	struct list_head *pos;
	u64 n = 0;

	list_for_each(pos, &f->cache.runs)
		n++;
	return n;
}

/*
 * So many runs are not freed at once when their map is dropped. They are forgotten at
 * once, they are in nobody's way, and some at a time they are freed.
 */
#define MANY 10000ULL

static void add_many(struct fixture *f, unsigned int map)
{
	u64 i;

	for (i = 0; i < MANY; i++)
		add(f, map, i * 10, i * 10);
}

static void dropped_many(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int times;
	u64 i;

	add(f, 2, 7, 7);
	add_many(f, 1);
	add(f, 2, 17, 17);
	expect_books(test, MANY + 2);
	drop(f, 1);
	expect_books(test, 2);
	KUNIT_EXPECT_EQ(test, f->cache.nr_dead, MANY);
	for (i = 0; i < MANY; i++)
		if (covers(f, 1, i * 10, i * 10))
			break;
	KUNIT_EXPECT_EQ(test, i, MANY);
	/* the next generation, of which some is dropped again, and another map */
	add_many(f, 1);
	KUNIT_EXPECT_TRUE(test, covers(f, 1, 50, 50));
	drop(f, 1);
	add_many(f, 0);
	add(f, 1, 50, 60);
	expect_books(test, MANY + 3);
	KUNIT_EXPECT_EQ(test, f->cache.nr_dead, 2 * MANY);
	KUNIT_EXPECT_EQ(test, on_the_clock(f), 3 * MANY + 3);
	times = tidy(f);
	KUNIT_EXPECT_GE(test, times, 10);
	KUNIT_EXPECT_LE(test, times, 40);
	expect_books(test, MANY + 3);
	KUNIT_EXPECT_EQ(test, f->cache.nr_dead, 0ULL);
	KUNIT_EXPECT_EQ(test, on_the_clock(f), MANY + 3);
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 50, 50));
	KUNIT_EXPECT_TRUE(test, covers(f, 1, 50, 60));
	KUNIT_EXPECT_FALSE(test, covers(f, 1, 70, 70));
	KUNIT_EXPECT_TRUE(test, covers(f, 2, 7, 7));
	KUNIT_EXPECT_TRUE(test, covers(f, 2, 17, 17));
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
}

/* Who wants room, or memory back, meets the dead first. */
static void dead_and_limited(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long n;
	u64 i;

	set_limit(f, MANY);
	add_many(f, 1);
	drop(f, 1);
	spin_lock(&f->lock);
	n = fclock_cache_shrink(&f->cache, 20);
	spin_unlock(&f->lock);
	KUNIT_EXPECT_EQ(test, n, 20);
	KUNIT_EXPECT_LT(test, f->cache.nr_dead, MANY);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
	set_limit(f, 10);
	for (i = 0; i < 100; i++) {
		add(f, 0, i * 10, i * 10);
		KUNIT_EXPECT_LE(test, f->cache.nr_runs, 10ULL);
		KUNIT_EXPECT_EQ(test, f->cache.bytes,
				f->cache.nr_runs * f->run_bytes);
	}
	tidy(f);
	KUNIT_EXPECT_EQ(test, f->cache.nr_dead, 0ULL);
	KUNIT_EXPECT_EQ(test, on_the_clock(f), f->cache.nr_runs);
	add(f, 0, 5000, 5000);
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 5000, 5000));
	/* nothing but dead ones */
	set_limit(f, MANY);
	add_many(f, 1);
	spin_lock(&f->lock);
	fclock_cache_drop_all(&f->cache);
	while (fclock_cache_shrink(&f->cache, 1000))
		;
	spin_unlock(&f->lock);
	expect_books(test, 0);
	KUNIT_EXPECT_EQ(test, f->cache.nr_dead, 0ULL);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->cache.runs));
	/* exit() leaves none, be it dead or not */
	add_many(f, 1);
	drop(f, 1);
	add_many(f, 1);
}

/* A much lower limit is reached some at a time; meanwhile nothing is lost but what has to. */
static void limit_lowered(struct kunit *test)
{
	struct fixture *f = test->priv;

	add_many(f, 3);
	set_limit(f, 100);
	KUNIT_EXPECT_GT(test, f->cache.nr_runs, 100ULL);
	KUNIT_EXPECT_LT(test, f->cache.nr_runs, MANY);
	add(f, 4, 1, 1);
	KUNIT_EXPECT_GE(test, tidy(f), 2);
	expect_books(test, 100);
	KUNIT_EXPECT_GE(test, f->cache.discards, MANY - 100);
}

/* exit() under the lock, and a cache that can be used again. */
static void exit_locked(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 i;

	for (i = 0; i < 100; i++)
		add(f, i % FCLOCK_CACHE_MAPS, i * 10, i * 10);
	spin_lock(&f->lock);
	fclock_cache_exit(&f->cache);
	spin_unlock(&f->lock);
	expect_books(test, 0);
	KUNIT_EXPECT_EQ(test, f->cache.discards, 0ULL);
	add(f, 0, 1, 1);
	KUNIT_EXPECT_TRUE(test, covers(f, 0, 1, 1));
}

/*
 * Lookups against a writer. Blocks of 32 grains; the last grain of a block is
 * never split, the others only while the phase has the block's parity. A
 * lookup that says more than that in its own RCU section has lied. The writer
 * lets a grace period pass between the drop and the new phase, as the gates
 * do, and before it adds what the new phase allows.
 */
#define BLOCK		32
#define READERS		2

struct race {
	struct fixture *f;
	unsigned int phase;
	unsigned long lookups;
	unsigned long hits;
	unsigned long lies;
	u32 seed;
};

static bool allowed(u64 first, u64 last, unsigned int phase)
{
	return first / BLOCK == last / BLOCK && last % BLOCK != BLOCK - 1 &&
		first / BLOCK % 2 == phase % 2;
}

static int reader(void *data)
{
	struct race *race = data;
	struct rnd_state rnd;
	unsigned int phase;
	u64 first, last;
	bool hit;

	prandom_seed_state(&rnd, race->seed);
	while (!kthread_should_stop()) {
		first = prandom_u32_state(&rnd) % GRAINS;
		last = first + prandom_u32_state(&rnd) % 8;
		rcu_read_lock();
		phase = READ_ONCE(race->phase);
		hit = fclock_cache_covers(&race->f->cache, 1, first, last);
		if (hit && !allowed(first, last, phase))
			race->lies++;
		rcu_read_unlock();
		race->hits += hit;
		if (++race->lookups % 16 == 0)
			cond_resched();
	}
	return 0;
}

static void race_write(struct fixture *f, unsigned int phase)
{
	unsigned int i;
	u64 block, first, last;

	for (i = 0; i < 500; i++) {
		block = prandom_u32_state(&f->rnd) % (GRAINS / BLOCK);
		block = (block & ~1ULL) | (phase & 1);
		first = prandom_u32_state(&f->rnd) % (BLOCK - 1);
		last = first + prandom_u32_state(&f->rnd) % 6;
		last = min_t(u64, last, BLOCK - 2);
		add(f, 1, block * BLOCK + first, block * BLOCK + last);
		if (i % 50 == 49) {
			spin_lock(&f->lock);
			fclock_cache_shrink(&f->cache, 5);
			spin_unlock(&f->lock);
		}
		if (i % 8 == 0)
			cond_resched();
	}
}

static void races(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct task_struct *task[READERS];
	struct race *race;
	unsigned int i, phase, started;
	u32 seed = get_random_u32();
	unsigned long hits = 0;

	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&f->rnd, seed);
	race = kunit_kcalloc(test, READERS, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, race);
	for (started = 0; started < READERS; started++) {
		race[started].f = f;
		race[started].seed = seed + 1 + started;
		task[started] = kthread_run(reader, &race[started],
					    "fclock-reader");
		if (IS_ERR(task[started]))
			break;
	}
	KUNIT_EXPECT_EQ(test, started, (unsigned int)READERS);
	for (phase = 0; phase < 60; phase++) {
		race_write(f, phase);
		drop(f, 1);
		synchronize_rcu();
		for (i = 0; i < started; i++)
			WRITE_ONCE(race[i].phase, phase + 1);
		synchronize_rcu();
	}
	for (i = 0; i < started; i++) {
		kthread_stop(task[i]);
		KUNIT_EXPECT_EQ(test, race[i].lies, 0UL);
		KUNIT_EXPECT_GT(test, race[i].lookups, 1000UL);
		hits += race[i].hits;
		kunit_info(test, "reader %u: %lu of %lu lookups hit", i,
			   race[i].hits, race[i].lookups);
	}
	/* one of them may be at work only while there is nothing to hit */
	KUNIT_EXPECT_GT(test, hits, 10UL);
	expect_books(test, 0);
}

static struct kunit_case cache_cases[] = {
	KUNIT_CASE(empty),
	KUNIT_CASE(merges),
	KUNIT_CASE(full_is_one_run),
	KUNIT_CASE(walk),
	KUNIT_CASE(random_exact),
	KUNIT_CASE(random_limited),
	KUNIT_CASE(limits),
	KUNIT_CASE(discards),
	KUNIT_CASE(clock_order),
	KUNIT_CASE(clock_growth),
	KUNIT_CASE(clock_all_used),
	KUNIT_CASE(dropped_many),
	KUNIT_CASE(dead_and_limited),
	KUNIT_CASE(limit_lowered),
	KUNIT_CASE(exit_locked),
	KUNIT_CASE(races),
	{}
};

static struct kunit_suite cache_suite = {
	.name = "fclock_cache",
	.init = cache_init,
	.exit = cache_exit,
	.test_cases = cache_cases,
};

kunit_test_suites(&cache_suite);
