// SPDX-License-Identifier: GPL-2.0-only
/*
 * M: the superblocks, and bitmap blocks in their real format, sector by sector; each
 * owner sees them through buffers of its own, as through dm-bufio.
 */
#include <linux/bitmap.h>
#include "sim.h"

#define SECTOR		512
#define BLOCK		FCLOCK_MD_BLOCK_SIZE
#define BLOCK_SECTORS	FCLOCK_MD_BLOCK_SECTORS

/* ---------------------------------------------------------------------- blocks */

static u64 block_of(struct world *w, unsigned int s, u64 slice)
{
	return s * w->geo.slices + slice;
}

static u32 slice_bits(struct world *w, u64 slice)
{
	return min_t(u64, w->geo.slice, w->geo.grains - slice * w->geo.slice);
}

static struct fclock_bitmap_id id_of(struct world *w, unsigned int s, u64 slice,
				     u64 generation)
{
	return (struct fclock_bitmap_id) {
		.uuid = w->truth.uuid, .slice = slice, .slot = s,
		.generation = generation, .nbits = slice_bits(w, slice),
	};
}

/* Grains of @slice that the copy has. */
static u32 copy_bits(struct world *w, unsigned int s, u64 slice)
{
	u64 all = DIV_ROUND_UP_ULL(w->truth.slot[s].length, W_GRAIN);
	u64 first = slice * w->geo.slice;

	return all > first ? min_t(u64, w->geo.slice, all - first) : 0;
}

/* What stands on M behind what is formatted. */
static void fill_with_garbage(struct world *w)
{
	unsigned int s;
	u64 slice, i;
	u8 *block;

	for (s = 0; s < w->cls->slots; s++)
		for (slice = w->first_geo.slices; slice < w->geo.slices; slice++) {
			block = w->m_vol + block_of(w, s, slice) * BLOCK;
			for (i = 0; i < BLOCK; i += 8)
				*(u64 *)(block + i) = w_random(w);
			memcpy(w->m_dur + block_of(w, s, slice) * BLOCK, block,
			       BLOCK);
		}
}

void store_init(struct world *w)
{
	u64 blocks = w->cls->slots * w->geo.slices;
	unsigned int s;

	w->used = DIV_ROUND_UP(w->geo.slice, FCLOCK_SECTOR_BITS);
	w->m_vol = calloc(blocks, BLOCK);
	w->m_dur = calloc(blocks, BLOCK);
	w->writer = calloc(blocks, sizeof(*w->writer));
	w->m.dirty = calloc(blocks * BLOCK_SECTORS, sizeof(u32));
	w->m.is_dirty = calloc(blocks * BLOCK_SECTORS, 1);
	fill_with_garbage(w);
	for (s = 0; s < w->cls->slots; s++) {
		w->slot[s].bits_vol = calloc(BITS_TO_LONGS(w->geo.grains),
					     sizeof(long));
		w->slot[s].bits_dur = calloc(BITS_TO_LONGS(w->geo.grains),
					     sizeof(long));
	}
}

void store_exit(struct world *w)
{
	unsigned int s;

	free(w->m_vol);
	free(w->m_dur);
	free(w->writer);
	free(w->m.dirty);
	free(w->m.is_dirty);
	for (s = 0; s < w->cls->slots; s++) {
		free(w->slot[s].bits_vol);
		free(w->slot[s].bits_dur);
	}
}

void store_node_up(struct node *n)
{
	unsigned int s;

	for (s = 0; s < n->w->cls->slots; s++)
		n->buffer[s] = calloc(n->w->geo.slices, sizeof(u8 *));
}

static void forget_buffers(struct node *n)
{
	unsigned int s;
	u64 slice;

	for (s = 0; s < n->w->cls->slots; s++)
		for (slice = 0; slice < n->w->geo.slices; slice++) {
			free(n->buffer[s][slice]);
			n->buffer[s][slice] = NULL;
		}
}

void store_node_down(struct node *n)
{
	unsigned int s;

	forget_buffers(n);
	for (s = 0; s < n->w->cls->slots; s++) {
		free(n->buffer[s]);
		n->buffer[s] = NULL;
	}
}

