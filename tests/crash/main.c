// SPDX-License-Identifier: GPL-2.0-only
/*
 *   crash run SEED ROUNDS WRITES POINTS NBD RAM
 *
 * Runs a cluster over an array on NBD0.. (nbd devices that nobody uses), then
 * cuts the power at POINTS moments (0: at the end of every flush, and at half as
 * many others): each time the disks RAM0.. (memory disks) get what may be left, one
 * node brings the volume up, and what it shows is judged. Prints what is wrong as
 * comments, and one line of NAME=VALUE figures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "crash.h"

#define SUPER_SECTORS	128		/* before the bitmap blocks */
#define SLICE_SECTORS	128		/* a bitmap block for each slot */
#define CHUNK		128u		/* of a large write, sectors */
#define MANY		1000		/* points at least, when no number is given */
#define COMPLAINTS	10

static const char *ram;
static int ram_fd[DISKS];
static uint8_t *preset[DISKS], *image[DISKS], *seen[SLOTS], *buffer;
static uint64_t random_state;

static struct figures {
	unsigned int points, flushes, bad, refused, active, complete, idle,
		     offline, overwritten, lossy[DISKS];
} count;

/* ---- the rest ---- */

uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void nap(unsigned int us)
{
	usleep(us);
}

void die(const char *what, ...)
{
	va_list args;

	printf("# crash: ");
	va_start(args, what);
	vprintf(what, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void *zalloc(size_t size)
{
	void *p = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

	if (!p)
		die("memory");
	memset(p, 0, size);
	return p;
}

/* ---- points ---- */

static int by_time(const void *a, const void *b)
{
	const struct crash_point *p = a, *q = b;

	return p->at < q->at ? -1 : p->at > q->at;
}

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

/*
 * Ends of flushes of a disk which make something durable, and of writes with FUA,
 * which are superblocks: before it nothing is certain, after it something is. A class of
 * their own for superblocks that can be torn.
 */
static struct ends {
	uint32_t *at, nr;
} ends[DISKS + 1];

/* Does the write change more than one sector of what the last one put there? */
static bool can_be_torn(const struct event *e)
{
	static const struct event *last[LENGTH];
	const struct event *old = last[e->sector % LENGTH];
	uint32_t i, changed = 0;

	last[e->sector % LENGTH] = e;
	for (i = 0; old && old->count == e->count && i < e->count; i++)
		changed += !!memcmp(old->data + i * SECTOR,
				    e->data + i * SECTOR, SECTOR);
	return changed > 1;
}

static void find_ends(void)
{
	uint32_t *wrote = zalloc(nr_events * sizeof(*wrote));
	uint32_t last[DISKS] = { 0 }, covered[DISKS] = { 0 }, i;
	unsigned int d;

	for (d = 0; d <= DISKS; d++)
		ends[d].at = zalloc(nr_events * sizeof(*ends[d].at));
	for (i = 0; i < nr_events; i++) {
		const struct event *e = &events[i];

		d = e->disk;
		if (e->kind == EV_FLUSH)
			wrote[i] = last[d];
		if (e->kind == EV_WROTE)
			last[d] = i;
		if (e->kind == EV_FLUSHED && wrote[e->ref] >= covered[d]) {
			covered[d] = e->ref;
			ends[d].at[ends[d].nr++] = i;
		} else if (e->kind == EV_WROTE && e->fua && !e->failed) {
			d = can_be_torn(&events[e->ref]) ? DISKS : d;
			ends[d].at[ends[d].nr++] = i;
		}
	}
	for (d = 0; d <= DISKS; d++)
		count.flushes += ends[d].nr;
	free(wrote);
}

static uint32_t any_end(void)
{
	const struct ends *e;

	do {
		e = &ends[rnd(&random_state) % (DISKS + 1)];
	} while (!e->nr);
	return e->at[rnd(&random_state) % e->nr];
}

static uint32_t any_time(unsigned int i)
{
	switch (i % 8) {
	case 0:
	case 1:
		return any_end() + 1;
	case 2:				/* M is being formatted, or just was */
		return rnd(&random_state) % (slot_ops[0].begin + 1);
	case 3:				/* a message was answered */
		return slot_ops[rnd(&random_state) % nr_slot_ops].end + 1;
	case 4:				/* another owner begins */
		if (fenced < fenced_end)
			return fenced + rnd(&random_state) % (fenced_end - fenced);
	}
	return rnd(&random_state) % (nr_events + 1);
}

/* Half of them in front of such an end, the others at any time. */
static struct crash_point *choose_points(unsigned int *nr)
{
	struct crash_point *p;
	unsigned int d, i, n = 0;

	find_ends();
	if (!count.flushes || !nr_slot_ops)
		die("nothing was logged");
	p = zalloc((*nr + 2 * count.flushes + MANY) * sizeof(*p));
	for (d = 0; !*nr && d <= DISKS; d++)
		for (i = 0; i < ends[d].nr; i++)
			p[n++].at = ends[d].at[i];
	if (!*nr)
		*nr = n + n / 2 > MANY ? n + n / 2 : MANY;
	while (n < *nr / 2)
		p[n++].at = any_end();
	for (i = 0; n < *nr; n++, i++)
		p[n].at = any_time(i);
	for (i = 0; i < n; i++)
		choose_fate(&p[i]);
	qsort(p, n, sizeof(*p), by_time);
	return p;
}

/* ---- one failure ---- */

static const struct crash_point *point;

static void wrong(const char *what)
{
	static const char keep[] = "-aws";
	unsigned int d;

	if (count.bad++ >= COMPLAINTS)
		return;
	printf("# power lost at %u of %u, keep ", point->at, nr_events);
	for (d = 0; d < DISKS; d++)
		printf("%c", keep[point->keep[d]]);
	printf(": %s\n", what);
}

static void write_images(void)
{
	unsigned int d;
	size_t len;

	for (d = 0; d < DISKS; d++) {
		len = disk_sectors[d] * SECTOR;
		if (pwrite(ram_fd[d], image[d], len, 0) != (ssize_t)len)
			die("%s%u: %s", ram, d, strerror(errno));
	}
}

/*
 * The devices stay, with nothing in them, between one volume and the next: to make
 * and remove them takes longer than all the rest.
 */
static struct {
	const char *name;
	int fd;
} devices[1 + SLOTS] = { { "o", -1 }, { "c0", -1 }, { "c1", -1 } };

static void make_devices(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++) {
		if (dm_create(devices[i].name, LENGTH, "zero", ""))
			die("%s cannot be made", devices[i].name);
		devices[i].fd = dm_open(devices[i].name);
	}
}

static void park(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++)
		if (dm_swap(devices[i].name, LENGTH, "zero", ""))
			die("the volume does not end");
}

