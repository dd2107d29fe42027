// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios, cut by verdict as io.c of the module does it: counted at a gate when cache or
 * path say so, else handed to the core, and every part in flight by itself.
 */
#include "sim.h"

static const char *io_name(u8 io)
{
	return io == FCLOCK_IO_READ ? "read" :
	       io == FCLOCK_IO_WRITE ? "write" :
	       io == FCLOCK_IO_FLUSH ? "flush" : "discard";
}

static void again(struct world *w, struct event *e)
{
	io_work(e->node, e->a);
}

static void bio_free(struct world *w, struct bio *bio)
{
	list_del(&bio->list);
	bio->list.next = (void *)w->free_bios;
	w->free_bios = bio;
}

static void bio_end(struct bio *bio)
{
	struct node *n = bio->node;
	struct world *w = n->w;
	unsigned int i;

	w_trace(w, "n%u bio %s t%u %llu-%llu ends, error %u requeue %u", n->id,
		io_name(bio->waiter.io), bio->waiter.target, bio->first,
		bio->last, bio->error, bio->requeue);
	w->nr_eio += bio->error;
	for (i = 0; i < bio->nr_stamps; i++)
		w->wr[bio->stamps[i]].ended = w->now;
	if (bio->nr_stamps && !bio->error && !bio->requeue)
		oracle_acked(w, bio);
	if (bio->worker < 1000)
		w_in(w, w_below(w, 8 * W_MS), n, again, NULL, bio->worker, 0);
	bio_free(w, bio);
}

static void bio_put(struct bio *bio)
{
	if (!--bio->pending)
		bio_end(bio);
}

/* ----------------------------------------------------------- pieces in flight */

static struct dev *dev_of(struct world *w, const struct dop *d)
{
	if (d->target == FCLOCK_TARGET_A || d->shared)
		return &w->a;
	return &w->slot[d->target].b;
}

/*
 * What no device does: a write that is under way can be read, then what was there before, then
 * the write. No class has it; tests/sim/run looks whether the oracle sees it.
 */
static void flicker(struct world *w, struct dop *d)
{
	struct dev *dev = dev_of(w, d);
	u64 sector, n = d->last - d->first + 1;

	if (!d->buf) {
		d->buf = malloc(n * sizeof(u64));
		memcpy(d->buf, &dev->vol[d->first], n * sizeof(u64));
		d->stages = 3;
	}
	for (sector = d->first; sector <= d->last; sector++)
		if (d->stage != 1)
			dev_write(w, dev, sector, d->stamp);
		else if (dev->vol[sector] == d->stamp)
			dev_write(w, dev, sector, d->buf[sector - d->first]);
}

static void piece_effect(struct world *w, struct dop *d)
{
	struct dev *dev = dev_of(w, d);
	bool fails = d->bio && w_fault(w, W_io_fail);
	u64 sector;

	if (d->io == FCLOCK_IO_READ) {
		if (fails)
			d->error = -EIO;
		else if (d->bio)
			oracle_read(w, d);
		return;
	}
	if (d->io == FCLOCK_IO_FLUSH) {
		if (fails)
			d->error = -EIO;
		else
			dev_flush(dev);
		return;
	}
	if (d->buf || w_fault(w, W_flicker)) {
		flicker(w, d);
		return;
	}
	/* in two steps, now and then: who reads meanwhile sees a part of it */
	if (!d->stage && d->last > d->first && w_chance(w, 50))
		d->stages = 2;
	if (fails)
		d->error = -EIO;
	for (sector = d->first; sector <= d->last; sector++)
		if (d->stage || ((d->stages == 1 && !fails) || w_chance(w, 500)))
			dev_write(w, dev, sector, d->stamp);
}

static void piece_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;
	struct bio *bio = d->bio;

	if (d->silent || d->error)
		bio->error = true;
	if (d->gate >= 0) {
		node_gate_put(n, d->gate);
	} else if (d->target != FCLOCK_TARGET_A || d->io != FCLOCK_IO_READ) {
		spin_lock(&n->lock);
		fclock_client_done(n->core, d->lock);
		spin_unlock(&n->lock);
	}
	bio_put(bio);
	node_check_end(n);
}

/* Between the decision and the device some time passes. */
static void piece_start(struct world *w, struct event *e)
{
	struct dop *d = e->p;

	oracle_issue(w, d);
	dop_start(w, d);
}

