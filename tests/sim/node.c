// SPDX-License-Identifier: GPL-2.0-only
/* Nodes: life, gates, time, what users ask for; and the faults that meet them. */
#include "sim.h"

/* -------------------------------------------------------------------- gates */

static void gate_work(struct world *w, struct event *e)
{
	struct node *n = e->node;
	unsigned int m;
	u64 seq = n->gates_seq;

	n->gates_closed = n->gates_wanted;
	if (seq == n->gates_done)
		return;
	for (m = 0; m < FCLOCK_CACHE_MAPS; m++)
		if ((n->gates_closed & BIT(m)) && n->inflight[m])
			return;
	n->gates_done = seq;
	w_trace(w, "n%u gated %x", n->id, n->gates_closed);
	spin_lock(&n->lock);
	fclock_core_gated(n->core, seq);
	spin_unlock(&n->lock);
	node_check_end(n);
}

void node_gate_put(struct node *n, int map)
{
	BUG_ON(!n->inflight[map]);
	if (!--n->inflight[map] && (n->gates_closed & BIT(map)))
		w_in(n->w, w_between(n->w, 1, 50), n, gate_work, NULL, 0, 0);
}

static void op_gate(struct fclock_core *core, u32 closed, u64 seq)
{
	struct node *n = node_of(core);

	w_trace(n->w, "n%u gate %x", n->id, closed);
	n->gates_wanted = closed;
	n->gates_seq = seq;
	w_in(n->w, w_between(n->w, 1, 300), n, gate_work, NULL, 0, 0);
}

/* --------------------------------------------------------------------- time */

