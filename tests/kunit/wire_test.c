// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the messages. Golden bytes are literal: they also hold on a
 * big-endian machine. Payloads lie in memory of exactly their length, so that
 * KASAN sees a check that reads too far.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include "wire.h"

#define GRAINS		1000
#define HEADER		72
#define LONGEST		4200	/* beyond FCLOCK_FRAME_MAX */

static const u8 golden_header[HEADER] = {
	0x6b, 0x6c, 0x63, 0x66, 0x03, 0x19, 0x00, 0x00,
	0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
	0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
	0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41,
};

static const u8 golden_request[24] = {
	0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xe7, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_grant[66] = {
	0x03, 0x00, 0x02, 0x00, 0x10, 0x00, 0x00, 0x00,
	0xd9, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xe0, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xe8, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xff, 0x7f,
};

static const u8 golden_challenge[40] = {
	0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
};

static const u8 golden_hello[144] = {
	0x01, 0x02, 0x03, 0x40, 0x00, 0x00, 0x00, 0x00,
	0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47,
	0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
	0x00, 0xf4, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x80, 0x00, 0x00, 0x00, 0x10, 0x27, 0x00, 0x00,
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x01, 0x80, 0x01, 0x00, 0x00, 0x01, 0x00, 0x10,
	0x61, 0x6c, 0x70, 0x68, 0x61, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
	[136] = 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
};

static const u8 golden_ask[184] = {
	0x01, 0x01, 0x00, 0x00, 0x01, 0x80, 0x02, 0x00,
	0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x61, 0x6c, 0x70, 0x68, 0x61, 0x00, 0x00, 0x00,
	[48] = 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
	[176] = 0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,
};

static const u8 golden_trigger[184] = { 0x02, 0x00, 0x01, 0x80 };
static const u8 golden_cancel[184] = { 0x04 };
static const u8 golden_resize[184] = {
	0x06, [48] = 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
};

static const u8 golden_rate[184] = {
	0x05, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x44, 0x43, 0x42, 0x41,
};

static const u8 golden_answer[128] = {
	0x73, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x6e, 0x6f, 0x64, 0x65, 0x20, 0x33, 0x00, 0x00,
};

static const u8 golden_prepare[24] = {
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x01, 0x00, 0x01, 0x80, 0x00, 0x00, 0x00, 0x00,
};

static const u8 golden_prepare_resize[24] = {
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
};

static const u8 golden_ping[144] = {
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
	0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	[136] = 0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

struct sample {
	u8 type;
	const u8 *bytes;	/* NULL: zeros */
	u32 length;
};

/* A good payload of every type. */
static const struct sample samples[] = {
	{ 1, golden_request, 24 },
	{ 2, golden_grant, 66 },
	{ 3, NULL, 0 },
	{ 4, NULL, 0 },
	{ 16, golden_hello, 144 },
	{ 17, golden_hello, 144 },
	{ 18, NULL, 0 },
	{ 19, golden_ask, 184 },
	{ 19, golden_trigger, 184 },
	{ 19, golden_cancel, 184 },
	{ 19, golden_rate, 184 },
	{ 19, golden_resize, 184 },
	{ 20, golden_answer, 128 },
	{ 21, golden_prepare, 24 },
	{ 21, golden_prepare_resize, 24 },
	{ 22, NULL, 0 },
	{ 23, NULL, 4096 },
	{ 24, NULL, 4096 },
	{ 25, golden_ping, 144 },
	{ 15, golden_challenge, 40 },
};

static void put_le(u8 *p, u64 value, unsigned int size)
{
	while (size--) {
		*p++ = value;
		value >>= 8;
	}
}

/* Check @length bytes that begin as the sample, or are cut from it. */
static int check(const struct sample *s, u32 length, u64 grains)
{
	struct fclock_msg msg = { .type = s->type, .length = length, .id = 1 };
	u8 *payload = kzalloc(length, GFP_KERNEL);
	int r;

	if (!payload)
		return -ENOMEM;
	if (s->bytes)
		memcpy(payload, s->bytes, min(length, s->length));
	r = fclock_wire_check_payload(&msg, payload, grains);
	kfree(payload);
	return r;
}

static void header_golden(struct kunit *test)
{
	const struct fclock_msg msg = {
		.type = FCLOCK_PING,
		.length = 144,
		.sender = 0x0102030405060708ULL,
		.receiver = 0x1112131415161718ULL,
		.state = 0x2122232425262728ULL,
		.id = 0x3132333435363738ULL,
		.seq = 0x4142434445464748ULL,
	};
	struct fclock_msg got;
	u8 buf[HEADER];
	unsigned int i;

	memset(buf, 0xee, sizeof(buf));
	fclock_wire_encode_header(buf, &msg);
	for (i = 0; i < HEADER; i++)
		KUNIT_EXPECT_EQ_MSG(test, buf[i], golden_header[i], "byte %u",
				    i);
	KUNIT_ASSERT_EQ(test, fclock_wire_decode_header(golden_header, &got), 0);
	KUNIT_EXPECT_EQ(test, got.type, msg.type);
	KUNIT_EXPECT_EQ(test, got.length, msg.length);
	KUNIT_EXPECT_EQ(test, got.sender, msg.sender);
	KUNIT_EXPECT_EQ(test, got.receiver, msg.receiver);
	KUNIT_EXPECT_EQ(test, got.state, msg.state);
	KUNIT_EXPECT_EQ(test, got.id, msg.id);
	KUNIT_EXPECT_EQ(test, got.seq, msg.seq);
}

/* Every bit of magic, version, reserved fields and, for PING, length. */
static void header_bit_flips(struct kunit *test)
{
	struct fclock_msg got;
	u8 buf[HEADER];
	unsigned int i;
	int want;

	for (i = 0; i < 16 * 8; i++) {
		if (i / 8 == 5)
			continue;
		memcpy(buf, golden_header, HEADER);
		buf[i / 8] ^= 1 << (i % 8);
		want = i / 8 == 4 ? -EPROTONOSUPPORT : -EPROTO;
		if (i / 8 >= 8 && i / 8 < 12)
			want = -EMSGSIZE;
		KUNIT_EXPECT_EQ_MSG(test, want,
				    fclock_wire_decode_header(buf, &got),
				    "bit %u", i);
	}
}

static bool length_possible(u8 type, u32 length, bool *known)
{
	unsigned int i;

	*known = false;
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		if (samples[i].type != type)
			continue;
		*known = true;
		if (type == 2)
			return length >= 32 && length <= 32 + 64 * 16 + 2048;
		return length == samples[i].length;
	}
	return false;
}

static void header_one_length(struct kunit *test, u8 type, u32 length)
{
	struct fclock_msg got;
	u8 buf[HEADER];
	bool known;
	int want, r;

	memcpy(buf, golden_header, HEADER);
	buf[5] = type;
	put_le(buf + 8, length, 4);
	want = length_possible(type, length, &known) ? 0 : -EMSGSIZE;
	if (!known)
		want = -EPROTO;
	r = fclock_wire_decode_header(buf, &got);
	if (r != want)
		KUNIT_FAIL(test, "type %u, length %u: %d", type, length, r);
}

/* All types there are and are not, with all lengths. */
static void header_lengths(struct kunit *test)
{
	unsigned int type;
	u32 length;

	for (type = 0; type < 256; type++) {
		for (length = 0; length <= LONGEST; length++)
			header_one_length(test, type, length);
		for (length = 0x80000000; length; length >>= 1)
			header_one_length(test, type, length);
		header_one_length(test, type, ~0U);
		header_one_length(test, type, ~0U - HEADER);
	}
}

/* Every cut and every lengthened payload of every type. */
static void payload_lengths(struct kunit *test)
{
	const struct sample *s;
	unsigned int i;
	u32 length;
	int r;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		s = &samples[i];
		for (length = 0; length <= LONGEST; length++) {
			r = check(s, length, GRAINS);
			if (r == (length == s->length ? 0 : -EMSGSIZE))
				continue;
			KUNIT_FAIL(test, "sample %u, length %u: %d", i, length,
				   r);
		}
	}
}

