// SPDX-License-Identifier: GPL-2.0-only
/*
 * A, the copies and M as stamps per grain, each with what is stable and what a power
 * cut may take. An operation has stages; each has its effect at a random moment,
 * and the node hears of the end some time later.
 */
#include "sim.h"

static u64 *grains_of(struct world *w)
{
	return calloc(w->geo.grains, sizeof(u64));
}

void disk_init(struct world *w)
{
	unsigned int s;
	u64 g;

	/* the last grain is cut short by the length */
	BUG_ON(fclock_geometry_init(&w->geo, w->cls->grains * 8ULL - 3, 8, 0));
	while (w->geo.slice < w->cls->slice) {
		w->geo.slice *= 2;
		w->geo.slices = DIV_ROUND_UP_ULL(w->geo.grains, w->geo.slice);
	}
	w->a_vol = grains_of(w);
	w->a_dur = grains_of(w);
	w_stamp(w);		/* 0 is nothing */
	for (g = 0; g < w->geo.grains; g++)
		w->a_vol[g] = w->a_dur[g] = w_stamp(w);
	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];

		INIT_LIST_HEAD(&slot->gens);
		slot->vol = grains_of(w);
		slot->dur = grains_of(w);
		slot->mvol = grains_of(w);
		slot->mdur = grains_of(w);
		for (g = 0; g < w->geo.grains; g++)
			slot->vol[g] = slot->dur[g] = w_stamp(w);
	}
}

void disk_exit(struct world *w)
{
	struct dop *d, *tmp;
	unsigned int s;

	list_for_each_entry_safe(d, tmp, &w->dops, list)
		free(d);
	free(w->a_vol);
	free(w->a_dur);
	for (s = 0; s < w->cls->slots; s++) {
		free(w->slot[s].vol);
		free(w->slot[s].dur);
		free(w->slot[s].mvol);
		free(w->slot[s].mdur);
	}
}

/* ---------------------------------------------------------------- operations */

struct dop *dop_new(struct world *w, struct node *n)
{
	struct dop *d = calloc(1, sizeof(*d));

	d->node = n;
	d->life = n->life;
	d->type = DOP_OTHER;
	d->stages = 1;
	d->gate = -1;
	list_add_tail(&d->list, &w->dops);
	return d;
}

static u64 disk_delay(struct world *w)
{
	if (w_chance(w, 8))
		return w_between(w, 10 * W_MS, 300 * W_MS);
	return w_between(w, 20, 2000);
}

static void dop_free(struct dop *d)
{
	list_del(&d->list);
	free(d);
}

static void dop_ended(struct world *w, struct event *e)
{
	struct dop *d = e->p;

	d->done(w, d);
	dop_free(d);
}

static void dop_land(struct world *w, struct event *e)
{
	struct dop *d = e->p;

	if (d->dead) {
		dop_free(d);
		return;
	}
	if (!d->silent && d->effect)
		d->effect(w, d);
	if (++d->stage < d->stages) {
		w_in(w, disk_delay(w), NULL, dop_land, d, 0, 0);
		return;
	}
	d->landed = true;
	w_in(w, disk_delay(w) / 4, d->node, dop_ended, d, 0, 0);
}

void dop_start(struct world *w, struct dop *d)
{
	if (d->node->fenced)
		d->silent = true;
	w_in(w, disk_delay(w), NULL, dop_land, d, 0, 0);
}

/* The node is gone: what it had under way reaches the device, or does not. */
void disk_crash(struct world *w, struct node *n)
{
	struct dop *d, *tmp;

	list_for_each_entry_safe(d, tmp, &w->dops, list) {
		if (d->node != n || d->dead)
			continue;
		if (d->landed) {
			dop_free(d);	/* its end event is of a former life */
			continue;
		}
		d->bio = NULL;
		d->lock = NULL;
		d->split = NULL;
		d->load = NULL;
		while (d->stage < d->stages && w_chance(w, 500)) {
			if (!d->silent && d->effect &&
			    (d->type == DOP_COPY || d->type == DOP_COMMIT ||
			     d->type == DOP_SUPER ||
			     (d->type == DOP_BIO && d->io != FCLOCK_IO_READ)))
				d->effect(w, d);
			d->stage++;
		}
		d->dead = true;
	}
}

