/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every message, its layout and its checks. Documentation/protocol.rst has the
 * same tables. Encoding and decoding are pure functions over buffers.
 */
#ifndef FCLOCK_WIRE_H
#define FCLOCK_WIRE_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/build_bug.h>
#include "ondisk.h"

#define FCLOCK_WIRE_MAGIC	0x66636c6b	/* "fclk" */
#define FCLOCK_WIRE_VERSION	3		/* also names the placement hash */
#define FCLOCK_TAG_LEN		16

enum fclock_msg_type {
	/* claim 2 */
	FCLOCK_LOCK_REQUEST	= 1,
	FCLOCK_LOCK_GRANT	= 2,
	FCLOCK_RELEASE_REQUEST	= 3,
	FCLOCK_RELEASED		= 4,
	/* around them */
	FCLOCK_CHALLENGE	= 15,	/* acceptor's first frame; not for the core */
	FCLOCK_HELLO		= 16,	/* connector's first frame */
	FCLOCK_WELCOME		= 17,	/* acceptor's answer: accepts or refuses */
	FCLOCK_BYE		= 18,
	FCLOCK_ASK		= 19,	/* to the primary */
	FCLOCK_ANSWER		= 20,	/* the primary's answer to an ask of a user */
	FCLOCK_PREPARE		= 21,
	FCLOCK_PREPARED		= 22,
	FCLOCK_RESUME		= 23,
	FCLOCK_ABORT		= 24,
	FCLOCK_PING		= 25,
};

struct fclock_wire_header {
	__le32 magic;
	u8 version;
	u8 type;
	__le16 reserved;		/* zero */
	__le32 length;			/* of the payload after this header */
	__le32 reserved2;		/* zero */
	__le64 sender;			/* instance */
	__le64 receiver;		/* instance, 0 in HELLO */
	__le64 state;			/* sender's state number */
	__le64 id;			/* of the request, lock or ask */
	__le64 seq;			/* per connection and direction, from 1 */
	u8 tag[FCLOCK_TAG_LEN];		/* zero without a key, and in CHALLENGE */
};

static_assert(sizeof(struct fclock_wire_header) == 72);

/* What is locked: bits of a slot, or of all active slots at once (A). */
#define FCLOCK_TARGET_A		0xff	/* a write to A; else the number of a slot */

enum fclock_lock_kind {
	FCLOCK_KIND_SPLIT	= 1,	/* "have it split": writes to A and to copies */
	FCLOCK_KIND_SHARED	= 2,	/* read of a copy */
};

struct fclock_wire_lock_request {
	u8 target;
	u8 kind;
	u8 pad[6];
	__le64 first;			/* grains, inside one slice */
	__le64 last;
};

static_assert(sizeof(struct fclock_wire_lock_request) == 24);

enum fclock_grant_status {
	FCLOCK_GRANTED		= 0,
	FCLOCK_GRANT_EIO	= 1,	/* slot idle or offline, or M cannot be used */
};

#define FCLOCK_GRANT_MAX_RUNS	64
#define FCLOCK_GRANT_MAP_BYTES	(FCLOCK_MAX_SLICE / 8)

struct fclock_wire_run {
	__le64 first;
	__le64 count;
};

static_assert(sizeof(struct fclock_wire_run) == 16);

/*
 * header.id is the request's. A grant that holds a shared lock (shared_count != 0) is
 * the lock's name from then on. Runs are confirmed; the first run, or the shared
 * run, begins at or before the request's first grain. The bitmap may end up to 7
 * bits behind the volume; those are zero.
 */
struct fclock_wire_lock_grant {
	u8 target;
	u8 status;			/* enum fclock_grant_status */
	__le16 nr_runs;			/* struct fclock_wire_run after this struct */
	__le32 map_bits;		/* of the bitmap after the runs, 0: none; multiple of 8 */
	__le64 map_first;		/* grain of the bitmap's first bit */
	__le64 shared_first;		/* grains under the shared lock */
	__le64 shared_count;
};

static_assert(sizeof(struct fclock_wire_lock_grant) == 32);

/* RELEASE_REQUEST, RELEASED, BYE: no payload; header.id names the lock. */

