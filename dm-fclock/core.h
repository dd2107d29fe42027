/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol of one node instance, without I/O: events in, actions out.
 *
 * Every function that takes a struct fclock_core is called with core->lock held
 * (irqs off in the kernel) unless it says otherwise, never sleeps and never
 * allocates, except fclock_core_create() and fclock_core_destroy(). Actions leave
 * through struct fclock_core_ops, called under the same lock: they queue work
 * and return. They must not call back into the core.
 *
 * The parts: client.c (this node's requests and locks), owner.c (lock table,
 * splits, grants), background.c (splits that no request asks for), transition.c
 * (participant), primary.c (the primary), members.c (who lives, who takes the role),
 * core.c (links, frames, dispatch).
 */
#ifndef FCLOCK_CORE_H
#define FCLOCK_CORE_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include "cache.h"
#include "ondisk.h"
#include "wire.h"

struct fclock_core;

/* Tests build with small ones, to run out of them. */
#ifndef FCLOCK_CREDITS
#define FCLOCK_CREDITS		256	/* open LOCK_REQUESTs per client and owner */
#define FCLOCK_LOCKS		4096	/* shared locks per client and owner */
#define FCLOCK_SPLITS		64	/* splits in flight at an owner */
#define FCLOCK_LOADS		8	/* bitmap blocks being read at an owner */
#endif
#ifndef FCLOCK_BACKGROUND
#define FCLOCK_BACKGROUND	4	/* splits in flight that no request asked for */
#endif
#define FCLOCK_OBJECTS		(FCLOCK_CREDITS + FCLOCK_LOCKS)
/* sectors that one split copies at most, if a grain is not more */
#define FCLOCK_MAX_SPLIT	2048
#define FCLOCK_IDLE_MS		2000	/* an unused shared lock is kept that long */
/* minimum hold time of a shared lock before a recall is obeyed */
#define FCLOCK_HOLD_MS		20
#define FCLOCK_PING_MS		1000
#define FCLOCK_DEAD_MS		5000	/* a link that brought nothing for so long is dropped */
#define FCLOCK_RETRY_MS		1000
#define FCLOCK_BURST_MS		100	/* of a copy rate's time that may be made good later */

/* ------------------------------------------------------------------ I/O */

enum fclock_io {
	FCLOCK_IO_READ,			/* of a copy; reads of A never come here */
	FCLOCK_IO_WRITE,		/* and write-zeroes */
	FCLOCK_IO_DISCARD,
	FCLOCK_IO_FLUSH,		/* of a copy, behind its closed gate */
};

enum fclock_verdict {
	FCLOCK_GO,			/* split: to the target's own device */
	FCLOCK_GO_SHARED,		/* read of a copy: read A, under @lock */
	FCLOCK_NO_EFFECT,		/* discard of unsplit grains: complete it */
	FCLOCK_FAIL,			/* I/O error */
	FCLOCK_REQUEUE,			/* give it back to dm */
};

/**
 * struct fclock_waiter - a bio, or what is left of it, that waits in the core
 * @list: core's, while it waits
 * @target: FCLOCK_TARGET_A or a slot
 * @io: enum fclock_io
 * @first, @last: its grains; the caller moves @first on before it submits the rest
 * @end: the sector behind it: I/O beyond the length of the volume, or of the copy, fails
 * @verdict: set before ops->wake()
 * @count: grains from @first that the verdict is about; for FCLOCK_GO and
 *	FCLOCK_GO_SHARED they count as in flight until fclock_client_done()
 * @lock: to hand to fclock_client_done()
 */
struct fclock_waiter {
	struct list_head list;
	u8 target;
	u8 io;
	u8 verdict;
	u64 first, last;
	u64 end;
	u64 count;
	struct fclock_object *lock;
};

/* What the hit path does with an I/O, by map index (slot, or FCLOCK_CACHE_A). */
enum fclock_path {
	FCLOCK_PATH_CORE,		/* submit it to the core (it will wait there) */
	FCLOCK_PATH_PASS,		/* all is split, or nothing depends on it: own device */
	FCLOCK_PATH_CACHE,		/* look into the cache; a miss goes to the core */
	FCLOCK_PATH_FAIL,		/* I/O error at once */
};

/* --------------------------------------------------------- frames to send */

