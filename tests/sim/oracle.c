// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must be true (the invariants of protocol.rst), checked when it could become false: when
 * something is issued, read, copied, acknowledged, when a bit or a superblock becomes
 * visible, when the power fails.
 */
#include "sim.h"

/* ------------------------------------------------------------------ generations */

static struct gen *gen_find(struct slot *slot, u64 number)
{
	struct gen *gen;

	list_for_each_entry(gen, &slot->gens, list)
		if (gen->number == number)
			return gen;
	return NULL;
}

static void hist_clear(struct world *w, struct hist **hist)
{
	u64 g;

	for (g = 0; g < w->geo.grains; g++) {
		free(hist[g]);
		hist[g] = NULL;
	}
}

static void gen_free(struct world *w, struct gen *gen)
{
	hist_clear(w, gen->hist);
	free(gen->hist);
	free(gen->image);
	list_del(&gen->list);
	free(gen);
}

static struct gen *gen_new(struct world *w, struct slot *slot, u64 number)
{
	struct gen *gen = calloc(1, sizeof(*gen));
	struct gen *first;
	unsigned int n = 0;

	gen->number = number;
	gen->cut = w->now;
	gen->image = malloc(w->sectors * sizeof(u64));
	memcpy(gen->image, w->a.vol, w->sectors * sizeof(u64));
	gen->hist = calloc(w->geo.grains, sizeof(*gen->hist));
	list_add_tail(&gen->list, &slot->gens);
	list_for_each_entry(first, &slot->gens, list)
		n++;
	if (n > 4)
		gen_free(w, list_first_entry(&slot->gens, struct gen, list));
	w->nr_triggers++;
	return gen;
}

void oracle_exit(struct world *w)
{
	struct ghost *ghost, *next;
	struct gen *gen, *tmp;
	unsigned int s;

	list_for_each_entry_safe(ghost, next, &w->ghosts, list)
		free(ghost);
	for (s = 0; s < w->cls->slots; s++)
		list_for_each_entry_safe(gen, tmp, &w->slot[s].gens, list)
			gen_free(w, gen);
	hist_clear(w, w->a_hist);
	free(w->a_hist);
}

/* What a node that was left out says and does changes nothing that the others see. */
bool oracle_member(struct world *w, const struct node *n)
{
	return !n->fenced &&
	       (!w->epoch || (w->members & fclock_node_bit(n->id)));
}

/* ------------------------------------------------------- linearizability, per sector */

static void hist_add(struct hist **hist, u64 sector, u64 issued, u64 now)
{
	struct hist *h = hist[sector / W_GRAIN];
	unsigned int i = sector % W_GRAIN;

	if (!h && !issued)
		return;			/* as it was made */
	if (!h) {
		h = calloc(1, sizeof(*h));
		hist[sector / W_GRAIN] = h;
	}
	if (h->was[i][0].issued >= issued)
		return;
	h->was[i][2] = h->was[i][1];
	h->was[i][1] = h->was[i][0];
	h->was[i][0].issued = issued;
	h->was[i][0].since = now;
}

/* The latest issue of a write that was acknowledged before @began. */
static u64 hist_before(struct world *w, struct hist **hist, u64 sector, u64 began)
{
	struct hist *h = hist[sector / W_GRAIN];
	unsigned int i = sector % W_GRAIN, k;

	for (k = 0; h && k < 3; k++)
		if (h->was[i][k].since < began)
			return h->was[i][k].issued;
	/* it lasted so long that what was then is forgotten: nothing is demanded */
	w->nr_unknown += !!h;
	return 0;
}

static struct gen *gen_of_write(struct world *w, const struct wr *wr)
{
	struct gen *gen = w->slot[wr->target].gen;

	return gen && gen->number == wr->gen ? gen : NULL;
}

/* The bio is acknowledged: whoever begins to read now must find it. */
void oracle_acked(struct world *w, const struct bio *bio)
{
	unsigned int i;

	if (!oracle_member(w, bio->node))
		return;
	for (i = 0; i < bio->nr_stamps; i++) {
		const struct wr *wr = &w->wr[bio->stamps[i]];
		struct hist **hist = w->a_hist;
		struct gen *gen;
		u64 sector;

		if (wr->target != FCLOCK_TARGET_A) {
			gen = gen_of_write(w, wr);
			if (!gen)
				continue;
			hist = gen->hist;
		}
		for (sector = wr->first; sector <= wr->last; sector++)
			hist_add(hist, sector, wr->issued, w->now);
	}
}

