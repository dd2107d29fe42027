// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an owner says: LOCK_GRANT and RELEASE_REQUEST. A grant is made when it is
 * sent, from the bits of that moment, which can only have become more.
 */
#include "core-private.h"

static struct fclock_wire_run *put_run(struct fclock_wire_run *run, u64 first,
				       u64 last)
{
	run->first = cpu_to_le64(first);
	run->count = cpu_to_le64(last - first + 1);
	return run + 1;
}

/* The other runs of the slice for a client that comes cold; false: more than fit. */
static bool put_slice_runs(struct fclock_core *core, u16 slots, u64 grain,
			   struct fclock_wire_run *run, unsigned int *nr)
{
	u64 end = fclock_slice_end(core, grain);
	u64 most = min_t(u64, FCLOCK_GRANT_MAX_RUNS,
			 core->sb.geo.slice / 8 / sizeof(*run));
	u64 g = fclock_slice_begin(core, grain), e;

	for (; g <= end; g = e + 1) {
		g = fclock_next_split(core, slots, g, end);
		if (g > end)
			break;
		e = fclock_next_unsplit(core, slots, g, end) - 1;
		if (grain >= g && grain <= e)
			continue;
		if (*nr >= most)
			return false;
		put_run(&run[(*nr)++], g, e);
	}
	return true;
}

static u32 put_slice_map(struct fclock_core *core, u16 slots, u64 grain,
			 struct fclock_wire_lock_grant *grant, u8 *bytes)
{
	u64 first = fclock_slice_begin(core, grain);
	u64 end = fclock_slice_end(core, grain), g, e;
	u32 bits = (end - first + 1) & ~7U;

	if (!bits)
		return 0;
	grant->map_first = cpu_to_le64(first);
	grant->map_bits = cpu_to_le32(bits);
	memset(bytes, 0, bits / 8);
	for (g = first; g < first + bits; g = e + 1) {
		g = fclock_next_split(core, slots, g, end);
		e = fclock_next_unsplit(core, slots, g, end) - 1;
		for (; g <= e && g < first + bits; g++)
			bytes[(g - first) / 8] |= BIT((g - first) % 8);
	}
	return bits / 8;
}

/* Runs are taken from the bits of now: they can only have become longer. */
static u32 encode_runs(struct fclock_core *core, struct fclock_record *rec,
		       struct fclock_wire_lock_grant *grant)
{
	struct fclock_wire_run *run = (void *)(grant + 1);
	u16 slots = fclock_record_slots(core, rec);
	unsigned int nr = 1;
	u64 first, last;
	u32 map = 0;

	if (rec->target != FCLOCK_TARGET_A &&
	    core->sb.slot[rec->target].state == FCLOCK_SLOT_COMPLETE) {
		put_run(run, 0, core->sb.geo.grains - 1);
		grant->nr_runs = cpu_to_le16(1);
		return sizeof(*run);
	}
	fclock_split_run(core, slots, rec->ask_first, &first, &last);
	put_run(run, first, last);
	if (rec->cold && !put_slice_runs(core, slots, rec->ask_first, run,
					 &nr)) {
		nr = 1;
		map = put_slice_map(core, slots, rec->ask_first, grant,
				    (u8 *)(run + 1));
	}
	grant->nr_runs = cpu_to_le16(nr);
	return nr * sizeof(*run) + map;
}

static u32 encode_grant(struct fclock_core *core, struct fclock_record *rec,
			struct fclock_msg *msg,
			struct fclock_wire_lock_grant *grant)
{
	u32 length = sizeof(*grant);

	msg->type = FCLOCK_LOCK_GRANT;
	msg->id = rec->id;
	memset(grant, 0, sizeof(*grant));
	grant->target = rec->target;
	grant->status = rec->status;
	trace_fclock_lock(core->cfg.node, rec->client, FCLOCK_TL_GRANT, rec->id,
			  rec->target, rec->ask_first, rec->ask_last);
	if (rec->state == FCLOCK_REC_HELD) {
		rec->sent = true;
		grant->shared_first = cpu_to_le64(rec->first);
		grant->shared_count = cpu_to_le64(rec->last - rec->first + 1);
		return length;
	}
	if (rec->status == FCLOCK_GRANTED)
		length += encode_runs(core, rec, grant);
	fclock_record_free(core, rec);
	return length;
}

/* Return: length of the payload. @out is no longer queued. */
u32 fclock_owner_encode(struct fclock_core *core, struct fclock_peer *peer,
			struct fclock_out *out, struct fclock_msg *msg,
			void *payload)
{
	struct fclock_record *rec;

	if (out->type == FCLOCK_OUT_GRANT)
		return encode_grant(core,
				    container_of(out, struct fclock_record, out),
				    msg, payload);
	rec = container_of(out, struct fclock_record, recall);
	msg->type = FCLOCK_RELEASE_REQUEST;
	msg->id = rec->id;
	trace_fclock_lock(core->cfg.node, peer->node, FCLOCK_TL_RECALL, rec->id,
			  rec->target, rec->first, rec->last);
	return 0;
}