enum fclock_out_type {
	FCLOCK_OUT_REQUEST,		/* struct fclock_object */
	FCLOCK_OUT_RELEASED,
	FCLOCK_OUT_NOT_HELD,
	FCLOCK_OUT_GRANT,		/* struct fclock_record */
	FCLOCK_OUT_RECALL,
};

/* Something that a peer's link sends when it can; queued at most once. */
struct fclock_out {
	struct list_head list;
	u8 type;
};

/* Single frames: bits of fclock_peer.pending, sent lowest first, before the queue. */
enum fclock_pending {
	FCLOCK_SEND_HELLO,
	FCLOCK_SEND_WELCOME,
	FCLOCK_SEND_SUPER,		/* RESUME or ABORT with the newest superblock */
	FCLOCK_SEND_PREPARE,
	FCLOCK_SEND_PREPARED,
	FCLOCK_SEND_ANSWER,
	FCLOCK_SEND_WISH,
	FCLOCK_SEND_CANCEL,
	FCLOCK_SEND_ASK,
	FCLOCK_SEND_PING,
	FCLOCK_SEND_BYE,
};

/* ----------------------------------------------------------- client side */

enum fclock_object_state {
	FCLOCK_OBJ_FREE,
	FCLOCK_OBJ_OPEN,		/* LOCK_REQUEST sent or about to be */
	FCLOCK_OBJ_HELD,		/* shared lock */
	FCLOCK_OBJ_RELEASING,		/* RELEASED waits to be sent */
};

/*
 * A request of this node to one owner, or the shared lock that it became; the low 16 bits of
 * @id are its place in fclock_peer.objects, the rest counts, so that an id is never
 * used twice by an instance. All protected by core->lock.
 */
struct fclock_object {
	struct rb_node node;		/* client.open[] or client.held[], by first grain */
	struct list_head list;		/* peer's free list, or its LRU of held locks */
	struct list_head waiters;
	struct fclock_out out;		/* REQUEST, RELEASED */
	struct fclock_out not_held;	/* answers a RELEASE_REQUEST for an id that is not held */
	u64 id;
	u64 not_held_id;
	u64 first, last;
	u64 granted_at, used_at;	/* ms */
	u32 users;			/* I/Os under the lock */
	u8 owner;			/* node id */
	u8 target;
	u8 kind;
	u8 state;
	bool recalled;
	bool linked;			/* @node is in a tree */
};

/* ------------------------------------------------------------ owner side */

enum fclock_record_state {
	FCLOCK_REC_FREE,
	FCLOCK_REC_WAITING,		/* on a queue of the owner */
	FCLOCK_REC_GRANTING,		/* grant waits to be sent; nothing is held */
	FCLOCK_REC_HELD,		/* shared lock; its grant may still wait to be sent */
};

/* A client's request at its owner, or the shared lock; same place and id as the client's object. */
struct fclock_record {
	struct rb_node node;		/* owner.held[slot] or .stuck_tree, interval trees */
	u64 first, last;		/* HELD: grains locked; stuck: grains asked for */
	u64 subtree_last;
	struct list_head list;		/* the queue it waits on */
	struct fclock_out out;		/* GRANT */
	struct fclock_out recall;	/* RELEASE_REQUEST */
	u64 id;
	u64 want_state;			/* state number of the request */
	u64 ask_first, ask_last;	/* grains that the client asked for */
	u8 client;			/* node id */
	u8 target;
	u8 kind;
	u8 state;
	u8 status;			/* of the grant */
	bool recalled;			/* RELEASE_REQUEST queued or sent */
	bool sent;			/* HELD: the client may have heard it, and hold it */
	bool stuck;			/* in owner.stuck_tree */
	bool cold;			/* was split already when asked */
};

enum fclock_split_state {
	FCLOCK_SPLIT_FREE,
	FCLOCK_SPLIT_LOCKING,		/* waits for shared locks to be released */
	FCLOCK_SPLIT_COPYING,
	FCLOCK_SPLIT_COPIED,		/* waits for the next commit */
	FCLOCK_SPLIT_COMMITTING,
};

/**
 * struct fclock_split - the exclusive lock on a run of grains while it is copied
 * @index: its place in owner.splits
 * @first, @last: grains; no two splits overlap
 * @end: sector behind the last one to copy: in its last grain a copy may end
 * @slots: copies that are to become independent of A here
 * @failed: slots whose copy failed
 * @background: no request began it
 * @ahead: a request began it for grains behind those it asked for
 */
