// SPDX-License-Identifier: GPL-2.0-only
/*
 * Background copy: node 2 owns everything, node 1 is the primary, nodes 1 and 3 are
 * clients. A grain is 4 KiB, the volume 64 grains.
 */
#include "rig.h"

#define A	FCLOCK_TARGET_A
#define SPLIT	FCLOCK_KIND_SPLIT
#define SHARED	FCLOCK_KIND_SHARED
#define FAST	(~0U)			/* KiB/s: no limit to speak of */

static int background_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static u64 id_of(unsigned int n, unsigned int place)
{
	return ((u64)n << 16) | place;
}

/* A superblock of the next state, with these rates, comes by RESUME. */
static void rates(struct rig *rig, u32 rate0, u32 rate1)
{
	rig->sb.state++;
	rig->sb.slot[0].rate = rate0;
	rig->sb.slot[1].rate = rate1;
	KUNIT_ASSERT_EQ(rig->test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	rig_silence(rig, 1);
	rig_silence(rig, 3);
}

static struct rig *begin(struct kunit *test, u32 rate0, u32 rate1)
{
	struct rig *rig = test->priv;

	rig_run(rig, 2);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	rates(rig, rate0, rate1);
	return rig;
}

static void copied(struct rig *rig, unsigned int n)
{
	rig_do(rig, fclock_core_copied(rig->core,
				       rig->split[n % FCLOCK_SPLITS], false, 0));
}

static void committed(struct rig *rig)
{
	rig_do(rig, fclock_core_committed(rig->core, 0));
}

/* Ends what was ordered from copy @n on, and commits it. */
static unsigned int all_done(struct rig *rig, unsigned int n)
{
	while (n < rig->copies || rig->core->own.committing) {
		while (n < rig->copies)
			copied(rig, n++);
		if (rig->core->own.committing)
			committed(rig);
	}
	return n;
}

/* Time passes, and peers are heard. */
static void wait_ms(struct rig *rig, u64 ms)
{
	unsigned int node;
	u64 step;

	for (; ms; ms -= step) {
		step = min_t(u64, ms, 1000);
		for (node = 1; node <= RIG_NODES; node++)
			rig->core->peer[node].heard_at = rig->now;
		rig_time(rig, step);
	}
}

/* The same, and what is ordered meanwhile ends. Return: what was ordered before now. */
static unsigned int work_ms(struct rig *rig, unsigned int n, u64 ms)
{
	u64 step;

	for (; ms; ms -= step) {
		step = min_t(u64, ms, 50);
		wait_ms(rig, step);
		n = all_done(rig, n);
	}
	return n;
}

static u64 split_of(struct rig *rig, unsigned int slot)
{
	return rig->core->own.slot[slot].split;
}

/* Nothing is copied that nobody asked for while the rate is 0. */
static void off(struct kunit *test)
{
	struct rig *rig = begin(test, 0, 0);
	unsigned int i;

	for (i = 0; i < 10; i++)
		wait_ms(rig, 5000);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	rates(rig, FAST, 0);
	KUNIT_EXPECT_GT(test, rig->copies, 0);
	rates(rig, 0, 0);
	i = rig->copies;
	all_done(rig, 0);
	wait_ms(rig, 5000);
	KUNIT_EXPECT_EQ(test, rig->copies, i);
}

/* From the start, in runs that end with the slice, all of the slot; then it says so. */
static void whole(struct kunit *test)
{
	struct rig *rig = begin(test, FAST, 0);
	unsigned int i;

	wait_ms(rig, 10);
	KUNIT_ASSERT_EQ(test, rig->copies, FCLOCK_BACKGROUND);
	for (i = 0; i < FCLOCK_BACKGROUND; i++) {
		KUNIT_EXPECT_EQ(test, rig->split[i]->first, i * RIG_SLICE);
		KUNIT_EXPECT_EQ(test, rig->split[i]->last,
				(i + 1) * RIG_SLICE - 1);
		KUNIT_EXPECT_EQ(test, rig->split[i]->slots, 1);
		KUNIT_EXPECT_TRUE(test, rig->split[i]->background);
	}
	for (i = 0; i < 4; i++)
		copied(rig, i);
	/* one commit for the first, one for all that came meanwhile */
	committed(rig);
	committed(rig);
	KUNIT_EXPECT_EQ(test, rig->commits, 2);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), RIG_GRAINS);
	KUNIT_EXPECT_EQ(test, split_of(rig, 1), 0);
	rig_do(rig, i = fclock_owner_complete(rig->core));
	KUNIT_EXPECT_EQ(test, i, 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.nr_background, 0);
	i = rig->copies;
	wait_ms(rig, 5000);
	KUNIT_EXPECT_EQ(test, rig->copies, i);
}

