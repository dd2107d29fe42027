// SPDX-License-Identifier: GPL-2.0-only
/* The clusters that are simulated: sizes, load and faults. */
#pragma GCC diagnostic ignored "-Woverride-init"
#include "sim.h"

#define ONE .nodes = 1, .slots = 2, .grains = 100, .slice = 16, .workers = 4, \
	.span = 6, .ms = 3000, .trigger = 200, .cache = -2
#define THREE .nodes = 3, .slots = 2, .grains = 100, .slice = 16, .workers = 3, \
	.span = 6, .ms = 4000, .trigger = 200, .cache = -2

const struct sim_class sim_classes[] = {
	{ .cls = { .name = "one", ONE }, .seeds = 40 },
	{ .cls = { .name = "one-stop", ONE, .stop = 500, .drop_cache = 50,
	    .requeue = 100, .attach = 400 }, .seeds = 40 },
	{ .cls = { .name = "one-power", ONE, .power = 700 }, .seeds = 40 },
	{ .cls = { .name = "one-crash", ONE, .ms = 6000, .crash = 900,
	    .leave = 1500 }, .seeds = 40 },
	{ .cls = { .name = "one-fail", ONE, .stop = 500, .copy_fail = 20,
	    .commit_fail = 20, .super_fail = 30 }, .seeds = 40 },
	{ .cls = { .name = "three", THREE }, .seeds = 40 },
	{ .cls = { .name = "three-small", THREE, .grains = 12, .slice = 4, .ms = 2000,
	    .workers = 6, .cache = -1, .trigger = 60 }, .seeds = 40 },
	{ .cls = { .name = "three-stop", THREE, .stop = 500, .drop_cache = 50,
	    .requeue = 100, .cancel = 300 }, .seeds = 40 },
	{ .cls = { .name = "three-links", THREE, .cut = 400, .cancel = 100 }, .seeds = 40 },
	{ .cls = { .name = "three-frozen", THREE, .freeze = 500 }, .seeds = 40 },
	{ .cls = { .name = "three-power", THREE, .power = 1500 }, .seeds = 40 },
	{ .cls = { .name = "three-crash", THREE, .ms = 6000, .crash = 1500,
	    .cut = 2500 }, .seeds = 40 },
	{ .cls = { .name = "three-leave", THREE, .ms = 6000, .leave = 1200,
	    .attach = 600, .start_apart = true }, .seeds = 40 },
	{ .cls = { .name = "three-fence", THREE, .ms = 6000, .fence = 2000,
	    .cut = 2500 }, .seeds = 40 },
	{ .cls = { .name = "three-expel", THREE, .ms = 6000, .expel = 1500,
	    .cut = 2500 }, .seeds = 40 },
	{ .cls = { .name = "three-fail", THREE, .stop = 900, .copy_fail = 10,
	    .commit_fail = 10, .super_fail = 20 }, .seeds = 40 },
	{ .cls = { .name = "all", THREE, .nodes = 4, .slots = 3, .ms = 8000,
	    .stop = 900, .cut = 2000, .freeze = 3000, .crash = 4000,
	    .power = 8000, .leave = 4000, .attach = 3000, .fence = 9000, .expel = 9000,
	    .drop_cache = 200, .requeue = 300, .cancel = 100, .copy_fail = 2,
	    .commit_fail = 3, .super_fail = 10, .start_apart = true }, .seeds = 60 },
};

const unsigned int sim_nr_classes = ARRAY_SIZE(sim_classes);
