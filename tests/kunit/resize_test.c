// SPDX-License-Identifier: GPL-2.0-only
/*
 * A volume that grows, driven by events. It has 509 sectors, so its last grain, 63, is cut
 * short; the tables have 820, the last grain of these is 102.
 */
#define RIG_LENGTH	509
#define RIG_ROOM	820
#include "rig.h"

#define A		FCLOCK_TARGET_A
#define WRITE		FCLOCK_IO_WRITE
#define LONGER		820ULL
#define LAST		102		/* grain of LONGER */

static int resize_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static void submit(struct rig *rig, struct fclock_waiter *w, u8 target, u8 io,
		   u64 first, u64 end)
{
	memset(w, 0, sizeof(*w));
	w->target = target;
	w->io = io;
	w->first = first / 8;
	w->last = (end - 1) / 8;
	w->end = end;
	w->verdict = 0xee;
	rig_do(rig, fclock_client_submit(rig->core, w));
}

static void fails(struct rig *rig, u8 target, u8 io, u64 first, u64 end)
{
	struct fclock_waiter w;

	submit(rig, &w, target, io, first, end);
	KUNIT_EXPECT_EQ_MSG(rig->test, w.verdict, FCLOCK_FAIL, "%llu-%llu",
			    first, end);
}

static void goes(struct rig *rig, u8 target, u8 io, u64 first, u64 end)
{
	struct fclock_waiter w;

	submit(rig, &w, target, io, first, end);
	KUNIT_EXPECT_EQ_MSG(rig->test, w.verdict, FCLOCK_GO, "%llu-%llu",
			    first, end);
	KUNIT_EXPECT_EQ(rig->test, w.count, w.last - w.first + 1);
	if (w.verdict == FCLOCK_GO)
		rig_done(rig, &w);
}

static void grow(struct rig *rig, u64 length)
{
	KUNIT_ASSERT_EQ(rig->test, 0,
			fclock_geometry_grow(&rig->sb.geo, length));
	rig->sb.state++;
}

/* By the word of node 1. */
static void resized(struct rig *rig, u64 length)
{
	u64 n = rig->sb.state + 1;

	rig_prepare_length(rig, 1, n, FCLOCK_RESIZE, 0, length);
	KUNIT_EXPECT_EQ(rig->test, rig->core->gates, 0);
	KUNIT_EXPECT_EQ(rig->test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(rig->test, rig->msg.id, n);
	grow(rig, length);
	KUNIT_EXPECT_EQ(rig->test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_EXPECT_EQ(rig->test, rig->core->sb.geo.length, length);
}

static int set_room(struct rig *rig, u64 sectors)
{
	int r;

	rig_do(rig, r = fclock_core_set_room(rig->core, sectors));
	return r;
}

static int set_copy(struct rig *rig, unsigned int slot, u64 sectors)
{
	int r;

	rig_do(rig, r = fclock_core_set_copy(rig->core, slot, sectors));
	return r;
}

/* Where I/O ends; what needs no split; what ends nowhere. */
static void client(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_waiter w;

	rig_run(rig, 1);
	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 0, 9));
	rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 0, 63));
	fails(rig, A, WRITE, 504, 510);
	fails(rig, A, WRITE, 512, 520);
	fails(rig, A, FCLOCK_IO_DISCARD, 72, 512);
	fails(rig, 0, FCLOCK_IO_READ, 504, 512);
	goes(rig, 0, FCLOCK_IO_READ, 504, 509);
	KUNIT_EXPECT_EQ(test, rig->core->whole[FCLOCK_CACHE_A], 63UL);
	rig->events = 0;
	resized(rig, LONGER);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_STATE);
	KUNIT_EXPECT_EQ(test, rig->core->whole[FCLOCK_CACHE_A], 102UL);
	/* nobody is asked, and then it is confirmed */
	goes(rig, A, WRITE, 512, 820);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache,
						    FCLOCK_CACHE_A, 64, LAST));
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache,
						     FCLOCK_CACHE_A, 63, 63));
	rig_do(rig, fclock_core_drop_cache(rig->core));
	goes(rig, A, WRITE, 600, 601);
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache,
						    FCLOCK_CACHE_A, 64, LAST));
	fails(rig, A, WRITE, 816, 821);
	/* of what crosses the end of the copies only the grains before it are asked for */
	submit(rig, &w, A, WRITE, 480, 640);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 1), FCLOCK_LOCK_REQUEST);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(((const struct fclock_wire_lock_request *)
					   rig_payload(rig))->last), 63ULL);
	rig_grant(rig, 1, rig->msg.id, A, 60, 63, false);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	KUNIT_EXPECT_EQ(test, w.count, 20);
	rig_done(rig, &w);
	/* the copies are as long as they were */
	fails(rig, 0, FCLOCK_IO_READ, 504, 512);
	fails(rig, 1, WRITE, 512, 520);
	KUNIT_EXPECT_EQ(test, rig->core->limit[0], 509ULL);
	/* the next trigger is of all; nothing is free of it any more */
	rig_prepare(rig, 1, 7, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	rig->sb.state = 7;
	rig->sb.slot[0].generation = 7;
	rig->sb.slot[0].length = LONGER;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache,
						     FCLOCK_CACHE_A, 70, 70));
	submit(rig, &w, A, WRITE, 640, 648);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_LOCK_REQUEST);
	rig_do(rig, fclock_client_requeue(rig->core, A));
}

