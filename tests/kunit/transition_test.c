// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transitions, driven by events: node 2 as a participant of node 1, and node 1 as the
 * primary of nodes 2 and 3.
 */
#include "rig.h"

#define GATE_A	BIT(FCLOCK_CACHE_A)

/* ------------------------------------------------------- the participant */

static struct rig *participant(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_run(rig, 1);
	return rig;
}

static u64 prepared(struct rig *rig)
{
	return rig_hears(rig, 1) == FCLOCK_PREPARED ? rig->msg.id : 0;
}

static void resume(struct rig *rig, u64 state, u8 type)
{
	rig->sb.state = state;
	KUNIT_EXPECT_EQ(rig->test, 0, rig_super(rig, 1, type));
}

/* PREPAREDs follow what is in flight behind the gates, of the hit path and of the core. */
static void drains_first(struct kunit *test)
{
	struct rig *rig = participant(test);
	struct fclock_waiter w;

	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 0, 9));
	rig_do(rig, fclock_cache_add(&rig->core->cache, 1, 0, 9));
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	KUNIT_EXPECT_EQ(test, rig->closed, GATE_A | 1);
	KUNIT_EXPECT_EQ(test, prepared(rig), 0);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, prepared(rig), 0);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, prepared(rig), 6);
	/* A is closed, the other slot is not */
	rig_submit(rig, &w, 1, FCLOCK_IO_READ, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	rig->sb.slot[0].generation = 6;
	resume(rig, 6, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->closed, 0);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_TRIGGER);
	/* what the trigger ends is forgotten, and what it does not is not */
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache,
						     FCLOCK_CACHE_A, 3, 3));
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache, 1, 3, 3));
	/* no confirmation of A survived: it asks */
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_LOCK_REQUEST);
	rig_do(rig, fclock_client_requeue(rig->core, FCLOCK_TARGET_A));
}

/*
 * A trigger that fails ends no confirmation (invariant 3): the node that it failed for
 * may be the owner of any of them.
 */
static void abort_keeps(struct kunit *test)
{
	struct rig *rig = participant(test);
	struct fclock_waiter w;

	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 0, 9));
	rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 0, 9));
	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, prepared(rig), 6);
	resume(rig, 7, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->closed, 0);
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache,
						    FCLOCK_CACHE_A, 3, 3));
	KUNIT_EXPECT_TRUE(test, fclock_cache_covers(&rig->core->cache, 0, 3, 3));
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
}

static enum fclock_volume_state state_of(struct rig *rig)
{
	enum fclock_volume_state state;

	rig_do(rig, state = fclock_core_volume_state(rig->core));
	return state;
}

/* A view that leaves nobody to split, or somebody again: rig_do() wants an event. */
static void view_is_told(struct kunit *test)
{
	struct rig *rig = participant(test);

	KUNIT_EXPECT_EQ(test, state_of(rig), FCLOCK_VOLUME_ACTIVE);
	rig->sb.owners = 0;
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	resume(rig, 6, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, state_of(rig), FCLOCK_VOLUME_SUSPENDED);
	rig->sb.owners = 1;
	rig_prepare(rig, 1, 7, FCLOCK_VIEW, 0);
	resume(rig, 7, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, state_of(rig), FCLOCK_VOLUME_ACTIVE);
}

static void gates_of_kinds(struct kunit *test)
{
	static const struct {
		u8 kind;
		u16 slots;
		u32 closed;
	} table[] = {
		{ FCLOCK_TRIGGER, 1, GATE_A | 1 },
		{ FCLOCK_TRIGGER, 3, GATE_A | 3 },
		{ FCLOCK_STOP, 2, 2 },
		{ FCLOCK_OFFLINE, 3, 3 },
		{ FCLOCK_VIEW, 0, 0 },
	};
	struct rig *rig = participant(test);
	unsigned int i;
	u64 n = 6;

	for (i = 0; i < ARRAY_SIZE(table); i++, n += 2) {
		rig_prepare(rig, 1, n, table[i].kind, table[i].slots);
		KUNIT_EXPECT_EQ_MSG(test, rig->core->gates, table[i].closed,
				    "kind %u", table[i].kind);
		if (table[i].closed) {
			KUNIT_EXPECT_EQ(test, prepared(rig), 0);
			/* a drain of something else says nothing */
			rig_do(rig, fclock_core_gated(rig->core,
						      rig->gate_seq - 1));
			KUNIT_EXPECT_EQ(test, prepared(rig), 0);
			rig_gated(rig);
		}
		KUNIT_EXPECT_EQ(test, prepared(rig), n);
		resume(rig, n + 1, FCLOCK_ABORT);
		KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	}
}

/* PREPARE that does not count, and what makes a newer one of it. */
static void prepare_numbers(struct kunit *test)
{
	struct rig *rig = participant(test);

	rig_prepare(rig, 1, 4, FCLOCK_VIEW, 0);
	rig_prepare(rig, 1, 5, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig_prepare(rig, 3, 6, FCLOCK_VIEW, 0);		/* not the primary */
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig_prepare(rig, 1, 7, FCLOCK_STOP, 1);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 7);
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	rig_prepare(rig, 1, 7, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->prep.kind, FCLOCK_STOP);
	KUNIT_EXPECT_EQ(test, prepared(rig), 0);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, prepared(rig), 7);
	/* heard twice is answered twice: the first answer may be lost */
	rig_prepare(rig, 1, 7, FCLOCK_STOP, 1);
	KUNIT_EXPECT_EQ(test, prepared(rig), 7);
	/* a newer one takes its place */
	rig_prepare(rig, 1, 9, FCLOCK_STOP, 3);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 3);
	KUNIT_EXPECT_EQ(test, prepared(rig), 0);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, prepared(rig), 9);
}

/* While a PREPARE is pending a smaller number is ignored, the first other one decides. */
static void superblock_numbers(struct kunit *test)
{
	struct rig *rig = participant(test);

	resume(rig, 4, FCLOCK_RESUME);
	resume(rig, 5, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	rig_prepare(rig, 1, 8, FCLOCK_STOP, 1);
	resume(rig, 6, FCLOCK_ABORT);
	resume(rig, 7, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 8);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 1);
	resume(rig, 9, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 9);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	/* from a node that neither is nor becomes the primary */
	rig->sb.state = 12;
	rig_super(rig, 3, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 9);
	/* handed over by the one that was */
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	resume(rig, 13, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->sb.primary, 3);
	rig_prepare(rig, 1, 14, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig_prepare(rig, 3, 14, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 14);
}

/* Cut off with closed gates: they stay closed until it hears. */
static void cut_off(struct kunit *test)
{
	struct rig *rig = participant(test);

	rig_prepare(rig, 1, 6, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, prepared(rig), 6);
	rig_cut(rig, 1);
	rig_time(rig, 60000);
	KUNIT_EXPECT_EQ(test, rig->core->gates, GATE_A | 1);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, rig->core->gates, GATE_A | 1);
	resume(rig, 7, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
}

#ifndef __KERNEL__
static unsigned int waits_said;

static void count_waits(int level, const char *line)
{
	(void)level;
	waits_said += !!strstr(line, "not confirmed waits for node 3");
}
#endif

/*
 * Who waits for an owner says so, also where the link was down when there was nothing to
 * split yet, and when it is not the only one.
 */
static void says_for_whom(struct kunit *test)
{
	struct rig *rig = test->priv;
	unsigned int s;

	rig->owners = 7;
	rig_run(rig, 1);
#ifndef __KERNEL__
	waits_said = 0;
	shim_log_hook = count_waits;
#endif
	for (s = 0; s < 2; s++)
		rig->sb.slot[s].state = FCLOCK_SLOT_IDLE;
	resume(rig, 6, FCLOCK_RESUME);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->said_cut_off, 0);
	/* the primary is still connected with it */
	rig->sb.slot[0].state = FCLOCK_SLOT_ACTIVE;
	rig->sb.slot[0].generation = 7;
	resume(rig, 7, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->said_cut_off, 4);
	resume(rig, 8, FCLOCK_RESUME);
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 3));
	KUNIT_EXPECT_EQ(test, rig->core->said_cut_off, 0);
	/* both of them */
	rig_cut(rig, 1);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->said_cut_off, 5);
#ifndef __KERNEL__
	KUNIT_EXPECT_EQ(test, waits_said, 2);
	shim_log_hook = NULL;
#endif
}

/* Not listed any more: all stops, and a new instance begins when nothing is in flight. */
static void struck(struct kunit *test)
{
	struct rig *rig = participant(test);
	u64 instance = rig->core->instance;
	struct fclock_waiter w;

	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 0, 9));
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 3);
	rig->sb.part[1].instance = 0;
	resume(rig, 6, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	KUNIT_EXPECT_EQ(test, rig->core->gates, BIT(FCLOCK_CACHE_MAPS) - 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->instance, instance);
	rig_done(rig, &w);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_FALSE(test, fclock_cache_covers(&rig->core->cache,
						     FCLOCK_CACHE_A, 3, 3));
	KUNIT_EXPECT_GT(test, rig->reads, 1);
}

/* The list that leaves this node out comes with a superblock: its gates do not open. */
static void left_out_by_a_superblock(struct kunit *test)
{
	struct rig *rig = participant(test);
	struct fclock_waiter w;

	rig_do(rig, fclock_cache_add(&rig->core->cache, FCLOCK_CACHE_A, 0, 9));
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig->sb.epoch = 3;
	rig->sb.members = 5;
	rig->sb.part[1].instance = 0;
	resume(rig, 6, FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	KUNIT_EXPECT_EQ(test, rig->core->gates, BIT(FCLOCK_CACHE_MAPS) - 1);
	/* and nothing that comes after it does that either */
	resume(rig, 7, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->gates, BIT(FCLOCK_CACHE_MAPS) - 1);
	rig_gated(rig);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	/* it takes no role: it is not a member */
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
}

/* A superblock on M that lists this starting node is not yet the primary's word. */
static void not_by_what_m_says(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_make_super(rig, 1);
	rig_do(rig, fclock_core_start(rig->core));
	KUNIT_EXPECT_EQ(test, rig->reads, 1);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	rig->state = 5;
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	resume(rig, 5, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
}

/* The primary is gone: M is read, and a read from before that decides nothing. */
static void takes_the_role(struct kunit *test)
{
	struct rig *rig = participant(test);
	unsigned int reads;

	/* the primary's link alone proves nothing */
	rig_cut(rig, 1);
	rig_time(rig, 20000);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	reads = rig->reads;
	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_BYE, 0, 0));
	KUNIT_EXPECT_EQ(test, rig->reads, reads + 1);
	/* the links to others do not matter, but news while reading do */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, rig->reads, reads + 2);
	rig->sb.state = 8;
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 9);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
	/* reported as failed: it stands on M all the same, and is written again */
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->written));
	KUNIT_ASSERT_EQ(test, rig->writes, 2);
	KUNIT_EXPECT_EQ(test, rig->written.state, 10);
	rig_silence(rig, 3);
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_ABORT);
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
}

