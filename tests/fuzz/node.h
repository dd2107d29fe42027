/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The node that the fuzzers attack: a real core, the end of every action in the
 * hands of who drives it, and a model of the kernel's side that knows what the
 * kernel relies on. What breaks that aborts.
 */
#ifndef FCLOCK_FUZZ_NODE_H
#define FCLOCK_FUZZ_NODE_H

#include <stdlib.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include "core.h"
#include "core-private.h"

#define FZ_NODES	3	/* configured, the node itself is one of them */
#define FZ_SLOTS	2	/* that can be attached here */
#define FZ_BIOS		12
#define FZ_ASKS		3
#define FZ_IDS		8
#define FZ_GRAINS	61	/* of the volume, its last slice is short */
#define FZ_SLICE	16

/* As the transport's: nothing but WELCOME follows a connect. */
enum fz_link {
	FZ_DOWN,
	FZ_GREETING,
	FZ_OPEN,
};

struct fz_bio {
	struct fclock_waiter w;
	enum { BIO_FREE, BIO_WAITS, BIO_GOES } state;
};

struct fz_ask {
	struct fclock_ask ask;
	bool used, ended;
};

/* What the node said to a peer, for answers that fit. */
struct fz_heard {
	u8 type;
	u64 id;
	struct fclock_wire_lock_request req;
};

struct fz_peer {
	enum fz_link link;
	bool stalled;			/* takes no frames */
	u64 instance, seq;
	struct fz_heard heard[FZ_IDS];	/* a ring */
	unsigned int nr_heard;
};

struct fz_slot {
	unsigned long *bits;
	u64 *slice_era;
	u32 *slice_split;
	bool attached, detaching;
};

struct fz {
	spinlock_t lock;		/* the core's */
	struct fclock_core *core;
	unsigned int node;
	struct fclock_geometry geo;
	u64 room;			/* that the node has for it to grow, sectors */
	u64 now, chance;
	/* ordered, not ended */
	struct fclock_split *copy[FCLOCK_SPLITS];
	unsigned int nr_copies;
	struct fclock_load *load[FCLOCK_LOADS];
	unsigned int nr_loads;
	bool commit, start, write, read, gate;
	const struct fclock_super *super;	/* being written */
	u64 gate_seq, timer_at;
	u64 drop;			/* connections to end, bit node */
	/* M */
	bool formatted;
	struct fclock_super m;
	/* called for a bitmap block; NULL: all are empty */
	long (*read_bits)(struct fz *fz, struct fclock_load *load);
	void *ctx;
	struct fz_peer peer[FZ_NODES + 1];
	struct fz_slot slot[FZ_SLOTS];
	struct fz_bio bio[FZ_BIOS];
	struct fz_ask ask[FZ_ASKS];
	bool loud;
};

/* Grains of the longest volume that the node can run. */
static inline u64 fz_most(const struct fz *fz)
{
	return DIV_ROUND_UP_ULL(fz->room, fz->geo.grain);
}

#define fz_say(fz, fmt, ...) do {					\
	if ((fz)->loud)							\
		fprintf(stderr, "%8llu " fmt "\n",			\
			(unsigned long long)(fz)->now, ##__VA_ARGS__);	\
} while (0)

#define fz_check(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "FAILED: %s at %s:%d\n", #cond,		\
			__FILE__, __LINE__);				\
		abort();						\
	}								\
} while (0)

/* An event is an expression about fz->core, with the lock held. */
#define fz_do(fz, event) do {						\
	unsigned long fz_flags;						\
									\
	spin_lock_irqsave(&(fz)->lock, fz_flags);			\
	event;								\
	spin_unlock_irqrestore(&(fz)->lock, fz_flags);			\
	fz_after(fz);							\
} while (0)

void fz_geometry(struct fclock_geometry *geo);
/* Node @node of FZ_NODES, nothing attached, not started. */
void fz_init(struct fz *fz, unsigned int node,
	     const struct fclock_geometry *geo, u64 cache_limit);
void fz_exit(struct fz *fz);
/* What follows every event: connections that end, frames that go out. */
void fz_after(struct fz *fz);

void fz_attach(struct fz *fz, unsigned int slot);
void fz_detach(struct fz *fz, unsigned int slot);

/* Ends of actions; no effect where nothing is under way. */
void fz_copied(struct fz *fz, unsigned int i, bool read_error, u16 failed);
void fz_committed(struct fz *fz, u16 failed);
void fz_loaded(struct fz *fz, unsigned int i, long result, u8 pattern);
void fz_owner_started(struct fz *fz, int error);
void fz_written(struct fz *fz, int error);
void fz_super_read(struct fz *fz, int error);
void fz_gated(struct fz *fz);
void fz_bio(struct fz *fz, unsigned int i, u8 target, u8 io, u64 first,
	    u64 last);
void fz_bio_done(struct fz *fz, unsigned int i);
void fz_tick(struct fz *fz, u64 ms);
void fz_ask(struct fz *fz, unsigned int i, u8 kind, u16 slots);
void fz_ask_cancel(struct fz *fz, unsigned int i);
/* All that is under way ends well, @rounds times. */
void fz_settle(struct fz *fz, unsigned int rounds);

/* Connections, as the transport would. */
void fz_connect(struct fz *fz, unsigned int node);
void fz_lost(struct fz *fz, unsigned int node);
/* A frame from @node: header, and @len bytes of payload in memory of that size. */
void fz_frame(struct fz *fz, unsigned int node, const void *header,
	      const void *payload, size_t len);
void fz_fill_hello(struct fz *fz, unsigned int node,
		   struct fclock_wire_hello *hello);
/*
 * Everybody else is gone, the disks are well: the node must take part alone,
 * trigger, write and read. False: it was told such numbers that it cannot.
 */
bool fz_must_live(struct fz *fz);

#endif
