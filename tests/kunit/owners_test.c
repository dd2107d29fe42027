// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several owners, driven by events: node 2 among nodes 1 (the primary) and 3. The UUID is
 * one under which each of the three owns something:
 *
 *   owners		slices 0 to 3 are owned by
 *   1, 2 and 3		2 1 3 2
 *   2 and 3		2 2 3 2
 *   2			2 2 2 2
 */
#include "rig.h"

#define A	FCLOCK_TARGET_A
#define UUID	0xdb
#define ALL	7
#define NOT_1	6
#define ONLY_2	2

static int owners_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static struct rig *begin(struct kunit *test, u64 owners)
{
	struct rig *rig = test->priv;

	rig->uuid = UUID;
	rig->owners = owners;
	rig_run(rig, 0);
	return rig;
}

static u64 id_of(unsigned int n, unsigned int place)
{
	return ((u64)n << 16) | place;
}

/* A view of other owners, as far as the superblock: no start of the owner has ended. */
static void view(struct rig *rig, u64 owners)
{
	u64 number = rig->sb.state + 1;

	rig_silence(rig, 1);
	rig_prepare(rig, 1, number, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(rig->test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(rig->test, rig->msg.id, number);
	rig->sb.state = number;
	rig->sb.owners = owners;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(rig->test, rig->core->sb.owners, owners);
}

/* Its bitmaps are read; all of what is read is unsplit. */
static void started(struct rig *rig)
{
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	while (rig->nr_load)
		rig_loaded(rig);
}

/* What node 2 began to copy is copied and committed. */
static void split(struct rig *rig, unsigned int n)
{
	rig_do(rig, fclock_core_copied(rig->core, rig->split[n], false, 0));
	rig_do(rig, fclock_core_committed(rig->core, 0));
}

static u64 asks(struct rig *rig, unsigned int node, u64 first, u64 last)
{
	const struct fclock_wire_lock_request *q = rig_payload(rig);
	u8 type = rig_hears(rig, node);

	KUNIT_EXPECT_EQ(rig->test, type, FCLOCK_LOCK_REQUEST);
	if (type != FCLOCK_LOCK_REQUEST)
		return 0;
	KUNIT_EXPECT_EQ(rig->test, le64_to_cpu(q->first), first);
	KUNIT_EXPECT_EQ(rig->test, le64_to_cpu(q->last), last);
	return rig->msg.id;
}

static void goes_on(struct rig *rig, struct fclock_waiter *w, u64 count)
{
	KUNIT_EXPECT_EQ(rig->test, w->verdict, FCLOCK_GO);
	KUNIT_EXPECT_EQ(rig->test, w->count, count);
	rig_done(rig, w);
}

static void placed(struct kunit *test)
{
	static const u8 want[3][5] = {
		{ ALL, 2, 1, 3, 2 }, { NOT_1, 2, 2, 3, 2 }, { ONLY_2, 2, 2, 2, 2 },
	};
	u8 uuid[FCLOCK_UUID_LEN];
	unsigned int i, s;

	memset(uuid, UUID, sizeof(uuid));
	for (i = 0; i < 3; i++)
		for (s = 0; s < RIG_SLICES; s++)
			KUNIT_EXPECT_EQ(test, fclock_owner_among(uuid, want[i][0], s),
					(unsigned int)want[i][s + 1]);
}

/* A write over four slices: each of the owners is asked for its own, no request crosses. */
static void cut_at_owners(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 10, 50);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_EQ(test, rig->split[0]->first, 10);
	KUNIT_EXPECT_EQ(test, rig->split[0]->last, 15);
	split(rig, 0);
	goes_on(rig, &w, 6);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 16, 50);
	id = asks(rig, 1, 16, 31);
	rig_grant(rig, 1, id, A, 16, 31, false);
	goes_on(rig, &w, 16);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 32, 50);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	id = asks(rig, 3, 32, 47);
	rig_grant(rig, 3, id, A, 32, 47, false);
	goes_on(rig, &w, 16);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 48, 50);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	split(rig, 1);
	goes_on(rig, &w, 3);
}

