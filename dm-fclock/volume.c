// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life and death of a volume.
 *
 *   1. The constructor of fclock-origin finds the volume of its metadata device
 *      number, or makes it: it reads M and checks everything, and writes nothing.
 *   2. The first resume of any target of the volume starts it: sockets, core; or
 *      manager.c does, once its engine has a members list.
 *   3. A copy is attached by its first resume and detached by the destructor of
 *      its last table. A reload has two tables of one mapped device for a while:
 *      they share the volume and the slot.
 *   4. The destructor of the last target leaves the cluster, and when the core
 *      says that nothing of this instance is under way any more, all goes.
 *
 * The block devices used below stay open because some target holds each of
 * them: A and M all targets, a copy device its own one. All openers of a device
 * number get the same struct block_device.
 */
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/uuid.h>
#include <linux/utsname.h>
#include <linux/nsproxy.h>
#include "volume.h"

static DEFINE_MUTEX(volumes_lock);
static LIST_HEAD(volumes);

/*
 * A resume takes volumes_lock while its device holds I/O back, so whoever has the
 * lock must not wait for that I/O: no memory allocation in it starts any.
 */
static unsigned int lock_volumes(void)
{
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&volumes_lock);
	return noio;
}

static void unlock_volumes(unsigned int noio)
{
	mutex_unlock(&volumes_lock);
	memalloc_noio_restore(noio);
}

void fclock_assert_volumes_held(void)
{
	lockdep_assert_held(&volumes_lock);
}

static struct fclock_volume *__find_volume(dev_t meta)
{
	struct fclock_volume *v;

	lockdep_assert_held(&volumes_lock);
	list_for_each_entry(v, &volumes, list)
		if (v->meta_dev == meta)
			return v;
	return NULL;
}

/* A device may serve one purpose of one volume. @own: may share A, M or a slot */
static int __check_unused(struct dm_target *ti, struct block_device *bdev,
			  const struct fclock_volume *own)
{
	struct fclock_volume *v;
	unsigned int s;
	int r;

	lockdep_assert_held(&volumes_lock);
	list_for_each_entry(v, &volumes, list) {
		if (v == own)
			continue;
		r = fclock_refuse_overlap(ti, bdev, v->meta, "a metadata device") ?:
			fclock_refuse_overlap(ti, bdev, v->origin,
					      "another volume's origin device");
		for (s = 0; !r && s < FCLOCK_MAX_SLOTS; s++)
			r = fclock_refuse_overlap(ti, bdev, v->slot[s].bdev,
						  "another volume's copy device");
		if (r)
			return r;
	}
	return 0;
}

/* ---------------------------------------------------------- its parts */

void fclock_know_volume(struct fclock_volume *v)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_formatted(v->core, v->read_sb->uuid);
	spin_unlock_irqrestore(&v->lock, flags);
}

static int make_core(struct fclock_volume *v, struct fclock_target *t)
{
	struct fclock_core_config *cfg;

	cfg = kzalloc(sizeof(*cfg), GFP_KERNEL);
	if (!cfg)
		return -ENOMEM;
	cfg->node = t->args.node;
	cfg->peers = t->args.peer_mask;
	cfg->networked = t->args.has_listen;
	cfg->geo = v->geo;
	v->memory = t->ti->len;
	v->memory = fclock_room(v, t);
	cfg->room = fclock_room(v, t);
	generate_random_uuid(cfg->uuid);
	cfg->trigger_timeout = t->args.trigger_timeout;
	cfg->cache_limit = t->args.has_cache_limit ?
		t->args.cache_limit << 10 : ~0ull;
	fclock_host_set(cfg->host, utsname()->nodename);
	snprintf(cfg->origin, sizeof(cfg->origin), "%pg", v->origin);
	v->core = fclock_core_create(cfg, &fclock_volume_ops, &v->lock);
	kfree(cfg);
	if (!v->core)
		return -ENOMEM;
	if (v->formatted)
		fclock_know_volume(v);
	return 0;
}

static int make_transport(struct fclock_volume *v, struct fclock_target *t)
{
	struct fclock_transport *transport;

	if (!t->args.has_listen)
		return 0;
	transport = fclock_transport_create(current->nsproxy->net_ns,
					    t->args.node, &t->args.listen,
					    t->args.peer, t->args.nr_peers,
					    t->key,
					    &fclock_volume_transport_ops, v);
	if (IS_ERR(transport))
		return PTR_ERR(transport);
	v->transport = transport;
	return 0;
}

