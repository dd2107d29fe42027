// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wire decoder alone: any 72 bytes as a header, any payload behind it. What it
 * lets pass is looked at by the promises of wire.h, written down a second time.
 */
#include "input.h"
#include "node.h"

#define HEADER	sizeof(struct fclock_wire_header)

static void check_run(u64 first, u64 count, u64 grains)
{
	fz_check(count && first < grains && count <= grains - first);
}

static void check_grant(const struct fclock_wire_lock_grant *g, u32 length,
			u64 grains)
{
	const struct fclock_wire_run *run = (const void *)(g + 1);
	u32 i, nr = le16_to_cpu(g->nr_runs), bits = le32_to_cpu(g->map_bits);
	const u8 *map = (const u8 *)(run + nr);

	fz_check(nr <= FCLOCK_GRANT_MAX_RUNS && bits <= FCLOCK_MAX_SLICE);
	fz_check(sizeof(*g) + nr * sizeof(*run) + bits / 8 == length);
	for (i = 0; i < nr; i++)
		check_run(le64_to_cpu(run[i].first), le64_to_cpu(run[i].count),
			  grains);
	for (i = 0; i < bits; i++)
		if (map[i / 8] & BIT(i % 8))
			check_run(le64_to_cpu(g->map_first), i + 1, grains);
	if (g->shared_count)
		check_run(le64_to_cpu(g->shared_first),
			  le64_to_cpu(g->shared_count), grains);
}

static void check_text(const char *text, size_t size)
{
	const char *end = memchr(text, 0, size);

	fz_check(end);
	for (; text < end; text++)
		fz_check((u8)*text >= ' ' && (u8)*text < 0x7f);
}

static void check_good(const struct fclock_msg *msg, const void *payload,
		       u64 grains)
{
	const struct fclock_wire_lock_request *q = payload;
	const struct fclock_wire_challenge *c = payload;
	const struct fclock_wire_hello *h = payload;
	const struct fclock_wire_prepare *p = payload;
	const struct fclock_wire_ask *a = payload;
	static struct fclock_super sb;

	switch (msg->type) {
	case FCLOCK_LOCK_REQUEST:
		fz_check(q->target == FCLOCK_TARGET_A ||
			 q->target < FCLOCK_MAX_SLOTS);
		fz_check(q->kind == 1 || q->kind == 2);
		check_run(le64_to_cpu(q->first), le64_to_cpu(q->last) -
			  le64_to_cpu(q->first) + 1, grains);
		break;
	case FCLOCK_LOCK_GRANT:
		check_grant(payload, msg->length, grains);
		break;
	case FCLOCK_CHALLENGE:
		fz_check(c->node_id && c->node_id <= FCLOCK_MAX_NODES);
		fz_check(!(le16_to_cpu(c->flags) & ~FCLOCK_HELLO_KEY));
		fz_check(c->flags || !memchr_inv(c->nonce, 0,
						 sizeof(c->nonce)));
		break;
	case FCLOCK_HELLO:
	case FCLOCK_WELCOME:
		fz_check(!(le16_to_cpu(h->flags) & ~FCLOCK_HELLO_KEY));
		fz_check(h->flags || !memchr_inv(h->nonce, 0,
						 sizeof(h->nonce)));
		fz_check(h->node_id && h->node_id <= FCLOCK_MAX_NODES);
		fz_check(h->peer_id && h->peer_id <= FCLOCK_MAX_NODES);
		check_text(h->host, sizeof(h->host));
		break;
	case FCLOCK_ASK:
		fz_check(a->kind && a->kind <= 6);
		fz_check(!a->rate || a->kind == FCLOCK_ASK_COPY_RATE);
		check_text(a->host, sizeof(a->host));
		break;
	case FCLOCK_PREPARE:
		/* the greatest number means that an instance has ended */
		fz_check(p->number && p->number != cpu_to_le64(~0ULL));
		fz_check(p->kind && p->kind <= 6);
		fz_check(!p->length == (p->kind != FCLOCK_RESIZE));
		break;
	case FCLOCK_RESUME:
	case FCLOCK_ABORT:
		fclock_super_decode(payload, &sb);
		break;
	}
}

/* A header of the right kind for the type, if the input does not want another. */
static void make_header(struct input *in, u8 *buf)
{
	static const u32 lengths[] = {
		0, sizeof(struct fclock_wire_lock_request),
		sizeof(struct fclock_wire_hello),
		sizeof(struct fclock_wire_ask),
		sizeof(struct fclock_wire_answer),
		sizeof(struct fclock_wire_prepare),
		sizeof(struct fclock_wire_ping), FCLOCK_MD_BLOCK_SIZE,
	};
	struct fclock_msg msg = { .type = in_u8(in), .seq = 1 };
	u8 how = in_u8(in);

	if (how & 0x80) {
		in_bytes(in, buf, HEADER);
		return;
	}
	msg.length = how & 0x40 ? in_u16(in) : lengths[how % 8];
	if ((how & 0xf8) == 0x18)
		msg.length = sizeof(struct fclock_wire_challenge);
	msg.id = in_u8(in);
	msg.state = in_number(in);
	fclock_wire_encode_header(buf, &msg);
	if (how & 0x20)
		in_patch(in, buf, HEADER);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 header[HEADER] __aligned(8), again[HEADER] __aligned(8);
	struct input in = { data, data + size };
	struct fclock_msg msg;
	u64 grains = in_number(&in);
	void *payload;

	make_header(&in, header);
	if (fclock_wire_decode_header(header, &msg))
		return 0;
	fz_check(msg.length <= FCLOCK_MD_BLOCK_SIZE);
	/* all but the tag, which is for keys */
	fclock_wire_encode_header(again, &msg);
	fz_check(!memcmp(header, again, HEADER - FCLOCK_TAG_LEN));

	payload = malloc(msg.length);
	in_bytes(&in, payload, msg.length);
	if (!fclock_wire_check_payload(&msg, payload, grains))
		check_good(&msg, payload, grains);
	free(payload);
	return 0;
}
