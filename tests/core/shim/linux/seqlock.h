/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SEQLOCK_H
#define SHIM_LINUX_SEQLOCK_H

#include <linux/spinlock.h>

typedef struct {
	unsigned int sequence;
} seqcount_t;

typedef seqcount_t seqcount_spinlock_t;
typedef seqcount_t seqcount_latch_t;

#define seqcount_init(s)		((void)((s)->sequence = 0))
#define seqcount_spinlock_init(s, l)	seqcount_init(s)
#define read_seqcount_begin(s)		({ BUG_ON((s)->sequence & 1); \
					   (s)->sequence; })
#define raw_read_seqcount_begin		read_seqcount_begin
#define raw_read_seqcount(s)		((s)->sequence)
#define read_seqcount_retry(s, v)	((s)->sequence != (v))
#define write_seqcount_begin(s)		do {		\
	BUG_ON((s)->sequence & 1);			\
	(s)->sequence++;				\
} while (0)
#define write_seqcount_end(s)		do {		\
	BUG_ON(!((s)->sequence & 1));			\
	(s)->sequence++;				\
} while (0)
#define raw_write_seqcount_begin	write_seqcount_begin
#define raw_write_seqcount_end		write_seqcount_end

#endif
