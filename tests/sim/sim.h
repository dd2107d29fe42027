/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole cluster in one thread: nodes that are nothing but cores, links made of
 * queues, devices made of stamps, virtual time, and one seed that decides everything
 * else. An oracle compares what happens with what the invariants of protocol.rst promise.
 *
 * sim.c: events, time, chance, trace, one run; disk.c: A and the copies, operations;
 * store.c: M; net.c: links; node.c: nodes, gates, asks; faults.c: what meets them;
 * io.c: bios; oracle.c: what must hold when something happens; answers.c: what users are
 * told; scan.c: what must hold at any time, and in the end; classes.c: clusters;
 * shrink.c: smaller failing runs; scale.c: how fast splits are; main.c: the command line.
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

#define W_SLOTS		4		/* that a class may have */
#define W_MS		1000ULL		/* time is counted in us */
#define W_SEC		1000000ULL
#define W_NEVER		(~0ULL)
#define W_WINDOW	4		/* frames that a socket takes at once */
#define W_GRAIN		8		/* sectors: each is lost or kept by itself */
#define W_SPAN		14		/* grains of a bio that writes, at most */
#define W_TRACE		256		/* events that a failure tells */
#define W_DROPS		2048		/* occurrences of a fault that a mask may name */
#define W_CACHE_ALL	0x7fffffffU	/* no limit */
#define W_CACHE_ANY	0x7ffffffeU	/* each node another one */

struct world;
struct node;
struct bio;
struct conn;

/*
 * What happens to a cluster. By time: mean ms between two, 0: never.
 */
#define W_TIMED(F)							\
	F(trigger) F(stop) F(cut) F(lag) F(slow) F(freeze) F(crash)	\
	F(power) F(leave) F(attach) F(fence) F(expel) F(dup) F(grow)	\
	F(drop) F(requeue) F(limit) F(rate) F(resize)
/* By chance: per mille of the operations concerned. */
#define W_CHANCED(F)							\
	F(cancel) F(copy_fail) F(commit_fail) F(super_fail) F(io_fail)	\
	F(read_fail) F(nomem) F(torn) F(flicker)
/* The cluster and its load. */
#define W_SIZES(F)							\
	F(nodes) F(slots) F(grains) F(slice) F(workers) F(span) F(ms)	\
	F(apart) F(cache) F(settle) F(delay) F(owners) F(away)

enum fault {
#define F(name) W_##name,
	W_TIMED(F) W_CHANCED(F)
#undef F
	W_FAULTS
};

/**
 * struct world_class - a kind of cluster
 * @slice: grains of a slice
 * @workers: per node
 * @span: grains of a bio at most
 * @ms: under load
 * @apart: nodes start at random times, by members lists
 * @cache: KiB
 * @settle: longest time, s, until nothing waits after the last fault
 * @delay: what each step of an operation on a device takes, us; 0: now this, now that
 * @away: of the nodes that leave, so many per mille do not return before the end, and the others
 *	have to go on without them
 * @owners: measured is how fast so many owners split (scale.c); 0: nothing is
 */
struct world_class {
	const char *name;
#define F(name) unsigned int name;
	W_SIZES(F) W_TIMED(F) W_CHANCED(F)
#undef F
};

struct event {
	struct node *node;		/* dropped when that life of it is over */
	u32 life;
	void (*fn)(struct world *w, struct event *e);
	void *p;
	u64 a, b;
};

struct queued {
	u64 key;			/* time and order */
	u32 event;
};

/* ------------------------------------------------------------------- devices */

/* A or a copy: a stamp per sector, with what is stable and what a power cut may take. */
struct dev {
	u64 *vol, *dur;
	u32 *dirty;			/* sectors where they may differ */
	u32 nr_dirty;
	u8 *is_dirty;
	u64 slow_until;
};

/* A piece of a bio that wrote: its stamp is its place in world.wr. */
struct wr {
	u64 issued;
	u64 ended;			/* no effect after it; W_NEVER: it runs */
	u64 gen;
	u32 first, last;		/* sectors */
	u8 target;
};

