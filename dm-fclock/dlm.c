// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-fclock-dlm: the members of a volume are those of a DLM lockspace.
 *
 * A node joins the lockspace fclock-<UUID of the volume> before its volume starts
 * and leaves it after its volume has gone. When nodes come, go or die, dlm_controld
 * stops the lockspace everywhere, has the dead ones fenced, tells all who is left, and
 * lets DLM recover; then recover_done() brings the list. So a node that was in a
 * list and is not in the next one has left or is fenced, as dm-fclock demands.
 *
 * dlm-epoch.h says how epochs are made and why they are right.
 *
 * recover_prep() changes nothing: it stops DLM's locks, and a volume takes none while it
 * runs. recover_done() is called by the thread that recovers the lockspace, so it
 * only notes the list; a work hands it on.
 */
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/dlm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uuid.h>
#include "compat.h"
#include "dlm-epoch.h"
#include "manager.h"

#undef DM_MSG_PREFIX
#define DM_MSG_PREFIX "fclock-dlm"

#define BASE_LOCK	"base"

/* dlm_release_lockspace(): whatever locks are left, and tell dlm_controld */
#define RELEASE_NORMAL	2

#define LIST_TIMEOUT	(60 * HZ)

/**
 * struct lockspace - one volume's
 * @list: bit (id - 1), newest list; @lock
 * @generation: of @list, 0: none came yet; @lock
 * @nodeid: DLM's number of this node; @lock
 * @too_high: a node id above 64 in @list, or 0; @lock
 * @listed: the first list is there
 * @based: @base is known: lists may be handed on; @lock
 */
struct lockspace {
	struct fclock_volume *v;
	unsigned int node;
	dlm_lockspace_t *ls;
	char name[DLM_LOCKSPACE_LEN + 1];

	spinlock_t lock;		/* of what came with the newest list */
	u64 list;
	u32 generation;
	int nodeid;
	int too_high;
	bool based;
	struct completion listed;
	struct work_struct work;

	u64 base;
	struct dlm_lksb lksb;
	struct fclock_lvb lvb;
	struct completion locked;
};

/*
 * Writes that wait for a node wait for the list without it, so it must get through when
 * all memory is dirty pages of these very writes: the system's own queues have no
 * worker in reserve.
 */
static struct workqueue_struct *list_wq;

/* --------------------------------------------------------------- lists */

static void list_work(struct work_struct *work)
{
	struct lockspace *s = container_of(work, struct lockspace, work);
	u32 generation;
	int too_high;
	bool based;
	u64 list;

	spin_lock(&s->lock);
	list = s->list;
	generation = s->generation;
	too_high = s->too_high;
	based = s->based;
	spin_unlock(&s->lock);
	if (!based)
		return;
	if (too_high)
		DMWARN("%s: node id %d is above %u: it cannot run the volume",
		       s->name, too_high, FCLOCK_MAX_NODES);
	DMINFO("%s: list %u of DLM has %u nodes: epoch %llu", s->name,
	       generation, (unsigned int)hweight64(list),
	       fclock_dlm_epoch(s->base, generation));
	fclock_manager_members(s->v, fclock_dlm_epoch(s->base, generation),
			       list);
}

static void recover_prep(void *arg)
{
}

static void recover_slot(void *arg, struct dlm_slot *slot)
{
	struct lockspace *s = arg;

	DMINFO("%s: node %d has failed", s->name, slot->nodeid);
}

static void recover_done(void *arg, struct dlm_slot *slots, int num_slots,
			 int our_slot, uint32_t generation)
{
	struct lockspace *s = arg;
	int i, nodeid = 0, too_high = 0;
	u64 bit, list = 0;

	/*
	 * For good: this thread recovers this lockspace only, and is here before any write
	 * can wait for a list. DLM allocates on the way to the next one, and reclaim
	 * would wait for those writes.
	 */
	memalloc_noio_save();
	for (i = 0; i < num_slots; i++) {
		bit = fclock_dlm_bit(slots[i].nodeid);
		list |= bit;
		if (!bit)
			too_high = slots[i].nodeid;
		if (slots[i].slot == our_slot)
			nodeid = slots[i].nodeid;
	}
	spin_lock(&s->lock);
	s->list = list;
	s->generation = generation;
	s->nodeid = nodeid;
	s->too_high = too_high;
	spin_unlock(&s->lock);
	complete_all(&s->listed);
	queue_work(list_wq, &s->work);
}

