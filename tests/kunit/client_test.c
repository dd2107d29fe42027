// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client's state machine, driven by events: node 2 asks node 1, which is the
 * owner and the primary.
 */
#include "rig.h"

#define A	FCLOCK_TARGET_A

static int client_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static struct rig *begin(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 1);
	return rig;
}

/* The LOCK_REQUEST that goes out now; its id. */
static u64 asks(struct rig *rig, u8 target, u8 kind, u64 first, u64 last)
{
	const struct fclock_wire_lock_request *q = rig_payload(rig);
	u8 type = rig_hears(rig, 1);

	KUNIT_EXPECT_EQ(rig->test, type, FCLOCK_LOCK_REQUEST);
	if (type != FCLOCK_LOCK_REQUEST)
		return 0;
	KUNIT_EXPECT_EQ(rig->test, q->target, target);
	KUNIT_EXPECT_EQ(rig->test, q->kind, kind);
	KUNIT_EXPECT_EQ(rig->test, le64_to_cpu(q->first), first);
	KUNIT_EXPECT_EQ(rig->test, le64_to_cpu(q->last), last);
	return rig->msg.id;
}

static void expect_woken(struct rig *rig, unsigned int wakes,
			 const struct fclock_waiter *w, u8 verdict, u64 count)
{
	KUNIT_EXPECT_EQ(rig->test, rig->wakes, wakes);
	KUNIT_EXPECT_EQ(rig->test, w->verdict, verdict);
	KUNIT_EXPECT_EQ(rig->test, w->count, count);
}

static u64 locks(struct rig *rig)
{
	u64 n;

	rig_do(rig, n = fclock_core_shared_locks(rig->core, 0));
	return n;
}

/* Node 2 holds a shared lock on [8, 11] of slot 0; its id. The read is over. */
static u64 hold(struct rig *rig, struct fclock_waiter *w)
{
	u64 id;

	rig_submit(rig, w, 0, FCLOCK_IO_READ, 8, 8);
	id = asks(rig, 0, FCLOCK_KIND_SHARED, 8, 8);
	rig_grant(rig, 1, id, 0, 8, 11, true);
	KUNIT_EXPECT_EQ(rig->test, w->verdict, FCLOCK_GO_SHARED);
	rig_done(rig, w);
	return id;
}

static u64 released(struct rig *rig)
{
	return rig_hears(rig, 1) == FCLOCK_RELEASED ? rig->msg.id : 0;
}

static void shared_lock(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter r1, r2, r3;
	u64 id;

	rig_submit(rig, &r1, 0, FCLOCK_IO_READ, 8, 9);
	id = asks(rig, 0, FCLOCK_KIND_SHARED, 8, 9);
	KUNIT_EXPECT_EQ(test, rig->wakes, 0);
	/* who misses the same grains waits for the same answer */
	rig_submit(rig, &r2, 0, FCLOCK_IO_READ, 9, 12);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_grant(rig, 1, id, 0, 8, 11, true);
	expect_woken(rig, 2, &r1, FCLOCK_GO_SHARED, 2);
	expect_woken(rig, 2, &r2, FCLOCK_GO_SHARED, 3);
	KUNIT_EXPECT_EQ(test, rig->core->nr_granted, 2);
	KUNIT_EXPECT_TRUE(test, r1.lock == r2.lock);
	KUNIT_EXPECT_EQ(test, r1.lock->users, 2);
	rig_done(rig, &r1);
	rig_done(rig, &r2);
	/* kept: no message for the next read */
	rig_submit(rig, &r3, 0, FCLOCK_IO_READ, 11, 11);
	expect_woken(rig, 3, &r3, FCLOCK_GO_SHARED, 1);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_done(rig, &r3);
	KUNIT_EXPECT_EQ(test, locks(rig), 1);
	rig_time(rig, FCLOCK_IDLE_MS - 1);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_time(rig, 2);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	KUNIT_EXPECT_EQ(test, locks(rig), 0);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_held, 0);
}