/* No credit of one owner stands in another one's way. */
static void credits_by_owner(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_waiter w[4];

	rig->core->peer[1].credits = 1;
	rig_submit(rig, &w[0], A, FCLOCK_IO_WRITE, 16, 16);
	rig_submit(rig, &w[1], A, FCLOCK_IO_WRITE, 20, 20);	/* starves */
	rig_submit(rig, &w[2], A, FCLOCK_IO_WRITE, 32, 32);
	rig_submit(rig, &w[3], A, FCLOCK_IO_WRITE, 0, 0);
	asks(rig, 1, 16, 16);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	asks(rig, 3, 32, 32);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	split(rig, 0);
	goes_on(rig, &w[3], 1);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
}

/* The slice of an open request moves: here, and then to node 3. */
static void asked_again(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_waiter mine, others;
	u64 old, id;

	rig_submit(rig, &mine, A, FCLOCK_IO_WRITE, 20, 21);
	old = asks(rig, 1, 20, 21);
	rig_submit(rig, &others, A, FCLOCK_IO_WRITE, 33, 33);
	asks(rig, 3, 33, 33);
	view(rig, NOT_1);
	KUNIT_EXPECT_EQ(test, rig->starts, 2);
	/* who stays owner is asked again too: locks and requests end with a state */
	id = asks(rig, 3, 33, 33);
	rig_grant(rig, 3, id, A, 33, 33, false);
	goes_on(rig, &others, 1);
	/* nothing is split before what the other one wrote to M is read */
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	started(rig);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_EQ(test, rig->split[0]->first, 20);
	/* what the former owner still says changes nothing */
	rig->state--;
	rig_grant(rig, 1, old, A, 20, 21, false);
	rig->state++;
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	split(rig, 0);
	goes_on(rig, &mine, 2);
}

/* Invariant 3: no message, whatever becomes of the owner. */
static void confirmations_stay(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 20, 20);
	id = asks(rig, 1, 20, 20);
	rig_grant(rig, 1, id, A, 16, 31, false);
	goes_on(rig, &w, 1);
	rig_cut(rig, 1);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 16, 31);
	goes_on(rig, &w, 16);
	rig->seq[1] = 0;
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 1));
	rig_silence(rig, 1);
	rig_prepare(rig, 1, rig->sb.state + 1, FCLOCK_VIEW, 0);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 16, 31);
	goes_on(rig, &w, 16);
	rig_silence(rig, 1);
	rig->sb.state++;
	rig->sb.owners = NOT_1;
	rig_super(rig, 1, FCLOCK_RESUME);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 16, 31);
	goes_on(rig, &w, 16);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
}

/* PREPARED of a view, too, waits for the copy and the commit of what may move. */
static void loser_drains(struct kunit *test)
{
	struct rig *rig = begin(test, ONLY_2);
	struct fclock_waiter w;

	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 20, 20);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[0], false, 0));
	KUNIT_ASSERT_EQ(test, rig->commits, 1);
	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 24, 24);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_do(rig, fclock_core_committed(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[1], false, 0));
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
}

static u64 known_split(struct rig *rig)
{
	return rig->core->own.slot[0].split;
}

/* What stays is kept, what was away for one view is read again. */
static void keeps_what_stays(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	u64 grains = 0;

	KUNIT_EXPECT_EQ(test, rig->core->own.grains, 32);
	rig_request(rig, 3, id_of(1, 0), 0, FCLOCK_KIND_SPLIT, 5, 5);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	split(rig, 0);
	KUNIT_EXPECT_EQ(test, known_split(rig), 1);
	rig->loads = 0;
	view(rig, ONLY_2);
	KUNIT_EXPECT_EQ(test, rig->starts, 2);
	KUNIT_EXPECT_FALSE(test, rig->core->own.ready);
	KUNIT_EXPECT_EQ(test, rig->loads, 0);
	started(rig);
	/* slices 1 and 2 of both slots */
	KUNIT_EXPECT_EQ(test, rig->loads, 4);
	KUNIT_EXPECT_EQ(test, known_split(rig), 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].known, RIG_SLICES);
	KUNIT_EXPECT_EQ(test, rig->core->own.grains, RIG_GRAINS);
	rig_request(rig, 3, id_of(2, 0), 0, FCLOCK_KIND_SPLIT, 20, 20);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	split(rig, 1);
	KUNIT_EXPECT_EQ(test, known_split(rig), 2);
	/* slice 1 goes to node 1 and comes back: it may have written there */
	view(rig, ALL);
	started(rig);
	KUNIT_EXPECT_EQ(test, known_split(rig), 1);
	rig->loads = 0;
	view(rig, ONLY_2);
	started(rig);
	KUNIT_EXPECT_EQ(test, rig->loads, 4);
	KUNIT_EXPECT_EQ(test, known_split(rig), 1);
	/* more views than are remembered: all is read */
	for (grains = 0; grains < FCLOCK_ERAS; grains++) {
		view(rig, grains % 2 ? ONLY_2 : NOT_1);
		rig_do(rig, fclock_core_owner_started(rig->core, -ENOMEM));
	}
	KUNIT_EXPECT_FALSE(test, rig->core->own.ready);
	rig->loads = 0;
	rig_time(rig, FCLOCK_RETRY_MS);
	started(rig);
	KUNIT_EXPECT_EQ(test, rig->loads, 8);
}

