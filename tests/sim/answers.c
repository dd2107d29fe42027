// SPDX-License-Identifier: GPL-2.0-only
/*
 * What applications and users are told, as the invariants of protocol.rst want it: an error has a
 * reason, what is confirmed waits for nobody, an answer says what M says.
 */
#include "sim.h"

/* -------------------------------------------------------------------- errors, waits */

/*
 * Where a target ends as far as a node knows: sectors. Of the copies one that starts knows
 * nothing yet; of A it reads what it knew, or what M had when it was created.
 */
u64 oracle_end(struct world *w, struct node *n, u8 target)
{
	const struct fclock_super *sb = n->core->phase == FCLOCK_STARTING ?
					&w->truth : &n->core->sb;

	return target == FCLOCK_TARGET_A ? n->core->sb.geo.length :
	       sb->slot[target].length;
}

/*
 * The core gives @bio an error, not a device. The reasons: it goes beyond the end, by what
 * its node knew when it came or knows now; while it was here the copy was not active; the
 * node is the primary and M cannot be written. A node that was left out is nobody's business.
 */
void oracle_error(struct world *w, const struct bio *bio)
{
	struct node *n = bio->node;
	u8 target = bio->waiter.target;
	const struct slot *slot;

	if (!oracle_member(w, n) ||
	    bio->last >= min(bio->end, oracle_end(w, n, target)) ||
	    (n->core->pri.failed && w->super_failed))
		return;
	if (target == FCLOCK_TARGET_A) {
		w_fail(w, "n%u gives an I/O of A an error, sectors %llu-%llu, for no reason",
		       n->id, bio->first, bio->last);
		return;
	}
	slot = &w->slot[target];
	if (is_lasting(slot->state) && slot->lasting_since < bio->submitted)
		w_fail(w, "n%u gives an I/O of slot %u an error, sectors %llu-%llu, and the copy is in state %u",
		       n->id, target, bio->first, bio->last, slot->state);
}

/* Only a trigger closes A; a slot, what names it. */
static bool closes(const struct fclock_prepare *prep, u8 target)
{
	if (target == FCLOCK_TARGET_A)
		return prep->kind == FCLOCK_TRIGGER;
	return (prep->kind == FCLOCK_TRIGGER || prep->kind == FCLOCK_STOP ||
		prep->kind == FCLOCK_OFFLINE) && (prep->slots & BIT(target));
}

/* Does what is to become of @bio depend on nobody else? */
static bool is_settled(struct node *n, const struct fclock_waiter *wt,
		       unsigned int map)
{
	const struct fclock_super *sb = &n->core->sb;
	u16 active = fclock_slots_in(sb, FCLOCK_SLOT_ACTIVE);

	if (map != FCLOCK_CACHE_A)
		active &= BIT(map);
	return !active || wt->io == FCLOCK_IO_FLUSH ||
	       fclock_cache_covers(&n->core->cache, map, wt->first, wt->last);
}

/*
 * What is confirmed goes on, whoever is lost (invariant 3), while the node takes part and no
 * two lists are disputed; and it goes on through each transition that does not name it.
 */
void oracle_pass(struct world *w, const struct bio *bio)
{
	const struct fclock_waiter *wt = &bio->waiter;
	unsigned int map = fclock_map_index(wt->target);
	struct node *n = bio->node;
	struct fclock_core *core = n->core;

	if (core->phase != FCLOCK_RUNNING && core->phase != FCLOCK_LEAVING)
		return;
	if (n->gates_closed & BIT(map)) {
		/* not open again yet, or this instance ends */
		if ((core->gates & BIT(map)) && core->prep.number != ~0ULL &&
		    !(core->prep.number && closes(&core->prep, wt->target)))
			w_fail(w, "n%u has closed its gate of map %u in transition %llu of kind %u",
			       n->id, map, core->prep.number, core->prep.kind);
		return;
	}
	if (core->path[map] == FCLOCK_PATH_CORE && !core->split_brain &&
	    is_settled(n, wt, map))
		w_fail(w, "n%u lets an I/O of map %u wait, grains %llu-%llu, that waits for nobody",
		       n->id, map, wt->first, wt->last);
}