/* What is on its way gets there or does not; nothing that follows does. */
void disk_fence(struct world *w, struct node *n)
{
	struct dop *d;

	n->fenced = true;
	list_for_each_entry(d, &w->dops, list) {
		if (d->node != n || d->dead || d->landed || d->stage == 255)
			continue;
		while (d->stage + 1 < d->stages && w_chance(w, 500)) {
			if (!d->silent && d->effect)
				d->effect(w, d);
			d->stage++;
		}
		if (d->type == DOP_BIO && !d->silent && w_chance(w, 500))
			d->effect(w, d);
		d->silent = true;
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

static void lose(struct world *w, u64 *vol, u64 *dur)
{
	u64 g;

	for (g = 0; g < w->geo.grains; g++) {
		if (w_chance(w, 500))
			vol[g] = dur[g];
		dur[g] = vol[g];
	}
}

/* A superblock that was on its way may be torn: it went to the older one's place. */
static void tear(struct world *w)
{
	struct fclock_super newest;
	struct dop *d;
	int which;

	list_for_each_entry(d, &w->dops, list)
		if (d->type == DOP_SUPER && d->stage < d->stages &&
		    !d->format && w_chance(w, 500) &&
		    !fclock_super_choose(w->super[0], w->super[1], &newest,
					 &which)) {
			w_trace(w, "a superblock is torn");
			memset(w->super[!which] + 512, 0x5a, 512);
		}
}

/* Every volatile layer forgets what it likes. All nodes are down. */
void disk_power(struct world *w)
{
	unsigned int s;

	tear(w);
	oracle_power_before(w);
	lose(w, w->a_vol, w->a_dur);
	for (s = 0; s < w->cls->slots; s++) {
		lose(w, w->slot[s].vol, w->slot[s].dur);
		lose(w, w->slot[s].mvol, w->slot[s].mdur);
	}
	oracle_power_after(w);
}

static void flush(struct world *w, u64 *vol, u64 *dur)
{
	memcpy(dur, vol, w->geo.grains * sizeof(u64));
}

/* ---------------------------------------------------------------------- copies */

static bool slot_fails(struct world *w, unsigned int s)
{
	return w->slot[s].fails_until > w->now;
}

static void copy_effect(struct world *w, struct dop *d)
{
	unsigned int s;
	u64 g;

	if (!d->stage) {
		if (!w->calm && w_chance(w, w->cls->copy_fail / 4))
			d->read_error = true;
		for (g = d->first; g <= d->last; g++)
			d->buf[g - d->first] = w->a_vol[g];
		return;
	}
	for (s = 0; s < w->cls->slots; s++) {
		if (!(d->slots & BIT(s)))
			continue;
		if (slot_fails(w, s) || d->read_error) {
			d->failed |= BIT(s);
			continue;
		}
		for (g = d->first; g <= d->last; g++)
			w->slot[s].vol[g] = d->buf[g - d->first];
	}
}

static void copy_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->read_error = true;
	w_trace(w, "n%u copied %llu-%llu slots %x%s failed %x", n->id,
		(unsigned long long)d->first, (unsigned long long)d->last,
		d->slots, d->read_error ? " read error" : "", d->failed);
	spin_lock(&n->lock);
	fclock_core_copied(n->core, d->split, d->read_error, d->failed);
	spin_unlock(&n->lock);
}

void disk_copy(struct fclock_core *core, struct fclock_split *split)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct dop *d = dop_new(w, n);
	unsigned int s;

	d->type = DOP_COPY;
	d->split = split;
	d->first = split->first;
	d->last = split->last;
	d->slots = split->slots;
	d->stages = 2;
	d->effect = copy_effect;
	d->done = copy_done;
	w->nr_copies++;
	BUG_ON(d->last - d->first >= ARRAY_SIZE(d->buf));
	w_trace(w, "n%u copy %llu-%llu slots %x", n->id,
		(unsigned long long)d->first, (unsigned long long)d->last,
		d->slots);
	for (s = 0; s < w->cls->slots; s++)
		if (!w->calm && w_chance(w, w->cls->copy_fail))
			w->slot[s].fails_until =
				w->now + w_between(w, W_MS, 500 * W_MS);
	oracle_copy(w, d);
	dop_start(w, d);
}