static unsigned long shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	struct fclock_volume *v = fclock_shrinker_private(s);
	const struct fclock_cache *cache = &v->core->cache;

	return READ_ONCE(cache->nr_runs) + READ_ONCE(cache->nr_dead) ?:
		SHRINK_EMPTY;
}

static unsigned long shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct fclock_volume *v = fclock_shrinker_private(s);
	unsigned long flags, n;

	spin_lock_irqsave(&v->lock, flags);
	n = fclock_cache_shrink(&v->core->cache, sc->nr_to_scan);
	spin_unlock_irqrestore(&v->lock, flags);
	return n ?: SHRINK_STOP;
}

static int make_parts(struct fclock_volume *v, struct fclock_target *t)
{
	int r;

	t->ti->error = "Cannot make the parts of the volume";
	v->hits = alloc_percpu(struct fclock_hits);
	if (!v->hits)
		return -ENOMEM;
	v->copier = fclock_copier_create();
	if (IS_ERR(v->copier)) {
		r = PTR_ERR(v->copier);
		v->copier = NULL;
		return r;
	}
	r = fclock_io_init(v) ?: fclock_actions_init(v) ?: make_core(v, t) ?:
		make_transport(v, t) ?: fclock_manager_init(v, t);
	if (r)
		return r;
	v->shrinker = fclock_shrinker_create(shrink_count, shrink_scan, v,
					     "dm-fclock");
	return v->shrinker ? 0 : -ENOMEM;
}

/* Undoes make_parts() and fclock_read_metadata(), also when they stopped half way. */
static void free_volume(struct fclock_volume *v)
{
	unsigned int s;

	fclock_shrinker_destroy(v->shrinker);
	fclock_manager_exit(v);
	if (v->transport)
		fclock_transport_stop(v->transport);
	fclock_actions_quiesce(v);
	if (v->core)
		fclock_core_destroy(v->core);
	if (v->transport)
		fclock_transport_destroy(v->transport);
	fclock_actions_exit(v);
	fclock_io_exit(v);
	if (v->copier)
		fclock_copier_destroy(v->copier);
	if (v->md)
		fclock_md_close(v->md);
	free_percpu(v->hits);
	kvfree(v->read_sb);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++) {
		fclock_free_memory(&v->slot[s].mem);
		fclock_free_memory(&v->slot[s].spare);
	}
	kvfree(v);
}

static u8 phase_of(struct fclock_volume *v)
{
	unsigned long flags;
	u8 phase;

	spin_lock_irqsave(&v->lock, flags);
	phase = v->core->phase;
	spin_unlock_irqrestore(&v->lock, flags);
	return phase;
}

/* Out of the cluster if it lets us, and at most trigger_timeout for its answer. */
static void leave_cluster(struct fclock_volume *v)
{
	unsigned long flags, timeout;

	timeout = msecs_to_jiffies(v->applied.trigger_timeout);
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_leave(v->core);
	spin_unlock_irqrestore(&v->lock, flags);
	if (!wait_event_timeout(v->wait, phase_of(v) == FCLOCK_LEFT, timeout)) {
		spin_lock_irqsave(&v->lock, flags);
		fclock_core_leave_now(v->core);
		spin_unlock_irqrestore(&v->lock, flags);
		wait_event(v->wait, phase_of(v) == FCLOCK_LEFT);
	}
	/* BYE is the last thing said */
	if (v->transport)
		fclock_transport_drain(v->transport, 1000);
}

/*
 * Gives one table's reference back. Return: it was the last one, and after
 * volumes_lock was dropped end_volume() has to follow.
 */
static bool __put_volume(struct fclock_volume *v)
{
	lockdep_assert_held(&volumes_lock);
	if (--v->tables)
		return false;
	/* Stays findable while it leaves, so that nobody makes a second one. */
	v->leaving = true;
	return true;
}

static void end_volume(struct fclock_volume *v)
{
	fclock_manager_stop(v);
	if (v->core->started)
		leave_cluster(v);
	fclock_manager_leave(v);
	/* its port too is free for a volume that is made when this one is not found any more */
	if (v->transport)
		fclock_transport_stop(v->transport);
	mutex_lock(&volumes_lock);
	list_del(&v->list);
	mutex_unlock(&volumes_lock);
	free_volume(v);
}

