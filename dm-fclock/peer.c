// SPDX-License-Identifier: GPL-2.0-only
/*
 * A configured peer: its connection, and the work function that drives it.
 */
#include <linux/device-mapper.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "fault.h"
#include "peer.h"

#define DM_MSG_PREFIX "fclock"

#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 4000
/* Steps, of a frame in and a pack of frames out, in one run of the work. */
#define IO_BUDGET 64
/* Frames are packed into one send up to this size. */
#define TX_SIZE 16384

/* ---- A peer's connection ---- */

/* Everything of the connection; the core is told by the caller. */
void __fclock_peer_reset(struct fclock_peer *p)
{
	lockdep_assert_held(&p->mutex);

	fclock_socket_close(&p->s);
	p->state = PEER_IDLE;
	p->rx_got = 0;
	p->tx_len = 0;
	p->tx_off = 0;
	p->tx_more = false;
	p->tx_corked = false;
	p->tx_error = 0;
}

static void __begin_backoff(struct fclock_peer *p)
{
	unsigned int ms = p->backoff + get_random_u32() % (p->backoff / 4);

	lockdep_assert_held(&p->mutex);

	p->next_connect = jiffies + msecs_to_jiffies(ms);
	p->backoff = min(2 * p->backoff, (unsigned int)BACKOFF_MAX_MS);
}

static void __end_connection(struct fclock_peer *p, int error)
{
	struct fclock_transport *t = p->t;
	bool known = p->state >= PEER_GREETING;

	lockdep_assert_held(&p->mutex);

	if (p->state == PEER_OPEN || !p->complained)
		DMWARN_LIMIT("node %u: %s: %pe", p->node,
			     known ? "connection lost" : "cannot connect",
			     ERR_PTR(error));
	p->complained = true;
	__fclock_peer_reset(p);
	__begin_backoff(p);
	if (known)
		t->ops->lost(t->ctx, p->node);
}

static void __connect(struct fclock_peer *p)
{
	struct fclock_transport *t = p->t;
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_socket_connect(&p->s, t->net, &t->listen, &p->addr,
				  t->reserved_port);
	if (r) {
		__end_connection(p, r);
		return;
	}
	p->state = PEER_CONNECTING;
	p->deadline = jiffies + msecs_to_jiffies(GREETING_MS);
}

/* The connection attempt may be decided. */
static void __check_connect(struct fclock_peer *p)
{
	struct fclock_transport *t = p->t;
	int r = fclock_socket_connected(&p->s);

	lockdep_assert_held(&p->mutex);

	if (!r)
		return;
	if (r < 0) {
		__end_connection(p, r);
		return;
	}
	p->state = PEER_GREETING;
	p->deadline = jiffies + msecs_to_jiffies(GREETING_MS);
	t->ops->opened(t->ctx, p->node);
}

/* HELLO was taken by a guest's work; WELCOME only answers it, and comes first. */
static bool __expected_type(const struct fclock_peer *p)
{
	lockdep_assert_held(&p->mutex);

	if (p->rx_msg.type == FCLOCK_HELLO)
		return false;

	return (p->rx_msg.type == FCLOCK_WELCOME) ==
	       (p->state == PEER_GREETING);
}

static int __read_header(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_socket_recv(&p->s, p->rx_header + p->rx_got,
			       HEADER_SIZE - p->rx_got);
	if (r <= 0)
		return r;
	p->rx_got += r;
	if (p->rx_got < HEADER_SIZE)
		return 1;

	r = fclock_wire_decode_header(p->rx_header, &p->rx_msg);
	if (r)
		return r;
	if (p->rx_msg.length > FCLOCK_MD_BLOCK_SIZE)
		return -EMSGSIZE;

	return __expected_type(p) ? 1 : -EPROTO;
}

static int __read_payload(struct fclock_peer *p)
{
	unsigned int got = p->rx_got - HEADER_SIZE;
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_socket_recv(&p->s, p->rx_payload + got,
			       p->rx_msg.length - got);
	if (r > 0)
		p->rx_got += r;

	return r;
}

