// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold between any two events, looked at when something of a node has changed,
 * after how many events sim.c says (SCAN_EVERY); and what must hold in the end.
 */
#include "sim.h"
#include <linux/bitmap.h>
#include <linux/rbtree.h>

/* As in cache.c, where it is nobody else's business. */
struct run {
	struct rb_node node;
	u64 first, last;
};

/* ------------------------------------------------------------------ confirmations */

static void check_confirmed(struct world *w, struct node *n, unsigned int map,
			    unsigned int s, const struct run *run)
{
	struct slot *slot = &w->slot[s];
	u64 g;

	g = find_next_zero_bit(slot->bits_dur, run->last + 1, run->first);
	if (g <= run->last)
		w_fail(w, "n%u has %llu-%llu confirmed in map %u, and grain %llu of slot %u is not durable",
		       n->id, run->first, run->last, map, g, s);
}

/*
 * What a node may use: behind a closed gate it may have confirmations that a transition has
 * ended already, and forgets them before it opens the gate.
 */
static struct rb_node *first_used(struct node *n, unsigned int map)
{
	return n->gates_closed & BIT(map) ? NULL :
		rb_first(&n->core->cache.map[map].root);
}

/*
 * A grain that a participant has confirmed is split, whatever superblock it knows: who
 * is behind has closed the gates of what was ended.
 */
static void check_cache(struct world *w, struct node *n)
{
	unsigned int s;
	struct rb_node *rb;

	for (s = 0; s < w->cls->slots; s++) {
		u8 state = w->slot[s].state;

		rb = first_used(n, s);
		if (rb && state != FCLOCK_SLOT_ACTIVE &&
		    state != FCLOCK_SLOT_COMPLETE)
			w_fail(w, "n%u has confirmations of slot %u, which is in state %u",
			       n->id, s, state);
		for (; rb; rb = rb_next(rb))
			check_confirmed(w, n, s, s,
					rb_entry(rb, struct run, node));
		if (state != FCLOCK_SLOT_ACTIVE)
			continue;
		rb = first_used(n, FCLOCK_CACHE_A);
		for (; rb; rb = rb_next(rb))
			check_confirmed(w, n, FCLOCK_CACHE_A, s,
					rb_entry(rb, struct run, node));
	}
}

static unsigned int map_of(struct world *w, unsigned int i)
{
	return i < w->cls->slots ? i : FCLOCK_CACHE_A;
}

/* Is anything but a transition free to take confirmations away here? */
static bool forgets_nothing(struct world *w, const struct node *n)
{
	return n->core->cache.limit == ~0ULL && !w->cls->nomem &&
	       !w->cls->drop && !w->cls->limit;
}

static void keep_view(struct world *w, struct node *n)
{
	size_t size = BITS_TO_LONGS(w->geo.grains) * sizeof(long);
	struct rb_node *rb;
	unsigned int i;

	for (i = 0; i <= w->cls->slots; i++) {
		if (!n->kept[i])
			n->kept[i] = malloc(size);
		memset(n->kept[i], 0, size);
		rb = rb_first(&n->core->cache.map[map_of(w, i)].root);
		for (; rb; rb = rb_next(rb)) {
			struct run *run = rb_entry(rb, struct run, node);

			bitmap_set(n->kept[i], run->first,
				   run->last - run->first + 1);
		}
	}
	n->kept_state = w->truth.state;
}

/* A view became durable: what is confirmed then stays so (invariant 3). */
void scan_view(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];
		struct fclock_core *core = n->core;

		n->kept_state = 0;
		if (core && oracle_member(w, n) && forgets_nothing(w, n) &&
		    core->prep.number == w->truth.state && core->prep.said &&
		    (core->prep.kind == FCLOCK_VIEW ||
		     core->prep.kind == FCLOCK_RESIZE))
			keep_view(w, n);
	}
}