static void add_target(struct fclock_target *t)
{
	mutex_lock(&t->volume->targets_lock);
	list_add_tail(&t->list, &t->volume->targets);
	mutex_unlock(&t->volume->targets_lock);
}

static void remove_target(struct fclock_target *t)
{
	mutex_lock(&t->volume->targets_lock);
	list_del(&t->list);
	mutex_unlock(&t->volume->targets_lock);
}

static int __check_present(struct dm_target *ti, struct fclock_volume *v)
{
	lockdep_assert_held(&volumes_lock);
	if (v->ready && !v->leaving)
		return 0;
	fclock_complain(ti, "metadata device %pg is busy: its volume is being %s",
			v->meta, v->leaving ? "removed" : "constructed");
	ti->error = "Metadata device is busy";
	return -EBUSY;
}

/* --------------------------------------------------------- the origin */

static bool same_peers(const struct fclock_args *a, const struct fclock_args *b)
{
	unsigned int i;

	if (a->nr_peers != b->nr_peers)
		return false;
	for (i = 0; i < a->nr_peers; i++)
		if (a->peer[i].node != b->peer[i].node ||
		    !fclock_same_addr(&a->peer[i].addr, &b->peer[i].addr))
			return false;
	return true;
}

static int __apply_peers(struct fclock_volume *v, const struct fclock_args *args)
{
	u64 added = args->peer_mask & ~v->applied.peer_mask;
	int r;

	lockdep_assert_held(&volumes_lock);
	if (!v->transport || same_peers(args, &v->applied))
		return 0;
	if (added) {
		r = fclock_core_add_peers(v->core, added);
		if (r)
			return r;
	}
	return fclock_transport_set_peers(v->transport, args->peer,
					  args->nr_peers);
}

/* What a reload may change. */
static int __apply_args(struct fclock_volume *v, const struct fclock_target *t)
{
	const struct fclock_args *args = &t->args;
	unsigned long flags;
	int r = 0;

	lockdep_assert_held(&volumes_lock);
	if (v->transport)
		r = fclock_transport_set_key(v->transport, t->key);
	if (!r)
		r = __apply_peers(v, args);
	if (r)
		return r;
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_set_timeout(v->core, args->trigger_timeout);
	fclock_core_set_cache_limit(v->core, args->has_cache_limit ?
				    args->cache_limit << 10 : ~0ull);
	spin_unlock_irqrestore(&v->lock, flags);
	v->applied = *args;
	return 0;
}

/* A second table: a reload, or the origin comes back while copies live. */
static int __check_reload(struct fclock_target *t, struct fclock_volume *v)
{
	struct dm_target *ti = t->ti;

	lockdep_assert_held(&volumes_lock);
	ti->error = "Table does not fit the running volume";
	if (v->origin_md && v->origin_md != dm_table_get_md(ti->table)) {
		fclock_complain(ti, "metadata device %pg already has an fclock-origin on this node",
				v->meta);
		return -EBUSY;
	}
	if (v->origin != t->dev->bdev) {
		fclock_complain(ti, "origin device %pg is not %pg, that of the running volume",
				t->dev->bdev, v->origin);
		return -EINVAL;
	}
	if (v->node != t->args.node) {
		fclock_complain(ti, "node id %u is not %u, that of the running volume",
				t->args.node, v->node);
		return -EINVAL;
	}
	if (ti->len < fclock_volume_length(v)) {
		fclock_complain(ti, "length %llu is below the %llu sectors of the running volume",
				(u64)ti->len, fclock_volume_length(v));
		return -EINVAL;
	}
	if (fclock_check_whole_blocks(t, fclock_volume_length(v)))
		return -EINVAL;
	if (t->args.has_grain && v->geo.grain != t->args.grain) {
		fclock_complain(ti, "grain_size %u is not the %u sectors of the running volume",
				t->args.grain, v->geo.grain);
		return -EINVAL;
	}
	if (v->networked != t->args.has_listen ||
	    (v->networked && !fclock_same_addr(&v->listen, &t->args.listen))) {
		fclock_complain(ti, "listen differs from that of the running volume");
		return -EINVAL;
	}
	if (strcmp(v->cluster, t->args.cluster)) {
		fclock_complain(ti, "cluster %s is not %s, that of the running volume",
				t->args.has_cluster ? t->args.cluster : "(none)",
				v->manager ? v->cluster : "(none)");
		return -EINVAL;
	}
	return fclock_check_size(ti, v->origin, "origin") ?:
		fclock_check_grains(ti, &v->geo) ?: fclock_plan_length(t, v);
}