/* Without a cache nothing is remembered, and nobody asked either. */
static void client_without_cache(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 1);
	resized(rig, LONGER);
	rig_do(rig, fclock_core_set_cache_limit(rig->core, 0));
	goes(rig, A, WRITE, 512, 820);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
}

/*
 * Nor may such writes keep a node from being drained: while a PREPARE is pending those that
 * come wait, or one that overlaps the next would hold up every view and resize.
 */
static void drains_without_cache(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_waiter w1, w2;

	rig_run(rig, 1);
	resized(rig, LONGER);
	rig_do(rig, fclock_core_set_cache_limit(rig->core, 0));
	rig_silence(rig, 1);
	submit(rig, &w1, A, WRITE, 512, 520);
	KUNIT_EXPECT_EQ(test, w1.verdict, FCLOCK_GO);
	rig_prepare(rig, 1, rig->sb.state + 1, FCLOCK_VIEW, 0);
	submit(rig, &w2, A, WRITE, 600, 608);
	KUNIT_EXPECT_EQ(test, w2.verdict, 0xee);
	rig_done(rig, &w1);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	rig->sb.state++;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_EXPECT_EQ(test, w2.verdict, FCLOCK_GO);
	if (w2.verdict == FCLOCK_GO)
		rig_done(rig, &w2);
}

/* A table is not made shorter than what was promised. */
static void room(struct kunit *test)
{
	struct rig *rig = test->priv;
	const struct fclock_wire_ask *wish = rig_payload(rig);
	int n;

	rig_run(rig, 1);
	KUNIT_EXPECT_EQ(test, set_room(rig, 508), -EBUSY);
	KUNIT_EXPECT_EQ(test, set_room(rig, 509), 0);
	rig_silence(rig, 1);
	/* longer than this node can run: no PREPARED, and why */
	rig_prepare_length(rig, 1, 6, FCLOCK_RESIZE, 0, LONGER);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig_do(rig, n = fclock_core_next_frame(rig->core, 1, rig->frame));
	KUNIT_ASSERT_TRUE(test, n > 0);
	KUNIT_EXPECT_EQ(test, wish->kind, FCLOCK_ASK_WISH);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wish->length), 509ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wish->copy[1]), LONGER);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wish->copy[2]), 0ULL);
	KUNIT_EXPECT_EQ(test, set_room(rig, LONGER), 0);
	rig_silence(rig, 1);
	rig_prepare_length(rig, 1, 7, FCLOCK_RESIZE, 0, 700);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(test, set_room(rig, 699), -EBUSY);
	KUNIT_EXPECT_EQ(test, set_room(rig, 700), 0);
	KUNIT_EXPECT_EQ(test, set_room(rig, LONGER), 0);
	rig->sb.state = 8;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_ABORT));
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
	KUNIT_EXPECT_EQ(test, set_room(rig, 509), 0);
}

/* A copy's table: long enough for the copy that there is, or comes. */
static void copy_table(struct kunit *test)
{
	struct rig *rig = test->priv;
	const struct fclock_wire_ask *wish = rig_payload(rig);
	int n;

	rig_run(rig, 1);
	resized(rig, LONGER);
	KUNIT_EXPECT_EQ(test, set_copy(rig, 0, 508), -EBUSY);
	KUNIT_EXPECT_EQ(test, set_copy(rig, 0, 509), 0);
	rig_silence(rig, 1);
	rig_prepare(rig, 1, 8, FCLOCK_TRIGGER, 1);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig_do(rig, n = fclock_core_next_frame(rig->core, 1, rig->frame));
	KUNIT_ASSERT_TRUE(test, n > 0);
	KUNIT_EXPECT_EQ(test, wish->kind, FCLOCK_ASK_WISH);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wish->copy[0]), 509ULL);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(wish->attached), 3);
	/* the other slot's is long enough */
	rig_prepare(rig, 1, 9, FCLOCK_TRIGGER, 2);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 9);
	KUNIT_EXPECT_EQ(test, set_copy(rig, 1, 819), -EBUSY);
	KUNIT_EXPECT_EQ(test, set_copy(rig, 1, 821), 0);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	/* an active copy that is longer than its table here is not attached here */
	rig->sb.state = 9;
	rig->sb.slot[0].length = LONGER;
	rig->sb.slot[0].generation = 9;
	rig_super(rig, 1, FCLOCK_RESUME);
	do {
		rig_do(rig, n = fclock_core_next_frame(rig->core, 1, rig->frame));
		KUNIT_ASSERT_TRUE(test, n > 0);
		fclock_wire_decode_header(rig->frame, &rig->msg);
	} while (rig->msg.type != FCLOCK_ASK);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(wish->attached), 2);
}

