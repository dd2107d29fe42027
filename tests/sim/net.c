// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections between nodes, as transport.h has them: the higher id connects, frames
 * come whole and in order or the connection breaks, a socket takes a few frames at a
 * time. What different connections carry overtakes each other. A cut link either
 * stalls or breaks what it carries; a lagging one is slow.
 */
#include "sim.h"

struct conn {
	struct list_head list;
	struct world *w;
	struct node *end[2];		/* 0: lower id, which accepts */
	u32 life[2];
	bool open[2];			/* this end's transport still uses it */
	bool guest;			/* HELLO has not come in yet */
	struct list_head frames[2];	/* sent by that end, in order */
	unsigned int under_way[2];	/* of those, what fills the socket */
	u64 last[2];			/* when the last of them arrives */
	bool pulling[2];
	unsigned int number;
};

struct frame {
	struct list_head list;
	int length;
	u8 data[] __aligned(8);
};

static void net_try(struct world *w, struct event *e);

static bool alive(const struct conn *c, int side)
{
	return c->end[side]->core && c->end[side]->life == c->life[side];
}

static unsigned int pair(struct world *w, const struct node *a,
			 const struct node *b)
{
	return min(a->id, b->id) * (w->cls->nodes + 1) + max(a->id, b->id);
}

static u64 cut_until(struct world *w, const struct node *a, const struct node *b)
{
	return w->cut_until[pair(w, a, b)];
}

static bool is_cut(struct world *w, const struct node *a, const struct node *b)
{
	return cut_until(w, a, b) > w->now;
}

bool net_any_cut(struct world *w)
{
	unsigned int i, n = w->cls->nodes + 1;

	for (i = 0; i < n * n; i++)
		if (w->cut_until[i] > w->now)
			return true;
	return false;
}

static u64 net_delay(struct world *w)
{
	if (w_chance(w, 10))
		return w_between(w, 5 * W_MS, 100 * W_MS);
	return w_between(w, 30, 1500);
}

static u64 conn_delay(const struct conn *c)
{
	struct world *w = c->w;

	if (w->lag_until[pair(w, c->end[0], c->end[1])] > w->now)
		return w_between(w, 5 * W_MS, 600 * W_MS);
	return net_delay(w);
}

void net_exit(struct world *w)
{
	struct conn *c, *tmp;
	struct frame *f, *next;
	int side;

	list_for_each_entry_safe(c, tmp, &w->conns, list) {
		for (side = 0; side < 2; side++)
			list_for_each_entry_safe(f, next, &c->frames[side], list)
				free(f);
		free(c);
	}
}

/* ------------------------------------------------------------------ closing */

static void lost_event(struct world *w, struct event *e)
{
	struct conn *c = e->p;
	int side = e->a;
	struct node *n = c->end[side], *peer = c->end[!side];

	if (n->cur[peer->id] != c)
		return;
	n->cur[peer->id] = NULL;
	w_trace(w, "n%u lost n%u", n->id, peer->id);
	spin_lock(&n->lock);
	fclock_core_lost(n->core, peer->id);
	spin_unlock(&n->lock);
	if (n->id > peer->id)
		w_in(w, w_between(w, 250 * W_MS, 500 * W_MS), n, net_try, NULL,
		     peer->id, 0);
}

static void close_side(struct conn *c, int side)
{
	if (!c->open[side])
		return;
	c->open[side] = false;
	if (alive(c, side))
		w_in(c->w, w_between(c->w, 1, 500), c->end[side], lost_event, c,
		     side, 0);
}

static void remote_close(struct world *w, struct event *e)
{
	struct conn *c = e->p;

	if (is_cut(w, c->end[0], c->end[1])) {
		w_in(w, 100 * W_MS, NULL, remote_close, c, e->a, 0);
		return;
	}
	close_side(c, e->a);
}

/* This end is done with it; the other one learns it, after the frames or instead of them. */
static void close_conn(struct conn *c, int side, bool after)
{
	struct world *w = c->w;
	u64 at = w->now + conn_delay(c);

	if (after || w_chance(w, 500))
		at = max(at, c->last[side] + 1);
	close_side(c, side);
	w_at(w, at, NULL, remote_close, c, !side, 0);
}

/* ------------------------------------------------------------------- frames */

static void deliver(struct world *w, struct event *e);
static void pull(struct world *w, struct event *e);

static void kick_pull(struct conn *c, int side)
{
	if (c->pulling[side] || !c->open[side] || !alive(c, side))
		return;
	c->pulling[side] = true;
	w_in(c->w, w_between(c->w, 5, 100), NULL, pull, c, side, 0);
}