/* A reload keeps the volume, once it runs. */
static int __check_metadata(struct fclock_target *t)
{
	struct dm_target *ti = t->ti;
	struct fclock_volume *v;

	lockdep_assert_held(&volumes_lock);
	list_for_each_entry(v, &volumes, list) {
		if (!v->started || v->origin_md != dm_table_get_md(ti->table))
			continue;
		fclock_complain(ti, "metadata device %pg is not %pg, that of the running volume",
				t->meta->bdev, v->meta);
		ti->error = "Table does not fit the running volume";
		return -EINVAL;
	}
	return 0;
}

static struct fclock_volume *__new_volume(struct fclock_target *t)
{
	struct dm_target *ti = t->ti;
	struct fclock_volume *v;
	int r;

	lockdep_assert_held(&volumes_lock);
	r = __check_metadata(t) ?:
		fclock_refuse_overlap(ti, t->dev->bdev, t->meta->bdev,
				      "the metadata device") ?:
		__check_unused(ti, t->meta->bdev, NULL) ?:
		__check_unused(ti, t->dev->bdev, NULL) ?:
		fclock_check_size(ti, t->dev->bdev, "origin") ?:
		fclock_check_kind(ti, t->meta->bdev, FCLOCK_MD_BLOCK_SIZE, "metadata");
	if (r)
		return ERR_PTR(r);
	v = kvzalloc(sizeof(*v), GFP_KERNEL);
	if (!v) {
		ti->error = "Out of memory";
		return ERR_PTR(-ENOMEM);
	}
	v->meta = t->meta->bdev;
	v->meta_dev = v->meta->bd_dev;
	v->origin = t->dev->bdev;
	v->node = t->args.node;
	v->networked = t->args.has_listen;
	v->listen = t->args.listen;
	v->applied = t->args;
	v->planned = ti->len;
	mutex_init(&v->targets_lock);
	INIT_LIST_HEAD(&v->targets);
	spin_lock_init(&v->lock);
	init_waitqueue_head(&v->wait);
	list_add_tail(&v->list, &volumes);
	return v;
}

/**
 * fclock_origin_open - find or make the volume of a constructed fclock-origin
 * @t: all but @volume is filled in
 *
 * Return: 0, or an error after its sentence was logged and ti->error set.
 */
int fclock_origin_open(struct fclock_target *t)
{
	struct fclock_volume *v, *failed = NULL;
	unsigned int noio;
	int r;

	noio = lock_volumes();
	v = __find_volume(t->meta->bdev->bd_dev);
	if (v) {
		r = __check_present(t->ti, v) ?: __check_reload(t, v);
		/* a copy may start the volume: not by a table that is gone */
		if (!r && !v->started) {
			t->ti->error = "Cannot make the parts of the volume";
			r = __apply_args(v, t);
		}
	} else {
		v = __new_volume(t);
		if (IS_ERR(v)) {
			unlock_volumes(noio);
			return PTR_ERR(v);
		}
		/* M may be slow, and others need not wait for it */
		unlock_volumes(noio);
		r = fclock_read_metadata(v, t) ?: make_parts(v, t);
		noio = lock_volumes();
		v->ready = !r;
		if (r) {
			list_del(&v->list);
			failed = v;
		}
	}
	if (!r) {
		v->tables++;
		v->origin_tables++;
		v->origin_md = dm_table_get_md(t->ti->table);
		t->volume = v;
		add_target(t);
	}
	unlock_volumes(noio);
	if (failed)
		free_volume(failed);
	return r;
}

void fclock_origin_close(struct fclock_target *t)
{
	struct fclock_volume *v = t->volume;
	bool last;

	remove_target(t);
	mutex_lock(&volumes_lock);
	if (!--v->origin_tables)
		v->origin_md = NULL;
	last = __put_volume(v);
	mutex_unlock(&volumes_lock);
	if (last)
		end_volume(v);
}

/* ---------------------------------------------------------- the copies */