static int hello_from(struct rig *rig, u8 uuid, u32 grain, u64 length, u64 room)
{
	struct fclock_wire_hello *hello;
	struct fclock_msg msg = {
		.type = FCLOCK_HELLO, .length = sizeof(*hello),
		.sender = RIG_PEER(3), .state = 5, .seq = 1,
	};
	size_t refusal;
	int r;

	rig_cut(rig, 3);
	hello = rig_hello(rig, 3);
	memset(hello->uuid, uuid, sizeof(hello->uuid));
	hello->grain = cpu_to_le32(grain);
	hello->length = cpu_to_le64(length);
	hello->room = cpu_to_le64(room);
	rig_do(rig, r = fclock_core_hello(rig->core, 3, &msg, hello, rig->frame,
					  &refusal));
	return r;
}

static int hello_of(struct rig *rig, u64 length, u64 room)
{
	return hello_from(rig, rig->uuid, 8, length, room);
}

/* Who was away while the others resized. */
static void links(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 1);
	KUNIT_EXPECT_EQ(test, hello_of(rig, 509, 509), 0);
	KUNIT_EXPECT_EQ(test, hello_of(rig, 508, 508), -EINVAL);
	KUNIT_EXPECT_TRUE(test, strstr(rig->core->why, "508 sectors and the volume has 509"));
	KUNIT_EXPECT_EQ(test, hello_of(rig, 820, 1000), 0);
	KUNIT_EXPECT_EQ(test, hello_of(rig, 821, 1000), -EINVAL);
	KUNIT_EXPECT_TRUE(test, strstr(rig->core->why, "820 sectors and the volume has 821"));
	/* a superblock that this node cannot run, or that makes it shorter */
	grow(rig, 821);
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
	KUNIT_EXPECT_EQ(test, rig->core->said_length, 821ULL);
	rig->sb.geo = rig->core->sb.geo;
	rig->sb.geo.length = 508;
	rig->sb.slot[0].length = 508;
	rig->sb.slot[1].length = 508;
	rig->sb.state++;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), -EPROTO);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
}

/*
 * A participant that was cut off and left out before the volume grew gets no link any more: the
 * length that it is refused for makes it look at M, and it ends.
 */
static void struck_and_short(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 1);
	rig->reads = 0;
	/* how long another volume is says nothing */
	KUNIT_EXPECT_NE(test, hello_from(rig, rig->uuid + 1, 8, 821, 1000), 0);
	KUNIT_EXPECT_NE(test, hello_from(rig, rig->uuid, 16, 821, 1000), 0);
	KUNIT_EXPECT_EQ(test, rig->reads, 0);
	KUNIT_EXPECT_EQ(test, rig->core->said_length, 0ULL);
	KUNIT_EXPECT_EQ(test, hello_of(rig, 821, 1000), -EINVAL);
	KUNIT_ASSERT_EQ(test, rig->reads, 1);
	/* it was a mistake */
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	KUNIT_EXPECT_EQ(test, rig->core->said_length, 0ULL);
	KUNIT_EXPECT_EQ(test, hello_of(rig, 821, 1000), -EINVAL);
	KUNIT_ASSERT_EQ(test, rig->reads, 2);
	/* and it is not */
	grow(rig, 821);
	rig->sb.part[1].instance = 0;
	rig->sb.owners &= ~BIT_ULL(1);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_NE(test, rig->core->phase, FCLOCK_RUNNING);
	KUNIT_EXPECT_EQ(test, rig->core->path[FCLOCK_CACHE_A], FCLOCK_PATH_CORE);
}

