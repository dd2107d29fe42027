// SPDX-License-Identifier: GPL-2.0-only
/*
 * A and the copies as stamps per sector, each with what is stable and what a power
 * cut may take; and operations on devices. An operation has stages; each has its
 * effect at a random moment, and the node hears of the end some time later.
 */
#include "sim.h"

/* -------------------------------------------------------------------- devices */

static void dev_init(struct dev *dev, u64 sectors)
{
	dev->vol = calloc(sectors, sizeof(u64));
	dev->dur = calloc(sectors, sizeof(u64));
	dev->dirty = calloc(sectors, sizeof(u32));
	dev->is_dirty = calloc(sectors, 1);
}

static void dev_exit(struct dev *dev)
{
	free(dev->vol);
	free(dev->dur);
	free(dev->dirty);
	free(dev->is_dirty);
}

void dev_write(struct world *w, struct dev *dev, u64 sector, u64 stamp)
{
	if (!dev->is_dirty[sector]) {
		dev->is_dirty[sector] = 1;
		dev->dirty[dev->nr_dirty++] = sector;
	} else if (!(w_random(w) & 15)) {
		/* the array wrote out by itself what stood there */
		dev->dur[sector] = dev->vol[sector];
	}
	dev->vol[sector] = stamp;
}

void dev_flush(struct dev *dev)
{
	u32 i, sector;

	for (i = 0; i < dev->nr_dirty; i++) {
		sector = dev->dirty[i];
		dev->is_dirty[sector] = 0;
		dev->dur[sector] = dev->vol[sector];
	}
	dev->nr_dirty = 0;
}

/* The power fails: of each sector what was flushed last, or something newer. */
static void dev_lose(struct world *w, struct dev *dev)
{
	u32 i, sector;

	for (i = 0; i < dev->nr_dirty; i++) {
		sector = dev->dirty[i];
		if (w_chance(w, 500))
			dev->vol[sector] = dev->dur[sector];
	}
	dev_flush(dev);
}

static void dev_fill(struct world *w, struct dev *dev, u8 target)
{
	u64 sector, stamp = w_stamp(w, target, 0, w->sectors - 1, 0);

	/* one stamp: nobody has to tell the sectors apart before they are written */
	w->wr[stamp].issued = 0;
	w->wr[stamp].ended = 0;
	for (sector = 0; sector < w->sectors; sector++)
		dev->vol[sector] = dev->dur[sector] = stamp;
}

void disk_init(struct world *w)
{
	unsigned int s;

	/* the last grain is cut short by the length */
	BUG_ON(w->cls->slots > W_SLOTS || w->cls->nodes > FCLOCK_MAX_NODES ||
	       w->cls->span > W_SPAN);
	w->sectors = w->cls->grains * W_GRAIN - 3;
	BUG_ON(fclock_geometry_init(&w->geo, w->sectors, W_GRAIN, 0));
	w->geo.slice = w->cls->slice;
	w->geo.slices = DIV_ROUND_UP_ULL(w->geo.grains, w->geo.slice);
	w->first_geo = w->geo;
	if (w->cls->resize) {
		/* it grows, and ends anywhere in a grain and in a slice */
		w->first_geo.length = w_between(w, w->sectors / 4,
						w->sectors * 3 / 4);
		w->first_geo.grains = DIV_ROUND_UP_ULL(w->first_geo.length,
						       W_GRAIN);
		w->first_geo.slices = DIV_ROUND_UP_ULL(w->first_geo.grains,
						       w->geo.slice);
	}
	w_stamp(w, 0, 0, 0, 0);		/* 0 is nothing */
	dev_init(&w->a, w->sectors);
	dev_fill(w, &w->a, FCLOCK_TARGET_A);
	w->a_hist = calloc(w->geo.grains, sizeof(*w->a_hist));
	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];

		INIT_LIST_HEAD(&slot->gens);
		dev_init(&slot->b, w->sectors);
		dev_fill(w, &slot->b, s);
		slot->shared = calloc(w->geo.grains, sizeof(*slot->shared));
	}
}

static void dop_drop(struct dop *d)
{
	free(d->buf);
	free(d->part);
	free(d->sb);
	free(d);
}

void disk_exit(struct world *w)
{
	struct dop *d, *tmp;
	unsigned int s;

	list_for_each_entry_safe(d, tmp, &w->dops, list)
		dop_drop(d);
	while ((d = w->free_dops)) {
		w->free_dops = (struct dop *)d->list.next;
		free(d);
	}
	dev_exit(&w->a);
	for (s = 0; s < w->cls->slots; s++) {
		dev_exit(&w->slot[s].b);
		free(w->slot[s].shared);
	}
}

/* ----------------------------------------------------------------- operations */

