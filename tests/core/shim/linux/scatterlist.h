/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SCATTERLIST_H
#define SHIM_LINUX_SCATTERLIST_H

#include <linux/types.h>

struct scatterlist {
	void *at;
	unsigned int length;
};

static inline void sg_init_table(struct scatterlist *sg, unsigned int n)
{
	while (n--)
		sg[n] = (struct scatterlist) { NULL, 0 };
}

static inline void sg_set_buf(struct scatterlist *sg, const void *at,
			      unsigned int length)
{
	sg->at = (void *)at;
	sg->length = length;
}

#endif
