// SPDX-License-Identifier: GPL-2.0-only
/*
 * The node under attack: what its core orders, and how that ends.
 */
#include <linux/bitmap.h>
#include "node.h"

static struct fz *fz_of(struct fclock_core *core)
{
	return container_of(core->lock, struct fz, lock);
}

void fz_geometry(struct fclock_geometry *geo)
{
	*geo = (struct fclock_geometry) {
		.length = FZ_GRAINS * 8 - 3, .grain = 8, .slice = FZ_SLICE,
		.grains = FZ_GRAINS,
		.slices = DIV_ROUND_UP(FZ_GRAINS, FZ_SLICE),
	};
}

/* ------------------------------------------------------ what the core orders */

static void op_kick(struct fclock_core *core, unsigned int node)
{
	fz_check(node && node <= FZ_NODES && node != fz_of(core)->node);
}

static void op_disconnect(struct fclock_core *core, unsigned int node)
{
	fz_check(node && node <= FZ_NODES && node != fz_of(core)->node);
	fz_of(core)->drop |= BIT(node);
}

static void op_wake(struct fclock_core *core, struct fclock_waiter *w)
{
	struct fz_bio *bio = container_of(w, struct fz_bio, w);

	fz_check(bio->state == BIO_WAITS);
	fz_check(w->verdict <= FCLOCK_REQUEUE);
	fz_check(w->count && w->count <= w->last - w->first + 1);
	if (w->verdict == FCLOCK_GO_SHARED)
		fz_check(w->lock && w->lock->first <= w->first &&
			 w->first + w->count - 1 <= w->lock->last);
	else
		fz_check(!w->lock);
	INIT_LIST_HEAD(&w->list);
	bio->state = BIO_GOES;
}

/* The kernel copies to the device of each slot: it must have one. */
static void op_copy(struct fclock_core *core, struct fclock_split *sp)
{
	struct fz *fz = fz_of(core);
	unsigned int s;

	fz_check(sp->slots && sp->first <= sp->last &&
		 sp->last < core->sb.geo.grains);
	fz_check(sp->first / fz->geo.slice == sp->last / fz->geo.slice);
	for (s = 0; s < FCLOCK_MAX_SLOTS; s++)
		if (sp->slots & BIT(s))
			fz_check(s < FZ_SLOTS && fz->slot[s].bits);
	fz_check(fz->nr_copies < FCLOCK_SPLITS);
	fz->copy[fz->nr_copies++] = sp;
}

static void op_commit(struct fclock_core *core)
{
	struct fz *fz = fz_of(core);

	fz_check(!fz->commit && !list_empty(&core->own.batch));
	fz->commit = true;
}

static void op_load(struct fclock_core *core, struct fclock_load *load)
{
	struct fz *fz = fz_of(core);

	fz_check(load->slot < FZ_SLOTS && fz->slot[load->slot].bits);
	fz_check(load->slice < core->sb.geo.slices);
	fz_check(fz->nr_loads < FCLOCK_LOADS);
	fz->load[fz->nr_loads++] = load;
}

static void op_start_owner(struct fclock_core *core)
{
	fz_check(!fz_of(core)->start);
	fz_of(core)->start = true;
}

static void op_write_super(struct fclock_core *core,
			   const struct fclock_super *sb, bool format)
{
	static u8 block[FCLOCK_MD_BLOCK_SIZE];
	static struct fclock_super back;
	struct fz *fz = fz_of(core);

	fz_check(!fz->write);
	/* at the end of all numbers there is no next one */
	if (sb->state) {
		fclock_super_encode(sb, block);
		fz_check(!fclock_super_decode(block, &back));
		fz_check(fclock_same_layout(core, &back) &&
			 back.geo.length <= core->room);
	}
	fz->write = true;
	fz->super = sb;
}

static void op_read_super(struct fclock_core *core)
{
	fz_check(!fz_of(core)->read);
	fz_of(core)->read = true;
}

static void op_gate(struct fclock_core *core, u32 closed, u64 seq)
{
	fz_of(core)->gate = true;
	fz_of(core)->gate_seq = seq;
}

static void op_timer(struct fclock_core *core, u64 at)
{
	fz_of(core)->timer_at = at;
}

