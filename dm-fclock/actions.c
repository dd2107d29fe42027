// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the core orders: every operation queues work here, and the work tells the
 * core how it ended. Nothing below holds the lock while it sleeps.
 *
 * Three workqueues, so that no wait for one device holds up what that device's
 * I/O waits for: superblocks, bitmap blocks and flushes, everything else. And one
 * for events, which allocate memory as they like, and nothing waits for them.
 */
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "fault.h"
#include "trace.h"
#include "volume.h"

static struct fclock_volume *volume_of(struct fclock_core *core)
{
	/* the lock was given to the core by the volume */
	return container_of(core->lock, struct fclock_volume, lock);
}

static void __queue(struct fclock_volume *v, struct workqueue_struct *wq,
		    struct work_struct *work)
{
	lockdep_assert_held(&v->lock);
	if (!v->dead)
		queue_work(wq, work);
}

/* ------------------------------------------------------------ messages */

static void op_kick(struct fclock_core *core, unsigned int node)
{
	struct fclock_volume *v = volume_of(core);

	if (v->transport)
		fclock_transport_kick(v->transport, node);
}

static void op_disconnect(struct fclock_core *core, unsigned int node)
{
	struct fclock_volume *v = volume_of(core);

	if (v->transport)
		fclock_transport_disconnect(v->transport, node);
}

static void net_opened(void *ctx, unsigned int node)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_opened(v->core, node);
	spin_unlock_irqrestore(&v->lock, flags);
}

static int net_hello(void *ctx, unsigned int node, const struct fclock_msg *msg,
		     const struct fclock_wire_hello *hello, void *refusal,
		     size_t *refusal_len)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;
	int r;

	spin_lock_irqsave(&v->lock, flags);
	r = fclock_core_hello(v->core, node, msg, hello, refusal, refusal_len);
	spin_unlock_irqrestore(&v->lock, flags);
	return r;
}

static int net_receive(void *ctx, unsigned int node,
		       const struct fclock_msg *msg, const void *payload)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;
	int r;

	spin_lock_irqsave(&v->lock, flags);
	r = fclock_core_receive(v->core, node, msg, payload);
	spin_unlock_irqrestore(&v->lock, flags);
	return r;
}

static int net_next_frame(void *ctx, unsigned int node, void *buf)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;
	int r;

	spin_lock_irqsave(&v->lock, flags);
	r = fclock_core_next_frame(v->core, node, buf);
	spin_unlock_irqrestore(&v->lock, flags);
	return r;
}

static void net_lost(void *ctx, unsigned int node)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_lost(v->core, node);
	spin_unlock_irqrestore(&v->lock, flags);
}

static u64 net_grains(void *ctx)
{
	struct fclock_volume *v = ctx;
	unsigned long flags;
	u64 room;

	/* a peer may know that the volume has grown before this node does */
	spin_lock_irqsave(&v->lock, flags);
	room = v->core->room;
	spin_unlock_irqrestore(&v->lock, flags);
	return (room + v->geo.grain - 1) >> v->grain_shift;
}

const struct fclock_transport_ops fclock_volume_transport_ops = {
	.opened = net_opened,
	.hello = net_hello,
	.receive = net_receive,
	.next_frame = net_next_frame,
	.lost = net_lost,
	.grains = net_grains,
};

/* -------------------------------------------------------------- copies */