/* -------------------------------------------------- what the oracle knows of it */

/* The bits of the current generation in one block; false: the block is broken. */
static bool block_bits(struct world *w, const u8 *image, unsigned int s,
		       u64 slice, unsigned long *bits)
{
	struct gen *gen = w->slot[s].gen;
	struct fclock_bitmap_id id = id_of(w, s, slice, gen ? gen->number : 0);
	int r;

	r = fclock_bitmap_load(image + block_of(w, s, slice) * BLOCK, &id, bits,
			       0);
	if (r >= 0)
		return true;
	w_fail(w, "slot %u slice %llu on M cannot be read: %d", s, slice, r);
	return false;
}

/*
 * Which bits came, and did any go? @fresh: they are written right now. Slices of fewer
 * bits than a word share one with others.
 */
static void look_at(struct world *w, unsigned int s, u64 slice, bool durable,
		    bool fresh)
{
	unsigned long bits[FCLOCK_MAX_SLICE / BITS_PER_LONG], word, mask;
	unsigned long *known = durable ? w->slot[s].bits_dur :
			       w->slot[s].bits_vol;
	u32 nbits = copy_bits(w, s, slice), i, shift;
	u64 g = slice * w->geo.slice;

	if (slice >= w->truth.geo.slices)
		return;			/* nobody's */
	if (!block_bits(w, durable ? w->m_dur : w->m_vol, s, slice, bits))
		return;
	if (w->slot[s].gen &&
	    find_next_bit(bits, slice_bits(w, slice), nbits) < slice_bits(w, slice))
		w_fail(w, "slot %u slice %llu on M has bits behind the end of the copy, %u",
		       s, slice, nbits);
	for (i = 0; i < nbits; i += BITS_PER_LONG, g += BITS_PER_LONG) {
		shift = g % BITS_PER_LONG;
		mask = nbits - i < BITS_PER_LONG ? (1UL << (nbits - i)) - 1 :
		       ~0UL;
		word = bits[i / BITS_PER_LONG] & mask;
		mask &= known[g / BITS_PER_LONG] >> shift;
		if (mask & ~word) {
			w_fail(w, "slot %u grain %llu: its bit is taken back",
			       s, g + __ffs(mask & ~word));
			return;
		}
		known[g / BITS_PER_LONG] |= word << shift;
		for (word &= ~mask; word && fresh && !durable; word &= word - 1)
			oracle_new_bit(w, s, g + __ffs(word));
	}
}

/* The generation that counts is another one. What is behind its end needs no bit. */
void store_recount(struct world *w, unsigned int s)
{
	struct slot *slot = &w->slot[s];
	size_t size = BITS_TO_LONGS(w->geo.grains) * sizeof(long);
	u64 end = DIV_ROUND_UP_ULL(w->truth.slot[s].length, W_GRAIN), slice;

	w_touch_all(w);
	memset(slot->bits_vol, 0, size);
	memset(slot->bits_dur, 0, size);
	if (slot->gen) {
		bitmap_set(slot->bits_vol, end, w->geo.grains - end);
		bitmap_set(slot->bits_dur, end, w->geo.grains - end);
	}
	for (slice = 0; slot->gen && slice < w->truth.geo.slices; slice++) {
		look_at(w, s, slice, true, false);
		look_at(w, s, slice, false, false);
	}
}

/* ------------------------------------------------------------- writing to blocks */

static void make_durable(struct world *w, u32 sector)
{
	memcpy(w->m_dur + (u64)sector * SECTOR, w->m_vol + (u64)sector * SECTOR,
	       SECTOR);
}

static void look_at_sector(struct world *w, u32 sector, bool durable)
{
	u32 block = sector / BLOCK_SECTORS;

	look_at(w, block / w->geo.slices, block % w->geo.slices, durable, true);
}

static void flush_m(struct world *w)
{
	u32 i;

	for (i = 0; i < w->m.nr_dirty; i++) {
		w->m.is_dirty[w->m.dirty[i]] = 0;
		make_durable(w, w->m.dirty[i]);
		look_at_sector(w, w->m.dirty[i], true);
	}
	w->m.nr_dirty = 0;
}