struct dop *dop_new(struct world *w, struct node *n, struct dev *dev)
{
	struct dop *d = w->free_dops;

	if (d)
		w->free_dops = (struct dop *)d->list.next;
	else
		d = malloc(sizeof(*d));
	memset(d, 0, sizeof(*d));
	d->node = n;
	d->life = n->life;
	d->type = DOP_OTHER;
	d->stages = 1;
	d->gate = -1;
	d->dev = dev;
	list_add_tail(&d->list, &w->dops);
	return d;
}

static void dop_free(struct world *w, struct dop *d)
{
	list_del(&d->list);
	free(d->buf);
	free(d->part);
	free(d->sb);
	d->list.next = (void *)w->free_dops;
	w->free_dops = d;
}

static void count_grains(struct world *w, struct dop *d, int by)
{
	u64 g;

	for (g = d->first / W_GRAIN; g <= d->last / W_GRAIN; g++)
		w->slot[d->target].shared[g] += by;
}

static void count(struct world *w, struct dop *d, int by)
{
	unsigned int s;

	if (d->type == DOP_BIO && d->target == FCLOCK_TARGET_A) {
		w->a_writes += d->io == FCLOCK_IO_READ ? 0 : by;
	} else if (d->type == DOP_BIO) {
		w->slot[d->target].bios += by;
		if (d->shared)
			count_grains(w, d, by);
	} else {
		for (s = 0; s < w->cls->slots; s++)
			if (d->slots & BIT(s))
				w->slot[s].copies += by;
	}
	d->counted = by > 0;
}

/* The oracle counts what may still reach a device, from when it was decided. */
void dop_count(struct world *w, struct dop *d)
{
	if (!d->node->fenced)
		count(w, d, 1);
}

static void uncount(struct world *w, struct dop *d)
{
	if (d->counted)
		count(w, d, -1);
}

static u64 disk_delay(struct world *w, const struct dev *dev)
{
	if (w->cls->delay)
		return w->cls->delay;
	if (dev && dev->slow_until > w->now)
		return w_between(w, 20 * W_MS, 900 * W_MS);
	if (w_chance(w, 8))
		return w_between(w, 10 * W_MS, 300 * W_MS);
	return w_between(w, 20, 2000);
}

static void dop_ended(struct world *w, struct event *e)
{
	struct dop *d = e->p;

	d->done(w, d);
	dop_free(w, d);
}

static void dop_land(struct world *w, struct event *e)
{
	struct dop *d = e->p;

	if (d->dead) {
		dop_free(w, d);
		return;
	}
	if (!d->silent && d->effect)
		d->effect(w, d);
	if (++d->stage < d->stages) {
		w_in(w, disk_delay(w, d->dev), NULL, dop_land, d, 0, 0);
		return;
	}
	d->landed = true;
	uncount(w, d);
	w_in(w, w_below(w, 500), d->node, dop_ended, d, 0, 0);
}

void dop_start(struct world *w, struct dop *d)
{
	if (d->node->fenced)
		d->silent = true;
	d->issued = true;
	w_in(w, disk_delay(w, d->dev), NULL, dop_land, d, 0, 0);
}

static bool leaves_marks(const struct dop *d)
{
	return d->type == DOP_COPY || d->type == DOP_COMMIT ||
	       d->type == DOP_SUPER ||
	       (d->type == DOP_BIO && d->io != FCLOCK_IO_READ &&
		d->io != FCLOCK_IO_FLUSH);
}

/* A part of what was on its way when the node died gets there, sector by sector. */
static void dop_tear(struct world *w, struct dop *d)
{
	struct dev *dev = d->target == FCLOCK_TARGET_A ? &w->a :
			  &w->slot[d->target].b;
	u64 sector;

	if (d->type == DOP_SUPER) {
		store_tear_super(w, d);
		return;
	}
	if (d->type != DOP_BIO)
		return;
	for (sector = d->first; sector <= d->last; sector++)
		if (w_chance(w, 500))
			dev_write(w, dev, sector, d->stamp);
}

/* The node is gone: what it had under way reaches the device, or does not. */
void disk_crash(struct world *w, struct node *n)
{
	struct dop *d, *tmp;

	list_for_each_entry_safe(d, tmp, &w->dops, list) {
		if (d->node != n || d->dead)
			continue;
		if (d->landed) {
			dop_free(w, d);	/* its end event is of a former life */
			continue;
		}
		d->bio = NULL;
		d->lock = NULL;
		d->split = NULL;
		d->load = NULL;
		while (d->issued && !d->silent && leaves_marks(d) && d->effect &&
		       d->stage < d->stages && w_chance(w, 500)) {
			d->effect(w, d);
			d->stage++;
		}
		if (d->issued && !d->silent && leaves_marks(d) &&
		    d->stage < d->stages && w_chance(w, 400))
			dop_tear(w, d);
		if (d->stamp)
			w->wr[d->stamp].ended = w->now;
		uncount(w, d);
		if (d->issued) {
			d->dead = true;
			continue;
		}
		dop_free(w, d);		/* what would issue it is of a former life */
	}
}