static void copy_done(struct fclock_copy_job *job)
{
	struct fclock_split_job *sj =
		container_of(job, struct fclock_split_job, job);
	struct fclock_volume *v = sj->volume;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_copied(v->core, sj->split, job->read_error, job->failed);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_copy(struct fclock_core *core, struct fclock_split *split)
{
	struct fclock_volume *v = volume_of(core);
	struct fclock_split_job *sj = &v->split_job[split->index];
	struct fclock_copy_job *job = &sj->job;
	unsigned int s;

	sj->split = split;
	memset(job, 0, sizeof(*job));
	job->src = v->origin;
	job->sector = split->first << v->grain_shift;
	job->count = split->end - job->sector;
	job->slots = split->slots;
	job->done = copy_done;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (split->slots & BIT(s))
			job->dst[s] = v->slot[s].bdev;
	list_add_tail(&sj->list, &v->copies);
	__queue(v, v->io_wq, &v->copy_work);
}

/* kcopyd may wait for memory when it takes a job, hence not under the lock. */
static void copy_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, copy_work);
	struct fclock_split_job *sj;
	unsigned long flags;

	for (;;) {
		spin_lock_irqsave(&v->lock, flags);
		sj = list_first_entry_or_null(&v->copies,
					      struct fclock_split_job, list);
		if (sj)
			list_del(&sj->list);
		spin_unlock_irqrestore(&v->lock, flags);
		if (!sj)
			return;
		fclock_copy_start(v->copier, &sj->job);
	}
}

/* -------------------------------------------------------------- commit */

/* What a commit has to know of the superblock, read once under the lock. */
struct commit {
	u8 uuid[FCLOCK_UUID_LEN];
	u64 generation[FCLOCK_MAX_SLOTS];
	u64 grains;
	u16 slots;
	u16 failed;
};

static void commit_begin(struct fclock_volume *v, struct commit *c)
{
	struct fclock_core *core = v->core;
	struct fclock_split *split;
	unsigned long flags;
	unsigned int s;

	memset(c, 0, sizeof(*c));
	spin_lock_irqsave(&v->lock, flags);
	memcpy(c->uuid, core->sb.uuid, sizeof(c->uuid));
	c->grains = core->sb.geo.grains;
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		c->generation[s] = core->sb.slot[s].generation;
	/* the batch stays as it is until fclock_core_committed() */
	list_for_each_entry(split, &core->own.batch, list)
		c->slots |= split->slots & ~split->failed;
	spin_unlock_irqrestore(&v->lock, flags);
}

static void flush_endio(struct bio *bio)
{
	struct fclock_flushes *flushes = bio->bi_private;

	if (atomic_dec_and_test(&flushes->pending))
		complete(&flushes->done);
}

/*
 * The data is durable on the copies before a bit says so anywhere. All copies
 * are flushed side by side.
 */
static void commit_flush(struct fclock_volume *v, struct commit *c)
{
	struct fclock_flushes *flushes = &v->flushes;
	unsigned int s;
	struct bio *bio;

	atomic_set(&flushes->pending, 1);
	reinit_completion(&flushes->done);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(c->slots & BIT(s)))
			continue;
		bio = flushes->bio[s];
		bio_init(bio, v->slot[s].bdev, NULL, 0,
			 REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH);
		bio->bi_end_io = flush_endio;
		bio->bi_private = flushes;
		atomic_inc(&flushes->pending);
		submit_bio(bio);
	}
	if (!atomic_dec_and_test(&flushes->pending))
		wait_for_completion_io(&flushes->done);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		if (!(c->slots & BIT(s)))
			continue;
		if (flushes->bio[s]->bi_status ||
		    fclock_fault(FCLOCK_FAULT_FLUSH))
			c->failed |= BIT(s);
		bio_uninit(flushes->bio[s]);
	}
}

/* Grains of @slice, of a volume of @grains: the last one may be shorter. */
static u32 slice_bits(const struct fclock_volume *v, u64 grains, u64 slice)
{
	return min_t(u64, v->geo.slice, grains - slice * v->geo.slice);
}

static int commit_set(struct fclock_volume *v, struct commit *c,
		      const struct fclock_split *split, unsigned int slot)
{
	u64 slice = div_u64(split->first, v->geo.slice);
	struct fclock_bitmap_id id = {
		.uuid = c->uuid,
		.slice = slice,
		.slot = slot,
		.generation = c->generation[slot],
		.nbits = slice_bits(v, c->grains, slice),
	};

	return fclock_md_set(v->md, &id, split->first - slice * v->geo.slice,
			     split->last - split->first + 1);
}

/*
 * A block that cannot be trusted costs its slot; anything else means that M
 * cannot be written, and that concerns all of them.
 */