static void check_kept(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;
	unsigned int i;
	u64 g;

	if (core->sb.state < n->kept_state)
		return;
	if (core->sb.state == n->kept_state && !core->prep.number &&
	    core->phase == FCLOCK_RUNNING)
		for (i = 0; i <= w->cls->slots; i++)
			for_each_set_bit(g, n->kept[i], w->geo.grains)
				if (!fclock_cache_covers(&core->cache,
							 map_of(w, i), g, g))
					w_fail(w, "n%u had grain %llu confirmed in map %u before view %llu, and has not now",
					       n->id, g, i, n->kept_state);
	n->kept_state = 0;
}

/* ----------------------------------------------------------------------- the owner */

/* The first grain from @g on that is in @a and not in @b. */
static u64 next_difference(const unsigned long *a, const unsigned long *b, u64 g,
			   u64 grains)
{
	unsigned long word;

	for (; g < grains; g = round_down(g, BITS_PER_LONG) + BITS_PER_LONG) {
		word = (a[BIT_WORD(g)] & ~b[BIT_WORD(g)]) >> (g % BITS_PER_LONG);
		if (word)
			return g + __ffs(word);
	}
	return grains;
}

/* Slices that the owner has not read in this era count for nothing. */
static void check_slot_owned(struct world *w, struct node *n, unsigned int s)
{
	struct fclock_owned_slot *owned = &n->core->own.slot[s];
	const unsigned long *durable = w->slot[s].bits_dur;
	u64 grains = n->core->sb.geo.grains, slice, g;

	for (g = next_difference(owned->bits, durable, 0, grains); g < grains;
	     g = next_difference(owned->bits, durable, (slice + 1) * w->geo.slice,
				 grains)) {
		slice = g / w->geo.slice;
		if (owned->slice_era[slice] == owned->era[0].stamp &&
		    owned->slice_split[slice])
			w_fail(w, "n%u calls grain %llu of slot %u split, and it is not durable",
			       n->id, g, s);
	}
}

/* What an owner calls split is durable. */
static void check_owned(struct world *w, struct node *n)
{
	struct fclock_owner *own = &n->core->own;
	unsigned int s;

	for (s = 0; own->active && s < w->cls->slots; s++)
		if (own->slot[s].bits && w->slot[s].gen &&
		    n->core->sb.slot[s].generation == w->slot[s].gen->number)
			check_slot_owned(w, n, s);
}

/* No exclusive lock that copies beside a shared one, at the same owner's. */
static void check_splits(struct world *w, struct node *n)
{
	unsigned int i, s;

	for (i = 0; i < FCLOCK_SPLITS; i++) {
		struct fclock_split *sp = &n->core->own.splits[i];

		if (sp->state == FCLOCK_SPLIT_FREE ||
		    sp->state == FCLOCK_SPLIT_LOCKING)
			continue;
		if (fclock_slice_owner(&w->truth, sp->first / w->geo.slice) !=
		    n->id)
			w_fail(w, "n%u splits %llu-%llu, which it does not own",
			       n->id, sp->first, sp->last);
		for (s = 0; s < w->cls->slots; s++)
			if ((sp->slots & BIT(s)) &&
			    fclock_owner_held(n->core, s, sp->first, sp->last,
					      false))
				w_fail(w, "n%u splits %llu-%llu of slot %u, which is locked",
				       n->id, sp->first, sp->last, s);
	}
}

/* ----------------------------------------------------------------------- the books */

static void check_peer(struct world *w, struct node *n, struct fclock_peer *p)
{
	unsigned int k, open = 0, held = 0, rec_open = 0;

	for (k = 0; k < FCLOCK_OBJECTS; k++) {
		open += p->objects[k].state == FCLOCK_OBJ_OPEN;
		held += p->objects[k].state == FCLOCK_OBJ_HELD;
		rec_open += p->records[k].state == FCLOCK_REC_WAITING ||
			    p->records[k].state == FCLOCK_REC_GRANTING;
	}
	if (open != p->nr_open || held != p->nr_held || rec_open != p->rec_open)
		w_fail(w, "n%u counts %u, %u, %u requests, locks and records of n%u: there are %u, %u, %u",
		       n->id, p->nr_open, p->nr_held, p->rec_open, p->node,
		       open, held, rec_open);
}

