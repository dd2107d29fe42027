// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line of the simulator; tests/sim/run calls it.
 *
 *   sim --list                          classes and their seeds in one budget
 *   sim --class C --seed N [--trace]    one run, exactly as before
 *   sim [--class C] [--first N] [--count K] [--budget] [--seconds S]
 *                                       many: K seeds of each class from N on;
 *                                       --budget: as many as the class table says
 *                                       times K; --seconds: until that much CPU
 *                                       time is used
 *
 * Exit code: 0 all held, 1 something was violated, 2 usage.
 */
#include <getopt.h>
#include <signal.h>
#include <time.h>
#include "tap.h"
#include "sim.h"

static struct {
	const char *only;
	u64 seed, first, count, seconds;
	bool one, trace, budget, list;
} opt = { .first = 1, .count = 1 };

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

static double used(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void tell_sums(double seconds)
{
	const struct world_sums *s = &world_sums;

	printf("# %llu runs, %llu events, %.2f million events/s of CPU, %.0f s simulated, %llu bios, %llu reads of copies (%llu through A), %llu triggers, %llu frames, %llu splits, %llu I/O errors\n",
	       s->runs, s->events, s->events / max(seconds, 0.001) / 1e6,
	       s->us / 1e6, s->bios, s->reads, s->shared, s->triggers,
	       s->frames, s->copies, s->eio);
}

static bool wanted(unsigned int c)
{
	return !opt.only || !strcmp(opt.only, sim_classes[c].cls.name);
}

static int run_one(void)
{
	unsigned int c;

	for (c = 0; c < sim_nr_classes; c++)
		if (opt.only && wanted(c))
			return world_run(&sim_classes[c].cls, opt.seed,
					 opt.trace);
	fprintf(stderr, "sim: no class %s\n", opt.only ? opt.only : "given");
	return 2;
}

/* Some seeds of each class, one result line each. */
static int run_counted(void)
{
	unsigned int c;
	u64 i, n;

	for (c = 0; c < sim_nr_classes; c++) {
		const struct world_class *cls = &sim_classes[c].cls;
		unsigned int bad = 0;
		double began = used();

		if (!wanted(c))
			continue;
		n = opt.count * (opt.budget ? sim_classes[c].seeds : 1);
		for (i = opt.first; i < opt.first + n && bad < 3; i++)
			bad += world_run(cls, i, false);
		tap_ok(!bad, "%s: %llu seeds # %.1f s", cls->name, n,
		       used() - began);
	}
	return tap_done();
}

/* Seed after seed through all classes until the time is used. */
static int run_timed(void)
{
	unsigned int c;
	int bad = 0;
	u64 i;

	for (i = opt.first; !bad; i++)
		for (c = 0; c < sim_nr_classes && !bad; c++) {
			if (!wanted(c))
				continue;
			if (used() >= opt.seconds)
				return 0;
			bad = world_run(&sim_classes[c].cls, i, false);
		}
	return bad;
}

static void list(void)
{
	unsigned int c;

	for (c = 0; c < sim_nr_classes; c++)
		printf("%s %u\n", sim_classes[c].cls.name, sim_classes[c].seeds);
}

static int options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "class", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "trace", no_argument, NULL, 't' },
		{ "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'n' },
		{ "budget", no_argument, NULL, 'b' },
		{ "seconds", required_argument, NULL, 'S' },
		{ }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		switch (o) {
		case 'l':
			opt.list = true;
			break;
		case 'c':
			opt.only = optarg;
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			opt.one = true;
			break;
		case 't':
			opt.trace = true;
			break;
		case 'f':
			opt.first = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			opt.count = strtoull(optarg, NULL, 0);
			break;
		case 'b':
			opt.budget = true;
			break;
		case 'S':
			opt.seconds = strtoull(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	return optind == argc ? 0 : 2;
}

int main(int argc, char **argv)
{
	int r = options(argc, argv);

	if (r)
		return r;
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(died);
	signal(SIGABRT, on_abort);
	if (opt.list) {
		list();
		return 0;
	}
	if (opt.one)
		r = run_one();
	else if (opt.seconds)
		r = run_timed();
	else
		r = run_counted();
	tell_sums(used());
	return r;
}