static const struct dlm_lockspace_ops lockspace_ops = {
	.recover_prep = recover_prep,
	.recover_slot = recover_slot,
	.recover_done = recover_done,
};

/* ---------------------------------------------------------------- base */

static void locked(void *arg)
{
	struct lockspace *s = arg;

	complete(&s->locked);
}

/* Asks for a mode and waits for the answer; @flags beside what all need. */
static int lock_base(struct lockspace *s, int mode, u32 flags)
{
	int r;

	if (s->lksb.sb_lkid)
		flags |= DLM_LKF_CONVERT;
	r = dlm_lock(s->ls, mode, &s->lksb, flags, BASE_LOCK,
		     strlen(BASE_LOCK), 0, locked, s, NULL);
	if (r)
		return r;
	wait_for_completion(&s->locked);
	return s->lksb.sb_status;
}

static bool find_base(struct lockspace *s)
{
	return fclock_lvb_decode(&s->lvb,
				 s->lksb.sb_flags & DLM_SBF_VALNOTVALID,
				 &s->base);
}

/* Holds the lock in EX. */
static int make_base(struct lockspace *s)
{
	int r = fclock_manager_last_epoch(s->v, &s->base);

	if (r)
		return r;
	if (s->base > FCLOCK_BASE_MAX) {
		DMERR_LIMIT("%s: epoch %llu leaves no number for those that follow",
			    s->name, s->base);
		return -EOVERFLOW;
	}
	DMINFO("%s: epochs follow %llu", s->name, s->base);
	fclock_lvb_encode(&s->lvb, s->base);
	return 0;
}

static int base_step(struct lockspace *s, enum fclock_base_step step)
{
	switch (step) {
	case FCLOCK_BASE_PR:
	case FCLOCK_BASE_SHOW:
		return lock_base(s, DLM_LOCK_PR, DLM_LKF_VALBLK);
	case FCLOCK_BASE_EX:
		return lock_base(s, DLM_LOCK_EX,
				 DLM_LKF_VALBLK | DLM_LKF_NOQUEUE);
	case FCLOCK_BASE_MAKE:
		return make_base(s);
	default:
		return lock_base(s, DLM_LOCK_NL, 0);
	}
}

static int agree_on_base(struct lockspace *s)
{
	enum fclock_base_step step = FCLOCK_BASE_PR;
	int r = 0, last;

	while (step != FCLOCK_BASE_DONE && step != FCLOCK_BASE_FAILED) {
		last = base_step(s, step);
		if (last == -EAGAIN)
			msleep(20 + get_random_u32() % 128);
		else if (last)
			r = last;
		step = fclock_base_next(step, last, find_base(s));
	}
	return r;
}

/* -------------------------------------------------------- join and leave */

static int explain(struct lockspace *s, const char *cluster, int r)
{
	switch (r) {
	case -EBADR:
		DMERR("%s: cluster %s is not the one that dlm_controld runs in; remove the device",
		      s->name, cluster);
		break;
	case -EUNATCH:
		DMERR_LIMIT("%s: dlm_controld does not run", s->name);
		break;
	case -EEXIST:
		DMERR("%s: this kernel is in this lockspace, by another volume or since one left it while others used it (dlm_tool leave %s); remove the device",
		      s->name, s->name);
		r = -EINVAL;
		break;
	default:
		DMERR_LIMIT("%s: cannot be joined (%d)", s->name, r);
		break;
	}
	return r;
}

/* After the first list. */
static int check_node(struct lockspace *s)
{
	int r = 0;

	spin_lock(&s->lock);
	if (!s->generation || !s->nodeid)
		r = -EPROTONOSUPPORT;
	else if (s->nodeid != s->node)
		r = -EINVAL;
	spin_unlock(&s->lock);
	if (r == -EPROTONOSUPPORT)
		DMERR_LIMIT("%s: a node's DLM is too old to number its lists",
			    s->name);
	else if (r && s->nodeid > FCLOCK_MAX_NODES)
		DMERR("%s: node id %d of this node in its cluster is above %u; remove the device",
		      s->name, s->nodeid, FCLOCK_MAX_NODES);
	else if (r)
		DMERR("%s: node id %u of the table is not %d, that of this node in its cluster; remove the device",
		      s->name, s->node, s->nodeid);
	return r;
}

