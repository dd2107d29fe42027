// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a volume must show that came up after the power failed at a point of the log
 * (invariants 1, 2, 5 and 7 of protocol.rst).
 *
 * A sector's writes have an order. What A may hold of them: nothing older than the
 * last one that a flush covered, nothing that had not begun. What a copy may hold:
 * what A had at the trigger, nothing that began after the trigger had returned, and
 * nothing older than the last write that had ended before it was called, save
 * where the failure took that write from A as well, and the copy had not been flushed
 * either; or what was written through the copy since. And it is one cut: who holds a
 * write holds all that ended before it began.
 *
 * When the power fails again (struct base) what stood on the disks after the first failure
 * is durable, and what a copy showed then it shows for good, but for what was written
 * through it since.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "crash.h"

/* Writes of one sector of one target, in order; number 0 is what stood there first. */
static struct history {
	uint32_t *write;
	uint32_t nr, room, first;
} history[TARGETS][LENGTH];

static const struct base *base;
static char text[256];
static bool risen;

static void add(struct history *h, uint32_t write)
{
	if (h->nr == h->room) {
		h->room = h->room * 2 + 4;
		h->write = realloc(h->write, h->room * sizeof(*h->write));
		if (!h->write)
			die("memory");
	}
	h->write[h->nr++] = write;
}

void judge_init(const struct base *b)
{
	unsigned int target;
	uint32_t w, i;

	base = b;
	for (i = 0; i < LENGTH; i++) {
		for (target = 0; target < TARGETS; target++)
			history[target][i].nr = 0;
		if (!stamp_read(base->a + i * SECTOR, i, &target,
				&history[0][i].first))
			die("A has no stamps");
	}
	for (w = base->first_write; w < nr_writes; w++)
		for (i = 0; i < writes[w].count; i++)
			add(&history[writes[w].target][writes[w].sector + i], w);
}

const char *judge_refusal(uint32_t at)
{
	if (at <= formatted)
		return NULL;
	return "M is refused though it was formatted";
}

/* ---- superblocks ---- */

#define SUPER_CRC	12
#define SUPER_STATE	16
#define SUPER_SLOT	112
#define SUPER_SLOT_SIZE	24

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* 0: not a valid one */
static uint64_t super_state(const uint8_t *block)
{
	static const uint8_t zero[4];
	uint32_t sum = crc32c(~0u, block, SUPER_CRC), crc;
	uint64_t state;

	sum = crc32c(sum, zero, sizeof(zero));
	sum = crc32c(sum, block + SUPER_CRC + sizeof(zero),
		     SUPER_BLOCK - SUPER_CRC - sizeof(zero));
	memcpy(&crc, block + SUPER_CRC, sizeof(crc));
	memcpy(&state, block + SUPER_STATE, sizeof(state));
	return crc == sum ? state : 0;
}

uint64_t super_newest(const uint8_t *m, bool *torn)
{
	uint64_t newest = 0, state, looks = 0;
	unsigned int i;

	for (i = 0; i < 2; i++, m += SUPER_BLOCK) {
		state = super_state(m);
		newest = state > newest ? state : newest;
		memcpy(&state, m + SUPER_STATE, sizeof(state));
		looks = state > looks ? state : looks;
	}
	*torn = looks > newest;
	return newest;
}

static bool is_super(const struct event *e)
{
	return e->kind == EV_WRITE && e->disk == DISK_M && !e->failed &&
		e->sector < 2 * SUPER_BLOCK / SECTOR;
}

void super_pending(uint32_t at, uint8_t *block)
{
	uint32_t i;

	memset(block, 0, SUPER_BLOCK);
	for (i = 0; i < at; i++)
		if (is_super(&events[i]) && events[i].ref >= at &&
		    events[i].count == SUPER_BLOCK / SECTOR)
			memcpy(block, events[i].data, SUPER_BLOCK);
}

