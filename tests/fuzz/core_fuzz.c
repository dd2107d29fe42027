// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile peers of a node that is owner, client and participant at once.
 *
 * The input is a program: frames of the two peers, made right and then changed in
 * a few bytes (or not made at all), mixed with the node's own life: I/O, ends of
 * actions, time, devices that come and go, users. When it ends the peers are gone
 * for good, and the node must go on alone.
 */
#include <linux/crc32c.h>
#include "input.h"
#include "node.h"

#define HEADER	sizeof(struct fclock_wire_header)

static u64 peer_of(struct fz *fz, struct input *in)
{
	unsigned int n = in_u8(in) % (FZ_NODES - 1) + 1;

	return n < fz->node ? n : n + 1;
}

/* ------------------------------------------------------------------- frames */

/* An id that means something to the node, the newest of all at 0. */
static struct fz_heard *heard(struct fz_peer *p, u8 back, u8 type)
{
	static struct fz_heard none;
	unsigned int i;
	struct fz_heard *h;

	for (i = 0; i < FZ_IDS; i++) {
		h = &p->heard[(p->nr_heard + 2 * FZ_IDS - 1 - i) % FZ_IDS];
		if (h->type == type && !back--)
			return h;
	}
	return &none;
}

/*
 * The next superblock as this peer might announce it: 0x01 the peer is primary,
 * 0x02 the node itself is, 0x04 the node is not listed, 0x08 other owners, 0x10 slots
 * change, 0x20 another members list, 0x40 another size.
 */
static void make_super(struct fz *fz, unsigned int node, struct input *in,
		       struct fclock_super *sb)
{
	struct fclock_core *core = fz->core;
	u8 how = in_u8(in);
	unsigned int n;

	*sb = core->sb;
	if (!core->have_sb) {
		memset(sb, 0, sizeof(*sb));
		sb->geo = fz->geo;
		memset(sb->uuid, 0x77, sizeof(sb->uuid));
		sb->primary = node;
		sb->owners = 7;
	}
	sb->state = max(sb->state, fz->m.state) + (s8)in_u8(in) + 1;
	for (n = 1; n <= FZ_NODES; n++) {
		struct fclock_participant *part = &sb->part[n - 1];

		memset(part, 0, sizeof(*part));
		part->instance = n == fz->node ? core->instance :
				 fz->peer[n].instance;
		part->attached = 3;
		strscpy(part->host, n == fz->node ? "here" : "there",
			sizeof(part->host));
	}
	if (how & 0x01)
		sb->primary = node;
	if (how & 0x02)
		sb->primary = fz->node;
	if (how & 0x08)
		sb->owners = in_u8(in) & 7;
	if (how & 0x04) {
		memset(&sb->part[fz->node - 1], 0, sizeof(sb->part[0]));
		sb->owners &= ~fclock_node_bit(fz->node);
	}
	if (sb->primary && sb->primary <= FZ_NODES)
		sb->primary_instance = sb->primary == fz->node ? core->instance :
				       fz->peer[sb->primary].instance;
	if (how & 0x10) {
		struct fclock_slot *slot = &sb->slot[in_u8(in) % 3];

		slot->state = in_u8(in) % 4;
		slot->generation = sb->state - in_u8(in) % 4;
		slot->length = sb->geo.length;
		slot->rate = slot->generation & 1 ? 1 << slot->state * 8 : 0;
	}
	if (how & 0x20) {
		sb->epoch = in_number(in);
		sb->members = in_u8(in);
	}
	if (how & 0x40) {
		fclock_geometry_init(&sb->geo, 8 * (in_u8(in) + 1), 8, 0);
		for (n = 0; n < FCLOCK_MAX_SLOTS; n++)
			sb->slot[n].length = sb->slot[n].generation ?
					     sb->geo.length : 0;
	}
}