static void payload_unknown_type(struct kunit *test)
{
	struct sample s = {};
	unsigned int type;
	bool known;

	for (type = 0; type < 256; type++) {
		length_possible(type, 0, &known);
		s.type = type;
		if (!known)
			KUNIT_EXPECT_EQ(test, check(&s, 0, GRAINS), -EPROTO);
		KUNIT_EXPECT_EQ(test, known,
				!!strcmp(fclock_msg_name(type), "unknown"));
	}
}

/* The golden bytes say what the structs say. */
static void payload_golden(struct kunit *test)
{
	const struct fclock_wire_lock_request *q = (void *)golden_request;
	const struct fclock_wire_lock_grant *g = (void *)golden_grant;
	const struct fclock_wire_run *run = (void *)(g + 1);
	const struct fclock_wire_ask *a = (void *)golden_ask;
	const struct fclock_wire_ask *t = (void *)golden_trigger;
	const struct fclock_wire_ask *r = (void *)golden_rate;
	const struct fclock_wire_ask *z = (void *)golden_resize;
	const struct fclock_wire_answer *n = (void *)golden_answer;
	const struct fclock_wire_prepare *p = (void *)golden_prepare;
	const struct fclock_wire_prepare *l = (void *)golden_prepare_resize;
	const struct fclock_wire_ping *i = (void *)golden_ping;
	const struct fclock_wire_challenge *c = (void *)golden_challenge;

	KUNIT_EXPECT_EQ(test, c->node_id, (u8)3);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(c->flags), (u16)FCLOCK_HELLO_KEY);
	KUNIT_EXPECT_EQ(test, c->nonce[0], (u8)0xa1);

	KUNIT_EXPECT_EQ(test, q->target, (u8)3);
	KUNIT_EXPECT_EQ(test, q->kind, (u8)FCLOCK_KIND_SHARED);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(q->first), 0x102ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(q->last), 999ULL);

	KUNIT_EXPECT_EQ(test, g->target, (u8)3);
	KUNIT_EXPECT_EQ(test, g->status, (u8)FCLOCK_GRANTED);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(g->nr_runs), (u16)2);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(g->map_bits), 16U);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(g->map_first), 985ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(g->shared_first), 992ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(g->shared_count), 8ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run[0].first), 256ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run[0].count), 744ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run[1].first), 5ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(run[1].count), 1ULL);

	KUNIT_EXPECT_EQ(test, a->kind, (u8)FCLOCK_ASK_WISH);
	KUNIT_EXPECT_EQ(test, a->flags, (u8)FCLOCK_WISH_JOINED);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(a->attached), (u16)0x8001);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(a->offline), (u16)2);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(a->complete), (u16)4);
	KUNIT_EXPECT_STREQ(test, a->host, "alpha");
	KUNIT_EXPECT_EQ(test, le64_to_cpu(a->length), 0x1112131415161718ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(a->copy[0]), 0x2122232425262728ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(a->copy[15]), 0x3132333435363738ULL);
	KUNIT_EXPECT_EQ(test, z->kind, (u8)FCLOCK_ASK_RESIZE);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(z->length), 0x1112131415161718ULL);
	KUNIT_EXPECT_EQ(test, t->kind, (u8)FCLOCK_ASK_TRIGGER);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(t->slots), (u16)0x8001);
	KUNIT_EXPECT_EQ(test, r->kind, (u8)FCLOCK_ASK_COPY_RATE);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(r->slots), (u16)0x8000);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(r->rate), 0x41424344U);

	KUNIT_EXPECT_EQ(test, le32_to_cpu(n->error), 115U);
	KUNIT_EXPECT_STREQ(test, n->text, "node 3");
	KUNIT_EXPECT_EQ(test, le64_to_cpu(p->number), 0x0102030405060708ULL);
	KUNIT_EXPECT_EQ(test, p->kind, (u8)FCLOCK_TRIGGER);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(p->slots), (u16)0x8001);
	KUNIT_EXPECT_EQ(test, l->kind, (u8)FCLOCK_RESIZE);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(l->length), 0x1112131415161718ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(i->epoch), 0x0102030405060708ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(i->members), 0x8000000000000007ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(i->split[0]), 5ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(i->split[15]), 1000ULL);
}

