// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests: accepted connections that have not yet said HELLO.
 */
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/jiffies.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "peer.h"

#define DM_MSG_PREFIX "fclock"

/* Connections that one run of the accept work takes. */
#define ACCEPT_BUDGET 16
#define ACCEPT_PAUSE_MS 20
#define RESERVED_PORT_END 1024

static void __drop_guest(struct fclock_guest *g, const char *why)
{
	lockdep_assert_held(&g->mutex);

	if (why)
		DMWARN_LIMIT("connection from %pISpc dropped: %s", &g->from.sa,
			     why);
	fclock_socket_close(&g->s);
}

/*
 * The socket becomes @p's if the core says so. The older connection's PEER_DROP
 * is not meant for the new one; one that the core sets from hello() on is.
 */
static int __adopt(struct fclock_peer *p, struct fclock_guest *g,
		   const struct fclock_msg *msg,
		   const struct fclock_wire_hello *hello, void *refusal,
		   size_t *refusal_len)
{
	struct fclock_transport *t = p->t;
	bool drop;
	int r;

	lockdep_assert_held(&p->mutex);
	lockdep_assert_held(&g->mutex);

	drop = test_and_clear_bit(PEER_DROP, &p->flags);
	r = t->ops->hello(t->ctx, p->node, msg, hello, refusal, refusal_len);
	if (r) {
		if (drop)
			set_bit(PEER_DROP, &p->flags);
		return r;
	}

	__fclock_peer_reset(p);
	fclock_socket_move(&p->s, &g->s);
	p->state = PEER_OPEN;

	return 0;
}

static bool __may_be(const struct fclock_peer *p,
		     const struct fclock_addr *from)
{
	lockdep_assert_held(&p->mutex);

	return p->configured && p->node > p->t->node &&
	       fclock_addr_same_host(&p->addr, from);
}

/* The whole HELLO is there. Return: 0: the peer has the socket; else why not. */
static int __greet(struct fclock_guest *g, const struct fclock_msg *msg)
{
	const struct fclock_wire_hello *hello = (void *)g->buf + HEADER_SIZE;
	struct fclock_peer *p = fclock_find_peer(g->t, hello->node_id);
	u8 refusal[FCLOCK_HELLO_FRAME] __aligned(8);
	size_t refusal_len = 0;
	int r = -EPERM;

	lockdep_assert_held(&g->mutex);

	if (!p)
		return -EPERM;

	mutex_lock(&p->mutex);
	if (__may_be(p, &g->from))
		r = __adopt(p, g, msg, hello, refusal, &refusal_len);
	mutex_unlock(&p->mutex);

	if (!r) {
		queue_work(g->t->wq, &p->io);
	} else if (refusal_len && refusal_len <= sizeof(refusal)) {
		fclock_socket_send(&g->s, refusal, refusal_len, false);
		fclock_socket_finish(&g->s);
		g->refused = true;
	}

	return r;
}

static int __check_hello(struct fclock_guest *g, struct fclock_msg *msg)
{
	int r;

	lockdep_assert_held(&g->mutex);

	r = fclock_wire_decode_header(g->buf, msg);
	if (r)
		return r;
	if (msg->type != FCLOCK_HELLO ||
	    msg->length != sizeof(struct fclock_wire_hello))
		return -EPROTO;

	return 0;
}

static int __check_hello_payload(struct fclock_guest *g,
				 const struct fclock_msg *msg)
{
	lockdep_assert_held(&g->mutex);

	return fclock_wire_check_payload(msg, g->buf + HEADER_SIZE,
					 g->t->ops->grains(g->t->ctx));
}

/* Bytes of the HELLO; the header is checked before the payload is awaited. */
static void __read_hello(struct fclock_guest *g)
{
	struct fclock_msg msg;
	int r;

	lockdep_assert_held(&g->mutex);

	do {
		r = fclock_socket_recv(&g->s, g->buf + g->got,
				       sizeof(g->buf) - g->got);
		if (r > 0)
			g->got += r;
	} while (r > 0 && g->got < sizeof(g->buf));

	if (g->got >= HEADER_SIZE && __check_hello(g, &msg)) {
		__drop_guest(g, "not a HELLO of this protocol version");
		return;
	}
	if (g->got < sizeof(g->buf)) {
		if (r < 0)
			__drop_guest(g, "closed before its HELLO");
		return;
	}
	if (__check_hello_payload(g, &msg)) {
		__drop_guest(g, "bad HELLO");
		return;
	}

	r = __greet(g, &msg);
	if (r && !g->refused)
		__drop_guest(g, r == -EPERM ? "no such peer" : "refused");
}

/* The refusal was sent: the end, or whatever else comes, ends it. */
static void __end_refused(struct fclock_guest *g)
{
	u8 byte;

	lockdep_assert_held(&g->mutex);

	if (fclock_socket_recv(&g->s, &byte, 1))
		__drop_guest(g, NULL);
}