static int __deliver(struct fclock_peer *p)
{
	struct fclock_transport *t = p->t;
	int r;

	lockdep_assert_held(&p->mutex);

	fclock_delay(FCLOCK_DELAY_RECEIVE);
	if (fclock_fault(FCLOCK_FAULT_RECEIVE))
		return -ECONNRESET;

	p->rx_got = 0;
	r = fclock_wire_check_payload(&p->rx_msg, p->rx_payload,
				      t->ops->grains(t->ctx));
	if (!r)
		r = t->ops->receive(t->ctx, p->node, &p->rx_msg, p->rx_payload);
	if (!r && fclock_fault(FCLOCK_FAULT_DUPLICATE))
		r = t->ops->receive(t->ctx, p->node, &p->rx_msg, p->rx_payload);
	if (r)
		return r;

	if (p->state == PEER_GREETING) {
		p->state = PEER_OPEN;
		p->backoff = BACKOFF_MIN_MS;
		p->complained = false;
	}

	return 1;
}

/* A step of the frame that comes in. Return: 1 go on, 0 nothing there, or error. */
static int __receive(struct fclock_peer *p)
{
	int r = 1;

	lockdep_assert_held(&p->mutex);

	if (p->rx_got < HEADER_SIZE)
		r = __read_header(p);
	else if (p->rx_got < HEADER_SIZE + p->rx_msg.length)
		r = __read_payload(p);
	if (r <= 0)
		return r;

	if (p->rx_got >= HEADER_SIZE &&
	    p->rx_got == HEADER_SIZE + p->rx_msg.length)
		return __deliver(p);

	return 1;
}

/* Pack the core's frames into the empty buffer. */
static void __fill_tx(struct fclock_peer *p)
{
	struct fclock_transport *t = p->t;
	int len;

	lockdep_assert_held(&p->mutex);

	p->tx_off = 0;
	p->tx_len = 0;
	p->tx_more = true;
	clear_bit(PEER_KICKED, &p->flags);
	/*
	 * A kick from now on is for frames that may be missed below. Pairs with
	 * the core's lock: it queues a frame, then kicks.
	 */
	smp_mb__after_atomic();

	while (TX_SIZE - p->tx_len >= FCLOCK_FRAME_MAX) {
		len = t->ops->next_frame(t->ctx, p->node, p->tx + p->tx_len);
		if (len <= 0) {
			p->tx_more = false;
			return;
		}
		if (WARN_ON_ONCE(len > FCLOCK_FRAME_MAX)) {
			p->tx_error = -EMSGSIZE;
			return;
		}
		p->tx_len += len;
	}
}

/* Return: 1 go on, 0 nothing to send or no room, or an error. */
static int __send(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	if (p->tx_off == p->tx_len)
		__fill_tx(p);
	if (p->tx_error)
		return p->tx_error;
	if (p->tx_off == p->tx_len) {
		if (p->tx_corked)
			fclock_socket_push(&p->s);
		p->tx_corked = false;
		return 0;
	}

	fclock_delay(FCLOCK_DELAY_SEND);
	if (fclock_fault(FCLOCK_FAULT_SEND))
		return -EPIPE;
	r = fclock_socket_send(&p->s, p->tx + p->tx_off, p->tx_len - p->tx_off,
			       p->tx_more);
	if (r <= 0)
		return r;
	p->tx_off += r;
	p->tx_corked = p->tx_more;

	return 1;
}

/*
 * Move frames both ways. A connection that cannot send any more is still read to
 * its end: the last frames before a close count.
 * Return: 1 there may be more, 0 idle, or an error.
 */
static int __move_frames(struct fclock_peer *p)
{
	unsigned int budget = IO_BUDGET;
	int in, out;

	lockdep_assert_held(&p->mutex);

	while (budget--) {
		if (test_bit(PEER_DROP, &p->flags))
			return 1;
		in = __receive(p);
		if (in < 0)
			return in;
		out = p->tx_error;
		if (!out) {
			out = __send(p);
			if (out < 0)
				p->tx_error = out;
		}
		if (!in && out <= 0)
			return out;
	}

	return 1;
}

/* What a run of the work function has left to wait for. */
static void __arm_timer(struct fclock_peer *p)
{
	lockdep_assert_held(&p->mutex);

	switch (p->state) {
	case PEER_IDLE:
		if (p->configured && p->node < p->t->node)
			fclock_wake_at(p->t, &p->timer, p->next_connect);
		break;
	case PEER_CONNECTING:
	case PEER_GREETING:
		fclock_wake_at(p->t, &p->timer, p->deadline);
		break;
	case PEER_OPEN:
		break;
	}
}