static void hello_golden(struct kunit *test)
{
	const struct fclock_wire_hello *h = (void *)golden_hello;

	KUNIT_EXPECT_EQ(test, h->min_version, (u8)1);
	KUNIT_EXPECT_EQ(test, h->max_version, (u8)2);
	KUNIT_EXPECT_EQ(test, h->node_id, (u8)3);
	KUNIT_EXPECT_EQ(test, h->peer_id, (u8)64);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(h->refusal), 0U);
	KUNIT_EXPECT_EQ(test, h->uuid[0], (u8)0x40);
	KUNIT_EXPECT_EQ(test, h->uuid[15], (u8)0x4f);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(h->length), 128000ULL);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(h->grain), 128U);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(h->trigger_timeout), 10000U);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(h->epoch), 0x0102030405060708ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(h->members), 0x8000000000000007ULL);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(h->primary_instance),
			0x1112131415161718ULL);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(h->attached), (u16)0x8001);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(h->flags), (u16)FCLOCK_HELLO_KEY);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(h->credits), (u16)256);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(h->room), 0x0102030405060708ULL);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(h->locks), (u16)4096);
	KUNIT_EXPECT_STREQ(test, h->host, "alpha");
	KUNIT_EXPECT_EQ(test, h->nonce[0], (u8)0xa1);
}