/*
 * For each sector of a grain: when was the latest of the writes issued that were acknowledged
 * or seen by a read, and since when is that so? The last three answers, newest first.
 */
struct hist {
	struct { u64 issued, since; } was[W_GRAIN][3];
};

/* One generation of a slot as the oracle sees it. */
struct gen {
	struct list_head list;
	u64 number, cut;
	u64 since;			/* writes before it do not count: the power failed */
	u64 *image;			/* A at the trigger, by sector */
	struct hist **hist;		/* by grain, NULL: nothing acknowledged or seen */
};

enum dop_type { DOP_BIO, DOP_COPY, DOP_COMMIT, DOP_SUPER, DOP_OTHER };

/* One split of a batch. */
struct commit_part {
	u64 first, last;
	u16 slots;
};

/* Something on its way to a device; effects happen at random moments. */
struct dop {
	struct list_head list;		/* world.dops */
	struct node *node;
	u32 life;
	u8 type;			/* enum dop_type */
	u8 stage, stages;
	bool landed, dead;
	bool silent;			/* it will have no effect */
	bool counted;			/* in the oracle's counts of what is under way */
	bool issued;
	bool read_error;
	bool shared;
	bool format;
	u8 target, io;
	u16 slots, failed;
	int gate;			/* map it counts at, -1: the core counts it */
	int error;
	u64 first, last;		/* sectors of a bio, grains of a copy */
	u64 end;			/* of a copy: sector behind it */
	u64 slices;			/* of a superblock: that M has before it */
	unsigned int asker;		/* of a superblock: node that asked for it, or 0 */
	u64 ask_id;
	u64 role;			/* and whom M must name; 0: it takes the role */
	u64 stamp;
	void (*effect)(struct world *w, struct dop *d);
	void (*done)(struct world *w, struct dop *d);
	struct dev *dev;		/* how slow it is */
	struct bio *bio;
	struct fclock_object *lock;
	struct fclock_split *split;
	struct fclock_load *load;
	/* of a copy: what was read; of the others: by type */
	u64 *buf;
	struct commit_part *part;
	unsigned int parts;
	u64 generation[W_SLOTS];
	struct fclock_super *sb;
};

/* ----------------------------------------------------------------------- load */

struct bio {
	struct list_head list;		/* node.bios */
	struct fclock_waiter waiter;
	struct node *node;
	u64 first, last;		/* sectors, as submitted */
	u64 submitted;
	u64 end;			/* of its target then, as its node knew it; sectors */
	unsigned int pending;
	unsigned int worker;
	bool error, requeue;
	unsigned int nr_stamps;
	u64 stamps[W_SPAN + 2];		/* of its pieces that wrote */
};

struct ask {
	struct list_head list;		/* node.asks */
	struct fclock_ask ask;
	struct node *node;
	u64 number, called;
	u64 landed;			/* state that a superblock made for it has; 0: none */
	bool met;			/* what it wants stood on M since it was called */
	bool answered;
};

/* What a core has about a slot: its owner frees it. */
struct slot_memory {
	struct fclock_slot_memory mem, spare;
};

/*
 * What a node copied of a slot by itself since its rate, or its share of it, changed.
 * since: the first run of these began.
 */
struct pace {
	u32 life, rate;
	u64 owners, length, since, bytes;
};

