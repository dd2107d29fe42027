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

#define ONE .nodes = 1, .slots = 2, .grains = 100, .slice = 16, .workers = 4, \
	.span = 6, .ms = 3000, .trigger = 200, .cache = -2
#define THREE .nodes = 3, .slots = 2, .grains = 100, .slice = 16, .workers = 3, \
	.span = 6, .ms = 4000, .trigger = 200, .cache = -2

static const struct {
	struct world_class cls;
	unsigned int seeds;
} classes[] = {
	{ { .name = "one", ONE }, 40 },
	{ { .name = "one-stop", ONE, .stop = 500, .drop_cache = 50,
	    .requeue = 100, .attach = 400 }, 40 },
	{ { .name = "one-power", ONE, .power = 700 }, 40 },
	{ { .name = "one-crash", ONE, .ms = 6000, .crash = 900,
	    .leave = 1500 }, 40 },
	{ { .name = "one-fail", ONE, .stop = 500, .copy_fail = 20,
	    .commit_fail = 20, .super_fail = 30 }, 40 },
	{ { .name = "three", THREE }, 40 },
	{ { .name = "three-small", THREE, .grains = 12, .slice = 4, .ms = 2000,
	    .workers = 6, .cache = -1, .trigger = 60 }, 40 },
	{ { .name = "three-stop", THREE, .stop = 500, .drop_cache = 50,
	    .requeue = 100, .cancel = 300 }, 40 },
	{ { .name = "three-links", THREE, .cut = 400, .cancel = 100 }, 40 },
	{ { .name = "three-frozen", THREE, .freeze = 500 }, 40 },
	{ { .name = "three-power", THREE, .power = 1500 }, 40 },
	{ { .name = "three-crash", THREE, .ms = 6000, .crash = 1500,
	    .cut = 2500 }, 40 },
	{ { .name = "three-leave", THREE, .ms = 6000, .leave = 1200,
	    .attach = 600, .start_apart = true }, 40 },
	{ { .name = "three-fence", THREE, .ms = 6000, .fence = 2000,
	    .cut = 2500 }, 40 },
	{ { .name = "three-expel", THREE, .ms = 6000, .expel = 1500,
	    .cut = 2500 }, 40 },
	{ { .name = "three-fail", THREE, .stop = 900, .copy_fail = 10,
	    .commit_fail = 10, .super_fail = 20 }, 40 },
	{ { .name = "all", THREE, .nodes = 4, .slots = 3, .ms = 8000,
	    .stop = 900, .cut = 2000, .freeze = 3000, .crash = 4000,
	    .power = 8000, .leave = 4000, .attach = 3000, .fence = 9000, .expel = 9000,
	    .drop_cache = 200, .requeue = 300, .cancel = 100, .copy_fail = 2,
	    .commit_fail = 3, .super_fail = 10, .start_apart = true }, 60 },
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

static void tell_sums(void)
{
	const struct world_sums *s = &world_sums;

	printf("#   %llu bios, %llu reads of copies (%llu through A), %llu triggers, %llu frames, %llu splits, %llu I/O errors\n",
	       (unsigned long long)s->bios, (unsigned long long)s->reads,
	       (unsigned long long)s->shared, (unsigned long long)s->triggers,
	       (unsigned long long)s->frames, (unsigned long long)s->copies,
	       (unsigned long long)s->eio);
	memset(&world_sums, 0, sizeof(world_sums));
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
		tell_sums();
	}
	return tap_done();
}