/*
 * The role is this node's, M can be read and not written: it tries once a second, and it
 * has failed until a write succeeds, not only until the next read.
 */
static void role_cannot_be_written(struct kunit *test)
{
	struct rig *rig = participant(test);
	enum fclock_volume_state state;
	unsigned int i, reads;

	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_BYE, 0, 0));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	for (i = 1; i <= 3; i++) {
		KUNIT_ASSERT_EQ(test, rig->writes, i);
		reads = rig->reads;
		rig_do(rig, fclock_core_super_written(rig->core, -EIO));
		KUNIT_EXPECT_EQ(test, rig->reads, reads);
		rig->events = 0;
		rig_time(rig, FCLOCK_RETRY_MS - 1);
		KUNIT_EXPECT_EQ(test, rig->reads, reads);
		rig_time(rig, 1);
		KUNIT_ASSERT_EQ(test, rig->reads, reads + 1);
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
		rig_do(rig, state = fclock_core_volume_state(rig->core));
		KUNIT_EXPECT_EQ(test, state, FCLOCK_VOLUME_FAILED);
		KUNIT_EXPECT_FALSE(test, rig->events & FCLOCK_EVENT_STATE);
	}
	rig_do(rig, fclock_core_super_written(rig->core, 0));
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_NE(test, state, FCLOCK_VOLUME_FAILED);
}

/*
 * A starting node that tried to take the role: M may name it as the primary, whatever was
 * reported. Left out by a list it comes back as another instance, or nobody ever dares
 * to follow the one that took the role from it.
 */
static void left_out_and_named(struct kunit *test)
{
	struct rig *rig = test->priv;
	u64 instance;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_do(rig, fclock_core_start(rig->core));
	instance = rig->core->instance;
	rig_do(rig, fclock_core_super_read(rig->core, -ENODATA, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	rig_do(rig, fclock_core_members(rig->core, 1, 6));
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	/* the new one has written nothing: it only waits */
	instance = rig->core->instance;
	rig_do(rig, fclock_core_members(rig->core, 2, 2));
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->instance, instance);
}

static void super_written(struct rig *rig, int error)
{
	rig_do(rig, fclock_core_super_written(rig->core, error));
}

/* M is read, and again where there was news meanwhile. */
static void sees_m(struct rig *rig)
{
	KUNIT_ASSERT_TRUE(rig->test, rig->core->reading);
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
}

/* M names this very instance: it was handed the role by a node that it does not list. */
static void names_node_2(struct rig *rig)
{
	rig->sb.state++;
	rig->sb.primary = 2;
	rig->sb.primary_instance = rig->core->instance;
	rig->sb.part[0].instance = 0;
	rig->sb.part[1].instance = rig->core->instance;
	rig->sb.owners = 6;
}

/* A starting node that is connected to the primary; its wish waits to be sent. */
static struct rig *joins(struct kunit *test)
{
	struct rig *rig = test->priv;

	rig_make_super(rig, 1);
	rig->sb.part[1].instance = 0;
	rig->state = 5;
	rig_do(rig, fclock_core_start(rig->core));
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	return rig;
}

/*
 * A starting node waits for the primary that M names, and the log says so; when M names the
 * node itself it need not be told, once somebody runs what names it: who wrote that
 * writes no more.
 */
static void named_and_starts(struct kunit *test)
{
	struct rig *rig = joins(test);

	KUNIT_EXPECT_EQ(test, rig->core->said_waiting >> 32, 1);
	/* left out, it takes nothing */
	rig_do(rig, fclock_core_members(rig->core, 1, 5));
	sees_m(rig);
	names_node_2(rig);
	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	/* nor while the write of what it reads may be under way */
	rig->core->said_waiting = 0;
	rig_do(rig, fclock_core_members(rig->core, 2, 7));
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, rig->core->said_waiting >> 32, 1);
	rig->state = 6;
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 3));
	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 1));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 7);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
}

/* What node 1 hears of this node's wish: 0: nothing, 1: to be no participant, 2: to be one. */
static unsigned int wished(struct rig *rig)
{
	const struct fclock_wire_ask *ask = rig_payload(rig);
	unsigned int wish = 0;
	int n;

	for (;;) {
		rig_do(rig, n = fclock_core_next_frame(rig->core, 1, rig->frame));
		if (!n || fclock_wire_decode_header(rig->frame, &rig->msg))
			return wish;
		if (rig->msg.type == FCLOCK_ASK && ask->kind == FCLOCK_ASK_WISH)
			wish = ask->flags & FCLOCK_WISH_JOINED ? 2 : 1;
	}
}

/* The superblock that takes this instance in, by an older members list. */
static void resume_with_2(struct rig *rig)
{
	rig->sb.epoch = 4;
	rig->sb.members = 7;
	rig->sb.part[1].instance = rig->core->instance;
	resume(rig, 6, FCLOCK_RESUME);
}

/*
 * A starting node was left out, and then a primary that had not heard of it takes it in: for all
 * who have heard it is gone, so it has no part in anything.
 */
static void listed_but_left_out(struct kunit *test)
{
	struct rig *rig = joins(test);
	u64 instance = rig->core->instance;

	rig_do(rig, fclock_core_members(rig->core, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	resume_with_2(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	rig_gated(rig);
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	/* the next one wishes nothing before a list has it */
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, wished(rig), 1);
	instance = rig->core->instance;
	rig_do(rig, fclock_core_members(rig->core, 6, 4));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	rig_do(rig, fclock_core_members(rig->core, 7, 7));
	KUNIT_EXPECT_EQ(test, wished(rig), 2);
	KUNIT_EXPECT_EQ(test, rig->core->instance, instance);
}

/*
 * It had told its wish, so M may list it, or name it as the one that follows, when the list comes:
 * it must not be the same instance when a later list has it again.
 */
static void wished_and_left_out(struct kunit *test)
{
	struct rig *rig = joins(test);
	u64 instance = rig->core->instance;

	KUNIT_EXPECT_EQ(test, wished(rig), 2);
	rig_do(rig, fclock_core_members(rig->core, 5, 5));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	resume_with_2(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	rig_gated(rig);
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
}

/*
 * It leaves while it is taken in, and the link is down: the view that lists it may be on its way to
 * M, and without BYE everybody would wait for it. So it stays until BYE can be said.
 */
static void leaves_while_joining(struct kunit *test)
{
	struct rig *rig = joins(test);

	KUNIT_EXPECT_EQ(test, wished(rig), 2);
	rig_cut(rig, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_ENDED);
	KUNIT_EXPECT_TRUE(test, rig->core->peer[1].pending & BIT(FCLOCK_SEND_BYE));
	KUNIT_EXPECT_EQ(test, wished(rig), 1);
	KUNIT_EXPECT_EQ(test, rig->msg.type, FCLOCK_BYE);
}

/* Who told no wish is listed nowhere, and who has waited long enough goes. */
static void leaves_before_it_joins(struct kunit *test)
{
	struct rig *rig = joins(test);

	rig_cut(rig, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 2));
	rig = joins(test);
	KUNIT_EXPECT_EQ(test, wished(rig), 2);
	rig_cut(rig, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	rig_do(rig, fclock_core_leave_now(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
}

static void ping_state(struct rig *rig, unsigned int node, u64 state)
{
	struct fclock_wire_ping *ping = (void *)rig->out;

	rig->state = state;
	memset(ping, 0, sizeof(*ping));
	rig_says(rig, node, FCLOCK_PING, 0, sizeof(*ping));
}

/* PREPARE of view 6 and PREPARED, then the link to the primary is cut. */
static struct rig *prepared_and_cut(struct kunit *test)
{
	struct rig *rig = participant(test);
	unsigned int reads = rig->reads;

	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, prepared(rig), 6);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->reads, reads);	/* it will hear */
	rig_cut(rig, 1);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->reads, reads + 1);
	return rig;
}

/*
 * The primary leaves, its RESUME does not get through, and nothing that is heard here says that
 * it has gone: whose the role is stands on M.
 */
static void successor_never_told(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);
	unsigned int i, reads;

	/* as yet, or for ever, M has what is known here: it looks again, and only that */
	for (i = 0; i < 3; i++) {
		sees_m(rig);
		ping_state(rig, 3, 5);	/* not silent */
		reads = rig->reads;
		rig_time(rig, FCLOCK_RETRY_MS);
		KUNIT_EXPECT_EQ(test, rig->reads, reads + 1);
	}
	/* a view that keeps the primary is the primary's to tell */
	rig->sb.state = 6;
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	rig->sb.state = 5;
	names_node_2(rig);
	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	/* its write may be under way, and come to the device once more */
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	/* who is not listed there may have read it, too */
	rig->sb.part[2].instance = 0;
	ping_state(rig, 3, 6);
	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	rig->sb.part[2].instance = RIG_PEER(3);
	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 1));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 7);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
	rig_silence(rig, 3);
	super_written(rig, 0);
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 7);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_ABORT);
	/* nothing more to look for */
	reads = rig->reads;
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->reads, reads);
}

/*
 * The successor that M names is gone, and this node the next one that is listed. But who wrote
 * that may be alive, and nobody is heard who runs it.
 */
static void successor_gone(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);

	names_node_2(rig);
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig_do(rig, fclock_core_members(rig->core, 1, 3));
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, rig->core->said_waiting >> 32, 1);
	rig_do(rig, fclock_core_members(rig->core, 2, 2));
	sees_m(rig);
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 7);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
}

/* It takes the role that M gives it, and @error is what becomes of the write. */
static void takes_named(struct rig *rig, u64 number, int error)
{
	unsigned int writes = rig->writes;

	rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_ASSERT_EQ(rig->test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(rig->test, rig->written.state, number);
	super_written(rig, error);
}

/*
 * The write by which the successor takes the role is reported as failed, and stands on M. Nobody
 * runs that, and whoever gave the role away is still listed here. The node knows its own
 * numbers: it need not wait for anybody.
 */
static void named_and_fails(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);

	names_node_2(rig);
	ping_state(rig, 3, 6);
	sees_m(rig);
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	super_written(rig, -EIO);
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 1));
	rig->sb = rig->written;
	takes_named(rig, 8, -EIO);
	takes_named(rig, 9, 0);
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
}

/* The same of a node that starts: it has PREPARED nothing. */
static void named_starts_and_fails(struct kunit *test)
{
	struct rig *rig = joins(test);

	names_node_2(rig);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	ping_state(rig, 3, 6);
	rig_cut(rig, 1);
	takes_named(rig, 7, -EIO);
	rig->sb = rig->written;
	takes_named(rig, 8, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 8);
}