static void op_answer(struct fclock_core *core, struct fclock_ask *ask)
{
	struct fz_ask *a = container_of(ask, struct fz_ask, ask);

	fz_check(a->used && !a->ended);
	fz_check(memchr(ask->text, 0, sizeof(ask->text)));
	a->ended = true;
}

static void op_event(struct fclock_core *core, unsigned int events, u16 slots)
{
}

static u64 op_now(struct fclock_core *core)
{
	return fz_of(core)->now;
}

static u64 op_random(struct fclock_core *core)
{
	return fz_of(core)->chance += 7777;
}

static const struct fclock_core_ops fz_ops = {
	.kick = op_kick,
	.disconnect = op_disconnect,
	.wake = op_wake,
	.copy = op_copy,
	.commit = op_commit,
	.load = op_load,
	.start_owner = op_start_owner,
	.write_super = op_write_super,
	.read_super = op_read_super,
	.gate = op_gate,
	.timer = op_timer,
	.answer = op_answer,
	.event = op_event,
	.now = op_now,
	.random = op_random,
};

/* ----------------------------------------------------------------- life */

void fz_init(struct fz *fz, unsigned int node,
	     const struct fclock_geometry *geo, u64 cache_limit)
{
	struct fclock_core_config cfg = {
		.node = node,
		.peers = (BIT(FZ_NODES) - 1) & ~fclock_node_bit(node),
		.networked = true,
		.geo = *geo,
		.trigger_timeout = 1000,
		.cache_limit = cache_limit,
		.host = "here",
	};
	unsigned int n;

	memset(fz, 0, sizeof(*fz));
	spin_lock_init(&fz->lock);
	fz->node = node;
	fz->geo = *geo;
	fz->room = min(geo->length + 300, (u64)S64_MAX >> 9);
	fz->now = 100000;
	fz->chance = 5;
	fz->loud = getenv("FUZZ_LOUD");
	for (n = 1; n <= FZ_NODES; n++)
		fz->peer[n].instance = 1000 + n;
	cfg.room = fz->room;
	memset(cfg.uuid, 0x77, sizeof(cfg.uuid));
	fz->core = fclock_core_create(&cfg, &fz_ops, &fz->lock);
	fz_check(fz->core);
}

void fz_exit(struct fz *fz)
{
	unsigned int s;

	fclock_core_destroy(fz->core);
	for (s = 0; s < FZ_SLOTS; s++) {
		kvfree(fz->slot[s].bits);
		kvfree(fz->slot[s].slice_era);
		kvfree(fz->slot[s].slice_split);
	}
	fclock_shim_rcu_run();
	fz_check(!shim_spinlocks);
	fz_check(!shim_allocs);
}

void fz_attach(struct fz *fz, unsigned int s)
{
	struct fz_slot *slot = &fz->slot[s];
	u64 slices = DIV_ROUND_UP(fz->room, fz->geo.slice * fz->geo.grain);
	struct fclock_slot_memory mem;

	if (slot->bits)
		return;
	slot->bits = kvcalloc(BITS_TO_LONGS(slices * fz->geo.slice),
			      sizeof(*slot->bits), GFP_KERNEL);
	slot->slice_era = kvcalloc(slices, sizeof(*slot->slice_era),
				   GFP_KERNEL);
	slot->slice_split = kvcalloc(slices, sizeof(*slot->slice_split),
				     GFP_KERNEL);
	slot->attached = true;
	mem = (struct fclock_slot_memory) {
		.bits = slot->bits, .slice_era = slot->slice_era,
		.slice_split = slot->slice_split, .slices = slices,
	};
	fz_do(fz, fclock_core_attach(fz->core, s, &mem, fz->room));
}

void fz_detach(struct fz *fz, unsigned int s)
{
	struct fz_slot *slot = &fz->slot[s];

	if (!slot->attached)
		return;
	slot->attached = false;
	slot->detaching = true;
	fz_do(fz, fclock_core_detach(fz->core, s));
}

