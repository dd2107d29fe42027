// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner's state machine, driven by events: node 2 owns everything, node 1 is
 * the primary, nodes 1 and 3 are clients.
 */
#include "rig.h"

#define A	FCLOCK_TARGET_A
#define SPLIT	FCLOCK_KIND_SPLIT
#define SHARED	FCLOCK_KIND_SHARED

static int owner_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static struct rig *begin(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 2);
	return rig;
}

/* Ids as clients make them: the low 16 bits are the place. */
static u64 id_of(unsigned int n, unsigned int place)
{
	return ((u64)n << 16) | place;
}

static void copied(struct rig *rig, unsigned int n)
{
	rig_do(rig, fclock_core_copied(rig->core, rig->split[n], false, 0));
}

static void committed(struct rig *rig)
{
	rig_do(rig, fclock_core_committed(rig->core, 0));
}

static struct fclock_record *record(struct rig *rig, unsigned int node, u64 id)
{
	return &rig->core->peer[node].records[id & 0xffff];
}

static void expect_grant(struct rig *rig, unsigned int node, u64 id, u64 grain)
{
	const struct fclock_wire_lock_grant *g = rig_payload(rig);
	const struct fclock_wire_run *run = (const void *)(g + 1);
	u64 first;

	KUNIT_ASSERT_EQ(rig->test, rig_hears(rig, node), FCLOCK_LOCK_GRANT);
	KUNIT_EXPECT_EQ(rig->test, rig->msg.id, id);
	KUNIT_EXPECT_EQ(rig->test, g->status, FCLOCK_GRANTED);
	KUNIT_ASSERT_EQ(rig->test, g->shared_count, 0);
	first = le64_to_cpu(run->first);
	KUNIT_EXPECT_TRUE(rig->test, first <= grain);
	KUNIT_EXPECT_GT(rig->test, first + le64_to_cpu(run->count), grain);
}

/* A first write of @grain by @node, up to its grant. */
static void writes(struct rig *rig, unsigned int node, u64 id, u64 grain)
{
	unsigned int n = rig->copies;

	rig_request(rig, node, id, A, SPLIT, grain, grain);
	KUNIT_ASSERT_EQ(rig->test, rig->copies, n + 1);
	copied(rig, n);
	committed(rig);
	expect_grant(rig, node, id, grain);
}

/* As if all split objects but @most were in use. */
static void few_splits(struct rig *rig, unsigned int most)
{
	struct list_head *splits = &rig->core->own.free_splits;
	unsigned int i;

	for (i = 0; i < FCLOCK_SPLITS - most; i++)
		list_del_init(splits->next);
	KUNIT_EXPECT_FALSE(rig->test, list_empty(splits));
}

/* Gives a shared lock on at least @grain to @node. */
static void give(struct rig *rig, unsigned int node, u64 id, u8 slot, u64 grain)
{
	const struct fclock_wire_lock_grant *g = rig_payload(rig);

	rig_request(rig, node, id, slot, SHARED, grain, grain);
	KUNIT_ASSERT_EQ(rig->test, rig_hears(rig, node), FCLOCK_LOCK_GRANT);
	KUNIT_EXPECT_EQ(rig->test, rig->msg.id, id);
	KUNIT_EXPECT_EQ(rig->test, le64_to_cpu(g->shared_first), grain);
	KUNIT_EXPECT_GE(rig->test, le64_to_cpu(g->shared_count), 1);
	KUNIT_EXPECT_EQ(rig->test, record(rig, node, id)->state,
			FCLOCK_REC_HELD);
}