/*
 * The successor took the role and is gone, and nobody heard it. What stands above the number that
 * was prepared is its own write, not that of the primary before it, which may be alive.
 */
static void author_gone(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);

	names_node_2(rig);
	rig->sb.state = 7;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig_do(rig, fclock_core_members(rig->core, 1, 3));
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 1));
	sees_m(rig);
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 8);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
}

/*
 * Attempts to take the role failed, and then the RESUME comes that gives it: the numbers of the
 * attempts are left behind by a superblock with the old content, not by a PREPARE.
 */
static void told_after_it_tried(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);
	unsigned int i;

	names_node_2(rig);
	ping_state(rig, 3, 6);
	sees_m(rig);
	super_written(rig, -EIO);
	for (i = 8; i <= 11; i++)
		takes_named(rig, i, -EIO);
	rig_silence(rig, 3);
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 1));
	rig_silence(rig, 1);
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 5);
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
	KUNIT_ASSERT_EQ(test, rig->writes, 6);
	KUNIT_EXPECT_EQ(test, rig->written.state, 12);
	KUNIT_EXPECT_EQ(test, rig->written.primary_instance, rig->core->instance);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_TAKING);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 12);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	/* what it became is announced, and nobody was to prepare anything */
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), 0);
}

/* Node 1 starts, and hears node 3, which is all there is. It reads M before that, or not. */
static struct rig *hears_the_last_one(struct kunit *test, bool read)
{
	struct rig *rig;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_make_super(rig, 3);
	rig->sb.part[0].instance = 0;
	rig->sb.part[1].instance = 0;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig->state = 5;
	rig->primary = read ? 0 : RIG_PEER(3);
	rig_do(rig, fclock_core_start(rig->core));
	if (read)
		sees_m(rig);
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 3));
	if (read)
		sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, read ? 5 : 0);
	return rig;
}

/* Node 3 leaves: M has that already, and nobody the role. Whether the write has ended? */
static struct rig *last_one_leaves(struct kunit *test, bool read)
{
	struct rig *rig = hears_the_last_one(test, read);

	rig->sb.state = 6;
	rig->sb.primary = 0;
	rig->sb.primary_instance = 0;
	rig->sb.owners = 0;
	rig->sb.part[2].instance = 0;
	if (read)
		rig_time(rig, FCLOCK_RETRY_MS);
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, read ? 5 : 0);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, rig->core->said_waiting >> 32, 3);
	return rig;
}

static void takes_role_of_nobody(struct rig *rig)
{
	struct kunit *test = rig->test;

	sees_m(rig);
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, 7);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 1);
}

/*
 * Nobody has the role, but the write that says so may not have ended: a starting node that hears
 * the writer waits for its word, or for its end, and says so.
 */
static void role_of_nobody(struct kunit *test)
{
	struct rig *rig;
	unsigned int read;

	for (read = 0; read < 2; read++) {
		rig = last_one_leaves(test, read);
		ping_state(rig, 3, 6);
		rig_time(rig, FCLOCK_RETRY_MS);
		takes_role_of_nobody(rig);
		/* fenced */
		rig = last_one_leaves(test, read);
		rig_do(rig, fclock_core_members(rig->core, 1, 3));
		takes_role_of_nobody(rig);
		/* it may have gone, and its BYE with the link */
		rig = last_one_leaves(test, read);
		rig_cut(rig, 3);
		rig_time(rig, FCLOCK_RETRY_MS);
		takes_role_of_nobody(rig);
	}
}

/*
 * The RESUME comes after all, while the successor takes the role, and its write fails: it is
 * the primary, so what may stand on M is followed by a newer superblock.
 */
static void told_while_it_takes(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);

	names_node_2(rig);
	ping_state(rig, 3, 6);
	sees_m(rig);
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 1));
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 1, FCLOCK_RESUME));
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
	KUNIT_EXPECT_EQ(test, rig->writes, 1);
	super_written(rig, -EIO);
	KUNIT_ASSERT_EQ(test, rig->writes, 2);
	KUNIT_EXPECT_EQ(test, rig->written.state, 8);
	KUNIT_EXPECT_EQ(test, rig->written.primary_instance, rig->core->instance);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 8);
	KUNIT_EXPECT_NE(test, state_of(rig), FCLOCK_VOLUME_FAILED);
	/* whose the role is: nothing to take from itself while M cannot be read */
	rig->core->md_error = true;
	rig_time(rig, FCLOCK_RETRY_MS);
	rig->sb = rig->core->sb;
	sees_m(rig);
	KUNIT_EXPECT_NE(test, rig->core->pri.phase, FCLOCK_PRI_TAKING);
}

/*
 * A node that leaves, and does not hear what became of that: M does not list it, but the write
 * may have been reported as failed. It waits for the primary as long as it waits at all.
 */
static void leaves_unheard(struct kunit *test)
{
	struct rig *rig = participant(test);

	rig_do(rig, fclock_core_leave(rig->core));
	rig_prepare(rig, 1, 6, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, prepared(rig), 6);
	rig_cut(rig, 1);
	rig_time(rig, FCLOCK_RETRY_MS);
	rig->sb.state = 6;
	rig->sb.part[1].instance = 0;
	sees_m(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	/* whoever follows writes no newer superblock with the old content */
	rig_time(rig, FCLOCK_RETRY_MS);
	rig_do(rig, fclock_core_members(rig->core, 1, 6));
	sees_m(rig);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
}

/* Somebody else has written: M is read again, with a pause, and has not failed. */
static void role_was_taken(struct kunit *test)
{
	struct rig *rig = participant(test);
	enum fclock_volume_state state;
	unsigned int reads;

	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_BYE, 0, 0));
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	reads = rig->reads;
	rig_do(rig, fclock_core_super_written(rig->core, -ESTALE));
	KUNIT_EXPECT_EQ(test, rig->reads, reads);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->reads, reads + 1);
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_NE(test, state, FCLOCK_VOLUME_FAILED);
	/* it could not write before, and then the role is another node's */
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	rig_time(rig, FCLOCK_RETRY_MS);
	rig->sb.state = 20;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_NE(test, state, FCLOCK_VOLUME_FAILED);
	/* or it hears of that before it looks again */
	rig->sb.state = 9;
	rig->sb.primary = 2;
	rig->sb.primary_instance = rig->core->instance;
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 3);
	rig_do(rig, fclock_core_super_written(rig->core, -EIO));
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_EQ(test, state, FCLOCK_VOLUME_FAILED);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	rig->sb.state = 30;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 3, FCLOCK_ABORT));
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_NE(test, state, FCLOCK_VOLUME_FAILED);
}

/*
 * Confirmations of a generation that ends are forgotten in one go and freed some at a
 * time: gates are closed meanwhile, and the lock is held.
 */
static void many_confirmations(struct kunit *test)
{
	struct rig *rig = participant(test);
	u64 i;

	for (i = 0; i < 5000; i++)
		rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 2 * i, 2 * i));
	rig_prepare(rig, 1, 7, FCLOCK_TRIGGER, 1);
	rig_gated(rig);
	rig->sb.slot[0].generation = 7;
	resume(rig, 7, FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->cache.nr_runs, 0);
	KUNIT_EXPECT_EQ(test, rig->core->cache.nr_dead, 5000);
	KUNIT_EXPECT_EQ(test, rig->timer_at, rig->now + 1);
	for (i = 0; i < 100 && rig->core->cache.nr_dead; i++)
		rig_time(rig, rig->timer_at - rig->now);
	KUNIT_EXPECT_EQ(test, rig->core->cache.nr_dead, 0);
	KUNIT_EXPECT_GE(test, i, 4);
	KUNIT_EXPECT_GT(test, rig->timer_at, rig->now + 1);
	/* by a message, too */
	for (i = 0; i < 5000; i++)
		rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 2 * i, 2 * i));
	rig_do(rig, fclock_core_drop_cache(rig->core));
	KUNIT_EXPECT_EQ(test, rig->timer_at, rig->now + 1);
	for (i = 0; i < 100 && rig->core->cache.nr_dead; i++)
		rig_time(rig, rig->timer_at - rig->now);
	for (i = 0; i < 5000; i++)
		rig_do(rig, fclock_cache_add(&rig->core->cache, 0, 2 * i, 2 * i));
	rig_do(rig, fclock_core_set_cache_limit(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig->timer_at, rig->now + 1);
	for (i = 0; i < 100 && rig->core->cache.nr_runs; i++)
		rig_time(rig, rig->timer_at - rig->now);
	KUNIT_EXPECT_EQ(test, rig->core->cache.nr_runs, 0);
}

/* Which later instance proves that the listed one is gone. */
static void who_is_gone(struct kunit *test)
{
	struct rig *rig = participant(test);

	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 3));
	rig_cut(rig, 3);
	/* it has seen nothing yet: it may be older than the listed one */
	rig->state = 4;
	KUNIT_EXPECT_EQ(test, 0, rig_link_as(rig, 3, 4711));
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 3));
	rig->state = 5;
	memset(rig->out, 0, sizeof(struct fclock_wire_ping));
	rig_says_as(rig, 3, 4711, FCLOCK_PING, 0,
		    sizeof(struct fclock_wire_ping));
	KUNIT_EXPECT_TRUE(test, fclock_gone(rig->core, &rig->core->sb, 3));
	/* a list does it at once */
	KUNIT_EXPECT_FALSE(test, fclock_gone(rig->core, &rig->core->sb, 1));
	rig_do(rig, fclock_core_members(rig->core, 1, 6));
	KUNIT_EXPECT_TRUE(test, fclock_gone(rig->core, &rig->core->sb, 1));
}

/* An instance that lives is not replaced by another that says HELLO. */
static void hello_refused(struct kunit *test)
{
	struct rig *rig = participant(test);
	u64 connected = rig->core->peer[3].instance;

	KUNIT_EXPECT_EQ(test, rig_link_as(rig, 3, 4711), -EBUSY);
	KUNIT_EXPECT_EQ(test, rig->core->peer[3].instance, connected);
	/* the same instance on a new connection: the old one is forgotten */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
}

