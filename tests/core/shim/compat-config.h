/* SPDX-License-Identifier: GPL-2.0-only */
/* What scripts/compat-probe answers of a kernel. */
#define FCLOCK_HAVE_SHRINKER_ALLOC