/* M has a longer volume than a starting node can run: it holds until it has a longer table. */
static void holds(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_waiter w;

	KUNIT_EXPECT_EQ(test, set_room(rig, 600), 0);
	rig_make_super(rig, 1);
	rig->sb.part[1].instance = 0;
	grow(rig, LONGER);
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_FALSE(test, rig->core->have_sb);
	KUNIT_EXPECT_EQ(test, rig->core->said_length, LONGER);
	submit(rig, &w, A, WRITE, 8, 16);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	rig->reads = 0;
	KUNIT_EXPECT_EQ(test, set_room(rig, LONGER), 0);
	KUNIT_EXPECT_EQ(test, rig->reads, 1);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_TRUE(test, rig->core->have_sb);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, LONGER);
	/* what it read was reported as failed, and is undone: it has nothing yet */
	rig->state = 7;
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	rig->sb.state = 7;
	rig->sb.geo = rig->core->cfg.geo;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_ABORT));
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
	rig_do(rig, fclock_client_requeue(rig->core, A));
}

/*
 * The primary takes this node in by what it was told of its table, and by then the volume has
 * grown: a table that is made shorter meanwhile would leave a participant that never runs.
 */
static void joins(struct kunit *test)
{
	struct rig *rig = test->priv;
	const struct fclock_wire_ask *wish = rig_payload(rig);
	int n;

	rig_make_super(rig, 1);
	rig->sb.part[1].instance = 0;
	rig->state = 5;
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, set_room(rig, 700), 0);	/* nobody knows of it */
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 1));
	do {
		rig_do(rig, n = fclock_core_next_frame(rig->core, 1, rig->frame));
		KUNIT_ASSERT_TRUE(test, n > 0);
		fclock_wire_decode_header(rig->frame, &rig->msg);
	} while (rig->msg.type != FCLOCK_ASK);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(wish->length), 700ULL);
	KUNIT_EXPECT_EQ(test, set_room(rig, 699), -EBUSY);
	grow(rig, 700);
	rig->sb.part[1].instance = rig->core->instance;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 700ULL);
	/* a participant is asked before the volume grows */
	KUNIT_EXPECT_EQ(test, set_room(rig, LONGER), 0);
	rig_silence(rig, 1);
	KUNIT_EXPECT_EQ(test, set_room(rig, 700), 0);
}

/* ------------------------------------------------------------- the owner */

static void split(struct rig *rig, unsigned int n)
{
	rig_do(rig, fclock_core_copied(rig->core, rig->split[n], false, 0));
	rig_do(rig, fclock_core_committed(rig->core, 0));
}

static void copies(struct rig *rig, unsigned int n, u64 first, u64 last,
		   u64 end, u16 slots)
{
	struct fclock_split *sp = rig->split[n];

	KUNIT_EXPECT_EQ_MSG(rig->test, sp->first, first, "copy %u", n);
	KUNIT_EXPECT_EQ_MSG(rig->test, sp->last, last, "copy %u", n);
	KUNIT_EXPECT_EQ_MSG(rig->test, sp->end, end, "copy %u", n);
	KUNIT_EXPECT_EQ_MSG(rig->test, sp->slots, slots, "copy %u", n);
}

/* Slot 1 gets a copy of all, slot 0 keeps its own. */
static void trigger_longer(struct rig *rig)
{
	u64 n = rig->sb.state + 1;

	rig_prepare(rig, 1, n, FCLOCK_TRIGGER, 2);
	rig_gated(rig);
	rig->sb.state = n;
	rig->sb.slot[1].generation = n;
	rig->sb.slot[1].length = LONGER;
	rig_super(rig, 1, FCLOCK_RESUME);
}

/*
 * Copies of different lengths: the grain in which the shorter one ends is split for each of
 * them by itself, and both end where they end.
 */
static void owner(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_waiter w;

	rig_run(rig, 2);
	resized(rig, LONGER);
	trigger_longer(rig);
	submit(rig, &w, A, WRITE, 488, 656);		/* grains 61 to 81 */
	KUNIT_ASSERT_EQ(test, rig->copies, 2U);
	copies(rig, 0, 61, 62, 504, 3);
	copies(rig, 1, 63, 63, 509, 1);
	split(rig, 0);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	split(rig, 1);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	KUNIT_ASSERT_EQ(test, rig->copies, 3U);
	copies(rig, 2, 63, 63, 512, 2);
	split(rig, 2);
	while (w.verdict == 0xee) {
		unsigned int n = rig->copies - 1;

		KUNIT_ASSERT_TRUE(test, n < 20);
		KUNIT_EXPECT_EQ(test, rig->split[n]->slots, 2);
		split(rig, n);
	}
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, fclock_slot_grains(&rig->core->sb, 0), 64ULL);
	spin_lock(&rig->lock);
	KUNIT_EXPECT_EQ(test, fclock_core_split(rig->core, 0), 3ULL);
	KUNIT_EXPECT_EQ(test, fclock_core_copy_grains(rig->core, 0), 64ULL);
	KUNIT_EXPECT_EQ(test, fclock_core_copy_grains(rig->core, 1), 103ULL);
	spin_unlock(&rig->lock);
}

