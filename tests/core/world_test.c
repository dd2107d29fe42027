// SPDX-License-Identifier: GPL-2.0-only
/*
 * Miniature clusters under load and faults, a fixed number of seeds per class.
 *
 *   FCLOCK_SEED=<n> FCLOCK_CLASS=<name> replays one run with its whole trace;
 *   FCLOCK_SEEDS=<n> runs n seeds of every class (or of FCLOCK_CLASS) from FCLOCK_FROM.
 */
#pragma GCC diagnostic ignored "-Woverride-init"
#include <signal.h>
#include <time.h>
#include "tap.h"
#include "world.h"

#define ONE .nodes = 1, .slots = 2, .grains = 60, .slice = 16, .workers = 4, \
	.span = 6, .ms = 3000, .trigger = 250, .cache = -2
#define THREE .nodes = 3, .slots = 2, .grains = 60, .slice = 16, .workers = 3, \
	.span = 6, .ms = 4000, .trigger = 300, .cache = -2

static const struct {
	struct world_class cls;
	unsigned int seeds;
} classes[] = {
	{ { .name = "one", ONE }, 40 },
	{ { .name = "one-stop", ONE, .stop = 300, .drop_cache = 50,
	    .requeue = 100 }, 30 },
	{ { .name = "one-power", ONE, .power = 700 }, 40 },
	{ { .name = "one-crash", ONE, .crash = 700, .leave = 900 }, 30 },
	{ { .name = "one-fail", ONE, .stop = 500, .copy_fail = 20,
	    .commit_fail = 20, .super_fail = 100 }, 40 },
	{ { .name = "three", THREE }, 30 },
	{ { .name = "three-small", THREE, .grains = 12, .slice = 4,
	    .workers = 6, .cache = -1, .trigger = 1000 }, 30 },
	{ { .name = "three-stop", THREE, .stop = 300, .drop_cache = 50,
	    .requeue = 100, .cancel = 300 }, 30 },
	{ { .name = "three-links", THREE, .cut = 400, .cancel = 100 }, 40 },
	{ { .name = "three-frozen", THREE, .freeze = 500 }, 30 },
	{ { .name = "three-power", THREE, .power = 1500 }, 40 },
	{ { .name = "three-crash", THREE, .crash = 800, .cut = 1500 }, 40 },
	{ { .name = "three-leave", THREE, .leave = 500, .attach = 400,
	    .start_apart = true }, 40 },
	{ { .name = "three-fence", THREE, .fence = 1500, .cut = 1500 }, 30 },
	{ { .name = "three-fail", THREE, .stop = 500, .copy_fail = 10,
	    .commit_fail = 10, .super_fail = 50 }, 40 },
	{ { .name = "all", THREE, .nodes = 4, .slots = 3, .ms = 6000, .stop = 900,
	    .cut = 1500, .freeze = 2500, .crash = 2500, .power = 5000,
	    .leave = 2500, .attach = 2500, .fence = 4000, .drop_cache = 200,
	    .requeue = 300, .cancel = 100, .copy_fail = 2, .commit_fail = 3,
	    .super_fail = 10, .start_apart = true }, 40 },
};

/* A crash of the program itself tells what led to it as well. */
static void died(void)
{
	static bool once;

	if (once || !the_world)
		return;
	once = true;
	w_fail(the_world, "the program died");
}

static void on_abort(int sig)
{
	died();
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static unsigned long long number(const char *name, unsigned long long other)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : other;
}

int main(void)
{
	const char *only = getenv("FCLOCK_CLASS");
	u64 seed = number("FCLOCK_SEED", 0), from = number("FCLOCK_FROM", 1), i;
	unsigned int c;

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(died);
	signal(SIGABRT, on_abort);
	for (c = 0; c < ARRAY_SIZE(classes); c++) {
		const struct world_class *cls = &classes[c].cls;
		u64 n = number("FCLOCK_SEEDS", classes[c].seeds);
		unsigned int bad = 0;
		clock_t began = clock();

		if (only && strcmp(only, cls->name))
			continue;
		if (seed) {
			tap_ok(!world_run(cls, seed, true), "%s seed %llu",
			       cls->name, (unsigned long long)seed);
			continue;
		}
		for (i = from; i < from + n && bad < 3; i++)
			bad += world_run(cls, i, false);
		tap_ok(!bad, "%s: %llu seeds # %.1f s", cls->name,
		       (unsigned long long)n,
		       (double)(clock() - began) / CLOCKS_PER_SEC);
	}
	return tap_done();
}
