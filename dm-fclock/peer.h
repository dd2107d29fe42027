/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What transport.c, peer.c and guest.c share; nobody else includes it.
 */
#ifndef FCLOCK_PEER_H
#define FCLOCK_PEER_H

#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "auth.h"
#include "socket.h"
#include "trace.h"
#include "transport.h"

/* To connect; from there to WELCOME; from accept to the whole HELLO. */
#define GREETING_MS 5000
#define MAX_GUESTS 8
#define HEADER_SIZE sizeof(struct fclock_wire_header)

enum fclock_peer_state {
	PEER_IDLE,
	PEER_CONNECTING,
	PEER_AWAITING,		/* connected by us, no CHALLENGE yet */
	PEER_GREETING,		/* no WELCOME yet */
	PEER_OPEN,
};

enum fclock_peer_flags {
	PEER_DROP,		/* close the connection */
	PEER_KICKED,		/* the core may have frames */
};

/*
 * A configured peer and its connection. Made by the first configuration that names
 * the node, freed with the transport.
 */
struct fclock_peer {
	struct fclock_transport *t;	/* set once */
	unsigned int node;		/* set once */
	unsigned long flags;		/* enum fclock_peer_flags, atomic */
	/* Alone calls opened, next_frame, receive and lost. */
	struct work_struct io;
	/* Queues @io when the backoff or the greeting is over. */
	struct delayed_work timer;

	struct mutex mutex;		/* protects all that follows */
	bool configured;
	struct fclock_addr addr;
	enum fclock_peer_state state;
	struct fclock_socket s;
	bool complained;		/* of a failed connect, since the last */
	unsigned int backoff;		/* ms, before the next connect */
	unsigned long next_connect;	/* jiffies */
	unsigned long deadline;		/* jiffies, CONNECTING to GREETING */

	struct fclock_auth *auth;	/* NULL: without a key */
	bool keyless;			/* GREETING: one side has a key, the other none */
	bool distrusted;		/* complained of its key, since the last WELCOME */
	struct fclock_auth *staged;	/* t->mutex: to become @auth */

	unsigned int rx_got;		/* bytes of header and payload */
	struct fclock_msg rx_msg;	/* valid when the header is complete */
	void *rx_frame;			/* FCLOCK_FRAME_MAX bytes */

	unsigned int tx_len, tx_off;	/* of the bytes in @tx */
	bool tx_more;			/* @tx was full: more may follow */
	bool tx_corked;			/* the last bytes went with MSG_MORE */
	int tx_error;			/* nothing can be sent any more */
	void *tx;
};

/*
 * A place for an accepted connection without a node, part of the transport. Free
 * when @s has no socket.
 */
struct fclock_guest {
	struct fclock_transport *t;	/* set once */
	struct work_struct io;		/* reads the HELLO */
	struct delayed_work timer;	/* queues @io at the deadline */

	struct mutex mutex;		/* protects all that follows */
	struct fclock_socket s;
	struct fclock_addr from;	/* written by the accept work alone */
	unsigned long deadline;		/* likewise */
	u64 turn;			/* likewise: who came later has more */
	bool refused;			/* only waits for the other side to close */
	unsigned int got;		/* bytes of @said.hello */
	struct fclock_greeting said;	/* by us, and by them */
};

/*
 * Made and freed by the volume.
 *
 * Work functions read @running under their object's mutex, which stop takes after
 * it has cleared @running: whoever saw true there has ended before stop returns.
 */
struct fclock_transport {
	/* Set once. */
	struct net *net;		/* own reference */
	unsigned int node;
	struct fclock_addr listen;
	const struct fclock_transport_ops *ops;
	void *ctx;
	struct workqueue_struct *wq;
	atomic64_t auth_failures;

	bool running;			/* written under @mutex */
	struct mutex mutex;		/* start, stop, set_peers, set_key */
	struct fclock_key *key;		/* under @mutex; NULL: without */
	bool keyed;			/* written under @mutex; a guest may miss a change */
	/* Changes under @mutex while @accept is idle. */
	struct fclock_socket listener;
	struct delayed_work accept;
	struct fclock_guest guest[MAX_GUESTS];
	u64 turns;			/* given so far, by the accept work */
	/* Index node id, NULL until first configured; set once, with release. */
	struct fclock_peer *peer[FCLOCK_MAX_NODES + 1];
};

static inline struct fclock_peer *
fclock_find_peer(struct fclock_transport *t, unsigned int node)
{
	if (!node || node > FCLOCK_MAX_NODES)
		return NULL;

	/* Pairs with smp_store_release() in add_peers(). */
	return smp_load_acquire(&t->peer[node]);
}

static inline void fclock_wake_at(struct fclock_transport *t,
				  struct delayed_work *timer,
				  unsigned long when)
{
	unsigned long now = jiffies;

	mod_delayed_work(t->wq, timer, time_after(when, now) ? when - now : 0);
}

/* ---- peer.c ---- */

/* NULL: no memory. Nothing runs before fclock_peer_start(). */
struct fclock_peer *fclock_peer_alloc(struct fclock_transport *t,
				      unsigned int node);
void fclock_peer_free(struct fclock_peer *p);	/* stopped, or NULL */
/* The first connect is at once. t->running is set. */
void fclock_peer_start(struct fclock_peer *p);
/* t->running is clear, no guest is left. On return no callback runs. */
void fclock_peer_stop(struct fclock_peer *p);
/* @addr: NULL: not configured any more. Another address ends the connection. */
void fclock_peer_configure(struct fclock_peer *p,
			   const struct fclock_addr *addr);
/* p->staged, or none, in place of the old key; ends the connection. t->mutex is held. */
void fclock_peer_new_key(struct fclock_peer *p);
/*
 * The node at the other end has not the key of this one, @why. One line in the log until
 * a WELCOME. Return: -EKEYREJECTED.
 */
int __fclock_peer_distrust(struct fclock_peer *p, enum fclock_trace_link what,
			   const char *why);
/* What the core had is sent and acknowledged, or there is no connection. */
bool fclock_peer_drained(struct fclock_peer *p);
/* Close the connection and forget its frames; the core is told by the caller. */
void __fclock_peer_reset(struct fclock_peer *p);

/* ---- guest.c ---- */

void fclock_guest_init(struct fclock_transport *t, struct fclock_guest *g);
/* t->running is clear, the accept work has ended. */
void fclock_guest_stop(struct fclock_guest *g);
/*
 * Of the listener: every waiting connection becomes a guest, in place of another when
 * all places are taken, or is closed.
 */
void fclock_accept_work(struct work_struct *work);

#endif
