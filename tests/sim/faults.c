// SPDX-License-Identifier: GPL-2.0-only
/*
 * What meets the nodes, and what their users do. Each occurrence has chances of its own,
 * by kind and number, so that leaving one out changes as little as can be.
 */
#include "sim.h"

static u64 all_nodes(struct world *w)
{
	u64 last = fclock_node_bit(w->cls->nodes);

	return last | (last - 1);
}

static struct node *any_node(struct world *w)
{
	return &w->node[1 + w_below(w, w->cls->nodes)];
}

static struct node *live_node(struct world *w)
{
	unsigned int tries;

	for (tries = 0; tries < 20; tries++) {
		struct node *n = any_node(w);

		if (n->core && n->running && n->core->started)
			return n;
	}
	return NULL;
}

/* One that is on its way out may meet it, too. */
static struct node *up_node(struct world *w)
{
	struct node *n = any_node(w);

	return n->core && n->core->started && w_chance(w, 300) ? n :
							       live_node(w);
}

/* ----------------------------------------------------------------------- users */

static void fault_trigger(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		node_ask(n, FCLOCK_ASK_TRIGGER,
			 1 + w_below(w, BIT(w->cls->slots) - 1), 0, 0);
}

static void fault_stop(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		node_ask(n, FCLOCK_ASK_STOP, BIT(w_below(w, w->cls->slots)), 0,
			 0);
}

/* KiB/s; a grain is 4 KiB */
static u32 some_rate(struct world *w)
{
	static const u32 most[] = { 64, 1024, 16384, ~0U };

	return 1 + w_below(w, most[w_below(w, ARRAY_SIZE(most))]);
}

static void fault_rate(struct world *w)
{
	struct node *n = live_node(w);
	u32 rate;

	if (!n)
		return;
	/* one after the other: compilers differ in which argument comes first */
	rate = w_chance(w, 200) ? 0 : some_rate(w);
	node_ask(n, FCLOCK_ASK_COPY_RATE, BIT(w_below(w, w->cls->slots)), rate,
		 0);
}

/* Copies' tables: longer for the next trigger, or as short as they may be. */
static void reload_copies(struct world *w, struct node *n)
{
	unsigned int s;

	for (s = 0; s < w->cls->slots; s++)
		if ((n->attached & BIT(s)) && w_chance(w, 500))
			node_set_copy(n, s, w_chance(w, 800) ? n->room :
				      w_between(w, 1, n->room));
}

/*
 * Longer tables on all nodes, as a rule, and a resize; some find a node without one, or
 * meet a reload that makes a table shorter again.
 */
static void fault_resize(struct world *w)
{
	u64 length = w_between(w, w_length(w), w->sectors);
	unsigned int i;
	struct node *n;

	/* in many steps */
	if (w_chance(w, 700))
		length = min(length, w_length(w) + 1 + w_below(w, 40));
	for (i = 1; i <= w->cls->nodes; i++) {
		n = &w->node[i];
		if (!n->core || n->leaving || w_chance(w, 30))
			continue;
		if (n->room < length)
			node_set_room(n, w_chance(w, 500) ? length :
				      w_between(w, length, w->sectors));
		else if (w_chance(w, 100))
			node_set_room(n, w_between(w, 1, length));
		reload_copies(w, n);
	}
	n = live_node(w);
	if (n)
		node_ask(n, FCLOCK_ASK_RESIZE, 0, 0, w_chance(w, 900) ? length :
			 w_between(w, 1, w->sectors + 9));
	n = live_node(w);
	if (n && w_chance(w, 200))
		node_set_room(n, w_between(w, w_length(w), length));
}

static void fault_drop(struct world *w)
{
	struct node *n = live_node(w);

	if (!n)
		return;
	spin_lock(&n->lock);
	fclock_core_reset_stats(n->core);
	if (w_chance(w, 300))
		fclock_core_drop_cache(n->core);
	else
		fclock_cache_shrink(&n->core->cache, 1 + w_below(w, 3));
	spin_unlock(&n->lock);
}

/* A reload with another cache_limit and trigger_timeout. */
static void fault_limit(struct world *w)
{
	struct node *n = live_node(w);

	if (!n)
		return;
	spin_lock(&n->lock);
	fclock_core_set_cache_limit(n->core, node_cache_limit(w));
	fclock_core_set_timeout(n->core, w_between(w, 200, 3000));
	spin_unlock(&n->lock);
}