static void confirmation(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w1, w2;
	u64 id;

	rig_submit(rig, &w1, A, FCLOCK_IO_WRITE, 4, 6);
	id = asks(rig, A, FCLOCK_KIND_SPLIT, 4, 6);
	rig_grant(rig, 1, id, A, 2, 20, false);
	expect_woken(rig, 1, &w1, FCLOCK_GO, 3);
	rig_done(rig, &w1);
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache,
						    FCLOCK_CACHE_A, 2, 20));
	/* the missing part only, and the write goes in one piece */
	rig_submit(rig, &w2, A, FCLOCK_IO_WRITE, 19, 22);
	id = asks(rig, A, FCLOCK_KIND_SPLIT, 21, 22);
	rig_grant(rig, 1, id, A, 21, 22, false);
	expect_woken(rig, 2, &w2, FCLOCK_GO, 4);
	rig_done(rig, &w2);
	KUNIT_EXPECT_EQ(test, rig->core->nr_granted, 0);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_open, 0);
}

static void discards(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;

	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 4, 5));
	rig_submit(rig, &w, A, FCLOCK_IO_DISCARD, 3, 6);
	expect_woken(rig, 1, &w, FCLOCK_NO_EFFECT, 1);
	rig_submit(rig, &w, A, FCLOCK_IO_DISCARD, 4, 6);
	expect_woken(rig, 2, &w, FCLOCK_GO, 2);
	rig_done(rig, &w);
	rig_submit(rig, &w, A, FCLOCK_IO_DISCARD, 6, 6);
	expect_woken(rig, 3, &w, FCLOCK_NO_EFFECT, 1);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
}

/*
 * While a PREPARE is pending no discard goes by the core, or a program that discards
 * without an end would keep the node from ever being drained.
 */
static void discards_and_prepare(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter first, next;

	rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 4, 5));
	rig_submit(rig, &first, 0, FCLOCK_IO_DISCARD, 4, 6);
	expect_woken(rig, 1, &first, FCLOCK_GO, 2);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	rig_submit(rig, &next, 0, FCLOCK_IO_DISCARD, 4, 6);
	rig_done(rig, &first);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	rig->sb.state = 6;
	rig_super(rig, 1, FCLOCK_RESUME);
	expect_woken(rig, 2, &next, FCLOCK_GO, 2);
	rig_done(rig, &next);
}

/* Grants that must not count: what is wrong with each, and the right one at the end. */
static void wrong_grants(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, 0, FCLOCK_IO_WRITE, 4, 4);
	id = asks(rig, 0, FCLOCK_KIND_SPLIT, 4, 4);
	rig_grant(rig, 1, id + (1 << 16), 0, 4, 4, false);	/* id */
	rig_grant(rig, 1, id, 1, 4, 4, false);			/* target */
	rig_grant(rig, 1, FCLOCK_OBJECTS, 0, 4, 4, false);	/* place */
	rig_grant(rig, 3, id, 0, 4, 4, false);			/* owner */
	rig->state = 4;
	rig_grant(rig, 1, id, 0, 4, 4, false);			/* state */
	rig->state = 6;
	rig_grant(rig, 1, id, 0, 4, 4, false);
	rig->state = 5;
	rig_says_as(rig, 1, 4711, FCLOCK_LOCK_GRANT, id,	/* instance */
		    sizeof(struct fclock_wire_lock_grant) +
		    sizeof(struct fclock_wire_run));
	KUNIT_EXPECT_EQ(test, rig->wakes, 0);
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache, 0, 4, 4));
	rig_grant(rig, 1, id, 0, 4, 4, false);
	expect_woken(rig, 1, &w, FCLOCK_GO, 1);
	rig_grant(rig, 1, id, 0, 4, 4, false);			/* twice */
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	rig_done(rig, &w);
	/* from PREPARE on nothing enters the cache */
	rig_submit(rig, &w, 0, FCLOCK_IO_WRITE, 8, 8);
	id = asks(rig, 0, FCLOCK_KIND_SPLIT, 8, 8);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	rig_grant(rig, 1, id, 0, 8, 8, false);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache, 0, 8, 8));
}

