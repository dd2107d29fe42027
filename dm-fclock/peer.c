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
	if (p->auth)
		fclock_auth_end(p->auth);
	p->state = PEER_IDLE;
	p->keyless = false;
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

int __fclock_peer_distrust(struct fclock_peer *p, enum fclock_trace_link what,
			   const char *why)
{
	struct fclock_transport *t = p->t;

	lockdep_assert_held(&p->mutex);

	atomic64_inc(&t->auth_failures);
	trace_fclock_link(t->node, p->node, what, 0);
	if (!p->distrusted)
		DMWARN_LIMIT("node %u refuses node %u: %s", t->node, p->node,
			     why);
	p->distrusted = true;
	/* as good as a complaint about the connection */
	p->complained = true;

	return -EKEYREJECTED;
}

static const char *what_failed(const struct fclock_peer *p, int error)
{
	if (p->state < PEER_GREETING)
		return "cannot connect";
	/* who cannot check this node's proof says nothing more */
	if (p->state == PEER_GREETING && p->auth &&
	    (error == -EPIPE || error == -ECONNRESET))
		return "it closed the connection at this node's HELLO: has it another key?";
	if (p->state == PEER_OPEN && error == -EBADMSG)
		return "connection lost: a frame with a wrong tag";
	return "connection lost";
}

/* Of the header that was just read; 0: this node's. */
static u8 other_version(const struct fclock_peer *p)
{
	const struct fclock_wire_header *header = p->rx_frame;

	return header->version == FCLOCK_WIRE_VERSION ? 0 : header->version;
}

static void __complain(struct fclock_peer *p, int error)
{
	lockdep_assert_held(&p->mutex);

	if (error == -EPROTONOSUPPORT && other_version(p))
		DMWARN_LIMIT("node %u: it speaks version %u of the protocol and this node version %u",
			     p->node, other_version(p), FCLOCK_WIRE_VERSION);
	else
		DMWARN_LIMIT("node %u: %s: %pe", p->node,
			     what_failed(p, error), ERR_PTR(error));
}

static void __end_connection(struct fclock_peer *p, int error)
{
	struct fclock_transport *t = p->t;
	bool known = p->state >= PEER_GREETING;

	lockdep_assert_held(&p->mutex);

	if (p->state == PEER_OPEN || !p->complained)
		__complain(p, error);
	p->complained = true;
	/* who comes next after one that was believed is worth a line again */
	if (p->state == PEER_OPEN)
		p->distrusted = false;
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
				  true);
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
	int r = fclock_socket_connected(&p->s);

	lockdep_assert_held(&p->mutex);

	if (!r)
		return;
	if (r < 0) {
		__end_connection(p, r);
		return;
	}
	p->state = PEER_AWAITING;
	p->deadline = jiffies + msecs_to_jiffies(GREETING_MS);
}

/*
 * CHALLENGE comes first, WELCOME second where this node has connected, and neither
 * again; HELLO was taken by a guest's work.
 */
static bool __expected_type(const struct fclock_peer *p)
{
	u8 type = p->rx_msg.type;

	lockdep_assert_held(&p->mutex);

	switch (p->state) {
	case PEER_AWAITING:
		return type == FCLOCK_CHALLENGE;
	case PEER_GREETING:
		return type == FCLOCK_WELCOME;
	default:
		return type != FCLOCK_CHALLENGE && type != FCLOCK_HELLO &&
		       type != FCLOCK_WELCOME;
	}
}

/*
 * Who accepted the connection spoke first, in another version. It hears the header of this
 * node's HELLO, so that its log can name the versions, too.
 */
static void __tell_version(struct fclock_peer *p)
{
	const struct fclock_msg msg = {
		.type = FCLOCK_HELLO,
		.length = sizeof(struct fclock_wire_hello),
	};

	lockdep_assert_held(&p->mutex);

	fclock_wire_encode_header(p->tx, &msg);
	fclock_socket_send(&p->s, p->tx, HEADER_SIZE, false);
}

