// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the superblock and the geometry. Golden bytes are literal,
 * made by other means than the code under test: they also hold on a big-endian
 * machine.
 */
#include <kunit/test.h>
#include <linux/crc32c.h>
#include <linux/slab.h>
#include "ondisk.h"

/* Where things stand on disk; deliberately not taken from ondisk.c. */
#define CRC_OFFSET	12
#define SLOT_OFFSET(s)	(112 + (s) * 24)
#define PART_OFFSET(n)	(512 + ((n) - 1) * 48)
#define SECTOR		512

static const u8 uuid[FCLOCK_UUID_LEN] = "@ABCDEFGHIJKLMNO";

struct fixture {
	struct fclock_super sb;
	struct fclock_super got;
	u8 a[FCLOCK_MD_BLOCK_SIZE];
	u8 b[FCLOCK_MD_BLOCK_SIZE];
	u8 c[FCLOCK_MD_BLOCK_SIZE];
};

/* The volume that the golden bytes describe. */
static void sample(struct fclock_super *sb)
{
	memset(sb, 0, sizeof(*sb));
	sb->state = 0x0102030405060708ULL;
	memcpy(sb->uuid, uuid, sizeof(uuid));
	fclock_geometry_init(&sb->geo, 1000001, 8, 0);
	sb->epoch = 0x1112131415161718ULL;
	sb->members = 0x8000000000000003ULL;
	sb->owners = 0x8000000000000001ULL;
	sb->primary = 64;
	sb->primary_instance = 0x2122232425262728ULL;
	sb->slot[0].state = FCLOCK_SLOT_ACTIVE;
	sb->slot[0].generation = 0x0102030405060700ULL;
	sb->slot[0].length = 1000000;
	sb->slot[0].rate = 0x41424344;
	sb->slot[1].generation = 7;
	sb->slot[1].rate = 1;
	sb->slot[15].state = FCLOCK_SLOT_OFFLINE;
	sb->slot[15].generation = 5;
	sb->slot[15].length = 1;
	sb->part[0].instance = 0x3132333435363738ULL;
	sb->part[0].attached = 0x8001;
	strcpy(sb->part[0].host, "alpha");
	sb->part[63].instance = 0x2122232425262728ULL;
	sb->part[63].attached = 0x8000;
	strcpy(sb->part[63].host, "abcdefghijklmnopqrstuvwxyz01234");
}

static int ondisk_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	sample(&f->sb);
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

/* Make the CRC right again after a poke. */
static void seal(u8 *block)
{
	put_le(block + CRC_OFFSET, 0, 4);
	put_le(block + CRC_OFFSET,
	       crc32c(~0, block, FCLOCK_MD_BLOCK_SIZE), 4);
}

/* Superblock */