static void end_detach(struct fz *fz, unsigned int s)
{
	struct fz_slot *slot = &fz->slot[s];
	unsigned long flags;
	bool gone;

	if (!slot->detaching)
		return;
	spin_lock_irqsave(&fz->lock, flags);
	gone = fclock_core_detached(fz->core, s);
	spin_unlock_irqrestore(&fz->lock, flags);
	if (!gone)
		return;
	kvfree(slot->bits);
	kvfree(slot->slice_era);
	kvfree(slot->slice_split);
	memset(slot, 0, sizeof(*slot));
}

/* --------------------------------------------------------- ends of actions */

void fz_copied(struct fz *fz, unsigned int i, bool read_error, u16 failed)
{
	struct fclock_split *sp;

	if (!fz->nr_copies)
		return;
	i %= fz->nr_copies;
	sp = fz->copy[i];
	fz->copy[i] = fz->copy[--fz->nr_copies];
	fz_say(fz, "copied %llu-%llu %d %x", sp->first, sp->last, read_error,
	       failed);
	fz_do(fz, fclock_core_copied(fz->core, sp, read_error, failed));
}

void fz_committed(struct fz *fz, u16 failed)
{
	struct fclock_split *sp;

	if (!fz->commit)
		return;
	/* the committer reads the batch: it must stay as it was */
	list_for_each_entry(sp, &fz->core->own.batch, list)
		fz_check(sp->state == FCLOCK_SPLIT_COMMITTING);
	fz_say(fz, "committed %x", failed);
	fz->commit = false;
	fz_do(fz, fclock_core_committed(fz->core, failed));
}

/* @result 0: bits as @pattern says, or as M has them. */
void fz_loaded(struct fz *fz, unsigned int i, long result, u8 pattern)
{
	struct fclock_load *load;
	u32 bit, nr;

	if (!fz->nr_loads)
		return;
	i %= fz->nr_loads;
	load = fz->load[i];
	fz->load[i] = fz->load[--fz->nr_loads];
	nr = min_t(u64, fz->geo.slice, fz->core->sb.geo.grains -
		   load->slice * fz->geo.slice);
	if (!result && fz->read_bits) {
		result = fz->read_bits(fz, load);
	} else if (!result) {
		bitmap_zero(load->bits, FCLOCK_MAX_SLICE);
		for (bit = 0; bit < nr; bit++)
			if (pattern & BIT(bit % 8))
				__set_bit(bit, load->bits);
		result = bitmap_weight(load->bits, nr);
	}
	fz_say(fz, "loaded slot %u slice %llu: %ld", load->slot, load->slice,
	       result);
	load->result = result;
	fz_do(fz, fclock_core_loaded(fz->core, load));
}

void fz_owner_started(struct fz *fz, int error)
{
	if (!fz->start)
		return;
	fz->start = false;
	fz_say(fz, "owner started: %d", error);
	fz_do(fz, fclock_core_owner_started(fz->core, error));
}

void fz_written(struct fz *fz, int error)
{
	if (!fz->write)
		return;
	fz->write = false;
	/* as fclock_md_write_super(): somebody else has written */
	if (!error && fz->formatted && fz->m.state >= fz->super->state)
		error = -ESTALE;
	if (!error) {
		fz->m = *fz->super;
		fz->formatted = true;
	}
	fz_say(fz, "superblock %llu written: %d", fz->super->state, error);
	fz_do(fz, fclock_core_super_written(fz->core, error));
}

void fz_super_read(struct fz *fz, int error)
{
	static struct fclock_super sb;

	if (!fz->read)
		return;
	fz->read = false;
	if (!error && !fz->formatted)
		error = -ENODATA;
	sb = fz->m;
	fz_say(fz, "superblock %llu read: %d", sb.state, error);
	fz_do(fz, fclock_core_super_read(fz->core, error, &sb));
}

void fz_gated(struct fz *fz)
{
	if (!fz->gate)
		return;
	fz->gate = false;
	fz_say(fz, "gated");
	fz_do(fz, fclock_core_gated(fz->core, fz->gate_seq));
}

