/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_COMPILER_H
#define SHIM_LINUX_COMPILER_H

#include_next <linux/compiler.h>

#define __percpu
#define __bitwise
#define __iomem
#define __cold		__attribute__((__cold__))
#define __hot		__attribute__((__hot__))
#define __must_check	__attribute__((__warn_unused_result__))
#define __always_unused	__attribute__((__unused__))
#define __counted_by(m)
#define __nonstring
#define __exit
#define __initdata
#define __ro_after_init
#define __cacheline_aligned_in_smp
#define ____cacheline_aligned_in_smp
#define ____cacheline_aligned
#define noinline_for_stack noinline
#ifndef __printf
#define __printf(a, b)	__attribute__((__format__(printf, a, b)))
#endif
#ifndef fallthrough
#define fallthrough	__attribute__((__fallthrough__))
#endif
#ifndef __same_type
#define __same_type(a, b) __builtin_types_compatible_p(typeof(a), typeof(b))
#endif

#define data_race(x)	(x)
#define ASSERT_EXCLUSIVE_WRITER(x) do { } while (0)

/* One thread: only the compiler could reorder, and nobody is there to see. */
#define smp_mb()	barrier()
#define smp_rmb()	barrier()
#define smp_wmb()	barrier()
#define mb()		barrier()
#define smp_mb__before_atomic()	barrier()
#define smp_mb__after_atomic()	barrier()
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define smp_store_mb(v, x)	WRITE_ONCE(v, x)

#endif
