// SPDX-License-Identifier: GPL-2.0-only
/*
 * Volumes whose members lists come from an engine in the kernel.
 *
 * The engine vouches only for nodes that are in its lists: who is in none may be
 * taken for fenced by the others. So the volume of a node
 *
 *   1. learns the volume's name, the UUID, from M;
 *   2. joins, and gets its first list, which it is in;
 *   3. starts: only now it listens, says HELLO and does I/O that others notice;
 *
 *   4. leaves its cluster: all its I/O has ended and BYE was said, if it could be;
 *   5. leaves the engine. The list without it, which the others get then, is true.
 *
 * An empty M has no UUID. Before anybody has joined, the lowest configured node
 * formats it, with nobody listed and no primary, and begins at step 1 as all
 * others do. It is the node that the primary's role falls to on an empty M without
 * an engine, too, and for the same reason only one node does it.
 */
#include <linux/module.h>
#include "manager.h"
#include "volume.h"

#define RETRY_MS	1000
#define REFUSED_MS	5000	/* the engine would not have us, and may later */

static DEFINE_MUTEX(engine_lock);
static const struct fclock_manager_ops *engine;		/* engine_lock */

int fclock_manager_register(const struct fclock_manager_ops *ops)
{
	int r = 0;

	mutex_lock(&engine_lock);
	if (engine)
		r = -EBUSY;
	else
		engine = ops;
	mutex_unlock(&engine_lock);
	return r;
}
EXPORT_SYMBOL_GPL(fclock_manager_register);

void fclock_manager_unregister(const struct fclock_manager_ops *ops)
{
	mutex_lock(&engine_lock);
	if (engine == ops)
		engine = NULL;
	mutex_unlock(&engine_lock);
}
EXPORT_SYMBOL_GPL(fclock_manager_unregister);

static const struct fclock_manager_ops *try_get(void)
{
	const struct fclock_manager_ops *ops;

	mutex_lock(&engine_lock);
	ops = engine;
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	mutex_unlock(&engine_lock);
	return ops;
}

static const struct fclock_manager_ops *get_engine(struct dm_target *ti)
{
	const struct fclock_manager_ops *ops = try_get();

	if (!ops) {
		request_module("dm-fclock-dlm");
		ops = try_get();
	}
	if (ops)
		return ops;
	fclock_complain(ti, "feature argument cluster needs the module dm-fclock-dlm, which cannot be loaded");
	ti->error = "Module dm-fclock-dlm cannot be loaded";
	return NULL;
}

/* --------------------------------------------------------------- lists */

void fclock_manager_members(struct fclock_volume *v, u64 epoch, u64 members)
{
	unsigned long flags;
	u64 strange, known;
	int r;

	spin_lock_irqsave(&v->lock, flags);
	known = v->core->epoch;
	strange = members & ~fclock_core_configured(v->core);
	r = fclock_core_adopt_members(v->core, epoch, members);
	spin_unlock_irqrestore(&v->lock, flags);
	if (strange)
		DMWARN("node %u: node %u runs the volume and is no configured peer",
		       v->node, (unsigned int)__ffs64(strange) + 1);
	if (r == -EEXIST)
		DMERR("node %u: epoch %llu is known with another list of members: was it given by a message on another node?",
		      v->node, epoch);
	else if (r == -EINVAL)
		DMERR("node %u: epoch %llu or its list of members is none",
		      v->node, epoch);
	else if (r == -ESTALE)
		DMINFO("node %u: epoch %llu is older than epoch %llu, which is known",
		       v->node, epoch, known);
}
EXPORT_SYMBOL_GPL(fclock_manager_members);

int fclock_manager_last_epoch(struct fclock_volume *v, u64 *epoch)
{
	unsigned long flags;
	int r = fclock_md_read_super(v->md, v->read_sb);

	if (r)
		return r;
	spin_lock_irqsave(&v->lock, flags);
	*epoch = max(v->read_sb->epoch, v->core->epoch);
	spin_unlock_irqrestore(&v->lock, flags);
	return 0;
}
EXPORT_SYMBOL_GPL(fclock_manager_last_epoch);

/* --------------------------------------------------------- start, stop */