struct fclock_split {
	struct rb_node node;		/* owner.splits_tree by first */
	struct list_head list;		/* free, or the batch */
	struct list_head waiters;	/* records, in order of arrival */
	u64 first, last;
	u64 end;
	u16 index;
	u16 slots;
	u16 failed;
	u8 state;
	bool background;
	bool ahead;
};

/**
 * struct fclock_load - one bitmap block to read
 * @result: set bits, or -errno as fclock_md_load()
 * @bits: the slice's bits, from bit 0
 */
struct fclock_load {
	struct list_head list;
	u64 slice;
	u64 generation;
	unsigned int slot;
	long result;
	unsigned long bits[FCLOCK_MAX_SLICE / BITS_PER_LONG];
};

/* Views that an owner remembers: what it knew before the last one is read again. */
#define FCLOCK_ERAS		4

/**
 * struct fclock_era - a time in which neither the generation of a slot nor the owners
 * changed
 * @stamp: names it; 0: there is none
 * @owners: who owned in it
 * @fresh: the generation began in it: slices without its stamp are empty
 */
struct fclock_era {
	u64 stamp;
	u64 owners;
	bool fresh;
};

/**
 * struct fclock_slot_memory - what an owner keeps about a slot; zeroed by who made it
 * @bits: of whole slices
 * @slices: for so many it is enough
 */
struct fclock_slot_memory {
	unsigned long *bits;
	u64 *slice_era;
	u32 *slice_split;
	u64 slices;
};

/*
 * One slot at the owner. The memory comes with fclock_core_attach(). Grains behind the end of
 * the slot's copy (the volume has grown since) need no split: their bits are set wherever
 * bits are known, and counted nowhere.
 */
struct fclock_owned_slot {
	unsigned long *bits;		/* flat, bit = grain, set after the commit */
	u64 *slice_era;			/* in which the slice's bits were last known to be right */
	u32 *slice_split;		/* set bits in the slice, up to the copy's end */
	u64 slices;			/* that there is memory for */
	struct fclock_slot_memory spare;	/* for a longer volume */
	struct fclock_era era[FCLOCK_ERAS];	/* newest first; one generation */
	u64 split;			/* set bits in slices known in the newest era */
	u64 known;			/* those slices */
};

/**
 * struct fclock_background - background copy of one slot at the owner
 * @next: grain that the walk looks at next
 * @at: time up to which @tokens are paid in, ms
 * @tokens: 1/1000 bytes; below 0: a debt
 * @again_at: at its end the walk begins anew then, ms; 0: not
 * @began: something was copied since the rate or the generation changed
 */
struct fclock_background {
	u64 next;
	u64 at;
	s64 tokens;
	u64 again_at;
	bool began;
};

struct fclock_owner {
	bool active;			/* this node is in the owner list */
	bool ready;			/* ops->start_owner() has ended well */
	bool starting;			/* ops->start_owner() under way */
	bool start_again;		/* and it began too early */
	bool committing;
	u64 start_at;			/* start_owner failed: again then, ms */
	u16 failing;			/* slots that this owner wants offline */
	u64 grains;			/* in its slices, of those below @counted */
	u64 slot_grains[FCLOCK_MAX_SLOTS];	/* ditto, up to the end of the slot's copy */
	u64 counted;
	u64 stamps;			/* eras so far */
	u16 told;			/* complete slots, in this state */
	struct fclock_owned_slot slot[FCLOCK_MAX_SLOTS];
	struct rb_root_cached held[FCLOCK_MAX_SLOTS];	/* shared locks, interval trees */
	struct rb_root splits_tree;
	struct fclock_split *splits;	/* FCLOCK_SPLITS */
	struct list_head free_splits;
	struct list_head copied;	/* splits for the next commit */
	/* splits being committed: the committer reads it without the lock */
	struct list_head batch;
	/* records waiting for a split object, a load or the state, in order */
	struct list_head queue;
	/*
	 * Records waiting for a client that is cut off, or behind one that does, in order. The
	 * tree has the exclusive ones: no new shared lock passes them.
	 */
	struct list_head stuck;
	struct rb_root_cached stuck_tree;
	bool stuck_again;		/* a client came back, or a lock ended */
	struct list_head loads;		/* being read */
	struct list_head free_loads;
	struct fclock_load *load;	/* FCLOCK_LOADS */
	unsigned int nr_copying;
	unsigned int nr_loading;
	unsigned int scan_slot;		/* background reading of bitmaps */
	u64 scan_slice;
	struct fclock_background background[FCLOCK_MAX_SLOTS];
	u16 background_slots;		/* active ones that have a rate */
	bool background_yields;		/* a request waits */
	unsigned int background_turn;	/* slot that may begin next */
	unsigned int nr_background;	/* splits of it */
	/* sequential clients: [kind - 1] */
	struct { u64 next[2]; u32 window[2]; } ahead[FCLOCK_MAX_NODES + 1];
};