static void check_books(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;
	unsigned int i, k, copying = 0;

	/* some at a time where there are many */
	for (k = 0; k < min(w->cls->nodes, 4U); k++) {
		i = 1 + n->nr_looks++ % w->cls->nodes;
		if (core->peer[i].configured && core->peer[i].records)
			check_peer(w, n, &core->peer[i]);
	}
	for (i = 0; i < FCLOCK_SPLITS; i++)
		copying += core->own.splits[i].state == FCLOCK_SPLIT_COPYING;
	if (copying != core->own.nr_copying)
		w_fail(w, "n%u counts %u copies: there are %u", n->id,
		       core->own.nr_copying, copying);
}

/* What dmsetup status counts. */
static void check_counts(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;
	u64 locks = 0, held = 0;
	unsigned int i;

	for (i = 0; i < w->cls->slots; i++)
		locks += fclock_core_shared_locks(core, i);
	for (i = 1; i <= w->cls->nodes; i++)
		held += core->peer[i].nr_held;
	if (locks != held || fclock_core_connected(core) >= w->cls->nodes)
		w_fail(w, "n%u says that it has %llu shared locks and %llu peers: it has %llu locks",
		       n->id, locks, fclock_core_connected(core), held);
}

/* ------------------------------------------------------------------------- the role */

/* One instance at most believes that it is the primary and may write. */
static void check_role(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;

	/* in phase IDLE: it does not know yet how the write ended by which it gave the role away */
	if (core->pri.writing && !fclock_is_primary(core) &&
	    core->pri.phase != FCLOCK_PRI_TAKING &&
	    (core->pri.phase != FCLOCK_PRI_IDLE ||
	     core->pri.next.state > w->truth.state) &&
	    core->prep.number != ~0ULL)
		w_fail(w, "n%u writes superblocks and is not the primary",
		       n->id);
	if (core->have_sb && core->sb.state > w->truth.state)
		w_fail(w, "n%u runs state %llu, M has %llu", n->id,
		       core->sb.state, w->truth.state);
	if (core->phase == FCLOCK_RUNNING &&
	    (core->sb.geo.length > w->truth.geo.length ||
	     core->sb.geo.length > core->room))
		w_fail(w, "n%u runs %llu sectors, its room is %llu, M has %llu",
		       n->id, core->sb.geo.length, core->room,
		       w->truth.geo.length);
}

/* What goes past the core knows that the lists are disputed. */
static void check_paths(struct world *w, struct node *n)
{
	unsigned int i;

	for (i = 0; n->core->split_brain && i <= w->cls->slots; i++)
		if (n->core->path[map_of(w, i)] != FCLOCK_PATH_CORE)
			oracle_begins(w, n, "what its cache says");
}

void scan_node(struct world *w, struct node *n)
{
	if (!n->core || !oracle_member(w, n))
		return;
	w->nr_scans++;
	check_paths(w, n);
	check_books(w, n);
	check_role(w, n);
	if (n->kept_state)
		check_kept(w, n);
	/* who is no participant any more, ends or has left has no I/O that could use them */
	if (n->core->phase != FCLOCK_ENDING && n->core->phase != FCLOCK_LEFT &&
	    fclock_listed_instance(&w->truth, n->id) == n->core->instance)
		check_cache(w, n);
	spin_lock(&n->lock);
	check_owned(w, n);
	check_splits(w, n);
	check_counts(w, n);
	spin_unlock(&n->lock);
}

/* ----------------------------------------------------------------------- in the end */