/* ----------------------------------------------------------------------------- asks */

/* Does M say what @ask wants? Of a trigger its generation says it. */
static bool is_met(struct world *w, const struct fclock_ask *ask)
{
	const struct fclock_slot *slot;

	if (ask->kind == FCLOCK_ASK_RESIZE)
		return w->truth.geo.length == ask->length;
	slot = &w->truth.slot[__ffs(ask->slots)];
	return ask->kind == FCLOCK_ASK_STOP ? slot->state == FCLOCK_SLOT_IDLE :
	       ask->kind == FCLOCK_ASK_COPY_RATE ? slot->rate == ask->rate : false;
}

void oracle_asked(struct world *w, struct ask *a)
{
	a->met = is_met(w, &a->ask);
}

void oracle_seen(struct world *w)
{
	struct ask *a;
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++)
		list_for_each_entry(a, &w->node[i].asks, list)
			a->met |= is_met(w, &a->ask);
}

/* The superblock of @d was made for somebody who may still wait for the answer. */
void oracle_landed(struct world *w, const struct dop *d)
{
	struct ask *a;

	if (!d->asker)
		return;
	list_for_each_entry(a, &w->node[d->asker].asks, list)
		if (a->ask.id == d->ask_id)
			a->landed = d->sb->state;
}

/* What was done for @a is what M says now. */
static bool stands(struct world *w, const struct ask *a)
{
	const struct fclock_ask *ask = &a->ask;
	unsigned int s;

	if (!a->landed)
		return false;
	if (ask->kind == FCLOCK_ASK_RESIZE)
		return w->lengthened == a->landed;
	for (s = 0; s < w->cls->slots; s++)
		if ((ask->slots & BIT(s)) &&
		    (ask->kind == FCLOCK_ASK_TRIGGER ?
		     w->truth.slot[s].generation == a->landed :
		     ask->kind == FCLOCK_ASK_STOP ?
		     w->slot[s].changed == a->landed :
		     w->slot[s].rated == a->landed))
			return true;
	return false;
}

/* Only EINPROGRESS leaves open what has become of it. */
static void answer_failed(struct world *w, const struct ask *a)
{
	int error = a->ask.error;

	if (error == -EINPROGRESS)
		return;
	if (stands(w, a))
		w_fail(w, "n%u hears that its ask of kind %u failed, error %d, and M has it in state %llu",
		       a->node->id, a->ask.kind, error, a->landed);
	if ((error == -EIO && !w->super_failed) ||
	    (error == -EEXIST && !w->cls->dup) ||
	    (error == -ENODEV && a->ask.kind != FCLOCK_ASK_TRIGGER) ||
	    (error == -EINVAL && a->ask.kind != FCLOCK_ASK_TRIGGER &&
	     a->ask.kind != FCLOCK_ASK_RESIZE))
		w_fail(w, "n%u hears that its ask of kind %u failed, error %d, for no reason",
		       a->node->id, a->ask.kind, error);
}

void oracle_answer(struct world *w, struct ask *a)
{
	unsigned int s;

	if (a->ask.error) {
		answer_failed(w, a);
		return;
	}
	if (a->ask.kind != FCLOCK_ASK_TRIGGER) {
		if (!a->met)
			w_fail(w, "n%u hears that its ask of kind %u succeeded, and M never said so",
			       a->node->id, a->ask.kind);
		return;
	}
	for (s = 0; s < w->cls->slots; s++)
		if ((a->ask.slots & BIT(s)) &&
		    (!w->slot[s].gen || w->slot[s].gen->cut < a->called ||
		     !a->landed))
			w_fail(w, "trigger of slot %u succeeded without one", s);
}