/*
 * A node's buffer goes to M, of each sector with a chance of @mille. Sectors that are
 * equal are no write at all.
 */
static void write_block(struct world *w, struct node *n, unsigned int s,
			u64 slice, unsigned int mille)
{
	u32 first = block_of(w, s, slice) * BLOCK_SECTORS, sector, i;
	u8 *buffer = n->buffer[s][slice];
	bool changed = false;

	for (i = 0; i < w->used; i++) {
		u8 *vol = w->m_vol + (u64)(sector = first + i) * SECTOR;

		if (!memcmp(vol, buffer + i * SECTOR, SECTOR) ||
		    (mille < 1000 && !w_chance(w, mille)))
			continue;
		if (!w->m.is_dirty[sector]) {
			w->m.is_dirty[sector] = 1;
			w->m.dirty[w->m.nr_dirty++] = sector;
		} else if (w_chance(w, 100)) {
			make_durable(w, sector);
			look_at_sector(w, sector, true);
		}
		memcpy(vol, buffer + i * SECTOR, SECTOR);
		changed = true;
	}
	if (!changed)
		return;
	oracle_block(w, n, s, slice);
	look_at(w, s, slice, false, true);
}

/* Only what start_owner forgot is read again. */
static u8 *read_block(struct world *w, struct node *n, unsigned int s, u64 slice)
{
	unsigned int o;

	if (n->buffer[s][slice])
		return n->buffer[s][slice];
	/* dm-bufio reads ahead: the other slots' blocks stand beside it */
	for (o = 0; o < w->cls->slots; o++) {
		if (n->buffer[o][slice] || (o != s && w_chance(w, 500)))
			continue;
		n->buffer[o][slice] = malloc(BLOCK);
		memcpy(n->buffer[o][slice],
		       w->m_vol + block_of(w, o, slice) * BLOCK, BLOCK);
	}
	return n->buffer[s][slice];
}

/* Whatever was not flushed may be gone. */
void store_power(struct world *w)
{
	u32 i;

	for (i = 0; i < w->m.nr_dirty; i++) {
		u32 sector = w->m.dirty[i];

		w->m.is_dirty[sector] = 0;
		if (w_chance(w, 500))
			make_durable(w, sector);
		memcpy(w->m_vol + (u64)sector * SECTOR,
		       w->m_dur + (u64)sector * SECTOR, SECTOR);
	}
	w->m.nr_dirty = 0;
	for (i = 0; i < w->cls->slots; i++)
		store_recount(w, i);
}

/* --------------------------------------------------------------------- commits */

static void commit_flush(struct world *w, struct dop *d)
{
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++) {
		if (!(d->slots & BIT(s)))
			continue;
		if (disk_slot_fails(w, s))
			d->failed |= BIT(s);
		else
			dev_flush(&w->slot[s].b);
	}
}

static void commit_set(struct world *w, struct dop *d,
		       const struct commit_part *part, unsigned int s)
{
	u64 slice = part->first / w->geo.slice;
	struct fclock_bitmap_id id = id_of(w, s, slice, d->generation[s]);
	u8 *buffer = read_block(w, d->node, s, slice);
	int r;

	r = fclock_bitmap_set(buffer, &id, part->first - slice * w->geo.slice,
			      part->last - part->first + 1);
	if (r)
		w_fail(w, "n%u cannot set the bits of %llu-%llu of slot %u: %d",
		       d->node->id, part->first, part->last, s, r);
	/* a dirty buffer may be written at any time */
	if (w_chance(w, 200))
		write_block(w, d->node, s, slice, 1000);
}

static void commit_write(struct world *w, struct dop *d,
			 const struct commit_part *part, unsigned int s)
{
	if (!d->error || w_chance(w, 500))
		write_block(w, d->node, s, part->first / w->geo.slice,
			    d->error ? 500 : 1000);
}

/*
 * Stage 0: the copies are flushed. Stage 1: bits in the node's buffers, any of which
 * may be written from now on. Stage 2: all are, and M is flushed.
 */
