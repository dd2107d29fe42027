// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encoding and checking of frames. Nothing in a frame is used before it was
 * checked here, and nothing that is not used may be other than zero.
 */
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/string.h>
#include "wire.h"

#define FCLOCK_WIRE_MAX_ERRNO	4095

#define FCLOCK_GRANT_MAX	(sizeof(struct fclock_wire_lock_grant) + \
	FCLOCK_GRANT_MAX_RUNS * sizeof(struct fclock_wire_run) + \
	FCLOCK_GRANT_MAP_BYTES)
static_assert(FCLOCK_GRANT_MAX <= FCLOCK_MD_BLOCK_SIZE);
static_assert(offsetof(struct fclock_wire_header, length) == 8);
static_assert(offsetof(struct fclock_wire_header, sender) == 16);
static_assert(offsetof(struct fclock_wire_header, tag) == 56);

static bool fclock_zero(const void *p, size_t len)
{
	return !memchr_inv(p, 0, len);
}

void fclock_wire_encode_header(void *buf, const struct fclock_msg *msg)
{
	struct fclock_wire_header *h = buf;

	memset(h, 0, sizeof(*h));
	h->magic = cpu_to_le32(FCLOCK_WIRE_MAGIC);
	h->version = FCLOCK_WIRE_VERSION;
	h->type = msg->type;
	h->length = cpu_to_le32(msg->length);
	h->sender = cpu_to_le64(msg->sender);
	h->receiver = cpu_to_le64(msg->receiver);
	h->state = cpu_to_le64(msg->state);
	h->id = cpu_to_le64(msg->id);
	h->seq = cpu_to_le64(msg->seq);
}

/* Payload lengths [*@min, *@max] of a type. False: no such type. */
static bool fclock_wire_lengths(u8 type, u32 *min, u32 *max)
{
	u32 len;

	switch (type) {
	case FCLOCK_LOCK_GRANT:
		*min = sizeof(struct fclock_wire_lock_grant);
		*max = FCLOCK_GRANT_MAX;
		return true;
	case FCLOCK_LOCK_REQUEST:
		len = sizeof(struct fclock_wire_lock_request);
		break;
	case FCLOCK_RELEASE_REQUEST:
	case FCLOCK_RELEASED:
	case FCLOCK_BYE:
	case FCLOCK_PREPARED:
		len = 0;
		break;
	case FCLOCK_CHALLENGE:
		len = sizeof(struct fclock_wire_challenge);
		break;
	case FCLOCK_HELLO:
	case FCLOCK_WELCOME:
		len = sizeof(struct fclock_wire_hello);
		break;
	case FCLOCK_ASK:
		len = sizeof(struct fclock_wire_ask);
		break;
	case FCLOCK_ANSWER:
		len = sizeof(struct fclock_wire_answer);
		break;
	case FCLOCK_PREPARE:
		len = sizeof(struct fclock_wire_prepare);
		break;
	case FCLOCK_RESUME:
	case FCLOCK_ABORT:
		len = FCLOCK_MD_BLOCK_SIZE;
		break;
	case FCLOCK_PING:
		len = sizeof(struct fclock_wire_ping);
		break;
	default:
		return false;
	}
	*min = len;
	*max = len;
	return true;
}

