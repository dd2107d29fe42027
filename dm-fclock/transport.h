/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel TCP between the nodes of a volume: listening, connecting (the higher node id
 * connects), framing, authentication, reconnecting with backoff. It moves frames between
 * sockets and the core and knows nothing of what they mean, except HELLO's place.
 */
#ifndef FCLOCK_TRANSPORT_H
#define FCLOCK_TRANSPORT_H

#include <linux/socket.h>
#include <linux/types.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <net/net_namespace.h>
#include "wire.h"

struct fclock_key;
struct fclock_transport;

struct fclock_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_storage ss;
	};
};

/**
 * struct fclock_transport_ops - what the transport calls
 *
 * @opened: an outgoing connection to @node is established and was told its CHALLENGE: the
 *	core queues HELLO
 * @hello: an accepted socket delivered its HELLO frame (FCLOCK_HELLO_FRAME bytes; header
 *	decoded and payload checked by the transport). Before the call the transport has
 *	verified the sender's address against peer @node (the node id in the payload) and
 *	its port or its proof; with a key @hello's flag and nonce are cleared. Returns 0:
 *	the connection is @node's now and WELCOME is queued; else -errno: the transport sends
 *	@refusal (a whole WELCOME frame, FCLOCK_HELLO_FRAME bytes, written by the callee) if
 *	*@refusal_len != 0, and closes. When 0 is returned while an older connection of the
 *	node is open, the transport drops that one silently (no @lost)
 * @receive: a whole checked frame from @node on its current connection; the first one on
 *	a connection that was @opened is WELCOME, and no other is. -errno: the transport
 *	drops the connection (and calls @lost)
 * @next_frame: fill @buf (FCLOCK_FRAME_MAX bytes) with the next frame for @node; returns
 *	its length, 0: nothing to send
 * @lost: the connection of @node, told by @opened or a @hello that returned 0, is gone
 * @grains: of the volume, for fclock_wire_check_payload(); 0: not known yet
 *
 * All may take spinlocks, none sleeps. All are called in process context; those of one
 * node, @hello too, one at a time.
 */
struct fclock_transport_ops {
	void (*opened)(void *ctx, unsigned int node);
	int (*hello)(void *ctx, unsigned int node, const struct fclock_msg *msg,
		     const struct fclock_wire_hello *hello, void *refusal,
		     size_t *refusal_len);
	int (*receive)(void *ctx, unsigned int node,
		       const struct fclock_msg *msg, const void *payload);
	int (*next_frame)(void *ctx, unsigned int node, void *buf);
	void (*lost)(void *ctx, unsigned int node);
	u64 (*grains)(void *ctx);
};

struct fclock_peer_addr {
	unsigned int node;
	struct fclock_addr addr;
};

/**
 * fclock_transport_create - prepare to speak with the peers
 * @net: sockets are made in it (a reference is taken)
 * @node: own id
 * @listen: own address
 * @peers: configured peers
 * @nr_peers: how many
 * @key: peers must prove that they have it (a reference is taken); NULL: peers must
 *	have none and come from a port below 1024
 * @ops: what to call
 * @ctx: their first argument
 *
 * Nothing listens or connects before fclock_transport_start().
 *
 * Context: may sleep, constructor.
 * Return: the transport or ERR_PTR: -EINVAL for an impossible node id, -EAFNOSUPPORT when
 * a peer's address is of another family than @listen, -ENOMEM.
 */
struct fclock_transport *
fclock_transport_create(struct net *net, unsigned int node,
			const struct fclock_addr *listen,
			const struct fclock_peer_addr *peers,
			unsigned int nr_peers, struct fclock_key *key,
			const struct fclock_transport_ops *ops, void *ctx);
/* Bind, listen and begin to connect. May sleep. Return: -EADDRINUSE and friends. */
int fclock_transport_start(struct fclock_transport *t);
/*
 * Close everything, wait for all callbacks to end. Connections end without @lost. May
 * sleep, not from an op. start may follow.
 */
void fclock_transport_stop(struct fclock_transport *t);
void fclock_transport_destroy(struct fclock_transport *t);
/* The core has something to send to @node. Any context, cheap, never sleeps. */
void fclock_transport_kick(struct fclock_transport *t, unsigned int node);
/*
 * Drop the connection of @node (calls lost later, from the worker), and let it
 * reconnect. Any context.
 */
void fclock_transport_disconnect(struct fclock_transport *t, unsigned int node);
/**
 * fclock_transport_set_peers - a reload changed peers' addresses
 * @t: the transport, running or not
 * @peers: all configured peers
 * @nr_peers: how many
 *
 * Connections to unchanged peers stay; the others end with @lost, from the worker.
 *
 * Context: may sleep.
 * Return: 0, or as fclock_transport_create(); nothing has changed then.
 */
int fclock_transport_set_peers(struct fclock_transport *t,
			       const struct fclock_peer_addr *peers,
			       unsigned int nr_peers);
/**
 * fclock_transport_set_key - a reload may have changed the key
 * @t: the transport, running or not
 * @key: or NULL
 *
 * Connections stay when it is the same key; else all end with @lost, from the worker.
 *
 * Context: may sleep; loads no module.
 * Return: 0, or -ENOMEM; nothing has changed then.
 */
int fclock_transport_set_key(struct fclock_transport *t,
			     struct fclock_key *key);
/* Wrong proofs, wrong tags, and peers of which only one has a key, since creation. */
u64 fclock_transport_auth_failures(struct fclock_transport *t);
/*
 * Wait (killably) until every queued frame was sent on the open connections and
 * acknowledged by the other side's TCP, at most @ms.
 */
void fclock_transport_drain(struct fclock_transport *t, unsigned int ms);

#endif