static bool wrote(struct world *w, u64 stamp, u8 target, u64 sector)
{
	const struct wr *wr = &w->wr[stamp];

	return stamp < w->nr_wr && wr->target == target && wr->first <= sector &&
	       sector <= wr->last;
}

/* Was @stamp written to this sector of the copy in this generation? */
static bool was_written(struct world *w, unsigned int s, const struct gen *gen,
			u64 sector, u64 stamp)
{
	return wrote(w, stamp, s, sector) && w->wr[stamp].gen == gen->number &&
	       w->wr[stamp].issued >= gen->since;
}

/* May a sector of the copy hold @stamp at all? */
static bool may_hold(struct world *w, unsigned int s, const struct gen *gen,
		     u64 sector, u64 stamp)
{
	return stamp == gen->image[sector] ||
	       was_written(w, s, gen, sector, stamp);
}

/* A read that began at @began may find a write only if none later was over by then. */
static bool read_ok(struct world *w, struct hist **hist, u64 sector, u64 ended,
		    u64 began)
{
	return hist_before(w, hist, sector, began) <= ended;
}

/*
 * A write that was seen counts as acknowledged to whoever begins to read from now on, although
 * this read has not ended yet: here a device shows everybody the same.
 */
static void saw(struct world *w, struct hist **hist, u64 sector, u64 stamp)
{
	hist_add(hist, sector, w->wr[stamp].issued, w->now);
}

static void read_of_a(struct world *w, struct dop *d)
{
	u64 sector, stamp, ended;

	for (sector = d->first; sector <= d->last; sector++) {
		stamp = w->a.vol[sector];
		ended = w->wr[stamp].issued < w->a_since ? w->a_since :
			w->wr[stamp].ended;
		if (!wrote(w, stamp, FCLOCK_TARGET_A, sector) ||
		    !read_ok(w, w->a_hist, sector, ended, d->bio->submitted)) {
			w_fail(w, "n%u reads sector %llu of A: stamp %llu, which is not what was written last",
			       d->node->id, sector, stamp);
			return;
		}
		saw(w, w->a_hist, sector, stamp);
	}
}

void oracle_read(struct world *w, struct dop *d)
{
	u64 sector, began, stamp;
	struct gen *gen;
	const u64 *dev;
	bool written;

	if (!oracle_member(w, d->node))
		return;
	w->nr_reads++;
	if (d->target == FCLOCK_TARGET_A) {
		read_of_a(w, d);
		return;
	}
	gen = w->slot[d->target].gen;
	if (!gen)
		return;
	dev = d->shared ? w->a.vol : w->slot[d->target].b.vol;
	began = max(d->bio->submitted, gen->cut);
	for (sector = d->first; sector <= d->last; sector++) {
		stamp = dev[sector];
		written = was_written(w, d->target, gen, sector, stamp);
		if ((written || stamp == gen->image[sector]) &&
		    read_ok(w, gen->hist, sector,
			    written ? w->wr[stamp].ended : 0, began)) {
			if (written)
				saw(w, gen->hist, sector, stamp);
			continue;
		}
		w_fail(w, "n%u reads sector %llu (grain %llu) of slot %u, through A %u: stamp %llu, A had %llu at the trigger",
		       d->node->id, sector, sector / W_GRAIN, d->target,
		       d->shared, stamp, gen->image[sector]);
		return;
	}
}

/*
 * Who knows of two members lists under one epoch begins nothing that goes by a list: by one
 * of them it may be fenced, or the others may be who are not.
 */
void oracle_begins(struct world *w, struct node *n, const char *what)
{
	if (n->core->split_brain && oracle_member(w, n))
		w_fail(w, "n%u knows of two lists under epoch %llu, and begins %s",
		       n->id, n->core->epoch, what);
}

/* ------------------------------------------------------------------- superblocks */

static bool dop_live(const struct dop *d)
{
	return d->counted && !d->dead && !d->silent && !d->landed;
}