/* The time to try again comes while a transition is pending, and no other timer runs. */
static void starts_after_abort(struct kunit *test)
{
	struct rig *rig = begin(test, ONLY_2);

	rig->core->cfg.networked = false;
	view(rig, NOT_1);
	rig_do(rig, fclock_core_owner_started(rig->core, -ENOMEM));
	KUNIT_EXPECT_FALSE(test, rig->core->own.ready);
	rig_prepare(rig, 1, rig->sb.state + 1, FCLOCK_TRIGGER, 1);
	rig->starts = 0;
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->starts, 0);
	rig->timer_at = 0;
	rig->sb.state += 2;
	rig_super(rig, 1, FCLOCK_ABORT);
	KUNIT_EXPECT_NE(test, rig->timer_at, 0);
	if (rig->timer_at)
		rig_time(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->starts, 1);
	started(rig);
	KUNIT_EXPECT_TRUE(test, rig->core->own.ready);
}

/* A generation that began here, then a view: what nobody touched is still empty. */
static void fresh_and_moved(struct kunit *test)
{
	struct rig *rig = begin(test, NOT_1);

	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	rig->sb.state = 6;
	rig->sb.slot[0].generation = 6;
	rig_super(rig, 1, FCLOCK_RESUME);
	rig_silence(rig, 3);
	rig_request(rig, 3, id_of(1, 0), 0, FCLOCK_KIND_SPLIT, 20, 20);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	split(rig, 0);
	rig->loads = 0;
	view(rig, ONLY_2);
	started(rig);
	/* slice 2, which was node 3's, of both slots */
	KUNIT_EXPECT_EQ(test, rig->loads, 2);
	KUNIT_EXPECT_EQ(test, known_split(rig), 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].known, RIG_SLICES);
}

/* Bits of a slice that went away stand in core, but no grant tells of them. */
static void run_ends_at_foreign_slice(struct kunit *test)
{
	struct rig *rig = begin(test, ONLY_2);
	const struct fclock_wire_lock_grant *g = rig_payload(rig);
	const struct fclock_wire_run *run = (const void *)(g + 1);
	unsigned int i;

	for (i = 0; i < RIG_SLICES; i++) {
		rig_request(rig, 3, id_of(1, i), 0, FCLOCK_KIND_SPLIT, 16 * i,
			    16 * i + 15);
		KUNIT_ASSERT_EQ(test, rig->copies, i + 1);
		split(rig, i);
	}
	rig_silence(rig, 3);
	KUNIT_EXPECT_EQ(test, known_split(rig), RIG_GRAINS);
	view(rig, ALL);
	started(rig);
	KUNIT_EXPECT_EQ(test, known_split(rig), 32);
	rig_request(rig, 3, id_of(2, 0), 0, FCLOCK_KIND_SPLIT, 5, 5);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(g->nr_runs), 1);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run->first), 0);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run->count), 16);
	/* a request for what another one owns is dropped: the client asks again */
	rig_request(rig, 3, id_of(3, 1), 0, FCLOCK_KIND_SPLIT, 20, 20);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 0);
}

static u16 complete_wish(struct rig *rig)
{
	struct fclock_wire_ask ask;

	rig_do(rig, fclock_wish_get(rig->core, &ask));
	return le16_to_cpu(ask.complete);
}