int fclock_wire_decode_header(const void *buf, struct fclock_msg *msg)
{
	const struct fclock_wire_header *h = buf;
	u32 min, max;

	if (le32_to_cpu(h->magic) != FCLOCK_WIRE_MAGIC)
		return -EPROTO;
	if (h->version != FCLOCK_WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (h->reserved || h->reserved2 ||
	    !fclock_wire_lengths(h->type, &min, &max))
		return -EPROTO;

	msg->type = h->type;
	msg->length = le32_to_cpu(h->length);
	msg->sender = le64_to_cpu(h->sender);
	msg->receiver = le64_to_cpu(h->receiver);
	msg->state = le64_to_cpu(h->state);
	msg->id = le64_to_cpu(h->id);
	msg->seq = le64_to_cpu(h->seq);
	return msg->length < min || msg->length > max ? -EMSGSIZE : 0;
}

/* [first, first + count) holds something and ends within the volume. */
static bool fclock_wire_range_ok(u64 first, u64 count, u64 grains)
{
	return count && first < grains && count <= grains - first;
}

static bool fclock_wire_target_ok(u8 target)
{
	return target == FCLOCK_TARGET_A || target < FCLOCK_MAX_SLOTS;
}

static bool fclock_wire_request_ok(const struct fclock_wire_lock_request *p,
				   u64 grains)
{
	u64 first = le64_to_cpu(p->first);
	u64 last = le64_to_cpu(p->last);

	if (!fclock_wire_target_ok(p->target) ||
	    !fclock_zero(p->pad, sizeof(p->pad)))
		return false;
	if (p->kind != FCLOCK_KIND_SPLIT && p->kind != FCLOCK_KIND_SHARED)
		return false;
	if (p->kind == FCLOCK_KIND_SHARED && p->target == FCLOCK_TARGET_A)
		return false;
	return first <= last && last < grains;
}

/*
 * The map may end up to 7 bits behind the volume, as it is sent in bytes; none
 * of those is set.
 */
static bool fclock_wire_map_ok(const struct fclock_wire_lock_grant *p,
			       const u8 *map, u64 grains)
{
	u64 first = le64_to_cpu(p->map_first);
	u32 bits = le32_to_cpu(p->map_bits);
	u64 spare;

	if (!bits)
		return !first;
	if (first >= grains)
		return false;
	if (bits <= grains - first)
		return true;
	spare = bits - (grains - first);
	return spare < 8 && !(map[bits / 8 - 1] >> (8 - spare));
}

static bool fclock_wire_shared_ok(const struct fclock_wire_lock_grant *p,
				  u64 grains)
{
	if (!p->shared_count)
		return !p->shared_first;
	return p->target != FCLOCK_TARGET_A &&
		fclock_wire_range_ok(le64_to_cpu(p->shared_first),
				     le64_to_cpu(p->shared_count), grains);
}

static int fclock_wire_check_grant(const struct fclock_wire_lock_grant *p,
				   u32 length, u64 grains)
{
	const struct fclock_wire_run *run = (const void *)(p + 1);
	unsigned int i, nr_runs = le16_to_cpu(p->nr_runs);
	u32 map_bits = le32_to_cpu(p->map_bits);

	if (!fclock_wire_target_ok(p->target) ||
	    nr_runs > FCLOCK_GRANT_MAX_RUNS || map_bits % 8 ||
	    map_bits > FCLOCK_MAX_SLICE)
		return -EPROTO;
	if (length != sizeof(*p) + nr_runs * sizeof(*run) + map_bits / 8)
		return -EMSGSIZE;
	if (p->status != FCLOCK_GRANTED &&
	    (p->status != FCLOCK_GRANT_EIO || nr_runs || map_bits ||
	     p->shared_count))
		return -EPROTO;

	for (i = 0; i < nr_runs; i++)
		if (!fclock_wire_range_ok(le64_to_cpu(run[i].first),
					  le64_to_cpu(run[i].count), grains))
			return -EPROTO;
	if (!fclock_wire_map_ok(p, (const u8 *)(run + nr_runs), grains) ||
	    !fclock_wire_shared_ok(p, grains))
		return -EPROTO;
	return 0;
}

/* A members list, or none. Epoch 0 with a list would differ from everybody's none. */
static bool fclock_wire_list_ok(__le64 epoch, __le64 members)
{
	return !epoch == !members && le64_to_cpu(epoch) <= FCLOCK_EPOCH_MAX;
}

static bool fclock_wire_node_ok(u8 id)
{
	return id >= 1 && id <= FCLOCK_MAX_NODES;
}

/* Whose key it is shows in the flag; who has none sends no nonce. */
static bool fclock_wire_key_ok(u16 flags, const u8 *nonce)
{
	if (flags & ~FCLOCK_HELLO_KEY)
		return false;
	return flags & FCLOCK_HELLO_KEY || fclock_zero(nonce, FCLOCK_NONCE_LEN);
}

static bool fclock_wire_challenge_ok(const struct fclock_wire_challenge *p)
{
	return fclock_wire_node_ok(p->node_id) && !p->pad && !p->pad2 &&
		fclock_wire_key_ok(le16_to_cpu(p->flags), p->nonce);
}

/* A refusal need not know the volume. */
static bool fclock_wire_hello_ok(const struct fclock_wire_hello *p,
				 bool welcome)
{
	u32 refusal = le32_to_cpu(p->refusal);
	u32 grain = le32_to_cpu(p->grain);

	if (!p->min_version || p->min_version > p->max_version ||
	    !fclock_wire_node_ok(p->node_id) ||
	    !fclock_wire_node_ok(p->peer_id) || p->node_id == p->peer_id)
		return false;
	if (refusal > (welcome ? FCLOCK_WIRE_MAX_ERRNO : 0) ||
	    !fclock_wire_list_ok(p->epoch, p->members))
		return false;
	if (!refusal && (!p->length ||
			 le64_to_cpu(p->room) < le64_to_cpu(p->length) ||
			 !is_power_of_2(grain) ||
			 grain < FCLOCK_MIN_GRAIN || grain > FCLOCK_MAX_GRAIN))
		return false;
	return fclock_wire_key_ok(le16_to_cpu(p->flags), p->nonce) &&
		fclock_host_ok(p->host);
}

static bool fclock_wire_ask_ok(const struct fclock_wire_ask *p)
{
	if (!fclock_zero(p->pad, sizeof(p->pad)))
		return false;
	if (p->kind == FCLOCK_ASK_WISH)
		return !(p->flags & ~FCLOCK_WISH_JOINED) && !p->slots &&
			!p->rate && fclock_host_ok(p->host);

	/* The rest of the fields belongs to a wish. */
	if (p->flags || p->attached || p->offline || p->complete ||
	    !fclock_zero(p->host, sizeof(p->host)) ||
	    !fclock_zero(p->copy, sizeof(p->copy)))
		return false;
	switch (p->kind) {
	case FCLOCK_ASK_COPY_RATE:
		return p->slots && !p->length;
	case FCLOCK_ASK_TRIGGER:
	case FCLOCK_ASK_STOP:
		return p->slots && !p->rate && !p->length;
	case FCLOCK_ASK_RESIZE:
		return !p->slots && !p->rate && p->length;
	case FCLOCK_ASK_CANCEL:
		return !p->slots && !p->rate && !p->length;
	}
	return false;
}

/* The text ends in a log: one line, and nothing behind its end. */
static bool fclock_wire_answer_ok(const struct fclock_wire_answer *p)
{
	unsigned int i;
	u8 c;

	if (p->pad || le32_to_cpu(p->error) > FCLOCK_WIRE_MAX_ERRNO)
		return false;
	for (i = 0; i < FCLOCK_ANSWER_TEXT && p->text[i]; i++) {
		c = p->text[i];
		if (c < ' ' || c == 0x7f)
			return false;
	}
	return i < FCLOCK_ANSWER_TEXT &&
		fclock_zero(p->text + i, FCLOCK_ANSWER_TEXT - i);
}

static bool fclock_wire_prepare_ok(const struct fclock_wire_prepare *p)
{
	/* the core's mark of an instance that has ended is no number */
	if (!p->number || p->number == cpu_to_le64(~0ULL) || p->pad || p->pad2)
		return false;
	switch (p->kind) {
	case FCLOCK_TRIGGER:
	case FCLOCK_STOP:
	case FCLOCK_OFFLINE:
	case FCLOCK_COPY_RATE:
		return p->slots && !p->length;
	case FCLOCK_VIEW:
		return !p->slots && !p->length;
	case FCLOCK_RESIZE:
		return !p->slots && p->length;
	}
	return false;
}

static bool fclock_wire_ping_ok(const struct fclock_wire_ping *p, u64 grains)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_MAX_SLOTS; i++)
		if (grains && le64_to_cpu(p->split[i]) > grains)
			return false;
	return fclock_wire_list_ok(p->epoch, p->members);
}

