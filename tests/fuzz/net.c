// SPDX-License-Identifier: GPL-2.0-only
/* The network between the transports of one program. */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include "net.h"

struct net_conn net_conn[NET_CONNS];
unsigned long net_connected[64][64];
void (*net_connect_hook)(unsigned int from, unsigned int to);
static struct socket *listener[64];

/* ---- Addresses ---- */

struct fclock_addr net_addr(unsigned int node, u16 port)
{
	struct fclock_addr a;

	memset(&a, 0, sizeof(a));
	a.in4.sin_family = AF_INET;
	a.in4.sin_addr.s_addr = htonl(NET_HOST + node);
	a.in4.sin_port = htons(port);
	return a;
}

static unsigned int node_at(const struct fclock_addr *a)
{
	return ntohl(a->in4.sin_addr.s_addr) - NET_HOST;
}

u16 fclock_addr_port(const struct fclock_addr *a)
{
	return ntohs(a->in4.sin_port);
}

bool fclock_addr_same_host(const struct fclock_addr *a,
			   const struct fclock_addr *b)
{
	return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
}

/* ---- Connections ---- */

static void event(struct socket *sock)
{
	if (sock->owner)
		queue_work(sock->owner->wq, sock->owner->io);
}

static void free_conn(struct net_conn *c)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		free(c->pipe[i].out);
		free(c->pipe[i].in);
	}
	memset(c, 0, sizeof(*c));
}

/* Buffers of which all has gone through begin anew. */
static void rewind_pipe(struct net_pipe *p)
{
	if (p->carried == p->sent)
		p->carried = p->sent = 0;
	if (p->read == p->come)
		p->read = p->come = 0;
}

static struct net_conn *new_conn(unsigned int from, u16 port, unsigned int to)
{
	struct net_conn *c;
	struct socket **at;
	unsigned int i;

	if (to >= 64 || !listener[to])
		return NULL;
	for (c = net_conn; c < net_conn + NET_CONNS && c->used; c++)
		;
	if (c == net_conn + NET_CONNS)
		return NULL;
	c->used = true;
	c->from = from;
	c->to = to;
	c->port = port;
	for (i = 0; i < 2; i++) {
		c->sock[i].conn = c;
		c->sock[i].end = i;
		c->open[i] = true;
		c->pipe[i].out = malloc(NET_BYTES);
		c->pipe[i].in = malloc(NET_BYTES);
		net_check(c->pipe[i].out && c->pipe[i].in);
	}
	for (at = &listener[to]->next; *at; at = &(*at)->next)
		;
	*at = &c->sock[1];
	event(listener[to]);
	return c;
}

static void drop_end(struct net_conn *c, unsigned int end)
{
	c->open[end] = false;
	c->sock[end].owner = NULL;
	c->reset = true;
	if (!c->open[0] && !c->open[1])
		free_conn(c);
	else
		event(&c->sock[!end]);
}

struct net_conn *net_stranger(unsigned int from, u16 port, unsigned int to)
{
	struct net_conn *c = new_conn(from, port, to);

	if (c)
		c->stranger = true;
	return c;
}

void net_inject(struct net_conn *c, unsigned int end, const void *buf,
		unsigned int len)
{
	struct net_pipe *p = &c->pipe[!end];

	rewind_pipe(p);
	if (len > NET_BYTES - p->come)
		len = NET_BYTES - p->come;
	memcpy(p->in + p->come, buf, len);
	p->come += len;
	event(&c->sock[end]);
}

unsigned int net_carry(struct net_conn *c, unsigned int end, unsigned int len,
		       bool pass)
{
	struct net_pipe *p = &c->pipe[end];
	unsigned int at = p->carried;

	if (len > p->sent - at)
		len = p->sent - at;
	p->carried += len;
	if (pass && len)
		net_inject(c, !end, p->out + at, len);
	event(&c->sock[end]);
	return len;
}

void net_cut(struct net_conn *c)
{
	c->reset = true;
	event(&c->sock[0]);
	event(&c->sock[1]);
	if (c->stranger)
		drop_end(c, 0);
}

void net_init(void)
{
	memset(net_connected, 0, sizeof(net_connected));
}

void net_exit(void)
{
	struct net_conn *c;

	for (c = net_conn; c < net_conn + NET_CONNS; c++) {
		if (!c->used)
			continue;
		net_check(!c->sock[0].owner && !c->sock[1].owner);
		free_conn(c);
	}
}

