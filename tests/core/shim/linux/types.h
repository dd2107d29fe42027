/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's names; 64 bits are "long long" as there, so %llu fits. */
#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H
/* The files of tools/include that are used on top must not bring theirs. */
#define _TOOLS_LINUX_TYPES_H_
#define __SANE_USERSPACE_TYPES__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <asm/types.h>
#include <linux/stddef.h>
#include <linux/compiler.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef u64 sector_t;
typedef s64 ktime_t;
typedef unsigned int gfp_t;
typedef unsigned int fmode_t;
typedef u8 blk_status_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

typedef atomic64_t atomic_long_t;

struct list_head {
	struct list_head *next, *prev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#define callback_head rcu_head

#endif