/* ---------------------------------------------------------------------- commits */

/* The node's own copy of a block: only what start_owner forgot is read again. */
static void cache_block(struct world *w, struct node *n, unsigned int s,
			u64 slice)
{
	u64 g, first = slice * w->geo.slice;
	unsigned int o;

	if (n->cached[s][slice])
		return;
	/* dm-bufio reads ahead: the other slots' blocks stand beside it */
	for (o = 0; o < w->cls->slots; o++) {
		if (n->cached[o][slice] || (o != s && w_chance(w, 500)))
			continue;
		n->cached[o][slice] = true;
		for (g = first; g < first + w->geo.slice && g < w->geo.grains; g++)
			n->cache[o][g] = w->slot[o].mvol[g];
	}
}

static void write_block(struct world *w, struct node *n, unsigned int s,
			u64 slice, bool durable)
{
	u64 g, first = slice * w->geo.slice;

	for (g = first; g < first + w->geo.slice && g < w->geo.grains; g++) {
		if (w->slot[s].mvol[g] != n->cache[s][g]) {
			w->slot[s].mvol[g] = n->cache[s][g];
			oracle_bits(w, s, g);
		}
		if (durable)
			w->slot[s].mdur[g] = w->slot[s].mvol[g];
	}
}

/*
 * Stage 0: the copies are flushed. Stage 1: bits in the node's buffers, any of which
 * may be written from now on. Stage 2: all are, and M is flushed.
 */
static void commit_effect(struct world *w, struct dop *d)
{
	struct node *n = d->node;
	unsigned int s;
	u64 slice;

	if (!n->core)
		return;			/* its buffers went with it */
	for (s = 0; s < w->cls->slots; s++) {
		if (!(d->slots & BIT(s)))
			continue;
		if (!d->stage) {
			if (slot_fails(w, s))
				d->failed |= BIT(s);
			else
				flush(w, w->slot[s].vol, w->slot[s].dur);
			continue;
		}
		if (d->failed & BIT(s))
			continue;
		for (slice = 0; slice < w->geo.slices; slice++) {
			u64 g = slice * w->geo.slice, i;
			bool mine = false;

			for (i = 0; i < w->geo.slice && g + i < w->geo.grains; i++)
				mine |= !!(d->buf[(g + i) / 64] &
					   BIT_ULL((g + i) % 64) &&
					   d->generation[s]);
			if (!mine)
				continue;
			if (d->stage == 1) {
				cache_block(w, n, s, slice);
				for (i = 0; i < w->geo.slice && g + i < w->geo.grains; i++)
					if (d->buf[(g + i) / 64] & BIT_ULL((g + i) % 64))
						n->cache[s][g + i] = d->generation[s];
				if (w_chance(w, 200))
					write_block(w, n, s, slice, w_chance(w, 500));
			} else if (!d->error || w_chance(w, 500)) {
				write_block(w, n, s, slice,
					    !d->error || w_chance(w, 500));
			}
		}
	}
}

static void commit_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;
	u16 failed = d->error ? (u16)~0 : d->failed;

	w_trace(w, "n%u committed, failed %x", n->id, failed);
	spin_lock(&n->lock);
	fclock_core_committed(n->core, failed);
	spin_unlock(&n->lock);
}