/* "Complete" is about the slices of this view, and all of them must be known. */
static void complete_by_slices(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, complete_wish(rig), 0);
		rig_request(rig, 3, id_of(1, i), 0, FCLOCK_KIND_SPLIT, 48 * i,
			    48 * i + 15);
		split(rig, i);
	}
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 1);
	view(rig, ONLY_2);
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 0);
	started(rig);
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 0);
	view(rig, ALL);
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 0);
	rig_silence(rig, 1);
	started(rig);
	/* said again without anything new to split */
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.told, 1);
}

/* A copy that goes and comes back within one state: that it is complete is said again. */
static void complete_again(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_slot_memory mem = {
		.bits = rig->bits[0],
		.slice_era = rig->slice_era[0],
		.slice_split = rig->slice_split[0],
		.slices = rig->core->own.slot[0].slices,
	};
	unsigned int i;

	for (i = 0; i < 2; i++) {
		rig_request(rig, 3, id_of(1, i), 0, FCLOCK_KIND_SPLIT, 48 * i,
			    48 * i + 15);
		split(rig, i);
	}
	KUNIT_EXPECT_EQ(test, rig->core->own.told, 1);
	rig_do(rig, fclock_core_detach(rig->core, 0));
	spin_lock(&rig->lock);
	KUNIT_EXPECT_TRUE(test, fclock_core_detached(rig->core, 0));
	spin_unlock(&rig->lock);
	rig_do(rig, fclock_core_attach(rig->core, 0, &mem, RIG_ROOM));
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 0);
	KUNIT_EXPECT_EQ(test, rig->core->own.told, 0);
	/* the grants had not been sent: their requests are looked at again */
	while (rig->nr_load)
		rig_loaded(rig);
	KUNIT_ASSERT_EQ(test, rig->copies, 4);
	split(rig, 2);
	split(rig, 3);
	KUNIT_EXPECT_EQ(test, complete_wish(rig), 1);
	KUNIT_EXPECT_EQ(test, rig->core->own.told, 1);
}

/* Each node counts its own slices; the sum is never more than there are. */
static void counts_add_up(struct kunit *test)
{
	struct rig *rig = begin(test, ALL);
	struct fclock_wire_ping *ping = (void *)rig->out;
	unsigned int node;
	u64 sum;

	rig_request(rig, 3, id_of(1, 0), 0, FCLOCK_KIND_SPLIT, 5, 6);
	split(rig, 0);
	for (node = 1; node <= 3; node += 2) {
		memset(ping, 0, sizeof(*ping));
		ping->split[0] = cpu_to_le64(10 * node);
		rig_says(rig, node, FCLOCK_PING, 0, sizeof(*ping));
	}
	rig_do(rig, sum = fclock_core_split(rig->core, 0));
	KUNIT_EXPECT_EQ(test, sum, 42);
	/* said in an older state: of other slices */
	memset(ping, 0, sizeof(*ping));
	ping->split[0] = cpu_to_le64(60);
	rig->state--;
	rig_says(rig, 3, FCLOCK_PING, 0, sizeof(*ping));
	rig->state++;
	rig_do(rig, sum = fclock_core_split(rig->core, 0));
	KUNIT_EXPECT_EQ(test, sum, 42);
	memset(ping, 0, sizeof(*ping));
	ping->split[0] = cpu_to_le64(60);
	rig_says(rig, 3, FCLOCK_PING, 0, sizeof(*ping));
	rig_do(rig, sum = fclock_core_split(rig->core, 0));
	KUNIT_EXPECT_EQ(test, sum, RIG_GRAINS);
}

static struct kunit_case owners_cases[] = {
	KUNIT_CASE(placed),
	KUNIT_CASE(cut_at_owners),
	KUNIT_CASE(credits_by_owner),
	KUNIT_CASE(asked_again),
	KUNIT_CASE(confirmations_stay),
	KUNIT_CASE(loser_drains),
	KUNIT_CASE(keeps_what_stays),
	KUNIT_CASE(starts_after_abort),
	KUNIT_CASE(fresh_and_moved),
	KUNIT_CASE(run_ends_at_foreign_slice),
	KUNIT_CASE(complete_by_slices),
	KUNIT_CASE(complete_again),
	KUNIT_CASE(counts_add_up),
	{}
};

static struct kunit_suite owners_suite = {
	.name = "fclock_owners",
	.init = owners_test_init,
	.exit = rig_exit,
	.test_cases = owners_cases,
};

kunit_test_suites(&owners_suite);