/* No grant before the commit has returned (invariant 2). */
static void copy_commit_grant(struct kunit *test)
{
	struct rig *rig = begin(test);

	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5));
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_EQ(test, rig->split[0]->slots, 3);
	KUNIT_EXPECT_EQ(test, rig->split[0]->first, 5);
	KUNIT_EXPECT_EQ(test, rig->commits, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	copied(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_EXPECT_FALSE(test, test_bit(5, rig->bits[0]));
	committed(rig);
	KUNIT_EXPECT_TRUE(test, test_bit(5, rig->bits[0]));
	KUNIT_EXPECT_TRUE(test, test_bit(5, rig->bits[1]));
	expect_grant(rig, 3, id_of(1, 0), 5);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 0);
	/* split now: at once, without a copy */
	rig_request(rig, 1, id_of(1, 0), 0, SHARED, 5, 5);
	expect_grant(rig, 1, id_of(1, 0), 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

/* All that came while a commit ran go with the next one, together. */
static void group_commit(struct kunit *test)
{
	struct rig *rig = begin(test);
	unsigned int i;

	for (i = 0; i < 4; i++)
		rig_request(rig, 3, id_of(1, i), A, SPLIT, 2 * i, 2 * i);
	KUNIT_ASSERT_EQ(test, rig->copies, 4);
	for (i = 0; i < 4; i++)
		copied(rig, i);
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	committed(rig);
	expect_grant(rig, 3, id_of(1, 0), 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_EXPECT_EQ(test, rig->commits, 2);
	committed(rig);
	for (i = 1; i < 4; i++)
		expect_grant(rig, 3, id_of(1, i), 2 * i);
	KUNIT_EXPECT_EQ(test, rig->commits, 2);
}

/*
 * Two members lists under one epoch: by the other one the slices may be somebody
 * else's, so nothing more is copied or committed. A newer list lets it all go on.
 */
static void disputed(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_wire_ping *ping = (void *)rig->out;

	rig_do(rig, fclock_core_members(rig->core, 3, 7));
	give(rig, 3, id_of(1, 0), 0, 40);
	rig_request(rig, 1, id_of(1, 0), 0, SPLIT, 40, 40);	/* waits for it */
	rig_request(rig, 1, id_of(1, 1), 0, SPLIT, 5, 5);
	rig_request(rig, 1, id_of(1, 2), 0, SPLIT, 20, 20);
	rig_request(rig, 1, id_of(1, 3), 0, SPLIT, 60, 60);
	KUNIT_ASSERT_EQ(test, rig->copies, 3);
	copied(rig, 0);
	copied(rig, 1);
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	memset(ping, 0, sizeof(*ping));
	ping->epoch = cpu_to_le64(3);
	ping->members = cpu_to_le64(3);
	KUNIT_EXPECT_EQ(test, -EEXIST, rig_says(rig, 3, FCLOCK_PING, 0,
						sizeof(*ping)));
	copied(rig, 2);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	committed(rig);
	KUNIT_EXPECT_EQ(test, rig->copies, 3);
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	KUNIT_EXPECT_FALSE(test, test_bit(20, rig->bits[0]));
	rig_do(rig, fclock_core_members(rig->core, 4, 7));
	KUNIT_EXPECT_EQ(test, rig->copies, 6);
}

static void duplicates(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 1);
	copied(rig, 0);
	committed(rig);
	expect_grant(rig, 3, id_of(1, 0), 5);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	/* asked again after a reconnect: the grant was lost */
	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5);
	expect_grant(rig, 3, id_of(1, 0), 5);
	/* a shared lock asked for again is the same lock */
	give(rig, 3, id_of(2, 1), 0, 20);
	give(rig, 3, id_of(2, 1), 0, 20);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 0);
}

/* Requests of an older state and of another instance are dropped, newer ones wait. */
static void states_and_instances(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig->state = 4;
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
	rig->state = 5;
	rig_says_as(rig, 3, 4711, FCLOCK_LOCK_REQUEST, id_of(1, 0), 24);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
	rig->state = 6;
	rig_request(rig, 3, id_of(2, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_WAITING);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	/* a PREPARE does not end it: it is of the state to come */
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_WAITING);
	rig->sb.state = 6;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

static void credits(struct kunit *test)
{
	struct rig *rig = begin(test);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, -EPROTO,
			rig_request(rig, 3, id_of(1, FCLOCK_OBJECTS), A, SPLIT,
				    5, 5));
	/* twice: see credits_over_a_new_link */
	for (i = 0; i < 2 * FCLOCK_CREDITS; i++)
		KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(1, i), A,
						     SPLIT, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 2 * FCLOCK_CREDITS);
	/* a place used again ends what was there and needs no further credit */
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(2, 0), A, SPLIT, 5, 5));
	KUNIT_EXPECT_EQ(test, -EPROTO,
			rig_request(rig, 3, id_of(2, i), A, SPLIT, 5, 5));
	/* who is a state further has dropped them all */
	rig->state = 6;
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(3, i), A, SPLIT, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 1);
	/* other clients have their own */
	rig->state = 5;
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 1, id_of(1, 0), A, SPLIT, 9, 9));
}