static void remove_devices(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++) {
		close(devices[i].fd);
		dm_remove(devices[i].name);
	}
}

static int bring_up_origin(unsigned int node)
{
	char params[512], text[64];
	unsigned int p, n;
	int r;

	n = snprintf(params, sizeof(params),
		     "%s%u %s%u %u %u grain_size %u listen 127.0.0.%u:7788",
		     ram, DISK_M, ram, DISK_A, node, 4 + 3 * (NODES - 1), GRAIN,
		     node);
	for (p = 1; p <= NODES; p++)
		if (p != node)
			n += snprintf(params + n, sizeof(params) - n,
				      " peer %u 127.0.0.%u:7788", p, p);
	r = dm_swap("o", LENGTH, "fclock-origin", params);
	if (r)
		return r;
	/* the others did not survive */
	snprintf(text, sizeof(text), "members 1000000 %u", node);
	return dm_message("o", text);
}

static void bring_up_copy(unsigned int slot)
{
	char params[64], name[4] = { 'c', '0' + slot };
	int r;

	snprintf(params, sizeof(params), "%s%u %u %s%u", ram, DISK_M, slot,
		 ram, DISK_B0 + slot);
	r = dm_swap(name, LENGTH, "fclock-copy", params);
	if (r)
		die("slot %u: %s", slot, strerror(-r));
}