static void commit_effect(struct world *w, struct dop *d)
{
	unsigned int i, s;
	u16 slots;

	if (!d->node->buffer[0])
		return;			/* they went with their node */
	if (!d->stage) {
		commit_flush(w, d);
		d->dev = &w->m;
		return;
	}
	for (i = 0; i < d->parts; i++) {
		slots = d->part[i].slots & ~d->failed;
		for (s = 0; s < w->cls->slots; s++) {
			if (!(slots & BIT(s)))
				continue;
			if (d->stage == 1)
				commit_set(w, d, &d->part[i], s);
			else
				commit_write(w, d, &d->part[i], s);
		}
	}
	if (d->stage == 2 && !d->error)
		flush_m(w);
}

static void commit_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;
	u16 failed = d->error || d->silent ? (u16)~0 : d->failed;

	w_trace(w, "n%u committed, failed %x", n->id, failed);
	oracle_failed(w, n, failed & d->slots);
	spin_lock(&n->lock);
	fclock_core_committed(n->core, failed);
	spin_unlock(&n->lock);
}

void store_commit(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct dop *d = dop_new(w, n, NULL);
	struct fclock_split *sp;
	unsigned int s;

	oracle_begins(w, n, "a commit");
	d->type = DOP_COMMIT;
	d->stages = 3;
	d->effect = commit_effect;
	d->done = commit_done;
	d->part = calloc(FCLOCK_SPLITS, sizeof(*d->part));
	if (w_fault(w, W_commit_fail))
		d->error = -EIO;
	for (s = 0; s < w->cls->slots; s++)
		d->generation[s] = core->sb.slot[s].generation;
	list_for_each_entry(sp, &core->own.batch, list) {
		struct commit_part *part = &d->part[d->parts++];

		part->first = sp->first;
		part->last = sp->last;
		part->slots = sp->slots & ~sp->failed;
		d->slots |= part->slots;
		w_trace(w, "n%u commit %llu-%llu slots %x, to fail %u", n->id,
			sp->first, sp->last, part->slots, !!d->error);
	}
	for (s = 0; s < w->cls->slots; s++)
		if ((d->slots & BIT(s)) && (!d->dev || w->slot[s].b.slow_until >
					    d->dev->slow_until))
			d->dev = &w->slot[s].b;
	dop_count(w, d);
	dop_start(w, d);
}

/* --------------------------------------------------------------------- reading */

static void load_effect(struct world *w, struct dop *d)
{
	struct fclock_load *load = d->load;
	struct fclock_bitmap_id id;

	if (!load)
		return;
	id = id_of(w, load->slot, load->slice, load->generation);
	load->result = fclock_bitmap_load(read_block(w, d->node, load->slot,
						     load->slice), &id,
					  load->bits, 0);
	if (load->result < 0)
		w_fail(w, "n%u cannot use slot %u slice %llu: %ld", d->node->id,
		       load->slot, load->slice, load->result);
	if (w_fault(w, W_read_fail))
		load->result = -EIO;
}

static void load_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->load->result = -EIO;
	w_trace(w, "n%u loaded slot %u slice %llu: %ld", n->id, d->load->slot,
		d->load->slice, d->load->result);
	if (d->load->result < 0)
		oracle_failed(w, n, BIT(d->load->slot));
	spin_lock(&n->lock);
	fclock_core_loaded(n->core, d->load);
	spin_unlock(&n->lock);
}

void store_load(struct fclock_core *core, struct fclock_load *load)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n, &n->w->m);

	d->load = load;
	d->effect = load_effect;
	d->done = load_done;
	dop_start(n->w, d);
}

static void start_effect(struct world *w, struct dop *d)
{
	if (!d->node->buffer[0])
		return;
	flush_m(w);
	forget_buffers(d->node);
}

static void start_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->error = -EIO;
	else if (w_fault(w, W_read_fail))
		d->error = w_chance(w, 500) ? -ENOMEM : -EIO;
	w_trace(w, "n%u owner started: %d", n->id, d->error);
	if (d->error == -EIO)
		oracle_failed(w, n, ~0);
	spin_lock(&n->lock);
	fclock_core_owner_started(n->core, d->error);
	spin_unlock(&n->lock);
}

