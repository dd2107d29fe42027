/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The volume in the kernel: one per metadata device number. It joins the core
 * with the devices, the store on M, the copier and the sockets.
 *
 * volume.c: life and death; length.c: how long it is; check.c: what is refused;
 * actions.c: what the core orders; io.c: bios; table.c: constructor arguments;
 * manager.c: members lists from an engine; status.c; message.c; target.c: dm.
 */
#ifndef FCLOCK_VOLUME_H
#define FCLOCK_VOLUME_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "auth.h"
#include "compat.h"
#include "copier.h"
#include "core.h"
#include "manager.h"
#include "metadata.h"
#include "transport.h"

#undef DM_MSG_PREFIX
#define DM_MSG_PREFIX "fclock"

/* The mode in which a device is opened: its type changed in 6.5. */
#ifdef BLK_OPEN_READ
#define FCLOCK_OPEN_READ	BLK_OPEN_READ
#define FCLOCK_OPEN_RW		(BLK_OPEN_READ | BLK_OPEN_WRITE)
#else
#define FCLOCK_OPEN_READ	FMODE_READ
#define FCLOCK_OPEN_RW		(FMODE_READ | FMODE_WRITE)
#endif

#define FCLOCK_DEFAULT_TIMEOUT	10000	/* ms */
#define FCLOCK_MIN_TIMEOUT	1
#define FCLOCK_MAX_TIMEOUT	600000
#define FCLOCK_MAX_CACHE_KIB	BIT_ULL(40)

/**
 * struct fclock_args - what a table of fclock-origin says
 * @grain: 0: not given
 * @cache_limit: KiB
 * @peers: in the order given
 * @peer_mask: bit (id - 1)
 * @key_word: as given; never the key itself
 */
struct fclock_args {
	unsigned int node;
	u32 grain;
	u32 trigger_timeout;		/* ms */
	u64 cache_limit;
	bool has_grain, has_listen, has_cache_limit, has_timeout, has_cluster;
	bool has_key, insecure;
	char cluster[FCLOCK_CLUSTER_LEN];
	char key_word[FCLOCK_KEY_WORD];
	struct fclock_addr listen;
	u64 peer_mask;
	unsigned int nr_peers;
	struct fclock_peer_addr peer[FCLOCK_MAX_NODES];
};

/**
 * struct fclock_target - ti->private of both targets
 * @list: volume->targets; volume->targets_lock
 * @dev: A or the copy device, where split grains are
 * @origin: copy: its own reference to A
 * @map: FCLOCK_CACHE_A or the slot
 * @target: FCLOCK_TARGET_A or the slot
 * @args: origin: for the table line, and used at each resume
 * @key: origin: a reference, NULL without one; used at each resume
 */
struct fclock_target {
	struct list_head list;
	struct fclock_volume *volume;
	struct dm_target *ti;
	struct dm_dev *meta;
	struct dm_dev *dev;
	struct dm_dev *origin;
	u8 map;
	u8 target;
	struct fclock_args args;
	struct fclock_key *key;
};

struct fclock_hits {
	u64 hits, misses;
};

/* A copy that the core ordered; index as the split. */
struct fclock_split_job {
	struct fclock_copy_job job;
	struct list_head list;		/* volume->copies; volume->lock */
	struct fclock_volume *volume;
	struct fclock_split *split;
};

struct fclock_load_job {
	struct work_struct work;
	struct fclock_volume *volume;
	struct fclock_load *load;
};

/* The flushes before a commit; commit work only. */
struct fclock_flushes {
	struct bio *bio[FCLOCK_MAX_SLOTS];	/* index slot */
	atomic_t pending;
	struct completion done;
};

/* Counts the I/O in flight that the core does not know of. */
struct fclock_gate {
	struct percpu_ref ref;
	struct fclock_volume *volume;	/* NULL: @ref is not made */
};

/* One slot on this node. volumes_lock; what the core got: until it gives it back. */
struct fclock_attachment {
	struct mapped_device *md;	/* NULL: free */
	struct block_device *bdev;
	unsigned int tables;		/* of @md that use it */
	bool attached;			/* fclock_core_attach() was called */
	u64 length;			/* of its table, sectors; of the last resume */
	struct fclock_slot_memory mem;
	struct fclock_slot_memory spare; /* for a longer volume; the core takes it */
};