static void grant_of_error(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_wire_lock_grant *g = (void *)rig->out;
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 4, 5);
	id = asks(rig, 0, FCLOCK_KIND_SHARED, 4, 5);
	memset(g, 0, sizeof(*g));
	g->status = FCLOCK_GRANT_EIO;
	rig_says(rig, 1, FCLOCK_LOCK_GRANT, id, sizeof(*g));
	expect_woken(rig, 1, &w, FCLOCK_FAIL, 2);
	KUNIT_EXPECT_EQ(test, rig->core->nr_granted, 0);
}

/* RELEASE_REQUEST in every state of an object. */
static void recall_free(struct kunit *test)
{
	struct rig *rig = begin(test);

	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_RELEASE_REQUEST,
					  (77ULL << 16) | 3, 0));
	KUNIT_EXPECT_EQ(test, released(rig), (77ULL << 16) | 3);
	KUNIT_EXPECT_EQ(test, -EPROTO,
			rig_says(rig, 1, FCLOCK_RELEASE_REQUEST,
				 (77ULL << 16) | FCLOCK_OBJECTS, 0));
}

static void recall_open(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 8, 8);
	id = asks(rig, 0, FCLOCK_KIND_SHARED, 8, 8);
	/* an older one of the same place is not held, this one will be */
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id - (1 << 16), 0);
	KUNIT_EXPECT_EQ(test, released(rig), id - (1 << 16));
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_grant(rig, 1, id, 0, 8, 8, true);
	expect_woken(rig, 1, &w, FCLOCK_GO_SHARED, 1);
	rig->now += FCLOCK_HOLD_MS;
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, released(rig), id);
}

static void recall_unused(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	u64 id = hold(rig, &w);

	/* obeyed after the minimum hold time */
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_time(rig, FCLOCK_HOLD_MS - 1);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	/* and it serves no new reads meanwhile */
	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 9, 9);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	asks(rig, 0, FCLOCK_KIND_SHARED, 9, 9);
	rig_time(rig, 1);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	KUNIT_EXPECT_EQ(test, released(rig), id);
}

static void recall_used(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter r1, r2;
	u64 id = hold(rig, &r1);

	rig->now += FCLOCK_HOLD_MS;
	rig_submit(rig, &r1, 0, FCLOCK_IO_READ, 8, 8);
	rig_submit(rig, &r2, 0, FCLOCK_IO_READ, 9, 9);
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	rig_done(rig, &r1);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_done(rig, &r2);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
}

static void recall_releasing(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	u64 id = hold(rig, &w);

	rig_time(rig, FCLOCK_IDLE_MS);
	/* RELEASED waits to be sent: once is enough */
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
}

/* What was asked back is answered even when a PREPARE ends it: an ABORT may follow. */
static void recall_and_prepare(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w, v;
	u64 id = hold(rig, &w), open;

	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 8, 8);
	rig_submit(rig, &v, 1, FCLOCK_IO_READ, 40, 40);
	open = asks(rig, 1, FCLOCK_KIND_SHARED, 40, 40);
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, id, 0);
	rig_says(rig, 1, FCLOCK_RELEASE_REQUEST, open, 0);
	KUNIT_EXPECT_EQ(test, released(rig), 0);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, released(rig), open);
	/* in use: PREPARED has to wait */
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_held, 0);
}

/* PREPARE drops what is open; it is asked again, under another id, in the next state. */
static void prepare_drops_requests(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	u64 id, again;

	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 4, 4);
	id = asks(rig, A, FCLOCK_KIND_SPLIT, 4, 4);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_open, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig->sb.state = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	again = asks(rig, A, FCLOCK_KIND_SPLIT, 4, 4);
	KUNIT_EXPECT_NE(test, again, id);
	rig_grant(rig, 1, again, A, 4, 4, false);
	expect_woken(rig, 1, &w, FCLOCK_GO, 1);
	rig_done(rig, &w);
}