static void members_lists(struct kunit *test)
{
	struct rig *rig = participant(test);
	struct fclock_wire_ping *ping = (void *)rig->out;
	int r;

	rig_do(rig, r = fclock_core_members(rig->core, 0, 7));
	KUNIT_EXPECT_EQ(test, r, -EINVAL);
	rig_do(rig, r = fclock_core_members(rig->core, 3, 0x80));
	KUNIT_EXPECT_EQ(test, r, -EINVAL);
	rig_do(rig, r = fclock_core_members(rig->core, 3, 7));
	KUNIT_EXPECT_EQ(test, r, 0);
	rig_do(rig, r = fclock_core_members(rig->core, 3, 7));
	KUNIT_EXPECT_EQ(test, r, 0);
	rig_do(rig, r = fclock_core_members(rig->core, 2, 3));
	KUNIT_EXPECT_EQ(test, r, -ESTALE);
	/* another list under the same epoch: both suspend, until a newer one */
	memset(ping, 0, sizeof(*ping));
	ping->epoch = cpu_to_le64(3);
	ping->members = cpu_to_le64(3);
	KUNIT_EXPECT_EQ(test, -EEXIST, rig_says(rig, 3, FCLOCK_PING, 0,
						sizeof(*ping)));
	KUNIT_EXPECT_EQ(test, rig->core->path[FCLOCK_CACHE_A], FCLOCK_PATH_CORE);
	rig_do(rig, r = fclock_core_members(rig->core, 4, 7));
	KUNIT_EXPECT_EQ(test, r, 0);
	KUNIT_EXPECT_EQ(test, rig->core->path[FCLOCK_CACHE_A],
			FCLOCK_PATH_CACHE);
	/* without this node: it stops, and begins anew when nothing is in flight */
	rig_do(rig, r = fclock_core_members(rig->core, 5, 5));
	KUNIT_EXPECT_EQ(test, r, 0);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	KUNIT_EXPECT_EQ(test, rig->closed, BIT(FCLOCK_CACHE_MAPS) - 1);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
}

/* What a node that refuses this one says about members counts if it is of this volume. */
static void list_with_refusal(struct kunit *test)
{
	static const struct {
		u8 node, peer, uuid;
		u32 grain;
		u64 members;
		bool counts;
	} table[] = {
		{ 1, 2, 0x66, 8, 5, false },
		{ 3, 2, 0x77, 8, 5, false },
		{ 1, 3, 0x77, 8, 5, false },
		{ 1, 2, 0x77, 16, 5, false },
		{ 1, 2, 0x77, 8, 7, true },
		{ 1, 2, 0x77, 8, 5, true },
	};
	struct rig *rig = participant(test);
	struct fclock_wire_hello *hello;
	unsigned int i;
	u64 epoch;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		epoch = rig->core->epoch;
		rig_cut(rig, 1);
		rig->seq[1] = 0;
		rig_do(rig, fclock_core_opened(rig->core, 1));
		KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_HELLO);
		hello = rig_hello(rig, 1);
		hello->node_id = table[i].node;
		hello->peer_id = table[i].peer;
		memset(hello->uuid, table[i].uuid, sizeof(hello->uuid));
		hello->grain = cpu_to_le32(table[i].grain);
		hello->refusal = cpu_to_le32(EMEDIUMTYPE);
		hello->epoch = cpu_to_le64(epoch + 7);
		hello->members = cpu_to_le64(table[i].members);
		KUNIT_EXPECT_EQ(test, rig_says(rig, 1, FCLOCK_WELCOME, 0,
					       sizeof(*hello)), -ECONNREFUSED);
		KUNIT_EXPECT_EQ_MSG(test, rig->core->epoch, table[i].counts ?
				    epoch + 7 : epoch, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, rig->core->phase,
				    table[i].counts && table[i].members == 5 ?
				    FCLOCK_ENDING : FCLOCK_RUNNING, "case %u", i);
	}
}

/* The constructor has read M: nothing of another volume counts from the first HELLO on. */
static void other_volume_at_start(struct kunit *test)
{
	struct rig *rig = test->priv;
	const struct fclock_wire_hello *said = rig_payload(rig);
	struct fclock_wire_hello *hello;
	struct fclock_msg msg = {
		.type = FCLOCK_HELLO, .length = sizeof(*hello),
		.sender = RIG_PEER(3), .seq = 1,
	};
	size_t refusal;
	u8 uuid[FCLOCK_UUID_LEN];
	int r;

	memset(uuid, 0x77, sizeof(uuid));
	rig_make_super(rig, 1);
	rig->state = 5;
	rig_do(rig, fclock_core_formatted(rig->core, uuid));
	rig_do(rig, fclock_core_start(rig->core));

	rig_do(rig, fclock_core_opened(rig->core, 1));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 1), FCLOCK_HELLO);
	KUNIT_EXPECT_EQ(test, memcmp(said->uuid, uuid, sizeof(uuid)), 0);
	hello = rig_hello(rig, 1);
	hello->uuid[3] = 0x66;
	hello->epoch = cpu_to_le64(9);
	hello->members = cpu_to_le64(5);
	KUNIT_EXPECT_EQ(test, rig_says(rig, 1, FCLOCK_WELCOME, 0,
				       sizeof(*hello)), -EMEDIUMTYPE);
	rig_cut(rig, 1);
	hello->node_id = 3;
	rig_do(rig, r = fclock_core_hello(rig->core, 3, &msg, hello, rig->frame,
					  &refusal));
	KUNIT_EXPECT_EQ(test, r, -EMEDIUMTYPE);
	KUNIT_EXPECT_EQ(test, rig->core->epoch, 0);

	/* one that has not said which its volume is, and announces another one */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 1));
	rig->sb.uuid[3] = 0x66;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), -EPROTO);
	/* nor is it believed when it stands on M, or when nothing does */
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_TRUE(test, rig->core->md_error);
	rig_time(rig, FCLOCK_RETRY_MS);
	rig_do(rig, fclock_core_super_read(rig->core, -ENODATA, &rig->sb));
	KUNIT_EXPECT_FALSE(test, rig->core->have_sb);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	rig->sb.uuid[3] = 0x77;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), 0);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
}

/* ------------------------------------------------------------ the primary */

/* Struck while it was cut off, by a primary that has gone: M says so. */
static void struck_unheard(struct kunit *test)
{
	struct rig *rig = participant(test);
	u64 instance = rig->core->instance;

	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_BYE, 0, 0));
	rig->sb.state = 8;
	rig->sb.part[1].instance = 0;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
}

static void ping_list(struct rig *rig, unsigned int node, u64 epoch, u64 members)
{
	struct fclock_wire_ping *ping = (void *)rig->out;

	memset(ping, 0, sizeof(*ping));
	ping->epoch = cpu_to_le64(epoch);
	ping->members = cpu_to_le64(members);
	rig_says(rig, node, FCLOCK_PING, 0, sizeof(*ping));
}

/* What stands in the next PING to @node. */
static u64 told_epoch(struct rig *rig, unsigned int node)
{
	const struct fclock_wire_ping *ping = rig_payload(rig);
	int n;

	do {
		rig_do(rig, n = fclock_core_next_frame(rig->core, node,
						       rig->frame));
		if (!n || fclock_wire_decode_header(rig->frame, &rig->msg))
			return ~0ULL;
	} while (rig->msg.type != FCLOCK_PING);
	return le64_to_cpu(ping->epoch);
}

/*
 * The list on M differs from the one that this node was told under that epoch, by which
 * the role is its own: node 1 may be alive.
 */
static void lists_disputed(struct kunit *test)
{
	struct rig *rig = participant(test);
	enum fclock_volume_state state;
	struct fclock_waiter w;
	u64 id;

	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 3, 3);
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 1), FCLOCK_LOCK_REQUEST);
	id = rig->msg.id;
	rig_do(rig, fclock_core_members(rig->core, 3, 6));
	KUNIT_ASSERT_TRUE(test, rig->core->reading);
	rig->events = 0;
	rig->sb.epoch = 3;
	rig->sb.members = 5;
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_STATE);
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_EQ(test, state, FCLOCK_VOLUME_SUSPENDED);
	/* nor is anything done by a grant that was on its way */
	rig_grant(rig, 1, id, 0, 0, 9, false);
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	rig_time(rig, FCLOCK_RETRY_MS);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	/* a newer list that agrees with neither: node 1 is gone by it, too */
	rig_do(rig, fclock_core_members(rig->core, 4, 6));
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 1);
	/* a newer list without this node frees nothing that waited */
	super_written(rig, 0);
	ping_list(rig, 3, 4, 7);
	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 3, 3);
	rig_do(rig, fclock_core_members(rig->core, 5, 5));
	KUNIT_EXPECT_EQ(test, w.verdict, 0xee);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	rig_do(rig, fclock_client_requeue(rig->core, 0));
}

/*
 * Nobody is listed, and lists came between the one on M and the newest: by one of them
 * node 2 may be taking the role.
 */
static void lists_between(struct kunit *test)
{
	struct rig *rig = test->priv;
	unsigned int n;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_make_super(rig, 1);
	for (n = 0; n < 3; n++)
		rig->sb.part[n].instance = 0;
	rig->sb.primary = 0;
	rig->sb.primary_instance = 0;
	rig->sb.epoch = 3;
	rig->sb.members = 7;
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_members(rig->core, 5, 3));
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 2));
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	KUNIT_EXPECT_EQ(test, told_epoch(rig, 2), 5);
	ping_list(rig, 2, 0, 0);		/* it takes the role */
	rig_time(rig, FCLOCK_RETRY_MS);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, 0);
	ping_list(rig, 2, 5, 3);
	KUNIT_ASSERT_TRUE(test, rig->core->reading);
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_TAKING);
	/* nor does it say meanwhile that it goes by the newest list */
	rig_do(rig, fclock_core_members(rig->core, 6, 3));
	KUNIT_EXPECT_EQ(test, told_epoch(rig, 2), 0);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, told_epoch(rig, 2), 6);
}

/* Numbers that leave no room above them. */
static void absurd_numbers(struct kunit *test)
{
	struct rig *rig = participant(test);
	u64 far = 5 + FCLOCK_STATE_JUMP + 1;
	int r;

	rig_prepare(rig, 1, far, FCLOCK_VIEW, 0);
	KUNIT_EXPECT_EQ(test, rig->core->prep.number, 0);
	rig->sb.state = far;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), -EPROTO);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	rig_do(rig, r = fclock_core_members(rig->core, FCLOCK_EPOCH_MAX + 1, 7));
	KUNIT_EXPECT_EQ(test, r, -EINVAL);
	rig_do(rig, r = fclock_core_adopt_members(rig->core,
						  FCLOCK_EPOCH_MAX + 1, 7));
	KUNIT_EXPECT_EQ(test, r, -EINVAL);
	rig_do(rig, r = fclock_core_adopt_members(rig->core, 3, 0));
	KUNIT_EXPECT_EQ(test, r, -EINVAL);
	rig->state = 5;
	rig->sb.state = far - 1;
	rig->sb.epoch = FCLOCK_EPOCH_MAX + 1;
	rig->sb.members = 7;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), -EUCLEAN);
	KUNIT_EXPECT_EQ(test, rig->core->epoch, 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, 5);
	rig->sb.epoch = 0;
	rig->sb.members = 0;
	KUNIT_EXPECT_EQ(test, rig_super(rig, 1, FCLOCK_RESUME), 0);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, far - 1);
}

