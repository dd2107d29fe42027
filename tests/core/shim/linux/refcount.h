/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_REFCOUNT_H
#define SHIM_LINUX_REFCOUNT_H

#include <linux/bug.h>

typedef struct {
	int refs;
} refcount_t;

#define refcount_set(r, n)		((void)((r)->refs = (n)))
#define refcount_read(r)		((r)->refs)
#define refcount_inc(r)			do {	\
	BUG_ON((r)->refs <= 0);			\
	(r)->refs++;				\
} while (0)
#define refcount_dec_and_test(r)	({	\
	BUG_ON((r)->refs <= 0);			\
	!--(r)->refs;				\
})

#endif