/*
 * A write that is torn twice: of the first superblock some sectors were kept, and of the next
 * one, which goes to the same place, just those that complete it: who it lists has not changed, only
 * the first sector has. What it says had been under way when the power failed first, and nothing
 * was done since by the state before it: that begins with the end of this very write.
 */
bool super_rises(const uint8_t *m)
{
	unsigned int i;

	for (i = 0; i < 2; i++, m += SUPER_BLOCK)
		if (super_state(m) > base->super &&
		    !memcmp(m, base->pending, SUPER_BLOCK))
			return true;
	return false;
}

/* A superblock whose write has ended stays, or a newer one. */
const char *judge_super(uint32_t at, const uint8_t *m)
{
	uint64_t want = base->super, got, state;
	bool torn;
	uint32_t i;

	got = super_newest(m, &torn);
	risen = super_rises(m);
	for (i = 0; i < at; i++) {
		const struct event *e = &events[i];

		if (!is_super(e) || e->ref >= at)
			continue;
		memcpy(&state, e->data + SUPER_STATE, sizeof(state));
		if (state > want)
			want = state;
	}
	/* over what has ended nothing rises */
	if (got >= want && !(risen && want > base->super))
		return NULL;
	snprintf(text, sizeof(text), "superblock %llu was written and is lost, %llu is left",
		 (unsigned long long)want, (unsigned long long)got);
	return text;
}

/* ---- slots ---- */

static const char *state_of(const struct slot_op *op)
{
	return op->kind == OP_TRIGGER ? "active" :
		op->kind == OP_STOP ? "idle" : "offline";
}

static bool same_state(const char *want, const char *got)
{
	return !strcmp(want, got) ||
		(!strcmp(want, "active") && !strcmp(got, "complete"));
}

static const char *judge_risen(unsigned int slot, const char *state,
			       uint64_t generation)
{
	static const char *const states[] = { "idle", "active", "complete", "offline" };
	const uint8_t *p = base->pending + SUPER_SLOT + slot * SUPER_SLOT_SIZE;
	uint64_t want;

	memcpy(&want, p + 8, sizeof(want));
	if (*p < 4 && same_state(states[*p], state) && want == generation)
		return NULL;
	snprintf(text, sizeof(text),
		 "slot %u is %s with generation %llu, not what the superblock says that became whole",
		 slot, state, (unsigned long long)generation);
	return text;
}

/*
 * The state is that of the last message which had returned, or of one that had
 * not. A slot that may go offline may do so at any time until it is triggered again.
 */
const char *judge_slot(uint32_t at, unsigned int slot, const char *state,
		       uint64_t generation)
{
	const char *want = base->slot[slot].state;
	uint64_t last = base->slot[slot].generation;
	bool may_fail = false;
	uint32_t i;

	if (risen)
		return judge_risen(slot, state, generation);
	for (i = 0; i < nr_slot_ops && slot_ops[i].begin < at; i++) {
		const struct slot_op *op = &slot_ops[i];

		if (!(op->slots & 1 << slot))
			continue;
		if (op->kind == OP_FAIL) {
			may_fail = true;
			continue;
		}
		if (op->end > at && same_state(state_of(op), state) &&
		    (op->kind != OP_TRIGGER || op->generation == generation))
			return NULL;
		if (op->end > at)
			continue;
		want = state_of(op);
		if (op->kind == OP_TRIGGER)
			last = op->generation;
		may_fail = false;
	}
	if (generation == last && (same_state(want, state) ||
				   (may_fail && !strcmp(state, "offline"))))
		return NULL;
	snprintf(text, sizeof(text),
		 "slot %u is %s with generation %llu, not %s with %llu", slot,
		 state, (unsigned long long)generation, want,
		 (unsigned long long)last);
	return text;
}

static const struct slot_op *trigger_of(unsigned int slot, uint64_t generation)
{
	uint32_t i;

	for (i = 0; i < nr_slot_ops; i++)
		if (slot_ops[i].kind == OP_TRIGGER &&
		    slot_ops[i].slots & 1 << slot &&
		    slot_ops[i].generation == generation)
			return &slot_ops[i];
	return NULL;
}