/* Nothing that touches the slot, or writes to A if @a, is under way when the slot changes. */
static void check_still(struct world *w, unsigned int s, bool a)
{
	struct dop *d;

	if (!w->slot[s].bios && !w->slot[s].copies && !(a && w->a_writes))
		return;
	list_for_each_entry(d, &w->dops, list) {
		if (!dop_live(d))
			continue;
		if (d->type == DOP_BIO ?
		    d->target == s || (a && d->target == FCLOCK_TARGET_A &&
				       d->io != FCLOCK_IO_READ) :
		    !!(d->slots & BIT(s)))
			w_fail(w, "slot %u changes while n%u has an operation of type %u under way: target %u, %llu-%llu",
			       s, d->node->id, d->type, d->target, d->first,
			       d->last);
	}
}

/* The last sector of the grain that the copy has: it may be older than the volume's last growth. */
static u64 copy_last(struct world *w, unsigned int s, u64 g)
{
	return min(w_last_sector(w, g), w->truth.slot[s].length - 1);
}

/* The grain's copy is durable and its bit is (invariant 2). */
static bool is_durable(struct world *w, unsigned int s, u64 g, const char **why)
{
	struct slot *slot = &w->slot[s];
	u64 sector;

	*why = "its bit is not durable";
	if (!test_bit(g, slot->bits_dur))
		return false;
	*why = "its data is not durable on the copy";
	for (sector = w_first_sector(g); sector <= copy_last(w, s, g); sector++)
		if (!may_hold(w, s, slot->gen, sector, slot->b.dur[sector]))
			return false;
	return true;
}

static void check_complete(struct world *w, unsigned int s)
{
	const char *why;
	u64 g;

	for (g = 0; g < w->geo.grains; g++)
		if (!is_durable(w, s, g, &why))
			w_fail(w, "slot %u is called complete, grain %llu: %s",
			       s, g, why);
}

static void new_generation(struct world *w, unsigned int s)
{
	const struct fclock_slot *is = &w->truth.slot[s];
	struct slot *slot = &w->slot[s];

	check_still(w, s, true);
	slot->gen = gen_find(slot, is->generation);
	if (!slot->gen && is->generation) {
		if (is->length != w->truth.geo.length)
			w_fail(w, "slot %u is triggered with %llu sectors, the volume has %llu",
			       s, is->length, w->truth.geo.length);
		if (is->generation != w->truth.state)
			w_fail(w, "slot %u: generation %llu in state %llu", s,
			       is->generation, w->truth.state);
		slot->gen = gen_new(w, slot, is->generation);
		w_trace(w, "M: slot %u triggered, generation %llu", s,
			is->generation);
	}
	store_recount(w, s);
}

/* --------------------------------------------------------------------------- owners */

static bool overlap(u64 a, u64 b, u64 c, u64 d)
{
	return a <= d && c <= b;
}

static void check_owner(struct world *w, const struct dop *d, u64 grain)
{
	unsigned int owner = fclock_slice_owner(&w->truth, grain / w->geo.slice);

	if (owner != d->node->id)
		w_fail(w, "grain %llu goes to n%u while n%u has an operation of type %u on it under way",
		       grain, owner, d->node->id, d->type);
}

/* Who loses a slice has nothing of it on its way to a copy or to M. */
static void check_moved(struct world *w)
{
	struct dop *d;
	unsigned int i;

	list_for_each_entry(d, &w->dops, list) {
		if (!dop_live(d))
			continue;
		if (d->type == DOP_COPY)
			check_owner(w, d, d->first);
		for (i = 0; d->type == DOP_COMMIT && i < d->parts; i++)
			check_owner(w, d, d->part[i].first);
	}
}

/* A bitmap block changes: only its owner writes it, and nobody else between two views. */
void oracle_block(struct world *w, struct node *n, unsigned int s, u64 slice)
{
	struct writer *writer = &w->writer[s * w->geo.slices + slice];
	unsigned int owner = fclock_slice_owner(&w->truth, slice);

	if (!oracle_member(w, n))
		return;
	if (owner != n->id)
		w_fail(w, "n%u writes the bitmap block of slot %u, slice %llu, which n%u owns",
		       n->id, s, slice, owner);
	if (writer->node && writer->node != n->id && writer->view == w->view)
		w_fail(w, "n%u and n%u both write the bitmap block of slot %u, slice %llu",
		       writer->node, n->id, s, slice);
	*writer = (struct writer) { .node = n->id, .view = w->view };
}