static void reconnect(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w1, w2;
	u64 id;

	rig_submit(rig, &w1, A, FCLOCK_IO_WRITE, 4, 4);
	id = asks(rig, A, FCLOCK_KIND_SPLIT, 4, 4);
	rig_cut(rig, 1);
	rig_submit(rig, &w2, A, FCLOCK_IO_WRITE, 9, 9);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, asks(rig, A, FCLOCK_KIND_SPLIT, 4, 4), id);
	asks(rig, A, FCLOCK_KIND_SPLIT, 9, 9);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_grant(rig, 1, id, A, 4, 9, false);
	expect_woken(rig, 1, &w1, FCLOCK_GO, 1);
	rig_done(rig, &w1);
}

/* Never more open requests than credits; who found none is served when one is free. */
static void credits(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter *w;
	unsigned int i, n = 8;
	u64 id[8];

	w = kcalloc(n, sizeof(*w), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, w);
	rig->core->peer[1].credits = 3;
	for (i = 0; i < n; i++)
		rig_submit(rig, &w[i], A, FCLOCK_IO_WRITE, 8 * i, 8 * i);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_open, 3);
	for (i = 0; i < 3; i++)
		id[i] = asks(rig, A, FCLOCK_KIND_SPLIT, 8 * i, 8 * i);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	for (i = 0; i < n; i++) {
		rig_grant(rig, 1, id[i], A, 8 * i, 8 * i, false);
		expect_woken(rig, i + 1, &w[i], FCLOCK_GO, 1);
		if (i + 3 < n)
			id[i + 3] = asks(rig, A, FCLOCK_KIND_SPLIT,
					 8 * (i + 3), 8 * (i + 3));
	}
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_open, 0);
	for (i = 0; i < n; i++)
		rig_done(rig, &w[i]);
	kfree(w);
}

/* All shared locks in use: who finds none is served as soon as one is used no more. */
static void locks_run_out(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter r, w;
	u64 id = hold(rig, &r);

	rig_submit(rig, &r, 0, FCLOCK_IO_READ, 8, 8);
	rig->core->peer[1].nr_held += FCLOCK_LOCKS - 1;
	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 40, 40);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_done(rig, &r);
	KUNIT_EXPECT_EQ(test, released(rig), id);
	asks(rig, 0, FCLOCK_KIND_SHARED, 40, 40);
	KUNIT_EXPECT_EQ(test, rig->core->peer[1].nr_held, FCLOCK_LOCKS - 1);
	rig->core->peer[1].nr_held = 0;
}

/* cache_limit 0: every I/O asks, and keeps nothing. */
static void without_cache(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter r1, r2;
	u64 id1, id2;

	rig_do(rig, fclock_cache_set_limit(&rig->core->cache, 0));
	rig_submit(rig, &r1, 0, FCLOCK_IO_READ, 8, 8);
	rig_submit(rig, &r2, 0, FCLOCK_IO_READ, 8, 8);
	id1 = asks(rig, 0, FCLOCK_KIND_SHARED, 8, 8);
	id2 = asks(rig, 0, FCLOCK_KIND_SHARED, 8, 8);
	rig_grant(rig, 1, id1, 0, 8, 11, true);
	rig_grant(rig, 1, id2, 0, 8, 11, true);
	expect_woken(rig, 2, &r1, FCLOCK_GO_SHARED, 1);
	rig_done(rig, &r1);
	KUNIT_EXPECT_EQ(test, released(rig), id1);
	rig_done(rig, &r2);
	KUNIT_EXPECT_EQ(test, released(rig), id2);
	rig_submit(rig, &r1, A, FCLOCK_IO_WRITE, 8, 9);
	id1 = asks(rig, A, FCLOCK_KIND_SPLIT, 8, 9);
	rig_grant(rig, 1, id1, A, 8, 8, false);
	expect_woken(rig, 3, &r1, FCLOCK_GO, 1);
	rig_done(rig, &r1);
	KUNIT_EXPECT_EQ(test, rig->core->cache.nr_runs, 0);
}