/* ---- contents ---- */

/*
 * flushed[target]: the latest begin of a flush that had ended before the failure: what
 * ended before it is safe.
 */
static void find_flushed(uint32_t at, uint32_t flushed[TARGETS])
{
	uint32_t i;

	memset(flushed, 0, TARGETS * sizeof(*flushed));
	for (i = 0; i < nr_flushes; i++)
		if (flushes[i].end < at &&
		    flushes[i].begin > flushed[flushes[i].target])
			flushed[flushes[i].target] = flushes[i].begin;
}

/* 1 + index of the last write of @h that ended well before @before; 0: none. */
static uint32_t last_ended(const struct history *h, uint32_t before)
{
	uint32_t i;

	for (i = h->nr; i; i--) {
		const struct write_op *w = &writes[h->write[i - 1]];

		if (w->ok && w->end < before)
			return i;
	}
	return 0;
}

/* 1 + index of write @stamp, 0 for what stood there first; NEVER: no such write */
static uint32_t place(const struct history *h, uint32_t stamp)
{
	uint32_t i;

	if (stamp == h->first)
		return 0;
	for (i = 0; i < h->nr; i++)
		if (h->write[i] == stamp - 1)
			return i + 1;
	return NEVER;
}

static const char *complain(const char *what, uint32_t sector,
			    unsigned int target, uint32_t stamp,
			    const char *why)
{
	const struct write_op *w = stamp && stamp <= nr_writes ?
		&writes[stamp - 1] : NULL;

	snprintf(text, sizeof(text),
		 "%s, sector %u (grain %u) holds write %u of %s (%u..%u): %s",
		 what, sector, sector / GRAIN, stamp, target ? "B" : "A",
		 w ? w->begin : 0, w ? w->end : 0, why);
	return text;
}

