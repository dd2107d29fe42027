// SPDX-License-Identifier: GPL-2.0-only
/*
 * Epochs from DLM's lists (dlm-epoch.h): the functions, and a miniature DLM on which
 * nodes join, run, leave and die at any step, while the oracle looks for one
 * epoch with two lists.
 */
#include <linux/string.h>
#include <stdlib.h>
#include "../../dm-fclock/dlm-epoch.h"
#include "tap.h"

static void test_functions(void)
{
	struct fclock_lvb lvb = { };
	u64 base = 77;

	tap_ok(!fclock_lvb_decode(&lvb, false, &base) && base == 77,
	       "a block of zeros holds no base");
	fclock_lvb_encode(&lvb, 0);
	tap_ok(fclock_lvb_decode(&lvb, false, &base) && !base, "a base of 0");
	fclock_lvb_encode(&lvb, 0x0102030405060708ULL);
	tap_ok(fclock_lvb_decode(&lvb, false, &base) &&
	       base == 0x0102030405060708ULL, "a base comes back");
	tap_ok(((u8 *)&lvb)[8] == 8 && ((u8 *)&lvb)[0] == 'v',
	       "the block is little endian");
	tap_ok(!fclock_lvb_decode(&lvb, true, &base),
	       "a block that may be old holds no base");
	lvb.base ^= cpu_to_le64(1);
	tap_ok(!fclock_lvb_decode(&lvb, false, &base), "nor one with a changed bit");
	fclock_lvb_encode(&lvb, 5);
	lvb.version = cpu_to_le32(2);
	tap_ok(!fclock_lvb_decode(&lvb, false, &base), "nor one of another version");
	fclock_lvb_encode(&lvb, FCLOCK_BASE_MAX);
	tap_ok(fclock_lvb_decode(&lvb, false, &base) &&
	       fclock_dlm_epoch(base, ~0U) == FCLOCK_EPOCH_MAX,
	       "the greatest base has room for all generations");
	fclock_lvb_encode(&lvb, FCLOCK_BASE_MAX + 1);
	tap_ok(!fclock_lvb_decode(&lvb, false, &base), "a greater one is none");
	tap_ok(fclock_dlm_bit(1) == 1 && fclock_dlm_bit(64) == 1ULL << 63,
	       "node ids 1 and 64");
	tap_ok(!fclock_dlm_bit(0) && !fclock_dlm_bit(65) &&
	       !fclock_dlm_bit(-1) && !fclock_dlm_bit(1 << 20),
	       "other node ids are of no node");
	tap_ok(fclock_dlm_epoch(1ULL << 40, 0xffffffff) ==
	       (1ULL << 40) + 0xffffffff, "a generation is not signed");
}

/* ------------------------------------------------------ a miniature DLM */

#define NODES 5

enum mode { NONE, NL, PR, EX };

struct node {
	bool in;			/* the lockspace */
	u32 gen;			/* DLM's, while it is in */
	u64 list;			/* newest that DLM gave, 0: none */
	u32 list_gen;
	enum mode mode;
	struct fclock_lvb lvb;
	bool lost;
	enum fclock_base_step step;
	bool based, running;
	u64 base;
	u64 epoch, members;		/* what its volume knows */
};

static struct node node[NODES];
static struct {
	int master;			/* -1: there is no such resource */
	bool written, lost;
	struct fclock_lvb lvb;
} res;
static u64 m_epoch, m_members;
static unsigned int faults, lists, bases, lives;
/* what a test of this test breaks */
static enum { WELL, NO_PR, OLD_M, NO_BASE } broken;

static int rnd(int n)
{
	return random() % n;
}

static void fault(const char *what, u64 epoch, u64 a, u64 b)
{
	if (!faults++ && broken == WELL)
		printf("# %s: epoch %llu, lists %llx and %llx\n", what,
		       (unsigned long long)epoch, (unsigned long long)a,
		       (unsigned long long)b);
}

/* Somebody's volume hears of a list. */
static void hear(struct node *n, u64 epoch, u64 members)
{
	if (epoch == n->epoch && members != n->members)
		fault("two lists", epoch, n->members, members);
	if (epoch > n->epoch) {
		n->epoch = epoch;
		n->members = members;
	}
}

static void look(void)
{
	int i, j;

	for (i = 0; i < NODES; i++) {
		if (!node[i].running)
			continue;
		if (node[i].epoch == m_epoch && node[i].members != m_members)
			fault("M has another list", m_epoch, node[i].members,
			      m_members);
		for (j = 0; j < i; j++)
			if (node[j].running && node[i].epoch == node[j].epoch &&
			    node[i].members != node[j].members)
				fault("two nodes", node[i].epoch,
				      node[i].members, node[j].members);
	}
}

static u64 members_now(void)
{
	u64 list = 0;
	int i;

	for (i = 0; i < NODES; i++)
		if (node[i].in)
			list |= fclock_dlm_bit(i + 1);
	return list;
}

/* The lock after nodes have gone: DLM's recover_lvb(). */
static void recover_lock(bool ex_died)
{
	int i, best = -1, any = -1;

	if (res.master >= 0 && node[res.master].in) {
		res.lost |= ex_died;
		return;
	}
	for (i = 0; i < NODES; i++) {
		if (!node[i].in || node[i].mode == NONE)
			continue;
		any = i;
		if (node[i].mode >= PR)
			best = i;
	}
	res.master = any;
	res.written = any >= 0;
	res.lost = any >= 0 && best < 0;
	if (best >= 0)
		res.lvb = node[best].lvb;
	else if (any >= 0)
		res.lvb = node[any].lvb;
}