static int __check_copy(struct fclock_target *t, struct fclock_volume *v)
{
	struct fclock_attachment *a = &v->slot[t->map];
	struct block_device *bdev = t->dev->bdev;
	struct dm_target *ti = t->ti;
	unsigned int s;
	int r;

	lockdep_assert_held(&volumes_lock);
	ti->error = "Table does not fit the running volume";
	r = fclock_check_copy_length(t, v);
	if (r)
		return r;
	if (a->md && (!a->tables || a->md != dm_table_get_md(ti->table))) {
		fclock_complain(ti, "slot %u already has an fclock-copy on this node",
				t->map);
		return -EBUSY;
	}
	if (a->md && a->bdev != bdev) {
		fclock_complain(ti, "copy device %pg is not %pg, that of the running slot %u",
				bdev, a->bdev, t->map);
		return -EINVAL;
	}
	r = fclock_refuse_overlap(ti, bdev, v->meta, "the metadata device") ?:
		fclock_refuse_overlap(ti, bdev, v->origin, "the origin device") ?:
		__check_unused(ti, bdev, v);
	for (s = 0; !r && s < FCLOCK_MAX_SLOTS; s++)
		if (s != t->map)
			r = fclock_refuse_overlap(ti, bdev, v->slot[s].bdev,
						  "another slot's copy device");
	return r ?: fclock_check_size(ti, bdev, "copy") ?:
		fclock_check_kind(ti, bdev, v->geo.grain << SECTOR_SHIFT, "copy");
}

/* What the core wants to keep about the slot; so that resume cannot fail. */
static int __new_attachment(struct fclock_target *t, struct fclock_volume *v)
{
	struct fclock_attachment *a = &v->slot[t->map];
	int r;

	lockdep_assert_held(&volumes_lock);
	r = fclock_make_memory(&a->mem, v, v->memory);
	if (r)
		return r;
	a->md = dm_table_get_md(t->ti->table);
	a->bdev = t->dev->bdev;
	return 0;
}

static void __free_attachment(struct fclock_attachment *a)
{
	lockdep_assert_held(&volumes_lock);
	fclock_free_memory(&a->mem);
	fclock_free_memory(&a->spare);
	memset(a, 0, sizeof(*a));
}

static struct fclock_volume *__volume_of_copy(struct fclock_target *t)
{
	struct fclock_volume *v = __find_volume(t->meta->bdev->bd_dev);
	int r;

	if (!v) {
		fclock_complain(t->ti, "no fclock-origin on this node has metadata device %pg",
				t->meta->bdev);
		t->ti->error = "No volume with this metadata device";
		return ERR_PTR(-ENODEV);
	}
	r = __check_present(t->ti, v);
	return r ? ERR_PTR(r) : v;
}

static int __take_slot(struct fclock_target *t, struct fclock_volume *v)
{
	struct fclock_attachment *a = &v->slot[t->map];
	int r;

	lockdep_assert_held(&volumes_lock);
	if (!a->md) {
		r = __new_attachment(t, v);
		if (r) {
			__free_attachment(a);
			t->ti->error = "Out of memory";
			return r;
		}
	}
	a->tables++;
	v->tables++;
	t->volume = v;
	add_target(t);
	return 0;
}

/* The volume may be another one by now, and the number that of another disk. */
static int __check_origin(struct fclock_target *t, const struct fclock_volume *v)
{
	lockdep_assert_held(&volumes_lock);
	if (t->origin->bdev == v->origin)
		return 0;
	fclock_complain(t->ti, "origin device %pg is not %pg, that of the running volume",
			t->origin->bdev, v->origin);
	t->ti->error = "Table does not fit the running volume";
	return -EBUSY;
}

/* Return: the number of A, if this table fits the volume, or 0 and the reason to @r. */
static dev_t find_origin(struct fclock_target *t, int *r)
{
	struct fclock_volume *v;
	unsigned int noio;
	dev_t dev = 0;

	noio = lock_volumes();
	v = __volume_of_copy(t);
	*r = IS_ERR(v) ? PTR_ERR(v) : __check_copy(t, v);
	if (!*r)
		dev = v->origin->bd_dev;
	unlock_volumes(noio);
	return dev;
}