/* A split waits for the holders, and only their own ids end it (invariant 4). */
static void recall(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 6, 6);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->msg.id, id_of(1, 0));
	/* recalls merge */
	rig_request(rig, 1, id_of(1, 1), 0, SPLIT, 7, 7);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(2, 0), 0);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 1), 0);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, FCLOCK_OBJECTS), 0);
	rig_says(rig, 1, FCLOCK_RELEASED, id_of(1, 0), 0);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	/* no new shared lock passes the waiting split */
	rig_request(rig, 1, id_of(1, 2), 0, SHARED, 6, 6);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	/* 6, 7, and what is ahead of it */
	KUNIT_EXPECT_EQ(test, rig->copies, 3);
	copied(rig, 0);
	committed(rig);
	expect_grant(rig, 1, id_of(1, 0), 6);
	expect_grant(rig, 1, id_of(1, 2), 6);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
}

/* Each holder is asked to release, and the split waits for the last one. */
static void recalls_all(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	give(rig, 1, id_of(1, 0), 0, 5);
	give(rig, 3, id_of(1, 1), 1, 5);
	rig_request(rig, 1, id_of(1, 1), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_RELEASE_REQUEST);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	rig_says(rig, 1, FCLOCK_RELEASED, id_of(1, 0), 0);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 1), 0);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

/* RELEASE_REQUESTs are sent again on a new link, and so is a grant that is asked for again. */
static void reconnect(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_cut(rig, 3);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->msg.id, id_of(1, 0));
	/* the place used again: the client holds nothing there */
	rig_request(rig, 3, id_of(2, 0), 1, SHARED, 40, 40);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	/* a grant that waits when the link breaks is asked for again */
	rig_cut(rig, 3);
	copied(rig, 0);
	committed(rig);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
	rig_request(rig, 3, id_of(2, 0), 1, SHARED, 40, 40);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
}

/*
 * A request that is asked again over a new link crosses its grant, and the grant waits to be sent
 * a second time: PREPARE does not end what the client holds since the first.
 */
static void grant_crossed(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_request(rig, 3, id_of(1, 0), 0, SHARED, 5, 5);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_HELD);
	rig_silence(rig, 3);
	rig->sb.state = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	rig->state = 7;
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
}

/*
 * A client that gives a lock up while its link is down, or by a PREPARE that is aborted, tells
 * nobody: it is asked, or it would keep writers waiting when it is cut off later.
 */
static void given_up_unheard(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->msg.id, id_of(1, 0));
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);

	give(rig, 3, id_of(2, 1), 0, 40);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	rig->sb.state = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	rig->state = 7;
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->msg.id, id_of(2, 1));
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(2, 1), 0);
	rig_cut(rig, 3);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	copied(rig, 0);
	committed(rig);
	rig_request(rig, 1, id_of(1, 1), A, SPLIT, 40, 40);
	KUNIT_EXPECT_EQ(test, rig->copies, 2);
}

/* All credits in use, granted while the link was down, and asked again on the new one. */
static void credits_over_a_new_link(struct kunit *test)
{
	struct rig *rig = begin(test);
	unsigned int i;

	for (i = 0; i < FCLOCK_CREDITS; i++)
		rig_request(rig, 3, id_of(1, i), A, SPLIT, 5, 5);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	copied(rig, 0);
	committed(rig);
	for (i = 0; i < FCLOCK_CREDITS; i++)
		expect_grant(rig, 3, id_of(1, i), 5);
	for (i = 0; i < FCLOCK_CREDITS; i++)
		KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(1, i), A,
						     SPLIT, 5, 5));
	/* the client has heard the first of them and has credits for more */
	KUNIT_EXPECT_EQ(test, 0, rig_request(rig, 3, id_of(2, i), A, SPLIT, 9, 9));
}

