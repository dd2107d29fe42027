/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_NET_NET_NAMESPACE_H
#define SHIM_NET_NET_NAMESPACE_H

struct net {
	int refs;
};

static inline struct net *get_net(struct net *net)
{
	net->refs++;
	return net;
}

static inline void put_net(struct net *net)
{
	net->refs--;
}

#endif