/* A noflush suspend and resume of one target: what waits comes back and is sent again. */
static void fault_requeue(struct world *w)
{
	struct node *n = live_node(w);
	u8 target = w_chance(w, 500) ? FCLOCK_TARGET_A :
		    w_below(w, w->cls->slots);

	if (!n)
		return;
	w_trace(w, "n%u requeues t%u", n->id, target);
	spin_lock(&n->lock);
	fclock_client_requeue(n->core, target);
	fclock_core_start(n->core);	/* once more changes nothing */
	spin_unlock(&n->lock);
}

static void fault_leave(struct world *w)
{
	struct node *n = live_node(w);

	if (n && !n->leaving)
		node_leave(n);
}

static void fault_attach(struct world *w)
{
	struct node *n = live_node(w);
	unsigned int s = w_below(w, w->cls->slots);

	if (!n || n->leaving || (n->detaching & BIT(s)))
		return;
	if (n->attached & BIT(s)) {
		node_detach(n, s);
	} else {
		w_trace(w, "n%u attaches slot %u", n->id, s);
		node_attach(n, s);
	}
}

/*
 * A reload that names the nodes which its table did not name before. One that failed for
 * lack of memory may have added some of them.
 */
static void add_peers(struct world *w, struct node *n)
{
	u64 more = all_nodes(w) & ~n->peers & ~fclock_node_bit(n->id);
	unsigned int i;
	int r;

	if (!more)
		return;
	r = fclock_core_add_peers(n->core, more | n->peers);
	w_trace(w, "n%u adds peers %llx: %d", n->id, more, r);
	if (r)
		return;
	n->peers |= more;
	for (i = 1; i < n->id; i++)
		if (more & fclock_node_bit(i))
			net_connect(n, i);
}

static void fault_grow(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		add_peers(w, n);
}

/* -------------------------------------------------------- links, disks, machines */

static void fault_cut(struct world *w)
{
	struct node *a = any_node(w), *b = any_node(w);
	u64 until = w->now + w_between(w, W_MS, w_chance(w, 200) ?
				       8 * W_SEC : 800 * W_MS);

	if (a == b)
		return;
	w_trace(w, "link n%u-n%u cut until %llu", a->id, b->id, until);
	net_cut(w, a, b, until);
}

static void fault_lag(struct world *w)
{
	struct node *a = any_node(w), *b = any_node(w);
	unsigned int n = w->cls->nodes + 1;

	w_trace(w, "link n%u-n%u lags", a->id, b->id);
	w->lag_until[min(a->id, b->id) * n + max(a->id, b->id)] =
		w->now + w_between(w, 10 * W_MS, 3 * W_SEC);
}

static void fault_slow(struct world *w)
{
	u64 which = w_below(w, w->cls->slots + 2);
	struct dev *dev = which < w->cls->slots ? &w->slot[which].b :
			  which == w->cls->slots ? &w->a : &w->m;

	dev->slow_until = w->now + w_between(w, 10 * W_MS, 2 * W_SEC);
	w_trace(w, "disk %llu is slow until %llu", which, dev->slow_until);
}

static void fault_freeze(struct world *w)
{
	struct node *n = any_node(w);

	n->thaw = w->now + w_between(w, W_MS, w_chance(w, 200) ? 7 * W_SEC :
				     500 * W_MS);
	w_trace(w, "n%u frozen until %llu", n->id, n->thaw);
}

static void crash(struct world *w, struct node *n)
{
	node_crash(n);
	w_in(w, w_between(w, W_MS, 3 * W_SEC), NULL, node_restart, n, 0, 0);
}

void world_crash(struct world *w, struct event *e)
{
	crash(w, e->node);
}

static void fault_crash(struct world *w)
{
	struct node *n = up_node(w);

	if (n)
		crash(w, n);
}

static void fault_power(struct world *w)
{
	unsigned int i;

	w_trace(w, "power cut");
	w->nr_powers++;
	w->told_before = w->epoch;
	for (i = 1; i <= w->cls->nodes; i++)
		if (w->node[i].core)
			node_crash(&w->node[i]);
	disk_power(w);
	for (i = 1; i <= w->cls->nodes; i++)
		w_in(w, w_between(w, W_MS, 500 * W_MS), NULL, node_restart,
		     &w->node[i], 0, 0);
}

/*
 * A format that died between the two superblock blocks is refused by everybody; the
 * administrator does what the log says.
 */
