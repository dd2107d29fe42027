// SPDX-License-Identifier: GPL-2.0-only
/* Events in order of time, chance, the trace, and one run from seed to verdict. */
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include "sim.h"

struct world *the_world;
struct world_sums world_sums;

/* --------------------------------------------------------------------- chance */

#define STEP 0x9e3779b97f4a7c15ULL

static u64 mix(u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

u64 w_random(struct world *w)
{
	return mix(*w->r += STEP);
}

/* The high bits decide, so that no division is needed. */
u64 w_below(struct world *w, u64 n)
{
	return mul_u64_u64_shr(w_random(w), n, 64);
}

bool w_chance(struct world *w, unsigned int mille)
{
	return w_below(w, 1000) < mille;
}

u64 w_between(struct world *w, u64 a, u64 b)
{
	return a + w_below(w, b - a + 1);
}

u64 w_mix(u64 seed, u64 a, u64 b)
{
	return mix(mix(mix(seed + STEP) ^ (a + STEP)) ^ (b + STEP));
}

/*
 * Load and faults have chances of their own, so that a run without one of the
 * faults is much like the run with it (that is what shrinking needs).
 */
u64 *w_chance_from(struct world *w, u64 *stream)
{
	u64 *was = w->r;

	w->r = stream;
	return was;
}

bool w_occurs(struct world *w, enum fault kind)
{
	u32 nr = w->hits[kind]++;

	return !w->drop || nr >= W_DROPS || !test_bit(nr, w->drop[kind]);
}

bool w_fault(struct world *w, enum fault kind)
{
	unsigned int mille = sim_rate(w->cls, kind);

	return mille && !w->calm && w_chance(w, mille) && w_occurs(w, kind);
}

/* ---------------------------------------------------------------------- trace */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
/* One conversion after the other, for they are as wide as each says. */
static void show_args(const char *fmt, const u64 *arg)
{
	char one[16];
	size_t n;

	for (; *fmt; fmt += n) {
		n = strcspn(fmt, "%");
		if (n) {
			printf("%.*s", (int)n, fmt);
			continue;
		}
		n = 1 + strcspn(fmt + 1, "csdiux") + 1;
		snprintf(one, sizeof(one), "%.*s", (int)n, fmt);
		if (fmt[n - 1] == 's')
			printf(one, (const char *)(uintptr_t)*arg);
		else if (strstr(one, "ll"))
			printf(one, *arg);
		else if (strchr(one, 'l'))
			printf(one, (long)*arg);
		else
			printf(one, (unsigned int)*arg);
		arg++;
	}
}
#pragma GCC diagnostic pop

void w_note_show(const struct note *note)
{
	printf("# %9llu ", note->now);
	show_args(note->fmt, note->arg);
	printf("\n");
}

static void dump(struct world *w)
{
	u64 i = w->nr_ring > W_TRACE ? w->nr_ring - W_TRACE : 0;

	for (; i < w->nr_ring; i++)
		w_note_show(&w->ring[i % W_TRACE]);
}

static bool be_quiet;

static void tell_replay(const struct world_class *cls, u64 seed)
{
	if (cls->owners) {
		printf("\n# replay: tests/sim/run --scale %u\n", cls->nodes);
		return;
	}
	printf("\n# replay: tests/sim/run --class %s --seed %llu", cls->name,
	       seed);
	sim_tell_class(cls);
	printf(" [--trace | --shrink]\n");
}

void w_fail(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (w->failed)
		return;
	w->failed = true;
	w->violation = fmt;
	w->failed_at = w->now;
	if (be_quiet)
		return;
	if (!w->loud)
		dump(w);
	printf("# VIOLATION at %llu us: ", w->now);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	tell_replay(w->cls, w->seed);
	fflush(stdout);
}

/* --------------------------------------------------------------------- events */

/*
 * Time and order in one number: 2^29 us are nine minutes, and no run makes 2^35
 * events.
 */
static u64 key_of(u64 at, u64 seq)
{
	BUG_ON(at >> 29);
	return at << 35 | seq;
}

#define CHILDREN 4

static void push(struct world *w, u64 key, u32 event)
{
	u32 i = w->nr_heap++, up;

	for (; i; i = up) {
		up = (i - 1) / CHILDREN;
		if (w->heap[up].key < key)
			break;
		w->heap[i] = w->heap[up];
	}
	w->heap[i] = (struct queued) { key, event };
}

static struct queued pop(struct world *w)
{
	struct queued first = w->heap[0], last = w->heap[--w->nr_heap];
	u32 i = 0, c, k, best;

	while ((c = CHILDREN * i + 1) < w->nr_heap) {
		best = c;
		for (k = c + 1; k < c + CHILDREN && k < w->nr_heap; k++)
			if (w->heap[k].key < w->heap[best].key)
				best = k;
		if (w->heap[best].key > last.key)
			break;
		w->heap[i] = w->heap[best];
		i = best;
	}
	w->heap[i] = last;
	return first;
}

static u32 event_get(struct world *w)
{
	u32 i, n = w->max_events ? w->max_events * 2 : 512;

	if (!w->nr_free) {
		w->heap = realloc(w->heap, n * sizeof(*w->heap));
		w->events = realloc(w->events, n * sizeof(*w->events));
		w->free_events = realloc(w->free_events, n * sizeof(u32));
		for (i = n; i-- > w->max_events;)
			w->free_events[w->nr_free++] = i;
		w->max_events = n;
	}
	return w->free_events[--w->nr_free];
}

void w_at(struct world *w, u64 at, struct node *n,
	  void (*fn)(struct world *w, struct event *e), void *p, u64 a, u64 b)
{
	u32 i = event_get(w);

	w->events[i] = (struct event) {
		.node = n, .life = n ? n->life : 0, .fn = fn, .p = p,
		.a = a, .b = b,
	};
	push(w, key_of(at, ++w->seq), i);
}

/*
 * A look at a node finds what the last one found unless the node has changed, or what it
 * is compared with has. A core changes only under its lock (it asserts that), where it is
 * created and where it is destroyed; of what node.c keeps, scan.c looks at gates_closed.
 * All that happens there is told to w_touch(). Nodes are compared with durable bits, which
 * only become more until store_recount(), with the newest superblock and with the members
 * list: where these change w_touch_all() is told.
 */
void w_touch(struct node *n)
{
	struct world *w = n->w;

	if (w->looking)
		return;
	w->touched |= fclock_node_bit(n->id);
	w->unseen |= fclock_node_bit(n->id);
}

void w_touch_all(struct world *w)
{
	w->unseen = ~0ULL;
}

static void locked(spinlock_t *lock)
{
	w_touch(container_of(lock, struct node, lock));
}

/*
 * After how many events a node is looked at as a whole if it was touched, one after the
 * other; 1: whichever was touched, at once. The fast build does it for each eighth, the
 * one with sanitizers after each.
 */
#ifndef SCAN_EVERY
#define SCAN_EVERY 8
#endif
/* After how many events one is looked at in any case, should something be forgotten above. */
#define SCAN_ANYWAY (16 * SCAN_EVERY)

static u64 turn(struct world *w, unsigned int every)
{
	return fclock_node_bit(1 + w->nr_events / every % w->cls->nodes);
}

static void look(struct world *w)
{
	u64 all = fclock_node_bit(w->cls->nodes) | (fclock_node_bit(w->cls->nodes) - 1);
	u64 touched = w->touched, scan = w->unseen & all;
	struct node *n;

	if (SCAN_EVERY > 1)
		scan &= w->nr_events % SCAN_EVERY ? 0 : turn(w, SCAN_EVERY);
	if (!(w->nr_events % SCAN_ANYWAY)) {
		touched |= turn(w, SCAN_ANYWAY);
		scan |= turn(w, SCAN_ANYWAY);
	}
	w->touched = 0;
	w->unseen &= ~scan;
	w->looking = true;
	for (; touched; touched &= touched - 1) {
		n = &w->node[1 + __ffs64(touched)];
		oracle_background(w, n);
		scan_events(w, n);
	}
	for (; scan; scan &= scan - 1)
		scan_node(w, &w->node[1 + __ffs64(scan)]);
	w->looking = false;
}

static void step(struct world *w)
{
	struct queued q = pop(w);
	struct event e = w->events[q.event];

	w->now = max(w->now, q.key >> 35);
	if (e.node && e.node->life != e.life) {
		w->free_events[w->nr_free++] = q.event;
		return;
	}
	if (e.node && e.node->thaw > w->now) {
		push(w, key_of(e.node->thaw, ++w->seq), q.event);
		return;
	}
	w->free_events[w->nr_free++] = q.event;
	w->nr_events++;
	e.fn(w, &e);
	if (!(w->nr_events % 16))
		shim_rcu_run();
	if (!w->scale)
		look(w);
}

u64 w_stamp(struct world *w, u8 target, u64 first, u64 last, u64 gen)
{
	if (w->nr_wr == w->max_wr) {
		w->max_wr = w->max_wr ? w->max_wr * 2 : 4096;
		w->wr = realloc(w->wr, w->max_wr * sizeof(*w->wr));
	}
	w->wr[w->nr_wr] = (struct wr) {
		.issued = w->now, .ended = W_NEVER, .gen = gen,
		.first = first, .last = last, .target = target,
	};
	return w->nr_wr++;
}

/* ---------------------------------------------------------------------- a run */

static void start_nodes(struct world *w)
{
	u64 all = BIT_ULL(w->cls->nodes - 1) | (BIT_ULL(w->cls->nodes - 1) - 1);
	unsigned int i;

	w->node = calloc(w->cls->nodes + 1, sizeof(*w->node));
	w->cut_until = calloc((w->cls->nodes + 1) * (w->cls->nodes + 1),
			      sizeof(u64));
	w->lag_until = calloc((w->cls->nodes + 1) * (w->cls->nodes + 1),
			      sizeof(u64));
	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		n->id = i;
		n->w = w;
		spin_lock_init(&n->lock);
		INIT_LIST_HEAD(&n->bios);
		INIT_LIST_HEAD(&n->asks);
		INIT_LIST_HEAD(&n->woken);
		n->cur = calloc(w->cls->nodes + 1, sizeof(*n->cur));
		n->peers = all & ~fclock_node_bit(i);
		/* the others hear of the last one later */
		if (w->cls->grow && w->cls->nodes > 2 && i < w->cls->nodes)
			n->peers &= ~fclock_node_bit(w->cls->nodes);
		n->attached = BIT(w->cls->slots) - 1;
		node_start(n);
	}
}