static void wish_of(struct rig *rig, unsigned int node, bool joined,
		    u16 attached, u16 offline, u16 complete)
{
	struct fclock_wire_ask *ask = (void *)rig->out;
	unsigned int s;

	memset(ask, 0, sizeof(*ask));
	ask->kind = FCLOCK_ASK_WISH;
	ask->flags = joined ? FCLOCK_WISH_JOINED : 0;
	ask->attached = cpu_to_le16(attached);
	ask->offline = cpu_to_le16(offline);
	ask->complete = cpu_to_le16(complete);
	ask->length = cpu_to_le64(RIG_ROOM);
	for (s = 0; s < 2; s++)
		ask->copy[s] = cpu_to_le64(attached & BIT(s) ? RIG_ROOM : 0);
	strscpy(ask->host, "there", sizeof(ask->host));
	rig_says(rig, node, FCLOCK_ASK, 0, sizeof(*ask));
}

static void wish_as(struct rig *rig, unsigned int node, bool joined,
		    u16 offline, u16 complete)
{
	wish_of(rig, node, joined, 3, offline, complete);
}

/* The peer adopts what was written: it tells the number. */
static void peer_follows(struct rig *rig, unsigned int n)
{
	struct fclock_wire_ping *ping = (void *)rig->out;

	rig->state = rig->written.state;
	rig_silence(rig, n);
	memset(ping, 0, sizeof(*ping));
	ping->epoch = cpu_to_le64(rig->core->epoch);
	ping->members = cpu_to_le64(rig->core->members);
	rig_says(rig, n, FCLOCK_PING, 0, sizeof(*ping));
}

static void peers_follow(struct rig *rig)
{
	peer_follows(rig, 2);
	peer_follows(rig, 3);
}

static void says_prepared(struct rig *rig, unsigned int node, u64 number)
{
	rig_says(rig, node, FCLOCK_PREPARED, number, 0);
}

/* Node 1 formats M, and nodes 2 and 3 join. */
static struct rig *primary(struct kunit *test)
{
	struct rig *rig = test->priv;
	unsigned int n;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, -ENODATA, &rig->sb));
	KUNIT_ASSERT_EQ(test, rig->writes, 1);
	KUNIT_EXPECT_TRUE(test, rig->format);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 1);
	super_written(rig, 0);
	KUNIT_ASSERT_EQ(test, rig->writes, 2);		/* its own join */
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	KUNIT_EXPECT_EQ(test, rig->core->sb.owners, 1);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	for (n = 2; n <= 3; n++) {
		rig->state = rig->written.state;
		KUNIT_ASSERT_EQ(test, 0, rig_link(rig, n));
		KUNIT_EXPECT_EQ(test, rig_hears(rig, n), FCLOCK_RESUME);
		wish_as(rig, n, true, 0, 0);
		if (n == 3)
			says_prepared(rig, 2, rig->core->pri.number);
		KUNIT_ASSERT_EQ(test, rig->writes, n + 1);
		super_written(rig, 0);
		peers_follow(rig);
		/* which slices are its own has changed */
		KUNIT_ASSERT_EQ(test, rig->starts, n);
		rig_do(rig, fclock_core_owner_started(rig->core, 0));
	}
	KUNIT_EXPECT_EQ(test, rig->core->sb.owners, 7);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	KUNIT_EXPECT_EQ(test, rig->core->sb.part[2].instance, RIG_PEER(3));
	return rig;
}

static void ask(struct rig *rig, struct fclock_ask *a, u8 kind, u16 slots)
{
	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->slots = slots;
	rig_do(rig, fclock_core_ask(rig->core, a));
}

/* A trigger of slot 0 up to where only node 3's PREPARED is missing. Return: its number. */
static u64 trigger_but_3(struct rig *rig, struct fclock_ask *a)
{
	u64 n;

	ask(rig, a, FCLOCK_ASK_TRIGGER, 1);
	n = rig->core->pri.number;
	rig_gated(rig);
	says_prepared(rig, 2, n);
	return n;
}

/* Through all of a trigger; the answer comes when all run the new state. */
static void trigger(struct rig *rig, u16 slots)
{
	struct kunit *test = rig->test;
	unsigned int writes = rig->writes;
	struct fclock_ask a;
	u64 n;

	ask(rig, &a, FCLOCK_ASK_TRIGGER, slots);
	n = rig->core->pri.number;
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_PREPARE);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_PREPARE);
	rig_gated(rig);
	says_prepared(rig, 2, n);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	says_prepared(rig, 3, n);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, n);
	KUNIT_EXPECT_EQ(test, rig->written.slot[__ffs(slots)].generation, n);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), 0);
	KUNIT_EXPECT_TRUE(test, rig->core->gates);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	KUNIT_EXPECT_FALSE(test, a.done);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_RESUME);
	peers_follow(rig);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	/* their new wishes */
	wish_as(rig, 2, true, 0, 0);
	wish_as(rig, 3, true, 0, 0);
	while (rig->nr_load)
		rig_loaded(rig);
}

static void whole_trigger(struct kunit *test)
{
	struct rig *rig = primary(test);

	trigger(rig, 1);
	trigger(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->sb.slot[1].generation,
			rig->core->sb.slot[0].generation);
}

/* PREPARED counts only for the pending number and instance, and nobody else's. */
static void prepared_that_counts(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a;
	u64 n;

	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);	/* itself has not */
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
	/* the write fails: a newer one, and what is said of the old one is late */
	super_written(rig, -EIO);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 2);
	KUNIT_EXPECT_EQ(test, rig->written.state, n + 1);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].generation, 0);
	says_prepared(rig, 2, n);
	rig_silence(rig, 2);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_ABORT);
	KUNIT_EXPECT_EQ(test, a.error, -EIO);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	rig_gated(rig);
	writes = rig->writes;
	says_prepared(rig, 3, n + 2);
	says_prepared(rig, 2, n);
	says_prepared(rig, 2, n + 1);
	says_prepared(rig, 2, n + 3);
	rig_says_as(rig, 2, 4711, FCLOCK_PREPARED, n + 2, 0);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	says_prepared(rig, 2, n + 2);
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
}

/* The node came back as another instance: its PREPARED is not the listed one's. */
static void prepared_of_another_instance(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a;
	u64 n;

	n = trigger_but_3(rig, &a);
	rig_cut(rig, 3);
	/* by its state it may be older than the listed one, which may be alive */
	rig->state = 1;
	KUNIT_EXPECT_EQ(test, 0, rig_link_as(rig, 3, 4711));
	rig_says_as(rig, 3, 4711, FCLOCK_PREPARED, n, 0);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	/* now it shows that the listed one is gone: nobody waits for that */
	rig->state = rig->core->sb.state;
	memset(rig->out, 0, sizeof(struct fclock_wire_ping));
	rig_says_as(rig, 3, 4711, FCLOCK_PING, 0,
		    sizeof(struct fclock_wire_ping));
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
}

static void refusals(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;

	rig_cut(rig, 3);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, -ENOTCONN);
	KUNIT_EXPECT_TRUE(test, strstr(a.text, "node 3"));
	ask(rig, &a, FCLOCK_ASK_STOP, 1);
	KUNIT_EXPECT_EQ(test, a.error, -ENOTCONN);
	KUNIT_EXPECT_EQ(test, rig->gates, 0);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	/* no node has slot 5 */
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 0x20);
	KUNIT_EXPECT_EQ(test, a.error, -ENODEV);
	/* stop of an idle slot changes nothing */
	ask(rig, &a, FCLOCK_ASK_STOP, 2);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

static void time_out(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a;
	u64 n;

	n = trigger_but_3(rig, &a);
	rig_time(rig, 999);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	rig_time(rig, 1);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.state, n + 1);
	/* late: nothing comes of it */
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_TRUE(test, rig->core->gates);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	KUNIT_EXPECT_EQ(test, a.error, -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, strstr(a.text, "node 3"));
	KUNIT_EXPECT_EQ(test, rig->core->sb.slot[0].generation, 0);
}

/*
 * A list leaves a node out during a transition, before its link is known to be dead:
 * nobody waits for it, neither to be prepared nor to go on.
 */
static void dead_holds_nothing(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a;

	trigger_but_3(rig, &a);
	rig_do(rig, fclock_core_members(rig->core, 3, 3));
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	super_written(rig, 0);
	KUNIT_EXPECT_FALSE(test, a.done);
	peer_follows(rig, 2);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	KUNIT_EXPECT_NE(test, rig->core->pri.phase, FCLOCK_PRI_RESUMING);
}

/* The same where it is left out when all have been told to go on. */
static void dead_after_resume(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;

	says_prepared(rig, 3, trigger_but_3(rig, &a));
	super_written(rig, 0);
	peer_follows(rig, 2);
	KUNIT_EXPECT_FALSE(test, a.done);
	rig_do(rig, fclock_core_members(rig->core, 3, 3));
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
}

/* Two lists under one epoch: the transition that is under way strikes nobody. */
static void trigger_as(struct rig *rig, unsigned int node, u64 id, u16 slots)
{
	struct fclock_wire_ask *ask = (void *)rig->out;

	memset(ask, 0, sizeof(*ask));
	ask->kind = FCLOCK_ASK_TRIGGER;
	ask->slots = cpu_to_le16(slots);
	rig_says(rig, node, FCLOCK_ASK, id, sizeof(*ask));
}

/* The next ANSWER that @node hears is about @id. Return: its error. */
static int answered(struct rig *rig, unsigned int node, u64 id)
{
	const struct fclock_wire_answer *answer = rig_payload(rig);
	u8 type;

	do {
		type = rig_hears(rig, node);
	} while (type && type != FCLOCK_ANSWER);
	if (!type || rig->msg.id != id)
		return 1;
	return -(int)le32_to_cpu(answer->error);
}

static void disputed_primary(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a, b;
	unsigned int writes;
	u64 n;

	rig_do(rig, fclock_core_members(rig->core, 3, 7));
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	writes = rig->writes;
	n = trigger_but_3(rig, &a);
	ask(rig, &b, FCLOCK_ASK_TRIGGER, 2);
	trigger_as(rig, 3, 77, 2);
	KUNIT_EXPECT_EQ(test, answered(rig, 3, 77), 1);
	ping_list(rig, 2, 3, 6);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, answered(rig, 3, 77), -EEXIST);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].generation, 0);
	says_prepared(rig, 3, n);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, a.error, -EEXIST);
	KUNIT_EXPECT_TRUE(test, strstr(a.text, "two members lists"));
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	/* who waited for its end is answered, too, and who asks now, at once */
	KUNIT_EXPECT_TRUE(test, b.done);
	KUNIT_EXPECT_EQ(test, b.error, -EEXIST);
	ask(rig, &b, FCLOCK_ASK_STOP, 1);
	KUNIT_EXPECT_TRUE(test, b.done);
	KUNIT_EXPECT_EQ(test, b.error, -EEXIST);
	trigger_as(rig, 3, 78, 2);
	KUNIT_EXPECT_EQ(test, answered(rig, 3, 78), -EEXIST);
	/* and nothing begins */
	wish_as(rig, 3, false, 0, 0);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	rig_do(rig, fclock_core_members(rig->core, 4, 7));
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
}

