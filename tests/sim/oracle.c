// SPDX-License-Identifier: GPL-2.0-only
/* What must be true (DESIGN.md section 2), checked when it could become false. */
#include "sim.h"

#define N(x) ((unsigned long long)(x))

/* -------------------------------------------------------------- generations */

static struct gen *gen_find(struct slot *slot, u64 number)
{
	struct gen *gen;

	list_for_each_entry(gen, &slot->gens, list)
		if (gen->number == number)
			return gen;
	return NULL;
}

static void gen_free(struct world *w, struct gen *gen)
{
	u64 g;

	for (g = 0; g < w->geo.grains; g++)
		free(gen->written[g]);
	free(gen->written);
	free(gen->nr);
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
	gen->image = calloc(w->geo.grains, sizeof(u64));
	memcpy(gen->image, w->a_vol, w->geo.grains * sizeof(u64));
	gen->written = calloc(w->geo.grains, sizeof(*gen->written));
	gen->nr = calloc(w->geo.grains, sizeof(*gen->nr));
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
	struct gen *gen, *tmp;
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++)
		list_for_each_entry_safe(gen, tmp, &w->slot[s].gens, list)
			gen_free(w, gen);
}

static void gen_add(struct gen *gen, u64 g, u64 stamp, u64 now)
{
	unsigned int n = gen->nr[g];

	if (!(n & (n - 1)))
		gen->written[g] = realloc(gen->written[g],
					  (n ? 2 * n : 1) * sizeof(struct entry));
	gen->written[g][n] = (struct entry) { stamp, now };
	gen->nr[g]++;
}

static bool dop_live(const struct dop *d)
{
	return !d->dead && !d->silent && !d->node->fenced && d->node->core &&
	       d->node->life == d->life;
}

static bool node_member(struct world *w, struct node *n)
{
	return !n->fenced &&
	       (!w->epoch || (w->members & fclock_node_bit(n->id)));
}

/* Nothing that touches the slot, or A if @a, may be under way when the slot changes. */
static void check_still(struct world *w, unsigned int s, bool a)
{
	struct dop *d;

	list_for_each_entry(d, &w->dops, list) {
		bool busy = false;

		if (!dop_live(d) || d->landed)
			continue;
		if (d->type == DOP_BIO)
			busy = d->target == s ||
			       (a && d->target == FCLOCK_TARGET_A);
		else if (d->type == DOP_COPY || d->type == DOP_COMMIT)
			busy = d->slots & BIT(s);
		if (busy)
			w_fail(w, "slot %u changes while n%u has %s under way: type %u target %u grains %llu-%llu",
			       s, d->node->id, d->type == DOP_BIO ? "a bio" :
			       "a copy or commit", d->type, d->target,
			       N(d->first), N(d->last));
	}
}

/* Is @stamp something that B's grain may hold, by what was written to it? */
static bool was_written(const struct gen *gen, u64 g, u64 stamp)
{
	unsigned int i;

	for (i = 0; i < gen->nr[g]; i++)
		if (gen->written[g][i].stamp == stamp)
			return true;
	return false;
}

/* The grain's copy is durable and its bit is (invariant 2). */
static bool is_durable(struct world *w, unsigned int s, u64 g, const char **why)
{
	struct slot *slot = &w->slot[s];

	*why = "its bit is not durable";
	if (slot->mdur[g] != slot->gen->number)
		return false;
	*why = "its data is not durable on the copy";
	return slot->dur[g] == slot->gen->image[g] ||
	       was_written(slot->gen, g, slot->dur[g]);
}

/* A new superblock landed on M. */
void oracle_super(struct world *w)
{
	const char *why;
	unsigned int s;
	u64 g;

	for (s = 0; s < w->cls->slots; s++) {
		const struct fclock_slot *is = &w->truth.slot[s];
		struct slot *slot = &w->slot[s];
		u64 had = slot->gen ? slot->gen->number : 0;

		if (is->generation != had) {
			check_still(w, s, true);
			slot->gen = gen_find(slot, is->generation);
			if (!slot->gen && is->generation) {
				if (is->generation != w->truth.state)
					w_fail(w, "slot %u: generation %llu in state %llu",
					       s, N(is->generation),
					       N(w->truth.state));
				slot->gen = gen_new(w, slot, is->generation);
				w_trace(w, "M: slot %u triggered, generation %llu",
					s, N(is->generation));
			}
		} else if (is->state != slot->state &&
			   (slot->state != FCLOCK_SLOT_COMPLETE ||
			    is->state != FCLOCK_SLOT_ACTIVE) &&
			   (slot->state != FCLOCK_SLOT_ACTIVE ||
			    is->state != FCLOCK_SLOT_COMPLETE)) {
			check_still(w, s, false);	/* a view closes no gate */
		}
		if (is->state == FCLOCK_SLOT_COMPLETE &&
		    slot->state != FCLOCK_SLOT_COMPLETE)
			for (g = 0; g < w->geo.grains; g++)
				if (!is_durable(w, s, g, &why))
					w_fail(w, "slot %u is called complete, grain %llu: %s",
					       s, N(g), why);
		if (is->state != slot->state)
			w_trace(w, "M: slot %u state %u", s, is->state);
		slot->state = is->state;
	}
}

