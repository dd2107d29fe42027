/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_RBTREE_H
#define SHIM_LINUX_RBTREE_H

#include_next <linux/rbtree.h>
#include <linux/rcupdate.h>

static inline void rb_link_node_rcu(struct rb_node *node,
				    struct rb_node *parent,
				    struct rb_node **link)
{
	rb_link_node(node, parent, link);
}

static inline void rb_replace_node_rcu(struct rb_node *victim,
				       struct rb_node *new,
				       struct rb_root *root)
{
	rb_replace_node(victim, new, root);
}

#endif