static int __read_header(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_socket_recv(&p->s, p->rx_frame + p->rx_got,
			       HEADER_SIZE - p->rx_got);
	if (r <= 0)
		return r;
	p->rx_got += r;
	if (p->rx_got < HEADER_SIZE)
		return 1;

	r = fclock_wire_decode_header(p->rx_frame, &p->rx_msg);
	if (r == -EPROTONOSUPPORT && p->state == PEER_AWAITING)
		__tell_version(p);
	if (r)
		return r;
	if (p->rx_msg.length > FCLOCK_MD_BLOCK_SIZE)
		return -EMSGSIZE;

	return __expected_type(p) ? 1 : -EPROTO;
}

static int __read_payload(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_socket_recv(&p->s, p->rx_frame + p->rx_got,
			       HEADER_SIZE + p->rx_msg.length - p->rx_got);
	if (r > 0)
		p->rx_got += r;

	return r;
}

/*
 * Who accepted the connection says whether there is a key. Where only one side has one
 * HELLO goes all the same, without a proof: by it the other side can name this node.
 */
static int __take_challenge(struct fclock_peer *p)
{
	const struct fclock_wire_challenge *c = p->rx_frame + HEADER_SIZE;
	struct fclock_transport *t = p->t;
	bool keyed = le16_to_cpu(c->flags) & FCLOCK_HELLO_KEY;
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_wire_check_payload(&p->rx_msg, c, 0);
	if (r)
		return r;
	if (c->node_id != p->node)
		return -EREMCHG;

	p->keyless = keyed != !!p->auth;
	if (p->keyless)
		__fclock_peer_distrust(p, FCLOCK_TK_KEYLESS, keyed ?
				       "it demands a key and this node has none" :
				       "it has no key");
	else if (p->auth)
		memcpy(fclock_auth_greeting(p->auth)->challenge, p->rx_frame,
		       FCLOCK_CHALLENGE_FRAME);
	p->state = PEER_GREETING;
	t->ops->opened(t->ctx, p->node);

	return 1;
}

/* WELCOME's proof; what stands in it for the key is not the core's. */
static int __check_welcome(struct fclock_peer *p)
{
	struct fclock_wire_hello *welcome = p->rx_frame + HEADER_SIZE;
	const struct fclock_greeting *g = fclock_auth_greeting(p->auth);
	int r;

	lockdep_assert_held(&p->mutex);

	r = fclock_auth_check_welcome(fclock_auth_key(p->auth), g, p->rx_frame);
	if (r == -EKEYREJECTED)
		return __fclock_peer_distrust(p, FCLOCK_TK_FORGED,
					      "its WELCOME does not prove that it has the same key");
	if (!r)
		r = fclock_auth_begin(p->auth, FCLOCK_AUTH_CONNECTOR,
				      p->rx_frame);
	welcome->flags &= ~cpu_to_le16(FCLOCK_HELLO_KEY);
	memset(welcome->nonce, 0, sizeof(welcome->nonce));

	return r;
}

/* Return: 0: the frame is what the node said, and what comes next. */
static int __authenticate(struct fclock_peer *p)
{
	int r;

	lockdep_assert_held(&p->mutex);

	if (p->keyless)
		return -EKEYREJECTED;
	if (!p->auth)
		return 0;
	if (p->state == PEER_GREETING)
		return __check_welcome(p);
	r = fclock_auth_open(p->auth, p->rx_frame,
			     HEADER_SIZE + p->rx_msg.length);
	if (r == -EBADMSG) {
		atomic64_inc(&p->t->auth_failures);
		trace_fclock_link(p->t->node, p->node, FCLOCK_TK_FORGED, 0);
	}

	return r;
}

