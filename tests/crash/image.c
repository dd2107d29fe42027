// SPDX-License-Identifier: GPL-2.0-only
/* What may be on the disks when the power fails at a point of the log. */
#include <stdlib.h>
#include <string.h>
#include "crash.h"

static uint8_t *durable[DISKS];
static uint32_t done;			/* events that @durable and @cached know */

/* Writes of a disk that no flush covers, in the order of their arrival. */
static struct cached {
	uint32_t *write;
	uint32_t nr, room;
} cached[DISKS];

void image_init(uint8_t *const preset[DISKS])
{
	unsigned int d;

	done = 0;
	for (d = 0; d < DISKS; d++) {
		cached[d].nr = 0;
		if (!durable[d])
			durable[d] = zalloc(disk_sectors[d] * SECTOR);
		memcpy(durable[d], preset[d], disk_sectors[d] * SECTOR);
	}
}

static void apply(uint8_t *disk, const struct event *e)
{
	memcpy(disk + e->sector * SECTOR, e->data, e->count * SECTOR);
}

static void add_write(uint32_t at)
{
	struct cached *c = &cached[events[at].disk];

	if (c->nr == c->room) {
		c->room = c->room * 2 + 64;
		c->write = realloc(c->write, c->room * sizeof(*c->write));
		if (!c->write)
			die("memory");
	}
	c->write[c->nr++] = at;
}

/* Writes that ended before @before are durable; with FUA only @one. */
static void settle(unsigned int disk, uint32_t before, uint32_t one)
{
	struct cached *c = &cached[disk];
	uint32_t i, kept = 0;

	for (i = 0; i < c->nr; i++) {
		const struct event *e = &events[c->write[i]];

		if (one == NEVER ? e->ref < before : c->write[i] == one)
			apply(durable[disk], e);
		else
			c->write[kept++] = c->write[i];
	}
	c->nr = kept;
}

static void advance(uint32_t at)
{
	for (; done < at; done++) {
		const struct event *e = &events[done];

		if (e->failed)
			continue;
		if (e->kind == EV_WRITE)
			add_write(done);
		else if (e->kind == EV_WROTE && e->fua)
			settle(e->disk, 0, e->ref);
		else if (e->kind == EV_FLUSHED)
			settle(e->disk, e->ref, NEVER);
	}
}

static void keep_some(uint8_t *disk, const struct event *e, uint8_t keep,
		      uint64_t *random)
{
	uint32_t i;

	if (keep == KEEP_NONE)
		return;
	if (keep == KEEP_ALL || (keep == KEEP_WRITES && rnd(random) & 1)) {
		apply(disk, e);
		return;
	}
	for (i = 0; keep == KEEP_SECTORS && i < e->count; i++)
		if (rnd(random) & 1)
			memcpy(disk + (e->sector + i) * SECTOR,
			       e->data + i * SECTOR, SECTOR);
}

void image_make(const struct crash_point *p, uint8_t *const out[DISKS],
		uint32_t volatile_writes[DISKS])
{
	uint64_t random = p->seed;
	unsigned int d;
	uint32_t i;

	advance(p->at);
	for (d = 0; d < DISKS; d++) {
		volatile_writes[d] = cached[d].nr;
		memcpy(out[d], durable[d], disk_sectors[d] * SECTOR);
		for (i = 0; i < cached[d].nr; i++)
			keep_some(out[d], &events[cached[d].write[i]],
				  p->keep[d], &random);
	}
}