/* ----------------------------------------------------------------------- I/O */

static bool overlap(u64 a, u64 b, u64 c, u64 d)
{
	return a <= d && c <= b;
}

/* Does anybody hold a shared lock on these grains? */
static void check_locks(struct world *w, u16 slots, u64 first, u64 last,
			const char *what)
{
	unsigned int i, o, k;
	struct dop *d;

	list_for_each_entry(d, &w->dops, list)
		if (dop_live(d) && !d->landed && d->type == DOP_BIO &&
		    d->shared && (slots & BIT(d->target)) &&
		    overlap(first, last, d->first, d->last))
			w_fail(w, "%s of %llu-%llu while n%u reads %llu-%llu of slot %u through A",
			       what, N(first), N(last), d->node->id,
			       N(d->first), N(d->last), d->target);
	for (i = 1; i <= w->cls->nodes; i++) {
		struct fclock_core *core = w->node[i].core;

		if (!core || !node_member(w, &w->node[i]))
			continue;
		for (o = 1; o <= w->cls->nodes; o++)
			for (k = 0; k < FCLOCK_OBJECTS; k++) {
				struct fclock_object *obj =
					&core->peer[o].objects[k];

				if (obj->state == FCLOCK_OBJ_HELD &&
				    (slots & BIT(obj->target)) &&
				    overlap(first, last, obj->first, obj->last))
					w_fail(w, "%s of %llu-%llu while n%u holds %llu-%llu of slot %u, given by n%u, id %llx",
					       what, N(first), N(last), i,
					       N(obj->first), N(obj->last),
					       obj->target, o, N(obj->id));
			}
	}
}

static void issue_a(struct world *w, struct dop *d)
{
	const char *why;
	u16 active = 0;
	unsigned int s;
	u64 g;

	for (s = 0; s < w->cls->slots; s++) {
		if (w->slot[s].state != FCLOCK_SLOT_ACTIVE)
			continue;
		active |= BIT(s);
		for (g = d->first; g <= d->last; g++)
			if (!is_durable(w, s, g, &why))
				w_fail(w, "n%u writes grain %llu of A, slot %u: %s",
				       d->node->id, N(g), s, why);
	}
	check_locks(w, BIT(w->cls->slots) - 1, d->first, d->last,
		    "a write to A");
}

static void issue_b(struct world *w, struct dop *d)
{
	struct slot *slot = &w->slot[d->target];
	const char *why;
	u64 g;

	if (slot->state != FCLOCK_SLOT_ACTIVE &&
	    slot->state != FCLOCK_SLOT_COMPLETE) {
		w_fail(w, "n%u uses slot %u, which is in state %u", d->node->id,
		       d->target, slot->state);
		return;
	}
	if (d->io != FCLOCK_IO_READ)
		for (g = d->first; g <= d->last; g++) {
			if (!is_durable(w, d->target, g, &why))
				w_fail(w, "n%u writes grain %llu of slot %u: %s",
				       d->node->id, N(g), d->target, why);
			gen_add(slot->gen, g, d->stamp, w->now);
		}
}

/* A bio, or a part of one, is handed to a device. */
void oracle_issue(struct world *w, struct dop *d)
{
	d->stage = 0;
	w_trace(w, "n%u issues %s t%u %llu-%llu stamp %llu%s", d->node->id,
		d->io == FCLOCK_IO_READ ? "read" : "write", d->target,
		N(d->first), N(d->last), N(d->stamp),
		d->shared ? " through A" : "");
	if (!node_member(w, d->node))
		return;
	if (d->target == FCLOCK_TARGET_A)
		issue_a(w, d);
	else
		issue_b(w, d);
}

