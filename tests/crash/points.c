// SPDX-License-Identifier: GPL-2.0-only
/* At which moments of the log the power fails, and what becomes of the rest. */
#include <stdlib.h>
#include <string.h>
#include "crash.h"

#define MANY		1000		/* points at least, when no number is given */
#define SUPERS		DISKS		/* a class of its own: they can be torn */
#define CLASSES		(DISKS + 1)
#define SUPER_SECTORS	8u

uint32_t nr_ends;

static uint64_t random_state;

/*
 * Ends of flushes of a disk which make something durable, and of writes with FUA,
 * which are superblocks: before it nothing is certain, after it something is. A class of
 * their own for superblocks that can be torn.
 */
static struct ends {
	uint32_t *at, nr;
} ends[CLASSES];

/* Does the write change more than one sector of @m, what stood there? */
static bool can_be_torn(const struct event *e, uint8_t *m)
{
	uint32_t i, changed = 0;

	if (e->disk != DISK_M || e->sector + e->count > 2 * SUPER_SECTORS)
		return false;
	m += e->sector * SECTOR;
	for (i = 0; i < e->count; i++)
		changed += !!memcmp(m + i * SECTOR, e->data + i * SECTOR, SECTOR);
	memcpy(m, e->data, e->count * SECTOR);
	return changed > 1;
}

static void find_ends(const uint8_t *m)
{
	uint32_t *wrote = zalloc(nr_events * sizeof(*wrote));
	uint32_t last[DISKS] = { 0 }, covered[DISKS] = { 0 }, i;
	uint8_t supers[2 * SUPER_SECTORS * SECTOR];
	unsigned int d;

	memcpy(supers, m, sizeof(supers));
	for (d = 0; d < CLASSES; d++) {
		ends[d].at = zalloc(nr_events * sizeof(*ends[d].at));
		ends[d].nr = 0;
	}
	for (i = 0; i < nr_events; i++) {
		const struct event *e = &events[i];

		d = e->disk;
		if (e->kind == EV_FLUSH)
			wrote[i] = last[d];
		if (e->kind == EV_WROTE && !e->fua)
			last[d] = i;
		if (e->kind == EV_FLUSHED && wrote[e->ref] > covered[d]) {
			covered[d] = e->ref;
			ends[d].at[ends[d].nr++] = i;
		} else if (e->kind == EV_WROTE && e->fua && !e->failed) {
			d = can_be_torn(&events[e->ref], supers) ? SUPERS : d;
			ends[d].at[ends[d].nr++] = i;
		}
	}
	nr_ends = 0;
	for (d = 0; d < CLASSES; d++)
		nr_ends += ends[d].nr;
	free(wrote);
	if (!nr_ends || !nr_slot_ops)
		die("nothing was logged");
}

/* ---- what survives ---- */

static void choose_fate(struct crash_point *p)
{
	unsigned int d, one = rnd(&random_state) % DISKS;

	p->seed = rnd(&random_state);
	switch (rnd(&random_state) % 4) {
	case 0:				/* the whole cache of one disk */
		for (d = 0; d < DISKS; d++)
			p->keep[d] = d == one ? KEEP_NONE : KEEP_ALL;
		break;
	case 1:				/* or that of all others */
		for (d = 0; d < DISKS; d++)
			p->keep[d] = d == one ? KEEP_ALL : KEEP_NONE;
		break;
	default:
		for (d = 0; d < DISKS; d++)
			p->keep[d] = rnd(&random_state) % 4;
	}
	/* under a superblock that is being written: torn */
	if (p->at < nr_events && events[p->at].fua && rnd(&random_state) & 1)
		p->keep[events[p->at].disk] = KEEP_SECTORS;
}

static int by_time(const void *a, const void *b)
{
	const struct crash_point *p = a, *q = b;

	return p->at < q->at ? -1 : p->at > q->at;
}

/* ---- when ---- */

static uint32_t one_of(const struct ends *e)
{
	return e->at[rnd(&random_state) % e->nr];
}

static uint32_t any_end(void)
{
	const struct ends *e;

	do {
		e = &ends[rnd(&random_state) % CLASSES];
	} while (!e->nr);
	return one_of(e);
}

static uint32_t within(uint32_t begin, uint32_t end)
{
	return begin + rnd(&random_state) % (end - begin);
}

static uint32_t any_time(unsigned int i)
{
	switch (i % 8) {
	case 0:
	case 1:
		return any_end() + 1;
	case 2:				/* M is being formatted, or just was */
		return within(0, slot_ops[0].begin + 1);
	case 3:				/* a message was answered */
		return slot_ops[rnd(&random_state) % nr_slot_ops].end + 1;
	case 4:				/* another owner begins */
		if (fenced < fenced_end)
			return within(fenced, fenced_end);
	}
	return within(0, nr_events + 1);
}