/*
 * The splits of a batch differ in slots; so one operation per set would be exact. A
 * batch here has the grains of all and takes them apart by slot.
 */
static void commit_grains(struct dop *d, const struct fclock_split *sp)
{
	u64 g;

	for (g = sp->first; g <= sp->last; g++)
		d->buf[g / 64] |= BIT_ULL(g % 64);
}

/* One part per set of slots; the last one to end tells the core. */
struct commit {
	unsigned int parts;
	u16 failed;
	int error;
};

static void part_done(struct world *w, struct dop *d)
{
	struct commit *c = (void *)d->load;

	c->failed |= d->failed;
	c->error |= d->silent ? -EIO : d->error;
	if (--c->parts)
		return;
	d->failed = c->failed;
	d->error = c->error;
	commit_done(w, d);
}

void disk_commit(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct fclock_split *sp;
	static struct commit commits[W_NODES + 1];
	struct commit *c = &commits[n->id];
	struct dop *d[1 << W_SLOTS] = { NULL };
	unsigned int s, set;
	bool fails = !w->calm && w_chance(w, w->cls->commit_fail);

	memset(c, 0, sizeof(*c));
	list_for_each_entry(sp, &core->own.batch, list) {
		set = sp->slots & ~sp->failed & (BIT(W_SLOTS) - 1);
		if (!d[set]) {
			d[set] = dop_new(w, n);
			d[set]->slots = set;
			for (s = 0; s < w->cls->slots; s++)
				d[set]->generation[s] =
					core->sb.slot[s].generation;
			d[set]->type = DOP_COMMIT;
			d[set]->stages = 3;
			d[set]->error = fails ? -EIO : 0;
			d[set]->effect = commit_effect;
			d[set]->done = part_done;
			d[set]->load = (void *)c;
			c->parts++;
		}
		commit_grains(d[set], sp);
		w_trace(w, "n%u commit %llu-%llu slots %x%s", n->id,
			(unsigned long long)sp->first,
			(unsigned long long)sp->last, set,
			fails ? " (to fail)" : "");
	}
	for (set = 0; set < 1 << W_SLOTS; set++)
		if (d[set])
			dop_start(w, d[set]);
}

/* ------------------------------------------------------------------ M: reading */

static void load_effect(struct world *w, struct dop *d)
{
	struct fclock_load *load = d->load;
	u64 g, first;
	unsigned int s;

	if (!load)
		return;
	s = load->slot;
	cache_block(w, d->node, s, load->slice);
	first = load->slice * w->geo.slice;
	memset(load->bits, 0, BITS_TO_LONGS(w->geo.slice) * sizeof(long));
	load->result = 0;
	for (g = first; g < first + w->geo.slice && g < w->geo.grains; g++) {
		if (d->node->cache[s][g] == load->generation) {
			__set_bit(g - first, load->bits);
			load->result++;
		} else if (d->node->cache[s][g] > load->generation) {
			load->result = -ESTALE;
			w_fail(w, "n%u reads bits of a newer generation",
			       d->node->id);
			return;
		}
	}
	if (!w->calm && w_chance(w, w->cls->commit_fail))
		load->result = -EIO;
}

static void load_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->load->result = -EIO;
	w_trace(w, "n%u loaded slot %u slice %llu: %ld", n->id, d->load->slot,
		(unsigned long long)d->load->slice, d->load->result);
	spin_lock(&n->lock);
	fclock_core_loaded(n->core, d->load);
	spin_unlock(&n->lock);
}

void disk_load(struct fclock_core *core, struct fclock_load *load)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n);

	d->load = load;
	d->effect = load_effect;
	d->done = load_done;
	dop_start(n->w, d);
}

static void start_effect(struct world *w, struct dop *d)
{
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++) {
		flush(w, w->slot[s].mvol, w->slot[s].mdur);
		memset(d->node->cached[s], 0, w->geo.slices * sizeof(bool));
	}
}

