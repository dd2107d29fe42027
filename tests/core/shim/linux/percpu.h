/* SPDX-License-Identifier: GPL-2.0-only */
/* One processor. */
#ifndef SHIM_LINUX_PERCPU_H
#define SHIM_LINUX_PERCPU_H

#include <linux/slab.h>

#define alloc_percpu(type)		((type *)kzalloc(sizeof(type), GFP_KERNEL))
#define alloc_percpu_gfp(type, gfp)	((type *)kzalloc(sizeof(type), gfp))
#define free_percpu(p)			kfree(p)
#define per_cpu_ptr(p, cpu)		((void)(cpu), (p))
#define this_cpu_ptr(p)			(p)
#define raw_cpu_ptr(p)			(p)
#define get_cpu_ptr(p)			(p)
#define put_cpu_ptr(p)			((void)(p))
#define for_each_possible_cpu(cpu)	for ((cpu) = 0; (cpu) < 1; (cpu)++)
#define this_cpu_inc(x)			((void)(x)++)
#define this_cpu_dec(x)			((void)(x)--)
#define this_cpu_add(x, v)		((void)((x) += (v)))
#define this_cpu_read(x)		(x)
#define this_cpu_write(x, v)		((void)((x) = (v)))
#define raw_cpu_inc			this_cpu_inc
#define raw_cpu_add			this_cpu_add

#endif
