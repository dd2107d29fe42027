/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the core say to each other. All of it with core->lock held.
 */
#ifndef FCLOCK_CORE_PRIVATE_H
#define FCLOCK_CORE_PRIVATE_H

#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/string.h>
#include "core.h"
#include "placement.h"
#include "trace.h"

#define fclock_say(core, fmt, ...) \
	pr_warn("device-mapper: fclock: node %u: " fmt "\n", \
		(core)->cfg.node, ##__VA_ARGS__)

/* For what a peer can make this node say as often as it likes. */
#define fclock_say_limited(core, fmt, ...) \
	pr_warn_ratelimited("device-mapper: fclock: node %u: " fmt "\n", \
			    (core)->cfg.node, ##__VA_ARGS__)

/* "0,2" */
struct fclock_slot_list {
	char text[FCLOCK_MAX_SLOTS * 3];
};

struct fclock_slot_list fclock_list_slots(u16 slots);

static inline struct fclock_peer *fclock_self(struct fclock_core *core)
{
	return &core->peer[core->cfg.node];
}

static inline unsigned int fclock_map_index(u8 target)
{
	return target == FCLOCK_TARGET_A ? FCLOCK_CACHE_A : target;
}

static inline u64 fclock_node_bit(unsigned int node)
{
	return 1ULL << (node - 1);
}

/* The configured node after @peer, self included; NULL begins, NULL ends. */
static inline struct fclock_peer *fclock_next_peer(struct fclock_core *core,
						   struct fclock_peer *peer)
{
	peer = peer ? peer + 1 : &core->peer[1];
	for (; peer <= &core->peer[FCLOCK_MAX_NODES]; peer++)
		if (peer->configured)
			return peer;
	return NULL;
}

/* Slots whose state is @state. */
static inline u16 fclock_slots_in(const struct fclock_super *sb, u8 state)
{
	unsigned int s;
	u16 slots = 0;

	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (sb->slot[s].state == state)
			slots |= BIT(s);
	return slots;
}

static inline u64 fclock_listed_instance(const struct fclock_super *sb,
					 unsigned int node)
{
	return node ? sb->part[node - 1].instance : 0;
}

/* Not this volume's; none is while M has not been seen with a superblock. */
static inline bool fclock_other_uuid(const struct fclock_core *core,
				     const u8 *uuid)
{
	return core->formatted &&
	       memcmp(core->cfg.uuid, uuid, FCLOCK_UUID_LEN);
}

/* This very instance is a participant. */
static inline bool fclock_is_listed(struct fclock_core *core)
{
	return core->have_sb && fclock_listed_instance(&core->sb, core->cfg.node) ==
				core->instance;
}

static inline bool fclock_is_primary(struct fclock_core *core)
{
	return core->have_sb && core->sb.primary == core->cfg.node &&
	       core->sb.primary_instance == core->instance;
}

/* The first grain of the slice that holds @grain. */
static inline u64 fclock_slice_begin(struct fclock_core *core, u64 grain)
{
	return grain & ~(u64)(core->sb.geo.slice - 1);
}

/* The end of the slice that holds @grain: its last grain. */
static inline u64 fclock_slice_end(struct fclock_core *core, u64 grain)
{
	const struct fclock_geometry *geo = &core->sb.geo;
	u64 end = grain | (geo->slice - 1);

	return end < geo->grains ? end : geo->grains - 1;
}

static inline u64 fclock_slice_of(struct fclock_core *core, u64 grain)
{
	return div_u64(grain, core->sb.geo.slice);
}

/* Grains of the copy of @slot; the last one may be partly behind its end. */
static inline u64 fclock_slot_grains(const struct fclock_super *sb,
				     unsigned int slot)
{
	return (sb->slot[slot].length + sb->geo.grain - 1) >>
	       ilog2(sb->geo.grain);
}

/*
 * Of this owner's slices, up to the end of the slot's copy; valid when all are counted. A copy
 * of the whole volume needs no count of its own, so that a trigger needs none.
 */
static inline u64 fclock_own_grains(struct fclock_core *core, unsigned int slot)
{
	return fclock_slot_grains(&core->sb, slot) == core->sb.geo.grains ?
	       core->own.grains : core->own.slot_grains[slot];
}

/* Of another grain, or slices, it is another volume. */
static inline bool fclock_same_layout(struct fclock_core *core,
				      const struct fclock_super *sb)
{
	return sb->geo.grain == core->cfg.geo.grain &&
	       sb->geo.slice == core->cfg.geo.slice;
}

/*
 * Everything in core is sized by the room; nothing longer is ever adopted. A volume does
 * not shrink: but a starting node may have read a write that was reported as failed.
 */
static inline bool fclock_fits(struct fclock_core *core,
			       const struct fclock_super *sb)
{
	return fclock_same_layout(core, sb) && sb->geo.length <= core->room &&
	       (core->phase == FCLOCK_STARTING || !core->have_sb ||
		sb->geo.length >= core->sb.geo.length);
}

/* core.c */
void fclock_arm(struct fclock_core *core, u64 at);
void fclock_send(struct fclock_core *core, struct fclock_peer *peer,
		 enum fclock_pending what);
void fclock_send_all(struct fclock_core *core, enum fclock_pending what);
void fclock_queue_out(struct fclock_core *core, struct fclock_peer *peer,
		      struct fclock_out *out);
void fclock_unqueue_out(struct fclock_out *out);
void fclock_settle(struct fclock_core *core);
void fclock_update_paths(struct fclock_core *core);
void fclock_cache_free_grains(struct fclock_core *core);
void fclock_tidy_later(struct fclock_core *core);
void fclock_link_down(struct fclock_core *core, struct fclock_peer *peer);
void fclock_set_phase(struct fclock_core *core, enum fclock_phase phase);

int fclock_receive_list(struct fclock_core *core, struct fclock_peer *peer,
			u64 epoch, u64 members);

void fclock_say_cut_off(struct fclock_core *core);
void fclock_state_event(struct fclock_core *core, enum fclock_volume_state was);

/* frame.c */
int fclock_make_frame(struct fclock_core *core, struct fclock_peer *peer,
		      void *buf);
u32 fclock_encode_hello(struct fclock_core *core, struct fclock_peer *peer,
			struct fclock_wire_hello *hello, int refusal);

/* link.c */
int fclock_receive_welcome(struct fclock_core *core, struct fclock_peer *peer,
			   const struct fclock_msg *msg,
			   const struct fclock_wire_hello *hello);

/* client.c */
int fclock_client_init_peer(struct fclock_peer *peer);
void fclock_client_retry(struct fclock_core *core);
void fclock_client_drop_requests(struct fclock_core *core);
void fclock_client_forget_locks(struct fclock_core *core);
void fclock_client_link_up(struct fclock_core *core, struct fclock_peer *peer);
void fclock_client_link_down(struct fclock_core *core,
			     struct fclock_peer *peer);
void fclock_client_timer(struct fclock_core *core, u64 now);
void fclock_client_grant(struct fclock_core *core, struct fclock_peer *peer,
			 const struct fclock_msg *msg,
			 const struct fclock_wire_lock_grant *grant);
int fclock_client_recall(struct fclock_core *core, struct fclock_peer *peer,
			 u64 id);
u32 fclock_client_encode(struct fclock_core *core, struct fclock_peer *peer,
			 struct fclock_out *out, struct fclock_msg *msg,
			 void *payload);

/* owner.c */
int fclock_owner_init(struct fclock_core *core);
void fclock_owner_exit(struct fclock_core *core);
int fclock_owner_init_peer(struct fclock_peer *peer);
int fclock_owner_request(struct fclock_core *core, struct fclock_peer *peer,
			 const struct fclock_msg *msg,
			 const struct fclock_wire_lock_request *req);
void fclock_owner_released(struct fclock_core *core, struct fclock_peer *peer,
			   u64 id);
void fclock_owner_prepare(struct fclock_core *core);
void fclock_owner_disputed(struct fclock_core *core);
bool fclock_owner_idle(struct fclock_core *core);
void fclock_owner_adopt(struct fclock_core *core,
			const struct fclock_super *old, bool ends_locks);
void fclock_owner_reset(struct fclock_core *core);
void fclock_owner_new_instance(struct fclock_core *core,
			       struct fclock_peer *peer);
void fclock_owner_link_up(struct fclock_core *core, struct fclock_peer *peer);
void fclock_owner_link_down(struct fclock_core *core, struct fclock_peer *peer);
void fclock_owner_retry(struct fclock_core *core);
void fclock_owner_timer(struct fclock_core *core, u64 now);
void fclock_owner_detach(struct fclock_core *core, unsigned int slot);
u16 fclock_owner_complete(struct fclock_core *core);
void fclock_owner_tell_complete(struct fclock_core *core);
u32 fclock_owner_encode(struct fclock_core *core, struct fclock_peer *peer,
			struct fclock_out *out, struct fclock_msg *msg,
			void *payload);

void fclock_owner_handle_list(struct fclock_core *core, struct list_head *list);
void fclock_record_free(struct fclock_core *core, struct fclock_record *rec);
void fclock_record_recall(struct fclock_core *core, struct fclock_record *rec);
u16 fclock_record_slots(struct fclock_core *core, struct fclock_record *rec);
bool fclock_owner_held(struct fclock_core *core, unsigned int slot, u64 first,
		       u64 last, bool recall);
u64 fclock_owner_held_by_lost(struct fclock_core *core, u16 slots, u64 first,
			      u64 last);
u64 fclock_split_extent(struct fclock_core *core, u16 all, u16 slots, u64 grain,
			u64 last);

/* slice.c */
u64 fclock_slices_at_once(struct fclock_core *core);
bool fclock_slice_ready(struct fclock_core *core, u16 slots, u64 slice);
void fclock_slice_load(struct fclock_core *core, unsigned int slot, u64 slice);
void fclock_owner_scan(struct fclock_core *core);

/* split.c */
u16 fclock_same_end(struct fclock_core *core, u16 slots, unsigned int slot,
		    u64 grain);
struct fclock_split *fclock_split_after(struct fclock_core *core, u64 grain);
struct fclock_split *fclock_split_start(struct fclock_core *core, u64 first,
					u64 last, u16 slots, bool background);
void fclock_splits_recheck(struct fclock_core *core, unsigned int slot,
			   u64 first, u64 last);
void fclock_split_drop(struct fclock_core *core, struct fclock_split *sp);
void fclock_owner_fail(struct fclock_core *core, u16 slots);

/* background.c */
void fclock_background(struct fclock_core *core);
void fclock_background_adopt(struct fclock_core *core,
			     const struct fclock_super *old);

/* bits.c: what the owner knows of split grains */
bool fclock_slice_known(struct fclock_core *core, unsigned int slot, u64 slice);
bool fclock_all_split(struct fclock_core *core, u16 slots, u64 grain);
u16 fclock_unsplit_slots(struct fclock_core *core, u16 slots, u64 grain);
u64 fclock_next_unsplit(struct fclock_core *core, u16 slots, u64 first,
			u64 last);
u64 fclock_next_split(struct fclock_core *core, u16 slots, u64 first, u64 last);
void fclock_split_run(struct fclock_core *core, u16 slots, u64 grain,
		      u64 *first, u64 *last);
void fclock_bits_set(struct fclock_core *core, unsigned int slot, u64 first,
		     u64 last);
void fclock_bits_loaded(struct fclock_core *core, struct fclock_load *load);
void fclock_bits_trigger(struct fclock_core *core, unsigned int slot);
void fclock_bits_forget(struct fclock_core *core, unsigned int slot);
void fclock_bits_moved(struct fclock_core *core);

/* transition.c */
void fclock_prepare(struct fclock_core *core, struct fclock_peer *peer,
		    const struct fclock_wire_prepare *p);
void fclock_progress(struct fclock_core *core);
bool fclock_drained(struct fclock_core *core);
void fclock_adopt(struct fclock_core *core, const struct fclock_super *sb,
		  bool ends_locks);
void fclock_gate(struct fclock_core *core, u32 closed);
struct fclock_peer *fclock_linked_primary(struct fclock_core *core);
void fclock_wish(struct fclock_core *core);
void fclock_wish_get(struct fclock_core *core, struct fclock_wire_ask *ask);
void fclock_asks_kick(struct fclock_core *core);
void fclock_asks_lost(struct fclock_core *core, const char *why);
void fclock_answered(struct fclock_core *core, u64 id, int error,
		     const char *text);

/* view.c: wishes, and the view that they make */
void fclock_wish_set(struct fclock_core *core, struct fclock_peer *peer,
		     u64 state, const struct fclock_wire_ask *ask);
bool fclock_has_wished(struct fclock_core *core,
		       const struct fclock_peer *peer);
u16 fclock_offline_wanted(struct fclock_core *core);
void fclock_forget_wishes(struct fclock_core *core);
void fclock_build_view(struct fclock_core *core, struct fclock_super *next);
bool fclock_view_differs(struct fclock_core *core);

/* ask.c: what the primary is asked for */
#define FCLOCK_TWO_LISTS "two members lists under one epoch"

unsigned int fclock_first_unconnected(struct fclock_core *core);
bool fclock_any_short(struct fclock_core *core, u16 slots, u64 length,
		      char *text, size_t size);
void fclock_ask_add(struct fclock_core *core, struct fclock_peer *peer, u64 id,
		    const struct fclock_wire_ask *ask);
bool fclock_ask_cancelled(struct fclock_core *core, struct fclock_peer *peer,
			  u64 id);
void fclock_ask_forget(struct fclock_peer *peer);
const struct fclock_asked *fclock_ask_next(struct fclock_core *core);
void fclock_asks_refuse(struct fclock_core *core, int error, const char *text);
void fclock_answer_asker(struct fclock_core *core, int error, const char *text);

/* primary.c */
void fclock_primary_kick(struct fclock_core *core);
void fclock_primary_prepared(struct fclock_core *core, struct fclock_peer *peer,
			     u64 number);
void fclock_primary_asked(struct fclock_core *core, struct fclock_peer *peer,
			  u64 id, u64 state,
			  const struct fclock_wire_ask *ask);
void fclock_primary_written(struct fclock_core *core, int error);
void fclock_primary_timer(struct fclock_core *core, u64 now);
void fclock_primary_link_up(struct fclock_core *core, struct fclock_peer *peer);
void fclock_primary_new_instance(struct fclock_core *core,
				 struct fclock_peer *peer);
void fclock_primary_gone(struct fclock_core *core);
void fclock_primary_disputed(struct fclock_core *core);
void fclock_primary_take(struct fclock_core *core,
			 const struct fclock_super *sb, bool format);
void fclock_primary_reset(struct fclock_core *core);

/* members.c */
bool fclock_gone(struct fclock_core *core, const struct fclock_super *sb,
		 unsigned int node);
int fclock_members_adopt(struct fclock_core *core, u64 epoch, u64 members);
void fclock_members_news(struct fclock_core *core);
void fclock_members_disputed(struct fclock_core *core);
void fclock_members_timer(struct fclock_core *core, u64 now);
bool fclock_member(struct fclock_core *core, unsigned int node);
bool fclock_reads_wanted(struct fclock_core *core);
void fclock_set_md_error(struct fclock_core *core, bool error);
void fclock_set_untaken(struct fclock_core *core, bool untaken);
void fclock_read_later(struct fclock_core *core);
void fclock_say_too_long(struct fclock_core *core, u64 length);
void fclock_members_too_long(struct fclock_core *core,
			     const struct fclock_super *sb);
void fclock_stop_all(struct fclock_core *core);
void fclock_begin_ending(struct fclock_core *core, const char *why);
void fclock_check_ended(struct fclock_core *core);

#endif