static void timer_event(struct world *w, struct event *e)
{
	struct node *n = e->node;

	if (n->timer_at != e->a)
		return;
	n->timer_at = W_NEVER;
	spin_lock(&n->lock);
	fclock_core_timer(n->core);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void op_timer(struct fclock_core *core, u64 at)
{
	struct node *n = node_of(core);
	struct world *w = n->w;

	n->timer_at = at;
	w_at(w, max(at * W_MS, w->now) + w_below(w, 2 * W_MS), n, timer_event,
	     NULL, at, 0);
}

static u64 op_now(struct fclock_core *core)
{
	return node_of(core)->w->now / W_MS;
}

static u64 op_random(struct fclock_core *core)
{
	u64 r;

	while (!(r = w_random(the_world)))
		;
	return r;
}

/* --------------------------------------------------------------------- asks */

static void ask_cancel(struct world *w, struct event *e)
{
	struct ask *a = e->p, *i;
	struct node *n = e->node;

	list_for_each_entry(i, &n->asks, list) {
		if (i != a)
			continue;
		w_trace(w, "n%u cancels", n->id);
		spin_lock(&n->lock);
		fclock_core_ask_cancel(n->core, &a->ask);
		spin_unlock(&n->lock);
		list_del(&a->list);
		free(a);
		return;
	}
}

static void op_answer(struct fclock_core *core, struct fclock_ask *ask)
{
	struct ask *a = container_of(ask, struct ask, ask);
	struct node *n = a->node;

	w_trace(n->w, "n%u answer %d %s", n->id, ask->error, ask->text);
	oracle_answer(n->w, a);
	list_del(&a->list);
	free(a);
}

static void ask_start(struct node *n, u8 kind, u16 slots)
{
	struct world *w = n->w;
	struct ask *a = calloc(1, sizeof(*a));

	a->node = n;
	a->called = w->now;
	a->ask.kind = kind;
	a->ask.slots = slots;
	list_add_tail(&a->list, &n->asks);
	w_trace(w, "n%u asks %s %x", n->id,
		kind == FCLOCK_ASK_STOP ? "stop" : "trigger", slots);
	if (w->cls->cancel && w_chance(w, w->cls->cancel))
		w_in(w, w_between(w, 1, 200 * W_MS), n, ask_cancel, a, 0, 0);
	spin_lock(&n->lock);
	fclock_core_ask(n->core, &a->ask);
	spin_unlock(&n->lock);
}

static void op_event(struct fclock_core *core, unsigned int events, u16 slots)
{
}

static const struct fclock_core_ops world_ops = {
	.kick = net_kick,
	.disconnect = net_disconnect,
	.wake = io_wake,
	.copy = disk_copy,
	.commit = disk_commit,
	.load = disk_load,
	.start_owner = disk_start_owner,
	.write_super = disk_write_super,
	.read_super = disk_read_super,
	.gate = op_gate,
	.timer = op_timer,
	.answer = op_answer,
	.event = op_event,
	.now = op_now,
	.random = op_random,
};

/* --------------------------------------------------------------------- life */

static void attach(struct node *n, unsigned int s)
{
	struct world *w = n->w;

	n->bits[s] = calloc(BITS_TO_LONGS(w->geo.grains), sizeof(long));
	n->slice_gen[s] = calloc(w->geo.slices, sizeof(u64));
	n->slice_split[s] = calloc(w->geo.slices, sizeof(u32));
	n->attached |= BIT(s);
	spin_lock(&n->lock);
	fclock_core_attach(n->core, s, n->bits[s], n->slice_gen[s],
			   n->slice_split[s]);
	spin_unlock(&n->lock);
}

static void free_slot(struct node *n, unsigned int s)
{
	free(n->bits[s]);
	free(n->slice_gen[s]);
	free(n->slice_split[s]);
	n->bits[s] = NULL;
	n->slice_gen[s] = NULL;
	n->slice_split[s] = NULL;
}

static void start_event(struct world *w, struct event *e)
{
	struct node *n = e->node;

	w_trace(w, "n%u starts", n->id);
	spin_lock(&n->lock);
	fclock_core_start(n->core);
	if (w->epoch && w_chance(w, 700))
		fclock_core_members(n->core, w->epoch, w->members);
	spin_unlock(&n->lock);
	net_node_up(n);
}

static void workers_event(struct world *w, struct event *e)
{
	unsigned int i;

	for (i = 0; i < w->cls->workers; i++)
		io_work(e->node, i);
}

static u64 cache_limit(struct world *w)
{
	static const u64 limits[] = { 0, 256, 1024, ~0ULL, ~0ULL };

	if (w->cls->cache == -1)
		return ~0ULL;
	if (w->cls->cache >= 0)
		return w->cls->cache * 1024ULL;
	return limits[w_below(w, ARRAY_SIZE(limits))];
}

void node_start(struct node *n)
{
	struct world *w = n->w;
	struct fclock_core_config cfg = {
		.node = n->id,
		.peers = (BIT_ULL(w->cls->nodes) - 1) & ~fclock_node_bit(n->id),
		.networked = w->cls->nodes > 1,
		.geo = w->geo,
		.trigger_timeout = 3000,
	};
	u16 attached = w->calm ? BIT(w->cls->slots) - 1 :
		       n->attached | n->detaching;
	unsigned int s, i;

	memset(cfg.uuid, 0x42, sizeof(cfg.uuid));
	snprintf(cfg.host, sizeof(cfg.host), "host%u", n->id);
	cfg.cache_limit = cache_limit(w);
	n->life++;
	INIT_LIST_HEAD(&n->woken);
	n->leaving = false;
	n->timer_at = W_NEVER;
	n->attached = 0;
	n->detaching = 0;
	n->gates_wanted = n->gates_closed = 0;
	n->gates_seq = n->gates_done = 0;
	memset(n->inflight, 0, sizeof(n->inflight));
	n->thaw = 0;
	for (s = 0; s < w->cls->slots; s++) {
		n->cache[s] = calloc(w->geo.grains, sizeof(u64));
		n->cached[s] = calloc(w->geo.slices, sizeof(bool));
	}
	n->core = fclock_core_create(&cfg, &world_ops, &n->lock);
	w_trace(w, "n%u created: instance %llx, cache %llu", n->id,
		(unsigned long long)n->core->instance,
		(unsigned long long)cfg.cache_limit);
	for (s = 0; s < w->cls->slots; s++)
		if (attached & BIT(s))
			attach(n, s);
	n->running = true;
	w_in(w, w_below(w, 20 * W_MS) + (w->cls->start_apart && !w->calm ?
					w_below(w, 1500 * W_MS) : 0),
	     n, start_event, NULL, 0, 0);
	for (i = 0; i < 1; i++)
		w_in(w, w_below(w, 30 * W_MS), n, workers_event, NULL, 0, 0);
}

static void node_free(struct node *n)
{
	struct ask *a, *tmp;
	unsigned int s;

	n->life++;
	n->running = false;
	list_for_each_entry_safe(a, tmp, &n->asks, list) {
		list_del(&a->list);
		free(a);
	}
	fclock_core_destroy(n->core);
	n->core = NULL;
	for (s = 0; s < n->w->cls->slots; s++) {
		free_slot(n, s);
		free(n->cache[s]);
		free(n->cached[s]);
	}
}

void node_crash(struct node *n)
{
	w_trace(n->w, "n%u crashes", n->id);
	disk_crash(n->w, n);
	io_crash(n);
	net_node_down(n, false);
	node_free(n);
}

static void restart(struct world *w, struct event *e)
{
	struct node *n = e->p;

	if (!n->core)
		node_start(n);
}

static void leave_stop(struct world *w, struct event *e)
{
	struct node *n = e->node;

	if (!net_idle(n) && w->now < n->left_at + W_SEC) {
		w_in(w, 5 * W_MS, n, leave_stop, NULL, 0, 0);
		return;
	}
	if (!disk_node_idle(w, n))
		w_fail(w, "n%u left with I/O in flight", n->id);
	w_trace(w, "n%u is removed", n->id);
	net_node_down(n, true);
	io_crash(n);
	node_free(n);
	w_in(w, w->calm ? 10 * W_MS : w_between(w, 10 * W_MS, 3 * W_SEC), NULL,
	     restart, n, 0, 0);
}

/* The last target waits for FCLOCK_LEFT. */
void node_check_end(struct node *n)
{
	if (!n->core || !n->leaving || n->left_at ||
	    n->core->phase != FCLOCK_LEFT)
		return;
	n->left_at = n->w->now;
	w_trace(n->w, "n%u has left", n->id);
	w_in(n->w, 1, n, leave_stop, NULL, 0, 0);
}

static void leave_timeout(struct world *w, struct event *e)
{
	struct node *n = e->node;

	if (n->core->phase == FCLOCK_LEFT)
		return;
	w_trace(w, "n%u leaves now", n->id);
	spin_lock(&n->lock);
	fclock_core_leave_now(n->core);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void leave_wait(struct world *w, struct event *e)
{
	struct node *n = e->node;

	if (!list_empty(&n->bios) || !list_empty(&n->asks)) {
		w_in(w, 20 * W_MS, n, leave_wait, NULL, 0, 0);
		return;
	}
	w_trace(w, "n%u leaves", n->id);
	n->leaving = true;
	n->left_at = 0;
	spin_lock(&n->lock);
	fclock_core_leave(n->core);
	spin_unlock(&n->lock);
	w_in(w, 3 * W_SEC, n, leave_timeout, NULL, 0, 0);
	node_check_end(n);
}

/* -------------------------------------------------------------------- faults */

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

static void fault_trigger(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		ask_start(n, FCLOCK_ASK_TRIGGER,
			  1 + w_below(w, BIT(w->cls->slots) - 1));
}

static void fault_stop(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		ask_start(n, FCLOCK_ASK_STOP, BIT(w_below(w, w->cls->slots)));
}

static void fault_drop(struct world *w)
{
	struct node *n = live_node(w);

	if (!n)
		return;
	spin_lock(&n->lock);
	if (w_chance(w, 300))
		fclock_cache_drop_all(&n->core->cache);
	else
		fclock_cache_shrink(&n->core->cache, 1 + w_below(w, 3));
	spin_unlock(&n->lock);
}

static void fault_requeue(struct world *w)
{
	struct node *n = live_node(w);

	if (n)
		io_requeue(n);
}

static void fault_cut(struct world *w)
{
	struct node *a = any_node(w), *b = any_node(w);
	u64 until = w->now + w_between(w, W_MS, w_chance(w, 200) ?
				       8 * W_SEC : 800 * W_MS);

	if (a == b)
		return;
	w_trace(w, "link n%u-n%u cut until %llu", a->id, b->id,
		(unsigned long long)until);
	w->cut_until[a->id][b->id] = w->cut_until[b->id][a->id] = until;
	if (w_chance(w, 500)) {
		spin_lock(&a->lock);
		if (a->core)
			net_disconnect(a->core, b->id);
		spin_unlock(&a->lock);
	}
}

static void fault_freeze(struct world *w)
{
	struct node *n = any_node(w);

	n->thaw = w->now + w_between(w, W_MS, w_chance(w, 200) ? 7 * W_SEC :
				     500 * W_MS);
	w_trace(w, "n%u frozen until %llu", n->id, (unsigned long long)n->thaw);
}

static void fault_crash(struct world *w)
{
	struct node *n = live_node(w);

	if (!n)
		return;
	node_crash(n);
	w_in(w, w_between(w, W_MS, 3 * W_SEC), NULL, restart, n, 0, 0);
}

static void fault_power(struct world *w)
{
	unsigned int i;

	w_trace(w, "power cut");
	w->powered++;
	for (i = 1; i <= w->cls->nodes; i++)
		if (w->node[i].core)
			node_crash(&w->node[i]);
	disk_power(w);
	for (i = 1; i <= w->cls->nodes; i++)
		w_in(w, w_between(w, W_MS, 500 * W_MS), NULL, restart,
		     &w->node[i], 0, 0);
}

static void fault_leave(struct world *w)
{
	struct node *n = live_node(w);

	if (!n || n->leaving)
		return;
	n->running = false;
	w_in(w, 1, n, leave_wait, NULL, 0, 0);
}

static void detach_poll(struct world *w, struct event *e)
{
	struct node *n = e->node;
	unsigned int s = e->a;
	bool done;

	spin_lock(&n->lock);
	done = fclock_core_detached(n->core, s);
	spin_unlock(&n->lock);
	if (!done) {
		w_in(w, 5 * W_MS, n, detach_poll, NULL, s, 0);
		return;
	}
	n->detaching &= ~BIT(s);
	free_slot(n, s);
	if (w->calm)
		attach(n, s);
}

/* The device is closed when no bio uses it. */
static void detach_wait(struct world *w, struct event *e)
{
	struct node *n = e->node;
	unsigned int s = e->a;
	struct bio *bio;

	list_for_each_entry(bio, &n->bios, list)
		if (bio->waiter.target == s) {
			w_in(w, 20 * W_MS, n, detach_wait, NULL, s, 0);
			return;
		}
	w_trace(w, "n%u detaches slot %u", n->id, s);
	spin_lock(&n->lock);
	fclock_core_detach(n->core, s);
	spin_unlock(&n->lock);
	w_in(w, W_MS, n, detach_poll, NULL, s, 0);
}

static void fault_attach(struct world *w)
{
	struct node *n = live_node(w);
	unsigned int s = w_below(w, w->cls->slots);

	if (!n || n->leaving || (n->detaching & BIT(s)))
		return;
	if (n->attached & BIT(s)) {
		n->attached &= ~BIT(s);
		n->detaching |= BIT(s);
		w_in(w, 1, n, detach_wait, NULL, s, 0);
	} else {
		w_trace(w, "n%u attaches slot %u", n->id, s);
		attach(n, s);
	}
}

static void list_event(struct world *w, struct event *e)
{
	struct node *n = e->p;

	if (!n->core || !n->core->started || e->a < w->epoch)
		return;
	w_trace(w, "n%u hears members %llx of epoch %llu", n->id,
		(unsigned long long)w->members, (unsigned long long)w->epoch);
	spin_lock(&n->lock);
	fclock_core_members(n->core, w->epoch, w->members);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void new_list(struct world *w, u64 members)
{
	unsigned int i;

	w->epoch++;
	w->members = members;
	for (i = 1; i <= w->cls->nodes; i++)
		if (w_chance(w, 600) || w->calm)
			w_in(w, w_below(w, 300 * W_MS), NULL, list_event,
			     &w->node[i], w->epoch, 0);
	/* somebody hears it for sure */
	for (i = 1; i <= w->cls->nodes; i++)
		if (members & fclock_node_bit(i))
			w_in(w, w_below(w, 3 * W_SEC), NULL, list_event,
			     &w->node[i], w->epoch, 0);
}

static void unfence(struct world *w, struct event *e)
{
	struct node *n = e->p;

	new_list(w, w->members | fclock_node_bit(n->id));
	w_in(w, w_below(w, 500 * W_MS), NULL, restart, n, 0, 0);
}

/* A node dies for good, as far as the others can see, and is fenced. */
static void fault_fence(struct world *w)
{
	struct node *n = live_node(w);
	u64 all = BIT_ULL(w->cls->nodes) - 1;

	if (!n || w->cls->nodes < 2)
		return;
	if (!w->epoch)
		w->members = all;
	if (w->members != all)
		return;			/* one at a time */
	node_crash(n);
	w_trace(w, "n%u is fenced", n->id);
	new_list(w, w->members & ~fclock_node_bit(n->id));
	w_in(w, w_between(w, 100 * W_MS, 4 * W_SEC), NULL, unfence, n, 0, 0);
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
	new_list(w, w->members | fclock_node_bit(n->id));
}

/* A node is cut off from the devices and left out; it lives and may not know. */
static void fault_expel(struct world *w)
{
	struct node *n = live_node(w);
	u64 all = BIT_ULL(w->cls->nodes) - 1;

	if (!n || n->leaving || w->cls->nodes < 2)
		return;
	if (!w->epoch)
		w->members = all;
	if (w->members != all)
		return;
	w_trace(w, "n%u is cut off from the devices", n->id);
	disk_fence(w, n);
	new_list(w, w->members & ~fclock_node_bit(n->id));
	w_in(w, w_between(w, 500 * W_MS, 3 * W_SEC), NULL, readmit, n, 0, 0);
}

static const struct {
	void (*fn)(struct world *w);
	size_t rate;
} faults[] = {
#define F(name) { fault_##name, offsetof(struct world_class, name) }
	F(trigger), F(stop), F(cut), F(freeze), F(crash), F(power), F(leave),
	F(attach), F(fence), F(expel),
	{ fault_drop, offsetof(struct world_class, drop_cache) },
	{ fault_requeue, offsetof(struct world_class, requeue) },
#undef F
};

static void fault_event(struct world *w, struct event *e)
{
	unsigned int i = e->a;
	unsigned int mean = *(const unsigned int *)((const char *)w->cls +
						    faults[i].rate);

	if (!w->loading)
		return;
	if (e->b)
		faults[i].fn(w);
	else if (faults[i].fn == fault_trigger)
		mean = 60;		/* soon, so that there is a copy */
	w_in(w, w_below(w, 2 * mean * W_MS) + 1, NULL, fault_event, NULL, i, 1);
}

void world_faults(struct world *w)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (*(const unsigned int *)((const char *)w->cls +
					    faults[i].rate))
			w_in(w, 1, NULL, fault_event, NULL, i, 0);
}

/* Without its copy device a node may be the one that the others wait for. */
void world_mend(struct world *w)
{
	unsigned int i, s;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		for (s = 0; s < w->cls->slots; s++)
			if (n->core && !((n->attached | n->detaching) & BIT(s)))
				attach(n, s);
	}
}

/* --------------------------------------------------------------------- quiet */

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
	for (i = 0; i < FCLOCK_SPLITS; i++) {
		struct fclock_split *sp = &core->own.splits[i];

		if (sp->state == FCLOCK_SPLIT_FREE)
			continue;
		snprintf(why, size, "n%u: split of %llu-%llu slots %x failed %x in state %u",
			 n->id, (unsigned long long)sp->first,
			 (unsigned long long)sp->last, sp->slots, sp->failed,
			 sp->state);
		return false;
	}
	for (i = 1; i <= n->w->cls->nodes; i++) {
		struct fclock_peer *p = &core->peer[i];

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

void world_tell(struct world *w)
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
bool world_quiet(struct world *w, char *why, size_t size)
{
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (!n->core) {
			snprintf(why, size, "n%u is down", i);
			return false;
		}
		if (!core_quiet(n, why, size))
			return false;
	}
	return true;
}