void fz_bio(struct fz *fz, unsigned int i, u8 target, u8 io, u64 first,
	    u64 last)
{
	struct fz_bio *bio = &fz->bio[i % FZ_BIOS];

	if (bio->state != BIO_FREE)
		return;
	memset(bio, 0, sizeof(*bio));
	bio->w.target = target;
	bio->w.io = io;
	bio->w.first = first;
	bio->w.last = last;
	bio->state = BIO_WAITS;
	fz_say(fz, "bio %u: target %x io %u %llu-%llu", i % FZ_BIOS, target,
	       io, first, last);
	fz_do(fz, fclock_client_submit(fz->core, &bio->w));
}

/* The I/O of a verdict ended; what it did not cover is submitted again. */
void fz_bio_done(struct fz *fz, unsigned int i)
{
	struct fz_bio *bio = &fz->bio[i % FZ_BIOS];
	struct fclock_waiter *w = &bio->w;

	if (bio->state != BIO_GOES)
		return;
	fz_say(fz, "bio %u: verdict %u for %llu grains", i % FZ_BIOS,
	       w->verdict, w->count);
	if (w->verdict == FCLOCK_GO || w->verdict == FCLOCK_GO_SHARED)
		fz_do(fz, fclock_client_done(fz->core, w->lock));
	bio->state = BIO_FREE;
	if (w->verdict == FCLOCK_FAIL || w->verdict == FCLOCK_REQUEUE ||
	    w->first + w->count > w->last)
		return;
	w->first += w->count;
	w->lock = NULL;
	bio->state = BIO_WAITS;
	fz_do(fz, fclock_client_submit(fz->core, w));
}

void fz_tick(struct fz *fz, u64 ms)
{
	fz->now += ms;
	if (fz->timer_at && fz->now >= fz->timer_at) {
		fz->timer_at = 0;
		fz_do(fz, fclock_core_timer(fz->core));
	}
}

static void free_ask(struct fz_ask *a)
{
	if (a->ended)
		a->used = false;
}

void fz_ask(struct fz *fz, unsigned int i, u8 kind, u16 slots)
{
	struct fz_ask *a = &fz->ask[i % FZ_ASKS];

	free_ask(a);
	if (a->used || !slots)
		return;
	memset(a, 0, sizeof(*a));
	a->used = true;
	a->ask.kind = kind;
	a->ask.slots = kind != FCLOCK_ASK_TRIGGER ? BIT(__ffs(slots)) : slots;
	if (kind == FCLOCK_ASK_COPY_RATE)
		a->ask.rate = 1U << i % 32;
	fz_say(fz, "ask kind %u slots %x", kind, a->ask.slots);
	fz_do(fz, fclock_core_ask(fz->core, &a->ask));
}

void fz_ask_cancel(struct fz *fz, unsigned int i)
{
	struct fz_ask *a = &fz->ask[i % FZ_ASKS];

	free_ask(a);
	if (!a->used)
		return;
	fz_say(fz, "ask cancelled");
	a->used = false;
	fz_do(fz, fclock_core_ask_cancel(fz->core, &a->ask));
}

void fz_settle(struct fz *fz, unsigned int rounds)
{
	unsigned int i;

	while (rounds--) {
		fz_owner_started(fz, 0);
		while (fz->nr_loads)
			fz_loaded(fz, 0, 0, 0);
		while (fz->nr_copies)
			fz_copied(fz, 0, false, 0);
		fz_committed(fz, 0);
		fz_gated(fz);
		fz_written(fz, 0);
		fz_super_read(fz, 0);
		for (i = 0; i < FZ_BIOS; i++)
			fz_bio_done(fz, i);
	}
}

/* ---------------------------------------------------------- connections */

void fz_connect(struct fz *fz, unsigned int node)
{
	struct fz_peer *p = &fz->peer[node];

	if (p->link != FZ_DOWN)
		return;
	p->link = FZ_GREETING;
	p->seq = 0;
	fz_say(fz, "connected to %u", node);
	fz_do(fz, fclock_core_opened(fz->core, node));
}

void fz_lost(struct fz *fz, unsigned int node)
{
	struct fz_peer *p = &fz->peer[node];

	fz->drop &= ~BIT(node);
	if (p->link == FZ_DOWN)
		return;
	p->link = FZ_DOWN;
	p->stalled = false;
	fz_say(fz, "lost %u", node);
	fz_do(fz, fclock_core_lost(fz->core, node));
}