struct node {
	struct world *w;
	unsigned int id;
	spinlock_t lock;		/* the core's */
	struct fclock_core *core;	/* NULL: it does not run */
	u32 life;
	bool leaving, running;		/* running: workers work */
	bool away;			/* left, and does not return by itself */
	bool fenced;			/* alive, but cut off from the devices */
	u64 thaw;			/* frozen until */
	u64 timer_at;
	u64 words;			/* of its status, when it was looked at; 0: not yet */
	bool told;			/* by a dm event since */
	u64 peers;			/* that its table names */
	unsigned int moves;		/* to another host */
	u16 attached, detaching;
	u64 room, copy[W_SLOTS];	/* of its tables, sectors */
	u64 planned;			/* there is memory for; sectors */
	struct slot_memory memory[W_SLOTS];
	unsigned int inflight[FCLOCK_CACHE_MAPS];
	u32 gates_wanted, gates_closed;
	u64 gates_seq, gates_done;
	struct list_head bios, asks, woken;
	struct conn **cur;		/* by node id */
	u64 left_at;
	u64 works;			/* bios that its workers began */
	u8 **buffer[W_SLOTS];		/* dm-bufio: by slice, NULL: not read */
	struct pace pace[W_SLOTS];
	u64 locking[FCLOCK_SPLITS];	/* since when; 0: not, or for a request */
	/* confirmed when the view kept_state became durable; 0: not to be looked at */
	u64 kept_state;
	unsigned long *kept[W_SLOTS + 1];	/* by slot; the last one: A */
	unsigned int nr_looks;		/* of scan_node() */
};

/* A shared lock that a node held when it died. It counts while that instance is listed. */
struct ghost {
	struct list_head list;
	unsigned int node;
	u64 instance, first, last;
	u8 slot;
};

/* Who wrote a bitmap block last, and since when there were the owners of then. */
struct writer {
	unsigned int node;
	u64 view;
};

struct slot {
	struct list_head gens;
	struct gen *gen;		/* of the newest superblock, NULL: never triggered */
	u8 state;
	struct dev b;
	u64 fails_until;		/* B gives write errors */
	u64 lasting_since;		/* time when it became active the last time */
	u64 failed;			/* generation of which an owner was told a failure */
	u64 changed, rated;		/* state numbers that gave it its state, its rate */
	/* grains whose bit of this generation stands on M, and does for good */
	unsigned long *bits_vol, *bits_dur;
	/* under way, of instances that may still reach the device */
	unsigned int bios, copies;
	u16 *shared;			/* reads through A, by grain */
};

struct note {
	u64 now;
	const char *fmt;
	u64 arg[9];
};

struct world {
	const struct world_class *cls;
	u64 seed;
	u64 rng;			/* of everything that is not load or fault */
	u64 *r;				/* where chance comes from now */
	u64 now, seq;
	struct queued *heap;
	u32 nr_heap;
	struct event *events;
	u32 *free_events;
	u32 nr_free, max_events;
	struct fclock_geometry geo;	/* as long as it can become: so are the devices */
	struct fclock_geometry first_geo;	/* as it begins */
	u64 sectors;
	struct node *node;		/* by id, from 1 */
	struct slot slot[W_SLOTS];
	struct dev a;
	struct hist **a_hist;
	u64 a_since;
	unsigned int a_writes;		/* under way */
	u8 super[2][FCLOCK_MD_BLOCK_SIZE] __aligned(8);
	/* M's bitmap blocks, slot by slot */
	u8 *m_vol, *m_dur;
	struct dev m;			/* its sectors that may differ, its speed */
	unsigned int used;		/* sectors of a block that can have bits */
	struct writer *writer;		/* by block */
	u64 view;			/* state in which the owners last changed */
	struct list_head ghosts;
	struct fclock_super truth;	/* newest valid one */
	struct fclock_super was;	/* the one before */
	u64 lengthened;			/* state number that gave the volume its length */
	bool super_failed;		/* a write of a superblock was reported as failed */
	bool formatted;
	u64 fail_super_until;
	struct wr *wr;
	u64 nr_wr, max_wr;
	struct list_head dops, conns;
	struct dop *free_dops;
	struct bio *free_bios;
	u64 *cut_until, *lag_until;	/* [from * (nodes + 1) + to] */
	u64 epoch, members;
	u64 lists[64];			/* by epoch */
	u64 told_before;		/* epoch when the power failed last */
	u64 split_epoch;		/* two lists were told under it */
	bool calm;			/* faults and load have ended */
	u32 last_rate;			/* of all copies then */
	bool loading;			/* workers and asks work */
	bool failed;
	bool loud;
	const unsigned long (*drop)[W_DROPS / BITS_PER_LONG];
	u32 hits[W_FAULTS];		/* occurrences so far */
	const char *violation;		/* its format */
	u64 failed_at;
	struct note ring[W_TRACE];
	u64 nr_ring;
	char texts[16][FCLOCK_ANSWER_TEXT];
	unsigned int nr_texts;
	/*
	 * Nodes that may have changed: during this event; since they were looked at as
	 * a whole.
	 */
	u64 touched, unseen;
	bool looking;			/* a lock is taken only to look */
	struct scale *scale;		/* NULL: nothing is measured */
	/* figures */
	u64 nr_bios, nr_triggers, nr_frames, nr_reads, nr_copies, nr_shared;
	u64 nr_eio, nr_events, nr_crashes, nr_powers, nr_lists, nr_scans, nr_asks;
	u64 nr_unknown, nr_background, nr_resizes;
};

