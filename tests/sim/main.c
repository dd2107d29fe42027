// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line of the simulator; tests/sim/run calls it.
 *
 *   sim --list                     classes and their seeds in one budget
 *   sim --class C --seed N [--set FIELD=VALUE]... [--drop FAULT:NR,...]
 *       [--trace | --shrink [--seconds S]]
 *                                  one run, exactly as before; smaller ones
 *   sim [--class C [--set ...]] [--first N] [--step D] [--count K] [--budget]
 *       [--seconds S | --wall S]   many: each D-th of K seeds of each class from
 *                                  N on; --budget: K times as many as the class
 *                                  table says; --seconds: until that much CPU
 *                                  time is used; --wall: or that much passed
 *   sim --scale N                  how fast 1, 2, 4, ... N owners split; is it
 *                                  linear?
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
	u64 seed, first, count, seconds, wall, step, scale;
	bool one, trace, budget, list, shrink;
} opt = { .first = 1, .count = 1, .step = 1 };

static struct sim_run run;
static struct world_class changed;	/* --class with --set */

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

	printf("# %llu runs, %llu events, %.2f million events/s of CPU, %.1f s of CPU, %.0f s simulated",
	       s->runs, s->events, s->events / max(seconds, 0.001) / 1e6,
	       seconds, s->us / 1e6);
#define F(name) printf(", " #name " %llu", s->name);
	W_SUMS(F)
#undef F
	printf("\n");
}

static bool wanted(unsigned int c)
{
	return !opt.only || !strcmp(opt.only, sim_classes[c].cls.name);
}

static bool go(const struct world_class *cls, u64 seed)
{
	run.cls = cls;
	run.seed = seed;
	run.loud = opt.trace;
	return world_run(&run);
}

static int run_one(void)
{
	if (!changed.name) {
		fprintf(stderr, "sim: --seed needs --class\n");
		return 2;
	}
	if (opt.shrink)
		return sim_shrink(&changed, opt.seed,
				  opt.seconds ? opt.seconds : 120);
	if (go(&changed, opt.seed))
		return 1;
	printf("# held\n");
	return 0;
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
		for (i = opt.first; i < opt.first + n && !bad; i += opt.step)
			bad += go(opt.only ? &changed : cls, i);
		tap_ok(!bad, "%s: seeds %llu to %llu # %.1f s", cls->name,
		       opt.first, opt.first + n - 1, used() - began);
	}
	return tap_done();
}

/* Seed after seed through all classes until the time is used. */
static int run_timed(void)
{
	time_t end = time(NULL) + opt.wall;
	unsigned int c;
	bool bad = false;
	u64 i;

	for (i = opt.first; !bad; i += opt.step)
		for (c = 0; c < sim_nr_classes && !bad; c++) {
			if (!wanted(c))
				continue;
			if (opt.wall ? time(NULL) >= end : used() >= opt.seconds)
				return 0;
			bad = go(opt.only ? &changed : &sim_classes[c].cls, i);
		}
	return bad;
}

static void list(void)
{
	unsigned int c;

	for (c = 0; c < sim_nr_classes; c++)
		printf("%s %u\n", sim_classes[c].cls.name, sim_classes[c].seeds);
}

static int choose(const char *name)
{
	unsigned int c;

	opt.only = name;
	for (c = 0; c < sim_nr_classes; c++)
		if (wanted(c)) {
			changed = sim_classes[c].cls;
			return 0;
		}
	fprintf(stderr, "sim: no class %s\n", name);
	return 2;
}

/* name=value, of the class that was chosen before */
static int set(const char *arg)
{
	const char *value = strchr(arg, '=');
	unsigned int *field = NULL;
	char name[32] = "";

	if (value && value - arg < (ptrdiff_t)sizeof(name)) {
		memcpy(name, arg, value - arg);
		field = sim_field(&changed, name);
	}
	if (!field || !changed.name) {
		fprintf(stderr, "sim: --class <class> --set <field>=<value>: %s\n",
			arg);
		return 2;
	}
	*field = strtoul(value + 1, NULL, 0);
	return 0;
}

/* kind:number,... */
static int drop(char *arg)
{
	unsigned int kind, nr;
	char *one, *colon;

	for (one = strtok(arg, ","); one; one = strtok(NULL, ",")) {
		colon = strchr(one, ':');
		if (colon)
			*colon = '\0';
		for (kind = 0; kind < W_FAULTS; kind++)
			if (!strcmp(sim_fault_names[kind], one))
				break;
		nr = colon ? strtoul(colon + 1, NULL, 0) : W_DROPS;
		if (kind == W_FAULTS || nr >= W_DROPS) {
			fprintf(stderr, "sim: --drop <fault>:<number>,...: %s\n",
				one);
			return 2;
		}
		__set_bit(nr, run.drop[kind]);
	}
	return 0;
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
		{ "step", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "wall", required_argument, NULL, 'w' },
		{ "set", required_argument, NULL, 'e' },
		{ "drop", required_argument, NULL, 'd' },
		{ "shrink", no_argument, NULL, 'k' },
		{ "scale", required_argument, NULL, 'x' },
		{ }
	};
	int o, r = 0;

	while (!r && (o = getopt_long(argc, argv, "", longopts, NULL)) != -1)
		switch (o) {
		case 'l':
			opt.list = true;
			break;
		case 'c':
			r = choose(optarg);
			break;
		case 'e':
			r = set(optarg);
			break;
		case 'd':
			r = drop(optarg);
			break;
		case 'k':
			opt.shrink = true;
			break;
		case 'x':
			opt.scale = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			opt.step = strtoull(optarg, NULL, 0);
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
		case 'w':
			opt.wall = strtoull(optarg, NULL, 0);
			break;
		case 'S':
			opt.seconds = strtoull(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	if (!opt.step || opt.scale > FCLOCK_MAX_NODES || optind != argc)
		r = 2;
	return r;
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
	if (opt.scale)
		r = sim_scale(opt.scale);
	else if (opt.one)
		r = run_one();
	else if (opt.seconds || opt.wall)
		r = run_timed();
	else
		r = run_counted();
	tell_sums(used());
	return r;
}
