// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the bitmap blocks. Golden bytes are literal, made by other
 * means than the code under test: they also hold on a big-endian machine.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/crc32c.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "ondisk.h"

#define SECTOR		512
#define NR_SECTORS	8
#define FLAT_BITS	(4 * FCLOCK_MAX_SLICE)

static const u8 uuid[FCLOCK_UUID_LEN] = "@ABCDEFGHIJKLMNO";
static const u8 other_uuid[FCLOCK_UUID_LEN] = "@ABCDEFGHIJKLMNo";

struct fixture {
	struct fclock_bitmap_id id;
	u8 a[FCLOCK_MD_BLOCK_SIZE];
	u8 b[FCLOCK_MD_BLOCK_SIZE];
	u8 c[FCLOCK_MD_BLOCK_SIZE];
	DECLARE_BITMAP(want, FLAT_BITS);
	DECLARE_BITMAP(bits, FLAT_BITS);
};

static const struct fclock_bitmap_id golden_id = {
	.uuid = uuid,
	.slice = 0x0a0b0c,
	.slot = 5,
	.generation = 0x0102030405060708ULL,
	.nbits = FCLOCK_MAX_SLICE,
};

static int bitmap_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->id = golden_id;
	test->priv = f;
	return 0;
}

static void put_le(u8 *p, u64 value, unsigned int size)
{
	while (size--) {
		*p++ = value;
		value >>= 8;
	}
}

/* Make a sector's CRC right again after a poke: its seed is 40 bytes. */
static void seal(u8 *block, const struct fclock_bitmap_id *id, u32 sector)
{
	u8 *p = block + sector * SECTOR;
	u8 seed[40];

	memcpy(seed, id->uuid, 16);
	memcpy(seed + 16, p + 8, 8);
	put_le(seed + 24, id->slice, 8);
	put_le(seed + 32, id->slot, 4);
	put_le(seed + 36, sector, 4);
	put_le(p, crc32c(crc32c(~0, seed, sizeof(seed)), p + 4, SECTOR - 4),
	       4);
}

static void expect_bytes(struct kunit *test, const u8 *got, const u8 *want,
			 size_t len, const char *what)
{
	size_t i;

	for (i = 0; i < len && got[i] == want[i]; i++)
		;
	KUNIT_EXPECT_EQ_MSG(test, i, len, "%s: byte %zu is %02x, not %02x",
			    what, i, got[min(i, len - 1)],
			    want[min(i, len - 1)]);
}

static void expect_zero(struct kunit *test, const u8 *got, size_t len,
			const char *what)
{
	KUNIT_EXPECT_TRUE_MSG(test, !memchr_inv(got, 0, len),
			      "%s is not zero", what);
}

static const u8 golden_sector0[24] = {
	0xb0, 0xe2, 0x88, 0x13, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_sector1[24] = {
	0x6e, 0x4f, 0x6b, 0x46, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_sector4[16] = {
	0x94, 0xf7, 0xbb, 0x25, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
};

static void block_golden(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct fclock_bitmap_id *id = &golden_id;

	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, id, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, id, 9, 1), 0);
	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, id, 3967, 3), 0);
	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, id, 16383, 1), 0);
	expect_bytes(test, f->a, golden_sector0, 24, "sector 0");
	expect_zero(test, f->a + 24, SECTOR - 25, "middle of sector 0");
	KUNIT_EXPECT_EQ(test, f->a[SECTOR - 1], (u8)0x80);
	expect_bytes(test, f->a + SECTOR, golden_sector1, 24, "sector 1");
	expect_zero(test, f->a + SECTOR + 24, SECTOR - 24, "end of sector 1");
	expect_zero(test, f->a + 2 * SECTOR, 2 * SECTOR, "sectors 2, 3");
	expect_bytes(test, f->a + 4 * SECTOR, golden_sector4, 16, "sector 4");
	expect_zero(test, f->a + 4 * SECTOR + 16, 63, "bits of sector 4");
	KUNIT_EXPECT_EQ(test, f->a[4 * SECTOR + 16 + 63], (u8)0x80);
	expect_zero(test, f->a + 4 * SECTOR + 80, SECTOR - 80 + 3 * SECTOR,
		    "what follows");

	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, id, f->bits, 0), 6);
	bitmap_set(f->want, 0, 1);
	bitmap_set(f->want, 9, 1);
	bitmap_set(f->want, 3967, 3);
	bitmap_set(f->want, 16383, 1);
	KUNIT_EXPECT_TRUE(test, bitmap_equal(f->want, f->bits,
					     FCLOCK_MAX_SLICE));
}

