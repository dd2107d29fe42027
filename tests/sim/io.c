// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios, cut by verdict as io.c does it: counted at a gate when cache or path say so,
 * else handed to the core, and every part in flight by itself.
 */
#include "sim.h"

static void again(struct world *w, struct event *e)
{
	io_work(e->node, e->a);
}

static void bio_end(struct bio *bio)
{
	struct node *n = bio->node;
	struct world *w = n->w;

	w_trace(w, "n%u bio %s t%u %llu-%llu stamp %llu ends%s%s", n->id,
		bio->waiter.io == FCLOCK_IO_READ ? "read" :
		bio->waiter.io == FCLOCK_IO_WRITE ? "write" : "discard",
		bio->waiter.target, (unsigned long long)bio->first,
		(unsigned long long)bio->last, (unsigned long long)bio->stamp,
		bio->error ? " EIO" : "", bio->requeue ? " requeue" : "");
	w->nr_eio += bio->error;
	if (bio->stamp && !bio->error && !bio->requeue)
		w->acked[bio->stamp] = w->now;
	if (bio->worker < 1000)
		w_in(w, w_below(w, 8 * W_MS), n, again, NULL, bio->worker, 0);
	list_del(&bio->list);
	free(bio);
}

static void bio_put(struct bio *bio)
{
	if (!--bio->pending)
		bio_end(bio);
}

/* ---------------------------------------------------------- pieces in flight */

static void piece_effect(struct world *w, struct dop *d)
{
	u64 g, *dev;

	if (d->io == FCLOCK_IO_READ) {
		dev = d->shared ? w->a_vol : w->slot[d->target].vol;
		for (g = d->first; g <= d->last; g++)
			d->buf[g - d->first] = dev[g];
		if (d->bio)
			oracle_read(w, d);
		return;
	}
	dev = d->target == FCLOCK_TARGET_A ? w->a_vol : w->slot[d->target].vol;
	for (g = d->first; g <= d->last; g++)
		dev[g] = d->stamp;
}

static void piece_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;
	struct bio *bio = d->bio;

	if (d->silent)
		bio->error = true;
	if (d->gate >= 0) {
		node_gate_put(n, d->gate);
	} else {
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
	struct dop *d = dop_new(n->w, n);

	d->type = DOP_BIO;
	d->bio = bio;
	d->target = bio->waiter.target;
	d->io = bio->waiter.io;
	d->first = first;
	d->last = last;
	d->stamp = bio->stamp;
	d->shared = shared;
	d->lock = lock;
	d->gate = gate;
	d->effect = piece_effect;
	d->done = piece_done;
	d->stage = 255;			/* not issued yet */
	bio->pending++;
	n->w->nr_shared += shared;
	w_in(n->w, w_chance(n->w, 20) ? w_below(n->w, 20 * W_MS) :
	     w_below(n->w, 100), n, piece_start, d, 0, 0);
}

/* ------------------------------------------------------------------- verdicts */

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
		wt->verdict, wt->target, (unsigned long long)first,
		(unsigned long long)wt->count, (unsigned long long)wt->last);
	if (!wt->count || wt->count > wt->last - first + 1) {
		w_fail(w, "verdict about %llu grains",
		       (unsigned long long)wt->count);
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

	/* as the kernel does: it stands on a list of the caller's now */
	list_add_tail(&waiter->list, &n->woken);
	w_in(n->w, w_below(n->w, 60), n, woken, bio, 0, 0);
}

/* ------------------------------------------------------------------- the way in */

static void pass(struct bio *bio)
{
	struct node *n = bio->node;
	struct fclock_waiter *wt = &bio->waiter;
	unsigned int map = fclock_map_index(wt->target);

	if (n->gates_closed & BIT(map)) {
		submit(bio);
		return;
	}
	switch (n->core->path[map]) {
	case FCLOCK_PATH_CACHE:
		if (!fclock_cache_covers(&n->core->cache, map, wt->first,
					 wt->last))
			break;
		fallthrough;
	case FCLOCK_PATH_PASS:
		n->inflight[map]++;
		piece(bio, wt->first, wt->last, false, NULL, map);
		bio_put(bio);
		return;
	case FCLOCK_PATH_FAIL:
		bio->error = true;
		bio_put(bio);
		return;
	}
	submit(bio);
}

void io_submit(struct node *n, unsigned int worker, u8 target, u8 io, u64 first,
	       u64 last)
{
	struct world *w = n->w;
	struct bio *bio = calloc(1, sizeof(*bio));

	bio->node = n;
	bio->worker = worker;
	bio->first = first;
	bio->last = last;
	bio->submitted = w->now;
	bio->pending = 1;
	if (io != FCLOCK_IO_READ)
		bio->stamp = w_stamp(w);
	bio->waiter.target = target;
	bio->waiter.io = io;
	bio->waiter.first = first;
	bio->waiter.last = last;
	INIT_LIST_HEAD(&bio->waiter.list);
	list_add_tail(&bio->list, &n->bios);
	w->nr_bios++;
	w_trace(w, "n%u bio %s t%u %llu-%llu stamp %llu", n->id,
		io == FCLOCK_IO_READ ? "read" : io == FCLOCK_IO_WRITE ?
		"write" : "discard", target, (unsigned long long)first,
		(unsigned long long)last, (unsigned long long)bio->stamp);
	pass(bio);
}

/* One worker begins its next bio. */
void io_work(struct node *n, unsigned int worker)
{
	struct world *w = n->w;
	u8 target = FCLOCK_TARGET_A, io = FCLOCK_IO_WRITE;
	u64 first, last;
	unsigned int s;

	if (!w->loading || !n->running)
		return;
	s = w_below(w, w->cls->slots);
	if (w_chance(w, 600) && (n->attached & BIT(s))) {
		target = s;
		if (w_chance(w, 700))
			io = FCLOCK_IO_READ;
	}
	if (io == FCLOCK_IO_WRITE && w_chance(w, 100))
		io = FCLOCK_IO_DISCARD;
	/* half of it in one corner, so that nodes meet */
	first = w_below(w, w_chance(w, 500) ? min_t(u64, 8, w->geo.grains) :
			w->geo.grains);
	last = first + w_below(w, w->cls->span);
	last = min(last, w->geo.grains - 1);
	io_submit(n, worker, target, io, first, last);
}

void io_crash(struct node *n)
{
	struct bio *bio, *tmp;

	list_for_each_entry_safe(bio, tmp, &n->bios, list) {
		list_del(&bio->list);
		free(bio);
	}
}

/* A noflush suspend and resume of one target: what waits comes back and is sent again. */
void io_requeue(struct node *n)
{
	struct world *w = n->w;
	u8 target = w_chance(w, 500) ? FCLOCK_TARGET_A :
		    w_below(w, w->cls->slots);

	w_trace(w, "n%u requeues t%u", n->id, target);
	spin_lock(&n->lock);
	fclock_client_requeue(n->core, target);
	spin_unlock(&n->lock);
}