static bool wait_ready(void)
{
	uint64_t end = now_ms() + 15000;
	char line[1024], word[32];
	unsigned int pause = 500;

	do {
		if (!dm_status("o", line, sizeof(line)) &&
		    !strncmp(line, "active ", 7) &&
		    !strcmp(field(line, "slots", word, sizeof(word)), "0,1"))
			return true;
		nap(pause);
		pause = pause < 8000 ? pause * 2 : pause;
	} while (now_ms() < end);
	return false;
}

static bool read_all(int fd, void *buf)
{
	return pread(fd, buf, LENGTH * SECTOR, 0) == LENGTH * SECTOR;
}

static bool check_slot(unsigned int slot, int fd)
{
	char name[4] = { 'c', '0' + slot }, line[256], word[32], state[16];
	const char *bad;
	uint64_t generation;

	if (dm_status(name, line, sizeof(line)))
		die("slot %u has no status", slot);
	snprintf(state, sizeof(state), "%.*s", (int)strcspn(line, " "), line);
	generation = strtoull(field(line, "generation", word, sizeof(word)),
			      NULL, 0);
	bad = judge_slot(point->at, slot, state, generation);
	if (!bad && (!strcmp(state, "idle") || !strcmp(state, "offline"))) {
		count.idle += !strcmp(state, "idle");
		count.offline += !strcmp(state, "offline");
		if (read_all(fd, buffer))
			bad = "a copy without a content answers reads";
	} else if (!bad) {
		count.active++;
		count.complete += !strcmp(state, "complete");
		if (!read_all(fd, seen[slot]) || !read_all(fd, buffer))
			bad = "a copy cannot be read";
		else if (memcmp(seen[slot], buffer, LENGTH * SECTOR))
			bad = "two reads of a copy differ";
		else
			bad = judge_copy(point->at, slot, generation, buffer);
		if (!bad)
			return true;
	}
	if (bad)
		wrong(bad);
	return false;
}

/* A copy that ended can be begun anew. */
static bool trigger_again(unsigned int slot, int copy, const void *a)
{
	char text[] = "trigger 0";

	text[strlen(text) - 1] += slot;
	if (!dm_message("o", text) && read_all(copy, seen[slot]) &&
	    !memcmp(seen[slot], a, LENGTH * SECTOR))
		return true;
	wrong("a new copy is not what A is");
	return false;
}

/* Whatever is written to A now, the copies stay. */
static void check_use(int fd, const int copy[SLOTS], bool active[SLOTS])
{
	uint32_t sector, s;

	count.overwritten++;
	if (!read_all(fd, buffer))
		wrong("A cannot be read");
	for (s = 0; s < SLOTS; s++)
		if (!active[s])
			active[s] = trigger_again(s, copy[s], buffer);
	stamp_fill(buffer, 0, LENGTH, 0, UINT32_MAX);
	for (sector = 0; sector < LENGTH; sector += CHUNK)
		if (pwrite(fd, buffer + sector * SECTOR, CHUNK * SECTOR,
			   sector * SECTOR) != CHUNK * SECTOR)
			wrong("A cannot be written");
	for (s = 0; s < SLOTS; s++)
		if (active[s] && (!read_all(copy[s], buffer) ||
				  memcmp(seen[s], buffer, LENGTH * SECTOR)))
			wrong("a copy changed when A was written");
}

static void check_volume(void)
{
	int origin = devices[0].fd, copy[SLOTS];
	bool active[SLOTS];
	const char *bad;
	unsigned int s;

	if (!read_all(origin, buffer))
		bad = "A cannot be read";
	else
		bad = judge_origin(point->at, buffer);
	if (bad)
		wrong(bad);
	for (s = 0; s < SLOTS; s++) {
		copy[s] = devices[1 + s].fd;
		active[s] = check_slot(s, copy[s]);
	}
	/* before the first trigger there is little else to see */
	if (point->at <= slot_ops[0].begin || rnd(&random_state) % 4 == 0)
		check_use(origin, copy, active);
}