void store_start_owner(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n, &n->w->m);

	w_trace(n->w, "n%u starts as owner", n->id);
	d->effect = start_effect;
	d->done = start_done;
	dop_start(n->w, d);
}

/* ----------------------------------------------------------------- superblocks */

static int newest(struct world *w, struct fclock_super *sb, int *which)
{
	return fclock_super_choose(w->super[0], w->super[1], sb, which);
}

static void read_effect(struct world *w, struct dop *d)
{
	int which;

	flush_m(w);
	d->sb = calloc(1, sizeof(*d->sb));
	d->error = newest(w, d->sb, &which);
}

static void read_done(struct world *w, struct dop *d)
{
	struct fclock_super none = { 0 };
	struct node *n = d->node;

	if (d->silent || w_fault(w, W_super_fail))
		d->error = -EIO;
	if (d->sb)
		w_trace(w, "n%u read superblock: %d, state %llu primary %u",
			n->id, d->error, d->sb->state, d->sb->primary);
	spin_lock(&n->lock);
	fclock_core_super_read(n->core, d->error, d->sb ? d->sb : &none);
	spin_unlock(&n->lock);
	node_check_end(n);
}

void store_read_super(struct fclock_core *core)
{
	struct node *n = node_of(core);
	struct dop *d = dop_new(n->w, n, &n->w->m);

	d->effect = read_effect;
	d->done = read_done;
	dop_start(n->w, d);
}

/* @sb stands on M and is the newest: that is the moment of the change. */
static void super_landed(struct world *w, struct dop *d)
{
	memcpy(&w->was, &w->truth, sizeof(w->was));
	memcpy(&w->truth, d->sb, sizeof(w->truth));
	w->formatted = true;
	w_trace(w, "M: state %llu by n%u, primary %u owners %llx, to be reported as %d",
		d->sb->state, d->node->id, d->sb->primary, d->sb->owners,
		d->error);
	oracle_landed(w, d);
	oracle_super(w);
}

/* Stage 0: every bitmap block is zeroed. 1: superblock block 1. 2: block 0. */
static void format_effect(struct world *w, struct dop *d)
{
	static const u8 zero[BLOCK];

	if (d->stage == 1 && (memcmp(w->super[0], zero, BLOCK) ||
			      memcmp(w->super[1], zero, BLOCK)))
		w_fail(w, "n%u formats M over a superblock", d->node->id);
	if (d->stage)
		fclock_super_encode(d->sb, w->super[d->stage == 1]);
	if (d->stage == 2)
		super_landed(w, d);
}

/* The bitmap blocks of new slices: some sectors of them, or all and durably. */
static void grow_effect(struct world *w, struct dop *d, bool all)
{
	u64 slice;
	u32 sector, i;
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++)
		for (slice = d->slices; slice < d->sb->geo.slices; slice++)
			for (i = 0; i < BLOCK_SECTORS; i++) {
				sector = block_of(w, s, slice) * BLOCK_SECTORS + i;
				if (!all && w_chance(w, 500))
					continue;
				if (!w->m.is_dirty[sector]) {
					w->m.is_dirty[sector] = 1;
					w->m.dirty[w->m.nr_dirty++] = sector;
				}
				memset(w->m_vol + (u64)sector * SECTOR, 0, SECTOR);
			}
	if (all)
		flush_m(w);
}

/*
 * Who does not take the role writes only while M names it. The numbers do not show it: those of a
 * primary whose writes fail rise, and what another one wrote meanwhile may be below them.
 */
static void check_role(struct world *w, const struct dop *d,
		       const struct fclock_super *was)
{
	if (d->role && was->primary_instance != d->role)
		w_fail(w, "n%u writes state %llu, M names n%u", d->node->id,
		       d->sb->state, was->primary);
}