struct poke {
	u8 sample;		/* index into samples */
	u8 offset;
	u8 size;
	u64 value;
	int err;
};

enum {
	REQUEST	= 0,
	GRANT	= 1,
	HELLO	= 4,
	WELCOME	= 5,
	WISH	= 7,
	TRIGGER	= 8,
	CANCEL	= 9,
	RATE	= 10,
	RESIZE	= 11,
	ANSWER	= 12,
	PREPARE	= 13,
	GROW	= 14,
	PING	= 18,
	CHALLENGE = 19,
};

static const struct poke pokes[] = {
	{ REQUEST, 0, 1, 15, 0 },
	{ REQUEST, 0, 1, 16, -EPROTO },
	{ REQUEST, 0, 1, 0xfe, -EPROTO },
	{ REQUEST, 0, 1, 0xff, -EPROTO },		/* A, shared */
	{ REQUEST, 0, 2, 0x01ff, 0 },			/* A, split */
	{ REQUEST, 1, 1, 0, -EPROTO },
	{ REQUEST, 1, 1, 1, 0 },
	{ REQUEST, 1, 1, 3, -EPROTO },
	{ REQUEST, 2, 1, 1, -EPROTO },
	{ REQUEST, 7, 1, 1, -EPROTO },
	{ REQUEST, 8, 8, 999, 0 },
	{ REQUEST, 8, 8, 1000, -EPROTO },		/* behind last */
	{ REQUEST, 16, 8, 1000, -EPROTO },		/* behind the volume */
	{ REQUEST, 16, 8, ~0ULL, -EPROTO },
	{ REQUEST, 16, 8, 0x101, -EPROTO },

	{ GRANT, 0, 1, 15, 0 },
	{ GRANT, 0, 1, 16, -EPROTO },
	{ GRANT, 0, 1, 0xff, -EPROTO },			/* A, shared */
	{ GRANT, 1, 1, 1, -EPROTO },			/* EIO, but runs */
	{ GRANT, 1, 1, 2, -EPROTO },
	{ GRANT, 2, 2, 1, -EMSGSIZE },
	{ GRANT, 2, 2, 3, -EMSGSIZE },
	{ GRANT, 2, 2, 65, -EPROTO },
	{ GRANT, 2, 2, 0xffff, -EPROTO },
	{ GRANT, 4, 4, 8, -EMSGSIZE },
	{ GRANT, 4, 4, 24, -EMSGSIZE },
	{ GRANT, 4, 4, 17, -EPROTO },
	{ GRANT, 4, 4, 16392, -EPROTO },
	{ GRANT, 4, 4, 0xfffffff8, -EPROTO },
	{ GRANT, 8, 8, 984, 0 },			/* ends with the volume */
	{ GRANT, 8, 8, 986, -EPROTO },			/* bit 1000 is set */
	{ GRANT, 8, 8, 993, -EPROTO },
	{ GRANT, 8, 8, 1000, -EPROTO },
	{ GRANT, 8, 8, ~0ULL, -EPROTO },
	{ GRANT, 16, 8, 993, -EPROTO },
	{ GRANT, 16, 8, ~0ULL, -EPROTO },
	{ GRANT, 24, 8, 0, -EPROTO },			/* nothing, but where */
	{ GRANT, 24, 8, 9, -EPROTO },
	{ GRANT, 24, 8, ~0ULL, -EPROTO },
	{ GRANT, 32, 8, 257, -EPROTO },
	{ GRANT, 32, 8, ~0ULL, -EPROTO },
	{ GRANT, 40, 8, 0, -EPROTO },
	{ GRANT, 40, 8, 745, -EPROTO },
	{ GRANT, 40, 8, ~0ULL - 255, -EPROTO },		/* overflows to 0 */
	{ GRANT, 48, 8, 1000, -EPROTO },
	{ GRANT, 56, 8, 0, -EPROTO },
	{ GRANT, 65, 1, 0x80, -EPROTO },

	{ HELLO, 0, 1, 0, -EPROTO },
	{ HELLO, 0, 1, 2, 0 },
	{ HELLO, 0, 1, 3, -EPROTO },			/* above max */
	{ HELLO, 2, 1, 0, -EPROTO },
	{ HELLO, 2, 1, 65, -EPROTO },
	{ HELLO, 2, 1, 64, -EPROTO },			/* to itself */
	{ HELLO, 3, 1, 0, -EPROTO },
	{ HELLO, 3, 1, 65, -EPROTO },
	{ HELLO, 4, 4, 1, -EPROTO },			/* only WELCOME refuses */
	{ WELCOME, 4, 4, 1, 0 },
	{ WELCOME, 4, 4, 4095, 0 },
	{ WELCOME, 4, 4, 4096, -EPROTO },
	{ WELCOME, 4, 4, ~0U, -EPROTO },
	{ HELLO, 24, 8, 0, -EPROTO },
	{ HELLO, 32, 4, 0, -EPROTO },
	{ HELLO, 32, 4, 4, -EPROTO },
	{ HELLO, 32, 4, 9, -EPROTO },
	{ HELLO, 32, 4, 4096, -EPROTO },
	{ HELLO, 40, 8, 0, -EPROTO },			/* list without an epoch */
	{ WELCOME, 40, 8, 0, -EPROTO },
	{ HELLO, 48, 8, 0, -EPROTO },			/* epoch of nobody */
	{ HELLO, 66, 2, 0, -EPROTO },			/* nonce without a key */
	{ HELLO, 66, 2, 3, -EPROTO },
	{ HELLO, 66, 2, 0x8001, -EPROTO },
	{ HELLO, 73, 1, '\n', -EPROTO },
	{ HELLO, 78, 1, 'a', -EPROTO },
	{ HELLO, 103, 1, 'a', -EPROTO },
	{ HELLO, 136, 8, 128000, 0 },
	{ HELLO, 136, 8, 127999, -EPROTO },		/* no room for the volume */

	{ WISH, 0, 1, 0, -EPROTO },
	{ WISH, 0, 1, 2, -EPROTO },			/* a wish's fields */
	{ WISH, 0, 1, 5, -EPROTO },
	{ WISH, 1, 1, 0, 0 },
	{ WISH, 1, 1, 2, -EPROTO },
	{ WISH, 1, 1, 0x81, -EPROTO },
	{ WISH, 2, 2, 1, -EPROTO },
	{ WISH, 0, 1, 6, -EPROTO },
	{ WISH, 10, 1, 1, -EPROTO },
	{ WISH, 12, 4, 1, -EPROTO },			/* a rate */
	{ WISH, 15, 1, 1, -EPROTO },
	{ WISH, 17, 1, ' ', -EPROTO },
	{ WISH, 22, 1, 'a', -EPROTO },
	{ WISH, 47, 1, 'a', -EPROTO },
	{ WISH, 48, 8, ~0ULL, 0 },
	{ WISH, 176, 8, ~0ULL, 0 },
	{ TRIGGER, 0, 1, 3, 0 },
	{ TRIGGER, 0, 1, 4, -EPROTO },			/* cancel has no slots */
	{ TRIGGER, 0, 1, 5, 0 },			/* rate 0 */
	{ TRIGGER, 0, 1, 6, -EPROTO },			/* to what length? */
	{ TRIGGER, 0, 1, 7, -EPROTO },
	{ TRIGGER, 48, 8, 1, -EPROTO },
	{ TRIGGER, 176, 8, 1, -EPROTO },
	{ TRIGGER, 12, 4, 1, -EPROTO },
	{ TRIGGER, 1, 1, 1, -EPROTO },
	{ TRIGGER, 2, 2, 0, -EPROTO },
	{ TRIGGER, 4, 2, 1, -EPROTO },
	{ TRIGGER, 6, 2, 1, -EPROTO },
	{ TRIGGER, 8, 2, 1, -EPROTO },
	{ TRIGGER, 10, 1, 1, -EPROTO },
	{ TRIGGER, 16, 1, 'a', -EPROTO },
	{ TRIGGER, 47, 1, 'a', -EPROTO },
	{ CANCEL, 2, 2, 1, -EPROTO },
	{ CANCEL, 12, 4, 1, -EPROTO },
	{ CANCEL, 48, 8, 1, -EPROTO },
	{ RESIZE, 48, 8, 0, -EPROTO },
	{ RESIZE, 48, 8, 1, 0 },
	{ RESIZE, 2, 2, 1, -EPROTO },
	{ RESIZE, 12, 4, 1, -EPROTO },
	{ RESIZE, 56, 8, 1, -EPROTO },
	{ RATE, 2, 2, 0, -EPROTO },
	{ RATE, 12, 4, 0, 0 },
	{ RATE, 48, 8, 1, -EPROTO },
	{ RATE, 12, 4, ~0U, 0 },
	{ RATE, 0, 1, 2, -EPROTO },
	{ RATE, 0, 1, 3, -EPROTO },
	{ RATE, 1, 1, 1, -EPROTO },
	{ RATE, 8, 2, 1, -EPROTO },
	{ RATE, 10, 1, 1, -EPROTO },
	{ RATE, 11, 1, 1, -EPROTO },
	{ RATE, 16, 1, 'a', -EPROTO },

	{ ANSWER, 0, 4, 0, 0 },
	{ ANSWER, 0, 4, 4095, 0 },
	{ ANSWER, 0, 4, 4096, -EPROTO },
	{ ANSWER, 0, 4, ~0U, -EPROTO },
	{ ANSWER, 4, 4, 1, -EPROTO },
	{ ANSWER, 8, 1, '\n', -EPROTO },
	{ ANSWER, 8, 1, 0x1b, -EPROTO },
	{ ANSWER, 8, 1, 0x7f, -EPROTO },
	{ ANSWER, 8, 1, 0, -EPROTO },			/* text behind its end */
	{ ANSWER, 127, 1, 'a', -EPROTO },

	{ PREPARE, 0, 8, 0, -EPROTO },
	{ PREPARE, 0, 8, ~0ULL, -EPROTO },		/* means "ended" in the core */
	{ PREPARE, 0, 8, ~0ULL - 1, 0 },
	{ PREPARE, 8, 1, 0, -EPROTO },
	{ PREPARE, 8, 1, 2, 0 },
	{ PREPARE, 8, 1, 3, 0 },
	{ PREPARE, 8, 1, 4, -EPROTO },			/* a view has no slots */
	{ PREPARE, 8, 4, 4, 0 },
	{ PREPARE, 8, 1, 5, 0 },
	{ PREPARE, 8, 4, 5, -EPROTO },			/* a rate is of a slot */
	{ PREPARE, 8, 1, 6, -EPROTO },
	{ PREPARE, 9, 1, 1, -EPROTO },
	{ PREPARE, 10, 2, 0, -EPROTO },
	{ PREPARE, 12, 1, 1, -EPROTO },
	{ PREPARE, 15, 1, 1, -EPROTO },
	{ PREPARE, 16, 8, 1, -EPROTO },			/* a trigger has no length */
	{ GROW, 16, 8, 1, 0 },
	{ GROW, 16, 8, 0, -EPROTO },
	{ GROW, 10, 2, 1, -EPROTO },
	{ GROW, 8, 1, 4, -EPROTO },			/* nor has a view */
	{ GROW, 8, 4, 0x10005, -EPROTO },		/* nor a rate */
	{ GROW, 8, 1, 7, -EPROTO },

	{ PING, 0, 8, 0, -EPROTO },			/* list without an epoch */
	{ PING, 8, 8, 0, -EPROTO },
	{ PING, 16, 8, 1000, 0 },
	{ PING, 16, 8, 1001, -EPROTO },
	{ PING, 136, 8, ~0ULL, -EPROTO },

	{ CHALLENGE, 0, 1, 0, -EPROTO },
	{ CHALLENGE, 0, 1, 64, 0 },
	{ CHALLENGE, 0, 1, 65, -EPROTO },
	{ CHALLENGE, 1, 1, 1, -EPROTO },
	{ CHALLENGE, 2, 2, 0, -EPROTO },		/* nonce without a key */
	{ CHALLENGE, 2, 2, 3, -EPROTO },
	{ CHALLENGE, 2, 2, 0x8001, -EPROTO },
	{ CHALLENGE, 4, 4, 1, -EPROTO },
	{ CHALLENGE, 39, 1, 1, 0 },
};