/* Not more than the rate, with a burst; a run of a second at most, one grain at least. */
static void throttle(struct kunit *test)
{
	struct rig *rig = begin(test, 8, 0);		/* two grains a second */
	unsigned int n = 0, i;

	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_EQ(test, rig->split[0]->first, 0);
	KUNIT_EXPECT_EQ(test, rig->split[0]->last, 1);
	n = all_done(rig, n);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_LE(test, rig->timer_at, rig->now + 1001);
	for (i = 0; i < 10; i++) {
		wait_ms(rig, 997);
		n = all_done(rig, n);
		KUNIT_EXPECT_LE(test, split_of(rig, 0), 2 + 2 * (i + 1));
	}
	KUNIT_EXPECT_GE(test, split_of(rig, 0), 20);
	/* a long pause is not made good */
	i = split_of(rig, 0);
	rig->now += 3600000;
	wait_ms(rig, 1);
	n = all_done(rig, n);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), i + 2);
	/* less than a grain in a second */
	rates(rig, 1, 0);
	i = split_of(rig, 0);
	n = work_ms(rig, n, 3900);
	KUNIT_EXPECT_LE(test, split_of(rig, 0), i + 1);
	work_ms(rig, n, 44000);
	KUNIT_EXPECT_GE(test, split_of(rig, 0), i + 11);
	KUNIT_EXPECT_LE(test, split_of(rig, 0), i + 13);
}

/* Slots that both may copy go together: A is read once. */
static void together(struct kunit *test)
{
	struct rig *rig = begin(test, 8, FAST);
	unsigned int i, slots = 0;

	wait_ms(rig, 5);
	for (i = 0; i < rig->copies; i++)
		slots |= rig->split[i]->slots;
	KUNIT_EXPECT_EQ(test, slots, 3);
	/* the slow one is in debt: the fast one goes on alone */
	work_ms(rig, 0, 400);
	KUNIT_EXPECT_EQ(test, split_of(rig, 1), RIG_GRAINS);
	KUNIT_EXPECT_LE(test, split_of(rig, 0), 4);
}

/* No run begins while a request waits; nor in the last half of the split objects. */
static void yields(struct kunit *test)
{
	struct rig *rig = begin(test, 64, 0);	/* a slice a second */
	unsigned int copies, n;

	n = all_done(rig, 0);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), 16);
	/* a miss that waits for a copy */
	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 60, 60);
	copies = rig->copies;
	wait_ms(rig, 2000);
	KUNIT_EXPECT_EQ(test, rig->copies, copies);
	copied(rig, n++);
	wait_ms(rig, 2000);
	KUNIT_EXPECT_EQ(test, rig->copies, copies);
	/* its end lets the background go on */
	committed(rig);
	KUNIT_EXPECT_EQ(test, rig->copies, copies + 1);
	KUNIT_EXPECT_TRUE(test, rig->split[n]->background);
	/* a miss meets a background split: it waits for that one, and no other begins */
	rig_request(rig, 3, id_of(2, 0), 0, SPLIT, 20, 20);
	KUNIT_EXPECT_EQ(test, rig->copies, copies + 1);
	wait_ms(rig, 2000);
	KUNIT_EXPECT_EQ(test, rig->copies, copies + 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.nr_background, 1);
	copied(rig, n++);
	rig_silence(rig, 3);
	committed(rig);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
	/* nobody waits any more */
	KUNIT_EXPECT_EQ(test, rig->copies, copies + 2);
}

static bool said_prepared(struct rig *rig, u64 number)
{
	return rig_hears(rig, 1) == FCLOCK_PREPARED && rig->msg.id == number;
}

/* A transition waits for what is under way, and nothing begins until it is over. */
static void prepare(struct kunit *test)
{
	struct rig *rig = begin(test, 64, 0);
	u64 number = rig->sb.state + 1;
	unsigned int n = rig->copies;

	KUNIT_ASSERT_EQ(test, n, 1);
	rig_prepare(rig, 1, number, FCLOCK_COPY_RATE, 1);
	KUNIT_EXPECT_EQ(test, rig->closed, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	wait_ms(rig, 3000);
	KUNIT_EXPECT_EQ(test, rig->copies, n);
	copied(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->commits, 0);
	KUNIT_EXPECT_TRUE(test, said_prepared(rig, number));
	wait_ms(rig, 3000);
	KUNIT_EXPECT_EQ(test, rig->copies, n);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), 0);
	/* an ABORT too lets it go on, with what was not committed */
	rig->sb.state = number + 1;
	rig_super(rig, 1, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->copies, n + 1);
	KUNIT_EXPECT_EQ(test, rig->split[n]->first, 0);
	copied(rig, n);
	rig_silence(rig, 1);
	rig_prepare(rig, 1, number + 2, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	committed(rig);
	KUNIT_EXPECT_TRUE(test, said_prepared(rig, number + 2));
	KUNIT_EXPECT_EQ(test, rig->copies, n + 1);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), 16);
}

