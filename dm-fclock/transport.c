// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TCP between the nodes of a volume.
 *
 * One object per configured peer and one work function per object: it connects,
 * receives and sends, a bounded amount at a time, and is queued by the socket's
 * events, by fclock_transport_kick() and by a timer. A connection that another
 * node makes stands in one of few guest places until its HELLO is there; then its
 * socket moves to the peer that it belongs to.
 *
 *	         connect               connected           CHALLENGE: opened()
 *	  IDLE ----------> CONNECTING ----------> AWAITING ----------> GREETING
 *	   ^ |                 |                     |                    |
 *	   | | hello() == 0    | error,              | error,             | WELCOME,
 *	   | |                 | 5 s                 | 5 s                | receive() == 0
 *	   | v                 v                     v                    v
 *	   OPEN <- - - - - > IDLE                  IDLE                  OPEN
 *	      error, disconnect: lost()
 *
 * GREETING, too, is left with lost(). Between lost() and the next connect lies a
 * backoff from 250 ms, doubled up to 4 s, begun anew by every WELCOME.
 *
 * Locks: t->mutex > guest.mutex > peer.mutex > the core's own (in the ops). Socket
 * callbacks take none of them. t->mutex is never taken by a work function, so
 * that stop may wait for them.
 */
#include <linux/device-mapper.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "peer.h"

#define DRAIN_POLL_MS 5

/* ---- Configured peers ---- */

/* Objects for all of @peers, before any of them counts. */
static int add_peers(struct fclock_transport *t,
		     const struct fclock_peer_addr *peers,
		     unsigned int nr_peers)
{
	unsigned int i, node;
	struct fclock_peer *p;

	lockdep_assert_held(&t->mutex);

	for (i = 0; i < nr_peers; i++) {
		node = peers[i].node;
		if (!node || node > FCLOCK_MAX_NODES || node == t->node)
			return -EINVAL;
		if (peers[i].addr.sa.sa_family != t->listen.sa.sa_family)
			return -EAFNOSUPPORT;
		if (t->peer[node])
			continue;
		p = fclock_peer_alloc(t, node);
		if (!p)
			return -ENOMEM;
		if (t->key) {
			p->auth = fclock_auth_create(t->key);
			if (!p->auth) {
				fclock_peer_free(p);
				return -ENOMEM;
			}
		}
		/* Pairs with smp_load_acquire() in fclock_find_peer(). */
		smp_store_release(&t->peer[node], p);
	}

	return 0;
}

static const struct fclock_addr *
find_addr(const struct fclock_peer_addr *peers, unsigned int nr_peers,
	  unsigned int node)
{
	unsigned int i;

	for (i = 0; i < nr_peers; i++)
		if (peers[i].node == node)
			return &peers[i].addr;

	return NULL;
}

int fclock_transport_set_peers(struct fclock_transport *t,
			       const struct fclock_peer_addr *peers,
			       unsigned int nr_peers)
{
	unsigned int node;
	int r;

	mutex_lock(&t->mutex);
	r = add_peers(t, peers, nr_peers);
	for (node = 1; !r && node <= FCLOCK_MAX_NODES; node++)
		if (t->peer[node])
			fclock_peer_configure(t->peer[node],
					      find_addr(peers, nr_peers, node));
	mutex_unlock(&t->mutex);

	return r;
}

static void drop_staged(struct fclock_transport *t)
{
	unsigned int node;

	lockdep_assert_held(&t->mutex);

	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		if (!t->peer[node])
			continue;
		fclock_auth_destroy(t->peer[node]->staged);
		t->peer[node]->staged = NULL;
	}
}

/* Everything that the new key needs, before it counts. */
static int stage(struct fclock_transport *t, struct fclock_key *key)
{
	unsigned int node;
	struct fclock_peer *p;

	lockdep_assert_held(&t->mutex);

	for (node = 1; key && node <= FCLOCK_MAX_NODES; node++) {
		p = t->peer[node];
		if (!p)
			continue;
		p->staged = fclock_auth_create(key);
		if (!p->staged) {
			drop_staged(t);
			return -ENOMEM;
		}
	}

	return 0;
}

int fclock_transport_set_key(struct fclock_transport *t, struct fclock_key *key)
{
	unsigned int node;
	int r = 0;

	mutex_lock(&t->mutex);
	if (fclock_key_same(t->key, key))
		goto out;
	r = stage(t, key);
	if (r)
		goto out;
	fclock_key_put(t->key);
	t->key = fclock_key_get(key);
	WRITE_ONCE(t->keyed, key);
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (t->peer[node])
			fclock_peer_new_key(t->peer[node]);
out:
	mutex_unlock(&t->mutex);

	return r;
}