static void payload_bad_fields(struct kunit *test)
{
	u8 bytes[256];
	struct sample s;
	const struct poke *p;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pokes); i++) {
		p = &pokes[i];
		s = samples[p->sample];
		memcpy(bytes, s.bytes, s.length);
		s.bytes = bytes;
		KUNIT_EXPECT_EQ(test, check(&s, s.length, GRAINS), 0);
		put_le(bytes + p->offset, p->value, p->size);
		KUNIT_EXPECT_EQ_MSG(test, check(&s, s.length, GRAINS), p->err,
				    "sample %u, offset %u, value %llx",
				    p->sample, p->offset, p->value);
	}
}

static void payload_special(struct kunit *test)
{
	struct fclock_msg msg = { .type = FCLOCK_PREPARED };
	struct sample s = { .type = FCLOCK_LOCK_GRANT, .length = 32 };
	u8 bytes[144], ping[144];

	/* PREPARED names a number. */
	KUNIT_EXPECT_EQ(test, fclock_wire_check_payload(&msg, NULL, 1),
			-EPROTO);
	msg.id = 1;
	KUNIT_EXPECT_EQ(test, fclock_wire_check_payload(&msg, NULL, 1), 0);

	/* Grants of nothing: granted, refused, and a map that is nowhere. */
	memset(bytes, 0, sizeof(bytes));
	s.bytes = bytes;
	KUNIT_EXPECT_EQ(test, check(&s, 32, GRAINS), 0);
	bytes[1] = FCLOCK_GRANT_EIO;
	KUNIT_EXPECT_EQ(test, check(&s, 32, GRAINS), 0);
	bytes[24] = 1;
	KUNIT_EXPECT_EQ(test, check(&s, 32, GRAINS), -EPROTO);
	bytes[24] = 0;
	bytes[1] = 2;
	KUNIT_EXPECT_EQ(test, check(&s, 32, GRAINS), -EPROTO);
	bytes[1] = 0;
	bytes[8] = 1;
	KUNIT_EXPECT_EQ(test, check(&s, 32, GRAINS), -EPROTO);

	/* While the volume is not known nothing in it can be named. */
	KUNIT_EXPECT_EQ(test, check(&samples[REQUEST], 24, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, check(&samples[GRANT], 66, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, check(&samples[HELLO], 144, 0), 0);
	KUNIT_EXPECT_EQ(test, check(&samples[PING], 144, 0), 0);

	/* No list: neither an epoch nor members. */
	memcpy(bytes, golden_hello, sizeof(bytes));
	memset(bytes + 40, 0, 16);
	s = (struct sample){ FCLOCK_HELLO, bytes, 144 };
	KUNIT_EXPECT_EQ(test, check(&s, 144, GRAINS), 0);
	memset(ping, 0, sizeof(ping));
	s = (struct sample){ FCLOCK_PING, ping, 144 };
	KUNIT_EXPECT_EQ(test, check(&s, 144, GRAINS), 0);

	/* A refusal without a volume; no key and no nonce. */
	memcpy(bytes, golden_hello, sizeof(bytes));
	memset(bytes + 24, 0, 12);
	bytes[4] = 1;
	s = (struct sample){ FCLOCK_WELCOME, bytes, 144 };
	KUNIT_EXPECT_EQ(test, check(&s, 144, GRAINS), 0);
	memcpy(bytes, golden_hello, sizeof(bytes));
	bytes[66] = 0;
	memset(bytes + 104, 0, 32);
	KUNIT_EXPECT_EQ(test, check(&s, 144, GRAINS), 0);
	bytes[135] = 1;
	KUNIT_EXPECT_EQ(test, check(&s, 144, GRAINS), -EPROTO);
}

/* What an accepted grant says lies in the volume, by slow means. */
static bool grant_sane(const u8 *p, u32 length)
{
	const struct fclock_wire_lock_grant *g = (const void *)p;
	const struct fclock_wire_run *run = (const void *)(g + 1);
	unsigned int i, nr = le16_to_cpu(g->nr_runs);
	u64 bits = le32_to_cpu(g->map_bits), first, count;

	if (length != 32 + nr * 16 + bits / 8)
		return false;
	for (i = 0; i <= nr; i++) {
		first = le64_to_cpu(i < nr ? run[i].first : g->shared_first);
		count = le64_to_cpu(i < nr ? run[i].count : g->shared_count);
		if (first > GRAINS || count > GRAINS || first + count > GRAINS)
			return false;
		if (i < nr && !count)
			return false;
	}
	first = le64_to_cpu(g->map_first);
	for (i = 0; i < bits; i++)
		if (p[32 + nr * 16 + i / 8] & (1 << (i % 8)) &&
		    (first >= GRAINS || first + i >= GRAINS))
			return false;
	return true;
}

static void fuzz_one(struct kunit *test, struct rnd_state *rnd,
		     unsigned int *good)
{
	const struct sample *s;
	struct fclock_msg msg = { .id = 1 };
	unsigned int i, at;
	u8 *payload;

	s = &samples[prandom_u32_state(rnd) % ARRAY_SIZE(samples)];
	if (prandom_u32_state(rnd) % 2)
		s = &samples[GRANT];
	if (!s->bytes)
		return;
	payload = kmemdup(s->bytes, s->length, GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, payload);
	for (i = prandom_u32_state(rnd) % 3 + 1; i; i--) {
		at = prandom_u32_state(rnd) % s->length;
		payload[at] = prandom_u32_state(rnd) >>
			(prandom_u32_state(rnd) % 32);
	}
	msg.type = s->type;
	msg.length = s->length;
	if (!fclock_wire_check_payload(&msg, payload, GRAINS)) {
		(*good)++;
		if (s->type == FCLOCK_LOCK_GRANT &&
		    !grant_sane(payload, s->length))
			KUNIT_FAIL(test, "insane grant: %*ph",
				   (int)s->length, payload);
	}
	kfree(payload);
}

static void payload_fuzz(struct kunit *test)
{
	u32 seed = get_random_u32();
	unsigned int i, good = 0;
	struct rnd_state rnd;

	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < 200000; i++)
		fuzz_one(test, &rnd, &good);
	KUNIT_EXPECT_GT(test, good, 1000U);
}

static struct kunit_case wire_cases[] = {
	KUNIT_CASE(header_golden),
	KUNIT_CASE(header_bit_flips),
	KUNIT_CASE(header_lengths),
	KUNIT_CASE(payload_lengths),
	KUNIT_CASE(payload_unknown_type),
	KUNIT_CASE(payload_golden),
	KUNIT_CASE(hello_golden),
	KUNIT_CASE(payload_bad_fields),
	KUNIT_CASE(payload_special),
	KUNIT_CASE(payload_fuzz),
	{}
};

static struct kunit_suite wire_suite = {
	.name = "fclock_wire",
	.test_cases = wire_cases,
};

kunit_test_suites(&wire_suite);