/**
 * struct fclock_volume
 *
 * Locks, outer first: volumes_lock (mutex, all volumes: who uses what),
 * @targets_lock (mutex: dm events), @lock (spinlock, irqs off: the core and what is
 * handed over between it and the works).
 */
struct fclock_volume {
	/* volumes_lock */
	struct list_head list;
	unsigned int tables;		/* targets constructed */
	bool ready;			/* constructor of the first one has ended well */
	bool leaving;			/* destructor of the last one runs */
	bool started;
	struct mapped_device *origin_md; /* NULL: no fclock-origin here */
	unsigned int origin_tables;
	struct fclock_attachment slot[FCLOCK_MAX_SLOTS];
	struct fclock_args applied;	/* those of the last resume */
	u64 planned;			/* longest table so far */
	u64 memory;			/* slots have it for a volume that long */
	u64 covered[FCLOCK_MAX_SLOTS];	/* by M when it was read first; 0: no copy there */

	/* constant while a target uses the volume */
	dev_t meta_dev;
	struct block_device *meta, *origin;
	unsigned int node;
	bool networked;
	struct fclock_addr listen;
	/* as M was, or is to be formatted: grain and slice stay, the volume may grow */
	struct fclock_geometry geo;
	unsigned int grain_shift;
	struct fclock_core *core;
	struct fclock_metadata *md;
	struct fclock_copier *copier;
	struct fclock_transport *transport;	/* NULL: single node */
	const struct fclock_manager_ops *manager; /* NULL: lists come as messages */
	char cluster[FCLOCK_CLUSTER_LEN];
	struct workqueue_struct *manager_wq;
	struct shrinker *shrinker;
	struct fclock_hits __percpu *hits;
	struct fclock_hits hits_base;	/* at reset_stats; lock */
	u64 auth_failures_base;		/* likewise */

	struct mutex targets_lock;	/* of @targets; held over dm events */
	struct list_head targets;

	spinlock_t lock;		/* the core's */
	bool dead;			/* lock: nothing may be queued any more */
	wait_queue_head_t wait;		/* FCLOCK_EVENT_ENDED */

	struct fclock_gate gate[FCLOCK_CACHE_MAPS];
	u32 gates_wanted;		/* lock: to be closed */
	u64 gates_seq;			/* lock */
	u64 gates_done;			/* gate work: last one reported */
	u32 gates_closed;		/* gate work */
	/* slots, atomic: A was flushed since the trigger. Cleared behind closed gates */
	unsigned long image_flushed;
	ktime_t gate_began;		/* lock: A's gate was asked to close */
	bool gate_trigger;		/* lock: it was a trigger */

	struct workqueue_struct *io_wq;		/* waiters, copies, gates, timer */
	struct workqueue_struct *commit_wq;	/* ordered: loads and commits */
	struct workqueue_struct *super_wq;	/* ordered: superblocks */
	struct workqueue_struct *event_wq;	/* dm events, uevents */
	struct work_struct wake_work, copy_work, gate_work, event_work;
	struct work_struct commit_work, owner_work;
	struct work_struct write_work, read_work;
	struct delayed_work timer_work;

	struct list_head woken;		/* waiters with a verdict; lock */
	struct list_head copies;	/* struct fclock_split_job; lock */
	struct delayed_work manager_work; /* only with @manager */
	bool manager_stop;
	bool joined;			/* manager work; then who has stopped it */
	bool said_waiting;		/* manager work */
	void *engine;			/* as @joined */

	const struct fclock_super *super;	/* to write; lock */
	bool super_format;			/* lock */
	u64 super_slices;			/* lock: those that M has */
	unsigned int events;		/* lock */
	u16 trigger_slots;		/* lock */

	struct fclock_flushes flushes;
	struct bio_set pieces;		/* io.c */
	struct fclock_super *read_sb;	/* super_wq; before the core's start manager work */
	bool formatted;			/* M had a superblock when the volume was made */
	struct fclock_split_job split_job[FCLOCK_SPLITS];
	struct fclock_load_job load_job[FCLOCK_LOADS];
};