/* ------------------------------------------------------------------- sim.c */

u64 w_random(struct world *w);
u64 w_below(struct world *w, u64 n);
bool w_chance(struct world *w, unsigned int mille);
u64 w_between(struct world *w, u64 a, u64 b);
u64 w_mix(u64 seed, u64 a, u64 b);
/* Chance comes from @stream until w_chance_from() is given what this returned. */
u64 *w_chance_from(struct world *w, u64 *stream);
/* Does this fault happen to the operation at hand? */
bool w_fault(struct world *w, enum fault kind);
/* An occurrence of @kind begins; false: it is to be left out. */
bool w_occurs(struct world *w, enum fault kind);
void w_at(struct world *w, u64 at, struct node *n, void (*fn)(struct world *w, struct event *e),
	  void *p, u64 a, u64 b);
/* Something of the node is not what it was. */
void w_touch(struct node *n);
/* What all nodes are compared with may be less than it was. */
void w_touch_all(struct world *w);
#define w_in(w, delay, ...) w_at(w, (w)->now + (delay), __VA_ARGS__)

/*
 * What happened is kept unformatted: pointers to text must stay valid, and all
 * arguments are integers or such pointers.
 */
void w_note_show(const struct note *note);

#define W_ARG(x)	((u64)(x))
#define W_ARGS0(...)	0
#define W_ARGS1(a)	W_ARG(a)
#define W_ARGS2(a, ...)	W_ARG(a), W_ARGS1(__VA_ARGS__)
#define W_ARGS3(a, ...)	W_ARG(a), W_ARGS2(__VA_ARGS__)
#define W_ARGS4(a, ...)	W_ARG(a), W_ARGS3(__VA_ARGS__)
#define W_ARGS5(a, ...)	W_ARG(a), W_ARGS4(__VA_ARGS__)
#define W_ARGS6(a, ...)	W_ARG(a), W_ARGS5(__VA_ARGS__)
#define W_ARGS7(a, ...)	W_ARG(a), W_ARGS6(__VA_ARGS__)
#define W_ARGS8(a, ...)	W_ARG(a), W_ARGS7(__VA_ARGS__)
#define W_ARGS9(a, ...)	W_ARG(a), W_ARGS8(__VA_ARGS__)
#define W_PICK(a, b, c, d, e, f, g, h, i, j, name, ...)	name
#define W_ARGS(...)	W_PICK(_, ##__VA_ARGS__, W_ARGS9, W_ARGS8, W_ARGS7,	\
			       W_ARGS6, W_ARGS5, W_ARGS4, W_ARGS3, W_ARGS2,	\
			       W_ARGS1, W_ARGS0)(__VA_ARGS__)

#define w_trace(w, f, ...) do {						\
	struct world *w_t = (w);					\
	struct note *w_n = &w_t->ring[w_t->nr_ring++ % W_TRACE];	\
									\
	if (0)								\
		printf(f, ##__VA_ARGS__);				\
	*w_n = (struct note) {						\
		.now = w_t->now, .fmt = (f),				\
		.arg = { W_ARGS(__VA_ARGS__) },				\
	};								\
	if (w_t->loud)							\
		w_note_show(w_n);					\
} while (0)