static void fail_power(const struct crash_point *p)
{
	unsigned int node = rnd(&random_state) % NODES + 1, d, s;
	uint32_t lost[DISKS];
	const char *bad;
	int r;

	point = p;
	count.points++;
	image_make(p, image, lost);
	for (d = 0; d < DISKS; d++)
		count.lossy[d] += lost[d] && p->keep[d] != KEEP_ALL;
	bad = judge_super(p->at, image[DISK_M]);
	if (bad)
		wrong(bad);
	write_images();
	r = bring_up_origin(node);
	if (r) {
		bad = judge_refusal(p->at);
		if (bad)
			wrong(bad);
		count.refused++;
		park();
		return;
	}
	for (s = 0; s < SLOTS; s++)
		bring_up_copy(s);
	if (wait_ready())
		check_volume();
	else
		wrong("the volume does not come up");
	park();
}

/* ---- all ---- */

static void prepare(void)
{
	unsigned int d, i;
	char path[32];

	for (d = 0; d < DISKS; d++) {
		preset[d] = zalloc(disk_sectors[d] * SECTOR);
		image[d] = zalloc(disk_sectors[d] * SECTOR);
		if (d != DISK_M)
			stamp_fill(preset[d], 0, LENGTH, d, 0);
		/* where bitmaps will be there is something else yet */
		for (i = SUPER_SECTORS * SECTOR; d == DISK_M &&
		     i < disk_sectors[d] * SECTOR; i++)
			preset[d][i] = i;
		snprintf(path, sizeof(path), "%s%u", ram, d);
		ram_fd[d] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (ram_fd[d] < 0)
			die("%s: %s", path, strerror(errno));
	}
	for (d = 0; d < SLOTS; d++)
		seen[d] = zalloc(LENGTH * SECTOR);
	buffer = zalloc(LENGTH * SECTOR);
}

static void report(uint64_t began, uint64_t recorded)
{
	unsigned int d;

	printf("events=%u writes=%u slot_ops=%u record_ms=%llu points=%u flushes=%u check_ms=%llu refused=%u active=%u complete=%u idle=%u offline=%u overwritten=%u fenced_active=%u",
	       nr_events, nr_writes, nr_slot_ops,
	       (unsigned long long)(recorded - began), count.points,
	       count.flushes, (unsigned long long)(now_ms() - recorded),
	       count.refused, count.active, count.complete, count.idle, count.offline,
	       count.overwritten, fenced_active);
	for (d = 0; d < DISKS; d++)
		printf(" %s=%u", ((const char *[]){ "lossy_a", "lossy_b0",
						    "lossy_b1", "lossy_m" })[d],
		       count.lossy[d]);
	printf(" bad=%u\n", count.bad);
}

int main(int argc, char **argv)
{
	uint32_t sectors[DISKS] = { LENGTH, LENGTH, LENGTH };
	uint64_t seed, began, recorded;
	struct crash_point *points;
	unsigned int nr, i;

	if (argc != 8 || strcmp(argv[1], "run"))
		die("bad arguments");
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = strtoull(argv[2], NULL, 0);
	nr = atoi(argv[5]);
	ram = argv[7];
	random_state = seed;
	/* slices of 4 or of 32 grains, as it fits */
	sectors[DISK_M] = SUPER_SECTORS + SLICE_SECTORS *
		(rnd(&random_state) % 2 ? LENGTH / GRAIN / 4 : LENGTH / GRAIN / 32);
	array_start(argv[6], sectors, rnd(&random_state));
	prepare();
	for (i = 0; i < DISKS; i++)
		array_preset(i, preset[i]);
	began = now_ms();
	load_run(rnd(&random_state), atoi(argv[3]), atoi(argv[4]));
	array_stop();
	recorded = now_ms();
	judge_init();
	image_init(preset);
	points = choose_points(&nr);
	make_devices();
	for (i = 0; i < nr; i++)
		fail_power(&points[i]);
	remove_devices();
	report(began, recorded);
	return count.bad != 0;
}