static int format(struct fclock_volume *v)
{
	struct fclock_super *sb = v->read_sb;

	memset(sb, 0, sizeof(*sb));
	sb->state = 1;
	sb->geo = v->geo;
	memcpy(sb->uuid, v->core->cfg.uuid, sizeof(sb->uuid));
	DMINFO("node %u: formats %pg", v->node, v->meta);
	return fclock_md_format(v->md, sb);
}

/*
 * Step 1. Until the core has started nobody else uses the store or read_sb.
 *
 * A superblock that does not fit would have been refused by the constructor; one
 * that another node has formatted since is looked at by the core when it reads it.
 */
static int learn_uuid(struct fclock_volume *v)
{
	u64 lower = v->core->cfg.peers & (BIT_ULL(v->node - 1) - 1);
	int r = fclock_md_read_super(v->md, v->read_sb);

	if (r == -ENODATA && !lower) {
		r = format(v);
	} else if (r == -ENODATA && !v->said_waiting) {
		v->said_waiting = true;
		DMINFO("node %u: waits for node %u to format %pg", v->node,
		       (unsigned int)__ffs64(lower) + 1, v->meta);
	}
	if (!r)
		fclock_know_volume(v);
	if (r && r != -ENODATA)
		DMERR_LIMIT("node %u: superblocks on %pg cannot be read or written (%d)",
			    v->node, v->meta, r);
	return r;
}

static int join(struct fclock_volume *v)
{
	u8 uuid[FCLOCK_UUID_LEN];
	int r;

	memcpy(uuid, v->read_sb->uuid, sizeof(uuid));
	r = v->manager->join(v, v->cluster, uuid, v->node, &v->engine);
	if (!r)
		v->joined = true;
	return r;
}

static int start_listening(struct fclock_volume *v)
{
	int r = fclock_transport_start(v->transport);

	if (r)
		DMERR("node %u: cannot listen on %pISpc (%d)", v->node,
		      &v->listen.sa, r);
	return r;
}

static void try_again(struct fclock_volume *v, unsigned int ms)
{
	if (!READ_ONCE(v->manager_stop))
		queue_delayed_work(v->manager_wq, &v->manager_work,
				   msecs_to_jiffies(ms));
}

static void manager_work(struct work_struct *work)
{
	struct fclock_volume *v = container_of(to_delayed_work(work),
					       struct fclock_volume,
					       manager_work);
	unsigned long flags;
	int r;

	if (!v->joined) {
		if (learn_uuid(v)) {
			try_again(v, RETRY_MS);
			return;
		}
		r = join(v);
		if (r == -EINVAL || r == -EBADR)
			return;
		if (r) {
			try_again(v, REFUSED_MS);
			return;
		}
	}
	if (READ_ONCE(v->manager_stop))
		return;
	if (start_listening(v)) {
		try_again(v, REFUSED_MS);
		return;
	}
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_start(v->core);
	spin_unlock_irqrestore(&v->lock, flags);
}

int fclock_manager_init(struct fclock_volume *v, struct fclock_target *t)
{
	if (!t->args.has_cluster)
		return 0;
	INIT_DELAYED_WORK(&v->manager_work, manager_work);
	strscpy(v->cluster, t->args.cluster, sizeof(v->cluster));
	v->manager_wq = alloc_workqueue("fclock-mg/%u:%u", WQ_UNBOUND, 1,
					MAJOR(v->meta_dev),
					MINOR(v->meta_dev));
	if (!v->manager_wq)
		return -ENOMEM;
	v->manager = get_engine(t->ti);
	return v->manager ? 0 : -ENOENT;
}

void fclock_manager_exit(struct fclock_volume *v)
{
	if (v->manager)
		module_put(v->manager->owner);
	if (v->manager_wq)
		destroy_workqueue(v->manager_wq);
}

void fclock_manager_start(struct fclock_volume *v)
{
	queue_delayed_work(v->manager_wq, &v->manager_work, 0);
}

void fclock_manager_stop(struct fclock_volume *v)
{
	if (!v->manager)
		return;
	WRITE_ONCE(v->manager_stop, true);
	cancel_delayed_work_sync(&v->manager_work);
}

void fclock_manager_leave(struct fclock_volume *v)
{
	if (v->joined)
		v->manager->leave(v->engine);
	v->joined = false;
}