static void super_effect(struct world *w, struct dop *d)
{
	struct fclock_super *was = calloc(1, sizeof(*was));
	int which;

	if (d->stage + 1 < d->stages) {
		grow_effect(w, d, d->stage);
		free(was);
		return;
	}
	if (newest(w, was, &which)) {
		w_fail(w, "n%u writes a superblock beside none", d->node->id);
	} else {
		if (d->sb->state <= was->state)
			w_fail(w, "n%u writes state %llu, M has %llu",
			       d->node->id, d->sb->state, was->state);
		check_role(w, d, was);
		fclock_super_encode(d->sb, w->super[!which]);
		super_landed(w, d);
	}
	free(was);
}

/* The node died while it wrote: some sectors are new. It went to the older one's place. */
void store_tear_super(struct world *w, struct dop *d)
{
	struct fclock_super *sb = calloc(1, sizeof(*sb));
	static u8 block[BLOCK];
	unsigned int i, at = 1;
	int which;

	if (!d->format && d->stage + 1 < d->stages) {
		grow_effect(w, d, false);
		goto out;
	}
	fclock_super_encode(d->sb, block);
	if (!d->format && !newest(w, sb, &which))
		at = !which;
	else if (!d->format || d->stage != 1)
		goto out;
	for (i = 0; i < BLOCK_SECTORS; i++)
		if (w_chance(w, 500))
			memcpy(w->super[at] + i * SECTOR, block + i * SECTOR,
			       SECTOR);
	w_trace(w, "superblock %u is torn", at);
	if (d->format || newest(w, sb, &which) || sb->state != d->sb->state)
		goto out;
	/* what was missing may have been the same */
	if (memcmp(w->super[at], block, BLOCK))
		w_fail(w, "a torn superblock of state %llu counts",
		       d->sb->state);
	super_landed(w, d);
out:
	free(sb);
}

static void super_done(struct world *w, struct dop *d)
{
	struct node *n = d->node;

	if (d->silent)
		d->error = -EIO;
	w_trace(w, "n%u wrote state %llu: %d", n->id, d->sb->state, d->error);
	w->super_failed |= d->error;
	spin_lock(&n->lock);
	fclock_core_super_written(n->core, d->error);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void check_one_writer(struct world *w, struct node *n)
{
	struct dop *o;

	list_for_each_entry(o, &w->dops, list)
		if (o->type == DOP_SUPER && !o->dead && !o->landed &&
		    !o->silent && !n->fenced)
			w_fail(w, "n%u writes a superblock while n%u does",
			       n->id, o->node->id);
}

void store_write_super(struct fclock_core *core, const struct fclock_super *sb,
		       bool format)
{
	struct node *n = node_of(core);
	struct world *w = n->w;
	struct dop *d;

	check_one_writer(w, n);
	if (core->pri.phase != FCLOCK_PRI_ABORTING)
		oracle_begins(w, n, "a superblock");
	d = dop_new(w, n, &w->m);
	d->type = DOP_SUPER;
	d->sb = malloc(sizeof(*sb));
	memcpy(d->sb, sb, sizeof(*sb));
	d->format = format;
	d->slices = core->pri.slices;
	if (core->pri.phase == FCLOCK_PRI_WRITING) {
		d->asker = core->pri.asker;
		d->ask_id = core->peer[d->asker].asked.id;
	}
	d->role = core->pri.phase == FCLOCK_PRI_TAKING ? 0 : core->instance;
	d->stages = format || d->slices < sb->geo.slices ? 3 : 1;
	d->effect = format ? format_effect : super_effect;
	d->done = super_done;
	if (w_fault(w, W_super_fail) && !w->fail_super_until)
		w->fail_super_until = w->now + w_between(w, 1, 4000 * W_MS);
	if (!w->calm && w->fail_super_until > w->now) {
		d->error = -EIO;
		d->silent = w_chance(w, 500);
	} else {
		w->fail_super_until = 0;
	}
	w_trace(w, "n%u writes state %llu, to fail %u", n->id, sb->state,
		!!d->error);
	if (w_fault(w, W_torn))
		w_in(w, w_below(w, 2 * W_MS), n, world_crash, NULL, 0, 0);
	dop_start(w, d);
}