static void make_grant(struct fz *fz, struct fz_heard *h, struct input *in,
		       u8 *payload, u32 *len)
{
	struct fclock_wire_lock_grant *g = (void *)payload;
	struct fclock_wire_run *run = (void *)(g + 1);
	u64 first = le64_to_cpu(h->req.first);
	u64 last = le64_to_cpu(h->req.last);
	u8 how = in_u8(in);
	unsigned int i;

	memset(g, 0, sizeof(*g));
	*len = sizeof(*g);
	g->target = h->req.target;
	if (how & 0x80) {
		g->status = FCLOCK_GRANT_EIO;
		return;
	}
	if (how & 0x40) {	/* not what was asked for */
		first = in_u8(in);
		last = first + in_u8(in) % 16;
	}
	if (how & 0x01) {
		g->shared_first = cpu_to_le64(first);
		g->shared_count = cpu_to_le64(last - first + 1);
	}
	for (i = 0; i < (how >> 1 & 3); i++) {
		run[i].first = cpu_to_le64(i ? in_u8(in) : first);
		run[i].count = cpu_to_le64(i ? in_u8(in) : last - first + 1);
		*len += sizeof(*run);
	}
	g->nr_runs = cpu_to_le16(i);
	if (how & 0x08) {
		g->map_first = cpu_to_le64(in_u8(in) & 0x30);
		i = in_u8(in) % 8 + 1;
		g->map_bits = cpu_to_le32(8 * i);
		in_bytes(in, payload + *len, i);
		*len += i;
	}
}

static void make_request(struct input *in, u8 *payload)
{
	struct fclock_wire_lock_request *q = (void *)payload;
	u8 how = in_u8(in);
	u64 first = in_u8(in) % FZ_GRAINS;

	memset(q, 0, sizeof(*q));
	q->target = how & 0x0c ? (how >> 2 & 3) - 1 : FCLOCK_TARGET_A;
	q->kind = how & 1 && how & 0x0c ? FCLOCK_KIND_SHARED :
					  FCLOCK_KIND_SPLIT;
	q->first = cpu_to_le64(first);
	q->last = cpu_to_le64(min_t(u64, first + (how >> 4), FZ_GRAINS - 1));
}

static void make_ask(struct fz *fz, struct input *in, u8 *payload)
{
	struct fclock_wire_ask *a = (void *)payload;
	u8 how;

	memset(a, 0, sizeof(*a));
	a->kind = in_u8(in) % 6 + 1;
	switch (a->kind) {
	case FCLOCK_ASK_RESIZE:
		a->length = cpu_to_le64(in_u8(in) * 16);
		break;
	case FCLOCK_ASK_WISH:
		how = in_u8(in);
		a->length = cpu_to_le64(how & 1 ? fz->room : how * 8);
		a->copy[how % 3] = cpu_to_le64(fz->room);
		a->flags = in_u8(in) & FCLOCK_WISH_JOINED;
		a->attached = cpu_to_le16(in_u8(in));
		a->offline = cpu_to_le16(in_u8(in) & in_u8(in));
		a->complete = cpu_to_le16(in_u8(in) & in_u8(in));
		strscpy(a->host, "there", sizeof(a->host));
		break;
	case FCLOCK_ASK_TRIGGER:
	case FCLOCK_ASK_STOP:
		a->slots = cpu_to_le16(in_u8(in) % 8);
		break;
	case FCLOCK_ASK_COPY_RATE:
		a->slots = cpu_to_le16(BIT(in_u8(in) % 3));
		a->rate = cpu_to_le32(in_number(in));
		break;
	}
}

static void make_prepare(struct fz *fz, struct input *in, u8 *payload)
{
	struct fclock_wire_prepare *p = (void *)payload;
	u64 number = max(fz->core->sb.state, fz->core->prep.number + 1);

	memset(p, 0, sizeof(*p));
	p->number = cpu_to_le64(number + in_u8(in) % 8);
	p->kind = in_u8(in) % 6 + 1;
	if (p->kind == FCLOCK_RESIZE)
		p->length = cpu_to_le64(in_u8(in) * 16);
	else if (p->kind != FCLOCK_VIEW)
		p->slots = cpu_to_le16(in_u8(in) % 8);
}

static void make_ping(struct fz *fz, struct input *in, u8 *payload)
{
	struct fclock_wire_ping *p = (void *)payload;

	memset(p, 0, sizeof(*p));
	p->epoch = cpu_to_le64(fz->core->epoch + in_u8(in) % 3);
	p->members = cpu_to_le64(in_u8(in) & 1 ? in_u8(in) :
				 fz->core->members);
	p->split[0] = cpu_to_le64(in_u8(in) % 64);
}

/* Its checksum is right, whatever else is wrong. */
static void seal_super(u8 *block)
{
	u32 crc;

	memset(block + 12, 0, 4);
	crc = crc32c(~0, block, FCLOCK_MD_BLOCK_SIZE);
	memcpy(block + 12, &crc, 4);
}

static void make_payload(struct fz *fz, unsigned int node, struct input *in,
			 struct fclock_msg *msg, u8 *payload)
{
	static struct fclock_super sb;
	struct fz_peer *p = &fz->peer[node];
	struct fz_heard *h;