void world_run_until(struct world *w, u64 end)
{
	while (!w->failed && w->nr_heap && w->heap[0].key >> 35 <= end)
		step(w);
	w->now = max(w->now, end);
}

/* What those who are up can do without the others, they have done by then. */
#define ALONE	(20 * W_SEC)

/* Load and faults are over: everything that waits has to end. */
static void settle(struct world *w)
{
	u64 end = w->now + w->cls->settle * W_SEC, began = w->now;
	char why[200];

	w->calm = true;
	w->loading = false;
	world_mend(w);
	while (!w->failed && w->now < end) {
		if (w->cls->rate)
			world_copy_all(w);
		world_run_until(w, w->now + W_SEC / 2);
		nodes_return(w, false, w->now > began + ALONE);
		if (!w->failed && scan_quiet(w, why, sizeof(why)) &&
		    !nodes_return(w, true, true))
			return;
	}
	if (w->failed)
		return;
	if (!be_quiet)
		scan_tell(w);
	w_fail(w, "not quiet after %llu s: %s", (w->now - began) / W_SEC, why);
}

/* Every node reads every copy, whole (some of them, where there are many). */
static void read_all(struct world *w)
{
	unsigned int i, s, every = 1 + w->cls->nodes / 16;

	w_trace(w, "final reads");
	for (i = 1; i <= w->cls->nodes && !w->failed; i += every) {
		struct node *n = &w->node[i];

		for (s = 0; s < w->cls->slots; s++)
			if (n->core && (n->attached & BIT(s)))
				io_submit(n, 1000, s, FCLOCK_IO_READ, 0,
					  (w->truth.slot[s].length ?:
					   w_length(w)) - 1);
		io_submit(n, 1000, FCLOCK_TARGET_A, FCLOCK_IO_READ, 0,
			  w_length(w) - 1);
	}
	settle(w);
	/* `split` of others' slices comes once a second */
	if (!w->failed)
		world_run_until(w, w->now + 5 * W_SEC / 2);
	if (!w->failed)
		scan_status(w);
}