static void wipe(struct world *w, struct event *e)
{
	struct fclock_super *sb = calloc(1, sizeof(*sb));
	struct dop *d;
	int which;

	list_for_each_entry(d, &w->dops, list)
		if (d->type == DOP_SUPER && !d->dead)
			goto out;
	if (!w->formatted && fclock_super_choose(w->super[0], w->super[1], sb,
						 &which) == -EILSEQ) {
		w_trace(w, "the superblocks are wiped");
		memset(w->super, 0, sizeof(w->super));
	}
out:
	free(sb);
	if (!w->formatted)
		w_in(w, W_SEC, NULL, wipe, NULL, 0, 0);
}

/* ---------------------------------------------------------------- members lists */

/* What no list can be is refused, and changes nothing. */
static void bad_lists(struct node *n)
{
	u64 epoch = n->core->epoch, members = n->core->members;

	if (fclock_core_members(n->core, 0, 1) != -EINVAL ||
	    fclock_core_members(n->core, FCLOCK_EPOCH_MAX + 1, 1) != -EINVAL ||
	    fclock_core_members(n->core, epoch + 1, 0) != -EINVAL ||
	    n->core->epoch != epoch || n->core->members != members)
		w_fail(n->w, "n%u takes a bad members list", n->id);
}

/*
 * A node that is up, with its devices, is left out by @members: these were true of what it
 * was before. No manager tells such a list when it has admitted the node again.
 */
static bool leaves_out_live(struct world *w, u64 members)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (!(members & fclock_node_bit(i)) && n->core &&
		    n->core->started && !n->fenced)
			return true;
	}
	return false;
}

static void list_event(struct world *w, struct event *e)
{
	struct node *n = e->p;
	u64 known;
	int r;

	/* who was about to tell it fell with the power, and tells the newest one now */
	if (e->a < w->epoch &&
	    (e->a <= w->told_before || leaves_out_live(w, e->b)))
		return;
	if (!n->core || !n->core->started)
		return;
	w_trace(w, "n%u hears members %llx of epoch %llu", n->id, e->b, e->a);
	spin_lock(&n->lock);
	bad_lists(n);
	known = fclock_core_configured(n->core);
	r = fclock_core_members(n->core, e->a, e->b);
	spin_unlock(&n->lock);
	/* the table of a node that was not told yet does not name all of them */
	if ((r == -EINVAL) != !!(e->b & ~known))
		w_fail(w, "n%u: members %llx: %d", n->id, e->b, r);
	node_check_end(n);
}

/*
 * Lists come late, twice, or not at all. Most are heard by somebody; but all who heard
 * one may die before it stands on M, so a manager tells the newest one again
 * (world_mend(), start_event()).
 */
static void new_list(struct world *w, u64 members)
{
	unsigned int i;

	w->epoch++;
	w->members = members;
	w->nr_lists++;
	oracle_list(w, members);
	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (w_chance(w, 600) || w->calm)
			w_in(w, w_below(w, 300 * W_MS), NULL, list_event, n,
			     w->epoch, members);
		if (w_chance(w, 200))
			w_in(w, w_below(w, 6 * W_SEC), NULL, list_event, n,
			     w->epoch, members);
		if (members & fclock_node_bit(i))
			w_in(w, w_below(w, 3 * W_SEC), NULL, list_event, n,
			     w->epoch, members);
	}
}

/* One node at a time, and no second change while an old one runs. */
static struct node *node_to_lose(struct world *w)
{
	struct node *n = up_node(w);

	if (!n || w->cls->nodes < 2)
		return NULL;
	if (!w->epoch)
		w->members = all_nodes(w);
	if (w->members != all_nodes(w) || w->split_epoch == w->epoch + 1 ||
	    (w->epoch && w->split_epoch == w->epoch))
		return NULL;
	return n;
}

/*
 * Does every table name all nodes? Whoever admits a fenced node again sees to it: a node that
 * refuses the list by which it comes back could be struck by the one before.
 */
static bool all_named(struct world *w)
{
	unsigned int i;
	bool all = true;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];
		u64 others = all_nodes(w) & ~fclock_node_bit(i);

		if (n->core && n->core->started)
			add_peers(w, n);
		else if (!n->core)
			n->peers = others;
		all &= n->peers == others;
	}
	return all;
}