/* ------------------------------------------------------------------ peers */

/* What a node wants to stand in the superblock about itself. */
struct fclock_wish {
	bool valid;
	bool joined;
	u16 attached, offline, complete;
	u64 state;			/* in which it was said */
	u64 room;			/* longest volume that it can run, sectors */
	u64 copy[FCLOCK_MAX_SLOTS];	/* of its copies' tables, sectors; 0: not attached */
	char host[FCLOCK_HOST_LEN];
};

/* What a user asks of the primary and waits for; in the waiter's memory. */
struct fclock_ask {
	struct list_head list;
	u8 kind;			/* FCLOCK_ASK_TRIGGER, _STOP, _COPY_RATE, _RESIZE */
	u16 slots;
	u32 rate;			/* COPY_RATE: KiB/s */
	u64 length;			/* RESIZE: sectors */
	u64 id;
	bool sent;
	bool done;
	int error;			/* 0 or -errno */
	char text[FCLOCK_ANSWER_TEXT];
};

/* The ask of one node at the primary. */
struct fclock_asked {
	struct list_head list;		/* primary.asks */
	bool queued;
	u8 kind;
	u16 slots;
	u32 rate;
	u64 length;
	u64 id;
	u64 answer_id;
	int answer_error;
	char answer_text[FCLOCK_ANSWER_TEXT];
};

enum fclock_link {
	FCLOCK_LINK_DOWN,
	FCLOCK_LINK_HELLO,		/* connector: HELLO sent, WELCOME awaited */
	FCLOCK_LINK_UP,
};

struct fclock_peer {
	u8 node;
	bool configured;		/* self, or a `peer` of the table */
	u8 link;			/* self: always UP */
	u64 instance;			/* of the last accepted HELLO or WELCOME, 0: none yet */
	u64 state;			/* state number it last told */
	/* epoch that it told on this link while it was not taking the role; 0: none */
	u64 told;
	bool bye;			/* @instance said BYE */
	bool primary;			/* it had the role when this connection began */
	char host[FCLOCK_HOST_LEN];
	u64 tx_seq, rx_seq;
	u64 heard_at;			/* ms */
	u32 pending;			/* bits of enum fclock_pending */
	struct list_head out;		/* struct fclock_out */
	struct fclock_wish wish;
	struct fclock_asked asked;
	bool prepared;			/* said PREPARED for the pending number */
	bool needs_prepare;		/* participant of the pending transition */
	/* was PREPARED in the last transition: gets its end even if not listed any more */
	bool keep_super;
	u64 split[FCLOCK_MAX_SLOTS];	/* from its PING */
	u16 credits;			/* it, as an owner, gives us */
	u16 nr_open;			/* our open requests there */
	u16 nr_held;
	/*
	 * Its open requests here, its shared locks: a transition passes over who has none,
	 * with gates closed and perhaps 63 of them.
	 */
	u16 rec_open, rec_held;
	struct fclock_object *objects;	/* FCLOCK_OBJECTS: we as its client */
	struct fclock_record *records;	/* FCLOCK_OBJECTS: we as its owner */
	struct list_head free;		/* objects */
	struct list_head lru;		/* objects HELD without users, oldest first */
	struct list_head starved;	/* waiters without a free object */
};

/* ------------------------------------------------------------ transitions */

