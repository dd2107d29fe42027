/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole cluster in one thread: nodes that are nothing but cores, links made of
 * queues, devices made of stamps, virtual time, and one seed that decides everything
 * else. An oracle compares what happens with what DESIGN.md section 2 promises.
 *
 * sim.c: events, time, chance, trace; disk.c: A, B, M; net.c: links;
 * node.c: nodes, gates, asks, faults; io.c: bios; oracle.c.
 */
#ifndef FCLOCK_SIM_H
#define FCLOCK_SIM_H

#include <stdarg.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/bitops.h>
#include "core.h"
#include "core-private.h"

#define W_NODES		4
#define W_SLOTS		3
#define W_MS		1000ULL		/* time is counted in us */
#define W_SEC		1000000ULL
#define W_NEVER		(~0ULL)
#define W_WINDOW	4		/* frames that a socket takes at once */

struct world;
struct node;
struct bio;

/* Mean ms between, 0: never; per mille of operations that fail. */
struct world_class {
	const char *name;
	unsigned int nodes, slots, grains, slice;
	unsigned int workers;		/* per node */
	unsigned int span;		/* grains of a bio at most */
	u64 ms;				/* under load */
	unsigned int trigger, stop, cancel, drop_cache, requeue;
	unsigned int cut, freeze, crash, power, leave, attach, fence, expel;
	unsigned int copy_fail, commit_fail, super_fail;
	int cache;			/* KiB; -1: unlimited; -2: any */
	bool start_apart;		/* nodes start at random times, by members lists */
};

struct event {
	u64 at, seq;
	struct node *node;		/* dropped when that life of it is over */
	u32 life;
	void (*fn)(struct world *w, struct event *e);
	void *p;
	u64 a, b;
};

/* One generation of a slot as the oracle sees it. */
struct entry {
	u64 stamp, issued;
};

struct gen {
	struct list_head list;
	u64 number, cut;
	u64 *image;			/* A at the trigger */
	struct entry **written;		/* per grain, since then */
	unsigned int *nr;
	bool lost;			/* was offline: never readable again */
};

/* Something on its way to a device; effects happen at random moments. */
struct dop {
	struct list_head list;		/* world.dops */
	struct node *node;
	u32 life;
	u8 stage, stages;
	bool landed, dead;
	bool silent;			/* it will have no effect */
	void (*effect)(struct world *w, struct dop *d);
	void (*done)(struct world *w, struct dop *d);
	/* bios, copies */
	enum { DOP_BIO, DOP_COPY, DOP_COMMIT, DOP_OTHER, DOP_SUPER } type;
	u8 target, io;
	u64 first, last, stamp;
	bool shared;
	int gate;			/* map it counts at, -1: the core counts it */
	struct bio *bio;
	struct fclock_object *lock;
	struct fclock_split *split;
	struct fclock_load *load;
	u64 buf[256];
	u16 slots, failed;
	u64 generation[FCLOCK_MAX_SLOTS];
	bool read_error;
	int error;
	struct fclock_super sb;
	bool format;
};

struct bio {
	struct list_head list;		/* node.bios */
	struct fclock_waiter waiter;
	struct node *node;
	u64 first, last;		/* as submitted */
	u64 submitted, stamp;
	u64 seen;			/* generation first used (reads) */
	int pending;
	bool cut, error, requeue;
	unsigned int worker;
};

struct ask {
	struct list_head list;		/* node.asks */
	struct fclock_ask ask;
	struct node *node;
	u64 called;
	bool ended;
};

struct conn;

struct node {
	struct world *w;
	unsigned int id;
	spinlock_t lock;		/* the core's */
	struct fclock_core *core;	/* NULL: it does not run */
	u32 life;
	bool leaving, running;		/* running: workers work */
	bool fenced;			/* alive, but cut off from the devices */
	u64 thaw;			/* frozen until */
	u64 timer_at;
	u16 attached, detaching;
	unsigned long *bits[FCLOCK_MAX_SLOTS];
	u64 *slice_gen[FCLOCK_MAX_SLOTS];
	u32 *slice_split[FCLOCK_MAX_SLOTS];
	unsigned int inflight[FCLOCK_CACHE_MAPS];
	u32 gates_wanted, gates_closed;
	u64 gates_seq, gates_done;
	struct list_head bios, asks, woken;
	struct conn *cur[W_NODES + 1];
	u64 left_at;
	/* dm-bufio: blocks of M as this node last saw them, generation per grain */
	u64 *cache[FCLOCK_MAX_SLOTS];
	bool *cached[FCLOCK_MAX_SLOTS];	/* by slice */
};