/* A request beyond the volume ends the connection; of a state to come it waits. */
static void owner_beyond(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 2);
	KUNIT_EXPECT_EQ(test, rig_request(rig, 3, 0x10000, A, FCLOCK_KIND_SPLIT,
					  64, 64), -EPROTO);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	rig->state = 6;
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, 0x10000, A,
					     FCLOCK_KIND_SPLIT, 64, 64));
	rig_silence(rig, 3);
	resized(rig, LONGER);
	/* nothing is to be split there */
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
	rig->state = 9;
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, 0x20000, A,
					     FCLOCK_KIND_SPLIT, LAST + 1,
					     LAST + 1));
}

/*
 * A copy that is attached between PREPARED and the outcome may have a table that is too short
 * for it: nothing is copied for it here, until there is a longer one.
 */
static void owner_too_short(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_slot_memory mem = {
		.bits = rig->bits[1],
		.slice_era = rig->slice_era[1],
		.slice_split = rig->slice_split[1],
		.slices = rig->core->own.slot[1].slices,
	};
	struct fclock_waiter w;

	rig_run(rig, 2);
	resized(rig, LONGER);
	rig_prepare(rig, 1, rig->sb.state + 1, FCLOCK_TRIGGER, 2);
	rig_gated(rig);
	rig_silence(rig, 1);
	rig_do(rig, fclock_core_detach(rig->core, 1));
	spin_lock(&rig->lock);
	KUNIT_EXPECT_TRUE(test, fclock_core_detached(rig->core, 1));
	spin_unlock(&rig->lock);
	rig_do(rig, fclock_core_attach(rig->core, 1, &mem, 509));
	rig->sb.state++;
	rig->sb.slot[1].generation = rig->sb.state;
	rig->sb.slot[1].length = LONGER;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	while (rig->nr_load)
		rig_loaded(rig);
	submit(rig, &w, A, WRITE, 512, 520);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_EXPECT_EQ(test, set_copy(rig, 1, LONGER), 0);
	while (rig->nr_load)
		rig_loaded(rig);
	KUNIT_ASSERT_EQ(test, rig->copies, 1U);
	KUNIT_EXPECT_EQ(test, rig->split[0]->slots, 2);
	split(rig, 0);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
}

/* A copy is complete when its own grains are split, and not when those are of the longer one. */
static void completes(struct kunit *test)
{
	struct rig *rig = test->priv;
	struct fclock_waiter w;
	unsigned int n = 0;
	u64 g;

	rig_run(rig, 2);
	resized(rig, LONGER);
	trigger_longer(rig);
	for (g = 0; g < 64; g += 16) {
		submit(rig, &w, 0, WRITE, g * 8, min(g * 8 + 128, 509ULL));
		KUNIT_EXPECT_EQ(test, fclock_owner_complete(rig->core), 0);
		while (n < rig->copies)
			split(rig, n++);
		rig_done(rig, &w);
	}
	rig_do(rig, KUNIT_EXPECT_EQ(test, fclock_owner_complete(rig->core), 1));
	for (g = 0; g < 103; g += 16) {
		submit(rig, &w, 1, WRITE, g * 8, min(g * 8 + 128, LONGER));
		KUNIT_EXPECT_EQ(test, fclock_owner_complete(rig->core), 1);
		while (n < rig->copies)
			split(rig, n++);
		rig_done(rig, &w);
	}
	rig_do(rig, KUNIT_EXPECT_EQ(test, fclock_owner_complete(rig->core), 3));
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 64ULL);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[1].split, 103ULL);
}

/* The spare memory is taken when the volume grows beyond the old, and M read again. */
static void spare(struct kunit *test)
{
	static unsigned long bits[BITS_TO_LONGS(RIG_ROOM_SLICES * RIG_SLICE)];
	static u64 era[RIG_ROOM_SLICES];
	static u32 nr[RIG_ROOM_SLICES];
	struct fclock_slot_memory mem = {
		.bits = bits, .slice_era = era, .slice_split = nr,
		.slices = RIG_ROOM_SLICES,
	};
	struct rig *rig = test->priv;
	struct fclock_waiter w;
	bool unused;

	memset(bits, 0, sizeof(bits));
	memset(era, 0, sizeof(era));
	rig->core->own.slot[0].slices = RIG_SLICES;
	rig_do(rig, fclock_core_spare(rig->core, 0, &mem));
	rig_run(rig, 2);
	submit(rig, &w, 0, WRITE, 0, 8);
	split(rig, 0);
	rig_done(rig, &w);
	resized(rig, 512);				/* the old one is enough for that */
	KUNIT_EXPECT_TRUE(test, rig->core->own.slot[0].bits == rig->bits[0]);
	rig_do(rig, unused = fclock_core_spared(rig->core, 0, bits));
	KUNIT_EXPECT_FALSE(test, unused);
	rig->nr_load = 0;
	resized(rig, LONGER);
	KUNIT_EXPECT_TRUE(test, rig->core->own.slot[0].bits == bits);
	rig_do(rig, unused = fclock_core_spared(rig->core, 0, rig->bits[0]));
	KUNIT_EXPECT_TRUE(test, unused);
	KUNIT_ASSERT_TRUE(test, rig->nr_load);
	while (rig->nr_load) {
		struct fclock_load *load = rig->load[--rig->nr_load];

		memset(load->bits, 0, sizeof(load->bits));
		load->result = 0;
		if (!load->slice)
			load->result = __test_and_set_bit(0, load->bits) + 1;
		rig_do(rig, fclock_core_loaded(rig->core, load));
	}
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 1ULL);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[1].split, 0ULL);
}