/* volume.c */
int fclock_origin_open(struct fclock_target *t);
void fclock_origin_close(struct fclock_target *t);
int fclock_copy_open(struct fclock_target *t);
void fclock_copy_close(struct fclock_target *t);
/* Before the first resume nothing is touched; each later one applies t->args. */
int fclock_volume_resume(struct fclock_target *t);
/* Of volumes_lock, for what is called under it. */
void fclock_assert_volumes_held(void);

/* length.c; under volumes_lock, what may refuse logs a sentence and sets ti->error */
void fclock_free_memory(struct fclock_slot_memory *mem);
int fclock_make_memory(struct fclock_slot_memory *mem,
		       const struct fclock_volume *v, u64 length);
u64 fclock_volume_length(struct fclock_volume *v);
int fclock_plan_length(struct fclock_target *t, struct fclock_volume *v);
int fclock_check_copy_length(struct fclock_target *t, struct fclock_volume *v);
u64 fclock_room(const struct fclock_volume *v, const struct fclock_target *t);
int fclock_apply_length(struct fclock_volume *v, const struct fclock_target *t);
int fclock_check_whole_blocks(const struct fclock_target *t, u64 length);
/* Not under volumes_lock: takes targets_lock. */
int fclock_check_blocks(struct fclock_volume *v, u64 length);

/* check.c; all log a sentence and set ti->error when they refuse */
int fclock_refuse_overlap(struct dm_target *ti, struct block_device *mine,
			  struct block_device *other, const char *what);
int fclock_check_size(struct dm_target *ti, struct block_device *bdev,
		      const char *what);
/* Does this machine take so many grains of @geo's? */
int fclock_check_grains(struct dm_target *ti, const struct fclock_geometry *geo);
/* @limit: of a logical block, bytes */
int fclock_check_kind(struct dm_target *ti, struct block_device *bdev,
		      unsigned int limit, const char *what);
/* Opens the store, reads M and sets the geometry: M's, or the one to format. */
int fclock_read_metadata(struct fclock_volume *v, struct fclock_target *t);

/* volume.c: the core learns of which volume the superblock is that was read or written */
void fclock_know_volume(struct fclock_volume *v);

/* actions.c */
extern const struct fclock_core_ops fclock_volume_ops;
extern const struct fclock_transport_ops fclock_volume_transport_ops;
int fclock_actions_init(struct fclock_volume *v);
void fclock_actions_quiesce(struct fclock_volume *v);
void fclock_actions_exit(struct fclock_volume *v);
struct fclock_waiting_ask {
	struct fclock_ask ask;
	struct completion ended;
};

/* io.c */
size_t fclock_io_size(void);
int fclock_io_init(struct fclock_volume *v);
void fclock_io_exit(struct fclock_volume *v);
int fclock_io_map(struct dm_target *ti, struct bio *bio);
int fclock_io_end(struct dm_target *ti, struct bio *bio, blk_status_t *error);
void fclock_io_wake_work(struct work_struct *work);

/* table.c */
int fclock_parse_args(struct dm_target *ti, struct dm_arg_set *as,
		      struct fclock_args *args);
int fclock_parse_slot(const char *word, unsigned int *slot);
/* The number of words that they make in a table line. */
unsigned int fclock_count_args(const struct fclock_args *args);
bool fclock_same_addr(const struct fclock_addr *a, const struct fclock_addr *b);

/* status.c */
struct fclock_hits fclock_sum_hits(struct fclock_volume *v);
void fclock_origin_status(struct dm_target *ti, status_type_t type,
			  unsigned int status_flags, char *result,
			  unsigned int maxlen);
void fclock_copy_status(struct dm_target *ti, status_type_t type,
			unsigned int status_flags, char *result,
			unsigned int maxlen);

/* message.c */
int fclock_origin_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen);

/* One sentence in the kernel log that names the device. */
#define fclock_complain(ti, fmt, ...) \
	DMERR("%s: " fmt, dm_table_device_name((ti)->table), ##__VA_ARGS__)

#endif
