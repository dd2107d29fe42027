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

static const struct fclock_wire_hello *said_hello(const struct fclock_guest *g)
{
	return (const void *)(g->said.hello + HEADER_SIZE);
}

static void __drop_guest(struct fclock_guest *g, const char *why)
{
	lockdep_assert_held(&g->mutex);

	if (why)
		DMWARN_LIMIT("connection from %pISpc dropped: %s", &g->from.sa,
			     why);
	fclock_socket_close(&g->s);
}

/* Has it the key that this node has, or none as this node? */
static int __check_key(struct fclock_peer *p, const struct fclock_guest *g)
{
	bool keyed = le16_to_cpu(said_hello(g)->flags) & FCLOCK_HELLO_KEY;
	int r;

	lockdep_assert_held(&p->mutex);
	lockdep_assert_held(&g->mutex);

	if (keyed != !!p->auth)
		return __fclock_peer_distrust(p, FCLOCK_TK_KEYLESS, keyed ?
					      "it demands a key and this node has none" :
					      "it has no key");
	/* a reload may have taken the key away since it was accepted */
	if (!keyed)
		return fclock_addr_port(&g->from) < RESERVED_PORT_END ? 0 :
			-EACCES;
	r = fclock_auth_check_hello(fclock_auth_key(p->auth), &g->said);
	if (r == -EKEYREJECTED)
		__fclock_peer_distrust(p, FCLOCK_TK_FORGED,
				       "its HELLO does not prove that it has the same key");

	return r;
}

/*
 * The socket becomes @p's if the core says so. The older connection's PEER_DROP
 * is not meant for the new one; one that the core sets from hello() on is.
 */
static int __adopt(struct fclock_peer *p, struct fclock_guest *g,
		   const struct fclock_msg *msg, void *refusal,
		   size_t *refusal_len)
{
	struct fclock_wire_hello hello = *said_hello(g);
	struct fclock_transport *t = p->t;
	bool drop;
	int r;

	lockdep_assert_held(&p->mutex);
	lockdep_assert_held(&g->mutex);

	r = __check_key(p, g);
	if (r)
		return r;
	if (p->auth) {
		hello.flags &= ~cpu_to_le16(FCLOCK_HELLO_KEY);
		memset(hello.nonce, 0, sizeof(hello.nonce));
	}

	drop = test_and_clear_bit(PEER_DROP, &p->flags);
	r = t->ops->hello(t->ctx, p->node, msg, &hello, refusal, refusal_len);
	if (r) {
		if (drop)
			set_bit(PEER_DROP, &p->flags);
		if (p->auth && *refusal_len == FCLOCK_HELLO_FRAME &&
		    fclock_auth_sign_welcome(fclock_auth_key(p->auth), &g->said,
					     refusal))
			*refusal_len = 0;
		return r;
	}

	__fclock_peer_reset(p);
	fclock_socket_move(&p->s, &g->s);
	p->state = PEER_OPEN;
	p->distrusted = false;
	/* the keys follow from the WELCOME to come: nothing is taken before it went */
	if (p->auth)
		*fclock_auth_greeting(p->auth) = g->said;

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
	struct fclock_peer *p = fclock_find_peer(g->t, said_hello(g)->node_id);
	u8 refusal[FCLOCK_HELLO_FRAME] __aligned(8);
	size_t refusal_len = 0;
	int r = -EPERM;

	lockdep_assert_held(&g->mutex);

	if (!p)
		return -EPERM;

	mutex_lock(&p->mutex);
	if (__may_be(p, &g->from))
		r = __adopt(p, g, msg, refusal, &refusal_len);
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

	r = fclock_wire_decode_header(g->said.hello, msg);
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

	return fclock_wire_check_payload(msg, said_hello(g),
					 g->t->ops->grains(g->t->ctx));
}

/* Its header is none, as @error says. */
static void __drop_unheard(struct fclock_guest *g, int error)
{
	const struct fclock_wire_header *header = (void *)g->said.hello;

	lockdep_assert_held(&g->mutex);

	if (error != -EPROTONOSUPPORT) {
		__drop_guest(g, "not a HELLO");
		return;
	}
	DMWARN_LIMIT("connection from %pISpc dropped: it speaks version %u of the protocol and this node version %u",
		     &g->from.sa, header->version, FCLOCK_WIRE_VERSION);
	__drop_guest(g, NULL);
}

/* Bytes of the HELLO; the header is checked before the payload is awaited. */
static void __read_hello(struct fclock_guest *g)
{
	struct fclock_msg msg;
	int r, bad;

	lockdep_assert_held(&g->mutex);

	do {
		r = fclock_socket_recv(&g->s, g->said.hello + g->got,
				       sizeof(g->said.hello) - g->got);
		if (r > 0)
			g->got += r;
	} while (r > 0 && g->got < sizeof(g->said.hello));

	bad = g->got >= HEADER_SIZE ? __check_hello(g, &msg) : 0;
	if (bad) {
		__drop_unheard(g, bad);
		return;
	}
	if (g->got < sizeof(g->said.hello)) {
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
		__drop_guest(g, r == -EPERM ? "no such peer" :
			     r == -EKEYREJECTED ? NULL : "refused");
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

	/* without a key only the port tells that no plain user speaks */
	if (!READ_ONCE(t->keyed) && fclock_addr_port(from) >= RESERVED_PORT_END)
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

/* Who connects hears a challenge of its own before it has said anything. */
static bool __challenge(struct fclock_guest *g)
{
	struct fclock_transport *t = g->t;
	const int size = sizeof(g->said.challenge);

	lockdep_assert_held(&g->mutex);

	fclock_auth_challenge(g->said.challenge, t->node,
			      READ_ONCE(t->keyed));

	return fclock_socket_send(&g->s, g->said.challenge, size, false) == size;
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
	if (!__challenge(g)) {
		__drop_guest(g, "cannot send to it");
		return;
	}
	fclock_wake_at(t, &g->timer, g->deadline);
	/* What came before its callbacks were ours. */
	queue_work(t->wq, &g->io);
}

/* Return: 0, -EAGAIN when nobody waits, errors of accept. */
static int accept_one(struct fclock_transport *t)
{
	struct fclock_socket s = { .wq = t->wq, .io = &t->accept.work };
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
						  accept.work);
	unsigned int noio = memalloc_noio_save();
	unsigned int budget = ACCEPT_BUDGET;
	int r = 0;

	/* Who was gone before it was accepted costs the others no pause. */
	while (READ_ONCE(t->running) && (!r || r == -ECONNABORTED) && budget--)
		r = accept_one(t);
	/*
	 * Out of memory or files: it waits in the backlog. Not here, as the links may
	 * have no other worker; while the timer is pending new connections queue nothing.
	 */
	if (READ_ONCE(t->running) && r != -EAGAIN)
		mod_delayed_work(t->wq, &t->accept, !r || r == -ECONNABORTED ?
				   0 : msecs_to_jiffies(ACCEPT_PAUSE_MS));

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
