// SPDX-License-Identifier: GPL-2.0-only
/*
 * A failing run made small: fewer nodes, slots and grains, less load, whole kinds of
 * faults off, then single occurrences of faults left out, as long as it still fails in
 * the same way. Every try is a process of its own, for a broken core may abort.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "sim.h"

#define OTHER_SEEDS	12	/* tried where a smaller cluster does not fail at once */
#define RUN_SECONDS	20

static const char died[] = "the program died";

static struct {
	struct sim_run *run;		/* shared with the tries */
	struct world_class cls;		/* the smallest that fails */
	u64 seed;
	unsigned long drop[W_FAULTS][W_DROPS / BITS_PER_LONG];
	const char *violation;
	u64 at, events;
	u32 hits[W_FAULTS];
	time_t end;
	unsigned int tries;
} sh;

static void child(bool loud)
{
	int null = open("/dev/null", O_WRONLY);

	if (!loud) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	alarm(RUN_SECONDS);
	sh.run->quiet = !loud;
	sh.run->violation = died;	/* unless the run comes back */
	world_run(sh.run);
	fflush(stdout);
	_exit(0);
}

static void run_child(bool loud)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		child(loud);
	waitpid(pid, &status, 0);
	sh.tries++;
}

static bool fails(const struct world_class *cls, u64 seed)
{
	sh.run->cls = cls;
	sh.run->seed = seed;
	memcpy(sh.run->drop, sh.drop, sizeof(sh.drop));
	run_child(false);
	return sh.violation ? sh.run->violation == sh.violation :
	       !!sh.run->violation;
}

static void keep(const struct world_class *cls, u64 seed)
{
	sh.cls = *cls;
	sh.seed = seed;
	sh.violation = sh.run->violation;
	sh.at = sh.run->at;
	sh.events = sh.run->events;
	memcpy(sh.hits, sh.run->hits, sizeof(sh.hits));
}

static bool out_of_time(void)
{
	return time(NULL) >= sh.end;
}

/* One field has another value; with other seeds too if @seeds. */
static bool try_field(const char *name, unsigned int value, unsigned int seeds)
{
	struct world_class cls = sh.cls;
	u64 seed;

	*sim_field(&cls, name) = value;
	for (seed = sh.seed; seed <= sh.seed + seeds; seed++) {
		if (out_of_time())
			return false;
		if (fails(&cls, seed)) {
			keep(&cls, seed);
			return true;
		}
	}
	return false;
}

static bool shrink_size(const char *name, const unsigned int *values,
			unsigned int nr)
{
	unsigned int i, now = *sim_field(&sh.cls, name);

	for (i = 0; i < nr && values[i] < now; i++)
		if (try_field(name, values[i], OTHER_SEEDS))
			return true;
	return false;
}

/* No load after the failure. */
static bool shrink_time(void)
{
	u64 ms = sh.at > W_SEC ? (sh.at - W_SEC) / W_MS + 1 : 1;

	return ms < sh.cls.ms && try_field("ms", ms, 0);
}

static bool shrink_kinds(void)
{
	bool some = false;
	unsigned int i;

	for (i = 0; i < W_FAULTS; i++)
		if (sim_rate(&sh.cls, i))
			some |= try_field(sim_fault_names[i], 0, 3);
	return some;
}

#define SIZE(name, ...) ({						\
	static const unsigned int values[] = { __VA_ARGS__ };		\
	shrink_size(name, values, ARRAY_SIZE(values)); })

static bool shrink_cluster(void)
{
	bool some = false;

	some |= SIZE("nodes", 1, 2, 3, 4, 8, 16);
	some |= SIZE("slots", 1, 2);
	some |= SIZE("apart", 0);
	some |= SIZE("workers", 1, 2);
	some |= SIZE("grains", 8, 16, 32, 64);
	some |= SIZE("span", 1, 2, 3);
	return some;
}

/* ------------------------------------------------------------- single occurrences */

struct occurrence {
	u16 kind;
	u16 nr;
};

static unsigned int occurrences(struct occurrence *o, unsigned int max)
{
	unsigned int kind, nr, n = 0;

	for (kind = 0; kind < W_FAULTS; kind++)
		for (nr = 0; nr < sh.hits[kind] && nr < W_DROPS; nr++)
			if (n < max && !test_bit(nr, sh.drop[kind]))
				o[n++] = (struct occurrence) { kind, nr };
	return n;
}

/* Leaves out @o[from..to); back in again if it does not fail without them. */
static bool try_without(const struct occurrence *o, unsigned int from,
			unsigned int to)
{
	unsigned int i;

	for (i = from; i < to; i++)
		__set_bit(o[i].nr, sh.drop[o[i].kind]);
	if (!out_of_time() && fails(&sh.cls, sh.seed)) {
		keep(&sh.cls, sh.seed);
		return true;
	}
	for (i = from; i < to; i++)
		__clear_bit(o[i].nr, sh.drop[o[i].kind]);
	return false;
}

/* Halves, quarters, ... single ones. */
static bool shrink_occurrences(void)
{
	static struct occurrence o[8192];
	unsigned int n, chunk, i;
	bool some = false;

	n = occurrences(o, ARRAY_SIZE(o));
	for (chunk = (n + 1) / 2; chunk; chunk /= 2) {
		for (i = 0; i < n; i += chunk)
			some |= try_without(o, i, min(i + chunk, n));
		n = occurrences(o, ARRAY_SIZE(o));
	}
	return some;
}

static void tell(void)
{
	unsigned int kind, nr;
	bool first = true;

	printf("# shrunk in %u runs to %u nodes, %llu events, %u ms:\n",
	       sh.tries, sh.cls.nodes, sh.events, sh.cls.ms);
	printf("tests/sim/run --class %s --seed %llu", sh.cls.name, sh.seed);
	sim_tell_class(&sh.cls);
	for (kind = 0; kind < W_FAULTS; kind++)
		for (nr = 0; nr < W_DROPS; nr++) {
			if (!sim_rate(&sh.cls, kind) ||
			    nr >= sh.hits[kind] || !test_bit(nr, sh.drop[kind]))
				continue;
			printf("%s%s:%u", first ? " --drop " : ",",
			       sim_fault_names[kind], nr);
			first = false;
		}
	printf("\n");
}

/**
 * sim_shrink - make the failing run (@cls, @seed) small and tell how to replay it
 * Return: 1, or 0 when it does not fail at all.
 */
int sim_shrink(const struct world_class *cls, u64 seed, unsigned int seconds)
{
	bool some;

	sh.run = mmap(NULL, sizeof(*sh.run), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	BUG_ON(sh.run == MAP_FAILED);
	sh.end = time(NULL) + seconds;
	if (!fails(cls, seed)) {
		printf("# class %s seed %llu does not fail\n", cls->name, seed);
		return 0;
	}
	keep(cls, seed);
	printf("# fails with %u nodes, %llu events, at %llu us: %s\n",
	       cls->nodes, sh.events, sh.at, sh.violation);
	shrink_time();
	shrink_kinds();
	shrink_cluster();
	do {
		some = shrink_time();
		some |= shrink_kinds();
		some |= shrink_occurrences();
	} while (some && !out_of_time());
	sh.run->cls = &sh.cls;
	sh.run->seed = sh.seed;
	memcpy(sh.run->drop, sh.drop, sizeof(sh.drop));
	run_child(true);
	tell();
	return 1;
}