static void unfence(struct world *w, struct event *e)
{
	struct node *n = e->p;

	if (!all_named(w)) {
		w_in(w, 100 * W_MS, NULL, unfence, n, 0, 0);
		return;
	}
	/* on another host: only who knows the list without the old one lets it in */
	n->moves += w_chance(w, 300);
	new_list(w, w->members | fclock_node_bit(n->id));
	w_in(w, w_below(w, 500 * W_MS), NULL, node_restart, n, 0, 0);
}

/* A node dies for good, as far as the others can see, and is fenced. */
static void fence(struct world *w, struct node *n)
{
	node_crash(n);
	w_trace(w, "n%u is fenced", n->id);
	w->members &= ~fclock_node_bit(n->id);
	w_in(w, w_between(w, 100 * W_MS, 4 * W_SEC), NULL, unfence, n, 0, 0);
}

/* Often others die with it: one list may leave all of them out, or one follows another. */
static void fault_fence(struct world *w)
{
	struct node *n = node_to_lose(w);

	if (!n)
		return;
	fence(w, n);
	while (w_chance(w, 400)) {
		n = live_node(w);
		if (!n || n->leaving || hweight64(w->members) < 2)
			break;
		if (w_chance(w, 500))
			new_list(w, w->members);
		fence(w, n);
	}
	new_list(w, w->members);
}

static void strike_moved(struct world *w, struct event *e);

static void admit_all(struct world *w, struct event *e)
{
	new_list(w, all_nodes(w));
	w_in(w, 8 * W_SEC, NULL, strike_moved, NULL, 0, 0);
}

/* The instance of @n that @sb lists is not the one that waits on another host. */
static bool lists_another(const struct fclock_super *sb, const struct node *n)
{
	u64 listed = fclock_listed_instance(sb, n->id);

	return listed && listed != n->core->instance;
}

/*
 * By M, or by what a node knew before somebody struck the old instance and was not heard: that
 * node refuses the new one, and waits for the old one if it was the primary.
 */
static bool waits_elsewhere(struct world *w, const struct node *n)
{
	bool waits = lists_another(&w->truth, n);
	const struct node *o;
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		o = &w->node[i];
		waits |= o != n && o->core && lists_another(&o->core->sb, n);
	}
	return waits;
}

/*
 * Who is alive may not have heard the list that left the old instance out: the logs say who waits
 * for such a list, and who refuses the new one on its other host. The administrator tells one.
 * He does so too where somebody did hear it, and the next list came before the strike stood
 * on M; a core that forgets a strike is not found here, but by nodes that stay on their hosts.
 */
static void strike_moved(struct world *w, struct event *e)
{
	const struct node *n;
	u64 moved = 0;
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		n = &w->node[i];
		if (n->core && n->moves &&
		    n->core->phase == FCLOCK_STARTING && waits_elsewhere(w, n))
			moved |= fclock_node_bit(i);
	}
	if (moved == all_nodes(w))
		moved &= moved - 1;	/* a list names somebody */
	if (moved && w->split_epoch != w->epoch) {
		new_list(w, all_nodes(w) & ~moved);
		w_in(w, 4 * W_SEC, NULL, admit_all, NULL, 0, 0);
	} else {
		w_in(w, 8 * W_SEC, NULL, strike_moved, NULL, 0, 0);
	}
}

/* Its storage comes back when the old instance has ended. */
static void readmit(struct world *w, struct event *e)
{
	struct node *n = e->p;

	if (!n->core || n->core->phase != FCLOCK_STARTING || n->leaving) {
		w_in(w, 100 * W_MS, NULL, readmit, n, 0, 0);
		return;
	}
	n->fenced = false;
	new_list(w, all_nodes(w));
}

/* A node is cut off from the devices and left out; it lives and may not know. */
static void fault_expel(struct world *w)
{
	struct node *n = node_to_lose(w);

	if (!n)
		return;
	w_trace(w, "n%u is cut off from the devices", n->id);
	disk_fence(w, n);
	new_list(w, w->members & ~fclock_node_bit(n->id));
	w_in(w, w_between(w, 500 * W_MS, 3 * W_SEC), NULL, readmit, n, 0, 0);
}

static void rejoin_lists(struct world *w, struct event *e)
{
	struct node *n = e->p;

	w->split_epoch = 0;
	new_list(w, all_nodes(w));
	w_in(w, w_below(w, 500 * W_MS), NULL, node_restart, n, 0, 0);
}