static void piece(struct bio *bio, u64 first, u64 last, bool shared,
		  struct fclock_object *lock, int gate)
{
	struct node *n = bio->node;
	struct world *w = n->w;
	struct dop *d = dop_new(w, n, NULL);

	d->type = DOP_BIO;
	d->bio = bio;
	d->target = bio->waiter.target;
	d->io = bio->waiter.io;
	d->first = max(bio->first, w_first_sector(first));
	d->last = min(bio->last, w_last_sector(w, last));
	d->shared = shared;
	d->lock = lock;
	d->gate = gate;
	d->effect = piece_effect;
	d->done = piece_done;
	d->dev = dev_of(w, d);
	bio->pending++;
	w->nr_shared += shared;
	dop_count(w, d);
	w_in(w, w_chance(w, 20) ? w_below(w, 20 * W_MS) : w_below(w, 100), n,
	     piece_start, d, 0, 0);
}

/* --------------------------------------------------------------------- verdicts */

static void submit(struct bio *bio)
{
	struct node *n = bio->node;

	spin_lock(&n->lock);
	fclock_client_submit(n->core, &bio->waiter);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void act(struct bio *bio, u64 first, u64 last)
{
	struct fclock_waiter *wt = &bio->waiter;

	switch (wt->verdict) {
	case FCLOCK_GO:
	case FCLOCK_GO_SHARED:
		piece(bio, first, last, wt->verdict == FCLOCK_GO_SHARED,
		      wt->lock, -1);
		return;
	case FCLOCK_NO_EFFECT:
		if (wt->io != FCLOCK_IO_DISCARD)
			w_fail(bio->node->w, "n%u: a %s has no effect",
			       bio->node->id, io_name(wt->io));
		return;
	case FCLOCK_REQUEUE:
		bio->requeue = true;
		return;
	default:
		bio->error = true;
	}
}

static void woken(struct world *w, struct event *e)
{
	struct bio *bio = e->p;
	struct fclock_waiter *wt = &bio->waiter;
	u64 first = wt->first;

	list_del_init(&wt->list);
	w_trace(w, "n%u verdict %u t%u %llu+%llu of -%llu", bio->node->id,
		wt->verdict, wt->target, first, wt->count, wt->last);
	if (!wt->count || wt->count > wt->last - first + 1) {
		w_fail(w, "verdict about %llu grains", wt->count);
		return;
	}
	act(bio, first, first + wt->count - 1);
	if (wt->count <= wt->last - first && wt->verdict != FCLOCK_REQUEUE) {
		wt->first += wt->count;
		submit(bio);
		return;
	}
	bio_put(bio);
}

void io_wake(struct fclock_core *core, struct fclock_waiter *waiter)
{
	struct bio *bio = container_of(waiter, struct bio, waiter);
	struct node *n = node_of(core);

	if (waiter->verdict == FCLOCK_GO || waiter->verdict == FCLOCK_GO_SHARED)
		oracle_begins(n->w, n, "an I/O");
	else if (waiter->verdict == FCLOCK_FAIL)
		oracle_error(n->w, bio);
	/* as the kernel does: it stands on a list of the caller's now */
	list_add_tail(&waiter->list, &n->woken);
	w_in(n->w, w_below(n->w, 60), n, woken, bio, 0, 0);
}

/* --------------------------------------------------------------------- the way in */

/* As is_beyond() of the module. */
static bool is_beyond(struct node *n, const struct fclock_waiter *wt,
		      unsigned int map)
{
	return wt->last >= n->core->whole[map] && wt->end > n->core->limit[map];
}

static void pass(struct bio *bio)
{
	struct node *n = bio->node;
	struct fclock_waiter *wt = &bio->waiter;
	unsigned int map = fclock_map_index(wt->target);

	if (is_beyond(n, wt, map)) {
		oracle_error(n->w, bio);
		bio->error = true;
		bio_put(bio);
		return;
	}
	if (wt->target == FCLOCK_TARGET_A && wt->io == FCLOCK_IO_READ) {
		piece(bio, wt->first, wt->last, false, NULL, -1);
		bio_put(bio);
		return;
	}
	oracle_pass(n->w, bio);
	if (n->gates_closed & BIT(map)) {
		submit(bio);
		return;
	}
	switch (n->core->path[map]) {
	case FCLOCK_PATH_CACHE:
		if (wt->io != FCLOCK_IO_FLUSH &&
		    !fclock_cache_covers(&n->core->cache, map, wt->first,
					 wt->last))
			break;
		fallthrough;
	case FCLOCK_PATH_PASS:
		n->inflight[map]++;
		piece(bio, wt->first, wt->last, false, NULL, map);
		bio_put(bio);
		return;
	case FCLOCK_PATH_FAIL:
		oracle_error(n->w, bio);
		bio->error = true;
		bio_put(bio);
		return;
	}
	submit(bio);
}

static struct bio *bio_new(struct world *w)
{
	struct bio *bio = w->free_bios;

	if (bio)
		w->free_bios = (struct bio *)bio->list.next;
	else
		bio = malloc(sizeof(*bio));
	memset(bio, 0, offsetof(struct bio, stamps));
	return bio;
}

void io_submit(struct node *n, unsigned int worker, u8 target, u8 io, u64 first,
	       u64 last)
{
	struct world *w = n->w;
	struct bio *bio = bio_new(w);

	bio->node = n;
	bio->worker = worker;
	bio->first = first;
	bio->last = last;
	bio->submitted = w->now;
	bio->end = oracle_end(w, n, target);
	bio->pending = 1;
	bio->waiter.target = target;
	bio->waiter.io = io;
	bio->waiter.first = first / W_GRAIN;
	bio->waiter.last = last / W_GRAIN;
	bio->waiter.end = last + 1;
	INIT_LIST_HEAD(&bio->waiter.list);
	list_add_tail(&bio->list, &n->bios);
	w->nr_bios++;
	w_trace(w, "n%u bio %s t%u sectors %llu-%llu", n->id, io_name(io),
		target, first, last);
	pass(bio);
}

static void work(struct node *n, unsigned int worker)
{
	struct world *w = n->w;
	u8 target = FCLOCK_TARGET_A, io = FCLOCK_IO_WRITE;
	u64 chance = w_random(w), first, last, grains = w_grains(w);
	unsigned int s = chance % w->cls->slots;

	if ((chance >> 8) % 1000 < 600 && (n->attached & BIT(s))) {
		target = s;
		if ((chance >> 20) % 1000 < 700)
			io = FCLOCK_IO_READ;
	} else if ((chance >> 20) % 1000 < 150) {
		io = FCLOCK_IO_READ;
	}
	if (io == FCLOCK_IO_WRITE && (chance >> 32) % 1000 < 100)
		io = FCLOCK_IO_DISCARD;
	/* one of A is only the device's */
	if (target != FCLOCK_TARGET_A && (chance >> 50) % 1000 < 30) {
		io_submit(n, worker, target, FCLOCK_IO_FLUSH, 0, 0);
		return;
	}
	/* beyond the volume as well, and often where the first copies end */
	if (w->cls->resize && (chance >> 56) % 8 == 0)
		grains = w->geo.grains;
	/* half of it in one corner, so that nodes meet */
	first = w_below(w, (chance >> 44) & 1 ? min_t(u64, 8, grains) : grains);
	if (w->cls->resize && (chance >> 56) % 8 == 1)
		first = min(w->first_geo.grains - 1 + first % 4, grains - 1);
	last = first + w_below(w, w->cls->span);
	last = w_last_sector(w, min(last, w->geo.grains - 1));
	first = w_first_sector(first);
	/* most are of whole grains, some of a few sectors */
	if ((chance >> 45) % 4 == 0) {
		first += w_below(w, min_t(u64, W_GRAIN, last - first + 1));
		last -= w_below(w, min_t(u64, W_GRAIN, last - first + 1));
	}
	io_submit(n, worker, target, io, first, last);
}

/* One worker begins its next bio. */
void io_work(struct node *n, unsigned int worker)
{
	struct world *w = n->w;
	u64 stream, *was;

	if (!w->loading || !n->running)
		return;
	if (w->scale) {
		scale_work(n, worker);
		return;
	}
	stream = w_mix(w->seed, (u64)n->id << 32 | worker, ++n->works);
	was = w_chance_from(w, &stream);
	work(n, worker);
	w_chance_from(w, was);
}

void io_crash(struct node *n)
{
	struct bio *bio, *tmp;

	list_for_each_entry_safe(bio, tmp, &n->bios, list)
		bio_free(n->w, bio);
}

void io_exit(struct world *w)
{
	struct bio *bio;

	while ((bio = w->free_bios)) {
		w->free_bios = (struct bio *)bio->list.next;
		free(bio);
	}
}
