/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_LOCKDEP_H
#define SHIM_LINUX_LOCKDEP_H

#include <linux/bug.h>

struct lock_class_key {
	int unused;
};

#define lockdep_is_held(l)		((l)->held != 0)
#define lockdep_assert_held(l)		BUG_ON(!lockdep_is_held(l))
#define lockdep_assert_held_once(l)	lockdep_assert_held(l)
#define lockdep_assert_not_held(l)	BUG_ON(lockdep_is_held(l))
#define lockdep_assert_once(c)		BUG_ON(!(c))
#define lockdep_assert(c)		BUG_ON(!(c))
#define lockdep_assert_irqs_disabled()	do { } while (0)
#define lockdep_set_class(l, key)	do { } while (0)
#define lockdep_register_key(key)	do { } while (0)
#define lockdep_unregister_key(key)	do { } while (0)

#endif