enum fclock_phase {
	FCLOCK_STARTING,		/* not a participant: reads M, waits */
	FCLOCK_RUNNING,			/* participant */
	FCLOCK_LEAVING,			/* wants out */
	FCLOCK_LEFT,			/* out: BYE may be said, nothing follows */
	/* this instance is over (left out, or cannot write M): drains, then a new instance */
	FCLOCK_ENDING,
};

/* The pending PREPARE at a participant. */
struct fclock_prepare {
	u64 number;			/* 0: none */
	u8 kind;
	u16 slots;
	u64 length;			/* RESIZE: of the volume to come */
	u64 began;			/* ms */
	bool said;			/* PREPARED */
};

enum fclock_primary_phase {
	FCLOCK_PRI_IDLE,
	FCLOCK_PRI_TAKING,		/* writes the superblock with itself as primary */
	FCLOCK_PRI_PREPARING,
	FCLOCK_PRI_WRITING,
	FCLOCK_PRI_ABORTING,		/* writes the newer superblock of an ABORT */
	/* RESUME sent, waits until all that can be reached run it */
	FCLOCK_PRI_RESUMING,
};

struct fclock_primary {
	u8 phase;
	bool writing;			/* ops->write_super() under way */
	/* the newest superblock is announced as RESUME, else ABORT */
	bool resume;
	bool failed;			/* the last write failed */
	u8 kind;
	u16 slots;
	u32 rate;			/* of COPY_RATE */
	u64 length;			/* of RESIZE */
	u64 number;			/* highest number ever used */
	/*
	 * the first with which this instance tried to take the role, since a superblock above the
	 * last such one; from it on M may name this instance, though it was not told so. 0: none
	 */
	u64 tried;
	u64 deadline;			/* of PREPARING, ms */
	u64 retry_at;			/* failed view or write, ms; 0: none */
	bool view_first;		/* an offline failed: views come before the next one */
	/* why the pending transition is being aborted, 0: it is not */
	int error;
	char why[FCLOCK_ANSWER_TEXT];	/* a participant cannot take part in it */
	unsigned int late;		/* node that did not answer in time */
	unsigned int asker;		/* node whose ask this is, 0: internal */
	bool format;			/* @next formats M */
	u64 slices;			/* that M has before @next is written */
	struct fclock_super next;
	struct list_head asks;		/* fclock_asked, in order of arrival */
};

/* -------------------------------------------------------------- the core */

enum fclock_event {
	FCLOCK_EVENT_STATE = 1,		/* state of the volume or of a slot: dm event */
	FCLOCK_EVENT_TRIGGER = 2,	/* a trigger: change uevent on the copies in @slots */
	FCLOCK_EVENT_ENDED = 4,		/* FCLOCK_LEFT reached, or a detach finished: look again */
};

struct fclock_core_ops {
	/* frames wait for a remote peer: call fclock_core_next_frame() until 0 */
	void (*kick)(struct fclock_core *core, unsigned int node);
	/* drop the link of a peer; fclock_core_lost() must follow */
	void (*disconnect)(struct fclock_core *core, unsigned int node);
	/* the waiter has its verdict; it is the caller's again */
	void (*wake)(struct fclock_core *core, struct fclock_waiter *waiter);
	/* copy split->first..last of A to split->slots: fclock_core_copied() */
	void (*copy)(struct fclock_core *core, struct fclock_split *split);
	/* flush the copies, then commit all of owner.batch: fclock_core_committed() */
	void (*commit)(struct fclock_core *core);
	/* read a bitmap block: fclock_core_loaded() */
	void (*load)(struct fclock_core *core, struct fclock_load *load);
	/* flush M and forget what was read from it: fclock_core_owner_started() */
	void (*start_owner)(struct fclock_core *core);
	/*
	 * write (or format M with) *@sb, which does not change meanwhile:
	 * fclock_core_super_written(). Where it has more slices than core->pri.slices
	 * the bitmap blocks of those are zeroed, durably, before it is written
	 */
	void (*write_super)(struct fclock_core *core,
			    const struct fclock_super *sb, bool format);
	/* flush M and read its superblocks: fclock_core_super_read() */
	void (*read_super)(struct fclock_core *core);
	/*
	 * close the gates in @closed (bits by map index), open all others, wait
	 * for what was in flight behind the closed ones: fclock_core_gated(@seq).
	 * A newer call replaces an older one.
	 */
	void (*gate)(struct fclock_core *core, u32 closed, u64 seq);
	/* call fclock_core_timer() at @at ms (replaces the last one) */
	void (*timer)(struct fclock_core *core, u64 at);
	/* the ask has ended: ask->error, ask->text */
	void (*answer)(struct fclock_core *core, struct fclock_ask *ask);
	/* bits of enum fclock_event */
	void (*event)(struct fclock_core *core, unsigned int events, u16 slots);
	u64 (*now)(struct fclock_core *core);		/* ms, monotonic */
	u64 (*random)(struct fclock_core *core);	/* never 0 */
};

