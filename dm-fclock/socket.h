/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One kernel TCP socket whose events queue one work item.
 */
#ifndef FCLOCK_SOCKET_H
#define FCLOCK_SOCKET_H

#include <linux/net.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include "transport.h"

/**
 * struct fclock_socket - embedded in whoever works on the socket
 * @sock: NULL while there is none; changes under the embedding object's lock
 * @wq: where @io is queued, set once
 * @io: queued at every event; a callback may be called for nothing
 * @data_ready: of the socket before it was ours
 * @state_change: likewise
 * @write_space: likewise
 *
 * While @sock is set, sk_user_data points here, protected by sk_callback_lock. After
 * fclock_socket_close() or _move() no callback uses this object any more, but @io may
 * still be queued: its owner cancels it.
 */
struct fclock_socket {
	struct socket *sock;
	struct workqueue_struct *wq;
	struct work_struct *io;
	void (*data_ready)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	void (*write_space)(struct sock *sk);
};

/* All of them: process context, may sleep, the owner's lock held. */

/*
 * A listening socket at @addr; @s->io is queued for every connection that can be
 * accepted. Return: 0 or as bind(2), listen(2).
 */
int fclock_socket_listen(struct fclock_socket *s, struct net *net,
			 const struct fclock_addr *addr);
/*
 * Begin to connect from @from (its port is not used) to @to; with @reserved from a
 * port below 1024. Return: 0: @s->io will be queued when it is decided.
 */
int fclock_socket_connect(struct fclock_socket *s, struct net *net,
			  const struct fclock_addr *from,
			  const struct fclock_addr *to, bool reserved);
/* Return: 1 connected, 0 not yet, or why not. */
int fclock_socket_connected(struct fclock_socket *s);
/*
 * Next connection of @listener into @s, and where it comes from.
 * Return: 0, -EAGAIN: none; else errors of accept(2).
 */
int fclock_socket_accept(struct fclock_socket *s,
			 const struct fclock_socket *listener,
			 struct fclock_addr *from);
/* The socket of @from becomes @to's. @to has none. */
void fclock_socket_move(struct fclock_socket *to, struct fclock_socket *from);
/* Stop the events only. */
void fclock_socket_mute(struct fclock_socket *s);
/* Reset the connection; nothing lingers in the namespace. No socket: no effect. */
void fclock_socket_close(struct fclock_socket *s);

/* Never sleep long. Return: bytes, 0: would block, or an error; end of file is -EPIPE. */
int fclock_socket_recv(struct fclock_socket *s, void *buf, size_t len);
int fclock_socket_send(struct fclock_socket *s, const void *buf, size_t len,
		       bool more);
/* What was sent with @more goes out now. */
void fclock_socket_push(struct fclock_socket *s);
/* Sent, and not yet acknowledged by the other side's TCP. */
bool fclock_socket_unacked(struct fclock_socket *s);
/* No more to send; the other side reads what was sent, then end of file. */
void fclock_socket_finish(struct fclock_socket *s);

/* Same family and host, whatever the port. */
bool fclock_addr_same_host(const struct fclock_addr *a,
			   const struct fclock_addr *b);
u16 fclock_addr_port(const struct fclock_addr *a);

#endif
