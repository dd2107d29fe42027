// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two dm targets. Constructors check everything and write nothing; what a
 * volume does begins with the first resume (volume.c).
 */
#include <linux/module.h>
#include "fault.h"
#include "volume.h"

#define FCLOCK_MAX_DISCARD	(64u << (20 - SECTOR_SHIFT))	/* 64 MiB */

/* -------------------------------------------------------- constructors */

static int open_device(struct dm_target *ti, const char *path,
		       const char *what, bool write, struct dm_dev **dev)
{
	int r;

	if (write)
		r = dm_get_device(ti, path, FCLOCK_OPEN_RW, dev);
	else
		r = dm_get_device(ti, path, dm_table_get_mode(ti->table), dev);
	if (!r)
		return 0;
	fclock_complain(ti, "%s device %s cannot be opened (%d)", what, path,
			r);
	ti->error = "Cannot open a device";
	*dev = NULL;
	return r;
}

/* Undoes new_target() and what followed, volume apart. */
static void free_target(struct fclock_target *t)
{
	if (t->dev)
		dm_put_device(t->ti, t->dev);
	if (t->meta)
		dm_put_device(t->ti, t->meta);
	fclock_key_put(t->key);
	kfree(t);
}

static struct fclock_target *new_target(struct dm_target *ti, u8 target, u8 map)
{
	struct fclock_target *t;

	if (ti->begin) {
		fclock_complain(ti, "start %llu is not 0", (u64)ti->begin);
		ti->error = "Start is not 0";
		return ERR_PTR(-EINVAL);
	}
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t) {
		ti->error = "Out of memory";
		return ERR_PTR(-ENOMEM);
	}
	t->ti = ti;
	t->target = target;
	t->map = map;
	return t;
}

static void set_up_dm(struct dm_target *ti, struct fclock_target *t)
{
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = fclock_io_size();
	ti->accounts_remapped_io = true;
	ti->private = t;
}

static int check_argc(struct dm_target *ti, unsigned int argc, const char *usage)
{
	if (argc >= 3)
		return 0;
	fclock_complain(ti, "%u words follow %s and at least 3 are needed: %s",
			argc, ti->type->name, usage);
	ti->error = "Too few arguments";
	return -EINVAL;
}

static int read_key(struct fclock_target *t)
{
	struct fclock_key *key;

	if (!t->args.has_key)
		return 0;
	key = fclock_key_read(t->ti, t->args.key_word);
	if (IS_ERR(key))
		return PTR_ERR(key);
	t->key = key;
	return 0;
}

/*
 * <metadata_dev> <origin_dev> <node_id> [<#feature_args> <feature_arg>*]
 */
static int origin_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct fclock_target *t;
	const char *word;
	int r;

	r = check_argc(ti, argc, "<metadata_dev> <origin_dev> <node_id>");
	if (r)
		return r;
	t = new_target(ti, FCLOCK_TARGET_A, FCLOCK_CACHE_A);
	if (IS_ERR(t))
		return PTR_ERR(t);
	dm_consume_args(&as, 2);
	word = dm_shift_arg(&as);
	r = -EINVAL;
	if (kstrtouint(word, 10, &t->args.node) || !t->args.node ||
	    t->args.node > FCLOCK_MAX_NODES) {
		fclock_complain(ti, "node id %s is not a number from 1 to %u",
				word, FCLOCK_MAX_NODES);
		ti->error = "Invalid node id";
		goto out;
	}
	r = fclock_parse_args(ti, &as, &t->args) ?: read_key(t);
	if (r)
		goto out;
	r = open_device(ti, argv[0], "metadata", true, &t->meta) ?:
		open_device(ti, argv[1], "origin", false, &t->dev) ?:
		fclock_origin_open(t);
	if (r)
		goto out;
	set_up_dm(ti, t);
	return 0;
out:
	free_target(t);
	return r;
}

static void origin_dtr(struct dm_target *ti)
{
	struct fclock_target *t = ti->private;

	fclock_origin_close(t);
	free_target(t);
}

static int no_features(struct dm_target *ti, unsigned int argc, char **argv)
{
	unsigned int count;

	if (argc == 3 || (argc == 4 && !kstrtouint(argv[3], 10, &count) &&
			  !count))
		return 0;
	fclock_complain(ti, "unknown feature argument %s",
			argv[argc > 4 ? 4 : 3]);
	ti->error = "Unknown feature argument";
	return -EINVAL;
}

/*
 * <metadata_dev> <slot> <copy_dev> [<#feature_args> <feature_arg>*]
 */
