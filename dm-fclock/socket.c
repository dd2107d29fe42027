// SPDX-License-Identifier: GPL-2.0-only
/*
 * One kernel TCP socket whose events queue one work item.
 *
 * The volume may be under swap or the page cache, so a connection allocates
 * with GFP_NOIO and may use the memory reserves. A socket does not hold its
 * network namespace: the transport does, and closing resets the connection, so
 * that no timer of it is left when the namespace goes.
 */
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/tcp.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat.h"
#include "socket.h"

/* Unacknowledged data breaks the connection after this time. */
#define USER_TIMEOUT_MS 10000
#define BACKLOG 64
/* Ports that only the kernel and root may use; below 512 are well-known ones. */
#define RESERVED_FIRST 512
#define RESERVED_PORTS 512
#define RESERVED_TRIES 64

/* ---- Addresses ---- */

static int addr_len(const struct fclock_addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in4);
}

u16 fclock_addr_port(const struct fclock_addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port :
						   a->in4.sin_port);
}

static void set_port(struct fclock_addr *a, u16 port)
{
	if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
	else
		a->in4.sin_port = htons(port);
}

bool fclock_addr_same_host(const struct fclock_addr *a,
			   const struct fclock_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;

	return ipv6_addr_equal(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

/* ---- Callbacks: softirq or process context, the socket's spinlock held ---- */

static void queue_io(struct sock *sk)
{
	struct fclock_socket *s;

	read_lock_bh(&sk->sk_callback_lock);
	s = sk->sk_user_data;
	if (s)
		queue_work(s->wq, s->io);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void on_data_ready(struct sock *sk)
{
	queue_io(sk);
}

static void on_state_change(struct sock *sk)
{
	queue_io(sk);
}

static void on_write_space(struct sock *sk)
{
	struct fclock_socket *s;

	read_lock_bh(&sk->sk_callback_lock);
	s = sk->sk_user_data;
	if (s && sk_stream_is_writeable(sk)) {
		clear_bit(SOCK_NOSPACE, &s->sock->flags);
		queue_work(s->wq, s->io);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/*
 * A connection inherits this and sk_user_data from its listener, and data may come
 * before it is accepted: that is not the listener's event.
 */
static void on_listen_ready(struct sock *sk)
{
	if (sk->sk_state == TCP_LISTEN)
		queue_io(sk);
}

static void save_callbacks(struct fclock_socket *s, const struct sock *sk)
{
	s->data_ready = sk->sk_data_ready;
	s->state_change = sk->sk_state_change;
	s->write_space = sk->sk_write_space;
}

static void copy_callbacks(struct fclock_socket *to,
			   const struct fclock_socket *from)
{
	to->data_ready = from->data_ready;
	to->state_change = from->state_change;
	to->write_space = from->write_space;
}

/* @s->data_ready and so on are what fclock_socket_mute() will restore. */
static void attach(struct fclock_socket *s, struct socket *sock)
{
	struct sock *sk = sock->sk;

	s->sock = sock;
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = s;
	sk->sk_data_ready = on_data_ready;
	sk->sk_state_change = on_state_change;
	sk->sk_write_space = on_write_space;
	write_unlock_bh(&sk->sk_callback_lock);
}

void fclock_socket_mute(struct fclock_socket *s)
{
	struct sock *sk;

	if (!s->sock)
		return;

	sk = s->sock->sk;
	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_user_data == s) {
		sk->sk_user_data = NULL;
		sk->sk_data_ready = s->data_ready;
		sk->sk_state_change = s->state_change;
		sk->sk_write_space = s->write_space;
	}
	write_unlock_bh(&sk->sk_callback_lock);
}

void fclock_socket_move(struct fclock_socket *to, struct fclock_socket *from)
{
	struct socket *sock = from->sock;

	copy_callbacks(to, from);
	attach(to, sock);
	from->sock = NULL;
}

/* ---- Opening and closing ---- */

static void set_options(struct sock *sk)
{
	lock_sock(sk);
	sk->sk_allocation = GFP_NOIO;
#ifdef FCLOCK_HAVE_SK_USE_TASK_FRAG
	sk->sk_use_task_frag = false;
#endif
	sk_set_memalloc(sk);
	release_sock(sk);
	sock_no_linger(sk);
	tcp_sock_set_nodelay(sk);
	tcp_sock_set_user_timeout(sk, USER_TIMEOUT_MS);
}

static void release(struct socket *sock)
{
	lock_sock(sock->sk);
	sk_clear_memalloc(sock->sk);
	release_sock(sock->sk);
	sock_release(sock);
}

/*
 * Here and in accept the reserves are right: the memory that reclaim waits for may be freed only
 * by a write that waits for this connection, and all connections have one rescuer. What
 * strangers can have of it is a few sockets.
 */
static int make_socket(struct net *net, const struct fclock_addr *local,
		       struct socket **sock)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	int family = local->sa.sa_family;
	int r;

	r = sock_create_kern(net, family, SOCK_STREAM, IPPROTO_TCP, sock);
	memalloc_noreclaim_restore(noreclaim);
	if (r)
		return r;

	set_options((*sock)->sk);
	sock_set_reuseaddr((*sock)->sk);
	if (family == AF_INET6)
		ip6_sock_set_v6only((*sock)->sk);

	return 0;
}

static int bind_to(struct socket *sock, const struct fclock_addr *addr)
{
	/* The type of the second argument depends on the kernel. */
	return kernel_bind(sock, (void *)addr, addr_len(addr));
}

static int bind_from(struct socket *sock, const struct fclock_addr *from,
		     bool reserved)
{
	struct fclock_addr addr = *from;
	unsigned int i, start = get_random_u32() % RESERVED_PORTS;
	int r = -EADDRINUSE;

	if (!reserved) {
		set_port(&addr, 0);
		return bind_to(sock, &addr);
	}

	for (i = 0; i < RESERVED_TRIES && r == -EADDRINUSE; i++) {
		set_port(&addr, RESERVED_FIRST + (start + i) % RESERVED_PORTS);
		r = bind_to(sock, &addr);
	}

	return r;
}

int fclock_socket_listen(struct fclock_socket *s, struct net *net,
			 const struct fclock_addr *addr)
{
	struct socket *sock;
	struct sock *sk;
	int r;

	r = make_socket(net, addr, &sock);
	if (r)
		return r;
	r = bind_to(sock, addr);
	if (r) {
		release(sock);
		return r;
	}

	sk = sock->sk;
	save_callbacks(s, sk);
	s->sock = sock;
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = s;
	sk->sk_data_ready = on_listen_ready;
	write_unlock_bh(&sk->sk_callback_lock);

	r = kernel_listen(sock, BACKLOG);
	if (r)
		fclock_socket_close(s);

	return r;
}

int fclock_socket_connect(struct fclock_socket *s, struct net *net,
			  const struct fclock_addr *from,
			  const struct fclock_addr *to, bool reserved)
{
	struct socket *sock;
	int r;

	r = make_socket(net, from, &sock);
	if (r)
		return r;
	r = bind_from(sock, from, reserved);
	if (r) {
		release(sock);
		return r;
	}

	save_callbacks(s, sock->sk);
	attach(s, sock);
	r = kernel_connect(sock, (void *)to, addr_len(to), O_NONBLOCK);
	if (!r)
		queue_work(s->wq, s->io);
	else if (r != -EINPROGRESS)
		fclock_socket_close(s);

	return r == -EINPROGRESS ? 0 : r;
}

int fclock_socket_connected(struct fclock_socket *s)
{
	struct sock *sk = s->sock->sk;
	int r;

	switch (READ_ONCE(sk->sk_state)) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return 0;
	case TCP_CLOSE:
		r = sock_error(sk);
		return r ? r : -ECONNREFUSED;
	default:
		return 1;
	}
}

int fclock_socket_accept(struct fclock_socket *s,
			 const struct fclock_socket *listener,
			 struct fclock_addr *from)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct socket *sock;
	int r;

	r = kernel_accept(listener->sock, &sock, O_NONBLOCK);
	memalloc_noreclaim_restore(noreclaim);
	if (r)
		return r;

	/* Its own callbacks are the listener's; those before are restored. */
	set_options(sock->sk);
	copy_callbacks(s, listener);
	attach(s, sock);

	memset(from, 0, sizeof(*from));
	r = kernel_getpeername(sock, (void *)from);
	if (r < 0) {
		fclock_socket_close(s);
		return -ECONNABORTED;
	}

	return 0;
}

void fclock_socket_close(struct fclock_socket *s)
{
	struct socket *sock = s->sock;

	if (!sock)
		return;

	fclock_socket_mute(s);
	s->sock = NULL;
	release(sock);
}

/* ---- Moving bytes ---- */

int fclock_socket_recv(struct fclock_socket *s, void *buf, size_t len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec iov = { .iov_base = buf, .iov_len = len };
	int r;

	r = kernel_recvmsg(s->sock, &msg, &iov, 1, len, msg.msg_flags);
	if (r == -EAGAIN)
		return 0;

	return r ? r : -EPIPE;
}

int fclock_socket_send(struct fclock_socket *s, const void *buf, size_t len,
		       bool more)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec iov = { .iov_base = (void *)buf, .iov_len = len };
	unsigned int noreclaim;
	int r;

	if (more)
		msg.msg_flags |= MSG_MORE;
	noreclaim = memalloc_noreclaim_save();
	r = kernel_sendmsg(s->sock, &msg, &iov, 1, len);
	memalloc_noreclaim_restore(noreclaim);

	return r == -EAGAIN ? 0 : r;
}

void fclock_socket_push(struct fclock_socket *s)
{
	/* Also sends what is held back: see tcp(7), TCP_NODELAY. */
	tcp_sock_set_nodelay(s->sock->sk);
}

bool fclock_socket_unacked(struct fclock_socket *s)
{
	const struct tcp_sock *tp = tcp_sk(s->sock->sk);

	return READ_ONCE(tp->write_seq) != READ_ONCE(tp->snd_una);
}

void fclock_socket_finish(struct fclock_socket *s)
{
	kernel_sock_shutdown(s->sock, SHUT_WR);
}