#define FCLOCK_NONCE_LEN	32

/* CHALLENGE: whoever accepted a connection says it at once. */
struct fclock_wire_challenge {
	u8 node_id;			/* of the sender */
	u8 pad;
	__le16 flags;			/* FCLOCK_HELLO_* */
	__le32 pad2;
	u8 nonce[FCLOCK_NONCE_LEN];	/* zero without a key */
};

static_assert(sizeof(struct fclock_wire_challenge) == 40);

/* HELLO and WELCOME: one fixed size. */
struct fclock_wire_hello {
	u8 min_version;
	u8 max_version;
	u8 node_id;			/* of the sender */
	u8 peer_id;			/* whom the sender believes to speak to */
	__le32 refusal;			/* WELCOME: 0 accepted, else a positive errno */
	u8 uuid[FCLOCK_UUID_LEN];	/* zero: M was not formatted when the sender looked */
	__le64 length;			/* of the volume as the sender knows it, sectors */
	__le32 grain;			/* sectors */
	__le32 trigger_timeout;		/* ms */
	__le64 epoch;
	__le64 members;
	__le64 primary_instance;	/* of the superblock the sender knows */
	__le16 attached;
	__le16 flags;			/* FCLOCK_HELLO_* */
	__le16 credits;			/* open LOCK_REQUESTs that the sender takes */
	__le16 locks;			/* shared locks that an owner keeps for the receiver */
	char host[FCLOCK_HOST_LEN];
	u8 nonce[FCLOCK_NONCE_LEN];	/* HELLO: zero without a key; WELCOME: zero */
	__le64 room;			/* longest volume that the sender can run, sectors */
};

static_assert(offsetof(struct fclock_wire_hello, room) == 136);
static_assert(sizeof(struct fclock_wire_hello) == 144);

#define FCLOCK_HELLO_KEY	0x1	/* sender has a key and demands one */

enum fclock_ask_kind {
	/*
	 * What the sender wants to stand in the superblock: join, leave, attach,
	 * detach, offline, complete.
	 */
	FCLOCK_ASK_WISH		= 1,
	FCLOCK_ASK_TRIGGER	= 2,
	FCLOCK_ASK_STOP		= 3,
	/* header.id: of the ask that nobody waits for any more */
	FCLOCK_ASK_CANCEL	= 4,
	FCLOCK_ASK_COPY_RATE	= 5,
	FCLOCK_ASK_RESIZE	= 6,
};

#define FCLOCK_WISH_JOINED	0x1	/* wants to be a participant (clear: to leave) */

struct fclock_wire_ask {
	u8 kind;
	u8 flags;			/* FCLOCK_WISH_* */
	__le16 slots;			/* TRIGGER, STOP, COPY_RATE: which */
	__le16 attached;		/* WISH */
	__le16 offline;			/* WISH: slots whose copy failed here */
	__le16 complete;		/* WISH: slots of which all slices owned here are split */
	u8 pad[2];
	__le32 rate;			/* COPY_RATE: KiB/s, 0: off */
	char host[FCLOCK_HOST_LEN];	/* WISH */
	/* WISH: longest volume that the sender can run; RESIZE: of the volume; sectors */
	__le64 length;
	__le64 copy[FCLOCK_MAX_SLOTS];	/* WISH: of the copies' tables, 0: not attached */
};

static_assert(offsetof(struct fclock_wire_ask, rate) == 12);
static_assert(offsetof(struct fclock_wire_ask, length) == 48);
static_assert(sizeof(struct fclock_wire_ask) == 184);

#define FCLOCK_ANSWER_TEXT	120
struct fclock_wire_answer {
	__le32 error;			/* 0 or a positive errno */
	__le32 pad;
	char text[FCLOCK_ANSWER_TEXT];	/* one sentence, NUL-terminated */
};

static_assert(sizeof(struct fclock_wire_answer) == 128);

enum fclock_transition_kind {
	FCLOCK_TRIGGER		= 1,
	FCLOCK_STOP		= 2,
	FCLOCK_OFFLINE		= 3,
	FCLOCK_VIEW		= 4,
	FCLOCK_COPY_RATE	= 5,
	FCLOCK_RESIZE		= 6,
};