/*
 * Random runs in slices of every size, loaded to places that are and are not
 * aligned, against a plain bitmap; nothing beside the slice's bits changes.
 */
static int random_round(struct fixture *f, struct rnd_state *rnd, u32 bit0)
{
	unsigned int i, n = prandom_u32_state(rnd) % 6;
	u32 nbits = f->id.nbits, first, count;
	int set;

	memset(f->a, 0, sizeof(f->a));
	prandom_bytes_state(rnd, f->want, sizeof(f->want));
	memcpy(f->bits, f->want, sizeof(f->bits));
	bitmap_clear(f->want, bit0, nbits);
	for (i = 0; i < n; i++) {
		first = prandom_u32_state(rnd) % nbits;
		count = prandom_u32_state(rnd) % (nbits - first) + 1;
		if (i & 1)
			count = min(count, 70U);
		if (fclock_bitmap_set(f->a, &f->id, first, count))
			return -1;
		bitmap_set(f->want, bit0 + first, count);
	}
	set = fclock_bitmap_load(f->a, &f->id, f->bits, bit0);
	if (!bitmap_equal(f->want, f->bits, FLAT_BITS))
		return -1;
	for (i = 0; i < nbits; i++)
		set -= test_bit(bit0 + i, f->want);
	return set;
}

static void block_random(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 seed = get_random_u32(), bit0;
	struct rnd_state rnd;
	unsigned int round;

	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);
	for (round = 0; round < 2000; round++) {
		f->id.nbits = FCLOCK_MIN_SLICE << round / 2 % 13;
		bit0 = prandom_u32_state(&rnd) % (2 * FCLOCK_MAX_SLICE);
		if (round & 1)
			bit0 &= ~(f->id.nbits - 1);
		if (random_round(f, &rnd, bit0)) {
			KUNIT_FAIL(test, "round %u, slice %u, bit0 %u", round,
				   f->id.nbits, bit0);
			return;
		}
	}
}

static void block_empty(struct kunit *test)
{
	struct fixture *f = test->priv;

	memset(f->bits, 0xff, sizeof(f->bits));
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 64), 0);
	KUNIT_EXPECT_EQ(test, find_first_zero_bit(f->bits, FLAT_BITS), 64UL);
	KUNIT_EXPECT_EQ(test, find_next_bit(f->bits, FLAT_BITS, 64),
			64UL + FCLOCK_MAX_SLICE);
	/* An idle slot has no generation; nothing is set in it. */
	f->id.generation = 0;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0), 0);
}