/* Node 3 holds @grain and is cut off. */
static struct rig *cut_off_with(struct kunit *test, u64 grain)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, grain);
	/* no more than that one, whatever was granted ahead */
	rig_request(rig, 1, id_of(1, 9), A, SPLIT, grain + 1, grain + 1);
	rig_silence(rig, 3);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(1, 0), 0);
	copied(rig, 0);
	committed(rig);
	expect_grant(rig, 1, id_of(1, 9), grain + 1);
	give(rig, 3, id_of(2, 0), 0, grain);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->last, grain);
	rig_cut(rig, 3);
	return rig;
}

/* Who is ahead of a sequential writer, and cannot be locked, does not keep it waiting. */
static void ahead_of_a_reader(struct kunit *test)
{
	struct rig *rig = cut_off_with(test, 6);

	writes(rig, 1, id_of(1, 0), 4);
	writes(rig, 1, id_of(1, 1), 5);
	KUNIT_EXPECT_EQ(test, rig->split[2]->first, 5);
	KUNIT_EXPECT_EQ(test, rig->split[2]->last, 5);
}

/* What is copied ahead of a writer and cannot be read costs no copy. */
static void ahead_fails(struct kunit *test)
{
	struct rig *rig = begin(test);

	writes(rig, 3, id_of(1, 0), 4);
	rig_request(rig, 3, id_of(1, 1), A, SPLIT, 5, 5);
	KUNIT_ASSERT_EQ(test, rig->copies, 3);
	KUNIT_EXPECT_EQ(test, rig->split[1]->last, 5);
	KUNIT_EXPECT_EQ(test, rig->split[2]->first, 6);
	/* somebody has come to need it: he finds out himself */
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 6, 6);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[2], true, 0));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 0);
	KUNIT_ASSERT_EQ(test, rig->copies, 4);
	KUNIT_EXPECT_EQ(test, rig->split[3]->first, 6);
	KUNIT_EXPECT_FALSE(test, rig->split[3]->ahead);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[1], false, 0));
	committed(rig);
	expect_grant(rig, 3, id_of(1, 1), 5);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[3], true, 0));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 3);
}

/* However many wait for a client that is cut off, all others are served (invariant 4 holds). */
static void stuck(struct kunit *test)
{
	struct rig *rig = cut_off_with(test, 6);
	unsigned int i, most = min(FCLOCK_SPLITS + 3, FCLOCK_CREDITS - 8);

	for (i = 0; i < most; i++)
		rig_request(rig, 1, id_of(1, i), A, SPLIT, 6, 6);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	/* no new shared lock passes them, nor reaches over them from below */
	rig_request(rig, 1, id_of(1, i), 0, SHARED, 6, 6);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	give(rig, 1, id_of(1, ++i), 0, 3);
	KUNIT_EXPECT_LT(test, record(rig, 1, i)->last, 6);
	give(rig, 1, id_of(1, ++i), 0, 40);
	rig_request(rig, 1, id_of(1, ++i), A, SPLIT, 60, 60);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	KUNIT_EXPECT_EQ(test, rig->split[1]->first, 60);
	/* back: it is asked to release, and they go in the order of arrival */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	KUNIT_EXPECT_EQ(test, rig->copies, 2);
	rig_says(rig, 3, FCLOCK_RELEASED, id_of(2, 0), 0);
	KUNIT_ASSERT_EQ(test, rig->copies, 3);
	KUNIT_EXPECT_EQ(test, rig->split[2]->first, 6);
	copied(rig, 2);
	committed(rig);
	for (i = 0; i <= most; i++)
		expect_grant(rig, 1, id_of(1, i), 6);
}