static void hear(struct fz *fz, unsigned int node, const struct fclock_msg *msg,
		 const void *payload)
{
	struct fz_peer *p = &fz->peer[node];
	struct fz_heard *h = &p->heard[p->nr_heard++ % FZ_IDS];

	memset(h, 0, sizeof(*h));
	h->type = msg->type;
	h->id = msg->id;
	if (msg->type == FCLOCK_LOCK_REQUEST)
		memcpy(&h->req, payload, sizeof(h->req));
	fz_say(fz, "  to %u: %s id %llx state %llu", node,
	       fclock_msg_name(msg->type), msg->id, msg->state);
}

/* What the node says must be what its own checks let pass. */
static void check_said(struct fz *fz, unsigned int node, const u8 *frame,
		       int len)
{
	static struct fclock_super sb;
	const void *payload = frame + sizeof(struct fclock_wire_header);
	struct fclock_msg msg;

	fz_check(len >= (int)sizeof(struct fclock_wire_header) &&
		 len <= (int)FCLOCK_FRAME_MAX);
	fz_check(!fclock_wire_decode_header(frame, &msg));
	fz_check(msg.length + sizeof(struct fclock_wire_header) == len);
	fz_check(!fclock_wire_check_payload(&msg, payload, fz_most(fz)));
	fz_check((msg.type == FCLOCK_HELLO) ==
		 (fz->peer[node].link == FZ_GREETING));
	if (msg.type == FCLOCK_RESUME || msg.type == FCLOCK_ABORT)
		fz_check(!fclock_super_decode(payload, &sb));
	hear(fz, node, &msg, payload);
}

/* More than a node can have to say at once: it says it for ever. */
#define MOST_FRAMES	1000

static void pump(struct fz *fz, unsigned int node)
{
	u8 frame[FCLOCK_FRAME_MAX] __aligned(8);
	unsigned int n = 0;
	unsigned long flags;
	int len;

	while (fz->peer[node].link != FZ_DOWN && !fz->peer[node].stalled &&
	       !(fz->drop & BIT(node))) {
		memset(frame, 0xa5, sizeof(frame));
		spin_lock_irqsave(&fz->lock, flags);
		len = fclock_core_next_frame(fz->core, node, frame);
		spin_unlock_irqrestore(&fz->lock, flags);
		if (!len)
			return;
		fz_check(n++ < MOST_FRAMES);
		check_said(fz, node, frame, len);
	}
}

void fz_after(struct fz *fz)
{
	unsigned int n;

	for (n = 1; n <= FZ_NODES; n++) {
		if (n == fz->node)
			continue;
		if (fz->drop & BIT(n))
			fz_lost(fz, n);
		pump(fz, n);
	}
	for (n = 0; n < FZ_SLOTS; n++)
		end_detach(fz, n);
}

void fz_fill_hello(struct fz *fz, unsigned int node,
		   struct fclock_wire_hello *hello)
{
	memset(hello, 0, sizeof(*hello));
	hello->min_version = FCLOCK_WIRE_VERSION;
	hello->max_version = FCLOCK_WIRE_VERSION;
	hello->node_id = node;
	hello->peer_id = fz->node;
	hello->length = cpu_to_le64(fz->core->sb.geo.length);
	hello->room = cpu_to_le64(fz->room);
	hello->grain = cpu_to_le32(fz->geo.grain);
	hello->epoch = cpu_to_le64(fz->core->epoch);
	hello->members = cpu_to_le64(fz->core->members);
	hello->credits = cpu_to_le16(FCLOCK_CREDITS);
	hello->locks = cpu_to_le16(FCLOCK_LOCKS);
	strscpy(hello->host, "there", sizeof(hello->host));
}

