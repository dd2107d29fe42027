/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_PRANDOM_H
#define SHIM_LINUX_PRANDOM_H

#include <linux/types.h>
#include <asm/byteorder.h>

struct rnd_state {
	u64 shim;
};

void prandom_bytes_state(struct rnd_state *state, void *to, size_t len);

static inline void prandom_seed_state(struct rnd_state *state, u64 seed)
{
	state->shim = seed;
}

static inline u32 prandom_u32_state(struct rnd_state *state)
{
	__le32 v;

	prandom_bytes_state(state, &v, sizeof(v));
	return le32_to_cpu(v);
}

#endif
