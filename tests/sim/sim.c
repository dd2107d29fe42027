// SPDX-License-Identifier: GPL-2.0-only
/* Events in order of time, chance, the trace, and one run from seed to verdict. */
#include <linux/rcupdate.h>
#include "sim.h"

struct world *the_world;
struct world_sums world_sums;

/* -------------------------------------------------------------- chance, trace */

u64 w_random(struct world *w)
{
	u64 x = w->rng += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

u64 w_below(struct world *w, u64 n)
{
	return w_random(w) % n;
}

bool w_chance(struct world *w, unsigned int mille)
{
	return w_below(w, 1000) < mille;
}

u64 w_between(struct world *w, u64 a, u64 b)
{
	return a + w_below(w, b - a + 1);
}

void w_trace(struct world *w, const char *fmt, ...)
{
	char *line = w->ring[w->nr_ring++ % ARRAY_SIZE(w->ring)];
	va_list args;
	int n;

	n = snprintf(line, sizeof(w->ring[0]), "%9llu ", (unsigned long long)w->now);
	va_start(args, fmt);
	vsnprintf(line + n, sizeof(w->ring[0]) - n, fmt, args);
	va_end(args);
	if (w->loud)
		printf("# %s\n", line);
}

static void dump(struct world *w)
{
	unsigned int i, n = ARRAY_SIZE(w->ring);

	if (w->loud)
		return;
	for (i = w->nr_ring > n ? w->nr_ring - n : 0; i < w->nr_ring; i++)
		printf("#   %s\n", w->ring[i % n]);
}

void w_fail(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (w->failed)
		return;
	w->failed = true;
	dump(w);
	printf("# VIOLATION at %llu us: ", (unsigned long long)w->now);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n# replay: tests/sim/run --class %s --seed %llu\n", w->cls->name,
	       (unsigned long long)w->seed);
	fflush(stdout);
}

/* ------------------------------------------------------------------- events */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static void push(struct world *w, const struct event *e)
{
	unsigned int i;

	if (w->nr_heap == w->max_heap) {
		w->max_heap = w->max_heap ? w->max_heap * 2 : 256;
		w->heap = realloc(w->heap, w->max_heap * sizeof(*w->heap));
	}
	for (i = w->nr_heap++; i && earlier(e, &w->heap[(i - 1) / 2]);
	     i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = *e;
}

static struct event pop(struct world *w)
{
	struct event first = w->heap[0], e = w->heap[--w->nr_heap];
	unsigned int i = 0, c;

	while ((c = 2 * i + 1) < w->nr_heap) {
		if (c + 1 < w->nr_heap && earlier(&w->heap[c + 1], &w->heap[c]))
			c++;
		if (!earlier(&w->heap[c], &e))
			break;
		w->heap[i] = w->heap[c];
		i = c;
	}
	w->heap[i] = e;
	return first;
}

void w_at(struct world *w, u64 at, struct node *n,
	  void (*fn)(struct world *w, struct event *e), void *p, u64 a, u64 b)
{
	struct event e = {
		.at = at, .seq = ++w->seq, .node = n, .life = n ? n->life : 0,
		.fn = fn, .p = p, .a = a, .b = b,
	};

	push(w, &e);
}

/* False: nothing is left to happen. */
static bool step(struct world *w)
{
	struct event e;

	if (!w->nr_heap)
		return false;
	e = pop(w);
	w->now = max(w->now, e.at);
	if (e.node && e.node->life != e.life)
		return true;
	if (e.node && e.node->thaw > w->now) {
		e.at = e.node->thaw;
		e.seq = ++w->seq;
		push(w, &e);
		return true;
	}
	w->nr_events++;
	e.fn(w, &e);
	if (!(w->nr_events % 16))
		shim_rcu_run();
	return true;
}

u64 w_stamp(struct world *w)
{
	if (w->nr_stamps == w->max_stamps) {
		w->max_stamps = w->max_stamps ? w->max_stamps * 2 : 1024;
		w->acked = realloc(w->acked, w->max_stamps * sizeof(u64));
	}
	w->acked[w->nr_stamps] = W_NEVER;
	return w->nr_stamps++;
}

/* -------------------------------------------------------------------- a run */

static void start_nodes(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		n->id = i;
		n->w = w;
		spin_lock_init(&n->lock);
		INIT_LIST_HEAD(&n->bios);
		INIT_LIST_HEAD(&n->asks);
		INIT_LIST_HEAD(&n->woken);
		n->attached = BIT(w->cls->slots) - 1;
		node_start(n);
	}
}

static void run_until(struct world *w, u64 end)
{
	while (!w->failed && w->nr_heap && w->heap[0].at <= end)
		if (!step(w))
			break;
	w->now = max(w->now, end);
}

/* Load and faults are over: everything that waits has to end. */
static void settle(struct world *w)
{
	u64 end = w->now + 120 * W_SEC, began = w->now;
	char why[200];
	unsigned int tries;

	w->calm = true;
	w->loading = false;
	world_mend(w);
	while (!w->failed && w->now < end) {
		run_until(w, w->now + W_SEC);
		if (world_quiet(w, why, sizeof(why)))
			return;
	}
	tries = (w->now - began) / W_SEC;
	if (!w->failed)
		world_tell(w);
	if (!w->failed)
		w_fail(w, "not quiet after %u s: %s", tries, why);
}

/* Every node reads every copy, whole. */
static void read_all(struct world *w)
{
	unsigned int i, s;

	w_trace(w, "final reads");
	for (i = 1; i <= w->cls->nodes && !w->failed; i++) {
		for (s = 0; s < w->cls->slots; s++)
			if (w->node[i].core &&
			    (w->node[i].attached & BIT(s)))
				io_submit(&w->node[i], 1000, s, FCLOCK_IO_READ,
					  0, w->geo.grains - 1);
	}
	settle(w);
}

static void world_free(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++)
		if (w->node[i].core)
			node_crash(&w->node[i]);
	net_exit(w);
	disk_exit(w);
	oracle_exit(w);
	while (shim_rcu_run())
		;
	free(w->acked);
	free(w->heap);
	free(w);
	the_world = NULL;
}

int world_run(const struct world_class *cls, u64 seed, bool loud)
{
	struct world *w = calloc(1, sizeof(*w));
	long allocs = shim_allocs;
	int failed;

	w->cls = cls;
	w->seed = seed;
	w->rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	w->loud = loud;
	w->now = 1000 * W_MS;
	the_world = w;
	INIT_LIST_HEAD(&w->dops);
	INIT_LIST_HEAD(&w->conns);
	disk_init(w);
	net_init(w);
	w->loading = true;
	start_nodes(w);
	world_faults(w);
	run_until(w, w->now + cls->ms * W_MS);
	if (!w->failed)
		settle(w);
	if (!w->failed)
		read_all(w);
	failed = w->failed;
	world_sums.runs++;
	world_sums.events += w->nr_events;
	world_sums.us += w->now - 1000 * W_MS;
	world_sums.bios += w->nr_bios;
	world_sums.reads += w->nr_reads;
	world_sums.shared += w->nr_shared;
	world_sums.triggers += w->nr_triggers;
	world_sums.frames += w->nr_frames;
	world_sums.copies += w->nr_copies;
	world_sums.eio += w->nr_eio;
	world_free(w);
	if (!failed && shim_allocs != allocs) {
		printf("# LEAK: %ld allocations, --class %s --seed %llu\n",
		       shim_allocs - allocs, cls->name,
		       (unsigned long long)seed);
		failed = 1;
	}
	return failed;
}