/* May a read that began at @began find @stamp in grain @g? */
static bool may_read(struct world *w, const struct gen *gen, u64 g, u64 stamp,
		     u64 began)
{
	const struct entry *e = gen->written[g], *found = NULL;
	unsigned int i;

	for (i = 0; i < gen->nr[g]; i++)
		if (e[i].stamp == stamp)
			found = &e[i];
	if (!found && stamp != gen->image[g])
		return false;
	/* nothing newer may have been there, whole, when the read began */
	for (i = 0; i < gen->nr[g]; i++) {
		if (e[i].stamp == stamp || w->acked[e[i].stamp] >= began)
			continue;
		if (!found || e[i].issued > w->acked[stamp])
			return false;
	}
	return true;
}

void oracle_read(struct world *w, struct dop *d)
{
	struct slot *slot = &w->slot[d->target];
	u64 g, began;

	if (!slot->gen || !node_member(w, d->node))
		return;
	w->nr_reads++;
	began = max(d->bio->submitted, slot->gen->cut);
	for (g = d->first; g <= d->last; g++)
		if (!may_read(w, slot->gen, g, d->buf[g - d->first], began))
			w_fail(w, "n%u reads grain %llu of slot %u%s: %llu, A had %llu at the trigger, %u writes since",
			       d->node->id, N(g), d->target,
			       d->shared ? " through A" : "",
			       N(d->buf[g - d->first]),
			       N(slot->gen->image[g]), slot->gen->nr[g]);
}

/* A split begins to copy. */
void oracle_copy(struct world *w, struct dop *d)
{
	if (!node_member(w, d->node))
		return;
	check_locks(w, d->slots, d->first, d->last, "a split");
}

/* A bit became visible on M. */
void oracle_bits(struct world *w, unsigned int s, u64 g)
{
	struct slot *slot = &w->slot[s];

	if (!slot->gen || slot->mvol[g] != slot->gen->number) {
		if (slot->mvol[g] && slot->gen &&
		    slot->mvol[g] > slot->gen->number)
			w_fail(w, "slot %u grain %llu: a bit of generation %llu",
			       s, N(g), N(slot->mvol[g]));
		if (slot->gen && slot->mdur[g] == slot->gen->number)
			w_fail(w, "slot %u grain %llu: its bit is taken back",
			       s, N(g));
		return;
	}
	if (slot->dur[g] != slot->gen->image[g] &&
	    !was_written(slot->gen, g, slot->dur[g]))
		w_fail(w, "slot %u grain %llu: bit before its data is durable",
		       s, N(g));
}

/* -------------------------------------------------------------------- power */

static bool counts(const struct slot *slot)
{
	return slot->gen && (slot->state == FCLOCK_SLOT_ACTIVE ||
			     slot->state == FCLOCK_SLOT_COMPLETE);
}

/* What is not split has not been written since the trigger. */
void oracle_power_before(struct world *w)
{
	unsigned int s;
	u64 g;

	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];

		for (g = 0; counts(slot) && g < w->geo.grains; g++)
			if (slot->mdur[g] != slot->gen->number &&
			    w->a_vol[g] != slot->gen->image[g])
				w_fail(w, "power: grain %llu of A was written and slot %u has no durable bit",
				       N(g), s);
	}
}

/* What was not flushed may be gone, from A and so from the copy that reads through it. */
void oracle_power_after(struct world *w)
{
	unsigned int s;
	u64 g;

	for (s = 0; s < w->cls->slots; s++) {
		struct slot *slot = &w->slot[s];

		if (!slot->gen)
			continue;
		for (g = 0; counts(slot) && g < w->geo.grains; g++) {
			bool split = slot->mdur[g] == slot->gen->number;

			if (split && slot->vol[g] != slot->gen->image[g] &&
			    !was_written(slot->gen, g, slot->vol[g]))
				w_fail(w, "power: slot %u grain %llu is split and holds %llu, A had %llu at the trigger",
				       s, N(g), N(slot->vol[g]),
				       N(slot->gen->image[g]));
			slot->gen->image[g] = split ? slot->vol[g] : w->a_vol[g];
			slot->gen->nr[g] = 0;
			free(slot->gen->written[g]);
			slot->gen->written[g] = NULL;
		}
	}
}

/* -------------------------------------------------------------------- asks */

void oracle_answer(struct world *w, struct ask *a)
{
	unsigned int s;

	if (a->ask.error)
		return;
	for (s = 0; s < w->cls->slots; s++) {
		if (!(a->ask.slots & BIT(s)))
			continue;
		if (a->ask.kind == FCLOCK_ASK_TRIGGER &&
		    (!w->slot[s].gen || w->slot[s].gen->cut < a->called))
			w_fail(w, "trigger of slot %u succeeded without one",
			       s);
	}
}