/* What is on its way gets there or does not; nothing that follows does. */
void disk_fence(struct world *w, struct node *n)
{
	struct dop *d;

	n->fenced = true;
	list_for_each_entry(d, &w->dops, list) {
		if (d->node != n || d->dead || d->landed)
			continue;
		while (d->issued && !d->silent && d->effect &&
		       d->stage + 1 < d->stages && w_chance(w, 500)) {
			d->effect(w, d);
			d->stage++;
		}
		if (d->issued && d->type == DOP_BIO && !d->silent &&
		    w_chance(w, 500))
			d->effect(w, d);
		d->silent = true;
		uncount(w, d);
	}
}

bool disk_node_idle(struct world *w, struct node *n)
{
	struct dop *d;

	list_for_each_entry(d, &w->dops, list)
		if (d->node == n && !d->dead)
			return false;
	return true;
}

/* Every volatile layer forgets what it likes. All nodes are down. */
void disk_power(struct world *w)
{
	unsigned int s;

	oracle_power_before(w);
	dev_lose(w, &w->a);
	for (s = 0; s < w->cls->slots; s++)
		dev_lose(w, &w->slot[s].b);
	store_power(w);
	oracle_power_after(w);
}

/* --------------------------------------------------------------------- copies */

bool disk_slot_fails(struct world *w, unsigned int s)
{
	return w->slot[s].fails_until > w->now;
}

static void copy_read(struct world *w, struct dop *d, u64 first, u64 last)
{
	if (w_fault(w, W_copy_fail) && w_chance(w, 250))
		d->read_error = true;
	d->buf = malloc((last - first + 1) * sizeof(u64));
	memcpy(d->buf, &w->a.vol[first], (last - first + 1) * sizeof(u64));
}

static void copy_effect(struct world *w, struct dop *d)
{
	u64 first = w_first_sector(d->first), last = d->end - 1;
	unsigned int s;
	bool fails;
	u64 i;

	if (!d->stage) {
		copy_read(w, d, first, last);
		return;
	}
	/* written while the devices worked: the next flush may have it or not */
	d->dev = NULL;
	for (s = 0; s < w->cls->slots; s++) {
		if (!(d->slots & BIT(s)))
			continue;
		fails = disk_slot_fails(w, s) || d->read_error;
		if (fails)
			d->failed |= BIT(s);
		for (i = first; i <= last; i++)
			if (!fails || (!d->read_error && w_chance(w, 300)))
				dev_write(w, &w->slot[s].b, i,
					  d->buf[i - first]);
	}
}

static void copy_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->read_error = true;
	w_trace(w, "n%u copied %llu-%llu slots %x read error %u failed %x",
		n->id, d->first, d->last, d->slots, d->read_error, d->failed);
	oracle_failed(w, n, d->read_error ? d->slots : d->failed);
	spin_lock(&n->lock);
	fclock_core_copied(n->core, d->split, d->read_error, d->failed);
	spin_unlock(&n->lock);
}

void disk_copy(struct fclock_core *core, struct fclock_split *split)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct dop *d = dop_new(w, n, &w->a);
	unsigned int s;

	/* what the table says the device has */
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if ((split->slots & BIT(s)) && split->end > core->copy_length[s])
			w_fail(w, "n%u copies up to %llu for slot %u, which has %llu sectors there",
			       n->id, split->end, s, core->copy_length[s]);
	d->type = DOP_COPY;
	d->split = split;
	d->first = split->first;
	d->last = split->last;
	d->end = split->end;
	d->slots = split->slots;
	d->stages = 2;
	d->effect = copy_effect;
	d->done = copy_done;
	w->nr_copies++;
	w_trace(w, "n%u copy %llu-%llu slots %x", n->id, d->first, d->last,
		d->slots);
	for (s = 0; s < w->cls->slots; s++) {
		if (w_fault(w, W_copy_fail))
			w->slot[s].fails_until =
				w->now + w_between(w, W_MS, 500 * W_MS);
		/* the slowest of them */
		if ((d->slots & BIT(s)) &&
		    w->slot[s].b.slow_until > d->dev->slow_until)
			d->dev = &w->slot[s].b;
	}
	dop_count(w, d);
	oracle_begins(w, n, "a copy");
	oracle_copy(w, d);
	if (split->background)
		oracle_pace(w, n, split);
	dop_start(w, d);
}