void w_fail(struct world *w, const char *fmt, ...) __printf(2, 3);
u64 w_stamp(struct world *w, u8 target, u64 first, u64 last, u64 gen);

/* A class and its share of make check's budget. */
struct sim_class {
	struct world_class cls;
	unsigned int seeds;
};

extern const struct sim_class sim_classes[];
extern const unsigned int sim_nr_classes;

/* What the runs did, all together. */
#define W_SUMS(F)							\
	F(bios) F(reads) F(shared) F(triggers) F(frames) F(copies)		\
	F(background) F(eio)	\
	F(crashes) F(powers) F(lists) F(resizes) F(scans) F(unknown)

struct world_sums {
	u64 runs, events, us;
#define F(name) u64 name;
	W_SUMS(F)
#undef F
};

extern struct world_sums world_sums;
extern struct world *the_world;

/* A run; what to leave out, how much to tell; and what was found. */
struct sim_run {
	const struct world_class *cls;
	u64 seed;
	unsigned long drop[W_FAULTS][W_DROPS / BITS_PER_LONG];
	bool loud, quiet;
	/* result */
	const char *violation;		/* the format it was told with */
	u64 at, events;			/* us, number */
	u32 hits[W_FAULTS];
};

/* Return: did something break? */
bool world_run(struct sim_run *run);
void world_run_until(struct world *w, u64 end);

/* classes.c */
extern const char *const sim_fault_names[W_FAULTS];
unsigned int *sim_field(struct world_class *cls, const char *name);
unsigned int sim_rate(const struct world_class *cls, enum fault kind);
void sim_tell_class(const struct world_class *cls);

/* shrink.c */
int sim_shrink(const struct world_class *cls, u64 seed, unsigned int seconds);

/* ----------------------------------------------------------------- scale.c */

/* The load of a measurement: the next grain, written whole. */
void scale_work(struct node *n, unsigned int worker);
void scale_do(struct world *w);
int sim_scale(unsigned int nodes);

/* ------------------------------------------------------------------ disk.c */

/* The volume now, by what stands on M. */
static inline u64 w_length(const struct world *w)
{
	return w->formatted ? w->truth.geo.length : w->first_geo.length;
}

static inline u64 w_grains(const struct world *w)
{
	return w->formatted ? w->truth.geo.grains : w->first_geo.grains;
}

void disk_init(struct world *w);
void disk_exit(struct world *w);
void dev_write(struct world *w, struct dev *dev, u64 sector, u64 stamp);
void dev_flush(struct dev *dev);
void disk_crash(struct world *w, struct node *n);
void disk_power(struct world *w);
void disk_fence(struct world *w, struct node *n);
struct dop *dop_new(struct world *w, struct node *n, struct dev *dev);
void dop_count(struct world *w, struct dop *d);
void dop_start(struct world *w, struct dop *d);
bool disk_slot_fails(struct world *w, unsigned int s);
void disk_copy(struct fclock_core *core, struct fclock_split *split);
bool disk_node_idle(struct world *w, struct node *n);

/* The state of a copy that has its point in time. */
static inline bool is_lasting(u8 state)
{
	return state == FCLOCK_SLOT_ACTIVE || state == FCLOCK_SLOT_COMPLETE;
}

static inline u64 w_first_sector(u64 grain)
{
	return grain * W_GRAIN;
}

static inline u64 w_last_sector(struct world *w, u64 grain)
{
	return min(grain * W_GRAIN + W_GRAIN, w->sectors) - 1;
}

/* ----------------------------------------------------------------- store.c */

void store_init(struct world *w);
void store_exit(struct world *w);
void store_node_up(struct node *n);
void store_node_down(struct node *n);
void store_power(struct world *w);
/* The bits of the generation that the superblock names, by what stands on M. */
void store_recount(struct world *w, unsigned int s);
void store_commit(struct fclock_core *core);
void store_load(struct fclock_core *core, struct fclock_load *load);
void store_start_owner(struct fclock_core *core);
void store_write_super(struct fclock_core *core, const struct fclock_super *sb,
		       bool format);