static int __deliver(struct fclock_peer *p)
{
	const void *payload = p->rx_frame + HEADER_SIZE;
	struct fclock_transport *t = p->t;
	int r;

	lockdep_assert_held(&p->mutex);

	p->rx_got = 0;
	if (p->state == PEER_AWAITING)
		return __take_challenge(p);
	r = __authenticate(p);
	if (r)
		return r;

	fclock_delay(FCLOCK_DELAY_RECEIVE);
	if (fclock_fault(FCLOCK_FAULT_RECEIVE))
		return -ECONNRESET;

	r = fclock_wire_check_payload(&p->rx_msg, payload,
				      t->ops->grains(t->ctx));
	if (!r)
		r = t->ops->receive(t->ctx, p->node, &p->rx_msg, payload);
	if (!r && fclock_fault(FCLOCK_FAULT_DUPLICATE))
		r = t->ops->receive(t->ctx, p->node, &p->rx_msg, payload);
	if (r)
		return r;

	if (p->state == PEER_GREETING) {
		p->state = PEER_OPEN;
		p->backoff = BACKOFF_MIN_MS;
		p->complained = false;
		p->distrusted = false;
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

/* Of the core's frame at @frame, as it is to be sent. */
static int __sign(struct fclock_peer *p, void *frame, unsigned int len)
{
	const struct fclock_wire_header *header = frame;
	struct fclock_greeting *g;
	int r;

	lockdep_assert_held(&p->mutex);

	if (!p->auth)
		return 0;
	g = fclock_auth_greeting(p->auth);
	switch (header->type) {
	case FCLOCK_HELLO:
		if (p->keyless) {
			fclock_auth_demand_key(frame);
			return 0;
		}
		memcpy(g->hello, frame, sizeof(g->hello));
		r = fclock_auth_sign_hello(fclock_auth_key(p->auth), g);
		memcpy(frame, g->hello, sizeof(g->hello));
		return r;
	case FCLOCK_WELCOME:
		return fclock_auth_sign_welcome(fclock_auth_key(p->auth), g,
						frame) ?:
			fclock_auth_begin(p->auth, FCLOCK_AUTH_ACCEPTOR, frame);
	default:
		return fclock_auth_seal(p->auth, frame, len);
	}
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

	/* A frame is made where it is aligned: behind one of odd length none is. */
	while (TX_SIZE - p->tx_len >= FCLOCK_FRAME_MAX &&
	       IS_ALIGNED(p->tx_len, sizeof(u64))) {
		len = t->ops->next_frame(t->ctx, p->node, p->tx + p->tx_len);
		if (len <= 0) {
			p->tx_more = false;
			return;
		}
		if (WARN_ON_ONCE(len > FCLOCK_FRAME_MAX)) {
			p->tx_error = -EMSGSIZE;
			return;
		}
		p->tx_error = __sign(p, p->tx + p->tx_len, len);
		if (p->tx_error)
			return;
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
		if (!out && p->state >= PEER_GREETING) {
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
	case PEER_AWAITING:
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
	if (p->state >= PEER_AWAITING) {
		r = __move_frames(p);
		if (r < 0)
			__end_connection(p, r);
		else if (r > 0)
			queue_work(p->t->wq, &p->io);
	}
	if (p->state != PEER_IDLE && p->state != PEER_OPEN &&
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
	fclock_auth_destroy(p->auth);
	kfree(p->rx_frame);
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
	p->rx_frame = kmalloc(FCLOCK_FRAME_MAX, GFP_KERNEL);
	p->tx = kmalloc(TX_SIZE, GFP_KERNEL);
	if (!p->rx_frame || !p->tx) {
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

void fclock_peer_new_key(struct fclock_peer *p)
{
	mutex_lock(&p->mutex);
	swap(p->auth, p->staged);
	p->distrusted = false;
	p->backoff = BACKOFF_MIN_MS;
	p->next_connect = jiffies;
	/* at once: nothing more of the old key is sent or taken */
	set_bit(PEER_DROP, &p->flags);
	if (READ_ONCE(p->t->running))
		queue_work(p->t->wq, &p->io);
	mutex_unlock(&p->mutex);

	fclock_auth_destroy(p->staged);
	p->staged = NULL;
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