struct fclock_core_config {
	unsigned int node;
	u64 peers;			/* bit (id - 1), without self */
	bool networked;			/* has `listen` */
	struct fclock_geometry geo;	/* M's, or of the table, for formatting */
	u64 room;			/* longest volume that can be run, sectors; 0: geo.length */
	u8 uuid[FCLOCK_UUID_LEN];	/* a random one, for formatting */
	u32 trigger_timeout;		/* ms */
	u64 cache_limit;		/* bytes, ~0ull: none */
	char host[FCLOCK_HOST_LEN];
	char origin[32];		/* A's name, for the log */
};

struct fclock_stats {			/* since creation or reset_stats */
	u64 msg_sent, msg_received, lock_requests, lock_grants;
	u64 release_requests, releases, grains_copied, commits;
	u64 cache_discards_base;
	u64 trigger_us;			/* set by the kernel's gates */
};

struct fclock_core {
	spinlock_t *lock;		/* protects all of this; the caller's */
	const struct fclock_core_ops *ops;
	struct fclock_core_config cfg;
	/*
	 * enum fclock_path; written under lock, with a release behind whole[]. The hit path
	 * reads it without: an acquire where it uses whole[] after it, else READ_ONCE.
	 */
	u8 path[FCLOCK_CACHE_MAPS];
	/*
	 * Where I/O of the map ends: whole grains, written under lock, READ_ONCE in the hit
	 * path; and in sectors, under lock. Those of copies are not in use where the path is
	 * CORE or FAIL.
	 */
	unsigned long whole[FCLOCK_CACHE_MAPS];
	u64 limit[FCLOCK_CACHE_MAPS];
	u64 free_from;			/* grain behind the ends of all active copies */
	u64 room;			/* longest volume that this node can run, sectors */
	u64 told_room;			/* by which a primary may be taking this instance in */
	bool told_joined;		/* its last wish was to be a participant: M may list it */
	u64 copy_length[FCLOCK_MAX_SLOTS];	/* of the copies' tables, sectors */

	u8 phase;			/* enum fclock_phase */
	bool have_sb;			/* @sb is valid */
	bool formatted;			/* M is known to hold superblocks, of @cfg.uuid */
	bool started;
	/* two lists under one epoch: suspended until a newer one comes */
	bool split_brain;
	u64 instance;
	struct fclock_super sb;		/* adopted; sb.state is this node's state number */
	u64 epoch;			/* newest members list known */
	u64 members;
	u16 attached;			/* slots with a copy device here */
	u16 detaching;
	u16 too_short;			/* attached by a table shorter than their copy */
	u32 gates;			/* closed gates, bits by map index */
	u64 gate_seq, gated_seq;	/* asked for, reached */
	unsigned int nr_granted;	/* waiters gone with a verdict, in flight */
	unsigned int nr_waiting;	/* bios waiting in the core (status) */
	struct list_head parked;	/* waiters behind a gate or not yet a participant */
	/* objects HELD, recalled, unused, for their minimum hold time */
	struct list_head recalled;
	/* client: open requests by first grain, [kind - 1] */
	struct rb_root open[FCLOCK_CACHE_MAPS][2];
	struct rb_root held[FCLOCK_MAX_SLOTS];		/* client: shared locks by first grain */
	u64 next_id;			/* counts; shifted over the object's place */
	struct fclock_prepare prep;	/* number ~0: this instance does nothing new any more */
	struct fclock_primary pri;
	struct fclock_owner own;
	struct list_head asks;		/* local fclock_ask, first one is at the primary */
	u64 timer_at;			/* armed, 0: not */
	u64 reread_at;			/* reading M, 0: not wanted */
	u64 ping_at;
	u64 said_waiting;		/* for whom the log already said we wait */
	u64 said_length;		/* of a volume too long for this node, that it named */
	u16 said_unowned;		/* active slots without an owner that it named */
	u64 said_cut_off;		/* nodes of which it says that I/O waits for them */
	bool reading;
	/* since that read began: it proves nothing about the role */
	bool news;
	bool leave_now;
	bool settling;
	bool md_error;			/* M could not be read the last time */
	bool untaken;			/* the role is this node's, and M could not be written */
	u64 cancel_id;			/* SEND_CANCEL */
	char why[FCLOCK_ANSWER_TEXT];	/* a link is refused: of one event */
	struct fclock_super scratch;	/* of one event: too large for a stack */
	struct fclock_super old;	/* what was adopted before, during the adoption */
	u8 frame[FCLOCK_FRAME_MAX];	/* to self */
	struct fclock_cache cache;
	struct fclock_stats stats;
	struct fclock_peer peer[FCLOCK_MAX_NODES + 1];	/* by node id */
};