	msg->length = 0;
	switch (msg->type) {
	case FCLOCK_LOCK_REQUEST:
		make_request(in, payload);
		msg->length = sizeof(struct fclock_wire_lock_request);
		msg->id = (u64)in_u8(in) << 16 | in_u8(in) % FCLOCK_OBJECTS;
		break;
	case FCLOCK_LOCK_GRANT:
		h = heard(p, in_u8(in) % FZ_IDS, FCLOCK_LOCK_REQUEST);
		make_grant(fz, h, in, payload, &msg->length);
		msg->id = h->id;
		break;
	case FCLOCK_RELEASE_REQUEST:
		msg->id = heard(p, in_u8(in) % FZ_IDS, FCLOCK_LOCK_REQUEST)->id;
		break;
	case FCLOCK_RELEASED:
		msg->id = heard(p, in_u8(in) % FZ_IDS, FCLOCK_LOCK_GRANT)->id;
		break;
	case FCLOCK_HELLO:
	case FCLOCK_WELCOME:
		fz_fill_hello(fz, node, (void *)payload);
		msg->length = sizeof(struct fclock_wire_hello);
		break;
	case FCLOCK_ASK:
		make_ask(fz, in, payload);
		msg->length = sizeof(struct fclock_wire_ask);
		msg->id = in_u8(in);
		break;
	case FCLOCK_ANSWER:
		memset(payload, 0, sizeof(struct fclock_wire_answer));
		payload[0] = in_u8(in) & 1;
		msg->length = sizeof(struct fclock_wire_answer);
		msg->id = heard(p, in_u8(in) % FZ_IDS, FCLOCK_ASK)->id;
		break;
	case FCLOCK_PREPARE:
		make_prepare(fz, in, payload);
		msg->length = sizeof(struct fclock_wire_prepare);
		break;
	case FCLOCK_PREPARED:
		msg->id = fz->core->pri.number;
		break;
	case FCLOCK_RESUME:
	case FCLOCK_ABORT:
		make_super(fz, node, in, &sb);
		fclock_super_encode(&sb, payload);
		msg->length = FCLOCK_MD_BLOCK_SIZE;
		break;
	case FCLOCK_PING:
		make_ping(fz, in, payload);
		msg->length = sizeof(struct fclock_wire_ping);
		break;
	}
}

/* 0x01 other header fields, 0x02 other bytes (0x04: also of the header), 0x08 other length */
static void frame(struct fz *fz, unsigned int node, u8 type, struct input *in)
{
	static u8 buf[FCLOCK_FRAME_MAX + 256] __aligned(8);
	struct fz_peer *p = &fz->peer[node];
	u8 how = in_u8(in), *payload;
	struct fclock_msg msg = {
		.type = type,
		.sender = p->instance,
		.receiver = fz->core->instance,
		.state = fz->core->sb.state,
		.seq = type == FCLOCK_HELLO ? 1 : ++p->seq,
	};

	memset(buf, 0, sizeof(buf));
	make_payload(fz, node, in, &msg, buf + HEADER);
	if (how & 0x01) {
		u8 which = in_u8(in);

		if (which & 0x01)
			msg.state += (s8)in_u8(in);
		if (which & 0x02)
			msg.id = in_number(in);
		if (which & 0x04)
			msg.sender = in_number(in);
		if (which & 0x08)
			msg.receiver = in_number(in);
		if (which & 0x10)
			msg.seq = in_number(in);
		if (which & 0x20)
			msg.state = in_number(in);
	}
	if (how & 0x08)
		msg.length = in_u16(in) % (FCLOCK_MD_BLOCK_SIZE + 16);
	fclock_wire_encode_header(buf, &msg);
	if (how & 0x02)
		in_patch(in, buf + HEADER, msg.length);
	if ((how & 0x02) && msg.length == FCLOCK_MD_BLOCK_SIZE &&
	    !(how & 0x10))
		seal_super(buf + HEADER);
	if (how & 0x04)
		in_patch(in, buf, HEADER);
	/* in memory of its own size: nobody reads beyond it */
	payload = malloc(msg.length);
	memcpy(payload, buf + HEADER, msg.length);
	fz_frame(fz, node, buf, payload, msg.length);
	free(payload);
}