/* Every mix of old and new sectors reads as what each of them says. */
static void torn(struct kunit *test, u64 old_generation)
{
	struct fixture *f = test->priv;
	struct fclock_bitmap_id old = f->id;
	unsigned int mix, i, set;
	bool fresh;

	old.generation = old_generation;
	for (i = 0; i < FCLOCK_MAX_SLICE; i += 100)
		KUNIT_ASSERT_EQ(test, 0, fclock_bitmap_set(f->a, &old, i, 1));
	memcpy(f->b, f->a, sizeof(f->b));
	for (i = 50; i < FCLOCK_MAX_SLICE; i += 100)
		KUNIT_ASSERT_EQ(test, 0, fclock_bitmap_set(f->b, &f->id, i, 1));

	for (mix = 0; mix < 256; mix++) {
		bitmap_zero(f->want, FLAT_BITS);
		for (i = 0; i < NR_SECTORS; i++)
			memcpy(f->c + i * SECTOR,
			       (mix & (1 << i) ? f->b : f->a) + i * SECTOR,
			       SECTOR);
		for (i = 0, set = 0; i < FCLOCK_MAX_SLICE; i += 50) {
			fresh = mix & (1 << i / FCLOCK_SECTOR_BITS);
			if (i % 100 ? fresh : old.generation == f->id.generation) {
				__set_bit(i, f->want);
				set++;
			}
		}
		KUNIT_EXPECT_EQ_MSG(test, set,
				    fclock_bitmap_load(f->c, &f->id, f->bits, 0),
				    "mix %02x", mix);
		KUNIT_EXPECT_TRUE_MSG(test,
				      bitmap_equal(f->want, f->bits,
						   FCLOCK_MAX_SLICE),
				      "mix %02x", mix);
	}
}

static void block_torn(struct kunit *test)
{
	torn(test, golden_id.generation);
}

static void block_torn_generation(struct kunit *test)
{
	torn(test, golden_id.generation - 1);
}

/* What is older counts as zero and is started anew by the next bit. */
static void block_stale(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, 0, fclock_bitmap_set(f->a, &f->id, 0,
						   FCLOCK_MAX_SLICE));
	memset(f->bits, 0xff, sizeof(f->bits));
	f->id.generation++;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0), 0);
	KUNIT_EXPECT_EQ(test, find_first_bit(f->bits, FLAT_BITS),
			(unsigned long)FCLOCK_MAX_SLICE);

	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &f->id, 4000, 2), 0);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0), 2);
	KUNIT_EXPECT_TRUE(test, test_bit(4000, f->bits));
	KUNIT_EXPECT_TRUE(test, test_bit(4001, f->bits));
	/* A wrong CRC is no older generation. */
	f->a[7 * SECTOR + 100] ^= 1;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-EILSEQ);
}

static void block_newer(struct kunit *test)
{
	struct fixture *f = test->priv;

	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, &f->id, 4000, 1), 0);
	f->id.generation--;
	memcpy(f->b, f->a, sizeof(f->b));
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-ESTALE);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &f->id, 3967, 2),
			-ESTALE);
	expect_bytes(test, f->a, f->b, sizeof(f->a), "refused, unchanged");
}

/* A sector says whose it is and where it stands. */
static void block_position(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct fclock_bitmap_id id;

	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, &f->id, 100, 1), 0);
	id = f->id;
	id.uuid = other_uuid;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &id, f->bits, 0),
			-EILSEQ);
	id = f->id;
	id.slice++;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &id, f->bits, 0),
			-EILSEQ);
	id = f->id;
	id.slice |= 1ULL << 40;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &id, f->bits, 0),
			-EILSEQ);
	id = f->id;
	id.slot--;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &id, f->bits, 0),
			-EILSEQ);

	memcpy(f->a + SECTOR, f->a, SECTOR);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-EILSEQ);
	/* The generation stands in the seed too: another one does not check. */
	memset(f->a + SECTOR, 0, SECTOR);
	f->a[8] ^= 1;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-EILSEQ);
}

/* No single wrong bit is read, neither in a written nor in an empty sector. */
static void block_bit_flips(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, bad = 0;

	memset(f->bits, 0x5a, sizeof(f->bits));
	memcpy(f->want, f->bits, sizeof(f->want));
	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, &f->id, 100, 1000), 0);
	for (i = 0; i < FCLOCK_MD_BLOCK_SIZE * 8; i++) {
		f->a[i / 8] ^= 1 << (i % 8);
		if (fclock_bitmap_load(f->a, &f->id, f->bits, 0) != -EILSEQ)
			bad++;
		f->a[i / 8] ^= 1 << (i % 8);
	}
	KUNIT_EXPECT_EQ(test, bad, 0U);
	KUNIT_EXPECT_TRUE_MSG(test,
			      bitmap_equal(f->want, f->bits, FLAT_BITS),
			      "an error changed the result");
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			1000);
}