/* The locks of a node that dies are not released by that (invariant 6). */
void oracle_crash(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;
	unsigned int i, k;

	if (!oracle_member(w, n))
		return;
	for (i = 1; i <= w->cls->nodes; i++)
		for (k = 0; core->peer[i].nr_held && k < FCLOCK_OBJECTS; k++) {
			struct fclock_object *obj = &core->peer[i].objects[k];
			struct ghost *ghost;

			if (obj->state != FCLOCK_OBJ_HELD)
				continue;
			ghost = malloc(sizeof(*ghost));
			*ghost = (struct ghost) {
				.node = n->id, .instance = core->instance,
				.first = obj->first, .last = obj->last,
				.slot = obj->target,
			};
			list_add_tail(&ghost->list, &w->ghosts);
		}
}

static bool ghost_counts(struct world *w, const struct ghost *ghost)
{
	return fclock_listed_instance(&w->truth, ghost->node) == ghost->instance;
}

static void check_ghosts(struct world *w, const struct dop *d)
{
	struct ghost *ghost;

	list_for_each_entry(ghost, &w->ghosts, list)
		if ((d->slots & BIT(ghost->slot)) &&
		    overlap(d->first, d->last, ghost->first, ghost->last) &&
		    /* a new instance has answered for it */
		    d->node->core->peer[ghost->node].instance ==
		    ghost->instance && ghost_counts(w, ghost))
			w_fail(w, "a split of %llu-%llu, and n%u died with a lock on %llu-%llu of slot %u and is listed",
			       d->first, d->last, ghost->node, ghost->first,
			       ghost->last, ghost->slot);
}

static void lay_ghosts(struct world *w, u64 gone)
{
	struct ghost *ghost, *tmp;

	list_for_each_entry_safe(ghost, tmp, &w->ghosts, list)
		if ((gone & fclock_node_bit(ghost->node)) ||
		    !ghost_counts(w, ghost)) {
			list_del(&ghost->list);
			free(ghost);
		}
}

/* The manager has said that all nodes but these are fenced. */
void oracle_list(struct world *w, u64 members)
{
	lay_ghosts(w, ~members);
	w_touch_all(w);
}

/* Every owner can copy to all active slots. */
static void check_attached(struct world *w)
{
	u16 active = fclock_slots_in(&w->truth, FCLOCK_SLOT_ACTIVE);
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++)
		if ((w->truth.owners & fclock_node_bit(i)) &&
		    (!fclock_listed_instance(&w->truth, i) ||
		     (active & ~w->truth.part[i - 1].attached)))
			w_fail(w, "n%u is an owner without all of the slots %x",
			       i, active);
}

/*
 * Nodes that the primary knows to be gone when it ends a transition: a new instance
 * said HELLO to it. The RESUME to come ends their locks too.
 */
static u64 gone_by_primary(struct world *w)
{
	struct fclock_core *core = w->node[w->truth.primary].core;
	unsigned int i;
	u64 gone = 0;

	if (!core || core->pri.phase != FCLOCK_PRI_WRITING)
		return 0;
	for (i = 1; i <= w->cls->nodes; i++)
		if (fclock_gone(core, &core->sb, i))
			gone |= fclock_node_bit(i);
	return gone;
}

static void new_view(struct world *w)
{
	if (w->was.owners != w->truth.owners) {
		w->view = w->truth.state;
		check_moved(w);
	}
	lay_ghosts(w, gone_by_primary(w));
	check_attached(w);
}

/*
 * It grows where everybody who takes part can run it, and the attempt that was reported as
 * failed is undone before anybody runs it.
 */
static void new_length(struct world *w)
{
	u64 length = w->truth.geo.length, was = w->was.geo.length;
	unsigned int i;

	if (length == was || !was)
		return;
	w_trace(w, "M: the volume has %llu sectors, it had %llu", length, was);
	w->lengthened = w->truth.state;
	w->nr_resizes += length > was;
	for (i = 1; i <= w->cls->nodes; i++) {
		struct fclock_core *core = w->node[i].core;

		if (!core || !oracle_member(w, &w->node[i]))
			continue;
		if (length > core->room &&
		    fclock_listed_instance(&w->truth, i) == core->instance)
			w_fail(w, "n%u can run %llu sectors, the volume has %llu",
			       i, core->room, length);
		if (core->phase == FCLOCK_RUNNING && core->sb.geo.length > length)
			w_fail(w, "n%u runs %llu sectors, the volume has %llu", i,
			       core->sb.geo.length, length);
	}
}

