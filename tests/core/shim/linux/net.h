/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_NET_H
#define SHIM_LINUX_NET_H

/* Whoever plays the network says what they are. */
struct socket;
struct sock;

#endif