/*
 * Somebody else has the lockspace open (dlm_tool join), so DLM goes on calling with @s and
 * holds a lock whose status block is in it: both stay for good, and so does the
 * code. No call gets to the volume any more.
 */
static void abandon(struct lockspace *s, int r)
{
	DMERR("%s: somebody else uses it, so this node stays in it (%d): see dlm_tool leave %s",
	      s->name, r, s->name);
	spin_lock(&s->lock);
	s->based = false;
	spin_unlock(&s->lock);
	cancel_work_sync(&s->work);
	s->v = NULL;
	__module_get(THIS_MODULE);
}

/* Out of the lockspace, and @s is no longer the caller's. */
static void release(struct lockspace *s)
{
	int r = dlm_release_lockspace(s->ls, RELEASE_NORMAL);

	if (r) {
		abandon(s, r);
		return;
	}
	/* nobody queues it any more */
	cancel_work_sync(&s->work);
	kfree(s);
}

/* The list that came before the base did, and from now on each when it comes. */
static void begin(struct lockspace *s)
{
	spin_lock(&s->lock);
	s->based = true;
	spin_unlock(&s->lock);
	queue_work(list_wq, &s->work);
	flush_work(&s->work);
}

/* In the lockspace: to a list that counts. */
static int settle(struct lockspace *s)
{
	int r;

	/* DLM's thread is about to call; it does not if it has no memory */
	r = wait_for_completion_timeout(&s->listed, LIST_TIMEOUT) ?
		check_node(s) : -ETIMEDOUT;
	if (r)
		return r;
	r = agree_on_base(s);
	if (r) {
		DMERR_LIMIT("%s: no epoch could be agreed on (%d)", s->name, r);
		return r;
	}
	begin(s);
	return 0;
}

/* Takes @s, also when it fails. */
static int enter(struct lockspace *s, const char *cluster)
{
	int r, ops_result = 0;

	r = dlm_new_lockspace(s->name, cluster, DLM_LSFL_NEWEXCL,
			      sizeof(s->lvb), &lockspace_ops, s, &ops_result,
			      &s->ls);
	if (r) {
		r = explain(s, cluster, r);
		kfree(s);
		return r;
	}
	if (ops_result) {
		DMERR("%s: DLM gives no lists (%d); remove the device", s->name,
		      ops_result);
		r = -EINVAL;
	} else {
		r = settle(s);
	}
	if (r)
		release(s);
	return r;
}

static int dlm_join(struct fclock_volume *v, const char *cluster,
		    const u8 *uuid, unsigned int node, void **engine)
{
	struct lockspace *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int r;

	if (!s)
		return -ENOMEM;
	s->v = v;
	s->node = node;
	snprintf(s->name, sizeof(s->name), "fclock-%pUb", uuid);
	spin_lock_init(&s->lock);
	init_completion(&s->listed);
	init_completion(&s->locked);
	INIT_WORK(&s->work, list_work);
	s->lksb.sb_lvbptr = (char *)&s->lvb;
	r = enter(s, cluster);
	if (!r)
		*engine = s;
	return r;
}

static void dlm_leave(void *engine)
{
	release(engine);
}

static const struct fclock_manager_ops dlm_ops = {
	.owner = THIS_MODULE,
	.join = dlm_join,
	.leave = dlm_leave,
};

static int __init fclock_dlm_init(void)
{
	int r;

	list_wq = alloc_workqueue("fclock-dlm", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!list_wq)
		return -ENOMEM;
	r = fclock_manager_register(&dlm_ops);
	if (r)
		destroy_workqueue(list_wq);
	return r;
}

static void __exit fclock_dlm_exit(void)
{
	fclock_manager_unregister(&dlm_ops);
	destroy_workqueue(list_wq);
}

module_init(fclock_dlm_init);
module_exit(fclock_dlm_exit);

MODULE_DESCRIPTION("members of dm-fclock volumes from DLM lockspaces");
MODULE_AUTHOR("The dm-fclock authors");
MODULE_LICENSE("GPL");