/*
 * The origin comes first, but a copy is given up only where one of its owners was told that
 * something of it failed (invariant 7), in the generation that it still has.
 */
static void check_offline(struct world *w, unsigned int s)
{
	const struct slot *slot = &w->slot[s];

	if (slot->failed != w->truth.slot[s].generation)
		w_fail(w, "slot %u is offline in generation %llu, and nothing of it has failed",
		       s, w->truth.slot[s].generation);
}

/* An owner is told that reading, copying or committing failed. */
void oracle_failed(struct world *w, struct node *n, u16 slots)
{
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++)
		if (slots & BIT(s))
			w->slot[s].failed = max(w->slot[s].failed,
						n->core->sb.slot[s].generation);
}

static void new_state(struct world *w, unsigned int s)
{
	const struct fclock_slot *is = &w->truth.slot[s];
	struct slot *slot = &w->slot[s];

	if (is->state == FCLOCK_SLOT_OFFLINE &&
	    slot->state != FCLOCK_SLOT_OFFLINE)
		check_offline(w, s);
	if (is_lasting(is->state) && !is_lasting(slot->state))
		slot->lasting_since = w->now;
	if (is->state != slot->state) {
		slot->changed = w->truth.state;
		w_trace(w, "M: slot %u state %u", s, is->state);
	}
	if (is->rate != w->was.slot[s].rate)
		slot->rated = w->truth.state;
	slot->state = is->state;
}

/* A new superblock landed on M. */
void oracle_super(struct world *w)
{
	unsigned int s;

	new_view(w);
	new_length(w);
	for (s = 0; s < w->cls->slots; s++) {
		const struct fclock_slot *is = &w->truth.slot[s];
		struct slot *slot = &w->slot[s];
		u64 had = slot->gen ? slot->gen->number : 0;

		if (is->generation != had)
			new_generation(w, s);
		else if (is->state != slot->state &&
			 !(is_lasting(is->state) && is_lasting(slot->state)))
			check_still(w, s, false);	/* a view closes no gate */
		if (is->state == FCLOCK_SLOT_COMPLETE &&
		    slot->state != FCLOCK_SLOT_COMPLETE)
			check_complete(w, s);
		new_state(w, s);
	}
	oracle_seen(w);
	scan_view(w);
	w_touch_all(w);
}

/* ----------------------------------------------------------------------------- I/O */

static void check_objects(struct world *w, struct node *n, struct fclock_peer *p,
			  u16 slots, u64 first, u64 last, const char *what)
{
	unsigned int k;

	for (k = 0; k < FCLOCK_OBJECTS; k++) {
		struct fclock_object *obj = &p->objects[k];

		if (obj->state == FCLOCK_OBJ_HELD && (slots & BIT(obj->target)) &&
		    overlap(first, last, obj->first, obj->last))
			w_fail(w, "%s of %llu-%llu while n%u holds %llu-%llu of slot %u, given by n%u, id %llx",
			       what, first, last, n->id, obj->first, obj->last,
			       obj->target, p->node, obj->id);
	}
}

/* Does anybody hold a shared lock on these grains, or read under one? (invariant 4) */
static void check_locks(struct world *w, u16 slots, u64 first, u64 last,
			const char *what)
{
	unsigned int i, o, s;
	u64 g;

	for (s = 0; s < w->cls->slots; s++)
		for (g = first; (slots & BIT(s)) && g <= last; g++)
			if (w->slot[s].shared[g])
				w_fail(w, "%s of %llu-%llu while grain %llu of slot %u is read through A",
				       what, first, last, g, s);
	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];
		struct fclock_core *core = n->core;
		u64 owners;

		if (!core || !oracle_member(w, n))
			continue;
		/* only owners give locks; the others are looked at in scan.c */
		for (owners = core->sb.owners; owners; owners &= owners - 1) {
			o = __ffs64(owners) + 1;
			if (core->peer[o].nr_held)
				check_objects(w, n, &core->peer[o], slots, first,
					      last, what);
		}
	}
}