/* Who heard one list does not hear who heard the other, but may read on M what it was. */
static void cut_apart(struct world *w, const u64 *told, u64 until)
{
	unsigned int i, k;

	for (i = 1; i <= w->cls->nodes; i++)
		for (k = i + 1; k <= w->cls->nodes; k++)
			if (told[i] && told[k] && told[i] != told[k])
				net_cut(w, &w->node[i], &w->node[k], until);
}

/*
 * A broken manager tells two lists under one epoch. The node that one of them leaves out
 * is down, so that no list lies about who does I/O; who heard of both suspends until
 * there is a newer one.
 */
static void fault_dup(struct world *w)
{
	u64 told[FCLOCK_MAX_NODES + 1] = { 0 }, both[2];
	struct node *n = node_to_lose(w);
	unsigned int i;

	if (!n || w->cls->nodes < 3)
		return;
	node_crash(n);
	w->epoch++;
	w->split_epoch = w->epoch;
	w->nr_lists++;
	both[0] = all_nodes(w);
	both[1] = both[0] & ~fclock_node_bit(n->id);
	oracle_list(w, both[1]);
	w_trace(w, "two lists of epoch %llu: one leaves n%u out", w->epoch,
		n->id);
	for (i = 1; i <= w->cls->nodes; i++) {
		if (i == n->id || !w_chance(w, 800))
			continue;
		told[i] = both[w_below(w, 2)];
		w_in(w, w_below(w, 300 * W_MS), NULL, list_event, &w->node[i],
		     w->epoch, told[i]);
	}
	if (w_chance(w, 400))
		cut_apart(w, told, w->now + w_below(w, 4 * W_SEC));
	w_in(w, w_between(w, 500 * W_MS, 4 * W_SEC), NULL, rejoin_lists, n, 0,
	     0);
}

/* ------------------------------------------------------------------- when it occurs */

static void (*const faults[])(struct world *w) = {
#define F(name) fault_##name,
	W_TIMED(F)
#undef F
};

/* Occurrence @b of fault @a; 0 only begins. */
static void fault_event(struct world *w, struct event *e)
{
	unsigned int mean = sim_rate(w->cls, e->a);
	u64 stream = w_mix(w->seed, e->a + 1000, e->b), *was;
	u64 next;

	if (!w->loading)
		return;
	was = w_chance_from(w, &stream);
	if (!e->b && e->a == W_trigger)
		mean = min(mean, 60U);	/* soon, so that there is a copy */
	next = w_below(w, 2 * mean * W_MS) + 1;
	if (e->b && w_occurs(w, e->a))
		faults[e->a](w);
	w_chance_from(w, was);
	w_in(w, next, NULL, fault_event, NULL, e->a, e->b + 1);
}

void world_faults(struct world *w)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (sim_rate(w->cls, i))
			w_in(w, 1, NULL, fault_event, NULL, i, 0);
	w_in(w, W_SEC, NULL, wipe, NULL, 0, 0);
}

/*
 * The last fault is over. Without its copy device, its peers, or the newest members
 * list, a node may be the one that the others wait for.
 */
void world_mend(struct world *w)
{
	unsigned int i, s;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (n->core)
			node_set_room(n, w->sectors);
		for (s = 0; s < w->cls->slots; s++)
			if (n->core && !((n->attached | n->detaching) & BIT(s)))
				node_attach(n, s);
			else if (n->core && (n->attached & BIT(s)))
				node_set_copy(n, s, w->sectors);
		if (n->core)
			add_peers(w, n);
		else
			n->peers = all_nodes(w) & ~fclock_node_bit(i);
		if (w->epoch && w->split_epoch != w->epoch)
			w_in(w, w_below(w, 3 * W_SEC), NULL, list_event, n,
			     w->epoch, w->members);
	}
	if (w->cls->fence)
		w_in(w, 8 * W_SEC, NULL, strike_moved, NULL, 0, 0);
}

/* Who is asked may be on its way out: once more, until M says it. */
void world_copy_all(struct world *w)
{
	unsigned int s;
	struct node *n;

	if (!w->last_rate)
		w->last_rate = w_between(w, 100, w_chance(w, 500) ? 1000 : 1000000);
	for (s = 0; s < w->cls->slots; s++) {
		n = live_node(w);
		if (n && !n->leaving && list_empty(&n->asks) &&
		    w->truth.slot[s].rate != w->last_rate)
			node_ask(n, FCLOCK_ASK_COPY_RATE, BIT(s), w->last_rate,
				 0);
	}
}