u64 fclock_transport_auth_failures(struct fclock_transport *t)
{
	return atomic64_read(&t->auth_failures);
}

/* ---- What the core calls at any time ---- */

static void set_flag_and_run(struct fclock_transport *t, unsigned int node,
			     enum fclock_peer_flags flag)
{
	struct fclock_peer *p = fclock_find_peer(t, node);

	if (!p || !READ_ONCE(t->running))
		return;
	set_bit(flag, &p->flags);
	queue_work(t->wq, &p->io);
}

void fclock_transport_kick(struct fclock_transport *t, unsigned int node)
{
	set_flag_and_run(t, node, PEER_KICKED);
}

void fclock_transport_disconnect(struct fclock_transport *t, unsigned int node)
{
	set_flag_and_run(t, node, PEER_DROP);
}

static bool all_drained(struct fclock_transport *t)
{
	unsigned int node;
	struct fclock_peer *p;

	for (node = 1; node <= FCLOCK_MAX_NODES; node++) {
		p = fclock_find_peer(t, node);
		if (p && !fclock_peer_drained(p))
			return false;
	}

	return true;
}

void fclock_transport_drain(struct fclock_transport *t, unsigned int ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);

	while (!all_drained(t) && time_before(jiffies, end) &&
	       !fatal_signal_pending(current))
		schedule_timeout_killable(msecs_to_jiffies(DRAIN_POLL_MS));
}

/* ---- Life ---- */

int fclock_transport_start(struct fclock_transport *t)
{
	unsigned int node;
	int r = 0;

	mutex_lock(&t->mutex);
	if (t->running)
		goto out;
	r = fclock_socket_listen(&t->listener, t->net, &t->listen);
	if (r)
		goto out;

	WRITE_ONCE(t->running, true);
	for (node = 1; node <= FCLOCK_MAX_NODES; node++)
		if (t->peer[node])
			fclock_peer_start(t->peer[node]);
	/* Connections that came before @running was seen. */
	mod_delayed_work(t->wq, &t->accept, 0);
out:
	mutex_unlock(&t->mutex);

	return r;
}

void fclock_transport_stop(struct fclock_transport *t)
{
	unsigned int i;

	mutex_lock(&t->mutex);
	WRITE_ONCE(t->running, false);

	fclock_socket_mute(&t->listener);
	cancel_delayed_work_sync(&t->accept);
	fclock_socket_close(&t->listener);

	/* Guests first: they hand sockets to peers. */
	for (i = 0; i < MAX_GUESTS; i++)
		fclock_guest_stop(&t->guest[i]);
	for (i = 1; i <= FCLOCK_MAX_NODES; i++)
		if (t->peer[i])
			fclock_peer_stop(t->peer[i]);
	mutex_unlock(&t->mutex);
}

struct fclock_transport *
fclock_transport_create(struct net *net, unsigned int node,
			const struct fclock_addr *listen,
			const struct fclock_peer_addr *peers,
			unsigned int nr_peers, struct fclock_key *key,
			const struct fclock_transport_ops *ops, void *ctx)
{
	struct fclock_transport *t;
	unsigned int i;
	int r;

	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->wq = alloc_workqueue("fclock-net", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!t->wq) {
		kfree(t);
		return ERR_PTR(-ENOMEM);
	}

	t->net = get_net(net);
	t->node = node;
	t->listen = *listen;
	t->key = fclock_key_get(key);
	t->keyed = key;
	t->ops = ops;
	t->ctx = ctx;
	mutex_init(&t->mutex);
	t->listener.wq = t->wq;
	t->listener.io = &t->accept.work;
	INIT_DELAYED_WORK(&t->accept, fclock_accept_work);
	for (i = 0; i < MAX_GUESTS; i++)
		fclock_guest_init(t, &t->guest[i]);

	r = fclock_transport_set_peers(t, peers, nr_peers);
	if (r) {
		fclock_transport_destroy(t);
		return ERR_PTR(r);
	}

	return t;
}

void fclock_transport_destroy(struct fclock_transport *t)
{
	unsigned int i;

	fclock_transport_stop(t);
	/* A kick that overlapped stop has queued work that does nothing. */
	destroy_workqueue(t->wq);
	for (i = 1; i <= FCLOCK_MAX_NODES; i++)
		fclock_peer_free(t->peer[i]);
	fclock_key_put(t->key);
	put_net(t->net);
	kfree(t);
}