static bool commit_bits(struct fclock_volume *v, struct commit *c)
{
	struct fclock_split *split;
	unsigned int s;
	u16 slots;
	int r;

	list_for_each_entry(split, &v->core->own.batch, list) {
		slots = split->slots & ~split->failed;
		for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
			if (!(slots & ~c->failed & BIT(s)))
				continue;
			r = commit_set(v, c, split, s);
			if (!r)
				continue;
			DMERR_LIMIT("node %u: bitmap of slot %u at grain %llu cannot be set (%d)",
				    v->node, s, split->first, r);
			if (r != -EILSEQ && r != -ESTALE && r != -EUCLEAN)
				return false;
			c->failed |= BIT(s);
		}
	}
	return true;
}

static void commit_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, commit_work);
	struct commit c;
	unsigned long flags;
	int r;

	commit_begin(v, &c);
	commit_flush(v, &c);
	if (!commit_bits(v, &c)) {
		c.failed = (u16)~0;
	} else if (c.slots & ~c.failed) {
		r = fclock_md_commit(v->md);
		if (r) {
			DMERR_LIMIT("node %u: commit to metadata device %pg failed (%d)",
				    v->node, v->meta, r);
			c.failed = (u16)~0;
		}
	}
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_committed(v->core, c.failed);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_commit(struct fclock_core *core)
{
	struct fclock_volume *v = volume_of(core);

	__queue(v, v->commit_wq, &v->commit_work);
}

static void load_work(struct work_struct *work)
{
	struct fclock_load_job *lj =
		container_of(work, struct fclock_load_job, work);
	struct fclock_volume *v = lj->volume;
	struct fclock_load *load = lj->load;
	struct fclock_bitmap_id id = {
		.slice = load->slice,
		.slot = load->slot,
		.generation = load->generation,
	};
	u8 uuid[FCLOCK_UUID_LEN];
	unsigned long flags;
	long r;

	spin_lock_irqsave(&v->lock, flags);
	memcpy(uuid, v->core->sb.uuid, sizeof(uuid));
	id.nbits = slice_bits(v, v->core->sb.geo.grains, load->slice);
	spin_unlock_irqrestore(&v->lock, flags);
	id.uuid = uuid;
	r = fclock_md_load(v->md, &id, load->bits, 0);
	if (r < 0)
		DMERR_LIMIT("node %u: bitmap of slot %u, slice %llu on %pg cannot be used (%ld)",
			    v->node, load->slot, load->slice, v->meta, r);
	spin_lock_irqsave(&v->lock, flags);
	load->result = r;
	fclock_core_loaded(v->core, load);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_load(struct fclock_core *core, struct fclock_load *load)
{
	struct fclock_volume *v = volume_of(core);
	struct fclock_load_job *lj = &v->load_job[load - core->own.load];

	lj->load = load;
	__queue(v, v->commit_wq, &lj->work);
}

static void owner_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, owner_work);
	unsigned long flags;
	int r;

	r = fclock_md_start_owner(v->md);
	if (r)
		DMERR_LIMIT("node %u: metadata device %pg cannot be used (%d)",
			    v->node, v->meta, r);
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_owner_started(v->core, r);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_start_owner(struct fclock_core *core)
{
	struct fclock_volume *v = volume_of(core);

	__queue(v, v->commit_wq, &v->owner_work);
}

/* --------------------------------------------------------- superblocks */

static void write_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, write_work);
	const struct fclock_super *sb;
	unsigned long flags;
	bool format;
	u64 slices;
	int r = 0;

	spin_lock_irqsave(&v->lock, flags);
	sb = v->super;
	format = v->super_format;
	slices = v->super_slices;
	spin_unlock_irqrestore(&v->lock, flags);
	if (format) {
		r = fclock_md_format(v->md, sb);
	} else {
		if (slices < sb->geo.slices)
			r = fclock_md_grow(v->md, sb, slices);
		if (!r)
			r = fclock_md_write_super(v->md, sb);
	}
	if (r)
		DMERR_LIMIT("node %u: superblock cannot be written to %pg (%d)",
			    v->node, v->meta, r);
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_super_written(v->core, r);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_write_super(struct fclock_core *core,
			   const struct fclock_super *sb, bool format)
{
	struct fclock_volume *v = volume_of(core);

	v->super = sb;
	v->super_format = format;
	v->super_slices = core->pri.slices;
	__queue(v, v->super_wq, &v->write_work);
}