/* As guest.c: a connection's first frame. */
static void frame_hello(struct fz *fz, unsigned int node,
			const struct fclock_msg *msg, const void *payload)
{
	static u8 refusal[FCLOCK_HELLO_FRAME] __aligned(8);
	const struct fclock_wire_hello *hello = payload;
	struct fz_peer *p = &fz->peer[node];
	struct fclock_msg reply;
	unsigned long flags;
	size_t len = 0;
	int r;

	if (node < fz->node || hello->node_id != node)
		return;
	spin_lock_irqsave(&fz->lock, flags);
	r = fclock_core_hello(fz->core, node, msg, hello, refusal, &len);
	spin_unlock_irqrestore(&fz->lock, flags);
	fz_say(fz, "HELLO of %u: %d", node, r);
	if (!r) {
		p->link = FZ_OPEN;
		p->stalled = false;
		p->seq = msg->seq;
	} else if (len) {
		fz_check(len == FCLOCK_HELLO_FRAME);
		fz_check(!fclock_wire_decode_header(refusal, &reply));
		fz_check(reply.type == FCLOCK_WELCOME);
		fz_check(!fclock_wire_check_payload(&reply, refusal +
					sizeof(struct fclock_wire_header),
					fz_most(fz)));
	}
	fz_after(fz);
}

/* As peer.c. */
static int frame_of_peer(struct fz *fz, unsigned int node,
			 const struct fclock_msg *msg, const void *payload)
{
	struct fz_peer *p = &fz->peer[node];
	unsigned long flags;
	int r;

	if (msg->type == FCLOCK_HELLO ||
	    (msg->type == FCLOCK_WELCOME) != (p->link == FZ_GREETING))
		return -EPROTO;
	r = fclock_wire_check_payload(msg, payload, fz_most(fz));
	if (r)
		return r;
	spin_lock_irqsave(&fz->lock, flags);
	r = fclock_core_receive(fz->core, node, msg, payload);
	spin_unlock_irqrestore(&fz->lock, flags);
	if (!r && p->link == FZ_GREETING)
		p->link = FZ_OPEN;
	return r;
}

void fz_frame(struct fz *fz, unsigned int node, const void *header,
	      const void *payload, size_t len)
{
	struct fz_peer *p = &fz->peer[node];
	struct fclock_msg msg;
	int r;

	r = fclock_wire_decode_header(header, &msg);
	if (!r && msg.length != len)
		r = -EMSGSIZE;		/* the rest never comes */
	fz_say(fz, "from %u: %s id %llx state %llu: %d", node,
	       r ? "bad frame" : fclock_msg_name(msg.type), r ? 0 : msg.id,
	       r ? 0 : msg.state, r);
	if (!r && msg.type == FCLOCK_HELLO) {
		if (!fclock_wire_check_payload(&msg, payload, fz_most(fz)))
			frame_hello(fz, node, &msg, payload);
		return;
	}
	if (p->link == FZ_DOWN)
		return;
	if (!r)
		r = frame_of_peer(fz, node, &msg, payload);
	if (r) {
		fz_say(fz, "  dropped: %d", r);
		fz_lost(fz, node);
	}
	fz_after(fz);
}

/* ------------------------------------------------------------- liveness */

/*
 * Nothing is left of what a liar said, except numbers. One more list is to come, and
 * the greatest epoch may be told like any other.
 */
#define ROOM		(1ULL << 32)

static bool numbers_left(struct fz *fz)
{
	struct fclock_core *core = fz->core;
	u64 prep = core->prep.number == ~0ULL ? 0 : core->prep.number;

	/* nor is any other believed, or on M */
	fz_check(core->epoch <= FCLOCK_EPOCH_MAX &&
		 core->sb.epoch <= FCLOCK_EPOCH_MAX &&
		 fz->m.epoch <= FCLOCK_EPOCH_MAX);
	return max(core->epoch, fz->m.epoch) < FCLOCK_EPOCH_MAX &&
	       core->sb.state < FCLOCK_STATE_MAX - ROOM &&
	       core->pri.number < FCLOCK_STATE_MAX - ROOM &&
	       prep < FCLOCK_STATE_MAX - ROOM &&
	       fz->m.state < FCLOCK_STATE_MAX - ROOM;
}

static bool at_rest(struct fz *fz)
{
	struct fclock_core *core = fz->core;

	return core->phase == FCLOCK_RUNNING && fclock_is_primary(core) &&
	       core->pri.phase == FCLOCK_PRI_IDLE && !core->prep.number &&
	       !core->pri.failed && !core->md_error;
}

static void run_until_rest(struct fz *fz)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		fz_settle(fz, 3);
		fz_tick(fz, 100);
		if (i > 20 && at_rest(fz))
			return;
	}
}