struct slot {
	struct list_head gens;
	struct gen *gen;		/* of the newest superblock, NULL: never triggered */
	u8 state;
	u64 *vol, *dur;			/* B */
	u64 *mvol, *mdur;		/* bits on M: generation, by grain */
	u64 fails_until;		/* B gives write errors */
};

struct world {
	const struct world_class *cls;
	u64 seed, rng;
	u64 now, seq;
	struct event *heap;
	unsigned int nr_heap, max_heap;
	struct fclock_geometry geo;
	struct node node[W_NODES + 1];
	struct slot slot[W_SLOTS];
	u64 *a_vol, *a_dur;
	u8 super[2][FCLOCK_MD_BLOCK_SIZE];
	struct fclock_super truth;	/* newest valid one */
	bool formatted;
	u64 fail_super_until;
	u64 *acked;			/* by stamp: when, W_NEVER: not */
	u64 nr_stamps, max_stamps;
	struct list_head dops, conns;
	u64 cut_until[W_NODES + 1][W_NODES + 1];
	u64 epoch, members;
	bool calm;			/* faults and load have ended */
	bool loading;			/* workers and asks work */
	bool failed;
	bool loud;
	u64 nr_bios, nr_triggers, nr_frames, nr_reads, nr_copies, nr_shared;
	u64 nr_eio, nr_events;
	char ring[64][200];
	unsigned int nr_ring;
	u32 powered;			/* power cuts */
};

/* world.c */
u64 w_random(struct world *w);
u64 w_below(struct world *w, u64 n);
bool w_chance(struct world *w, unsigned int mille);
u64 w_between(struct world *w, u64 a, u64 b);
void w_at(struct world *w, u64 at, struct node *n, void (*fn)(struct world *w, struct event *e),
	  void *p, u64 a, u64 b);
#define w_in(w, delay, ...) w_at(w, (w)->now + (delay), __VA_ARGS__)
void w_trace(struct world *w, const char *fmt, ...) __printf(2, 3);
void w_fail(struct world *w, const char *fmt, ...) __printf(2, 3);
u64 w_stamp(struct world *w);
/* A class and its share of make check's budget. */
struct sim_class {
	struct world_class cls;
	unsigned int seeds;
};

extern const struct sim_class sim_classes[];
extern const unsigned int sim_nr_classes;

/* What the runs did, all together. */
struct world_sums {
	u64 runs, events, us;
	u64 bios, reads, shared, triggers, frames, copies, eio;
};

extern struct world_sums world_sums;

int world_run(const struct world_class *cls, u64 seed, bool loud);
extern struct world *the_world;

/* disk.c */
void disk_init(struct world *w);
void disk_exit(struct world *w);
void disk_crash(struct world *w, struct node *n);
void disk_power(struct world *w);
void disk_fence(struct world *w, struct node *n);
struct dop *dop_new(struct world *w, struct node *n);
void dop_start(struct world *w, struct dop *d);
void disk_copy(struct fclock_core *core, struct fclock_split *split);
void disk_commit(struct fclock_core *core);
void disk_load(struct fclock_core *core, struct fclock_load *load);
void disk_start_owner(struct fclock_core *core);
void disk_write_super(struct fclock_core *core, const struct fclock_super *sb,
		      bool format);
void disk_read_super(struct fclock_core *core);
bool disk_node_idle(struct world *w, struct node *n);

/* net.c */
void net_init(struct world *w);
void net_exit(struct world *w);
void net_kick(struct fclock_core *core, unsigned int node);
void net_disconnect(struct fclock_core *core, unsigned int node);
void net_node_up(struct node *n);
void net_node_down(struct node *n, bool polite);
bool net_idle(struct node *n);

/* node.c */
static inline struct node *node_of(struct fclock_core *core)
{
	return container_of(core->lock, struct node, lock);
}

void node_start(struct node *n);
void node_crash(struct node *n);
void node_gate_put(struct node *n, int map);
void world_faults(struct world *w);
void world_mend(struct world *w);
void world_tell(struct world *w);
bool world_quiet(struct world *w, char *why, size_t size);
void node_check_end(struct node *n);

/* io.c */
void io_work(struct node *n, unsigned int worker);
void io_submit(struct node *n, unsigned int worker, u8 target, u8 io, u64 first,
	       u64 last);
void io_wake(struct fclock_core *core, struct fclock_waiter *waiter);
void io_crash(struct node *n);
void io_requeue(struct node *n);

/* oracle.c */
void oracle_super(struct world *w);
void oracle_issue(struct world *w, struct dop *d);
void oracle_read(struct world *w, struct dop *d);
void oracle_copy(struct world *w, struct dop *d);
void oracle_bits(struct world *w, unsigned int s, u64 g);
void oracle_power_before(struct world *w);
void oracle_power_after(struct world *w);
void oracle_answer(struct world *w, struct ask *ask);
void oracle_exit(struct world *w);

#endif