/* Readers are asked to release, and who is cut off is not waited for. */
static void readers(struct kunit *test)
{
	struct rig *rig = begin(test, 0, 0);
	unsigned int i, copies;

	rig_request(rig, 3, id_of(1, 0), 0, SHARED, 5, 5);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
	rig->sb.state++;
	rig->sb.slot[0].rate = FAST;
	/* an ABORT: the lock stays */
	rig_super(rig, 1, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->msg.id, id_of(1, 0));
	for (i = 0; i < rig->copies; i++)
		KUNIT_EXPECT_TRUE(test, rig->split[i]->first > 5);
	/* a reader of the same grains stands behind the split */
	rig_request(rig, 1, id_of(1, 0), 0, SHARED, 8, 8);
	rig_silence(rig, 1);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].records[0].state,
			FCLOCK_REC_WAITING);
	/* the holder is cut off: the reader goes on, the grains stay unsplit */
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_LOCK_GRANT);
	copies = all_done(rig, 0);
	copies = work_ms(rig, copies, 2500);
	KUNIT_EXPECT_LT(test, split_of(rig, 0), RIG_GRAINS);
	KUNIT_EXPECT_FALSE(test, test_bit(5, rig->bits[0]));
	/* it comes back and gives its lock back */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	rig_says(rig, 1, FCLOCK_RELEASED, id_of(1, 0), 0);
	work_ms(rig, copies, 2500);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), RIG_GRAINS);
}

/* What cannot be copied takes the slot offline; the other one goes on. */
static void fails(struct kunit *test)
{
	struct rig *rig = begin(test, FAST, 0);
	unsigned int n;

	rig_do(rig, fclock_core_copied(rig->core, rig->split[0], true, 0));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 1);
	n = all_done(rig, 1);
	wait_ms(rig, 3000);
	KUNIT_EXPECT_EQ(test, n, rig->copies);
	rig->sb.state++;
	rig->sb.slot[0].state = FCLOCK_SLOT_OFFLINE;
	rig->sb.slot[1].rate = 64;
	rig_super(rig, 1, FCLOCK_RESUME);
	wait_ms(rig, 3000);
	KUNIT_EXPECT_GT(test, rig->copies, n);
	for (; n < rig->copies; n++)
		KUNIT_EXPECT_EQ(test, rig->split[n]->slots, 2);
}

/* Another generation begins from the start, at the same rate. */
static void trigger_again(struct kunit *test)
{
	struct rig *rig = begin(test, FAST, 0);
	unsigned int n = work_ms(rig, 0, 500);

	KUNIT_EXPECT_EQ(test, split_of(rig, 0), RIG_GRAINS);
	rig->sb.state++;
	rig->sb.slot[0].state = FCLOCK_SLOT_COMPLETE;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->copies, n);
	/* a complete slot needs no lookup; A does, for the other slot */
	KUNIT_EXPECT_EQ(test, rig->core->path[0], FCLOCK_PATH_PASS);
	KUNIT_EXPECT_EQ(test, rig->core->path[FCLOCK_CACHE_A],
			FCLOCK_PATH_CACHE);
	rig->sb.state++;
	rig->sb.slot[1].state = FCLOCK_SLOT_IDLE;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->path[FCLOCK_CACHE_A],
			FCLOCK_PATH_PASS);
	rig->sb.state++;
	rig->sb.slot[0].state = FCLOCK_SLOT_ACTIVE;
	rig->sb.slot[0].generation = rig->sb.state;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->path[0], FCLOCK_PATH_CACHE);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), 0);
	KUNIT_ASSERT_TRUE(test, rig->copies > n);
	KUNIT_EXPECT_EQ(test, rig->split[n]->first, 0);
	work_ms(rig, n, 500);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), RIG_GRAINS);
}

/* What is split already, or is being split, is passed over. */
static void passes_over(struct kunit *test)
{
	struct rig *rig = begin(test, 0, 0);
	unsigned int n;

	rig_request(rig, 3, id_of(1, 0), 0, SPLIT, 0, 3);
	n = all_done(rig, 0);
	rig_silence(rig, 3);
	rates(rig, FAST, 0);
	KUNIT_EXPECT_EQ(test, rig->split[n]->first, 4);
	KUNIT_EXPECT_EQ(test, rig->split[n]->last, 15);
	work_ms(rig, n, 500);
	KUNIT_EXPECT_EQ(test, split_of(rig, 0), RIG_GRAINS);
}

static struct kunit_case background_cases[] = {
	KUNIT_CASE(off),
	KUNIT_CASE(whole),
	KUNIT_CASE(throttle),
	KUNIT_CASE(together),
	KUNIT_CASE(yields),
	KUNIT_CASE(prepare),
	KUNIT_CASE(readers),
	KUNIT_CASE(fails),
	KUNIT_CASE(trigger_again),
	KUNIT_CASE(passes_over),
	{}
};

static struct kunit_suite background_suite = {
	.name = "fclock_background",
	.init = background_test_init,
	.exit = rig_exit,
	.test_cases = background_cases,
};

kunit_test_suites(&background_suite);
