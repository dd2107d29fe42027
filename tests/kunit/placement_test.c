// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the placement of slices.
 */
#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/slab.h>
#include "placement.h"

#define SLICES	16384

static int placement_init(struct kunit *test)
{
	struct fclock_super *sb = kunit_kzalloc(test, sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return -ENOMEM;
	memcpy(sb->uuid, "@ABCDEFGHIJKLMNO", FCLOCK_UUID_LEN);
	test->priv = sb;
	return 0;
}

/* All nodes of every build compute the same: changed values break clusters. */
static void golden(struct kunit *test)
{
	static const u8 three[] = { 1, 3, 2, 2, 1, 1, 2, 3,
				    2, 1, 2, 2, 3, 1, 3, 1 };
	static const u8 all[] = { 36, 18, 44, 9, 8, 22, 8, 24,
				  7, 20, 54, 11, 13, 39, 24, 52 };
	struct fclock_super *sb = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(three); i++) {
		sb->owners = 7;
		KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, i),
				(unsigned int)three[i]);
		sb->owners = ~0ULL;
		KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, i),
				(unsigned int)all[i]);
	}
	KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, 1ULL << 32), 23U);
	KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, (1ULL << 40) + 1), 20U);
	KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, ~0ULL), 12U);
}

static void none_and_one(struct kunit *test)
{
	struct fclock_super *sb = test->priv;
	unsigned int id;
	u64 slice;

	for (slice = 0; slice < 100; slice++) {
		sb->owners = 0;
		KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, slice), 0U);
		for (id = 1; id <= FCLOCK_MAX_NODES; id++) {
			sb->owners = 1ULL << (id - 1);
			KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, slice),
					id);
		}
	}
}

/* Only the UUID and the owner list count, never the primary. */
static void reads_only_owners(struct kunit *test)
{
	struct fclock_super *sb = test->priv;
	unsigned int before, moved = 0;
	u64 slice;

	for (slice = 0; slice < 1000; slice++) {
		memcpy(sb->uuid, "@ABCDEFGHIJKLMNO", FCLOCK_UUID_LEN);
		sb->owners = 0xf0f0;
		sb->primary = 0;
		sb->state = 1;
		sb->members = 0;
		before = fclock_slice_owner(sb, slice);
		sb->primary = slice % 65;
		sb->state = slice;
		sb->members = slice;
		KUNIT_EXPECT_EQ(test, fclock_slice_owner(sb, slice), before);
		sb->uuid[slice % FCLOCK_UUID_LEN]++;
		moved += fclock_slice_owner(sb, slice) != before;
	}
	/* Another volume: 7 of 8 slices have another owner. */
	KUNIT_EXPECT_GT(test, moved, 825U);
	KUNIT_EXPECT_LT(test, moved, 925U);
}

/* An owner that leaves moves its own slices only, to all of the others. */
static void moves_little(struct kunit *test)
{
	const u64 owners = 0x8000400020001135ULL;
	struct fclock_super *sb = test->priv;
	unsigned int before, after, moved, wrong = 0;
	u64 slice, heirs, gone;

	for (gone = 1; gone; gone <<= 1) {
		if (!(owners & gone))
			continue;
		moved = 0;
		heirs = 0;
		for (slice = 0; slice < 4096; slice++) {
			sb->owners = owners;
			before = fclock_slice_owner(sb, slice);
			sb->owners = owners & ~gone;
			after = fclock_slice_owner(sb, slice);
			if (1ULL << (before - 1) == gone) {
				moved++;
				heirs |= 1ULL << (after - 1);
			} else if (before != after) {
				wrong++;
			}
		}
		KUNIT_EXPECT_EQ(test, heirs, owners & ~gone);
		KUNIT_EXPECT_GT(test, moved, 0U);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0U);
}

static void balance(struct kunit *test, u64 owners)
{
	struct fclock_super *sb = test->priv;
	unsigned int share = SLICES / hweight64(owners);
	unsigned int count[FCLOCK_MAX_NODES + 1] = {};
	unsigned int id;
	u64 slice;

	sb->owners = owners;
	for (slice = 0; slice < SLICES; slice++)
		count[fclock_slice_owner(sb, slice)]++;
	KUNIT_EXPECT_EQ(test, count[0], 0U);
	for (id = 1; id <= FCLOCK_MAX_NODES; id++) {
		if (!(owners & (1ULL << (id - 1)))) {
			KUNIT_EXPECT_EQ(test, count[id], 0U);
			continue;
		}
		/* five sigma of the smallest share, 256 of 16384 */
		KUNIT_EXPECT_GT_MSG(test, count[id], share - share / 3,
				    "node %u", id);
		KUNIT_EXPECT_LT_MSG(test, count[id], share + share / 3,
				    "node %u", id);
	}
}

static void balanced(struct kunit *test)
{
	balance(test, 3);
	balance(test, 7);
	balance(test, 0x8000000000000001ULL);
	balance(test, 0x5555);
	balance(test, ~0ULL);
}

static struct kunit_case placement_cases[] = {
	KUNIT_CASE(golden),
	KUNIT_CASE(none_and_one),
	KUNIT_CASE(reads_only_owners),
	KUNIT_CASE(moves_little),
	KUNIT_CASE(balanced),
	{}
};

static struct kunit_suite placement_suite = {
	.name = "fclock_placement",
	.init = placement_init,
	.test_cases = placement_cases,
};

kunit_test_suites(&placement_suite);