/*
 * A recovery: the new generation is the highest of all plus one. It may be cut short
 * when only some have it; then nobody is given the list.
 */
static void recover(void)
{
	bool cut = !rnd(4);
	u32 gen = 0;
	int i;

	for (i = 0; i < NODES; i++)
		if (node[i].in && node[i].gen > gen)
			gen = node[i].gen;
	gen++;
	for (i = 0; i < NODES; i++) {
		if (!node[i].in || (cut && rnd(2)))
			continue;
		node[i].gen = gen;
		if (cut)
			continue;
		node[i].list = members_now();
		node[i].list_gen = gen;
		lists++;
	}
	if (cut && members_now())
		recover();
}

static void go(struct node *n)
{
	bool ex = n->mode == EX;

	memset(n, 0, sizeof(*n));
	recover_lock(ex);
	if (members_now())
		recover();
	else
		lives++;
}

static bool held(const struct node *n, enum mode mode)
{
	int i;

	for (i = 0; i < NODES; i++)
		if (node + i != n && node[i].in && node[i].mode >= mode)
			return true;
	return false;
}

static void read_block(struct node *n)
{
	if (res.master < 0) {
		res.master = n - node;
		res.written = false;
		res.lost = false;
	}
	if (res.written)
		n->lvb = res.lvb;
	n->lost = res.lost;
}

/* One step of a node that has a list and no base. */
static void base_step(struct node *n)
{
	int r = 0;

	switch (n->step) {
	case FCLOCK_BASE_PR:
		if (held(n, EX))
			return;			/* waits */
		n->mode = PR;
		read_block(n);
		break;
	case FCLOCK_BASE_EX:
		r = held(n, PR) ? -EAGAIN : 0;
		if (r)
			break;
		n->mode = EX;
		read_block(n);
		break;
	case FCLOCK_BASE_MAKE:
		r = rnd(8) ? 0 : -EIO;
		if (r)
			break;
		n->base = broken == OLD_M ? m_epoch / 2 : m_epoch;
		fclock_lvb_encode(&n->lvb, n->base);
		bases++;
		break;
	case FCLOCK_BASE_SHOW:
		n->mode = PR;
		res.lvb = n->lvb;
		res.written = true;
		res.lost = false;
		n->lost = false;
		break;
	default:
		n->mode = NL;
		break;
	}
	n->step = fclock_base_next(n->step, r,
				   fclock_lvb_decode(&n->lvb, n->lost,
						     &n->base));
	if (n->step == FCLOCK_BASE_FAILED) {
		go(n);
	} else if (n->step == FCLOCK_BASE_DONE) {
		n->based = true;
		if (broken == NO_PR)
			n->mode = NL;
		if (broken == NO_BASE)
			n->base = 0;
	}
}

static void run_step(struct node *n)
{
	struct node *other = node + rnd(NODES);

	switch (rnd(4)) {
	case 0:
		/* the newest list that DLM gave; older ones were skipped */
		hear(n, fclock_dlm_epoch(n->base, n->list_gen), n->list);
		if (!n->running) {
			hear(n, m_epoch, m_members);
			n->running = true;
		}
		break;
	case 1:
		if (n->running && other->running)
			hear(other, n->epoch, n->members);
		break;
	case 2:
		if (n->running && n->epoch > m_epoch) {
			m_epoch = n->epoch;
			m_members = n->members;
		}
		break;
	}
}

static void step(void)
{
	struct node *n = node + rnd(NODES);

	if (!rnd(100)) {
		/* most go at once, or all */
		for (n = node; n < node + NODES; n++)
			if (n->in && rnd(12))
				go(n);
	} else if (!n->in) {
		if (rnd(6))
			return;
		n->in = true;
		n->step = FCLOCK_BASE_PR;
		recover();
	} else if (!rnd(40)) {
		go(n);				/* leaves, or is fenced */
	} else if (n->list && !n->based) {
		base_step(n);
	} else if (n->based) {
		run_step(n);
	}
	look();
}

static unsigned int play(unsigned int seed, int steps)
{
	srandom(seed);
	memset(node, 0, sizeof(node));
	memset(&res, 0, sizeof(res));
	res.master = -1;
	m_epoch = seed % 3 ? 0 : 5;
	m_members = m_epoch ? 1 : 0;
	faults = 0;
	while (steps--)
		step();
	return faults;
}

static unsigned int play_all(unsigned int plays)
{
	unsigned int seed, bad = 0;

	for (seed = 1; seed <= plays; seed++) {
		if (!play(seed, 2000))
			continue;
		bad++;
		if (broken == WELL)
			printf("# seed %u\n", seed);
	}
	return bad;
}

int main(void)
{
	unsigned int plays = getenv("FCLOCK_FULL") ? 10000 : 50;

	test_functions();
	tap_ok(!play_all(plays), "%u lives of a lockspace: one list under one epoch",
	       plays);
	tap_ok(lists > plays * 100 && bases > plays * 3 && lives > plays * 3,
	       "%u lists, %u bases, everybody gone %u times", lists, bases,
	       lives);
	broken = NO_PR;
	tap_ok(play_all(plays), "found: a base is made while others run");
	broken = OLD_M;
	tap_ok(play_all(plays), "found: a base below what is on M");
	broken = NO_BASE;
	tap_ok(play_all(plays), "found: generations alone are no epochs");
	return tap_done();
}