static void issue_a(struct world *w, struct dop *d)
{
	u64 g, first = d->first / W_GRAIN, last = d->last / W_GRAIN;
	const char *why;
	unsigned int s;

	if (d->last >= w->truth.geo.length)
		w_fail(w, "n%u writes sector %llu of A, the volume has %llu",
		       d->node->id, d->last, w->truth.geo.length);
	for (s = 0; s < w->cls->slots; s++) {
		if (w->slot[s].state != FCLOCK_SLOT_ACTIVE)
			continue;
		for (g = first; g <= last; g++)
			if (!is_durable(w, s, g, &why))
				w_fail(w, "n%u writes grain %llu of A, slot %u: %s",
				       d->node->id, g, s, why);
	}
	check_locks(w, BIT(w->cls->slots) - 1, first, last, "a write to A");
}

static void issue_b(struct world *w, struct dop *d)
{
	struct slot *slot = &w->slot[d->target];
	u64 g, first = d->first / W_GRAIN, last = d->last / W_GRAIN;
	const char *why;

	if (!is_lasting(slot->state)) {
		w_fail(w, "n%u uses slot %u, which is in state %u", d->node->id,
		       d->target, slot->state);
		return;
	}
	if (d->last >= w->truth.slot[d->target].length)
		w_fail(w, "n%u uses sector %llu of slot %u, whose copy has %llu",
		       d->node->id, d->last, d->target,
		       w->truth.slot[d->target].length);
	if (d->io == FCLOCK_IO_READ || d->io == FCLOCK_IO_FLUSH)
		return;
	for (g = first; g <= last; g++)
		if (!is_durable(w, d->target, g, &why))
			w_fail(w, "n%u writes grain %llu of slot %u: %s",
			       d->node->id, g, d->target, why);
}

static void give_stamp(struct world *w, struct dop *d)
{
	struct gen *gen = d->target == FCLOCK_TARGET_A ? NULL :
			  w->slot[d->target].gen;

	BUG_ON(d->bio->nr_stamps == ARRAY_SIZE(d->bio->stamps));
	d->stamp = w_stamp(w, d->target, d->first, d->last,
			   gen ? gen->number : 0);
	d->bio->stamps[d->bio->nr_stamps++] = d->stamp;
}

/* A bio, or a part of one, is handed to a device. */
void oracle_issue(struct world *w, struct dop *d)
{
	bool member = oracle_member(w, d->node);

	if (d->io != FCLOCK_IO_READ && d->io != FCLOCK_IO_FLUSH)
		give_stamp(w, d);
	w_trace(w, "n%u issues io %u t%u sectors %llu-%llu, stamp %llu, through A %u",
		d->node->id, d->io, d->target, d->first, d->last, d->stamp,
		d->shared);
	if (member && d->target != FCLOCK_TARGET_A)
		issue_b(w, d);
	else if (member && d->io != FCLOCK_IO_READ)
		issue_a(w, d);
}

/* A split begins to copy. */
void oracle_copy(struct world *w, struct dop *d)
{
	unsigned int s;

	if (!oracle_member(w, d->node))
		return;
	for (s = 0; s < w->cls->slots; s++)
		if ((d->slots & BIT(s)) &&
		    d->end != min((d->last + 1) * W_GRAIN,
				  w->truth.slot[s].length))
			w_fail(w, "n%u copies slot %u up to sector %llu, grain %llu, the copy has %llu",
			       d->node->id, s, d->end, d->last,
			       w->truth.slot[s].length);
	check_locks(w, d->slots, d->first, d->last, "a split");
	check_ghosts(w, d);
}

/* Of the copy, @all grains. */
static u64 owned_grains(struct world *w, struct fclock_core *core, u64 all)
{
	u64 slice, first, grains = 0;

	for (slice = 0; slice * w->geo.slice < all; slice++) {
		first = slice * w->geo.slice;
		if (fclock_slice_owner(&core->sb, slice) == core->cfg.node)
			grains += min_t(u64, w->geo.slice, all - first);
	}
	return grains;
}

/* What is counted of slot @s: nothing yet, when the rate or the share is another one. */
static struct pace *pace_of(struct node *n, unsigned int s)
{
	struct fclock_super *sb = &n->core->sb;
	struct pace *p = &n->pace[s];

	if (p->life != n->life || p->rate != sb->slot[s].rate ||
	    p->owners != sb->owners || p->length != sb->slot[s].length)
		*p = (struct pace) {
			.life = n->life, .rate = sb->slot[s].rate,
			.owners = sb->owners, .length = sb->slot[s].length,
			.since = W_NEVER,
		};
	return p;
}