/**
 * fclock_core_create - allocate a core (large: kvmalloc). May sleep, no lock held.
 * Return: NULL when memory is short.
 */
struct fclock_core *fclock_core_create(const struct fclock_core_config *cfg,
				       const struct fclock_core_ops *ops,
				       spinlock_t *lock); /* the caller's, as above */
/* No event may follow. May sleep, no lock held. */
void fclock_core_destroy(struct fclock_core *core);

/* ------ life: volume.c calls these */

/*
 * M has a superblock, of the volume @uuid: nothing of another one is believed. The
 * constructor tells; later the core knows from what it reads and adopts.
 */
void fclock_core_formatted(struct fclock_core *core, const u8 *uuid);
/* First resume. Everything that was submitted before waits. */
void fclock_core_start(struct fclock_core *core);
/* Last target goes: asks to be taken out; ends with FCLOCK_EVENT_ENDED and phase FCLOCK_LEFT. */
void fclock_core_leave(struct fclock_core *core);
/*
 * The caller waited long enough: no more waiting for the view. Phase LEFT as soon
 * as nothing is in flight here.
 */
void fclock_core_leave_now(struct fclock_core *core);
/**
 * fclock_core_attach - a copy device of @slot appeared on this node
 * @mem: for a volume of the room's length. It belongs to the core until
 *	fclock_core_detached() is true
 * @length: of its table, sectors
 */
void fclock_core_attach(struct fclock_core *core, unsigned int slot,
			const struct fclock_slot_memory *mem, u64 length);
/*
 * More memory for an attached slot, in use from when the volume has grown beyond what the
 * present one is enough for; until then another call replaces it.
 */
void fclock_core_spare(struct fclock_core *core, unsigned int slot,
		       const struct fclock_slot_memory *mem);
/* Memory of the slot, from @bits on, that the core does not use and will not. */
bool fclock_core_spared(struct fclock_core *core, unsigned int slot,
			const unsigned long *bits);
/*
 * A reload changed the copy's table. -EBUSY: shorter than the active copy, or than the
 * one that is being triggered.
 */
int fclock_core_set_copy(struct fclock_core *core, unsigned int slot,
			 u64 length);
/*
 * What the others count on: the volume's length, that of the resize under way, and while this
 * node joins what it has told.
 */
u64 fclock_core_least_room(struct fclock_core *core);
/*
 * A reload of the origin: volumes of up to @sectors can be run. All attached slots have memory
 * for that. -EBUSY: less than the least room.
 */
int fclock_core_set_room(struct fclock_core *core, u64 sectors);
/* The copy device goes: from now on nothing new is copied to it here. */
void fclock_core_detach(struct fclock_core *core, unsigned int slot);
/* No copy or commit for the slot is under way here any more, its memory is the caller's. */
bool fclock_core_detached(struct fclock_core *core, unsigned int slot);
/* A reload changed trigger_timeout. */
void fclock_core_set_timeout(struct fclock_core *core, u32 ms);
/**
 * fclock_core_add_peers - a reload named new peers (ids that it leaves out stay configured)
 * @peers: bit (id - 1)
 * Context: may sleep and allocate, no lock held; not concurrent with itself.
 * Return: 0 or -ENOMEM (some of them may be configured then).
 */
int fclock_core_add_peers(struct fclock_core *core, u64 peers);

/* ------ messages of the user */

