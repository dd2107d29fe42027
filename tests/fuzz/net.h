/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The network between the transports of one program: what socket.c does with TCP, done
 * with bytes that somebody in between holds in his hands.
 */
#ifndef FCLOCK_FUZZ_NET_H
#define FCLOCK_FUZZ_NET_H

#include <linux/bug.h>
#include "socket.h"

#define net_check(cond)	BUG_ON(!(cond))

#define NET_CONNS	24
#define NET_BYTES	65536
#define NET_HOST	0x0a000000	/* node n is 10.0.0.n */
#define NET_PORT	7788

/* Of what one end has sent. */
struct net_pipe {
	unsigned int sent;	/* bytes that it gave to send() */
	unsigned int carried;	/* of those, bytes that the one in between has taken */
	unsigned int come;	/* bytes for the other end */
	unsigned int read;
	u8 *out, *in;		/* NET_BYTES each: as sent, as they come */
};

struct socket {
	struct net_conn *conn;	/* NULL: listens */
	unsigned int end;	/* 0: who connected */
	unsigned int node;	/* listens there */
	struct fclock_socket *owner;
	struct socket *next;	/* of the listener: to be accepted */
};

struct net_conn {
	bool used;
	unsigned int from, to;	/* nodes */
	bool stranger;		/* end 0 is the one in between himself */
	u16 port;		/* of end 0 */
	struct socket sock[2];
	bool open[2];		/* the end has it */
	bool reset, finished[2];
	struct net_pipe pipe[2];	/* by who sends */
};

extern struct net_conn net_conn[NET_CONNS];
/* When a node connected last, by its id and the peer's. */
extern unsigned long net_connected[64][64];
/* Called before each: to judge how often. */
extern void (*net_connect_hook)(unsigned int from, unsigned int to);

struct fclock_addr net_addr(unsigned int node, u16 port);
void net_init(void);
/* All that is left is closed and freed. */
void net_exit(void);
/* A connection of the one in between, from @from's address; NULL: nobody listens. */
struct net_conn *net_stranger(unsigned int from, u16 port, unsigned int to);
/* Bytes for end @end, as if the other one had sent them. */
void net_inject(struct net_conn *c, unsigned int end, const void *buf,
		unsigned int len);
/* Takes up to @len bytes that end @end has sent, and passes them on if told so. */
unsigned int net_carry(struct net_conn *c, unsigned int end, unsigned int len,
		       bool pass);
/* Both ends see a reset. */
void net_cut(struct net_conn *c);

#endif