static void world_free(struct world *w)
{
	unsigned int i, s;

	for (i = 1; i <= w->cls->nodes; i++) {
		if (w->node[i].core)
			node_crash(&w->node[i]);
		free(w->node[i].cur);
		for (s = 0; s <= W_SLOTS; s++)
			free(w->node[i].kept[s]);
	}
	net_exit(w);
	oracle_exit(w);
	store_exit(w);
	disk_exit(w);
	io_exit(w);
	while (shim_rcu_run())
		;
	free(w->node);
	free(w->cut_until);
	free(w->lag_until);
	free(w->wr);
	free(w->heap);
	free(w->events);
	free(w->free_events);
	free(w);
	the_world = NULL;
}

/* The cores' own allocations (of the cache) are refused now and then. */
static bool refuse(size_t size, gfp_t gfp)
{
	return the_world && w_fault(the_world, W_nomem);
}

static void add_sums(struct world *w)
{
	world_sums.runs++;
	world_sums.events += w->nr_events;
	world_sums.us += w->now - W_SEC;
#define F(name) world_sums.name += w->nr_##name;
	W_SUMS(F)
#undef F
}

static void world_do(struct world *w)
{
	disk_init(w);
	store_init(w);
	if (w->cls->owners) {
		start_nodes(w);
		scale_do(w);
		return;
	}
	w->loading = true;
	start_nodes(w);
	world_faults(w);
	world_run_until(w, w->now + w->cls->ms * W_MS);
	if (!w->failed)
		settle(w);
	if (!w->failed)
		read_all(w);
}