static void read_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, read_work);
	unsigned long flags;
	int r;

	r = fclock_md_read_super(v->md, v->read_sb);
	if (r && r != -ENODATA)
		DMERR_LIMIT("node %u: superblocks on %pg cannot be read (%d)",
			    v->node, v->meta, r);
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_super_read(v->core, r, v->read_sb);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_read_super(struct fclock_core *core)
{
	struct fclock_volume *v = volume_of(core);

	__queue(v, v->super_wq, &v->read_work);
}

/* --------------------------------------------------------------- gates */

/*
 * A gate counts the I/O that went past the core by what the cache or the path
 * says. The last one behind a closed gate ends in here, in any context.
 */
static void gate_released(struct percpu_ref *ref)
{
	struct fclock_gate *gate = container_of(ref, struct fclock_gate, ref);
	struct fclock_volume *v = gate->volume;

	if (!READ_ONCE(v->dead))
		queue_work(v->io_wq, &v->gate_work);
}

static void op_gate(struct fclock_core *core, u32 closed, u64 seq)
{
	struct fclock_volume *v = volume_of(core);
	u32 a = BIT(FCLOCK_CACHE_A);

	if ((closed & a) && !(v->gates_wanted & a)) {
		v->gate_began = ktime_get();
		v->gate_trigger = false;
	}
	v->gates_wanted = closed;
	v->gates_seq = seq;
	__queue(v, v->io_wq, &v->gate_work);
}

/* Of the last trigger, how long A's gate kept writes waiting. */
static void note_gate_time(struct fclock_volume *v)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	if (v->gate_trigger)
		v->core->stats.trigger_us =
			ktime_us_delta(ktime_get(), v->gate_began);
	v->gate_trigger = false;
	spin_unlock_irqrestore(&v->lock, flags);
}

static void move_gates(struct fclock_volume *v, u32 wanted, u64 seq)
{
	u32 change = wanted ^ v->gates_closed;
	unsigned int i;

	if (change & wanted)
		trace_fclock_gate(v->node, FCLOCK_TG_CLOSE, change & wanted,
				  seq);
	if (change & ~wanted)
		trace_fclock_gate(v->node, FCLOCK_TG_OPEN, change & ~wanted,
				  seq);
	for (i = 0; i < FCLOCK_CACHE_MAPS; i++) {
		if (!(change & BIT(i)))
			continue;
		if (wanted & BIT(i)) {
			percpu_ref_kill(&v->gate[i].ref);
			continue;
		}
		percpu_ref_resurrect(&v->gate[i].ref);
		if (i == FCLOCK_CACHE_A)
			note_gate_time(v);
	}
	v->gates_closed = wanted;
}

static bool gates_drained(struct fclock_volume *v)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_CACHE_MAPS; i++)
		if ((v->gates_closed & BIT(i)) &&
		    !percpu_ref_is_zero(&v->gate[i].ref))
			return false;
	return true;
}

static void gate_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, gate_work);
	unsigned long flags;
	u32 wanted;
	u64 seq;

	fclock_delay(FCLOCK_DELAY_GATE);
	spin_lock_irqsave(&v->lock, flags);
	wanted = v->gates_wanted;
	seq = v->gates_seq;
	spin_unlock_irqrestore(&v->lock, flags);
	move_gates(v, wanted, seq);
	if (seq == v->gates_done || !gates_drained(v))
		return;		/* gate_released() or op_gate() come again */
	trace_fclock_gate(v->node, FCLOCK_TG_DRAINED, wanted, seq);
	spin_lock_irqsave(&v->lock, flags);
	if (seq == v->gates_seq) {
		v->gates_done = seq;
		fclock_core_gated(v->core, seq);
	}
	spin_unlock_irqrestore(&v->lock, flags);
}