static void block_beyond(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 nbits, bit;

	for (nbits = FCLOCK_MIN_SLICE; nbits < FCLOCK_MAX_SLICE; nbits *= 2) {
		for (bit = nbits; bit < FCLOCK_MAX_SLICE; bit += bit / 3) {
			memset(f->a, 0, sizeof(f->a));
			f->id.nbits = FCLOCK_MAX_SLICE;
			fclock_bitmap_set(f->a, &f->id, bit, 1);
			f->id.nbits = nbits;
			KUNIT_EXPECT_EQ_MSG(test, -EUCLEAN,
					    fclock_bitmap_load(f->a, &f->id,
							       f->bits, 0),
					    "bit %u of %u", bit, nbits);
		}
	}
	/* Behind the largest slice there is still room in the block. */
	f->id = golden_id;
	memset(f->a, 0, sizeof(f->a));
	fclock_bitmap_set(f->a, &f->id, 16383, 1);
	f->a[4 * SECTOR + 16 + 64] = 1;
	seal(f->a, &f->id, 4);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-EUCLEAN);
	memcpy(f->a + 7 * SECTOR, f->a + 4 * SECTOR, SECTOR);
	memset(f->a + 4 * SECTOR, 0, SECTOR);
	seal(f->a, &f->id, 7);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0),
			-EUCLEAN);
}

static void block_pad(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, &f->id, 1, 1), 0);
	seal(f->a, &f->id, 0);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &f->id, f->bits, 0), 1);
	for (i = 4; i < 8; i++) {
		f->a[i] = 1;
		seal(f->a, &f->id, 0);
		KUNIT_EXPECT_EQ(test, -EUCLEAN,
				fclock_bitmap_load(f->a, &f->id, f->bits, 0));
		f->a[i] = 0;
	}
}

static void block_set_refusals(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct fclock_bitmap_id id = f->id;

	/* Only what is touched has to check; all of it, before any change. */
	KUNIT_ASSERT_EQ(test, fclock_bitmap_set(f->a, &id, 0, 9000), 0);
	f->a[SECTOR + 20] ^= 1;
	memcpy(f->b, f->a, sizeof(f->b));
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 3900, 100), -EILSEQ);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 0, 9000), -EILSEQ);
	expect_bytes(test, f->a, f->b, sizeof(f->a), "refused, unchanged");
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 3900, 68), 0);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 7936, 1), 0);
	/* Set again what is set: the same bytes. */
	expect_bytes(test, f->a, f->b, sizeof(f->a), "set again");

	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 0, 16385), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 16384, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 1, ~0U), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, ~0U, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 16384, 0), 0);
	id.nbits = FCLOCK_MAX_SLICE + 1;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 0, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_load(f->a, &id, f->bits, 0),
			-EINVAL);
	id = f->id;
	id.generation = 0;
	KUNIT_EXPECT_EQ(test, fclock_bitmap_set(f->a, &id, 0, 1), -EINVAL);
	expect_bytes(test, f->a, f->b, sizeof(f->a), "refused, unchanged");
}

static struct kunit_case bitmap_cases[] = {
	KUNIT_CASE(block_golden),
	KUNIT_CASE(block_random),
	KUNIT_CASE(block_empty),
	KUNIT_CASE(block_torn),
	KUNIT_CASE(block_torn_generation),
	KUNIT_CASE(block_stale),
	KUNIT_CASE(block_newer),
	KUNIT_CASE(block_position),
	KUNIT_CASE(block_bit_flips),
	KUNIT_CASE(block_beyond),
	KUNIT_CASE(block_pad),
	KUNIT_CASE(block_set_refusals),
	{}
};

static struct kunit_suite bitmap_suite = {
	.name = "fclock_ondisk_bitmap",
	.init = bitmap_init,
	.test_cases = bitmap_cases,
};

kunit_test_suites(&bitmap_suite);