/* ----------------------------------------------------------- the primary */

static void wishes_slots(struct rig *rig, unsigned int node, u16 slots,
			 u64 room, u64 copy)
{
	struct fclock_wire_ask *ask = (void *)rig->out;

	memset(ask, 0, sizeof(*ask));
	ask->kind = FCLOCK_ASK_WISH;
	ask->flags = FCLOCK_WISH_JOINED;
	ask->attached = cpu_to_le16(slots);
	ask->length = cpu_to_le64(room);
	ask->copy[0] = cpu_to_le64(copy);
	ask->copy[1] = cpu_to_le64(copy);
	strscpy(ask->host, "there", sizeof(ask->host));
	rig_says(rig, node, FCLOCK_ASK, 0, sizeof(*ask));
}

static void wishes(struct rig *rig, unsigned int node, u64 room, u64 copy)
{
	wishes_slots(rig, node, 3, room, copy);
}

static void follow(struct rig *rig)
{
	struct fclock_wire_ping *ping = (void *)rig->out;
	unsigned int n;

	rig->state = rig->written.state;
	for (n = 2; n <= 3; n++) {
		rig_silence(rig, n);
		memset(ping, 0, sizeof(*ping));
		rig_says(rig, n, FCLOCK_PING, 0, sizeof(*ping));
	}
}

/* Node 1 takes the role that M says it has; 2 and 3 are participants. */
static struct rig *primary(struct kunit *test)
{
	struct rig *rig;
	unsigned int n;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_make_super(rig, 1);
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_ASSERT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	while (rig->nr_load)
		rig_loaded(rig);
	rig->state = rig->written.state;
	for (n = 2; n <= 3; n++) {
		KUNIT_ASSERT_EQ(test, 0, rig_link(rig, n));
		rig_silence(rig, n);
		wishes(rig, n, RIG_ROOM, RIG_ROOM);
	}
	/* two more owners */
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	follow(rig);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	while (rig->nr_load)
		rig_loaded(rig);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	return rig;
}

static void ask(struct rig *rig, struct fclock_ask *a, u8 kind, u16 slots,
		u64 length)
{
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->slots = slots;
	a->length = length;
	rig_do(rig, fclock_core_ask(rig->core, a));
}

static void refused(struct rig *rig, u64 length, const char *why)
{
	struct fclock_ask a;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, length);
	KUNIT_EXPECT_TRUE(rig->test, a.done);
	KUNIT_EXPECT_EQ(rig->test, a.error, -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(rig->test, !!strstr(a.text, why), "%s", a.text);
}

static void refusals(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a;

	refused(rig, 508, "the volume has 509 sectors");
	refused(rig, ~0ULL, "than can be counted");
	refused(rig, LONGER + 1, "node 1 can run 820 sectors");
	wishes(rig, 3, 700, 509);
	refused(rig, 701, "node 3 can run 700 sectors");
	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, 509);	/* so it is */
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	rig_cut(rig, 3);
	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, 600);
	KUNIT_EXPECT_EQ(test, a.error, -ENOTCONN);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