/*
 * Each transition raises the state number by little. A peer that names one so far above
 * what is known is wrong, and believing it would leave no number for anybody else.
 */
#define FCLOCK_STATE_JUMP	BIT_ULL(32)

/* PREPARED has no payload: header.id is the number. */
struct fclock_wire_prepare {
	__le64 number;			/* state number of the superblock to come */
	u8 kind;			/* enum fclock_transition_kind */
	u8 pad;
	__le16 slots;
	__le32 pad2;
	__le64 length;			/* RESIZE: of the volume to come, sectors */
};

static_assert(offsetof(struct fclock_wire_prepare, length) == 16);
static_assert(sizeof(struct fclock_wire_prepare) == 24);

/* RESUME and ABORT: a whole superblock block, as on M. */

/*
 * PING: once a second and whenever the list changes. Without a list while its sender
 * takes the role.
 */
struct fclock_wire_ping {
	__le64 epoch;
	__le64 members;
	__le64 split[FCLOCK_MAX_SLOTS];	/* split grains in the sender's own slices */
};

static_assert(sizeof(struct fclock_wire_ping) == 144);

#define FCLOCK_FRAME_MAX	(sizeof(struct fclock_wire_header) + FCLOCK_MD_BLOCK_SIZE)
#define FCLOCK_CHALLENGE_FRAME	(sizeof(struct fclock_wire_header) + \
				 sizeof(struct fclock_wire_challenge))
#define FCLOCK_HELLO_FRAME	(sizeof(struct fclock_wire_header) + \
				 sizeof(struct fclock_wire_hello))

/* The decoded header. */
struct fclock_msg {
	u8 type;
	u32 length;
	u64 sender, receiver, state, id, seq;
};

/**
 * fclock_wire_encode_header - fill the 72 bytes at @buf from @msg, tag zero
 */
void fclock_wire_encode_header(void *buf, const struct fclock_msg *msg);
/**
 * fclock_wire_decode_header - check and read a header before its payload is read
 *
 * Checks magic, version, reserved fields, a known type, and that the length is
 * possible for the type.
 *
 * Return: 0, -EPROTO, -EPROTONOSUPPORT (another version), -EMSGSIZE.
 */
int fclock_wire_decode_header(const void *buf, struct fclock_msg *msg);
/**
 * fclock_wire_check_payload - check the payload of a decoded header
 *
 * After 0 every count, length, enum and offset in the payload is in range for
 * a volume of @grains grains (LOCK_GRANT: nr_runs and map fit the length and the
 * volume and no run is empty or overflows; LOCK_REQUEST: first <= last < grains, known
 * target and kind, kind SHARED only on a slot; ASK and PREPARE: known kinds, number neither
 * 0 nor the greatest; ANSWER and host texts: NUL-terminated). Superblocks are left to
 * fclock_super_decode(). Unused pads must be zero.
 *
 * The transport gives the longest volume that this node can run: a peer may know
 * of a longer one than is adopted here, and core.c looks again by that.
 */
int fclock_wire_check_payload(const struct fclock_msg *msg, const void *payload,
			      u64 grains);

static inline const char *fclock_msg_name(u8 type)
{
	switch (type) {
	case FCLOCK_LOCK_REQUEST: return "LOCK_REQUEST";
	case FCLOCK_LOCK_GRANT: return "LOCK_GRANT";
	case FCLOCK_RELEASE_REQUEST: return "RELEASE_REQUEST";
	case FCLOCK_RELEASED: return "RELEASED";
	case FCLOCK_CHALLENGE: return "CHALLENGE";
	case FCLOCK_HELLO: return "HELLO";
	case FCLOCK_WELCOME: return "WELCOME";
	case FCLOCK_BYE: return "BYE";
	case FCLOCK_ASK: return "ASK";
	case FCLOCK_ANSWER: return "ANSWER";
	case FCLOCK_PREPARE: return "PREPARE";
	case FCLOCK_PREPARED: return "PREPARED";
	case FCLOCK_RESUME: return "RESUME";
	case FCLOCK_ABORT: return "ABORT";
	case FCLOCK_PING: return "PING";
	}
	return "unknown";
}

#endif