/* In front of the end of a write of the superblock @block, of which a part is there. */
static void tear_super(struct crash_point *p, unsigned int block)
{
	const struct ends *e = &ends[SUPERS];
	unsigned int i, first = rnd(&random_state);

	for (i = 0; i < e->nr; i++) {
		p->at = e->at[(first + i) % e->nr];
		if (events[events[p->at].ref].sector / SUPER_SECTORS == block)
			break;
	}
	p->keep[DISK_M] = KEEP_SECTORS;
	p->torn = true;
}

/* Before the first superblock is durable. */
static uint32_t while_formatted(void)
{
	uint32_t i;

	for (i = 0; i < nr_events; i++)
		if (events[i].kind == EV_WROTE && events[i].fua)
			break;
	return within(0, i);
}

static uint32_t during_message(void)
{
	const struct slot_op *op;

	do {
		op = &slot_ops[rnd(&random_state) % nr_slot_ops];
	} while (op->end <= op->begin + 1);
	return within(op->begin + 1, op->end);
}

/* After which the volume lives on: one of each kind, again and again. */
static void choose_life(struct crash_point *p, unsigned int i)
{
	unsigned int d;

	p->at = within(0, nr_events + 1);
	p->nodes = i < 5 || rnd(&random_state) % 3 ? 1 : NODES;
	choose_fate(p);
	switch (i % 7) {
	case 0:
	case 1:
		tear_super(p, i % 7);
		break;
	case 2:				/* a grain is copied, or its bit written */
		d = DISK_B0 + rnd(&random_state) % (DISKS - DISK_B0);
		p->at = one_of(&ends[ends[d].nr ? d : DISK_M]);
		p->keep[d] = KEEP_WRITES;
		break;
	case 3:
		p->at = during_message();
		p->nodes = 2;
		break;
	case 4:
		p->at = while_formatted();
		p->keep[DISK_M] = KEEP_SECTORS;
		break;
	case 5:
		if (fenced < fenced_end)
			p->at = within(fenced, fenced_end);
		break;
	}
}

struct crash_point *points_choose(unsigned int *nr, unsigned int lives,
				  const uint8_t *m, uint64_t seed)
{
	struct crash_point *p;
	unsigned int d, i, n = 0;

	random_state = seed;
	find_ends(m);
	p = zalloc((*nr + 2 * nr_ends + MANY + lives) * sizeof(*p));
	for (d = 0; !*nr && d < CLASSES; d++)
		for (i = 0; i < ends[d].nr; i++)
			p[n++].at = ends[d].at[i];
	if (!*nr)
		*nr = n + n / 2 > MANY ? n + n / 2 : MANY;
	/* Half of them in front of such an end, the others at any time. */
	while (n < *nr / 2)
		p[n++].at = any_end();
	for (i = 0; n < *nr; n++, i++)
		p[n].at = any_time(i);
	for (i = 0; i < n; i++)
		choose_fate(&p[i]);
	for (i = 0; i < lives; i++)
		choose_life(&p[n++], i);
	*nr = n;
	qsort(p, n, sizeof(*p), by_time);
	return p;
}

/* Behind the end of the second superblock: of a formatting it is the last one. */
static uint32_t two_supers(void)
{
	uint32_t i, nr = 0;

	for (i = 0; i < nr_events && nr < 2; i++)
		nr += events[i].kind == EV_WROTE && events[i].fua;
	return i;
}

struct crash_point *points_again(unsigned int nr, const uint8_t *m, uint64_t seed)
{
	struct crash_point *p = zalloc((nr + CLASSES) * sizeof(*p));
	unsigned int d, i, n = 0;

	random_state = seed;
	find_ends(m);
	/* what it wrote first, of which nothing is left, or a part */
	for (d = 0; d < CLASSES; d++) {
		if (d == DISK_A || !ends[d].nr)
			continue;
		p[n].at = ends[d].at[0];
		choose_fate(&p[n]);
		p[n].keep[d == SUPERS ? DISK_M : d] = KEEP_NONE;
		if (d == SUPERS) {
			p[n].keep[DISK_M] = KEEP_SECTORS;
			p[n].torn = true;
			p[n + 1] = p[n];
			p[n].rises = true;
			n++;
		}
		n++;
	}
	/* the superblock is there, and what it relies on? */
	p[n].at = two_supers();
	choose_fate(&p[n]);
	p[n++].keep[DISK_M] = KEEP_NONE;
	for (i = n; i < nr; i++) {
		p[i].at = i % 2 ? any_end() : any_time(i / 2);
		choose_fate(&p[i]);
	}
	qsort(p, nr, sizeof(*p), by_time);
	return p;
}