static bool core_quiet(struct node *n, char *why, size_t size)
{
	struct fclock_core *core = n->core;
	unsigned int i;

#define WANT(c) do {							\
	if (!(c)) {							\
		snprintf(why, size, "n%u: not (%s)", n->id, #c);	\
		return false;						\
	}								\
} while (0)
	WANT(core->phase == FCLOCK_RUNNING);
	WANT(list_empty(&n->asks));
	WANT(list_empty(&core->asks));
	WANT(list_empty(&n->bios));
	WANT(!core->nr_waiting);
	WANT(!core->nr_granted);
	WANT(!core->prep.number);
	WANT(!core->gates);
	WANT(core->pri.phase == FCLOCK_PRI_IDLE);
	WANT(!core->pri.failed);
	WANT(!core->own.nr_copying && !core->own.committing);
	WANT(!core->own.nr_loading);
	WANT(core->sb.state == n->w->truth.state);
	WANT(list_empty(&core->parked));
	WANT(list_empty(&core->own.queue));
	WANT(!core->split_brain);
	for (i = 0; i < FCLOCK_SPLITS; i++) {
		struct fclock_split *sp = &core->own.splits[i];

		if (sp->state == FCLOCK_SPLIT_FREE)
			continue;
		snprintf(why, size, "n%u: split of %llu-%llu slots %x failed %x in state %u",
			 n->id, sp->first,
			 sp->last, sp->slots, sp->failed,
			 sp->state);
		return false;
	}
	for (i = 1; i <= n->w->cls->nodes; i++) {
		struct fclock_peer *p = &core->peer[i];

		if (n->w->node[i].away)
			continue;
		WANT(p->link == FCLOCK_LINK_UP);
		WANT(!p->nr_open);
		WANT(!p->nr_held);
		WANT(!p->rec_open);
		WANT(list_empty(&p->starved));
		WANT(list_empty(&p->out));
		WANT(!p->pending);
	}
#undef WANT
	return true;
}

static void tell_core(struct node *n)
{
	struct fclock_core *core = n->core;
	struct fclock_record *rec;
	struct fclock_object *obj;
	unsigned int i, k;
	struct bio *bio;

	printf("# n%u: phase %u state %llu prep %llu primary phase %u retry %llu owners %llx gates %x granted %u waiting %u\n",
	       n->id, core->phase, core->sb.state, core->prep.number,
	       core->pri.phase, core->pri.retry_at, core->sb.owners,
	       core->gates, core->nr_granted, core->nr_waiting);
	printf("# n%u: own active %u ready %u starting %u failing %x copying %u committing %u loading %u attached %x\n",
	       n->id, core->own.active, core->own.ready, core->own.starting,
	       core->own.failing, core->own.nr_copying, core->own.committing,
	       core->own.nr_loading, core->attached);
	list_for_each_entry(bio, &n->bios, list)
		printf("# n%u: bio t%u io %u %llu-%llu\n", n->id,
		       bio->waiter.target, bio->waiter.io, bio->waiter.first,
		       bio->waiter.last);
	for (i = 0; i < FCLOCK_SPLITS; i++)
		if (core->own.splits[i].state)
			printf("# n%u: split %llu-%llu slots %x state %u waiters %u\n",
			       n->id, core->own.splits[i].first,
			       core->own.splits[i].last,
			       core->own.splits[i].slots,
			       core->own.splits[i].state,
			       !list_empty(&core->own.splits[i].waiters));
	for (i = 1; i <= n->w->cls->nodes; i++) {
		printf("# n%u: peer %u link %u open %u held %u rec_open %u credits %u state %llu pending %x starved %u\n",
		       n->id, i, core->peer[i].link, core->peer[i].nr_open,
		       core->peer[i].nr_held, core->peer[i].rec_open,
		       core->peer[i].credits, core->peer[i].state,
		       core->peer[i].pending,
		       !list_empty(&core->peer[i].starved));
		for (k = 0; k < FCLOCK_OBJECTS; k++) {
			obj = &core->peer[i].objects[k];
			rec = &core->peer[i].records[k];
			if (obj->state)
				printf("# n%u:   object %llx state %u t%u kind %u %llu-%llu recalled %u users %u queued %u\n",
				       n->id, obj->id, obj->state, obj->target,
				       obj->kind, obj->first, obj->last,
				       obj->recalled, obj->users,
				       !list_empty(&obj->out.list));
			if (rec->state)
				printf("# n%u:   record %llx state %u t%u kind %u %llu-%llu (asked %llu-%llu) recalled %u queued %u %u\n",
				       n->id, rec->id, rec->state, rec->target,
				       rec->kind, rec->first, rec->last,
				       rec->ask_first, rec->ask_last,
				       rec->recalled, !list_empty(&rec->out.list),
				       !list_empty(&rec->recall.list));
		}
	}
}

