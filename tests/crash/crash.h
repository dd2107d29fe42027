/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crash consistency: one program that is the array under a cluster in this kernel,
 * drives the cluster, and then judges what a power failure at any moment leaves.
 *
 *   array.c	disks with a volatile cache, over nbd; every request is in one log
 *   load.c	three nodes write, trigger, stop, leave, die; what they were told is in the log
 *   points.c	at which moments
 *   image.c	what may be on the disks when the power fails at a point of the log
 *   judge.c	what a volume that came up on such an image must show
 *   dm.c	device mapper ioctls: a process for each would cost more than the test
 *
 * After some failures the volume lives on, on the array and with a log of its own, and the
 * power fails again at moments of that one: while it comes up, and in what follows.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		512
#define SUPER_BLOCK	4096u		/* two of them from the start of M */
#define NODES		3
#define SLOTS		2
#define LENGTH		2048u		/* sectors of A and of every B */
#define GRAIN		16u
#define TARGETS		(1 + SLOTS)	/* A, B of slot 0, 1 */
#define NEVER		UINT32_MAX

enum { DISK_A, DISK_B0, DISK_B1, DISK_M, DISKS };

/* ---- the log ---- */

enum event_kind { EV_MARK, EV_WRITE, EV_WROTE, EV_FLUSH, EV_FLUSHED };

/**
 * struct event - the log's index is the time of everything below
 * @ref: of EV_WROTE and EV_FLUSHED: the request; of these: its end or NEVER
 * @failed: of an end: the array reported an error and did nothing
 */
struct event {
	uint8_t kind, disk;
	bool fua, failed;
	uint32_t sector, count, ref;
	uint8_t *data;
};

extern struct event *events;
extern uint32_t nr_events;

/* A moment, for what is not a request. */
uint32_t log_mark(void);

/* ---- the array ---- */

/* A new log begins. */
void array_start(const char *nbd, const uint32_t sectors[DISKS], uint64_t seed);
void array_preset(unsigned int disk, const void *data);
/* Of @disk, until told otherwise. What is held ends, or fails, when no more are held. */
enum array_flushes { FLUSHES_WORK, FLUSHES_ARE_HELD, FLUSHES_FAIL };

void array_fail_writes(unsigned int disk, bool fail);
void array_flushes(unsigned int disk, enum array_flushes how);
/* What a read would see. */
const void *array_peek(unsigned int disk);
const char *array_path(unsigned int disk);
void array_stop(void);
extern uint32_t disk_sectors[DISKS];

/* ---- device mapper: 0 or -errno ---- */

int dm_create(const char *name, uint64_t len, const char *target,
	      const char *params);
/* Another table under its users, without waiting for anything but I/O in flight. */
int dm_swap(const char *name, uint64_t len, const char *target,
	    const char *params);
int dm_remove(const char *name);
int dm_message(const char *name, const char *text);
int dm_status(const char *name, char *text, size_t size);
/* O_DIRECT, for reading and writing; -1. */
int dm_open(const char *name);
const char *dm_path(const char *name, char *buf, size_t size);
/* One value of a status line, "" without. */
const char *field(const char *line, const char *name, char *buf, size_t size);

/* ---- what the cluster was asked for and what it said ---- */

/**
 * struct write_op - one write of an application; its number is the stamp
 * @target: 0: A, 1 + s: through the copy of slot s
 * @begin: called
 * @end: returned, NEVER if it did not
 * @ok: it returned success
 */
struct write_op {
	uint32_t begin, end;
	uint16_t sector, count;
	uint8_t target;
	bool ok;
};

/* A flush that an application waited for, of A or a copy. */
struct flush_op {
	uint32_t begin, end;
	uint8_t target;
};

enum slot_op_kind { OP_TRIGGER, OP_STOP, OP_FAIL };

/**
 * struct slot_op - a message about slots
 * @generation: of a trigger that succeeded
 * @kind: OP_FAIL: from here on the slot may go offline
 */
struct slot_op {
	uint32_t begin, end;
	uint64_t generation;
	uint8_t kind, slots;
	bool ok;
};