/* Through all of it; then a trigger, for which one copy's table is too short. */
static void whole(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int n, writes = rig->writes;
	const struct fclock_wire_prepare *p = rig_payload(rig);
	struct fclock_ask a;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, LONGER);
	for (n = 2; n <= 3; n++) {
		KUNIT_EXPECT_EQ(test, rig_hears(rig, n), FCLOCK_PREPARE);
		KUNIT_EXPECT_EQ(test, p->kind, FCLOCK_RESIZE);
		KUNIT_EXPECT_EQ(test, le64_to_cpu(p->length), LONGER);
		KUNIT_EXPECT_EQ(test, rig->writes, writes);
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	}
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.geo.length, LONGER);
	KUNIT_EXPECT_EQ(test, rig->written.geo.grains, 103ULL);
	KUNIT_EXPECT_EQ(test, rig->written.geo.slices, 7ULL);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].length, 509ULL);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_RESUME);
	follow(rig);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, LONGER);

	wishes(rig, 2, LONGER, 509);
	wishes(rig, 3, LONGER, LONGER);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 2, 0);
	KUNIT_EXPECT_EQ(test, a.error, -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(a.text, "node 2 has slot 1 attached with 509 sectors"),
			      "%s", a.text);
	wishes(rig, 2, LONGER, LONGER);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 2, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	rig_gated(rig);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	KUNIT_EXPECT_EQ(test, rig->written.slot[1].length, LONGER);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].length, 509ULL);
}

/* The view under way comes to its end, and those that follow from it. */
static void views_end(struct rig *rig)
{
	unsigned int n, starts = 0;

	while (rig->core->pri.phase != FCLOCK_PRI_IDLE) {
		KUNIT_ASSERT_EQ(rig->test, rig->core->pri.kind, FCLOCK_VIEW);
		if (rig->starts > starts)
			rig_do(rig, fclock_core_owner_started(rig->core, 0));
		starts = rig->starts;
		while (rig->nr_load)
			rig_loaded(rig);
		for (n = 2; n <= 3; n++)
			rig_says(rig, n, FCLOCK_PREPARED,
				 rig->core->pri.number, 0);
		KUNIT_ASSERT_EQ(rig->test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
		rig_do(rig, fclock_core_super_written(rig->core, 0));
		follow(rig);
	}
}

/* A reload made a table shorter when PREPARE was on its way: the answer names it. */
static void short_meanwhile(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, LONGER);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	wishes(rig, 2, LONGER, LONGER);			/* says nothing new */
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	wishes(rig, 3, 700, 700);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_ABORTING);
	KUNIT_EXPECT_EQ(test, rig->written.geo.length, 509ULL);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_EQ(test, a.error, -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(a.text, "node 3 can run 700"), "%s",
			      a.text);
	follow(rig);
	/* and likewise before a trigger */
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1, 0);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	wishes(rig, 3, 700, 508);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(a.text, "node 3 has slot 0 attached with 508"),
			      "%s", a.text);
	follow(rig);
	views_end(rig);		/* who lacks a part of a copy owns nothing */
	/* a copy that is removed meanwhile */
	wishes(rig, 3, 700, LONGER);
	views_end(rig);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1, 0);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_ASSERT_EQ(test, rig->core->pri.kind, FCLOCK_TRIGGER);
	wishes(rig, 3, 700, 0);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(a.text, "node 3 does not have slot 0 attached"),
			      "%s", a.text);
}

/* A table was too short for PREPARE, which was dropped, and is long again: it comes once more. */
static void long_again(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, LONGER);
	rig_silence(rig, 2);
	rig_silence(rig, 3);
	wishes(rig, 2, LONGER, LONGER);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_PREPARE);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	rig_says(rig, 2, FCLOCK_PREPARED, rig->core->pri.number, 0);
	wishes(rig, 2, LONGER, LONGER);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), 0);
}

/* A copy that is not listed, as its table is too short: that is what the refusal says. */
static void short_and_unlisted(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	unsigned int n;

	wishes_slots(rig, 3, 2, RIG_ROOM, 508);
	KUNIT_ASSERT_EQ(test, rig->core->pri.kind, FCLOCK_VIEW);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	follow(rig);
	KUNIT_ASSERT_EQ(test, rig->core->sb.part[2].attached, 0);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1, 0);
	KUNIT_EXPECT_EQ(test, a.error, -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(a.text, "node 3 has slot 0 attached with 508"),
			      "%s", a.text);
	/* what is long enough and not listed yet is not there */
	wishes_slots(rig, 3, 0, RIG_ROOM, RIG_ROOM);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1, 0);
	KUNIT_EXPECT_EQ(test, a.error, -ENODEV);
}

/*
 * A node joins by what it wished before the trigger of a copy that is longer than its table: it
 * does not get a part of that one.
 */