void store_tear_super(struct world *w, struct dop *d);
void store_read_super(struct fclock_core *core);

/* ------------------------------------------------------------------- net.c */

void net_exit(struct world *w);
void net_kick(struct fclock_core *core, unsigned int node);
void net_disconnect(struct fclock_core *core, unsigned int node);
void net_node_up(struct node *n);
void net_connect(struct node *n, unsigned int to);
void net_node_down(struct node *n, bool polite);
bool net_any_cut(struct world *w);
bool net_idle(struct node *n);
void net_cut(struct world *w, struct node *a, struct node *b, u64 until);

/* ------------------------------------------------------------------ node.c */

static inline struct node *node_of(struct fclock_core *core)
{
	return container_of(core->lock, struct node, lock);
}

void node_start(struct node *n);
void node_restart(struct world *w, struct event *e);
void node_attach(struct node *n, unsigned int s);
void node_detach(struct node *n, unsigned int s);
void node_leave(struct node *n);
/* Who left and is away returns: @all, or whom the others may wait for, @late: see node_waited_for(). Return: somebody did. */
bool nodes_return(struct world *w, bool all, bool late);
void node_ask(struct node *n, u8 kind, u16 slots, u32 rate, u64 length);
void node_set_room(struct node *n, u64 sectors);
void node_set_copy(struct node *n, unsigned int s, u64 sectors);
void node_crash(struct node *n);
void node_gate_put(struct node *n, int map);
void node_check_end(struct node *n);
u64 node_cache_limit(struct world *w);

/* ---------------------------------------------------------------- faults.c */

void world_faults(struct world *w);
void world_mend(struct world *w);
/* All copies are to become complete. */
void world_copy_all(struct world *w);
/* The node dies and comes back some time later. */
void world_crash(struct world *w, struct event *e);

/* -------------------------------------------------------------------- io.c */

void io_work(struct node *n, unsigned int worker);
void io_submit(struct node *n, unsigned int worker, u8 target, u8 io, u64 first,
	       u64 last);
void io_wake(struct fclock_core *core, struct fclock_waiter *waiter);
void io_crash(struct node *n);
void io_exit(struct world *w);

/* ---------------------------------------------------------------- oracle.c */

void oracle_super(struct world *w);
void oracle_issue(struct world *w, struct dop *d);
void oracle_read(struct world *w, struct dop *d);
void oracle_copy(struct world *w, struct dop *d);
void oracle_block(struct world *w, struct node *n, unsigned int s, u64 slice);
void oracle_crash(struct world *w, struct node *n);
void oracle_list(struct world *w, u64 members);
void oracle_background(struct world *w, struct node *n);
void oracle_pace(struct world *w, struct node *n, const struct fclock_split *sp);
void oracle_acked(struct world *w, const struct bio *bio);
void oracle_new_bit(struct world *w, unsigned int s, u64 g);
void oracle_power_before(struct world *w);
void oracle_power_after(struct world *w);
void oracle_exit(struct world *w);
bool oracle_member(struct world *w, const struct node *n);
void oracle_begins(struct world *w, struct node *n, const char *what);
void oracle_failed(struct world *w, struct node *n, u16 slots);

/* --------------------------------------------------------------- answers.c */

u64 oracle_end(struct world *w, struct node *n, u8 target);
void oracle_error(struct world *w, const struct bio *bio);
void oracle_pass(struct world *w, const struct bio *bio);
void oracle_asked(struct world *w, struct ask *ask);
void oracle_landed(struct world *w, const struct dop *d);
void oracle_seen(struct world *w);
void oracle_answer(struct world *w, struct ask *ask);

/* ------------------------------------------------------------------ scan.c */

void scan_node(struct world *w, struct node *n);
void scan_view(struct world *w);
void scan_events(struct world *w, struct node *n);
bool scan_quiet(struct world *w, char *why, size_t size);
void scan_status(struct world *w);
void scan_tell(struct world *w);

#endif
