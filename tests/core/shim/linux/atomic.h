/* SPDX-License-Identifier: GPL-2.0-only */
/* One thread: atomic is what every access is. */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#include <linux/types.h>

#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC64_INIT(i)	{ (i) }

#define shim_atomic(name, type, val)					\
static inline val name##_read(const type *v) { return v->counter; }	\
static inline void name##_set(type *v, val i) { v->counter = i; }	\
static inline void name##_add(val i, type *v) { v->counter += i; }	\
static inline void name##_sub(val i, type *v) { v->counter -= i; }	\
static inline void name##_inc(type *v) { v->counter++; }		\
static inline void name##_dec(type *v) { v->counter--; }		\
static inline val name##_inc_return(type *v) { return ++v->counter; }	\
static inline val name##_dec_return(type *v) { return --v->counter; }	\
static inline bool name##_dec_and_test(type *v) { return !--v->counter; } \
static inline val name##_add_return(val i, type *v)			\
{ return v->counter += i; }						\
static inline val name##_fetch_add(val i, type *v)			\
{ val old = v->counter; v->counter += i; return old; }			\
static inline val name##_xchg(type *v, val i)				\
{ val old = v->counter; v->counter = i; return old; }			\
static inline val name##_cmpxchg(type *v, val old, val i)		\
{ val was = v->counter; if (was == old) v->counter = i; return was; }	\
static inline bool name##_inc_not_zero(type *v)				\
{ if (!v->counter) return false; v->counter++; return true; }

shim_atomic(atomic, atomic_t, int)
shim_atomic(atomic64, atomic64_t, s64)
#define atomic_long_read	atomic64_read
#define atomic_long_set		atomic64_set
#define atomic_long_inc		atomic64_inc
#define atomic_long_dec		atomic64_dec
#define atomic_long_add		atomic64_add
#define atomic_long_sub		atomic64_sub

#define xchg(p, v)		({ typeof(*(p)) shim_was = *(p); \
				   *(p) = (v); shim_was; })
#define cmpxchg(p, old, new)	({ typeof(*(p)) shim_was = *(p); \
				   if (shim_was == (old)) \
					*(p) = (new); \
				   shim_was; })

#endif
