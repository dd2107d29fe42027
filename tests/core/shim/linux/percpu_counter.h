/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_PERCPU_COUNTER_H
#define SHIM_LINUX_PERCPU_COUNTER_H

#include <linux/types.h>
#include <linux/gfp.h>

struct percpu_counter {
	s64 count;
};

static inline int percpu_counter_init(struct percpu_counter *c, s64 v,
				      gfp_t gfp)
{
	(void)gfp;
	c->count = v;
	return 0;
}

#define percpu_counter_destroy(c)	((void)(c))
#define percpu_counter_set(c, v)	((void)((c)->count = (v)))
#define percpu_counter_add(c, v)	((void)((c)->count += (v)))
#define percpu_counter_sub(c, v)	((void)((c)->count -= (v)))
#define percpu_counter_inc(c)		((void)(c)->count++)
#define percpu_counter_dec(c)		((void)(c)->count--)
#define percpu_counter_sum(c)		((c)->count)
#define percpu_counter_sum_positive(c)	((c)->count < 0 ? 0 : (c)->count)
#define percpu_counter_read(c)		((c)->count)

#endif