static int gates_init(struct fclock_volume *v)
{
	unsigned int i;
	int r;

	for (i = 0; i < FCLOCK_CACHE_MAPS; i++) {
		r = percpu_ref_init(&v->gate[i].ref, gate_released,
				    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
		if (r)
			return r;
		v->gate[i].volume = v;
	}
	return 0;
}

/*
 * A gate that is being closed is still in the hands of RCU: open it first. One that was
 * opened before all I/O had left may be as well: RCU's callback wakes who opens it
 * before it drops its own count.
 */
static void gates_exit(struct fclock_volume *v)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_CACHE_MAPS && v->gate[i].volume; i++)
		if (v->gates_closed & BIT(i))
			percpu_ref_resurrect(&v->gate[i].ref);
	rcu_barrier();
	for (i = 0; i < FCLOCK_CACHE_MAPS && v->gate[i].volume; i++)
		percpu_ref_exit(&v->gate[i].ref);
}

/* -------------------------------------------- timer, answers, events */

static u64 op_now(struct fclock_core *core)
{
	return ktime_to_ms(ktime_get());
}

static u64 op_random(struct fclock_core *core)
{
	u64 r;

	do {
		r = get_random_u64();
	} while (!r);
	return r;
}

static void op_timer(struct fclock_core *core, u64 at)
{
	struct fclock_volume *v = volume_of(core);
	u64 now = op_now(core);

	if (!v->dead)
		mod_delayed_work(v->io_wq, &v->timer_work, at > now ?
				 msecs_to_jiffies(at - now) : 0);
}

static void timer_work(struct work_struct *work)
{
	struct fclock_volume *v = container_of(to_delayed_work(work),
					       struct fclock_volume,
					       timer_work);
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_timer(v->core);
	spin_unlock_irqrestore(&v->lock, flags);
}

static void op_wake(struct fclock_core *core, struct fclock_waiter *waiter)
{
	struct fclock_volume *v = volume_of(core);

	list_add_tail(&waiter->list, &v->woken);
	__queue(v, v->io_wq, &v->wake_work);
}

static void op_answer(struct fclock_core *core, struct fclock_ask *ask)
{
	struct fclock_waiting_ask *waiting =
		container_of(ask, struct fclock_waiting_ask, ask);

	complete(&waiting->ended);
}

static void op_event(struct fclock_core *core, unsigned int events, u16 slots)
{
	struct fclock_volume *v = volume_of(core);
	unsigned int s;

	if (events & FCLOCK_EVENT_ENDED)
		wake_up_all(&v->wait);
	if (events & FCLOCK_EVENT_TRIGGER) {
		for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
			if (slots & BIT(s))
				clear_bit(s, &v->image_flushed);
		v->trigger_slots |= slots;
		v->gate_trigger = true;
	}
	v->events |= events & (FCLOCK_EVENT_STATE | FCLOCK_EVENT_TRIGGER);
	if (v->events)
		__queue(v, v->event_wq, &v->event_work);
}

/* A copy has new content: udev should look at it again. */
static void tell_udev(struct fclock_target *t)
{
	struct mapped_device *md = dm_table_get_md(t->ti->table);

	kobject_uevent(&disk_to_dev(dm_disk(md))->kobj, KOBJ_CHANGE);
}

static void event_work(struct work_struct *work)
{
	struct fclock_volume *v =
		container_of(work, struct fclock_volume, event_work);
	struct fclock_target *t;
	unsigned int events, noio;
	unsigned long flags;
	u16 slots;

	spin_lock_irqsave(&v->lock, flags);
	events = v->events;
	slots = v->trigger_slots;
	v->events = 0;
	v->trigger_slots = 0;
	spin_unlock_irqrestore(&v->lock, flags);

	/* a resume may wait for the lock, and reclaim for that device */
	noio = memalloc_noio_save();
	mutex_lock(&v->targets_lock);
	list_for_each_entry(t, &v->targets, list) {
		if (events)
			dm_table_event(t->ti->table);
		if (t->target != FCLOCK_TARGET_A && (slots & BIT(t->map)))
			tell_udev(t);
	}
	mutex_unlock(&v->targets_lock);
	memalloc_noio_restore(noio);
}