static void cancelled(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;
	struct fclock_ask a, b;

	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	rig_gated(rig);
	ask(rig, &b, FCLOCK_ASK_TRIGGER, 2);
	rig_do(rig, fclock_core_ask_cancel(rig->core, &a));
	KUNIT_EXPECT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].generation, 0);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->answers, 0);
	/* the next one goes on */
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_EXPECT_EQ(test, rig->core->pri.slots, 2);
	rig_do(rig, fclock_core_ask_cancel(rig->core, &b));
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

/* What a user asks here goes to the primary word for word, and its answer comes back. */
static void asked_elsewhere(struct kunit *test)
{
	struct fclock_wire_answer *answer;
	const struct fclock_wire_ask *said;
	struct rig *rig = test->priv;
	struct fclock_ask a = {
		.kind = FCLOCK_ASK_COPY_RATE, .slots = 2, .rate = 0x12345678,
	};

	rig_run(rig, 1);
	rig_do(rig, fclock_core_ask(rig->core, &a));
	KUNIT_ASSERT_EQ(test, rig_hears(rig, 1), FCLOCK_ASK);
	said = rig_payload(rig);
	KUNIT_EXPECT_EQ(test, said->kind, FCLOCK_ASK_COPY_RATE);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(said->slots), 2);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(said->rate), 0x12345678);

	memset(rig->out, 0, sizeof(rig->out));
	answer = (void *)rig->out;
	answer->error = cpu_to_le32(EBUSY);
	strscpy(answer->text, "not now", sizeof(answer->text));
	rig_says(rig, 1, FCLOCK_ANSWER, rig->msg.id, sizeof(*answer));
	KUNIT_EXPECT_EQ(test, rig->answers, 1);
	KUNIT_EXPECT_EQ(test, a.error, -EBUSY);
	KUNIT_EXPECT_TRUE(test, !strcmp(a.text, "not now"));
	/* which node to look at, when there is no primary to ask */
	rig_cut(rig, 1);
	rig_do(rig, fclock_core_ask(rig->core, &a));
	KUNIT_EXPECT_EQ(test, rig->answers, 2);
	KUNIT_EXPECT_EQ(test, a.error, -ENOTCONN);
	KUNIT_EXPECT_TRUE(test, strstr(a.text, "node 1, is not connected"));
}

/* What an owner wishes of a slot: offline is repeated, complete is a view. */
static void offline_and_complete(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes;
	u64 n;

	trigger(rig, 3);
	/* said before the trigger: it is about another generation */
	rig->state--;
	wish_as(rig, 2, true, 3, 3);
	rig->state++;
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	writes = rig->writes;
	wish_as(rig, 2, true, 2, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.kind, FCLOCK_OFFLINE);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 2);
	rig_time(rig, 1000);				/* nobody answers */
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.slot[1].state, FCLOCK_SLOT_ACTIVE);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	n = rig->core->pri.number;
	rig_gated(rig);
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->written.slot[1].state, FCLOCK_SLOT_OFFLINE);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_EXPECT_EQ(test, rig->core->path[1], FCLOCK_PATH_FAIL);
	/* and a trigger brings it back, whatever is still wished of the old one */
	trigger(rig, 2);
	KUNIT_EXPECT_EQ(test, rig->core->sb.slot[1].state, FCLOCK_SLOT_ACTIVE);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

/* A view or what follows it, all the way. */
static void whole_view(struct rig *rig, u64 owners)
{
	unsigned int starts = rig->starts;

	KUNIT_ASSERT_EQ(rig->test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_EXPECT_EQ(rig->test, rig->core->pri.kind, FCLOCK_VIEW);
	says_prepared(rig, 2, rig->core->pri.number);
	says_prepared(rig, 3, rig->core->pri.number);
	KUNIT_EXPECT_EQ(rig->test, rig->written.owners, owners);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_ASSERT_EQ(rig->test, rig->starts, starts + 1);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	while (rig->nr_load)
		rig_loaded(rig);
}

/* Who can copy to all active slots owns; who cannot does not; a stop is followed by a view. */
static void owners_by_attachment(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	u64 n;

	trigger(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->sb.owners, 7);
	wish_of(rig, 2, true, 1, 0, 0);
	whole_view(rig, 5);
	wish_of(rig, 3, true, 2, 0, 0);
	whole_view(rig, 1);
	wish_of(rig, 2, true, 3, 0, 0);
	whole_view(rig, 3);
	wish_of(rig, 2, true, 1, 0, 0);
	whole_view(rig, 1);
	/* without slot 1 node 2 has all that is active */
	ask(rig, &a, FCLOCK_ASK_STOP, 2);
	n = rig->core->pri.number;
	rig_gated(rig);
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->written.owners, 1);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_EXPECT_TRUE(test, a.done);
	whole_view(rig, 3);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

/* All owners have to say it, each of them in this very state: slices move. */
static void complete_by_all(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes;

	trigger(rig, 3);
	writes = rig->writes;
	wish_as(rig, 2, true, 0, 1);
	wish_as(rig, 3, true, 0, 3);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	/* node 3 leaves, and its slices go to the others */
	wish_as(rig, 3, false, 0, 3);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	says_prepared(rig, 2, rig->core->pri.number);
	says_prepared(rig, 3, rig->core->pri.number);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.owners, 3);
	super_written(rig, 0);
	peers_follow(rig);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	/* slot 0 is all split here, in the slices of this view */
	while (rig->nr_load)
		rig_loaded(rig);
	rig->core->own.slot[0].split = rig->core->own.grains;
	rig_time(rig, 1);
	rig_do(rig, fclock_owner_tell_complete(rig->core));
	rig_time(rig, 1);
	KUNIT_EXPECT_EQ(test, fclock_self(rig->core)->wish.complete, 1);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	wish_as(rig, 2, true, 0, 1);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	says_prepared(rig, 2, rig->core->pri.number);
	KUNIT_EXPECT_EQ(test, rig->written.slot[0].state, FCLOCK_SLOT_COMPLETE);
	KUNIT_EXPECT_EQ(test, rig->written.slot[1].state, FCLOCK_SLOT_ACTIVE);
}

/* M cannot be written while others live: the instance ends, so that the role moves. */
static void m_fails_with_others(struct kunit *test)
{
	struct rig *rig = primary(test);
	u64 instance = rig->core->instance;
	struct fclock_ask a;
	u64 n;

	n = trigger_but_3(rig, &a);
	says_prepared(rig, 3, n);
	super_written(rig, -EIO);
	KUNIT_EXPECT_FALSE(test, a.done);
	super_written(rig, -EIO);
	KUNIT_EXPECT_EQ(test, a.error, -EINPROGRESS);
	rig_gated(rig);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_EQ(test, rig->disconnects, 2);
	KUNIT_EXPECT_FALSE(test, fclock_is_primary(rig->core));
	/* it is listed under its old instance: node 2 is the one to take over */
	n = rig->writes;
	rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->core->sb));
	KUNIT_EXPECT_EQ(test, rig->writes, n);
}

/*
 * M has a newer superblock than the one to write: another node took the role, for which this
 * instance is gone. With ever higher numbers it would write over the other's.
 */
static void another_wrote(struct kunit *test)
{
	struct rig *rig = primary(test);
	u64 instance = rig->core->instance;
	unsigned int writes, n;
	struct fclock_ask a;

	/* also when nobody else seems to be left */
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
	for (n = 2; n <= 3; n++) {
		super_written(rig, 0);
		rig_do(rig, fclock_core_owner_started(rig->core, 0));
	}
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	rig_gated(rig);
	writes = rig->writes;
	super_written(rig, -ESTALE);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	KUNIT_EXPECT_EQ(test, a.error, -EINPROGRESS);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_ENDING);
	rig_gated(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	KUNIT_EXPECT_NE(test, rig->core->instance, instance);
	KUNIT_EXPECT_FALSE(test, fclock_is_primary(rig->core));
}

/* Nobody else is left: it stays failed, I/O behind the gates gets errors, and recovers. */
static void m_fails_alone(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes, n;
	struct fclock_waiter w;
	struct fclock_ask a;

	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
	for (n = 2; n <= 3; n++) {	/* the views that strike them */
		super_written(rig, 0);
		rig_do(rig, fclock_core_owner_started(rig->core, 0));
	}
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 4);
	KUNIT_EXPECT_EQ(test, rig->wakes, 0);
	rig_gated(rig);
	super_written(rig, -EIO);
	KUNIT_EXPECT_EQ(test, rig->wakes, 0);
	super_written(rig, -EIO);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, rig->wakes, 1);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_FAIL);
	KUNIT_EXPECT_TRUE(test, rig->core->pri.failed);
	rig_submit(rig, &w, 0, FCLOCK_IO_READ, 3, 4);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_FAIL);
	/* nobody waits for what cannot begin */
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, -EIO);
	KUNIT_EXPECT_EQ(test, rig->core->gates, GATE_A | 1);
	/* tried again each second, with a newer number each time */
	writes = rig->writes;
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	super_written(rig, -EIO);
	rig_time(rig, FCLOCK_RETRY_MS);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 2);
	super_written(rig, 0);
	KUNIT_EXPECT_FALSE(test, rig->core->pri.failed);
	KUNIT_EXPECT_EQ(test, rig->core->gates, 0);
	rig_submit(rig, &w, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 3, 4);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_done(rig, &w);
}

/* What was asked while the view was written that M failed with is not left waiting. */
static void asked_before_m_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	unsigned int n;

	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	KUNIT_EXPECT_FALSE(test, a.done);
	super_written(rig, -EIO);
	KUNIT_EXPECT_FALSE(test, a.done);
	super_written(rig, -EIO);
	KUNIT_EXPECT_TRUE(test, rig->core->pri.failed);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, -EIO);
}

/* A view that M fails for holds no gate, so no discard waits until M can be written. */
static void discard_while_m_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_waiter first, next;
	unsigned int n;

	trigger(rig, 1);
	for (n = 2; n <= 3; n++)
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	rig_submit(rig, &first, FCLOCK_TARGET_A, FCLOCK_IO_DISCARD, 3, 4);
	KUNIT_EXPECT_EQ(test, first.verdict, 0xee);
	super_written(rig, -EIO);
	super_written(rig, -EIO);
	KUNIT_EXPECT_TRUE(test, rig->core->pri.failed);
	KUNIT_EXPECT_EQ(test, first.verdict, FCLOCK_NO_EFFECT);
	rig_submit(rig, &next, FCLOCK_TARGET_A, FCLOCK_IO_DISCARD, 3, 4);
	KUNIT_EXPECT_EQ(test, next.verdict, FCLOCK_NO_EFFECT);
}