static int copy_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct fclock_target *t;
	unsigned int slot;
	int r;

	r = check_argc(ti, argc, "<metadata_dev> <slot> <copy_dev>") ?:
		no_features(ti, argc, argv);
	if (r)
		return r;
	if (fclock_parse_slot(argv[1], &slot)) {
		fclock_complain(ti, "slot %s is not a number from 0 to %u",
				argv[1], FCLOCK_MAX_SLOTS - 1);
		ti->error = "Invalid slot";
		return -EINVAL;
	}
	t = new_target(ti, slot, slot);
	if (IS_ERR(t))
		return PTR_ERR(t);
	/*
	 * Also in a read-only table: dm refuses the writes of users, but this
	 * node goes on copying to the device.
	 */
	r = open_device(ti, argv[0], "metadata", true, &t->meta) ?:
		open_device(ti, argv[2], "copy", true, &t->dev) ?:
		fclock_copy_open(t);
	if (r) {
		free_target(t);
		return r;
	}
	set_up_dm(ti, t);
	ti->num_flush_bios = 2;		/* of A as well: io.c */
	return 0;
}

static void copy_dtr(struct dm_target *ti)
{
	struct fclock_target *t = ti->private;

	fclock_copy_close(t);
	free_target(t);
}

/* ---------------------------------------------------- suspend, resume */

/*
 * A suspended device goes on serving the cluster. Only a noflush suspend needs
 * something: dm waits for all bios, and those that wait for an owner may wait
 * long, so they are given back. A flushing suspend waits for them.
 */
static void fclock_presuspend(struct dm_target *ti)
{
	struct fclock_target *t = ti->private;
	struct fclock_volume *v = t->volume;
	unsigned long flags;

	if (!dm_noflush_suspending(ti))
		return;
	spin_lock_irqsave(&v->lock, flags);
	fclock_client_requeue(v->core, t->target);
	spin_unlock_irqrestore(&v->lock, flags);
}

static int fclock_preresume(struct dm_target *ti)
{
	return fclock_volume_resume(ti->private);
}

/* -------------------------------------------------------------- limits */

static int origin_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct fclock_target *t = ti->private;

	return fn(ti, t->dev, 0, ti->len, data);
}

/* Unsplit grains are read from A, so its limits count as well. */
static int copy_iterate_devices(struct dm_target *ti,
				iterate_devices_callout_fn fn, void *data)
{
	struct fclock_target *t = ti->private;

	return fn(ti, t->origin, 0, ti->len, data) ?:
		fn(ti, t->dev, 0, ti->len, data);
}

static void fclock_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct fclock_target *t = ti->private;
	unsigned int grain = t->volume->geo.grain << SECTOR_SHIFT;

	/* a bio beyond these would keep a gate closed for long */
	limits->max_discard_sectors = min(limits->max_discard_sectors,
					  FCLOCK_MAX_DISCARD);
	limits->max_hw_discard_sectors = min(limits->max_hw_discard_sectors,
					     FCLOCK_MAX_DISCARD);
	limits->max_write_zeroes_sectors =
		min(limits->max_write_zeroes_sectors, FCLOCK_MAX_DISCARD);
#ifdef FCLOCK_HAVE_WZEROES_UNMAP
	limits->max_hw_wzeroes_unmap_sectors =
		min(limits->max_hw_wzeroes_unmap_sectors,
		    limits->max_write_zeroes_sectors);
#endif
	/* whole grains are cheapest while they are not split yet */
	if (!limits->io_opt || limits->io_opt % grain)
		limits->io_opt = max(limits->io_opt, grain);
}

/* -------------------------------------------------------------- module */

static struct target_type origin_target = {
	.name = "fclock-origin",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = origin_ctr,
	.dtr = origin_dtr,
	.map = fclock_io_map,
	.end_io = fclock_io_end,
	.presuspend = fclock_presuspend,
	.preresume = fclock_preresume,
	.status = fclock_origin_status,
	.message = fclock_origin_message,
	.iterate_devices = origin_iterate_devices,
	.io_hints = fclock_io_hints,
};

static struct target_type copy_target = {
	.name = "fclock-copy",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = copy_ctr,
	.dtr = copy_dtr,
	.map = fclock_io_map,
	.end_io = fclock_io_end,
	.presuspend = fclock_presuspend,
	.preresume = fclock_preresume,
	.status = fclock_copy_status,
	.iterate_devices = copy_iterate_devices,
	.io_hints = fclock_io_hints,
};

static int __init fclock_init(void)
{
	int r;

	r = dm_register_target(&origin_target);
	if (r < 0)
		return r;
	r = dm_register_target(&copy_target);
	if (r < 0)
		dm_unregister_target(&origin_target);
	else
		fclock_fault_init();
	return r;
}

static void __exit fclock_exit(void)
{
	dm_unregister_target(&copy_target);
	dm_unregister_target(&origin_target);
	fclock_fault_exit();
	/* runs of the cache are freed by RCU with code of this module */
	rcu_barrier();
}

module_init(fclock_init);
module_exit(fclock_exit);

MODULE_DESCRIPTION("device-mapper cluster flash copy");
MODULE_AUTHOR("The dm-fclock authors");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-fclock-origin");
MODULE_ALIAS("dm-fclock-copy");