static void start_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->error = -EIO;
	w_trace(w, "n%u owner started: %d", n->id, d->error);
	spin_lock(&n->lock);
	fclock_core_owner_started(n->core, d->error);
	spin_unlock(&n->lock);
}

void disk_start_owner(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n);

	w_trace(n->w, "n%u starts as owner", n->id);
	d->effect = start_effect;
	d->done = start_done;
	dop_start(n->w, d);
}

/* ----------------------------------------------------------------- superblocks */

static void read_effect(struct world *w, struct dop *d)
{
	int which;

	d->error = fclock_super_choose(w->super[0], w->super[1], &d->sb, &which);
}

static void read_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent || (!w->calm && w_chance(w, w->cls->super_fail)))
		d->error = -EIO;
	w_trace(w, "n%u read superblock: %d, state %llu primary %u", n->id,
		d->error, (unsigned long long)d->sb.state, d->sb.primary);
	spin_lock(&n->lock);
	fclock_core_super_read(n->core, d->error, &d->sb);
	spin_unlock(&n->lock);
	node_check_end(n);
}

void disk_read_super(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n);

	d->effect = read_effect;
	d->done = read_done;
	dop_start(n->w, d);
}

static void super_effect(struct world *w, struct dop *d)
{
	struct fclock_super newest;
	int which, r;

	r = fclock_super_choose(w->super[0], w->super[1], &newest, &which);
	if (d->format) {
		if (r != -ENODATA)
			w_fail(w, "n%u formats M over a superblock", d->node->id);
		which = 0;
	} else if (r) {
		w_fail(w, "n%u writes a superblock beside none", d->node->id);
		return;
	}
	if (!r && d->sb.state <= newest.state)
		w_fail(w, "n%u writes state %llu, M has %llu", d->node->id,
		       (unsigned long long)d->sb.state,
		       (unsigned long long)newest.state);
	fclock_super_encode(&d->sb, w->super[!which]);
	if (d->format)
		fclock_super_encode(&d->sb, w->super[which]);
	memcpy(&w->truth, &d->sb, sizeof(w->truth));
	w->formatted = true;
	w_trace(w, "M: state %llu by n%u, primary %u owners %llx%s",
		(unsigned long long)d->sb.state, d->node->id, d->sb.primary,
		(unsigned long long)d->sb.owners,
		d->error ? " (reported as failed)" : "");
	oracle_super(w);
}

static void super_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->error = -EIO;
	w_trace(w, "n%u wrote state %llu: %d", n->id,
		(unsigned long long)d->sb.state, d->error);
	spin_lock(&n->lock);
	fclock_core_super_written(n->core, d->error);
	spin_unlock(&n->lock);
	node_check_end(n);
}

void disk_write_super(struct fclock_core *core, const struct fclock_super *sb,
		      bool format)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct dop *d, *o;

	list_for_each_entry(o, &w->dops, list)
		if (o->type == DOP_SUPER && !o->dead && !o->landed &&
		    !o->silent && !n->fenced)
			w_fail(w, "n%u writes a superblock while n%u does",
			       n->id, o->node->id);
	d = dop_new(w, n);
	d->type = DOP_SUPER;
	memcpy(&d->sb, sb, sizeof(d->sb));
	d->format = format;
	d->effect = super_effect;
	d->done = super_done;
	if (!w->calm && w_chance(w, w->cls->super_fail) && !w->fail_super_until)
		w->fail_super_until = w->now + w_between(w, 1, 4000 * W_MS);
	if (!w->calm && w->fail_super_until > w->now) {
		d->error = -EIO;
		d->silent = format || w_chance(w, 500);
	} else {
		w->fail_super_until = 0;
	}
	w_trace(w, "n%u writes state %llu%s", n->id,
		(unsigned long long)sb->state, d->error ? " (to fail)" : "");
	dop_start(w, d);
}