/* A split that waits for its locks when the holder is cut off: so does who waits for it. */
static void stuck_later(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, record(rig, 1, 0)->stuck, false);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, record(rig, 1, 0)->stuck, true);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&rig->core->own.splits_tree));
	/* fenced, and struck */
	rig->sb.state = 6;
	rig->sb.part[2].instance = 0;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, record(rig, 1, 0)->state, FCLOCK_REC_FREE);
	KUNIT_EXPECT_TRUE(test, list_empty(&rig->core->own.stuck));
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&rig->core->own.stuck_tree.rb_root));
	rig->state = 6;
	rig_request(rig, 1, id_of(2, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

/* A reader that is stuck behind a writer of more than its grain, which another one has split. */
static void stuck_and_split(struct kunit *test)
{
	struct rig *rig = cut_off_with(test, 6);

	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 4, 6);
	KUNIT_EXPECT_TRUE(test, record(rig, 1, 0)->stuck);
	rig_request(rig, 1, id_of(1, 1), 0, SHARED, 4, 4);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_request(rig, 1, id_of(1, 2), A, SPLIT, 4, 4);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	copied(rig, 1);
	committed(rig);
	expect_grant(rig, 1, id_of(1, 2), 4);
	expect_grant(rig, 1, id_of(1, 1), 4);
	KUNIT_EXPECT_TRUE(test, record(rig, 1, 0)->stuck);
}

/* A writer of one copy who is stuck keeps readers of that one waiting, not those of another. */
static void stuck_in_one_copy(struct kunit *test)
{
	struct rig *rig = cut_off_with(test, 6);

	rig_request(rig, 1, id_of(1, 0), 0, SPLIT, 4, 6);
	KUNIT_EXPECT_TRUE(test, record(rig, 1, 0)->stuck);
	give(rig, 1, id_of(1, 1), 1, 4);
	KUNIT_EXPECT_GE(test, record(rig, 1, 1)->last, 6);
	rig_request(rig, 1, id_of(1, 2), 0, SHARED, 4, 4);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	/* one of A needs a split of both */
	rig_request(rig, 1, id_of(1, 3), A, SPLIT, 6, 6);
	rig_request(rig, 1, id_of(1, 4), 1, SHARED, 6, 6);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
}

/*
 * A reader that is cut off while it waits is given nothing: it could not be asked for it, and
 * writers would wait for a lock that it never heard of.
 */
static void reader_is_cut_off(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 6);
	few_splits(rig, 1);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 6, 6);
	rig_request(rig, 3, id_of(1, 1), 0, SHARED, 40, 40);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 1)->state, FCLOCK_REC_WAITING);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 1)->state, FCLOCK_REC_FREE);
	rig_request(rig, 1, id_of(1, 1), A, SPLIT, 40, 40);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	copied(rig, 0);
	committed(rig);
	expect_grant(rig, 1, id_of(1, 1), 40);
	/* it asks again, and is told */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	rig_silence(rig, 3);
	rig_request(rig, 3, id_of(1, 1), 0, SHARED, 40, 40);
	expect_grant(rig, 3, id_of(1, 1), 40);
}

/*
 * It waits behind a split ahead of a writer, which ends with its link, or its grant had not been
 * sent: no lock of it is left in a writer's way.
 */
static void reader_never_heard(struct kunit *test)
{
	struct rig *rig = begin(test);

	writes(rig, 1, id_of(1, 0), 7);
	give(rig, 3, id_of(1, 0), 0, 6);
	writes(rig, 1, id_of(1, 1), 4);
	rig_request(rig, 1, id_of(1, 2), A, SPLIT, 5, 5);
	KUNIT_ASSERT_EQ(test, rig->copies, 3);
	rig_silence(rig, 3);
	rig_request(rig, 3, id_of(1, 1), 1, SHARED, 6, 6);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 1)->state, FCLOCK_REC_WAITING);
	rig_request(rig, 3, id_of(1, 2), 1, SHARED, 40, 40);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 2)->state, FCLOCK_REC_HELD);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 1)->state, FCLOCK_REC_FREE);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 2)->state, FCLOCK_REC_FREE);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_held, 1);
	rig_request(rig, 1, id_of(1, 3), A, SPLIT, 40, 40);
	KUNIT_ASSERT_EQ(test, rig->copies, 4);
	KUNIT_EXPECT_EQ(test, rig->split[3]->first, 40);
	rig_request(rig, 1, id_of(1, 4), 1, SPLIT, 6, 6);
	KUNIT_ASSERT_EQ(test, rig->copies, 5);
	KUNIT_EXPECT_EQ(test, rig->split[4]->first, 6);
}

