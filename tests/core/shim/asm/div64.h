/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_ASM_DIV64_H
#define SHIM_ASM_DIV64_H

#define do_div(n, base) ({		\
	u32 shim_base = (base);		\
	u32 shim_rem = (n) % shim_base;	\
	(n) /= shim_base;		\
	shim_rem; })
#define sector_div(n, base) do_div(n, base)

#endif