static int ask_and_wait(struct fz *fz, u8 kind, u16 slots)
{
	struct fz_ask *a = &fz->ask[0];
	unsigned int i;

	fz_ask(fz, 0, kind, slots);
	for (i = 0; i < 100 && !a->ended; i++) {
		fz_settle(fz, 3);
		fz_tick(fz, 50);
	}
	fz_check(a->ended);
	fz_say(fz, "answer: %d %s", a->ask.error, a->ask.text);
	return a->ask.error;
}

/* A bio that must end, and not with an error. */
static void must_go(struct fz *fz, u8 target, u8 io, u64 first, u64 last)
{
	unsigned int i;

	fz_bio(fz, 0, target, io, first, last);
	for (i = 0; i < 100 && fz->bio[0].state != BIO_FREE; i++) {
		fz_settle(fz, 3);
		fz_tick(fz, 50);
	}
	fz_check(fz->bio[0].state == BIO_FREE);
	fz_check(fz->bio[0].w.verdict == FCLOCK_GO ||
		 fz->bio[0].w.verdict == FCLOCK_GO_SHARED);
}

static void alone(struct fz *fz)
{
	unsigned int n, i;
	u64 epoch;
	int r;

	for (n = 1; n <= FZ_NODES; n++)
		if (n != fz->node)
			fz_lost(fz, n);
	for (i = 0; i < FZ_ASKS; i++)
		fz_ask_cancel(fz, i);
	/*
	 * What was announced is durable, or a member lied about that; and nobody
	 * else writes M while this node is the primary.
	 */
	if (fz->core->have_sb &&
	    (!fz->formatted || fz->m.state < fz->core->sb.state ||
	     fclock_is_primary(fz->core))) {
		fz->m = fz->core->sb;
		fz->formatted = true;
	}
	fz_do(fz, fclock_cache_set_limit(&fz->core->cache, ~0ULL));
	fz_do(fz, fclock_core_start(fz->core));
	fz_settle(fz, 20);
	epoch = max(fz->core->epoch, fz->m.epoch) + 1;
	fz_do(fz, r = fclock_core_members(fz->core, epoch,
					  fclock_node_bit(fz->node)));
	fz_check(!r);
}

bool fz_must_live(struct fz *fz)
{
	struct fclock_core *core = fz->core;
	unsigned int i, s;
	bool active;

	if (core->phase == FCLOCK_LEAVING || core->phase == FCLOCK_LEFT ||
	    core->leave_now || !numbers_left(fz))
		return false;
	alone(fz);
	run_until_rest(fz);
	fz_check(at_rest(fz));
	fz_settle(fz, 20);
	for (s = 0; s < FZ_SLOTS; s++)
		fz_attach(fz, s);
	run_until_rest(fz);
	/* a copy that nobody can keep here holds writes back until it is stopped */
	for (s = FZ_SLOTS; s < FCLOCK_MAX_SLOTS; s++)
		if (core->sb.slot[s].state == FCLOCK_SLOT_ACTIVE)
			fz_check(!ask_and_wait(fz, FCLOCK_ASK_STOP, BIT(s)));
	run_until_rest(fz);
	for (i = 0; i < FZ_BIOS; i++)
		fz_check(fz->bio[i].state == BIO_FREE);
	fz_check(!core->nr_waiting && !core->nr_granted);
	fz_check(!ask_and_wait(fz, FCLOCK_ASK_TRIGGER, 1));
	fz_check(core->sb.slot[0].state == FCLOCK_SLOT_ACTIVE ||
		 core->sb.slot[0].state == FCLOCK_SLOT_COMPLETE);
	run_until_rest(fz);
	must_go(fz, 0, FCLOCK_IO_READ, 0, fz->geo.grains - 1);
	must_go(fz, FCLOCK_TARGET_A, FCLOCK_IO_WRITE, 0, 3);
	must_go(fz, 0, FCLOCK_IO_WRITE, 3, 4);
	fz_do(fz, active = fclock_core_volume_state(core) ==
			   FCLOCK_VOLUME_ACTIVE);
	fz_check(active);
	return true;
}