static void send_raw(struct conn *c, int side, const void *data, int length)
{
	struct world *w = c->w;
	struct frame *f = malloc(sizeof(*f) + length);

	f->length = length;
	memcpy(f->data, data, length);
	list_add_tail(&f->list, &c->frames[side]);
	c->under_way[side]++;
	c->last[side] = max(c->last[side] + 1, w->now + conn_delay(c));
	w_at(w, c->last[side], NULL, deliver, c, side, 0);
}

static void trace_frame(struct conn *c, int from, const void *data,
			const char *what)
{
	struct fclock_msg msg;

	if (fclock_wire_decode_header(data, &msg))
		return;
	w_trace(c->w, "n%u->n%u %s %s id %llx state %llu", c->end[from]->id,
		c->end[!from]->id, what, fclock_msg_name(msg.type),
		msg.id, msg.state);
}

static void pull(struct world *w, struct event *e)
{
	static u8 buf[FCLOCK_FRAME_MAX];
	struct conn *c = e->p;
	int side = e->a, length;
	struct node *n = c->end[side], *peer = c->end[!side];

	c->pulling[side] = false;
	if (!c->open[side] || !alive(c, side) || n->cur[peer->id] != c)
		return;
	if (n->thaw > w->now) {
		c->pulling[side] = true;
		w_at(w, n->thaw, NULL, pull, c, side, 0);
		return;
	}
	while (c->under_way[side] < W_WINDOW) {
		spin_lock(&n->lock);
		length = fclock_core_next_frame(n->core, peer->id, buf);
		spin_unlock(&n->lock);
		if (!length)
			break;
		w->nr_frames++;
		trace_frame(c, side, buf, "sends");
		send_raw(c, side, buf, length);
	}
	node_check_end(n);
}

static void hello(struct world *w, struct conn *c, const struct fclock_msg *msg,
		  const void *payload)
{
	static u8 refusal[FCLOCK_FRAME_MAX];
	struct node *n = c->end[0], *peer = c->end[1];
	struct conn *old = n->cur[peer->id];
	size_t length = 0;
	int r;

	if (msg->type != FCLOCK_HELLO) {
		w_fail(w, "first frame is %s", fclock_msg_name(msg->type));
		return;
	}
	spin_lock(&n->lock);
	r = fclock_core_hello(n->core, peer->id, msg, payload, refusal, &length);
	spin_unlock(&n->lock);
	w_trace(w, "n%u takes HELLO of n%u: %d", n->id, peer->id, r);
	if (r) {
		if (length)
			send_raw(c, 0, refusal, length);
		c->open[0] = false;
		w_at(w, c->last[0] + 1, NULL, remote_close, c, 1, 0);
		return;
	}
	c->guest = false;
	if (old && old != c) {
		old->open[0] = false;
		w_in(w, net_delay(w), NULL, remote_close, old, 1, 0);
	}
	n->cur[peer->id] = c;
	kick_pull(c, 0);
}

static void arrive(struct world *w, struct conn *c, int side,
		   const struct frame *f)
{
	const void *payload = f->data + sizeof(struct fclock_wire_header);
	struct node *n = c->end[side];
	struct fclock_msg msg;
	bool up;
	int r;

	if (fclock_wire_decode_header(f->data, &msg) ||
	    f->length != (int)(sizeof(struct fclock_wire_header) + msg.length) ||
	    (r = fclock_wire_check_payload(&msg, payload, w->geo.grains))) {
		w_fail(w, "n%u gets a bad frame", n->id);
		return;
	}
	trace_frame(c, !side, f->data, "brings");
	if (!side && c->guest) {
		hello(w, c, &msg, payload);
		return;
	}
	/* the core may have dropped it already, and the order is on its way */
	up = n->core->peer[c->end[!side]->id].link != FCLOCK_LINK_DOWN;
	spin_lock(&n->lock);
	r = fclock_core_receive(n->core, c->end[!side]->id, &msg, payload);
	spin_unlock(&n->lock);
	if (r == -EPROTO && up)
		w_fail(w, "n%u calls %s from n%u a breach", n->id,
		       fclock_msg_name(msg.type), c->end[!side]->id);
	if (r < 0) {
		w_trace(w, "n%u drops the link: %d", n->id, r);
		close_conn(c, side, false);
	}
	node_check_end(n);
}

/* One frame that @from sent arrives: always the first, whatever was put off before. */
static void deliver(struct world *w, struct event *e)
{
	struct conn *c = e->p;
	int from = e->a, side = !from;
	struct node *n = c->end[side], *peer = c->end[from];
	struct frame *f;
	u64 again = 0;

	if (alive(c, side) && c->open[side]) {
		if (is_cut(w, n, peer))
			again = cut_until(w, n, peer);
		again = max(again, n->thaw);
	}
	if (again > w->now) {
		w_at(w, again, NULL, deliver, c, from, 0);
		return;
	}
	f = list_first_entry(&c->frames[from], struct frame, list);
	list_del(&f->list);
	if (alive(c, side) && c->open[side] &&
	    (c->guest || n->cur[peer->id] == c)) {
		c->under_way[from]--;
		kick_pull(c, from);
		arrive(w, c, side, f);
	}
	free(f);
}