const char *judge_origin(uint32_t at, const void *a)
{
	uint32_t flushed[TARGETS], sector, stamp, n;
	unsigned int target;

	find_flushed(at, flushed);
	for (sector = 0; sector < LENGTH; sector++) {
		const struct history *h = &history[0][sector];

		if (!stamp_read((const char *)a + sector * SECTOR, sector,
				&target, &stamp))
			return complain("A", sector, 0, 0, "no stamp");
		n = target ? NEVER : place(h, stamp);
		if (n == NEVER || (n && writes[stamp - 1].begin >= at))
			return complain("A", sector, target, stamp,
					"nobody wrote that");
		if (n < last_ended(h, flushed[0]))
			return complain("A", sector, target, stamp,
					"a later one was flushed");
	}
	return NULL;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Up to when A's writes before the trigger @op are safe in the copy @slot. */
static uint32_t image_safe(const struct slot_op *op, unsigned int slot,
			   const uint32_t flushed[TARGETS])
{
	return flushed[1 + slot] > op->end ? NEVER : flushed[0];
}

/* What was written through the copy since the trigger @op and is safe: 0: nothing. */
static uint32_t copy_floor(const struct history *h, const struct slot_op *op,
			   uint32_t flushed)
{
	uint32_t n = last_ended(h, flushed);

	return n && writes[h->write[n - 1]].begin > op->end ? n : 0;
}

static const char *judge_own(unsigned int target, const struct slot_op *op,
			     uint32_t at, uint32_t sector, uint32_t stamp,
			     uint32_t floor, const char *what)
{
	const struct history *h = &history[target][sector];
	uint32_t n = place(h, stamp);
	const struct write_op *w;

	if (!n || n == NEVER)
		return complain(what, sector, target, stamp,
				"B's old content shows through");
	w = &writes[stamp - 1];
	if (w->begin >= at)
		return complain(what, sector, target, stamp, "nobody wrote that");
	if (w->end < op->begin)
		return complain(what, sector, target, stamp,
				"it is of an older generation");
	if (n < floor)
		return complain(what, sector, target, stamp,
				"a later one was flushed");
	return NULL;
}

/* Sector by sector; @cut becomes the latest begin of a write of A that is held. */
static const char *judge_sector(uint32_t at, const struct slot_op *op,
				unsigned int target, uint32_t stamp,
				uint32_t sector, unsigned int slot,
				const uint32_t flushed[TARGETS],
				uint32_t *cut, const char *what)
{
	const struct history *h = &history[0][sector];
	uint32_t floor, n;

	floor = copy_floor(&history[1 + slot][sector], op, flushed[1 + slot]);
	if (target == 1 + slot)
		return judge_own(target, op, at, sector, stamp, floor, what);
	if (target)
		return complain(what, sector, target, stamp, "of another copy");
	if (floor)
		return complain(what, sector, target, stamp,
				"a write through the copy was flushed");
	n = place(h, stamp);
	if (n == NEVER)
		return complain(what, sector, target, stamp, "nobody wrote that");
	if (n && writes[stamp - 1].begin > min32(op->end, at))
		return complain(what, sector, target, stamp,
				"it began after the trigger");
	if (n < min32(last_ended(h, op->begin),
		      last_ended(h, image_safe(op, slot, flushed))))
		return complain(what, sector, target, stamp,
				"a later one is before the trigger");
	if (n && writes[stamp - 1].begin > *cut)
		*cut = writes[stamp - 1].begin;
	return NULL;
}

/* It was triggered before the log began. */
static const char *judge_kept(uint32_t at, unsigned int slot, const void *b,
			      const char *what)
{
	static const struct slot_op op;
	uint32_t flushed[TARGETS], sector, stamp, floor;
	unsigned int target, own = 1 + slot;
	const char *wrong;
	size_t offset;

	find_flushed(at, flushed);
	for (sector = 0; sector < LENGTH; sector++) {
		offset = sector * SECTOR;
		floor = copy_floor(&history[own][sector], &op, flushed[own]);
		if (!floor && !memcmp((const char *)b + offset,
				      base->slot[slot].copy + offset, SECTOR))
			continue;
		if (!stamp_read((const char *)b + offset, sector, &target, &stamp))
			return complain(what, sector, 0, 0, "no stamp");
		if (target != own)
			return complain(what, sector, target, stamp, floor ?
					"a write through the copy was flushed" :
					"it held something else after the first failure");
		wrong = judge_own(target, &op, at, sector, stamp, floor, what);
		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *judge_copy(uint32_t at, unsigned int slot, uint64_t generation,
		       const void *b)
{
	const struct slot_op *op = trigger_of(slot, generation);
	uint32_t flushed[TARGETS], stamps[LENGTH], sector, cut = 0, n;
	const char *wrong;
	unsigned int target;
	char what[32];

	snprintf(what, sizeof(what), "slot %u", slot);
	if (generation == base->slot[slot].generation)
		return judge_kept(at, slot, b, what);
	if (risen)	/* nothing was written to A since */
		return memcmp(b, base->a, LENGTH * SECTOR) ?
			"a copy triggered before the first failure is not A" : NULL;
	if (!op)
		return "nobody triggered this generation";
	find_flushed(at, flushed);
	for (sector = 0; sector < LENGTH; sector++) {
		if (!stamp_read((const char *)b + sector * SECTOR, sector,
				&target, &stamps[sector]))
			return complain(what, sector, 0, 0, "no stamp");
		wrong = judge_sector(at, op, target, stamps[sector], sector,
				     slot, flushed, &cut, what);
		if (wrong)
			return wrong;
		if (target)
			stamps[sector] = NEVER;
	}
	for (sector = 0; sector < LENGTH; sector++) {
		const struct history *h = &history[0][sector];

		n = stamps[sector] == NEVER ? NEVER : place(h, stamps[sector]);
		if (n < min32(last_ended(h, cut),
			      last_ended(h, image_safe(op, slot, flushed))))
			return complain(what, sector, 0, stamps[sector],
					"not one cut: it lacks a write that ended before one it holds began");
	}
	return NULL;
}
