// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast a cluster splits when devices take a fixed time: every node writes A all
 * over, whole grains that nobody wrote before, and the first nodes have the copy
 * attached, so that they are its owners. Time is virtual, so how busy this machine is
 * does not show; nor does what a node's CPU can do.
 */
#include "tap.h"
#include "sim.h"
#include <linux/bitmap.h>

#define GRAINS		512		/* written for each owner there is */
#define SLICE		4
#define SLICES		128		/* of an owner, when all nodes are owners */
#define LIMIT		(60 * W_SEC)

struct scale {
	u32 *order;			/* grains, as they will be written */
	u64 total, begun;
};

/*
 * The last measurement's result, splits a second: while there was work for all owners,
 * and until the last grain, when those are left that own more slices than others.
 */
static double rate, to_the_end;

static void shuffle(struct world *w, u32 *order, u64 n)
{
	u64 i, k;
	u32 was;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n; i-- > 1;) {
		k = w_below(w, i + 1);
		was = order[i];
		order[i] = order[k];
		order[k] = was;
	}
}

void scale_work(struct node *n, unsigned int worker)
{
	struct world *w = n->w;
	struct scale *sc = w->scale;
	u64 g;

	if (sc->begun == sc->total)
		return;
	g = sc->order[sc->begun++];
	io_submit(n, worker, FCLOCK_TARGET_A, FCLOCK_IO_WRITE,
		  w_first_sector(g), w_last_sector(w, g));
}

/* Runs on until @done says so; a step is short beside what is measured. */
static bool wait_until(struct world *w, bool (*done)(struct world *w),
		       const char *what)
{
	u64 end = w->now + LIMIT;

	while (!done(w)) {
		if (w->now > end)
			w_fail(w, "%s: not within %llu s", what,
			       LIMIT / W_SEC);
		if (w->failed)
			return false;
		world_run_until(w, w->now + W_MS);
	}
	return true;
}

/* All take part, and run what stands on M. (Owners may still be reading their bits.) */
static bool all_settled(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct fclock_core *core = w->node[i].core;

		if (core->phase != FCLOCK_RUNNING || core->prep.number ||
		    core->gates || core->pri.phase != FCLOCK_PRI_IDLE ||
		    core->sb.state != w->truth.state)
			return false;
	}
	return true;
}

static bool all_there(struct world *w)
{
	char why[200];

	return scan_quiet(w, why, sizeof(why));
}

static bool triggered(struct world *w)
{
	return w->slot[0].gen && list_empty(&w->node[1].asks) && all_settled(w);
}

static bool owners_are_few(struct world *w)
{
	return hweight64(w->truth.owners) == w->cls->owners && all_settled(w);
}

static u64 nr_split(struct world *w)
{
	return bitmap_weight(w->slot[0].bits_dur, w->geo.grains);
}

static bool most_split(struct world *w)
{
	return nr_split(w) >= w->scale->total / 4 * 3;
}

static bool all_ended(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++)
		if (!list_empty(&w->node[i].bios))
			return false;
	return nr_split(w) == w->scale->total;
}

static void measure(struct world *w)
{
	struct scale *sc = w->scale;
	u64 began = w->now;
	unsigned int i, k;

	shuffle(w, sc->order, w->geo.grains);
	sc->total = (u64)GRAINS * w->cls->owners;
	w->loading = true;
	for (k = 0; k < w->cls->workers; k++)
		for (i = 1; i <= w->cls->nodes; i++)
			io_work(&w->node[i], k);
	if (wait_until(w, most_split, "most grains are split"))
		rate = nr_split(w) * 1e6 / (w->now - began);
	if (!w->failed && wait_until(w, all_ended, "all is written"))
		to_the_end = sc->total * 1e6 / (w->now - began);
}

void scale_do(struct world *w)
{
	struct scale sc = {
		.order = calloc(w->geo.grains, sizeof(*sc.order)),
	};
	unsigned int i;

	w->scale = &sc;
	rate = 0;
	to_the_end = 0;
	if (!wait_until(w, all_there, "the nodes take part"))
		goto out;
	node_ask(&w->node[1], FCLOCK_ASK_TRIGGER, 1, 0, 0);
	if (!wait_until(w, triggered, "the trigger"))
		goto out;
	/* a trigger wants the copy on every node, an owner does too */
	for (i = w->cls->owners + 1; i <= w->cls->nodes; i++)
		node_detach(&w->node[i], 0);
	if (wait_until(w, owners_are_few, "the owners are those asked for"))
		measure(w);
out:
	w->loading = false;
	w->scale = NULL;
	free(sc.order);
}

/* Return: 0 if each number of owners is at least 0.8 of linear. */
int sim_scale(unsigned int nodes)
{
	struct world_class cls = {
		.name = "scale", .nodes = nodes, .slots = 1, .slice = SLICE,
		.grains = nodes * SLICES * SLICE, .workers = 16, .span = 1,
		.cache = W_CACHE_ALL, .settle = 120, .delay = 10 * W_MS,
	};
	struct sim_run run = { .cls = &cls, .seed = 1 };
	double one = 0, end = 0, linear;
	bool good;

	printf("# %u nodes write, %u slices, each step of a device takes %u ms\n",
	       nodes, nodes * SLICES, (unsigned int)(cls.delay / W_MS));
	for (cls.owners = 1; cls.owners <= nodes; cls.owners *= 2) {
		good = !world_run(&run);
		if (!one) {
			one = rate;
			end = to_the_end;
		}
		linear = one ? rate / one / cls.owners : 0;
		tap_ok(good && linear >= 0.8,
		       "%2u owners, %u nodes: %5.0f splits/s, %.2f of linear; to the last grain %5.0f, %.2f",
		       cls.owners, nodes, rate, linear, to_the_end,
		       one ? to_the_end / end / cls.owners : 0);
	}
	return tap_done();
}