const struct fclock_core_ops fclock_volume_ops = {
	.kick = op_kick,
	.disconnect = op_disconnect,
	.wake = op_wake,
	.copy = op_copy,
	.commit = op_commit,
	.load = op_load,
	.start_owner = op_start_owner,
	.write_super = op_write_super,
	.read_super = op_read_super,
	.gate = op_gate,
	.timer = op_timer,
	.answer = op_answer,
	.event = op_event,
	.now = op_now,
	.random = op_random,
};

/* ---------------------------------------------------------- begin, end */

static int make_queues(struct fclock_volume *v)
{
	unsigned int major = MAJOR(v->meta_dev), minor = MINOR(v->meta_dev);

	v->io_wq = alloc_workqueue("fclock-io/%u:%u",
				   WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 0,
				   major, minor);
	v->commit_wq = alloc_ordered_workqueue("fclock-md/%u:%u",
					       WQ_MEM_RECLAIM, major, minor);
	v->super_wq = alloc_ordered_workqueue("fclock-sb/%u:%u",
					      WQ_MEM_RECLAIM, major, minor);
	v->event_wq = alloc_workqueue("fclock-ev/%u:%u", WQ_UNBOUND, 1, major,
				      minor);
	return v->io_wq && v->commit_wq && v->super_wq && v->event_wq ?
		0 : -ENOMEM;
}

static int make_flushes(struct fclock_volume *v)
{
	unsigned int s;

	init_completion(&v->flushes.done);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		v->flushes.bio[s] = kzalloc(sizeof(*v->flushes.bio[s]),
					    GFP_KERNEL);
		if (!v->flushes.bio[s])
			return -ENOMEM;
	}
	return 0;
}

int fclock_actions_init(struct fclock_volume *v)
{
	unsigned int i;

	INIT_LIST_HEAD(&v->woken);
	INIT_LIST_HEAD(&v->copies);
	INIT_WORK(&v->wake_work, fclock_io_wake_work);
	INIT_WORK(&v->copy_work, copy_work);
	INIT_WORK(&v->gate_work, gate_work);
	INIT_WORK(&v->event_work, event_work);
	INIT_WORK(&v->commit_work, commit_work);
	INIT_WORK(&v->owner_work, owner_work);
	INIT_WORK(&v->write_work, write_work);
	INIT_WORK(&v->read_work, read_work);
	INIT_DELAYED_WORK(&v->timer_work, timer_work);
	for (i = 0; i < FCLOCK_SPLITS; i++)
		v->split_job[i].volume = v;
	for (i = 0; i < FCLOCK_LOADS; i++) {
		v->load_job[i].volume = v;
		INIT_WORK(&v->load_job[i].work, load_work);
	}
	return make_flushes(v) ?: make_queues(v) ?: gates_init(v);
}

/* From here on the core's orders are dropped; what is under way ends. */
void fclock_actions_quiesce(struct fclock_volume *v)
{
	unsigned long flags;

	if (!v->io_wq || !v->commit_wq || !v->super_wq || !v->event_wq)
		return;		/* not all was made, so nothing was queued */
	spin_lock_irqsave(&v->lock, flags);
	WRITE_ONCE(v->dead, true);
	spin_unlock_irqrestore(&v->lock, flags);
	cancel_delayed_work_sync(&v->timer_work);
	cancel_work_sync(&v->gate_work);
	flush_workqueue(v->super_wq);
	flush_workqueue(v->commit_wq);
	flush_workqueue(v->io_wq);
	flush_workqueue(v->event_wq);
}

void fclock_actions_exit(struct fclock_volume *v)
{
	unsigned int s;

	gates_exit(v);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		kfree(v->flushes.bio[s]);
	if (v->io_wq)
		destroy_workqueue(v->io_wq);
	if (v->commit_wq)
		destroy_workqueue(v->commit_wq);
	if (v->super_wq)
		destroy_workqueue(v->super_wq);
	if (v->event_wq)
		destroy_workqueue(v->event_wq);
}