static void __run_peer(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	if (test_and_clear_bit(PEER_DROP, &p->flags) && p->state != PEER_IDLE)
		__end_connection(p, -ECANCELED);

	if (p->state == PEER_IDLE && p->configured && p->node < p->t->node &&
	    time_after_eq(jiffies, p->next_connect))
		__connect(p);
	if (p->state == PEER_CONNECTING)
		__check_connect(p);
	if (p->state >= PEER_GREETING) {
		r = __move_frames(p);
		if (r < 0)
			__end_connection(p, r);
		else if (r > 0)
			queue_work(p->t->wq, &p->io);
	}
	if ((p->state == PEER_CONNECTING || p->state == PEER_GREETING) &&
	    time_after_eq(jiffies, p->deadline))
		__end_connection(p, -ETIMEDOUT);

	__arm_timer(p);
}

static void peer_io(struct work_struct *work)
{
	struct fclock_peer *p = container_of(work, struct fclock_peer, io);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&p->mutex);
	if (READ_ONCE(p->t->running))
		__run_peer(p);
	mutex_unlock(&p->mutex);

	memalloc_noio_restore(noio);
}

static void peer_timer(struct work_struct *work)
{
	struct fclock_peer *p = container_of(to_delayed_work(work),
					     struct fclock_peer, timer);

	queue_work(p->t->wq, &p->io);
}

/* ---- Configuration and life ---- */

void fclock_peer_free(struct fclock_peer *p)
{
	if (!p)
		return;
	kfree(p->rx_header);
	kfree(p->rx_payload);
	kfree(p->tx);
	mutex_destroy(&p->mutex);
	kfree(p);
}

struct fclock_peer *fclock_peer_alloc(struct fclock_transport *t,
				      unsigned int node)
{
	struct fclock_peer *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;

	p->t = t;
	p->node = node;
	p->s.wq = t->wq;
	p->s.io = &p->io;
	p->backoff = BACKOFF_MIN_MS;
	p->next_connect = jiffies;
	mutex_init(&p->mutex);
	INIT_WORK(&p->io, peer_io);
	INIT_DELAYED_WORK(&p->timer, peer_timer);
	p->rx_header = kmalloc(HEADER_SIZE, GFP_KERNEL);
	p->rx_payload = kmalloc(FCLOCK_MD_BLOCK_SIZE, GFP_KERNEL);
	p->tx = kmalloc(TX_SIZE, GFP_KERNEL);
	if (!p->rx_header || !p->rx_payload || !p->tx) {
		fclock_peer_free(p);
		return NULL;
	}

	return p;
}

static bool same_addr(const struct fclock_addr *a, const struct fclock_addr *b)
{
	return fclock_addr_same_host(a, b) &&
	       fclock_addr_port(a) == fclock_addr_port(b);
}

void fclock_peer_configure(struct fclock_peer *p,
			   const struct fclock_addr *addr)
{
	mutex_lock(&p->mutex);
	if (p->configured && !(addr && same_addr(&p->addr, addr)))
		set_bit(PEER_DROP, &p->flags);
	p->configured = addr;
	if (addr)
		p->addr = *addr;
	if (READ_ONCE(p->t->running))
		queue_work(p->t->wq, &p->io);
	mutex_unlock(&p->mutex);
}

void fclock_peer_start(struct fclock_peer *p)
{
	mutex_lock(&p->mutex);
	p->flags = 0;
	p->backoff = BACKOFF_MIN_MS;
	p->next_connect = jiffies;
	queue_work(p->t->wq, &p->io);
	mutex_unlock(&p->mutex);
}

void fclock_peer_stop(struct fclock_peer *p)
{
	mutex_lock(&p->mutex);
	__fclock_peer_reset(p);
	mutex_unlock(&p->mutex);
	/* Nobody arms the timer any more, and nobody but the timer needs io. */
	cancel_delayed_work_sync(&p->timer);
	cancel_work_sync(&p->io);
}

bool fclock_peer_drained(struct fclock_peer *p)
{
	bool drained = true;

	mutex_lock(&p->mutex);
	if (p->state == PEER_OPEN && !p->tx_error)
		drained = !test_bit(PEER_KICKED, &p->flags) &&
			  !p->tx_more && p->tx_off == p->tx_len &&
			  !fclock_socket_unacked(&p->s);
	mutex_unlock(&p->mutex);

	return drained;
}