static const u8 golden_head[112] = {
	0x66, 0x63, 0x6c, 0x6f, 0x63, 0x6b, 0x30, 0x31,
	0x02, 0x00, 0x00, 0x00, 0xc1, 0xb6, 0x47, 0x5f,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
	0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
	0x41, 0x42, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00,
	0x49, 0xe8, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xa2, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
	0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_slot0_1[48] = {
	0x01, 0x00, 0x00, 0x00, 0x44, 0x43, 0x42, 0x41,
	0x00, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x40, 0x42, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_slot15[24] = {
	0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_part1[48] = {
	0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
	0x01, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x61, 0x6c, 0x70, 0x68, 0x61, 0x00, 0x00, 0x00,
};

static const u8 golden_part64[48] = {
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
	0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
	0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70,
	0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
	0x79, 0x7a, 0x30, 0x31, 0x32, 0x33, 0x34, 0x00,
};

static void super_golden(struct kunit *test)
{
	struct fixture *f = test->priv;

	memset(f->a, 0xee, sizeof(f->a));
	fclock_super_encode(&f->sb, f->a);
	expect_bytes(test, f->a, golden_head, 112, "head");
	expect_bytes(test, f->a + SLOT_OFFSET(0), golden_slot0_1, 48,
		     "slots 0, 1");
	expect_zero(test, f->a + SLOT_OFFSET(2), 13 * 24, "slots 2 to 14");
	expect_bytes(test, f->a + SLOT_OFFSET(15), golden_slot15, 24,
		     "slot 15");
	expect_zero(test, f->a + 496, 16, "pad behind the slots");
	expect_bytes(test, f->a + PART_OFFSET(1), golden_part1, 48, "node 1");
	expect_zero(test, f->a + PART_OFFSET(2), 62 * 48, "nodes 2 to 63");
	expect_bytes(test, f->a + PART_OFFSET(64), golden_part64, 48,
		     "node 64");
	expect_zero(test, f->a + 3584, 512, "end");
}

static void super_round_trip(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct fclock_super *got = &f->got;

	fclock_super_encode(&f->sb, f->a);
	memset(got, 0xee, sizeof(*got));
	KUNIT_ASSERT_EQ(test, fclock_super_decode(f->a, got), 0);
	fclock_super_encode(got, f->b);
	expect_bytes(test, f->b, f->a, sizeof(f->a), "encoded again");

	KUNIT_EXPECT_EQ(test, got->state, 0x0102030405060708ULL);
	KUNIT_EXPECT_EQ(test, got->geo.length, 1000001ULL);
	KUNIT_EXPECT_EQ(test, got->geo.grain, 8U);
	KUNIT_EXPECT_EQ(test, got->geo.grains, 125001ULL);
	KUNIT_EXPECT_EQ(test, got->geo.slice, 64U);
	KUNIT_EXPECT_EQ(test, got->geo.slices, 1954ULL);
	KUNIT_EXPECT_EQ(test, got->primary, (u8)64);
	KUNIT_EXPECT_EQ(test, got->owners, 0x8000000000000001ULL);
	KUNIT_EXPECT_EQ(test, got->part[63].attached, (u16)0x8000);
	KUNIT_EXPECT_STREQ(test, got->part[0].host, "alpha");
	KUNIT_EXPECT_EQ(test, got->slot[15].generation, 5ULL);
	KUNIT_EXPECT_EQ(test, got->slot[0].rate, 0x41424344U);
	KUNIT_EXPECT_EQ(test, got->slot[1].rate, 1U);
	KUNIT_EXPECT_EQ(test, got->part[30].instance, 0ULL);
}

/* Who is not listed leaves nothing behind, and hosts are made clean. */
static void super_encode_cleans(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->sb.part[5].attached = 1;
	strcpy(f->sb.part[5].host, "gone");
	memset(f->sb.part[0].host, 'x', FCLOCK_HOST_LEN);
	f->sb.part[0].host[3] = '\n';
	fclock_super_encode(&f->sb, f->a);
	expect_zero(test, f->a + PART_OFFSET(6), 48, "node 6");
	KUNIT_ASSERT_EQ(test, fclock_super_decode(f->a, &f->got), 0);
	KUNIT_EXPECT_STREQ(test, f->got.part[0].host,
			   "xxx?xxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

/* No single wrong bit anywhere is read, and the other block counts then. */
static void super_bit_flips(struct kunit *test)
{
	struct fixture *f = test->priv;
	int bad = 0, which;
	unsigned int i;

	fclock_super_encode(&f->sb, f->a);
	f->sb.state--;
	fclock_super_encode(&f->sb, f->b);
	for (i = 0; i < FCLOCK_MD_BLOCK_SIZE * 8; i++) {
		f->a[i / 8] ^= 1 << (i % 8);
		if (fclock_super_decode(f->a, &f->got) != -EILSEQ)
			bad++;
		which = -1;
		if (i % 8 == i / 8 % 8 &&
		    (fclock_super_choose(f->a, f->b, &f->got, &which) ||
		     which != 1 || f->got.state != f->sb.state))
			bad++;
		f->a[i / 8] ^= 1 << (i % 8);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, fclock_super_decode(f->a, &f->got), 0);
}

struct poke {
	const char *what;
	unsigned int offset;
	unsigned int size;
	u64 value;
	int err;
};

static const struct poke super_pokes[] = {
	{ "magic", 0, 1, 'F', -EILSEQ },
	{ "version 0", 8, 4, 0, -EPROTONOSUPPORT },
	{ "version 1", 8, 4, 1, -EPROTONOSUPPORT },
	{ "state 0", 16, 8, 0, -EUCLEAN },
	{ "the greatest state", 16, 8, 1ULL << 62, 0 },
	{ "a state above it", 16, 8, (1ULL << 62) + 1, -EUCLEAN },
	{ "state 2^64 - 1", 16, 8, ~0ULL, -EUCLEAN },
	{ "state below a generation", 16, 8, 6, -EUCLEAN },
	{ "another uuid", 24, 8, 1, 0 },
	{ "length 0", 40, 8, 0, -EUCLEAN },
	{ "length below its grains", 40, 8, 1000000, -EUCLEAN },
	{ "length above its grains", 40, 8, 1000009, -EUCLEAN },
	{ "length of the same grains", 40, 8, 1000008, 0 },
	{ "length beyond loff_t", 40, 8, 1ULL << 54, -EUCLEAN },
	{ "length 2^64 - 1", 40, 8, ~0ULL, -EUCLEAN },
	{ "grain 0", 48, 4, 0, -EUCLEAN },
	{ "grain 4", 48, 4, 4, -EUCLEAN },
	{ "grain 9", 48, 4, 9, -EUCLEAN },
	{ "grain 16", 48, 4, 16, -EUCLEAN },
	{ "grain 4096", 48, 4, 4096, -EUCLEAN },
	{ "slice 0", 52, 4, 0, -EUCLEAN },
	{ "slice 2", 52, 4, 2, -EUCLEAN },
	{ "slice 63", 52, 4, 63, -EUCLEAN },
	{ "slice 128", 52, 4, 128, -EUCLEAN },
	{ "slice 32768", 52, 4, 32768, -EUCLEAN },
	{ "one grain less", 56, 8, 125000, -EUCLEAN },
	{ "one grain more", 56, 8, 125002, -EUCLEAN },
	{ "one slice less", 64, 8, 1953, -EUCLEAN },
	{ "one slice more", 64, 8, 1955, -EUCLEAN },
	{ "members without an epoch", 72, 8, 0, -EUCLEAN },
	{ "the greatest epoch", 72, 8, 1ULL << 62, 0 },
	{ "an epoch above it", 72, 8, (1ULL << 62) + 1, -EUCLEAN },
	{ "an epoch without members", 80, 8, 0, -EUCLEAN },
	{ "members that are not listed", 80, 8, ~0ULL, 0 },
	{ "an owner that is not listed", 88, 8, 3, -EUCLEAN },
	{ "no owner", 88, 8, 0, 0 },
	{ "no primary instance", 96, 8, 0, -EUCLEAN },
	{ "a primary instance that is not listed", 96, 8, 1, 0 },
	{ "no primary", 104, 1, 0, -EUCLEAN },
	{ "primary 65", 104, 1, 65, -EUCLEAN },
	{ "a primary that is not listed", 104, 1, 7, 0 },
	{ "slot state", SLOT_OFFSET(3), 1, 4, -EUCLEAN },
	{ "slot state 255", SLOT_OFFSET(3), 1, 255, -EUCLEAN },
	{ "active, never triggered", SLOT_OFFSET(3), 1, 1, -EUCLEAN },
	{ "complete", SLOT_OFFSET(0), 1, 2, 0 },
	{ "slot pad", SLOT_OFFSET(3) + 1, 1, 1, -EUCLEAN },
	{ "slot pad end", SLOT_OFFSET(3) + 3, 1, 1, -EUCLEAN },
	{ "no generation", SLOT_OFFSET(0) + 8, 8, 0, -EUCLEAN },
	{ "generation of now", SLOT_OFFSET(0) + 8, 8, 0x0102030405060708ULL,
	  0 },
	{ "generation to come", SLOT_OFFSET(0) + 8, 8, 0x0102030405060709ULL,
	  -EUCLEAN },
	{ "generation to come, idle", SLOT_OFFSET(1) + 8, 8,
	  0x0102030405060709ULL, -EUCLEAN },
	{ "no slot length", SLOT_OFFSET(0) + 16, 8, 0, -EUCLEAN },
	{ "whole slot length", SLOT_OFFSET(0) + 16, 8, 1000001, 0 },
	{ "greatest rate", SLOT_OFFSET(3) + 4, 4, ~0U, 0 },
	{ "slot length", SLOT_OFFSET(0) + 16, 8, 1000002, -EUCLEAN },
	{ "not listed but attached", PART_OFFSET(9) + 8, 2, 1, -EUCLEAN },
	{ "not listed but a host", PART_OFFSET(9) + 16, 1, 'a', -EUCLEAN },
	{ "not listed but a pad", PART_OFFSET(9) + 15, 1, 1, -EUCLEAN },
	{ "an owner struck", PART_OFFSET(1), 8, 0, -EUCLEAN },
	{ "a host without an end", PART_OFFSET(64) + 47, 1, 'a', -EUCLEAN },
	{ "bytes behind a host", PART_OFFSET(1) + 40, 1, 'a', -EUCLEAN },
	{ "a blank in a host", PART_OFFSET(1) + 18, 1, ' ', -EUCLEAN },
	{ "a line feed in a host", PART_OFFSET(1) + 18, 1, '\n', -EUCLEAN },
	{ "delete in a host", PART_OFFSET(1) + 18, 1, 0x7f, -EUCLEAN },
	{ "a high byte in a host", PART_OFFSET(1) + 18, 1, 0xe4, -EUCLEAN },
};

static void super_bad_fields(struct kunit *test)
{
	struct fixture *f = test->priv;
	const struct poke *p;
	unsigned int i;

	fclock_super_encode(&f->sb, f->a);
	for (i = 0; i < ARRAY_SIZE(super_pokes); i++) {
		p = &super_pokes[i];
		memcpy(f->b, f->a, sizeof(f->b));
		put_le(f->b + p->offset, p->value, p->size);
		if (p->err != -EILSEQ)
			KUNIT_EXPECT_EQ_MSG(test, -EILSEQ,
					    fclock_super_decode(f->b, &f->got),
					    "%s, wrong CRC", p->what);
		seal(f->b);
		KUNIT_EXPECT_EQ_MSG(test, p->err,
				    fclock_super_decode(f->b, &f->got),
				    "%s", p->what);
	}

	memcpy(f->b, f->a, sizeof(f->b));
	memset(f->b + 24, 0, FCLOCK_UUID_LEN);
	seal(f->b);
	KUNIT_EXPECT_EQ(test, fclock_super_decode(f->b, &f->got), -EUCLEAN);
}

/* Every byte that means nothing must be zero. */
static void super_pads(struct kunit *test)
{
	static const unsigned int pads[][2] = {
		{ 105, 7 }, { 496, 16 }, { 3584, 512 },
		{ PART_OFFSET(1) + 10, 6 }, { PART_OFFSET(64) + 10, 6 },
		{ SLOT_OFFSET(0) + 1, 3 }, { SLOT_OFFSET(15) + 1, 3 },
	};
	struct fixture *f = test->priv;
	unsigned int i, at;

	fclock_super_encode(&f->sb, f->a);
	for (i = 0; i < ARRAY_SIZE(pads); i++) {
		for (at = pads[i][0]; at < pads[i][0] + pads[i][1]; at++) {
			f->a[at] = 1;
			seal(f->a);
			KUNIT_EXPECT_EQ_MSG(test, -EUCLEAN,
					    fclock_super_decode(f->a, &f->got),
					    "byte %u", at);
			f->a[at] = 0;
		}
	}
	seal(f->a);
	KUNIT_EXPECT_EQ(test, fclock_super_decode(f->a, &f->got), 0);
}

enum content { ZERO, OLD, NEW, OTHER, TORN, VERSION, UNCLEAN, NR_CONTENTS };

static const char * const content_name[] = {
	"zero", "old", "new", "as new as new", "torn", "version", "unclean",
};

/* By on-disk.rst: error, or the block that counts. */
static const int choices[NR_CONTENTS][NR_CONTENTS] = {
	[ZERO] = { -ENODATA, -EILSEQ, -EILSEQ, -EILSEQ, -EILSEQ,
		    -EPROTONOSUPPORT, -EUCLEAN },
	[OLD] = { -EILSEQ, 0, 1, 1, 0, -EPROTONOSUPPORT, -EUCLEAN },
	[NEW] = { -EILSEQ, 0, 0, -EILSEQ, 0, -EPROTONOSUPPORT, -EUCLEAN },
	[OTHER] = { -EILSEQ, 0, -EILSEQ, 0, 0, -EPROTONOSUPPORT, -EUCLEAN },
	[TORN] = { -EILSEQ, 1, 1, 1, -EILSEQ, -EPROTONOSUPPORT, -EUCLEAN },
	[VERSION] = { -EPROTONOSUPPORT, -EPROTONOSUPPORT, -EPROTONOSUPPORT,
		      -EPROTONOSUPPORT, -EPROTONOSUPPORT, -EPROTONOSUPPORT,
		      -EPROTONOSUPPORT },
	[UNCLEAN] = { -EUCLEAN, -EUCLEAN, -EUCLEAN, -EUCLEAN, -EUCLEAN,
		      -EUCLEAN, -EUCLEAN },
};

static void make_content(struct fixture *f, enum content what, u8 *block)
{
	memset(block, 0, FCLOCK_MD_BLOCK_SIZE);
	if (what == ZERO)
		return;
	sample(&f->sb);
	if (what == OLD)
		f->sb.state--;
	if (what == OTHER)
		f->sb.epoch++;
	if (what == UNCLEAN)
		f->sb.primary = 65;
	fclock_super_encode(&f->sb, block);
	if (what == TORN)
		memset(block + SECTOR, 0, SECTOR);
	if (what == VERSION) {
		put_le(block + 8, 99, 4);
		seal(block);
	}
}

static void super_choose(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, j;
	int r, which;

	for (i = 0; i < NR_CONTENTS; i++) {
		for (j = 0; j < NR_CONTENTS; j++) {
			make_content(f, i, f->a);
			make_content(f, j, f->b);
			which = -1;
			r = fclock_super_choose(f->a, f->b, &f->got, &which);
			KUNIT_EXPECT_EQ_MSG(test, r ?: which, choices[i][j],
					    "%s, %s", content_name[i],
					    content_name[j]);
			if (r)
				continue;
			fclock_super_encode(&f->got, f->c);
			expect_bytes(test, f->c, which ? f->b : f->a,
				     sizeof(f->c), "chosen");
		}
	}
}

/* What stood there before: differs from OLD and NEW in sectors 0 and 4. */
static void make_older(struct fixture *f, u8 *block)
{
	sample(&f->sb);
	f->sb.state -= 2;
	f->sb.part[40].instance = 1;
	strcpy(f->sb.part[40].host, "beta");
	fclock_super_encode(&f->sb, block);
}

/* A write of the newer block that tears anywhere leaves one of the two. */
static void super_torn(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int mix, i;
	int r, which;

	make_content(f, OLD, f->a);
	make_content(f, NEW, f->c);
	for (mix = 0; mix < 256; mix++) {
		make_older(f, f->b);
		for (i = 0; i < 8; i++)
			if (mix & (1 << i))
				memcpy(f->b + i * SECTOR, f->c + i * SECTOR,
				       SECTOR);
		which = -1;
		r = fclock_super_choose(f->a, f->b, &f->got, &which);
		KUNIT_EXPECT_EQ_MSG(test, r, 0, "mix %02x", mix);
		KUNIT_EXPECT_EQ_MSG(test, which, (mix & 0x11) == 0x11,
				    "mix %02x", mix);
	}
}

/* Geometry */

struct geometry_case {
	u64 length;
	u32 grain;
	u64 md;
	int err;
	u32 slice;
	u64 slices;
};

#define MIB 2048ULL

static const struct geometry_case geometry_cases[] = {
	/* 1 TiB at 64 KiB: exactly 64 MiB of bitmaps */
	{ 1ULL << 31, 128, 0, 0, 16384, 1024 },
	{ 1ULL << 31, 128, 64 * MIB + 128, 0, 16384, 1024 },
	{ 1ULL << 31, 128, 64 * MIB + 127, -ENOSPC, 16384, 1024 },
	{ (1ULL << 31) + 1, 128, 0, 0, 16384, 1025 },
	{ (1ULL << 31) - 128, 128, 0, 0, 16384, 1024 },
	{ (1ULL << 31) - 16384 * 128, 128, 0, 0, 8192, 2046 },
	/* 1 GiB at 64 KiB */
	{ 1ULL << 21, 128, 0, 0, 16, 1024 },
	{ 1ULL << 21, 128, 64 * MIB + 128, 0, 16, 1024 },
	{ 1ULL << 21, 128, 64 * MIB + 127, 0, 32, 512 },
	{ 1ULL << 21, 128, 32 * MIB + 127, 0, 64, 256 },
	{ 1ULL << 21, 128, 256, 0, 16384, 1 },
	{ 1ULL << 21, 128, 255, -ENOSPC, 16384, 1 },
	/* the smallest */
	{ 1, 8, 0, 0, 4, 1 },
	{ 1, 2048, 256, 0, 4, 1 },
	{ 33, 8, 0, 0, 4, 2 },
	{ 33, 8, 256, 0, 8, 1 },
	{ 1, 8, 255, -ENOSPC, 16384, 1 },
	/* the largest */
	{ (1ULL << 54) - 1, 8, 0, 0, 16384, 1ULL << 37 },
	{ 1ULL << 54, 8, 0, -EINVAL },
	{ ~0ULL, 8, 0, -EINVAL },
	/* what is none */
	{ 0, 128, 0, -EINVAL },
	{ 1000, 0, 0, -EINVAL },
	{ 1000, 4, 0, -EINVAL },
	{ 1000, 129, 0, -EINVAL },
	{ 1000, 4096, 0, -EINVAL },
	{ 1000, 1U << 31, 0, -EINVAL },
};

static void geometry_table(struct kunit *test)
{
	const struct geometry_case *c;
	struct fclock_geometry geo;
	unsigned int i;
	int r;

	for (i = 0; i < ARRAY_SIZE(geometry_cases); i++) {
		c = &geometry_cases[i];
		r = fclock_geometry_init(&geo, c->length, c->grain, c->md);
		KUNIT_EXPECT_EQ_MSG(test, r, c->err, "case %u", i);
		if (r == -EINVAL)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, geo.slice, c->slice, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, geo.slices, c->slices, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, fclock_md_sectors_needed(&geo),
				    128 + c->slices * 128, "case %u", i);
	}
}

static void geometry_block(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, fclock_bitmap_block(0, 0), 16ULL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_block(0, 15), 31ULL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_block(1, 0), 32ULL);
	KUNIT_EXPECT_EQ(test, fclock_bitmap_block(1ULL << 37, 3),
			(1ULL << 41) + 19);
}

static struct kunit_case ondisk_cases[] = {
	KUNIT_CASE(super_golden),
	KUNIT_CASE(super_round_trip),
	KUNIT_CASE(super_encode_cleans),
	KUNIT_CASE(super_bit_flips),
	KUNIT_CASE(super_bad_fields),
	KUNIT_CASE(super_pads),
	KUNIT_CASE(super_choose),
	KUNIT_CASE(super_torn),
	KUNIT_CASE(geometry_table),
	KUNIT_CASE(geometry_block),
	{}
};

static struct kunit_suite ondisk_suite = {
	.name = "fclock_ondisk",
	.init = ondisk_init,
	.test_cases = ondisk_cases,
};

kunit_test_suites(&ondisk_suite);
