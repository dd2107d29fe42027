/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_MINMAX_H
#define SHIM_LINUX_MINMAX_H

/* As in the kernel, arguments of different types do not compile. */
#define shim_pick(x, op, y) ({			\
	typeof(x) shim_x = (x);			\
	typeof(y) shim_y = (y);			\
	(void)(&shim_x == &shim_y);		\
	shim_x op shim_y ? shim_x : shim_y; })

#define min(x, y)	shim_pick(x, <, y)
#define max(x, y)	shim_pick(x, >, y)
#define min_t(type, x, y) ({			\
	type shim_tx = (x), shim_ty = (y);	\
	shim_tx < shim_ty ? shim_tx : shim_ty; })
#define max_t(type, x, y) ({			\
	type shim_tx = (x), shim_ty = (y);	\
	shim_tx > shim_ty ? shim_tx : shim_ty; })
#define min3(x, y, z)	({ typeof(x) shim_3 = min(x, y); min(shim_3, z); })
#define max3(x, y, z)	({ typeof(x) shim_3 = max(x, y); max(shim_3, z); })
#define min_not_zero(x, y) ({			\
	typeof(x) shim_nx = (x);		\
	typeof(y) shim_ny = (y);		\
	!shim_nx ? shim_ny : !shim_ny ? shim_nx : min(shim_nx, shim_ny); })
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define clamp(v, lo, hi) clamp_t(typeof(v), v, lo, hi)
#define swap(a, b)	do {			\
	typeof(a) shim_swap = (a);		\
	(a) = (b);				\
	(b) = shim_swap;			\
} while (0)

#endif