static void guest_io(struct work_struct *work)
{
	struct fclock_guest *g = container_of(work, struct fclock_guest, io);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&g->mutex);
	if (READ_ONCE(g->t->running) && g->s.sock) {
		if (g->refused)
			__end_refused(g);
		else
			__read_hello(g);
		if (g->s.sock && time_after_eq(jiffies, g->deadline))
			__drop_guest(g, g->refused ? NULL : "no HELLO in time");
	}
	mutex_unlock(&g->mutex);

	memalloc_noio_restore(noio);
}

static void guest_timer(struct work_struct *work)
{
	struct fclock_guest *g = container_of(to_delayed_work(work),
					      struct fclock_guest, timer);

	queue_work(g->t->wq, &g->io);
}

/* Why nobody at @from is listened to, or NULL. It takes no place then. */
static const char *unwelcome(struct fclock_transport *t,
			     const struct fclock_addr *from)
{
	unsigned int node;
	bool known = false;
	struct fclock_peer *p;

	if (t->reserved_port && fclock_addr_port(from) >= RESERVED_PORT_END)
		return "unprivileged port";

	for (node = t->node + 1; node <= FCLOCK_MAX_NODES && !known; node++) {
		p = fclock_find_peer(t, node);
		if (!p)
			continue;
		mutex_lock(&p->mutex);
		known = __may_be(p, from);
		mutex_unlock(&p->mutex);
	}

	return known ? NULL : "no peer has this address";
}

/*
 * Where the next connection stands. Those of one host share the places that all
 * want: one of the host that has most of them goes, its oldest, so whoever says
 * HELLO at once gets in while others hold places and say nothing.
 *
 * Only this work changes @from and @turn, so it reads them without the mutex.
 */
static struct fclock_guest *find_place(struct fclock_transport *t,
				       const struct fclock_addr *from)
{
	struct fclock_guest *g, *other, *found = NULL;
	unsigned int n, most = 0;

	for (g = t->guest; g < t->guest + MAX_GUESTS; g++) {
		if (!READ_ONCE(g->s.sock))
			return g;
		n = fclock_addr_same_host(&g->from, from);
		for (other = t->guest; other < t->guest + MAX_GUESTS; other++)
			n += fclock_addr_same_host(&g->from, &other->from);
		if (n > most || (n == most && g->turn < found->turn)) {
			found = g;
			most = n;
		}
	}

	return found;
}

static void __seat(struct fclock_guest *g, struct fclock_socket *s,
		   const struct fclock_addr *from)
{
	struct fclock_transport *t = g->t;

	lockdep_assert_held(&g->mutex);

	if (g->s.sock)
		__drop_guest(g, g->refused ? NULL :
			     "others wait and it has not said HELLO");
	fclock_socket_move(&g->s, s);
	g->from = *from;
	g->got = 0;
	g->refused = false;
	g->turn = ++t->turns;
	g->deadline = jiffies + msecs_to_jiffies(GREETING_MS);
	fclock_wake_at(t, &g->timer, g->deadline);
	/* What came before its callbacks were ours. */
	queue_work(t->wq, &g->io);
}

/* Return: 0, -EAGAIN when nobody waits, errors of accept. */
static int accept_one(struct fclock_transport *t)
{
	struct fclock_socket s = { .wq = t->wq, .io = &t->accept };
	struct fclock_addr from;
	struct fclock_guest *g;
	const char *why;
	int r;

	r = fclock_socket_accept(&s, &t->listener, &from);
	if (r)
		return r;
	why = unwelcome(t, &from);
	if (why) {
		DMWARN_LIMIT("connection from %pISpc dropped: %s", &from.sa,
			     why);
		fclock_socket_close(&s);
		return 0;
	}

	g = find_place(t, &from);
	mutex_lock(&g->mutex);
	__seat(g, &s, &from);
	mutex_unlock(&g->mutex);

	return 0;
}

void fclock_accept_work(struct work_struct *work)
{
	struct fclock_transport *t = container_of(work, struct fclock_transport,
						  accept);
	unsigned int noio = memalloc_noio_save();
	unsigned int budget = ACCEPT_BUDGET;
	int r = 0;

	while (READ_ONCE(t->running) && r != -EAGAIN && budget--) {
		r = accept_one(t);
		/*
		 * Out of memory or files: it waits in the backlog. Who was gone
		 * before it was accepted costs the others no pause.
		 */
		if (r && r != -EAGAIN && r != -ECONNABORTED)
			msleep(ACCEPT_PAUSE_MS);
	}
	if (READ_ONCE(t->running) && r != -EAGAIN)
		queue_work(t->wq, &t->accept);

	memalloc_noio_restore(noio);
}

void fclock_guest_init(struct fclock_transport *t, struct fclock_guest *g)
{
	g->t = t;
	g->s.wq = t->wq;
	g->s.io = &g->io;
	mutex_init(&g->mutex);
	INIT_WORK(&g->io, guest_io);
	INIT_DELAYED_WORK(&g->timer, guest_timer);
}

void fclock_guest_stop(struct fclock_guest *g)
{
	mutex_lock(&g->mutex);
	fclock_socket_close(&g->s);
	mutex_unlock(&g->mutex);
	cancel_delayed_work_sync(&g->timer);
	cancel_work_sync(&g->io);
}