/**
 * fclock_copy_open - find the volume of a constructed fclock-copy and take the slot
 * @t: all but @volume and @origin is filled in
 *
 * Takes the copy's own reference to A. To open a disk may take as long as its error recovery,
 * and nobody else is to wait for that: so all is looked at again after it.
 * Return: as fclock_origin_open().
 */
int fclock_copy_open(struct fclock_target *t)
{
	struct fclock_volume *v;
	unsigned int noio;
	char name[16];
	dev_t dev;
	int r;

	dev = find_origin(t, &r);
	if (!dev)
		return r;
	t->ti->error = "Cannot open the origin device";
	format_dev_t(name, dev);
	r = dm_get_device(t->ti, name, FCLOCK_OPEN_READ, &t->origin);
	if (r)
		return r;
	noio = lock_volumes();
	v = __volume_of_copy(t);
	r = IS_ERR(v) ? PTR_ERR(v) : __check_origin(t, v) ?:
		__check_copy(t, v) ?: __take_slot(t, v);
	unlock_volumes(noio);
	if (r)
		dm_put_device(t->ti, t->origin);
	return r;
}

static bool detached(struct fclock_volume *v, unsigned int slot)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&v->lock, flags);
	done = fclock_core_detached(v->core, slot);
	spin_unlock_irqrestore(&v->lock, flags);
	return done;
}

/* Waits for local I/O only; the view that tells the others may come later. */
static void detach(struct fclock_volume *v, unsigned int slot)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	fclock_core_detach(v->core, slot);
	spin_unlock_irqrestore(&v->lock, flags);
	wait_event(v->wait, detached(v, slot));
}

void fclock_copy_close(struct fclock_target *t)
{
	struct fclock_volume *v = t->volume;
	struct fclock_attachment *a = &v->slot[t->map];
	bool last;

	remove_target(t);
	mutex_lock(&volumes_lock);
	if (!--a->tables) {
		/* the last target leaves with all it has: one view, not two */
		if (a->attached && v->tables > 1) {
			mutex_unlock(&volumes_lock);
			detach(v, t->map);
			mutex_lock(&volumes_lock);
			a->attached = false;
		}
		if (!a->attached)
			__free_attachment(a);
	}
	last = __put_volume(v);
	mutex_unlock(&volumes_lock);
	if (last)
		end_volume(v);
	dm_put_device(t->ti, t->origin);
}

/* ------------------------------------------------------------- resume */

static int __start(struct fclock_volume *v)
{
	unsigned long flags;
	int r;

	lockdep_assert_held(&volumes_lock);
	if (v->started)
		return 0;
	if (v->manager) {
		fclock_manager_start(v);
		v->started = true;
		return 0;
	}
	if (v->transport) {
		r = fclock_transport_start(v->transport);
		if (r) {
			DMERR("node %u: cannot listen on %pISpc (%d)", v->node,
			      &v->listen.sa, r);
			return r;
		}
	}
	spin_lock_irqsave(&v->lock, flags);
	fclock_core_start(v->core);
	spin_unlock_irqrestore(&v->lock, flags);
	v->started = true;
	return 0;
}

/* The slot appears, or its table is another one. */
static int __attach(struct fclock_volume *v, const struct fclock_target *t)
{
	struct fclock_attachment *a = &v->slot[t->map];
	u64 length = t->ti->len;
	unsigned long flags;
	int r = 0;

	lockdep_assert_held(&volumes_lock);
	if (a->attached && length == a->length)
		return 0;
	spin_lock_irqsave(&v->lock, flags);
	if (a->attached)
		r = fclock_core_set_copy(v->core, t->map, length);
	else
		fclock_core_attach(v->core, t->map, &a->mem, length);
	spin_unlock_irqrestore(&v->lock, flags);
	if (r) {
		fclock_complain(t->ti, "length %llu is too short for the copy that slot %u has now",
				length, t->map);
		return r;
	}
	a->length = length;
	a->attached = true;
	return 0;
}

int fclock_volume_resume(struct fclock_target *t)
{
	struct fclock_volume *v = t->volume;
	unsigned int noio;
	int r = 0;

	noio = lock_volumes();
	if (t->target == FCLOCK_TARGET_A)
		r = fclock_apply_length(v, t) ?: __apply_args(v, t);
	if (!r)
		r = __start(v);
	if (!r && t->target != FCLOCK_TARGET_A)
		r = __attach(v, t);
	unlock_volumes(noio);
	return r;
}