/* Splits that end with a link leave room: for who waits for it, before who asks next. */
static void room_after_a_link(struct kunit *test)
{
	struct rig *rig = cut_off_with(test, 6);

	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	few_splits(rig, 1);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 6, 6);
	rig_request(rig, 1, id_of(1, 1), A, SPLIT, 40, 40);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
	rig_cut(rig, 3);
	KUNIT_EXPECT_TRUE(test, record(rig, 1, 0)->stuck);
	KUNIT_ASSERT_EQ(test, rig->copies, 2);
	KUNIT_EXPECT_EQ(test, rig->split[1]->first, 40);
}

/* RELEASED in every state of a record: it ends what is held and nothing else. */
static void released_in_every_state(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_record *rec = record(rig, 3, 0);
	unsigned int state;

	for (state = FCLOCK_REC_FREE; state <= FCLOCK_REC_HELD; state++) {
		u64 id = id_of(1 + state, 0);

		if (state == FCLOCK_REC_WAITING || state == FCLOCK_REC_GRANTING)
			rig_request(rig, 3, id, A, SPLIT, 5, 5);
		if (state == FCLOCK_REC_GRANTING && rig->commits < 1) {
			copied(rig, 0);
			committed(rig);
		}
		if (state == FCLOCK_REC_HELD)
			give(rig, 3, id, 0, 40);
		KUNIT_EXPECT_EQ(test, rec->state, state);
		rig_says(rig, 3, FCLOCK_RELEASED, id + (1ULL << 40), 0);
		KUNIT_EXPECT_EQ(test, rec->state, state);
		rig_says(rig, 3, FCLOCK_RELEASED, id, 0);
		KUNIT_EXPECT_EQ_MSG(test, rec->state,
				    state == FCLOCK_REC_HELD ?
				    FCLOCK_REC_FREE : state, "state %u", state);
		if (state == FCLOCK_REC_GRANTING)
			expect_grant(rig, 3, id, 5);
	}
}

static bool said_prepared(struct rig *rig, u64 number)
{
	return rig_hears(rig, 1) == FCLOCK_PREPARED && rig->msg.id == number;
}

/* PREPARE finds a split in each of its states. */
static void prepare_in_every_state(struct kunit *test)
{
	struct rig *rig = begin(test);
	unsigned int state;
	u64 number = 6;

	for (state = FCLOCK_SPLIT_LOCKING; state <= FCLOCK_SPLIT_COMMITTING;
	     state++, number += 2) {
		u64 g = 8 * state, id = id_of(state, 0);
		unsigned int copies = rig->copies, commits = rig->commits;

		if (state == FCLOCK_SPLIT_LOCKING)
			give(rig, 3, id_of(state, 1), 0, g);
		rig_request(rig, 3, id, A, SPLIT, g, g);
		if (state == FCLOCK_SPLIT_COPIED) {
			/* it waits for the commit of another one */
			rig_request(rig, 3, id_of(state, 2), A, SPLIT, g + 4,
				    g + 4);
			copied(rig, copies + 1);
			copied(rig, copies);
		} else if (state > FCLOCK_SPLIT_COPYING) {
			copied(rig, copies);
		}
		rig_silence(rig, 3);
		rig_prepare(rig, 1, number, FCLOCK_VIEW, 0);
		KUNIT_EXPECT_EQ(test, record(rig, 3, id)->state,
				FCLOCK_REC_FREE);
		if (state == FCLOCK_SPLIT_LOCKING) {
			KUNIT_EXPECT_TRUE(test, said_prepared(rig, number));
		} else {
			/* what is under way on B or M ends first */
			KUNIT_EXPECT_EQ_MSG(test, rig_hears(rig, 1), 0,
					    "split state %u", state);
			if (state == FCLOCK_SPLIT_COPYING)
				copied(rig, copies);
			else
				committed(rig);
			KUNIT_EXPECT_TRUE(test, said_prepared(rig, number));
		}
		/* and nothing begins */
		KUNIT_EXPECT_EQ(test, rig->commits, commits +
				(state >= FCLOCK_SPLIT_COPIED));
		rig_request(rig, 3, id_of(state, 3), A, SPLIT, 60, 60);
		KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
		KUNIT_EXPECT_EQ(test, test_bit(g, rig->bits[0]),
				state == FCLOCK_SPLIT_COMMITTING);
		rig->sb.state = number + 1;
		rig_super(rig, 1, FCLOCK_ABORT);
		rig_silence(rig, 1);
	}
}