/* Ends with ops->answer(). @ask stays in place until then or until the cancel. */
void fclock_core_ask(struct fclock_core *core, struct fclock_ask *ask);
/* Nobody waits any more; what is not yet durable is aborted. @ask is the caller's at once. */
void fclock_core_ask_cancel(struct fclock_core *core, struct fclock_ask *ask);
/* The nodes of the tables, this one too: bit (id - 1). Context: core->lock. */
u64 fclock_core_configured(struct fclock_core *core);
/*
 * -EINVAL: unknown ids or empty, epoch 0 or above FCLOCK_EPOCH_MAX; -EEXIST: another list
 * under this epoch; -ESTALE: older.
 */
int fclock_core_members(struct fclock_core *core, u64 epoch, u64 members);
/* Likewise, of a manager, which knows of nodes that are not configured; also before the start. */
int fclock_core_adopt_members(struct fclock_core *core, u64 epoch, u64 members);
void fclock_core_reset_stats(struct fclock_core *core);
/* Forget every confirmation. */
void fclock_core_drop_cache(struct fclock_core *core);
/* A reload changed cache_limit, bytes. */
void fclock_core_set_cache_limit(struct fclock_core *core, u64 limit);

/* ------ I/O: target.c calls these on a miss */

void fclock_client_submit(struct fclock_core *core, struct fclock_waiter *w);
/* An I/O that went with FCLOCK_GO or FCLOCK_GO_SHARED has ended; @lock as in the waiter. */
void fclock_client_done(struct fclock_core *core, struct fclock_object *lock);
/* noflush suspend: every waiter of @target (FCLOCK_TARGET_A or slot) gets FCLOCK_REQUEUE. */
void fclock_client_requeue(struct fclock_core *core, u8 target);

/* ------ ends of actions */

void fclock_core_copied(struct fclock_core *core, struct fclock_split *split,
			bool read_error, u16 failed);
/* @failed: slots whose flush failed; all ones when M failed. */
void fclock_core_committed(struct fclock_core *core, u16 failed);
void fclock_core_loaded(struct fclock_core *core, struct fclock_load *load);
void fclock_core_owner_started(struct fclock_core *core, int error);
/* @error: -ESTALE: M has a newer one, nothing was written */
void fclock_core_super_written(struct fclock_core *core, int error);
/* @error: -ENODATA: M is all zero */
void fclock_core_super_read(struct fclock_core *core, int error,
			    const struct fclock_super *sb);
void fclock_core_gated(struct fclock_core *core, u64 seq);
void fclock_core_timer(struct fclock_core *core);

/* ------ links: transport (see transport.h for the meaning) */

void fclock_core_opened(struct fclock_core *core, unsigned int node);
/**
 * fclock_core_hello - a HELLO came in from @node
 * @refusal: FCLOCK_HELLO_FRAME bytes for a WELCOME that refuses; *@refusal_len its length or 0
 * Return: 0: the link is up, an older one of the node is forgotten; -errno: refused.
 */
int fclock_core_hello(struct fclock_core *core, unsigned int node,
		      const struct fclock_msg *msg,
		      const struct fclock_wire_hello *hello, void *refusal,
		      size_t *refusal_len);
int fclock_core_receive(struct fclock_core *core, unsigned int node,
			const struct fclock_msg *msg, const void *payload);
int fclock_core_next_frame(struct fclock_core *core, unsigned int node,
			   void *buf);
void fclock_core_lost(struct fclock_core *core, unsigned int node);

/* ------ status */

enum fclock_volume_state {
	FCLOCK_VOLUME_ACTIVE,
	FCLOCK_VOLUME_SUSPENDED,
	FCLOCK_VOLUME_FAILED,
};

enum fclock_volume_state fclock_core_volume_state(struct fclock_core *core);
/* Split grains of a slot: own slices exactly, others' from their PING. */
u64 fclock_core_split(struct fclock_core *core, unsigned int slot);
/* All grains of its copy; of the volume, while there is none. */
u64 fclock_core_copy_grains(struct fclock_core *core, unsigned int slot);
/* Shared locks this node holds as a client on a slot. */
u64 fclock_core_shared_locks(struct fclock_core *core, unsigned int slot);
u64 fclock_core_connected(struct fclock_core *core);	/* peers up, number */

#endif