/* The primary hands over before it leaves, and stays until its successor has answered. */
static void hands_over(struct kunit *test)
{
	struct rig *rig = primary(test);
	u64 n;

	rig_do(rig, fclock_core_leave(rig->core));
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
	KUNIT_EXPECT_EQ(test, rig->written.primary_instance, RIG_PEER(2));
	KUNIT_EXPECT_EQ(test, rig->written.part[0].instance, 0);
	KUNIT_EXPECT_EQ(test, rig->written.owners, 6);
	rig_silence(rig, 2);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	peers_follow(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_ENDED);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_BYE);
	/* nothing more from it */
	n = rig->writes;
	rig_time(rig, 60000);
	KUNIT_EXPECT_EQ(test, rig->writes, n);
}

/* The successor is cut off when the role is its own: who hands over stays to tell it. */
static void successor_cut_off(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_wire_ping *ping = (void *)rig->out;
	u64 n;

	rig_do(rig, fclock_core_leave(rig->core));
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
	rig_cut(rig, 2);
	super_written(rig, 0);
	rig_silence(rig, 3);
	memset(ping, 0, sizeof(*ping));
	rig->state = rig->written.state;
	rig_says(rig, 3, FCLOCK_PING, 0, sizeof(*ping));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	rig->state = n - 1;
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 2));
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	peers_follow(rig);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
}

#ifndef __KERNEL__
static const char *said_leaves;

static void hear_leaves(int level, const char *line)
{
	static char kept[256];

	(void)level;
	if (!strstr(line, "leaves"))
		return;
	strscpy(kept, line, sizeof(kept));
	said_leaves = kept;
}

/* Who goes after it waited long enough says what the others may believe of it, and no more. */
static void says_how_it_leaves(struct kunit *test)
{
	struct rig *rig = prepared_and_cut(test);
	u64 n;

	shim_log_hook = hear_leaves;
	said_leaves = "";
	rig_do(rig, fclock_core_leave(rig->core));
	rig_do(rig, fclock_core_leave_now(rig->core));
	KUNIT_EXPECT_TRUE(test, strstr(said_leaves, "it may stay listed"));
	/* M lists a primary that hands over no more: its successor may not know */
	rig = primary(test);
	rig_do(rig, fclock_core_leave(rig->core));
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	rig_cut(rig, 2);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	said_leaves = "";
	rig_do(rig, fclock_core_leave_now(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	KUNIT_EXPECT_FALSE(test, strstr(said_leaves, "listed"));
	KUNIT_EXPECT_TRUE(test, strstr(said_leaves, "node 2 may not have heard"));
	shim_log_hook = NULL;
}
#endif

/* It goes in the view in which its successor joins: that one was never prepared. */
static struct rig *hands_to_joiner(struct kunit *test)
{
	struct rig *rig;

	rig_exit(test);
	KUNIT_ASSERT_EQ(test, 0, rig_init(test, 1));
	rig = test->priv;
	rig_do(rig, fclock_core_start(rig->core));
	rig_do(rig, fclock_core_super_read(rig->core, -ENODATA, &rig->sb));
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->writes, 2);		/* its own join */
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 2));
	wish_as(rig, 2, true, 0, 0);
	rig_do(rig, fclock_core_leave(rig->core));
	super_written(rig, 0);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig->writes, 3);
	KUNIT_EXPECT_EQ(test, rig->written.part[0].instance, 0);
	KUNIT_EXPECT_EQ(test, rig->written.primary_instance, RIG_PEER(2));
	return rig;
}

static void joiner_follows(struct kunit *test)
{
	struct rig *rig = hands_to_joiner(test);
	struct fclock_wire_ping *ping = (void *)rig->out;

	rig_silence(rig, 2);
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_RESUME);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	memset(ping, 0, sizeof(*ping));
	rig->state = rig->written.state;
	rig_says(rig, 2, FCLOCK_PING, 0, sizeof(*ping));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
}

/*
 * Each attempt to take the role that failed has raised the number. It must not be that of this
 * node's transitions later on: a PREPARE so far above what M has would keep whoever heard it from
 * the next primary, as many seconds as there were attempts.
 */
static void takes_no_number_along(struct kunit *test)
{
	struct rig *rig = participant(test);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, 0, rig_says(rig, 1, FCLOCK_BYE, 0, 0));
	for (i = 1; i <= 5; i++) {
		sees_m(rig);
		KUNIT_ASSERT_EQ(test, rig->writes, i);
		super_written(rig, -EIO);
		rig_time(rig, FCLOCK_RETRY_MS);
	}
	KUNIT_EXPECT_EQ(test, rig->core->pri.number, 10);
	sees_m(rig);
	super_written(rig, -EIO);
	/* node 3 takes the role; this one comes back, and gets it handed over */
	rig_do(rig, fclock_core_members(rig->core, 1, 4));
	rig_gated(rig);
	KUNIT_ASSERT_EQ(test, rig->core->phase, FCLOCK_STARTING);
	rig->sb.state = 6;
	rig->sb.primary = 3;
	rig->sb.primary_instance = RIG_PEER(3);
	rig->sb.part[0].instance = 0;
	rig->sb.part[1].instance = 0;
	rig->sb.owners = 4;
	rig_do(rig, fclock_core_members(rig->core, 2, 6));
	sees_m(rig);
	rig->state = 6;
	KUNIT_ASSERT_EQ(test, 0, rig_link(rig, 3));
	while (rig->core->reading)
		rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
	rig->sb.state = 7;
	rig->sb.part[1].instance = rig->core->instance;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 3, FCLOCK_RESUME));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_RUNNING);
	rig->sb.state = 8;
	rig->sb.primary = 2;
	rig->sb.primary_instance = rig->core->instance;
	KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 3, FCLOCK_RESUME));
	KUNIT_EXPECT_TRUE(test, fclock_is_primary(rig->core));
	/* that list stands not yet on M: a view is due */
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_EXPECT_EQ(test, rig->core->pri.number, rig->core->sb.state + 1);
}

/*
 * The joiner sees on M that it follows before the end of that write is known to who wrote it, and
 * leaves at once: nothing more is written, not even where the write is said to have failed.
 */
static void role_gone_while_writing(struct kunit *test)
{
	static const int errors[] = { 0, -EIO };
	struct rig *rig;
	unsigned int i, writes;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		rig = hands_to_joiner(test);
		writes = rig->writes;
		rig->sb = rig->written;
		rig->sb.state++;
		KUNIT_EXPECT_EQ(test, 0, rig_super(rig, 2, FCLOCK_ABORT));
		KUNIT_EXPECT_FALSE(test, fclock_is_primary(rig->core));
		rig_says(rig, 2, FCLOCK_BYE, 0, 0);
		KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
		super_written(rig, errors[i]);
		while (rig->core->reading)
			rig_do(rig, fclock_core_super_read(rig->core, 0, &rig->sb));
		KUNIT_EXPECT_FALSE(test, rig->core->pri.failed);
		KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
		rig_time(rig, FCLOCK_RETRY_MS);
		KUNIT_EXPECT_EQ(test, rig->writes, writes);
	}
}

/* It has left, has said so, and nothing more comes from it. */
static void left_for_good(struct rig *rig, unsigned int writes)
{
	struct kunit *test = rig->test;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		rig_gated(rig);
		rig_time(rig, FCLOCK_RETRY_MS);
	}
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	KUNIT_EXPECT_TRUE(test, rig->events & FCLOCK_EVENT_ENDED);
}

/*
 * The view by which it hands over was reported as failed and may stand on M: then its successor
 * need not wait for an instance that is not listed, and a newer superblock of this one would be
 * that of a second primary.
 */
static void hand_over_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes;
	u64 n;

	rig_do(rig, fclock_core_leave(rig->core));
	n = rig->core->pri.number;
	says_prepared(rig, 2, n);
	says_prepared(rig, 3, n);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 2);
	writes = rig->writes;
	rig_silence(rig, 2);
	rig_silence(rig, 3);
	super_written(rig, -EIO);
	left_for_good(rig, writes);
	/* they judge by what M says */
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_BYE);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 3), FCLOCK_BYE);
	KUNIT_EXPECT_EQ(test, rig->core->sb.state, n - 1);
}

/* The last one: M may name nobody, and whoever starts next takes the role at once. */
static void last_one_fails(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes, n;

	for (n = 2; n <= 3; n++) {
		rig_says(rig, n, FCLOCK_BYE, 0, 0);
		rig_cut(rig, n);
	}
	super_written(rig, 0);
	rig_do(rig, fclock_core_owner_started(rig->core, 0));
	KUNIT_EXPECT_EQ(test, rig->core->sb.owners, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_WRITING);
	KUNIT_EXPECT_EQ(test, rig->written.primary, 0);
	writes = rig->writes;
	super_written(rig, -EIO);
	left_for_good(rig, writes);
}