/* An ABORT ends no lock that was given; a RESUME ends all. */
static void abort_keeps_resume_ends(struct kunit *test)
{
	struct rig *rig = begin(test);

	give(rig, 3, id_of(1, 0), 0, 5);
	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig->sb.state = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_HELD);
	rig_request(rig, 1, id_of(1, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_RELEASE_REQUEST);
	rig_prepare(rig, 1, 8, FCLOCK_VIEW, 0);
	rig->sb.state = 8;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
	rig_request(rig, 1, id_of(2, 0), A, SPLIT, 5, 5);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

/* A lock whose grant was never sent was never given. */
static void unsent_grants(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), 0, SHARED, 5, 5);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_HELD);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, record(rig, 3, 0)->state, FCLOCK_REC_FREE);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
}

/* A copy that fails costs its slot; the other one goes on. */
static void copy_fails(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[0], false, 2));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 2);
	KUNIT_EXPECT_EQ(test, rig->commits, 1);
	committed(rig);
	KUNIT_EXPECT_TRUE(test, test_bit(5, rig->bits[0]));
	KUNIT_EXPECT_FALSE(test, test_bit(5, rig->bits[1]));
	/* the write waits until the mark is durable, the slot's read fails after it */
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	rig_request(rig, 3, id_of(1, 1), 0, SPLIT, 5, 5);
	expect_grant(rig, 3, id_of(1, 1), 5);
	rig_prepare(rig, 1, 6, FCLOCK_OFFLINE, 2);
	rig_gated(rig);
	KUNIT_EXPECT_TRUE(test, said_prepared(rig, 6));
	rig->sb.state = 6;
	rig->sb.slot[1].state = FCLOCK_SLOT_OFFLINE;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 0);
	rig_request(rig, 3, id_of(2, 0), A, SPLIT, 5, 5);
	expect_grant(rig, 3, id_of(2, 0), 5);
	rig_request(rig, 3, id_of(2, 1), 1, SHARED, 5, 5);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 3), FCLOCK_LOCK_GRANT);
	KUNIT_EXPECT_EQ(test, ((const struct fclock_wire_lock_grant *)
			       rig_payload(rig))->status, FCLOCK_GRANT_EIO);
}

/* A cannot be read: every copy of the split lost its point in time. */
static void origin_fails(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[0], true, 0));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 3);
	KUNIT_EXPECT_EQ(test, rig->commits, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
}

static void commit_fails(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 5, 5);
	copied(rig, 0);
	rig_do(rig, fclock_core_committed(rig->core, (u16)~0));
	KUNIT_EXPECT_EQ(test, rig->core->own.failing, 3);
	KUNIT_EXPECT_FALSE(test, test_bit(5, rig->bits[0]));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
	rig_request(rig, 3, id_of(1, 1), A, SPLIT, 9, 9);
	KUNIT_EXPECT_EQ(test, rig->copies, 1);
}