/*
 * After each event that touched a node: is the rate or the share another one, be it only for a time in
 * which nothing is copied? And since when do runs wait for locks? They are paid for as
 * they begin, so from then on counts the time that is to have paid for them.
 */
void oracle_background(struct world *w, struct node *n)
{
	const struct fclock_split *sp;
	unsigned int i;

	if (!n->core) {
		memset(n->locking, 0, sizeof(n->locking));
		return;
	}
	for (i = 0; i < w->cls->slots; i++)
		pace_of(n, i);
	for (i = 0; i < FCLOCK_SPLITS; i++) {
		sp = &n->core->own.splits[i];
		if (sp->state != FCLOCK_SPLIT_LOCKING || !sp->background)
			n->locking[i] = 0;
		else if (!n->locking[i])
			n->locking[i] = w->now;
	}
}

/*
 * Background copy keeps to the rate: this owner's share of it for the time since the
 * first run began, and of FCLOCK_BURST_MS, and one run. Timers count in ms.
 */
void oracle_pace(struct world *w, struct node *n, const struct fclock_split *sp)
{
	u64 run = min_t(u64, w->geo.slice * W_GRAIN * 512, FCLOCK_MAX_SPLIT * 512);
	u64 began = n->locking[sp->index] ?: w->now;
	u64 mine, all, us, most;
	struct pace *p;
	unsigned int s;

	w->nr_background++;
	for (s = 0; s < w->cls->slots; s++) {
		if (!(sp->slots & BIT(s)))
			continue;
		p = pace_of(n, s);
		all = fclock_slot_grains(&n->core->sb, s);
		mine = owned_grains(w, n->core, all);
		/* who begins later may be the first to have its locks */
		p->since = min(p->since, began);
		p->bytes += (sp->last - sp->first + 1) * W_GRAIN * 512;
		us = w->now - p->since + FCLOCK_BURST_MS * W_MS + 2 * W_MS;
		most = mul_u64_u64_div_u64((u64)p->rate * 1024 * mine, us,
					   all * W_SEC) + run;
		if (!p->rate || p->bytes > most)
			w_fail(w, "n%u copies slot %u by itself: %llu bytes in %llu us, %u KiB/s allow %llu",
			       n->id, s, p->bytes, w->now - p->since, p->rate,
			       most);
	}
}

/* A bit became visible on M. */
void oracle_new_bit(struct world *w, unsigned int s, u64 g)
{
	struct slot *slot = &w->slot[s];
	u64 sector;

	for (sector = w_first_sector(g); sector <= copy_last(w, s, g); sector++)
		if (!may_hold(w, s, slot->gen, sector, slot->b.dur[sector])) {
			w_fail(w, "slot %u grain %llu: bit before its data is durable",
			       s, g);
			return;
		}
}

/* --------------------------------------------------------------------------- power */

static bool counts(const struct slot *slot)
{
	return slot->gen && is_lasting(slot->state);
}

/* What is not split has not been written since the trigger. */
void oracle_power_before(struct world *w)
{
	unsigned int s;
	u64 sector;

	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];

		for (sector = 0; counts(slot) &&
		     sector < w->truth.slot[s].length; sector++)
			if (!test_bit(sector / W_GRAIN, slot->bits_dur) &&
			    w->a.vol[sector] != slot->gen->image[sector]) {
				w_fail(w, "power: sector %llu of A was written and slot %u has no durable bit",
				       sector, s);
				return;
			}
	}
}

/* What was not flushed may be gone, from A and so from the copy that reads through it. */
void oracle_power_after(struct world *w)
{
	unsigned int s;
	u64 sector;

	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];
		struct gen *gen = slot->gen;

		if (!gen)
			continue;
		for (sector = 0; counts(slot) &&
		     sector < w->truth.slot[s].length; sector++) {
			bool split = test_bit(sector / W_GRAIN, slot->bits_dur);
			u64 stamp = slot->b.vol[sector];

			if (split && !may_hold(w, s, gen, sector, stamp)) {
				w_fail(w, "power: sector %llu of slot %u is split and holds %llu, A had %llu at the trigger",
				       sector, s, stamp, gen->image[sector]);
				return;
			}
			gen->image[sector] = split ? stamp : w->a.vol[sector];
		}
		gen->since = w->now;
		hist_clear(w, gen->hist);
	}
	w->a_since = w->now;
	hist_clear(w, w->a_hist);
}