/* Bytes as they come. */
static void raw_frame(struct fz *fz, unsigned int node, struct input *in)
{
	u8 header[HEADER] __aligned(8);
	u8 *payload;
	u16 len;

	in_bytes(in, header, sizeof(header));
	len = in_u16(in) % (FCLOCK_MD_BLOCK_SIZE + 1);
	payload = malloc(len);
	in_bytes(in, payload, len);
	fz_frame(fz, node, header, payload, len);
	free(payload);
}

static void link_event(struct fz *fz, struct input *in)
{
	unsigned int node = peer_of(fz, in);
	u8 how = in_u8(in);

	if (how & 1) {
		fz_lost(fz, node);
		return;
	}
	if (how & 2)
		fz->peer[node].instance += 10;
	if (node < fz->node) {
		fz_connect(fz, node);
		frame(fz, node, FCLOCK_WELCOME, in);
	} else {
		frame(fz, node, FCLOCK_HELLO, in);
	}
}

/* ---------------------------------------------------------- the node's life */

static void submit(struct fz *fz, struct input *in)
{
	u8 how = in_u8(in);
	u64 first = in_u8(in) % FZ_GRAINS;
	u8 target = how & 3 ? (how & 3) - 1 : FCLOCK_TARGET_A;
	u8 io = (how >> 2) % 3;

	/* reads of A never come to the core */
	if (target == FCLOCK_TARGET_A && io == FCLOCK_IO_READ)
		io = FCLOCK_IO_WRITE;
	fz_bio(fz, how >> 4, target, io, first,
	       min_t(u64, first + in_u8(in) % 20, FZ_GRAINS - 1));
}

/* The primary, another node, wrote M. */
static void other_super(struct fz *fz, struct input *in)
{
	static u8 block[FCLOCK_MD_BLOCK_SIZE];
	static struct fclock_super sb;

	if (fclock_is_primary(fz->core) || fz->write)
		return;
	make_super(fz, peer_of(fz, in), in, &sb);
	fclock_super_encode(&sb, block);
	if (fclock_super_decode(block, &sb) ||
	    !fclock_fits(fz->core, &sb))
		return;
	/* nobody strikes who takes part and was not left out */
	if (fclock_is_listed(fz->core) &&
	    sb.part[fz->node - 1].instance != fz->core->instance)
		return;
	fz->m = sb;
	fz->formatted = true;
}

static bool no_memory(size_t size, gfp_t gfp)
{
	return !(gfp & __GFP_DIRECT_RECLAIM);
}

static void local_event(struct fz *fz, u8 op, struct input *in)
{
	static const int errors[] = { 0, 0, -EIO, -ENOMEM };
	struct fclock_core *core = fz->core;
	u8 v = in_u8(in);
	int r;

	switch (op % 16) {
	case 0:
		fz_copied(fz, v, !(v & 0x70), v & 0x80 ? v & 3 : 0);
		break;
	case 1:
		fz_committed(fz, v & 0x80 ? (v & 0x40 ? ~0 : v & 3) : 0);
		break;
	case 2:
		fz_loaded(fz, v, v & 0x80 ? -EILSEQ : 0, in_u8(in));
		break;
	case 3:
		fz_owner_started(fz, errors[v % 4]);
		break;
	case 4:
		fz_written(fz, errors[v % 3]);
		break;
	case 5:
		if (v & 0x80)
			other_super(fz, in);
		fz_super_read(fz, v & 0x40 ? -EIO : 0);
		break;
	case 6:
		fz_gated(fz);
		break;
	case 7:
		fz_tick(fz, v & 0x80 ? 1000 : v);
		break;
	case 8:
		fz_ask(fz, v, v & 0x80 ? FCLOCK_ASK_STOP :
		       v & 0x40 ? FCLOCK_ASK_COPY_RATE : FCLOCK_ASK_TRIGGER,
		       in_u8(in) % 8);
		break;
	case 9:
		fz_ask_cancel(fz, v);
		break;
	case 10:
		fz_do(fz, r = fclock_core_members(core, core->epoch + v % 3,
						  in_u8(in) % 8));
		fz_say(fz, "members: %d", r);
		break;
	case 11:
		if (v & 0x80)
			fz_detach(fz, v % FZ_SLOTS);
		else
			fz_attach(fz, v % FZ_SLOTS);
		break;
	case 12:
		if (v & 1)
			fz_do(fz, fclock_client_requeue(core, v & 2 ? 0 :
							FCLOCK_TARGET_A));
		else if (v & 2)
			fz_do(fz, fclock_cache_drop_all(&core->cache));
		else
			fz_do(fz, fclock_cache_set_limit(&core->cache, v & 4 ?
							 128 : ~0ULL));
		break;
	case 13:
		shim_alloc_fails = v & 1 ? no_memory : NULL;
		break;
	case 14:
		if (fz->peer[v % FZ_NODES + 1].link != FZ_DOWN)
			fz->peer[v % FZ_NODES + 1].stalled = v & 0x80;
		fz_after(fz);
		break;
	case 15:
		if (v == 0xff)
			fz_do(fz, fclock_core_leave(core));
		else if (v == 0xfe && core->phase == FCLOCK_LEAVING)
			fz_do(fz, fclock_core_leave_now(core));
		break;
	}
}