static void joins_by_an_old_wish(struct kunit *test)
{
	struct rig *rig;
	struct fclock_ask a;
	unsigned int n;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_make_super(rig, 1);
	for (n = 2; n <= 3; n++)
		memset(&rig->sb.part[n - 1], 0, sizeof(rig->sb.part[0]));
	rig->sb.slot[0].state = FCLOCK_SLOT_IDLE;
	rig->sb.slot[1].state = FCLOCK_SLOT_IDLE;
	fclock_geometry_grow(&rig->sb.geo, LONGER);
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_ASSERT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	while (rig->nr_load)
		rig_loaded(rig);
	rig->state = rig->core->sb.state;
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 2));
	rig_silence(rig, 2);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1, 0);
	rig_gated(rig);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	wishes(rig, 2, LONGER, 509);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.slot[0].length, LONGER);
	/* the view that takes node 2 in */
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	KUNIT_EXPECT_EQ(test, rig->written.part[1].instance, RIG_PEER(2));
	KUNIT_EXPECT_EQ(test, rig->written.part[1].attached, 2);
	KUNIT_EXPECT_EQ(test, rig->written.owners & 2, 0ULL);
}

/* The write fails, its outcome is not known: the next superblock has the old length. */
static void write_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	unsigned int n;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, LONGER);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	KUNIT_EXPECT_EQ(test, rig->written.geo.length, LONGER);
	rig_do(rig, fclock_core_super_written(rig->core, -ENOSPC));
	KUNIT_EXPECT_EQ(test, rig->written.geo.length, 509ULL);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_EQ(test, a.error, -EIO);
	KUNIT_EXPECT_EQ(test, rig->core->sb.geo.length, 509ULL);
}

/* A view that M fails for: nobody waits to write behind the copies until M can be written. */
static void write_while_m_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_waiter w;
	struct fclock_ask a;
	unsigned int n;

	ask(rig, &a, FCLOCK_ASK_RESIZE, 0, LONGER);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_PREPARED, rig->core->pri.number, 0);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	follow(rig);
	rig_do(rig, fclock_core_set_cache_limit(rig->core, 0));
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	submit(rig, &w, A, WRITE, 600, 608);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	KUNIT_EXPECT_TRUE(test, rig->core->pri.failed);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	if (w.verdict == FCLOCK_GO)
		rig_done(rig, &w);
	goes(rig, A, WRITE, 600, 608);
}

/* ------------------------------------------------------------- geometry */

static void geometry(struct kunit *test)
{
	struct fclock_geometry geo;

	KUNIT_ASSERT_EQ(test, fclock_geometry_init(&geo, 1000, 8, 0), 0);
	KUNIT_EXPECT_EQ(test, geo.slice, 4U);
	KUNIT_EXPECT_EQ(test, fclock_geometry_grow(&geo, 999), -EINVAL);
	KUNIT_EXPECT_EQ(test, fclock_geometry_grow(&geo, ~0ULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, geo.length, 1000ULL);
	KUNIT_EXPECT_EQ(test, fclock_geometry_grow(&geo, 1 << 20), 0);
	KUNIT_EXPECT_EQ(test, geo.slice, 4U);
	KUNIT_EXPECT_EQ(test, geo.grains, 131072ULL);
	KUNIT_EXPECT_EQ(test, geo.slices, 32768ULL);
	/* M for exactly so much, and a sector less */
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, fclock_md_sectors_needed(&geo)),
			1ULL << 20);
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, fclock_md_sectors_needed(&geo) - 1),
			(1ULL << 20) - 32);
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, 127), 0ULL);
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, 128 + 127), 0ULL);
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, 128 + 128), 32ULL);
	geo.grain = FCLOCK_MAX_GRAIN;
	geo.slice = FCLOCK_MAX_SLICE;
	KUNIT_EXPECT_EQ(test, fclock_md_carries(&geo, ~0ULL), S64_MAX >> 9);
}

static struct kunit_case resize_cases[] = {
	KUNIT_CASE(client),
	KUNIT_CASE(client_without_cache),
	KUNIT_CASE(drains_without_cache),
	KUNIT_CASE(room),
	KUNIT_CASE(copy_table),
	KUNIT_CASE(links),
	KUNIT_CASE(struck_and_short),
	KUNIT_CASE(holds),
	KUNIT_CASE(joins),
	KUNIT_CASE(owner),
	KUNIT_CASE(owner_beyond),
	KUNIT_CASE(owner_too_short),
	KUNIT_CASE(completes),
	KUNIT_CASE(spare),
	KUNIT_CASE(refusals),
	KUNIT_CASE(whole),
	KUNIT_CASE(short_meanwhile),
	KUNIT_CASE(long_again),
	KUNIT_CASE(short_and_unlisted),
	KUNIT_CASE(joins_by_an_old_wish),
	KUNIT_CASE(write_fails),
	KUNIT_CASE(write_while_m_fails),
	KUNIT_CASE(geometry),
	{}
};

static struct kunit_suite resize_suite = {
	.name = "fclock_resize",
	.init = resize_test_init,
	.exit = rig_exit,
	.test_cases = resize_cases,
};

kunit_test_suites(&resize_suite);