void scan_tell(struct world *w)
{
	unsigned int i;

	printf("# M: state %llu primary %u owners %llx epoch %llu members %llx\n",
	       w->truth.state, w->truth.primary, w->truth.owners,
	       w->truth.epoch, w->truth.members);
	for (i = 1; i <= w->cls->nodes; i++)
		if (w->node[i].core)
			tell_core(&w->node[i]);
}

/* Nothing waits any more, and every node that should be there takes part. */
bool scan_quiet(struct world *w, char *why, size_t size)
{
	unsigned int i;

	/* what is silent now may be taken for lost later */
	if (net_any_cut(w)) {
		snprintf(why, size, "links are cut");
		return false;
	}
	for (i = 0; w->cls->rate && i < w->cls->slots; i++)
		if (w->slot[i].state == FCLOCK_SLOT_ACTIVE) {
			snprintf(why, size, "slot %u is not complete", i);
			return false;
		}
	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (n->away)
			continue;
		if (!n->core) {
			snprintf(why, size, "n%u is down", i);
			return false;
		}
		if (!core_quiet(n, why, size))
			return false;
	}
	return true;
}

/*
 * What dmsetup status says when nothing has happened for some seconds: all that is split
 * on M, counted by the owners, no lock, and every peer.
 */
static void check_status(struct world *w, struct node *n)
{
	struct fclock_core *core = n->core;
	u64 split, want, grains;
	unsigned int s;

	if (fclock_core_connected(core) != w->cls->nodes - 1)
		w_fail(w, "n%u is connected to %llu nodes", n->id,
		       fclock_core_connected(core));
	for (s = 0; s < w->cls->slots; s++) {
		grains = fclock_slot_grains(&w->truth, s);
		want = w->slot[s].state == FCLOCK_SLOT_COMPLETE ? grains :
		       w->slot[s].state != FCLOCK_SLOT_ACTIVE ? 0 :
		       bitmap_weight(w->slot[s].bits_dur, grains);
		split = fclock_core_split(core, s);
		if (split != want)
			w_fail(w, "n%u says that %llu grains of slot %u are split, and %llu are",
			       n->id, split, s, want);
		if (fclock_core_shared_locks(core, s))
			w_fail(w, "n%u says that it has %llu shared locks of slot %u",
			       n->id, fclock_core_shared_locks(core, s), s);
	}
}

void scan_status(struct world *w)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		spin_lock(&w->node[i].lock);
		check_status(w, &w->node[i]);
		spin_unlock(&w->node[i].lock);
	}
}

/*
 * After each event that touched a node: whoever waits for its dm events has heard if a word of
 * its status or a generation is another one.
 */
void scan_events(struct world *w, struct node *n)
{
	const struct fclock_super *sb;
	u64 words;
	unsigned int s;

	if (!n->core)
		return;
	sb = &n->core->sb;
	spin_lock(&n->lock);
	words = 1 + fclock_core_volume_state(n->core);
	spin_unlock(&n->lock);
	words = words * 1000003 + sb->geo.length;
	for (s = 0; s < w->cls->slots; s++)
		words = words * 1000003 + sb->slot[s].generation * 4 +
			sb->slot[s].state;
	if (n->words && n->words != words && !n->told)
		w_fail(w, "n%u: its state is another one and no event says so",
		       n->id);
	n->words = words;
	n->told = false;
}