/* Each path of the hit path, as the core sees it. */
static void slot_states(struct kunit *test)
{
	static const struct {
		u8 state;
		u8 verdict;
	} table[] = {
		{ FCLOCK_SLOT_IDLE, FCLOCK_FAIL },
		{ FCLOCK_SLOT_COMPLETE, FCLOCK_GO },
		{ FCLOCK_SLOT_OFFLINE, FCLOCK_FAIL },
	};
	struct rig *rig = begin(test);
	struct fclock_waiter w;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		rig->sb.state++;
		rig->sb.slot[1].state = table[i].state;
		rig_super(rig, 1, FCLOCK_RESUME);
		rig_submit(rig, &w, 1, FCLOCK_IO_READ, 3, 5);
		expect_woken(rig, i + 1, &w, table[i].verdict, 3);
		if (w.verdict == FCLOCK_GO)
			rig_done(rig, &w);
	}
}

static void requeue(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w, v, p;
	u64 id;

	rig_submit(rig, &w, A, FCLOCK_IO_WRITE, 4, 5);
	id = asks(rig, A, FCLOCK_KIND_SPLIT, 4, 5);
	rig_submit(rig, &v, 0, FCLOCK_IO_WRITE, 4, 5);
	rig_do(rig, fclock_client_requeue(rig->core, A));
	expect_woken(rig, 1, &w, FCLOCK_REQUEUE, 2);
	KUNIT_EXPECT_EQ(test, rig->core->nr_waiting, 1);
	/* the grant serves whoever comes next */
	rig_grant(rig, 1, id, A, 4, 5, false);
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache,
						    FCLOCK_CACHE_A, 4, 5));
	/* parked ones too */
	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig_submit(rig, &p, A, FCLOCK_IO_WRITE, 4, 5);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	rig_do(rig, fclock_client_requeue(rig->core, A));
	expect_woken(rig, 2, &p, FCLOCK_REQUEUE, 2);
}

/* A flush of a copy waits behind its gate, asks nobody, and goes by what the slot is then. */
static void flush_at_a_gate(struct kunit *test)
{
	struct rig *rig = begin(test);
	struct fclock_waiter w;

	rig_prepare(rig, 1, 6, FCLOCK_STOP, 1);
	rig_gated(rig);
	rig_submit(rig, &w, 0, FCLOCK_IO_FLUSH, 0, 0);
	expect_woken(rig, 0, &w, 0xee, 0);
	rig->sb.state = 7;
	rig_super(rig, 1, FCLOCK_ABORT);
	expect_woken(rig, 1, &w, FCLOCK_GO, 1);
	/* counted: the next stop waits for its end */
	rig_silence(rig, 1);
	rig_prepare(rig, 1, 8, FCLOCK_STOP, 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), 0);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_PREPARED);
	rig_submit(rig, &w, 0, FCLOCK_IO_FLUSH, 0, 0);
	rig->sb.state = 8;
	rig->sb.slot[0].state = FCLOCK_SLOT_IDLE;
	rig_super(rig, 1, FCLOCK_RESUME);
	expect_woken(rig, 2, &w, FCLOCK_FAIL, 1);
}

static struct kunit_case client_cases[] = {
	KUNIT_CASE(shared_lock),
	KUNIT_CASE(confirmation),
	KUNIT_CASE(discards),
	KUNIT_CASE(discards_and_prepare),
	KUNIT_CASE(wrong_grants),
	KUNIT_CASE(grant_of_error),
	KUNIT_CASE(recall_free),
	KUNIT_CASE(recall_open),
	KUNIT_CASE(recall_unused),
	KUNIT_CASE(recall_used),
	KUNIT_CASE(recall_releasing),
	KUNIT_CASE(recall_and_prepare),
	KUNIT_CASE(prepare_drops_requests),
	KUNIT_CASE(reconnect),
	KUNIT_CASE(credits),
	KUNIT_CASE(locks_run_out),
	KUNIT_CASE(without_cache),
	KUNIT_CASE(slot_states),
	KUNIT_CASE(requeue),
	KUNIT_CASE(flush_at_a_gate),
	{}
};

static struct kunit_suite client_suite = {
	.name = "fclock_client",
	.init = client_test_init,
	.exit = rig_exit,
	.test_cases = client_cases,
};

kunit_test_suites(&client_suite);