/* A trigger empties what is known without a look at M; a generation told later does not. */
static void generations(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig_request(rig, 3, id_of(1, 0), A, SPLIT, 0, 7);
	copied(rig, 0);
	committed(rig);
	rig_silence(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 8);
	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	rig->loads = 0;
	rig->sb.state = 6;
	rig->sb.slot[0].generation = 6;
	rig_super(rig, 1, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 0);
	rig_request(rig, 3, id_of(2, 0), 0, SPLIT, 3, 3);
	KUNIT_EXPECT_EQ(test, rig->loads, 0);
	KUNIT_EXPECT_EQ(test, rig->copies, 2);
	copied(rig, 1);
	committed(rig);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 1);
	/* announced by a new primary: it began in a state of its own */
	rig_prepare(rig, 1, 7, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	rig->sb.state = 8;
	rig->sb.slot[0].generation = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 0);
	KUNIT_EXPECT_GT(test, rig->loads, 0);
	rig_loaded(rig);
	while (rig->nr_load)
		rig_loaded(rig);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].split, 0);
	KUNIT_EXPECT_EQ(test, rig->core->own.slot[0].known, RIG_SLICES);
}

/* More requests than splits: they are served in the order of arrival. */
static void crowded(struct kunit *test)
{
	struct rig *rig = begin(test);
	unsigned int i, n = RIG_GRAINS / 2;

	few_splits(rig, 4);
	for (i = 0; i < n; i++)
		rig_request(rig, 3, id_of(1, i), 0, SPLIT, 2 * i, 2 * i);
	KUNIT_EXPECT_EQ(test, rig->copies, 4);
	for (i = 0; i < n; i++) {
		copied(rig, i);
		committed(rig);
		expect_grant(rig, 3, id_of(1, i), 2 * i);
	}
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].rec_open, 0);
}

/* A superblock that comes while this owner starts for the one before. */
static void starts_once(struct kunit *test)
{
	struct rig *rig = begin(test);

	rig->sb.state = 6;
	rig->sb.owners = 6;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), 0);
	KUNIT_EXPECT_EQ(test, rig->starts, 2);
	rig->sb.state = 7;
	rig->sb.owners = 2;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), 0);
	KUNIT_EXPECT_EQ(test, rig->starts, 2);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	/* what it flushed was before state 7 */
	KUNIT_EXPECT_EQ(test, rig->starts, 3);
	KUNIT_EXPECT_FALSE(test, rig->core->own.ready);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig->starts, 3);
	KUNIT_EXPECT_TRUE(test, rig->core->own.ready);
}

static struct kunit_case owner_cases[] = {
	KUNIT_CASE(copy_commit_grant),
	KUNIT_CASE(group_commit),
	KUNIT_CASE(disputed),
	KUNIT_CASE(duplicates),
	KUNIT_CASE(states_and_instances),
	KUNIT_CASE(credits),
	KUNIT_CASE(recall),
	KUNIT_CASE(recalls_all),
	KUNIT_CASE(reconnect),
	KUNIT_CASE(grant_crossed),
	KUNIT_CASE(given_up_unheard),
	KUNIT_CASE(credits_over_a_new_link),
	KUNIT_CASE(ahead_of_a_reader),
	KUNIT_CASE(ahead_fails),
	KUNIT_CASE(stuck),
	KUNIT_CASE(stuck_later),
	KUNIT_CASE(stuck_and_split),
	KUNIT_CASE(stuck_in_one_copy),
	KUNIT_CASE(reader_is_cut_off),
	KUNIT_CASE(reader_never_heard),
	KUNIT_CASE(room_after_a_link),
	KUNIT_CASE(released_in_every_state),
	KUNIT_CASE(prepare_in_every_state),
	KUNIT_CASE(abort_keeps_resume_ends),
	KUNIT_CASE(unsent_grants),
	KUNIT_CASE(copy_fails),
	KUNIT_CASE(origin_fails),
	KUNIT_CASE(commit_fails),
	KUNIT_CASE(generations),
	KUNIT_CASE(crowded),
	KUNIT_CASE(starts_once),
	{}
};

static struct kunit_suite owner_suite = {
	.name = "fclock_owner",
	.init = owner_test_init,
	.exit = rig_exit,
	.test_cases = owner_cases,
};

kunit_test_suites(&owner_suite);