extern struct write_op *writes;
extern struct flush_op *flushes;
extern struct slot_op *slot_ops;
extern uint32_t nr_writes, nr_flushes, nr_slot_ops;
extern uint32_t formatted;	/* the first node was active; 0: before the log */
extern uint32_t fenced, fenced_end; /* an owner had died, nobody could flush M */
extern uint32_t fenced_active;	/* slots that went on after that */

/* @rounds of things that happen, in each about @nr writes of each of six writers. */
void load_run(uint64_t seed, unsigned int rounds, unsigned int nr);
/* After a power failure: @nodes of them come up, write, trigger, stop and leave. */
void load_again(uint64_t seed, unsigned int nodes, unsigned int nr);

/* Write number @stamp of @target is in @count sectors from @sector. */
void stamp_fill(void *buf, uint32_t sector, uint32_t count, unsigned int target,
		uint32_t stamp);
/* Which one? False: none. */
bool stamp_read(const void *buf, uint32_t sector, unsigned int *target,
		uint32_t *stamp);

/* ---- images ---- */

enum keep { KEEP_NONE, KEEP_ALL, KEEP_WRITES, KEEP_SECTORS };

/**
 * struct crash_point - what survives
 * @at: the log's entries before this one happened
 * @keep: per disk, of what was not flushed
 * @torn: the superblock that is being written is to look newer than the valid one
 * @rises: it is to make the one whole that was torn before
 * @nodes: that come back, and the power fails again; 0: it does not
 */
struct crash_point {
	uint32_t at;
	uint8_t keep[DISKS];
	bool torn, rises;
	uint8_t nodes;
	uint64_t seed;
};

extern uint32_t nr_ends;		/* of flushes in the log */

/*
 * In the order of time. @nr: how many, 0: all ends of flushes and half as many others;
 * after @lives more the power fails again. @m: M when the log began.
 */
struct crash_point *points_choose(unsigned int *nr, unsigned int lives,
				  const uint8_t *m, uint64_t seed);
/* Of a second life: how it comes up above all. */
struct crash_point *points_again(unsigned int nr, const uint8_t *m, uint64_t seed);

void image_init(uint8_t *const preset[DISKS]);
/* Points must not go back. @volatile_writes: how many each disk could lose. */
void image_make(const struct crash_point *p, uint8_t *const out[DISKS],
		uint32_t volatile_writes[DISKS]);

/* ---- verdicts ---- */

/**
 * struct base - what was there when the log began, and is durable
 * @first_write: the first one of the log
 * @super: state number of the newest superblock
 * @a: A
 * @state: of a slot, "active" also when it is complete
 * @copy: what it showed when it was active
 * @pending: the superblock that was being written when the log began anew; all zero: none
 */
struct base {
	uint32_t first_write;
	uint64_t super;
	uint8_t pending[SUPER_BLOCK];
	const uint8_t *a;
	struct {
		char state[16];
		uint64_t generation;
		uint8_t *copy;
	} slot[SLOTS];
};

void judge_init(const struct base *base);
/* The first: a sentence about what is wrong, else NULL. */
const char *judge_refusal(uint32_t at);
/* Comes first at each point: the others go by what it found. */
const char *judge_super(uint32_t at, const uint8_t *m);
/* The superblock that the log's failure at @at would tear, else zeroes. */
void super_pending(uint32_t at, uint8_t *block);
/* Is the newest one on @m that of the first failure, which only now is whole? */
bool super_rises(const uint8_t *m);
/* State number of the newest superblock. @torn: something else looks newer. */
uint64_t super_newest(const uint8_t *m, bool *torn);
const char *judge_slot(uint32_t at, unsigned int slot, const char *state,
		       uint64_t generation);
const char *judge_origin(uint32_t at, const void *a);
const char *judge_copy(uint32_t at, unsigned int slot, uint64_t generation,
		       const void *b);

/* ---- the rest ---- */

uint64_t rnd(uint64_t *state);
uint64_t now_ms(void);
void nap(unsigned int us);
void die(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));
void *zalloc(size_t size);

#endif