/* Left without the others' word in the middle of a PREPARE: no superblock follows the BYE. */
static void leaves_now(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes;

	rig_do(rig, fclock_core_leave(rig->core));
	writes = rig->writes;
	rig_do(rig, fclock_core_leave_now(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	rig_time(rig, 60000);
	says_prepared(rig, 2, rig->core->pri.number);
	says_prepared(rig, 3, rig->core->pri.number);
	KUNIT_EXPECT_EQ(test, rig->writes, writes);
}

/* Even then nothing is said to have ended before it has: a copy may still write to B. */
/* Who was told to stop all is suspended until it has left: in that state it holds I/O. */
static void suspended_while_it_ends(struct kunit *test)
{
	struct rig *rig = participant(test);
	enum fclock_volume_state state;
	struct fclock_waiter w;

	/* nothing to split: only for the primary's transition is it suspended */
	rig->sb.slot[0].state = FCLOCK_SLOT_IDLE;
	rig->sb.slot[1].state = FCLOCK_SLOT_COMPLETE;
	resume(rig, 6, FCLOCK_RESUME);
	rig_submit(rig, &w, 1, FCLOCK_IO_READ, 3, 3);
	KUNIT_EXPECT_EQ(test, w.verdict, FCLOCK_GO);
	rig_prepare(rig, 1, 7, FCLOCK_VIEW, 0);
	rig_cut(rig, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_EQ(test, state, FCLOCK_VOLUME_SUSPENDED);
	rig->events = 0;
	rig_do(rig, fclock_core_leave_now(rig->core));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	rig_do(rig, state = fclock_core_volume_state(rig->core));
	KUNIT_EXPECT_EQ(test, state, FCLOCK_VOLUME_SUSPENDED);
	rig_done(rig, &w);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
}

static void leaves_after_copies(struct kunit *test)
{
	struct rig *rig = primary(test);

	trigger(rig, 1);
	rig_request(rig, 3, 1 << 16, FCLOCK_TARGET_A, FCLOCK_KIND_SPLIT, 5, 5);
	KUNIT_ASSERT_EQ(test, rig->copies, 1);
	rig_do(rig, fclock_core_leave(rig->core));
	rig_do(rig, fclock_core_leave_now(rig->core));
	rig_silence(rig, 2);
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEAVING);
	rig_do(rig, fclock_core_copied(rig->core, rig->split[0], false, 0));
	KUNIT_EXPECT_EQ(test, rig->core->phase, FCLOCK_LEFT);
	KUNIT_EXPECT_EQ(test, rig->commits, 0);
	KUNIT_EXPECT_EQ(test, rig_hears(rig, 2), FCLOCK_BYE);
}

/* A new instance of a participant: its old one is struck and it joins, in one view. */
static void returns(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int writes = rig->writes;

	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, 0, rig_link_as(rig, 3, 4711));
	memset(rig->out, 0, sizeof(struct fclock_wire_ping));
	rig_says_as(rig, 3, 4711, FCLOCK_PING, 0,
		    sizeof(struct fclock_wire_ping));
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	says_prepared(rig, 2, rig->core->pri.number);
	KUNIT_ASSERT_EQ(test, rig->writes, writes + 1);
	KUNIT_EXPECT_EQ(test, rig->written.part[2].instance, 0);
}

/* Asks that fail one after the other must not keep an offline from its turn. */
static void asks_starve_offline(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	unsigned int i, offlines = 0;
	u64 n;

	trigger(rig, 2);	/* slot 1 is active */
	ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
	for (i = 0; i < 20; i++) {
		n = rig->core->pri.number;
		KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
		if (rig->core->pri.kind == FCLOCK_OFFLINE)
			offlines++;
		rig_gated(rig);
		says_prepared(rig, 2, n);
		wish_as(rig, 2, true, 2, 0);	/* slot 1 offline */
		rig_time(rig, 1000);
		KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_ABORTING);
		super_written(rig, 0);
		peers_follow(rig);
		KUNIT_EXPECT_TRUE(test, a.done);
		rig_time(rig, 500);
		ask(rig, &a, FCLOCK_ASK_TRIGGER, 1);
		if (rig->core->pri.kind == FCLOCK_OFFLINE)
			break;
	}
	KUNIT_EXPECT_NE(test, rig->core->pri.kind, FCLOCK_TRIGGER);
	KUNIT_EXPECT_LT(test, i, 20U);
}

/* I/O of slot 1 hangs below node 3, for ever: what else has changed has its turn all the same. */
static void offline_starves_view(struct kunit *test)
{
	struct rig *rig = primary(test);
	unsigned int i;

	trigger(rig, 2);
	wish_as(rig, 2, true, 2, 0);	/* slot 1 offline */
	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
		if (rig->core->pri.kind == FCLOCK_VIEW)
			break;
		KUNIT_EXPECT_EQ(test, rig->core->pri.kind, FCLOCK_OFFLINE);
		rig_gated(rig);
		says_prepared(rig, 2, rig->core->pri.number);
		rig_time(rig, 1000);
		KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_ABORTING);
		super_written(rig, 0);
		peers_follow(rig);
		wish_of(rig, 2, true, 1, 2, 0);	/* and detached there: a view */
		rig_time(rig, FCLOCK_RETRY_MS);
	}
	KUNIT_EXPECT_EQ(test, i, 1U);
	/* then it is the offline's turn again */
	rig_gated(rig);
	says_prepared(rig, 2, rig->core->pri.number);
	says_prepared(rig, 3, rig->core->pri.number);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_EXPECT_EQ(test, rig->core->pri.kind, FCLOCK_OFFLINE);
}

/*
 * An abort on a primary that reads M (it could not be read when the role came) begins what waits
 * while it is adopted: that one's asker hears nothing, and the first hears why it failed.
 */
static void abort_answers_its_own_asker(struct kunit *test)
{
	struct rig *rig = primary(test);

	trigger_as(rig, 2, 1, 1);
	trigger_as(rig, 3, 1, 2);
	rig_silence(rig, 2);
	rig_silence(rig, 3);
	rig_time(rig, 1000);
	KUNIT_ASSERT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_ABORTING);
	rig->core->md_error = true;
	super_written(rig, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_EXPECT_EQ(test, rig->core->pri.asker, 3);
	KUNIT_EXPECT_EQ(test, answered(rig, 3, 1), 1);
	KUNIT_EXPECT_EQ(test, answered(rig, 2, 1), -ETIMEDOUT);
	rig->core->md_error = false;
}

/* Who has heard that his trigger's outcome is not known finds it out by a look at the volume. */
static void asker_cut_off(struct kunit *test)
{
	struct rig *rig = primary(test);
	struct fclock_ask a;
	u64 n = trigger_but_3(rig, &a);

	trigger_as(rig, 3, 1, 2);
	rig_cut(rig, 3);
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 3));
	says_prepared(rig, 3, n);
	super_written(rig, 0);
	peers_follow(rig);
	KUNIT_EXPECT_TRUE(test, a.done);
	KUNIT_EXPECT_EQ(test, a.error, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	KUNIT_EXPECT_EQ(test, rig->core->sb.slot[1].state, FCLOCK_SLOT_IDLE);
}

/* A fenced node could not copy: those who get its slices can. */
static void gone_wishes_offline(struct kunit *test)
{
	struct rig *rig = primary(test);
	u64 n;

	trigger(rig, 2);
	rig_cut(rig, 2);
	wish_as(rig, 3, true, 2, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
	rig_do(rig, fclock_core_members(rig->core, 1, 3));
	KUNIT_EXPECT_EQ(test, 0, rig_link(rig, 2));
	wish_as(rig, 2, true, 0, 0);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_PREPARING);
	KUNIT_EXPECT_EQ(test, rig->core->pri.kind, FCLOCK_VIEW);
	n = rig->core->pri.number;
	rig_gated(rig);
	says_prepared(rig, 2, n);
	KUNIT_EXPECT_EQ(test, rig->written.slot[1].state, FCLOCK_SLOT_ACTIVE);
	KUNIT_EXPECT_EQ(test, rig->written.part[2].instance, 0);
	super_written(rig, 0);
	peer_follows(rig, 2);
	wish_as(rig, 2, true, 0, 0);
	KUNIT_EXPECT_NE(test, rig->core->pri.kind, FCLOCK_OFFLINE);
	KUNIT_EXPECT_EQ(test, rig->core->pri.phase, FCLOCK_PRI_IDLE);
}

static int transition_test_init(struct kunit *test)
{
	return rig_init(test, 2);
}

static struct kunit_case transition_cases[] = {
	KUNIT_CASE(drains_first),
	KUNIT_CASE(abort_keeps),
	KUNIT_CASE(view_is_told),
	KUNIT_CASE(gates_of_kinds),
	KUNIT_CASE(prepare_numbers),
	KUNIT_CASE(superblock_numbers),
	KUNIT_CASE(cut_off),
	KUNIT_CASE(says_for_whom),
	KUNIT_CASE(struck),
	KUNIT_CASE(left_out_by_a_superblock),
	KUNIT_CASE(not_by_what_m_says),
	KUNIT_CASE(takes_the_role),
	KUNIT_CASE(many_confirmations),
	KUNIT_CASE(role_cannot_be_written),
	KUNIT_CASE(left_out_and_named),
	KUNIT_CASE(listed_but_left_out),
	KUNIT_CASE(wished_and_left_out),
	KUNIT_CASE(leaves_while_joining),
	KUNIT_CASE(leaves_before_it_joins),
	KUNIT_CASE(named_and_starts),
	KUNIT_CASE(successor_never_told),
	KUNIT_CASE(successor_gone),
	KUNIT_CASE(named_and_fails),
	KUNIT_CASE(named_starts_and_fails),
	KUNIT_CASE(author_gone),
	KUNIT_CASE(told_after_it_tried),
	KUNIT_CASE(role_of_nobody),
	KUNIT_CASE(told_while_it_takes),
	KUNIT_CASE(leaves_unheard),
	KUNIT_CASE(role_was_taken),
	KUNIT_CASE(takes_no_number_along),
	KUNIT_CASE(who_is_gone),
	KUNIT_CASE(hello_refused),
	KUNIT_CASE(list_with_refusal),
	KUNIT_CASE(other_volume_at_start),
	KUNIT_CASE(members_lists),
	KUNIT_CASE(struck_unheard),
	KUNIT_CASE(lists_disputed),
	KUNIT_CASE(lists_between),
	KUNIT_CASE(absurd_numbers),
	KUNIT_CASE(whole_trigger),
	KUNIT_CASE(prepared_that_counts),
	KUNIT_CASE(prepared_of_another_instance),
	KUNIT_CASE(refusals),
	KUNIT_CASE(time_out),
	KUNIT_CASE(dead_holds_nothing),
	KUNIT_CASE(dead_after_resume),
	KUNIT_CASE(disputed_primary),
	KUNIT_CASE(cancelled),
	KUNIT_CASE(asked_elsewhere),
	KUNIT_CASE(offline_and_complete),
	KUNIT_CASE(owners_by_attachment),
	KUNIT_CASE(complete_by_all),
	KUNIT_CASE(m_fails_with_others),
	KUNIT_CASE(another_wrote),
	KUNIT_CASE(m_fails_alone),
	KUNIT_CASE(asked_before_m_fails),
	KUNIT_CASE(discard_while_m_fails),
	KUNIT_CASE(hands_over),
	KUNIT_CASE(successor_cut_off),
#ifndef __KERNEL__
	KUNIT_CASE(says_how_it_leaves),
#endif
	KUNIT_CASE(joiner_follows),
	KUNIT_CASE(role_gone_while_writing),
	KUNIT_CASE(hand_over_fails),
	KUNIT_CASE(last_one_fails),
	KUNIT_CASE(leaves_now),
	KUNIT_CASE(suspended_while_it_ends),
	KUNIT_CASE(leaves_after_copies),
	KUNIT_CASE(returns),
	KUNIT_CASE(gone_wishes_offline),
	KUNIT_CASE(asks_starve_offline),
	KUNIT_CASE(offline_starves_view),
	KUNIT_CASE(abort_answers_its_own_asker),
	KUNIT_CASE(asker_cut_off),
	{}
};

static struct kunit_suite transition_suite = {
	.name = "fclock_transition",
	.init = transition_test_init,
	.exit = rig_exit,
	.test_cases = transition_cases,
};

kunit_test_suites(&transition_suite);
