// SPDX-License-Identifier: GPL-2.0-only
/* Nodes: life, gates, time, what users ask for. */
#include "sim.h"

/* -------------------------------------------------------------------- gates */

/* The gates may be meant otherwise by now. */
static void gate_tell(struct world *w, struct event *e)
{
	struct node *n = e->node;

	w_trace(w, "n%u gated %x", n->id, n->gates_closed);
	spin_lock(&n->lock);
	fclock_core_gated(n->core, e->a);
	spin_unlock(&n->lock);
	node_check_end(n);
}

static void gate_work(struct world *w, struct event *e)
{
	struct node *n = e->node;
	unsigned int m;
	u64 seq = n->gates_seq;

	n->gates_closed = n->gates_wanted;
	w_touch(n);
	if (seq == n->gates_done)
		return;
	for (m = 0; m < FCLOCK_CACHE_MAPS; m++)
		if ((n->gates_closed & BIT(m)) && n->inflight[m])
			return;
	n->gates_done = seq;
	w_in(w, w_below(w, 100), n, gate_tell, NULL, seq, 0);
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

/* By number: the memory may be another ask's by now. */
static struct ask *ask_find(struct node *n, u64 number)
{
	struct ask *a;

	list_for_each_entry(a, &n->asks, list)
		if (a->number == number)
			return a;
	return NULL;
}

static void ask_free(struct ask *a)
{
	list_del(&a->list);
	free(a);
}

/* Who asked wakes up, by the answer or by a signal, and looks which it was. */
static void ask_woken(struct world *w, struct event *e)
{
	struct node *n = e->node;
	struct ask *a = ask_find(n, e->a);

	if (!a)
		return;
	if (e->b) {
		w_trace(w, "n%u cancels", n->id);
		spin_lock(&n->lock);
		fclock_core_ask_cancel(n->core, &a->ask);
		spin_unlock(&n->lock);
	}
	ask_free(a);
}

static void ask_late(struct world *w, struct event *e)
{
	const struct ask *a = ask_find(e->node, e->a);

	/* who was frozen finds the answer and the end of his time together */
	if (w->calm || !a || a->answered)
		return;
	if (e->node->core->pri.failed)
		w_fail(w, "n%u lets an ask wait and cannot write M", e->node->id);
	e->b = 1;
	ask_woken(w, e);
}

/* The trace keeps no text of its own. */
static const char *keep(struct world *w, const char *text)
{
	char *kept = w->texts[w->nr_texts++ % ARRAY_SIZE(w->texts)];

	return memcpy(kept, text, FCLOCK_ANSWER_TEXT);
}

static void op_answer(struct fclock_core *core, struct fclock_ask *ask)
{
	struct ask *a = container_of(ask, struct ask, ask);
	struct node *n = a->node;

	w_trace(n->w, "n%u answer %d %s", n->id, ask->error,
		keep(n->w, ask->text));
	oracle_answer(n->w, a);
	a->answered = true;
	w_in(n->w, w_below(n->w, 2 * W_MS), n, ask_woken, NULL, a->number, 0);
}

static const char *ask_name(u8 kind)
{
	return kind == FCLOCK_ASK_STOP ? "stop" :
	       kind == FCLOCK_ASK_COPY_RATE ? "copy rate" :
	       kind == FCLOCK_ASK_RESIZE ? "resize" : "trigger";
}

void node_ask(struct node *n, u8 kind, u16 slots, u32 rate, u64 length)
{
	struct world *w = n->w;
	struct ask *a = calloc(1, sizeof(*a));

	a->node = n;
	a->number = ++w->nr_asks;
	a->called = w->now;
	a->ask.kind = kind;
	a->ask.slots = slots;
	a->ask.rate = rate;
	a->ask.length = length;
	list_add_tail(&a->list, &n->asks);
	w_trace(w, "n%u asks %s %x %u %llu", n->id, ask_name(kind), slots, rate,
		length);
	oracle_asked(w, a);
	if (w_fault(w, W_cancel))
		w_in(w, w_between(w, 1, 200 * W_MS), n, ask_woken, NULL,
		     a->number, 1);
	/* as message.c: nobody waits longer. In the end every ask has to be answered. */
	if (!w->calm)
		w_in(w, (n->core->cfg.trigger_timeout + 1000) * W_MS, n,
		     ask_late, NULL, a->number, 0);
	spin_lock(&n->lock);
	fclock_core_ask(n->core, &a->ask);
	spin_unlock(&n->lock);
}

static void op_event(struct fclock_core *core, unsigned int events, u16 slots)
{
	if (events & FCLOCK_EVENT_STATE)
		node_of(core)->told = true;
}

static const struct fclock_core_ops world_ops = {
	.kick = net_kick,
	.disconnect = net_disconnect,
	.wake = io_wake,
	.copy = disk_copy,
	.commit = store_commit,
	.load = store_load,
	.start_owner = store_start_owner,
	.write_super = store_write_super,
	.read_super = store_read_super,
	.gate = op_gate,
	.timer = op_timer,
	.answer = op_answer,
	.event = op_event,
	.now = op_now,
	.random = op_random,
};

/* --------------------------------------------------------------------- life */

static void free_memory(struct fclock_slot_memory *mem)
{
	free(mem->bits);
	free(mem->slice_era);
	free(mem->slice_split);
	memset(mem, 0, sizeof(*mem));
}

static struct fclock_slot_memory make_memory(struct world *w, u64 sectors)
{
	u64 slices = DIV_ROUND_UP_ULL(sectors, W_GRAIN * w->geo.slice);

	return (struct fclock_slot_memory) {
		.bits = calloc(BITS_TO_LONGS(slices * w->geo.slice),
			       sizeof(long)),
		.slice_era = calloc(slices, sizeof(u64)),
		.slice_split = calloc(slices, sizeof(u32)),
		.slices = slices,
	};
}

/* As spare_memory() of the module. */
static void spare_memory(struct node *n, unsigned int s)
{
	struct slot_memory *m = &n->memory[s];
	struct fclock_slot_memory unused;

	spin_lock(&n->lock);
	if (fclock_core_spared(n->core, s, m->mem.bits)) {
		unused = m->mem;
		m->mem = m->spare;
	} else {
		unused = m->spare;
	}
	m->spare = make_memory(n->w, n->planned);
	fclock_core_spare(n->core, s, &m->spare);
	spin_unlock(&n->lock);
	free_memory(&unused);
}

/* A reload of the origin, and its resume, which may be refused. */
void node_set_room(struct node *n, u64 sectors)
{
	struct world *w = n->w;
	unsigned int s;
	int r;

	if (sectors > n->planned) {
		n->planned = sectors;
		for (s = 0; s < w->cls->slots; s++)
			if ((n->attached | n->detaching) & BIT(s))
				spare_memory(n, s);
	}
	spin_lock(&n->lock);
	r = fclock_core_set_room(n->core, sectors);
	spin_unlock(&n->lock);
	w_trace(w, "n%u has a table of %llu: %d", n->id, sectors, r);
	if (!r)
		n->room = sectors;
	else if (sectors >= max(w->truth.geo.length, n->core->sb.geo.length) &&
		 !n->core->prep.number &&
		 (n->core->phase != FCLOCK_STARTING ||
		  sectors >= n->core->told_room))
		w_fail(w, "n%u refuses a table of %llu sectors", n->id, sectors);
	node_check_end(n);
}

void node_set_copy(struct node *n, unsigned int s, u64 sectors)
{
	int r;

	spin_lock(&n->lock);
	r = fclock_core_set_copy(n->core, s, sectors);
	spin_unlock(&n->lock);
	w_trace(n->w, "n%u has a table of %llu for slot %u: %d", n->id, sectors,
		s, r);
	if (!r)
		n->copy[s] = sectors;
}

/* What the constructor of a copy demands. */
static u64 least_copy(struct world *w, unsigned int s)
{
	const struct fclock_slot *slot = &w->truth.slot[s];

	return slot->state == FCLOCK_SLOT_ACTIVE ||
	       slot->state == FCLOCK_SLOT_COMPLETE ? slot->length : w_length(w);
}

void node_attach(struct node *n, unsigned int s)
{
	struct world *w = n->w;
	u64 least = min(least_copy(w, s), n->room);

	n->memory[s].mem = make_memory(w, n->planned);
	n->copy[s] = w->cls->resize && !w->calm ? w_between(w, least, n->room) :
		     n->room;
	n->attached |= BIT(s);
	spin_lock(&n->lock);
	fclock_core_attach(n->core, s, &n->memory[s].mem, n->copy[s]);
	spin_unlock(&n->lock);
}

static void free_slot(struct node *n, unsigned int s)
{
	free_memory(&n->memory[s].mem);
	free_memory(&n->memory[s].spare);
}

static void start_event(struct world *w, struct event *e)
{
	struct node *n = e->node;

	w_trace(w, "n%u starts", n->id);
	spin_lock(&n->lock);
	fclock_core_start(n->core);
	if (w->epoch && w->split_epoch != w->epoch &&
	    (w->calm || w_chance(w, 700)))
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

u64 node_cache_limit(struct world *w)
{
	/* bytes: some runs of 64 */
	static const u64 limits[] = { 0, 512, 16384, ~0ULL, ~0ULL };

	if (w->cls->cache == W_CACHE_ALL)
		return ~0ULL;
	if (w->cls->cache != W_CACHE_ANY)
		return w->cls->cache * 1024ULL;
	return limits[w_below(w, ARRAY_SIZE(limits))];
}

static void forget_life(struct node *n)
{
	n->life++;
	n->words = 0;
	n->told = false;
	INIT_LIST_HEAD(&n->woken);
	n->leaving = false;
	n->timer_at = W_NEVER;
	n->attached = 0;
	n->detaching = 0;
	n->gates_wanted = 0;
	n->gates_closed = 0;
	n->gates_seq = 0;
	n->gates_done = 0;
	memset(n->inflight, 0, sizeof(n->inflight));
	n->thaw = 0;
	n->kept_state = 0;
}

/* The constructor, which may be refused its memory at any allocation. */
static struct fclock_core *create(struct node *n)
{
	static struct fclock_super seen;
	struct fclock_core *core;
	struct world *w = n->w;
	int which, r = fclock_super_choose(w->super[0], w->super[1], &seen,
					   &which);
	struct fclock_core_config cfg = {
		.node = n->id,
		.peers = n->peers,
		.networked = w->cls->nodes > 1,
		.geo = r ? w->first_geo : seen.geo,
		.trigger_timeout = w->calm || w_chance(w, 500) ? 3000 :
				   w_between(w, 200, 1500),
		.cache_limit = node_cache_limit(w),
	};

	/* of a table that is too short for M the constructor says so, and it is mended */
	n->room = max3(n->room, cfg.geo.length, w->calm ? w->sectors : 0);
	n->planned = n->room;
	cfg.room = n->room;
	memset(cfg.uuid, 0x42, sizeof(cfg.uuid));
	snprintf(cfg.host, sizeof(cfg.host), "host%u.%u", n->id, n->moves);
	core = fclock_core_create(&cfg, &world_ops, &n->lock);
	if (core && !r) {
		spin_lock(&n->lock);
		fclock_core_formatted(core, seen.uuid);
		spin_unlock(&n->lock);
	}
	return core;
}

void node_start(struct node *n)
{
	struct world *w = n->w;
	u16 attached = w->calm ? BIT(w->cls->slots) - 1 :
		       n->attached | n->detaching;
	u64 apart = w->cls->apart && !w->calm ? 1500 * W_MS : 0;
	unsigned int s;

	n->core = create(n);
	w_touch(n);
	if (!n->core) {
		w_trace(w, "n%u has no memory", n->id);
		w_in(w, 100 * W_MS, NULL, node_restart, n, 0, 0);
		return;
	}
	n->away = false;
	forget_life(n);
	store_node_up(n);
	w_trace(w, "n%u created: instance %llx, cache %llu", n->id,
		n->core->instance, n->core->cfg.cache_limit);
	for (s = 0; s < w->cls->slots; s++)
		if (attached & BIT(s))
			node_attach(n, s);
	n->running = true;
	w_in(w, w_below(w, 20 * W_MS) + (apart ? w_below(w, apart) : 0), n,
	     start_event, NULL, 0, 0);
	w_in(w, w_below(w, 30 * W_MS), n, workers_event, NULL, 0, 0);
}

static void node_free(struct node *n)
{
	struct ask *a, *tmp;
	unsigned int s;

	n->life++;
	n->running = false;
	list_for_each_entry_safe(a, tmp, &n->asks, list)
		ask_free(a);
	fclock_core_destroy(n->core);
	n->core = NULL;
	w_touch(n);
	for (s = 0; s < n->w->cls->slots; s++)
		free_slot(n, s);
	store_node_down(n);
}

void node_crash(struct node *n)
{
	w_trace(n->w, "n%u crashes", n->id);
	n->w->nr_crashes++;
	oracle_crash(n->w, n);
	disk_crash(n->w, n);
	io_crash(n);
	net_node_down(n, false);
	node_free(n);
}

void node_restart(struct world *w, struct event *e)
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
	n->away = w->cls->away && !w->calm && w_chance(w, w->cls->away);
	if (n->away)
		return;
	w_in(w, w->calm ? 10 * W_MS : w_between(w, 10 * W_MS, 3 * W_SEC), NULL,
	     node_restart, n, 0, 0);
}

/*
 * Does anybody that M lists, but for who has the role, run that superblock? Or has the one that
 * has the role, @named, written it itself?
 */
static bool node_knows(struct world *w, const struct fclock_core *named)
{
	const struct fclock_core *core;
	unsigned int i;

	if (named->pri.tried > named->sb.state &&
	    named->pri.tried <= w->truth.state)
		return true;
	for (i = 1; i <= w->cls->nodes; i++) {
		core = w->node[i].core;
		if (core && i != w->truth.primary &&
		    core->instance == fclock_listed_instance(&w->truth, i) &&
		    core->sb.state >= w->truth.state)
			return true;
	}
	return false;
}

/*
 * By what M says: it lists @n, or nobody who is up has the role. @late: or who has it has not
 * found out that it may act on that, because the one who handed it over could tell nobody.
 */
static bool node_waited_for(struct world *w, const struct node *n, bool late)
{
	const struct fclock_core *core = w->node[w->truth.primary].core;

	return fclock_listed_instance(&w->truth, n->id) || !core ||
	       core->instance != w->truth.primary_instance ||
	       (late && core->sb.primary_instance != core->instance &&
		!node_knows(w, core));
}

/* Who left and is away returns: all, or whom the others may wait for. Return: somebody did. */
bool nodes_return(struct world *w, bool all, bool late)
{
	bool any = false;
	unsigned int i;

	for (i = 1; i <= w->cls->nodes; i++) {
		struct node *n = &w->node[i];

		if (!n->away || !(all || node_waited_for(w, n, late)))
			continue;
		n->away = false;
		any = true;
		w_in(w, 10 * W_MS, NULL, node_restart, n, 0, 0);
	}
	return any;
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

	/* it may just have left, as in volume.c */
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

/* Or it is removed by force: what waits comes back and finds no target. */
void node_leave(struct node *n)
{
	unsigned int s;

	n->running = false;
	if (w_chance(n->w, 200)) {
		spin_lock(&n->lock);
		fclock_client_requeue(n->core, FCLOCK_TARGET_A);
		for (s = 0; s < n->w->cls->slots; s++)
			fclock_client_requeue(n->core, s);
		spin_unlock(&n->lock);
	}
	w_in(n->w, 1, n, leave_wait, NULL, 0, 0);
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
		node_attach(n, s);
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

void node_detach(struct node *n, unsigned int s)
{
	n->attached &= ~BIT(s);
	n->detaching |= BIT(s);
	w_in(n->w, 1, n, detach_wait, NULL, s, 0);
}