/* ---------------------------------------------------------------- connecting */

/* As the transport does when no WELCOME comes. */
static void greeted(struct world *w, struct event *e)
{
	struct conn *c = e->p;
	struct node *n = e->node;

	if (c->open[1] &&
	    n->core->peer[c->end[0]->id].link == FCLOCK_LINK_HELLO)
		close_conn(c, 1, false);
}

static void connected(struct world *w, struct event *e)
{
	struct node *n = e->node, *peer = &w->node[e->a];
	struct conn *c;

	if (n->cur[peer->id])
		return;
	/* the transport refuses whom the table does not name */
	if (!peer->core || !peer->core->started || is_cut(w, n, peer) ||
	    !peer->core->peer[n->id].configured) {
		w_in(w, 300 * W_MS, n, net_try, NULL, peer->id, 0);
		return;
	}
	c = calloc(1, sizeof(*c));
	c->w = w;
	c->end[0] = peer;
	c->end[1] = n;
	c->life[0] = peer->life;
	c->life[1] = n->life;
	c->open[0] = c->open[1] = true;
	INIT_LIST_HEAD(&c->frames[0]);
	INIT_LIST_HEAD(&c->frames[1]);
	c->guest = true;
	list_add_tail(&c->list, &w->conns);
	n->cur[peer->id] = c;
	w_trace(w, "n%u connected to n%u", n->id, peer->id);
	w_in(w, 5 * W_SEC, n, greeted, c, 0, 0);
	spin_lock(&n->lock);
	fclock_core_opened(n->core, peer->id);
	spin_unlock(&n->lock);
	kick_pull(c, 1);
}

static void net_try(struct world *w, struct event *e)
{
	struct node *n = e->node;

	if (n->cur[e->a])
		return;
	w_in(w, net_delay(w), n, connected, NULL, e->a, 0);
}

void net_node_up(struct node *n)
{
	unsigned int i;

	for (i = 1; i < n->id; i++)
		if (n->peers & fclock_node_bit(i))
			net_connect(n, i);
}

void net_connect(struct node *n, unsigned int to)
{
	w_in(n->w, w_below(n->w, 5 * W_MS), n, net_try, NULL, to, 0);
}

/* The connection stalls, or breaks. */
void net_cut(struct world *w, struct node *a, struct node *b, u64 until)
{
	w->cut_until[pair(w, a, b)] = until;
	if (w_chance(w, 500) && a->core)
		net_disconnect(a->core, b->id);
}

/* @polite: what was said is still heard; else the machine died. */
void net_node_down(struct node *n, bool polite)
{
	struct world *w = n->w;
	struct conn *c;
	unsigned int i;

	list_for_each_entry(c, &w->conns, list) {
		int side = c->end[1] == n;

		if (c->end[side] != n || !c->open[side])
			continue;
		c->open[side] = false;
		if (polite && !w_chance(w, 50))
			w_at(w, max(w->now, c->last[side]) + 1, NULL,
			     remote_close, c, !side, 0);
		else if (!polite && w_chance(w, 600))
			w_in(w, net_delay(w), NULL, remote_close, c, !side, 0);
		/* else the other side has to find out by itself */
	}
	for (i = 0; i <= w->cls->nodes; i++)
		n->cur[i] = NULL;
}

/* All that the node had to say has arrived. */
bool net_idle(struct node *n)
{
	struct conn *c;

	list_for_each_entry(c, &n->w->conns, list) {
		int side = c->end[1] == n;

		if (c->end[side] == n && c->open[side] &&
		    (c->under_way[side] || c->pulling[side]))
			return false;
	}
	return true;
}

void net_kick(struct fclock_core *core, unsigned int node)
{
	struct node *n = node_of(core);
	struct conn *c = n->cur[node];

	if (c)
		kick_pull(c, c->end[1] == n);
}

static void disconnect(struct world *w, struct event *e)
{
	struct conn *c = e->p;

	if (c->open[e->a])
		close_conn(c, e->a, false);
}

void net_disconnect(struct fclock_core *core, unsigned int node)
{
	struct node *n = node_of(core);
	struct conn *c = n->cur[node];

	w_trace(n->w, "n%u disconnects n%u", n->id, node);
	if (c)
		w_in(n->w, 10, n, disconnect, c, c->end[1] == n, 0);
}
