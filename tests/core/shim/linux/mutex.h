/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MUTEX_H
#define SHIM_LINUX_MUTEX_H

#include <linux/kernel.h>
#include <linux/lockdep.h>

struct mutex {
	int held;
};

#define DEFINE_MUTEX(name)	struct mutex name = { 0 }
#define mutex_init(m)		((void)((m)->held = 0))
#define mutex_destroy(m)	BUG_ON((m)->held)
#define mutex_lock(m)		do {		\
	might_sleep();				\
	lockdep_assert_not_held(m);		\
	(m)->held = 1;				\
} while (0)
#define mutex_unlock(m)		do {		\
	lockdep_assert_held(m);			\
	(m)->held = 0;				\
} while (0)

#endif