bool world_run(struct sim_run *run)
{
	struct world *w = calloc(1, sizeof(*w));
	long allocs = shim_allocs;

	w->cls = run->cls;
	w->seed = run->seed;
	w->rng = w_mix(run->seed, 0, 0);
	w->r = &w->rng;
	w->loud = run->loud;
	w->drop = run->drop;
	w->now = W_SEC;
	be_quiet = run->quiet;
	the_world = w;
	shim_lock_hook = locked;
	shim_alloc_fails = run->cls->nomem ? refuse : NULL;
	INIT_LIST_HEAD(&w->dops);
	INIT_LIST_HEAD(&w->conns);
	INIT_LIST_HEAD(&w->ghosts);
	world_do(w);
	add_sums(w);
	run->at = w->failed ? w->failed_at : w->now;
	run->events = w->nr_events;
	memcpy(run->hits, w->hits, sizeof(run->hits));
	run->violation = w->failed ? w->violation : NULL;
	world_free(w);
	if (!run->violation && shim_allocs != allocs) {
		run->violation = "memory is left behind";
		if (!run->quiet)
			printf("# VIOLATION: %ld allocations are left",
			       shim_allocs - allocs);
		if (!run->quiet)
			tell_replay(run->cls, run->seed);
	}
	return run->violation;
}
