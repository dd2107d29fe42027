/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fuzzer's input, read like a program: who reads beyond its end gets zeros.
 */
#ifndef FCLOCK_FUZZ_INPUT_H
#define FCLOCK_FUZZ_INPUT_H

#include <linux/types.h>
#include <linux/string.h>

struct input {
	const u8 *at, *end;
};

static inline bool in_empty(const struct input *in)
{
	return in->at == in->end;
}

static inline u8 in_u8(struct input *in)
{
	return in_empty(in) ? 0 : *in->at++;
}

static inline u16 in_u16(struct input *in)
{
	u16 low = in_u8(in);

	return low | in_u8(in) << 8;
}

static inline u64 in_u64(struct input *in)
{
	u64 v = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		v |= (u64)in_u8(in) << (8 * i);
	return v;
}

/* Small numbers, the greatest ones, and with some luck any other. */
static inline u64 in_number(struct input *in)
{
	u8 v = in_u8(in);

	if (v < 0xc0)
		return v;
	if (v < 0xe0)
		return ~0ULL - (v - 0xc0);
	return in_u64(in);
}

static inline void in_bytes(struct input *in, void *to, size_t len)
{
	size_t have = in->end - in->at;

	if (have > len)
		have = len;
	memcpy(to, in->at, have);
	memset((u8 *)to + have, 0, len - have);
	in->at += have;
}

/* A few bytes of @buf are changed: the rest is what it should be. */
static inline void in_patch(struct input *in, void *buf, size_t len)
{
	unsigned int n = in_u8(in) % 8;
	u16 at;

	while (n-- && len) {
		at = in_u16(in);
		((u8 *)buf)[at % len] = in_u8(in);
	}
}

#endif