int fclock_wire_check_payload(const struct fclock_msg *msg, const void *payload,
			      u64 grains)
{
	u32 min, max;
	bool ok;

	if (!fclock_wire_lengths(msg->type, &min, &max))
		return -EPROTO;
	if (msg->length < min || msg->length > max)
		return -EMSGSIZE;

	switch (msg->type) {
	case FCLOCK_LOCK_GRANT:
		return fclock_wire_check_grant(payload, msg->length, grains);
	case FCLOCK_LOCK_REQUEST:
		ok = fclock_wire_request_ok(payload, grains);
		break;
	case FCLOCK_CHALLENGE:
		ok = fclock_wire_challenge_ok(payload);
		break;
	case FCLOCK_HELLO:
	case FCLOCK_WELCOME:
		ok = fclock_wire_hello_ok(payload,
					  msg->type == FCLOCK_WELCOME);
		break;
	case FCLOCK_ASK:
		ok = fclock_wire_ask_ok(payload);
		break;
	case FCLOCK_ANSWER:
		ok = fclock_wire_answer_ok(payload);
		break;
	case FCLOCK_PREPARE:
		ok = fclock_wire_prepare_ok(payload);
		break;
	case FCLOCK_PREPARED:
		ok = msg->id;
		break;
	case FCLOCK_PING:
		ok = fclock_wire_ping_ok(payload, grains);
		break;
	default:
		/* Nothing to check, or left to fclock_super_decode(). */
		ok = true;
		break;
	}
	return ok ? 0 : -EPROTO;
}