static void step(struct fz *fz, struct input *in)
{
	static const u8 types[] = {
		FCLOCK_LOCK_REQUEST, FCLOCK_LOCK_GRANT, FCLOCK_RELEASE_REQUEST,
		FCLOCK_RELEASED, FCLOCK_BYE, FCLOCK_ASK, FCLOCK_ANSWER,
		FCLOCK_PREPARE, FCLOCK_PREPARED, FCLOCK_RESUME, FCLOCK_ABORT,
		FCLOCK_PING,
	};
	u8 op = in_u8(in) % 48;
	unsigned int i;

	if (op < 2 * ARRAY_SIZE(types))
		frame(fz, peer_of(fz, in), types[op % ARRAY_SIZE(types)], in);
	else if (op == 24)
		raw_frame(fz, peer_of(fz, in), in);
	else if (op == 25)
		link_event(fz, in);
	else if (op < 28)
		submit(fz, in);
	else if (op < 30)
		for (i = 0; i < FZ_BIOS; i++)
			fz_bio_done(fz, i);
	else if (op < 32)
		fz_settle(fz, 1);
	else
		local_event(fz, op, in);
}

/* ------------------------------------------------------------------ beginning */

static void say(struct fz *fz, unsigned int node, u8 type, const u8 *program,
		size_t len)
{
	struct input in = { program, program + len };

	frame(fz, node, type, &in);
}

static void links_up(struct fz *fz)
{
	static const u8 well[] = { 0 };
	unsigned int n;

	for (n = 1; n <= FZ_NODES; n++) {
		if (n < fz->node)
			fz_connect(fz, n);
		if (n != fz->node)
			say(fz, n, n < fz->node ? FCLOCK_WELCOME : FCLOCK_HELLO,
			    well, sizeof(well));
	}
}

/*
 * 0: M is empty, nobody is there. 1: all listed, a peer is primary, the node owns
 * everything. 2: so, but all three own. 3: the node is primary and alone at first.
 */
static void begin(struct fz *fz, u8 how)
{
	/* no odd bytes; the peer is primary, these own, slot 0 becomes active */
	u8 resume[] = { 0, 0x19, 4, 7, 0, 1, 1 };
	unsigned int s, primary = fz->node == 1 ? 2 : 1;

	for (s = 0; s < FZ_SLOTS && how; s++)
		fz_attach(fz, s);
	fz_do(fz, fclock_core_start(fz->core));
	if (how == 1 || how == 2) {
		resume[3] = how == 2 ? 7 : fclock_node_bit(fz->node);
		links_up(fz);
		say(fz, primary, FCLOCK_RESUME, resume, sizeof(resume));
		fz->m = fz->core->sb;
		fz->formatted = true;
		fz_check(fz->core->phase == FCLOCK_RUNNING);
	} else if (how == 3) {
		fz_do(fz, fclock_core_members(fz->core, 1,
					      fclock_node_bit(fz->node)));
		fz_settle(fz, 10);
		fz_check(fclock_is_primary(fz->core));
		fz_do(fz, fclock_core_members(fz->core, 2, 7));
		links_up(fz);
		fz_ask(fz, 0, FCLOCK_ASK_TRIGGER, 1);
	}
	if (how)
		fz_settle(fz, 5);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct fz fz;
	struct fclock_geometry geo;
	struct input in = { data, data + size };
	u8 how = in_u8(&in);

	fz_geometry(&geo);
	fz_init(&fz, how % FZ_NODES + 1, &geo, how & 0x40 ? 0 : ~0ULL);
	begin(&fz, how >> 4 & 3);
	while (!in_empty(&in))
		step(&fz, &in);
	shim_alloc_fails = NULL;
	fz_must_live(&fz);
	fz_exit(&fz);
	return 0;
}