/* ---- What transport.c, peer.c and guest.c call ---- */

int fclock_socket_listen(struct fclock_socket *s, struct net *net,
			 const struct fclock_addr *addr)
{
	struct socket *sock = calloc(1, sizeof(*sock));

	(void)net;
	sock->node = node_at(addr);
	net_check(!listener[sock->node]);
	sock->owner = s;
	s->sock = sock;
	listener[sock->node] = sock;
	return 0;
}

int fclock_socket_connect(struct fclock_socket *s, struct net *net,
			  const struct fclock_addr *from,
			  const struct fclock_addr *to, bool reserved)
{
	unsigned int me = node_at(from), peer = node_at(to);
	struct net_conn *c;

	(void)net, (void)reserved;
	net_connect_hook(me, peer);
	net_connected[me][peer] = jiffies;
	c = new_conn(me, 900 + me, peer);
	if (!c)
		return -ECONNREFUSED;
	c->sock[0].owner = s;
	s->sock = &c->sock[0];
	queue_work(s->wq, s->io);
	return 0;
}

int fclock_socket_connected(struct fclock_socket *s)
{
	return s->sock->conn->reset ? -ECONNREFUSED : 1;
}

int fclock_socket_accept(struct fclock_socket *s,
			 const struct fclock_socket *l,
			 struct fclock_addr *from)
{
	struct socket *sock = l->sock->next;

	if (!sock)
		return -EAGAIN;
	l->sock->next = sock->next;
	sock->next = NULL;
	if (sock->conn->reset && !sock->conn->pipe[0].come) {
		drop_end(sock->conn, 1);
		return -ECONNABORTED;
	}
	*from = net_addr(sock->conn->from, sock->conn->port);
	sock->owner = s;
	s->sock = sock;
	return 0;
}

void fclock_socket_move(struct fclock_socket *to, struct fclock_socket *from)
{
	net_check(from->sock && !to->sock);
	to->sock = from->sock;
	to->sock->owner = to;
	from->sock = NULL;
}

void fclock_socket_mute(struct fclock_socket *s)
{
	if (s->sock)
		s->sock->owner = NULL;
}

static void close_listener(struct socket *sock)
{
	struct socket *waiting;

	while ((waiting = sock->next)) {
		sock->next = waiting->next;
		waiting->next = NULL;
		drop_end(waiting->conn, 1);
	}
	listener[sock->node] = NULL;
	free(sock);
}

void fclock_socket_close(struct fclock_socket *s)
{
	struct socket *sock = s->sock;

	if (!sock)
		return;
	s->sock = NULL;
	sock->owner = NULL;
	if (sock->conn)
		drop_end(sock->conn, sock->end);
	else
		close_listener(sock);
}

int fclock_socket_recv(struct fclock_socket *s, void *buf, size_t len)
{
	struct net_conn *c = s->sock->conn;
	struct net_pipe *p = &c->pipe[!s->sock->end];
	unsigned int n = p->come - p->read;

	if (!n)
		return c->reset ? -ECONNRESET :
			c->finished[!s->sock->end] ? -EPIPE : 0;
	if (n > len)
		n = len;
	memcpy(buf, p->in + p->read, n);
	p->read += n;
	return n;
}

int fclock_socket_send(struct fclock_socket *s, const void *buf, size_t len,
		       bool more)
{
	struct net_conn *c = s->sock->conn;
	struct net_pipe *p = &c->pipe[s->sock->end];

	(void)more;
	if (c->reset)
		return -EPIPE;
	rewind_pipe(p);
	if (len > NET_BYTES - p->sent)
		len = NET_BYTES - p->sent;
	memcpy(p->out + p->sent, buf, len);
	p->sent += len;
	return len;
}

void fclock_socket_push(struct fclock_socket *s)
{
	(void)s;
}

bool fclock_socket_unacked(struct fclock_socket *s)
{
	struct net_pipe *p = &s->sock->conn->pipe[s->sock->end];

	return p->carried != p->sent;
}

void fclock_socket_finish(struct fclock_socket *s)
{
	struct net_conn *c = s->sock->conn;

	c->finished[s->sock->end] = true;
	event(&c->sock[!s->sock->end]);
}
